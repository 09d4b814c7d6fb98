// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The verifier of the IR: structure of blocks and edges, types and operands as ops.def has them,
 * numbers in range, and that each value's definition dominates its uses. It runs after every pass
 * in tests, and on IR read from text.
 */
#include <stdlib.h>

#include "ir.h"

struct checker {
	struct ir_fn *fn;
	const char *fault;
	uint32_t *place; /* by instruction id: position in its block + 1; 0: not in the function */
	struct ir_block **home;
};

static void PRINTF(3, 4) fault(struct checker *c, const struct ir_ins *i, const char *fmt, ...)
{
	va_list ap;
	char *words;

	if (c->fault)
		return;
	va_start(ap, fmt);
	words = arena_vprintf(c->fn->mod->arena, fmt, ap);
	va_end(ap);
	if (!i)
		c->fault = arena_printf(c->fn->mod->arena, "function %s: %s", c->fn->name, words);
	else
		c->fault = arena_printf(c->fn->mod->arena, "function %s, @%u, %s %%%u: %s",
					c->fn->name, i->blk ? i->blk->id : 0,
					i->op < IR_OP_COUNT ? ir_op_info[i->op].name : "?", i->id,
					words);
}

static uint32_t count_of(const struct ir_block *const *v, uint32_t n, const struct ir_block *b)
{
	uint32_t k = 0;

	for (uint32_t i = 0; i < n; i++)
		k += v[i] == b;
	return k;
}

/*
 * Each edge stands in succs and preds equally often; counted from the side of the successors in
 * linear time by `tmp`.
 */
static void check_edges(struct checker *c)
{
	struct ir_fn *fn = c->fn;
	size_t balance = 0;

	vec_foreach(&fn->blocks, bp) {
		struct ir_block *b = *bp;

		balance += b->succs.n;
		balance -= b->preds.n;
		vec_foreach(&b->succs, s)
			if (!*s || (*s)->fn != fn)
				fault(c, NULL, "@%u leads out of the function", b->id);
		vec_foreach(&b->preds, p) {
			if (!*p || (*p)->fn != fn)
				fault(c, NULL, "@%u has a stray predecessor", b->id);
			else if (!count_of((const struct ir_block *const *)(*p)->succs.v,
					   (*p)->succs.n, b))
				fault(c, NULL, "@%u is no successor of its predecessor @%u", b->id,
				      (*p)->id);
		}
	}
	if (balance)
		fault(c, NULL, "successors and predecessors differ in number");
	if (fn->blocks.v[0]->preds.n)
		fault(c, NULL, "the entry has predecessors");
}

static void check_term(struct checker *c, struct ir_block *b)
{
	struct ir_ins *t = b->last;
	uint32_t want;

	if (!t || !(ir_op_info[t->op].flags & TERM)) {
		fault(c, NULL, "@%u has no terminator", b->id);
		return;
	}
	want = t->op == IR_JMP ? 1 : t->op == IR_BR ? 2 : ir_is_last(t->op) ? 0 : b->cases.n + 1;
	if (b->succs.n != want)
		fault(c, t, "%u successors, %u wanted", b->succs.n, want);
	if (t->op != IR_SWITCH && b->cases.n)
		fault(c, t, "cases without switch");
	if (t->op == IR_BR && (t->imm < 0 || t->imm > 2))
		fault(c, t, "immediate must be 0, 1 or 2");
	if (t->op == IR_RET && t->n_args == 1 && t->args[0]->op == IR_CONST &&
	    t->args[0]->imm > (c->fn->kind == IR_FN_CHAIN ? 3 : 1))
		fault(c, t, "verdict %lld", (long long)t->args[0]->imm);
}

static enum ir_type letter_type(char l)
{
	return l == 'B' ? IR_B : l == 'W' ? IR_W : IR_L;
}

/* ir_val(), which may not end before it is known that definitions dominate uses. */
static const struct ir_ins *behind(const struct checker *c, const struct ir_ins *i)
{
	for (uint32_t n = 0; i->op == IR_COPY && i->n_args == 1 && i->args[0] && n < c->fn->n_ins;
	     n++)
		i = i->args[0];
	return i;
}

