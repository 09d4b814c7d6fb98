// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The verifier of what a module's functions refer to: sets with their elements, states, dynsets,
 * and who calls whom.
 */
#include <stdlib.h>

#include "ir.h"
#include "setindex.h"

static const char *PRINTF(2, 3) words(const struct ir_mod *m, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = arena_vprintf(m->arena, fmt, ap);
	va_end(ap);
	return s;
}

/* -- states ------------------------------------------------------------------------------------ */

static const char *const kind_name[] = {
	[ST_COUNTER] = "counter", [ST_LIMIT] = "limit",	  [ST_QUOTA] = "quota",
	[ST_LAST] = "last",	  [ST_NUMGEN] = "numgen",
};

/* What is wrong with the parameters; NULL: nothing. */
static const char *expr_fault(const struct expr *e)
{
	if (e->kind == EX_LIMIT && (!e->limit.rate || !e->limit.unit))
		return "a limit of 0";
	if (e->kind == EX_LIMIT && e->limit.unit > UINT64_MAX / 1000000000)
		return "a limit over too long a time";
	if (e->kind == EX_NUMGEN && !e->numgen.mod)
		return "numbers modulo 0";
	if (e->kind == EX_NUMGEN && e->numgen.type > 1)
		return "an unknown kind of numgen";
	return NULL;
}

static const char *state_fault(const struct ir_mod *m, uint32_t n)
{
	static const enum expr_kind want[] = {
		[ST_COUNTER] = EX_COUNTER, [ST_LIMIT] = EX_LIMIT,   [ST_QUOTA] = EX_QUOTA,
		[ST_LAST] = EX_LAST,	   [ST_NUMGEN] = EX_NUMGEN,
	};
	const struct ir_state *st = &m->states.v[n];
	const char *why;

	if (!st->expr)
		return st->kind == ST_COUNTER
			       ? NULL
			       : words(m, "state %u: %s without expr", n, kind_name[st->kind]);
	if (st->expr->kind != want[st->kind])
		return words(m, "state %u: a %s with an expr of another kind", n,
			     kind_name[st->kind]);
	why = expr_fault(st->expr);
	return why ? words(m, "state %u: %s", n, why) : NULL;
}

/* What a map keeps with each element. */
static const char *element_state_fault(const struct expr *e)
{
	if (e->kind != EX_COUNTER && e->kind != EX_LIMIT && e->kind != EX_QUOTA &&
	    e->kind != EX_LAST)
		return "elements keep no such state";
	return expr_fault(e);
}

/* -- sets -------------------------------------------------------------------------------------- */

static const char *key_fault(const struct set *s)
{
	uint32_t sum = 0;

	if (!s->key_len || s->key_len > DATA_MAX)
		return "a key has 1 to 64 bytes";
	if (s->data_len > DATA_MAX)
		return "data has at most 64 bytes";
	if (s->n_fields > ARRAY_SIZE(s->field_len))
		return "too many fields";
	for (uint32_t f = 0; s->n_fields > 1 && f < s->n_fields; f++) {
		if (!s->field_len[f])
			return "a field without bytes";
		sum += ALIGN_UP(s->field_len[f], 4u);
	}
	if (s->n_fields > 1 && ALIGN_UP(s->key_len, 4u) != sum)
		return "the fields do not make the key";
	return NULL;
}

static bool names_something(const struct ir_set *is, const struct set_elem *e)
{
	vec_foreach(&is->verdicts, v)
		if (v->code == e->verdict.code && v->chain == e->verdict.chain)
			return true;
	vec_foreach(&is->objs, o)
		if (*o == e->obj)
			return true;
	return !is->verdicts.n && !is->objs.n;
}

static const char *elem_fault(const struct ir_set *is, const struct set_elem *e)
{
	const struct set *s = is->set;

	if (!e->catchall && e->key.len != s->key_len)
		return "an element whose key has another length";
	if (!e->catchall && !set_elem_in_order(s, e))
		return "a range that ends before it begins";
	if (e->data.len > 4 * ir_set_words(s))
		return "an element with more data than the set has";
	if (!names_something(is, e))
		return "an element whose verdict or object is not among those of the set";
	return NULL;
}

