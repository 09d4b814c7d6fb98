// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dispatch_win: rules of a few shapes that are mixed. Those of each shape are one lookup, which
 * yields the number of the first rule of that shape that matches; the least number of all shapes is
 * the rule that counts. Shapes are asked in the order of their first rules, until one is found that
 * is before all rules of those that are left.
 *
 * A few rules are better classified (dispatch_mix.c), which costs more with every rule, and takes
 * read-only data with the square of them; this does not, so many rules are searched like this.
 *
 * Only rules that end the chain for their packets are mixed, so no packet sees two of them.
 */
#include <endian.h>
#include <stdlib.h>

#include "dispatch.h"
#include "narrow.h"

#define SHAPES_MAX 48
#define SHAPES_FEW 8	       /* where rules are few: others are better classified */
#define NOTHING	   0x7fffffffu /* above every rule's number */

/* What it takes to find the rule of a shape, as most packets are not of its protocol ... */
#define EXACT_NS  4
#define NARROW_NS 8
#define CONCAT_NS 80
/* ... and to classify: that much, and for each rule. */
#define MIX_NS	    30
#define MIX_RULE_NS 0.07

uint32_t build_many = 256;

struct window {
	struct drun all;	       /* its rules in order; its place: in the chain */
	struct drun shape[SHAPES_MAX]; /* their place: in `all` */
	uint32_t n, max;	       /* of shape */
};

static struct drun shape_new(const struct window *w)
{
	return (struct drun){ .b = w->all.b, .tmp = w->all.tmp, .numbered = true };
}

static struct drun *shape_of(struct window *w, const struct drule *d)
{
	struct drun *s = w->shape;

	for (; s < w->shape + w->n; s++)
		if (dispatch_same_shape(w->all.b, s->r[0], d))
			return s;
	if (w->n == w->max)
		return NULL;
	*s = shape_new(w);
	w->n++;
	return s;
}

/* Rules from `at` on up to the first that cannot be in it; the index of that. */
static uint32_t collect(struct window *w, struct dchain *dc, uint32_t at)
{
	struct bld *b = w->all.b;
	uint32_t i = at;

	for (; i < dc->to; i++) {
		struct rule_act act = lower_act(b, dc->chain->rules.v[i]);
		struct drule *d;
		struct drun *s;

		if (act.act == RULE_NEVER)
			continue;
		d = dispatch_rule_at(b, dc, i, act);
		if (d && d->never)
			continue;
		if (!d || !d->final || !(s = shape_of(w, d)))
			break;
		dispatch_add(s, d, w->all.n);
		dispatch_add(&w->all, d, i);
	}
	return i;
}

/* One shape: the least of `best` and what it finds. */
static struct ir_ins *search(struct drun *s, struct ir_ins *best)
{
	struct bld *b = s->b;
	struct ir_block *join = b->brk = ir_block_new(b->c.fn), *hit;
	struct ir_ins *el, *num = NULL, **args, *phi;
	uint32_t set = 0;

	el = dispatch_search(s, &set);
	if (b->dead) { /* nothing is found */
		b->c.blk = join;
		return best;
	}
	num = el ? dispatch_word(b, el, set, 0) : bw(b, s->place[0]);
	num = bsel(b, ir_emit2(&b->c, IR_ULT, IR_B, num, best), num, best);
	hit = b->c.blk;
	ir_jmp(&b->c, join);
	b->c.blk = join;
	args = arena_array(b->c.fn->arena, struct ir_ins *, join->preds.n);
	for (uint32_t k = 0; k < join->preds.n; k++)
		args[k] = join->preds.v[k] == hit ? num : best;
	phi = ir_emit(&b->c, IR_PHI, IR_W, join->preds.n, args);
	return phi;
}

