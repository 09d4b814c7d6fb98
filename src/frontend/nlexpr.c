// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nlexpr: expressions from netlink attributes, by the table nfta.def; what the table does not know
 * becomes EX_UNKNOWN.
 */
#include "nl.h"

#define ATTR_MAX 12u

const struct nl_row nl_rows[] = {
#define A(kind, attr, wire, field)                                                                 \
	{ EX_##kind, attr, W_##wire, offsetof(struct expr, field),                                 \
	  sizeof(((struct expr *)NULL)->field) },
#define S(kind, attr) { EX_##kind, attr, W_SELF, 0, 0 },
#include "nfta.def"
#undef A
#undef S
};
const size_t nl_n_rows = ARRAY_SIZE(nl_rows);

/* Outcome of reading one attribute, or one expression. */
enum got { GOT, GOT_UNKNOWN, GOT_BAD };

static bool reg_number_ok(uint32_t r, bool verdict)
{
	return (r == REG_VERDICT && verdict) || (r >= 1 && r <= 4) || (r >= 8 && r <= 23);
}

/* A number into a field of 1, 2, 4 or 8 bytes; false when it does not fit. */
static bool store(void *field, size_t size, uint64_t v)
{
	switch (size) {
	case 1:
		*(uint8_t *)field = (uint8_t)v;
		return v <= UINT8_MAX;
	case 2:
		*(uint16_t *)field = (uint16_t)v;
		return v <= UINT16_MAX;
	case 4:
		*(uint32_t *)field = (uint32_t)v;
		return v <= UINT32_MAX;
	case 8:
		*(uint64_t *)field = v;
		return true;
	}
	BUG("field of %zu bytes", size);
}

static bool wire_number(enum nl_wire w, struct nl_attr a, uint64_t *v)
{
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;

	switch (w) {
	case W_U8:
		return nl_u8(a, &v8) ? (*v = v8, true) : false;
	case W_U16:
		return nl_u16(a, &v16) ? (*v = v16, true) : false;
	case W_U64:
		return nl_u64(a, v);
	default:
		return nl_u32(a, &v32) ? (*v = v32, true) : false;
	}
}

static enum got read_row(struct nl_reader *rd, const struct nl_row *r, struct nl_attr a,
			 struct expr *e)
{
	void *field = (char *)e + r->off;
	uint64_t v;

	switch ((enum nl_wire)r->wire) {
	case W_SELF:
		return GOT;
	case W_HAS:
		*(bool *)field = true;
		return GOT;
	case W_DATA:
		return nl_data(rd, a, field) ? GOT : GOT_BAD;
	case W_STR:
		*(const char **)field = nl_str(rd, a);
		return *(const char **)field ? GOT : GOT_UNKNOWN;
	case W_REG:
	case W_REG0:
		if (!wire_number(W_U32, a, &v))
			return GOT_BAD;
		if (!reg_number_ok((uint32_t)MIN(v, 255u), r->wire == W_REG0))
			return GOT_BAD;
		*(uint8_t *)field = (uint8_t)v;
		return GOT;
	case W_FLAG:
		if (!wire_number(W_U32, a, &v))
			return GOT_BAD;
		*(bool *)field = v & 1;
		return v <= 1 ? GOT : GOT_UNKNOWN;
	default:
		if (!wire_number(r->wire, a, &v))
			return GOT_BAD;
		return store(field, r->size, v) ? GOT : GOT_UNKNOWN;
	}
}

/* -- data and verdicts ------------------------------------------------------------------------- */

bool nl_data(struct nl_reader *rd, struct nl_attr a, struct data *d)
{
	struct nl_attr tb[3];

	if (nl_walk(a, tb, 3) != NL_OK || !tb[1].p || !tb[1].len || tb[1].len > DATA_MAX)
		return false;
	*d = data_bytes(tb[1].p, tb[1].len);
	return true;
}

static bool verdict_of(struct nl_reader *rd, struct nl_attr a, struct verdict *v)
{
	struct nl_attr tb[4];
	uint32_t code;

	if (nl_walk(a, tb, 4) != NL_OK || !nl_u32(tb[1], &code))
		return nl_bad(rd, "verdict");
	v->code = (enum verdict_code)(int32_t)code;
	switch ((int32_t)code) {
	case V_DROP:
	case V_ACCEPT:
	case V_QUEUE:
	case V_CONTINUE:
	case V_BREAK:
	case V_RETURN:
		return true;
	case V_JUMP:
	case V_GOTO:
		v->chain = nl_find_chain(rd, tb[2], tb[3]);
		if (v->chain && v->chain->is_base)
			return nl_error(rd, "jump to %s, which is a base chain", v->chain->name);
		return v->chain != NULL;
	}
	return nl_error(rd, "verdict %d is not known", (int32_t)code);
}

