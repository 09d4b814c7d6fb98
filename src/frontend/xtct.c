// SPDX-License-Identifier: GPL-2.0-or-later
/* xtct: matches of iptables on conntrack's entry, in nf_tables' expressions. */
#include "xtint.h"

/* States: those of nf_tables' ct state, and iptables' own numbers for three more. */
#define STATES	     0x0fu
#define XT_SNAT	     (1u << 6)
#define XT_DNAT	     (1u << 7)
#define XT_UNTRACKED (1u << 8)
#define UNTRACKED    (1u << 6)
#define NO_ENTRY     (1u | UNTRACKED) /* invalid, untracked */

/* The bits of conntrack's state, or of its status. */
static void any_bit(struct xt *x, uint32_t key, uint32_t bits, bool inv)
{
	uint32_t zero = 0;

	x_ct(x, key, -1);
	x_mask(x, &bits, 4);
	x_cmp(x, inv ? CMP_EQ : CMP_NEQ, &zero, 4);
}

/* u32 statemask */
bool xt_state(struct xt *x)
{
	any_bit(x, KEY_CT_STATE, x_u32(x, 0) & (STATES | UNTRACKED), false);
	return true;
}

/* -- conntrack --------------------------------------------------------------------------------- */

/* The match's flags, of which each may be inverted. */
enum {
	F_STATE = 1 << 0,
	F_PROTO = 1 << 1,
	F_ORIGSRC = 1 << 2, /* and the next three */
	F_STATUS = 1 << 6,
	F_EXPIRES = 1 << 7,
	F_ORIGSRC_PORT = 1 << 8, /* and the next three */
	F_DIRECTION = 1 << 12,
	F_ALIAS = 1 << 13,
	F_ALL = (1 << 14) - 1,
};
/*
 * Addresses and masks, 16 bytes each, of the four in turn; u32 expires_min, expires_max; u16
 * l4proto, four ports, match_flags, invert_flags; state and status masks, u8 in revision 1, u16
 * then; in revision 3 four upper ends of the ports.
 */
enum {
	AT_EXPIRES = 128,
	AT_PROTO = 136,
	AT_PORT = 138,
	AT_FLAGS = 146,
	AT_INV = 148,
	AT_STATE = 150,
	AT_STATUS = 152,
	AT_PORT_HIGH = 154,
};

static bool flag(const struct xt *x, uint32_t f)
{
	return x_u16(x, AT_FLAGS) & f;
}

static bool inverted(const struct xt *x, uint32_t f)
{
	return x_u16(x, AT_INV) & f;
}

/*
 * alone: nothing but the state is asked. A packet without an entry has a state, and nothing else to
 * be asked.
 */
static bool state(struct xt *x, bool alone)
{
	uint32_t bits = x->rev == 1 ? x->info[AT_STATE] : x_u16(x, AT_STATE), without;
	uint32_t nat = (bits & XT_SNAT ? 1u << 4 : 0) | (bits & XT_DNAT ? 1u << 5 : 0);
	uint32_t nft = (bits & STATES) | (bits & XT_UNTRACKED ? UNTRACKED : 0);
	bool inv = inverted(x, F_STATE);

	if (nat) {
		if (nft || inv || x->templates)
			return false;
		any_bit(x, KEY_CT_STATUS, nat, false);
		return true;
	}
	without = inv ? ~nft & NO_ENTRY : nft & NO_ENTRY;
	if (!alone && without)
		return false;
	any_bit(x, KEY_CT_STATE, nft, inv);
	return true;
}

static void tuple_address(struct xt *x, uint32_t i)
{
	uint32_t n = x->family == FAM_IP ? 4 : 16, at = 32 * i;
	uint32_t src = n == 4 ? KEY_CT_SRC_IP : KEY_CT_SRC_IP6;
	uint32_t dst = n == 4 ? KEY_CT_DST_IP : KEY_CT_DST_IP6;
	uint8_t want[16];

	for (uint32_t k = 0; k < n; k++)
		want[k] = x->info[at + k] & x->info[at + 16 + k];
	x_ct(x, i & 1 ? dst : src, i >= 2);
	x_mask(x, x->info + at + 16, n);
	x_cmp(x, inverted(x, F_ORIGSRC << i) ? CMP_NEQ : CMP_EQ, want, n);
}

