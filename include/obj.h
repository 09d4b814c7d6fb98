/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * obj: what the code generator hands to the object writer, and the writer's entry point.
 *
 * An obj holds BPF instructions with symbolic relocations, maps, read-only data and line
 * information; obj_write() turns it into an ELF file that libbpf (1.3 and later) and bpftool load,
 * joined with the runtime of bpf/. Same obj, same bytes.
 */
#ifndef N2B_OBJ_H
#define N2B_OBJ_H

#include <linux/bpf.h>

#include "base.h"

struct rule;

enum obj_rel_kind {
	OBJ_REL_MAP, /* ld_imm64: address of map `id` (obj->maps) */
	/* ld_imm64: address of byte `addend` of read-only blob `id` (obj->rodata) */
	OBJ_REL_RODATA,
	OBJ_REL_CALL,  /* call: function `id` (obj->fns) */
	OBJ_REL_FN,    /* ld_imm64: function `id`, for helpers that call it back */
	OBJ_REL_ELEMS, /* ld_imm64: address of byte `addend` of obj->elems */
	OBJ_REL_WORDS, /* ld_imm64: address of word `addend` of .data: enum obj_word */
	OBJ_REL_RT,    /* call: runtime function `name` of bpf/ */
	OBJ_REL_KFUNC, /* call: kernel function `name` */
	/*
	 * load (its offset) or ALU add / mov immediate: byte offset of field `id` (fields.def) +
	 * addend
	 */
	OBJ_REL_CORE_FIELD,
	/*
	 * mov immediate: BTF size, left or right shift of bit field `id`; which: addend, enum
	 * bpf_core_relo_kind
	 */
	OBJ_REL_CORE_BITS,
	OBJ_REL_CORE_TYPE, /* ld_imm64: kernel BTF id of struct `name` */
	OBJ_REL_CORE_ENUM, /* ld_imm64 or mov: value of enumerator `name2` of enum `name` */
	OBJ_REL_KCONFIG,   /* ld_imm64: address of the __kconfig integer `name` */
};

/* Bits of addend for OBJ_REL_KFUNC and OBJ_REL_KCONFIG. */
#define OBJ_REL_WEAK 1 /* the kernel may lack it: 0 then */

/*
 * CORE_FIELD: an addend is possible only for arrays, at the start of an element (net_device.name);
 * libbpf sets the whole offset, so parts of other fields are read by another load from the address.
 * CORE_BITS: a 1-byte load at CORE_FIELD's offset, shifted left by BPF_CORE_FIELD_LSHIFT_U64 and
 * right by BPF_CORE_FIELD_RSHIFT_U64, yields the bit field. Offsets, immediates and the source
 * registers of relocated instructions are set by the writer; what the code generator puts there
 * does not matter.
 */
/*
 * Functions of the runtime that generated code calls beside the services of runtime.def; arguments
 * in r1 to r5, result in r0:
 *   u64 n2b_pull(ctx, u32 off, u32 need, void *buf)
 *       copies packet bytes [off, min(skb->len, off + need)), need <= 64, to 64 bytes of stack
 *       (which need not be initialised); result: their address as a number, to be cast to a window
 *       (windows.def)
 *   u64 n2b_pull16(ctx, u32 off, u32 need, void *buf)
 *       the same for need <= 16 and 16 bytes of stack; so n2b_pull32, n2b_pull48
 * States are u64s in map values, zero before first use (state.bpf.c):
 *   u64 n2b_limit(ctx, u64 *state, u64 cost, u64 max)
 *       1: the bucket held cost. Packets: cost = nsecs / rate, max = cost * burst (0: 5); bytes:
 *       cost = nsecs * len / rate, max = nsecs * (rate + burst) / rate. The rule goes on if
 *       result != inv
 *   u64 n2b_quota(ctx, u64 *used, u64 len, u64 quota)
 *       1: more than the quota is used now. The rule goes on if result == inv
 *   u64 n2b_numgen(ctx, u64 *state, u32 mod)
 *       0 .. mod - 1 in turn, offset not added
 *   u64 n2b_last(ctx, u64 *state)
 *       stamps bpf_ktime_get_ns(); result 0
 */