bool nl_data_verdict(struct nl_reader *rd, struct nl_attr a, struct data *d, struct verdict *v,
		     bool *is_verdict)
{
	struct nl_attr tb[3];

	if (nl_walk(a, tb, 3) != NL_OK || !tb[1].p == !tb[2].p)
		return nl_bad(rd, "data");
	*is_verdict = tb[2].p != NULL;
	if (*is_verdict)
		return verdict_of(rd, tb[2], v);
	return nl_data(rd, a, d) || nl_bad(rd, "data");
}

/* -- parts that are read by hand --------------------------------------------------------------- */

static bool read_immediate(struct nl_reader *rd, struct nl_attr *tb, struct expr *e)
{
	bool is_verdict;

	if (!nl_data_verdict(rd, tb[2], &e->imm.data, &e->imm.verdict, &is_verdict))
		return false;
	if (is_verdict != (e->imm.dreg == REG_VERDICT))
		return nl_bad(rd, "immediate: verdict register and data do not match");
	return true;
}

static enum got read_lookup(struct nl_reader *rd, struct nl_attr *tb, struct expr *e)
{
	struct set *s = e->lookup.set = nl_find_set(rd, tb[1], tb[4]);

	if (!s)
		return GOT_BAD;
	if (e->lookup.dreg != REG_NONE &&
	    (!(s->flags & SET_MAP) || s->is_vmap != (e->lookup.dreg == REG_VERDICT)))
		return nl_bad(rd, "lookup: its set is no map of that kind"), GOT_BAD;
	return GOT;
}

static enum got read_dynset(struct nl_reader *rd, struct nl_attr *tb, struct expr *e)
{
	uint32_t flags = 0;
	struct expr *one;

	e->dynset.set = nl_find_set(rd, tb[1], tb[2]);
	if (!e->dynset.set)
		return GOT_BAD;
	if (tb[9].p && !nl_u32(tb[9], &flags))
		return GOT_BAD;
	e->dynset.inv = flags & 1;
	e->dynset.has_expr_flag = flags & 2;
	if (flags & ~3u || e->dynset.op > DYN_DELETE)
		return GOT_UNKNOWN;
	if (tb[10].p)
		return nl_exprs(rd, tb[10], &e->dynset.exprs, &e->dynset.n_exprs) ? GOT : GOT_BAD;
	if (!tb[7].p)
		return GOT;
	one = nl_expr(rd, tb[7]);
	if (!one)
		return GOT_BAD;
	e->dynset.exprs = arena_array(rd->arena, struct expr *, 1);
	e->dynset.exprs[0] = one;
	e->dynset.n_exprs = 1;
	return GOT;
}

static bool read_objref(struct nl_reader *rd, struct nl_attr *tb, struct expr *e)
{
	const char *name;

	if (tb[4].p || tb[5].p) {
		e->objref.set = nl_find_set(rd, tb[4], tb[5]);
		if (!e->objref.set)
			return false;
		if (!(e->objref.set->flags & SET_OBJECT) || e->objref.sreg == REG_NONE)
			return nl_bad(rd, "objref: its set is no object map");
		e->objref.type = e->objref.set->obj_type;
		return true;
	}
	name = nl_str(rd, tb[2]);
	if (!name)
		return nl_bad(rd, "objref");
	e->objref.obj = table_obj(rd->cur->t, name, e->objref.type);
	if (!e->objref.obj)
		return nl_error(rd, "object %s of type %u does not exist", name, e->objref.type);
	return true;
}

static enum got read_self(struct nl_reader *rd, struct nl_attr *tb, struct expr *e)
{
	uint32_t flags = 0;

