// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets on and around a ruleset's own constants (see genpkt.h). */
#include "gendeep.h"

#include <ctype.h>
#include <linux/netfilter/nf_tables.h>

#define MAX_IFACES 8
#define MAX_ATOMS  64
#define MAX_DEPTH  18

enum atom_kind {
	AT_NH,
	AT_TH,
	AT_LL,
	AT_L4PROTO,
	AT_NFPROTO,
	AT_IIF,
	AT_OIF,
	AT_MARK,
	AT_IN_LL, /* of the tunnelled packet: in the order of enum payload_base */
	AT_IN_NH,
	AT_IN_TH,
	AT_IN_NONE,
	AT_IN_TUN,
	AT_IN_PROTO,
	AT_IN_ETH,
};

/* One thing that a rule wants: bytes at a place. */
struct atom {
	enum atom_kind kind;
	uint16_t off;
	uint8_t len;
	uint8_t v[DATA_MAX], mask[DATA_MAX]; /* what is written, which bits of it */
};

struct atoms {
	struct atom v[MAX_ATOMS];
	uint32_t n;
	uint8_t tunnel;		   /* type of the tunnel that the target looks into; 0: none */
	const struct expr *option; /* exthdr that it reads; NULL: none */
};

struct call { /* who reaches a chain */
	const struct rule *rule;
	const struct set_elem *elem; /* by a verdict map; else NULL */
};

struct chain_info {
	const struct chain *chain;
	VEC(struct call) calls;
};

struct genpkt {
	struct arena *arena;
	const struct ruleset *rs;
	uint64_t s;
	const char *ifaces[MAX_IFACES];
	uint32_t n_ifaces;
	VEC(const struct rule *) rules;
	VEC(struct chain_info) chains;
	bool v4, v6;
	bool plain; /* tunnels of one shape: shapes, by type */
	struct deep_wish shapes[5];
	struct gp_packet last[32]; /* to be answered and repeated */
	uint32_t n_last;
};

static uint64_t next_random(struct genpkt *g)
{
	g->s ^= g->s << 13;
	g->s ^= g->s >> 7;
	g->s ^= g->s << 17;
	return g->s * 0x2545f4914f6cdd1dull;
}

uint32_t genpkt_rand(struct genpkt *g, uint32_t n)
{
	return n ? (uint32_t)((next_random(g) >> 32) * n >> 32) : 0;
}

static bool chance(struct genpkt *g, uint32_t percent)
{
	return genpkt_rand(g, 100) < percent;
}

/* -- what the ruleset speaks of ---------------------------------------------------------------- */

static void add_iface(struct genpkt *g, const uint8_t *name, uint32_t len)
{
	char s[16] = { 0 };

	memcpy(s, name, MIN(len, 15u));
	if (!s[0] || !strcmp(s, "lo") || g->n_ifaces == MAX_IFACES)
		return;
	if (len < 16 && strlen(s) < 14) /* a prefix: "eth*" */
		strcat(s, "7");
	/*
	 * Plain ones only: they are handed to ip(8), in whose batches quotes and # have a meaning.
	 */
	for (char *c = s; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return;
	for (uint32_t i = 0; i < g->n_ifaces; i++)
		if (!strcmp(g->ifaces[i], s))
			return;
	g->ifaces[g->n_ifaces++] = arena_strdup(g->arena, s);
}

static void ifaces_of_rule(struct genpkt *g, const struct rule *r)
{
	uint32_t names = 0; /* words at which one begins */

	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;
		uint32_t writes = expr_regs(e).writes;

		names &= ~writes;
		if (e->kind == EX_META &&
		    (e->meta.key == NFT_META_IIFNAME || e->meta.key == NFT_META_OIFNAME))
			names |= writes & -writes;
		else if (e->kind == EX_CMP && names >> REG_WORD(e->cmp.sreg) & 1)
			add_iface(g, e->cmp.data.b, e->cmp.data.len);
		else if (e->kind == EX_LOOKUP && names >> REG_WORD(e->lookup.sreg) & 1)
			vec_foreach(&e->lookup.set->elems, el)
				add_iface(g, (*el)->key.b, (*el)->key.len);
	}
}

