// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets: declarations, anonymous ones, elements to bytes, order, merging and conflicts of intervals.
 */
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
 * A copy of a concatenation, for its fields' types, orders and lengths: the expression itself goes
 * with its rule, and may be converted before while the set keeps its order. NULL for other
 * expressions.
 */
struct tx *fields_copy(struct sema *s, const struct tx *key)
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

static enum byte_order integer_order(const struct dtype *t, enum byte_order o)
{
	return t->num == TYPE_INTEGER ? o : ORDER_NONE;
}

void set_key(struct sema *s, struct sset *set, const struct tx *key)
{
	struct set *st = &set->set;

	set->key = key->type;
	set->key_order = key->type->base == BASE_STRING ? ORDER_BIG : key->order;
	set->key_bits = key->len;
	st->key_type = type_number(key->type);
	st->key_decl = key->type->name;
	st->key_order = integer_order(key->type, key->order);
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

void set_data(struct sset *set, const struct dtype *t, enum byte_order o, uint32_t bits)
{
	set->data = t;
	set->data_order = t->base == BASE_STRING ? ORDER_BIG : o;
	set->data_bits = bits;
	set->set.flags |= SET_MAP;
	set->set.is_vmap = t->num == TYPE_VERDICT;
	set->set.data_type = set->set.is_vmap ? DATA_VERDICT_TYPE : type_number(t);
	set->set.data_order = integer_order(t, o);
	set->set.data_decl = t->num == TYPE_VERDICT ? "verdict" : t->name;
	set->set.data_len = (uint8_t)DIV_ROUND_UP(bits, 8u);
}

/*
 * A key that a shift made is as wide as what was shifted here, not as the field, which decides
 * whether its bytes are swapped back. /
 */
static void shifted_key(struct tx *key)
{
	if (key->kind == TX_BINOP && key->plen)
		key->plen = key->len;
	for (uint32_t i = 0; key->kind == TX_CONCAT && i < key->concat.n; i++)
		shifted_key(key->concat.v[i]);
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

	shifted_key(key);
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

/* -- values to bytes --------------------------------------------------------------------------- */

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

/*
 * Bytes of the first and the last value of t; big says that the set compares them as ordered
 * numbers.
 */
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

/* Doubles the index; where it was forgotten (seen_cap 0), indexes all elements anew. */
static void seen_grow(struct sema *s, struct sset *set)
{
	struct seen *old = set->seen;
	uint32_t n = set->set.elems.n, n_old = set->seen_cap;

	set->seen_cap = MAX(2 * n_old, 16u);
	while (set->seen_cap < n * 2)
		set->seen_cap *= 2;
	set->seen = arena_array(s->arena, struct seen, set->seen_cap);
	for (uint32_t i = 0; i < n && !n_old; i++)
		seen_slot(set, set->set.elems.v[i])->at = i + 1;
	for (uint32_t i = 0; i < n_old; i++) {
		uint32_t k = old[i].hash;

		if (!old[i].at)
			continue;
		while (set->seen[k & (set->seen_cap - 1)].at)
			k++;
		set->seen[k & (set->seen_cap - 1)] = old[i];
	}
}

/* True: new. An element given twice counts once; with other data it is an error. */
static bool add_once(struct sema *s, struct sset *set, const struct set_elem *e, bool *err)
{
	struct seen *slot;
	uint32_t at;

	if ((uint64_t)set->set.elems.n * 4 >= (uint64_t)set->seen_cap * 3)
		seen_grow(s, set);
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
		e->added = set->set.elems.n;
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

/* -- order and merging of intervals ------------------------------------------------------------ */

/* An element with the first bytes of its key: sorting a million of them rarely looks at one. */
struct ranked {
	uint64_t first;
	struct set_elem *e;
};

static struct ranked rank(struct set_elem *e)
{
	struct ranked r = { .e = e };

	for (uint32_t i = 0; i < sizeof(r.first); i++)
		r.first = r.first << 8 | (e->catchall ? 0xff : e->key.b[i]);
	return r;
}

static int by_key(const void *a, const void *b)
{
	const struct ranked *p = a, *q = b;
	const struct set_elem *x = p->e, *y = q->e;
	int d;

	if (p->first != q->first)
		return p->first < q->first ? -1 : 1;
	if (x->catchall != y->catchall)
		return x->catchall ? 1 : -1;
	d = memcmp(x->key.b, y->key.b, x->key.len);
	/* The wider of two with one start comes first, so that it swallows the other. */
	return d ? d : -memcmp(x->key_end.b, y->key_end.b, x->key_end.len);
}

static void sort_by_key(struct sema *s, struct set *st)
{
	struct ranked *v = arena_array(s->tmp, struct ranked, st->elems.n);
	bool sorted = true;

	for (uint32_t i = 0; i < st->elems.n; i++) {
		v[i] = rank(st->elems.v[i]);
		sorted = sorted && (!i || by_key(&v[i - 1], &v[i]) <= 0);
	}
	if (sorted)
		return;
	qsort(v, st->elems.n, sizeof(*v), by_key);
	for (uint32_t i = 0; i < st->elems.n; i++)
		st->elems.v[i] = v[i].e;
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
	bool map = st->flags & (SET_MAP | SET_OBJECT);
	bool merge = (st->flags & SET_ANONYMOUS && !map) || st->auto_merge;
	uint32_t n = 0;

	set->dirty = false;
	set->seen_cap = 0;
	if (set->key->num == TYPE_CONCAT) /* the first that matches counts: they stay in order */
		return true;
	sort_by_key(s, st);
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
		if (over && (!merge || map)) {
			diag_error2(s->diag, e->loc, p->loc, "conflicting intervals specified");
			return false;
		}
		if ((over || follows(&p->key_end, &e->key)) && merge && !map) {
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
			if (!(set->set.flags & SET_INTERVAL))
				set_sort_elems(s->tmp, &set->set);
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
static bool delete_range(struct sema *s, struct sset *set, const struct set_elem *d, bool may_miss)
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
	if (!may_miss)
		diag_error(s->diag, d->loc, "element does not exist");
	return may_miss;
}

bool set_delete(struct sema *s, struct sset *set, struct telems *el, bool may_miss)
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
		if (!delete_range(s, set, &d, may_miss))
			return false;
	}
	set->seen_cap = 0;
	seen_grow(s, set);
	return true;
}
