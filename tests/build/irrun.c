// SPDX-License-Identifier: GPL-2.0-or-later
/* Running IR: values by instruction number, one function a frame. */
#include <stdlib.h>

#include "irrun.h"

/* What a pointer points to stands in its top bits. */
enum { P_CTX = 1, P_SKB, P_STATE, P_IN, P_OUT, P_CT, P_HEAD, P_PKT, P_OPS, P_KIND };
#define PTR(kind) ((uint64_t)(kind) << 48)
#define KIND(v)	  ((int)((v) >> 48))
#define HEAD_ROOM 64u

struct frame {
	struct irrun *r;
	uint64_t *v;
};

struct irrun *irrun_new(struct arena *a, const struct ir_mod *m)
{
	struct irrun *r = arena_new_of(a, struct irrun);

	r->m = m;
	r->states = arena_array(a, struct irrun_state, m->states.n + 1);
	return r;
}

static uint64_t cannot(struct irrun *r, const char *what)
{
	if (!r->cannot)
		r->cannot = what;
	return 0;
}

static uint64_t bytes_at(const uint8_t *p, uint32_t len, uint64_t off, uint32_t n)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < n; i++)
		v |= (uint64_t)(off + i < len ? p[off + i] : 0xa5) << 8 * i;
	return v;
}

/* -- fields ------------------------------------------------------------------------------------ */

static uint64_t head_bytes(const struct pkt *p, uint64_t at, uint32_t n)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t o = at + i - HEAD_ROOM;
		uint8_t b = 0x5a;

		if (o < p->ll_len)
			b = p->ll[o];
		else if (o - p->ll_len < p->len)
			b = p->l3[o - p->ll_len];
		v |= (uint64_t)b << 8 * i;
	}
	return v;
}

static uint64_t nfct_of(const struct pkt *p)
{
	switch (p->ct.kind) {
	case PKT_CT_NONE:
		return 0;
	case PKT_CT_UNTRACKED:
		return 7;
	default:
		return PTR(P_CT) | p->ct.info;
	}
}

static uint64_t skb_field(struct irrun *r, enum ir_field f)
{
	const struct pkt *p = r->p;
	uint16_t proto = p->protocol ? p->protocol : p->pf == FAM_IP ? 0x0800 : 0x86dd;

	switch (f) {
	case FLD_skb_len:
		return p->len;
	case FLD_skb_mark:
		return p->mark;
	case FLD_skb_priority:
		return p->priority;
	case FLD_skb_protocol:
		return __builtin_bswap16(proto);
	case FLD_skb_pkt_type:
		return p->pkt_type;
	case FLD_skb_nfct:
		return nfct_of(p);
	case FLD_skb_mac_header:
		return p->ll ? HEAD_ROOM : 0xffff;
	case FLD_skb_network_header:
		return HEAD_ROOM + p->ll_len;
	case FLD_skb_head:
		return PTR(P_HEAD);
	case FLD_skb_vlan_tci:
		return p->has_vlan ? p->vlan_tci : 0;
	case FLD_skb_vlan_proto:
		return p->has_vlan ? __builtin_bswap16(p->vlan_proto) : 0;
	default:
		return cannot(r, ir_field_info[f].name);
	}
}

static uint64_t dev_field(struct irrun *r, const struct pkt_dev *d, enum ir_field f, int64_t off)
{
	uint8_t name[16];

	if (!d)
		return 0;
	switch (f) {
	case FLD_dev_ifindex:
		return d->index;
	case FLD_dev_type:
		return d->type;
	case FLD_dev_group:
		return d->group;
	case FLD_dev_name: /* as after a longer name */
		memset(name, 'x', sizeof(name));
		memcpy(name, d->name, strlen(d->name) + 1);
		return bytes_at(name, 16, (uint64_t)off, 8);
	case FLD_dev_link_ops:
		return !d->kind ? 0 : PTR(P_OPS) | (d == r->p->in ? 0 : 8);
	default:
		return cannot(r, ir_field_info[f].name);
	}
}

/* The driver's name, with something behind its end. */
static uint64_t kind_bytes(const struct pkt_dev *d, uint64_t off)
{
	uint8_t b[16];

	memset(b, 'y', sizeof(b));
	memcpy(b, d->kind, MIN(strlen(d->kind) + 1, sizeof(b)));
	return bytes_at(b, 16, off, 8);
}

