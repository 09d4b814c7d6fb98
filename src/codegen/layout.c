// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * layout: the order of blocks.
 *
 * The verifier follows the fall-through of a branch first and keeps its target pending, 8192
 * targets at most; so of two successors the one that is over sooner, a rule's body that ends in a
 * verdict, becomes the fall-through, and the way to the next rule the target: when the verifier
 * gets there, nothing is left pending.
 */
#include "mir.h"

struct dfs {
	struct mir_block *b;
	uint32_t next; /* successor to visit */
};

/*
 * b's k-th successor to visit: in the second walk the higher one first, so that the lower one
 * follows b directly.
 */
static struct mir_block *pick(struct mir_block *b, uint32_t k, bool by_height)
{
	bool swap = by_height && b->n_succ == 2 && b->succ[1]->height > b->succ[0]->height;

	return b->succ[swap ? 1 - k : k];
}

static uint32_t height_of(const struct mir_block *b)
{
	uint32_t h = 0;

	for (uint32_t k = 0; k < b->n_succ; k++)
		h = MAX(h, b->succ[k]->height);
	return h + 1;
}

/* Post-order walk without recursion; `out` gets the blocks. */
static uint32_t walk(struct mir_fn *fn, struct mir_block *entry, bool by_height,
		     struct mir_block **out)
{
	struct dfs *stack = arena_array(fn->arena, struct dfs, fn->n_block_ids + 1);
	uint32_t n = 0, depth = 0;

	entry->seen = !entry->seen;
	stack[depth++] = (struct dfs){ entry, 0 };
	while (depth) {
		struct dfs *d = &stack[depth - 1];

		if (d->next < d->b->n_succ) {
			struct mir_block *s = pick(d->b, d->next++, by_height);

			if (s->seen != entry->seen) {
				s->seen = entry->seen;
				stack[depth++] = (struct dfs){ s, 0 };
			}
			continue;
		}
		d->b->height = height_of(d->b);
		out[n++] = d->b;
		depth--;
	}
	return n;
}

/* A block that only jumps on: where it leads. */
static struct mir_block *thread(struct mir_block *b)
{
	while (b->first && b->first->op == MIR_JMP && b->succ[0] != b)
		b = b->succ[0];
	return b;
}

static void simplify(struct mir_fn *fn, struct mir_block *b)
{
	for (uint32_t k = 0; k < b->n_succ; k++)
		b->succ[k] = thread(b->succ[k]);
	if (b->n_succ == 2 && b->succ[0] == b->succ[1]) {
		b->last->op = MIR_JMP;
		b->last->a = b->last->b = MIR_NONE;
		b->n_succ = 1;
	}
	/* A jump to a mere return of a constant ==> that return. */
	if (b->n_succ == 1 && b->succ[0]->first->op == MIR_RET && !b->succ[0]->first->a) {
		b->last->op = MIR_RET;
		b->last->imm = b->succ[0]->first->imm;
		b->n_succ = 0;
	}
}

/*
 * jset to the block that follows anyway ==> and, jump to the other if zero: jset cannot be
 * inverted.
 */
static void fix_jset(struct mir_fn *fn, struct mir_block *b)
{
	struct mir_ins *j = b->last, *and;

	if (j->op != MIR_JCC || j->bop != BPF_JSET || b->succ[0]->height > b->succ[1]->height)
		return;
	and = mir_ins_new(fn, MIR_ALU, j->rule);
	and->bop = BPF_AND;
	and->w32 = j->w32;
	and->a = j->a;
	and->b = j->b;
	and->imm = j->imm;
	and->d = mir_vreg_new(fn);
	mir_insert_before(b, j, and);
	j->bop = BPF_JNE;
	j->a = and->d;
	j->b = MIR_NONE;
	j->imm = 0;
}

void mir_order(struct mir_fn *fn)
{
	struct mir_block *entry = fn->blocks.v[0];
	struct mir_block **post = arena_array(fn->arena, struct mir_block *, fn->n_block_ids + 1);
	uint32_t n = walk(fn, entry, false, post);

	for (uint32_t k = 0; k < n; k++)
		simplify(fn, post[k]);
	n = walk(fn, entry, false, post);
	n = walk(fn, entry, true, post);
	fn->blocks.n = 0;
	for (uint32_t k = n; k-- > 0;) {
		post[k]->order = fn->blocks.n;
		post[k]->n_preds = 0;
		*vec_push(fn->arena, &fn->blocks) = post[k];
	}
	vec_foreach(&fn->blocks, b)
		for (uint32_t k = 0; k < (*b)->n_succ; k++)
			(*b)->succ[k]->n_preds++;
	vec_foreach(&fn->blocks, b)
		fix_jset(fn, *b);
}
