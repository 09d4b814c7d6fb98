// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gvn: of equal pure operations, those that another one dominates go.
 *
 *	%5 = ldp.w %4 +2 size 2
 *	...
 *	%9 = ldp.w %4 +2 size 2
 *	%10 = eq %9, 0x5000	==>	%10 = eq %5, 0x5000
 *
 * Blocks are walked in the order of the dominator tree. The table keeps one operation for a key:
 * what does not dominate the block at hand belongs to a subtree that is done, and its place is
 * taken over.
 */
#include <stdlib.h>

#include "ir/pass.h"

struct gvn_table {
	struct ir_ins **slots;
	uint32_t cap;
};

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

static uint64_t hash_ins(const struct ir_ins *i)
{
	uint64_t h = mix(i->op | (uint64_t)i->type << 16 | (uint64_t)i->size << 24, i->aux);

	h = mix(h, (uint64_t)i->imm);
	for (uint32_t k = 0; k < i->n_args; k++)
		h = mix(h, i->args[k]->id);
	return h;
}

static bool equal(const struct ir_ins *a, const struct ir_ins *b)
{
	return a->op == b->op && a->type == b->type && a->size == b->size && a->aux == b->aux &&
	       a->imm == b->imm && a->n_args == b->n_args &&
	       !memcmp(a->args, b->args, a->n_args * sizeof(*a->args));
}

/* Commuting operands stand in the order of their numbers, constants last. */
static void order_operands(struct ir_ins *i)
{
	struct ir_ins *a = i->args[0], *b = i->args[1];

	if (a->op == IR_CONST ? b->op != IR_CONST || a->id > b->id
			      : b->op != IR_CONST && a->id > b->id) {
		i->args[0] = b;
		i->args[1] = a;
	}
}

static void visit(struct ir_fn *fn, struct gvn_table *t, struct ir_ins *i)
{
	uint32_t s;

	for (uint32_t k = 0; k < i->n_args; k++)
		i->args[k] = ir_val(i->args[k]);
	if (!(ir_op_info[i->op].flags & PURE) || i->op == IR_COPY)
		return;
	if (ir_op_info[i->op].flags & COMM)
		order_operands(i);
	for (s = (uint32_t)hash_ins(i) & (t->cap - 1); t->slots[s]; s = (s + 1) & (t->cap - 1)) {
		struct ir_ins *old = t->slots[s];

		if (!equal(old, i))
			continue;
		if (ir_dominates(old->blk, i->blk))
			ir_replace(fn, i, old);
		else
			t->slots[s] = i;
		return;
	}
	t->slots[s] = i;
}

void opt_gvn(struct ir_fn *fn)
{
	struct gvn_table t = { .cap = 64 };
	struct ir_block *b = fn->blocks.v[0];
	uint32_t n = 0;

	vec_foreach(&fn->blocks, bp)
		for (struct ir_ins *i = (*bp)->first; i; i = i->next)
			n++;
	while (t.cap < n * 2)
		t.cap *= 2;
	t.slots = calloc(t.cap, sizeof(*t.slots));
	BUG_ON(!t.slots);
	while (b) {
		for (struct ir_ins *i = b->first; i; i = i->next)
			visit(fn, &t, i);
		if (b->dom_child) {
			b = b->dom_child;
			continue;
		}
		while (b && !b->dom_next)
			b = b->idom;
		b = b ? b->dom_next : NULL;
	}
	free(t.slots);
}
