// SPDX-License-Identifier: GPL-2.0-or-later
/* Transactions as netlink messages: each acts on what the dump and the messages before it left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "nlout.h"

enum { APPEND = 0x800, REPLACE = 0x100, EXCL = 0x200 };
enum { BEGIN = 16, END };

struct fixture {
	struct arena *a;
	struct diag d;
	struct out o;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->a = arena_new();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_free(f->a);
	free(f);
	return 0;
}

static void num64(struct out *o, uint16_t type, uint64_t v)
{
	uint8_t b[8];

	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (56 - 8 * i));
	attr(o, type, b, 8);
}

/* A message about one thing of table t; name is attribute `at`. */
static void thing(struct out *o, uint16_t type, uint16_t flags, uint16_t at, const char *name)
{
	size_t m = msg_flags(o, type, flags);

	str(o, 1, at == 1 ? name : "t");
	if (at != 1 && name)
		str(o, at, name);
	msg_end(o, m);
}

static void table(struct out *o)
{
	thing(o, 0, 0, 1, "t");
}

static void chain(struct out *o, const char *name)
{
	thing(o, 3, 0, 3, name);
}

struct rule_msg {
	uint16_t type, flags;
	const char *chain, *comment;
	uint64_t handle, position;
	uint32_t id, position_id;
};

static void rule(struct out *o, struct rule_msg r)
{
	size_t m = msg_flags(o, r.type, r.flags);
	uint8_t ud[64] = { 0 };

	str(o, 1, "t");
	if (r.chain)
		str(o, 2, r.chain);
	if (r.handle)
		num64(o, 3, r.handle);
	if (r.position)
		num64(o, 6, r.position);
	if (r.comment) {
		ud[1] = (uint8_t)(strlen(r.comment) + 1);
		memcpy(ud + 2, r.comment, ud[1]);
		attr(o, 7, ud, (uint16_t)(2 + ud[1]));
	}
	if (r.id)
		num(o, 9, r.id);
	if (r.position_id)
		num(o, 10, r.position_id);
	msg_end(o, m);
}

/* The comments of a chain's rules, in order; NULL: refused. */
static const char *rules_of(struct fixture *f, const char *name)
{
	struct ruleset *rs = read_out(f->a, &f->d, f->o.b, f->o.n);
	struct sbuf b;

	if (!rs)
		return NULL;
	sb_init(&b, f->a);
	sb_puts(&b, "");
	vec_foreach(&table_chain(rs->tables.v[0], name)->rules, r)
		sb_puts(&b, (*r)->comment);
	return b.s;
}

/* A dump of chain c with rules a and b (handles 5 and 6), and the start of a transaction. */
static void dump_and_begin(struct out *o)
{
	o->n = 0;
	table(o);
	chain(o, "c");
	rule(o, (struct rule_msg){ 6, 0, "c", "a", .handle = 5 });
	rule(o, (struct rule_msg){ 6, 0, "c", "b", .handle = 6 });
	control(o, BEGIN);
}

static void rules_go_where_they_are_put(void **state)
{
	static const struct {
		struct rule_msg m;
		const char *after;
	} steps[] = {
		{ { 6, APPEND, "c", "1" }, "ab1" },
		{ { 6, 0, "c", "2", .id = 9 }, "2ab1" },
		{ { 6, APPEND, "c", "3", .position = 5 }, "2a3b1" },
		{ { 6, 0, "c", "4", .position = 6 }, "2a34b1" },
		{ { 6, APPEND, "c", "5", .position_id = 9 }, "25a34b1" },
		{ { 6, REPLACE, "c", "6", .handle = 6 }, "25a3461" },
		{ { 8, 0, "c", NULL, .handle = 5 }, "253461" },
		{ { 8, 0, "c", NULL, .id = 9 }, "53461" },
		{ { 28, 0, "c", NULL, .handle = 77 }, "53461" },
		{ { 8, 0, "c" }, "" },
		{ { 6, APPEND, "c", "7" }, "7" },
		{ { 8, 0 }, "" },
	};
	struct fixture *f = *state;

	dump_and_begin(&f->o);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		size_t n;

		rule(&f->o, steps[i].m);
		n = f->o.n;
		control(&f->o, END);
		assert_string_equal(rules_of(f, "c"), steps[i].after);
		f->o.n = n;
	}
}

