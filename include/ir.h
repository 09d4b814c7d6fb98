/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ir: the compiler's intermediate representation, in SSA form.
 *
 * A module holds one function for each program (a base chain for one protocol family) and one for each chain that is shared by
 * a call; and what the code refers to by number: sets, states (counters, limits ...), read-only tables, dynsets. Facts about
 * operations stand in ops.def, about kernel fields in fields.def, about runtime services in runtime.def.
 */
#ifndef N2B_IR_H
#define N2B_IR_H

#include "base.h"
#include "ruleset.h"

enum ir_op {
#define X(op, name, res, args, flags) IR_##op,
#include "ops.def"
#undef X
	IR_OP_COUNT
};

enum ir_type { IR_V, IR_B, IR_W, IR_L, IR_T };

enum ir_op_flags {
	PURE = 1,
	READ = 2,
	EFF = 4,
	COMM = 8,
	ASSOC = 16,
	IDEM = 32,
	CMP = 64,
	TERM = 128,
	IMM = 256,
	AUX = 512,
};

struct ir_op_info {
	const char *name;
	enum ir_type res;
	const char *args;
	uint16_t flags;
};
extern const struct ir_op_info ir_op_info[IR_OP_COUNT];

enum ir_field {
#define F(id, st, path, size, base) FLD_##id,
#include "fields.def"
#undef F
	FLD_COUNT
};
enum ir_field_base { FB_CTX, FB_PTR, FB_RAW, FB_BITS };
struct ir_field_info {
	const char *name;      /* "skb_len": how IR text calls it */
	const char *st, *path; /* structure and member path in the kernel's BTF */
	uint8_t size;	       /* bytes; 16: two .l loads with IMM 0 and 8 */
	enum ir_field_base base;
};
extern const struct ir_field_info ir_field_info[FLD_COUNT];

/* One instruction; it is also the value that it yields. */
struct ir_ins {
	enum ir_op op;
	uint8_t type; /* enum ir_type of the result: V, B, W or L */
	uint8_t size; /* LDP, LDRO: bytes loaded, 1 2 4 8 */
	uint16_t n_args;
	uint32_t id;	      /* number in its function, for text and for side tables */
	uint32_t aux;	      /* AUX operand: field, set, state ... number */
	int64_t imm;	      /* IMM operand; LDF of a 16-byte field: byte offset in it */
	struct ir_ins **args; /* PHI: one for each predecessor, in the order of blk->preds */
	struct ir_block *blk;
	struct ir_ins *prev, *next; /* in its block */
	const struct rule *
		rule; /* whose it is, for line information; NULL: the chain's frame (prologue, policy) */
	void *tmp; /* for the pass that runs */
};

struct ir_block {
	uint32_t id;
	struct ir_fn *fn;
	struct ir_ins *first, *last; /* phis first; last is the terminator */
	VEC(struct ir_block *) preds;
	VEC(struct ir_block *) succs;
	VEC(int64_t) cases;    /* SWITCH: values of succs 0..n-2 */
	struct ir_block *idom; /* valid after ir_dominators() */
	uint32_t rpo;	       /* place in fn->blocks after ir_cfg() */
	bool cold;
	void *tmp;
};

enum ir_fn_kind { IR_FN_PROG, IR_FN_CHAIN };
struct ir_fn {
	struct ir_mod *mod;
	enum ir_fn_kind kind;
	uint32_t index;	  /* in mod->fns; CALL's aux */
	const char *name; /* C identifier, unique in the module */
	uint8_t pf;	  /* FAM_IP or FAM_IP6 */
	const struct chain *chain;
	enum hooknum hook; /* programs */
	int32_t prio;
	VEC(struct ir_block *)
	blocks; /* [0] is the entry; after ir_cfg() in reverse post-order, the unreachable gone */
	uint32_t n_ins, n_blocks; /* ids given out */
};

/* What a state number stands for. */
enum ir_state_kind { ST_COUNTER, ST_LIMIT, ST_QUOTA, ST_LAST, ST_NUMGEN };
struct ir_state {
	enum ir_state_kind kind;
	const struct expr *expr; /* parameters and initial values */
	const struct rule *rule; /* anonymous state: its rule ... */
	uint32_t expr_index;	 /* ... and the expression's index in it */
	const struct obj
		*obj; /* named object; else NULL. One state serves all programs that name it */
	const struct chain *policy_of; /* counter of a base chain's policy; else NULL */
};

