// SPDX-License-Identifier: GPL-2.0-or-later
/* The index of concatenated ranges finds what a look at every element finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "setindex.h"

#define KEY_MAX 64

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % n;
}

/* A few near values, at either end of the field too. */
static void put_value(uint8_t *b, uint32_t len, uint32_t v)
{
	memset(b, rnd(3) ? 0 : 0xff, len);
	b[len - 1] = (uint8_t)(b[len - 1] ^ v);
	if (len > 1 && rnd(4) == 0)
		b[0] ^= (uint8_t)(1 + rnd(3));
}

static void random_range(uint8_t *lo, uint8_t *hi, uint32_t len)
{
	uint8_t swap[SETINDEX_FIELD_MAX];

	put_value(lo, len, rnd(32));
	memcpy(hi, lo, len);
	if (rnd(3))
		put_value(hi, len, rnd(32));
	if (memcmp(lo, hi, len) > 0) {
		memcpy(swap, lo, len);
		memcpy(lo, hi, len);
		memcpy(hi, swap, len);
	}
}

static bool begins_with(const struct setindex_node *n, const uint8_t *v)
{
	for (uint32_t b = 0; b < n->bits; b++)
		if ((n->value[b / 8] ^ v[b / 8]) >> (7 - b % 8) & 1)
			return false;
	return true;
}

/* As the programs do it: the longest prefix, field by field. */
static uint64_t by_index(const struct setindex *x, uint32_t n_fields, const uint8_t *len,
			 const uint8_t *key)
{
	uint64_t class = 0;

	for (uint32_t f = 0; f < n_fields; f++) {
		const struct setindex_node *hit = NULL;

		vec_foreach(&x->nodes, n)
			if (n->field == f && n->class == class && begins_with(n, key) &&
			    (!hit || n->bits > hit->bits))
				hit = n;
		if (!hit)
			return 0;
		class = hit->to;
		key += ALIGN_UP(len[f], 4);
	}
	return class;
}

static uint32_t by_looking(const struct setindex_elem *v, uint32_t n, uint32_t n_fields,
			   const uint8_t *len, const uint8_t *key)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t f, at = 0;

		for (f = 0; f < n_fields; at += ALIGN_UP(len[f], 4), f++)
			if (memcmp(key + at, v[i].lo + at, len[f]) < 0 ||
			    memcmp(key + at, v[i].hi + at, len[f]) > 0)
				break;
		if (f == n_fields)
			return v[i].number;
	}
	return 0;
}

static void same_answers(void **state)
{
	static const uint8_t lens[] = { 1, 2, 4, 16, 6, 3 };

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct arena *a = arena_new();
		uint32_t n_fields = 1 + rnd(4), n = rnd(24);
		struct setindex_elem v[24];
		uint8_t len[4], key[KEY_MAX];
		struct setindex x = { 0 };

		for (uint32_t f = 0; f < n_fields; f++)
			len[f] = lens[rnd(ARRAY_SIZE(lens))];
		for (uint32_t i = 0; i < n; i++) {
			uint8_t *lo = arena_alloc(a, KEY_MAX), *hi = arena_alloc(a, KEY_MAX);

			v[i] = (struct setindex_elem){ i + 7, lo, hi };
			for (uint32_t f = 0; f < n_fields; f++) {
				random_range(lo, hi, len[f]);
				lo += ALIGN_UP(len[f], 4);
				hi += ALIGN_UP(len[f], 4);
			}
		}
		assert_null(setindex_build(a, v, n, n_fields, len, false, &x));
		for (int k = 0; k < 200; k++) {
			uint32_t at = 0;

			memset(key, 0, sizeof(key));
			for (uint32_t f = 0; f < n_fields; at += ALIGN_UP(len[f], 4), f++)
				put_value(key + at, len[f], rnd(32));
			if (n && rnd(2))
				memcpy(key, rnd(2) ? v[rnd(n)].lo : v[rnd(n)].hi, at);
			assert_int_equal(by_index(&x, n_fields, len, key),
					 by_looking(v, n, n_fields, len, key));
		}
		arena_free(a);
	}
}

/* Elements that time out must not hide others. */
static void refuses_overlaps(void **state)
{
	static const uint8_t a[8] = { 1, 0, 0, 0, 1 }, b[8] = { 9, 0, 0, 0, 9 },
			     c[8] = { 5, 0, 0, 0, 5 };
	static const uint8_t len[] = { 1, 1 };
	struct setindex_elem v[] = { { 1, a, b }, { 2, c, c } };
	struct arena *arena = arena_new();
	struct setindex x = { 0 };

	(void)state;
	assert_null(setindex_build(arena, v, 2, 2, len, false, &x));
	assert_non_null(setindex_build(arena, v, 2, 2, len, true, &x));
	assert_null(setindex_build(arena, v, 1, 2, len, true, &x));
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_answers),
		cmocka_unit_test(refuses_overlaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
