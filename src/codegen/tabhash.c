// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tabhash: a perfect hash for exact keys (hash and displace).
 *
 * The key is mixed into a 64-bit h. Its top bits choose a bucket; the bucket's displacement, joined
 * by xor with middle bits of h, is the slot, which holds the only key that can be there. One key,
 * two loads, one comparison.
 */
#include <endian.h>
#include <stdlib.h>

#include "tables.h"

#define MID_SHIFT 20 /* the bits of h for the slot start here */

/* splitmix64: multipliers that look random and are the same in every run. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* h = pair0 * m0; h = ((h ^ h >> 32) ^ pair1) * m1; ... with pairs of words */
static uint64_t mix(const struct tabset *t, const struct data *key)
{
	uint64_t h = 0;

	for (uint32_t w = 0; w < t->n_words; w += 2) {
		uint64_t pair = tab_word(key, w);

		if (w + 1 < t->n_words)
			pair |= (uint64_t)tab_word(key, w + 1) << 32;
		h = w ? (h ^ h >> 32 ^ pair) * t->mul[w / 2] : pair * t->mul[0];
	}
	if (t->n_words > 1)
		h = (h ^ h >> 32) * t->mul[8];
	return h;
}

static struct ir_ins *emit_mix(struct tabcur *c)
{
	const struct tabset *t = c->t;
	struct ir_ins *h = NULL, *pair, *hi;

	for (uint32_t w = 0; w < t->n_words; w += 2) {
		pair = tab1(c, IR_ZEXT, IR_L, c->key[w]);
		if (w + 1 < t->n_words) {
			hi = tab1(c, IR_ZEXT, IR_L, c->key[w + 1]);
			hi = tab2(c, IR_SHL, IR_L, hi, tabk(c, IR_L, 32));
			pair = tab2(c, IR_OR, IR_L, pair, hi);
		}
		if (w) {
			h = tab2(c, IR_XOR, IR_L, h, tab2(c, IR_LSHR, IR_L, h, tabk(c, IR_L, 32)));
			pair = tab2(c, IR_XOR, IR_L, h, pair);
		}
		h = tab2(c, IR_MUL, IR_L, pair, tabk(c, IR_L, t->mul[w / 2]));
	}
	if (t->n_words > 1) {
		h = tab2(c, IR_XOR, IR_L, h, tab2(c, IR_LSHR, IR_L, h, tabk(c, IR_L, 32)));
		h = tab2(c, IR_MUL, IR_L, h, tabk(c, IR_L, t->mul[8]));
	}
	return h;
}

/* -- the tables -------------------------------------------------------------------------------- */

struct bucket {
	uint32_t n, first; /* keys, in `order` */
	uint32_t id;
};

static int by_size(const void *x, const void *y)
{
	const struct bucket *a = x, *b = y;

	if (a->n != b->n)
		return a->n > b->n ? -1 : 1;
	return a->id < b->id ? -1 : 1;
}

struct builder {
	struct tabset *t;
	uint64_t *h;
	uint32_t *order;
	struct bucket *buckets;
	uint32_t *slot; /* element + 1 in each slot */
	uint32_t *disp;
};

static bool fits(struct builder *b, const struct bucket *k, uint32_t d, uint32_t mask)
{
	uint32_t done = 0;

	for (; done < k->n; done++) {
		uint32_t e = b->order[k->first + done];
		uint32_t s = ((uint32_t)(b->h[e] >> MID_SHIFT) ^ d) & mask;

		if (b->slot[s])
			break;
		b->slot[s] = e + 1;
	}
	if (done == k->n)
		return true;
	while (done-- > 0)
		b->slot[((uint32_t)(b->h[b->order[k->first + done]] >> MID_SHIFT) ^ d) & mask] = 0;
	return false;
}

static bool place_all(struct builder *b)
{
	uint32_t mask = (1u << b->t->slot_bits) - 1, n = 1u << b->t->disp_bits;

	for (uint32_t k = 0; k < n && b->buckets[k].n; k++) {
		uint32_t d = 0;

		while (d <= mask && !fits(b, &b->buckets[k], d, mask))
			d++;
		if (d > mask)
			return false;
		b->disp[b->buckets[k].id] = d;
	}
	return true;
}

