// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lowering of expressions on registers: cmp, range, bitwise, byteorder. Equality compares words as
 * memory holds them; order is that of memcmp, so words are swapped for it: the only swaps at run
 * time.
 */
#include "lower.h"

/* cond && more, where NULL stands for true */
static struct ir_ins *both(struct bld *b, struct ir_ins *cond, struct ir_ins *more)
{
	return cond ? bop(b, IR_AND, cond, more) : more;
}

/*
 * A name equals n bytes: what stands behind the NUL in memory must not be looked at. NULL: no such
 * registers.
 */
static struct ir_ins *name_eq(struct bld *b, uint32_t w, const struct data *d)
{
	struct bname *n = b->regs[w].name;
	struct ir_ins *cond = NULL;
	uint32_t len = d->len;

	if (b->regs[w].kind != BR_NAME || b->regs[w].at || len > 16)
		return NULL;
	for (uint32_t k = 1; k < DIV_ROUND_UP(len, 4u); k++)
		if (b->regs[w + k].kind != BR_NAME || b->regs[w + k].name != n)
			return NULL;
	for (uint32_t i = 0; i < d->len; i++)
		if (!d->b[i]) {
			len = i + 1;
			break;
		}
	for (uint32_t i = len; i < d->len; i++)
		if (d->b[i])
			return ir_const(&b->c, IR_B, 0);
	for (uint32_t off = 0; off < len; off += 8) {
		uint32_t k = MIN(8, len - off);
		uint64_t mask = k == 8 ? UINT64_MAX : (1ull << 8 * k) - 1;

		cond = both(b, cond,
			    bcond(b, IR_EQ, band(b, n->raw[off / 8], mask), bdata_mem(d, off, k)));
	}
	return cond;
}

/* Whether the bytes from register w on equal d. */
static struct ir_ins *bytes_eq(struct bld *b, uint32_t w, const struct data *d)
{
	struct ir_ins *cond = name_eq(b, w, d), *v;

	if (cond)
		return cond;
	if (b->regs[w].kind == BR_CTSTATE && d->len == 4)
		return lower_ct_state_eq(b, b->regs[w].mask, (uint32_t)bdata_mem(d, 0, 4));
	for (uint32_t off = 0, k; off < d->len; off += k) {
		uint32_t left = d->len - off;

		v = left > 4 ? breg_pair(b, w + off / 4) : NULL;
		k = MIN(left, v ? 8 : 4);
		if (!v)
			v = breg_get(b, w + off / 4);
		if (k < 8)
			v = band(b, v, (1ull << 8 * k) - 1);
		cond = both(b, cond, bcond(b, IR_EQ, v, bdata_mem(d, off, k)));
	}
	return cond ? cond : ir_const(&b->c, IR_B, 1);
}

static uint64_t swap(uint64_t v, uint32_t bytes)
{
	return __builtin_bswap64(v) >> (64 - 8 * bytes);
}

/*
 * Bytes off.. (at most 8) from register w on as a big-endian number, zeros behind; the same of
 * data: `*num`.
 */
static struct ir_ins *chunk(struct bld *b, uint32_t w, const struct data *d, uint32_t off,
			    uint64_t *num)
{
	uint32_t k = MIN(8, d->len - off);
	struct ir_ins *v, *lo;

	w += off / 4;
	if (k <= 4) {
		uint32_t size = k == 3 ? 4 : k;

		*num = swap(bdata_mem(d, off, k), size);
		v = breg_get(b, w);
		if (k == 1)
			return band(b, v, 0xff);
		if (k == 2)
			return ir_emit1(&b->c, IR_BSWAP16, IR_W, v);
		return ir_emit1(&b->c, IR_BSWAP32, IR_W, k == 3 ? band(b, v, 0xffffff) : v);
	}
	*num = swap(bdata_mem(d, off, k), 8);
	v = breg_pair(b, w);
	if (v)
		return ir_emit1(&b->c, IR_BSWAP64, IR_L,
				k == 8 ? v : band(b, v, (1ull << 8 * k) - 1));
	lo = breg_get(b, w + 1);
	if (k < 8)
		lo = band(b, lo, (1ull << 8 * (k - 4)) - 1);
	lo = ir_emit1(&b->c, IR_ZEXT, IR_L, ir_emit1(&b->c, IR_BSWAP32, IR_W, lo));
	v = ir_emit1(&b->c, IR_ZEXT, IR_L, ir_emit1(&b->c, IR_BSWAP32, IR_W, breg_get(b, w)));
	return bop(b, IR_OR, bop(b, IR_SHL, v, bl(b, 32)), lo);
}

