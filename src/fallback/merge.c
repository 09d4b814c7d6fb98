// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merge: makes the guards of a residual chain few.
 *
 * Guards are pure conditions with one verdict. In a run of neighbours with the same verdict their
 * order does not matter, so the one that takes established connections goes first, and those that
 * differ in one value alone become one with a set:
 *	tcp dport 22 accept, tcp dport 80-90 accept  ==>  tcp dport { 22, 80-90 } accept
 * where that is cheaper by the cost model.
 */
#include <stdlib.h>

#include <linux/netfilter/nf_tables.h>

#include "split.h"

#define MAX_ELEMS 4096u

/* A load and the closed ranges in which it must lie; or one expression of any other kind. */
struct atom {
	const struct expr *load; /* NULL: any other kind */
	const struct expr *e;	 /* that expression, or the one that compares */
	uint8_t len;		 /* bytes compared, after widening a prefix */
	uint32_t from, to;	 /* expressions of the rule: [from, to) */
	uint32_t n;
	const struct fb_range *v;
};

struct guard {
	struct sp_line line;
	VEC(struct atom) atoms;
	bool gone;
};

/* -- reading ----------------------------------------------------------------------------------- */

static bool is_load(const struct expr *e)
{
	return (e->kind == EX_PAYLOAD && e->payload.dreg != REG_NONE) ||
	       (e->kind == EX_META && e->meta.dreg != REG_NONE) ||
	       (e->kind == EX_CT && e->ct.dreg != REG_NONE);
}

static uint8_t dreg(const struct expr *e)
{
	return e->kind == EX_PAYLOAD ? e->payload.dreg
	       : e->kind == EX_META  ? e->meta.dreg
				     : e->ct.dreg;
}

static uint8_t load_len(const struct expr *e)
{
	const struct reg_key *k;

	if (e->kind == EX_PAYLOAD)
		return e->payload.len;
	k = reg_key(e->kind, e->kind == EX_META ? e->meta.key : e->ct.key);
	return k ? k->len : 0;
}

/* Of the address of which a prefix load has the first bytes; 0: no address. */
static uint8_t address_len(const struct rule *r, const struct guard *g, const struct expr *e)
{
	enum family f = r->chain->table->family;

	if (e->kind != EX_PAYLOAD || e->payload.base != PB_NETWORK)
		return 0;
	vec_foreach(&g->atoms, it)
		if (it->load && it->load->kind == EX_META &&
		    it->load->meta.key == NFT_META_NFPROTO && it->n == 1)
			f = (enum family)it->v[0].lo[0];
	if (f == FAM_IP && (e->payload.off == 12 || e->payload.off == 16))
		return 4;
	if (f == FAM_IP6 && (e->payload.off == 8 || e->payload.off == 24))
		return 16;
	return 0;
}

static struct fb_range *one_range(struct arena *a, const struct data *lo, const struct data *hi)
{
	struct fb_range *v = arena_new_of(a, struct fb_range);

	memset(v->hi, 0xff, 16);
	memcpy(v->lo, lo->b, MIN(lo->len, 16));
	memcpy(v->hi, hi->b, MIN(hi->len, 16));
	return v;
}

/* load, mask of leading bits, comparison ==> the range of the prefix. */
static bool prefix_atom(struct arena *a, const struct rule *r, uint32_t i, struct atom *t)
{
	const struct expr *b, *c;
	struct data hi;
	uint32_t k;

	if (i + 2 >= r->exprs.n || r->exprs.v[i]->kind != EX_PAYLOAD)
		return false;
	b = r->exprs.v[i + 1];
	c = r->exprs.v[i + 2];
	if (b->kind != EX_BITWISE || b->bitwise.op != BW_MASK_XOR || c->kind != EX_CMP ||
	    c->cmp.op != CMP_EQ || b->bitwise.sreg != dreg(t->load) ||
	    b->bitwise.dreg != c->cmp.sreg || c->cmp.data.len != t->len ||
	    b->bitwise.mask.len != t->len)
		return false;
	hi = c->cmp.data;
	for (k = 0; k < t->len; k++) {
		uint8_t m = b->bitwise.mask.b[k], x = (uint8_t)~m;

		if (b->bitwise.xor.b[k] || x & (x + 1) ||
		    (x && k + 1 < t->len && b->bitwise.mask.b[k + 1]))
			return false;
		hi.b[k] |= x;
	}
	t->v = one_range(a, &c->cmp.data, &hi);
	t->n = 1;
	t->to = i + 3;
	t->e = c;
	return true;
}

