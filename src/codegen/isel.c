// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * isel: instruction selection, block by block in reverse post-order.
 *
 * Everything but conditions is selected where it stands; what turns out to be unused is removed
 * later. Conditions are selected where they are needed, so that comparisons become branches.
 */
#include <stdlib.h>

#include "isel.h"

/* -- building blocks --------------------------------------------------------------------------- */

struct mir_ins *isel_ins(struct isel *s, enum mir_op op)
{
	struct mir_ins *i = mir_append(s->fn, s->cur, op);

	i->rule = s->rule;
	if (mir_op_info[op].writes_d)
		i->d = mir_vreg_new(s->fn);
	return i;
}

void isel_mov(struct isel *s, uint32_t d, uint32_t a)
{
	struct mir_ins *m = isel_ins(s, MIR_MOV);

	m->d = d;
	m->a = a;
}

void isel_movi(struct isel *s, uint32_t d, int32_t imm)
{
	struct mir_ins *m = isel_ins(s, MIR_MOVI);

	m->d = d;
	m->imm = imm;
}

uint32_t isel_alu(struct isel *s, uint8_t bop, bool w32, uint32_t a, uint32_t b)
{
	struct mir_ins *i = isel_ins(s, MIR_ALU);

	i->bop = bop;
	i->w32 = w32;
	i->a = a;
	i->b = b;
	return i->d;
}

uint32_t isel_alui(struct isel *s, uint8_t bop, bool w32, uint32_t a, int64_t imm)
{
	struct mir_ins *i;

	if (w32)
		imm = (int32_t)imm;
	if (imm != (int32_t)imm)
		return isel_alu(s, bop, w32, a, isel_imm(s, imm));
	if (!imm && !w32 && (bop == BPF_ADD || bop == BPF_SUB))
		return a;
	i = isel_ins(s, MIR_ALU);
	i->bop = bop;
	i->w32 = w32;
	i->a = a;
	i->imm = imm;
	return i->d;
}

uint32_t isel_imm(struct isel *s, uint64_t v)
{
	bool small = (int64_t)v == (int32_t)v || v <= UINT32_MAX;
	struct mir_ins *i = isel_ins(s, small ? MIR_MOVI : MIR_LDIMM);

	i->imm = v;
	s->fn->vregs.v[i->d].remat = i;
	return i->d;
}

uint32_t isel_load(struct isel *s, uint32_t a, int32_t off, uint8_t size)
{
	struct mir_ins *i = isel_ins(s, MIR_LDX);

	i->a = a;
	i->off = off;
	i->size = size;
	return i->d;
}

void isel_store(struct isel *s, uint32_t a, int32_t off, uint8_t size, uint32_t b)
{
	struct mir_ins *i = isel_ins(s, MIR_STX);

	i->a = a;
	i->off = off;
	i->size = size;
	i->b = b;
}

void isel_storei(struct isel *s, uint32_t a, int32_t off, uint8_t size, int64_t imm)
{
	struct mir_ins *i;

	if (size == 8 && imm != (int32_t)imm) {
		isel_store(s, a, off, size, isel_imm(s, imm));
		return;
	}
	i = isel_ins(s, MIR_ST);
	i->a = a;
	i->off = off;
	i->size = size;
	i->imm = (int32_t)imm;
}

void isel_jmp(struct isel *s, struct mir_block *to)
{
	isel_ins(s, MIR_JMP);
	s->cur->succ[0] = to;
	s->cur->n_succ = 1;
}

void isel_jcc(struct isel *s, uint8_t bop, bool w32, uint32_t a, uint32_t b, int64_t imm,
	      struct mir_block *t, struct mir_block *f)
{
	struct mir_ins *i;

	if (!b && !w32 && imm != (int32_t)imm)
		b = isel_imm(s, imm);
	i = isel_ins(s, MIR_JCC);
	i->bop = bop;
	i->w32 = w32;
	i->a = a;
	i->b = b;
	i->imm = b ? 0 : (int32_t)imm;
	s->cur->succ[0] = t;
	s->cur->succ[1] = f;
	s->cur->n_succ = 2;
}

uint32_t isel_val(struct isel *s, struct ir_ins *i)
{
	i = ir_val(i);
	if (i->op == IR_CONST)
		return isel_imm(s, i->imm);
	if (i->type == IR_B)
		return isel_bool(s, i);
	if (!s->vreg[i->id])
		BUG("%s: %%%u (%s) is used before it is made", s->ir->name, i->id,
		    ir_op_info[i->op].name);
	return s->vreg[i->id];
}

