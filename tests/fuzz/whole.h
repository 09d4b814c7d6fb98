/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * whole: what the fuzzers share: the stages behind a front end, with every check on, their output
 * thrown away.
 */
#ifndef FUZZ_WHOLE_H
#define FUZZ_WHOLE_H

#include "frontend.h"
#include "ir.h"

/* An arena and its diagnostics for one input; fuzz_end() prints and frees them. */
struct fuzz {
	struct arena *arena;
	struct diag diag;
};
void fuzz_begin(struct fuzz *z);
void fuzz_end(struct fuzz *z);
/* Ruleset to instructions; `how` chooses among the options. NULL is taken and ends at once. */
void fuzz_ruleset(struct fuzz *z, struct ruleset *rs, unsigned how);
/* IR to instructions; m has passed the verifier. */
void fuzz_module(struct ir_mod *m, unsigned how);
/* A number that depends on the bytes alone. */
unsigned fuzz_how(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
