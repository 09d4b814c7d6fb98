// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * split: partial evaluation of base chains.
 *
 * For each base chain: which rules the program does, and where it punts: ends with ACCEPT so that
 * the residual chain behind it does the rest. Everything here only ever adds punts (or keeps chains
 * whole), so the rules below are applied until nothing changes:
 *   1. a rule with something that cannot be lowered is a punt, before its first expression that is
 *      not pure;
 *   2. a rule that ends or diverts the walk, and whose match depends on more than the packet, is a
 *      punt when a later punt may see the same packets: the residual chain could not know how it
 *      was decided;
 *   3. state that the residue touches (limits, quotas, dynamic sets, sets whose elements hold such)
 *      is the residue's: rules that touch it are punts (shared.c).
 */
#include "split.h"

#define MAX_STEPS 50000u
#define MAX_DEPTH 15u
#define PAYS	  0.95 /* a split must be cheaper than that part of nftables' cost */

struct sp_rule *sp_rule(const struct sp_base *b, const struct rule *r)
{
	return b->rules[r->chain->index] ? &b->rules[r->chain->index][r->index] : NULL;
}

struct verdict sp_verdict(const struct rule *r, const struct set **vmap)
{
	*vmap = NULL;
	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;

		if (e->kind == EX_IMMEDIATE && e->imm.dreg == REG_VERDICT)
			return e->imm.verdict;
		if (e->kind == EX_LOOKUP && e->lookup.dreg == REG_VERDICT) {
			*vmap = e->lookup.set;
			return (struct verdict){ .code = V_CONTINUE };
		}
	}
	return (struct verdict){ .code = V_CONTINUE };
}

const char *sp_reason(struct split *s, enum fb_reason reason, const char *what)
{
	char buf[512];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(buf, sizeof(buf), fb_reason_text[reason], what);
#pragma GCC diagnostic pop
	return arena_strdup(s->arena, buf);
}

/* -- rules ------------------------------------------------------------------------------------- */

static bool ends_match(const struct expr *e)
{
	return e->kind == EX_CMP || e->kind == EX_RANGE ||
	       (e->kind == EX_LOOKUP && e->lookup.dreg == REG_NONE);
}

/* The longest run of whole matches among the first n_pure expressions that nft has words for. */
static uint32_t match_end(struct arena *a, const struct rule *r, uint32_t n_pure)
{
	uint32_t n;

	for (n = n_pure; n; n--) {
		struct sbuf b;

		if (!ends_match(r->exprs.v[n - 1]))
			continue;
		sb_init(&b, a);
		if (fb_print_match(r, n, &b))
			return n;
	}
	return 0;
}

/*
 * A lookup that yields a verdict or data is no match of its own: facts end with the whole matches.
 */
static void find_match(struct arena *a, struct sp_rule *x)
{
	x->n_match = match_end(a, x->r, x->n_pure);
	fb_facts_of(a, x->r, x->n_match, &x->pfacts);
}

void sp_punt(struct arena *a, struct sp_rule *r, enum fb_reason reason, const char *why)
{
	if (r->known && !r->punt)
		find_match(a, r);
	r->punt = true;
	r->reason = reason;
	r->why = why;
}

static bool vmap_decides(const struct set *m)
{
	vec_foreach(&m->elems, it)
		if ((*it)->verdict.code != V_DROP && (*it)->verdict.code != V_CONTINUE)
			return true;
	return !(m->flags & (SET_ANONYMOUS | SET_CONSTANT));
}

static void rule_init(struct split *s, struct sp_base *b, const struct rule *r)
{
	struct sp_rule *x = sp_rule(b, r);
	const struct set *vmap;
	struct verdict v = sp_verdict(r, &vmap);
	bool pure = true, decides;
	uint32_t i;

	x->r = r;
	for (i = 0; i < r->exprs.n; i++) {
		const struct expr *e = r->exprs.v[i];
		struct fb_support sup = fb_rule_support(s->opt, b->c, r, i);
		enum fb_effect eff = fb_effect(r, i, &decides);

		if (eff == FB_WRITE && e->kind != EX_LOG && e->kind != EX_REJECT &&
		    e->kind != EX_QUEUE)
			b->writes = true;
		if (sup.reason != FBR_NONE && !x->punt)
			sp_punt(s->arena, x, sup.reason, sp_reason(s, sup.reason, sup.what));
		if ((eff == FB_VOLATILE || eff == FB_STATE) && decides)
			x->impure = true;
		if (sup.reason != FBR_NONE || eff != FB_PURE)
			pure = false;
		if (pure && !(e->kind == EX_IMMEDIATE && e->imm.dreg == REG_VERDICT))
			x->n_pure = i + 1;
	}
	if (vmap && !(vmap->flags & (SET_ANONYMOUS | SET_CONSTANT)) && !s->opt->static_sets)
		x->impure = true; /* its verdicts may change under the residual chain's copy */
	x->decisive = vmap ? vmap_decides(vmap) : v.code != V_DROP && v.code != V_CONTINUE;
	x->known = true;
	if (x->punt)
		find_match(s->arena, x);
}