static void rules_that_are_not_there_are_errors(void **state)
{
	static const struct rule_msg wrong[] = {
		{ 6, APPEND, "c", "x", .position = 7 }, { 6, 0, "c", "x", .position_id = 7 },
		{ 6, REPLACE, "c", "x", .handle = 7 },	{ 8, 0, "c", NULL, .handle = 7 },
		{ 8, 0, "c", NULL, .id = 7 },		{ 8, 0, "d", NULL },
		{ 6, APPEND | REPLACE, "c", "x" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		dump_and_begin(&f->o);
		rule(&f->o, wrong[i]);
		assert_null(rules_of(f, "c"));
		assert_int_not_equal(f->d.errors, 0);
	}
}

static void changes_outside_a_transaction_are_errors(void **state)
{
	struct fixture *f = *state;

	dump_and_begin(&f->o);
	control(&f->o, END);
	rule(&f->o, (struct rule_msg){ 8, 0, "c", NULL, .handle = 5 });
	assert_null(rules_of(f, "c"));
}

/* -- sets -------------------------------------------------------------------------------------- */

static void port_set(struct out *o, uint32_t flags)
{
	size_t m = msg(o, 9);

	str(o, 1, "t");
	str(o, 2, "s");
	num(o, 3, flags);
	num(o, 4, 13);
	num(o, 5, 2);
	msg_end(o, m);
}

/* A message about ports, as nft numbers its elements; those above 0xffff end an interval. */
static void ports(struct out *o, uint16_t type, const uint32_t *v, size_t n)
{
	size_t m = msg(o, type), l;

	str(o, 1, "t");
	str(o, 2, "s");
	l = nest(o, 3);
	for (size_t i = 0; i < n; i++) {
		size_t e = nest(o, (uint16_t)(i + 1));
		uint8_t b[2] = { (uint8_t)(v[i] >> 8), (uint8_t)v[i] };

		value(o, 1, b, 2);
		if (v[i] > 0xffff)
			num(o, 3, 1);
		nest_end(o, e);
	}
	nest_end(o, l);
	msg_end(o, m);
}
#define PORTS(o, type, ...)                                                                        \
	ports(o, type, (const uint32_t[]){ __VA_ARGS__ },                                          \
	      sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4)

static const char *elems_of(struct fixture *f)
{
	struct ruleset *rs = read_out(f->a, &f->d, f->o.b, f->o.n);
	struct sbuf b;

	if (!rs)
		return NULL;
	sb_init(&b, f->a);
	sb_puts(&b, "");
	vec_foreach(&table_set(rs->tables.v[0], "s")->elems, e) {
		sb_printf(&b, " %u", (*e)->key.b[0] << 8 | (*e)->key.b[1]);
		if ((*e)->key_end.len)
			sb_printf(&b, "-%u", (*e)->key_end.b[0] << 8 | (*e)->key_end.b[1]);
	}
	return b.s;
}

static void elements_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct out *o = &f->o;

	o->n = 0;
	control(o, BEGIN);
	table(o);
	port_set(o, 0);
	PORTS(o, 12, 80, 22, 443);
	PORTS(o, 12, 22); /* there already */
	assert_string_equal(elems_of(f), " 22 80 443");
	PORTS(o, 14, 80);
	assert_string_equal(elems_of(f), " 22 443");
	PORTS(o, 30, 80, 443); /* destroy */
	assert_string_equal(elems_of(f), " 22");
	thing(o, 14, 0, 2, "s");
	assert_string_equal(elems_of(f), "");
	PORTS(o, 12, 7);
	assert_string_equal(elems_of(f), " 7");
	PORTS(o, 14, 8);
	assert_null(elems_of(f));
}

static void intervals_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct out *o = &f->o;

	o->n = 0;
	control(o, BEGIN);
	table(o);
	port_set(o, SET_INTERVAL);
	PORTS(o, 12, 10, 0x10000 + 21, 30, 0x10000 + 31);
	PORTS(o, 12, 50, 0x10000 + 61);
	assert_string_equal(elems_of(f), " 10-20 30-30 50-60");
	PORTS(o, 14, 30, 0x10000 + 31);
	assert_string_equal(elems_of(f), " 10-20 50-60");
}

static void a_range_that_ends_before_it_begins_is_refused(void **state)
{
	struct fixture *f = *state;
	struct out *o = &f->o;
	static const uint8_t ends[] = { 30, 20, 10 };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		uint8_t from[2] = { 0, 20 }, to[2] = { 0, ends[i] };
		size_t m, l, e;

		o->n = 0;
		table(o);
		port_set(o, SET_INTERVAL);
		m = msg(o, 12);
		str(o, 1, "t");
		str(o, 2, "s");
		l = nest(o, 3);
		e = nest(o, 1);
		value(o, 1, from, 2);
		value(o, 10, to, 2);
		nest_end(o, e);
		nest_end(o, l);
		msg_end(o, m);
		if (ends[i] < 20)
			assert_null(elems_of(f));
		else
			assert_non_null(elems_of(f));
	}
}

