// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * interp: the reference interpreter: walks chains and evaluates what does not read the packet. See
 * interp.h.
 */
#include <stdlib.h>

#include "interp_int.h"

#define STACK_MAX 16 /* jumps that may be open at once */

/* -- getting ready ----------------------------------------------------------------------------- */

static bool keeps_state(enum expr_kind k)
{
	return k == EX_COUNTER || k == EX_LIMIT || k == EX_QUOTA || k == EX_NUMGEN || k == EX_LAST;
}

static struct interp_state *state_for(struct interp *in, const struct expr *e)
{
	void **slot = strmap_put(&in->states, (const char *)&e, sizeof(e));

	if (!*slot) {
		*slot = arena_new_of(in->arena, struct interp_state);
		istate_init(*slot, e);
	}
	return *slot;
}

struct interp_state *interp_obj_state(struct interp *in, const struct obj *o)
{
	return o->expr && keeps_state(o->expr->kind) ? state_for(in, o->expr) : NULL;
}

/* Sets of translations (xt.h) are in no table: they are made here. */
static struct iset *set_for(struct interp *in, const struct set *s)
{
	void **slot = s ? strmap_put(&in->sets, (const char *)&s, sizeof(s)) : NULL;

	if (slot && !*slot)
		*slot = iset_new(in, s);
	return slot ? *slot : NULL;
}

struct ichain *interp_chain(struct interp *in, const struct chain *c)
{
	return strmap_get(&in->chains, (const char *)&c, sizeof(c));
}

static void prepare_expr(struct interp *in, struct icode *c, const struct expr *e)
{
	c->e = e;
	switch (e->kind) {
	case EX_IMMEDIATE:
		if (e->imm.dreg == REG_VERDICT && e->imm.verdict.chain)
			c->target = interp_chain(in, e->imm.verdict.chain);
		break;
	case EX_LOOKUP:
		c->set = set_for(in, e->lookup.set);
		break;
	case EX_DYNSET:
		c->set = set_for(in, e->dynset.set);
		break;
	case EX_OBJREF:
		c->set = set_for(in, e->objref.set);
		if (e->objref.obj)
			c->st = interp_obj_state(in, e->objref.obj);
		break;
	default:
		if (keeps_state(e->kind))
			c->st = state_for(in, e);
	}
}

static void prepare_chain(struct interp *in, struct ichain *ic)
{
	const struct chain *c = ic->c;

	ic->n = c->rules.n;
	ic->rules = arena_array(in->arena, struct irule, c->rules.n);
	for (uint32_t i = 0; i < c->rules.n; i++) {
		struct irule *ir = &ic->rules[i];

		ir->r = c->rules.v[i];
		ir->n = ir->r->exprs.n;
		ir->code = arena_array(in->arena, struct icode, ir->n);
		for (uint32_t j = 0; j < ir->n; j++)
			prepare_expr(in, &ir->code[j], ir->r->exprs.v[j]);
	}
}

struct interp *interp_new(const struct ruleset *rs)
{
	struct arena *a = arena_new();
	struct interp *in = arena_new_of(a, struct interp);

	in->arena = a;
	in->rs = rs;
	strmap_init(&in->sets, a);
	strmap_init(&in->chains, a);
	strmap_init(&in->states, a);
	strmap_init(&in->objs, a);
	vec_foreach(&rs->tables, t) {
		vec_foreach(&(*t)->chains, c) {
			struct ichain *ic = arena_new_of(a, struct ichain);

			ic->c = *c;
			*strmap_put(&in->chains, (const char *)c, sizeof(*c)) = ic;
		}
	}
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->sets, s)
			*strmap_put(&in->sets, (const char *)s, sizeof(*s)) = iset_new(in, *s);
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->chains, c)
			prepare_chain(in, interp_chain(in, *c));
	return in;
}

void interp_free(struct interp *in)
{
	if (in)
		arena_free(in->arena);
}

