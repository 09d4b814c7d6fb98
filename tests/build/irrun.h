/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * irrun: runs a program's IR on a described packet, as plainly as can be: sets are searched element
 * by element, pointers are numbers that say what they point to. For comparing the builder with the
 * interpreter of the hinge.
 */
#ifndef N2B_TESTS_IRRUN_H
#define N2B_TESTS_IRRUN_H

#include "interp.h"
#include "ir.h"

/* What the module's states remember between runs; by state number. */
struct irrun_state {
	uint64_t packets, bytes; /* counter; quota: bytes */
	uint64_t tokens, last;	 /* limit, ns */
	uint32_t next;		 /* numgen */
	bool started;
};

struct irrun {
	const struct ir_mod *m;
	struct irrun_state *states;
	const struct pkt *p;
	const struct ir_ins *end; /* the ret that ended the program */
	const char *cannot;	  /* what is not modelled; NULL: all was */
};
struct irrun *irrun_new(struct arena *a, const struct ir_mod *m);
/* 0 drop, 1 accept; -1: see cannot. */
int irrun_prog(struct irrun *r, const struct ir_fn *fn, const struct pkt *p);
/*
 * For whoever runs the packet's programs in another form: a field as IR would load it, a runtime
 * function.
 */
uint64_t irrun_field(struct irrun *r, enum ir_field f, uint64_t base, int64_t off);
uint64_t irrun_ip6_walk(const struct irrun *r);
/* fn: RT_*; at most 4 operands. */
uint64_t irrun_rt(struct irrun *r, uint32_t fn, const uint64_t *args);

#endif
