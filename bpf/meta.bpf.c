// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * meta: what nf_tables reads beside the packet and a program reaches only over several structures:
 * the socket's owner, the route, the wall clock, the link layer with its VLAN tag put back.
 *
 * Results of 32 bits that may be missing carry bit 32 when they are there. Structures are read
 * through their addresses as numbers: an address that does not exist gives 0.
 */
#include "n2b.h"

#define FOUND (1ULL << 32)

#define N2B_FIELD(type, base, st, member)                                                          \
	n2b_at(type, (base) + bpf_core_field_offset(struct st, member))

/* -- sockets ----------------------------------------------------------------------------------- */

enum { TIME_WAIT = 6, NEW_SYN_RECV = 12 };

/*
 * The packet's full socket, of a request its listener, if it belongs to the hook's network
 * namespace; else 0.
 */
static __always_inline __u64 full_sk(struct bpf_nf_ctx *ctx)
{
	__u64 sk = (__u64)ctx->skb->sk, net = (__u64)ctx->state->net;
	__u8 state;

	if (!sk)
		return 0;
	state = N2B_FIELD(__u8, sk, sock, __sk_common.skc_state);
	if (state == NEW_SYN_RECV) {
		sk = N2B_FIELD(__u64, sk, sock, __sk_common.skc_listener);
		state = N2B_FIELD(__u8, sk, sock, __sk_common.skc_state);
	}
	if (!sk || state == TIME_WAIT || state == NEW_SYN_RECV)
		return 0;
	return N2B_FIELD(__u64, sk, sock, __sk_common.skc_net) == net ? sk : 0;
}

/* An identity of the whole system as the user namespace of the network namespace calls it. */
static __always_inline __u32 munged(__u64 map, __u32 id)
{
	__u32 n = N2B_FIELD(__u32, map, uid_gid_map, nr_extents);
	__u64 e = map + bpf_core_field_offset(struct uid_gid_map, extent);

	if (n > 5) /* sorted by the inner number elsewhere; by the outer one here */
		e = N2B_FIELD(__u64, map, uid_gid_map, reverse);
	if (n > 340)
		n = 340;
	for (__u32 i = 0; i < 340 && i < n; i++) {
		__u32 first = N2B_FIELD(__u32, e, uid_gid_extent, first);
		__u32 lower = N2B_FIELD(__u32, e, uid_gid_extent, lower_first);
		__u32 count = N2B_FIELD(__u32, e, uid_gid_extent, count);

		if (id >= lower && id - lower < count)
			return id - lower + first;
		e += bpf_core_type_size(struct uid_gid_extent);
	}
	return 65534;
}

/* The owner (group 0) or group (1) of the socket's file, as it was when the file was opened. */
N2B_GLOBAL __u64 n2b_sk_owner(struct bpf_nf_ctx *ctx, __u32 group)
{
	__u64 sk = full_sk(ctx), sock, file, cred, ns;
	__u32 id;

	sock = sk ? N2B_FIELD(__u64, sk, sock, sk_socket) : 0;
	file = sock ? N2B_FIELD(__u64, sock, socket, file) : 0;
	if (!file)
		return 0;
	cred = N2B_FIELD(__u64, file, file, f_cred);
	ns = (__u64)ctx->state->net->user_ns;
	if (group) {
		id = N2B_FIELD(__u32, cred, cred, fsgid);
		ns += bpf_core_field_offset(struct user_namespace, gid_map);
	} else {
		id = N2B_FIELD(__u32, cred, cred, fsuid);
		ns += bpf_core_field_offset(struct user_namespace, uid_map);
	}
	return munged(ns, id) | FOUND;
}

/* The class of the socket's net_cls cgroup. */
N2B_GLOBAL __u64 n2b_sk_class(struct bpf_nf_ctx *ctx)
{
	__u64 sk = full_sk(ctx);

	if (!sk || !bpf_core_field_exists(struct sock_cgroup_data, classid))
		return 0;
	return N2B_FIELD(__u32, sk, sock, sk_cgrp_data.classid) | FOUND;
}

