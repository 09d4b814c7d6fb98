// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * onebr: the tests of one rule become one branch, in large functions.
 *
 *	@0: %6 = eq %5, 1			@0: %10 = xor %5, 1
 *	    br %6, @1, @9			    %11 = xor %7, 2
 *	@1: %8 = eq %7, 2		==>	    %12 = or %10, %11
 *	    br %8, @2, @9			    %13 = eq %12, 0
 *						    br %13, @2, @9
 *
 * The kernel's verifier follows one way of each branch and keeps the other for later; a rule that
 * can leave to the next one in two places leaves one kept state behind, and at 8192 of them the
 * verifier gives up. One branch a rule leaves none. For the packet it costs: what the second test
 * reads is read although the first might have failed.
 *
 * Cost rule: functions with fewer than opt_onebr_min tests are left alone, as a branch that is
 * predicted is cheaper than the loads behind it. In larger ones, a test joins if what it alone has
 * to compute are at most CHEAP operations, none of them a look-up, a pointer into the packet or a
 * call.
 *
 * Tests that other rules have too (the packet is long enough, no later fragment) are joined first:
 * their sum is then one number that all these rules share.
 *
 * A test becomes a difference: a number that is 0 iff the test is passed. All arithmetic, as the
 * target has no instruction that puts a comparison's result into a register.
 */
#include <stdlib.h>

#include "ir/pass.h"

#define CHEAP 8

uint32_t opt_onebr_min = 256;

struct onebr {
	struct ir_fn *fn;
	uint32_t *n_uses; /* by value */
	uint32_t n;
	struct sum *sums; /* a hash table */
	uint32_t n_sums, cap_sums;
};

/*
 * What has been made of tests that rules share: the difference of a test, joined with another sum.
 */
struct sum {
	const struct ir_ins *before; /* NULL: none */
	const struct ir_ins *cond;   /* NULL: a free place */
	bool stay;
	struct ir_ins *made;
};

/* Operations that v needs and nobody else; CHEAP + 1: too many, or too dear. */
static uint32_t cost(const struct onebr *o, const struct ir_ins *v)
{
	uint32_t sum = 1;

	if (v->op == IR_CONST || (v->id < o->n && o->n_uses[v->id] > 1 && v->type != IR_B))
		return 0;
	if (!(ir_op_info[v->op].flags & PURE) || v->op == IR_PHI)
		return 0; /* it stands where it stands */
	if (v->op == IR_PKT || v->op == IR_CLOOK || v->op == IR_RTP)
		return CHEAP + 1;
	for (uint32_t k = 0; k < v->n_args && sum <= CHEAP; k++)
		sum += cost(o, ir_val(v->args[k]));
	return sum;
}

static bool has_difference(const struct ir_ins *c, bool stay, int depth)
{
	enum ir_op op = c->op;

	if (!depth)
		return false;
	if (op == IR_NOT)
		return has_difference(ir_val(c->args[0]), !stay, depth - 1);
	if (op == (stay ? IR_AND : IR_OR))
		return has_difference(ir_val(c->args[0]), stay, depth - 1) &&
		       has_difference(ir_val(c->args[1]), stay, depth - 1);
	if (!(ir_op_info[op].flags & CMP))
		return false;
	return ir_val(c->args[0])->type == IR_W || (op == IR_EQ && stay) || (op == IR_NE && !stay)
		       ? ir_val(c->args[0])->type != IR_B
		       : false;
}

static struct ir_ins *widen(struct test_chain *ch, struct ir_ins *v)
{
	if (v->type == IR_L)
		return v;
	if (v->op == IR_CONST)
		return ir_fn_const(ch->blk[0]->fn, IR_L, (uint64_t)v->imm);
	return ir_chain_op(ch, 0, IR_ZEXT, IR_L, v, NULL);
}

/* 1 iff x > y, of 32-bit numbers: the sign of y - x. */
static struct ir_ins *exceeds(struct test_chain *ch, struct ir_ins *x, struct ir_ins *y)
{
	struct ir_fn *fn = ch->blk[0]->fn;
	struct ir_ins *d = ir_chain_op(ch, 0, IR_SUB, IR_L, widen(ch, y), widen(ch, x));

	return ir_chain_op(ch, 0, IR_LSHR, IR_L, d, ir_fn_const(fn, IR_L, 63));
}

/* 1 iff x >= y: the sign of y - x - 1. */
static struct ir_ins *reaches(struct test_chain *ch, struct ir_ins *x, struct ir_ins *y)
{
	struct ir_fn *fn = ch->blk[0]->fn;
	struct ir_ins *d = ir_chain_op(ch, 0, IR_SUB, IR_L, widen(ch, y), widen(ch, x));

	d = ir_chain_op(ch, 0, IR_SUB, IR_L, d, ir_fn_const(fn, IR_L, 1));
	return ir_chain_op(ch, 0, IR_LSHR, IR_L, d, ir_fn_const(fn, IR_L, 63));
}

static struct ir_ins *join(struct test_chain *ch, struct ir_ins *a, struct ir_ins *b)
{
	if (a->type == b->type)
		return ir_chain_op(ch, 0, IR_OR, (enum ir_type)a->type, a, b);
	return ir_chain_op(ch, 0, IR_OR, IR_L, widen(ch, a), widen(ch, b));
}

/* A number that is 0 iff c is `stay`. */
static struct ir_ins *difference(struct test_chain *ch, struct ir_ins *c, bool stay)
{
	enum ir_op op = c->op;
	struct ir_ins *x = ir_val(c->args[0]), *y = c->n_args > 1 ? ir_val(c->args[1]) : NULL, *d;

