// SPDX-License-Identifier: GPL-2.0-or-later
/* Sets: declarations, anonymous ones, elements to bytes, order, merging and conflicts of intervals. */
#include <stdlib.h>

#include "sema.h"

static void remember(struct tabinfo *t, struct sset *set)
{
	*strmap_put(&t->sets, set->set.name, strlen(set->set.name)) = set;
}

struct sset *sset_new(struct sema *s, struct tabinfo *t, const char *name, struct loc loc)
{
	struct sset *set = arena_new_of(s->arena, struct sset);

	set->set.table = t->table;
	set->set.name = name;
	set->set.loc = loc;
	set->set.index = t->table->sets.n;
	*vec_push(s->arena, &t->table->sets) = &set->set;
	remember(t, set);
	return set;
}

/*
 * A copy of a concatenation, for its fields' types, orders and lengths: the expression itself goes with its rule, and may be
 * converted before while the set keeps its order. NULL for other expressions.
 */
static struct tx *fields_copy(struct sema *s, const struct tx *key)
{
	struct tx *c, *f;

	if (key->kind != TX_CONCAT)
		return NULL;
	c = arena_dup(s->arena, key, sizeof(*key));
	c->concat.v = arena_array(s->arena, struct tx *, key->concat.n);
	f = arena_array(s->arena, struct tx, key->concat.n);
	for (uint32_t i = 0; i < key->concat.n; i++) {
		const struct tx *from = key->concat.v[i];

		f[i] = (struct tx){ .loc = from->loc,
				    .kind = TX_VALUE,
				    .order = from->order,
				    .type = from->type,
				    .len = from->len };
		c->concat.v[i] = &f[i];
	}
	return c;
}

static void set_key(struct sema *s, struct sset *set, const struct tx *key)
{
	struct set *st = &set->set;

	set->key = key->type;
	set->key_order = key->type->base == BASE_STRING ? ORDER_BIG : key->order;
	set->key_bits = key->len;
	st->key_type = type_number(key->type);
	st->key_decl = key->type->name;
	if (key->kind == TX_CONCAT) {
		set->key_tx = fields_copy(s, key);
		st->n_fields = key->concat.n;
		st->key_len = (uint8_t)(key->len / 8);
		for (uint32_t i = 0; i < key->concat.n; i++)
			st->field_len[i] = (uint8_t)DIV_ROUND_UP(key->concat.v[i]->len, 8u);
	} else {
		st->n_fields = 1;
		st->key_len = st->field_len[0] = (uint8_t)DIV_ROUND_UP(key->len, 8u);
	}
}

static void set_data(struct sset *set, const struct dtype *t, enum byte_order o, uint32_t bits)
{
	set->data = t;
	set->data_order = t->base == BASE_STRING ? ORDER_BIG : o;
	set->data_bits = bits;
	set->set.flags |= SET_MAP;
	set->set.is_vmap = t->num == TYPE_VERDICT;
	set->set.data_type = set->set.is_vmap ? DATA_VERDICT_TYPE : type_number(t);
	set->set.data_decl = t->num == TYPE_VERDICT ? "verdict" : t->name;
	set->set.data_len = (uint8_t)DIV_ROUND_UP(bits, 8u);
}

struct sset *anon_set(struct sema *s, struct loc loc, const char *fmt, struct tx *key,
		      uint32_t flags)
{
	uint32_t *n = fmt[2] == 's'   ? &s->tab->n_anon_sets
		      : fmt[2] == 'm' ? &s->tab->n_anon_maps
				      : &s->tab->n_anon_objmaps;
	struct sset *set = sset_new(s, s->tab,
				    arena_printf(s->arena,
						 fmt[2] == 's'	 ? "__set%u"
						 : fmt[2] == 'm' ? "__map%u"
								 : "__objmap%u",
						 (*n)++),
				    loc);

	set_key(s, set, key);
	set->set.flags = SET_ANONYMOUS | SET_CONSTANT | flags;
	if (!(flags & SET_INTERVAL))
		set->set.flags &= ~(uint32_t)SET_CONCAT;
	set->set.auto_merge = false;
	return set;
}

