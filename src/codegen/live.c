// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * live: which virtual registers are live at the edges of blocks.
 *
 * Only registers that more than one block mentions have a bit in the sets. The blocks are in
 * topological order and the graph has no loops, so that one walk backwards is enough.
 */
#include "mir.h"

struct finder {
	struct mir_fn *fn;
	uint32_t *home; /* by register: id of the block that mentioned it first, plus 1 */
	uint32_t block;
};

static void mention(void *arg, uint32_t *reg)
{
	struct finder *f = arg;
	struct mir_vreg *v = &f->fn->vregs.v[*reg];

	if (!f->home[*reg])
		f->home[*reg] = f->block + 1;
	else if (f->home[*reg] != f->block + 1 && !v->global)
		v->global = ++f->fn->n_globals;
}

static void find_globals(struct mir_fn *fn)
{
	struct finder f = { fn, arena_array(fn->arena, uint32_t, fn->vregs.n), 0 };

	fn->n_globals = 0;
	for (uint32_t v = 0; v < fn->vregs.n; v++)
		fn->vregs.v[v].global = 0;
	vec_foreach(&fn->blocks, b) {
		f.block = (*b)->order;
		for (struct mir_ins *i = (*b)->first; i; i = i->next) {
			mir_each_use(i, mention, &f);
			if (i->d)
				mention(&f, &i->d);
		}
	}
}

struct set_ref {
	struct mir_fn *fn;
	uint64_t *set;
};

static void add_live(void *arg, uint32_t *reg)
{
	struct set_ref *s = arg;
	uint32_t g = s->fn->vregs.v[*reg].global;

	if (g)
		mir_set_add(s->set, g - 1);
}

static void block_live(struct mir_fn *fn, struct mir_block *b, uint32_t words)
{
	struct set_ref s = { fn, b->live_in };

	for (uint32_t k = 0; k < b->n_succ; k++)
		for (uint32_t w = 0; w < words; w++)
			b->live_out[w] |= b->succ[k]->live_in[w];
	memcpy(b->live_in, b->live_out, words * sizeof(uint64_t));
	for (struct mir_ins *i = b->last; i; i = i->prev) {
		uint32_t g = i->d ? fn->vregs.v[i->d].global : 0;

		if (g)
			b->live_in[(g - 1) / 64] &= ~(1ull << ((g - 1) % 64));
		mir_each_use(i, add_live, &s);
	}
}

void mir_live(struct mir_fn *fn)
{
	uint32_t words, n = 0;
	uint64_t *sets;

	find_globals(fn);
	words = DIV_ROUND_UP(fn->n_globals + 1, 64);
	sets = arena_array(fn->arena, uint64_t, (size_t)fn->blocks.n * words * 2);
	vec_foreach(&fn->blocks, b) {
		(*b)->live_in = sets;
		(*b)->live_out = sets + words;
		sets += 2 * words;
		(*b)->from = n;
		for (struct mir_ins *i = (*b)->first; i; i = i->next)
			n++;
		(*b)->to = n;
	}
	fn->n_ins = n;
	for (uint32_t k = fn->blocks.n; k-- > 0;)
		block_live(fn, fn->blocks.v[k], words);
}
