// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dispatch_run: a run of rules of one shape becomes a constant set whose elements are the rules'
 * keys, and a lookup in it.
 *
 *	all keys exact		a hash; the first rule of equal keys has the element
 *	one field with ranges	disjoint ranges; the first rule that covers one has it
 *	several with ranges	a concatenation of ranges in the rules' order; the first that
 *				matches counts
 *
 * A rule that does not end the chain for its packets (only a counter, or a jump that may come back)
 * lets later rules see them: the run ends before the first later rule that has a key in common with
 * it. What a key's rule does is one of a few classes (has a counter, verdict): a switch; which
 * counter it counts is data of the element.
 */
#include <endian.h>
#include <stdlib.h>

#include "dispatch.h"
#include "narrow.h"

#define PRODUCT_MAX  64	 /* exact keys that one rule may have */
#define CONCAT_MAX   512 /* elements of one concatenation of ranges: a bit each in every row ... */
#define NARROW_ELEMS (1u << 20) /* ... or any number, if it is narrow */

/* -- the key ----------------------------------------------------------------------------------- */

/* Fields are the units that are not the same in all rules. */
static void find_fields(struct drun *run)
{
	const struct drule *r0 = run->r[0];

	run->exact = true;
	run->n_fields = run->key_len = 0;
	for (uint32_t u = 0; u < r0->n_units; u++) {
		struct dfield f = { .unit = u, .off = run->key_len, .from = r0 };
		bool varies = false, single = true;

		for (uint32_t k = 0; k < run->n; k++) {
			const struct dunit *x = &run->r[k]->units[u];

			varies |= !dispatch_same_test(r0, &r0->units[u], run->r[k], x);
			if (x->len > f.from->units[u].len)
				f.from = run->r[k];
			single = single && dispatch_single(x);
		}
		if (!varies)
			continue;
		f.len = f.from->units[u].len;
		for (uint32_t k = 0; single && k < run->n; k++)
			single = run->r[k]->units[u].len == f.len;
		run->exact &= single;
		run->key_len += ALIGN_UP(f.len, 4);
		run->fields[run->n_fields++] = f;
	}
	if (run->n_fields == 1) /* a key of one field is not padded */
		run->key_len = run->fields[0].len;
}

/* How many elements rule k needs. */
static uint32_t product(const struct drun *run, uint32_t k)
{
	uint64_t n = 1;

	for (uint32_t f = 0; f < run->n_fields; f++)
		n = MIN(n * run->r[k]->units[run->fields[f].unit].n_mix, UINT32_MAX);
	return (uint32_t)n;
}

/*
 * The i-th element of rule k: one range of each field; ends of short values filled up. hi stands
 * behind lo.
 */
static struct delem element(struct drun *run, uint32_t k, uint32_t i)
{
	uint8_t *lo = arena_alloc(run->tmp, MAX(run->key_len << !run->exact, 1u));
	uint8_t *hi = run->exact ? NULL : lo + run->key_len;

	for (uint32_t f = 0; f < run->n_fields; f++) {
		const struct dfield *d = &run->fields[f];
		const struct dunit *u = &run->r[k]->units[d->unit];
		const struct drange *g = &u->mix[i % u->n_mix];

		i /= u->n_mix;
		memcpy(lo + d->off, g->lo, u->len);
		if (!hi)
			continue;
		memset(hi + d->off, 0xff, d->len);
		memcpy(hi + d->off, g->hi, u->len);
	}
	return (struct delem){ lo, hi, k };
}

/* -- elements: exact keys ---------------------------------------------------------------------- */