	switch (e->kind) {
	case EX_IMMEDIATE:
		return read_immediate(rd, tb, e) ? GOT : GOT_BAD;
	case EX_LOOKUP:
		return read_lookup(rd, tb, e);
	case EX_DYNSET:
		return read_dynset(rd, tb, e);
	case EX_OBJREF:
		return read_objref(rd, tb, e) ? GOT : GOT_BAD;
	case EX_QUOTA:
		if (tb[2].p && !nl_u32(tb[2], &flags))
			return GOT_BAD;
		e->quota.inv = flags & 1;
		e->quota.depleted = flags & 2;
		return flags & ~3u ? GOT_UNKNOWN : GOT;
	case EX_INNER:
		if (tb[1].p && (!nl_u32(tb[1], &flags) || flags))
			return GOT_UNKNOWN;
		e->inner.expr = tb[5].p ? nl_expr(rd, tb[5]) : NULL;
		if (!e->inner.expr)
			return GOT_BAD;
		return e->inner.expr->kind == EX_PAYLOAD || e->inner.expr->kind == EX_META ||
				       e->inner.expr->kind == EX_EXTHDR
			       ? GOT
			       : GOT_UNKNOWN;
	case EX_MATCH:
	case EX_TARGET:
		e->xt.info = arena_dup(rd->arena, tb[3].p, tb[3].len);
		e->xt.info_len = tb[3].len;
		return GOT;
	default:
		return GOT;
	}
}

/*
 * A kernel echoes defaults that nft does not write: an upper bound that is the lower one, the flag
 * that says addresses are given, the log level "warn". Dropped, so that dump and text of one
 * ruleset are the same.
 */
static void drop_defaults(struct expr *e)
{
	switch (e->kind) {
	case EX_NAT:
	case EX_MASQ:
	case EX_REDIR:
		if (e->nat.reg_addr_max == e->nat.reg_addr_min)
			e->nat.reg_addr_max = REG_NONE;
		if (e->nat.reg_proto_max == e->nat.reg_proto_min)
			e->nat.reg_proto_max = REG_NONE;
		e->nat.flags &= ~1u; /* NF_NAT_RANGE_MAP_IPS */
		break;
	case EX_LOG:
		if (e->log.level == 4)
			e->log.has_level = false;
		break;
	default:
		break;
	}
}

/* -- what the kernel would have refused -------------------------------------------------------- */

static bool bitwise_ok(const struct expr *e)
{
	switch (e->bitwise.op) {
	case BW_MASK_XOR:
		return e->bitwise.mask.len == e->bitwise.len &&
		       e->bitwise.xor.len == e->bitwise.len;
	case BW_LSHIFT:
	case BW_RSHIFT:
		return e->bitwise.data.len == 4;
	default:
		return (e->bitwise.sreg2 != REG_NONE) != (e->bitwise.data.len != 0);
	}
}

static bool is_ip(uint32_t family)
{
	return family == FAM_IP || family == FAM_IP6;
}

/*
 * Whether numbers that later stages divide by, index with or switch on are what the kernel lets
 * through.
 */
static bool numbers_ok(const struct expr *e)
{
	switch (e->kind) {
	case EX_CMP:
		return e->cmp.op <= CMP_GTE && e->cmp.data.len;
	case EX_RANGE:
		return e->range.op <= RANGE_NEQ && e->range.from.len &&
		       e->range.from.len == e->range.to.len;
	case EX_BITWISE:
		return e->bitwise.len && e->bitwise.len <= DATA_MAX && bitwise_ok(e);
	case EX_BYTEORDER:
		return e->byteorder.op <= BO_HTON && e->byteorder.len <= DATA_MAX &&
		       e->byteorder.len &&
		       (e->byteorder.size == 2 || e->byteorder.size == 4 || e->byteorder.size == 8);
	case EX_PAYLOAD:
		return e->payload.len && e->payload.len <= DATA_MAX;
	case EX_EXTHDR:
		return e->exthdr.len <= DATA_MAX && (e->exthdr.len || (e->exthdr.sreg == REG_NONE &&
								       e->exthdr.dreg == REG_NONE));
	case EX_LIMIT:
		return e->limit.unit && e->limit.type <= 1 &&
		       e->limit.unit <= UINT64_MAX / 1000000000u;
	case EX_NUMGEN:
		return e->numgen.mod && e->numgen.type <= 1 &&
		       e->numgen.offset + e->numgen.mod - 1 >= e->numgen.offset;
	case EX_HASH:
		return e->hash.mod && e->hash.type <= 1 && e->hash.len <= DATA_MAX &&
		       (e->hash.type || (e->hash.sreg != REG_NONE && e->hash.len));
	case EX_CT:
		return e->ct.dir <= 1;
	case EX_NAT:
		return is_ip(e->nat.family) || /* ports alone, of both */
		       (e->nat.family == FAM_INET && e->nat.reg_addr_min == REG_NONE);
	case EX_TPROXY:
		return !e->tproxy.family || is_ip(e->tproxy.family);
	case EX_FWD:
		return !e->dup.family || is_ip(e->dup.family);
	case EX_INNER:
		return e->inner.hdrsize <= DATA_MAX;
	default:
		return true;
	}
}

