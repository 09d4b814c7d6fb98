// SPDX-License-Identifier: GPL-2.0-or-later
/* Elements as they are written, read by the types of their set; maps. */
#include "sema.h"

/* What was shifted (`1 << 4`) has no type but number: it takes the one that it is wanted for. */
static void number_fits(struct tx *t, const struct dtype *want)
{
	if (t->kind == TX_VALUE && t->type->num == TYPE_INTEGER && want && takes_numbers(want))
		t->type = want;
}

/* Words that have a type of their own (protocols, exists) keep it, but in a set without a name. */
static struct tx *ev_typed(struct sema *s, const struct elem_ctx *c, struct ast_expr *e)
{
	uint32_t in_elems = s->in_elems;
	struct tx *t;

	if (c->want_data || c->fill)
		s->in_elems = 0;
	t = ev(s, e);
	s->in_elems = in_elems;
	return t;
}

static struct tx *ev_data(struct sema *s, struct elem_ctx *c, struct ast_expr *e)
{
	struct tx *t;

	e = ast_strip(e);
	if (c->objects) {
		if (e->kind != AX_SYMBOL && e->kind != AX_STRING) {
			diag_error(s->diag, e->loc, "expected the name of an object");
			return NULL;
		}
		t = tx_new(s, TX_OBJ, e->loc);
		t->text = e->text;
		t->constant = true;
		return t;
	}
	s->ctx = c->data;
	t = ev_typed(s, c, e);
	if (!t)
		return NULL;
	if (!t->constant || t->kind == TX_ELEMS || t->kind == TX_SETREF || t->kind == TX_CATCHALL) {
		diag_error(s->diag, t->loc, "value must be a constant");
		return NULL;
	}
	number_fits(t, c->data.type);
	if (!type_compatible(c->data.type, t->type)) {
		diag_error(s->diag, t->loc,
			   "datatype mismatch, expected %s, expression has type %s",
			   c->data.type->desc, t->type->desc);
		return NULL;
	}
	return t;
}

bool data_has_interval(const struct tx *t)
{
	if (t->kind == TX_CONCAT)
		for (uint32_t i = 0; i < t->concat.n; i++)
			if (data_has_interval(t->concat.v[i]))
				return true;
	return t->kind == TX_RANGE || t->kind == TX_PREFIX;
}

bool check_data(struct sema *s, const struct telems *el, bool may)
{
	for (uint32_t i = 0; i < el->v.n; i++)
		if (el->v.v[i].data && data_has_interval(el->v.v[i].data) && !may) {
			diag_error(s->diag, el->v.v[i].data->loc, "value must be a singleton");
			return false;
		}
	return true;
}

/*
 * Moves what was read into the set, and forgets its typed form: a set may hold millions of
 * elements.
 */
#define CHUNK 4096
static bool move_chunk(struct sema *s, struct elem_ctx *c)
{
	bool ok = check_data(s, c->out, c->fill->data_interval) && set_fill(s, c->fill, c->out);

	*c->out = (struct telems){ 0 };
	s->tmp_users--;
	tmp_reset(s);
	s->tmp_users++;
	return ok;
}

static bool add_elem(struct sema *s, struct ast_elem *el, struct elem_ctx *c,
		     struct ast_expr *data);

static bool add_run(struct sema *s, struct ast_expr *run, struct elem_ctx *c, struct ast_expr *data)
{
	struct run_iter it = run_start(run, s->tmp);
	struct ast_elem el;
	bool ok = true;

	while (run_next(&it, &el) && s->diag->errors < ERRORS_COUNTED) {
		ok &= add_elem(s, &el, c, data);
		it.arena = s->tmp;
	}
	return ok;
}

