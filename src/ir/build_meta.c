// SPDX-License-Identifier: GPL-2.0-or-later
/* Lowering of what nf_tables reads beside the packet: meta and ct keys. */
#include "lower.h"

/* -- meta -------------------------------------------------------------------------------------- */

static struct ir_ins *device(struct bld *b, bool out)
{
	struct ir_ins *ctx = ir_emit(&b->c, IR_CTX, IR_L, 0, NULL), *state;

	state = ir_ldf(&b->c, FLD_ctx_state, ctx, 0);
	return ir_ldf(&b->c, out ? FLD_state_out : FLD_state_in, state, 0);
}

/* A field of a device; BREAK without device. */
static struct ir_ins *device_field(struct bld *b, bool out, enum ir_field f)
{
	struct ir_ins *dev = device(b, out);

	btest(b, bcond(b, IR_NE, dev, 0));
	return ir_ldf(&b->c, f, dev, 0);
}

static void device_name(struct bld *b, bool out, uint32_t w)
{
	struct ir_ins *dev = device(b, out); /* without device: the empty name, as through NULL */

	breg_set_name(b, w, ir_ldf(&b->c, FLD_dev_name, dev, 0),
		      ir_ldf(&b->c, FLD_dev_name, dev, 8));
}

/* The driver's name for what kind of device it is: at most 15 bytes count. */
static void device_kind(struct bld *b, bool out, uint32_t w)
{
	struct ir_ins *ops = device_field(b, out, FLD_dev_link_ops), *kind, *hi;

	btest(b, bcond(b, IR_NE, ops, 0));
	kind = ir_ldf(&b->c, FLD_ops_kind, ops, 0);
	hi = bop(b, IR_AND, ir_ldf(&b->c, FLD_raw_bytes, kind, 8), bl(b, ~0ull >> 8));
	breg_set_name(b, w, ir_ldf(&b->c, FLD_raw_bytes, kind, 0), hi);
}

enum { PACKET_BROADCAST = 1, PACKET_MULTICAST = 2, PACKET_LOOPBACK = 5 };

/* Looped packets count as what they were sent as. */
static struct ir_ins *pkttype(struct bld *b)
{
	struct ir_ins *type = ir_ldf(&b->c, FLD_skb_pkt_type, lower_skb(b), 0), *lo, *dst;

	lo = bw(b, PACKET_MULTICAST);
	if (b->c.fn->pf == FAM_IP) {
		dst = ir_emit1(&b->c, IR_PKT, IR_L, bw(b, 0));
		dst->imm = 20;
		dst = band(b, ir_ldp(&b->c, dst, 16, 1), 0xf0);
		lo = bsel(b, bcond(b, IR_EQ, dst, 0xe0), lo, bw(b, PACKET_BROADCAST));
	}
	return bsel(b, bcond(b, IR_EQ, type, PACKET_LOOPBACK), lo, type);
}

static struct ir_ins *l4proto(struct bld *b)
{
	struct binfo info = lower_info(b);

	if (info.flags)
		btest(b, bcond(b, IR_UGE, info.flags, 2));
	return info.proto;
}

static struct ir_ins *skb_field(struct bld *b, enum ir_field f)
{
	return ir_ldf(&b->c, f, lower_skb(b), 0);
}

static struct ir_ins *meta_word(struct bld *b, const struct expr *e)
{
	struct ir_ins *arg;

	switch (e->meta.key) {
	case KEY_META_LEN:
		return lower_skb_len(b);
	case KEY_META_PROTOCOL:
		return skb_field(b, FLD_skb_protocol);
	case KEY_META_PRIORITY:
		return skb_field(b, FLD_skb_priority);
	case KEY_META_MARK:
		return skb_field(b, FLD_skb_mark);
	case KEY_META_SECMARK:
		return skb_field(b, FLD_skb_secmark);
	case KEY_META_NFPROTO:
		return bw(b, b->c.fn->pf);
	case KEY_META_L4PROTO:
		return l4proto(b);
	case KEY_META_IIF:
		return ir_ldf(&b->c, FLD_dev_ifindex, device(b, false), 0);
	case KEY_META_OIF:
		return ir_ldf(&b->c, FLD_dev_ifindex, device(b, true), 0);
	case KEY_META_IIFTYPE:
		return device_field(b, false, FLD_dev_type);
	case KEY_META_OIFTYPE:
		return device_field(b, true, FLD_dev_type);
	case KEY_META_IIFGROUP:
		return device_field(b, false, FLD_dev_group);
	case KEY_META_OIFGROUP:
		return device_field(b, true, FLD_dev_group);
	case KEY_META_PKTTYPE:
		return pkttype(b);
	case KEY_META_SKUID:
	case KEY_META_SKGID:
		arg = bw(b, e->meta.key == KEY_META_SKGID);
		return brt_found(b, RT_sk_owner, 1, &arg);
	case KEY_META_CGROUP:
		return brt_found(b, RT_sk_class, 0, NULL);
	case KEY_META_RTCLASSID:
		return brt_found(b, RT_realm, 0, NULL);
	case KEY_META_CPU:
		return brt(b, true, RT_cpu, 0, NULL);
	case KEY_META_PRANDOM:
		return brt(b, false, RT_prandom, 0, NULL);
	case KEY_META_HOUR:
		return brt(b, false, RT_hour, 0, NULL);
	case KEY_META_DAY:
		return brt(b, false, RT_day, 0, NULL);
	case KEY_META_SECPATH:
		return brt(b, true, RT_secpath, 0, NULL);
	case KEY_META_SDIF:
		arg = bw(b, b->c.fn->pf == FAM_IP6);
		return brt(b, true, RT_sdif, 1, &arg);
	default:
		BUG("meta key %u", e->meta.key);
	}
}

