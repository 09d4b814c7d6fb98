// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tables: constant sets become read-only tables and the code that searches them, in IR: no calls,
 * hardly a branch.
 *
 *	few elements		comparisons, joined (here)
 *	exact keys		perfect hash (tabhash.c)
 *	ranges of one field	sorted array, binary search (tabrange.c)
 *	ranges in several	by a field that leaves few elements (tabnarrow.c), or a row of bits
 *				for each field, joined (tabconcat.c)
 */
#include <endian.h>

#include "narrow.h"
#include "tables.h"
#include "isel.h"

#define SMALL_MAX 8

/* -- helpers ----------------------------------------------------------------------------------- */

static struct ir_ins *put(struct tabcur *c, enum ir_op op, enum ir_type t, uint32_t n)
{
	struct ir_ins *i = ir_ins_new(c->fn, op,
				      ir_op_info[op].res == IR_T ? t : ir_op_info[op].res, n);

	i->rule = c->at->rule;
	ir_insert_before(c->at, i);
	return i;
}

struct ir_ins *tabk(struct tabcur *c, enum ir_type t, uint64_t v)
{
	return ir_fn_const(c->fn, t, v);
}

struct ir_ins *tab1(struct tabcur *c, enum ir_op op, enum ir_type t, struct ir_ins *a)
{
	struct ir_ins *i = put(c, op, t, 1);

	i->args[0] = a;
	return i;
}

struct ir_ins *tab2(struct tabcur *c, enum ir_op op, enum ir_type t, struct ir_ins *a,
		    struct ir_ins *b)
{
	struct ir_ins *i;

	if (b->op == IR_CONST && !b->imm &&
	    (op == IR_ADD || op == IR_SUB || op == IR_OR || op == IR_SHL || op == IR_LSHR))
		return a;
	i = put(c, op, t, 2);
	i->args[0] = a;
	i->args[1] = b;
	return i;
}

struct ir_ins *tab_load(struct tabcur *c, uint32_t table, struct ir_ins *at, int64_t off,
			uint8_t size)
{
	struct ir_ins *i = put(c, IR_LDRO, size == 8 ? IR_L : IR_W, 1);

	i->args[0] = at;
	i->aux = table;
	i->imm = off;
	i->size = size;
	return i;
}

struct ir_ins *tab_sel(struct tabcur *c, struct ir_ins *cond, struct ir_ins *a, struct ir_ins *b)
{
	struct ir_ins *i;

	if (ir_is_const(a, 1) && ir_is_const(b, 0))
		return tab1(c, IR_B2W, IR_W, cond);
	i = put(c, IR_SEL, a->type, 3);
	i->args[0] = cond;
	i->args[1] = a;
	i->args[2] = b;
	return i;
}

struct ir_ins *tab_swapped(struct tabcur *c, uint32_t w)
{
	if (!c->swapped[w])
		c->swapped[w] = tab1(c, IR_BSWAP32, IR_W, c->key[w]);
	return c->swapped[w];
}

uint32_t tab_new(struct ir_mod *m, const char *name, uint32_t len)
{
	struct ir_table *t = vec_push(m->arena, &m->tables);

	*t = (struct ir_table){ .name = name, .len = len, .align = 8 };
	t->bytes = arena_alloc(m->arena, len);
	return m->tables.n - 1;
}

uint32_t tab_word(const struct data *d, uint32_t w)
{
	uint32_t v = 0;

	if (4 * w + 4 <= d->len) {
		memcpy(&v, d->b + 4 * w, 4);
		return le32toh(v);
	}
	for (uint32_t k = 0; k < 4 && 4 * w + k < d->len; k++)
		v |= (uint32_t)d->b[4 * w + k] << (8 * k);
	return v;
}

uint32_t tab_ordered(const struct data *d, uint32_t w)
{
	return __builtin_bswap32(tab_word(d, w));
}

uint32_t tab_log2(uint32_t n)
{
	uint32_t b = 0;

	while ((1ull << b) < n)
		b++;
	return b;
}

/* -- the set ----------------------------------------------------------------------------------- */

static struct tabset *analyse(struct ir_mod *m, uint32_t number)
{
	struct tabset *t = arena_new_of(m->arena, struct tabset);

