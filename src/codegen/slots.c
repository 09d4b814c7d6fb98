// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slots: spilled registers whose stack slots are never in use together get one slot, and cold calls
 * keep registers in slots that are not in use where they stand.
 *
 * Each round of the register allocator gives new slots; only when all rounds are over the
 * instructions tell when a slot is in use: from a store to the last load behind it. Blocks are in
 * topological order without loops: one walk backwards is enough.
 */
#include "mir.h"

struct slots {
	struct mir_fn *fn;
	int32_t base; /* bytes of stack that are no slots, a multiple of 8 */
	uint32_t n, words;
	uint64_t *meet; /* [slot][words]: used together */
};

/* The slot that the instruction loads or stores; -1: none. */
static int32_t slot_of(const struct slots *s, const struct mir_ins *i)
{
	if (i->a != MIR_FP || i->off >= -s->base || (i->op != MIR_LDX && i->op != MIR_STX))
		return -1;
	return (-i->off - s->base) / 8 - 1;
}

static void meet_all(struct slots *s, uint32_t slot, const uint64_t *live)
{
	for (uint32_t k = 0; k < s->n; k++)
		if (k != slot && mir_set_has(live, k)) {
			mir_set_add(s->meet + (size_t)slot * s->words, k);
			mir_set_add(s->meet + (size_t)k * s->words, slot);
		}
}

static void live_out(const struct slots *s, const struct mir_block *b, const uint64_t *sets,
		     uint64_t *live)
{
	for (uint32_t k = 0; k < b->n_succ; k++)
		for (uint32_t w = 0; w < s->words; w++)
			live[w] |= sets[(size_t)b->succ[k]->order * s->words + w];
}

static void block_slots(struct slots *s, struct mir_block *b, uint64_t *sets)
{
	uint64_t *live = sets + (size_t)b->order * s->words;

	live_out(s, b, sets, live);
	for (struct mir_ins *i = b->last; i; i = i->prev) {
		int32_t slot = slot_of(s, i);

		if (slot < 0)
			continue;
		if (i->op == MIR_LDX) {
			mir_set_add(live, slot);
			continue;
		}
		live[slot / 64] &= ~(1ull << (slot % 64));
		meet_all(s, slot, live);
	}
}

/*
 * The first of as many free places in a row as the call has registers to keep; `taken` are those in
 * use over it.
 */
static uint32_t save_place(const struct mir_ins *call, const uint64_t *taken, uint32_t n_taken)
{
	uint32_t want = __builtin_popcount(call->saves), run = 0, k = 0;

	for (; run < want; k++)
		run = k < n_taken && mir_set_has(taken, k) ? 0 : run + 1;
	return k - want;
}

/* Where b's cold calls keep registers; the number of places in use so far grows with them. */
static void block_saves(const struct slots *s, struct mir_block *b, const uint64_t *sets,
			const uint32_t *place, uint32_t *most)
{
	uint64_t *live = arena_array(s->fn->arena, uint64_t, 2 * s->words),
		 *taken = live + s->words;

	live_out(s, b, sets, live);
	for (struct mir_ins *i = b->last; i; i = i->prev) {
		int32_t slot = slot_of(s, i);
		uint32_t at;

		if (slot >= 0 && i->op == MIR_LDX)
			mir_set_add(live, slot);
		else if (slot >= 0)
			live[slot / 64] &= ~(1ull << (slot % 64));
		if (i->op != MIR_CALLC || !i->saves)
			continue;
		memset(taken, 0, s->words * sizeof(*taken));
		for (uint32_t k = 0; k < s->n; k++)
			if (mir_set_has(live, k))
				mir_set_add(taken, place[k]);
		at = save_place(i, taken, s->n) + __builtin_popcount(i->saves);
		*most = MAX(*most, at);
		i->save_off = -s->base - 8 * (int32_t)at;
	}
}

static bool has_saves(const struct mir_fn *fn)
{
	vec_foreach(&fn->blocks, b)
		if ((*b)->cold)
			for (struct mir_ins *i = (*b)->first; i; i = i->next)
				if (i->saves)
					return true;
	return false;
}

void mir_merge_slots(struct mir_fn *fn, int32_t base)
{
	struct slots s = { .fn = fn, .base = base, .n = (fn->frame - base) / 8 };
	uint64_t *sets, *taken;
	uint32_t *place, most = 0;

	if (s.n < 2 && !has_saves(fn))
		return;
	s.words = DIV_ROUND_UP(s.n + 1, 64);
	s.meet = arena_array(fn->arena, uint64_t, (size_t)s.n * s.words);
	sets = arena_array(fn->arena, uint64_t, (size_t)fn->blocks.n * s.words);
	place = arena_array(fn->arena, uint32_t, s.n + 1);
	taken = arena_array(fn->arena, uint64_t, s.words);
	for (uint32_t k = fn->blocks.n; k-- > 0;)
		block_slots(&s, fn->blocks.v[k], sets);
	for (uint32_t k = 0; k < s.n; k++) {
		memset(taken, 0, s.words * sizeof(*taken));
		for (uint32_t j = 0; j < k; j++)
			if (mir_set_has(s.meet + (size_t)k * s.words, j))
				mir_set_add(taken, place[j]);
		while (mir_set_has(taken, place[k]))
			place[k]++;
		most = MAX(most, place[k] + 1);
	}
	vec_foreach(&fn->blocks, b)
		if ((*b)->cold)
			block_saves(&s, *b, sets, place, &most);
	vec_foreach(&fn->blocks, b)
		for (struct mir_ins *i = (*b)->first; i; i = i->next) {
			int32_t slot = slot_of(&s, i);

			if (slot >= 0)
				i->off = -base - 8 * (int32_t)(place[slot] + 1);
		}
	fn->frame = base + 8 * (int32_t)most;
}
