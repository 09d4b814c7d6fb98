// SPDX-License-Identifier: GPL-2.0-or-later
/* pload: what a register holds, and nft's words for it. */
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include "print.h"

/* What a key is called, and what its values are. */
static const struct key_words {
	enum expr_kind kind;
	const char *name;
	uint32_t key, type;
	bool host;
} keys[] = {
#define K(expr, name, key, type, bits, order)                                                      \
	{ EX_##expr, name, KEY_##expr##_##key, TYPE_##type, ORDER_##order == ORDER_HOST },
#include "keys.def"
#undef K
};

static const struct key_words *key_words(enum expr_kind kind, uint32_t key)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].kind == kind && keys[i].key == key && keys[i].type != TYPE_INVALID)
			return &keys[i];
	return NULL;
}

struct pval *pl_reg(struct pstate *ps, uint8_t reg)
{
	if (reg == REG_NONE || reg == REG_VERDICT)
		return NULL;
	return ps->reg[REG_WORD(reg)];
}

/*
 * The protocol at the base that a load starts from; *skip: bits of headers before it. NULL:
 * unknown.
 */
static const struct proto *payload_proto(const struct pstate *ps, const struct expr *e,
					 uint32_t *skip)
{
	const struct proto *p;

	*skip = 0;
	switch (e->payload.base) {
	case PB_LL:
		if (!ps->ether)
			return NULL;
		p = proto_of(PROTO_ETHER);
		for (uint32_t i = 0; i < ps->vlans && e->payload.off * 8u >= *skip + p->bits; i++) {
			*skip += p->bits;
			p = proto_of(PROTO_VLAN);
		}
		return p;
	case PB_NETWORK:
		return ps->l3 == FAM_IP	   ? proto_of(PROTO_IP)
		       : ps->l3 == FAM_IP6 ? proto_of(PROTO_IP6)
		       : ps->l3 == FAM_ARP ? proto_of(PROTO_ARP)
					   : NULL;
	case PB_TRANSPORT:
		if (ps->l4 < 0)
			return proto_of(PROTO_TH);
		return proto_upper(proto_of(PROTO_IP), (uint32_t)ps->l4);
	default:
		return NULL;
	}
}

/* The mask of the field's bits in the bytes that hold it; false: the load is not those bytes. */
static bool field_mask(const struct field *f, uint32_t skip, const struct expr *e, struct data *m)
{
	uint32_t bit = f->off + skip, first = bit / 8, last = (bit + f->bits - 1) / 8, i;

	if (e->payload.off != first || e->payload.len != last - first + 1 || e->payload.len > 8)
		return false;
	memset(m, 0, sizeof(*m));
	m->len = e->payload.len;
	for (i = bit; i < bit + f->bits; i++)
		m->b[i / 8 - first] |= 0x80 >> (i % 8);
	return true;
}

static bool field_fits(struct pval *v, const struct field *f, uint32_t skip)
{
	const struct expr *e = v->e;
	uint32_t bit = f->off + skip;
	struct data m;

	if (bit % 8 == 0 && f->bits % 8 == 0) {
		if (e->payload.off != bit / 8 || e->payload.len > f->bits / 8)
			return false;
		if (e->payload.len == f->bits / 8)
			return true;
		if ((f->type != TYPE_IPADDR && f->type != TYPE_IP6ADDR) || v->n_ops)
			return false;
		v->full = f->bits / 8;
		return true;
	}
	if (!v->n_ops || v->ops[0].op != POP_MASK || !field_mask(f, skip, e, &m) ||
	    !data_eq(&m, &v->ops[0].e->bitwise.mask) || !data_is_zero(&v->ops[0].e->bitwise.xor))
		return false;
	v->field = true;
	v->shift = (8 - (bit + f->bits) % 8) % 8;
	return true;
}

/*
 * Fields that only some ICMP messages have bring matches of their own with them: text to be read
 * back does without, unless the rule asks for that type itself.
 */
