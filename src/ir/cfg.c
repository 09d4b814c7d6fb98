// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control flow graph: reverse post-order and dominators. Both walk with stacks of their own, as
 * a chain of 100,000 rules is a graph 100,000 blocks deep; and both are linear, or nearly, when
 * 100,000 blocks lead to one.
 */
#include <stdlib.h>

#include "ir.h"

#define UNSEEN UINT32_MAX

/* Drops the predecessors that cannot be reached, with their operands of phis. */
static void drop_dead_preds(struct ir_block *b)
{
	uint32_t n = 0;

	for (uint32_t p = 0; p < b->preds.n; p++) {
		if (b->preds.v[p]->rpo == UNSEEN)
			continue;
		for (struct ir_ins *i = b->first; i && (i->op == IR_PHI || i->op == IR_COPY);
		     i = i->next)
			if (i->op == IR_PHI)
				i->args[n] = i->args[p];
		b->preds.v[n++] = b->preds.v[p];
	}
	if (n == b->preds.n)
		return;
	for (struct ir_ins *i = b->first; i && (i->op == IR_PHI || i->op == IR_COPY); i = i->next)
		if (i->op == IR_PHI)
			i->n_args = n;
	b->preds.n = n;
}

static void order_blocks(struct ir_fn *fn)
{
	uint32_t n = fn->blocks.n, depth = 0, out = n;
	struct ir_block **stack = malloc(n * sizeof(*stack)), **order = malloc(n * sizeof(*order));
	uint32_t *left = malloc(n * sizeof(*left)); /* successors not yet walked, by depth */

	fn->cfg_valid = true;
	fn->dom_valid = false;
	BUG_ON(!n || !stack || !order || !left);
	vec_foreach(&fn->blocks, b)
		(*b)->rpo = UNSEEN;
	stack[0] = fn->blocks.v[0];
	stack[0]->rpo = 0;
	left[0] = stack[0]->succs.n;
	depth = 1;
	/* The last successor is walked first, so that the first stands right behind its block. */
	while (depth) {
		struct ir_block *b = stack[depth - 1], *s;

		if (!left[depth - 1]) {
			order[--out] = b;
			depth--;
			continue;
		}
		s = b->succs.v[--left[depth - 1]];
		if (s->rpo != UNSEEN)
			continue;
		s->rpo = 0;
		stack[depth] = s;
		left[depth++] = s->succs.n;
	}
	for (uint32_t k = out; k < n; k++)
		drop_dead_preds(order[k]);
	for (uint32_t k = out; k < n; k++) {
		order[k]->rpo = k - out;
		fn->blocks.v[k - out] = order[k];
	}
	fn->blocks.n = n - out;
	free(stack);
	free(order);
	free(left);
}

void ir_cfg(struct ir_fn *fn)
{
	if (!fn->cfg_valid)
		order_blocks(fn);
}

/*
 * Dominators by semidominators (Lengauer and Tarjan; the last step as Georgiadis has it). All
 * arrays are indexed by the number of a block in a depth-first walk.
 */
struct domwalk {
	struct ir_block **blk;
	uint32_t n;
	uint32_t *num; /* walk number by rpo */
	uint32_t *parent, *semi, *label, *anc, *idom, *stack;
};

static void dom_number(struct domwalk *w, struct ir_fn *fn)
{
	uint32_t n = fn->blocks.n, depth = 1, *next = calloc(n, sizeof(*next));

	BUG_ON(!next);
	for (uint32_t k = 0; k < n; k++)
		w->num[k] = UNSEEN;
	w->num[0] = 0;
	w->blk[0] = fn->blocks.v[0];
	w->n = 1;
	w->stack[0] = 0;
	while (depth) {
		uint32_t v = w->stack[depth - 1];
		struct ir_block *b = w->blk[v], *s;

		if (next[v] == b->succs.n) {
			depth--;
			continue;
		}
		s = b->succs.v[next[v]++];
		if (w->num[s->rpo] != UNSEEN)
			continue;
		w->num[s->rpo] = w->n;
		w->parent[w->n] = v;
		w->blk[w->n] = s;
		w->stack[depth++] = w->n++;
	}
	free(next);
}