/* memcmp(registers, d) `op` 0; strict says what decides before the last chunk. */
static struct ir_ins *ordered(struct bld *b, uint32_t w, const struct data *d, enum ir_op op)
{
	enum ir_op strict = op == IR_ULE ? IR_ULT : op == IR_UGE ? IR_UGT : op;
	uint32_t off = d->len ? (d->len - 1u) / 8 * 8 : 0;
	uint64_t num;
	struct ir_ins *v, *cond;

	v = chunk(b, w, d, off, &num);
	cond = bcond(b, op, v, num);
	while (off) {
		off -= 8;
		v = chunk(b, w, d, off, &num);
		cond = bop(b, IR_OR, bcond(b, strict, v, num),
			   bop(b, IR_AND, bcond(b, IR_EQ, v, num), cond));
	}
	return cond;
}

static struct ir_ins * not(struct bld * b, struct ir_ins *cond)
{
	if (cond->op == IR_CONST)
		return ir_const(&b->c, IR_B, !cond->imm);
	if (cond->op == IR_EQ || cond->op == IR_NE) /* eq x y, not ==> ne x y */
		return ir_emit2(&b->c, cond->op == IR_EQ ? IR_NE : IR_EQ, IR_B, cond->args[0],
				cond->args[1]);
	return ir_emit1(&b->c, IR_NOT, IR_B, cond);
}

void lower_cmp(struct bld *b, const struct expr *e)
{
	uint32_t w = REG_WORD(e->cmp.sreg);
	const struct data *d = &e->cmp.data;

	switch (e->cmp.op) {
	case CMP_EQ:
		btest(b, bytes_eq(b, w, d));
		break;
	case CMP_NEQ:
		btest(b, not(b, bytes_eq(b, w, d)));
		break;
	case CMP_LT:
		btest(b, ordered(b, w, d, IR_ULT));
		break;
	case CMP_LTE:
		btest(b, ordered(b, w, d, IR_ULE));
		break;
	case CMP_GT:
		btest(b, ordered(b, w, d, IR_UGT));
		break;
	case CMP_GTE:
		btest(b, ordered(b, w, d, IR_UGE));
		break;
	}
}

/* from <= registers <= to. One chunk: (v - from) <= (to - from), one test. */
static struct ir_ins *within(struct bld *b, uint32_t w, const struct data *from,
			     const struct data *to)
{
	uint64_t lo, hi;
	struct ir_ins *v;

	if (memcmp(from->b, to->b, from->len) > 0)
		return ir_const(&b->c, IR_B, 0);
	if (from->len > 8)
		return bop(b, IR_AND, ordered(b, w, from, IR_UGE), ordered(b, w, to, IR_ULE));
	v = chunk(b, w, from, 0, &lo);
	hi = swap(bdata_mem(to, 0, to->len), to->len == 3 ? 4 : to->len > 4 ? 8 : to->len);
	if (lo)
		v = bop(b, IR_SUB, v, ir_const(&b->c, v->type, lo));
	return bcond(b, IR_ULE, v, hi - lo);
}

void lower_range(struct bld *b, const struct expr *e)
{
	struct ir_ins *in = within(b, REG_WORD(e->range.sreg), &e->range.from, &e->range.to);

	btest(b, e->range.op == RANGE_EQ ? in : not(b, in));
}

/* -- bitwise ----------------------------------------------------------------------------------- */