const struct fb_facts *sp_rule_facts(struct arena *a, struct sp_rule *x)
{
	if (!x->has_facts)
		fb_facts_of(a, x->r, x->n_pure, &x->facts);
	x->has_facts = true;
	return &x->facts;
}

static void reach(struct split *s, struct sp_base *b, struct chain *c)
{
	if (b->rules[c->index])
		return;
	b->rules[c->index] = arena_array(s->arena, struct sp_rule, c->rules.n + 1);
	b->n_reached += c->rules.n;
	vec_foreach(&c->rules, it) {
		const struct set *vmap;
		struct verdict v = sp_verdict(*it, &vmap);

		rule_init(s, b, *it);
		if (v.chain)
			reach(s, b, v.chain);
		if (vmap)
			vec_foreach(&vmap->elems, e)
				if ((*e)->verdict.chain)
					reach(s, b, (*e)->verdict.chain);
	}
}

/* -- call contexts ----------------------------------------------------------------------------- */

static bool walk(struct split *s, struct sp_base *b, struct sp_ctx *x);

static bool walk_kid(struct split *s, struct sp_base *b, struct sp_ctx *x, uint32_t at,
		     const struct verdict *v, const struct fb_facts *facts)
{
	struct sp_ctx *k;

	if (v->code != V_JUMP && v->code != V_GOTO)
		return true;
	if (sp_kid(x, at, v))
		return true;
	k = arena_new_of(s->arena, struct sp_ctx);
	k->chain = v->chain;
	k->caller = x;
	k->at = at;
	k->is_goto = v->code == V_GOTO;
	k->ret = k->is_goto ? x->ret : x;
	k->ret_at = k->is_goto ? x->ret_at : at + 1;
	k->depth = x->depth + !k->is_goto;
	k->facts = facts;
	*vec_push(s->arena, &x->kids) = k;
	return k->depth <= MAX_DEPTH && walk(s, b, k);
}

struct sp_ctx *sp_kid(const struct sp_ctx *x, uint32_t at, const struct verdict *v)
{
	vec_foreach(&x->kids, it)
		if ((*it)->at == at && (*it)->chain == v->chain &&
		    (*it)->is_goto == (v->code == V_GOTO))
			return *it;
	return NULL;
}

/* Lists the rules in the order of evaluation, jumps followed. False: too many. */
static bool walk(struct split *s, struct sp_base *b, struct sp_ctx *x)
{
	uint32_t i;

	x->step = arena_array(s->arena, uint32_t, x->chain->rules.n + 1);
	for (i = 0; i < x->chain->rules.n; i++) {
		const struct rule *r = x->chain->rules.v[i];
		struct sp_rule *sr = sp_rule(b, r);
		const struct set *vmap;
		struct verdict v = sp_verdict(r, &vmap);
		struct fb_facts *f;

		x->step[i] = b->steps.n;
		if (b->steps.n >= MAX_STEPS)
			return false;
		*vec_push(s->arena, &b->steps) = (struct sp_step){ x, i };
		if (sr->punt || (!v.chain && !vmap))
			continue;
		f = arena_dup(s->arena, sp_rule_facts(s->arena, sr), sizeof(*f));
		f->outer = x->facts;
		if (v.chain && !walk_kid(s, b, x, i, &v, f))
			return false;
		if (vmap)
			vec_foreach(&vmap->elems, e)
				if (!walk_kid(s, b, x, i, &(*e)->verdict, f))
					return false;
	}
	x->end = b->steps.n;
	return true;
}

