// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * states: which stateful expressions the elements of a set keep: declared with the set, with
 * elements, or by rules that add.
 */
#include "ruleset.h"

/* The same kind and parameters; what was counted so far does not matter. */
static bool state_eq(const struct expr *a, const struct expr *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == EX_LIMIT)
		return a->limit.rate == b->limit.rate && a->limit.unit == b->limit.unit &&
		       a->limit.burst == b->limit.burst && a->limit.type == b->limit.type &&
		       a->limit.inv == b->limit.inv;
	if (a->kind == EX_QUOTA)
		return a->quota.bytes == b->quota.bytes && a->quota.inv == b->quota.inv;
	return a->kind == EX_COUNTER || a->kind == EX_LAST;
}

static void note_states(struct set *s, struct expr **v, uint32_t n)
{
	if (!s->states_known) {
		s->states_known = true;
		s->states = v;
		s->n_states = n;
		return;
	}
	if (s->n_states != n) {
		s->states_differ = true;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		s->states_differ |= !state_eq(s->states[i], v[i]);
}

void set_note_states(struct set *s)
{
	s->states_known = s->states_differ = false;
	s->states = NULL;
	s->n_states = 0;
	if (s->n_exprs)
		note_states(s, s->exprs, s->n_exprs);
	vec_foreach(&s->elems, e)
		note_states(s, (*e)->exprs, (*e)->n_exprs);
}

bool set_takes_dynset(const struct set *s)
{
	return !s->is_vmap && !(s->flags & (SET_OBJECT | SET_INTERVAL));
}

void set_note_dynset(struct set *s, const struct expr *e)
{
	if (e->dynset.op == DYN_DELETE)
		return;
	if (e->dynset.n_exprs)
		note_states(s, e->dynset.exprs, e->dynset.n_exprs);
	else
		note_states(s, s->exprs, s->n_exprs);
}

void ruleset_note_states(const struct ruleset *rs)
{
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->sets, s)
			set_note_states(*s);
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->chains, c)
			vec_foreach(&(*c)->rules, r)
				vec_foreach(&(*r)->exprs, e)
					if ((*e)->kind == EX_DYNSET)
						set_note_dynset((*e)->dynset.set, *e);
}
