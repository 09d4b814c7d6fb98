// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Typed statements to kernel expressions. Registers are handed out from the first word up, 4 words
 * for a value, as many as it has for a concatenation, and given back when the statement that took
 * them is done.
 */
#include "sema.h"

struct low {
	struct sema *s;
	struct rule *rule;
	uint32_t next; /* first free word */
};

static struct expr *add(struct low *c, enum expr_kind k, struct loc loc)
{
	struct expr *e = expr_new(c->s->arena, k, loc);

	*vec_push(c->s->tmp, &c->rule->exprs) = e;
	return e;
}

static uint32_t space(const struct tx *t)
{
	return t && t->kind == TX_CONCAT ? DIV_ROUND_UP(t->len, 32u) : 4;
}

static uint32_t take(struct low *c, const struct tx *t)
{
	uint32_t w = c->next;

	c->next += space(t);
	return w;
}

static void give(struct low *c, const struct tx *t)
{
	c->next -= space(t);
}

static uint8_t reg(uint32_t w)
{
	return (uint8_t)WORD_REG(w);
}

static enum byte_order order_of(const struct tx *t)
{
	return t->type->base == BASE_STRING || t->order == ORDER_NONE ? ORDER_BIG : t->order;
}

static struct data bytes(const struct tx *t, u128 v)
{
	if (t->type->base == BASE_STRING && t->len < 128)
		v >>= 128 - ALIGN_UP(t->len, 8u);
	return value_data(v, t->len, order_of(t));
}

static void gen(struct low *c, struct tx *t, uint32_t w);

static struct expr *wrap_inner(struct low *c, struct expr *e, const struct proto *tun)
{
	struct expr *in;

	if (!tun)
		return e;
	in = expr_new(c->s->arena, EX_INNER, e->loc);
	in->inner.type = tun->inner_type;
	in->inner.hdrsize = tun->inner_hdr;
	in->inner.flags = tun->inner_flags;
	in->inner.expr = e;
	c->rule->exprs.v[c->rule->exprs.n - 1] = in;
	return e;
}

static enum payload_base kernel_base(const struct tx *t)
{
	switch (t->pay.base) {
	case PBASE_LL:
		return PB_LL;
	case PBASE_NET:
		return PB_NETWORK;
	case PBASE_TRANS:
		return PB_TRANSPORT;
	default:
		return t->pay.inner && !t->pay.raw ? PB_TUN : PB_INNER;
	}
}

static void gen_load(struct low *c, struct tx *t, uint32_t w)
{
	struct expr *e;

	switch (t->kind) {
	case TX_PAYLOAD:
		e = add(c, EX_PAYLOAD, t->loc);
		e->payload.dreg = reg(w);
		e->payload.base = kernel_base(t);
		e->payload.off = (uint16_t)(t->pay.off / 8);
		e->payload.len = (uint8_t)DIV_ROUND_UP(t->len, 8u);
		wrap_inner(c, e, t->pay.inner);
		break;
	case TX_EXTHDR:
		e = add(c, EX_EXTHDR, t->loc);
		e->exthdr.dreg = reg(w);
		e->exthdr.op = t->ext.op;
		e->exthdr.type = t->ext.kind;
		e->exthdr.off = (uint16_t)(t->ext.off / 8);
		e->exthdr.len = (uint8_t)DIV_ROUND_UP(t->len, 8u);
		e->exthdr.flags = t->ext.flags;
		break;
	case TX_META:
		e = add(c, EX_META, t->loc);
		e->meta.dreg = reg(w);
		e->meta.key = t->load.key;
		wrap_inner(c, e, t->load.inner);
		break;
	case TX_CT:
		e = add(c, EX_CT, t->loc);
		e->ct.dreg = reg(w);
		e->ct.key = t->load.key;
		e->ct.has_dir = t->load.dir >= 0;
		e->ct.dir = t->load.dir > 0;
		break;
	case TX_RT:
		e = add(c, EX_RT, t->loc);
		e->rt.dreg = reg(w);
		e->rt.key = t->load.key;
		break;
	case TX_SOCKET:
		e = add(c, EX_SOCKET, t->loc);
		e->socket.dreg = reg(w);
		e->socket.key = t->load.key;
		e->socket.level = t->load.level;
		break;
	case TX_OSF:
		e = add(c, EX_OSF, t->loc);
		e->osf.dreg = reg(w);
		e->osf.ttl = (uint8_t)t->osf.ttl;
		e->osf.flags = t->osf.flags;
		break;
	case TX_FIB:
		e = add(c, EX_FIB, t->loc);
		e->fib.dreg = reg(w);
		e->fib.result = t->fib.result;
		e->fib.flags = t->fib.flags;
		break;
	case TX_XFRM:
		e = add(c, EX_XFRM, t->loc);
		e->xfrm.dreg = reg(w);
		e->xfrm.key = t->xfrm.key;
		e->xfrm.dir = t->xfrm.out;
		e->xfrm.spnum = t->xfrm.spnum;
		break;
	case TX_TUNNEL:
		e = add(c, EX_TUNNEL, t->loc);
		e->tunnel.dreg = reg(w);
		e->tunnel.key = t->load.key;
		break;
	case TX_NUMGEN:
		e = add(c, EX_NUMGEN, t->loc);
		e->numgen.dreg = reg(w);
		e->numgen.type = t->numgen->random;
		e->numgen.mod = t->numgen->mod;
		e->numgen.offset = t->numgen->offset;
		break;
	default:
		BUG("load %d", t->kind);
	}
}

