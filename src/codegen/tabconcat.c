// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tabconcat: concatenations with ranges. Each field is searched among the points where some element
 * begins or ends; each point has a row of bits, one for each element that covers it; the rows of
 * all fields are joined by and. Where elements overlap the first one counts: the lowest bit that is
 * left.
 */
#include <endian.h>
#include <stdlib.h>

#include "tables.h"

#define DE_BRUIJN 0x03f79d71b4cb0a89ull /* times 2^k: the top 6 bits differ for each k */

struct field {
	uint32_t from, len; /* bytes */
	uint8_t *keys;	    /* n points of DATA_MAX bytes */
	uint32_t n;
};

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, DATA_MAX);
}

static const uint8_t *upper(const struct set_elem *e)
{
	return e->key_end.len ? e->key_end.b : e->key.b;
}

static void find_points(struct tabset *t, struct field *f)
{
	uint32_t n = 1, m = 0; /* the first point is 0 */

	f->keys = arena_array(t->m->arena, uint8_t, (size_t)(2 * t->elems.n + 1) * DATA_MAX);
	vec_foreach(&t->elems, e) {
		memcpy(f->keys + (size_t)n++ * DATA_MAX, (*e)->key.b + f->from, f->len);
		memcpy(f->keys + (size_t)n * DATA_MAX, upper(*e) + f->from, f->len);
		if (tab_successor(f->keys + (size_t)n * DATA_MAX, f->len))
			n++;
		else
			memset(f->keys + (size_t)n * DATA_MAX, 0, DATA_MAX);
	}
	qsort(f->keys, n, DATA_MAX, by_key);
	for (uint32_t k = 0; k < n; k++)
		if (!m || memcmp(f->keys + (size_t)(m - 1) * DATA_MAX,
				 f->keys + (size_t)k * DATA_MAX, DATA_MAX))
			memmove(f->keys + (size_t)m++ * DATA_MAX, f->keys + (size_t)k * DATA_MAX,
				DATA_MAX);
	f->n = m;
}

static void write_rows(struct tabset *t, struct tabrange *r, const struct field *f)
{
	uint8_t *rows;

	r->vals = tab_new(t->m, arena_printf(t->m->arena, "%s.rows", t->set->name),
			  8u << (t->row_bits + r->bits));
	rows = t->m->tables.v[r->vals].bytes;
	for (uint32_t j = 0; j < 1u << r->bits; j++, rows += 8u << t->row_bits) {
		const uint8_t *p = f->keys + (size_t)MIN(j, f->n - 1) * DATA_MAX;

		for (uint32_t e = 0; e < t->elems.n; e++)
			if (memcmp(t->elems.v[e]->key.b + f->from, p, f->len) <= 0 &&
			    memcmp(p, upper(t->elems.v[e]) + f->from, f->len) <= 0)
				rows[e / 8] |= 1 << (e % 8);
	}
}

static void build(struct tabset *t)
{
	uint32_t word = 0;

	t->row_bits = tab_log2(DIV_ROUND_UP(t->elems.n, 64));
	for (uint32_t k = 0; k < t->set->n_fields; k++) {
		struct field f = { .from = 4 * word, .len = t->set->field_len[k] };
		struct tabrange *r = &t->range[k];

		r->from = word;
		r->len = f.len;
		r->n_words = DIV_ROUND_UP(f.len, 4);
		word += r->n_words;
		find_points(t, &f);
		tab_keys(t, r, f.keys, DATA_MAX, f.n);
		write_rows(t, r, &f);
	}
	t->range_made = true;
}

static void build_numbers(struct tabset *t)
{
	t->nums = tab_new(t->m, arena_printf(t->m->arena, "%s.nums", t->set->name),
			  4 * 64u << t->row_bits);
	for (uint32_t e = 0; e < t->elems.n; e++) {
		uint32_t v = htole32(t->numbers.v[e]);

		memcpy(t->m->tables.v[t->nums].bytes + 4 * e, &v, 4);
	}
	t->ctz = tab_new(t->m, "ctz", 64);
	for (uint32_t k = 0; k < 64; k++)
		t->m->tables.v[t->ctz].bytes[(DE_BRUIJN << k) >> 58] = k;
}

/* The number of the first element whose bit is left in the joined rows. */
static struct ir_ins *number(struct tabcur *c, struct ir_ins **words)
{
	struct tabset *t = c->t;
	struct ir_ins *at, *k, *any, *bit;

	if (!t->nums)
		build_numbers(t);
	any = words[(1u << t->row_bits) - 1];
	k = tabk(c, IR_W, ((1u << t->row_bits) - 1) << 6);
	for (uint32_t w = (1u << t->row_bits) - 1; w-- > 0;) { /* the first word that is not 0 */
		struct ir_ins *here = tab2(c, IR_NE, IR_B, words[w], tabk(c, IR_L, 0));

		k = tab_sel(c, here, tabk(c, IR_W, w << 6), k);
		any = tab_sel(c, here, words[w], any);
	}
	bit = tab2(c, IR_AND, IR_L, any, tab2(c, IR_SUB, IR_L, tabk(c, IR_L, 0), any));
	at = tab2(c, IR_MUL, IR_L, bit, tabk(c, IR_L, DE_BRUIJN));
	at = tab1(c, IR_TRUNC, IR_W, tab2(c, IR_LSHR, IR_L, at, tabk(c, IR_L, 58)));
	at = tab_load(c, t->ctz, at, 0, 1);
	at = tab2(c, IR_OR, IR_W, at, k);
	at = tab2(c, IR_AND, IR_W, at, tabk(c, IR_W, (64u << t->row_bits) - 1));
	at = tab2(c, IR_SHL, IR_W, at, tabk(c, IR_W, 2));
	return tab_load(c, t->nums, at, 0, 4);
}

struct tabres tab_concat(struct tabcur *c)
{
	struct tabset *t = c->t;
	struct ir_ins **words, *any = NULL;
	struct tabres r;

	if (!t->range_made)
		build(t);
	words = arena_array(t->m->arena, struct ir_ins *, 1u << t->row_bits);
	for (uint32_t f = 0; f < t->set->n_fields; f++) {
		struct ir_ins *at = tab_find(c, &t->range[f]);

		at = tab2(c, IR_SHL, IR_W, at, tabk(c, IR_W, 1 + t->row_bits));
		for (uint32_t w = 0; w < 1u << t->row_bits; w++) {
			struct ir_ins *row = tab_load(c, t->range[f].vals, at, 8 * w, 8);

			words[w] = f ? tab2(c, IR_AND, IR_L, words[w], row) : row;
		}
	}
	for (uint32_t w = 0; w < 1u << t->row_bits; w++)
		any = any ? tab2(c, IR_OR, IR_L, any, words[w]) : words[w];
	r.cond = tab2(c, IR_NE, IR_B, any, tabk(c, IR_L, 0));
	r.num = NULL;
	if (t->valued) {
		r.num = number(c, words);
		r.num = tab_sel(c, r.cond, r.num, tabk(c, IR_W, 0));
	}
	return r;
}