static bool may_say(const struct pstate *ps, const struct field *f)
{
	static const int types[] = {
		[ICMP_DEP_ECHO] = 8,	[ICMP_DEP_MTU] = 3,	   [ICMP_DEP_ADDRESS] = 5,
		[ICMP6_DEP_MTU] = 2,	[ICMP6_DEP_PPTR] = 4,	   [ICMP6_DEP_ECHO] = 128,
		[ICMP6_DEP_MGMQ] = 130, [ICMP6_DEP_ADDRESS] = 135, [ICMP6_DEP_REDIRECT] = 137
	};

	if (f->dep == ICMP_ANY)
		return true;
	if (!ps->o->listing)
		return ps->dep_icmp == types[f->dep];
	return ps->icmp_type <= 0 || ps->icmp_type == types[f->dep];
}

/* The one number that nft lists in base 16. */
static bool hex_field(const struct field *f)
{
	return f->proto == PROTO_IP && f->off == 48;
}

static void payload_words(struct pstate *ps, struct pval *v)
{
	static const char *const bases[] = { "ll", "nh", "th", "ih", NULL };
	const struct expr *e = v->e;
	uint32_t skip;
	const struct proto *p = payload_proto(ps, e, &skip);

	v->full = 0;
	v->field = false;
	v->fld = NULL;
	for (uint32_t i = 0; p && i < p->n_fields; i++) {
		const struct field *f = &p->fields[i];

		if (!may_say(ps, f) || !field_fits(v, f, skip))
			continue;
		v->fld = f;
		v->words = arena_printf(ps->a, "%s %s", p->name, f->name);
		v->type = ps->o->listing && hex_field(f) ? TYPE_HEX : f->type;
		v->l3 = p->id == PROTO_IP ? FAM_IP : p->id == PROTO_IP6 ? FAM_IP6 : -1;
		v->l4 = e->payload.base == PB_TRANSPORT && p->id != PROTO_TH ? ps->l4 : -1;
		return;
	}
	v->words = NULL;
	v->type = TYPE_HEX;
	v->l3 = v->l4 = -1;
	if (e->payload.base < ARRAY_SIZE(bases) && bases[e->payload.base])
		v->words = arena_printf(ps->a, "@%s,%u,%u", bases[e->payload.base],
					e->payload.off * 8u, e->payload.len * 8u);
}

/* Keys that may be said without `meta`. */
static bool meta_unqualified(uint32_t key)
{
	return key == KEY_META_IIF || key == KEY_META_OIF || key == KEY_META_IIFNAME ||
	       key == KEY_META_OIFNAME || key == KEY_META_IIFGROUP || key == KEY_META_OIFGROUP;
}

static void meta_load_words(struct pstate *ps, struct pval *v)
{
	const struct key_words *w = key_words(EX_META, v->e->meta.key);

	v->words = !w			      ? NULL
		   : meta_unqualified(w->key) ? w->name
					      : arena_printf(ps->a, "meta %s", w->name);
	v->type = w ? w->type : TYPE_INVALID;
}

static void ct_load_words(struct pstate *ps, struct pval *v)
{
	const struct expr *e = v->e;
	const struct key_words *w = key_words(EX_CT, e->ct.key);
	/* The kernel takes a direction with these, and forgets it. */
	bool told = !ps->o->listing ||
		    (e->ct.key != NFT_CT_L3PROTOCOL && e->ct.key != NFT_CT_PROTOCOL);

	v->words = NULL;
	if (!w)
		return;
	v->words = arena_printf(ps->a, "ct %s%s",
				!e->ct.has_dir || !told ? ""
				: e->ct.dir		? "reply "
							: "original ",
				w->name);
	v->type = w->type;
	v->host = w->host;
}

static const char *ext_words(struct pstate *ps, const struct ext_field *f, enum exthdr_op op,
			     bool present)
{
	static const char *const before[] = { [XH_IPV6] = "",
					      [XH_TCPOPT] = "tcp option ",
					      [XH_IPV4] = "ip option ",
					      [XH_SCTP] = "sctp chunk ",
					      [XH_DCCP] = "dccp option " };

	if (present)
		return arena_printf(ps->a, "%s%s", op == XH_IPV6 ? "exthdr " : before[op], f->hdr);
	return arena_printf(ps->a, "%s%s %s", before[op], f->hdr, f->name);
}

