/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nlout: netlink messages written by hand, for tests of what reads them. */
#ifndef TEST_NLOUT_H
#define TEST_NLOUT_H

#include <stdlib.h>

#include "frontend.h"

/*
 * A stream under construction; open messages and nests are patched with their length when they end.
 */
struct out {
	uint8_t b[16384];
	size_t n;
};

static inline void put(struct out *o, const void *p, size_t n)
{
	BUG_ON(o->n + n + 4 > sizeof(o->b));
	memcpy(o->b + o->n, p, n);
	o->n += n;
}

/* flags: of the message, in a transaction. */
static inline size_t msg_flags(struct out *o, uint16_t type, uint16_t flags)
{
	uint32_t hdr[4] = { 0, (uint32_t)(10 << 8 | type) | (uint32_t)flags << 16, 0, 0 };
	uint8_t gen[4] = { FAM_INET, 0, 0, 0 };
	size_t at = o->n;

	put(o, hdr, 16);
	put(o, gen, 4);
	return at;
}

static inline size_t msg(struct out *o, uint16_t type)
{
	return msg_flags(o, type, 0);
}

static inline void msg_end(struct out *o, size_t at)
{
	uint32_t len = (uint32_t)(o->n - at);

	memcpy(o->b + at, &len, 4);
}

static inline void attr(struct out *o, uint16_t type, const void *p, uint16_t n)
{
	uint16_t hdr[2] = { (uint16_t)(n + 4), type };

	put(o, hdr, 4);
	put(o, p, n);
	while (o->n % 4)
		o->b[o->n++] = 0;
}

static inline void str(struct out *o, uint16_t type, const char *s)
{
	attr(o, type, s, (uint16_t)(strlen(s) + 1));
}

static inline void num(struct out *o, uint16_t type, uint32_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	attr(o, type, b, 4);
}

static inline size_t nest(struct out *o, uint16_t type)
{
	uint16_t hdr[2] = { 0, (uint16_t)(type | 0x8000) };
	size_t at = o->n;

	put(o, hdr, 4);
	return at;
}

static inline void nest_end(struct out *o, size_t at)
{
	uint16_t len = (uint16_t)(o->n - at);

	memcpy(o->b + at, &len, 2);
}

/* A value, as keys of elements have it. */
static inline void value(struct out *o, uint16_t type, const void *p, uint16_t n)
{
	size_t at = nest(o, type);

	attr(o, 1, p, n);
	nest_end(o, at);
}

/* What stands around a transaction. */
static inline void control(struct out *o, uint16_t type)
{
	uint32_t hdr[5] = { 20, type, 0, 0, 10u << 24 };

	put(o, hdr, 20);
}

static inline struct ruleset *read_out(struct arena *a, struct diag *d, const uint8_t *b, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1); /* so that reading past the end is seen */
	struct ruleset *rs;

	diag_init(d, a);
	memcpy(exact, b, n);
	rs = frontend_read_netlink(a, d, "test", exact, n);
	free(exact);
	return rs;
}

#endif