static bool set_atom(struct arena *a, const struct expr *e, struct atom *t)
{
	const struct set *s = e->lookup.set;
	struct fb_range *v;

	if (e->lookup.sreg != dreg(t->load) || e->lookup.dreg != REG_NONE || e->lookup.inv ||
	    !(s->flags & SET_ANONYMOUS) || s->n_fields > 1 || s->n_exprs ||
	    s->flags & (SET_MAP | SET_TIMEOUT | SET_EVAL | SET_OBJECT) || s->key_len != t->len ||
	    !s->elems.n || s->elems.n > MAX_ELEMS)
		return false;
	v = arena_array(a, struct fb_range, s->elems.n);
	vec_foreach(&s->elems, it) {
		const struct set_elem *el = *it;

		if (el->catchall || el->n_exprs || el->has_timeout)
			return false;
		v[t->n++] = *one_range(a, &el->key, el->key_end.len ? &el->key_end : &el->key);
	}
	t->v = v;
	return true;
}

/* A load and what compares it. False: it is nothing that can be merged. */
static bool match_atom(struct arena *a, const struct rule *r, const struct guard *g, uint32_t i,
		       struct atom *t)
{
	const struct expr *e = r->exprs.v[i], *c = i + 1 < r->exprs.n ? r->exprs.v[i + 1] : NULL;
	uint32_t k;

	*t = (struct atom){ .load = e, .e = c, .len = load_len(e), .from = i, .to = i + 2 };
	if (!c || !t->len || t->len > 16 || (e->kind == EX_CT && e->ct.key == NFT_CT_STATE))
		return false;
	switch (c->kind) {
	case EX_CMP:
		if (c->cmp.op != CMP_EQ || c->cmp.sreg != dreg(e) || c->cmp.data.len != t->len)
			return false;
		t->v = one_range(a, &c->cmp.data, &c->cmp.data);
		t->n = 1;
		break;
	case EX_RANGE:
		if (c->range.op != RANGE_EQ || c->range.sreg != dreg(e) ||
		    c->range.from.len != t->len)
			return false;
		t->v = one_range(a, &c->range.from, &c->range.to);
		t->n = 1;
		break;
	case EX_LOOKUP:
		if (!set_atom(a, c, t))
			return false;
		break;
	default:
		if (!prefix_atom(a, r, i, t))
			return false;
	}
	if (t->to < r->exprs.n && !is_load(r->exprs.v[t->to]) &&
	    r->exprs.v[t->to]->kind != EX_IMMEDIATE)
		return false;		   /* the register is used again */
	if (address_len(r, g, e) > t->len) /* bytes of one_range behind len are 0 and 0xff */
		t->len = address_len(r, g, e);
	for (k = 0; k < t->n && e->kind != EX_PAYLOAD && t->len > 1; k++)
		if (memcmp(t->v[k].lo, t->v[k].hi, t->len))
			return false; /* ranges of host integers take another form */
	return true;
}

static void read_guard(struct arena *a, struct guard *g)
{
	const struct rule *r = g->line.cond;
	uint32_t i = 0;

	while (i < r->exprs.n) {
		struct atom t;

		if (!is_load(r->exprs.v[i]) || !match_atom(a, r, g, i, &t))
			t = (struct atom){ .e = r->exprs.v[i], .from = i, .to = i + 1 };
		*vec_push(a, &g->atoms) = t;
		i = t.to;
	}
}

/* -- comparing --------------------------------------------------------------------------------- */

static bool same_expr(const struct expr *a, const struct expr *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case EX_CMP:
		return a->cmp.sreg == b->cmp.sreg && a->cmp.op == b->cmp.op &&
		       data_eq(&a->cmp.data, &b->cmp.data);
	case EX_BITWISE:
		return a->bitwise.op == BW_MASK_XOR && b->bitwise.op == BW_MASK_XOR &&
		       a->bitwise.sreg == b->bitwise.sreg && a->bitwise.dreg == b->bitwise.dreg &&
		       data_eq(&a->bitwise.mask, &b->bitwise.mask) &&
		       data_eq(&a->bitwise.xor, &b->bitwise.xor);
	case EX_LOOKUP:
		return a->lookup.set == b->lookup.set && a->lookup.sreg == b->lookup.sreg &&
		       a->lookup.dreg == b->lookup.dreg && a->lookup.inv == b->lookup.inv;
	case EX_IMMEDIATE:
		return a->imm.dreg == REG_VERDICT && b->imm.dreg == REG_VERDICT &&
		       a->imm.verdict.code == b->imm.verdict.code &&
		       a->imm.verdict.chain == b->imm.verdict.chain;
	case EX_PAYLOAD:
	case EX_META:
	case EX_CT:
		return is_load(a) && is_load(b) && sp_same_load(a, b) && dreg(a) == dreg(b);
	default:
		return false;
	}
}

