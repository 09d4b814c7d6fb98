// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * facts: a test that the way to it has decided goes; and where only one of several ways decides it,
 * that way passes over it.
 *
 *	@0: br %tcp, @1, @2			@0: br %tcp, @1, @4
 *	@1: br %p22, @9, @2			@1: br %p22, @9, @3
 *	@2: br %tcp, @3, @4		==>
 *	@3: br %p80, @9, @4			@3: br %p80, @9, @4
 *
 * So the tests of one protocol's rules come to stand in a row of their own, whatever rules of
 * others stand between them.
 *
 * Behind hoist, a block that only branches can be passed over without copying anything: its edge
 * leads on to where the test would lead. The dominator tree is walked with the facts of the way
 * down: ranges of values, values they do not have, tests that hold, bytes that the packet surely
 * has or has not. Edges are taken when a block's subtree is done, later siblings first, so that
 * what they lead to has already been shortened, and a run of a thousand decided tests is passed in
 * one step. The tree and its facts are those of the function as it was: a way that passes over a
 * test is still a way on which it is decided.
 */
#include <stdlib.h>

#include "ir/pass.h"

#define HOPS 32 /* tests that one edge passes over; more remain for the next round */

struct range {
	uint64_t lo, hi;
};

struct undo {
	uint32_t id;
	struct range was;
};

struct facts {
	struct ir_fn *fn;
	struct range *range; /* by value number; then by number of a length (see length_number) */
	uint32_t n;
	struct undo *log;
	uint32_t n_log, cap_log;
	/*
	 * Pairs (value, constant) with value != constant on this way; open-addressed, a count for
	 * nested facts.
	 */
	struct unequal {
		uint32_t id; /* + 1; 0: free */
		uint32_t count;
		uint64_t c;
	} * ne;
	uint32_t n_ne, cap_ne;
};

enum answer { NO, YES, MAYBE };

/* -- what is known ----------------------------------------------------------------------------- */

static uint32_t ne_slot(const struct facts *f, uint32_t id, uint64_t c)
{
	uint64_t h = (c ^ (uint64_t)id << 32) * 0x9e3779b97f4a7c15ull;
	uint32_t s = (uint32_t)(h >> 32) & (f->cap_ne - 1);

	while (f->ne[s].id && (f->ne[s].id != id + 1 || f->ne[s].c != c))
		s = (s + 1) & (f->cap_ne - 1);
	return s;
}

static bool known_unequal(const struct facts *f, uint32_t id, uint64_t c)
{
	return f->n_ne && f->ne[ne_slot(f, id, c)].count;
}

static void ne_grow(struct facts *f)
{
	struct unequal *old = f->ne;
	uint32_t cap = f->cap_ne;

	f->cap_ne = cap ? cap * 2 : 1024;
	f->ne = calloc(f->cap_ne, sizeof(*f->ne));
	BUG_ON(!f->ne);
	for (uint32_t i = 0; i < cap; i++)
		if (old[i].id)
			f->ne[ne_slot(f, old[i].id - 1, old[i].c)] = old[i];
	free(old);
}

#define UNDO_NE 0x80000000u /* in struct undo: id of an unequal pair, lo its constant */

static void log_undo(struct facts *f, uint32_t id, struct range was)
{
	if (f->n_log == f->cap_log) {
		f->cap_log = f->cap_log ? f->cap_log * 2 : 256;
		f->log = realloc(f->log, f->cap_log * sizeof(*f->log));
		BUG_ON(!f->log);
	}
	f->log[f->n_log++] = (struct undo){ id, was };
}

static void undo_to(struct facts *f, uint32_t mark)
{
	while (f->n_log > mark) {
		const struct undo *u = &f->log[--f->n_log];

		if (u->id & UNDO_NE)
			f->ne[ne_slot(f, u->id & ~UNDO_NE, u->was.lo)].count--;
		else
			f->range[u->id] = u->was;
	}
}

static struct range range_of(const struct facts *f, const struct ir_ins *v)
{
	struct range r;

	if (v->op == IR_CONST)
		return (struct range){ (uint64_t)v->imm, (uint64_t)v->imm };
	r = f->range[v->id];
	r.hi = MIN(r.hi, ir_umax(v));
	return r;
}

static void learn_range(struct facts *f, uint32_t id, uint64_t lo, uint64_t hi)
{
	struct range was = f->range[id], now = { MAX(was.lo, lo), MIN(was.hi, hi) };

	if (now.lo == was.lo && now.hi == was.hi)
		return;
	log_undo(f, id, was);
	f->range[id] = now;
}

static void learn_unequal(struct facts *f, const struct ir_ins *v, uint64_t c)
{
	struct range r = range_of(f, v);
	uint32_t s;

	if (r.lo == c && r.lo < r.hi)
		learn_range(f, v->id, c + 1, UINT64_MAX);
	else if (r.hi == c && r.lo < r.hi)
		learn_range(f, v->id, 0, c - 1);
	if (f->n_ne * 2 >= f->cap_ne)
		ne_grow(f);
	s = ne_slot(f, v->id, c);
	if (!f->ne[s].id) {
		f->n_ne++;
		f->ne[s].id = v->id + 1;
		f->ne[s].c = c;
	}
	f->ne[s].count++;
	log_undo(f, v->id | UNDO_NE, (struct range){ c, 0 });
}