static bool try_build(struct builder *b, uint64_t *seed)
{
	struct tabset *t = b->t;
	uint32_t n = t->elems.n, nb = 1u << t->disp_bits, at = 0;

	for (int k = 0; k < 9; k++)
		t->mul[k] = next_random(seed) | 1;
	memset(b->slot, 0, sizeof(*b->slot) << t->slot_bits);
	memset(b->buckets, 0, sizeof(*b->buckets) * nb);
	for (uint32_t k = 0; k < n; k++) {
		b->h[k] = mix(t, &t->elems.v[k]->key);
		b->buckets[b->h[k] >> (64 - t->disp_bits)].n++;
	}
	for (uint32_t k = 0; k < nb; k++) {
		b->buckets[k].id = k;
		b->buckets[k].first = at;
		at += b->buckets[k].n;
		b->buckets[k].n = 0;
	}
	for (uint32_t k = 0; k < n; k++) {
		struct bucket *u = &b->buckets[b->h[k] >> (64 - t->disp_bits)];

		b->order[u->first + u->n++] = k;
	}
	qsort(b->buckets, nb, sizeof(*b->buckets), by_size);
	return place_all(b);
}

static void write_tables(struct builder *b)
{
	struct tabset *t = b->t;
	uint32_t nb = 1u << t->disp_bits, ns = 1u << t->slot_bits;
	uint8_t *p;

	t->stride_bits = tab_log2(4 * (t->n_words + 1));
	t->disp = tab_new(t->m, arena_printf(t->m->arena, "%s.disp", t->set->name), 4 * nb);
	t->slots = tab_new(t->m, arena_printf(t->m->arena, "%s.slots", t->set->name),
			   ns << t->stride_bits);
	for (uint32_t k = 0; k < nb; k++) {
		uint32_t d = htole32(b->disp[k]);

		memcpy(t->m->tables.v[t->disp].bytes + 4 * k, &d, 4);
	}
	p = t->m->tables.v[t->slots].bytes;
	for (uint32_t s = 0; s < ns; s++, p += 1u << t->stride_bits) {
		uint32_t num;

		if (!b->slot[s])
			continue;
		memcpy(p, t->elems.v[b->slot[s] - 1]->key.b, t->elems.v[b->slot[s] - 1]->key.len);
		num = htole32(t->numbers.v[b->slot[s] - 1]);
		memcpy(p + 4 * t->n_words, &num, 4);
	}
}

static void build(struct tabset *t)
{
	struct builder b = { .t = t };
	struct arena *tmp = arena_new();
	uint64_t seed = t->elems.n;
	bool done = false;

	t->slot_bits = tab_log2(t->elems.n + t->elems.n / 4);
	t->disp_bits = MAX(t->slot_bits, 3u) - 2;
	b.h = arena_array(tmp, uint64_t, t->elems.n);
	b.order = arena_array(tmp, uint32_t, t->elems.n);
	for (int tries = 0; !done; tries++) {
		if (tries % 8 == 7)
			t->slot_bits++;
		if (tries > 64)
			BUG("set %s: no perfect hash", t->set->name);
		b.buckets = arena_array(tmp, struct bucket, 1u << t->disp_bits);
		b.slot = arena_array(tmp, uint32_t, 1u << t->slot_bits);
		b.disp = arena_array(tmp, uint32_t, 1u << t->disp_bits);
		done = try_build(&b, &seed);
	}
	write_tables(&b);
	arena_free(tmp);
	t->hash_made = true;
}

struct tabres tab_hash(struct tabcur *c)
{
	struct tabset *t = c->t;
	struct tabres r = { 0 };
	struct ir_ins *h, *at, *d;

	if (!t->hash_made)
		build(t);
	h = emit_mix(c);
	at = tab2(c, IR_LSHR, IR_L, h, tabk(c, IR_L, 64 - t->disp_bits));
	at = tab2(c, IR_SHL, IR_W, tab1(c, IR_TRUNC, IR_W, at), tabk(c, IR_W, 2));
	d = tab_load(c, t->disp, at, 0, 4);
	at = tab1(c, IR_TRUNC, IR_W, tab2(c, IR_LSHR, IR_L, h, tabk(c, IR_L, MID_SHIFT)));
	at = tab2(c, IR_XOR, IR_W, at, d);
	at = tab2(c, IR_AND, IR_W, at, tabk(c, IR_W, (1u << t->slot_bits) - 1));
	at = tab2(c, IR_SHL, IR_W, at, tabk(c, IR_W, t->stride_bits));
	for (uint32_t w = 0; w < t->n_words; w++) {
		struct ir_ins *eq = tab2(c, IR_EQ, IR_B, c->key[w],
					 tab_load(c, t->slots, at, 4 * w, 4));

		r.cond = r.cond ? tab2(c, IR_AND, IR_B, r.cond, eq) : eq;
	}
	r.num = tab_load(c, t->slots, at, 4 * t->n_words, 4);
	/* An empty slot holds the key 0 and the number 0. */
	r.cond = tab2(c, IR_AND, IR_B, r.cond, tab2(c, IR_NE, IR_B, r.num, tabk(c, IR_W, 0)));
	r.num = tab_sel(c, r.cond, r.num, tabk(c, IR_W, 0));
	return r;
}
