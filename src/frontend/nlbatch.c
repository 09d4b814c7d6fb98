// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nlbatch: the messages of a transaction that delete, and where it puts rules.
 *
 * A transaction that stands alone knows nothing of what the kernel holds: it may empty that or
 * delete tables of it, which is kept for the head of the fallback, but not touch a rule in it.
 * Behind a dump in the same stream it acts on what the dump holds.
 */
#include "nl.h"

/* Messages 26 and up are those that may miss what they delete. */
static bool may_miss(const struct nl_msg *m)
{
	return m->type >= MSG_DESTROYTABLE;
}

static bool missing(struct nl_reader *rd, const struct nl_msg *m, const char *what)
{
	return may_miss(m) ||
	       nl_error(rd, "the transaction deletes a %s that does not exist before it", what);
}

/* Does a message mean the thing with that name and handle? One of both suffices. */
static bool is_meant(struct nl_reader *rd, const char *have, uint64_t handle, struct nl_attr name,
		     struct nl_attr number)
{
	const char *n = nl_str(rd, name);
	uint64_t v;

	if (n)
		return !strcmp(have, n);
	return handle && nl_u64(number, &v) && v == handle;
}

/* -- rules ------------------------------------------------------------------------------------- */

struct rule *nl_rule_by_handle(const struct chain *c, uint64_t handle)
{
	vec_foreach(&c->rules, r)
		if (handle && (*r)->handle == handle)
			return *r;
	return NULL;
}

bool nl_batch_place(struct nl_reader *rd, const struct nl_msg *m, const struct chain *c,
		    struct nl_attr position, struct nl_attr position_id, uint32_t *at)
{
	struct rule *beside = NULL;
	uint64_t handle;

	if (!position.p && !position_id.p) {
		*at = m->flags & NLF_APPEND ? c->rules.n : 0;
		return true;
	}
	if (position.p && nl_u64(position, &handle))
		beside = nl_rule_by_handle(c, handle);
	else if (position_id.p && position_id.len == 4)
		beside = strmap_get(&rd->cur->rule_ids, (const char *)position_id.p, 4);
	for (*at = 0; beside && *at < c->rules.n; ++*at)
		if (c->rules.v[*at] == beside) {
			*at += m->flags & NLF_APPEND ? 1 : 0;
			return true;
		}
	return nl_error(rd, "the rule beside which another is to stand does not exist");
}

static bool delete_rules(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[12];
	struct rule *r = NULL;
	struct chain *c;
	uint64_t handle;

	if (!nl_table_of(rd, m->attrs, tb, 12, "rule") || !nl_enter_table(rd, m, tb[1]))
		return false;
	if (!tb[2].p && !tb[11].p) { /* all of the table's */
		vec_foreach(&rd->cur->t->chains, it)
			(*it)->rules.n = 0;
		return true;
	}
	c = nl_find_chain(rd, tb[2], tb[11]);
	if (!c)
		return false;
	if (!tb[3].p && !tb[9].p) {
		c->rules.n = 0;
		return true;
	}
	if (tb[3].p && nl_u64(tb[3], &handle))
		r = nl_rule_by_handle(c, handle);
	else if (tb[9].p && tb[9].len == 4)
		r = strmap_get(&rd->cur->rule_ids, (const char *)tb[9].p, 4);
	vec_foreach(&c->rules, it)
		if (r && *it == r) {
			vec_remove(&c->rules, r);
			return true;
		}
	return missing(rd, m, "rule");
}

/* -- chains ------------------------------------------------------------------------------------ */

/* The devices of a list out of those of a chain or flow table, where all must be. */
static bool drop_devices(struct nl_reader *rd, const char **v, uint32_t *n, struct nl_attr list)
{
	const char **gone;
	uint32_t n_gone, k;

	if (!nl_devices(rd, list, &gone, &n_gone))
		return false;
	for (uint32_t i = 0; i < n_gone; i++) {
		for (k = 0; k < *n && strcmp(v[k], gone[i]); k++)
			;
		if (k == *n)
			return nl_error(rd, "device %s is not there to be deleted", gone[i]);
		memmove(v + k, v + k + 1, (*n - k - 1) * sizeof(*v));
		--*n;
	}
	return true;
}

