// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs IR against an environment of callbacks: see irinterp.h. */
#include <stdlib.h>

#include "ir/pass.h"
#include "irinterp.h"

#define MAX_WORDS 64
/*
 * Addresses into the packet: told apart from the environment's pointers for the sake of whoever
 * debugs.
 */
#define PKT_BASE 0x5000000000000000ull

struct run {
	const struct ir_env *env;
	uint64_t steps;
};

struct frame {
	struct run *run;
	const struct ir_fn *fn;
	uint64_t *v; /* by value number */
};

static uint32_t run_fn(struct run *run, const struct ir_fn *fn);

static uint64_t get(const struct frame *f, const struct ir_ins *i)
{
	return i->op == IR_CONST ? (uint64_t)i->imm : f->v[i->id];
}

static uint64_t load_packet(const struct frame *f, uint64_t addr, uint32_t size)
{
	uint64_t v = 0;

	for (uint32_t k = 0; k < size; k++)
		v |= (uint64_t)f->run->env->byte(f->run->env->data, addr - PKT_BASE + k) << 8 * k;
	return v;
}

static uint64_t load_table(const struct frame *f, const struct ir_ins *i, uint64_t off)
{
	const struct ir_table *t = &f->fn->mod->tables.v[i->aux];
	uint64_t v = 0;

	for (uint32_t k = 0; k < i->size; k++)
		v |= t->len ? (uint64_t)t->bytes[(off + k) % t->len] << 8 * k : 0;
	return v;
}

static uint32_t words(const struct frame *f, const struct ir_ins *i, uint64_t *w)
{
	BUG_ON(i->n_args > MAX_WORDS);
	for (uint32_t k = 0; k < i->n_args; k++)
		w[k] = get(f, i->args[k]);
	return i->n_args;
}

static uint64_t load_field(const struct frame *f, const struct ir_ins *i, uint64_t base)
{
	const struct ir_env *e = f->run->env;
	uint32_t size = MIN(ir_field_info[i->aux].size, i->type == IR_L ? 8 : 4);
	uint64_t v;

	if (!base)
		return 0;
	v = e->ldf(e->data, (enum ir_field)i->aux, base, i->imm, size);
	return size < 8 ? v & ((1ull << 8 * size) - 1) : v;
}

/* All that is neither ALU nor control. */
static uint64_t ask_env(const struct frame *f, const struct ir_ins *i)
{
	const struct ir_env *e = f->run->env;
	uint64_t w[MAX_WORDS];
	uint32_t n = words(f, i, w);

	switch (i->op) {
	case IR_CTX:
		return e->ctx(e->data);
	case IR_LDF:
		return load_field(f, i, w[0]);
	case IR_PKT:
		return PKT_BASE + w[0];
	case IR_LDP:
		return load_packet(f, w[0] + (uint64_t)i->imm, i->size);
	case IR_LDRO:
		return load_table(f, i, w[0] + (uint64_t)i->imm);
	case IR_LOOK:
	case IR_CLOOK:
		return e->look(e->data, i->aux, w, n);
	case IR_ELDW:
	case IR_CELDW:
		return w[0] ? e->eldw(e->data, i->aux, w[0], i->imm) : 0;
	case IR_ELTEST:
		return e->eltest(e->data, i->aux, w[0], (uint32_t)w[1]);
	case IR_COUNTAT:
		return e->state(e->data, IR_COUNT, i->aux + (uint32_t)w[1], (uint32_t)w[0]);
	case IR_COUNT:
	case IR_LIMIT:
	case IR_QUOTA:
	case IR_LAST:
	case IR_NUMGEN:
		return e->state(e->data, i->op, i->aux, n ? (uint32_t)w[0] : 0);
	case IR_DYNSET:
		return e->dynset(e->data, i->aux, w, n);
	case IR_RTP:
	case IR_RTE:
		return e->rt(e->data, i->op, i->aux, w, n);
	case IR_CALL:
		return run_fn(f->run, f->fn->mod->fns.v[i->aux]);
	default:
		BUG("operation %s", ir_op_info[i->op].name);
	}
}

static void step(const struct frame *f, const struct ir_ins *i)
{
	uint64_t a[3] = { 0 }, out;

	for (uint32_t k = 0; k < i->n_args && k < 3; k++)
		a[k] = get(f, i->args[k]);
	if (!i->n_args || i->n_args > 3 || !ir_eval(i->op, (enum ir_type)i->type, a, &out))
		out = ask_env(f, i) & ir_type_mask((enum ir_type)i->type);
	f->v[i->id] = out;
}

/* Phis take their values all at once. */
static const struct ir_ins *enter(const struct frame *f, const struct ir_block *b,
				  const struct ir_block *from)
{
	const struct ir_ins *i = b->first;
	uint32_t n = 0, p;
	uint64_t *v;

	if (i->op != IR_PHI)
		return i;
	p = ir_pred_index(b, from);
	for (; i->op == IR_PHI; i = i->next)
		n++;
	v = malloc(n * sizeof(*v));
	BUG_ON(!v);
	n = 0;
	for (i = b->first; i->op == IR_PHI; i = i->next)
		v[n++] = get(f, i->args[p]);
	n = 0;
	for (i = b->first; i->op == IR_PHI; i = i->next)
		f->v[i->id] = v[n++];
	free(v);
	return i;
}

static uint32_t successor(const struct ir_block *b, uint64_t v)
{
	uint32_t s = 0;

	if (b->last->op == IR_JMP)
		return 0;
	if (b->last->op == IR_BR)
		return v ? 0 : 1;
	while (s < b->cases.n && (uint64_t)b->cases.v[s] != v)
		s++;
	return s;
}

static uint32_t run_blocks(struct frame *f)
{
	const struct ir_block *b = f->fn->blocks.v[0], *from = NULL;

	for (;;) {
		const struct ir_ins *i = enter(f, b, from);

		for (; i != b->last; i = i->next) {
			if (!f->run->steps)
				return IR_INTERP_STUCK;
			f->run->steps--;
			step(f, i);
		}
		if (!f->run->steps)
			return IR_INTERP_STUCK;
		f->run->steps--;
		if (i->op == IR_RET)
			return (uint32_t)get(f, i->args[0]);
		if (i->op == IR_TAIL)
			return run_fn(f->run, f->fn->mod->fns.v[i->aux]);
		from = b;
		b = b->succs.v[successor(b, i->n_args ? get(f, i->args[0]) : 0)];
	}
}

static uint32_t run_fn(struct run *run, const struct ir_fn *fn)
{
	struct frame f = { run, fn, calloc(fn->n_ins + 1, sizeof(uint64_t)) };
	uint32_t verdict;

	BUG_ON(!f.v);
	verdict = run_blocks(&f);
	free(f.v);
	return verdict;
}

uint32_t ir_interp(const struct ir_fn *fn, const struct ir_env *env, uint64_t steps)
{
	struct run run = { env, steps };

	return run_fn(&run, fn);
}
