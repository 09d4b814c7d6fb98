/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plain: the plainest plan for a ruleset: every filter chain of ip, ip6 and inet, a punt where a
 * rule cannot be lowered.
 */
#ifndef N2B_TESTS_PLAIN_H
#define N2B_TESTS_PLAIN_H

#include "build.h"

/* why, if not NULL, is called for every rule that gets a punt. */
struct plan *plain_plan(struct ruleset *rs,
			void (*why)(const struct rule *r, const struct expr *e, const char *words));

#endif
