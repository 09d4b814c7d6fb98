// SPDX-License-Identifier: GPL-2.0-or-later
/* nlwexpr: expressions as netlink attributes, by the table that they are read with (nfta.def). */
#include <endian.h>
#include <linux/netfilter/nf_tables.h>

#include "nl.h"
#include "nlwrite.h"

#define XT_INFO 3 /* NFTA_MATCH_INFO and NFTA_TARGET_INFO */
/* NFTA_INNER_NUM and NFTA_INNER_EXPR, which headers older than Linux 6.2 do not have */
#define INNER_NUM  1
#define INNER_EXPR 5

static uint64_t load(const void *field, size_t size)
{
	uint64_t v = 0;

	switch (size) {
	case 1:
		return *(const uint8_t *)field;
	case 2:
		return *(const uint16_t *)field;
	case 4:
		return *(const uint32_t *)field;
	case 8:
		memcpy(&v, field, 8);
		return v;
	}
	BUG("field of %zu bytes", size);
}

static void put_number(struct nlw *w, enum nl_wire wire, uint16_t attr, uint64_t v)
{
	uint8_t v8 = (uint8_t)v;
	uint16_t v16 = htobe16((uint16_t)v);

	if (wire == W_U8)
		nlw_put(w, attr, &v8, 1);
	else if (wire == W_U16)
		nlw_put(w, attr, &v16, 2);
	else if (wire == W_U64)
		nlw_u64(w, attr, v);
	else
		nlw_u32(w, attr, (uint32_t)v);
}

/*
 * Attributes that say something when they are there, even 0, and stand for nothing of their own in
 * a dump.
 */
static bool zero_is_absent(enum expr_kind k, uint8_t attr)
{
	switch (k) {
	case EX_DYNSET:
		return attr == NFTA_DYNSET_TIMEOUT;
	case EX_PAYLOAD:
		return attr >= NFTA_PAYLOAD_CSUM_TYPE;
	case EX_SOCKET:
		return attr == NFTA_SOCKET_LEVEL;
	case EX_EXTHDR:
		return attr == NFTA_EXTHDR_FLAGS;
	case EX_FWD:
		return attr == NFTA_FWD_NFPROTO;
	case EX_LAST:
		return true;
	case EX_OBJREF:
		return attr == NFTA_OBJREF_IMM_TYPE;
	case EX_BITWISE: /* kernels before 5.6 do not know it */
		return attr == NFTA_BITWISE_OP;
	case EX_QUOTA:
		return attr == NFTA_QUOTA_CONSUMED;
	default:
		return false;
	}
}

/*
 * Whether the attribute has a flag of its own that says it is not there, or has no place in such an
 * expression.
 */
static bool absent(const struct expr *e, uint8_t attr)
{
	if (e->kind == EX_EXTHDR && e->exthdr.sreg == REG_NONE && e->exthdr.dreg == REG_NONE)
		return attr == NFTA_EXTHDR_OFFSET || attr == NFTA_EXTHDR_LEN; /* reset: all of it */
	for (size_t i = 0; i < nl_n_rows; i++)
		if (nl_rows[i].kind == e->kind && nl_rows[i].attr == attr &&
		    nl_rows[i].wire == W_HAS)
			return !*(const bool *)((const char *)e + nl_rows[i].off);
	return false;
}

static void put_row(struct nlw *w, const struct nl_row *r, const struct expr *e)
{
	const void *field = (const char *)e + r->off;
	uint64_t v;

	switch ((enum nl_wire)r->wire) {
	case W_SELF:
	case W_HAS:
		return;
	case W_DATA:
		if (((const struct data *)field)->len)
			nlw_data(w, r->attr, field);
		return;
	case W_STR:
		if (*(const char *const *)field)
			nlw_str(w, r->attr, *(const char *const *)field);
		return;
	case W_FLAG:
		if (*(const bool *)field)
			nlw_u32(w, r->attr, 1);
		return;
	default:
		break;
	}
	v = load(field, r->size);
	if ((r->wire == W_REG || r->wire == W_REG0) && v == REG_NONE)
		return;
	if (absent(e, r->attr) || (!v && zero_is_absent(e->kind, r->attr)))
		return;
	if (e->kind == EX_OBJREF && r->attr == NFTA_OBJREF_IMM_TYPE && e->objref.set)
		return;
	put_number(w, r->wire, r->attr, v);
}

void nlw_data(struct nlw *w, uint16_t type, const struct data *d)
{
	size_t at = nlw_nest(w, type);

	nlw_put(w, NFTA_DATA_VALUE, d->b, d->len);
	nlw_nest_end(w, at);
}

