// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dispatch_mix: rules of many shapes in any order become one classification of the packet
 * (recursive flow classification).
 *
 * Each value that rules ask about is cut where the rules that may match change; parts with the same
 * rules are one class. Classes of two values are joined by a table as long as that stays small, so
 * that most packets are classified by a few loads; what is not joined is joined by the packet: a
 * row of bits for each class, and the lowest bit that all rows have is the rule that counts.
 *
 * Values that the packet does not have (the load breaks) are a class of their own, in which no rule
 * matches that asks for them.
 *
 * A rule that is none of this kind (a limit, a verdict map) stands between two stretches: the
 * packet is classified once, each stretch looks for its first rule among its own bits. Where a rule
 * lets its packets go on and a later one may have some of them, the search goes on behind it among
 * the bits that are left.
 */
#include <stdlib.h>

#include "mix.h"

#define MIX_MIN	       12     /* rules */
#define CROSS_MAX      65536u /* entries of a table that joins two axes */
#define STRETCH_MIN    3      /* shorter ones are tested rule by rule */
#define FAR	       32     /* rules of a stretch that need not end with a word */
#define ROUNDS_MAX     6      /* each has code of its own ... */
#define JUMP_MAX       64     /* ... that of chains of so many expressions included */
#define RULE_NS	       1.5    /* a rule tested by itself */
#define LOOKUP_NS      5.0
#define CONCAT_NS      20.0 /* of ranges in several fields */
#define CONCAT_RULE_NS 0.25
#define STRETCH_NS     1.5

bool build_mix_any;

/* -- rules and fields -------------------------------------------------------------------------- */

static struct mix_field *field_of(struct mix *m, const struct drule *d, const struct dunit *u)
{
	struct mix_field *f = m->field;

	for (; f < m->field + m->n_fields; f++)
		if (dispatch_same_field(m->b, f->unit, u))
			break;
	if (f == m->field + MIX_FIELDS)
		return NULL;
	if (f == m->field + m->n_fields) {
		*f = (struct mix_field){ .from = d, .unit = u, .len = u->len };
		m->n_fields++;
	}
	if (u->len > f->len) {
		f->from = d;
		f->unit = u;
		f->len = u->len;
	}
	return f;
}

static bool add_rule(struct mix *m, struct drule *d, uint32_t at)
{
	for (uint32_t k = 0; k < d->n_units; k++)
		if (!d->units[k].mixes)
			return false;
	for (uint32_t k = 0; k < d->n_units; k++)
		if (!field_of(m, d, &d->units[k]))
			return false;
	for (uint32_t k = 0; k < d->n_units; k++)
		*vec_push(m->tmp, &field_of(m, d, &d->units[k])->conds) =
			(struct mix_cond){ m->n, &d->units[k] };
	m->r[m->n] = d;
	m->place[m->n] = at;
	m->number[at - m->from] = ++m->n;
	return true;
}

/*
 * What the rules would cost as runs of one shape and one by one; d NULL: a rule that is in neither.
 */
struct alone {
	const struct drule *first;
	uint32_t n, fields; /* fields: that are no single values in some rule */
	double ns;
};

static uint32_t ranged_fields(const struct drule *d)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < d->n_units; k++) {
		const struct dunit *u = &d->units[k];

		n += !u->opaque &&
		     (u->n_ranges != 1 || memcmp(u->ranges->lo, u->ranges->hi, u->len));
	}
	return n;
}

static double run_ns(const struct alone *a)
{
	double rules = a->n * RULE_NS;

	if (a->n < DISPATCH_MIN)
		return rules;
	if (!a->fields || a->first->n_units == 1)
		return LOOKUP_NS;
	return MIN(rules, CONCAT_NS + a->n * CONCAT_RULE_NS);
}

static void count_alone(struct bld *b, struct alone *a, const struct drule *d)
{
	if (d && a->first && dispatch_same_shape(b, a->first, d)) {
		a->fields = MAX(a->fields, ranged_fields(d));
		a->n++;
		return;
	}
	a->ns += run_ns(a);
	a->first = d;
	a->n = d != NULL;
	a->fields = d ? ranged_fields(d) : 0;
}

