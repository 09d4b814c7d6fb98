/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lower: what the files of the builder (build*.c) share: the state of one program's lowering, and
 * the registers.
 *
 * A rule is lowered as a straight line of blocks: the cursor stands where all its expressions so
 * far went on, an expression that may BREAK branches to `brk`, the entry of the next rule.
 * Registers hold values only within their rule, so no value made for a register ever needs a phi.
 */
#ifndef N2B_LOWER_H
#define N2B_LOWER_H

#include "build.h"

/*
 * A device's name as it lies in memory: what follows the NUL is whatever an older name left there.
 */
struct bname {
	struct ir_ins *raw[2];	 /* L: bytes 0-7, 8-15 */
	struct ir_ins *clean[2]; /* L: the same with all zero from the NUL on; NULL: not made yet */
};

enum breg_kind {
	BR_UNSET,   /* never written in this rule: reads as 0 (nf_tables refuses such rules) */
	BR_WORD,    /* word */
	BR_LOW,	    /* low half of `wide` (bytes 0-3 in memory), word made when asked for */
	BR_HIGH,    /* high half of `wide` */
	BR_NAME,    /* word `at` of a device's name */
	BR_CTSTATE, /* conntrack's state & mask, not made yet */
};

/* One 32-bit register of nf_tables. */
struct breg {
	enum breg_kind kind;
	struct ir_ins *word; /* NULL: not made yet */
	struct ir_ins *wide; /* BR_LOW, BR_HIGH: of type L */
	struct bname *name;  /* BR_NAME */
	uint8_t at;	     /* BR_NAME: word of the name, 0 to 3 */
	uint32_t mask;	     /* BR_CTSTATE */
};

/* What nf_tables knows of the transport header. */
struct binfo {
	struct ir_ins *proto; /* W */
	struct ir_ins *thoff; /* W: from the network header */
	/* W, IPv6: 2 known and no later fragment, 3 a later fragment, 0 or 1 unknown; NULL: IPv4 */
	struct ir_ins *flags;
};

/* A chain within one program: how often it is reached, and whether it becomes a function. */
struct bchain {
	uint32_t sites;	 /* jumps and gotos to it */
	uint32_t weight; /* expressions, those of chains inlined into it included */
	uint32_t height; /* calls nested below it */
	bool seen, weighed, call;
	struct ir_fn *fn; /* once asked for */
};

/*
 * A place in a program: the rule of a chain that is next there, and where it goes on when that
 * chain is over.
 */
struct bpos {
	const struct chain *chain;
	uint32_t next;
	struct bpos *up; /* NULL: the base chain's policy */
};

/* A program that goes on where another one was full. */
struct bnext {
	struct ir_fn *fn;
	struct bpos *at;
};

/* One program goes on as another: places in mod->fns. */
struct bway {
	uint32_t from, to;
};

struct bld {
	struct ir_mod *m;
	const struct build_opts *opts;
	const struct plan_prog *prog;
	struct strmap states; /* address of the expression or object -> state number + 1 */
	struct strmap sets;   /* address of the set -> set number + 1 */

	struct bchain *chains;	/* of the program at hand, by chain->index */
	VEC(struct bnext) todo; /* programs still to be filled */
	struct strmap nexts;	/* place -> program */
	VEC(struct bway) ways;
	uint32_t n_parts;
	uint32_t part_max, prog_max; /* of the program at hand; see build_part.c */
	const struct calls *calls;   /* and build_calls.c */
	uint32_t n_prog; /* of the plan: which program is at hand; of fused ones the first */

	struct ir_cur c;
	bool dead;		   /* nothing of this rule can be reached any more */
	struct ir_block *brk;	   /* next rule */
	struct ir_block *end;	   /* end of the chain at hand */
	struct ir_block *accepted; /* the next of fused programs; NULL: accept is final */
	struct bpos *pos;	   /* the chain at hand, next: the rule behind the one at hand */
	uint32_t level;		   /* chains lowered in place around it */
	uint32_t uncut;	  /* around it something that no part and no program may go on from */
	uint64_t callees; /* instructions of the functions that this one calls */
	const struct binfo *info; /* IPv6: packet information that holds here; NULL: none */
	struct breg regs[REG_WORDS];
};

/* -- which chains become functions (build_calls.c) --------------------------------------------- */

/* For the program at hand. False: it would grow without bound, however it is done. */
bool lower_choose_calls(struct bld *b);

/* -- registers and words (build_reg.c) --------------------------------------------------------- */

struct ir_ins *breg_get(struct bld *b, uint32_t w);
/* Registers w and w + 1 as one L value, first register low; NULL: they do not come from one. */
struct ir_ins *breg_pair(struct bld *b, uint32_t w);
void breg_set(struct bld *b, uint32_t w, struct ir_ins *word);
void breg_set_pair(struct bld *b, uint32_t w, struct ir_ins *wide);
void breg_set_name(struct bld *b, uint32_t w, struct ir_ins *lo, struct ir_ins *hi);

/* The bits that may be set in v. */
uint64_t bval_bits(const struct ir_ins *v);
struct ir_ins *bw(struct bld *b, uint32_t v); /* constants */
struct ir_ins *bl(struct bld *b, uint64_t v);
struct ir_ins *band(struct bld *b, struct ir_ins *v,
		    uint64_t mask); /* nothing when no bit is lost */
