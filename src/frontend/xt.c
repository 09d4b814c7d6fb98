// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xt: translates what rules ask of extensions of iptables: which, in which rules, and the
 * expressions they are made of.
 */
#include <stdlib.h>

#include "xtint.h"

/* -- numbers ----------------------------------------------------------------------------------- */

uint16_t x_u16(const struct xt *x, uint32_t at)
{
	uint16_t v;

	memcpy(&v, x->info + at, sizeof(v));
	return v;
}

uint32_t x_u32(const struct xt *x, uint32_t at)
{
	uint32_t v;

	memcpy(&v, x->info + at, sizeof(v));
	return v;
}

uint64_t x_u64(const struct xt *x, uint32_t at)
{
	uint64_t v;

	memcpy(&v, x->info + at, sizeof(v));
	return v;
}

static struct data big_endian(uint64_t v, uint32_t n)
{
	struct data d = { .len = (uint8_t)n };

	for (uint32_t i = n; i-- > 0; v >>= 8)
		d.b[i] = (uint8_t)v;
	return d;
}

static uint64_t most(uint32_t n)
{
	return n >= 8 ? UINT64_MAX : (1ull << 8 * n) - 1;
}

/* -- expressions ------------------------------------------------------------------------------- */

struct expr *x_expr(struct xt *x, enum expr_kind k)
{
	struct expr *e = expr_new(x->arena, k, x->loc);

	*vec_push(x->arena, &x->out) = e;
	return e;
}

void x_meta(struct xt *x, uint32_t key)
{
	struct expr *e = x_expr(x, EX_META);

	e->meta.key = key;
	e->meta.dreg = X_REG;
}

void x_ct(struct xt *x, uint32_t key, int dir)
{
	struct expr *e = x_expr(x, EX_CT);

	e->ct.key = key;
	e->ct.dreg = X_REG;
	e->ct.has_dir = dir >= 0;
	e->ct.dir = dir > 0;
}

void x_payload(struct xt *x, enum payload_base base, uint32_t off, uint32_t len)
{
	struct expr *e = x_expr(x, EX_PAYLOAD);

	e->payload.base = base;
	e->payload.off = (uint16_t)off;
	e->payload.len = (uint8_t)len;
	e->payload.dreg = X_REG;
}

void x_need(struct xt *x, uint32_t len, bool strict)
{
	struct expr *e = x_expr(x, EX_XTNEED);

	e->need.len = (uint16_t)len;
	e->need.strict = strict && x->family == FAM_IP;
}

void x_mask(struct xt *x, const void *mask, uint32_t n)
{
	struct data m = data_bytes(mask, n);
	struct expr *e;
	bool all = true;

	for (uint32_t i = 0; i < n; i++)
		all &= m.b[i] == 0xff;
	if (all)
		return;
	e = x_expr(x, EX_BITWISE);
	e->bitwise.sreg = e->bitwise.dreg = X_REG;
	e->bitwise.op = BW_MASK_XOR;
	e->bitwise.len = (uint8_t)n;
	e->bitwise.mask = m;
	e->bitwise.xor.len = (uint8_t)n;
}

void x_swap(struct xt *x, uint32_t n)
{
	struct expr *e = x_expr(x, EX_BYTEORDER);

	e->byteorder.sreg = e->byteorder.dreg = X_REG;
	e->byteorder.op = BO_HTON;
	e->byteorder.len = e->byteorder.size = (uint8_t)n;
}

void x_shift(struct xt *x, bool left, uint32_t by)
{
	struct expr *e = x_expr(x, EX_BITWISE);

	e->bitwise.sreg = e->bitwise.dreg = X_REG;
	e->bitwise.op = left ? BW_LSHIFT : BW_RSHIFT;
	e->bitwise.len = 4;
	e->bitwise.data = data_bytes(&by, 4);
}

void x_cmp(struct xt *x, enum cmp_op op, const void *v, uint32_t n)
{
	struct expr *e = x_expr(x, EX_CMP);

	e->cmp.sreg = X_REG;
	e->cmp.op = op;
	e->cmp.data = data_bytes(v, n);
}

