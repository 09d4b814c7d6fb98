// SPDX-License-Identifier: GPL-2.0-or-later
/* pmatch: comparisons and set lookups as nft's matches. */
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include "print.h"

void pm_flush(struct pstate *ps)
{
	vec_foreach(&ps->st, t)
		if (*t)
			sb_printf(ps->out, "%s%s", ps->out->n > ps->start ? " " : "", *t);
	ps->st.n = 0;
}

void pm_word(struct pstate *ps, const char *text)
{
	*vec_push(ps->a, &ps->st) = text;
}

/* A match of these values, which is no `== value` that makes a protocol known. */
static void pm_match(struct pstate *ps, struct pval *const *v, uint32_t n, const char *text)
{
	pd_kill(ps, v, n);
	pm_word(ps, text);
}

/* Behind a comparison nothing needs brackets; older versions of nft want them. */
static void flags_rhs(const struct pstate *ps, struct sbuf *b, uint32_t t, uint64_t v)
{
	if (ps->o->listing)
		pv_flags(b, t, v, " | ");
	else
		pv_flags_operand(b, t, v);
}

/* `ct state new`, `tcp flags & (syn | ack) == syn`: flags types. */
static bool cmp_flags(const struct pstate *ps, const struct pval *v, const struct expr *c,
		      struct sbuf *b)
{
	uint64_t val = pv_number(c->cmp.data.b, c->cmp.data.len, v->host), mask;
	static const char *const ops[] = { "==", "!=", "<", "<=", ">", ">=" };
	const char *op = ops[c->cmp.op];

	if (v->n_ops > 1)
		return false;
	sb_puts(b, v->words);
	if (!v->n_ops && ps->o->listing && v->e->kind == EX_PAYLOAD && val & (val - 1)) {
		sb_printf(b, " %s 0x%llx", op, (unsigned long long)val);
		return true;
	}
	if (!v->n_ops) {
		sb_printf(b, " %s ", op);
		flags_rhs(ps, b, v->type, val);
		return true;
	}
	if (v->ops[0].op != POP_MASK || v->ops[0].turned ||
	    pv_number(v->ops[0].e->bitwise.xor.b, v->ops[0].e->bitwise.xor.len, v->host))
		return false;
	mask = pv_number(v->ops[0].e->bitwise.mask.b, v->ops[0].e->bitwise.mask.len, v->host);
	if (val || c->cmp.op > CMP_NEQ) {
		sb_puts(b, " & ");
		pv_flags_operand(b, v->type, mask);
		sb_printf(b, " %s ", op);
		flags_rhs(ps, b, v->type, val);
		return true;
	}
	sb_puts(b, c->cmp.op == CMP_EQ ? " ! " : " ");
	pv_flags(b, v->type, mask, ",");
	return true;
}

/* Addresses by prefix, in the two shapes nft makes: fewer bytes loaded, or a mask. */
static bool cmp_prefix(const struct pstate *ps, const struct pval *v, const struct expr *c,
		       struct sbuf *b)
{
	const struct data *m;
	struct data d = c->cmp.data;
	uint32_t i;
	int plen;

	if (c->cmp.op > CMP_NEQ || v->host || (v->type != TYPE_IPADDR && v->type != TYPE_IP6ADDR))
		return false;
	if (v->e->kind != EX_PAYLOAD &&
	    !(ps->o->listing && v->n_ops)) { /* all is loaded, and less compared */
		if (v->n_ops || d.len >= v->len)
			return false;
		plen = d.len * 8;
		memset(d.b + d.len, 0, v->len - d.len);
		d.len = (uint8_t)v->len;
	} else if (v->full && !v->n_ops) {
		plen = v->len * 8;
		memset(d.b + d.len, 0, v->full - d.len);
		d.len = (uint8_t)v->full;
	} else {
		if (v->n_ops != 1 || v->ops[0].op != POP_MASK || v->ops[0].turned || v->full)
			return false;
		m = &v->ops[0].e->bitwise.mask;
		plen = pv_prefix_len(m->b, m->len);
		if (plen < 0 || (plen % 8 == 0 && !ps->o->listing))
			return false;
		for (i = 0; i < m->len; i++)
			if (d.b[i] & ~m->b[i] || v->ops[0].e->bitwise.xor.b[i])
				return false;
	}
	sb_printf(b, "%s %s", v->words, c->cmp.op == CMP_NEQ ? "!= " : "");
	pv_data(b, 0, v->type, v->host, d.b, d.len);
	sb_printf(b, "/%d", plen);
	return true;
}

