// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The IR's frame: order and dominators of odd graphs and of deep ones, what the reader refuses and
 * where, what the verifier sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ir.h"

struct world {
	struct arena *a;
	struct diag d;
	struct ir_mod *m;
};

static void open_world(struct world *w)
{
	w->a = arena_new();
	diag_init(&w->d, w->a);
	w->m = ir_mod_new(w->a, &w->d);
}

static struct ir_mod *read_text(struct world *w, const char *s)
{
	return ir_parse(w->a, &w->d, "t.ir", s, strlen(s));
}

/* -- order and dominators ---------------------------------------------------------------------- */

/*
 * A random graph with loops; its dominators by the definition: a dominates b if b cannot be reached
 * without a.
 */
static bool reaches_without(struct ir_fn *fn, const struct ir_block *to,
			    const struct ir_block * not )
{
	struct ir_block *work[64];
	bool seen[64] = { false };
	uint32_t n = 0;

	if (fn->blocks.v[0] == not )
		return false;
	work[n++] = fn->blocks.v[0];
	seen[0] = true;
	while (n) {
		struct ir_block *b = work[--n];

		if (b == to)
			return true;
		vec_foreach(&b->succs, s)
			if (*s != not &&!seen[(*s)->rpo]) {
				seen[(*s)->rpo] = true;
				work[n++] = *s;
			}
	}
	return false;
}

static void test_dominators(void **state)
{
	srand(7);
	for (int round = 0; round < 400; round++) {
		struct world w;
		struct ir_cur c = { 0 };
		struct ir_block *b[24];
		uint32_t n = 2 + (uint32_t)rand() % 22;
		const char *fault;

		open_world(&w);
		c.fn = ir_fn_new(w.m, IR_FN_PROG, "f");
		for (uint32_t i = 0; i < n; i++)
			b[i] = ir_block_new(c.fn);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t kind = (uint32_t)rand() % 4;

			c.blk = b[i];
			if (kind == 0)
				ir_ret(&c, 0);
			else if (kind == 1)
				ir_jmp(&c, b[1 + (uint32_t)rand() % (n - 1)]);
			else
				ir_br(&c, ir_const(&c, IR_B, 1), b[1 + (uint32_t)rand() % (n - 1)],
				      b[1 + (uint32_t)rand() % (n - 1)]);
		}
		ir_cfg(c.fn);
		ir_dominators(c.fn);
		fault = ir_verify_fn(c.fn);
		assert_true(!fault || strstr(fault, "in a loop"));
		for (uint32_t i = 0; i < c.fn->blocks.n; i++)
			for (uint32_t k = 0; k < c.fn->blocks.n; k++) {
				struct ir_block *x = c.fn->blocks.v[i], *y = c.fn->blocks.v[k];
				bool dom = x == y || !reaches_without(c.fn, y, x);

				assert_int_equal(ir_dominates(x, y), dom);
			}
		arena_free(w.a);
	}
}

/* 200,000 blocks that all lead to one: neither deep recursion nor quadratic time. */
static void test_deep_graph(void **state)
{
	struct world w;
	struct ir_cur c = { 0 };
	struct ir_block *end, *b;

	open_world(&w);
	c.fn = ir_fn_new(w.m, IR_FN_PROG, "f");
	c.blk = ir_block_new(c.fn);
	end = ir_block_new(c.fn);
	for (int i = 0; i < 200000; i++) {
		b = ir_block_new(c.fn);
		ir_br(&c, ir_const(&c, IR_B, 1), end, b);
		c.blk = b;
	}
	ir_ret(&c, 0);
	c.blk = end;
	ir_ret(&c, 1);
	ir_cfg(c.fn);
	ir_dominators(c.fn);
	assert_int_equal(c.fn->blocks.n, 200002);
	assert_ptr_equal(end->idom, c.fn->blocks.v[0]);
	assert_int_equal(b->dom_depth, 200000);
	assert_null(ir_verify_fn(c.fn));
	opt_run(w.m, OPT_O2, false);
	assert_int_equal(c.fn->blocks.n, 1);
	arena_free(w.a);
}

