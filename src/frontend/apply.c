// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of a script, applied to a ruleset in order. Within a table's block chains come first, then objects, sets,
 * elements, and rules last, as nft sends them: a rule may name what is written below it.
 */
#include <limits.h>
#include <stdlib.h>

#include "sema.h"

static enum family fam_of(const char *w)
{
	static const enum family all[] = { FAM_IP,  FAM_IP6,	FAM_INET,
					   FAM_ARP, FAM_BRIDGE, FAM_NETDEV };

	for (size_t i = 0; w && i < ARRAY_SIZE(all); i++)
		if (!strcmp(family_name(all[i]), w))
			return all[i];
	return FAM_IP;
}

static struct tabinfo *tab_find(struct sema *s, enum family f, const char *name)
{
	for (struct tabinfo *t = s->tabs; t; t = t->next)
		if (t->table->family == f && !strcmp(t->table->name, name))
			return t;
	return NULL;
}

static struct tabinfo *tab_make(struct sema *s, enum family f, const char *name, struct loc loc)
{
	struct tabinfo *i = arena_new_of(s->arena, struct tabinfo);
	struct table *t = arena_new_of(s->arena, struct table);

	t->rs = s->rs;
	t->family = f;
	t->name = name;
	t->loc = loc;
	*vec_push(s->arena, &s->rs->tables) = t;
	i->table = t;
	i->next = s->tabs;
	s->tabs = i;
	strmap_init(&i->chains, s->arena);
	strmap_init(&i->sets, s->arena);
	strmap_init(&i->objs, s->arena);
	return i;
}

static bool use_table(struct sema *s, const struct ast_cmd *c)
{
	s->tab = tab_find(s, fam_of(c->ref.family), c->ref.table);
	if (!s->tab)
		diag_error(s->diag, c->ref.table_loc.line ? c->ref.table_loc : c->loc,
			   "table %s %s does not exist%s", family_name(fam_of(c->ref.family)),
			   c->ref.table, near_table(s, fam_of(c->ref.family), c->ref.table));
	return s->tab != NULL;
}

/* -- chains ----------------------------------------------------------------------------------------------------- */

struct prio_row {
	const char *name;
	int32_t prio;
	int hook, hook2; /* -1: any */
};
static const struct prio_row prios[] = { { "raw", -300, -1, -1 },
					 { "mangle", -150, -1, -1 },
					 { "dstnat", -100, HOOK_PREROUTING, HOOK_OUTPUT },
					 { "filter", 0, -1, -1 },
					 { "security", 50, -1, -1 },
					 { "srcnat", 100, HOOK_POSTROUTING, HOOK_INPUT },
					 { NULL, 0, 0, 0 } };
static const struct prio_row bridge_prios[] = {
	{ "dstnat", -300, HOOK_PREROUTING, HOOK_PREROUTING },
	{ "filter", -200, -1, -1 },
	{ "out", 100, HOOK_OUTPUT, HOOK_OUTPUT },
	{ "srcnat", 300, HOOK_POSTROUTING, HOOK_POSTROUTING },
	{ NULL, 0, 0, 0 }
};

static bool named_prio(enum family f, enum hooknum h, const char *name, int32_t *prio)
{
	bool few = f == FAM_ARP || f == FAM_NETDEV;

	for (const struct prio_row *r = f == FAM_BRIDGE ? bridge_prios : prios; r->name; r++)
		if (!strcmp(r->name, name) &&
		    (r->hook < 0 || r->hook == (int)h || r->hook2 == (int)h) &&
		    (!few || !strcmp(name, "filter"))) {
			*prio = r->prio;
			return true;
		}
	return false;
}

/* "filter", "filter + 10", "-5": also what a variable may hold. */
static bool prio_text(enum family f, enum hooknum h, const char *text, int64_t *prio)
{
	char word[32], op;
	int32_t base;
	long off;
	char *end;

	*prio = strtol(text, &end, 0);
	if (end != text && !*end)
		return true;
	if (sscanf(text, "%31[a-z] %c %ld", word, &op, &off) == 3 && (op == '+' || op == '-') &&
	    labs(off) < 1L << 31) {
		if (!named_prio(f, h, word, &base))
			return false;
		*prio = base + (op == '+' ? off : -off);
		return true;
	}
	if (!named_prio(f, h, text, &base))
		return false;
	*prio = base;
	return true;
}

static bool eval_prio(struct sema *s, const struct ast_prio *p, enum family f, enum hooknum h,
		      int32_t *out)
{
	struct ast_expr *e = p->expr ? ast_strip(p->expr) : NULL;
	int64_t v = 0;

	if (e && e->kind == AX_NUMBER)
		v = (int64_t)e->num;
	else if (e && ((e->kind != AX_SYMBOL && e->kind != AX_STRING) ||
		       !prio_text(f, h, e->text, &v))) {
		diag_error(s->diag, p->loc, "priority %s is not possible in hook %s of family %s",
			   e->kind == AX_SYMBOL || e->kind == AX_STRING ? e->text : "",
			   hook_name(f, h), family_name(f));
		return false;
	}
	v += p->offset;
	if (v < INT32_MIN || v > INT32_MAX) {
		diag_error(s->diag, p->loc, "priority exceeds 32 bits");
		return false;
	}
	*out = (int32_t)v;
	return true;
}

