// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nlread: a raw stream of nlmsgs (a dump of the kernel's, or a transaction that nft would send) into a ruleset.
 *
 * Two passes: the first makes what has a name (tables, chains, sets, objects, flow tables), the second fills in what refers
 * to names (elements, rules). So the order of a dump's parts does not matter.
 */
#include "frontend.h"
#include "nl.h"
#include "xt.h"

#define NLMSG_HDR      16u
#define NFGENMSG       4u
#define SUBSYS_NFT     10u
#define NLM_F_REPLACE_ 0x100u
#define NLM_F_APPEND_  0x800u

enum { NLMSG_NOOP_ = 1, NLMSG_ERROR_, NLMSG_DONE_, BATCH_BEGIN = 16, BATCH_END };

/* NFT_MSG_* */
enum msg {
	MSG_NEWTABLE = 0,
	MSG_DELTABLE = 2,
	MSG_NEWCHAIN = 3,
	MSG_NEWRULE = 6,
	MSG_NEWSET = 9,
	MSG_NEWSETELEM = 12,
	MSG_NEWGEN = 15,
	MSG_NEWOBJ = 18,
	MSG_NEWFLOWTABLE = 22,
	MSG_DESTROYTABLE = 26,
};

/* One message, cut out of the stream. */
struct nl_msg {
	enum msg type;
	uint16_t flags;
	uint8_t family;
	struct nl_attr attrs;
};

/* -- names ----------------------------------------------------------------------------------------------------- */

struct chain *nl_find_chain(struct nl_reader *rd, struct nl_attr name, struct nl_attr id)
{
	const char *n = nl_str(rd, name);
	struct chain *c = NULL;

	if (id.p && id.len == 4)
		c = strmap_get(&rd->cur->chain_ids, (const char *)id.p, 4);
	if (!c && n)
		c = strmap_get(&rd->cur->chains, n, strlen(n));
	if (!c && n)
		nl_error(rd, "chain %s does not exist", n);
	else if (!c)
		nl_bad(rd, "name of a chain");
	return c;
}

static bool family_ok(uint8_t f)
{
	return f == FAM_INET || f == FAM_IP || f == FAM_ARP || f == FAM_NETDEV || f == FAM_BRIDGE ||
	       f == FAM_IP6;
}

static struct nl_table *find_table(struct nl_reader *rd, uint8_t family, const char *name)
{
	vec_foreach(&rd->tables, t)
		if ((*t)->t->family == (enum family)family && !strcmp((*t)->t->name, name))
			return *t;
	return NULL;
}

/* Makes the table of a message (its attribute `table`) the current one. */
static bool enter_table(struct nl_reader *rd, const struct nl_msg *m, struct nl_attr name)
{
	const char *n = nl_str(rd, name);

	if (!n)
		return nl_bad(rd, "name of a table");
	if (rd->cur && rd->cur->t->family == (enum family)m->family && !strcmp(rd->cur->t->name, n))
		return true;
	rd->cur = find_table(rd, m->family, n);
	return rd->cur || nl_error(rd, "table %s %s does not exist",
				   family_ok(m->family) ? family_name(m->family) : "?", n);
}

/* -- tables and chains ----------------------------------------------------------------------------------------- */

