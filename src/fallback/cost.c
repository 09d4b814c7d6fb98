// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cost: what a packet costs under nftables alone, and split, in nanoseconds, roughly.
 *
 * The numbers are measurements with retpolines (an empty base chain 25, an empty BPF link 39, a
 * rule 8 to 20 and more with a set); only their relations matter. Two packets are followed through
 * the original chain, the program and the residual chain: one of an established connection, and a
 * new one, for each of the first and last rules that accept new connections; the dearest in
 * relation counts.
 */
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include "split.h"

#define NS_CHAIN    25.0
#define NS_LINK	    39.0
#define NS_RULE	    3.0
#define NS_BPF_RULE 1.2

#define TCP_SYN 0x02 /* flags of the packet that opens a connection */
#define TCP_ACK 0x10 /* of most others */

static double expr_ns(const struct expr *e)
{
	switch (e->kind) {
	case EX_CT:
		return 9;
	case EX_META: /* names are copied and padded */
		return e->meta.key == NFT_META_IIFNAME || e->meta.key == NFT_META_OIFNAME ? 9 : 4;
	case EX_PAYLOAD:
		return 4;
	case EX_CMP:
	case EX_BITWISE:
	case EX_IMMEDIATE:
		return 2;
	case EX_RANGE:
	case EX_BYTEORDER:
		return 3;
	case EX_LOOKUP:
		return e->lookup.set->flags & SET_INTERVAL ? 75 : 40;
	case EX_COUNTER:
		return 10;
	case EX_LIMIT:
	case EX_QUOTA:
	case EX_TARGET:
		return 30;
	case EX_MATCH: /* two indirect calls */
		return 20;
	default:
		return 15;
	}
}

double sp_rule_ns(const struct rule *r)
{
	struct rule own = rule_kernel(r);
	double ns = NS_RULE;

	vec_foreach(&own.exprs, it)
		ns += expr_ns(*it);
	return ns;
}

/* -- the two packets --------------------------------------------------------------------------- */

#define MAX_WALK 30u /* chains deep */

struct walk {
	struct split *s;
	struct sp_base *b;
	struct fb_facts p;	   /* what is known of the packet */
	const struct sp_ctx *ctx;  /* of the rule that accepts it ... */
	const struct rule *target; /* ... which is this one; NULL: none does */
	enum { BY_NFT, BY_PROGRAM, BY_RESIDUAL } by;
	uint8_t tcp_flags; /* that it has if it is TCP; 0: not known */
	double ns;
	bool done;
};

static bool ranges_within(const struct fb_fact *x, const struct fb_fact *y)
{
	uint32_t i, j;

	for (i = 0; i < x->n; i++) {
		for (j = 0; j < y->n; j++)
			if (memcmp(x->ranges[i].lo, y->ranges[j].lo, x->len) >= 0 &&
			    memcmp(x->ranges[i].hi, y->ranges[j].hi, x->len) <= 0)
				break;
		if (j == y->n)
			return false;
	}
	return true;
}

/* What is known of the packet says that the fact is true of it. */
static bool known(const struct fb_facts *p, const struct fb_fact *f)
{
	for (; p; p = p->outer)
		vec_foreach(&p->v, it) {
			if (!sp_same_load(it->load, f->load) || it->len != f->len)
				continue;
			if (f->state ? it->state && !(it->bits & ~f->bits)
				     : !it->state && !it->mask && !f->mask &&
					       it->n * f->n < 65536 && ranges_within(it, f))
				return true;
		}
	return false;
}

/* Whether the fact is true of the packet's TCP flags. */
static bool flags_known(const struct walk *w, const struct fb_fact *f)
{
	const struct expr *e = f->load;
	uint8_t v = w->tcp_flags;

	if (!v || e->kind != EX_PAYLOAD || e->payload.base != PB_TRANSPORT ||
	    e->payload.off != 13 || e->payload.len != 1)
		return false;
	if (f->mask)
		v = (v & f->mask->bitwise.mask.b[0]) ^ f->mask->bitwise.xor.b[0];
	for (uint32_t i = 0; i < f->n; i++)
		if (v >= f->ranges[i].lo[0] && v <= f->ranges[i].hi[0])
			return true;
	return false;
}

