/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * setindex: a set of concatenated ranges as a chain of prefix lookups, one for each field, in one
 * trie.
 *
 * A class is a list of elements that a key may still be in after some of its fields; its name is a
 * hash of their numbers. Class 0, before the first field, are all. A node says: who comes to field
 * `field` in class `class` with a value that begins with these bits goes on in class `to`, or,
 * after the last field, has found the element of that number. Nodes of one class never overlap as
 * ranges, so the longest prefix is the only one that counts.
 *
 * In maps (set map "setN"): "setN" element number (u32) -> value; "setN_k" element number -> lowest
 * key, highest key; "setN_i" the trie, its key struct setindex_key, its value a u64; "setN_v" one
 * u32, not 0 while a change is being made.
 *
 * The nodes of a class never change while it is in use: what follows a node depends on the name
 * alone. So a change writes the nodes of new classes, then those of class 0, which lead to them,
 * and when no lookup can be under way that began before, takes out what no node leads to any more.
 * A lookup, which meets one node of class 0, sees all as it was or all as it will be.
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
	uint32_t field;
	uint32_t bits; /* of the value that count */
	uint64_t class, to;
	uint8_t value[SETINDEX_FIELD_MAX];
};
struct setindex {
	VEC(struct setindex_node) nodes;
};

/* A key of the trie; prefix_len counts the bits of what follows it, the value's included. */
struct setindex_key {
	uint32_t prefix_len;
	uint32_t field;
	uint64_t class;
	uint8_t value[SETINDEX_FIELD_MAX];
};
#define SETINDEX_KEY_BITS 96 /* before the value */

/*
 * Elements in the order in which they count where they overlap. NULL, or why there is no index: in
 * words, for `set NAME ...`.
 */
const char *setindex_build(struct arena *a, const struct setindex_elem *v, uint32_t n,
			   uint32_t n_fields, const uint8_t *field_len, bool timeouts,
			   struct setindex *out);
void setindex_key(const struct setindex_node *node, struct setindex_key *k);

/*
 * Whether the set, if it lives in maps, does so with an index; and whether its elements of today
 * have one (NULL: yes).
 */
bool setindex_is_for(const struct set *s);
const char *setindex_check(const struct set *s);
/* The same for the elements of a set; numbers are places in s->elems + 1. */
const char *setindex_of(struct arena *a, const struct set *s, struct setindex *out);

#endif