/* Kinds with an enum whose unknown values are another kernel's, not an error. */
static bool numbers_known(const struct expr *e)
{
	switch (e->kind) {
	case EX_BITWISE:
		return e->bitwise.op <= BW_XOR;
	case EX_PAYLOAD:
		return e->payload.base <= PB_TUN;
	case EX_EXTHDR:
		return e->exthdr.op <= XH_DCCP && !(e->exthdr.flags & ~1u);
	case EX_META:
		return reg_key(EX_META, e->meta.key);
	case EX_CT:
		return reg_key(EX_CT, e->ct.key);
	case EX_RT:
		return reg_key(EX_RT, e->rt.key);
	case EX_SOCKET:
		return reg_key(EX_SOCKET, e->socket.key);
	case EX_XFRM:
		return reg_key(EX_XFRM, e->xfrm.key) && e->xfrm.dir <= 1;
	case EX_TUNNEL:
		return reg_key(EX_TUNNEL, e->tunnel.key) && e->tunnel.mode <= 2;
	case EX_NAT:
		return e->nat.type <= 1 && e->nat.flags <= 0x7f;
	case EX_MASQ:
	case EX_REDIR:
		return e->nat.flags <= 0x7f;
	case EX_REJECT:
		return e->reject.type <= 2;
	case EX_LOG:
		return e->log.level <= 8 && e->log.flags <= 0x7f;
	case EX_FIB:
		return e->fib.result && e->fib.result <= 3 && e->fib.flags <= 0x3f;
	case EX_QUEUE:
		return e->queue.flags <= 3;
	case EX_SYNPROXY:
		return e->synproxy.flags <= 0xf;
	case EX_OSF:
		return e->osf.flags <= 1 && e->osf.ttl <= 2;
	default:
		return true;
	}
}

/* Attributes without which the expression has no meaning. */
static uint16_t needed(enum expr_kind k)
{
	switch (k) {
	case EX_IMMEDIATE:
	case EX_RT:
	case EX_TUNNEL:
	case EX_SOCKET:
	case EX_MATCH:
	case EX_TARGET:
		return 1 << 1 | 1 << 2;
	case EX_CMP:
		return 1 << 1 | 1 << 2 | 1 << 3;
	case EX_RANGE:
		return 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4;
	case EX_BITWISE:
		return 1 << 1 | 1 << 2 | 1 << 3;
	case EX_BYTEORDER:
		return 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5;
	case EX_PAYLOAD:
		return 1 << 2 | 1 << 3 | 1 << 4;
	case EX_META:
	case EX_CT:
	case EX_LOOKUP:
		return 1 << 2;
	case EX_FIB:
		return 1 << 1 | 1 << 2 | 1 << 3;
	case EX_XFRM:
		return 1 << 1 | 1 << 2 | 1 << 3;
	case EX_DYNSET:
		return 1 << 3 | 1 << 4;
	case EX_LIMIT:
	case EX_NUMGEN:
		return 1 << 1 | 1 << 2;
	case EX_HASH:
		return 1 << 2 | 1 << 4;
	case EX_OSF:
	case EX_QUOTA:
	case EX_CONNLIMIT:
	case EX_REJECT:
	case EX_FLOW_OFFLOAD:
		return 1 << 1;
	case EX_NAT:
		return 1 << 1 | 1 << 2;
	default:
		return 0;
	}
}

static bool registers_ok(const struct expr *e)
{
	struct expr_regs r;

	switch (e->kind) { /* exactly one of source and destination */
	case EX_PAYLOAD:
		if ((e->payload.sreg == REG_NONE) == (e->payload.dreg == REG_NONE))
			return false;
		break;
	case EX_META:
		if ((e->meta.sreg == REG_NONE) == (e->meta.dreg == REG_NONE))
			return false;
		break;
	case EX_CT:
		if ((e->ct.sreg == REG_NONE) == (e->ct.dreg == REG_NONE))
			return false;
		break;
	case EX_EXTHDR:
		if (e->exthdr.sreg != REG_NONE && e->exthdr.dreg != REG_NONE)
			return false;
		break;
	default:
		break;
	}
	r = expr_regs(e);
	return !((r.reads | r.writes) & REGS_BEYOND);
}

