// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * splittool: proves splits by packets. For generated packets the original base chain must give what
 * the programs give, followed by the residual chain where they accept: verdict, mark, logs; and the
 * counters of both sides must add up. The residual chain is read back from the fallback's text.
 *
 *	splittool always|auto|never plan FILE
 *	splittool always|auto|never check PACKETS FILE...
 *	splittool always|auto|never random PACKETS SEED COUNT
 *		rulesets from genrules; SEED 0: by the clock
 *	splittool always|auto|never text SEED
 *		prints the ruleset of a seed
 *	splittool never print PACKETS FILE...
 *		the ruleset against itself, printed and read again
 *	splittool never nft PACKETS FILE...
 *		the same, read by nft ($NFT) into a namespace, and from the kernel
 */
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "fallback.h"
#include "frontend.h"
#include "genpkt.h"
#include "genrules.h"
#include "interp.h"

static uint32_t n_runs, n_skipped, n_differ, n_second, n_refused;
static const char *path;

/* -- the programs as a ruleset: each rule as its act says -------------------------------------- */

struct clone {
	struct arena *a;
	const struct plan_prog *prog;
	const struct table *t;
	struct table *to;
	struct ruleset *rs;
	struct chain **chains; /* by index */
};

static struct set *clone_vmap(struct clone *c, const struct set *s)
{
	struct set *m = arena_dup(c->a, s, sizeof(*s));

	memset(&m->elems, 0, sizeof(m->elems));
	vec_foreach(&s->elems, it) {
		struct set_elem *el = arena_dup(c->a, *it, sizeof(**it));

		if (el->verdict.chain)
			el->verdict.chain = c->chains[el->verdict.chain->index];
		*vec_push(c->a, &m->elems) = el;
	}
	*vec_push(c->a, &c->to->sets) = m;
	return m;
}

static struct expr *clone_expr(struct clone *c, const struct expr *e)
{
	struct expr *x;

	if (e->kind == EX_IMMEDIATE && e->imm.verdict.chain) {
		x = arena_dup(c->a, e, expr_size(e->kind));
		x->imm.verdict.chain = c->chains[e->imm.verdict.chain->index];
		return x;
	}
	if (e->kind == EX_LOOKUP && e->lookup.dreg == REG_VERDICT) {
		x = arena_dup(c->a, e, expr_size(e->kind));
		x->lookup.set = clone_vmap(c, e->lookup.set);
		return x;
	}
	return (struct expr *)e; /* shared: its state is found by the original's address */
}

static void clone_rule(struct clone *c, struct chain *to, const struct rule *r)
{
	struct rule_act act = plan_act(c->prog, r);
	struct rule *x = arena_dup(c->a, r, sizeof(*r));
	uint32_t i, n = act.act == RULE_PUNT ? act.n_match : r->exprs.n;

	x->chain = to;
	memset(&x->exprs, 0, sizeof(x->exprs));
	if (act.act != RULE_NEVER)
		for (i = 0; i < n; i++)
			*vec_push(c->a, &x->exprs) = clone_expr(c, r->exprs.v[i]);
	if (act.act == RULE_PUNT) {
		struct expr *v = expr_new(c->a, EX_IMMEDIATE, r->loc);

		v->imm.dreg = REG_VERDICT;
		v->imm.verdict.code = V_ACCEPT;
		*vec_push(c->a, &x->exprs) = v;
	}
	*vec_push(c->a, &to->rules) = x;
}

static const struct chain *clone_prog(struct arena *a, struct diag *d, const struct plan_prog *p,
				      struct ruleset **rs)
{
	struct clone c = { .a = a, .prog = p, .t = p->base->table, .rs = ruleset_new(a, d) };
	struct table *t = arena_dup(a, c.t, sizeof(*t));

	memset(&t->chains, 0, sizeof(t->chains));
	memset(&t->sets, 0, sizeof(t->sets));
	vec_foreach(&c.t->sets, it)
		*vec_push(a, &t->sets) = *it;
	c.to = t;
	t->rs = c.rs;
	*vec_push(a, &c.rs->tables) = t;
	c.chains = arena_array(a, struct chain *, c.t->chains.n);
	vec_foreach(&c.t->chains, it) {
		struct chain *x = arena_dup(a, *it, sizeof(**it));

		x->table = t;
		memset(&x->rules, 0, sizeof(x->rules));
		c.chains[x->index] = x;
		*vec_push(a, &t->chains) = x;
	}
	vec_foreach(&c.t->chains, it)
		vec_foreach(&(*it)->rules, r)
			clone_rule(&c, c.chains[(*it)->index], *r);
	*rs = c.rs;
	return c.chains[p->base->index];
}

