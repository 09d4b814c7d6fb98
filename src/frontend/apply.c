// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of a script, applied to a ruleset in order. Within a table's block chains come
 * first, then objects, sets, elements, and rules last, as nft sends them: a rule may name what is
 * written below it.
 */
#include "sema.h"
#include "xt.h"

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

/* -- objects, flow tables ---------------------------------------------------------------------- */

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

/* -- commands ---------------------------------------------------------------------------------- */

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
		return fill_set(s, set, c->elems, FILL_ADD);
	return fill_set(s, set, c->elems, c->op == ACMD_DESTROY ? FILL_DESTROY : FILL_DELETE);
}

static void flush_rules(struct chain *c)
{
	c->rules.n = 0;
}

static void drop_table(struct sema *s, struct tabinfo *t)
{
	struct tabinfo **p = &s->tabs;

	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
	vec_remove(&s->rs->tables, t->table);
}

static void keep_text(struct sema *s, const struct ast_cmd *c)
{
	*vec_push(s->arena, &s->rs->preamble) = ast_text(s->arena, s->diag, c->loc);
}

static bool delete_table(struct sema *s, struct ast_cmd *c)
{
	struct tabinfo *t = c->ref.table ? tab_find(s, fam_of(c->ref.family), c->ref.table) : NULL;

	/*
	 * the running kernel may hold it, and loses it: `add table` before keeps the delete from
	 * failing
	 */
	if (t) {
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
	if (ch->rules.n || table_uses_chain(s->tab->table, ch)) {
		diag_error(s->diag, c->loc, "chain \"%s\" is in use", ch->name);
		return false;
	}
	vec_remove(&s->tab->table->chains, ch);
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
	if (table_uses_set(s->tab->table, st)) {
		diag_error(s->diag, c->loc, "set \"%s\" is in use", st->name);
		return false;
	}
	vec_remove(&s->tab->table->sets, st);
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
	if (table_uses_obj(s->tab->table, o)) {
		diag_error(s->diag, c->loc, "object \"%s\" is in use", o->name);
		return false;
	}
	vec_remove(&s->tab->table->objs, o);
	*strmap_put(&s->tab->objs, key, strlen(key)) = NULL;
	return true;
}

static bool delete_flowtable(struct sema *s, struct ast_cmd *c)
{
	vec_foreach(&s->tab->table->flowtables, it)
		if (c->ref.name && !strcmp((*it)->name, c->ref.name)) {
			struct flowtable *f = *it;

			vec_remove(&s->tab->table->flowtables, f);
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

/*
 * Of an object: its counts start from nothing. Resetting what a dump holds of rules and sets only
 * prints.
 */
static bool apply_reset(struct sema *s, struct ast_cmd *c)
{
	struct obj *o;

	if (c->what != AW_OBJECT || !c->ref.name)
		return true;
	if (!use_table(s, c))
		return false;
	o = find_obj(s, c->ref.name_loc.line ? c->ref.name_loc : c->loc, obj_types[c->obj_kind],
		     c->ref.name);
	if (!o)
		return false;
	if (o->expr && o->expr->kind == EX_COUNTER)
		o->expr->counter.packets = o->expr->counter.bytes = 0;
	else if (o->expr && o->expr->kind == EX_QUOTA)
		o->expr->quota.consumed = 0;
	return true;
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
		return apply_reset(s, c);
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

/* How much is kept before it is given back: most rules take a few hundred bytes. */
#define TMP_KEEP (1u << 17)

void tmp_reset(struct sema *s)
{
	if (s->tmp_users || arena_used(s->tmp) < TMP_KEEP)
		return;
	arena_reset(s->tmp);
}

/* -- the ways in ------------------------------------------------------------------------------- */

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
	ok = ok && !d->errors && sets_finish(s) && ruleset_check_jumps(s->rs) && check_hooks(s);
	if (ok) {
		ruleset_number(s->rs);
		xt_translate(s->rs);
	}
	arena_free(s->tmp);
	return ok && !d->errors ? s->rs : NULL;
}

struct ruleset *frontend_read_text(struct arena *a, struct diag *d, const char *path,
				   const struct parse_opts *opts)
{
	struct arena *nodes = arena_new();
	struct ruleset *rs = evaluate(a, d, ast_parse(a, nodes, d, path, opts));

	arena_free(nodes);
	return rs;
}

struct ruleset *frontend_read_buffer(struct arena *a, struct diag *d, const char *name,
				     const char *text, size_t len)
{
	static const struct parse_opts none;
	struct arena *nodes = arena_new();
	struct ruleset *rs = evaluate(a, d, ast_parse_text(a, nodes, d, name, text, len, &none));

	arena_free(nodes);
	return rs;
}
