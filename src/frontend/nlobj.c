// SPDX-License-Identifier: GPL-2.0-or-later
/* nlobj: stateful objects, flow tables and lists of devices from netlink. */
#include <arpa/inet.h>

#include "nl.h"

/* NFT_OBJECT_* */
enum {
	OBJ_COUNTER = 1,
	OBJ_QUOTA,
	OBJ_CT_HELPER,
	OBJ_LIMIT,
	OBJ_CONNLIMIT,
	OBJ_TUNNEL,
	OBJ_CT_TIMEOUT,
	OBJ_SECMARK,
	OBJ_CT_EXPECT,
	OBJ_SYNPROXY,
};

static const char *l4_name(uint8_t proto)
{
	return proto == 6 ? "tcp" : proto == 17 ? "udp" : NULL;
}

static const char *l3_name(uint16_t proto)
{
	return proto == 2 ? "ip" : proto == 10 ? "ip6" : proto == 1 ? "inet" : NULL;
}

/* "type "ftp" protocol tcp; l3proto ip;" */
static const char *helper_body(struct nl_reader *rd, struct nl_attr in)
{
	struct nl_attr tb[4];
	const char *name;
	uint16_t l3 = 0;
	uint8_t l4;

	if (nl_walk(in, tb, 4) != NL_OK || !(name = nl_str(rd, tb[1])) || !nl_u8(tb[3], &l4) ||
	    !l4_name(l4) || (tb[2].p && !nl_u16(tb[2], &l3)))
		return NULL;
	if (!tb[2].p || !l3_name(l3))
		return arena_printf(rd->arena, "type \"%s\" protocol %s;", name, l4_name(l4));
	return arena_printf(rd->arena, "type \"%s\" protocol %s; l3proto %s;", name, l4_name(l4),
			    l3_name(l3));
}

static const char *expect_body(struct nl_reader *rd, struct nl_attr in)
{
	struct nl_attr tb[6];
	uint16_t l3 = 0, port;
	uint8_t l4, size;
	uint32_t timeout;

	if (nl_walk(in, tb, 6) != NL_OK || !nl_u8(tb[2], &l4) || !l4_name(l4) ||
	    !nl_u16(tb[3], &port) || !nl_u32(tb[4], &timeout) || !nl_u8(tb[5], &size) ||
	    (tb[1].p && !nl_u16(tb[1], &l3)))
		return NULL;
	return arena_printf(rd->arena, "protocol %s; dport %u; timeout %ums; size %u;%s%s%s",
			    l4_name(l4), port, timeout, size, l3_name(l3) ? " l3proto " : "",
			    l3_name(l3) ? l3_name(l3) : "", l3_name(l3) ? ";" : "");
}

static const char *const tcp_states[] = { NULL,	      "syn_sent",   "syn_recv", "established",
					  "fin_wait", "close_wait", "last_ack", "time_wait",
					  "close",    "syn_sent2",  "retrans",	"unack" };
static const char *const udp_states[] = { NULL, "unreplied", "replied" };

static const char *timeout_body(struct nl_reader *rd, struct nl_attr in)
{
	struct nl_attr tb[4], a;
	struct sbuf o;
	uint16_t l3 = 0;
	uint8_t l4;
	uint32_t sec;
	unsigned int type;
	bool bad = false;
	const char *sep = "";

	if (nl_walk(in, tb, 4) != NL_OK || !nl_u8(tb[2], &l4) || !l4_name(l4) ||
	    (tb[1].p && !nl_u16(tb[1], &l3)))
		return NULL;
	sb_init(&o, rd->arena);
	sb_printf(&o, "protocol %s;", l4_name(l4));
	if (l3_name(l3))
		sb_printf(&o, " l3proto %s;", l3_name(l3));
	sb_puts(&o, " policy = {");
	while (nl_next(&tb[3], &type, &a, &bad)) {
		const char *state =
			l4 == 6 ? (type < ARRAY_SIZE(tcp_states) ? tcp_states[type] : NULL)
				: (type < ARRAY_SIZE(udp_states) ? udp_states[type] : NULL);

		if (!nl_u32(a, &sec))
			return NULL;
		if (!state) /* the kernel lists a state that has no name in nft */
			continue;
		sb_printf(&o, "%s %s : %us", sep, state, sec);
		sep = ",";
	}
	sb_puts(&o, " };");
	return bad ? NULL : o.s;
}

static const char *secmark_body(struct nl_reader *rd, struct nl_attr in)
{
	struct nl_attr tb[2];
	const char *ctx;

	if (nl_walk(in, tb, 2) != NL_OK || !(ctx = nl_str(rd, tb[1])))
		return NULL;
	return arena_printf(rd->arena, "\"%s\"", ctx);
}

