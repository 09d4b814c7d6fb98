// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xtmatch: matches of iptables on headers and on what the kernel notes of a packet, in nf_tables'
 * expressions.
 */
#include <linux/if_arp.h>
#include <string.h>

#include "xtint.h"

#define TYPE_PORT 13u /* nft's inet_service */
#define TYPE_INT  4u  /* integer */

/*
 * A range of ports at an offset of the transport header; all ports: nothing to ask. False: no
 * packet, or no sense.
 */
static bool ports(struct xt *x, uint32_t off, uint16_t lo, uint16_t hi, bool inv)
{
	if (!lo && hi == UINT16_MAX)
		return !inv;
	x_payload(x, PB_TRANSPORT, off, 2);
	return x_between(x, lo, hi, 2, inv);
}

bool xt_comment(struct xt *x)
{
	return true;
}

/* -- transport headers ------------------------------------------------------------------------- */

/*
 * u16 spts[2], dpts[2]; u8 option, flg_mask, flg_cmp, invflags. An option is asked for in a way of
 * its own.
 */
bool xt_tcp(struct xt *x)
{
	uint8_t option = x->info[8], mask = x->info[9], want = x->info[10], inv = x->info[11];

	if (option)
		return false;
	x_need(x, 20, true);
	if (!ports(x, 0, x_u16(x, 0), x_u16(x, 2), inv & 1) ||
	    !ports(x, 2, x_u16(x, 4), x_u16(x, 6), inv & 2))
		return false;
	if (!mask && !want && !(inv & 4))
		return true;
	x_payload(x, PB_TRANSPORT, 13, 1);
	x_mask(x, &mask, 1);
	x_cmp(x, inv & 4 ? CMP_NEQ : CMP_EQ, &want, 1);
	return true;
}

/* u16 spts[2], dpts[2]; u8 invflags */
bool xt_udp(struct xt *x)
{
	uint8_t inv = x->info[8];

	x_need(x, 8, false);
	return ports(x, 0, x_u16(x, 0), x_u16(x, 2), inv & 1) &&
	       ports(x, 2, x_u16(x, 4), x_u16(x, 6), inv & 2);
}

/* u8 type, code[2], invflags: type and code are one number, of which a type has a range. */
static bool icmp(struct xt *x)
{
	uint8_t type = x->info[0], lo = x->info[1], hi = x->info[2], inv = x->info[3] & 1;

	if (!lo && hi == UINT8_MAX) {
		x_payload(x, PB_TRANSPORT, 0, 1);
		x_cmp(x, inv ? CMP_NEQ : CMP_EQ, &type, 1);
		return true;
	}
	x_payload(x, PB_TRANSPORT, 0, 2);
	return x_between(x, (uint64_t)type << 8 | lo, (uint64_t)type << 8 | hi, 2, inv);
}

bool xt_icmp(struct xt *x)
{
	x_need(x, 8, false);
	if (x->info[0] == 0xff) /* any type */
		return !(x->info[3] & 1);
	return icmp(x);
}

bool xt_icmp6(struct xt *x)
{
	x_need(x, 8, false);
	return icmp(x);
}

/* u16 dpts[2], spts[2]; chunks; u32 flags, invflags */
bool xt_sctp(struct xt *x)
{
	uint32_t flags = x_u32(x, 284), inv = x_u32(x, 288);

	if (flags & 4) /* chunks */
		return false;
	x_need(x, 12, false);
	return (!(flags & 1) || ports(x, 0, x_u16(x, 4), x_u16(x, 6), inv & 1)) &&
	       (!(flags & 2) || ports(x, 2, x_u16(x, 0), x_u16(x, 2), inv & 2));
}

/*
 * u16 dpts[2], spts[2], flags, invflags, typemask; u8 option. The type stands in bits 1 to 4 of
 * byte 8.
 */
bool xt_dccp(struct xt *x)
{
	uint16_t flags = x_u16(x, 8), inv = x_u16(x, 10), types = x_u16(x, 12);
	struct x_range v[16];
	uint8_t mask = 0x1e;
	uint32_t n = 0;

	if (flags & 8) /* an option */
		return false;
	x_need(x, 12, false);
	if ((flags & 1 && !ports(x, 0, x_u16(x, 4), x_u16(x, 6), inv & 1)) ||
	    (flags & 2 && !ports(x, 2, x_u16(x, 0), x_u16(x, 2), inv & 2)))
		return false;
	if (!(flags & 4))
		return true;
	for (uint32_t i = 0; i < 16; i++)
		if (types >> i & 1)
			v[n++] = (struct x_range){ i << 1, i << 1 };
	x_payload(x, PB_TRANSPORT, 8, 1);
	x_mask(x, &mask, 1);
	return x_among(x, v, n, 1, TYPE_INT, inv & 4);
}