static uint64_t ct_field(struct irrun *r, enum ir_field f, int64_t off)
{
	const struct pkt_ct *c = &r->p->ct;

	switch (f) {
	case FLD_ct_status:
		return c->status | (c->kind == PKT_CT_TEMPLATE ? 1u << 11 : 0);
	case FLD_ct_mark:
		return c->mark;
	case FLD_ct_secmark:
		return c->secmark;
	case FLD_ct_zone:
		return c->zone;
	case FLD_ct_zone_dir:
		return c->zone_dir;
	case FLD_ct_l3num:
		return c->l3num;
	case FLD_ct_protonum:
	case FLD_ct_reply_protonum:
		return c->proto;
	case FLD_ct_orig_src:
		return bytes_at(c->tuple[0].src, 16, (uint64_t)off, 8);
	case FLD_ct_orig_dst:
		return bytes_at(c->tuple[0].dst, 16, (uint64_t)off, 8);
	case FLD_ct_reply_src:
		return bytes_at(c->tuple[1].src, 16, (uint64_t)off, 8);
	case FLD_ct_reply_dst:
		return bytes_at(c->tuple[1].dst, 16, (uint64_t)off, 8);
	case FLD_ct_orig_sport:
		return bytes_at(c->tuple[0].sport, 2, 0, 2);
	case FLD_ct_orig_dport:
		return bytes_at(c->tuple[0].dport, 2, 0, 2);
	case FLD_ct_reply_sport:
		return bytes_at(c->tuple[1].sport, 2, 0, 2);
	case FLD_ct_reply_dport:
		return bytes_at(c->tuple[1].dport, 2, 0, 2);
	default:
		return cannot(r, ir_field_info[f].name);
	}
}

static uint64_t load_field(struct irrun *r, const struct ir_ins *i, uint64_t base)
{
	enum ir_field f = (enum ir_field)i->aux;

	if (f == FLD_raw_bytes && KIND(base) == P_KIND)
		return kind_bytes(base & 8 ? r->p->out : r->p->in, (uint64_t)i->imm);
	if (f == FLD_raw_bytes)
		return KIND(base) == P_HEAD
			       ? head_bytes(r->p, (base & 0xffff) + (uint64_t)i->imm, 8)
			       : cannot(r, "memory");
	switch (KIND(base)) {
	case P_CTX:
		return f == FLD_ctx_skb ? PTR(P_SKB) : PTR(P_STATE);
	case P_SKB:
		return skb_field(r, f);
	case P_STATE:
		if (f == FLD_state_in)
			return r->p->in ? PTR(P_IN) : 0;
		return f == FLD_state_out && r->p->out ? PTR(P_OUT) : 0;
	case P_IN:
		return dev_field(r, r->p->in, f, i->imm);
	case P_OUT:
		return dev_field(r, r->p->out, f, i->imm);
	case P_OPS:
		return f == FLD_ops_kind ? PTR(P_KIND) | (base & 8)
					 : cannot(r, ir_field_info[f].name);
	case P_CT:
		return base & 7 ? cannot(r, "misaligned conntrack") : ct_field(r, f, i->imm);
	default:
		return 0;
	}
}

/* -- sets -------------------------------------------------------------------------------------- */

static bool in_range(const struct set *s, const struct set_elem *e, const uint8_t *key)
{
	uint32_t off = 0;

	if (!e->key_end.len)
		return !memcmp(e->key.b, key, s->key_len);
	if (s->n_fields <= 1)
		return memcmp(key, e->key.b, s->key_len) >= 0 &&
		       memcmp(key, e->key_end.b, s->key_len) <= 0;
	for (uint32_t f = 0; f < s->n_fields; f++) {
		uint32_t n = s->field_len[f];

		if (memcmp(key + off, e->key.b + off, n) < 0 ||
		    memcmp(key + off, e->key_end.b + off, n) > 0)
			return false;
		off += ALIGN_UP(n, 4u);
	}
	return true;
}

static uint64_t look(struct frame *f, const struct ir_ins *i)
{
	const struct set *s = f->r->m->sets.v[i->aux].set;
	uint8_t key[64];

	for (uint32_t k = 0; k < i->n_args; k++)
		for (uint32_t j = 0; j < 4; j++)
			key[k * 4 + j] = (uint8_t)(f->v[i->args[k]->id] >> 8 * j);
	for (uint32_t k = 0; k < s->elems.n; k++)
		if (!s->elems.v[k]->catchall && in_range(s, s->elems.v[k], key))
			return k + 1;
	for (uint32_t k = 0; k < s->elems.n && i->op == IR_LOOK; k++)
		if (s->elems.v[k]->catchall)
			return k + 1;
	return 0;
}

