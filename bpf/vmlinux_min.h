/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause) */
/*
 * vmlinux_min: the kernel types that programs touch, as far as they touch them.
 *
 * Names, member names and kinds must be those of the kernel; offsets need not be: libbpf relocates
 * every access when the object is loaded. The object writer takes the types of the programs' own
 * relocations (fields.def) and the prototypes of the kernel's functions from here too, by way of
 * types.bpf.c.
 */
#ifndef N2B_VMLINUX_MIN_H
#define N2B_VMLINUX_MIN_H

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u16 __le16;
typedef __u32 __le32;
typedef __u64 __le64;
typedef __u32 __wsum;
#define bool _Bool
#define true 1
#define false 0

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
};

/*
 * bpf_dynptr and bpf_spin_lock are used by value: their size is the kernel's ABI, so no relocation.
 */
struct bpf_dynptr {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

struct bpf_spin_lock {
	__u32 val;
};

struct bpf_timer;
struct __sk_buff {
	__u32 len;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in_addr {
	__be32 s_addr;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be16 u6_addr16[8];
		__be32 u6_addr32[4];
	} in6_u;
};

/* The widest window: any aligned load in 128 bytes (windows.def). */
struct ida_bitmap {
	unsigned long bitmap[16];
};

struct uid_gid_extent {
	__u32 first, lower_first, count;
};

struct uid_gid_map {
	struct uid_gid_extent extent[5];
	__u32 nr_extents;
	struct uid_gid_extent *reverse;
};

typedef struct {
	__u32 val;
} kuid_t, kgid_t;

typedef struct {
	__u64 val;
} kernel_cap_t;

struct list_head {
	struct list_head *next, *prev;
};

struct user_namespace {
	struct uid_gid_map uid_map, gid_map;
	struct user_namespace *parent;
	int level;
	kuid_t owner;
};

struct net {
	__u32 ifindex;
	struct user_namespace *user_ns;
	struct list_head dev_base_head;
};

struct rtnl_link_ops {
	const char *kind;
};

struct net_device {
	char name[16];
	struct rtnl_link_ops *rtnl_link_ops;
	int ifindex;
	unsigned short type;
	unsigned char addr_len;
	int group;
	struct list_head dev_list;
};

struct cred {
	kuid_t euid, fsuid;
	kgid_t fsgid;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
};

struct file {
	const struct cred *f_cred;
};

struct socket {
	struct file *file;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock;
struct sock_common {
	__be32 skc_rcv_saddr;
	unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_rcv_saddr;
	struct sock *skc_listener;
};

struct sock_cgroup_data {
	__u32 classid;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	struct sock_cgroup_data sk_cgrp_data;
	__u32 sk_mark;
};

/*
 * Kernels before 6.6 have bits instead of inet_flags: local types that stand for the same one (___
 * and what follows do not count).
 */
struct inet_sock {
	struct sock sk;
	unsigned long inet_flags;
};

struct inet_sock___bits {
	__u8 transparent : 1;
};

struct inet_timewait_sock {
	unsigned int tw_transparent : 1;
};

struct inet_request_sock {
	__u16 no_srccheck : 1;
};

/* Views of sk_buff's cb. */
struct inet_skb_parm {
	int iif;
	__u16 flags;
};

struct inet6_skb_parm {
	int iif;
	__u16 flags;
};

typedef union {
	__be32 a4;
	__be32 a6[4];
} xfrm_address_t;

struct xfrm_id {
	xfrm_address_t daddr;
	__be32 spi;
};

struct xfrm_state {
	struct xfrm_id id;
	struct {
		__u32 reqid;
		__u8 mode;
		__u16 family;
		xfrm_address_t saddr;
	} props;
};

struct sec_path {
	int len;
	struct xfrm_state *xvec[6];
};

struct skb_ext {
	__u8 offset[3];
};

struct dst_entry {
	struct xfrm_state *xfrm;
	__u32 tclassid;
};

struct xfrm_dst {
	struct dst_entry *child;
};

struct rtable {
	struct dst_entry dst;
	__u8 rt_gw_family;
	__be32 rt_gw4;
};

struct rt6key {
	struct in6_addr addr;
};

struct rt6_info {
	struct dst_entry dst;
	struct rt6key rt6i_dst;
	struct in6_addr rt6i_gateway;
	__u32 rt6i_flags;
};

enum skb_ext_id { SKB_EXT_SEC_PATH = 1 };

enum hrtimer_base_type { HRTIMER_BASE_REALTIME = 1, HRTIMER_BASE_TAI = 3 };

struct hrtimer_cpu_base;
struct hrtimer_clock_base {
	struct hrtimer_cpu_base *cpu_base;
	__s64 offset;
};

struct hrtimer_cpu_base {
	struct hrtimer_clock_base clock_base[8];
};

struct hrtimer {
	struct hrtimer_clock_base *base;
};

struct signal_struct {
	struct hrtimer real_timer;
};

struct task_struct {
	struct list_head tasks;
	struct signal_struct *signal;
	const struct cred *cred;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	char cb[48];
	unsigned long _skb_refdst;
	unsigned long _nfct;
	unsigned int len, data_len;
	__u16 mac_len, queue_mapping;
	__u8 pkt_type : 3;
	__u8 nf_trace : 1;
	__u32 priority;
	int skb_iif;
	__u32 hash;
	__be16 vlan_proto;
	__u16 vlan_tci;
	__u32 secmark;
	__u32 mark;
	__u8 active_extensions;
	struct skb_ext *extensions;
	__be16 protocol;
	__u16 transport_header, network_header, mac_header;
	unsigned char *head, *data;
};

struct nf_hook_state {
	__u8 hook;
	__u8 pf;
	struct net_device *in;
	struct net_device *out;
	struct sock *sk;
	struct net *net;
};

union nf_inet_addr {
	__u32 all[4];
};

union nf_conntrack_man_proto {
	__be16 all;
};

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union nf_conntrack_man_proto u;
	__u16 l3num;
};

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		union nf_inet_addr u3;
		union {
			__be16 all;
		} u;
		__u8 protonum;
		__u8 dir;
	} dst;
};

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
};

struct nf_conntrack_zone {
	__u16 id;
	__u8 flags;
	__u8 dir;
};

struct nf_ct_ext {
	__u8 offset[9];
	__u8 len;
};

enum nf_ct_ext_id {
	NF_CT_EXT_HELPER = 0,
	NF_CT_EXT_ACCT = 3,
	NF_CT_EXT_LABELS = 7,
};

typedef struct {
	__s64 counter;
} atomic64_t;

struct nf_conn_counter {
	atomic64_t packets, bytes;
};

struct nf_conntrack_helper {
	char name[16];
};

struct nf_conn_help {
	struct nf_conntrack_helper *helper;
};

struct nf_conn {
	__u32 timeout;
	struct nf_conntrack_zone zone;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	struct nf_conn *master;
	__u32 mark;
	__u32 secmark;
	struct nf_ct_ext *ext;
};

#pragma clang attribute pop

/* No relocation: the context is what the verifier says it is. */
struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

#endif
