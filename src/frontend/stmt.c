// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements: what they need, what they may not have, and the expression each becomes. */
#include "sema.h"

#define NFT_OBJECTS                                                                                \
	{ "counter", 1 }, { "quota", 2 }, { "ct helper", 3 }, { "limit", 4 }, { "tunnel", 6 },     \
		{ "ct timeout", 7 }, { "secmark", 8 }, { "ct expectation", 9 },                    \
	{                                                                                          \
		"synproxy", 10                                                                     \
	}

uint32_t obj_type(const char *what)
{
	static const struct symval rows[] = { NFT_OBJECTS };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, what))
			return rows[i].value;
	BUG("object %s", what);
}

static const char *obj_word(uint32_t type)
{
	static const struct symval rows[] = { NFT_OBJECTS };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].value == type)
			return rows[i].name;
	return "object";
}

struct obj *find_obj(struct sema *s, struct loc loc, uint32_t type, const char *name)
{
	char *key = arena_printf(s->tmp, "%u %s", type, name);
	struct obj *o = strmap_get(&s->tab->objs, key, strlen(key));

	if (!o)
		diag_error(s->diag, loc, "%s \"%s\" does not exist in table %s %s%s",
			   obj_word(type), name, family_name(s->tab->table->family),
			   s->tab->table->name, near_obj(s, type, name));
	return o;
}

struct chain *find_chain(struct sema *s, struct ast_expr *e)
{
	struct chain *c;

	e = ast_strip(e);
	if (e->kind != AX_SYMBOL && e->kind != AX_STRING) {
		diag_error(s->diag, e->loc, "expected the name of a chain");
		return NULL;
	}
	c = strmap_get(&s->tab->chains, e->text, strlen(e->text));
	if (!c) {
		diag_error(s->diag, e->loc, "chain \"%s\" does not exist in table %s %s%s", e->text,
			   family_name(s->tab->table->family), s->tab->table->name,
			   near_chain(s, e->text));
		return NULL;
	}
	if (c->is_base) {
		diag_error(s->diag, e->loc, "chain \"%s\" is a base chain: it cannot be jumped to",
			   e->text);
		return NULL;
	}
	return c;
}

struct expr *new_expr(struct sema *s, enum expr_kind k, struct loc loc)
{
	return expr_new(s->arena, k, loc);
}

static bool fill_limit(struct sema *s, const struct ast_limit *l, struct loc loc, struct expr *e)
{
	e->limit.rate = l->rate;
	e->limit.unit = l->unit;
	e->limit.type = l->bytes;
	e->limit.inv = l->over;
	if (l->burst > UINT32_MAX) {
		diag_error(s->diag, loc, "limit burst %llu is too large: at most %u",
			   (unsigned long long)l->burst, UINT32_MAX);
		return false;
	}
	if (!l->rate) {
		diag_error(s->diag, loc, "limit rate is 0");
		return false;
	}
	if (l->has_burst && l->burst_bytes != l->bytes) {
		diag_error(s->diag, loc, "limit counts %s, its burst %s",
			   l->bytes ? "bytes" : "packets", l->bytes ? "packets" : "bytes");
		return false;
	}
	if (l->has_burst && !l->burst && !l->bytes) {
		diag_error(s->diag, loc, "packet limit burst must be > 0");
		return false;
	}
	e->limit.burst = l->has_burst ? (uint32_t)l->burst : l->bytes ? 0 : 5;
	return true;
}

/* Statements that keep a state: also in sets, elements and objects. */
struct expr *stateful(struct sema *s, struct ast_stmt *st)
{
	struct expr *e;