/* -- the others -------------------------------------------------------------------------------- */

static void tables_go(void **state)
{
	struct fixture *f = *state;
	struct ruleset *rs;

	dump_and_begin(&f->o);
	thing(&f->o, 2, 0, 1, "t");  /* delete */
	thing(&f->o, 26, 0, 1, "u"); /* destroy */
	table(&f->o);
	rs = read_out(f->a, &f->d, f->o.b, f->o.n);
	assert_non_null(rs);
	assert_int_equal(rs->tables.n, 1);
	assert_int_equal(rs->tables.v[0]->chains.n, 0);
	assert_int_equal(rs->preamble.n, 3);
	assert_string_equal(rs->preamble.v[0], "add table inet t");
	assert_string_equal(rs->preamble.v[1], "delete table inet t");
	assert_string_equal(rs->preamble.v[2], "destroy table inet u");
}

static void the_whole_ruleset_goes(void **state)
{
	struct fixture *f = *state;
	struct ruleset *rs;
	size_t m;

	dump_and_begin(&f->o);
	m = msg(&f->o, 2);
	f->o.b[m + 16] = 0; /* any family */
	msg_end(&f->o, m);
	rs = read_out(f->a, &f->d, f->o.b, f->o.n);
	assert_non_null(rs);
	assert_int_equal(rs->tables.n, 0);
	assert_string_equal(rs->preamble.v[0], "flush ruleset");
}

static void chains_are_renamed_and_deleted(void **state)
{
	struct fixture *f = *state;
	struct out *o = &f->o;
	struct ruleset *rs;
	size_t m;

	o->n = 0;
	table(o);
	m = msg(o, 3);
	str(o, 1, "t");
	num64(o, 2, 4);
	str(o, 3, "old");
	msg_end(o, m);
	chain(o, "gone");
	control(o, BEGIN);
	m = msg(o, 3);
	str(o, 1, "t");
	num64(o, 2, 4);
	str(o, 3, "new");
	msg_end(o, m);
	thing(o, 5, 0, 3, "gone");
	rs = read_out(f->a, &f->d, o->b, o->n);
	assert_non_null(rs);
	assert_int_equal(rs->tables.v[0]->chains.n, 1);
	assert_string_equal(rs->tables.v[0]->chains.v[0]->name, "new");
	m = o->n;
	thing(o, 5, 0, 3, "old");
	assert_null(read_out(f->a, &f->d, o->b, o->n));
	o->n = m;
	thing(o, 3, EXCL, 3, "new");
	assert_null(read_out(f->a, &f->d, o->b, o->n));
	o->n = m;
	thing(o, 3, 0, 3, "new"); /* add, not create */
	assert_non_null(read_out(f->a, &f->d, o->b, o->n));
}

static void flow(struct out *o, uint16_t type, const char *dev)
{
	size_t m = msg(o, type), h, d;

	str(o, 1, "t");
	str(o, 2, "f");
	h = nest(o, 3);
	if (type == 22) {
		num(o, 1, 0);
		num(o, 2, 0);
	}
	d = nest(o, 3);
	str(o, 1, dev);
	nest_end(o, d);
	nest_end(o, h);
	msg_end(o, m);
}

static void devices_of_flowtables_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct ruleset *rs;

	dump_and_begin(&f->o);
	flow(&f->o, 22, "eth0");
	flow(&f->o, 22, "eth1");
	flow(&f->o, 22, "eth1");
	flow(&f->o, 24, "eth0");
	rs = read_out(f->a, &f->d, f->o.b, f->o.n);
	assert_non_null(rs);
	assert_int_equal(rs->tables.v[0]->flowtables.v[0]->devices.n, 1);
	assert_string_equal(rs->tables.v[0]->flowtables.v[0]->devices.v[0], "eth1");
	flow(&f->o, 24, "eth0");
	assert_null(read_out(f->a, &f->d, f->o.b, f->o.n));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(rules_go_where_they_are_put),
		TEST(rules_that_are_not_there_are_errors),
		TEST(changes_outside_a_transaction_are_errors),
		TEST(elements_come_and_go),
		TEST(intervals_come_and_go),
		TEST(a_range_that_ends_before_it_begins_is_refused),
		TEST(tables_go),
		TEST(the_whole_ruleset_goes),
		TEST(chains_are_renamed_and_deleted),
		TEST(devices_of_flowtables_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