/* Rules from `from` on; what they cost without us. */
static double collect(struct mix *m, struct dchain *dc)
{
	uint32_t others = 0, i, max = MIN(dc->to - m->from, 2u * MIX_RULES);
	struct alone alone = { 0 };

	m->r = arena_array(m->tmp, struct drule *, MIX_RULES);
	m->place = arena_array(m->tmp, uint32_t, MIX_RULES);
	m->number = arena_array(m->tmp, uint32_t, max);
	m->to = m->from;
	for (i = m->from; i < m->from + max && m->n < MIX_RULES; i++) {
		struct rule_act act = lower_act(m->b, dc->chain->rules.v[i]);
		struct drule *d = NULL;

		if (act.act != RULE_NEVER)
			d = dispatch_rule_at(m->b, dc, i, act);
		if (act.act == RULE_NEVER || (d && d->never)) {
			m->number[i - m->from] = MIX_SKIP;
			continue;
		}
		if (d && add_rule(m, d, i))
			m->to = i + 1;
		else if (++others > 4 + m->n / 4)
			break;
		count_alone(m->b, &alone, d);
	}
	count_alone(m->b, &alone, NULL);
	return alone.ns;
}

/* -- classes ----------------------------------------------------------------------------------- */

/* Where rule k begins (by 1) or ceases (by -1) to match. */
struct event {
	const uint8_t *at;
	uint32_t rule;
	int by;
};

static _Thread_local uint32_t sort_len;
static int by_place(const void *x, const void *y)
{
	return memcmp(((const struct event *)x)->at, ((const struct event *)y)->at, sort_len);
}

static uint8_t *filled(struct arena *a, const uint8_t *p, uint32_t n, uint32_t len, uint8_t with)
{
	uint8_t *v = arena_alloc(a, len);

	memset(v, with, len);
	if (n)
		memcpy(v, p, n);
	return v;
}

static bool successor(uint8_t *v, uint32_t len)
{
	while (len-- > 0)
		if (++v[len])
			return true;
	return false;
}

static uint32_t find_events(struct mix *m, const struct mix_field *f, struct event **out)
{
	uint32_t n = 0, k = 0;

	vec_foreach(&f->conds, c)
		n += 2 * c->unit->n_mix;
	*out = arena_array(m->tmp, struct event, n + 1);
	vec_foreach(&f->conds, c)
		for (uint32_t i = 0; i < c->unit->n_mix; i++) {
			const struct drange *g = &c->unit->mix[i];
			uint8_t *lo = filled(m->tmp, g->lo, c->unit->len, f->len, 0);
			uint8_t *end = filled(m->tmp, g->hi, c->unit->len, f->len, 0xff);

			(*out)[k++] = (struct event){ lo, c->rule, 1 };
			if (successor(end, f->len))
				(*out)[k++] = (struct event){ end, c->rule, -1 };
		}
	sort_len = f->len;
	qsort(*out, k, sizeof(**out), by_place);
	return k;
}

/* Rows of bits, each once. */
struct rows {
	struct strmap map; /* row -> class + 1 */
	VEC(const uint64_t *) v;
};

static uint32_t class_of_row(struct mix *m, struct rows *rows, const uint64_t *row)
{
	void **slot = strmap_put(&rows->map, (const char *)row, m->words * sizeof(*row));

	if (!*slot) {
		*vec_push(m->tmp, &rows->v) = arena_dup(m->tmp, row, m->words * sizeof(*row));
		*slot = (void *)(uintptr_t)rows->v.n;
	}
	return (uint32_t)(uintptr_t)*slot - 1;
}

static void set_bit(uint64_t *row, uint32_t k, bool on)
{
	row[k / 64] = (row[k / 64] & ~(1ull << k % 64)) | (uint64_t)on << k % 64;
}

static bool get_bit(const uint64_t *row, uint32_t k)
{
	return row[k / 64] >> k % 64 & 1;
}

static uint64_t *all_rows(struct mix *m, const struct rows *rows)
{
	uint64_t *out = arena_array(m->tmp, uint64_t, (size_t)rows->v.n * m->words);

	for (uint32_t k = 0; k < rows->v.n; k++)
		memcpy(out + (size_t)k * m->words, rows->v.v[k], m->words * sizeof(*out));
	return out;
}

static void add_part(struct mix *m, struct mix_field *f, const uint8_t *lo, uint32_t class)
{
	if (!f->parts.n || f->parts.v[f->parts.n - 1].class != class)
		*vec_push(m->tmp, &f->parts) = (struct mix_part){ lo, class };
}

