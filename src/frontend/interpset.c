// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * interpset: the interpreter's sets: what the kernel's set types find, and how rules change them.
 */
#include <stdlib.h>

#include "interp_int.h"

#define BUCKETS_MIN 16u

void istate_init(struct interp_state *st, const struct expr *e)
{
	st->expr = e;
	switch (e->kind) {
	case EX_COUNTER:
		st->counter.packets = e->counter.packets;
		st->counter.bytes = e->counter.bytes;
		break;
	case EX_LIMIT:
		st->limit.tokens = UINT64_MAX; /* full: cut to its maximum when first used */
		break;
	case EX_QUOTA:
		st->quota.consumed = e->quota.consumed;
		break;
	case EX_NUMGEN:
		st->numgen.counter = e->numgen.mod - 1; /* so that the first number is 0 */
		break;
	default:
		break;
	}
}

static bool expired(const struct ielem *el, uint64_t now)
{
	return el->pub.expires_at_ns && now >= el->pub.expires_at_ns;
}

/* -- finding ----------------------------------------------------------------------------------- */

static uint32_t hash_key(const uint8_t *k, unsigned int len)
{
	uint32_t h = 2166136261u;

	for (unsigned int i = 0; i < len; i++)
		h = (h ^ k[i]) * 16777619u;
	return h ^ h >> 15;
}

static struct ielem *find_hash(const struct iset *s, const uint8_t *key, uint64_t now)
{
	unsigned int len = s->s->key_len;
	struct ielem *el = s->bucket[hash_key(key, len) & (s->n_buckets - 1)];

	for (; el; el = el->next)
		if (!memcmp(el->pub.key.b, key, len) && !expired(el, now))
			return el;
	return NULL;
}

static struct ielem *find_sorted(const struct iset *s, const uint8_t *key, uint64_t now)
{
	unsigned int len = s->s->key_len;
	uint32_t lo = 0, hi = s->n; /* the last element with start <= key stands before hi */

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (memcmp(s->v[mid]->pub.key.b, key, len) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!hi || memcmp(s->v[hi - 1]->pub.key_end.b, key, len) < 0 || expired(s->v[hi - 1], now))
		return NULL;
	return s->v[hi - 1];
}

static bool in_ranges(const struct set *s, const struct interp_elem *el, const uint8_t *key)
{
	unsigned int at = 0;

	for (uint32_t f = 0; f < s->n_fields; f++) {
		unsigned int len = s->field_len[f];

		if (memcmp(key + at, el->key.b + at, len) < 0 ||
		    memcmp(key + at, el->key_end.b + at, len) > 0)
			return false;
		at += ALIGN_UP(len, 4);
	}
	return true;
}

struct ielem *iset_find(struct iset *s, const uint8_t *key, uint64_t now)
{
	struct ielem *el = NULL;

	switch (s->form) {
	case ISET_HASH:
		el = find_hash(s, key, now);
		break;
	case ISET_SORTED:
		el = find_sorted(s, key, now);
		break;
	case ISET_LIST:
		for (uint32_t i = 0; i < s->n && !el; i++)
			if (in_ranges(s->s, &s->v[i]->pub, key) && !expired(s->v[i], now))
				el = s->v[i];
		break;
	}
	if (!el && s->catchall && !expired(s->catchall, now))
		el = s->catchall;
	return el;
}

/* -- making ------------------------------------------------------------------------------------ */

static void elem_states(struct interp *in, struct ielem *el, struct expr *const *v, uint32_t n)
{
	el->pub.n_states = n;
	el->pub.states = n ? arena_array(in->arena, struct interp_state, n) : NULL;
	for (uint32_t i = 0; i < n; i++)
		istate_init(&el->pub.states[i], v[i]);
}

static void hash_add(struct iset *s, struct ielem *el)
{
	struct ielem **b = &s->bucket[hash_key(el->pub.key.b, s->s->key_len) & (s->n_buckets - 1)];

	el->next = *b;
	*b = el;
	s->live++;
}

static struct ielem *elem_of(struct interp *in, const struct set *s, const struct set_elem *from)
{
	struct ielem *el = arena_new_of(in->arena, struct ielem);
	uint64_t left;

	el->pub.from = from;
	el->pub.key = from->key;
	el->pub.key_end = from->key_end.len ? from->key_end : from->key;
	el->pub.data = from->data;
	el->pub.verdict = from->verdict;
	el->pub.obj = from->obj;
	if (from->verdict.chain)
		el->target = interp_chain(in, from->verdict.chain);
	if (from->obj)
		el->obj_st = interp_obj_state(in, from->obj);
	el->pub.timeout_ms = from->has_timeout ? from->timeout : s->timeout;
	left = from->expires ? from->expires : el->pub.timeout_ms;
	if (el->pub.timeout_ms)
		el->pub.expires_at_ns = left * 1000000;
	elem_states(in, el, from->n_exprs ? from->exprs : s->exprs,
		    from->n_exprs ? from->n_exprs : s->n_exprs);
	return el;
}

static int by_start(const void *a, const void *b)
{
	const struct ielem *x = *(struct ielem *const *)a, *y = *(struct ielem *const *)b;

	return memcmp(x->pub.key.b, y->pub.key.b, x->pub.key.len);
}

struct iset *iset_new(struct interp *in, const struct set *s)
{
	struct iset *is = arena_new_of(in->arena, struct iset);
	uint32_t n = s->elems.n;

