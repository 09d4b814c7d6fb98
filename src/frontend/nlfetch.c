// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nlfetch: the running kernel's ruleset of this network namespace as a raw nlmsg stream.
 *
 * The dumps of tables, chains, sets, elements, objects, flow tables and rules are several; they fit
 * together only when the ruleset's generation was the same before and after. Otherwise, and when a
 * dump says that it was disturbed, all starts anew.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend.h"
#include "nl.h"

/*
 * A ruleset that changes all the time is tried this often, with a rest between that doubles up to
 * the longest.
 */
#define FETCH_TRIES	 40
#define FETCH_REST_US	 1000u
#define FETCH_REST_MAX	 200000u
#define FETCH_RECV_BYTES (4 << 20)

enum fetch { FETCH_OK, FETCH_AGAIN, FETCH_FAILED };

struct fetcher {
	struct arena *arena;
	struct diag *diag;
	struct mnl_socket *nl;
	uint32_t seq;
	struct sbuf out; /* the stream */
	bool keep;	 /* messages go into the stream */
	uint32_t genid;
};

static enum fetch fail(struct fetcher *f, const char *what)
{
	struct loc loc = { .name = "kernel" };

	/* ENOENT: what an earlier dump named is gone by now */
	if (errno == EINTR || errno == EAGAIN || errno == ENOBUFS || errno == ENOENT)
		return FETCH_AGAIN;
	diag_error(f->diag, loc, "cannot %s: %s", what, strerror(errno));
	return FETCH_FAILED;
}

static void take_genid(struct fetcher *f, const struct nlmsghdr *h)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) if (mnl_attr_get_type(a) == NFTA_GEN_ID &&
							     mnl_attr_get_payload_len(a) == 4)
		f->genid = ntohl(mnl_attr_get_u32(a));
}

/* One datagram: FETCH_OK with *done when the request is answered. */
static enum fetch take(struct fetcher *f, const char *buf, int n, bool *done, const char *what)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

	for (; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
		if (h->nlmsg_seq != f->seq)
			continue;
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			return FETCH_AGAIN;
		if (h->nlmsg_type == NLMSG_DONE) {
			*done = true;
			return FETCH_OK;
		}
		if (h->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			*done = true;
			errno = mnl_nlmsg_get_payload_len(h) >= sizeof(*e) ? -e->error : EIO;
			return errno ? fail(f, what) : FETCH_OK;
		}
		if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
			take_genid(f, h);
		else if (f->keep)
			sb_add(&f->out, (const char *)h, MNL_ALIGN(h->nlmsg_len));
	}
	return FETCH_OK;
}

static enum fetch answer(struct fetcher *f, const char *what)
{
	static char buf[1 << 16];
	bool done = false;
	enum fetch r;
	ssize_t n;

	while (!done) {
		n = mnl_socket_recvfrom(f->nl, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(f, what);
		if (!n)
			return FETCH_AGAIN;
		r = take(f, buf, (int)n, &done, what);
		if (r != FETCH_OK)
			return r;
	}
	return FETCH_OK;
}

static struct nlmsghdr *request(struct fetcher *f, char *buf, uint16_t msg, uint16_t flags,
				uint8_t family)
{
	struct nlmsghdr *h = nl_request(buf, msg, flags, family);

	h->nlmsg_seq = ++f->seq;
	return h;
}

static enum fetch ask(struct fetcher *f, struct nlmsghdr *h, const char *what)
{
	if (mnl_socket_sendto(f->nl, h, h->nlmsg_len) < 0)
		return fail(f, what);
	return answer(f, what);
}

static enum fetch dump(struct fetcher *f, uint16_t msg, const char *what)
{
	char buf[MNL_NLMSG_HDRLEN + 64];

	return ask(f, request(f, buf, msg, NLM_F_DUMP, NFPROTO_UNSPEC), what);
}

static enum fetch generation(struct fetcher *f)
{
	char buf[MNL_NLMSG_HDRLEN + 64];

