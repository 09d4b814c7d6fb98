// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pops: a loaded value and what is computed of it, as nft's expression: masks, shifts, other
 * values.
 */
#include <linux/netfilter/nf_tables.h>

#include "print.h"

/* What a shift leaves is a number, whatever it was before. */
static bool after_shift(const struct pval *v, uint32_t i)
{
	for (uint32_t k = v->field && v->shift ? 2 : 0; k < i; k++)
		if (v->ops[k].op == POP_LSHIFT || v->ops[k].op == POP_RSHIFT)
			return true;
	return false;
}

uint32_t pl_value_type(const struct pval *v)
{
	return after_shift(v, v->n_ops) && v->type != TYPE_MARK ? TYPE_INTEGER : v->type;
}

/* What is said so far of a value, from start on, and how close its last operator binds. */
struct said {
	struct sbuf *out;
	size_t start;
	enum binds { BINDS_OR, BINDS_XOR, BINDS_AND, BINDS_SHIFT, BINDS_ALL } last;
	uint32_t how, type; /* of the constants */
	bool host;
	bool unsayable; /* nft has no words for a constant */
};

static void bracket(struct said *s)
{
	const char *text = arena_strdup(s->out->arena, s->out->s + s->start);

	s->out->n = s->start;
	sb_printf(s->out, "(%s)", text);
	s->last = BINDS_ALL;
}

/* An operator behind what is said so far. */
static void say_op(struct said *s, enum binds op, const char *sign)
{
	if (s->last < op)
		bracket(s);
	sb_printf(s->out, " %s ", sign);
	s->last = op;
}

static void say_const(struct said *s, enum binds op, const char *sign, const struct data *d)
{
	/* every other number is 1 to nft */
	if (s->type == TYPE_BOOLEAN && pv_number(d->b, d->len, s->host) > 1)
		s->unsayable = true;
	say_op(s, op, sign);
	pv_data(s->out, s->how, s->type, s->host, d->b, d->len);
}

/* A mask and an exclusive or apart: what is taken, turned over, and put in. True: all is taken. */
static bool take_apart(struct data *and, struct data * xor, struct data * or)
{
	const struct data m = *and, x = *xor;
	bool all = true;

	* or = m;
	for (uint32_t k = 0; k < m.len; k++) {
		or->b[k] = x.b[k] & ~m.b[k];
		xor->b[k] = x.b[k] & m.b[k];
		and->b[k] = m.b[k] | or->b[k];
		all = all && and->b[k] == 0xff;
	}
	return all;
}

/* `& mask ^ bits | bits`, as nft takes a mask and an exclusive or apart. */
static void list_mask(struct said *s, struct data m, struct data x)
{
	struct data bits;
	bool all = take_apart(&m, &x, &bits);

	if (!all && type_is_flags(s->type)) {
		say_op(s, BINDS_AND, "&");
		pv_flags_operand(s->out, s->type, pv_number(m.b, m.len, s->host));
	} else if (!all) {
		say_const(s, BINDS_AND, "&", &m);
	}
	if (!data_is_zero(&x))
		say_const(s, BINDS_XOR, "^", &x);
	if (!data_is_zero(&bits))
		say_const(s, BINDS_OR, "|", &bits);
}

/*
 * An exclusive or that comes last nft moves into the constant, which is wrong where that is
 * compared in order: it comes first then.
 */
static void ordered_mask(struct said *s, struct data m, struct data x)
{
	struct data bits;

	take_apart(&m, &x, &bits);
	say_const(s, BINDS_XOR, "^", &x);
	say_const(s, BINDS_AND, "&", &m);
	if (!data_is_zero(&bits))
		say_const(s, BINDS_OR, "|", &bits);
}

/* The right side of operation i needs no brackets: what it ends with binds closer. */
static bool binds_closer(const struct pval *v, const struct pval *rhs, uint32_t i)
{
	const struct expr *e = rhs->ops[rhs->n_ops - 1].e;

	if (rhs->field && rhs->n_ops == (rhs->shift ? 2 : 1))
		return true;
	return v->ops[i].op == POP_OR && rhs->n_ops == 1 && rhs->ops[0].op == POP_MASK &&
	       data_is_zero(&e->bitwise.xor);
}

/*
 * What was loaded is a byte, and v's operation i is wider: there it is the low one of a number of
 * this machine.
 */
