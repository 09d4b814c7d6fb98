// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys of the loading expressions and the datatypes of sets: names, byte orders, lengths. */
#include "ruleset.h"

struct key_row {
	enum expr_kind kind;
	uint32_t num;
	struct reg_key key;
};

static const struct key_row key_rows[] = {
#define K(expr, num, id, name, order, len) { EX_##expr, num, { name, ORDER_##order, len } },
#include "regkeys.def"
#undef K
};

const struct reg_key *reg_key(enum expr_kind k, uint32_t key)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_rows); i++)
		if (key_rows[i].kind == k && key_rows[i].num == key)
			return &key_rows[i].key;
	return NULL;
}

/* nft's datatypes by number; len 0: not fixed by the type. */
static const struct {
	const char *name;
	enum byte_order order;
	uint8_t len;
} datatypes[64] = {
	[1] = { "verdict", ORDER_NONE, 0 },	 [2] = { "nf_proto", ORDER_HOST, 1 },
	[3] = { "bitmask", ORDER_HOST, 0 },	 [4] = { "integer", ORDER_BIG, 0 },
	[5] = { "string", ORDER_BIG, 0 },	 [6] = { "ll_addr", ORDER_BIG, 0 },
	[7] = { "ipv4_addr", ORDER_BIG, 4 },	 [8] = { "ipv6_addr", ORDER_BIG, 16 },
	[9] = { "ether_addr", ORDER_BIG, 6 },	 [10] = { "ether_type", ORDER_BIG, 2 },
	[11] = { "arp_op", ORDER_BIG, 2 },	 [12] = { "inet_proto", ORDER_BIG, 1 },
	[13] = { "inet_service", ORDER_BIG, 2 }, [14] = { "icmp_type", ORDER_BIG, 1 },
	[15] = { "tcp_flag", ORDER_BIG, 1 },	 [16] = { "dccp_pkttype", ORDER_BIG, 1 },
	[17] = { "mh_type", ORDER_BIG, 1 },	 [18] = { "time", ORDER_HOST, 8 },
	[19] = { "mark", ORDER_HOST, 4 },	 [20] = { "iface_index", ORDER_HOST, 4 },
	[21] = { "iface_type", ORDER_HOST, 2 },	 [22] = { "realm", ORDER_HOST, 4 },
	[23] = { "classid", ORDER_HOST, 4 },	 [24] = { "uid", ORDER_HOST, 4 },
	[25] = { "gid", ORDER_HOST, 4 },	 [26] = { "ct_state", ORDER_HOST, 4 },
	[27] = { "ct_dir", ORDER_HOST, 1 },	 [28] = { "ct_status", ORDER_HOST, 4 },
	[29] = { "icmpv6_type", ORDER_BIG, 1 },	 [30] = { "ct_label", ORDER_HOST, 16 },
	[31] = { "pkt_type", ORDER_HOST, 1 },	 [32] = { "icmp_code", ORDER_BIG, 1 },
	[33] = { "icmpv6_code", ORDER_BIG, 1 },	 [34] = { "icmpx_code", ORDER_BIG, 1 },
	[35] = { "devgroup", ORDER_HOST, 4 },	 [36] = { "dscp", ORDER_BIG, 1 },
	[37] = { "ecn", ORDER_BIG, 1 },		 [38] = { "fib_addrtype", ORDER_HOST, 4 },
	[39] = { "boolean", ORDER_HOST, 1 },	 [40] = { "ct_event", ORDER_HOST, 4 },
	[41] = { "ifname", ORDER_BIG, 16 },	 [42] = { "igmp_type", ORDER_BIG, 1 },
	[43] = { "time", ORDER_HOST, 8 },	 [44] = { "hour", ORDER_HOST, 4 },
	[45] = { "day", ORDER_HOST, 1 },	 [46] = { "cgroupsv2", ORDER_HOST, 8 },
};

enum byte_order datatype_order(uint32_t type)
{
	return datatypes[type & 63].order;
}

enum byte_order set_key_order(const struct set *s)
{
	return s->key_order ? s->key_order : datatype_order(s->key_type);
}

enum byte_order set_data_order(const struct set *s)
{
	return s->data_order ? s->data_order : datatype_order(s->data_type);
}

const char *datatype_name(uint32_t type)
{
	return type < ARRAY_SIZE(datatypes) ? datatypes[type].name : NULL;
}

unsigned int datatype_len(uint32_t type)
{
	return type < ARRAY_SIZE(datatypes) ? datatypes[type].len : 0;
}
