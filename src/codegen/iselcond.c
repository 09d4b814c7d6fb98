// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iselcond: conditions.
 *
 * One comparison becomes one conditional jump. A condition joined of several (and, or, not) becomes
 * arithmetic and one jump, since joining them is how a pass asks for code that leaves no branch
 * pending. Inside such a tree a condition takes one of two forms, a number below 2^63: form Z is
 * zero if and only if the condition is true, form N is nonzero if and only if it is.
 */
#include "isel.h"

static uint32_t form_n(struct isel *s, struct ir_ins *c);

/* 1 if the number (below 2^63) is zero, else 0. */
static uint32_t is_zero(struct isel *s, uint32_t t)
{
	return isel_alui(s, BPF_RSH, false, isel_alui(s, BPF_ADD, false, t, -1), 63);
}

static uint32_t negate(struct isel *s, uint32_t t)
{
	struct mir_ins *i = isel_ins(s, MIR_NEG);

	i->a = t;
	return i->d;
}

/* 0 if the operands are equal, else a number below 2^63. */
static uint32_t differ(struct isel *s, struct ir_ins *c)
{
	struct ir_ins *a = ir_val(c->args[0]), *b = ir_val(c->args[1]);
	bool wide = a->type == IR_L;
	struct mir_ins *low;
	uint32_t t;

	if (a->op == IR_CONST) {
		struct ir_ins *x = a;

		a = b;
		b = x;
	}
	if (ir_is_const(b, 0))
		t = isel_val(s, a);
	else if (b->op == IR_CONST)
		t = isel_alui(s, BPF_XOR, !wide, wide ? isel_val(s, a) : isel_low(s, a), b->imm);
	else
		t = isel_alu(s, BPF_XOR, !wide, isel_val(s, a), isel_val(s, b));
	if (!wide)
		return t;
	low = isel_ins(s, MIR_MOV32);
	low->a = t;
	return isel_alu(s, BPF_OR, false, low->d, isel_alui(s, BPF_RSH, false, t, 32));
}

/* a - b - bias of zero-extended words: its top bit is set if the difference is negative. 1 or 0. */
static uint32_t below(struct isel *s, struct ir_ins *a, struct ir_ins *b, int bias)
{
	uint32_t t;

	a = ir_val(a);
	b = ir_val(b);
	if (b->op == IR_CONST) {
		t = isel_alui(s, BPF_ADD, false, isel_val(s, a), -(b->imm + bias));
	} else {
		t = isel_alu(s, BPF_SUB, false, isel_val(s, a), isel_val(s, b));
		if (bias)
			t = isel_alui(s, BPF_ADD, false, t, -bias);
	}
	return isel_alui(s, BPF_RSH, false, t, 63);
}

/* A comparison as 0 or 1 by a branch; inv: of its opposite. */
static uint32_t by_branch(struct isel *s, struct ir_ins *c, bool inv)
{
	struct mir_block *f = mir_block_new(s->fn), *join = mir_block_new(s->fn);
	struct mir_ins *m = isel_ins(s, MIR_MOVI);
	uint32_t d = m->d;

	m->imm = !inv;
	isel_branch(s, c, join, f);
	s->cur = f;
	m = isel_ins(s, MIR_MOVI);
	m->imm = inv;
	m->d = d;
	isel_jmp(s, join);
	s->cur = join;
	return d;
}

/* The verifier forbids arithmetic on pointers. */
static bool on_pointers(const struct ir_ins *c)
{
	const struct ir_ins *a = ir_val(c->args[0]), *b = ir_val(c->args[1]);

	return a->type == IR_L && (a->op == IR_LDF || b->op == IR_LDF || a->op == IR_PHI ||
				   a->op == IR_LOOK || b->op == IR_LOOK);
}

/* An ordered comparison as 0 or 1; inv: of its opposite. */
static uint32_t ordered(struct isel *s, struct ir_ins *c, bool inv)
{
	struct ir_ins *a = c->args[0], *b = c->args[1];

	if (ir_val(a)->type == IR_L)
		return by_branch(s, c, inv);
	switch (c->op) {
	case IR_ULT: /* a < b: a - b < 0; not: b - a - 1 < 0 */
		return inv ? below(s, b, a, 1) : below(s, a, b, 0);
	case IR_UGE:
		return inv ? below(s, a, b, 0) : below(s, b, a, 1);
	case IR_UGT:
		return inv ? below(s, a, b, 1) : below(s, b, a, 0);
	case IR_ULE:
		return inv ? below(s, b, a, 0) : below(s, a, b, 1);
	default:
		BUG("comparison %d", c->op);
	}
}

static bool is_made(const struct isel *s, const struct ir_ins *c)
{
	return s->vreg[c->id] != 0;
}

