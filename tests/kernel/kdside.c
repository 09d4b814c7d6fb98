// SPDX-License-Identifier: GPL-2.0-or-later
/* kdside: the namespaces of a side: devices, routes, the programs that watch. See kd.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kd.h"

#define TABLE_LOCAL 100u /* of routes: everything is for this machine */

static int home_ns = -1;

/* -- running things ---------------------------------------------------------------------------- */

/* In a child: into the namespace, input from a pipe or from nothing, output to the log. */
static NORETURN void run_child(const char *ns, const char *log, int in, char *const *argv)
{
	int out = open(log ? log : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (in < 0)
		in = open("/dev/null", O_RDONLY);
	if (in < 0 || out < 0 || !enter(ns ? ns : ""))
		_exit(127);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	if (log)
		dup2(out, STDERR_FILENO);
	execvp(argv[0], argv);
	_exit(127);
}

static int end_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

int sh(const char *ns, const char *log, const char *fmt, ...)
{
	char cmd[8192];
	va_list ap;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	fflush(stdout);
	pid = fork();
	if (!pid)
		run_child(ns, log, -1, (char *[]){ "sh", "-c", cmd, NULL });
	return pid < 0 ? -1 : end_of(pid);
}

void print_log(const char *log)
{
	char line[512];
	FILE *f = fopen(log, "r");
	int n = 0;

	while (f && fgets(line, sizeof(line), f) && n++ < 30)
		printf("# %s", line);
	if (f)
		fclose(f);
}

bool home(void)
{
	home_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return home_ns >= 0;
}

bool enter(const char *ns)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	fd = ns[0] ? open(path, O_RDONLY | O_CLOEXEC) : home_ns;
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		return false;
	if (ns[0])
		close(fd);
	return true;
}

/* -- a side ------------------------------------------------------------------------------------ */

/* What a namespace under test is set to, below /proc/sys/net; %s: all and default. */
static const struct {
	const char *path, *value;
} settings[] = {
	{ "ipv4/conf/%s/rp_filter", "0" },
	{ "ipv4/conf/%s/send_redirects", "0" },
	{ "ipv4/conf/%s/accept_local", "1" },
	{ "ipv4/conf/%s/route_localnet", "1" },
	{ "ipv6/conf/%s/forwarding", "1" },
	{ "ipv6/conf/%s/accept_dad", "0" },
	{ "ipv6/conf/%s/accept_ra", "0" },
	{ "ipv6/conf/%s/router_solicitations", "0" },
	{ "ipv6/conf/%s/addr_gen_mode", "1" },
	{ "ipv6/conf/%s/mldv1_unsolicited_report_interval", "1" },
	{ "ipv6/conf/%s/mldv2_unsolicited_report_interval", "1" },
	{ "ipv4/ip_forward", "1" },
	{ "ipv4/icmp_ratelimit", "0" },
	{ "ipv4/icmp_ratemask", "0" },
	{ "ipv4/icmp_msgs_per_sec", "10000000" },
	{ "ipv4/icmp_msgs_burst", "10000000" },
	{ "ipv6/icmp/ratelimit", "0" },
	{ "ipv6/icmp/ratemask", "" },
	{ "ipv6/auto_flowlabels", "0" },
	{ "netfilter/nf_conntrack_acct", "1" },
};

/* Of the namespace that this process is in. A kernel may be without one of them. */
static void set_net(const char *path, const char *which, const char *value)
{
	char full[128] = "/proc/sys/net/", line[16];
	size_t n = strlen(full);
	int fd, len = snprintf(line, sizeof(line), "%s\n", value);

	snprintf(full + n, sizeof(full) - n, path, which);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)len) != len)
		printf("# %s: %s\n", full, strerror(errno));
	close(fd);
}

/* A name below /run/netns, as ip-netns(8) makes it; this process is in it afterwards. */
static bool make_ns(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	mkdir("/run/netns", 0755);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	close(fd);
	return !unshare(CLONE_NEWNET) && !mount("/proc/self/ns/net", path, "none", MS_BIND, NULL);
}

static void drop_ns(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	umount2(path, MNT_DETACH);
	unlink(path);
}

static bool make_namespaces(struct side *s)
{
	bool good = make_ns(s->peers);

	set_net("ipv6/conf/%s/disable_ipv6", "all", "1");
	set_net("ipv6/conf/%s/disable_ipv6", "default", "1");
	good = good && make_ns(s->ns);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		set_net(settings[i].path, "all", settings[i].value);
		if (strstr(settings[i].path, "%s"))
			set_net(settings[i].path, "default", settings[i].value);
	}
	return enter("") && good;
}

/* Commands of ip(8) in the namespace, a line each; what it says of faults comes to stderr. */
static bool ip_batch(const char *ns, const struct sbuf *lines)
{
	pid_t pid;
	int p[2];
	bool all;

	if (pipe2(p, O_CLOEXEC))
		return false;
	pid = fork();
	if (!pid)
		run_child(ns, NULL, p[0], (char *[]){ "ip", "-batch", "-", NULL });
	close(p[0]);
	all = write(p[1], lines->s, lines->n) == (ssize_t)lines->n;
	close(p[1]);
	return pid > 0 && !end_of(pid) && all;
}