static void gen_hash(struct low *c, struct tx *t, uint32_t w)
{
	struct tx *arg = t->hash.arg;
	uint32_t sw = 0;
	struct expr *e;

	if (arg) {
		sw = take(c, arg);
		gen(c, arg, sw);
		give(c, arg);
	}
	e = add(c, EX_HASH, t->loc);
	e->hash.dreg = reg(w);
	e->hash.type = !arg;
	e->hash.mod = t->hash.ast->mod;
	e->hash.offset = t->hash.ast->offset;
	e->hash.has_seed = t->hash.ast->has_seed;
	e->hash.seed = t->hash.ast->seed;
	if (arg) {
		e->hash.sreg = reg(sw);
		e->hash.len = DIV_ROUND_UP(arg->len, 8u);
	}
}

static struct expr *add_bitwise(struct low *c, struct loc loc, enum bitwise_op op, uint32_t w,
				uint32_t bits)
{
	struct expr *e = add(c, EX_BITWISE, loc);

	e->bitwise.sreg = e->bitwise.dreg = reg(w);
	e->bitwise.op = op;
	e->bitwise.len = (uint8_t)DIV_ROUND_UP(bits, 8u);
	return e;
}

static void add_swap(struct low *c, struct loc loc, uint32_t w, enum byteorder_op op, uint32_t bits)
{
	struct expr *e = add(c, EX_BYTEORDER, loc);

	e->byteorder.sreg = e->byteorder.dreg = reg(w);
	e->byteorder.op = op;
	e->byteorder.len = (uint8_t)DIV_ROUND_UP(bits, 8u);
	e->byteorder.size = bits % 64 == 0 ? 8 : bits % 32 == 0 ? 4 : 2;
}

static void gen_shift(struct low *c, struct tx *t, uint32_t w)
{
	struct expr *e;

	/* NFTA_BITWISE_DATA of a shift: less than the bits of a register */
	if (t->bin.r->val >= 32)
		diag_error(c->s->diag, t->bin.r->loc,
			   "the kernel shifts by 31 bits at most: compare with a mask instead");
	gen(c, t->bin.l, w);
	if (t->bin.l->order == ORDER_BIG && t->bin.l->len > 8)
		add_swap(c, t->loc, w, BO_NTOH, t->bin.l->len);
	e = add_bitwise(c, t->loc, t->bin.op == BIN_LSHIFT ? BW_LSHIFT : BW_RSHIFT, w, t->len);
	e->bitwise.data = value_data(t->bin.r->val, 32, ORDER_HOST);
	if (t->order == ORDER_BIG && t->plen > 8)
		add_swap(c, t->loc, w, BO_HTON, t->bin.l->len);
}

static bool is_bool_op(const struct tx *t)
{
	return t->kind == TX_BINOP && t->bin.op != BIN_LSHIFT && t->bin.op != BIN_RSHIFT;
}