struct fb_facts sp_facts(struct arena *a, const struct sp_base *b, const struct sp_step *st)
{
	struct sp_rule *x = sp_rule(b, st->ctx->chain->rules.v[st->index]);
	struct fb_facts f = x->punt ? x->pfacts : *sp_rule_facts(a, x);

	f.outer = st->ctx->facts;
	return f;
}

static const struct sp_rule *step_rule(const struct sp_base *b, const struct sp_step *st)
{
	return sp_rule(b, st->ctx->chain->rules.v[st->index]);
}

bool sp_later_punt(struct split *s, const struct sp_base *b, uint32_t i, const struct fb_facts *f)
{
	uint32_t k;

	for (k = b->punts.n; k-- && b->punts.v[k] > i;) {
		struct fb_facts p = sp_facts(s->arena, b, &b->steps.v[b->punts.v[k]]);

		if (!fb_disjoint(f, &p))
			return true;
	}
	return false;
}

static void collect_punts(struct split *s, struct sp_base *b)
{
	uint32_t i;

	b->punts.n = 0;
	for (i = 0; i < b->steps.n; i++)
		if (step_rule(b, &b->steps.v[i])->punt)
			*vec_push(s->arena, &b->punts) = i;
}

/* Rule 2 of the head comment. */
static bool punt_decisions(struct split *s, struct sp_base *b)
{
	bool changed = false;
	uint32_t i;

	for (i = b->steps.n; i--;) {
		struct sp_rule *r = (struct sp_rule *)step_rule(b, &b->steps.v[i]);
		struct fb_facts f;

		if (r->punt || !r->impure || !r->decisive)
			continue;
		f = sp_facts(s->arena, b, &b->steps.v[i]);
		if (!sp_later_punt(s, b, i, &f))
			continue;
		sp_punt(s->arena, r, FBR_DECIDES,
			sp_reason(s, FBR_DECIDES, "a condition that nftables cannot ask again"));
		collect_punts(s, b);
		changed = true;
	}
	return changed;
}

/* -- base chains ------------------------------------------------------------------------------- */

static void whole_nft(struct split *s, struct sp_base *b, enum fb_reason reason, const char *what)
{
	b->state = SP_WHOLE_NFT;
	b->reason = reason;
	b->why = reason == FBR_COST ? what : sp_reason(s, reason, what);
	s->changed = true;
}

static bool any_punt(const struct sp_base *b)
{
	uint32_t c, i;

	for (c = 0; c < b->c->table->chains.n; c++)
		for (i = 0; b->rules[c] && i < b->c->table->chains.v[c]->rules.n; i++)
			if (b->rules[c][i].punt)
				return true;
	return false;
}

static struct sp_base *base_new(struct split *s, struct chain *c)
{
	struct sp_base *b = arena_new_of(s->arena, struct sp_base);
	const struct table *t = c->table;

	b->c = c;
	b->state = SP_WHOLE_BPF;
	b->res_prio = b->link_prio = c->prio;
	b->rules = arena_array(s->arena, struct sp_rule *, t->chains.n);
	if (t->family != FAM_INET && t->family != FAM_IP && t->family != FAM_IP6)
		whole_nft(s, b, FBR_FAMILY, family_name(t->family));
	else if (t->flags & 1)
		whole_nft(s, b, FBR_DORMANT, t->name);
	else if (t->flags & 2)
		whole_nft(s, b, FBR_OWNED, t->name);
	else if (c->hook > HOOK_POSTROUTING)
		whole_nft(s, b, FBR_HOOK, hook_name(t->family, c->hook));
	else if (strcmp(c->type, "filter"))
		whole_nft(s, b, FBR_CHAIN_TYPE, c->type);
	reach(s, b, c);
	return b;
}

/* One round for a base chain. */
static void base_round(struct split *s, struct sp_base *b)
{
	if (b->state == SP_WHOLE_NFT)
		return;
	sp_punt_shared(s, b);
	if (!any_punt(b))
		return;
	if (s->opt->partial == FB_PARTIAL_NEVER) {
		whole_nft(s, b, FBR_PARTIAL, b->c->name);
		return;
	}
	b->state = SP_SPLIT;
	do {
		b->steps.n = 0;
		b->root = arena_new_of(s->arena, struct sp_ctx);
		b->root->chain = b->c;
		if (!walk(s, b, b->root)) {
			whole_nft(s, b, FBR_SIZE, b->c->name);
			return;
		}
		collect_punts(s, b);
	} while (punt_decisions(s, b));
	if (!b->punts.n) /* every one stands behind another: cannot be */
		BUG("chain %s: punts without steps", b->c->name);
}

