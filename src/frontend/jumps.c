// SPDX-License-Identifier: GPL-2.0-or-later
/* Jumps: no loops, and no deeper than nf_tables goes. */
#include "ruleset.h"

#define JUMP_DEPTH_MAX 16

struct walk {
	struct diag *diag;
	uint8_t *seen; /* by chain: the depth at which it was last found in order, + 1; or ON_WAY */
};
#define ON_WAY 0xffu

static bool walk_chain(struct walk *s, struct chain *c, struct loc from, uint32_t depth);

static bool follow(struct walk *s, const struct verdict *v, struct loc loc, uint32_t depth)
{
	return !v->chain || walk_chain(s, v->chain, loc, depth + 1);
}

static bool walk_set(struct walk *s, const struct set *set, uint32_t depth)
{
	vec_foreach(&set->elems, e)
		if (!follow(s, &(*e)->verdict, (*e)->loc, depth))
			return false;
	return true;
}

static bool walk_chain(struct walk *s, struct chain *c, struct loc from, uint32_t depth)
{
	bool ok = true;

	if (s->seen[c->index] == ON_WAY) {
		diag_error(s->diag, from, "jump to \"%s\" makes a loop", c->name);
		return false;
	}
	if (depth > JUMP_DEPTH_MAX) {
		diag_error(s->diag, from, "jump to \"%s\" is deeper than %d chains", c->name,
			   JUMP_DEPTH_MAX);
		return false;
	}
	if (s->seen[c->index] > depth)
		return true;
	s->seen[c->index] = ON_WAY;
	vec_foreach(&c->rules, r)
		vec_foreach(&(*r)->exprs, e) {
			if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.dreg == REG_VERDICT)
				ok = ok && follow(s, &(*e)->imm.verdict, (*e)->loc, depth);
			else if ((*e)->kind == EX_LOOKUP && (*e)->lookup.set->is_vmap)
				ok = ok && walk_set(s, (*e)->lookup.set, depth);
		}
	s->seen[c->index] = (uint8_t)(depth + 1);
	return ok;
}

bool ruleset_check_jumps(const struct ruleset *rs)
{
	bool ok = true;

	vec_foreach(&rs->tables, t) {
		struct walk w = { .diag = rs->diag };

		for (uint32_t i = 0; i < (*t)->chains.n; i++)
			(*t)->chains.v[i]->index = i;
		w.seen = arena_array(rs->arena, uint8_t, (*t)->chains.n);
		vec_foreach(&(*t)->chains, c)
			if ((*c)->is_base)
				ok = ok && walk_chain(&w, *c, (*c)->loc, 0);
		vec_foreach(&(*t)->chains, c)
			ok = ok && (w.seen[(*c)->index] || walk_chain(&w, *c, (*c)->loc, 0));
	}
	return ok;
}
