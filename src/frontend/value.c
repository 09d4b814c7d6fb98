// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Constants: words, prefixes, ranges, concatenations, lists of flags, each read as the type that
 * its place expects.
 */
#include "sema.h"

struct tx *tx_new(struct sema *s, enum tx_kind k, struct loc loc)
{
	struct tx *t = arena_new_of(s->tmp, struct tx);

	t->kind = k;
	t->loc = loc;
	t->type = type_of(TYPE_INVALID);
	return t;
}

struct tx *tx_value(struct sema *s, struct loc loc, const struct dtype *t, enum byte_order o,
		    uint32_t bits, u128 v)
{
	struct tx *x = tx_new(s, TX_VALUE, loc);

	x->type = t;
	x->order = o;
	x->len = bits;
	x->val = v;
	x->constant = true;
	return x;
}

void ctx_set(struct sema *s, const struct dtype *t, enum byte_order o, uint32_t bits,
	     uint64_t maxval)
{
	s->ctx = (struct ectx){ .type = t, .order = o, .len = bits, .maxval = maxval };
}

bool is_singleton(const struct tx *t)
{
	if (t->kind == TX_CONCAT) {
		for (uint32_t i = 0; i < t->concat.n; i++)
			if (!is_singleton(t->concat.v[i]))
				return false;
		return true;
	}
	return t->kind == TX_VALUE || t->kind == TX_VERDICT || t->kind == TX_OBJ;
}

static bool check_integer(struct sema *s, struct loc loc, u128 v, const struct dtype *t)
{
	struct ectx *c = &s->ctx;

	if (c->maxval && v > c->maxval) {
		diag_error(s->diag, loc, "value %s exceeds valid range 0-%llu",
			   u128_text(s->arena, v), (unsigned long long)c->maxval);
		return false;
	}
	if (v > ones(c->len)) {
		diag_error(s->diag, loc, "value %s exceeds valid range 0-%s",
			   u128_text(s->arena, v), u128_text(s->arena, ones(c->len)));
		return false;
	}
	return true;
}

/* A string that ends in `*` is a prefix; `\*` is a star. */
static struct tx *glob(struct sema *s, struct ast_expr *e, const struct dtype *t)
{
	uint32_t bits;
	struct tx *x;
	u128 v;
	const char *why;

	if (!*e->text) {
		diag_error(s->diag, e->loc, "all-wildcard strings are not supported");
		return NULL;
	}
	why = strlen(e->text) > 14 ? "string exceeds maximum length of 15"
				   : type_parse(&s->look, t, e->text, &v, &bits);
	if (why) {
		diag_error(s->diag, e->loc, "%s", why);
		return NULL;
	}
	x = tx_value(s, e->loc, t, ORDER_HOST, s->ctx.len ? s->ctx.len : 128, v);
	x->kind = TX_PREFIX;
	x->plen = bits;
	return x;
}

/* Protocols and `redirect` (of ICMP) are numbers wherever a number may stand. */
static bool keyword_number(const struct ast_expr *e, u128 *v)
{
	static const struct {
		const char *name;
		uint8_t num;
	} words[] = { { "icmp", 1 },	{ "igmp", 2 },	 { "tcp", 6 },	  { "udp", 17 },
		      { "dccp", 33 },	{ "gre", 47 },	 { "esp", 50 },	  { "ah", 51 },
		      { "icmpv6", 58 }, { "comp", 108 }, { "sctp", 132 }, { "udplite", 136 },
		      { "redirect", 5 } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i].name, e->text)) {
			*v = words[i].num;
			return true;
		}
	return false;
}

struct tx *ev_symbol(struct sema *s, struct ast_expr *e)
{
	const struct dtype *t = s->ctx.type;
	const char *why, *text = e->text;
	uint32_t bits;
	u128 v;

