// SPDX-License-Identifier: GPL-2.0-or-later
/* nlattr: netlink attributes: walked, counted, read. */
#include "nl.h"

#define NLA_HDR	      4u
#define NLA_TYPE_BITS 0x3fffu /* without "nested" and "network order" */

bool nl_error(struct nl_reader *rd, const char *fmt, ...)
{
	struct loc none = { 0 };
	va_list ap;

	va_start(ap, fmt);
	diag_verror(rd->diag, DIAG_ERROR, rd->loc, none, fmt, ap);
	va_end(ap);
	return false;
}

bool nl_bad(struct nl_reader *rd, const char *what)
{
	return nl_error(rd, "malformed netlink message: %s", what);
}

bool nl_next(struct nl_attr *list, unsigned int *type, struct nl_attr *out, bool *bad)
{
	uint16_t len, t;
	uint32_t step;

	if (!list->len)
		return false;
	if (list->len < NLA_HDR) {
		*bad = true;
		return false;
	}
	memcpy(&len, list->p, 2);
	memcpy(&t, list->p + 2, 2);
	if (len < NLA_HDR || len > list->len) {
		*bad = true;
		return false;
	}
	*type = t & NLA_TYPE_BITS;
	out->p = list->p + NLA_HDR;
	out->len = len - NLA_HDR;
	step = MIN(ALIGN_UP((uint32_t)len, 4), list->len); /* the last one may lack its padding */
	list->p += step;
	list->len -= step;
	return true;
}

enum nl_walk nl_walk(struct nl_attr in, struct nl_attr *tb, unsigned int n)
{
	enum nl_walk r = NL_OK;
	struct nl_attr a;
	unsigned int type;
	bool bad = false;

	memset(tb, 0, n * sizeof(*tb));
	while (nl_next(&in, &type, &a, &bad)) {
		if (!type || type >= n || tb[type].p)
			r = NL_UNKNOWN;
		else
			tb[type] = a;
	}
	return bad ? NL_BAD : r;
}

bool nl_table_of(struct nl_reader *rd, struct nl_attr in, struct nl_attr *tb, unsigned int n,
		 const char *what)
{
	switch (nl_walk(in, tb, n)) {
	case NL_OK:
		return true;
	case NL_UNKNOWN:
		return nl_error(rd, "%s has an attribute that this version does not know", what);
	default:
		return nl_bad(rd, what);
	}
}

bool nl_u8(struct nl_attr a, uint8_t *v)
{
	if (!a.p || a.len != 1)
		return false;
	*v = a.p[0];
	return true;
}

bool nl_u16(struct nl_attr a, uint16_t *v)
{
	if (!a.p || a.len != 2)
		return false;
	*v = (uint16_t)(a.p[0] << 8 | a.p[1]);
	return true;
}

bool nl_u32(struct nl_attr a, uint32_t *v)
{
	if (!a.p || a.len != 4)
		return false;
	*v = (uint32_t)a.p[0] << 24 | (uint32_t)a.p[1] << 16 | (uint32_t)a.p[2] << 8 | a.p[3];
	return true;
}

bool nl_u64(struct nl_attr a, uint64_t *v)
{
	if (!a.p || a.len != 8)
		return false;
	*v = 0;
	for (unsigned int i = 0; i < 8; i++)
		*v = *v << 8 | a.p[i];
	return true;
}

/*
 * A string ends at its NUL, which must be the last byte, or at the end. Refused is what nft's
 * quotation marks cannot hold.
 */
const char *nl_str(struct nl_reader *rd, struct nl_attr a)
{
	uint32_t n;

	if (!a.p)
		return NULL;
	n = (uint32_t)strnlen((const char *)a.p, a.len);
	if (!n || n + 1 < a.len || !text_is_clean((const char *)a.p, n) || memchr(a.p, '"', n) ||
	    memchr(a.p, '\n', n))
		return NULL;
	return arena_strndup(rd->arena, (const char *)a.p, n);
}

/* A name that nft's text can say: the fallback must. */
const char *nl_name(struct nl_reader *rd, struct nl_attr a)
{
	const char *s = nl_str(rd, a);
	size_t n = s ? strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "_./\\-%")
		     : 0;

	if (s && !s[n] && !strchr("0123456789/-\\%", s[0]))
		return s;
	if (s)
		nl_error(rd, "\"%s\" is no name that nft could write: give it another", s);
	return NULL;
}

struct nl_attr nl_udata(struct nl_attr a, unsigned int type)
{
	while (a.p && a.len >= 2) {
		uint32_t len = a.p[1];

		if (len > a.len - 2)
			break;
		if (a.p[0] == type)
			return (struct nl_attr){ a.p + 2, len };
		a.p += 2 + len;
		a.len -= 2 + len;
	}
	return (struct nl_attr){ 0 };
}

const char *nl_udata_str(struct nl_reader *rd, struct nl_attr a, unsigned int type)
{
	return nl_str(rd, nl_udata(a, type));
}
