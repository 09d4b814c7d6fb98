// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_load: the hand-made objects load in the running kernel and do what they should with packets;
 * and the functions of the runtime answer as nf_tables would. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/netfilter.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <stdlib.h>
#include <unistd.h>

#include "make.h"

static char file[] = "/tmp/n2b-load-XXXXXX";
static struct bpf_object *obj;

struct pkt {
	uint8_t b[512];
	uint32_t n;
};

static void put(struct pkt *p, const void *b, uint32_t n)
{
	memcpy(p->b + p->n, b, n);
	p->n += n;
}
#define PUT(p, ...) put((p), (uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

/*
 * An IPv6 header with that next header; what follows is put behind it, and its length set by run().
 */
static struct pkt ip6(uint8_t next)
{
	struct pkt p = { .n = 40 };

	p.b[0] = 0x60;
	p.b[6] = next;
	p.b[7] = 64;
	return p;
}

static struct pkt ip4(uint8_t proto)
{
	struct pkt p = { .n = 20 };

	p.b[0] = 0x45;
	p.b[8] = 64;
	p.b[9] = proto;
	p.b[12] = p.b[16] = 10; /* 10.0.0.0 */
	return p;
}

static uint32_t run(const char *prog, const struct pkt *p)
{
	struct bpf_program *bp = bpf_object__find_program_by_name(obj, prog);
	struct {
		uint8_t hook, pf;
		uint8_t rest[46];
	} ctx = { NF_INET_LOCAL_OUT, p->b[0] >> 4 == 6 ? NFPROTO_IPV6 : NFPROTO_IPV4, { 0 } };
	LIBBPF_OPTS(bpf_test_run_opts, t, .data_in = p->b, .data_size_in = p->n, .ctx_in = &ctx,
		    .ctx_size_in = 48);

	assert_non_null(bp);
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(bp), &t), 0);
	return t.retval;
}

static uint64_t result(const char *prog, const struct pkt *p)
{
	struct bpf_map *m = bpf_object__find_map_by_name(obj, "out");
	uint64_t v = UINT64_MAX;
	uint32_t key = 0;

	bpf_map_update_elem(bpf_map__fd(m), &key, &v, 0);
	run(prog, p);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(m), &key, &v), 0);
	return v;
}

static void relocations_hold(void **state)
{
	struct pkt tcp = ip4(6), gre = ip4(47);

	tcp.n = gre.n = 40;
	assert_int_equal(run("fields", &tcp), 1);
	assert_int_equal(run("data", &tcp), 1);
	assert_int_equal(run("data", &gre), 0);
	assert_int_equal(run("calls", &tcp), 1);
}

static void pull_reads_packets(void **state)
{
	struct pkt p = ip4(17);

	assert_int_equal(run("pull", &p), 1);
	p.b[16] = 11;
	assert_int_equal(run("pull", &p), 0);
	p = ip4(17);
	p.b[0] = 0x46;
	assert_int_equal(run("pull", &p), 0);
	p = ip4(17);
	p.n = 300;
	assert_int_equal(run("pull", &p), 1);
}

#define KNOWN	    (1u << 25)
#define LATER	    (1u << 24)
#define PROTO(p)    ((uint32_t)(p) << 16)
#define OPTIONS(nh) (nh), 0, 0, 0, 0, 0, 0, 0

