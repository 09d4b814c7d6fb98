// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * actions: what the grammar's rules do beyond making one node; statements, expressions and syntax
 * errors.
 */
#include "actions.h"
#include "parse.tab.h"

/* -- statements -------------------------------------------------------------------------------- */

struct ast_stmt *objref(struct parser *p, struct loc loc, const char *what, struct ast_expr *ref)
{
	struct ast_stmt *s = mk_stmt(p, AS_OBJREF, loc);

	s->objref.what = what;
	s->objref.ref = ref;
	return s;
}

/* The chain of `jump { }`, and back to the chain around it (block_close did that). */
struct ast_stmt *anon_chain(struct parser *p, struct loc loc, uint64_t is_goto)
{
	struct ast_stmt *s = mk_stmt(p, AS_VERDICT, loc);

	s->expr = mk_verdict(p, loc, is_goto ? AV_GOTO : AV_JUMP, NULL);
	s->expr->verdict.block = p->anon;
	p->anon->loc = loc;
	return s;
}

struct ast_limit *limit_done(struct parser *p, struct ast_limit *l, struct loc loc)
{
	if (!l->rate)
		p_error(p, loc, "limit of rate 0 lets nothing through: use drop");
	if (!l->bytes)
		l->burst = 5;
	return l;
}

struct ast_limit *limit_burst(struct parser *p, struct ast_limit *l, struct loc loc, uint64_t n,
			      const char *unit, struct loc uloc)
{
	limit_done(p, l, loc);
	l->has_burst = true;
	l->burst_bytes = unit != NULL;
	l->burst = n;
	if (l->bytes != l->burst_bytes)
		p_error(p, uloc, "the rate counts %s, the burst %s", l->bytes ? "bytes" : "packets",
			l->bytes ? "packets" : "bytes");
	else if (unit)
		parse_bytes(p, uloc, n, unit, &l->burst);
	else if (!n)
		p_error(p, uloc, "burst 0 lets nothing through: at least 1");
	return l;
}

struct ast_stmt *new_log(struct parser *p, struct loc loc)
{
	struct ast_stmt *s = mk_stmt(p, AS_LOG, loc);

	s->log = arena_new_of(p->nodes, struct ast_log);
	return s;
}

void log_arg(struct parser *p, struct ast_stmt *s)
{
	const struct ast_log *a = &p->log;
	struct ast_log *l = s->log;

	if (a->prefix)
		l->prefix = a->prefix;
	if (a->level)
		l->level = a->level;
	if (a->has_group)
		l->has_group = true, l->group = a->group;
	if (a->has_snaplen)
		l->has_snaplen = true, l->snaplen = a->snaplen;
	if (a->has_qthreshold)
		l->has_qthreshold = true, l->qthreshold = a->qthreshold;
	l->flags |= a->flags;
}

const char *log_level(struct parser *p, struct loc loc, const char *s)
{
	static const char *const levels[] = { "emerg",	"alert", "crit",  "err",  "warn",
					      "notice", "info",	 "debug", "audit" };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (!strcmp(s, levels[i]))
			return levels[i];
	p_error(p, loc,
		"log level %s is unknown: emerg, alert, crit, err, warn, notice, info, debug or "
		"audit",
		s);
	return NULL;
}

struct ast_stmt *reject(struct parser *p, struct loc loc, struct tok with, struct loc wloc,
			struct ast_expr *code)
{
	static const struct {
		const char *s;
		enum ast_reject_kind kind;
	} kinds[] = { { "icmp", AREJ_ICMP },
		      { "icmpv6", AREJ_ICMPV6 },
		      { "icmpx", AREJ_ICMPX },
		      { "tcp", AREJ_TCP_RESET } };
	struct ast_stmt *s = mk_stmt(p, AS_REJECT, loc);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(with.a, kinds[i].s) && (kinds[i].kind == AREJ_TCP_RESET) == !code) {
			s->reject.kind = kinds[i].kind;
			s->reject.code = code;
			return s;
		}
	p_error(p, wloc, "reject with %s is unknown: icmp, icmpv6, icmpx or tcp reset", with.a);
	return s;
}