uint32_t dispatch_effects_table(const struct drun *all)
{
	struct ir_mod *m = all->b->m;
	struct ir_table *t = vec_push(m->arena, &m->tables);
	uint32_t rows = 1;

	while (rows < all->n)
		rows *= 2;
	*t = (struct ir_table){ .name = arena_printf(m->arena, "effects%u", m->tables.n - 1),
				.len = 8 * rows,
				.align = 8 };
	t->bytes = arena_alloc(m->arena, t->len);
	for (uint32_t k = 0; k < all->n; k++) {
		uint32_t word[2] = { htole32(all->class_of[k]), 0 };

		if (all->counter[k] != UINT32_MAX)
			word[1] = htole32(all->counter[k] - all->base);
		memcpy(t->bytes + 8 * k, word, 8);
	}
	return m->tables.n - 1;
}

static struct ir_ins *effect(struct bld *b, uint32_t table, struct ir_ins *rule, uint32_t off)
{
	struct ir_ins *i = bop(b, IR_AND, rule, bw(b, b->m->tables.v[table].len / 8 - 1));

	i = ir_emit1(&b->c, IR_LDRO, IR_W, bop(b, IR_SHL, i, bw(b, 3)));
	i->aux = table;
	i->imm = off;
	i->size = 4;
	return i;
}

void dispatch_effect(struct drun *run, uint32_t table, struct ir_ins *rule)
{
	struct ir_ins *which = NULL, *offset = NULL;

	if (run->classes.n > 1)
		which = effect(run->b, table, rule, 0);
	if (run->counts)
		offset = effect(run->b, table, rule, 4);
	dispatch_classes(run, which, offset);
}

/* The number of the rule that counts, or NOTHING. */
static struct ir_ins *search_all(struct window *w)
{
	struct bld *b = w->all.b;
	struct ir_block *done = ir_block_new(b->c.fn);
	struct ir_ins *best = bw(b, NOTHING), *found[SHAPES_MAX];
	uint32_t n = 0;

	/* not behind a way out: what follows takes it for made */
	for (uint32_t k = 0; k < w->n; k++)
		lower_prepare(b, w->shape[k].r[0]->rule, w->shape[k].r[0]->rule->exprs.n);
	for (uint32_t k = 0; k < w->n; k++) {
		if (best->op != IR_CONST) {
			struct ir_block *on = ir_block_new(b->c.fn);
			struct ir_ins *first = bw(b, w->shape[k].place[0]);

			ir_br(&b->c, ir_emit2(&b->c, IR_ULT, IR_B, best, first), done, on);
			b->c.blk = on;
			found[n++] = best;
		}
		best = search(&w->shape[k], best);
	}
	found[n++] = best;
	ir_jmp(&b->c, done);
	b->c.blk = done;
	return ir_emit(&b->c, IR_PHI, IR_W, n, found);
}

static void lower_window(struct window *w)
{
	struct bld *b = w->all.b;
	struct ir_block *brk = b->brk;
	struct ir_ins *best = search_all(w);

	b->brk = brk;
	b->dead = false;
	b->c.rule = w->all.r[0]->rule;
	btest(b, bcond(b, IR_NE, best, NOTHING));
	if (!b->dead)
		dispatch_effect(&w->all, dispatch_effects_table(&w->all), best);
}

/* Which values of a rule are ranges, and which are several: two bits for each. */
static uint32_t kind_of(const struct drule *d)
{
	uint32_t kind = 0;

	for (uint32_t u = 0; u < d->n_units; u++) {
		const struct dunit *x = &d->units[u];

		kind |= (dispatch_single(x) ? 0u : 1u) << 2 * u;
		kind |= (x->n_mix > 1 ? 2u : 0u) << 2 * u;
	}
	return kind;
}

/*
 * Rules of one shape that are too many to be searched together, because values of some are ranges
 * that many of the others have: each kind of them becomes a shape. false: they are of one kind.
 */
static bool part(struct window *w, uint32_t at)
{
	struct drun all = w->shape[at];
	uint32_t kind[SHAPES_MAX], from = w->n;

	for (uint32_t k = 0; k < all.n; k++) {
		uint32_t own = kind_of(all.r[k]), i = from;

		while (i < w->n && kind[i] != own)
			i++;
		if (i == SHAPES_MAX) {
			w->n = from;
			return false;
		}
		if (i == w->n) {
			w->shape[i] = shape_new(w);
			kind[w->n++] = own;
		}
		dispatch_add(&w->shape[i], all.r[k], all.place[k]);
	}
	if (w->n == from + 1) {
		w->n = from;
		return false;
	}
	w->shape[at] = w->shape[--w->n];
	return true;
}