static void sdif_name(struct bld *b, uint32_t w)
{
	struct ir_ins *ip6 = bw(b, b->c.fn->pf == FAM_IP6);
	struct ir_ins *lo[] = { ip6, bw(b, 0) }, *hi[] = { ip6, bw(b, 1) };

	breg_set_name(b, w, brt(b, true, RT_sdifname, 2, lo), brt(b, true, RT_sdifname, 2, hi));
}

void lower_meta(struct bld *b, const struct expr *e)
{
	uint32_t w = REG_WORD(e->meta.dreg);

	switch (e->meta.key) {
	case KEY_META_SDIFNAME:
		sdif_name(b, w);
		break;
	case KEY_META_IIFNAME:
	case KEY_META_OIFNAME:
		device_name(b, e->meta.key == KEY_META_OIFNAME, w);
		break;
	case KEY_META_IIFKIND:
	case KEY_META_OIFKIND:
		device_kind(b, e->meta.key == KEY_META_OIFKIND, w);
		break;
	case KEY_META_TIME:
		breg_set_pair(b, w, brt(b, false, RT_time, 0, NULL));
		break;
	default:
		breg_set(b, w, meta_word(b, e));
	}
}

void lower_socket(struct bld *b, const struct expr *e)
{
	struct ir_ins *args[2] = { bw(b, e->socket.key), bw(b, b->c.fn->pf == FAM_IP6) };

	breg_set(b, REG_WORD(e->socket.dreg), brt_found(b, RT_socket, 2, args));
}

/* -- routes ------------------------------------------------------------------------------------ */

void lower_rt(struct bld *b, const struct expr *e)
{
	uint32_t w = REG_WORD(e->rt.dreg);
	bool ip6 = b->c.fn->pf == FAM_IP6;
	struct ir_ins *word;

	switch (e->rt.key) {
	case KEY_RT_CLASSID:
		breg_set(b, w, brt_found(b, RT_realm, 0, NULL));
		break;
	case KEY_RT_IPSEC:
		breg_set(b, w, brt_found(b, RT_route_xfrm, 0, NULL));
		break;
	case KEY_RT_NEXTHOP4:
		if (ip6)
			bbreak(b);
		else
			breg_set(b, w, brt_found(b, RT_nexthop4, 0, NULL));
		break;
	case KEY_RT_NEXTHOP6:
		if (!ip6) {
			bbreak(b);
			break;
		}
		for (uint32_t k = 0; k < 4; k++) {
			word = bw(b, k);
			breg_set(b, w + k, brt_found(b, RT_nexthop6, 1, &word));
		}
		break;
	default:
		BUG("rt key %u", e->rt.key);
	}
}

void lower_xfrm(struct bld *b, const struct expr *e)
{
	uint32_t w = REG_WORD(e->xfrm.dreg), key = e->xfrm.key;
	uint32_t n = key == KEY_XFRM_DADDR6 || key == KEY_XFRM_SADDR6 ? 4 : 1;

	for (uint32_t k = 0; k < n; k++) {
		struct ir_ins *args[4] = { bw(b, key), bw(b, e->xfrm.dir), bw(b, e->xfrm.spnum),
					   bw(b, k) };

		breg_set(b, w + k, brt_found(b, RT_xfrm, 4, args));
	}
}

/* -- conntrack --------------------------------------------------------------------------------- */

/*
 * skb->_nfct is the entry's address with the packet's kind (enum ip_conntrack_info) in its low
 * three bits; without entry it is the kind alone, so below 8. The state bit of a kind with entry,
 * four bits each: 1 << (kind % 3 + 1); without, kind 7 is "untracked" and any other "invalid".
 */
#define CT_KINDS  0x42842842u
#define INVALID	  1u
#define UNTRACKED 64u