static void fixpoint(struct split *s)
{
	do {
		s->changed = false;
		vec_foreach(&s->bases, it)
			base_round(s, *it);
		vec_foreach(&s->bases, it) {
			struct sp_base *b = *it;
			uint32_t c, i;

			for (c = 0; c < b->c->table->chains.n; c++)
				for (i = 0; b->rules[c] && i < b->c->table->chains.v[c]->rules.n;
				     i++)
					b->rules[c][i].in_rest = b->rules[c][i].guard =
						b->rules[c][i].printed = false;
			sp_residue(s, b);
		}
	} while (s->changed);
}

/*
 * Too large or too deep: everything from the base chain's first punt on goes to nftables, without a
 * condition. False: that is so already.
 */
static bool punt_all(struct split *s, struct sp_base *b)
{
	const struct sp_ctx *x = b->steps.v[b->punts.v[0]].ctx;
	uint32_t i = b->steps.v[b->punts.v[0]].index;
	struct sp_rule *r;

	for (; x->caller; x = x->caller)
		i = x->at;
	r = sp_rule(b, x->chain->rules.v[i]);
	if (r->punt && !r->n_match)
		return false;
	if (!r->punt)
		sp_punt(s->arena, r, b->reason, sp_reason(s, b->reason, b->c->name));
	r->n_match = 0;
	memset(&r->pfacts, 0, sizeof(r->pfacts));
	b->reason = FBR_NONE;
	s->changed = true;
	return true;
}

/*
 * A limit must not stand in two places. In a base chain it never does; of a user chain, the suffix
 * and the whole may both be asked for: then all ask for the whole.
 */
static void state_once(struct split *s)
{
	const struct rule *twice = sp_state_twice(s);
	const struct chain *c = twice ? twice->chain : NULL;

	vec_foreach(&s->bases, it) {
		struct sp_base *b = *it;
		struct sp_rule *x;

		if (!c || b->state != SP_SPLIT || b->c->table != c->table || !b->rules[c->index])
			continue;
		x = &b->rules[c->index][0];
		if (c == b->c || c->is_bound || (x->punt && !x->n_match)) {
			whole_nft(s, b, FBR_SHARED, expr_kind_name(EX_LIMIT));
			continue;
		}
		if (!x->punt)
			sp_punt(s->arena, x, FBR_SHARED,
				sp_reason(s, FBR_SHARED, "the state of a later rule"));
		x->n_match = 0;
		memset(&x->pfacts, 0, sizeof(x->pfacts));
		s->changed = true;
	}
	if (c && !s->changed)
		BUG("rule %u of chain %s stands twice", twice->index, c->name);
}

/*
 * Residual texts and costs: what cannot be said, or does not pay, stays whole. True: something
 * changed.
 */
static bool settle(struct split *s)
{
	s->changed = false;
	vec_foreach(&s->bases, it) {
		struct sp_base *b = *it;

		if (b->state != SP_SPLIT)
			continue;
		if (!sp_residual(s, b)) {
			if (!b->reason || !punt_all(s, b))
				whole_nft(s, b, b->reason ? b->reason : FBR_TEXT, b->c->name);
			continue;
		}
		sp_cost(s, b);
		if (s->opt->partial == FB_PARTIAL_AUTO && b->ns_split > b->ns_nft * PAYS)
			whole_nft(s, b, FBR_COST,
				  arena_printf(s->arena,
					       "splitting chain %s does not pay: %.0f ns for the "
					       "common packet, %.0f in nftables alone",
					       b->c->name, b->ns_split, b->ns_nft));
	}
	if (!s->changed)
		state_once(s);
	if (!s->changed && !sp_priorities(s))
		s->changed = true;
	return s->changed;
}

/* -- the plan ---------------------------------------------------------------------------------- */

/*
 * Which rules the program comes to. False: nothing behind a jump to the chain is reached: neither
 * its end, nor a return, nor the end of a chain that it goes to.
 */