bool x_between(struct xt *x, uint64_t lo, uint64_t hi, uint32_t n, bool inv)
{
	struct data from = big_endian(lo, n), to = big_endian(hi, n);
	struct expr *e;

	if (lo > hi || hi > most(n) || (!lo && hi == most(n)))
		return false;
	if (lo == hi) {
		x_cmp(x, inv ? CMP_NEQ : CMP_EQ, from.b, n);
		return true;
	}
	e = x_expr(x, EX_RANGE);
	e->range.sreg = X_REG;
	e->range.op = inv ? RANGE_NEQ : RANGE_EQ;
	e->range.from = from;
	e->range.to = to;
	return true;
}

/* -- sets -------------------------------------------------------------------------------------- */

static int by_low(const void *a, const void *b)
{
	const struct x_range *p = a, *q = b;

	return p->lo < q->lo ? -1 : p->lo > q->lo;
}

uint32_t x_join(struct x_range *v, uint32_t n)
{
	uint32_t k = 0;

	qsort(v, n, sizeof(*v), by_low);
	for (uint32_t i = 0; i < n; i++) {
		if (k && v[i].lo <= v[k - 1].hi + (v[k - 1].hi != UINT64_MAX))
			v[k - 1].hi = MAX(v[k - 1].hi, v[i].hi);
		else
			v[k++] = v[i];
	}
	return k;
}

/* A constant set without a name, of values or ranges that are sorted and apart. */
struct set *x_set(struct xt *x, const struct x_range *v, uint32_t n_ranges, uint32_t n,
		  uint32_t type)
{
	struct set *s = arena_new_of(x->arena, struct set);
	bool ranges = false;

	for (uint32_t i = 0; i < n_ranges; i++)
		ranges |= v[i].lo != v[i].hi;
	s->table = (struct table *)x->table;
	s->name = arena_printf(x->arena, "__xt%u", (*x->n_sets)++);
	s->loc = x->loc;
	s->flags = SET_ANONYMOUS | SET_CONSTANT | (ranges ? SET_INTERVAL : 0);
	s->key_type = type;
	s->key_len = (uint8_t)n;
	s->n_fields = 1;
	s->field_len[0] = (uint8_t)n;
	s->key_decl = datatype_name(type);
	s->states_known = true;
	for (uint32_t i = 0; i < n_ranges; i++) {
		struct set_elem *el = arena_new_of(x->arena, struct set_elem);

		el->loc = x->loc;
		el->key = big_endian(v[i].lo, n);
		if (ranges)
			el->key_end = big_endian(v[i].hi, n);
		*vec_push(x->arena, &s->elems) = el;
	}
	return s;
}

bool x_among(struct xt *x, struct x_range *v, uint32_t n_ranges, uint32_t n, uint32_t type,
	     bool inv)
{
	struct expr *e;

	n_ranges = x_join(v, n_ranges);
	if (!n_ranges)
		return false;
	if (n_ranges == 1)
		return x_between(x, v[0].lo, v[0].hi, n, inv);
	e = x_expr(x, EX_LOOKUP);
	e->lookup.sreg = X_REG;
	e->lookup.inv = inv;
	e->lookup.set = x_set(x, v, n_ranges, n, type);
	return true;
}

/* -- which ------------------------------------------------------------------------------------- */

static const struct xt_row xt_rows[] = {
#define M(name, rev, families, proto, size, fn) { name, rev, families, proto, size, fn },
#include "xt.def"
#undef M
};

bool x_row_fits(const struct xt_row *r, const struct expr *e, enum family f)
{
	return !strcmp(r->name, e->xt.name) && r->rev == e->xt.rev &&
	       (r->families == 46 || r->families == (f == FAM_IP ? 4 : 6)) &&
	       (e->xt.info_len == r->size || e->xt.info_len == ALIGN_UP(r->size, 8));
}

static const struct xt_row *row_of(const struct expr *e, enum family f)
{
	for (size_t i = 0; i < ARRAY_SIZE(xt_rows); i++)
		if (x_row_fits(&xt_rows[i], e, f))
			return &xt_rows[i];
	return NULL;
}

void x_begin(struct xt *x, const struct expr *e)
{
	x->loc = e->loc;
	x->info = e->xt.info;
	x->rev = e->xt.rev;
}