static struct ir_ins *nfct(struct bld *b)
{
	return skb_field(b, FLD_skb_nfct);
}

static struct ir_ins *kind_of(struct bld *b, struct ir_ins *v)
{
	return bop(b, IR_AND, ir_emit1(&b->c, IR_TRUNC, IR_W, v), bw(b, 7));
}

struct ir_ins *lower_ct_state(struct bld *b, uint32_t mask)
{
	struct ir_ins *v = nfct(b), *kind = kind_of(b, v), *with, *without;

	with = bop(b, IR_LSHR, bw(b, CT_KINDS), bop(b, IR_SHL, kind, bw(b, 2)));
	with = bop(b, IR_AND, with, bw(b, 15 & mask));
	without = bsel(b, bcond(b, IR_EQ, kind, 7), bw(b, UNTRACKED & mask), bw(b, INVALID & mask));
	return bsel(b, bcond(b, IR_ULT, v, 8), without, with);
}

/*
 * Kinds that a packet with an entry can have: established, related, new, and replies of the first
 * two.
 */
#define CT_WITH 0x1fu

/* Whether the kind is in a set of kinds, given that it is one of CT_WITH. NULL: always. */
static struct ir_ins *kind_in(struct bld *b, struct ir_ins *kind, uint32_t set)
{
	set &= CT_WITH;
	if (set == CT_WITH)
		return NULL;
	for (uint32_t k = 0; k < 5; k++) {
		if (set == 1u << k)
			return bcond(b, IR_EQ, kind, k);
		if (set == (CT_WITH ^ 1u << k))
			return bcond(b, IR_NE, kind, k);
	}
	kind = bop(b, IR_LSHR, bw(b, set), kind);
	return bcond(b, IR_NE, bop(b, IR_AND, kind, bw(b, 1)), 0);
}

struct ir_ins *lower_ct_state_eq(struct bld *b, uint32_t mask, uint32_t want)
{
	struct ir_ins *v = nfct(b), *in, *has;
	uint32_t with = 0;
	bool inv = (INVALID & mask) == want, untr = (UNTRACKED & mask) == want;

	for (uint32_t k = 0; k < 8; k++)
		if (((CT_KINDS >> 4 * k) & 15 & mask) == want)
			with |= 1u << k;
	if (!(with & CT_WITH) && !inv && !untr)
		return ir_const(&b->c, IR_B, 0);
	if (!(with & CT_WITH) && inv && untr)
		return bcond(b, IR_ULT, v, 8);
	if (!(with & CT_WITH)) /* untracked is the number 7, alone; invalid any other below 8 */
		return untr ? bcond(b, IR_EQ, v, 7) : bcond(b, IR_ULT, v, 7);
	in = kind_in(b, kind_of(b, v), with);
	if (!inv && !untr) {
		has = bcond(b, IR_UGE, v, 8);
		return in ? bop(b, IR_AND, has, in) : has;
	}
	if (inv && untr)
		return in ? bop(b, IR_OR, bcond(b, IR_ULT, v, 8), in) : ir_const(&b->c, IR_B, 1);
	has = untr ? bcond(b, IR_EQ, v, 7) : bcond(b, IR_ULT, v, 7);
	if (!in)
		return bop(b, IR_OR, has, bcond(b, IR_UGE, v, 8));
	return bop(b, IR_OR, has, bop(b, IR_AND, bcond(b, IR_UGE, v, 8), in));
}

/* The entry's address; BREAK without one, or with a template. */
static struct ir_ins *entry(struct bld *b)
{
	struct ir_ins *v = nfct(b), *ct, *status;

	btest(b, bcond(b, IR_UGE, v, 8));
	ct = bop(b, IR_AND, v, bl(b, ~7ull));
	status = ir_ldf(&b->c, FLD_ct_status, ct, 0);
	btest(b, bcond(b, IR_EQ, bop(b, IR_AND, status, bl(b, 1u << 11)), 0));
	return ct;
}

static struct ir_ins *zone(struct bld *b, struct ir_ins *ct, const struct expr *e)
{
	struct ir_ins *id = ir_ldf(&b->c, FLD_ct_zone, ct, 0), *dir;

	if (!e->ct.has_dir)
		return id;
	dir = ir_ldf(&b->c, FLD_ct_zone_dir, ct, 0);
	dir = bop(b, IR_AND, dir, bw(b, 1u << e->ct.dir));
	return bsel(b, bcond(b, IR_NE, dir, 0), id, bw(b, 0));
}

static void address(struct bld *b, struct ir_ins *ct, enum ir_field f, uint32_t w, uint32_t len)
{
	struct ir_ins *lo = ir_ldf(&b->c, f, ct, 0);

	if (len == 4) {
		breg_set(b, w, ir_emit1(&b->c, IR_TRUNC, IR_W, lo));
		return;
	}
	breg_set_pair(b, w, lo);
	breg_set_pair(b, w + 2, ir_ldf(&b->c, f, ct, 8));
}

