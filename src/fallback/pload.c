// SPDX-License-Identifier: GPL-2.0-or-later
/* pload: what a register holds, and nft's words for it. */
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include "print.h"

enum field_proto {
	FP_ETHER,
	FP_IP,
	FP_IP6,
	FP_ARP,
	FP_TCP,
	FP_UDP,
	FP_UDPLITE,
	FP_SCTP,
	FP_DCCP,
	FP_ESP,
	FP_AH,
	FP_COMP,
	FP_ICMP,
	FP_ICMP6,
	FP_TH,
	FP_NONE
};

static const struct field {
	enum field_proto proto;
	uint16_t bit, bits;
	const char *name;
	enum ptype type;
} fields[] = {
#define F(proto, bit, bits, name, type) { FP_##proto, bit, bits, name, PT_##type },
#include "words.def"
#undef F
};

static const struct key_words {
	const char *words;
	enum ptype type;
	bool host;
} meta_words[] = {
#define M(k, w, t, h) [NFT_META_##k] = { w, PT_##t, h },
#include "keywords.def"
}, ct_words[] = {
#define C(k, w, t, h) [NFT_CT_##k] = { w, PT_##t, h },
#include "keywords.def"
};

static const struct {
	int l4;
	enum field_proto proto;
} l4_protos[] = {
	{ IPPROTO_TCP, FP_TCP },      { IPPROTO_UDP, FP_UDP },	 { IPPROTO_UDPLITE, FP_UDPLITE },
	{ IPPROTO_SCTP, FP_SCTP },    { IPPROTO_DCCP, FP_DCCP }, { IPPROTO_ESP, FP_ESP },
	{ IPPROTO_AH, FP_AH },	      { IPPROTO_COMP, FP_COMP }, { IPPROTO_ICMP, FP_ICMP },
	{ IPPROTO_ICMPV6, FP_ICMP6 },
};

struct pval *pl_reg(struct pstate *ps, uint8_t reg)
{
	if (reg == REG_NONE || reg == REG_VERDICT)
		return NULL;
	return ps->reg[REG_WORD(reg)];
}

static enum field_proto payload_proto(const struct pstate *ps, const struct expr *e)
{
	uint32_t i;

	switch (e->payload.base) {
	case PB_LL:
		return ps->fam == FAM_BRIDGE ? FP_ETHER : FP_NONE;
	case PB_NETWORK:
		return ps->l3 == FAM_IP	   ? FP_IP
		       : ps->l3 == FAM_IP6 ? FP_IP6
		       : ps->l3 == FAM_ARP ? FP_ARP
					   : FP_NONE;
	case PB_TRANSPORT:
		for (i = 0; i < ARRAY_SIZE(l4_protos); i++)
			if (l4_protos[i].l4 == ps->l4)
				return l4_protos[i].proto;
		return ps->l4 < 0 ? FP_TH : FP_NONE;
	default:
		return FP_NONE;
	}
}

/* The mask of the field's bits in the bytes that hold it; false: the load is not those bytes. */
static bool field_mask(const struct field *f, const struct expr *e, struct data *m)
{
	uint32_t first = f->bit / 8, last = (f->bit + f->bits - 1) / 8, i;

	if (e->payload.off != first || e->payload.len != last - first + 1 || e->payload.len > 8)
		return false;
	memset(m, 0, sizeof(*m));
	m->len = e->payload.len;
	for (i = f->bit; i < (uint32_t)f->bit + f->bits; i++)
		m->b[i / 8 - first] |= 0x80 >> (i % 8);
	return true;
}

static bool is_zero(const struct data *d)
{
	uint32_t i;

	for (i = 0; i < d->len; i++)
		if (d->b[i])
			return false;
	return true;
}

static bool field_fits(struct pval *v, const struct field *f)
{
	const struct expr *e = v->e;
	struct data m;

	if (f->bit % 8 == 0 && f->bits % 8 == 0) {
		if (e->payload.off != f->bit / 8 || e->payload.len > f->bits / 8)
			return false;
		if (e->payload.len == f->bits / 8)
			return true;
		if ((f->type != PT_IP4 && f->type != PT_IP6) || v->n_ops)
			return false;
		v->full = f->bits / 8;
		return true;
	}
	if (!v->n_ops || v->ops[0].op != POP_MASK || !field_mask(f, e, &m) ||
	    !data_eq(&m, &v->ops[0].e->bitwise.mask) || !is_zero(&v->ops[0].e->bitwise.xor))
		return false;
	v->field = true;
	v->shift = (8 - (f->bit + f->bits) % 8) % 8;
	return true;
}