static struct chain_info *info_of(struct genpkt *g, const struct chain *c)
{
	vec_foreach(&g->chains, i)
		if (i->chain == c)
			return i;
	return NULL;
}

static void add_call(struct genpkt *g, const struct chain *to, const struct rule *r,
		     const struct set_elem *el)
{
	struct chain_info *i = to ? info_of(g, to) : NULL;

	if (i)
		*vec_push(g->arena, &i->calls) = (struct call){ r, el };
}

static void calls_of_rule(struct genpkt *g, const struct rule *r)
{
	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;

		if (e->kind == EX_IMMEDIATE && e->imm.dreg == REG_VERDICT)
			add_call(g, e->imm.verdict.chain, r, NULL);
		else if (e->kind == EX_LOOKUP && e->lookup.set->is_vmap)
			vec_foreach(&e->lookup.set->elems, el)
				add_call(g, (*el)->verdict.chain, r, *el);
	}
}

struct genpkt *genpkt_new(struct arena *a, const struct ruleset *rs, uint64_t seed)
{
	static const char more[][16] = { "gpa", "gpb", "gpc" };
	struct genpkt *g = arena_new_of(a, struct genpkt);

	g->arena = a;
	g->rs = rs;
	g->s = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
	vec_foreach(&rs->tables, t) {
		if ((*t)->family != FAM_IP && (*t)->family != FAM_IP6 && (*t)->family != FAM_INET)
			continue;
		g->v4 |= (*t)->family != FAM_IP6;
		g->v6 |= (*t)->family != FAM_IP;
		vec_foreach(&(*t)->chains, c) {
			vec_push(a, &g->chains)->chain = *c;
			vec_foreach(&(*c)->rules, r)
				*vec_push(a, &g->rules) = *r;
		}
	}
	vec_foreach(&g->rules, r) {
		ifaces_of_rule(g, *r);
		calls_of_rule(g, *r);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(more); i++)
		if (i < 1 || g->n_ifaces < 3)
			add_iface(g, (const uint8_t *)more[i], 16);
	if (!g->v4 && !g->v6)
		g->v4 = true;
	return g;
}

uint32_t genpkt_ifaces(const struct genpkt *g, const char *const **names)
{
	*names = g->ifaces;
	return g->n_ifaces;
}

/* -- a rule's wishes --------------------------------------------------------------------------- */

/* What a register's words hold: at most one source per first word. */
struct held {
	bool set;
	enum atom_kind kind;
	uint16_t off;
	uint8_t len;
	uint8_t mask[16];
	bool swapped; /* by byteorder: compared in the other order */
};

static void want(struct atoms *as, const struct held *s, const uint8_t *v, uint32_t len,
		 const uint8_t *mask)
{
	struct atom *a;

	if (!s->set || as->n == MAX_ATOMS || !len)
		return;
	a = &as->v[as->n++];
	a->kind = s->kind;
	a->off = s->off;
	a->len = (uint8_t)MIN(len, (uint32_t)s->len);
	memcpy(a->v, v, a->len);
	memset(a->mask, 0xff, a->len);
	if (mask)
		memcpy(a->mask, mask, MIN(a->len, 16));
}

/* A value of an element: its key, or something in its range. */
static void elem_value(struct genpkt *g, const struct set_elem *el, uint32_t at, uint32_t len,
		       uint8_t *v)
{
	if (at + len > el->key.len)
		len = el->key.len > at ? el->key.len - at : 0;
	memcpy(v, (el->key_end.len && chance(g, 40) ? el->key_end.b : el->key.b) + at, len);
	if (el->key_end.len && len && chance(g, 30)) /* beside the edge */
		v[len - 1] = (uint8_t)(v[len - 1] + (chance(g, 50) ? 1 : -1));
}

static void want_lookup(struct genpkt *g, struct atoms *as, const struct held *src,
			const struct expr *e, const struct set_elem *el)
{
	const struct set *set = e->lookup.set;
	uint32_t w = REG_WORD(e->lookup.sreg), at = 0;
	uint8_t v[DATA_MAX];

	if (!el && set->elems.n)
		el = set->elems.v[genpkt_rand(g, set->elems.n)];
	if (!el || el->catchall)
		return;
	for (uint32_t f = 0; f < MAX(set->n_fields, 1u) && at < set->key_len; f++) {
		uint32_t len = set->n_fields > 1 ? set->field_len[f] : set->key_len;

		if (w + at / 4 >= REG_WORDS)
			return;
		elem_value(g, el, at, len, v);
		want(as, &src[w + at / 4], v, len, src[w + at / 4].mask);
		at += ALIGN_UP(len, 4);
	}
}