static void ip6_walk_is_the_kernels(void **state)
{
	struct pkt p = ip6(6);

	p.n = 60;
	assert_int_equal(result("walk6", &p), KNOWN | PROTO(6) | 40);
	p = ip6(59); /* no next header: a protocol like others */
	assert_int_equal(result("walk6", &p), KNOWN | PROTO(59) | 40);
	p = ip6(0); /* hop by hop, destination, routing, TCP */
	PUT(&p, OPTIONS(60));
	PUT(&p, 43, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	PUT(&p, OPTIONS(6));
	assert_int_equal(result("walk6", &p), KNOWN | PROTO(6) | 72);
	p.n -= 8; /* the routing header is missing */
	assert_int_equal(result("walk6", &p), 0);
	PUT(&p, 6, 0); /* and is cut after two bytes: four must be there */
	assert_int_equal(result("walk6", &p), 0);
	PUT(&p, 0, 0); /* enough of it, whatever length it states */
	assert_int_equal(result("walk6", &p), KNOWN | PROTO(6) | 72);
	p = ip6(51); /* authentication: the walk stops there */
	PUT(&p, 6, 4, 0, 0, 0, 0, 0, 0);
	assert_int_equal(result("walk6", &p), KNOWN | PROTO(51) | 40);
	p = ip6(51); /* even then two bytes of it must be there */
	assert_int_equal(result("walk6", &p), 0);
	/* a length past the packet: the next header is taken as there if it is no extension */
	p = ip6(0);
	PUT(&p, 17, 200, 0, 0, 0, 0, 0, 0);
	assert_int_equal(result("walk6", &p), KNOWN | PROTO(17) | (40 + 201 * 8));
}

static void ip6_fragments(void **state)
{
	struct pkt p = ip6(44);

	PUT(&p, 17, 0, 0, 1, 0, 0, 0, 1); /* first */
	assert_int_equal(result("walk6", &p), KNOWN | PROTO(17) | 48);
	p = ip6(44);
	PUT(&p, 17, 0, 0, 9, 0, 0, 0, 1); /* later */
	assert_int_equal(result("walk6", &p), KNOWN | LATER | PROTO(17));
	p = ip6(44);
	PUT(&p, 60, 0, 0, 9, 0, 0, 0, 1); /* later, of a chain that goes on */
	assert_int_equal(result("walk6", &p), 0);
	p = ip6(44);
	PUT(&p, 59, 0, 0, 9, 0, 0, 0, 1);
	assert_int_equal(result("walk6", &p), KNOWN | LATER | PROTO(59));
	p = ip6(44);
	PUT(&p, 17, 0, 0);
	assert_int_equal(result("walk6", &p), 0);
}

#define FOUND (1ull << 32)

static void ip6_find_is_the_kernels(void **state)
{
	struct pkt p = ip6(0);

	PUT(&p, OPTIONS(51));
	PUT(&p, 43, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* authentication has 12 bytes */
	PUT(&p, 6, 0, 0, 0);
	assert_int_equal(result("find6", &p), FOUND | 60);
	p.n -= 1;
	assert_int_equal(result("find6", &p), 0);
	p = ip6(6);
	p.n = 60;
	assert_int_equal(result("find6", &p), 0);
	p = ip6(44); /* not behind a later fragment's header */
	PUT(&p, 43, 0, 0, 9, 0, 0, 0, 1);
	PUT(&p, OPTIONS(6));
	assert_int_equal(result("find6", &p), 0);
}

static struct pkt tcp(uint8_t words)
{
	struct pkt p = ip4(6);
	const uint8_t h[20] = { [12] = (uint8_t)(words << 4) };

	put(&p, h, 20);
	return p;
}
#define LEN(n) ((uint64_t)(n) << 33)

static void tcp_options(void **state)
{
	struct pkt p = tcp(7);

	PUT(&p, 1, 1, 2, 4, 5, 180, 0, 0);
	assert_int_equal(result("mss", &p), FOUND | LEN(4) | 42);
	p.n--; /* the header must be there whole */
	assert_int_equal(result("mss", &p), 0);
	p = tcp(6); /* a kind in the last byte has no length: not looked at */
	PUT(&p, 1, 1, 1, 2);
	assert_int_equal(result("mss", &p), 0);
	p = tcp(6); /* reaches over the end */
	PUT(&p, 1, 2, 4, 0);
	assert_int_equal(result("mss", &p), 0);
	p = tcp(7); /* length 0 counts as 1 */
	PUT(&p, 8, 0, 2, 4, 5, 180, 0, 0);
	assert_int_equal(result("mss", &p), FOUND | LEN(4) | 42 | 0);
	p = tcp(4); /* too short to be a header */
	PUT(&p, 2, 4, 0, 0);
	assert_int_equal(result("mss", &p), 0);
	p = tcp(7); /* the end-of-options mark does not end the search */
	PUT(&p, 0, 0, 2, 4, 5, 180, 0, 0);
	assert_int_equal(result("mss", &p), FOUND | LEN(4) | 42);
}

static void sctp_chunks(void **state)
{
	struct pkt p = ip4(132);

	p.n += 12;
	PUT(&p, 1, 0, 0, 6, 0, 0, 0, 0);
	PUT(&p, 3, 0, 0, 100);
	assert_int_equal(result("chunk", &p), FOUND | LEN(100) | 40);
	p.n--;
	assert_int_equal(result("chunk", &p), 0);
	p = ip4(132);
	p.n += 12;
	PUT(&p, 1, 0, 0, 0, 3, 0, 0, 4); /* length 0 ends the search */
	assert_int_equal(result("chunk", &p), 0);
}

static void states_count(void **state)
{
	const struct pkt p = ip4(17);

	for (int i = 0; i < 5; i++)
		assert_int_equal(run("limit", &p), i < 3);
	for (int i = 0; i < 4; i++)
		assert_int_equal(run("quota", &p), i >= 2); /* 40 80 120 160 of 100 */
	for (int i = 0; i < 7; i++)
		assert_int_equal(run("numgen", &p), i % 3 & 1);
}

static int last_stamps(void)
{
	struct bpf_map *m = bpf_object__find_map_by_name(obj, "states");
	const struct pkt p = ip4(17);
	uint64_t a, b;
	uint32_t key = 3;

	run("last", &p);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(m), &key, &a), 0);
	run("last", &p);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(m), &key, &b), 0);
	return a && b > a;
}

