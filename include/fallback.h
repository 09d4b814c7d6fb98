/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fallback: printing the hinge back to nft text, what runs where, the split of a ruleset, the
 * reports.
 */
#ifndef N2B_FALLBACK_H
#define N2B_FALLBACK_H

#include "plan.h"

/* -- what can be lowered (support.c) ----------------------------------------------------------- */

/* What evaluating an expression may do beside reading. */
enum fb_effect {
	FB_PURE, /* same packet, same answer: may be asked again by the residual chain */
	/*
	 * reads what may change between two readings (time, ct mark, random numbers, sets with
	 * timeouts)
	 */
	FB_VOLATILE,
	FB_STATE, /* keeps state of its own (counter, limit, dynset ...) */
	/* changes packet, skb or conntrack, or asks the kernel for a service: never in BPF */
	FB_WRITE,
};

enum fb_reason {
#define X(id, name, text) FBR_##id,
#include "reason.def"
#undef X
	FBR_COUNT
};
extern const char *const fb_reason_name[FBR_COUNT]; /* "write" */
extern const char *const fb_reason_text[FBR_COUNT];

/* How an expression can run on an unmodified kernel. FBR_NONE: in BPF. */
struct fb_support {
	enum fb_effect effect;
	enum fb_reason reason;
	/* what it is, in nft's words: "reject", "ct helper"; in the arena or static */
	const char *what;
};
struct fb_options;
/* Of expression i of a rule, in programs of that base chain. */
struct fb_support fb_rule_support(const struct fb_options *o, const struct chain *base,
				  const struct rule *r, uint32_t i);

/* -- the split (split*.c) ---------------------------------------------------------------------- */

enum fb_partial { FB_PARTIAL_AUTO, FB_PARTIAL_ALWAYS, FB_PARTIAL_NEVER };
struct fb_options {
	enum fb_partial partial;
	bool static_sets; /* --static: named sets do not change */
	/*
	 * build_can_lower(); NULL: everything that BPF could do counts as lowered (tests of the
	 * splitter alone)
	 */
	bool (*can_lower)(const struct expr *e, const struct chain *base, const char **why);
	/*
	 * Why rules, by address, stay in nftables, as compiling them has shown: enum fb_reason as a
	 * pointer. NULL: none.
	 */
	const struct strmap *refused;
	bool fuse; /* base chains of one priority that follow each other become one program */
};
struct plan *fb_plan(struct ruleset *rs, const struct fb_options *opt);

/* -- reports (report.c) ------------------------------------------------------------------------ */

void fb_explain(const struct plan *p, FILE *f);
void fb_report_json(const struct plan *p, FILE *f);
/* What --strict refuses: rules, and policies, that run per packet in nftables. 0: none. */
uint32_t fb_strict_count(const struct plan *p);

/* -- printing the hinge as nft text (print*.c) ------------------------------------------------- */

/*
 * The text reads back to the same expressions with the newest nft, and with nft 1.0.6 where that
 * knows the features. False: nft has no words for it (unknown expressions); nothing useful was
 * added then.
 *
 * Extensions of iptables, for which nft has no words either, are written in full: xt match "name" =
 * revision length "data". Our own text front end reads that, nft refuses the whole script: what it
 * cannot load is never left out in silence. In listings they are as nft lists them, without
 * revision and data.
 */
struct fb_print_opts {
	bool listing; /* as `nft list` has it: blank lines between blocks, priorities by name */
	bool zero; /* counters, quotas and last start from nothing instead of from their values */
	bool elements; /* element values of named sets (always for anonymous ones) */
	/*
	 * the element of an anonymous set of one is said twice: it is read as a set then, else as a
	 * comparison
	 */
	bool keep_sets;
	/*
	 * fb_print_table()'s own: it has given names to the nameless sets of rules that are written
	 * by their attributes
	 */
	bool named;
};
bool fb_print_rule(const struct rule *r, const struct fb_print_opts *o, struct sbuf *out);
/*
 * The same for one rule of many: what it takes to find its words goes to tmp, which is empty before
 * and after.
 */
bool fb_print_line(const struct rule *r, const struct fb_print_opts *o, struct arena *tmp,
		   struct sbuf *out);
/* The expressions [0, n) of a rule, which must end on a whole match; no verdict added. */
bool fb_print_match(const struct rule *r, uint32_t n, struct sbuf *out);
bool fb_print_set(const struct set *s, const struct fb_print_opts *o, struct sbuf *out);
bool fb_print_obj(const struct obj *ob, const struct fb_print_opts *o, struct sbuf *out);
bool fb_print_flowtable(const struct flowtable *ft, struct sbuf *out);
/* "type filter hook input priority 0; policy accept;" and the like; prio and policy as given. */
bool fb_print_base(const struct chain *c, int32_t prio, enum verdict_code policy, struct sbuf *out);
bool fb_print_chain(const struct chain *c, const struct fb_print_opts *o, struct sbuf *out);
bool fb_print_table(const struct table *t, const struct fb_print_opts *o, struct sbuf *out);
/* The whole ruleset as nft would list it: for the manifest. */
bool fb_print_ruleset(const struct ruleset *rs, const struct fb_print_opts *o, struct sbuf *out);
/* Whether a text that was printed here holds extensions of iptables in full. */
bool fb_has_xt(const char *text);
/* A name as nft takes it: quoted where its scanner needs that. */
void fb_print_name(const char *name, struct sbuf *out);

#endif
