// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dispatch: what a rule says, in a form in which rules can be compared: values and the ranges they
 * must lie in.
 *
 * This works on the rules' expressions, before there is IR: here the fields, masks and constants of
 * a rule are plain to see, and what is merged never becomes blocks that later passes must walk. It
 * rests on these facts:
 *	1. A rule matches if and only if each of its units does; a unit depends on the packet alone,
 *	   so their order does not matter.
 *	2. A load that BREAKs (short packet, no device, later fragment) depends on what is loaded,
 *	   not on what it is compared with; so rules with the same loads all break, or none.
 *	3. Equality with a mask of leading ones, any ordered comparison and any constant set of one
 *	   field is a list of ranges of byte strings in the order of memcmp, which is how nf_tables
 *	   compares. Other masks are not.
 *	4. The fixed part of the network header is there in every packet that a hook sees (the stack
 *	   drops others before), so loads of different lengths from one place in it are one field.
 */
#include <stdlib.h>

#include "dispatch.h"

/* -- ranges ------------------------------------------------------------------------------------ */

struct dlist {
	struct arena *a;
	uint32_t len, n;
	struct drange *v; /* NULL: everything */
};

static bool step(uint8_t *p, uint32_t len, int by)
{
	while (len-- > 0) {
		p[len] = (uint8_t)(p[len] + by);
		if (p[len] != (by > 0 ? 0 : 0xff))
			return true;
	}
	return false;
}

static uint8_t *filled(const struct dlist *l, const uint8_t *p, uint32_t n, uint8_t with)
{
	uint8_t *v = arena_alloc(l->a, MAX(l->len, 1u));

	memset(v, with, l->len);
	if (n)
		memcpy(v, p, n);
	return v;
}

/* The strings that are in both. */
static void intersect(struct dlist *l, const struct drange *v, uint32_t n)
{
	struct drange *out = arena_array(l->a, struct drange, l->n + n + 1);
	uint32_t i = 0, k = 0, m = 0;

	if (!l->v) {
		memcpy(out, v, n * sizeof(*v));
		l->v = out;
		l->n = n;
		return;
	}
	while (i < l->n && k < n) {
		const struct drange *x = &l->v[i], *y = &v[k];
		const uint8_t *lo = memcmp(x->lo, y->lo, l->len) > 0 ? x->lo : y->lo;
		bool x_first = memcmp(x->hi, y->hi, l->len) < 0;
		const uint8_t *hi = x_first ? x->hi : y->hi;

		if (memcmp(lo, hi, l->len) <= 0)
			out[m++] = (struct drange){ lo, hi };
		if (x_first)
			i++;
		else
			k++;
	}
	l->v = out;
	l->n = m;
}

enum part { BELOW = 1, WITHIN = 2, ABOVE = 4 };

/* Those of the parts below lo, from lo to hi, above hi. */
static void keep(struct dlist *l, const uint8_t *lo, const uint8_t *hi, uint32_t parts)
{
	struct drange v[2];
	uint32_t n = 0;
	uint8_t *p;

	if (parts & WITHIN) { /* and all on one side of it, perhaps */
		v[n].lo = parts & BELOW ? filled(l, lo, 0, 0) : lo;
		v[n++].hi = parts & ABOVE ? filled(l, hi, 0, 0xff) : hi;
		intersect(l, v, n);
		return;
	}
	if (parts & BELOW) {
		p = filled(l, lo, l->len, 0);
		if (step(p, l->len, -1))
			v[n++] = (struct drange){ filled(l, lo, 0, 0), p };
	}
	if (parts & ABOVE) {
		p = filled(l, hi, l->len, 0);
		if (step(p, l->len, 1))
			v[n++] = (struct drange){ p, filled(l, hi, 0, 0xff) };
	}
	intersect(l, v, n);
}

/* -- tests ------------------------------------------------------------------------------------- */

static bool is_prefix(const struct data *mask, uint32_t len)
{
	bool end = false;

	if (mask->len < len)
		return false;
	for (uint32_t i = 0; i < len; i++) {
		uint8_t x = (uint8_t)~mask->b[i];

		if ((end && x != 0xff) || (x & (x + 1)))
			return false;
		end |= x != 0;
	}
	return true;
}

