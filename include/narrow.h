/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * narrow: concatenations of ranges in which the value of one field leaves few elements.
 *
 * Such a set is searched by that field, and the few elements that are left are compared. Most sets
 * that people write are so: their networks do not overlap, or only a few times.
 */
#ifndef N2B_NARROW_H
#define N2B_NARROW_H

#include "ruleset.h"

/* Elements that may be left, of n. */
#define NARROW_MAX 8u
static inline uint32_t narrow_max(uint32_t n)
{
	return n < 128 ? 4 : NARROW_MAX;
}

/*
 * The field, of n_fields of len[] bytes each padded to 4, of which one value is in the fewest of n
 * ranges of keys; in *most of them at most. Lowest and highest keys get another order.
 */
uint32_t narrow_best(const uint8_t **lo, const uint8_t **hi, uint32_t n, const uint8_t *len,
		     uint32_t n_fields, uint32_t *most);
/* The field by which the set is narrow; n_fields: none is. Catch-all elements do not count. */
uint32_t narrow_field(const struct set *s);

#endif
