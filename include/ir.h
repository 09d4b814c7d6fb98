/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ir: the compiler's intermediate representation, in SSA form.
 *
 * A module holds one function for each program (a base chain for one protocol family) and one for
 * each chain that is shared by a call; and what the code refers to by number: sets, states
 * (counters, limits ...), read-only tables, dynsets. Facts about operations stand in ops.def, about
 * kernel fields in fields.def, about runtime services in runtime.def.
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
	SIZE = 1024,
};
/* What the AUX operand numbers: bits 12 to 14 of the flags. */
enum ir_aux_kind { AK_NONE, AK_FIELD, AK_SET, AK_STATE, AK_DYNSET, AK_TABLE, AK_RT, AK_FN };
#define AUX_OF(kind)	(AUX | AK_##kind << 12)
#define IR_AUX_KIND(fl) ((enum ir_aux_kind)((fl) >> 12 & 7))

struct ir_op_info {
	const char *name;
	enum ir_type res;
	const char *args;
	uint32_t flags;
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

/* How many bytes behind a packet's address can be loaded. */
#define IR_PKT_REACH 224

/* Services of the runtime: AUX of RTP and RTE. */
enum ir_rt {
#define R(id, fn, res, n_args) RT_##id,
#include "runtime.def"
#undef R
	RT_COUNT
};

/*
 * One instruction; it is also the value that it yields. Constants (op IR_CONST) are one object for
 * each type and value in a function, and stand in no block: blk is NULL, and they dominate
 * everything.
 */
struct ir_ins {
	enum ir_op op;
	uint8_t type; /* enum ir_type of the result: V, B, W or L */
	uint8_t size; /* SIZE ops (LDP, LDRO): bytes loaded, 1 2 4 8 */
	uint32_t n_args;
	uint32_t id;  /* number in its function, for text and for side tables */
	uint32_t aux; /* AUX operand: field, set, state ... number */
	/*
	 * IMM operand; CONST: the value, zero-extended; LDF of a 16-byte field: byte offset in it
	 */
	int64_t imm;
	struct ir_ins **args;	    /* PHI: one for each predecessor, in the order of blk->preds */
	struct ir_block *blk;	    /* NULL: a constant, or not inserted */
	struct ir_ins *prev, *next; /* in its block */
	/* whose it is, for line information; NULL: the chain's frame (prologue, policy) */
	const struct rule *rule;
	void *tmp; /* for the pass that runs */
};

struct ir_block {
	uint32_t id;
	struct ir_fn *fn;
	struct ir_ins *first, *last; /* phis first; last is the terminator */
	VEC(struct ir_block *) preds;
	VEC(struct ir_block *) succs;
	VEC(int64_t) cases; /* SWITCH: values of succs 0..n-2 */
	uint32_t rpo;	    /* place in fn->blocks after ir_cfg() */
	/* Valid after ir_dominators(): */
	struct ir_block *idom; /* NULL: the entry */
	struct ir_block *dom_child,
		*dom_next; /* first child and next sibling in the dominator tree, in order of rpo */
	uint32_t dom_in, dom_out; /* numbers of its walk; depth from 0 */
	uint32_t dom_depth;
	bool cold;
	void *tmp;
};

/* NEXT: a program that only `tail` leads to; a chain's function is called. */
enum ir_fn_kind { IR_FN_PROG, IR_FN_CHAIN, IR_FN_NEXT };
struct ir_fn {
	struct ir_mod *mod;
	struct arena *arena; /* of its blocks and instructions */
	enum ir_fn_kind kind;
	uint32_t index;	  /* in mod->fns; CALL's aux */
	const char *name; /* C identifier, unique in the module */
	uint8_t pf;	  /* FAM_IP or FAM_IP6 */
	const struct chain *chain;
	enum hooknum hook; /* programs */
	int32_t prio;
	VEC(struct ir_block *)
	blocks; /* [0] is the entry; after ir_cfg() in reverse post-order, the unreachable gone */
	uint32_t size; /* builder: the verifier's steps, about, those of callees included */
	uint32_t prog; /* builder: which program of the plan it is, or serves */
	bool sparing;  /* stack is dear: loads are made anew rather than kept */
	uint32_t n_ins, n_blocks; /* ids given out */
	/*
	 * What holds since the last ir_cfg() and ir_dominators(), which do nothing while it does;
	 * every change of edges by the functions below ends it. Who changes succs or preds by hand
	 * clears both.
	 */
	bool cfg_valid, dom_valid;
	bool has_copies;	/* ir_replace() left some: ir_sweep() has work */
	struct ir_ins **consts; /* open-addressed by type and value */
	uint32_t n_consts, cap_consts;
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
	bool straight; /* constant: searched without branches, however few its elements */
	/*
	 * Verdict maps: the verdicts that its elements hold, each once; ELDW/CELDW word 0 is an
	 * index into it.
	 */
	VEC(struct verdict) verdicts;
	/* Object maps: all objects of that kind that the table has; word 0 is an index into it. */
	VEC(const struct obj *) objs;
};
/* Words of data that an element has. */
uint32_t ir_set_words(const struct set *s);
/* Word 0 of an element of a verdict or object map. */
uint32_t ir_set_index(const struct ir_set *is, const struct set_elem *e);

struct ir_dynset {
	const struct expr *expr;
	const struct rule *rule;
	uint32_t set; /* in mod->sets */
};

/*
 * A read-only table made by a pass (perfect hash, sorted keys, bit map ...): bytes, padded to a
 * power of two for LDRO.
 */
struct ir_table {
	const char *name;
	uint8_t *bytes;
	uint32_t len, align;
};

/* What became of a rule, over all the places where it was lowered. */
struct ir_note {
	uint32_t lowered, shadowed;
	const struct rule *by;	   /* a rule that shadows it */
	const struct rule *lookup; /* the first rule of the look-up that it is part of, last seen */
	uint32_t n_lookup;	   /* rules of that */
};

struct ir_mod {
	struct arena *arena;
	struct strmap notes; /* address of the rule -> struct ir_note */
	struct diag *diag;
	VEC(struct ir_fn *) fns;
	VEC(struct ir_set) sets;
	VEC(struct ir_state) states;
	VEC(struct ir_dynset) dynsets;
	VEC(struct ir_table) tables;
	VEC(uint32_t)
	too_large;   /* programs of the plan that the builder gave up: too many copies of chains */
	bool unfuse; /* base chains that the plan has in one program are too large for one */
};

/* -- building (build.c of this folder: ir_build) ----------------------------------------------- */

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
/* Terminators that no edge leaves. */
static inline bool ir_is_last(enum ir_op op)
{
	return op == IR_RET || op == IR_TAIL;
}
struct ir_ins *ir_ldf(struct ir_cur *c, enum ir_field f, struct ir_ins *base,
		      int64_t off); /* type by the field's size */
struct ir_ins *ir_ldp(struct ir_cur *c, struct ir_ins *pkt, int64_t off, uint8_t size);
void ir_jmp(struct ir_cur *c, struct ir_block *to);
void ir_br(struct ir_cur *c, struct ir_ins *cond, struct ir_block *t, struct ir_block *f);
void ir_ret(struct ir_cur *c, uint32_t verdict);
/* succs: n_cases targets, then the default; the values of the cases in `cases`. */
void ir_switch(struct ir_cur *c, struct ir_ins *v, uint32_t n_cases, const int64_t *cases,
	       struct ir_block *const *targets, struct ir_block *dflt);

/* For passes. A new instruction is in no block yet, and has room for n_args operands. */
struct ir_ins *ir_ins_new(struct ir_fn *fn, enum ir_op op, enum ir_type t, uint32_t n_args);
struct ir_ins *ir_fn_const(struct ir_fn *fn, enum ir_type t, uint64_t v);
void ir_append(struct ir_block *b, struct ir_ins *i);
void ir_insert_before(struct ir_ins *at, struct ir_ins *i);
void ir_remove(struct ir_ins *i); /* from its block */
/*
 * Every use of old in the function becomes one of by: old turns into `copy by` at once, and the
 * uses follow when ir_sweep() walks the function; until then ir_val() sees through copies.
 */
void ir_replace(struct ir_fn *fn, struct ir_ins *old, struct ir_ins *by);
void ir_sweep(struct ir_fn *fn); /* all copies gone, from operands and blocks */
static inline struct ir_ins *ir_val(struct ir_ins *i)
{
	while (i->op == IR_COPY)
		i = i->args[0];
	return i;
}
static inline bool ir_is_const(const struct ir_ins *i, uint64_t v)
{
	return i->op == IR_CONST && (uint64_t)i->imm == v;
}
static inline void ir_cfg_changed(struct ir_fn *fn)
{
	fn->cfg_valid = fn->dom_valid = false;
}
uint64_t ir_type_mask(enum ir_type t); /* 1, 2^32 - 1, 2^64 - 1 */

/* An edge more: the phis of `to` get NULL as operand, which the caller fills. */
void ir_edge_add(struct ir_block *from, struct ir_block *to);
/* One edge less, with the phis of `to`; the terminator of `from` is the caller's business. */
void ir_edge_remove(struct ir_block *from, struct ir_block *to);
/* The s-th edge of `from` leads to `to` from now on. */
void ir_edge_move(struct ir_block *from, uint32_t s, struct ir_block *to);
/* The terminator of b becomes `jmp succs[s]`; the other edges go. */
void ir_make_jmp(struct ir_block *b, uint32_t s);
uint32_t ir_pred_index(const struct ir_block *b, const struct ir_block *pred); /* the first */

/* Blocks in reverse post-order; the unreachable gone, with their edges. */
void ir_cfg(struct ir_fn *fn);
void ir_dominators(struct ir_fn *fn); /* needs ir_cfg */
bool ir_dominates(const struct ir_block *a, const struct ir_block *b);

/* -- text, checks, passes ---------------------------------------------------------------------- */

void ir_print(const struct ir_mod *m, FILE *f);
void ir_print_fn(const struct ir_fn *fn, FILE *f);
/* Reads what ir_print wrote (sets, states and tables included); NULL after errors. */
struct ir_mod *ir_parse(struct arena *a, struct diag *d, const char *path, const char *text,
			size_t len);
/* Checks every rule of the IR; the first fault's words, or NULL. */
const char *ir_verify(const struct ir_mod *m);
const char *ir_verify_fn(struct ir_fn *fn);
/* What functions refer to alone: sets, states, dynsets, and that no function calls itself. */
const char *ir_verify_mod(const struct ir_mod *m);

enum opt_level { OPT_O0, OPT_O1, OPT_O2 };
/*
 * Runs the passes of pass.def for the level; with -d letters dumps; verifies after each when
 * `check` is set.
 */
void opt_run(struct ir_mod *m, enum opt_level level, bool check);
void opt_run_fn(struct ir_fn *fn, enum opt_level level, bool check);

#endif