void nlw_verdict(struct nlw *w, uint16_t type, const struct verdict *v)
{
	size_t at = nlw_nest(w, type), in = nlw_nest(w, NFTA_DATA_VERDICT);

	nlw_u32(w, NFTA_VERDICT_CODE, (uint32_t)v->code);
	if (v->chain && v->chain->is_bound)
		nlw_u32(w, NFTA_VERDICT_CHAIN_ID, nlw_id(w, v->chain));
	else if (v->chain)
		nlw_str(w, NFTA_VERDICT_CHAIN, v->chain->name);
	nlw_nest_end(w, in);
	nlw_nest_end(w, at);
}

static void put_set(struct nlw *w, uint16_t name, uint16_t id, const struct set *s)
{
	if (s->flags & SET_ANONYMOUS) {
		nlw_str(w, name, s->flags & (SET_MAP | SET_OBJECT) ? "__map%d" : "__set%d");
		nlw_u32(w, id, nlw_id(w, s));
	} else {
		nlw_str(w, name, s->name);
	}
}

static bool put_dynset(struct nlw *w, const struct expr *e)
{
	uint32_t flags = (e->dynset.inv ? NFT_DYNSET_F_INV : 0) |
			 (e->dynset.n_exprs ? NFT_DYNSET_F_EXPR : 0);
	size_t at;

	put_set(w, NFTA_DYNSET_SET_NAME, NFTA_DYNSET_SET_ID, e->dynset.set);
	if (flags)
		nlw_u32(w, NFTA_DYNSET_FLAGS, flags);
	if (e->dynset.n_exprs == 1)
		return nlw_expr(w, NFTA_DYNSET_EXPR, e->dynset.exprs[0]);
	if (!e->dynset.n_exprs)
		return true;
	at = nlw_nest(w, NFTA_DYNSET_EXPRESSIONS);
	for (uint32_t i = 0; i < e->dynset.n_exprs; i++)
		if (!nlw_expr(w, NFTA_LIST_ELEM, e->dynset.exprs[i]))
			return false;
	nlw_nest_end(w, at);
	return true;
}

static void put_quota_flags(struct nlw *w, const struct expr *e)
{
	uint32_t flags = (e->quota.inv ? NFT_QUOTA_F_INV : 0) |
			 (e->quota.depleted ? NFT_QUOTA_F_DEPLETED : 0);

	nlw_u32(w, NFTA_QUOTA_FLAGS, flags);
}

/* What no row of the table writes. */
static bool put_self(struct nlw *w, const struct expr *e)
{
	switch (e->kind) {
	case EX_IMMEDIATE:
		if (e->imm.dreg == REG_VERDICT)
			nlw_verdict(w, NFTA_IMMEDIATE_DATA, &e->imm.verdict);
		else
			nlw_data(w, NFTA_IMMEDIATE_DATA, &e->imm.data);
		return true;
	case EX_LOOKUP:
		put_set(w, NFTA_LOOKUP_SET, NFTA_LOOKUP_SET_ID, e->lookup.set);
		return true;
	case EX_DYNSET:
		return put_dynset(w, e);
	case EX_OBJREF:
		if (e->objref.set)
			put_set(w, NFTA_OBJREF_SET_NAME, NFTA_OBJREF_SET_ID, e->objref.set);
		else
			nlw_str(w, NFTA_OBJREF_IMM_NAME, e->objref.obj->name);
		return true;
	case EX_QUOTA:
		put_quota_flags(w, e);
		return true;
	case EX_INNER:
		nlw_u32(w, INNER_NUM, 0);
		return nlw_expr(w, INNER_EXPR, e->inner.expr);
	case EX_MATCH:
	case EX_TARGET:
		nlw_put(w, XT_INFO, e->xt.info, e->xt.info_len);
		return true;
	default:
		return true;
	}
}

bool nlw_expr_data(struct nlw *w, const struct expr *e)
{
	for (size_t i = 0; i < nl_n_rows; i++)
		if (nl_rows[i].kind == e->kind)
			put_row(w, &nl_rows[i], e);
	return put_self(w, e);
}

bool nlw_expr(struct nlw *w, uint16_t type, const struct expr *e)
{
	size_t at = nlw_nest(w, type), in;

	if (e->kind == EX_UNKNOWN) {
		nlw_str(w, NFTA_EXPR_NAME, e->unknown.name);
		nlw_put(w, NFTA_EXPR_DATA | 0x8000, e->unknown.attrs, e->unknown.attrs_len);
		nlw_nest_end(w, at);
		return true;
	}
	nlw_str(w, NFTA_EXPR_NAME, expr_kind_name(e->kind));
	in = nlw_nest(w, NFTA_EXPR_DATA);
	if (!nlw_expr_data(w, e))
		return false;
	nlw_nest_end(w, in);
	nlw_nest_end(w, at);
	return true;
}
