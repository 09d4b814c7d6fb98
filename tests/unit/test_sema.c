// SPDX-License-Identifier: GPL-2.0-or-later
/* Words to values, and the order, merging and conflicts of intervals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "frontend.h"
#include "frontend/types.h"

static u128 value(const char *type, const char *word)
{
	struct arena *a = arena_new();
	struct lookups l;
	uint32_t bits;
	u128 v = 0;

	lookups_init(&l, a);
	assert_null(type_parse(&l, type_by_name(type), word, &v, &bits));
	arena_free(a);
	return v;
}

static bool refused(const char *type, const char *word)
{
	struct arena *a = arena_new();
	struct lookups l;
	uint32_t bits;
	u128 v;
	bool r;

	lookups_init(&l, a);
	r = type_parse(&l, type_by_name(type), word, &v, &bits) != NULL;
	arena_free(a);
	return r;
}

static void test_words(void **state)
{
	assert_true(value("ipv4_addr", "192.0.2.1") == 0xc0000201);
	assert_true(value("ipv6_addr", "::1") == 1);
	assert_true(value("ether_addr", "00:11:22:33:44:55") == 0x001122334455);
	assert_true(value("icmp_type", "echo-request") == 8);
	assert_true(value("ct_state", "established") == 2);
	assert_true(value("mark", "0x10") == 16);
	assert_true(value("time", "1h2m3s") == 3723000);
	assert_true(value("inet_proto", "tcp") == 6);
	assert_true(value("ct_label", "127") == (u128)1 << 127);
	assert_true(refused("icmp_type", "echo-requst"));
	assert_true(refused("ether_addr", "00:11:zz"));
	assert_true(refused("inet_service", "65536"));
	assert_true(refused("time", "3s1h"));
}

static struct set *one_set(struct arena *a, const char *text)
{
	struct diag d;
	struct ruleset *rs;

	diag_init(&d, a);
	rs = frontend_read_buffer(a, &d, "test", text, strlen(text));
	return rs ? rs->tables.v[0]->sets.v[0] : NULL;
}

static void test_intervals(void **state)
{
	struct arena *a = arena_new();
	struct set *s = one_set(a, "table ip t { set s { type inet_service; flags interval; "
				   "auto-merge; elements = { 20-30, 1-9, 10, 25-40 }; }; }\n");

	assert_non_null(s);
	assert_int_equal(s->elems.n, 2);
	assert_int_equal(s->elems.v[0]->key.b[1], 1);
	assert_int_equal(s->elems.v[0]->key_end.b[1], 10);
	assert_int_equal(s->elems.v[1]->key.b[1], 20);
	assert_int_equal(s->elems.v[1]->key_end.b[1], 40);
	assert_null(one_set(a, "table ip t { set s { type inet_service; flags interval; "
			       "elements = { 20-30, 25-40 }; }; }\n"));
	assert_null(one_set(a, "table ip t { set s { type inet_service; "
			       "elements = { 20-30 }; }; }\n"));
	s = one_set(a,
		    "table ip t { set s { type ipv4_addr; elements = { 1.1.1.1, 1.1.1.1 }; }; }\n");
	assert_non_null(s);
	assert_int_equal(s->elems.n, 1);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_intervals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
