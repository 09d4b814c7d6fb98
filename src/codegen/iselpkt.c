// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iselpkt: addresses in the packet, and loads from them.
 *
 * An address is a number, skb->data and an offset where the bytes asked for are in the linear part
 * of the packet or the packet has no other part, else that of a copy on the stack, which is cast to
 * a pointer (iselmem.c). The way of the common packet:
 *
 *  - the test of skb->len that guards an address is left to the cold way (isel_len_later): the
 *    linear part is no longer than the packet;
 *  - the transport header of a packet without IPv4 options or IPv6 extension headers is read
 *    through the pointer to the network header, at a constant offset ("near"). The cold way, where
 *    it is elsewhere, makes a pointer as far before it as the network header would be, so that what
 *    the verifier knows of the pointer is the same on both ways, and it looks at the rest once.
 */
#include "isel.h"
#include "ir/pass.h"

/* How far into each part of each packet address the loads reach. */
static void scan_loads(struct isel *s)
{
	vec_foreach(&s->ir->blocks, b)
		for (struct ir_ins *i = (*b)->first; i; i = i->next) {
			struct ir_ins *p = i->op == IR_LDP ? ir_val(i->args[0]) : NULL;
			uint32_t part, off;

			if (!p)
				continue;
			part = i->imm / PKT_STRIDE;
			off = i->imm % PKT_STRIDE;
			if (p->op != IR_PKT || part >= PKT_PARTS)
				BUG("%s: load at byte %lld of a packet address", s->ir->name,
				    (long long)i->imm);
			off += i->size;
			s->pkt_parts[p->id * PKT_PARTS + part] =
				MAX(s->pkt_parts[p->id * PKT_PARTS + part], off);
		}
}

static uint32_t reach(const struct isel *s, const struct ir_ins *i, uint32_t part)
{
	return s->pkt_parts[i->id * PKT_PARTS + part];
}

static bool at_network(const struct ir_ins *i)
{
	return ir_is_const(ir_val(i->args[0]), 0);
}

/*
 * Where the transport header begins if nothing stands before it: offset `usual` of the network
 * header, and that it does: `test` is `value`.
 */
struct near {
	struct ir_ins *test;
	uint32_t value, usual;
};

static bool near_of(const struct isel *s, const struct ir_ins *i, struct near *n)
{
	struct ir_ins *off = ir_val(i->args[0]);

	if (reach(s, i, 1) || reach(s, i, 2) || reach(s, i, 3))
		return false;
	if (s->ir->pf == FAM_IP && off->op == IR_SHL && ir_is_const(ir_val(off->args[1]), 2)) {
		*n = (struct near){ ir_val(off->args[0]), 5, 20 };
		return n->usual + reach(s, i, 0) <= PKT_STRIDE;
	}
	if (s->ir->pf != FAM_IP6 || off->op != IR_PHI)
		return false;
	*n = (struct near){ off, 40, 40 };
	for (uint32_t k = 0; k < off->n_args; k++)
		if (ir_is_const(ir_val(off->args[k]), 40))
			return n->usual + reach(s, i, 0) <= PKT_STRIDE;
	return false;
}

void isel_pkt_scan(struct isel *s)
{
	struct near n;

	scan_loads(s);
	vec_foreach(&s->ir->blocks, b)
		for (struct ir_ins *i = (*b)->first; i; i = i->next) {
			if (i->op != IR_PKT)
				continue;
			if (at_network(i))
				s->net_reach = MAX(s->net_reach, reach(s, i, 0));
			else if (near_of(s, i, &n))
				s->net_reach = MAX(s->net_reach, n.usual + reach(s, i, 0));
		}
}

/* -- tests of the length ----------------------------------------------------------------------- */

/*
 * The address of bytes behind `base` that is asked for in b before anything that is felt outside;
 * NULL: none.
 */
static struct ir_ins *guarded(const struct ir_block *b, const struct ir_ins *base)
{
	for (struct ir_ins *i = b->first; i; i = i->next) {
		if (!(ir_op_info[i->op].flags & PURE) || i->op == IR_CLOOK || i->op == IR_RTP)
			return NULL;
		if (i->op == IR_PKT &&
		    (base ? ir_val(i->args[0]) == base : ir_val(i->args[0])->op == IR_CONST))
			return i;
	}
	return NULL;
}

bool isel_len_later(struct isel *s, const struct ir_ins *br, struct mir_block *const to[2])
{
	struct length_test t;
	struct ir_block *b;
	struct ir_ins *p;

	if (!ir_length_test(ir_val(br->args[0]), &t))
		return false;
	b = br->blk->succs.v[t.negated];
	if (b->preds.n != 1)
		return false;
	p = guarded(b, t.base);
	if (!p)
		return false;
	s->guards[p->id] = arena_new_of(s->a, struct len_guard);
	*s->guards[p->id] = (struct len_guard){ to[!t.negated], t.base, t.k };
	isel_jmp(s, to[t.negated]);
	return true;
}

