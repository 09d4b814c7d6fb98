// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module's part of IR text: tables, chains, rules, objects, sets with elements, states,
 * dynsets, data. Each is read into the same structures that the front ends make, so that code
 * generation does not see where a module came from.
 */
#include "ir/irtext.h"

static const struct {
	const char *name;
	enum verdict_code code;
} verdict_words[] = {
	{ "drop", V_DROP },   { "accept", V_ACCEPT },	  { "queue", V_QUEUE },
	{ "break", V_BREAK }, { "continue", V_CONTINUE }, { "return", V_RETURN },
	{ "jump", V_JUMP },   { "goto", V_GOTO },
};

/* The number of a new item must be the next of its kind. */
static void rd_new_number(struct ir_reader *r, uint32_t next)
{
	if (r->tok == TK_NUM && r->num != next)
		rd_error(r, "number %u expected: items stand in order", next);
	rd_num(r, UINT32_MAX);
}

#define RD_REF(fn, type, list)                                                                     \
	static type *fn(struct ir_reader *r)                                                       \
	{                                                                                          \
		uint64_t n = r->num;                                                               \
                                                                                                   \
		if (r->tok == TK_NUM && n >= r->list.n) {                                          \
			rd_error(r, "there are only %u of these above", r->list.n);                \
			return NULL;                                                               \
		}                                                                                  \
		rd_num(r, UINT32_MAX);                                                             \
		return n < r->list.n ? r->list.v[n] : NULL;                                        \
	}
RD_REF(rd_table, struct table, tables)
RD_REF(rd_chain, struct chain, chains)
RD_REF(rd_rule, struct rule, rules)
RD_REF(rd_obj, struct obj, objs)

static uint32_t rd_source(struct ir_reader *r, const char *path)
{
	struct diag *d = r->diag;

	for (uint32_t i = 1; i < d->sources.n; i++)
		if (!strcmp(d->sources.v[i]->path, path))
			return i;
	return diag_add_source(d, path, "", 0, (struct loc){ 0 });
}

static bool rd_loc(struct ir_reader *r, struct loc *l)
{
	if (rd_take(r, "place")) {
		l->name = rd_str(r);
		return true;
	}
	if (!rd_take(r, "at"))
		return false;
	l->file = rd_source(r, rd_str(r));
	l->line = (uint32_t)rd_num(r, UINT32_MAX);
	l->col = (uint32_t)rd_num(r, UINT32_MAX);
	l->end_line = (uint32_t)rd_num(r, UINT32_MAX);
	l->end_col = (uint32_t)rd_num(r, UINT32_MAX);
	return true;
}

static struct verdict rd_verdict(struct ir_reader *r)
{
	struct verdict v = { V_DROP, NULL };

	for (uint32_t i = 0; i < ARRAY_SIZE(verdict_words); i++) {
		if (!rd_take(r, verdict_words[i].name))
			continue;
		v.code = verdict_words[i].code;
		if (v.code == V_JUMP || v.code == V_GOTO)
			v.chain = rd_chain(r);
		return v;
	}
	rd_error(r, "verdict expected");
	return v;
}

static struct data rd_data(struct ir_reader *r)
{
	struct data d = { 0 };

	if (r->tok != TK_HEX || r->text_len > DATA_MAX) {
		rd_error(r, "bytes expected, at most %u", DATA_MAX);
		rd_next(r);
		return d;
	}
	d.len = (uint8_t)r->text_len;
	memcpy(d.b, r->text, d.len);
	rd_next(r);
	return d;
}

static struct expr *rd_expr(struct ir_reader *r)
{
	struct expr *e = arena_new_of(r->arena, struct expr);

