// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kdiff: does the loaded object treat packets as nf_tables treats them?
 *
 *	kdiff -b NFT2BPF -c NFT2BPFCTL -o OBSERVER [-l] [-n PACKETS] [-s SEED] [-a OPTION]... RULESET...
 *
 * A ruleset is nft text, or, with the ending .xt, a shell script of iptables-nft and ip6tables-nft commands, which both
 * namespaces run, and whose result the compiler reads from the kernel. With -l it reads every ruleset from there. Of a text with
 * xt match "name" = ..., which nft does not read, one namespace gets the ruleset from nft2bpfctl, whole in nftables (--partial
 * never): such a text must have something in each base chain that BPF cannot do.
 *
 * For each ruleset two network namespaces get the same packets (tests/diff/genpkt.h): one has the ruleset loaded by nft, the other
 * by nft2bpf and nft2bpfctl. Compared are, per packet and hook, whether it came and went on, its mark and its conntrack mark; and
 * afterwards every counter and quota of `nft list ruleset` with those of `nft2bpfctl list`. Prints TAP. Exit 77: not permitted here.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../diff/genpkt.h"
#include "frontend.h"

#define PACKETS_MAX 60000

struct seen { /* as in observer.bpf.c */
	uint32_t sum;
	uint8_t in[5], out[5];
	uint16_t pad;
	uint32_t mark[5], ctmark[5];
};

struct side {
	char ns[64],
		peers[64]; /* names of the namespace under test and of the one with the other ends */
	struct bpf_object *obj;
	struct bpf_link *links[20];
	uint32_t n_links;
	struct seen *seen;
	int tx[8], raw4, raw6;
};

static struct {
	const char *nft2bpf, *ctl, *observer, *args;
	uint32_t packets;
	uint64_t seed;
	bool live;
} opt = { .packets = 3000, .seed = 1, .args = "" };

static int home_ns = -1;

/* -- running things -------------------------------------------------------------------------------- */

/* Runs a shell command, in a namespace if ns; its output goes to the file `log` if given. */
static int sh(const char *ns, const char *log, const char *fmt, ...) PRINTF(3, 4);
static int sh(const char *ns, const char *log, const char *fmt, ...)
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

static void print_log(const char *log)
{
	char line[512];
	FILE *f = fopen(log, "r");
	int n = 0;

	while (f && fgets(line, sizeof(line), f) && n++ < 30)
		printf("# %s", line);
	if (f)
		fclose(f);
}

static bool enter(const char *ns)
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

static bool add_iface(struct side *s, const char *name, uint32_t i)
{
	return !sh(
		NULL, NULL,
		"set -e\n"
		"ip -n %s link add %s mtu 9000 address 02:00:00:00:01:%02x type veth peer name p%u "
		"netns %s mtu 9000 address 02:00:00:00:02:%02x\n"
		"ip -n %s link set %s arp off up; ip -n %s link set p%u arp off up\n"
		"ip -n %s addr add 10.%u.0.1/16 dev %s\n"
		"ip -n %s -6 addr add fd00:0:0:%x::1/64 dev %s nodad\n",
		s->ns, name, i, i, s->peers, i, s->ns, name, s->peers, i, s->ns, i, name, s->ns, i,
		name);
}

static bool add_ifaces(struct side *s, const char *const *names, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!add_iface(s, names[i], i))
			return false;
	return !sh(NULL, NULL,
		   "set -e\n"
		   "ip -n %s route add default dev %s\n"
		   "ip -n %s -6 route add default dev %s\n"
		   "ip -n %s route add local default dev lo table 100\n"
		   "ip -n %s -6 route add local default dev lo table 100\n",
		   s->ns, names[n - 1], s->ns, names[n - 1], s->ns, s->ns);
}

