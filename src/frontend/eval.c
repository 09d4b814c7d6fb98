// SPDX-License-Identifier: GPL-2.0-or-later
/* Expressions: keys, byte order, operators and comparisons. */
#include "sema.h"

#define EVAL_DEPTH 64

struct key_row {
	enum expr_kind kind;
	const char *name;
	uint32_t key;
	enum type_num type;
	uint32_t bits;
	enum byte_order order;
};
static const struct key_row keys[] = {
#define K(expr, name, id, type, bits, order)                                                       \
	{ EX_##expr, name, KEY_##expr##_##id, TYPE_##type, bits, ORDER_##order },
#include "keys.def"
#undef K
};

static const struct key_row *key_find(enum expr_kind k, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].kind == k && !strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

struct tx *tx_key(struct sema *s, struct loc loc, enum tx_kind k, const char *name)
{
	static const enum expr_kind kinds[] = {
		[TX_META] = EX_META,	 [TX_CT] = EX_CT,	  [TX_RT] = EX_RT,
		[TX_SOCKET] = EX_SOCKET, [TX_TUNNEL] = EX_TUNNEL, [TX_XFRM] = EX_XFRM
	};
	const struct key_row *r = key_find(kinds[k], name);
	struct tx *t;

	if (!r) {
		diag_error(s->diag, loc, "\"%s\" is not a key of %s", name,
			   expr_kind_name(kinds[k]));
		return NULL;
	}
	t = tx_new(s, k, loc);
	t->type = type_of(r->type);
	t->order = r->order;
	t->len = r->bits;
	if (k == TX_XFRM) {
		t->xfrm.key = r->key;
		return t;
	}
	t->load.key = r->key;
	t->load.dir = -1;
	t->load.inner = k == TX_META ? s->inner : NULL;
	if (k == TX_META)
		t->key = r->key == KEY_META_IIFTYPE || r->key == KEY_META_NFPROTO ||
			 r->key == KEY_META_L4PROTO || r->key == KEY_META_PROTOCOL;
	else if (k == TX_CT)
		t->key = r->key == KEY_CT_PROTOCOL || r->key == KEY_CT_L3PROTOCOL;
	return t;
}

struct tx *primary(struct sema *s, struct tx *t)
{
	ctx_set(s, t->type, t->order, t->len, 0);
	return t;
}

/* -- byte order -------------------------------------------------------------------------------- */

bool to_order(struct sema *s, struct tx **tp, enum byte_order o)
{
	struct tx *t = *tp, *n;

	if (t->kind == TX_CONCAT) {
		for (uint32_t i = 0; i < t->concat.n; i++)
			if (!to_order(s, &t->concat.v[i], o))
				return false;
		return true;
	}
	if (t->order == o || t->type->base == BASE_STRING)
		return true;
	if (t->kind == TX_BINOP && t->plen) { /* a field shifted into place: lower.c knows */
		t->order = o;
		return true;
	}
	if (t->kind == TX_RANGE || t->kind == TX_PREFIX || t->kind == TX_VALUE || t->len <= 8) {
		t->order = o;
		return true;
	}
	if (!type_is_integer(t->type)) {
		diag_error(s->diag, t->loc, "byte order of a %s cannot be converted",
			   t->type->desc);
		return false;
	}
	n = tx_new(s, TX_SWAP, t->loc);
	n->swap.arg = t;
	n->type = t->type;
	n->len = t->len;
	n->order = o;
	*tp = n;
	return true;
}

/* -- fields that do not fill bytes ------------------------------------------------------------- */

uint32_t bit_shift(uint32_t off, uint32_t len, uint32_t *extra)
{
	int shift = (int)ALIGN_UP(len, 8u) - (int)(off % 8 + len);

	for (; shift < 0; shift += 8)
		*extra += 8;
	return (uint32_t)shift;
}

struct tx *tx_bin(struct sema *s, struct loc loc, enum ast_binop op, struct tx *l, struct tx *r)
{
	struct tx *t = tx_new(s, TX_BINOP, loc);

	t->bin.op = op;
	t->bin.l = l;
	t->bin.r = r;
	t->type = l->type;
	t->order = l->order;
	t->len = l->len;
	return t;
}

/* field ==> (bytes & mask) >> shift */
bool bits_adjust(struct sema *s, struct tx **tp)
{
	struct tx *t = *tp, *n;
	uint32_t len = t->len, extra = 0, shift;

	shift = bit_shift(t->kind == TX_PAYLOAD ? t->pay.off : t->ext.off, len, &extra);
	if (len + shift > 128) {
		diag_error(s->diag, t->loc, "mask length %u exceeds allowed maximum of 128",
			   len + shift);
		return false;
	}
	n = tx_bin(s, t->loc, BIN_AND, t,
		   tx_value(s, t->loc, type_of(TYPE_INTEGER), t->order, len + shift,
			    ones(len) << shift));
	n->len = len + shift;
	if (shift) {
		n = tx_bin(s, t->loc, BIN_RSHIFT, n,
			   tx_value(s, t->loc, type_of(TYPE_INTEGER), ORDER_HOST, 32, shift));
		n->len = len + shift;
		n->plen = len;
	}
	n->field_bits = len;
	t->len += extra;
	*tp = n;
	return true;
}

/* -- operators --------------------------------------------------------------------------------- */

static bool fold(struct sema *s, struct tx *l, enum ast_binop op, u128 r, uint32_t len)
{
	switch (op) {
	case BIN_AND:
		l->val &= r;
		break;
	case BIN_OR:
		l->val |= r;
		break;
	case BIN_XOR:
		l->val ^= r;
		break;
	case BIN_LSHIFT:
		l->val = r >= 128 ? 0 : l->val << (unsigned)r;
		break;
	case BIN_RSHIFT:
		l->val = r >= 128 ? 0 : l->val >> (unsigned)r;
		break;
	}
	l->len = len;
	l->val &= ones(len);
	return true;
}

/*
 * The bytes of a value were turned for a shift, but not as those of one number: the kernel turns 2,
 * 4 or 8 at once.
 */
static bool turned_in_parts(const struct tx *t)
{
	uint32_t len = DIV_ROUND_UP(t->len, 8u);

	return t->kind == TX_SWAP && len != 2 && len != 4 && len != 8;
}

static struct tx *ev_shift(struct sema *s, struct ast_expr *e, struct tx *l, struct tx *r,
			   uint32_t outer_len)
{
	uint32_t max = MAX(MAX(outer_len, l->len), s->stmt_len);
	struct tx *t;

	if (r->kind != TX_VALUE) {
		diag_error2(s->diag, r->loc, e->loc, "right hand side of a shift must be constant");
		return NULL;
	}
	if (r->val >= max) {
		diag_error2(s->diag, r->loc, l->loc,
			    "%s shift of %s bits is undefined for type of %u bits width",
			    e->bin_op == BIN_LSHIFT ? "left" : "right", u128_text(s->arena, r->val),
			    max);
		return NULL;
	}
	if (!to_order(s, &l, ORDER_HOST) || !to_order(s, &r, ORDER_HOST))
		return NULL;
	if (turned_in_parts(l)) {
		diag_error2(s->diag, l->loc, e->loc,
			    "the kernel shifts values of 1, 2, 4 or 8 bytes, this has %u: use a "
			    "mask instead",
			    DIV_ROUND_UP(l->len, 8u));
		return NULL;
	}
	r->len = 32;
	if (l->kind == TX_VALUE) {
		fold(s, l, e->bin_op, r->val, max);
		l->loc = e->loc;
		l->type = type_of(TYPE_INTEGER);
		return l;
	}
	t = tx_bin(s, e->loc, e->bin_op, l, r);
	t->type = type_of(TYPE_INTEGER);
	t->order = ORDER_HOST;
	t->len = max;
	return t;
}

static struct tx *ev_binop(struct sema *s, struct ast_expr *e)
{
	struct tx *l, *r, *t;
	uint32_t outer_len = s->ctx.len, len;
	const struct dtype *type;
	enum byte_order order;
	struct ectx c = s->ctx, left;
	bool shift = e->bin_op == BIN_LSHIFT || e->bin_op == BIN_RSHIFT;

	if (e->depth > 16) {
		diag_error(s->diag, e->loc, "more than 16 operators in a row");
		return NULL;
	}
	l = ev(s, e->bin.left);
	if (!l)
		return NULL;
	left = s->ctx;
	if (!type_is_integer(l->type) && l->type->base != BASE_STRING) {
		diag_error2(s->diag, l->loc, e->loc, "binary operation is undefined for %s types",
			    l->type->desc);
		return NULL;
	}
	if (shift && l->type->base == BASE_STRING) {
		diag_error2(s->diag, l->loc, e->loc, "a string cannot be shifted");
		return NULL;
	}
	if (l->constant && l->kind != TX_VALUE) {
		diag_error2(s->diag, l->loc, e->loc, "binary operation needs single values");
		return NULL;
	}
	if (shift)
		ctx_set(s, type_of(TYPE_INTEGER), l->order, MAX(outer_len, l->len), 0);
	else if (l->kind == TX_VALUE)
		s->ctx = c;
	else
		s->ctx.len = MAX(s->ctx.len, s->stmt_len);
	r = ev(s, e->bin.right);
	if (!r)
		return NULL;
	/*
	 * what the leftmost operand is decides how all words and numbers of the chain are read, as
	 * with nft
	 */
	s->ctx = !shift && l->kind != TX_VALUE && r->kind == TX_VALUE ? left : c;
	if (!c.type)
		ctx_set(s, shift ? type_of(TYPE_INTEGER) : l->type, l->order, l->len, 0);
	if (shift)
		return ev_shift(s, e, l, r, c.type ? outer_len : 0);
	if ((r->constant && r->kind != TX_VALUE) || r->kind == TX_SETREF) {
		diag_error2(s->diag, r->loc, e->loc, "binary operation needs single values");
		return NULL;
	}
	if (l->kind == TX_VALUE && r->kind != TX_VALUE) {
		t = l;
		l = r;
		r = t;
	}
	if (!type_is_integer(r->type) && r->type->base != l->type->base) {
		diag_error2(s->diag, r->loc, l->loc, "binary operation is undefined for %s types",
			    r->type->desc);
		return NULL;
	}
	len = l->len;
	order = l->order;
	type = l->type;
	if (s->stmt_len > len && l->kind != TX_VALUE) {
		len = s->stmt_len;
		order = ORDER_HOST;
		type = type_of(TYPE_INTEGER);
		if (!to_order(s, &l, ORDER_HOST))
			return NULL;
	}
	if (!to_order(s, &r, order))
		return NULL;
	if (l->kind == TX_VALUE) {
		fold(s, l, e->bin_op, r->val, MAX(l->len, r->len));
		l->loc = e->loc;
		return l;
	}
	t = tx_bin(s, e->loc, e->bin_op, l, r);
	t->len = len;
	t->order = order;
	t->type = type;
	return t;
}

/* -- moving an operation from the left to the constants ---------------------------------------- */

static bool transfer_one(struct sema *s, const struct tx *l, struct tx *v)
{
	uint32_t n = (uint32_t)l->bin.r->val;

	switch (l->bin.op) {
	case BIN_LSHIFT:
		v->val >>= n;
		v->hi >>= n;
		break;
	case BIN_RSHIFT:
		v->val <<= n;
		v->hi <<= n;
		v->len = MAX(v->len, l->bin.l->len);
		break;
	case BIN_XOR:
		v->val ^= l->bin.r->val;
		break;
	default:
		break;
	}
	return true;
}

/* 1: may be moved, 0: must not, -1: never true */
static int can_transfer(struct sema *s, const struct tx *l, const struct tx *v)
{
	if (v->kind != TX_VALUE && v->kind != TX_RANGE)
		return 0;
	switch (l->bin.op) {
	case BIN_LSHIFT:
		if (v->val & ones((uint32_t)l->bin.r->val)) {
			diag_error2(s->diag, v->loc, l->loc, "comparison is always false");
			return -1;
		}
		return 1;
	case BIN_RSHIFT:
		/* a value that cannot be there stays what it is: never equal */
		return (v->kind == TX_RANGE ? v->hi : v->val) <= ones(l->bin.l->len) >>
		       (uint32_t)l->bin.r->val;
	case BIN_XOR:
		return v->kind == TX_VALUE;
	default:
		return 0;
	}
}

/*
 * field >> n == v ==> field & mask == v << n: cheaper by an operation. What is not moved for all
 * elements is not moved; nft does not move it into the ranges of a set.
 */
bool transfer(struct sema *s, struct tx **left, struct tx *right)
{
	struct tx *l = *left;
	struct telems *el = right->kind == TX_ELEMS ? right->elems : NULL;
	int can;

	if (l->kind != TX_BINOP || l->bin.r->kind != TX_VALUE ||
	    (l->bin.op != BIN_RSHIFT && l->bin.op != BIN_LSHIFT && l->bin.op != BIN_XOR))
		return true;
	if (el) {
		for (uint32_t i = 0; i < el->v.n; i++) {
			if (el->v.v[i].key->kind == TX_RANGE)
				return true;
			can = can_transfer(s, l, el->v.v[i].key);
			if (can <= 0)
				return !can;
		}
		for (uint32_t i = 0; i < el->v.n; i++)
			transfer_one(s, l, el->v.v[i].key);
	} else {
		can = can_transfer(s, l, right);
		if (can <= 0)
			return !can;
		transfer_one(s, l, right);
	}
	if (l->bin.op == BIN_RSHIFT) {
		/* Of (x & m) >> n the mask already leaves out what the shift would. */
		struct tx *in = l->bin.l;

		if (in->kind != TX_BINOP || in->bin.op != BIN_AND || in->bin.r->kind != TX_VALUE ||
		    (in->bin.r->val & ones((uint32_t)l->bin.r->val)))
			in = tx_bin(s, l->loc, BIN_AND, in,
				    tx_value(s, l->loc, in->type, in->order, in->len,
					     ones(in->len) & ~ones((uint32_t)l->bin.r->val)));
		*left = in;
	} else {
		l->bin.l->type = l->type;
		*left = l->bin.l;
	}
	return true;
}

/* -- comparisons ------------------------------------------------------------------------------- */

static bool is_meta_clock(const struct tx *t)
{
	return t->kind == TX_META && (t->load.key == KEY_META_HOUR || t->load.key == KEY_META_DAY);
}

/* What stands on the right, read by the context that the left set. */
static struct tx *ev_right(struct sema *s, struct tx *l, struct ast_expr *e, enum ast_rel *op)
{
	struct ast_expr *r = ast_strip(e);
	struct tx *t;
	u128 v;

	if (r->kind == AX_EXISTS && l->kind == TX_FIB && l->fib.result != 3) {
		l->fib.flags |= 32;
		l->type = type_of(TYPE_BOOLEAN);
		l->len = 8;
		ctx_set(s, l->type, l->order, 8, 0);
	}
	if (r->kind != AX_RANGE || !is_meta_clock(l))
		return ev(s, r);
	t = ev_range(s, r, true);
	if (t && t->val > t->hi) { /* over midnight: all but what lies between */
		v = t->val;
		t->val = t->hi;
		t->hi = v;
		*op = *op == REL_NEQ ? REL_EQ : REL_NEQ;
	}
	return t;
}

static bool check_secmark(struct sema *s, const struct tx *l, const struct tx *r)
{
	if ((l->kind == TX_META && l->load.key == KEY_META_SECMARK) ||
	    (l->kind == TX_CT && l->load.key == KEY_CT_SECMARK)) {
		diag_error2(s->diag, r->loc, l->loc, "secmark cannot be compared with a constant");
		return false;
	}
	return true;
}

/* An anonymous set becomes one: the operation on the left first moves into its elements. */
static bool rel_set(struct sema *s, struct tx *rel)
{
	struct tx *l = rel->rel.l, *r = rel->rel.r;

	if (l->kind == TX_CT && (l->load.key == KEY_CT_SRC || l->load.key == KEY_CT_DST) &&
	    r->kind == TX_ELEMS) {
		diag_error(s->diag, l->loc, "specify either ip or ip6 for address matching");
		return false;
	}
	if (r->kind == TX_ELEMS) {
		struct telems *el = r->elems;
		struct sset *set;

		if (!el->v.n) {
			diag_error(s->diag, r->loc, "set is empty");
			return false;
		}
		if (!transfer(s, &rel->rel.l, r))
			return false;
		set = anon_set(s, r->loc, "__set%u", rel->rel.l, el->flags);
		if (!set_fill(s, set, el))
			return false;
		r->kind = TX_SETREF;
		r->set = set;
	}
	if (r->set->set.flags & SET_INTERVAL)
		return to_order(s, &rel->rel.l, ORDER_BIG);
	return true;
}

static bool rel_equal(struct sema *s, struct tx *rel)
{
	struct tx *l = rel->rel.l, *r = rel->rel.r;

	if (rel->rel.op == REL_NOT) {
		if (l->kind == TX_BINOP && l->bin.op == BIN_AND) {
			diag_error2(s->diag, l->loc, r->loc,
				    "cannot combine negation with binary expression");
			return false;
		}
		if (r->kind != TX_VALUE || r->type->base != BASE_BITMASK) {
			diag_error2(s->diag, l->loc, r->loc,
				    "negation can only be used with singleton bitmask values");
			return false;
		}
	}
	switch (r->kind) {
	case TX_RANGE:
		if (r->type->base == BASE_STRING)
			return true;
		return to_order(s, &rel->rel.l, ORDER_BIG) && to_order(s, &rel->rel.r, ORDER_BIG) &&
		       transfer(s, &rel->rel.l, rel->rel.r);
	case TX_PREFIX:
		return to_order(s, &rel->rel.r, l->order);
	case TX_VALUE:
		return to_order(s, &rel->rel.r, l->order) && transfer(s, &rel->rel.l, rel->rel.r);
	case TX_ELEMS:
	case TX_SETREF:
		return rel_set(s, rel);
	case TX_CONCAT:
		diag_error2(s->diag, l->loc, r->loc,
			    "use concatenations with sets and maps, not singleton values");
		return false;
	default:
		diag_error2(s->diag, r->loc, l->loc,
			    "right hand side of a comparison must be constant");
		return false;
	}
}

static struct tx *rel_flags(struct sema *s, struct ast_expr *e)
{
	struct ast_expr mask = *e, rel = *e, *pm = arena_new_of(s->tmp, struct ast_expr),
			*pr = arena_new_of(s->tmp, struct ast_expr);

	memset(&mask, 0, sizeof(mask));
	mask.loc = e->loc;
	mask.kind = AX_BINOP;
	mask.bin_op = BIN_AND;
	mask.bin.left = e->rel.left;
	mask.bin.right = e->rel.mask;
	*pm = mask;
	rel.rel.left = pm;
	rel.rel.mask = NULL;
	rel.rel_op = e->rel_op == REL_FLAGS ? REL_EQ : REL_NEQ;
	*pr = rel;
	return ev_rel(s, pr);
}

/* `ip saddr . 80 @set`: constants on the left are read as the set's fields. */
static bool set_gives_types(struct sema *s, struct ast_expr *e)
{
	struct ast_expr *right = ast_strip(e->rel.right);
	struct sset *set;

	if (right->kind != AX_SETREF || ast_strip(e->rel.left)->kind != AX_CONCAT)
		return true;
	set = find_set(s, right->loc, right->text);
	if (set)
		s->ctx.key = set->key_tx;
	return set;
}

/*
 * `tcp flags { syn }`, a set of one, is that value and no other flag; but states of connections are
 * always tested by bits.
 */
static bool right_is_one(const struct ast_expr *e, const struct tx *r)
{
	return ast_strip(e->rel.right)->kind == AX_SET && r->kind == TX_VALUE &&
	       r->type->base == BASE_BITMASK && r->type->num != TYPE_CT_STATE;
}

struct tx *ev_rel(struct sema *s, struct ast_expr *e)
{
	struct tx *rel = tx_new(s, TX_REL, e->loc), *l, *r;

	if (e->rel_op == REL_FLAGS || e->rel_op == REL_FLAGS_NEQ)
		return rel_flags(s, e);
	rel->rel.op = e->rel_op;
	ctx_set(s, NULL, ORDER_NONE, 0, 0);
	if (!set_gives_types(s, e))
		return NULL;
	l = ev(s, e->rel.left);
	if (!l)
		return NULL;
	if (l->constant) {
		diag_error2(s->diag, l->loc, e->loc, "comparison has a constant value");
		return NULL;
	}
	r = ev_right(s, l, e->rel.right, &rel->rel.op);
	if (!r)
		return NULL;
	rel->rel.l = l;
	rel->rel.r = r;
	if (rel->rel.op == REL_IMPLICIT && right_is_one(e, r))
		rel->rel.op = REL_EQ;
	if (rel->rel.op == REL_NOT && ast_strip(e->rel.right)->kind == AX_SET) {
		diag_error2(s->diag, l->loc, r->loc,
			    "negation can only be used with singleton bitmask values: write !=");
		return NULL;
	}
	if (!r->constant) {
		diag_error2(s->diag, r->loc, e->loc,
			    "right hand side of a comparison must be constant");
		return NULL;
	}
	/* a number that is made up is of the set's type */
	if (!type_equal(l->type, r->type) && !(is_generator(l) && r->kind == TX_SETREF &&
					       r->type->base == BASE_INTEGER && l->len == r->len)) {
		diag_error2(s->diag, r->loc, l->loc,
			    "datatype mismatch, expected %s, expression has type %s", l->type->desc,
			    r->type->desc);
		return NULL;
	}
	if (!check_secmark(s, l, r))
		return NULL;
	if (l->kind == TX_PAYLOAD && l->key && l->pay.base == PBASE_LL && r->kind == TX_VALUE)
		pctx_now(s)->ll_typed = true;
	switch (rel->rel.op) {
	case REL_EQ:
	case REL_IMPLICIT:
		pctx_learn(s, l, r);
		for (uint32_t i = 0; r->kind == TX_ELEMS && i < r->elems->v.n; i++)
			pctx_learn(s, l, r->elems->v.v[i].key);
		return rel_equal(s, rel) ? rel : NULL;
	case REL_NEQ:
	case REL_NOT:
		return rel_equal(s, rel) ? rel : NULL;
	default:
		break;
	}
	if (r->kind != TX_VALUE || l->kind == TX_CONCAT || l->type->base == BASE_STRING) {
		diag_error2(s->diag, r->loc, l->loc, "an ordered comparison needs a single number");
		return NULL;
	}
	if (!to_order(s, &rel->rel.l, ORDER_BIG) || !to_order(s, &rel->rel.r, ORDER_BIG))
		return NULL;
	return transfer(s, &rel->rel.l, rel->rel.r) ? rel : NULL;
}

static struct tx *ev_exists(struct sema *s, struct ast_expr *e)
{
	const struct dtype *t = s->in_elems && s->ctx.type && type_is_integer(s->ctx.type)
					? s->ctx.type
					: type_of(TYPE_BOOLEAN);

	return tx_value(s, e->loc, t, s->ctx.order, s->ctx.len ? s->ctx.len : 8, e->boolean.yes);
}

static struct tx *ev_setref(struct sema *s, struct ast_expr *e)
{
	struct sset *set = find_set(s, e->loc, e->text);
	struct tx *t;

	if (!set)
		return NULL;
	t = tx_new(s, TX_SETREF, e->loc);
	t->set = set;
	t->type = set->key;
	t->order = set->key_order;
	t->len = set->key_bits;
	t->constant = true;
	return t;
}

/* A chain's name, as a verdict needs it. */
static struct tx *ev_verdict(struct sema *s, struct ast_expr *e)
{
	struct tx *t = tx_new(s, TX_VERDICT, e->loc);

	t->type = type_of(TYPE_VERDICT);
	t->constant = true;
	t->verdict.code = e->verdict.code;
	if (e->verdict.block)
		t->verdict.chain = bound_chain(s, e->verdict.block);
	else if (e->verdict.target)
		t->verdict.chain = find_chain(s, e->verdict.target);
	if ((e->verdict.block || e->verdict.target) && !t->verdict.chain)
		return NULL;
	return t;
}

static struct tx *ev_by_kind(struct sema *s, struct ast_expr *e)
{
	switch (e->kind) {
	case AX_SYMBOL:
	case AX_NUMBER:
	case AX_STRING:
	case AX_GLOB:
		return ev_symbol(s, e);
	case AX_PREFIX:
		return ev_prefix(s, e);
	case AX_RANGE:
		return ev_range(s, e, false);
	case AX_WILDCARD: {
		struct tx *t = tx_new(s, TX_CATCHALL, e->loc);

		t->constant = true;
		t->type = s->ctx.type ? s->ctx.type : t->type;
		return t;
	}
	case AX_LIST:
		return ev_list(s, e);
	case AX_SET:
		return ev_elems(s, e, false);
	case AX_CONCAT:
		return ev_concat(s, e);
	case AX_MAP:
	case AX_VMAP:
		return ev_map(s, e, false, 0);
	case AX_SETREF:
		return ev_setref(s, e);
	case AX_REL:
		return ev_rel(s, e);
	case AX_BINOP:
		return ev_binop(s, e);
	case AX_PAYLOAD:
		return ev_payload(s, e);
	case AX_RAW:
		return ev_raw(s, e);
	case AX_INNER:
		return ev_inner(s, e);
	case AX_EXTHDR:
	case AX_TCPOPT:
	case AX_IPOPT:
	case AX_SCTP:
	case AX_DCCP:
		return ev_ext(s, e);
	case AX_META:
		return ev_meta(s, e);
	case AX_CT:
		return ev_ct(s, e);
	case AX_RT:
		return ev_rt(s, e);
	case AX_SOCKET:
		return ev_socket(s, e);
	case AX_OSF:
		return ev_osf(s, e);
	case AX_FIB:
		return ev_fib(s, e);
	case AX_XFRM:
		return ev_xfrm(s, e);
	case AX_TUNNEL: {
		struct tx *t = tx_key(s, e->loc, TX_TUNNEL, e->key.key);

		return t ? primary(s, t) : NULL;
	}
	case AX_NUMGEN:
		return ev_numgen(s, e);
	case AX_HASH:
		return ev_hash(s, e);
	case AX_VERDICT:
		return ev_verdict(s, e);
	case AX_EXISTS:
		return ev_exists(s, e);
	case AX_VAR:
	case AX_RUN:
		break;
	}
	diag_error(s->diag, e->loc, "%s cannot stand here", ast_expr_kind_name(e->kind));
	return NULL;
}

struct tx *ev(struct sema *s, struct ast_expr *e)
{
	struct tx *t;

	e = ast_strip(e);
	if (++s->depth > EVAL_DEPTH) {
		diag_error(s->diag, e->loc, "expression is nested too deeply");
		s->depth--;
		return NULL;
	}
	t = ev_by_kind(s, e);
	s->depth--;
	return t;
}

/* The expression of a typeof, for its type alone: nothing is implied. */
struct tx *ev_typeof(struct sema *s, struct ast_expr *e)
{
	struct pctx save = s->pctx;
	struct tx *t;

	pctx_init(&s->pctx, s->tab->table->family);
	ctx_set(s, NULL, ORDER_NONE, 0, 0);
	s->is_typeof = true;
	t = ev(s, e);
	s->is_typeof = false;
	s->pctx = save;
	return t;
}
