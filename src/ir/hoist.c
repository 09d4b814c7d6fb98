// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hoist: each pure operation moves up to the block where the last of its operands is known.
 *
 *	@0: br %1, @1, @2			@0: %5 = ldp.w %4 +2 size 2
 *	@1: %5 = ldp.w %4 +2 size 2	==>	    br %1, @1, @2
 *	    jmp @3				@1: jmp @3
 *
 * That costs nothing yet: sched puts it down again to where it is used. In between, blocks hold
 * only effects and branches. Nothing can fault by coming too early: loads past the packet or
 * through NULL give some value that no one then uses.
 */
#include "ir/pass.h"

static struct ir_block *earliest(const struct ir_ins *i, struct ir_block *entry)
{
	struct ir_block *b = entry;

	for (uint32_t k = 0; k < i->n_args; k++) {
		struct ir_block *d = i->args[k]->blk;

		if (d && d->dom_depth > b->dom_depth)
			b = d;
	}
	return b;
}

void opt_hoist(struct ir_fn *fn)
{
	struct ir_block *entry = fn->blocks.v[0];

	vec_foreach(&fn->blocks, bp)
		for (struct ir_ins *i = (*bp)->first, *next; i; i = next) {
			struct ir_block *to;

			next = i->next;
			if (!(ir_op_info[i->op].flags & PURE))
				continue;
			for (uint32_t k = 0; k < i->n_args; k++)
				i->args[k] = ir_val(i->args[k]);
			to = earliest(i, entry);
			if (to == *bp)
				continue;
			ir_remove(i);
			ir_insert_before(to->last, i);
		}
}
