// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * exthdr: finds IPv6 extension headers, TCP options and SCTP chunks as nf_tables' exthdr expression does.
 *
 * Results: bits 0-31 the offset in the packet, bit 32 found, bits 33-48 (TCP, SCTP) how many bytes are there, so that the caller
 * can tell a field past the end; else 0.
 */
#include "n2b.h"

#define FOUND (1ULL << 32)

enum {
	NH_HOP = 0,
	NH_ROUTING = 43,
	NH_FRAGMENT = 44,
	NH_AUTH = 51,
	NH_NONE = 59,
	NH_DEST = 60,
};

static __always_inline bool is_ext(__u8 nh)
{
	return nh == NH_HOP || nh == NH_ROUTING || nh == NH_FRAGMENT || nh == NH_AUTH ||
	       nh == NH_NONE || nh == NH_DEST;
}

struct find {
	struct bpf_nf_ctx *ctx;
	__u32 off;    /* of what comes */
	__u32 end;    /* of the TCP header */
	__u8 nexthdr; /* IPv6: its kind */
	__u8 target;  /* what is looked for */
	__u8 found;
	__u16 len; /* of what was found */
};

/* -- IPv6 ---------------------------------------------------------------------------------------------------- */

static long step6(__u32 i, void *data)
{
	struct find *f = data;
	struct sk_buff *skb = f->ctx->skb;
	__u8 nh = f->nexthdr;
	__u16 head, frag = 0;
	bool ok = true;

	/* The end of the chain counts as found without a look at it, as for the kernel. */
	if (!is_ext(nh) || nh == NH_NONE) {
		f->found = nh == f->target;
		return 1;
	}
	head = n2b_read16(skb, f->off, &ok);
	if (nh == NH_ROUTING || nh == NH_FRAGMENT)
		frag = n2b_read16(skb, f->off + 2, &ok);
	if (!ok)
		return 1;
	if (nh == f->target) {
		f->found = 1;
		return 1;
	}
	head = bpf_ntohs(head);
	if (nh == NH_FRAGMENT) {
		if (bpf_ntohs(frag) & ~7)
			return 1;
		f->off = n2b_forget(skb, f->off + 8);
	} else if (nh == NH_AUTH) {
		f->off = n2b_forget(skb, f->off + (((head & 0xff) + 2) << 2));
	} else {
		f->off = n2b_forget(skb, f->off + (((head & 0xff) + 1) << 3));
	}
	f->nexthdr = head >> 8;
	return 0;
}

/* The first header of kind `target`. The caller tests that it reads inside the packet. */
N2B_GLOBAL __u64 n2b_ip6_find(struct bpf_nf_ctx *ctx, __u32 target)
{
	struct find f = { .ctx = ctx, .off = n2b_forget(ctx->skb, 40), .target = target };
	bool ok = true;

	f.nexthdr = n2b_read8(ctx->skb, 6, &ok);
	if (!ok)
		return 0;
	bpf_loop(1 << 20, step6, &f, 0);
	return f.found ? f.off | FOUND : 0;
}

/* -- TCP ----------------------------------------------------------------------------------------------------- */

static long step_tcp(__u32 i, void *data)
{
	struct find *f = data;
	struct sk_buff *skb = f->ctx->skb;
	bool ok = true;
	__u16 head;
	__u8 kind, len;

	if (f->off + 1 >= f->end)
		return 1;
	head = bpf_ntohs(n2b_read16(skb, f->off, &ok));
	if (!ok)
		return 1;
	kind = head >> 8;
	len = head & 0xff;
	if (kind <= 1 || !len) /* end, padding and empty options are one byte */
		len = 1;
	if (kind == f->target) {
		f->found = f->off + len <= f->end;
		f->len = len;
		return 1;
	}
	f->off = n2b_forget(skb, f->off + len);
	return 0;
}

/* Option `target` of the TCP header at thoff (the caller knows that it is TCP and no later fragment). */
N2B_GLOBAL __u64 n2b_tcp_opt(struct bpf_nf_ctx *ctx, __u32 thoff, __u32 target)
{
	struct sk_buff *skb = ctx->skb;
	struct find f = { .ctx = ctx, .off = n2b_forget(ctx->skb, thoff + 20), .target = target };
	bool ok = true;
	__u32 size;

	size = n2b_read8(skb, thoff + 12, &ok) >> 4 << 2;
	f.end = thoff + size;
	if (!ok || size < 20 || thoff > 0xffff || f.end > skb->len)
		return 0;
	bpf_loop(40, step_tcp, &f, 0);
	return f.found ? f.off | FOUND | (__u64)f.len << 33 : 0;
}

/* -- SCTP ---------------------------------------------------------------------------------------------------- */

static long step_sctp(__u32 i, void *data)
{
	struct find *f = data;
	struct sk_buff *skb = f->ctx->skb;
	bool ok = true;
	__u32 head = bpf_ntohl(n2b_read32(skb, f->off, &ok));

	if (!ok || !(head & 0xffff))
		return 1;
	if (head >> 24 == f->target) {
		f->found = 1;
		f->len = head;
		return 1;
	}
	f->off = n2b_forget(skb, f->off + (((head & 0xffff) + 3) & ~3));
	return f->off >= skb->len;
}

/*
 * The first chunk of kind `target` behind the SCTP header at thoff. Its presence counts even where the packet ends before it does; a field of
 * it is there only if the length reaches over it and the whole chunk is in the packet.
 */
N2B_GLOBAL __u64 n2b_sctp_chunk(struct bpf_nf_ctx *ctx, __u32 thoff, __u32 target)
{
	struct find f = { .ctx = ctx, .off = n2b_forget(ctx->skb, thoff + 12), .target = target };

	bpf_loop(1 << 20, step_sctp, &f, 0);
	return f.found ? f.off | FOUND | (__u64)f.len << 33 : 0;
}