/*
 * A length test is a statement on skb->len - base, which gets a range like a value: at least k, or
 * at most k - 1. The numbers are shifted by 2^32 so that a packet shorter than base is no special
 * case.
 */
static uint32_t length_number(const struct facts *f, const struct length_test *t)
{
	return f->n + (t->base ? t->base->id : f->n - 1);
}

#define LEN_ZERO (1ull << 32)

/* -- learning and asking ----------------------------------------------------------------------- */

static void learn_cmp(struct facts *f, enum ir_op op, const struct ir_ins *x, uint64_t c)
{
	switch (op) {
	case IR_EQ:
		learn_range(f, x->id, c, c);
		break;
	case IR_NE:
		learn_unequal(f, x, c);
		break;
	case IR_ULT:
		if (c)
			learn_range(f, x->id, 0, c - 1);
		break;
	case IR_UGE:
		learn_range(f, x->id, c, UINT64_MAX);
		break;
	case IR_UGT:
		if (c < UINT64_MAX)
			learn_range(f, x->id, c + 1, UINT64_MAX);
		break;
	case IR_ULE:
		learn_range(f, x->id, 0, c);
		break;
	default:
		break;
	}
}

static void learn(struct facts *f, const struct ir_ins *cond, bool holds, int depth)
{
	struct length_test t;
	enum ir_op op = cond->op;

	if (op == IR_CONST || !depth)
		return;
	learn_range(f, cond->id, holds, holds);
	if (op == IR_NOT) {
		learn(f, cond->args[0], !holds, depth - 1);
	} else if ((op == IR_AND && holds) || (op == IR_OR && !holds)) {
		learn(f, cond->args[0], holds, depth - 1);
		learn(f, cond->args[1], holds, depth - 1);
	} else if (ir_length_test(cond, &t)) {
		if (t.negated != holds)
			learn_range(f, length_number(f, &t), LEN_ZERO + t.k, UINT64_MAX);
		else
			learn_range(f, length_number(f, &t), 0, LEN_ZERO + t.k - 1);
	} else if (ir_op_info[op].flags & CMP && cond->args[1]->op == IR_CONST &&
		   cond->args[0]->op != IR_CONST) {
		learn_cmp(f, holds ? op : ir_inverse_cmp(op), cond->args[0],
			  (uint64_t)cond->args[1]->imm);
	}
}

static enum answer ask_cmp(const struct facts *f, enum ir_op op, const struct ir_ins *x, uint64_t c)
{
	struct range r = range_of(f, x);

	switch (op) {
	case IR_EQ:
	case IR_NE:
		if (r.lo == c && r.hi == c)
			return op == IR_EQ;
		if (c < r.lo || c > r.hi || known_unequal(f, x->id, c))
			return op == IR_NE;
		return MAYBE;
	case IR_ULT:
		return r.hi < c ? YES : r.lo >= c ? NO : MAYBE;
	case IR_UGE:
		return r.lo >= c ? YES : r.hi < c ? NO : MAYBE;
	case IR_UGT:
		return r.lo > c ? YES : r.hi <= c ? NO : MAYBE;
	case IR_ULE:
		return r.hi <= c ? YES : r.lo > c ? NO : MAYBE;
	default:
		return MAYBE;
	}
}

static enum answer ask(const struct facts *f, const struct ir_ins *cond, int depth)
{
	struct length_test t;
	struct range r = range_of(f, cond);
	enum answer a, b;

	if (r.lo == r.hi)
		return r.lo ? YES : NO;
	if (!depth)
		return MAYBE;
	if (cond->op == IR_NOT) {
		a = ask(f, cond->args[0], depth - 1);
		return a == MAYBE ? MAYBE : a == YES ? NO : YES;
	}
	if (cond->op == IR_AND || cond->op == IR_OR) {
		enum answer strong = cond->op == IR_AND ? NO : YES;

		a = ask(f, cond->args[0], depth - 1);
		b = ask(f, cond->args[1], depth - 1);
		return a == strong || b == strong ? strong : a == MAYBE || b == MAYBE ? MAYBE : a;
	}
	if (ir_length_test(cond, &t)) {
		r = f->range[length_number(f, &t)];
		if (r.lo >= LEN_ZERO + t.k)
			return t.negated ? NO : YES;
		if (r.hi < LEN_ZERO + t.k)
			return t.negated ? YES : NO;
		return MAYBE;
	}
	if (ir_op_info[cond->op].flags & CMP && cond->args[1]->op == IR_CONST &&
	    cond->args[0]->op != IR_CONST)
		return ask_cmp(f, cond->op, cond->args[0], (uint64_t)cond->args[1]->imm);
	return MAYBE;
}

/* -- the walk ---------------------------------------------------------------------------------- */

