/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * build: from the plan's programs (rules as kernel expressions) to SSA IR, and what of nf_tables it
 * can say in IR.
 *
 * The questions below are the only truth about what is lowered: whoever plans a program asks them,
 * and build_module() lowers every expression for which the answer was yes, wholly. All texts are
 * static, in words for users ("the link layer header").
 */
#ifndef N2B_BUILD_H
#define N2B_BUILD_H

#include "ir.h"
#include "plan.h"

/*
 * What a program that needs too much stack gives up for it, each step with those before it: values
 * kept for later (they are loaded anew); functions that call functions; functions, as far as copies
 * of the chains stay few.
 */
enum build_sparing { SPARING_NOT, SPARING_VALUES, SPARING_NESTING, SPARING_CALLS };

struct build_opts {
	bool static_sets; /* --static: named sets do not change; they become read-only data */
	bool dispatch;	  /* runs of rules become lookups (-O2) */
	bool plain;	  /* no passes will run (-O0) */
	/*
	 * Is handed each function when it is complete, with `arg`; how many steps it takes the
	 * verifier. The function's IR ends with the call. NULL: the module keeps its functions.
	 */
	uint32_t (*done)(void *arg, struct ir_fn *fn);
	void *arg;
};

/*
 * Whether the expression can be lowered in programs of that base chain (any chain that it reaches
 * included). No: *why says what is missing. An expression with a set, an object or inner
 * expressions answers for these too.
 */
bool build_can_lower(const struct expr *e, const struct chain *base, const char **why);
/*
 * The same for a whole set (its keys, data, the stateful expressions of its elements) and for an
 * object.
 */
bool build_can_lower_set(const struct set *s, const char **why);
bool build_can_lower_obj(const struct obj *o, const char **why);

/*
 * One function for each program of the plan, for chains shared by calls, for the parts of large
 * chains; programs that are too large go on as others.
 */
struct ir_mod *build_module(struct arena *a, struct diag *d, const struct plan *plan,
			    const struct build_opts *o);
/* The same into a module that is there. */
void build_into(struct ir_mod *m, const struct plan *plan, const struct build_opts *o);

/*
 * IR instructions of a function, instructions of a program, before it goes on elsewhere; tests
 * lower them.
 */
extern uint32_t build_part_max, build_prog_max;
/* Rules are classified together whether it pays or not; for tests. */
extern bool build_mix_any;
/*
 * So many rules may be better searched by shape than classified; 1, for tests: whether it pays or
 * not.
 */
extern uint32_t build_many;

#endif
