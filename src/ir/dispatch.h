/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dispatch: runs of rules into one lookup; private to the builder.
 *
 * The condition of a rule is seen as units, each a value that is loaded and what it is compared
 * with: a guard when all rules of a run have the same, a field of the run's key otherwise.
 */
#ifndef N2B_DISPATCH_H
#define N2B_DISPATCH_H

#include "lower.h"

#define DISPATCH_UNITS 8 /* rules with more are left as they are */
#define DISPATCH_MIN   6 /* a lookup costs about as much as so many rules */

/* Byte strings lo to hi, both included, in the order of memcmp. */
struct drange {
	const uint8_t *lo, *hi;
};

/* A value and the test of it. */
struct dunit {
	const struct expr *load;
	uint32_t first, n; /* expressions of the rule */
	uint8_t len;	   /* bytes of the value, and of the ranges' ends */
	bool opaque;	   /* no ranges of the value itself */
	uint32_t n_ranges; /* ascending and disjoint; none: never true */
	const struct drange *ranges;
	/*
	 * The same as ranges of the value, or of the value under a mask; !mixes: there are none,
	 * and in a run it may only be the same in all rules.
	 */
	bool mixes;
	const struct expr *mask;
	uint32_t n_mix;
	const struct drange *mix;
};

/* Its values are single ones, not ranges. */
static inline bool dispatch_single(const struct dunit *u)
{
	for (uint32_t i = 0; i < u->n_mix; i++)
		if (memcmp(u->mix[i].lo, u->mix[i].hi, u->len) != 0)
			return false;
	return true;
}

/* A rule whose condition is pure and whose effects are a counter and a verdict. */
struct drule {
	const struct rule *rule;
	const struct expr *counter; /* or a reference to a named one; NULL */
	uint32_t counter_index;
	struct verdict verdict; /* V_CONTINUE: none */
	bool never;		/* matches no packet of this program; nothing else is known of it */
	bool final;		/* no later rule of the chain sees a packet that matched */
	uint32_t n_units;
	struct dunit units[DISPATCH_UNITS]; /* in the order of their loads; there are n_units */
};

/* A chain as far as it was looked at. */
struct dchain {
	struct arena *tmp;
	const struct chain *chain;
	uint32_t from, to; /* its rules that are lowered here */
	VEC(struct drule *)
	rules;		    /* by index - from, as far as looked at; NULL: not of this kind */
	uint32_t no_window; /* before this rule no window is worth it ... */
	uint32_t no_large;  /* ... and none of many rules is better than classifying them */
	/*
	 * dispatch_shadow.c: rules that end the chain, by their values; which numbers of values
	 * there are; others.
	 */
	struct strmap points;
	uint32_t point_sizes;
	VEC(const struct drule *) wide;
	struct mix *mix;	    /* classification of the rules from here on; NULL: none */
	uint32_t no_mix;	    /* before this rule none is worth it */
	uint32_t peeled, peeled_at; /* how many rules dispatch_peel() left alone; the last one */
};

/* What the rule says, in d->tmp; NULL: something that no lookup can do. */
struct drule *dispatch_rule(struct bld *b, struct arena *tmp, const struct rule *r,
			    struct rule_act act);
/*
 * Whether rule `at`, which d is, stays a test of its own: it is one of the first few that look at
 * no header. These are cheap, and many packets come no further (`ct state established accept`).
 */
bool dispatch_peel(struct dchain *dc, uint32_t at, const struct drule *d);
/* Whether the units may stand for one field or guard of a run. */
bool dispatch_same_load(const struct bld *b, const struct dunit *x, const struct dunit *y);
bool dispatch_same_test(const struct drule *r, const struct dunit *x, const struct drule *s,
			const struct dunit *y);

/*
 * Whether units of one load that differ may be a field: what they ask are ranges of the value, or
 * of the value under one mask.
 */
bool dispatch_may_vary(const struct bld *b, const struct dunit *x, const struct dunit *y);
/* Whether they ask about one value, for dispatch_mix.c. */
bool dispatch_same_field(const struct bld *b, const struct dunit *x, const struct dunit *y);

/* The register that the load of a unit writes. */
uint8_t dispatch_load_reg(const struct expr *e);

