// SPDX-License-Identifier: GPL-2.0-or-later
/* cover: counters between expressions, and the table of what they say. See cover.h. */
#include "cover.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

enum { MATCH, NO_MATCH, BREAKS, OUTCOMES };

struct row {
	const char *name;
	uint64_t n[OUTCOMES];
};

struct cover {
	struct arena *arena;
	VEC(struct row *) rows;
	struct strmap by_name;
};

/* Cells that no packet reaches. */
static const struct why {
	const char *rows;  /* as the shell's patterns */
	const char *cells; /* of "mnb" */
	const char *text;
} whys[] = {
#define WHY(rows, cells, text) { rows, cells, text },
#include "cover.def"
#undef WHY
};

static struct row *row(struct cover *c, const char *name)
{
	void **slot = strmap_put(&c->by_name, name, strlen(name));

	if (!*slot) {
		struct row *r = arena_new_of(c->arena, struct row);

		r->name = arena_strdup(c->arena, name);
		*vec_push(c->arena, &c->rows) = r;
		*slot = r;
	}
	return *slot;
}

static void add_row(void *arg, const char *name)
{
	row(arg, name);
}

struct cover *cover_new(struct arena *a)
{
	struct cover *c = arena_new_of(a, struct cover);

	c->arena = a;
	strmap_init(&c->by_name, a);
	cover_all(add_row, c);
	return c;
}

/* -- counters between expressions -------------------------------------------------------------- */

/* May be asked once more without a trace. */
static bool is_pure(const struct expr *e)
{
	switch (e->kind) {
	case EX_CMP:
	case EX_RANGE:
	case EX_BITWISE:
	case EX_BYTEORDER:
	case EX_RT:
	case EX_SOCKET:
	case EX_XFRM:
	case EX_FIB:
	case EX_HASH:
	case EX_INNER:
		return true;
	case EX_IMMEDIATE:
		return e->imm.dreg != REG_VERDICT;
	case EX_PAYLOAD:
		return e->payload.dreg != REG_NONE;
	case EX_EXTHDR:
		return e->exthdr.dreg != REG_NONE;
	case EX_META:
		return e->meta.sreg == REG_NONE && e->meta.key != KEY_META_PRANDOM;
	case EX_CT:
		return e->ct.sreg == REG_NONE;
	case EX_LOOKUP:
		return e->lookup.dreg != REG_VERDICT;
	default:
		return false;
	}
}

static bool is_vmap(const struct expr *e)
{
	return e->kind == EX_LOOKUP && e->lookup.dreg == REG_VERDICT;
}

/* The place of a verdict map that a rule before can ask for; -1: none. */
static int twin_at(const struct rule *r)
{
	for (uint32_t i = 0; i < r->exprs.n; i++) {
		if (is_vmap(r->exprs.v[i]))
			return (int)i;
		if (!is_pure(r->exprs.v[i]) && r->exprs.v[i]->kind != EX_COUNTER)
			return -1;
	}
	return -1;
}

/* A nameless set of a map's keys. */
static struct set *keys_of(struct arena *a, const struct set *map)
{
	struct set *s = arena_dup(a, map, sizeof(*map));

	s->flags = (map->flags & (SET_INTERVAL | SET_CONCAT)) | SET_ANONYMOUS | SET_CONSTANT;
	s->is_vmap = false;
	s->has_size = false;
	s->size = 0;
	s->timeout = s->gc_int = 0;
	s->n_exprs = 0;
	memset(&s->elems, 0, sizeof(s->elems));
	vec_foreach(&map->elems, e) {
		struct set_elem *el = arena_new_of(a, struct set_elem);

		el->catchall = (*e)->catchall;
		el->key = (*e)->key;
		el->key_end = (*e)->key_end;
		*vec_push(a, &s->elems) = el;
	}
	return s;
}

static struct expr *copy(struct arena *a, const struct expr *e)
{
	return arena_dup(a, e, expr_size(e->kind));
}

/* The rule that asks a verdict map's keys: the expressions before it, a look-up, a counter. */
static struct rule *twin(struct arena *a, const struct rule *r, uint32_t at)
{
	struct rule *t = arena_new_of(a, struct rule);
	struct expr *e;

