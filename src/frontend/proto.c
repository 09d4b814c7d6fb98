// SPDX-License-Identifier: GPL-2.0-or-later
/* Protocol headers: look-ups in the tables of proto.def, protofield.def and protoext.def. */
#include "proto.h"

#define ETH_IP	 0x0800
#define ETH_ARP	 0x0806
#define ETH_IP6	 0x86dd
#define ETH_VLAN 0x8100
#define ETH_QINQ 0x88a8

static const struct field fields[] = {
#define F(proto, name, type, off, bits, flags, dep, udata)                                         \
	{ PROTO_##proto, name, TYPE_##type, off, bits, flags, dep },
#include "protofield.def"
#undef F
};

static struct proto protos[PROTO_COUNT] = {
#define P(id, name, base, bits, csum, meta, mtype, itype, ihdr, iflags, udata)                     \
	[PROTO_##id] = { PROTO_##id,   name,  PBASE_##base, bits,   csum, meta,                    \
			 TYPE_##mtype, itype, ihdr,	    iflags, NULL, 0 },
#include "proto.def"
#undef P
};

struct link {
	uint32_t num;
	enum proto_id up;
};
static const struct link links_inet[] = { { 2, PROTO_IP }, { 10, PROTO_IP6 }, { 0, PROTO_NONE } };
static const struct link links_eth[] = { { ETH_IP, PROTO_IP },	   { ETH_ARP, PROTO_ARP },
					 { ETH_IP6, PROTO_IP6 },   { ETH_VLAN, PROTO_VLAN },
					 { ETH_QINQ, PROTO_VLAN }, { 0, PROTO_NONE } };
static const struct link links_gre[] = { { ETH_IP, PROTO_IP },
					 { ETH_IP6, PROTO_IP6 },
					 { 0, PROTO_NONE } };
static const struct link links_net[] = {
	{ 1, PROTO_ICMP },    { 2, PROTO_IGMP },   { 58, PROTO_ICMP6 }, { 50, PROTO_ESP },
	{ 51, PROTO_AH },     { 108, PROTO_COMP }, { 17, PROTO_UDP },	{ 136, PROTO_UDPLITE },
	{ 6, PROTO_TCP },     { 33, PROTO_DCCP },  { 132, PROTO_SCTP }, { 47, PROTO_GRE },
	{ 47, PROTO_GRETAP }, { 0, PROTO_NONE }
};
static const struct link links_ipsec[] = { { 50, PROTO_ESP },	   { 51, PROTO_AH },
					   { 108, PROTO_COMP },	   { 17, PROTO_UDP },
					   { 136, PROTO_UDPLITE }, { 6, PROTO_TCP },
					   { 33, PROTO_DCCP },	   { 132, PROTO_SCTP },
					   { 0, PROTO_NONE } };
static const struct link links_udp[] = { { 0, PROTO_VXLAN },
					 { 0, PROTO_GENEVE },
					 { 0, PROTO_NONE } };

static const struct link *links(const struct proto *p)
{
	switch (p->id) {
	case PROTO_INET:
		return links_inet;
	case PROTO_ETHER:
	case PROTO_VLAN:
	case PROTO_NETDEV:
		return links_eth;
	case PROTO_IP:
	case PROTO_IP6:
	case PROTO_INET_SERVICE:
		return links_net;
	case PROTO_AH:
	case PROTO_COMP:
		return links_ipsec;
	case PROTO_GRE:
		return links_gre;
	case PROTO_UDP:
		return links_udp;
	default:
		return NULL;
	}
}

const struct proto *proto_of(enum proto_id id)
{
	struct proto *p = &protos[id];

	BUG_ON(!id || id >= PROTO_COUNT);
	if (!p->fields) {
		size_t i = 0;

		while (i < ARRAY_SIZE(fields) && fields[i].proto != id)
			i++;
		p->fields = &fields[MIN(i, ARRAY_SIZE(fields) - 1)];
		while (i < ARRAY_SIZE(fields) && fields[i].proto == id)
			i++, p->n_fields++;
	}
	return p;
}

const struct proto *proto_by_name(const char *name)
{
	for (int i = 1; i < PROTO_COUNT; i++)
		if (!strcmp(protos[i].name, name))
			return proto_of(i);
	return NULL;
}

const struct field *proto_field(const struct proto *p, const char *name)
{
	for (uint32_t i = 0; i < p->n_fields; i++)
		if (!strcmp(p->fields[i].name, name))
			return &p->fields[i];
	return NULL;
}

const struct field *proto_key(const struct proto *p)
{
	for (uint32_t i = 0; i < p->n_fields; i++)
		if (p->fields[i].flags & FIELD_KEY)
			return &p->fields[i];
	return NULL;
}

const struct proto *proto_upper(const struct proto *p, uint32_t num)
{
	for (const struct link *l = links(p); l && l->up && p->id != PROTO_UDP; l++)
		if (l->num == num)
			return proto_of(l->up);
	return NULL;
}

int proto_num(const struct proto *p, const struct proto *up)
{
	for (const struct link *l = links(p); l && l->up; l++)
		if (l->up == up->id)
			return (int)l->num;
	return -1;
}

static const struct {
	enum exthdr_op op;
	struct ext_field f;
} ext_fields[] = {
#define E(op, hdr, kind, name, type, off, bits, udata)                                             \
	{ XH_##op, { hdr, name, kind, TYPE_##type, off, bits } },
#include "protoext.def"
#undef E
};

const struct ext_field *ext_find(enum exthdr_op op, const char *hdr, const char *field)
{
	for (size_t i = 0; i < ARRAY_SIZE(ext_fields); i++)
		if (ext_fields[i].op == op && !strcmp(ext_fields[i].f.hdr, hdr) &&
		    (!field || !strcmp(ext_fields[i].f.name, field)))
			return &ext_fields[i].f;
	return NULL;
}

const struct ext_field *ext_nth(enum exthdr_op op, uint8_t kind, uint32_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(ext_fields); i++)
		if (ext_fields[i].op == op && ext_fields[i].f.kind == kind && !n--)
			return &ext_fields[i].f;
	return NULL;
}

bool tcpopt_kind(const char *name, uint8_t *kind)
{
	const struct ext_field *f = ext_find(XH_TCPOPT, name, NULL);
	u128 v;

	if (f)
		*kind = f->kind;
	else if (parse_u128(name, &v) && v <= 255)
		*kind = (uint8_t)v;
	else
		return false;
	return true;
}