static void payload_words(struct pstate *ps, struct pval *v)
{
	static const char *const bases[] = { "ll", "nh", "th", "ih", NULL };
	enum field_proto p = payload_proto(ps, v->e);
	const struct expr *e = v->e;
	uint32_t i;

	v->full = 0;
	v->field = false;
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].proto != p || p == FP_NONE || !field_fits(v, &fields[i]))
			continue;
		v->words = fields[i].name;
		v->type = fields[i].type;
		v->l3 = p == FP_IP ? FAM_IP : p == FP_IP6 ? FAM_IP6 : -1;
		v->l4 = e->payload.base == PB_TRANSPORT && p != FP_TH ? ps->l4 : -1;
		return;
	}
	v->words = NULL;
	v->type = PT_HEX;
	v->l3 = v->l4 = -1;
	if (e->payload.base < ARRAY_SIZE(bases) && bases[e->payload.base])
		v->words = arena_printf(ps->a, "@%s,%u,%u", bases[e->payload.base],
					e->payload.off * 8u, e->payload.len * 8u);
}

static void ct_load_words(struct pstate *ps, struct pval *v)
{
	const struct expr *e = v->e;
	const struct key_words *w;

	if (e->ct.key >= ARRAY_SIZE(ct_words) || !ct_words[e->ct.key].words) {
		v->words = NULL;
		return;
	}
	w = &ct_words[e->ct.key];
	v->words = arena_printf(ps->a, "ct %s%s",
				!e->ct.has_dir ? ""
				: e->ct.dir    ? "reply "
					       : "original ",
				w->words);
	v->type = w->type;
	v->host = w->host;
}

static void exthdr_words(struct pstate *ps, struct pval *v)
{
	static const char *const v6[256] = {
		[0] = "hbh", [43] = "rt", [44] = "frag", [60] = "dst", [135] = "mh"
	};
	static const struct {
		uint8_t type, off, len;
		const char *words;
	} v6_fields[] = {
		{ 0, 0, 1, "hbh nexthdr" },    { 0, 1, 1, "hbh hdrlength" },
		{ 43, 0, 1, "rt nexthdr" },    { 43, 1, 1, "rt hdrlength" },
		{ 43, 2, 1, "rt type" },       { 43, 3, 1, "rt seg-left" },
		{ 44, 0, 1, "frag nexthdr" },  { 44, 1, 1, "frag reserved" },
		{ 44, 4, 4, "frag id" },       { 60, 0, 1, "dst nexthdr" },
		{ 60, 1, 1, "dst hdrlength" }, { 135, 0, 1, "mh nexthdr" },
		{ 135, 1, 1, "mh hdrlength" }, { 135, 2, 1, "mh type" },
	};
	const struct expr *e = v->e;
	uint32_t i;
	bool present = e->exthdr.flags & NFT_EXTHDR_F_PRESENT;

	v->words = NULL;
	if (present)
		v->type = PT_BOOL;
	for (i = 0; !present && e->exthdr.op == XH_IPV6 && i < ARRAY_SIZE(v6_fields); i++)
		if (v6_fields[i].type == e->exthdr.type && v6_fields[i].off == e->exthdr.off &&
		    v6_fields[i].len == e->exthdr.len) {
			v->words = v6_fields[i].words;
			v->type = v6_fields[i].off ? PT_INT : PT_PROTO;
		}
	if (e->exthdr.op == XH_IPV6 && v6[e->exthdr.type] && present)
		v->words = arena_printf(ps->a, "exthdr %s", v6[e->exthdr.type]);
	else if (e->exthdr.op == XH_TCPOPT && present)
		v->words = e->exthdr.type == 2
				   ? "tcp option maxseg"
				   : arena_printf(ps->a, "tcp option %u", e->exthdr.type);
	else if (e->exthdr.op == XH_TCPOPT && e->exthdr.type == 2 && e->exthdr.off == 2 &&
		 e->exthdr.len == 2)
		v->words = "tcp option maxseg size", v->type = PT_INT;
	else if (e->exthdr.op == XH_TCPOPT)
		v->words = arena_printf(ps->a, "tcp option @%u,%u,%u", e->exthdr.type,
					e->exthdr.off * 8u, e->exthdr.len * 8u),
		v->type = PT_INT;
}