/* false: not a list of ranges */
static bool cmp_ranges(struct dlist *l, const struct expr *e, const struct data *mask)
{
	static const uint8_t parts[] = {
		[CMP_EQ] = WITHIN,	    [CMP_NEQ] = BELOW | ABOVE, [CMP_LT] = BELOW,
		[CMP_LTE] = BELOW | WITHIN, [CMP_GT] = ABOVE,	       [CMP_GTE] = WITHIN | ABOVE,
	};
	const struct data *d = &e->cmp.data;
	const uint8_t *lo = d->b, *hi = d->b;
	uint8_t *top;

	if (d->len > l->len || !d->len)
		return false;
	if (d->len < l->len || mask) {
		lo = filled(l, d->b, d->len, 0);
		hi = filled(l, d->b, d->len, 0xff);
	}
	if (!mask) {
		keep(l, lo, hi, parts[e->cmp.op]);
		return true;
	}
	if (e->cmp.op > CMP_NEQ || d->len != l->len || !is_prefix(mask, l->len))
		return false;
	hi = top = filled(l, d->b, d->len, 0);
	for (uint32_t i = 0; i < l->len; i++) {
		if (d->b[i] & ~mask->b[i]) { /* never equal */
			keep(l, lo, lo, e->cmp.op == CMP_EQ ? 0 : BELOW | WITHIN | ABOVE);
			return true;
		}
		top[i] |= (uint8_t)~mask->b[i];
	}
	keep(l, lo, hi, parts[e->cmp.op]);
	return true;
}

static bool range_ranges(struct dlist *l, const struct expr *e, const struct data *mask)
{
	const struct data *from = &e->range.from, *to = &e->range.to;

	if (mask || from->len > l->len || !from->len || to->len != from->len ||
	    memcmp(from->b, to->b, from->len) > 0)
		return false;
	keep(l, filled(l, from->b, from->len, 0), filled(l, to->b, to->len, 0xff),
	     e->range.op == RANGE_EQ ? WITHIN : BELOW | ABOVE);
	return true;
}

static _Thread_local uint32_t sort_len;
static int by_low(const void *x, const void *y)
{
	const struct drange *a = x, *b = y;

	return memcmp(a->lo, b->lo, sort_len);
}

#define SET_MAX 64 /* larger sets have a lookup of their own */

/* What is in none of n ascending ranges. */
static void exclude(struct dlist *l, const struct drange *v, uint32_t n)
{
	struct drange *out = arena_array(l->a, struct drange, n + 1);
	uint8_t *lo = filled(l, NULL, 0, 0), *hi;
	uint32_t m = 0;
	bool more = true;

	for (uint32_t i = 0; i < n; i++) {
		hi = filled(l, v[i].lo, l->len, 0);
		if (memcmp(lo, hi, l->len) < 0 && step(hi, l->len, -1))
			out[m++] = (struct drange){ lo, hi };
		lo = filled(l, v[i].hi, l->len, 0);
		more = step(lo, l->len, 1);
	}
	if (more)
		out[m++] = (struct drange){ lo, filled(l, NULL, 0, 0xff) };
	intersect(l, out, m);
}

static bool set_ranges(struct dlist *l, const struct expr *e, const struct data *mask)
{
	const struct set *s = e->lookup.set;
	struct drange *v;
	uint32_t n = 0;

	if (mask || s->key_len != l->len || s->elems.n > SET_MAX)
		return false;
	v = arena_array(l->a, struct drange, s->elems.n + 1);
	vec_foreach(&s->elems, it) {
		const struct set_elem *el = *it;

		if (el->catchall)
			return false;
		v[n].lo = el->key.b;
		v[n++].hi = el->key_end.len ? el->key_end.b : el->key.b;
	}
	sort_len = l->len;
	qsort(v, n, sizeof(*v), by_low);
	for (uint32_t i = 1; i < n; i++)
		if (memcmp(v[i - 1].hi, v[i].lo, l->len) >= 0)
			return false;
	if (e->lookup.inv)
		exclude(l, v, n);
	else
		intersect(l, v, n);
	return true;
}

/* -- units ------------------------------------------------------------------------------------- */