static bool add_elem(struct sema *s, struct ast_elem *el, struct elem_ctx *c, struct ast_expr *data)
{
	struct ast_expr *key = ast_strip(el->key), *d = el->data ? el->data : data;
	struct telem *out;
	struct tx *k, *v = NULL;

	if (key->kind == AX_SET)
		return add_elems(s, key, c, d);
	if (key->kind == AX_RUN)
		return add_run(s, key, c, d);
	if (!!d != c->want_data) {
		diag_error(s->diag, key->loc,
			   c->want_data ? "element of a map has no value"
					: "element of a set has a value: this is no map");
		return false;
	}
	s->ctx = c->key;
	k = ev_typed(s, c, key);
	if (!k)
		return false;
	if (k->kind == TX_SETREF) {
		diag_error(s->diag, k->loc, "set reference cannot be part of another set");
		return false;
	}
	if (!k->constant || k->kind == TX_ELEMS || k->kind == TX_VERDICT) {
		diag_error(s->diag, k->loc, "set member is not constant");
		return false;
	}
	if (c->fill)
		number_fits(k, c->key.type);
	if (c->key.type && k->kind != TX_CATCHALL && !type_compatible(c->key.type, k->type)) {
		diag_error(s->diag, k->loc,
			   "datatype mismatch, expected %s, expression has type %s",
			   c->key.type->desc, k->type->desc);
		return false;
	}
	if (d && !(v = ev_data(s, c, d)))
		return false;
	out = vec_push(s->tmp, &c->out->v);
	*out = (struct telem){ .key = k, .data = v, .opts = el->opts, .loc = el->key->loc };
	if (k->kind != TX_CATCHALL && !is_singleton(k))
		c->out->flags |= SET_INTERVAL | (k->kind == TX_CONCAT ? SET_CONCAT : 0u);
	return !c->fill || c->out->v.n < CHUNK || move_chunk(s, c);
}

bool add_elems(struct sema *s, struct ast_expr *set, struct elem_ctx *c, struct ast_expr *data)
{
	bool ok = true;

	if (++c->depth > 32) {
		diag_error(s->diag, set->loc, "sets are nested too deeply");
		return false;
	}
	s->in_elems++;
	vec_foreach(&set->set->elems, it)
		if (!add_elem(s, it, c, data)) {
			ok = false;
			if (s->diag->errors >= ERRORS_COUNTED)
				break;
		}
	s->in_elems--;
	c->depth--;
	return ok;
}

struct tx *ev_elems(struct sema *s, struct ast_expr *e, bool want_data)
{
	struct elem_ctx c = { .key = s->ctx, .want_data = want_data };
	struct tx *t = tx_new(s, TX_ELEMS, e->loc);

	if (!s->ctx.type || s->ctx.type->num == TYPE_INVALID || s->ctx.type->num == TYPE_VERDICT) {
		diag_error(s->diag, e->loc, "you cannot use a set here, unknown value to use");
		return NULL;
	}
	c.out = arena_new_of(s->tmp, struct telems);
	if (!add_elems(s, e, &c, NULL))
		return NULL;
	t->elems = c.out;
	t->type = c.key.type;
	t->order = c.key.order;
	t->len = c.key.len;
	t->constant = true;
	if (c.out->v.n == 1) {
		const struct ast_elem_opts *opts = c.out->v.v[0].opts;
		struct tx *one = c.out->v.v[0].key;

		if (opts && opts->stmts.n)
			return t;
		if (one->kind == TX_VALUE || one->kind == TX_PREFIX || one->kind == TX_RANGE)
			return one;
	}
	return t;
}

/* -- maps -------------------------------------------------------------------------------------- */

static struct tx *anon_map(struct sema *s, struct tx *t, struct ast_expr *map, struct elem_ctx *c,
			   uint32_t objtype)
{
	struct tx right = { .kind = TX_ELEMS, .elems = c->out };
	struct sset *set;

	if (!add_elems(s, map, c, NULL))
		return NULL;
	if (!c->out->v.n) {
		diag_error(s->diag, map->loc, "map is empty");
		return NULL;
	}
	if (!transfer(s, &t->map.key, &right))
		return NULL;
	set = anon_set(s, map->loc, c->objects ? "__objmap%u" : "__map%u", t->map.key,
		       c->out->flags);
	t->map.set = set;
	if (c->objects) {
		set->set.flags |= SET_OBJECT;
		set->set.obj_type = objtype;
		set->set.data_decl = "object";
		t->type = type_of(TYPE_STRING);
	} else {
		set_data(set, c->data.type, c->data.order, c->data.len);
		for (uint32_t i = 0; i < c->out->v.n; i++) {
			struct tx *d = c->out->v.v[i].data;

			set->data_interval |= data_has_interval(d);
			if (d->kind == TX_CONCAT)
				set->data_tx = fields_copy(s, d);
		}
		if (set->data_interval)
			set->set.data_len = (uint8_t)(ALIGN_UP(set->set.data_len, 4) * 2);
	}
	return set_fill(s, set, c->out) ? t : NULL;
}

static struct tx *named_map(struct sema *s, struct tx *t, struct ast_expr *map, struct elem_ctx *c,
			    uint32_t objtype)
{
	struct sset *set = find_set(s, map->loc, map->text);

	if (!set)
		return NULL;
	if (c->objects ? !(set->set.flags & SET_OBJECT) : !(set->set.flags & SET_MAP)) {
		diag_error(s->diag, map->loc,
			   c->objects ? "\"%s\" is not a map with objects" : "\"%s\" is not a map",
			   map->text);
		return NULL;
	}
	if (c->objects && set->set.obj_type != objtype) {
		diag_error(s->diag, map->loc, "map \"%s\" holds objects of another kind",
			   map->text);
		return NULL;
	}
	t->map.set = set;
	return t;
}

