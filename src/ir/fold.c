// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fold: constant operands and algebra, rule by rule.
 *
 *	%2 = and %1, 0xff
 *	%3 = and %2, 0x0f	==>	%3 = and %1, 0x0f
 *	%4 = xor %3, 5
 *	%5 = eq %4, 7			%5 = eq %3, 2
 *
 * Each rule is a function of the instruction; it answers
 *	NULL		it does not apply
 *	the instruction	it changed it in place: all rules are tried again
 *	another value	which replaces the instruction
 *
 * Requirements of a new rule:
 *  1. It asks only operands, and operands of operands: a rule costs constant time.
 *  2. It never makes more operations than it finds; what it makes anew stands right before the
 *     instruction.
 *  3. Rules together go one way: constants to the right, comparisons to eq, ne, ult, uge, towards
 *     the loaded value. There is no pair of rules of which one undoes the other.
 *  4. It says itself as before ==> after.
 */
#include "ir/pass.h"

#define ARG(i, k)     ((i)->args[k])
#define IS_CONST(v)   ((v)->op == IR_CONST)
#define CONST_OF(v)   ((uint64_t)(v)->imm)
#define FLAGS(i)      (ir_op_info[(i)->op].flags)
#define MASK_OF(i)    ir_type_mask((enum ir_type)(i)->type)
#define HAS_CONST1(i) ((i)->n_args == 2 && IS_CONST(ARG(i, 1)))

static struct ir_ins *constant(struct ir_ins *i, uint64_t v)
{
	return ir_fn_const(i->blk->fn, (enum ir_type)i->type, v);
}

static struct ir_ins *bit(struct ir_ins *i, bool v)
{
	return ir_fn_const(i->blk->fn, IR_B, v);
}

static struct ir_ins *const_like(struct ir_ins *i, const struct ir_ins *like, uint64_t v)
{
	return ir_fn_const(i->blk->fn, (enum ir_type)like->type, v);
}

/* i becomes op(a, c). */
static struct ir_ins *become(struct ir_ins *i, enum ir_op op, struct ir_ins *a, struct ir_ins *b)
{
	i->op = op;
	i->n_args = b ? 2 : 1;
	i->args[0] = a;
	if (b)
		i->args[1] = b;
	return i;
}

/* A new pure operation before i. */
static struct ir_ins *before(struct ir_ins *i, enum ir_op op, enum ir_type t, struct ir_ins *a,
			     struct ir_ins *b)
{
	struct ir_ins *n = ir_ins_new(i->blk->fn, op, t, b ? 2 : 1);

	n->rule = i->rule;
	n->args[0] = a;
	if (b)
		n->args[1] = b;
	ir_insert_before(i, n);
	return n;
}

/* -- constants --------------------------------------------------------------------------------- */

/* op(1, 2) ==> 3 */
static struct ir_ins *rule_constants(struct ir_ins *i)
{
	uint64_t v[3] = { 0 }, out;

	if (!i->n_args || i->n_args > 3)
		return NULL;
	for (uint32_t k = 0; k < i->n_args; k++) {
		if (!IS_CONST(ARG(i, k)))
			return NULL;
		v[k] = CONST_OF(ARG(i, k));
	}
	return ir_eval(i->op, (enum ir_type)i->type, v, &out) ? constant(i, out) : NULL;
}

/* op(1, x) ==> op(x, 1);  ult(1, x) ==> ugt(x, 1) */
static struct ir_ins *rule_const_right(struct ir_ins *i)
{
	struct ir_ins *a;

	if (i->n_args != 2 || !IS_CONST(ARG(i, 0)) || IS_CONST(ARG(i, 1)))
		return NULL;
	if (!(FLAGS(i) & (COMM | CMP)))
		return NULL;
	a = ARG(i, 0);
	return become(i, FLAGS(i) & CMP ? ir_swapped_cmp(i->op) : i->op, ARG(i, 1), a);
}

/* (x op 1) op 2 ==> x op 3 */
static struct ir_ins *rule_assoc(struct ir_ins *i)
{
	struct ir_ins *a;
	uint64_t v[2], out;

	if (!(FLAGS(i) & ASSOC) || !HAS_CONST1(i))
		return NULL;
	a = ARG(i, 0);
	if (a->op != i->op || !HAS_CONST1(a))
		return NULL;
	v[0] = CONST_OF(ARG(a, 1));
	v[1] = CONST_OF(ARG(i, 1));
	ir_eval(i->op, (enum ir_type)i->type, v, &out);
	return become(i, i->op, ARG(a, 0), constant(i, out));
}

