// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xttarget: targets of iptables that the kernel takes in a table of one name alone
 * (xt_target.table), said in nf_tables' own expressions, which are at home in any. These call the
 * same functions of the kernel with the same arguments.
 */
#include <linux/netfilter/nf_nat.h>

#include "xtint.h"

#define NAT_KNOWN                                                                                  \
	(NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED | NF_NAT_RANGE_PROTO_RANDOM |         \
	 NF_NAT_RANGE_PERSISTENT | NF_NAT_RANGE_PROTO_RANDOM_FULLY)
#define NO_CODE 0xff

/* Expressions end their rule with these, so that every register is free. */
static uint8_t put_value(struct xt *x, uint8_t reg, const uint8_t *v, uint32_t n)
{
	struct expr *e = x_expr(x, EX_IMMEDIATE);

	e->imm.dreg = reg;
	e->imm.data = data_bytes(v, n);
	return reg;
}

/* -- reject ------------------------------------------------------------------------------------ */

enum { REJECT_ICMP, REJECT_RST }; /* NFT_REJECT_* */

/* Codes of ipt_REJECT's and ip6t_REJECT's answers; NO_CODE: an answer that is none of ICMP. */
static const uint8_t codes4[] = { 0, 1, 2, 3, NO_CODE, 9, 10, NO_CODE, 13 };
static const uint8_t codes6[] = { 0, 1, 2, 3, 4, NO_CODE, NO_CODE, 5, 6 };
#define RESET4 7u
#define RESET6 6u

static bool to_reject(struct xt *x)
{
	bool v4 = x->family == FAM_IP;
	const uint8_t *codes = v4 ? codes4 : codes6;
	uint32_t n = v4 ? sizeof(codes4) : sizeof(codes6), with = x_u32(x, 0);
	bool reset = with == (v4 ? RESET4 : RESET6);
	struct expr *e;

	if (!reset && (with >= n || codes[with] == NO_CODE))
		return false;
	e = x_expr(x, EX_REJECT);
	e->reject.type = reset ? REJECT_RST : REJECT_ICMP;
	e->reject.code = reset ? 0 : codes[with];
	return true;
}

/* -- nat --------------------------------------------------------------------------------------- */

/* Where a range of the kernel has its parts, in bytes; addresses and ports in network order. */
struct layout {
	uint8_t flags, addr_min, addr_max, port_min, port_max;
};
static const struct layout old_range = { 4, 8, 12, 16,
					 18 }; /* nf_nat_ipv4_multi_range_compat, of one */
static const struct layout new_range = { 0, 4, 20, 36, 38 }; /* nf_nat_range, nf_nat_range2 */

/*
 * The nearest thing to a range in xt's data; NULL: it is not one that nf_tables' expressions have.
 */
static const struct layout *layout_of(const struct xt *x)
{
	const struct layout *l = x->family == FAM_IP && !x->rev ? &old_range : &new_range;

	if (l == &old_range && x_u32(x, 0) != 1) /* ranges */
		return NULL;
	return x_u32(x, l->flags) & ~(uint32_t)NAT_KNOWN ? NULL : l;
}

static void put_pair(struct xt *x, uint8_t *reg, uint8_t *min, uint8_t *max, uint32_t at_min,
		     uint32_t at_max, uint32_t n)
{
	*min = put_value(x, (*reg)++, x->info + at_min, n);
	if (memcmp(x->info + at_min, x->info + at_max, n) != 0)
		*max = put_value(x, (*reg)++, x->info + at_max, n);
}