/* Elements of the rules up to the first that must not be in this run; how many rules these are. */
static uint32_t exact_elements(struct drun *run)
{
	struct strmap seen;

	strmap_init(&seen, run->tmp);
	for (uint32_t k = 0; k < run->n; k++) {
		uint32_t n = product(run, k), was = run->elems.n;

		if (n > PRODUCT_MAX)
			return k;
		for (uint32_t i = 0; i < n; i++) {
			struct delem e = element(run, k, i);
			void **slot = strmap_put(&seen, (const char *)e.lo, run->key_len);
			uint32_t owner = (uint32_t)(uintptr_t)*slot;

			if (!owner) {
				*slot = (void *)(uintptr_t)(k + 1);
				*vec_push(run->tmp, &run->elems) = e;
			} else if (owner - 1 != k && !run->r[owner - 1]->final) {
				run->elems.n = was;
				return k;
			}
		}
	}
	return run->n;
}

/* -- elements: ranges of one field ------------------------------------------------------------- */

/*
 * Rules that cover the point at hand, the least number on top; those that ended stay until they
 * come to the top.
 */
struct heap {
	const struct delem **v;
	uint32_t n;
};

static void heap_push(struct heap *h, const struct delem *e)
{
	uint32_t i = h->n++;

	for (; i && h->v[(i - 1) / 2]->rule > e->rule; i = (i - 1) / 2)
		h->v[i] = h->v[(i - 1) / 2];
	h->v[i] = e;
}

static const struct delem *heap_pop(struct heap *h)
{
	const struct delem *top = h->v[0], *e = h->v[--h->n];
	uint32_t i = 0, c;

	while ((c = 2 * i + 1) < h->n) {
		if (c + 1 < h->n && h->v[c + 1]->rule < h->v[c]->rule)
			c++;
		if (h->v[c]->rule >= e->rule)
			break;
		h->v[i] = h->v[c];
		i = c;
	}
	h->v[i] = e;
	return top;
}

static const struct delem *heap_top(struct heap *h, const uint8_t *at, uint32_t len)
{
	while (h->n && memcmp(h->v[0]->hi, at, len) < 0)
		heap_pop(h);
	return h->n ? h->v[0] : NULL;
}

static _Thread_local uint32_t sort_off, sort_len;
static int by_low(const void *x, const void *y)
{
	const struct delem *a = x, *b = y;
	int c = memcmp(a->lo + sort_off, b->lo + sort_off, sort_len);

	return c ? c : a->rule < b->rule ? -1 : a->rule > b->rule;
}

void dispatch_sort(struct delem *v, uint32_t n, uint32_t off, uint32_t len)
{
	sort_off = off;
	sort_len = len;
	qsort(v, n, sizeof(*v), by_low);
}

static int by_point(const void *x, const void *y)
{
	return memcmp(*(const uint8_t *const *)x, *(const uint8_t *const *)y, sort_len);
}

/* p + by; NULL: there is none */
static const uint8_t *beside(struct drun *run, const uint8_t *p, int by)
{
	uint8_t *v = arena_dup(run->tmp, p, run->key_len);

	for (uint32_t i = run->key_len; i-- > 0;) {
		v[i] = (uint8_t)(v[i] + by);
		if (v[i] != (by > 0 ? 0 : 0xff))
			return v;
	}
	return NULL;
}

static bool same_effect(const struct drun *run, uint32_t x, uint32_t y)
{
	const struct drule *a = run->r[x], *b = run->r[y];

	return x == y ||
	       (!run->numbered && !a->counter && !b->counter &&
		a->verdict.code == b->verdict.code && a->verdict.chain == b->verdict.chain);
}

/* Where some range begins or one has just ended, ascending. */
static uint32_t find_points(struct drun *run, const struct delem *e, uint32_t n,
			    const uint8_t **out)
{
	uint32_t m = 0, k = 0;

	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *end = beside(run, e[i].hi, 1);

		out[m++] = e[i].lo;
		if (end)
			out[m++] = end;
	}
	qsort(out, m, sizeof(*out), by_point);
	for (uint32_t i = 0; i < m; i++)
		if (!k || memcmp(out[k - 1], out[i], run->key_len))
			out[k++] = out[i];
	return k;
}