static void check_arg(struct checker *c, struct ir_ins *i, uint32_t k, char letter)
{
	struct ir_ins *a = i->args[k];
	enum ir_type want;

	if (!a) {
		fault(c, i, "operand %u is missing", k);
		return;
	}
	if (a->type == IR_V) {
		fault(c, i, "operand %u has no value", k);
		return;
	}
	want = letter == 'T' ? i->type : letter == 'S' ? i->args[0]->type : letter_type(letter);
	if (a->type != want)
		fault(c, i, "operand %u has type %c, %c wanted", k, "VBWL"[a->type], "VBWL"[want]);
	/*
	 * The code generator makes no value of an address but where the packet is read through it.
	 */
	if (behind(c, a)->op == IR_PKT && i->op != IR_LDP && i->op != IR_COPY)
		fault(c, i, "operand %u is a packet address, which only ldp takes", k);
	if (letter == 'S' && a->type == IR_B && i->op != IR_EQ && i->op != IR_NE)
		fault(c, i, "compares bits by order");
}

static void check_args(struct checker *c, struct ir_ins *i)
{
	const char *sig = ir_op_info[i->op].args;
	uint32_t n = (uint32_t)strlen(sig);

	if (i->op == IR_PHI) {
		if (i->n_args != i->blk->preds.n)
			fault(c, i, "%u operands for %u predecessors", i->n_args, i->blk->preds.n);
		for (uint32_t k = 0; k < i->n_args; k++)
			check_arg(c, i, k, 'T');
		return;
	}
	if (*sig == '*') {
		for (uint32_t k = 0; k < i->n_args; k++)
			check_arg(c, i, k, 'W');
		return;
	}
	if (i->n_args != n) {
		fault(c, i, "%u operands, %u wanted", i->n_args, n);
		return;
	}
	for (uint32_t k = 0; k < n; k++)
		check_arg(c, i, k, sig[k]);
}

static void check_aux(struct checker *c, struct ir_ins *i)
{
	const struct ir_mod *m = c->fn->mod;
	uint32_t n = 0;

	switch (IR_AUX_KIND(ir_op_info[i->op].flags)) {
	case AK_NONE:
		return;
	case AK_RT:
		n = RT_COUNT;
		break;
	case AK_FIELD:
		n = FLD_COUNT;
		break;
	case AK_SET:
		n = m->sets.n;
		break;
	case AK_STATE:
		n = m->states.n;
		break;
	case AK_DYNSET:
		n = m->dynsets.n;
		break;
	case AK_TABLE:
		n = m->tables.n;
		break;
	case AK_FN:
		n = m->fns.n;
		break;
	}
	if (i->aux >= n)
		fault(c, i, "refers to number %u of %u", i->aux, n);
	else if (i->op == IR_CALL && m->fns.v[i->aux]->kind != IR_FN_CHAIN)
		fault(c, i, "function %u is no chain's", i->aux);
	else if (i->op == IR_TAIL && m->fns.v[i->aux]->kind != IR_FN_NEXT)
		fault(c, i, "function %u does not follow a program", i->aux);
	if (i->op == IR_TAIL && c->fn->kind == IR_FN_CHAIN)
		fault(c, i, "only programs go on as others");
}

static bool size_ok(uint8_t size, uint8_t type)
{
	return type == IR_L ? size == 8 : type == IR_W && (size == 1 || size == 2 || size == 4);
}

/*
 * Operations whose result has the type of their operands, or none of its own: on bits only what is
 * logic.
 */
static bool type_ok(const struct ir_ins *i)
{
	switch (i->op) {
	case IR_ADD:
	case IR_SUB:
	case IR_MUL:
	case IR_UDIV:
	case IR_UMOD:
	case IR_SHL:
	case IR_LSHR:
	case IR_LDF:
		return i->type != IR_B;
	default:
		return true;
	}
}

static const struct {
	enum ir_type type;
	uint32_t n_args;
} services[RT_COUNT] = {
#define R(id, fn, res, n) [RT_##id] = { IR_##res, n },
#include "runtime.def"
#undef R
};

static void check_service(struct checker *c, struct ir_ins *i)
{
	if (i->aux >= RT_COUNT)
		fault(c, i, "refers to number %u of %u", i->aux, RT_COUNT);
	else if (i->type != services[i->aux].type)
		fault(c, i, "result of type %c, %c wanted", "VBWL"[i->type],
		      "VBWL"[services[i->aux].type]);
	else if (i->n_args != services[i->aux].n_args)
		fault(c, i, "%u operands, %u wanted", i->n_args, services[i->aux].n_args);
}