/* How many of a rule's conditions on the field hold: all must. */
struct holds {
	uint16_t have, need;
};

static struct mix_axis *find_classes(struct mix *m, struct mix_field *f)
{
	struct mix_axis *x = arena_new_of(m->tmp, struct mix_axis);
	struct holds *h = arena_array(m->tmp, struct holds, m->n);
	uint64_t *row = arena_array(m->tmp, uint64_t, m->words);
	struct rows rows = { 0 };
	struct event *ev;
	uint32_t n = find_events(m, f, &ev);

	strmap_init(&rows.map, m->tmp);
	vec_foreach(&f->conds, c)
		h[c->rule].need++;
	for (uint32_t k = 0; k < m->n; k++)
		set_bit(row, k, !h[k].need);
	f->absent = class_of_row(m, &rows, row);
	add_part(m, f, filled(m->tmp, NULL, 0, f->len, 0), f->absent);
	for (uint32_t i = 0; i < n;) {
		const uint8_t *at = ev[i].at;

		for (; i < n && !memcmp(ev[i].at, at, f->len); i++) {
			struct holds *r = &h[ev[i].rule];

			r->have = (uint16_t)(r->have + ev[i].by);
			set_bit(row, ev[i].rule, r->have == r->need);
		}
		if (!memcmp(f->parts.v[0].lo, at, f->len))
			f->parts.n = 0;
		add_part(m, f, at, class_of_row(m, &rows, row));
	}
	x->n = rows.v.n;
	x->rows = all_rows(m, &rows);
	x->field = f;
	return x;
}

uint32_t mix_class_of(const struct mix_field *f, const uint8_t *value)
{
	uint32_t lo = 0, hi = f->parts.n;

	while (hi - lo > 1) {
		uint32_t mid = (lo + hi) / 2;

		if (memcmp(f->parts.v[mid].lo, value, f->len) <= 0)
			lo = mid;
		else
			hi = mid;
	}
	return f->parts.v[lo].class;
}

/* A part of one value. */
static bool is_single(struct mix *m, const struct mix_field *f, uint32_t k)
{
	uint8_t *end;

	if (k + 1 == f->parts.n) {
		end = filled(m->tmp, NULL, 0, f->len, 0xff);
		return !memcmp(end, f->parts.v[k].lo, f->len);
	}
	end = filled(m->tmp, f->parts.v[k].lo, f->len, f->len, 0);
	return successor(end, f->len) && !memcmp(end, f->parts.v[k + 1].lo, f->len);
}

/* The class that most parts are of which are no single values needs no elements. */
static void find_usual(struct mix *m, struct mix_field *f, uint32_t n_classes)
{
	uint32_t *wide = arena_array(m->tmp, uint32_t, n_classes), bits = 0;

	for (uint32_t k = 0; k < f->parts.n; k++)
		wide[f->parts.v[k].class] += !is_single(m, f, k);
	f->usual = f->parts.v[0].class;
	for (uint32_t k = 0; k < n_classes; k++)
		if (wide[k] > wide[f->usual])
			f->usual = k;
	f->exact = true;
	for (uint32_t k = 0; k < f->parts.n; k++) {
		if (f->parts.v[k].class == f->usual)
			continue;
		f->n_elems++;
		f->exact &= is_single(m, f, k);
	}
	while (1u << bits < 2 * f->n_elems)
		bits++;
	f->ns = f->len == 1 ? 1 : f->len == 2 ? 2 : f->exact ? 3 : 1 + 0.9 * bits;
}

/* -- axes -------------------------------------------------------------------------------------- */

static struct mix_axis *join_axes(struct mix *m, struct mix_axis *a, struct mix_axis *b)
{
	struct mix_axis *x = arena_new_of(m->tmp, struct mix_axis);
	uint64_t *row = arena_array(m->tmp, uint64_t, m->words);
	struct rows rows = { 0 };