	if (op == IR_NOT)
		return difference(ch, x, !stay);
	if (op == IR_AND || op == IR_OR)
		return join(ch, difference(ch, x, stay), difference(ch, y, stay));
	switch (stay ? op : ir_inverse_cmp(op)) {
	case IR_EQ:
		if (ir_is_const(y, 0))
			return x;
		return ir_chain_op(ch, 0, IR_XOR, (enum ir_type)x->type, x, y);
	case IR_NE: /* 1 iff x ^ y < 1 */
		d = ir_is_const(y, 0) ? x : ir_chain_op(ch, 0, IR_XOR, IR_W, x, y);
		return exceeds(ch, ir_fn_const(ch->blk[0]->fn, IR_W, 1), d);
	case IR_ULE:
		return exceeds(ch, x, y);
	case IR_ULT:
		return reaches(ch, x, y);
	case IR_UGE:
		return exceeds(ch, y, x);
	case IR_UGT:
		return reaches(ch, y, x);
	default:
		BUG("no comparison");
	}
}

static bool at_hand(const struct ir_ins *v, const struct ir_block *b)
{
	return v->op == IR_CONST || ir_dominates(v->blk, b);
}

static bool joins(const struct onebr *o, const struct test_chain *c, uint32_t k)
{
	struct ir_ins *cond = c->cond[k];

	/* Of one rule: others that leave to the same block are another rule's. */
	return c->blk[k]->last->rule == c->blk[0]->last->rule &&
	       has_difference(cond, c->stay[k], 4) && at_hand(cond, c->blk[0]) &&
	       cost(o, cond) <= CHEAP;
}

static struct sum *find_sum(const struct onebr *o, const struct ir_ins *before,
			    const struct ir_ins *cond, bool stay)
{
	uint64_t h = (cond->id + (before ? (uint64_t)before->id << 24 : 0)) * 2 + stay;
	uint32_t at = (uint32_t)(h * 0x9e3779b97f4a7c15ull >> 40) & (o->cap_sums - 1);

	for (;; at = (at + 1) & (o->cap_sums - 1)) {
		struct sum *s = &o->sums[at];

		if (!s->cond || (s->cond == cond && s->before == before && s->stay == stay))
			return s;
	}
}

static struct ir_ins *add_test(struct test_chain *c, struct ir_ins *sum, struct ir_ins *cond,
			       bool stay)
{
	struct ir_ins *d = difference(c, cond, stay);

	return sum ? join(c, sum, d) : d;
}

/*
 * The same for a test that other rules have, made where it can be known, so that it holds for them
 * too.
 */
static struct ir_ins *add_shared(struct onebr *o, struct test_chain *c, struct ir_ins *sum,
				 struct ir_ins *cond, bool stay)
{
	struct sum *s = find_sum(o, sum, cond, stay);
	struct ir_block *here = c->blk[0];

	if (s->cond && ir_dominates(s->made->blk, here))
		return s->made;
	if (!s->cond && o->n_sums >= o->cap_sums / 2)
		return add_test(c, sum, cond, stay);
	o->n_sums += !s->cond;
	c->blk[0] = sum && ir_dominates(cond->blk, sum->blk) ? sum->blk : cond->blk;
	*s = (struct sum){ sum, cond, stay, add_test(c, sum, cond, stay) };
	c->blk[0] = here;
	return s->made;
}

static bool is_shared(const struct onebr *o, const struct ir_ins *cond)
{
	return cond->id < o->n && o->n_uses[cond->id] > 1;
}

/* The tests 0 to n - 1, those that are shared first. */
static struct ir_ins *sum_up(struct onebr *o, struct test_chain *c, uint32_t n)
{
	struct ir_ins *sum = NULL;

	for (uint32_t k = 0; k < n; k++)
		if (is_shared(o, c->cond[k]))
			sum = add_shared(o, c, sum, c->cond[k], c->stay[k]);
	for (uint32_t k = 0; k < n; k++)
		if (!is_shared(o, c->cond[k]))
			sum = add_test(c, sum, c->cond[k], c->stay[k]);
	return sum;
}

static void one_branch(struct onebr *o, struct test_chain *c)
{
	struct ir_ins *sum;
	uint32_t n = 1;

	if (!has_difference(c->cond[0], c->stay[0], 4))
		return;
	while (n < c->n && joins(o, c, n))
		/* later ones may rely on it only for speed, but the order of tests is the user's */
		n++;
	if (n == 1)
		return;
	sum = sum_up(o, c, n);
	while (n-- > 1)
		ir_chain_drop(c, n);
	ir_chain_set(c, 0,
		     ir_chain_op(c, 0, IR_EQ, IR_B, sum,
				 ir_fn_const(c->blk[0]->fn, (enum ir_type)sum->type, 0)),
		     true);
}

void opt_onebr(struct ir_fn *fn)
{
	struct onebr o = { .fn = fn, .n = fn->n_ins };
	struct test_chain c;
	uint32_t tests = 0;

	vec_foreach(&fn->blocks, b)
		tests += (*b)->last->op == IR_BR;
	if (tests < opt_onebr_min)
		return;
	o.n_uses = calloc(o.n, sizeof(*o.n_uses));
	o.cap_sums = 4096;
	o.sums = calloc(o.cap_sums, sizeof(*o.sums));
	BUG_ON(!o.n_uses || !o.sums);
	vec_foreach(&fn->blocks, b)
		for (struct ir_ins *i = (*b)->first; i; i = i->next)
			for (uint32_t k = 0; k < i->n_args; k++)
				o.n_uses[i->args[k]->id]++;
	vec_foreach(&fn->blocks, b)
		if (ir_test_chain(*b, &c))
			one_branch(&o, &c);
	free(o.n_uses);
	free(o.sums);
}