static uint64_t elem_word(struct frame *f, const struct ir_ins *i)
{
	const struct ir_set *is = &f->r->m->sets.v[i->aux];
	uint64_t n = f->v[i->args[0]->id];
	const struct set_elem *e;

	if (!n && i->op == IR_CELDW) /* moved above the test of the look-up: no one uses it */
		return 0;
	BUG_ON(!n || n > is->set->elems.n);
	e = is->set->elems.v[n - 1];
	if (!is->verdicts.n && !is->objs.n) {
		uint64_t v = 0;

		for (uint32_t j = 0; j < 4 && i->imm * 4 + j < e->data.len; j++)
			v |= (uint64_t)e->data.b[i->imm * 4 + j] << 8 * j;
		return v;
	}
	return ir_set_index(is, e);
}

/* -- states ------------------------------------------------------------------------------------ */

static bool limit(struct irrun *r, uint32_t n)
{
	const struct expr *e = r->m->states.v[n].expr;
	struct irrun_state *s = &r->states[n];
	uint64_t nsecs = e->limit.unit * 1000000000ull, cost, max, tokens, burst = e->limit.burst;
	bool over;

	if (e->limit.type) {
		cost = nsecs * r->p->len / e->limit.rate;
		max = nsecs * (e->limit.rate + burst) / e->limit.rate;
	} else {
		cost = nsecs / e->limit.rate;
		max = cost * (burst ? burst : 5);
	}
	tokens = s->started ? MIN(s->tokens + r->p->mono_ns - s->last, max) : max;
	s->started = true;
	s->last = r->p->mono_ns;
	over = tokens < cost;
	s->tokens = over ? tokens : tokens - cost;
	return over == e->limit.inv;
}

static uint64_t state(struct irrun *r, const struct ir_ins *i)
{
	struct irrun_state *s = &r->states[i->aux];
	const struct expr *e = r->m->states.v[i->aux].expr;

	switch (i->op) {
	case IR_COUNT:
		s->packets++;
		s->bytes += r->p->len;
		return 0;
	case IR_LIMIT:
		return limit(r, i->aux);
	case IR_QUOTA:
		if (!s->started)
			s->bytes = e->quota.consumed;
		s->started = true;
		s->bytes += r->p->len;
		return (s->bytes > e->quota.bytes) == e->quota.inv;
	case IR_NUMGEN:
		return cannot(r, "numgen");
	default:
		return 0;
	}
}

/* -- instructions ------------------------------------------------------------------------------ */

static uint64_t arg(struct frame *f, const struct ir_ins *i, uint32_t k)
{
	const struct ir_ins *a = i->args[k];

	return a->op == IR_CONST ? (uint64_t)a->imm : f->v[a->id];
}

static uint64_t alu(struct frame *f, const struct ir_ins *i)
{
	uint64_t x = arg(f, i, 0), y = i->n_args > 1 ? arg(f, i, 1) : 0;

	switch (i->op) {
	case IR_COPY:
	case IR_ZEXT:
	case IR_TRUNC:
	case IR_B2W:
		return x;
	case IR_ADD:
		return x + y;
	case IR_SUB:
		return x - y;
	case IR_MUL:
		return x * y;
	case IR_UDIV:
		return y ? x / y : 0;
	case IR_UMOD:
		return y ? x % y : x;
	case IR_AND:
		return x & y;
	case IR_OR:
		return x | y;
	case IR_XOR:
		return x ^ y;
	case IR_SHL:
		return x << y;
	case IR_LSHR:
		return x >> y;
	case IR_NOT:
		return !x;
	case IR_BSWAP16:
		return __builtin_bswap16((uint16_t)x);
	case IR_BSWAP32:
		return __builtin_bswap32((uint32_t)x);
	case IR_BSWAP64:
		return __builtin_bswap64(x);
	case IR_SEL:
		return x ? y : arg(f, i, 2);
	case IR_EQ:
		return x == y;
	case IR_NE:
		return x != y;
	case IR_ULT:
		return x < y;
	case IR_UGE:
		return x >= y;
	case IR_UGT:
		return x > y;
	case IR_ULE:
		return x <= y;
	default:
		BUG("%s is not arithmetic", ir_op_info[i->op].name);
	}
}

