// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The IR's tables, and how modules, functions, blocks, instructions and edges are made, changed and
 * taken away.
 */
#include "ir/pass.h"

const struct ir_op_info ir_op_info[IR_OP_COUNT] = {
#define V			      IR_V
#define B			      IR_B
#define W			      IR_W
#define L			      IR_L
#define T			      IR_T
#define X(op, name, res, args, flags) [IR_##op] = { name, res, args, flags },
#include "ops.def"
#undef X
#undef V
#undef B
#undef W
#undef L
#undef T
};

const struct ir_field_info ir_field_info[FLD_COUNT] = {
#define F(id, st, path, size, base) [FLD_##id] = { #id, #st, #path, size, FB_##base },
#include "fields.def"
#undef F
};

uint64_t ir_type_mask(enum ir_type t)
{
	return t == IR_B ? 1 : t == IR_W ? UINT32_MAX : UINT64_MAX;
}

/* -- modules, functions, blocks ---------------------------------------------------------------- */

struct ir_mod *ir_mod_new(struct arena *a, struct diag *d)
{
	struct ir_mod *m = arena_new_of(a, struct ir_mod);

	m->arena = a;
	m->diag = d;
	strmap_init(&m->notes, a);
	return m;
}

uint32_t ir_set_words(const struct set *s)
{
	return s->is_vmap || s->flags & SET_OBJECT ? 1 : DIV_ROUND_UP(s->data_len, 4);
}

uint32_t ir_set_index(const struct ir_set *is, const struct set_elem *e)
{
	for (uint32_t k = 0; k < is->verdicts.n; k++)
		if (is->verdicts.v[k].code == e->verdict.code &&
		    is->verdicts.v[k].chain == e->verdict.chain)
			return k;
	for (uint32_t k = 0; k < is->objs.n; k++)
		if (is->objs.v[k] == e->obj)
			return k;
	BUG("set %s: what an element names is not in its table", is->set->name);
}

struct ir_fn *ir_fn_new(struct ir_mod *m, enum ir_fn_kind kind, const char *name)
{
	struct ir_fn *fn = arena_new_of(m->arena, struct ir_fn);

	fn->mod = m;
	fn->arena = m->arena;
	fn->kind = kind;
	fn->name = name;
	fn->index = m->fns.n;
	*vec_push(m->arena, &m->fns) = fn;
	return fn;
}

struct ir_block *ir_block_new(struct ir_fn *fn)
{
	struct ir_block *b = arena_new_of(fn->arena, struct ir_block);

	b->id = fn->n_blocks++;
	b->fn = fn;
	b->rpo = fn->blocks.n;
	ir_cfg_changed(fn);
	*vec_push(fn->arena, &fn->blocks) = b;
	return b;
}

/* -- instructions ------------------------------------------------------------------------------ */

struct ir_ins *ir_ins_new(struct ir_fn *fn, enum ir_op op, enum ir_type t, uint32_t n_args)
{
	struct ir_ins *i;

	i = arena_alloc(fn->arena, sizeof(*i) + n_args * sizeof(*i->args));
	i->op = op;
	i->type = t;
	i->n_args = n_args;
	i->args = (struct ir_ins **)(i + 1);
	i->id = fn->n_ins++;
	return i;
}

static uint32_t const_slot(struct ir_ins **tab, uint32_t cap, enum ir_type t, uint64_t v)
{
	uint64_t h = (v ^ (uint64_t)t << 61) * 0x9e3779b97f4a7c15ull;
	uint32_t s = (uint32_t)(h >> 32) & (cap - 1);

	while (tab[s] && (tab[s]->type != t || (uint64_t)tab[s]->imm != v))
		s = (s + 1) & (cap - 1);
	return s;
}

static void consts_grow(struct ir_fn *fn)
{
	uint32_t cap = fn->cap_consts ? fn->cap_consts * 2 : 64;
	struct ir_ins **tab = arena_array(fn->arena, struct ir_ins *, cap);

	for (uint32_t i = 0; i < fn->cap_consts; i++) {
		struct ir_ins *c = fn->consts[i];

		if (c)
			tab[const_slot(tab, cap, c->type, (uint64_t)c->imm)] = c;
	}
	fn->consts = tab;
	fn->cap_consts = cap;
}

struct ir_ins *ir_fn_const(struct ir_fn *fn, enum ir_type t, uint64_t v)
{
	uint32_t s;

	v &= ir_type_mask(t);
	if (fn->n_consts * 2 >= fn->cap_consts)
		consts_grow(fn);
	s = const_slot(fn->consts, fn->cap_consts, t, v);
	if (!fn->consts[s]) {
		fn->consts[s] = ir_ins_new(fn, IR_CONST, t, 0);
		fn->consts[s]->imm = (int64_t)v;
		fn->n_consts++;
	}
	return fn->consts[s];
}