static void gen_two(struct low *c, struct tx *t, uint32_t w)
{
	static const enum bitwise_op ops[] = {
		[BIN_AND] = BW_AND, [BIN_OR] = BW_OR, [BIN_XOR] = BW_XOR
	};
	uint32_t w2;
	struct expr *e;

	gen(c, t->bin.l, w);
	w2 = take(c, t->bin.r);
	gen(c, t->bin.r, w2);
	give(c, t->bin.r);
	e = add_bitwise(c, t->loc, ops[t->bin.op], w, t->len);
	e->bitwise.sreg2 = reg(w2);
}

/* A row of operations with constants is one: x & mask ^ xor. */
static void gen_bool(struct low *c, struct tx *t, uint32_t w)
{
	struct tx *ops[64], *in = t;
	u128 mask = ones(t->len), xor = 0, all = ones(t->len);
	struct expr *e;
	int n = 0;

	if (t->bin.r->kind != TX_VALUE) {
		gen_two(c, t, w);
		return;
	}
	for (; is_bool_op(in) && in->bin.r->kind == TX_VALUE && n < 64; in = in->bin.l)
		ops[n++] = in;
	gen(c, in, w);
	while (n-- > 0) {
		u128 v = ops[n]->bin.r->val;

		switch (ops[n]->bin.op) {
		case BIN_AND:
			mask &= v;
			xor &= v;
			break;
		case BIN_OR:
			mask &= ~v & all;
			xor = (xor&~v) | v;
			break;
		default:
			xor ^= v;
			break;
		}
	}
	e = add_bitwise(c, t->loc, BW_MASK_XOR, w, t->len);
	e->bitwise.mask = value_data(mask, t->len, order_of(t));
	e->bitwise.xor = value_data(xor&all, t->len, order_of(t));
}

static void gen_swap(struct low *c, struct tx *t, uint32_t w)
{
	struct tx *arg = t->swap.arg;
	uint32_t bits = arg->len;
	struct expr *e;

	gen(c, arg, w);
	e = add(c, EX_BYTEORDER, t->loc);
	e->byteorder.sreg = e->byteorder.dreg = reg(w);
	e->byteorder.op = t->order == ORDER_BIG ? BO_HTON : BO_NTOH;
	e->byteorder.len = (uint8_t)DIV_ROUND_UP(t->len, 8u);
	e->byteorder.size = bits % 64 == 0 ? 8 : bits % 32 == 0 ? 4 : 2;
}

static void gen_map(struct low *c, struct tx *t, uint32_t w, bool verdict)
{
	struct tx *key = t->map.key;
	uint32_t sw = verdict ? take(c, key) : w, save = c->next;
	struct expr *e;

	if (!verdict)
		c->next = MAX(c->next, w + space(key));
	gen(c, key, sw);
	c->next = save;
	e = add(c, EX_LOOKUP, t->loc);
	e->lookup.sreg = reg(sw);
	e->lookup.dreg = verdict ? REG_VERDICT : reg(w);
	e->lookup.set = &t->map.set->set;
	if (verdict)
		give(c, key);
}

static void gen_verdict(struct low *c, struct tx *t)
{
	struct expr *e;

	if (t->kind == TX_MAP) {
		gen_map(c, t, 0, true);
		return;
	}
	e = add(c, EX_IMMEDIATE, t->loc);
	e->imm.dreg = REG_VERDICT;
	e->imm.verdict.code = (enum verdict_code)t->verdict.code;
	e->imm.verdict.chain = t->verdict.chain;
}

static void gen_value(struct low *c, struct tx *t, u128 v, uint32_t w)
{
	struct expr *e = add(c, EX_IMMEDIATE, t->loc);

	e->imm.dreg = reg(w);
	e->imm.data = bytes(t, v);
}

static void gen(struct low *c, struct tx *t, uint32_t w)
{
	switch (t->kind) {
	case TX_VALUE:
		gen_value(c, t, t->val, w);
		break;
	case TX_CONCAT:
		for (uint32_t i = 0; i < t->concat.n; i++) {
			gen(c, t->concat.v[i], w);
			w += DIV_ROUND_UP(t->concat.v[i]->len, 32u);
		}
		break;
	case TX_BINOP:
		if (is_bool_op(t))
			gen_bool(c, t, w);
		else
			gen_shift(c, t, w);
		break;
	case TX_SWAP:
		gen_swap(c, t, w);
		break;
	case TX_MAP:
		gen_map(c, t, w, false);
		break;
	case TX_HASH:
		gen_hash(c, t, w);
		break;
	default:
		gen_load(c, t, w);
		break;
	}
}