	switch (st->kind) {
	case AS_COUNTER:
		e = new_expr(s, EX_COUNTER, st->loc);
		e->counter.packets = st->counter.packets;
		e->counter.bytes = st->counter.bytes;
		return e;
	case AS_LIMIT:
		e = new_expr(s, EX_LIMIT, st->loc);
		return fill_limit(s, st->limit, st->loc, e) ? e : NULL;
	case AS_QUOTA:
		e = new_expr(s, EX_QUOTA, st->loc);
		e->quota.bytes = st->quota.bytes;
		e->quota.consumed = st->quota.used;
		e->quota.inv = st->quota.over;
		if (e->quota.consumed > e->quota.bytes) {
			diag_error(s->diag, st->loc, "more of the quota is used than it has");
			return NULL;
		}
		return e;
	case AS_LAST:
		e = new_expr(s, EX_LAST, st->loc);
		e->last.set = st->last.set;
		e->last.msecs = st->last.msecs;
		return e;
	case AS_CONNLIMIT:
		e = new_expr(s, EX_CONNLIMIT, st->loc);
		e->connlimit.count = st->connlimit.count;
		e->connlimit.inv = st->connlimit.over;
		return e;
	default:
		diag_error(s->diag, st->loc, "statement must be stateful");
		return NULL;
	}
}

/* -- arguments --------------------------------------------------------------------------------- */

static bool fits(const struct dtype *want, const struct tx *t, uint32_t len)
{
	if (t->kind == TX_PAYLOAD && t->type->num == TYPE_INTEGER)
		return takes_numbers(want) && t->len == len;
	if (t->type->num == TYPE_INTEGER)
		return takes_numbers(want) ||
		       (is_generator(t) && type_is_integer(want) && t->len == len);
	return type_compatible(want, t->type);
}

bool arg_ok(struct sema *s, const struct dtype *type, uint32_t len, enum byte_order o,
	    struct tx **tp)
{
	struct tx *t = *tp;

	if (t->kind == TX_ELEMS || t->kind == TX_SETREF) {
		diag_error(s->diag, t->loc, "you cannot use a set here, unknown value to use");
		return false;
	}
	if (!fits(type, t, len)) {
		diag_error(s->diag, t->loc,
			   "datatype mismatch: expected %s, expression has type %s", type->desc,
			   t->type->desc);
		return false;
	}
	if (t->kind == TX_PREFIX)
		prefix_to_range(s, t);
	if (t->kind == TX_RT)
		return to_order(s, tp, o);
	return true;
}

struct tx *ev_arg(struct sema *s, struct ast_expr *e, const struct dtype *type, uint32_t len,
		  enum byte_order o)
{
	struct tx *t;

	ctx_set(s, type, o, len, 0);
	s->stmt_len = len;
	t = ev(s, e);
	s->stmt_len = 0;
	return t && arg_ok(s, type, len, o, &t) ? t : NULL;
}

/* -- log, reject, queue ------------------------------------------------------------------------ */

static struct expr *st_log(struct sema *s, struct ast_stmt *st)
{
	static const char *const levels[] = { "emerg",	"alert", "crit",  "err",  "warn",
					      "notice", "info",	 "debug", "audit" };
	const struct ast_log *l = st->log;
	struct expr *e = new_expr(s, EX_LOG, st->loc);
	struct ast_expr *prefix = l->prefix ? ast_strip(l->prefix) : NULL;

	if ((l->has_group || l->has_snaplen || l->has_qthreshold) && (l->level || l->flags)) {
		diag_error(s->diag, st->loc, "%s and group are mutually exclusive",
			   l->level ? "level" : "flags");
		return NULL;
	}
	if (l->level) {
		size_t i = 0;

		while (i < ARRAY_SIZE(levels) && strcmp(levels[i], l->level))
			i++;
		if (i == ARRAY_SIZE(levels)) {
			diag_error(s->diag, st->loc, "invalid log level \"%s\"", l->level);
			return NULL;
		}
		e->log.has_level = true;
		e->log.level = (uint32_t)i;
		if (i == 8 && (l->prefix || l->flags)) {
			diag_error(s->diag, st->loc,
				   "log level audit doesn't support any further options");
			return NULL;
		}
	}
	if (prefix) {
		if (!*prefix->text) {
			diag_error(s->diag, prefix->loc,
				   "log prefix must have a minimum length of 1 character");
			return NULL;
		}
		if (strlen(prefix->text) > 127) {
			diag_error(s->diag, prefix->loc,
				   "log prefix is too long: at most 127 characters");
			return NULL;
		}
		e->log.prefix = prefix->text;
	}
	e->log.has_group = l->has_group;
	e->log.group = l->group;
	if (l->has_group) {
		e->log.has_snaplen = l->has_snaplen;
		e->log.snaplen = l->snaplen;
		e->log.has_qthreshold = l->has_qthreshold;
		e->log.qthreshold = l->qthreshold;
	} else {
		e->log.has_flags = l->flags != 0;
		e->log.flags = l->flags;
	}
	return e;
}

