// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nludata: what nft keeps for itself beside a set: of which expression its key and its data have
 * their type.
 *
 * The kernel stores this as bytes it does not look at, so all of it may be wrong: an expression
 * counts only where its type and its length are those of the set. Integers are in host order.
 * Numbers of expressions are those of nft's own list, which two releases number differently at the
 * end.
 */
#include "nl.h"
#include "proto.h"

/* Members of a set's userdata, of a typeof in it, and of one field of a concatenation. */
enum { UDATA_KEY_TYPEOF = 3, UDATA_DATA_TYPEOF = 4, UDATA_DATA_INTERVAL = 6 };
enum { TYPEOF_EXPR, TYPEOF_DATA };

enum {
	UE_PAYLOAD = 7,
	UE_EXTHDR,
	UE_META,
	UE_SOCKET,
	UE_OSF,
	UE_CT,
	UE_CONCAT,
	UE_NUMGEN = 23,
	UE_HASH,
	UE_RT,
	UE_FIB_OLD,
	UE_FIB, /* or, in older releases, xfrm */
	UE_XFRM,
};

/* One field as nft says it. */
struct said {
	const char *words;
	enum type_num type;
	uint32_t bits;
};

#define FIELDS_MAX 5u /* a concatenation's type has no room for more */

static bool number(struct nl_attr in, unsigned int type, uint32_t *v)
{
	struct nl_attr a = nl_udata(in, type);

	if (!a.p || a.len != 4)
		return false;
	memcpy(v, a.p, 4);
	return true;
}

/* -- header fields ----------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint8_t udata;
} protos[] = {
#define P(id, name, base, bits, csum, meta, mtype, itype, ihdr, iflags, udata)                     \
	[PROTO_##id] = { name, udata },
#include "proto.def"
#undef P
};
static const struct {
	uint8_t proto, udata;
	const char *name;
	enum type_num type;
	uint16_t bits;
} fields[] = {
#define F(proto, name, type, off, bits, flags, dep, udata)                                         \
	{ PROTO_##proto, udata, name, TYPE_##type, bits },
#include "protofield.def"
#undef F
};

static const char *proto_name(uint32_t udata)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (udata && protos[i].udata == udata)
			return protos[i].name;
	return NULL;
}

static bool raw_payload(struct nl_reader *rd, struct nl_attr in, struct said *o)
{
	static const char *const bases[] = { NULL, "ll", "nh", "th", "ih" };
	uint32_t base, off;

	if (!number(in, 2, &base) || !number(in, 3, &off) || !number(in, 4, &o->bits) ||
	    base >= ARRAY_SIZE(bases) || !bases[base])
		return false;
	o->type = TYPE_INTEGER;
	o->words = arena_printf(rd->arena, "@%s,%u,%u", bases[base], off, o->bits);
	return true;
}

static bool payload(struct nl_reader *rd, struct nl_attr in, struct said *o)
{
	uint32_t desc, field, inner = 0;
	const char *tunnel;

	if (!number(in, 0, &desc) || !number(in, 1, &field))
		return false;
	if (!desc)
		return raw_payload(rd, in, o);
	number(in, 5, &inner);
	tunnel = inner != desc ? proto_name(inner) : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!field || fields[i].udata != field || protos[fields[i].proto].udata != desc)
			continue;
		o->words = arena_printf(rd->arena, "%s%s%s %s", tunnel ? tunnel : "",
					tunnel ? " " : "", protos[fields[i].proto].name,
					fields[i].name);
		o->type = fields[i].type;
		o->bits = fields[i].bits;
		return true;
	}
	return false;
}

/* -- headers that are found by walking --------------------------------------------------------- */

static const struct {
	uint8_t op, kind, udata;
	const char *hdr, *name;
	enum type_num type;
	uint16_t bits;
} exts[] = {
#define E(op, hdr, kind, name, type, off, bits, udata)                                             \
	{ XH_##op, kind, udata, hdr, name, TYPE_##type, bits },
#include "protoext.def"
#undef E
};

static bool exthdr(struct nl_reader *rd, struct nl_attr in, struct said *o)
{
	static const char *const v6[] = { NULL,	 "hbh",	 "rt",	"rt0", "rt2",
					  "srh", "frag", "dst", "mh" };
	static const char *const words[] = { [XH_IPV6] = "",
					     [XH_TCPOPT] = "tcp option ",
					     [XH_IPV4] = "ip option ",
					     [XH_SCTP] = "sctp chunk " };
	uint32_t hdr, field, op = XH_IPV6;

	if (!number(in, 0, &hdr) || !number(in, 1, &field))
		return false;
	number(in, 2, &op);
	if (op >= ARRAY_SIZE(words) || (op == XH_IPV6 && (!hdr || hdr >= ARRAY_SIZE(v6))))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(exts); i++) {
		if (exts[i].op != op || exts[i].udata != field ||
		    (op == XH_IPV6 ? strcmp(exts[i].hdr, v6[hdr]) : exts[i].kind != hdr))
			continue;
		o->words = arena_printf(rd->arena, "%s%s %s", words[op], exts[i].hdr, exts[i].name);
		if (op == XH_TCPOPT && !field) /* the kind is the option itself */
			o->words = arena_printf(rd->arena, "%s%s", words[op], exts[i].hdr);
		o->type = exts[i].type;
		o->bits = exts[i].bits;
		return true;
	}
	return false;
}