	if (!t || t->num == TYPE_INVALID) {
		diag_error(s->diag, e->loc, "no type is known for \"%s\" at this place",
			   text ? text : "*");
		return NULL;
	}
	if (e->kind == AX_GLOB && t->base == BASE_STRING)
		return glob(s, e, t);
	if (t->num == TYPE_CONCAT) {
		diag_error(s->diag, e->loc, "datatype mismatch: expected concatenation of (%s)",
			   t->desc);
		return NULL;
	}
	if (t->base == BASE_STRING && e->kind != AX_NUMBER && strchr(text, '\\')) {
		char *p = arena_strdup(s->arena, text), *q = p;

		for (const char *r = text; *r; r++)
			if (*r != '\\' || r[1] != '*')
				*q++ = *r;
		*q = 0;
		text = p;
	}
	why = type_parse(&s->look, t, text, &v, &bits);
	if (why && e->kind == AX_SYMBOL && type_is_integer(t) && keyword_number(e, &v))
		return tx_value(s, e->loc,
				s->in_elems ? t
					    : type_of(v == 5 ? TYPE_ICMP_TYPE : TYPE_INET_PROTO),
				s->ctx.order, s->ctx.len, v);
	if (why) {
		diag_error(s->diag, e->loc, "%s", why);
		return NULL;
	}
	if (t->num == TYPE_BOOLEAN)
		v = v != 0;
	if (t->base == BASE_STRING) {
		if (s->ctx.len && bits > s->ctx.len) {
			diag_error(s->diag, e->loc, "string exceeds maximum length of %u",
				   s->ctx.len / 8);
			return NULL;
		}
		return tx_value(s, e->loc, t, ORDER_HOST, s->ctx.len ? s->ctx.len : bits, v);
	}
	if (t->num == TYPE_INTEGER && s->ctx.len == 0) {
		s->ctx.len = 32;
	}
	if (!check_integer(s, e->loc, v, t))
		return NULL;
	return tx_value(s, e->loc, t, s->ctx.order, s->ctx.len, v);
}

/* The number in a variable that stands as prefix length. */
static bool prefix_len(struct sema *s, struct ast_expr *e, uint32_t *len)
{
	struct ast_expr *n = e->prefix.len_expr;
	u128 v;

	*len = e->prefix.len;
	if (!n)
		return true;
	n = ast_strip(n);
	if ((n->kind != AX_NUMBER && n->kind != AX_SYMBOL && n->kind != AX_STRING) ||
	    !parse_u128(n->text, &v) || v > 128) {
		diag_error(s->diag, e->loc, "prefix length is not a number from 0 to 128");
		return false;
	}
	*len = (uint32_t)v;
	return true;
}

struct tx *ev_prefix(struct sema *s, struct ast_expr *e)
{
	struct tx *t = ev(s, e->prefix.base);
	uint32_t len;

	if (!t || !prefix_len(s, e, &len))
		return NULL;
	if (t->kind != TX_VALUE) {
		diag_error(s->diag, e->loc,
			   "prefix expression is undefined for non-constant expressions");
		return NULL;
	}
	if (!type_is_integer(t->type) && t->type->base != BASE_STRING) {
		diag_error(s->diag, e->loc, "prefix expression is undefined for %s types",
			   t->type->desc);
		return NULL;
	}
	if (len > t->len) {
		diag_error(s->diag, e->loc, "prefix length %u is invalid for type of %u bits width",
			   len, t->len);
		return NULL;
	}
	t->kind = TX_PREFIX;
	t->loc = e->loc;
	t->plen = len;
	t->val &= ~ones(t->len - len);
	return t;
}

struct tx *prefix_to_range(struct sema *s, struct tx *t)
{
	uint32_t width = t->type->base == BASE_STRING ? 128 : t->len;

	t->kind = TX_RANGE;
	t->hi = t->val | ones(width - t->plen);
	return t;
}

struct tx *ev_range(struct sema *s, struct ast_expr *e, bool may_wrap)
{
	struct ectx save = s->ctx;
	struct tx *a = ev(s, e->range.from), *b;

	s->ctx = save;
	if (!a)
		return NULL;
	b = ev(s, e->range.to);
	if (!b)
		return NULL;
	if (!type_is_integer(a->type) || !type_is_integer(b->type)) {
		diag_error2(s->diag, a->loc, e->loc, "range expression is undefined for %s types",
			    a->type->desc);
		return NULL;
	}
	if (a->kind != TX_VALUE || b->kind != TX_VALUE) {
		diag_error2(s->diag, a->kind != TX_VALUE ? a->loc : b->loc, e->loc,
			    "range is not constant");
		return NULL;
	}
	if (a->val > b->val && !may_wrap) {
		diag_error(s->diag, e->loc, "range %s is empty: first value exceeds last",
			   ast_text(s->arena, s->diag, e->loc));
		return NULL;
	}
	a->kind = a->val == b->val ? TX_VALUE
				   : TX_RANGE; /* a range of one is that value to nft, too */
	a->hi = b->val;
	a->loc = e->loc;
	return a;
}

static bool field_ctx(struct sema *s, const struct ectx *outer, const struct dtype *dt, uint32_t i)
{
	const struct tx *key = outer->key && outer->key->kind == TX_CONCAT ? outer->key : NULL;

	if (key && i < key->concat.n) {
		const struct tx *f = key->concat.v[i];

		ctx_set(s, f->type, f->order, f->len, 0);
	} else if (dt) {
		ctx_set(s, dt->field[i], dt->field[i]->order, dt->field[i]->bits, 0);
	} else {
		ctx_set(s, NULL, ORDER_NONE, 0, 0);
	}
	return true;
}