static void add_range(struct drun *run, const uint8_t *lo, const uint8_t *hi, uint32_t rule)
{
	struct delem *last = run->elems.n ? &run->elems.v[run->elems.n - 1] : NULL;
	const uint8_t *end = last ? beside(run, last->hi, 1) : NULL;

	if (end && !memcmp(end, lo, run->key_len) && same_effect(run, last->rule, rule))
		last->hi = hi;
	else
		*vec_push(run->tmp, &run->elems) = (struct delem){ lo, hi, rule };
}

/*
 * The first rule that sees packets at this point which an earlier one, not final, has seen; run->n:
 * none.
 */
static uint32_t second(struct drun *run, struct heap *h, const uint8_t *at)
{
	const struct delem *top = heap_pop(h), *next = heap_top(h, at, run->key_len);
	uint32_t rule = next && !run->r[top->rule]->final ? next->rule : run->n;

	heap_push(h, top);
	return rule;
}

/* As exact_elements(). */
static uint32_t range_elements(struct drun *run)
{
	VEC(struct delem) all = { 0 };
	uint32_t at = 0, n, cut = run->n;
	const uint8_t **points;
	struct heap h = { 0 };

	for (uint32_t k = 0; k < run->n; k++)
		for (uint32_t i = 0; i < product(run, k); i++)
			*vec_push(run->tmp, &all) = element(run, k, i);
	if (!all.n)
		return run->n;
	dispatch_sort(all.v, all.n, 0, run->key_len);
	points = arena_array(run->tmp, const uint8_t *, 2 * all.n);
	h.v = arena_array(run->tmp, const struct delem *, all.n + 1);
	n = find_points(run, all.v, all.n, points);
	for (uint32_t p = 0; p < n; p++) {
		const struct delem *top;
		uint8_t *max;

		for (; at < all.n && !memcmp(all.v[at].lo, points[p], run->key_len); at++)
			heap_push(&h, &all.v[at]);
		top = heap_top(&h, points[p], run->key_len);
		if (!top)
			continue;
		cut = MIN(cut, second(run, &h, points[p]));
		max = arena_alloc(run->tmp, run->key_len);
		memset(max, 0xff, run->key_len);
		add_range(run, points[p], p + 1 < n ? beside(run, points[p + 1], -1) : max,
			  top->rule);
	}
	return cut;
}

/* -- elements: ranges of several fields -------------------------------------------------------- */

static bool overlap(const struct drun *run, const struct delem *x, const struct delem *y)
{
	for (uint32_t f = 0; f < run->n_fields; f++) {
		uint32_t off = run->fields[f].off, len = run->fields[f].len;

		if (memcmp(x->lo + off, y->hi + off, len) > 0 ||
		    memcmp(y->lo + off, x->hi + off, len) > 0)
			return false;
	}
	return true;
}

uint32_t dispatch_narrowest(const struct drun *run, uint32_t *field)
{
	struct arena *tmp = arena_new();
	const uint8_t **lo = arena_array(tmp, const uint8_t *, run->elems.n + 1);
	const uint8_t **hi = arena_array(tmp, const uint8_t *, run->elems.n + 1);
	uint8_t len[DISPATCH_UNITS];
	uint32_t most;

	for (uint32_t f = 0; f < run->n_fields; f++)
		len[f] = (uint8_t)run->fields[f].len;
	for (uint32_t k = 0; k < run->elems.n; k++) {
		lo[k] = run->elems.v[k].lo;
		hi[k] = run->elems.v[k].hi;
	}
	*field = narrow_best(lo, hi, run->elems.n, len, run->n_fields, &most);
	arena_free(tmp);
	return most;
}

static bool all_final(const struct drun *run)
{
	for (uint32_t k = 0; k < run->n; k++)
		if (!run->r[k]->final)
			return false;
	return true;
}

/* Notes an element of rules that are all final; false: one before it has the same packets. */
static bool first_of_key(struct drun *run, struct strmap *seen, const struct delem *e)
{
	void **slot = strmap_put(seen, (const char *)e->lo, 2 * run->key_len);

	if (*slot)
		return false;
	*slot = run;
	return true;
}