	strmap_init(&rows.map, m->tmp);
	x->a = a;
	x->b = b;
	x->cross = arena_array(m->tmp, uint16_t, (size_t)a->n * b->n);
	for (uint32_t i = 0; i < a->n; i++)
		for (uint32_t k = 0; k < b->n; k++) {
			for (uint32_t w = 0; w < m->words; w++)
				row[w] = a->rows[i * m->words + w] & b->rows[k * m->words + w];
			x->cross[i * b->n + k] = (uint16_t)class_of_row(m, &rows, row);
		}
	x->n = rows.v.n;
	x->rows = all_rows(m, &rows);
	return x;
}

/* Joins the two with the smallest table; false: it would be too large. */
static bool join_best(struct mix *m)
{
	uint64_t best = CROSS_MAX + 1;
	uint32_t x = 0, y = 0;

	for (uint32_t i = 0; i < m->n_axes; i++)
		for (uint32_t k = i + 1; k < m->n_axes; k++)
			if ((uint64_t)m->axis[i]->n * m->axis[k]->n < best) {
				best = (uint64_t)m->axis[i]->n * m->axis[k]->n;
				x = i;
				y = k;
			}
	if (best > CROSS_MAX)
		return false;
	m->axis[x] = join_axes(m, m->axis[x], m->axis[y]);
	m->axis[y] = m->axis[--m->n_axes];
	return true;
}

/* -- stretches --------------------------------------------------------------------------------- */

/* The rules that have a class of the field in common with rule k. */
static void with_rule(const struct mix *m, const struct mix_axis *x, uint32_t k, uint64_t *row)
{
	for (uint32_t c = 0; c < x->n; c++) {
		const uint64_t *r = x->rows + (size_t)c * m->words;

		if (get_bit(r, k))
			for (uint32_t w = k / 64; w < m->words; w++)
				row[w] |= r[w];
	}
}

/* The first rule behind k that may have a packet in common with it; m->n: none. */
static uint32_t next_overlap(struct mix *m, struct mix_axis **field, uint32_t k, uint64_t *row,
			     uint64_t *all)
{
	memset(all, 0xff, m->words * sizeof(*all));
	for (uint32_t f = 0; f < m->n_fields; f++) {
		bool asks = false;

		for (uint32_t u = 0; u < m->r[k]->n_units && !asks; u++)
			asks = dispatch_same_field(m->b, m->field[f].unit, &m->r[k]->units[u]);
		if (!asks)
			continue;
		memset(row, 0, m->words * sizeof(*row));
		with_rule(m, field[f], k, row);
		for (uint32_t w = k / 64; w < m->words; w++)
			all[w] &= row[w];
	}
	for (uint32_t i = k + 1; i < m->n; i++)
		if (get_bit(all, i))
			return i;
	return m->n;
}

static void find_limits(struct mix *m, struct mix_axis **field)
{
	uint64_t *row = arena_array(m->tmp, uint64_t, m->words);
	uint64_t *all = arena_array(m->tmp, uint64_t, m->words);

	m->limit = arena_array(m->tmp, uint32_t, m->n);
	for (uint32_t k = 0; k < m->n; k++)
		m->limit[k] = m->r[k]->final ? m->n : next_overlap(m, field, k, row, all);
}

/* -- the decision ------------------------------------------------------------------------------ */

/* Classifying costs that, and then each stretch. */
static double mixed_ns(const struct mix *m)
{
	double ns = m->n_fields - m->n_axes;
	bool rows = m->n_axes > 1;

	for (uint32_t f = 0; f < m->n_fields; f++)
		ns += m->field[f].ns;
	for (uint32_t k = 0; k < m->n; k++)
		rows |= m->limit[k] < m->n;
	for (uint32_t i = m->from; i < m->to; i++)
		ns += !m->number[i - m->from] ? STRETCH_NS : 0;
	return rows ? ns + m->words * (0.8 * m->n_axes + 0.5) : ns;
}

/* Counters get their numbers in a row, whatever stands between the rules. */
static void number_counters(struct mix *m, struct dchain *dc)
{
	for (uint32_t i = m->from; i < m->to; i++) {
		const struct rule *r = dc->chain->rules.v[i];
		struct rule_act act = lower_act(m->b, r);
		const struct drule *d = act.act == RULE_LOWER ? dispatch_rule_at(m->b, dc, i, act)
							      : NULL;

		if (d && d->counter)
			lower_state_of(m->b, r, d->counter_index, d->counter);
	}
}

