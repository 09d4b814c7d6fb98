// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * regalloc: linear scan over live ranges with holes.
 *
 * Instruction n has three points: 3n where it reads, 3n + 1 where a call destroys r0 to r5, 3n + 2
 * where it writes. A register's life is a list of ranges [from, to) of points. What finds no place
 * is spilled: each mention gets a short register of its own with a load or store of a stack slot
 * (or the constant made anew), and allocation starts again. Reloads are first shared inside a
 * block, and only when that fails made for each reader. In long functions they are shared by some
 * blocks before that: it is at the beginning, where all is computed, that registers run out, and a
 * rule should not load what the rule before it has loaded.
 */
#include <stdlib.h>

#include "mir.h"

#define SLOTS_MAX                                                                                  \
	16384 /* bytes of stack slots before those that are not in use together are merged */

struct range {
	uint32_t from, to;
	struct range *next;
};

struct interval {
	uint32_t vreg;
	struct range *ranges; /* ascending; those that ended before the scan's place are dropped */
	struct range *all;
	uint32_t from, to;
	uint64_t weight;
	bool crosses; /* a call happens in it */
};

struct alloc {
	struct mir_fn *fn;
	struct range **ranges; /* by register */
	uint32_t *global_reg;  /* register of each number in the liveness sets */
	uint64_t *cost;	       /* by register: mentions, hot ones more */
	VEC(uint32_t) calls;   /* points of calls, ascending */
	VEC(struct interval) ivs;
	VEC(struct interval *) held[MIR_REGS]; /* who was given the register and is not over yet */
	bool *spilled;			       /* by register */
	struct interval **of;		       /* by register; NULL: not in use */
	uint32_t n_spilled, pos, n_vregs;
	uint32_t block_from;
	uint64_t unit; /* cost of a mention in the current block */
};

static const int8_t order_any[] = { 0, 5, 4, 3, 2, 1, 6, 7, 8, 9, -1 };
static const int8_t order_saved[] = { 6, 7, 8, 9, -1 };

/* -- building the intervals -------------------------------------------------------------------- */

static void add_range(struct alloc *al, uint32_t v, uint32_t from, uint32_t to)
{
	struct range *r = al->ranges[v];

	if (r && r->from <= to) {
		r->from = MIN(r->from, from);
		r->to = MAX(r->to, to);
		return;
	}
	r = arena_new_of(al->fn->arena, struct range);
	*r = (struct range){ from, to, al->ranges[v] };
	al->ranges[v] = r;
}

static void use_range(void *arg, uint32_t *reg)
{
	struct alloc *al = arg;

	add_range(al, *reg, al->block_from, al->pos + 1);
	al->cost[*reg] += al->unit;
}

/*
 * d = a bop b is written `d = a; d bop= b`: b must outlive the start of the writing unless the
 * operands can change places.
 */
static bool keeps_b(const struct mir_ins *i)
{
	return i->op == MIR_ALU && i->b && !mir_commutes(i->bop) && i->bop != BPF_SUB;
}

static void def_range(struct alloc *al, uint32_t d, uint32_t at)
{
	struct range *r = al->ranges[d];

	if (r && r->from <= at && r->to > at)
		r->from = at;
	else
		add_range(al, d, at, at + 1);
	al->cost[d] += al->unit;
}

static void block_ranges(struct alloc *al, struct mir_block *b)
{
	struct mir_fn *fn = al->fn;
	uint32_t n = b->to;

	al->block_from = 3 * b->from;
	al->unit = b->cold ? 1 : 16;
	for (uint32_t k = 0; k < fn->n_globals; k++)
		if (b->live_out[k / 64] == 0)
			k |= 63;
		else if (mir_set_has(b->live_out, k))
			add_range(al, al->global_reg[k], 3 * b->from, 3 * b->to);
	for (struct mir_ins *i = b->last; i; i = i->prev) {
		al->pos = 3 * --n;
		if (i->d)
			def_range(al, i->d, al->pos + 2);
		mir_each_use(i, use_range, al);
		if (keeps_b(i))
			add_range(al, i->b, al->block_from, al->pos + 3);
		if (i->op == MIR_CALL)
			*vec_push(fn->arena, &al->calls) = al->pos + 1;
	}
}

