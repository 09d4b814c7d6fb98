// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * facts: what a packet must be for a rule to match, as far as that is simple: a load, perhaps under
 * a mask, lies in one of some ranges. Two rules that ask for disjoint ranges of the same load never
 * match the same packet.
 */
#include <linux/netfilter/nf_tables.h>

#include "split.h"

#define MAX_RANGES 4096

struct freg {
	const struct expr *load, *mask;
	bool known;
};

static uint8_t load_dreg(const struct expr *e)
{
	switch (e->kind) {
	case EX_PAYLOAD:
		return e->payload.dreg;
	case EX_META:
		return e->meta.dreg;
	case EX_CT:
		return e->ct.dreg;
	default:
		return REG_NONE;
	}
}

bool sp_same_load(const struct expr *a, const struct expr *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case EX_PAYLOAD:
		return a->payload.base == b->payload.base && a->payload.off == b->payload.off &&
		       a->payload.len == b->payload.len;
	case EX_META:
		return a->meta.key == b->meta.key;
	case EX_CT:
		return a->ct.key == b->ct.key && a->ct.has_dir == b->ct.has_dir &&
		       (!a->ct.has_dir || a->ct.dir == b->ct.dir);
	default:
		return false;
	}
}

static bool same_mask(const struct expr *a, const struct expr *b)
{
	if (!a || !b)
		return a == b;
	return data_eq(&a->bitwise.mask, &b->bitwise.mask) &&
	       data_eq(&a->bitwise.xor, &b->bitwise.xor);
}

static bool is_state(const struct expr *e)
{
	return e->kind == EX_CT && e->ct.key == NFT_CT_STATE;
}

static void fact_ranges(struct arena *a, struct fb_facts *f, const struct freg *g, uint8_t len,
			const struct fb_range *v, uint32_t n)
{
	struct fb_fact *t = vec_push(a, &f->v);

	*t = (struct fb_fact){ .load = g->load, .mask = g->mask, .len = len, .n = n, .ranges = v };
}

static void minus_one(uint8_t *b, uint32_t len)
{
	while (len && b[--len]-- == 0)
		;
}

static void plus_one(uint8_t *b, uint32_t len)
{
	while (len && ++b[--len] == 0)
		;
}

static bool all_are(const uint8_t *b, uint32_t len, uint8_t v)
{
	while (len)
		if (b[--len] != v)
			return false;
	return true;
}

/* The ranges that a comparison allows. */
static void fact_cmp(struct arena *a, struct fb_facts *f, const struct freg *g, enum cmp_op op,
		     const uint8_t *d, const uint8_t *to, uint32_t len)
{
	struct fb_range *v = arena_array(a, struct fb_range, 2);
	uint32_t n = 1;

	memset(v[0].lo, 0, 16);
	memset(v[0].hi, 0xff, 16);
	v[1] = v[0];
	switch (op) {
	case CMP_EQ:
		memcpy(v[0].lo, d, len);
		memcpy(v[0].hi, to, len);
		break;
	case CMP_LT:
	case CMP_LTE:
		memcpy(v[0].hi, d, len);
		if (op == CMP_LT) {
			if (all_are(d, len, 0))
				return;
			minus_one(v[0].hi, len);
		}
		break;
	case CMP_GT:
	case CMP_GTE:
		memcpy(v[0].lo, d, len);
		if (op == CMP_GT) {
			if (all_are(d, len, 0xff))
				return;
			plus_one(v[0].lo, len);
		}
		break;
	case CMP_NEQ:
		n = 0;
		if (!all_are(d, len, 0)) {
			memcpy(v[n].hi, d, len);
			minus_one(v[n++].hi, len);
		}
		if (!all_are(to, len, 0xff)) {
			memset(v[n].hi, 0xff, 16);
			memcpy(v[n].lo, to, len);
			plus_one(v[n++].lo, len);
		}
		break;
	}
	fact_ranges(a, f, g, (uint8_t)len, v, n);
}

static uint32_t host32(const struct data *d)
{
	uint32_t v = 0;

	memcpy(&v, d->b, MIN(d->len, 4));
	return v;
}

/* ct state is one bit of 1, 2, 4, 8, 64. */
#define STATES 0x4fu
static void fact_state(struct arena *a, struct fb_facts *f, const struct freg *g, uint32_t bits)
{
	struct fb_fact *t = vec_push(a, &f->v);

	*t = (struct fb_fact){ .load = g->load, .state = true, .bits = bits & STATES, .len = 4 };
}

static void fact_of_cmp(struct arena *a, struct fb_facts *f, const struct freg *g,
			const struct expr *e)
{
	uint32_t v = host32(&e->cmp.data), bits = 0, b;

	if (!is_state(g->load)) {
		if (e->cmp.data.len && e->cmp.data.len <= 16)
			fact_cmp(a, f, g, e->cmp.op, e->cmp.data.b, e->cmp.data.b, e->cmp.data.len);
		return;
	}
	if (e->cmp.op > CMP_NEQ)
		return;
	for (b = 1; b <= 64; b <<= 1) {
		uint32_t x = g->mask ? (b & host32(&g->mask->bitwise.mask)) ^
					       host32(&g->mask->bitwise.xor)
				     : b;

		if ((x == v) == (e->cmp.op == CMP_EQ))
			bits |= b;
	}
	fact_state(a, f, g, bits);
}