static bool delete_chain(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[13], hook[5];
	struct chain *c = NULL;

	if (!nl_table_of(rd, m->attrs, tb, 13, "chain") || !nl_enter_table(rd, m, tb[1]))
		return false;
	vec_foreach(&rd->cur->t->chains, it)
		if (is_meant(rd, (*it)->name, (*it)->handle, tb[3], tb[2]))
			c = *it;
	if (!c)
		return missing(rd, m, "chain");
	if (tb[4].p) {
		if (!nl_table_of(rd, tb[4], hook, 5, "hook of a chain"))
			return false;
		if (hook[4].p)
			return drop_devices(rd, c->devices.v, &c->devices.n, hook[4]);
	}
	if (m->flags & NLF_REPLACE && c->rules.n)
		return nl_error(rd, "chain %s has rules and is to be deleted without them",
				c->name);
	c->rules.n = 0;
	if (table_uses_chain(rd->cur->t, c))
		return nl_error(rd, "chain %s is in use and cannot be deleted", c->name);
	vec_remove(&rd->cur->t->chains, c);
	*strmap_put(&rd->cur->chains, c->name, strlen(c->name)) = NULL;
	return true;
}

/* -- sets, objects, flow tables ---------------------------------------------------------------- */

static bool delete_set(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[21];
	struct set *s = NULL;

	if (!nl_table_of(rd, m->attrs, tb, 21, "set") || !nl_enter_table(rd, m, tb[1]))
		return false;
	vec_foreach(&rd->cur->t->sets, it)
		if (is_meant(rd, (*it)->name, (*it)->handle, tb[2], tb[16]))
			s = *it;
	if (!s)
		return missing(rd, m, "set");
	if (table_uses_set(rd->cur->t, s))
		return nl_error(rd, "set %s is in use and cannot be deleted", s->name);
	vec_remove(&rd->cur->t->sets, s);
	*strmap_put(&rd->cur->sets, s->name, strlen(s->name)) = NULL;
	return true;
}

static bool delete_obj(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[9];
	struct obj *o = NULL;
	uint32_t type;

	if (!nl_table_of(rd, m->attrs, tb, 9, "object") || !nl_enter_table(rd, m, tb[1]))
		return false;
	if (!nl_u32(tb[3], &type))
		return nl_bad(rd, "type of an object");
	vec_foreach(&rd->cur->t->objs, it)
		if ((*it)->type == type && is_meant(rd, (*it)->name, (*it)->handle, tb[2], tb[6]))
			o = *it;
	if (!o)
		return missing(rd, m, "object");
	if (table_uses_obj(rd->cur->t, o))
		return nl_error(rd, "object %s is in use and cannot be deleted", o->name);
	vec_remove(&rd->cur->t->objs, o);
	return true;
}

static bool uses_flowtable(const struct table *t, const char *name)
{
	vec_foreach(&t->chains, c)
		vec_foreach(&(*c)->rules, r)
			vec_foreach(&(*r)->exprs, e)
				if ((*e)->kind == EX_FLOW_OFFLOAD &&
				    !strcmp((*e)->flow.flowtable, name))
					return true;
	return false;
}

static bool delete_flowtable(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[8], hook[4];
	struct flowtable *f = NULL;

	if (!nl_table_of(rd, m->attrs, tb, 8, "flow table") || !nl_enter_table(rd, m, tb[1]))
		return false;
	vec_foreach(&rd->cur->t->flowtables, it)
		if (is_meant(rd, (*it)->name, (*it)->handle, tb[2], tb[5]))
			f = *it;
	if (!f)
		return missing(rd, m, "flow table");
	if (tb[3].p) {
		if (!nl_table_of(rd, tb[3], hook, 4, "hook of a flow table"))
			return false;
		if (hook[3].p)
			return drop_devices(rd, f->devices.v, &f->devices.n, hook[3]);
	}
	if (uses_flowtable(rd->cur->t, f->name))
		return nl_error(rd, "flow table %s is in use and cannot be deleted", f->name);
	vec_remove(&rd->cur->t->flowtables, f);
	return true;
}