static bool crosses_call(const struct alloc *al, const struct interval *iv)
{
	for (const struct range *r = iv->all; r; r = r->next) {
		uint32_t lo = 0, hi = al->calls.n;

		while (lo < hi) { /* first call at or after r->from */
			uint32_t mid = (lo + hi) / 2;

			if (al->calls.v[mid] < r->from)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < al->calls.n && al->calls.v[lo] < r->to)
			return true;
	}
	return false;
}

static int by_start(const void *x, const void *y)
{
	const struct interval *a = x, *b = y;

	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return a->vreg < b->vreg ? -1 : 1;
}

static uint64_t weight_of(const struct alloc *al, const struct interval *iv)
{
	const struct mir_vreg *v = &al->fn->vregs.v[iv->vreg];
	uint64_t len = 8, w;

	if (v->level == 2)
		return UINT64_MAX;
	for (const struct range *r = iv->all; r; r = r->next)
		len += r->to - r->from;
	w = al->cost[iv->vreg] * 65536 / len + 1;
	if (v->remat)
		w /= 2;
	return v->level ? w * 4096 : w;
}

static void build_intervals(struct alloc *al)
{
	struct mir_fn *fn = al->fn;

	al->ranges = arena_array(fn->arena, struct range *, fn->vregs.n);
	al->cost = arena_array(fn->arena, uint64_t, fn->vregs.n);
	al->spilled = arena_array(fn->arena, bool, fn->vregs.n);
	al->global_reg = arena_array(fn->arena, uint32_t, fn->n_globals + 1);
	for (uint32_t v = 0; v < fn->vregs.n; v++)
		if (fn->vregs.v[v].global)
			al->global_reg[fn->vregs.v[v].global - 1] = v;
	for (uint32_t k = fn->blocks.n; k-- > 0;)
		block_ranges(al, fn->blocks.v[k]);
	for (uint32_t i = 0; i < al->calls.n / 2; i++) {
		uint32_t t = al->calls.v[i];

		al->calls.v[i] = al->calls.v[al->calls.n - 1 - i];
		al->calls.v[al->calls.n - 1 - i] = t;
	}
	for (uint32_t v = MIR_FP + 1; v < fn->vregs.n; v++) {
		struct range *r = al->ranges[v];
		struct interval *iv;

		if (!r)
			continue;
		iv = vec_push(fn->arena, &al->ivs);
		*iv = (struct interval){ .vreg = v, .ranges = r, .all = r, .from = r->from };
		while (r->next)
			r = r->next;
		iv->to = r->to;
		iv->crosses = crosses_call(al, iv);
		iv->weight = weight_of(al, iv);
	}
	if (al->ivs.n)
		qsort(al->ivs.v, al->ivs.n, sizeof(*al->ivs.v), by_start);
	al->of = arena_array(fn->arena, struct interval *, fn->vregs.n);
	vec_foreach(&al->ivs, iv)
		al->of[iv->vreg] = iv;
}

/* -- the scan ---------------------------------------------------------------------------------- */

static bool overlap(struct interval *a, const struct interval *b, uint32_t now)
{
	const struct range *x, *y = b->ranges;

	while (a->ranges && a->ranges->to <= now)
		a->ranges = a->ranges->next;
	x = a->ranges;
	while (x && y) {
		if (x->to <= y->from)
			x = x->next;
		else if (y->to <= x->from)
			y = y->next;
		else
			return true;
	}
	return false;
}

/*
 * What it would cost to take register r from those who hold it while cur lives; 0: it is free. Who
 * is over at `now` is forgotten.
 */
