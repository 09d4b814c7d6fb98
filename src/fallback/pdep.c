// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pdep: matches of protocols that another match makes redundant.
 *
 * nft adds `meta l4proto tcp` before `tcp dport 22` by itself, where nothing in the rule said so
 * before. Two aims, two rules:
 *
 * - Text that must read back to the same expressions: what looks like such an addition is left out
 *   only when the very next match would bring it back; everywhere else it is printed, which reads
 *   back unchanged too.
 * - Listings: as `nft list` does it, which leaves out more: whatever a later match implies, as long
 *   as only matches stand between, whoever wrote it.
 */
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include "print.h"

static enum proto_base value_base(const struct pval *v)
{
	return v->fld ? proto_of(v->fld->proto)->base : PBASE_NONE;
}

static bool both_families(const struct pstate *ps)
{
	return ps->fam == FAM_INET || ps->fam == FAM_BRIDGE || ps->fam == FAM_NETDEV;
}

static void leave_out(struct pstate *ps, struct pdep *d)
{
	ps->st.v[d->at - 1] = NULL;
	d->at = 0;
}

/* -- listings ---------------------------------------------------------------------------------- */

static int ethertype_family(uint32_t type)
{
	return type == 0x0800 ? FAM_IP : type == 0x86dd ? FAM_IP6 : 0;
}

static bool icmp_implied(const struct pstate *ps, const struct pdep *d, const struct field *f)
{
	static const int types[] = {
		[ICMP_DEP_ECHO] = 8,   [ICMP_DEP_MTU] = 3,   [ICMP_DEP_ADDRESS] = 5,
		[ICMP6_DEP_MTU] = 2,   [ICMP6_DEP_PPTR] = 4, [ICMP6_DEP_ECHO] = 128,
		[ICMP6_DEP_MGMQ] = 130
	};

	return f->dep != ICMP_ANY && f->dep < ARRAY_SIZE(types) && d->fld->proto == f->proto &&
	       ps->dep_icmp == types[f->dep];
}

/* May a field of base b, in nft's opinion, stand without the match d? */
static bool may_kill(const struct pstate *ps, const struct pdep *d, enum proto_base b,
		     const struct field *f)
{
	enum proto_base was = d->payload ? proto_of(d->fld->proto)->base : PBASE_NONE;

	if (both_families(ps) && d->payload) {
		if (was == PBASE_NET && b == PBASE_TRANS)
			return false; /* it says which family, too */
		if (was == b && f->flags & FIELD_KEY)
			return false;
		if (was == b && b == PBASE_LL)
			return d->fld->proto != PROTO_VLAN &&
			       (d->fld->proto != PROTO_ETHER || d->val == 0x8100);
	}
	if (b == PBASE_TRANS && was == PBASE_TRANS &&
	    (d->fld->proto == PROTO_ICMP || d->fld->proto == PROTO_ICMP6))
		return icmp_implied(ps, d, f);
	return true;
}

static void list_kill(struct pstate *ps, const struct pval *v)
{
	enum proto_base b = value_base(v);
	struct pdep *d = &ps->dep[b];

	if (v->e->kind == EX_EXTHDR) {
		b = v->e->exthdr.op == XH_TCPOPT			       ? PBASE_TRANS
		    : v->e->exthdr.op == XH_IPV6 || v->e->exthdr.op == XH_IPV4 ? PBASE_NET
									       : PBASE_NONE;
		d = &ps->dep[b];
		if (b != PBASE_NONE && d->at)
			leave_out(ps, d);
		return;
	}
	if (b == PBASE_NONE)
		return;
	if (!d->at && b == PBASE_TRANS)
		d = &ps->dep[PBASE_INNER];
	if (d->at && may_kill(ps, d, b, v->fld))
		leave_out(ps, d);
}

/*
 * A match of the protocol above the network layer, by meta key: is the one of the network's
 * redundant then?
 */