/* -- tables ------------------------------------------------------------------------------------ */

static void drop_table(struct nl_reader *rd, struct nl_table *nt)
{
	vec_remove(&rd->rs->tables, nt->t);
	vec_remove(&rd->tables, nt);
	rd->cur = NULL;
}

static void say_first(struct nl_reader *rd, const char *command)
{
	*vec_push(rd->arena, &rd->rs->preamble) = command;
}

static bool flush_ruleset(struct nl_reader *rd, const struct nl_msg *m)
{
	if (m->family && !nl_family_ok(m->family))
		return nl_bad(rd, "family");
	for (uint32_t i = rd->tables.n; i-- > 0;)
		if (!m->family || rd->tables.v[i]->t->family == (enum family)m->family)
			drop_table(rd, rd->tables.v[i]);
	if (!m->family)
		rd->rs->preamble.n = 0; /* nothing is left of what it did */
	say_first(rd, m->family
			      ? arena_printf(rd->arena, "flush ruleset %s", family_name(m->family))
			      : "flush ruleset");
	return true;
}

/* The kernel may hold a table of that name whether or not the transaction made one. */
static bool delete_table(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[8];
	struct nl_table *nt;
	const char *name, *f;
	uint64_t handle;

	if (!nl_table_of(rd, m->attrs, tb, 8, "table"))
		return false;
	if (!tb[1].p && !tb[4].p)
		return flush_ruleset(rd, m);
	if (!nl_family_ok(m->family))
		return nl_bad(rd, "family");
	name = nl_str(rd, tb[1]);
	if (!name && nl_u64(tb[4], &handle))
		vec_foreach(&rd->tables, it)
			if ((*it)->t->family == (enum family)m->family &&
			    (*it)->t->handle == handle)
				name = (*it)->t->name;
	if (!name)
		return missing(rd, m, "table");
	f = family_name(m->family);
	nt = nl_find_table(rd, m->family, name);
	if (nt)
		drop_table(rd, nt);
	if (nt && !may_miss(m))
		say_first(rd, arena_printf(rd->arena, "add table %s %s", f, name));
	say_first(rd, arena_printf(rd->arena, "%s table %s %s", may_miss(m) ? "destroy" : "delete",
				   f, name));
	return true;
}

static bool delete_elems(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[5];

	return nl_table_of(rd, m->attrs, tb, 5, "set elements") && nl_enter_table(rd, m, tb[1]) &&
	       nl_set_elems_delete(rd, m->attrs, may_miss(m));
}

/* `destroy` of something in a table that is not there. */
static bool table_missing(struct nl_reader *rd, const struct nl_msg *m)
{
	struct nl_attr tb[24];
	const char *name;

	if (!may_miss(m) || m->type == MSG_DESTROYTABLE || nl_walk(m->attrs, tb, 24) == NL_BAD)
		return false;
	name = nl_str(rd, tb[1]);
	return name && !nl_find_table(rd, m->family, name);
}

bool nl_batch_delete(struct nl_reader *rd, const struct nl_msg *m)
{
	if (table_missing(rd, m))
		return nl_error(rd, "the transaction takes something out of a table that it does "
				    "not know: load it and dump the result");
	switch (m->type) {
	case MSG_DELTABLE:
	case MSG_DESTROYTABLE:
		return delete_table(rd, m);
	case MSG_DELCHAIN:
	case MSG_DESTROYCHAIN:
		return delete_chain(rd, m);
	case MSG_DELRULE:
	case MSG_DESTROYRULE:
		return delete_rules(rd, m);
	case MSG_DELSET:
	case MSG_DESTROYSET:
		return delete_set(rd, m);
	case MSG_DELSETELEM:
	case MSG_DESTROYSETELEM:
		return delete_elems(rd, m);
	case MSG_DELOBJ:
	case MSG_DESTROYOBJ:
		return delete_obj(rd, m);
	case MSG_DELFLOWTABLE:
	case MSG_DESTROYFLOWTABLE:
		return delete_flowtable(rd, m);
	default:
		return nl_error(rd, "nf_tables message %d is not known", m->type);
	}
}
