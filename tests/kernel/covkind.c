// SPDX-License-Identifier: GPL-2.0-or-later
/* covkind: the kinds of expressions that the coverage table has a row for. See cover.h. */
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "cover.h"

/* From enums of the kernel, by value. */
static const char *const cmp_ops[] = { "==", "!=", "<", "<=", ">", ">=" };
static const char *const bit_ops[] = { "mask", "lshift", "rshift", "and", "or", "xor" };
static const char *const order_ops[] = { "ntoh", "hton" };
static const char *const bases[] = { "link layer", "network", "transport", "inner", "tunnel" };
static const char *const headers[] = { "ipv6 header", "tcp option", "ip option", "sctp chunk",
				       "dccp option" };
static const char *const fib_results[] = { "", "oif", "oifname", "type" };
static const char *const tunnels[] = { "", "vxlan", "geneve", "gre", "gretap" };
static const char *const dyn_ops[] = { "add", "update", "delete" };
static const char *const rejects[] = { "icmp", "tcp reset", "icmpx" };
static const char *const objects[] = {
	"",	  "counter",	"quota",   "ct helper",	     "limit",	"",
	"tunnel", "ct timeout", "secmark", "ct expectation", "synproxy"
};

#define NAME(...) put_name(name, __VA_ARGS__)

static bool put_name(char *name, const char *fmt, ...) PRINTF(2, 3);
static bool put_name(char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, COVER_NAME, fmt, ap);
	va_end(ap);
	return true;
}

static const char *verdict(int code)
{
	switch (code) {
	case V_ACCEPT:
		return "accept";
	case V_DROP:
		return "drop";
	case V_CONTINUE:
		return "continue";
	case V_JUMP:
		return "jump";
	case V_GOTO:
		return "goto";
	case V_RETURN:
		return "return";
	default:
		return NULL;
	}
}

static const char *key_name(enum expr_kind k, uint32_t key)
{
	const struct reg_key *r = reg_key(k, key);

	return r ? r->name : "?";
}

static const char *set_kind(bool interval, bool concat)
{
	return concat	  ? interval ? "concatenated ranges" : "concatenation"
	       : interval ? "ranges"
			  : "values";
}

static const char *map_kind(const struct expr *e)
{
	return e->lookup.dreg == REG_VERDICT ? "vmap" : e->lookup.dreg == REG_NONE ? "set" : "map";
}

static bool load_name(const struct expr *e, char *name)
{
	const char *dir;

	switch (e->kind) {
	case EX_PAYLOAD:
		return NAME("payload %s%s", bases[e->payload.base],
			    e->payload.dreg == REG_NONE ? " set" : "");
	case EX_EXTHDR:
		return NAME("%s%s", headers[e->exthdr.op],
			    e->exthdr.sreg != REG_NONE		     ? " set"
			    : e->exthdr.dreg == REG_NONE	     ? " reset"
			    : e->exthdr.flags & NFT_EXTHDR_F_PRESENT ? " exists"
								     : "");
	case EX_META:
		return NAME("meta %s%s", key_name(EX_META, e->meta.key),
			    e->meta.sreg != REG_NONE ? " set" : "");
	case EX_CT:
		dir = !e->ct.has_dir ? "" : e->ct.dir ? " reply" : " original";
		return NAME("ct%s %s%s", dir, key_name(EX_CT, e->ct.key),
			    e->ct.sreg != REG_NONE ? " set" : "");
	case EX_RT:
		return NAME("rt %s", key_name(EX_RT, e->rt.key));
	case EX_SOCKET:
		return NAME("socket %s", key_name(EX_SOCKET, e->socket.key));
	case EX_XFRM:
		return NAME("ipsec %s", key_name(EX_XFRM, e->xfrm.key));
	case EX_TUNNEL:
		return NAME("tunnel %s", key_name(EX_TUNNEL, e->tunnel.key));
	case EX_FIB:
		return NAME("fib %s", fib_results[e->fib.result]);
	case EX_INNER:
		return NAME("inside %s", tunnels[e->inner.type]);
	case EX_NUMGEN:
		return NAME("numgen %s", e->numgen.type == NFT_NG_RANDOM ? "random" : "inc");
	case EX_HASH:
		return NAME("%s", e->hash.type == NFT_HASH_SYM ? "symhash" : "jhash");
	default:
		return NAME("%s", expr_kind_name(e->kind));
	}
}