const struct interp_state *interp_state_of(const struct interp *in, const struct expr *e)
{
	return strmap_get(&in->states, (const char *)&e, sizeof(e));
}

/* -- statements that keep state ---------------------------------------------------------------- */

/* Tokens are nanoseconds; each packet costs some, and time brings them back, up to a burst. */
static void eval_limit(struct irun *x, const struct expr *e, struct interp_state *st)
{
	uint64_t ns = e->limit.unit * 1000000000u, rate = e->limit.rate, cost, max, tokens;
	uint32_t burst = e->limit.burst;
	uint64_t now = x->p->mono_ns;

	if (!rate) {
		unsupported(x, e);
		return;
	}
	if (e->limit.type) {
		cost = ns * x->p->len / rate;
		max = ns * (rate + burst) / rate;
	} else {
		cost = ns / rate;
		max = cost * (burst ? burst : 5);
	}
	tokens = st->limit.tokens == UINT64_MAX ? max : st->limit.tokens + (now - st->limit.last);
	tokens = MIN(tokens, max);
	st->limit.last = now;
	st->limit.tokens = tokens;
	if ((int64_t)(tokens - cost) >= 0) {
		st->limit.tokens = tokens - cost;
		if (e->limit.inv)
			run_break(x);
	} else if (!e->limit.inv) {
		run_break(x);
	}
}

static void eval_numgen(struct irun *x, const struct expr *e, struct interp_state *st)
{
	uint32_t v;

	if (e->numgen.type) {
		if (!x->p->random) {
			unsupported(x, e);
			return;
		}
		v = (uint32_t)((uint64_t)x->p->random(x->p->random_arg) * e->numgen.mod >> 32);
	} else {
		v = st->numgen.counter + 1 < e->numgen.mod ? st->numgen.counter + 1 : 0;
		st->numgen.counter = v;
	}
	reg_u32(x, e->numgen.dreg, v + e->numgen.offset);
}

void interp_stateful(struct irun *x, const struct expr *e, struct interp_state *st)
{
	switch (e->kind) {
	case EX_COUNTER:
		st->counter.packets++;
		st->counter.bytes += x->p->len;
		return;
	case EX_LIMIT:
		eval_limit(x, e, st);
		return;
	case EX_QUOTA:
		st->quota.consumed += x->p->len;
		if ((st->quota.consumed > e->quota.bytes) != e->quota.inv)
			run_break(x);
		return;
	case EX_NUMGEN:
		eval_numgen(x, e, st);
		return;
	case EX_LAST:
		st->last.set = true;
		st->last.at = x->p->mono_ns;
		return;
	default:
		unsupported(x, e);
	}
}

/* -- computing --------------------------------------------------------------------------------- */

static void eval_cmp(struct irun *x, const struct expr *e)
{
	int d = memcmp(reg_bytes(x, e->cmp.sreg), e->cmp.data.b, e->cmp.data.len);
	bool ok = false;

	switch (e->cmp.op) {
	case CMP_EQ:
		ok = d == 0;
		break;
	case CMP_NEQ:
		ok = d != 0;
		break;
	case CMP_LT:
		ok = d < 0;
		break;
	case CMP_LTE:
		ok = d <= 0;
		break;
	case CMP_GT:
		ok = d > 0;
		break;
	case CMP_GTE:
		ok = d >= 0;
		break;
	}
	if (!ok)
		run_break(x);
}

static void eval_range(struct irun *x, const struct expr *e)
{
	const uint8_t *r = reg_bytes(x, e->range.sreg);
	bool in = memcmp(r, e->range.from.b, e->range.from.len) >= 0 &&
		  memcmp(r, e->range.to.b, e->range.to.len) <= 0;

	if (in != (e->range.op == RANGE_EQ))
		run_break(x);
}