/* The mask that a bit field's bytes come with; true: this is the field. */
static bool ext_fits(struct pval *v, const struct ext_field *f)
{
	const struct expr *e = v->e;
	uint32_t first = f->off / 8, n = DIV_ROUND_UP(f->off + f->bits, 8u) - first, i;
	struct data m = { .len = (uint8_t)n };

	if (!f->bits || e->exthdr.off != first || e->exthdr.len != n)
		return false;
	if (f->off % 8 == 0 && f->bits % 8 == 0)
		return true;
	for (i = f->off; i < (uint32_t)f->off + f->bits; i++)
		m.b[i / 8 - first] |= 0x80 >> (i % 8);
	if (!v->n_ops || v->ops[0].op != POP_MASK || !data_eq(&m, &v->ops[0].e->bitwise.mask) ||
	    !data_is_zero(&v->ops[0].e->bitwise.xor))
		return false;
	v->field = true;
	v->shift = (8 - (f->off + f->bits) % 8) % 8;
	return true;
}

static void exthdr_words(struct pstate *ps, struct pval *v)
{
	const struct expr *e = v->e;
	bool present = e->exthdr.flags & NFT_EXTHDR_F_PRESENT;
	const struct ext_field *f;

	v->words = NULL;
	v->field = false;
	v->type = TYPE_INTEGER;
	for (uint32_t i = 0; (f = ext_nth(e->exthdr.op, e->exthdr.type, i)); i++) {
		if (!present && !ext_fits(v, f))
			continue;
		v->words = ext_words(ps, f, e->exthdr.op, present);
		v->type = present ? TYPE_BOOLEAN : f->type;
		return;
	}
	if (e->exthdr.op != XH_TCPOPT)
		return;
	if (present) {
		v->words = arena_printf(ps->a, "tcp option %u", e->exthdr.type);
		v->type = TYPE_BOOLEAN;
	} else {
		v->words = arena_printf(ps->a, "tcp option @%u,%u,%u", e->exthdr.type,
					e->exthdr.off * 8u, e->exthdr.len * 8u);
	}
}

static void fib_words(struct pstate *ps, struct pval *v)
{
	static const char *const parts[] = { "saddr", "daddr", "mark", "iif", "oif" };
	static const char *const results[] = { NULL, "oif", "oifname", "type" };
	static const uint32_t types[] = { TYPE_INVALID, TYPE_IFINDEX, TYPE_IFNAME, TYPE_FIB_ADDR };
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
	sb_printf(&b, " %s",
		  e->fib.result == 1 && e->fib.flags & NFTA_FIB_F_PRESENT ? "check"
									  : results[e->fib.result]);
	v->words = b.s;
	v->type = e->fib.flags & NFTA_FIB_F_PRESENT ? TYPE_BOOLEAN : types[e->fib.result];
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
			pd_kill_used(ps, k);
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
	static const char *const said[] = { NULL,	 "ip daddr", "ip6 daddr", "ip saddr",
					    "ip6 saddr", "reqid",    "spi" };
	static const uint32_t types[] = { TYPE_INVALID, TYPE_IPADDR,  TYPE_IP6ADDR, TYPE_IPADDR,
					  TYPE_IP6ADDR, TYPE_INTEGER, TYPE_INTEGER };
	const struct expr *e = v->e;

	if (!e->xfrm.key || e->xfrm.key >= ARRAY_SIZE(said))
		return;
	v->words = arena_printf(ps->a, "ipsec %s %s%s", e->xfrm.dir ? "out" : "in",
				e->xfrm.spnum ? arena_printf(ps->a, "spnum %u ", e->xfrm.spnum)
					      : "",
				said[e->xfrm.key]);
	v->type = types[e->xfrm.key];
	v->host = v->type == TYPE_INTEGER && e->xfrm.key != NFT_XFRM_KEY_SPI;
}