bool cover_name(const struct expr *e, char *name)
{
	const struct set *s;

	switch (e->kind) {
	case EX_IMMEDIATE:
		return e->imm.dreg != REG_VERDICT ? NAME("immediate")
						  : NAME("%s", verdict(e->imm.verdict.code) ?: "?");
	case EX_CMP:
		return NAME("cmp %s", cmp_ops[e->cmp.op]);
	case EX_RANGE:
		return NAME("range %s", cmp_ops[e->range.op]);
	case EX_BITWISE:
		return NAME("bitwise %s%s", bit_ops[e->bitwise.op],
			    e->bitwise.sreg2 != REG_NONE ? " of two registers" : "");
	case EX_BYTEORDER:
		return NAME("byteorder %s %u", order_ops[e->byteorder.op], e->byteorder.size);
	case EX_LOOKUP:
		s = e->lookup.set;
		return NAME("%s of %s%s%s", map_kind(e),
			    set_kind(s->flags & SET_INTERVAL, s->n_fields > 1),
			    s->flags & SET_CONSTANT ? "" : ", named", e->lookup.inv ? ", !=" : "");
	case EX_DYNSET:
		return NAME("%s @%s%s", dyn_ops[e->dynset.op],
			    e->dynset.set->flags & SET_MAP ? "map" : "set",
			    e->dynset.n_exprs ? " with statements" : "");
	case EX_LIMIT:
		return NAME("limit %s%s", e->limit.inv ? "over " : "",
			    e->limit.type ? "bytes" : "packets");
	case EX_QUOTA:
		return NAME("quota %s", e->quota.inv ? "over" : "until");
	case EX_CONNLIMIT:
		return NAME("ct count%s", e->connlimit.inv ? " over" : "");
	case EX_OBJREF:
		return NAME("object %s%s",
			    objects[e->objref.type < ARRAY_SIZE(objects) ? e->objref.type : 0],
			    e->objref.set ? " by map" : "");
	case EX_REJECT:
		return NAME("reject %s", rejects[e->reject.type]);
	case EX_NAT:
		return NAME("%s", e->nat.type == NFT_NAT_SNAT ? "snat" : "dnat");
	case EX_MATCH:
		return NAME("xt match %s", e->xt.name);
	case EX_TARGET:
		return NAME("xt target %s", e->xt.name);
	default:
		return load_name(e, name);
	}
}

/* -- all there are ----------------------------------------------------------------------------- */

static void names(cover_fn *fn, void *arg, const char *head, const char *const *v, uint32_t n)
{
	char name[COVER_NAME];

	for (uint32_t i = 0; i < n; i++)
		if (v[i][0]) {
			NAME("%s%s", head, v[i]);
			fn(arg, name);
		}
}

static void all_sets(cover_fn *fn, void *arg)
{
	static const char *const maps[] = { "set", "map", "vmap" };
	char name[COVER_NAME];

	for (int m = 0; m < 3; m++)
		for (int kind = 0; kind < 4; kind++)
			for (int how = 0; how < (m ? 2 : 4); how++) {
				NAME("%s of %s%s%s", maps[m], set_kind(kind & 1, kind & 2),
				     how & 1 ? ", named" : "", how & 2 ? ", !=" : "");
				fn(arg, name);
			}
	for (int op = 0; op < 3; op++)
		for (int how = 0; how < 4; how++) {
			NAME("%s @%s%s", dyn_ops[op], how & 1 ? "map" : "set",
			     how & 2 ? " with statements" : "");
			fn(arg, name);
		}
}

/* Which keys of conntrack have a direction: none, either, must have one. */
static int direction(uint32_t key)
{
	switch (key) {
	case KEY_CT_SRC:
	case KEY_CT_DST:
	case KEY_CT_PROTO_SRC:
	case KEY_CT_PROTO_DST:
	case KEY_CT_SRC_IP:
	case KEY_CT_DST_IP:
	case KEY_CT_SRC_IP6:
	case KEY_CT_DST_IP6:
		return 2;
	case KEY_CT_L3PROTOCOL:
	case KEY_CT_PROTOCOL:
	case KEY_CT_PACKETS:
	case KEY_CT_BYTES:
	case KEY_CT_AVGPKT:
	case KEY_CT_ZONE:
		return 1;
	default:
		return 0;
	}
}

