/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xtint: what the files that translate extensions of iptables share. */
#ifndef N2B_XTINT_H
#define N2B_XTINT_H

#include "xt.h"

/*
 * A match at work; its translation is built up in `out`. Values are loaded into one register,
 * X_REG.
 */
struct xt {
	struct arena *arena;
	struct loc loc;
	enum family family; /* FAM_IP or FAM_IP6 */
	/*
	 * the rule may see conntrack's templates, which other expressions do not take for entries
	 */
	bool templates;
	const uint8_t *info; /* of the size that xt.def says */
	uint32_t rev, *n_sets;
	const struct table *table;
	VEC(struct expr *) out;
};
#define X_REG  1u /* and two more where two values are needed at once */
#define X_REG2 2u
#define X_REG3 3u

/* What a match or target is translated by; families, protocol and size as in xt.def. */
struct xt_row {
	const char *name;
	uint32_t rev;
	int families, proto;
	uint32_t size;
	bool (*fn)(struct xt *x);
};
bool x_row_fits(const struct xt_row *r, const struct expr *e, enum family f);
/* Takes over what is translated; `out` is the caller's. */
void x_begin(struct xt *x, const struct expr *e);

/* The match's numbers at a byte offset, host order. */
uint16_t x_u16(const struct xt *x, uint32_t at);
uint32_t x_u32(const struct xt *x, uint32_t at);
uint64_t x_u64(const struct xt *x, uint32_t at);

/* Loads. */
void x_meta(struct xt *x, uint32_t key);
void x_ct(struct xt *x, uint32_t key, int dir); /* dir -1: none */
void x_payload(struct xt *x, enum payload_base base, uint32_t off, uint32_t len);
void x_need(struct xt *x, uint32_t len, bool strict);

/*
 * Changes and tests of what was loaded. A value is n bytes in the order in which the register has
 * them.
 */
void x_mask(struct xt *x, const void *mask, uint32_t n); /* nothing where it keeps all bits */
void x_swap(struct xt *x, uint32_t n); /* a host number of n bytes to network order */
void x_shift(struct xt *x, bool left, uint32_t by);
void x_cmp(struct xt *x, enum cmp_op op, const void *v, uint32_t n);
/* Network order numbers of n bytes; false: always or never true, which is not said. */
bool x_between(struct xt *x, uint64_t lo, uint64_t hi, uint32_t n, bool inv);

struct x_range {
	uint64_t lo, hi;
};
/* Sorted, those that touch joined; how many are left. */
uint32_t x_join(struct x_range *v, uint32_t n);
/* In one of the ranges, or in none; at most 64. */
bool x_among(struct xt *x, struct x_range *v, uint32_t n_ranges, uint32_t n, uint32_t type,
	     bool inv);
struct expr *x_expr(struct xt *x, enum expr_kind k);
struct set *x_set(struct xt *x, const struct x_range *v, uint32_t n_ranges, uint32_t n,
		  uint32_t type);

/* One of the matches in xt.def; false: this one cannot be said. */
#define M(name, rev, families, proto, size, fn) bool fn(struct xt *x);
#include "xt.def"
#undef M

#endif
