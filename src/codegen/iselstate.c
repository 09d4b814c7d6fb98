// SPDX-License-Identifier: GPL-2.0-or-later
/* iselstate: counters, limits and their like, calls of the runtime. */
#include "isel.h"

uint32_t isel_helper(struct isel *s, int helper, uint32_t n_args, const struct mir_arg *args)
{
	struct mir_ins *c = isel_call(s, MIR_CALL, n_args, args);

	c->imm = helper;
	return c->d;
}

uint32_t isel_runtime(struct isel *s, const char *name, uint32_t n_args, const struct mir_arg *args)
{
	struct mir_ins *c = isel_call(s, MIR_CALL, n_args, args);

	c->has_rel = true;
	c->rel = (struct obj_reloc){ .kind = OBJ_REL_RT, .name = name };
	return c->d;
}

/*
 * The address of an element of an array map: never NULL, which the verifier may not know; then the
 * packet is dropped.
 */
static uint32_t array_at(struct isel *s, uint32_t map, int32_t key)
{
	struct mir_block *there = mir_block_new(s->fn), *never = mir_block_new(s->fn);
	struct mir_arg args[2] = { isel_arg_map(map), isel_arg_fp(key) };
	uint32_t p;

	p = isel_helper(s, BPF_FUNC_map_lookup_elem, 2, args);
	isel_jcc(s, BPF_JNE, false, p, 0, 0, there, never);
	s->cur = never;
	isel_ins(s, MIR_RET)->imm = 0;
	s->cur = there;
	return p;
}

uint32_t isel_array_elem_by(struct isel *s, uint32_t map, uint32_t index, int32_t key)
{
	isel_storei(s, MIR_FP, key, 4, index);
	return array_at(s, map, key);
}

uint32_t isel_array_elem(struct isel *s, uint32_t map, uint32_t index)
{
	return isel_array_elem_by(s, map, index, isel_scratch(s, 4));
}

/*
 * A counter is a CPU's own. At the hooks that local processes send through the program may be
 * interrupted by itself, and so must add in one instruction; elsewhere it runs where the kernel
 * takes packets from devices, one after another.
 */
bool isel_interrupted(const struct ir_fn *fn)
{
	return fn->hook == HOOK_OUTPUT || fn->hook == HOOK_POSTROUTING;
}

static void add_to(struct isel *s, uint32_t p, int32_t off, uint32_t by, int64_t imm)
{
	uint32_t v;

	if (isel_interrupted(s->ir)) {
		isel_xadd(s, p, off, by ? by : isel_imm(s, (uint64_t)imm));
		return;
	}
	v = isel_load(s, p, off, 8);

	v = by ? isel_alu(s, BPF_ADD, false, v, by) : isel_alui(s, BPF_ADD, false, v, imm);
	isel_store(s, p, off, 8, v);
}

static void count_by_call(struct isel *s, struct ir_ins *i)
{
	uint32_t first = s->cg->o->states.v[i->aux].key;
	struct mir_arg args[2] = { isel_arg_imm(first), isel_arg_val(s, i->args[0]) };
	struct mir_ins *c;

	if (i->op == IR_COUNTAT)
		args[0] = isel_arg_reg(isel_alui(s, BPF_ADD, true, isel_val(s, i->args[1]), first));
	c = isel_call(s, MIR_CALL, 2, args);

	c->has_rel = true;
	c->rel = (struct obj_reloc){ .kind = OBJ_REL_CALL, .id = CG_COUNT_FN };
	s->cg->counts_by_call = true;
}

static void sel_count(struct isel *s, struct ir_ins *i)
{
	uint32_t first = s->cg->o->states.v[i->aux].key, p, at;
	int32_t key;

	if (s->large) {
		count_by_call(s, i);
		return;
	}
	if (i->op == IR_COUNT) {
		p = isel_array_elem(s, s->cg->counters_map, first);
	} else { /* counters in a row have their places in a row */
		key = isel_scratch(s, 4);
		at = isel_alui(s, BPF_ADD, true, isel_val(s, i->args[1]), first);
		isel_store(s, MIR_FP, key, 4, at);
		p = array_at(s, s->cg->counters_map, key);
	}
	add_to(s, p, 0, 0, 1);
	add_to(s, p, 8, isel_val(s, i->args[0]), 0);
}

static struct mir_arg arg_u64(struct isel *s, uint64_t v)
{
	return v <= INT32_MAX ? isel_arg_imm(v) : isel_arg_reg(isel_imm(s, v));
}

/* Numbers as the kernel computes them when the rule is loaded. */
static uint64_t limit_max(const struct expr *e)
{
	uint64_t nsecs = e->limit.unit * 1000000000ull, burst = e->limit.burst;

	if (e->limit.type == 0)
		return nsecs / e->limit.rate * (burst ? burst : 5);
	return (uint64_t)((unsigned __int128)nsecs * (e->limit.rate + burst) / e->limit.rate);
}