static void mask_xor(struct bld *b, const struct expr *e, uint32_t s, uint32_t d, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t mask = (uint32_t)bdata_mem(&e->bitwise.mask, i * 4, 4);
		uint32_t xor = (uint32_t)bdata_mem(&e->bitwise.xor, i * 4, 4);
		struct ir_ins *v, *wide;

		if (b->regs[s + i].kind == BR_CTSTATE && !xor) {
			b->regs[d + i] = (struct breg){ .kind = BR_CTSTATE,
							.mask = b->regs[s + i].mask & mask };
			continue;
		}
		/*
		 * Two words of one wide value stay one; where source and destination overlap
		 * otherwise, word by word.
		 */
		wide = i + 1 < n && (s == d || s > d + 1 || d > s + 1) ? breg_pair(b, s + i) : NULL;
		if (wide) {
			uint64_t m8 = bdata_mem(&e->bitwise.mask, i * 4, 8);
			uint64_t x8 = bdata_mem(&e->bitwise.xor, i * 4, 8);

			wide = band(b, wide, m8);
			if (x8)
				wide = bop(b, IR_XOR, wide, bl(b, x8));
			breg_set_pair(b, d + i, wide);
			i++;
			continue;
		}
		v = band(b, breg_get(b, s + i), mask);
		if (xor)
			v = bop(b, IR_XOR, v, bw(b, xor));
		breg_set(b, d + i, v);
	}
}

/*
 * Shifts carry from word to word in the order of the kernel's loops. It reads a word again for the
 * carry after having written the result's, so where both are one register the carry is that of the
 * shifted word; so it is here.
 */
static void shift(struct bld *b, const struct expr *e, uint32_t s, uint32_t d, uint32_t n)
{
	uint32_t count = (uint32_t)bdata_mem(&e->bitwise.data, 0, 4);
	bool left = e->bitwise.op == BW_LSHIFT;
	struct ir_ins *carry = NULL, *v;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = left ? n - 1 - k : k;

		v = bop(b, left ? IR_SHL : IR_LSHR, breg_get(b, s + i), bw(b, count));
		if (carry)
			v = bop(b, IR_OR, v, carry);
		breg_set(b, d + i, v);
		if (k + 1 < n)
			carry = bop(b, left ? IR_LSHR : IR_SHL, breg_get(b, s + i),
				    bw(b, 32 - count));
	}
}

void lower_bitwise(struct bld *b, const struct expr *e)
{
	uint32_t s = REG_WORD(e->bitwise.sreg), d = REG_WORD(e->bitwise.dreg);
	uint32_t n = DIV_ROUND_UP(e->bitwise.len, 4u);
	enum ir_op op = e->bitwise.op == BW_AND ? IR_AND : e->bitwise.op == BW_OR ? IR_OR : IR_XOR;

	switch (e->bitwise.op) {
	case BW_MASK_XOR:
		mask_xor(b, e, s, d, n);
		break;
	case BW_LSHIFT:
	case BW_RSHIFT:
		shift(b, e, s, d, n);
		break;
	case BW_AND:
	case BW_OR:
	case BW_XOR:
		for (uint32_t i = 0; i < n; i++) {
			struct ir_ins *y =
				e->bitwise.sreg2 != REG_NONE
					? breg_get(b, REG_WORD(e->bitwise.sreg2) + i)
					: bw(b, (uint32_t)bdata_mem(&e->bitwise.data, i * 4, 4));

			breg_set(b, d + i, bop(b, op, breg_get(b, s + i), y));
		}
		break;
	}
}

/* -- byteorder --------------------------------------------------------------------------------- */

/* The 16-bit numbers of a register, one or both; the rest of the destination stays. */
static void swap16(struct bld *b, uint32_t s, uint32_t d, uint32_t n)
{
	struct ir_ins *v = breg_get(b, s), *lo, *hi;

	lo = ir_emit1(&b->c, IR_BSWAP16, IR_W, v);
	if (n == 2)
		hi = bop(b, IR_SHL,
			 ir_emit1(&b->c, IR_BSWAP16, IR_W, bop(b, IR_LSHR, v, bw(b, 16))),
			 bw(b, 16));
	else
		hi = band(b, breg_get(b, d), 0xffff0000);
	if (bval_bits(hi))
		lo = bop(b, IR_OR, hi, lo);
	breg_set(b, d, lo);
}

