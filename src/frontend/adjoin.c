// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * adjoin: comparisons of neighbouring fields with constants become one, as nft makes them, before
 * statements are lowered:
 *	tcp sport 1 tcp dport 2
 *	==>
 *	[ payload load 4b @ transport header + 0 => reg 1 ] [ cmp eq reg 1 0x00010002 ]
 */
#include <stdlib.h>

#include "sema.h"

static int by_place(const void *a, const void *b)
{
	const struct ts *x = *(struct ts *const *)a, *y = *(struct ts *const *)b;
	const struct tx *p = x->expr->rel.l, *q = y->expr->rel.l;

	if (p->pay.base != q->pay.base)
		return (int)p->pay.base - (int)q->pay.base;
	return p->pay.off < q->pay.off ? -1 : p->pay.off > q->pay.off;
}

static bool same_op(const struct tx *a, const struct tx *b)
{
	return (a->rel.op == REL_NEQ) == (b->rel.op == REL_NEQ);
}

static bool adjacent(const struct tx *a, const struct tx *b)
{
	return a->pay.inner == b->pay.inner && a->pay.base == b->pay.base &&
	       a->pay.off + a->len == b->pay.off;
}

static bool can_merge(const struct tx *a, const struct tx *b)
{
	uint32_t total = a->len + b->len;

	if (!adjacent(a, b) || a->pay.off % 8 || a->len % 8 || b->pay.off % 8 || b->len % 8 ||
	    total > 128)
		return false;
	/*
	 * One load of 4 bytes is fast, a longer one not; two loads of which none was fast become
	 * one.
	 */
	if (total <= 32 || a->pay.base == PBASE_LL)
		return true;
	return a->len > 32 || b->len > 32;
}

static void merge(struct sema *s, struct ts **v, uint32_t n)
{
	uint32_t at = 0;

	if (n < 2)
		return;
	qsort(v, n, sizeof(*v), by_place);
	for (uint32_t i = 1; i < n; i++) {
		struct tx *a = v[at]->expr, *b = v[i]->expr, *l;
		struct ts *dead = v[i];

		if (!can_merge(a->rel.l, b->rel.l) || !same_op(a, b)) {
			at = i;
			continue;
		}
		l = arena_dup(s->tmp, a->rel.l, sizeof(*l));
		l->len += b->rel.l->len;
		l->key |= b->rel.l->key;
		l->loc = loc_span(a->rel.l->loc, b->rel.l->loc);
		b->rel.r->val |= a->rel.r->val << b->rel.l->len;
		b->rel.r->len = l->len;
		if (b->rel.l->key) {
			dead = v[at];
			at = i;
		}
		v[at]->expr = arena_dup(s->tmp, v[at]->expr, sizeof(*a));
		v[at]->expr->rel.l = l;
		v[at]->expr->rel.r = b->rel.r;
		v[at]->expr->loc = loc_span(a->loc, b->loc);
		dead->gone = true;
	}
}

/* `meta protocol ip` says nothing in a table that sees IPv4 alone. */
static bool redundant(const struct sema *s, const struct tx *rel)
{
	const struct tx *l = rel->rel.l, *r = rel->rel.r;

	return l->kind == TX_META && !l->load.inner && l->load.key == KEY_META_PROTOCOL &&
	       r->kind == TX_VALUE && (rel->rel.op == REL_EQ || rel->rel.op == REL_IMPLICIT) &&
	       ((s->pctx.family == FAM_IP && r->val == 0x0800) ||
		(s->pctx.family == FAM_IP6 && r->val == 0x86dd));
}

void lower_adjoin(struct sema *s)
{
	struct ts **v = arena_array(s->tmp, struct ts *, s->out.n + 1);
	uint32_t n = 0;

	vec_foreach(&s->out, it) {
		struct ts *t = *it;
		const struct tx *rel = t->expr;

		if (t->kind != TS_REL) {
			merge(s, v, n);
			n = 0;
			continue;
		}
		if (rel->rel.r->kind != TX_VALUE)
			continue;
		if (redundant(s, rel))
			t->gone = it + 1 < s->out.v + s->out.n; /* what ends a rule stays */
		else if (rel->rel.l->kind == TX_PAYLOAD && rel->rel.r->type->base != BASE_STRING &&
			 (rel->rel.op == REL_EQ || rel->rel.op == REL_IMPLICIT))
			v[n++] = t;
	}
	merge(s, v, n);
}
