// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nlask: asks the running kernel's nf_tables of this network namespace for one thing, without a
 * dump.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "frontend.h"
#include "nl.h"

#define ASK_SEQ 1

struct nlmsghdr *nl_request(char *buf, uint16_t msg, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | msg;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return h;
}

/* The answer to a request for one thing: 1, or -errno. */
static int answer(struct mnl_socket *nl)
{
	char buf[4096];
	ssize_t n;

	do
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	while (n < 0 && errno == EINTR);
	/* ENOSPC: it is there, and needs more room than buf has */
	if (n < 0)
		return errno == ENOSPC ? 1 : -errno;
	if (mnl_cb_run(buf, (size_t)n, ASK_SEQ, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		return errno ? -errno : -EIO;
	return 1;
}

static int ask(struct mnl_socket *nl, enum family f, const char *table, const char *chain)
{
	char buf[MNL_NLMSG_HDRLEN + 1024];
	struct nlmsghdr *h = nl_request(buf, NFT_MSG_GETCHAIN, 0, (uint8_t)f);

	h->nlmsg_seq = ASK_SEQ;
	if (!mnl_attr_put_strz_check(h, sizeof(buf), NFTA_CHAIN_TABLE, table) ||
	    !mnl_attr_put_strz_check(h, sizeof(buf), NFTA_CHAIN_NAME, chain))
		return -ENAMETOOLONG;
	return mnl_socket_sendto(nl, h, h->nlmsg_len) < 0 ? -errno : answer(nl);
}

int frontend_live_chain(enum family f, const char *table, const char *chain)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int r;

	if (!nl)
		return errno == EPROTONOSUPPORT ? 0 : -errno;
	r = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : ask(nl, f, table, chain);
	mnl_socket_close(nl);
	/* EINVAL: the kernel is without nf_tables (nfnetlink_rcv_msg) */
	return r == -ENOENT || r == -EINVAL ? 0 : r;
}
