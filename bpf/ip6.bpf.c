// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * ip6: the walk over IPv6 extension headers, with the results that nf_tables' packet information
 * has; and the headers inside of a tunnel, which end in the same walk.
 */
#include "n2b.h"

enum {
	NH_HOP = 0,
	NH_ROUTING = 43,
	NH_FRAGMENT = 44,
	NH_AUTH = 51,
	NH_NONE = 59,
	NH_DEST = 60,
};

/*
 * Every header has 8 bytes or more, and past offset 65535 the packet counts as without transport
 * header.
 */
#define MAX_HEADERS 8192

struct walk {
	struct bpf_nf_ctx *ctx;
	__u32 off;    /* of the header that comes */
	__u8 nexthdr; /* its kind */
	__u8 bad;
	__u16 fragoff;
};

static __always_inline bool is_ext(__u8 nh)
{
	return nh == NH_HOP || nh == NH_ROUTING || nh == NH_FRAGMENT || nh == NH_AUTH ||
	       nh == NH_NONE || nh == NH_DEST;
}

/* One header; 1 ends the walk. */
static long step(__u32 i, void *data)
{
	struct walk *w = data;
	struct sk_buff *skb = w->ctx->skb;
	bool ok = true;
	__u16 head, frag;
	__u8 next, nh = w->nexthdr;

	if (!is_ext(nh) || nh == NH_NONE)
		return 1;
	head = n2b_read16(skb, w->off, &ok);
	if (nh == NH_ROUTING)
		n2b_read16(skb, w->off + 2, &ok); /* the rest of its fixed part must be there */
	frag = nh == NH_FRAGMENT ? n2b_read16(skb, w->off + 2, &ok) : 0;
	if (!ok) {
		w->bad = 1;
		return 1;
	}
	next = bpf_ntohs(head) >> 8;
	if (nh == NH_FRAGMENT) {
		frag = bpf_ntohs(frag) & ~7;
		if (frag) {
			/*
			 * A later fragment: what follows is no header. Known only if the chain ends
			 * here.
			 */
			w->bad = is_ext(next) && next != NH_NONE;
			w->fragoff = frag;
			w->nexthdr = next;
			w->off = 0;
			return 1;
		}
		w->off = n2b_forget(skb, w->off + 8);
	} else if (nh == NH_AUTH) {
		return 1;
	} else {
		w->off = n2b_forget(skb, w->off + (((bpf_ntohs(head) & 0xff) + 1) << 3));
	}
	w->nexthdr = next;
	return 0;
}

/* The walk from the IPv6 header at nhoff; see n2b_ip6_walk. */
static __always_inline __u64 walk_from(struct bpf_nf_ctx *ctx, __u32 nhoff)
{
	struct walk w = { .ctx = ctx, .off = n2b_forget(ctx->skb, nhoff + 40) };
	bool ok = true;

	w.nexthdr = n2b_read8(ctx->skb, nhoff + 6, &ok);
	if (!ok)
		return 0;
	bpf_loop(MAX_HEADERS, step, &w, 0);
	if (w.bad || w.off > 0xffff)
		return 0;
	return w.off | (__u64)w.nexthdr << 16 | (__u64)(w.fragoff != 0) << 24 | 1ULL << 25;
}

/*
 * Result: bits 0-15 offset of the transport header, 16-23 its protocol, 24 a later fragment, 25 all
 * this is known (else the packet has no transport protocol for nf_tables). A later fragment has
 * offset 0.
 */
N2B_GLOBAL __u64 n2b_ip6_walk(struct bpf_nf_ctx *ctx)
{
	return walk_from(ctx, 0);
}

/* -- inside of a tunnel ------------------------------------------------------------------------ */

enum { INNER_HDRSIZE = 1, INNER_LL = 2, INNER_NH = 4, INNER_TH = 8 };
enum { INNER_GENEVE = 2 };
enum { IPPROTO_UDP = 17, IPPROTO_GRE = 47 };
#define ETH_P_IP    0x0800
#define ETH_P_IPV6  0x86dd
#define ETH_P_8021Q 0x8100