/* `ct label 5`: a bit of a bit field. */
static bool cmp_label(const struct pval *v, const struct expr *c, struct sbuf *b)
{
	int bit = v->n_ops == 1 && v->ops[0].op == POP_MASK
			  ? pv_label(v->ops[0].e->bitwise.mask.b, v->ops[0].e->bitwise.mask.len)
			  : -1;

	for (uint32_t i = 0; i < c->cmp.data.len; i++)
		if (c->cmp.data.b[i])
			return false;
	if (bit < 0 || c->cmp.op > CMP_NEQ)
		return false;
	sb_printf(b, "%s %s%d", v->words, c->cmp.op == CMP_EQ ? "! " : "", bit);
	return true;
}

/* Some of the bits of a raw load: those bits alone. */
static bool cmp_raw_bits(const struct pval *v, const struct expr *c, struct sbuf *b)
{
	static const char *const bases[] = { "ll", "nh", "th", "ih" };
	const struct expr *e = v->e;
	uint64_t mask, val = pv_number(c->cmp.data.b, c->cmp.data.len, false), run;
	uint32_t low, n;

	if (e->kind != EX_PAYLOAD || v->fld || v->n_ops != 1 || v->ops[0].op != POP_MASK ||
	    e->payload.len > 8 || e->payload.base >= ARRAY_SIZE(bases) || c->cmp.op > CMP_NEQ)
		return false;
	mask = pv_number(v->ops[0].e->bitwise.mask.b, e->payload.len, false);
	if (!mask || pv_number(v->ops[0].e->bitwise.xor.b, e->payload.len, false) || val & ~mask)
		return false;
	low = (uint32_t)__builtin_ctzll(mask);
	run = mask >> low;
	n = (uint32_t)__builtin_popcountll(run);
	if (run & (run + 1) || low % 8 || n % 8)
		return false;
	sb_printf(b, "@%s,%u,%u %s0x%llx", bases[e->payload.base],
		  e->payload.off * 8u + e->payload.len * 8u - low - n, n,
		  c->cmp.op == CMP_NEQ ? "!= " : "", (unsigned long long)(val >> low));
	return true;
}

static const char *const cmp_ops[] = { "", "!= ", "< ", "<= ", "> ", ">= " };

/* A bit field: the datum stands shift bits higher than the value that is said. */
static bool cmp_field(const struct pstate *ps, const struct pval *v, const struct expr *c,
		      struct sbuf *b)
{
	uint64_t val = pv_number(c->cmp.data.b, c->cmp.data.len, false);

	if (v->n_ops != 1 || val & ((1u << v->shift) - 1))
		return false;
	sb_printf(b, "%s %s", v->words, cmp_ops[c->cmp.op]);
	pv_value(b, pv_how(ps->o), v->type, val >> v->shift, 1);
	return true;
}

/* Several fields at once, compared with as many values. */
static bool cmp_fields(struct pstate *ps, const struct pval *v, const struct expr *c)
{
	struct pval part[16];
	const char *text[16];
	uint32_t n;

	if (v->e->kind != EX_PAYLOAD || *v->words != '@' || v->n_ops || c->cmp.op != CMP_EQ ||
	    c->cmp.data.len != v->len)
		return false;
	n = pl_fields_equal(ps, v, &c->cmp.data, part, text, ARRAY_SIZE(part));
	for (uint32_t i = 0; i < n; i++)
		pd_match(ps, &part[i], part[i].value, text[i]);
	return n;
}

/* `fib daddr oif missing`, which older versions of nft read, too; they have no `check`. */
static void older_fib(const struct pstate *ps, struct pval *v)
{
	size_t n = strlen(v->words);

	if (v->e->kind == EX_FIB && v->e->fib.result == 1 && v->type == TYPE_BOOLEAN && !v->n_ops &&
	    !ps->o->listing)
		v->words = arena_printf(ps->a, "%.*soif", (int)(n - strlen("check")), v->words);
}