static uint64_t price_at(struct alloc *al, int r, const struct interval *cur, uint32_t now)
{
	uint64_t sum = 0;
	uint32_t n = 0;

	for (uint32_t k = 0; k < al->held[r].n; k++) {
		struct interval *iv = al->held[r].v[k];

		if (iv->to <= now)
			continue;
		al->held[r].v[n++] = iv;
		if (overlap(iv, cur, now))
			sum = sum + iv->weight < sum ? UINT64_MAX : sum + iv->weight;
	}
	al->held[r].n = n;
	return sum;
}

static uint64_t price(struct alloc *al, int r, const struct interval *cur)
{
	return price_at(al, r, cur, cur->from);
}

static void evict(struct alloc *al, int r, const struct interval *cur)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < al->held[r].n; k++) {
		struct interval *iv = al->held[r].v[k];

		if (!overlap(iv, cur, cur->from)) {
			al->held[r].v[n++] = iv;
			continue;
		}
		al->fn->vregs.v[iv->vreg].phys = -1;
		al->spilled[iv->vreg] = true;
		al->n_spilled++;
	}
	al->held[r].n = n;
}

/* A register that is lost in calls is no hint for who crosses one. */
static int phys_hint(const struct alloc *al, const struct interval *cur)
{
	const struct mir_vreg *v = &al->fn->vregs.v[cur->vreg];
	int h = v->phys_hint;

	if (h < 0 && v->hint > MIR_FP)
		h = al->fn->vregs.v[v->hint].phys_hint;
	return h >= 0 && cur->crosses && h < 6 ? -1 : h;
}

static int hint_of(const struct alloc *al, const struct interval *cur)
{
	const struct mir_vreg *v = &al->fn->vregs.v[cur->vreg];
	int h = v->hint ? al->fn->vregs.v[v->hint].phys : -1;

	if (h < 0 || h > 9)
		return phys_hint(al, cur);
	return cur->crosses && h < 6 ? phys_hint(al, cur) : h;
}

/* A value that only becomes one which crosses calls goes where that one must be. */
static int heir_reg(struct alloc *al, struct interval *cur)
{
	uint32_t h = al->fn->vregs.v[cur->vreg].hint;
	const struct interval *heir = h > MIR_FP ? al->of[h] : NULL;

	if (cur->crosses || !heir || !heir->crosses || heir->from + 1 < cur->to)
		return -1;
	for (const int8_t *r = order_saved; *r >= 0; r++)
		if (!price_at(al, *r, heir, cur->from) && !price(al, *r, cur))
			return *r;
	return -1;
}

static void place(struct alloc *al, struct interval *cur)
{
	const int8_t *order = cur->crosses ? order_saved : order_any;
	uint64_t least = UINT64_MAX, p;
	int best = -1, h = hint_of(al, cur);

	if (h >= 0 && price(al, h, cur))
		h = phys_hint(al, cur);
	if (h < 0)
		h = heir_reg(al, cur);
	if (h >= 0 && !price(al, h, cur)) {
		best = h;
		least = 0;
	}
	for (; least && *order >= 0; order++) {
		p = price(al, *order, cur);
		if (p < least) {
			least = p;
			best = *order;
		}
	}
	if (best < 0 || least >= cur->weight) {
		BUG_ON(cur->weight == UINT64_MAX);
		al->spilled[cur->vreg] = true;
		al->n_spilled++;
		return;
	}
	if (least)
		evict(al, best, cur);
	al->fn->vregs.v[cur->vreg].phys = best;
	*vec_push(al->fn->arena, &al->held[best]) = cur;
}

