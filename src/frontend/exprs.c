// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * exprs: a ruleset in the newest nft's bracket notation (`--emit exprs`).
 *
 * Data is printed in the width and byte order of its type: network-order values byte by byte,
 * host-order values as the number. The expression itself does not say which, so the printer follows
 * each rule from top to bottom and remembers, word by word, the order of what the registers hold;
 * an immediate takes its order from the first expression that uses it.
 */
#include "exprs.h"

/* Byte order of what a rule has in its registers, by 32-bit word. */
struct regs {
	enum byte_order word[REG_WORDS];
};

static bool reg_valid(uint8_t r)
{
	return (r >= 1 && r <= 4) || (r >= 8 && r <= 23);
}

static enum byte_order reg_order(const struct regs *rg, uint8_t r)
{
	return reg_valid(r) ? rg->word[REG_WORD(r)] : ORDER_NONE;
}

static unsigned int reg_print(uint8_t r)
{
	return reg_valid(r) ? WORD_REG(REG_WORD(r)) : r;
}

/* -- data -------------------------------------------------------------------------------------- */

void exprs_data(struct sbuf *o, const uint8_t *b, unsigned int len, enum byte_order order)
{
	static const char hex[] = "0123456789abcdef";
	char buf[DATA_MAX * 2 + DATA_MAX / 4 * 3], *p = buf;

	BUG_ON(len > DATA_MAX);
	for (unsigned int i = 0; i < len; i++) {
		uint8_t v = b[order == ORDER_HOST ? len - 1 - i : i];

		if (i % 4 == 0) {
			if (i)
				*p++ = ' ';
			*p++ = '0';
			*p++ = 'x';
		}
		*p++ = hex[v >> 4];
		*p++ = hex[v & 15];
	}
	sb_add(o, buf, (size_t)(p - buf));
}

void exprs_verdict(struct sbuf *o, const struct verdict *v)
{
	switch (v->code) {
	case V_DROP:
		sb_puts(o, "drop");
		return;
	case V_ACCEPT:
		sb_puts(o, "accept");
		return;
	case V_QUEUE:
		sb_puts(o, "queue");
		return;
	case V_CONTINUE:
		sb_puts(o, "continue");
		return;
	case V_BREAK:
		sb_puts(o, "break");
		return;
	case V_RETURN:
		sb_puts(o, "return");
		return;
	case V_JUMP:
	case V_GOTO:
		sb_printf(o, "%s -> %s", v->code == V_JUMP ? "jump" : "goto",
			  v->chain ? v->chain->name : "?");
		return;
	}
	sb_printf(o, "verdict %d", v->code);
}

/* -- byte orders of registers ------------------------------------------------------------------ */

static enum byte_order key_order(enum expr_kind kind, uint32_t key)
{
	const struct reg_key *k = reg_key(kind, key);

	return k ? k->order : ORDER_NONE;
}

static enum byte_order fib_order(const struct expr *e)
{
	if (!(e->fib.flags & 32) && e->fib.result == 2) /* oifname */
		return ORDER_BIG;
	return ORDER_HOST;
}