	return ask(f, request(f, buf, NFT_MSG_GETGEN, NLM_F_ACK, NFPROTO_UNSPEC),
		   "read the ruleset's generation");
}

/* The elements of every set that the stream holds by now. */
static enum fetch elements(struct fetcher *f)
{
	size_t end = f->out.n;

	for (size_t at = 0; at + sizeof(struct nlmsghdr) <= end;) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)(f->out.s + at);
		const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
		const struct nlattr *a;
		const char *table = NULL, *set = NULL;
		char buf[1024];
		struct nlmsghdr *req;
		enum fetch r;

		at += MNL_ALIGN(h->nlmsg_len);
		if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET))
			continue;
		mnl_attr_for_each(a, h, sizeof(*g))
		{
			if (mnl_attr_get_type(a) == NFTA_SET_TABLE)
				table = mnl_attr_get_str(a);
			else if (mnl_attr_get_type(a) == NFTA_SET_NAME)
				set = mnl_attr_get_str(a);
		}
		if (!table || !set)
			continue;
		req = request(f, buf, NFT_MSG_GETSETELEM, NLM_F_DUMP, g->nfgen_family);
		mnl_attr_put_strz(req, NFTA_SET_ELEM_LIST_TABLE, table);
		mnl_attr_put_strz(req, NFTA_SET_ELEM_LIST_SET, set);
		r = ask(f, req, "read the elements of a set");
		if (r != FETCH_OK)
			return r;
	}
	return FETCH_OK;
}

static enum fetch once(struct fetcher *f)
{
	static const struct {
		uint16_t msg;
		const char *what;
	} dumps[] = { { NFT_MSG_GETTABLE, "read the tables" },
		      { NFT_MSG_GETCHAIN, "read the chains" },
		      { NFT_MSG_GETSET, "read the sets" },
		      { NFT_MSG_GETOBJ, "read the objects" },
		      { NFT_MSG_GETFLOWTABLE, "read the flow tables" },
		      { NFT_MSG_GETRULE, "read the rules" } };
	uint32_t genid;
	enum fetch r = generation(f);

	genid = f->genid;
	f->keep = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(dumps) && r == FETCH_OK; i++)
		r = dump(f, dumps[i].msg, dumps[i].what);
	if (r == FETCH_OK)
		r = elements(f);
	f->keep = false;
	if (r == FETCH_OK)
		r = generation(f);
	if (r == FETCH_OK && genid != f->genid)
		r = FETCH_AGAIN;
	return r;
}

void *frontend_fetch_live(struct arena *a, struct diag *d, size_t *len)
{
	struct fetcher f = { .arena = a, .diag = d };
	struct loc loc = { .name = "kernel" };
	enum fetch r = FETCH_AGAIN;
	unsigned int rest = FETCH_REST_US;
	int size = FETCH_RECV_BYTES;

	for (unsigned int i = 0; i < FETCH_TRIES && r == FETCH_AGAIN; i++) {
		if (i) {
			usleep(rest);
			rest = MIN(rest * 2, FETCH_REST_MAX);
		}
		f.nl = mnl_socket_open(NETLINK_NETFILTER);
		if (!f.nl || mnl_socket_bind(f.nl, 0, MNL_SOCKET_AUTOPID) < 0) {
			diag_error(d, loc, "cannot open a netlink socket: %s", strerror(errno));
			if (f.nl)
				mnl_socket_close(f.nl);
			return NULL;
		}
		setsockopt(mnl_socket_get_fd(f.nl), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		sb_init(&f.out, a);
		f.keep = false;
		r = once(&f);
		mnl_socket_close(f.nl);
	}
	if (r == FETCH_AGAIN)
		diag_error(d, loc, "the ruleset kept changing while it was read: try again");
	*len = f.out.n;
	return r == FETCH_OK ? f.out.s : NULL;
}

struct ruleset *frontend_read_live(struct arena *a, struct diag *d)
{
	size_t len;
	void *buf = frontend_fetch_live(a, d, &len);

	return buf ? frontend_read_netlink(a, d, "kernel", buf, len) : NULL;
}