/*
 * The label with the least semidominator on the way from v up the linked forest, which it shortens.
 */
static uint32_t dom_eval(struct domwalk *w, uint32_t v)
{
	uint32_t depth = 0, u = v;

	if (w->anc[v] == UNSEEN)
		return v;
	while (w->anc[w->anc[u]] != UNSEEN) {
		w->stack[depth++] = u;
		u = w->anc[u];
	}
	while (depth) {
		u = w->stack[--depth];
		if (w->semi[w->label[w->anc[u]]] < w->semi[w->label[u]])
			w->label[u] = w->label[w->anc[u]];
		w->anc[u] = w->anc[w->anc[u]];
	}
	return w->label[v];
}

static void dom_compute(struct domwalk *w)
{
	for (uint32_t v = 0; v < w->n; v++) {
		w->semi[v] = w->label[v] = v;
		w->anc[v] = UNSEEN;
		w->idom[v] = v ? w->parent[v] : 0;
	}
	for (uint32_t v = w->n - 1; v > 0; v--) {
		struct ir_block *b = w->blk[v];

		vec_foreach(&b->preds, p) {
			uint32_t u = dom_eval(w, w->num[(*p)->rpo]);

			w->semi[v] = MIN(w->semi[v], w->semi[u]);
		}
		w->anc[v] = w->parent[v];
	}
	for (uint32_t v = 1; v < w->n; v++)
		while (w->idom[v] > w->semi[v])
			w->idom[v] = w->idom[w->idom[v]];
}

static void dom_tree(struct ir_fn *fn)
{
	struct ir_block *b = fn->blocks.v[0];
	uint32_t clock = 0;

	b->dom_next = NULL;
	b->dom_depth = 0;
	for (uint32_t k = fn->blocks.n; k-- > 1;) { /* backwards: children end up in order of rpo */
		struct ir_block *c = fn->blocks.v[k];

		c->dom_next = c->idom->dom_child;
		c->idom->dom_child = c;
	}
	b->dom_in = clock++;
	for (;;) { /* down to the child, else to the sibling, else up */
		if (b->dom_child) {
			b->dom_child->dom_depth = b->dom_depth + 1;
			b = b->dom_child;
		} else {
			b->dom_out = clock++;
			while (b && !b->dom_next) {
				b = b->idom;
				if (b)
					b->dom_out = clock++;
			}
			if (!b)
				return;
			b->dom_next->dom_depth = b->dom_depth;
			b = b->dom_next;
		}
		b->dom_in = clock++;
	}
}

static void find_dominators(struct ir_fn *fn)
{
	uint32_t n = fn->blocks.n, *space = malloc((size_t)n * 7 * sizeof(*space));
	struct domwalk w = { .blk = malloc(n * sizeof(*w.blk)) };

	BUG_ON(!space || !w.blk);
	w.num = space;
	w.parent = space + n;
	w.semi = space + 2 * (size_t)n;
	w.label = space + 3 * (size_t)n;
	w.anc = space + 4 * (size_t)n;
	w.idom = space + 5 * (size_t)n;
	w.stack = space + 6 * (size_t)n;
	w.parent[0] = 0;
	dom_number(&w, fn);
	BUG_ON(w.n != n);
	dom_compute(&w);
	for (uint32_t v = 0; v < n; v++) {
		w.blk[v]->idom = v ? w.blk[w.idom[v]] : NULL;
		w.blk[v]->dom_child = NULL;
	}
	dom_tree(fn);
	free(w.blk);
	free(space);
}

void ir_dominators(struct ir_fn *fn)
{
	BUG_ON(!fn->cfg_valid);
	if (!fn->dom_valid)
		find_dominators(fn);
	fn->dom_valid = true;
}

bool ir_dominates(const struct ir_block *a, const struct ir_block *b)
{
	return a->dom_in <= b->dom_in && b->dom_out <= a->dom_out;
}
