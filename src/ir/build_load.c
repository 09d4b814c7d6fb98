// SPDX-License-Identifier: GPL-2.0-or-later
/* Lowering of packet reads: what nf_tables knows of the headers, and payload. */
#include "lower.h"

struct ir_ins *lower_skb(struct bld *b)
{
	return ir_ldf(&b->c, FLD_ctx_skb, ir_emit(&b->c, IR_CTX, IR_L, 0, NULL), 0);
}

struct ir_ins *lower_skb_len(struct bld *b)
{
	return ir_ldf(&b->c, FLD_skb_len, lower_skb(b), 0);
}

static struct ir_ins *pkt(struct bld *b, struct ir_ins *off, uint32_t need)
{
	struct ir_ins *i = ir_emit1(&b->c, IR_PKT, IR_L, off);

	i->imm = need;
	return i;
}

/* The fixed part of the network header: always asked for whole, so that all such addresses are one value. */
static struct ir_ins *net_header(struct bld *b)
{
	return pkt(b, bw(b, 0), b->c.fn->pf == FAM_IP ? 20 : 40);
}

/* -- packet information ------------------------------------------------------------------------------------------ */

bool expr_needs_info(const struct expr *e)
{
	switch (e->kind) {
	case EX_PAYLOAD:
		return e->payload.base == PB_TRANSPORT || e->payload.base == PB_INNER;
	case EX_META:
		return e->meta.key == KEY_META_L4PROTO;
	default:
		return false;
	}
}

static struct binfo info4(struct bld *b)
{
	struct ir_ins *h = net_header(b), *ihl;
	struct binfo info = { 0 };

	ihl = band(b, ir_ldp(&b->c, h, 0, 1), 15);
	info.thoff = bop(b, IR_SHL, ihl, bw(b, 2));
	info.proto = ir_ldp(&b->c, h, 9, 1);
	return info;
}

/*
 * Headers that the kernel walks over: hop-by-hop 0, routing 43, fragment 44, destination 60. At any other (authentication is
 * where nf_tables stops, "none" ends the packet) the transport header begins at 40.
 */
static struct ir_ins *is_walked(struct bld *b, struct ir_ins *nh)
{
	uint64_t bits = 1ull << 0 | 1ull << 43 | 1ull << 44 | 1ull << 60;
	struct ir_ins *n = ir_emit1(&b->c, IR_ZEXT, IR_L, band(b, nh, 63)), *bit;

	bit = bop(b, IR_AND, bop(b, IR_LSHR, bl(b, bits), n), bl(b, 1));
	return bop(b, IR_AND, bcond(b, IR_ULT, nh, 64), bcond(b, IR_NE, bit, 0));
}

static struct ir_ins *phi(struct bld *b, struct ir_ins *x, struct ir_ins *y)
{
	return ir_emit2(&b->c, IR_PHI, IR_W, x, y);
}

static struct binfo info6(struct bld *b)
{
	struct ir_ins *nh = ir_ldp(&b->c, net_header(b), 6, 1), *walk, *thoff, *proto, *flags;
	struct ir_block *slow = ir_block_new(b->c.fn), *join = ir_block_new(b->c.fn);
	struct binfo info;

	ir_br(&b->c, is_walked(b, nh), slow, join);
	b->c.blk->last->imm = 2;
	slow->cold = true;
	b->c.blk = slow;
	walk = ir_emit(&b->c, IR_RTP, IR_L, 0, NULL);
	walk->aux = RT_ip6_walk;
	walk = ir_emit1(&b->c, IR_TRUNC, IR_W, walk);
	thoff = bop(b, IR_AND, walk, bw(b, 0xffff));
	proto = bop(b, IR_AND, bop(b, IR_LSHR, walk, bw(b, 16)), bw(b, 0xff));
	flags = bop(b, IR_LSHR, walk, bw(b, 24));
	ir_jmp(&b->c, join);
	b->c.blk = join;
	info.thoff = phi(b, bw(b, 40), thoff);
	info.proto = phi(b, nh, proto);
	info.flags = phi(b, bw(b, 2), flags);
	return info;
}

struct binfo lower_info(struct bld *b)
{
	if (b->info)
		return *b->info;
	return b->c.fn->pf == FAM_IP ? info4(b) : info6(b);
}

/* BREAK where the transport header is unknown or in another fragment. */
static void test_transport(struct bld *b, const struct binfo *info)
{
	struct ir_ins *frag;

	if (info->flags) {
		btest(b, bcond(b, IR_EQ, info->flags, 2));
		return;
	}
	frag = ir_ldp(&b->c, net_header(b), 6, 2);
	btest(b, bcond(b, IR_EQ, bop(b, IR_AND, frag, bw(b, 0xff1f)), 0));
}

/* -- payload ----------------------------------------------------------------------------------------------------- */