static bool find_hook(enum family f, const char *name, enum hooknum *h)
{
	static const int n[] = { [FAM_INET] = 6,   [FAM_IP] = 5,     [FAM_IP6] = 5,
				 [FAM_BRIDGE] = 5, [FAM_NETDEV] = 2, [FAM_ARP] = 3 };

	for (int i = 0; i < n[f]; i++)
		if (!strcmp(hook_name(f, (enum hooknum)i), name)) {
			*h = (enum hooknum)i;
			return true;
		}
	return false;
}

/* Which chain types nf_tables has, where. */
static bool type_fits(enum family f, const char *type, enum hooknum h)
{
	if (!strcmp(type, "filter"))
		return true;
	if (f != FAM_IP && f != FAM_IP6 && f != FAM_INET)
		return false;
	if (!strcmp(type, "nat"))
		return h != HOOK_FORWARD && h != HOOK_INGRESS;
	return !strcmp(type, "route") && h == HOOK_OUTPUT;
}

static bool add_device(struct sema *s, struct ast_expr *e, uint32_t depth, void *vec)
{
	struct {
		const char **v;
		uint32_t n, cap;
	} *d = vec;
	const char *name;

	e = ast_strip(e);
	if (e->kind == AX_LIST || e->kind == AX_SET) {
		if (depth > 8) {
			diag_error(s->diag, e->loc, "devices are nested too deeply");
			return false;
		}
		if (e->kind == AX_LIST) {
			vec_foreach(&e->list->items, it)
				if (!add_device(s, *it, depth + 1, vec))
					return false;
		} else {
			vec_foreach(&e->set->elems, it)
				if (!add_device(s, it->key, depth + 1, vec))
					return false;
		}
		return true;
	}
	if (e->kind != AX_SYMBOL && e->kind != AX_STRING && e->kind != AX_GLOB &&
	    e->kind != AX_NUMBER) {
		diag_error(s->diag, e->loc, "expected the name of a device");
		return false;
	}
	name = e->kind == AX_GLOB ? arena_printf(s->arena, "%s*", e->text) : e->text;
	if (!*name || strlen(name) > 15 + (e->kind == AX_GLOB)) {
		diag_error(s->diag, e->loc, "device name \"%s\" is not of 1 to 15 characters",
			   name);
		return false;
	}
	for (uint32_t i = 0; i < d->n; i++)
		if (!strcmp(d->v[i], name))
			return true;
	if (d->n == d->cap)
		d->v = vec_grow(s->arena, d->v, d->n, &d->cap, sizeof(*d->v));
	d->v[d->n++] = name;
	return true;
}

static bool eval_base(struct sema *s, struct chain *c, const struct ast_chain *a)
{
	enum family f = s->tab->table->family;
	struct ast_expr *policy = a->policy ? ast_strip(a->policy) : NULL;
	bool dev;

	c->type = a->type;
	if (strcmp(a->type, "filter") && strcmp(a->type, "nat") && strcmp(a->type, "route")) {
		diag_error(s->diag, a->type_loc,
			   "unknown chain type %s: filter, nat and route are there", a->type);
		return false;
	}
	if (!find_hook(f, a->hook, &c->hook)) {
		diag_error(s->diag, a->hook_loc, "the %s family does not support hook %s",
			   family_name(f), a->hook);
		return false;
	}
	if (!type_fits(f, a->type, c->hook)) {
		diag_error(s->diag, a->type_loc,
			   "chain type %s is not possible in hook %s of family %s", a->type,
			   a->hook, family_name(f));
		return false;
	}
	if (!eval_prio(s, &a->prio, f, c->hook, &c->prio))
		return false;
	c->prio_loc = a->prio.loc;
	if (!strcmp(a->type, "nat") && c->prio <= -200) {
		diag_error(s->diag, a->prio.loc, "a chain of type nat needs a priority above -200");
		return false;
	}
	dev = f == FAM_NETDEV || (f == FAM_INET && c->hook == HOOK_INGRESS);
	if (a->devices && !dev) {
		diag_error(s->diag, a->devices->loc, "this chain type cannot be bound to device");
		return false;
	}
	if (a->devices && !add_device(s, a->devices, 0, &c->devices))
		return false;
	if (dev && !a->devices && f == FAM_NETDEV && false)
		return false;
	if (policy) {
		if (policy->kind != AX_SYMBOL && policy->kind != AX_STRING &&
		    (policy->kind != AX_VERDICT || policy->verdict.target)) {
			diag_error(s->diag, policy->loc, "a policy is accept or drop");
			return false;
		}
		c->has_policy = true;
		if (policy->kind == AX_VERDICT)
			c->policy = policy->verdict.code == AV_DROP ? V_DROP : V_ACCEPT;
		else if (strcmp(policy->text, "accept") && strcmp(policy->text, "drop")) {
			diag_error(s->diag, policy->loc,
				   "invalid chain policy %s: accept and drop are there",
				   policy->text);
			return false;
		} else
			c->policy = *policy->text == 'd' ? V_DROP : V_ACCEPT;
		if (c->policy == V_DROP && !strcmp(a->type, "nat") && false)
			return false;
	} else if (!c->has_policy) {
		c->policy = V_ACCEPT;
	}
	c->is_base = true;
	c->hw_offload = a->hw_offload;
	return true;
}

