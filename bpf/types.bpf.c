// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * types: compiled for its BTF alone. The object writer copies from it the structures that
 * fields.def names and the prototypes of kernel functions; nothing of this file is linked into an
 * object.
 */
#include "vmlinux_min.h"
#include <bpf/bpf_helpers.h>
#include "kfuncs.h"

/*
 * Parameters that point to a structure make clang emit the whole structure, unless it met the
 * pointer as a member before: so structures stand here before those that point to them.
 */
int n2b_types(struct rtnl_link_ops *ops, struct net *net, struct sock *sk, struct nf_ct_ext *ext,
	      struct bpf_spin_lock *lock)
{
	return 0;
}

int n2b_types2(struct net_device *dev, struct nf_conn *ct, struct sk_buff *skb,
	       struct nf_hook_state *state, struct bpf_nf_ctx *ctx)
{
	struct bpf_dynptr p;

	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	if (bpf_preempt_disable && bpf_preempt_enable) {
		bpf_preempt_disable();
		bpf_preempt_enable();
	}
	bpf_dynptr_from_skb((struct __sk_buff *)skb, 0, &p);
	bpf_dynptr_slice(&p, 0, 0, 4);
	return bpf_rdonly_cast(skb, 0) != 0;
}

int n2b_types3(struct in_addr *a, struct in6_addr *a6, struct ida_bitmap *map)
{
	return 0;
}
