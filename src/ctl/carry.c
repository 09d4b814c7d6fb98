// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counters over a replacement: rules that are the same in both rulesets go on counting from where
 * they were.
 */
#include <errno.h>

#include "ctl.h"
#include "fallback.h"

struct carry {
	struct ctl *c;
	struct ctl_obj *o;
	uint32_t n_kept; /* by the nft side */
};

static const char *text_of(struct ctl *c, const struct rule *r)
{
	struct fb_print_opts opts = { .zero = true, .elements = true };
	struct sbuf s;

	sb_init(&s, c->arena);
	return fb_print_rule(r, &opts, &s) ? s.s : NULL;
}

static const struct mf_state *find_state(const struct manifest *m, const struct mf_carried *k)
{
	vec_foreach(&m->states, s)
		if (s->kind == MF_COUNTER && !strcmp(s->family, k->family) &&
		    !strcmp(s->table, k->table) && !s->object == !k->object &&
		    (k->object ? !strcmp(s->object, k->object)
			       : s->chain && !strcmp(s->chain, k->chain) && s->rule == k->rule &&
					 s->nth == k->nth))
			return s;
	return NULL;
}

/* A counter of the new ruleset goes on from the value that it has in the old one. */
static int carry_one(struct carry *k, struct mf_carried at, const struct expr *from,
		     const struct expr *to)
{
	const struct mf_state *s = find_state(k->o->mf, &at);
	uint64_t v[2] = { from->counter.packets, from->counter.bytes };
	struct bpf_map *map;

	if (s) {
		map = bpf_object__find_map_by_name(k->o->bpf, s->map);
		return !map || map_write_u64s(bpf_map__fd(map), s->index, v, 2)
			       ? ctl_error("cannot carry a counter over to map %s", s->map)
			       : 0;
	}
	at.packets = v[0] - to->counter.packets; /* what nft starts from is in its own rule */
	at.bytes = v[1] - to->counter.bytes;
	if (at.packets || at.bytes) {
		*vec_push(k->c->arena, &k->o->mf->carried) = at;
		k->n_kept++;
	}
	return 0;
}

static int carry_rule(struct carry *k, struct mf_carried at, const struct rule *from,
		      const struct rule *to)
{
	const struct expr *a, *b;

	at.rule = to->index;
	for (at.nth = 0;
	     (a = rule_nth(from, EX_COUNTER, at.nth)) && (b = rule_nth(to, EX_COUNTER, at.nth));
	     at.nth++)
		if (carry_one(k, at, a, b))
			return 1;
	return 0;
}

/* Each old rule serves one new one, the first of the same text that is left. */
static int carry_chain(struct carry *k, struct mf_carried at, const struct chain *from,
		       const struct chain *to)
{
	const char **was = arena_array(k->c->arena, const char *, from->rules.n + 1);
	uint32_t first = 0;

	for (uint32_t i = 0; i < from->rules.n; i++)
		was[i] = text_of(k->c, from->rules.v[i]);
	vec_foreach(&to->rules, r) {
		const char *text = text_of(k->c, *r);

		for (uint32_t i = first; text && i < from->rules.n; i++) {
			if (!was[i] || strcmp(was[i], text) != 0)
				continue;
			was[i] = NULL;
			if (carry_rule(k, at, from->rules.v[i], *r))
				return 1;
			break;
		}
		while (first < from->rules.n && !was[first])
			first++;
	}
	return 0;
}

static int carry_table(struct carry *k, const struct table *from, const struct table *to)
{
	struct mf_carried at = { .family = family_name(to->family), .table = to->name };

	vec_foreach(&to->objs, o) {
		struct obj *was = table_obj(from, (*o)->name, (*o)->type);

		if (!was || !was->expr || !(*o)->expr || (*o)->expr->kind != EX_COUNTER)
			continue;
		at.object = (*o)->name;
		if (carry_one(k, at, was->expr, (*o)->expr))
			return 1;
	}
	at.object = NULL;
	vec_foreach(&to->chains, ch) {
		struct chain *was = table_chain(from, (*ch)->name);

		at.chain = (*ch)->name;
		if (was && carry_chain(k, at, was, *ch))
			return 1;
	}
	return 0;
}

int carry_counters(struct ctl *c, const struct ruleset *live, struct ctl_obj *o)
{
	struct carry k = { .c = c, .o = o };
	struct ruleset *rs;
	struct diag d;

	rs = manifest_ruleset(c, o->mf, &d);
	if (!rs)
		return 1;
	vec_foreach(&rs->tables, t) {
		struct table *was = live_table(live, family_name((*t)->family), (*t)->name);

		if (was && carry_table(&k, was, *t))
			return 1;
	}
	if (k.n_kept)
		o->json = manifest_write(c->arena, o->mf, &o->json_len);
	return 0;
}