/*
 * The register that the expression loads, and how many bytes; 0: not a load, or of unknown length.
 */
static uint32_t load_of(const struct expr *e, uint8_t *reg)
{
	const struct reg_key *k;

	switch (e->kind) {
	case EX_PAYLOAD:
		*reg = e->payload.dreg;
		return *reg == REG_NONE ? 0 : e->payload.len;
	case EX_META:
		*reg = e->meta.dreg;
		k = reg_key(EX_META, e->meta.key);
		break;
	case EX_CT:
		*reg = e->ct.dreg;
		k = reg_key(EX_CT, e->ct.key);
		break;
	default:
		return 0;
	}
	return *reg == REG_NONE || !k ? 0 : k->len;
}

uint8_t dispatch_load_reg(const struct expr *e)
{
	uint8_t reg = REG_NONE;

	load_of(e, &reg);
	return reg;
}

/* Whether the set cannot change, and looking into it does nothing. */
static bool is_pure_lookup(const struct bld *b, const struct expr *e, uint8_t reg)
{
	return e->kind == EX_LOOKUP && e->lookup.sreg == reg && e->lookup.dreg == REG_NONE &&
	       e->lookup.set->n_fields <= 1 && !e->lookup.set->is_vmap &&
	       set_is_const(e->lookup.set, b->opts);
}

/* Whether the expression tests the register. */
static bool is_test(const struct bld *b, const struct expr *e, uint8_t reg, uint32_t len)
{
	switch (e->kind) {
	case EX_CMP:
		return e->cmp.sreg == reg && e->cmp.data.len <= len;
	case EX_RANGE:
		return e->range.sreg == reg && e->range.from.len <= len;
	default:
		return is_pure_lookup(b, e, reg) && e->lookup.set->key_len <= len;
	}
}

/* false: the test's values are not a list of ranges */
static bool test_ranges(struct dlist *l, const struct expr *e, const struct data *mask)
{
	return e->kind == EX_CMP     ? cmp_ranges(l, e, mask)
	       : e->kind == EX_RANGE ? range_ranges(l, e, mask)
				     : set_ranges(l, e, mask);
}

/* The tests behind a load; n: expressions left. How many there are. */
static uint32_t take_tests(struct bld *b, struct dunit *u, struct dlist *l, uint8_t reg,
			   struct expr *const *e, uint32_t n)
{
	const struct data *mask = NULL;
	uint32_t i = 0, tests = 0;

	if (n && e[0]->kind == EX_BITWISE && e[0]->bitwise.op == BW_MASK_XOR &&
	    e[0]->bitwise.sreg == reg && e[0]->bitwise.dreg == reg && e[0]->bitwise.len == u->len &&
	    data_is_zero(&e[0]->bitwise.xor)) {
		mask = &e[0]->bitwise.mask;
		i++;
	}
	for (; i < n && is_test(b, e[i], reg, u->len); i++, tests++)
		u->opaque |= !test_ranges(l, e[i], mask);
	return tests ? i : 0;
}

/*
 * Whether a value of conntrack's state passes the unit's tests; false in *ok: they are of another
 * kind.
 */
static bool state_passes(const struct dunit *u, struct expr *const *e, uint32_t state, bool *ok)
{
	uint8_t v[4];
	uint32_t i = 1;

	memcpy(v, &state, sizeof(v));
	if (e[i]->kind == EX_BITWISE) {
		for (uint32_t k = 0; k < sizeof(v); k++)
			v[k] &= e[i]->bitwise.mask.b[k];
		i++;
	}
	for (; i < u->n; i++) {
		const struct data *d = &e[i]->cmp.data;

		*ok &= e[i]->kind == EX_CMP && d->len == sizeof(v) && e[i]->cmp.op <= CMP_NEQ;
		if (*ok && (memcmp(v, d->b, d->len) == 0) != (e[i]->cmp.op == CMP_EQ))
			return false;
	}
	return true;
}