static uint32_t concat_elements(struct drun *run)
{
	bool final = all_final(run);
	uint32_t max = final ? NARROW_ELEMS : CONCAT_MAX, fit = run->n, field;
	struct strmap seen;

	strmap_init(&seen, run->tmp);
	for (uint32_t k = 0; k < run->n; k++) {
		uint32_t n = product(run, k), was = run->elems.n;

		if (was + n > CONCAT_MAX)
			fit = MIN(fit, k);
		if (was + n > max) { /* not all of them: nothing can be said of the rules */
			run->elems.n = 0;
			return fit;
		}
		for (uint32_t i = 0; i < n; i++) {
			struct delem e = element(run, k, i);

			for (uint32_t j = 0; j < was && !final; j++)
				if (!run->r[run->elems.v[j].rule]->final &&
				    overlap(run, &run->elems.v[j], &e)) {
					run->elems.n = was;
					return k;
				}
			if (!final || first_of_key(run, &seen, &e))
				*vec_push(run->tmp, &run->elems) = e;
		}
	}
	/* some field leaves few of the elements: then there may be any number of them */
	run->narrow = dispatch_narrowest(run, &field) <= narrow_max(run->elems.n);
	return run->narrow ? run->n : fit;
}

/* -- effects ----------------------------------------------------------------------------------- */

static uint32_t class_of(struct drun *run, const struct drule *d)
{
	for (uint32_t k = 0; k < run->classes.n; k++) {
		const struct dclass *c = &run->classes.v[k];

		if (c->counted == !!d->counter && c->verdict.code == d->verdict.code &&
		    c->verdict.chain == d->verdict.chain)
			return k;
	}
	*vec_push(run->tmp, &run->classes) =
		(struct dclass){ .counted = d->counter, .verdict = d->verdict, .rule = d->rule };
	return run->classes.n - 1;
}

/* Their counters must be states in a row with nothing else between; false: they are not. */
bool dispatch_effects(struct drun *run)
{
	uint32_t last = 0;

	run->class_of = arena_array(run->tmp, uint32_t, run->n);
	run->counter = arena_array(run->tmp, uint32_t, run->n);
	run->base = UINT32_MAX;
	for (uint32_t k = 0; k < run->n; k++) {
		const struct drule *d = run->r[k];

		run->class_of[k] = class_of(run, d);
		run->counter[k] = UINT32_MAX;
		if (!d->counter)
			continue;
		run->counter[k] = lower_state_of(run->b, d->rule, d->counter_index, d->counter);
		run->base = MIN(run->base, run->counter[k]);
		last = MAX(last, run->counter[k]);
		run->counts = true;
	}
	for (uint32_t k = run->base; run->counts && k <= last; k++)
		if (run->b->m->states.v[k].kind != ST_COUNTER)
			return false;
	return true;
}

/* -- the set ----------------------------------------------------------------------------------- */

static void set_element(const struct drun *run, const struct delem *e, bool data,
			struct set_elem *el)
{
	uint32_t word[2] = { 0 };

	el->key = data_bytes(e->lo, run->key_len);
	if (e->hi)
		el->key_end = data_bytes(e->hi, run->key_len);
	if (!data)
		return;
	word[0] = htole32(run->numbered ? run->place[e->rule] : run->class_of[e->rule]);
	if (!run->numbered && run->counter[e->rule] != UINT32_MAX)
		word[1] = htole32(run->counter[e->rule] - run->base);
	el->data = data_bytes(word, sizeof(word));
}