/* -- one operand twice, neutral elements ------------------------------------------------------- */

static struct ir_ins *rule_same(struct ir_ins *i)
{
	if (i->n_args == 3 && i->op == IR_SEL && ARG(i, 1) == ARG(i, 2)) /* b ? x : x ==> x */
		return ARG(i, 1);
	if (i->n_args != 2 || ARG(i, 0) != ARG(i, 1))
		return NULL;
	if (FLAGS(i) & IDEM) /* x & x ==> x */
		return ARG(i, 0);
	switch (i->op) {
	case IR_SUB:
	case IR_XOR: /* x ^ x ==> 0 */
		return constant(i, 0);
	case IR_EQ:
	case IR_UGE:
	case IR_ULE: /* x == x ==> 1 */
		return bit(i, true);
	case IR_NE:
	case IR_ULT:
	case IR_UGT:
		return bit(i, false);
	default:
		return NULL;
	}
}

/* All bits up to the highest of v. */
static uint64_t ones(uint64_t v)
{
	return v ? UINT64_MAX >> __builtin_clzll(v) : 0;
}

static struct ir_ins *rule_neutral(struct ir_ins *i)
{
	uint64_t c;

	if (!HAS_CONST1(i))
		return NULL;
	c = CONST_OF(ARG(i, 1));
	switch (i->op) {
	case IR_ADD:
	case IR_SUB:
	case IR_XOR:
	case IR_SHL:
	case IR_LSHR: /* x + 0 ==> x */
		return c ? NULL : ARG(i, 0);
	case IR_OR: /* x | 0 ==> x;  x | ~0 ==> ~0 */
		return !c ? ARG(i, 0) : c == MASK_OF(i) ? constant(i, c) : NULL;
	case IR_AND: /* x & 0 ==> 0;  x & all ones that x can have ==> x */
		if (!c)
			return constant(i, 0);
		return ones(ir_umax(ARG(i, 0))) & ~c ? NULL : ARG(i, 0);
	case IR_MUL: /* x * 0 ==> 0;  x * 1 ==> x */
		return !c ? constant(i, 0) : c == 1 ? ARG(i, 0) : NULL;
	case IR_UDIV: /* x / 1 ==> x */
		return c == 1 ? ARG(i, 0) : NULL;
	default:
		return NULL;
	}
}

/* x * 8 ==> x << 3;  x / 8 ==> x >> 3;  x % 8 ==> x & 7 */
static struct ir_ins *rule_power(struct ir_ins *i)
{
	uint64_t c, n;

	if (!HAS_CONST1(i))
		return NULL;
	c = CONST_OF(ARG(i, 1));
	if (c < 2 || c & (c - 1))
		return NULL;
	n = (uint64_t)__builtin_ctzll(c);
	if (i->op == IR_MUL)
		return become(i, IR_SHL, ARG(i, 0), constant(i, n));
	if (i->op == IR_UDIV)
		return become(i, IR_LSHR, ARG(i, 0), constant(i, n));
	if (i->op == IR_UMOD)
		return become(i, IR_AND, ARG(i, 0), constant(i, c - 1));
	return NULL;
}

/* -- conversions ------------------------------------------------------------------------------- */

static struct ir_ins *rule_convert(struct ir_ins *i)
{
	struct ir_ins *a = i->n_args == 1 ? ARG(i, 0) : NULL;

	if (!a)
		return NULL;
	if (i->op == IR_NOT && a->op == IR_NOT) /* !!b ==> b */
		return ARG(a, 0);
	if (i->op == IR_NOT && FLAGS(a) & CMP) /* !(x < y) ==> x >= y */
		return before(i, ir_inverse_cmp(a->op), IR_B, ARG(a, 0), ARG(a, 1));
	if (i->op == IR_TRUNC && a->op == IR_ZEXT) /* trunc(zext x) ==> x */
		return ARG(a, 0);
	if (i->op == IR_ZEXT && a->op == IR_TRUNC && ir_umax(ARG(a, 0)) <= UINT32_MAX)
		return ARG(a, 0);
	if (i->op == a->op &&
	    (i->op == IR_BSWAP32 || i->op == IR_BSWAP64)) /* bswap(bswap x) ==> x */
		return ARG(a, 0);
	if (i->op == IR_BSWAP16 && a->op == IR_BSWAP16 && ir_umax(ARG(a, 0)) <= 0xffff)
		return ARG(a, 0);
	return NULL;
}