struct obj_reloc {
	uint32_t insn; /* index in the function's instructions (ld_imm64 counts two) */
	enum obj_rel_kind kind;
	uint32_t id;
	int32_t addend;
	const char *name, *name2;
};

struct obj_line {
	uint32_t insn;		 /* first instruction it speaks of */
	const char *file;	 /* as the user wrote it */
	const char *text;	 /* the nft rule, on one line */
	const struct rule *rule; /* whose it is; NULL: the frame of its chain */
	uint32_t line, col;
};

struct obj_fn {
	const char *name;
	/* in section "netfilter", one argument struct bpf_nf_ctx *ctx; else in .text */
	bool is_prog;
	bool is_entry;	  /* of programs: it is attached, so it tests OBJ_FORCE first (obj_fill) */
	bool is_fill;	  /* in section "tc": fills the maps */
	bool is_callback; /* static: int name(int, void *) */
	bool is_global;	  /* verified on its own: `int name(struct bpf_nf_ctx *ctx)` */
	uint32_t n_numbers; /* not 0: so many arguments, all of them int, and no context */
	VEC(struct bpf_insn) insns;
	VEC(struct obj_reloc) relocs;
	VEC(struct obj_line) lines;
};

struct obj_elems {
	uint8_t *keys, *values; /* key_size and value_size bytes for each, one behind the other */
	uint32_t n, cap;
};

struct obj_map {
	const char *name; /* at most 15 bytes */
	uint32_t type;	  /* BPF_MAP_TYPE_* */
	uint32_t key_size, value_size, max_entries, flags;
	bool has_spin_lock; /* value is struct n2b_state with a lock first: BTF must say so */
	/*
	 * For the loader's manifest: "counters", "set inet/filter/blocked" ... and its initial
	 * elements.
	 */
	const char *role;
	struct obj_elems elems;
	VEC(uint32_t) progs; /* PROG_ARRAY: functions (in obj->fns), by element */
	/* values begin with a time that the loader adds the clock to, if it is not 0 */
	bool expires;
	bool counters; /* its elements only count: programs may run without them */
	/*
	 * obj_fill(): where the elements are in obj->elems: keys, then values; value_step 0: all
	 * have one value.
	 */
	uint32_t keys_at, values_at, value_step;
};

struct obj_rodata { /* blobs are laid out in one .rodata in order, each aligned */
	const char *name;
	const uint8_t *bytes;
	uint32_t len, align; /* align: a power of two, at least 8 */
};

struct obj_meta { /* becomes `bpf_metadata_<key>` strings, which bpftool prog show prints */
	const char *key, *value;
};

/* Where a state of the IR module lives: an element of a map. */
struct obj_place {
	uint32_t map; /* in obj_file.maps */
	uint32_t key;
};

/*
 * A set of the IR module. Values of a mutable one: u64 expiry (ns of the monotonic clock, 0:
 * never), data in words (of a verdict map: the verdict's index), the states of its elements. Keys:
 * the set's key padded to words; lpm: u32 number of bits, then the key. lpm: where a range is
 * several prefixes, those behind the first have an odd expiry, EL_GOES_ON for never; others' are
 * even.
 */
#define EL_GOES_ON UINT64_MAX
struct obj_set {
	bool is_mutable;	   /* else in read-only data, and the rest is nothing */
	uint32_t map;		   /* in obj_file.maps, as are the next */
	uint32_t all;		   /* catchall: that element */
	uint32_t keys, nodes;	   /* index: setindex.h */
	struct obj_place swept;	   /* timeouts: a state (time of last sweep, bpf/elem.bpf.c) */
	bool lpm, index, timeouts; /* index: setindex.h */
	bool catchall;		   /* map "setN_all" holds the catch-all element under key 0 */
	uint32_t data_words, expr_off;
};

