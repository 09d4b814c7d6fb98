// SPDX-License-Identifier: GPL-2.0-or-later
/* nlsend: a netlink batch on its way to the kernel. See nlwrite.h. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include "nlwrite.h"

#define RECEIVE_MAX (1 << 16)

/*
 * What the kernel answered, which it has by the time that the message is sent: 0, or the first
 * error and the number of its message.
 */
static int answers(struct mnl_socket *nl, uint32_t *seq)
{
	static char buf[RECEIVE_MAX];
	ssize_t got;
	int err = 0;

	while ((got = recv(mnl_socket_get_fd(nl), buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
		int n = (int)got;

		for (; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type == NLMSG_ERROR &&
			    mnl_nlmsg_get_payload_len(h) >= sizeof(*e) && e->error && !err) {
				err = -e->error;
				*seq = h->nlmsg_seq;
			}
		}
	}
	return err ? err : got < 0 && errno != EAGAIN ? errno : 0;
}

int nlw_send(const struct nlw *w, uint32_t *seq)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int size = (int)MIN(w->out.n * 2 + RECEIVE_MAX, INT32_MAX), err;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = errno;
	} else {
		setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
		err = mnl_socket_sendto(nl, w->out.s, w->out.n) < 0 ? errno : answers(nl, seq);
	}
	if (nl)
		mnl_socket_close(nl);
	return err;
}