/* One element for each key: no table of hashes has two. */
static bool keys_differ(const struct set *s)
{
	struct arena *a = arena_new();
	struct strmap seen;
	bool good = true;

	strmap_init(&seen, a);
	vec_foreach(&s->elems, ep) {
		const struct set_elem *e = *ep;
		void **slot;

		if (e->catchall)
			continue;
		if (e->key_end.len && memcmp(e->key.b, e->key_end.b, e->key.len))
			break; /* ranges, which may overlap, make another table */
		slot = strmap_put(&seen, (const char *)e->key.b, e->key.len);
		good = good && !*slot;
		*slot = *ep;
	}
	arena_free(a);
	return good;
}

static bool has_ranges(const struct set *s)
{
	vec_foreach(&s->elems, ep)
		if (!(*ep)->catchall && (*ep)->key_end.len &&
		    memcmp((*ep)->key.b, (*ep)->key_end.b, (*ep)->key.len))
			return true;
	return false;
}

static const char *map_fault(const struct set *s)
{
	const char *why = NULL;

	if (s->states_differ)
		return "elements that keep different states";
	for (uint32_t k = 0; k < s->n_states && !why; k++)
		why = element_state_fault(s->states[k]);
	vec_foreach(&s->elems, e)
		if (!why && (*e)->n_exprs && (*e)->n_exprs != s->n_states)
			why = "elements that keep different states";
	if (!why && setindex_is_for(s))
		why = setindex_check(s);
	return why;
}

static const char *set_fault(const struct ir_mod *m, uint32_t n)
{
	const struct ir_set *is = &m->sets.v[n];
	const char *why = key_fault(is->set);

	vec_foreach(&is->set->elems, e)
		if (!why)
			why = elem_fault(is, *e);
	if (!why && is->kind == SK_MUTABLE)
		why = map_fault(is->set);
	if (!why && is->kind == SK_CONST && !has_ranges(is->set) && !keys_differ(is->set))
		why = "two elements with the same key";
	return why ? words(m, "set %u: %s", n, why) : NULL;
}

static const char *dynset_fault(const struct ir_mod *m, uint32_t n)
{
	const struct ir_dynset *d = &m->dynsets.v[n];
	const struct ir_set *is = d->set < m->sets.n ? &m->sets.v[d->set] : NULL;

	if (!is || is->kind != SK_MUTABLE)
		return words(m, "dynset %u: of no mutable set", n);
	if (!set_takes_dynset(is->set))
		return words(m, "dynset %u: of a set that packets cannot fill", n);
	return NULL;
}

/* -- calls ------------------------------------------------------------------------------------- */

enum { CALLS_UNSEEN, CALLS_OPEN, CALLS_DONE };

static bool calls_itself(const struct ir_mod *m, uint8_t *state, uint32_t n)
{
	if (state[n] != CALLS_UNSEEN)
		return state[n] == CALLS_OPEN;
	state[n] = CALLS_OPEN;
	vec_foreach(&m->fns.v[n]->blocks, b)
		for (const struct ir_ins *i = (*b)->first; i; i = i->next)
			if (i->op == IR_CALL && calls_itself(m, state, i->aux))
				return true;
	state[n] = CALLS_DONE;
	return false;
}

static const char *calls_fault(const struct ir_mod *m)
{
	uint8_t *state = calloc(m->fns.n + 1, 1);
	const char *why = NULL;

	BUG_ON(!state);
	for (uint32_t n = 0; n < m->fns.n && !why; n++)
		if (calls_itself(m, state, n))
			why = words(m, "function %s calls itself", m->fns.v[n]->name);
	free(state);
	return why;
}

const char *ir_verify_mod(const struct ir_mod *m)
{
	const char *why = NULL;

	for (uint32_t n = 0; n < m->states.n && !why; n++)
		why = state_fault(m, n);
	for (uint32_t n = 0; n < m->sets.n && !why; n++)
		why = set_fault(m, n);
	for (uint32_t n = 0; n < m->dynsets.n && !why; n++)
		why = dynset_fault(m, n);
	return why ? why : calls_fault(m);
}