static bool mark_reached(struct sp_base *b, const struct chain *c)
{
	bool back = false;
	uint32_t i;

	if (b->through[c->index])
		return b->through[c->index] == 1;
	b->through[c->index] = 2;
	for (i = 0; i < c->rules.n; i++) {
		const struct rule *r = c->rules.v[i];
		struct sp_rule *x = sp_rule(b, r);
		const struct set *vmap;
		struct verdict v = sp_verdict(r, &vmap);
		bool through = true;

		x->reached = true;
		if (x->punt) {
			if (!x->n_match)
				break;
			continue;
		}
		if (v.chain)
			through = mark_reached(b, v.chain);
		back |= v.code == V_RETURN || (v.code == V_GOTO && through);
		if (vmap)
			vec_foreach(&vmap->elems, e) {
				if ((*e)->verdict.chain)
					through = mark_reached(b, (*e)->verdict.chain);
				back |= (*e)->verdict.code == V_RETURN ||
					((*e)->verdict.code == V_GOTO && through);
			}
		if (r->exprs.n == 1 && ((v.code == V_JUMP && !through) || v.code == V_ACCEPT ||
					v.code == V_DROP || v.code == V_GOTO || v.code == V_RETURN))
			break;
	}
	back |= i == c->rules.n;
	b->through[c->index] = back ? 1 : 2;
	return back;
}

static const char *prog_name(struct split *s, const struct chain *c, uint8_t pf)
{
	char stem[12], *name;
	uint32_t i, n = 0;
	bool taken;

	for (i = 0; c->name[i] && i < 9; i++) {
		char ch = c->name[i];
		bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' ||
			  (ch >= '0' && ch <= '9' && i);

		stem[i] = ok ? ch : '_';
	}
	stem[i] = 0;
	do {
		name = n ? arena_printf(s->arena, "%s%u_v%d", stem, n, pf == FAM_IP ? 4 : 6)
			 : arena_printf(s->arena, "%s_v%d", stem, pf == FAM_IP ? 4 : 6);
		taken = strlen(name) > 15;
		vec_foreach(&s->plan->progs, it)
			taken = taken || !strcmp((*it)->name, name);
		n++;
		if (strlen(name) > 15)
			stem[strlen(stem) - 1] = 0;
	} while (taken);
	return name;
}

static void prog_new(struct split *s, struct sp_base *b, uint8_t pf)
{
	struct plan_prog *p = arena_new_of(s->arena, struct plan_prog);
	const struct table *t = b->c->table;
	uint32_t c, i;

	p->name = prog_name(s, b->c, pf);
	p->base = b->c;
	p->pf = pf;
	p->hook = b->c->hook;
	p->prio = b->link_prio;
	p->residual = b->state == SP_SPLIT;
	p->acts = arena_array(s->arena, struct rule_act *, t->chains.n);
	for (c = 0; c < t->chains.n; c++) {
		uint32_t n = t->chains.v[c]->rules.n;

		if (!b->rules[c])
			continue;
		p->acts[c] = arena_array(s->arena, struct rule_act, n + 1);
		for (i = 0; i < n; i++) {
			const struct sp_rule *x = &b->rules[c][i];
			struct rule_act *a = &p->acts[c][i];

			if (!x->reached)
				continue;
			a->act = x->punt ? RULE_PUNT : RULE_LOWER;
			a->n_match = x->punt ? x->n_match : 0;
			a->why = x->why;
			a->group = x->punt ? fb_reason_name[x->reason] : NULL;
		}
	}
	*vec_push(s->arena, &s->plan->progs) = p;
}

/* No rules, and everybody is accepted. */
static bool does_nothing(const struct sp_base *b)
{
	return b->state == SP_WHOLE_BPF && !b->c->rules.n && !b->c->has_counter &&
	       !(b->c->has_policy && b->c->policy == V_DROP);
}

/*
 * A program that does nothing costs more than none, as long as there are others to make an object
 * of.
 */
static bool no_program(const struct split *s, const struct sp_base *b)
{
	if (!does_nothing(b))
		return false;
	vec_foreach(&s->bases, it)
		if ((*it)->state != SP_WHOLE_NFT && !does_nothing(*it))
			return true;
	return false;
}

