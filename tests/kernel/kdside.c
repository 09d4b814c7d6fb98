// SPDX-License-Identifier: GPL-2.0-or-later
/* kdside: the namespaces of a side: devices, routes, the programs that watch. See kd.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kd.h"

static int home_ns = -1;

/* -- running things -------------------------------------------------------------------------------- */

int sh(const char *ns, const char *log, const char *fmt, ...)
{
	char cmd[4096], full[8192];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	snprintf(full, sizeof(full), "%s%s sh -s >%s 2>&1",
		 ns ? "nsenter --net=/run/netns/" : "env", ns ? ns : "", log ? log : "/dev/null");
	f = popen(full, "w");
	if (!f)
		return -1;
	fputs(cmd, f);
	return pclose(f);
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

/* -- a side ---------------------------------------------------------------------------------------- */

static const char setup[] =
	"for w in all default; do\n"
	" echo 0 >/proc/sys/net/ipv4/conf/$w/rp_filter\n"
	" echo 0 >/proc/sys/net/ipv4/conf/$w/send_redirects\n"
	" echo 1 >/proc/sys/net/ipv4/conf/$w/accept_local\n"
	" echo 1 >/proc/sys/net/ipv4/conf/$w/route_localnet\n"
	" echo 1 >/proc/sys/net/ipv6/conf/$w/forwarding\n"
	" echo 0 >/proc/sys/net/ipv6/conf/$w/accept_dad\n"
	" echo 0 >/proc/sys/net/ipv6/conf/$w/accept_ra\n"
	" echo 0 >/proc/sys/net/ipv6/conf/$w/router_solicitations\n"
	" echo 1 >/proc/sys/net/ipv6/conf/$w/addr_gen_mode\n"
	" echo 1 >/proc/sys/net/ipv6/conf/$w/mldv1_unsolicited_report_interval\n"
	" echo 1 >/proc/sys/net/ipv6/conf/$w/mldv2_unsolicited_report_interval\n"
	"done\n"
	"echo 1 >/proc/sys/net/ipv4/ip_forward\n"
	"echo 0 >/proc/sys/net/ipv4/icmp_ratelimit\n"
	"echo 0 >/proc/sys/net/ipv4/icmp_ratemask\n"
	"for w in per_sec burst; do\n"
	" echo 10000000 >/proc/sys/net/ipv4/icmp_msgs_$w\n"
	"done\n"
	"echo 0 >/proc/sys/net/ipv6/icmp/ratelimit\n"
	"echo >/proc/sys/net/ipv6/icmp/ratemask\n"
	"echo 0 >/proc/sys/net/ipv4/icmp_ratemask\n"
	"echo 0 >/proc/sys/net/ipv6/auto_flowlabels\n"
	"echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct\n"
	"ip link set lo up\n";

/* Commands of ip(8) in the namespace, a line each. */
static bool ip_batch(const char *ns, const char *option, struct sbuf *lines)
{
	char cmd[256];
	FILE *f;

	snprintf(cmd, sizeof(cmd), "ip %s -n %s -batch - >/dev/null", option, ns);
	f = popen(cmd, "w");
	if (!f)
		return false;
	fputs(lines->s, f);
	return !pclose(f);
}

static bool add_ifaces(struct side *s, const char *const *names, uint32_t n)
{
	struct arena *a = arena_new();
	struct sbuf b, peer;
	bool good;

	sb_init(&b, a);
	sb_init(&peer, a);
	for (uint32_t i = 0; i < n; i++) {
		sb_printf(&b,
			  "link add %s mtu 9000 address 02:00:00:00:01:%02x type veth peer name "
			  "p%u netns %s mtu 9000 address 02:00:00:00:02:%02x\n"
			  "link set %s arp off up\n"
			  "addr add 10.%u.0.1/16 dev %s\n"
			  "addr add fd00:0:0:%x::1/64 dev %s nodad\n",
			  names[i], i, i, s->peers, i, names[i], i, names[i], i, names[i]);
		sb_printf(&peer, "link set p%u arp off up\n", i);
	}
	sb_printf(&b,
		  "route add 0.0.0.0/0 dev %s\nroute add ::/0 dev %s\n"
		  "route add local 0.0.0.0/0 dev lo table 100\n"
		  "route add local ::/0 dev lo table 100\n",
		  names[n - 1], names[n - 1]);
	good = ip_batch(s->ns, "", &b) && ip_batch(s->peers, "", &peer);
	arena_free(a);
	return good;
}

bool take_all_in(struct side *s, const char *const *names, uint32_t n, bool yes)
{
	struct arena *a = arena_new();
	struct sbuf b;
	bool good;

	sb_init(&b, a);
	for (uint32_t i = 0; i <= n; i++) {
		if (yes)
			sb_printf(&b, "rule add pref 5 iif %s lookup 100\n",
				  i < n ? names[i] : "lo");
		else
			sb_puts(&b, "rule del pref 5\n");
	}
	good = ip_batch(s->ns, "", &b) && ip_batch(s->ns, "-6", &b);
	arena_free(a);
	return good;
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

	memset(s->seen, 0, SEEN_MAX * sizeof(struct seen));
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
		s->tx[i] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		snprintf(name, sizeof(name), "p%u", i);
		ll.sll_ifindex = (int)if_nametoindex(name);
		if (s->tx[i] < 0 || bind(s->tx[i], (struct sockaddr *)&ll, sizeof(ll)))
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
	if (sh(NULL, NULL, "ip netns add %s && ip netns add %s", s->ns, s->peers))
		return false;
	sh(s->peers, NULL,
	   "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6\n"
	   "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6\n");
	sh(s->ns, NULL, "%s", setup);
	return add_ifaces(s, ifaces, n) && observe(s) && open_sockets(s, n);
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
	sh(NULL, NULL, "ip netns del %s; ip netns del %s", s->ns, s->peers);
}
