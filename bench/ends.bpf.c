// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/* The two ends of a measurement: the XDP program that feeds frames into the stack, and the hook that ends every packet. */
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

char _license[] SEC("license") = "GPL";