	if (rd_take(r, "counter")) {
		e->kind = EX_COUNTER;
		e->counter.packets = rd_num(r, UINT64_MAX);
		e->counter.bytes = rd_num(r, UINT64_MAX);
	} else if (rd_take(r, "limit")) {
		e->kind = EX_LIMIT;
		e->limit.rate = rd_num(r, UINT64_MAX);
		e->limit.unit = rd_num(r, UINT64_MAX);
		e->limit.burst = (uint32_t)rd_num(r, UINT32_MAX);
		e->limit.type = (uint32_t)rd_num(r, 1);
		e->limit.inv = rd_num(r, 1);
	} else if (rd_take(r, "quota")) {
		e->kind = EX_QUOTA;
		e->quota.bytes = rd_num(r, UINT64_MAX);
		e->quota.consumed = rd_num(r, UINT64_MAX);
		e->quota.inv = rd_num(r, 1);
		e->quota.depleted = rd_num(r, 1);
	} else if (rd_take(r, "connlimit")) {
		e->kind = EX_CONNLIMIT;
		e->connlimit.count = (uint32_t)rd_num(r, UINT32_MAX);
		e->connlimit.inv = rd_num(r, 1);
	} else if (rd_take(r, "last")) {
		e->kind = EX_LAST;
		e->last.set = rd_num(r, 1);
		e->last.msecs = rd_num(r, UINT64_MAX);
	} else if (rd_take(r, "numgen")) {
		e->kind = EX_NUMGEN;
		e->numgen.type = (uint32_t)rd_num(r, UINT32_MAX);
		e->numgen.mod = (uint32_t)rd_num(r, UINT32_MAX);
		e->numgen.offset = (uint32_t)rd_num(r, UINT32_MAX);
	} else {
		rd_error(r, "stateful expression expected");
	}
	return e;
}

/* One more `expr ...` in an array that grows. */
static bool rd_more_expr(struct ir_reader *r, struct expr ***exprs, uint32_t *n)
{
	struct expr **v;

	if (!rd_take(r, "expr"))
		return false;
	v = arena_array(r->arena, struct expr *, *n + 1);
	if (*n)
		memcpy(v, *exprs, *n * sizeof(*v));
	v[(*n)++] = rd_expr(r);
	*exprs = v;
	return true;
}

/* A word that no reader of options knows; reads over the rest of the line. */
static void rd_bad_option(struct ir_reader *r)
{
	rd_error(r, "unknown word here");
	rd_skip_line(r);
}

static bool at_line_end(const struct ir_reader *r)
{
	return r->tok == TK_NL || r->tok == TK_EOF || r->failed ||
	       (r->tok == TK_PUNCT && r->punct == '{');
}

/* -- the ruleset ------------------------------------------------------------------------------- */

static enum family rd_family(struct ir_reader *r)
{
	static const enum family all[] = { FAM_INET,   FAM_IP,	   FAM_ARP,
					   FAM_NETDEV, FAM_BRIDGE, FAM_IP6 };
	uint64_t n = rd_num(r, FAM_IP6);

	for (uint32_t i = 0; i < ARRAY_SIZE(all); i++)
		if (n == all[i])
			return all[i];
	rd_error(r, "no family has the number %u", (unsigned)n);
	return FAM_INET;
}

static void rd_table_item(struct ir_reader *r)
{
	struct table *t = arena_new_of(r->arena, struct table);

	rd_new_number(r, r->tables.n);
	if (!rd_take(r, "family"))
		rd_error(r, "'family' expected");
	t->family = rd_family(r);
	t->name = rd_str(r);
	if (rd_take(r, "flags"))
		t->flags = (uint32_t)rd_num(r, UINT32_MAX);
	*vec_push(r->arena, &r->tables) = t;
}

static struct table *rd_in_table(struct ir_reader *r)
{
	static struct table none;

	if (!rd_take(r, "table"))
		rd_error(r, "'table' expected");
	return rd_table(r) ?: &none;
}

static void rd_chain_base(struct ir_reader *r, struct chain *c)
{
	c->is_base = true;
	c->type = rd_str(r);
	while (!at_line_end(r)) {
		if (rd_take(r, "hook")) {
			c->hook = (enum hooknum)rd_num(r, HOOK_INGRESS);
		} else if (rd_take(r, "prio")) {
			c->prio = (int32_t)rd_signed(r);
		} else if (rd_take(r, "policy")) {
			c->policy = rd_verdict(r).code;
			c->has_policy = true;
		} else if (rd_take(r, "counter")) {
			c->has_counter = true;
			c->counter_packets = rd_num(r, UINT64_MAX);
			c->counter_bytes = rd_num(r, UINT64_MAX);
		} else {
			return;
		}
	}
}

