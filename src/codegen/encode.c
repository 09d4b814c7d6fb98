// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * encode: from machine code on physical registers to BPF instructions, relocations and line
 * information.
 *
 * Cold blocks go to the end. Jumps are filled in when all blocks have their place; one that is too
 * far for its 16 bits goes by way of a block that only jumps (gotol needs kernel 6.6).
 */
#include "mir.h"

struct fixup {
	uint32_t insn; /* the jump */
	struct mir_block *from, *to;
};

struct enc {
	struct mir_fn *fn;
	struct obj_file *o;
	struct obj_fn *out;
	uint32_t *start; /* by block id: index of its first instruction */
	VEC(struct mir_block *) layout;
	VEC(struct fixup) fixups;
	struct mir_block *here;
	const struct rule *rule;
	bool any_line;
};

static int reg(const struct enc *e, uint32_t v)
{
	int r = e->fn->vregs.v[v].phys;

	if (r < 0)
		BUG("%s: register v%u has no place", e->fn->name, v);
	return r;
}

static void emit(struct enc *e, struct bpf_insn i)
{
	*vec_push(e->fn->arena, &e->out->insns) = i;
}

static void emit_rel(struct enc *e, struct bpf_insn i, const struct obj_reloc *rel)
{
	struct obj_reloc *r = vec_push(e->fn->arena, &e->out->relocs);

	*r = *rel;
	r->insn = e->out->insns.n;
	emit(e, i);
}

static struct bpf_insn alu(bool w32, uint8_t bop, int d, int s, bool imm, int32_t k)
{
	return (struct bpf_insn){
		.code = (w32 ? BPF_ALU : BPF_ALU64) | bop | (imm ? BPF_K : BPF_X),
		.dst_reg = d,
		.src_reg = imm ? 0 : s,
		.imm = imm ? k : 0,
	};
}

static void mov(struct enc *e, int d, int s)
{
	if (d != s)
		emit(e, alu(false, BPF_MOV, d, s, false, 0));
}

static uint8_t size_bits(uint8_t size)
{
	switch (size) {
	case 1:
		return BPF_B;
	case 2:
		return BPF_H;
	case 4:
		return BPF_W;
	case 8:
		return BPF_DW;
	}
	BUG("load of %u bytes", size);
}

static struct bpf_insn mem(uint8_t cls, uint8_t size, int d, int s, int32_t off)
{
	return (struct bpf_insn){
		.code = cls | BPF_MEM | size_bits(size), .dst_reg = d, .src_reg = s, .off = off
	};
}

static void enc_ldimm(struct enc *e, int d, int64_t imm, const struct obj_reloc *rel)
{
	struct bpf_insn lo = { .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = d, .imm = imm };
	struct bpf_insn hi = { .imm = imm >> 32 };

	if (rel)
		emit_rel(e, lo, rel);
	else
		emit(e, lo);
	emit(e, hi);
}

static void enc_movi(struct enc *e, const struct mir_ins *i)
{
	struct bpf_insn k = alu(false, BPF_MOV, reg(e, i->d), 0, true, i->imm);

	if (i->imm > INT32_MAX && i->imm <= UINT32_MAX)
		k.code = BPF_ALU | BPF_MOV | BPF_K;
	if (i->has_rel)
		emit_rel(e, k, &i->rel);
	else
		emit(e, k);
}

static void enc_alu(struct enc *e, const struct mir_ins *i)
{
	int d = reg(e, i->d), a = reg(e, i->a), b;

	if (!i->b) {
		mov(e, d, a);
		if (i->has_rel)
			emit_rel(e, alu(i->w32, i->bop, d, 0, true, i->imm), &i->rel);
		else
			emit(e, alu(i->w32, i->bop, d, 0, true, i->imm));
		return;
	}
	b = reg(e, i->b);
	if (d == b && d != a) {
		if (i->bop == BPF_SUB) { /* b = a - b ==> b = -b; b += a */
			emit(e, alu(i->w32, BPF_NEG, d, 0, true, 0));
			emit(e, alu(i->w32, BPF_ADD, d, a, false, 0));
			return;
		}
		BUG_ON(!mir_commutes(i->bop));
		b = a;
	} else {
		mov(e, d, a);
	}
	emit(e, alu(i->w32, i->bop, d, b, false, 0));
}

/* -- calls ------------------------------------------------------------------------------------- */

/*
 * Moves src[k] to r1 + k for all k at once; -1: nothing to move. r0 is free for a cycle once its
 * own value has been moved.
 */
