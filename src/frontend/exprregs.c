// SPDX-License-Identifier: GPL-2.0-or-later
/* Which 32-bit words of the register file an expression reads and writes. */
#include "ruleset.h"

/*
 * The words that len bytes from register r cover; none for the verdict register or an absent one.
 */
static uint32_t words(uint8_t r, unsigned int len)
{
	unsigned int w, n = DIV_ROUND_UP(len, 4);

	if (r == REG_NONE || r == REG_VERDICT || !n)
		return 0;
	w = REG_WORD(r);
	if (w >= REG_WORDS)
		return REGS_BEYOND;
	if (n > REG_WORDS - w)
		return (((1u << (REG_WORDS - w)) - 1) << w) | REGS_BEYOND;
	return ((1u << n) - 1) << w;
}

static unsigned int key_len(enum expr_kind k, uint32_t key)
{
	const struct reg_key *rk = reg_key(k, key);

	return rk && rk->len ? rk->len : 16;
}

static unsigned int addr_len(uint32_t family)
{
	return family == FAM_IP ? 4 : 16;
}

static unsigned int fib_len(const struct expr *e)
{
	return !(e->fib.flags & 32) && e->fib.result == 2 ? 16 : 4;
}

static struct expr_regs load_regs(const struct expr *e)
{
	struct expr_regs r = { 0 };

	switch (e->kind) {
	case EX_PAYLOAD:
		r.reads = words(e->payload.sreg, e->payload.len);
		r.writes = words(e->payload.dreg, e->payload.len);
		break;
	case EX_EXTHDR:
		r.reads = words(e->exthdr.sreg, e->exthdr.len);
		r.writes = words(e->exthdr.dreg, e->exthdr.flags & 1 ? 1 : e->exthdr.len);
		break;
	case EX_META:
		r.reads = words(e->meta.sreg, key_len(EX_META, e->meta.key));
		r.writes = words(e->meta.dreg, key_len(EX_META, e->meta.key));
		break;
	case EX_CT:
		r.reads = words(e->ct.sreg, key_len(EX_CT, e->ct.key));
		r.writes = words(e->ct.dreg, key_len(EX_CT, e->ct.key));
		break;
	case EX_RT:
		r.writes = words(e->rt.dreg, key_len(EX_RT, e->rt.key));
		break;
	case EX_SOCKET:
		r.writes = words(e->socket.dreg, key_len(EX_SOCKET, e->socket.key));
		break;
	case EX_XFRM:
		r.writes = words(e->xfrm.dreg, key_len(EX_XFRM, e->xfrm.key));
		break;
	case EX_TUNNEL:
		r.writes = words(e->tunnel.dreg, key_len(EX_TUNNEL, e->tunnel.key));
		break;
	case EX_FIB:
		r.writes = words(e->fib.dreg, fib_len(e));
		break;
	case EX_OSF:
		r.writes = words(e->osf.dreg, 16);
		break;
	case EX_INNER:
		if (e->inner.expr)
			r = load_regs(e->inner.expr);
		break;
	default:
		break;
	}
	return r;
}

static struct expr_regs action_regs(const struct expr *e)
{
	struct expr_regs r = { 0 };

	switch (e->kind) {
	case EX_LOOKUP:
		r.reads = words(e->lookup.sreg, e->lookup.set->key_len);
		r.writes = words(e->lookup.dreg, e->lookup.set->data_len);
		break;
	case EX_DYNSET:
		r.reads = words(e->dynset.sreg_key, e->dynset.set->key_len) |
			  words(e->dynset.sreg_data, e->dynset.set->data_len);
		break;
	case EX_OBJREF:
		if (e->objref.set)
			r.reads = words(e->objref.sreg, e->objref.set->key_len);
		break;
	case EX_NAT:
	case EX_MASQ:
	case EX_REDIR:
		r.reads = words(e->nat.reg_addr_min, addr_len(e->nat.family)) |
			  words(e->nat.reg_addr_max, addr_len(e->nat.family)) |
			  words(e->nat.reg_proto_min, 2) | words(e->nat.reg_proto_max, 2);
		break;
	case EX_QUEUE:
		r.reads = words(e->queue.sreg_qnum, 4);
		break;
	case EX_TPROXY:
		r.reads = words(e->tproxy.reg_addr, addr_len(e->tproxy.family)) |
			  words(e->tproxy.reg_port, 2);
		break;
	case EX_DUP: /* the family is the chain's: the longer address */
	case EX_FWD:
		r.reads = words(e->dup.sreg_addr, addr_len(e->dup.family)) |
			  words(e->dup.sreg_dev, 4);
		break;
	default:
		break;
	}
	return r;
}

struct expr_regs expr_regs(const struct expr *e)
{
	struct expr_regs r = { 0 };

	switch (e->kind) {
	case EX_IMMEDIATE:
		r.writes = words(e->imm.dreg, e->imm.data.len);
		return r;
	case EX_CMP:
		r.reads = words(e->cmp.sreg, e->cmp.data.len);
		return r;
	case EX_RANGE:
		r.reads = words(e->range.sreg, e->range.from.len);
		return r;
	case EX_BITWISE:
		r.reads = words(e->bitwise.sreg, e->bitwise.len) |
			  words(e->bitwise.sreg2, e->bitwise.len);
		r.writes = words(e->bitwise.dreg, e->bitwise.len);
		return r;
	case EX_BYTEORDER:
		r.reads = words(e->byteorder.sreg, e->byteorder.len);
		r.writes = words(e->byteorder.dreg, e->byteorder.len);
		return r;
	case EX_NUMGEN:
		r.writes = words(e->numgen.dreg, 4);
		return r;
	case EX_HASH:
		r.reads = words(e->hash.sreg, e->hash.len);
		r.writes = words(e->hash.dreg, 4);
		return r;
	case EX_LOOKUP:
	case EX_DYNSET:
	case EX_OBJREF:
	case EX_NAT:
	case EX_MASQ:
	case EX_REDIR:
	case EX_QUEUE:
	case EX_TPROXY:
	case EX_DUP:
	case EX_FWD:
		return action_regs(e);
	default:
		return load_regs(e);
	}
}
