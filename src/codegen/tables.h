/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tables: what the lowerings of constant sets share; private to this folder. */
#ifndef N2B_TABLES_H
#define N2B_TABLES_H

#include "ir.h"

#define TAB_NONE UINT32_MAX

/* One set on its way: its elements without the catch-all, and the tables already made for it. */
struct tabset {
	struct ir_mod *m;
	const struct ir_set *is;
	const struct set *set;
	uint32_t number;  /* in m->sets */
	uint32_t n_words; /* of a key */
	VEC(const struct set_elem *) elems;
	VEC(uint32_t) numbers; /* of elems: place in set->elems + 1 */
	bool ranges;	       /* some element is a range of more than one key */
	bool valued;	       /* elements have data: their numbers matter */
	uint32_t data;	       /* table of the data; TAB_NONE: not made yet */
	/* hash */
	uint32_t disp, slots, disp_bits, slot_bits, stride_bits;
	uint64_t mul[9];
	/* ranges: a search table; concatenations: one for each field */
	struct tabrange {
		uint32_t from, n_words, len; /* words of the key; bytes */
		uint32_t keys[8];	     /* tables of the pieces, most significant first */
		uint32_t bits;		     /* 2^bits points */
		uint32_t vals; /* numbers; concatenations: a row of bits for each point */
	} range[16];
	uint32_t row_bits, nums, ctz; /* concatenations: log2 of a row's 64-bit words; tables */
	uint32_t depth; /* narrow ones: most elements of a point; row_bits: of 32-bit words */
	bool hash_made, range_made;
};

/* Where new instructions go: before `at`, with its rule. */
struct tabcur {
	struct tabset *t;
	struct ir_fn *fn;
	struct ir_ins *at;
	struct ir_ins **key;	    /* n_words words */
	struct ir_ins *swapped[16]; /* the same as numbers in the order of memcmp, once made */
};

/*
 * An answer: the number of the element as W; or, for sets without data, just whether there is one
 * (num NULL).
 */
struct tabres {
	struct ir_ins *cond, *num;
};

struct ir_ins *tab1(struct tabcur *c, enum ir_op op, enum ir_type t, struct ir_ins *a);
struct ir_ins *tab2(struct tabcur *c, enum ir_op op, enum ir_type t, struct ir_ins *a,
		    struct ir_ins *b);
struct ir_ins *tabk(struct tabcur *c, enum ir_type t, uint64_t v);
struct ir_ins *tab_load(struct tabcur *c, uint32_t table, struct ir_ins *at, int64_t off,
			uint8_t size);
/* cond ? a : b of words or doubles */
struct ir_ins *tab_sel(struct tabcur *c, struct ir_ins *cond, struct ir_ins *a, struct ir_ins *b);
/* Word w of the key as a number in the order of memcmp. */
struct ir_ins *tab_swapped(struct tabcur *c, uint32_t w);
uint32_t tab_new(struct ir_mod *m, const char *name, uint32_t len);
/* Word w of a key as registers hold it, and as a number in the order of memcmp. */
uint32_t tab_word(const struct data *d, uint32_t w);
uint32_t tab_ordered(const struct data *d, uint32_t w);
uint32_t tab_log2(uint32_t n); /* smallest b with 2^b >= n */

/* key + 1 as a big-endian number; false if there is none. */
bool tab_successor(uint8_t *key, uint32_t len);
/* The tables of n ascending points; the first is the least key. */
void tab_keys(struct tabset *t, struct tabrange *r, const uint8_t *keys, size_t stride, uint32_t n);
/* Four times the number of the last point that is not above the key. */
struct ir_ins *tab_find(struct tabcur *c, const struct tabrange *r);

struct tabres tab_small(struct tabcur *c);
struct tabres tab_hash(struct tabcur *c);
struct tabres tab_search(struct tabcur *c);
struct tabres tab_concat(struct tabcur *c);
/* narrow: the field that leaves few elements (narrow.h). */
struct tabres tab_narrow(struct tabcur *c, uint32_t narrow);

#endif