/* A bit of a structure at an address, wherever the kernel has it. */
#define N2B_BIT(base, st, member)                                                                  \
	(n2b_at(__u64, (base) + __builtin_preserve_field_info(((struct st *)0)->member,            \
							      BPF_FIELD_BYTE_OFFSET))              \
		 << __builtin_preserve_field_info(((struct st *)0)->member,                        \
						  BPF_FIELD_LSHIFT_U64) >>                         \
	 63)

#define INET_TRANSPARENT 15

static __always_inline bool transparent(__u64 sk, __u8 state)
{
	if (state == TIME_WAIT)
		return N2B_BIT(sk, inet_timewait_sock, tw_transparent);
	if (state == NEW_SYN_RECV)
		return N2B_BIT(sk, inet_request_sock, no_srccheck);
	if (bpf_core_field_exists(struct inet_sock, inet_flags))
		return N2B_FIELD(__u64, sk, inet_sock, inet_flags) >> INET_TRANSPARENT & 1;
	return N2B_BIT(sk, inet_sock___bits, transparent);
}

/*
 * What nf_tables' socket expression finds (key: transparent 0, mark 1, wildcard 2) where it has no
 * device to look a socket up for: at the output hook.
 */
N2B_GLOBAL __u64 n2b_socket(struct bpf_nf_ctx *ctx, __u32 key, __u32 ip6)
{
	__u64 sk = (__u64)ctx->skb->sk, net = (__u64)ctx->state->net, any;
	__u8 state;

	if (!sk || N2B_FIELD(__u64, sk, sock, __sk_common.skc_net) != net)
		return 0;
	state = N2B_FIELD(__u8, sk, sock, __sk_common.skc_state);
	if (key == 0)
		return transparent(sk, state) | FOUND;
	if (state == TIME_WAIT || state == NEW_SYN_RECV)
		return 0;
	if (key == 1)
		return N2B_FIELD(__u32, sk, sock, sk_mark) | FOUND;
	if (!ip6)
		return (N2B_FIELD(__u32, sk, sock, __sk_common.skc_rcv_saddr) == 0) | FOUND;
	any = sk + bpf_core_field_offset(struct sock, __sk_common.skc_v6_rcv_saddr);
	return ((n2b_at(__u64, any) | n2b_at(__u64, any + 8)) == 0) | FOUND;
}

/* -- the skb ----------------------------------------------------------------------------------- */

/* The index of the port of a VRF that the packet came through; 0: none. */
N2B_GLOBAL __u64 n2b_sdif(struct bpf_nf_ctx *ctx, __u32 ip6)
{
	__u64 cb = (__u64)ctx->skb + bpf_core_field_offset(struct sk_buff, cb);

	if (ip6) {
		if (!(N2B_FIELD(__u16, cb, inet6_skb_parm, flags) & 64))
			return 0;
		return N2B_FIELD(__u32, cb, inet6_skb_parm, iif);
	}
	if (!(N2B_FIELD(__u16, cb, inet_skb_parm, flags) & 128))
		return 0;
	return N2B_FIELD(__u32, cb, inet_skb_parm, iif);
}

struct by_index {
	__u64 at, end, found; /* list entry; the list's head; the device */
	__u32 index;
};

static long step_device(__u32 i, void *data)
{
	struct by_index *d = data;
	__u64 dev = d->at - bpf_core_field_offset(struct net_device, dev_list);

	if (!d->at || d->at == d->end)
		return 1;
	if (N2B_FIELD(__u32, dev, net_device, ifindex) == d->index) {
		d->found = dev;
		return 1;
	}
	d->at = n2b_at(__u64, d->at);
	return 0;
}

/* Bytes 0-7 (half 0) or 8-15 (1) of the name of that port. */
N2B_GLOBAL __u64 n2b_sdifname(struct bpf_nf_ctx *ctx, __u32 ip6, __u32 half)
{
	struct by_index d = { .index = n2b_sdif(ctx, ip6) };

	if (!d.index)
		return 0;
	d.end = (__u64)ctx->state->net + bpf_core_field_offset(struct net, dev_base_head);
	d.at = n2b_at(__u64, d.end);
	bpf_loop(1 << 16, step_device, &d, 0);
	if (!d.found)
		return 0;
	return n2b_at(__u64,
		      d.found + bpf_core_field_offset(struct net_device, name) + (half & 1) * 8);
}

