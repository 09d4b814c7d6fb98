/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exprs: what the printers of the bracket notation share. */
#ifndef N2B_EXPRS_H
#define N2B_EXPRS_H

#include "ruleset.h"

/* "0xXXXXXXXX 0xXX": four bytes a group, most significant byte of the value first. */
void exprs_data(struct sbuf *o, const uint8_t *b, unsigned int len, enum byte_order order);
void exprs_verdict(struct sbuf *o, const struct verdict *v);

/* Text is collected up to about so many bytes before it is written. */
#define EXPRS_FLUSH_AT (64u << 10)
void exprs_flush(struct sbuf *o, FILE *f);

/* exprsets.c: a set's head and its elements, in the order of keys. Writes to f as o fills. */
void exprs_set(struct sbuf *o, const struct set *s, FILE *f);

#endif
