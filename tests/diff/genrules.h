/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * genrules: random rulesets that cannot run in BPF as a whole, for the proof of the splitter:
 * jumps, gotos, verdict maps, returns, counters, limits, logs, rejects and writes in all positions.
 * The same seed gives the same text.
 */
#ifndef N2B_GENRULES_H
#define N2B_GENRULES_H

#include "base.h"

const char *genrules(struct arena *a, uint32_t seed);

#endif