static bool side_by_side(const struct expr *a, const struct expr *b)
{
	uint32_t len = a->payload.len + b->payload.len;

	return a->payload.base == b->payload.base && len <= 4 &&
	       (a->payload.off + a->payload.len == b->payload.off ||
		b->payload.off + b->payload.len == a->payload.off);
}

/*
 * nft 1.0 asks `tcp sport != 1 tcp dport != 2` of both ports at once, which is true where only one
 * of them differs; a range of one value is the same to all versions.
 */
static bool as_range(struct pstate *ps, const struct pval *v, const struct expr *c)
{
	bool found = false;

	if (ps->o->listing || c->cmp.op != CMP_NEQ || v->n_ops || v->e->kind != EX_PAYLOAD)
		return false;
	vec_foreach(&ps->differ, it)
		found |= side_by_side(*it, v->e);
	*vec_push(ps->a, &ps->differ) = v->e;
	return found;
}

/* What has no words of its own: value, operator, number. */
static bool cmp_plain(struct pstate *ps, const struct pval *v, const struct expr *c, bool range,
		      struct sbuf *b)
{
	uint32_t type = pl_value_type(v), how = pv_how(ps->o) | (range ? PV_NUMBERS : 0);
	bool said;

	ps->ordered = c->cmp.op > CMP_NEQ;
	said = !v->full && pl_text(ps, v, 0, b);
	ps->ordered = false;
	if (!said)
		return false;
	sb_printf(b, " %s", c->cmp.op == CMP_EQ && v->n_ops ? "== " : cmp_ops[c->cmp.op]);
	pv_data(b, how, type, v->host, c->cmp.data.b, c->cmp.data.len);
	if (range) {
		sb_puts(b, "-");
		pv_data(b, how, type, v->host, c->cmp.data.b, c->cmp.data.len);
	}
	return true;
}

static bool cmp_text(struct pstate *ps, const struct pval *v, const struct expr *c, struct sbuf *b)
{
	if (as_range(ps, v, c))
		return cmp_plain(ps, v, c, true, b);
	if (type_is_flags(pl_value_type(v)))
		return cmp_flags(ps, v, c, b);
	if (v->field)
		return cmp_field(ps, v, c, b);
	if (v->type == TYPE_CT_LABEL)
		return cmp_label(v, c, b);
	return cmp_prefix(ps, v, c, b) || (ps->o->listing && cmp_raw_bits(v, c, b)) ||
	       cmp_plain(ps, v, c, false, b);
}

static bool pm_cmp(struct pstate *ps, const struct expr *c)
{
	struct pval *v = pl_reg(ps, c->cmp.sreg);
	struct sbuf b;

	if (!v)
		return false;
	pl_resolve(ps, v);
	if (!v->words)
		return false;
	if (c->cmp.op <= CMP_NEQ)
		older_fib(ps, v);
	sb_init(&b, ps->a);
	/* Less than was loaded is compared: only names and addresses have a way to say that. */
	if (c->cmp.data.len != v->len && v->type != TYPE_IFNAME && v->e->kind == EX_PAYLOAD)
		return false;
	if (cmp_fields(ps, v, c))
		return true;
	if (!cmp_text(ps, v, c, &b))
		return false;
	if (c->cmp.op == CMP_EQ && (!v->n_ops || v->field))
		pd_match(ps, v, pv_number(c->cmp.data.b, c->cmp.data.len, v->host), b.s);
	else
		pm_match(ps, &v, 1, b.s);
	return true;
}

/* A range of a bit field; see cmp_field(). */
static bool range_field(const struct pstate *ps, const struct pval *v, const struct expr *e,
			struct sbuf *b)
{
	uint64_t from = pv_number(e->range.from.b, e->range.from.len, false);
	uint64_t to = pv_number(e->range.to.b, e->range.to.len, false);

