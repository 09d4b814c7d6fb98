// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lex: raw words to the grammar's tokens.
 *
 * Most words of nft are keywords only where they make sense: `rate` behind `limit`, `dport` behind
 * `tcp`. The decision is made here, by the tokens before and at most a few words ahead, and the
 * grammar never has to tell the scanner anything. Words that belong together become one token: `tcp
 * dport`, `ct original ip saddr`, `fib saddr . iif oif`.
 *
 * - A head (`tcp`, `meta`, `ct`, `fib` ...) reads its field. Without one it is the bare protocol, a
 *   value.
 * - A statement (`limit`, `log`, `snat` ...) opens a context in which its own words (CKW in
 *   keywords.def) are keywords; it lasts to the next keyword of another kind, or the statement's
 *   end. The block of an object (`limit x { ... }`) keeps it.
 * - Behind `@`, `$` and `level` the next word is a name whatever it says.
 */
#include <stdlib.h>

#include "lex.h"
#include "parse.tab.h"

/* -- reading ahead ----------------------------------------------------------------------------- */

struct raw *lex_peek(struct parser *p, uint32_t n)
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
	return lex_peek(p, 0);
}

struct raw lex_take(struct parser *p, struct loc *span)
{
	struct raw r = *lex_peek(p, 0);

	p->look_at = (p->look_at + 1) % ARRAY_SIZE(p->look);
	p->n_look--;
	*span = span->line ? loc_span(*span, r.loc) : r.loc;
	return r;
}

const char *lex_text(struct parser *p, const struct raw *r)
{
	return arena_strndup(p->arena, r->s, r->len);
}

struct lex_ctx_level *lex_ctx(struct parser *p)
{
	return &p->ctx[p->depth];
}

/* -- words ------------------------------------------------------------------------------------- */

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
	case T_LEVEL:
		return true;
	}
	return false;
}

static int ctx_keyword(struct parser *p, const struct raw *r)
{
	enum lex_ctx c = lex_ctx(p)->ctx;

	if (c == CTX_NONE)
		return 0;
	for (const struct ctx_word *w = ctx_words; w->s; w++)
		if (w->ctx == c && raw_is(r, w->s))
			return w->token;
	return 0;
}

/*
 * Names of types, behind `type`: `ipv4_addr . mark : interval ipv4_addr`. Returns 0: the list is
 * over.
 */
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
	h->t->a = lex_text(p, r);
	if (raw_is(r, "ct") && lex_peek(p, 0)->kind == RAW_WORD) {
		struct raw k = lex_take(p, h->loc);

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
		struct raw *r = lex_peek(p, 0);

		if (r->kind == RAW_EOF || (!depth && (r->kind == RAW_NL || raw_op(r, ';'))))
			break;
		depth += raw_op(r, '{');
		depth -= depth && raw_op(r, '}');
		lex_take(p, h->loc);
	}
	h->t->a = ast_text(p->arena, p->diag, *h->loc);
	return T_QUERY;
}

static int keyword(struct head *h, const struct word *w)
{
	struct parser *p = h->p;
	int c = opens_ctx(w->token);

	h->t->a = w->s;
	if (w->token == T_FLAGS && lex_ctx(p)->ctx == CTX_LOG)
		return log_flags(h);
	if (c >= 0 && !lex_ctx(p)->sticky)
		lex_ctx(p)->ctx = (enum lex_ctx)c;
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
		if (t != T_PROTO && !lex_ctx(p)->sticky)
			lex_ctx(p)->ctx = CTX_NONE;
		return t;
	default:
		break;
	}
	if (!lex_ctx(p)->sticky)
		lex_ctx(p)->ctx = CTX_NONE;
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
	if (p->prev == T_NUM && p->prev2 == T_TCP_OPTION && raw_is(r, "length")) {
		h->t->a = lex_text(p, r);
		return T_OPTFIELD;
	}
	if (lex_ctx(p)->ctx == CTX_LIMIT && p->prev == '/')
		goto plain;
	t = ctx_keyword(p, r);
	if (t) {
		h->t->a = lex_text(p, r);
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
	h->t->a = lex_text(p, r);
	return T_WORD;
}

/* -- operators, numbers ------------------------------------------------------------------------ */

