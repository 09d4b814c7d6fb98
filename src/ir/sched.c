// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sched: pure operations go down to where they are used, so that a packet pays only for what its
 * way needs.
 *
 *	@0: %5 = ldp.w %4 +2 size 2		@0: br %1, @1, @2
 *	    %6 = eq %5, 0x5000		==>	@1: ret 1
 *	    br %1, @1, @2			@2: %5 = ldp.w %4 +2 size 2
 *	@1: ret 1				    %6 = eq %5, 0x5000
 *	@2: br %6, @3, @4			    br %6, @3, @4
 *
 * An operation goes to the nearest common dominator of its uses, right before the first of them
 * there. Two kinds go otherwise:
 *  - tests and width changes are made anew in each block that uses them: they cost nothing beside
 *    the branch, while a bit that is kept costs a register;
 *  - dear ones (look-ups in constant sets and what they find, runtime functions) are made anew for
 *    each topmost user if their nearest common dominator does not use them itself: no packet pays
 *    for a look-up that its way does not need.
 *
 * Users are placed before what they use: all is walked backwards. An operation is put before an
 * anchor, which is an instruction that does not move; those put before the same anchor stand in a
 * group whose head moves up as it grows.
 */
#include <stdlib.h>

#include "ir/pass.h"

#define NONE UINT32_MAX

struct use {
	struct ir_ins *user;
	uint32_t arg;
	uint32_t next; /* in uses; NONE */
};

struct sched {
	struct ir_fn *fn;
	uint32_t n; /* instructions when the pass began: size of the tables by id */
	struct use *uses;
	uint32_t n_uses, cap_uses;
	uint32_t *first_use;	/* by id */
	struct ir_ins **anchor; /* by id of a moved one: what it stands before */
	struct ir_ins **head;	/* by id of an anchor: the head of its group */
	uint32_t *place;	/* by id of an anchor: position in its block */
	struct ir_block **jump; /* by rpo: an ancestor in the dominator tree, for long ways up */
};

static void grow_ids(struct sched *s)
{
	uint32_t old = s->n;

	if (s->fn->n_ins <= s->n)
		return;
	s->n = s->fn->n_ins * 2;
	s->first_use = realloc(s->first_use, s->n * sizeof(*s->first_use));
	s->anchor = realloc(s->anchor, s->n * sizeof(*s->anchor));
	s->head = realloc(s->head, s->n * sizeof(*s->head));
	s->place = realloc(s->place, s->n * sizeof(*s->place));
	BUG_ON(!s->first_use || !s->anchor || !s->head || !s->place);
	for (uint32_t i = old; i < s->n; i++) {
		s->first_use[i] = NONE;
		s->anchor[i] = s->head[i] = NULL;
		s->place[i] = 0;
	}
}

static void make_jumps(struct sched *s)
{
	vec_foreach(&s->fn->blocks, bp) {
		struct ir_block *p = (*bp)->idom, *j;

		if (!p) {
			s->jump[(*bp)->rpo] = *bp;
			continue;
		}
		j = s->jump[p->rpo];
		s->jump[(*bp)->rpo] = p->dom_depth - j->dom_depth ==
						      j->dom_depth - s->jump[j->rpo]->dom_depth
					      ? s->jump[j->rpo]
					      : p;
	}
}

/* The nearest block that dominates both. */
static struct ir_block *common(const struct sched *s, struct ir_block *a, const struct ir_block *b)
{
	while (!ir_dominates(a, b)) {
		struct ir_block *j = s->jump[a->rpo];

		a = j != a && !ir_dominates(j, b) ? j : a->idom;
	}
	return a;
}

static bool moves(const struct ir_ins *i)
{
	return ir_op_info[i->op].flags & PURE;
}

/* Where a use takes place: an operand of a phi at the end of the predecessor. */
static struct ir_ins *use_anchor(const struct sched *s, const struct use *u)
{
	if (u->user->op == IR_PHI)
		return u->user->blk->preds.v[u->arg]->last;
	return s->anchor[u->user->id] ?: u->user;
}

static void add_uses(struct sched *s, struct ir_ins *i)
{
	for (uint32_t k = 0; k < i->n_args; k++) {
		struct ir_ins *a = i->args[k];
		struct use *u;

		if (a->op == IR_CONST || !moves(a))
			continue;
		if (s->n_uses == s->cap_uses) {
			s->cap_uses = s->cap_uses ? s->cap_uses * 2 : 1024;
			s->uses = realloc(s->uses, s->cap_uses * sizeof(*s->uses));
			BUG_ON(!s->uses);
		}
		u = &s->uses[s->n_uses];
		*u = (struct use){ i, k, s->first_use[a->id] };
		s->first_use[a->id] = s->n_uses++;
	}
}