static void find_hints(struct mir_fn *fn)
{
	static const int8_t arg_regs[] = { 1, 2, 3, 4, 5 };

	vec_foreach(&fn->blocks, b)
		for (struct mir_ins *i = (*b)->first; i; i = i->next) {
			if (i->d && i->a > MIR_FP && i->op != MIR_LDX) {
				if (!fn->vregs.v[i->d].hint)
					fn->vregs.v[i->d].hint = i->a;
				if (!fn->vregs.v[i->a].hint)
					fn->vregs.v[i->a].hint = i->d;
			}
			for (uint32_t k = 0; k < i->n_args; k++)
				if (i->args[k].kind == MA_REG)
					fn->vregs.v[i->args[k].reg].phys_hint = arg_regs[k];
			if (i->op == MIR_CALL && i->d)
				fn->vregs.v[i->d].phys_hint = 0;
			if (i->op == MIR_ENTRY)
				fn->vregs.v[i->d].phys_hint = 1;
			if (i->op == MIR_RET && i->a)
				fn->vregs.v[i->a].phys_hint = 0;
		}
}

/* -- spilling ---------------------------------------------------------------------------------- */

struct spill {
	struct alloc *al;
	struct mir_block *b;
	struct mir_ins *at;
	int32_t *slot; /* by register */
	/* by register: the reload that later readers in this block may use; 0 none */
	uint32_t *shared;
	VEC(uint32_t) fresh; /* registers with a shared reload in this block */
	/* In long functions; else NULL: */
	struct mir_block **idom; /* by order */
	struct region *region;	 /* by register */
	uint32_t last_call;	 /* order of the last block with a call + 1 */
};

/* A reload that blocks below `home` share, until REGION blocks later or a call comes. */
struct region {
	uint32_t reg; /* 0: none */
	const struct mir_block *home;
	const struct mir_block *def; /* where the register was written last */
};
#define REGION	    128
#define REGIONS_MIN 1024 /* blocks of a function that has them */

static struct mir_ins *reload_ins(struct spill *s, uint32_t v)
{
	struct mir_fn *fn = s->al->fn;
	struct mir_ins *i, *remat = fn->vregs.v[v].remat;

	if (remat) {
		i = mir_ins_new(fn, remat->op, s->at->rule);
		*i = *remat;
		i->rule = s->at->rule;
		return i;
	}
	i = mir_ins_new(fn, MIR_LDX, s->at->rule);
	i->a = MIR_FP;
	i->off = s->slot[v];
	i->size = 8;
	return i;
}

/*
 * Blocks stand in topological order, and there are no loops: all ways to a block are known when it
 * is its turn.
 */
static void find_idoms(struct spill *s)
{
	struct mir_fn *fn = s->al->fn;

	s->idom = arena_array(fn->arena, struct mir_block *, fn->blocks.n);
	vec_foreach(&fn->blocks, bp)
		for (uint32_t k = 0; k < (*bp)->n_succ; k++) {
			struct mir_block **at = &s->idom[(*bp)->succ[k]->order], *x = *bp;

			while (*at && *at != x)
				if ((*at)->order > x->order)
					*at = s->idom[(*at)->order];
				else
					x = s->idom[x->order];
			*at = x;
		}
}

static bool is_above(const struct spill *s, const struct mir_block *a, const struct mir_block *b)
{
	while (b && b->order > a->order)
		b = s->idom[b->order];
	return a == b;
}

/* The reload that blocks share, made if there is none that holds here; 0: there can be none. */
static uint32_t region_reload(struct spill *s, uint32_t v)
{
	struct mir_fn *fn = s->al->fn;
	struct region *r = &s->region[v];
	struct mir_block *home = s->b;
	struct mir_ins *i;

	if (fn->vregs.v[v].region || fn->vregs.v[v].level || fn->vregs.v[v].remat ||
	    s->last_call == home->order + 1)
		return 0;
	if (r->reg && home->order - r->home->order <= REGION &&
	    s->last_call <= r->home->order + 1 && is_above(s, r->home, home))
		return r->reg;
	/* The body of a rule is not on the way to the next one: the head is. */
	if (home->n_preds == 1 && r->def != home)
		home = s->idom[home->order];
	r->home = home;
	r->reg = mir_vreg_new(fn);
	fn->vregs.v[r->reg].region = true;
	i = reload_ins(s, v);
	i->d = r->reg;
	fn->vregs.v[r->reg].remat = i;
	mir_insert_before(home, home == s->b ? s->at : home->last, i);
	return r->reg;
}