/* Whether the packet came out of a transformation (IPsec). */
N2B_GLOBAL __u64 n2b_secpath(struct bpf_nf_ctx *ctx)
{
	__u8 ext;

	if (!bpf_core_field_exists(struct sk_buff, active_extensions) ||
	    !bpf_core_enum_value_exists(enum skb_ext_id, SKB_EXT_SEC_PATH))
		return 0;
	ext = N2B_FIELD(__u8, (__u64)ctx->skb, sk_buff, active_extensions);
	return ext >> (bpf_core_enum_value(enum skb_ext_id, SKB_EXT_SEC_PATH) & 7) & 1;
}

/*
 * A byte of the link layer, counted from the MAC header, from the linear part in front of the
 * packet or from the packet.
 */
static __always_inline __u8 link_byte(struct sk_buff *skb, __u32 pos, bool *ok)
{
	__u64 at = (__u64)skb->head + skb->mac_header + pos, data = (__u64)skb->data;

	if ((__s64)(at - data) < 0)
		return n2b_at(__u8, at);
	return n2b_read8(skb, (__u32)(at - data), ok);
}

/*
 * n bytes (1 to 4) at `off` of the link layer. A tag that the skb carries apart (if `end`, where
 * the whole load of which these are a part ends, reaches behind the addresses) is put back: 12
 * bytes of addresses, the tag's kind and value, the packet's protocol.
 */
N2B_GLOBAL __u64 n2b_link(struct bpf_nf_ctx *ctx, __u32 off, __u32 n, __u32 end)
{
	struct sk_buff *skb = ctx->skb;
	__u32 kind = skb->vlan_proto, tci = skb->vlan_tci, proto = skb->protocol, v = 0;
	bool ok = true, tag = end > 12 && (kind | tci);

	if (skb->mac_header == 0xffff || skb->mac_header == skb->network_header)
		return 0;
	tci = bpf_ntohs(tci);
#pragma nounroll
	for (__u32 i = 0; i < 4 && i < n; i++) {
		__u32 pos = off + i, shift = (pos & 1) * 8;
		__u8 b;

		if (!tag || pos < 12)
			b = link_byte(skb, pos, &ok);
		else if (pos < 14)
			b = kind >> shift;
		else if (pos < 16)
			b = tci >> shift;
		else if (pos < 18)
			b = proto >> shift;
		else
			b = link_byte(skb, pos - 4, &ok);
		v |= (__u32)b << 8 * i;
	}
	return ok ? v | FOUND : 0;
}

/* Where what the transport protocol carries begins. */
N2B_GLOBAL __u64 n2b_inner(struct bpf_nf_ctx *ctx, __u32 thoff, __u32 proto)
{
	struct sk_buff *skb = ctx->skb;
	bool ok = true;
	__u16 flags;

	switch (proto) {
	case 4: /* IPv4 in IP */
		return thoff | FOUND;
	case 6:
		n2b_read8(skb, thoff + 19, &ok); /* the header must be there */
		thoff += n2b_read8(skb, thoff + 12, &ok) >> 4 << 2;
		return ok ? thoff | FOUND : 0;
	case 17:
		return (thoff + 8) | FOUND;
	case 47: /* GRE, version 0, without routing; checksum, key, sequence number */
		n2b_read8(skb, thoff + 3, &ok);
		flags = bpf_ntohs(n2b_read16(skb, thoff, &ok));
		if (!ok || flags & 0x4007)
			return 0;
		thoff += 4 + (flags & 0x8000 ? 4 : 0) + (flags & 0x2000 ? 4 : 0) +
			 (flags & 0x1000 ? 4 : 0);
		return thoff | FOUND;
	default:
		return 0;
	}
}

/* -- routes ------------------------------------------------------------------------------------ */

static __always_inline __u64 dst_of(struct bpf_nf_ctx *ctx)
{
	return ctx->skb->_skb_refdst & ~1UL;
}

