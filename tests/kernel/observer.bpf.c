// SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
/*
 * Watches the five IP hooks of a namespace for the kernel tests: the first and the last program of
 * each hook count how often each numbered packet came in and went on, and with which marks. A
 * packet's number stands in the IPv4 ID or in the low 16 bits of the IPv6 flow label, the others
 * being 0; `sum` of the addresses and of IPv4's protocol, written by the test beforehand, tells our
 * packets from those that the kernel makes itself. What the kernel says of its multicast groups,
 * whenever it likes, is dropped before any ruleset sees it: it would be in the counters of one side
 * and not of the other.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define CORE __attribute__((preserve_access_index))

struct nf_conn {
	__u32 mark;
} CORE;
struct sock {
	__u16 sk_protocol;
} CORE;
struct net_device {
	int ifindex;
} CORE;
struct sk_buff {
	struct sock *sk;
	unsigned char *head;
	__u16 network_header;
	__u32 mark;
	unsigned long _nfct;
} CORE;
struct nf_hook_state {
	__u8 hook, pf;
	struct net_device *in;
} CORE;
struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
} CORE;

struct seen {
	__u32 sum;
	__u8 in[5], out[5];
	__u16 sent_here; /* by this host; else it comes from a device */
	__u32 mark[5], ctmark[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct seen);
} seen SEC(".maps");

static __u32 be32(const __u8 *p)
{
	return (__u32)p[0] << 24 | (__u32)p[1] << 16 | (__u32)p[2] << 8 | p[3];
}

/* A report of multicast groups: hop-by-hop options, to ff02::16. */
static int is_report(const __u8 *h)
{
	return !h[6] && be32(h + 24) == 0xff020000 && !be32(h + 28) && !be32(h + 32) &&
	       be32(h + 36) == 0x16;
}

/*
 * Answers of the kernel to packets between the same addresses may have the number of one by chance.
 * Packets that are sent here have the test's own kind of socket, those from a device none, and they
 * do not come over loopback.
 */
static int is_answer(const struct bpf_nf_ctx *ctx, const struct seen *s)
{
	const struct nf_hook_state *state = ctx->state;
	const struct sock *sk = ctx->skb->sk;

	if (state->hook >= 3)
		return s->sent_here ? !sk || sk->sk_protocol != 255 /* IPPROTO_RAW */ : !!sk;
	return !s->sent_here && state->in && state->in->ifindex == 1;
}

static __attribute__((always_inline)) int note(struct bpf_nf_ctx *ctx, int last)
{
	struct sk_buff *skb = ctx->skb;
	__u32 hook = ctx->state->hook, id, sum = 0;
	unsigned long ct = skb->_nfct & ~7ul;
	struct seen *s;
	__u8 h[40];

	if (hook > 4 || bpf_probe_read_kernel(h, 20, skb->head + skb->network_header))
		return 1;
	if (h[0] >> 4 == 4) {
		id = (__u32)h[4] << 8 | h[5];
		sum = be32(h + 12) * 31 + be32(h + 16) * 17 + h[9];
	} else {
		if (bpf_probe_read_kernel(h, 40, skb->head + skb->network_header))
			return 1;
		id = (__u32)h[2] << 8 | h[3];
		for (int i = 0; i < 8; i++)
			sum = sum * 31 + be32(h + 8 + 4 * i);
	}
	s = bpf_map_lookup_elem(&seen, &id);
	if (!s || s->sum != sum || (h[0] >> 4 == 6 && h[1] & 0xf) || is_answer(ctx, s))
		return !(hook == 3 && h[0] >> 4 == 6 && is_report(h));
	if (!last) {
		s->in[hook]++;
		return 1;
	}
	s->out[hook]++;
	s->mark[hook] = skb->mark;
	if (ct)
		bpf_probe_read_kernel(&s->ctmark[hook], 4,
				      (void *)(ct + __builtin_preserve_field_info(
							    ((struct nf_conn *)0)->mark, 0)));
	return 1;
}

SEC("netfilter") int observe_first(struct bpf_nf_ctx *ctx)
{
	return note(ctx, 0);
}

SEC("netfilter") int observe_last(struct bpf_nf_ctx *ctx)
{
	return note(ctx, 1);
}

char _license[] SEC("license") = "GPL";
