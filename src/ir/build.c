// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Builds IR from a plan: a function for each program, chains lowered in place where one jump
 * reaches them or they are small, else a function of their own. Rules, jumps and verdicts stand
 * here; expressions in build_*.c.
 */
#include "dispatch.h"

struct rule_act lower_act(const struct bld *b, const struct rule *r)
{
	const struct rule_act *row = b->prog->acts[r->chain->index];

	return row ? row[r->index] : (struct rule_act){ .act = RULE_NEVER };
}

/* -- verdicts and jumps ------------------------------------------------------------------------ */

static void lower_chain(struct bld *b, const struct chain *c);

struct ir_fn *lower_fn_new(struct bld *b, const struct chain *c, const char *name)
{
	struct ir_fn *fn = ir_fn_new(b->m, IR_FN_CHAIN, name);

	fn->pf = b->prog->pf;
	fn->chain = c;
	fn->hook = b->prog->hook;
	fn->prio = b->prog->prio;
	fn->prog = b->n_prog;
	fn->sparing = b->prog->sparing >= SPARING_VALUES;
	return fn;
}

static struct ir_fn *chain_fn(struct bld *b, const struct chain *c)
{
	struct bchain *bc = &b->chains[c->index];
	const struct bld was = *b;

	if (bc->fn)
		return bc->fn;
	bc->fn = lower_fn_new(b, c, arena_printf(b->m->arena, "%s_c%u", b->prog->name, c->index));
	lower_begin(b, bc->fn);
	lower_chain(b, c);
	b->c.blk = b->end;
	ir_ret(&b->c, 2);
	lower_finish(b);
	lower_resume(b, &was);
	return bc->fn;
}

/* A final verdict of the callee is the caller's; its end goes on at `after`. */
static void call_chain(struct bld *b, const struct chain *c, struct ir_block *after)
{
	struct ir_block *final = ir_block_new(b->c.fn);
	struct ir_ins *r = lower_call(b, chain_fn(b, c));

	ir_br(&b->c, bcond(b, IR_EQ, r, 2), after, final);
	b->c.blk = final;
	lower_final(b, r);
}

/* In place: the chain ends where its caller goes on. */
static void inline_chain(struct bld *b, const struct chain *c, struct ir_block *after,
			 struct bpos *up)
{
	struct ir_block *brk = b->brk, *end = b->end;
	struct bpos *pos = b->pos;
	const struct binfo *info = b->info;
	const struct rule *rule = b->c.rule;

	b->end = after;
	b->pos = up;
	b->level++;
	lower_chain(b, c);
	b->level--;
	b->pos = pos;
	b->brk = brk;
	b->end = end;
	b->info = info;
	b->c.rule = rule;
}

/* Of the base chain; another one may be fused behind it. */
static void accept(struct bld *b)
{
	if (b->accepted)
		ir_jmp(&b->c, b->accepted);
	else
		ir_ret(&b->c, 1);
}

void lower_verdict(struct bld *b, const struct verdict *v)
{
	struct ir_block *after = v->code == V_GOTO ? b->end : b->brk;

	switch (v->code) {
	case V_CONTINUE:
		return;
	case V_DROP:
		ir_ret(&b->c, 0);
		break;
	case V_ACCEPT:
		accept(b);
		break;
	case V_BREAK:
		ir_jmp(&b->c, b->brk);
		break;
	case V_RETURN:
		ir_jmp(&b->c, b->end);
		break;
	case V_JUMP:
	case V_GOTO:
		if (b->chains[v->chain->index].call)
			call_chain(b, v->chain, after);
		else
			inline_chain(b, v->chain, after, v->code == V_GOTO ? b->pos->up : b->pos);
		break;
	case V_QUEUE:
		BUG("queue in a rule that was planned to be lowered");
	}
	b->dead = true;
}

/* -- rules ------------------------------------------------------------------------------------- */