/* A field of the key. */
struct dfield {
	uint32_t unit;		  /* index in every rule of the run */
	uint32_t off, len;	  /* bytes in the key */
	const struct drule *from; /* a rule that loads all of it */
};

/* Exact keys have no hi. */
struct delem {
	const uint8_t *lo, *hi;
	uint32_t rule; /* in the run */
};

struct dclass {
	bool counted;
	struct verdict verdict;
	const struct rule *rule; /* the first of it */
};

struct drun {
	struct bld *b;
	struct arena *tmp;
	struct drule **r; /* n of them; room for cap */
	uint32_t *place;  /* where each stands in its chain, or in a window */
	uint32_t n, cap;
	struct dfield fields[DISPATCH_UNITS];
	uint32_t n_fields, key_len;
	bool exact, narrow;
	VEC(struct delem) elems;
	VEC(struct dclass) classes;
	uint32_t *class_of; /* by rule of the run */
	uint32_t *counter;  /* state number, by rule of the run; UINT32_MAX: none */
	uint32_t base;	    /* the least of them */
	bool counts;
	bool numbered; /* elements say which rule (place), not what it does */
};

void dispatch_add(struct drun *run, struct drule *d, uint32_t place);
bool dispatch_same_shape(const struct bld *b, const struct drule *x, const struct drule *y);
/* The elements of as many rules from the first on as can be one run; that many, 0: too few. */
uint32_t dispatch_elements(struct drun *run);
/* By the lowest value of `len` bytes at byte `off` of the key; equal ones in the rules' order. */
void dispatch_sort(struct delem *v, uint32_t n, uint32_t off, uint32_t len);
/* The field of the key of which one value is in the fewest elements; in how many at most. */
uint32_t dispatch_narrowest(const struct drun *run, uint32_t *field);
/* Classes and counters; false: no lookup can count them. */
bool dispatch_effects(struct drun *run);
/*
 * The condition up to the element's number, not 0; NULL: there is no key, guards decide alone.
 * b->dead: no packet comes further.
 */
struct ir_ins *dispatch_search(struct drun *run, uint32_t *set);
/* A word of an element's data. */
struct ir_ins *dispatch_word(struct bld *b, struct ir_ins *el, uint32_t set, uint32_t word);
/* Does what the class says; offset: of the counter. Both may be NULL where they are not needed. */
void dispatch_classes(struct drun *run, struct ir_ins *which, struct ir_ins *offset);
struct drule *dispatch_rule_at(struct bld *b, struct dchain *dc, uint32_t i, struct rule_act act);
/*
 * As many rules from `at` on as one classification decides at once (dispatch_mix.c); 0: none.
 * dc->mix is set then if rule `at` is one by itself between others that are classified.
 */
uint32_t dispatch_mix(struct bld *b, struct dchain *dc, uint32_t at);
/* Class and counter of each rule of the run, 8 bytes each, as a table of the module. */
uint32_t dispatch_effects_table(const struct drun *run);
/* Does what the rule with this number of the run does. */
void dispatch_effect(struct drun *run, uint32_t table, struct ir_ins *rule);
/*
 * Several shapes mixed: as dispatch_run(). large: only where the rules are so many that it is
 * better than to classify them (dispatch_mix.c).
 */
uint32_t dispatch_window(struct bld *b, struct dchain *dc, uint32_t at, bool large);

void dispatch_open(struct bld *b, struct dchain *dc, const struct chain *c, uint32_t from,
		   uint32_t to);
void dispatch_close(struct dchain *dc);
/* Whether rule `at` matches no packet of this program, whatever it does. */
bool dispatch_never(struct bld *b, struct dchain *dc, uint32_t at);
/*
 * The rule before `at` that leaves it no packet; NULL: none is known. Each rule is to be asked
 * about once, in their order.
 */
const struct rule *dispatch_shadow(struct bld *b, struct dchain *dc, uint32_t at);
/*
 * Lowers the run that begins with rule `at`, to where b's cursor stands; b->brk is where packets go
 * on that no rule of it decides. How many rules of the chain it took; 0: there is no run worth it.
 */
uint32_t dispatch_run(struct bld *b, struct dchain *dc, uint32_t at);

#endif