/*
 * Rules of one kind, of which no field leaves few: they are dealt out in the order of the best
 * field, so that it leaves few of each hand. Rules whose elements others have are in none. false:
 * there is no room, or there are no two rules.
 */
static bool deal(struct window *w, uint32_t at)
{
	struct drun all = w->shape[at];
	uint32_t *hand = arena_array(all.tmp, uint32_t, all.n), field, n, dealt = 0;

	if (all.exact || all.n_fields < 2 || !all.elems.n)
		return false;
	n = DIV_ROUND_UP(dispatch_narrowest(&all, &field), NARROW_MAX);
	if (n < 2 || w->n + n > SHAPES_MAX)
		return false;
	dispatch_sort(all.elems.v, all.elems.n, all.fields[field].off, all.fields[field].len);
	for (uint32_t i = 0; i < all.elems.n; i++) {
		uint32_t *h = &hand[all.elems.v[i].rule];

		if (!*h)
			*h = 1 + dealt++ % n;
	}
	if (dealt < 2)
		return false;
	w->shape[at] = shape_new(w); /* the first hand; the others come behind all */
	n = MIN(n, dealt);
	for (uint32_t h = 2; h <= n; h++)
		w->shape[w->n + h - 2] = shape_new(w);
	for (uint32_t k = 0; k < all.n; k++)
		if (hand[k])
			dispatch_add(&w->shape[hand[k] == 1 ? at : w->n + hand[k] - 2], all.r[k],
				     all.place[k]);
	w->n += n - 1;
	return true;
}

static int by_first(const void *a, const void *b)
{
	const struct drun *x = a, *y = b;

	return x->place[0] < y->place[0] ? -1 : 1;
}

/* Finds the elements of every shape, and what all of them cost; false: one cannot be searched. */
static bool find_elements(struct window *w, uint32_t *ns)
{
	*ns = 0;
	for (uint32_t k = 0; k < w->n;) {
		struct drun *s = &w->shape[k];

		if (dispatch_elements(s) == s->n) {
			*ns += s->exact || s->n_fields < 2 ? EXACT_NS
			       : s->narrow		   ? NARROW_NS
							   : CONCAT_NS;
			k++;
		} else if (!part(w, k) && !deal(w, k)) {
			return false;
		}
	}
	qsort(w->shape, w->n, sizeof(*w->shape), by_first);
	return true;
}

static bool pays(const struct window *w, uint32_t ns, bool large)
{
	return !large || build_many == 1 || ns < MIX_NS + w->all.n * MIX_RULE_NS;
}

uint32_t dispatch_window(struct bld *b, struct dchain *dc, uint32_t at, bool large)
{
	struct window w = { .all = { .b = b, .tmp = dc->tmp },
			    .max = large ? SHAPES_MAX : SHAPES_FEW };
	uint32_t *none = large ? &dc->no_large : &dc->no_window, end, ns;
	const struct drule *d;

	if (at < *none || (large && dc->to - at < build_many))
		return 0;
	d = dispatch_rule_at(b, dc, at, lower_act(b, dc->chain->rules.v[at]));
	if (!d || dispatch_peel(dc, at, d))
		return 0;
	end = collect(&w, dc, at);
	*none = MAX(end, at + 1);
	if (w.n < 2 || w.all.n < DISPATCH_MIN * w.n || (large && w.all.n < build_many))
		return 0;
	if (!find_elements(&w, &ns) || !pays(&w, ns, large) || !dispatch_effects(&w.all))
		return 0;
	b->pos->next = w.all.place[w.all.n - 1] + 1;
	lower_window(&w);
	return w.all.place[w.all.n - 1] + 1 - at;
}