enum { REJ_ICMP, REJ_TCP_RST, REJ_ICMPX };

static bool reject_code(struct sema *s, struct ast_stmt *st, struct expr *e)
{
	static const enum type_num types[] = { [AREJ_ICMP] = TYPE_ICMP_CODE,
					       [AREJ_ICMPV6] = TYPE_ICMPV6_CODE,
					       [AREJ_ICMPX] = TYPE_ICMPX_CODE };
	struct tx *t;

	if (!st->reject.code) {
		e->reject.code = st->reject.kind == AREJ_ICMP	  ? 3
				 : st->reject.kind == AREJ_ICMPV6 ? 4
								  : 1;
		return true;
	}
	ctx_set(s, type_of(types[st->reject.kind]), ORDER_BIG, 8,
		st->reject.kind == AREJ_ICMPX ? 3 : 0);
	t = ev(s, st->reject.code);
	if (!t)
		return false;
	if (t->kind != TX_VALUE) {
		diag_error(s->diag, t->loc, "a code must be a single value");
		return false;
	}
	e->reject.code = (uint8_t)t->val;
	return true;
}

/*
 * Without `with`: unreachable port, in the form that suits the packet's family as far as it is
 * known.
 */
static void reject_default(const struct sema *s, struct expr *e, enum family *fam)
{
	const struct proto *net = s->pctx.proto[PBASE_NET];

	e->reject.type = REJ_ICMP;
	if (net && net->id == PROTO_IP) {
		*fam = FAM_IP;
		e->reject.code = 3;
	} else if (net && net->id == PROTO_IP6) {
		*fam = FAM_IP6;
		e->reject.code = 4;
	} else {
		e->reject.type = REJ_ICMPX;
		e->reject.code = 1;
	}
}

static bool reject_check(struct sema *s, struct ast_stmt *st, struct expr *e, enum family fam)
{
	const struct proto *net = s->pctx.proto[PBASE_NET], *th = s->pctx.proto[PBASE_TRANS];
	enum family f = s->pctx.family;

	if (f == FAM_ARP) {
		diag_error(s->diag, st->loc, "cannot use reject with arp");
		return false;
	}
	if (e->reject.type == REJ_TCP_RST && th && th->id != PROTO_TCP) {
		diag_error(s->diag, st->loc, "you cannot use tcp reset with this protocol");
		return false;
	}
	if (e->reject.type == REJ_ICMPX && (f == FAM_IP || f == FAM_IP6)) {
		diag_error(s->diag, st->loc,
			   "abstracted ICMP unreachable not supported: use icmp or icmpv6");
		return false;
	}
	if ((f == FAM_BRIDGE || f == FAM_NETDEV) && net && net->id != PROTO_IP &&
	    net->id != PROTO_IP6) {
		diag_error(s->diag, st->loc, "cannot reject this network family");
		return false;
	}
	if (e->reject.type == REJ_ICMP &&
	    ((f == FAM_IP && fam != FAM_IP) || (f == FAM_IP6 && fam != FAM_IP6) ||
	     (net && net->id == PROTO_IP && fam != FAM_IP) ||
	     (net && net->id == PROTO_IP6 && fam != FAM_IP6))) {
		diag_error(s->diag, st->loc, "conflicting protocols specified: ip vs ip6");
		return false;
	}
	return true;
}

