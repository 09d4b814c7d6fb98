// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dispatch_shadow: rules that no packet reaches, because a rule before them in their chain ends it
 * for all packets they match.
 *
 * Rule i shadows rule j if i always ends the chain for what it matches, and each of its units asks
 * for no more than a unit of j on the same load does: then whatever matches j has matched i. Rules
 * of single values are found by these; of the others a few of each chain are compared with all that
 * follow, so that looking stays in proportion to the rules.
 */
#include "dispatch.h"

#define WIDE_MAX   48 /* rules of more than single values that are remembered */
#define POINTS_MAX 4  /* units of rules that are found by their values */

/* Byte i of a bound, which goes on with `fill` behind its end. */
static int compare_filled(const uint8_t *x, uint32_t x_len, const uint8_t *y, uint32_t y_len,
			  uint8_t fill)
{
	for (uint32_t i = 0; i < MAX(x_len, y_len); i++) {
		int a = i < x_len ? x[i] : fill, b = i < y_len ? y[i] : fill;

		if (a != b)
			return a - b;
	}
	return 0;
}

static bool in_one_range(const struct dunit *wide, const struct drange *r, uint32_t len)
{
	for (uint32_t k = 0; k < wide->n_ranges; k++) {
		const struct drange *w = &wide->ranges[k];

		if (compare_filled(w->lo, wide->len, r->lo, len, 0) <= 0 &&
		    compare_filled(r->hi, len, w->hi, wide->len, 0xff) <= 0)
			return true;
	}
	return false;
}

/* Whether what passes `u` of rule r passes `wide` of rule w. */
static bool unit_covers(const struct bld *b, const struct drule *w, const struct dunit *wide,
			const struct drule *r, const struct dunit *u)
{
	if (!dispatch_same_load(b, wide, u))
		return false;
	if (wide->opaque)
		return dispatch_same_test(w, wide, r, u);
	for (uint32_t k = 0; k < u->n_ranges; k++)
		if (!in_one_range(wide, &u->ranges[k], u->len))
			return false;
	return true;
}

static bool covers(const struct bld *b, const struct drule *w, const struct drule *r)
{
	for (uint32_t i = 0; i < w->n_units; i++) {
		uint32_t k = 0;

		while (k < r->n_units && !unit_covers(b, w, &w->units[i], r, &r->units[k]))
			k++;
		if (k == r->n_units)
			return false;
	}
	return true;
}

/* -- rules of single values -------------------------------------------------------------------- */

static bool is_point(const struct dunit *u)
{
	return !u->opaque && u->n_ranges == 1 && !memcmp(u->ranges[0].lo, u->ranges[0].hi, u->len);
}

/* What of a load dispatch_same_load() compares, its length, and the value. */
struct point {
	uint32_t load[4];
	uint8_t len, value[16];
};

static struct point point_of(const struct dunit *u)
{
	const struct expr *e = u->load;
	struct point p = { .load = { e->kind }, .len = u->len };

	if (e->kind == EX_PAYLOAD) {
		p.load[1] = e->payload.base;
		p.load[2] = e->payload.off;
	} else if (e->kind == EX_META) {
		p.load[1] = e->meta.key;
	} else {
		p.load[1] = e->ct.key;
		p.load[2] = e->ct.has_dir;
		p.load[3] = e->ct.dir;
	}
	memcpy(p.value, u->ranges[0].lo, u->len);
	return p;
}

/* The key of those units of the rule that are in `which`; false: one of them is no single value. */
static bool points_of(const struct drule *r, uint32_t which, struct point *key, uint32_t *n)
{
	memset(key, 0, POINTS_MAX * sizeof(*key));
	*n = 0;
	for (uint32_t u = 0; u < r->n_units; u++) {
		if (!(which >> u & 1))
			continue;
		if (!is_point(&r->units[u]))
			return false;
		key[(*n)++] = point_of(&r->units[u]);
	}
	return true;
}

static const struct drule *find_points(const struct dchain *dc, const struct drule *r)
{
	struct point key[POINTS_MAX];
	const struct drule *w;
	uint32_t n;

	if (r->n_units > POINTS_MAX)
		return NULL;
	for (uint32_t which = 1; which < 1u << r->n_units; which++) {
		if (!(dc->point_sizes >> __builtin_popcount(which) & 1) ||
		    !points_of(r, which, key, &n))
			continue;
		w = strmap_get(&dc->points, (const char *)key, n * sizeof(*key));
		if (w)
			return w;
	}
	return NULL;
}

/*
 * A part of a header's field may contain what is compared with the whole: not to be found by its
 * value.
 */
static bool is_found_by_value(const struct drule *r)
{
	struct point key[POINTS_MAX];
	uint32_t n;

	for (uint32_t u = 0; u < r->n_units; u++)
		if (r->units[u].load->kind == EX_PAYLOAD &&
		    r->units[u].load->payload.base == PB_NETWORK && r->units[u].len < 4)
			return false;
	return r->n_units <= POINTS_MAX && points_of(r, (1u << r->n_units) - 1, key, &n);
}

static void remember(struct dchain *dc, const struct drule *r)
{
	struct point key[POINTS_MAX];
	void **slot;
	uint32_t n;

	if (!is_found_by_value(r)) {
		if (dc->wide.n < WIDE_MAX)
			*vec_push(dc->tmp, &dc->wide) = r;
		return;
	}
	if (!dc->points.cap)
		strmap_init(&dc->points, dc->tmp);
	points_of(r, (1u << r->n_units) - 1, key, &n);
	slot = strmap_put(&dc->points, (const char *)key, n * sizeof(*key));
	if (!*slot)
		*slot = (void *)r;
	dc->point_sizes |= 1u << n;
}

const struct rule *dispatch_shadow(struct bld *b, struct dchain *dc, uint32_t at)
{
	const struct drule *r, *w = NULL;

	if (!dc->tmp)
		return NULL;
	r = dispatch_rule_at(b, dc, at, lower_act(b, dc->chain->rules.v[at]));
	if (!r || r->never)
		return NULL;
	if (dc->points.cap)
		w = find_points(dc, r);
	for (uint32_t k = 0; k < dc->wide.n && !w; k++)
		if (covers(b, dc->wide.v[k], r))
			w = dc->wide.v[k];
	if (!w && r->final)
		remember(dc, r);
	return w ? w->rule : NULL;
}