	t->chain = r->chain;
	for (uint32_t i = 0; i <= at; i++) {
		if (r->exprs.v[i]->kind == EX_COUNTER)
			continue;
		e = copy(a, r->exprs.v[i]);
		if (e->kind == EX_LOOKUP && e->lookup.set->flags & SET_ANONYMOUS && i < at)
			e->lookup.set = arena_dup(a, e->lookup.set, sizeof(struct set));
		if (i == at) {
			e->lookup.set = keys_of(a, e->lookup.set);
			e->lookup.dreg = REG_NONE;
		}
		*vec_push(a, &t->exprs) = e;
	}
	*vec_push(a, &t->exprs) = expr_new(a, EX_COUNTER, r->loc);
	return t;
}

static void put_rule(struct arena *a, struct rule *r)
{
	struct rule own = *r;

	memset(&r->exprs, 0, sizeof(r->exprs));
	vec_foreach(&own.exprs, e) {
		*vec_push(a, &r->exprs) = expr_new(a, EX_COUNTER, r->loc);
		*vec_push(a, &r->exprs) = *e;
	}
	*vec_push(a, &r->exprs) = expr_new(a, EX_COUNTER, r->loc);
}

static bool has_twin(const struct rule *r)
{
	return twin_at(r) >= 0;
}

static void put_chain(struct arena *a, struct chain *c)
{
	struct chain was = *c;

	memset(&c->rules, 0, sizeof(c->rules));
	vec_foreach(&was.rules, it) {
		struct rule *r = *it;

		/* from here on the kernel's expressions are the rule's */
		*r = rule_kernel(r);
		memset(&r->xt, 0, sizeof(r->xt));
		if (has_twin(r))
			*vec_push(a, &c->rules) = twin(a, r, (uint32_t)twin_at(r));
		put_rule(a, r);
		*vec_push(a, &c->rules) = r;
	}
}

void cover_put(struct ruleset *rs)
{
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->chains, c)
			put_chain(rs->arena, *c);
}

/* -- what they say ----------------------------------------------------------------------------- */

struct held { /* who has had a part in a register's word */
	uint32_t n, by[16];
};

static void credit(struct cover *c, const struct rule *r, const struct held *h, int outcome,
		   uint64_t n)
{
	char name[COVER_NAME];

	for (uint32_t i = 0; i < h->n; i++)
		if (cover_name(r->exprs.v[h->by[i]], name))
			row(c, name)->n[outcome] += n;
}

static void hold(struct held *to, const struct held *from)
{
	for (uint32_t i = 0; i < from->n; i++) {
		bool there = false;

		for (uint32_t k = 0; k < to->n; k++)
			there |= to->by[k] == from->by[i];
		if (!there && to->n < ARRAY_SIZE(to->by))
			to->by[to->n++] = from->by[i];
	}
}

/* Expressions that answer yes or no; others load, or act. */
static bool asks(const struct expr *e)
{
	switch (e->kind) {
	case EX_CMP:
	case EX_RANGE:
	case EX_LIMIT:
	case EX_QUOTA:
	case EX_CONNLIMIT:
	case EX_LOOKUP:
	case EX_OBJREF:
	case EX_MATCH:
		return true;
	case EX_DYNSET:
		return e->dynset.n_exprs;
	default:
		return false;
	}
}

/* What expression i of a rule did: it was reached so often and left so often by the front. */
static void note(struct cover *c, const struct rule *r, uint32_t i, struct held *words,
		 uint64_t reached, uint64_t passed)
{
	const struct expr *e = r->exprs.v[i];
	struct expr_regs regs = expr_regs(e);
	struct held in = { 0 };
	char name[COVER_NAME];

	for (uint32_t w = 0; w < REG_WORDS; w++)
		if (regs.reads >> w & 1)
			hold(&in, &words[w]);
	cover_name(e, name);
	if (asks(e)) {
		row(c, name)->n[MATCH] += passed;
		row(c, name)->n[NO_MATCH] += reached - passed;
		credit(c, r, &in, MATCH, passed);
		credit(c, r, &in, NO_MATCH, reached - passed);
	} else if (!regs.writes) { /* acts */
		bool ends = e->kind == EX_IMMEDIATE || !passed;

		row(c, name)->n[MATCH] += ends ? reached : passed;
		row(c, name)->n[BREAKS] += ends ? 0 : reached - passed;
		credit(c, r, &in, MATCH, ends ? reached : passed);
	} else {
		row(c, name)->n[BREAKS] += reached - passed;
		in.n = MIN(in.n, ARRAY_SIZE(in.by) - 1);
	}
	if (!regs.writes)
		return;
	if (e->kind != EX_LOOKUP)
		in.by[in.n++] = i;
	for (uint32_t w = 0; w < REG_WORDS; w++)
		if (regs.writes >> w & 1)
			words[w] = in;
}