static bool observe(struct side *s)
{
	static const char *const progs[] = { "observe_first", "observe_last" };
	static const int32_t prios[] = { INT32_MIN + 9, INT32_MAX - 9 };
	struct bpf_map *map;

	s->obj = bpf_object__open_file(opt.observer, NULL);
	if (!s->obj || bpf_object__load(s->obj) || !enter(s->ns))
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
	map = bpf_object__find_map_by_name(s->obj, "seen");
	s->seen = mmap(NULL, 65536 * sizeof(struct seen), PROT_READ | PROT_WRITE, MAP_SHARED,
		       bpf_map__fd(map), 0);
	return s->seen != MAP_FAILED;
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

static bool side_open(struct side *s, const char *name, const char *const *ifaces, uint32_t n)
{
	memset(s, 0, sizeof(*s));
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

static void side_close(struct side *s)
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
	if (s->seen && s->seen != MAP_FAILED)
		munmap(s->seen, 65536 * sizeof(struct seen));
	if (s->obj)
		bpf_object__close(s->obj);
	enter("");
	sh(NULL, NULL, "ip netns del %s; ip netns del %s", s->ns, s->peers);
}

/* -- packets --------------------------------------------------------------------------------------- */

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t sum_of(const struct gp_packet *p)
{
	uint32_t sum = 0;

	if (p->pf == FAM_IP)
		return be32(p->b + 12) * 31 + be32(p->b + 16) * 17;
	for (int i = 0; i < 8; i++)
		sum = sum * 31 + be32(p->b + 8 + 4 * i);
	return sum;
}

static void send_out(struct side *s, const struct gp_packet *p, const char *dev)
{
	int fd = p->pf == FAM_IP ? s->raw4 : s->raw6;
	struct sockaddr_in a4 = { .sin_family = AF_INET };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };

	setsockopt(fd, SOL_SOCKET, SO_MARK, &p->mark, sizeof(p->mark));
	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(dev));
	memcpy(&a4.sin_addr, p->b + 16, 4);
	memcpy(&a6.sin6_addr, p->b + 24, 16);
	if (p->pf == FAM_IP)
		sendto(fd, p->b, p->len, 0, (struct sockaddr *)&a4, sizeof(a4));
	else
		sendto(fd, p->b, p->len, 0, (struct sockaddr *)&a6, sizeof(a6));
}

static void send_in(struct side *s, const struct gp_packet *p)
{
	uint8_t f[14 + GP_MAX] = { 2, 0, 0, 0, 1, (uint8_t)p->iface,
				   2, 0, 0, 0, 2, (uint8_t)p->iface };

	f[12] = p->pf == FAM_IP ? 0x08 : 0x86;
	f[13] = p->pf == FAM_IP ? 0x00 : 0xdd;
	memcpy(f + 14, p->b, p->len);
	if (write(s->tx[p->iface], f, 14 + p->len) < 0 && errno != ENOBUFS)
		printf("# send: %s\n", strerror(errno));
}

static bool late_fragment(const struct gp_packet *p)
{
	return p->pf == FAM_IP && ((p->b[6] & 0x1f) || p->b[7]);
}

/*
 * nft's fast path (up to 6.18) reads ports of later fragments, where newer kernels, and the object, do not match: rulesets that
 * read transport headers are not sent such packets.
 */
static bool reads_transport(const struct ruleset *rs)
{
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->chains, c)
			vec_foreach(&(*c)->rules, r) {
				struct rule own = rule_kernel(*r);

				vec_foreach(&own.exprs, e)
					if ((*e)->kind == EX_PAYLOAD &&
					    (*e)->payload.base == PB_TRANSPORT)
						return true;
			}
	return false;
}

static uint64_t hash_seen(const struct side *sides)
{
	uint64_t h = 0;

	for (int i = 0; i < 2; i++)
		for (const uint8_t *p = (const uint8_t *)sides[i].seen,
				   *end = (const uint8_t *)(sides[i].seen + 65536);
		     p < end; p += 8) {
			uint64_t word;

			memcpy(&word, p, 8);
			h = (h ^ word) * 0x9e3779b97f4a7c15u;
		}
	return h;
}

/* Waits until nothing more is seen: on a busy machine packets are taken in late. */
static void settle(const struct side *sides)
{
	uint64_t was = hash_seen(sides), now;

	for (int quiet = 0, i = 0; quiet < 2 && i < 100; i++) {
		usleep(50000);
		now = hash_seen(sides);
		quiet = now == was ? quiet + 1 : 0;
		was = now;
	}
}

/* Packets that the kernel itself has lost because a queue was full, of all processors (Documentation/networking: softnet_stat). */
static uint64_t lost_packets(void)
{
	FILE *f = fopen("/proc/net/softnet_stat", "r");
	unsigned int done, dropped;
	uint64_t sum = 0;

	while (f && fscanf(f, "%x %x%*[^\n]", &done, &dropped) == 2)
		sum += dropped;
	if (f)
		fclose(f);
	return sum;
}