static int open_brace(struct parser *p, struct loc loc)
{
	struct lex_ctx_level *from = lex_ctx(p);
	bool object = from->ctx != CTX_NONE && !from->sticky &&
		      (p->prev == T_WORD || p->prev == T_STRING) && p->start_tok != T_METER &&
		      at_start(p->prev2) == false;

	if (p->depth == BRACE_DEPTH_MAX) {
		p_error(p, loc, "braces are nested too deeply: at most %d", BRACE_DEPTH_MAX);
		p->done = true;
		return 0;
	}
	p->depth++;
	p->run_depth = 0;
	lex_ctx(p)->ctx = object ? from->ctx : CTX_NONE;
	lex_ctx(p)->sticky = object;
	return '{';
}

static int close_brace(struct parser *p)
{
	if (p->depth)
		p->depth--;
	return '}';
}

static void statement_over(struct parser *p)
{
	if (!lex_ctx(p)->sticky)
		lex_ctx(p)->ctx = CTX_NONE;
	p->in_type = p->saw_nat = p->saw_hash = false;
}

/* @name, @nh,off,len; behind `tcp option` a plain @. */
static int at_sign(struct head *h)
{
	struct parser *p = h->p;
	struct raw *r = lex_peek(p, 0);

	if (p->prev == T_TCP_OPTION) {
		r = lex_peek(p, 0);
		if (r->kind == RAW_WORD) {
			const struct named *k = find_named(tcp_opts, r);

			if (!k)
				no_such(h, "option", "tcp", "", r);
			h->t->a = k ? k->s : "nop";
			lex_take(p, h->loc);
			return T_RAWOPT;
		}
		h->t->num = number_after(h, "tcp option @", 255);
		return T_RAWOPT;
	}
	if (r->kind == RAW_WORD && in_list("ll nh th ih", r->s, r->len) &&
	    raw_op(lex_peek(p, 1), ',')) {
		h->t->num = r->s[0] == 'l'   ? RAW_LL
			    : r->s[0] == 'n' ? RAW_NH
			    : r->s[0] == 't' ? RAW_TH
					     : RAW_IH;
		lex_take(p, h->loc);
		return T_RAWBASE;
	}
	if (r->kind == RAW_WORD || r->kind == RAW_STRING) {
		h->t->a = lex_text(p, r);
		lex_take(p, h->loc);
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
		return close_brace(p);
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
		struct raw *n = lex_peek(p, 0);

		if (n->kind != RAW_WORD) {
			p_error(p, r->loc, "$ needs the name of a variable");
			h->t->a = "";
			return T_VAR;
		}
		h->t->a = lex_text(p, n);
		lex_take(p, h->loc);
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
		h->t->a = lex_text(h->p, r);
		return T_NUM;
	case RAW_SYM:
		h->t->a = lex_text(h->p, r);
		return T_SYM;
	case RAW_STRING:
		h->t->a = lex_text(h->p, r);
		return T_STRING;
	case RAW_GLOB:
		h->t->a = lex_text(h->p, r);
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
		return tok;
	}
	if (p->done)
		return 0;
	if (!p->n_look &&
	    (p->prev == '{' || (p->prev == ',' && p->run_depth && p->run_depth == p->depth)) &&
	    !p->recovering && (t->run = run_take(p))) {
		p->run_depth = p->depth;
		*loc = t->run->loc;
		return T_RUN;
	}
	*loc = (struct loc){ 0 };
	r = lex_take(p, loc);
	return lex_raw(&h, &r);
}

static bool is_operand(int t)
{
	return is_field(t) || t == T_WORD || t == T_NUM || t == T_SYM || t == T_STRING ||
	       t == T_VAR;
}

/*
 * Where in the value of `x set value` we are: behind an operand a header starts the next statement.
 */
static enum assign_state assign_next(const struct parser *p, int tok)
{
	if (tok == T_SET && is_field(p->prev))
		return ASSIGN_START;
	if (p->assign == ASSIGN_START && is_operand(tok))
		return ASSIGN_OPERAND;
	if (p->assign == ASSIGN_OPERAND && (tok == '&' || tok == '|' || tok == '^' || tok == '.' ||
					    tok == T_LSHIFT || tok == T_RSHIFT))
		return ASSIGN_START;
	return ASSIGN_NONE;
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
	if (tok == '}') { /* the end of the block ends the statement, too */
		p->pending = '}';
		return ';';
	}
	return tok;
}

int fe_yylex(FE_YYSTYPE *val, struct loc *loc, struct parser *p)
{
	struct tok t;
	int tok = next_token(p, &t, loc);

	if (p->recovering)
		tok = recover(p, tok, &t, loc);
	p->assign = assign_next(p, tok);
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