/* Conntrack's state is one of five values, so whatever is asked of it is a list of them. */
static bool state_ranges(struct dlist *l, const struct dunit *u, struct expr *const *e)
{
	static const uint32_t states[] = { 1, 2, 4, 8, 64 };
	struct drange v[ARRAY_SIZE(states)];
	uint32_t n = 0;
	bool ok = true;

	for (uint32_t i = 0; i < ARRAY_SIZE(states); i++) {
		if (!state_passes(u, e, states[i], &ok))
			continue;
		v[n].lo = v[n].hi = arena_dup(l->a, &states[i], 4);
		n++;
	}
	intersect(l, v, n);
	return ok;
}

/* What the unit asks, for dispatch_mix.c. e: its expressions. */
static void find_mix(struct arena *tmp, struct dunit *u, struct expr *const *e)
{
	struct dlist l = { .a = tmp, .len = u->len };

	u->mixes = true;
	if (!u->opaque) {
		u->n_mix = u->n_ranges;
		u->mix = u->ranges;
		return;
	}
	if (e[0]->kind == EX_CT && e[0]->ct.key == KEY_CT_STATE) {
		u->mixes = state_ranges(&l, u, e);
	} else if (e[1]->kind == EX_BITWISE) {
		u->mask = e[1];
		for (uint32_t i = 2; i < u->n; i++)
			u->mixes &= test_ranges(&l, e[i], NULL);
	} else {
		u->mixes = false;
	}
	u->mix = l.v;
	u->n_mix = l.n;
}

/* The unit that begins with expression `first` of n; false: none does. */
static bool take_unit(struct bld *b, struct arena *tmp, struct dunit *u, const struct rule *r,
		      uint32_t first, uint32_t n)
{
	struct dlist l = { .a = tmp };
	uint8_t reg = REG_NONE;
	uint32_t len = load_of(r->exprs.v[first], &reg), tests;

	if (!len || len > 16)
		return false;
	*u = (struct dunit){ .load = r->exprs.v[first], .first = first, .len = (uint8_t)len };
	l.len = len;
	tests = take_tests(b, u, &l, reg, r->exprs.v + first + 1, n - first - 1);
	u->n = 1 + tests;
	u->ranges = l.v;
	u->n_ranges = l.n;
	if (tests)
		find_mix(tmp, u, r->exprs.v + first);
	return tests;
}

/* -- comparing --------------------------------------------------------------------------------- */

static bool in_fixed_header(const struct bld *b, const struct dunit *u)
{
	return !u->opaque && u->load->kind == EX_PAYLOAD && u->load->payload.base == PB_NETWORK &&
	       u->load->payload.off + u->len <= (b->c.fn->pf == FAM_IP ? 20 : 40);
}

static int order(uint32_t x, uint32_t y)
{
	return x < y ? -1 : x > y;
}

/* What is loaded, without its length. */
static int compare_loads(const struct expr *x, const struct expr *y)
{
	int c = order(x->kind, y->kind);

	if (c)
		return c;
	switch (x->kind) {
	case EX_PAYLOAD:
		c = order(x->payload.base, y->payload.base);
		return c ? c : order(x->payload.off, y->payload.off);
	case EX_META:
		return order(x->meta.key, y->meta.key);
	default:
		c = order(x->ct.key, y->ct.key);
		c = c ? c : order(x->ct.has_dir, y->ct.has_dir);
		return c ? c : order(x->ct.dir, y->ct.dir);
	}
}

bool dispatch_same_load(const struct bld *b, const struct dunit *x, const struct dunit *y)
{
	if (compare_loads(x->load, y->load) || x->opaque != y->opaque)
		return false;
	return x->len == y->len || (in_fixed_header(b, x) && in_fixed_header(b, y));
}

bool dispatch_may_vary(const struct bld *b, const struct dunit *x, const struct dunit *y)
{
	return !x->opaque || (x->mixes && y->mixes && dispatch_same_field(b, x, y));
}

bool dispatch_same_field(const struct bld *b, const struct dunit *x, const struct dunit *y)
{
	if (compare_loads(x->load, y->load) || !x->mask != !y->mask)
		return false;
	if (x->mask)
		return x->len == y->len &&
		       !memcmp(x->mask->bitwise.mask.b, y->mask->bitwise.mask.b, x->len);
	return x->len == y->len || (in_fixed_header(b, x) && in_fixed_header(b, y));
}

