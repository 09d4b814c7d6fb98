/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xt: extensions of iptables (nft_compat's match) said in nf_tables' own expressions.
 *
 * Each match is translated by its name, revision and size (xt.def), exactly: the packets that it
 * matches, the state that it keeps, and the packets that it drops at once because they end within
 * their transport header (EX_XTNEED). What cannot be said so stays EX_MATCH; targets stay
 * EX_TARGET. A translated rule keeps the kernel's expressions in rule.xt.
 */
#ifndef N2B_XT_H
#define N2B_XT_H

#include "ruleset.h"

void xt_translate(struct ruleset *rs);
/* The name of the only table in which the kernel takes a target; NULL: it takes it in any. */
const char *xt_target_table(const struct expr *e);
/*
 * Says such targets in nf_tables' own expressions, in what is to be loaded (rule_kernel()), so that
 * tables may have other names. The first rule whose target cannot be said so, NULL: none.
 */
const struct rule *xt_free_targets(struct ruleset *rs);

#endif