/* The order of what e leaves in its destination register; *reg is REG_NONE if it has none. */
static enum byte_order load_order(const struct expr *e, const struct regs *rg, uint8_t *reg)
{
	*reg = REG_NONE;
	switch (e->kind) {
	case EX_PAYLOAD:
		*reg = e->payload.dreg;
		return e->payload.len == 1 ? ORDER_HOST : ORDER_BIG;
	case EX_EXTHDR:
		*reg = e->exthdr.dreg;
		return e->exthdr.len == 1 ? ORDER_HOST : ORDER_BIG;
	case EX_META:
		*reg = e->meta.dreg;
		return key_order(e->kind, e->meta.key);
	case EX_CT:
		*reg = e->ct.dreg;
		return key_order(e->kind, e->ct.key);
	case EX_RT:
		*reg = e->rt.dreg;
		return key_order(e->kind, e->rt.key);
	case EX_SOCKET:
		*reg = e->socket.dreg;
		return key_order(e->kind, e->socket.key);
	case EX_XFRM:
		*reg = e->xfrm.dreg;
		return key_order(e->kind, e->xfrm.key);
	case EX_TUNNEL:
		*reg = e->tunnel.dreg;
		return key_order(e->kind, e->tunnel.key);
	case EX_FIB:
		*reg = e->fib.dreg;
		return fib_order(e);
	case EX_OSF:
		*reg = e->osf.dreg;
		return ORDER_BIG;
	case EX_NUMGEN:
		*reg = e->numgen.dreg;
		return ORDER_HOST;
	case EX_HASH:
		*reg = e->hash.dreg;
		return ORDER_HOST;
	case EX_BYTEORDER:
		*reg = e->byteorder.dreg;
		return e->byteorder.op == BO_HTON ? ORDER_BIG : ORDER_HOST;
	case EX_BITWISE: {
		enum byte_order o = reg_order(rg, e->bitwise.sreg);

		*reg = e->bitwise.dreg;
		return o ? o : reg_order(rg, e->bitwise.sreg2);
	}
	case EX_LOOKUP:
		*reg = e->lookup.dreg == REG_VERDICT ? REG_NONE : e->lookup.dreg;
		return e->lookup.set ? set_data_order(e->lookup.set) : ORDER_NONE;
	case EX_INNER:
		return e->inner.expr ? load_order(e->inner.expr, rg, reg) : ORDER_NONE;
	default:
		return ORDER_NONE;
	}
}

static void regs_update(struct regs *rg, const struct expr *e, enum byte_order imm)
{
	struct expr_regs er = expr_regs(e);
	uint8_t reg;
	enum byte_order o = load_order(e, rg, &reg);

	if (e->kind == EX_IMMEDIATE)
		o = imm;
	for (unsigned int w = 0; w < REG_WORDS; w++)
		if (er.writes & 1u << w)
			rg->word[w] = o;
}

/* How e uses register r: the order its value must be in; *used tells whether e reads r at all. */
static enum byte_order use_order(const struct expr *e, uint8_t r, const struct regs *rg, bool *used)
{
	*used = expr_regs(e).reads >> REG_WORD(r) & 1;
	if (!*used)
		return ORDER_NONE;
	switch (e->kind) {
	case EX_META:
		return key_order(EX_META, e->meta.key);
	case EX_CT:
		return key_order(EX_CT, e->ct.key);
	case EX_DUP:
	case EX_FWD:
		return r == e->dup.sreg_dev ? ORDER_HOST : ORDER_BIG;
	case EX_QUEUE:
		return ORDER_HOST;
	case EX_BITWISE:
		return reg_order(rg, r == e->bitwise.sreg ? e->bitwise.sreg2 : e->bitwise.sreg);
	case EX_LOOKUP:
		return e->lookup.set ? set_key_order(e->lookup.set) : ORDER_NONE;
	case EX_DYNSET:
		if (!e->dynset.set)
			return ORDER_NONE;
		return r == e->dynset.sreg_data ? set_data_order(e->dynset.set)
						: set_key_order(e->dynset.set);
	default: /* payload and exthdr write, nat, masq, redir, tproxy ... */
		return ORDER_BIG;
	}
}

static enum byte_order imm_order(const struct rule *r, uint32_t at, const struct regs *rg)
{
	uint8_t dreg = r->exprs.v[at]->imm.dreg;
	bool used;

	if (!reg_valid(dreg))
		return ORDER_NONE;
	for (uint32_t i = at + 1; i < r->exprs.n; i++) {
		enum byte_order o = use_order(r->exprs.v[i], dreg, rg, &used);

		if (used)
			return o;
	}
	return ORDER_NONE;
}

/* -- expressions ------------------------------------------------------------------------------- */