/* Sends every packet to both sides, in the three ways one after another. Returns how many. */
static uint32_t send_all(struct genpkt *g, struct side *sides, struct gp_packet *ps, bool no_late)
{
	static const char *const routing[] = {
		[GP_IN] = "for d in $(ls /sys/class/net); do ip rule add pref 5 iif $d lookup 100;"
			  " ip -6 rule add pref 5 iif $d lookup 100; done",
		[GP_FWD] = "while ip rule del pref 5; do :; done; while ip -6 rule del pref 5; do "
			   ":; done",
		[GP_OUT] = "true",
	};
	const char *const *names;
	uint32_t n = genpkt_ifaces(g, &names), id = 0;

	(void)n;
	for (int way = GP_IN; way <= GP_OUT; way++) {
		for (int i = 0; i < 2; i++)
			sh(NULL, NULL, "ip netns exec %s sh -c '%s'", sides[i].ns, routing[way]);
		for (uint32_t k = 0; k < opt.packets / 3; k++) {
			struct gp_packet *p = &ps[id];

			do {
				genpkt_next(g, (enum gp_way)way, id + 1, p);
			} while (no_late && late_fragment(p));
			id++;
			for (int i = 0; i < 2; i++) {
				sides[i].seen[p->id].sum = sum_of(p);
				if (way == GP_OUT)
					send_out(&sides[i], p, names[p->oface]);
				else
					send_in(&sides[i], p);
			}
		}
	}
	settle(sides);
	return id;
}

/* -- comparing ------------------------------------------------------------------------------------- */

static void print_seen(const char *who, const struct seen *s)
{
	static const char *const hooks[] = { "prerouting", "input", "forward", "output",
					     "postrouting" };

	printf("#   %-8s", who);
	for (int h = 0; h < 5; h++)
		if (s->in[h])
			printf(" %s %u/%u mark %#x ct %#x", hooks[h], s->out[h], s->in[h],
			       s->mark[h], s->ctmark[h]);
	printf("\n");
}

static uint32_t compare(const struct side *a, const struct side *b, const struct gp_packet *ps,
			uint32_t n, uint32_t *stopped)
{
	uint32_t bad = 0;

	*stopped = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct seen *x = &a->seen[ps[i].id], *y = &b->seen[ps[i].id];

		for (int h = 0; h < 5; h++)
			*stopped += x->in[h] > x->out[h];
		if (!memcmp(x, y, sizeof(*x)) || bad++ >= 8)
			continue;
		printf("# packet %u: ipv%d way %d iface %u oface %u len %u:", ps[i].id,
		       ps[i].pf == FAM_IP ? 4 : 6, ps[i].way, ps[i].iface, ps[i].oface, ps[i].len);
		for (uint32_t k = 0; k < MIN(ps[i].len, 72u); k++)
			printf("%s%02x", k % 4 ? "" : " ", ps[i].b[k]);
		printf("\n");
		print_seen("nft", x);
		print_seen("nft2bpf", y);
	}
	return bad;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Elements of hash sets come in no order: their values sorted. */
static void put_sorted(FILE *out, char **v, size_t *n)
{
	if (*n)
		qsort(v, *n, sizeof(*v), by_text);
	for (size_t i = 0; i < *n; i++) {
		fputs(v[i], out);
		free(v[i]);
	}
	*n = 0;
}

/* The values of "packets N bytes M" of a listing, one a line, in order but for those of one set's elements. */
static char *values(const char *path)
{
	FILE *f = fopen(path, "r"), *out;
	char *text = NULL, line[65536], **elems = NULL;
	size_t len, n = 0;
	bool in = false;

	out = open_memstream(&text, &len);
	while (f && fgets(line, sizeof(line), f)) {
		in |= strstr(line, "elements = {") != NULL;
		for (char *p = line; (p = strstr(p, "packets ")); p++) {
			unsigned long long a, b;

			if (sscanf(p, "packets %llu bytes %llu", &a, &b) != 2)
				continue;
			elems = realloc(elems, (n + 1) * sizeof(*elems));
			if (asprintf(&elems[n++], "packets %llu bytes %llu\n", a, b) < 0)
				n--;
			if (!in)
				put_sorted(out, elems, &n);
		}
		if (in && strchr(line, '}')) {
			in = false;
			put_sorted(out, elems, &n);
		}
	}
	if (f)
		fclose(f);
	free(elems);
	fclose(out);
	return text;
}

static bool same_counters(const char *dir)
{
	char a[256], b[256], *x, *y;
	bool same;

	snprintf(a, sizeof(a), "%s/nft.list", dir);
	snprintf(b, sizeof(b), "%s/ours.list", dir);
	x = values(a);
	y = values(b);
	same = !strcmp(x, y);
	if (!same) {
		char *xs = x, *ys = y;

		for (int i = 0; xs && ys && (*xs || *ys); i++) {
			char *xl = strsep(&xs, "\n"), *yl = strsep(&ys, "\n");

			if (strcmp(xl ? xl : "", yl ? yl : "") != 0)
				printf("# counter %d: nft '%s', nft2bpf '%s'\n", i, xl, yl);
		}
	}
	free(x);
	free(y);
	return same;
}