static bool same_shape(const struct atom *a, const struct atom *b)
{
	if (!a->load || !b->load)
		return !a->load && !b->load && same_expr(a->e, b->e);
	if (a->len != b->len || dreg(a->load) != dreg(b->load) || a->load->kind != b->load->kind)
		return false;
	if (a->load->kind == EX_PAYLOAD) /* of a prefix the lengths differ */
		return a->load->payload.base == b->load->payload.base &&
		       a->load->payload.off == b->load->payload.off;
	return sp_same_load(a->load, b->load);
}

static bool same_ranges(const struct atom *a, const struct atom *b)
{
	uint32_t i;

	if (!a->load)
		return true;
	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (memcmp(a->v[i].lo, b->v[i].lo, a->len) ||
		    memcmp(a->v[i].hi, b->v[i].hi, a->len))
			return false;
	return true;
}

/* All atoms but the k-th are the same. */
static bool differ_in(const struct guard *a, const struct guard *b, uint32_t k)
{
	uint32_t i;

	if (a->atoms.n != b->atoms.n)
		return false;
	for (i = 0; i < a->atoms.n; i++) {
		const struct atom *x = &a->atoms.v[i], *y = &b->atoms.v[i];

		if (!same_shape(x, y) || (i != k && !same_ranges(x, y)))
			return false;
	}
	return true;
}

/* -- merging ----------------------------------------------------------------------------------- */

static int by_lo(const void *a, const void *b)
{
	return memcmp(((const struct fb_range *)a)->lo, ((const struct fb_range *)b)->lo, 16);
}

/* Bytes behind len are 0 in lo and 0xff in hi, so that all 16 compare. */
static uint32_t unite(struct fb_range *v, uint32_t n, uint32_t len)
{
	uint32_t i, m = 0;

	for (i = 0; i < n; i++) {
		memset(v[i].lo + len, 0, 16 - len);
		memset(v[i].hi + len, 0xff, 16 - len);
	}
	qsort(v, n, sizeof(*v), by_lo);
	for (i = 0; i < n; i++) {
		if (m && memcmp(v[i].lo, v[m - 1].hi, 16) <= 0) {
			if (memcmp(v[i].hi, v[m - 1].hi, 16) > 0)
				memcpy(v[m - 1].hi, v[i].hi, 16);
			continue;
		}
		v[m++] = v[i];
	}
	return m;
}

static struct set *set_of(struct arena *a, const struct rule *r, const struct fb_range *v,
			  uint32_t n, uint8_t len)
{
	struct set *s = arena_new_of(a, struct set);
	uint32_t i;

	s->table = r->chain->table;
	s->name = "__merged";
	s->flags = SET_ANONYMOUS | SET_CONSTANT;
	s->key_len = s->field_len[0] = len;
	s->n_fields = 1;
	for (i = 0; i < n; i++)
		if (memcmp(v[i].lo, v[i].hi, len))
			s->flags |= SET_INTERVAL;
	for (i = 0; i < n; i++) {
		struct set_elem *el = arena_new_of(a, struct set_elem);

		el->key.len = len;
		memcpy(el->key.b, v[i].lo, len);
		if (s->flags & SET_INTERVAL) {
			el->key_end.len = len;
			memcpy(el->key_end.b, v[i].hi, len);
		}
		*vec_push(a, &s->elems) = el;
	}
	return s;
}

/* The guard's rule with other values in its k-th atom. */
static struct rule *rule_with(struct arena *a, const struct guard *g, uint32_t k,
			      const struct fb_range *v, uint32_t n)
{
	const struct atom *t = &g->atoms.v[k];
	struct rule *r = arena_dup(a, g->line.cond, sizeof(*r));
	struct expr *load = arena_dup(a, t->load, expr_size(t->load->kind));
	struct expr *c = expr_new(a, n == 1 ? EX_RANGE : EX_LOOKUP, t->e->loc);
	uint32_t i;

	if (load->kind == EX_PAYLOAD)
		load->payload.len = t->len;
	if (n == 1 && !memcmp(v->lo, v->hi, t->len)) {
		c->kind = EX_CMP;
		c->cmp.sreg = dreg(load);
		c->cmp.op = CMP_EQ;
		c->cmp.data.len = t->len;
		memcpy(c->cmp.data.b, v->lo, t->len);
	} else if (n == 1) {
		c->range.sreg = dreg(load);
		c->range.op = RANGE_EQ;
		c->range.from.len = c->range.to.len = t->len;
		memcpy(c->range.from.b, v->lo, t->len);
		memcpy(c->range.to.b, v->hi, t->len);
	} else {
		c->lookup.sreg = dreg(load);
		c->lookup.dreg = REG_NONE;
		c->lookup.set = set_of(a, r, v, n, t->len);
	}
	memset(&r->exprs, 0, sizeof(r->exprs));
	for (i = 0; i < t->from; i++)
		*vec_push(a, &r->exprs) = g->line.cond->exprs.v[i];
	*vec_push(a, &r->exprs) = load;
	*vec_push(a, &r->exprs) = c;
	for (i = t->to; i < g->line.cond->exprs.n; i++)
		*vec_push(a, &r->exprs) = g->line.cond->exprs.v[i];
	return r;
}

