// SPDX-License-Identifier: GPL-2.0-or-later
/* maps: the maps that hold states and sets. */
#include "isel.h"
#include "setindex.h"

static struct obj_map *map_new(struct cg *cg, const char *name, uint32_t type, uint32_t *index)
{
	struct obj_map *m = arena_new_of(cg->o->arena, struct obj_map);

	*index = cg->o->maps.n;
	*vec_push(cg->o->arena, &cg->o->maps) = m;
	m->name = name;
	m->type = type;
	m->key_size = 4;
	return m;
}

/* 8 bytes of the map of states. */
static struct obj_place other_state(struct cg *cg)
{
	if (!cg->others) {
		cg->others = map_new(cg, "states", BPF_MAP_TYPE_ARRAY, &cg->others_map);
		cg->others->value_size = 8;
		cg->others->role = "states";
	}
	return (struct obj_place){ cg->others_map, cg->others->max_entries++ };
}

/* Room for n elements in all, whose sizes are known. */
static void elems_room(struct cg *cg, struct obj_map *m, uint32_t n)
{
	struct obj_elems old = m->elems, *x = &m->elems;

	x->keys = arena_alloc(cg->o->arena, (size_t)n * m->key_size);
	x->values = arena_alloc(cg->o->arena, (size_t)n * m->value_size);
	x->cap = n;
	if (!old.n)
		return;
	memcpy(x->keys, old.keys, (size_t)old.n * m->key_size);
	memcpy(x->values, old.values, (size_t)old.n * m->value_size);
}

static void add_elem(struct cg *cg, struct obj_map *m, uint32_t bits, const void *key, uint32_t len,
		     const void *value)
{
	struct obj_elems *x = &m->elems;
	uint32_t head = m->type == BPF_MAP_TYPE_LPM_TRIE ? 4 : 0;
	uint8_t *k;

	if (x->n == x->cap)
		elems_room(cg, m, MAX(8u, 2 * x->cap));
	k = x->keys + (size_t)x->n * m->key_size;
	memcpy(k, &bits, head);
	memcpy(k + head, key, len);
	memcpy(x->values + (size_t)x->n++ * m->value_size, value, m->value_size);
}

/* The value that a state starts from: one or two numbers. */
static void start_at(struct cg *cg, struct obj_map *m, uint32_t key, const uint64_t *a,
		     const uint64_t *b)
{
	uint64_t v[2] = { *a, b ? *b : 0 };

	if (v[0] || v[1])
		add_elem(cg, m, 0, &key, 4, v);
}

/* Counters are elements of one map, other states of another; element and map of each are noted. */
static void place_state(struct cg *cg, const struct ir_state *st)
{
	struct obj_place *p = vec_push(cg->o->arena, &cg->o->states);

	if (st->kind != ST_COUNTER) {
		*p = other_state(cg);
		if (st->kind == ST_QUOTA && st->expr)
			start_at(cg, cg->others, p->key, &st->expr->quota.consumed, NULL);
		return;
	}
	if (!cg->counters) {
		cg->counters = map_new(cg, "counters", BPF_MAP_TYPE_PERCPU_ARRAY,
				       &cg->counters_map);
		cg->counters->value_size = 16;
		cg->counters->role = "counters";
		cg->counters->counters = true;
	}
	*p = (struct obj_place){ cg->counters_map, cg->counters->max_entries++ };
	if (st->expr)
		start_at(cg, cg->counters, p->key, &st->expr->counter.packets,
			 &st->expr->counter.bytes);
}

uint32_t cg_next(struct cg *cg, uint32_t fn, uint32_t *map)
{
	struct obj_map *m = cg->nexts;

	if (!m) {
		m = cg->nexts = map_new(cg, "programs", BPF_MAP_TYPE_PROG_ARRAY, &cg->nexts_map);
		m->value_size = 4;
		m->role = "programs";
	}
	*map = cg->nexts_map;
	for (uint32_t k = 0; k < m->progs.n; k++)
		if (m->progs.v[k] == fn)
			return k;
	*vec_push(cg->o->arena, &m->progs) = fn;
	m->max_entries = m->progs.n;
	return m->progs.n - 1;
}

/* -- sets -------------------------------------------------------------------------------------- */

static uint32_t state_size(const struct expr *e)
{
	return e->kind == EX_COUNTER ? 16 : 8;
}

struct set_layout cg_set_layout(const struct set *s)
{
	struct set_layout l = { .exprs = s->states, .n_exprs = s->n_states };

	l.index = setindex_is_for(s);
	l.lpm = s->flags & SET_INTERVAL && !l.index;
	vec_foreach(&s->elems, e)
		l.catchall |= (*e)->catchall;
	l.timeouts = s->flags & SET_TIMEOUT;
	l.key_size = l.index ? 4 : ALIGN_UP(s->key_len, 4) + (l.lpm ? 4 : 0);
	l.data_words = ir_set_words(s);
	l.expr_off = EL_DATA + ALIGN_UP(4 * l.data_words, 8);
	l.value_size = l.expr_off;
	for (uint32_t k = 0; k < l.n_exprs; k++)
		l.value_size += state_size(l.exprs[k]);
	return l;
}