static bool read_table(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[8];
	struct nl_table *nt;
	const char *name;
	uint32_t flags = 0;

	if (!nl_table_of(rd, m->attrs, tb, 8, "table"))
		return false;
	name = nl_str(rd, tb[1]);
	if (!name || !family_ok(m->family))
		return nl_bad(rd, "table");
	rd->loc.name = arena_printf(rd->arena, "table %s %s", family_name(m->family), name);
	if (tb[2].p && !nl_u32(tb[2], &flags))
		return nl_bad(rd, "flags of a table");
	if (flags & ~7u)
		return nl_error(rd, "table %s has flags 0x%x that this version does not know", name,
				flags & ~7u);
	nt = find_table(rd, m->family, name);
	if (nt) {
		nt->t->flags |= flags;
		return rd->batch || nl_error(rd, "table %s is there twice", name);
	}
	nt = arena_new_of(rd->arena, struct nl_table);
	nt->t = arena_new_of(rd->arena, struct table);
	*nt->t = (struct table){ .rs = rd->rs, .family = m->family, .name = name, .flags = flags };
	nt->t->loc = rd->loc;
	nt->t->comment = nl_udata_str(rd, tb[6], 0);
	if (tb[4].p && !nl_u64(tb[4], &nt->t->handle))
		return nl_bad(rd, "handle of a table");
	strmap_init(&nt->chains, rd->arena);
	strmap_init(&nt->sets, rd->arena);
	strmap_init(&nt->set_ids, rd->arena);
	strmap_init(&nt->chain_ids, rd->arena);
	*vec_push(rd->arena, &rd->tables) = nt;
	*vec_push(rd->arena, &rd->rs->tables) = nt->t;
	return true;
}

static bool hook_exists(enum family f, uint32_t hook)
{
	return hook < (f == FAM_INET ? 6u : f == FAM_NETDEV ? 2u : f == FAM_ARP ? 3u : 5u);
}

static bool read_hook(struct nl_reader *rd, struct chain *c, struct nl_attr in)
{
	struct nl_attr tb[5];
	uint32_t hook, prio;
	const char *dev;

	if (!nl_table_of(rd, in, tb, 5, "hook of a chain"))
		return false;
	if (!nl_u32(tb[1], &hook) || !nl_u32(tb[2], &prio))
		return nl_bad(rd, "hook of a chain");
	if (!hook_exists(c->table->family, hook))
		return nl_error(rd, "hook %u does not exist in family %s", hook,
				family_name(c->table->family));
	c->is_base = true;
	c->hook = hook;
	c->prio = (int32_t)prio;
	c->prio_loc = c->loc;
	if (tb[3].p) {
		dev = nl_str(rd, tb[3]);
		if (!dev)
			return nl_bad(rd, "device of a chain");
		if (!tb[4].p)
			*vec_push(rd->arena, &c->devices) = dev;
	}
	if (tb[4].p && !nl_devices(rd, tb[4], &c->devices.v, &c->devices.n))
		return false;
	c->devices.cap = c->devices.n;
	return true;
}

static bool read_chain_base(struct nl_reader *rd, struct chain *c, struct nl_attr *tb)
{
	struct nl_attr ctr[4];
	uint32_t policy = V_ACCEPT;

	if (!tb[4].p)
		return true;
	c->type = tb[7].p ? nl_str(rd, tb[7]) : "filter";
	if (!c->type)
		return nl_bad(rd, "type of a chain");
	if (strcmp(c->type, "filter") && strcmp(c->type, "nat") && strcmp(c->type, "route"))
		return nl_error(rd, "chain type %s is not known", c->type);
	c->policy = V_ACCEPT;
	if (tb[5].p) {
		if (!nl_u32(tb[5], &policy) || policy > V_ACCEPT)
			return nl_bad(rd, "policy of a chain");
		c->policy = (enum verdict_code)policy;
		c->has_policy = true;
	}
	if (tb[8].p) {
		if (!nl_table_of(rd, tb[8], ctr, 4, "counters of a chain") ||
		    !nl_u64(ctr[1], &c->counter_bytes) || !nl_u64(ctr[2], &c->counter_packets))
			return nl_bad(rd, "counters of a chain");
		c->has_counter = true;
	}
	return read_hook(rd, c, tb[4]);
}