static void check_words(struct checker *c, struct ir_ins *i, uint32_t want)
{
	if (i->n_args != want)
		fault(c, i, "%u words, %u wanted", i->n_args, want);
}

/*
 * The numbers that check_aux() found in range: whether they stand for what the operation works on.
 */
static void check_set_use(struct checker *c, struct ir_ins *i)
{
	const struct ir_set *is = &c->fn->mod->sets.v[i->aux];
	bool constant = i->op == IR_CLOOK || i->op == IR_CELDW;

	if (constant != (is->kind == SK_CONST))
		fault(c, i, "set %u is %s", i->aux, constant ? "mutable" : "constant");
	if (i->op == IR_LOOK || i->op == IR_CLOOK)
		check_words(c, i, DIV_ROUND_UP(is->set->key_len, 4u));
	if ((i->op == IR_ELDW || i->op == IR_CELDW) &&
	    (i->imm < 0 || i->imm >= ir_set_words(is->set)))
		fault(c, i, "word %lld of %u", (long long)i->imm, ir_set_words(is->set));
}

static void check_dynset_use(struct checker *c, struct ir_ins *i)
{
	const struct ir_mod *m = c->fn->mod;
	const struct ir_dynset *d = &m->dynsets.v[i->aux];
	const struct set *s = d->set < m->sets.n ? m->sets.v[d->set].set : NULL;
	bool data = d->expr->dynset.sreg_data != REG_NONE;

	if (!s)
		fault(c, i, "dynset %u is of no set", i->aux);
	else
		check_words(c, i,
			    DIV_ROUND_UP(s->key_len, 4u) +
				    (data ? DIV_ROUND_UP(s->data_len, 4u) : 0));
}

static void check_state_use(struct checker *c, struct ir_ins *i)
{
	static const enum ir_state_kind kind[IR_OP_COUNT] = {
		[IR_COUNT] = ST_COUNTER, [IR_COUNTAT] = ST_COUNTER, [IR_LIMIT] = ST_LIMIT,
		[IR_QUOTA] = ST_QUOTA,	 [IR_LAST] = ST_LAST,	    [IR_NUMGEN] = ST_NUMGEN,
	};

	if (c->fn->mod->states.v[i->aux].kind != kind[i->op])
		fault(c, i, "state %u is of another kind", i->aux);
}

static void check_use(struct checker *c, struct ir_ins *i)
{
	switch (IR_AUX_KIND(ir_op_info[i->op].flags)) {
	case AK_SET:
		check_set_use(c, i);
		break;
	case AK_DYNSET:
		check_dynset_use(c, i);
		break;
	case AK_STATE:
		check_state_use(c, i);
		break;
	case AK_RT:
		check_service(c, i);
		break;
	default:
		break;
	}
}

/*
 * Loads from the packet name their address, as the code generator makes room for what is read
 * through it.
 */
static void check_load(struct checker *c, struct ir_ins *i)
{
	const struct ir_ins *p = behind(c, i->args[0]);

	if (p->op != IR_PKT)
		fault(c, i, "operand %%%u is no packet address", p->id);
	else if (i->imm < 0 || i->imm + i->size > p->imm || i->imm >= IR_PKT_REACH)
		fault(c, i, "byte %lld of %lld", (long long)i->imm,
		      (long long)MIN(p->imm, IR_PKT_REACH));
}

static void check_ins(struct checker *c, struct ir_ins *i)
{
	const struct ir_op_info *info;

	if (i->op >= IR_OP_COUNT || i->op == IR_CONST) {
		fault(c, i, "stands in a block");
		return;
	}
	info = &ir_op_info[i->op];
	if (info->res == IR_T ? i->type == IR_V : i->type != info->res)
		fault(c, i, "result of type %c", "VBWL"[i->type & 3]);
	if (info->flags & TERM && i->next)
		fault(c, i, "is not the last of its block");
	if (!type_ok(i))
		fault(c, i, "cannot be of bits");
	check_args(c, i);
	check_aux(c, i);
	if (!c->fault)
		check_use(c, i);
	if (!c->fault && i->op == IR_LDP)
		check_load(c, i);
	if (info->flags & SIZE && !size_ok(i->size, i->type))
		fault(c, i, "size %u", i->size);
	if (i->op == IR_PKT && (i->imm < 1 || i->imm > 65535))
		fault(c, i, "length %lld", (long long)i->imm);
	if (i->op == IR_LDF && i->aux < FLD_COUNT) {
		uint8_t size = ir_field_info[i->aux].size;

		if (i->imm < 0 || i->imm + (i->type == IR_L ? 8 : MIN(4, size)) > size)
			fault(c, i, "byte %lld of %u", (long long)i->imm, size);
		if (size <= 8 && (i->type == IR_L) != (size == 8) && !i->imm && size != 8)
			fault(c, i, "type %c of a field of %u bytes", "VBWL"[i->type], size);
	}
}