/* On the cold way: leaves if the packet is too short. */
static void test_len(struct isel *s, const struct len_guard *g, uint32_t skb)
{
	struct mir_block *enough = mir_block_new(s->fn);
	uint32_t len = isel_load_field(s, skb, FLD_skb_len, 4);

	enough->cold = true;
	if (g->base)
		isel_jcc(s, BPF_JGE, true, len,
			 isel_alui(s, BPF_ADD, true, isel_val(s, g->base), g->k), 0, enough,
			 g->out);
	else
		isel_jcc(s, BPF_JGE, true, len, 0, g->k, enough, g->out);
	s->cur = enough;
}

/* -- addresses --------------------------------------------------------------------------------- */

/* Packet registers that the dominating blocks do not have yet. */
static void packet_regs(struct isel *s, uint32_t blk)
{
	uint32_t len, data_len;

	if (!s->skb[blk])
		s->skb[blk] = isel_load(s, s->ctx, CTX_SKB, 8);
	if (!s->headlen[blk]) {
		if (!s->len[blk])
			s->len[blk] = isel_load_field(s, s->skb[blk], FLD_skb_len, 4);
		len = s->len[blk];
		data_len = isel_load_field(s, s->skb[blk], FLD_skb_data_len, 4);
		s->headlen[blk] = isel_alu(s, BPF_SUB, true, len, data_len);
	}
}

/* Copies the part to the stack; the number gets its address there. */
static void pull(struct isel *s, struct ir_ins *off, const struct pkt_part *part, uint32_t add,
		 uint32_t need)
{
	static const char *const by_room[] = { "n2b_pull16", "n2b_pull32", "n2b_pull48",
					       "n2b_pull" };
	uint32_t room = MIN(DIV_ROUND_UP(need, 16u), 4u);
	struct mir_arg args[4] = { isel_arg_reg(s->ctx),
				   isel_arg_val(s, off),
				   isel_arg_imm(MIN(need, 64u)),
				   { .kind = MA_BUF, .imm = s->fn->bufs.n } };
	struct mir_ins *c;

	*vec_push(s->a, &s->fn->bufs) = (struct mir_buf){ .size = 16 * room,
							  .regs = { part->number, part->ptr } };
	if (args[1].kind == MA_IMM)
		args[1].imm += add;
	else if (add)
		args[1].reg = isel_alui(s, BPF_ADD, true, args[1].reg, add);
	c = isel_call(s, MIR_CALLC, 4, args);
	c->has_rel = true;
	c->rel = (struct obj_reloc){ .kind = OBJ_REL_RT, .name = by_room[room - 1] };
	isel_mov(s, part->number, c->d);
}

static uint32_t linear_addr(struct isel *s, struct ir_ins *off, uint32_t data, uint32_t add)
{
	if (off->op == IR_CONST)
		return isel_alui(s, BPF_ADD, false, data, off->imm + add);
	return isel_alui(s, BPF_ADD, false, isel_alu(s, BPF_ADD, false, data, isel_val(s, off)),
			 add);
}

/* How long the linear part must be for the bytes at a constant offset to be read in place. */
static int64_t linear_least(const struct isel *s, const struct ir_ins *i)
{
	const struct len_guard *g = s->guards[i->id];

	return MAX(ir_val(i->args[0])->imm + i->imm, g ? (int64_t)g->k : 0);
}

/* A linear part that is long enough is proof of the packet's length too. */
static void test_linear(struct isel *s, struct ir_ins *i, struct mir_block *linear,
			struct mir_block *cold)
{
	struct ir_ins *off = ir_val(i->args[0]);
	uint32_t headlen = s->headlen[i->blk->id];
	const struct len_guard *g = s->guards[i->id];

	if (off->op == IR_CONST)
		isel_jcc(s, BPF_JGE, true, headlen, 0, linear_least(s, i), linear, cold);
	else
		isel_jcc(s, BPF_JGE, false, headlen,
			 isel_alui(s, BPF_ADD, false, isel_val(s, off),
				   MAX(i->imm, g ? (int64_t)g->k : 0)),
			 0, linear, cold);
}

/*
 * The parts as numbers. On a way that is cold anyway, registers of the common way are not kept for
 * it.
 */