	t->m = m;
	t->is = &m->sets.v[number];
	t->set = t->is->set;
	t->number = number;
	t->n_words = DIV_ROUND_UP(t->set->key_len, 4);
	t->valued = ir_set_words(t->set);
	t->data = TAB_NONE;
	t->elems.cap = t->numbers.cap = t->set->elems.n;
	t->elems.v = arena_array(m->arena, const struct set_elem *, t->elems.cap);
	t->numbers.v = arena_array(m->arena, uint32_t, t->numbers.cap);
	for (uint32_t k = 0; k < t->set->elems.n; k++) {
		const struct set_elem *e = t->set->elems.v[k];

		if (e->catchall) /* the builder's business */
			continue;
		*vec_push(m->arena, &t->elems) = e;
		*vec_push(m->arena, &t->numbers) = k + 1;
		if (e->key_end.len && memcmp(e->key.b, e->key_end.b, e->key.len))
			t->ranges = true;
	}
	return t;
}

/* Row n holds the data of element number n; row 0 is for none. */
static void make_data(struct tabset *t)
{
	uint32_t words = ir_set_words(t->set);
	uint32_t stride = 4u << tab_log2(words), rows = 1u << tab_log2(t->set->elems.n + 1);
	uint8_t *b;

	t->data = tab_new(t->m, arena_printf(t->m->arena, "%s.data", t->set->name), stride * rows);
	b = t->m->tables.v[t->data].bytes;
	for (uint32_t k = 0; k < t->set->elems.n; k++) {
		const struct set_elem *e = t->set->elems.v[k];
		uint32_t idx;

		if (t->is->verdicts.n || t->is->objs.n) {
			idx = htole32(ir_set_index(t->is, e));
			memcpy(b + (k + 1) * stride, &idx, 4);
		} else {
			memcpy(b + (k + 1) * stride, e->data.b, e->data.len);
		}
	}
}

static void lower_celdw(struct tabset *t, struct ir_fn *fn, struct ir_ins *i)
{
	uint32_t words = ir_set_words(t->set);
	uint32_t rows = 1u << tab_log2(t->set->elems.n + 1);
	struct tabcur c = { .t = t, .fn = fn, .at = i };
	struct ir_ins *row = tab1(&c, IR_TRUNC, IR_W, i->args[0]);

	if (t->data == TAB_NONE)
		make_data(t);
	row = tab2(&c, IR_AND, IR_W, row, tabk(&c, IR_W, rows - 1));
	row = tab2(&c, IR_SHL, IR_W, row, tabk(&c, IR_W, 2 + tab_log2(words)));
	ir_replace(fn, i, tab_load(&c, t->data, row, 4 * i->imm, 4));
}

/* -- few elements ------------------------------------------------------------------------------ */

static struct ir_ins *join(struct tabcur *c, enum ir_op op, struct ir_ins *a, struct ir_ins *b)
{
	return a ? tab2(c, op, IR_B, a, b) : b;
}

/* Words [from, from + n) of the key equal those of d. */
static struct ir_ins *equal(struct tabcur *c, const struct data *d, uint32_t from, uint32_t n)
{
	struct ir_ins *r = NULL;

	for (uint32_t w = from; w < from + n; w++)
		r = join(c, IR_AND, r,
			 tab2(c, IR_EQ, IR_B, c->key[w], tabk(c, IR_W, tab_word(d, w))));
	return r;
}

/*
 * Words [from, from + n) of the key, in the order of memcmp, are at least (ge) or at most those of
 * d.
 */
static struct ir_ins *bound(struct tabcur *c, const struct data *d, uint32_t from, uint32_t n,
			    bool ge)
{
	struct ir_ins *r = NULL;

	for (uint32_t w = from + n;
	     w-- > from;) { /* last word: >=; before: > or equal and the rest */
		struct ir_ins *k = tab_swapped(c, w);
		struct ir_ins *v = tabk(c, IR_W, tab_ordered(d, w));

		if (!r) {
			r = tab2(c, ge ? IR_UGE : IR_ULE, IR_B, k, v);
			continue;
		}
		r = tab2(c, IR_AND, IR_B, tab2(c, IR_EQ, IR_B, k, v), r);
		r = tab2(c, IR_OR, IR_B, tab2(c, ge ? IR_UGT : IR_ULT, IR_B, k, v), r);
	}
	return r;
}

/*
 * Words [from, from + n) lie in the range of e, if this is a prefix: a comparison for each word
 * that is not free.
 */
static struct ir_ins *prefix(struct tabcur *c, const struct set_elem *e, uint32_t from, uint32_t n)
{
	struct ir_ins *r = NULL;
	bool free_bits = false;

