/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * irinterp: runs IR, for the tests: what a pass makes must decide and do the same as what it was
 * made from.
 *
 * The environment answers for everything outside of the program: fields, packet bytes, sets,
 * states, runtime functions. Pointers and elements are the environment's own numbers, of which the
 * program only asks whether they are 0; ldf through 0 is 0 here. Pure questions must get the same
 * answer throughout a run, whether asked once or often; bytes past the packet may be anything, but
 * the same anything.
 */
#ifndef N2B_IRINTERP_H
#define N2B_IRINTERP_H

#include "ir.h"

struct ir_env {
	void *data; /* the environment's own, first argument of all */
	uint64_t (*ctx)(void *data);
	/* size bytes of field f, from byte off on, of the structure at base (never 0). */
	uint64_t (*ldf)(void *data, enum ir_field f, uint64_t base, int64_t off, uint32_t size);
	uint8_t (*byte)(void *data, uint64_t off); /* of the packet, from the network header */
	/* look and clook: 0 or the element; words of the key as registers hold them. */
	uint64_t (*look)(void *data, uint32_t set, const uint64_t *words, uint32_t n);
	uint32_t (*eldw)(void *data, uint32_t set, uint64_t elem, int64_t word);
	bool (*eltest)(void *data, uint32_t set, uint64_t elem, uint32_t len);
	/*
	 * count, limit, quota, last, numgen; arg: the packet's length where the op has it. Result
	 * where the op has one.
	 */
	uint32_t (*state)(void *data, enum ir_op op, uint32_t state, uint32_t arg);
	bool (*dynset)(void *data, uint32_t dynset, const uint64_t *words, uint32_t n);
	uint64_t (*rt)(void *data, enum ir_op op, uint32_t fn, const uint64_t *words, uint32_t n);
};

/* What the function returns; IR_INTERP_STUCK after `steps` instructions. */
#define IR_INTERP_STUCK UINT32_MAX
uint32_t ir_interp(const struct ir_fn *fn, const struct ir_env *env, uint64_t steps);

#endif
