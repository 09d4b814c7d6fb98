/* SPDX-License-Identifier: GPL-2.0-or-later */
/* split: what the files of the splitter share. */
#ifndef N2B_FB_SPLIT_H
#define N2B_FB_SPLIT_H

#include "fallback.h"

enum fb_effect fb_effect(const struct rule *r, uint32_t i, bool *decides);

/* -- facts (facts.c): what a packet must be for a rule to match -------------------------------- */

struct fb_range {
	uint8_t lo[16], hi[16]; /* bytes in memory order, inclusive */
};
struct fb_fact {
	const struct expr *load; /* what is compared ... */
	const struct expr *mask; /* ... under this mask; NULL: all of it */
	uint8_t len;
	bool state; /* ct state: bits are the states allowed */
	uint32_t bits;
	uint32_t n;
	const struct fb_range *ranges;
};
struct fb_facts {
	const struct fb_facts *outer; /* those of the jump that led here */
	VEC(struct fb_fact) v;
};
/* Facts of the first n expressions of a rule (all must be pure). */
void fb_facts_of(struct arena *a, const struct rule *r, uint32_t n, struct fb_facts *f);
/* Both load the same. */
bool sp_same_load(const struct expr *a, const struct expr *b);
/* No packet can have both. False when that cannot be shown. */
bool fb_disjoint(const struct fb_facts *a, const struct fb_facts *b);

/* -- the planner's own view of rules and chains (split.c) -------------------------------------- */

struct sp_rule { /* a rule within one base chain */
	const struct rule *r;
	bool known;	  /* n_pure and facts are */
	bool punt;	  /* with n_match and pfacts */
	uint32_t n_match; /* punt: expressions tested */
	uint32_t n_pure;  /* leading expressions that are pure and lowered */
	bool impure;	  /* matching depends on more than the packet */
	bool decisive;	  /* it may end or divert the walk other than by drop */
	bool reached;	  /* by the program */
	bool in_rest;	  /* the residual chain may run it whole */
	bool guard;	  /* the residual chain tests it again */
	bool printed;
	const char *why;
	enum fb_reason reason;
	bool has_facts;		/* facts were asked for: sp_rule_facts() */
	struct fb_facts facts;	/* of the first n_pure expressions; outer unset */
	struct fb_facts pfacts; /* of the first n_match */
};

/* A chain in one of its call contexts. Frames from gotos have the caller's caller as parent. */
struct sp_ctx {
	struct chain *chain;
	struct sp_ctx *caller; /* the rule that leads here ... */
	uint32_t at;	       /* ... is this one of caller->chain */
	bool is_goto;
	/* where its end returns to: the frame and rule; NULL: the base chain's policy */
	struct sp_ctx *ret;
	uint32_t ret_at;
	uint32_t depth; /* frames on the jump stack */
	uint32_t *step; /* [rule index]: where in the base's steps; then where its last kid ends */
	uint32_t end;	/* step behind its last */
	const struct fb_facts *facts; /* of the jumps on the way */
	VEC(struct sp_ctx *) kids;
};

/* A point of the walk in the order of evaluation. */
struct sp_step {
	struct sp_ctx *ctx;
	uint32_t index;
};

enum sp_state { SP_WHOLE_BPF, SP_SPLIT, SP_WHOLE_NFT };
struct sp_base {
	struct chain *c;
	enum sp_state state;
	const char *why;
	enum fb_reason reason;
	struct sp_rule **rules; /* [chain index][rule index]; NULL rows: not reached */
	uint32_t n_reached;
	uint8_t *through;	   /* [chain index]: 0 not asked, 1 its end is reached, 2 not */
	struct sp_ctx *root;	   /* call contexts; NULL until a punt is there */
	VEC(struct sp_step) steps; /* all rules of all contexts, in evaluation order */
	VEC(uint32_t) punts;	   /* indexes into steps, ascending */
	bool writes;		   /* its rules change packets, marks or conntrack */
	struct sp_resid *res;	   /* the residual text's parts */
	int32_t link_prio, res_prio;
	uint32_t n_fused; /* rules of its program, with those of what is fused behind it */
	bool placed;
	double ns_nft, ns_split;
};

/* The residual text's parts: one chain each. */
struct sp_line {
	const struct rule *r;	 /* a rule printed whole; or NULL and ... */
	const struct rule *cond; /* ... a condition with a verdict, pure; or NULL and only text */
	const char *text, *note;
};
struct sp_rchain {
	const char *name;
	VEC(struct sp_line) lines;
};
struct sp_resid {
	VEC(struct sp_rchain *) chains; /* [0]: the residual base chain */
	VEC(const struct set *) sets;
	VEC(const struct chain *) whole; /* chains of the original that it jumps to */
	uint32_t n_lines;
};

struct split {
	struct arena *arena;
	struct ruleset *rs;
	const struct fb_options *opt;
	struct plan *plan;
	VEC(struct sp_base *) bases;
	struct strmap in_nft;  /* resources that nftables keeps: key is the address's bytes */
	struct strmap written; /* sets that rules change */
	struct strmap printed; /* rules that the fallback has already */
	struct arena *line;    /* while a rule is printed */
	bool changed;
};

struct sp_rule *sp_rule(const struct sp_base *b, const struct rule *r);
/* Facts of a rule, of all that is pure at its begin. */
const struct fb_facts *sp_rule_facts(struct arena *a, struct sp_rule *x);
/* Facts of a rule in a context: its own and those of the way there. */
struct fb_facts sp_facts(struct arena *a, const struct sp_base *b, const struct sp_step *s);

/*
 * The verdict of a rule that has one; code V_CONTINUE: none. *vmap: the verdict map that decides,
 * or NULL.
 */
struct verdict sp_verdict(const struct rule *r, const struct set **vmap);
/* The context that a verdict of rule `at` leads to; a map may both jump and go to one chain. */
struct sp_ctx *sp_kid(const struct sp_ctx *x, uint32_t at, const struct verdict *v);
/* A punt later than step i that may see the packets of facts f. */
bool sp_later_punt(struct split *s, const struct sp_base *b, uint32_t i, const struct fb_facts *f);
void sp_punt(struct arena *a, struct sp_rule *r, enum fb_reason reason, const char *why);

/* What is told of a punt: the reason's sentence with what it is about. */
const char *sp_reason(struct split *s, enum fb_reason reason, const char *what);

/* shared.c: the sets that rules change, into s->written */
void sp_note_written(struct split *s);
/* what the residual chain of a base chain may run: its state into s->in_nft */
void sp_residue(struct split *s, struct sp_base *b);
/* punts where rules touch such state; false: there was none to make */
bool sp_punt_shared(struct split *s, struct sp_base *b);
/* residual.c */
bool sp_residual(struct split *s,
		 struct sp_base *b); /* makes the text's parts; false: it cannot be said */
void sp_fallback(struct split *s);   /* the whole fallback, into the plan */
/* merge.c: fewer guards */
void sp_merge(struct split *s, struct sp_rchain *c);
/* text.c: a rule with state that would stand twice in the fallback; NULL: none */
const struct rule *sp_state_twice(struct split *s);
/* cost.c */
double sp_rule_ns(const struct rule *r); /* all of it */
void sp_cost(struct split *s, struct sp_base *b);
/* prio.c */
bool sp_priorities(struct split *s);

#endif
