// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The builder's registers: nf_tables' sixteen words, made when they are read; and the small change
 * of emitting.
 */
#include "lower.h"

struct ir_ins *bw(struct bld *b, uint32_t v)
{
	return ir_const(&b->c, IR_W, v);
}

struct ir_ins *bl(struct bld *b, uint64_t v)
{
	return ir_const(&b->c, IR_L, v);
}

/* The depth ends the walk: operands are shared, so that it could be very long. */
static uint64_t val_bits(const struct ir_ins *v, uint32_t depth)
{
	if (!depth)
		return v->type == IR_B ? 1 : v->type == IR_W ? UINT32_MAX : UINT64_MAX;
	switch (v->op) {
	case IR_CONST:
		return (uint64_t)v->imm;
	case IR_LDP:
		return v->size == 8 ? UINT64_MAX : (1ull << v->size * 8) - 1;
	case IR_LDF:
		if (v->type == IR_L)
			return UINT64_MAX;
		return ir_field_info[v->aux].size >= 4 ? UINT32_MAX
						       : (1u << ir_field_info[v->aux].size * 8) - 1;
	case IR_AND:
		return val_bits(v->args[0], depth - 1) & val_bits(v->args[1], depth - 1);
	case IR_OR:
	case IR_XOR:
		return val_bits(v->args[0], depth - 1) | val_bits(v->args[1], depth - 1);
	case IR_PHI: /* the builder makes no loops, and only phis of two */
		return v->n_args == 2
			       ? val_bits(v->args[0], depth - 1) | val_bits(v->args[1], depth - 1)
			       : val_bits(v, 0);
	case IR_LSHR:
		return v->args[1]->op == IR_CONST
			       ? val_bits(v->args[0], depth - 1) >> v->args[1]->imm
			       : val_bits(v, 0);
	case IR_SEL:
		return val_bits(v->args[1], depth - 1) | val_bits(v->args[2], depth - 1);
	case IR_TRUNC:
		return (uint32_t)val_bits(v->args[0], depth - 1);
	case IR_BSWAP16:
		return 0xffff;
	case IR_B2W:
		return 1;
	default:
		return val_bits(v, 0);
	}
}

uint64_t bval_bits(const struct ir_ins *v)
{
	return val_bits(v, 4);
}

struct ir_ins *bop(struct bld *b, enum ir_op op, struct ir_ins *x, struct ir_ins *y)
{
	return ir_emit2(&b->c, op, x->type, x, y);
}

struct ir_ins *band(struct bld *b, struct ir_ins *v, uint64_t mask)
{
	if (!(bval_bits(v) & ~mask))
		return v;
	return bop(b, IR_AND, v, ir_const(&b->c, v->type, mask));
}

struct ir_ins *bcond(struct bld *b, enum ir_op op, struct ir_ins *x, uint64_t y)
{
	return ir_emit2(&b->c, op, IR_B, x, ir_const(&b->c, x->type, y));
}

struct ir_ins *bsel(struct bld *b, struct ir_ins *cond, struct ir_ins *x, struct ir_ins *y)
{
	return ir_emit(&b->c, IR_SEL, x->type, 3, (struct ir_ins *[]){ cond, x, y });
}

struct ir_ins *brt(struct bld *b, bool pure, enum ir_rt fn, uint32_t n, struct ir_ins *const *args)
{
	static const enum ir_type types[] = {
#define R(id, fn, res, n_args) IR_##res,
#include "runtime.def"
#undef R
	};
	struct ir_ins *i = ir_emit(&b->c, pure ? IR_RTP : IR_RTE, types[fn], n, args);

	i->aux = fn;
	return i;
}

struct ir_ins *brt_found(struct bld *b, enum ir_rt fn, uint32_t n, struct ir_ins *const *args)
{
	struct ir_ins *r = brt(b, true, fn, n, args);

	btest(b, bcond(b, IR_UGE, r, 1ull << 32));
	return ir_emit1(&b->c, IR_TRUNC, IR_W, r);
}

uint64_t bdata_mem(const struct data *d, uint32_t off, uint32_t n)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < n && off + i < d->len; i++)
		v |= (uint64_t)d->b[off + i] << 8 * i;
	return v;
}

/*
 * All of x from its first zero byte on becomes zero: t has bit 7 of that byte as its lowest bit
 * set.
 */
