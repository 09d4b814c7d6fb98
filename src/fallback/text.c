// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * text: the fallback as one nft script: tables with what is left in them, commented rule by rule.
 */
#include <linux/netfilter/nf_tables.h>

#include "split.h"

struct need { /* what of a table the fallback must hold */
	const struct table *t;
	bool *chains; /* whole, by index */
	VEC(const struct set *) sets;
	VEC(const struct obj *) objs;
	VEC(const char *) flowtables;
	bool any;
};

static void need_chain(struct split *s, struct need *n, const struct chain *c);

static void need_set(struct split *s, struct need *n, const struct set *set)
{
	vec_foreach(&n->sets, it)
		if (*it == set)
			return;
	*vec_push(s->arena, &n->sets) = set;
	vec_foreach(&set->elems, it) {
		if ((*it)->verdict.chain)
			need_chain(s, n, (*it)->verdict.chain);
		if ((*it)->obj)
			*vec_push(s->arena, &n->objs) = (*it)->obj;
	}
}

static void need_rule(struct split *s, struct need *n, const struct rule *r)
{
	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;

		if (e->kind == EX_LOOKUP)
			need_set(s, n, e->lookup.set);
		if (e->kind == EX_DYNSET)
			need_set(s, n, e->dynset.set);
		if (e->kind == EX_OBJREF && e->objref.set)
			need_set(s, n, e->objref.set);
		if (e->kind == EX_OBJREF && e->objref.obj)
			*vec_push(s->arena, &n->objs) = e->objref.obj;
		if (e->kind == EX_FLOW_OFFLOAD)
			*vec_push(s->arena, &n->flowtables) = e->flow.flowtable;
		if (e->kind == EX_IMMEDIATE && e->imm.verdict.chain)
			need_chain(s, n, e->imm.verdict.chain);
	}
}

static void need_chain(struct split *s, struct need *n, const struct chain *c)
{
	if (n->chains[c->index])
		return;
	n->chains[c->index] = true;
	vec_foreach(&c->rules, it)
		need_rule(s, n, *it);
}

static void need_base(struct split *s, struct need *n, const struct sp_base *b)
{
	if (b->state == SP_WHOLE_BPF)
		return;
	n->any = true;
	if (b->state == SP_WHOLE_NFT) {
		need_chain(s, n, b->c);
		return;
	}
	vec_foreach(&b->res->sets, it)
		need_set(s, n, *it);
	vec_foreach(&b->res->whole, it)
		need_chain(s, n, *it);
	vec_foreach(&b->res->chains, c)
		vec_foreach(&(*c)->lines, l)
			if (l->r)
				need_rule(s, n, l->r);
}

/* -- state ------------------------------------------------------------------------------------- */

/* What it remembers is its own, so that it must not stand in two places. */
static bool has_own_state(const struct rule *r)
{
	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;

		if (e->kind == EX_LIMIT || e->kind == EX_QUOTA || e->kind == EX_CONNLIMIT ||
		    (e->kind == EX_NUMGEN && e->numgen.type != NFT_NG_RANDOM))
			return true;
		if (e->kind == EX_LOOKUP && e->lookup.set->flags & SET_ANONYMOUS)
			vec_foreach(&e->lookup.set->elems, el)
				if ((*el)->n_exprs)
					return true;
	}
	return false;
}

static const struct rule *count_copy(struct strmap *m, const struct rule *r)
{
	void **slot;

	if (!has_own_state(r))
		return NULL;
	slot = strmap_put(m, (const char *)&r, sizeof(r));
	if (*slot)
		return r;
	*slot = (void *)r;
	return NULL;
}

const struct rule *sp_state_twice(struct split *s)
{
	struct strmap m;

	strmap_init(&m, s->arena);
	vec_foreach(&s->rs->tables, t) {
		struct need n = { .t = *t };
		const struct rule *twice = NULL;

		n.chains = arena_alloc(s->arena, (*t)->chains.n + 1);
		vec_foreach(&s->bases, b)
			if ((*b)->c->table == *t)
				need_base(s, &n, *b);
		vec_foreach(&(*t)->chains, c)
			if (n.chains[(*c)->index])
				vec_foreach(&(*c)->rules, r)
					twice = twice ? twice : count_copy(&m, *r);
		vec_foreach(&s->bases, b)
			if ((*b)->c->table == *t && (*b)->state == SP_SPLIT)
				vec_foreach(&(*b)->res->chains, c)
					vec_foreach(&(*c)->lines, l)
						if (l->r && !twice)
							twice = count_copy(&m, l->r);
		if (twice)
			return twice;
	}
	return NULL;
}