struct ast_nat *new_nat(struct parser *p, struct ast_expr *addr, struct ast_expr *port)
{
	struct ast_nat *n = arena_new_of(p->nodes, struct ast_nat);

	n->addr = addr;
	n->port = port;
	return n;
}

struct ast_stmt *nat(struct parser *p, struct loc loc, enum ast_nat_kind k, struct ast_nat *n,
		     uint64_t flags)
{
	struct ast_stmt *s = mk_stmt(p, AS_NAT, loc);

	s->nat = n ? n : new_nat(p, NULL, NULL);
	s->nat->kind = k;
	s->nat->flags |= (uint32_t)flags;
	return s;
}

struct ast_stmt *tproxy(struct parser *p, struct loc loc, const char *family,
			const struct ast_nat *to)
{
	struct ast_stmt *s = mk_stmt(p, AS_TPROXY, loc);

	s->tproxy.family = family;
	s->tproxy.addr = to->addr;
	s->tproxy.port = to->port;
	return s;
}

void synproxy_arg(struct parser *p, struct ast_stmt *s)
{
	const struct ast_synproxy *a = &p->synproxy;
	struct ast_synproxy *y = &s->synproxy;

	if (a->has_mss)
		y->has_mss = true, y->mss = a->mss;
	if (a->has_wscale)
		y->has_wscale = true, y->wscale = a->wscale;
	y->timestamp |= a->timestamp;
	y->sack_perm |= a->sack_perm;
}

struct ast_stmt *dynset(struct parser *p, struct loc loc, uint64_t op, const struct ast_expr *set,
			struct ast_elem elem)
{
	struct ast_stmt *s = mk_stmt(p, AS_DYNSET, loc);
	struct ast_expr *ref = ast_strip((struct ast_expr *)set);

	s->dynset = arena_new_of(p->nodes, struct ast_dynset);
	s->dynset->op = (enum ast_dynset_op)op;
	s->dynset->set_loc = set->loc;
	s->dynset->elem = elem;
	s->dynset->is_map = elem.data != NULL;
	s->dynset->set = ref->kind == AX_SETREF ? ref->text : "";
	if (ref->kind != AX_SETREF)
		p_error(p, set->loc, "$%s is no @set", set->var.name);
	return s;
}

struct ast_stmt *meter(struct parser *p, struct loc loc, const char *name, const struct tok *size,
		       struct loc sloc, struct ast_elem elem)
{
	struct ast_stmt *s = mk_stmt(p, AS_METER, loc);

	s->meter = arena_new_of(p->nodes, struct ast_meter);
	s->meter->name = name;
	s->meter->elem = elem;
	if (size) {
		s->meter->has_size = true;
		s->meter->size = num32(p, sloc, *size, UINT32_MAX, "size");
	}
	if (!elem.opts || !elem.opts->stmts.n)
		p_error(p, loc, "meter %s has no statement behind its key", name);
	return s;
}

/* The options written before and behind an element's data. */
struct ast_elem_opts *opts_join(struct parser *p, struct ast_elem_opts *a, struct ast_elem_opts *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->has_timeout)
		a->has_timeout = true, a->timeout = b->timeout, a->timeout_never = b->timeout_never;
	if (b->has_expires)
		a->has_expires = true, a->expires = b->expires;
	if (b->comment)
		a->comment = b->comment, a->comment_loc = b->comment_loc;
	vec_foreach(&b->stmts, it)
		*vec_push(p->nodes, &a->stmts) = *it;
	return a;
}

void timeout_word(struct parser *p, struct ast_elem_opts *o, struct loc loc, const char *s)
{
	o->has_timeout = o->timeout_never = true;
	if (strcmp(s, "never"))
		p_error(p, loc, "%s is no time: write it as 1d2h3m4s5ms, or never", s);
}

