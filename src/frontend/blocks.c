// SPDX-License-Identifier: GPL-2.0-or-later
/* blocks: what the grammar's rules do for commands, tables, chains, sets and objects. */
#include "actions.h"
#include "parse.tab.h"

/* -- commands ---------------------------------------------------------------------------------- */

void add_cmd(struct parser *p, struct ast_cmd *c, struct loc loc)
{
	c->loc = loc;
	*vec_push(p->nodes, &p->script->cmds) = c;
}

struct ast_cmd *new_cmd(struct parser *p, enum ast_op op)
{
	struct ast_cmd *c = arena_new_of(p->nodes, struct ast_cmd);

	c->op = op;
	return c;
}

struct ast_cmd *cmd_on(struct ast_cmd *c, enum ast_what what, const struct ast_ref *ref)
{
	c->what = what;
	c->ref = *ref;
	return c;
}

struct ast_cmd *cmd_handle(struct ast_cmd *c, enum ast_what what, const struct ast_ref *ref,
			   uint64_t handle)
{
	cmd_on(c, what, ref);
	c->ref.has_handle = true;
	c->ref.handle = handle;
	return c;
}

static void name_object(struct parser *p, enum ast_obj_kind k, const char *name, struct loc nloc,
			struct loc loc)
{
	p->obj->kind = k;
	p->obj->name = name;
	p->obj->name_loc = nloc;
	p->obj->loc = loc;
}

void cmd_object(struct parser *p, struct ast_cmd *c, const struct ast_cmd *kind, struct loc loc)
{
	c->obj_kind = kind->obj_kind;
	if (!p->obj)
		p->obj = arena_new_of(p->nodes, struct ast_object);
	c->obj = p->obj;
	name_object(p, c->obj_kind, c->ref.name, c->ref.name_loc, loc);
}

/* `reset counters`, `reset rules table ip t` ... */
struct ast_cmd *reset_all(struct parser *p, const char *what, struct loc loc,
			  const struct ast_ref *ref)
{
	struct ast_cmd *c = new_cmd(p, ACMD_RESET);

	if (!strcmp(what, "rules")) {
		cmd_on(c, AW_RULE, ref);
	} else if (!strcmp(what, "counters") || !strcmp(what, "quotas")) {
		cmd_on(c, AW_OBJECT, ref);
		c->obj_kind = *what == 'c' ? AO_COUNTER : AO_QUOTA;
	} else {
		cmd_on(c, AW_OTHER, ref);
		p_error(p, loc, "cannot reset %s: counters, quotas, rules, or one by name", what);
	}
	return c;
}

struct ast_cmd *query(struct parser *p, struct tok t, struct loc loc)
{
	struct ast_cmd *c = new_cmd(p, (enum ast_op)t.num);

	c->what = AW_OTHER;
	c->text = t.a;
	return c;
}

struct ast_ref *new_ref(struct parser *p, const char *family, struct loc floc, const char *table,
			struct loc tloc)
{
	struct ast_ref *r = arena_new_of(p->nodes, struct ast_ref);

	r->family = family;
	r->family_loc = floc;
	r->table = table;
	r->table_loc = tloc;
	return r;
}

struct ast_ref *ref_name(struct ast_ref *r, const char *name, struct loc loc)
{
	r->name = name;
	r->name_loc = loc;
	return r;
}

void need_handle(struct parser *p, const struct ast_ref *r, struct loc loc)
{
	if (!r->has_handle)
		p_error(p, loc, "a rule is named by its handle: add `handle N`");
}

void check_family(struct parser *p, struct loc loc, const char *s)
{
	if (strcmp(s, "ip") && strcmp(s, "ip6") && strcmp(s, "arp"))
		p_error(p, loc, "%s is no family: ip, ip6, inet, arp, bridge or netdev", s);
}

void check_ip(struct parser *p, struct loc loc, const char *s)
{
	if (strcmp(s, "ip") && strcmp(s, "ip6"))
		p_error(p, loc, "%s does not fit here: ip or ip6", s);
}