struct sset *find_set(struct sema *s, struct loc loc, const char *name)
{
	struct sset *set = strmap_get(&s->tab->sets, name, strlen(name));

	if (!set || (set->set.flags & SET_ANONYMOUS)) {
		diag_error(s->diag, loc, "set or map \"%s\" does not exist in table %s %s%s", name,
			   family_name(s->tab->table->family), s->tab->table->name,
			   near_set(s, name));
		return NULL;
	}
	return set;
}

/* -- values to bytes -------------------------------------------------------------------------------------------- */

static enum byte_order value_order(const struct dtype *t, enum byte_order o)
{
	return t->base == BASE_STRING || o == ORDER_NONE ? ORDER_BIG : o;
}

static void put(struct data *d, uint32_t at, u128 v, uint32_t bits, enum byte_order o)
{
	struct data b = value_data(v, bits, o);

	memcpy(d->b + at, b.b, b.len);
}

static u128 low_of(const struct tx *t)
{
	return t->val;
}

static u128 high_of(const struct tx *t)
{
	if (t->kind == TX_RANGE)
		return t->hi;
	if (t->kind == TX_PREFIX)
		return t->val | ones((t->type->base == BASE_STRING ? 128 : t->len) - t->plen);
	return t->val;
}

/* Bytes of the first and the last value of t; big says that the set compares them as ordered numbers. */
static void encode(const struct tx *t, const struct tx *fields, uint32_t bits, enum byte_order o,
		   bool big, struct data *lo, struct data *hi)
{
	uint32_t at = 0;

	memset(lo, 0, sizeof(*lo));
	memset(hi, 0, sizeof(*hi));
	if (t->kind != TX_CONCAT) {
		enum byte_order vo = big ? ORDER_BIG : value_order(t->type, o);

		*lo = value_data(low_of(t), bits, vo);
		*hi = value_data(high_of(t), bits, vo);
		return;
	}
	for (uint32_t i = 0; i < t->concat.n; i++) {
		const struct tx *f = t->concat.v[i], *like = fields ? fields->concat.v[i] : f;
		enum byte_order vo = big ? ORDER_BIG : value_order(f->type, like->order);
		uint32_t len = like->len;

		put(lo, at, low_of(f), len, vo);
		put(hi, at, high_of(f), len, vo);
		at += ALIGN_UP(len, 32u) / 8;
	}
	lo->len = hi->len = (uint8_t)at;
}

static bool elem_data(struct sema *s, struct sset *set, const struct tx *d, struct set_elem *e)
{
	struct data hi;

	if (set->set.flags & SET_OBJECT) {
		e->obj = find_obj(s, d->loc, set->set.obj_type, d->text);
		return e->obj != NULL;
	}
	if (d->kind == TX_VERDICT) {
		e->verdict.code = (enum verdict_code)d->verdict.code;
		e->verdict.chain = d->verdict.chain;
		return true;
	}
	encode(d, set->data_tx, set->data_bits, set->data_order, false, &e->data, &hi);
	if (set->data_interval) {
		memcpy(e->data.b + ALIGN_UP(e->data.len, 4), hi.b, hi.len);
		e->data.len = (uint8_t)(ALIGN_UP(e->data.len, 4) + hi.len);
	}
	return true;
}

