// SPDX-License-Identifier: GPL-2.0-or-later
/* Statements that use objects, and those that add to sets. */
#include "sema.h"

struct ts *st_objref(struct sema *s, struct ast_stmt *st)
{
	struct ast_expr *ref = ast_strip(st->objref.ref);
	uint32_t type = obj_type(st->objref.what);
	struct expr *e = new_expr(s, EX_OBJREF, st->loc);
	struct ts *out;
	struct tx *m;

	e->objref.type = type;
	if (ref->kind == AX_MAP) {
		m = ev_map(s, ref, true, type);
		if (!m)
			return NULL;
		e->objref.set = &m->map.set->set;
		out = ts_emit(s, TS_OBJREF, st->loc);
		out->a = m->map.key;
		out->ready = e;
		return out;
	}
	if (ref->kind != AX_SYMBOL && ref->kind != AX_STRING) {
		diag_error(s->diag, ref->loc, "expected the name of a %s or a map",
			   st->objref.what);
		return NULL;
	}
	e->objref.obj = find_obj(s, ref->loc, type, ref->text);
	if (!e->objref.obj)
		return NULL;
	out = ts_emit(s, TS_EXPR, st->loc);
	out->ready = e;
	return out;
}

static bool dyn_opts(struct sema *s, const struct ast_elem_opts *o, struct loc loc, struct expr *e)
{
	const struct set *set = e->dynset.set;

	if (!o)
		return true;
	if (o->timeout && !(set->flags & SET_TIMEOUT)) {
		diag_error2(s->diag, loc, set->loc,
			    "set \"%s\" has no timeouts: declare it with flags timeout", set->name);
		return false;
	}
	if (o->comment) {
		diag_error(s->diag, loc, "key expression comments are not supported");
		return false;
	}
	e->dynset.timeout = o->timeout;
	e->dynset.n_exprs = o->stmts.n;
	e->dynset.exprs = arena_array(s->arena, struct expr *, o->stmts.n);
	e->dynset.has_expr_flag = o->stmts.n > 1;
	for (uint32_t i = 0; i < o->stmts.n; i++) {
		e->dynset.exprs[i] = stateful(s, o->stmts.v[i]);
		if (!e->dynset.exprs[i])
			return false;
	}
	return true;
}

/*
 * What the kernel asks of statements in elements: those of the set, in their order; counts of
 * connections have no timeouts.
 */
static bool states_fit(struct sema *s, const struct set *set, struct loc loc, const struct expr *e)
{
	bool same = !set->n_exprs || !e->dynset.n_exprs || set->n_exprs == e->dynset.n_exprs;

	for (uint32_t i = 0; i < e->dynset.n_exprs; i++) {
		enum expr_kind k = e->dynset.exprs[i]->kind;

		same = same && (!set->n_exprs || set->exprs[i]->kind == k);
		if (k == EX_CONNLIMIT && set->flags & SET_TIMEOUT) {
			diag_error(s->diag, loc,
				   "ct count cannot be in a set whose elements time out");
			return false;
		}
	}
	if (!same)
		diag_error2(s->diag, loc, set->loc,
			    "statements of the element are not those of set \"%s\"", set->name);
	return same;
}

/* What the kernel does to a set without a size as soon as a rule adds to it. */
static void sized(struct set *s)
{
	if (!s->size)
		s->size = DYNSET_SIZE_DEFAULT;
}

/*
 * nft makes a set dynamic that a rule changes, but not a map: as it was declared, the kernel must
 * have chosen a kind that rules can change. With a size and nothing else it takes a table of that
 * size, which they cannot.
 */
static bool rules_may_write(struct sema *s, struct set *set, struct loc loc)
{
	if (!(set->flags & SET_MAP)) {
		set->flags |= SET_EVAL;
		return true;
	}
	if (!set->has_size || set->flags & (SET_EVAL | SET_TIMEOUT))
		return true;
	diag_error2(
		s->diag, loc, set->loc,
		"rules cannot change map \"%s\", which has a size: declare it with 'flags dynamic'",
		set->name);
	return false;
}

/* A rule adds what is in registers: constants among it are single values. */
static bool one_value(struct sema *s, const struct tx *t)
{
	if (!t->constant || is_singleton(t))
		return true;
	diag_error(s->diag, t->loc, "a rule adds single values, no ranges or sets");
	return false;
}

/*
 * A key or value of the set's type, a mark in its byte order: others have it. Raw bytes are of any
 * type of their length, as nft 1.0 has it: what has lost its name in print is read again.
 */
static bool as_wanted(struct sema *s, const struct dtype *type, uint32_t bits,
		      enum byte_order order, struct tx **t)
{
	if ((*t)->kind == TX_PAYLOAD && !(*t)->pay.field && (*t)->type->num == TYPE_INTEGER &&
	    (*t)->len == bits && type->num != TYPE_MARK)
		return true;
	return arg_ok(s, type, bits, order, t) &&
	       ((*t)->constant || type->num != TYPE_MARK || to_order(s, t, order));
}

