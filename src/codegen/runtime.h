/* SPDX-License-Identifier: GPL-2.0-or-later */
/* runtime: the objects of bpf/ as bytes in the compiler. */
#ifndef N2B_RUNTIME_OBJS_H
#define N2B_RUNTIME_OBJS_H

#include "base.h"

struct rt_obj {
	const char *name;     /* "pull": of bpf/pull.bpf.c */
	const uint8_t *bytes; /* an ELF file */
	size_t len;
};

/* [0] is "types": looked into for structures and prototypes, never linked. */
extern const struct rt_obj rt_objs[];
extern const uint32_t n_rt_objs;

#endif