static void load(struct held *src, uint32_t reg, enum atom_kind k, uint32_t off, uint32_t len)
{
	struct held *s = &src[REG_WORD(reg)];

	memset(s, 0, sizeof(*s));
	s->set = true;
	s->kind = k;
	s->off = (uint16_t)off;
	s->len = (uint8_t)len;
	memset(s->mask, 0xff, sizeof(s->mask));
}

static void load_meta(struct held *src, const struct expr *e)
{
	switch (e->meta.key) {
	case NFT_META_L4PROTO:
		load(src, e->meta.dreg, AT_L4PROTO, 0, 1);
		break;
	case NFT_META_NFPROTO:
		load(src, e->meta.dreg, AT_NFPROTO, 0, 1);
		break;
	case NFT_META_IIFNAME:
		load(src, e->meta.dreg, AT_IIF, 0, 16);
		break;
	case NFT_META_OIFNAME:
		load(src, e->meta.dreg, AT_OIF, 0, 16);
		break;
	case NFT_META_MARK:
		load(src, e->meta.dreg, AT_MARK, 0, 4);
		break;
	default:
		src[REG_WORD(e->meta.dreg)].set = false;
	}
}

static void load_inner(struct held *src, const struct expr *e)
{
	if (e->kind == EX_PAYLOAD)
		load(src, e->payload.dreg, (enum atom_kind)((int)AT_IN_LL + (int)e->payload.base),
		     e->payload.off, e->payload.len);
	else if (e->kind == EX_META)
		load(src, e->meta.dreg, e->meta.key == NFT_META_L4PROTO ? AT_IN_PROTO : AT_IN_ETH,
		     0, e->meta.key == NFT_META_L4PROTO ? 1 : 2);
}

static void atoms_of_rule(struct genpkt *g, struct atoms *as, const struct rule *r,
			  const struct set_elem *by)
{
	struct held src[REG_WORDS] = { 0 };

	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;
		struct held *s;

		switch (e->kind) {
		case EX_PAYLOAD:
			if (e->payload.dreg != REG_NONE && e->payload.base <= PB_TRANSPORT)
				load(src, e->payload.dreg,
				     e->payload.base == PB_NETWORK     ? AT_NH
				     : e->payload.base == PB_TRANSPORT ? AT_TH
								       : AT_LL,
				     e->payload.off, e->payload.len);
			break;
		case EX_META:
			if (e->meta.dreg != REG_NONE)
				load_meta(src, e);
			break;
		case EX_INNER:
			as->tunnel = (uint8_t)e->inner.type;
			load_inner(src, e->inner.expr);
			break;
		case EX_EXTHDR:
			as->option = e;
			src[REG_WORD(e->exthdr.dreg)].set = false;
			break;
		case EX_BITWISE:
			if (e->bitwise.op != BW_MASK_XOR || e->bitwise.sreg2 != REG_NONE)
				break;
			src[REG_WORD(e->bitwise.dreg)] = src[REG_WORD(e->bitwise.sreg)];
			s = &src[REG_WORD(e->bitwise.dreg)];
			for (uint32_t i = 0; i < MIN(e->bitwise.mask.len, 16); i++)
				s->mask[i] &= e->bitwise.mask.b[i];
			break;
		case EX_CMP:
			s = &src[REG_WORD(e->cmp.sreg)];
			if (e->cmp.op == CMP_EQ || chance(g, 50))
				want(as, s, e->cmp.data.b, e->cmp.data.len, s->mask);
			break;
		case EX_RANGE:
			s = &src[REG_WORD(e->range.sreg)];
			want(as, s, chance(g, 50) ? e->range.from.b : e->range.to.b,
			     e->range.from.len, s->mask);
			break;
		case EX_LOOKUP:
			want_lookup(g, as, src, e, e->lookup.set->is_vmap ? by : NULL);
			break;
		default:
			break;
		}
	}
}

