// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kdiff: does the loaded object treat packets as nf_tables treats them?
 *
 *	kdiff -b NFT2BPF -c NFT2BPFCTL -o OBSERVER [-C FILE] [-n PACKETS] [-s SEED]
 *		[[-l] [-e NAME=VALUE] -a OPTIONS]... RULESET...
 *
 * A ruleset is nft text, or, with the ending .xt, a shell script of iptables-nft and ip6tables-nft
 * commands, which all namespaces run, and whose result the compiler reads from the kernel. What the
 * nft at hand does not read (it is too old, or the text has xt match "name" = ...) goes to the
 * kernel as the compiler's own expressions.
 *
 * With -C the kernel's side is told to count what its expressions do, and the table of that goes to
 * FILE (cover.h): one more test.
 *
 * For each ruleset network namespaces get the same packets (tests/diff/genpkt.h): one has the
 * ruleset loaded by nft, the others by nft2bpf and nft2bpfctl, each in another way: with the
 * options of one -a; with the environment of the -e before it; with -l before it from a ruleset
 * that the compiler reads from the kernel. Compared with the first are, per packet and hook,
 * whether it came and went on, its mark and its conntrack mark; and afterwards every counter and
 * quota of `nft list ruleset` with those of `nft2bpfctl list`. Prints TAP. Exit 77: not permitted
 * here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../diff/genpkt.h"
#include "cover.h"
#include "frontend.h"
#include "kd.h"

#define WAYS_MAX 8

/* A way to compile a ruleset. */
struct way {
	const char *args, *env;
	bool live;
};

static struct {
	const char *nft2bpf, *ctl, *observer;
	uint32_t packets;
	uint64_t seed;
	struct way ways[WAYS_MAX];
	uint32_t n_ways;
	const char *coverage; /* file; NULL: not asked for */
} opt = { .packets = 3000, .seed = 1 };

/* The first has the ruleset in nftables; sides[1 + i] has it as ways[i] says. */
static struct side sides[1 + WAYS_MAX];

static struct cover *cover; /* NULL: not asked for */

/* -- packets ----------------------------------------------------------------------------------- */

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t sum_of(const struct gp_packet *p)
{
	uint32_t sum = 0;

	if (p->pf == FAM_IP)
		return be32(p->b + 12) * 31 + be32(p->b + 16) * 17 + p->b[9];
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
	uint8_t proto;
	uint32_t at = gp_transport(p, &proto);

	if (p->pf == FAM_IP)
		return (p->b[6] & 0x1f) || p->b[7];
	return proto == 44 && at + 4 <= p->len && (p->b[at + 2] || p->b[at + 3] & 0xf8);
}

/*
 * nft's fast path (up to 6.18) reads ports of later fragments (of IPv6 even in the IPv6 header),
 * where newer kernels, and the object, do not match: rulesets that read transport headers are not
 * sent such packets.
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

static uint64_t hash_seen(void)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i <= opt.n_ways; i++)
		for (const uint8_t *p = (const uint8_t *)sides[i].seen,
				   *end = (const uint8_t *)(sides[i].seen + opt.packets + 1);
		     p < end; p += 8) {
			uint64_t word;

			memcpy(&word, p, 8);
			h = (h ^ word) * 0x9e3779b97f4a7c15u;
		}
	return h;
}

/* Waits until nothing more is seen: on a busy machine packets are taken in late. */
static void settle(void)
{
	uint64_t was = hash_seen(), now;

	for (int quiet = 0, i = 0; quiet < 2 && i < 100; i++) {
		usleep(50000);
		now = hash_seen();
		quiet = now == was ? quiet + 1 : 0;
		was = now;
	}
}

/*
 * Packets that the kernel itself has lost because a queue was full, of all processors
 * (Documentation/networking: softnet_stat).
 */
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

/*
 * Packets that wait to be taken in on this processor (softnet_stat: columns 12 and 13, the
 * processor); 0 where it is not told.
 */
static uint32_t waiting(FILE *stat)
{
	uint32_t found = 0, cpu = (uint32_t)sched_getcpu();
	unsigned int n, which;

	rewind(stat);
	for (char line[256]; fgets(line, sizeof(line), stat);)
		if (sscanf(line, "%*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x %x", &n, &which) ==
			    2 &&
		    which == cpu)
			found = n;
	return found;
}

/*
 * Lets all sides take in what was sent. On a busy machine a packet may be queued before the answer
 * to the one in front of it, and what depends on their order, like `ct avgpkt`, would come out
 * differently each time.
 */
static void take_in(FILE *stat)
{
	for (int i = 0; stat && waiting(stat) && i < 10000; i++)
		sched_yield();
}

