// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lex: raw words to the grammar's tokens.
 *
 * Most words of nft are keywords only where they make sense: `rate` behind `limit`, `dport` behind `tcp`. The decision is
 * made here, by the tokens before and at most a few words ahead, and the grammar never has to tell the scanner anything.
 * Words that belong together become one token: `tcp dport`, `ct original ip saddr`, `fib saddr . iif oif`.
 *
 * - A head (`tcp`, `meta`, `ct`, `fib` ...) reads its field. Without one it is the bare protocol, a value.
 * - A statement (`limit`, `log`, `snat` ...) opens a context in which its own words (CKW in keywords.def) are keywords; it
 *   lasts to the next keyword of another kind, or the statement's end. The block of an object (`limit x { ... }`) keeps it.
 * - Behind `define`, `jump`, `@`, `$` ... the next word is a name whatever it says.
 */
#include <stdlib.h>

#include "parser.h"
#include "parse.tab.h"

enum word_kind {
	W_KW = 1,
	W_VERB,
	W_METAU,
	W_PROTO,
	W_EXTH,
	W_META,
	W_CT,
	W_RT,
	W_SOCKET,
	W_OSF,
	W_FIB,
	W_IPSEC,
	W_NUMGEN,
	W_HASH,
	W_TUNNEL,
	W_EXTHDR
};
struct word {
	const char *s;
	enum word_kind kind;
	int token; /* W_KW; W_VERB: the enum ast_op; W_HASH: the token */
	const char *fields;
};

static const struct word words[] = {
#define KW(w, t)    { w, W_KW, t, NULL },
#define VERB(w, op) { w, W_VERB, op, NULL },
#define METAU(w)    { w, W_METAU, 0, NULL },
#define PROTO(w, f) { w, W_PROTO, 0, f },
#define EXTH(w, f)  { w, W_EXTH, 0, f },
#include "keywords.def"
	{ "meta", W_META, 0, NULL },
	{ "ct", W_CT, 0, NULL },
	{ "socket", W_SOCKET, 0, NULL },
	{ "osf", W_OSF, 0, NULL },
	{ "fib", W_FIB, 0, NULL },
	{ "ipsec", W_IPSEC, 0, NULL },
	{ "numgen", W_NUMGEN, 0, NULL },
	{ "jhash", W_HASH, T_JHASH, NULL },
	{ "symhash", W_HASH, T_SYMHASH, NULL },
	{ "tunnel", W_TUNNEL, 0, NULL },
	{ "exthdr", W_EXTHDR, 0, NULL },
};

static const struct {
	enum lex_ctx ctx;
	const char *s;
	int token;
} ctx_words[] = {
#define CKW(c, w, t) { CTX_##c, w, t },
#include "keywords.def"
};

struct named {
	const char *s, *fields;
};
static const struct named tcp_opts[] = {
#define TCPOPT(w, f) { w, f },
#include "keywords.def"
	{ NULL, NULL }
};
static const struct named ip_opts[] = {
#define IPOPT(w, f) { w, f },
#include "keywords.def"
	{ NULL, NULL }
};
static const struct named chunks[] = {
#define CHUNK(w, f) { w, f },
#include "keywords.def"
	{ NULL, NULL }
};
static const struct named ct_keys[] = {
#define CTK(w, d) { w, d ? "d" : NULL },
#include "keywords.def"
	{ NULL, NULL }
};
static const char meta_keys[] =
#define METAU(w) w " "
#define METAQ(w) w " "
#include "keywords.def"
	;

void lex_init(struct parser *p)
{
	strmap_init(&p->words, p->arena);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		*strmap_put(&p->words, words[i].s, strlen(words[i].s)) = (void *)&words[i];
}

/* -- words of lists, spelling ------------------------------------------------------------------------------------ */

static bool raw_is(const struct raw *r, const char *s)
{
	return r->kind == RAW_WORD && r->len == strlen(s) && !memcmp(r->s, s, r->len);
}

static bool raw_op(const struct raw *r, int op)
{
	return r->kind == RAW_OP && r->op == op;
}

/* Is the word in a list of words with blanks between? Returns its place there (not terminated), or NULL. */
static const char *in_list(const char *list, const char *s, size_t n)
{
	while (*list) {
		size_t len = strcspn(list, " ");

		if (len == n && !memcmp(list, s, n))
			return list;
		list += len;
		list += *list == ' ';
	}
	return NULL;
}

