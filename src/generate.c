// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * generate: from the plan to instructions, function by function, again until every program fits its
 * stack.
 *
 * How much stack a program needs, with the functions that it calls, shows only when their registers
 * have their places. One that needs more than there is is compiled again more sparingly (enum
 * build_sparing), and where that does not suffice, without the rules that need most: they go to
 * nftables. So do jumps where copies of chains would grow without bound. -d K prints each program
 * that was too deep.
 */
#include <stdlib.h>

#include "build.h"
#include "driver.h"

#define REFUSALS_MAX 8	/* of single rules; then whole base chains go to nftables */
#define REFUSAL_STEP 32 /* bytes that a frame shall at least lose by it */

struct generator {
	struct cg *cg;
	enum opt_level level;
	bool check;
};

static uint32_t generate_fn(void *arg, struct ir_fn *fn)
{
	const struct generator *g = arg;
	const char *fault = ir_verify_fn(fn);

	if (fault)
		BUG("the IR as built is wrong: %s", fault);
	/*
	 * What does not fit the stack as it was built fits better with loads where they are used,
	 * which is passes' work.
	 */
	opt_run_fn(fn, fn->sparing && g->level == OPT_O0 ? OPT_O1 : g->level, g->check);
	return cg_fn(g->cg, fn);
}

/*
 * For tests: "60,150" cuts functions and programs when they are that large; a third number is the
 * stack that there is, a fourth how many rules are many (build_many).
 */
static void small_limits(const char *s)
{
	if (s && sscanf(s, "%u,%u,%u,%u", &build_part_max, &build_prog_max, &obj_stack_max,
			&build_many) < 2)
		BUG("NFT2BPF_LIMITS=%s: two to four numbers are wanted", s);
}

/* -- programs that need too much stack --------------------------------------------------------- */

/*
 * What was learned of a program; programs are the plan's, which is made anew when rules are
 * refused.
 */
struct lesson {
	const struct chain *base;
	uint8_t pf, sparing;
};

struct lessons {
	VEC(struct lesson) list;
	struct strmap refused; /* rules, by address */
	uint32_t refusals;
	bool unfuse; /* base chains in one program were too much for it */
};

static struct lesson *lesson_of(struct run *r, struct lessons *l, const struct plan_prog *p)
{
	struct lesson *x;

	vec_foreach(&l->list, it)
		if (it->base == p->base && it->pf == p->pf)
			return it;
	x = vec_push(r->arena, &l->list);
	*x = (struct lesson){ .base = p->base, .pf = p->pf };
	return x;
}

static void refuse(struct lessons *l, const struct rule *rule, enum fb_reason why)
{
	*strmap_put(&l->refused, (const char *)&rule, sizeof(rule)) = (void *)(uintptr_t)why;
}

static void refuse_chain(struct lessons *l, const struct chain *c)
{
	vec_foreach(&c->rules, rule)
		refuse(l, *rule, FBR_STACK);
}

static bool jumps(const struct rule *r)
{
	vec_foreach(&r->exprs, e) {
		if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.dreg == REG_VERDICT &&
		    (*e)->imm.verdict.chain)
			return true;
		if ((*e)->kind == EX_LOOKUP && (*e)->lookup.dreg == REG_VERDICT)
			return true;
	}
	return false;
}

/*
 * A program that grows without bound does so by its jumps; one that is too long without has too
 * many rules.
 */
static void refuse_jumps(struct lessons *l, const struct chain *c)
{
	uint32_t was = l->refused.n;

	vec_foreach(&c->rules, rule)
		if (jumps(*rule))
			refuse(l, *rule, FBR_COPIES);
	if (l->refused.n == was)
		refuse_chain(l, c);
}

/* The rules that make the deepest frame on the way deeper than it may be. */
static void find_rules(const struct obj_file *o, const struct obj_over *over, struct arena *a,
		       struct obj_rules *out)
{
	const struct obj_fn *deepest = NULL;
	uint32_t most = 0, excess = over->bytes - obj_stack_max;

