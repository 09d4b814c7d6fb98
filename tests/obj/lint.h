/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lint: whether an object is sound, as far as can be told without loading it. */
#ifndef N2B_TEST_OBJ_LINT_H
#define N2B_TEST_OBJ_LINT_H

#include <stddef.h>
#include <stdint.h>

/*
 * libbpf opens it, its linker takes it, offsets are aligned, rising and in range. The first fault's
 * words (static), or NULL.
 */
const char *lint_object(const char *path);
/* The instruction offset of the first CO-RE record in an object's bytes; NULL: there is none. */
uint32_t *lint_first_core(uint8_t *elf, size_t n);

#endif