/* -- packets ----------------------------------------------------------------------------------- */

static uint32_t roll(void *arg)
{
	uint32_t *s = arg;

	*s = *s * 1664525 + 1013904223;
	return *s;
}

static void random_ct(struct genpkt *g, struct pkt *p, const struct gp_packet *gp)
{
	static const uint8_t infos[] = { 0, 0, 1, 2, 2, 2, 3, 4 };
	struct pkt_ct *c = &p->ct;
	bool v4 = gp->pf == FAM_IP;

	c->kind = genpkt_rand(g, 8) ? PKT_CT_ENTRY : (enum pkt_ct_kind)genpkt_rand(g, 3);
	c->info = c->kind == PKT_CT_UNTRACKED  ? 7
		  : c->kind == PKT_CT_TEMPLATE ? 2
		  : c->kind == PKT_CT_NONE     ? 0
					       : infos[genpkt_rand(g, 8)];
	c->status = genpkt_rand(g, 1u << 11);
	c->mark = genpkt_rand(g, 3);
	c->l3num = gp->pf;
	c->proto = gp->b[v4 ? 9 : 6];
	if (gp->len >= 44) {
		uint32_t n = v4 ? 4 : 16, at = v4 ? 12 : 8;

		memcpy(c->tuple[0].src, gp->b + at, n);
		memcpy(c->tuple[0].dst, gp->b + at + n, n);
		memcpy(c->tuple[1].src, gp->b + at + n, n);
		memcpy(c->tuple[1].dst, gp->b + at, n);
		memcpy(c->tuple[0].sport, gp->b + (v4 ? 20 : 40), 2);
		memcpy(c->tuple[0].dport, gp->b + (v4 ? 22 : 42), 2);
	}
}

static struct pkt_dev *device(struct genpkt *g, struct pkt_dev *d, uint32_t iface)
{
	const char *const *names;
	uint32_t n = genpkt_ifaces(g, &names);

	d->name = names[iface % n];
	d->index = iface % n + 1;
	d->type = d->index == 1 ? 772 : 1;
	return d;
}

/* -- comparing --------------------------------------------------------------------------------- */

struct side {
	struct interp *in;
	const struct chain *base;
};

static bool same_end(const struct interp_result *a, const struct interp_result *b)
{
	return a->verdict == b->verdict && a->mark == b->mark && a->priority == b->priority &&
	       a->ct_mark == b->ct_mark && a->notrack == b->notrack && a->logs == b->logs;
}

static void report(const struct pkt *k, const struct interp_result *c,
		   const struct interp_result *b, const struct interp_result *r,
		   const struct chain *base)
{
	uint32_t i;

	n_differ++;
	if (n_differ > 20)
		return;
	printf("%s: %s pf %u hook %u len %u ct %u/%u in %s: original %d at %s/%u mark %u logs %u; "
	       "program %d at %s/%u; residual %d at %s/%u mark %u logs %u\n",
	       path, base->name, k->pf, k->hook, k->len, k->ct.kind, k->ct.info,
	       k->in ? k->in->name : "-", c->verdict, c->rule ? c->rule->chain->name : "policy",
	       c->rule ? c->rule->index : 0, c->mark, c->logs, b->verdict,
	       b->rule ? b->rule->chain->name : "policy", b->rule ? b->rule->index : 0, r->verdict,
	       r->rule ? r->rule->chain->name : "policy", r->rule ? r->rule->index : 0, r->mark,
	       r->logs);
	for (i = 0; i < MIN(k->len, 64u); i++)
		printf("%02x%s", k->l3[i], i % 4 == 3 ? " " : "");
	printf("\n");
}

/* False: something is not modelled; the states of the three may differ from now on. */
static bool check_packet(struct side *c, struct side *b, struct side *r, struct pkt *k)
{
	struct interp_result want = { 0 }, prog = { 0 }, got = { 0 };
	uint32_t seed = k->mark * 7919 + k->len, s;

	k->random = roll;
	k->random_arg = &s;
	s = seed;
	interp_run(c->in, c->base, k, &want);
	s = seed;
	interp_run(b->in, b->base, k, &prog);
	n_runs++;
	if (want.verdict == INTERP_UNSUPPORTED || prog.verdict == INTERP_UNSUPPORTED)
		return n_skipped++, false;
	got = prog;
	if (prog.verdict == INTERP_ACCEPT && r->base) {
		n_second++;
		s = seed;
		interp_run(r->in, r->base, k, &got);
		if (got.verdict == INTERP_UNSUPPORTED)
			return n_skipped++, false;
	}
	if (!same_end(&want, &got))
		report(k, &want, &prog, &got, c->base);
	return true;
}