static const char *const cmp_names[] = { "eq", "neq", "lt", "lte", "gt", "gte" };
static const char *const base_names[] = { "link", "network", "transport", "inner", "tunnel" };
static const char *const bit_ops[] = { "&", "<<", ">>", "&", "|", "^" };

#define NAME_OF(table, i) ((size_t)(i) < ARRAY_SIZE(table) ? (table)[i] : "unknown")

static const char *key_name(enum expr_kind kind, uint32_t key)
{
	const struct reg_key *k = reg_key(kind, key);

	return k ? k->name : "unknown";
}

static void bitwise_print(struct sbuf *o, const struct expr *e, const struct regs *rg)
{
	enum byte_order ord = reg_order(rg, e->bitwise.sreg);

	sb_printf(o, "reg %u = ( reg %u %s ", reg_print(e->bitwise.dreg),
		  reg_print(e->bitwise.sreg), NAME_OF(bit_ops, e->bitwise.op));
	switch (e->bitwise.op) {
	case BW_MASK_XOR:
		exprs_data(o, e->bitwise.mask.b, e->bitwise.mask.len, ord);
		sb_puts(o, " ) ^ ");
		exprs_data(o, e->bitwise.xor.b, e->bitwise.xor.len, ord);
		return;
	case BW_LSHIFT:
	case BW_RSHIFT:
		exprs_data(o, e->bitwise.data.b, e->bitwise.data.len, ORDER_HOST);
		break;
	default:
		if (e->bitwise.sreg2 != REG_NONE)
			sb_printf(o, "reg %u", reg_print(e->bitwise.sreg2));
		else
			exprs_data(o, e->bitwise.data.b, e->bitwise.data.len, ord);
	}
	sb_puts(o, " )");
}

static void payload_print(struct sbuf *o, const struct expr *e)
{
	const char *base = NAME_OF(base_names, e->payload.base);

	if (e->payload.sreg == REG_NONE)
		sb_printf(o, "load %ub @ %s header + %u => reg %u", e->payload.len, base,
			  e->payload.off, reg_print(e->payload.dreg));
	else
		sb_printf(o,
			  "write reg %u => %ub @ %s header + %u csum_type %u csum_off %u "
			  "csum_flags 0x%x",
			  reg_print(e->payload.sreg), e->payload.len, base, e->payload.off,
			  e->payload.csum_type, e->payload.csum_off, e->payload.csum_flags);
}

static void exthdr_print(struct sbuf *o, const struct expr *e)
{
	static const char *const ops[] = { " ipv6", " tcpopt", " ipv4", "", "" };
	const char *op = NAME_OF(ops, e->exthdr.op);

	if (e->exthdr.dreg != REG_NONE)
		sb_printf(o, "load%s %ub @ %u + %u%s => reg %u", op, e->exthdr.len, e->exthdr.type,
			  e->exthdr.off, e->exthdr.flags & 1 ? " present" : "",
			  reg_print(e->exthdr.dreg));
	else if (e->exthdr.sreg != REG_NONE)
		sb_printf(o, "write%s reg %u => %ub @ %u + %u", op, reg_print(e->exthdr.sreg),
			  e->exthdr.len, e->exthdr.type, e->exthdr.off);
	else
		sb_printf(o, "reset tcpopt %u", e->exthdr.type);
}

static void ct_print(struct sbuf *o, const struct expr *e)
{
	if (e->ct.sreg != REG_NONE)
		sb_printf(o, "set %s with reg %u", key_name(EX_CT, e->ct.key),
			  reg_print(e->ct.sreg));
	else
		sb_printf(o, "load %s => reg %u", key_name(EX_CT, e->ct.key),
			  reg_print(e->ct.dreg));
	if (e->ct.has_dir)
		sb_printf(o, " , dir %s", e->ct.dir ? "reply" : "original");
}