void lower_expr(struct bld *b, const struct rule *r, uint32_t index, const struct expr *e)
{
	switch (e->kind) {
	case EX_IMMEDIATE:
		if (e->imm.dreg == REG_VERDICT)
			lower_verdict(b, &e->imm.verdict);
		else
			for (uint32_t i = 0; i < DIV_ROUND_UP(e->imm.data.len, 4u); i++)
				breg_set(b, REG_WORD(e->imm.dreg) + i,
					 bw(b, (uint32_t)bdata_mem(&e->imm.data, i * 4, 4)));
		break;
	case EX_CMP:
		lower_cmp(b, e);
		break;
	case EX_RANGE:
		lower_range(b, e);
		break;
	case EX_BITWISE:
		lower_bitwise(b, e);
		break;
	case EX_BYTEORDER:
		lower_byteorder(b, e);
		break;
	case EX_PAYLOAD:
		lower_payload(b, e);
		break;
	case EX_XTNEED:
		lower_need(b, e);
		break;
	case EX_EXTHDR:
		lower_exthdr(b, e);
		break;
	case EX_META:
		lower_meta(b, e);
		break;
	case EX_RT:
		lower_rt(b, e);
		break;
	case EX_INNER:
		lower_inner(b, e);
		break;
	case EX_SOCKET:
		lower_socket(b, e);
		break;
	case EX_XFRM:
		lower_xfrm(b, e);
		break;
	case EX_HASH:
		lower_hash(b, e);
		break;
	case EX_CT:
		lower_ct(b, e);
		break;
	case EX_LOOKUP:
		lower_lookup(b, r, e);
		break;
	case EX_DYNSET:
		lower_dynset(b, r, e);
		break;
	case EX_COUNTER:
	case EX_LIMIT:
	case EX_QUOTA:
	case EX_LAST:
	case EX_NUMGEN:
	case EX_OBJREF:
		lower_state(b, r, index, e);
		break;
	default:
		BUG("%s in a rule that was planned to be lowered", expr_kind_name(e->kind));
	}
}

/*
 * Packet information of IPv6 has a branch in it, which no pass can merge with its like; so it is
 * made once, where the first rule that needs it begins, and holds for all that follows in the chain
 * and below.
 */
void lower_prepare(struct bld *b, const struct rule *r, uint32_t n)
{
	struct binfo *info;

	if (b->info || b->c.fn->pf == FAM_IP)
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (!expr_needs_info(r->exprs.v[i]))
			continue;
		info = arena_new_of(b->c.fn->arena, struct binfo);
		*info = lower_info(b);
		b->info = info;
		return;
	}
}

/* The rest of the chain starts at `next` when the rule breaks or ends without verdict. */
static void lower_rule(struct bld *b, const struct rule *r, struct rule_act act,
		       struct ir_block *next)
{
	uint32_t n = act.act == RULE_PUNT ? act.n_match : r->exprs.n;

	BUG_ON(act.act == RULE_PUNT && (b->prog->then || b->prog->behind));
	b->c.rule = r;
	b->brk = next;
	b->dead = false;
	memset(b->regs, 0, sizeof(b->regs));
	lower_prepare(b, r, n);
	for (uint32_t i = 0; i < n && !b->dead; i++)
		lower_expr(b, r, i, r->exprs.v[i]);
	if (b->dead)
		return;
	if (act.act == RULE_PUNT)
		ir_ret(&b->c, 1);
	else
		ir_jmp(&b->c, next);
}

static struct ir_note *note_of(struct bld *b, const struct rule *r)
{
	void **n = strmap_put(&b->m->notes, (const char *)&r, sizeof(r));

	if (!*n)
		*n = arena_new_of(b->m->arena, struct ir_note);
	return *n;
}

/* Rule `at` is lowered, or left out because `by` takes all its packets. */
static void note_rule(struct bld *b, struct dchain *dc, uint32_t at, const struct rule *by)
{
	struct ir_note *n = note_of(b, dc->chain->rules.v[at]);

	if (by && lower_act(b, by).act != RULE_LOWER)
		by = NULL; /* nftables goes on behind it */
	n->lowered++;
	n->shadowed += by != NULL;
	n->by = by ? by : n->by;
}

/* Rules [at, at + n) became a look-up; some may be shadowed by others of them. */
static void note_run(struct bld *b, struct dchain *dc, uint32_t at, uint32_t n)
{
	for (uint32_t k = at; k < at + n; k++) {
		struct ir_note *note;

		if (lower_act(b, dc->chain->rules.v[k]).act == RULE_NEVER ||
		    dispatch_never(b, dc, k))
			continue;
		if (k > at)
			note_rule(b, dc, k, dispatch_shadow(b, dc, k));
		note = note_of(b, dc->chain->rules.v[k]);
		note->lookup = dc->chain->rules.v[at];
		note->n_lookup = n;
	}
}

/*
 * The counter of a rule that is left out is one all the same: it is listed, and a later ruleset may
 * go on from it.
 */
static void keep_counter(struct bld *b, const struct drule *d, struct rule_act act)
{
	if (d->counter && act.act == RULE_LOWER)
		lower_state_of(b, d->rule, d->counter_index, d->counter);
}

uint32_t lower_at(struct bld *b, struct dchain *dc, uint32_t at)
{
	const struct rule *r = dc->chain->rules.v[at], *by;
	struct rule_act act = lower_act(b, r);
	struct ir_block *next;
	uint32_t n;

	if (act.act == RULE_NEVER || dispatch_never(b, dc, at))
		return 1;
	by = dispatch_shadow(b, dc, at);
	note_rule(b, dc, at, by);
	if (by) {
		keep_counter(b, dispatch_rule_at(b, dc, at, act), act);
		return 1;
	}
	b->brk = next = ir_block_new(b->c.fn);
	b->pos->next = at + 1;
	n = dispatch_run(b, dc, at);
	if (n) {
		note_run(b, dc, at, n);
	} else {
		lower_rule(b, r, act, next);
		n = 1;
	}
	b->c.blk = next;
	if (next->preds.n)
		return n;
	for (uint32_t k = at + n; k < dc->to; k++) /* no packet comes further */
		if (lower_act(b, dc->chain->rules.v[k]).act != RULE_NEVER)
			note_rule(b, dc, k, r);
	return dc->to - at;
}

