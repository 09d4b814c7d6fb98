// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * count: the function that counts a packet, for programs with many counters.
 *
 * A counter in place is a dozen instructions, of which the kernel patches some, each time moving
 * all behind them: a thousand counters take seconds to load. Large functions call this one instead,
 * which is verified once. It adds as programs that may be interrupted must (isel_interrupted).
 */
#include "isel.h"

void cg_count_fn(struct cg *cg)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 10, .src_reg = 1, .off = -4 },
		{ .code = BPF_ALU | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 2 },
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1 },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 3 },
		{ .code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 1 },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW,
		  .dst_reg = 0,
		  .src_reg = 1,
		  .imm = BPF_ADD },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW,
		  .dst_reg = 0,
		  .src_reg = 6,
		  .off = 8,
		  .imm = BPF_ADD },
		{ .code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct arena *a = cg->o->arena;
	struct obj_fn *fn = arena_new_of(a, struct obj_fn);

	fn->name = "n2b_counter";
	fn->is_global = true;
	fn->n_numbers = 2;
	for (uint32_t k = 0; k < ARRAY_SIZE(code); k++)
		*vec_push(a, &fn->insns) = code[k];
	*vec_push(a, &fn->relocs) =
		(struct obj_reloc){ .insn = 2, .kind = OBJ_REL_MAP, .id = cg->counters_map };
	*vec_push(a, &fn->lines) =
		(struct obj_line){ .file = "ruleset", .text = "counter", .line = 1 };
	*vec_push(a, &cg->o->fns) = fn;
}