uint32_t isel_low(struct isel *s, struct ir_ins *i)
{
	i = ir_val(i);
	if (i->op == IR_TRUNC)
		return isel_val(s, i->args[0]);
	return isel_val(s, i);
}

struct mir_ins *isel_call(struct isel *s, enum mir_op op, uint32_t n_args,
			  const struct mir_arg *args)
{
	/* In a cold place the call itself keeps what is in r0 to r5. */
	struct mir_ins *i = isel_ins(s, s->cur->cold ? MIR_CALLC : op);

	BUG_ON(n_args > 5);
	i->n_args = n_args;
	i->args = arena_dup(s->a, args, n_args * sizeof(*args));
	return i;
}

struct mir_arg isel_arg_val(struct isel *s, struct ir_ins *i)
{
	i = ir_val(i);
	if (i->op == IR_CONST && i->type != IR_L)
		return isel_arg_imm(i->imm);
	return isel_arg_reg(isel_val(s, i));
}

int32_t isel_scratch(struct isel *s, uint32_t size)
{
	BUG_ON(size > s->scratch_size);
	if (!s->scratch)
		s->scratch = mir_stack(s->fn, s->scratch_size);
	return s->scratch;
}

int32_t isel_value(struct isel *s, uint32_t size)
{
	BUG_ON(size > s->value_size);
	if (!s->value)
		s->value = mir_stack(s->fn, s->value_size);
	return s->value;
}

/* -- values ------------------------------------------------------------------------------------ */

static uint8_t alu_of(enum ir_op op)
{
	switch (op) {
	case IR_ADD:
		return BPF_ADD;
	case IR_SUB:
		return BPF_SUB;
	case IR_MUL:
		return BPF_MUL;
	case IR_UDIV:
		return BPF_DIV;
	case IR_UMOD:
		return BPF_MOD;
	case IR_AND:
		return BPF_AND;
	case IR_OR:
		return BPF_OR;
	case IR_XOR:
		return BPF_XOR;
	case IR_SHL:
		return BPF_LSH;
	case IR_LSHR:
		return BPF_RSH;
	default:
		BUG("operation %d", op);
	}
}

static void sel_alu(struct isel *s, struct ir_ins *i)
{
	struct ir_ins *a = ir_val(i->args[0]), *b = ir_val(i->args[1]);
	bool w32 = i->type == IR_W;
	uint8_t bop = alu_of(i->op);
	uint32_t ra, *d = &s->vreg[i->id];

	if (a->op == IR_CONST && mir_commutes(bop)) {
		struct ir_ins *t = a;

		a = b;
		b = t;
	}
	ra = w32 ? isel_low(s, a) : isel_val(s, a);
	if (b->op == IR_CONST)
		*d = isel_alui(s, bop, w32, ra, b->imm);
	else
		*d = isel_alu(s, bop, w32, ra, w32 ? isel_low(s, b) : isel_val(s, b));
}

static void sel_bswap(struct isel *s, struct ir_ins *i, int bits)
{
	uint32_t a = bits < 64 ? isel_low(s, i->args[0]) : isel_val(s, i->args[0]);
	struct mir_ins *m = isel_ins(s, MIR_BE);

	m->a = a;
	m->imm = bits;
	s->vreg[i->id] = m->d;
}

static void move(struct isel *s, uint32_t d, struct ir_ins *v)
{
	struct mir_ins *m;
	uint32_t r;

	v = ir_val(v);
	if (v->op == IR_CONST) {
		r = isel_imm(s, v->imm);
		s->fn->vregs.v[r].remat = NULL;
		s->cur->last->d = d;
		return;
	}
	r = isel_val(s, v);
	m = isel_ins(s, MIR_MOV);
	m->a = r;
	m->d = d;
}

/* d = c ? x : y, by a branch. */
static void sel_branch(struct isel *s, struct ir_ins *i, uint32_t d)
{
	struct mir_block *t = mir_block_new(s->fn), *f = mir_block_new(s->fn),
			 *join = mir_block_new(s->fn);

	isel_branch(s, i->args[0], t, f);
	s->cur = t;
	move(s, d, i->args[1]);
	isel_jmp(s, join);
	s->cur = f;
	move(s, d, i->args[2]);
	isel_jmp(s, join);
	s->cur = join;
}

/*
 * sel(c, x, y) ==> ((x ^ y) & -c) ^ y for numbers: no branch is left pending. Pointers are L and
 * branch.
 */