static struct ir_ins *rule_sel(struct ir_ins *i)
{
	struct ir_ins *c;

	if (i->op != IR_SEL)
		return NULL;
	c = ARG(i, 0);
	if (IS_CONST(c)) /* 1 ? x : y ==> x */
		return CONST_OF(c) ? ARG(i, 1) : ARG(i, 2);
	if (c->op == IR_NOT) { /* !b ? x : y ==> b ? y : x */
		struct ir_ins *x = ARG(i, 1);

		i->args[0] = ARG(c, 0);
		i->args[1] = ARG(i, 2);
		i->args[2] = x;
		return i;
	}
	if (i->type == IR_B && ir_is_const(ARG(i, 1), 1) && ir_is_const(ARG(i, 2), 0))
		return c; /* b ? 1 : 0 ==> b */
	if (i->type == IR_W && ir_is_const(ARG(i, 1), 1) && ir_is_const(ARG(i, 2), 0))
		return become(i, IR_B2W, c, NULL);
	return NULL;
}

/* -- comparisons with a constant --------------------------------------------------------------- */

/*
 * x > 4 ==> x >= 5; x <= 4 ==> x < 5; x < 1 ==> x == 0; what x can never or must always be is
 * decided
 */
static struct ir_ins *rule_order(struct ir_ins *i)
{
	struct ir_ins *x;
	uint64_t c, max;

	if (!(FLAGS(i) & CMP) || !HAS_CONST1(i))
		return NULL;
	x = ARG(i, 0);
	c = CONST_OF(ARG(i, 1));
	max = ir_umax(x);
	switch (i->op) {
	case IR_EQ:
		return c > max ? bit(i, false) : NULL;
	case IR_NE:
		return c > max ? bit(i, true) : NULL;
	case IR_UGT:
		return c >= max ? bit(i, false) : become(i, IR_UGE, x, const_like(i, x, c + 1));
	case IR_ULE:
		return c >= max ? bit(i, true) : become(i, IR_ULT, x, const_like(i, x, c + 1));
	case IR_ULT:
		if (!c || c > max)
			return bit(i, c);
		return c == 1 ? become(i, IR_EQ, x, const_like(i, x, 0)) : NULL;
	case IR_UGE:
		if (!c || c > max)
			return bit(i, !c);
		return c == 1 ? become(i, IR_NE, x, const_like(i, x, 0)) : NULL;
	default:
		return NULL;
	}
}

/* bswap(x) == c ==> x == bswap(c), the constant swapped here instead of the packet there */
static struct ir_ins *rule_eq_bswap(struct ir_ins *i, struct ir_ins *x, uint64_t c)
{
	if (x->op == IR_BSWAP32)
		return become(i, i->op, ARG(x, 0),
			      const_like(i, x, __builtin_bswap32((uint32_t)c)));
	if (x->op == IR_BSWAP64)
		return become(i, i->op, ARG(x, 0), const_like(i, x, __builtin_bswap64(c)));
	if (x->op == IR_BSWAP16 && c <= 0xffff && ir_umax(ARG(x, 0)) <= 0xffff)
		return become(i, i->op, ARG(x, 0),
			      const_like(i, x, __builtin_bswap16((uint16_t)c)));
	return NULL;
}

static struct ir_ins *rule_eq_bits(struct ir_ins *i, struct ir_ins *x, uint64_t c)
{
	uint64_t m;

