// SPDX-License-Identifier: GPL-2.0-or-later
/* nlwrite: messages, tables, chains and rules of a netlink batch. See nlwrite.h. */
#include <endian.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "nlwrite.h"

#define NESTED 0x8000u

/* -- bytes ------------------------------------------------------------------------------------- */

static void pad(struct nlw *w)
{
	static const char zero[4];

	sb_add(&w->out, zero, ALIGN_UP(w->out.n, 4) - w->out.n);
}

static size_t message(struct nlw *w, uint16_t type, uint16_t flags, uint8_t family, uint16_t res)
{
	struct nlmsghdr h = { .nlmsg_type = type,
			      .nlmsg_flags = NLM_F_REQUEST | flags,
			      .nlmsg_seq = w->seq++ };
	struct nfgenmsg g = { .nfgen_family = family, .res_id = htobe16(res) };
	size_t at = w->out.n;

	sb_add(&w->out, (const char *)&h, sizeof(h));
	sb_add(&w->out, (const char *)&g, sizeof(g));
	return at;
}

void nlw_say(struct nlw *w, const char *what)
{
	while (w->what.n < w->seq)
		*vec_push(w->arena, &w->what) = NULL;
	*vec_push(w->arena, &w->what) = what;
}

const char *nlw_what(const struct nlw *w, uint32_t seq)
{
	return seq < w->what.n ? w->what.v[seq] : NULL;
}

size_t nlw_msg(struct nlw *w, uint16_t type, uint16_t flags, uint8_t family)
{
	return message(w, NFNL_SUBSYS_NFTABLES << 8 | type, flags, family, 0);
}

void nlw_msg_end(struct nlw *w, size_t at)
{
	uint32_t len = (uint32_t)(w->out.n - at);

	memcpy(w->out.s + at, &len, 4);
}

void nlw_put(struct nlw *w, uint16_t type, const void *p, size_t n)
{
	uint16_t head[2] = { (uint16_t)(n + 4), type };

	BUG_ON(n + 4 > UINT16_MAX);
	sb_add(&w->out, (const char *)head, 4);
	sb_add(&w->out, p, n);
	pad(w);
}

size_t nlw_nest(struct nlw *w, uint16_t type)
{
	size_t at = w->out.n;

	nlw_put(w, type | NESTED, "", 0);
	return at;
}

void nlw_nest_end(struct nlw *w, size_t at)
{
	uint16_t len = (uint16_t)(w->out.n - at);

	BUG_ON(w->out.n - at > UINT16_MAX);
	memcpy(w->out.s + at, &len, 2);
}

void nlw_u32(struct nlw *w, uint16_t type, uint32_t v)
{
	v = htobe32(v);
	nlw_put(w, type, &v, 4);
}

void nlw_u64(struct nlw *w, uint16_t type, uint64_t v)
{
	v = htobe64(v);
	nlw_put(w, type, &v, 8);
}

void nlw_str(struct nlw *w, uint16_t type, const char *s)
{
	nlw_put(w, type, s, strlen(s) + 1);
}

void nlw_comment(struct nlw *w, uint16_t type, uint8_t kind, const char *s)
{
	size_t n = strlen(s) + 1;
	char *b;

	if (n > 255)
		return;
	b = arena_alloc(w->arena, n + 2);
	b[0] = (char)kind;
	b[1] = (char)n;
	memcpy(b + 2, s, n);
	nlw_put(w, type, b, n + 2);
}

uint32_t nlw_id(struct nlw *w, const void *what)
{
	void **slot = strmap_put(&w->ids, (const char *)&what, sizeof(what));

	if (!*slot)
		*slot = (void *)(uintptr_t)++w->last_id;
	return (uint32_t)(uintptr_t)*slot;
}

/* -- the batch --------------------------------------------------------------------------------- */

void nlw_begin(struct nlw *w, struct arena *a, struct diag *d)
{
	*w = (struct nlw){ .arena = a, .diag = d, .seq = 1 };
	sb_init(&w->out, a);
	strmap_init(&w->ids, a);
	nlw_msg_end(w, message(w, NFNL_MSG_BATCH_BEGIN, 0, 0, NFNL_SUBSYS_NFTABLES));
}