static struct chain *chain_new(struct sema *s, const char *name, struct loc loc)
{
	struct chain *c = arena_new_of(s->arena, struct chain);

	c->table = s->tab->table;
	c->name = name;
	c->loc = loc;
	c->index = s->tab->table->chains.n;
	*vec_push(s->arena, &s->tab->table->chains) = c;
	*strmap_put(&s->tab->chains, name, strlen(name)) = c;
	return c;
}

static struct chain *chain_get(const struct sema *s, const char *name)
{
	return strmap_get(&s->tab->chains, name, strlen(name));
}

static bool declare_chain(struct sema *s, const struct ast_chain *a)
{
	struct chain *c = chain_get(s, a->name), old;

	if (!c)
		c = chain_new(s, a->name, a->name_loc);
	if (a->comment)
		c->comment = a->comment;
	if (a->is_base) {
		old = *c;
		if (!eval_base(s, c, a))
			return false;
		if (old.is_base &&
		    (strcmp(old.type, c->type) || old.hook != c->hook || old.prio != c->prio)) {
			diag_error2(s->diag, a->name_loc, c->loc,
				    "base chain \"%s\" exists already with another type, hook or "
				    "priority",
				    a->name);
			return false;
		}
	} else if (a->policy && !c->is_base) {
		diag_error(s->diag, a->policy->loc,
			   "chain \"%s\" is no base chain: it has no policy", a->name);
		return false;
	} else if (a->policy) {
		struct ast_expr *p = ast_strip(a->policy);

		c->has_policy = true;
		c->policy = p->kind == AX_VERDICT ? (p->verdict.code == AV_DROP ? V_DROP : V_ACCEPT)
			    : p->text && *p->text == 'd' ? V_DROP
							 : V_ACCEPT;
	}
	return true;
}

static void renumber(struct chain *c)
{
	for (uint32_t i = 0; i < c->rules.n; i++)
		c->rules.v[i]->index = i;
}

/* Puts a rule at a place of its chain; at > n: the end. */
static bool put_rule(struct sema *s, struct chain *c, struct ast_rule *a, uint32_t at)
{
	struct rule *r = arena_new_of(s->arena, struct rule);
	bool ok;

	s->chain = c;
	r->chain = c;
	s->tmp_users++;
	ok = ev_rule(s, a, r);
	s->tmp_users--;
	tmp_reset(s);
	if (!ok)
		return false;
	r->text = ast_rule_text(s->arena, s->diag, a);
	*vec_push(s->arena, &c->rules) = r;
	if (at >= c->rules.n - 1) {
		r->index = c->rules.n - 1;
		return true;
	}
	memmove(c->rules.v + at + 1, c->rules.v + at, (c->rules.n - 1 - at) * sizeof(*c->rules.v));
	c->rules.v[at] = r;
	renumber(c);
	return true;
}

static bool chain_rules(struct sema *s, struct ast_chain *a)
{
	struct chain *c = chain_get(s, a->name);
	bool ok = true;

	vec_foreach(&a->rules, it) {
		ok &= put_rule(s, c, *it, UINT32_MAX);
		if (s->diag->errors >= ERRORS_COUNTED)
			return false;
	}
	return ok;
}

/* The rules of `jump { }` are read where it stands, in a context of their own. */
struct chain *bound_chain(struct sema *s, struct ast_chain *a)
{
	struct sema save = *s;
	struct chain *c;
	bool ok = true;

	if (++s->depth > 32) {
		diag_error(s->diag, a->loc, "chains are nested too deeply");
		return NULL;
	}
	c = chain_new(s, arena_printf(s->arena, "__chain%u", s->tab->n_anon_chains++), a->loc);
	c->is_bound = true;
	vec_foreach(&a->rules, it)
		ok &= put_rule(s, c, *it, UINT32_MAX);
	s->depth = save.depth;
	s->chain = save.chain;
	s->pctx = save.pctx;
	s->ipctx = save.ipctx;
	s->inner = save.inner;
	s->ctx = save.ctx;
	s->stmt_len = save.stmt_len;
	memcpy(&s->out, &save.out, sizeof(s->out));
	return ok ? c : NULL;
}

/* -- objects, flow tables ------------------------------------------------------------------------------------------ */

