// SPDX-License-Identifier: GPL-2.0-or-later
/* exprsets: sets and their elements in the bracket notation, which nft prints before the rules. */
#include <stdlib.h>

#include "exprs.h"

/* Values of interval sets are kept in network order, whatever their type. */
static void key_print(struct sbuf *o, const struct set *s, const struct data *d)
{
	unsigned int at = 0;

	for (uint32_t f = 0; f < s->n_fields && at < d->len; f++) {
		unsigned int len = s->n_fields > 1 ? s->field_len[f] : d->len;
		uint32_t type = s->key_type >> 6 * (s->n_fields - 1 - f);
		enum byte_order ord = s->flags & SET_INTERVAL ? ORDER_BIG
				      : s->key_order	      ? s->key_order
							      : datatype_order(type);

		if (f)
			sb_puts(o, " . ");
		exprs_data(o, d->b + at, MIN(len, d->len - at), ord);
		at += ALIGN_UP(len, 4);
	}
}

static void elem_print(struct sbuf *o, const struct set *s, const struct set_elem *el)
{
	sb_puts(o, "\telement ");
	if (el->catchall) {
		sb_puts(o, "*");
	} else {
		key_print(o, s, &el->key);
		if (el->key_end.len && !data_eq(&el->key, &el->key_end)) {
			sb_puts(o, " - ");
			key_print(o, s, &el->key_end);
		}
	}
	if (s->is_vmap) {
		sb_puts(o, " : ");
		exprs_verdict(o, &el->verdict);
	} else if (s->flags & SET_OBJECT) {
		sb_printf(o, " : %s", el->obj ? el->obj->name : "?");
	} else if (s->flags & SET_MAP) {
		sb_puts(o, " : ");
		exprs_data(o, el->data.b, el->data.len, set_data_order(s));
	}
	if (el->has_timeout)
		sb_printf(o, " timeout %llums", (unsigned long long)el->timeout);
	if (el->expires)
		sb_printf(o, " expires %llums", (unsigned long long)el->expires);
	for (uint32_t i = 0; i < el->n_exprs; i++) {
		sb_puts(o, " expr ");
		expr_print(el->exprs[i], o);
	}
	if (el->comment)
		sb_printf(o, " comment \"%s\"", el->comment);
	sb_puts(o, "\n");
}

/*
 * An element with the first bytes of its key, so that sorting a million of them rarely looks at
 * one.
 */
struct elem_rank {
	uint64_t first;
	const struct set_elem *e;
};

static int elem_order(const void *a, const void *b)
{
	const struct elem_rank *p = a, *q = b;
	const struct set_elem *x = p->e, *y = q->e;
	int c;

	if (p->first != q->first)
		return p->first < q->first ? -1 : 1;
	if (x->catchall != y->catchall)
		return x->catchall ? 1 : -1;
	c = memcmp(x->key.b, y->key.b, x->key.len);
	return c ? c : memcmp(x->key_end.b, y->key_end.b, x->key_end.len);
}

static struct elem_rank *ranked(struct arena *a, const struct set *s)
{
	struct elem_rank *v = arena_array(a, struct elem_rank, s->elems.n);
	bool sorted = true;

	for (uint32_t i = 0; i < s->elems.n; i++) {
		const struct set_elem *e = s->elems.v[i];

		v[i].e = e;
		for (uint32_t k = 0; k < 8; k++)
			v[i].first = v[i].first << 8 | (e->catchall ? 0xff : e->key.b[k]);
		sorted = sorted && (!i || elem_order(&v[i - 1], &v[i]) <= 0);
	}
	if (!sorted)
		qsort(v, s->elems.n, sizeof(*v), elem_order);
	return v;
}

/* In the order of keys: that in which a kernel lists a hashed set says nothing. */
static void elems_print(struct sbuf *o, const struct set *s, FILE *f)
{
	struct arena *tmp = arena_new();
	struct elem_rank *v = ranked(tmp, s);

	for (uint32_t i = 0; i < s->elems.n; i++) {
		if (i + 8 < s->elems.n)
			__builtin_prefetch(&v[i + 8].e->key);
		elem_print(o, s, v[i].e);
		if (o->n > EXPRS_FLUSH_AT)
			exprs_flush(o, f);
	}
	arena_free(tmp);
}

void exprs_set(struct sbuf *o, const struct set *s, FILE *f)
{
	sb_printf(o, "family %d %s %s %x", s->table->family, s->name, s->table->name, s->flags);
	if (s->timeout)
		sb_printf(o, " timeout %llums", (unsigned long long)s->timeout);
	if (s->gc_int)
		sb_printf(o, " gc_interval %ums", s->gc_int);
	if (s->has_policy)
		sb_printf(o, " policy %u", s->policy);
	if (s->has_size)
		sb_printf(o, " size %u", s->size);
	sb_puts(o, "\n");
	elems_print(o, s, f);
}