void nlw_end(struct nlw *w, bool commit)
{
	if (commit)
		nlw_msg_end(w, message(w, NFNL_MSG_BATCH_END, 0, 0, NFNL_SUBSYS_NFTABLES));
}

void nlw_table_cmd(struct nlw *w, enum nlw_table what, enum family f, const char *name)
{
	uint16_t flags = what == NLW_ADD || what == NLW_SLEEP || what == NLW_WAKE ? NLM_F_CREATE
			 : what == NLW_CREATE ? NLM_F_CREATE | NLM_F_EXCL
					      : 0;
	size_t at;

	nlw_say(w, arena_printf(w->arena, "table %s %s", family_name(f), name));
	at = nlw_msg(w, what == NLW_DELETE ? NFT_MSG_DELTABLE : NFT_MSG_NEWTABLE, flags,
		     (uint8_t)f);

	nlw_str(w, NFTA_TABLE_NAME, name);
	if (what == NLW_SLEEP || what == NLW_WAKE)
		nlw_u32(w, NFTA_TABLE_FLAGS, what == NLW_SLEEP ? NFT_TABLE_F_DORMANT : 0);
	nlw_msg_end(w, at);
}

void nlw_flush(struct nlw *w, uint8_t family)
{
	nlw_msg_end(w, nlw_msg(w, NFT_MSG_DELTABLE, 0, family));
}

void nlw_plain_chain(struct nlw *w, enum family f, const char *table, const char *name)
{
	size_t at = nlw_msg(w, NFT_MSG_NEWCHAIN, NLM_F_CREATE, (uint8_t)f);

	nlw_str(w, NFTA_CHAIN_TABLE, table);
	nlw_str(w, NFTA_CHAIN_NAME, name);
	nlw_msg_end(w, at);
}

/* -- tables and chains ------------------------------------------------------------------------- */

static bool cannot(struct nlw *w, struct loc loc, const char *what, const char *name)
{
	diag_error(w->diag, loc,
		   "%s %s cannot be loaded beside what nft has no words for, or is too old for",
		   what, name);
	return false;
}

static bool put_table(struct nlw *w, const struct table *t)
{
	size_t at;

	if (t->flags & 2)
		return cannot(w, t->loc, "the owned table", t->name);
	at = nlw_msg(w, NFT_MSG_NEWTABLE, NLM_F_CREATE, (uint8_t)t->family);
	nlw_str(w, NFTA_TABLE_NAME, t->name);
	nlw_u32(w, NFTA_TABLE_FLAGS, t->flags);
	if (t->comment)
		nlw_comment(w, NFTA_TABLE_USERDATA, 0, t->comment);
	nlw_msg_end(w, at);
	return true;
}

static void put_device(struct nlw *w, const char *name)
{
	size_t n = strlen(name);

	if (n && name[n - 1] == '*') /* a prefix: without its NUL */
		nlw_put(w, NFTA_DEVICE_NAME, name, n - 1);
	else
		nlw_str(w, NFTA_DEVICE_NAME, name);
}

static void put_hook(struct nlw *w, const struct chain *c)
{
	size_t at = nlw_nest(w, NFTA_CHAIN_HOOK), in;

	nlw_u32(w, NFTA_HOOK_HOOKNUM, c->hook);
	nlw_u32(w, NFTA_HOOK_PRIORITY, (uint32_t)c->prio);
	if (c->devices.n == 1) {
		nlw_str(w, NFTA_HOOK_DEV, c->devices.v[0]);
	} else if (c->devices.n) {
		in = nlw_nest(w, NFTA_HOOK_DEVS);
		vec_foreach(&c->devices, d)
			put_device(w, *d);
		nlw_nest_end(w, in);
	}
	nlw_nest_end(w, at);
}