/* -- comparisons ------------------------------------------------------------------------------- */

static struct expr *add_cmp(struct low *c, struct loc loc, enum cmp_op op, uint32_t w,
			    struct data d)
{
	struct expr *e = add(c, EX_CMP, loc);

	e->cmp.sreg = reg(w);
	e->cmp.op = op;
	e->cmp.data = d;
	return e;
}

static enum cmp_op cmp_of(enum ast_rel op)
{
	switch (op) {
	case REL_NEQ:
		return CMP_NEQ;
	case REL_LT:
		return CMP_LT;
	case REL_LTE:
		return CMP_LTE;
	case REL_GT:
		return CMP_GT;
	case REL_GTE:
		return CMP_GTE;
	default:
		return CMP_EQ;
	}
}

/* Bytes are enough for a prefix that ends at one; otherwise the rest is masked away. */
static void gen_prefix(struct low *c, struct tx *rel, uint32_t w)
{
	struct tx *l = rel->rel.l, *r = rel->rel.r;
	bool string = l->type->base == BASE_STRING;
	struct data d;

	if (!string && (r->order != ORDER_BIG || !r->plen || r->plen % 8 || l->kind == TX_BINOP)) {
		struct expr *e;

		gen(c, l, w);
		e = add_bitwise(c, rel->loc, BW_MASK_XOR, w, r->len);
		e->bitwise.mask = value_data(ones(r->len) & ~ones(r->len - r->plen), r->len,
					     r->order);
		e->bitwise.xor = value_data(0, r->len, r->order);
		add_cmp(c, rel->loc, cmp_of(rel->rel.op), w, bytes(r, r->val));
		return;
	}
	d = value_data(r->val, string ? 128 : r->len, ORDER_BIG);
	d.len = (uint8_t)(r->plen / 8);
	memset(d.b + d.len, 0, sizeof(d.b) - d.len);
	l->len = r->plen;
	gen(c, l, w);
	add_cmp(c, rel->loc, cmp_of(rel->rel.op), w, d);
}

/* Flags without an operator: any of them is set, or with `!` none. */
static void gen_flags(struct low *c, struct tx *rel, uint32_t w)
{
	struct tx *l = rel->rel.l, *r = rel->rel.r;
	struct expr *e;

	gen(c, l, w);
	if (l->kind == TX_BINOP) {
		add_cmp(c, rel->loc, CMP_EQ, w, bytes(r, r->val));
		return;
	}
	e = add_bitwise(c, rel->loc, BW_MASK_XOR, w, l->len);
	e->bitwise.mask = bytes(r, r->val);
	e->bitwise.xor = value_data(0, l->len, ORDER_BIG);
	add_cmp(c, rel->loc, rel->rel.op == REL_NOT ? CMP_EQ : CMP_NEQ, w,
		value_data(0, l->len, ORDER_BIG));
}

static void gen_rel(struct low *c, struct tx *rel)
{
	struct tx *l = rel->rel.l, *r = rel->rel.r;
	uint32_t w = take(c, l);
	struct expr *e;

	switch (r->kind) {
	case TX_RANGE:
		gen(c, l, w);
		e = add(c, EX_RANGE, rel->loc);
		e->range.sreg = reg(w);
		e->range.op = rel->rel.op == REL_NEQ ? RANGE_NEQ : RANGE_EQ;
		e->range.from = bytes(r, r->val);
		e->range.to = bytes(r, r->hi);
		break;
	case TX_SETREF:
		gen(c, l, w);
		e = add(c, EX_LOOKUP, rel->loc);
		e->lookup.sreg = reg(w);
		e->lookup.set = &r->set->set;
		e->lookup.inv = rel->rel.op == REL_NEQ;
		break;
	case TX_PREFIX:
		gen_prefix(c, rel, w);
		break;
	default:
		if ((rel->rel.op == REL_IMPLICIT || rel->rel.op == REL_NOT) &&
		    r->type->base == BASE_BITMASK && r->type->num != TYPE_BITMASK) {
			gen_flags(c, rel, w);
			break;
		}
		gen(c, l, w);
		add_cmp(c, rel->loc, cmp_of(rel->rel.op), w, bytes(r, r->val));
		break;
	}
	give(c, l);
}

