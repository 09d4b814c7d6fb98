// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets that the programs keep in maps: elements to keys and values (struct obj_set in obj.h), and
 * back.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

#define EXPIRY_LEN 8  /* before the data in a value */
#define GOES_ON	   1u /* bit of an expiry: of a range's prefixes not the first (struct obj_set) */

uint64_t setmap_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

const struct mf_set *setmap_find(const struct manifest *m, const struct set *s)
{
	const struct mf_set *hit = NULL;

	vec_foreach(&m->sets, ms)
		if (!strcmp(ms->set, s->name) && !strcmp(ms->table, s->table->name) &&
		    !strcmp(ms->family, family_name(s->table->family)))
			hit = ms;
	return hit;
}

const char *setmap_name(const struct mf_set *ms, const char *tail)
{
	static char name[4][32]; /* in turn, so that a few can be in use at once */
	static unsigned int next;

	snprintf(name[next % 4], sizeof(name[0]), "%s%s", ms->map, tail);
	return name[next++ % 4];
}

static bool is_lpm(const struct mf_set *ms)
{
	return !strcmp(ms->layout, "lpm");
}

bool setmap_keys(struct ctl *c, const struct mf_set *ms, const struct set_elem *e,
		 struct setmap_keys *keys)
{
	const uint8_t *hi = e->key_end.len ? e->key_end.b : e->key.b;
	uint32_t len = e->key.len, bits = 8 * len, low, head = is_lpm(ms) ? 4 : 0;
	struct setmap_key *k;
	uint8_t lo[64];

	if (e->catchall || head + len > ms->key_len || ms->key_len > sizeof(k->b) || len > 64)
		return false;
	memcpy(lo, e->key.b, len);
	do {
		low = head ? range_block(lo, hi, bits) : 0;
		k = vec_push(c->arena, &keys->k);
		memset(k, 0, sizeof(*k));
		if (head)
			memcpy(k->b, &(uint32_t){ bits - low }, 4);
		memcpy(k->b + head, lo, len);
	} while (head && range_advance(lo, bits, low) && memcmp(lo, hi, len) <= 0);
	return true;
}

uint8_t *setmap_value(struct ctl *c, const struct mf_set *ms, const struct set *s,
		      const struct set_elem *e)
{
	uint8_t *v = arena_alloc(c->arena, ms->value_len);
	uint64_t left = e->expires ? e->expires : e->has_timeout ? e->timeout : s->timeout;

	if (ms->timeouts && left) {
		left = (left * 1000000 + setmap_now()) & ~(uint64_t)GOES_ON;
		memcpy(v, &left, 8);
	}
	if (s->is_vmap || s->flags & SET_OBJECT) {
		const char *text = s->is_vmap ? verdict_text(c->arena, &e->verdict) : e->obj->name;
		uint32_t i = 0;

		while (i < ms->verdicts.n && strcmp(ms->verdicts.v[i], text) != 0)
			i++;
		if (i == ms->verdicts.n) {
			ctl_error("map %s: no element had the verdict \"%s\" when it was compiled: "
				  "compile again with it",
				  s->name, text);
			return NULL;
		}
		memcpy(v + EXPIRY_LEN, &i, 4);
	} else {
		memcpy(v + EXPIRY_LEN, e->data.b, MIN(e->data.len, 4 * ms->data_words));
	}
	return v;
}

const uint8_t *setmap_goes_on(struct ctl *c, const struct mf_set *ms, const uint8_t *value)
{
	uint8_t *v = arena_dup(c->arena, value, ms->value_len);
	uint64_t expiry;

	memcpy(&expiry, v, 8);
	expiry = expiry ? expiry | GOES_ON : EL_GOES_ON;
	memcpy(v, &expiry, 8);
	return v;
}

/* -- back -------------------------------------------------------------------------------------- */

static bool take_verdict(const struct set *s, const char *text, struct verdict *out)
{
	static const enum verdict_code plain[] = { V_DROP, V_ACCEPT, V_CONTINUE, V_RETURN };
	const char *space = strchr(text, ' ');

	for (size_t i = 0; !space && i < ARRAY_SIZE(plain); i++) {
		struct verdict v = { .code = plain[i] };

		if (!strcmp(verdict_text(NULL, &v), text)) {
			*out = v;
			return true;
		}
	}
	out->code = text[0] == 'j' ? V_JUMP : V_GOTO;
	out->chain = space ? table_chain(s->table, space + 1) : NULL;
	return out->chain;
}

static void take_states(struct ctl *c, const struct mf_set *ms, const struct set *s,
			const uint8_t *v, struct set_elem *e)
{
	const uint8_t *at = v + ms->expr_off;

	e->exprs = arena_array(c->arena, struct expr *, s->n_states + 1);
	for (uint32_t i = 0; i < s->n_states; i++) {
		uint32_t size = s->states[i]->kind == EX_COUNTER ? 16 : 8;
		struct expr *x;

		if (at + size > v + ms->value_len)
			break;
		x = arena_dup(c->arena, s->states[i], expr_size(s->states[i]->kind));
		if (x->kind == EX_COUNTER) {
			memcpy(&x->counter.packets, at, 8);
			memcpy(&x->counter.bytes, at + 8, 8);
		} else if (x->kind == EX_QUOTA) {
			memcpy(&x->quota.consumed, at, 8);
			x->quota.consumed = MIN(x->quota.consumed, x->quota.bytes); /* as nft */
		}
		e->exprs[e->n_exprs++] = x;
		at += size;
	}
}

