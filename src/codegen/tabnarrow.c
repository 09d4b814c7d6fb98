// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tabnarrow: concatenations of ranges in which one field leaves few elements (narrow.h). That field
 * is searched among the points where elements begin or end; each point has a list of those that
 * cover it, in the order in which they count; what is left of their ranges is compared, without
 * branches.
 */
#include <endian.h>
#include <stdlib.h>

#include "narrow.h"
#include "tables.h"

static const uint8_t *upper(const struct set_elem *e)
{
	return e->key_end.len ? e->key_end.b : e->key.b;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, DATA_MAX);
}

/* Points of the field as keys of DATA_MAX bytes, the first one 0; how many. */
static uint32_t find_points(struct tabset *t, const struct tabrange *r, uint8_t *p)
{
	uint32_t n = 1, m = 0, from = 4 * r->from;

	vec_foreach(&t->elems, e) {
		memcpy(p + (size_t)n++ * DATA_MAX, (*e)->key.b + from, r->len);
		memcpy(p + (size_t)n * DATA_MAX, upper(*e) + from, r->len);
		if (tab_successor(p + (size_t)n * DATA_MAX, r->len))
			n++;
		else
			memset(p + (size_t)n * DATA_MAX, 0, DATA_MAX);
	}
	qsort(p, n, DATA_MAX, by_key);
	for (uint32_t k = 0; k < n; k++)
		if (!m ||
		    memcmp(p + (size_t)(m - 1) * DATA_MAX, p + (size_t)k * DATA_MAX, DATA_MAX))
			memmove(p + (size_t)m++ * DATA_MAX, p + (size_t)k * DATA_MAX, DATA_MAX);
	return m;
}