static void rd_chain_item(struct ir_reader *r)
{
	struct chain *c = arena_new_of(r->arena, struct chain);

	rd_new_number(r, r->chains.n);
	c->table = rd_in_table(r);
	c->name = rd_str(r);
	c->policy = V_ACCEPT;
	while (!at_line_end(r)) {
		if (rd_take(r, "index"))
			c->index = (uint32_t)rd_num(r, UINT32_MAX);
		else if (rd_take(r, "handle"))
			c->handle = rd_num(r, UINT64_MAX);
		else if (rd_take(r, "bound"))
			c->is_bound = true;
		else if (rd_take(r, "base"))
			rd_chain_base(r, c);
		else if (!rd_loc(r, &c->loc))
			rd_bad_option(r);
	}
	*vec_push(r->arena, &r->chains) = c;
	if (!r->failed)
		*vec_push(r->arena, &c->table->chains) = c;
}

static void rd_rule_item(struct ir_reader *r)
{
	struct rule *ru = arena_new_of(r->arena, struct rule);

	rd_new_number(r, r->rules.n);
	while (!at_line_end(r)) {
		if (rd_take(r, "chain"))
			ru->chain = rd_chain(r);
		else if (rd_take(r, "index"))
			ru->index = (uint32_t)rd_num(r, UINT32_MAX);
		else if (rd_take(r, "handle"))
			ru->handle = rd_num(r, UINT64_MAX);
		else if (rd_take(r, "text"))
			ru->text = rd_str(r);
		else if (rd_take(r, "comment"))
			ru->comment = rd_str(r);
		else if (!rd_loc(r, &ru->loc))
			rd_bad_option(r);
	}
	if (!ru->chain && !r->failed)
		rd_error(r, "rule without chain");
	*vec_push(r->arena, &r->rules) = ru;
	if (ru->chain)
		*vec_push(r->arena, &ru->chain->rules) = ru;
}

static void rd_object_item(struct ir_reader *r)
{
	struct obj *o = arena_new_of(r->arena, struct obj);
	struct expr **exprs = NULL;
	uint32_t n = 0;

	rd_new_number(r, r->objs.n);
	o->table = rd_in_table(r);
	if (rd_take(r, "type"))
		o->type = (uint32_t)rd_num(r, UINT32_MAX);
	o->name = rd_str(r);
	while (!at_line_end(r)) {
		if (rd_take(r, "handle"))
			o->handle = rd_num(r, UINT64_MAX);
		else if (!rd_more_expr(r, &exprs, &n) && !rd_loc(r, &o->loc))
			rd_bad_option(r);
	}
	o->expr = n ? exprs[0] : NULL;
	*vec_push(r->arena, &r->objs) = o;
	if (!r->failed)
		*vec_push(r->arena, &o->table->objs) = o;
}

/* -- sets -------------------------------------------------------------------------------------- */

static bool rd_set_option(struct ir_reader *r, struct set *s)
{
	if (rd_take(r, "index")) {
		s->index = (uint32_t)rd_num(r, UINT32_MAX);
	} else if (rd_take(r, "flags")) {
		s->flags = (uint32_t)rd_num(r, UINT32_MAX);
	} else if (rd_take(r, "key")) {
		s->key_len = (uint8_t)rd_num(r, DATA_MAX);
		s->key_type = (uint32_t)rd_num(r, UINT32_MAX);
	} else if (rd_take(r, "fields")) {
		s->n_fields = (uint32_t)rd_num(r, ARRAY_SIZE(s->field_len));
		for (uint32_t i = 0; i < s->n_fields; i++)
			s->field_len[i] = (uint8_t)rd_num(r, DATA_MAX);
	} else if (rd_take(r, "data")) {
		s->data_len = (uint8_t)rd_num(r, DATA_MAX);
		s->data_type = (uint32_t)rd_num(r, UINT32_MAX);
	} else if (rd_take(r, "objects")) {
		s->obj_type = (uint32_t)rd_num(r, UINT32_MAX);
	} else if (rd_take(r, "vmap")) {
		s->is_vmap = true;
	} else if (rd_take(r, "handle")) {
		s->handle = rd_num(r, UINT64_MAX);
	} else if (rd_take(r, "size")) {
		s->size = (uint32_t)rd_num(r, UINT32_MAX);
		s->has_size = true;
	} else if (rd_take(r, "timeout")) {
		s->timeout = rd_num(r, UINT64_MAX);
	} else if (rd_take(r, "gc")) {
		s->gc_int = (uint32_t)rd_num(r, UINT32_MAX);
	} else if (rd_take(r, "keydecl")) {
		s->key_decl = rd_str(r);
	} else if (rd_take(r, "datadecl")) {
		s->data_decl = rd_str(r);
	} else {
		return rd_more_expr(r, &s->exprs, &s->n_exprs) || rd_loc(r, &s->loc);
	}
	return true;
}