/* -- one ruleset ----------------------------------------------------------------------------------- */

/* A text that says extensions of iptables in full. */
static bool is_full(const char *ruleset)
{
	FILE *f = fopen(ruleset, "r");
	char line[8192];
	bool full = false;

	while (f && !full && fgets(line, sizeof(line), f))
		full = strstr(line, "\txt match \"") || strstr(line, " xt match \"");
	if (f)
		fclose(f);
	return full;
}

static bool is_xt(const char *ruleset)
{
	size_t n = strlen(ruleset);

	return n > 3 && !strcmp(ruleset + n - 3, ".xt");
}

/* What a script of iptables' commands makes, from a namespace of its own. */
static struct ruleset *read_xt(struct arena *a, struct diag *d, const char *script)
{
	struct ruleset *rs = NULL;
	char ns[32], log[64];

	snprintf(ns, sizeof(ns), "kdiff%dx", getpid());
	snprintf(log, sizeof(log), "/tmp/%s.log", ns);
	if (sh(NULL, log, "ip netns add %s", ns) || sh(ns, log, "set -e; . '%s'", script)) {
		printf("# %s does not run\n", script);
		print_log(log);
	} else if (enter(ns)) {
		rs = frontend_read_live(a, d);
	}
	enter("");
	sh(NULL, NULL, "ip netns del %s", ns);
	unlink(log);
	return rs;
}

/* Into the kernel of one side, as it is. */
static int load_plain(struct side *s, const char *ruleset, const char *dir)
{
	char log[256];

	snprintf(log, sizeof(log), "%s/log", dir);
	if (is_xt(ruleset))
		return sh(s->ns, log, "set -e; . '%s'", ruleset);
	if (is_full(ruleset))
		return sh(s->ns, log,
			  "'%s' --partial never '%s' -o %s/n.o && '%s' load %s/n.o --name kdiff",
			  opt.nft2bpf, ruleset, dir, opt.ctl, dir);
	return sh(s->ns, log, "${NFT:-nft} -f '%s'", ruleset);
}

static bool load_both(struct side *sides, const char *ruleset, const char *dir)
{
	bool live = is_xt(ruleset) || (opt.live && !is_full(ruleset));
	char log[256];

	snprintf(log, sizeof(log), "%s/log", dir);
	if (load_plain(&sides[0], ruleset, dir) || (live && load_plain(&sides[1], ruleset, dir))) {
		printf("# the kernel does not take the ruleset\n");
		print_log(log);
		return false;
	}
	if (sh(sides[1].ns, log,
	       "'%s' %s %s%s%s -o %s/k.o && { test %d = 0 || ${NFT:-nft} flush ruleset; } && "
	       "'%s' load %s/k.o --name kdiff",
	       opt.nft2bpf, opt.args, live ? "--live" : "'", live ? "" : ruleset, live ? "" : "'",
	       dir, live, opt.ctl, dir)) {
		printf("# the object does not compile or load\n");
		print_log(log);
		return false;
	}
	return true;
}

static bool run_loaded(struct genpkt *g, struct side *sides, const char *dir, bool no_late)
{
	struct gp_packet *ps = calloc(opt.packets, sizeof(*ps));
	uint32_t n, bad, stopped;
	char log[256];
	bool good;

	n = send_all(g, sides, ps, no_late);
	bad = compare(&sides[0], &sides[1], ps, n, &stopped);
	free(ps);
	snprintf(log, sizeof(log), "%s/nft.list", dir);
	sh(sides[0].ns, log, "${NFT:-nft} list ruleset");
	snprintf(log, sizeof(log), "%s/ours.list", dir);
	good = !sh(sides[1].ns, log, "'%s' list kdiff", opt.ctl);
	if (!good)
		print_log(log);
	if (!same_counters(dir))
		good = false;
	printf("# %u packets, %u stopped, %u differ\n", n, stopped, bad);
	return good && !bad;
}

