// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is known of a packet's headers at each place of a rule, and the matches that a field
 * implies: `tcp dport 22` means nothing unless the packet is TCP, so a match on that is put before
 * it, once.
 */
#include "sema.h"

static const struct proto *base_proto(enum family f, enum proto_base *base)
{
	static const struct {
		enum family f;
		enum proto_base base;
		enum proto_id id;
	} rows[] = {
		{ FAM_INET, PBASE_LL, PROTO_INET },    { FAM_IP, PBASE_NET, PROTO_IP },
		{ FAM_IP6, PBASE_NET, PROTO_IP6 },     { FAM_ARP, PBASE_NET, PROTO_ARP },
		{ FAM_BRIDGE, PBASE_LL, PROTO_ETHER }, { FAM_NETDEV, PBASE_LL, PROTO_NETDEV },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].f == f) {
			*base = rows[i].base;
			return proto_of(rows[i].id);
		}
	BUG("family %d", f);
}

void pctx_init(struct pctx *p, enum family f)
{
	enum proto_base b;
	const struct proto *pr = base_proto(f, &b);

	memset(p, 0, sizeof(*p));
	p->family = f;
	p->proto[b] = pr;
}

struct pctx *pctx_now(struct sema *s)
{
	return s->inner ? &s->ipctx : &s->pctx;
}

static const struct proto unknown = { PROTO_NONE, "unknown", PBASE_NONE };

static void pctx_set(struct pctx *p, enum proto_base b, const struct proto *pr)
{
	if (b == PBASE_TRANS) {
		uint32_t i = 0;

		while (i < p->n_trans && p->trans[i] != pr)
			i++;
		if (i == p->n_trans && i < LL_STACK_MAX)
			p->trans[p->n_trans++] = pr;
	}
	p->proto[b] = pr;
}

static void learn_payload(struct sema *s, const struct tx *l, uint32_t num)
{
	struct pctx *p = l->pay.inner ? &s->ipctx : &s->pctx;
	const struct proto *base = p->proto[l->pay.base],
			   *up = base ? proto_upper(base, num) : NULL;

	if (!up) {
		if (base && base->id == PROTO_ICMP)
			p->icmp_type = (num ? num : 8) + 1;
		else if (base && base->id == PROTO_ICMP6)
			p->icmp_type = (num == 129 ? 128 : num) + 1;
		return;
	}
	if (up->base == base->base && up->base == PBASE_LL && !l->pay.raw && base->bits &&
	    p->n_ll < LL_STACK_MAX)
		p->ll[p->n_ll++] = base;
	pctx_set(p, up->base, up);
}

static void learn_meta(struct sema *s, const struct tx *l, uint32_t num)
{
	struct pctx *p = l->load.inner ? &s->ipctx : &s->pctx;
	enum proto_base hb;
	const struct proto *h = base_proto(p->family, &hb), *up;

	switch (l->load.key) {
	case KEY_META_IIFTYPE:
		if (hb < PBASE_NET && p->family != FAM_INET && p->family != FAM_NETDEV)
			return;
		pctx_set(p, PBASE_LL, num == 1 ? proto_of(PROTO_ETHER) : &unknown);
		break;
	case KEY_META_NFPROTO:
		up = proto_upper(h, num);
		if (!up)
			up = num == (uint32_t)p->family && hb == PBASE_NET ? h : &unknown;
		pctx_set(p, PBASE_NET, up);
		break;
	case KEY_META_L4PROTO:
		up = proto_upper(proto_of(PROTO_INET_SERVICE), num);
		pctx_set(p, PBASE_TRANS, up ? up : &unknown);
		break;
	case KEY_META_PROTOCOL:
		if (hb != PBASE_LL || (p->family != FAM_NETDEV && p->family != FAM_BRIDGE))
			return;
		up = proto_upper(h, num);
		pctx_set(p, up ? up->base : PBASE_NET, up ? up : &unknown);
		break;
	default:
		break;
	}
}