static uint64_t count(const struct rule *r, uint32_t i)
{
	return r->exprs.v[i]->counter.packets;
}

/*
 * own: the rule with counters taken out; live: with them. asked: how often its verdict map has the
 * key; -1: not known.
 */
static void note_rule(struct cover *c, const struct rule *own, const struct rule *live,
		      int64_t asked)
{
	struct held words[REG_WORDS] = { 0 };

	for (uint32_t i = 0; i < own->exprs.n; i++) {
		uint64_t reached = count(live, 2 * i), passed = count(live, 2 * i + 2);

		if (is_vmap(own->exprs.v[i])) {
			if (asked < 0)
				return;
			passed = MIN((uint64_t)asked, reached);
		}
		note(c, own, i, words, reached, passed);
	}
}

static bool take_rule(struct arena *a, const struct rule *put, struct rule *live)
{
	struct rule was;

	*live = rule_kernel(live);
	memset(&live->xt, 0, sizeof(live->xt));
	was = *live;
	if (put->exprs.n != was.exprs.n || !(was.exprs.n & 1))
		return false;
	memset(&live->exprs, 0, sizeof(live->exprs));
	for (uint32_t i = 0; i < was.exprs.n; i++) {
		if (put->exprs.v[i]->kind != was.exprs.v[i]->kind)
			return false;
		if (i & 1)
			*vec_push(a, &live->exprs) = was.exprs.v[i];
	}
	return true;
}

static bool take_chain(struct cover *c, struct arena *a, const struct chain *put,
		       struct chain *live)
{
	struct chain was = *live;
	int64_t asked = -1;

	if (put->rules.n != was.rules.n)
		return false;
	memset(&live->rules, 0, sizeof(live->rules));
	for (uint32_t i = 0; i < was.rules.n; i++) {
		struct rule *r = was.rules.v[i], with;

		if (put->rules.v[i]->exprs.v[0]->kind != EX_COUNTER) { /* a twin */
			asked = (int64_t)count(r, r->exprs.n - 1);
			continue;
		}
		with = rule_kernel(r);
		if (!take_rule(a, put->rules.v[i], r))
			return false;
		note_rule(c, r, &with, asked);
		*vec_push(a, &live->rules) = r;
		asked = -1;
	}
	return true;
}

bool cover_take(struct cover *c, const struct ruleset *put, struct ruleset *live)
{
	vec_foreach(&put->tables, t) {
		struct table *lt = ruleset_table(live, (*t)->family, (*t)->name);

		if (!lt || lt->chains.n != (*t)->chains.n)
			return false;
		vec_foreach(&(*t)->chains, ch) {
			struct chain *lc = table_chain(lt, (*ch)->name);

			if (!lc || !take_chain(c, live->arena, *ch, lc))
				return false;
		}
	}
	return true;
}

/* -- the table --------------------------------------------------------------------------------- */

static const struct why *why_not(const struct row *r, int outcome)
{
	for (size_t i = 0; i < ARRAY_SIZE(whys); i++)
		if (strchr(whys[i].cells, "mnb"[outcome]) && !fnmatch(whys[i].rows, r->name, 0))
			return &whys[i];
	return NULL;
}

uint32_t cover_print(struct cover *c, FILE *f)
{
	bool used[ARRAY_SIZE(whys)] = { false };
	uint32_t empty = 0;

	fprintf(f, "%-36s %10s %10s %10s\n", "kind", "match", "no match", "break");
	vec_foreach(&c->rows, it) {
		const struct row *r = *it;

		fprintf(f, "%-36s", r->name);
		for (int o = 0; o < OUTCOMES; o++) {
			const struct why *w = why_not(r, o);

			if (r->n[o]) {
				fprintf(f, " %10llu", (unsigned long long)r->n[o]);
			} else if (w) {
				fprintf(f, " %9s%c", "", '-');
				used[w - whys] = true;
			} else {
				fprintf(f, " %10s", "EMPTY");
				empty++;
			}
		}
		fprintf(f, "\n");
	}
	fprintf(f, "\ncells that are not reached:\n");
	for (size_t i = 0; i < ARRAY_SIZE(whys); i++) {
		fprintf(f, "  %-34s %-3s  %s\n", whys[i].rows, whys[i].cells,
			used[i] ? whys[i].text : "(is reached, or there is no such row)");
		empty += !used[i];
	}
	return empty;
}