/* -- printing ---------------------------------------------------------------------------------- */

static bool in_bpf(const struct split *s, const struct rule *r)
{
	vec_foreach(&s->plan->progs, it)
		if ((*it)->base->table == r->chain->table && plan_act(*it, r).act == RULE_LOWER)
			return true;
	return false;
}

/* Whether the rule was printed before; it is now. */
static bool printed_before(struct split *s, const struct rule *r)
{
	void **slot = strmap_put(&s->printed, (const char *)&r, sizeof(r));
	bool before = *slot;

	*slot = (void *)r;
	return before;
}

static void where_text(struct split *s, const struct rule *r, struct sbuf *out)
{
	if (r->loc.file != SRC_NONE && r->loc.line && s->rs->diag)
		sb_printf(out, "%s:%u", s->rs->diag->sources.v[r->loc.file]->path, r->loc.line);
	else
		sb_printf(out, "chain %s rule %u", r->chain->name, r->index);
}

static void print_rule(struct split *s, const struct rule *r, const char *chain, uint32_t index,
		       struct sbuf *out)
{
	bool before = printed_before(s, r);
	struct fb_print_opts o = { .zero = before || in_bpf(s, r), .elements = true };

	sb_puts(out, "\t\t");
	if (!fb_print_line(r, &o, s->line, out))
		diag_error(s->rs->diag, r->loc,
			   "rule %u of chain %s must stay in nftables, but nft has no words for it",
			   r->index, r->chain->name);
	sb_puts(out, "\n");
	*vec_push(s->arena, &s->plan->copies) = (struct plan_copy){ r, chain, index };
}

static void print_whole(struct split *s, const struct chain *c, const struct sp_base *b,
			struct sbuf *out)
{
	sb_puts(out, "\tchain ");
	fb_print_name(c->name, out);
	sb_puts(out, " {\n");
	if (b && b->why)
		sb_printf(out, "\t\t# whole: %s\n", b->why);
	if (c->comment)
		sb_printf(out, "\t\tcomment \"%s\"\n", c->comment);
	if (c->is_base)
		fb_print_base(c, b ? b->res_prio : c->prio, c->has_policy ? c->policy : V_ACCEPT,
			      out);
	vec_foreach(&c->rules, it)
		print_rule(s, *it, c->name, (*it)->index, out);
	sb_puts(out, "\t}\n");
}

static void print_split(struct split *s, const struct sp_base *b, struct sbuf *out)
{
	uint32_t i, k;

	/* Chains are written before those that go to them, the base chain last. */
	for (i = b->res->chains.n; i--;) {
		const struct sp_rchain *c = b->res->chains.v[i];

		sb_printf(out, "\tchain %s {\n", c->name);
		if (!i) {
			sb_puts(out, "\t\t# what the programs in front of it leave to nftables\n");
			fb_print_base(b->c, b->res_prio, V_ACCEPT, out);
		}
		for (k = 0; k < c->lines.n; k++) {
			const struct sp_line *l = &c->lines.v[k];

			if (l->note)
				sb_printf(out, "\t\t# %s\n", l->note);
			if (l->r) {
				sb_puts(out, "\t\t# ");
				where_text(s, l->r, out);
				sb_puts(out, "\n");
				print_rule(s, l->r, c->name, k, out);
			} else {
				sb_printf(out, "\t\t%s\n", l->text);
			}
		}
		sb_puts(out, "\t}\n");
	}
}

/* -- conntrack --------------------------------------------------------------------------------- */

#define CTF_V4	 1u
#define CTF_V6	 2u
#define CTF_ACCT 4u

static uint32_t family_bits(enum family f)
{
	return f == FAM_INET ? CTF_V4 | CTF_V6 : f == FAM_IP ? CTF_V4 : f == FAM_IP6 ? CTF_V6 : 0;
}

/* Extensions of iptables that switch conntrack on. */
static uint32_t xt_ct(const struct expr *e, uint32_t fam)
{
	static const char *const names[] = {
		"conntrack", "state",	"connmark", "connbytes", "helper",	"connlimit",
		"connlabel", "cluster", "CONNMARK", "CT",	 "CONNSECMARK", "SNAT",
		"DNAT",	     "NETMAP",	"REDIRECT", "MASQUERADE"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(e->xt.name, names[i]))
			return fam | (strcmp(names[i], "connbytes") ? 0 : CTF_ACCT);
	return 0;
}

static uint32_t states_ct(struct expr *const *v, uint32_t n, uint32_t fam)
{
	for (uint32_t i = 0; i < n; i++)
		if (v[i]->kind == EX_CONNLIMIT)
			return fam;
	return 0;
}