static void other_words(struct pstate *ps, struct pval *v)
{
	static const char *const rt[] = { "rt classid", "rt ip nexthop", "rt ip6 nexthop", "rt mtu",
					  "rt ipsec" };
	static const uint32_t rt_type[] = { TYPE_REALM, TYPE_IPADDR, TYPE_IP6ADDR, TYPE_INTEGER,
					    TYPE_BOOLEAN };
	static const char *const sock[] = { "socket transparent", "socket mark",
					    "socket wildcard" };
	const struct expr *e = v->e;

	v->host = true;
	v->type = TYPE_INTEGER;
	v->words = NULL;
	if (e->kind == EX_RT && e->rt.key < ARRAY_SIZE(rt)) {
		v->words = rt[e->rt.key];
		v->type = rt_type[e->rt.key];
		v->host = v->type != TYPE_IPADDR && v->type != TYPE_IP6ADDR;
	} else if (e->kind == EX_SOCKET && e->socket.key < ARRAY_SIZE(sock)) {
		v->words = sock[e->socket.key];
		v->type = e->socket.key == 1 ? TYPE_MARK : TYPE_INTEGER;
	} else if (e->kind == EX_OSF) {
		static const char *const ttl[] = { "", "ttl loose ", "ttl skip " };

		if (e->osf.ttl < 3)
			v->words = arena_printf(ps->a, "osf %s%s", ttl[e->osf.ttl],
						e->osf.flags & 1 ? "version" : "name");
		v->type = TYPE_STRING;
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
		meta_load_words(ps, v);
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
	if (e->kind == EX_META) {
		const struct key_words *w = key_words(EX_META, e->meta.key);

		v->host = w && w->host;
	}
	ps->reg[__builtin_ctz(r.writes)] = v;
	if (e->kind == EX_HASH) /* what it is of may not stay where it is */
		pl_resolve(ps, v);
	return true;
}

static const char *behind(const char *words, const char *before)
{
	size_t n = strlen(before);

	return strncmp(words, before, n) ? NULL : words + n;
}

/* A field of a header that is found by walking, without the words before the header's name. */
static uint32_t ext_typeof(const char *words)
{
	static const struct {
		const char *before;
		enum exthdr_op op;
	} kinds[] = { { "tcp option ", XH_TCPOPT },
		      { "ip option ", XH_IPV4 },
		      { "sctp chunk ", XH_SCTP },
		      { "", XH_IPV6 } };

	for (uint32_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *w = behind(words, kinds[i].before), *space = w ? strchr(w, ' ') : NULL;
		const struct ext_field *f;
		char hdr[32];

		if (!space || (size_t)(space - w) >= sizeof(hdr))
			continue;
		memcpy(hdr, w, (size_t)(space - w));
		hdr[space - w] = '\0';
		f = ext_find(kinds[i].op, hdr, space + 1);
		if (f)
			return f->type;
	}
	return TYPE_INVALID;
}

static uint32_t key_typeof(const char *words, bool *host)
{
	static const struct {
		const char *before;
		enum expr_kind kind;
	} kinds[] = { { "meta ", EX_META },	{ "", EX_META },	  { "ct original ", EX_CT },
		      { "ct reply ", EX_CT },	{ "ct ", EX_CT },	  { "rt ", EX_RT },
		      { "socket ", EX_SOCKET }, { "tunnel ", EX_TUNNEL }, { "ipsec in ", EX_XFRM },
		      { "ipsec out ", EX_XFRM } };

	for (uint32_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		const char *w = behind(words, kinds[k].before);
		unsigned int spnum;
		int n = 0;

		if (w && kinds[k].kind == EX_XFRM && sscanf(w, "spnum %u %n", &spnum, &n) == 1)
			w += n;
		for (uint32_t i = 0; w && i < ARRAY_SIZE(keys); i++)
			if (keys[i].kind == kinds[k].kind && !strcmp(keys[i].name, w))
				return *host = keys[i].host, keys[i].type;
	}
	return TYPE_INVALID;
}

uint32_t pl_typeof(const char *words, bool *host)
{
	static const char *const tunnels[] = { "vxlan ", "geneve ", "gretap ", "gre " };
	uint32_t t = key_typeof(words, host);
	const char *space = strchr(words, ' ');

	if (t != TYPE_INVALID)
		return t;
	*host = false;
	if (*words == '@')
		return TYPE_HEX;
	if (behind(words, "osf "))
		return TYPE_STRING;
	for (int id = 1; space && id < PROTO_COUNT; id++) {
		const struct proto *p = proto_of(id);
		const struct field *f = proto_field(p, space + 1);

		if (f && strlen(p->name) == (size_t)(space - words) && behind(words, p->name))
			return f->type;
	}
	t = ext_typeof(words);
	for (uint32_t i = 0; t == TYPE_INVALID && i < ARRAY_SIZE(tunnels); i++)
		if (behind(words, tunnels[i]))
			t = pl_typeof(behind(words, tunnels[i]), host);
	return t;
}

const struct field *pl_bits_set(struct pstate *ps, const struct expr *write, const struct pval *val,
				uint64_t *value)
{
	const struct expr *e = val->e, *bw;
	uint32_t i, k, skip, off = write->payload.off * 8u, end = off + write->payload.len * 8u;
	const struct proto *p = payload_proto(ps, write, &skip);

	if (!p || e->kind != EX_PAYLOAD || val->n_ops != 1 || val->ops[0].op != POP_MASK ||
	    e->payload.base != write->payload.base || e->payload.off != write->payload.off ||
	    e->payload.len != write->payload.len || e->payload.len > 8)
		return NULL;
	bw = val->ops[0].e;
	for (i = 0; i < p->n_fields; i++) {
		const struct field *f = &p->fields[i];
		uint32_t bit = f->off + skip;
		bool ok = bit >= off && bit + f->bits <= end;
		uint64_t v = 0;

		for (k = 0; ok && off + k < end; k++) {
			bool in = off + k >= bit && off + k < bit + f->bits;
			bool kept = bw->bitwise.mask.b[k / 8] >> (7 - k % 8) & 1;
			bool set = bw->bitwise.xor.b[k / 8] >> (7 - k % 8) & 1;

			ok = kept == !in && (in || !set);
			if (in)
				v = v << 1 | set;
		}
		if (!ok)
			continue;
		*value = v;
		return f;
	}
	return NULL;
}

/* n bits from bit `at`, the last one lowest. */
static struct data bits_of(const struct data *d, uint32_t at, uint32_t n)
{
	struct data x = { .len = (uint8_t)DIV_ROUND_UP(n, 8u) };
	uint32_t pad = x.len * 8u - n;

	for (uint32_t i = 0; i < n; i++)
		if (d->b[(at + i) / 8] >> (7 - (at + i) % 8) & 1)
			x.b[(pad + i) / 8] |= 0x80 >> ((pad + i) % 8);
	return x;
}

/*
 * A load over several whole fields, which nft makes of equal tests side by side: the tests again,
 * "udp sport 67", "udp dport 68". The number of them, values and words in v and text; 0: it is not
 * that.
 */
uint32_t pl_fields_equal(struct pstate *ps, const struct pval *val, const struct data *d,
			 struct pval *v, const char **text, uint32_t max)
{
	uint32_t skip, start = val->e->payload.off * 8u, off = start, n = 0;
	uint32_t end = start + val->e->payload.len * 8u;
	const struct proto *p = payload_proto(ps, val->e, &skip);

	while (p && p->id != PROTO_TH && off < end) {
		const struct field *f = NULL;
		struct sbuf b;
		struct data x;

		for (uint32_t i = 0; i < p->n_fields && !f; i++)
			if (p->fields[i].off + skip == off && off + p->fields[i].bits <= end &&
			    may_say(ps, &p->fields[i]))
				f = &p->fields[i];
		if (!f || n == max || type_is_flags(f->type) ||
		    (!ps->o->listing && (off | f->bits) % 8))
			return 0;
		x = bits_of(d, off - start, f->bits);
		sb_init(&b, ps->a);
		sb_printf(&b, "%s %s ", p->name, f->name);
		pv_data(&b, pv_how(ps->o), f->type, false, x.b, x.len);
		v[n] = *val;
		v[n].fld = f;
		v[n].l3 = p->id == PROTO_IP ? FAM_IP : p->id == PROTO_IP6 ? FAM_IP6 : -1;
		v[n].l4 = val->e->payload.base == PB_TRANSPORT ? ps->l4 : -1;
		v[n].value = pv_number(x.b, x.len, false);
		text[n++] = b.s;
		off += f->bits;
	}
	return n > 1 ? n : 0;
}