struct tx *ev_map(struct sema *s, struct ast_expr *e, bool objects, uint32_t objtype)
{
	struct tx *t = tx_new(s, TX_MAP, e->loc);
	struct ast_expr *map = ast_strip(e->map.map);
	struct elem_ctx c = { .data = s->ctx, .want_data = true, .objects = objects };
	struct sset *set;

	if (!objects && !s->ctx.type) {
		diag_error(s->diag, e->loc,
			   "a map cannot stand here: nothing says what its values are");
		return NULL;
	}
	c.out = arena_new_of(s->tmp, struct telems);
	ctx_set(s, NULL, ORDER_NONE, 0, 0);
	t->map.key = ev(s, e->map.key);
	if (!t->map.key)
		return NULL;
	if (t->map.key->constant) {
		diag_error(s->diag, t->map.key->loc, "map expression can not be constant");
		return NULL;
	}
	if (t->map.key->kind == TX_CT &&
	    (t->map.key->load.key == KEY_CT_SRC || t->map.key->load.key == KEY_CT_DST)) {
		diag_error(s->diag, t->map.key->loc,
			   "specify either ip or ip6 for address matching");
		return NULL;
	}
	c.key = s->ctx;
	if (map->kind == AX_SET)
		t = anon_map(s, t, map, &c, objtype);
	else if (map->kind == AX_SETREF)
		t = named_map(s, t, map, &c, objtype);
	else {
		diag_error(s->diag, map->loc, "expression is not a map");
		return NULL;
	}
	if (!t)
		return NULL;
	set = t->map.set;
	if (!type_compatible(set->key, t->map.key->type)) {
		diag_error2(s->diag, map->loc, t->map.key->loc,
			    "datatype mismatch, map expects %s, mapping expression has type %s",
			    set->key->desc, t->map.key->type->desc);
		return NULL;
	}
	if (!objects) {
		t->type = set->data;
		t->order = set->data_order;
		t->len = set->data_bits;
	}
	if ((set->set.flags & SET_INTERVAL) && !to_order(s, &t->map.key, ORDER_BIG))
		return NULL;
	ctx_set(s, t->type, t->order, t->len, 0);
	return t;
}

static bool with_data(const struct ast_elem *e)
{
	return e->data || (e->key->kind == AX_RUN && e->key->run.has_data);
}

/* Elements written in a declaration or an `add element`. */
bool fill_set(struct sema *s, struct sset *set, struct ast_expr *e, enum fill how)
{
	bool map = set->set.flags & (SET_MAP | SET_OBJECT), ok;
	struct telems out = { 0 };
	struct elem_ctx c = { .want_data = map,
			      .out = &out,
			      .objects = set->set.flags & SET_OBJECT };

	e = ast_strip(e);
	if (e->kind != AX_SET) {
		diag_error(s->diag, e->loc, "unexpected elements of %s \"%s\", missing { }?",
			   map ? "map" : "set", set->set.name);
		return false;
	}
	ctx_set(s, set->key, set->key_order, set->key_bits, 0);
	if (set->key->base == BASE_STRING)
		s->ctx.order = ORDER_HOST;
	s->ctx.key = set->key_tx;
	c.key = s->ctx;
	if (set->data) {
		ctx_set(s, set->data, set->data_order, set->data_bits, 0);
		s->ctx.key = set->data_tx;
		c.data = s->ctx;
	}
	s->tmp_users++;
	if (how != FILL_ADD) { /* `delete element t m { key }` may leave the value out */
		c.want_data = map && e->set->elems.n && with_data(&e->set->elems.v[0]);
		ok = add_elems(s, e, &c, NULL) && check_data(s, c.out, set->data_interval) &&
		     set_delete(s, set, c.out, how == FILL_DESTROY);
	} else {
		c.fill = set;
		ok = add_elems(s, e, &c, NULL) && move_chunk(s, &c);
	}
	s->tmp_users--;
	return ok;
}

bool fill_declared(struct sema *s, struct ast_set *a)
{
	struct sset *set = strmap_get(&s->tab->sets, a->name, strlen(a->name));

	if (!set || !a->elems)
		return true;
	return fill_set(s, set, a->elems, FILL_ADD);
}
