// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The original ruleset with live counters, quotas and elements, whichever side keeps them.
 *
 * The manifest's text is read back into a ruleset; what the programs' maps hold and what the
 * kernel's residual tables hold is written into its expressions; then it can be printed.
 */
#include <errno.h>
#include <unistd.h>

#include "ctl.h"
#include "fallback.h"
#include "frontend.h"

struct table *live_table(const struct ruleset *rs, const char *family, const char *name)
{
	vec_foreach(&rs->tables, t)
		if (!strcmp(family_name((*t)->family), family) && !strcmp((*t)->name, name))
			return *t;
	return NULL;
}

/* The expression that a state belongs to; NULL: none (a set's element, a policy). */
static struct expr *state_expr(const struct ruleset *rs, const struct mf_state *s)
{
	static const enum expr_kind kinds[] = { [MF_COUNTER] = EX_COUNTER,
						[MF_LIMIT] = EX_LIMIT,
						[MF_QUOTA] = EX_QUOTA,
						[MF_LAST] = EX_LAST,
						[MF_NUMGEN] = EX_NUMGEN };
	struct table *t = live_table(rs, s->family, s->table);
	struct chain *ch;

	if (!t)
		return NULL;
	if (s->object) {
		vec_foreach(&t->objs, o)
			if (!strcmp((*o)->name, s->object) && (*o)->expr)
				return (*o)->expr;
		return NULL;
	}
	ch = s->chain ? table_chain(t, s->chain) : NULL;
	return ch && s->rule < ch->rules.n ? rule_nth(ch->rules.v[s->rule], kinds[s->kind], s->nth)
					   : NULL;
}

static void fill_from_maps(struct ctl *c, char gen, const struct manifest *m, struct ruleset *rs)
{
	vec_foreach(&m->states, s) {
		struct expr *e = state_expr(rs, s);
		uint64_t v[2] = { 0, 0 };
		uint32_t n = s->kind == MF_COUNTER ? 2 : 1;
		int fd;

		if (!e || (s->kind != MF_COUNTER && s->kind != MF_QUOTA))
			continue;
		fd = pins_map_fd(c, gen, s->map);
		if (fd < 0)
			continue;
		if (!map_read_u64s(fd, s->index, v, n)) {
			if (e->kind == EX_COUNTER) {
				e->counter.packets += v[0];
				e->counter.bytes += v[1];
			} else if (e->kind == EX_QUOTA) {
				/* the kernel, too, tells no more than the quota */
				e->quota.consumed = MIN(e->quota.consumed + v[0], e->quota.bytes);
			}
		}
		close(fd);
	}
}

/* Anything that both sides count starts from nothing, so that the values can be added up. */
static void zero_states(struct ruleset *rs, const struct manifest *m)
{
	vec_foreach(&m->states, s) {
		struct expr *e = state_expr(rs, s);

		if (e && e->kind == EX_COUNTER)
			e->counter.packets = e->counter.bytes = 0;
		else if (e && e->kind == EX_QUOTA)
			e->quota.consumed = 0;
	}
}

void live_add_state(struct expr *to, const struct expr *from)
{
	if (to->kind != from->kind)
		return;
	if (to->kind == EX_COUNTER) {
		to->counter.packets += from->counter.packets;
		to->counter.bytes += from->counter.bytes;
	} else if (to->kind == EX_QUOTA) {
		to->quota.consumed += from->quota.consumed;
		to->quota.depleted |= from->quota.depleted;
	} else if (to->kind == EX_LAST && from->last.set &&
		   (!to->last.set || from->last.msecs < to->last.msecs)) {
		to->last = from->last;
	}
}

/* Takes away what both sides began with: it counts once. */
static void take_state(struct expr *to, uint64_t a, uint64_t b)
{
	if (to->kind == EX_COUNTER) {
		to->counter.packets -= MIN(to->counter.packets, a);
		to->counter.bytes -= MIN(to->counter.bytes, b);
	} else if (to->kind == EX_QUOTA) {
		to->quota.consumed -= MIN(to->quota.consumed, a);
	}
}

