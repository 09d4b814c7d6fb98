// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * setchange: a change of one set in the maps that programs look up, first checked against what they
 * hold, then made so that every lookup sees an element as it was or as it will be: new ones and new
 * values first, then those that go. A key that is in the set before and after is never missed.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#include "ctl.h"

struct change {
	uint8_t *key;
	const uint8_t *value;
	bool there; /* already */
};

struct setchange {
	const struct mf_set *ms;
	const struct set *s;
	enum set_op op;
	int fd, all_fd; /* the set's map; that of the catch-all element */
	VEC(struct change) v;
	struct strmap keep; /* replace: keys that stay */
	bool has_all, all_there;
	uint8_t *all_value;
	struct setidx idx;
	bool indexed;
};

static const uint32_t all_key;

static bool is_live(const struct setchange *x, const uint8_t *value)
{
	uint64_t expiry;

	memcpy(&expiry, value, 8);
	return !x->ms->timeouts || !expiry || expiry > setmap_now();
}

static int no_such(const struct setchange *x)
{
	return ctl_error("set %s has no such element", x->s->name);
}

/* Whether an element that is there has other data than the one that is to be added. */
static bool other_data(const struct setchange *x, const uint8_t *was, const uint8_t *v)
{
	return x->ms->data_words && memcmp(was + 8, v + 8, 4 * (size_t)x->ms->data_words) != 0;
}

static int plan_one(struct ctl *c, struct setchange *x, const struct setmap_key *k,
		    const uint8_t *v, uint8_t *was)
{
	bool there = !bpf_map_lookup_elem(x->fd, k->b, was) && is_live(x, was);
	struct change *ch;

	if (x->op == SET_OP_DELETE && !there)
		return no_such(x);
	if (x->op == SET_OP_ADD && there && other_data(x, was, v))
		return ctl_error("map %s has the element already, with other data", x->s->name);
	ch = vec_push(c->arena, &x->v);
	ch->key = arena_dup(c->arena, k->b, x->ms->key_len);
	ch->value = v;
	ch->there = there;
	if (x->op == SET_OP_REPLACE)
		*strmap_put(&x->keep, (const char *)ch->key, x->ms->key_len) = ch;
	return 0;
}

static int plan_catchall(struct ctl *c, struct setchange *x, const struct set_elem *e)
{
	uint8_t *was = arena_alloc(c->arena, x->ms->value_len);

	if (!x->ms->catchall)
		return ctl_error(
			"set %s: it had no catch-all element when it was compiled: compile "
			"again with one",
			x->s->name);
	x->has_all = true;
	x->all_there = !bpf_map_lookup_elem(x->all_fd, &all_key, was) && is_live(x, was);
	if (x->op == SET_OP_DELETE)
		return x->all_there ? 0 : no_such(x);
	x->all_value = setmap_value(c, x->ms, x->s, e);
	return x->all_value ? 0 : 1;
}

static int plan_elem(struct ctl *c, struct setchange *x, const struct set_elem *e, uint8_t *was)
{
	struct setmap_keys keys = { 0 };
	const uint8_t *v = NULL;

	if (!setmap_keys(c, x->ms, e, &keys))
		return ctl_error("set %s: the programs' map cannot hold this element", x->s->name);
	if (x->op != SET_OP_DELETE && !(v = setmap_value(c, x->ms, x->s, e)))
		return 1;
	for (uint32_t i = 0; i < keys.k.n; i++) {
		if (plan_one(c, x, &keys.k.v[i], v, was))
			return 1;
		if (v && !i && keys.k.n > 1)
			v = setmap_goes_on(c, x->ms, v);
	}
	return 0;
}

/* -- sets with an index ------------------------------------------------------------------------ */

