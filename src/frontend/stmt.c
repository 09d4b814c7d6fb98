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

static struct expr *new_expr(struct sema *s, enum expr_kind k, struct loc loc)
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

/* -- arguments ---------------------------------------------------------------------------------------------------- */

static bool fits(const struct dtype *want, const struct tx *t, uint32_t len)
{
	if (t->kind == TX_PAYLOAD && t->type->num == TYPE_INTEGER)
		return want->base == BASE_INTEGER && t->len == len;
	if (t->type->num == TYPE_INTEGER)
		return type_is_integer(want);
	if (want->num == TYPE_MARK && type_is_integer(t->type) && t->type->base != BASE_BITMASK)
		return true;
	return type_equal(want, t->type);
}

static bool arg_ok(struct sema *s, const struct dtype *type, uint32_t len, enum byte_order o,
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

static struct tx *ev_arg(struct sema *s, struct ast_expr *e, const struct dtype *type, uint32_t len,
			 enum byte_order o)
{
	struct tx *t;

	ctx_set(s, type, o, len, 0);
	s->stmt_len = len;
	t = ev(s, e);
	s->stmt_len = 0;
	return t && arg_ok(s, type, len, o, &t) ? t : NULL;
}

/* -- set ------------------------------------------------------------------------------------------------------------ */

static bool meta_settable(struct sema *s, const struct tx *t)
{
	switch (t->load.key) {
	case KEY_META_MARK:
	case KEY_META_PRIORITY:
	case KEY_META_NFTRACE:
	case KEY_META_PKTTYPE:
	case KEY_META_SECMARK:
		return true;
	case KEY_META_BROUTE:
	case KEY_META_BRI_IIFHWADDR:
		if (s->pctx.family == FAM_BRIDGE &&
		    (!s->chain->is_base || s->chain->hook == HOOK_PREROUTING))
			return true;
		diag_error(s->diag, t->loc,
			   "this meta key can only be set in bridge's hook prerouting");
		return false;
	default:
		diag_error(s->diag, t->loc, "this meta key cannot be set");
		return false;
	}
}

static bool ct_settable(struct sema *s, const struct tx *t)
{
	switch (t->load.key) {
	case KEY_CT_MARK:
	case KEY_CT_ZONE:
	case KEY_CT_LABEL:
	case KEY_CT_EVENT:
	case KEY_CT_SECMARK:
		return true;
	default:
		diag_error(s->diag, t->loc, "this ct key cannot be set");
		return false;
	}
}

static struct ts *st_key_set(struct sema *s, struct ast_stmt *st)
{
	struct ast_expr *target = ast_strip(st->set.target);
	bool meta = target->kind == AX_META;
	struct tx *t = tx_key(s, target->loc, meta ? TX_META : TX_CT,
			      meta ? target->key.key : target->ct.key),
		  *v;
	struct ts *out;

	if (!t || !(meta ? meta_settable(s, t) : ct_settable(s, t)))
		return NULL;
	if (!meta)
		t->load.dir = target->ct.dir;
	v = ev_arg(s, st->set.value, t->type, t->len, t->order);
	if (!v)
		return NULL;
	if (v->kind == TX_RANGE || v->kind == TX_VERDICT) {
		diag_error(s->diag, v->loc, "a single value must stand here");
		return NULL;
	}
	if (t->load.key == (meta ? (uint32_t)KEY_META_SECMARK : (uint32_t)KEY_CT_SECMARK) &&
	    v->constant) {
		diag_error(s->diag, v->loc, "%s secmark must not be set to constant value",
			   meta ? "meta" : "ct");
		return NULL;
	}
	if ((v->kind == TX_PAYLOAD || v->kind == TX_BINOP) && !v->constant &&
	    !to_order(s, &v, t->order))
		return NULL;
	out = ts_emit(s, TS_SET, st->loc);
	out->expr = t;
	out->a = v;
	return out;
}

/*
 * Is t the field p with constants applied to its bits: field & m ^ x? Then nothing needs to be loaded twice. Chains are
 * bounded by the depth of expressions.
 */
static bool own_bits(const struct tx *t, const struct tx *p, u128 *m, u128 *x)
{
	const struct tx *l = t->kind == TX_BINOP ? t->bin.l : NULL;

	if (t->kind == TX_PAYLOAD && p->pay.field && t->pay.field == p->pay.field) {
		*m = ones(p->len);
		*x = 0;
		return true;
	}
	if (!l || t->bin.r->kind != TX_VALUE)
		return false;
	if (t->bin.op == BIN_RSHIFT)
		return l->kind == TX_BINOP && l->bin.op == BIN_AND &&
		       l->bin.l->kind == TX_PAYLOAD && own_bits(l->bin.l, p, m, x);
	if (t->bin.op == BIN_LSHIFT || !own_bits(l, p, m, x))
		return false;
	if (t->bin.op == BIN_AND) {
		*m &= t->bin.r->val;
		*x &= t->bin.r->val;
	} else if (t->bin.op == BIN_OR) {
		*m &= ~t->bin.r->val;
		*x |= t->bin.r->val;
	} else {
		*x ^= t->bin.r->val;
	}
	return true;
}

/* Bytes around the field are loaded, the field is replaced in them, and all are written. */
static bool widen(struct sema *s, struct tx *p, struct tx **val, bool csum)
{
	uint32_t extra = 0, len = p->len, shift = bit_shift(p->pay.off, p->len, &extra);
	uint32_t size = DIV_ROUND_UP(len + extra, 8u), off = p->pay.off / 8, bits;
	struct tx *load, *and, *xor;
	u128 m = 0, x;

	if (csum && (size & 1)) {
		size++;
		if (off & 1)
			off--;
		else
			shift += 8;
	}
	bits = size * 8;
	if ((*val)->kind == TX_BINOP && own_bits(*val, p, &m, &x)) {
		*val = tx_value(s, (*val)->loc, type_of(TYPE_INTEGER), p->order, bits,
				(x & ones(len)) << shift);
		m = (m & ones(len)) << shift;
	} else if ((*val)->kind == TX_VALUE) {
		(*val)->val <<= shift;
		(*val)->len = bits;
	} else if (shift) {
		struct tx *sh;

		sh = tx_bin(s, p->loc, BIN_LSHIFT, *val,
			    tx_value(s, p->loc, type_of(TYPE_INTEGER), ORDER_HOST, 32, shift));
		sh->len = bits;
		*val = sh;
	}
	load = arena_dup(s->tmp, p, sizeof(*p));
	load->pay.off = off * 8;
	load->len = bits;
	load->type = type_of(TYPE_INTEGER);
	and = tx_bin(s, p->loc, BIN_AND, load,
		     tx_value(s, p->loc, type_of(TYPE_INTEGER), p->order, bits,
			      (ones(bits) & ~(ones(len) << shift)) | m));
	xor = tx_bin(s, p->loc, BIN_XOR, and, *val);
	p->len = bits;
	p->pay.off = off * 8;
	*val = xor;
	return true;
}

static struct ts *st_pay_set(struct sema *s, struct ast_stmt *st)
{
	struct ast_expr *target = ast_strip(st->set.target);
	struct tx *p, *v;
	struct ts *out;
	bool csum = false;

	s->is_typeof = true; /* the field itself, not its bits */
	p = ev(s, target);
	s->is_typeof = false;
	if (!p)
		return NULL;
	if (p->kind != TX_PAYLOAD || p->pay.inner) {
		diag_error(s->diag, target->loc, "this field cannot be set");
		return NULL;
	}
	if (!payload_deps(s, p))
		return NULL;
	v = ev_arg(s, st->set.value, p->type, p->len, p->order);
	if (!v)
		return NULL;
	if (v->kind == TX_RANGE || v->kind == TX_VERDICT) {
		diag_error(s->diag, v->loc, "a single value must stand here");
		return NULL;
	}
	if (!v->constant && !to_order(s, &v, p->order))
		return NULL;
	for (uint32_t i = 0; p->pay.proto && i < p->pay.proto->n_fields; i++)
		csum |= p->pay.proto->fields[i].flags & FIELD_CSUM;
	csum |= p->pay.base == PBASE_INNER;
	if ((p->pay.off % 8 || p->len % 8 || (csum && ((p->len / 8) & 1))) &&
	    !widen(s, p, &v, csum))
		return NULL;
	out = ts_emit(s, TS_SET, st->loc);
	out->expr = p;
	out->a = v;
	return out;
}

static struct ts *st_ext_set(struct sema *s, struct ast_stmt *st)
{
	struct tx *t, *v;
	struct ts *out;

	s->is_typeof = true;
	t = ev(s, st->set.target);
	s->is_typeof = false;
	if (!t)
		return NULL;
	if (t->kind != TX_EXTHDR || t->len % 8 || t->ext.off % 8 || t->ext.flags) {
		diag_error(s->diag, t->loc, "this field cannot be set");
		return NULL;
	}
	v = ev_arg(s, st->set.value, t->type, t->len, ORDER_BIG);
	if (!v)
		return NULL;
	if (v->kind == TX_RANGE) {
		diag_error(s->diag, v->loc, "a single value must stand here");
		return NULL;
	}
	out = ts_emit(s, TS_SET, st->loc);
	out->expr = t;
	out->a = v;
	return out;
}

static struct ts *st_reset_opt(struct sema *s, struct ast_stmt *st)
{
	struct tx *t = ev(s, st->set.target);
	struct ts *out;

	if (!t)
		return NULL;
	if (t->kind != TX_EXTHDR) {
		diag_error(s->diag, t->loc, "this cannot be reset");
		return NULL;
	}
	out = ts_emit(s, TS_RESET, st->loc);
	out->expr = t;
	return out;
}

/* -- log, reject, queue ----------------------------------------------------------------------------------------------- */

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

/* Without `with`: unreachable port, in the form that suits the packet's family as far as it is known. */
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

/* -- nat -------------------------------------------------------------------------------------------------------------- */

static enum family word_family(const char *w)
{
	return !w ? 0 : !strcmp(w, "ip") ? FAM_IP : FAM_IP6;
}

static bool nat_family(struct sema *s, struct ast_stmt *st, enum family *fam, bool addr)
{
	const struct proto *net = s->pctx.proto[PBASE_NET];

	switch (s->pctx.family) {
	case FAM_IP:
	case FAM_IP6:
		if (!*fam)
			*fam = s->pctx.family;
		break;
	case FAM_INET:
		if (!addr)
			*fam = *fam ? *fam : FAM_INET;
		else if (!*fam && net)
			*fam = net->id == PROTO_IP ? FAM_IP : net->id == PROTO_IP6 ? FAM_IP6 : 0;
		break;
	default:
		diag_error(s->diag, st->loc, "this is only supported for IPv4/IPv6");
		return false;
	}
	return true;
}

static bool net_conflict(struct sema *s, struct loc loc, enum family fam)
{
	const struct proto *net = s->pctx.proto[PBASE_NET];

	if (net &&
	    ((net->id == PROTO_IP && fam != FAM_IP) || (net->id == PROTO_IP6 && fam != FAM_IP6))) {
		diag_error(s->diag, loc,
			   "conflicting protocols specified: %s vs. %s: the family of this "
			   "statement must be the packet's",
			   net->name, fam ? family_name(fam) : "none");
		return false;
	}
	return true;
}

/* A map whose key holds a port or the protocol says itself which transport it is for. */
static bool map_has_transport(const struct tx *t)
{
	const struct tx *k = t && t->kind == TX_MAP ? t->map.key : NULL;

	for (uint32_t i = 0; k && k->kind == TX_CONCAT && i < k->concat.n; i++) {
		const struct tx *f = k->concat.v[i];

		if (f->kind == TX_PAYLOAD && f->pay.base == PBASE_TRANS && f->pay.proto &&
		    f->pay.proto->id != PROTO_TH)
			return true;
		if (f->key && ((f->kind == TX_META && f->load.key == KEY_META_L4PROTO) ||
			       (f->kind == TX_PAYLOAD && f->pay.base == PBASE_NET)))
			return true;
	}
	return false;
}

static bool need_transport(struct sema *s, struct loc loc, const struct tx *addr)
{
	if (s->pctx.proto[PBASE_TRANS] || map_has_transport(addr))
		return true;
	diag_error(s->diag, loc,
		   "transport protocol mapping is only valid after transport protocol match");
	return false;
}

static struct tx *port_arg(struct sema *s, struct ast_expr *e, const struct tx *addr)
{
	struct tx *t = ev_arg(s, e, type_of(TYPE_INET_SERVICE), 16, ORDER_BIG);

	return t && need_transport(s, e->loc, addr) ? t : NULL;
}

static const struct dtype *addr_type(enum family f)
{
	return f == FAM_IP ? type_of(TYPE_IPADDR) : f == FAM_IP6 ? type_of(TYPE_IP6ADDR) : NULL;
}

static bool holds_concat(struct sema *s, struct ast_expr *e)
{
	struct ast_expr *m;

	if (e->kind == AX_CONCAT)
		return true;
	if (e->kind != AX_MAP)
		return false;
	m = ast_strip(e->map.map);
	if (m->kind == AX_SET) {
		vec_foreach(&m->set->elems, it) {
			struct ast_elem el = *it;

			if (it->key->kind == AX_RUN) { /* its first element speaks for all */
				struct run_iter r = run_start(it->key, s->tmp);

				run_next(&r, &el);
			}
			if (el.data && ast_strip(el.data)->kind == AX_CONCAT)
				return true;
		}
	} else if (m->kind == AX_SETREF) {
		struct sset *set = strmap_get(&s->tab->sets, m->text, strlen(m->text));

		return set && set->data && set->data->num == TYPE_CONCAT;
	}
	return false;
}

static struct tx *addr_arg(struct sema *s, struct ast_expr *e, enum family fam, struct ts *out)
{
	const struct dtype *t = addr_type(fam), *pair[2];
	struct tx *a;

	if (!t) {
		diag_error(s->diag, e->loc,
			   "ip or ip6 must be specified with address for inet tables");
		return NULL;
	}
	if (!holds_concat(s, ast_strip(e))) {
		a = ev_arg(s, e, t, t->bits, ORDER_BIG);
		if (a && (a->kind == TX_NUMGEN || a->kind == TX_HASH) &&
		    !to_order(s, &a, ORDER_BIG))
			return NULL;
		return a;
	}
	pair[0] = t;
	pair[1] = type_of(TYPE_INET_SERVICE);
	t = type_concat(s->arena, pair, 2);
	ctx_set(s, t, ORDER_BIG, t->bits, 0);
	a = ev(s, e);
	if (!a || !need_transport(s, e->loc, a))
		return NULL;
	if (!type_equal(a->type, t)) {
		diag_error(s->diag, a->loc,
			   "datatype mismatch: expected %s, expression has type %s", t->desc,
			   a->type->desc);
		return NULL;
	}
	out->concat = true;
	return a;
}

static bool nat_hook(struct sema *s, struct ast_stmt *st)
{
	const struct chain *c = s->chain;
	enum ast_nat_kind k = st->nat->kind;
	bool ok;

	if (!c->is_base)
		return true;
	if (strcmp(c->type, "nat")) {
		diag_error(s->diag, st->loc,
			   "nat is only valid in chains of type nat, chain \"%s\" has type %s",
			   c->name, c->type);
		return false;
	}
	switch (k) {
	case ANAT_MASQ:
		ok = c->hook == HOOK_POSTROUTING;
		break;
	case ANAT_SNAT:
		ok = c->hook == HOOK_POSTROUTING || c->hook == HOOK_INPUT;
		break;
	default:
		ok = c->hook == HOOK_PREROUTING || c->hook == HOOK_OUTPUT;
		break;
	}
	if (!ok)
		diag_error(s->diag, st->loc, "this kind of nat is not possible in hook %s",
			   hook_name(s->pctx.family, c->hook));
	return ok;
}

static struct ts *st_nat(struct sema *s, struct ast_stmt *st)
{
	static const enum expr_kind kinds[] = { [ANAT_SNAT] = EX_NAT,
						[ANAT_DNAT] = EX_NAT,
						[ANAT_MASQ] = EX_MASQ,
						[ANAT_REDIR] = EX_REDIR };
	const struct ast_nat *n = st->nat;
	struct ts hold = { 0 }, *out;
	enum family fam = word_family(n->family);
	struct expr *e = new_expr(s, kinds[n->kind], st->loc);

	if (!nat_family(s, st, &fam, n->addr != NULL) || !nat_hook(s, st))
		return NULL;
	if (n->addr) {
		if (!net_conflict(s, st->loc, fam))
			return NULL;
		hold.a = addr_arg(s, n->addr, fam, &hold);
		if (!hold.a)
			return NULL;
		if (n->prefix && hold.a->kind != TX_MAP && hold.a->kind != TX_RANGE) {
			diag_error(s->diag, hold.a->loc,
				   "nat prefix needs a prefix or a map of prefixes");
			return NULL;
		}
	}
	if (n->port && hold.concat) {
		diag_error(s->diag, n->port->loc,
			   "the address is mapped together with a port already");
		return NULL;
	}
	if (n->port) {
		hold.b = port_arg(s, n->port, hold.a);
		if (!hold.b)
			return NULL;
		e->nat.flags |= 2;
	}
	if ((n->flags & (ANAT_RANDOM | ANAT_FULLY_RANDOM)) && n->kind == ANAT_REDIR && false)
		return NULL;
	out = ts_emit(s, TS_NAT, st->loc);
	hold.kind = out->kind;
	hold.loc = out->loc;
	*out = hold;
	e->nat.type = n->kind == ANAT_DNAT;
	e->nat.family = fam;
	e->nat.flags |= n->flags;
	/* `dnat to 10.0.0.0/8` maps the prefix as a whole; the kernel then keeps the host part. */
	if (n->prefix || (n->addr && ast_strip(n->addr)->kind == AX_PREFIX && n->prefix))
		e->nat.flags |= ANAT_NETMAP;
	out->ready = e;
	return out;
}

static struct ts *st_tproxy(struct sema *s, struct ast_stmt *st)
{
	enum family fam = word_family(st->tproxy.family);
	struct tx *a = NULL, *p = NULL;
	struct ts hold = { 0 }, *out;

	if (s->pctx.family != FAM_IP && s->pctx.family != FAM_IP6 && s->pctx.family != FAM_INET) {
		diag_error(s->diag, st->loc, "tproxy is only supported for IPv4/IPv6/INET");
		return NULL;
	}
	if (!fam && s->pctx.family != FAM_INET)
		fam = s->pctx.family;
	if (!s->pctx.proto[PBASE_TRANS]) {
		diag_error(s->diag, st->loc,
			   "transparent proxy support requires transport protocol match");
		return NULL;
	}
	if (fam && !net_conflict(s, st->loc, fam))
		return NULL;
	if (!fam && s->pctx.family == FAM_INET && s->pctx.proto[PBASE_NET] &&
	    !net_conflict(s, st->loc, fam))
		return NULL;
	if (st->tproxy.addr && !(a = addr_arg(s, st->tproxy.addr, fam, &hold)))
		return NULL;
	if (st->tproxy.port && !(p = port_arg(s, st->tproxy.port, NULL)))
		return NULL;
	if ((a && a->kind == TX_RANGE) || (p && p->kind == TX_RANGE)) {
		diag_error(s->diag, st->loc, "ranges are not supported for tproxy");
		return NULL;
	}
	if (!a && !p) {
		diag_error(s->diag, st->loc, "either address or port must be specified");
		return NULL;
	}
	out = ts_emit(s, TS_TPROXY, st->loc);
	out->a = a;
	out->b = p;
	out->ready = new_expr(s, EX_TPROXY, st->loc);
	out->ready->tproxy.family = fam;
	return out;
}

/* -- dup, fwd, synproxy, flow ------------------------------------------------------------------------------------------ */

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

/* -- objects and dynamic sets ------------------------------------------------------------------------------------------- */

static struct ts *st_objref(struct sema *s, struct ast_stmt *st)
{
	struct ast_expr *ref = ast_strip(st->objref.ref);
	uint32_t type = obj_type(st->objref.what);
	struct expr *e = new_expr(s, EX_OBJREF, st->loc);
	struct ts *out;
	struct tx *m;

	e->objref.type = type;
	if (ref->kind == AX_MAP) {
		m = ev_map(s, ref, true, type);
		if (!m)
			return NULL;
		e->objref.set = &m->map.set->set;
		out = ts_emit(s, TS_OBJREF, st->loc);
		out->a = m->map.key;
		out->ready = e;
		return out;
	}
	if (ref->kind != AX_SYMBOL && ref->kind != AX_STRING) {
		diag_error(s->diag, ref->loc, "expected the name of a %s or a map",
			   st->objref.what);
		return NULL;
	}
	e->objref.obj = find_obj(s, ref->loc, type, ref->text);
	if (!e->objref.obj)
		return NULL;
	out = ts_emit(s, TS_EXPR, st->loc);
	out->ready = e;
	return out;
}

static bool dyn_opts(struct sema *s, const struct ast_elem_opts *o, struct loc loc, struct expr *e)
{
	if (!o)
		return true;
	if (o->comment) {
		diag_error(s->diag, loc, "key expression comments are not supported");
		return false;
	}
	e->dynset.timeout = o->timeout;
	e->dynset.n_exprs = o->stmts.n;
	e->dynset.exprs = arena_array(s->arena, struct expr *, o->stmts.n);
	e->dynset.has_expr_flag = o->stmts.n > 1;
	for (uint32_t i = 0; i < o->stmts.n; i++) {
		e->dynset.exprs[i] = stateful(s, o->stmts.v[i]);
		if (!e->dynset.exprs[i])
			return false;
	}
	return true;
}

static struct ts *st_dynset(struct sema *s, struct ast_stmt *st)
{
	const struct ast_dynset *d = st->dynset;
	struct sset *set = find_set(s, d->set_loc, d->set);
	struct expr *e = new_expr(s, EX_DYNSET, st->loc);
	struct tx *key, *data = NULL;
	struct ts *out;

	if (!set)
		return NULL;
	if (!!d->elem.data != !!(set->set.flags & SET_MAP) && d->op != ADYN_DELETE) {
		diag_error(s->diag, d->set_loc,
			   d->elem.data ? "\"%s\" is not a map" : "\"%s\" is a map: give a value",
			   d->set);
		return NULL;
	}
	ctx_set(s, set->key, set->key->base == BASE_STRING ? ORDER_HOST : set->key_order,
		set->key_bits, 0);
	s->ctx.key = set->key_tx;
	key = ev(s, d->elem.key);
	if (!key)
		return NULL;
	if (key->type->num != TYPE_INTEGER && !type_equal(key->type, set->key)) {
		diag_error(s->diag, key->loc,
			   "datatype mismatch: expected %s, expression has type %s", set->key->desc,
			   key->type->desc);
		return NULL;
	}
	if (d->elem.data) {
		ctx_set(s, set->data, set->data_order, set->data_bits, 0);
		s->ctx.key = set->data_tx;
		data = ev(s, d->elem.data);
		if (!data || !arg_ok(s, set->data, set->data_bits, set->data_order, &data))
			return NULL;
	}
	e->dynset.op = (enum dynset_op)d->op;
	e->dynset.set = &set->set;
	if (!dyn_opts(s, d->elem.opts, key->loc, e))
		return NULL;
	set->set.flags |= SET_EVAL;
	out = ts_emit(s, TS_DYNSET, st->loc);
	out->a = key;
	out->b = data;
	out->ready = e;
	return out;
}

static struct ts *st_meter(struct sema *s, struct ast_stmt *st)
{
	const struct ast_meter *m = st->meter;
	const struct ast_elem_opts *o = m->elem.opts;
	struct sset *set = strmap_get(&s->tab->sets, m->name, strlen(m->name));
	struct expr *e = new_expr(s, EX_DYNSET, st->loc);
	struct tx *key;
	struct ts *out;

	ctx_set(s, NULL, ORDER_NONE, 0, 0);
	key = ev(s, m->elem.key);
	if (!key)
		return NULL;
	if (key->constant) {
		diag_error(s->diag, key->loc, "meter key expression can not be constant");
		return NULL;
	}
	if (!set) {
		set = anon_set(s, st->loc, "__set%u", key, 0);
		s->tab->n_anon_sets--;
		set->set.name = m->name;
		set->set.flags = SET_EVAL;
		*strmap_put(&s->tab->sets, m->name, strlen(m->name)) = set;
	} else if (!type_equal(set->key, key->type)) {
		diag_error(s->diag, st->loc, "meter \"%s\" exists already with another key",
			   m->name);
		return NULL;
	}
	if (o && o->has_timeout)
		set->set.flags |= SET_TIMEOUT;
	set->set.has_size |= m->has_size;
	set->set.size = m->size;
	e->dynset.op = o && o->has_timeout ? DYN_UPDATE : DYN_ADD;
	e->dynset.set = &set->set;
	if (!dyn_opts(s, o, key->loc, e))
		return NULL;
	e->dynset.has_expr_flag = false;
	out = ts_emit(s, TS_DYNSET, st->loc);
	out->a = key;
	out->ready = e;
	return out;
}

/* -- matches, verdicts ---------------------------------------------------------------------------------------------------- */

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
		return ast_strip(st->expr)->kind == AX_VERDICT &&
		       ast_strip(st->expr)->verdict.code != AV_CONTINUE;
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