/* -- keys -------------------------------------------------------------------------------------- */

static const struct {
	uint8_t kind;
	uint32_t key;
	const char *words;
	enum type_num type;
	uint16_t bits;
} keys[] = {
#define K(kind, words, key, type, bits, order)                                                     \
	{ EX_##kind, KEY_##kind##_##key, words, TYPE_##type, bits },
#include "keys.def"
#undef K
};

static const char *key_words(enum expr_kind k, struct nl_attr in, struct said *o)
{
	uint32_t key;

	if (!number(in, 0, &key))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].kind == k && keys[i].key == key && keys[i].bits) {
			o->type = keys[i].type;
			o->bits = keys[i].bits;
			return keys[i].words;
		}
	return NULL;
}

static bool meta(struct nl_reader *rd, struct nl_attr in, struct said *o)
{
	static const char *const alone[] = { "iif",	"oif",	    "iifname",
					     "oifname", "iifgroup", "oifgroup" };
	const char *w = key_words(EX_META, in, o);
	bool bare = false;

	for (size_t i = 0; w && i < ARRAY_SIZE(alone); i++)
		bare = bare || !strcmp(w, alone[i]);
	if (w)
		o->words = bare ? w : arena_printf(rd->arena, "meta %s", w);
	return w != NULL;
}

static bool ct(struct nl_reader *rd, struct nl_attr in, struct said *o)
{
	const char *w = key_words(EX_CT, in, o);
	uint32_t dir;

	if (!w || !number(in, 1, &dir))
		return false;
	o->words = arena_printf(rd->arena, "ct %s%s",
				dir == 0   ? "original "
				: dir == 1 ? "reply "
					   : "",
				w);
	return true;
}

static bool plain_key(struct nl_reader *rd, enum expr_kind k, struct nl_attr in, struct said *o)
{
	const char *w = key_words(k, in, o);

	if (!w)
		return false;
	/* nft does not keep the level of a control group: any will do for its type */
	o->words = arena_printf(rd->arena, "%s %s%s", expr_kind_name(k), w,
				o->type == TYPE_CGROUPV2 ? " level 1" : "");
	return true;
}

static bool xfrm(struct nl_reader *rd, struct nl_attr in, struct said *o)
{
	const char *w = key_words(EX_XFRM, in, o);
	uint32_t spnum, dir;
	struct sbuf b;

	if (!w || !number(in, 1, &spnum) || !number(in, 2, &dir) || dir > 1)
		return false;
	sb_init(&b, rd->arena);
	sb_printf(&b, "ipsec %s ", dir ? "out" : "in");
	if (spnum)
		sb_printf(&b, "spnum %u ", spnum);
	sb_puts(&b, w);
	o->words = b.s;
	return true;
}

/* -- the others -------------------------------------------------------------------------------- */

static bool fib(struct nl_reader *rd, struct nl_attr in, struct said *o)
{
	static const char *const flag_words[] = { "saddr", "daddr", "mark", "iif", "oif" };
	static const struct said results[] = { { NULL, TYPE_INVALID, 0 },
					       { "oif", TYPE_IFINDEX, 32 },
					       { "oifname", TYPE_IFNAME, 128 },
					       { "type", TYPE_FIB_ADDR, 32 } };
	uint32_t result, flags;
	struct sbuf b;

	if (!number(in, 0, &result) || !number(in, 1, &flags) || !result ||
	    result >= ARRAY_SIZE(results) || flags & ~0x3fu)
		return false;
	*o = results[result];
	sb_init(&b, rd->arena);
	sb_puts(&b, "fib");
	for (unsigned int i = 0, n = 0; i < ARRAY_SIZE(flag_words); i++)
		if (flags & 1u << i)
			sb_printf(&b, "%s%s", n++ ? " . " : " ", flag_words[i]);
	if (flags & 0x20) { /* whether there is such a route */
		o->type = TYPE_BOOLEAN;
		o->bits = 8;
	}
	sb_printf(&b, " %s", flags & 0x20 ? "check" : o->words);
	o->words = b.s;
	return true;
}

static bool numgen(struct nl_reader *rd, struct nl_attr in, struct said *o)
{
	uint32_t type, mod, off;

	if (!number(in, 0, &type) || !number(in, 1, &mod) || !number(in, 2, &off) || type > 1)
		return false;
	o->words = arena_printf(rd->arena, off ? "numgen %s mod %u offset %u" : "numgen %s mod %u",
				type ? "random" : "inc", mod, off);
	o->type = TYPE_INTEGER;
	o->bits = 32;
	return true;
}

