// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What newer kernels send: read where it is known; else the rule has an unknown expression, or the
 * stream is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "nlout.h"

static struct arena *arena;
static struct diag diag;
static struct out out;

static int setup(void **state)
{
	size_t m;

	arena = arena_new();
	out.n = 0;
	m = msg(&out, 0);
	str(&out, 1, "t");
	msg_end(&out, m);
	return 0;
}

static int teardown(void **state)
{
	arena_free(arena);
	return 0;
}

static struct ruleset *result(void)
{
	return read_out(arena, &diag, out.b, out.n);
}

/* A chain, and the start of its rule's first expression's attributes. */
struct open {
	size_t m, list, expr, data;
};
static struct open begin_rule(const char *expr)
{
	struct open o;
	size_t m = msg(&out, 3);

	str(&out, 1, "t");
	str(&out, 3, "c");
	msg_end(&out, m);
	o.m = msg(&out, 6);
	str(&out, 1, "t");
	str(&out, 2, "c");
	o.list = nest(&out, 4);
	o.expr = nest(&out, 1);
	str(&out, 1, expr);
	o.data = nest(&out, 2);
	return o;
}

static const struct expr *end_rule(struct open o)
{
	struct ruleset *rs;

	nest_end(&out, o.data);
	nest_end(&out, o.expr);
	nest_end(&out, o.list);
	msg_end(&out, o.m);
	rs = result();
	return rs ? table_chain(rs->tables.v[0], "c")->rules.v[0]->exprs.v[0] : NULL;
}

static void two_registers(void **state)
{
	struct open o = begin_rule("bitwise");
	const struct expr *e;

	num(&out, 1, 1);
	num(&out, 2, 1);
	num(&out, 3, 4);
	num(&out, 6, BW_OR);
	num(&out, 8, 2);
	e = end_rule(o);
	assert_non_null(e);
	assert_int_equal(e->kind, EX_BITWISE);
	assert_int_equal(e->bitwise.op, BW_OR);
	assert_int_equal(e->bitwise.sreg2, 2);
	assert_int_equal(e->bitwise.mask.len, 0);
}

static void unknown_operation(void **state)
{
	struct open o = begin_rule("bitwise");
	const struct expr *e;

	num(&out, 1, 1);
	num(&out, 2, 1);
	num(&out, 3, 4);
	num(&out, 6, 6);
	e = end_rule(o);
	assert_non_null(e);
	assert_int_equal(e->kind, EX_UNKNOWN);
	assert_string_equal(e->unknown.name, "bitwise");
	assert_int_equal(e->unknown.attrs_len, 32);
}

static void unknown_expression(void **state)
{
	struct open o = begin_rule("teleport");
	const struct expr *e;

	num(&out, 1, 1);
	e = end_rule(o);
	assert_non_null(e);
	assert_int_equal(e->kind, EX_UNKNOWN);
	assert_string_equal(e->unknown.name, "teleport");
}

static void unknown_flags(void **state)
{
	static const struct {
		const char *name;
		uint16_t attr;
		uint32_t v;
	} exprs[] = {
		{ "log", 6, 0x80 }, { "reject", 1, 3 }, { "queue", 3, 0x7fff }, { "masq", 1, 0x80 }
	};

	for (size_t i = 0; i < ARRAY_SIZE(exprs); i++) {
		struct open o;
		const struct expr *e;

		teardown(state);
		setup(state);
		o = begin_rule(exprs[i].name);
		if (!strcmp(exprs[i].name, "queue"))
			attr(&out, 3, "\x7f\xff", 2);
		else
			num(&out, exprs[i].attr, exprs[i].v);
		e = end_rule(o);
		assert_non_null(e);
		assert_int_equal(e->kind, EX_UNKNOWN);
	}
}

/* -- sets, chains, objects --------------------------------------------------------------------- */

static size_t begin_set(uint32_t flags)
{
	size_t m = msg(&out, 9);

	str(&out, 1, "t");
	str(&out, 2, "s");
	num(&out, 3, flags);
	num(&out, 4, 13);
	num(&out, 5, 2);
	return m;
}

static void stateful(uint16_t type, const char *name)
{
	size_t e = nest(&out, type);

	str(&out, 1, name);
	nest_end(&out, nest(&out, 2));
	nest_end(&out, e);
}

static void set_of_several_states(void **state)
{
	size_t m = begin_set(SET_EXPR | SET_EVAL | SET_TIMEOUT), l, e, k;
	struct ruleset *rs;
	struct set *s;

	l = nest(&out, 18);
	stateful(1, "counter");
	stateful(1, "last");
	nest_end(&out, l);
	msg_end(&out, m);
	m = msg(&out, 12);
	str(&out, 1, "t");
	str(&out, 2, "s");
	l = nest(&out, 3);
	e = nest(&out, 1);
	num(&out, 3, 2); /* catch-all */
	attr(&out, 4, "\0\0\0\0\0\0\x27\x10", 8);
	attr(&out, 5, "\0\0\0\0\0\0\x13\x88", 8);
	k = nest(&out, 11);
	stateful(1, "counter");
	stateful(1, "last");
	nest_end(&out, k);
	nest_end(&out, e);
	nest_end(&out, l);
	msg_end(&out, m);
	rs = result();
	assert_non_null(rs);
	s = table_set(rs->tables.v[0], "s");
	assert_int_equal(s->n_exprs, 2);
	assert_int_equal(s->exprs[1]->kind, EX_LAST);
	assert_int_equal(s->elems.n, 1);
	assert_true(s->elems.v[0]->catchall);
	assert_int_equal(s->elems.v[0]->n_exprs, 2);
	assert_int_equal(s->elems.v[0]->timeout, 10000);
	assert_int_equal(s->elems.v[0]->expires, 5000);
}