static bool put_nat(struct xt *x, enum expr_kind kind, uint32_t type)
{
	const struct layout *l = layout_of(x);
	uint8_t reg = 1, addr_min = REG_NONE, addr_max = REG_NONE, min = REG_NONE, max = REG_NONE;
	uint32_t flags;
	struct expr *e;

	if (!l)
		return false;
	flags = x_u32(x, l->flags);
	if (flags & NF_NAT_RANGE_MAP_IPS) {
		if (kind != EX_NAT)
			return false;
		put_pair(x, &reg, &addr_min, &addr_max, l->addr_min, l->addr_max,
			 x->family == FAM_IP ? 4 : 16);
	}
	if (flags & NF_NAT_RANGE_PROTO_SPECIFIED)
		put_pair(x, &reg, &min, &max, l->port_min, l->port_max, 2);
	if (kind == EX_NAT && reg == 1)
		return false;
	e = x_expr(x, kind);
	e->nat.type = type;
	e->nat.family = x->family;
	e->nat.reg_addr_min = addr_min;
	e->nat.reg_addr_max = addr_max;
	e->nat.reg_proto_min = min;
	e->nat.reg_proto_max = max;
	e->nat.flags = flags & ~(uint32_t)NF_NAT_RANGE_MAP_IPS; /* the registers say that */
	return true;
}

static bool to_masq(struct xt *x)
{
	return put_nat(x, EX_MASQ, 0);
}

static bool to_redir(struct xt *x)
{
	return put_nat(x, EX_REDIR, 0);
}

static bool to_snat(struct xt *x)
{
	return put_nat(x, EX_NAT, 0);
}

static bool to_dnat(struct xt *x)
{
	return put_nat(x, EX_NAT, 1);
}

/* -- raw --------------------------------------------------------------------------------------- */

#define CT_NOTRACK	 1u /* XT_CT_NOTRACK, XT_CT_NOTRACK_ALIAS */
#define CT_NOTRACK_ALIAS 2u

/* Of what CT gives packets, nf_tables has nothing that is the same but "not tracked". */
static bool to_notrack(struct xt *x)
{
	if (!(x_u16(x, 0) & CT_NOTRACK) || x_u16(x, 0) & ~(CT_NOTRACK | CT_NOTRACK_ALIAS))
		return false;
	x_expr(x, EX_NOTRACK);
	return true;
}

static bool always_notrack(struct xt *x)
{
	x_expr(x, EX_NOTRACK);
	return true;
}

/* -- which ------------------------------------------------------------------------------------- */

static const struct {
	const char *table;
	struct xt_row row;
} targets[] = {
#define T(table, name, rev, families, size, fn) { table, { name, rev, families, 0, size, fn } },
#include "xttarget.def"
#undef T
};

const char *xt_target_table(const struct expr *e)
{
	for (size_t i = 0; e->kind == EX_TARGET && i < ARRAY_SIZE(targets); i++)
		if (!strcmp(e->xt.name, targets[i].row.name))
			return targets[i].table;
	return NULL;
}

static bool translate(struct xt *x, const struct expr *e)
{
	x_begin(x, e);
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		if (targets[i].row.fn && x_row_fits(&targets[i].row, e, x->family))
			return targets[i].row.fn(x);
	return false;
}

/* What the kernel has of the rule, where that is not what the programs are made of. */
static bool free_rule(struct xt *x, struct rule *r)
{
	bool apart = r->xt.n;
	struct expr **v = apart ? r->xt.v : r->exprs.v;
	uint32_t n = apart ? r->xt.n : r->exprs.n;

	memset(&x->out, 0, sizeof(x->out));
	for (uint32_t i = 0; i < n; i++) {
		if (!xt_target_table(v[i]))
			*vec_push(x->arena, &x->out) = v[i];
		else if (!translate(x, v[i]))
			return false;
	}
	if (apart) {
		r->xt.v = x->out.v;
		r->xt.n = r->xt.cap = x->out.n;
	} else {
		r->exprs.v = x->out.v;
		r->exprs.n = r->exprs.cap = x->out.n;
	}
	return true;
}

const struct rule *xt_free_targets(struct ruleset *rs)
{
	vec_foreach(&rs->tables, t) {
		struct xt x = { .arena = rs->arena, .family = (*t)->family, .table = *t };

		if (x.family != FAM_IP && x.family != FAM_IP6)
			continue;
		vec_foreach(&(*t)->chains, c)
			vec_foreach(&(*c)->rules, r)
				if (!free_rule(&x, *r))
					return *r;
	}
	return NULL;
}
