// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loadmrg: tests of neighbouring packet bytes that leave to the same block become one test of a
 * wider load.
 *
 *	@0: %5 = ldp.w %4 +12 size 4		@0: %9 = ldp.l %4 +12 size 8
 *	    %6 = eq %5, 0x0100007f		    %10 = eq %9, 0x0200007f0100007f.l
 *	    br %6, @1, @9		==>	    br %10, @1, @9
 *	@1: %7 = ldp.w %4 +16 size 4		@1: jmp @2
 *	    %8 = eq %7, 0x0200007f
 *	    br %8, @2, @9
 *
 * Bytes under masks merge the same way, with the masks side by side. Loads count bytes in memory
 * order, lowest first. The wide load stays inside the bytes that its pkt promises, so it reads
 * nothing that a narrow one could not have read; bytes between are masked off.
 */
#include "ir/pass.h"

/* Bytes off .. off + size of the packet behind pkt, under mask, are value. */
struct byte_test {
	struct ir_ins *pkt;
	int64_t off;
	uint32_t size;
	uint64_t mask, value;
};

static uint64_t size_mask(uint32_t size)
{
	return size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
}

static bool byte_test(const struct ir_ins *cond, bool stay, struct byte_test *t)
{
	struct ir_ins *x;
	bool equal;

	if ((cond->op != IR_EQ && cond->op != IR_NE) || ir_val(cond->args[1])->op != IR_CONST)
		return false;
	equal = (cond->op == IR_EQ) == stay;
	x = ir_val(cond->args[0]);
	t->value = (uint64_t)ir_val(cond->args[1])->imm;
	t->mask = UINT64_MAX;
	if (x->op == IR_AND && ir_val(x->args[1])->op == IR_CONST) {
		t->mask = (uint64_t)ir_val(x->args[1])->imm;
		x = ir_val(x->args[0]);
	}
	if (x->op != IR_LDP)
		return false;
	t->mask &= size_mask(x->size);
	/* One bit that is not 0 is 1. */
	if (!equal && !t->value && t->mask && !(t->mask & (t->mask - 1)))
		t->value = t->mask;
	else if (!equal)
		return false;
	t->pkt = ir_val(x->args[0]);
	t->off = x->imm;
	t->size = x->size;
	return !(t->value & ~t->mask) && t->pkt->op == IR_PKT;
}

/* One test for both; false: they are too far apart. */
static bool combine(const struct byte_test *a, const struct byte_test *b, struct byte_test *out)
{
	int64_t from = MIN(a->off, b->off);
	int64_t end = MAX(a->off + a->size, b->off + b->size);
	uint32_t size = 1;

	if (a->pkt != b->pkt)
		return false;
	while (size < end - from)
		size *= 2;
	if (size > 8)
		return false;
	if (from + size > a->pkt->imm)
		from = a->pkt->imm - size;
	if (from < 0)
		return false;
	out->pkt = a->pkt;
	out->off = from;
	out->size = size;
	out->mask = a->mask << 8 * (a->off - from) | b->mask << 8 * (b->off - from);
	out->value = a->value << 8 * (a->off - from) | b->value << 8 * (b->off - from);
	/* Bytes that both test must be tested alike. */
	return (out->value >> 8 * (a->off - from) & a->mask) == a->value &&
	       (out->value >> 8 * (b->off - from) & b->mask) == b->value;
}

static struct ir_ins *emit_test(struct test_chain *c, uint32_t k, const struct byte_test *t)
{
	struct ir_fn *fn = c->blk[k]->fn;
	enum ir_type type = t->size == 8 ? IR_L : IR_W;
	struct ir_ins *v = ir_chain_op(c, k, IR_LDP, type, t->pkt, NULL);

	v->imm = t->off;
	v->size = (uint8_t)t->size;
	if (t->mask != size_mask(t->size))
		v = ir_chain_op(c, k, IR_AND, type, v, ir_fn_const(fn, type, t->mask));
	return ir_chain_op(c, k, IR_EQ, IR_B, v, ir_fn_const(fn, type, t->value));
}

static bool merge_one(struct test_chain *c)
{
	struct byte_test a, b, both;

	for (uint32_t i = 0; i < c->n; i++) {
		if (!byte_test(c->cond[i], c->stay[i], &a) || !ir_dominates(a.pkt->blk, c->blk[i]))
			continue;
		for (uint32_t k = i + 1; k < c->n; k++) {
			if (!byte_test(c->cond[k], c->stay[k], &b) || !combine(&a, &b, &both))
				continue;
			ir_chain_set(c, i, emit_test(c, i, &both), true);
			ir_chain_drop(c, k);
			return true;
		}
	}
	return false;
}

void opt_loadmrg(struct ir_fn *fn)
{
	struct test_chain c;

	vec_foreach(&fn->blocks, b)
		if (ir_test_chain(*b, &c))
			while (merge_one(&c))
				;
}