/* What the target wants of the tunnelled packet. */
static struct deep_wish tunnel_wish(const struct atoms *as)
{
	struct deep_wish w = { .type = as->tunnel };

	for (uint32_t i = 0; i < as->n; i++) {
		const struct atom *a = &as->v[i];
		bool eth = a->kind == AT_IN_ETH ||
			   (a->kind == AT_IN_LL && a->len == 2 && (a->off == 12 || a->off == 16));

		if (a->kind == AT_IN_PROTO)
			w.proto = a->v[0];
		else if (eth && a->v[0] == 0x08 && a->v[1] == 0)
			w.pf = FAM_IP;
		else if (eth && a->v[0] == 0x86)
			w.pf = FAM_IP6;
		else if (eth && a->v[0] == 0x81)
			w.vlan = true;
	}
	return w;
}

void genpkt_plain_tunnels(struct genpkt *g)
{
	g->plain = true;
	for (uint32_t i = g->rules.n; i-- > 0;) {
		struct atoms as = { .n = 0 };

		atoms_of_rule(g, &as, g->rules.v[i], NULL);
		if (as.tunnel > 0 && as.tunnel < ARRAY_SIZE(g->shapes)) {
			g->shapes[as.tunnel] = tunnel_wish(&as);
			g->shapes[as.tunnel].plain = true;
			if (!g->shapes[as.tunnel].pf)
				g->shapes[as.tunnel].pf = FAM_IP;
			if (!g->shapes[as.tunnel].proto)
				g->shapes[as.tunnel].proto = 6;
		}
	}
}

/* The wishes of the rule and of one way of calls that leads to its chain. */
static void atoms_of_target(struct genpkt *g, struct atoms *as)
{
	const struct rule *r;
	const struct set_elem *by = NULL;

	if (!g->rules.n)
		return;
	r = g->rules.v[genpkt_rand(g, g->rules.n)];
	for (uint32_t depth = 0; depth < MAX_DEPTH; depth++) {
		struct chain_info *ci;
		struct call *c;

		atoms_of_rule(g, as, r, by);
		ci = info_of(g, r->chain);
		if (!ci || r->chain->is_base || !ci->calls.n)
			return;
		c = &ci->calls.v[genpkt_rand(g, ci->calls.n)];
		r = c->rule;
		by = c->elem;
	}
}

/* -- a packet ---------------------------------------------------------------------------------- */

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint8_t wanted_proto(struct genpkt *g, const struct atoms *as, uint8_t pf)
{
	static const uint8_t common[] = { 6, 6, 6, 17, 17, 1, 132, 136, 47 };
	uint8_t p;

	for (uint32_t i = 0; i < as->n; i++) {
		const struct atom *a = &as->v[i];

		if (a->kind == AT_L4PROTO && !chance(g, 5))
			return a->v[0];
		if (a->kind == AT_NH && a->len == 1 && a->off == (pf == FAM_IP ? 9 : 6) &&
		    !chance(g, 5))
			return a->v[0];
	}
	p = common[genpkt_rand(g, ARRAY_SIZE(common))];
	return p == 1 && pf == FAM_IP6 ? 58 : p;
}

static uint8_t wanted_family(struct genpkt *g, const struct atoms *as)
{
	if (!g->v4 || !g->v6)
		return g->v4 ? FAM_IP : FAM_IP6;
	for (uint32_t i = 0; i < as->n; i++)
		if (as->v[i].kind == AT_NFPROTO && !chance(g, 5))
			return as->v[i].v[0] == FAM_IP6 ? FAM_IP6 : FAM_IP;
	for (uint32_t i = 0; i < as->n; i++)
		if (as->v[i].kind == AT_NH && as->v[i].len == 16)
			return FAM_IP6;
	return chance(g, 50) ? FAM_IP6 : FAM_IP;
}