/* u32 spis[2]; u8 invflags */
static bool spis(struct xt *x, uint32_t off)
{
	bool inv = x->info[8] & 1;

	if (!x_u32(x, 0) && x_u32(x, 4) == UINT32_MAX)
		return !inv;
	x_payload(x, PB_TRANSPORT, off, 4);
	return x_between(x, x_u32(x, 0), x_u32(x, 4), 4, inv);
}

bool xt_esp(struct xt *x)
{
	x_need(x, 8, false);
	return spis(x, 0);
}

bool xt_ah(struct xt *x)
{
	x_need(x, 12, false);
	return spis(x, 4);
}

/* -- multiport --------------------------------------------------------------------------------- */

/*
 * A map that says 1 for ports of the ranges and 0 for all others, looked up for the port in X_REG.
 */
static void port_flag(struct xt *x, const struct x_range *v, uint32_t n, uint8_t dreg)
{
	struct set *s = x_set(x, v, n, 2, TYPE_PORT);
	struct set_elem *rest = arena_new_of(x->arena, struct set_elem);
	struct expr *e = x_expr(x, EX_LOOKUP);
	uint32_t one = 1, zero = 0;

	vec_foreach(&s->elems, el)
		(*el)->data = data_bytes(&one, 4);
	rest->catchall = true;
	rest->data = data_bytes(&zero, 4);
	*vec_push(x->arena, &s->elems) = rest;
	s->flags |= SET_MAP;
	s->data_type = TYPE_INT;
	s->data_len = 4;
	e->lookup.sreg = X_REG;
	e->lookup.dreg = dreg;
	e->lookup.set = s;
}

/* Source or destination in the ranges. */
static bool either(struct xt *x, struct x_range *v, uint32_t n)
{
	uint32_t zero = 0;
	struct expr *e;

	n = x_join(v, n);
	x_payload(x, PB_TRANSPORT, 0, 2);
	port_flag(x, v, n, X_REG2);
	x_payload(x, PB_TRANSPORT, 2, 2);
	port_flag(x, v, n, X_REG3);
	e = x_expr(x, EX_BITWISE);
	e->bitwise.op = BW_OR;
	e->bitwise.len = 4;
	e->bitwise.sreg = X_REG2;
	e->bitwise.sreg2 = X_REG3;
	e->bitwise.dreg = X_REG;
	x_cmp(x, CMP_NEQ, &zero, 4);
	return true;
}

/*
 * u8 flags (source, destination, either), count; u16 ports[15]; u8 pflags[15], invert. A flagged
 * port begins a range.
 */
bool xt_multiport(struct xt *x)
{
	uint8_t which = x->info[0], count = x->info[1], inv = x->info[47];
	struct x_range v[15], again[15];
	uint32_t n = 0;

	if (which > 2 || !count || count > 15 || inv > 1)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint16_t lo = x_u16(x, 2 + 2 * i), hi = lo;

		if (x->info[32 + i]) {
			if (++i >= count || x->info[32 + i])
				return false;
			hi = x_u16(x, 2 + 2 * i);
		}
		if (lo > hi)
			return false;
		v[n++] = (struct x_range){ lo, hi };
	}
	memcpy(again, v, sizeof(v));
	x_need(x, 4, false);
	if (which == 2 && !inv)
		return either(x, v, n);
	if (which != 1) {
		x_payload(x, PB_TRANSPORT, 0, 2);
		if (!x_among(x, v, n, 2, TYPE_PORT, inv))
			return false;
	}
	if (which == 0)
		return true;
	x_payload(x, PB_TRANSPORT, 2, 2);
	return x_among(x, again, n, 2, TYPE_PORT, inv);
}

/* -- network headers --------------------------------------------------------------------------- */

static int order(const uint8_t *a, const uint8_t *b, uint32_t n)
{
	return memcmp(a, b, n);
}