/* The realm of the packet's route. */
N2B_GLOBAL __u64 n2b_realm(struct bpf_nf_ctx *ctx)
{
	__u64 dst = dst_of(ctx);

	if (!dst || !bpf_core_field_exists(struct dst_entry, tclassid))
		return 0;
	return N2B_FIELD(__u32, dst, dst_entry, tclassid) | FOUND;
}

/* Whether the packet's route leads into a transformation. */
N2B_GLOBAL __u64 n2b_route_xfrm(struct bpf_nf_ctx *ctx)
{
	__u64 dst = dst_of(ctx);

	if (!dst)
		return 0;
	if (!bpf_core_field_exists(struct dst_entry, xfrm))
		return FOUND;
	return (N2B_FIELD(__u64, dst, dst_entry, xfrm) != 0) | FOUND;
}

/* Where the packet goes next: the gateway or its destination. */
N2B_GLOBAL __u64 n2b_nexthop4(struct bpf_nf_ctx *ctx)
{
	__u64 dst = dst_of(ctx);
	bool ok = true;
	__u32 daddr;

	if (!dst)
		return 0;
	if (N2B_FIELD(__u8, dst, rtable, rt_gw_family) == 2)
		return N2B_FIELD(__u32, dst, rtable, rt_gw4) | FOUND;
	daddr = n2b_read32(ctx->skb, 16, &ok);
	return ok ? daddr | FOUND : 0;
}

/* The same for IPv6: word `word` of the address. */
N2B_GLOBAL __u64 n2b_nexthop6(struct bpf_nf_ctx *ctx, __u32 word)
{
	__u64 dst = dst_of(ctx), at;
	__u32 flags, v;
	bool ok = true;

	if (!dst)
		return 0;
	flags = N2B_FIELD(__u32, dst, rt6_info, rt6i_flags);
	word = (word & 3) * 4;
	if (flags & 0x2) { /* RTF_GATEWAY */
		at = dst + bpf_core_field_offset(struct rt6_info, rt6i_gateway);
	} else if (flags & 0x01000000) { /* RTF_CACHE */
		at = dst + bpf_core_field_offset(struct rt6_info, rt6i_dst.addr);
	} else {
		v = n2b_read32(ctx->skb, 24 + word, &ok);
		return ok ? v | FOUND : 0;
	}
	return n2b_at(__u32, at + word) | FOUND;
}

/* -- transformations (IPsec) ------------------------------------------------------------------- */

/* The n-th state that the packet came through; 0: there is none. */
static __always_inline __u64 state_in(struct bpf_nf_ctx *ctx, __u32 n)
{
	__u64 ext, path;
	__u32 id;

	if (!n2b_secpath(ctx))
		return 0;
	id = bpf_core_enum_value(enum skb_ext_id, SKB_EXT_SEC_PATH);
	ext = N2B_FIELD(__u64, (__u64)ctx->skb, sk_buff, extensions);
	path = ext + n2b_at(__u8, ext + bpf_core_field_offset(struct skb_ext, offset) + id) * 8;
	if ((__s32)N2B_FIELD(__u32, path, sec_path, len) <= (__s32)n)
		return 0;
	return n2b_at(__u64, path + bpf_core_field_offset(struct sec_path, xvec) + n * 8);
}

/* The n-th state that its route leads through. */
static __always_inline __u64 state_out(struct bpf_nf_ctx *ctx, __u32 n)
{
	__u64 dst = dst_of(ctx), state;

	for (__u32 i = 0; i < 6 && dst; i++) {
		state = N2B_FIELD(__u64, dst, dst_entry, xfrm);
		if (!state || i == n)
			return state;
		dst = N2B_FIELD(__u64, dst, xfrm_dst, child);
	}
	return 0;
}

enum { DADDR4 = 1, DADDR6, SADDR4, SADDR6, REQID, SPI };
enum { MODE_TUNNEL = 1, MODE_BEET = 4 };

/*
 * Word `word` of property `key` (the kernel's number) of state n of direction `out`; addresses only
 * where the mode has them.
 */