	for (uint32_t w = from; w < from + n; w++) {
		uint32_t lo = tab_ordered(&e->key, w), x = lo ^ tab_ordered(&e->key_end, w);
		struct ir_ins *k = c->key[w];

		/* the last word's bytes past the key are 0 in both */
		if (w + 1 == from + n && e->key.len % 4 && x)
			x |= (1u << (32 - 8 * (e->key.len % 4))) - 1;
		if (x & (x + 1) || lo & x || (free_bits && x != UINT32_MAX))
			return NULL;
		free_bits |= x != 0;
		if (x == UINT32_MAX)
			continue;
		if (x)
			k = tab2(c, IR_AND, IR_W, k, tabk(c, IR_W, __builtin_bswap32(~x)));
		r = join(c, IR_AND, r,
			 tab2(c, IR_EQ, IR_B, k, tabk(c, IR_W, tab_word(&e->key, w))));
	}
	return r ? r : tabk(c, IR_B, 1);
}

static struct ir_ins *field_match(struct tabcur *c, const struct set_elem *e, uint32_t from,
				  uint32_t n)
{
	struct ir_ins *x;
	uint32_t lo, hi;

	if (!e->key_end.len)
		return equal(c, &e->key, from, n);
	x = prefix(c, e, from, n);
	if (x)
		return x;
	if (n > 1)
		return tab2(c, IR_AND, IR_B, bound(c, &e->key, from, n, true),
			    bound(c, &e->key_end, from, n, false));
	lo = tab_ordered(&e->key, from);
	hi = tab_ordered(&e->key_end, from);
	x = tab2(c, IR_SUB, IR_W, tab_swapped(c, from), tabk(c, IR_W, lo));
	return tab2(c, IR_ULE, IR_B, x, tabk(c, IR_W, hi - lo));
}

static struct ir_ins *elem_match(struct tabcur *c, const struct set_elem *e)
{
	const struct set *s = c->t->set;
	struct ir_ins *r = NULL;
	uint32_t w = 0;

	if (s->n_fields < 2 || !c->t->ranges)
		return field_match(c, e, 0, c->t->n_words);
	for (uint32_t f = 0; f < s->n_fields; f++) {
		uint32_t n = DIV_ROUND_UP(s->field_len[f], 4);

		r = join(c, IR_AND, r, field_match(c, e, w, n));
		w += n;
	}
	return r;
}

/* All keys are one word and lie within 64 of each other as numbers: one test of a bit. */
static struct ir_ins *bitmap(struct tabcur *c)
{
	struct tabset *t = c->t;
	uint32_t shift = t->set->key_len < 4 ? 32 - 8 * t->set->key_len : 0;
	uint32_t lo = UINT32_MAX, hi = 0;
	struct ir_ins *x, *in;
	uint64_t bits = 0;

	if (t->n_words != 1 || t->valued || t->set->n_fields > 1 || t->elems.n < 3)
		return NULL;
	vec_foreach(&t->elems, e) {
		lo = MIN(lo, tab_ordered(&(*e)->key, 0) >> shift);
		hi = MAX(hi,
			 tab_ordered((*e)->key_end.len ? &(*e)->key_end : &(*e)->key, 0) >> shift);
	}
	if (hi - lo >= 64)
		return NULL;
	vec_foreach(&t->elems, e) {
		uint64_t a = tab_ordered(&(*e)->key, 0) >> shift;
		uint64_t b = tab_ordered((*e)->key_end.len ? &(*e)->key_end : &(*e)->key, 0) >>
			     shift;

		for (; a <= b; a++)
			bits |= 1ull << (a - lo);
	}
	x = tab1(c, shift == 16 ? IR_BSWAP16 : IR_BSWAP32, IR_W, c->key[0]);
	if (shift == 24)
		x = c->key[0];
	else if (shift == 8)
		x = tab2(c, IR_LSHR, IR_W, x, tabk(c, IR_W, 8));
	x = tab2(c, IR_SUB, IR_W, x, tabk(c, IR_W, lo));
	in = tab2(c, IR_ULT, IR_B, x, tabk(c, IR_W, 64));
	x = tab1(c, IR_ZEXT, IR_L, tab2(c, IR_AND, IR_W, x, tabk(c, IR_W, 63)));
	x = tab2(c, IR_LSHR, IR_L, tabk(c, IR_L, bits), x);
	x = tab2(c, IR_AND, IR_W, tab1(c, IR_TRUNC, IR_W, x), tabk(c, IR_W, 1));
	return tab2(c, IR_AND, IR_B, in, tab2(c, IR_NE, IR_B, x, tabk(c, IR_W, 0)));
}

