// SPDX-License-Identifier: GPL-2.0-or-later
/* The hinge's small helpers: look-ups by name, names of numbers, registers read and written. */
#include <stddef.h>

#include "ruleset.h"

struct ruleset *ruleset_new(struct arena *a, struct diag *d)
{
	struct ruleset *rs = arena_new_of(a, struct ruleset);

	rs->arena = a;
	rs->diag = d;
	return rs;
}

struct table *ruleset_table(const struct ruleset *rs, enum family f, const char *name)
{
	vec_foreach(&rs->tables, t)
		if ((*t)->family == f && !strcmp((*t)->name, name))
			return *t;
	return NULL;
}

struct chain *table_chain(const struct table *t, const char *name)
{
	vec_foreach(&t->chains, c)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

struct set *table_set(const struct table *t, const char *name)
{
	vec_foreach(&t->sets, s)
		if (!strcmp((*s)->name, name))
			return *s;
	return NULL;
}

struct obj *table_obj(const struct table *t, const char *name, uint32_t type)
{
	vec_foreach(&t->objs, o)
		if ((*o)->type == type && !strcmp((*o)->name, name))
			return *o;
	return NULL;
}

bool table_uses_set(const struct table *t, const struct set *s)
{
	vec_foreach(&t->chains, c)
		vec_foreach(&(*c)->rules, r)
			vec_foreach(&(*r)->exprs, e)
				if (((*e)->kind == EX_LOOKUP && (*e)->lookup.set == s) ||
				    ((*e)->kind == EX_DYNSET && (*e)->dynset.set == s) ||
				    ((*e)->kind == EX_OBJREF && (*e)->objref.set == s))
					return true;
	return false;
}

bool table_uses_chain(const struct table *t, const struct chain *to)
{
	vec_foreach(&t->chains, c)
		vec_foreach(&(*c)->rules, r)
			vec_foreach(&(*r)->exprs, e)
				if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.dreg == REG_VERDICT &&
				    (*e)->imm.verdict.chain == to)
					return true;
	vec_foreach(&t->sets, s)
		vec_foreach(&(*s)->elems, e)
			if ((*e)->verdict.chain == to)
				return true;
	return false;
}

bool table_uses_obj(const struct table *t, const struct obj *o)
{
	vec_foreach(&t->chains, c)
		vec_foreach(&(*c)->rules, r)
			vec_foreach(&(*r)->exprs, e)
				if ((*e)->kind == EX_OBJREF && (*e)->objref.obj == o)
					return true;
	vec_foreach(&t->sets, s)
		vec_foreach(&(*s)->elems, e)
			if ((*e)->obj == o)
				return true;
	return false;
}

const char *family_name(enum family f)
{
	switch (f) {
	case FAM_INET:
		return "inet";
	case FAM_IP:
		return "ip";
	case FAM_ARP:
		return "arp";
	case FAM_NETDEV:
		return "netdev";
	case FAM_BRIDGE:
		return "bridge";
	case FAM_IP6:
		return "ip6";
	}
	BUG("family %d", f);
}

const char *hook_name(enum family f, enum hooknum h)
{
	static const char *const inet[] = { "prerouting", "input",	 "forward",
					    "output",	  "postrouting", "ingress" };
	static const char *const arp[] = { "input", "output", "forward" };
	static const char *const netdev[] = { "ingress", "egress" };

	if (f == FAM_ARP && h < ARRAY_SIZE(arp))
		return arp[h];
	if (f == FAM_NETDEV && h < ARRAY_SIZE(netdev))
		return netdev[h];
	BUG_ON(f == FAM_ARP || f == FAM_NETDEV || h >= ARRAY_SIZE(inet));
	return inet[h];
}

const char *expr_kind_name(enum expr_kind k)
{
	static const char *const names[] = {
#define X(kind, name) [EX_##kind] = name,
#include "exprkind.def"
#undef X
	};

	BUG_ON(k >= EX_COUNT);
	return names[k];
}

bool data_eq(const struct data *a, const struct data *b)
{
	return a->len == b->len && !memcmp(a->b, b->b, a->len);
}

bool data_is_zero(const struct data *d)
{
	for (uint32_t i = 0; i < d->len; i++)
		if (d->b[i])
			return false;
	return true;
}

struct data data_bytes(const void *p, size_t n)
{
	struct data d = { .len = (uint8_t)n };

	BUG_ON(n > DATA_MAX);
	memcpy(d.b, p, n);
	return d;
}