static void fib_print(struct sbuf *o, const struct expr *e)
{
	static const char *const flags[] = { "saddr", "daddr", "mark", "iif", "oif" };
	static const char *const results[] = { "unknown", "oif", "oifname", "type" };
	const char *sep = "";

	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++)
		if (e->fib.flags & 1u << i) {
			sb_printf(o, "%s%s", sep, flags[i]);
			sep = " . ";
		}
	sb_printf(o, " %s%s => reg %u", NAME_OF(results, e->fib.result),
		  e->fib.flags & 32 ? " present" : "", reg_print(e->fib.dreg));
}

static void lookup_print(struct sbuf *o, const struct expr *e)
{
	sb_printf(o, "reg %u set %s", reg_print(e->lookup.sreg), e->lookup.set->name);
	if (e->lookup.dreg != REG_NONE)
		sb_printf(o, " dreg %u", reg_print(e->lookup.dreg));
	if (e->lookup.inv)
		sb_puts(o, " 0x1");
}

static void dynset_print(struct sbuf *o, const struct expr *e)
{
	static const char *const ops[] = { "add", "update", "delete" };

	sb_printf(o, "%s reg_key %u set %s", NAME_OF(ops, e->dynset.op),
		  reg_print(e->dynset.sreg_key), e->dynset.set->name);
	if (e->dynset.sreg_data != REG_NONE)
		sb_printf(o, " sreg_data %u", reg_print(e->dynset.sreg_data));
	if (e->dynset.timeout)
		sb_printf(o, " timeout %llums", (unsigned long long)e->dynset.timeout);
	for (uint32_t i = 0; i < e->dynset.n_exprs; i++) {
		sb_puts(o, " expr ");
		expr_print(e->dynset.exprs[i], o);
	}
}

static void limit_print(struct sbuf *o, const struct expr *e)
{
	static const struct {
		uint64_t unit;
		const char *name;
	} units[] = { { 1, "second" },
		      { 60, "minute" },
		      { 3600, "hour" },
		      { 86400, "day" },
		      { 604800, "week" } };
	const char *unit = "error";

	for (unsigned int i = 0; i < ARRAY_SIZE(units); i++)
		if (units[i].unit == e->limit.unit)
			unit = units[i].name;
	sb_printf(o, "rate %llu/%s burst %u type %s flags 0x%x", (unsigned long long)e->limit.rate,
		  unit, e->limit.burst, e->limit.type ? "bytes" : "packets", e->limit.inv);
}

static void numgen_print(struct sbuf *o, const struct expr *e)
{
	sb_printf(o, "reg %u = %s mod %u", reg_print(e->numgen.dreg),
		  e->numgen.type ? "random" : "inc", e->numgen.mod);
	if (e->numgen.offset)
		sb_printf(o, " offset %u", e->numgen.offset);
}

static void hash_print(struct sbuf *o, const struct expr *e)
{
	if (e->hash.sreg == REG_NONE)
		sb_printf(o, "reg %u = symhash() %% mod %u", reg_print(e->hash.dreg), e->hash.mod);
	else
		sb_printf(o, "reg %u = jhash(reg %u, %u, 0x%x) %% mod %u", reg_print(e->hash.dreg),
			  reg_print(e->hash.sreg), e->hash.len, e->hash.seed, e->hash.mod);
	if (e->hash.offset)
		sb_printf(o, " offset %u", e->hash.offset);
}

/*
 * Words joined by one blank each: the notation has one blank between the parts and none at the end.
 */
static void word(struct sbuf *o, const char *s)
{
	if (o->n && o->s[o->n - 1] != ' ')
		sb_puts(o, " ");
	sb_puts(o, s);
}

static void word_num(struct sbuf *o, const char *name, unsigned long long v)
{
	if (o->n && o->s[o->n - 1] != ' ')
		sb_puts(o, " ");
	sb_printf(o, "%s %llu", name, v);
}

static void word_reg(struct sbuf *o, const char *name, uint8_t r)
{
	if (r != REG_NONE)
		word_num(o, name, reg_print(r));
}

