// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Expressions that load: header fields, options, keys of packet, conntrack and routing, generators.
 */
#include "sema.h"

struct tx *ev_payload(struct sema *s, struct ast_expr *e)
{
	const struct proto *p = proto_by_name(e->pay.proto), *tun = NULL;
	const struct field *f = p && e->pay.field ? proto_field(p, e->pay.field) : NULL;
	struct tx *t;

	if (!f) {
		diag_error(s->diag, e->loc, "%s has no field \"%s\"", e->pay.proto,
			   e->pay.field ? e->pay.field : "");
		return NULL;
	}
	if (p->id == PROTO_VXLAN || p->id == PROTO_GENEVE) {
		tun = p;
		if (!inner_deps(s, e->loc, tun, NULL))
			return NULL;
	}
	t = tx_payload(s, e->loc, p, f);
	if (tun)
		t->pay.inner = tun;
	else if (!payload_deps(s, t))
		return NULL;
	primary(s, t);
	if (!s->is_typeof && (t->pay.off % 8 || t->len % 8) && !bits_adjust(s, &t))
		return NULL;
	return t;
}

struct tx *ev_raw(struct sema *s, struct ast_expr *e)
{
	static const enum proto_base bases[] = { PBASE_LL, PBASE_NET, PBASE_TRANS, PBASE_INNER };
	struct tx *t = tx_new(s, TX_PAYLOAD, e->loc);

	if (!e->raw.len || e->raw.len > 128) {
		diag_error(s->diag, e->loc, "raw payload length of %u bits is not from 1 to 128",
			   e->raw.len);
		return NULL;
	}
	if (e->raw.off / 8 > UINT16_MAX) {
		diag_error(s->diag, e->loc, "raw payload offset of %u bits is too large",
			   e->raw.off);
		return NULL;
	}
	t->type = type_of(TYPE_INTEGER);
	t->order = ORDER_BIG;
	t->len = e->raw.len;
	t->pay.base = bases[e->raw.base];
	t->pay.off = e->raw.off;
	t->pay.raw = true;
	t->pay.inner = s->inner;
	if (e->raw.base == RAW_TH && e->raw.len == 16 && (e->raw.off == 0 || e->raw.off == 16)) {
		t->type = type_of(TYPE_INET_SERVICE);
		t->pay.proto = proto_of(PROTO_TH);
	}
	primary(s, t);
	if (!s->is_typeof && (t->pay.off % 8 || t->len % 8) && !bits_adjust(s, &t))
		return NULL;
	return t;
}

struct tx *ev_inner(struct sema *s, struct ast_expr *e)
{
	const struct proto *tun = proto_by_name(e->inner.tunnel);
	struct ast_expr *in = ast_strip(e->inner.expr);
	const struct proto *hdr = in->kind == AX_PAYLOAD ? proto_by_name(in->pay.proto) : NULL;
	struct tx *t;

	if (!tun || !tun->inner_type) {
		diag_error(s->diag, e->loc, "\"%s\" is not a tunnel", e->inner.tunnel);
		return NULL;
	}
	if (!inner_deps(s, e->loc, tun, hdr))
		return NULL;
	s->inner = tun;
	t = ev(s, in);
	s->inner = NULL;
	return t;
}

static struct tx *present(struct sema *s, struct tx *t)
{
	t->type = type_of(TYPE_BOOLEAN);
	t->order = ORDER_HOST;
	t->ext.flags = 1;
	t->ext.off = 0;
	t->len = 8;
	return t;
}

