// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements that write: metadata, conntrack, header fields and options. */
#include "sema.h"

static bool meta_settable(struct sema *s, const struct tx *t)
{
	switch (t->load.key) {
	case KEY_META_MARK:
	case KEY_META_PRIORITY:
	case KEY_META_NFTRACE:
	case KEY_META_PKTTYPE:
	case KEY_META_SECMARK:
		return true;
	case KEY_META_BROUTE:
	case KEY_META_BRI_IIFHWADDR:
		if (s->pctx.family == FAM_BRIDGE &&
		    (!s->chain->is_base || s->chain->hook == HOOK_PREROUTING))
			return true;
		diag_error(s->diag, t->loc,
			   "this meta key can only be set in bridge's hook prerouting");
		return false;
	default:
		diag_error(s->diag, t->loc, "this meta key cannot be set");
		return false;
	}
}

static bool ct_settable(struct sema *s, const struct tx *t)
{
	switch (t->load.key) {
	case KEY_CT_MARK:
	case KEY_CT_ZONE:
	case KEY_CT_LABEL:
	case KEY_CT_EVENT:
	case KEY_CT_SECMARK:
		return true;
	default:
		diag_error(s->diag, t->loc, "this ct key cannot be set");
		return false;
	}
}

struct ts *st_key_set(struct sema *s, struct ast_stmt *st)
{
	struct ast_expr *target = ast_strip(st->set.target);
	bool meta = target->kind == AX_META;
	struct tx *t = tx_key(s, target->loc, meta ? TX_META : TX_CT,
			      meta ? target->key.key : target->ct.key),
		  *v;
	struct ts *out;

	if (!t || !(meta ? meta_settable(s, t) : ct_settable(s, t)))
		return NULL;
	if (!meta)
		t->load.dir = target->ct.dir;
	v = ev_arg(s, st->set.value, t->type, t->len, t->order);
	if (!v)
		return NULL;
	if (v->kind == TX_RANGE || v->kind == TX_VERDICT) {
		diag_error(s->diag, v->loc, "a single value must stand here");
		return NULL;
	}
	if (t->load.key == (meta ? (uint32_t)KEY_META_SECMARK : (uint32_t)KEY_CT_SECMARK) &&
	    v->constant) {
		diag_error(s->diag, v->loc, "%s secmark must not be set to constant value",
			   meta ? "meta" : "ct");
		return NULL;
	}
	/* only a mark takes numbers of other byte orders */
	if (!v->constant && t->type->num == TYPE_MARK && !to_order(s, &v, t->order))
		return NULL;
	out = ts_emit(s, TS_SET, st->loc);
	out->expr = t;
	out->a = v;
	return out;
}

/*
 * Is t the field p with constants applied to its bits: field & m ^ x? Then nothing needs to be
 * loaded twice. Chains are bounded by the depth of expressions.
 */
static bool own_bits(const struct tx *t, const struct tx *p, u128 *m, u128 *x)
{
	const struct tx *l = t->kind == TX_BINOP ? t->bin.l : NULL;

	if (t->kind == TX_PAYLOAD && t->pay.field == p->pay.field && t->pay.base == p->pay.base &&
	    t->pay.off == p->pay.off && t->len == p->len) {
		*m = ones(p->len);
		*x = 0;
		return true;
	}
	if (!l || t->bin.r->kind != TX_VALUE)
		return false;
	if (t->bin.op == BIN_RSHIFT)
		return l->kind == TX_BINOP && l->bin.op == BIN_AND &&
		       l->bin.l->kind == TX_PAYLOAD && own_bits(l->bin.l, p, m, x);
	if (t->bin.op == BIN_LSHIFT || !own_bits(l, p, m, x))
		return false;
	if (t->bin.op == BIN_AND) {
		*m &= t->bin.r->val;
		*x &= t->bin.r->val;
	} else if (t->bin.op == BIN_OR) {
		*m &= ~t->bin.r->val;
		*x |= t->bin.r->val;
	} else {
		*x ^= t->bin.r->val;
	}
	return true;
}

/*
 * Numbers that come from elsewhere have no place in the bytes that the field shares: nft refuses
 * them.
 */
static bool with_constant(const struct tx *t)
{
	return t->kind == TX_BINOP && t->bin.r->kind == TX_VALUE && t->bin.op != BIN_LSHIFT &&
	       t->bin.op != BIN_RSHIFT;
}