static uint32_t set_ct(const struct set *s)
{
	uint32_t fam = family_bits(s->table->family);
	uint32_t bits = states_ct(s->exprs, s->n_exprs, fam);

	vec_foreach(&s->elems, el)
		bits |= states_ct((*el)->exprs, (*el)->n_exprs, fam);
	return bits;
}

static uint32_t obj_ct(const struct obj *o)
{
	bool on = o->type == NFT_OBJECT_CT_HELPER || o->type == NFT_OBJECT_CT_TIMEOUT ||
		  o->type == NFT_OBJECT_CT_EXPECT || o->type == NFT_OBJECT_SYNPROXY;

	return on ? family_bits(o->table->family) : 0;
}

/* What the kernel switches on when it takes the rule, whether a packet ever comes to it or not. */
static uint32_t rule_ct(const struct rule *r)
{
	uint32_t fam = family_bits(r->chain->table->family), bits = 0;

	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;

		switch (e->kind) {
		case EX_CT:
			bits |= fam;
			if (e->ct.key == NFT_CT_BYTES || e->ct.key == NFT_CT_PKTS ||
			    e->ct.key == NFT_CT_AVGPKT)
				bits |= CTF_ACCT;
			break;
		case EX_NAT: /* of one family, in tables of both too */
			bits |= family_bits(e->nat.family);
			break;
		case EX_MASQ:
		case EX_REDIR:
		case EX_CONNLIMIT:
		case EX_FLOW_OFFLOAD:
		case EX_SYNPROXY:
			bits |= fam;
			break;
		case EX_DYNSET:
			bits |= states_ct(e->dynset.exprs, e->dynset.n_exprs, fam);
			break;
		case EX_MATCH:
		case EX_TARGET:
			bits |= xt_ct(e, fam);
			break;
		default:
			break;
		}
	}
	return bits;
}

/* Families whose conntrack the table switches on. */
static uint32_t table_ct(const struct table *t)
{
	uint32_t bits = 0;

	vec_foreach(&t->chains, c)
		vec_foreach(&(*c)->rules, r)
			bits |= rule_ct(*r);
	vec_foreach(&t->sets, set)
		bits |= set_ct(*set);
	vec_foreach(&t->objs, obj)
		bits |= obj_ct(*obj);
	return bits;
}

static void print_carrier(struct split *s, const struct table *t, uint32_t bits, struct sbuf *out)
{
	const char *name = "conntrack.on";

	while (table_chain(t, name))
		name = arena_printf(s->arena, "%s.n", name);
	sb_printf(out,
		  "\tchain %s {\n\t\t# nothing goes here: the rule switches conntrack on, as the "
		  "original does\n",
		  name);
	sb_printf(out, "\t\tct state invalid\n");
	if (bits & CTF_ACCT)
		sb_printf(out, "\t\tct bytes > 0\n");
	sb_puts(out, "\t}\n");
}

/* -- tables ------------------------------------------------------------------------------------ */

static const struct sp_base *base_of(const struct split *s, const struct chain *c)
{
	vec_foreach(&s->bases, it)
		if ((*it)->c == c)
			return *it;
	return NULL;
}

static void table_open(const struct table *t, struct sbuf *out)
{
	static const char *const flags[] = { "dormant", "owner", "persist" };
	bool any = false;
	uint32_t i;

	sb_printf(out, "table %s %s {\n", family_name(t->family), t->name);
	if (t->comment)
		sb_printf(out, "\tcomment \"%s\"\n", t->comment);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (t->flags >> i & 1) {
			sb_printf(out, "%s%s", any ? "," : "\tflags ", flags[i]);
			any = true;
		}
	sb_puts(out, any ? "\n" : "");
}

/* An element of the residue's sets that the programs have too. */
static void note_both(struct split *s, const struct table *t, const struct set *set)
{
	if (set->flags & (SET_ANONYMOUS | SET_CONSTANT))
		return;
	vec_foreach(&t->chains, c)
		vec_foreach(&(*c)->rules, r)
			vec_foreach(&(*r)->exprs, e)
				if ((*e)->kind == EX_LOOKUP && (*e)->lookup.set == set &&
				    in_bpf(s, *r)) {
					*vec_push(s->arena, &s->plan->sets_both) = set;
					return;
				}
}