/* What taking b's s-th edge says. */
static void learn_edge(struct facts *f, const struct ir_block *b, uint32_t s)
{
	const struct ir_ins *t = b->last;

	if (t->op == IR_BR && b->succs.v[0] != b->succs.v[1]) {
		learn(f, t->args[0], s == 0, 4);
	} else if (t->op == IR_SWITCH && t->args[0]->op != IR_CONST) {
		if (s < b->cases.n)
			learn_cmp(f, IR_EQ, t->args[0], (uint64_t)b->cases.v[s]);
		else
			vec_foreach(&b->cases, c)
				learn_cmp(f, IR_NE, t->args[0], (uint64_t)*c);
	}
}

/* Which edge of t a packet takes for sure; -1: not known. */
static int decided(const struct facts *f, const struct ir_block *t)
{
	const struct ir_ins *i = t->last;
	struct range r;
	enum answer a;

	if (i->op == IR_BR) {
		a = ask(f, i->args[0], 4);
		return a == MAYBE ? -1 : a == YES ? 0 : 1;
	}
	if (i->op != IR_SWITCH)
		return -1;
	r = range_of(f, i->args[0]);
	if (r.lo != r.hi)
		return -1;
	for (uint32_t s = 0; s < t->cases.n; s++)
		if ((uint64_t)t->cases.v[s] == r.lo)
			return (int)s;
	return (int)t->cases.n;
}

/* Phis of the new target must not have to tell two edges from b apart. */
static bool may_skip(const struct ir_block *b, const struct ir_block *t, int s2)
{
	const struct ir_block *to = t->succs.v[s2];

	if (!ir_is_bare(t) || to == t)
		return false;
	if (!to->first || to->first->op != IR_PHI)
		return true;
	vec_foreach(&b->succs, s)
		if (*s == to)
			return false;
	return true;
}

static void pass_over(struct facts *f, struct ir_block *b, uint32_t s)
{
	uint32_t mark = f->n_log;
	int s2;

	learn_edge(f, b, s);
	for (int hops = 0; hops < HOPS; hops++) {
		struct ir_block *t = b->succs.v[s];

		if (t->last->op == IR_JMP)
			s2 = 0;
		else
			s2 = decided(f, t);
		if (s2 < 0 || !may_skip(b, t, s2))
			break;
		ir_edge_skip(b, s, (uint32_t)s2);
	}
	undo_to(f, mark);
}

struct frame {
	struct ir_block *blk;
	uint32_t mark; /* of the log, when the block was entered */
};

/*
 * Only way into b when the pass began, and its edge; tables by rpo, as edges change during the
 * walk.
 */
struct way {
	struct ir_block *pred;
	uint32_t edge;
};

static void find_ways(struct ir_fn *fn, struct way *ways)
{
	vec_foreach(&fn->blocks, bp) {
		struct ir_block *p = (*bp)->preds.n == 1 ? (*bp)->preds.v[0] : NULL;

		ways[(*bp)->rpo].pred = p;
		for (uint32_t s = 0; p && s < p->succs.n; s++)
			if (p->succs.v[s] == *bp)
				ways[(*bp)->rpo].edge = s;
	}
}

/*
 * Children of b, later ones first, onto the stack: they are taken from its end, so they are pushed
 * in order.
 */
static uint32_t push_children(struct frame *stack, uint32_t depth, const struct ir_block *b)
{
	for (struct ir_block *c = b->dom_child; c; c = c->dom_next)
		stack[depth++] = (struct frame){ c, UINT32_MAX };
	return depth;
}

static void leave(struct facts *f, struct ir_block *b)
{
	int s = b->succs.n > 1 ? decided(f, b) : -1;

	if (s >= 0)
		ir_make_jmp(b, (uint32_t)s);
	for (uint32_t k = 0; k < b->succs.n; k++)
		pass_over(f, b, k);
}

static void walk(struct facts *f, struct way *ways)
{
	struct frame *stack = malloc((f->fn->blocks.n + 1) * sizeof(*stack));
	uint32_t depth = 1;

	BUG_ON(!stack);
	stack[0] = (struct frame){ f->fn->blocks.v[0], UINT32_MAX };
	while (depth) {
		struct frame *top = &stack[depth - 1];
		struct ir_block *b = top->blk;

		if (top->mark == UINT32_MAX) {
			top->mark = f->n_log;
			if (ways[b->rpo].pred)
				learn_edge(f, ways[b->rpo].pred, ways[b->rpo].edge);
			depth = push_children(stack, depth, b);
			continue;
		}
		leave(f, b);
		undo_to(f, top->mark);
		depth--;
	}
	free(stack);
}

void opt_facts(struct ir_fn *fn)
{
	struct facts f = { .fn = fn, .n = fn->n_ins + 1 };
	struct way *ways = calloc(fn->blocks.n, sizeof(*ways));

	f.range = malloc((size_t)f.n * 2 * sizeof(*f.range));
	BUG_ON(!ways || !f.range);
	for (size_t i = 0; i < (size_t)f.n * 2; i++)
		f.range[i] = (struct range){ 0, UINT64_MAX };
	ne_grow(&f);
	find_ways(fn, ways);
	walk(&f, ways);
	free(ways);
	free(f.range);
	free(f.log);
	free(f.ne);
}