struct ts *st_dynset(struct sema *s, struct ast_stmt *st)
{
	const struct ast_dynset *d = st->dynset;
	struct sset *set = find_set(s, d->set_loc, d->set);
	struct expr *e = new_expr(s, EX_DYNSET, st->loc);
	struct tx *key, *data = NULL;
	struct ts *out;

	if (!set)
		return NULL;
	if (!!d->elem.data != !!(set->set.flags & SET_MAP) && d->op != ADYN_DELETE) {
		diag_error(s->diag, d->set_loc,
			   d->elem.data ? "\"%s\" is not a map" : "\"%s\" is a map: give a value",
			   d->set);
		return NULL;
	}
	ctx_set(s, set->key, set->key->base == BASE_STRING ? ORDER_HOST : set->key_order,
		set->key_bits, 0);
	s->ctx.key = set->key_tx;
	key = ev(s, d->elem.key);
	if (!key)
		return NULL;
	if (!one_value(s, key))
		return NULL;
	if (!as_wanted(s, set->key, set->key_bits, set->key_order, &key))
		return NULL;
	if (d->elem.data) {
		ctx_set(s, set->data, set->data_order, set->data_bits, 0);
		s->ctx.key = set->data_tx;
		data = ev(s, d->elem.data);
		if (!data || !as_wanted(s, set->data, set->data_bits, set->data_order, &data) ||
		    !one_value(s, data))
			return NULL;
	}
	e->dynset.op = (enum dynset_op)d->op;
	e->dynset.set = &set->set;
	sized(&set->set);
	if (!dyn_opts(s, d->elem.opts, key->loc, e) || !states_fit(s, &set->set, st->loc, e))
		return NULL;
	if (!rules_may_write(s, &set->set, d->set_loc))
		return NULL;
	out = ts_emit(s, TS_DYNSET, st->loc);
	out->a = key;
	out->b = data;
	out->ready = e;
	return out;
}

/* A meter of which there is one already, or a set, must be the same. */
static bool meter_fits(struct sema *s, struct loc loc, const struct set *set,
		       const struct ast_meter *m)
{
	bool timeout = m->elem.opts && m->elem.opts->has_timeout;
	uint32_t size = set->has_size ? set->size : 0;

	if (m->has_size && m->size != size) {
		diag_error2(s->diag, loc, set->loc,
			    "\"%s\" is there with size %u, the meter has %u", m->name, size,
			    m->size);
		return false;
	}
	if (timeout != !!(set->flags & SET_TIMEOUT))
		diag_error2(s->diag, loc, set->loc, "\"%s\" is there %s timeouts, the meter is %s",
			    m->name, timeout ? "without" : "with", timeout ? "with" : "without");
	return timeout == !!(set->flags & SET_TIMEOUT);
}

struct ts *st_meter(struct sema *s, struct ast_stmt *st)
{
	const struct ast_meter *m = st->meter;
	const struct ast_elem_opts *o = m->elem.opts;
	struct sset *set = strmap_get(&s->tab->sets, m->name, strlen(m->name));
	struct expr *e = new_expr(s, EX_DYNSET, st->loc);
	bool old = set;
	struct tx *key;
	struct ts *out;

	ctx_set(s, NULL, ORDER_NONE, 0, 0);
	key = ev(s, m->elem.key);
	if (!key)
		return NULL;
	if (key->constant) {
		diag_error(s->diag, key->loc, "meter key expression can not be constant");
		return NULL;
	}
	if (!set) {
		set = anon_set(s, st->loc, "__set%u", key, 0);
		s->tab->n_anon_sets--;
		set->set.name = m->name;
		set->set.flags = SET_EVAL;
		*strmap_put(&s->tab->sets, m->name, strlen(m->name)) = set;
	} else if (!type_equal(set->key, key->type)) {
		diag_error(s->diag, st->loc, "meter \"%s\" exists already with another key",
			   m->name);
		return NULL;
	}
	if (old && !meter_fits(s, st->loc, &set->set, m))
		return NULL;
	if (o && o->has_timeout)
		set->set.flags |= SET_TIMEOUT;
	if (m->has_size) {
		set->set.has_size = true;
		set->set.size = m->size;
	}
	e->dynset.op = o && o->has_timeout ? DYN_UPDATE : DYN_ADD;
	e->dynset.set = &set->set;
	sized(&set->set);
	if (!dyn_opts(s, o, key->loc, e) || !states_fit(s, &set->set, st->loc, e))
		return NULL;
	e->dynset.has_expr_flag = false;
	out = ts_emit(s, TS_DYNSET, st->loc);
	out->a = key;
	out->ready = e;
	return out;
}