static void rd_elem_key(struct ir_reader *r, const struct set *s, struct set_elem *e)
{
	e->catchall = rd_take_punct(r, '*');
	if (!e->catchall) {
		e->key = rd_data(r);
		if (e->key.len != s->key_len && !r->failed)
			rd_error(r, "key has %u bytes, the set's %u", e->key.len, s->key_len);
	}
	if (rd_take(r, "to"))
		e->key_end = rd_data(r);
}

static void rd_elem(struct ir_reader *r, struct set *s)
{
	struct set_elem *e = arena_new_of(r->arena, struct set_elem);

	rd_elem_key(r, s, e);
	while (!at_line_end(r)) {
		if (rd_take(r, "verdict")) {
			e->verdict = rd_verdict(r);
		} else if (rd_take(r, "data")) {
			e->data = rd_data(r);
		} else if (rd_take(r, "object")) {
			e->obj = rd_obj(r);
		} else if (rd_take(r, "timeout")) {
			e->has_timeout = true;
			e->timeout = rd_num(r, UINT64_MAX);
		} else if (rd_take(r, "expires")) {
			e->expires = rd_num(r, UINT64_MAX);
		} else if (rd_take(r, "comment")) {
			e->comment = rd_str(r);
		} else if (!rd_more_expr(r, &e->exprs, &e->n_exprs)) {
			rd_bad_option(r);
		}
	}
	*vec_push(r->arena, &s->elems) = e;
}

static void rd_set_body(struct ir_reader *r, struct set *s, struct ir_set *is)
{
	if (!rd_want_punct(r, '{'))
		return;
	rd_want_nl(r);
	while (!r->failed && !rd_take_punct(r, '}')) {
		if (rd_take(r, "elem")) {
			rd_elem(r, s);
		} else if (rd_take(r, "verdicts")) {
			do
				*vec_push(r->arena, &is->verdicts) = rd_verdict(r);
			while (rd_take_punct(r, ','));
		} else if (rd_take(r, "holds")) {
			do
				*vec_push(r->arena, &is->objs) = rd_obj(r);
			while (rd_take_punct(r, ','));
		} else if (r->tok != TK_NL) { /* the end of the text too */
			rd_error(r, "'elem', 'verdicts', 'holds' or '}' expected");
		}
		rd_want_nl(r);
	}
}

static void rd_set_item(struct ir_reader *r)
{
	struct set *s = arena_new_of(r->arena, struct set);
	struct ir_set is = { .set = s };

	rd_new_number(r, r->mod->sets.n);
	is.kind = rd_take(r, "const") ? SK_CONST : SK_MUTABLE;
	if (is.kind == SK_MUTABLE && !rd_take(r, "mutable"))
		rd_error(r, "'const' or 'mutable' expected");
	s->table = rd_in_table(r);
	s->name = rd_str(r);
	while (!at_line_end(r))
		if (!rd_set_option(r, s))
			rd_bad_option(r);
	rd_set_body(r, s, &is);
	set_note_states(s);
	*vec_push(r->arena, &r->mod->sets) = is;
	if (!r->failed)
		*vec_push(r->arena, &s->table->sets) = s;
}

/* -- states, dynsets, data --------------------------------------------------------------------- */