/* len bytes at addr + off into registers from w on; the last one filled up with zeros. */
static void load_regs(struct bld *b, uint32_t w, struct ir_ins *addr, uint32_t off, uint32_t len)
{
	struct ir_ins *v;

	for (; len >= 8; len -= 8, off += 8, w += 2)
		breg_set_pair(b, w, ir_ldp(&b->c, addr, off, 8));
	if (len >= 4) {
		breg_set(b, w++, ir_ldp(&b->c, addr, off, 4));
		len -= 4;
		off += 4;
	}
	if (!len)
		return;
	v = ir_ldp(&b->c, addr, off, len == 1 ? 1 : 2);
	if (len == 3)
		v = bop(b, IR_OR, v, bop(b, IR_SHL, ir_ldp(&b->c, addr, off + 2, 1), bw(b, 16)));
	breg_set(b, w, v);
}

/* How far pkt may be asked to reach: the runtime copies that much at most. */
#define PKT_REACH 64

static void payload_net(struct bld *b, const struct expr *e)
{
	uint32_t off = e->payload.off, len = e->payload.len, w = REG_WORD(e->payload.dreg);
	uint32_t fixed = b->c.fn->pf == FAM_IP ? 20 : 40;

	btest(b, bcond(b, IR_UGE, lower_skb_len(b), off + len));
	if (off + len <= fixed)
		load_regs(b, w, net_header(b), off, len);
	else if (off + len <= PKT_REACH)
		load_regs(b, w, pkt(b, bw(b, 0), off + len), off, len);
	else
		load_regs(b, w, pkt(b, bw(b, off), len), 0, len);
}

static void payload_transport(struct bld *b, const struct expr *e)
{
	uint32_t off = e->payload.off, len = e->payload.len, w = REG_WORD(e->payload.dreg);
	struct binfo info = lower_info(b);
	struct ir_ins *end;
	uint32_t need = off + len;

	test_transport(b, &info);
	end = bop(b, IR_ADD, info.thoff, bw(b, need));
	btest(b, ir_emit2(&b->c, IR_UGE, IR_B, lower_skb_len(b), end));
	if (need <= PKT_REACH) {
		need = need <= 4 ? 4 : need <= 8 ? 8 : need;
		load_regs(b, w, pkt(b, info.thoff, need), off, len);
	} else {
		load_regs(b, w, pkt(b, bop(b, IR_ADD, info.thoff, bw(b, off)), len), 0, len);
	}
}

/* len bytes (at most 16) of memory at an address into registers from w on. */
static void load_raw(struct bld *b, uint32_t w, struct ir_ins *addr, uint32_t len)
{
	for (uint32_t off = 0; off < len; off += 8, w += 2) {
		uint32_t n = MIN(8, len - off);
		struct ir_ins *v = ir_ldf(&b->c, FLD_raw_bytes, addr, off);

		if (n < 8)
			v = band(b, v, (1ull << 8 * n) - 1);
		if (n > 4)
			breg_set_pair(b, w, v);
		else
			breg_set(b, w, ir_emit1(&b->c, IR_TRUNC, IR_W, v));
	}
}

/*
 * Link layer: in front of the network header, so not in pkt's range; always linear. The Ethernet type of a frame whose VLAN tag
 * the kernel took off is that of the tag.
 */
static void payload_link(struct bld *b, const struct expr *e)
{
	uint32_t off = e->payload.off, len = e->payload.len, w = REG_WORD(e->payload.dreg);
	struct ir_ins *skb = lower_skb(b), *mac, *addr, *tci, *proto, *type;

	mac = ir_ldf(&b->c, FLD_skb_mac_header, skb, 0);
	btest(b, bcond(b, IR_NE, mac, 0xffff));
	btest(b, ir_emit2(&b->c, IR_NE, IR_B, mac, ir_ldf(&b->c, FLD_skb_network_header, skb, 0)));
	addr = bop(b, IR_ADD, ir_ldf(&b->c, FLD_skb_head, skb, 0),
		   ir_emit1(&b->c, IR_ZEXT, IR_L, mac));
	if (off)
		addr = bop(b, IR_ADD, addr, bl(b, off));
	load_raw(b, w, addr, len);
	if (off + len <= 12)
		return;
	tci = ir_ldf(&b->c, FLD_skb_vlan_tci, skb, 0);
	proto = ir_ldf(&b->c, FLD_skb_vlan_proto, skb, 0);
	type = bsel(b, bcond(b, IR_EQ, bop(b, IR_OR, tci, proto), 0), breg_get(b, w), proto);
	breg_set(b, w, type);
}

void lower_payload(struct bld *b, const struct expr *e)
{
	switch (e->payload.base) {
	case PB_LL:
		payload_link(b, e);
		break;
	case PB_NETWORK:
		payload_net(b, e);
		break;
	case PB_TRANSPORT:
		payload_transport(b, e);
		break;
	default:
		BUG("payload base %d", (int)e->payload.base);
	}
}