static void log_print(struct sbuf *o, const struct expr *e)
{
	static const char *const flags[] = { "tcpseq", "tcpopt", "ipopt",
					     "uid",    "nflog",	 "macdecode" };

	if (e->log.prefix) {
		word(o, "prefix ");
		sb_puts(o, e->log.prefix);
	}
	if (e->log.has_group) {
		word_num(o, "group", e->log.group);
		word_num(o, "snaplen", e->log.snaplen);
		word_num(o, "qthreshold", e->log.qthreshold);
		return;
	}
	if (e->log.has_level)
		word_num(o, "level", e->log.level);
	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++)
		if (e->log.has_flags && e->log.flags & 1u << i && i != 4)
			word(o, flags[i]);
}

static const char *nfproto_name(uint32_t family)
{
	return family_name((enum family)family);
}

static void nat_print(struct sbuf *o, const struct expr *e)
{
	if (e->kind == EX_NAT) {
		word(o, e->nat.type ? "dnat" : "snat");
		word(o, nfproto_name(e->nat.family));
		word_reg(o, "addr_min reg", e->nat.reg_addr_min);
		word_reg(o, "addr_max reg", e->nat.reg_addr_max);
	}
	word_reg(o, "proto_min reg", e->nat.reg_proto_min);
	word_reg(o, "proto_max reg", e->nat.reg_proto_max);
	if (e->nat.flags) {
		word(o, "flags");
		sb_printf(o, " 0x%x", e->nat.flags);
	}
}

static void queue_print(struct sbuf *o, const struct expr *e)
{
	if (e->queue.sreg_qnum != REG_NONE) {
		word_reg(o, "sreg_qnum", e->queue.sreg_qnum);
	} else {
		sb_printf(o, "num %u", e->queue.num);
		if (e->queue.total > 1)
			sb_printf(o, "-%u", e->queue.num + e->queue.total - 1);
	}
	if (e->queue.flags & 1)
		word(o, "bypass");
	if (e->queue.flags & 2)
		word(o, "fanout");
}

static void dup_print(struct sbuf *o, const struct expr *e)
{
	if (e->kind == EX_DUP) {
		word_reg(o, "sreg_addr", e->dup.sreg_addr);
		word_reg(o, "sreg_dev", e->dup.sreg_dev);
		return;
	}
	word_reg(o, "sreg_dev", e->dup.sreg_dev);
	word_reg(o, "sreg_addr", e->dup.sreg_addr);
	if (e->dup.family)
		word_num(o, "nfproto", e->dup.family);
}

static void objref_print(struct sbuf *o, const struct expr *e)
{
	if (e->objref.set)
		sb_printf(o, "sreg %u set %s", reg_print(e->objref.sreg), e->objref.set->name);
	else
		sb_printf(o, "type %u name %s", e->objref.type,
			  e->objref.obj ? e->objref.obj->name : "?");
}

static void unknown_print(struct sbuf *o, const struct expr *e)
{
	sb_printf(o, "%s ", e->unknown.name);
	for (uint32_t i = 0; i < e->unknown.attrs_len; i++)
		sb_printf(o, "%02x", e->unknown.attrs[i]);
}

static void expr_print_at(const struct expr *e, struct sbuf *o, const struct regs *rg,
			  enum byte_order imm);

static void inner_print(struct sbuf *o, const struct expr *e, const struct regs *rg)
{
	sb_printf(o, "type %u hdrsize %u flags %x ", e->inner.type, e->inner.hdrsize,
		  e->inner.flags);
	if (e->inner.expr)
		expr_print_at(e->inner.expr, o, rg, ORDER_NONE);
}