static bool run(const char *ruleset)
{
	struct arena *a = arena_new();
	struct side sides[2];
	struct ruleset *rs;
	struct genpkt *g;
	struct diag d;
	char dir[] = "/tmp/kdiff.XXXXXX", log[64];
	const char *const *names;
	uint32_t n;
	bool good = false;

	diag_init(&d, a);
	rs = is_xt(ruleset) ? read_xt(a, &d, ruleset)
			    : frontend_read_text(a, &d, ruleset, &(struct parse_opts){ 0 });
	diag_flush(&d, stdout);
	if (!rs || !mkdtemp(dir))
		goto out;
	g = genpkt_new(a, rs, opt.seed);
	genpkt_plain_tunnels(g);
	n = genpkt_ifaces(g, &names);
	good = side_open(&sides[0], "a", names, n);
	good = side_open(&sides[1], "b", names, n) && good;
	if (!good)
		printf("# the namespaces cannot be made: %s\n", strerror(errno));
	usleep(50000); /* until the kernel has said what it says of new addresses */
	good = good && load_both(sides, ruleset, dir);
	if (good) {
		good = run_loaded(g, sides, dir, reads_transport(rs));
		snprintf(log, sizeof(log), "%s/log", dir);
		if (sh(sides[1].ns, log, "'%s' unload kdiff", opt.ctl)) {
			printf("# unload fails\n");
			print_log(log);
			good = false;
		}
	}
	side_close(&sides[0]);
	side_close(&sides[1]);
	sh(NULL, NULL, "rm -rf %s", dir);
out:
	arena_free(a);
	return good;
}

/* The number of "v1.0.6" and the like in a text, behind the word; 0: not there. */
static uint32_t version_in(const char *text, const char *word)
{
	const char *at = strstr(text, word);
	unsigned int a, b, c;

	if (!at || sscanf(at + strlen(word), "%u.%u.%u", &a, &b, &c) != 3)
		return 0;
	return a << 16 | b << 8 | c;
}

/* Whether the ruleset says "needs nft X.Y.Z" in its first line and the nft at hand is older. */
static bool needs_newer(const char *ruleset)
{
	FILE *f = fopen(ruleset, "r"), *v;
	char line[512] = "", have[128] = "";
	uint32_t need;

	if (f && !fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (f)
		fclose(f);
	need = version_in(line, "needs nft ");
	if (!need)
		return false;
	v = popen("${NFT:-nft} --version", "r");
	if (v && !fgets(have, sizeof(have), v))
		have[0] = '\0';
	if (v)
		pclose(v);
	return version_in(have, " v") < need;
}

/* Pins of this test alone, gone with it. */
static bool private_bpffs(void)
{
	return !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL);
}

static int not_permitted(void)
{
	bool ci = getenv("CI") && !strcmp(getenv("CI"), "true");

	printf("1..0 # SKIP needs root, network namespaces and BPF: %s\n", strerror(errno));
	if (ci)
		fprintf(stderr, "kdiff: cannot run here, and CI demands it\n");
	return ci ? 1 : 77;
}

int main(int argc, char **argv)
{
	int c, failed = 0;
	cpu_set_t one;

	while ((c = getopt(argc, argv, "ln:s:a:b:c:o:")) >= 0) {
		switch (c) {
		case 'l':
			opt.live = true;
			break;
		case 'n':
			opt.packets = (uint32_t)MIN(strtoul(optarg, NULL, 10), PACKETS_MAX);
			break;
		case 's':
			opt.seed = strtoull(optarg, NULL, 10);
			break;
		case 'a':
			opt.args = optarg;
			break;
		case 'b':
			opt.nft2bpf = optarg;
			break;
		case 'c':
			opt.ctl = optarg;
			break;
		case 'o':
			opt.observer = optarg;
			break;
		default:
			return 2;
		}
	}
	if (!opt.nft2bpf || !opt.ctl || !opt.observer || optind == argc) {
		fprintf(stderr, "kdiff: see the head of kdiff.c\n");
		return 2;
	}
	home_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (geteuid() || home_ns < 0 || !private_bpffs() ||
	    sh(NULL, NULL, "ip netns add kdiff%d && ip netns del kdiff%d", getpid(), getpid()))
		return not_permitted();
	CPU_ZERO(
		&one); /* sending and receiving on one processor: the order is the same on both sides */
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", argc - optind);
	for (int i = optind; i < argc; i++) {
		const char *base = strrchr(argv[i], '/');
		bool good = false;

		if (needs_newer(argv[i])) {
			printf("ok %d - %s # SKIP nft is too old for it\n", i - optind + 1,
			       base ? base + 1 : argv[i]);
			continue;
		}
		for (int tries = 3; tries; tries--) {
			uint64_t lost = lost_packets();

			good = run(argv[i]);
			if (good || lost_packets() == lost)
				break;
			printf("# the kernel lost packets between the interfaces: once more\n");
		}
		failed += !good;
		printf("%s %d - %s %s\n", good ? "ok" : "not ok", i - optind + 1,
		       base ? base + 1 : argv[i], opt.args);
	}
	return failed ? 1 : 0;
}