static void reload(void *arg, uint32_t *reg)
{
	struct spill *s = arg;
	struct mir_fn *fn = s->al->fn;
	uint32_t v = *reg, n, level;
	struct mir_ins *i;

	if (v >= s->al->n_vregs || !s->al->spilled[v])
		return;
	if (s->shared[v]) {
		*reg = s->shared[v];
		return;
	}
	n = s->region ? region_reload(s, v) : 0;
	if (n) {
		*reg = n;
		return;
	}
	level = fn->vregs.v[v].level + 1;
	n = mir_vreg_new(fn);
	fn->vregs.v[n].level = MIN(level, 2u);
	i = reload_ins(s, v);
	i->d = n;
	fn->vregs.v[n].remat = i;
	mir_insert_before(s->b, s->at, i);
	if (level == 1) {
		s->shared[v] = n;
		*vec_push(fn->arena, &s->fresh) = v;
	}
	*reg = n;
}

static void store_def(struct spill *s)
{
	struct mir_fn *fn = s->al->fn;
	struct mir_ins *i = s->at, *st;
	uint32_t v = i->d, level;

	if (!v || v >= s->al->n_vregs || !s->al->spilled[v] || fn->vregs.v[v].remat)
		return;
	level = fn->vregs.v[v].level + 1;
	i->d = mir_vreg_new(fn);
	fn->vregs.v[i->d].level = MIN(level, 2u);
	st = mir_ins_new(fn, MIR_STX, i->rule);
	st->a = MIR_FP;
	st->b = i->d;
	st->off = s->slot[v];
	st->size = 8;
	mir_insert_after(s->b, i, st);
	if (s->region)
		s->region[v].def = s->b;
	s->shared[v] = level == 1 ? i->d : 0;
	if (level == 1)
		*vec_push(fn->arena, &s->fresh) = v;
}

static void forget(struct spill *s)
{
	vec_foreach(&s->fresh, v)
		s->shared[*v] = 0;
	s->fresh.n = 0;
}

struct slot {
	int32_t off;
	uint32_t size;
	VEC(struct interval *) users;
};

static bool slot_free(const struct slot *sl, struct interval *iv)
{
	vec_foreach(&sl->users, u) {
		const struct range *x = (*u)->all, *y = iv->all;

		while (x && y) {
			if (x->to <= y->from)
				x = x->next;
			else if (y->to <= x->from)
				y = y->next;
			else
				return false;
		}
	}
	return true;
}

/* Stack for the buffers of packet addresses; those that are never in use together share it. */
static void place_bufs(struct alloc *al)
{
	struct mir_fn *fn = al->fn;
	VEC(struct slot) slots = { 0 };

	vec_foreach(&fn->bufs, b) {
		struct interval *number = al->of[b->regs[0]], *ptr = al->of[b->regs[1]];
		struct slot *sl = slots.v;

		while (sl < slots.v + slots.n &&
		       (sl->size < b->size || (number && !slot_free(sl, number)) ||
			(ptr && !slot_free(sl, ptr))))
			sl++;
		if (sl == slots.v + slots.n) {
			sl = vec_push(fn->arena, &slots);
			*sl = (struct slot){ .off = mir_stack(fn, b->size), .size = b->size };
		}
		b->off = sl->off;
		if (number)
			*vec_push(fn->arena, &sl->users) = number;
		if (ptr)
			*vec_push(fn->arena, &sl->users) = ptr;
	}
	vec_foreach(&fn->blocks, blk)
		for (struct mir_ins *i = (*blk)->first; i; i = i->next)
			for (uint32_t k = 0; k < i->n_args; k++)
				if (i->args[k].kind == MA_BUF) {
					i->args[k].imm = fn->bufs.v[i->args[k].imm].off;
					i->args[k].kind = MA_FP;
				}
	fn->bufs.n = 0;
}

