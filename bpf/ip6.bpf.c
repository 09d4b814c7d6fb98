// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/* ip6: the walk over IPv6 extension headers, with the results that nf_tables' packet information has. */
#include "n2b.h"

enum {
	NH_HOP = 0,
	NH_ROUTING = 43,
	NH_FRAGMENT = 44,
	NH_AUTH = 51,
	NH_NONE = 59,
	NH_DEST = 60,
};

/* Every header has 8 bytes or more, and past offset 65535 the packet counts as without transport header. */
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
			/* A later fragment: what follows is no header. Known only if the chain ends here. */
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

/*
 * Result: bits 0-15 offset of the transport header, 16-23 its protocol, 24 a later fragment, 25 all this is known (else the
 * packet has no transport protocol for nf_tables). A later fragment has offset 0.
 */
N2B_GLOBAL __u64 n2b_ip6_walk(struct bpf_nf_ctx *ctx)
{
	struct walk w = { .ctx = ctx, .off = n2b_forget(ctx->skb, 40) };
	bool ok = true;

	w.nexthdr = n2b_read8(ctx->skb, 6, &ok);
	if (!ok)
		return 0;
	bpf_loop(MAX_HEADERS, step, &w, 0);
	if (w.bad || w.off > 0xffff)
		return 0;
	return w.off | (__u64)w.nexthdr << 16 | (__u64)(w.fragoff != 0) << 24 | 1ULL << 25;
}