/* The transport header with plausible values; returns its length. */
static uint32_t make_l4(struct genpkt *g, uint8_t *b, uint8_t proto)
{
	uint32_t data = genpkt_rand(g, 3) ? genpkt_rand(g, 40) : 0, n;

	for (uint32_t i = 0; i < 64; i++)
		b[i] = (uint8_t)next_random(g);
	put16(b, 1024 + genpkt_rand(g, 64));
	put16(b + 2, chance(g, 50) ? 1 + genpkt_rand(g, 100) : genpkt_rand(g, 65536));
	switch (proto) {
	case 6: {
		static const uint8_t flags[] = { 0x02, 0x02, 0x02, 0x12, 0x10, 0x18,
						 0x11, 0x04, 0x00, 0x29, 0x03, 0xc2 };
		uint32_t opts = chance(g, 30) ? genpkt_rand(g, 5) * 4 : 0;

		b[12] = (uint8_t)((5 + opts / 4) << 4);
		b[13] = flags[genpkt_rand(g, ARRAY_SIZE(flags))];
		put16(b + 18, 0);
		for (uint32_t i = 0; i < opts; i++)
			b[20 + i] = 1;
		if (opts >= 4) {
			b[20] = 2;
			b[21] = 4;
			put16(b + 22, 1460);
		}
		n = 20 + opts;
		break;
	}
	case 17:
	case 136:
		put16(b + 4, 8 + data);
		n = 8;
		break;
	case 1:
	case 58: {
		static const uint8_t t4[] = { 8, 8, 0, 3, 11, 5, 13 };
		static const uint8_t t6[] = { 128, 128, 129, 1, 2, 3, 135, 136 };

		b[0] = proto == 1 ? t4[genpkt_rand(g, ARRAY_SIZE(t4))]
				  : t6[genpkt_rand(g, ARRAY_SIZE(t6))];
		b[1] = 0;
		n = 8;
		break;
	}
	case 132:
		n = 12;
		break;
	default:
		n = 4 + genpkt_rand(g, 12);
	}
	return n + data;
}

static void random_address(struct genpkt *g, uint8_t pf, uint8_t *a)
{
	if (pf == FAM_IP) {
		a[0] = 10;
		a[1] = (uint8_t)genpkt_rand(g, 4);
		a[2] = (uint8_t)genpkt_rand(g, 4);
		a[3] = (uint8_t)(1 + genpkt_rand(g, 250));
	} else {
		memset(a, 0, 16);
		a[0] = 0xfd;
		a[7] = (uint8_t)genpkt_rand(g, 4);
		a[15] = (uint8_t)(1 + genpkt_rand(g, 250));
	}
}

/* IPv6 extension headers before proto; returns their length. */
static uint32_t make_ext(struct genpkt *g, uint8_t *b, uint8_t *first, uint8_t proto)
{
	static const uint8_t kinds[] = { 0, 60, 43, 51, 60 };
	uint32_t n = 1 + genpkt_rand(g, 2), at = 0;
	uint8_t *next = first;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t k = i ? kinds[1 + genpkt_rand(g, 4)] : kinds[genpkt_rand(g, 5)];

		memset(b + at, 0, 16);
		*next = k;
		next = b + at;
		if (k == 51) {
			b[at + 1] = 2; /* (2 + 2) * 4 */
			at += 16;
		} else {
			b[at + 2] = 1; /* PadN of 4 bytes */
			b[at + 3] = 4;
			if (k == 43)
				b[at + 2] = b[at + 3] = 0;
			at += 8;
		}
	}
	*next = proto;
	return at;
}

static uint32_t make_l3(struct genpkt *g, struct gp_packet *p, uint8_t proto, bool plain)
{
	uint32_t n = 20;

	memset(p->b, 0, sizeof(p->b));
	if (p->pf == FAM_IP6) {
		p->b[0] = 0x60;
		p->b[6] = proto;
		p->b[7] = chance(g, 30) ? 255 : 64;
		random_address(g, FAM_IP6, p->b + 8);
		random_address(g, FAM_IP6, p->b + 24);
		return 40 + (!plain && chance(g, 8) ? make_ext(g, p->b + 40, p->b + 6, proto) : 0);
	}
	if (!plain && chance(g, 4)) { /* options: no-operation, then end */
		n += 4;
		memset(p->b + 20, 1, 3);
	}
	p->b[0] = (uint8_t)(0x40 | n / 4);
	p->b[8] = 64;
	p->b[9] = proto;
	random_address(g, FAM_IP, p->b + 12);
	random_address(g, FAM_IP, p->b + 16);
	return n;
}