N2B_GLOBAL __u64 n2b_xfrm(struct bpf_nf_ctx *ctx, __u32 key, __u32 out, __u32 n, __u32 word)
{
	__u64 state, at;
	__u16 family;
	__u8 mode;

	if (n > 5 || !bpf_core_field_exists(struct dst_entry, xfrm))
		return 0;
	state = out ? state_out(ctx, n) : state_in(ctx, n);
	if (!state)
		return 0;
	if (key == REQID)
		return N2B_FIELD(__u32, state, xfrm_state, props.reqid) | FOUND;
	if (key == SPI)
		return N2B_FIELD(__u32, state, xfrm_state, id.spi) | FOUND;
	family = N2B_FIELD(__u16, state, xfrm_state, props.family);
	mode = N2B_FIELD(__u8, state, xfrm_state, props.mode);
	if (family != (key == DADDR4 || key == SADDR4 ? 2 : 10) ||
	    (mode != MODE_TUNNEL && mode != MODE_BEET))
		return 0;
	at = state + (key == DADDR4 || key == DADDR6
			      ? bpf_core_field_offset(struct xfrm_state, id.daddr)
			      : bpf_core_field_offset(struct xfrm_state, props.saddr));
	return n2b_at(__u32, at + (word & 3) * 4) | FOUND;
}

/* -- clock, processor, chance ------------------------------------------------------------------ */

/* A clock's distance from the monotonic one, as the timers of the timer's processor have it. */
static __always_inline __u64 clock_offset(__u64 cpu_base, __u32 clock)
{
	return N2B_FIELD(__u64,
			 cpu_base + bpf_core_field_offset(struct hrtimer_cpu_base, clock_base) +
				 clock * bpf_core_type_size(struct hrtimer_clock_base),
			 hrtimer_clock_base, offset);
}

/* The processor's timers, by way of the interval timer that a process has. */
static __always_inline __u64 timers_of(__u64 task)
{
	__u64 signal = N2B_FIELD(__u64, task, task_struct, signal), base;

	base = N2B_FIELD(__u64, signal, signal_struct, real_timer.base);
	return N2B_FIELD(__u64, base, hrtimer_clock_base, cpu_base);
}

/*
 * The wall clock in ns. BPF has the atomic clock (TAI) but not this one; both differ by whole
 * seconds, which the timers know. The first processor's idle task may have no timer; the first
 * process has one.
 */
static __always_inline __u64 real_ns(void)
{
	__u64 task = bpf_get_current_task(), base = timers_of(task);

	if (!base) {
		task = N2B_FIELD(__u64, task, task_struct, tasks.next) -
		       bpf_core_field_offset(struct task_struct, tasks);
		base = timers_of(task);
	}
	return bpf_ktime_get_tai_ns() -
	       (clock_offset(base, bpf_core_enum_value(enum hrtimer_base_type, HRTIMER_BASE_TAI)) -
		clock_offset(base,
			     bpf_core_enum_value(enum hrtimer_base_type, HRTIMER_BASE_REALTIME)));
}

N2B_GLOBAL __u64 n2b_time(struct bpf_nf_ctx *ctx)
{
	return real_ns();
}

/* Seconds since midnight, UTC. */
N2B_GLOBAL __u64 n2b_hour(struct bpf_nf_ctx *ctx)
{
	return real_ns() / 1000000000 % 86400;
}

/*
 * Minutes that the kernel's time zone is west of Greenwich. No program can read it, so nft2bpfctl
 * says it when it loads the object, by the kernel configuration's way; 0 where nobody says it.
 */
extern int CONFIG_NFT2BPF_MINUTESWEST __kconfig __weak;

/* The day of the week in that time zone, Sunday 0. */
N2B_GLOBAL __u64 n2b_day(struct bpf_nf_ctx *ctx)
{
	__u64 sec = real_ns() / 1000000000 - (__s64)CONFIG_NFT2BPF_MINUTESWEST * 60;

	return (4 + sec / 86400) % 7;
}

N2B_GLOBAL __u64 n2b_cpu(struct bpf_nf_ctx *ctx)
{
	return bpf_get_smp_processor_id();
}

N2B_GLOBAL __u64 n2b_prandom(struct bpf_nf_ctx *ctx)
{
	return bpf_get_prandom_u32();
}
