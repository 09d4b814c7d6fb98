// SPDX-License-Identifier: GPL-2.0-or-later
/* A plan without the splitter's wisdom, for tests of the builder alone. */
#include "plain.h"

static bool is_pure(const struct expr *e)
{
	switch (e->kind) {
	case EX_COUNTER:
	case EX_LIMIT:
	case EX_QUOTA:
	case EX_LAST:
	case EX_NUMGEN:
	case EX_OBJREF:
	case EX_DYNSET:
		return false;
	case EX_IMMEDIATE:
		return e->imm.dreg != REG_VERDICT;
	case EX_LOOKUP:
		return e->lookup.dreg != REG_VERDICT && !e->lookup.set->n_exprs;
	default:
		return true;
	}
}

static struct rule_act act_for(const struct chain *base, const struct rule *r,
			       void (*why)(const struct rule *, const struct expr *, const char *))
{
	struct rule_act act = { .act = RULE_LOWER };
	const char *words = NULL;

	vec_foreach(&r->exprs, e) {
		if (build_can_lower(*e, base, &words))
			continue;
		act.act = RULE_PUNT;
		act.why = words;
		if (why)
			why(r, *e, words);
		break;
	}
	if (act.act != RULE_PUNT)
		return act;
	while (act.n_match < r->exprs.n && is_pure(r->exprs.v[act.n_match]) &&
	       build_can_lower(r->exprs.v[act.n_match], base, &words))
		act.n_match++;
	return act;
}

static void add_prog(struct plan *plan, struct chain *base, uint8_t pf,
		     void (*why)(const struct rule *, const struct expr *, const char *))
{
	struct arena *a = plan->arena;
	struct plan_prog *p = arena_new_of(a, struct plan_prog);
	struct table *t = base->table;

	p->name = arena_printf(a, "p%u", plan->progs.n);
	p->base = base;
	p->pf = pf;
	p->hook = base->hook;
	p->prio = base->prio;
	p->acts = arena_array(a, struct rule_act *, t->chains.n);
	vec_foreach(&t->chains, c) {
		p->acts[(*c)->index] = arena_array(a, struct rule_act, (*c)->rules.n + 1);
		vec_foreach(&(*c)->rules, r)
			p->acts[(*c)->index][(*r)->index] =
				act_for(base, *r,
					pf == FAM_IP6 && t->family == FAM_INET ? NULL : why);
	}
	*vec_push(a, &plan->progs) = p;
}

struct plan *plain_plan(struct ruleset *rs,
			void (*why)(const struct rule *r, const struct expr *e, const char *words))
{
	struct plan *plan = arena_new_of(rs->arena, struct plan);

	plan->arena = rs->arena;
	plan->rs = rs;
	vec_foreach(&rs->tables, t) {
		enum family f = (*t)->family;

		if (f != FAM_INET && f != FAM_IP && f != FAM_IP6)
			continue;
		vec_foreach(&(*t)->chains, c) {
			if (!(*c)->is_base || strcmp((*c)->type, "filter") ||
			    (*c)->hook > HOOK_POSTROUTING)
				continue;
			if (f != FAM_IP6)
				add_prog(plan, *c, FAM_IP, why);
			if (f != FAM_IP)
				add_prog(plan, *c, FAM_IP6, why);
		}
	}
	return plan;
}