static bool elem_opts(struct sema *s, struct sset *set, const struct ast_elem_opts *o,
		      struct set_elem *e)
{
	if (!o) {
		e->exprs = set->set.exprs;
		e->n_exprs = set->set.n_exprs;
		return true;
	}
	if ((o->has_timeout || o->has_expires) && !(set->set.flags & SET_TIMEOUT)) {
		diag_error(s->diag, e->loc,
			   "set \"%s\" has no timeouts: declare it with flags timeout",
			   set->set.name);
		return false;
	}
	e->has_timeout = o->has_timeout || o->timeout_never;
	e->timeout = o->timeout;
	e->expires = o->expires;
	e->comment = o->comment;
	e->exprs = set->set.exprs;
	e->n_exprs = set->set.n_exprs;
	if (!o->stmts.n)
		return true;
	if (!set->set.n_exprs && !(set->set.flags & (SET_EVAL | SET_ANONYMOUS))) {
		diag_error(s->diag, o->stmts.v[0]->loc, "missing statement in set declaration");
		return false;
	}
	if (set->set.n_exprs && set->set.n_exprs != o->stmts.n) {
		diag_error(s->diag, e->loc,
			   "number of statements mismatch, set expects %u but element has %u",
			   set->set.n_exprs, o->stmts.n);
		return false;
	}
	e->n_exprs = o->stmts.n;
	e->exprs = arena_array(s->arena, struct expr *, e->n_exprs);
	for (uint32_t i = 0; i < e->n_exprs; i++) {
		e->exprs[i] = stateful(s, o->stmts.v[i]);
		if (!e->exprs[i])
			return false;
		if (set->set.n_exprs && set->set.exprs[i]->kind != e->exprs[i]->kind) {
			diag_error(s->diag, o->stmts.v[i]->loc,
				   "statement mismatch, set expects %s, but element has %s",
				   expr_kind_name(set->set.exprs[i]->kind),
				   expr_kind_name(e->exprs[i]->kind));
			return false;
		}
	}
	return true;
}

static bool same_value(const struct set_elem *a, const struct set_elem *b)
{
	return data_eq(&a->data, &b->data) && a->verdict.code == b->verdict.code &&
	       a->verdict.chain == b->verdict.chain && a->obj == b->obj;
}

static bool same_key(const struct set_elem *a, const struct set_elem *b)
{
	return a->catchall == b->catchall && data_eq(&a->key, &b->key) &&
	       data_eq(&a->key_end, &b->key_end);
}

