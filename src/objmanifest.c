// SPDX-License-Identifier: GPL-2.0-or-later
/* The object's manifest, from the run: ruleset, fallback, programs, states, sets. */
#include "driver.h"
#include "manifest.h"

static const char *fam(const struct table *t)
{
	return family_name(t->family);
}

#define LEFT_OUT_FROM 256 /* elements from which on the text does without them */

/* Whether the set's map tells all that its elements say. */
static bool map_tells_all(const struct set *s)
{
	if (s->flags & SET_TIMEOUT || s->states_differ)
		return false;
	vec_foreach(&s->elems, e)
		if ((*e)->comment || (*e)->n_exprs)
			return false;
	return true;
}

/* Elements of large sets in maps are left out of the text: who reads it takes them from there. */
static bool leave_out(struct run *r, const struct set *s)
{
	if (s->elems.n < LEFT_OUT_FROM || !map_tells_all(s))
		return false;
	for (uint32_t i = 0; i < r->ir->sets.n; i++)
		if (r->ir->sets.v[i].set == s)
			return r->obj->sets.v[i].is_mutable;
	return false;
}

#define READ_AGAIN 4096 /* rules, and elements of a set, that cost next to nothing to read again */

/*
 * What rules compute may have words that mean nothing, or too much, to who reads them; of few rules
 * all are looked at.
 */
static bool to_be_read_again(const struct ruleset *rs)
{
	uint32_t n = 0;

	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->chains, c) {
			n += (*c)->rules.n;
			vec_foreach(&(*c)->rules, r)
				vec_foreach(&(*r)->exprs, e)
					if ((*e)->kind == EX_BITWISE)
						return true;
		}
	return n <= READ_AGAIN;
}

/* An error where the text is not read back: nft2bpfctl reads it. */
static void check_text(struct run *r, const char *text, struct loc where)
{
	struct arena *a = arena_new();
	const char *line = NULL;
	size_t len = 0;
	struct diag d;

	diag_init(&d, a);
	if (!frontend_read_buffer(a, &d, "what is printed", text, strlen(text))) {
		if (d.recs.n)
			line = diag_line(&d, d.recs.v[0].loc, d.recs.v[0].loc.line, &len);
		for (; len && (*line == ' ' || *line == '\t'); len--)
			line++;
		diag_error(&r->diag, where,
			   "no text says again what this rule does: \"%.*s\"; nft2bpfctl could not "
			   "list it",
			   (int)len, line ? line : "");
	}
	arena_free(a);
}

static bool is_large(const struct set *s)
{
	return !(s->flags & SET_ANONYMOUS) && s->elems.n > READ_AGAIN;
}

static bool has_large_set(const struct ruleset *rs)
{
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->sets, s)
			if (is_large(*s))
				return true;
	return false;
}

static bool print_text(struct run *r, bool large, struct sbuf *s)
{
	struct fb_print_opts opts = { .elements = true, .keep_sets = true };

	vec_foreach(&r->rs->tables, t)
		vec_foreach(&(*t)->sets, it)
			(*it)->left_out = (!large && is_large(*it)) || leave_out(r, *it);
	sb_init(s, r->arena);
	return fb_print_ruleset(r->rs, &opts, s);
}

/*
 * The printed original; where nft has no words for it, what it was read from cannot be listed
 * later.
 */
static const char *ruleset_text(struct run *r)
{
	struct loc where = { .name = r->o->file ? r->o->file : "ruleset" };
	bool again = to_be_read_again(r->rs), large = has_large_set(r->rs);
	struct sbuf s;

	if (again && large && print_text(r, false, &s)) /* its elements need no reading */
		check_text(r, s.s, where);
	if (!print_text(r, true, &s)) {
		diag_error(&r->diag, where,
			   "it holds a rule that no text can say: nft2bpfctl could not bring the "
			   "ruleset back into nftables");
		return "";
	}
	if (again && !large)
		check_text(r, s.s, where);
	return s.s;
}

static const char *preamble_text(struct run *r)
{
	struct sbuf s;

	sb_init(&s, r->arena);
	vec_foreach(&r->rs->preamble, p)
		sb_printf(&s, "%s\n", *p);
	return s.s;
}

/* The base chains fused behind a program's own; NULL: none. */
static const char *chains_behind(struct run *r, const struct plan_prog *p)
{
	const char *all = NULL;

	while ((p = p->then))
		all = arena_printf(r->arena, "%s%s%s %s %s", all ? all : "", all ? ", " : "",
				   fam(p->base->table), p->base->table->name, p->base->name);
	return all;
}

static void add_progs(struct run *r, struct manifest *m)
{
	vec_foreach(&r->plan->progs, it) {
		const struct plan_prog *p = *it;
		struct mf_prog *q;

		if (p->behind)
			continue;
		q = vec_push(r->arena, &m->progs);
		q->name = p->name;
		q->pf = p->pf == FAM_IP ? "ip" : "ip6";
		q->hook = hook_name(p->base->table->family, p->hook);
		q->hooknum = p->hook;
		q->prio = p->prio;
		q->family = fam(p->base->table);
		q->table = p->base->table->name;
		q->chain = p->base->name;
		q->residual = p->residual;
		q->then = chains_behind(r, p);
	}
}

static bool state_kind(enum ir_state_kind k, enum mf_state_kind *out)
{
	switch (k) {
	case ST_COUNTER:
		*out = MF_COUNTER;
		return true;
	case ST_LIMIT:
		*out = MF_LIMIT;
		return true;
	case ST_QUOTA:
		*out = MF_QUOTA;
		return true;
	case ST_LAST:
		*out = MF_LAST;
		return true;
	case ST_NUMGEN:
		*out = MF_NUMGEN;
		return true;
	}
	return false;
}