static void put_states(uint8_t *v, const struct set_elem *e)
{
	for (uint32_t k = 0; k < e->n_exprs; v += state_size(e->exprs[k++])) {
		if (e->exprs[k]->kind == EX_COUNTER) {
			memcpy(v, &e->exprs[k]->counter.packets, 8);
			memcpy(v + 8, &e->exprs[k]->counter.bytes, 8);
		} else if (e->exprs[k]->kind == EX_QUOTA) {
			memcpy(v, &e->exprs[k]->quota.consumed, 8);
		}
	}
}

/* The value, into v; its expiry is the time that is left, in ns: who loads it adds the clock. */
static uint8_t *value_of(const struct ir_set *is, const struct set_layout *l,
			 const struct set_elem *e, uint8_t *v)
{
	uint64_t left = e->expires ? e->expires : e->has_timeout ? e->timeout : is->set->timeout;

	left *= l->timeouts ? 1000000 : 0;
	memset(v, 0, l->value_size);
	memcpy(v, &left, 8);
	if (is->verdicts.n || is->objs.n) {
		uint32_t k = ir_set_index(is, e);

		memcpy(v + EL_DATA, &k, 4);
	} else {
		memcpy(v + EL_DATA, e->data.b, MIN(e->data.len, 4 * l->data_words));
	}
	put_states(v + l->expr_off, e);
	return v;
}

/* Makes it the value of prefixes behind the first of a range. */
static void goes_on(uint8_t *value)
{
	uint64_t left;

	memcpy(&left, value, 8);
	left = left ? left | 1 : EL_GOES_ON;
	memcpy(value, &left, 8);
}

/*
 * A range is exactly a few prefixes: how many. value: they are added to m with it, and it changes;
 * NULL: they are only counted.
 */
static uint32_t add_range(struct cg *cg, struct obj_map *m, const struct set_elem *e,
			  uint8_t *value)
{
	const uint8_t *hi = e->key_end.len ? e->key_end.b : e->key.b;
	uint32_t len = e->key.len, bits = 8 * len, low, n = 0;
	uint8_t lo[DATA_MAX];

	memcpy(lo, e->key.b, len);
	do {
		low = range_block(lo, hi, bits);
		if (value)
			add_elem(cg, m, bits - low, lo, len, value);
		if (value && !n)
			goes_on(value);
		n++;
	} while (range_advance(lo, bits, low) && memcmp(lo, hi, len) <= 0);
	return n;
}

#define SET_ENTRIES  65536 /* when the set gives no size */
#define PREALLOC_MAX 131072
#define LPM_ENTRIES  (1u << 24) /* a range is up to 254 prefixes; memory is taken as they come */

/* A map of set n; its name is the set's with a tail. */
static struct obj_map *set_map_new(struct cg *cg, uint32_t n, const char *tail, uint32_t type,
				   uint32_t *index)
{
	const struct set *s = cg->m->sets.v[n].set;
	struct obj_map *m = map_new(cg, arena_printf(cg->o->arena, "set%u%s", n, tail), type,
				    index);

	m->role = arena_printf(cg->o->arena, "set %s %s %s", family_name(s->table->family),
			       s->table->name, s->name);
	if (type != BPF_MAP_TYPE_ARRAY)
		m->flags = BPF_F_NO_PREALLOC;
	return m;
}

static void catchall_map(struct cg *cg, uint32_t n, const struct set_layout *l)
{
	const struct ir_set *is = &cg->m->sets.v[n];
	struct obj_map *m = set_map_new(cg, n, "_all", BPF_MAP_TYPE_HASH, &cg->o->sets.v[n].all);
	static const uint8_t zero[4];
	uint8_t *value = arena_alloc(cg->o->arena, l->value_size);

	m->value_size = l->value_size;
	m->expires = l->timeouts;
	m->max_entries = 1;
	elems_room(cg, m, is->set->elems.n);
	vec_foreach(&is->set->elems, e)
		if ((*e)->catchall)
			add_elem(cg, m, 0, zero, 4, value_of(is, l, *e, value));
}

static void add_index(struct cg *cg, struct obj_map *m, const struct set *s)
{
	struct setindex x = { 0 };
	const char *why = setindex_of(cg->o->arena, s, &x);

	if (why)
		BUG("set %s: %s, and yet it was to be lowered", s->name, why);
	elems_room(cg, m, x.nodes.n);
	vec_foreach(&x.nodes, node) {
		struct setindex_key k = { 0 };

		setindex_key(node, &k);
		add_elem(cg, m, k.prefix_len, (const uint8_t *)&k + 4, sizeof(k) - 4, &node->to);
	}
}

