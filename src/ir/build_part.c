// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cutting what is too large to be verified in one piece.
 *
 * How much code a rule makes shows only when it is lowered (a thousand rules may become one
 * look-up), so a function is filled until it is full, and what is left of the chain goes on in
 * parts: functions of their own, called one after the other, each of which the kernel verifies by
 * itself. A part returns what a chain's function returns, and 3 for a `return` that ends the whole
 * chain. A rule that jumps to a large chain stands in no part but where the parts are called, so
 * that calls do not nest.
 *
 * The kernel also bounds what one program may cost, its functions taken together. A program that is
 * full goes on as another, by a tail call, which hands over nothing but the packet; so the place
 * where it goes on, a rule and the chains that jumped there, is known when compiling, and each
 * place has one program. Of functions, only a program itself can do that.
 */
#include "lower.h"

uint32_t build_part_max = 210000; /* some 4,300 rules of three matches */
uint32_t build_prog_max = 700000; /* of the million that the verifier goes through */

/*
 * The verifier goes over an instruction as often as ways lead there that differ in what is kept,
 * some fifty times where all is loaded anew, or nothing was optimised. Code that is sparing with
 * the stack is cut into programs alone: parts are frames.
 */
#define PLAIN_PART   5000
#define SPARING_PART 5000
#define SPARING_PROG 2000

void lower_limits(struct bld *b)
{
	bool sparing = b->prog->sparing >= SPARING_VALUES;

	b->part_max = build_part_max;
	b->prog_max = build_prog_max;
	if (sparing || b->opts->plain)
		b->part_max = MIN(b->part_max, sparing ? SPARING_PART : PLAIN_PART);
	if (sparing)
		b->prog_max = MIN(b->prog_max, SPARING_PROG);
}

/* Instructions of the function at hand, as far as can be told before passes have seen it. */
static uint64_t size_here(const struct bld *b)
{
	return (uint64_t)b->c.fn->n_ins * 5 / 8;
}

/* A chain lowered in place is not cut at the first opportunity. */
bool lower_is_full(const struct bld *b)
{
	uint32_t n = b->c.fn->n_ins;

	return n > b->part_max && !b->uncut && (!b->level || n - b->part_max > b->part_max / 2);
}

static bool heavy_target(const struct bld *b, const struct verdict *v)
{
	const struct bchain *bc;

	if (v->code != V_JUMP && v->code != V_GOTO)
		return false;
	bc = &b->chains[v->chain->index];
	return !bc->call && bc->weight > b->part_max / 32;
}

/* Whether the rule brings a large chain with it. */
bool lower_is_heavy(const struct bld *b, const struct rule *r)
{
	if (lower_act(b, r).act != RULE_LOWER)
		return false;
	vec_foreach(&r->exprs, e) {
		if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.dreg == REG_VERDICT &&
		    heavy_target(b, &(*e)->imm.verdict))
			return true;
		if ((*e)->kind == EX_LOOKUP && (*e)->lookup.dreg == REG_VERDICT)
			vec_foreach(&(*e)->lookup.set->elems, el)
				if (heavy_target(b, &(*el)->verdict))
					return true;
	}
	return false;
}

/* -- functions --------------------------------------------------------------------------------- */

void lower_begin(struct bld *b, struct ir_fn *fn)
{
	if (b->opts->done)
		fn->arena = arena_new();
	b->c = (struct ir_cur){ .fn = fn, .blk = ir_block_new(fn) };
	b->info = NULL;
	b->end = ir_block_new(fn);
	b->accepted = NULL;
	b->dead = false;
	b->pos = NULL;
	b->level = b->uncut = 0;
	b->callees = 0;
}

void lower_finish(struct bld *b)
{
	struct ir_fn *fn = b->c.fn;
	uint64_t n = size_here(b);

	ir_cfg(fn);
	if (b->opts->done) {
		n = b->opts->done(b->opts->arg, fn);
		arena_free(fn->arena);
		memset(&fn->blocks, 0, sizeof(fn->blocks));
	}
	fn->size = (uint32_t)MIN(n + b->callees, UINT32_MAX);
}

void lower_resume(struct bld *b, const struct bld *was)
{
	b->c = was->c;
	b->info = was->info;
	b->brk = was->brk;
	b->end = was->end;
	b->accepted = was->accepted;
	b->dead = was->dead;
	b->pos = was->pos;
	b->level = was->level;
	b->uncut = was->uncut;
	b->callees = was->callees;
	memcpy(b->regs, was->regs, sizeof(b->regs));
}

struct ir_ins *lower_call(struct bld *b, const struct ir_fn *fn)
{
	struct ir_ins *r = ir_emit(&b->c, IR_CALL, IR_W, 0, NULL);

	r->aux = fn->index;
	b->callees += fn->size;
	return r;
}

