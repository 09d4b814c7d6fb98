// SPDX-License-Identifier: GPL-2.0-or-later
/* setindex: makes the index, field by field, class by class (see setindex.h). */
#include <stdlib.h>

#include "setindex.h"

#define WORK_MAX (1u << 27) /* elements looked at in all */
#define NONE	 UINT32_MAX
#define NOWHERE	 UINT64_MAX

typedef unsigned __int128 num;

/* A list of elements in the pool, and what tells it from all others. */
struct class
{
	uint32_t at, n;
	uint64_t name;
};

struct edge {
	num at;
	uint32_t elem; /* place in v */
	bool end;
};

struct mk {
	struct arena *a; /* of this run */
	struct arena *out_arena;
	const struct setindex_elem *v;
	uint32_t n_fields;
	const uint8_t *field_len;
	bool timeouts;
	struct setindex *out;
	VEC(uint32_t) pool;
	VEC(struct class) now, next; /* classes before and after the field at hand */
	uint32_t *slots;	     /* of next, by hash; + 1 */
	uint32_t n_slots;
	uint32_t field, offset; /* at hand; its first byte in the key */
	struct edge *edges;
	uint32_t *active, *merged; /* elements that cover the point at hand, ascending */
	uint8_t *gone;
	uint64_t work;
	const char *why;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static num number(const uint8_t *b, uint32_t len)
{
	num v = 0;

	for (uint32_t i = 0; i < len; i++)
		v = v << 8 | b[i];
	return v;
}

/* -- classes ----------------------------------------------------------------------------------- */

static void grow_slots(struct mk *m)
{
	m->n_slots = m->n_slots ? m->n_slots * 2 : 1024;
	m->slots = arena_array(m->a, uint32_t, m->n_slots);
	for (uint32_t c = 0; c < m->next.n; c++) {
		uint32_t i = (uint32_t)m->next.v[c].name & (m->n_slots - 1);

		while (m->slots[i])
			i = (i + 1) & (m->n_slots - 1);
		m->slots[i] = c + 1;
	}
}

/* The class of the active elements; equal lists are one class. */
static uint64_t class_of(struct mk *m, uint32_t n)
{
	struct class c = { .n = n };
	uint32_t i;

	c.name = mix(m->field + 1);
	for (uint32_t k = 0; k < n; k++)
		c.name = mix(c.name * 0xd1342543de82ef95ull + m->v[m->active[k]].number);
	if (2 * m->next.n >= m->n_slots)
		grow_slots(m);
	for (i = (uint32_t)c.name & (m->n_slots - 1); m->slots[i]; i = (i + 1) & (m->n_slots - 1)) {
		const struct class *o = &m->next.v[m->slots[i] - 1];

		if (o->name != c.name)
			continue;
		if (o->n != n || memcmp(m->pool.v + o->at, m->active, n * sizeof(uint32_t)) != 0)
			m->why = "two lists of elements have one name";
		return o->name;
	}
	c.at = m->pool.n;
	for (uint32_t k = 0; k < n; k++)
		*vec_push(m->a, &m->pool) = m->active[k];
	*vec_push(m->a, &m->next) = c;
	m->slots[i] = m->next.n;
	return c.name;
}

/* Where a key in all active elements goes on. */
static uint64_t target(struct mk *m, uint32_t n)
{
	if (m->field + 1 < m->n_fields)
		return class_of(m, n);
	if (n > 1 && m->timeouts)
		m->why = "elements that time out overlap";
	return m->v[m->active[0]].number;
}

/* -- nodes ------------------------------------------------------------------------------------- */

static void add_node(struct mk *m, uint64_t class, uint64_t to, num at, uint32_t low)
{
	uint32_t len = m->field_len[m->field];
	struct setindex_node *n;

	if (m->out->nodes.n >= SETINDEX_NODES / 2) {
		m->why = "its ranges are cut into too many prefixes";
		return;
	}
	n = vec_push(m->out_arena, &m->out->nodes);
	*n = (struct setindex_node){
		.field = m->field, .class = class, .to = to, .bits = 8 * len - low
	};
	for (uint32_t i = len; i-- > 0; at >>= 8)
		n->value[i] = (uint8_t)at;
}

/* [lo, hi] as prefixes. */
static void add_range(struct mk *m, uint64_t class, uint64_t to, num lo, num hi)
{
	uint32_t bits = 8u * m->field_len[m->field];

	for (;;) {
		uint32_t low = 0;

		while (low < bits && !(lo >> low & 1) && (lo | (((num)2 << low) - 1)) <= hi)
			low++;
		add_node(m, class, to, lo, low);
		lo |= low == 128 ? ~(num)0 : ((num)1 << low) - 1;
		if (lo >= hi || m->why)
			return;
		lo++;
	}
}

/* -- a class, by the values of a field --------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->elem < y->elem ? -1 : x->elem > y->elem;
}

/* Ends stand one behind the last value; where that is past the field's end there is none. */
static uint32_t find_edges(struct mk *m, const struct class *c)
{
	uint32_t len = m->field_len[m->field], n = 0;

	for (uint32_t k = 0; k < c->n; k++) {
		uint32_t e = m->pool.v[c->at + k];
		num end = number(m->v[e].hi + m->offset, len) + 1;

		m->edges[n++] = (struct edge){ number(m->v[e].lo + m->offset, len), e, false };
		if (end && (len == SETINDEX_FIELD_MAX || !(end >> 8 * len)))
			m->edges[n++] = (struct edge){ end, e, true };
	}
	qsort(m->edges, n, sizeof(*m->edges), by_place);
	return n;
}

/* The active elements after the edges [from, to), which lie at one place. */
static uint32_t step(struct mk *m, uint32_t n, uint32_t from, uint32_t to)
{
	uint32_t k = 0, out = 0, *swap;

	for (uint32_t i = from; i < to; i++)
		m->gone[m->edges[i].elem] = m->edges[i].end;
	for (uint32_t i = from; i <= to; i++) {
		uint32_t e = i < to ? m->edges[i].elem : NONE;

		if (i < to && m->edges[i].end)
			continue;
		for (; k < n && m->active[k] < e; k++)
			if (!m->gone[m->active[k]])
				m->merged[out++] = m->active[k];
		if (i < to)
			m->merged[out++] = e;
	}
	for (uint32_t i = from; i < to; i++)
		m->gone[m->edges[i].elem] = 0;
	m->work += n + out;
	swap = m->active;
	m->active = m->merged;
	m->merged = swap;
	return out;
}

static void split_class(struct mk *m, struct class c)
{
	uint32_t n_edges = find_edges(m, &c), bits = 8u * m->field_len[m->field];
	num last = bits == 128 ? ~(num)0 : ((num)1 << bits) - 1, start = 0;
	uint64_t class = c.name, to = NOWHERE;
	uint32_t n = 0;

	for (uint32_t i = 0, k; i < n_edges && !m->why; i = k) {
		num at = m->edges[i].at;
		uint64_t next;

		for (k = i; k < n_edges && m->edges[k].at == at;)
			k++;
		n = step(m, n, i, k);
		next = n ? target(m, n) : NOWHERE;
		if (next == to)
			continue;
		if (to != NOWHERE)
			add_range(m, class, to, start, at - 1);
		start = at;
		to = next;
	}
	if (to != NOWHERE && !m->why)
		add_range(m, class, to, start, last);
	if (m->work > WORK_MAX)
		m->why = "its ranges overlap in too many ways";
}

static void first_class(struct mk *m, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		*vec_push(m->a, &m->pool) = k;
	*vec_push(m->a, &m->now) = (struct class){ .n = n };
}

static void next_field(struct mk *m)
{
	for (uint32_t c = 0; c < m->now.n && !m->why; c++)
		split_class(m, m->now.v[c]);
	m->now.v = m->next.v;
	m->now.n = m->next.n;
	m->now.cap = m->next.cap;
	memset(&m->next, 0, sizeof(m->next));
	m->slots = NULL;
	m->n_slots = 0;
	m->offset += ALIGN_UP(m->field_len[m->field], 4u);
}

const char *setindex_build(struct arena *a, const struct setindex_elem *v, uint32_t n,
			   uint32_t n_fields, const uint8_t *field_len, bool timeouts,
			   struct setindex *out)
{
	struct mk m = { .a = arena_new(),
			.out_arena = a,
			.v = v,
			.n_fields = n_fields,
			.field_len = field_len,
			.timeouts = timeouts,
			.out = out };

