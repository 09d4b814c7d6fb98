// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Builds IR from a plan: a function for each program, chains lowered in place where one jump reaches them or they are small, else
 * a function of their own. Rules, jumps and verdicts stand here; expressions in build_*.c.
 */
#include "dispatch.h"

/* A chain reached by several jumps is copied into each of them up to this many expressions. */
#define INLINE_MAX 16
#define CALLS_MAX  2 /* the frames share 512 bytes of stack with the runtime */
/* A second level of calls only where copies would cost this many expressions. */
#define COPIES_MAX 400
#define WEIGHT_MAX 100000000u

struct rule_act lower_act(const struct bld *b, const struct rule *r)
{
	const struct rule_act *row = b->prog->acts[r->chain->index];

	return row ? row[r->index] : (struct rule_act){ .act = RULE_NEVER };
}

/* -- which chains become functions ------------------------------------------------------------------------------- */

static void visit_chain(struct bld *b, const struct chain *c);

static void visit_target(struct bld *b, const struct verdict *v)
{
	if (v->code != V_JUMP && v->code != V_GOTO)
		return;
	b->chains[v->chain->index].sites++;
	visit_chain(b, v->chain);
}

/* The distinct targets of a verdict map. */
static void visit_map(struct bld *b, const struct set *s)
{
	struct strmap seen;

	strmap_init(&seen, b->m->arena);
	vec_foreach(&s->elems, e) {
		struct {
			int64_t code;
			const struct chain *chain;
		} key = { (*e)->verdict.code, (*e)->verdict.chain };
		void **slot = strmap_put(&seen, (const char *)&key, sizeof(key));

		if (*slot)
			continue;
		*slot = *e;
		visit_target(b, &(*e)->verdict);
	}
}

static bool is_vmap_lookup(const struct expr *e)
{
	return e->kind == EX_LOOKUP && e->lookup.dreg == REG_VERDICT;
}

static bool is_verdict(const struct expr *e)
{
	return e->kind == EX_IMMEDIATE && e->imm.dreg == REG_VERDICT;
}

/* Counts the jumps to every chain that this one reaches; each chain once. */
static void visit_chain(struct bld *b, const struct chain *c)
{
	struct bchain *bc = &b->chains[c->index];

	if (bc->seen)
		return;
	bc->seen = true;
	vec_foreach(&c->rules, r) {
		if (lower_act(b, *r).act != RULE_LOWER)
			continue;
		vec_foreach(&(*r)->exprs, e) {
			if (is_verdict(*e))
				visit_target(b, &(*e)->imm.verdict);
			else if (is_vmap_lookup(*e))
				visit_map(b, (*e)->lookup.set);
		}
	}
}

static void weigh_chain(struct bld *b, const struct chain *c);

static void weigh_target(struct bld *b, struct bchain *from, const struct verdict *v)
{
	struct bchain *to;

	if (v->code != V_JUMP && v->code != V_GOTO)
		return;
	weigh_chain(b, v->chain);
	to = &b->chains[v->chain->index];
	from->weight = MIN(from->weight + (to->call ? 1 : to->weight), WEIGHT_MAX);
	from->height = MAX(from->height, to->height + to->call);
}

static void weigh_rule(struct bld *b, struct bchain *bc, const struct rule *r)
{
	struct rule_act act = lower_act(b, r);

	bc->weight += act.act == RULE_LOWER ? r->exprs.n : act.act == RULE_PUNT ? act.n_match : 0;
	if (act.act != RULE_LOWER)
		return;
	vec_foreach(&r->exprs, e) {
		if (is_verdict(*e))
			weigh_target(b, bc, &(*e)->imm.verdict);
		else if (is_vmap_lookup(*e))
			vec_foreach(&(*e)->lookup.set->elems, el)
				weigh_target(b, bc, &(*el)->verdict);
	}
}

static void weigh_chain(struct bld *b, const struct chain *c)
{
	struct bchain *bc = &b->chains[c->index];

	if (!bc->seen)
		return;
	bc->seen = false;
	vec_foreach(&c->rules, r)
		weigh_rule(b, bc, *r);
	bc->call = c != b->prog->base && bc->sites > 1 && bc->weight > INLINE_MAX &&
		   (!bc->height || (bc->height < CALLS_MAX &&
				    (uint64_t)bc->weight * (bc->sites - 1) > COPIES_MAX));
}

/* -- verdicts and jumps ------------------------------------------------------------------------------------------ */

static void lower_chain(struct bld *b, const struct chain *c);

struct ir_fn *lower_fn_new(struct bld *b, const struct chain *c, const char *name)
{
	struct ir_fn *fn = ir_fn_new(b->m, IR_FN_CHAIN, name);

	fn->pf = b->prog->pf;
	fn->chain = c;
	fn->hook = b->prog->hook;
	fn->prio = b->prog->prio;
	return fn;
}

static struct ir_fn *chain_fn(struct bld *b, const struct chain *c)
{
	struct bchain *bc = &b->chains[c->index];

	if (bc->fn)
		return bc->fn;
	bc->fn = lower_fn_new(b, c, arena_printf(b->m->arena, "%s_c%u", b->prog->name, c->index));
	*vec_push(b->m->arena, &b->todo) = (struct btodo){ bc->fn, c, 0, c->rules.n, false };
	return bc->fn;
}