static const uint32_t obj_types[] = { [AO_COUNTER] = 1,	  [AO_QUOTA] = 2,      [AO_LIMIT] = 4,
				      [AO_CT_HELPER] = 3, [AO_CT_TIMEOUT] = 7, [AO_CT_EXPECT] = 9,
				      [AO_SECMARK] = 8,	  [AO_SYNPROXY] = 10,  [AO_TUNNEL] = 6 };

static bool obj_check_ct(struct sema *s, const struct ast_object *a)
{
	static const char *const tcp[] = { "syn_sent",	 "syn_recv", "established", "fin_wait",
					   "close_wait", "last_ack", "time_wait",   "close",
					   "syn_sent2",	 "retrans",  "unack" };
	static const char *const udp[] = { "unreplied", "replied" };
	enum family f = s->tab->table->family;
	bool is_tcp = a->ct.l4proto && !strcmp(a->ct.l4proto, "tcp");

	if (a->kind == AO_CT_EXPECT && (!a->ct.l4proto || (!a->ct.dport && !a->ct.dport_expr) ||
					!a->ct.timeout || !a->ct.size)) {
		diag_error(s->diag, a->loc,
			   "missing options: protocol, dport, timeout and size are needed");
		return false;
	}
	if (a->kind == AO_CT_HELPER && (!a->ct.helper || !a->ct.l4proto)) {
		diag_error(s->diag, a->loc, "missing options: type and protocol are needed");
		return false;
	}
	if (a->ct.l3proto && (f == FAM_IP || f == FAM_IP6) &&
	    strcmp(a->ct.l3proto, family_name(f))) {
		diag_error(s->diag, a->loc, "l3proto %s is not possible in family %s",
			   a->ct.l3proto, family_name(f));
		return false;
	}
	if (a->kind != AO_CT_TIMEOUT)
		return true;
	if (!a->ct.l4proto) {
		diag_error(s->diag, a->loc, "missing options: protocol is needed");
		return false;
	}
	vec_foreach(&a->ct.policy, p) {
		const char *const *w = is_tcp ? tcp : udp;
		size_t n = is_tcp ? ARRAY_SIZE(tcp) : ARRAY_SIZE(udp), i = 0;

		while (i < n && strcmp(w[i], p->state))
			i++;
		if (i == n) {
			diag_error(s->diag, p->loc, "invalid state \"%s\" for this protocol",
				   p->state);
			return false;
		}
	}
	return true;
}

static struct ast_stmt *obj_stmt(struct sema *s, const struct ast_object *a)
{
	struct ast_stmt *st = arena_new_of(s->arena, struct ast_stmt);

	st->loc = a->loc;
	switch (a->kind) {
	case AO_COUNTER:
		st->kind = AS_COUNTER;
		st->counter = a->counter;
		return st;
	case AO_QUOTA:
		st->kind = AS_QUOTA;
		st->quota = a->quota;
		return st;
	case AO_LIMIT:
		st->kind = AS_LIMIT;
		st->limit = arena_dup(s->arena, &a->limit, sizeof(a->limit));
		return st;
	default:
		return NULL;
	}
}

static bool declare_obj(struct sema *s, const struct ast_object *a, bool create)
{
	uint32_t type = obj_types[a->kind];
	char *key = arena_printf(s->arena, "%u %s", type, a->name);
	struct obj *o = strmap_get(&s->tab->objs, key, strlen(key));
	struct ast_stmt *st = obj_stmt(s, a);

	if (o && create) {
		diag_error2(s->diag, a->name_loc, o->loc, "object \"%s\" exists already", a->name);
		return false;
	}
	if (o)
		return true;
	if (!obj_check_ct(s, a))
		return false;
	o = arena_new_of(s->arena, struct obj);
	o->table = s->tab->table;
	o->name = a->name;
	o->loc = a->name_loc;
	o->type = type;
	o->comment = a->comment;
	if (a->body.line)
		o->body = ast_text(s->arena, s->diag, a->body);
	if (st && !(o->expr = stateful(s, st)))
		return false;
	if (a->kind == AO_SYNPROXY) {
		const struct ast_synproxy *p = &a->synproxy;

		o->expr = expr_new(s->arena, EX_SYNPROXY, a->loc);
		o->expr->synproxy.mss = p->mss;
		o->expr->synproxy.wscale = p->wscale;
		o->expr->synproxy.flags = (uint32_t)p->has_mss | (uint32_t)p->has_wscale << 1 |
					  (uint32_t)p->sack_perm << 2 | (uint32_t)p->timestamp << 3;
	}
	*vec_push(s->arena, &s->tab->table->objs) = o;
	*strmap_put(&s->tab->objs, key, strlen(key)) = o;
	return true;
}