static void parallel_args(struct enc *e, int *src, int n)
{
	for (;;) {
		int k, j, todo = -1;

		for (k = 0; k < n; k++) {
			if (src[k] < 0 || src[k] == k + 1)
				continue;
			todo = k;
			for (j = 0; j < n; j++)
				if (j != k && src[j] == k + 1)
					break;
			if (j == n)
				break;
		}
		if (todo < 0)
			return;
		if (k < n) {
			mov(e, k + 1, src[k]);
			src[k] = -1;
			continue;
		}
		/*
		 * Every target is still read: a cycle among r1 to r5; whoever reads r0 was moved
		 * before.
		 */
		mov(e, 0, todo + 1);
		for (j = 0; j < n; j++)
			if (src[j] == todo + 1)
				src[j] = 0;
	}
}

static void enc_args(struct enc *e, const struct mir_ins *i)
{
	int src[5];

	for (int k = 0; k < i->n_args; k++)
		src[k] = i->args[k].kind == MA_REG ? reg(e, i->args[k].reg) : -1;
	parallel_args(e, src, i->n_args);
	for (int k = 0; k < i->n_args; k++) {
		const struct mir_arg *a = &i->args[k];

		switch (a->kind) {
		case MA_REG:
			break;
		case MA_IMM:
			emit(e, alu(a->imm > INT32_MAX, BPF_MOV, k + 1, 0, true, a->imm));
			break;
		case MA_BUF:
			BUG("buffer without a place");
		case MA_FP:
			emit(e, alu(false, BPF_MOV, k + 1, BPF_REG_10, false, 0));
			emit(e, alu(false, BPF_ADD, k + 1, 0, true, a->imm));
			break;
		case MA_REL:
			enc_ldimm(e, k + 1, a->imm, &a->rel);
			break;
		}
	}
}

static void enc_saves(struct enc *e, const struct mir_ins *i, bool restore)
{
	int32_t off = i->save_off;

	for (int r = 0; r < 6; r++) {
		if (!(i->saves >> r & 1))
			continue;
		if (restore)
			emit(e, mem(BPF_LDX, 8, r, BPF_REG_10, off));
		else
			emit(e, mem(BPF_STX, 8, BPF_REG_10, r, off));
		off += 8;
	}
}

static void enc_call(struct enc *e, const struct mir_ins *i)
{
	struct bpf_insn call = { .code = BPF_JMP | BPF_CALL, .imm = i->imm };

	enc_saves(e, i, false);
	enc_args(e, i);
	if (i->has_rel)
		emit_rel(e, call, &i->rel);
	else
		emit(e, call);
	if (i->d && e->fn->vregs.v[i->d].phys >= 0)
		mov(e, reg(e, i->d), BPF_REG_0);
	enc_saves(e, i, true);
}

/* -- ends of blocks ---------------------------------------------------------------------------- */

static void enc_jump(struct enc *e, struct bpf_insn j, struct mir_block *to)
{
	*vec_push(e->fn->arena, &e->fixups) = (struct fixup){ e->out->insns.n, e->here, to };
	emit(e, j);
}

static void enc_ja(struct enc *e, struct mir_block *to)
{
	enc_jump(e, (struct bpf_insn){ .code = BPF_JMP | BPF_JA }, to);
}

static uint8_t inverse(uint8_t bop)
{
	static const uint8_t pairs[][2] = {
		{ BPF_JEQ, BPF_JNE },	{ BPF_JGT, BPF_JLE },	{ BPF_JGE, BPF_JLT },
		{ BPF_JSGT, BPF_JSLE }, { BPF_JSGE, BPF_JSLT },
	};

	for (uint32_t k = 0; k < ARRAY_SIZE(pairs); k++) {
		if (pairs[k][0] == bop)
			return pairs[k][1];
		if (pairs[k][1] == bop)
			return pairs[k][0];
	}
	return 0;
}

static void enc_jcc(struct enc *e, const struct mir_ins *i, const struct mir_block *b,
		    struct mir_block *next)
{
	struct mir_block *t = b->succ[0], *f = b->succ[1];
	uint8_t bop = i->bop;
	struct bpf_insn j;

	if (next == t && inverse(bop)) {
		bop = inverse(bop);
		t = f;
		f = next;
	}
	j = (struct bpf_insn){
		.code = (i->w32 ? BPF_JMP32 : BPF_JMP) | bop | (i->b ? BPF_X : BPF_K),
		.dst_reg = reg(e, i->a),
		.src_reg = i->b ? reg(e, i->b) : 0,
		.imm = i->b ? 0 : i->imm,
	};
	enc_jump(e, j, t);
	if (next != f)
		enc_ja(e, f);
}

static void enc_ret(struct enc *e, const struct mir_ins *i)
{
	if (i->a)
		mov(e, BPF_REG_0, reg(e, i->a));
	else
		emit(e, alu(true, BPF_MOV, BPF_REG_0, 0, true, i->imm));
	emit(e, (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT });
}