/* An address between two others, both in network order. */
static bool address(struct xt *x, uint32_t off, const uint8_t *lo, const uint8_t *hi, bool inv)
{
	uint32_t n = x->family == FAM_IP ? 4 : 16;
	struct expr *e;

	if (order(lo, hi, n) > 0)
		return false;
	x_payload(x, PB_NETWORK, off, n);
	if (!order(lo, hi, n)) {
		x_cmp(x, inv ? CMP_NEQ : CMP_EQ, lo, n);
		return true;
	}
	e = x_expr(x, EX_RANGE);
	e->range.sreg = X_REG;
	e->range.op = inv ? RANGE_NEQ : RANGE_EQ;
	e->range.from = data_bytes(lo, n);
	e->range.to = data_bytes(hi, n);
	return true;
}

/* src_min, src_max, dst_min, dst_max, 16 bytes each; u8 flags */
bool xt_iprange(struct xt *x)
{
	bool v4 = x->family == FAM_IP;
	uint8_t flags = x->info[64];

	if (flags & ~0x33u)
		return false;
	if (flags & 1 && !address(x, v4 ? 12 : 8, x->info, x->info + 16, flags & 0x10))
		return false;
	return !(flags & 2) || address(x, v4 ? 16 : 24, x->info + 32, x->info + 48, flags & 0x20);
}

/*
 * u16 min, max; u8 invert. Of IPv4 the header's own length counts, which is 0 in the packets over
 * 64K that some cards take; where 0 would be within, the packet's length is asked instead.
 */
bool xt_length(struct xt *x)
{
	uint16_t lo = x_u16(x, 0), hi = x_u16(x, 2);
	bool inv = x->info[4];

	if (x->family == FAM_IP && lo) {
		x_payload(x, PB_NETWORK, 2, 2);
		return x_between(x, lo, hi, 2, inv);
	}
	x_meta(x, KEY_META_LEN);
	x_swap(x, 4);
	return x_between(x, lo, hi, 4, inv);
}

/* u8 mode (eq, ne, lt, gt), limit */
static bool hops(struct xt *x, uint32_t off)
{
	static const enum cmp_op ops[] = { CMP_EQ, CMP_NEQ, CMP_LT, CMP_GT };

	if (x->info[0] >= ARRAY_SIZE(ops))
		return false;
	x_payload(x, PB_NETWORK, off, 1);
	x_cmp(x, ops[x->info[0]], x->info + 1, 1);
	return true;
}

bool xt_ttl(struct xt *x)
{
	return hops(x, 8);
}

bool xt_hl(struct xt *x)
{
	return hops(x, 7);
}

/* The type of service; of IPv6 it lies across two bytes. */
static void service(struct xt *x, uint8_t mask, uint8_t want, bool inv)
{
	uint8_t m[2] = { mask >> 4, (uint8_t)(mask << 4) };
	uint8_t v[2] = { want >> 4, (uint8_t)(want << 4) };
	bool v4 = x->family == FAM_IP;

	x_payload(x, PB_NETWORK, v4, v4 ? 1 : 2);
	x_mask(x, v4 ? &mask : m, v4 ? 1 : 2);
	x_cmp(x, inv ? CMP_NEQ : CMP_EQ, v4 ? &want : v, v4 ? 1 : 2);
}

/* u8 dscp, invert */
bool xt_dscp(struct xt *x)
{
	if (x->info[0] > 63)
		return false;
	service(x, 0xfc, (uint8_t)(x->info[0] << 2), x->info[1]);
	return true;
}

/* u8 tos_mask, tos_value, invert */
bool xt_tos(struct xt *x)
{
	service(x, x->info[0], x->info[1], x->info[2]);
	return true;
}

/*
 * u8 operation, invert, ip_ect. The flags of TCP are read in fragments, too: they have no
 * translation.
 */
bool xt_ecn(struct xt *x)
{
	if (x->info[0] != 1 || x->info[2] > 3)
		return false;
	service(x, 3, x->info[2], x->info[1] & 1);
	return true;
}

/*
 * u16 source, dest; u32 flags (1, 2: inverted). Only whether an IPv6 address is multicast shows in
 * the address.
 */
bool xt_addrtype6(struct xt *x)
{
	uint16_t source = x_u16(x, 0), dest = x_u16(x, 2);
	uint32_t flags = x_u32(x, 4);
	uint8_t ff = 0xff;

	if ((source && source != 1 << 5) || (dest && dest != 1 << 5) || (!source && !dest))
		return false;
	if (source) {
		x_payload(x, PB_NETWORK, 8, 1);
		x_cmp(x, flags & 1 ? CMP_NEQ : CMP_EQ, &ff, 1);
	}
	if (dest) {
		x_payload(x, PB_NETWORK, 24, 1);
		x_cmp(x, flags & 2 ? CMP_NEQ : CMP_EQ, &ff, 1);
	}
	return true;
}

