// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * support: what evaluating an expression may do, and whether it can run in BPF on an unmodified
 * kernel.
 *
 * Writes, verdicts and services that a netfilter program cannot have are named here; whether all
 * else is lowered is the IR builder's word (fb_options.can_lower).
 */
#include <linux/netfilter/nf_tables.h>

#include "split.h"

/* ct status bits that do not change once a packet is past the nat hooks: expected, snat, dnat. */
#define STATUS_STABLE 0x31u

struct kind_word {
	enum fb_reason reason;
	const char *what;
};

/* Kinds that are never done in BPF. */
static const struct kind_word never[EX_COUNT] = {
	[EX_LOG] = { FBR_ACT, "log" },
	[EX_REJECT] = { FBR_ACT, "reject" },
	[EX_NAT] = { FBR_ACT, "nat" },
	[EX_MASQ] = { FBR_ACT, "masquerade" },
	[EX_REDIR] = { FBR_ACT, "redirect" },
	[EX_QUEUE] = { FBR_ACT, "queue" },
	[EX_TPROXY] = { FBR_ACT, "tproxy" },
	[EX_SYNPROXY] = { FBR_ACT, "synproxy" },
	[EX_DUP] = { FBR_ACT, "dup" },
	[EX_FWD] = { FBR_ACT, "fwd" },
	[EX_FLOW_OFFLOAD] = { FBR_ACT, "flow add" },
	[EX_NOTRACK] = { FBR_WRITE, "notrack" },
	[EX_FIB] = { FBR_SERVICE, "fib" },
	[EX_OSF] = { FBR_SERVICE, "osf" },
	[EX_CONNLIMIT] = { FBR_SERVICE, "ct count" },
	[EX_UNKNOWN] = { FBR_UNKNOWN, "an expression" },
};

static bool meta_volatile(uint32_t key)
{
	switch (key) {
	case NFT_META_PRANDOM:
	case NFT_META_CPU:
	case NFT_META_TIME_NS:
	case NFT_META_TIME_DAY:
	case NFT_META_TIME_HOUR:
	case NFT_META_CGROUP:
		return true;
	default:
		return false;
	}
}

/* Conntrack keys that cannot change while this packet is at this hook. */
static bool ct_stable(const struct rule *r, uint32_t i)
{
	const struct expr *e = r->exprs.v[i], *n;
	uint32_t mask;

	switch (e->ct.key) {
	case NFT_CT_STATE:
	case NFT_CT_DIRECTION:
	case NFT_CT_L3PROTOCOL:
	case NFT_CT_PROTOCOL:
	case NFT_CT_SRC:
	case NFT_CT_DST:
	case NFT_CT_PROTO_SRC:
	case NFT_CT_PROTO_DST:
	case NFT_CT_SRC_IP:
	case NFT_CT_DST_IP:
	case NFT_CT_SRC_IP6:
	case NFT_CT_DST_IP6:
	case NFT_CT_ZONE:
	case NFT_CT_ID:
		return true;
	case NFT_CT_STATUS:
		n = i + 1 < r->exprs.n ? r->exprs.v[i + 1] : NULL;
		if (!n || n->kind != EX_BITWISE || n->bitwise.op != BW_MASK_XOR ||
		    n->bitwise.sreg != e->ct.dreg || n->bitwise.dreg != e->ct.dreg)
			return false;
		memcpy(&mask, n->bitwise.mask.b, 4);
		return !(mask & ~STATUS_STABLE);
	default:
		return false;
	}
}

/* Whether looking an element up runs stateful expressions. */
static bool set_stateful(const struct set *s)
{
	bool any = s->n_exprs > 0;

	vec_foreach(&s->elems, it)
		any = any || (*it)->n_exprs;
	return any;
}

/* Objects whose state a program can keep. */
static bool object_is_ours(const struct expr *e)
{
	uint32_t type = e->objref.set ? e->objref.set->obj_type : e->objref.type;

	return type == NFT_OBJECT_COUNTER || type == NFT_OBJECT_QUOTA || type == NFT_OBJECT_LIMIT;
}

/*
 * The effect of expression i of a rule; *decides: what it finds there decides whether the rule goes
 * on.
 */
enum fb_effect fb_effect(const struct rule *r, uint32_t i, bool *decides)
{
	const struct expr *e = r->exprs.v[i];