static void print_parts(struct split *s, struct need *n, struct sbuf *out)
{
	static const struct fb_print_opts o = { .elements = true };
	const struct table *t = n->t;
	bool ok = true;

	vec_foreach(&t->objs, it) {
		bool want = false;

		vec_foreach(&n->objs, k)
			want = want || *k == *it;
		if (want)
			ok = fb_print_obj(*it, &o, out) && ok;
	}
	vec_foreach(&t->sets, it) {
		bool want = false;

		vec_foreach(&n->sets, k)
			want = want || *k == *it;
		if (want && !((*it)->flags & SET_ANONYMOUS)) {
			ok = fb_print_set(*it, &o, out) && ok;
			note_both(s, t, *it);
		}
	}
	vec_foreach(&t->flowtables, it) {
		bool want = false;

		vec_foreach(&n->flowtables, k)
			want = want || !strcmp(*k, (*it)->name);
		if (want)
			ok = fb_print_flowtable(*it, out) && ok;
	}
	if (!ok)
		diag_error(s->rs->diag, t->loc,
			   "nft has no words for a set or an object of table %s", t->name);
}

static uint32_t residue_ct(const struct split *s, const struct need *n)
{
	uint32_t bits = 0;

	vec_foreach(&n->t->chains, c)
		if (n->chains[(*c)->index])
			vec_foreach(&(*c)->rules, r)
				bits |= rule_ct(*r);
	vec_foreach(&n->sets, set)
		bits |= set_ct(*set);
	vec_foreach(&n->objs, obj)
		bits |= obj_ct(*obj);
	vec_foreach(&s->bases, b)
		if ((*b)->state == SP_SPLIT && (*b)->c->table == n->t)
			vec_foreach(&(*b)->res->chains, c)
				vec_foreach(&(*c)->lines, l)
					bits |= l->r ? rule_ct(l->r)
						: strstr(l->text, "ct ") == l->text ||
								strstr(l->text, " ct ")
							? family_bits(n->t->family)
							: 0;
	return bits;
}

static void print_table(struct split *s, struct need *n, uint32_t carrier, struct sbuf *out)
{
	const struct table *t = n->t;

	table_open(t, out);
	print_parts(s, n, out);
	vec_foreach(&t->chains, it)
		if (n->chains[(*it)->index] && !(*it)->is_base && !(*it)->is_bound)
			print_whole(s, *it, NULL, out);
	vec_foreach(&t->chains, it) {
		const struct sp_base *b = (*it)->is_base ? base_of(s, *it) : NULL;

		if (b && b->state == SP_WHOLE_NFT)
			print_whole(s, *it, b, out);
		else if (b && b->state == SP_SPLIT)
			print_split(s, b, out);
	}
	if (carrier)
		print_carrier(s, t, carrier, out);
	sb_puts(out, "}\n");
}

static const char xt_note[] =
	"# nft has no words for extensions of iptables, nor for what newer kernels have, and "
	"refuses "
	"this\n# file: what stands behind xt match, xt target and xt expression is for nft2bpfctl, "
	"which loads\n# it from the object.\n";

void sp_fallback(struct split *s)
{
	struct ruleset *rs = s->rs;
	struct need *needs = arena_array(s->arena, struct need, rs->tables.n + 1);
	uint32_t i, have = 0;
	bool empty = true, idle = true;
	struct sbuf out;
	size_t body;

	sb_init(&out, s->arena);
	s->line = arena_new();
	for (i = 0; i < rs->tables.n; i++) {
		needs[i].t = rs->tables.v[i];
		needs[i].chains = arena_alloc(s->arena, needs[i].t->chains.n + 1);
		vec_foreach(&s->bases, b)
			if ((*b)->c->table == needs[i].t)
				need_base(s, &needs[i], *b);
		have |= residue_ct(s, &needs[i]);
	}
	sb_puts(&out, "# What nftables does beside the BPF programs.\n");
	vec_foreach(&rs->preamble, it)
		sb_printf(&out, "%s\n", *it);
	body = out.n;
	for (i = 0; i < rs->tables.n; i++) {
		uint32_t carrier = table_ct(needs[i].t) & ~have;

		have |= carrier;
		if (!needs[i].any && !carrier)
			continue;
		print_table(s, &needs[i], carrier, &out);
		empty = false;
		idle &= !needs[i].any;
	}
	arena_free(s->line);
	if (empty)
		sb_puts(&out, "# Nothing: every base chain runs in BPF.\n");
	s->plan->fallback_body = out.s + body;
	s->plan->fallback = fb_has_xt(out.s) ? arena_printf(s->arena, "%s%s", xt_note, out.s)
					     : out.s;
	s->plan->fallback_empty = empty;
	s->plan->fallback_idle = idle;
}
