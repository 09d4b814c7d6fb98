// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cutting chains into functions that the kernel verifies one by one, where a program is too large for one.
 *
 * How much code a rule makes shows only when it is built: a thousand rules may have become one look-up. So a module is built
 * whole first; if one of its functions came out too large, it is built again with what each rule weighed then. A part
 * returns what a chain's function returns, and 3 for a `return` that ends the whole chain.
 */
#include "lower.h"

uint32_t build_fn_max = 48000;
uint32_t build_part_max = 32000; /* about 800 rules of three matches */

static void add_weight(struct strmap *w, const struct rule *r, uint32_t by)
{
	void **n = r ? strmap_put(w, (const char *)&r, sizeof(r)) : NULL;

	if (n)
		*n = (void *)((uintptr_t)*n + by);
}

static void weigh_fn(struct strmap *w, const struct ir_fn *fn)
{
	const struct rule *r = NULL;
	uint32_t n = 0;

	vec_foreach(&fn->blocks, b)
		for (const struct ir_ins *i = (*b)->first; i; i = i->next, n++) {
			if (i->rule == r)
				continue;
			add_weight(w, r, n);
			r = i->rule;
			n = 0;
		}
	add_weight(w, r, n);
}

struct strmap *build_weights(const struct ir_mod *m)
{
	struct strmap *w = arena_new_of(m->arena, struct strmap);
	bool large = false;

	strmap_init(w, m->arena);
	vec_foreach(&m->fns, fn) {
		uint32_t n = 0;

		vec_foreach(&(*fn)->blocks, b)
			for (const struct ir_ins *i = (*b)->first; i; i = i->next)
				n++;
		large |= n > build_fn_max;
	}
	if (!large)
		return NULL;
	vec_foreach(&m->fns, fn)
		weigh_fn(w, *fn);
	return w;
}

static uint64_t chain_cost(struct bld *b, const struct chain *c);

static uint64_t target_cost(struct bld *b, const struct verdict *v)
{
	if (v->code != V_JUMP && v->code != V_GOTO)
		return 0;
	return b->chains[v->chain->index].call ? 4 : chain_cost(b, v->chain);
}

static uint64_t rule_cost(struct bld *b, const struct rule *r)
{
	uint64_t n = (uintptr_t)strmap_get(b->opts->weights, (const char *)&r, sizeof(r));

	if (lower_act(b, r).act != RULE_LOWER)
		return n;
	vec_foreach(&r->exprs, e) {
		if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.dreg == REG_VERDICT)
			n += target_cost(b, &(*e)->imm.verdict);
		else if ((*e)->kind == EX_LOOKUP && (*e)->lookup.dreg == REG_VERDICT)
			vec_foreach(&(*e)->lookup.set->elems, el)
				n += target_cost(b, &(*el)->verdict);
	}
	return n;
}

static uint64_t chain_cost(struct bld *b, const struct chain *c)
{
	struct bchain *bc = &b->chains[c->index];
	uint64_t n = 0;

	if (!bc->cost) {
		vec_foreach(&c->rules, r)
			n += rule_cost(b, *r);
		bc->cost = n + 1;
	}
	return bc->cost - 1;
}

bool lower_in_parts(struct bld *b, const struct chain *c)
{
	return b->opts->weights && chain_cost(b, c) > build_part_max;
}

static void call_part(struct bld *b, const struct chain *c, uint32_t from, uint32_t to)
{
	struct ir_block *next = ir_block_new(b->c.fn), *over = ir_block_new(b->c.fn),
			*final = ir_block_new(b->c.fn);
	struct ir_fn *fn =
		lower_fn_new(b, c,
			     arena_printf(b->m->arena, "%s_p%u", b->prog->name, b->n_parts++));
	struct ir_ins *r = ir_emit(&b->c, IR_CALL, IR_W, 0, NULL);

	*vec_push(b->m->arena, &b->todo) = (struct btodo){ fn, c, from, to, true };
	r->aux = fn->index;
	ir_br(&b->c, bcond(b, IR_EQ, r, 2), next, over);
	b->c.blk = over;
	ir_br(&b->c, bcond(b, IR_EQ, r, 3), b->end, final);
	b->c.blk = final;
	if (b->c.fn->kind == IR_FN_PROG)
		r = bop(b, IR_AND, r, bw(b, 1));
	ir_emit1(&b->c, IR_RET, IR_V, r);
	b->c.blk = next;
}

/* A rule that is too large itself, by what it jumps to, stays: its target is cut. */
void lower_parts(struct bld *b, const struct chain *c)
{
	uint64_t sum = 0;
	uint32_t from = 0;

	b->c.rule = NULL;
	for (uint32_t k = 0; k < c->rules.n; k++) {
		uint64_t n = rule_cost(b, c->rules.v[k]);

		/* Also where they weigh nothing: what was merged into a rule before is not lost. */
		if (from < k && sum + n > build_part_max) {
			call_part(b, c, from, k);
			from = k;
			sum = 0;
		}
		sum += n;
		if (n > build_part_max) {
			lower_rules(b, c, k, k + 1);
			from = k + 1;
			sum = 0;
		}
	}
	if (from < c->rules.n)
		call_part(b, c, from, c->rules.n);
}