static struct ir_ins *clean_half(struct bld *b, struct ir_ins *x, struct ir_ins **t)
{
	struct ir_ins *not_x = bop(b, IR_XOR, x, bl(b, UINT64_MAX)), *below;

	*t = bop(b, IR_SUB, x, bl(b, 0x0101010101010101ull));
	*t = bop(b, IR_AND, *t, not_x);
	*t = bop(b, IR_AND, *t, bl(b, 0x8080808080808080ull));
	below = bop(b, IR_AND, bop(b, IR_SUB, *t, bl(b, 1)), bop(b, IR_XOR, *t, bl(b, UINT64_MAX)));
	return bop(b, IR_AND, x, below);
}

static void clean_name(struct bld *b, struct bname *n)
{
	struct ir_ins *t0, *t1, *hi;

	if (n->clean[0])
		return;
	n->clean[0] = clean_half(b, n->raw[0], &t0);
	hi = clean_half(b, n->raw[1], &t1);
	n->clean[1] = bsel(b, bcond(b, IR_EQ, t0, 0), hi, bl(b, 0));
}

static struct ir_ins *half(struct bld *b, struct ir_ins *wide, bool high)
{
	if (high)
		wide = bop(b, IR_LSHR, wide, bl(b, 32));
	return ir_emit1(&b->c, IR_TRUNC, IR_W, wide);
}

struct ir_ins *breg_get(struct bld *b, uint32_t w)
{
	struct breg *r = &b->regs[w];

	BUG_ON(w >= REG_WORDS);
	if (r->word)
		return r->word;
	switch (r->kind) {
	case BR_UNSET:
	case BR_WORD:
		r->word = bw(b, 0);
		break;
	case BR_LOW:
	case BR_HIGH:
		r->word = half(b, r->wide, r->kind == BR_HIGH);
		break;
	case BR_NAME:
		clean_name(b, r->name);
		r->word = half(b, r->name->clean[r->at / 2], r->at % 2);
		break;
	case BR_CTSTATE:
		r->word = lower_ct_state(b, r->mask);
		break;
	}
	return r->word;
}

struct ir_ins *breg_pair(struct bld *b, uint32_t w)
{
	struct breg *lo = &b->regs[w], *hi = lo + 1;

	if (w + 1 >= REG_WORDS)
		return NULL;
	if (lo->kind == BR_LOW && hi->kind == BR_HIGH && lo->wide == hi->wide)
		return lo->wide;
	if (lo->kind == BR_NAME && hi->kind == BR_NAME && lo->name == hi->name && lo->at % 2 == 0 &&
	    hi->at == lo->at + 1) {
		clean_name(b, lo->name);
		return lo->name->clean[lo->at / 2];
	}
	return NULL;
}

void breg_set(struct bld *b, uint32_t w, struct ir_ins *word)
{
	BUG_ON(w >= REG_WORDS);
	b->regs[w] = (struct breg){ .kind = BR_WORD, .word = word };
}

void breg_set_pair(struct bld *b, uint32_t w, struct ir_ins *wide)
{
	BUG_ON(w + 1 >= REG_WORDS);
	b->regs[w] = (struct breg){ .kind = BR_LOW, .wide = wide };
	b->regs[w + 1] = (struct breg){ .kind = BR_HIGH, .wide = wide };
}

void breg_set_name(struct bld *b, uint32_t w, struct ir_ins *lo, struct ir_ins *hi)
{
	struct bname *n = arena_new_of(b->c.fn->arena, struct bname);

	BUG_ON(w + 3 >= REG_WORDS);
	n->raw[0] = lo;
	n->raw[1] = hi;
	for (uint8_t k = 0; k < 4; k++)
		b->regs[w + k] = (struct breg){ .kind = BR_NAME, .name = n, .at = k };
}

void bbreak(struct bld *b)
{
	ir_jmp(&b->c, b->brk);
	b->dead = true;
}

void btest(struct bld *b, struct ir_ins *cond)
{
	struct ir_block *on;

	if (ir_is_const(cond, 1))
		return;
	if (ir_is_const(cond, 0)) {
		bbreak(b);
		return;
	}
	on = ir_block_new(b->c.fn);
	ir_br(&b->c, cond, on, b->brk);
	b->c.blk = on;
}