static bool tuple_port(struct xt *x, uint32_t i)
{
	bool inv = inverted(x, F_ORIGSRC_PORT << i);
	uint16_t lo = x_u16(x, AT_PORT + 2 * i), hi;

	x_ct(x, i & 1 ? KEY_CT_PROTO_DST : KEY_CT_PROTO_SRC, i >= 2);
	if (x->rev < 3) {
		x_cmp(x, inv ? CMP_NEQ : CMP_EQ, &lo, 2);
		return true;
	}
	hi = x_u16(x, AT_PORT_HIGH + 2 * i);
	return x_between(x, lo, hi, 2, inv);
}

static bool status(struct xt *x)
{
	uint32_t bits = x->rev == 1 ? x->info[AT_STATE + 1] : x_u16(x, AT_STATUS);

	if (!bits)
		return false;
	any_bit(x, KEY_CT_STATUS, bits, inverted(x, F_STATUS));
	return true;
}

/* Whole seconds, where nf_tables has milliseconds. */
static bool expires(struct xt *x)
{
	uint32_t lo = x_u32(x, AT_EXPIRES), hi = x_u32(x, AT_EXPIRES + 4);

	if (lo > hi || hi > UINT32_MAX / 1000 - 1)
		return false;
	x_ct(x, KEY_CT_EXPIRATION, -1);
	x_swap(x, 4);
	return x_between(x, lo * 1000ull, hi * 1000ull + 999, 4, inverted(x, F_EXPIRES));
}

bool xt_conntrack(struct xt *x)
{
	uint32_t flags = x_u16(x, AT_FLAGS) & ~(uint32_t)F_ALIAS;
	uint8_t proto = x->info[AT_PROTO], reply = 0;

	if (flags & ~(uint32_t)F_ALL || !flags || (flags != F_STATE && x->templates))
		return false;
	if (flag(x, F_STATE) && !state(x, flags == F_STATE))
		return false;
	if (flag(x, F_DIRECTION)) {
		x_ct(x, KEY_CT_DIRECTION, -1);
		x_cmp(x, inverted(x, F_DIRECTION) ? CMP_NEQ : CMP_EQ, &reply, 1);
	}
	for (uint32_t i = 0; i < 4; i++)
		if (flag(x, F_ORIGSRC << i))
			tuple_address(x, i);
	if (flag(x, F_PROTO)) {
		if (x_u16(x, AT_PROTO) > UINT8_MAX)
			return false;
		x_ct(x, KEY_CT_PROTOCOL, -1);
		x_cmp(x, inverted(x, F_PROTO) ? CMP_NEQ : CMP_EQ, &proto, 1);
	}
	for (uint32_t i = 0; i < 4; i++)
		if (flag(x, F_ORIGSRC_PORT << i) && !tuple_port(x, i))
			return false;
	return (!flag(x, F_STATUS) || status(x)) && (!flag(x, F_EXPIRES) || expires(x));
}

/* -- the others -------------------------------------------------------------------------------- */

/*
 * u64 from, to; u8 what (packets, bytes, average), direction (original, reply, both). Connections
 * that are not accounted never match, where nf_tables reads 0: which must not be within the range.
 */
bool xt_connbytes(struct xt *x)
{
	static const uint32_t keys[] = { KEY_CT_PACKETS, KEY_CT_BYTES, KEY_CT_AVGPKT };
	uint64_t from = x_u64(x, 0), to = x_u64(x, 8);
	uint8_t what = x->info[16], dir = x->info[17];

	if (what > 2 || dir > 2 || x->templates || !from || from > to)
		return false;
	x_ct(x, keys[what], dir == 2 ? -1 : dir);
	x_swap(x, 8);
	return x_between(x, from, to, 8, false);
}

#define HELPER_NAME  16u
#define TYPE_STRING_ 5u

/*
 * int invert; char name[30]. A helper is compared as far as its own name goes: it matches when that
 * is the beginning of the name asked for. No name: any helper.
 */
bool xt_helper(struct xt *x)
{
	const char *name = (const char *)x->info + 4;
	size_t n = strnlen(name, 30);
	struct set *s;
	struct expr *e;

	if (x_u32(x, 0) || x->templates || n > HELPER_NAME - 1)
		return false;
	x_ct(x, KEY_CT_HELPER, -1);
	if (!n)
		return true;
	s = x_set(x, NULL, 0, HELPER_NAME, TYPE_STRING_);
	for (size_t i = 1; i <= n; i++) {
		struct set_elem *el = arena_new_of(x->arena, struct set_elem);

		el->loc = x->loc;
		el->key.len = HELPER_NAME;
		memcpy(el->key.b, name, i);
		*vec_push(x->arena, &s->elems) = el;
	}
	e = x_expr(x, EX_LOOKUP);
	e->lookup.sreg = X_REG;
	e->lookup.set = s;
	return true;
}