struct ir_ins *bop(struct bld *b, enum ir_op op, struct ir_ins *x,
		   struct ir_ins *y); /* typed as x */
struct ir_ins *bcond(struct bld *b, enum ir_op op, struct ir_ins *x, uint64_t y);
/* A call of the runtime, pure or (time, chance) not. */
struct ir_ins *brt(struct bld *b, bool pure, enum ir_rt fn, uint32_t n, struct ir_ins *const *args);
/* A call whose result is there if it has bit 32, else BREAK: its low half. */
struct ir_ins *brt_found(struct bld *b, enum ir_rt fn, uint32_t n, struct ir_ins *const *args);
struct ir_ins *bsel(struct bld *b, struct ir_ins *cond, struct ir_ins *x, struct ir_ins *y);
/* n bytes (at most 8) of data from byte off as memory holds them, zeros past its length. */
uint64_t bdata_mem(const struct data *d, uint32_t off, uint32_t n);

/* Goes on if cond, else BREAK. */
void btest(struct bld *b, struct ir_ins *cond);
void bbreak(struct bld *b);

/* -- expressions ------------------------------------------------------------------------------- */

void lower_cmp(struct bld *b, const struct expr *e);
void lower_range(struct bld *b, const struct expr *e);
void lower_bitwise(struct bld *b, const struct expr *e);
void lower_byteorder(struct bld *b, const struct expr *e);
void lower_payload(struct bld *b, const struct expr *e);
void lower_need(struct bld *b, const struct expr *e);
void lower_exthdr(struct bld *b, const struct expr *e);
void lower_inner(struct bld *b, const struct expr *e);
void lower_meta(struct bld *b, const struct expr *e);
void lower_rt(struct bld *b, const struct expr *e);
void lower_socket(struct bld *b, const struct expr *e);
void lower_xfrm(struct bld *b, const struct expr *e);
void lower_hash(struct bld *b, const struct expr *e);
void lower_ct(struct bld *b, const struct expr *e);
/* conntrack's state & mask as a word; and whether it equals v. */
struct ir_ins *lower_ct_state(struct bld *b, uint32_t mask);
struct ir_ins *lower_ct_state_eq(struct bld *b, uint32_t mask, uint32_t v);
/*
 * Whether an expression needs packet information; that information, made here or where the rule
 * began.
 */
bool expr_needs_info(const struct expr *e);
struct binfo lower_info(struct bld *b);
struct ir_ins *lower_skb(struct bld *b);
struct ir_ins *lower_skb_len(struct bld *b);

void lower_lookup(struct bld *b, const struct rule *r, const struct expr *e);
void lower_dynset(struct bld *b, const struct rule *r, const struct expr *e);
/* Counter, limit, quota, last, numgen and references to named ones. */
void lower_state(struct bld *b, const struct rule *r, uint32_t index, const struct expr *e);
void lower_objects(struct bld *b, const struct plan_prog *p);
uint32_t lower_state_number(struct bld *b, const struct ir_state *st, const void *key);
/* Too large for rows of bits: in maps even if constant. */
bool set_is_large(const struct set *s);
bool set_is_const(const struct set *s, const struct build_opts *o);

/* The number of the state that an expression of a rule keeps. */
uint32_t lower_state_of(struct bld *b, const struct rule *r, uint32_t index, const struct expr *e);

struct rule_act lower_act(const struct bld *b, const struct rule *r);
/* One expression of a rule; nothing behind it is reached when b->dead is set. */
void lower_expr(struct bld *b, const struct rule *r, uint32_t index, const struct expr *e);
/* To be called where a rule begins; n: how many of its expressions will be lowered. */
void lower_prepare(struct bld *b, const struct rule *r, uint32_t n);
/*
 * The rules of a chain from `from` on, from the cursor on; every way through them that is not final
 * ends at b->end. A part stops where the function is full; result: the rule behind the last.
 */
uint32_t lower_rules(struct bld *b, const struct chain *c, uint32_t from, bool part);
/* The rule, or the run of rules that begins with it; how many. */
struct dchain;
uint32_t lower_at(struct bld *b, struct dchain *dc, uint32_t at);

/* -- functions and their parts (build_part.c) -------------------------------------------------- */

struct ir_fn *lower_fn_new(struct bld *b, const struct chain *c, const char *name);
void lower_begin(struct bld *b, struct ir_fn *fn);
void lower_finish(struct bld *b);
/* Back to the function that was at hand before another one began. */
void lower_resume(struct bld *b, const struct bld *was);
struct ir_ins *lower_call(struct bld *b, const struct ir_fn *fn);
void lower_final(struct bld *b, struct ir_ins *r);
bool lower_is_full(const struct bld *b);
bool lower_is_heavy(const struct bld *b, const struct rule *r);
/* The rest of the chain at hand, from rule `at` on, in parts. */
void lower_limits(struct bld *b);
/* Whether no way leads through more programs than the kernel goes. */
bool lower_nexts_fit(struct bld *b);
void lower_cut(struct bld *b, struct dchain *dc, uint32_t at);
/* A program that goes on, up to where the policy is reached: there the cursor stands then. */
void lower_next(struct bld *b, const struct bnext *n);

/* A verdict ends the rule: jumps and gotos are lowered in place or called. */
void lower_verdict(struct bld *b, const struct verdict *v);

#endif