static bool declare_flowtable(struct sema *s, const struct ast_flowtable *a)
{
	struct flowtable *f = NULL;

	vec_foreach(&s->tab->table->flowtables, it)
		if (!strcmp((*it)->name, a->name))
			f = *it;
	if (!f) {
		f = arena_new_of(s->arena, struct flowtable);
		f->table = s->tab->table;
		f->name = a->name;
		f->loc = a->name_loc;
		if (a->hook && strcmp(a->hook, "ingress")) {
			diag_error(s->diag, a->loc, "a flow table has hook ingress, not %s",
				   a->hook);
			return false;
		}
		if (!a->hook) {
			diag_error(s->diag, a->loc, "flow table \"%s\" has no hook and priority",
				   a->name);
			return false;
		}
		if (!eval_prio(s, &a->prio, FAM_NETDEV, 0, &f->prio))
			return false;
		*vec_push(s->arena, &s->tab->table->flowtables) = f;
	}
	f->has_counter |= a->has_counter;
	f->flags |= a->offload;
	return !a->devices || add_device(s, a->devices, 0, &f->devices);
}

/* -- commands ------------------------------------------------------------------------------------------------------- */

static bool apply_table_body(struct sema *s, struct ast_table *a)
{
	bool ok = true;

	vec_foreach(&a->chains, it)
		ok &= declare_chain(s, *it);
	vec_foreach(&a->objs, it)
		ok &= declare_obj(s, *it, false);
	vec_foreach(&a->flowtables, it)
		ok &= declare_flowtable(s, *it);
	vec_foreach(&a->sets, it)
		ok &= declare_set(s, *it);
	if (!ok)
		return false;
	vec_foreach(&a->sets, it)
		ok &= fill_declared(s, *it);
	vec_foreach(&a->chains, it)
		ok &= chain_rules(s, *it);
	return ok;
}

static bool apply_table(struct sema *s, struct ast_cmd *c)
{
	enum family f = fam_of(c->ref.family);

	s->tab = tab_find(s, f, c->ref.table);
	if (s->tab && c->op == ACMD_CREATE) {
		diag_error2(s->diag, c->ref.table_loc, s->tab->table->loc,
			    "table %s %s exists already", family_name(f), c->ref.table);
		return false;
	}
	if (!s->tab)
		s->tab = tab_make(s, f, c->ref.table, c->loc);
	if (!c->table)
		return true;
	s->tab->table->flags |= c->table->flags;
	if (c->table->comment)
		s->tab->table->comment = c->table->comment;
	return apply_table_body(s, c->table);
}

static bool apply_add_chain(struct sema *s, struct ast_cmd *c)
{
	struct chain *have = c->ref.name ? chain_get(s, c->ref.name) : NULL;

	if (have && c->op == ACMD_CREATE) {
		diag_error2(s->diag, c->ref.name_loc, have->loc, "chain \"%s\" exists already",
			    c->ref.name);
		return false;
	}
	if (!c->chain) {
		if (!have)
			chain_new(s, c->ref.name, c->ref.name_loc.line ? c->ref.name_loc : c->loc);
		return true;
	}
	if (!c->chain->name)
		c->chain->name = c->ref.name;
	return declare_chain(s, c->chain) && chain_rules(s, c->chain);
}

static struct chain *need_chain(struct sema *s, const struct ast_cmd *c)
{
	struct chain *ch = c->ref.name ? chain_get(s, c->ref.name) : NULL;

	if (!ch)
		diag_error(s->diag, c->ref.name_loc.line ? c->ref.name_loc : c->loc,
			   "chain \"%s\" does not exist in table %s %s%s",
			   c->ref.name ? c->ref.name : "", family_name(s->tab->table->family),
			   s->tab->table->name, near_chain(s, c->ref.name));
	return ch;
}

static bool need_place(struct sema *s, const struct ast_cmd *c, const struct chain *ch,
		       uint32_t *at)
{
	if (c->ref.has_handle || c->ref.has_position) {
		diag_error(s->diag, c->loc,
			   "a script compiled apart from a kernel has no rule handles: use index, "
			   "or write the rule in place");
		return false;
	}
	if (!c->ref.has_index)
		return true;
	if (c->ref.index >= ch->rules.n) {
		diag_error(s->diag, c->loc, "chain \"%s\" has no rule with index %llu", ch->name,
			   (unsigned long long)c->ref.index);
		return false;
	}
	*at = (uint32_t)c->ref.index + (c->op == ACMD_ADD);
	return true;
}

static bool apply_rule(struct sema *s, struct ast_cmd *c)
{
	struct chain *ch = need_chain(s, c);
	uint32_t at = c->op == ACMD_INSERT ? 0 : UINT32_MAX;

	if (!ch || !need_place(s, c, ch, &at))
		return false;
	if (c->op == ACMD_ADD || c->op == ACMD_CREATE || c->op == ACMD_INSERT)
		return put_rule(s, ch, c->rule, at);
	if (!c->ref.has_index) {
		diag_error(s->diag, c->loc, "which rule is meant is not said");
		return false;
	}
	at = (uint32_t)c->ref.index;
	memmove(ch->rules.v + at, ch->rules.v + at + 1,
		(ch->rules.n - at - 1) * sizeof(*ch->rules.v));
	ch->rules.n--;
	renumber(ch);
	return c->op != ACMD_REPLACE || put_rule(s, ch, c->rule, at);
}

