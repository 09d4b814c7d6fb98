// SPDX-License-Identifier: GPL-2.0-or-later
/* iselstate: counters, limits and their like, sets in maps, calls of the runtime. */
#include "isel.h"

#define HELPER_LOOKUP BPF_FUNC_map_lookup_elem

/* The address of the element with that number in an array map: never NULL, as the verifier may not know; then the packet is dropped. */
static uint32_t array_elem(struct isel *s, uint32_t map, uint32_t index)
{
	int32_t key = isel_scratch(s, 4);
	struct mir_block *there = mir_block_new(s->fn), *never = mir_block_new(s->fn);
	struct mir_arg args[2] = { isel_arg_map(map), isel_arg_fp(key) };
	struct mir_ins *c;

	isel_storei(s, MIR_FP, key, 4, index);
	c = isel_call(s, MIR_CALL, 2, args);
	c->imm = HELPER_LOOKUP;
	isel_jcc(s, BPF_JNE, false, c->d, 0, 0, there, never);
	s->cur = never;
	isel_ins(s, MIR_RET)->imm = 0;
	s->cur = there;
	return c->d;
}

static void add_to(struct isel *s, uint32_t p, int32_t off, uint32_t by, int64_t imm)
{
	uint32_t v = isel_load(s, p, off, 8);

	v = by ? isel_alu(s, BPF_ADD, false, v, by) : isel_alui(s, BPF_ADD, false, v, imm);
	isel_store(s, p, off, 8, v);
}

static void sel_count(struct isel *s, struct ir_ins *i)
{
	uint32_t p = array_elem(s, s->cg->counters_map, s->cg->counter_index[i->aux]);

	add_to(s, p, 0, 0, 1);
	add_to(s, p, 8, isel_val(s, i->args[0]), 0);
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
	struct mir_ins *c;

	BUG_ON(i->n_args > 4);
	for (uint32_t k = 0; k < i->n_args; k++)
		args[k + 1] = isel_arg_val(s, i->args[k]);
	c = isel_call(s, MIR_CALL, i->n_args + 1, args);
	c->has_rel = true;
	c->rel = (struct obj_reloc){ .kind = OBJ_REL_RT, .name = rt_names[i->aux] };
	s->vreg[i->id] = c->d;
	if (i->type == IR_L)
		return;
	c = isel_ins(s, MIR_MOV32); /* the verifier knows nothing of the upper half */
	c->a = s->vreg[i->id];
	s->vreg[i->id] = c->d;
}

void isel_state(struct isel *s, struct ir_ins *i)
{
	switch (i->op) {
	case IR_RTP:
	case IR_RTE:
		sel_rt(s, i);
		break;
	case IR_COUNT:
		sel_count(s, i);
		break;
	default:
		BUG("%s: no code for %s", s->ir->name, ir_op_info[i->op].name);
	}
}