static void sel_sel(struct isel *s, struct ir_ins *i)
{
	struct ir_ins *x = ir_val(i->args[1]), *y = ir_val(i->args[2]);
	struct mir_ins *neg;
	uint32_t c, t;

	if (i->type == IR_L && !(x->op == IR_CONST && y->op == IR_CONST)) {
		s->vreg[i->id] = mir_vreg_new(s->fn);
		sel_branch(s, i, s->vreg[i->id]);
		return;
	}
	c = isel_bool(s, i->args[0]);
	if (ir_is_const(x, 1) && ir_is_const(y, 0)) {
		s->vreg[i->id] = c;
		return;
	}
	neg = isel_ins(s, MIR_NEG);
	neg->a = c;
	c = neg->d;
	if (x->op == IR_CONST && y->op == IR_CONST) {
		t = isel_alui(s, BPF_AND, i->type != IR_L, c, x->imm ^ y->imm);
	} else if (x->op == IR_CONST || y->op == IR_CONST) {
		struct ir_ins *k = x->op == IR_CONST ? x : y, *v = k == x ? y : x;

		t = isel_alui(s, BPF_XOR, true, isel_val(s, v), k->imm);
		t = isel_alu(s, BPF_AND, false, t, c);
	} else {
		t = isel_alu(s, BPF_XOR, false, isel_val(s, x), isel_val(s, y));
		t = isel_alu(s, BPF_AND, false, t, c);
	}
	if (ir_is_const(y, 0))
		s->vreg[i->id] = t;
	else if (y->op == IR_CONST)
		s->vreg[i->id] = isel_alui(s, BPF_XOR, i->type != IR_L, t, y->imm);
	else
		s->vreg[i->id] = isel_alu(s, BPF_XOR, false, t, isel_val(s, y));
}

static void sel_call(struct isel *s, struct ir_ins *i)
{
	struct mir_arg ctx = isel_arg_reg(s->ctx);
	struct mir_ins *c = isel_call(s, MIR_CALL, 1, &ctx);

	c->has_rel = true;
	c->rel = (struct obj_reloc){ .kind = OBJ_REL_CALL, .id = i->aux };
	s->vreg[i->id] = c->d;
}

/* What follows the call is reached only when it fails. */
static void sel_tail(struct isel *s, struct ir_ins *i)
{
	uint32_t map, index = cg_next(s->cg, i->aux, &map);
	struct mir_arg args[3] = { isel_arg_reg(s->ctx), isel_arg_map(map), isel_arg_imm(index) };

	isel_helper(s, BPF_FUNC_tail_call, 3, args);
	isel_ins(s, MIR_RET)->imm = 0;
}

/* -- edges ------------------------------------------------------------------------------------- */

/*
 * The operand number that the s-th edge of `from` has in the phis of its target: edges of one pair
 * are in one order.
 */
static uint32_t phi_operand(const struct ir_block *from, uint32_t succ)
{
	const struct ir_block *to = from->succs.v[succ];
	uint32_t nth = 0;

	for (uint32_t k = 0; k < succ; k++)
		nth += from->succs.v[k] == to;
	for (uint32_t p = 0; p < to->preds.n; p++)
		if (to->preds.v[p] == from && !nth--)
			return p;
	BUG("edge without predecessor");
}

static bool phis_conflict(struct isel *s, const struct ir_block *to, uint32_t p)
{
	for (struct ir_ins *i = to->first; i && i->op == IR_PHI; i = i->next) {
		struct ir_ins *v = ir_val(i->args[p]);

		if (v->op == IR_PHI && v->blk == to && v != i)
			return true;
	}
	return false;
}

/*
 * The block to jump to for the succ-th edge: the target itself, or a new block that gives its phis
 * their values.
 */
static struct mir_block *edge(struct isel *s, const struct ir_block *from, uint32_t succ)
{
	struct ir_block *to = from->succs.v[succ];
	struct mir_block *here = s->cur, *b;
	const struct rule *rule = s->rule;
	uint32_t p;

	if (!to->first || to->first->op != IR_PHI)
		return s->blk[to->id];
	p = phi_operand(from, succ);
	if (phis_conflict(s, to, p))
		BUG("%s: phis of one block depend on each other", s->ir->name);
	b = mir_block_new(s->fn);
	b->cold = s->blk[to->id]->cold;
	s->cur = b;
	for (struct ir_ins *i = to->first; i && i->op == IR_PHI; i = i->next)
		move(s, s->vreg[i->id], i->args[p]);
	isel_jmp(s, s->blk[to->id]);
	s->cur = here;
	s->rule = rule;
	return b;
}