static bool net_redundant(const struct pstate *ps, uint32_t key, uint32_t val)
{
	const struct pdep *d = &ps->dep[PBASE_NET];
	int fam;

	if (!d->at)
		return true;
	if (!d->payload)
		fam = d->key == NFT_META_NFPROTO    ? (int)d->val
		      : d->key == NFT_META_PROTOCOL ? ethertype_family(d->val)
						    : -1;
	else
		fam = proto_of(d->fld->proto)->base == PBASE_LL && d->fld->type == TYPE_ETHERTYPE
			      ? ethertype_family(d->val)
			      : -1;
	if (fam < 0)
		return true;
	if (!both_families(ps))
		return (ps->fam != FAM_IP && ps->fam != FAM_IP6) || fam == (int)ps->fam;
	if (key != NFT_META_L4PROTO)
		return true;
	return (val == IPPROTO_ICMP && fam != FAM_IP6) || (val == IPPROTO_ICMPV6 && fam != FAM_IP);
}

static void list_meta(struct pstate *ps, uint32_t key, uint32_t val)
{
	enum proto_base b = key == NFT_META_L4PROTO ? PBASE_NET : PBASE_LL;

	if (ps->dep[b].at && net_redundant(ps, key, val))
		leave_out(ps, &ps->dep[b]);
}

/* -- text to be read back ---------------------------------------------------------------------- */

/* Nothing was said since. */
static bool is_last(const struct pstate *ps, const struct pdep *d, const struct pdep *ignore)
{
	for (uint32_t i = d->at; i < ps->st.n; i++)
		if (ps->st.v[i] && (!ignore || i + 1 != ignore->at))
			return false;
	return d->at && d->added;
}

static void quiet_icmp(struct pstate *ps, int l3)
{
	struct pdep *net = &ps->dep[PBASE_NET], *up = &ps->dep[PBASE_TRANS];

	if (!is_last(ps, up, NULL))
		return;
	if (net->at && is_last(ps, net, up) && (int)net->val == l3) {
		leave_out(ps, up);
		leave_out(ps, net);
	} else if (!net->at && ps->l3 == l3) {
		leave_out(ps, up);
	}
}

/* What nft adds for values of a match comes in the order in which they ask for it. */
static void quiet_kill(struct pstate *ps, struct pval *const *v, uint32_t n)
{
	struct pdep *net = &ps->dep[PBASE_NET], *up = &ps->dep[PBASE_TRANS], *first = NULL;
	bool want_net = false, want_up = false;

	if (n == 1 && (v[0]->l4 == IPPROTO_ICMP || v[0]->l4 == IPPROTO_ICMPV6))
		return quiet_icmp(ps, v[0]->l4 == IPPROTO_ICMP ? FAM_IP : FAM_IP6);
	for (uint32_t i = 0; i < n; i++) {
		if (v[i]->l3 >= 0 && net->at && (int)net->val == v[i]->l3) {
			first = first ? first : net;
			want_net = true;
		}
		if (v[i]->l4 >= 0 && up->at && (int)up->val == v[i]->l4) {
			first = first ? first : up;
			want_up = true;
		}
	}
	if (want_net && want_up) {
		struct pdep *last = first == net ? up : net;

		if (!is_last(ps, last, NULL) || !is_last(ps, first, last))
			return;
	} else if (!first || !is_last(ps, first, NULL)) {
		return;
	}
	if (want_net)
		leave_out(ps, net);
	if (want_up)
		leave_out(ps, up);
}

/* -- both -------------------------------------------------------------------------------------- */

void pd_kill(struct pstate *ps, struct pval *const *v, uint32_t n)
{
	if (!ps->o->listing)
		return quiet_kill(ps, v, n);
	for (uint32_t i = 0; i < n; i++)
		list_kill(ps, v[i]);
}

