// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * canon: what a ruleset's text and its dump may have in different order, or under different
 * generated names, made the same.
 */
#include <stdlib.h>

#include "ruleset.h"

/*
 * An element with the first bytes of its key, so that sorting a million of them rarely looks at
 * one.
 */
struct elem_rank {
	uint64_t first;
	struct set_elem *e;
	bool catchall, longer; /* longer: the key has more bytes than those */
};

/* The key with its host integers, field by field, turned to network order. */
static struct data sort_key(const struct set *s, const struct set_elem *e)
{
	struct data k = e->key;
	uint32_t off = 0, n = s->n_fields ? s->n_fields : 1;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = n == 1 ? s->key_len : s->field_len[i];
		uint32_t type = s->key_type >> 6 * MIN(n - 1 - i, 5u) & 63;
		const char *name = datatype_name(type);

		if (datatype_order(type) == ORDER_HOST && strcmp(name, "ifname") &&
		    strcmp(name, "string"))
			for (uint32_t b = 0; b < len; b++)
				k.b[off + b] = e->key.b[off + len - 1 - b];
		off += ALIGN_UP(len, 4);
	}
	return k;
}

static int by_rank(const void *a, const void *b, void *set)
{
	const struct elem_rank *x = a, *y = b;
	struct data p, q;

	if (x->catchall != y->catchall)
		return x->catchall ? 1 : -1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (!x->longer)
		return 0;
	p = sort_key(set, x->e);
	q = sort_key(set, y->e);
	return memcmp(p.b, q.b, p.len);
}

void set_sort_elems(struct arena *a, struct set *s)
{
	struct elem_rank *v = arena_array(a, struct elem_rank, s->elems.n);
	bool sorted = true;

	for (uint32_t i = 0; i < s->elems.n; i++) {
		struct data k = sort_key(s, s->elems.v[i]);

		v[i].e = s->elems.v[i];
		v[i].catchall = v[i].e->catchall;
		v[i].longer = k.len > sizeof(v->first);
		for (uint32_t b = 0; b < sizeof(v->first); b++)
			v[i].first = v[i].first << 8 | k.b[b];
		sorted = sorted && (!i || by_rank(&v[i - 1], &v[i], s) <= 0);
	}
	if (sorted)
		return;
	qsort_r(v, s->elems.n, sizeof(*v), by_rank, s);
	for (uint32_t i = 0; i < s->elems.n; i++)
		s->elems.v[i] = v[i].e;
}

/* -- names ------------------------------------------------------------------------------------- */

struct numbering {
	struct arena *arena;
	VEC(struct set *) used; /* anonymous, in order of use */
	struct strmap seen;	/* sets and chains, by address */
	uint32_t n_sets, n_maps, n_objmaps, n_chains;
};

static bool first_sight(struct numbering *nb, const void *p)
{
	void **slot = strmap_put(&nb->seen, (const char *)&p, sizeof(p));

	if (*slot)
		return false;
	*slot = nb;
	return true;
}

static void use_set(struct numbering *nb, struct set *s)
{
	if (!s || !(s->flags & SET_ANONYMOUS) || !first_sight(nb, s))
		return;
	if (s->flags & SET_OBJECT)
		s->name = arena_printf(nb->arena, "__objmap%u", nb->n_objmaps++);
	else if (s->flags & SET_MAP)
		s->name = arena_printf(nb->arena, "__map%u", nb->n_maps++);
	else
		s->name = arena_printf(nb->arena, "__set%u", nb->n_sets++);
	*vec_push(nb->arena, &nb->used) = s;
}

/* The kernel bounds a set as soon as a rule adds to it. */
static void use_dynset(struct numbering *nb, struct set *s)
{
	if (!s->size)
		s->size = DYNSET_SIZE_DEFAULT;
	use_set(nb, s);
}

static void use_chain(struct numbering *nb, struct chain *c)
{
	if (!first_sight(nb, c))
		return;
	if (c->is_bound)
		c->name = arena_printf(nb->arena, "__chain%u", nb->n_chains++);
	for (uint32_t i = 0; i < c->rules.n; i++) {
		const struct rule *r = c->rules.v[i];

		c->rules.v[i]->index = i;
		vec_foreach(&r->exprs, ep) {
			const struct expr *e = *ep;

			if (e->kind == EX_LOOKUP)
				use_set(nb, e->lookup.set);
			else if (e->kind == EX_DYNSET)
				use_dynset(nb, e->dynset.set);
			else if (e->kind == EX_OBJREF)
				use_set(nb, e->objref.set);
			else if (e->kind == EX_IMMEDIATE && e->imm.dreg == REG_VERDICT &&
				 e->imm.verdict.chain && e->imm.verdict.chain->is_bound)
				use_chain(nb, e->imm.verdict.chain);
		}
	}
}

static void number_table(struct arena *a, struct table *t)
{
	struct numbering nb = { .arena = a };
	uint32_t n = 0;

	strmap_init(&nb.seen, a);
	vec_foreach(&t->chains, c)
		if (!(*c)->is_bound)
			use_chain(&nb, *c);
	vec_foreach(&t->chains, c)
		use_chain(&nb, *c);
	for (uint32_t i = 0; i < t->chains.n; i++)
		t->chains.v[i]->index = i;
	for (uint32_t i = 0; i < t->sets.n; i++)
		if (!(t->sets.v[i]->flags & SET_ANONYMOUS))
			t->sets.v[n++] = t->sets.v[i];
	t->sets.n = n;
	vec_foreach(&nb.used, s)
		*vec_push(a, &t->sets) = *s;
	for (uint32_t i = 0; i < t->sets.n; i++)
		t->sets.v[i]->index = i;
}

void ruleset_number(struct ruleset *rs)
{
	vec_foreach(&rs->tables, t)
		number_table(rs->arena, *t);
}
