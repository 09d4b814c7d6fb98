// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * prio: priorities for programs and residual chains that share a hook.
 *
 * A link needs a priority that no other hook of the same hook point has, and its residual chain
 * must come next. nftables runs chains of equal priority in reverse order of creation; from last to
 * first, each gets its own priority, or the next one below what stands behind it.
 *
 * Chains of one priority that are whole in BPF and follow each other are one program, and have one
 * priority. Between chains of different priorities others may register hooks at any time; between
 * those of one, nothing can come: the kernel puts a new hook of that priority before them all.
 */
#include "split.h"

static bool same_hook(const struct sp_base *a, const struct sp_base *b)
{
	enum family fa = a->c->table->family, fb = b->c->table->family;

	return a->c->hook == b->c->hook && (fa == fb || fa == FAM_INET || fb == FAM_INET);
}

/* Of what the chain is made of. */
static int32_t low_prio(const struct sp_base *x)
{
	return x->state == SP_WHOLE_NFT ? x->res_prio : x->link_prio;
}

/* Hooks of the kernel's own that a chain must not be moved over. */
static bool crosses(const struct sp_base *b, int32_t from, int32_t to)
{
	static const int32_t fixed[] = { -450, -400, -225, -200, -100, 0, 50, 100, 225, 300 };
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(fixed); i++)
		if (fixed[i] < from && fixed[i] >= to)
			return true;
	return false;
}

/* At the lowest priority of all there is room for one thing alone. */
static bool place_lowest(struct sp_base *b, int32_t ceiling)
{
	if (b->state != SP_WHOLE_BPF || b->c->prio >= ceiling)
		return false;
	b->link_prio = b->res_prio = b->c->prio;
	return true;
}

/*
 * Rules of one program. Larger ones are cut into several, and a link is little of what they cost.
 */
#define FUSED_MAX 2000

/* Whether b becomes one program with what stands behind it at that priority. */
static bool fuses(const struct split *s, struct sp_base *b, int32_t ceiling)
{
	uint32_t n = 0;

	if (!s->opt->fuse || b->state != SP_WHOLE_BPF)
		return false;
	vec_foreach(&s->bases, it) {
		const struct sp_base *x = *it;

		if (x == b || !x->placed || !same_hook(x, b) || low_prio(x) != ceiling)
			continue;
		if (x->state != SP_WHOLE_BPF || x->c->prio != b->c->prio)
			return false;
		n = MAX(n, x->n_fused);
	}
	if (!n || n + b->n_fused > FUSED_MAX)
		return false;
	b->n_fused += n;
	b->link_prio = b->res_prio = ceiling;
	return true;
}

/* Gives b its priorities below ceiling; true: done. */
static bool place(struct sp_base *b, int32_t ceiling, bool shared_ok)
{
	int32_t top = b->c->prio;

	if (b->state == SP_WHOLE_NFT) {
		b->res_prio = top;
		return top < ceiling || (top == ceiling && shared_ok);
	}
	if (ceiling <= INT32_MIN + 1 || top == INT32_MIN) /* there is nothing below */
		return place_lowest(b, ceiling);
	if (b->state == SP_WHOLE_BPF) {
		b->link_prio = MIN(top, ceiling - 1);
		b->res_prio = b->link_prio;
		return !crosses(b, top, b->link_prio);
	}
	b->res_prio = MIN(top, shared_ok ? ceiling : ceiling - 1);
	b->link_prio = b->res_prio - 1;
	return !crosses(b, top, b->link_prio);
}

bool sp_priorities(struct split *s)
{
	bool ok = true;
	uint32_t i, k;

	/*
	 * Of those behind it on the hook, the lowest priority used is the ceiling. Later in order:
	 * higher priority, or equal and older.
	 */
	for (i = 0; i < s->bases.n; i++)
		s->bases.v[i]->placed = false;
	for (;;) {
		struct sp_base *b = NULL;
		int32_t ceiling = INT32_MAX;
		bool shared = false;

		for (i = 0; i < s->bases.n; i++) {
			struct sp_base *x = s->bases.v[i];

			if (!x->placed && x->c->hook <= HOOK_POSTROUTING &&
			    (!b || x->c->prio > b->c->prio))
				b = x;
		}
		if (!b)
			return ok;
		b->placed = true;
		b->n_fused = b->n_reached + 1;
		for (k = 0; k < s->bases.n; k++) {
			struct sp_base *x = s->bases.v[k];
			int32_t low = low_prio(x);

			if (x == b || !x->placed || !same_hook(x, b) || low > ceiling)
				continue;
			shared = x->state == SP_WHOLE_NFT && (low < ceiling || shared);
			ceiling = low;
		}
		if (fuses(s, b, ceiling) || place(b, ceiling, shared))
			continue;
		if (b->state != SP_WHOLE_NFT) {
			b->state = SP_WHOLE_NFT;
			b->reason = FBR_PRIORITY;
			b->why = arena_printf(s->arena, "no free priority next to chain %s",
					      b->c->name);
		} else { /* those behind it were moved below it: keep them whole */
			for (k = 0; k < s->bases.n; k++) {
				struct sp_base *x = s->bases.v[k];

				if (x == b || !x->placed || !same_hook(x, b) ||
				    x->state == SP_WHOLE_NFT || x->link_prio > b->c->prio)
					continue;
				x->state = SP_WHOLE_NFT;
				x->reason = FBR_PRIORITY;
				x->why = arena_printf(s->arena, "no free priority next to chain %s",
						      b->c->name);
			}
		}
		ok = false;
	}
}
