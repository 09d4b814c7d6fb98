// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * conn: what conntrack keeps of a connection outside of struct nf_conn's own fields: counters,
 * labels, the helper. The caller knows that the packet has an entry.
 */
#include "n2b.h"

#define N2B_FIELD(type, base, st, member)                                                          \
	n2b_at(type, (base) + bpf_core_field_offset(struct st, member))

extern unsigned int CONFIG_HZ __kconfig;

static __always_inline __u64 entry(struct bpf_nf_ctx *ctx)
{
	return ctx->skb->_nfct & ~7UL;
}

/* Extension `id` of the entry; 0: it has none. */
static __always_inline __u64 extension(__u64 ct, __u32 id)
{
	__u64 ext = N2B_FIELD(__u64, ct, nf_conn, ext);
	__u8 off;

	if (!ext)
		return 0;
	off = n2b_at(__u8, ext + bpf_core_field_offset(struct nf_ct_ext, offset) + id);
	return off ? ext + off : 0;
}

#define EXTENSION(ct, id)                                                                          \
	(bpf_core_enum_value_exists(enum nf_ct_ext_id, id)                                         \
		 ? extension(ct, bpf_core_enum_value(enum nf_ct_ext_id, id))                       \
		 : 0)

static __always_inline __u64 count(__u64 acct, __u32 dir, bool bytes)
{
	acct += dir * bpf_core_type_size(struct nf_conn_counter);
	return bytes ? N2B_FIELD(__u64, acct, nf_conn_counter, bytes)
		     : N2B_FIELD(__u64, acct, nf_conn_counter, packets);
}

static __always_inline __u64 counts(__u64 acct, __u32 dir, bool bytes)
{
	return dir < 2 ? count(acct, dir, bytes) : count(acct, 0, bytes) + count(acct, 1, bytes);
}

/* Packets (what 0), bytes (1), bytes a packet (2) of direction 0, 1 or both (2). */
N2B_GLOBAL __u64 n2b_ct_count(struct bpf_nf_ctx *ctx, __u32 what, __u32 dir)
{
	__u64 acct = EXTENSION(entry(ctx), NF_CT_EXT_ACCT), packets;

	if (!acct)
		return 0;
	if (what < 2)
		return counts(acct, dir, what);
	packets = counts(acct, dir, false);
	return packets ? counts(acct, dir, true) / packets : 0;
}

/* Bits 0 to 63 of the labels (half 0) or 64 to 127 (1). */
N2B_GLOBAL __u64 n2b_ct_label(struct bpf_nf_ctx *ctx, __u32 half)
{
	__u64 labels = EXTENSION(entry(ctx), NF_CT_EXT_LABELS);

	return labels ? n2b_at(__u64, labels + (half & 1) * 8) : 0;
}

/*
 * The first 8 bytes (half 0) or the next (1) of the name of the helper that expected this
 * connection; 0: none did.
 */
N2B_GLOBAL __u64 n2b_ct_helper(struct bpf_nf_ctx *ctx, __u32 half)
{
	__u64 master = N2B_FIELD(__u64, entry(ctx), nf_conn, master), help, helper;

	help = master ? EXTENSION(master, NF_CT_EXT_HELPER) : 0;
	helper = help ? N2B_FIELD(__u64, help, nf_conn_help, helper) : 0;
	if (!helper)
		return 0;
	return n2b_at(__u64, helper + bpf_core_field_offset(struct nf_conntrack_helper, name) +
				     (half & 1) * 8);
}

/* Until the entry expires, in ms. */
N2B_GLOBAL __u64 n2b_ct_expiration(struct bpf_nf_ctx *ctx)
{
	__u32 left = N2B_FIELD(__u32, entry(ctx), nf_conn, timeout) - (__u32)bpf_jiffies64();
	__u32 hz = CONFIG_HZ;

	if ((__s32)left < 0 || !hz)
		return 0;
	return (__u32)(((__u64)left * 1000 + hz - 1) / hz);
}