static bool ext_lookup(struct sema *s, struct ast_expr *e, struct tx *t)
{
	const struct ast_ext *x = e->ext;
	const char *hdr = x->hdr, *field = x->field;
	const struct ext_field *f;

	if (t->ext.op == XH_TCPOPT && !strcmp(hdr, "mss"))
		hdr = "maxseg";
	if (t->ext.op == XH_TCPOPT && !strcmp(hdr, "noop"))
		hdr = "nop";
	if (t->ext.op == XH_TCPOPT && !strcmp(hdr, "echo"))
		hdr = "timestamp";
	if (t->ext.op == XH_IPV6 && field && !strcmp(field, "addr") && strcmp(hdr, "rt2"))
		field = "addr[1]";
	if (t->ext.op == XH_IPV6 && field && !strcmp(field, "sid"))
		field = "sid[1]";
	f = ext_find(t->ext.op, hdr, x->present ? NULL : field);
	if (!f && t->ext.op == XH_TCPOPT && tcpopt_kind(hdr, &t->ext.kind)) {
		t->ext.off = 8;
		t->type = type_of(TYPE_INTEGER);
		t->len = 8;
		return true;
	}
	if (!f || (!f->bits && !x->present)) {
		diag_error(s->diag, e->loc, "%s has no field \"%s\"", hdr, field ? field : "");
		return false;
	}
	t->ext.kind = f->kind;
	t->ext.off = f->off;
	t->type = type_of(f->type);
	t->len = f->bits;
	return true;
}

struct tx *ev_ext(struct sema *s, struct ast_expr *e)
{
	static const uint8_t ops[] = { [AX_EXTHDR] = XH_IPV6,
				       [AX_TCPOPT] = XH_TCPOPT,
				       [AX_IPOPT] = XH_IPV4,
				       [AX_SCTP] = XH_SCTP,
				       [AX_DCCP] = XH_DCCP };
	struct tx *t = tx_new(s, TX_EXTHDR, e->loc);
	u128 v;

	t->ext.op = ops[e->kind];
	t->order = ORDER_BIG;
	if (e->ext->raw) {
		t->ext.kind = e->ext->kind;
		if (e->ext->hdr)
			tcpopt_kind(e->ext->hdr, &t->ext.kind);
		t->ext.off = e->ext->off;
		t->len = e->ext->len;
		t->type = type_of(TYPE_INTEGER);
		if (!t->len || t->len > 128) {
			diag_error(s->diag, e->loc, "option length of %u bits is not from 1 to 128",
				   t->len);
			return NULL;
		}
	} else if (e->kind == AX_DCCP) {
		if (!parse_u128(e->ext->hdr, &v) || v > 255) {
			diag_error(s->diag, e->loc, "dccp option %s is not from 0 to 255",
				   e->ext->hdr);
			return NULL;
		}
		t->ext.kind = (uint8_t)v;
	} else if (!ext_lookup(s, e, t)) {
		return NULL;
	}
	/* The type of an option that is there is no news: nft takes the question for the other. */
	if (e->ext->present ||
	    (e->kind == AX_IPOPT && e->ext->field && !strcmp(e->ext->field, "type")))
		present(s, t);
	if (t->ext.op == XH_TCPOPT && t->ext.off + t->len > 320) {
		diag_error(s->diag, e->loc, "offset and size %u exceeds max tcp headerlen (320)",
			   t->ext.off + t->len);
		return NULL;
	}
	if (!exthdr_deps(s, t))
		return NULL;
	primary(s, t);
	if (!s->is_typeof && (t->ext.off % 8 || t->len % 8) && !bits_adjust(s, &t))
		return NULL;
	return t;
}

struct tx *ev_meta(struct sema *s, struct ast_expr *e)
{
	struct tx *t = tx_key(s, e->loc, TX_META, e->key.key);

	if (!t)
		return NULL;
	primary(s, t);
	if (pctx_now(s)->family != FAM_INET && t->load.key == KEY_META_NFPROTO && !s->is_typeof) {
		diag_error(s->diag, e->loc, "meta nfproto is only useful in the inet family");
		return NULL;
	}
	if (s->pctx.family != FAM_BRIDGE && !s->is_typeof &&
	    (t->load.key == KEY_META_BRI_IIFNAME || t->load.key == KEY_META_BRI_OIFNAME ||
	     t->load.key == KEY_META_BRI_IIFPVID || t->load.key == KEY_META_BRI_IIFVPROTO ||
	     t->load.key == KEY_META_BRI_IIFHWADDR)) {
		diag_error(s->diag, e->loc, "meta %s is only there in the bridge family",
			   e->key.key);
		return NULL;
	}
	if (t->load.key == KEY_META_DAY)
		s->ctx.maxval = 6;
	return t;
}

struct tx *ev_ct(struct sema *s, struct ast_expr *e)
{
	const char *name = e->ct.key;
	struct tx *t;

