// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * heads: words that read what belongs to them and become one token with it: `tcp dport`, `ct
 * original ip saddr`, `fib saddr . iif oif`, `log ... flags tcp sequence,options`.
 */
#include "lex.h"
#include "parse.tab.h"

/* "`tcp` has no field `dprot`, did you mean `dport`" */
void no_such(struct head *h, const char *what, const char *of, const char *list,
	     const struct raw *r)
{
	const char *near;

	if (r->kind != RAW_WORD) {
		p_error(h->p, r->kind == RAW_NL || r->kind == RAW_EOF ? *h->loc : r->loc,
			"%s stands without its %s", of, what);
		return;
	}
	near = lex_near_field(h->p, list, r->s, r->len);
	if (near)
		p_error(h->p, r->loc, "%s has no %s %.*s, did you mean %s", of, what, (int)r->len,
			r->s, near);
	else
		p_error(h->p, r->loc, "%s has no %s %.*s", of, what, (int)r->len, r->s);
}

/* What a packet, its meta data or the kernel says. */
bool is_field(int t)
{
	switch (t) {
	case T_PAYLOAD:
	case T_METAKEY:
	case T_CTKEY:
	case T_EXTFIELD:
	case T_EXTHDR:
	case T_OPTFIELD:
	case T_RTKEY:
	case T_SOCKETKEY:
	case T_FIB:
	case T_XFRM:
		return true;
	}
	return false;
}

/* The token before says that a value follows: `ip protocol tcp`, `== icmp`. */
static bool value_follows(int prev)
{
	switch (prev) {
	case T_EQ:
	case T_NEQ:
	case T_LT:
	case T_LTE:
	case T_GT:
	case T_GTE:
	case T_WITH:
	case '=':
		return true;
	}
	return is_field(prev);
}

static int head_option(struct head *h, int token)
{
	lex_take(h->p, h->loc);
	h->p->raw_opt = true;
	return token;
}

/* Headers inside a tunnel: plain gre carries no link layer. */
static bool inner_fits(const char *tunnel, const struct word *in)
{
	if (in->kind == W_META)
		return true;
	return in->kind == W_PROTO &&
	       (strcmp(tunnel, "gre") ||
		!in_list("ether vlan arp vxlan geneve gre gretap", in->s, strlen(in->s)));
}

/* A protocol: with its field, an option, an inner header, or bare. */
int head_proto(struct head *h, const struct word *w)
{
	struct parser *p = h->p;
	const char *proto = w->s;
	struct raw *r;

	h->t->a = proto;
	if (value_follows(p->prev) && p->assign != ASSIGN_OPERAND)
		return T_PROTO;
	r = lex_peek(p, 0);
	if (r->kind != RAW_WORD)
		return T_PROTO;
	if (raw_is(r, "option") && !strcmp(proto, "tcp"))
		return head_option(h, T_TCP_OPTION);
	if (raw_is(r, "option") && !strcmp(proto, "ip"))
		return head_option(h, T_IP_OPTION);
	if (raw_is(r, "option") && !strcmp(proto, "dccp"))
		return head_option(h, T_DCCP_OPTION);
	if (raw_is(r, "chunk") && !strcmp(proto, "sctp"))
		return head_option(h, T_SCTP_CHUNK);
	if (in_list("vxlan geneve gre gretap", proto, strlen(proto))) {
		const struct word *in = strmap_get(&p->words, r->s, r->len);

		if (in && inner_fits(proto, in))
			return T_INNER;
	}
	if (!in_list(w->fields, r->s, r->len))
		return T_PROTO;
	h->t->b = lex_text(p, r);
	lex_take(p, h->loc);
	if (!strcmp(proto, "arp") && (!strcmp(h->t->b, "saddr") || !strcmp(h->t->b, "daddr"))) {
		r = lex_peek(p, 0);
		if (raw_is(r, "ip") || raw_is(r, "ether"))
			h->t->b = arena_printf(p->arena, "%s %s", h->t->b, lex_text(p, r)),
			lex_take(p, h->loc);
		else
			no_such(h, "kind of address", "arp", "ip ether", r);
	}
	return T_PAYLOAD;
}

int head_exth(struct head *h, const struct word *w)
{
	struct raw *r = lex_peek(h->p, 0);

	h->t->a = w->s;
	if (value_follows(h->p->prev) || r->kind != RAW_WORD || !in_list(w->fields, r->s, r->len))
		return strcmp(w->s, "rt") ? T_PROTO : 0;
	h->t->b = lex_text(h->p, r);
	lex_take(h->p, h->loc);
	return T_EXTFIELD;
}

int head_meta(struct head *h)
{
	struct raw *r = lex_peek(h->p, 0);

	h->t->num = 1;
	h->t->a = "mark";
	if (r->kind == RAW_WORD && in_list(meta_keys, r->s, r->len)) {
		h->t->a = lex_text(h->p, r);
		lex_take(h->p, h->loc);
		return T_METAKEY;
	}
	no_such(h, "key", "meta", meta_keys, r);
	if (r->kind == RAW_WORD)
		lex_take(h->p, h->loc);
	return T_METAKEY;
}

static void ct_words(struct parser *p, struct sbuf *b)
{
	sb_init(b, p->arena);
	sb_puts(b, "count original reply");
	for (const struct named *k = ct_keys; k->s; k++)
		sb_printf(b, " %s", k->s);
}

int head_ct(struct head *h)
{
	struct parser *p = h->p;
	const struct named *k;
	struct raw *r = lex_peek(p, 0);
	struct sbuf list;

	h->t->dir = -1;
	h->t->a = "mark";
	if (raw_is(r, "count")) {
		lex_take(p, h->loc);
		lex_ctx(p)->ctx = CTX_CTCOUNT;
		return T_CT_COUNT;
	}
	if (raw_is(r, "original") || raw_is(r, "reply")) {
		h->t->dir = r->s[0] == 'r';
		lex_take(p, h->loc);
		r = lex_peek(p, 0);
		if (raw_is(r, "ip") || raw_is(r, "ip6")) {
			h->t->b = lex_text(p, r);
			lex_take(p, h->loc);
			r = lex_peek(p, 0);
		}
	}
	k = find_named(ct_keys, r);
	if (k && h->t->dir >= 0 && !k->fields) {
		p_error(p, r->loc, "ct %s has no direction: leave out `%s`", k->s,
			h->t->dir ? "reply" : "original");
		k = NULL;
	} else if (k && h->t->b && strcmp(k->s, "saddr") && strcmp(k->s, "daddr")) {
		p_error(p, r->loc, "ct %s is no address: leave out `%s`", k->s, h->t->b);
		k = NULL;
	} else if (!k) {
		ct_words(p, &list);
		no_such(h, "key", "ct", list.s, r);
	}
	if (k)
		h->t->a = k->s;
	if (r->kind == RAW_WORD)
		lex_take(p, h->loc);
	return T_CTKEY;
}

/* One word of a list, or an error; what: "key". */
const char *one_of(struct head *h, const char *of, const char *what, const char *list)
{
	struct raw *r = lex_peek(h->p, 0);
	const char *s = "";

	if (r->kind == RAW_WORD && in_list(list, r->s, r->len))
		s = lex_text(h->p, r);
	else
		no_such(h, what, of, list, r);
	if (r->kind == RAW_WORD)
		lex_take(h->p, h->loc);
	return s;
}

int head_rt(struct head *h)
{
	struct parser *p = h->p;
	struct raw *r = lex_peek(p, 0);

	if (raw_is(r, "ip") || raw_is(r, "ip6")) {
		h->t->b = lex_text(p, r);
		lex_take(p, h->loc);
	}
	h->t->a = one_of(h, "rt", "key or field",
			 "classid nexthop mtu ipsec nexthdr hdrlength type seg-left");
	return T_RTKEY;
}

/* A number that must follow, at most max. */
uint64_t number_after(struct head *h, const char *of, uint64_t max)
{
	struct raw *r = lex_peek(h->p, 0);
	uint64_t n = r->num;

	if (r->kind != RAW_NUM) {
		p_error(h->p, r->loc, "%s needs a number", of);
		return 0;
	}
	if (n > max) {
		p_error(h->p, r->loc, "%s %llu is too large: at most %llu", of,
			(unsigned long long)n, (unsigned long long)max);
		n = 0;
	}
	lex_take(h->p, h->loc);
	return n;
}

int head_socket(struct head *h)
{
	h->t->a = one_of(h, "socket", "key", "transparent mark wildcard cgroupv2");
	if (!strcmp(h->t->a, "cgroupv2")) {
		if (!*one_of(h, "socket cgroupv2", "word", "level"))
			return T_SOCKETKEY;
		h->t->num = number_after(h, "level", 255);
	}
	return T_SOCKETKEY;
}

int head_osf(struct head *h)
{
	if (raw_is(lex_peek(h->p, 0), "ttl")) {
		lex_take(h->p, h->loc);
		h->t->b = one_of(h, "osf", "ttl option", "loose skip");
	}
	h->t->a = one_of(h, "osf", "key", "name version");
	return T_OSF;
}

int head_fib(struct head *h)
{
	static const char names[] = "saddr daddr mark iif oif";
	struct parser *p = h->p;
	uint32_t bits = 0;

	do {
		const char *s = one_of(h, "fib", "flag", names);

		if (!*s)
			return T_FIB;
		bits |= !strcmp(s, "saddr")   ? AFIB_SADDR
			: !strcmp(s, "daddr") ? AFIB_DADDR
			: !strcmp(s, "mark")  ? AFIB_MARK
			: !strcmp(s, "iif")   ? AFIB_IIF
					      : AFIB_OIF;
	} while (raw_op(lex_peek(p, 0), '.') && (lex_take(p, h->loc), true));
	h->t->num = bits;
	h->t->a = one_of(h, "fib", "result", "oif oifname type check");
	if (!(bits & (AFIB_SADDR | AFIB_DADDR)))
		p_error(p, *h->loc, "fib needs saddr or daddr");
	else if ((bits & AFIB_SADDR) && (bits & AFIB_DADDR))
		p_error(p, *h->loc, "fib takes saddr or daddr, not both");
	else if ((bits & AFIB_IIF) && (bits & AFIB_OIF))
		p_error(p, *h->loc, "fib takes iif or oif, not both");
	return T_FIB;
}

/* `ipsec in spi`, `ipsec out ip saddr`; `ipsec exists` is the meta key. */
int head_ipsec(struct head *h)
{
	struct parser *p = h->p;
	struct raw *r = lex_peek(p, 0);

	if (!raw_is(r, "in") && !raw_is(r, "out")) {
		h->t->a = "ipsec";
		return T_METAKEY;
	}
	h->t->dir = raw_is(r, "out");
	lex_take(p, h->loc);
	if (raw_is(lex_peek(p, 0), "spnum")) {
		lex_take(p, h->loc);
		h->t->num = number_after(h, "spnum", 255);
	}
	r = lex_peek(p, 0);
	if (raw_is(r, "ip") || raw_is(r, "ip6")) {
		h->t->b = lex_text(p, r);
		lex_take(p, h->loc);
		h->t->a = one_of(h, "ipsec", "address", "saddr daddr");
	} else {
		h->t->a = one_of(h, "ipsec", "key", "spi reqid");
	}
	return T_XFRM;
}

int head_tunnel(struct head *h)
{
	struct raw *r = lex_peek(h->p, 0);

	if (raw_is(r, "id") || raw_is(r, "path")) {
		h->t->a = lex_text(h->p, r);
		lex_take(h->p, h->loc);
		return T_TUNNELKEY;
	}
	lex_ctx(h->p)->ctx = CTX_TUNNEL;
	return T_TUNNEL;
}

int head_exthdr(struct head *h)
{
	h->t->a = one_of(h, "exthdr", "header", "hbh rt rt0 rt2 srh frag dst mh");
	return T_EXTHDR;
}

/* `flags` behind `log`. */
int log_flags(struct head *h)
{
	struct parser *p = h->p;
	const char *s = one_of(h, "log flags", "flag", "tcp ip skuid ether all");

	h->t->num = 0;
	if (!strcmp(s, "skuid"))
		h->t->num = ALOG_UID;
	else if (!strcmp(s, "ether"))
		h->t->num = ALOG_MACDECODE;
	else if (!strcmp(s, "all"))
		h->t->num = ALOG_ALL;
	else if (!strcmp(s, "ip") && *one_of(h, "log flags ip", "flag", "options"))
		h->t->num = ALOG_IPOPT;
	if (strcmp(s, "tcp"))
		return T_LOGFLAGS;
	do {
		s = one_of(h, "log flags tcp", "flag", "sequence options");
		if (*s)
			h->t->num |= *s == 's' ? ALOG_TCPSEQ : ALOG_TCPOPT;
	} while (*s && raw_op(lex_peek(p, 0), ',') && (lex_take(p, h->loc), true));
	return T_LOGFLAGS;
}

/* The kind of an option or chunk, then its field: `tcp option maxseg size`. */
int option_word(struct head *h, const struct raw *r)
{
	struct parser *p = h->p;
	const struct named *t = p->prev == T_TCP_OPTION	 ? tcp_opts
				: p->prev == T_IP_OPTION ? ip_opts
							 : chunks;
	const char *common = p->prev == T_TCP_OPTION  ? "length"
			     : p->prev == T_IP_OPTION ? ""
						      : "type flags length";
	const struct named *k = find_named(t, r);
	struct raw *f;

	if (!k) {
		struct sbuf list;

		sb_init(&list, p->arena);
		for (; t->s; t++)
			sb_printf(&list, "%s ", t->s);
		no_such(h, p->prev == T_SCTP_CHUNK ? "kind" : "option", p->prev_text, list.s, r);
		h->t->a = "nop";
		return T_OPTFIELD;
	}
	h->t->a = k->s;
	f = lex_peek(p, 0);
	if (f->kind != RAW_WORD || p->prev2 == T_RESET)
		return T_OPTFIELD;
	if (in_list(k->fields, f->s, f->len) || in_list(common, f->s, f->len)) {
		h->t->b = lex_text(p, f);
		lex_take(p, h->loc);
	} else if (!raw_is(f, "exists") && !raw_is(f, "missing")) {
		struct sbuf list;

		sb_init(&list, p->arena);
		sb_printf(&list, "%s %s", k->fields, common);
		no_such(h, "field", k->s, list.s, f);
	}
	return T_OPTFIELD;
}