/* Merges all guards of the run that differ from the i-th in its k-th atom alone, if that pays. */
static bool merge_in(struct split *s, struct guard *v, uint32_t n, uint32_t i, uint32_t k)
{
	struct arena *a = s->arena;
	struct guard *g = &v[i], out = { 0 };
	uint32_t m = 0, j, total = 0, others = 0;
	struct fb_range *w;
	double ns = 0;
	struct sbuf b;

	for (j = i; j < n; j++)
		if (!v[j].gone && differ_in(g, &v[j], k)) {
			total += v[j].atoms.v[k].n;
			others += j != i;
			ns += sp_rule_ns(v[j].line.cond);
		}
	if (!others || total > MAX_ELEMS)
		return false;
	w = arena_array(a, struct fb_range, total);
	for (j = i; j < n; j++)
		if (!v[j].gone && differ_in(g, &v[j], k)) {
			memcpy(w + m, v[j].atoms.v[k].v, v[j].atoms.v[k].n * sizeof(*w));
			m += v[j].atoms.v[k].n;
		}
	m = unite(w, m, g->atoms.v[k].len);
	out.line.cond = rule_with(a, g, k, w, m);
	sb_init(&b, a);
	if (sp_rule_ns(out.line.cond) > ns ||
	    !fb_print_rule(out.line.cond, &(struct fb_print_opts){ .zero = true, .elements = true },
			   &b))
		return false;
	for (j = i + 1; j < n; j++)
		v[j].gone = v[j].gone || differ_in(g, &v[j], k);
	read_guard(a, &out);
	*g = out;
	return true;
}

static bool takes_established(struct arena *a, const struct rule *r)
{
	struct fb_facts f = { 0 };

	fb_facts_of(a, r, r->exprs.n, &f);
	return f.v.n == 1 && r->exprs.n <= 4 && f.v.v[0].state && f.v.v[0].bits & 2;
}

static void merge_run(struct split *s, struct sp_line *lines, uint32_t *n)
{
	struct guard *v = arena_array(s->arena, struct guard, *n);
	uint32_t i, k, m = 0;
	bool again;

	for (i = 0; i < *n; i++) {
		v[i].line = lines[i];
		read_guard(s->arena, &v[i]);
	}
	do {
		again = false;
		for (i = 0; i < *n; i++)
			for (k = 0; !v[i].gone && k < v[i].atoms.n; k++)
				if (v[i].atoms.v[k].load)
					again |= merge_in(s, v, *n, i, k);
	} while (again);
	for (i = 0; i < *n; i++)
		if (!v[i].gone && takes_established(s->arena, v[i].line.cond)) {
			lines[m++] = v[i].line;
			v[i].gone = true;
		}
	for (i = 0; i < *n; i++)
		if (!v[i].gone)
			lines[m++] = v[i].line;
	*n = m;
}

static const struct expr *guard_verdict(const struct sp_line *l)
{
	const struct expr *e;

	if (!l->cond || l->note || !l->cond->exprs.n)
		return NULL;
	e = l->cond->exprs.v[l->cond->exprs.n - 1];
	if (e->kind != EX_IMMEDIATE || e->imm.dreg != REG_VERDICT)
		return NULL;
	return e->imm.verdict.code == V_ACCEPT || e->imm.verdict.code == V_RETURN ? e : NULL;
}

void sp_merge(struct split *s, struct sp_rchain *c)
{
	uint32_t i, m = 0, n;

	for (i = 0; i < c->lines.n; i += n) {
		const struct expr *e = guard_verdict(&c->lines.v[i]);
		uint32_t left;

		for (n = 1; e && i + n < c->lines.n; n++) {
			const struct expr *x = guard_verdict(&c->lines.v[i + n]);

			if (!x || x->imm.verdict.code != e->imm.verdict.code)
				break;
		}
		left = n;
		if (e)
			merge_run(s, &c->lines.v[i], &left);
		memmove(&c->lines.v[m], &c->lines.v[i], left * sizeof(c->lines.v[0]));
		m += left;
	}
	c->lines.n = m;
}
