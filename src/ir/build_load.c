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

/*
 * The fixed part of the network header: always asked for whole, so that all such addresses are one
 * value.
 */
static struct ir_ins *net_header(struct bld *b)
{
	return pkt(b, bw(b, 0), b->c.fn->pf == FAM_IP ? 20 : 40);
}

/* -- packet information ------------------------------------------------------------------------ */

bool expr_needs_info(const struct expr *e)
{
	switch (e->kind) {
	case EX_PAYLOAD:
		return e->payload.base == PB_TRANSPORT || e->payload.base == PB_INNER;
	case EX_EXTHDR:
		return e->exthdr.op == XH_TCPOPT || e->exthdr.op == XH_SCTP ||
		       e->exthdr.op == XH_DCCP;
	case EX_XTNEED:
		return true;
	case EX_META:
		return e->meta.key == KEY_META_L4PROTO;
	case EX_INNER:
		return true;
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
 * Headers that the kernel looks into: hop-by-hop 0, routing 43, fragment 44, authentication 51
 * (where it stops, but two bytes must be there), destination 60. At any other ("none" ends the
 * packet) the transport header begins at 40.
 */
static struct ir_ins *is_walked(struct bld *b, struct ir_ins *nh)
{
	uint64_t bits = 1ull << 0 | 1ull << 43 | 1ull << 44 | 1ull << 51 | 1ull << 60;
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

/* -- payload ----------------------------------------------------------------------------------- */

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

/* len bytes at off of the packet, which starts somewhere; BREAK where the packet is too short. */
static void load_at(struct bld *b, uint32_t w, struct ir_ins *from, uint32_t off, uint32_t len)
{
	struct ir_ins *end = bop(b, IR_ADD, from, bw(b, off + len));

	btest(b, ir_emit2(&b->c, IR_UGE, IR_B, lower_skb_len(b), end));
	load_regs(b, w, pkt(b, off ? bop(b, IR_ADD, from, bw(b, off)) : from, len), 0, len);
}

static void payload_inner(struct bld *b, const struct expr *e)
{
	struct binfo info = lower_info(b);
	struct ir_ins *args[2] = { info.thoff, info.proto }, *from;

	test_transport(b, &info);
	from = brt_found(b, RT_inner, 2, args);
	load_at(b, REG_WORD(e->payload.dreg), from, e->payload.off, e->payload.len);
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

/* Behind the addresses a VLAN tag may be put back: word by word by the runtime. */
static void payload_tagged(struct bld *b, const struct expr *e)
{
	uint32_t off = e->payload.off, len = e->payload.len, w = REG_WORD(e->payload.dreg);

	for (uint32_t k = 0; k < len; k += 4) {
		struct ir_ins *args[3] = { bw(b, off + k), bw(b, MIN(4, len - k)),
					   bw(b, off + len) };

		breg_set(b, w++, brt_found(b, RT_link, 3, args));
	}
}

/*
 * Link layer: in front of the network header, so not in pkt's range; always linear. The Ethernet
 * type of a frame whose VLAN tag the kernel took off is that of the tag.
 */
static void payload_link(struct bld *b, const struct expr *e)
{
	uint32_t off = e->payload.off, len = e->payload.len, w = REG_WORD(e->payload.dreg);
	struct ir_ins *skb = lower_skb(b), *mac, *addr, *tci, *proto, *type;

	if (off + len > 12 && (off != 12 || len != 2)) {
		payload_tagged(b, e);
		return;
	}
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
	case PB_INNER:
		payload_inner(b, e);
		break;
	default:
		BUG("payload base %d", (int)e->payload.base);
	}
}

/* -- what extensions of iptables drop ---------------------------------------------------------- */

static void drop_unless(struct bld *b, struct ir_ins *cond)
{
	struct ir_block *on = ir_block_new(b->c.fn), *drop = ir_block_new(b->c.fn);

	ir_br(&b->c, cond, on, drop);
	b->c.blk->last->imm = 1;
	drop->cold = true;
	b->c.blk = drop;
	ir_ret(&b->c, 0);
	b->c.blk = on;
}

/* The offset of a fragment that begins 8 bytes in, as memory holds it. */
#define FRAG_AT_8 0x0100

void lower_need(struct bld *b, const struct expr *e)
{
	struct binfo info = lower_info(b);
	struct ir_ins *end, *frag;

	if (e->need.strict && !info.flags) {
		frag = bop(b, IR_AND, ir_ldp(&b->c, net_header(b), 6, 2), bw(b, 0xff1f));
		drop_unless(b, bcond(b, IR_NE, frag, FRAG_AT_8));
	}
	test_transport(b, &info);
	end = bop(b, IR_ADD, info.thoff, bw(b, e->need.len));
	drop_unless(b, ir_emit2(&b->c, IR_UGE, IR_B, lower_skb_len(b), end));
}

/* -- inside of a tunnel ------------------------------------------------------------------------ */

enum { INNER_HDRSIZE = 1, INNER_LL = 2, INNER_NH = 4, INNER_TH = 8 };
enum { UDP = 17, GRE = 47 };

/* Bits of what the runtime's tunnel() gives. */
enum { TUN_THOFF = 20, TUN_PROTO = 40, TUN_TH = 48, TUN_IP6 = 49, TUN_VLAN = 50 };

/* Bits [at, at + n) of v, n < 32. */
static struct ir_ins *bits_of(struct bld *b, struct ir_ins *v, uint32_t at, uint32_t n)
{
	if (at)
		v = bop(b, IR_LSHR, v, bl(b, at));
	return band(b, ir_emit1(&b->c, IR_TRUNC, IR_W, v), (1u << n) - 1);
}

static void inner_meta(struct bld *b, const struct expr *e, struct ir_ins *t)
{
	uint32_t w = REG_WORD(e->inner.expr->meta.dreg);
	struct ir_ins *type;

	if (e->inner.expr->meta.key == KEY_META_L4PROTO) {
		btest(b, bcond(b, IR_NE, bits_of(b, t, TUN_TH, 1), 0));
		breg_set(b, w, bits_of(b, t, TUN_PROTO, 8));
		return;
	}
	if (!(e->inner.flags & (INNER_LL | INNER_NH))) {
		breg_set(b, w, bw(b, 0));
		return;
	}
	/* As memory holds them: 0x8100, 0x86dd, 0x0800. */
	type = bsel(b, bcond(b, IR_NE, bits_of(b, t, TUN_IP6, 1), 0), bw(b, 0xdd86), bw(b, 0x0008));
	type = bsel(b, bcond(b, IR_NE, bits_of(b, t, TUN_VLAN, 1), 0), bw(b, 0x0081), type);
	breg_set(b, w, type);
}

/* Where the header begins that an inner load counts from; NULL: BREAK, always. */
static struct ir_ins *inner_base(struct bld *b, const struct expr *e, const struct binfo *info,
				 struct ir_ins *off, struct ir_ins *t)
{
	uint32_t flags = e->inner.flags;
	struct ir_ins *vlan;

	switch (e->inner.expr->payload.base) {
	case PB_TUN:
		if (!(flags & INNER_HDRSIZE))
			return NULL;
		return bsel(b, bcond(b, IR_EQ, info->proto, GRE), info->thoff, off);
	case PB_LL:
		if (!(flags & INNER_LL))
			return NULL;
		vlan = bop(b, IR_SHL, bits_of(b, t, TUN_VLAN, 1), bw(b, 2));
		off = bop(b, IR_SUB, bits_of(b, t, 0, TUN_THOFF), vlan);
		return bop(b, IR_SUB, off, bw(b, 14));
	case PB_NETWORK:
		if (!(flags & (INNER_LL | INNER_NH)))
			return NULL;
		return bits_of(b, t, 0, TUN_THOFF);
	case PB_TRANSPORT:
		btest(b, bcond(b, IR_NE, bits_of(b, t, TUN_TH, 1), 0));
		return bits_of(b, t, TUN_THOFF, TUN_PROTO - TUN_THOFF);
	default:
		BUG("inner payload base %d", (int)e->inner.expr->payload.base);
	}
}

void lower_inner(struct bld *b, const struct expr *e)
{
	struct binfo info = lower_info(b);
	struct ir_ins *args[3] = { info.thoff, info.proto }, *off, *t, *from;

	test_transport(b, &info);
	off = brt_found(b, RT_inner, 2, args);
	args[0] = off;
	args[2] = bw(b, (e->inner.type & 0xff) | (e->inner.hdrsize & 0xff) << 8 |
				e->inner.flags << 16);
	t = brt(b, true, RT_tunnel, 3, args);
	btest(b, bcond(b, IR_NE, t, 0));
	if (e->inner.expr->kind == EX_META) {
		inner_meta(b, e, t);
		return;
	}
	from = inner_base(b, e, &info, off, t);
	if (from)
		load_at(b, REG_WORD(e->inner.expr->payload.dreg), from, e->inner.expr->payload.off,
			e->inner.expr->payload.len);
	else
		bbreak(b);
}

/* -- exthdr ------------------------------------------------------------------------------------ */

/* Ethernet types as memory holds them: 0x86dd, 0x0800. */
#define ETH_P_IPV6_MEM 0xdd86
#define ETH_P_IP_MEM   0x0008
enum { TCP = 6, DCCP = 33, SCTP = 132 };

/* Its presence as 0 or 1 where that is asked for, else BREAK if it is not there. */
static void header_result(struct bld *b, const struct expr *e, struct ir_ins *found)
{
	uint32_t w = REG_WORD(e->exthdr.dreg);

	if (e->exthdr.flags & 1)
		breg_set(b, w, ir_emit1(&b->c, IR_B2W, IR_W, found));
	else
		btest(b, found);
}

/* What is in the network header or right behind it: of packets of that family alone. */
static void exthdr_net(struct bld *b, const struct expr *e, bool ip6)
{
	struct ir_ins *kind = bw(b, e->exthdr.type), *proto, *r;

	proto = ir_ldf(&b->c, FLD_skb_protocol, lower_skb(b), 0);
	btest(b, bcond(b, IR_EQ, proto, ip6 ? ETH_P_IPV6_MEM : ETH_P_IP_MEM));
	if (b->c.fn->pf != (ip6 ? FAM_IP6 : FAM_IP)) {
		bbreak(b);
		return;
	}
	r = brt(b, true, ip6 ? RT_ip6_find : RT_ip4_opt, 1, &kind);
	header_result(b, e, bcond(b, IR_UGE, r, 1ull << 32));
	if (!(e->exthdr.flags & 1))
		load_at(b, REG_WORD(e->exthdr.dreg), ir_emit1(&b->c, IR_TRUNC, IR_W, r),
			e->exthdr.off, e->exthdr.len);
}

/*
 * Where the packet has no such protocol, 0 for presence, else BREAK: a join of the way with and the
 * way without header.
 */
static struct ir_ins *find_header(struct bld *b, const struct expr *e, enum ir_rt fn,
				  struct ir_ins *is_proto, struct ir_ins *thoff)
{
	struct ir_block *look, *join;
	struct ir_ins *args[2] = { thoff, bw(b, e->exthdr.type) }, *r;

	if (!(e->exthdr.flags & 1)) {
		btest(b, is_proto);
		return brt(b, true, fn, 2, args);
	}
	look = ir_block_new(b->c.fn);
	join = ir_block_new(b->c.fn);
	ir_br(&b->c, is_proto, look, join);
	b->c.blk = look;
	r = brt(b, true, fn, 2, args);
	ir_jmp(&b->c, join);
	b->c.blk = join;
	return ir_emit2(&b->c, IR_PHI, IR_L, bl(b, 0), r);
}

/* No later fragment of a packet whose transport header is known. */
static struct ir_ins *first_part(struct bld *b, const struct binfo *info)
{
	struct ir_ins *frag;

	if (info->flags)
		return bcond(b, IR_EQ, info->flags, 2);
	frag = ir_ldp(&b->c, net_header(b), 6, 2);
	return bcond(b, IR_EQ, bop(b, IR_AND, frag, bw(b, 0xff1f)), 0);
}

/* The length that the runtime found: bits 33 to 48. */
static struct ir_ins *found_len(struct bld *b, struct ir_ins *r)
{
	r = ir_emit1(&b->c, IR_TRUNC, IR_W, bop(b, IR_LSHR, r, bl(b, 33)));
	return band(b, r, 0xffff);
}

/* A field past the end of its option is not there, and with it the option. */
static void exthdr_tcp(struct bld *b, const struct expr *e)
{
	struct binfo info = lower_info(b);
	struct ir_ins *is_tcp, *r, *found;

	is_tcp = bop(b, IR_AND, bcond(b, IR_EQ, info.proto, TCP), first_part(b, &info));
	r = find_header(b, e, RT_tcp_opt, is_tcp, info.thoff);
	found = bop(b, IR_AND, bcond(b, IR_UGE, r, 1ull << 32),
		    bcond(b, IR_UGE, found_len(b, r), e->exthdr.off + e->exthdr.len));
	header_result(b, e, found);
	if (!(e->exthdr.flags & 1))
		load_at(b, REG_WORD(e->exthdr.dreg), ir_emit1(&b->c, IR_TRUNC, IR_W, r),
			e->exthdr.off, e->exthdr.len);
}

/* Fragments are not looked at. A field is there if its chunk reaches over it and is whole. */
static void exthdr_sctp(struct bld *b, const struct expr *e)
{
	struct binfo info = lower_info(b);
	struct ir_ins *r, *len, *off;

	r = find_header(b, e, RT_sctp_chunk, bcond(b, IR_EQ, info.proto, SCTP), info.thoff);
	header_result(b, e, bcond(b, IR_UGE, r, 1ull << 32));
	if (e->exthdr.flags & 1)
		return;
	len = found_len(b, r);
	off = ir_emit1(&b->c, IR_TRUNC, IR_W, r);
	btest(b, bcond(b, IR_UGE, len, e->exthdr.off + e->exthdr.len));
	btest(b, ir_emit2(&b->c, IR_UGE, IR_B, lower_skb_len(b), bop(b, IR_ADD, off, len)));
	load_at(b, REG_WORD(e->exthdr.dreg), off, e->exthdr.off, e->exthdr.len);
}

/* Its presence alone can be asked for. */
static void exthdr_dccp(struct bld *b, const struct expr *e)
{
	struct binfo info = lower_info(b);
	struct ir_ins *is_dccp, *r;

	is_dccp = bop(b, IR_AND, bcond(b, IR_EQ, info.proto, DCCP), first_part(b, &info));
	r = find_header(b, e, RT_dccp_opt, is_dccp, info.thoff);
	header_result(b, e, bcond(b, IR_NE, r, 0));
}

void lower_exthdr(struct bld *b, const struct expr *e)
{
	switch (e->exthdr.op) {
	case XH_IPV6:
	case XH_IPV4:
		exthdr_net(b, e, e->exthdr.op == XH_IPV6);
		break;
	case XH_DCCP:
		exthdr_dccp(b, e);
		break;
	case XH_TCPOPT:
		exthdr_tcp(b, e);
		break;
	case XH_SCTP:
		exthdr_sctp(b, e);
		break;
	default:
		BUG("exthdr op %d", (int)e->exthdr.op);
	}
}