/* Bytes around the field are loaded, the field is replaced in them, and all are written. */
static bool widen(struct sema *s, struct tx *p, struct tx **val, bool csum)
{
	uint32_t extra = 0, len = p->len, shift = bit_shift(p->pay.off, p->len, &extra);
	uint32_t size = DIV_ROUND_UP(len + extra, 8u), off = p->pay.off / 8, bits;
	struct tx *load, *and, *xor;
	u128 m = 0, x;

	if (csum && (size & 1)) {
		size++;
		if (off & 1)
			off--;
		else
			shift += 8;
	}
	bits = size * 8;
	if ((*val)->kind == TX_BINOP && own_bits(*val, p, &m, &x)) {
		*val = tx_value(s, (*val)->loc, type_of(TYPE_INTEGER), p->order, bits,
				(x & ones(len)) << shift);
		m = (m & ones(len)) << shift;
	} else if ((*val)->kind == TX_VALUE) {
		(*val)->val <<= shift;
		(*val)->len = bits;
	} else if (!with_constant(*val)) {
		diag_error(
			s->diag, (*val)->loc,
			"payload statement for this expression is not supported: this field shares "
			"bytes with others, and takes a constant or a field "
			"with constants (&, |, ^)");
		return false;
	} else if (shift) {
		struct tx *sh;

		sh = tx_bin(s, p->loc, BIN_LSHIFT, *val,
			    tx_value(s, p->loc, type_of(TYPE_INTEGER), ORDER_HOST, 32, shift));
		sh->len = bits;
		*val = sh;
	}
	load = arena_dup(s->tmp, p, sizeof(*p));
	load->pay.off = off * 8;
	load->len = bits;
	load->type = type_of(TYPE_INTEGER);
	and = tx_bin(s, p->loc, BIN_AND, load,
		     tx_value(s, p->loc, type_of(TYPE_INTEGER), p->order, bits,
			      (ones(bits) & ~(ones(len) << shift)) | m));
	xor = tx_bin(s, p->loc, BIN_XOR, and, *val);
	p->len = bits;
	p->pay.off = off * 8;
	*val = xor;
	return true;
}

struct ts *st_pay_set(struct sema *s, struct ast_stmt *st)
{
	struct ast_expr *target = ast_strip(st->set.target);
	struct tx *p, *v;
	struct ts *out;
	bool csum = false;

	s->is_typeof = true; /* the field itself, not its bits */
	p = ev(s, target);
	s->is_typeof = false;
	if (!p)
		return NULL;
	if (p->kind != TX_PAYLOAD || p->pay.inner) {
		diag_error(s->diag, target->loc, "this field cannot be set");
		return NULL;
	}
	if (!payload_deps(s, p))
		return NULL;
	v = ev_arg(s, st->set.value, p->type, p->len, p->order);
	if (!v)
		return NULL;
	if (v->field_bits && v->type->num == TYPE_INTEGER && v->field_bits != p->len) {
		diag_error(s->diag, v->loc,
			   "datatype mismatch: a field of %u bits does not fill one of %u",
			   v->field_bits, p->len);
		return NULL;
	}
	if (v->kind == TX_RANGE || v->kind == TX_VERDICT) {
		diag_error(s->diag, v->loc, "a single value must stand here");
		return NULL;
	}
	if (!v->constant && !to_order(s, &v, p->order))
		return NULL;
	for (uint32_t i = 0; p->pay.proto && i < p->pay.proto->n_fields; i++)
		csum |= p->pay.proto->fields[i].flags & FIELD_CSUM;
	csum |= p->pay.base == PBASE_INNER;
	if ((p->pay.off % 8 || p->len % 8 || (csum && ((p->len / 8) & 1))) &&
	    !widen(s, p, &v, csum))
		return NULL;
	out = ts_emit(s, TS_SET, st->loc);
	out->expr = p;
	out->a = v;
	return out;
}

struct ts *st_ext_set(struct sema *s, struct ast_stmt *st)
{
	struct tx *t, *v;
	struct ts *out;

	s->is_typeof = true;
	t = ev(s, st->set.target);
	s->is_typeof = false;
	if (!t)
		return NULL;
	if (t->kind != TX_EXTHDR || t->ext.op == XH_IPV6 || t->len % 8 || t->ext.off % 8 ||
	    t->ext.flags) {
		diag_error(s->diag, t->loc, "this field cannot be set");
		return NULL;
	}
	v = ev_arg(s, st->set.value, t->type, t->len, ORDER_BIG);
	if (!v)
		return NULL;
	if (v->kind == TX_RANGE) {
		diag_error(s->diag, v->loc, "a single value must stand here");
		return NULL;
	}
	out = ts_emit(s, TS_SET, st->loc);
	out->expr = t;
	out->a = v;
	return out;
}

struct ts *st_reset_opt(struct sema *s, struct ast_stmt *st)
{
	struct tx *t = ev(s, st->set.target);
	struct ts *out;

	if (!t)
		return NULL;
	if (t->kind != TX_EXTHDR) {
		diag_error(s->diag, t->loc, "this cannot be reset");
		return NULL;
	}
	out = ts_emit(s, TS_RESET, st->loc);
	out->expr = t;
	return out;
}
