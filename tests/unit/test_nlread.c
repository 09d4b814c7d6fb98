// SPDX-License-Identifier: GPL-2.0-or-later
/* The netlink front end: a stream built by hand, read, and broken in every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "nlout.h"

static void elem(struct out *o, const void *key, uint16_t n, uint32_t flags)
{
	size_t el = nest(o, 1);

	value(o, 1, key, n);
	if (flags)
		num(o, 3, flags);
	nest_end(o, el);
}

/*
 * A table, a set of port ranges, a base chain, and a rule that looks ports up and drops; extra: an
 * attribute of meta.
 */
static void build(struct out *o, bool extra)
{
	size_t m, l, e, d, h;

	o->n = 0;
	m = msg(o, 0);
	str(o, 1, "t");
	msg_end(o, m);
	m = msg(o, 9);
	str(o, 1, "t");
	str(o, 2, "s");
	num(o, 3, SET_INTERVAL);
	num(o, 4, 13);
	num(o, 5, 2);
	msg_end(o, m);
	m = msg(o, 12);
	str(o, 1, "t");
	str(o, 2, "s");
	l = nest(o, 3);
	elem(o, "\x00\x59", 2, 1);
	elem(o, "\x00\x50", 2, 0);
	elem(o, "\x00\x00", 2, 1);
	elem(o, "\xff\x00", 2, 0);
	nest_end(o, l);
	msg_end(o, m);
	m = msg(o, 3);
	str(o, 1, "t");
	str(o, 3, "c");
	h = nest(o, 4);
	num(o, 1, HOOK_INPUT);
	num(o, 2, (uint32_t)-10);
	nest_end(o, h);
	num(o, 5, V_DROP);
	str(o, 7, "filter");
	msg_end(o, m);
	m = msg(o, 6);
	str(o, 1, "t");
	str(o, 2, "c");
	l = nest(o, 4);
	e = nest(o, 1);
	str(o, 1, "meta");
	d = nest(o, 2);
	num(o, 2, KEY_META_L4PROTO);
	num(o, 1, 1);
	if (extra)
		num(o, 9, 1);
	nest_end(o, d);
	nest_end(o, e);
	e = nest(o, 1);
	str(o, 1, "lookup");
	d = nest(o, 2);
	str(o, 1, "s");
	num(o, 2, 1);
	nest_end(o, d);
	nest_end(o, e);
	nest_end(o, l);
	msg_end(o, m);
}

static void reads_all_parts(void **state)
{
	struct arena *a = arena_new();
	struct diag d;
	struct out o;
	struct ruleset *rs;
	struct table *t;
	struct set *s;
	struct chain *c;

	build(&o, false);
	rs = read_out(a, &d, o.b, o.n);
	assert_non_null(rs);
	t = ruleset_table(rs, FAM_INET, "t");
	assert_non_null(t);
	s = table_set(t, "s");
	assert_int_equal(s->elems.n, 2);
	assert_memory_equal(s->elems.v[0]->key.b, "\x00\x50", 2);
	assert_memory_equal(s->elems.v[0]->key_end.b, "\x00\x58", 2);
	assert_memory_equal(s->elems.v[1]->key_end.b, "\xff\xff", 2);
	c = table_chain(t, "c");
	assert_true(c->is_base && c->prio == -10 && c->policy == V_DROP);
	assert_int_equal(c->rules.n, 1);
	assert_int_equal(c->rules.v[0]->exprs.v[0]->kind, EX_META);
	assert_ptr_equal(c->rules.v[0]->exprs.v[1]->lookup.set, s);
	arena_free(a);
}

static void unknown_attribute_is_unknown_expression(void **state)
{
	struct arena *a = arena_new();
	struct diag d;
	struct out o;
	struct ruleset *rs;

	build(&o, true);
	rs = read_out(a, &d, o.b, o.n);
	assert_non_null(rs);
	assert_int_equal(table_chain(rs->tables.v[0], "c")->rules.v[0]->exprs.v[0]->kind,
			 EX_UNKNOWN);
	arena_free(a);
}

/* Every cut that is not between two messages is refused, with an error. */
static void truncated_streams_are_refused(void **state)
{
	struct out o;

	build(&o, false);
	for (size_t n = 1, next = 0; n < o.n; n++) {
		struct arena *a = arena_new();
		struct diag d;
		struct ruleset *rs = read_out(a, &d, o.b, n);
		uint32_t len;

		while (next < n) {
			memcpy(&len, o.b + next, 4);
			next += len;
		}
		assert_int_equal(rs != NULL, next == n);
		assert_int_equal(d.errors != 0, next != n);
		arena_free(a);
	}
}