static void fib_words(struct pstate *ps, struct pval *v)
{
	static const char *const parts[] = { "saddr", "daddr", "mark", "iif", "oif" };
	static const char *const results[] = { NULL, "oif", "oifname", "type" };
	static const enum ptype types[] = { PT_NONE, PT_IFINDEX, PT_IFNAME, PT_FIBTYPE };
	const struct expr *e = v->e;
	struct sbuf b;
	uint32_t i;
	bool first = true;

	v->words = NULL;
	if (e->fib.result >= ARRAY_SIZE(results) || !results[e->fib.result])
		return;
	sb_init(&b, ps->a);
	sb_puts(&b, "fib ");
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		if (e->fib.flags >> i & 1) {
			sb_printf(&b, "%s%s", first ? "" : " . ", parts[i]);
			first = false;
		}
	sb_printf(&b, " %s", results[e->fib.result]);
	v->words = b.s;
	v->type = e->fib.flags & NFTA_FIB_F_PRESENT ? PT_BOOL : types[e->fib.result];
	v->host = true;
}

static void hash_words(struct pstate *ps, struct pval *v)
{
	const struct expr *e = v->e;
	struct sbuf b;
	uint32_t w, end;
	bool first = true;

	v->words = NULL;
	sb_init(&b, ps->a);
	if (e->hash.sreg == REG_NONE) {
		sb_puts(&b, "symhash");
	} else {
		w = REG_WORD(e->hash.sreg);
		end = w + DIV_ROUND_UP(e->hash.len, 4);
		sb_puts(&b, "jhash ");
		while (w < end) {
			struct pval *k = ps->reg[w];

			if (!k)
				return;
			pl_resolve(ps, k);
			if (!first)
				sb_puts(&b, " . ");
			if (!pl_text(ps, k, 0, &b))
				return;
			first = false;
			w += DIV_ROUND_UP(k->len, 4);
		}
	}
	sb_printf(&b, " mod %u", e->hash.mod);
	if (e->hash.has_seed)
		sb_printf(&b, " seed 0x%x", e->hash.seed);
	if (e->hash.offset)
		sb_printf(&b, " offset %u", e->hash.offset);
	v->words = b.s;
}

static void xfrm_words(struct pstate *ps, struct pval *v)
{
	static const char *const keys[] = { NULL,	 "ip daddr", "ip6 daddr", "ip saddr",
					    "ip6 saddr", "reqid",    "spi" };
	static const enum ptype types[] = {
		PT_NONE, PT_IP4, PT_IP6, PT_IP4, PT_IP6, PT_INT, PT_INT
	};
	const struct expr *e = v->e;

	if (!e->xfrm.key || e->xfrm.key >= ARRAY_SIZE(keys))
		return;
	v->words = arena_printf(ps->a, "ipsec %s spnum %u %s", e->xfrm.dir ? "out" : "in",
				e->xfrm.spnum, keys[e->xfrm.key]);
	v->type = types[e->xfrm.key];
	v->host = v->type == PT_INT && e->xfrm.key != NFT_XFRM_KEY_SPI;
}

static void other_words(struct pstate *ps, struct pval *v)
{
	static const char *const rt[] = { "rt classid", "rt ip nexthop", "rt ip6 nexthop", "rt mtu",
					  "rt ipsec" };
	static const enum ptype rt_type[] = { PT_INT, PT_IP4, PT_IP6, PT_INT, PT_BOOL };
	static const char *const sock[] = { "socket transparent", "socket mark",
					    "socket wildcard" };
	const struct expr *e = v->e;

	v->host = true;
	v->type = PT_INT;
	v->words = NULL;
	if (e->kind == EX_RT && e->rt.key < ARRAY_SIZE(rt)) {
		v->words = rt[e->rt.key];
		v->type = rt_type[e->rt.key];
	} else if (e->kind == EX_SOCKET && e->socket.key < ARRAY_SIZE(sock)) {
		v->words = sock[e->socket.key];
		v->type = e->socket.key == 1 ? PT_MARK : PT_INT;
	} else if (e->kind == EX_OSF) {
		static const char *const ttl[] = { "", "ttl loose ", "ttl skip " };

		if (e->osf.ttl < 3)
			v->words = arena_printf(ps->a, "osf %s%s", ttl[e->osf.ttl],
						e->osf.flags & 1 ? "version" : "name");
		v->type = PT_STRING;
	} else if (e->kind == EX_NUMGEN) {
		struct sbuf b;

		sb_init(&b, ps->a);
		sb_printf(&b, "numgen %s mod %u",
			  e->numgen.type == NFT_NG_RANDOM ? "random" : "inc", e->numgen.mod);
		if (e->numgen.offset)
			sb_printf(&b, " offset %u", e->numgen.offset);
		v->words = b.s;
	} else if (e->kind == EX_HASH) {
		hash_words(ps, v);
	} else if (e->kind == EX_XFRM) {
		xfrm_words(ps, v);
	}
}