void pctx_learn(struct sema *s, const struct tx *l, const struct tx *r)
{
	const struct proto *base, *up;

	/* Some transport, but none in particular: a named set may hold any. */
	if (l->key && r->kind == TX_SETREF && l->kind == TX_META && l->load.key == KEY_META_L4PROTO)
		pctx_set(l->load.inner ? &s->ipctx : &s->pctx, PBASE_TRANS, &unknown);
	if (!l->key || r->kind != TX_VALUE)
		return;
	if (l->kind == TX_PAYLOAD) {
		learn_payload(s, l, (uint32_t)r->val);
	} else if (l->kind == TX_META) {
		learn_meta(s, l, (uint32_t)r->val);
	} else if (l->kind == TX_CT) {
		enum proto_base b = l->load.key == KEY_CT_PROTOCOL ? PBASE_NET : PBASE_LL;

		base = s->pctx.proto[b];
		up = base ? proto_upper(base, (uint32_t)r->val) : NULL;
		if (up)
			pctx_set(&s->pctx, b + 1, up);
	}
}

struct ts *ts_emit(struct sema *s, enum ts_kind k, struct loc loc)
{
	struct ts *t = arena_new_of(s->tmp, struct ts);

	t->kind = k;
	t->loc = loc;
	*vec_push(s->tmp, &s->out) = t;
	return t;
}

/* A match before the statement at hand, or at the rule's head. */
void emit_dep(struct sema *s, struct tx *rel, bool at_head)
{
	struct ts *t = ts_emit(s, TS_REL, rel->loc);

	t->expr = rel;
	if (at_head) {
		memmove(s->out.v + 1, s->out.v, (s->out.n - 1) * sizeof(*s->out.v));
		s->out.v[0] = t;
	}
}

struct tx *tx_payload(struct sema *s, struct loc loc, const struct proto *p, const struct field *f)
{
	struct tx *t = tx_new(s, TX_PAYLOAD, loc);

	t->type = f ? type_of(f->type) : type_of(TYPE_INVALID);
	t->order = ORDER_BIG;
	t->pay.proto = p;
	t->pay.field = f;
	t->pay.base = p->base;
	t->pay.off = f ? f->off : 0;
	t->pay.inner = s->inner;
	t->len = f ? f->bits : 0;
	t->key = f && (f->flags & FIELD_KEY);
	return t;
}

static struct tx *tx_meta(struct sema *s, struct loc loc, uint32_t key, enum type_num type)
{
	struct tx *t = tx_new(s, TX_META, loc);

	t->type = type_of(type);
	t->order = type == TYPE_ETHERTYPE ? ORDER_BIG : ORDER_HOST;
	t->len = type == TYPE_ETHERTYPE || type == TYPE_ARPHRD ? 16 : 8;
	t->key = true;
	t->load.key = key;
	t->load.dir = -1;
	t->load.inner = s->inner;
	return t;
}

static struct tx *dep_rel(struct sema *s, struct tx *l, uint32_t num)
{
	struct tx *r = tx_new(s, TX_REL, l->loc);

	r->rel.op = REL_EQ;
	r->rel.l = l;
	r->rel.r = tx_value(s, l->loc, l->type, l->order, l->len, num);
	return r;
}

static bool conflict(struct sema *s, struct loc loc, const struct proto *a, const struct proto *b)
{
	diag_error(s->diag, loc, "conflicting protocols specified: %s vs. %s", a->name, b->name);
	return false;
}

/* A match that what stands above `low` is `up`. */
static bool add_dep(struct sema *s, struct loc loc, const struct proto *low, const struct proto *up,
		    bool at_head)
{
	int num = proto_num(low, up);
	struct tx *l, *rel;

	if (num < 0)
		return conflict(s, loc, low, up);
	if (low->meta_key != ~0u) {
		l = tx_meta(s, loc, low->meta_key, low->meta_type);
	} else {
		const struct field *k = proto_key(low);

		if (!k)
			return conflict(s, loc, low, up);
		l = tx_payload(s, loc, low, k);
		if (low->base == PBASE_LL)
			for (uint32_t i = 0; i < pctx_now(s)->n_ll; i++)
				l->pay.off += pctx_now(s)->ll[i]->bits;
	}
	rel = dep_rel(s, l, (uint32_t)num);
	emit_dep(s, rel, at_head);
	pctx_learn(s, l, rel->rel.r);
	return true;
}