struct swcase {
	uint32_t value;
	struct mir_block *to;
};

static int by_value(const void *x, const void *y)
{
	const struct swcase *a = x, *b = y;

	return a->value < b->value ? -1 : a->value > b->value;
}

/* Compares one by one up to four values; more are halved. */
static void switch_range(struct isel *s, uint32_t v, const struct swcase *c, uint32_t n,
			 struct mir_block *dflt)
{
	struct mir_block *next, *upper;

	if (n > 4) {
		next = mir_block_new(s->fn);
		upper = mir_block_new(s->fn);
		isel_jcc(s, BPF_JGE, true, v, 0, c[n / 2].value, upper, next);
		s->cur = next;
		switch_range(s, v, c, n / 2, dflt);
		s->cur = upper;
		switch_range(s, v, c + n / 2, n - n / 2, dflt);
		return;
	}
	for (uint32_t k = 0; k < n; k++) {
		next = k + 1 < n ? mir_block_new(s->fn) : dflt;
		isel_jcc(s, BPF_JEQ, true, v, 0, c[k].value, c[k].to, next);
		s->cur = next;
	}
}

static void sel_switch(struct isel *s, struct ir_ins *i)
{
	const struct ir_block *b = i->blk;
	uint32_t n = b->cases.n, v;
	struct swcase *c = arena_array(s->a, struct swcase, n + 1);
	struct mir_block *dflt = edge(s, b, n);

	if (!n) {
		isel_jmp(s, dflt);
		return;
	}
	for (uint32_t k = 0; k < n; k++)
		c[k] = (struct swcase){ b->cases.v[k], edge(s, b, k) };
	v = isel_low(s, i->args[0]);
	qsort(c, n, sizeof(*c), by_value);
	switch_range(s, v, c, n, dflt);
}

static void sel_ret(struct isel *s, struct ir_ins *i)
{
	struct ir_ins *v = ir_val(i->args[0]);
	struct mir_ins *r;
	uint32_t a = 0;

	if (v->op != IR_CONST) {
		a = isel_val(s, v);
		if (s->ir->kind != IR_FN_CHAIN)
			a = isel_alui(s, BPF_AND, true, a, 1);
	}
	r = isel_ins(s, MIR_RET);
	r->a = a;
	r->imm = a ? 0 : v->imm;
}

/* -- the walk ---------------------------------------------------------------------------------- */

static void sel_ins(struct isel *s, struct ir_ins *i)
{
	struct mir_ins *m;

	if (i->rule || !(ir_op_info[i->op].flags & PURE))
		s->rule = i->rule;
	if (i->type == IR_B && ir_op_info[i->op].flags & PURE && i->op != IR_RTP) {
		/* Conditions are made where they are used, joint ones with several users once. */
		if (s->uses[i->id] > 1 && !(ir_op_info[i->op].flags & CMP) && i->op != IR_COPY)
			s->vreg[i->id] = isel_bool(s, i);
		return;
	}
	switch (i->op) {
	case IR_PHI:
		break;
	case IR_COPY:
	case IR_ZEXT:
	case IR_B2W:
		s->vreg[i->id] = isel_val(s, i->args[0]);
		break;
	case IR_TRUNC:
		m = isel_ins(s, MIR_MOV32);
		s->vreg[i->id] = m->d;
		m->a = isel_val(s, i->args[0]);
		break;
	case IR_ADD:
	case IR_SUB:
	case IR_MUL:
	case IR_UDIV:
	case IR_UMOD:
	case IR_AND:
	case IR_OR:
	case IR_XOR:
	case IR_SHL:
	case IR_LSHR:
		sel_alu(s, i);
		break;
	case IR_BSWAP16:
		sel_bswap(s, i, 16);
		break;
	case IR_BSWAP32:
		sel_bswap(s, i, 32);
		break;
	case IR_BSWAP64:
		sel_bswap(s, i, 64);
		break;
	case IR_SEL:
		sel_sel(s, i);
		break;
	case IR_CTX:
		s->vreg[i->id] = s->ctx;
		break;
	case IR_LDF:
		isel_ldf(s, i);
		break;
	case IR_PKT:
		isel_pkt(s, i);
		break;
	case IR_LDP:
		isel_ldp(s, i);
		break;
	case IR_LDRO:
		isel_ldro(s, i);
		break;
	case IR_CALL:
		sel_call(s, i);
		break;
	case IR_JMP:
		isel_jmp(s, edge(s, i->blk, 0));
		break;
	case IR_BR: {
		struct mir_block *to[2] = { edge(s, i->blk, 0), edge(s, i->blk, 1) };

		if (!isel_len_later(s, i, to))
			isel_branch(s, i->args[0], to[0], to[1]);
		break;
	}
	case IR_SWITCH:
		sel_switch(s, i);
		break;
	case IR_RET:
		sel_ret(s, i);
		break;
	case IR_TAIL:
		sel_tail(s, i);
		break;
	default:
		isel_state(s, i);
	}
}