/* -- u32 --------------------------------------------------------------------------------------- */

/* Bytes of one test: 11 of { u32 number; u8 op }, 11 of { u32 min, max }, u8 nnums, nvalues. */
#define U32_TEST  180u
#define U32_VALUE 88u
#define U32_FAR	  200u /* further than that nft has no words for */

/*
 * Operations on the number read, in host order; the number @ which another is to be read has no
 * translation.
 */
static bool u32_ops(struct xt *x, uint32_t at, uint32_t n)
{
	bool swapped = false;

	for (uint32_t i = 1; i < n; i++) {
		uint32_t v = x_u32(x, at + 8 * i), op = x->info[at + 8 * i + 4];

		if (op > 2 || (op && v > 31))
			return false;
		if (!swapped)
			x_swap(x, 4);
		swapped = true;
		if (!op)
			x_mask(x, &v, 4);
		else if (v)
			x_shift(x, op == 1, v);
	}
	if (swapped)
		x_swap(x, 4);
	return true;
}

static bool u32_test(struct xt *x, uint32_t at)
{
	uint8_t n = x->info[at + 176], n_values = x->info[at + 177];
	uint32_t pos = x_u32(x, at);
	struct x_range v[11];

	if (!n || n > 11 || !n_values || n_values > 11 || pos > U32_FAR)
		return false;
	x_payload(x, PB_NETWORK, pos, 4);
	if (!u32_ops(x, at, n))
		return false;
	for (uint32_t i = 0; i < n_values; i++) {
		v[i].lo = x_u32(x, at + U32_VALUE + 8 * i);
		v[i].hi = x_u32(x, at + U32_VALUE + 8 * i + 4);
		if (v[i].lo > v[i].hi)
			return false;
	}
	return x_among(x, v, n_values, 4, TYPE_INT, false);
}

/* tests[11]; u8 ntests, invert */
bool xt_u32(struct xt *x)
{
	uint8_t n = x->info[1980];

	if (!n || n > 11 || x->info[1981])
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!u32_test(x, i * U32_TEST))
			return false;
	return true;
}

/* -- what the kernel notes of a packet --------------------------------------------------------- */

static bool marked(struct xt *x)
{
	uint32_t mark = x_u32(x, 0), mask = x_u32(x, 4);

	x_mask(x, &mask, 4);
	x_cmp(x, x->info[8] ? CMP_NEQ : CMP_EQ, &mark, 4);
	return x->info[8] <= 1;
}

/* u32 mark, mask; u8 invert */
bool xt_mark(struct xt *x)
{
	x_meta(x, KEY_META_MARK);
	return marked(x);
}

bool xt_connmark(struct xt *x)
{
	if (x->templates)
		return false;
	x_ct(x, KEY_CT_MARK, -1);
	return marked(x);
}

/* u8 srcaddr[6]; int invert */
bool xt_mac(struct xt *x)
{
	uint16_t ether = ARPHRD_ETHER;

	x_meta(x, KEY_META_IIFTYPE);
	x_cmp(x, CMP_EQ, &ether, 2);
	x_payload(x, PB_LL, 6, 6);
	x_cmp(x, x_u32(x, 8) ? CMP_NEQ : CMP_EQ, x->info, 6);
	return x_u32(x, 8) <= 1;
}

/* int pkttype, invert */
bool xt_pkttype(struct xt *x)
{
	uint8_t type = x->info[0];

	if (x_u32(x, 0) > 7 || x_u32(x, 4) > 1)
		return false;
	x_meta(x, KEY_META_PKTTYPE);
	x_cmp(x, x_u32(x, 4) ? CMP_NEQ : CMP_EQ, &type, 1);
	return true;
}

static bool owner_range(struct xt *x, uint32_t key, uint32_t at)
{
	uint32_t lo = x_u32(x, at), hi = x_u32(x, at + 4);

	x_meta(x, key);
	if (lo == hi) {
		x_cmp(x, CMP_EQ, &lo, 4);
		return true;
	}
	x_swap(x, 4);
	return x_between(x, lo, hi, 4, false);
}

/*
 * u32 uid_min, uid_max, gid_min, gid_max; u8 match, invert (1 uid, 2 gid, 4 has a socket, 8 further
 * groups). Inverted ones match packets without a socket, too, for which nf_tables knows no owner.
 */