static bool apply_set(struct sema *s, struct ast_cmd *c)
{
	struct sset *have = c->ref.name
				    ? strmap_get(&s->tab->sets, c->ref.name, strlen(c->ref.name))
				    : NULL;

	if (have && c->op == ACMD_CREATE) {
		diag_error2(s->diag, c->ref.name_loc, have->set.loc, "set \"%s\" exists already",
			    c->ref.name);
		return false;
	}
	if (!c->set->name)
		c->set->name = c->ref.name;
	return declare_set(s, c->set) && fill_declared(s, c->set);
}

static bool apply_elements(struct sema *s, struct ast_cmd *c)
{
	struct sset *set = find_set(s, c->ref.name_loc.line ? c->ref.name_loc : c->loc,
				    c->ref.name);

	if (!set)
		return false;
	if (c->op == ACMD_ADD || c->op == ACMD_CREATE || c->op == ACMD_INSERT)
		return fill_set(s, set, c->elems, false);
	return fill_set(s, set, c->elems, true);
}

static void flush_rules(struct chain *c)
{
	c->rules.n = 0;
}

static bool set_used(const struct sema *s, const struct set *set)
{
	vec_foreach(&s->tab->table->chains, c)
		vec_foreach(&(*c)->rules, r)
			vec_foreach(&(*r)->exprs, e)
				if (((*e)->kind == EX_LOOKUP && (*e)->lookup.set == set) ||
				    ((*e)->kind == EX_DYNSET && (*e)->dynset.set == set) ||
				    ((*e)->kind == EX_OBJREF && (*e)->objref.set == set))
					return true;
	return false;
}

static bool chain_used(const struct sema *s, const struct chain *t)
{
	vec_foreach(&s->tab->table->chains, c)
		vec_foreach(&(*c)->rules, r)
			vec_foreach(&(*r)->exprs, e)
				if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.dreg == REG_VERDICT &&
				    (*e)->imm.verdict.chain == t)
					return true;
	vec_foreach(&s->tab->table->sets, st)
		vec_foreach(&(*st)->elems, e)
			if ((*e)->verdict.chain == t)
				return true;
	return false;
}

#define REMOVE(vec, item)                                                                          \
	do {                                                                                       \
		uint32_t i_ = 0;                                                                   \
		while (i_ < (vec)->n && (vec)->v[i_] != (item))                                    \
			i_++;                                                                      \
		BUG_ON(i_ == (vec)->n);                                                            \
		memmove((vec)->v + i_, (vec)->v + i_ + 1,                                          \
			((vec)->n - i_ - 1) * sizeof(*(vec)->v));                                  \
		(vec)->n--;                                                                        \
	} while (0)

static void drop_table(struct sema *s, struct tabinfo *t)
{
	struct tabinfo **p = &s->tabs;

	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
	REMOVE(&s->rs->tables, t->table);
}

static void keep_text(struct sema *s, const struct ast_cmd *c)
{
	*vec_push(s->arena, &s->rs->preamble) = ast_text(s->arena, s->diag, c->loc);
}

static bool delete_table(struct sema *s, struct ast_cmd *c)
{
	struct tabinfo *t = c->ref.table ? tab_find(s, fam_of(c->ref.family), c->ref.table) : NULL;

	if (t) { /* the running kernel may hold it, and loses it: `add table` before keeps the delete from failing */
		*vec_push(s->arena, &s->rs->preamble) =
			arena_printf(s->arena, "add table %s %s\ndelete table %s %s",
				     family_name(t->table->family), t->table->name,
				     family_name(t->table->family), t->table->name);
		drop_table(s, t);
		return true;
	}
	if (c->op == ACMD_DESTROY) {
		keep_text(s, c);
		return true;
	}
	if (!c->ref.table) {
		diag_error(s->diag, c->loc,
			   "a script compiled apart from a kernel has no handles: name the table");
		return false;
	}
	return use_table(s, c);
}

static bool gone(struct sema *s, struct ast_cmd *c, const char *what)
{
	if (c->op == ACMD_DESTROY)
		return true;
	diag_error(s->diag, c->ref.name_loc.line ? c->ref.name_loc : c->loc,
		   "%s \"%s\" does not exist", what, c->ref.name ? c->ref.name : "");
	return false;
}

static bool delete_chain(struct sema *s, struct ast_cmd *c)
{
	struct chain *ch = c->ref.name ? chain_get(s, c->ref.name) : NULL;

	if (!ch)
		return gone(s, c, "chain");
	if (ch->rules.n || chain_used(s, ch)) {
		diag_error(s->diag, c->loc, "chain \"%s\" is in use", ch->name);
		return false;
	}
	REMOVE(&s->tab->table->chains, ch);
	*strmap_put(&s->tab->chains, ch->name, strlen(ch->name)) = NULL;
	return true;
}