static void unknown_set_flag_is_refused(void **state)
{
	msg_end(&out, begin_set(0x400));
	assert_null(result());
}

static void unknown_attribute_of_a_set_is_refused(void **state)
{
	size_t m = begin_set(0);

	num(&out, 33, 1);
	msg_end(&out, m);
	assert_null(result());
}

static void chain_of_several_devices(void **state)
{
	size_t m = msg(&out, 3), h, d;
	struct ruleset *rs;
	struct chain *c;

	str(&out, 1, "t");
	str(&out, 3, "c");
	h = nest(&out, 4);
	num(&out, 1, HOOK_INGRESS);
	num(&out, 2, 0);
	d = nest(&out, 4);
	str(&out, 1, "eth0");
	str(&out, 2, "wlan"); /* a prefix */
	nest_end(&out, d);
	nest_end(&out, h);
	str(&out, 7, "filter");
	msg_end(&out, m);
	rs = result();
	assert_non_null(rs);
	c = table_chain(rs->tables.v[0], "c");
	assert_int_equal(c->devices.n, 2);
	assert_string_equal(c->devices.v[0], "eth0");
	assert_string_equal(c->devices.v[1], "wlan*");
}

static void hook_that_is_not_there(void **state)
{
	size_t m = msg(&out, 3), h;

	str(&out, 1, "t");
	str(&out, 3, "c");
	h = nest(&out, 4);
	num(&out, 1, 6);
	num(&out, 2, 0);
	nest_end(&out, h);
	msg_end(&out, m);
	assert_null(result());
}

/* An object's name, type and data; NULL: refused. */
static const char *object_body(uint32_t type, void (*data)(void))
{
	size_t m = msg(&out, 18), d;
	struct ruleset *rs;

	str(&out, 1, "t");
	str(&out, 2, "o");
	num(&out, 3, type);
	d = nest(&out, 4);
	data();
	nest_end(&out, d);
	msg_end(&out, m);
	rs = result();
	return rs ? table_obj(rs->tables.v[0], "o", type)->body : NULL;
}

static void helper(void)
{
	str(&out, 1, "ftp");
	attr(&out, 2, "\0\x02", 2);
	attr(&out, 3, "\x06", 1);
}

static void expectation(void)
{
	attr(&out, 1, "\0\x02", 2);
	attr(&out, 2, "\x06", 1);
	attr(&out, 3, "\x03\xe8", 2);
	num(&out, 4, 2000);
	attr(&out, 5, "\x08", 1);
}

static void secmark(void)
{
	str(&out, 1, "system_u:object_r:ssh_server_packet_t:s0");
}

static void tunnel(void)
{
	size_t v, g;

	num(&out, 1, 7);
	v = nest(&out, 2);
	attr(&out, 1, "\x0a\0\0\x01", 4);
	attr(&out, 2, "\x0a\0\0\x02", 4);
	nest_end(&out, v);
	attr(&out, 8, "\x12\xb5", 2);
	v = nest(&out, 9);
	g = nest(&out, 1);
	num(&out, 1, 200);
	nest_end(&out, g);
	nest_end(&out, v);
}

static void tunnel_with_flags(void)
{
	num(&out, 1, 7);
	num(&out, 4, 1);
}

static void unknown_attribute(void)
{
	secmark();
	num(&out, 9, 1);
}

static void objects_that_the_kernel_runs(void **state)
{
	static const struct {
		uint32_t type;
		void (*data)(void);
		const char *body;
	} objs[] = {
		{ 3, helper, "type \"ftp\" protocol tcp; l3proto ip;" },
		{ 9, expectation, "protocol tcp; dport 1000; timeout 2000ms; size 8; l3proto ip;" },
		{ 8, secmark, "\"system_u:object_r:ssh_server_packet_t:s0\"" },
		{ 6, tunnel,
		  "id 7\n\t\tip saddr 10.0.0.1\n\t\tip daddr 10.0.0.2\n\t\tdport 4789\n\t\tvxlan "
		  "{\n\t\t\tgbp 200\n"
		  "\t\t}" },
		{ 6, tunnel_with_flags, NULL },
		{ 8, unknown_attribute, NULL },
		{ 11, secmark, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(objs); i++) {
		const char *body;

		teardown(state);
		setup(state);
		body = object_body(objs[i].type, objs[i].data);
		if (objs[i].body)
			assert_string_equal(body, objs[i].body);
		else
			assert_null(body);
	}
}

static void names_that_text_cannot_hold(void **state)
{
	static const char *const bad[] = { "a b", "a;b", "a\"b", "1a", "a\nb", "\xff", "a{" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t m;

		teardown(state);
		setup(state);
		m = msg(&out, 3);
		str(&out, 1, "t");
		str(&out, 3, bad[i]);
		msg_end(&out, m);
		assert_null(result());
		assert_int_not_equal(diag.errors, 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(two_registers),
		TEST(unknown_operation),
		TEST(unknown_expression),
		TEST(unknown_flags),
		TEST(set_of_several_states),
		TEST(unknown_set_flag_is_refused),
		TEST(unknown_attribute_of_a_set_is_refused),
		TEST(chain_of_several_devices),
		TEST(hook_that_is_not_there),
		TEST(objects_that_the_kernel_runs),
		TEST(names_that_text_cannot_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
