// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * residual: the nftables half of a split base chain.
 *
 * The residual base chain is the original's skeleton: for each punt, in order, `condition goto
 * rest`; before them the accept rules (guards), jumps, gotos and returns that keep other packets
 * away from them. Everything the program did is left out: what it dropped does not come here, and
 * whoever reaches the end was accepted. The rest of a punt is the punted rule and all that follows
 * it, in the chains that were being walked: rest chains, shared by suffix, called one after the
 * other, then the policy.
 */
#include "split.h"

#define MAX_LINES 20000u
#define MAX_DEPTH 15u

struct rest { /* a suffix of a chain that is asked for */
	const struct chain *c;
	uint32_t from;
	const char *name;
};

struct emit {
	struct split *s;
	struct sp_base *b;
	struct sp_resid *res;
	VEC(struct rest *) rests;
	uint32_t n_names;
	struct strmap depths, by_name;
	bool bad;
};

static const struct fb_print_opts zeroed = { .zero = true, .elements = true };

static const char *new_name(struct emit *e, char kind)
{
	const struct table *t = e->b->c->table;
	const char *name;

	do
		name = arena_printf(e->s->arena, "%s.%c%u", e->b->c->name, kind, ++e->n_names);
	while (table_chain(t, name));
	return name;
}

static struct sp_rchain *new_chain(struct emit *e, const char *name)
{
	struct sp_rchain *c = arena_new_of(e->s->arena, struct sp_rchain);

	c->name = name;
	*vec_push(e->s->arena, &e->res->chains) = c;
	*strmap_put(&e->by_name, name, strlen(name)) = c;
	return c;
}

static void line(struct emit *e, struct sp_rchain *c, const struct rule *r, const char *text,
		 const char *note)
{
	*vec_push(e->s->arena, &c->lines) = (struct sp_line){ .r = r, .text = text, .note = note };
	if (++e->res->n_lines > MAX_LINES) {
		e->b->reason = FBR_SIZE;
		e->bad = true;
	}
}

static void cond_line(struct emit *e, struct sp_rchain *c, const struct rule *cond,
		      const char *note)
{
	line(e, c, NULL, NULL, note);
	c->lines.v[c->lines.n - 1].cond = cond;
}

/* Merges the guards and prints the conditions. */
static void finish_chain(struct emit *e, struct sp_rchain *c)
{
	sp_merge(e->s, c);
	vec_foreach(&c->lines, it) {
		struct sbuf b;

		if (!it->cond)
			continue;
		sb_init(&b, e->s->arena);
		if (!fb_print_rule(it->cond, &zeroed, &b))
			e->bad = true;
		it->text = b.s;
	}
}

/* A rule's condition with another verdict. */
static const struct rule *condition(struct emit *e, const struct rule *r, uint32_t n,
				    struct verdict v)
{
	struct arena *a = e->s->arena;
	struct rule *t = arena_dup(a, r, sizeof(*r));
	struct expr *x = expr_new(a, EX_IMMEDIATE, r->loc);
	uint32_t i;

	memset(&t->exprs, 0, sizeof(t->exprs));
	memset(&t->xt, 0, sizeof(t->xt));
	t->comment = t->text = NULL;
	for (i = 0; i < n && i < r->exprs.n; i++) {
		struct expr *y = r->exprs.v[i];

		if (y->kind == EX_COUNTER || y->kind == EX_LAST || y->kind == EX_OBJREF ||
		    y->kind == EX_XTNEED)
			continue;
		if (y->kind == EX_IMMEDIATE && y->imm.dreg == REG_VERDICT)
			break;
		if (y->kind == EX_LOOKUP && !(y->lookup.set->flags & SET_ANONYMOUS))
			*vec_push(a, &e->res->sets) = y->lookup.set;
		*vec_push(a, &t->exprs) = y;
	}
	x->imm.dreg = REG_VERDICT;
	x->imm.verdict = v;
	*vec_push(a, &t->exprs) = x;
	return t;
}

static struct verdict go(struct emit *e, enum verdict_code code, const char *name)
{
	struct chain *c = arena_new_of(e->s->arena, struct chain);

	c->name = name;
	c->table = e->b->c->table;
	return (struct verdict){ .code = code, .chain = c };
}

/* -- rests ------------------------------------------------------------------------------------- */

static const char *rest_name(struct emit *e, const struct chain *c, uint32_t from)
{
	struct rest *r;

	if (!from && c != e->b->c && !c->is_bound) {
		*vec_push(e->s->arena, &e->res->whole) = c;
		return c->name; /* the whole chain, which the fallback then has */
	}
	vec_foreach(&e->rests, it)
		if ((*it)->c == c && (*it)->from == from)
			return (*it)->name;
	r = arena_new_of(e->s->arena, struct rest);
	r->c = c;
	r->from = from;
	r->name = new_name(e, 'r');
	*vec_push(e->s->arena, &e->rests) = r;
	return r->name;
}

/* Rests are written last, when all their starts are known: one ends where a later one begins. */
static void emit_rests(struct emit *e)
{
	vec_foreach(&e->rests, it) {
		const struct rest *r = *it, *next = NULL;
		struct sp_rchain *c = new_chain(e, r->name);
		uint32_t i;

		vec_foreach(&e->rests, k)
			if ((*k)->c == r->c && (*k)->from > r->from &&
			    (!next || (*k)->from < next->from))
				next = *k;
		for (i = r->from; i < r->c->rules.n; i++) {
			if (next && i == next->from) {
				line(e, c, NULL, arena_printf(e->s->arena, "goto %s", next->name),
				     NULL);
				break;
			}
			line(e, c, r->c->rules.v[i], NULL, NULL);
		}
	}
}

/* -- nesting ----------------------------------------------------------------------------------- */

/* The kernel counts gotos too, and takes no chain at level 16. */
static uint32_t text_depth(struct emit *e, const char *name, uint32_t limit);

static uint32_t chain_depth(struct emit *e, const struct chain *c, uint32_t limit);

static uint32_t rule_depth(struct emit *e, const struct rule *r, uint32_t limit)
{
	const struct set *vmap;
	struct verdict v = sp_verdict(r, &vmap);
	uint32_t max = 0;

	if (v.chain)
		max = 1 + chain_depth(e, v.chain, limit - 1);
	if (vmap)
		vec_foreach(&vmap->elems, it)
			if ((*it)->verdict.chain)
				max = MAX(max, 1 + chain_depth(e, (*it)->verdict.chain, limit - 1));
	return max;
}

static uint32_t chain_depth(struct emit *e, const struct chain *c, uint32_t limit)
{
	uint32_t max = 0;
	void **slot = strmap_put(&e->depths, (const char *)&c, sizeof(c));

	if (*slot)
		return (uint32_t)(uintptr_t)*slot - 1;
	if (!limit)
		return 0;
	vec_foreach(&c->rules, it)
		max = MAX(max, rule_depth(e, *it, limit));
	*strmap_put(&e->depths, (const char *)&c, sizeof(c)) = (void *)(uintptr_t)(max + 1);
	return max;
}

static uint32_t line_depth(struct emit *e, const char *text, uint32_t limit)
{
	uint32_t max = 0;
	const char *p;
	char name[256];

	for (p = text; (p = strpbrk(p, "gj")); p++) {
		size_t n;

		if (strncmp(p, "goto ", 5) && strncmp(p, "jump ", 5))
			continue;
		n = strcspn(p + 5, " ,;}");
		if (n >= sizeof(name))
			continue;
		memcpy(name, p + 5, n);
		name[n] = 0;
		max = MAX(max, 1 + text_depth(e, name, limit - 1));
	}
	return max;
}

static uint32_t text_depth(struct emit *e, const char *name, uint32_t limit)
{
	uint32_t max = 0;
	void **slot = strmap_put(&e->depths, name, strlen(name));
	const struct sp_rchain *c = strmap_get(&e->by_name, name, strlen(name));
	const struct chain *whole;

	if (*slot)
		return (uint32_t)(uintptr_t)*slot - 1;
	if (!limit)
		return 0;
	if (c) {
		vec_foreach(&c->lines, l)
			max = MAX(max, l->r ? rule_depth(e, l->r, limit)
					    : line_depth(e, l->text, limit));
	} else {
		whole = table_chain(e->b->c->table, name);
		max = whole ? chain_depth(e, whole, limit) : 0;
	}
	*strmap_put(&e->depths, name, strlen(name)) = (void *)(uintptr_t)(max + 1);
	return max;
}

/* -- punts ------------------------------------------------------------------------------------- */

/* The rule ends the walk whenever its first n expressions match. */
static bool is_final(const struct rule *r, uint32_t n)
{
	uint32_t i;

	for (i = n; i < r->exprs.n; i++) {
		const struct expr *e = r->exprs.v[i];

		switch (e->kind) {
		case EX_REJECT:
		case EX_QUEUE:
			return true;
		case EX_IMMEDIATE:
			if (e->imm.dreg != REG_VERDICT)
				break;
			return e->imm.verdict.code == V_ACCEPT || e->imm.verdict.code == V_DROP;
		case EX_LOG:
		case EX_COUNTER:
		case EX_LAST:
		case EX_NOTRACK:
			break;
		default:
			return false;
		}
	}
	return false;
}

static const char *punt_target(struct emit *e, const struct sp_ctx *x, uint32_t i)
{
	const char *policy = e->b->c->policy == V_DROP && e->b->c->has_policy ? "drop" : "accept";
	bool drop = *policy == 'd';
	struct sp_rchain *p;
	const struct sp_ctx *f;
	uint32_t at;

	if (!x->ret && !x->depth && !drop)
		return rest_name(e, x->chain, i);
	p = new_chain(e, new_name(e, 'p'));
	for (f = x, at = i; f; at = f->ret_at, f = f->ret)
		if (at < f->chain->rules.n)
			line(e, p, NULL,
			     arena_printf(e->s->arena, "jump %s", rest_name(e, f->chain, at)),
			     NULL);
	line(e, p, NULL, policy, NULL);
	return p->name;
}

static const char *punt_note(struct emit *e, const struct rule *r, const char *why)
{
	return arena_printf(e->s->arena, "%s rule %u: %s", r->chain->name, r->index,
			    why ? why : "");
}

static void emit_punt(struct emit *e, struct sp_rchain *out, const struct sp_ctx *x, uint32_t i)
{
	const struct rule *r = x->chain->rules.v[i];
	const struct sp_rule *sr = sp_rule(e->b, r);
	const char *note = punt_note(e, r, sr->why);

	if (is_final(r, sr->n_match)) {
		line(e, out, r, NULL, note);
		return;
	}
	cond_line(e, out, condition(e, r, sr->n_match, go(e, V_GOTO, punt_target(e, x, i))), note);
}

/* -- the skeleton ------------------------------------------------------------------------------ */

static const char *skeleton(struct emit *e, const struct sp_ctx *x);

static bool punt_within(const struct sp_base *b, uint32_t from, uint32_t to)
{
	vec_foreach(&b->punts, it)
		if (*it >= from && *it < to)
			return true;
	return false;
}

/* Whether the skeleton needs a kid: punts in it, or accepts that keep packets from later punts. */
static bool kid_matters(struct emit *e, const struct sp_ctx *k)
{
	uint32_t i;

	if (!k->chain->rules.n)
		return false;
	if (punt_within(e->b, k->step[0], k->end))
		return true;
	for (i = k->step[0]; i < k->end; i++) {
		const struct sp_step *st = &e->b->steps.v[i];
		const struct sp_rule *r = sp_rule(e->b, st->ctx->chain->rules.v[st->index]);
		const struct set *vmap;
		struct verdict v = sp_verdict(r->r, &vmap);
		struct fb_facts f;

		if (v.code != V_ACCEPT && !vmap)
			continue;
		f = sp_facts(e->s->arena, e->b, st);
		if (sp_later_punt(e->s, e->b, k->end - 1, &f))
			return true;
	}
	return false;
}

static struct verdict kid_verdict(struct emit *e, const struct sp_ctx *x, uint32_t i,
				  const struct verdict *v)
{
	const struct sp_ctx *k = sp_kid(x, i, v);

	if (!k || !kid_matters(e, k))
		return (struct verdict){ .code = v->code == V_GOTO ? V_RETURN : V_CONTINUE };
	return go(e, v->code, skeleton(e, k));
}

/* A verdict map with the verdicts that the skeleton needs. NULL: none. */
static const struct rule *emit_vmap(struct emit *e, const struct sp_ctx *x, uint32_t i,
				    const struct set *m)
{
	struct arena *a = e->s->arena;
	const struct rule *r = x->chain->rules.v[i];
	struct set *copy = arena_dup(a, m, sizeof(*m));
	struct rule *t = arena_dup(a, r, sizeof(*r));
	bool any = false;

	memset(&copy->elems, 0, sizeof(copy->elems));
	vec_foreach(&m->elems, it) {
		struct set_elem *el = arena_dup(a, *it, sizeof(**it));

		if (el->verdict.code == V_DROP)
			el->verdict.code = V_CONTINUE;
		else if (el->verdict.chain)
			el->verdict = kid_verdict(e, x, i, &el->verdict);
		any = any || el->verdict.code != V_CONTINUE;
		el->n_exprs = 0;
		*vec_push(a, &copy->elems) = el;
	}
	if (!any)
		return NULL;
	copy->flags |= SET_ANONYMOUS;
	memset(&t->exprs, 0, sizeof(t->exprs));
	memset(&t->xt, 0, sizeof(t->xt));
	t->comment = t->text = NULL;
	vec_foreach(&r->exprs, it) {
		struct expr *y = *it;

		if (y->kind == EX_COUNTER || y->kind == EX_LAST || y->kind == EX_OBJREF ||
		    y->kind == EX_XTNEED)
			continue;
		if (y->kind == EX_LOOKUP && y->lookup.dreg == REG_VERDICT) {
			y = arena_dup(a, y, expr_size(y->kind));
			y->lookup.set = copy;
		} else if (y->kind == EX_LOOKUP && !(y->lookup.set->flags & SET_ANONYMOUS)) {
			*vec_push(a, &e->res->sets) = y->lookup.set;
		}
		*vec_push(a, &t->exprs) = y;
	}
	return t;
}

static void emit_rule(struct emit *e, struct sp_rchain *out, const struct sp_ctx *x, uint32_t i)
{
	const struct rule *r = x->chain->rules.v[i];
	struct sp_rule *sr = sp_rule(e->b, r);
	uint32_t step = x->step[i], next = i + 1 < x->chain->rules.n ? x->step[i + 1] : x->end;
	const struct rule *cond = NULL;
	const struct set *vmap;
	struct verdict v = sp_verdict(r, &vmap), w = v;
	struct fb_facts f = sp_facts(e->s->arena, e->b, &e->b->steps.v[step]);

	if (sr->impure || !sr->decisive)
		return; /* no later punt depends on it: split.c made sure */
	if (vmap) {
		if (sp_later_punt(e->s, e->b, step, &f))
			cond = emit_vmap(e, x, i, vmap);
	} else if (v.chain) {
		bool later = sp_later_punt(e->s, e->b, next - 1, &f);

		w = kid_verdict(e, x, i, &v);
		if (w.chain || (v.code == V_GOTO && later))
			cond = condition(e, r, r->exprs.n, w);
	} else if (sp_later_punt(e->s, e->b, step, &f)) {
		cond = condition(e, r, r->exprs.n, v);
	}
	if (!cond)
		return;
	sr->guard = true;
	cond_line(e, out, cond, NULL);
}

static void emit_body(struct emit *e, struct sp_rchain *out, const struct sp_ctx *x)
{
	uint32_t i;

	for (i = 0; i < x->chain->rules.n && !e->bad; i++) {
		const struct sp_rule *sr = sp_rule(e->b, x->chain->rules.v[i]);

		if (!e->b->punts.n || e->b->punts.v[e->b->punts.n - 1] < x->step[i])
			return; /* no punt from here on */
		if (!sr->punt) {
			emit_rule(e, out, x, i);
			continue;
		}
		emit_punt(e, out, x, i);
		if (!sr->n_match)
			return;
	}
}

static const char *skeleton(struct emit *e, const struct sp_ctx *x)
{
	struct sp_rchain *c = new_chain(e, new_name(e, 's'));

	emit_body(e, c, x);
	return c->name;
}

/* Every rule that the residue has whole must have words. */
static bool rests_have_words(struct split *s, const struct sp_base *b)
{
	uint32_t c, i;

	for (c = 0; c < b->c->table->chains.n; c++)
		for (i = 0; b->rules[c] && i < b->c->table->chains.v[c]->rules.n; i++) {
			struct sbuf t;

			sb_init(&t, s->arena);
			if (!fb_print_rule(b->rules[c][i].r, &zeroed, &t))
				return false;
		}
	return true;
}

bool sp_residual(struct split *s, struct sp_base *b)
{
	struct emit e = { .s = s, .b = b };

	b->res = e.res = arena_new_of(s->arena, struct sp_resid);
	strmap_init(&e.depths, s->arena);
	strmap_init(&e.by_name, s->arena);
	if (!rests_have_words(s, b))
		return false;
	emit_body(&e, new_chain(&e, b->c->name), b->root);
	vec_foreach(&e.res->chains, it)
		finish_chain(&e, *it);
	emit_rests(&e);
	if (text_depth(&e, b->c->name, 40) > MAX_DEPTH) {
		b->reason = FBR_DEPTH;
		e.bad = true;
	}
	return !e.bad;
}