static struct mix *mix_new(struct bld *b, struct dchain *dc, uint32_t at)
{
	struct mix_axis *field[MIX_FIELDS];
	struct mix *m = arena_new_of(dc->tmp, struct mix);
	double alone;

	m->b = b;
	m->tmp = dc->tmp;
	m->from = at;
	alone = collect(m, dc);
	dc->no_mix = MAX(m->to, at + 1);
	if (m->n < MIX_MIN || (alone < MIX_MIN * RULE_NS && !build_mix_any))
		return NULL;
	m->words = DIV_ROUND_UP(m->n, 64);
	for (uint32_t f = 0; f < m->n_fields; f++) {
		m->axis[f] = field[f] = find_classes(m, &m->field[f]);
		find_usual(m, &m->field[f], field[f]->n);
	}
	m->n_axes = m->n_fields;
	while (m->n_axes > 1 && join_best(m))
		;
	find_limits(m, field);
	if (mixed_ns(m) > alone / 2 && !build_mix_any)
		return NULL;
	number_counters(m, dc);
	return m;
}

/*
 * Rules that are lowered at once: [first, end) by number; at most `rounds` of them meet one packet.
 */
struct stretch {
	uint32_t first, end, rounds;
	uint32_t next; /* the rule of the chain behind it */
};

/* Its chain is neither called nor small. */
static bool is_large_jump(const struct mix *m, uint32_t k)
{
	const struct verdict *v = &m->r[k]->verdict;
	const struct bchain *c = v->code == V_JUMP ? &m->b->chains[v->chain->index] : NULL;

	return c && !c->call && c->weight > JUMP_MAX;
}

/*
 * From rule `at` of the chain on, to the next one that is not of the mix, or at most to number
 * `max`.
 */
static struct stretch stretch_to(const struct mix *m, uint32_t at, uint32_t max)
{
	uint32_t first = m->number[at - m->from] - 1;
	struct stretch s = { first, first, 1, at };

	for (uint32_t i = at; i < m->to; i++) {
		uint32_t k = m->number[i - m->from];

		if (k == MIX_SKIP)
			continue;
		if (!k || k > max)
			break;
		if (is_large_jump(m, k - 1))
			max = MIN(max, m->limit[k - 1]);
		s.end = k;
		s.next = i + 1;
	}
	for (uint32_t k = first; k < s.end; k++)
		s.rounds += m->limit[k] < s.end;
	return s;
}

/*
 * As far as no packet meets two rules, if that is far; else within a word of the rows, where
 * packets may meet some, but not too many.
 */
static struct stretch stretch_at(const struct mix *m, uint32_t at)
{
	struct stretch s = stretch_to(m, at, m->n);
	uint32_t max = ALIGN_UP(s.first + 1, 64u), one = s.end;

	if (s.rounds == 1)
		return s;
	for (uint32_t k = s.first; k < one; k++)
		one = MIN(one, m->limit[k]);
	if (one - s.first >= FAR)
		return stretch_to(m, at, one);
	do {
		s = stretch_to(m, at, max);
		max = s.first + DIV_ROUND_UP(s.end - s.first, 2u);
	} while (s.rounds > ROUNDS_MAX);
	return s;
}

static struct mix *mix_at(struct bld *b, struct dchain *dc, uint32_t at)
{
	const struct drule *d;

	if (dc->mix && at < dc->mix->to && (!dc->mix->fn || dc->mix->fn == b->c.fn))
		return dc->mix;
	dc->mix = NULL;
	if (at < dc->no_mix || at + MIX_MIN > dc->to)
		return NULL;
	d = dispatch_rule_at(b, dc, at, lower_act(b, dc->chain->rules.v[at]));
	if (!d || dispatch_peel(dc, at, d))
		return NULL;
	return dc->mix = mix_new(b, dc, at);
}

uint32_t dispatch_mix(struct bld *b, struct dchain *dc, uint32_t at)
{
	struct mix *m = mix_at(b, dc, at);
	struct stretch s;

	if (!m || !m->number[at - m->from] || m->number[at - m->from] == MIX_SKIP)
		return 0;
	s = stretch_at(m, at);
	if (s.end - s.first < STRETCH_MIN)
		return 0;
	b->pos->next = s.next;
	if (mix_lower(m, s.first, s.end, s.rounds))
		return s.next - at;
	dc->mix = NULL;
	return 0;
}