static const struct proto *ll_of(struct sema *s)
{
	switch (pctx_now(s)->family) {
	case FAM_INET:
		return proto_of(PROTO_INET);
	case FAM_BRIDGE:
		return proto_of(PROTO_ETHER);
	case FAM_NETDEV:
		return proto_of(PROTO_NETDEV);
	default:
		return NULL;
	}
}

static bool is_icmp(const struct proto *p)
{
	return p->id == PROTO_ICMP || p->id == PROTO_ICMP6 || p->id == PROTO_IGMP;
}

/*
 * Layers below are not known: what to take for them; also emits the network match that ICMP needs.
 */
static bool special_low(struct sema *s, struct loc loc, const struct proto *p,
			const struct proto **low, bool at_head)
{
	const struct proto *ll, *net;

	if (p->base == PBASE_NET) {
		*low = ll_of(s);
		return true;
	}
	if (p->base != PBASE_TRANS)
		return true;
	if (!is_icmp(p)) {
		*low = proto_of(PROTO_INET_SERVICE);
		return true;
	}
	ll = pctx_now(s)->proto[PBASE_LL];
	if (!ll)
		ll = ll_of(s);
	if (!ll)
		return true;
	net = proto_of(p->id == PROTO_ICMP6 ? PROTO_IP6 : PROTO_IP);
	*low = net;
	return add_dep(s, loc, ll, net, at_head);
}

static bool iiftype_dep(struct sema *s, struct loc loc, const struct proto *p)
{
	struct tx *l, *rel;

	if (p->id != PROTO_ETHER && proto_num(proto_of(PROTO_ETHER), p) < 0) {
		diag_error(s->diag, loc, "protocol specification is invalid for this family");
		return false;
	}
	l = tx_meta(s, loc, KEY_META_IIFTYPE, TYPE_ARPHRD);
	rel = dep_rel(s, l, 1);
	emit_dep(s, rel, false);
	pctx_learn(s, l, rel->rel.r);
	return true;
}

/* All that must hold for a header of protocol p to be there. */
bool payload_need(struct sema *s, struct loc loc, const struct proto *p, bool at_head)
{
	static const char *const bases[] = { "", "link layer", "network layer", "transport layer" };
	struct pctx *c = pctx_now(s);
	const struct proto *low;
	enum proto_base hb;

	base_proto(c->family, &hb);
	if (p->base < hb) {
		if (p->base < hb - 1) {
			diag_error(s->diag, loc, "payload base is invalid for this family");
			return false;
		}
		return iiftype_dep(s, loc, p);
	}
	low = p->base > PBASE_LL ? c->proto[p->base - 1] : NULL;
	if (!low && !special_low(s, loc, p, &low, at_head))
		return false;
	if (!low) {
		diag_error(s->diag, loc,
			   "ambiguous payload specification: no %s protocol specified",
			   bases[p->base > PBASE_INNER ? 0 : p->base - 1]);
		return false;
	}
	/* skb->protocol also tells of packets whose VLAN tag the device took off. */
	if (c->family == FAM_BRIDGE && low->id == PROTO_ETHER &&
	    (p->id == PROTO_IP || p->id == PROTO_IP6) && (!s->inner || s->inner->id != PROTO_NONE))
		low = proto_of(PROTO_NETDEV);
	return add_dep(s, loc, low, p, at_head);
}