/* ms that rules give to the elements that they add; 0: the set's. */
static uint64_t rule_timeout(const struct set *s)
{
	vec_foreach(&s->table->chains, c)
		vec_foreach(&(*c)->rules, r)
			vec_foreach(&(*r)->exprs, e)
				if ((*e)->kind == EX_DYNSET && (*e)->dynset.set == s &&
				    (*e)->dynset.timeout)
					return (*e)->dynset.timeout;
	return 0;
}

/* The element that a key and its value are; NULL: expired, or not to be understood. */
static struct set_elem *take_elem(struct ctl *c, const struct mf_set *ms, const struct set *s,
				  uint64_t rule_timeout, const uint8_t *key, const uint8_t *v)
{
	struct set_elem *e = arena_new_of(c->arena, struct set_elem);
	uint32_t bits = 8u * s->key_len, head = is_lpm(ms) ? 4 : 0, n;
	uint64_t expiry, now = setmap_now();

	memcpy(&expiry, v, 8);
	if (expiry == EL_GOES_ON)
		expiry = 0;
	if (expiry && expiry <= now)
		return NULL;
	e->expires = expiry ? MAX((expiry - now) / 1000000, 1u) : 0;
	e->key = data_bytes(key + head, s->key_len);
	if (head) {
		memcpy(&n, key, 4);
		e->key_end = e->key;
		for (uint32_t b = n; b < bits; b++)
			e->key_end.b[b / 8] |= (uint8_t)(1 << (7 - b % 8));
	}
	if (s->is_vmap) {
		memcpy(&n, v + EXPIRY_LEN, 4);
		if (n >= ms->verdicts.n || !take_verdict(s, ms->verdicts.v[n], &e->verdict))
			return NULL;
	} else if (s->flags & SET_OBJECT) {
		memcpy(&n, v + EXPIRY_LEN, 4);
		e->obj = n < ms->verdicts.n ? table_obj(s->table, ms->verdicts.v[n], s->obj_type)
					    : NULL;
		if (!e->obj)
			return NULL;
	} else if (s->data_len) {
		e->data = data_bytes(v + EXPIRY_LEN, s->data_len);
	}
	if (rule_timeout && rule_timeout != s->timeout) {
		e->has_timeout = true;
		e->timeout = rule_timeout;
	}
	take_states(c, ms, s, v, e);
	return e;
}

/* An element as a map has it. */
struct got {
	struct set_elem *e;
	bool goes_on; /* a prefix that belongs to the element before it */
};

/* Bytes in a row that are sorted by: what of a key counts. */
struct sort_key {
	const uint8_t *keys;
	uint32_t step, skip, len;
};

static int by_key(const void *a, const void *b, void *arg)
{
	const struct sort_key *k = arg;
	const uint8_t *base = k->keys + k->skip;

	return memcmp(base + *(const uint32_t *)a * (size_t)k->step,
		      base + *(const uint32_t *)b * (size_t)k->step, k->len);
}

/* The order of n keys, as their numbers. */
static uint32_t *order_of(struct ctl *c, const struct map_elems *v, uint32_t skip, uint32_t len)
{
	struct sort_key k = { v->keys, v->key_len, skip, len };
	uint32_t *order = arena_array(c->arena, uint32_t, v->n);

	for (uint32_t i = 0; i < v->n; i++)
		order[i] = i;
	if (v->n)
		qsort_r(order, v->n, sizeof(*order), by_key, &k);
	return order;
}

/* The elements of a set's maps, as they are read. */
struct reading {
	struct set *s;
	uint64_t rule_timeout;
	bool lpm;
	const struct set_elem *all; /* the catch-all element as it was written; NULL: none */
	VEC(struct got) got;
};

/* nft wants to know of what an expiry is the rest. */
static void note_timeout(const struct set *s, struct set_elem *e)
{
	if (e->expires > (e->has_timeout ? e->timeout : s->timeout)) {
		e->has_timeout = true;
		e->timeout = e->expires;
	}
}

/* A range lies in a trie as several prefixes, each with counters of its own. */
static void add_states(struct set_elem *e, const struct set_elem *more)
{
	for (uint32_t i = 0; i < e->n_exprs && i < more->n_exprs; i++)
		live_add_state(e->exprs[i], more->exprs[i]);
}

void setmap_by_key(struct arena *a, const struct set *s, struct strmap *by_key)
{
	strmap_init(by_key, a);
	vec_foreach(&s->elems, e)
		*strmap_put(by_key, (const char *)(*e)->key.b, (*e)->key.len) = *e;
}

const struct set_elem *setmap_elem(const struct strmap *by_key, const struct set_elem *e)
{
	return strmap_get(by_key, (const char *)e->key.b, e->key.len);
}