static void plan_base(struct split *s, struct sp_base *b)
{
	struct plan_chain *pc = vec_push(s->arena, &s->plan->chains);
	uint8_t fam = (uint8_t)b->c->table->family;

	*pc = (struct plan_chain){ .chain = b->c,
				   .where = b->state == SP_WHOLE_BPF ? PW_BPF
					    : b->state == SP_SPLIT   ? PW_BOTH
								     : PW_NFT,
				   .why = b->why,
				   .group = b->state == SP_WHOLE_NFT ? fb_reason_name[b->reason]
								     : NULL,
				   .res_prio = b->res_prio,
				   .ns_nft = b->ns_nft,
				   .ns_split = b->ns_split };
	if (b->state == SP_WHOLE_NFT || no_program(s, b))
		return;
	b->through = arena_alloc(s->arena, b->c->table->chains.n);
	mark_reached(b, b->c);
	if (fam != FAM_IP6)
		prog_new(s, b, FAM_IP);
	if (fam != FAM_IP)
		prog_new(s, b, FAM_IP6);
}

static void where_in(struct split *s, const struct sp_base *b, const struct rule *r,
		     struct plan_rule *p)
{
	const struct sp_rule *x = b->c->table == r->chain->table ? sp_rule(b, r) : NULL;
	bool bpf, nft;

	if (!x)
		return;
	nft = b->state == SP_WHOLE_NFT ||
	      (b->state == SP_SPLIT && (x->in_rest || x->guard || x->punt));
	bpf = b->state != SP_WHOLE_NFT && x->reached && (!x->punt || x->n_match);
	if (nft && !p->why) {
		bool chain = b->state == SP_WHOLE_NFT &&
			     (!x->punt || (b->reason >= FBR_FAMILY && b->reason <= FBR_OWNED));
		enum fb_reason reason = chain			    ? b->reason
					: x->punt		    ? x->reason
					: !x->reached || x->in_rest ? FBR_AFTER
								    : FBR_GUARD;

		p->group = fb_reason_name[reason];
		p->why = chain ? b->why : x->punt ? x->why : fb_reason_text[reason];
	}
	p->where |= (bpf ? PW_BPF : 0) | (nft ? PW_NFT : 0);
}

/* Where a rule that nothing reaches would run, were its chain called from a filter chain. */
static enum plan_where would_run(const struct split *s, const struct rule *r)
{
	struct chain base = *r->chain;
	enum family f = base.table->family;
	uint32_t i;

	base.is_base = true;
	base.type = "filter";
	base.hook = HOOK_INPUT;
	for (i = 0; i < r->exprs.n; i++)
		if (fb_rule_support(s->opt, &base, r, i).reason != FBR_NONE)
			return PW_NFT;
	return f == FAM_INET || f == FAM_IP || f == FAM_IP6 ? PW_BPF : PW_NFT;
}

static void plan_rules(struct split *s)
{
	struct plan *p = s->plan;

	vec_foreach(&s->rs->tables, t)
		vec_foreach(&(*t)->chains, c)
			vec_foreach(&(*c)->rules, r) {
				struct plan_rule *x = vec_push(s->arena, &p->rules);

				*x = (struct plan_rule){ .rule = *r };
				vec_foreach(&s->bases, b)
					where_in(s, *b, *r, x);
				switch (x->where) {
				case PW_BPF:
					p->n_bpf++;
					break;
				case PW_NFT:
					p->n_nft++;
					break;
				case PW_BOTH:
					p->n_both++;
					break;
				default:
					p->n_none++;
					x->would = would_run(s, *r);
					x->why = fb_reason_text[FBR_UNREACHED];
					x->group = fb_reason_name[FBR_UNREACHED];
				}
			}
}

struct plan *fb_plan(struct ruleset *rs, const struct fb_options *opt)
{
	struct split *s = arena_new_of(rs->arena, struct split);

	s->arena = rs->arena;
	s->rs = rs;
	s->opt = opt;
	s->plan = arena_new_of(rs->arena, struct plan);
	s->plan->arena = rs->arena;
	s->plan->rs = rs;
	strmap_init(&s->in_nft, rs->arena);
	strmap_init(&s->printed, rs->arena);
	sp_note_written(s);
	ruleset_note_states(rs);
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->chains, c)
			if ((*c)->is_base)
				*vec_push(s->arena, &s->bases) = base_new(s, *c);
	do
		fixpoint(s);
	while (settle(s));
	vec_foreach(&s->bases, it)
		plan_base(s, *it);
	if (opt->fuse)
		plan_fuse(s->plan);
	sp_fallback(s);
	plan_rules(s);
	return s->plan;
}
