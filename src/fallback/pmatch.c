// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pmatch: comparisons and set lookups as nft's matches.
 *
 * nft adds `meta l4proto tcp` before `tcp dport 22` by itself, where nothing in the rule said so before. A match that looks
 * like such an addition is kept back (struct pdep) and left out only when the very next match implies it; everywhere else it
 * is printed, which reads back unchanged too.
 */
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include "print.h"

void pm_flush(struct pstate *ps)
{
	uint32_t i;

	for (i = 0; i < ps->n_dep; i++)
		sb_printf(ps->out, "%s%s", ps->out->n > ps->start ? " " : "", ps->dep[i].text);
	ps->n_dep = 0;
}

void pm_word(struct pstate *ps, const char *text)
{
	pm_flush(ps);
	sb_printf(ps->out, "%s%s", ps->out->n > ps->start ? " " : "", text);
}

/* A match that starts with v: leaves out the dependencies that v brings back by itself. */
static void pm_match(struct pstate *ps, const struct pval *v, const char *text)
{
	uint32_t n = ps->n_dep;
	bool icmp = v->l4 == IPPROTO_ICMP || v->l4 == IPPROTO_ICMPV6;

	if (n && v->l4 >= 0 && ps->dep[n - 1].l4 == v->l4) {
		int l3 = v->l4 == IPPROTO_ICMP ? FAM_IP : FAM_IP6;

		if (!icmp || ps->fam == (enum family)l3)
			ps->n_dep--;
		else if (n == 2 && ps->dep[0].l3 == l3)
			ps->n_dep = 0;
	} else if (n && v->l3 >= 0 && ps->dep[n - 1].l3 == v->l3) {
		ps->n_dep--;
	}
	pm_word(ps, text);
}

/* Keeps back a match that may be a dependency. True: it is kept. */
static bool pm_dependency(struct pstate *ps, const struct pval *v, const struct expr *cmp,
			  const char *text)
{
	struct pdep d = { .text = text, .l3 = -1, .l4 = -1 };
	bool l3_known = ps->l3 >= 0, l4_known = ps->l4 >= 0, keep = false;
	uint64_t val = pv_number(cmp->cmp.data.b, cmp->cmp.data.len, v->host);

	if (cmp->cmp.op != CMP_EQ || v->n_ops)
		return false;
	if (v->e->kind == EX_META && v->e->meta.key == NFT_META_L4PROTO) {
		keep = !l4_known &&
		       (ps->fam == FAM_IP || ps->fam == FAM_IP6 || ps->fam == FAM_INET);
		ps->l4 = d.l4 = (int)val;
	} else if (v->e->kind == EX_META && v->e->meta.key == NFT_META_NFPROTO) {
		keep = !l3_known && ps->fam == FAM_INET;
		ps->l3 = d.l3 = (int)val;
	} else if (v->e->kind == EX_META && v->e->meta.key == NFT_META_PROTOCOL) {
		ps->l3 = val == 0x0800	 ? FAM_IP
			 : val == 0x86dd ? FAM_IP6
			 : val == 0x0806 ? FAM_ARP
					 : -1;
	} else if (v->e->kind == EX_PAYLOAD && v->type == PT_PROTO) {
		ps->l4 = (int)val;
	}
	if (!keep)
		return false;
	if (ps->n_dep == 2 || (ps->n_dep == 1 && (d.l3 >= 0 || ps->dep[0].l4 >= 0)))
		pm_flush(ps);
	ps->dep[ps->n_dep++] = d;
	return true;
}

static void flags_expr(struct sbuf *b, enum ptype t, uint64_t v)
{
	bool many = v & (v - 1);

	sb_puts(b, many ? "(" : "");
	pv_flags(b, t, v, " | ");
	sb_puts(b, many ? ")" : "");
}

/* `ct state new`, `tcp flags & (syn | ack) == syn`: flags types. */
static bool cmp_flags(const struct pval *v, const struct expr *c, struct sbuf *b)
{
	uint64_t val = pv_number(c->cmp.data.b, c->cmp.data.len, v->host), mask;
	static const char *const ops[] = { "==", "!=", "<", "<=", ">", ">=" };
	const char *op = ops[c->cmp.op];

	if (v->n_ops > 1)
		return false;
	sb_puts(b, v->words);
	if (!v->n_ops) {
		sb_printf(b, " %s ", op);
		flags_expr(b, v->type, val);
		return true;
	}
	if (v->ops[0].op != POP_MASK ||
	    pv_number(v->ops[0].e->bitwise.xor.b, v->ops[0].e->bitwise.xor.len, v->host))
		return false;
	mask = pv_number(v->ops[0].e->bitwise.mask.b, v->ops[0].e->bitwise.mask.len, v->host);
	if (val || c->cmp.op > CMP_NEQ) {
		sb_puts(b, " & ");
		flags_expr(b, v->type, mask);
		sb_printf(b, " %s ", op);
		flags_expr(b, v->type, val);
		return true;
	}
	sb_puts(b, c->cmp.op == CMP_EQ ? " ! " : " ");
	pv_flags(b, v->type, mask, ",");
	return true;
}