bool xt_owner(struct xt *x)
{
	uint8_t match = x->info[16];

	if (x->info[17] || !match || match & ~3u)
		return false;
	return (!(match & 1) || owner_range(x, KEY_META_SKUID, 0)) &&
	       (!(match & 2) || owner_range(x, KEY_META_SKGID, 8));
}

/* u16 mode (random, nth), flags; u32 probability, or every, packet, count */
bool xt_statistic(struct xt *x)
{
	uint32_t p = x_u32(x, 4), count = x_u32(x, 12), mask = INT32_MAX, at;
	bool inv = x_u16(x, 2) & 1;
	struct expr *e;

	if (x_u16(x, 0) == 0) {
		if (!p || p > INT32_MAX)
			return false;
		x_meta(x, KEY_META_PRANDOM);
		x_mask(x, &mask, 4);
		x_swap(x, 4);
		return x_between(x, 0, p - 1, 4, inv);
	}
	if (x_u16(x, 0) != 1 || p >= INT32_MAX || count > p)
		return false;
	at = p -
	     count; /* the kernel counts from count up to every, and matches on the way back to 0 */
	e = x_expr(x, EX_NUMGEN);
	e->numgen.dreg = X_REG;
	e->numgen.mod = p + 1;
	x_cmp(x, inv ? CMP_NEQ : CMP_EQ, &at, 4);
	return true;
}

#define SECOND 1000000000ull
#define DAY    86400u

/*
 * u32 date_start, date_stop, daytime_start, daytime_stop, monthdays; u8 weekdays, flags (1 local
 * time). Days have no translation.
 */
bool xt_time(struct xt *x)
{
	uint32_t from = x_u32(x, 8), to = x_u32(x, 12);

	if (x_u32(x, 16) != 0xfffffffe || x->info[20] != 0xfe || x->info[21] & ~2u || from >= DAY ||
	    to >= DAY || x_u32(x, 0) > x_u32(x, 4))
		return false;
	x_meta(x, KEY_META_TIME);
	x_swap(x, 8);
	if (!x_between(x, x_u32(x, 0) * SECOND, x_u32(x, 4) * SECOND + SECOND - 1, 8, false))
		return false;
	if (from < to && (from || to != DAY - 1)) {
		x_meta(x, KEY_META_HOUR);
		x_swap(x, 4);
		return x_between(x, from, to, 4, false);
	}
	if (from > to + 1) {
		x_meta(x, KEY_META_HOUR);
		x_swap(x, 4);
		return x_between(x, to + 1, from - 1, 4, true);
	}
	return true;
}

/* u32 cpu, invert */
bool xt_cpu(struct xt *x)
{
	x_meta(x, KEY_META_CPU);
	x_cmp(x, x_u32(x, 4) ? CMP_NEQ : CMP_EQ, x->info, 4);
	return x_u32(x, 4) <= 1;
}

static void masked(struct xt *x, uint32_t want, uint32_t mask, bool inv)
{
	x_mask(x, &mask, 4);
	x_cmp(x, inv ? CMP_NEQ : CMP_EQ, &want, 4);
}

/* u32 flags (1 src, 2 inverted, 4 dst, 8 inverted), src_group, src_mask, dst_group, dst_mask */
bool xt_devgroup(struct xt *x)
{
	uint32_t flags = x_u32(x, 0);

	if (flags & 1) {
		x_meta(x, KEY_META_IIFGROUP);
		masked(x, x_u32(x, 4) & x_u32(x, 8), x_u32(x, 8), flags & 2);
	}
	if (flags & 4) {
		x_meta(x, KEY_META_OIFGROUP);
		masked(x, x_u32(x, 12) & x_u32(x, 16), x_u32(x, 16), flags & 8);
	}
	return true;
}

/* u32 id, mask; u8 invert */
bool xt_realm(struct xt *x)
{
	x_meta(x, KEY_META_RTCLASSID);
	masked(x, x_u32(x, 0), x_u32(x, 4), x->info[8]);
	return x->info[8] <= 1;
}

/*
 * Revision 0: u32 id, invert. 1 and 2: u8 has_path, has_classid, invert_path, invert_classid; path;
 * u32 classid.
 */
bool xt_cgroup(struct xt *x)
{
	uint32_t id = x_u32(x, x->rev == 0 ? 0 : x->rev == 1 ? 4100 : 4);
	bool inv = x->rev ? x->info[3] : x_u32(x, 4);

	if (x->rev && x->info[0])
		return false;
	x_meta(x, KEY_META_CGROUP);
	x_cmp(x, inv ? CMP_NEQ : CMP_EQ, &id, 4);
	return true;
}
