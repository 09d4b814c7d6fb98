/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the passes share: their names, and questions about values that several of them ask. */
#ifndef N2B_PASS_H
#define N2B_PASS_H

#include "ir.h"

/* Each pass does its whole function; what it needs and keeps stands in pass.def. */
#define P(name, letter, levels, needs, keeps, what) void opt_##name(struct ir_fn *fn);
#include "pass.def"
#undef P

struct opt_pass {
	const char *name;
	char letter;
	uint8_t levels, needs, keeps;
	const char *what;
	void (*run)(struct ir_fn *fn);
};
extern const struct opt_pass opt_passes[];
extern const uint32_t opt_n_passes;
/*
 * Runs one pass: brings about what it needs, sweeps behind it. With check: verifies, and that it
 * kept what it claims.
 */
void opt_run_pass(struct ir_mod *m, const struct opt_pass *p, bool check);

/* onebr leaves functions with fewer tests alone; tests lower it. */
extern uint32_t opt_onebr_min;

/* The value of a pure ALU op or comparison for constant operands; false: not such an op. */
bool ir_eval(enum ir_op op, enum ir_type t, const uint64_t *args, uint64_t *out);
/* The greatest value that i can have, from its definition alone. */
uint64_t ir_umax(const struct ir_ins *i);
enum ir_op ir_inverse_cmp(enum ir_op op); /* EQ: NE ... */
enum ir_op ir_swapped_cmp(enum ir_op op); /* ULT: UGT ... */

/*
 * A test of the packet's length: true iff *base + *k <= *len, base NULL for 0. False: i is none.
 * Offsets into the packet are less than 2^16 (ops.def), so base + k does not wrap.
 */
struct length_test {
	struct ir_ins *base, *len;
	uint64_t k;
	bool negated; /* i is true iff the packet is too short */
};
bool ir_length_test(const struct ir_ins *i, struct length_test *t);

/* A block that holds its terminator alone. */
static inline bool ir_is_bare(const struct ir_block *b)
{
	return b->first == b->last;
}
/*
 * The s-th edge of b now skips succs[s], whose s2-th edge it takes over: phis of the target get the
 * operand they had from it.
 */
void ir_edge_skip(struct ir_block *b, uint32_t s, uint32_t s2);

/*
 * A chain of tests: blocks in a row of which each leaves to the same block (the next rule) unless
 * its test is passed. The first may do anything before its test; the others only test, and are
 * reached in no other way.
 */
#define CHAIN_MAX 16
struct test_chain {
	struct ir_block *blk[CHAIN_MAX];
	struct ir_ins *cond[CHAIN_MAX];
	bool stay[CHAIN_MAX]; /* the value of cond that stays in the chain */
	uint32_t n;
	struct ir_block *out;
};
/* False: b does not start a chain of two tests or more. */
bool ir_test_chain(struct ir_block *b, struct test_chain *c);
/* The k-th test (not the first) no longer decides: its block leads straight on. */
void ir_chain_drop(struct test_chain *c, uint32_t k);
/* The k-th block tests cond from now on: staying if it is `stay`. */
void ir_chain_set(struct test_chain *c, uint32_t k, struct ir_ins *cond, bool stay);
/* A pure operation before the terminator of the chain's k-th block. */
struct ir_ins *ir_chain_op(struct test_chain *c, uint32_t k, enum ir_op op, enum ir_type t,
			   struct ir_ins *a, struct ir_ins *b);

#endif