/* Addresses by prefix, in the two shapes nft makes: fewer bytes loaded, or a mask. */
static bool cmp_prefix(const struct pval *v, const struct expr *c, struct sbuf *b)
{
	const struct data *m;
	struct data d = c->cmp.data;
	uint32_t i;
	int plen;

	if (c->cmp.op > CMP_NEQ || (v->type != PT_IP4 && v->type != PT_IP6))
		return false;
	if (v->e->kind != EX_PAYLOAD) { /* all is loaded, and less compared */
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
		if (v->n_ops != 1 || v->ops[0].op != POP_MASK || v->full)
			return false;
		m = &v->ops[0].e->bitwise.mask;
		plen = pv_prefix_len(m->b, m->len);
		if (plen < 0 || plen % 8 == 0)
			return false;
		for (i = 0; i < m->len; i++)
			if (d.b[i] & ~m->b[i] || v->ops[0].e->bitwise.xor.b[i])
				return false;
	}
	sb_printf(b, "%s %s", v->words, c->cmp.op == CMP_NEQ ? "!= " : "");
	pv_data(b, v->type, v->host, d.b, d.len);
	sb_printf(b, "/%d", plen);
	return true;
}

static const char *const cmp_ops[] = { "", "!= ", "< ", "<= ", "> ", ">= " };

/* A bit field: the datum stands shift bits higher than the value that is said. */
static bool cmp_field(const struct pval *v, const struct expr *c, struct sbuf *b)
{
	uint64_t val = pv_number(c->cmp.data.b, c->cmp.data.len, false);

	if (v->n_ops != 1 || val & ((1u << v->shift) - 1))
		return false;
	sb_printf(b, "%s %s%llu", v->words, cmp_ops[c->cmp.op],
		  (unsigned long long)(val >> v->shift));
	return true;
}

static bool value_done(const struct pval *v, uint32_t n)
{
	return v->n_ops == n || (v->n_ops == n + 1 && v->ops[n].op == POP_SWAP);
}

static bool pm_cmp(struct pstate *ps, const struct expr *c)
{
	struct pval *v = pl_reg(ps, c->cmp.sreg);
	struct sbuf b;
	bool host;

	if (!v)
		return false;
	pl_resolve(ps, v);
	if (!v->words)
		return false;
	sb_init(&b, ps->a);
	/* Less than was loaded is compared: only names and addresses have a way to say that. */
	if (c->cmp.data.len != v->len && v->type != PT_IFNAME && v->e->kind == EX_PAYLOAD)
		return false;
	if (v->e->kind == EX_PAYLOAD && *v->words == '@' && !v->n_ops && c->cmp.op == CMP_EQ &&
	    c->cmp.data.len == v->len) {
		const char *text = pl_fields_equal(ps, v, &c->cmp.data);

		if (text) {
			pm_match(ps, v, text);
			return true;
		}
	}
	if (ptype_is_flags(v->type)) {
		if (!cmp_flags(v, c, &b))
			return false;
	} else if (v->field) {
		if (!cmp_field(v, c, &b))
			return false;
	} else if (!cmp_prefix(v, c, &b)) {
		if (v->full)
			return false;
		sb_init(&b, ps->a);
		if (!pl_text(ps, v, 0, &b))
			return false;
		host = v->host;
		sb_printf(&b, " %s",
			  c->cmp.op == CMP_EQ && !value_done(v, 0) ? "== " : cmp_ops[c->cmp.op]);
		pv_data(&b, v->type, host, c->cmp.data.b, c->cmp.data.len);
	}
	if (!pm_dependency(ps, v, c, b.s))
		pm_match(ps, v, b.s);
	return true;
}

/* A range of a bit field; see cmp_field(). */
static bool range_field(const struct pval *v, const struct expr *e, struct sbuf *b)
{
	uint64_t from = pv_number(e->range.from.b, e->range.from.len, false);
	uint64_t to = pv_number(e->range.to.b, e->range.to.len, false);

	if (v->n_ops != 1 || (from | to) & ((1u << v->shift) - 1))
		return false;
	sb_printf(b, "%s %s%llu-%llu", v->words, e->range.op == RANGE_NEQ ? "!= " : "",
		  (unsigned long long)(from >> v->shift), (unsigned long long)(to >> v->shift));
	return true;
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
		if (!range_field(v, e, &b))
			return false;
		pm_match(ps, v, b.s);
		return true;
	}
	if (!v->words || v->full || ptype_is_flags(v->type) || !pl_text(ps, v, 0, &b))
		return false;
	sb_puts(&b, e->range.op == RANGE_NEQ ? " != " : " ");
	pv_data(&b, pv_range_type(v->type), v->host, e->range.from.b, e->range.from.len);
	sb_puts(&b, "-");
	pv_data(&b, pv_range_type(v->type), v->host, e->range.to.b, e->range.to.len);
	pm_match(ps, v, b.s);
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
		if (!pl_text(ps, p, 0, out))
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
		sb_puts(&b, e->lookup.inv ? " != " : " ");
	} else {
		sb_puts(&b, e->lookup.dreg == REG_VERDICT ? " vmap " : " map ");
	}
	if (e->lookup.dreg != REG_NONE && e->lookup.dreg != REG_VERDICT) {
		v = arena_new_of(ps->a, struct pval);
		v->e = e;
		v->l3 = v->l4 = -1;
		v->len = s->data_len;
		v->type = PT_INT;
		v->host = true;
		if (s->data_decl) {
			uint32_t len;

			v->type = pv_decl_type(s->data_decl, &v->host, &len);
		}
		ps->reg[REG_WORD(e->lookup.dreg)] = v;
		if (!pm_set_ref(ps, s, key, n, v, &b))
			return false;
		v->words = b.s;
		/* Where the key's dependencies stand is known here, not where the value is used. */
		v->l3 = key[0]->l3;
		v->l4 = key[0]->l4;
		pm_flush(ps);
		return true;
	}
	if (!pm_set_ref(ps, s, key, n, NULL, &b))
		return false;
	pm_match(ps, n == 1 || key[0]->l3 < 0 ? key[0] : &(struct pval){ .l3 = -1, .l4 = -1 }, b.s);
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
	d->host = !d->host;
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