/* Only this function looks into the set: its elements end with it. */
static uint32_t make_set(struct drun *run)
{
	struct arena *a = run->b->c.fn->arena;
	struct set_elem *elems = arena_array(a, struct set_elem, run->elems.n);
	struct ir_mod *m = run->b->m;
	struct set *s = arena_new_of(m->arena, struct set);
	bool data = run->numbered || run->counts || run->classes.n > 1;

	s->table = run->r[0]->rule->chain->table;
	s->name = arena_printf(m->arena, "run%u", m->sets.n);
	s->index = s->table->sets.n + m->sets.n;
	s->loc = run->r[0]->rule->loc;
	s->flags = SET_ANONYMOUS | SET_CONSTANT | (run->exact ? 0 : SET_INTERVAL) |
		   (data ? SET_MAP : 0) | (run->n_fields > 1 ? SET_CONCAT : 0);
	s->key_len = (uint8_t)run->key_len;
	s->data_len = data ? 8 : 0;
	s->n_fields = run->n_fields;
	for (uint32_t f = 0; f < run->n_fields; f++)
		s->field_len[f] = (uint8_t)run->fields[f].len;
	for (uint32_t k = 0; k < run->elems.n; k++) {
		set_element(run, &run->elems.v[k], data, &elems[k]);
		*vec_push(a, &s->elems) = &elems[k];
	}
	*vec_push(m->arena, &m->sets) = (struct ir_set){ .set = s, .kind = SK_CONST };
	return m->sets.n - 1;
}

/* -- code -------------------------------------------------------------------------------------- */

static bool is_field(const struct drun *run, uint32_t unit, uint32_t *f)
{
	for (*f = 0; *f < run->n_fields; ++*f)
		if (run->fields[*f].unit == unit)
			return true;
	return false;
}

static void lower_guards(struct drun *run)
{
	const struct drule *r = run->r[0];
	uint32_t f;

	for (uint32_t i = 0; i < r->rule->exprs.n; i++)
		for (uint32_t u = 0; u < r->n_units; u++) {
			const struct dunit *x = &r->units[u];

			if (i < x->first || i >= x->first + x->n || is_field(run, u, &f))
				continue;
			if (!run->b->dead)
				lower_expr(run->b, r->rule, i, r->rule->exprs.v[i]);
		}
}

/* The words of the key; how many. */
static uint32_t lower_key(struct drun *run, struct ir_ins **key)
{
	struct bld *b = run->b;
	uint32_t n = 0;

	for (uint32_t f = 0; f < run->n_fields && !b->dead; f++) {
		const struct dfield *d = &run->fields[f];
		const struct dunit *u = &d->from->units[d->unit];
		uint32_t w = REG_WORD(dispatch_load_reg(u->load)), tail = d->len % 4;

		lower_expr(b, d->from->rule, u->first, u->load);
		if (u->mask)
			lower_expr(b, d->from->rule, u->first + 1, u->mask);
		for (uint32_t k = 0; k < DIV_ROUND_UP(d->len, 4u); k++)
			key[n++] = breg_get(b, w + k);
		if (tail)
			key[n - 1] = band(b, key[n - 1], (1u << 8 * tail) - 1);
	}
	return n;
}

struct ir_ins *dispatch_word(struct bld *b, struct ir_ins *el, uint32_t set, uint32_t word)
{
	struct ir_ins *i = ir_emit1(&b->c, IR_CELDW, IR_W, el);

	i->aux = set;
	i->imm = word;
	return i;
}

static void lower_class(struct drun *run, const struct dclass *c, struct ir_ins *offset)
{
	struct bld *b = run->b;
	struct ir_ins *i;

	b->c.rule = c->rule;
	b->dead = false;
	if (c->counted) {
		i = ir_emit2(&b->c, IR_COUNTAT, IR_V, lower_skb_len(b), offset);
		i->aux = run->base;
	}
	lower_verdict(b, &c->verdict);
	if (!b->dead)
		ir_jmp(&b->c, b->brk);
}

