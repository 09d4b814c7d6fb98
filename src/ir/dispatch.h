/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dispatch: runs of rules into one lookup; private to the builder.
 *
 * The condition of a rule is seen as units, each a value that is loaded and what it is compared with: a guard when all rules of a
 * run have the same, a field of the run's key otherwise.
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
	bool opaque;	   /* no ranges: may only be the same in all rules */
	uint32_t n_ranges; /* ascending and disjoint; none: never true */
	const struct drange *ranges;
};

/* A rule whose condition is pure and whose effects are a counter and a verdict. */
struct drule {
	const struct rule *rule;
	const struct expr *counter; /* or a reference to a named one; NULL */
	uint32_t counter_index;
	struct verdict verdict; /* V_CONTINUE: none */
	bool never;		/* matches no packet of this program; nothing else is known of it */
	bool final;		/* no later rule of the chain sees a packet that matched */
	uint32_t n_units;
	struct dunit units[DISPATCH_UNITS]; /* in the order of their loads */
};

/* A chain as far as it was looked at. */
struct dchain {
	struct arena *tmp;
	const struct chain *chain;
	uint32_t from, to;    /* its rules that are lowered here */
	struct drule **rules; /* by index - from; NULL: not of this kind, or not looked at */
	bool *seen;
};

/* What the rule says, in d->tmp; NULL: something that no lookup can do. */
struct drule *dispatch_rule(struct bld *b, struct arena *tmp, const struct rule *r,
			    struct rule_act act);
/* Whether the units may stand for one field or guard of a run. */
bool dispatch_same_load(const struct bld *b, const struct dunit *x, const struct dunit *y);
bool dispatch_same_test(const struct drule *r, const struct dunit *x, const struct drule *s,
			const struct dunit *y);

/* The register that the load of a unit writes. */
uint8_t dispatch_load_reg(const struct expr *e);

void dispatch_open(struct bld *b, struct dchain *dc, const struct chain *c, uint32_t from,
		   uint32_t to);
void dispatch_close(struct dchain *dc);
/* Whether rule `at` matches no packet of this program, whatever it does. */
bool dispatch_never(struct bld *b, struct dchain *dc, uint32_t at);
/*
 * Lowers the run that begins with rule `at`, to where b's cursor stands; b->brk is where packets go on that no rule of it decides.
 * How many rules of the chain it took; 0: there is no run worth it.
 */
uint32_t dispatch_run(struct bld *b, struct dchain *dc, uint32_t at);

#endif