static bool delete_set_cmd(struct sema *s, struct ast_cmd *c)
{
	struct sset *set = c->ref.name ? strmap_get(&s->tab->sets, c->ref.name, strlen(c->ref.name))
				       : NULL;
	struct set *st = set ? &set->set : NULL;

	if (!set)
		return gone(s, c, "set");
	if (set_used(s, st)) {
		diag_error(s->diag, c->loc, "set \"%s\" is in use", st->name);
		return false;
	}
	REMOVE(&s->tab->table->sets, st);
	*strmap_put(&s->tab->sets, st->name, strlen(st->name)) = NULL;
	return true;
}

static bool delete_obj(struct sema *s, struct ast_cmd *c)
{
	char *key = arena_printf(s->arena, "%u %s", obj_types[c->obj_kind],
				 c->ref.name ? c->ref.name : "");
	struct obj *o = strmap_get(&s->tab->objs, key, strlen(key));

	if (!o)
		return gone(s, c, "object");
	REMOVE(&s->tab->table->objs, o);
	*strmap_put(&s->tab->objs, key, strlen(key)) = NULL;
	return true;
}

static bool delete_flowtable(struct sema *s, struct ast_cmd *c)
{
	vec_foreach(&s->tab->table->flowtables, it)
		if (c->ref.name && !strcmp((*it)->name, c->ref.name)) {
			struct flowtable *f = *it;

			REMOVE(&s->tab->table->flowtables, f);
			return true;
		}
	return gone(s, c, "flowtable");
}

static bool apply_delete(struct sema *s, struct ast_cmd *c)
{
	if (c->what == AW_TABLE)
		return delete_table(s, c);
	s->tab = c->ref.table ? tab_find(s, fam_of(c->ref.family), c->ref.table) : NULL;
	if (!s->tab && c->op == ACMD_DESTROY) {
		keep_text(s, c);
		return true;
	}
	if (!use_table(s, c))
		return false;
	switch (c->what) {
	case AW_CHAIN:
		return delete_chain(s, c);
	case AW_RULE:
		return apply_rule(s, c);
	case AW_SET:
	case AW_MAP:
	case AW_METER:
		return delete_set_cmd(s, c);
	case AW_ELEMENT:
		return apply_elements(s, c);
	case AW_OBJECT:
		return delete_obj(s, c);
	case AW_FLOWTABLE:
		return delete_flowtable(s, c);
	default:
		diag_error(s->diag, c->loc, "this cannot be deleted");
		return false;
	}
}

static void flush_ruleset(struct sema *s, const struct ast_cmd *c)
{
	enum family f = fam_of(c->ref.family);

	for (struct tabinfo *t = s->tabs, *next; t; t = next) {
		next = t->next;
		if (!c->ref.family || t->table->family == f)
			drop_table(s, t);
	}
	keep_text(s, c);
}

static bool apply_flush(struct sema *s, struct ast_cmd *c)
{
	struct sset *set;
	struct chain *ch;

	if (c->what == AW_RULESET) {
		flush_ruleset(s, c);
		return true;
	}
	if (!use_table(s, c))
		return false;
	switch (c->what) {
	case AW_TABLE:
		vec_foreach(&s->tab->table->chains, it)
			flush_rules(*it);
		return true;
	case AW_CHAIN:
		ch = need_chain(s, c);
		if (ch)
			flush_rules(ch);
		return ch != NULL;
	case AW_SET:
	case AW_MAP:
	case AW_METER:
		set = find_set(s, c->loc, c->ref.name);
		if (set) {
			set->set.elems.n = 0;
			set->seen_cap = 0;
		}
		return set != NULL;
	default:
		diag_error(s->diag, c->loc, "this cannot be flushed");
		return false;
	}
}

static bool apply_rename(struct sema *s, struct ast_cmd *c)
{
	struct chain *ch;

	if (!use_table(s, c) || !(ch = need_chain(s, c)))
		return false;
	if (chain_get(s, c->new_name)) {
		diag_error(s->diag, c->loc, "chain \"%s\" exists already", c->new_name);
		return false;
	}
	*strmap_put(&s->tab->chains, ch->name, strlen(ch->name)) = NULL;
	ch->name = c->new_name;
	*strmap_put(&s->tab->chains, ch->name, strlen(ch->name)) = ch;
	return true;
}

static bool apply_add(struct sema *s, struct ast_cmd *c)
{
	if (c->what == AW_TABLE)
		return apply_table(s, c);
	if (!use_table(s, c))
		return false;
	switch (c->what) {
	case AW_CHAIN:
		return apply_add_chain(s, c);
	case AW_RULE:
		return apply_rule(s, c);
	case AW_SET:
	case AW_MAP:
		return apply_set(s, c);
	case AW_ELEMENT:
		return apply_elements(s, c);
	case AW_FLOWTABLE:
		if (!c->flowtable->name)
			c->flowtable->name = c->ref.name;
		return declare_flowtable(s, c->flowtable);
	case AW_OBJECT:
		if (!c->obj->name)
			c->obj->name = c->ref.name;
		return declare_obj(s, c->obj, c->op == ACMD_CREATE);
	default:
		diag_error(s->diag, c->loc, "this cannot be added");
		return false;
	}
}