uint32_t cg_large = 64;

/*
 * Values that several tests compare with a constant: what the verifier learns from one may decide
 * another.
 */
static uint32_t tested_again(const struct isel *s)
{
	uint8_t *tests = arena_alloc(s->a, s->ir->n_ins);
	uint32_t n = 0;

	vec_foreach(&s->ir->blocks, b)
		for (struct ir_ins *i = (*b)->first; i; i = i->next) {
			struct ir_ins *v;

			if (!(ir_op_info[i->op].flags & CMP))
				continue;
			v = ir_val(i->args[0]);
			v = v->op == IR_CONST ? ir_val(i->args[1]) : v;
			if (tests[v->id] < 2)
				n += ++tests[v->id] == 2;
		}
	return n;
}

#define TESTED_AGAIN_MAX 8

static void count_uses(struct isel *s)
{
	uint32_t tests = 0;

	vec_foreach(&s->ir->blocks, b)
		tests += (*b)->last->op == IR_BR;
	s->large = tests > cg_large;
	s->opaque = s->large || tested_again(s) > TESTED_AGAIN_MAX;
	vec_foreach(&s->ir->blocks, b)
		for (struct ir_ins *i = (*b)->first; i; i = i->next) {
			for (uint32_t k = 0; k < i->n_args; k++)
				s->uses[ir_val(i->args[k])->id]++;
			isel_room(s, i);
		}
}

static void prepare(struct isel *s)
{
	uint32_t n = s->ir->n_ins, nb = s->ir->n_blocks;

	s->vreg = arena_array(s->a, uint32_t, n);
	s->uses = arena_array(s->a, uint32_t, n);
	s->pkts = arena_array(s->a, struct pkt_part *, n);
	s->pkt_parts = arena_array(s->a, uint8_t, (size_t)n * PKT_PARTS);
	s->guards = arena_array(s->a, struct len_guard *, n);
	s->blk = arena_array(s->a, struct mir_block *, nb);
	s->headlen = arena_array(s->a, uint32_t, nb);
	s->data = arena_array(s->a, uint32_t, nb);
	s->skb = arena_array(s->a, uint32_t, nb);
	s->len = arena_array(s->a, uint32_t, nb);
	s->net = arena_array(s->a, uint32_t, nb);
	s->net_least = arena_array(s->a, int64_t, nb);
	vec_foreach(&s->ir->blocks, b) {
		s->blk[(*b)->id] = mir_block_new(s->fn);
		s->blk[(*b)->id]->cold = (*b)->cold;
		for (struct ir_ins *i = (*b)->first; i && i->op == IR_PHI; i = i->next)
			s->vreg[i->id] = mir_vreg_new(s->fn);
	}
	*vec_push(s->a, &s->fn->blocks) = s->blk[s->ir->blocks.v[0]->id];
	count_uses(s);
	isel_pkt_scan(s);
}

struct mir_fn *isel_fn(struct cg *cg, struct ir_fn *ir)
{
	struct isel s = { .a = cg->tmp, .cg = cg, .ir = ir };

	ir_cfg(ir);
	ir_dominators(ir);
	s.fn = mir_fn_new(s.a, ir->name);
	s.fn->ir = ir;
	prepare(&s);
	s.cur = s.blk[ir->blocks.v[0]->id];
	s.ctx = isel_ins(&s, MIR_ENTRY)->d;
	vec_foreach(&ir->blocks, b) {
		struct ir_block *dom = (*b)->idom;

		s.cur = s.blk[(*b)->id];
		if (dom) {
			s.headlen[(*b)->id] = s.headlen[dom->id];
			s.data[(*b)->id] = s.data[dom->id];
			s.skb[(*b)->id] = s.skb[dom->id];
			s.len[(*b)->id] = s.len[dom->id];
			s.net[(*b)->id] = s.net[dom->id];
			s.net_least[(*b)->id] = s.net_least[dom->id];
		}
		for (struct ir_ins *i = (*b)->first; i; i = i->next)
			sel_ins(&s, i);
	}
	return s.fn;
}
