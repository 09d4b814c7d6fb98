/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmrun: runs generated instructions in user space, with their relocations as symbols: fields are
 * asked of the described packet, maps are plain memory, runtime functions are modelled.
 */
#ifndef N2B_TESTS_VMRUN_H
#define N2B_TESTS_VMRUN_H

#include "../build/irrun.h"
#include "codegen.h"

struct vmrun {
	struct obj_file *o;
	struct irrun *env;  /* answers for the packet */
	uint8_t **maps;	    /* memory of array maps, by map */
	const char *cannot; /* what is not modelled; NULL: all was */
	const char *fault;  /* what no verifier would have let pass; NULL: none */
	uint32_t data_len;  /* bytes of the packet that are not linear */
	uint64_t steps;
};
struct vmrun *vmrun_new(struct arena *a, struct obj_file *o, struct irrun *env);
/* r0 as the program returns it; see cannot and fault. */
uint64_t vmrun_prog(struct vmrun *v, uint32_t fn, const struct pkt *p);

#endif