uint32_t isel_limit(struct isel *s, const struct expr *e, uint32_t p, struct ir_ins *len)
{
	uint64_t nsecs = e->limit.unit * 1000000000ull;
	struct mir_arg args[4] = { isel_arg_reg(s->ctx), isel_arg_reg(p) };
	uint32_t cost, r;

	if (e->limit.type == 0) {
		args[2] = arg_u64(s, nsecs / e->limit.rate);
	} else {
		cost = isel_alui(s, BPF_MUL, false, isel_val(s, len), nsecs);
		args[2] = isel_arg_reg(isel_alui(s, BPF_DIV, false, cost, e->limit.rate));
	}
	args[3] = arg_u64(s, limit_max(e));
	r = isel_runtime(s, "n2b_limit", 4, args);
	return e->limit.inv ? isel_alui(s, BPF_XOR, false, r, 1) : r;
}

uint32_t isel_quota(struct isel *s, const struct expr *e, uint32_t p, struct ir_ins *len)
{
	struct mir_arg args[4] = { isel_arg_reg(s->ctx), isel_arg_reg(p), isel_arg_val(s, len),
				   arg_u64(s, e->quota.bytes) };
	uint32_t over = isel_runtime(s, "n2b_quota", 4, args);

	return e->quota.inv ? over : isel_alui(s, BPF_XOR, false, over, 1);
}

void isel_last(struct isel *s, uint32_t p)
{
	isel_runtime(s, "n2b_last", 2, (struct mir_arg[]){ isel_arg_reg(s->ctx), isel_arg_reg(p) });
}

static uint32_t state_elem(struct isel *s, const struct ir_ins *i)
{
	return isel_array_elem(s, s->cg->o->states.v[i->aux].map, s->cg->o->states.v[i->aux].key);
}

/* type 0: counting up; 1: random, scaled to [0, mod) */
static void sel_numgen(struct isel *s, struct ir_ins *i)
{
	const struct expr *e = s->cg->m->states.v[i->aux].expr;
	struct mir_ins *low;
	uint32_t r;

	if (e->numgen.type == 0) {
		struct mir_arg args[3] = { isel_arg_reg(s->ctx), isel_arg_reg(state_elem(s, i)),
					   isel_arg_imm(e->numgen.mod) };

		r = isel_runtime(s, "n2b_numgen", 3, args);
	} else {
		r = isel_helper(s, BPF_FUNC_get_prandom_u32, 0, NULL);
		low = isel_ins(s, MIR_MOV32);
		low->a = r;
		r = isel_alui(s, BPF_MUL, false, low->d, e->numgen.mod);
		r = isel_alui(s, BPF_RSH, false, r, 32);
	}
	r = isel_alui(s, BPF_ADD, true, r, e->numgen.offset);
	s->vreg[i->id] = r;
}

static const char *const rt_names[RT_COUNT] = {
#define R(id, fn, res, n_args) [RT_##id] = #fn,
#include "runtime.def"
#undef R
};

/* A service of the runtime: the context, then the operands. */
static void sel_rt(struct isel *s, struct ir_ins *i)
{
	struct mir_arg args[5] = { isel_arg_reg(s->ctx) };
	struct mir_ins *low;

	BUG_ON(i->n_args > 4);
	for (uint32_t k = 0; k < i->n_args; k++)
		args[k + 1] = isel_arg_val(s, i->args[k]);
	s->vreg[i->id] = isel_runtime(s, rt_names[i->aux], i->n_args + 1, args);
	if (i->type == IR_L)
		return;
	low = isel_ins(s, MIR_MOV32); /* the verifier knows nothing of the upper half */
	low->a = s->vreg[i->id];
	s->vreg[i->id] = low->d;
}

static const struct expr *state_expr(const struct isel *s, const struct ir_ins *i)
{
	return s->cg->m->states.v[i->aux].expr;
}

void isel_state(struct isel *s, struct ir_ins *i)
{
	switch (i->op) {
	case IR_RTP:
	case IR_RTE:
		sel_rt(s, i);
		break;
	case IR_COUNT:
	case IR_COUNTAT:
		sel_count(s, i);
		break;
	case IR_LIMIT:
		s->vreg[i->id] = isel_limit(s, state_expr(s, i), state_elem(s, i), i->args[0]);
		break;
	case IR_QUOTA:
		s->vreg[i->id] = isel_quota(s, state_expr(s, i), state_elem(s, i), i->args[0]);
		break;
	case IR_LAST:
		isel_last(s, state_elem(s, i));
		break;
	case IR_NUMGEN:
		sel_numgen(s, i);
		break;
	case IR_LOOK:
		isel_look(s, i);
		break;
	case IR_ELDW:
		isel_eldw(s, i);
		break;
	case IR_ELTEST:
		isel_eltest(s, i);
		break;
	case IR_DYNSET:
		isel_dynset(s, i);
		break;
	default:
		BUG("%s: no code for %s", s->ir->name, ir_op_info[i->op].name);
	}
}