/*
 * Words of .data, which change while programs are loaded. OBJ_FORCE is what each attached program
 * tests first: may it run, or is its verdict to be drop (a map has not got its initial elements) or
 * accept (others filter)? OBJ_SINCE, beside it, is the time of its last change (CLOCK_MONOTONIC, ns
 * >> OBJ_SINCE_SHIFT), so that both change as one.
 *
 * An object that is to replace another shares its words (nft2bpfctl) and runs on OBJ_FORCE_OTHER.
 * Where its programs come before the others on a hook, a packet may have passed them before the
 * change and come to the others behind it: so those go on for a while, OBJ_SINCE_MAX. A packet that
 * both look at gets the verdict of one of them, as either is accept or drop.
 */
enum obj_word { OBJ_FORCE, OBJ_SINCE, OBJ_FILLED, OBJ_WORD_COUNT = 4 };
enum obj_force { OBJ_FORCE_DROP, OBJ_FORCE_RUN, OBJ_FORCE_OTHER, OBJ_FORCE_ACCEPT };
#define OBJ_SINCE_SHIFT	  24 /* 17 ms */
#define OBJ_SINCE_MAX	  4
#define OBJ_GUARD_RUN	  3 /* the instruction of the test that compares with OBJ_FORCE_RUN */
#define OBJ_ELEMS_SECTION ".data.elems"
#define OBJ_WORDS_NAME	  "n2b_words"
#define OBJ_FILL_NAME	  "nft2bpf_fill"

struct obj_file {
	struct arena *arena;
	struct diag *diag;
	VEC(struct obj_fn *) fns;
	VEC(struct obj_map *) maps;
	VEC(struct obj_rodata) rodata;
	VEC(struct obj_meta) meta;
	VEC(struct obj_place) states; /* by state number of the IR module */
	VEC(struct obj_set) sets;     /* by set number of the IR module */
	/* JSON text for the section .nft2bpf: what nft2bpfctl needs (man page, section OBJECT) */
	const char *manifest;
	size_t manifest_len;
	struct sbuf elems; /* obj_fill(): initial elements of maps, the section OBJ_ELEMS_SECTION */
	bool has_words;	   /* obj_fill(): there is .data, and programs that are attached test it */
	uint32_t words[OBJ_WORD_COUNT];
};

/* -- depth.c: the stack that programs need ----------------------------------------------------- */

extern uint32_t obj_stack_max; /* 512 bytes, over all functions under way; tests lower it */
#define OBJ_FRAMES_MAX 8

/* A program that needs more than there is. */
struct obj_over {
	uint32_t bytes, frames;
	/* the functions (in obj->fns) that do, each called by the one before; [0] the program */
	VEC(uint32_t) way;
};
struct obj_overs {
	struct obj_over *v;
	uint32_t n, cap;
};
/* Those of the object that the kernel would refuse for it. */
struct obj_overs obj_stack(struct obj_file *o);
/* Bytes of the frame of n instructions. */
uint32_t obj_frame(const struct bpf_insn *in, uint32_t n);
/* Adds the rules whose code uses the frame beyond that depth. */
struct obj_rules {
	const struct rule **v;
	uint32_t n, cap;
};
void obj_frame_rules(const struct obj_fn *fn, uint32_t depth, struct arena *a,
		     struct obj_rules *out);

/*
 * Initial elements into obj->elems, and a program that puts them into the maps (section "tc"), for
 * who has no nft2bpfctl; the words that say whether the programs may run. Before the manifest is
 * made and the object written.
 */
void obj_fill(struct obj_file *o);

/*
 * Writes obj to path (through a temporary file beside it, renamed when whole). 0, or -errno after
 * diag_error().
 */
int obj_write(struct obj_file *o, const char *path);

#endif