static void put_before(struct sched *s, struct ir_ins *i, struct ir_ins *anchor)
{
	struct ir_ins *head = s->head[anchor->id] ?: anchor;

	ir_insert_before(head, i);
	s->head[anchor->id] = i;
	s->anchor[i->id] = anchor;
	i->rule = anchor->rule;
	add_uses(s, i);
}

/* The earlier of two anchors of one block. */
static struct ir_ins *earlier(const struct sched *s, struct ir_ins *a, struct ir_ins *b)
{
	return !a || s->place[b->id] < s->place[a->id] ? b : a;
}

/* The anchor for a value that is wanted in `to`: its first use there, else the end. */
static struct ir_ins *anchor_in(const struct sched *s, uint32_t first, const struct ir_block *to)
{
	struct ir_ins *at = to->last;

	for (uint32_t u = first; u != NONE; u = s->uses[u].next) {
		struct ir_ins *a = use_anchor(s, &s->uses[u]);

		if (a->blk == to)
			at = earlier(s, at, a);
	}
	return at;
}

static struct ir_ins *clone(struct ir_fn *fn, const struct ir_ins *i)
{
	struct ir_ins *c = ir_ins_new(fn, i->op, (enum ir_type)i->type, i->n_args);

	c->size = i->size;
	c->aux = i->aux;
	c->imm = i->imm;
	memcpy(c->args, i->args, i->n_args * sizeof(*i->args));
	return c;
}

static bool is_dear(const struct ir_ins *i)
{
	return i->op == IR_CLOOK || i->op == IR_CELDW || i->op == IR_RTP;
}

static bool made_anew(const struct ir_ins *i)
{
	return i->type == IR_B || i->op == IR_ZEXT || i->op == IR_TRUNC;
}

/*
 * One instance for each use that no other instance serves; `under` says whether one in a block
 * serves all blocks below it (dear ones), or its own block only. Uses are taken in the order of the
 * dominator tree, so that the topmost come first.
 */
static const struct sched *sorting;
static int by_tree(const void *a, const void *b)
{
	const struct ir_ins *x = use_anchor(sorting, *(const struct use *const *)a);
	const struct ir_ins *y = use_anchor(sorting, *(const struct use *const *)b);

	if (x->blk != y->blk)
		return x->blk->dom_in < y->blk->dom_in ? -1 : 1;
	return (sorting->place[x->id] > sorting->place[y->id]) -
	       (sorting->place[x->id] < sorting->place[y->id]);
}

static void place_anew(struct sched *s, struct ir_ins *i, bool under)
{
	uint32_t n = 0, k = 0;
	struct use **list;
	struct ir_ins *cur = NULL;
	struct ir_block *home = NULL;
	struct ir_ins *const orig = i;

	for (uint32_t u = s->first_use[i->id]; u != NONE; u = s->uses[u].next)
		n++;
	list = malloc(n * sizeof(*list));
	BUG_ON(!list);
	for (uint32_t u = s->first_use[i->id]; u != NONE; u = s->uses[u].next)
		list[k++] = &s->uses[u];
	sorting = s;
	qsort(list, n, sizeof(*list), by_tree);
	/* Placing adds uses and may move the table: users and places are taken out first. */
	struct use *copy = malloc(n * sizeof(*copy));
	BUG_ON(!copy);
	for (k = 0; k < n; k++)
		copy[k] = *list[k];
	for (k = 0; k < n; k++) {
		struct ir_ins *at = use_anchor(s, &copy[k]);

		if (!cur || !(under ? ir_dominates(home, at->blk) : home == at->blk)) {
			cur = cur ? clone(s->fn, orig) : i;
			grow_ids(s);
			put_before(s, cur, at);
			home = at->blk;
		}
		copy[k].user->args[copy[k].arg] = cur;
	}
	free(copy);
	free(list);
}

/*
 * In a long list of rules, what two far from each other have in common is made anew for the later
 * one, where that is no more than a load or a calculation: kept, it would hold a register or stack
 * over all that lies between. A load by a pointer that is kept anyway costs no more than one from
 * the stack, and stack is dear for another reason: from Linux 6.18 on, the verifier goes over a
 * whole function again at each end of it that it meets behind a new load from the stack.
 */
#define FAR  64	  /* blocks from one use to the next */
#define NEAR 4	  /* blocks from the first use of a load to the last */
#define LONG 1024 /* blocks of a function: loads are for near uses only */

static bool loads_anew(const struct ir_fn *fn)
{
	return fn->sparing || fn->blocks.n > LONG;
}

/* A load by a pointer, or what one operation with a constant makes of it. */
static bool is_load(const struct ir_ins *i)
{
	const struct ir_ins *a = i->n_args ? ir_val(i->args[0]) : NULL;

	if (i->op == IR_LDP || (i->op == IR_LDF && a->op != IR_CTX))
		return true;
	return a && (i->n_args == 1 || (i->n_args == 2 && ir_val(i->args[1])->op == IR_CONST)) &&
	       (a->op == IR_LDP || a->op == IR_LDF) && is_load(a);
}