/* The element's lowest and highest key, padded. */
static uint8_t *range_of(struct ctl *c, const struct setchange *x, const struct set_elem *e)
{
	uint8_t *b = arena_alloc(c->arena, 2 * (size_t)x->idx.key_len);
	const struct data *hi = e->key_end.len ? &e->key_end : &e->key;

	memcpy(b, e->key.b, MIN(e->key.len, x->idx.key_len));
	memcpy(b + x->idx.key_len, hi->b, MIN(hi->len, x->idx.key_len));
	return b;
}

static bool inside(const struct setchange *x, const uint8_t *key, const uint8_t *range)
{
	uint32_t at = 0;

	vec_foreach(&x->ms->fields, f) {
		if (memcmp(key + at, range + at, *f) < 0 ||
		    memcmp(key + at, range + x->idx.key_len + at, *f) > 0)
			return false;
		at += ALIGN_UP(*f, 4u);
	}
	return true;
}

/* nft takes no element whose lowest or highest key another has. */
static int check_overlap(const struct setchange *x, const uint8_t *range)
{
	vec_foreach(&x->idx.now, e)
		if (is_live(x, e->value) &&
		    (inside(x, range, e->key) || inside(x, range + x->idx.key_len, e->key)))
			return ctl_error("set %s: the element overlaps with another", x->s->name);
	return 0;
}

static int index_elem(struct ctl *c, struct setchange *x, const struct set_elem *e, uint32_t number)
{
	struct setidx_elem n = { .number = number, .key = range_of(c, x, e) };
	const struct setidx_elem *was = strmap_get(&x->keep, (const char *)n.key,
						   2 * (size_t)x->idx.key_len);

	if (x->op == SET_OP_DELETE) {
		if (!was)
			return no_such(x);
		*vec_push(c->arena, &x->idx.remove) = was->number;
		return 0;
	}
	n.value = setmap_value(c, x->ms, x->s, e);
	if (!n.value)
		return 1;
	if (x->op == SET_OP_ADD && was)
		return other_data(x, was->value, n.value)
			       ? ctl_error("map %s has the element already, with other data",
					   x->s->name)
			       : 0;
	if (x->op == SET_OP_ADD && check_overlap(x, n.key))
		return 1;
	*vec_push(c->arena, &x->idx.add) = n;
	return 0;
}

static int plan_index(struct ctl *c, struct setchange *x, const struct set *elems)
{
	bool all = x->op == SET_OP_FLUSH || x->op == SET_OP_REPLACE;
	uint32_t next = x->idx.now.n ? x->idx.now.v[x->idx.now.n - 1].number + 1 : 1;

	vec_foreach(&x->idx.now, e) {
		if (all || !is_live(x, e->value))
			*vec_push(c->arena, &x->idx.remove) = e->number;
		else
			*strmap_put(&x->keep, (const char *)e->key, 2 * (size_t)x->idx.key_len) = e;
	}
	for (uint32_t i = 0; elems && i < elems->elems.n; i++)
		if (elems->elems.v[i]->catchall) {
			if (plan_catchall(c, x, elems->elems.v[i]))
				return 1;
		} else if (index_elem(c, x, elems->elems.v[i], next + i)) {
			return 1;
		}
	return setidx_plan(c, x->s, &x->idx);
}

/* -- all --------------------------------------------------------------------------------------- */

static void close_all(struct setchange *x)
{
	if (x->fd >= 0)
		close(x->fd);
	if (x->all_fd >= 0)
		close(x->all_fd);
	if (x->indexed)
		setidx_close(&x->idx);
}

static int plan(struct ctl *c, struct setchange *x, const struct set *elems)
{
	uint8_t *was = arena_alloc(c->arena, x->ms->value_len);

	if (x->indexed)
		return plan_index(c, x, elems);
	for (uint32_t i = 0; elems && i < elems->elems.n; i++)
		if (elems->elems.v[i]->catchall ? plan_catchall(c, x, elems->elems.v[i])
						: plan_elem(c, x, elems->elems.v[i], was))
			return 1;
	return 0;
}

