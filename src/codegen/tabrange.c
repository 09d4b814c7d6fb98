// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tabrange: ranges of one field as a sorted array of the points where the answer changes, searched
 * by halves without branches.
 *
 * Keys are compared as numbers in pieces, most significant first: 32 bits for keys of one word,
 * else 64.
 */
#include <endian.h>

#include "tables.h"

#define FORGET_STEPS 4 /* the verifier goes 2^4 ways between two times that it forgets */

/* Points: the answer from here up to the next point. */
struct points {
	uint8_t *keys; /* len bytes each */
	uint32_t *values;
	uint32_t n, len;
};

static void put_point(struct points *p, const uint8_t *key, uint32_t value)
{
	if (p->n && !memcmp(p->keys + (size_t)(p->n - 1) * p->len, key, p->len)) {
		p->values[p->n - 1] = value;
		return;
	}
	memcpy(p->keys + (size_t)p->n * p->len, key, p->len);
	p->values[p->n++] = value;
}

static uint64_t piece(const uint8_t *key, uint32_t k, uint32_t bytes, uint32_t len)
{
	uint64_t v = 0;

	for (uint32_t j = k * bytes; j < (k + 1) * bytes; j++)
		v = v << 8 | (j < len ? key[j] : 0);
	return v;
}

void tab_keys(struct tabset *t, struct tabrange *r, const uint8_t *keys, size_t stride, uint32_t n)
{
	uint32_t bytes = r->n_words == 1 ? 4 : 8, pieces = DIV_ROUND_UP(r->n_words, 2);
	uint8_t *b;

	r->bits = tab_log2(n);
	for (uint32_t k = 0; k < pieces; k++) {
		r->keys[k] = tab_new(t->m, arena_printf(t->m->arena, "%s.keys%u", t->set->name, k),
				     bytes << r->bits);
		b = t->m->tables.v[r->keys[k]].bytes;
		for (uint32_t j = 0; j < 1u << r->bits; j++) {
			uint64_t x = j < n ? piece(keys + stride * j, k, bytes, r->len)
					   : UINT64_MAX;

			x = htole64(x);
			memcpy(b + (size_t)bytes * j, &x, bytes);
		}
	}
}

bool tab_successor(uint8_t *key, uint32_t len)
{
	while (len-- > 0)
		if (++key[len])
			return true;
	return false;
}

static void build(struct tabset *t)
{
	uint32_t len = t->set->key_len, max = 2 * t->elems.n + 1;
	struct tabrange *r = &t->range[0];
	struct arena *tmp = arena_new();
	struct points pts = { .keys = arena_alloc(tmp, (size_t)max * len),
			      .values = arena_array(tmp, uint32_t, max),
			      .len = len };
	uint8_t key[DATA_MAX] = { 0 }, *b;

	put_point(&pts, key, 0);
	for (uint32_t k = 0; k < t->elems.n; k++) {
		const struct set_elem *e = t->elems.v[k];

		put_point(&pts, e->key.b, t->numbers.v[k]);
		memcpy(key, e->key_end.len ? e->key_end.b : e->key.b, len);
		if (tab_successor(key, len))
			put_point(&pts, key, 0);
	}
	r->n_words = t->n_words;
	r->len = len;
	tab_keys(t, r, pts.keys, len, pts.n);
	r->vals = tab_new(t->m, arena_printf(t->m->arena, "%s.vals", t->set->name), 4u << r->bits);
	b = t->m->tables.v[r->vals].bytes;
	for (uint32_t j = 0; j < 1u << r->bits; j++) {
		uint32_t v = htole32(pts.values[MIN(j, pts.n - 1)]);

		memcpy(b + 4 * (size_t)j, &v, 4);
	}
	arena_free(tmp);
	t->range_made = true;
}

/* The pieces of the key's words as numbers. */
static void pieces_of(struct tabcur *c, const struct tabrange *r, struct ir_ins **out)
{
	if (r->n_words == 1) {
		out[0] = tab_swapped(c, r->from);
		return;
	}
	for (uint32_t w = 0; w < r->n_words; w += 2) {
		struct ir_ins *hi = tab1(c, IR_ZEXT, IR_L, tab_swapped(c, r->from + w));

		hi = tab2(c, IR_SHL, IR_L, hi, tabk(c, IR_L, 32));
		if (w + 1 < r->n_words)
			hi = tab2(c, IR_OR, IR_L, hi,
				  tab1(c, IR_ZEXT, IR_L, tab_swapped(c, r->from + w + 1)));
		out[w / 2] = hi;
	}
}

/* The point `step` places behind byte `at` of the arrays is not above the key. */
static struct ir_ins *not_above(struct tabcur *c, const struct tabrange *t,
				struct ir_ins *const *key, struct ir_ins *at, uint32_t step)
{
	uint32_t pieces = DIV_ROUND_UP(t->n_words, 2), bytes = t->n_words == 1 ? 4 : 8;
	struct ir_ins *r = NULL;

	for (uint32_t k = pieces; k-- > 0;) {
		struct ir_ins *p = tab_load(c, t->keys[k], at, (int64_t)step * bytes, bytes);

		if (!r) {
			r = tab2(c, IR_UGE, IR_B, key[k], p);
			continue;
		}
		r = tab2(c, IR_AND, IR_B, tab2(c, IR_EQ, IR_B, key[k], p), r);
		r = tab2(c, IR_OR, IR_B, tab2(c, IR_UGT, IR_B, key[k], p), r);
	}
	return r;
}

/*
 * Numbers of 64 bits are compared by branches, so the verifier knows the place that each way leads
 * to, and would go through all that follows once for each: the same bits of the key, put in twice,
 * leave the place as it is, and the verifier with a range.
 */
static struct ir_ins *forget(struct tabcur *c, struct ir_ins *at, struct ir_ins *key, uint32_t mask)
{
	struct ir_ins *bits = tab2(c, IR_AND, IR_W, tab1(c, IR_TRUNC, IR_W, key),
				   tabk(c, IR_W, mask));

	return tab2(c, IR_XOR, IR_W, tab2(c, IR_XOR, IR_W, at, bits), bits);
}

struct ir_ins *tab_find(struct tabcur *c, const struct tabrange *r)
{
	uint32_t scale = r->n_words == 1 ? 2 : 3;
	struct ir_ins *key[8], *at = tabk(c, IR_W, 0), *up;

	pieces_of(c, r, key);
	for (uint32_t b = r->bits; b-- > 0;) {
		up = tab1(c, IR_B2W, IR_W, not_above(c, r, key, at, 1u << b));
		up = tab2(c, IR_SHL, IR_W, up, tabk(c, IR_W, b + scale));
		at = at->op == IR_CONST ? up : tab2(c, IR_ADD, IR_W, at, up);
		if (scale == 3 && b % FORGET_STEPS == 0)
			at = forget(c, at, key[0], ((1u << (r->bits - b)) - 1) << (b + scale));
	}
	return scale == 3 && at->op != IR_CONST ? tab2(c, IR_LSHR, IR_W, at, tabk(c, IR_W, 1)) : at;
}

struct tabres tab_search(struct tabcur *c)
{
	struct tabset *t = c->t;
	struct tabres r = { 0 };

	if (!t->range_made)
		build(t);
	r.num = tab_load(c, t->range[0].vals, tab_find(c, &t->range[0]), 0, 4);
	r.cond = tab2(c, IR_NE, IR_B, r.num, tabk(c, IR_W, 0));
	return r;
}