static bool same_expr(const struct expr *x, const struct expr *y)
{
	const size_t head = offsetof(struct expr, imm);

	return x->kind == y->kind &&
	       !memcmp((const char *)x + head, (const char *)y + head, expr_size(x->kind) - head);
}

bool dispatch_same_test(const struct drule *r, const struct dunit *x, const struct drule *s,
			const struct dunit *y)
{
	if (x->opaque) {
		if (x->n != y->n)
			return false;
		for (uint32_t i = 0; i < x->n; i++)
			if (!same_expr(r->rule->exprs.v[x->first + i],
				       s->rule->exprs.v[y->first + i]))
				return false;
		return true;
	}
	if (x->len != y->len || x->n_ranges != y->n_ranges)
		return false;
	for (uint32_t i = 0; i < x->n_ranges; i++)
		if (memcmp(x->ranges[i].lo, y->ranges[i].lo, x->len) ||
		    memcmp(x->ranges[i].hi, y->ranges[i].hi, x->len))
			return false;
	return true;
}

/* -- rules ------------------------------------------------------------------------------------- */

/* In the order of loads; equal ones stay as they were. */
static void sort_units(struct drule *d)
{
	for (uint32_t i = 1; i < d->n_units; i++)
		for (uint32_t k = i; k && compare_loads(d->units[k - 1].load, d->units[k].load) > 0;
		     k--) {
			struct dunit u = d->units[k];

			d->units[k] = d->units[k - 1];
			d->units[k - 1] = u;
		}
}

/* What follows the condition: at most a counter, then at most a verdict. */
static bool take_effects(struct drule *d, uint32_t i)
{
	const struct rule *r = d->rule;
	const struct expr *e = i < r->exprs.n ? r->exprs.v[i] : NULL;

	d->verdict.code = V_CONTINUE;
	if (e && (e->kind == EX_COUNTER || (e->kind == EX_OBJREF && e->objref.obj &&
					    e->objref.obj->expr->kind == EX_COUNTER))) {
		d->counter = e;
		d->counter_index = i++;
		e = i < r->exprs.n ? r->exprs.v[i] : NULL;
	}
	if (!e)
		return true;
	if (e->kind != EX_IMMEDIATE || e->imm.dreg != REG_VERDICT || i + 1 != r->exprs.n)
		return false;
	d->verdict = e->imm.verdict;
	return d->verdict.code != V_BREAK;
}

/* meta nfproto is known in a program: nothing to test, or never true. */
static bool family_known(const struct bld *b, const struct dunit *u, bool *never)
{
	uint8_t pf = b->c.fn->pf;

	if (u->opaque || u->load->kind != EX_META || u->load->meta.key != KEY_META_NFPROTO)
		return false;
	for (uint32_t i = 0; i < u->n_ranges; i++)
		if (u->ranges[i].lo[0] <= pf && pf <= u->ranges[i].hi[0])
			return true;
	*never = true;
	return true;
}

/* Without the room for units that it does not have. */
static struct drule *keep_rule(struct arena *tmp, const struct drule *d)
{
	return arena_dup(tmp, d, offsetof(struct drule, units) + d->n_units * sizeof(*d->units));
}

struct drule *dispatch_rule(struct bld *b, struct arena *tmp, const struct rule *r,
			    struct rule_act act)
{
	struct drule said = { .rule = r }, *d = &said;
	uint32_t n = act.act == RULE_PUNT ? act.n_match : r->exprs.n, i = 0;

	while (i < n && d->n_units < DISPATCH_UNITS &&
	       take_unit(b, tmp, &d->units[d->n_units], r, i, n)) {
		i += d->units[d->n_units].n;
		if (!family_known(b, &d->units[d->n_units], &d->never))
			d->n_units++;
	}
	if (d->never)
		return keep_rule(tmp, d);
	if (act.act == RULE_PUNT) {
		d->verdict.code = V_ACCEPT;
		if (i != n)
			return NULL;
	} else if (!take_effects(d, i)) {
		return NULL;
	}
	d->final = d->verdict.code != V_CONTINUE && d->verdict.code != V_JUMP;
	sort_units(d);
	return d->n_units ? keep_rule(tmp, d) : NULL;
}
