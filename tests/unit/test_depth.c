// SPDX-License-Identifier: GPL-2.0-or-later
/* How deep frames and ways of calls are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "obj.h"

#define ST(off_)                                                                                   \
	{                                                                                          \
		.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 10, .off = off_                      \
	}
#define MOV(d, s)                                                                                  \
	{                                                                                          \
		.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = d, .src_reg = s                    \
	}
#define ADD(d, k)                                                                                  \
	{                                                                                          \
		.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = d, .imm = k                        \
	}
#define LOAD(d, s, off_)                                                                           \
	{                                                                                          \
		.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = d, .src_reg = s, .off = off_        \
	}
#define CALL                                                                                       \
	{                                                                                          \
		.code = BPF_JMP | BPF_CALL                                                         \
	}
#define EXIT                                                                                       \
	{                                                                                          \
		.code = BPF_JMP | BPF_EXIT                                                         \
	}

#define FRAME(...)                                                                                 \
	obj_frame((const struct bpf_insn[]){ __VA_ARGS__, EXIT },                                  \
		  ARRAY_SIZE(((const struct bpf_insn[]){ __VA_ARGS__, EXIT })))

static void frames_are_as_deep_as_what_is_named(void **state)
{
	assert_int_equal(FRAME(MOV(1, 2)), 0);
	assert_int_equal(FRAME(ST(-8), ST(-24), ST(-16)), 24);
	assert_int_equal(FRAME(LOAD(1, 10, -40)), 40);
	assert_int_equal(FRAME(MOV(2, 10), ADD(2, -64)), 64);
	assert_int_equal(FRAME(MOV(2, 10), ADD(2, -64), MOV(3, 2), LOAD(4, 3, 8)), 64);
	assert_int_equal(FRAME(MOV(2, 10), MOV(3, 2), LOAD(4, 3, -72)), 72);
	assert_int_equal(FRAME(ADD(2, -64), LOAD(3, 2, -80)), 0); /* no way into the frame */
	assert_int_equal(FRAME(MOV(2, 10), MOV(2, 3), ADD(2, -64)), 0);
	assert_int_equal(FRAME(MOV(2, 10), CALL, ADD(2, -64)), 0);
	assert_int_equal(FRAME(MOV(6, 10), CALL, ADD(6, -64)), 64);
}

static struct obj_fn *function(struct obj_file *o, bool prog, int16_t depth)
{
	struct obj_fn *fn = arena_new_of(o->arena, struct obj_fn);

	fn->name = "f";
	fn->is_prog = prog;
	*vec_push(o->arena, &fn->insns) = (struct bpf_insn)ST(-depth);
	*vec_push(o->arena, &o->fns) = fn;
	return fn;
}

static void calls(struct obj_file *o, struct obj_fn *fn, struct obj_reloc rel)
{
	*vec_push(o->arena, &fn->insns) = (struct bpf_insn)CALL;
	rel.insn = fn->insns.n - 1;
	*vec_push(o->arena, &fn->relocs) = rel;
}

static void ways_add_up(void **state)
{
	struct obj_file o = { .arena = arena_new() };
	struct obj_fn *prog = function(&o, true, 200), *mid = function(&o, false, 200);
	struct obj_overs over;

	function(&o, false, 24);
	calls(&o, prog, (struct obj_reloc){ .kind = OBJ_REL_CALL, .id = 1 });
	calls(&o, mid, (struct obj_reloc){ .kind = OBJ_REL_CALL, .id = 2 });
	assert_int_equal(obj_stack(&o).n, 0); /* 224 + 224 + 32 */
	calls(&o, mid, (struct obj_reloc){ .kind = OBJ_REL_RT, .name = "n2b_make" });
	over = obj_stack(&o); /* that and its callback: 64 */
	assert_int_equal(over.n, 0);
	calls(&o, mid, (struct obj_reloc){ .kind = OBJ_REL_RT, .name = "n2b_ip4_opt" });
	over = obj_stack(&o);
	assert_int_equal(over.n, 1);
	assert_true(over.v[0].bytes > 512);
	assert_int_equal(over.v[0].frames, 4);
	assert_int_equal(over.v[0].way.n, 2);
	assert_int_equal(over.v[0].way.v[1], 1);
	arena_free(o.arena);
}

static void frames_are_counted(void **state)
{
	struct obj_file o = { .arena = arena_new() };
	struct obj_overs over;

	for (uint32_t k = 0; k < 9; k++) {
		struct obj_fn *fn = function(&o, !k, 8);

		if (k < 8)
			calls(&o, fn, (struct obj_reloc){ .kind = OBJ_REL_CALL, .id = k + 1 });
	}
	over = obj_stack(&o);
	assert_int_equal(over.n, 1);
	assert_int_equal(over.v[0].frames, 9);
	assert_int_equal(over.v[0].bytes, 9 * 32);
	arena_free(o.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_as_deep_as_what_is_named),
		cmocka_unit_test(ways_add_up),
		cmocka_unit_test(frames_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