/* What stands beside loads goes to a register with them: ranges cannot. */
static bool concat_loads(struct sema *s, const struct tx *t)
{
	for (uint32_t i = 0; i < t->concat.n; i++) {
		const struct tx *f = t->concat.v[i];

		if (f->constant && f->kind != TX_VALUE) {
			diag_error2(s->diag, f->loc, t->loc, "cannot use %s in concatenation",
				    f->kind == TX_PREFIX ? "prefix" : "range");
			return false;
		}
	}
	return true;
}

/* Fields by the type that is expected, or on the left by what they are. */
struct tx *ev_concat(struct sema *s, struct ast_expr *e)
{
	struct ectx outer = s->ctx;
	const struct dtype *dt = outer.type, *ft[CONCAT_MAX];
	uint32_t n = e->list->items.n, in_elems = s->in_elems;
	struct tx *t = tx_new(s, TX_CONCAT, e->loc);

	if (dt && dt->num == TYPE_INVALID)
		dt = NULL;
	if (n > CONCAT_MAX) {
		diag_error(s->diag, e->loc, "too many concatenation components: at most %d",
			   CONCAT_MAX);
		return NULL;
	}
	if (dt && dt->num != TYPE_CONCAT) {
		diag_error(s->diag, e->loc, "unexpected concatenation, expecting %s", dt->desc);
		return NULL;
	}
	t->concat.v = arena_array(s->tmp, struct tx *, n);
	t->concat.n = n;
	t->constant = true;
	for (uint32_t i = 0; i < n; i++) {
		struct tx *f;

		if (dt && i >= dt->n) {
			diag_error(s->diag, e->loc,
				   "too many concatenation components, expecting %s", dt->desc);
			return NULL;
		}
		field_ctx(s, &outer, dt, i);
		s->in_elems = 0;
		f = ev(s, e->list->items.v[i]);
		s->in_elems = in_elems;
		if (!f)
			return NULL;
		if (f->kind == TX_CT && (f->load.key == KEY_CT_SRC || f->load.key == KEY_CT_DST)) {
			diag_error(s->diag, f->loc,
				   "specify either ip or ip6 for address matching");
			return NULL;
		}
		if (!f->len || f->type->num == TYPE_STRING || f->kind == TX_ELEMS ||
		    f->kind == TX_SETREF || f->kind == TX_VERDICT) {
			diag_error2(s->diag, f->loc, e->loc,
				    "cannot use variable sized data types (%s) in concatenations",
				    f->type->name);
			return NULL;
		}
		if (dt && !type_equal(f->type, dt->field[i])) {
			diag_error2(s->diag, f->loc, e->loc,
				    "datatype mismatch, expected %s, expression has type %s",
				    dt->field[i]->desc, f->type->desc);
			return NULL;
		}
		if (f->type->num == TYPE_INTEGER || f->type->num == TYPE_BITMASK ||
		    !f->type->bits) {
			struct dtype *d = arena_dup(s->arena, f->type, sizeof(*d));

			d->bits = f->len;
			d->order = f->order;
			f->type = d;
		}
		t->constant &= f->constant;
		t->concat.v[i] = f;
		ft[i] = f->type;
		t->len += ALIGN_UP(f->len, 32u);
	}
	if (dt && n < dt->n) {
		diag_error(s->diag, e->loc,
			   "datatype mismatch, expected concatenation of (%s), expression has %u "
			   "fields",
			   dt->desc, n);
		return NULL;
	}
	if (t->len > DATA_MAX * 8) {
		diag_error(s->diag, e->loc, "concatenation of %u bytes is too long: at most %u",
			   t->len / 8, DATA_MAX);
		return NULL;
	}
	if (!t->constant && !concat_loads(s, t))
		return NULL;
	t->type = dt && dt->num == TYPE_CONCAT ? dt : type_concat(s->arena, ft, n);
	t->order = ORDER_BIG;
	ctx_set(s, t->type, ORDER_NONE, t->len, 0);
	s->ctx.key = outer.key ? outer.key : t;
	return t;
}

/* Flags joined by commas: one value with all of them. */
struct tx *ev_list(struct sema *s, struct ast_expr *e)
{
	struct ectx c = s->ctx;
	struct tx *sum = NULL;

	vec_foreach(&e->list->items, it) {
		struct tx *t;

		s->ctx = c;
		t = ev(s, *it);
		if (!t)
			return NULL;
		if (t->kind != TX_VALUE) {
			diag_error(s->diag, t->loc, "list member must be a constant value");
			return NULL;
		}
		if (t->type->base != BASE_BITMASK) {
			diag_error(s->diag, t->loc,
				   "basetype of type %s is not bitmask: use { } for alternatives",
				   t->type->desc);
			return NULL;
		}
		if (sum)
			sum->val |= t->val;
		else
			sum = t;
	}
	if (sum)
		sum->loc = e->loc;
	return sum;
}
