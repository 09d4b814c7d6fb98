/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause) */
/*
 * n2b: what the files of the runtime share: reading packets, turning pointers into numbers.
 *
 * Offsets into packets count from skb->data, which at the hooks of IPv4 and IPv6 is the network
 * header.
 */
#ifndef N2B_RUNTIME_H
#define N2B_RUNTIME_H

#include "vmlinux_min.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include "kfuncs.h"

/* Verified on its own, so it costs its callers' verification nothing. */
#define N2B_GLOBAL __attribute__((noinline))

/* Where the caller keeps bytes that are not in the linear part of the packet. */
struct n2b_buf {
	__u8 b[64];
};
struct n2b_buf16 {
	__u8 b[16];
};
struct n2b_buf32 {
	__u8 b[32];
};
struct n2b_buf48 {
	__u8 b[48];
};

/*
 * Keeps the compiler from knowing x, so that the verifier sees the test that was just made of it.
 */
#define n2b_hide(x) asm volatile("" : "+r"(x))

/* The pointer as a number the verifier does not connect with memory any more. */
static __always_inline __u64 n2b_number(const void *p)
{
	volatile __u64 n = 0;

	__sync_fetch_and_add(&n, (__u64)p);
	return n;
}

/*
 * x, of which the verifier then knows nothing but 32 bits (it takes the difference of two loads for
 * any number). What a loop changes goes through this in each round, so that rounds look alike and
 * the verifier is done after the second.
 */
static __always_inline __u32 n2b_forget(struct sk_buff *skb, __u32 x)
{
	__u32 a = *(volatile unsigned int *)&skb->len, b = *(volatile unsigned int *)&skb->len;

	return x + (a - b);
}

/* A load of n (1, 2, 4, 8) bytes at a number. */
#define n2b_at(type, addr)                                                                         \
	(*(const type *)bpf_rdonly_cast((const void *)(addr),                                      \
					bpf_core_type_id_kernel(struct in6_addr)))

/*
 * Copies n bytes (a constant, at most 16) at `off` to dst; false: the packet is too short. The
 * bytes may be in any part of the packet.
 */
static __always_inline bool n2b_bytes(struct sk_buff *skb, __u32 off, void *dst, __u32 n)
{
	__u32 len = skb->len;
	struct bpf_dynptr p;

	if (off > len || len - off < n)
		return false;
	if (bpf_dynptr_from_skb((struct __sk_buff *)skb, 0, &p))
		return false;
	return !bpf_dynptr_read(dst, n, &p, off, 0);
}

/*
 * The 1, 2 or 4 bytes at `off` as they lie in memory; *ok is cleared when the packet is too short.
 * Both ways meet as a number, since the verifier wants one kind of pointer at each load.
 */
#define N2B_READ(bits)                                                                             \
	static __always_inline __u##bits n2b_read##bits(struct sk_buff *skb, __u32 off, bool *ok)  \
	{                                                                                          \
		__u32 len = skb->len;                                                              \
		__u64 at = (__u64)skb->data + off;                                                 \
		__u##bits copy;                                                                    \
                                                                                                   \
		if (off > 0xffffff || off + bits / 8 > len - skb->data_len) {                      \
			if (!n2b_bytes(skb, off, &copy, bits / 8)) {                               \
				*ok = false;                                                       \
				return 0;                                                          \
			}                                                                          \
			at = n2b_number(&copy);                                                    \
		}                                                                                  \
		return n2b_at(__u##bits, at);                                                      \
	}
N2B_READ(8)
N2B_READ(16)
N2B_READ(32)

#endif