static void shift(uint32_t *d, const uint32_t *s, unsigned int n, bool left, uint32_t by)
{
	uint32_t carry = 0, v;

	for (unsigned int k = 0; k < n; k++) {
		unsigned int i = left ? n - 1 - k : k;

		v = s[i];
		d[i] = (left ? v << by : v >> by) | carry;
		carry = left ? v >> (32 - by) : v << (32 - by);
	}
}

static void eval_bitwise(struct irun *x, const struct expr *e)
{
	uint32_t *d = &x->reg[REG_WORD(e->bitwise.dreg)], *s = &x->reg[REG_WORD(e->bitwise.sreg)];
	unsigned int n = DIV_ROUND_UP(e->bitwise.len, 4);
	uint32_t a[REG_WORDS] = { 0 }, b[REG_WORDS] = { 0 };

	switch (e->bitwise.op) {
	case BW_MASK_XOR:
		memcpy(a, e->bitwise.mask.b, e->bitwise.mask.len);
		memcpy(b, e->bitwise.xor.b, e->bitwise.xor.len);
		for (unsigned int i = 0; i < n; i++)
			d[i] = (s[i] & a[i]) ^ b[i];
		return;
	case BW_LSHIFT:
	case BW_RSHIFT:
		memcpy(a, e->bitwise.data.b, 4);
		if (!a[0] || a[0] >= 32)
			unsupported(x, e);
		else
			shift(d, s, n, e->bitwise.op == BW_LSHIFT, a[0]);
		return;
	default:
		break;
	}
	if (e->bitwise.sreg2 != REG_NONE)
		memcpy(a, &x->reg[REG_WORD(e->bitwise.sreg2)], n * 4);
	else
		memcpy(a, e->bitwise.data.b, e->bitwise.data.len);
	for (unsigned int i = 0; i < n; i++)
		d[i] = e->bitwise.op == BW_AND	? s[i] & a[i]
		       : e->bitwise.op == BW_OR ? s[i] | a[i]
						: s[i] ^ a[i];
}

static void eval_byteorder(struct irun *x, const struct expr *e)
{
	unsigned int size = e->byteorder.size;
	uint8_t *s = reg_bytes(x, e->byteorder.sreg), *d = reg_bytes(x, e->byteorder.dreg);
	uint8_t tmp[DATA_MAX];

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || (size == 8 && e->byteorder.len > 8)) {
		unsupported(x, e);
		return;
	}
	memcpy(tmp, s, e->byteorder.len);
	for (unsigned int i = 0; i + size <= e->byteorder.len; i += size)
		for (unsigned int k = 0; k < size; k++)
			d[i + k] = tmp[i + size - 1 - k];
}

static uint32_t rol(uint32_t v, unsigned int n)
{
	return v << n | v >> (32 - n);
}

static uint32_t le32(const uint8_t *k, unsigned int n)
{
	uint32_t v = 0;

	memcpy(&v, k, MIN(n, 4u));
	return v;
}

/* The kernel's hash (Jenkins' lookup3), for little-endian machines. */
static uint32_t jhash(const uint8_t *k, uint32_t len, uint32_t seed)
{
	uint32_t a = 0xdeadbeef + len + seed, b = a, c = a;

	for (; len > 12; len -= 12, k += 12) {
		a += le32(k, 4);
		b += le32(k + 4, 4);
		c += le32(k + 8, 4);
		a = (a - c) ^ rol(c, 4), c += b;
		b = (b - a) ^ rol(a, 6), a += c;
		c = (c - b) ^ rol(b, 8), b += a;
		a = (a - c) ^ rol(c, 16), c += b;
		b = (b - a) ^ rol(a, 19), a += c;
		c = (c - b) ^ rol(b, 4), b += a;
	}
	if (!len)
		return c;
	a += le32(k, len);
	if (len > 4)
		b += le32(k + 4, len - 4);
	if (len > 8)
		c += le32(k + 8, len - 8);
	c = (c ^ b) - rol(b, 14);
	a = (a ^ c) - rol(c, 11);
	b = (b ^ a) - rol(a, 25);
	c = (c ^ b) - rol(b, 16);
	a = (a ^ c) - rol(c, 4);
	b = (b ^ a) - rol(a, 14);
	return (c ^ b) - rol(b, 24);
}