	if (v->n_ops != 1 || (from | to) & ((1u << v->shift) - 1))
		return false;
	sb_printf(b, "%s %s", v->words, e->range.op == RANGE_NEQ ? "!= " : "");
	pv_value(b, pv_how(ps->o) | PV_NUMBERS, v->type, from >> v->shift, 1);
	sb_puts(b, "-");
	pv_value(b, pv_how(ps->o) | PV_NUMBERS, v->type, to >> v->shift, 1);
	return true;
}

/*
 * nft lists "==" behind a value that ends with an operation; a change of byte order is another one
 * to it.
 */
static bool computed(const struct pstate *ps, const struct pval *v)
{
	return ps->o->listing && v->n_ops && !v->ops[v->n_ops - 1].turned &&
	       !(v->field && v->n_ops <= 2);
}

static bool pm_range(struct pstate *ps, const struct expr *e)
{
	struct pval *v = pl_reg(ps, e->range.sreg);
	struct sbuf b;

	if (!v)
		return false;
	pl_resolve(ps, v);
	sb_init(&b, ps->a);
	if (v->words && v->field) {
		if (!range_field(ps, v, e, &b))
			return false;
		pm_match(ps, &v, 1, b.s);
		return true;
	}
	if (!v->words || v->full || type_is_flags(pl_value_type(v)) || !pl_text(ps, v, 0, &b))
		return false;
	sb_puts(&b, e->range.op == RANGE_NEQ ? " != " : computed(ps, v) ? " == " : " ");
	pv_data(&b, pv_how(ps->o) | PV_NUMBERS, pl_value_type(v), v->host, e->range.from.b,
		e->range.from.len);
	sb_puts(&b, "-");
	pv_data(&b, pv_how(ps->o) | PV_NUMBERS, pl_value_type(v), v->host, e->range.to.b,
		e->range.to.len);
	pm_match(ps, &v, 1, b.s);
	return true;
}

/* The values that make a set's key, from register reg on, and their text. */
bool pm_concat(struct pstate *ps, uint8_t reg, const struct set *s, struct pval **v, uint32_t *n,
	       struct sbuf *out)
{
	uint32_t w = REG_WORD(reg), end = w + DIV_ROUND_UP(s->key_len, 4);

	for (*n = 0; w < end; (*n)++) {
		struct pval *p = w < REG_WORDS ? ps->reg[w] : NULL;

		if (!p || *n == 16)
			return false;
		pl_resolve(ps, p);
		if (*n)
			sb_puts(out, " . ");
		if (p->field && p->n_ops == 1 && s->flags & SET_ANONYMOUS)
			sb_puts(out, p->words); /* its elements stand where the field does */
		else if (!pl_text(ps, p, 0, out))
			return false;
		v[*n] = p;
		w += DIV_ROUND_UP(p->len, 4);
	}
	return w == end;
}

bool pm_set_ref(struct pstate *ps, const struct set *s, struct pval **key, uint32_t n_key,
		struct pval *data, struct sbuf *out)
{
	if (s->flags & SET_ANONYMOUS)
		return pe_elems(s, ps->o, key, n_key, data, out);
	sb_puts(out, "@");
	fb_print_name(s->name, out);
	return true;
}

/* A set of ICMP types: which fields follow, its first one says. */
static void note_icmp_set(struct pstate *ps, const struct pval *v, const struct set *s)
{
	if (v->fld && v->fld->flags & FIELD_KEY && ps->icmp_type < 0 && s->flags & SET_ANONYMOUS &&
	    s->elems.n && (v->fld->proto == PROTO_ICMP || v->fld->proto == PROTO_ICMP6))
		ps->icmp_type = s->elems.v[0]->key.b[0];
}

/*
 * A set of one flag: without an operator, older versions of nft take a field with any others for a
 * match.
 */
static bool one_flag(const struct pstate *ps, const struct set *s, const struct pval *v)
{
	return !ps->o->listing && s->flags & SET_ANONYMOUS && s->elems.n == 1 &&
	       type_is_flags(pl_value_type(v));
}