static bool is_match(const struct expr *e)
{
	return e->kind == EX_CMP || e->kind == EX_RANGE || e->kind == EX_LOOKUP;
}

/* All matches of a rule are among those of another; a verdict map may be a copy. */
static bool part_of(const struct rule *r, const struct rule *of)
{
	vec_foreach(&r->exprs, it) {
		bool found = false;

		if (!is_match(*it) ||
		    ((*it)->kind == EX_LOOKUP && (*it)->lookup.dreg == REG_VERDICT))
			continue;
		vec_foreach(&of->exprs, k)
			found = found || *k == *it;
		if (!found)
			return false;
	}
	return true;
}

static bool on_the_way(const struct walk *w, const struct rule *r)
{
	const struct sp_ctx *x;

	if (w->target && part_of(r, w->target))
		return true;
	for (x = w->ctx; x && x->caller; x = x->caller)
		if (part_of(r, x->caller->chain->rules.v[x->at]))
			return true;
	return false;
}

/* The first n expressions of a rule match; *cost: of those evaluated. */
static bool matches(const struct walk *w, const struct rule *r, uint32_t n, double *cost)
{
	struct fb_facts f = { 0 };
	uint32_t i, n_match = 0;
	bool all = true;

	*cost = NS_RULE;
	fb_facts_of(w->s->arena, r, n, &f);
	if (fb_disjoint(&f, &w->p)) {
		for (i = 0; i < n; i++) {
			struct fb_facts g = { 0 };

			*cost += expr_ns(r->exprs.v[i]);
			if (!is_match(r->exprs.v[i]))
				continue;
			fb_facts_of(w->s->arena, r, i + 1, &g);
			if (fb_disjoint(&g, &w->p))
				return false;
		}
		return false;
	}
	for (i = 0; i < n; i++) {
		*cost += expr_ns(r->exprs.v[i]);
		n_match += is_match(r->exprs.v[i]);
	}
	vec_foreach(&f.v, it)
		all = all && (known(&w->p, it) || flags_known(w, it));
	return (all && f.v.n == n_match) || on_the_way(w, r);
}

/* The verdict that a map has for the packet, as far as that is known. */
static struct verdict map_verdict(const struct walk *w, const struct rule *r, const struct set *m)
{
	const struct expr *load = NULL;
	const struct sp_ctx *x;

	for (x = w->ctx; x && x->caller; x = x->caller) {
		const struct rule *by = x->caller->chain->rules.v[x->at];
		const struct set *of;
		uint32_t i;

		sp_verdict(by, &of);
		for (i = 0; of && part_of(r, by) && i < of->elems.n && i < m->elems.n; i++)
			if (of->elems.v[i]->verdict.chain == x->chain)
				return m->elems.v[i]->verdict;
	}
	vec_foreach(&r->exprs, it)
		if ((*it)->kind == EX_PAYLOAD || (*it)->kind == EX_META || (*it)->kind == EX_CT)
			load = *it;
	if (m->n_fields > 1 || !load || m->key_len > 16)
		return (struct verdict){ .code = V_CONTINUE };
	vec_foreach(&m->elems, it) {
		const struct set_elem *el = *it;
		struct fb_range v = { 0 };
		struct fb_fact f = { .load = load, .len = m->key_len, .n = 1, .ranges = &v };

		if (el->catchall)
			continue;
		memcpy(v.lo, el->key.b, m->key_len);
		memcpy(v.hi, el->key_end.len ? el->key_end.b : el->key.b, m->key_len);
		if (load->kind == EX_CT && load->ct.key == NFT_CT_STATE) {
			f.state = true;
			memcpy(&f.bits, el->key.b, 4);
		}
		if (known(&w->p, &f))
			return el->verdict;
	}
	return (struct verdict){ .code = V_CONTINUE };
}