static uint32_t form_z(struct isel *s, struct ir_ins *c)
{
	c = ir_val(c);
	if (c->op == IR_CONST)
		return isel_imm(s, !c->imm);
	if (is_made(s, c))
		return isel_alui(s, BPF_XOR, false, s->vreg[c->id], 1);
	switch (c->op) {
	case IR_EQ:
		return on_pointers(c) ? by_branch(s, c, true) : differ(s, c);
	case IR_NE:
		return on_pointers(c) ? by_branch(s, c, true) : is_zero(s, differ(s, c));
	case IR_ULT:
	case IR_UGE:
	case IR_UGT:
	case IR_ULE:
		return ordered(s, c, true);
	case IR_NOT:
		return form_n(s, c->args[0]);
	case IR_AND: {
		uint32_t a = form_z(s, c->args[0]);

		return isel_alu(s, BPF_OR, false, a, form_z(s, c->args[1]));
	}
	case IR_OR:
		return is_zero(s, form_n(s, c));
	default:
		return isel_alui(s, BPF_XOR, false, isel_bool(s, c), 1);
	}
}

static uint32_t form_n(struct isel *s, struct ir_ins *c)
{
	c = ir_val(c);
	if (c->op == IR_CONST)
		return isel_imm(s, c->imm);
	if (is_made(s, c))
		return s->vreg[c->id];
	switch (c->op) {
	case IR_NE:
		return on_pointers(c) ? by_branch(s, c, false) : differ(s, c);
	case IR_EQ:
		return on_pointers(c) ? by_branch(s, c, false) : is_zero(s, differ(s, c));
	case IR_ULT:
	case IR_UGE:
	case IR_UGT:
	case IR_ULE:
		return ordered(s, c, false);
	case IR_NOT:
		return form_z(s, c->args[0]);
	case IR_OR: {
		uint32_t a = form_n(s, c->args[0]);

		return isel_alu(s, BPF_OR, false, a, form_n(s, c->args[1]));
	}
	case IR_AND:
		return is_zero(s, form_z(s, c));
	default:
		return isel_bool(s, c);
	}
}

/* x ? y : z of conditions ==> (x & y) | (!x & z) == z ^ (x & (y ^ z)) */
static uint32_t bool_sel(struct isel *s, struct ir_ins *c)
{
	uint32_t x = isel_bool(s, c->args[0]), y = isel_bool(s, c->args[1]),
		 z = isel_bool(s, c->args[2]);

	return isel_alu(s, BPF_XOR, false, z,
			isel_alu(s, BPF_AND, false, x, isel_alu(s, BPF_XOR, false, y, z)));
}

uint32_t isel_bool(struct isel *s, struct ir_ins *c)
{
	uint32_t a;

	c = ir_val(c);
	if (c->op == IR_CONST)
		return isel_imm(s, c->imm);
	if (is_made(s, c))
		return s->vreg[c->id];
	switch (c->op) {
	case IR_NE:
		if (ir_val(c->args[0])->type == IR_B || on_pointers(c))
			return form_n(s, c);
		return isel_alui(s, BPF_RSH, false, negate(s, differ(s, c)), 63);
	case IR_OR:
		return isel_alui(s, BPF_RSH, false, negate(s, form_n(s, c)), 63);
	case IR_NOT:
		return isel_alui(s, BPF_XOR, false, isel_bool(s, c->args[0]), 1);
	case IR_XOR:
		a = isel_bool(s, c->args[0]);
		return isel_alu(s, BPF_XOR, false, a, isel_bool(s, c->args[1]));
	case IR_SEL:
		return bool_sel(s, c);
	case IR_EQ:
	case IR_AND:
	case IR_ULT:
	case IR_UGE:
	case IR_UGT:
	case IR_ULE:
		return form_n(s, c); /* 0 or 1 already */
	default:
		BUG("%s: condition %%%u (%s) is used before it is made", s->ir->name, c->id,
		    ir_op_info[c->op].name);
	}
}

/* -- branches ---------------------------------------------------------------------------------- */

static uint8_t jump_of(enum ir_op op, bool swapped)
{
	switch (op) {
	case IR_EQ:
		return BPF_JEQ;
	case IR_NE:
		return BPF_JNE;
	case IR_ULT:
		return swapped ? BPF_JGT : BPF_JLT;
	case IR_UGE:
		return swapped ? BPF_JLE : BPF_JGE;
	case IR_UGT:
		return swapped ? BPF_JLT : BPF_JGT;
	case IR_ULE:
		return swapped ? BPF_JGE : BPF_JLE;
	default:
		BUG("comparison %d", op);
	}
}

/* Masks that jset can test: 32 bits, or 64 whose immediate is sign-extended. */
static bool jset_mask(const struct ir_ins *a)
{
	const struct ir_ins *k = a->args[1];

	return k->op != IR_CONST || a->type == IR_W || k->imm == (int32_t)k->imm;
}