/* A stack slot for each spilled register; registers that are never live together share one. */
static void give_slots(struct spill *s)
{
	struct mir_fn *fn = s->al->fn;
	VEC(struct slot) slots = { 0 };

	vec_foreach(&s->al->ivs, iv) {
		struct slot *sl = slots.v;

		if (!s->al->spilled[iv->vreg] || fn->vregs.v[iv->vreg].remat)
			continue;
		while (sl < slots.v + slots.n && !slot_free(sl, iv))
			sl++;
		if (sl == slots.v + slots.n) {
			sl = vec_push(fn->arena, &slots);
			*sl = (struct slot){ .off = mir_stack(fn, 8) };
		}
		*vec_push(fn->arena, &sl->users) = iv;
		s->slot[iv->vreg] = sl->off;
	}
}

static void rewrite(struct alloc *al)
{
	struct mir_fn *fn = al->fn;
	struct spill s = { .al = al };

	al->n_vregs = fn->vregs.n;
	s.slot = arena_array(fn->arena, int32_t, fn->vregs.n);
	s.shared = arena_array(fn->arena, uint32_t, fn->vregs.n);
	give_slots(&s);
	if (fn->blocks.n > REGIONS_MIN) {
		find_idoms(&s);
		s.region = arena_array(fn->arena, struct region, fn->vregs.n);
	}
	vec_foreach(&fn->blocks, b) {
		s.b = *b;
		for (struct mir_ins *i = s.b->first, *next; i; i = next) {
			next = i->next;
			s.at = i;
			mir_each_use(i, reload, &s);
			if (i->op == MIR_CALL) {
				forget(&s);
				s.last_call = s.b->order + 1;
			}
			store_def(&s);
		}
		forget(&s);
	}
}

/* -- cold calls -------------------------------------------------------------------------------- */

static bool covers(const struct interval *iv, uint32_t point)
{
	for (const struct range *r = iv->all; r && r->from <= point; r = r->next)
		if (point < r->to)
			return true;
	return false;
}

static void find_saves(struct alloc *al)
{
	struct mir_fn *fn = al->fn;

	vec_foreach(&fn->blocks, b) {
		uint32_t n = (*b)->from;

		for (struct mir_ins *i = (*b)->first; i; i = i->next, n++) {
			if (i->op != MIR_CALLC)
				continue;
			vec_foreach(&al->ivs, iv) {
				int8_t r = fn->vregs.v[iv->vreg].phys;

				if (r < 6 && covers(iv, 3 * n + 1))
					i->saves |= 1 << r;
			}
		}
	}
}

static bool scan(struct mir_fn *fn)
{
	struct alloc al = { .fn = fn };

	for (uint32_t v = MIR_FP + 1; v < fn->vregs.n; v++)
		fn->vregs.v[v].phys = -1;
	mir_dce(fn);
	mir_live(fn);
	find_hints(fn);
	build_intervals(&al);
	if (fn->bufs.n)
		place_bufs(&al);
	vec_foreach(&al.ivs, iv)
		place(&al, iv);
	if (al.n_spilled) {
		if (!fn->spill_base)
			fn->spill_base = fn->frame + 1;
		rewrite(&al);
		return false;
	}
	find_saves(&al);
	mir_merge_slots(fn, fn->spill_base ? fn->spill_base - 1 : fn->frame);
	return true;
}

bool mir_regalloc(struct mir_fn *fn)
{
	for (int round = 0; !scan(fn); round++)
		if (fn->frame > SLOTS_MAX || round > 20)
			return false;
	return true;
}