/* Whether expressions i and i + 1 ask for a transport protocol; which. */
static bool asks_proto(const struct rule *r, uint32_t i, uint8_t *proto)
{
	const struct expr *l = r->exprs.v[i], *c = r->exprs.v[i + 1];
	uint8_t reg = REG_NONE;

	if (l->kind == EX_META && l->meta.key == KEY_META_L4PROTO)
		reg = l->meta.dreg;
	else if (l->kind == EX_PAYLOAD && r->chain->table->family == FAM_IP &&
		 l->payload.base == PB_NETWORK && l->payload.off == 9 && l->payload.len == 1)
		reg = l->payload.dreg;
	if (reg == REG_NONE || c->kind != EX_CMP || c->cmp.op != CMP_EQ || c->cmp.sreg != reg ||
	    c->cmp.data.len != 1)
		return false;
	*proto = c->cmp.data.b[0];
	return true;
}

/*
 * Extensions with a protocol read the transport header, of which nf_tables and they have the same
 * notion only once the rule has asked for the protocol.
 */
static bool proto_asked(const struct rule *r, uint32_t at, int want)
{
	static const uint8_t with_ports[] = { 6, 17, 33, 132, 136 };
	uint8_t proto;

	if (!want)
		return true;
	for (uint32_t i = 0; i + 1 < at; i++) {
		if (!asks_proto(r, i, &proto))
			continue;
		if (want >= 0)
			return proto == want;
		return memchr(with_ports, proto, sizeof(with_ports)) != NULL;
	}
	return false;
}

/*
 * Registers that expressions behind `at` read before they write them: a translation must leave
 * these alone.
 */
static uint32_t live_behind(const struct rule *r, uint32_t at)
{
	uint32_t live = 0;

	for (uint32_t i = r->exprs.n; i-- > at + 1;) {
		struct expr_regs e = expr_regs(r->exprs.v[i]);

		live = (live & ~e.writes) | e.reads;
	}
	return live;
}

/* Behind such a chain of iptables' table raw a packet may carry a template that -j CT gave it. */
static bool sees_templates(const struct table *t)
{
	vec_foreach(&t->chains, c)
		if ((*c)->is_base && (*c)->prio <= -200 &&
		    ((*c)->hook == HOOK_PREROUTING || (*c)->hook == HOOK_OUTPUT))
			return true;
	return false;
}

/* -- rules ------------------------------------------------------------------------------------- */

static bool translate_match(struct xt *x, const struct rule *r, uint32_t at)
{
	const struct expr *e = r->exprs.v[at];
	const struct xt_row *row = row_of(e, x->family);
	uint32_t writes = 0;

	if (!row || !proto_asked(r, at, row->proto))
		return false;
	x_begin(x, e);
	memset(&x->out, 0, sizeof(x->out));
	if (!row->fn(x))
		return false;
	vec_foreach(&x->out, o)
		writes |= expr_regs(*o).writes;
	return !(writes & live_behind(r, at));
}

static bool has_match(const struct rule *r)
{
	vec_foreach(&r->exprs, e)
		if ((*e)->kind == EX_MATCH)
			return true;
	return false;
}

static void translate_rule(struct xt *x, struct rule *r)
{
	VEC(struct expr *) out = { 0 };
	bool any = false;

	if (!has_match(r))
		return;
	for (uint32_t i = 0; i < r->exprs.n; i++) {
		struct expr *e = r->exprs.v[i];

		if (e->kind != EX_MATCH || !translate_match(x, r, i)) {
			*vec_push(x->arena, &out) = e;
			continue;
		}
		any = true;
		vec_foreach(&x->out, o)
			*vec_push(x->arena, &out) = *o;
	}
	if (!any)
		return;
	r->xt.v = r->exprs.v;
	r->xt.n = r->xt.cap = r->exprs.n;
	r->exprs.v = out.v;
	r->exprs.n = out.n;
	r->exprs.cap = out.cap;
}

void xt_translate(struct ruleset *rs)
{
	vec_foreach(&rs->tables, t) {
		uint32_t n_sets = 0;
		struct xt x = {
			.arena = rs->arena, .family = (*t)->family, .table = *t, .n_sets = &n_sets
		};

		if (x.family != FAM_IP && x.family != FAM_IP6)
			continue;
		x.templates = sees_templates(*t);
		vec_foreach(&(*t)->chains, c)
			vec_foreach(&(*c)->rules, r)
				translate_rule(&x, *r);
	}
}