/* -- expressions ------------------------------------------------------------------------------- */

/* A string that ends in `*` stands for all that begin so; `\*` is a star. */
struct ast_expr *quoted(struct parser *p, struct loc loc, const char *text)
{
	size_t n = strlen(text);

	if (!n || text[n - 1] != '*')
		return mk_text(p, AX_STRING, loc, text);
	if (n > 1 && text[n - 2] == '\\')
		return mk_text(p, AX_STRING, loc,
			       arena_printf(p->arena, "%.*s*", (int)(n - 2), text));
	return mk_text(p, AX_GLOB, loc, arena_strndup(p->arena, text, n - 1));
}

struct ast_expr *glob_value(struct parser *p, struct loc loc, const char *text)
{
	return quoted(p, loc, text);
}

/* In brackets: a list that grows no more. */
struct ast_expr *closed(struct ast_expr *e)
{
	e->open = false;
	return e;
}

struct ast_expr *option(struct parser *p, enum ast_expr_kind k, struct loc loc, struct tok t)
{
	return mk_ext(p, k, loc, t.a, t.b);
}

void check_kind(struct parser *p, struct loc loc, struct tok t)
{
	if (t.num > 255)
		p_error(p, loc, "option %s is too large: at most 255", t.a);
}

struct ast_expr *raw_option(struct parser *p, struct loc loc, struct tok kind, struct tok off,
			    struct loc oloc, struct tok len, struct loc lloc)
{
	struct ast_expr *e = mk_ext(p, AX_TCPOPT, loc, kind.a, NULL);

	e->ext->present = false;
	e->ext->raw = true;
	e->ext->kind = (uint8_t)kind.num;
	e->ext->off = (uint16_t)num32(p, oloc, off, 65535, "offset");
	e->ext->len = (uint16_t)num32(p, lloc, len, 65535, "length");
	return e;
}

struct ast_expr *mk_raw(struct parser *p, struct loc loc, struct tok base, struct tok off,
			struct loc oloc, struct tok len, struct loc lloc)
{
	struct ast_expr *e = mk(p, AX_RAW, loc);

	e->raw.base = (enum ast_raw_base)base.num;
	e->raw.off = num32(p, oloc, off, UINT32_MAX, "offset");
	e->raw.len = num32(p, lloc, len, 2040, "length");
	return e;
}

/* `rt` is a routing key and an extension header. */
struct ast_expr *rt_expr(struct parser *p, struct loc loc, struct tok t)
{
	struct ast_expr *e;

	if (!strcmp(t.a, "nexthdr") || !strcmp(t.a, "hdrlength") || !strcmp(t.a, "type") ||
	    !strcmp(t.a, "seg-left")) {
		if (t.b)
			p_error(p, loc, "rt %s takes no %s", t.a, t.b);
		return mk_ext(p, AX_EXTHDR, loc, "rt", t.a);
	}
	e = mk(p, AX_RT, loc);
	e->key.key = t.a;
	e->key.family = t.b;
	return e;
}

struct ast_expr *mk_numgen(struct parser *p, struct loc loc, struct tok mode, struct tok mod,
			   struct loc mloc, const struct tok *offset)
{
	struct ast_expr *e = mk(p, AX_NUMGEN, loc);

	e->numgen = arena_new_of(p->nodes, struct ast_numgen);
	e->numgen->random = !strcmp(mode.a, "random");
	e->numgen->mod = num32(p, mloc, mod, UINT32_MAX, "modulus");
	if (offset)
		e->numgen->offset = num32(p, loc, *offset, UINT32_MAX, "offset");
	return e;
}

struct ast_expr *mk_hash(struct parser *p, struct loc loc, struct ast_expr *of, struct tok mod,
			 struct loc mloc, const struct tok *seed, const struct tok *offset)
{
	struct ast_expr *e = mk(p, AX_HASH, loc);