	*decides = true;
	switch (e->kind) {
	case EX_PAYLOAD:
		return e->payload.dreg == REG_NONE ? FB_WRITE : FB_PURE;
	case EX_EXTHDR:
		return e->exthdr.dreg == REG_NONE ? FB_WRITE : FB_PURE;
	case EX_META:
		return e->meta.dreg == REG_NONE	    ? FB_WRITE
		       : meta_volatile(e->meta.key) ? FB_VOLATILE
						    : FB_PURE;
	case EX_CT:
		return e->ct.dreg == REG_NONE ? FB_WRITE : ct_stable(r, i) ? FB_PURE : FB_VOLATILE;
	case EX_SOCKET:
	case EX_FIB:
	case EX_RT:
	case EX_OSF:
	case EX_XFRM:
	case EX_TUNNEL:
		return FB_VOLATILE;
	case EX_NUMGEN:
		return e->numgen.type == NFT_NG_RANDOM ? FB_VOLATILE : FB_STATE;
	case EX_HASH:
		return e->hash.sreg == REG_NONE ? FB_VOLATILE : FB_PURE;
	case EX_COUNTER:
	case EX_LAST:
		*decides = false;
		return FB_STATE;
	case EX_LIMIT:
	case EX_QUOTA:
	case EX_CONNLIMIT:
	case EX_DYNSET:
		return FB_STATE;
	case EX_OBJREF:
		*decides = e->objref.set || e->objref.type != NFT_OBJECT_COUNTER;
		return object_is_ours(e) ? FB_STATE : FB_WRITE;
	case EX_LOOKUP:
		if (set_stateful(e->lookup.set))
			return FB_STATE;
		return e->lookup.set->flags & (SET_TIMEOUT | SET_EVAL) ? FB_VOLATILE : FB_PURE;
	case EX_IMMEDIATE:
	case EX_CMP:
	case EX_RANGE:
	case EX_BITWISE:
	case EX_BYTEORDER:
	case EX_INNER:
	case EX_XTNEED:
		return FB_PURE;
	default:
		return FB_WRITE;
	}
}

static struct fb_support no(enum fb_reason r, const char *what)
{
	return (struct fb_support){ .effect = FB_WRITE, .reason = r, .what = what };
}

/* Reads that no program can make: their results come out of what only the kernel has. */
static struct kind_word out_of_reach(const struct chain *base, const struct expr *e)
{
	struct kind_word none = { FBR_NONE, NULL };

	if (e->kind == EX_CT && e->ct.key == KEY_CT_ID)
		return (struct kind_word){ FBR_SECRET, "ct id" };
	if (e->kind == EX_HASH && e->hash.sreg == REG_NONE)
		return (struct kind_word){ FBR_SECRET, "symhash" };
	if (e->kind == EX_HASH && !e->hash.has_seed)
		return (struct kind_word){ FBR_SECRET, "jhash without a seed" };
	if (e->kind == EX_RT && e->rt.key == KEY_RT_TCPMSS)
		return (struct kind_word){ FBR_SERVICE, "rt mtu" };
	if (e->kind == EX_SOCKET && base && base->hook != HOOK_OUTPUT)
		return (struct kind_word){ FBR_SERVICE, "looking up a socket" };
	return none;
}

/*
 * Why expression i cannot write what is in that register: more is said where two registers went
 * into it.
 */
static enum fb_reason write_reason(const struct rule *r, uint32_t i, uint8_t reg)
{
	while (i--) {
		const struct expr *e = r->exprs.v[i];

		if (!(expr_regs(e).writes & 1u << REG_WORD(reg)))
			continue;
		if (e->kind != EX_BITWISE)
			break;
		if (e->bitwise.sreg2 != REG_NONE)
			return FBR_TWO_REG;
		reg = e->bitwise.sreg;
	}
	return FBR_WRITE;
}

struct fb_support fb_rule_support(const struct fb_options *o, const struct chain *base,
				  const struct rule *r, uint32_t i)
{
	const struct expr *e = r->exprs.v[i];
	struct fb_support s = { .reason = FBR_NONE };
	struct kind_word never_read;
	const char *why = NULL;
	bool decides;

	if (o->refused && strmap_get(o->refused, (const char *)&r, sizeof(r)))
		return no((enum fb_reason)(uintptr_t)strmap_get(o->refused, (const char *)&r,
								sizeof(r)),
			  "the rule");
	if (e->kind == EX_MATCH || e->kind == EX_TARGET)
		return no(FBR_XT, arena_printf(r->chain->table->rs->arena, "%s %s of revision %u",
					       expr_kind_name(e->kind), e->xt.name, e->xt.rev));
	if (never[e->kind].what)
		return no(never[e->kind].reason, never[e->kind].what);
	if (e->kind == EX_META && e->meta.dreg == REG_NONE)
		return no(write_reason(r, i, e->meta.sreg), "setting a packet's metadata");
	if (e->kind == EX_CT && e->ct.dreg == REG_NONE)
		return no(write_reason(r, i, e->ct.sreg), "setting what conntrack keeps");
	if (e->kind == EX_PAYLOAD && e->payload.dreg == REG_NONE)
		return no(FBR_WRITE, "setting a header field");
	if (e->kind == EX_EXTHDR && e->exthdr.dreg == REG_NONE)
		return no(FBR_WRITE, "setting a header option");
	if (e->kind == EX_OBJREF && !object_is_ours(e))
		return no(FBR_ACT, "an object of conntrack or the kernel");
	if (e->kind == EX_IMMEDIATE && e->imm.dreg == REG_VERDICT && e->imm.verdict.code == V_QUEUE)
		return no(FBR_ACT, "queue");
	s.effect = fb_effect(r, i, &decides);
	never_read = out_of_reach(base, e);
	if (never_read.what) {
		s.reason = never_read.reason;
		s.what = never_read.what;
	} else if (o->can_lower && !o->can_lower(e, base, &why)) {
		s.reason = FBR_NOT_YET;
		s.what = why ? why : expr_kind_name(e->kind);
	}
	return s;
}