void dispatch_classes(struct drun *run, struct ir_ins *which, struct ir_ins *offset)
{
	uint32_t n = run->classes.n;
	struct bld *b = run->b;
	struct ir_block **to = NULL;
	int64_t *cases;

	if (n > 1) {
		to = arena_array(b->c.fn->arena, struct ir_block *, n);
		cases = arena_array(b->c.fn->arena, int64_t, n);
		for (uint32_t k = 0; k < n; k++) {
			to[k] = ir_block_new(b->c.fn);
			cases[k] = k;
		}
		ir_switch(&b->c, which, n - 1, cases, to, to[n - 1]);
	}
	for (uint32_t k = 0; k < n; k++) {
		if (n > 1)
			b->c.blk = to[k];
		lower_class(run, &run->classes.v[k], offset);
	}
}

struct ir_ins *dispatch_search(struct drun *run, uint32_t *set)
{
	struct bld *b = run->b;
	struct ir_ins *key[REG_WORDS], *el;
	uint32_t n = 0;

	b->c.rule = run->r[0]->rule;
	b->dead = false;
	memset(b->regs, 0, sizeof(b->regs));
	lower_prepare(b, run->r[0]->rule, run->r[0]->rule->exprs.n);
	lower_guards(run);
	if (!b->dead)
		n = lower_key(run, key);
	if (b->dead || !run->n_fields)
		return NULL;
	if (!run->elems.n) {
		bbreak(b);
		return NULL;
	}
	*set = make_set(run);
	el = ir_emit(&b->c, IR_CLOOK, IR_L, n, key);
	el->aux = *set;
	btest(b, bcond(b, IR_NE, el, 0));
	return el;
}

static void lower_run(struct drun *run)
{
	struct bld *b = run->b;
	uint32_t set = 0;
	struct ir_ins *el = dispatch_search(run, &set), *which = NULL, *offset = NULL;

	if (b->dead)
		return;
	if (run->classes.n > 1)
		which = dispatch_word(b, el, set, 0);
	if (run->counts)
		offset = dispatch_word(b, el, set, 1);
	dispatch_classes(run, which, offset);
}

/* -- runs -------------------------------------------------------------------------------------- */

void dispatch_open(struct bld *b, struct dchain *dc, const struct chain *c, uint32_t from,
		   uint32_t to)
{
	*dc = (struct dchain){ .chain = c, .from = from, .to = to };
	if (!b->opts->dispatch || to - from < DISPATCH_MIN)
		return;
	dc->tmp = arena_new();
}

void dispatch_close(struct dchain *dc)
{
	if (dc->tmp)
		arena_free(dc->tmp);
}

static struct drule not_looked_at;

struct drule *dispatch_rule_at(struct bld *b, struct dchain *dc, uint32_t i, struct rule_act act)
{
	uint32_t k = i - dc->from;

	while (dc->rules.n <= k) {
		struct drule **d = vec_push(dc->tmp, &dc->rules);

		*d = &not_looked_at;
	}
	if (dc->rules.v[k] == &not_looked_at)
		dc->rules.v[k] = dispatch_rule(b, dc->tmp, dc->chain->rules.v[i], act);
	return dc->rules.v[k];
}

bool dispatch_same_shape(const struct bld *b, const struct drule *x, const struct drule *y)
{
	if (x->n_units != y->n_units)
		return false;
	for (uint32_t u = 0; u < x->n_units; u++) {
		if (!dispatch_same_load(b, &x->units[u], &y->units[u]))
			return false;
		if (!dispatch_may_vary(b, &x->units[u], &y->units[u]) &&
		    !dispatch_same_test(x, &x->units[u], y, &y->units[u]))
			return false;
	}
	return true;
}

void dispatch_add(struct drun *run, struct drule *d, uint32_t place)
{
	if (run->n == run->cap) {
		struct drule **r = run->r;
		uint32_t *p = run->place;

		run->cap = MAX(64u, 2 * run->cap);
		run->r = arena_array(run->tmp, struct drule *, run->cap);
		run->place = arena_array(run->tmp, uint32_t, run->cap);
		if (run->n) {
			memcpy(run->r, r, run->n * sizeof(*r));
			memcpy(run->place, p, run->n * sizeof(*p));
		}
	}
	run->place[run->n] = place;
	run->r[run->n++] = d;
}

