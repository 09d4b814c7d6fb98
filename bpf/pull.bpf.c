// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/* pull: packet bytes outside the linear part of an skb, copied to the caller's stack. */
#include "n2b.h"

static __always_inline __u64 pull(struct bpf_nf_ctx *ctx, __u32 off, __u32 need, void *buf,
				  __u32 size)
{
	struct sk_buff *skb = ctx->skb;
	__u32 len = skb->len, n;
	struct bpf_dynptr p;

	n = off < len ? len - off : 0;
	if (n > need)
		n = need;
	n2b_hide(n);
	if (n > size)
		n = size;
	if (!bpf_dynptr_from_skb((struct __sk_buff *)skb, 0, &p))
		bpf_dynptr_read(buf, n, &p, off, 0);
	return n2b_number(buf);
}

/*
 * Copies bytes [off, min(skb->len, off + need)) into buf, need at most 64, and yields the address
 * of buf as a number; what lies past the end of the packet is left as it is.
 */
N2B_GLOBAL __u64 n2b_pull(struct bpf_nf_ctx *ctx, __u32 off, __u32 need, struct n2b_buf *buf)
{
	return buf ? pull(ctx, off, need, buf, sizeof(*buf)) : 0;
}

/* The same for need of at most 16, 32, 48. */
N2B_GLOBAL __u64 n2b_pull16(struct bpf_nf_ctx *ctx, __u32 off, __u32 need, struct n2b_buf16 *buf)
{
	return buf ? pull(ctx, off, need, buf, sizeof(*buf)) : 0;
}

N2B_GLOBAL __u64 n2b_pull32(struct bpf_nf_ctx *ctx, __u32 off, __u32 need, struct n2b_buf32 *buf)
{
	return buf ? pull(ctx, off, need, buf, sizeof(*buf)) : 0;
}

N2B_GLOBAL __u64 n2b_pull48(struct bpf_nf_ctx *ctx, __u32 off, __u32 need, struct n2b_buf48 *buf)
{
	return buf ? pull(ctx, off, need, buf, sizeof(*buf)) : 0;
}