/* `ip saddr vmap`, `ip saddr map`: the value of a data map goes to a register. */
static bool pm_lookup(struct pstate *ps, const struct expr *e)
{
	const struct set *s = e->lookup.set;
	struct pval *key[16], *v;
	uint32_t n;
	struct sbuf b;

	sb_init(&b, ps->a);
	if (!pm_concat(ps, e->lookup.sreg, s, key, &n, &b))
		return false;
	if (e->lookup.dreg == REG_NONE) {
		bool equal = n == 1 && (computed(ps, key[0]) || one_flag(ps, s, key[0]));

		sb_puts(&b, e->lookup.inv ? " != " : equal ? " == " : " ");
	} else {
		sb_puts(&b, e->lookup.dreg == REG_VERDICT ? " vmap " : " map ");
	}
	if (e->lookup.dreg != REG_NONE && e->lookup.dreg != REG_VERDICT) {
		v = arena_new_of(ps->a, struct pval);
		v->e = e;
		v->l3 = v->l4 = -1;
		v->len = s->data_len;
		v->type = TYPE_INTEGER;
		v->host = true;
		if (s->data_decl) {
			uint32_t len;

			v->type = pv_decl_type(s->data_decl, &v->host, &len);
		}
		if (s->data_order)
			v->host = s->data_order == ORDER_HOST;
		ps->reg[REG_WORD(e->lookup.dreg)] = v;
		if (!pm_set_ref(ps, s, key, n, v, &b))
			return false;
		v->words = b.s;
		/* Where the key's dependencies stand is known here, not where the value is used. */
		v->l3 = key[0]->l3;
		v->l4 = key[0]->l4;
		for (uint32_t i = 0; i < n; i++)
			pd_kill_used(ps, key[i]);
		return true;
	}
	if (!pm_set_ref(ps, s, key, n, NULL, &b))
		return false;
	note_icmp_set(ps, key[0], s);
	pm_match(ps, key, n, b.s);
	return true;
}

static bool pm_bitwise(struct pstate *ps, const struct expr *e)
{
	static const enum pop ops[] = {
		[BW_MASK_XOR] = POP_MASK, [BW_LSHIFT] = POP_LSHIFT, [BW_RSHIFT] = POP_RSHIFT,
		[BW_AND] = POP_AND,	  [BW_OR] = POP_OR,	    [BW_XOR] = POP_XOR
	};
	struct pval *v = pl_reg(ps, e->bitwise.sreg), *d;

	if (!v || v->n_ops == ARRAY_SIZE(v->ops))
		return false;
	d = arena_dup(ps->a, v, sizeof(*v));
	d->ops[d->n_ops].op = ops[e->bitwise.op];
	d->ops[d->n_ops].e = e;
	d->ops[d->n_ops].rhs = NULL;
	d->ops[d->n_ops].turned = false;
	if (e->bitwise.sreg2 != REG_NONE) {
		struct pval *rhs = pl_reg(ps, e->bitwise.sreg2);

		if (!rhs)
			return false;
		pl_resolve(ps, rhs);
		d->ops[d->n_ops].rhs = rhs;
	}
	d->n_ops++;
	ps->reg[REG_WORD(e->bitwise.dreg)] = d;
	return true;
}

static bool pm_byteorder(struct pstate *ps, const struct expr *e)
{
	struct pval *v = pl_reg(ps, e->byteorder.sreg), *d;

	if (!v)
		return false;
	d = arena_dup(ps->a, v, sizeof(*v));
	pl_resolve(ps, d);
	if (d->type == TYPE_CT_LABEL) /* its bits have no numbers then */
		return false;
	d->host = !d->host;
	for (uint32_t i = 0; i < d->n_ops; i++)
		d->ops[i].turned = !d->ops[i].turned;
	ps->reg[REG_WORD(e->byteorder.dreg)] = d;
	return true;
}

bool pm_expr(struct pstate *ps, const struct expr *e)
{
	switch (e->kind) {
	case EX_CMP:
		return pm_cmp(ps, e);
	case EX_RANGE:
		return pm_range(ps, e);
	case EX_LOOKUP:
		return pm_lookup(ps, e);
	case EX_BITWISE:
		return pm_bitwise(ps, e);
	case EX_BYTEORDER:
		return pm_byteorder(ps, e);
	default:
		return false;
	}
}