static uint32_t iface_number(const struct genpkt *g, const struct atom *a)
{
	uint32_t n = (uint32_t)strnlen((const char *)a->v, a->len);

	for (uint32_t i = 0; i < g->n_ifaces; i++)
		if (!strncmp(g->ifaces[i], (const char *)a->v, n))
			return i;
	return 0;
}

static void apply(struct genpkt *g, struct gp_packet *p, const struct atom *a, uint32_t th,
		  const struct deep *d)
{
	const uint32_t bases[] = {
		[AT_TH] = th,	    [AT_IN_LL] = d->ll,	  [AT_IN_NH] = d->nh,
		[AT_IN_TH] = d->th, [AT_IN_TUN] = d->tun, [AT_IN_ETH] = 0,
	};
	uint32_t at = bases[a->kind] + a->off;

	switch (a->kind) {
	case AT_IN_LL:
	case AT_IN_NH:
	case AT_IN_TH:
	case AT_IN_TUN:
		if (!d->tun)
			return;
		/* fall through */
	case AT_NH:
	case AT_TH:
		if (at + a->len > p->len)
			return;
		for (uint32_t i = 0; i < a->len; i++)
			p->b[at + i] = (uint8_t)((p->b[at + i] & ~a->mask[i]) |
						 (a->v[i] & a->mask[i]));
		if (chance(g, 6)) /* one beside */
			p->b[at + a->len - 1] =
				(uint8_t)(p->b[at + a->len - 1] + (chance(g, 50) ? 1 : -1));
		break;
	case AT_IIF:
		p->iface = iface_number(g, a);
		break;
	case AT_OIF:
		p->oface = iface_number(g, a);
		break;
	case AT_MARK:
		memcpy(&p->mark, a->v, MIN(a->len, 4));
		break;
	default:
		break;
	}
}

/*
 * A fragment header before the transport header at th, of a packet of IPv6; field: offset and
 * "more", as it stands in the header.
 */
static void add_fragment(struct gp_packet *p, uint32_t th, uint32_t field)
{
	uint32_t at = 40;
	uint8_t *next = &p->b[6];

	if (p->len + 8 > GP_MAX || p->len < th)
		return;
	while (at < th) {
		uint32_t n = *next == 51 ? (p->b[at + 1] + 2u) * 4 : (p->b[at + 1] + 1u) * 8;

		next = &p->b[at];
		at += n;
	}
	memmove(p->b + th + 8, p->b + th, p->len - th);
	memset(p->b + th, 0, 8);
	p->b[th] = *next;
	p->b[th + 2] = (uint8_t)(field >> 8);
	p->b[th + 3] = (uint8_t)field;
	*next = 44;
	p->len += 8;
}

static void make_odd(struct genpkt *g, struct gp_packet *p, uint32_t th)
{
	p->odd = true;
	switch (genpkt_rand(g, 4)) {
	case 0: /* cut in the transport header */
	case 1:
		if (p->len > th)
			p->len = th + genpkt_rand(g, MIN(p->len - th, 20u));
		break;
	case 2: /* a first fragment, or the only one */
		if (p->pf == FAM_IP)
			p->b[6] |= 0x20;
		else
			add_fragment(p, th, chance(g, 70));
		break;
	default: /* a later one */
		if (p->pf == FAM_IP)
			p->b[7] = (uint8_t)(1 + genpkt_rand(g, 100));
		else
			add_fragment(p, th, 8 * (1 + genpkt_rand(g, 100)) + chance(g, 50));
	}
}