static uint64_t hash_data(uint64_t h, const struct data *d)
{
	uint64_t w;
	uint32_t i = 0;

	for (; i + 8 <= d->len; i += 8) {
		memcpy(&w, d->b + i, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, d->b + i, d->len - i);
	h = (h ^ w) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 32;
}

/* The place of e's key in the index: of the element that has it, or the free one where it goes. */
static struct seen *seen_slot(const struct sset *set, const struct set_elem *e)
{
	uint32_t h = (uint32_t)hash_data(hash_data(e->catchall, &e->key), &e->key_end);

	for (uint32_t i = h;; i++) {
		struct seen *slot = &set->seen[i & (set->seen_cap - 1)];

		if (slot->at && (slot->hash != h || !same_key(set->set.elems.v[slot->at - 1], e)))
			continue;
		slot->hash = h;
		return slot;
	}
}

/* Indexes all elements anew, with room for as many again. */
static void seen_rebuild(struct sema *s, struct sset *set)
{
	uint32_t n = set->set.elems.n;

	set->seen_cap = 16;
	while (set->seen_cap < n * 4)
		set->seen_cap *= 2;
	set->seen = arena_array(s->arena, struct seen, set->seen_cap);
	for (uint32_t i = 0; i < n; i++)
		seen_slot(set, set->set.elems.v[i])->at = i + 1;
}

/* True: new. An element given twice counts once; with other data it is an error. */
static bool add_once(struct sema *s, struct sset *set, const struct set_elem *e, bool *err)
{
	struct seen *slot;
	uint32_t at;

	if (set->set.elems.n * 2 >= set->seen_cap)
		seen_rebuild(s, set);
	slot = seen_slot(set, e);
	at = slot->at;
	if (!at) {
		slot->at = set->set.elems.n + 1;
		return true;
	}
	if (!same_value(set->set.elems.v[at - 1], e)) {
		diag_error2(s->diag, e->loc, set->set.elems.v[at - 1]->loc,
			    "element exists already with another value");
		*err = true;
	}
	return false;
}

static bool missing_interval(struct sema *s, struct sset *set, const struct tx *key)
{
	diag_error(s->diag, key->loc,
		   "you must add 'flags interval' to your %s declaration if you want to add %s "
		   "elements",
		   set->set.flags & SET_MAP ? "map" : "set",
		   key->kind == TX_PREFIX ? "prefix" : "range");
	return false;
}

bool set_fill(struct sema *s, struct sset *set, struct telems *el)
{
	bool interval = set->set.flags & SET_INTERVAL, err = false;
	bool merge = interval && set->key->num != TYPE_CONCAT;
	struct set_elem *room = arena_array(s->arena, struct set_elem, el->v.n);

	vec_foreach(&el->v, it) {
		struct set_elem *e = room++;

		e->loc = it->loc;

		if (it->key->kind == TX_CATCHALL) {
			e->catchall = true;
		} else {
			if (!interval && !is_singleton(it->key))
				return missing_interval(s, set, it->key);
			encode(it->key, set->key_tx, set->key_bits, set->key_order, interval,
			       &e->key, &e->key_end);
			if (!interval)
				e->key_end.len = 0;
		}
		if (it->data && !elem_data(s, set, it->data, e))
			return false;
		if (!elem_opts(s, set, it->opts, e))
			return false;
		if ((merge && !e->catchall) || add_once(s, set, e, &err))
			*vec_push(s->arena, &set->set.elems) = e;
		if (err)
			return false;
	}
	set->dirty |= interval;
	if (set->set.has_size && !interval && set->set.elems.n > set->set.size) {
		diag_error(s->diag, set->set.loc,
			   "%s \"%s\" has %u elements, more than its size of %u",
			   set->set.flags & SET_MAP ? "map" : "set", set->set.name,
			   set->set.elems.n, set->set.size);
		return false;
	}
	return true;
}

/* -- order and merging of intervals ------------------------------------------------------------------------------ */

static int by_key(const void *a, const void *b)
{
	const struct set_elem *x = *(struct set_elem *const *)a, *y = *(struct set_elem *const *)b;
	int d;

	if (x->catchall != y->catchall)
		return x->catchall ? 1 : -1;
	d = memcmp(x->key.b, y->key.b, x->key.len);
	/* The wider of two with one start comes first, so that it swallows the other. */
	return d ? d : -memcmp(x->key_end.b, y->key_end.b, x->key_end.len);
}

/* Is b the number after a? */
static bool follows(const struct data *a, const struct data *b)
{
	int i = a->len - 1;

	for (; i >= 0 && a->b[i] == 0xff; i--)
		if (b->b[i])
			return false;
	if (i < 0 || b->b[i] != a->b[i] + 1)
		return false;
	return !memcmp(a->b, b->b, (size_t)i);
}

static bool normalize(struct sema *s, struct sset *set)
{
	struct set *st = &set->set;
	bool merge = (st->flags & (SET_ANONYMOUS | SET_MAP)) == SET_ANONYMOUS || st->auto_merge,
	     sorted = true;
	uint32_t n = 0;

	set->dirty = false;
	set->seen_cap = 0;
	if (set->key->num == TYPE_CONCAT) /* the first that matches counts: they stay in order */
		return true;
	for (uint32_t i = 1; i < st->elems.n && sorted; i++)
		sorted = by_key(&st->elems.v[i - 1], &st->elems.v[i]) <= 0;
	if (!sorted)
		qsort(st->elems.v, st->elems.n, sizeof(*st->elems.v), by_key);
	for (uint32_t i = 0; i < st->elems.n; i++) {
		struct set_elem *e = st->elems.v[i], *p = n ? st->elems.v[n - 1] : NULL;
		bool over;

		if (!p || e->catchall) {
			st->elems.v[n++] = e;
			continue;
		}
		over = memcmp(e->key.b, p->key_end.b, e->key.len) <= 0;
		if (over && data_eq(&e->key, &p->key) && data_eq(&e->key_end, &p->key_end) &&
		    same_value(e, p))
			continue;
		if (over && (!merge || (st->flags & SET_MAP))) {
			diag_error2(s->diag, e->loc, p->loc, "conflicting intervals specified");
			return false;
		}
		if ((over || follows(&p->key_end, &e->key)) && merge && !(st->flags & SET_MAP)) {
			if (memcmp(e->key_end.b, p->key_end.b, e->key.len) > 0)
				p->key_end = e->key_end;
			continue;
		}
		st->elems.v[n++] = e;
	}
	st->elems.n = n;
	return true;
}

bool sets_finish(struct sema *s)
{
	bool ok = true;

	vec_foreach(&s->rs->tables, t) {
		uint32_t i = 0;

		vec_foreach(&(*t)->sets, st) {
			struct sset *set = (struct sset *)*st;

			set->set.index = i++;
			if (set->dirty)
				ok &= normalize(s, set);
		}
	}
	return ok;
}

static void step(struct data *d, int by)
{
	for (int i = d->len - 1; i >= 0; i--) {
		d->b[i] = (uint8_t)(d->b[i] + by);
		if (d->b[i] != (by > 0 ? 0 : 0xff))
			return;
	}
}

/* Takes lo..hi out of the elements: whole ones, and with auto-merge parts of one. */
static bool delete_range(struct sema *s, struct sset *set, const struct set_elem *d)
{
	struct set *st = &set->set;

	for (uint32_t i = 0; i < st->elems.n; i++) {
		struct set_elem *e = st->elems.v[i], *rest;

		if (e->catchall != d->catchall)
			continue;
		if (e->catchall ||
		    (data_eq(&e->key, &d->key) && data_eq(&e->key_end, &d->key_end))) {
			memmove(&st->elems.v[i], &st->elems.v[i + 1],
				sizeof(e) * (st->elems.n - i - 1));
			st->elems.n--;
			return true;
		}
		if (!st->auto_merge || memcmp(e->key.b, d->key.b, e->key.len) > 0 ||
		    memcmp(e->key_end.b, d->key_end.b, e->key.len) < 0)
			continue;
		rest = arena_dup(s->arena, e, sizeof(*e));
		if (data_eq(&e->key, &d->key)) {
			e->key = d->key_end;
			step(&e->key, 1);
		} else {
			e->key_end = d->key;
			step(&e->key_end, -1);
			if (!data_eq(&rest->key_end, &d->key_end)) {
				rest->key = d->key_end;
				step(&rest->key, 1);
				*vec_push(s->arena, &st->elems) = rest;
				set->dirty = true;
				return normalize(s, set);
			}
		}
		return true;
	}
	diag_error(s->diag, d->loc, "element does not exist");
	return false;
}

bool set_delete(struct sema *s, struct sset *set, struct telems *el)
{
	bool interval = set->set.flags & SET_INTERVAL;

	if (set->dirty && !normalize(s, set))
		return false;
	vec_foreach(&el->v, it) {
		struct set_elem d = { .loc = it->loc, .catchall = it->key->kind == TX_CATCHALL };

		if (!d.catchall)
			encode(it->key, set->key_tx, set->key_bits, set->key_order, interval,
			       &d.key, &d.key_end);
		if (!interval)
			d.key_end.len = 0;
		if (!delete_range(s, set, &d))
			return false;
	}
	seen_rebuild(s, set);
	return true;
}

/* -- elements as written ------------------------------------------------------------------------------------------ */

struct elem_ctx {
	struct ectx key, data;
	bool want_data, objects;
	struct telems *out;
	struct sset *fill; /* named sets: takes what is in out from time to time; else NULL */
	uint32_t depth;
};

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
	t = ev(s, e);
	if (!t)
		return NULL;
	if (!t->constant || t->kind == TX_ELEMS || t->kind == TX_SETREF || t->kind == TX_CATCHALL) {
		diag_error(s->diag, t->loc, "value must be a constant");
		return NULL;
	}
	if (!type_equal(t->type, c->data.type)) {
		diag_error(s->diag, t->loc,
			   "datatype mismatch, expected %s, expression has type %s",
			   c->data.type->desc, t->type->desc);
		return NULL;
	}
	return t;
}