void pl_resolve(struct pstate *ps, struct pval *v)
{
	const struct expr *e = v->e;

	if (v->done && e->kind != EX_PAYLOAD)
		return; /* a byte order conversion may have changed v->host since */
	v->done = true;
	switch (e->kind) {
	case EX_PAYLOAD:
		payload_words(ps, v);
		break;
	case EX_META:
		v->words = e->meta.key < ARRAY_SIZE(meta_words) ? meta_words[e->meta.key].words
								: NULL;
		v->type = v->words ? meta_words[e->meta.key].type : PT_NONE;
		break;
	case EX_CT:
		ct_load_words(ps, v);
		break;
	case EX_EXTHDR:
		exthdr_words(ps, v);
		break;
	case EX_FIB:
		fib_words(ps, v);
		break;
	case EX_LOOKUP: /* words were made when it was looked up */
	case EX_IMMEDIATE:
		break;
	default:
		other_words(ps, v);
		break;
	}
}

static uint8_t load_len(const struct expr *e)
{
	switch (e->kind) {
	case EX_PAYLOAD:
		return e->payload.len;
	case EX_EXTHDR:
		return e->exthdr.flags & NFT_EXTHDR_F_PRESENT ? 1 : e->exthdr.len;
	case EX_IMMEDIATE:
		return e->imm.data.len;
	case EX_LOOKUP:
		return e->lookup.set->data_len;
	default:
		return 0; /* what the reader takes */
	}
}

/* How many words a load fills: for walking over a concatenation. */
static uint8_t default_len(const struct expr *e)
{
	struct expr_regs r = expr_regs(e);

	return (uint8_t)(__builtin_popcount(r.writes) * 4);
}

bool pl_load(struct pstate *ps, const struct expr *e)
{
	struct pval *v = arena_new_of(ps->a, struct pval);
	struct expr_regs r = expr_regs(e);

	if (!r.writes)
		return false;
	v->e = e;
	v->l3 = v->l4 = -1;
	v->len = load_len(e) ? load_len(e) : default_len(e);
	v->host = e->kind == EX_META && e->meta.key < ARRAY_SIZE(meta_words)
			  ? meta_words[e->meta.key].host
			  : false;
	ps->reg[__builtin_ctz(r.writes)] = v;
	return true;
}

/* The operations after the words: " & 0xff", " << 2" ... */
bool pl_text(struct pstate *ps, const struct pval *v, uint32_t skip_ops, struct sbuf *out)
{
	uint32_t i = skip_ops, k;
	bool host = v->host;

	if (!v->words || v->full)
		return false;
	if (v->field && i == 0) {
		uint32_t cnt = 0;

		i = 1;
		if (v->shift) {
			if (v->n_ops < 2 || v->ops[1].op != POP_RSHIFT)
				return false;
			memcpy(&cnt, v->ops[1].e->bitwise.data.b, 4);
			if (cnt != v->shift)
				return false;
			i = 2;
		}
	}
	sb_puts(out, v->words);
	for (; i < v->n_ops; i++) {
		const struct expr *e = v->ops[i].e;
		struct data m, x;
		bool all1 = true, orlike = true;

		switch (v->ops[i].op) {
		case POP_SWAP:
			break;
		case POP_LSHIFT:
		case POP_RSHIFT: {
			uint32_t cnt;

			memcpy(&cnt, e->bitwise.data.b, 4);
			sb_printf(out, " %s %u", v->ops[i].op == POP_LSHIFT ? "<<" : ">>", cnt);
			break;
		}
		case POP_MASK:
			m = e->bitwise.mask;
			x = e->bitwise.xor ;
			for (k = 0; k < m.len; k++) {
				all1 = all1 && m.b[k] == 0xff;
				orlike = orlike && (x.b[k] ^ m.b[k]) == 0xff;
			}
			if (orlike || all1) {
				sb_puts(out, orlike ? " | " : " ^ ");
				pv_data(out, v->type, host, x.b, x.len);
				break;
			}
			sb_puts(out, " & ");
			pv_data(out, ptype_is_flags(v->type) ? PT_HEX : v->type, host, m.b, m.len);
			if (!is_zero(&x)) {
				sb_puts(out, " ^ ");
				pv_data(out, v->type, host, x.b, x.len);
			}
			break;
		default: {
			static const char *const names[] = {
				[POP_AND] = "&", [POP_OR] = "|", [POP_XOR] = "^"
			};

			sb_printf(out, " %s ", names[v->ops[i].op]);
			if (v->ops[i].rhs) {
				const struct pval *rhs = v->ops[i].rhs;

				sb_puts(out, rhs->n_ops ? "(" : "");
				if (!pl_text(ps, rhs, 0, out))
					return false;
				sb_puts(out, rhs->n_ops ? ")" : "");
			} else {
				pv_data(out, v->type, host, e->bitwise.data.b, e->bitwise.data.len);
			}
			break;
		}
		}
	}
	return true;
}