/* Numbers the instructions, and sees that each stands in one place. */
static void check_places(struct checker *c)
{
	vec_foreach(&c->fn->blocks, bp) {
		struct ir_block *b = *bp;
		bool body = false;
		uint32_t n = 0;
		const struct ir_ins *prev = NULL;

		if (b->fn != c->fn)
			fault(c, NULL, "@%u belongs to another function", b->id);
		for (struct ir_ins *i = b->first; i; prev = i, i = i->next) {
			if (i->blk != b || i->prev != prev)
				fault(c, i, "is linked wrongly");
			if (i->id >= c->fn->n_ins || c->place[i->id]) {
				fault(c, i, "number used twice or not given out");
				return;
			}
			c->place[i->id] = ++n;
			c->home[i->id] = b;
			if (i->op == IR_PHI && body)
				fault(c, i, "phi behind other instructions");
			body |= i->op != IR_PHI;
		}
		if (b->last != prev)
			fault(c, NULL, "@%u: last instruction is linked wrongly", b->id);
	}
}

static void check_dominance(struct checker *c, const struct ir_ins *i, uint32_t k)
{
	const struct ir_ins *a = i->args[k];
	const struct ir_block *at = i->op == IR_PHI ? i->blk->preds.v[k] : i->blk;

	if (a->op == IR_CONST) {
		if (a->blk)
			fault(c, i, "operand %u: constant in a block", k);
		return;
	}
	if (a->id >= c->fn->n_ins || !c->place[a->id] || c->home[a->id] != a->blk) {
		fault(c, i, "operand %%%u is not in the function", a->id);
		return;
	}
	if (i->op != IR_PHI && a->blk == at ? c->place[a->id] >= c->place[i->id]
					    : !ir_dominates(a->blk, at))
		fault(c, i, "operand %%%u does not dominate it", a->id);
}

/* Orders the blocks anew, whatever the function says of itself. */
static void check_ssa(struct checker *c)
{
	uint32_t n = c->fn->blocks.n;
	bool dead = false;

	ir_cfg_changed(c->fn);
	ir_cfg(c->fn);
	if (c->fn->blocks.n != n) {
		fault(c, NULL, "%u blocks cannot be reached", n - c->fn->blocks.n);
		dead = true;
	}
	vec_foreach(&c->fn->blocks, b)
		vec_foreach(&(*b)->succs, to)
			if ((*to)->rpo <= (*b)->rpo)
				fault(c, NULL, "@%u and @%u are in a loop", (*to)->id, (*b)->id);
	if (!dead) {
		ir_dominators(c->fn);
		vec_foreach(&c->fn->blocks, b)
			for (struct ir_ins *i = (*b)->first; i && !c->fault; i = i->next)
				for (uint32_t k = 0; k < i->n_args; k++)
					check_dominance(c, i, k);
	}
}

const char *ir_verify_fn(struct ir_fn *fn)
{
	struct checker c = { .fn = fn };

	if (!fn->blocks.n) {
		fault(&c, NULL, "no block");
		return c.fault;
	}
	c.place = calloc(fn->n_ins + 1, sizeof(*c.place));
	c.home = calloc(fn->n_ins + 1, sizeof(*c.home));
	BUG_ON(!c.place || !c.home);
	check_places(&c);
	if (!c.fault)
		check_edges(&c);
	vec_foreach(&fn->blocks, b) {
		if (c.fault)
			break;
		check_term(&c, *b);
		for (struct ir_ins *i = (*b)->first; i && !c.fault; i = i->next)
			check_ins(&c, i);
	}
	if (!c.fault)
		check_ssa(&c);
	free(c.place);
	free(c.home);
	return c.fault;
}

const char *ir_verify(const struct ir_mod *m)
{
	vec_foreach(&m->fns, fn) {
		const char *words = ir_verify_fn(*fn);

		if (words)
			return words;
	}
	return ir_verify_mod(m);
}
