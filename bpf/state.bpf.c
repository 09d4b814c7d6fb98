// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * state: limits, quotas, number generators and time stamps, each in 8 bytes of a map, zero before
 * first use. They decide as the kernel's expressions do for the same clock and the same order of
 * packets; where the kernel takes a lock, here one compare-and-exchange takes the step or tries
 * again.
 */
#include "n2b.h"

/* So many others got in between in a row: does not happen, but the verifier wants an end. */
#define TRIES 64

/*
 * The kernel keeps tokens (in ns) and the time they were counted; their difference is enough: the
 * moment at which the bucket would have been empty. now - *empty is what has run in since. 0: never
 * used, the bucket is full. Result: 1 if the bucket held `cost` and now holds so much less; else 0.
 */
N2B_GLOBAL __u64 n2b_limit(struct bpf_nf_ctx *ctx, __u64 *empty, __u64 cost, __u64 max)
{
	__u64 was, now, tokens, then;

	if (!empty)
		return 0;
#pragma nounroll
	for (int i = 0; i < TRIES; i++) {
		was = *(volatile __u64 *)empty;
		now = bpf_ktime_get_ns();
		tokens = now - was;
		if (!was || tokens > max)
			tokens = max;
		then = (__s64)(tokens - cost) >= 0 ? tokens - cost : tokens;
		if (__sync_val_compare_and_swap(empty, was, now - then) == was)
			return (__s64)(tokens - cost) >= 0;
	}
	return 0;
}

/* Adds len to what was used; 1 if that is more than the quota. */
N2B_GLOBAL __u64 n2b_quota(struct bpf_nf_ctx *ctx, __u64 *used, __u64 len, __u64 quota)
{
	if (!used)
		return 1;
	return __sync_fetch_and_add(used, len) + len > quota;
}

/* 0, 1 ... mod - 1, 0 ...: *next is what comes next. */
N2B_GLOBAL __u64 n2b_numgen(struct bpf_nf_ctx *ctx, __u64 *next, __u32 mod)
{
	__u64 was = 0;

	if (!next)
		return 0;
#pragma nounroll
	for (int i = 0; i < TRIES; i++) {
		was = *(volatile __u64 *)next;
		if (__sync_val_compare_and_swap(next, was, was + 1 < mod ? was + 1 : 0) == was)
			break;
	}
	return was;
}

/* The time since boot, suspend left out, in ns. */
N2B_GLOBAL __u64 n2b_last(struct bpf_nf_ctx *ctx, __u64 *when)
{
	if (when)
		*when = bpf_ktime_get_ns();
	return 0;
}
