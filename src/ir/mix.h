/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mix: what the two halves of dispatch_mix share: the classification of a stretch of rules. Private
 * to the builder.
 */
#ifndef N2B_MIX_H
#define N2B_MIX_H

#include "dispatch.h"

#define MIX_FIELDS 12
#define MIX_RULES  1024 /* a bit each in every row */

/* From here on up to the next one's first value the rules that may match are the same. */
struct mix_part {
	const uint8_t *lo;
	uint32_t class;
};

struct mix_cond {
	uint32_t rule;
	const struct dunit *unit;
};

/* A value that rules ask about. */
struct mix_field {
	const struct drule *from; /* a rule that loads all of it */
	const struct dunit *unit; /* its unit */
	uint32_t len;
	VEC(struct mix_cond) conds;
	VEC(struct mix_part) parts; /* ascending, the first from 0 on */
	uint32_t absent;	    /* class where the load breaks */
	uint32_t usual;		    /* class that no element is made for */
	bool exact;		    /* all other parts are single values ... */
	uint32_t n_elems;	    /* ... or ranges: how many */
	double ns;		    /* what finding the class costs, about */
};

/*
 * Classes of packets, and for each class a row of bits: the rules that it may match. The class is
 * found by a field or, for two axes that were joined, in a table.
 */
struct mix_axis {
	uint32_t n;
	uint64_t *rows; /* n of mix->words each */
	struct mix_field *field;
	struct mix_axis *a, *b; /* joined from these; field is NULL */
	uint16_t *cross;	/* [class of a][class of b] */
	struct ir_ins *val;	/* the class, W */
};

struct mix {
	struct bld *b;
	struct arena *tmp;
	const struct ir_fn *fn; /* that it was lowered in; NULL: not yet */
	uint32_t from, to;	/* rules of the chain */
	struct drule **r;	/* n of them */
	uint32_t *place;	/* in the chain */
	uint32_t n, words;
	/* by rule of the chain - from: number + 1; 0: no rule of ours; MIX_SKIP: matches nothing */
	uint32_t *number;
	uint32_t *limit; /* the first rule behind k that may see packets of rule k; n: none */
	struct mix_field field[MIX_FIELDS];
	uint32_t n_fields;
	struct mix_axis *axis[MIX_FIELDS]; /* that are left */
	uint32_t n_axes;
	uint32_t rows[MIX_FIELDS],
		lowest; /* tables: the rows of axis[k]; the lowest bit of a word; 0: not made yet */
	struct ir_ins *joint
		[MIX_RULES /
		 64]; /* words of the packet's row that all ways from here on have; NULL: others */
};
#define MIX_SKIP UINT32_MAX

/*
 * Lowers rules [first, end) of the mix. rounds: so many of them one packet may meet; more than 1:
 * they are in one word of a row. false: nothing was done, as they have counters that cannot be
 * numbered in a row.
 */
bool mix_lower(struct mix *m, uint32_t first, uint32_t end, uint32_t rounds);
/* The class of a value of the field. */
uint32_t mix_class_of(const struct mix_field *f, const uint8_t *value);

#endif