static struct expr *st_reject(struct sema *s, struct ast_stmt *st)
{
	struct expr *e = new_expr(s, EX_REJECT, st->loc);
	enum family fam = FAM_IP;

	switch (st->reject.kind) {
	case AREJ_DEFAULT:
		reject_default(s, e, &fam);
		break;
	case AREJ_TCP_RESET:
		e->reject.type = REJ_TCP_RST;
		break;
	default:
		e->reject.type = st->reject.kind == AREJ_ICMPX ? REJ_ICMPX : REJ_ICMP;
		fam = st->reject.kind == AREJ_ICMPV6 ? FAM_IP6 : FAM_IP;
		if (!reject_code(s, st, e))
			return NULL;
		break;
	}
	if (!reject_check(s, st, e, fam))
		return NULL;
	/* At the head of the rule, so that nothing is logged or counted that is not rejected. */
	if (e->reject.type == REJ_TCP_RST && !s->pctx.proto[PBASE_TRANS] &&
	    !payload_need(s, st->loc, proto_of(PROTO_TCP), true))
		return NULL;
	if (e->reject.type == REJ_ICMP && !s->pctx.proto[PBASE_NET] &&
	    !payload_need(s, st->loc, proto_of(fam == FAM_IP ? PROTO_IP : PROTO_IP6), true))
		return NULL;
	return e;
}

static struct ts *st_queue(struct sema *s, struct ast_stmt *st)
{
	struct ts *out;
	struct tx *t = NULL;

	if (st->queue.num) {
		t = ev_arg(s, st->queue.num, type_of(TYPE_INTEGER), 16, ORDER_HOST);
		if (!t)
			return NULL;
		if (s->ctx.maxval > 65535) {
			diag_error(s->diag, t->loc, "queue expression max value exceeds 65535");
			return NULL;
		}
	}
	if ((st->queue.flags & AQUEUE_FANOUT) && (!t || t->kind != TX_RANGE)) {
		diag_error(s->diag, st->loc, "fanout requires a range to be specified");
		return NULL;
	}
	out = ts_emit(s, TS_QUEUE, st->loc);
	out->a = t;
	out->ready = new_expr(s, EX_QUEUE, st->loc);
	out->ready->queue.flags = st->queue.flags;
	return out;
}

/* -- dup, fwd, synproxy, flow ------------------------------------------------------------------ */

static struct ts *st_dup(struct sema *s, struct ast_stmt *st)
{
	bool fwd = st->kind == AS_FWD;
	enum family f = s->pctx.family, af = fwd ? word_family(st->dup.family) : f;
	const struct dtype *t = addr_type(af);
	struct ast_expr *dev = st->dup.dev, *to = st->dup.to;
	struct ts *out;
	struct tx *a = NULL, *b = NULL;

	if (fwd ? f != FAM_NETDEV : f != FAM_NETDEV && f != FAM_IP && f != FAM_IP6) {
		diag_error(s->diag, st->loc, "unsupported family: %s", family_name(f));
		return NULL;
	}
	if (f == FAM_NETDEV && !dev) {
		dev = to;
		to = NULL;
	}
	if (f == FAM_NETDEV ? !dev : !to) {
		diag_error(s->diag, st->loc, "missing destination %s",
			   f == FAM_NETDEV ? "interface" : "address");
		return NULL;
	}
	if (!fwd && f == FAM_NETDEV && to) {
		diag_error(s->diag, st->loc, "cannot specify device");
		return NULL;
	}
	if (to && !t) {
		diag_error(s->diag, st->loc, "missing family");
		return NULL;
	}
	if (to && !(a = ev_arg(s, to, t, t->bits, ORDER_BIG)))
		return NULL;
	if (dev && !(b = ev_arg(s, dev, type_of(TYPE_IFINDEX), 32, ORDER_HOST)))
		return NULL;
	if ((a && a->kind == TX_RANGE) || (b && b->kind == TX_RANGE)) {
		diag_error(s->diag, st->loc, "a single value must stand here");
		return NULL;
	}
	out = ts_emit(s, TS_DUP, st->loc);
	out->a = a;
	out->b = b;
	out->ready = new_expr(s, fwd ? EX_FWD : EX_DUP, st->loc);
	out->ready->dup.family = fwd ? af : 0;
	return out;
}