static bool icmp_type_dep(struct sema *s, struct tx *p)
{
	static const uint8_t want[] = {
		[ICMP_DEP_ECHO] = 8,	[ICMP_DEP_MTU] = 3,	   [ICMP_DEP_ADDRESS] = 5,
		[ICMP6_DEP_MTU] = 2,	[ICMP6_DEP_PPTR] = 4,	   [ICMP6_DEP_ECHO] = 128,
		[ICMP6_DEP_MGMQ] = 130, [ICMP6_DEP_ADDRESS] = 135, [ICMP6_DEP_REDIRECT] = 137
	};
	enum icmp_dep dep = p->pay.field->dep;
	struct pctx *c = pctx_now(s);
	const struct field *f = proto_key(p->pay.proto);
	struct tx *l, *rel;
	struct telems *el;

	/*
	 * An address stands there in messages of multicast listeners and of neighbours; the name of
	 * one is enough.
	 */
	if (c->icmp_type) {
		uint32_t t = c->icmp_type - 1;

		if (t == want[dep] ||
		    (dep == ICMP6_DEP_ADDRESS &&
		     ((t >= 130 && t <= 132) || (t >= 135 && t <= 137))) ||
		    (dep == ICMP6_DEP_MGMQ && t >= 130 && t <= 132))
			return true;
		diag_error(s->diag, p->loc, "%s %s is not part of that message type",
			   p->pay.proto->name, p->pay.field->name);
		return false;
	}
	l = tx_payload(s, p->loc, p->pay.proto, f);
	rel = dep_rel(s, l, want[dep]);
	if (dep == ICMP_DEP_ECHO || dep == ICMP6_DEP_ECHO || dep == ICMP6_DEP_ADDRESS) {
		static const uint8_t echo[] = { 8, 0 }, echo6[] = { 128, 129 },
				     addr[] = { 130, 131, 132, 135, 136, 137 };
		const uint8_t *v = dep == ICMP_DEP_ECHO	   ? echo
				   : dep == ICMP6_DEP_ECHO ? echo6
							   : addr;
		struct sset *set = anon_set(s, p->loc, "__set%u", l, 0);

		el = arena_new_of(s->tmp, struct telems);
		for (size_t i = 0; i < (dep == ICMP6_DEP_ADDRESS ? ARRAY_SIZE(addr) : 2); i++)
			vec_push(s->tmp, &el->v)->key = tx_value(s, p->loc, l->type, ORDER_BIG, 8,
								 v[i]);
		if (!set_fill(s, set, el))
			return false;
		rel->rel.r = tx_new(s, TX_SETREF, p->loc);
		rel->rel.r->set = set;
		rel->rel.r->constant = true;
		c->icmp_type = want[dep] + 1u;
		emit_dep(s, rel, false);
		return true;
	}
	emit_dep(s, rel, false);
	pctx_learn(s, l, rel->rel.r);
	return true;
}

static void ll_offset(struct pctx *c, struct tx *p)
{
	for (uint32_t i = 0; i < c->n_ll; i++)
		p->pay.off += c->ll[i]->bits;
}

/*
 * Two protocols on one layer: VLAN over Ethernet, or any frame behind inet's and netdev's stand-in.
 */
static bool resolve_conflict(struct sema *s, const struct proto *have, struct tx *p)
{
	struct pctx *c = pctx_now(s);

	if (p->pay.base == PBASE_LL) {
		if (have->id == PROTO_INET || have->id == PROTO_NETDEV) {
			if (!iiftype_dep(s, p->loc, p->pay.proto))
				return false;
			have = c->proto[PBASE_LL];
			if (have == p->pay.proto)
				return true;
		} else {
			for (uint32_t i = 0; i < c->n_ll; i++)
				if (c->ll[i] == p->pay.proto)
					return true;
		}
	}
	if (p->pay.base != PBASE_LL || c->ll_typed || proto_num(have, p->pay.proto) < 0 ||
	    have->base != p->pay.base)
		return conflict(s, p->loc, c->proto[p->pay.base], p->pay.proto);
	if (!add_dep(s, p->loc, have, p->pay.proto, false))
		return false;
	if (p->pay.base == PBASE_LL)
		ll_offset(c, p);
	return true;
}

bool payload_deps(struct sema *s, struct tx *p)
{
	struct pctx *c = pctx_now(s);
	const struct proto *have;
	bool made = false;

	if (p->pay.raw || s->is_typeof || p->pay.proto->id == PROTO_TH)
		return true;
	have = c->proto[p->pay.base];
	if (!have) {
		made = true;
		if (!payload_need(s, p->loc, p->pay.proto, false))
			return false;
		have = c->proto[p->pay.base];
		if (have != p->pay.proto && p->pay.base == PBASE_LL) {
			if (proto_num(have, p->pay.proto) < 0)
				return conflict(s, p->loc, have, p->pay.proto);
			if (!add_dep(s, p->loc, have, p->pay.proto, false))
				return false;
			ll_offset(c, p);
			return true;
		}
	}
	if (!made && p->pay.base == PBASE_TRANS && c->n_trans > 1)
		for (uint32_t i = 0; i < c->n_trans; i++)
			if (c->trans[i] != p->pay.proto)
				return conflict(s, p->loc, c->trans[i], p->pay.proto);
	if (have == p->pay.proto) {
		if (p->pay.base == PBASE_LL && !made)
			ll_offset(c, p);
		if (p->pay.field && p->pay.field->dep)
			return icmp_type_dep(s, p);
		return true;
	}
	if (have && have->base == p->pay.base)
		return resolve_conflict(s, have, p);
	return conflict(s, p->loc, have ? have : &unknown, p->pay.proto);
}