static void put_chain(struct nlw *w, const struct chain *c)
{
	uint32_t flags = (c->hw_offload ? NFT_CHAIN_HW_OFFLOAD : 0) |
			 (c->is_bound ? NFT_CHAIN_BINDING : 0);
	size_t at, in;

	nlw_say(w, arena_printf(w->arena, "chain %s", c->name));
	at = nlw_msg(w, NFT_MSG_NEWCHAIN, NLM_F_CREATE, (uint8_t)c->table->family);

	nlw_str(w, NFTA_CHAIN_TABLE, c->table->name);
	if (c->is_bound)
		nlw_u32(w, NFTA_CHAIN_ID, nlw_id(w, c));
	else
		nlw_str(w, NFTA_CHAIN_NAME, c->name);
	if (flags)
		nlw_u32(w, NFTA_CHAIN_FLAGS, flags);
	if (c->is_base) {
		nlw_str(w, NFTA_CHAIN_TYPE, c->type);
		put_hook(w, c);
		nlw_u32(w, NFTA_CHAIN_POLICY, c->has_policy ? (uint32_t)c->policy : V_ACCEPT);
	}
	if (c->has_counter) {
		in = nlw_nest(w, NFTA_CHAIN_COUNTERS);
		nlw_u64(w, NFTA_COUNTER_BYTES, c->counter_bytes);
		nlw_u64(w, NFTA_COUNTER_PACKETS, c->counter_packets);
		nlw_nest_end(w, in);
	}
	if (c->comment)
		nlw_comment(w, NFTA_CHAIN_USERDATA, 0, c->comment);
	nlw_msg_end(w, at);
}

static bool put_obj(struct nlw *w, const struct obj *o)
{
	size_t at, in;

	if (!o->expr)
		return cannot(w, o->loc, "object", o->name);
	at = nlw_msg(w, NFT_MSG_NEWOBJ, NLM_F_CREATE, (uint8_t)o->table->family);
	nlw_str(w, NFTA_OBJ_TABLE, o->table->name);
	nlw_str(w, NFTA_OBJ_NAME, o->name);
	nlw_u32(w, NFTA_OBJ_TYPE, o->type);
	in = nlw_nest(w, NFTA_OBJ_DATA);
	if (!nlw_expr_data(w, o->expr))
		return false;
	nlw_nest_end(w, in);
	if (o->comment)
		nlw_comment(w, NFTA_OBJ_USERDATA, 0, o->comment);
	nlw_msg_end(w, at);
	return true;
}

static void put_flowtable(struct nlw *w, const struct flowtable *ft)
{
	size_t at = nlw_msg(w, NFT_MSG_NEWFLOWTABLE, NLM_F_CREATE, (uint8_t)ft->table->family), in,
	       devs;

	nlw_str(w, NFTA_FLOWTABLE_TABLE, ft->table->name);
	nlw_str(w, NFTA_FLOWTABLE_NAME, ft->name);
	in = nlw_nest(w, NFTA_FLOWTABLE_HOOK);
	nlw_u32(w, NFTA_FLOWTABLE_HOOK_NUM, 0);
	nlw_u32(w, NFTA_FLOWTABLE_HOOK_PRIORITY, (uint32_t)ft->prio);
	if (ft->devices.n) {
		devs = nlw_nest(w, NFTA_FLOWTABLE_HOOK_DEVS);
		vec_foreach(&ft->devices, d)
			put_device(w, *d);
		nlw_nest_end(w, devs);
	}
	nlw_nest_end(w, in);
	nlw_u32(w, NFTA_FLOWTABLE_FLAGS, (ft->flags & 1) | (ft->has_counter ? 2 : 0));
	nlw_msg_end(w, at);
}

/* -- rules ------------------------------------------------------------------------------------- */

/* The register that holds what extensions call the rule's protocol; REG_NONE: none does. */
static uint8_t proto_reg(const struct expr *e, enum family f)
{
	const uint32_t key = f == FAM_BRIDGE ? KEY_META_PROTOCOL : KEY_META_L4PROTO;

	if (e->kind == EX_META && e->meta.key == key)
		return e->meta.dreg;
	if (e->kind != EX_PAYLOAD)
		return REG_NONE;
	if (f == FAM_BRIDGE)
		return e->payload.base == PB_LL && e->payload.off == 12 && e->payload.len == 2
			       ? e->payload.dreg
			       : REG_NONE;
	return e->payload.base == PB_NETWORK && e->payload.len == 1 &&
			       ((f == FAM_IP && e->payload.off == 9) ||
				(f == FAM_IP6 && e->payload.off == 6))
		       ? e->payload.dreg
		       : REG_NONE;
}

/*
 * The protocol that the rule's own comparisons ask for, without which extensions that need one
 * refuse the rule: the transport protocol, of bridges the Ethernet type as memory holds it. 0:
 * none.
 */