static void eval_hash(struct irun *x, const struct expr *e)
{
	uint32_t h;

	if (e->hash.sreg == REG_NONE || !e->hash.has_seed) { /* the kernel's secrets */
		unsupported(x, e);
		return;
	}
	h = jhash(reg_bytes(x, e->hash.sreg), e->hash.len, e->hash.seed);
	reg_u32(x, e->hash.dreg, (uint32_t)((uint64_t)h * e->hash.mod >> 32) + e->hash.offset);
}

/* -- sets -------------------------------------------------------------------------------------- */

static void eval_lookup(struct irun *x, const struct icode *c)
{
	const struct expr *e = c->e;
	struct ielem *el = iset_find(c->set, reg_bytes(x, e->lookup.sreg), x->p->mono_ns);

	if ((el != NULL) == e->lookup.inv) {
		run_break(x);
		return;
	}
	if (!el)
		return;
	if (e->lookup.dreg == REG_VERDICT) {
		x->verdict = el->pub.verdict.code;
		x->target = el->target;
	} else if (e->lookup.dreg != REG_NONE) {
		reg_copy(x, e->lookup.dreg, el->pub.data.b, el->pub.data.len);
	}
	for (uint32_t i = 0; i < el->pub.n_states; i++) {
		interp_stateful(x, el->pub.states[i].expr, &el->pub.states[i]);
		if (x->verdict == V_BREAK || x->unsupported)
			return;
	}
}

static void eval_objref(struct irun *x, const struct icode *c)
{
	const struct expr *e = c->e;
	struct interp_state *st = c->st;
	struct ielem *el;

	if (c->set) {
		el = iset_find(c->set, reg_bytes(x, e->objref.sreg), x->p->mono_ns);
		if (!el) {
			run_break(x);
			return;
		}
		st = el->obj_st;
	}
	if (st)
		interp_stateful(x, st->expr, st);
	else
		unsupported(x, e);
}

/* -- running ----------------------------------------------------------------------------------- */

static void eval_verdict(struct irun *x, const struct icode *c)
{
	if (c->e->imm.dreg == REG_VERDICT) {
		x->verdict = c->e->imm.verdict.code;
		x->target = c->target;
	} else {
		reg_copy(x, c->e->imm.dreg, c->e->imm.data.b, c->e->imm.data.len);
	}
}

static void eval_notrack(struct irun *x)
{
	if (x->ct.kind != PKT_CT_NONE)
		return;
	x->ct.kind = PKT_CT_UNTRACKED;
	x->ct.info = 7;
	x->r->notrack = true;
}

static void eval(struct irun *x, const struct icode *c)
{
	const struct expr *e = c->e;

	switch (e->kind) {
	case EX_IMMEDIATE:
		eval_verdict(x, c);
		return;
	case EX_CMP:
		eval_cmp(x, e);
		return;
	case EX_RANGE:
		eval_range(x, e);
		return;
	case EX_BITWISE:
		eval_bitwise(x, e);
		return;
	case EX_BYTEORDER:
		eval_byteorder(x, e);
		return;
	case EX_PAYLOAD:
		if (e->payload.dreg == REG_NONE)
			unsupported(x, e);
		else
			ipkt_payload(x, e);
		return;
	case EX_INNER:
		ipkt_inner(x, e);
		return;
	case EX_XTNEED:
		ipkt_need(x, e);
		return;
	case EX_EXTHDR:
		ipkt_exthdr(x, e);
		return;
	case EX_META:
		ipkt_meta(x, e);
		return;
	case EX_CT:
		ipkt_ct(x, e);
		return;
	case EX_SOCKET:
		ipkt_socket(x, e);
		return;
	case EX_LOOKUP:
		eval_lookup(x, c);
		return;
	case EX_DYNSET:
		iset_dynset(x, c);
		return;
	case EX_OBJREF:
		eval_objref(x, c);
		return;
	case EX_HASH:
		eval_hash(x, e);
		return;
	case EX_COUNTER:
	case EX_LIMIT:
	case EX_QUOTA:
	case EX_NUMGEN:
	case EX_LAST:
		interp_stateful(x, e, c->st);
		return;
	case EX_LOG:
		x->r->logs++;
		return;
	case EX_NOTRACK:
		eval_notrack(x);
		return;
	case EX_REJECT:
		x->r->expr = e;
		x->verdict = V_DROP;
		return;
	case EX_QUEUE:
		x->r->expr = e;
		x->verdict = V_QUEUE;
		return;
	default:
		unsupported(x, e);
	}
}