bool exthdr_deps(struct sema *s, struct tx *t)
{
	const struct proto *need, *have = s->pctx.proto[PBASE_NET], *ll;

	if (s->is_typeof || (t->ext.op != XH_IPV6 && t->ext.op != XH_IPV4))
		return true;
	need = proto_of(t->ext.op == XH_IPV4 ? PROTO_IP : PROTO_IP6);
	if (have == need)
		return true;
	if (have) {
		diag_error(s->diag, t->loc, "cannot use exthdr with %s", have->name);
		return false;
	}
	ll = s->pctx.proto[PBASE_LL];
	if (!ll) {
		diag_error(s->diag, t->loc,
			   "cannot generate dependency: no link layer protocol specified");
		return false;
	}
	return add_dep(s, t->loc, ll, need, true);
}

/* `ct original saddr`: of which family, the rule must have said. */
bool ct_deps(struct sema *s, struct tx *t)
{
	const struct proto *net = s->pctx.proto[PBASE_NET];
	bool src = false, is4 = false, is6 = false;

	switch (t->load.key) {
	case KEY_CT_SRC:
		src = true;
		/* fallthrough */
	case KEY_CT_DST:
		if (!net || (net->id != PROTO_IP && net->id != PROTO_IP6)) {
			diag_error(s->diag, t->loc,
				   "cannot determine ip protocol version, use \"ip %caddr\" or "
				   "\"ip6 %caddr\" instead",
				   src ? 's' : 'd', src ? 's' : 'd');
			return false;
		}
		t->type = type_of(net->id == PROTO_IP ? TYPE_IPADDR : TYPE_IP6ADDR);
		t->len = t->type->bits;
		return true;
	case KEY_CT_SRC_IP:
	case KEY_CT_DST_IP:
		is4 = true;
		break;
	case KEY_CT_SRC_IP6:
	case KEY_CT_DST_IP6:
		is6 = true;
		break;
	default:
		break;
	}
	if (net && ((is4 && net->id == PROTO_IP6) || (is6 && net->id == PROTO_IP)))
		return conflict(s, t->loc, net, proto_of(is4 ? PROTO_IP : PROTO_IP6));
	return true;
}

/* A tunnel's header, or what lies inside it: the transport that carries it must be known. */
bool inner_deps(struct sema *s, struct loc loc, const struct proto *tun, const struct proto *hdr)
{
	const struct proto *have = s->pctx.proto[PBASE_TRANS];

	if (s->is_typeof)
		return true;
	if (tun->base == PBASE_INNER) {
		if (!have) {
			diag_error(s->diag, loc, "no transport protocol specified");
			return false;
		}
		if (proto_num(have, tun) < 0) {
			diag_error(s->diag, loc, "unexpected transport protocol %s", have->name);
			return false;
		}
		pctx_set(&s->pctx, PBASE_INNER, tun);
	} else if (!have) {
		if (!payload_need(s, loc, tun, false))
			return false;
		pctx_set(&s->pctx, PBASE_TRANS, tun);
	} else if (have != tun) {
		return conflict(s, loc, have, tun);
	}
	if (!s->ipctx.family)
		pctx_init(&s->ipctx, tun->id == PROTO_GRE ? FAM_NETDEV : FAM_BRIDGE);
	if (tun->id == PROTO_GRE && hdr && hdr->base == PBASE_LL) {
		diag_error(s->diag, loc, "gre carries no link layer header: use gretap");
		return false;
	}
	return true;
}