/* nft does not keep what a jhash is of; a symhash of the same range has the same type. */
static bool hash(struct nl_reader *rd, struct nl_attr in, struct said *o)
{
	uint32_t off, mod;

	if (!number(in, 1, &off) || !number(in, 2, &mod))
		return false;
	o->words = arena_printf(rd->arena, off ? "symhash mod %u offset %u" : "symhash mod %u", mod,
				off);
	o->type = TYPE_INTEGER;
	o->bits = 32;
	return true;
}

/* -- a whole typeof ---------------------------------------------------------------------------- */

static bool one(struct nl_reader *rd, uint32_t expr, struct nl_attr in, struct said *o)
{
	switch (expr) {
	case UE_PAYLOAD:
		return payload(rd, in, o);
	case UE_EXTHDR:
		return exthdr(rd, in, o);
	case UE_META:
		return meta(rd, in, o);
	case UE_SOCKET:
		return plain_key(rd, EX_SOCKET, in, o);
	case UE_OSF:
		*o = (struct said){ "osf name", TYPE_STRING, 128 };
		return true;
	case UE_CT:
		return ct(rd, in, o);
	case UE_NUMGEN:
		return numgen(rd, in, o);
	case UE_HASH:
		return hash(rd, in, o);
	case UE_RT:
		return plain_key(rd, EX_RT, in, o);
	case UE_FIB_OLD:
		return fib(rd, in, o);
	case UE_FIB:
		return nl_udata(in, 2).p ? xfrm(rd, in, o) : fib(rd, in, o);
	case UE_XFRM:
		return xfrm(rd, in, o);
	default:
		return false;
	}
}

/* Fields of the typeof in userdata; 0: none that is understood. */
static uint32_t typeof_of(struct nl_reader *rd, struct nl_attr in, struct said *v)
{
	struct nl_attr data = nl_udata(in, TYPEOF_DATA), field;
	uint32_t expr, n = 0;

	if (!data.p || !number(in, TYPEOF_EXPR, &expr))
		return 0;
	if (expr != UE_CONCAT)
		return one(rd, expr, data, v);
	while ((field = nl_udata(data, n)).p) {
		struct nl_attr sub = nl_udata(field, TYPEOF_DATA);

		if (n == FIELDS_MAX || !sub.p || !number(field, TYPEOF_EXPR, &expr) ||
		    !one(rd, expr, sub, &v[n]))
			return 0;
		n++;
	}
	return n;
}

/* nft's number of the type; there are some that only nft's names tell apart from an integer. */
static uint32_t udata_type(const struct said *v)
{
	return v->type == TYPE_MPTCP_SUBTYPE ? TYPE_INTEGER : v->type;
}

/* The words, if they are of that type (six bits a field) and fill len bytes. */
static const char *checked(struct nl_reader *rd, const struct said *v, uint32_t n, uint32_t type,
			   uint32_t len)
{
	uint32_t total = 0;
	struct sbuf b;

	if (!n || (n < FIELDS_MAX && type >> 6 * n))
		return NULL;
	sb_init(&b, rd->arena);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t bytes = DIV_ROUND_UP(v[i].bits, 8u);

		if (udata_type(&v[i]) != (type >> 6 * (n - 1 - i) & 63))
			return NULL;
		total += n == 1 ? bytes : ALIGN_UP(bytes, 4u);
		sb_printf(&b, "%s%s", i ? " . " : "", v[i].words);
	}
	return total == len ? b.s : NULL;
}

void nl_set_typeof(struct nl_reader *rd, struct set *s, struct nl_attr udata)
{
	struct said key[FIELDS_MAX], data[FIELDS_MAX];
	uint32_t n = typeof_of(rd, nl_udata(udata, UDATA_KEY_TYPEOF), key), n_data, interval = 0;
	bool has_data = s->flags & SET_MAP && !s->is_vmap;

	s->key_typeof = checked(rd, key, n, s->key_type, s->key_len);
	if (s->key_typeof && n > 1 && s->n_fields == 1) {
		s->n_fields = n;
		for (uint32_t i = 0; i < n; i++)
			s->field_len[i] = (uint8_t)DIV_ROUND_UP(key[i].bits, 8u);
	}
	if (!has_data)
		return;
	number(udata, UDATA_DATA_INTERVAL, &interval);
	n_data = typeof_of(rd, nl_udata(udata, UDATA_DATA_TYPEOF), data);
	s->data_typeof = checked(rd, data, n_data, s->data_type,
				 interval ? s->data_len / 2u : s->data_len);
	if (!s->data_typeof || !s->key_typeof) /* nft says both so or none */
		s->data_typeof = s->key_typeof = NULL;
}