/* Adds what the rule's copy counted, and those of the chain without a name that it holds. */
static void add_rule(struct rule *to, const struct rule *from)
{
	static const enum expr_kind kinds[] = { EX_COUNTER, EX_QUOTA, EX_LAST };
	const struct chain *in = rule_bound_chain(to), *live = rule_bound_chain(from);

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct expr *a, *b;

		for (uint32_t i = 0;
		     (a = rule_nth(to, kinds[k], i)) && (b = rule_nth(from, kinds[k], i)); i++)
			live_add_state(a, b);
	}
	for (uint32_t i = 0; in && live && i < in->rules.n && i < live->rules.n; i++)
		add_rule(in->rules.v[i], live->rules.v[i]);
}

static void fill_rules_from_nft(struct ctl *c, const struct manifest *m, struct ruleset *rs,
				const struct ruleset *live)
{
	vec_foreach(&m->copies, cp) {
		struct table *t = live_table(rs, cp->family, cp->table);
		struct table *lt = live_table(live, cp->family, nft_table(c, m, cp->table));
		struct chain *ch = t ? table_chain(t, cp->chain) : NULL;
		struct chain *lch = lt ? table_chain(lt, cp->res_chain) : NULL;

		if (ch && lch && cp->rule < ch->rules.n && cp->res_rule < lch->rules.n)
			add_rule(ch->rules.v[cp->rule], lch->rules.v[cp->res_rule]);
	}
}

static void zero_rule(const struct rule *r)
{
	const struct chain *in = rule_bound_chain(r);

	vec_foreach(&r->exprs, e) {
		if ((*e)->kind == EX_COUNTER)
			(*e)->counter.packets = (*e)->counter.bytes = 0;
		else if ((*e)->kind == EX_QUOTA)
			(*e)->quota.consumed = 0;
	}
	for (uint32_t i = 0; in && i < in->rules.n; i++)
		zero_rule(in->rules.v[i]);
}

/*
 * Counters of rules that only nft does have their value there, not the one that the ruleset was
 * written with.
 */
static void zero_copies(const struct manifest *m, struct ruleset *rs)
{
	vec_foreach(&m->copies, cp) {
		struct table *t = live_table(rs, cp->family, cp->table);
		struct chain *ch = t ? table_chain(t, cp->chain) : NULL;

		if (ch && cp->rule < ch->rules.n)
			zero_rule(ch->rules.v[cp->rule]);
	}
}

/* The state of an object in the programs' maps, or NULL. */
static const struct mf_state *in_maps(const struct manifest *m, const struct table *t,
				      const char *object)
{
	vec_foreach(&m->states, s)
		if (s->object && !strcmp(s->object, object) && !strcmp(s->table, t->name) &&
		    !strcmp(s->family, family_name(t->family)))
			return s;
	return NULL;
}

/* What elements of a map of verdicts or objects keep; what they lead to has other names there. */
static void take_elem_states(struct arena *a, struct set *s, const struct set *on_nft)
{
	struct strmap there;

	setmap_by_key(a, on_nft, &there);
	vec_foreach(&s->elems, e) {
		const struct set_elem *x = setmap_elem(&there, *e);

		if (x && x->n_exprs) {
			(*e)->exprs = x->exprs;
			(*e)->n_exprs = x->n_exprs;
		}
	}
}

/* Objects and elements of sets that live on the nft side. */
static void fill_tables_from_nft(struct ctl *c, const struct manifest *m, struct ruleset *rs,
				 const struct ruleset *live)
{
	vec_foreach(&rs->tables, t) {
		struct table *lt = live_table(live, family_name((*t)->family),
					      nft_table(c, m, (*t)->name));

		if (!lt)
			continue;
		vec_foreach(&(*t)->objs, o) {
			struct obj *lo = table_obj(lt, (*o)->name, (*o)->type);
			const struct mf_state *st = in_maps(m, *t, (*o)->name);

			if (!lo || !lo->expr || !(*o)->expr)
				continue;
			if (!st) {
				(*o)->expr = lo->expr;
				continue;
			}
			live_add_state((*o)->expr, lo->expr);
			take_state((*o)->expr, st->a, st->b);
		}
		vec_foreach(&(*t)->sets, s) {
			struct set *ls = (*s)->flags & SET_ANONYMOUS ? NULL
								     : table_set(lt, (*s)->name);
			const struct mf_set *ms = setmap_find(m, *s);

			if (!ls || ms)
				continue;
			if (ls->is_vmap || (*s)->flags & SET_OBJECT)
				take_elem_states(c->arena, *s, ls);
			else
				(*s)->elems.v = ls->elems.v, (*s)->elems.n = ls->elems.n;
		}
	}
}