	is->s = s;
	is->form = !(s->flags & SET_INTERVAL) ? ISET_HASH
		   : s->n_fields > 1	      ? ISET_LIST
					      : ISET_SORTED;
	if (is->form == ISET_HASH) {
		is->n_buckets = BUCKETS_MIN;
		while (is->n_buckets < MAX(n, MIN(s->size, 1u << 20)))
			is->n_buckets *= 2;
		is->bucket = arena_array(in->arena, struct ielem *, is->n_buckets);
	} else {
		is->v = arena_array(in->arena, struct ielem *, n);
	}
	for (uint32_t i = 0; i < n; i++) {
		struct ielem *el = elem_of(in, s, s->elems.v[i]);

		if (s->elems.v[i]->catchall)
			is->catchall = el;
		else if (is->form == ISET_HASH)
			hash_add(is, el);
		else
			is->v[is->n++] = el;
	}
	if (is->form == ISET_SORTED && is->n)
		qsort(is->v, is->n, sizeof(struct ielem *), by_start);
	return is;
}

/* -- changes by rules -------------------------------------------------------------------------- */

static void delete_elem(struct iset *s, struct ielem *el)
{
	struct ielem **b = &s->bucket[hash_key(el->pub.key.b, s->s->key_len) & (s->n_buckets - 1)];

	while (*b != el)
		b = &(*b)->next;
	*b = el->next;
	s->live--;
	el->next = s->spare;
	s->spare = el;
}

/* The kernel collects what has expired now and then; here it is gone at once. */
static void collect(struct iset *s, uint64_t now)
{
	for (uint32_t i = 0; i < s->n_buckets; i++)
		for (struct ielem *el = s->bucket[i], *next; el; el = next) {
			next = el->next;
			if (expired(el, now))
				delete_elem(s, el);
		}
}

static struct ielem *add_elem(struct irun *x, struct iset *s, const struct expr *e)
{
	uint64_t timeout = e->dynset.timeout ? e->dynset.timeout : s->s->timeout;
	uint32_t max = s->s->size ? s->s->size : DYNSET_SIZE_DEFAULT;
	struct ielem *el = s->spare;
	struct interp_state *states;
	struct expr *const *v = e->dynset.n_exprs ? e->dynset.exprs : s->s->exprs;
	uint32_t n = e->dynset.n_exprs ? e->dynset.n_exprs : s->s->n_exprs;

	if (s->live >= max)
		collect(s, x->p->mono_ns);
	if (s->live >= max)
		return NULL;
	if (el)
		s->spare = el->next;
	else
		el = arena_new_of(x->in->arena, struct ielem);
	states = el->pub.n_states >= n ? el->pub.states : NULL;
	memset(el, 0, sizeof(*el));
	if (states) {
		el->pub.states = states;
		el->pub.n_states = n;
		memset(states, 0, n * sizeof(*states));
		for (uint32_t i = 0; i < n; i++)
			istate_init(&states[i], v[i]);
	} else {
		elem_states(x->in, el, v, n);
	}
	el->pub.key = data_bytes(reg_bytes(x, e->dynset.sreg_key), s->s->key_len);
	if (e->dynset.sreg_data != REG_NONE)
		el->pub.data = data_bytes(reg_bytes(x, e->dynset.sreg_data), s->s->data_len);
	if (s->s->flags & SET_TIMEOUT && timeout) {
		el->pub.timeout_ms = timeout;
		el->pub.expires_at_ns = x->p->mono_ns + timeout * 1000000;
	}
	hash_add(s, el);
	return el;
}

void iset_dynset(struct irun *x, const struct icode *c)
{
	const struct expr *e = c->e;
	const uint8_t *key = reg_bytes(x, e->dynset.sreg_key);
	struct iset *s = c->set;
	struct ielem *el;

	if (s->form != ISET_HASH) { /* no kernel lets a rule change a set of ranges */
		unsupported(x, e);
		return;
	}
	el = find_hash(s, key, x->p->mono_ns);
	if (e->dynset.op == DYN_DELETE) {
		if (el)
			delete_elem(s, el);
		return;
	}
	if (!el)
		el = add_elem(x, s, e);
	if (!el) {
		if (!e->dynset.inv)
			run_break(x);
		return;
	}
	if (e->dynset.op == DYN_UPDATE && el->pub.timeout_ms)
		el->pub.expires_at_ns = x->p->mono_ns +
					(e->dynset.timeout ? e->dynset.timeout : s->s->timeout) *
						1000000;
	for (uint32_t i = 0; i < el->pub.n_states && x->verdict == V_CONTINUE; i++)
		interp_stateful(x, el->pub.states[i].expr, &el->pub.states[i]);
	if (e->dynset.inv && !x->unsupported)
		run_break(x);
}

void interp_elems(const struct interp *in, const struct set *set, uint64_t mono_ns,
		  void (*fn)(const struct interp_elem *el, void *arg), void *arg)
{
	const struct iset *s = strmap_get(&in->sets, (const char *)&set, sizeof(set));

	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_buckets; i++)
		for (const struct ielem *el = s->bucket[i]; el; el = el->next)
			if (!expired(el, mono_ns))
				fn(&el->pub, arg);
	for (uint32_t i = 0; i < s->n; i++)
		if (!expired(s->v[i], mono_ns))
			fn(&s->v[i]->pub, arg);
	if (s->catchall && !expired(s->catchall, mono_ns))
		fn(&s->catchall->pub, arg);
}