/* -- statements -------------------------------------------------------------------------------- */

static struct expr *put_ready(struct low *c, struct ts *t)
{
	*vec_push(c->s->tmp, &c->rule->exprs) = t->ready;
	return t->ready;
}

static void gen_pay_set(struct low *c, struct ts *t, uint32_t w)
{
	const struct tx *p = t->expr;
	const struct proto *pr = p->pay.proto;
	struct expr *e = add(c, EX_PAYLOAD, t->loc);

	e->payload.sreg = reg(w);
	e->payload.base = kernel_base(p);
	e->payload.off = (uint16_t)(p->pay.off / 8);
	e->payload.len = (uint8_t)DIV_ROUND_UP(p->len, 8u);
	/* A UDP checksum of 0 says that there is none, which the kernel must look at. */
	if (pr && pr->id == PROTO_UDP)
		e->payload.csum_flags = 1;
	for (uint32_t i = 0; pr && pr->id != PROTO_UDP && i < pr->n_fields; i++)
		if (pr->fields[i].flags & FIELD_CSUM) {
			e->payload.csum_type = pr->csum_type;
			e->payload.csum_off = pr->fields[i].off / 8;
		}
	if ((p->pay.base == PBASE_NET && p->pay.field && (p->pay.field->flags & FIELD_PSEUDO) &&
	     pr->id != PROTO_NONE) ||
	    p->pay.base == PBASE_INNER)
		e->payload.csum_flags = 1;
}

static void gen_set(struct low *c, struct ts *t)
{
	const struct tx *target = t->expr;
	uint32_t w = take(c, t->a);
	struct expr *e;

	gen(c, t->a, w);
	give(c, t->a);
	switch (target->kind) {
	case TX_PAYLOAD:
		gen_pay_set(c, t, w);
		break;
	case TX_META:
		e = add(c, EX_META, t->loc);
		e->meta.sreg = reg(w);
		e->meta.key = target->load.key;
		break;
	case TX_CT:
		e = add(c, EX_CT, t->loc);
		e->ct.sreg = reg(w);
		e->ct.key = target->load.key;
		e->ct.has_dir = target->load.dir >= 0;
		e->ct.dir = target->load.dir > 0;
		break;
	default:
		e = add(c, EX_EXTHDR, t->loc);
		e->exthdr.sreg = reg(w);
		e->exthdr.op = target->ext.op;
		e->exthdr.type = target->ext.kind;
		e->exthdr.off = (uint16_t)(target->ext.off / 8);
		e->exthdr.len = (uint8_t)DIV_ROUND_UP(target->len, 8u);
		break;
	}
}

/* A value into the next registers, a range into two. */
static uint32_t gen_pair(struct low *c, struct tx *t, uint8_t *min, uint8_t *max)
{
	uint32_t w = take(c, NULL), w2;

	*min = reg(w);
	if (t->kind == TX_RANGE || t->kind == TX_PREFIX) {
		u128 hi = t->kind == TX_RANGE ? t->hi : t->val | ones(t->len - t->plen);

		w2 = take(c, NULL);
		gen_value(c, t, t->val, w);
		gen_value(c, t, hi, w2);
		*max = reg(w2);
	} else {
		gen(c, t, w);
	}
	return w;
}

static void gen_nat(struct low *c, struct ts *t)
{
	struct expr *e = t->ready;
	uint32_t save = c->next, words = e->nat.family == FAM_IP6 ? 4 : 1, w;
	bool interval = false;

	if (t->a) {
		w = gen_pair(c, t->a, &e->nat.reg_addr_min, &e->nat.reg_addr_max);
		interval = t->a->kind == TX_MAP && t->a->map.set->data_interval;
		if (t->concat && interval) {
			e->nat.reg_proto_min = reg(w + words);
			e->nat.reg_addr_max = reg(w + words + 1);
			e->nat.reg_proto_max = reg(w + 2 * words + 1);
		} else if (t->concat) {
			e->nat.reg_proto_min = reg(w + words);
		} else if (interval) {
			e->nat.reg_addr_max = reg(w + words);
		}
	}
	if (t->b)
		gen_pair(c, t->b, &e->nat.reg_proto_min, &e->nat.reg_proto_max);
	c->next = save;
	put_ready(c, t);
}