uint32_t lower_rules(struct bld *b, const struct chain *c, uint32_t from, bool part)
{
	struct bpos pos = { .chain = c, .up = b->pos };
	struct dchain dc;
	uint32_t i = from;

	b->pos = &pos;
	dispatch_open(b, &dc, c, from, c->rules.n);
	while (i < c->rules.n) {
		bool full = lower_is_full(b);

		if (part && i > from && (full || lower_is_heavy(b, c->rules.v[i])))
			break;
		if (full && !part) {
			lower_cut(b, &dc, i);
			i = c->rules.n;
			break;
		}
		i += lower_at(b, &dc, i);
	}
	dispatch_close(&dc);
	b->pos = pos.up;
	b->c.rule = NULL;
	return i;
}

/* From the cursor on; every way through it that is not final ends at b->end. */
static void lower_chain(struct bld *b, const struct chain *c)
{
	lower_rules(b, c, 0, false);
	ir_jmp(&b->c, b->end);
}

/* -- functions --------------------------------------------------------------------------------- */

static void policy(struct bld *b, const struct chain *base)
{
	bool drop = base->has_policy && base->policy == V_DROP;
	struct ir_state st = { .kind = ST_COUNTER, .policy_of = base };

	if (base->has_counter) {
		struct ir_ins *i = ir_emit1(&b->c, IR_COUNT, IR_V, lower_skb_len(b));

		i->aux = lower_state_number(b, &st, base);
	}
	if (drop)
		ir_ret(&b->c, 0);
	else
		accept(b);
}

/*
 * The base chain of the program at hand, with its policy. False: it is too large, and nothing of
 * use.
 */
static bool build_base(struct bld *b)
{
	const struct chain *base = b->prog->base;
	struct ir_block *end = b->end;
	bool fits = lower_choose_calls(b);

	b->accepted = fits && b->prog->then ? ir_block_new(b->c.fn) : NULL;
	if (fits)
		lower_chain(b, base);
	else
		ir_jmp(&b->c, end);
	b->c.blk = end;
	policy(b, base);
	return fits;
}

/*
 * The program, with those that are fused behind it, or one of no use where it is listed as too
 * large.
 */
static void build_prog(struct bld *b, const struct plan_prog *p)
{
	bool fits = true, fused = p->then;
	struct ir_fn *fn;

	b->prog = p;
	b->todo.n = b->ways.n = b->n_parts = 0;
	strmap_init(&b->nexts, b->m->arena);
	lower_limits(b);

	fn = lower_fn_new(b, p->base, p->name);
	fn->kind = IR_FN_PROG;
	lower_begin(b, fn);
	while (fits && b->prog) {
		fits = build_base(b);
		b->prog = b->prog->then;
		b->c.blk = b->accepted;
		b->end = b->accepted ? ir_block_new(fn) : NULL;
		b->info = NULL;
	}
	b->prog = p;
	lower_finish(b);
	if (fused && (!fits || b->todo.n || fn->size > b->prog_max))
		b->m->unfuse = true; /* what follows is of no use either */
	for (uint32_t i = 0; i < b->todo.n; i++) {
		const struct bnext next = b->todo.v[i];

		if (fused) {
			lower_begin(b, next.fn);
			ir_jmp(&b->c, b->end);
			b->c.blk = b->end;
		} else {
			lower_next(b, &next);
		}
		policy(b, p->base);
		lower_finish(b);
	}
	if (!fits || !lower_nexts_fit(b))
		*vec_push(b->m->arena, &b->m->too_large) = fn->prog;
}

void build_into(struct ir_mod *m, const struct plan *plan, const struct build_opts *o)
{
	struct bld b = { .m = m, .opts = o };

	ruleset_note_states(plan->rs);
	strmap_init(&b.states, m->arena);
	strmap_init(&b.sets, m->arena);
	vec_foreach(&plan->progs, p)
		lower_objects(&b, *p);
	for (; b.n_prog < plan->progs.n; b.n_prog++)
		if (!plan->progs.v[b.n_prog]->behind)
			build_prog(&b, plan->progs.v[b.n_prog]);
}

struct ir_mod *build_module(struct arena *a, struct diag *d, const struct plan *plan,
			    const struct build_opts *o)
{
	struct ir_mod *m = ir_mod_new(a, d);

	build_into(m, plan, o);
	return m;
}