struct rule rule_kernel(const struct rule *r)
{
	struct rule k = *r;

	if (!r->xt.n)
		return k;
	k.exprs.v = r->xt.v;
	k.exprs.n = k.exprs.cap = r->xt.n;
	memset(&k.xt, 0, sizeof(k.xt));
	return k;
}

const struct chain *rule_bound_chain(const struct rule *r)
{
	vec_foreach(&r->exprs, e)
		if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.verdict.chain &&
		    (*e)->imm.verdict.chain->is_bound)
			return (*e)->imm.verdict.chain;
	return NULL;
}

struct expr *rule_nth(const struct rule *r, enum expr_kind kind, uint32_t n)
{
	vec_foreach(&r->exprs, e)
		if ((*e)->kind == kind && !n--)
			return *e;
	return NULL;
}

uint32_t rule_number(const struct rule *r, uint32_t i)
{
	uint32_t n = 0;

	for (uint32_t j = 0; j < i; j++)
		n += r->exprs.v[j]->kind == r->exprs.v[i]->kind;
	return n;
}

/*
 * Millions of them may be there, and most are small: an expression ends behind what its kind has.
 */
size_t expr_size(enum expr_kind k)
{
#define SIZE(kind, member) [EX_##kind] = sizeof(((struct expr *)NULL)->member)
	static const uint16_t sizes[EX_COUNT] = {
		SIZE(CMP, cmp),	      SIZE(BYTEORDER, byteorder), SIZE(PAYLOAD, payload),
		SIZE(EXTHDR, exthdr), SIZE(META, meta),		  SIZE(CT, ct),
		SIZE(RT, rt),	      SIZE(SOCKET, socket),	  SIZE(FIB, fib),
		SIZE(LOOKUP, lookup), SIZE(COUNTER, counter),	  SIZE(LIMIT, limit),
		SIZE(LOG, log),	      SIZE(REJECT, reject),	  SIZE(NAT, nat),
		SIZE(IMMEDIATE, imm), SIZE(DYNSET, dynset),
	};
#undef SIZE

	return sizes[k] ? offsetof(struct expr, imm) + sizes[k] : sizeof(struct expr);
}

struct expr *expr_new(struct arena *a, enum expr_kind k, struct loc loc)
{
	struct expr *e = arena_alloc(a, expr_size(k));

	e->kind = k;
	e->loc = loc;
	switch (k) {
	case EX_BITWISE:
		e->bitwise.sreg2 = REG_NONE;
		break;
	case EX_PAYLOAD:
		e->payload.sreg = e->payload.dreg = REG_NONE;
		break;
	case EX_EXTHDR:
		e->exthdr.sreg = e->exthdr.dreg = REG_NONE;
		break;
	case EX_META:
		e->meta.sreg = e->meta.dreg = REG_NONE;
		break;
	case EX_CT:
		e->ct.sreg = e->ct.dreg = REG_NONE;
		break;
	case EX_LOOKUP:
		e->lookup.dreg = REG_NONE;
		break;
	case EX_DYNSET:
		e->dynset.sreg_data = REG_NONE;
		break;
	case EX_HASH:
		e->hash.sreg = REG_NONE;
		break;
	case EX_OBJREF:
		e->objref.sreg = REG_NONE;
		break;
	case EX_NAT:
	case EX_MASQ:
	case EX_REDIR:
		e->nat.reg_addr_min = e->nat.reg_addr_max = REG_NONE;
		e->nat.reg_proto_min = e->nat.reg_proto_max = REG_NONE;
		break;
	case EX_QUEUE:
		e->queue.sreg_qnum = REG_NONE;
		break;
	case EX_TPROXY:
		e->tproxy.reg_addr = e->tproxy.reg_port = REG_NONE;
		break;
	case EX_DUP:
	case EX_FWD:
		e->dup.sreg_addr = e->dup.sreg_dev = REG_NONE;
		break;
	default:
		break;
	}
	return e;
}

const char *verdict_text(struct arena *a, const struct verdict *v)
{
	switch (v->code) {
	case V_DROP:
		return "drop";
	case V_ACCEPT:
		return "accept";
	case V_CONTINUE:
		return "continue";
	case V_RETURN:
		return "return";
	case V_JUMP:
		return arena_printf(a, "jump %s", v->chain->name);
	case V_GOTO:
		return arena_printf(a, "goto %s", v->chain->name);
	default:
		return "queue";
	}
}