struct setchange *setchange_plan(struct ctl *c, char gen, const struct mf_set *ms,
				 const struct set *s, enum set_op op, const struct set *elems)
{
	struct setchange *x = arena_new_of(c->arena, struct setchange);

	x->ms = ms;
	x->s = s;
	x->op = op;
	x->all_fd = ms->catchall ? pins_map_fd(c, gen, setmap_name(ms, "_all")) : -1;
	x->fd = pins_map_fd(c, gen, ms->map);
	strmap_init(&x->keep, c->arena);
	if (x->fd < 0 || (ms->catchall && x->all_fd < 0)) {
		ctl_error("cannot open map %s: %s", ms->map, strerror(x->fd < 0 ? -x->fd : EINVAL));
		close_all(x);
		return NULL;
	}
	if (!strcmp(ms->layout, "index")) {
		if (setidx_open(c, &(struct mapsrc){ .gen = gen }, ms, &x->idx))
			return NULL;
		x->indexed = true;
	}
	if (plan(c, x, elems)) {
		close_all(x);
		return NULL;
	}
	return x;
}

static int add_new(struct ctl *c, struct setchange *x)
{
	struct map_elems e = { .key_len = x->ms->key_len, .value_len = x->ms->value_len };
	int err;

	e.keys = arena_array(c->arena, uint8_t, (size_t)x->v.n * e.key_len);
	e.values = arena_array(c->arena, uint8_t, (size_t)x->v.n * e.value_len);
	vec_foreach(&x->v, ch) {
		if (ch->there && x->op == SET_OP_ADD)
			continue;
		memcpy(e.keys + (size_t)e.n * e.key_len, ch->key, e.key_len);
		memcpy(e.values + (size_t)e.n++ * e.value_len, ch->value, e.value_len);
	}
	err = map_fill(x->fd, &e);
	if (!err)
		return 0;
	vec_foreach(&x->v, ch)
		if (!ch->there)
			bpf_map_delete_elem(x->fd, ch->key);
	return ctl_error("set %s: %s", x->s->name,
			 err == -E2BIG || err == -ENOSPC || err == -ENOMEM ? "it is full"
									   : strerror(-err));
}

/* Takes out what is not to stay: nothing, or what `keep` has. */
static void clear(struct ctl *c, struct setchange *x)
{
	uint8_t *key = arena_alloc(c->arena, x->ms->key_len);
	VEC(uint8_t *) gone = { 0 };
	void *prev = NULL;

	for (; !bpf_map_get_next_key(x->fd, prev, key); prev = key)
		if (!strmap_get(&x->keep, (const char *)key, x->ms->key_len))
			*vec_push(c->arena, &gone) = arena_dup(c->arena, key, x->ms->key_len);
	vec_foreach(&gone, k)
		bpf_map_delete_elem(x->fd, *k);
}

static int change_elems(struct ctl *c, struct setchange *x)
{
	if (x->indexed)
		return setidx_apply(c, x->s, &x->idx);
	if (x->op == SET_OP_DELETE) {
		vec_foreach(&x->v, ch)
			bpf_map_delete_elem(x->fd, ch->key);
		return 0;
	}
	if (add_new(c, x))
		return 1;
	if (x->op == SET_OP_FLUSH || x->op == SET_OP_REPLACE)
		clear(c, x);
	return 0;
}

int setchange_apply(struct ctl *c, struct setchange *x)
{
	int err;

	if (x->all_value && (!x->all_there || x->op == SET_OP_REPLACE))
		bpf_map_update_elem(x->all_fd, &all_key, x->all_value, BPF_ANY);
	err = change_elems(c, x);
	if (!err && x->all_fd >= 0 && !x->all_value && (x->has_all || x->op >= SET_OP_REPLACE))
		bpf_map_delete_elem(x->all_fd, &all_key);
	if (err && x->all_value && !x->all_there)
		bpf_map_delete_elem(x->all_fd, &all_key);
	close_all(x);
	return err;
}