struct tabres tab_small(struct tabcur *c)
{
	struct tabset *t = c->t;
	struct tabres r = { 0 };

	for (uint32_t k = t->elems.n; k-- > 0;) { /* where they overlap the first one counts */
		struct ir_ins *m = elem_match(c, t->elems.v[k]);

		r.cond = join(c, IR_OR, r.cond, m);
		if (t->valued)
			r.num = tab_sel(c, m, tabk(c, IR_W, t->numbers.v[k]),
					r.num ? r.num : tabk(c, IR_W, 0));
	}
	return r;
}

/* -- lookups ----------------------------------------------------------------------------------- */

static struct tabres search(struct tabcur *c)
{
	struct tabset *t = c->t;
	struct tabres r = { .cond = tabk(c, IR_B, 0) };
	struct ir_ins *bits;

	if (!t->elems.n) {
		r.num = t->valued ? tabk(c, IR_W, 0) : NULL;
		return r;
	}
	if ((bits = bitmap(c)))
		return (struct tabres){ .cond = bits };
	if (t->elems.n <= SMALL_MAX && !t->is->straight)
		return tab_small(c);
	if (!t->ranges)
		return tab_hash(c);
	if (t->set->n_fields < 2)
		return tab_search(c);
	return narrow_field(t->set) < t->set->n_fields ? tab_narrow(c, narrow_field(t->set))
						       : tab_concat(c);
}

struct user {
	struct ir_ins *i;
	uint32_t next; /* in the list of users + 1 */
};

struct users {
	struct arena *arena;
	uint32_t *first; /* by id of the value; + 1 */
	VEC(struct user) list;
};

static bool tests_zero(const struct ir_ins *i)
{
	return (i->op == IR_EQ || i->op == IR_NE) && i->args[0]->type == IR_L &&
	       (ir_is_const(ir_val(i->args[1]), 0) || ir_is_const(ir_val(i->args[0]), 0));
}

static void find_users(struct ir_fn *fn, struct users *u)
{
	u->first = arena_array(u->arena, uint32_t, fn->n_ins);
	vec_foreach(&fn->blocks, b)
		for (struct ir_ins *i = (*b)->first; i; i = i->next)
			for (uint32_t k = 0; k < i->n_args; k++) {
				struct ir_ins *v = ir_val(i->args[k]);

				if (v->op != IR_CLOOK)
					continue;
				*vec_push(u->arena, &u->list) = (struct user){ i, u->first[v->id] };
				u->first[v->id] = u->list.n;
			}
}

/* `look != 0` ==> the condition itself */
static void replace_tests(struct tabcur *c, const struct users *u, struct tabres r)
{
	for (uint32_t k = u->first[c->at->id]; k; k = u->list.v[k - 1].next) {
		struct ir_ins *i = u->list.v[k - 1].i;

		if (!tests_zero(i))
			continue;
		ir_replace(c->fn, i, i->op == IR_NE ? r.cond : tab1(c, IR_NOT, IR_B, r.cond));
	}
}

static void lower_clook(struct tabset *t, struct ir_fn *fn, struct ir_ins *i, const struct users *u)
{
	struct tabcur c = { .t = t, .fn = fn, .at = i, .key = i->args };
	struct tabres r = search(&c);
	struct ir_ins *num = r.num;

	if (!num)
		num = tab1(&c, IR_B2W, IR_W, r.cond);
	replace_tests(&c, u, r);
	ir_replace(fn, i, tab1(&c, IR_ZEXT, IR_L, num));
}

void cg_tables(struct cg *cg, struct ir_fn *fn)
{
	struct users u = { .arena = cg->tmp };

	while (cg->tabs.n < cg->m->sets.n)
		*vec_push(cg->m->arena, &cg->tabs) = NULL;
	find_users(fn, &u);
	vec_foreach(&fn->blocks, b)
		for (struct ir_ins *i = (*b)->first, *next; i; i = next) {
			next = i->next;
			if (i->op != IR_CLOOK && i->op != IR_CELDW)
				continue;
			if (!cg->tabs.v[i->aux])
				cg->tabs.v[i->aux] = analyse(cg->m, i->aux);
			if (i->op == IR_CLOOK)
				lower_clook(cg->tabs.v[i->aux], fn, i, &u);
			else
				lower_celdw(cg->tabs.v[i->aux], fn, i);
		}
	ir_sweep(fn);
}