	e->hash = arena_new_of(p->nodes, struct ast_hash);
	e->hash->expr = of;
	e->depth = of ? (uint16_t)(of->depth + 1) : 0;
	e->hash->mod = num32(p, mloc, mod, UINT32_MAX, "modulus");
	if (seed) {
		e->hash->has_seed = true;
		e->hash->seed = num32(p, loc, *seed, UINT32_MAX, "seed");
	}
	if (offset)
		e->hash->offset = num32(p, loc, *offset, UINT32_MAX, "offset");
	return e;
}

/* A negative number, as `define` takes it for priorities: num holds its two's complement. */
struct ast_expr *mk_negative(struct parser *p, struct loc loc, struct tok t)
{
	struct ast_expr *e;

	if (t.num > 1ull << 31)
		p_error(p, loc, "-%s is too small: at least -2147483648", t.a);
	e = mk_text(p, AX_NUMBER, loc, arena_printf(p->arena, "-%s", t.a));
	e->num = -t.num;
	return e;
}

struct ast_expr *flag_cmp(struct parser *p, struct loc loc, struct loc oloc, struct ast_expr *left,
			  uint64_t op, struct ast_expr *value, struct ast_expr *mask)
{
	if (op != REL_EQ && op != REL_NEQ)
		p_error(p, oloc, "flags behind a mask are compared with == or != only");
	return mk_rel(p, loc, op == REL_NEQ ? REL_FLAGS_NEQ : REL_FLAGS, left, value, mask);
}

/*
 * `iifnme "lo"`: a word that is no keyword is taken for a value, and no value is matched with
 * another.
 */
void check_left(struct parser *p, const struct ast_expr *e)
{
	const char *near;

	if (e->kind != AX_SYMBOL)
		return;
	near = lex_near(p, e->text, strlen(e->text));
	if (near)
		p_error(p, e->loc, "unknown word %s, did you mean %s", e->text, near);
	else
		p_error(p, e->loc, "%s is a value: a match begins with what is compared", e->text);
}

void check_st(struct parser *p, const struct ast_expr *e)
{
	if (e->kind == AX_EXTHDR || e->kind == AX_XFRM)
		p_error(p, e->loc,
			"nft takes no IPv6 extension header and no ipsec in the value of a "
			"statement");
}

/* -- syntax errors ----------------------------------------------------------------------------- */

/*
 * "tcp has no field dprot, did you mean dport": a protocol stands alone where a field of it is
 * wanted.
 */
bool syntax_bare_protocol(struct parser *p)
{
	const struct raw *r = lex_next(p);
	const char *fields, *near;

	if (p->prev != T_PROTO || r->kind != RAW_WORD)
		return false;
	fields = lex_fields(p, p->prev_text);
	if (!fields || !*fields)
		return false;
	near = lex_near_field(p, fields, r->s, r->len);
	if (near)
		p_error(p, r->loc, "%s has no field %.*s, did you mean %s", p->prev_text,
			(int)r->len, r->s, near);
	else
		p_error(p, r->loc, "%s has no field %.*s", p->prev_text, (int)r->len, r->s);
	return true;
}

void syntax_error(struct parser *p, struct loc loc, const char *text)
{
	const struct raw *g = &p->glued;
	const char *near = NULL;

	if (g->s && g->loc.file == loc.file && g->loc.line == loc.line) {
		p_error(p, g->loc, "%.*s is no address, number or time", (int)g->len, g->s);
		return;
	}
	if (p->prev == T_WORD)
		near = lex_near(p, p->prev_text, strlen(p->prev_text));
	/* A misspelt word is taken for a value, and what follows it is at fault. */
	if (!near && p->prev2 == T_WORD && p->start_prev) {
		near = lex_near(p, p->prev2_text, strlen(p->prev2_text));
		if (near) {
			p_error(p, p->prev2_loc, "unknown word %s, did you mean %s", p->prev2_text,
				near);
			return;
		}
	}
	if (near)
		p_error(p, loc, "%s; did you mean %s", text, near);
	else
		p_error(p, loc, "%s", text);
}
