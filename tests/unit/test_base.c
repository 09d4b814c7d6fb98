// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Arenas that are emptied and used again, text that grows, tables of strings, ranges as prefixes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base.h"

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Whatever stood there before: memory is zero. */
static void test_reset(void **state)
{
	static const size_t sizes[] = { 1, 7, 16, 100, 4096, 70000, 300000, 3000000, 20000000 };
	struct arena *a = arena_new();

	for (int round = 0; round < 6; round++) {
		for (size_t k = 0; k < 60; k++) {
			size_t n = sizes[(k * 7 + (size_t)round) % ARRAY_SIZE(sizes)] + k;
			uint8_t *p = arena_alloc(a, n);

			assert_true(all_zero(p, n));
			assert_int_equal((uintptr_t)p % 16, 0);
			memset(p, 0xa5, n);
			if (k == 20)
				arena_reset(a);
		}
		if (round & 1) {
			arena_free(a);
			a = arena_new();
		} else {
			arena_reset(a);
			assert_int_equal(arena_used(a), 0);
		}
	}
	arena_free(a);
}

/* Vectors and texts that grow in place or move, and do not run into what was taken between. */
static void test_grow(void **state)
{
	struct arena *a = arena_new();

	for (int round = 0; round < 3; round++) {
		VEC(uint32_t) v = { 0 }, w = { 0 };
		struct sbuf s, t;

		sb_init(&s, a);
		sb_init_room(&t, a, 5);
		for (uint32_t i = 0; i < 300000; i++) {
			*vec_push(a, &v) = i;
			if (i % 3 == 0)
				*vec_push(a, &w) = ~i;
			sb_printf(i % 2 ? &s : &t, "%u,", i % 10);
		}
		for (uint32_t i = 0; i < 300000; i++) {
			assert_int_equal(v.v[i], i);
			if (i % 3 == 0)
				assert_int_equal(w.v[i / 3], ~i);
		}
		assert_int_equal(s.n, 300000);
		assert_int_equal(strlen(t.s), 300000);
		assert_memory_equal(s.s, "1,3,5,7,9,1,", 12);
		arena_reset(a);
	}
	arena_free(a);
}

static void test_strmap(void **state)
{
	struct arena *a = arena_new();
	struct strmap m;
	char key[40];

	strmap_init(&m, a);
	for (uintptr_t i = 1; i <= 50000; i++) {
		int n = snprintf(key, sizeof(key), "%s%zu", i % 2 ? "long long long key " : "",
				 (size_t)i);

		*strmap_put(&m, key, (size_t)n) = (void *)i;
	}
	for (uintptr_t i = 1; i <= 50000; i++) {
		int n = snprintf(key, sizeof(key), "%s%zu", i % 2 ? "long long long key " : "",
				 (size_t)i);

		assert_ptr_equal(strmap_get(&m, key, (size_t)n), (void *)i);
		assert_null(strmap_get(&m, key, (size_t)n + 1));
	}
	assert_null(strmap_get(&m, "", 0));
	arena_free(a);
}

static bool bit(const uint8_t *k, uint32_t b)
{
	return k[b / 8] >> (7 - b % 8) & 1;
}

/* Bit by bit: what range_block() and range_advance() say of themselves. */
static uint32_t slow_block(const uint8_t *lo, const uint8_t *hi, uint32_t bits)
{
	uint8_t end[64];
	uint32_t n = 0;

	memcpy(end, lo, bits / 8);
	while (n < bits && !bit(lo, bits - 1 - n)) {
		uint32_t b = bits - 1 - n;

		end[b / 8] |= (uint8_t)(1 << (7 - b % 8));
		if (memcmp(end, hi, bits / 8) > 0)
			break;
		n++;
	}
	return n;
}

static bool slow_advance(uint8_t *lo, uint32_t bits, uint32_t low)
{
	for (int32_t b = (int32_t)(bits - 1 - low); b >= 0; b--) {
		lo[b / 8] ^= (uint8_t)(1 << (7 - b % 8));
		if (bit(lo, (uint32_t)b))
			return true;
	}
	return false;
}

static void one_range(const uint8_t *lo, const uint8_t *hi, uint32_t bits)
{
	uint8_t p[16], q[16];
	uint32_t low;
	bool more;

	memcpy(p, lo, sizeof(p));
	memcpy(q, lo, sizeof(q));
	do {
		low = range_block(p, hi, bits);
		assert_int_equal(low, slow_block(q, hi, bits));
		more = range_advance(p, bits, low);
		assert_int_equal(more, slow_advance(q, bits, low));
		assert_memory_equal(p, q, bits / 8);
	} while (more && memcmp(p, hi, bits / 8) <= 0);
}

static void test_ranges(void **state)
{
	static const uint32_t widths[] = { 8, 16, 24, 32, 48, 64, 72, 128 };

	srand(1);
	for (int i = 0; i < 40000; i++) {
		uint32_t bits = widths[i % ARRAY_SIZE(widths)], n = bits / 8;
		uint8_t x[16], y[16];

		for (uint32_t k = 0; k < sizeof(x); k++) { /* ends, edges and anything between */
			x[k] = rand() % 3 ? (uint8_t)(rand() % 2 ? 0xff : 0) : (uint8_t)rand();
			y[k] = rand() % 3 ? (uint8_t)(rand() % 2 ? 0xff : 0) : (uint8_t)rand();
		}
		if (rand() % 2)
			memcpy(y, x, n / 2);
		if (memcmp(x, y, n) <= 0)
			one_range(x, y, bits);
		else
			one_range(y, x, bits);
	}
}

static void test_utf8(void **state)
{
	static const char *const good[] = { "", "abc\x7f\x01", "\xc3\xa4", "\xe2\x82\xac",
					    "\xf0\x9f\x98\x80" };
	static const char *const bad[] = { "\x80",	   "\xc0\xaf",
					   "\xed\xa0\x80", "\xf5\x80\x80\x80",
					   "\xe2\x82",	   "a\xff" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(text_is_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset),  cmocka_unit_test(test_grow),
		cmocka_unit_test(test_strmap), cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
