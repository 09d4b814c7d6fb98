// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ranges: ranges of big-endian keys: their order, and how they are cut into aligned blocks:
 * prefixes.
 */
#include "ruleset.h"

static bool get_bit(const uint8_t *k, uint32_t bit)
{
	return k[bit / 8] >> (7 - bit % 8) & 1;
}

static uint64_t number(const uint8_t *k, uint32_t bits)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < bits / 8; i++)
		v = v << 8 | k[i];
	return v;
}

/* The same for keys that are a number. */
static uint32_t number_block(uint64_t lo, uint64_t hi, uint32_t bits)
{
	uint32_t aligned = lo ? (uint32_t)__builtin_ctzll(lo) : bits;
	uint64_t more = hi - lo; /* keys behind the first */
	uint32_t fit = more == UINT64_MAX ? 64 : 63 - (uint32_t)__builtin_clzll(more + 1);

	return MIN(aligned, fit);
}

uint32_t range_block(const uint8_t *lo, const uint8_t *hi, uint32_t bits)
{
	uint8_t end[64];
	uint32_t n = 0;

	if (bits <= 64)
		return number_block(number(lo, bits), number(hi, bits), bits);
	memcpy(end, lo, bits / 8);
	while (n < bits && !get_bit(lo, bits - 1 - n)) {
		uint32_t b = bits - 1 - n;

		end[b / 8] |= 1 << (7 - b % 8);
		if (memcmp(end, hi, bits / 8) > 0)
			break;
		n++;
	}
	return n;
}

bool range_advance(uint8_t *lo, uint32_t bits, uint32_t low)
{
	uint32_t add = 1u << low % 8;

	if (low >= bits)
		return false;
	for (uint32_t i = (bits - low - 1) / 8;; i--, add = 1) {
		add += lo[i];
		lo[i] = (uint8_t)add;
		if (add < 256 || !i)
			return add < 256;
	}
}

bool set_elem_in_order(const struct set *s, const struct set_elem *e)
{
	uint32_t at = 0;

	if (!e->key_end.len)
		return true;
	if (e->key_end.len != e->key.len)
		return false;
	if (s->n_fields < 2)
		return memcmp(e->key.b, e->key_end.b, e->key.len) <= 0;
	for (uint32_t f = 0; f < s->n_fields; f++) {
		if (memcmp(e->key.b + at, e->key_end.b + at, s->field_len[f]) > 0)
			return false;
		at += ALIGN_UP(s->field_len[f], 4u);
	}
	return true;
}