/* Sends every packet to all sides, in the three ways one after another. Returns how many. */
static uint32_t send_all(struct genpkt *g, struct gp_packet *ps, bool no_late)
{
	const char *const *names;
	uint32_t n = genpkt_ifaces(g, &names), id = 0;
	FILE *stat = fopen("/proc/net/softnet_stat", "r");

	for (int way = GP_IN; way <= GP_OUT; way++) {
		for (uint32_t i = 0; i <= opt.n_ways && way != GP_OUT; i++)
			if (!take_all_in(&sides[i], names, n, way == GP_IN))
				printf("# the rules of routing cannot be changed\n");
		for (uint32_t k = 0; k < opt.packets / 3; k++) {
			struct gp_packet *p = &ps[id];

			do {
				genpkt_next(g, (enum gp_way)way, id + 1, p);
			} while (no_late && late_fragment(p));
			id++;
			for (uint32_t i = 0; i <= opt.n_ways; i++) {
				sides[i].seen[p->id].sum = sum_of(p);
				sides[i].seen[p->id].sent_here = way == GP_OUT;
				if (way == GP_OUT)
					send_out(&sides[i], p, names[p->oface]);
				else
					send_in(&sides[i], p);
			}
			take_in(stat);
		}
	}
	settle();
	if (stat)
		fclose(stat);
	return id;
}

/* -- comparing --------------------------------------------------------------------------------- */

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

/*
 * The values of "packets N bytes M" of a listing, one a line, in order but for those of one set's
 * elements.
 */
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

/* -- one ruleset ------------------------------------------------------------------------------- */

struct sought { /* the ruleset at hand */
	const char *path;
	struct ruleset *rs;
	struct ruleset *counting; /* the same with the counters of cover.h; NULL: not asked for */
	bool direct;		  /* the kernel's side has got it without nft */
	char dir[32];
};

static bool load_reference(struct sought *s)
{
	s->direct = s->counting;
	if (ref_load(&sides[0], s->counting ?: s->rs, s->path, s->dir, &s->direct))
		return true;
	printf("# the kernel does not take the ruleset\n");
	return false;
}

static bool load_way(const struct sought *s, const struct way *w, struct side *side)
{
	bool live = is_xt(s->path) || (w->live && !is_full(s->path)), also = false;
	char log[256];

	if (live && !ref_load(side, s->rs, s->path, s->dir, &also)) {
		printf("# the kernel does not take the ruleset\n");
		return false;
	}
	snprintf(log, sizeof(log), "%s/log", s->dir);
	if (sh(side->ns, log,
	       "%s '%s' %s %s%s%s -o %s/k.o && { test %d = 0 || ${NFT:-nft} flush ruleset; } && "
	       "%s '%s' load %s/k.o --name kdiff",
	       w->env, opt.nft2bpf, w->args, live ? "--live" : "'", live ? "" : s->path,
	       live ? "" : "'", s->dir, live, w->env, opt.ctl, s->dir)) {
		printf("# the object does not compile or load\n");
		print_log(log);
		return false;
	}
	return true;
}

/* What a side did with the packets, and its counters, against those of the first. */
static bool compare_way(const struct sought *s, struct side *side, const struct gp_packet *ps,
			uint32_t n)
{
	uint32_t bad, stopped;
	char log[256];
	bool good = true;

	bad = compare(&sides[0], side, ps, n, &stopped);
	snprintf(log, sizeof(log), "%s/ours.list", s->dir);
	if (sh(side->ns, log, "'%s' list kdiff", opt.ctl)) {
		print_log(log);
		good = false;
	}
	if (!same_counters(s->dir))
		good = false;
	snprintf(log, sizeof(log), "%s/log", s->dir);
	if (sh(side->ns, log, "'%s' unload kdiff", opt.ctl)) {
		printf("# unload fails\n");
		print_log(log);
		good = false;
	}
	printf("# %u packets, %u stopped, %u differ\n", n, stopped, bad);
	return good && !bad;
}

/* good: which ways are loaded; and then, which did as the kernel does. */
static void run_loaded(struct genpkt *g, const struct sought *s, bool *good)
{
	struct gp_packet *ps = calloc(opt.packets, sizeof(*ps));
	uint32_t n = send_all(g, ps, reads_transport(s->rs));
	char log[256];
	bool listed;

	snprintf(log, sizeof(log), "%s/nft.list", s->dir);
	listed = ref_list(&sides[0], log, s->direct, cover, s->counting);
	for (uint32_t i = 0; i < opt.n_ways; i++)
		good[i] = good[i] && compare_way(s, &sides[1 + i], ps, n) && listed;
	free(ps);
}

static struct ruleset *read_ruleset(struct arena *a, struct diag *d, const char *path)
{
	return is_xt(path) ? read_xt(a, d, path)
			   : frontend_read_text(a, d, path, &(struct parse_opts){ 0 });
}

static bool open_sides(struct genpkt *g)
{
	const char *const *names;
	uint32_t n = genpkt_ifaces(g, &names);
	bool good = true;
	char name[8];

	for (uint32_t i = 0; i <= opt.n_ways; i++) {
		snprintf(name, sizeof(name), "%u", i);
		memset(sides[i].seen, 0, (opt.packets + 1) * sizeof(struct seen));
		good = side_open(&sides[i], name, names, n) && good;
	}
	if (!good)
		printf("# the namespaces cannot be made: stderr has why\n");
	usleep(50000); /* until the kernel has said what it says of new addresses */
	return good;
}