/* -- expressions ------------------------------------------------------------------------------- */

static enum got read_expr(struct nl_reader *rd, struct nl_attr attrs, struct expr *e)
{
	struct nl_attr tb[ATTR_MAX];
	uint16_t known = 0, seen = 0;
	enum got g = GOT, one;

	switch (nl_walk(attrs, tb, ATTR_MAX)) {
	case NL_BAD:
		return GOT_BAD;
	case NL_UNKNOWN:
		return GOT_UNKNOWN;
	case NL_OK:
		break;
	}
	for (size_t i = 0; i < nl_n_rows; i++) {
		if (nl_rows[i].kind != e->kind)
			continue;
		known |= (uint16_t)(1u << nl_rows[i].attr);
		if (!tb[nl_rows[i].attr].p)
			continue;
		one = read_row(rd, &nl_rows[i], tb[nl_rows[i].attr], e);
		if (one == GOT_BAD)
			return GOT_BAD;
		g = MAX(g, one);
	}
	for (unsigned int i = 1; i < ATTR_MAX; i++)
		seen |= (uint16_t)((unsigned int)(tb[i].p != NULL) << i);
	if (seen & ~known || g == GOT_UNKNOWN || !numbers_known(e))
		return GOT_UNKNOWN;
	if (needed(e->kind) & ~seen)
		return GOT_BAD;
	g = read_self(rd, tb, e);
	if (g != GOT)
		return g;
	drop_defaults(e);
	return numbers_ok(e) && registers_ok(e) ? GOT : GOT_BAD;
}

static struct expr *unknown_expr(struct nl_reader *rd, const char *name, struct nl_attr attrs)
{
	struct expr *e = expr_new(rd->arena, EX_UNKNOWN, rd->loc);

	e->unknown.name = name;
	e->unknown.attrs = arena_dup(rd->arena, attrs.p, attrs.len);
	e->unknown.attrs_len = attrs.len;
	return e;
}

static struct expr *expr_of(struct nl_reader *rd, enum expr_kind k, const char *name,
			    struct nl_attr attrs)
{
	struct expr *e = expr_new(rd->arena, k, rd->loc);
	uint32_t errors = rd->diag->errors;

	switch (read_expr(rd, attrs, e)) {
	case GOT:
		return e;
	case GOT_UNKNOWN:
		return rd->diag->errors == errors ? unknown_expr(rd, name, attrs) : NULL;
	case GOT_BAD:
		break;
	}
	if (rd->diag->errors == errors)
		nl_error(rd, "malformed netlink message: expression %s", name);
	return NULL;
}

struct expr *nl_expr_of(struct nl_reader *rd, enum expr_kind k, struct nl_attr attrs)
{
	return expr_of(rd, k, expr_kind_name(k), attrs);
}

struct expr *nl_expr(struct nl_reader *rd, struct nl_attr in)
{
	struct nl_attr tb[3];
	const char *name;

	if (nl_walk(in, tb, 3) != NL_OK || !(name = nl_str(rd, tb[1]))) {
		nl_bad(rd, "expression");
		return NULL;
	}
	for (unsigned int k = 0; k < EX_UNKNOWN; k++)
		if (!strcmp(name, expr_kind_name(k)))
			return expr_of(rd, k, name, tb[2]);
	return unknown_expr(rd, name, tb[2]);
}

bool nl_exprs(struct nl_reader *rd, struct nl_attr list, struct expr ***v, uint32_t *n)
{
	VEC(struct expr *) out = { 0 };
	struct nl_attr a;
	unsigned int type;
	bool bad = false;

	while (nl_next(&list, &type, &a, &bad)) {
		struct expr *e;

		if (type != NFTA_LIST_ELEM_)
			return nl_bad(rd, "list of expressions");
		e = nl_expr(rd, a);
		if (!e)
			return false;
		*vec_push(rd->arena, &out) = e;
	}
	*v = out.v;
	*n = out.n;
	return bad ? nl_bad(rd, "list of expressions") : true;
}
