// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nlread: a raw stream of nlmsgs (a dump of the kernel's, or a transaction that nft would send)
 * into a ruleset.
 *
 * Two passes: the first makes what has a name (tables, chains, sets, objects, flow tables), the
 * second fills in what refers to names (elements, rules). So the order of a dump's parts does not
 * matter.
 */
#include "frontend.h"
#include "nl.h"
#include "xt.h"

#define NLMSG_HDR  16u
#define NFGENMSG   4u
#define SUBSYS_NFT 10u

enum { NLMSG_NOOP_ = 1, NLMSG_ERROR_, NLMSG_DONE_, BATCH_BEGIN = 16, BATCH_END };

/* -- names ------------------------------------------------------------------------------------- */

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

bool nl_family_ok(uint8_t f)
{
	return f == FAM_INET || f == FAM_IP || f == FAM_ARP || f == FAM_NETDEV || f == FAM_BRIDGE ||
	       f == FAM_IP6;
}

struct nl_table *nl_find_table(struct nl_reader *rd, uint8_t family, const char *name)
{
	vec_foreach(&rd->tables, t)
		if ((*t)->t->family == (enum family)family && !strcmp((*t)->t->name, name))
			return *t;
	return NULL;
}

bool nl_enter_table(struct nl_reader *rd, const struct nl_msg *m, struct nl_attr name)
{
	const char *n = nl_str(rd, name);

	if (!n)
		return nl_bad(rd, "name of a table");
	if (rd->cur && rd->cur->t->family == (enum family)m->family && !strcmp(rd->cur->t->name, n))
		return true;
	rd->cur = nl_find_table(rd, m->family, n);
	return rd->cur || nl_error(rd, "table %s %s does not exist",
				   nl_family_ok(m->family) ? family_name(m->family) : "?", n);
}

/* -- tables and chains ------------------------------------------------------------------------- */