/* good: of each way, whether it did as the kernel does. */
static void run(const char *path, bool *good)
{
	struct sought s = { .path = path, .dir = "/tmp/kdiff.XXXXXX" };
	struct arena *a = arena_new();
	struct genpkt *g;
	struct diag d;

	memset(good, 0, WAYS_MAX * sizeof(*good));
	diag_init(&d, a);
	s.rs = read_ruleset(a, &d, path);
	if (cover && s.rs) {
		s.counting = read_ruleset(a, &d, path);
		cover_put(s.counting);
	}
	diag_flush(&d, stdout);
	if (!s.rs || !mkdtemp(s.dir))
		goto out;
	g = genpkt_new(a, s.rs, opt.seed);
	genpkt_plain_tunnels(g);
	if (open_sides(g) && load_reference(&s)) {
		for (uint32_t i = 0; i < opt.n_ways; i++)
			good[i] = load_way(&s, &opt.ways[i], &sides[1 + i]);
		run_loaded(g, &s, good);
	}
	for (uint32_t i = 0; i <= opt.n_ways; i++)
		side_close(&sides[i]);
	sh(NULL, NULL, "rm -rf %s", s.dir);
out:
	arena_free(a);
}

static bool all_good(const bool *good)
{
	for (uint32_t i = 0; i < opt.n_ways; i++)
		if (!good[i])
			return false;
	return true;
}

/* A line of TAP for each way; how many failed. */
static uint32_t test(const char *path, uint32_t *number)
{
	const char *base = strrchr(path, '/');
	bool good[WAYS_MAX];
	uint32_t failed = 0;

	for (int tries = 3; tries; tries--) {
		uint64_t lost = lost_packets();

		run(path, good);
		if (all_good(good) || lost_packets() == lost)
			break;
		printf("# the kernel lost packets between the interfaces: once more\n");
	}
	for (uint32_t i = 0; i < opt.n_ways; i++) {
		const struct way *w = &opt.ways[i];

		failed += !good[i];
		printf("%s %u - %s %s%s%s%s\n", good[i] ? "ok" : "not ok", ++*number,
		       base ? base + 1 : path, w->live ? "live " : "", w->env, *w->env ? " " : "",
		       w->args);
	}
	return failed;
}

/* The table of what was covered; how much is amiss with it. */
static uint32_t print_coverage(void)
{
	FILE *f = fopen(opt.coverage, "w");
	uint32_t bad = f ? cover_print(cover, f) : 1;

	if (!f || fclose(f))
		printf("# %s: %s\n", opt.coverage, strerror(errno));
	return bad;
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

static bool read_args(int argc, char **argv)
{
	struct way way = { .env = "" };
	int c;

	while ((c = getopt(argc, argv, "lC:n:s:a:b:c:e:o:")) >= 0) {
		switch (c) {
		case 'l':
			way.live = true;
			break;
		case 'C':
			opt.coverage = optarg;
			break;
		case 'n':
			opt.packets = (uint32_t)MIN(strtoul(optarg, NULL, 10), PACKETS_MAX);
			break;
		case 's':
			opt.seed = strtoull(optarg, NULL, 10);
			break;
		case 'a':
			if (opt.n_ways == WAYS_MAX)
				return false;
			way.args = optarg;
			opt.ways[opt.n_ways++] = way;
			way = (struct way){ .env = "" };
			break;
		case 'b':
			opt.nft2bpf = optarg;
			break;
		case 'c':
			opt.ctl = optarg;
			break;
		case 'e':
			way.env = optarg;
			break;
		case 'o':
			opt.observer = optarg;
			break;
		default:
			return false;
		}
	}
	return opt.nft2bpf && opt.ctl && opt.observer && opt.n_ways && optind < argc;
}

static bool can_run(void)
{
	if (geteuid() || !home() || !private_bpffs() ||
	    sh(NULL, NULL, "ip netns add kdiff%d && ip netns del kdiff%d", getpid(), getpid()))
		return false;
	for (uint32_t i = 0; i <= opt.n_ways; i++)
		if (!side_observer(&sides[i], opt.observer))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	uint32_t failed = 0, number = 0;
	cpu_set_t one;

	if (!read_args(argc, argv)) {
		fprintf(stderr, "kdiff: see the head of kdiff.c\n");
		return 2;
	}
	if (!can_run())
		return not_permitted();
	CPU_ZERO(
		/* sending and receiving on one processor: the order is the same on all sides */
		&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%u\n", (uint32_t)(argc - optind) * opt.n_ways + !!opt.coverage);
	cover = opt.coverage ? cover_new(arena_new()) : NULL;
	for (int i = optind; i < argc; i++)
		failed += test(argv[i], &number);
	if (cover) {
		uint32_t bad = print_coverage();

		failed += bad > 0;
		printf("%s %u - every kind matches, does not match and breaks, or its reason is "
		       "told: %u "
		       "do not\n",
		       bad ? "not ok" : "ok", ++number, bad);
	}
	return failed ? 1 : 0;
}
