// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * elem: new elements of sets that packets fill. A function here gets a map from its caller, which
 * only a static one can; it is verified with each of them.
 *
 * A value begins with the time of bpf_ktime_get_ns() at which the element expires, 0: never, 1:
 * someone is taking it out.
 */
#include "n2b.h"

#define SWEEP_NS 1000000000ull /* the kernel's sets, too, look for what has expired once a second */
#define TRIES	 8	       /* others add and take out the same element at the same time */
#define EEXIST	 17

static long take_out_expired(void *map, void *key, __u64 *expiry, __u64 *now)
{
	if (*expiry && *expiry <= *now)
		bpf_map_delete_elem(map, key);
	return 0;
}

/* 1 if elements that had expired were looked for. *swept: when they were last. */
static __always_inline int sweep(void *map, __u64 *swept)
{
	__u64 now = bpf_ktime_get_ns(), was;

	if (!swept)
		return 0;
	was = *(volatile __u64 *)swept;
	if ((was && now - was < SWEEP_NS) || __sync_val_compare_and_swap(swept, was, now) != was)
		return 0;
	bpf_for_each_map_elem(map, take_out_expired, &now, 0);
	return 1;
}

/*
 * The element with that key, which was not there a moment ago: made with this value, or by another
 * CPU just now. NULL: the set is full. swept: a state of the set's own where its elements time out,
 * else NULL.
 */
static __attribute__((noinline, used)) __u64 *n2b_make(void *map, const void *key,
						       const void *value, __u64 *swept)
{
	__u64 *e, until;

#pragma nounroll
	for (int i = 0; i < TRIES; i++) {
		long err = bpf_map_update_elem(map, key, value, BPF_NOEXIST);

		if (err && err != -EEXIST) {
			if (!sweep(map, swept))
				return NULL;
			continue;
		}
		e = bpf_map_lookup_elem(map, key);
		if (!e)
			continue;
		until = *(volatile __u64 *)e;
		if (!until || until > bpf_ktime_get_ns())
			return e;
		/* one CPU takes an old element out, once: never another's new one */
		if (until != 1 && __sync_val_compare_and_swap(e, until, 1) == until)
			bpf_map_delete_elem(map, key);
	}
	return NULL;
}