/* The rules of one shape from `at` on, at most `max`. */
static void collect(struct drun *run, struct dchain *dc, uint32_t at, uint32_t max)
{
	run->n = 0;
	for (uint32_t i = at; i < dc->to && run->n < max; i++) {
		struct rule_act act = lower_act(run->b, dc->chain->rules.v[i]);
		struct drule *d;

		if (act.act == RULE_NEVER)
			continue;
		d = dispatch_rule_at(run->b, dc, i, act);
		if (d && d->never)
			continue;
		if (!d || (run->n && !dispatch_same_shape(run->b, run->r[0], d)))
			return;
		dispatch_add(run, d, i);
	}
}

/* The elements of as many rules from the first on as can be one run. */
uint32_t dispatch_elements(struct drun *run)
{
	uint32_t n = run->n;

	for (;;) {
		run->elems.n = 0;
		find_fields(run);
		if (!run->n_fields && run->numbered)
			return run->n;
		if (!run->n_fields || run->key_len > DATA_MAX)
			return 0;
		n = run->exact		 ? exact_elements(run)
		    : run->n_fields == 1 ? range_elements(run)
					 : concat_elements(run);
		if (n < DISPATCH_MIN || n == run->n || run->numbered)
			return n;
		run->n = n; /* fewer rules may have fewer fields */
	}
}

bool dispatch_never(struct bld *b, struct dchain *dc, uint32_t at)
{
	const struct drule *d;

	if (!dc->tmp)
		return false;
	d = dispatch_rule_at(b, dc, at, lower_act(b, dc->chain->rules.v[at]));
	return d && d->never;
}

/*
 * A run that ends early is tried on few rules first, so that looking for runs stays in proportion.
 */
#define FIRST_TRY 64

/* The run that begins with rule `at`: how many rules; 0: none. */
static uint32_t find_run(struct drun *run, struct dchain *dc, uint32_t at)
{
	uint32_t max = FIRST_TRY, n;

	for (;; max = UINT32_MAX) {
		collect(run, dc, at, max);
		n = run->n < DISPATCH_MIN ? 0 : dispatch_elements(run);
		if (n < DISPATCH_MIN)
			return 0;
		if (max == UINT32_MAX || n < FIRST_TRY)
			return n;
	}
}

#define PEEL_MAX 4

bool dispatch_peel(struct dchain *dc, uint32_t at, const struct drule *d)
{
	for (uint32_t k = 0; k < d->n_units; k++)
		if (d->units[k].load->kind == EX_PAYLOAD)
			return false;
	if (dc->peeled && dc->peeled_at == at)
		return true;
	if (dc->peeled == PEEL_MAX)
		return false;
	dc->peeled++;
	dc->peeled_at = at;
	return true;
}

/* Long, and found in one step: nothing is better. */
static bool is_best(const struct drun *run, uint32_t n)
{
	return n >= FIRST_TRY && (run->exact || run->n_fields < 2 || run->narrow);
}

uint32_t dispatch_run(struct bld *b, struct dchain *dc, uint32_t at)
{
	struct drun run = { .b = b, .tmp = dc->tmp };
	uint32_t n, mixed;

	if (!dc->tmp || at + DISPATCH_MIN > dc->to)
		return 0;
	if (dc->mix) {
		mixed = dispatch_mix(b, dc, at);
		if (mixed || dc->mix)
			return mixed;
	}
	n = find_run(&run, dc, at);
	if (!is_best(&run, n) || build_mix_any || build_many == 1) {
		mixed = dispatch_window(b, dc, at, true);
		if (mixed)
			return mixed;
		mixed = dispatch_mix(b, dc, at);
		if (mixed || dc->mix)
			return mixed;
	}
	if (!n)
		return dispatch_window(b, dc, at, false);
	if (!dispatch_effects(&run))
		return 0;
	b->pos->next = run.place[run.n - 1] + 1;
	lower_run(&run);
	return run.place[run.n - 1] + 1 - at;
}