/* The expressions that hold data or a key. */
static bool print_loads(struct sbuf *o, const struct expr *e, const struct regs *rg,
			enum byte_order imm)
{
	switch (e->kind) {
	case EX_IMMEDIATE:
		sb_printf(o, "reg %u ", reg_print(e->imm.dreg));
		if (e->imm.dreg == REG_VERDICT)
			exprs_verdict(o, &e->imm.verdict);
		else
			exprs_data(o, e->imm.data.b, e->imm.data.len, imm);
		return true;
	case EX_CMP:
		sb_printf(o, "%s reg %u ", NAME_OF(cmp_names, e->cmp.op), reg_print(e->cmp.sreg));
		exprs_data(o, e->cmp.data.b, e->cmp.data.len, reg_order(rg, e->cmp.sreg));
		return true;
	case EX_RANGE:
		sb_printf(o, "%s reg %u ", NAME_OF(cmp_names, e->range.op),
			  reg_print(e->range.sreg));
		exprs_data(o, e->range.from.b, e->range.from.len, reg_order(rg, e->range.sreg));
		sb_puts(o, " ");
		exprs_data(o, e->range.to.b, e->range.to.len, reg_order(rg, e->range.sreg));
		return true;
	case EX_BITWISE:
		bitwise_print(o, e, rg);
		return true;
	case EX_BYTEORDER:
		sb_printf(o, "reg %u = %s(reg %u, %u, %u)", reg_print(e->byteorder.dreg),
			  e->byteorder.op == BO_NTOH ? "ntoh" : "hton",
			  reg_print(e->byteorder.sreg), e->byteorder.size, e->byteorder.len);
		return true;
	case EX_PAYLOAD:
		payload_print(o, e);
		return true;
	case EX_EXTHDR:
		exthdr_print(o, e);
		return true;
	case EX_META:
		if (e->meta.sreg != REG_NONE)
			sb_printf(o, "set %s with reg %u", key_name(EX_META, e->meta.key),
				  reg_print(e->meta.sreg));
		else
			sb_printf(o, "load %s => reg %u", key_name(EX_META, e->meta.key),
				  reg_print(e->meta.dreg));
		return true;
	case EX_CT:
		ct_print(o, e);
		return true;
	case EX_RT:
		sb_printf(o, "load %s => reg %u", key_name(EX_RT, e->rt.key),
			  reg_print(e->rt.dreg));
		return true;
	case EX_SOCKET:
		sb_printf(o, "load %s => reg %u", key_name(EX_SOCKET, e->socket.key),
			  reg_print(e->socket.dreg));
		return true;
	case EX_XFRM:
		sb_printf(o, "load %s %u %s => reg %u", e->xfrm.dir ? "out" : "in", e->xfrm.spnum,
			  key_name(EX_XFRM, e->xfrm.key), reg_print(e->xfrm.dreg));
		return true;
	case EX_TUNNEL:
		sb_printf(o, "load %s => reg %u", key_name(EX_TUNNEL, e->tunnel.key),
			  reg_print(e->tunnel.dreg));
		return true;
	case EX_OSF:
		sb_printf(o, "dreg %u", reg_print(e->osf.dreg));
		return true;
	case EX_FIB:
		fib_print(o, e);
		return true;
	case EX_INNER:
		inner_print(o, e, rg);
		return true;
	default:
		return false;
	}
}