/* The maps beside the elements' own (setindex.h). */
static void index_maps(struct cg *cg, uint32_t n)
{
	const struct set *s = cg->m->sets.v[n].set;
	struct obj_set *maps = &cg->o->sets.v[n];
	struct obj_map *m = set_map_new(cg, n, "_k", BPF_MAP_TYPE_HASH, &maps->keys);
	uint32_t changing;

	m->value_size = 2 * ALIGN_UP(s->key_len, 4);
	m->max_entries = cg->o->maps.v[maps->map]->max_entries;
	elems_room(cg, m, s->elems.n);
	for (uint32_t i = 0; i < s->elems.n; i++) {
		const struct set_elem *e = s->elems.v[i];
		uint8_t v[2 * DATA_MAX] = { 0 };
		uint32_t number = i + 1;

		memcpy(v, e->key.b, e->key.len);
		memcpy(v + m->value_size / 2, e->key_end.len ? e->key_end.b : e->key.b, e->key.len);
		if (!e->catchall)
			add_elem(cg, m, 0, &number, 4, v);
	}
	m = set_map_new(cg, n, "_i", BPF_MAP_TYPE_LPM_TRIE, &maps->nodes);
	m->key_size = sizeof(struct setindex_key);
	m->value_size = 8;
	m->max_entries = SETINDEX_NODES;
	add_index(cg, m, s);
	m = set_map_new(cg, n, "_v", BPF_MAP_TYPE_ARRAY, &changing);
	m->value_size = 4;
	m->max_entries = 1;
}

static uint32_t entries(const struct set *s, const struct set_layout *l, uint32_t n)
{
	if (l->lpm)
		return LPM_ENTRIES;
	if (s->has_size || s->size)
		return MAX(MAX(s->size, n), 1u);
	if (s->flags & SET_EVAL)
		return MAX(n, DYNSET_SIZE_DEFAULT);
	return MAX(2 * n, SET_ENTRIES);
}

/* How many elements of a map the set's are. */
static uint32_t count_elems(const struct set *s, const struct set_layout *l)
{
	uint32_t n = 0;

	vec_foreach(&s->elems, e)
		if (!(*e)->catchall)
			n += l->lpm ? add_range(NULL, NULL, *e, NULL) : 1;
	return n;
}

static void set_map(struct cg *cg, uint32_t n)
{
	const struct ir_set *is = &cg->m->sets.v[n];
	const struct set *s = is->set;
	struct set_layout l = cg_set_layout(s);
	struct obj_map *m = set_map_new(cg, n, "",
					l.lpm ? BPF_MAP_TYPE_LPM_TRIE : BPF_MAP_TYPE_HASH,
					&cg->o->sets.v[n].map);
	uint8_t *v;

	m->key_size = l.key_size;
	m->value_size = l.value_size;
	m->expires = l.timeouts;
	v = arena_alloc(cg->o->arena, l.value_size);
	elems_room(cg, m, count_elems(s, &l));
	for (uint32_t i = 0; i < s->elems.n; i++) {
		const struct set_elem *e = s->elems.v[i];
		uint32_t number = i + 1;
		uint8_t *value;

		if (e->catchall)
			continue;
		value = value_of(is, &l, e, v);
		if (l.lpm)
			add_range(cg, m, e, value);
		else if (l.index)
			add_elem(cg, m, 0, &number, 4, value);
		else
			add_elem(cg, m, 0, e->key.b, e->key.len, value);
	}
	m->max_entries = entries(s, &l, m->elems.n);
	/* Only with elements made beforehand is the size exact while several CPUs add. */
	if (s->flags & SET_EVAL && m->max_entries <= PREALLOC_MAX)
		m->flags &= ~(uint32_t)BPF_F_NO_PREALLOC;
	if (l.index)
		index_maps(cg, n);
	if (l.catchall)
		catchall_map(cg, n, &l);
}

static void place_set(struct cg *cg, uint32_t n)
{
	struct obj_set *p = vec_push(cg->o->arena, &cg->o->sets);
	struct set_layout l;

	p->is_mutable = cg->m->sets.v[n].kind == SK_MUTABLE;
	if (!p->is_mutable)
		return;
	l = cg_set_layout(cg->m->sets.v[n].set);
	p->lpm = l.lpm;
	p->index = l.index;
	p->catchall = l.catchall;
	p->timeouts = l.timeouts;
	p->data_words = l.data_words;
	p->expr_off = l.expr_off;
	if (l.timeouts)
		p->swept = other_state(cg);
	set_map(cg, n);
}

void cg_maps(struct cg *cg)
{
	while (cg->o->states.n < cg->m->states.n)
		place_state(cg, &cg->m->states.v[cg->o->states.n]);
	while (cg->o->sets.n < cg->m->sets.n)
		place_set(cg, cg->o->sets.n);
}