	if (e->ct.family)
		name = arena_printf(s->tmp, "%s %s", e->ct.family, name);
	t = tx_key(s, e->loc, TX_CT, name);
	if (!t)
		return NULL;
	t->load.dir = e->ct.dir;
	if ((t->load.key == KEY_CT_PROTO_SRC || t->load.key == KEY_CT_PROTO_DST) &&
	    t->load.dir < 0) {
		diag_error(s->diag, e->loc, "ct %s needs a direction: ct original %s", name, name);
		return NULL;
	}
	if (t->load.key == KEY_CT_EVENT && !s->is_typeof) {
		diag_error(s->diag, e->loc, "ct event can be set, not matched");
		return NULL;
	}
	if (!ct_deps(s, t))
		return NULL;
	return primary(s, t);
}

struct tx *ev_rt(struct sema *s, struct ast_expr *e)
{
	const char *name = e->key.key;
	const struct proto *net = s->pctx.proto[PBASE_NET];
	struct tx *t;

	if (e->key.family)
		name = arena_printf(s->tmp, "%s %s", e->key.family, name);
	else if (!strcmp(name, "nexthop") && net && net->id == PROTO_IP)
		name = "ip nexthop";
	else if (!strcmp(name, "nexthop") && net && net->id == PROTO_IP6)
		name = "ip6 nexthop";
	t = tx_key(s, e->loc, TX_RT, name);
	if (!t)
		return NULL;
	if (!t->len) {
		diag_error(s->diag, e->loc,
			   "cannot determine ip protocol version, use \"ip nexthop\" or \"ip6 "
			   "nexthop\" instead");
		return NULL;
	}
	if ((t->load.key == KEY_RT_NEXTHOP4 && s->pctx.family == FAM_IP6) ||
	    (t->load.key == KEY_RT_NEXTHOP6 && s->pctx.family == FAM_IP)) {
		diag_error(s->diag, e->loc, "%s will not match in this family", name);
		return NULL;
	}
	return primary(s, t);
}

struct tx *ev_socket(struct sema *s, struct ast_expr *e)
{
	struct tx *t = tx_key(s, e->loc, TX_SOCKET, e->sock.key);

	if (!t)
		return NULL;
	t->load.level = e->sock.level;
	primary(s, t);
	if (t->load.key == KEY_SOCKET_TRANSPARENT || t->load.key == KEY_SOCKET_WILDCARD)
		s->ctx.maxval = 1;
	return t;
}

struct tx *ev_osf(struct sema *s, struct ast_expr *e)
{
	struct tx *t = tx_new(s, TX_OSF, e->loc);

	t->type = type_of(TYPE_STRING);
	t->order = ORDER_HOST;
	t->len = 128;
	t->osf.ttl = !e->osf.ttl ? 0 : !strcmp(e->osf.ttl, "loose") ? 1 : 2;
	t->osf.flags = !strcmp(e->osf.key, "version");
	if (s->pctx.family != FAM_INET && s->pctx.family != FAM_IP && s->pctx.family != FAM_IP6) {
		diag_error(s->diag, e->loc, "osf is only valid in ip, ip6 and inet tables");
		return NULL;
	}
	return primary(s, t);
}

/* Where a packet has no route yet, or no input any more, there is nothing to ask. */
static bool fib_hook(struct sema *s, const struct tx *t)
{
	const struct chain *c = s->chain;
	uint32_t in = 1u << HOOK_PREROUTING | 1u << HOOK_INPUT | 1u << HOOK_FORWARD;
	uint32_t out = 1u << HOOK_OUTPUT | 1u << HOOK_POSTROUTING | 1u << HOOK_FORWARD;
	uint32_t may = ~0u;

	if (s->is_typeof || !c || !c->is_base ||
	    (s->pctx.family != FAM_IP && s->pctx.family != FAM_IP6 && s->pctx.family != FAM_INET))
		return true;
	if (t->fib.result != 3 || (t->fib.flags & AFIB_IIF))
		may = in;
	else if (t->fib.flags & AFIB_OIF)
		may = out;
	if (may & 1u << c->hook)
		return true;
	diag_error(s->diag, t->loc, "this fib lookup is not possible in hook %s",
		   hook_name(s->pctx.family, c->hook));
	return false;
}