/* The answer to an earlier packet: addresses and ports swapped. */
static void swap_bytes(uint8_t *a, uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

static void make_answer(struct gp_packet *p)
{
	uint32_t th = p->pf == FAM_IP ? (p->b[0] & 15u) * 4 : 40, face = p->iface;
	uint8_t proto = p->b[p->pf == FAM_IP ? 9 : 6];

	if (p->pf == FAM_IP)
		swap_bytes(p->b + 12, p->b + 16, 4);
	else
		swap_bytes(p->b + 8, p->b + 24, 16);
	if ((proto == 6 || proto == 17) && p->len >= th + 4)
		swap_bytes(p->b + th, p->b + th + 2, 2);
	if (proto == 6 && p->len >= th + 14)
		p->b[th + 13] = p->b[th + 13] == 2 ? 0x12 : 0x10;
	if (proto == 1 && p->len > th && p->b[th] == 8)
		p->b[th] = 0;
	if (proto == 58 && p->len > th && p->b[th] == 128)
		p->b[th] = 129;
	p->iface = p->oface;
	p->oface = face;
}

/* Options and chunks that the target reads, and the packets around them. */
static void make_options(struct genpkt *g, struct gp_packet *p, const struct expr *e, uint32_t *th,
			 uint8_t proto)
{
	uint32_t n = 4 + 4 * genpkt_rand(g, 9);

	if (e->exthdr.op == XH_TCPOPT && proto == 6) {
		p->b[*th + 12] = (uint8_t)((5 + n / 4) << 4);
		deep_tcp_options(g, p->b + *th + 20, n, e->exthdr.type);
		p->len = *th + 20 + n + genpkt_rand(g, 8);
	} else if (e->exthdr.op == XH_SCTP && proto == 132) {
		p->len = *th + 12 + deep_sctp_chunks(g, p->b + *th + 12, 64, e->exthdr.type);
	} else if (e->exthdr.op == XH_DCCP && proto == 33) {
		p->len = *th + deep_dccp(g, p->b + *th, e->exthdr.type);
	} else if (e->exthdr.op == XH_IPV4 && p->pf == FAM_IP && p->len + 40 < GP_MAX) {
		memmove(p->b + 20 + n, p->b + *th, p->len - *th);
		deep_ip4_options(g, p->b + 20, n, e->exthdr.type);
		p->len += 20 + n - *th;
		*th = 20 + n;
		p->b[0] = (uint8_t)(0x40 | *th / 4);
	}
}

static void make_fresh(struct genpkt *g, struct gp_packet *p)
{
	struct atoms as = { .n = 0 };
	struct deep d = { 0 };
	struct deep_wish w;
	uint32_t th, drop;
	uint8_t proto;

	if (!chance(g, 10))
		atoms_of_target(g, &as);
	p->pf = wanted_family(g, &as);
	proto = wanted_proto(g, &as, p->pf);
	th = make_l3(g, p, proto, g->plain && as.tunnel);
	p->len = th + make_l4(g, p->b + th, proto);
	w = g->plain ? g->shapes[as.tunnel % ARRAY_SIZE(g->shapes)] : tunnel_wish(&as);
	if (w.type && (w.type <= 2 ? proto == 17 : proto == 47))
		deep_tunnel(g, p, th, &w, &d);
	if (as.option && as.option->exthdr.dreg != REG_NONE && chance(g, 70))
		make_options(g, p, as.option, &th, proto);
	p->iface = genpkt_rand(g, g->n_ifaces);
	p->oface = genpkt_rand(g, g->n_ifaces);
	drop = chance(g, 35) ? genpkt_rand(g, as.n + 1) : as.n; /* all but one wish */
	for (uint32_t i = as.n;
	     i-- > 0;) /* the outermost rule first: the target's own wishes win */
		if (i != drop)
			apply(g, p, &as.v[i], th, &d);
	if (p->pf == FAM_IP)
		p->b[0] = (uint8_t)(0x40 |
				    (p->b[0] & 15)); /* the stack drops other versions itself */
	if (p->pf == FAM_IP && (p->b[0] & 15) * 4u != th)
		p->b[0] = (uint8_t)(0x40 | MIN(th, 60u) / 4);
	if (p->pf == FAM_IP6)
		p->b[0] = (uint8_t)(0x60 | (p->b[0] & 15));
	if (chance(g, 8))
		make_odd(g, p, th);
}

void genpkt_next(struct genpkt *g, enum gp_way way, uint32_t id, struct gp_packet *p)
{
	uint32_t kept = MIN(g->n_last, (uint32_t)ARRAY_SIZE(g->last));

	memset(p, 0, offsetof(struct gp_packet, b));
	p->mark = p->odd = 0;
	p->iface = p->oface = 0;
	if (kept && chance(g, 30)) {
		*p = g->last[genpkt_rand(g, kept)];
		if (chance(g, 60))
			make_answer(p);
	} else {
		make_fresh(g, p);
	}
	p->way = way;
	p->id = id;
	gendeep_finish(p);
	if (!p->odd)
		g->last[g->n_last++ % ARRAY_SIZE(g->last)] = *p;
}