static struct expr *st_synproxy(struct sema *s, struct ast_stmt *st)
{
	const struct ast_synproxy *p = &st->synproxy;
	struct expr *e = new_expr(s, EX_SYNPROXY, st->loc);

	e->synproxy.mss = p->mss;
	e->synproxy.wscale = p->wscale;
	e->synproxy.flags = (uint32_t)p->has_mss | (uint32_t)p->has_wscale << 1 |
			    (uint32_t)p->sack_perm << 2 | (uint32_t)p->timestamp << 3;
	return e;
}

static struct expr *st_flow(struct sema *s, struct ast_stmt *st)
{
	struct expr *e;

	vec_foreach(&s->tab->table->flowtables, f)
		if (!strcmp((*f)->name, st->name)) {
			e = new_expr(s, EX_FLOW_OFFLOAD, st->loc);
			e->flow.flowtable = (*f)->name;
			return e;
		}
	diag_error(s->diag, st->loc, "flowtable \"%s\" does not exist in table %s %s%s", st->name,
		   family_name(s->tab->table->family), s->tab->table->name,
		   near_flowtable(s, st->name));
	return NULL;
}

/* -- matches, verdicts ------------------------------------------------------------------------- */

static struct ts *st_match(struct sema *s, struct ast_stmt *st)
{
	struct ast_expr *e = ast_strip(st->expr);
	struct tx *t;
	struct ts *out;

	if (e->kind != AX_REL) {
		diag_error(s->diag, e->loc, "a comparison must stand here");
		return NULL;
	}
	t = ev_rel(s, e);
	if (!t)
		return NULL;
	out = ts_emit(s, TS_REL, st->loc);
	out->expr = t;
	return out;
}

static struct ts *st_verdict(struct sema *s, struct ast_stmt *st)
{
	struct ts *out;
	struct tx *t;

	ctx_set(s, type_of(TYPE_VERDICT), ORDER_NONE, 0, 0);
	t = ev(s, st->expr);
	if (!t)
		return NULL;
	if (t->kind != TX_VERDICT && (t->kind != TX_MAP || !t->map.set->set.is_vmap)) {
		diag_error(s->diag, t->loc, "datatype mismatch: expected a verdict");
		return NULL;
	}
	out = ts_emit(s, TS_VERDICT, st->loc);
	out->expr = t;
	return out;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * An expression of nft_compat in full, which nft has no words for: nft2bpf's own, for what it hands
 * to nft2bpfctl.
 */
static struct expr *st_xt(struct sema *s, struct ast_stmt *st)
{
	bool match = !strcmp(st->xt.type, "match"), raw = !strcmp(st->xt.type, "expression");
	size_t n = strlen(st->xt.info);
	struct expr *e;
	uint8_t *info;

	if ((!match && !raw && strcmp(st->xt.type, "target") != 0) || n % 2 ||
	    st->xt.len > XT_INFO_MAX || n / 2 > st->xt.len || !*st->xt.name ||
	    strlen(st->xt.name) >= XT_NAME_MAX || st->xt.rev > UINT8_MAX ||
	    strspn(st->xt.info, "0123456789abcdef") != n) {
		diag_error(s->diag, st->loc,
			   "this is no extension of iptables: xt match or target, \"name\", =, "
			   "revision, length, \"data in hexadecimal\"");
		return NULL;
	}
	e = new_expr(s, raw ? EX_UNKNOWN : match ? EX_MATCH : EX_TARGET, st->loc);
	info = arena_alloc(s->arena, st->xt.len + 1);
	for (size_t i = 0; i < n / 2; i++)
		info[i] = (uint8_t)(hex_digit(st->xt.info[2 * i]) << 4 |
				    hex_digit(st->xt.info[2 * i + 1]));
	if (raw) {
		e->unknown.name = st->xt.name;
		e->unknown.attrs = info;
		e->unknown.attrs_len = (uint32_t)st->xt.len;
		return e;
	}
	e->xt.name = st->xt.name;
	e->xt.rev = (uint32_t)st->xt.rev;
	e->xt.info = info;
	e->xt.info_len = (uint32_t)st->xt.len;
	return e;
}

static struct ts *ready(struct sema *s, struct ast_stmt *st, struct expr *e)
{
	struct ts *out;