	vec_foreach(&over->way, n) {
		const struct obj_fn *fn = o->fns.v[*n];
		uint32_t frame = obj_frame(fn->insns.v, fn->insns.n);

		if (frame <= most)
			continue;
		most = frame;
		deepest = fn;
	}
	if (deepest && over->bytes > obj_stack_max)
		obj_frame_rules(deepest, most - MIN(most, MAX(excess / 2, REFUSAL_STEP)), a, out);
}

static void refuse_rules(struct run *r, struct lessons *l, const struct obj_file *o,
			 const struct obj_over *over, const struct chain *base)
{
	struct obj_rules rules = { 0 };

	if (l->refusals < REFUSALS_MAX)
		find_rules(o, over, r->arena, &rules);
	vec_foreach(&rules, rule)
		refuse(l, *rule, FBR_STACK);
	if (!rules.n)
		refuse_chain(l, base);
}

static void print_way(const struct run *r, const struct obj_file *o, const struct obj_over *over)
{
	const struct ir_fn *prog = r->ir->fns.v[over->way.v[0]];

	fprintf(stderr, "stack: %u bytes in %u functions, sparing %u:", over->bytes, over->frames,
		r->plan->progs.v[prog->prog]->sparing);
	vec_foreach(&over->way, n) {
		const struct obj_fn *fn = o->fns.v[*n];

		fprintf(stderr, " %s %u", fn->name, obj_frame(fn->insns.v, fn->insns.n));
	}
	fputc('\n', stderr);
}

static void spare(struct run *r, struct lessons *l)
{
	vec_foreach(&r->plan->progs, p)
		(*p)->sparing = lesson_of(r, l, *p)->sparing;
}

static int plan_again(struct run *r, struct lessons *l)
{
	struct fb_options fb = r->o->fb;

	fb.can_lower = build_can_lower;
	fb.refused = &l->refused;
	fb.fuse = fb.fuse && !l->unfuse;
	r->plan = fb_plan(r->rs, &fb);
	if (!r->plan)
		return -1;
	spare(r, l);
	return 0;
}

/*
 * Whether one of the programs that are too large or too deep is several base chains: apart they may
 * not be.
 */
static bool too_much_fused(const struct run *r, const struct obj_overs *overs)
{
	vec_foreach(overs, over)
		if (r->plan->progs.v[r->ir->fns.v[over->way.v[0]]->prog]->then)
			return true;
	return r->ir->unfuse;
}

/* Makes what goes wrong less likely the next time. */
static int learn(struct run *r, struct lessons *l, const struct obj_file *o,
		 const struct obj_overs *overs)
{
	uint32_t refused = l->refused.n;
	bool more = false;

	if (too_much_fused(r, overs)) {
		l->unfuse = true;
		return plan_again(r, l);
	}
	vec_foreach(overs, over) {
		struct plan_prog *p = r->plan->progs.v[r->ir->fns.v[over->way.v[0]]->prog];
		struct lesson *x = lesson_of(r, l, p);

		if (debug_letter['K'])
			print_way(r, o, over);
		if (p->sparing == SPARING_CALLS) {
			refuse_rules(r, l, o, over, p->base);
			continue;
		}
		x->sparing = p->sparing + 1; /* once, for all the programs that it goes on as */
		more = true;
	}
	vec_foreach(&r->ir->too_large, n)
		refuse_jumps(l, r->plan->progs.v[*n]->base);
	BUG_ON(!more && l->refused.n == refused); /* a program without rules needs no stack */
	if (l->refused.n > refused) {
		l->refusals++;
		return plan_again(r, l);
	}
	spare(r, l);
	return 0;
}

static struct obj_file *attempt(struct run *r, struct obj_overs *over)
{
	struct generator g = { .level = r->o->level, .check = getenv("NFT2BPF_VERIFY") != NULL };
	struct build_opts opts = { .static_sets = r->o->fb.static_sets,
				   .dispatch = r->o->level == OPT_O2,
				   .plain = r->o->level == OPT_O0,
				   .done = generate_fn,
				   .arg = &g };