static bool add_ifaces(struct side *s, const char *const *names, uint32_t n)
{
	struct arena *a = arena_new();
	struct sbuf b;
	bool good;

	sb_init(&b, a);
	sb_puts(&b, "link set lo up\n");
	for (uint32_t i = 0; i < n; i++)
		sb_printf(
			&b,
			"link add name %s mtu 9000 address 02:00:00:00:01:%02x type veth peer name "
			"p%u netns %s mtu 9000 address 02:00:00:00:02:%02x\n"
			"link set dev %s arp off up\n"
			"addr add 10.%u.0.1/16 dev %s\n"
			"addr add fd00:0:0:%x::1/64 dev %s nodad\n",
			names[i], i, i, s->peers, i, names[i], i, names[i], i, names[i]);
	sb_printf(&b,
		  "route add 0.0.0.0/0 dev %s\nroute add ::/0 dev %s\n"
		  "route add local 0.0.0.0/0 dev lo table %u\n"
		  "route add local ::/0 dev lo table %u\n",
		  names[n - 1], names[n - 1], TABLE_LOCAL, TABLE_LOCAL);
	good = ip_batch(s->ns, &b);
	arena_free(a);
	return good;
}

/*
 * A rule "pref 5 iif NAME lookup TABLE_LOCAL" comes or goes, in the namespace that the socket is
 * of.
 */
static bool change_rule(struct mnl_socket *nl, uint8_t family, const char *iif, bool add)
{
	char buf[512];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct fib_rule_hdr *r;
	ssize_t n;

	h->nlmsg_type = add ? RTM_NEWRULE : RTM_DELRULE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	r->family = family;
	r->table = TABLE_LOCAL;
	r->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(h, FRA_PRIORITY, 5);
	mnl_attr_put_strz(h, FRA_IIFNAME, iif);
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return false;
	n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	return n > 0 && mnl_cb_run(buf, (size_t)n, 0, 0, NULL, NULL) >= 0;
}

bool take_all_in(struct side *s, const char *const *names, uint32_t n, bool yes)
{
	struct mnl_socket *nl = enter(s->ns) ? mnl_socket_open(NETLINK_ROUTE) : NULL;
	bool good = nl && !mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID);

	for (uint32_t i = 0; good && i <= n; i++)
		good = change_rule(nl, AF_INET, i < n ? names[i] : "lo", yes) &&
		       change_rule(nl, AF_INET6, i < n ? names[i] : "lo", yes);
	if (nl)
		mnl_socket_close(nl);
	return enter("") && good;
}

bool side_observer(struct side *s, const char *path)
{
	struct bpf_map *map;

	s->obj = bpf_object__open_file(path, NULL);
	if (!s->obj || bpf_object__load(s->obj))
		return false;
	map = bpf_object__find_map_by_name(s->obj, "seen");
	s->seen = mmap(NULL, SEEN_MAX * sizeof(struct seen), PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(map), 0);
	return s->seen != MAP_FAILED;
}

static bool observe(struct side *s)
{
	static const char *const progs[] = { "observe_first", "observe_last" };
	static const int32_t prios[] = { INT32_MIN + 9, INT32_MAX - 9 };

	if (!enter(s->ns))
		return false;
	for (uint32_t i = 0; i < 20; i++) {
		LIBBPF_OPTS(bpf_netfilter_opts, o, .pf = i % 2 ? 10 : 2, .hooknum = i / 2 % 5,
			    .priority = prios[i / 10]);

		s->links[i] = bpf_program__attach_netfilter(
			bpf_object__find_program_by_name(s->obj, progs[i / 10]), &o);
		if (!s->links[i])
			return false;
		s->n_links = i + 1;
	}
	return true;
}

static bool open_sockets(struct side *s, uint32_t n)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	char name[16];

	s->raw4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	s->raw6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (s->raw4 < 0 || s->raw6 < 0 || !enter(s->peers))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct ifreq up = { .ifr_flags = IFF_UP | IFF_NOARP };

		s->tx[i] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		snprintf(name, sizeof(name), "p%u", i);
		ll.sll_ifindex = (int)if_nametoindex(name);
		memcpy(up.ifr_name, name, sizeof(name));
		if (s->tx[i] < 0 || ioctl(s->tx[i], SIOCSIFFLAGS, &up) ||
		    bind(s->tx[i], (struct sockaddr *)&ll, sizeof(ll)))
			return false;
	}
	return true;
}

bool side_open(struct side *s, const char *name, const char *const *ifaces, uint32_t n)
{
	s->n_links = 0;
	snprintf(s->ns, sizeof(s->ns), "kdiff%d%s", getpid(), name);
	snprintf(s->peers, sizeof(s->peers), "kdiff%d%sp", getpid(), name);
	s->raw4 = s->raw6 = -1;
	for (int i = 0; i < 8; i++)
		s->tx[i] = -1;
	return make_namespaces(s) && add_ifaces(s, ifaces, n) && observe(s) && open_sockets(s, n);
}

void side_close(struct side *s)
{
	for (int i = 0; i < 8; i++)
		if (s->tx[i] >= 0)
			close(s->tx[i]);
	if (s->raw4 >= 0)
		close(s->raw4);
	if (s->raw6 >= 0)
		close(s->raw6);
	for (uint32_t i = 0; i < s->n_links; i++)
		bpf_link__destroy(s->links[i]);
	enter("");
	drop_ns(s->ns);
	drop_ns(s->peers);
}
