/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * setindex: a set of concatenated ranges as a chain of prefix lookups, one for each field, in one trie.
 *
 * A class is a list of elements that a key may still be in after some of its fields: class 0, before the first field, are all. A node says:
 * who comes to field `field` in class `class` with a value that begins with these bits goes on in class `to`, or, after the last
 * field, has found the element of that number. Nodes of one class never overlap as ranges, so the longest prefix is the only one that counts.
 *
 * In maps (set map "setN"): "setN" element number (u32) -> value; "setN_k" element number -> lowest key, highest key; "setN_i" the
 * trie, its key struct setindex_key; "setN_v" one u32, the version that lookups follow. A change writes the nodes of the next
 * version, then the version, and when no lookup can be under way that began before, takes the old nodes out.
 */
#ifndef N2B_SETINDEX_H
#define N2B_SETINDEX_H

#include "ruleset.h"

#define SETINDEX_FIELD_MAX 16 /* bytes of a field */
#define SETINDEX_NODES	   (1u << 24)

struct setindex_elem {
	uint32_t number;
	const uint8_t *lo, *hi; /* keys, each field padded to 4 bytes */
};
struct setindex_node {
	uint32_t field, class, to;
	uint32_t bits; /* of the value that count */
	uint8_t value[SETINDEX_FIELD_MAX];
};
struct setindex {
	VEC(struct setindex_node) nodes;
};

/* A key of the trie; prefix_len counts the bits of what follows it, the value's included. */
struct setindex_key {
	uint32_t prefix_len;
	uint32_t tag; /* version << 4 | field */
	uint32_t class;
	uint8_t value[SETINDEX_FIELD_MAX];
};
#define SETINDEX_KEY_BITS 64 /* before the value */

/* Elements in the order in which they count where they overlap. NULL, or why there is no index: in words, for `set NAME ...`. */
const char *setindex_build(struct arena *a, const struct setindex_elem *v, uint32_t n,
			   uint32_t n_fields, const uint8_t *field_len, bool timeouts,
			   struct setindex *out);
void setindex_key(const struct setindex_node *node, uint32_t version, struct setindex_key *k);

/* Whether the set, if it lives in maps, does so with an index; and whether its elements of today have one (NULL: yes). */
bool setindex_is_for(const struct set *s);
const char *setindex_check(const struct set *s);
/* The same for the elements of a set; numbers are places in s->elems + 1. */
const char *setindex_of(struct arena *a, const struct set *s, struct setindex *out);

#endif