enum ptype pl_typeof(const char *words, bool *host)
{
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].name, words))
			return *host = false, fields[i].type;
	for (i = 0; i < ARRAY_SIZE(meta_words); i++)
		if (meta_words[i].words &&
		    (!strcmp(meta_words[i].words, words) ||
		     (!strncmp(words, "meta ", 5) && !strcmp(meta_words[i].words, words + 5))))
			return *host = meta_words[i].host, meta_words[i].type;
	if (!strncmp(words, "ct ", 3))
		for (i = 0; i < ARRAY_SIZE(ct_words); i++)
			if (ct_words[i].words && !strcmp(ct_words[i].words, words + 3))
				return *host = ct_words[i].host, ct_words[i].type;
	return PT_NONE;
}

const char *pl_bits_set(struct pstate *ps, const struct expr *write, const struct pval *val,
			uint64_t *value)
{
	struct pval t = { .e = write };
	enum field_proto p = payload_proto(ps, write);
	const struct expr *e = val->e, *bw;
	uint32_t i, k, off = write->payload.off * 8u;

	if (e->kind != EX_PAYLOAD || val->n_ops != 1 || val->ops[0].op != POP_MASK ||
	    e->payload.base != write->payload.base || e->payload.off != write->payload.off ||
	    e->payload.len != write->payload.len || t.e->payload.len > 8)
		return NULL;
	bw = val->ops[0].e;
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *f = &fields[i];
		uint64_t v = 0;
		bool ok = f->proto == p && f->bit >= off &&
			  f->bit + f->bits <= off + write->payload.len * 8u;

		for (k = 0; ok && k < write->payload.len * 8u; k++) {
			bool in = off + k >= f->bit && off + k < (uint32_t)f->bit + f->bits;
			bool kept = bw->bitwise.mask.b[k / 8] >> (7 - k % 8) & 1;
			bool bit = bw->bitwise.xor.b[k / 8] >> (7 - k % 8) & 1;

			ok = kept == !in && (in || !bit);
			if (in)
				v = v << 1 | bit;
		}
		if (!ok)
			continue;
		*value = v;
		return f->name;
	}
	return NULL;
}

/*
 * A load over several whole fields, which nft makes of equal tests side by side: the tests again, "udp sport 67 udp dport 68".
 * NULL: it is not that.
 */
const char *pl_fields_equal(struct pstate *ps, struct pval *v, const struct data *d)
{
	enum field_proto p = payload_proto(ps, v->e);
	uint32_t off = v->e->payload.off, end = off + v->e->payload.len, i, n = 0;
	struct sbuf b;

	sb_init(&b, ps->a);
	while (off < end) {
		for (i = 0; i < ARRAY_SIZE(fields); i++)
			if (fields[i].proto == p && fields[i].bit == off * 8 &&
			    fields[i].bits % 8 == 0 && off + fields[i].bits / 8 <= end)
				break;
		if (i == ARRAY_SIZE(fields) || ptype_is_flags(fields[i].type) || p == FP_TH)
			return NULL;
		sb_printf(&b, "%s%s ", n++ ? " " : "", fields[i].name);
		pv_data(&b, fields[i].type, false, d->b + (off - v->e->payload.off),
			fields[i].bits / 8);
		off += fields[i].bits / 8;
	}
	v->l3 = p == FP_IP ? FAM_IP : p == FP_IP6 ? FAM_IP6 : -1;
	v->l4 = v->e->payload.base == PB_TRANSPORT ? ps->l4 : -1;
	return n > 1 ? b.s : NULL;
}