static bool widens(const struct pval *v, uint32_t i)
{
	const struct expr *e = v->e;
	const struct reg_key *k = e->kind == EX_META ? reg_key(EX_META, e->meta.key)
				  : e->kind == EX_CT ? reg_key(EX_CT, e->ct.key)
						     : NULL;

	if (v->ops[i].e->bitwise.len <= 1)
		return false;
	if (e->kind == EX_PAYLOAD || e->kind == EX_EXTHDR)
		return v->len == 1;
	return k && k->len == 1;
}

/*
 * The order of bytes after operation i; by turned, of which that of the last is false, orders at
 * different places compare.
 */
static bool order_at(const struct pval *v, uint32_t i)
{
	bool turned = i < v->n_ops && v->ops[i].turned;

	for (uint32_t k = 0; k < v->n_ops && k <= i; k++)
		if (widens(v, k))
			return v->ops[k].turned == turned;
	return v->host != turned;
}

bool pl_in_host_order(const struct pval *v)
{
	return order_at(v, v->n_ops);
}

static void say_mask(struct said *s, const struct pstate *ps, const struct pval *v, uint32_t i)
{
	const struct data *m = &v->ops[i].e->bitwise.mask, *x = &v->ops[i].e->bitwise.xor ;
	bool all1 = true, orlike = true;

	for (uint32_t k = 0; k < m->len; k++) {
		all1 = all1 && m->b[k] == 0xff;
		orlike = orlike && (x->b[k] ^ m->b[k]) == 0xff;
	}
	if (orlike)
		return say_const(s, BINDS_OR, "|", x);
	if (ps->o->listing) {
		s->type = after_shift(v, i) ? TYPE_HEX : v->type;
		return list_mask(s, *m, *x);
	}
	if (ps->ordered && i + 1 == v->n_ops && !v->ops[i].turned && !data_is_zero(x))
		return ordered_mask(s, *m, *x);
	if (!all1)
		say_const(s, BINDS_AND, "&", m);
	if (all1 || !data_is_zero(x))
		say_const(s, BINDS_XOR, "^", x);
}

/* An operation with another value, or with a constant as dumps have it. */
static bool say_with(struct said *s, struct pstate *ps, const struct pval *v, uint32_t i)
{
	static const struct {
		enum binds op;
		const char *sign;
	} ops[] = { [POP_AND] = { BINDS_AND, "&" },
		    [POP_OR] = { BINDS_OR, "|" },
		    [POP_XOR] = { BINDS_XOR, "^" } };
	const struct pval *rhs = v->ops[i].rhs;
	enum binds op = ops[v->ops[i].op].op;
	const char *sign = ops[v->ops[i].op].sign;
	bool brackets;

	if (!rhs)
		return say_const(s, op, sign, &v->ops[i].e->bitwise.data), true;
	brackets = rhs->n_ops && !(ps->o->listing && binds_closer(v, rhs, i));
	say_op(s, op, sign);
	sb_puts(s->out, brackets ? "(" : "");
	if (!pl_text(ps, rhs, 0, s->out))
		return false;
	sb_puts(s->out, brackets ? ")" : "");
	return true;
}

static uint32_t shift_of(const struct pval *v, uint32_t i)
{
	uint32_t n;

	memcpy(&n, v->ops[i].e->bitwise.data.b, sizeof(n));
	return n;
}

/* The operations after the words: " & 0xff", " << 2" ... */
bool pl_text(struct pstate *ps, const struct pval *v, uint32_t skip_ops, struct sbuf *out)
{
	struct said s = { .out = out, .start = out->n, .last = BINDS_ALL };
	uint32_t i = skip_ops;

	if (!v->words || v->full)
		return false;
	if (v->field && i == 0) {
		i = 1;
		if (v->shift) {
			if (v->n_ops < 2 || v->ops[1].op != POP_RSHIFT ||
			    shift_of(v, 1) != v->shift)
				return false;
			i = 2;
		}
	}
	sb_puts(out, v->words);
	for (; i < v->n_ops; i++) {
		s.how = pv_how(ps->o) | PV_NUMBERS;
		s.type = type_is_flags(v->type) || after_shift(v, i) ? TYPE_HEX : v->type;
		s.host = order_at(v, i);
		switch (v->ops[i].op) {
		case POP_LSHIFT:
		case POP_RSHIFT:
			say_op(&s, BINDS_SHIFT, v->ops[i].op == POP_LSHIFT ? "<<" : ">>");
			sb_printf(out, "%u", shift_of(v, i));
			break;
		case POP_MASK:
			say_mask(&s, ps, v, i);
			break;
		default:
			if (!say_with(&s, ps, v, i))
				return false;
		}
	}
	return !s.unsayable;
}
