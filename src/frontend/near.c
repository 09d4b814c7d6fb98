// SPDX-License-Identifier: GPL-2.0-or-later
/* near: of the names that there are, the one that may have been meant. */
#include "sema.h"

struct near {
	const char *name, *best;
	uint32_t dist; /* of best; names further away than this are not meant */
};

/*
 * Edits that turn one word into the other; more than max: max + 1. Words longer than the buffer are
 * never near.
 */
static uint32_t distance(const char *a, const char *b, uint32_t max)
{
	uint32_t an = (uint32_t)strlen(a), bn = (uint32_t)strlen(b), row[64];

	if (bn >= ARRAY_SIZE(row) || an > bn + max || bn > an + max)
		return max + 1;
	for (uint32_t j = 0; j <= bn; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= an; i++) {
		uint32_t diagonal = row[0];

		row[0] = i;
		for (uint32_t j = 1; j <= bn; j++) {
			uint32_t d = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(d, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[bn];
}

static struct near near_to(const char *name)
{
	size_t n = name ? strlen(name) : 0;

	return (struct near){ name, NULL, n > 3 ? 3 : n > 1 ? 2 : 0 };
}

static void offer(struct near *n, const char *name)
{
	uint32_t d;

	if (!n->dist)
		return;
	d = distance(n->name, name, n->dist);
	if (d < n->dist) {
		n->dist = d;
		n->best = name;
	}
}

static const char *say(const struct sema *s, const struct near *n)
{
	return n->best ? arena_printf(s->arena, ", did you mean \"%s\"", n->best) : "";
}

const char *near_chain(const struct sema *s, const char *name)
{
	struct near n = near_to(name);

	vec_foreach(&s->tab->table->chains, c)
		if (!(*c)->is_bound)
			offer(&n, (*c)->name);
	return say(s, &n);
}

const char *near_set(const struct sema *s, const char *name)
{
	struct near n = near_to(name);

	vec_foreach(&s->tab->table->sets, set)
		if (!((*set)->flags & SET_ANONYMOUS))
			offer(&n, (*set)->name);
	return say(s, &n);
}

const char *near_obj(const struct sema *s, uint32_t type, const char *name)
{
	struct near n = near_to(name);

	vec_foreach(&s->tab->table->objs, o)
		if ((*o)->type == type)
			offer(&n, (*o)->name);
	return say(s, &n);
}

const char *near_flowtable(const struct sema *s, const char *name)
{
	struct near n = near_to(name);

	vec_foreach(&s->tab->table->flowtables, f)
		offer(&n, (*f)->name);
	return say(s, &n);
}

const char *near_table(const struct sema *s, enum family f, const char *name)
{
	struct near n = near_to(name);

	for (const struct tabinfo *t = s->tabs; t; t = t->next)
		if (t->table->family == f)
			offer(&n, t->table->name);
	if (!n.best)
		for (const struct tabinfo *t = s->tabs; t; t = t->next)
			if (name && !strcmp(t->table->name, name))
				return arena_printf(s->arena, ", did you mean table %s %s",
						    family_name(t->table->family), name);
	return say(s, &n);
}