static void print_statement(struct sbuf *o, const struct expr *e)
{
	switch (e->kind) {
	case EX_LOOKUP:
		lookup_print(o, e);
		return;
	case EX_DYNSET:
		dynset_print(o, e);
		return;
	case EX_COUNTER:
		sb_printf(o, "pkts %llu bytes %llu", (unsigned long long)e->counter.packets,
			  (unsigned long long)e->counter.bytes);
		return;
	case EX_LIMIT:
		limit_print(o, e);
		return;
	case EX_QUOTA:
		sb_printf(o, "bytes %llu consumed %llu flags %u",
			  (unsigned long long)e->quota.bytes, (unsigned long long)e->quota.consumed,
			  (unsigned int)e->quota.inv | (unsigned int)e->quota.depleted << 1);
		return;
	case EX_CONNLIMIT:
		sb_printf(o, "count %u flags %x", e->connlimit.count, e->connlimit.inv);
		return;
	case EX_LAST:
		if (e->last.set)
			sb_printf(o, "%llu", (unsigned long long)e->last.msecs);
		else
			sb_puts(o, "never");
		return;
	case EX_NUMGEN:
		numgen_print(o, e);
		return;
	case EX_HASH:
		hash_print(o, e);
		return;
	case EX_OBJREF:
		objref_print(o, e);
		return;
	case EX_LOG:
		log_print(o, e);
		return;
	case EX_REJECT:
		sb_printf(o, "type %u code %u", e->reject.type, e->reject.code);
		return;
	case EX_NAT:
	case EX_MASQ:
	case EX_REDIR:
		nat_print(o, e);
		return;
	case EX_QUEUE:
		queue_print(o, e);
		return;
	case EX_TPROXY:
		if (e->tproxy.family)
			word(o, nfproto_name(e->tproxy.family));
		word_reg(o, "addr reg", e->tproxy.reg_addr);
		word_reg(o, "port reg", e->tproxy.reg_port);
		return;
	case EX_SYNPROXY:
		sb_printf(o, "mss %u wscale %u", e->synproxy.mss, e->synproxy.wscale);
		return;
	case EX_DUP:
	case EX_FWD:
		dup_print(o, e);
		return;
	case EX_FLOW_OFFLOAD:
		sb_printf(o, "flowtable %s", e->flow.flowtable);
		return;
	case EX_MATCH:
	case EX_TARGET:
		sb_printf(o, "name %s rev %u", e->xt.name, e->xt.rev);
		return;
	case EX_XTNEED:
		sb_printf(o, "%u%s", e->need.len, e->need.strict ? " strict" : "");
		return;
	case EX_UNKNOWN:
		unknown_print(o, e);
		return;
	default: /* notrack: its name is all */
		return;
	}
}

static void expr_print_at(const struct expr *e, struct sbuf *o, const struct regs *rg,
			  enum byte_order imm)
{
	sb_printf(o, "[ %s ", expr_kind_name(e->kind));
	if (!print_loads(o, e, rg, imm))
		print_statement(o, e);
	if (o->s[o->n - 1] != ' ')
		sb_puts(o, " ");
	sb_puts(o, "]");
}

void expr_print(const struct expr *e, struct sbuf *out)
{
	struct regs none = { 0 };

	expr_print_at(e, out, &none, ORDER_NONE);
}

void exprs_flush(struct sbuf *o, FILE *f)
{
	fwrite(o->s, 1, o->n, f);
	o->n = 0;
}

/* -- rules ------------------------------------------------------------------------------------- */

static void rule_print(struct sbuf *o, const struct rule *rule)
{
	struct rule own = rule_kernel(rule), *r = &own;
	struct regs rg = { 0 };

	sb_printf(o, "%s %s %s\n", family_name(r->chain->table->family), r->chain->table->name,
		  r->chain->name);
	for (uint32_t i = 0; i < r->exprs.n; i++) {
		const struct expr *e = r->exprs.v[i];
		enum byte_order imm = e->kind == EX_IMMEDIATE ? imm_order(r, i, &rg) : ORDER_NONE;

		sb_puts(o, "  ");
		expr_print_at(e, o, &rg, imm);
		sb_puts(o, "\n");
		regs_update(&rg, e, imm);
	}
}

void ruleset_print_exprs(const struct ruleset *rs, FILE *f)
{
	struct sbuf o;

	sb_init(&o, rs->arena);
	vec_foreach(&rs->tables, t) {
		vec_foreach(&(*t)->sets, s)
			exprs_set(&o, *s, f);
		exprs_flush(&o, f);
		vec_foreach(&(*t)->chains, c) {
			vec_foreach(&(*c)->rules, r) {
				rule_print(&o, *r);
				if (o.n > EXPRS_FLUSH_AT)
					exprs_flush(&o, f);
			}
		}
	}
	exprs_flush(&o, f);
}