static void rd_state_item(struct ir_reader *r)
{
	static const char *const kinds[] = { "counter", "limit", "quota", "last", "numgen" };
	struct ir_state st = { .kind = ARRAY_SIZE(kinds) };
	struct expr **exprs = NULL;
	uint32_t n = 0;

	rd_new_number(r, r->mod->states.n);
	for (uint32_t i = 0; i < ARRAY_SIZE(kinds) && st.kind == ARRAY_SIZE(kinds); i++)
		if (rd_take(r, kinds[i]))
			st.kind = (enum ir_state_kind)i;
	if (st.kind == ARRAY_SIZE(kinds))
		rd_error(r, "kind of state expected");
	while (!at_line_end(r)) {
		if (rd_take(r, "rule")) {
			st.rule = rd_rule(r);
			st.expr_index = (uint32_t)rd_num(r, UINT32_MAX);
		} else if (rd_take(r, "object")) {
			st.obj = rd_obj(r);
		} else if (rd_take(r, "policy")) {
			st.policy_of = rd_chain(r);
		} else if (!rd_more_expr(r, &exprs, &n)) {
			rd_bad_option(r);
		}
	}
	st.expr = n ? exprs[0] : NULL;
	*vec_push(r->arena, &r->mod->states) = st;
}

static bool rd_dynset_op(struct ir_reader *r, struct expr *e)
{
	static const char *const ops[] = { "add", "update", "delete" };

	for (uint32_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!rd_take(r, ops[i]))
			continue;
		e->dynset.op = (enum dynset_op)i;
		e->dynset.sreg_key = (uint8_t)rd_num(r, REG_NONE);
		e->dynset.sreg_data = (uint8_t)rd_num(r, REG_NONE);
		return true;
	}
	return false;
}

static void rd_dynset_item(struct ir_reader *r)
{
	struct ir_dynset d = { 0 };
	struct expr *e = arena_new_of(r->arena, struct expr);

	rd_new_number(r, r->mod->dynsets.n);
	e->kind = EX_DYNSET;
	if (!rd_numbered(r, "set", &d.set))
		return;
	if (d.set >= r->mod->sets.n) {
		rd_error(r, "there are only %u sets above", r->mod->sets.n);
		return;
	}
	e->dynset.set = (struct set *)r->mod->sets.v[d.set].set;
	e->dynset.sreg_data = REG_NONE;
	while (!at_line_end(r)) {
		if (rd_take(r, "rule"))
			d.rule = rd_rule(r);
		else if (rd_take(r, "timeout"))
			e->dynset.timeout = rd_num(r, UINT64_MAX);
		else if (rd_take(r, "inv"))
			e->dynset.inv = true;
		else if (rd_take(r, "exprflag"))
			e->dynset.has_expr_flag = true;
		else if (!rd_dynset_op(r, e) &&
			 !rd_more_expr(r, &e->dynset.exprs, &e->dynset.n_exprs))
			rd_bad_option(r);
	}
	d.expr = e;
	set_note_dynset(e->dynset.set, e);
	*vec_push(r->arena, &r->mod->dynsets) = d;
}

static void rd_data_item(struct ir_reader *r)
{
	struct ir_table t = { 0 };
	struct sbuf b;

	sb_init(&b, r->arena);
	rd_new_number(r, r->mod->tables.n);
	t.name = rd_str(r);
	if (!rd_take(r, "align"))
		rd_error(r, "'align' expected");
	t.align = (uint32_t)rd_num(r, 4096);
	rd_want_punct(r, '{');
	while (!r->failed && !rd_take_punct(r, '}')) {
		if (r->tok == TK_HEX) {
			sb_add(&b, r->text, r->text_len);
			rd_next(r);
		} else if (r->tok == TK_EOF) {
			rd_error(r, "'}' expected");
		}
		rd_want_nl(r);
	}
	t.bytes = (uint8_t *)b.s;
	t.len = (uint32_t)b.n;
	*vec_push(r->arena, &r->mod->tables) = t;
}

bool rd_mod_item(struct ir_reader *r)
{
	static const struct {
		const char *word;
		void (*read)(struct ir_reader *r);
	} items[] = {
		{ "table", rd_table_item },   { "chain", rd_chain_item },
		{ "rule", rd_rule_item },     { "object", rd_object_item },
		{ "set", rd_set_item },	      { "state", rd_state_item },
		{ "dynset", rd_dynset_item }, { "data", rd_data_item },
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(items); i++) {
		if (!rd_take(r, items[i].word))
			continue;
		items[i].read(r);
		return true;
	}
	return false;
}