static void test_unreachable(void **state)
{
	struct world w;
	struct ir_cur c = { 0 };
	struct ir_block *dead, *end;
	struct ir_ins *phi;

	open_world(&w);
	c.fn = ir_fn_new(w.m, IR_FN_PROG, "f");
	c.blk = ir_block_new(c.fn);
	dead = ir_block_new(c.fn);
	end = ir_block_new(c.fn);
	ir_jmp(&c, end);
	c.blk = dead;
	ir_jmp(&c, end);
	c.blk = end;
	phi = ir_emit2(&c, IR_PHI, IR_W, ir_const(&c, IR_W, 1), ir_const(&c, IR_W, 2));
	ir_emit1(&c, IR_RET, IR_V, phi);
	ir_cfg(c.fn);
	assert_int_equal(c.fn->blocks.n, 2);
	assert_int_equal(end->preds.n, 1);
	assert_int_equal(phi->n_args, 1);
	assert_true(ir_is_const(phi->args[0], 1));
	assert_null(ir_verify_fn(c.fn));
	arena_free(w.a);
}

/* -- reading ----------------------------------------------------------------------------------- */

#define FN "function 0 program \"f\" pf 2 hook 1 prio 0 {\n"

static void expect_error(const char *text, uint32_t line, uint32_t col, const char *words)
{
	struct world w;

	open_world(&w);
	assert_null(read_text(&w, text));
	assert_true(w.d.recs.n > 0);
	if (line)
		assert_int_equal(w.d.recs.v[0].loc.line, line);
	if (line)
		assert_int_equal(w.d.recs.v[0].loc.col, col);
	if (!strstr(w.d.recs.v[0].text, words))
		fail_msg("'%s' is not in '%s'", words, w.d.recs.v[0].text);
	arena_free(w.a);
}

static void test_reader_errors(void **state)
{
	expect_error("nonsense\n", 1, 1, "expected");
	expect_error("table 1 family 2 \"t\"\n", 1, 7, "number 0 expected");
	expect_error("table 0 family 4 \"t\"\n", 0, 0, "no family has the number 4");
	expect_error("table 0 family 2 \"t\n", 1, 18, "no end");
	expect_error(FN "@0:\n\t%0 = frob\n}\n", 3, 7, "no operation 'frob'");
	expect_error(FN "@0:\n\t%0 = add 1, 2\n}\n", 3, 7, "needs a type");
	expect_error(FN "@0:\n\tret %7\n}\n", 3, 6, "%7 is not defined");
	expect_error(FN "@0:\n\t%0 = ctx\n\t%0 = ctx\n", 0, 0, "defined twice");
	expect_error(FN "@0:\n\t%0 = ldf.w skb_frob 1.l\n", 3, 13, "no field");
	expect_error(FN "@0:\n\tret 0x100000000\n}\n", 3, 6, "does not fit");
	expect_error("data 0 \"x\" align 8 {\n", 0, 0, "'}' expected");
	expect_error("table 0 family 2 \"t\"\nset 0 const table 0 \"s\" {\n", 0, 0, "'}' expected");
	expect_error(FN "@0:\n\tjmp @1\n}\n", 0, 0, "missing");
	expect_error(FN "@0:\n\tret 0\n", 0, 0, "'}' expected");
	expect_error(FN "@0:\n\tjmp @1\n@1:\n\t%1 = phi.w @1 3\n\tret 0\n}\n", 0, 0,
		     "phi names other");
	expect_error("table 0 family 2 \"t\"\nset 0 const table 0 \"s\" key 4 0 fields 1 4 "
		     "{\n\telem x00\n}\n",
		     0, 0, "key has 1 bytes");
}

