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

/* By nft's datatype number; what is not here is in network order or has none. */
static const enum byte_order type_orders[64] = {
	[2] = ORDER_HOST,  /* nfproto */
	[3] = ORDER_HOST,  /* bitmask */
	[9] = ORDER_BIG,   /* etheraddr */
	[18] = ORDER_HOST, /* time */
	[19] = ORDER_HOST, /* mark */
	[20] = ORDER_HOST, /* iface_index */
	[21] = ORDER_HOST, /* iface_type */
	[22] = ORDER_HOST, /* realm */
	[23] = ORDER_HOST, /* classid */
	[24] = ORDER_HOST, /* uid */
	[25] = ORDER_HOST, /* gid */
	[26] = ORDER_HOST, /* ct_state */
	[27] = ORDER_HOST, /* ct_dir */
	[28] = ORDER_HOST, /* ct_status */
	[30] = ORDER_HOST, /* ct_label */
	[31] = ORDER_HOST, /* pkt_type */
	[35] = ORDER_HOST, /* devgroup */
	[38] = ORDER_HOST, /* fib_addrtype */
	[39] = ORDER_HOST, /* boolean */
	[40] = ORDER_HOST, /* ct_event */
	[43] = ORDER_HOST, /* time */
	[44] = ORDER_HOST, /* hour */
	[45] = ORDER_HOST, /* day */
	[46] = ORDER_HOST, /* cgroupsv2 */
};

enum byte_order datatype_order(uint32_t type)
{
	enum byte_order o = type_orders[type & 63];

	return type & 63 ? (o ? o : ORDER_BIG) : ORDER_NONE;
}
