/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mir: machine code on virtual registers, between instruction selection and encoding; private to
 * this folder.
 *
 * A function is a graph of blocks without loops. Virtual registers count from 1; MIR_FP is r10. A
 * register that holds a 32-bit value holds it zero-extended; one that holds a condition holds 0 or
 * 1.
 */
#ifndef N2B_MIR_H
#define N2B_MIR_H

#include <linux/bpf.h>

#include "codegen.h"

enum mir_op {
#define X(op, a, b, d, eff) MIR_##op,
#include "insn.def"
#undef X
	MIR_OP_COUNT
};

struct mir_op_info {
	const char *name;
	bool reads_a, reads_b, writes_d, effect;
};
extern const struct mir_op_info mir_op_info[MIR_OP_COUNT];

#define MIR_NONE 0u
#define MIR_FP	 1u
#define MIR_REGS 10 /* r0 to r9 can be given out */

enum mir_arg_kind { MA_REG, MA_IMM, MA_FP, MA_REL, MA_BUF };
/* An argument of a call: made in its argument register only when the call is written out. */
struct mir_arg {
	enum mir_arg_kind kind;
	uint32_t reg; /* MA_REG */
	int64_t imm;  /* MA_IMM: number; MA_FP: offset from r10; MA_BUF: index in fn->bufs */
	struct obj_reloc rel; /* MA_REL: ld_imm64 */
};

struct mir_ins {
	uint8_t op;  /* enum mir_op */
	uint8_t bop; /* ALU, JCC: BPF_ADD ..., BPF_JEQ ... */
	bool w32;
	uint8_t size; /* LDX, STX, ST: bytes */
	bool has_rel;
	uint8_t n_args;
	uint32_t d, a, b; /* virtual registers */
	int32_t off;
	int64_t imm; /* CALL: helper number, if it has no relocation */
	struct obj_reloc rel;
	struct mir_arg *args;
	uint16_t saves;	  /* CALLC, after allocation: physical registers to keep over the call */
	int32_t save_off; /* and where: offset from r10 */
	const struct rule *rule;
	struct mir_ins *prev, *next;
};

struct mir_block {
	uint32_t id;
	uint32_t order; /* place in fn->blocks after mir_order() */
	bool cold, seen;
	uint32_t height; /* longest way to a return, in blocks */
	struct mir_ins *first, *last;
	struct mir_block *succ[2]; /* by the last instruction: JCC both, JMP the first */
	uint32_t n_succ, n_preds;
	uint64_t *live_in, *live_out; /* sets of fn->global numbers */
	uint32_t from, to;	      /* instruction numbers, [from, to) */
};

struct mir_vreg {
	bool region;   /* a reload that blocks share: no more of that kind if it is spilled too */
	uint8_t level; /* 0 ordinary; 1 reloads shared in a block; 2 one reload, never spilled */
	int8_t phys;   /* after allocation */
	uint32_t hint; /* virtual register whose place would save a move; 0 none */
	int8_t phys_hint;      /* physical register that would; -1 none */
	struct mir_ins *remat; /* instruction that makes it anew anywhere (constants), or NULL */
	uint32_t n_uses, n_defs;
	uint32_t global; /* number in the liveness sets + 1; 0: local to its block */
};

/*
 * Bytes of the stack that are in use as long as one of two registers is live: a packet address as
 * number and as pointer.
 */
struct mir_buf {
	uint32_t size;
	uint32_t regs[2];
	int32_t off; /* from r10, given by mir_regalloc() */
};

struct mir_fn {
	struct arena *arena;
	const char *name;
	const struct ir_fn *ir;
	VEC(struct mir_block *) blocks;
	VEC(struct mir_vreg) vregs; /* [0] unused, [1] r10 */
	VEC(struct mir_buf) bufs;
	uint32_t n_globals, n_ins, n_block_ids;
	int32_t frame; /* bytes of stack in use, a multiple of 8 */
	/* bytes of the frame before the first register is spilled, + 1; 0: none was */
	int32_t spill_base;
};

struct mir_fn *mir_fn_new(struct arena *a, const char *name);
uint32_t mir_vreg_new(struct mir_fn *fn);
struct mir_block *mir_block_new(
	struct mir_fn *fn); /* not yet in fn->blocks: mir_order() finds it */
struct mir_ins *mir_append(struct mir_fn *fn, struct mir_block *b, enum mir_op op);
void mir_insert_before(struct mir_block *b, struct mir_ins *at, struct mir_ins *i);
void mir_insert_after(struct mir_block *b, struct mir_ins *at, struct mir_ins *i);
void mir_remove(struct mir_block *b, struct mir_ins *i);
struct mir_ins *mir_ins_new(struct mir_fn *fn, enum mir_op op, const struct rule *rule);
/* Calls fn(arg, &register) for each register that i reads. */
typedef void mir_use_fn(void *arg, uint32_t *reg);
void mir_each_use(struct mir_ins *i, mir_use_fn *fn, void *arg);
void mir_print(const struct mir_fn *fn, FILE *f);
bool mir_commutes(uint8_t bop);
/* Stack bytes of a size, aligned to 8; the offset from r10. */
int32_t mir_stack(struct mir_fn *fn, uint32_t size);

/* layout.c: finds the reachable blocks from blocks[0] and puts them in the order of the code. */
void mir_order(struct mir_fn *fn);
/* mir.c: removes instructions whose results nobody reads; counts uses and definitions. */
void mir_dce(struct mir_fn *fn);
/* live.c: which registers are live where; numbers the instructions. Needs mir_order, mir_dce. */
void mir_live(struct mir_fn *fn);
static inline bool mir_set_has(const uint64_t *s, uint32_t n)
{
	return s[n / 64] >> (n % 64) & 1;
}
static inline void mir_set_add(uint64_t *s, uint32_t n)
{
	s[n / 64] |= 1ull << (n % 64);
}
/* regalloc.c: gives every register its place; false if the stack does not suffice. */
bool mir_regalloc(struct mir_fn *fn);
/*
 * slots.c: stack slots of spilled registers lie behind the first `base` bytes of the frame, as few
 * as will do; so do those where cold calls keep registers.
 */
void mir_merge_slots(struct mir_fn *fn, int32_t base);
/* encode.c: writes the instructions; false if a jump does not reach its target. */
bool mir_encode(struct mir_fn *fn, struct obj_file *o, struct obj_fn *out);

#endif