static void enc_simple(struct enc *e, const struct mir_ins *i)
{
	struct bpf_insn k;

	switch (i->op) {
	case MIR_ENTRY:
		mov(e, reg(e, i->d), BPF_REG_1);
		break;
	case MIR_MOV:
		mov(e, reg(e, i->d), reg(e, i->a));
		break;
	case MIR_MOV32:
		emit(e, alu(true, BPF_MOV, reg(e, i->d), reg(e, i->a), false, 0));
		break;
	case MIR_MOVI:
		enc_movi(e, i);
		break;
	case MIR_LDIMM:
		enc_ldimm(e, reg(e, i->d), i->imm, i->has_rel ? &i->rel : NULL);
		break;
	case MIR_LEA:
		mov(e, reg(e, i->d), BPF_REG_10);
		emit(e, alu(false, BPF_ADD, reg(e, i->d), 0, true, i->off));
		break;
	case MIR_ALU:
		enc_alu(e, i);
		break;
	case MIR_NEG:
		mov(e, reg(e, i->d), reg(e, i->a));
		emit(e, alu(i->w32, BPF_NEG, reg(e, i->d), 0, true, 0));
		break;
	case MIR_BE:
		mov(e, reg(e, i->d), reg(e, i->a));
		emit(e, (struct bpf_insn){ .code = BPF_ALU | BPF_END | BPF_TO_BE,
					   .dst_reg = reg(e, i->d),
					   .imm = i->imm });
		break;
	case MIR_LDX:
		k = mem(BPF_LDX, i->size, reg(e, i->d), reg(e, i->a), i->off);
		if (i->has_rel)
			emit_rel(e, k, &i->rel);
		else
			emit(e, k);
		break;
	case MIR_STX:
		emit(e, mem(BPF_STX, i->size, reg(e, i->a), reg(e, i->b), i->off));
		break;
	case MIR_XADD:
		k = mem(BPF_STX, i->size, reg(e, i->a), reg(e, i->b), i->off);
		k.code = BPF_STX | BPF_ATOMIC | size_bits(i->size);
		k.imm = BPF_ADD;
		emit(e, k);
		break;
	case MIR_ST:
		k = mem(BPF_ST, i->size, reg(e, i->a), 0, i->off);
		k.imm = i->imm;
		emit(e, k);
		break;
	case MIR_CALL:
	case MIR_CALLC:
		enc_call(e, i);
		break;
	}
}

/* Without its folders: the same ruleset gives the same bytes wherever it lies. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* -- lines ------------------------------------------------------------------------------------- */

static void line(struct enc *e, const struct rule *r)
{
	const struct chain *c = e->fn->ir ? e->fn->ir->chain : NULL;
	struct obj_line *l;
	struct loc loc;

	if (e->any_line && r == e->rule)
		return;
	e->any_line = true;
	e->rule = r;
	if (e->out->lines.n && e->out->lines.v[e->out->lines.n - 1].insn == e->out->insns.n)
		l = &e->out->lines.v[e->out->lines.n - 1]; /* that one had no instruction */
	else
		l = vec_push(e->fn->arena, &e->out->lines);
	*l = (struct obj_line){ .insn = e->out->insns.n, .rule = r, .file = "ruleset" };
	loc = r ? r->loc : c ? c->loc : (struct loc){ 0 };
	if (loc.file && e->o->diag && loc.file < e->o->diag->sources.n)
		l->file = base_name(e->o->diag->sources.v[loc.file]->path);
	l->line = loc.line ? loc.line : 1;
	l->col = loc.col;
	if (r && r->text)
		l->text = r->text;
	else if (r)
		l->text = arena_printf(e->o->arena, "%s %s rule %u handle %llu",
				       r->chain->table->name, r->chain->name, r->index,
				       (unsigned long long)r->handle);
	else if (c)
		l->text = arena_printf(e->o->arena, "chain %s %s %s", family_name(c->table->family),
				       c->table->name, c->name);
	else
		l->text = e->fn->name;
}

static void block(struct enc *e, struct mir_block *b, struct mir_block *next)
{
	e->here = b;
	e->start[b->id] = e->out->insns.n;
	for (const struct mir_ins *i = b->first; i; i = i->next) {
		line(e, i->rule);
		switch (i->op) {
		case MIR_JMP:
			if (b->succ[0] != next)
				enc_ja(e, b->succ[0]);
			break;
		case MIR_JCC:
			enc_jcc(e, i, b, next);
			break;
		case MIR_RET:
			enc_ret(e, i);
			break;
		default:
			enc_simple(e, i);
		}
	}
}

/* -- jumps that are too far -------------------------------------------------------------------- */

#define NEIGHBOURS 12000 /* instructions of machine code whose cold blocks stand together */
#define REACH	   28000 /* of 32767: the code still grows by what is inserted */