	if (!e)
		return NULL;
	out = ts_emit(s, TS_EXPR, st->loc);
	out->ready = e;
	return out;
}

static struct ts *ev_stmt(struct sema *s, struct ast_stmt *st)
{
	switch (st->kind) {
	case AS_MATCH:
		return st_match(s, st);
	case AS_VERDICT:
	case AS_VMAP:
		return st_verdict(s, st);
	case AS_COUNTER:
	case AS_LIMIT:
	case AS_QUOTA:
	case AS_LAST:
	case AS_CONNLIMIT:
		return ready(s, st, stateful(s, st));
	case AS_LOG:
		return ready(s, st, st_log(s, st));
	case AS_REJECT:
		return ready(s, st, st_reject(s, st));
	case AS_QUEUE:
		return st_queue(s, st);
	case AS_NAT:
		return st_nat(s, st);
	case AS_TPROXY:
		return st_tproxy(s, st);
	case AS_SYNPROXY:
		return ready(s, st, st_synproxy(s, st));
	case AS_DUP:
	case AS_FWD:
		return st_dup(s, st);
	case AS_NOTRACK:
		return ready(s, st, new_expr(s, EX_NOTRACK, st->loc));
	case AS_FLOW:
		return ready(s, st, st_flow(s, st));
	case AS_META_SET:
	case AS_CT_SET:
		return st_key_set(s, st);
	case AS_PAY_SET:
		return st_pay_set(s, st);
	case AS_EXT_SET:
		return st_ext_set(s, st);
	case AS_RESET_OPT:
		return st_reset_opt(s, st);
	case AS_OBJREF:
		return st_objref(s, st);
	case AS_DYNSET:
		return st_dynset(s, st);
	case AS_METER:
		return st_meter(s, st);
	case AS_XT:
		if (st->xt.info)
			return ready(s, st, st_xt(s, st));
		break;
	}
	diag_error(s->diag, st->loc, "%s cannot be expressed: nft prints it, but does not read it",
		   ast_stmt_kind_name(st->kind));
	return NULL;
}

static bool is_terminal(const struct ast_stmt *st)
{
	switch (st->kind) {
	case AS_VERDICT:
		/* what stands behind a jump to a chain without a name is taken, and never runs */
		return ast_strip(st->expr)->kind == AX_VERDICT &&
		       ast_strip(st->expr)->verdict.code != AV_CONTINUE &&
		       !ast_strip(st->expr)->verdict.block;
	case AS_REJECT:
	case AS_NAT:
	case AS_QUEUE:
	case AS_FWD:
		return true;
	default:
		return false;
	}
}

bool ev_rule(struct sema *s, struct ast_rule *r, struct rule *out)
{
	struct ast_stmt *end = NULL;

	pctx_init(&s->pctx, s->tab->table->family);
	memset(&s->ipctx, 0, sizeof(s->ipctx));
	memset(&s->out, 0, sizeof(s->out));
	s->inner = NULL;
	s->is_typeof = false;
	s->stmt_len = 0;
	vec_foreach(&r->stmts, it) {
		if (end) {
			diag_error2(s->diag, (*it)->loc, end->loc,
				    "statement after terminal statement has no effect");
			return false;
		}
		if (!ev_stmt(s, *it))
			return false;
		if (is_terminal(*it))
			end = *it;
	}
	out->loc = r->loc;
	out->comment = r->comment;
	lower_rule(s, out);
	return true;
}