/* Bits of the result. */
#define TUN_THOFF 20
#define TUN_PROTO 40
#define TUN_TH	  (1ULL << 48)
#define TUN_IP6	  (1ULL << 49)
#define TUN_VLAN  (1ULL << 50)
#define TUN_FOUND (1ULL << 51)

/* The IPv4 or IPv6 header at nhoff, which is inside of the packet's first megabyte. */
static __always_inline __u64 inner_net(struct bpf_nf_ctx *ctx, __u32 nhoff, bool ip6)
{
	struct sk_buff *skb = ctx->skb;
	__u64 r = nhoff | TUN_FOUND, walk;
	bool ok = true;
	__u32 head = n2b_read8(skb, nhoff, &ok), last, frag, proto;

	n2b_read8(skb, nhoff + (ip6 ? 39 : 19), &ok); /* the fixed part must be there */
	if (!ok || head >> 4 != (ip6 ? 6 : 4))
		return 0;
	if (ip6) {
		walk = walk_from(ctx, nhoff);
		if (!walk)
			return 0;
		r |= TUN_IP6;
		if (!(walk >> 24 & 1))
			r |= (walk & 0xffff) << TUN_THOFF | (walk >> 16 & 0xff) << TUN_PROTO |
			     TUN_TH;
		return r;
	}
	if ((head & 15) < 5)
		return 0;
	frag = bpf_ntohs(n2b_read16(skb, nhoff + 6, &ok));
	proto = n2b_read8(skb, nhoff + 9, &ok);
	last = nhoff + (head & 15) * 4;
	if (!(frag & 0x1fff))
		r |= (__u64)last << TUN_THOFF | (__u64)proto << TUN_PROTO | TUN_TH;
	return r;
}

/*
 * What is inside of a tunnel that begins at inneroff, behind the outer transport header (protocol
 * proto); kind: type | header bytes << 8 | flags << 16, as nf_tables' inner expression has them.
 * Bits 0-19 network header, 20-39 transport header (both from the packet's start), 40-47 its
 * protocol, 48 there is one, 49 IPv6, 50 behind a VLAN tag, 51 all well; else 0.
 */
N2B_GLOBAL __u64 n2b_tunnel(struct bpf_nf_ctx *ctx, __u32 inneroff, __u32 proto, __u32 kind)
{
	struct sk_buff *skb = ctx->skb;
	__u32 off = inneroff, flags = kind >> 16;
	__u64 vlan = 0, r;
	bool ok = true;
	__u16 type;

	if (flags & INNER_HDRSIZE && proto != IPPROTO_GRE) {
		if (proto != IPPROTO_UDP)
			return 0;
		off += kind >> 8 & 0xff;
		if ((kind & 0xff) == INNER_GENEVE) {
			n2b_read8(skb, inneroff + 7, &ok);
			off += (n2b_read8(skb, inneroff, &ok) & 63) * 4;
		}
	}
	if (!ok || off > 0xf0000)
		return 0;
	if (flags & INNER_LL) {
		type = bpf_ntohs(n2b_read16(skb, off + 12, &ok));
		off += 14;
		if (type == ETH_P_8021Q) {
			type = bpf_ntohs(n2b_read16(skb, off + 2, &ok));
			off += 4;
			vlan = TUN_VLAN;
		}
		if (!ok || (type != ETH_P_IP && type != ETH_P_IPV6))
			return 0;
	} else if (flags & INNER_NH) {
		n2b_read8(skb, off + 3, &ok);
		type = n2b_read8(skb, off, &ok) >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
		if (!ok)
			return 0;
	} else {
		return off | TUN_FOUND | (flags & INNER_TH ? (__u64)off << TUN_THOFF | TUN_TH : 0);
	}
	r = inner_net(ctx, off, type == ETH_P_IPV6);
	return r ? r | vlan : 0;
}
