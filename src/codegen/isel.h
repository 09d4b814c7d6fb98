/* SPDX-License-Identifier: GPL-2.0-or-later */
/* isel: what the files of instruction selection share; private to this folder. */
#ifndef N2B_ISEL_H
#define N2B_ISEL_H

#include "mir.h"

struct tabset;

/*
 * The value of a mutable set's element: when it expires (ns of bpf_ktime_get_ns(), 0: never), its
 * data in words (of a verdict map: the verdict's index), then a state for each stateful expression,
 * each at a multiple of 8: packets and bytes of a counter, 8 bytes of any other.
 */
#define EL_DATA 8
struct set_layout {
	uint32_t key_size, value_size, data_words;
	bool lpm;      /* key: u32 number of bits, then the key */
	bool index;    /* key: number of the element, which an index finds (setindex.h) */
	bool catchall; /* there is a map for a catch-all element */
	bool timeouts; /* expiry must be looked at */
	struct expr **exprs;
	uint32_t n_exprs;
	uint32_t expr_off; /* of the first state */
};
struct set_layout cg_set_layout(const struct set *s);

#define CG_COUNT_FN UINT32_MAX

/* The module being generated: which maps its states and sets have become. */
struct cg {
	struct ir_mod *m;
	struct obj_file *o;
	/*
	 * Of counters, of other states (limit, quota, last, numgen), of programs that follow
	 * others: made when first wanted.
	 */
	struct obj_map *counters, *others, *nexts;
	uint32_t counters_map, others_map, nexts_map; /* in o->maps */
	VEC(struct tabset *) tabs;		      /* by set: what is known of constant ones */
	struct arena *tmp;			      /* machine code of the function at hand */
	/* some function calls the one that counts: CG_COUNT_FN until all are there */
	bool counts_by_call;
	VEC(uint32_t) stuck; /* functions that found no place on the stack: without code */
	bool failed;
};

/* A packet address in parts, each 56 bytes behind the one before: as number and as pointer. */
#define PKT_STRIDE 56
#define PKT_PARTS  (IR_PKT_REACH / PKT_STRIDE)
struct pkt_part {
	uint32_t number, ptr; /* registers */
	uint32_t add;	      /* bytes from ptr to the part */
};

/* A test of skb->len that a packet address makes: base (NULL: 0) + k <= skb->len, else to out. */
struct len_guard {
	struct mir_block *out;
	struct ir_ins *base;
	uint64_t k;
};

#define CTX_SKB 8 /* offset in struct bpf_nf_ctx */

struct isel {
	struct arena *a;
	struct cg *cg;
	struct mir_fn *fn;
	struct ir_fn *ir;
	struct mir_block *cur; /* new instructions go to its end */
	const struct rule *rule;
	uint32_t *vreg;		/* by id of the IR instruction: its register; 0: none yet */
	uint32_t *uses;		/* by id of the IR instruction */
	struct mir_block **blk; /* by id of the IR block */
	struct pkt_part **pkts; /* by id of the pkt instruction */
	uint8_t *
		pkt_parts; /* by id of the pkt instruction and part: bytes that are read; 0: none */
	struct len_guard **guards; /* by id of the pkt instruction: the test left to it, or NULL */
	uint32_t net_reach;	   /* how far loads go through pointers to network headers */
	uint32_t ctx;
	/*
	 * by id of the IR block: packet registers known there; net: pointer to the network header
	 */
	uint32_t *headlen, *data, *skb, *len, *net;
	int64_t *net_least;    /* how long the linear part is at least where net points into it */
	int32_t scratch;       /* stack for keys of map lookups: offset, 0: none yet */
	uint32_t scratch_size; /* of the longest */
	int32_t value;	       /* stack for the value of a new element, 0: none yet */
	uint32_t value_size;
	/*
	 * The last address that was cast from a number, for a second load from it in the same
	 * block.
	 */
	uint32_t cast_base, cast_field, cast_ptr;
	struct mir_block *cast_blk;
	bool large; /* many tests: code shall be short */
	/*
	 * many tests, or many values that are tested again: the verifier shall learn nothing from
	 * them (iselcond.c)
	 */
	bool opaque;
};

/* -- isel.c: building blocks -- */
struct mir_ins *isel_ins(struct isel *s, enum mir_op op);
void isel_mov(struct isel *s, uint32_t d, uint32_t a);
void isel_movi(struct isel *s, uint32_t d, int32_t imm);
uint32_t isel_alu(struct isel *s, uint8_t bop, bool w32, uint32_t a, uint32_t b);
uint32_t isel_alui(struct isel *s, uint8_t bop, bool w32, uint32_t a, int64_t imm);
uint32_t isel_imm(struct isel *s, uint64_t v);
uint32_t isel_load(struct isel *s, uint32_t a, int32_t off, uint8_t size);
void isel_store(struct isel *s, uint32_t a, int32_t off, uint8_t size, uint32_t b);
void isel_storei(struct isel *s, uint32_t a, int32_t off, uint8_t size, int64_t imm);
void isel_jmp(struct isel *s, struct mir_block *to);
void isel_jcc(struct isel *s, uint8_t bop, bool w32, uint32_t a, uint32_t b, int64_t imm,
	      struct mir_block *t, struct mir_block *f);
