// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Chains of tests: what bounds, loadmrg and onebr work on. A rule with three matches is a chain of
 * three tests.
 */
#include "ir/pass.h"

/* Do phis of `out` get the same from both? */
static bool same_operands(const struct ir_block *out, const struct ir_block *a,
			  const struct ir_block *b)
{
	uint32_t x, y;

	if (!out->first || out->first->op != IR_PHI)
		return true;
	x = ir_pred_index(out, a);
	y = ir_pred_index(out, b);
	for (const struct ir_ins *i = out->first; i && i->op == IR_PHI; i = i->next)
		if (ir_val(i->args[x]) != ir_val(i->args[y]))
			return false;
	return true;
}

static bool chain_add(struct test_chain *c, struct ir_block *b)
{
	struct ir_ins *cond;
	bool stay;

	if (b->last->op != IR_BR || b->succs.v[0] == b->succs.v[1])
		return false;
	if (b->succs.v[0] != c->out && b->succs.v[1] != c->out)
		return false;
	stay = b->succs.v[1] == c->out;
	cond = ir_val(b->last->args[0]);
	while (cond->op == IR_NOT) {
		cond = ir_val(cond->args[0]);
		stay = !stay;
	}
	c->blk[c->n] = b;
	c->cond[c->n] = cond;
	c->stay[c->n++] = stay;
	return true;
}

static struct ir_block *chain_next(const struct test_chain *c)
{
	const struct ir_block *b = c->blk[c->n - 1];

	return b->succs.v[b->succs.v[0] == c->out];
}

static bool chain_from(struct ir_block *b, struct ir_block *out, struct test_chain *c)
{
	struct ir_block *t;

	c->n = 0;
	c->out = out;
	if (!chain_add(c, b))
		return false;
	while (c->n < CHAIN_MAX) {
		t = chain_next(c);
		if (!ir_is_bare(t) || t->preds.n != 1 || t == b || !chain_add(c, t))
			break;
		if (!same_operands(out, b, t)) {
			c->n--;
			break;
		}
	}
	return c->n > 1;
}

bool ir_test_chain(struct ir_block *b, struct test_chain *c)
{
	if (b->last->op != IR_BR)
		return false;
	return chain_from(b, b->succs.v[1], c) || chain_from(b, b->succs.v[0], c);
}

void ir_chain_drop(struct test_chain *c, uint32_t k)
{
	struct ir_block *b = c->blk[k];

	ir_make_jmp(b, b->succs.v[0] == c->out);
	for (c->n--; k < c->n; k++) {
		c->blk[k] = c->blk[k + 1];
		c->cond[k] = c->cond[k + 1];
		c->stay[k] = c->stay[k + 1];
	}
}

void ir_chain_set(struct test_chain *c, uint32_t k, struct ir_ins *cond, bool stay)
{
	struct ir_block *b = c->blk[k], *first = b->succs.v[0];
	bool stays_first = first != c->out;

	c->cond[k] = cond;
	c->stay[k] = stay;
	b->last->args[0] = cond;
	if (stay == stays_first)
		return;
	b->succs.v[0] = b->succs.v[1];
	b->succs.v[1] = first;
	ir_cfg_changed(b->fn);
	b->last->imm = b->last->imm ? 3 - b->last->imm : 0;
}

struct ir_ins *ir_chain_op(struct test_chain *c, uint32_t k, enum ir_op op, enum ir_type t,
			   struct ir_ins *a, struct ir_ins *b)
{
	struct ir_ins *at = c->blk[k]->last;
	struct ir_ins *i = ir_ins_new(at->blk->fn, op, t, b ? 2 : 1);

	i->rule = at->rule;
	i->args[0] = a;
	if (b)
		i->args[1] = b;
	ir_insert_before(at, i);
	return i;
}
