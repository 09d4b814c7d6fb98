// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * exthdr: finds IPv6 extension headers, options of IPv4, TCP and DCCP, and SCTP chunks as
 * nf_tables' exthdr expression does.
 *
 * Results: bits 0-31 the offset in the packet, bit 32 found, bits 33-48 (TCP, SCTP) how many bytes
 * are there, so that the caller can tell a field past the end; else 0.
 */
#include "n2b.h"

#define FOUND (1ULL << 32)

#define N2B_FIELD(type, base, st, member)                                                          \
	n2b_at(type, (base) + bpf_core_field_offset(struct st, member))

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

/* -- IPv6 -------------------------------------------------------------------------------------- */

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

/* -- TCP --------------------------------------------------------------------------------------- */

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

/*
 * Option `target` of the TCP header at thoff (the caller knows that it is TCP and no later
 * fragment).
 */
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

/* -- SCTP -------------------------------------------------------------------------------------- */

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
 * The first chunk of kind `target` behind the SCTP header at thoff. Its presence counts even where
 * the packet ends before it does; a field of it is there only if the length reaches over it and the
 * whole chunk is in the packet.
 */
N2B_GLOBAL __u64 n2b_sctp_chunk(struct bpf_nf_ctx *ctx, __u32 thoff, __u32 target)
{
	struct find f = { .ctx = ctx, .off = n2b_forget(ctx->skb, thoff + 12), .target = target };

	bpf_loop(1 << 20, step_sctp, &f, 0);
	return f.found ? f.off | FOUND | (__u64)f.len << 33 : 0;
}

/* -- DCCP -------------------------------------------------------------------------------------- */

static long step_dccp(__u32 i, void *data)
{
	struct find *f = data;
	struct sk_buff *skb = f->ctx->skb;
	bool ok = true;
	__u8 kind, len;

	if (f->off >= f->end)
		return 1;
	kind = n2b_read8(skb, f->off, &ok);
	if (f->off + 1 < f->end) /* both bytes are read, even of an option of one */
		len = n2b_read8(skb, f->off + 1, &ok);
	else
		len = 0;
	if (!ok)
		return 1;
	if (kind == f->target) {
		f->found = 1;
		return 1;
	}
	if (kind < 32)
		len = 1;
	else if (len < 2)
		return 1;
	f->off = n2b_forget(skb, f->off + len);
	return 0;
}

/* Whether the DCCP header at thoff has option `target`. */
N2B_GLOBAL __u64 n2b_dccp_opt(struct bpf_nf_ctx *ctx, __u32 thoff, __u32 target)
{
	struct sk_buff *skb = ctx->skb;
	struct find f = { .ctx = ctx, .target = target };
	bool ok = true;
	__u32 size, len, kind;

	n2b_read8(skb, thoff + 11, &ok);
	size = n2b_read8(skb, thoff + 4, &ok) * 4;
	kind = n2b_read8(skb, thoff + 8, &ok);
	if (!ok || thoff > 0xffff)
		return 0;
	len = 12 + (kind & 1 ? 4 : 0); /* wide sequence numbers */
	kind = kind >> 1 & 15;
	if (kind == 0) /* request */
		len += 4;
	else if (kind == 1 || kind == 5 || kind > 9) /* response, reset, what is not known */
		len += 12;
	else if (kind != 2) /* all but data acknowledge */
		len += 8;
	f.off = n2b_forget(skb, thoff + len);
	f.end = thoff + size;
	bpf_loop(1020, step_dccp, &f, 0);
	return f.found;
}

/* -- IPv4 -------------------------------------------------------------------------------------- */

enum {
	OPT_END,
	OPT_NOOP,
	OPT_RR = 7,
	OPT_TS = 68,
	OPT_LSRR = 131,
	OPT_CIPSO = 134,
	OPT_SSRR = 137,
	OPT_RA = 148
};

struct options {
	struct bpf_nf_ctx *ctx;
	__u32 off, end;
	__u8 bad, strict, capable;
	__u8 srr, rr, ts, ra; /* offsets from the network header; 0: not there */
};

/*
 * Whether the running task has CAP_NET_RAW in the network namespace's user namespace: nf_tables
 * compiles options as if that task had given them, and only such a task may give those that the
 * kernel does not know.
 */