/* What was counted before the ruleset was replaced by this one. */
static void fill_carried(const struct manifest *m, struct ruleset *rs)
{
	vec_foreach(&m->carried, c) {
		struct mf_state at = { .family = c->family,
				       .table = c->table,
				       .chain = c->chain,
				       .object = c->object,
				       .rule = c->rule,
				       .nth = c->nth };
		struct expr *e = state_expr(rs, &at);

		if (e && e->kind == EX_COUNTER) {
			e->counter.packets += c->packets;
			e->counter.bytes += c->bytes;
		}
	}
}

/*
 * The elements count on both sides, where rules of both look them up. was: the set as it was
 * loaded; live: what nft holds.
 */
static void add_elems_of_nft(struct ctl *c, const struct manifest *m, struct set *s,
			     const struct set *was, const struct ruleset *live)
{
	struct table *t = live_table(live, family_name(s->table->family),
				     nft_table(c, m, s->table->name));
	struct set *on_nft = t ? table_set(t, s->name) : NULL;
	struct strmap before, there;

	if (!on_nft)
		return;
	setmap_by_key(c->arena, was, &before);
	setmap_by_key(c->arena, on_nft, &there);
	vec_foreach(&s->elems, e) {
		const struct set_elem *x = setmap_elem(&there, *e), *y = setmap_elem(&before, *e);

		for (uint32_t i = 0; x && i < x->n_exprs && i < (*e)->n_exprs; i++) {
			struct expr *to = (*e)->exprs[i];
			const struct expr *first = y && i < y->n_exprs ? y->exprs[i] : NULL;

			live_add_state(to, x->exprs[i]);
			if (first && first->kind == EX_COUNTER)
				take_state(to, first->counter.packets, first->counter.bytes);
			else if (first && first->kind == EX_QUOTA)
				take_state(to, first->quota.consumed, 0);
		}
	}
}

/* live: what nft holds; NULL: nothing that counts. */
static int fill_sets_from_maps(struct ctl *c, char gen, const struct manifest *m,
			       struct ruleset *rs, const struct ruleset *live)
{
	ruleset_note_states(rs);
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->sets, s) {
			const struct mf_set *ms = (*s)->flags & SET_ANONYMOUS ? NULL
									      : setmap_find(m, *s);
			struct set was;

			if (!ms || !ms->map)
				continue;
			was = **s;
			if (setmap_read(c, &(struct mapsrc){ .gen = gen }, ms, *s))
				return 1;
			if (live && was.n_states)
				add_elems_of_nft(c, m, *s, &was, live);
		}
	return 0;
}

struct ruleset *live_ruleset(struct ctl *c, char gen, const struct manifest *m, bool sets)
{
	struct ruleset *rs, *live = NULL;
	struct diag d, ld;

	rs = manifest_ruleset(c, m, &d);
	if (!rs)
		return NULL;
	if (!m->fallback_idle) {
		diag_init(&ld, c->arena);
		live = frontend_read_live(c->arena, &ld);
		if (!live) {
			diag_flush(&ld, stderr);
			ctl_error("%s: cannot read what nftables holds", c->name);
			return NULL;
		}
	}
	zero_states(rs, m);
	zero_copies(m, rs);
	fill_from_maps(c, gen, m, rs);
	if (live) {
		fill_rules_from_nft(c, m, rs, live);
		fill_tables_from_nft(c, m, rs, live);
	}
	fill_carried(m, rs);
	return sets && fill_sets_from_maps(c, gen, m, rs, live) ? NULL : rs;
}