/*
 * What the verifier learns of a register from a test against a constant makes the states of the two
 * ways differ; if a later test then is decided by it, ways that meet again are followed apart to
 * the end: for a thousand rules, a thousand ways. (Tests that are decided for us too are gone: pass
 * facts.) So in functions of many tests, or of some values that several rules test, which is as bad
 * as that to the power of their number, a register that lives on is tested by way of a copy of
 * which the verifier does not know that it is one.
 */
static void branch_opaque(struct isel *s, uint8_t bop, bool w32, uint32_t a, int64_t k,
			  struct mir_block *t, struct mir_block *f)
{
	bool equal = bop == BPF_JEQ || bop == BPF_JNE;

	if (equal)
		isel_jcc(s, bop, w32, isel_alui(s, BPF_XOR, w32, a, k), 0, 0, t, f);
	else
		isel_jcc(s, bop, w32, isel_alui(s, BPF_AND, w32, a, -1), 0, k, t, f);
}

static void branch_cmp(struct isel *s, struct ir_ins *c, struct mir_block *t, struct mir_block *f)
{
	struct ir_ins *a = ir_val(c->args[0]), *b = ir_val(c->args[1]);
	bool swapped = a->op == IR_CONST, w32;
	uint8_t bop = jump_of(c->op, swapped);
	uint32_t ra;

	if (swapped) {
		struct ir_ins *x = a;

		a = b;
		b = x;
	}
	w32 = a->type == IR_W;
	if (ir_is_const(b, 0) && (bop == BPF_JEQ || bop == BPF_JNE) && a->op == IR_AND &&
	    a->type != IR_B && jset_mask(a)) {
		struct ir_ins *m = ir_val(a->args[1]);

		ra = w32 ? isel_low(s, a->args[0]) : isel_val(s, a->args[0]);
		isel_jcc(s, BPF_JSET, w32, ra, m->op == IR_CONST ? 0 : isel_val(s, m), m->imm,
			 bop == BPF_JNE ? t : f, bop == BPF_JNE ? f : t);
		return;
	}
	ra = w32 ? isel_low(s, a) : isel_val(s, a);
	if (b->op == IR_CONST && s->opaque && s->uses[a->id] > 1 && !on_pointers(c))
		branch_opaque(s, bop, w32, ra, b->imm, t, f);
	else if (b->op == IR_CONST)
		isel_jcc(s, bop, w32, ra, 0, b->imm, t, f);
	else
		isel_jcc(s, bop, w32, ra, w32 ? isel_low(s, b) : isel_val(s, b), 0, t, f);
}

/*
 * Comparisons that a joint condition consists of; LEAVES_MAX + 1: too many, or others among them.
 */
#define LEAVES_MAX 4
static uint32_t leaves(const struct isel *s, struct ir_ins *c)
{
	c = ir_val(c);
	if (is_made(s, c))
		return 1;
	if (ir_op_info[c->op].flags & CMP)
		return 1;
	if (c->op == IR_NOT)
		return leaves(s, c->args[0]);
	if (c->op == IR_AND || c->op == IR_OR)
		return MIN(leaves(s, c->args[0]) + leaves(s, c->args[1]), LEAVES_MAX + 1u);
	return LEAVES_MAX + 1;
}

/*
 * x & y: on to y if x, else f. A branch each: shorter than arithmetic, but each leaves a way
 * pending for the verifier.
 */
static void branch_twice(struct isel *s, struct ir_ins *c, struct mir_block *t, struct mir_block *f)
{
	struct mir_block *second = mir_block_new(s->fn);

	second->cold = s->cur->cold;
	if (c->op == IR_AND)
		isel_branch(s, c->args[0], second, f);
	else
		isel_branch(s, c->args[0], t, second);
	s->cur = second;
	isel_branch(s, c->args[1], t, f);
}

void isel_branch(struct isel *s, struct ir_ins *c, struct mir_block *t, struct mir_block *f)
{
	c = ir_val(c);
	if (c->op == IR_CONST) {
		isel_jmp(s, c->imm ? t : f);
		return;
	}
	if (is_made(s, c)) {
		isel_jcc(s, BPF_JNE, false, s->vreg[c->id], 0, 0, t, f);
		return;
	}
	if (ir_op_info[c->op].flags & CMP) {
		branch_cmp(s, c, t, f);
		return;
	}
	if (c->op == IR_NOT)
		isel_branch(s, c->args[0], f, t);
	else if (!s->large && (c->op == IR_AND || c->op == IR_OR) && leaves(s, c) <= LEAVES_MAX)
		branch_twice(s, c, t, f);
	else if (c->op == IR_AND)
		isel_jcc(s, BPF_JEQ, false, form_z(s, c), 0, 0, t, f);
	else
		isel_jcc(s, BPF_JNE, false, form_n(s, c), 0, 0, t, f);
}