	r->ir = ir_mod_new(r->arena, &r->diag);
	g.cg = cg_open(r->ir);
	build_into(r->ir, r->plan, &opts);
	return cg_close(g.cg, over);
}

static struct obj_file *generate(struct run *r)
{
	struct lessons l = { 0 };

	strmap_init(&l.refused, r->arena);
	small_limits(getenv("NFT2BPF_LIMITS"));
	for (;;) {
		struct obj_overs over = { 0 };
		struct obj_file *o = attempt(r, &over);

		if (!o || (!over.n && !r->ir->too_large.n && !r->ir->unfuse))
			return o;
		if (learn(r, &l, o, &over))
			return NULL;
	}
}

/*
 * --emit ir: all functions at once. How much stack they need does not show here: --ir says so where
 * it is too much.
 */
int generate_ir(struct run *r)
{
	struct build_opts opts = { .static_sets = r->o->fb.static_sets,
				   .dispatch = r->o->level == OPT_O2 };
	const struct obj_overs none = { 0 };
	struct lessons l = { 0 };

	strmap_init(&l.refused, r->arena);
	small_limits(getenv("NFT2BPF_LIMITS"));
	for (;;) {
		r->ir = build_module(r->arena, &r->diag, r->plan, &opts);
		if (!r->ir->unfuse && !r->ir->too_large.n)
			return 0;
		if (learn(r, &l, NULL, &none))
			return 1;
	}
}

/* --ir: there is nowhere else for what does not fit. */
static struct obj_file *whole(struct run *r)
{
	struct obj_file *o = cg_module(r->ir);
	struct obj_overs over = { 0 };

	if (o)
		over = obj_stack(o);
	vec_foreach(&over, x)
		diag_error(&r->diag, (struct loc){ .name = r->o->ir },
			   "program %s needs %u bytes of stack in %u functions; there are %u in %u",
			   o->fns.v[x->way.v[0]]->name, x->bytes, x->frames, obj_stack_max,
			   OBJ_FRAMES_MAX);
	return over.n ? NULL : o;
}

/* -- what rules cost --------------------------------------------------------------------------- */

static uint32_t insns_of(const struct strmap *n, const struct rule *r)
{
	return (uint32_t)(uintptr_t)strmap_get(n, (const char *)&r, sizeof(r));
}

/* A look-up's code is that of several of its rules: each gets all of it. */
static void share_insns(struct plan *p, uint32_t first)
{
	const struct plan_rule *lead = &p->rules.v[first];
	uint32_t sum = 0, end = MIN(first + lead->n_lookup, p->rules.n);

	if (lead->lookup != lead->rule)
		return;
	for (uint32_t k = first; k < end; k++)
		sum += p->rules.v[k].insns;
	for (uint32_t k = first; k < end; k++)
		if (p->rules.v[k].lookup == lead->rule)
			p->rules.v[k].insns = sum;
}

static void count_insns(struct run *r)
{
	const struct strmap *n = cg_rule_insns(r->obj);

	vec_foreach(&r->plan->rules, pr) {
		const struct ir_note *note = strmap_get(&r->ir->notes, (const char *)&pr->rule,
							sizeof(pr->rule));

		if (note) {
			pr->shadowed_by = note->shadowed == note->lowered ? note->by : NULL;
			pr->lookup = pr->shadowed_by ? NULL : note->lookup;
			pr->n_lookup = note->n_lookup;
		}
		pr->insns = insns_of(n, pr->rule);
	}
	for (uint32_t k = 0; k < r->plan->rules.n; k++)
		share_insns(r->plan, k);
}

int stage_generate(struct run *r)
{
	r->obj = r->ir ? whole(r) : generate(r);
	if (!r->obj)
		return 1;
	if (r->o->emit == EMIT_FALLBACK && r->plan) {
		fputs(r->plan->fallback, stdout);
		return STAGE_DONE;
	}
	if (r->o->emit == EMIT_ASM) {
		cg_print(r->obj, stdout);
		return STAGE_DONE;
	}
	if (r->plan)
		count_insns(r);
	return 0;
}