static bool read_chain(struct nl_reader *rd, const struct nl_msg *m)
{
	struct chain *c = arena_new_of(rd->arena, struct chain);
	struct nl_attr tb[13];
	uint32_t flags = 0;
	void **slot;

	if (!nl_table_of(rd, m->attrs, tb, 13, "chain") || !enter_table(rd, m, tb[1]))
		return false;
	c->table = rd->cur->t;
	if (tb[10].p && (!nl_u32(tb[10], &flags) || flags & ~7u))
		return nl_error(rd, "a chain has flags that this version does not know");
	c->name = nl_str(rd, tb[3]);
	c->is_bound = flags & 4;
	if (!c->name && c->is_bound)
		c->name = arena_printf(rd->arena, "__chain%u", c->table->chains.n);
	if (!c->name)
		return nl_bad(rd, "name of a chain");
	rd->loc.name = arena_printf(rd->arena, "%s/%s", c->table->name, c->name);
	c->loc = rd->loc;
	c->hw_offload = flags & 2;
	c->comment = nl_udata_str(rd, tb[12], 0);
	if (tb[2].p && !nl_u64(tb[2], &c->handle))
		return nl_bad(rd, "handle of a chain");
	if (!read_chain_base(rd, c, tb))
		return false;
	slot = strmap_put(&rd->cur->chains, c->name, strlen(c->name));
	if (*slot && !rd->batch)
		return nl_error(rd, "chain %s is there twice", c->name);
	if (*slot) { /* named again in a transaction: only its policy may change */
		struct chain *old = *slot;

		if (tb[5].p)
			old->policy = c->policy, old->has_policy = true;
		c = old;
	} else {
		c->index = c->table->chains.n;
		*vec_push(rd->arena, &c->table->chains) = c;
		*slot = c;
	}
	if (tb[11].p && tb[11].len == 4)
		*strmap_put(&rd->cur->chain_ids, (const char *)tb[11].p, 4) = c;
	return true;
}

/* -- rules ----------------------------------------------------------------------------------------------------- */

/*
 * The kernel echoes that a port is given, nft writes it unless address and port come out of one map: dropped there, so that dump
 * and text of one rule are the same.
 */
static void drop_nat_default(const struct rule *r)
{
	const struct expr *map = NULL;

	vec_foreach(&r->exprs, ep) {
		struct expr *e = *ep;

		if (e->kind == EX_LOOKUP && e->lookup.dreg != REG_NONE &&
		    e->lookup.dreg != REG_VERDICT)
			map = e;
		if (e->kind == EX_NAT && map && e->nat.reg_addr_min == map->lookup.dreg &&
		    e->nat.reg_proto_min != REG_NONE &&
		    (uint32_t)REG_WORD(e->nat.reg_proto_min) <
			    REG_WORD(map->lookup.dreg) + map->lookup.set->data_len / 4u)
			e->nat.flags &= ~2u; /* NF_NAT_RANGE_PROTO_SPECIFIED */
	}
}

static bool read_rule_exprs(struct nl_reader *rd, struct rule *r, struct nl_attr list)
{
	struct expr **v = NULL;
	uint32_t n = 0;

	if (!nl_exprs(rd, list, &v, &n))
		return false;
	for (uint32_t i = 0; i < n; i++)
		*vec_push(rd->arena, &r->exprs) = v[i];
	drop_nat_default(r);
	return true;
}

static void place_rule(struct nl_reader *rd, struct rule *r, bool append)
{
	struct chain *c = r->chain;

	*vec_push(rd->arena, &c->rules) = r;
	if (!append) {
		memmove(c->rules.v + 1, c->rules.v, (c->rules.n - 1) * sizeof(r));
		c->rules.v[0] = r;
	}
}

