// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The elements of sets that the programs keep in maps, read back into the ruleset.
 *
 * A value is: 8 bytes, the moment at which the element expires (ns on the monotonic clock; 0: never); the data, padded to 8; then
 * what each stateful expression keeps: 16 bytes for a counter, else 8. Keys are as nftables has them; in tries a prefix length
 * of 4 bytes stands before.
 */
#include <bpf/bpf.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

struct reader {
	struct arena *arena;
	struct set *set;
	int fd;
	uint32_t key_size, value_size, states_off;
	uint64_t now, rule_timeout; /* ns; ms that rules give to elements, 0: the set's */
	VEC(struct set_elem *) elems;
};

static uint32_t state_size(const struct expr *e)
{
	return e->kind == EX_COUNTER ? 16 : 8;
}

/* Adds what the value keeps to the element's expressions, which become its own. */
static void read_states(struct reader *r, struct set_elem *el, const uint8_t *v, bool fresh)
{
	struct expr **exprs = arena_array(r->arena, struct expr *, r->set->n_states + 1);

	for (uint32_t i = 0; i < r->set->n_states; v += state_size(exprs[i++])) {
		struct expr *from = fresh ? r->set->states[i] : el->exprs[i];
		uint64_t n[2];

		exprs[i] = arena_dup(r->arena, from, sizeof(*from));
		memcpy(n, v, state_size(from));
		if (from->kind == EX_COUNTER) {
			exprs[i]->counter.packets = n[0] + (fresh ? 0 : from->counter.packets);
			exprs[i]->counter.bytes = n[1] + (fresh ? 0 : from->counter.bytes);
		} else if (from->kind == EX_QUOTA) {
			exprs[i]->quota.consumed = n[0];
		}
	}
	el->exprs = exprs;
	el->n_exprs = r->set->n_states;
}

static struct set_elem *declared(const struct reader *r, const uint8_t *key)
{
	vec_foreach(&r->set->elems, e)
		if (!(*e)->catchall && !memcmp((*e)->key.b, key, r->set->key_len))
			return *e;
	return NULL;
}

static void read_elem(struct reader *r, const uint8_t *key, const uint8_t *value)
{
	struct set_elem *was = declared(r, key), *el;
	uint64_t expiry;

	memcpy(&expiry, value, 8);
	if (r->set->flags & SET_TIMEOUT && expiry && expiry <= r->now)
		return;
	el = was ? arena_dup(r->arena, was, sizeof(*was)) : arena_new_of(r->arena, struct set_elem);
	el->key = data_bytes(key, r->set->key_len);
	if (!r->set->is_vmap && r->set->data_len)
		el->data = data_bytes(value + 8, r->set->data_len);
	if (!was && r->rule_timeout && r->rule_timeout != r->set->timeout) {
		el->has_timeout = true;
		el->timeout = r->rule_timeout;
	}
	if (r->set->flags & SET_TIMEOUT && expiry)
		el->expires = MAX((expiry - r->now) / 1000000, 1u);
	read_states(r, el, value + r->states_off, true);
	*vec_push(r->arena, &r->elems) = el;
}

/* A range lies in a trie as several prefixes, each with counters of its own. */
static void add_prefix(struct reader *r, const uint8_t *key, const uint8_t *value)
{
	uint32_t len = r->set->key_len;

	vec_foreach(&r->set->elems, e) {
		const uint8_t *hi = (*e)->key_end.len ? (*e)->key_end.b : (*e)->key.b;

		if (!(*e)->catchall && memcmp(key, (*e)->key.b, len) >= 0 &&
		    memcmp(key, hi, len) <= 0)
			read_states(r, *e, value + r->states_off, false);
	}
}

static void zero_counters(struct reader *r)
{
	vec_foreach(&r->set->elems, e) {
		struct expr **exprs = arena_array(r->arena, struct expr *, (*e)->n_exprs + 1);

		for (uint32_t i = 0; i < (*e)->n_exprs; i++) {
			exprs[i] = arena_dup(r->arena, (*e)->exprs[i], sizeof(*exprs[i]));
			if (exprs[i]->kind == EX_COUNTER)
				exprs[i]->counter.packets = exprs[i]->counter.bytes = 0;
		}
		(*e)->exprs = exprs;
	}
}

static int by_key(const void *x, const void *y)
{
	const struct set_elem *a = *(struct set_elem *const *)x, *b = *(struct set_elem *const *)y;

	return memcmp(a->key.b, b->key.b, a->key.len);
}

static void read_map(struct reader *r, bool trie)
{
	uint8_t *key = arena_alloc(r->arena, r->key_size), *value = NULL, *last = NULL;

	value = arena_alloc(r->arena, r->value_size);
	if (trie)
		zero_counters(r);
	while (!bpf_map_get_next_key(r->fd, last, key)) {
		last = key;
		if (bpf_map_lookup_elem(r->fd, key, value))
			continue; /* gone meanwhile */
		if (trie)
			add_prefix(r, key + 4, value);
		else
			read_elem(r, key, value);
	}
	if (trie)
		return;
	if (r->elems.n)
		qsort(r->elems.v, r->elems.n, sizeof(*r->elems.v), by_key);
	r->set->elems.v = r->elems.v;
	r->set->elems.n = r->elems.n;
}

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

void live_elems(struct ctl *c, char gen, const struct manifest *m, struct ruleset *rs)
{
	struct timespec now;

	ruleset_note_states(rs);
	clock_gettime(CLOCK_MONOTONIC, &now);
	vec_foreach(&m->sets, ms) {
		struct table *t = live_table(rs, ms->family, ms->table);
		struct set *s = t ? table_set(t, ms->set) : NULL;
		struct reader r = { .arena = c->arena, .set = s };
		bool trie = !strcmp(ms->layout, "lpm");

		if (!s || s->states_differ || (trie && !s->n_states))
			continue;
		r.key_size = ms->key_len;
		r.value_size = ms->data_len;
		r.states_off = 8 + ALIGN_UP(s->is_vmap ? 4 : 4 * DIV_ROUND_UP(s->data_len, 4), 8);
		r.now = now.tv_sec * 1000000000ull + now.tv_nsec;
		r.rule_timeout = s->flags & SET_TIMEOUT ? rule_timeout(s) : 0;
		r.fd = pins_map_fd(c, gen, ms->map);
		if (r.fd < 0)
			continue;
		if (r.key_size >= s->key_len && r.value_size >= r.states_off)
			read_map(&r, trie);
		close(r.fd);
	}
}
