// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shared: state that must not be kept in two places. What the residual chains may run, the state
 * that it touches, and the rules of the programs that touch it as well: rule 3 of split.c.
 */
#include <linux/netfilter/nf_tables.h>

#include "split.h"

/* Notes the sets that rules change. */
void sp_note_written(struct split *s)
{
	strmap_init(&s->written, s->arena);
	vec_foreach(&s->rs->tables, t)
		vec_foreach(&(*t)->chains, c)
			vec_foreach(&(*c)->rules, r)
				vec_foreach(&(*r)->exprs, e)
					if ((*e)->kind == EX_DYNSET)
						*strmap_put(&s->written,
							    (const char *)&(*e)->dynset.set,
							    sizeof(void *)) = (*e)->dynset.set;
}

static bool set_is_written(const struct split *s, const struct set *set)
{
	return strmap_get(&s->written, (const char *)&set, sizeof(set));
}

/*
 * The object; where maps may name it, all of its kind in the table, for which the first one stands.
 */
static const void *objects(const struct expr *e)
{
	uint32_t type = e->objref.set ? e->objref.set->obj_type : e->objref.type;
	const struct table *t = e->objref.set ? e->objref.set->table : e->objref.obj->table;
	bool mapped = false;

	if (type == NFT_OBJECT_COUNTER)
		return NULL;
	vec_foreach(&t->sets, s)
		mapped |= (*s)->flags & SET_OBJECT && (*s)->obj_type == type;
	if (!mapped)
		return e->objref.obj;
	vec_foreach(&t->objs, o)
		if ((*o)->type == type)
			return *o;
	return e->objref.set;
}

/*
 * Whether what the elements keep decides: counters and times are kept on both sides, and told
 * together.
 */
static bool set_decides(const struct set *set)
{
	for (uint32_t i = 0; i < set->n_states; i++)
		if (set->states[i]->kind != EX_COUNTER && set->states[i]->kind != EX_LAST)
			return true;
	return set->states_differ;
}

/*
 * The state that an expression shares with its other uses and that cannot be kept in two places;
 * NULL: none.
 */
static const void *resource(const struct split *s, const struct expr *e, const char **what)
{
	switch (e->kind) {
	case EX_LIMIT:
	case EX_QUOTA:
	case EX_CONNLIMIT:
		*what = expr_kind_name(e->kind);
		return e;
	case EX_NUMGEN:
		*what = "numgen";
		return e->numgen.type == NFT_NG_RANDOM ? NULL : e;
	case EX_DYNSET:
		*what = e->dynset.set->name;
		return e->dynset.set;
	case EX_LOOKUP:
		*what = e->lookup.set->name;
		if (e->lookup.set->flags & SET_ANONYMOUS)
			return NULL;
		return e->lookup.set->flags & SET_EVAL || set_decides(e->lookup.set) ||
				       set_is_written(s, e->lookup.set)
			       ? e->lookup.set
			       : NULL;
	case EX_OBJREF:
		*what = e->objref.set ? e->objref.set->name : e->objref.obj->name;
		return objects(e);
	default:
		return NULL;
	}
}

static void residue_rule(struct split *s, struct sp_rule *x)
{
	if (x->in_rest)
		return;
	x->in_rest = true;
	vec_foreach(&x->r->exprs, it) {
		const char *what;
		const void *p = resource(s, *it, &what);
		void **slot;

		if (!p)
			continue;
		slot = strmap_put(&s->in_nft, (const char *)&p, sizeof(p));
		if (!*slot) {
			*slot = (void *)p;
			s->changed = true;
		}
	}
}

static void residue_chain(struct split *s, struct sp_base *b, const struct chain *c, uint32_t from,
			  const struct fb_facts *f, uint8_t *seen)
{
	uint32_t i;

	if (!from) {
		if (seen[c->index])
			return;
		seen[c->index] = 1;
	}
	for (i = from; i < c->rules.n; i++) {
		const struct rule *r = c->rules.v[i];
		struct sp_rule *x = sp_rule(b, r);
		const struct set *vmap;
		struct verdict v = sp_verdict(r, &vmap);

		if (f && fb_disjoint(f, sp_rule_facts(s->arena, x)))
			continue;
		residue_rule(s, x);
		if (v.chain)
			residue_chain(s, b, v.chain, 0, f, seen);
		if (vmap)
			vec_foreach(&vmap->elems, e)
				if ((*e)->verdict.chain)
					residue_chain(s, b, (*e)->verdict.chain, 0, f, seen);
	}
}

/* Marks what the residual chain may run, for rule 3. */
void sp_residue(struct split *s, struct sp_base *b)
{
	uint32_t n = b->c->table->chains.n, k;
	uint8_t *seen;

	if (b->state == SP_WHOLE_BPF)
		return;
	seen = arena_alloc(s->arena, n);
	if (b->state == SP_WHOLE_NFT) {
		residue_chain(s, b, b->c, 0, NULL, seen);
		return;
	}
	for (k = 0; k < b->punts.n; k++) {
		const struct sp_step *st = &b->steps.v[b->punts.v[k]];
		struct fb_facts f = sp_facts(s->arena, b, st);
		const struct sp_ctx *x = st->ctx;
		uint32_t i = st->index;

		memset(seen, 0, n);
		for (; x; i = x->ret_at, x = x->ret)
			residue_chain(s, b, x->chain, i, b->writes ? NULL : &f, seen);
	}
}

/* Rule 3 of the head comment, and what follows from the punts there are. */
bool sp_punt_shared(struct split *s, struct sp_base *b)
{
	bool changed = false;
	uint32_t c, i;

	for (c = 0; c < b->c->table->chains.n; c++)
		for (i = 0; b->rules[c] && i < b->c->table->chains.v[c]->rules.n; i++) {
			struct sp_rule *x = &b->rules[c][i];

			vec_foreach(&x->r->exprs, it) {
				const char *what;
				const void *p = resource(s, *it, &what);

				if (x->punt || !p ||
				    !strmap_get(&s->in_nft, (const char *)&p, sizeof(p)))
					continue;
				sp_punt(s->arena, x, FBR_SHARED, sp_reason(s, FBR_SHARED, what));
				changed = true;
			}
		}
	return changed;
}
