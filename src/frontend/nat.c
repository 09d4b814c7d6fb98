// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements that translate addresses, and tproxy. */
#include "sema.h"

enum family word_family(const char *w)
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

const struct dtype *addr_type(enum family f)
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

struct ts *st_nat(struct sema *s, struct ast_stmt *st)
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
		if (n->addr_port && !hold.concat) {
			diag_error(s->diag, hold.a->loc,
				   "addr . port needs an address and a port: a concatenation");
			return NULL;
		}
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

struct ts *st_tproxy(struct sema *s, struct ast_stmt *st)
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