static void last_rises(void **state)
{
	assert_true(last_stamps());
}

/* -- packets that are not linear: a stream of 'A' over a network namespace's loopback device --- */

static void raise_lo(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(s, SIOCSIFFLAGS, &r), 0);
	close(s);
}

static void stream(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), s;
	socklen_t len = sizeof(a);
	static char buf[30000];

	memset(buf, 'A', sizeof(buf));
	assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
	s = accept(l, NULL, NULL);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(send(c, buf, sizeof(buf), 0), sizeof(buf));
		assert_int_equal(recv(s, buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
	}
	close(s);
	close(c);
	close(l);
}

static void pull_reads_fragments(void **state)
{
	LIBBPF_OPTS(bpf_netfilter_opts, o, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_IN,
		    .priority = 7);
	int map = bpf_map__fd(bpf_object__find_map_by_name(obj, "deep_counts"));
	uint64_t good = 0, bad = 0;
	uint32_t key = 0;
	struct bpf_link *l;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	raise_lo();
	l = bpf_program__attach_netfilter(bpf_object__find_program_by_name(obj, "deep"), &o);
	assert_non_null(l);
	stream();
	bpf_link__destroy(l);
	bpf_map_lookup_elem(map, &key, &good);
	key = 1;
	bpf_map_lookup_elem(map, &key, &bad);
	assert_true(good > 0);
	assert_int_equal(bad, 0);
}

/* What the user sees: his rules in a dump, his words in the program's description. */
static void programs_quote_rules(void **state)
{
	struct bpf_program *p = bpf_object__find_program_by_name(obj, "data");
	struct bpf_line_info lines[16];
	struct bpf_prog_info info = { .nr_line_info = 16,
				      .line_info_rec_size = sizeof(lines[0]),
				      .line_info = (uintptr_t)lines };
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_prog_get_info_by_fd(bpf_program__fd(p), &info, &len), 0);
	assert_int_equal(info.nr_line_info, 2);
	assert_int_equal(BPF_LINE_INFO_LINE_NUM(lines[1].line_col), 6);
	assert_int_equal(BPF_LINE_INFO_LINE_COL(lines[1].line_col), 2);
	assert_true(info.nr_map_ids ==
		    2); /* the counters, and the read-only data with the metadata */
}

static int quiet(enum libbpf_print_level l, const char *fmt, va_list ap)
{
	return l == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

static int setup(void **state)
{
	struct make *m = make_new();
	int fd = mkstemp(file), err;

	libbpf_set_print(quiet);
	make_everything(m, true);
	err = fd < 0 ? -errno : obj_write(&m->o, file);
	diag_flush(&m->diag, stderr);
	make_free(m);
	obj = err ? NULL : bpf_object__open_file(file, NULL);
	if (!obj || bpf_object__load(obj)) {
		fprintf(stderr, "the object does not load: %s\n", strerror(errno));
		return -1;
	}
	return close(fd);
}

static int teardown(void **state)
{
	bpf_object__close(obj);
	return unlink(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relocations_hold),
		cmocka_unit_test(pull_reads_packets),
		cmocka_unit_test(ip6_walk_is_the_kernels),
		cmocka_unit_test(ip6_fragments),
		cmocka_unit_test(ip6_find_is_the_kernels),
		cmocka_unit_test(tcp_options),
		cmocka_unit_test(sctp_chunks),
		cmocka_unit_test(states_count),
		cmocka_unit_test(last_rises),
		cmocka_unit_test(pull_reads_fragments),
		cmocka_unit_test(programs_quote_rules),
	};
	const char *ci = getenv("CI");

	if (geteuid()) {
		printf("loading programs needs root\n");
		return ci && !strcmp(ci, "true") ? 1 : 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