static void numbers(struct isel *s, struct ir_ins *i, const struct pkt_part *parts)
{
	struct mir_block *linear = mir_block_new(s->fn), *cold = mir_block_new(s->fn),
			 *paged = mir_block_new(s->fn), *join = mir_block_new(s->fn);
	struct ir_ins *off = ir_val(i->args[0]);
	uint32_t blk = i->blk->id, skb, data;

	linear->cold = join->cold = s->cur->cold;
	cold->cold = paged->cold = true;
	if (!s->cur->cold && !s->data[blk])
		s->data[blk] = isel_load_field(s, s->skb[blk], FLD_skb_data, 8);
	test_linear(s, i, linear, cold);
	s->cur = cold; /* too short or not linear */
	skb = isel_load(s, s->ctx, CTX_SKB, 8);
	if (s->guards[i->id])
		test_len(s, s->guards[i->id], skb);
	isel_jcc(s, BPF_JEQ, true, isel_load_field(s, skb, FLD_skb_data_len, 4), 0, 0, linear,
		 paged);
	s->cur = paged;
	for (uint32_t p = 0; p < PKT_PARTS; p++)
		if (parts[p].number)
			pull(s, off, &parts[p], p * PKT_STRIDE, i->imm - p * PKT_STRIDE);
	isel_jmp(s, join);
	s->cur = linear;
	data = s->data[blk];
	if (linear->cold)
		data = isel_load_field(s, isel_load(s, s->ctx, CTX_SKB, 8), FLD_skb_data, 8);
	for (uint32_t p = 0; p < PKT_PARTS; p++)
		if (parts[p].number)
			isel_mov(s, parts[p].number, linear_addr(s, off, data, p * PKT_STRIDE));
	isel_jmp(s, join);
	s->cur = join;
}

/* The transport header behind the network header if it is there; goes on where it is not. */
static struct mir_block *near_ptr(struct isel *s, struct ir_ins *i, const struct near *n,
				  uint32_t ptr)
{
	struct mir_block *usual = mir_block_new(s->fn), *near = mir_block_new(s->fn),
			 *far = mir_block_new(s->fn), *join = mir_block_new(s->fn);
	const struct len_guard *g = s->guards[i->id];

	far->cold = true;
	usual->cold = near->cold = join->cold = s->cur->cold;
	isel_jcc(s, BPF_JEQ, true, isel_val(s, n->test), 0, n->value, usual, far);
	s->cur = usual;
	/* where the network header was copied, nothing stands behind it */
	isel_jcc(s, BPF_JGE, true, s->headlen[i->blk->id], 0,
		 MAX(n->usual + MAX(i->imm, g ? (int64_t)g->k : 0), s->net_least[i->blk->id]), near,
		 far);
	s->cur = near;
	isel_mov(s, ptr, s->net[i->blk->id]);
	isel_jmp(s, join);
	s->cur = far;
	return join;
}

void isel_pkt(struct isel *s, struct ir_ins *i)
{
	struct pkt_part *parts = arena_array(s->a, struct pkt_part, PKT_PARTS);
	uint32_t blk = i->blk->id;
	struct mir_block *join = NULL;
	uint32_t *off = &s->vreg[ir_val(i->args[0])->id], off_reg = *off;
	struct near n;

	s->pkts[i->id] = parts;
	packet_regs(s, blk);
	for (uint32_t p = 0; p < PKT_PARTS; p++)
		if (reach(s, i, p)) {
			parts[p].number = mir_vreg_new(s->fn);
			parts[p].ptr = mir_vreg_new(s->fn);
		}
	if (s->net[blk] && parts[0].ptr && near_of(s, i, &n)) {
		parts[0].add = n.usual;
		join = near_ptr(s, i, &n, parts[0].ptr);
		if (n.usual == 20) /* made anew: the common way has no need of it */
			*off = isel_alui(s, BPF_LSH, true, isel_val(s, n.test), 2);
	}
	numbers(s, i, parts);
	for (uint32_t p = 0; p < PKT_PARTS; p++)
		if (parts[p].number)
			isel_cast(s, parts[p].ptr,
				  isel_alui(s, BPF_ADD, false, parts[p].number,
					    -(int64_t)parts[p].add),
				  p || !(join || at_network(i)) ? reach(s, i, p) : s->net_reach);
	if (at_network(i) && parts[0].ptr) {
		s->net[blk] = parts[0].ptr;
		s->net_least[blk] = linear_least(s, i);
	}
	if (!join)
		return;
	*off = off_reg;
	isel_jmp(s, join);
	s->cur = join;
}

uint32_t isel_ldp_again(struct isel *s, const struct ir_ins *i, uint32_t at, uint8_t size)
{
	const struct pkt_part *p = &s->pkts[ir_val(i->args[0])->id][i->imm / PKT_STRIDE];

	return isel_load(s, p->ptr, p->add + i->imm % PKT_STRIDE + at, size);
}

void isel_ldp(struct isel *s, struct ir_ins *i)
{
	s->vreg[i->id] = isel_ldp_again(s, i, 0, i->size);
}
