// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dce: removes what nobody uses.
 *
 *	%5 = ldp.w %4 +2 size 2
 *	ret 1			==>	ret 1
 *
 * Effects and terminators are needed; so is what a needed instruction uses.
 */
#include <stdlib.h>

#include "ir/pass.h"

void opt_dce(struct ir_fn *fn)
{
	bool *used = calloc(fn->n_ins + 1, 1);
	struct ir_ins **work = malloc(((size_t)fn->n_ins + 1) * sizeof(*work));
	uint32_t n = 0;

	BUG_ON(!used || !work);
	vec_foreach(&fn->blocks, b)
		for (struct ir_ins *i = (*b)->first; i; i = i->next)
			if (ir_op_info[i->op].flags & (EFF | TERM)) {
				used[i->id] = true;
				work[n++] = i;
			}
	while (n) {
		struct ir_ins *i = work[--n];

		for (uint32_t k = 0; k < i->n_args; k++) {
			struct ir_ins *a = i->args[k];

			if (used[a->id])
				continue;
			used[a->id] = true;
			work[n++] = a;
		}
	}
	vec_foreach(&fn->blocks, b)
		for (struct ir_ins *i = (*b)->first, *next; i; i = next) {
			next = i->next;
			if (!used[i->id])
				ir_remove(i);
		}
	free(used);
	free(work);
}