/*
 * A block that only jumps, in front of the block at `at` in the layout, for jumps that reach it but
 * not `to`.
 */
struct island {
	uint32_t at;
	uint32_t next; /* at the same place, + 1 */
	struct mir_block *b;
};

struct islands {
	VEC(struct island) list;
	uint32_t *first; /* by place in the layout: the island put there last, + 1 */
};

/* The place in the layout nearest to the target that a jump at instruction `insn` reaches. */
static uint32_t stop_on_the_way(const struct enc *e, uint32_t insn, bool forward)
{
	uint32_t lo = 0, hi = e->layout.n, want = forward ? insn + REACH : insn - REACH;

	while (lo < hi) { /* first block that starts behind `want` */
		uint32_t mid = (lo + hi) / 2;

		if (e->start[e->layout.v[mid]->id] <= want)
			lo = mid + 1;
		else
			hi = mid;
	}
	return forward ? lo - 1 : lo;
}

static struct mir_block *island_for(struct enc *e, struct islands *is, uint32_t at,
				    struct mir_block *to)
{
	struct mir_block *b;

	for (uint32_t k = is->first[at]; k; k = is->list.v[k - 1].next)
		if (is->list.v[k - 1].b->succ[0] == to)
			return is->list.v[k - 1].b;
	b = mir_block_new(e->fn);
	mir_append(e->fn, b, MIR_JMP)->rule = to->first->rule;
	b->succ[0] = to;
	b->n_succ = 1;
	*vec_push(e->fn->arena, &is->list) = (struct island){ at, is->first[at], b };
	is->first[at] = is->list.n;
	return b;
}

static void insert_islands(struct enc *e, const struct islands *is)
{
	struct arena *a = e->fn->arena;
	VEC(struct mir_block *) old = { 0 };

	vec_foreach(&e->layout, b)
		*vec_push(a, &old) = *b;
	e->layout.n = 0;
	for (uint32_t k = 0; k < old.n; k++) {
		for (uint32_t j = is->first[k]; j; j = is->list.v[j - 1].next)
			*vec_push(a, &e->layout) = is->list.v[j - 1].b;
		*vec_push(a, &e->layout) = old.v[k];
	}
}

/*
 * Fills the jumps in; false: some led too far and go by way of islands now, so that all must be
 * written anew.
 */
static bool resolve(struct enc *e)
{
	struct islands is = { .first = arena_array(e->fn->arena, uint32_t, e->layout.n + 1) };

	vec_foreach(&e->fixups, f) {
		int64_t off = (int64_t)e->start[f->to->id] - f->insn - 1;
		struct mir_block *b;

		if (off == (int16_t)off) {
			e->out->insns.v[f->insn].off = off;
			continue;
		}
		b = island_for(e, &is, stop_on_the_way(e, f->insn, off > 0), f->to);
		for (uint32_t k = 0; k < f->from->n_succ; k++)
			if (f->from->succ[k] == f->to)
				f->from->succ[k] = b;
	}
	if (!is.list.n)
		return true;
	insert_islands(e, &is);
	return false;
}

static void write_all(struct enc *e)
{
	e->start = arena_array(e->fn->arena, uint32_t, e->fn->n_block_ids);
	e->fixups.n = 0;
	e->out->insns.n = e->out->relocs.n = e->out->lines.n = 0;
	e->any_line = false;
	for (uint32_t k = 0; k < e->layout.n; k++)
		block(e, e->layout.v[k], k + 1 < e->layout.n ? e->layout.v[k + 1] : NULL);
	if (e->out->lines.v[e->out->lines.n - 1].insn == e->out->insns.n)
		e->out->lines.n--;
}

/*
 * Cold blocks stand behind the others, in long functions behind those near them, so that jumps to
 * them are short.
 */
static void lay_out(struct enc *e)
{
	struct mir_fn *fn = e->fn;

	for (uint32_t from = 0, to; from < fn->blocks.n; from = to) {
		uint32_t start = fn->blocks.v[from]->from;

		to = from + 1;
		while (to < fn->blocks.n && fn->blocks.v[to]->to - start < NEIGHBOURS)
			to++;
		for (int cold = 0; cold < 2; cold++)
			for (uint32_t k = from; k < to; k++)
				if (fn->blocks.v[k]->cold == cold)
					*vec_push(fn->arena, &e->layout) = fn->blocks.v[k];
	}
}

bool mir_encode(struct mir_fn *fn, struct obj_file *o, struct obj_fn *out)
{
	struct enc e = { .fn = fn, .o = o, .out = out };

	lay_out(&e);
	for (int round = 0; round < 200; round++) {
		write_all(&e);
		if (resolve(&e))
			return true;
	}
	return false;
}