/* "ip saddr A" and "ip daddr B": addresses as that protocol family has them. */
static bool tunnel_addrs(struct nl_attr in, int family, struct sbuf *o)
{
	unsigned int size = family == AF_INET ? 4 : 16;
	const char *ip = family == AF_INET ? "ip" : "ip6";
	char text[INET6_ADDRSTRLEN];
	struct nl_attr tb[4];
	uint32_t label = 0;

	if (nl_walk(in, tb, 4) != NL_OK || (tb[3].p && (!nl_u32(tb[3], &label) || label)))
		return false;
	for (unsigned int i = 1; i <= 2; i++) {
		if (tb[i].p && tb[i].len != size)
			return false;
		if (tb[i].p)
			sb_printf(o, "\n\t\t%s %s %s", ip, i == 1 ? "saddr" : "daddr",
				  inet_ntop(family, tb[i].p, text, sizeof(text)));
	}
	return true;
}

static bool tunnel_erspan(struct nl_attr in, struct sbuf *o)
{
	struct nl_attr tb[5];
	uint32_t version, index;
	uint8_t id, dir;

	if (nl_walk(in, tb, 5) != NL_OK || !nl_u32(tb[1], &version))
		return false;
	sb_printf(o, "\n\t\terspan {\n\t\t\tversion %u\n", version);
	if (version == 1 && nl_u32(tb[2], &index)) {
		sb_printf(o, "\t\t\tindex %u\n\t\t}", index);
		return true;
	}
	if (version != 2 || !nl_u8(tb[3], &id) || !nl_u8(tb[4], &dir) || dir > 1)
		return false;
	sb_printf(o, "\t\t\tdirection %s\n\t\t\tid %u\n\t\t}", dir ? "egress" : "ingress", id);
	return true;
}

static bool tunnel_opts(struct nl_attr in, struct sbuf *o)
{
	struct nl_attr tb[4], vx[2];
	uint32_t gbp;

	if (nl_walk(in, tb, 4) != NL_OK || tb[3].p || !tb[1].p == !tb[2].p)
		return false; /* geneve's options have a form that is not read */
	if (tb[2].p)
		return tunnel_erspan(tb[2], o);
	if (nl_walk(tb[1], vx, 2) != NL_OK || !nl_u32(vx[1], &gbp))
		return false;
	sb_printf(o, "\n\t\tvxlan {\n\t\t\tgbp %u\n\t\t}", gbp);
	return true;
}

/* In the order in which nft lists it. */
static const char *tunnel_body(struct nl_reader *rd, struct nl_attr in)
{
	struct nl_attr tb[10];
	uint32_t id, flags = 0;
	uint16_t port;
	uint8_t v;
	struct sbuf o;

	if (nl_walk(in, tb, 10) != NL_OK || !nl_u32(tb[1], &id) ||
	    (tb[4].p && (!nl_u32(tb[4], &flags) || flags)))
		return NULL;
	sb_init(&o, rd->arena);
	sb_printf(&o, "id %u", id);
	if ((tb[2].p && !tunnel_addrs(tb[2], AF_INET, &o)) ||
	    (tb[3].p && !tunnel_addrs(tb[3], AF_INET6, &o)))
		return NULL;
	if (nl_u16(tb[7], &port) && port)
		sb_printf(&o, "\n\t\tsport %u", port);
	if (nl_u16(tb[8], &port) && port)
		sb_printf(&o, "\n\t\tdport %u", port);
	if (nl_u8(tb[5], &v) && v)
		sb_printf(&o, "\n\t\ttos %u", v);
	if (nl_u8(tb[6], &v) && v)
		sb_printf(&o, "\n\t\tttl %u", v);
	return !tb[9].p || !tb[9].len || tunnel_opts(tb[9], &o) ? o.s : NULL;
}

static bool read_obj_data(struct nl_reader *rd, struct obj *o, struct nl_attr data)
{
	static const struct {
		uint8_t type;
		enum expr_kind kind;
	} kinds[] = { { OBJ_COUNTER, EX_COUNTER },
		      { OBJ_QUOTA, EX_QUOTA },
		      { OBJ_LIMIT, EX_LIMIT },
		      { OBJ_CONNLIMIT, EX_CONNLIMIT },
		      { OBJ_SYNPROXY, EX_SYNPROXY } };

	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].type == o->type) {
			o->expr = nl_expr_of(rd, kinds[i].kind, data);
			if (o->expr && o->expr->kind == EX_UNKNOWN)
				return nl_error(rd,
						"object %s has an attribute that this version "
						"does not know",
						o->name);
			return o->expr != NULL;
		}
	switch (o->type) {
	case OBJ_CT_HELPER:
		o->body = helper_body(rd, data);
		break;
	case OBJ_CT_TIMEOUT:
		o->body = timeout_body(rd, data);
		break;
	case OBJ_TUNNEL:
		o->body = tunnel_body(rd, data);
		if (!o->body)
			return nl_error(rd, "tunnel %s has options that nft has no words for",
					o->name);
		break;
	case OBJ_SECMARK:
		o->body = secmark_body(rd, data);
		break;
	case OBJ_CT_EXPECT:
		o->body = expect_body(rd, data);
		break;
	default:
		return nl_error(rd, "object %s is of type %u, which cannot be written as nft text",
				o->name, o->type);
	}
	return o->body || nl_bad(rd, "object");
}