static void all_loads(cover_fn *fn, void *arg)
{
	struct expr e;
	char name[COVER_NAME];

#define EACH(member, KIND)                                                                         \
	memset(&e, 0, sizeof(e));                                                                  \
	e.kind = EX_##KIND;                                                                        \
	e.member.key = k;                                                                          \
	e.meta.sreg = REG_NONE;                                                                    \
	load_name(&e, name);                                                                       \
	fn(arg, name)
	for (uint32_t k = 0; k < 40; k++) {
		if (reg_key(EX_META, k)) {
			EACH(meta, META);
		}
		if (reg_key(EX_RT, k)) {
			EACH(rt, RT);
		}
		if (reg_key(EX_SOCKET, k)) {
			EACH(socket, SOCKET);
		}
		if (reg_key(EX_XFRM, k)) {
			EACH(xfrm, XFRM);
		}
		if (reg_key(EX_TUNNEL, k)) {
			EACH(tunnel, TUNNEL);
		}
	}
	for (uint32_t k = 0; k < 40; k++)
		for (int dir = 0; reg_key(EX_CT, k) && dir < 3; dir++)
			if (dir ? direction(k) > 0 : direction(k) < 2) {
				memset(&e, 0, sizeof(e));
				e.kind = EX_CT;
				e.ct.key = k;
				e.ct.sreg = REG_NONE;
				e.ct.has_dir = dir > 0;
				e.ct.dir = dir == 2;
				load_name(&e, name);
				fn(arg, name);
			}
#undef EACH
}

/* Kinds whose rows have other names than the kind itself. */
static bool is_split(enum expr_kind k)
{
	static const enum expr_kind split[] = {
		EX_IMMEDIATE, EX_CMP,	 EX_RANGE, EX_BITWISE, EX_BYTEORDER, EX_PAYLOAD, EX_EXTHDR,
		EX_META,      EX_CT,	 EX_RT,	   EX_SOCKET,  EX_XFRM,	     EX_TUNNEL,	 EX_FIB,
		EX_LOOKUP,    EX_DYNSET, EX_LIMIT, EX_QUOTA,   EX_CONNLIMIT, EX_NUMGEN,	 EX_HASH,
		EX_OBJREF,    EX_REJECT, EX_NAT,   EX_INNER,   EX_MATCH,     EX_TARGET,	 EX_XTNEED
	};

	for (size_t i = 0; i < ARRAY_SIZE(split); i++)
		if (split[i] == k)
			return true;
	return false;
}

#define LIST(head, v) names(fn, arg, head, v, ARRAY_SIZE(v))
#define THESE(...)    LIST("", ((const char *const[]){ __VA_ARGS__ }))

static void all_matches(cover_fn *fn, void *arg)
{
	static const char *const known[] = {
#define M(name, rev, fams, proto, len, fn) name,
#include "../../src/frontend/xt.def"
#undef M
	};
	char name[COVER_NAME];

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!i || strcmp(known[i], known[i - 1]) != 0) {
			NAME("xt match %s", known[i]);
			fn(arg, name);
		}
}

void cover_all(cover_fn *fn, void *arg)
{
	LIST("cmp ", cmp_ops);
	THESE("range ==", "range !=");
	LIST("bitwise ", bit_ops);
	THESE("bitwise and of two registers", "bitwise or of two registers",
	      "bitwise xor of two registers");
	THESE("byteorder ntoh 2", "byteorder ntoh 4", "byteorder ntoh 8", "byteorder hton 2",
	      "byteorder hton 4", "byteorder hton 8");
	names(fn, arg, "payload ", bases, 4);
	LIST("", headers);
	THESE("ipv6 header exists", "tcp option exists", "ip option exists", "sctp chunk exists",
	      "dccp option exists");
	all_loads(fn, arg);
	LIST("fib ", fib_results);
	LIST("inside ", tunnels);
	THESE("immediate", "numgen inc", "numgen random", "jhash", "symhash");
	all_sets(fn, arg);
	THESE("limit packets", "limit over packets", "limit bytes", "limit over bytes",
	      "quota until", "quota over", "ct count", "ct count over");
	LIST("object ", objects);
	THESE("object counter by map", "object quota by map", "object limit by map",
	      "object synproxy by map", "object secmark by map", "object ct helper by map",
	      "object ct timeout by map", "object ct expectation by map", "object tunnel by map");
	THESE("accept", "drop", "continue", "jump", "goto", "return");
	THESE("payload link layer set", "payload network set", "payload transport set",
	      "payload inner set", "tcp option set", "tcp option reset", "meta mark set",
	      "meta priority set", "meta nftrace set", "meta pkttype set", "meta secmark set",
	      "meta broute set", "ct mark set", "ct label set", "ct event set", "ct zone set",
	      "ct original zone set", "ct reply zone set", "ct secmark set");
	LIST("reject ", rejects);
	THESE("snat", "dnat");
	for (int k = 0; k < EX_COUNT; k++)
		if (!is_split((enum expr_kind)k))
			fn(arg, expr_kind_name((enum expr_kind)k));
	all_matches(fn, arg);
}