static void fact_of_lookup(struct arena *a, struct fb_facts *f, const struct freg *g,
			   const struct expr *e)
{
	const struct set *s = e->lookup.set;
	struct fb_range *v;
	uint32_t n = 0, bits = 0;

	if (e->lookup.inv || !(s->flags & (SET_ANONYMOUS | SET_CONSTANT)) || s->n_fields > 1 ||
	    s->key_len > 16 || s->elems.n > MAX_RANGES || !s->key_len)
		return;
	v = arena_array(a, struct fb_range, s->elems.n);
	vec_foreach(&s->elems, it) {
		const struct set_elem *el = *it;

		if (el->catchall)
			return;
		memset(v[n].hi, 0xff, 16);
		memcpy(v[n].lo, el->key.b, s->key_len);
		memcpy(v[n].hi, el->key_end.len ? el->key_end.b : el->key.b, s->key_len);
		bits |= host32(&el->key);
		n++;
	}
	if (is_state(g->load)) {
		if (!g->mask && !(s->flags & SET_INTERVAL))
			fact_state(a, f, g, bits);
		return;
	}
	fact_ranges(a, f, g, s->key_len, v, n);
}

static struct freg *freg(struct freg *regs, uint8_t reg)
{
	static struct freg none;

	if (reg == REG_NONE || reg == REG_VERDICT)
		return &none;
	return &regs[REG_WORD(reg)];
}

static void clobber(struct freg *regs, const struct expr *e)
{
	struct expr_regs r = expr_regs(e);
	uint32_t w;

	for (w = 0; w < REG_WORDS; w++)
		if (r.writes >> w & 1)
			regs[w].known = false;
}

void fb_facts_of(struct arena *a, const struct rule *r, uint32_t n, struct fb_facts *f)
{
	struct freg regs[REG_WORDS] = { 0 }, *g;
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct expr *e = r->exprs.v[i];
		struct freg old;

		switch (e->kind) {
		case EX_CMP:
			g = freg(regs, e->cmp.sreg);
			if (g->known)
				fact_of_cmp(a, f, g, e);
			break;
		case EX_RANGE:
			g = freg(regs, e->range.sreg);
			if (g->known && !is_state(g->load) && e->range.from.len <= 16 &&
			    e->range.from.len)
				fact_cmp(a, f, g, e->range.op == RANGE_EQ ? CMP_EQ : CMP_NEQ,
					 e->range.from.b, e->range.to.b, e->range.from.len);
			break;
		case EX_LOOKUP:
			g = freg(regs, e->lookup.sreg);
			if (g->known && e->lookup.set->n_fields <= 1)
				fact_of_lookup(a, f, g, e);
			clobber(regs, e);
			break;
		case EX_BITWISE:
			g = freg(regs, e->bitwise.sreg);
			old = *g;
			clobber(regs, e);
			if (e->bitwise.op == BW_MASK_XOR && old.known && !old.mask) {
				g = freg(regs, e->bitwise.dreg);
				*g = (struct freg){ .load = old.load, .mask = e, .known = true };
			}
			break;
		default:
			clobber(regs, e);
			if (load_dreg(e) != REG_NONE)
				*freg(regs, load_dreg(e)) = (struct freg){ .load = e,
									   .known = true };
			break;
		}
	}
}

static bool ranges_meet(const struct fb_fact *a, const struct fb_fact *b)
{
	uint32_t len = MIN(a->len, b->len), i, j;

	for (i = 0; i < a->n; i++)
		for (j = 0; j < b->n; j++)
			if (memcmp(a->ranges[i].lo, b->ranges[j].hi, len) <= 0 &&
			    memcmp(b->ranges[j].lo, a->ranges[i].hi, len) <= 0)
				return true;
	return false;
}

static bool fact_disjoint(const struct fb_fact *a, const struct fb_fact *b)
{
	if (!sp_same_load(a->load, b->load))
		return false;
	if (a->state || b->state)
		return a->state && b->state && !(a->bits & b->bits);
	if (!same_mask(a->mask, b->mask) || (uint64_t)a->n * b->n > 1u << 20)
		return false;
	return !ranges_meet(a, b);
}

bool fb_disjoint(const struct fb_facts *a, const struct fb_facts *b)
{
	const struct fb_facts *x, *y;

	for (x = a; x; x = x->outer)
		vec_foreach(&x->v, i)
			for (y = b; y; y = y->outer)
				vec_foreach(&y->v, j)
					if (fact_disjoint(i, j))
						return true;
	return false;
}
