/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan: which part of a ruleset runs in BPF, which in nftables, and why.
 *
 * The splitter (src/fallback) makes it from the hinge; the IR builder reads it rule by rule; the
 * driver writes its residual text as the fallback, and --explain and --report from its rules. A
 * base chain of the plan is in one of three states:
 *   whole in BPF     a program for each family it sees, no residual chain; no program either where
 *                    the chain does nothing
 *   split            the programs, and a residual chain of the same name in the fallback, at
 *                    res_prio, just behind them
 *   whole in nftables  no program; the fallback has the chain unchanged
 */
#ifndef N2B_PLAN_H
#define N2B_PLAN_H

#include "ruleset.h"

/* What a program does with a rule. */
enum rule_action {
	RULE_NEVER, /* the program does not reach it, or it cannot match in the program's family */
	RULE_LOWER, /* all of it, statements and verdict */
	/*
	 * Evaluate the expressions [0, n_match), which are pure; when none of them breaks, end with
	 * ACCEPT at once: the residual chain does this rule, from its start, and all that follows.
	 * n_match 0: every packet that comes here.
	 */
	RULE_PUNT,
};

struct rule_act {
	enum rule_action act;
	uint32_t n_match;  /* RULE_PUNT: expressions to evaluate */
	const char *why;   /* RULE_PUNT: the reason in words */
	const char *group; /* the reason's name in reason.def, "write": for totals */
};

struct plan;
struct plan_prog {
	const char *name; /* C identifier of at most 15 bytes, unique in the ruleset */
	struct chain *base;
	uint8_t pf; /* FAM_IP or FAM_IP6 */
	enum hooknum hook;
	/*
	 * The priority that the program wants: free among the hooks of this ruleset; nftables' own
	 * order kept. The loader takes the next free one below where the running kernel has it
	 * taken.
	 */
	int32_t prio;
	bool residual; /* a residual chain stands behind it */
	/*
	 * How sparing with the stack its code must be (build.h); the driver's, who learns it by
	 * compiling.
	 */
	uint8_t sparing;
	/*
	 * Fused with the program of the base chain that runs next, of the same priority and whole
	 * in BPF like this one: where this one accepts, that one decides, which has no code and no
	 * link of its own. NULL: there is none.
	 */
	const struct plan_prog *then;
	bool behind; /* it is another's `then` */
	/*
	 * [chain->index][rule->index] of base->table; NULL rows for chains that the program does
	 * not reach.
	 */
	struct rule_act **acts;
};

/*
 * Programs of one hook and priority become one: the older chain's, which runs later, stands behind.
 */
void plan_fuse(struct plan *p);
/* Programs with a link of their own. */
uint32_t plan_links(const struct plan *p);
/* The act of a rule in a program: RULE_NEVER where it is not reached. */
struct rule_act plan_act(const struct plan_prog *p, const struct rule *r);

enum plan_where { PW_NONE, PW_BPF, PW_NFT, PW_BOTH }; /* PW_NONE: no base chain reaches it */
extern const char *const plan_where_name[];	      /* "", "bpf", "nftables", "both" */

/* For people: where a rule runs. One for each rule of the ruleset, in the ruleset's order. */
struct plan_rule {
	const struct rule *rule;
	enum plan_where where;
	/* where is PW_NONE: PW_BPF or PW_NFT, where it would run if something reached it */
	enum plan_where would;
	const char *why;   /* why it is, or is partly, in nftables; NULL when where is PW_BPF */
	const char *group; /* the reason's name; NULL when where is PW_BPF */
	/* Filled in behind the code generator: */
	/* instructions it costs in all programs; where rules are one look-up, those of that */
	uint32_t insns;
	const struct rule *shadowed_by; /* takes all its packets wherever it stands; NULL: none */
	const struct rule
		*lookup;   /* the first of the rules that became one look-up; NULL: it is none */
	uint32_t n_lookup; /* rules of that */
};

struct plan_chain { /* one for each base chain, in the ruleset's order */
	const struct chain *chain;
	enum plan_where where; /* PW_BPF: whole; PW_BOTH: split; PW_NFT: whole in nftables */
	const char *why;       /* as in plan_rule */
	const char *group;
	int32_t res_prio; /* PW_BOTH, PW_NFT: priority of the chain in the fallback */
	/*
	 * The cost model's estimate in nanoseconds for the common packet (established, and new to
	 * an open port, the dearer of the two in relation): nftables alone, and as planned or as
	 * the split would have been.
	 */
	double ns_nft, ns_split;
};

/*
 * Where a rule of the original stands in the fallback: for reading its counters back. A rule may
 * stand in several places.
 */
struct plan_copy {
	const struct rule *rule;
	const char *chain; /* in rule->chain->table */
	uint32_t index;	   /* of the rule in that chain */
};

struct plan {
	struct arena *arena;
	const struct ruleset *rs;
	VEC(struct plan_prog *) progs;
	VEC(struct plan_rule) rules;
	VEC(struct plan_chain) chains;
	VEC(struct plan_copy) copies;
	VEC(const struct set *)
	sets_both;	      /* mutable sets that both sides hold: every change must reach both */
	const char *fallback; /* nft text, complete, with comments */
	const char
		*fallback_body; /* the same without the commands on what the kernel held before */
	bool fallback_empty;	/* nothing in it but comments */
	bool fallback_idle;	/* nothing in it runs for a packet */
	uint32_t n_bpf, n_both, n_nft, n_none; /* rules, by where */
};

#endif
