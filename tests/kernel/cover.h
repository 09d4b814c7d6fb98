/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cover: which kinds of expressions the packets of the kernel suite have made match, not match and
 * break.
 *
 * The kernel itself is asked. The ruleset of its side gets a counter before and behind each
 * expression: how often an expression ended its rule is the difference. A load is credited with
 * what the comparison of its register said. A verdict map ends its rule in any case: a rule before
 * it looks the key up in a set of the same keys. The counters are taken out again before the rules'
 * own are compared.
 */
#ifndef N2B_COVER_H
#define N2B_COVER_H

#include "ruleset.h"

#define COVER_NAME 64

/* A row's name for an expression. */
bool cover_name(const struct expr *e, char *name);
/* All rows that there are, whether or not any ruleset has them. */
typedef void cover_fn(void *arg, const char *name);
void cover_all(cover_fn *fn, void *arg);

struct cover;
struct cover *cover_new(struct arena *a);
/* Puts the counters into a ruleset that is read for that alone. */
void cover_put(struct ruleset *rs);
/*
 * Takes what they have counted, and them out of what the kernel says it has. False: these are not
 * the same rules.
 */
bool cover_take(struct cover *c, const struct ruleset *put, struct ruleset *live);
/* Prints the table. How many cells are empty without an explanation, or explained but not empty. */
uint32_t cover_print(struct cover *c, FILE *f);

#endif
