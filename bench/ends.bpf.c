// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * What stands around a measurement: the XDP program that feeds frames into the stack, the hook that
 * ends every packet, and a hook that does nothing: what any BPF link costs.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp") int feed(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("netfilter") int sink(void *ctx)
{
	return 0; /* drop */
}

SEC("netfilter") int pass(void *ctx)
{
	return 1; /* accept */
}

char _license[] SEC("license") = "GPL";