/* -- tables and chains ------------------------------------------------------------------------- */

struct ast_table *new_table(struct parser *p)
{
	return arena_new_of(p->nodes, struct ast_table);
}

void table_flag(struct parser *p, const char *s, struct loc loc)
{
	if (!strcmp(s, "dormant"))
		p->table->flags |= 1;
	else if (!strcmp(s, "owner"))
		p->table->flags |= 2;
	else if (!strcmp(s, "persist"))
		p->table->flags |= 4;
	else
		p_error(p, loc, "table flag %s is unknown: dormant, owner or persist", s);
}

void set_comment(struct parser *p, const char **where, struct loc loc, const char *text)
{
	if (*where)
		p_error(p, loc, "there is a comment already");
	check_comment(p, loc, text);
	*where = text;
}

struct ast_chain *name_chain(struct parser *p, const char *name, struct loc nloc, struct loc loc)
{
	p->chain->name = name;
	p->chain->name_loc = nloc;
	p->chain->loc = loc;
	return p->chain;
}

void check_hook(struct parser *p, struct loc loc, const char *hook)
{
	if (!word_in("prerouting input forward output postrouting ingress egress", hook))
		p_error(p, loc,
			"hook %s is unknown: prerouting, input, forward, output, postrouting, "
			"ingress or egress",
			hook);
}

void chain_hook(struct parser *p, const char *type, struct loc tloc, const char *hook,
		struct loc hloc, const struct ast_prio *prio, struct loc loc)
{
	static const char types[] = "filter nat route";
	struct ast_chain *c = p->chain;

	if (!word_in(types, type))
		p_error(p, tloc, "chain type %s is unknown: filter, nat or route", type);
	check_hook(p, hloc, hook);
	c->is_base = true;
	c->type = type;
	c->type_loc = tloc;
	c->hook = hook;
	c->hook_loc = hloc;
	c->prio = *prio;
}

void chain_policy(struct parser *p, struct ast_expr *e)
{
	if (p->chain->policy) {
		diag_error2(p->diag, e->loc, p->chain->policy->loc,
			    "the chain has a policy already");
		p->errors++;
	}
	p->chain->policy = e;
}

static int32_t offset_of(struct parser *p, struct loc loc, struct tok t, bool neg)
{
	if (t.num > (uint64_t)INT32_MAX + neg)
		p_error(p, loc, "priority %s is too large: at most 2147483647", t.a);
	return (int32_t)(neg ? -(uint32_t)t.num : (uint32_t)t.num);
}

/* A plain number: the offset from 0. */
struct ast_prio *prio_num(struct parser *p, struct loc loc, struct tok t, bool neg)
{
	struct ast_prio *pr = arena_new_of(p->nodes, struct ast_prio);

	pr->loc = loc;
	pr->expr = mk_text(p, AX_NUMBER, loc, "0");
	pr->offset = offset_of(p, loc, t, neg);
	return pr;
}

struct ast_prio *prio_name(struct parser *p, struct loc loc, struct ast_expr *e,
			   const struct tok *off, bool neg)
{
	struct ast_prio *pr = arena_new_of(p->nodes, struct ast_prio);

	pr->loc = loc;
	pr->expr = e;
	if (off)
		pr->offset = offset_of(p, loc, *off, neg);
	return pr;
}

/* -- sets and flow tables ---------------------------------------------------------------------- */

struct ast_set *name_set(struct parser *p, const char *name, struct loc nloc, struct loc loc,
			 bool is_map)
{
	struct ast_set *s = p->set;

	s->name = name;
	s->name_loc = nloc;
	s->loc = loc;
	s->is_map = is_map;
	if (is_map)
		s->flags = s->all_flags;
	if (is_map && s->key && !s->data && !s->obj)
		p_error(p, s->key->loc, "map %s has no type of data: `type key : data`", name);
	if (!is_map && s->key && (s->data || s->obj))
		p_error(p, s->key->loc, "set %s has a type of data: use map", name);
	return s;
}