static bool read_rule(struct nl_reader *rd, const struct nl_msg *m)
{
	struct rule *r = arena_new_of(rd->arena, struct rule);
	struct nl_attr tb[12];

	if (!nl_table_of(rd, m->attrs, tb, 12, "rule") || !enter_table(rd, m, tb[1]))
		return false;
	r->chain = nl_find_chain(rd, tb[2], tb[11]);
	if (!r->chain)
		return false;
	if (tb[3].p && !nl_u64(tb[3], &r->handle))
		return nl_bad(rd, "handle of a rule");
	rd->loc.name = r->handle ? arena_printf(rd->arena, "%s/%s handle %llu", rd->cur->t->name,
						r->chain->name, (unsigned long long)r->handle)
				 : arena_printf(rd->arena, "%s/%s rule %u", rd->cur->t->name,
						r->chain->name, r->chain->rules.n + 1);
	r->loc = rd->loc;
	r->comment = nl_udata_str(rd, tb[7], 0);
	if (rd->batch && (m->flags & NLM_F_REPLACE_ || tb[6].p || tb[10].p))
		return nl_error(rd, "a transaction that places a rule beside another is not read: "
				    "load it and dump the result");
	if (!read_rule_exprs(rd, r, tb[4]))
		return false;
	place_rule(rd, r, !rd->batch || m->flags & NLM_F_APPEND_);
	return true;
}

/* -- messages -------------------------------------------------------------------------------------------------- */

/* `delete table` and `flush ruleset` at the head of a transaction reach the kernel's ruleset, not this one. */
static bool read_del_table(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[8];
	const char *name;

	if (!nl_table_of(rd, m->attrs, tb, 8, "table"))
		return false;
	if (!tb[1].p) {
		rd->rs->tables.n = rd->tables.n = 0;
		rd->rs->preamble.n = 0;
		*vec_push(rd->arena, &rd->rs->preamble) =
			m->family
				? arena_printf(rd->arena, "flush ruleset %s",
					       family_ok(m->family) ? family_name(m->family) : "?")
				: "flush ruleset";
		return !m->family || family_ok(m->family) || nl_bad(rd, "family");
	}
	name = nl_str(rd, tb[1]);
	if (!name || !family_ok(m->family))
		return nl_bad(rd, "table");
	if (find_table(rd, m->family, name))
		return nl_error(rd, "a transaction that deletes its own table is not read: load it "
				    "and dump the result");
	*vec_push(rd->arena, &rd->rs->preamble) =
		arena_printf(rd->arena, "%s table %s %s",
			     m->type == MSG_DESTROYTABLE ? "destroy" : "delete",
			     family_name(m->family), name);
	return true;
}

static bool in_table(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[24];

	return nl_walk(m->attrs, tb, 24) == NL_BAD ? nl_bad(rd, "attributes")
						   : enter_table(rd, m, tb[1]);
}

/* First pass: names. */
static bool declare(struct nl_reader *rd, const struct nl_msg *m)
{
	switch (m->type) {
	case MSG_NEWTABLE:
		return read_table(rd, m);
	case MSG_DELTABLE:
	case MSG_DESTROYTABLE:
		return read_del_table(rd, m);
	case MSG_NEWCHAIN:
		return read_chain(rd, m);
	case MSG_NEWSET:
		return in_table(rd, m) && nl_set(rd, m->attrs);
	case MSG_NEWOBJ:
		return in_table(rd, m) && nl_obj(rd, m->attrs);
	case MSG_NEWFLOWTABLE:
		return in_table(rd, m) && nl_flowtable(rd, m->attrs);
	case MSG_NEWRULE:
	case MSG_NEWSETELEM:
	case MSG_NEWGEN:
		return true;
	default:
		return nl_error(rd,
				"nf_tables message %d changes what a kernel holds; only dumps and "
				"transactions that add are read",
				m->type);
	}
}

/* Second pass: what refers to names. */
static bool fill(struct nl_reader *rd, const struct nl_msg *m)
{
	switch (m->type) {
	case MSG_NEWRULE:
		return read_rule(rd, m);
	case MSG_NEWSETELEM:
		return in_table(rd, m) && nl_set_elems(rd, m->attrs);
	default:
		return true;
	}
}

/*
 * Cuts the next message out of the stream. *m is only set for nf_tables messages (then *nft is true). Returns false at the
 * end and, with an error reported, on a malformed stream.
 */
