// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which chains become functions. A chain that several jumps reach is copied to each of them, or
 * becomes a function that they call: functions share the stack with those that call them, copies of
 * copies grow without bound.
 */
#include "lower.h"

/* A chain reached by several jumps is copied into each of them up to this many expressions. */
#define INLINE_MAX 16
#define WEIGHT_MAX 100000000u

/*
 * Frames share 512 bytes of stack with the runtime, so calls are nested `most` deep. A first level
 * of them saves copies of more than `first` expressions, further ones of more than `nested`. Where
 * the copies are too many all the same, calls are nested deeper, down to the last row of those for
 * programs that are not sparing.
 */
static const struct calls {
	uint8_t most;
	uint32_t first, nested;
} free_calls[] = { { 2, 0, 400 }, { 3, 0, 400 }, { 4, 0, 1000 }, { 4, 0, 5000 }, { 4, 0, 20000 } },
  sparing_calls[] = {
	  [SPARING_VALUES] = { 2, 0, 400 },
	  [SPARING_NESTING] = { 1, 0, 0 },
	  [SPARING_CALLS] = { 1, 4000, 0 },
  };

/*
 * Expressions with all copies that are too many: so many, and more than so many times those that
 * there are.
 */
#define COPIED_MAX  60000
#define COPIED_RATE 4

static void visit_chain(struct bld *b, const struct chain *c);

static void visit_target(struct bld *b, const struct verdict *v)
{
	if (v->code != V_JUMP && v->code != V_GOTO)
		return;
	b->chains[v->chain->index].sites++;
	visit_chain(b, v->chain);
}

/* The distinct targets of a verdict map. */
static void visit_map(struct bld *b, const struct set *s)
{
	struct strmap seen;

	strmap_init(&seen, b->m->arena);
	vec_foreach(&s->elems, e) {
		struct {
			int64_t code;
			const struct chain *chain;
		} key = { (*e)->verdict.code, (*e)->verdict.chain };
		void **slot = strmap_put(&seen, (const char *)&key, sizeof(key));

		if (*slot)
			continue;
		*slot = *e;
		visit_target(b, &(*e)->verdict);
	}
}

static bool is_vmap_lookup(const struct expr *e)
{
	return e->kind == EX_LOOKUP && e->lookup.dreg == REG_VERDICT;
}

static bool is_verdict(const struct expr *e)
{
	return e->kind == EX_IMMEDIATE && e->imm.dreg == REG_VERDICT;
}

/* Counts the jumps to every chain that this one reaches; each chain once. */
static void visit_chain(struct bld *b, const struct chain *c)
{
	struct bchain *bc = &b->chains[c->index];

	if (bc->seen)
		return;
	bc->seen = true;
	vec_foreach(&c->rules, r) {
		if (lower_act(b, *r).act != RULE_LOWER)
			continue;
		vec_foreach(&(*r)->exprs, e) {
			if (is_verdict(*e))
				visit_target(b, &(*e)->imm.verdict);
			else if (is_vmap_lookup(*e))
				visit_map(b, (*e)->lookup.set);
		}
	}
}

static void weigh_chain(struct bld *b, const struct chain *c);

static void weigh_target(struct bld *b, struct bchain *from, const struct verdict *v)
{
	struct bchain *to;

	if (v->code != V_JUMP && v->code != V_GOTO)
		return;
	weigh_chain(b, v->chain);
	to = &b->chains[v->chain->index];
	from->weight = MIN(from->weight + (to->call ? 1 : to->weight), WEIGHT_MAX);
	from->height = MAX(from->height, to->height + to->call);
}

static void weigh_rule(struct bld *b, struct bchain *bc, const struct rule *r)
{
	struct rule_act act = lower_act(b, r);

	bc->weight += act.act == RULE_LOWER ? r->exprs.n : act.act == RULE_PUNT ? act.n_match : 0;
	if (act.act != RULE_LOWER)
		return;
	vec_foreach(&r->exprs, e) {
		if (is_verdict(*e))
			weigh_target(b, bc, &(*e)->imm.verdict);
		else if (is_vmap_lookup(*e))
			vec_foreach(&(*e)->lookup.set->elems, el)
				weigh_target(b, bc, &(*el)->verdict);
	}
}

static void weigh_chain(struct bld *b, const struct chain *c)
{
	const struct calls *k = b->calls;
	struct bchain *bc = &b->chains[c->index];
	uint64_t copies;

	if (bc->weighed)
		return;
	bc->weighed = true;
	bc->weight = bc->height = 0;
	vec_foreach(&c->rules, r)
		weigh_rule(b, bc, *r);
	copies = (uint64_t)bc->weight * (bc->sites - 1);
	bc->call = c != b->prog->base && bc->sites > 1 && bc->weight > INLINE_MAX &&
		   bc->height < k->most && copies > (bc->height ? k->nested : k->first);
}

/* Expressions of all functions, or with no chain copied. */
static uint64_t sum_of(const struct bld *b, bool copied)
{
	const struct table *t = b->prog->base->table;
	uint64_t sum = 0;

	vec_foreach(&t->chains, cp) {
		const struct chain *c = *cp;
		const struct bchain *bc = &b->chains[c->index];

		if (!bc->seen)
			continue;
		if (copied)
			sum += c == b->prog->base || bc->call ? bc->weight : 0;
		else
			vec_foreach(&c->rules, r)
				sum += (*r)->exprs.n;
	}
	return sum;
}

static bool fits(struct bld *b, const struct calls *calls)
{
	const struct table *t = b->prog->base->table;
	uint64_t sum;

	b->calls = calls;
	vec_foreach(&t->chains, c)
		b->chains[(*c)->index].weighed = b->chains[(*c)->index].call = false;
	weigh_chain(b, b->prog->base);
	sum = sum_of(b, true);
	return sum <= COPIED_MAX || sum <= COPIED_RATE * sum_of(b, false);
}

bool lower_choose_calls(struct bld *b)
{
	b->chains = arena_array(b->m->arena, struct bchain, b->prog->base->table->chains.n);
	visit_chain(b, b->prog->base);
	if (b->prog->sparing != SPARING_NOT)
		return fits(b, &sparing_calls[b->prog->sparing]);
	for (uint32_t k = 0; k < ARRAY_SIZE(free_calls); k++)
		if (fits(b, &free_calls[k]))
			return true;
	return false;
}