static struct ir_ins *ct_word(struct bld *b, struct ir_ins *ct, const struct expr *e)
{
	bool reply = e->ct.has_dir && e->ct.dir == 1;

	switch (e->ct.key) {
	case KEY_CT_DIRECTION:
		return ir_emit1(&b->c, IR_B2W, IR_W, bcond(b, IR_UGE, kind_of(b, nfct(b)), 3));
	case KEY_CT_STATUS:
		return ir_emit1(&b->c, IR_TRUNC, IR_W, ir_ldf(&b->c, FLD_ct_status, ct, 0));
	case KEY_CT_MARK:
		return ir_ldf(&b->c, FLD_ct_mark, ct, 0);
	case KEY_CT_SECMARK:
		return ir_ldf(&b->c, FLD_ct_secmark, ct, 0);
	case KEY_CT_L3PROTOCOL:
		return ir_ldf(&b->c, FLD_ct_l3num, ct, 0);
	case KEY_CT_PROTOCOL:
		return ir_ldf(&b->c, FLD_ct_protonum, ct, 0);
	case KEY_CT_ZONE:
		return zone(b, ct, e);
	case KEY_CT_PROTO_SRC:
		return ir_ldf(&b->c, reply ? FLD_ct_reply_sport : FLD_ct_orig_sport, ct, 0);
	case KEY_CT_PROTO_DST:
		return ir_ldf(&b->c, reply ? FLD_ct_reply_dport : FLD_ct_orig_dport, ct, 0);
	case KEY_CT_EXPIRATION:
		return brt(b, false, RT_ct_expiration, 0, NULL);
	default:
		BUG("ct key %u", e->ct.key);
	}
}

/* What lies outside of the entry itself; false: not such a key. */
static bool ct_extension(struct bld *b, const struct expr *e, uint32_t w)
{
	struct ir_ins *lo[] = { bw(b, 0) }, *hi[] = { bw(b, 1) }, *args[2], *v;

	switch (e->ct.key) {
	case KEY_CT_PACKETS:
	case KEY_CT_BYTES:
	case KEY_CT_AVGPKT:
		args[0] = bw(b, e->ct.key - KEY_CT_PACKETS);
		args[1] = bw(b, e->ct.has_dir ? e->ct.dir : 2);
		breg_set_pair(b, w, brt(b, false, RT_ct_count, 2, args));
		return true;
	case KEY_CT_LABEL:
		breg_set_pair(b, w, brt(b, false, RT_ct_label, 1, lo));
		breg_set_pair(b, w + 2, brt(b, false, RT_ct_label, 1, hi));
		return true;
	case KEY_CT_HELPER:
		v = brt(b, true, RT_ct_helper, 1, lo);
		btest(b, bcond(b, IR_NE, v, 0));
		breg_set_name(b, w, v,
			      bop(b, IR_AND, brt(b, true, RT_ct_helper, 1, hi), bl(b, ~0ull >> 8)));
		return true;
	default:
		return false;
	}
}

void lower_ct(struct bld *b, const struct expr *e)
{
	uint32_t w = REG_WORD(e->ct.dreg), key = e->ct.key, len;
	bool reply = e->ct.has_dir && e->ct.dir == 1, src;
	struct ir_ins *ct, *l3;

	if (key == KEY_CT_STATE) {
		b->regs[w] = (struct breg){ .kind = BR_CTSTATE, .mask = UINT32_MAX };
		return;
	}
	ct = entry(b);
	if (ct_extension(b, e, w))
		return;
	src = key == KEY_CT_SRC || key == KEY_CT_SRC_IP || key == KEY_CT_SRC_IP6;
	if (!src && key != KEY_CT_DST && key != KEY_CT_DST_IP && key != KEY_CT_DST_IP6) {
		breg_set(b, w, ct_word(b, ct, e));
		return;
	}
	len = key == KEY_CT_SRC_IP || key == KEY_CT_DST_IP ? 4 : 16;
	if (key == KEY_CT_SRC || key == KEY_CT_DST) {
		if (b->prog->base->table->family == FAM_IP)
			len = 4;
	} else {
		l3 = ir_ldf(&b->c, FLD_ct_l3num, ct, 0);
		btest(b, bcond(b, IR_EQ, l3, len == 4 ? FAM_IP : FAM_IP6));
	}
	if (src)
		address(b, ct, reply ? FLD_ct_reply_src : FLD_ct_orig_src, w, len);
	else
		address(b, ct, reply ? FLD_ct_reply_dst : FLD_ct_orig_dst, w, len);
}