struct ast_type *type_add(struct parser *p, struct ast_type *t, const char *name, struct loc loc)
{
	if (!t) {
		t = arena_new_of(p->nodes, struct ast_type);
		t->loc = loc;
	}
	t->loc = loc_span(t->loc, loc);
	*vec_push(p->nodes, &t->names) = name;
	*vec_push(p->nodes, &t->name_locs) = loc;
	return t;
}

/* typeof is asked of what a packet or the kernel has, not of values nor of what is computed. */
static void check_typeof(struct parser *p, const struct ast_expr *e)
{
	if (e->kind == AX_CONCAT) {
		for (uint32_t i = 0; i < e->list->items.n; i++)
			check_typeof(p, e->list->items.v[i]);
		return;
	}
	_Static_assert(AX_VAR == 4, "the kinds of values stand first");
	if (e->kind <= AX_VAR)
		p_error(p, e->loc, "typeof takes no values: write a header field, meta or ct key");
	else if (e->kind == AX_BINOP)
		p_error(p, e->loc, "typeof takes no computations: write the field alone");
}

struct ast_type *typeof_type(struct parser *p, struct ast_expr *e)
{
	struct ast_type *t = arena_new_of(p->nodes, struct ast_type);

	check_typeof(p, e);
	t->typeof_expr = e;
	t->loc = e->loc;
	return t;
}

/* Behind the colon of a map: `verdict` is a type by name. */
struct ast_type *typeof_data(struct parser *p, struct ast_expr *e)
{
	if (e->kind == AX_SYMBOL && !strcmp(e->text, "verdict"))
		return type_add(p, NULL, e->text, e->loc);
	return typeof_type(p, e);
}

/* The kinds of objects that a map may hold, by the words of `type`. */
static const char *object_word(const struct ast_type *t)
{
	static const char *const kinds[] = { "counter",	   "quota",	     "limit",
					     "secmark",	   "synproxy",	     "ct helper",
					     "ct timeout", "ct expectation", "tunnel" };

	for (size_t i = 0; t && t->names.n == 1 && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(t->names.v[0], kinds[i]))
			return kinds[i];
	if (t && t->typeof_expr && t->typeof_expr->kind == AX_CT) {
		const char *key = t->typeof_expr->ct.key;

		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			if (!strncmp(kinds[i], "ct ", 3) && !strcmp(kinds[i] + 3, key))
				return kinds[i];
	}
	return NULL;
}

void set_flags_line(struct parser *p, uint32_t flags)
{
	p->set->flags = flags;
	p->set->all_flags |= flags;
	p->set->has_flags = true;
}

void set_type(struct parser *p, struct ast_type *key, struct ast_type *data)
{
	if (p->set->key) {
		diag_error2(p->diag, key->loc, p->set->key->loc, "the set has a type already");
		p->errors++;
	}
	p->set->key = key;
	p->set->obj = object_word(data);
	p->set->data = p->set->obj ? NULL : data;
}

void set_typeof_interval(struct parser *p, struct ast_expr *key, struct ast_expr *data)
{
	struct ast_type *t = typeof_type(p, data);

	t->interval = true;
	set_type(p, typeof_type(p, key), t);
}

void set_policy(struct parser *p, struct loc loc, const char *s)
{
	if (strcmp(s, "performance") && strcmp(s, "memory"))
		p_error(p, loc, "set policy %s is unknown: performance or memory", s);
	p->set->policy = s;
}

void set_elems(struct parser *p, struct ast_expr *e)
{
	if (p->set->elems) {
		diag_error2(p->diag, e->loc, p->set->elems->loc,
			    "the set has elements already: put them together");
		p->errors++;
	}
	p->set->elems = e;
}

struct ast_flowtable *name_ft(struct parser *p, const char *name, struct loc nloc, struct loc loc)
{
	p->ft->name = name;
	p->ft->name_loc = nloc;
	p->ft->loc = loc;
	return p->ft;
}

/* -- objects ----------------------------------------------------------------------------------- */