static uint64_t count_of(const struct interp *in, const struct expr *e)
{
	const struct interp_state *st = interp_state_of(in, e);

	return st ? st->counter.packets - e->counter.packets : 0;
}

/* The k-th counter of a rule. */
static const struct expr *counter(const struct rule *r, uint32_t k)
{
	vec_foreach(&r->exprs, it)
		if ((*it)->kind == EX_COUNTER && !k--)
			return *it;
	return NULL;
}

/* What `rule` has counted in the copy of a rule that it is, or that holds it. */
static uint64_t count_copy(const struct interp *in, const struct rule *rule, const struct rule *of,
			   const struct rule *copy)
{
	const struct chain *a = rule_bound_chain(of), *b = rule_bound_chain(copy);
	uint64_t n = 0;

	if (of == rule)
		return counter(copy, 0) ? count_of(in, counter(copy, 0)) : 0;
	for (uint32_t i = 0; a && b && i < a->rules.n && i < b->rules.n; i++)
		n += count_copy(in, rule, a->rules.v[i], b->rules.v[i]);
	return n;
}

static void differ_in_count(const struct side *c, const struct rule *rule, uint64_t want,
			    uint64_t got)
{
	if (want == got)
		return;
	n_differ++;
	printf("%s: base %s: counter of %s rule %u: original %llu, otherwise %llu\n", path,
	       c->base->name, rule->chain->name, rule->index, (unsigned long long)want,
	       (unsigned long long)got);
}

static void check_counters(const struct plan *p, const struct side *c, const struct side *b,
			   const struct side *r, const struct ruleset *res)
{
	vec_foreach(&c->base->table->chains, ch)
		vec_foreach(&(*ch)->rules, it) {
			const struct rule *rule = *it;
			const struct expr *e = counter(rule, 0);
			const struct table *t = res ? ruleset_table(res, rule->chain->table->family,
								    rule->chain->table->name)
						    : NULL;
			uint64_t want, got;

			if (!e)
				continue;
			want = count_of(c->in, e);
			got = count_of(b->in, e);
			vec_foreach(&p->copies, cp) {
				const struct chain *rc = t ? table_chain(t, cp->chain) : NULL;

				if (r->in && rc && cp->index < rc->rules.n)
					got += count_copy(r->in, rule, cp->rule,
							  rc->rules.v[cp->index]);
			}
			differ_in_count(c, rule, want, got);
		}
}

/* Sends n packets through a hook; false: some of them are not modelled. */
static bool run_packets(const struct ruleset *rs, enum family pf, uint32_t hook, struct side *c,
			struct side *b, struct side *r, uint32_t n)
{
	struct arena *a = arena_new();
	struct genpkt *g = genpkt_new(a, rs, 7);
	struct gp_packet *gp = arena_new_of(a, struct gp_packet);
	struct pkt_dev din = { 0 }, dout = { 0 };
	bool exact = true;

	for (uint32_t i = 0; i < n; i++) {
		struct pkt k = { .l3 = gp->b };
		bool in = hook <= HOOK_FORWARD, out = hook >= HOOK_FORWARD;

		genpkt_next(g, hook == HOOK_FORWARD ? GP_FWD : in ? GP_IN : GP_OUT, i, gp);
		if (gp->pf != pf || gp->len < (gp->pf == FAM_IP ? 20 : 40))
			continue;
		k.len = gp->len;
		k.pf = gp->pf;
		k.hook = (uint8_t)hook;
		k.mark = genpkt_rand(g, 4) ? gp->mark : genpkt_rand(g, 4);
		k.pkt_type = (uint8_t)genpkt_rand(g, 6);
		k.mono_ns = 1000000000ull + i * 10000000ull;
		k.real_ns = 1700000000000000000ull + k.mono_ns;
		if (in)
			k.in = device(g, &din, gp->iface);
		if (out)
			k.out = device(g, &dout, gp->oface);
		random_ct(g, &k, gp);
		exact = check_packet(c, b, r, &k) && exact;
	}
	arena_free(a);
	return exact;
}