static void test_verifier(void **state)
{
	expect_error(FN "@0:\n\tret 2\n}\n", 0, 0, "verdict 2");
	expect_error(FN "@0:\n\t%0 = add.w 1, 2.l\n\tret %0\n}\n", 0, 0, "type L, W wanted");
	expect_error(FN "@0:\n\t%0 = not 1\n\tret 0\n}\n", 0, 0, "type W, B wanted");
	expect_error(FN "@0:\n\tcount state0 1\n\tret 0\n}\n", 0, 0, "number 0 of 0");
	expect_error(FN "@0:\n\t%0 = pkt 0 +0\n\tret 0\n}\n", 0, 0, "length 0");
	expect_error(FN "@0:\n\t%0 = add.w %1, 1\n\t%1 = add.w %0, 1\n\tret 0\n}\n", 0, 0,
		     "does not dominate");
	expect_error(
		FN "@0:\n\tbr 1.b, @1, @2\n@1:\n\t%0 = numgen state0\n\tret 0\n@2:\n\tret %0\n}\n",
		0, 0, "number 0 of 0");
	expect_error(FN "@0:\n\tbr 1.b, @1, @2\n@1:\n\t%0 = ctx\n\tret 0\n@2:\n\t%1 = trunc "
			"%0\n\tret %1\n}\n",
		     0, 0, "does not dominate");
	expect_error(FN "@0:\n\tjmp @0\n}\n", 0, 0, "entry has predecessors");
	expect_error(FN "@0:\n\tret 0\n@1:\n\tret 1\n}\n", 0, 0, "cannot be reached");
	expect_error(FN "@0:\n\tjmp @1\n@1:\n\tjmp @1\n}\n", 0, 0, "in a loop");
	expect_error(FN "@0:\n\t%0 = add.b 1.b, 1.b\n\tret 0\n}\n", 0, 0, "cannot be of bits");
	expect_error(FN "@0:\n\t%0 = ldp.w 1.l +0 size 4\n\tret 0\n}\n", 0, 0, "no packet address");
	expect_error(FN "@0:\n\t%0 = pkt 0 +8\n\t%1 = ldp.w %0 +6 size 4\n\tret 0\n}\n", 0, 0,
		     "byte 6 of 8");
	expect_error(
		FN "@0:\n\t%0 = copy.l %1\n\t%1 = copy.l %0\n\t%2 = ldp.w %0 size 1\n\tret 0\n}\n",
		0, 0, "no packet address");
	expect_error(FN "@0:\n\t%0 = pkt 0 +8\n\t%1 = ldf.w skb_len %0\n\tret 0\n}\n", 0, 0,
		     "packet address, which only ldp takes");
	expect_error(FN "@0:\n\t%0 = rtp.l rt0 1\n\tret 0\n}\n", 0, 0, "1 operands, 0 wanted");
	expect_error(FN "@0:\n\t%0 = rtp.w rt0\n\tret 0\n}\n", 0, 0, "type W, L wanted");
	expect_error(
		"function 0 chain \"c\" pf 2 hook 1 prio 0 {\n@0:\n\t%0 = call fn0\n\tret %0\n}\n",
		0, 0, "calls itself");
}

#define SET(kind, rest) "table 0 family 2 \"t\"\nset 0 " kind " table 0 \"s\" " rest "\n"

/* What functions refer to. */
static void test_items(void **state)
{
	expect_error("state 0 limit expr limit 0 1 5 0 0\n", 0, 0, "a limit of 0");
	expect_error("state 0 numgen expr numgen 0 0 0\n", 0, 0, "modulo 0");
	expect_error("state 0 quota\n", 0, 0, "quota without expr");
	expect_error("state 0 counter expr last 0 0\n", 0, 0, "of another kind");
	expect_error("state 0 counter\n" FN "@0:\n\tlast state0\n\tret 0\n}\n", 0, 0,
		     "state 0 is of another kind");
	expect_error(SET("const", "key 0 0 {\n}"), 0, 0, "a key has 1 to 64 bytes");
	expect_error(SET("const", "key 8 0 fields 2 4 8 {\n}"), 0, 0, "do not make the key");
	expect_error(SET("const", "key 1 0 {\n\telem x01\n\telem x01\n}"), 0, 0, "the same key");
	expect_error(SET("const", "key 1 0 {\n\telem x02 to x01\n}"), 0, 0, "before it begins");
	expect_error(SET("mutable", "key 4 0 expr numgen 0 2 0 {\n}"), 0, 0, "no such state");
	expect_error(SET("mutable", "key 4 0 {\n}") FN "@0:\n\t%0 = look set0 1, 2\n\tret 0\n}\n",
		     0, 0, "2 words, 1 wanted");
	expect_error(SET("mutable", "key 4 0 {\n}") FN "@0:\n\t%0 = clook set0 1\n\tret 0\n}\n", 0,
		     0, "set 0 is mutable");
	expect_error(SET("mutable", "key 4 0 vmap {\n}") "dynset 0 set0 add 1 255\n", 0, 0,
		     "packets cannot fill");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dominators),  cmocka_unit_test(test_deep_graph),
		cmocka_unit_test(test_unreachable), cmocka_unit_test(test_reader_errors),
		cmocka_unit_test(test_verifier),    cmocka_unit_test(test_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