/* Any single byte changed: a ruleset or an error, never both, never neither. */
static void changed_bytes_never_crash(void **state)
{
	static const uint8_t values[] = { 0, 1, 4, 0x7f, 0x80, 0xff };
	struct out o;

	build(&o, false);
	for (size_t i = 0; i < o.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
			struct arena *a = arena_new();
			uint8_t old = o.b[i];
			struct ruleset *rs;
			struct diag d;

			o.b[i] = values[k];
			rs = read_out(a, &d, o.b, o.n);
			assert_int_equal(rs == NULL, d.errors != 0);
			o.b[i] = old;
			arena_free(a);
		}
}

/* A table and a set with that type, length and userdata. */
static struct set *read_set(struct arena *a, uint32_t type, uint32_t len, const void *udata,
			    uint16_t n)
{
	struct ruleset *rs;
	struct diag d;
	struct out o;
	size_t m;

	o.n = 0;
	m = msg(&o, 0);
	str(&o, 1, "t");
	msg_end(&o, m);
	m = msg(&o, 9);
	str(&o, 1, "t");
	str(&o, 2, "s");
	num(&o, 4, type);
	num(&o, 5, len);
	attr(&o, 13, udata, n);
	msg_end(&o, m);
	rs = read_out(a, &d, o.b, o.n);
	assert_non_null(rs);
	return table_set(rs->tables.v[0], "s");
}

/* What nft notes for `typeof ip saddr . meta mark`: a concatenation of a payload and a meta key. */
static const uint8_t concat_udata[] = {
	3, 46, 0, 4, 13, 0, 0, 0, 1, 38,				       /* typeof */
	0, 20, 0, 4, 7,	 0, 0, 0, 1, 12, 0, 4, 12, 0, 0, 0, 1, 4, 11, 0, 0, 0, /* ip saddr */
	1, 14, 0, 4, 9,	 0, 0, 0, 1, 6,	 0, 4, 3,  0, 0, 0,		       /* meta mark */
};

static void typeof_is_read_where_it_fits(void **state)
{
	static const uint8_t l4proto[] = { 3, 14, 0, 4, 9, 0, 0, 0, 1, 6, 0, 4, 16, 0, 0, 0 };
	struct arena *a = arena_new();
	struct set *s;

	s = read_set(a, 12, 1, l4proto, sizeof(l4proto));
	assert_string_equal(s->key_typeof, "meta l4proto");
	assert_null(read_set(a, 13, 2, l4proto, sizeof(l4proto))->key_typeof); /* a port */
	assert_null(read_set(a, 12, 1, l4proto, sizeof(l4proto) - 1)->key_typeof);
	s = read_set(a, 7 << 6 | 19, 8, concat_udata, sizeof(concat_udata));
	assert_string_equal(s->key_typeof, "ip saddr . meta mark");
	assert_int_equal(s->n_fields, 2);
	for (uint16_t n = 0; n < sizeof(concat_udata); n++)
		assert_null(read_set(a, 7 << 6 | 19, 8, concat_udata, n)->key_typeof);
	arena_free(a);
}

static void chain(struct out *o, const char *name, const char *to)
{
	size_t m = msg(o, 3), l, e, d, v, w;

	str(o, 1, "t");
	str(o, 3, name);
	msg_end(o, m);
	m = msg(o, 6);
	str(o, 1, "t");
	str(o, 2, name);
	l = nest(o, 4);
	e = nest(o, 1);
	str(o, 1, "immediate");
	d = nest(o, 2);
	num(o, 1, REG_VERDICT);
	v = nest(o, 2);
	w = nest(o, 2);
	num(o, 1, (uint32_t)V_JUMP);
	str(o, 2, to);
	nest_end(o, w);
	nest_end(o, v);
	nest_end(o, d);
	nest_end(o, e);
	nest_end(o, l);
	msg_end(o, m);
}

static void loops_of_jumps_are_refused(void **state)
{
	struct arena *a = arena_new();
	struct diag d;
	struct out o;
	size_t m;

	o.n = 0;
	m = msg(&o, 0);
	str(&o, 1, "t");
	msg_end(&o, m);
	chain(&o, "a", "b");
	chain(&o, "b", "a");
	assert_null(read_out(a, &d, o.b, o.n));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all_parts),
		cmocka_unit_test(unknown_attribute_is_unknown_expression),
		cmocka_unit_test(truncated_streams_are_refused),
		cmocka_unit_test(changed_bytes_never_crash),
		cmocka_unit_test(typeof_is_read_where_it_fits),
		cmocka_unit_test(loops_of_jumps_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
