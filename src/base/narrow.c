// SPDX-License-Identifier: GPL-2.0-or-later
/* narrow: see narrow.h. */
#include <stdlib.h>

#include "narrow.h"

static _Thread_local uint32_t sort_off, sort_len;
static int by_value(const void *x, const void *y)
{
	return memcmp(*(const uint8_t *const *)x + sort_off, *(const uint8_t *const *)y + sort_off,
		      sort_len);
}

/*
 * The most of n ranges that one value of `len` bytes at byte `off` is in. lo and hi get another
 * order.
 */
static uint32_t most_in(const uint8_t **lo, const uint8_t **hi, uint32_t n, uint32_t off,
			uint32_t len)
{
	uint32_t i = 0, k = 0, in = 0, most = 0;

	sort_off = off;
	sort_len = len;
	qsort(lo, n, sizeof(*lo), by_value);
	qsort(hi, n, sizeof(*hi), by_value);
	while (i < n) {
		if (memcmp(lo[i] + off, hi[k] + off, len) <= 0) {
			i++;
			in++;
			most = MAX(most, in);
		} else {
			k++;
			in--;
		}
	}
	return most;
}

uint32_t narrow_best(const uint8_t **lo, const uint8_t **hi, uint32_t n, const uint8_t *len,
		     uint32_t n_fields, uint32_t *most)
{
	uint32_t best = 0, off = 0;

	*most = UINT32_MAX;
	for (uint32_t f = 0; f < n_fields; f++) {
		uint32_t in = most_in(lo, hi, n, off, len[f]);

		if (in < *most) {
			*most = in;
			best = f;
		}
		off += ALIGN_UP(len[f], 4);
	}
	return best;
}

static uint32_t find(const struct set *s)
{
	uint32_t n = 0, best, most;
	struct arena *tmp = arena_new();
	const uint8_t **lo = arena_array(tmp, const uint8_t *, s->elems.n + 1);
	const uint8_t **hi = arena_array(tmp, const uint8_t *, s->elems.n + 1);

	vec_foreach(&s->elems, e) {
		if ((*e)->catchall)
			continue;
		lo[n] = (*e)->key.b;
		hi[n++] = (*e)->key_end.len ? (*e)->key_end.b : (*e)->key.b;
	}
	best = narrow_best(lo, hi, n, s->field_len, s->n_fields, &most);
	arena_free(tmp);
	return most <= narrow_max(n) ? best : s->n_fields;
}

uint32_t narrow_field(const struct set *s)
{
	struct set *note = (struct set *)s;

	if (!s->narrow_known) {
		note->narrow = find(s);
		note->narrow_known = true;
	}
	return s->narrow;
}