bool word_in(const char *list, const char *word)
{
	return in_list(list, word, strlen(word)) != NULL;
}

static const struct named *find_named(const struct named *t, const struct raw *r)
{
	if (r->kind != RAW_WORD)
		return NULL;
	for (; t->s; t++)
		if (raw_is(r, t->s))
			return t;
	return NULL;
}

/* Edits (insert, delete, change, swap of neighbours) between two words; more than max: max + 1. */
uint32_t edit_distance(const char *a, size_t an, const char *b, size_t bn, uint32_t max)
{
	uint32_t row[3][64];

	if (an >= 64 || bn >= 64 || an > bn + max || bn > an + max)
		return max + 1;
	for (size_t j = 0; j <= bn; j++)
		row[0][j] = (uint32_t)j;
	for (size_t i = 1; i <= an; i++) {
		uint32_t *cur = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		cur[0] = (uint32_t)i;
		for (size_t j = 1; j <= bn; j++) {
			uint32_t d = up[j - 1] + (a[i - 1] != b[j - 1]);

			d = MIN(d, MIN(up[j], cur[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = MIN(d, up2[j - 2] + 1);
			cur[j] = d;
		}
	}
	return MIN(row[an % 3][bn], max + 1);
}

/* How far off a word may be to be taken for a slip: a third of its length, two at most. */
static uint32_t slack(size_t n)
{
	return n < 3 ? 0 : n < 6 ? 1 : 2;
}

const char *lex_near_field(struct parser *p, const char *list, const char *word, size_t n)
{
	uint32_t best = slack(n) + 1;
	const char *found = NULL;
	size_t found_len = 0;

	while (*list) {
		size_t len = strcspn(list, " ");
		uint32_t d = edit_distance(word, n, list, len, best);

		if (len && d < best) {
			best = d;
			found = list;
			found_len = len;
		}
		list += len;
		list += *list == ' ';
	}
	return found ? arena_strndup(p->arena, found, found_len) : NULL;
}

const char *lex_near(struct parser *p, const char *word, size_t n)
{
	uint32_t best = slack(n) + 1, d;
	const char *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		d = edit_distance(word, n, words[i].s, strlen(words[i].s), best);
		if (d && d < best) {
			best = d;
			found = words[i].s;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(ctx_words); i++) {
		d = edit_distance(word, n, ctx_words[i].s, strlen(ctx_words[i].s), best);
		if (d && d < best && p->ctx[p->depth].ctx == ctx_words[i].ctx) {
			best = d;
			found = ctx_words[i].s;
		}
	}
	return found;
}

const char *lex_fields(struct parser *p, const char *proto)
{
	const struct word *w = strmap_get(&p->words, proto, strlen(proto));

	return w ? w->fields : NULL;
}

/* -- reading ahead ------------------------------------------------------------------------------------------------ */

static struct raw *peek(struct parser *p, uint32_t n)
{
	while (p->n_look <= n) {
		struct raw *r = &p->look[(p->look_at + p->n_look) % ARRAY_SIZE(p->look)];

		input_raw(p, r);
		p->n_look++;
	}
	return &p->look[(p->look_at + n) % ARRAY_SIZE(p->look)];
}

const struct raw *lex_next(struct parser *p)
{
	return peek(p, 0);
}

static struct raw take(struct parser *p, struct loc *span)
{
	struct raw r = *peek(p, 0);

	p->look_at = (p->look_at + 1) % ARRAY_SIZE(p->look);
	p->n_look--;
	*span = span->line ? loc_span(*span, r.loc) : r.loc;
	return r;
}

static const char *text_of(struct parser *p, const struct raw *r)
{
	return arena_strndup(p->arena, r->s, r->len);
}

static struct lex_ctx_level *ctx(struct parser *p)
{
	return &p->ctx[p->depth];
}

/* -- heads -------------------------------------------------------------------------------------------------------- */

struct head {
	struct parser *p;
	struct tok *t;
	struct loc *loc;
};

/* "`tcp` has no field `dprot`, did you mean `dport`" */
static void no_such(struct head *h, const char *what, const char *of, const char *list,
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

/* The token before says that a value follows: `ip protocol tcp`, `== icmp`. */
static bool value_follows(int prev)
{
	switch (prev) {
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
	return false;
}

static int head_option(struct head *h, int token)
{
	take(h->p, h->loc);
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
static int head_proto(struct head *h, const struct word *w)
{
	struct parser *p = h->p;
	const char *proto = w->s;
	struct raw *r;

	h->t->a = proto;
	if (value_follows(p->prev))
		return T_PROTO;
	r = peek(p, 0);
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
	h->t->b = text_of(p, r);
	take(p, h->loc);
	if (!strcmp(proto, "arp") && (!strcmp(h->t->b, "saddr") || !strcmp(h->t->b, "daddr"))) {
		r = peek(p, 0);
		if (raw_is(r, "ip") || raw_is(r, "ether"))
			h->t->b = arena_printf(p->arena, "%s %s", h->t->b, text_of(p, r)),
			take(p, h->loc);
		else
			no_such(h, "kind of address", "arp", "ip ether", r);
	}
	return T_PAYLOAD;
}

static int head_exth(struct head *h, const struct word *w)
{
	struct raw *r = peek(h->p, 0);

	h->t->a = w->s;
	if (value_follows(h->p->prev) || r->kind != RAW_WORD || !in_list(w->fields, r->s, r->len))
		return strcmp(w->s, "rt") ? T_PROTO : 0;
	h->t->b = text_of(h->p, r);
	take(h->p, h->loc);
	return T_EXTFIELD;
}

static int head_meta(struct head *h)
{
	struct raw *r = peek(h->p, 0);

	h->t->num = 1;
	h->t->a = "mark";
	if (r->kind == RAW_WORD && in_list(meta_keys, r->s, r->len)) {
		h->t->a = text_of(h->p, r);
		take(h->p, h->loc);
		return T_METAKEY;
	}
	no_such(h, "key", "meta", meta_keys, r);
	if (r->kind == RAW_WORD)
		take(h->p, h->loc);
	return T_METAKEY;
}

static void ct_words(struct parser *p, struct sbuf *b)
{
	sb_init(b, p->arena);
	sb_puts(b, "count original reply");
	for (const struct named *k = ct_keys; k->s; k++)
		sb_printf(b, " %s", k->s);
}

static int head_ct(struct head *h)
{
	struct parser *p = h->p;
	const struct named *k;
	struct raw *r = peek(p, 0);
	struct sbuf list;

	h->t->dir = -1;
	h->t->a = "mark";
	if (raw_is(r, "count")) {
		take(p, h->loc);
		ctx(p)->ctx = CTX_CTCOUNT;
		return T_CT_COUNT;
	}
	if (raw_is(r, "original") || raw_is(r, "reply")) {
		h->t->dir = r->s[0] == 'r';
		take(p, h->loc);
		r = peek(p, 0);
		if (raw_is(r, "ip") || raw_is(r, "ip6")) {
			h->t->b = text_of(p, r);
			take(p, h->loc);
			r = peek(p, 0);
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
		take(p, h->loc);
	return T_CTKEY;
}

/* One word of a list, or an error; what: "key". */
static const char *one_of(struct head *h, const char *of, const char *what, const char *list)
{
	struct raw *r = peek(h->p, 0);
	const char *s = "";

	if (r->kind == RAW_WORD && in_list(list, r->s, r->len))
		s = text_of(h->p, r);
	else
		no_such(h, what, of, list, r);
	if (r->kind == RAW_WORD)
		take(h->p, h->loc);
	return s;
}

static int head_rt(struct head *h)
{
	struct parser *p = h->p;
	struct raw *r = peek(p, 0);

	if (raw_is(r, "ip") || raw_is(r, "ip6")) {
		h->t->b = text_of(p, r);
		take(p, h->loc);
	}
	h->t->a = one_of(h, "rt", "key or field",
			 "classid nexthop mtu ipsec nexthdr hdrlength type seg-left");
	return T_RTKEY;
}

/* A number that must follow, at most max. */
static uint64_t number_after(struct head *h, const char *of, uint64_t max)
{
	struct raw *r = peek(h->p, 0);
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
	take(h->p, h->loc);
	return n;
}

static int head_socket(struct head *h)
{
	h->t->a = one_of(h, "socket", "key", "transparent mark wildcard cgroupv2");
	if (!strcmp(h->t->a, "cgroupv2")) {
		if (!*one_of(h, "socket cgroupv2", "word", "level"))
			return T_SOCKETKEY;
		h->t->num = number_after(h, "level", 255);
	}
	return T_SOCKETKEY;
}

static int head_osf(struct head *h)
{
	if (raw_is(peek(h->p, 0), "ttl")) {
		take(h->p, h->loc);
		h->t->b = one_of(h, "osf", "ttl option", "loose skip");
	}
	h->t->a = one_of(h, "osf", "key", "name version");
	return T_OSF;
}

static int head_fib(struct head *h)
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
	} while (raw_op(peek(p, 0), '.') && (take(p, h->loc), true));
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
static int head_ipsec(struct head *h)
{
	struct parser *p = h->p;
	struct raw *r = peek(p, 0);

	if (!raw_is(r, "in") && !raw_is(r, "out")) {
		h->t->a = "ipsec";
		return T_METAKEY;
	}
	h->t->dir = raw_is(r, "out");
	take(p, h->loc);
	if (raw_is(peek(p, 0), "spnum")) {
		take(p, h->loc);
		h->t->num = number_after(h, "spnum", 255);
	}
	r = peek(p, 0);
	if (raw_is(r, "ip") || raw_is(r, "ip6")) {
		h->t->b = text_of(p, r);
		take(p, h->loc);
		h->t->a = one_of(h, "ipsec", "address", "saddr daddr");
	} else {
		h->t->a = one_of(h, "ipsec", "key", "spi reqid");
	}
	return T_XFRM;
}

static int head_tunnel(struct head *h)
{
	struct raw *r = peek(h->p, 0);

	if (raw_is(r, "id") || raw_is(r, "path")) {
		h->t->a = text_of(h->p, r);
		take(h->p, h->loc);
		return T_TUNNELKEY;
	}
	ctx(h->p)->ctx = CTX_TUNNEL;
	return T_TUNNEL;
}

static int head_exthdr(struct head *h)
{
	h->t->a = one_of(h, "exthdr", "header", "hbh rt rt0 rt2 srh frag dst mh");
	return T_EXTHDR;
}

/* `flags` behind `log`. */
static int log_flags(struct head *h)
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
	} while (*s && raw_op(peek(p, 0), ',') && (take(p, h->loc), true));
	return T_LOGFLAGS;
}

/* -- words -------------------------------------------------------------------------------------------------------- */

/* The context that a keyword opens; CTX_NONE: it closes the one that is open; -1: it leaves it. */
static int opens_ctx(int token)
{
	switch (token) {
	case T_COUNTER:
		return CTX_COUNTER;
	case T_LIMIT:
		return CTX_LIMIT;
	case T_QUOTA:
		return CTX_QUOTA;
	case T_LAST:
		return CTX_LAST;
	case T_LOG:
		return CTX_LOG;
	case T_REJECT:
		return CTX_REJECT;
	case T_QUEUE:
		return CTX_QUEUE;
	case T_SNAT:
	case T_DNAT:
	case T_MASQUERADE:
	case T_REDIRECT:
		return CTX_NAT;
	case T_DUP:
	case T_FWD:
	case T_TPROXY:
		return CTX_TO;
	case T_SYNPROXY:
		return CTX_SYNPROXY;
	case T_FLAGS:
	case T_INTERVAL:
	case T_RANDOM:
	case T_FAMILY:
		return -1;
	}
	return CTX_NONE;
}

static bool is_object(int t)
{
	switch (t) {
	case T_COUNTER:
	case T_LIMIT:
	case T_QUOTA:
	case T_SYNPROXY:
	case T_SECMARK:
	case T_TUNNEL:
	case T_CTKEY:
	case T_METER:
		return true;
	}
	return false;
}

static bool is_container(int t)
{
	switch (t) {
	case T_TABLE:
	case T_CHAIN:
	case T_RULE:
	case T_SET:
	case T_MAP:
	case T_ELEMENT:
	case T_FLOWTABLE:
	case T_RULESET:
		return true;
	}
	return false;
}

static bool is_verb(int t)
{
	switch (t) {
	case T_ADD:
	case T_CREATE:
	case T_INSERT:
	case T_REPLACE:
	case T_DELETE:
	case T_DESTROY:
	case T_RESET:
	case T_FLUSH:
	case T_RENAME:
		return true;
	}
	return false;
}

static bool at_start(int prev)
{
	return !prev || prev == T_NL || prev == ';' || prev == '{' || prev == '}';
}

/* `add table ip6 x`: a family follows, not a header. */
static bool family_follows(const struct parser *p)
{
	return (is_container(p->prev) && (at_start(p->prev2) || is_verb(p->prev2))) ||
	       (is_object(p->prev) && is_verb(p->prev2));
}

/* A name follows whatever the word says. */
static bool name_follows(int prev)
{
	switch (prev) {
	case T_DEFINE:
	case T_REDEFINE:
	case T_UNDEFINE:
	case T_JUMP:
	case T_GOTO:
	case T_LEVEL:
	case T_METER:
		return true;
	}
	return false;
}

static int ctx_keyword(struct parser *p, const struct raw *r)
{
	enum lex_ctx c = ctx(p)->ctx;

	if (c == CTX_NONE)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(ctx_words); i++)
		if (ctx_words[i].ctx == c && raw_is(r, ctx_words[i].s))
			return ctx_words[i].token;
	return 0;
}

/* Names of types, behind `type`: `ipv4_addr . mark : interval ipv4_addr`. Returns 0: the list is over. */
static int type_name(struct head *h, const struct raw *r)
{
	struct parser *p = h->p;

	if (!p->type_next) {
		p->in_type = false;
		return 0;
	}
	if (p->prev == ':' && raw_is(r, "interval"))
		return T_INTERVAL;
	p->type_next = false;
	h->t->a = text_of(p, r);
	if (raw_is(r, "ct") && peek(p, 0)->kind == RAW_WORD) {
		struct raw k = take(p, h->loc);

		h->t->a = arena_printf(p->arena, "ct %.*s", (int)k.len, k.s);
	}
	return T_WORD;
}

/* A command that only asks (list, get, monitor ...): its line is one token. */
static int swallow(struct head *h, int op)
{
	struct parser *p = h->p;
	uint32_t depth = 0;

	h->t->num = (uint64_t)op;
	for (;;) {
		struct raw *r = peek(p, 0);

		if (r->kind == RAW_EOF || (!depth && (r->kind == RAW_NL || raw_op(r, ';'))))
			break;
		depth += raw_op(r, '{');
		depth -= depth && raw_op(r, '}');
		take(p, h->loc);
	}
	h->t->a = ast_text(p->arena, p->diag, *h->loc);
	return T_QUERY;
}

static int keyword(struct head *h, const struct word *w)
{
	struct parser *p = h->p;
	int c = opens_ctx(w->token);

	h->t->a = w->s;
	if (w->token == T_FLAGS && ctx(p)->ctx == CTX_LOG)
		return log_flags(h);
	if (c >= 0 && !ctx(p)->sticky)
		ctx(p)->ctx = (enum lex_ctx)c;
	if (c == CTX_NAT)
		p->saw_nat = true;
	if (w->token == T_TYPE && at_start(p->prev))
		p->in_type = p->type_next = true;
	return w->token;
}

static int head(struct head *h, const struct word *w)
{
	struct parser *p = h->p;
	int t;

	switch (w->kind) {
	case W_KW:
		return keyword(h, w);
	case W_VERB:
		if (at_start(p->prev) && !p->n_blocks)
			return swallow(h, w->token);
		h->t->a = w->s;
		return T_WORD;
	case W_PROTO:
		if (family_follows(p)) {
			h->t->a = w->s;
			return T_PROTO;
		}
		t = head_proto(h, w);
		if (t != T_PROTO && !ctx(p)->sticky)
			ctx(p)->ctx = CTX_NONE;
		return t;
	default:
		break;
	}
	if (!ctx(p)->sticky)
		ctx(p)->ctx = CTX_NONE;
	switch (w->kind) {
	case W_METAU:
		h->t->a = w->s;
		return T_METAKEY;
	case W_EXTH:
		t = head_exth(h, w);
		return t ? t : head_rt(h);
	case W_META:
		return head_meta(h);
	case W_CT:
		return head_ct(h);
	case W_SOCKET:
		return head_socket(h);
	case W_OSF:
		return head_osf(h);
	case W_FIB:
		return head_fib(h);
	case W_IPSEC:
		return head_ipsec(h);
	case W_NUMGEN:
		p->saw_hash = true;
		h->t->a = one_of(h, "numgen", "mode", "inc random");
		return T_NUMGEN;
	case W_HASH:
		p->saw_hash = true;
		return w->token;
	case W_TUNNEL:
		return head_tunnel(h);
	case W_EXTHDR:
		return head_exthdr(h);
	default:
		BUG("word %s", w->s);
	}
}

/* The kind of an option or chunk, then its field: `tcp option maxseg size`. */
static int option_word(struct head *h, const struct raw *r)
{
	struct parser *p = h->p;
	const struct named *t = p->prev == T_TCP_OPTION	 ? tcp_opts
				: p->prev == T_IP_OPTION ? ip_opts
							 : chunks;
	const char *common = p->prev == T_TCP_OPTION  ? "length kind"
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
	f = peek(p, 0);
	if (f->kind != RAW_WORD || p->prev2 == T_RESET)
		return T_OPTFIELD;
	if (in_list(k->fields, f->s, f->len) || in_list(common, f->s, f->len)) {
		h->t->b = text_of(p, f);
		take(p, h->loc);
	} else if (!raw_is(f, "exists") && !raw_is(f, "missing")) {
		struct sbuf list;

		sb_init(&list, p->arena);
		sb_printf(&list, "%s %s", k->fields, common);
		no_such(h, "field", k->s, list.s, f);
	}
	return T_OPTFIELD;
}

static bool is_option_head(int t)
{
	return t == T_TCP_OPTION || t == T_IP_OPTION || t == T_SCTP_CHUNK;
}

static int lex_word(struct head *h, const struct raw *r)
{
	struct parser *p = h->p;
	const struct word *w;
	int t;

	if (name_follows(p->prev))
		goto plain;
	if (p->in_type) {
		t = type_name(h, r);
		if (t)
			return t;
	}
	if (is_option_head(p->prev))
		return option_word(h, r);
	if (p->prev == T_NUM && p->prev2 == T_TCP_OPTION && in_list("length kind", r->s, r->len)) {
		h->t->a = text_of(p, r);
		return T_OPTFIELD;
	}
	if (ctx(p)->ctx == CTX_LIMIT && p->prev == '/')
		goto plain;
	t = ctx_keyword(p, r);
	if (t) {
		h->t->a = text_of(p, r);
		return t;
	}
	if (p->saw_nat && raw_is(r, "persistent"))
		return T_PERSISTENT;
	if (p->saw_nat && raw_is(r, "fully-random"))
		return T_FULLY_RANDOM;
	if (p->saw_hash && raw_is(r, "mod"))
		return T_MOD;
	if (p->saw_hash && raw_is(r, "seed"))
		return T_SEED;
	if (p->saw_hash && raw_is(r, "offset"))
		return T_OFFSET;
	w = strmap_get(&p->words, r->s, r->len);
	if (w)
		return head(h, w);
plain:
	h->t->a = text_of(p, r);
	return T_WORD;
}

/* -- operators, numbers ------------------------------------------------------------------------------------------- */

static int open_brace(struct parser *p, struct loc loc)
{
	struct lex_ctx_level *from = ctx(p);
	bool object = from->ctx != CTX_NONE && !from->sticky &&
		      (p->prev == T_WORD || p->prev == T_STRING) && p->start_tok != T_METER &&
		      at_start(p->prev2) == false;

	if (p->depth == BRACE_DEPTH_MAX) {
		p_error(p, loc, "braces are nested too deeply: at most %d", BRACE_DEPTH_MAX);
		p->done = true;
		return 0;
	}
	p->depth++;
	ctx(p)->ctx = object ? from->ctx : CTX_NONE;
	ctx(p)->sticky = object;
	return '{';
}

/* A block may end without a separator, before its brace and behind it: then one is put in. */
static int close_brace(struct parser *p, struct loc loc)
{
	bool block = p->n_blocks && p->blocks[p->n_blocks - 1].depth == p->depth;

	if (block && !at_start(p->prev)) {
		p->pending = '}';
		p->prev_loc = loc;
		return ';';
	}
	if (block && !p->blocks[p->n_blocks - 1].anon)
		p->pending = ';';
	if (p->depth)
		p->depth--;
	return '}';
}

static void statement_over(struct parser *p)
{
	if (!ctx(p)->sticky)
		ctx(p)->ctx = CTX_NONE;
	p->in_type = p->saw_nat = p->saw_hash = false;
}

/* @name, @nh,off,len; behind `tcp option` a plain @. */
static int at_sign(struct head *h)
{
	struct parser *p = h->p;
	struct raw *r = peek(p, 0);

	if (p->prev == T_TCP_OPTION) {
		r = peek(p, 0);
		if (r->kind == RAW_WORD) {
			const struct named *k = find_named(tcp_opts, r);

			if (!k)
				no_such(h, "option", "tcp", "", r);
			h->t->a = k ? k->s : "nop";
			take(p, h->loc);
			return T_RAWOPT;
		}
		h->t->num = number_after(h, "tcp option @", 255);
		return T_RAWOPT;
	}
	if (r->kind == RAW_WORD && in_list("ll nh th ih", r->s, r->len) &&
	    raw_op(peek(p, 1), ',')) {
		h->t->num = r->s[0] == 'l'   ? RAW_LL
			    : r->s[0] == 'n' ? RAW_NH
			    : r->s[0] == 't' ? RAW_TH
					     : RAW_IH;
		take(p, h->loc);
		return T_RAWBASE;
	}
	if (r->kind == RAW_WORD || r->kind == RAW_STRING) {
		h->t->a = text_of(p, r);
		take(p, h->loc);
		return T_SETREF;
	}
	p_error(p, *h->loc, "@ needs the name of a set");
	h->t->a = "";
	return T_SETREF;
}

static int lex_op(struct head *h, const struct raw *r)
{
	struct parser *p = h->p;

	switch (r->op) {
	case '{':
		return open_brace(p, r->loc);
	case '}':
		return close_brace(p, r->loc);
	case ';':
		statement_over(p);
		return ';';
	case '@':
		return at_sign(h);
	case '.':
	case ':':
		p->type_next = p->in_type;
		return r->op;
	case '$': {
		struct raw *n = peek(p, 0);

		if (n->kind != RAW_WORD) {
			p_error(p, r->loc, "$ needs the name of a variable");
			h->t->a = "";
			return T_VAR;
		}
		h->t->a = text_of(p, n);
		take(p, h->loc);
		return T_VAR;
	}
	}
	return r->op;
}

static int lex_raw(struct head *h, const struct raw *r)
{
	switch (r->kind) {
	case RAW_EOF:
		return 0;
	case RAW_NL:
		statement_over(h->p);
		return T_NL;
	case RAW_WORD:
		return lex_word(h, r);
	case RAW_NUM:
		h->t->num = r->num;
		h->t->a = text_of(h->p, r);
		return T_NUM;
	case RAW_SYM:
		h->t->a = text_of(h->p, r);
		return T_SYM;
	case RAW_STRING:
		h->t->a = text_of(h->p, r);
		return T_STRING;
	case RAW_GLOB:
		h->t->a = text_of(h->p, r);
		return T_GLOB;
	case RAW_OP:
		return lex_op(h, r);
	}
	BUG("raw word %d", r->kind);
}

static int next_token(struct parser *p, struct tok *t, struct loc *loc)
{
	struct head h = { p, t, loc };
	struct raw r;

	memset(t, 0, sizeof(*t));
	if (p->pending) {
		int tok = p->pending;

		p->pending = 0;
		*loc = p->prev_loc;
		if (tok == '}')
			return close_brace(p, *loc);
		return tok;
	}
	if (p->done)
		return 0;
	*loc = (struct loc){ 0 };
	r = take(p, loc);
	return lex_raw(&h, &r);
}

/* After an error: on to the end of the statement it is in. */
static int recover(struct parser *p, int tok, struct tok *t, struct loc *loc)
{
	uint32_t depth = p->n_blocks ? p->blocks[p->n_blocks - 1].depth : 0;

	while (tok && !(p->depth <= depth && (tok == ';' || tok == T_NL)) &&
	       !(p->depth < depth && tok == '}')) {
		p->prev2 = p->prev;
		p->prev = tok;
		p->prev_loc = *loc;
		tok = next_token(p, t, loc);
	}
	p->recovering = false;
	return tok;
}

int fe_yylex(FE_YYSTYPE *val, struct loc *loc, struct parser *p)
{
	struct tok t;
	int tok = next_token(p, &t, loc);

	if (p->recovering)
		tok = recover(p, tok, &t, loc);
	p->start_prev = p->is_start;
	p->is_start = at_start(p->prev);
	if (p->is_start)
		p->start_tok = tok;
	p->prev2_loc = p->last_loc;
	p->last_loc = *loc;
	p->prev2 = p->prev;
	p->prev = tok;
	p->prev_loc = *loc;
	p->prev2_text = p->prev_text;
	p->prev_text = t.a;
	val->tok = t;
	return tok;
}
