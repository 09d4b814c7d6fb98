// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * simplcfg: edges go where they end up in, and blocks in a row become one.
 *
 *	@0: br 1.b, @1, @2
 *	@1: jmp @3			@0: ret 1
 *	@2: ret 0		==>
 *	@3: ret 1
 *
 * Blocks are taken backwards, so that an empty block already leads past the empty ones behind it.
 */
#include "ir/pass.h"

/*
 * May b's s-th edge pass over its target? Phis of the next block must not have to tell two edges
 * from b apart.
 */
static bool can_skip(const struct ir_block *b, const struct ir_block *t)
{
	const struct ir_block *to;

	if (!ir_is_bare(t) || t->last->op != IR_JMP || t->succs.v[0] == t)
		return false;
	to = t->succs.v[0];
	if (!to->first || to->first->op != IR_PHI)
		return true;
	vec_foreach(&b->succs, s)
		if (*s == to)
			return false;
	return true;
}

static void skip_empty(struct ir_block *b)
{
	for (uint32_t s = 0; s < b->succs.n; s++)
		for (uint32_t hops = 0; hops < 64 && can_skip(b, b->succs.v[s]); hops++)
			ir_edge_skip(b, s, 0);
}

static void fold_term(struct ir_block *b)
{
	struct ir_ins *t = b->last, *v = t->n_args ? ir_val(t->args[0]) : NULL;

	if (t->op == IR_BR && v->op == IR_CONST) {
		ir_make_jmp(b, v->imm ? 0 : 1);
	} else if (t->op == IR_BR && b->succs.v[0] == b->succs.v[1]) {
		ir_make_jmp(b, 0);
	} else if (t->op == IR_SWITCH && v->op == IR_CONST) {
		uint32_t s = 0;

		while (s < b->cases.n && b->cases.v[s] != v->imm)
			s++;
		ir_make_jmp(b, s);
	} else if (t->op == IR_SWITCH && !b->cases.n) {
		ir_make_jmp(b, 0);
	}
}

/* br c, @1, @2 with both blocks `ret 1` alone ==> ret 1 */
static void same_ends(struct ir_block *b)
{
	const struct ir_block *x, *y;

	if (b->last->op != IR_BR)
		return;
	x = b->succs.v[0];
	y = b->succs.v[1];
	if (x == y || !ir_is_bare(x) || !ir_is_bare(y) || x->last->op != IR_RET ||
	    y->last->op != IR_RET || ir_val(x->last->args[0]) != ir_val(y->last->args[0]))
		return;
	ir_make_jmp(b, 1); /* of two equal verdicts, the later one's block */
}

/* The only way into t comes from the only way out of b: t's instructions join b's. */
static bool merge_next(struct ir_fn *fn, struct ir_block *b)
{
	struct ir_block *t = b->last->op == IR_JMP ? b->succs.v[0] : NULL;

	if (!t || t == b || t->preds.n != 1 || t == fn->blocks.v[0])
		return false;
	ir_cfg_changed(fn);
	ir_remove(b->last);
	for (struct ir_ins *i = t->first, *next; i; i = next) {
		next = i->next;
		if (i->op == IR_PHI)
			ir_replace(fn, i, i->args[0]);
		ir_remove(i);
		ir_append(b, i);
	}
	b->succs.n = 0;
	vec_foreach(&t->succs, s) {
		*vec_push(fn->arena, &b->succs) = *s;
		(*s)->preds.v[ir_pred_index(*s, t)] = b;
	}
	b->cases.v = t->cases.v;
	b->cases.n = t->cases.n;
	b->cases.cap = t->cases.cap;
	b->cold &= t->cold;
	/* t stays in the list as a block that nothing leads to and that leads nowhere. */
	t->succs.n = t->preds.n = t->cases.n = 0;
	return true;
}

void opt_simplcfg(struct ir_fn *fn)
{
	for (uint32_t k = fn->blocks.n; k-- > 0;) {
		struct ir_block *b = fn->blocks.v[k];

		if (!b->last)
			continue;
		fold_term(b);
		skip_empty(b);
		fold_term(b);
		same_ends(b);
	}
	ir_cfg(fn);
	for (uint32_t k = fn->blocks.n; k-- > 0;) {
		struct ir_block *b = fn->blocks.v[k];

		if (b->last && merge_next(fn, b))
			same_ends(b);
	}
	ir_cfg(fn);
}