static void check_prog(struct arena *a, struct diag *d, const struct plan *p,
		       const struct plan_prog *prog, const struct ruleset *res, uint32_t n)
{
	struct ruleset *brs;
	const struct chain *bc = clone_prog(a, d, prog, &brs);
	const struct table *rt =
		res ? ruleset_table(res, prog->base->table->family, prog->base->table->name) : NULL;
	struct side c = { interp_new(p->rs), prog->base }, b = { interp_new(brs), bc }, r = { 0 };

	if (prog->residual) {
		r.base = rt ? table_chain(rt, prog->base->name) : NULL;
		if (!r.base) {
			printf("%s: no residual chain %s\n", path, prog->base->name);
			n_differ++;
			return;
		}
		r.in = interp_new(res);
	}
	if (run_packets(p->rs, prog->pf, prog->hook, &c, &b, &r, n))
		check_counters(p, &c, &b, &r, res);
	interp_free(c.in);
	interp_free(b.in);
	if (r.in)
		interp_free(r.in);
}

/* -- what is printed --------------------------------------------------------------------------- */

static void check_chain(const struct ruleset *rs, const struct chain *ch, const struct ruleset *rs2,
			const struct chain *again, uint32_t n)
{
	struct side c = { interp_new(rs), ch }, b = { interp_new(rs2), again }, none = { 0 };
	enum family fam = ch->table->family;
	bool exact = fam == FAM_IP6 || run_packets(rs, FAM_IP, ch->hook, &c, &b, &none, n);

	exact = (fam == FAM_IP || run_packets(rs, FAM_IP6, ch->hook, &c, &b, &none, n)) && exact;
	for (uint32_t i = 0; exact && i < ch->rules.n && i < again->rules.n; i++) {
		const struct expr *e = counter(ch->rules.v[i], 0);
		const struct expr *f = counter(again->rules.v[i], 0);

		if (e && f)
			differ_in_count(&c, ch->rules.v[i], count_of(c.in, e), count_of(b.in, f));
	}
	interp_free(c.in);
	interp_free(b.in);
}

static struct chain *same_chain(const struct ruleset *rs, const struct chain *c)
{
	struct table *t = ruleset_table(rs, c->table->family, c->table->name);

	return t ? table_chain(t, c->name) : NULL;
}

/*
 * Every base chain must do the same once it was printed and read again; or, where an old nft reads
 * it, what that makes of the text that was printed (old; else NULL).
 */
static void check_printed(struct ruleset *rs, struct ruleset *rs2, const struct ruleset *old,
			  uint32_t n)
{
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->chains, c) {
			struct chain *c2 = same_chain(rs2, *c);
			struct chain *was = old ? same_chain(old, *c) : NULL;
			uint32_t before = n_differ;

			if (!c2 || c2->rules.n != (*c)->rules.n) {
				printf("%s: chain %s is not read again\n", path, (*c)->name);
				n_differ++;
			} else if ((*c)->is_base) {
				check_chain(rs, *c, rs2, c2, n);
			}
			if (n_differ == before || !was || was->rules.n != c2->rules.n)
				continue;
			n_differ = before;
			check_chain(old, was, rs2, c2, n);
		}
}

static struct ruleset *read_text(struct arena *a, struct diag *d, const char *name,
				 const char *text)
{
	struct ruleset *rs = text ? frontend_read_buffer(a, d, name, text, strlen(text))
				  : frontend_read_text(a, d, name, &(struct parse_opts){ 0 });

	diag_flush(d, stderr);
	return rs;
}

/* What nft makes of a text, as the kernel has it; NULL: it does not take it. */
static struct ruleset *read_by_nft(struct arena *a, struct diag *d, const char *file,
				   const char *text)
{
	FILE *f = popen(arena_printf(a,
				     "f=$(mktemp) && { echo 'flush ruleset'; cat '%s'; } > $f && "
				     "${NFT:-nft} -f $f 2> /dev/null; e=$?; rm -f $f; exit $e",
				     file),
			"w");
	struct ruleset *rs = NULL;

	if (f) {
		fputs(text, f);
		rs = pclose(f) ? NULL : frontend_read_live(a, d);
	}
	diag_flush(d, stderr);
	return rs;
}