/* Runs a rule's expressions up to a verdict. */
static void run_rule(struct irun *x, const struct irule *r)
{
	x->verdict = V_CONTINUE;
	for (uint32_t i = 0; i < r->n && x->verdict == V_CONTINUE; i++)
		eval(x, &r->code[i]);
}

/* Ends the run when the rule's verdict is final. */
static bool final_verdict(struct irun *x, const struct irule *r)
{
	if (x->unsupported) {
		x->r->verdict = INTERP_UNSUPPORTED;
		x->r->expr = x->unsupported;
	} else if (x->verdict == V_ACCEPT) {
		x->r->verdict = INTERP_ACCEPT;
	} else if (x->verdict == V_DROP) {
		x->r->verdict = INTERP_DROP;
	} else if (x->verdict == V_QUEUE) {
		x->r->verdict = INTERP_QUEUE;
	} else {
		return false;
	}
	x->r->rule = r->r;
	return true;
}

static void run_chains(struct irun *x, const struct ichain *c)
{
	struct frame {
		const struct ichain *c;
		uint32_t next;
	} stack[STACK_MAX];
	unsigned int depth = 0;
	const struct ichain *base = c;
	uint32_t i = 0;

	for (;;) {
		if (i >= c->n) { /* end of the chain, or return */
			if (!depth)
				break;
			depth--;
			c = stack[depth].c;
			i = stack[depth].next;
			continue;
		}
		run_rule(x, &c->rules[i]);
		if (final_verdict(x, &c->rules[i]))
			return;
		if (x->verdict == V_RETURN) {
			i = c->n;
			continue;
		}
		if (x->verdict != V_JUMP && x->verdict != V_GOTO) {
			i++;
			continue;
		}
		if (x->verdict == V_JUMP) {
			if (depth == STACK_MAX) { /* never loaded by a kernel */
				x->r->verdict = INTERP_UNSUPPORTED;
				return;
			}
			stack[depth].c = c;
			stack[depth++].next = i + 1;
		}
		c = x->target;
		i = 0;
	}
	x->r->verdict = base->c->policy == V_DROP ? INTERP_DROP : INTERP_ACCEPT;
	x->r->rule = NULL;
}

void interp_run(struct interp *in, const struct chain *base, const struct pkt *p,
		struct interp_result *r)
{
	struct irun x;
	enum family f = base->table->family;

	memset(x.reg, 0, sizeof(x.reg));
	memset(r, 0, sizeof(*r));
	x.in = in;
	x.p = p;
	x.r = r;
	x.unsupported = NULL;
	x.target = NULL;
	x.ct = p->ct;
	r->mark = p->mark;
	r->priority = p->priority;
	r->pkt_type = p->pkt_type;
	r->ct_mark = p->ct.mark;
	r->verdict = INTERP_UNSUPPORTED;
	if ((f != FAM_INET && f != (enum family)p->pf) || base->hook == HOOK_INGRESS)
		return;
	if (ipkt_start(&x))
		run_chains(&x, interp_chain(in, base));
}