	if (x->op == IR_ZEXT) /* zext(x) == c ==> x == c; c fits: rule_order */
		return c <= UINT32_MAX
			       ? become(i, i->op, ARG(x, 0), ir_fn_const(i->blk->fn, IR_W, c))
			       : NULL;
	if (x->op == IR_TRUNC && ir_umax(ARG(x, 0)) <= UINT32_MAX)
		return become(i, i->op, ARG(x, 0), ir_fn_const(i->blk->fn, IR_L, c));
	if (!HAS_CONST1(x))
		return NULL;
	m = CONST_OF(ARG(x, 1));
	if (x->op == IR_XOR) /* x ^ m == c ==> x == c ^ m */
		return become(i, i->op, ARG(x, 0), const_like(i, x, c ^ m));
	if (x->op == IR_ADD) /* x + m == c ==> x == c - m */
		return become(i, i->op, ARG(x, 0), const_like(i, x, c - m));
	if (x->op == IR_SUB) /* x - m == c ==> x == c + m */
		return become(i, i->op, ARG(x, 0), const_like(i, x, c + m));
	if (x->op == IR_AND && c & ~m) /* x & m == c with bits beyond m: never */
		return bit(i, i->op == IR_NE);
	if (x->op == IR_OR && ~c & m) /* x | m == c without all of m: never */
		return bit(i, i->op == IR_NE);
	if (x->op == IR_AND && c && c == m && !(m & (m - 1))) /* x & 8 == 8 ==> x & 8 != 0 */
		return become(i, ir_inverse_cmp(i->op), x, const_like(i, x, 0));
	return NULL;
}

static struct ir_ins *rule_eq(struct ir_ins *i)
{
	struct ir_ins *x, *r;
	uint64_t c;

	if ((i->op != IR_EQ && i->op != IR_NE) || !HAS_CONST1(i))
		return NULL;
	x = ARG(i, 0);
	c = CONST_OF(ARG(i, 1));
	if (x->type == IR_B) { /* b == 1 ==> b;  b == 0 ==> !b */
		if ((i->op == IR_EQ) == !!c)
			return x;
		return become(i, IR_NOT, x, NULL);
	}
	if (x->op == IR_B2W && c <= 1)
		return become(i, i->op, ARG(x, 0), bit(i, c));
	if (x->op == IR_SEL && IS_CONST(ARG(x, 1)) && IS_CONST(ARG(x, 2))) {
		/* (b ? 3 : 5) == 3 ==> b */
		bool a = (CONST_OF(ARG(x, 1)) == c) == (i->op == IR_EQ);
		bool b = (CONST_OF(ARG(x, 2)) == c) == (i->op == IR_EQ);

		if (a == b)
			return bit(i, a);
		return a ? ARG(x, 0) : become(i, IR_NOT, ARG(x, 0), NULL);
	}
	r = rule_eq_bswap(i, x, c);
	return r ?: rule_eq_bits(i, x, c);
}

/* -- phis -------------------------------------------------------------------------------------- */

/* phi x, x, itself ==> x */
static struct ir_ins *rule_phi(struct ir_ins *i)
{
	struct ir_ins *x = NULL;

	if (i->op != IR_PHI)
		return NULL;
	for (uint32_t k = 0; k < i->n_args; k++) {
		if (ARG(i, k) == i || ARG(i, k) == x)
			continue;
		if (x)
			return NULL;
		x = ARG(i, k);
	}
	return x;
}

/* br !b, @1, @2 ==> br b, @2, @1 */
static void fold_branch(struct ir_block *b)
{
	struct ir_ins *t = b->last;

	while (t->op == IR_BR && ir_val(t->args[0])->op == IR_NOT) {
		struct ir_block *s = b->succs.v[0];

		t->args[0] = ir_val(ir_val(t->args[0])->args[0]);
		b->succs.v[0] = b->succs.v[1];
		b->succs.v[1] = s;
		ir_cfg_changed(b->fn);
		t->imm = t->imm ? 3 - t->imm : 0;
	}
}

static struct ir_ins *apply(struct ir_ins *i)
{
	static struct ir_ins *(*const rules[])(struct ir_ins *) = {
		rule_constants, rule_const_right, rule_assoc, rule_same, rule_neutral, rule_power,
		rule_convert,	rule_sel,	  rule_order, rule_eq,	 rule_phi,
	};

	for (uint32_t r = 0; r < ARRAY_SIZE(rules); r++) {
		struct ir_ins *by = rules[r](i);

		if (by)
			return by;
	}
	return NULL;
}

void opt_fold(struct ir_fn *fn)
{
	vec_foreach(&fn->blocks, bp) {
		for (struct ir_ins *i = (*bp)->first, *next; i; i = next) {
			struct ir_ins *by;

			next = i->next;
			for (uint32_t k = 0; k < i->n_args; k++)
				i->args[k] = ir_val(i->args[k]);
			if (!(FLAGS(i) & PURE) && i->op != IR_PHI)
				continue;
			while ((by = apply(i)) == i)
				;
			if (by)
				ir_replace(fn, i, by);
		}
		fold_branch(*bp);
	}
}