struct tx *ev_fib(struct sema *s, struct ast_expr *e)
{
	struct tx *t = tx_new(s, TX_FIB, e->loc);

	t->fib.flags = e->fib.flags;
	t->order = ORDER_HOST;
	t->len = 32;
	if (!strcmp(e->fib.result, "oif") || !strcmp(e->fib.result, "check")) {
		t->fib.result = 1;
		t->type = type_of(TYPE_IFINDEX);
		if (*e->fib.result == 'c') {
			t->fib.flags |= 32;
			t->type = type_of(TYPE_BOOLEAN);
			t->len = 8;
		}
	} else if (!strcmp(e->fib.result, "oifname")) {
		t->fib.result = 2;
		t->type = type_of(TYPE_IFNAME);
		t->len = 128;
	} else {
		t->fib.result = 3;
		t->type = type_of(TYPE_FIB_ADDR);
	}
	if (!(t->fib.flags & (AFIB_SADDR | AFIB_DADDR))) {
		diag_error(s->diag, e->loc, "fib: need either saddr or daddr");
		return NULL;
	}
	if (t->fib.result != 3 && t->fib.flags & AFIB_OIF) {
		diag_error(s->diag, e->loc,
			   "fib: oif cannot be looked up with oif: take iif, or type");
		return NULL;
	}
	if (!fib_hook(s, t))
		return NULL;
	return primary(s, t);
}

struct tx *ev_xfrm(struct sema *s, struct ast_expr *e)
{
	const char *name = e->xfrm.key;
	struct tx *t;

	if (e->xfrm.family)
		name = arena_printf(s->tmp, "%s %s", e->xfrm.family, name);
	if (s->pctx.family != FAM_INET && s->pctx.family != FAM_IP && s->pctx.family != FAM_IP6) {
		diag_error(s->diag, e->loc,
			   "ipsec expression is only valid in ip, ip6 and inet tables");
		return NULL;
	}
	t = tx_key(s, e->loc, TX_XFRM, name);
	if (!t)
		return NULL;
	t->xfrm.out = e->xfrm.out;
	t->xfrm.spnum = e->xfrm.spnum;
	return primary(s, t);
}

/*
 * A number from a generator takes the type of what it is written to, if that is an integer of its
 * size.
 */
static void take_type(struct sema *s, struct tx *t)
{
	const struct dtype *c = s->ctx.type;

	t->type = type_of(TYPE_INTEGER);
	t->order = ORDER_HOST;
	t->len = 32;
	if (c && c->num != TYPE_CONCAT && c->base == BASE_INTEGER && s->ctx.len == 32)
		t->type = c;
}

struct tx *ev_numgen(struct sema *s, struct ast_expr *e)
{
	struct tx *t = tx_new(s, TX_NUMGEN, e->loc);

	take_type(s, t);
	t->numgen = e->numgen;
	if (!e->numgen->mod || (uint64_t)e->numgen->mod + e->numgen->offset - 1 > UINT32_MAX) {
		diag_error(s->diag, e->loc, "modulus %u with offset %u leaves no numbers",
			   e->numgen->mod, e->numgen->offset);
		return NULL;
	}
	ctx_set(s, t->type, t->order, t->len, (uint64_t)e->numgen->mod + e->numgen->offset - 1);
	return t;
}

struct tx *ev_hash(struct sema *s, struct ast_expr *e)
{
	struct tx *t = tx_new(s, TX_HASH, e->loc);

	take_type(s, t);
	t->hash.ast = e->hash;
	ctx_set(s, NULL, ORDER_NONE, 0, 0);
	if (e->hash->expr) {
		t->hash.arg = ev(s, e->hash->expr);
		if (!t->hash.arg)
			return NULL;
		if (t->hash.arg->constant) {
			diag_error(s->diag, t->hash.arg->loc, "hash of a constant");
			return NULL;
		}
	}
	if (!e->hash->mod || (uint64_t)e->hash->mod + e->hash->offset - 1 > UINT32_MAX) {
		diag_error(s->diag, e->loc, "modulus %u with offset %u leaves no numbers",
			   e->hash->mod, e->hash->offset);
		return NULL;
	}
	ctx_set(s, t->type, t->order, t->len, (uint64_t)e->hash->mod + e->hash->offset - 1);
	return t;
}