static bool check_print(bool by_nft, uint32_t packets)
{
	struct fb_print_opts o = { .elements = true };
	uint32_t before = n_differ;
	struct arena *a = arena_new();
	struct ruleset *rs, *rs2 = NULL, *old = NULL;
	struct sbuf text;
	struct diag d;
	bool good = false;

	diag_init(&d, a);
	sb_init(&text, a);
	rs = read_text(a, &d, path, NULL);
	if (rs && fb_print_ruleset(rs, &o, &text)) {
		if (by_nft)
			old = read_by_nft(a, &d, path, "");
		rs2 = by_nft ? read_by_nft(a, &d, "/dev/stdin", text.s)
			     : read_text(a, &d, "what is printed", text.s);
		if (rs2)
			check_printed(rs, rs2, old, packets);
		n_refused += by_nft && !rs2;
		good = (rs2 || by_nft) && n_differ == before;
		if (!good)
			fputs(text.s, stdout);
	}
	arena_free(a);
	return good;
}

/* text NULL: path is a file. False: it cannot be read, or something differs. */
static bool check(enum fb_partial partial, const char *text, uint32_t packets)
{
	struct fb_options o = { .partial = partial };
	uint32_t before = n_differ;
	struct arena *a = arena_new();
	struct ruleset *rs, *res;
	struct plan *p;
	struct diag d;

	diag_init(&d, a);
	rs = read_text(a, &d, path, text);
	if (!rs)
		return false;
	p = fb_plan(rs, &o);
	res = read_text(a, &d, "the fallback", p->fallback_body);
	if (!res) {
		printf("%s: the fallback does not read back:\n%s", path, p->fallback_body);
		return false;
	}
	vec_foreach(&p->progs, it)
		check_prog(a, &d, p, *it, res, packets);
	arena_free(a);
	return n_differ == before;
}

static bool check_random(enum fb_partial partial, uint32_t packets, uint32_t seed, uint32_t n)
{
	bool ok = true;

	if (!seed)
		seed = (uint32_t)time(NULL);
	printf("seed %u\n", seed);
	for (; n--; seed++) {
		struct arena *a = arena_new();
		const char *text = genrules(a, seed);

		path = arena_printf(a, "seed %u", seed);
		if (!check(partial, text, packets)) {
			printf("%s: see `splittool always text %u`\n", path, seed);
			ok = false;
		}
		arena_free(a);
	}
	return ok;
}

/* again: how the printed text is read, "print" or "nft"; NULL: the split is checked. */
static bool check_files(enum fb_partial partial, const char *again, uint32_t packets, char **v)
{
	bool ok = true;

	for (; *v; v++) {
		path = *v;
		if (!(again ? check_print(!strcmp(again, "nft"), packets)
			    : check(partial, NULL, packets))) {
			printf("%s: differs, or cannot be read\n", path);
			ok = false;
		}
	}
	return ok;
}

static int print_plan(enum fb_partial partial, const char *file)
{
	struct fb_options o = { .partial = partial };
	struct arena *a = arena_new();
	struct ruleset *rs;
	struct diag d;

	diag_init(&d, a);
	rs = read_text(a, &d, file, NULL);
	if (!rs)
		return 1;
	fputs(fb_plan(rs, &o)->fallback, stdout);
	return 0;
}

int main(int argc, char **argv)
{
	const char *partial = argc > 1 ? argv[1] : "", *what = argc > 3 ? argv[2] : "";
	enum fb_partial m = !strcmp(partial, "always") ? FB_PARTIAL_ALWAYS
			    : !strcmp(partial, "auto") ? FB_PARTIAL_AUTO
						       : FB_PARTIAL_NEVER;
	bool ok = false;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "plan"))
		return print_plan(m, argv[3]);
	if (!strcmp(what, "text"))
		return fputs(genrules(arena_new(), (uint32_t)atoi(argv[3])), stdout) < 0;
	if (!strcmp(what, "check"))
		ok = check_files(m, NULL, (uint32_t)atoi(argv[3]), argv + 4);
	else if (!strcmp(what, "print") || (!strcmp(what, "nft") && !unshare(CLONE_NEWNET)))
		ok = check_files(m, what, (uint32_t)atoi(argv[3]), argv + 4);
	else if (!strcmp(what, "random") && argc == 6)
		ok = check_random(m, (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4]),
				  (uint32_t)atoi(argv[5]));
	else
		fprintf(stderr, "usage: see the head of splittool.c\n");
	printf("%u runs, %u reached a residual chain, %u not modelled, %u different", n_runs,
	       n_second, n_skipped, n_differ);
	printf(n_refused ? ", %u not taken by nft\n" : "\n", n_refused);
	return !ok;
}