static const char *const obj_names[] = {
	[AO_COUNTER] = "counter",	[AO_QUOTA] = "quota",
	[AO_LIMIT] = "limit",		[AO_CT_HELPER] = "ct helper",
	[AO_CT_TIMEOUT] = "ct timeout", [AO_CT_EXPECT] = "ct expectation",
	[AO_SECMARK] = "secmark",	[AO_SYNPROXY] = "synproxy",
	[AO_TUNNEL] = "tunnel",
};

/*
 * An object of a kind begins: p->obj takes what is said of it. Returns a command to carry the kind.
 */
struct ast_cmd *obj_is(struct parser *p, enum ast_obj_kind k)
{
	struct ast_cmd *c = new_cmd(p, ACMD_ADD);

	p->obj = arena_new_of(p->nodes, struct ast_object);
	p->obj->kind = k;
	c->obj_kind = k;
	return c;
}

enum ast_obj_kind ct_object(struct parser *p, struct tok t, struct loc loc)
{
	if (t.dir < 0 && !strcmp(t.a, "helper"))
		return AO_CT_HELPER;
	if (t.dir < 0 && !strcmp(t.a, "timeout"))
		return AO_CT_TIMEOUT;
	if (t.dir < 0 && !strcmp(t.a, "expectation"))
		return AO_CT_EXPECT;
	p_error(p, loc, "ct %s is no object: ct helper, ct timeout or ct expectation", t.a);
	return AO_CT_HELPER;
}

void obj_wants(struct parser *p, enum ast_obj_kind k, struct loc loc)
{
	if (p->obj->kind != k)
		p_error(p, loc, "this fits a %s, not a %s", obj_names[k], obj_names[p->obj->kind]);
}

void add_object(struct parser *p, enum ast_obj_kind k, const char *name, struct loc nloc,
		struct loc loc, struct loc body)
{
	name_object(p, k, name, nloc, loc);
	p->obj->body = body;
	*vec_push(p->nodes, &p->table->objs) = p->obj;
}

static void l4proto(struct parser *p, const char *s, struct loc loc)
{
	if (!s || (strcmp(s, "tcp") && strcmp(s, "udp")))
		p_error(p, loc, "protocol %s does not fit: tcp or udp", s ? s : "by number");
	p->obj->ct.l4proto = s;
}

void ct_helper_type(struct parser *p, const char *helper, const char *word, struct loc wloc,
		    const char *proto, struct loc ploc)
{
	obj_wants(p, AO_CT_HELPER, wloc);
	if (strcmp(word, "protocol"))
		p_error(p, wloc, "unexpected %s, expected protocol", word);
	p->obj->ct.helper = helper;
	l4proto(p, proto, ploc);
}

/* `protocol tcp`, `l3proto ip`, `dport 80` of ct objects. */
void ct_word(struct parser *p, const char *word, struct loc loc, const char *s, struct loc sloc,
	     struct ast_expr *num)
{
	if (!strcmp(word, "l3proto") && s) {
		if (strcmp(s, "inet") && strcmp(s, "bridge") && strcmp(s, "netdev"))
			check_family(p, sloc, s);
		p->obj->ct.l3proto = s;
	} else if (!strcmp(word, "protocol") && s) {
		l4proto(p, s, sloc);
	} else if (!strcmp(word, "dport") && num) {
		obj_wants(p, AO_CT_EXPECT, loc);
		p->obj->ct.dport_expr = num;
		if (num->kind == AX_NUMBER && num->num > 65535)
			p_error(p, sloc, "port %s is too large: at most 65535", num->text);
		else if (num->kind == AX_NUMBER)
			p->obj->ct.dport = (uint32_t)num->num;
	} else {
		p_error(p, loc, "unexpected %s in a %s", word, obj_names[p->obj->kind]);
	}
}

void ct_state(struct parser *p, const char *state, struct loc loc, uint64_t secs)
{
	*vec_push(p->nodes, &p->obj->ct.policy) = (struct ast_timeout_state){ state, loc, secs };
}
