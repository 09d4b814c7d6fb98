// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * setidx: changes of sets that an index finds (setindex.h says in which order).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctl.h"
#include "setindex.h"

static int by_number(const void *a, const void *b)
{
	const struct setidx_elem *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* What is in both maps: one call changes them one after the other. */
static int read_now(struct ctl *c, struct setidx *x)
{
	struct map_elems keys = { .key_len = 4, .value_len = 2 * x->key_len },
			 values = { .key_len = 4, .value_len = x->ms->value_len };
	struct setidx_elem *e;
	int err = map_dump(c, x->keys, &keys);

	if (!err)
		err = map_dump(c, x->main, &values);
	if (err)
		return ctl_error("cannot read the maps of set %s: %s", x->ms->set, strerror(-err));
	for (uint32_t i = 0; i < keys.n; i++) {
		e = vec_push(c->arena, &x->now);
		memcpy(&e->number, keys.keys + 4 * (size_t)i, 4);
		e->key = keys.values + (size_t)i * keys.value_len;
	}
	if (x->now.n)
		qsort(x->now.v, x->now.n, sizeof(*x->now.v), by_number);
	for (uint32_t i = 0; i < values.n && x->now.n; i++) {
		struct setidx_elem at = { 0 };

		memcpy(&at.number, values.keys + 4 * (size_t)i, 4);
		e = bsearch(&at, x->now.v, x->now.n, sizeof(at), by_number);
		if (e)
			e->value = values.values + (size_t)i * values.value_len;
	}
	keys.n = x->now.n;
	x->now.n = 0;
	for (uint32_t i = 0; i < keys.n; i++)
		if (x->now.v[i].value)
			x->now.v[x->now.n++] = x->now.v[i];
	return 0;
}

static void set_key_len(struct setidx *x)
{
	x->key_len = 0;
	vec_foreach(&x->ms->fields, f)
		x->key_len += ALIGN_UP(*f, 4u);
}

/* NULL, or why the elements have no index. */
static const char *make(struct ctl *c, const struct setidx *x, const struct setidx_elem *v,
			uint32_t n, struct setindex *out)
{
	struct setindex_elem *in = arena_array(c->arena, struct setindex_elem, n);
	uint8_t len[16];
	uint32_t f = 0;

	vec_foreach(&x->ms->fields, it)
		if (f < ARRAY_SIZE(len))
			len[f++] = (uint8_t)*it;
	for (uint32_t i = 0; i < n; i++)
		in[i] = (struct setindex_elem){ v[i].number, v[i].key, v[i].key + x->key_len };
	return setindex_build(c->arena, in, n, f, len, x->ms->timeouts, out);
}

/* Nodes for one call. */
struct nodes {
	struct map_elems e;
	uint32_t cap;
};

static struct nodes nodes_new(struct ctl *c, uint32_t cap)
{
	struct nodes n = { .e = { .key_len = sizeof(struct setindex_key), .value_len = 8 },
			   .cap = cap };

	n.e.keys = arena_array(c->arena, uint8_t, (size_t)cap * n.e.key_len);
	n.e.values = arena_array(c->arena, uint8_t, (size_t)cap * 8);
	return n;
}

static void nodes_add(struct nodes *n, const struct setindex_node *node)
{
	struct setindex_key k;

	BUG_ON(n->e.n == n->cap);
	setindex_key(node, &k);
	memcpy(n->e.keys + (size_t)n->e.n * sizeof(k), &k, sizeof(k));
	memcpy(n->e.values + (size_t)n->e.n++ * 8, &node->to, 8);
}

static void take_out(int fd, const struct map_elems *e)
{
	uint32_t n = e->n;

	if (!n || !bpf_map_delete_batch(fd, e->keys, &n, NULL))
		return;
	for (uint32_t i = 0; i < e->n; i++)
		bpf_map_delete_elem(fd, e->keys + (size_t)i * e->key_len);
}

int setidx_open(struct ctl *c, const struct mapsrc *from, const struct mf_set *ms, struct setidx *x)
{
	memset(x, 0, sizeof(*x));
	x->ms = ms;
	x->main = mapsrc_fd(c, from, setmap_name(ms, ""));
	x->keys = mapsrc_fd(c, from, setmap_name(ms, "_k"));
	x->index = mapsrc_fd(c, from, setmap_name(ms, "_i"));
	x->version = mapsrc_fd(c, from, setmap_name(ms, "_v"));
	set_key_len(x);
	if (x->main < 0 || x->keys < 0 || x->index < 0 || x->version < 0) {
		setidx_close(x);
		return ctl_error("cannot open the maps of set %s", ms->set);
	}
	if (!read_now(c, x))
		return 0;
	setidx_close(x);
	return 1;
}

void setidx_close(struct setidx *x)
{
	int fds[] = { x->main, x->keys, x->index, x->version };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int as_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int setidx_plan(struct ctl *c, const struct set *s, struct setidx *x)
{
	VEC(struct setidx_elem) v = { 0 };
	const char *why;

	if (x->remove.n)
		qsort(x->remove.v, x->remove.n, sizeof(uint32_t), as_number);
	vec_foreach(&x->now, e)
		if (!x->remove.n ||
		    !bsearch(&e->number, x->remove.v, x->remove.n, sizeof(uint32_t), as_number))
			*vec_push(c->arena, &v) = *e;
	vec_foreach(&x->add, e)
		*vec_push(c->arena, &v) = *e;
	x->next = arena_new_of(c->arena, struct setindex);
	why = make(c, x, v.v, v.n, x->next);
	return why ? ctl_error("set %s would not fit in the programs' maps: %s", s->name, why) : 0;
}

/* Every program that runs now has ended when this returns. */
static void wait_for_programs(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		usleep(200000);
}

static int add_values(struct ctl *c, struct setidx *x)
{
	struct map_elems v = { .key_len = 4, .value_len = x->ms->value_len, .n = x->add.n };
	struct map_elems k;
	int err;

	v.keys = arena_array(c->arena, uint8_t, (size_t)v.n * 4);
	v.values = arena_array(c->arena, uint8_t, (size_t)v.n * v.value_len);
	k = v;
	k.value_len = 2 * x->key_len;
	k.values = arena_array(c->arena, uint8_t, (size_t)k.n * k.value_len);
	for (uint32_t i = 0; i < v.n; i++) {
		memcpy(v.keys + (size_t)i * 4, &x->add.v[i].number, 4);
		memcpy(v.values + (size_t)i * v.value_len, x->add.v[i].value, v.value_len);
		memcpy(k.values + (size_t)i * k.value_len, x->add.v[i].key, k.value_len);
	}
	err = map_fill(x->main, &v);
	if (!err)
		err = map_fill(x->keys, &k);
	if (err) {
		take_out(x->main, &v);
		take_out(x->keys, &k);
	}
	return err;
}

static void remove_values(struct setidx *x)
{
	vec_foreach(&x->remove, n) {
		bpf_map_delete_elem(x->keys, n);
		bpf_map_delete_elem(x->main, n);
	}
}

static int by_key(const void *a, const void *b)
{
	struct setindex_key x, y;

	setindex_key(a, &x);
	setindex_key(b, &y);
	return memcmp(&x, &y, sizeof(x));
}

static void sort(struct setindex *x)
{
	if (x->nodes.n)
		qsort(x->nodes.v, x->nodes.n, sizeof(*x->nodes.v), by_key);
}

static const struct setindex_node *find(const struct setindex *x, const struct setindex_node *n)
{
	return x->nodes.n ? bsearch(n, x->nodes.v, x->nodes.n, sizeof(*n), by_key) : NULL;
}

/* What the trie really holds, as nodes: a command before this one did not come to its end. */
static int read_nodes(struct ctl *c, const struct setidx *x, struct setindex *out)
{
	struct map_elems v = { .key_len = sizeof(struct setindex_key), .value_len = 8 };
	int err = map_dump(c, x->index, &v);

	for (uint32_t i = 0; i < v.n && !err; i++) {
		struct setindex_node *n = vec_push(c->arena, &out->nodes);
		struct setindex_key k;

		memcpy(&k, v.keys + i * sizeof(k), sizeof(k));
		n->field = k.field;
		n->class = k.class;
		n->bits = k.prefix_len - SETINDEX_KEY_BITS;
		memcpy(n->value, k.value, sizeof(n->value));
		memcpy(&n->to, v.values + 8 * (size_t)i, 8);
	}
	return err;
}

/* Nodes that come (of class 0 or of the others), and that go. */
static struct nodes differ(struct ctl *c, const struct setindex *a, const struct setindex *b,
			   bool first, bool values)
{
	struct nodes d = nodes_new(c, a->nodes.n);

	vec_foreach(&a->nodes, n) {
		const struct setindex_node *o;

		if (!n->field != first)
			continue;
		o = find(b, n);
		if (!o || (values && o->to != n->to))
			nodes_add(&d, n);
	}
	return d;
}

static int change_nodes(struct ctl *c, struct setidx *x, const struct setindex *old)
{
	struct nodes more = differ(c, x->next, old, false, true),
		     first = differ(c, x->next, old, true, true),
		     gone = differ(c, old, x->next, true, false),
		     less = differ(c, old, x->next, false, false);
	int err = map_fill(x->index, &more.e);

	if (err) { /* nothing leads to them */
		take_out(x->index, &more.e);
		return err;
	}
	err = map_fill(x->index, &first.e);
	if (err)
		return err;
	take_out(x->index, &gone.e);
	wait_for_programs();
	take_out(x->index, &less.e);
	return 0;
}

int setidx_apply(struct ctl *c, const struct set *s, struct setidx *x)
{
	uint32_t zero = 0, one = 1, was = 0;
	struct setindex old = { 0 };
	int err = 0;

	bpf_map_lookup_elem(x->version, &zero, &was);
	if (was)
		err = read_nodes(c, x, &old);
	else
		make(c, x, x->now.v, x->now.n, &old);
	sort(&old);
	sort(x->next);
	if (!err)
		err = bpf_map_update_elem(x->version, &zero, &one, BPF_ANY) ? -errno
									    : add_values(c, x);
	if (!err)
		err = change_nodes(c, x, &old);
	if (err)
		return ctl_error("set %s: %s", s->name,
				 err == -E2BIG ? "it is full" : strerror(-err));
	remove_values(x);
	bpf_map_update_elem(x->version, &zero, &zero, BPF_ANY);
	return 0;
}