/* What the callee decided is decided. */
void lower_final(struct bld *b, struct ir_ins *r)
{
	if (b->accepted) {
		struct ir_block *drop = ir_block_new(b->c.fn);

		ir_br(&b->c, bcond(b, IR_EQ, r, 0), drop, b->accepted);
		b->c.blk = drop;
		ir_ret(&b->c, 0);
		return;
	}
	if (b->c.fn->kind != IR_FN_CHAIN)
		r = bop(b, IR_AND, r, bw(b, 1));
	ir_emit1(&b->c, IR_RET, IR_V, r);
}

/* -- parts ------------------------------------------------------------------------------------- */

/* The rule behind the part. */
static uint32_t call_part(struct bld *b, const struct chain *c, uint32_t from)
{
	struct ir_fn *fn =
		lower_fn_new(b, c,
			     arena_printf(b->m->arena, "%s_p%u", b->prog->name, b->n_parts++));
	struct ir_block *next = ir_block_new(b->c.fn), *over = ir_block_new(b->c.fn),
			*final = ir_block_new(b->c.fn), *end;
	const struct bld was = *b;
	struct ir_ins *r;
	uint32_t to;

	lower_begin(b, fn);
	end = b->end;
	to = lower_rules(b, c, from, true);
	ir_ret(&b->c, 2);
	b->c.blk = end;
	ir_ret(&b->c, 3);
	lower_finish(b);
	lower_resume(b, &was);

	r = lower_call(b, fn);
	ir_br(&b->c, bcond(b, IR_EQ, r, 2), next, over);
	b->c.blk = over;
	ir_br(&b->c, bcond(b, IR_EQ, r, 3), b->end, final);
	b->c.blk = final;
	lower_final(b, r);
	b->c.blk = next;
	return to;
}

/* -- programs ---------------------------------------------------------------------------------- */

/* Levels at the end of their chain say nothing. */
static void **next_slot(struct bld *b, const struct bpos *p)
{
	struct arena *a = b->m->arena;
	VEC(uint64_t) key = { 0 };

	for (; p; p = p->up) {
		if (p->next >= p->chain->rules.n)
			continue;
		*vec_push(a, &key) = p->chain->index;
		*vec_push(a, &key) = p->next;
	}
	return strmap_put(&b->nexts, (const char *)key.v, key.n * sizeof(*key.v));
}

static void go_on_as(struct bld *b, const struct ir_fn *fn)
{
	ir_emit(&b->c, IR_TAIL, IR_V, 0, NULL)->aux = fn->index;
	*vec_push(b->m->arena, &b->ways) = (struct bway){ b->c.fn->index, fn->index };
	b->c.blk = ir_block_new(b->c.fn); /* where nobody comes */
}

/* A program that goes on at the position at hand. */
static void go_on(struct bld *b)
{
	void **slot = next_slot(b, b->pos);
	struct bpos **last;
	struct bnext *n;

	if (!*slot) {
		n = vec_push(b->m->arena, &b->todo);
		n->fn = lower_fn_new(b, b->prog->base,
				     arena_printf(b->m->arena, "%s_n%u", b->prog->name, b->todo.n));
		n->fn->kind = IR_FN_NEXT;
		last = &n->at;
		for (const struct bpos *p = b->pos; p; p = p->up, last = &(*last)->up)
			*last = arena_dup(b->m->arena, p, sizeof(*p));
		*last = NULL;
		*slot = n->fn;
	}
	go_on_as(b, *slot);
}

void lower_next(struct bld *b, const struct bnext *n)
{
	struct ir_block *final;

	lower_begin(b, n->fn);
	final = b->end;
	for (struct bpos *p = n->at; p; p = p->up) {
		struct ir_fn *known = p == n->at ? NULL : *next_slot(b, p);

		if (known) {
			go_on_as(b, known);
			break;
		}
		b->end = p->up ? ir_block_new(n->fn) : final;
		b->pos = p->up;
		lower_rules(b, p->chain, p->next, false);
		ir_jmp(&b->c, b->end);
		b->c.blk = b->end;
	}
	if (b->c.blk != final)
		ir_jmp(&b->c, final);
	b->c.blk = final;
}

void lower_cut(struct bld *b, struct dchain *dc, uint32_t at)
{
	const struct chain *c = b->pos->chain;

	while (at < c->rules.n) {
		b->c.rule = NULL;
		b->pos->next = at;
		if (b->c.fn->kind != IR_FN_CHAIN && size_here(b) + b->callees > b->prog_max) {
			go_on(b);
			return;
		}
		if (lower_is_heavy(b, c->rules.v[at]))
			at += lower_at(b, dc, at);
		else
			at = call_part(b, c, at);
	}
}

#define NEXTS_MAX 33 /* so often the kernel goes from program to program */

/* The ways have no loops: each leads forward in the rules. */
bool lower_nexts_fit(struct bld *b)
{
	uint32_t *deep = arena_array(b->m->arena, uint32_t, b->m->fns.n), most = 0;

	for (bool changed = true; changed && most <= NEXTS_MAX;) {
		changed = false;
		vec_foreach(&b->ways, w) {
			if (deep[w->to] > deep[w->from])
				continue;
			deep[w->to] = deep[w->from] + 1;
			most = MAX(most, deep[w->to]);
			changed = true;
		}
	}
	return most <= NEXTS_MAX;
}
