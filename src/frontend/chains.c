// SPDX-License-Identifier: GPL-2.0-or-later
/* Chains: priorities, hooks, types and devices, and their rules in order. */
#include <limits.h>
#include <stdlib.h>

#include "sema.h"

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

/* How far from a named priority nft still says it by that name. */
#define PRIO_REACH 10

const char *frontend_prio_words(struct arena *a, enum family f, enum hooknum h, int32_t prio)
{
	bool few = f == FAM_ARP || f == FAM_NETDEV;

	for (const struct prio_row *r = f == FAM_BRIDGE ? bridge_prios : prios; r->name; r++) {
		int64_t off = (int64_t)prio - r->prio;

		if ((r->hook >= 0 && r->hook != (int)h && r->hook2 != (int)h) ||
		    (few && strcmp(r->name, "filter") != 0) || off > PRIO_REACH ||
		    off < -PRIO_REACH)
			continue;
		return !off ? r->name
			    : arena_printf(a, "%s %c %d", r->name, off > 0 ? '+' : '-',
					   (int)(off > 0 ? off : -off));
	}
	return arena_printf(a, "%d", prio);
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

bool eval_prio(struct sema *s, const struct ast_prio *p, enum family f, enum hooknum h,
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

bool add_device(struct sema *s, struct ast_expr *e, uint32_t depth, void *vec)
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
	} else if (!c->has_policy) {
		c->policy = V_ACCEPT;
	}
	c->is_base = true;
	c->hw_offload = a->hw_offload;
	return true;
}

struct chain *chain_new(struct sema *s, const char *name, struct loc loc)
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

struct chain *chain_get(const struct sema *s, const char *name)
{
	return strmap_get(&s->tab->chains, name, strlen(name));
}

bool declare_chain(struct sema *s, const struct ast_chain *a)
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

void renumber(struct chain *c)
{
	for (uint32_t i = 0; i < c->rules.n; i++)
		c->rules.v[i]->index = i;
}

/* Puts a rule at a place of its chain; at > n: the end. */
bool put_rule(struct sema *s, struct chain *c, struct ast_rule *a, uint32_t at)
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

bool chain_rules(struct sema *s, struct ast_chain *a)
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