static uint64_t runtime(struct frame *f, const struct ir_ins *i)
{
	uint64_t args[4] = { 0 };

	for (uint32_t k = 0; k < MIN(i->n_args, 4u); k++)
		args[k] = arg(f, i, k);
	return irrun_rt(f->r, i->aux, args);
}

static int run(struct irrun *r, const struct ir_fn *fn);

static uint64_t value(struct frame *f, const struct ir_ins *i)
{
	struct irrun *r = f->r;
	uint64_t a0;

	switch (i->op) {
	case IR_CTX:
		return PTR(P_CTX);
	case IR_LDF:
		return load_field(r, i, arg(f, i, 0));
	case IR_PKT:
		return PTR(P_PKT) | arg(f, i, 0);
	case IR_LDP:
		a0 = arg(f, i, 0);
		BUG_ON(KIND(a0) != P_PKT);
		return bytes_at(r->p->l3, r->p->len, (a0 & 0xffffff) + (uint64_t)i->imm, i->size);
	case IR_LDRO:
		return bytes_at(r->m->tables.v[i->aux].bytes, r->m->tables.v[i->aux].len,
				arg(f, i, 0) + (uint64_t)i->imm, i->size);
	case IR_LOOK:
	case IR_CLOOK:
		for (uint32_t k = 0; k < i->n_args; k++)
			if (i->args[k]->op == IR_CONST)
				f->v[i->args[k]->id] = (uint64_t)i->args[k]->imm;
		return look(f, i);
	case IR_ELDW:
	case IR_CELDW:
		f->v[i->args[0]->id] = arg(f, i, 0);
		return elem_word(f, i);
	case IR_COUNTAT:
		a0 = i->aux + arg(f, i, 1);
		BUG_ON(a0 >= r->m->states.n || r->m->states.v[a0].kind != ST_COUNTER);
		r->states[a0].packets++;
		r->states[a0].bytes += r->p->len;
		return 0;
	case IR_COUNT:
	case IR_LIMIT:
	case IR_QUOTA:
	case IR_LAST:
	case IR_NUMGEN:
		return state(r, i);
	case IR_RTP:
	case IR_RTE:
		return runtime(f, i);
	case IR_CALL:
		return (uint64_t)run(r, r->m->fns.v[i->aux]);
	case IR_ELTEST:
	case IR_DYNSET:
		return cannot(r, ir_op_info[i->op].name);
	default:
		return alu(f, i);
	}
}

static const struct ir_block *next_block(struct frame *f, const struct ir_ins *t)
{
	const struct ir_block *b = t->blk;
	uint64_t v = t->n_args ? arg(f, t, 0) : 0;

	if (t->op == IR_JMP)
		return b->succs.v[0];
	if (t->op == IR_BR)
		return b->succs.v[!v];
	for (uint32_t k = 0; k < b->cases.n; k++)
		if ((uint64_t)b->cases.v[k] == v)
			return b->succs.v[k];
	return b->succs.v[b->cases.n];
}

static int run(struct irrun *r, const struct ir_fn *fn)
{
	struct frame f = { .r = r, .v = calloc(fn->n_ins + 1, sizeof(*f.v)) };
	const struct ir_block *b = fn->blocks.v[0], *from = NULL;
	int verdict = -1;

	while (!r->cannot) {
		const struct ir_ins *i = b->first;

		for (; i && !(ir_op_info[i->op].flags & TERM); i = i->next)
			f.v[i->id] = (i->op == IR_PHI ? arg(&f, i, ir_pred_index(b, from))
						      : value(&f, i)) &
				     ir_type_mask((enum ir_type)i->type);
		if (!i)
			BUG("block without end");
		if (i->op == IR_RET) {
			verdict = (int)arg(&f, i, 0);
			r->end = i->args[0]->op == IR_CONST ? i : r->end;
			break;
		}
		if (i->op == IR_TAIL) {
			verdict = run(r, r->m->fns.v[i->aux]);
			break;
		}
		from = b;
		b = next_block(&f, i);
	}
	free(f.v);
	return r->cannot ? -1 : verdict;
}

uint64_t irrun_field(struct irrun *r, enum ir_field f, uint64_t base, int64_t off)
{
	struct ir_ins i = { .op = IR_LDF, .aux = f, .imm = off };

	return load_field(r, &i, base);
}

int irrun_prog(struct irrun *r, const struct ir_fn *fn, const struct pkt *p)
{
	r->p = p;
	r->end = NULL;
	r->cannot = NULL;
	return run(r, fn);
}