/* To the nearest common dominator of its uses. */
static void place_once(struct sched *s, struct ir_ins *i)
{
	uint32_t first = s->first_use[i->id];
	struct ir_block *to = NULL;
	bool used_there = false;
	/*
	 * Uses that are near to each other may have all in common only where the function begins.
	 */
	bool load = loads_anew(s->fn) && is_load(i);

	for (uint32_t u = first; u != NONE; u = s->uses[u].next) {
		struct ir_block *b = use_anchor(s, &s->uses[u])->blk;

		to = to ? common(s, to, b) : b;
	}
	for (uint32_t u = first; u != NONE && !used_there; u = s->uses[u].next)
		used_there = use_anchor(s, &s->uses[u])->blk == to;
	if ((load || is_dear(i)) && !used_there)
		place_anew(s, i, true);
	else
		put_before(s, i, anchor_in(s, first, to));
}

/*
 * Where stack is dear, nothing but the address of the network header, which nearly all rules want.
 */
static bool is_kept(const struct ir_fn *fn, const struct ir_ins *i)
{
	if (i->op == IR_CTX)
		return true;
	if (fn->sparing)
		return i->op == IR_PKT && ir_is_const(i->args[0], 0);
	return is_dear(i) || i->op == IR_PKT;
}

static int by_block(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	uint32_t p = use_anchor(sorting, &sorting->uses[*x])->blk->rpo;
	uint32_t q = use_anchor(sorting, &sorting->uses[*y])->blk->rpo;

	return p != q ? (p < q ? -1 : 1) : (*x > *y) - (*x < *y);
}

/*
 * Each group of uses near to each other gets an instance of its own; the first is the operation
 * itself.
 */
static void place_far(struct sched *s, struct ir_ins *i)
{
	uint32_t n = 0, k = 0, group = 0, *list;
	bool load = s->fn->sparing || (loads_anew(s->fn) && is_load(i));
	struct ir_ins *cur = i;

	for (uint32_t u = s->first_use[i->id]; u != NONE; u = s->uses[u].next)
		n++;
	list = malloc(n * sizeof(*list));
	BUG_ON(!list);
	for (uint32_t u = s->first_use[i->id]; u != NONE; u = s->uses[u].next)
		list[k++] = u;
	sorting = s;
	qsort(list, n, sizeof(*list), by_block);
	s->first_use[i->id] = NONE;
	for (k = 0; k < n; k++) {
		struct use *u = &s->uses[list[k]];
		uint32_t at = use_anchor(s, u)->blk->rpo;

		if (!k) {
			group = at;
		} else if (at - group > (load ? NEAR : FAR)) {
			place_once(s, cur);
			cur = clone(s->fn, i);
			grow_ids(s);
			group = at;
			u = &s->uses[list[k]];
		}
		if (!load)
			group = at;
		u->user->args[u->arg] = cur;
		u->next = s->first_use[cur->id];
		s->first_use[cur->id] = list[k];
	}
	place_once(s, cur);
	free(list);
}

static void place(struct sched *s, struct ir_ins *i)
{
	ir_remove(i);
	if (s->first_use[i->id] == NONE)
		return;
	if (made_anew(i))
		place_anew(s, i, false);
	else if ((s->fn->blocks.n > FAR || s->fn->sparing) && !is_kept(s->fn, i))
		place_far(s, i);
	else
		place_once(s, i);
}

static void number_anchors(struct sched *s, struct ir_ins **order)
{
	uint32_t k = 0;

	vec_foreach(&s->fn->blocks, bp) {
		uint32_t n = 0;

		for (struct ir_ins *i = (*bp)->first; i; i = i->next) {
			s->place[i->id] = n++;
			order[k++] = i;
		}
	}
}

void opt_sched(struct ir_fn *fn)
{
	struct sched s = { .fn = fn };
	struct ir_ins **order = malloc(((size_t)fn->n_ins + 1) * sizeof(*order));
	uint32_t n = 0;

	s.jump = malloc(fn->blocks.n * sizeof(struct ir_block *));
	BUG_ON(!order || !s.jump);
	grow_ids(&s);
	make_jumps(&s);
	vec_foreach(&fn->blocks, bp)
		for (struct ir_ins *i = (*bp)->first; i; i = i->next)
			n++;
	number_anchors(&s, order);
	/*
	 * Phis first: what they use is used at the end of blocks above, whatever the order of
	 * blocks.
	 */
	for (uint32_t k = 0; k < n; k++)
		if (order[k]->op == IR_PHI)
			add_uses(&s, order[k]);
	for (uint32_t k = n; k-- > 0;) {
		struct ir_ins *i = order[k];

		if (moves(i))
			place(&s, i);
		else if (i->op != IR_PHI)
			add_uses(&s, i);
	}
	free(order);
	free(s.jump);
	free(s.uses);
	free(s.first_use);
	free(s.anchor);
	free(s.head);
	free(s.place);
}
