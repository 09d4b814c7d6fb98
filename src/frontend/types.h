/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * types: nft's datatypes: numbers (as set attributes carry them), sizes, byte orders, and how a
 * word becomes a value.
 *
 * A value is a number of up to 128 bits, independent of byte order. Strings are numbers too: their
 * bytes left-aligned in the type's width, the first most significant.
 */
#ifndef N2B_TYPES_H
#define N2B_TYPES_H

#include "ruleset.h"

__extension__ typedef unsigned __int128 u128;

enum type_num {
#define T(num, id, ...) TYPE_##id = (num),
#include "types.def"
#undef T
	TYPE_CONCAT = 0x1000 /* dtype.n fields; the packed number is dtype.packed */
};
enum type_base { BASE_NONE, BASE_INTEGER, BASE_STRING, BASE_BITMASK, BASE_VERDICT };

struct symval {
	const char *name;
	uint32_t value;
};

#define CONCAT_MAX 16 /* fields, as 16 registers of 4 bytes hold them */
struct dtype {
	uint32_t num;
	const char *name, *desc;
	enum type_base base;
	enum byte_order order;
	uint32_t bits; /* 0: not fixed */
	const struct symval *syms;
	/* TYPE_CONCAT: */
	uint32_t n;
	const struct dtype *field[CONCAT_MAX];
	uint32_t packed; /* 6 bits for each field, as nft packs them */
};

/* What is parsed on this machine (files, users, names) is looked up once a run. */
struct lookups {
	struct arena *arena;
	struct strmap services, protocols, names;
};
void lookups_init(struct lookups *l, struct arena *a);

const struct dtype *type_of(enum type_num n);
const struct dtype *type_by_name(const char *name); /* NULL: no such type */
bool type_is_integer(const struct dtype *t);	    /* integer or bitmask underneath */
bool takes_numbers(const struct dtype *t);	    /* a number without a type is one of these */
bool type_equal(const struct dtype *a, const struct dtype *b);
bool type_compatible(const struct dtype *want,
		     const struct dtype *t); /* a mark is any number but a hardware address */
uint32_t type_number(const struct dtype *t); /* what NFTA_SET_KEY_TYPE holds */
/* A concatenation of n types; its name is "a . b". */
const struct dtype *type_concat(struct arena *a, const struct dtype *const *f, uint32_t n);

/*
 * The value of a word as type t; *bits its width (strings: 8 for each byte). NULL when it is one,
 * else the reason why not. The reason lives in the arena of l.
 */
const char *type_parse(struct lookups *l, const struct dtype *t, const char *text, u128 *val,
		       uint32_t *bits);
bool parse_u128(const char *s, u128 *val); /* decimal, 0x, 0-octal, 0b is not a number */
char *u128_text(struct arena *a, u128 v);
/* The name that this machine's files give a realm, mark, label or group of devices; NULL: none. */
const char *type_file_name(struct arena *a, enum type_num t, int num);
/* The nearest word of a type's symbols, for "did you mean"; NULL: none is near. */
const char *type_suggest(const struct dtype *t, const char *text);
u128 ones(uint32_t bits);
/* Bytes of a value: bits rounded up to bytes, in the byte order. */
struct data value_data(u128 v, uint32_t bits, enum byte_order order);

#endif