static bool next_msg(struct nl_reader *rd, struct nl_attr *in, struct nl_msg *m, bool *nft)
{
	uint32_t len, step;
	uint16_t type;
	int32_t err;

	*nft = false;
	if (!in->len)
		return false;
	if (in->len < NLMSG_HDR)
		return nl_bad(rd, "the stream ends in the middle of a header");
	memcpy(&len, in->p, 4);
	memcpy(&type, in->p + 4, 2);
	memcpy(&m->flags, in->p + 6, 2);
	if (len < NLMSG_HDR || len > in->len)
		return nl_bad(rd, "length of a message");
	if (type >> 8 == SUBSYS_NFT) {
		if (len < NLMSG_HDR + NFGENMSG)
			return nl_bad(rd, "length of a message");
		*nft = true;
		m->type = type & 0xff;
		m->family = in->p[NLMSG_HDR];
		m->attrs.p = in->p + NLMSG_HDR + NFGENMSG;
		m->attrs.len = len - NLMSG_HDR - NFGENMSG;
	} else if (type == BATCH_BEGIN) {
		rd->batch = true;
	} else if (type == NLMSG_ERROR_) {
		if (len < NLMSG_HDR + 4)
			return nl_bad(rd, "length of a message");
		memcpy(&err, in->p + NLMSG_HDR, 4);
		if (err)
			return nl_error(rd, "the stream holds an error of the kernel's: %s",
					strerror(-err));
	} else if (type != BATCH_END && type != NLMSG_NOOP_ && type != NLMSG_DONE_) {
		return nl_error(rd, "message of type 0x%04x is not of nf_tables", type);
	}
	step = MIN(ALIGN_UP(len, 4), in->len);
	in->p += step;
	in->len -= step;
	return true;
}

/* The last message that empties the whole ruleset: what stands before it has no effect. */
static struct nl_attr skip_flushed(struct nl_reader *rd, struct nl_attr in)
{
	struct nl_attr from = in, at = in;
	struct nl_msg m;
	bool nft;

	while (next_msg(rd, &at, &m, &nft)) {
		if (nft && (m.type == MSG_DELTABLE || m.type == MSG_DESTROYTABLE) && !m.attrs.len &&
		    !m.family)
			from = in;
		in = at;
	}
	return from;
}

static bool run_pass(struct nl_reader *rd, struct nl_attr in,
		     bool (*fn)(struct nl_reader *, const struct nl_msg *))
{
	struct loc start = rd->loc;
	struct nl_msg m;
	bool nft, ok = true;

	rd->cur = NULL;
	while (next_msg(rd, &in, &m, &nft)) {
		rd->loc = start;
		if (nft && !fn(rd, &m))
			ok = false;
	}
	rd->loc = start;
	return ok && !in.len;
}

/* -- the whole ------------------------------------------------------------------------------------------------- */

static bool finish(struct nl_reader *rd)
{
	bool ok = true;

	vec_foreach(&rd->tables, nt) {
		rd->cur = *nt;
		vec_foreach(&(*nt)->t->sets, s)
			ok &= nl_set_finish(rd, *s);
	}
	ok = ok && ruleset_check_jumps(rd->rs);
	if (ok) {
		ruleset_number(rd->rs);
		xt_translate(rd->rs);
	}
	return ok;
}

struct ruleset *frontend_read_netlink(struct arena *a, struct diag *d, const char *name,
				      const void *buf, size_t len)
{
	struct nl_reader rd = { .arena = a, .diag = d, .loc.name = name };
	struct nl_attr in = { .p = buf, .len = (uint32_t)len };
	uint32_t errors = d->errors;

	if (len > UINT32_MAX) {
		diag_error(d, rd.loc, "a netlink stream of %zu bytes is too long", len);
		return NULL;
	}
	rd.rs = ruleset_new(a, d);
	rd.rs->from_netlink = true;
	if (!len)
		return rd.rs;
	in = skip_flushed(&rd, in);
	if (d->errors != errors || !run_pass(&rd, in, declare) || !run_pass(&rd, in, fill) ||
	    !finish(&rd))
		BUG_ON(d->errors == errors);
	return d->errors == errors ? rd.rs : NULL;
}