bool nl_obj(struct nl_reader *rd, struct nl_attr in)
{
	struct obj *o = arena_new_of(rd->arena, struct obj);
	struct nl_attr tb[9];

	if (!nl_table_of(rd, in, tb, 9, "object"))
		return false;
	o->table = rd->cur->t;
	o->name = nl_name(rd, tb[2]);
	if (!o->name || !nl_u32(tb[3], &o->type))
		return nl_bad(rd, "object");
	rd->loc.name = arena_printf(rd->arena, "%s/object %s", o->table->name, o->name);
	o->loc = rd->loc;
	if (tb[6].p && !nl_u64(tb[6], &o->handle))
		return nl_bad(rd, "handle of an object");
	if (table_obj(o->table, o->name, o->type))
		return (rd->batch && !rd->excl) ||
		       nl_error(rd, "object %s is there twice", o->name);
	o->comment = nl_udata_str(rd, tb[8], 0);
	*vec_push(rd->arena, &o->table->objs) = o;
	return read_obj_data(rd, o, tb[4]);
}

void nl_add_devices(struct nl_reader *rd, const char ***v, uint32_t *n, const char *const *more,
		    uint32_t n_more)
{
	const char **all = arena_array(rd->arena, const char *, *n + n_more);
	uint32_t k, len = *n;

	if (len)
		memcpy(all, *v, len * sizeof(*all));
	for (uint32_t i = 0; i < n_more; i++) {
		for (k = 0; k < len && strcmp(all[k], more[i]); k++)
			;
		if (k == len)
			all[len++] = more[i];
	}
	*v = all;
	*n = len;
}

/* A list of names (1) and prefixes of names (2), the latter with the star that nft writes. */
bool nl_devices(struct nl_reader *rd, struct nl_attr list, const char ***v, uint32_t *n)
{
	VEC(const char *) out = { 0 };
	struct nl_attr a;
	unsigned int type;
	bool bad = false;

	while (nl_next(&list, &type, &a, &bad)) {
		const char *name = nl_str(rd, a);

		if (!name || type < 1 || type > 2)
			return nl_bad(rd, "list of devices");
		*vec_push(rd->arena, &out) = type == 2 ? arena_printf(rd->arena, "%s*", name)
						       : name;
	}
	*v = out.v;
	*n = out.n;
	return bad ? nl_bad(rd, "list of devices") : true;
}

/* Named again in a transaction: devices come to it. */
static bool again(struct nl_reader *rd, struct flowtable *old, const struct flowtable *new)
{
	if (!rd->batch || rd->excl)
		return nl_error(rd, "flow table %s is there twice", old->name);
	nl_add_devices(rd, &old->devices.v, &old->devices.n, new->devices.v, new->devices.n);
	old->devices.cap = old->devices.n;
	return true;
}

bool nl_flowtable(struct nl_reader *rd, struct nl_attr in)
{
	struct flowtable *ft = arena_new_of(rd->arena, struct flowtable);
	struct nl_attr tb[8], hook[4];
	uint32_t prio;

	if (!nl_table_of(rd, in, tb, 8, "flow table"))
		return false;
	ft->table = rd->cur->t;
	ft->name = nl_name(rd, tb[2]);
	if (!ft->name || !nl_table_of(rd, tb[3], hook, 4, "hook of a flow table"))
		return ft->name ? false : nl_bad(rd, "flow table");
	rd->loc.name = arena_printf(rd->arena, "%s/flowtable %s", ft->table->name, ft->name);
	ft->loc = rd->loc;
	if (hook[2].p && !nl_u32(hook[2], &prio))
		return nl_bad(rd, "priority of a flow table");
	ft->prio = hook[2].p ? (int32_t)prio : 0;
	if (tb[7].p && !nl_u32(tb[7], &ft->flags))
		return nl_bad(rd, "flags of a flow table");
	if (ft->flags & ~3u)
		return nl_error(rd, "flow table %s has flags 0x%x that this version does not know",
				ft->name, ft->flags);
	ft->has_counter = ft->flags & 2;
	if (tb[5].p && !nl_u64(tb[5], &ft->handle))
		return nl_bad(rd, "handle of a flow table");
	if (!nl_devices(rd, hook[3], &ft->devices.v, &ft->devices.n))
		return false;
	ft->devices.cap = ft->devices.n;
	vec_foreach(&ft->table->flowtables, it)
		if (!strcmp((*it)->name, ft->name))
			return again(rd, *it, ft);
	*vec_push(rd->arena, &ft->table->flowtables) = ft;
	return true;
}
