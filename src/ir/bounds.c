// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bounds: of length tests in a row that leave to the same block, the strongest remains, in the
 * place of the first.
 *
 *	@0: %1 = add %off, 4			@0: %3 = add %off, 14
 *	    %2 = ule %1, %len		==>	    %4 = ule %3, %len
 *	    br %2, @1, @9			    br %4, @1, @9
 *	@1: %3 = add %off, 14			@1: jmp @2
 *	    %4 = ule %3, %len
 *	    br %4, @2, @9
 *
 * Both leave to @9, so it is the same for the packet which test sends it there. (A test that a
 * stronger one above implies, whatever it leaves to, is gone already: facts.)
 *
 * And a test that the packet is longer than a constant goes before tests of bytes of the network
 * header: in front of the header's address it costs nothing (codegen leaves it to packets whose
 * linear part is too short).
 */
#include "ir/pass.h"

static void bound_chain(struct test_chain *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct length_test a, b;

		if (!ir_length_test(c->cond[i], &a) || a.negated == c->stay[i])
			continue;
		for (uint32_t k = i + 1; k < c->n;) {
			struct ir_ins *cond = c->cond[k];

			if (!ir_length_test(cond, &b) || b.negated == c->stay[k] ||
			    a.base != b.base || a.len != b.len ||
			    !ir_dominates(cond->blk, c->blk[i])) {
				k++;
				continue;
			}
			if (b.k > a.k) {
				ir_chain_set(c, i, cond, c->stay[k]);
				a = b;
			}
			ir_chain_drop(c, k);
		}
	}
}

static bool reads_network(const struct ir_ins *v, int depth)
{
	if (v->op == IR_LDP)
		return ir_is_const(ir_val(ir_val(v->args[0])->args[0]), 0);
	if (v->op == IR_PHI || !depth)
		return false;
	for (uint32_t k = 0; k < v->n_args; k++)
		if (reads_network(ir_val(v->args[k]), depth - 1))
			return true;
	return false;
}

static void length_first(struct test_chain *c)
{
	struct length_test t;

	for (uint32_t k = 1; k < c->n; k++) {
		struct ir_ins *len = c->cond[k], *first;
		bool stay = c->stay[k];
		uint32_t j = 0;

		if (!ir_length_test(len, &t) || t.base || t.negated == stay ||
		    !ir_dominates(len->blk, c->blk[0]))
			continue;
		while (j < k && !reads_network(c->cond[j], 4))
			j++;
		if (j == k)
			return;
		first = c->cond[j];
		ir_chain_set(c, k, first, c->stay[j]);
		ir_chain_set(c, j, len, stay);
		return;
	}
}

void opt_bounds(struct ir_fn *fn)
{
	struct test_chain c;

	vec_foreach(&fn->blocks, b)
		if (ir_test_chain(*b, &c)) {
			bound_chain(&c);
			length_first(&c);
		}
}