void ir_append(struct ir_block *b, struct ir_ins *i)
{
	i->blk = b;
	i->prev = b->last;
	i->next = NULL;
	if (b->last)
		b->last->next = i;
	else
		b->first = i;
	b->last = i;
}

void ir_insert_before(struct ir_ins *at, struct ir_ins *i)
{
	i->blk = at->blk;
	i->prev = at->prev;
	i->next = at;
	if (at->prev)
		at->prev->next = i;
	else
		at->blk->first = i;
	at->prev = i;
}

void ir_remove(struct ir_ins *i)
{
	struct ir_block *b = i->blk;

	BUG_ON(!b);
	if (i->prev)
		i->prev->next = i->next;
	else
		b->first = i->next;
	if (i->next)
		i->next->prev = i->prev;
	else
		b->last = i->prev;
	i->prev = i->next = NULL;
	i->blk = NULL;
}

void ir_replace(struct ir_fn *fn, struct ir_ins *old, struct ir_ins *by)
{
	by = ir_val(by);
	if (old == by)
		return;
	BUG_ON(old->op == IR_CONST || old->type != by->type);
	if (!old->n_args)
		old->args = arena_array(fn->arena, struct ir_ins *, 1);
	fn->has_copies = true;
	old->op = IR_COPY;
	old->n_args = 1;
	old->args[0] = by;
	old->aux = 0;
	old->imm = 0;
	old->size = 0;
}

void ir_sweep(struct ir_fn *fn)
{
	if (!fn->has_copies)
		return;
	fn->has_copies = false;
	vec_foreach(&fn->blocks, bp) {
		for (struct ir_ins *i = (*bp)->first, *next; i; i = next) {
			next = i->next;
			for (uint32_t k = 0; k < i->n_args; k++)
				i->args[k] = ir_val(i->args[k]);
		}
	}
	vec_foreach(&fn->blocks, bp) {
		for (struct ir_ins *i = (*bp)->first, *next; i; i = next) {
			next = i->next;
			if (i->op == IR_COPY)
				ir_remove(i);
		}
	}
}

/* -- emitting at a cursor ---------------------------------------------------------------------- */

struct ir_ins *ir_const(struct ir_cur *c, enum ir_type t, uint64_t v)
{
	return ir_fn_const(c->fn, t, v);
}

static struct ir_ins *emit_ins(struct ir_cur *c, enum ir_op op, enum ir_type t, uint32_t n)
{
	const struct ir_op_info *info = &ir_op_info[op];
	struct ir_ins *i;

	BUG_ON(!c->blk || (c->blk->last && ir_op_info[c->blk->last->op].flags & TERM));
	i = ir_ins_new(c->fn, op, info->res == IR_T ? t : info->res, n);
	i->rule = c->rule;
	ir_append(c->blk, i);
	return i;
}

struct ir_ins *ir_emit(struct ir_cur *c, enum ir_op op, enum ir_type t, uint32_t n_args,
		       struct ir_ins *const *args)
{
	struct ir_ins *i = emit_ins(c, op, t, n_args);

	for (uint32_t k = 0; k < n_args; k++)
		i->args[k] = args[k];
	return i;
}

struct ir_ins *ir_emit1(struct ir_cur *c, enum ir_op op, enum ir_type t, struct ir_ins *a)
{
	return ir_emit(c, op, t, 1, &a);
}

struct ir_ins *ir_emit2(struct ir_cur *c, enum ir_op op, enum ir_type t, struct ir_ins *a,
			struct ir_ins *b)
{
	return ir_emit(c, op, t, 2, (struct ir_ins *[]){ a, b });
}

struct ir_ins *ir_ldf(struct ir_cur *c, enum ir_field f, struct ir_ins *base, int64_t off)
{
	struct ir_ins *i;

	BUG_ON(f >= FLD_COUNT);
	i = ir_emit1(c, IR_LDF, ir_field_info[f].size > 4 ? IR_L : IR_W, base);
	i->aux = f;
	i->imm = off;
	return i;
}

struct ir_ins *ir_ldp(struct ir_cur *c, struct ir_ins *pkt, int64_t off, uint8_t size)
{
	struct ir_ins *i = ir_emit1(c, IR_LDP, size > 4 ? IR_L : IR_W, pkt);

	i->imm = off;
	i->size = size;
	return i;
}

void ir_jmp(struct ir_cur *c, struct ir_block *to)
{
	emit_ins(c, IR_JMP, IR_V, 0);
	ir_edge_add(c->blk, to);
}

void ir_br(struct ir_cur *c, struct ir_ins *cond, struct ir_block *t, struct ir_block *f)
{
	ir_emit1(c, IR_BR, IR_V, cond);
	ir_edge_add(c->blk, t);
	ir_edge_add(c->blk, f);
}