static uint32_t point_of(const uint8_t *p, uint32_t n, const uint8_t *value, uint32_t len)
{
	uint32_t lo = 0, hi = n;

	while (hi - lo > 1) {
		uint32_t mid = (lo + hi) / 2;

		if (memcmp(p + (size_t)mid * DATA_MAX, value, len) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Elements that cover each point, as places in t->elems + 1. */
static void write_lists(struct tabset *t, struct tabrange *r, const uint8_t *p, uint32_t n)
{
	uint32_t stride = narrow_max(t->elems.n), from = 4 * r->from;
	uint32_t *list;

	r->vals = tab_new(t->m, arena_printf(t->m->arena, "%s.lists", t->set->name),
			  4 * stride << r->bits);
	list = (uint32_t *)t->m->tables.v[r->vals].bytes;
	for (uint32_t e = 0; e < t->elems.n; e++) {
		uint32_t k = point_of(p, n, t->elems.v[e]->key.b + from, r->len);

		for (; k < n &&
		       memcmp(p + (size_t)k * DATA_MAX, upper(t->elems.v[e]) + from, r->len) <= 0;
		     k++) {
			uint32_t at = 0;

			while (list[stride * k + at])
				at++;
			BUG_ON(at == stride);
			list[stride * k + at] = htole32(e + 1);
			t->depth = MAX(t->depth, at + 1);
		}
	}
	for (uint32_t k = n; k < 1u << r->bits;
	     k++) /* a search may end in what fills the table up */
		memcpy(list + stride * k, list + stride * (n - 1), 4 * stride);
}

/*
 * A row for each element: the number, then for each word of the other fields the lowest and the
 * highest value as numbers.
 */
static void write_rows(struct tabset *t)
{
	uint32_t stride = 1u << t->row_bits, rows = 1u << tab_log2(t->elems.n + 1);
	uint32_t *row;

	t->nums = tab_new(t->m, arena_printf(t->m->arena, "%s.elems", t->set->name),
			  4 * stride * rows);
	row = (uint32_t *)t->m->tables.v[t->nums].bytes + stride;
	for (uint32_t e = 0; e < t->elems.n; e++, row += stride) {
		struct data hi = t->elems.v[e]->key;

		memcpy(hi.b, upper(t->elems.v[e]), hi.len);
		row[0] = htole32(t->numbers.v[e]);
		for (uint32_t w = 0; w < t->n_words; w++) {
			row[1 + 2 * w] = htole32(tab_ordered(&t->elems.v[e]->key, w));
			row[2 + 2 * w] = htole32(tab_ordered(&hi, w));
		}
	}
}

static void build(struct tabset *t, uint32_t narrow)
{
	struct tabrange *r = &t->range[0];
	struct arena *tmp = arena_new();
	uint8_t *p = arena_array(tmp, uint8_t, (size_t)(2 * t->elems.n + 2) * DATA_MAX);
	uint32_t word = 0, n;

	for (uint32_t f = 0; f < narrow; f++)
		word += DIV_ROUND_UP(t->set->field_len[f], 4u);
	r->from = word;
	r->len = t->set->field_len[narrow];
	r->n_words = DIV_ROUND_UP(r->len, 4u);
	n = find_points(t, r, p);
	tab_keys(t, r, p, DATA_MAX, n);
	t->row_bits = tab_log2(1 + 2 * t->n_words);
	write_lists(t, r, p, n);
	write_rows(t);
	arena_free(tmp);
	t->range_made = true;
}

/*
 * Words [from, from + n) of the key against the bounds in the row at byte `row`, lowest (off 0) or
 * highest (off 4).
 */
static struct ir_ins *bound(struct tabcur *c, struct ir_ins *row, uint32_t from, uint32_t n,
			    uint32_t off)
{
	struct ir_ins *r = NULL;

	for (uint32_t w = from + n; w-- > from;) {
		struct ir_ins *k = tab_swapped(c, w);
		struct ir_ins *v = tab_load(c, c->t->nums, row, 4 + 8 * w + off, 4);

		if (!r) {
			r = tab2(c, off ? IR_ULE : IR_UGE, IR_B, k, v);
			continue;
		}
		r = tab2(c, IR_AND, IR_B, tab2(c, IR_EQ, IR_B, k, v), r);
		r = tab2(c, IR_OR, IR_B, tab2(c, off ? IR_ULT : IR_UGT, IR_B, k, v), r);
	}
	return r;
}

/*
 * Whether the element at that row, which covers the field searched by, covers the other ones. Row 0
 * is none.
 */
static struct ir_ins *covers(struct tabcur *c, struct ir_ins *row, struct ir_ins *num)
{
	struct ir_ins *all = tab2(c, IR_NE, IR_B, num, tabk(c, IR_W, 0));
	const struct set *s = c->t->set;
	uint32_t w = 0;

	for (uint32_t f = 0; f < s->n_fields; f++) {
		uint32_t n = DIV_ROUND_UP(s->field_len[f], 4u);

		if (w != c->t->range[0].from) {
			all = tab2(c, IR_AND, IR_B, all, bound(c, row, w, n, 0));
			all = tab2(c, IR_AND, IR_B, all, bound(c, row, w, n, 4));
		}
		w += n;
	}
	return all;
}

struct tabres tab_narrow(struct tabcur *c, uint32_t narrow)
{
	struct tabset *t = c->t;
	struct tabres r = { .num = tabk(c, IR_W, 0) };
	struct ir_ins *list;

	if (!t->range_made)
		build(t, narrow);
	list = tab2(c, IR_SHL, IR_W, tab_find(c, &t->range[0]), /* 4 bytes a point */
		    tabk(c, IR_W, tab_log2(narrow_max(t->elems.n))));
	for (uint32_t k = t->depth; k-- > 0;) { /* the first of them counts */
		uint32_t rows = t->m->tables.v[t->nums].len >> (2 + t->row_bits);
		struct ir_ins *row = tab_load(c, t->range[0].vals, list, 4 * k, 4), *num, *in;

		row = tab2(c, IR_AND, IR_W, row, tabk(c, IR_W, rows - 1));
		row = tab2(c, IR_SHL, IR_W, row, tabk(c, IR_W, 2 + t->row_bits));
		num = tab_load(c, t->nums, row, 0, 4);
		in = covers(c, row, num);
		r.cond = r.cond ? tab2(c, IR_OR, IR_B, r.cond, in) : in;
		if (t->valued)
			r.num = tab_sel(c, in, num, r.num);
	}
	if (!t->valued)
		r.num = NULL;
	return r;
}
