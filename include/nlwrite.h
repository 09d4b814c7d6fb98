/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nlwrite: a ruleset as the netlink messages that make it, for what nft has no words for.
 *
 * A batch is one transaction: its commands in their order. Tables, chains, sets, elements,
 * counters, flow tables and rules are written, rules with the kernel's own expressions
 * (rule_kernel). What cannot be written is an error in the diag.
 */
#ifndef N2B_NLWRITE_H
#define N2B_NLWRITE_H

#include "ruleset.h"

struct nlw {
	struct arena *arena;
	struct diag *diag;
	struct sbuf out;	/* the messages */
	bool no_elements;	/* only to see whether all can be written */
	uint32_t seq, last_id;	/* ids of sets and chains without a name */
	VEC(const char *) what; /* by sequence number: what the message is about; NULL: not said */
	struct strmap ids;	/* set or chain, by the bytes of its address: its id */
};

enum nlw_table { NLW_ADD, NLW_CREATE, NLW_DELETE, NLW_SLEEP, NLW_WAKE };

void nlw_begin(struct nlw *w, struct arena *a, struct diag *d);
/* Without commit the kernel checks the batch and forgets it. */
void nlw_end(struct nlw *w, bool commit);
/* A command on one table; create fails where there is one. */
void nlw_table_cmd(struct nlw *w, enum nlw_table what, enum family f, const char *name);
/* Every table of a family, 0: of all. */
void nlw_flush(struct nlw *w, uint8_t family);
/* A chain without hook in a table that is there or was made in this batch. */
void nlw_plain_chain(struct nlw *w, enum family f, const char *table, const char *name);
/* What the message of a sequence number is about, in words; NULL: none such. */
const char *nlw_what(const struct nlw *w, uint32_t seq);
/*
 * Sends the batch to the kernel, into this network namespace: 0, or the first error and the number
 * of its message.
 */
int nlw_send(const struct nlw *w, uint32_t *seq);
/* Everything that the ruleset has. */
bool nlw_ruleset(struct nlw *w, const struct ruleset *rs);

/* -- shared by its files ----------------------------------------------------------------------- */

/* Of the message that comes next. */
void nlw_say(struct nlw *w, const char *what);
size_t nlw_msg(struct nlw *w, uint16_t type, uint16_t flags, uint8_t family);
void nlw_msg_end(struct nlw *w, size_t at);
size_t nlw_nest(struct nlw *w, uint16_t type);
void nlw_nest_end(struct nlw *w, size_t at);
void nlw_put(struct nlw *w, uint16_t type, const void *p, size_t n);
void nlw_u32(struct nlw *w, uint16_t type, uint32_t v); /* network order, as the next */
void nlw_u64(struct nlw *w, uint16_t type, uint64_t v);
void nlw_str(struct nlw *w, uint16_t type, const char *s);
/* The id of a set or chain without a name in this batch. */
uint32_t nlw_id(struct nlw *w, const void *what);
/* A rule's or table's comment; userdata of one string. */
void nlw_comment(struct nlw *w, uint16_t type, uint8_t kind, const char *s);

/* nlwexpr.c */
bool nlw_expr(struct nlw *w, uint16_t type, const struct expr *e);
/* The attributes of an expression, without its name: for objects, too. */
bool nlw_expr_data(struct nlw *w, const struct expr *e);
void nlw_data(struct nlw *w, uint16_t type, const struct data *d);
void nlw_verdict(struct nlw *w, uint16_t type, const struct verdict *v);
/* nlwset.c */
bool nlw_set(struct nlw *w, const struct set *s);

#endif