static void walk_chain(struct walk *w, const struct chain *c, uint32_t depth);
static void walk_lines(struct walk *w, const char *name, uint32_t depth);

/* False: the chain ends here for the packet. */
static bool walk_verdict(struct walk *w, struct verdict v, uint32_t depth)
{
	switch (v.code) {
	case V_JUMP:
	case V_GOTO:
		if (w->by == BY_RESIDUAL)
			walk_lines(w, v.chain->name, depth + 1);
		else
			walk_chain(w, v.chain, depth + 1);
		return v.code == V_JUMP && !w->done;
	case V_RETURN:
		return false;
	case V_CONTINUE:
	case V_BREAK:
		return true;
	default:
		w->done = true;
		return false;
	}
}

static bool walk_rule(struct walk *w, const struct rule *r, uint32_t depth)
{
	const struct sp_rule *x = w->by == BY_PROGRAM ? sp_rule(w->b, r) : NULL;
	const struct set *vmap;
	struct verdict v = sp_verdict(r, &vmap);
	double cost;
	bool m = matches(w, r, x && x->punt ? x->n_match : r->exprs.n, &cost) || r == w->target;

	w->ns += x ? NS_BPF_RULE : cost;
	if (x && x->punt && (m || !x->n_match))
		w->done = true;
	if (!m || w->done || (x && x->punt))
		return !w->done;
	if (vmap && r != w->target)
		v = map_verdict(w, r, vmap);
	if (r == w->target)
		w->done = true;
	vec_foreach(&r->exprs, it)
		if ((*it)->kind == EX_REJECT || (*it)->kind == EX_QUEUE)
			w->done = true;
	return !w->done && walk_verdict(w, v, depth);
}

static void walk_chain(struct walk *w, const struct chain *c, uint32_t depth)
{
	if (depth > MAX_WALK)
		return;
	vec_foreach(&c->rules, it)
		if (!walk_rule(w, *it, depth))
			return;
}

static void walk_lines(struct walk *w, const char *name, uint32_t depth)
{
	const struct chain *c = table_chain(w->b->c->table, name);
	const struct sp_rchain *rc = NULL;

	vec_foreach(&w->b->res->chains, it)
		if (!strcmp((*it)->name, name))
			rc = *it;
	if (!rc && c)
		walk_chain(w, c, depth);
	if (!rc || depth > MAX_WALK)
		return;
	vec_foreach(&rc->lines, it) {
		bool jump = it->text && !strncmp(it->text, "jump ", 5);

		if (it->r || it->cond) {
			if (!walk_rule(w, it->r ? it->r : it->cond, depth))
				return;
			continue;
		}
		w->ns += NS_RULE + 2;
		if (!jump && strncmp(it->text, "goto ", 5)) {
			w->done = true;
			return;
		}
		walk_lines(w, it->text + 5, depth + 1);
		if (w->done || !jump)
			return;
	}
}

/* Adds a fact to what is known, unless the accepting rule says otherwise. */
static void know_byte(struct walk *w, uint32_t key, uint8_t value)
{
	struct arena *a = w->s->arena;
	struct expr *load = expr_new(a, EX_META, w->b->c->loc);
	struct fb_range *v = arena_new_of(a, struct fb_range);
	struct fb_facts f = { 0 };

	load->meta.key = key;
	memset(v->hi, 0xff, 16);
	v->lo[0] = v->hi[0] = value;
	*vec_push(a, &f.v) = (struct fb_fact){ .load = load, .len = 1, .n = 1, .ranges = v };
	if (!fb_disjoint(&f, &w->p))
		*vec_push(a, &w->p.v) = f.v.v[0];
}