static void add_state(struct run *r, struct manifest *m, const struct ir_state *st,
		      const struct obj_place *at)
{
	const struct table *t = st->obj ? st->obj->table : st->rule ? st->rule->chain->table : NULL;
	struct mf_state *s;
	enum mf_state_kind kind;

	if (!t || !state_kind(st->kind, &kind))
		return;
	s = vec_push(r->arena, &m->states);
	s->kind = kind;
	s->map = r->obj->maps.v[at->map]->name;
	s->index = at->key;
	s->family = fam(t);
	s->table = t->name;
	if (st->obj) {
		s->object = st->obj->name;
	} else {
		s->chain = st->rule->chain->name;
		s->rule = st->rule->index;
		s->nth = rule_number(st->rule, st->expr_index);
	}
	if (kind == MF_COUNTER && st->expr) {
		s->a = st->expr->counter.packets;
		s->b = st->expr->counter.bytes;
	} else if (kind == MF_QUOTA && st->expr) {
		s->a = st->expr->quota.consumed;
	}
}

static void add_rules(struct run *r, struct manifest *m)
{
	const struct plan_rule *last = NULL;

	vec_foreach(&r->plan->rules, p) {
		struct mf_rule *q;

		if (last && p->rule->chain == last->rule->chain &&
		    p->rule->index == last->rule->index + 1 && p->where == last->where &&
		    (p->why == last->why || (p->why && last->why && !strcmp(p->why, last->why)))) {
			m->rules.v[m->rules.n - 1].n++;
			last = p;
			continue;
		}
		last = p;
		q = vec_push(r->arena, &m->rules);
		q->n = 1;
		q->family = fam(p->rule->chain->table);
		q->table = p->rule->chain->table->name;
		q->chain = p->rule->chain->name;
		q->index = p->rule->index;
		q->where = plan_where_name[p->where];
		q->reason = p->why;
	}
	vec_foreach(&r->plan->copies, c) {
		struct mf_copy *q = vec_push(r->arena, &m->copies);

		q->family = fam(c->rule->chain->table);
		q->table = c->rule->chain->table->name;
		q->chain = c->rule->chain->name;
		q->rule = c->rule->index;
		q->res_chain = c->chain;
		q->res_rule = c->index;
	}
}

static void add_sets(struct run *r, struct manifest *m)
{
	for (uint32_t i = 0; i < r->ir->sets.n; i++) {
		const struct ir_set *is = &r->ir->sets.v[i];
		const struct obj_set *at = &r->obj->sets.v[i];
		const struct obj_map *map = at->is_mutable ? r->obj->maps.v[at->map] : NULL;
		struct mf_set *s;

		if (is->set->flags & SET_ANONYMOUS && !map)
			continue;
		s = vec_push(r->arena, &m->sets);
		s->family = fam(is->set->table);
		s->table = is->set->table->name;
		s->set = is->set->name;
		s->layout = !map ? "const" : at->lpm ? "lpm" : at->index ? "index" : "hash";
		if (!map)
			continue;
		s->map = map->name;
		s->only_map = is->set->left_out;
		s->timeouts = at->timeouts;
		s->catchall = at->catchall;
		if (is->set->n_fields < 2)
			*vec_push(r->arena, &s->fields) = is->set->key_len;
		for (uint32_t f = 0; f < is->set->n_fields && is->set->n_fields > 1; f++)
			*vec_push(r->arena, &s->fields) = is->set->field_len[f];
		s->key_len = map->key_size;
		s->value_len = map->value_size;
		s->data_words = at->data_words;
		s->expr_off = at->expr_off;
		vec_foreach(&is->verdicts, v)
			*vec_push(r->arena, &s->verdicts) = verdict_text(r->arena, v);
		vec_foreach(&is->objs, o)
			*vec_push(r->arena, &s->verdicts) = (*o)->name;
	}
}

static void add_elems(struct run *r, struct manifest *m)
{
	vec_foreach(&r->obj->maps, it) {
		const struct obj_map *map = *it;
		struct mf_elems *e;

		if (!map->elems.n || !strcmp(map->role, "counters") || !strcmp(map->role, "states"))
			continue;
		e = vec_push(r->arena, &m->elems);
		e->map = map->name;
		e->n = map->elems.n;
		e->key_len = map->key_size;
		e->value_len = map->value_size;
		e->keys_at = map->keys_at;
		e->values_at = map->values_at;
		e->value_step = map->value_step;
	}
}

const char *driver_manifest(struct run *r, size_t *len)
{
	struct manifest m = { .compiler = "nft2bpf " N2B_VERSION,
			      .ruleset = "",
			      .preamble = "",
			      .fallback = "",
			      .fallback_empty = true,
			      .fallback_idle = true };

	if (r->plan) {
		m.ruleset = ruleset_text(r);
		m.preamble = preamble_text(r);
		m.fallback = r->plan->fallback_body;
		m.fallback_empty = r->plan->fallback_empty;
		m.fallback_idle = r->plan->fallback_idle;
		vec_foreach(&r->rs->tables, t)
			*vec_push(r->arena, &m.tables) = arena_printf(r->arena, "%s %s", fam(*t),
								      (*t)->name);
		add_progs(r, &m);
		for (uint32_t i = 0; i < r->ir->states.n; i++)
			add_state(r, &m, &r->ir->states.v[i], &r->obj->states.v[i]);
		add_rules(r, &m);
		add_sets(r, &m);
		add_elems(r, &m);
	}
	return manifest_write(r->arena, &m, len);
}