/* A final verdict of the callee is the caller's; its end goes on at `after`. */
static void call_chain(struct bld *b, const struct chain *c, struct ir_block *after)
{
	struct ir_block *final = ir_block_new(b->c.fn);
	struct ir_ins *r = ir_emit(&b->c, IR_CALL, IR_W, 0, NULL);

	r->aux = chain_fn(b, c)->index;
	ir_br(&b->c, bcond(b, IR_EQ, r, 2), after, final);
	b->c.blk = final;
	if (b->c.fn->kind == IR_FN_PROG)
		r = bop(b, IR_AND, r, bw(b, 1));
	ir_emit1(&b->c, IR_RET, IR_V, r);
}

/* In place: the chain ends where its caller goes on. */
static void inline_chain(struct bld *b, const struct chain *c, struct ir_block *after)
{
	struct ir_block *brk = b->brk, *end = b->end;
	const struct binfo *info = b->info;
	const struct rule *rule = b->c.rule;

	b->end = after;
	lower_chain(b, c);
	b->brk = brk;
	b->end = end;
	b->info = info;
	b->c.rule = rule;
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
		ir_ret(&b->c, 1);
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
			inline_chain(b, v->chain, after);
		break;
	case V_QUEUE:
		BUG("queue in a rule that was planned to be lowered");
	}
	b->dead = true;
}

/* -- rules ------------------------------------------------------------------------------------------------------- */

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
	case EX_EXTHDR:
		lower_exthdr(b, e);
		break;
	case EX_META:
		lower_meta(b, e);
		break;
	case EX_RT:
		lower_rt(b, e);
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
 * Packet information of IPv6 has a branch in it, which no pass can merge with its like; so it is made once, where the first rule
 * that needs it begins, and holds for all that follows in the chain and below.
 */
void lower_prepare(struct bld *b, const struct rule *r, uint32_t n)
{
	struct binfo *info;

	if (b->info || b->c.fn->pf == FAM_IP)
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (!expr_needs_info(r->exprs.v[i]))
			continue;
		info = arena_new_of(b->m->arena, struct binfo);
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

void lower_rules(struct bld *b, const struct chain *c, uint32_t from, uint32_t to)
{
	struct dchain dc;

	dispatch_open(b, &dc, c, from, to);
	for (uint32_t i = from, n; i < to; i += n) {
		struct rule_act act = lower_act(b, c->rules.v[i]);
		struct ir_block *next;

		n = 1;
		if (act.act == RULE_NEVER || dispatch_never(b, &dc, i))
			continue;
		b->brk = next = ir_block_new(b->c.fn);
		n = dispatch_run(b, &dc, i);
		if (!n) {
			lower_rule(b, c->rules.v[i], act, next);
			n = 1;
		}
		b->c.blk = next;
		if (!next->preds.n) /* no packet comes further */
			break;
	}
	dispatch_close(&dc);
	b->c.rule = NULL;
}

/* From the cursor on; every way through it that is not final ends at b->end. */
static void lower_chain(struct bld *b, const struct chain *c)
{
	if (lower_in_parts(b, c))
		lower_parts(b, c);
	else
		lower_rules(b, c, 0, c->rules.n);
	ir_jmp(&b->c, b->end);
}

/* -- functions --------------------------------------------------------------------------------------------------- */

static void begin_fn(struct bld *b, struct ir_fn *fn)
{
	b->c = (struct ir_cur){ .fn = fn, .blk = ir_block_new(fn) };
	b->info = NULL;
	b->end = ir_block_new(fn);
	b->dead = false;
}

/* A part's end (2) is not its chain's end (3): a return passes over the parts that follow. */
static void fill_fn(struct bld *b, struct btodo t)
{
	struct ir_block *end;

	begin_fn(b, t.fn);
	end = b->end;
	if (t.part) {
		lower_rules(b, t.chain, t.from, t.to);
		ir_ret(&b->c, 2);
	} else {
		lower_chain(b, t.chain);
	}
	b->c.blk = end;
	ir_ret(&b->c, t.part ? 3 : 2);
	ir_cfg(b->c.fn);
}

static void policy(struct bld *b, const struct chain *base)
{
	bool drop = base->has_policy && base->policy == V_DROP;
	struct ir_state st = { .kind = ST_COUNTER, .policy_of = base };

	if (base->has_counter) {
		struct ir_ins *i = ir_emit1(&b->c, IR_COUNT, IR_V, lower_skb_len(b));

		i->aux = lower_state_number(b, &st, base);
	}
	ir_ret(&b->c, drop ? 0 : 1);
}

static void build_prog(struct bld *b, const struct plan_prog *p)
{
	struct ir_fn *fn = ir_fn_new(b->m, IR_FN_PROG, p->name);
	struct ir_block *end;

	b->prog = p;
	b->chains = arena_array(b->m->arena, struct bchain, p->base->table->chains.n);
	b->todo.n = 0;
	visit_chain(b, p->base);
	weigh_chain(b, p->base);

	fn->pf = p->pf;
	fn->chain = p->base;
	fn->hook = p->hook;
	fn->prio = p->prio;
	begin_fn(b, fn);
	end = b->end;
	lower_chain(b, p->base);
	b->c.blk = end;
	policy(b, p->base);
	ir_cfg(fn);
	for (uint32_t i = 0; i < b->todo.n; i++)
		fill_fn(b, b->todo.v[i]);
}

struct ir_mod *build_module(struct arena *a, struct diag *d, const struct plan *plan,
			    const struct build_opts *o)
{
	struct bld b = { .m = ir_mod_new(a, d), .opts = o };

	ruleset_note_states(plan->rs);
	strmap_init(&b.states, a);
	strmap_init(&b.sets, a);
	vec_foreach(&plan->progs, p)
		lower_objects(&b, *p);
	vec_foreach(&plan->progs, p)
		build_prog(&b, *p);
	return b.m;
}