static uint32_t asked_proto(const struct rule *r)
{
	enum family f = r->chain->table->family;
	uint8_t reg = REG_NONE;
	uint16_t type;

	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;

		if (e->kind == EX_CMP && e->cmp.op == CMP_EQ && e->cmp.sreg == reg &&
		    e->cmp.data.len == (f == FAM_BRIDGE ? 2 : 1)) {
			memcpy(&type, e->cmp.data.b, sizeof(type));
			return f == FAM_BRIDGE ? type : e->cmp.data.b[0];
		}
		if (expr_regs(e).writes)
			reg = proto_reg(e, f);
	}
	return 0;
}

static void put_compat(struct nlw *w, const struct rule *r)
{
	uint32_t proto = asked_proto(r);
	bool xt = false;
	size_t at;

	vec_foreach(&r->exprs, e)
		xt |= (*e)->kind == EX_MATCH || (*e)->kind == EX_TARGET;
	if (!xt || !proto)
		return;
	at = nlw_nest(w, NFTA_RULE_COMPAT);
	nlw_u32(w, NFTA_RULE_COMPAT_PROTO, proto);
	nlw_u32(w, NFTA_RULE_COMPAT_FLAGS, 0);
	nlw_nest_end(w, at);
}

static bool put_rules(struct nlw *w, const struct chain *c);

/*
 * Sets and chains without a name that the rule holds; a chain takes no more rules once a rule jumps
 * to it.
 */
static bool put_anonymous(struct nlw *w, const struct rule *r)
{
	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;
		const struct set *s = e->kind == EX_LOOKUP   ? e->lookup.set
				      : e->kind == EX_OBJREF ? e->objref.set
				      : e->kind == EX_DYNSET ? e->dynset.set
							     : NULL;

		if (s && s->flags & SET_ANONYMOUS && !nlw_set(w, s))
			return false;
		if (e->kind == EX_IMMEDIATE && e->imm.verdict.chain &&
		    e->imm.verdict.chain->is_bound) {
			put_chain(w, e->imm.verdict.chain);
			if (!put_rules(w, e->imm.verdict.chain))
				return false;
		}
	}
	return true;
}

static bool put_rule(struct nlw *w, const struct rule *rule)
{
	struct rule own = rule_kernel(rule), *r = &own;
	size_t at, in;

	if (!put_anonymous(w, r))
		return false;
	nlw_say(w, arena_printf(w->arena, "rule %u of chain %s", r->index, r->chain->name));
	at = nlw_msg(w, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
		     (uint8_t)r->chain->table->family);
	nlw_str(w, NFTA_RULE_TABLE, r->chain->table->name);
	if (r->chain->is_bound)
		nlw_u32(w, NFTA_RULE_CHAIN_ID, nlw_id(w, r->chain));
	else
		nlw_str(w, NFTA_RULE_CHAIN, r->chain->name);
	in = nlw_nest(w, NFTA_RULE_EXPRESSIONS);
	vec_foreach(&r->exprs, e)
		if (!nlw_expr(w, NFTA_LIST_ELEM, *e))
			return false;
	nlw_nest_end(w, in);
	put_compat(w, r);
	if (r->comment)
		nlw_comment(w, NFTA_RULE_USERDATA, 0, r->comment);
	nlw_msg_end(w, at);
	return true;
}

static bool put_rules(struct nlw *w, const struct chain *c)
{
	vec_foreach(&c->rules, r)
		if (!put_rule(w, *r))
			return false;
	return true;
}

static bool put_contents(struct nlw *w, const struct table *t)
{
	vec_foreach(&t->chains, c)
		if (!(*c)->is_bound)
			put_chain(w, *c);
	vec_foreach(&t->objs, o)
		if (!put_obj(w, *o))
			return false;
	vec_foreach(&t->flowtables, f)
		put_flowtable(w, *f);
	vec_foreach(&t->sets, s)
		if (!((*s)->flags & SET_ANONYMOUS) && !nlw_set(w, *s))
			return false;
	vec_foreach(&t->chains, c)
		if (!(*c)->is_bound && !put_rules(w, *c))
			return false;
	return true;
}

bool nlw_ruleset(struct nlw *w, const struct ruleset *rs)
{
	vec_foreach(&rs->tables, t)
		if (!put_table(w, *t) || !put_contents(w, *t))
			return false;
	return true;
}