/* The register that holds the value, made here if it is a constant or a condition. */
uint32_t isel_val(struct isel *s, struct ir_ins *i);
/* The same where only its low 32 bits are read. */
uint32_t isel_low(struct isel *s, struct ir_ins *i);
struct mir_ins *isel_call(struct isel *s, enum mir_op op, uint32_t n_args,
			  const struct mir_arg *args);
struct mir_arg isel_arg_val(struct isel *s, struct ir_ins *i);
/*
 * `size` bytes of stack for the key of one lookup, for the value of one element; all in the
 * function use the same.
 */
int32_t isel_scratch(struct isel *s, uint32_t size);
int32_t isel_value(struct isel *s, uint32_t size);
static inline struct mir_arg isel_arg_reg(uint32_t r)
{
	return (struct mir_arg){ .kind = MA_REG, .reg = r };
}
static inline struct mir_arg isel_arg_imm(int64_t v)
{
	return (struct mir_arg){ .kind = MA_IMM, .imm = v };
}
static inline struct mir_arg isel_arg_fp(int32_t off)
{
	return (struct mir_arg){ .kind = MA_FP, .imm = off };
}
static inline struct mir_arg isel_arg_map(uint32_t map)
{
	return (struct mir_arg){ .kind = MA_REL, .rel = { .kind = OBJ_REL_MAP, .id = map } };
}

/* -- iselcond.c: conditions -- */
uint32_t isel_bool(struct isel *s, struct ir_ins *c); /* 0 or 1 */
void isel_branch(struct isel *s, struct ir_ins *c, struct mir_block *t, struct mir_block *f);

/* -- iselmem.c: kernel structures, read-only data -- */
void isel_ldf(struct isel *s, struct ir_ins *i);
/* d = pointer to `bytes` bytes at the number */
void isel_cast(struct isel *s, uint32_t d, uint32_t number, uint32_t bytes);
uint32_t isel_load_field(struct isel *s, uint32_t base, enum ir_field f, uint8_t size);
void isel_ldro(struct isel *s, struct ir_ins *i);

/* -- iselpkt.c: packets -- */
void isel_pkt_scan(struct isel *s);
void isel_pkt(struct isel *s, struct ir_ins *i);
void isel_ldp(struct isel *s, struct ir_ins *i);
/* `size` bytes, from byte `at` on, of a load that has been made, loaded once more. */
uint32_t isel_ldp_again(struct isel *s, const struct ir_ins *i, uint32_t at, uint8_t size);
/*
 * A branch on the packet's length that guards an address: goes on to where that is asked for.
 * False: it is no such branch.
 */
bool isel_len_later(struct isel *s, const struct ir_ins *br, struct mir_block *const to[2]);

/* -- iselstate.c: counters, limits, the runtime -- */
void isel_state(struct isel *s, struct ir_ins *i);
/* Adds 8 bytes at p + off, atomically. */
void isel_xadd(struct isel *s, uint32_t p, int32_t off, uint32_t by);
bool isel_interrupted(const struct ir_fn *fn);
/* A call of a function of bpf/. */
uint32_t isel_runtime(struct isel *s, const char *name, uint32_t n_args,
		      const struct mir_arg *args);
uint32_t isel_helper(struct isel *s, int helper, uint32_t n_args, const struct mir_arg *args);
/* A test by the runtime of the state at p: the rule goes on (0 or 1). */
uint32_t isel_limit(struct isel *s, const struct expr *e, uint32_t p, struct ir_ins *len);
uint32_t isel_quota(struct isel *s, const struct expr *e, uint32_t p, struct ir_ins *len);
void isel_last(struct isel *s, uint32_t p);
/* The address of an element of an array map. */
uint32_t isel_array_elem(struct isel *s, uint32_t map, uint32_t index);
/* The same with a key at that place on the stack. */
uint32_t isel_array_elem_by(struct isel *s, uint32_t map, uint32_t index, int32_t key);

/* -- count.c: the function that counts, for large programs -- */
void cg_count_fn(struct cg *cg);

/* -- iselset.c: sets in maps -- */
/* Notes how much stack the instruction's key and value will want. */
void isel_room(struct isel *s, const struct ir_ins *i);
void isel_look(struct isel *s, struct ir_ins *i);
void isel_eldw(struct isel *s, struct ir_ins *i);
void isel_eltest(struct isel *s, struct ir_ins *i);
void isel_dynset(struct isel *s, struct ir_ins *i);

/* -- isel.c: a whole function; NULL after errors -- */
struct mir_fn *isel_fn(struct cg *cg, struct ir_fn *ir);

/* -- maps.c: the maps of states and sets -- */
/* Places for states and sets that the module has got since the last call. */
void cg_maps(struct cg *cg);
/* The element of the map of programs that leads to function `fn`. */
uint32_t cg_next(struct cg *cg, uint32_t fn, uint32_t *map);
/* -- tables.c: constant sets become read-only tables and the code that searches them -- */
void cg_tables(struct cg *cg, struct ir_fn *fn);

#endif
