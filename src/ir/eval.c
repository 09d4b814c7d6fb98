// SPDX-License-Identifier: GPL-2.0-or-later
/* What operations compute on constants, and what can be said of a value from its definition. */
#include "ir/pass.h"

_Static_assert(IR_NE == IR_EQ + 1 && IR_UGE == IR_ULT + 1 && IR_ULE == IR_UGT + 1,
	       "comparisons stand in pairs of opposites: ir_inverse_cmp()");

enum ir_op ir_inverse_cmp(enum ir_op op)
{
	return (enum ir_op)(((op - IR_EQ) ^ 1) + IR_EQ);
}

enum ir_op ir_swapped_cmp(enum ir_op op)
{
	switch (op) {
	case IR_ULT:
		return IR_UGT;
	case IR_UGT:
		return IR_ULT;
	case IR_ULE:
		return IR_UGE;
	case IR_UGE:
		return IR_ULE;
	default:
		return op;
	}
}

/* Division as BPF has it: by 0 gives 0, the remainder the dividend. */
static bool eval_alu(enum ir_op op, enum ir_type t, uint64_t x, uint64_t y, uint64_t *out)
{
	uint32_t bits = t == IR_L ? 64 : 32;

	switch (op) {
	case IR_ADD:
		*out = x + y;
		return true;
	case IR_SUB:
		*out = x - y;
		return true;
	case IR_MUL:
		*out = x * y;
		return true;
	case IR_UDIV:
		*out = y ? x / y : 0;
		return true;
	case IR_UMOD:
		*out = y ? x % y : x;
		return true;
	case IR_AND:
		*out = x & y;
		return true;
	case IR_OR:
		*out = x | y;
		return true;
	case IR_XOR:
		*out = x ^ y;
		return true;
	case IR_SHL:
		*out = x << (y & (bits - 1));
		return true;
	case IR_LSHR:
		*out = x >> (y & (bits - 1));
		return true;
	default:
		return false;
	}
}

static bool eval_cmp(enum ir_op op, uint64_t x, uint64_t y, uint64_t *out)
{
	switch (op) {
	case IR_EQ:
		*out = x == y;
		return true;
	case IR_NE:
		*out = x != y;
		return true;
	case IR_ULT:
		*out = x < y;
		return true;
	case IR_UGE:
		*out = x >= y;
		return true;
	case IR_UGT:
		*out = x > y;
		return true;
	case IR_ULE:
		*out = x <= y;
		return true;
	default:
		return false;
	}
}

static bool eval_unary(enum ir_op op, uint64_t x, uint64_t *out)
{
	switch (op) {
	case IR_NOT:
		*out = !x;
		return true;
	case IR_BSWAP16:
		*out = __builtin_bswap16((uint16_t)x);
		return true;
	case IR_BSWAP32:
		*out = __builtin_bswap32((uint32_t)x);
		return true;
	case IR_BSWAP64:
		*out = __builtin_bswap64(x);
		return true;
	case IR_COPY:
	case IR_ZEXT:
	case IR_B2W:
	case IR_TRUNC:
		*out = x;
		return true;
	default:
		return false;
	}
}

bool ir_eval(enum ir_op op, enum ir_type t, const uint64_t *a, uint64_t *out)
{
	bool known;

	if (op == IR_SEL) {
		*out = a[0] ? a[1] : a[2];
		return true;
	}
	if (ir_op_info[op].flags & CMP)
		known = eval_cmp(op, a[0], a[1], out);
	else
		known = eval_alu(op, t, a[0], a[1], out) || eval_unary(op, a[0], out);
	if (known)
		*out &= ir_type_mask(t);
	return known;
}

/* All ones up to the highest bit of v. */
static uint64_t fill(uint64_t v)
{
	return v ? UINT64_MAX >> __builtin_clzll(v) : 0;
}

static uint64_t umax_depth(const struct ir_ins *i, int depth)
{
	uint64_t all = ir_type_mask(i->type), a, b;

	if (i->op == IR_CONST)
		return (uint64_t)i->imm;
	if (!depth)
		return all;
	switch (i->op) {
	case IR_LDP:
	case IR_LDRO:
		return i->size >= 8 ? all : (1ull << 8 * i->size) - 1;
	case IR_LDF:
		a = ir_field_info[i->aux].size;
		return a < 4 ? (1ull << 8 * a) - 1 : all;
	case IR_B2W:
		return 1;
	case IR_BSWAP16:
		return 0xffff;
	case IR_COPY:
	case IR_ZEXT:
		return umax_depth(i->args[0], depth - 1);
	case IR_TRUNC:
		return MIN(all, umax_depth(i->args[0], depth - 1));
	case IR_AND:
		return MIN(umax_depth(i->args[0], depth - 1), umax_depth(i->args[1], depth - 1));
	case IR_OR:
	case IR_XOR:
		return fill(umax_depth(i->args[0], depth - 1) | umax_depth(i->args[1], depth - 1));
	case IR_ADD:
		a = umax_depth(i->args[0], depth - 1);
		b = umax_depth(i->args[1], depth - 1);
		return a <= all - b ? a + b : all;
	case IR_LSHR:
		a = umax_depth(i->args[0], depth - 1);
		return i->args[1]->op == IR_CONST ? a >> (i->args[1]->imm & 63) : a;
	case IR_SHL:
		a = umax_depth(i->args[0], depth - 1);
		b = (uint64_t)i->args[1]->imm & 63;
		return i->args[1]->op == IR_CONST && a <= all >> b ? a << b : all;
	case IR_UDIV:
		return umax_depth(i->args[0], depth - 1);
	case IR_UMOD:
		b = i->args[1]->op == IR_CONST ? (uint64_t)i->args[1]->imm : 0;
		return b ? b - 1 : all;
	case IR_SEL:
		a = umax_depth(i->args[1], depth - 1);
		b = umax_depth(i->args[2], depth - 1);
		return MAX(a, b);
	default:
		return all;
	}
}

uint64_t ir_umax(const struct ir_ins *i)
{
	return umax_depth(i, 4);
}

static bool is_len(const struct ir_ins *i)
{
	return i->op == IR_LDF && i->aux == FLD_skb_len;
}

bool ir_length_test(const struct ir_ins *i, struct length_test *t)
{
	enum ir_op op = i->op;
	struct ir_ins *end, *len;
	uint64_t over = 0; /* end + over <= len */

	if (!(ir_op_info[op].flags & CMP) || op == IR_EQ || op == IR_NE || i->args[0]->type != IR_W)
		return false;
	end = ir_val(i->args[0]);
	len = ir_val(i->args[1]);
	if (is_len(end)) {
		struct ir_ins *x = end;

		end = len;
		len = x;
		op = ir_swapped_cmp(op);
	}
	if (!is_len(len) || is_len(end))
		return false;
	/* ule: end <= len; ult: end + 1 <= len; ugt: not ule; uge: not ult */
	over = op == IR_ULT || op == IR_UGE;
	t->negated = op == IR_UGT || op == IR_UGE;
	t->len = len;
	t->base = end;
	t->k = over;
	if (end->op == IR_CONST) {
		t->base = NULL;
		t->k += (uint64_t)end->imm;
	} else if (end->op == IR_ADD && ir_val(end->args[1])->op == IR_CONST) {
		t->base = ir_val(end->args[0]);
		t->k += (uint64_t)ir_val(end->args[1])->imm;
	}
	return t->k < 1 << 20;
}