void ir_switch(struct ir_cur *c, struct ir_ins *v, uint32_t n_cases, const int64_t *cases,
	       struct ir_block *const *targets, struct ir_block *dflt)
{
	ir_emit1(c, IR_SWITCH, IR_V, v);
	for (uint32_t k = 0; k < n_cases; k++) {
		*vec_push(c->fn->arena, &c->blk->cases) = cases[k];
		ir_edge_add(c->blk, targets[k]);
	}
	ir_edge_add(c->blk, dflt);
}

void ir_ret(struct ir_cur *c, uint32_t verdict)
{
	ir_emit1(c, IR_RET, IR_V, ir_const(c, IR_W, verdict));
}

/* -- edges ------------------------------------------------------------------------------------- */

static void phi_arg_add(struct arena *a, struct ir_ins *phi)
{
	struct ir_ins **args = arena_array(a, struct ir_ins *, phi->n_args + 1);

	memcpy(args, phi->args, phi->n_args * sizeof(*args));
	phi->args = args;
	phi->n_args++;
}

void ir_edge_add(struct ir_block *from, struct ir_block *to)
{
	struct arena *a = from->fn->arena;

	ir_cfg_changed(from->fn);
	*vec_push(a, &from->succs) = to;
	*vec_push(a, &to->preds) = from;
	for (struct ir_ins *i = to->first; i && i->op == IR_PHI; i = i->next)
		phi_arg_add(a, i);
}

/* Searched from both ends: passes that walk the blocks in order find theirs near one. */
uint32_t ir_pred_index(const struct ir_block *b, const struct ir_block *pred)
{
	for (uint32_t p = 0, n = b->preds.n; p < (n + 1) / 2; p++) {
		if (b->preds.v[p] == pred)
			return p;
		if (b->preds.v[n - 1 - p] == pred)
			return n - 1 - p;
	}
	BUG("@%u is no predecessor of @%u", pred->id, b->id);
}

/* The last predecessor takes the place of the one that goes: no cost in a block of 100,000. */
static void pred_remove(struct ir_block *b, uint32_t p)
{
	uint32_t last = b->preds.n - 1;

	for (struct ir_ins *i = b->first; i && (i->op == IR_PHI || i->op == IR_COPY); i = i->next) {
		if (i->op != IR_PHI)
			continue;
		i->args[p] = i->args[last];
		i->n_args--;
	}
	b->preds.v[p] = b->preds.v[last];
	b->preds.n--;
}

static void succ_remove(struct ir_block *b, uint32_t s)
{
	memmove(b->succs.v + s, b->succs.v + s + 1, (b->succs.n - s - 1) * sizeof(*b->succs.v));
	b->succs.n--;
}

void ir_edge_remove(struct ir_block *from, struct ir_block *to)
{
	ir_cfg_changed(from->fn);
	pred_remove(to, ir_pred_index(to, from));
	for (uint32_t s = 0; s < from->succs.n; s++) {
		if (from->succs.v[s] != to)
			continue;
		succ_remove(from, s);
		return;
	}
	BUG("@%u is no successor of @%u", to->id, from->id);
}

void ir_edge_move(struct ir_block *from, uint32_t s, struct ir_block *to)
{
	struct arena *a = from->fn->arena;
	struct ir_block *old = from->succs.v[s];

	if (old == to)
		return;
	ir_cfg_changed(from->fn);
	pred_remove(old, ir_pred_index(old, from));
	from->succs.v[s] = to;
	*vec_push(a, &to->preds) = from;
	for (struct ir_ins *i = to->first; i && i->op == IR_PHI; i = i->next)
		phi_arg_add(a, i);
}

void ir_edge_skip(struct ir_block *b, uint32_t s, uint32_t s2)
{
	struct ir_block *over = b->succs.v[s], *to = over->succs.v[s2];
	uint32_t p = ir_pred_index(to, over);

	ir_edge_move(b, s, to);
	for (struct ir_ins *i = to->first; i && i->op == IR_PHI; i = i->next)
		i->args[i->n_args - 1] = i->args[p];
}

void ir_make_jmp(struct ir_block *b, uint32_t s)
{
	struct ir_block *to = b->succs.v[s];
	bool kept = false;

	ir_cfg_changed(b->fn);
	for (uint32_t k = 0; k < b->succs.n; k++) {
		struct ir_block *other = b->succs.v[k];

		if (other == to && !kept)
			kept = true;
		else
			pred_remove(other, ir_pred_index(other, b));
	}
	b->succs.v[0] = to;
	b->succs.n = 1;
	b->cases.n = 0;
	b->last->op = IR_JMP;
	b->last->n_args = 0;
	b->last->imm = 0;
}