static void gen_tproxy(struct low *c, struct ts *t)
{
	uint8_t none;
	uint32_t save = c->next;

	if (t->a)
		gen_pair(c, t->a, &t->ready->tproxy.reg_addr, &none);
	if (t->b)
		gen_pair(c, t->b, &t->ready->tproxy.reg_port, &none);
	c->next = save;
	put_ready(c, t);
}

static void gen_dup(struct low *c, struct ts *t)
{
	uint32_t save = c->next, w;
	bool fwd = t->ready->kind == EX_FWD;
	struct tx *first = fwd ? t->b : t->a, *second = fwd ? t->a : t->b;

	if (first) {
		w = take(c, first);
		gen(c, first, w);
		if (fwd || first->type->num == TYPE_IFINDEX)
			t->ready->dup.sreg_dev = reg(w);
		else
			t->ready->dup.sreg_addr = reg(w);
	}
	if (second) {
		w = take(c, second);
		gen(c, second, w);
		if (fwd)
			t->ready->dup.sreg_addr = reg(w);
		else
			t->ready->dup.sreg_dev = reg(w);
	}
	c->next = save;
	put_ready(c, t);
}

static void gen_queue(struct low *c, struct ts *t)
{
	struct expr *e = t->ready;
	uint32_t w;

	e->queue.total = 1;
	if (t->a && (t->a->kind == TX_VALUE || t->a->kind == TX_RANGE)) {
		e->queue.num = (uint32_t)t->a->val;
		if (t->a->kind == TX_RANGE)
			e->queue.total = (uint32_t)(t->a->hi - t->a->val) + 1;
	} else if (t->a) {
		w = take(c, t->a);
		gen(c, t->a, w);
		give(c, t->a);
		e->queue.sreg_qnum = reg(w);
	}
	put_ready(c, t);
}

static void gen_dynset(struct low *c, struct ts *t)
{
	uint32_t save = c->next, w = take(c, t->a);

	gen(c, t->a, w);
	t->ready->dynset.sreg_key = reg(w);
	if (t->b) {
		w = take(c, t->b);
		gen(c, t->b, w);
		t->ready->dynset.sreg_data = reg(w);
	}
	c->next = save;
	put_ready(c, t);
}

static void gen_stmt(struct low *c, struct ts *t)
{
	struct expr *e;
	uint32_t w;

	switch (t->kind) {
	case TS_REL:
		gen_rel(c, t->expr);
		break;
	case TS_VERDICT:
		gen_verdict(c, t->expr);
		break;
	case TS_EXPR:
		put_ready(c, t);
		break;
	case TS_SET:
		gen_set(c, t);
		break;
	case TS_NAT:
		gen_nat(c, t);
		break;
	case TS_TPROXY:
		gen_tproxy(c, t);
		break;
	case TS_DUP:
		gen_dup(c, t);
		break;
	case TS_QUEUE:
		gen_queue(c, t);
		break;
	case TS_OBJREF:
		w = take(c, t->a);
		gen(c, t->a, w);
		give(c, t->a);
		t->ready->objref.sreg = reg(w);
		put_ready(c, t);
		break;
	case TS_DYNSET:
		gen_dynset(c, t);
		break;
	case TS_RESET:
		e = add(c, EX_EXTHDR, t->loc);
		e->exthdr.op = t->expr->ext.op;
		e->exthdr.type = t->expr->ext.kind;
		break;
	}
}

void lower_rule(struct sema *s, struct rule *r)
{
	struct low c = { .s = s, .rule = r };

	lower_adjoin(s);
	vec_foreach(&s->out, it)
		if (!(*it)->gone)
			gen_stmt(&c, *it);
	r->exprs.v = arena_dup(s->arena, r->exprs.v, r->exprs.n * sizeof(*r->exprs.v));
	r->exprs.cap = r->exprs.n;
}