static __always_inline bool net_raw(struct bpf_nf_ctx *ctx)
{
	__u64 cred = N2B_FIELD(__u64, bpf_get_current_task(), task_struct, cred);
	__u64 own = N2B_FIELD(__u64, cred, cred, user_ns), ns = (__u64)ctx->state->net->user_ns;
	__u64 parent;

	for (int i = 0; i < 33 && ns; i++) {
		if (ns == own)
			return N2B_FIELD(__u64, cred, cred, cap_effective) >> 13 & 1;
		if ((__s32)N2B_FIELD(__u32, ns, user_namespace, level) <=
		    (__s32)N2B_FIELD(__u32, own, user_namespace, level))
			return false;
		parent = N2B_FIELD(__u64, ns, user_namespace, parent);
		if (parent == own && N2B_FIELD(__u32, ns, user_namespace, owner) ==
					     N2B_FIELD(__u32, cred, cred, euid))
			return true;
		ns = parent;
	}
	return false;
}

/* A timestamp option of len bytes with pointer `ptr` and flags: can the kernel write on? */
static __always_inline bool timestamp_ok(const struct options *o, __u8 len, __u8 ptr, __u8 flags)
{
	if (len < 4 || ptr < 5)
		return false;
	if (ptr > len)
		return flags >> 4 != 15;
	if (ptr + 3 > len)
		return false;
	switch (flags & 15) {
	case 0:
		return true;
	case 1:
	case 3:
		return ptr + 7 <= len;
	default:
		return o->capable;
	}
}

/*
 * One option with a length at o->off, `at` from the network header; false: the options are
 * malformed.
 */
static __always_inline bool option(struct options *o, __u8 kind, __u8 len, __u8 at)
{
	struct sk_buff *skb = o->ctx->skb;
	bool ok = true;
	__u8 ptr = 0, flags = 0;

	if (len >= 3)
		ptr = n2b_read8(skb, o->off + 2, &ok);
	if (len >= 4)
		flags = n2b_read8(skb, o->off + 3, &ok);
	switch (kind) {
	case OPT_SSRR:
	case OPT_LSRR:
		if (o->srr || ptr != 4 || len < 7 || (len - 3) & 3)
			return false;
		o->strict = kind == OPT_SSRR;
		o->srr = at;
		return true;
	case OPT_RR:
		if (o->rr || len < 3 || ptr < 4 || (ptr <= len && ptr + 3 > len))
			return false;
		o->rr = at;
		return true;
	case OPT_TS:
		if (o->ts || !timestamp_ok(o, len, ptr, flags))
			return false;
		o->ts = at;
		return true;
	case OPT_RA:
		if (len < 4)
			return false;
		if (!ptr && !flags)
			o->ra = at;
		return true;
	/* of a domain that is not defined, as all are unless someone labels packets */
	case OPT_CIPSO:
		return false;
	default:
		return o->capable;
	}
}

static long step_ip4(__u32 i, void *data)
{
	struct options *o = data;
	struct sk_buff *skb = o->ctx->skb;
	bool ok = true;
	__u8 kind, len;

	if (o->off >= o->end)
		return 1;
	kind = n2b_read8(skb, o->off, &ok);
	if (kind == OPT_END)
		return 1;
	if (kind == OPT_NOOP) {
		o->off = n2b_forget(skb, o->off + 1);
		return 0;
	}
	o->bad = 1;
	if (o->off + 1 >= o->end)
		return 1;
	len = n2b_read8(skb, o->off + 1, &ok);
	if (!ok || len < 2 || o->off + len > o->end || !option(o, kind, len, o->off))
		return 1;
	o->bad = 0;
	o->off = n2b_forget(skb, o->off + len);
	return 0;
}

/*
 * Option `target` of the IPv4 header, where all options are well formed. The caller tests that it
 * reads inside the packet.
 */
N2B_GLOBAL __u64 n2b_ip4_opt(struct bpf_nf_ctx *ctx, __u32 target)
{
	struct sk_buff *skb = ctx->skb;
	struct options o = { .ctx = ctx, .off = n2b_forget(skb, 20) };
	bool ok = true;
	__u8 at;

	n2b_read8(skb, 19, &ok);
	o.end = (n2b_read8(skb, 0, &ok) & 15) * 4;
	if (!ok || o.end <= 20 || o.end > skb->len)
		return 0;
	o.capable = net_raw(ctx);
	bpf_loop(40, step_ip4, &o, 0);
	if (o.bad)
		return 0;
	switch (target) {
	case OPT_SSRR:
	case OPT_LSRR:
		at = o.strict == (target == OPT_SSRR) ? o.srr : 0;
		break;
	case OPT_RR:
		at = o.rr;
		break;
	case OPT_RA:
		at = o.ra;
		break;
	default:
		at = 0;
	}
	return at ? at | FOUND : 0;
}