void pd_kill_used(struct pstate *ps, const struct pval *v)
{
	if (ps->o->listing)
		list_kill(ps, v);
}

void pd_kill_reject(struct pstate *ps, const struct expr *e)
{
	struct pdep *d = &ps->dep[both_families(ps) ? PBASE_NET : PBASE_TRANS];
	bool reset = e->reject.type == NFT_REJECT_TCP_RST;

	if (ps->o->listing && d->at &&
	    (both_families(ps) ? e->reject.type != NFT_REJECT_ICMPX_UNREACH : reset))
		leave_out(ps, d);
}

void pd_reset(struct pstate *ps)
{
	memset(ps->dep, 0, sizeof(ps->dep));
}

static void store(struct pstate *ps, enum proto_base base, struct pdep d)
{
	d.at = ps->st.n;
	ps->dep[base] = d;
}

static void meta_match(struct pstate *ps, uint32_t key, uint32_t val, const char *text)
{
	bool l3_known = ps->l3 >= 0, l4_known = ps->l4 >= 0;
	struct pdep d = { .key = key, .val = val };

	if (ps->o->listing &&
	    (key == NFT_META_L4PROTO || key == NFT_META_NFPROTO || key == NFT_META_PROTOCOL))
		list_meta(ps, key, val);
	pm_word(ps, text);
	switch (key) {
	case NFT_META_L4PROTO:
		d.added = !l4_known &&
			  (ps->fam == FAM_IP || ps->fam == FAM_IP6 || ps->fam == FAM_INET);
		ps->l4 = (int)val;
		store(ps, PBASE_TRANS, d);
		break;
	case NFT_META_NFPROTO:
		d.added = !l3_known && ps->fam == FAM_INET;
		ps->l3 = (int)val;
		store(ps, PBASE_NET, d);
		break;
	case NFT_META_PROTOCOL:
		ps->l3 = val == 0x0806 ? FAM_ARP : ethertype_family(val) ?: -1;
		store(ps, PBASE_NET, d);
		break;
	case NFT_META_IIFTYPE:
		ps->ether = val == 1;
		store(ps, PBASE_LL, d);
		break;
	}
}

static void field_match(struct pstate *ps, const struct field *f, uint32_t val)
{
	struct pdep d = { .payload = true, .fld = f, .val = val };
	enum proto_base b = proto_of(f->proto)->base;

	if (f->type == TYPE_ETHERTYPE && b == PBASE_LL) {
		if (val == 0x8100 || val == 0x88a8) {
			ps->vlans++;
			b = PBASE_NONE; /* another header of the link layer follows */
		} else {
			ps->l3 = val == 0x0806 ? FAM_ARP : ethertype_family(val) ?: -1;
		}
	} else if (f->type == TYPE_INET_PROTO && b == PBASE_NET) {
		ps->l4 = (int)val;
	} else if (f->proto == PROTO_ICMP || f->proto == PROTO_ICMP6) {
		bool echo = f->proto == PROTO_ICMP ? val == 0 || val == 8
						   : val == 128 || val == 129;

		ps->icmp_type = (int)val;
		ps->dep_icmp = f->proto == PROTO_ICMP && !val ? 8 : (int)val;
		if (echo)
			return;
	}
	store(ps, b + 1, d);
}

void pd_match(struct pstate *ps, const struct pval *v, uint64_t val, const char *text)
{
	if (v->e->kind == EX_META && !v->n_ops)
		return meta_match(ps, v->e->meta.key, (uint32_t)val, text);
	pd_kill(ps, &(struct pval *){ (struct pval *)v }, 1);
	pm_word(ps, text);
	if (v->e->kind == EX_CT && v->e->ct.key == NFT_CT_L3PROTOCOL && !v->n_ops)
		ps->l3 = (int)val; /* nft takes it for the packet's own */
	if (v->fld && v->fld->flags & FIELD_KEY)
		field_match(ps, v->fld, (uint32_t)val);
}