static bool add_elems(struct sema *s, struct ast_expr *set, struct elem_ctx *c,
		      struct ast_expr *data);

static bool data_has_interval(const struct tx *t)
{
	if (t->kind == TX_CONCAT)
		for (uint32_t i = 0; i < t->concat.n; i++)
			if (data_has_interval(t->concat.v[i]))
				return true;
	return t->kind == TX_RANGE || t->kind == TX_PREFIX;
}

static bool check_data(struct sema *s, const struct telems *el, bool may)
{
	for (uint32_t i = 0; i < el->v.n; i++)
		if (el->v.v[i].data && data_has_interval(el->v.v[i].data) && !may) {
			diag_error(s->diag, el->v.v[i].data->loc, "value must be a singleton");
			return false;
		}
	return true;
}

/* Moves what was read into the set, and forgets its typed form: a set may hold millions of elements. */
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
	k = ev(s, key);
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
	if (c->key.type && k->kind != TX_CATCHALL && !type_equal(k->type, c->key.type)) {
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

static bool add_elems(struct sema *s, struct ast_expr *set, struct elem_ctx *c,
		      struct ast_expr *data)
{
	bool ok = true;

	if (++c->depth > 32) {
		diag_error(s->diag, set->loc, "sets are nested too deeply");
		return false;
	}
	vec_foreach(&set->set->elems, it)
		if (!add_elem(s, it, c, data)) {
			ok = false;
			if (s->diag->errors >= ERRORS_COUNTED)
				break;
		}
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
	if (c.out->v.n == 1 && !c.out->v.v[0].opts) {
		struct tx *one = c.out->v.v[0].key;

		if (one->kind == TX_VALUE || one->kind == TX_PREFIX || one->kind == TX_RANGE)
			return one;
	}
	return t;
}

/* -- maps --------------------------------------------------------------------------------------------------------- */

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
	if (!type_equal(t->map.key->type, set->key)) {
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

/* -- declarations ------------------------------------------------------------------------------------------------- */

/* `type a . b` as a key: a value, or a concatenation of values. */
static struct tx *type_key(struct sema *s, struct ast_type *a, const char *what)
{
	struct tx *f[CONCAT_MAX], *t;
	const struct dtype *ft[CONCAT_MAX];
	uint32_t n = a->names.n, len = 0;

	if (n > CONCAT_MAX) {
		diag_error(s->diag, a->loc, "too many concatenation components: at most %d",
			   CONCAT_MAX);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		ft[i] = type_by_name(a->names.v[i]);
		if (!ft[i]) {
			diag_error(s->diag, a->name_locs.v[i], "unknown datatype %s",
				   a->names.v[i]);
			return NULL;
		}
		if (!ft[i]->bits && ft[i]->num != TYPE_VERDICT) {
			diag_error(s->diag, a->name_locs.v[i],
				   "unqualified type %s specified in %s definition. Try \"typeof "
				   "expression\" instead of \"type datatype\"",
				   ft[i]->name, what);
			return NULL;
		}
		f[i] = tx_value(s, a->name_locs.v[i], ft[i], ft[i]->order, ft[i]->bits, 0);
		len += ALIGN_UP(ft[i]->bits, 32u);
	}
	if (n == 1)
		return f[0];
	if (len > DATA_MAX * 8) {
		diag_error(s->diag, a->loc, "concatenation of %u bytes is too long: at most %u",
			   len / 8, DATA_MAX);
		return NULL;
	}
	t = tx_new(s, TX_CONCAT, a->loc);
	t->type = type_concat(s->arena, ft, n);
	t->concat.n = n;
	t->concat.v = arena_dup(s->arena, f, sizeof(*f) * n);
	t->len = len;
	t->order = ORDER_BIG;
	return t;
}

static struct tx *decl_key(struct sema *s, struct ast_type *a, const char *what)
{
	struct tx *t = a->typeof_expr ? ev_typeof(s, a->typeof_expr) : type_key(s, a, what);

	if (!t)
		return NULL;
	if (!t->len && t->type->num != TYPE_VERDICT) {
		diag_error(s->diag, a->loc, "unqualified type %s specified in %s definition",
			   t->type->name, what);
		return NULL;
	}
	return t;
}

static bool decl_data(struct sema *s, struct sset *set, struct ast_set *a)
{
	struct tx *d;

	if (a->obj) {
		set->set.flags |= SET_OBJECT;
		set->set.obj_type = obj_type(a->obj);
		set->set.data_decl = a->obj;
		return true;
	}
	if (!a->data) {
		diag_error(s->diag, a->loc, "map definition does not specify mapping data type");
		return false;
	}
	d = decl_key(s, a->data, "map");
	if (!d)
		return false;
	set_data(set, d->type, d->order, d->len);
	if (d->kind == TX_CONCAT)
		set->data_tx = fields_copy(s, d);
	if (a->data->typeof_expr)
		set->set.data_typeof = ast_text(s->arena, s->diag, a->data->typeof_expr->loc);
	if (a->data->interval) {
		set->data_interval = true;
		set->set.data_len = (uint8_t)(ALIGN_UP(set->set.data_len, 4) * 2);
	}
	return true;
}

static bool decl_props(struct sema *s, struct sset *set, struct ast_set *a)
{
	struct set *st = &set->set;

	st->flags |= a->flags;
	if (a->auto_merge && !(a->flags & ASET_INTERVAL)) {
		diag_error(s->diag, a->loc, "auto-merge only works with interval sets");
		return false;
	}
	if ((a->flags & ASET_INTERVAL) && set->key->num == TYPE_CONCAT)
		st->flags |= SET_CONCAT;
	st->timeout = a->has_timeout ? a->timeout : 0;
	if (a->has_timeout && a->timeout)
		st->flags |= SET_TIMEOUT;
	st->gc_int = a->has_gc ? (uint32_t)MIN(a->gc_interval, (uint64_t)UINT32_MAX) : 0;
	st->has_size = a->has_size;
	st->size = a->size;
	st->has_policy = a->policy != NULL;
	st->policy = a->policy && !strcmp(a->policy, "memory");
	st->auto_merge = a->auto_merge;
	st->comment = a->comment;
	if (a->stmts.n) {
		st->exprs = arena_array(s->arena, struct expr *, a->stmts.n);
		st->n_exprs = a->stmts.n;
		for (uint32_t i = 0; i < a->stmts.n; i++) {
			st->exprs[i] = stateful(s, a->stmts.v[i]);
			if (!st->exprs[i])
				return false;
		}
		if (a->stmts.n > 1)
			st->flags |= SET_EXPR;
	}
	return true;
}

bool declare_set(struct sema *s, struct ast_set *a)
{
	const char *what = a->is_map ? "map" : "set";
	struct sset *set = strmap_get(&s->tab->sets, a->name, strlen(a->name));
	struct tx *key;

	if (!a->key) {
		if (set)
			return true;
		diag_error(s->diag, a->loc, "%s definition does not specify key", what);
		return false;
	}
	key = decl_key(s, a->key, what);
	if (!key)
		return false;
	if (set) {
		if (!type_equal(set->key, key->type) ||
		    a->is_map != !!(set->set.flags & (SET_MAP | SET_OBJECT))) {
			diag_error2(s->diag, a->name_loc, set->set.loc,
				    "%s \"%s\" exists already with other types", what, a->name);
			return false;
		}
		return true;
	}
	if (key->type->num == TYPE_VERDICT) {
		diag_error(s->diag, a->key->loc, "a verdict cannot be a key");
		return false;
	}
	set = sset_new(s, s->tab, a->name, a->name_loc);
	set_key(s, set, key);
	if (a->key->typeof_expr)
		set->set.key_typeof = ast_text(s->arena, s->diag, a->key->typeof_expr->loc);
	if (a->is_map && !decl_data(s, set, a))
		return false;
	return decl_props(s, set, a);
}

static bool with_data(const struct ast_elem *e)
{
	return e->data || (e->key->kind == AX_RUN && e->key->run.has_data);
}

/* Elements written in a declaration or an `add element`. */
bool fill_set(struct sema *s, struct sset *set, struct ast_expr *e, bool del)
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
	if (del) { /* `delete element t m { key }` may leave the value out */
		c.want_data = map && e->set->elems.n && with_data(&e->set->elems.v[0]);
		ok = add_elems(s, e, &c, NULL) && check_data(s, c.out, set->data_interval) &&
		     set_delete(s, set, c.out);
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
	return fill_set(s, set, a->elems, false);
}
