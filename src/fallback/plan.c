// SPDX-License-Identifier: GPL-2.0-or-later
/* plan: small services of struct plan. */
#include "fallback.h"

const char *const plan_where_name[] = { "", "bpf", "nftables", "both" };

const char *const fb_reason_name[FBR_COUNT] = {
#define X(id, name, text) name,
#include "reason.def"
#undef X
};

const char *const fb_reason_text[FBR_COUNT] = {
#define X(id, name, text) text,
#include "reason.def"
#undef X
};

void plan_fuse(struct plan *plan)
{
	vec_foreach(&plan->progs, it) {
		struct plan_prog *p = *it, *then = NULL;

		vec_foreach(&plan->progs, other) {
			struct plan_prog *x = *other;

			if (x == p)
				break;
			if (x->pf == p->pf && x->hook == p->hook && x->prio == p->prio)
				then = x;
		}
		p->then = then;
		if (then)
			then->behind = true;
	}
}

uint32_t plan_links(const struct plan *p)
{
	uint32_t n = 0;

	vec_foreach(&p->progs, it)
		n += !(*it)->behind;
	return n;
}

struct rule_act plan_act(const struct plan_prog *p, const struct rule *r)
{
	const struct rule_act *row = p->acts[r->chain->index];

	return row ? row[r->index] : (struct rule_act){ .act = RULE_NEVER };
}
