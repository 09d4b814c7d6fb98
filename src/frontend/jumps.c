// SPDX-License-Identifier: GPL-2.0-or-later
/* Jumps: no loops, and no deeper than nf_tables goes. */
#include "sema.h"

#define JUMP_DEPTH_MAX 16

static bool walk_chain(struct sema *s, struct chain *c, struct loc from, uint32_t depth);

static bool follow(struct sema *s, const struct verdict *v, struct loc loc, uint32_t depth)
{
	return !v->chain || walk_chain(s, v->chain, loc, depth + 1);
}

static bool walk_set(struct sema *s, const struct set *set, uint32_t depth)
{
	vec_foreach(&set->elems, e)
		if (!follow(s, &(*e)->verdict, (*e)->loc, depth))
			return false;
	return true;
}

/* chain->handle serves as the depth at which a chain was last found in order, + 1; its top bit says it is on the way. */
#define ON_WAY (1ull << 63)

static bool walk_chain(struct sema *s, struct chain *c, struct loc from, uint32_t depth)
{
	bool ok = true;

	if (c->handle & ON_WAY) {
		diag_error(s->diag, from, "jump to \"%s\" makes a loop", c->name);
		return false;
	}
	if (depth > JUMP_DEPTH_MAX) {
		diag_error(s->diag, from, "jump to \"%s\" is deeper than %d chains", c->name,
			   JUMP_DEPTH_MAX);
		return false;
	}
	if (c->handle > depth)
		return true;
	c->handle = ON_WAY;
	vec_foreach(&c->rules, r)
		vec_foreach(&(*r)->exprs, e) {
			if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.dreg == REG_VERDICT)
				ok = ok && follow(s, &(*e)->imm.verdict, (*e)->loc, depth);
			else if ((*e)->kind == EX_LOOKUP && (*e)->lookup.set->is_vmap)
				ok = ok && walk_set(s, (*e)->lookup.set, depth);
		}
	c->handle = depth + 1;
	return ok;
}

bool check_jumps(struct sema *s)
{
	bool ok = true;

	vec_foreach(&s->rs->tables, t) {
		vec_foreach(&(*t)->chains, c)
			if ((*c)->is_base)
				ok = ok && walk_chain(s, *c, (*c)->loc, 0);
		vec_foreach(&(*t)->chains, c)
			ok = ok && ((*c)->handle || walk_chain(s, *c, (*c)->loc, 0));
		vec_foreach(&(*t)->chains, c)
			(*c)->handle = 0;
		for (uint32_t i = 0; i < (*t)->chains.n; i++)
			(*t)->chains.v[i]->index = i;
	}
	return ok;
}