/*
 * Elements of the map in order of their keys, prefixes of one range as one; old elements of the set
 * lend comment and timeout.
 */
static void settle(struct ctl *c, struct set *s, const struct reading *r)
{
	const struct got *v = r->got.v;
	uint32_t n = r->got.n;
	struct strmap old;

	setmap_by_key(c->arena, s, &old);
	memset(&s->elems, 0, sizeof(s->elems));
	for (uint32_t i = 0; i < n; i++) {
		struct set_elem *e = v[i].e;
		const struct set_elem *was = old.n ? setmap_elem(&old, e) : NULL;

		if (was) {
			e->comment = was->comment;
			e->has_timeout = was->has_timeout;
			e->timeout = was->timeout;
		}
		for (; i + 1 < n && v[i + 1].goes_on; i++) {
			e->key_end = v[i + 1].e->key_end;
			add_states(e, v[i + 1].e);
		}
		note_timeout(s, e);
		if (r->lpm && data_eq(&e->key, &e->key_end))
			e->key_end.len = 0;
		*vec_push(c->arena, &s->elems) = e;
	}
}

/* Takes each element of a map, in the order of keys. */
static int read_map(struct ctl *c, const struct mapsrc *from, const struct mf_set *ms,
		    const char *map, uint32_t key_len, struct reading *r)
{
	struct map_elems v = { .key_len = key_len, .value_len = ms->value_len };
	int fd = mapsrc_fd(c, from, map), err;
	uint32_t *order;

	if (fd < 0)
		return ctl_error("cannot open map %s of set %s: %s", map, ms->set, strerror(-fd));
	err = map_dump(c, fd, &v);
	close(fd);
	if (err)
		return ctl_error("cannot read map %s of set %s: %s", map, ms->set, strerror(-err));
	order = order_of(c, &v, r->lpm ? 4 : 0, r->s->key_len);
	for (uint32_t i = 0; i < v.n; i++) {
		const uint8_t *value = v.values + (size_t)order[i] * v.value_len;
		struct set_elem *e = take_elem(c, ms, r->s, r->rule_timeout,
					       v.keys + (size_t)order[i] * key_len, value);

		if (e)
			*vec_push(c->arena, &r->got) = (struct got){ e,
								     r->lpm && value[0] & GOES_ON };
	}
	return 0;
}

static int read_index(struct ctl *c, const struct mapsrc *from, const struct mf_set *ms,
		      struct reading *r)
{
	struct setidx x;

	if (setidx_open(c, from, ms, &x))
		return 1;
	vec_foreach(&x.now, n) {
		struct set_elem *e = take_elem(c, ms, r->s, r->rule_timeout, n->key, n->value);

		if (!e)
			continue;
		e->key_end = data_bytes(n->key + x.key_len, r->s->key_len);
		*vec_push(c->arena, &r->got) = (struct got){ e, false };
	}
	setidx_close(&x);
	return 0;
}

static int read_catchall(struct ctl *c, const struct mapsrc *from, const struct mf_set *ms,
			 struct reading *r)
{
	uint8_t key[DATA_MAX] = { 0 }, *v = arena_alloc(c->arena, ms->value_len);
	int fd = mapsrc_fd(c, from, setmap_name(ms, "_all"));
	struct set_elem *e;

	if (fd < 0)
		return ctl_error("cannot open the map of the catch-all element of set %s", ms->set);
	if (!bpf_map_lookup_elem(fd, key, v) &&
	    (e = take_elem(c, ms, r->s, r->rule_timeout, key, v))) {
		e->catchall = true;
		e->key.len = e->key_end.len = 0;
		if (r->all) {
			e->comment = r->all->comment;
			e->has_timeout = r->all->has_timeout;
			e->timeout = r->all->timeout;
		}
		note_timeout(r->s, e);
		*vec_push(c->arena, &r->s->elems) = e;
	}
	close(fd);
	return 0;
}

int setmap_read(struct ctl *c, const struct mapsrc *from, const struct mf_set *ms, struct set *s)
{
	struct reading r = { .s = s, .lpm = is_lpm(ms) };
	bool index = !strcmp(ms->layout, "index");

	if (s->states_differ)
		return 0;
	if (s->flags & SET_TIMEOUT)
		r.rule_timeout = rule_timeout(s);
	vec_foreach(&s->elems, e)
		if ((*e)->catchall)
			r.all = *e;
	if (index ? read_index(c, from, ms, &r) : read_map(c, from, ms, ms->map, ms->key_len, &r))
		return 1;
	settle(c, s, &r);
	if (ms->catchall && read_catchall(c, from, ms, &r))
		return 1;
	return 0;
}

int setmap_read_left_out(struct ctl *c, const struct mapsrc *from, const struct manifest *m,
			 const struct ruleset *rs)
{
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->sets, s) {
			const struct mf_set *ms = (*s)->flags & SET_ANONYMOUS ? NULL
									      : setmap_find(m, *s);

			if (ms && ms->only_map && setmap_read(c, from, ms, *s))
				return 1;
		}
	return 0;
}