static void swap64(struct bld *b, uint32_t s, uint32_t d)
{
	struct ir_ins *v = breg_pair(b, s), *hi;

	if (!v) {
		v = ir_emit1(&b->c, IR_ZEXT, IR_L, breg_get(b, s));
		hi = ir_emit1(&b->c, IR_ZEXT, IR_L, breg_get(b, s + 1));
		v = bop(b, IR_OR, bop(b, IR_SHL, hi, bl(b, 32)), v);
	}
	breg_set_pair(b, d, ir_emit1(&b->c, IR_BSWAP64, IR_L, v));
}

void lower_byteorder(struct bld *b, const struct expr *e)
{
	uint32_t s = REG_WORD(e->byteorder.sreg), d = REG_WORD(e->byteorder.dreg);
	uint32_t n = e->byteorder.len / e->byteorder.size;

	switch (e->byteorder.size) {
	case 2:
		for (uint32_t i = 0; i < n; i += 2)
			swap16(b, s + i / 2, d + i / 2, MIN(2, n - i));
		break;
	case 4:
		for (uint32_t i = 0; i < n; i++)
			breg_set(b, d + i, ir_emit1(&b->c, IR_BSWAP32, IR_W, breg_get(b, s + i)));
		break;
	case 8:
		swap64(b, s, d);
		break;
	}
}

/* -- jhash ------------------------------------------------------------------------------------- */

static struct ir_ins *rol(struct bld *b, struct ir_ins *v, uint32_t k)
{
	return bop(b, IR_OR, bop(b, IR_SHL, v, bw(b, k)), bop(b, IR_LSHR, v, bw(b, 32 - k)));
}

/* x = (x op y) op' rol(z, k), as Bob Jenkins' mixers are made of */
static struct ir_ins *sub_rol(struct bld *b, struct ir_ins *x, struct ir_ins *y, uint32_t k)
{
	return bop(b, IR_XOR, bop(b, IR_SUB, x, y), rol(b, y, k));
}

static struct ir_ins *xor_rol(struct bld *b, struct ir_ins *x, struct ir_ins *y, uint32_t k)
{
	return bop(b, IR_SUB, bop(b, IR_XOR, x, y), rol(b, y, k));
}

static void jhash_mix(struct bld *b, struct ir_ins *v[3])
{
	static const uint8_t rots[] = { 4, 6, 8, 16, 19, 4 };

	for (uint32_t i = 0; i < 6; i++) {
		uint32_t x = i % 3, y = (i + 2) % 3, z = (i + 1) % 3;

		v[x] = sub_rol(b, v[x], v[y], rots[i]);
		v[y] = bop(b, IR_ADD, v[y], v[z]);
	}
}

static void jhash_final(struct bld *b, struct ir_ins *v[3])
{
	static const uint8_t rots[] = { 14, 11, 25, 16, 4, 14, 24 };

	for (uint32_t i = 0; i < 7; i++) {
		uint32_t x = (i + 2) % 3, y = (i + 1) % 3;

		v[x] = xor_rol(b, v[x], v[y], rots[i]);
	}
}

/* The kernel's jhash() of len bytes from a register on, scaled to [0, mod). */
void lower_hash(struct bld *b, const struct expr *e)
{
	uint32_t len = e->hash.len, w = REG_WORD(e->hash.sreg), k = 0;
	uint32_t start = 0xdeadbeef + len + e->hash.seed;
	struct ir_ins *v[3] = { bw(b, start), bw(b, start), bw(b, start) }, *h;

	for (; len > 12; len -= 12) {
		for (uint32_t i = 0; i < 3; i++)
			v[i] = bop(b, IR_ADD, v[i], breg_get(b, w++));
		jhash_mix(b, v);
	}
	for (; len; len -= MIN(len, 4), k++) {
		h = breg_get(b, w++);
		if (len < 4)
			h = band(b, h, (1u << 8 * len) - 1);
		v[k] = bop(b, IR_ADD, v[k], h);
	}
	jhash_final(b, v);
	h = bop(b, IR_MUL, ir_emit1(&b->c, IR_ZEXT, IR_L, v[2]), bl(b, e->hash.mod));
	h = ir_emit1(&b->c, IR_TRUNC, IR_W, bop(b, IR_LSHR, h, bl(b, 32)));
	breg_set(b, REG_WORD(e->hash.dreg), bop(b, IR_ADD, h, bw(b, e->hash.offset)));
}
