// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dispatch_win: rules of a few shapes that are mixed. Those of each shape are one lookup, which
 * yields the number of the first rule of that shape that matches; the least number of all shapes is
 * the rule that counts.
 *
 * Only rules that end the chain for their packets are mixed, so no packet sees two of them.
 */
#include <endian.h>

#include "dispatch.h"

#define SHAPES_MAX 8
#define NOTHING	   0x7fffffffu /* above every rule's number */

struct window {
	struct drun all;	       /* its rules in order; its place: in the chain */
	struct drun shape[SHAPES_MAX]; /* their place: in `all` */
	uint32_t n;
};

static struct drun *shape_of(struct window *w, const struct drule *d)
{
	struct drun *s = w->shape;

	for (; s < w->shape + w->n; s++)
		if (dispatch_same_shape(w->all.b, s->r[0], d))
			return s;
	if (w->n == SHAPES_MAX)
		return NULL;
	*s = (struct drun){ .b = w->all.b, .tmp = w->all.tmp, .numbered = true };
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

struct ir_ins *dispatch_effect(struct bld *b, uint32_t table, struct ir_ins *rule, uint32_t off)
{
	struct ir_ins *i = bop(b, IR_AND, rule, bw(b, b->m->tables.v[table].len / 8 - 1));

	i = ir_emit1(&b->c, IR_LDRO, IR_W, bop(b, IR_SHL, i, bw(b, 3)));
	i->aux = table;
	i->imm = off;
	i->size = 4;
	return i;
}

static void lower_window(struct window *w)
{
	struct bld *b = w->all.b;
	struct ir_block *brk = b->brk;
	struct ir_ins *best = bw(b, NOTHING), *which = NULL, *offset = NULL;
	uint32_t table;

	for (uint32_t k = 0; k < w->n; k++)
		best = search(&w->shape[k], best);
	b->brk = brk;
	b->dead = false;
	b->c.rule = w->all.r[0]->rule;
	btest(b, bcond(b, IR_NE, best, NOTHING));
	if (b->dead)
		return;
	table = dispatch_effects_table(&w->all);
	if (w->all.classes.n > 1)
		which = dispatch_effect(b, table, best, 0);
	if (w->all.counts)
		offset = dispatch_effect(b, table, best, 4);
	dispatch_classes(&w->all, which, offset);
}

uint32_t dispatch_window(struct bld *b, struct dchain *dc, uint32_t at)
{
	struct window w = { .all = { .b = b, .tmp = dc->tmp } };
	const struct drule *d;
	uint32_t end;

	if (at < dc->no_window)
		return 0;
	d = dispatch_rule_at(b, dc, at, lower_act(b, dc->chain->rules.v[at]));
	if (!d || dispatch_peel(dc, at, d))
		return 0;
	end = collect(&w, dc, at);
	dc->no_window = MAX(end, at + 1);
	if (w.n < 2 || w.all.n < DISPATCH_MIN * w.n)
		return 0;
	for (uint32_t k = 0; k < w.n; k++)
		if (dispatch_elements(&w.shape[k]) != w.shape[k].n)
			return 0;
	if (!dispatch_effects(&w.all))
		return 0;
	b->pos->next = w.all.place[w.all.n - 1] + 1;
	lower_window(&w);
	return w.all.place[w.all.n - 1] + 1 - at;
}