static void know_state(struct walk *w, uint32_t bits)
{
	struct expr *load = expr_new(w->s->arena, EX_CT, w->b->c->loc);

	load->ct.key = NFT_CT_STATE;
	*vec_push(w->s->arena, &w->p.v) =
		(struct fb_fact){ .load = load, .state = true, .bits = bits, .len = 4 };
}

/* Only packets of the loopback interface match: not the common ones. */
static bool from_loopback(const struct fb_facts *f)
{
	const uint32_t index = 1;

	for (; f; f = f->outer)
		vec_foreach(&f->v, it) {
			const struct expr *e = it->load;

			if (e->kind != EX_META || it->n != 1)
				continue;
			if (e->meta.key == NFT_META_IIFNAME && !memcmp(it->ranges[0].lo, "lo", 3))
				return true;
			if (e->meta.key == NFT_META_IIF && !memcmp(it->ranges[0].lo, &index, 4))
				return true;
		}
	return false;
}

/* Whether the rule of that step accepts new connections; then the walk heads for it. */
static bool head_for(struct walk *w, uint32_t step)
{
	const struct sp_step *st = &w->b->steps.v[step];
	const struct rule *r = st->ctx->chain->rules.v[st->index];
	struct walk probe = { .s = w->s, .b = w->b };
	const struct set *vmap;
	struct fb_facts *f;

	if (sp_rule(w->b, r)->punt || sp_verdict(r, &vmap).code != V_ACCEPT)
		return false;
	f = arena_new_of(w->s->arena, struct fb_facts);
	*f = sp_facts(w->s->arena, w->b, st);
	know_state(&probe, 8);
	if (fb_disjoint(f, &probe.p) || from_loopback(f))
		return false;
	w->target = r;
	w->ctx = st->ctx;
	w->p.outer = f;
	return true;
}

static double walk_ns(const struct walk *from, int by)
{
	struct walk w = *from;

	w.by = by;
	if (by == BY_RESIDUAL)
		walk_lines(&w, w.b->c->name, 0);
	else
		walk_chain(&w, w.b->c, 0);
	return w.ns;
}

/* Keeps the dearer estimate, in relation: packets in that state for that target. */
static void estimate(const struct walk *target, uint32_t state)
{
	struct sp_base *b = target->b;
	struct walk w = *target;
	double nft, split;

	know_state(&w, state);
	w.tcp_flags = state == 8 ? TCP_SYN : TCP_ACK;
	know_byte(&w, NFT_META_L4PROTO, IPPROTO_TCP);
	know_byte(&w, NFT_META_NFPROTO, FAM_IP);
	nft = NS_CHAIN + walk_ns(&w, BY_NFT);
	split = NS_LINK + NS_CHAIN + walk_ns(&w, BY_PROGRAM) + walk_ns(&w, BY_RESIDUAL);
	if (b->ns_nft == 0 || split / nft > b->ns_split / b->ns_nft) {
		b->ns_nft = nft;
		b->ns_split = split;
	}
}

#define MAX_TARGETS 16u /* half of them from the start, half from the end */

static uint32_t try_target(struct split *s, struct sp_base *b, uint32_t step)
{
	struct walk w = { .s = s, .b = b };

	if (!head_for(&w, step))
		return 0;
	estimate(&w, 2);
	estimate(&w, 8);
	return 1;
}

void sp_cost(struct split *s, struct sp_base *b)
{
	uint32_t i, from, n = 0;

	b->ns_nft = b->ns_split = 0;
	for (i = 0; i < b->steps.n && n < MAX_TARGETS / 2; i++)
		n += try_target(s, b, i);
	for (from = i, i = b->steps.n; i-- > from && n < MAX_TARGETS;)
		n += try_target(s, b, i);
	if (!n) {
		struct walk w = { .s = s, .b = b };

		estimate(&w, 2);
		estimate(&w, 8);
	}
}