static bool apply(struct sema *s, struct ast_cmd *c)
{
	switch (c->op) {
	case ACMD_ADD:
	case ACMD_CREATE:
	case ACMD_INSERT:
		return apply_add(s, c);
	case ACMD_REPLACE:
		return use_table(s, c) && apply_rule(s, c);
	case ACMD_DELETE:
	case ACMD_DESTROY:
		return apply_delete(s, c);
	case ACMD_FLUSH:
		return apply_flush(s, c);
	case ACMD_RENAME:
		return apply_rename(s, c);
	case ACMD_RESET:
	case ACMD_LIST:
	case ACMD_GET:
	case ACMD_MONITOR:
	case ACMD_EXPORT:
	case ACMD_IMPORT:
	case ACMD_DESCRIBE:
		break; /* asks the kernel, changes nothing in a ruleset */
	}
	return true;
}

/* -- loops ------------------------------------------------------------------------------------------------------------ */

#define JUMP_DEPTH_MAX 16

struct visit {
	struct strmap state; /* chain name to 1: on the way, 2 + depth: done */
};

static bool walk_chain(struct sema *s, struct chain *c, struct loc from, uint32_t depth);

static bool follow(struct sema *s, const struct verdict *v, struct loc loc, uint32_t depth)
{
	return !v->chain || walk_chain(s, v->chain, loc, depth + 1);
}

static bool walk_set(struct sema *s, const struct set *set, uint32_t depth)
{
	vec_foreach(&set->elems, e)
		if (!follow(s, &(*e)->verdict, (*e)->loc, depth))
			return false;
	return true;
}

/* chain->handle serves as the depth at which a chain was last found in order, + 1; its top bit says it is on the way. */
#define ON_WAY (1ull << 63)

static bool walk_chain(struct sema *s, struct chain *c, struct loc from, uint32_t depth)
{
	bool ok = true;

	if (c->handle & ON_WAY) {
		diag_error(s->diag, from, "jump to \"%s\" makes a loop", c->name);
		return false;
	}
	if (depth > JUMP_DEPTH_MAX) {
		diag_error(s->diag, from, "jump to \"%s\" is deeper than %d chains", c->name,
			   JUMP_DEPTH_MAX);
		return false;
	}
	if (c->handle > depth)
		return true;
	c->handle = ON_WAY;
	vec_foreach(&c->rules, r)
		vec_foreach(&(*r)->exprs, e) {
			if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.dreg == REG_VERDICT)
				ok = ok && follow(s, &(*e)->imm.verdict, (*e)->loc, depth);
			else if ((*e)->kind == EX_LOOKUP && (*e)->lookup.set->is_vmap)
				ok = ok && walk_set(s, (*e)->lookup.set, depth);
		}
	c->handle = depth + 1;
	return ok;
}

static bool check_jumps(struct sema *s)
{
	bool ok = true;

	vec_foreach(&s->rs->tables, t) {
		vec_foreach(&(*t)->chains, c)
			if ((*c)->is_base)
				ok = ok && walk_chain(s, *c, (*c)->loc, 0);
		vec_foreach(&(*t)->chains, c)
			ok = ok && ((*c)->handle || walk_chain(s, *c, (*c)->loc, 0));
		vec_foreach(&(*t)->chains, c)
			(*c)->handle = 0;
		for (uint32_t i = 0; i < (*t)->chains.n; i++)
			(*t)->chains.v[i]->index = i;
	}
	return ok;
}

/* How much is kept before it is given back: most rules take a few hundred bytes. */
#define TMP_KEEP (1u << 20)

void tmp_reset(struct sema *s)
{
	if (s->tmp_users || arena_used(s->tmp) < TMP_KEEP)
		return;
	arena_free(s->tmp);
	s->tmp = arena_new();
}

/* -- the ways in -------------------------------------------------------------------------------------------------------- */

static struct ruleset *evaluate(struct arena *a, struct diag *d, struct ast_script *script)
{
	struct sema *s = arena_new_of(a, struct sema);
	bool ok = true;

	if (!script || d->errors)
		return NULL;
	s->arena = a;
	s->tmp = arena_new();
	s->diag = d;
	s->rs = ruleset_new(a, d);
	s->script = script;
	lookups_init(&s->look, a);
	vec_foreach(&script->cmds, it) {
		s->depth = 0;
		ok &= apply(s, *it);
		if (d->errors >= ERRORS_COUNTED)
			break;
	}
	ok = ok && !d->errors && sets_finish(s) && check_jumps(s) && check_hooks(s);
	arena_free(s->tmp);
	return ok && !d->errors ? s->rs : NULL;
}

struct ruleset *frontend_read_text(struct arena *a, struct diag *d, const char *path,
				   const struct parse_opts *opts)
{
	return evaluate(a, d, ast_parse(a, d, path, opts));
}

struct ruleset *frontend_read_buffer(struct arena *a, struct diag *d, const char *name,
				     const char *text, size_t len)
{
	static const struct parse_opts none;

	return evaluate(a, d, ast_parse_text(a, d, name, text, len, &none));
}