	for (uint32_t f = 0; f < n_fields; f++)
		if (field_len[f] > SETINDEX_FIELD_MAX)
			m.why = "a field is longer than 16 bytes";
	m.edges = arena_array(m.a, struct edge, 2 * (size_t)n);
	m.active = arena_array(m.a, uint32_t, n);
	m.merged = arena_array(m.a, uint32_t, n);
	m.gone = arena_array(m.a, uint8_t, n);
	first_class(&m, n);
	for (; m.field < n_fields && !m.why && n; m.field++)
		next_field(&m);
	arena_free(m.a);
	return m.why;
}

void setindex_key(const struct setindex_node *node, struct setindex_key *k)
{
	k->prefix_len = SETINDEX_KEY_BITS + node->bits;
	k->field = node->field;
	k->class = node->class;
	memcpy(k->value, node->value, sizeof(k->value));
}

/* -- sets -------------------------------------------------------------------------------------- */

bool setindex_is_for(const struct set *s)
{
	if (!(s->flags & SET_INTERVAL))
		return false;
	for (uint32_t i = 0; i < s->n_states; i++)
		if (s->states[i]->kind != EX_COUNTER)
			return true; /* one range, one state */
	return s->n_fields > 1;
}

const char *setindex_of(struct arena *a, const struct set *s, struct setindex *out)
{
	struct setindex_elem *v = arena_array(a, struct setindex_elem, s->elems.n);
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->elems.n; i++) {
		const struct set_elem *e = s->elems.v[i];

		if (!e->catchall)
			v[n++] = (struct setindex_elem){ i + 1, e->key.b,
							 e->key_end.len ? e->key_end.b : e->key.b };
	}
	return setindex_build(a, v, n, s->n_fields > 1 ? s->n_fields : 1,
			      s->n_fields > 1 ? s->field_len : &s->key_len, s->flags & SET_TIMEOUT,
			      out);
}

const char *setindex_check(const struct set *s)
{
	struct arena *a = arena_new();
	struct setindex x = { 0 };
	const char *why = setindex_of(a, s, &x);

	arena_free(a);
	return why;
}