static bool read_table(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[8];
	struct nl_table *nt;
	const char *name;
	uint32_t flags = 0;

	if (!nl_table_of(rd, m->attrs, tb, 8, "table"))
		return false;
	name = nl_name(rd, tb[1]);
	if (!name || !nl_family_ok(m->family))
		return nl_bad(rd, "table");
	rd->loc.name = arena_printf(rd->arena, "table %s %s", family_name(m->family), name);
	if (tb[2].p && !nl_u32(tb[2], &flags))
		return nl_bad(rd, "flags of a table");
	if (flags & ~7u)
		return nl_error(rd, "table %s has flags 0x%x that this version does not know", name,
				flags & ~7u);
	nt = nl_find_table(rd, m->family, name);
	if (nt) {
		if (!rd->batch || rd->excl)
			return nl_error(rd, "table %s is there twice", name);
		nt->t->flags = flags;
		return true;
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
	strmap_init(&nt->rule_ids, rd->arena);
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

/* Named again in a transaction: its policy may change, and devices come to it. */
static bool change_chain(struct nl_reader *rd, struct chain *old, const struct chain *new)
{
	if (!new->is_base)
		return true;
	if (!old->is_base || old->hook != new->hook || old->prio != new->prio ||
	    strcmp(old->type, new->type))
		return nl_error(rd, "chain %s exists with another hook", old->name);
	if (new->has_policy) {
		old->policy = new->policy;
		old->has_policy = true;
	}
	nl_add_devices(rd, &old->devices.v, &old->devices.n, new->devices.v, new->devices.n);
	old->devices.cap = old->devices.n;
	return true;
}

/* A message about a chain by its handle: gives it another name, or changes it. */
static bool rename_chain(struct nl_reader *rd, const struct chain *new)
{
	struct strmap *names = &rd->cur->chains;

	vec_foreach(&rd->cur->t->chains, it) {
		struct chain *c = *it;

		if (c->handle != new->handle)
			continue;
		if (!strcmp(c->name, new->name))
			return change_chain(rd, c, new);
		if (strmap_get(names, new->name, strlen(new->name)))
			return nl_error(rd, "chain %s exists already", new->name);
		*strmap_put(names, c->name, strlen(c->name)) = NULL;
		c->name = new->name;
		*strmap_put(names, c->name, strlen(c->name)) = c;
		return true;
	}
	return nl_error(rd, "chain with handle %llu does not exist",
			(unsigned long long)new->handle);
}

static bool read_chain(struct nl_reader *rd, const struct nl_msg *m)
{
	struct chain *c = arena_new_of(rd->arena, struct chain);
	struct nl_attr tb[13];
	uint32_t flags = 0;
	void **slot;

	if (!nl_table_of(rd, m->attrs, tb, 13, "chain") || !nl_enter_table(rd, m, tb[1]))
		return false;
	c->table = rd->cur->t;
	if (tb[10].p && (!nl_u32(tb[10], &flags) || flags & ~7u))
		return nl_error(rd, "a chain has flags that this version does not know");
	c->name = nl_name(rd, tb[3]);
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
	if (rd->batch && c->handle)
		return rename_chain(rd, c);
	slot = strmap_put(&rd->cur->chains, c->name, strlen(c->name));
	if (*slot && (!rd->batch || rd->excl))
		return nl_error(rd, "chain %s is there twice", c->name);
	if (*slot) {
		if (!change_chain(rd, *slot, c))
			return false;
		c = *slot;
	} else {
		c->index = c->table->chains.n;
		*vec_push(rd->arena, &c->table->chains) = c;
		*slot = c;
	}
	if (tb[11].p && tb[11].len == 4)
		*strmap_put(&rd->cur->chain_ids, (const char *)tb[11].p, 4) = c;
	return true;
}

/* -- rules ------------------------------------------------------------------------------------- */

/*
 * The kernel echoes that a port is given, nft writes it unless address and port come out of one
 * map: dropped there, so that dump and text of one rule are the same.
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

/* Older nft compares twice where today's asks for a range, which is the same. */
static bool join_range(struct expr *from, const struct expr *to)
{
	struct data lo;

	if (from->kind != EX_CMP || to->kind != EX_CMP || from->cmp.op != CMP_GTE ||
	    to->cmp.op != CMP_LTE || from->cmp.sreg != to->cmp.sreg ||
	    from->cmp.data.len != to->cmp.data.len ||
	    memcmp(from->cmp.data.b, to->cmp.data.b, to->cmp.data.len) > 0)
		return false;
	lo = from->cmp.data;
	from->kind = EX_RANGE;
	from->range.sreg = to->cmp.sreg;
	from->range.op = RANGE_EQ;
	from->range.from = lo;
	from->range.to = to->cmp.data;
	return true;
}

static bool read_rule_exprs(struct nl_reader *rd, struct rule *r, struct nl_attr list)
{
	struct expr **v = NULL;
	uint32_t n = 0;

	if (!nl_exprs(rd, list, &v, &n))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!i || !join_range(r->exprs.v[r->exprs.n - 1], v[i]))
			*vec_push(rd->arena, &r->exprs) = v[i];
	drop_nat_default(r);
	return true;
}

/* Puts a rule into its chain at an index; replace: in place of the one there. */
static void place_rule(struct nl_reader *rd, struct rule *r, uint32_t at, bool replace)
{
	struct chain *c = r->chain;

	if (!replace) {
		vec_push(rd->arena, &c->rules);
		memmove(c->rules.v + at + 1, c->rules.v + at, (c->rules.n - 1 - at) * sizeof(r));
	}
	c->rules.v[at] = r;
}

/* In a transaction: where the rule goes, and under which number later messages name it. */
static bool place_in_batch(struct nl_reader *rd, const struct nl_msg *m, struct rule *r,
			   struct nl_attr *tb)
{
	bool replace = m->flags & NLF_REPLACE;
	struct rule *old = NULL;
	uint32_t at = 0;

	if (replace) {
		old = nl_rule_by_handle(r->chain, r->handle);
		if (!old)
			return nl_error(rd, "the rule to replace does not exist");
		while (r->chain->rules.v[at] != old)
			at++;
		r->handle = 0; /* the kernel gives it another */
	} else if (!nl_batch_place(rd, m, r->chain, tb[6], tb[10], &at)) {
		return false;
	}
	place_rule(rd, r, at, replace);
	if (tb[9].p && tb[9].len == 4)
		*strmap_put(&rd->cur->rule_ids, (const char *)tb[9].p, 4) = r;
	return true;
}

bool nl_rule(struct nl_reader *rd, const struct nl_msg *m)
{
	struct rule *r = arena_new_of(rd->arena, struct rule);
	struct nl_attr tb[12];

	if (!nl_table_of(rd, m->attrs, tb, 12, "rule") || !nl_enter_table(rd, m, tb[1]))
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
	if (!read_rule_exprs(rd, r, tb[4]))
		return false;
	if (rd->batch)
		return place_in_batch(rd, m, r, tb);
	place_rule(rd, r, r->chain->rules.n, false);
	return true;
}

/* -- messages ---------------------------------------------------------------------------------- */

static bool in_table(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[24];

	return nl_walk(m->attrs, tb, 24) == NL_BAD ? nl_bad(rd, "attributes")
						   : nl_enter_table(rd, m, tb[1]);
}

/* What has a name: in a dump, the first pass. */
static bool declare(struct nl_reader *rd, const struct nl_msg *m)
{
	switch (m->type) {
	case MSG_NEWTABLE:
		return read_table(rd, m);
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
		return nl_error(rd, "nf_tables message %d stands outside a transaction", m->type);
	}
}

/* What refers to names: in a dump, the second pass. */
static bool fill(struct nl_reader *rd, const struct nl_msg *m)
{
	switch (m->type) {
	case MSG_NEWRULE:
		return nl_rule(rd, m);
	case MSG_NEWSETELEM:
		return in_table(rd, m) && nl_set_elems(rd, m->attrs);
	default:
		return true;
	}
}

/* A message of a transaction acts at once, on what those before it left. */
static bool act(struct nl_reader *rd, const struct nl_msg *m)
{
	rd->excl = m->flags & NLF_EXCL;
	switch (m->type) {
	case MSG_NEWTABLE:
	case MSG_NEWCHAIN:
	case MSG_NEWSET:
	case MSG_NEWOBJ:
	case MSG_NEWFLOWTABLE:
		return declare(rd, m);
	case MSG_NEWRULE:
	case MSG_NEWSETELEM:
		return fill(rd, m);
	case MSG_NEWGEN:
		return true;
	default:
		return nl_batch_delete(rd, m);
	}
}

/*
 * Cuts the next message out of the stream. *m is only set for nf_tables messages (then *nft is
 * true). Returns false at the end and, with an error reported, on a malformed stream.
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
	} else if (type == BATCH_END) {
		rd->batch = false;
	} else if (type != NLMSG_NOOP_ && type != NLMSG_DONE_) {
		return nl_error(rd, "message of type 0x%04x is not of nf_tables", type);
	}
	step = MIN(ALIGN_UP(len, 4), in->len);
	in->p += step;
	in->len -= step;
	return true;
}

/* One pass over the messages outside of transactions, or over those inside. */
static bool run_pass(struct nl_reader *rd, struct nl_attr in, bool batch,
		     bool (*fn)(struct nl_reader *, const struct nl_msg *))
{
	struct loc start = rd->loc;
	struct nl_msg m;
	bool nft, ok = true;

	rd->cur = NULL;
	rd->batch = false;
	while (next_msg(rd, &in, &m, &nft)) {
		rd->loc = start;
		if (nft && rd->batch == batch && !fn(rd, &m))
			ok = false;
		if (batch && !ok)
			break;
	}
	rd->loc = start;
	return ok && !in.len;
}

/* -- the whole --------------------------------------------------------------------------------- */

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
	if (!run_pass(&rd, in, false, declare) || !run_pass(&rd, in, false, fill) ||
	    !run_pass(&rd, in, true, act) || !finish(&rd))
		BUG_ON(d->errors == errors);
	return d->errors == errors ? rd.rs : NULL;
}
