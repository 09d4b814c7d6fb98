// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cost: what a packet costs under nftables alone, and split, in nanoseconds, roughly.
 *
 * The numbers are measurements with retpolines (an empty base chain 25, an empty BPF link 39, a rule 8 to 20 and more with a
 * set); only their relations matter. Two packets are followed: one of an established connection, and a new one that the last
 * accepting rule of the base chain takes.
 */
#include <linux/netfilter/nf_tables.h>

#include "split.h"

#define NS_CHAIN    25.0
#define NS_LINK	    39.0
#define NS_RULE	    3.0
#define NS_BPF_RULE 1.2

static double expr_ns(const struct expr *e)
{
	switch (e->kind) {
	case EX_CT:
		return 9;
	case EX_META:
	case EX_PAYLOAD:
		return 4;
	case EX_CMP:
	case EX_BITWISE:
	case EX_IMMEDIATE:
		return 2;
	case EX_RANGE:
	case EX_BYTEORDER:
		return 3;
	case EX_LOOKUP:
		return e->lookup.set->flags & SET_INTERVAL ? 60 : 38;
	case EX_COUNTER:
		return 10;
	case EX_LIMIT:
	case EX_QUOTA:
		return 30;
	default:
		return 15;
	}
}

double sp_rule_ns(const struct rule *r)
{
	double ns = NS_RULE;

	vec_foreach(&r->exprs, it)
		ns += expr_ns(*it);
	return ns;
}

/* The whole match of a rule is that it is of an established connection. */
static bool takes_established(const struct sp_rule *x)
{
	const struct set *vmap;
	uint32_t bits = 0;

	sp_verdict(x->r, &vmap);
	if (x->facts.v.n != 1 || !x->facts.v.v[0].state)
		return false;
	bits = x->facts.v.v[0].bits;
	return bits & 2;
}

static bool is_accept(const struct rule *r)
{
	const struct set *vmap;

	return sp_verdict(r, &vmap).code == V_ACCEPT || vmap;
}

void sp_cost(struct split *s, struct sp_base *b)
{
	double nft = NS_CHAIN, split = NS_LINK + NS_CHAIN, est_nft = -1, est_split = -1, bpf = 0,
	       skel = 0;
	uint32_t i, last = 0;

	for (i = 0; i < b->c->rules.n; i++)
		if (is_accept(b->c->rules.v[i]) && !sp_rule(b, b->c->rules.v[i])->punt)
			last = i + 1;
	if (!last)
		last = b->c->rules.n;
	for (i = 0; i < last; i++) {
		const struct rule *r = b->c->rules.v[i];
		const struct sp_rule *x = sp_rule(b, r);

		nft += sp_rule_ns(r);
		bpf += NS_BPF_RULE;
		if (x->guard || x->punt)
			skel += sp_rule_ns(r);
		if (est_nft < 0 && takes_established(x) && is_accept(r)) {
			est_nft = nft;
			est_split = split + bpf + skel;
		}
	}
	/* A packet that no guard takes walks the whole residual chain. */
	for (i = last; i < b->c->rules.n; i++) {
		const struct sp_rule *x = sp_rule(b, b->c->rules.v[i]);

		if ((x->guard || x->punt) && !(last && sp_rule(b, b->c->rules.v[last - 1])->guard))
			skel += sp_rule_ns(x->r);
	}
	split += bpf + skel;
	if (est_nft < 0) {
		est_nft = nft;
		est_split = split;
	} else if (!sp_rule(b, b->c->rules.v[0])->guard && est_split < NS_LINK + NS_CHAIN + skel) {
		est_split = NS_LINK + NS_CHAIN + skel;
	}
	if (est_split / est_nft > split / nft) {
		nft = est_nft;
		split = est_split;
	}
	b->ns_nft = nft;
	b->ns_split = split;
}