/* A set as the code uses it. */
enum ir_set_kind { SK_CONST, SK_MUTABLE };
struct ir_set {
	const struct set *set;
	enum ir_set_kind kind;
	/* Verdict maps: the verdicts that its elements hold, each once; ELDW/CELDW word 0 is an index into it. */
	VEC(struct verdict) verdicts;
};

struct ir_dynset {
	const struct expr *expr;
	const struct rule *rule;
	uint32_t set; /* in mod->sets */
};

/* A read-only table made by a pass (perfect hash, sorted keys, bit map ...): bytes, padded to a power of two for LDRO. */
struct ir_table {
	const char *name;
	uint8_t *bytes;
	uint32_t len, align;
};

struct ir_mod {
	struct arena *arena;
	struct diag *diag;
	VEC(struct ir_fn *) fns;
	VEC(struct ir_set) sets;
	VEC(struct ir_state) states;
	VEC(struct ir_dynset) dynsets;
	VEC(struct ir_table) tables;
};

/* -- building (build.c of this folder: ir_build) ---------------------------------------------------------------- */

struct ir_mod *ir_mod_new(struct arena *a, struct diag *d);
struct ir_fn *ir_fn_new(struct ir_mod *m, enum ir_fn_kind kind, const char *name);
struct ir_block *ir_block_new(struct ir_fn *fn);
/* A cursor: where new instructions go (the end of blk) and whose they are. */
struct ir_cur {
	struct ir_fn *fn;
	struct ir_block *blk;
	const struct rule *rule;
};
struct ir_ins *ir_const(struct ir_cur *c, enum ir_type t, uint64_t v);
struct ir_ins *ir_emit(struct ir_cur *c, enum ir_op op, enum ir_type t, uint32_t n_args,
		       struct ir_ins *const *args);
struct ir_ins *ir_emit1(struct ir_cur *c, enum ir_op op, enum ir_type t, struct ir_ins *a);
struct ir_ins *ir_emit2(struct ir_cur *c, enum ir_op op, enum ir_type t, struct ir_ins *a,
			struct ir_ins *b);
struct ir_ins *ir_ldf(struct ir_cur *c, enum ir_field f, struct ir_ins *base,
		      int64_t off); /* type by the field's size */
struct ir_ins *ir_ldp(struct ir_cur *c, struct ir_ins *pkt, int64_t off, uint8_t size);
void ir_jmp(struct ir_cur *c, struct ir_block *to);
void ir_br(struct ir_cur *c, struct ir_ins *cond, struct ir_block *t, struct ir_block *f);
void ir_ret(struct ir_cur *c, uint32_t verdict);
/* Edges, uses, removal: for passes. */
void ir_replace(struct ir_fn *fn, struct ir_ins *old,
		struct ir_ins *by); /* every use in the function */
void ir_remove(struct ir_ins *i);
void ir_insert_before(struct ir_ins *at, struct ir_ins *i);
void ir_edge_remove(struct ir_block *from, struct ir_block *to); /* with the phis of `to` */
void ir_cfg(struct ir_fn *fn);	      /* order, predecessors' unreachable ones removed */
void ir_dominators(struct ir_fn *fn); /* needs ir_cfg */
bool ir_dominates(const struct ir_block *a, const struct ir_block *b);

/* -- text, checks, passes ---------------------------------------------------------------------------------------- */

void ir_print(const struct ir_mod *m, FILE *f);
void ir_print_fn(const struct ir_fn *fn, FILE *f);
/* Reads what ir_print wrote (sets, states and tables included); NULL after errors. */
struct ir_mod *ir_parse(struct arena *a, struct diag *d, const char *path, const char *text,
			size_t len);
/* Checks every rule of the IR; the first fault's words, or NULL. */
const char *ir_verify(const struct ir_mod *m);

enum opt_level { OPT_O0, OPT_O1, OPT_O2 };
/* Runs the passes of pass.def for the level; with -d letters dumps; verifies after each when `check` is set. */
void opt_run(struct ir_mod *m, enum opt_level level, bool check);

#endif
