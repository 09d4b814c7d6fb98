// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * difftool: reads rulesets, builds IR by the plainest plan, and compares for generated packets what
 * the interpreter of the hinge and the IR say: verdicts and counters. With -p the plan is the
 * splitter's; with -v the generated instructions run too; with -s chains are cut into small parts
 * and code is made as for large programs; with -m rules are classified together (dispatch_mix.c)
 * even where that does not pay, with -w few ones are searched by shape (dispatch_win.c). Dumps
 * whose name ends in .nft are text. Prints every difference; status 1 if there is one.
 */
#include <stdlib.h>

#include "../diff/genpkt.h"
#include "fallback.h"
#include "frontend.h"
#include "irrun.h"
#include "../vm/vmrun.h"
#include "ir/pass.h"
#include "plain.h"

static uint32_t n_runs, n_punts, n_skipped, n_differ, n_machine;
static uint64_t n_steps;
static const char *path;
static struct obj_file *object; /* -v: what was generated from the optimised module */

struct pair {
	struct interp *in;
	struct irrun *ir, *opt; /* as built; optimised */
	uint32_t fn, fn_opt;	/* the program's function in each */
	struct vmrun *vm;	/* the instructions; NULL: not asked for */
	struct arena *a;
};

static void pair_open(struct pair *p, const struct ruleset *rs, const struct ir_mod *m,
		      const struct ir_mod *mo)
{
	p->a = arena_new();
	p->in = interp_new(rs);
	p->ir = irrun_new(p->a, m);
	p->opt = irrun_new(p->a, mo);
	p->vm = object ? vmrun_new(p->a, object, irrun_new(p->a, mo)) : NULL;
}

static void pair_close(struct pair *p)
{
	interp_free(p->in);
	arena_free(p->a);
}

/* The same counter in another module, where it may have another number; NULL: it is not there. */
static const struct irrun_state *state_in(const struct irrun *r, const struct expr *e)
{
	for (uint32_t k = 0; k < r->m->states.n; k++)
		if (r->m->states.v[k].expr == e)
			return &r->states[k];
	return NULL;
}

/* Counters of rules and objects: their growth. */
static void compare_counters(const struct pair *p, const struct ir_mod *m)
{
	for (uint32_t k = 0; k < m->states.n; k++) {
		const struct ir_state *st = &m->states.v[k];
		const struct irrun_state *got = &p->ir->states[k];
		const struct irrun_state *opt = state_in(p->opt, st->expr);
		const struct interp_state *want;

		if (st->kind != ST_COUNTER || st->policy_of)
			continue;
		want = interp_state_of(p->in, st->expr);
		if ((opt ? opt->packets : 0) != got->packets ||
		    (opt ? opt->bytes : 0) != got->bytes) {
			n_differ++;
			printf("%s: counter %u: %llu packets, %llu when optimised\n", path, k,
			       (unsigned long long)got->packets,
			       (unsigned long long)(opt ? opt->packets : 0));
		}
		if (!want || (want->counter.packets - st->expr->counter.packets == got->packets &&
			      want->counter.bytes - st->expr->counter.bytes == got->bytes))
			continue;
		n_differ++;
		printf("%s: counter %u: %llu packets, interpreter %llu\n", path, k,
		       (unsigned long long)got->packets,
		       (unsigned long long)(want->counter.packets - st->expr->counter.packets));
	}
}

static void random_ct(struct genpkt *g, struct pkt *p, const struct gp_packet *gp)
{
	static const uint8_t infos[] = { 0, 0, 1, 2, 2, 2, 3, 4 };
	struct pkt_ct *c = &p->ct;
	bool v4 = gp->pf == FAM_IP;

	c->kind = (enum pkt_ct_kind[]){ PKT_CT_NONE,  PKT_CT_UNTRACKED, PKT_CT_TEMPLATE,
					PKT_CT_ENTRY, PKT_CT_ENTRY,	PKT_CT_ENTRY,
					PKT_CT_ENTRY, PKT_CT_ENTRY }[genpkt_rand(g, 8)];
	c->info = c->kind == PKT_CT_UNTRACKED  ? 7
		  : c->kind == PKT_CT_TEMPLATE ? 2
		  : c->kind == PKT_CT_NONE     ? 0
					       : infos[genpkt_rand(g, 8)];
	c->status = genpkt_rand(g, 1u << 11);
	c->mark = genpkt_rand(g, 3);
	c->l3num = genpkt_rand(g, 8) ? gp->pf : FAM_IP + FAM_IP6 - gp->pf;
	c->proto = gp->len > 9 ? gp->b[v4 ? 9 : 6] : 6;
	c->expiration = genpkt_rand(g, 20000);
	c->has_acct = genpkt_rand(g, 3);
	c->has_labels = genpkt_rand(g, 2);
	c->labels[0] = (uint8_t)genpkt_rand(g, 4);
	c->labels[12] = (uint8_t)genpkt_rand(g, 2);
	c->helper = (const char *const[]){ NULL, "ftp", "a-longer-helper",
					   "sip" }[genpkt_rand(g, 4)];
	for (uint32_t k = 0; k < 2; k++) {
		c->packets[k] = genpkt_rand(g, 4);
		c->bytes[k] = c->packets[k] * (40 + genpkt_rand(g, 60));
	}
	c->zone = (uint16_t)genpkt_rand(g, 3);
	c->zone_dir = (uint8_t)genpkt_rand(g, 4);
	if (gp->len >= 44) {
		uint32_t n = v4 ? 4 : 16, at = v4 ? 12 : 8;

		memcpy(c->tuple[0].src, gp->b + at, n);
		memcpy(c->tuple[0].dst, gp->b + at + n, n);
		memcpy(c->tuple[1].src, gp->b + at + n, n);
		memcpy(c->tuple[1].dst, gp->b + at, n);
		memcpy(c->tuple[0].sport, gp->b + (v4 ? 20 : 40), 2);
		memcpy(c->tuple[0].dport, gp->b + (v4 ? 22 : 42), 2);
		memcpy(c->tuple[1].sport, gp->b + (v4 ? 22 : 42), 2);
		memcpy(c->tuple[1].dport, gp->b + (v4 ? 20 : 40), 2);
	}
}

static struct pkt_dev *device(struct genpkt *g, struct pkt_dev *d, uint32_t iface)
{
	const char *const *names;
	uint32_t n = genpkt_ifaces(g, &names);

	d->name = names[iface % n];
	d->index = iface % n + 1;
	d->type = d->index == 1 ? 772 : 1;
	d->group = genpkt_rand(g, 2);
	d->kind = (const char *const[]){ NULL, "veth", "bridge" }[genpkt_rand(g, 3)];
	return d;
}

static void report(const struct plan_prog *prog, const struct pkt *k, const char *who, int got,
		   int want, const struct rule *r)
{
	n_differ++;
	printf("%s: %s pf %u len %u: %s says %d, not %d (rule %s/%u)\n", path, prog->base->name,
	       k->pf, k->len, who, got, want, r ? r->chain->name : "policy", r ? r->index : 0);
	for (uint32_t i = 0; i < MIN(k->len, 64u); i++)
		printf("%02x%s", k->l3[i], i % 4 == 3 ? " " : "");
	printf("\n");
}

/* The n-th program's number among the functions; a module has functions of chains besides. */
static uint32_t nth_prog(const struct ir_mod *m, uint32_t n)
{
	uint32_t k = 0;

	while (m->fns.v[k]->kind != IR_FN_PROG || n--)
		k++;
	return k;
}

/* The instructions, on a packet that is linear or not. */
static bool check_vm(struct pair *p, const struct plan_prog *prog, const struct pkt *k, int want,
		     const struct rule *r)
{
	uint64_t got;

	p->vm->data_len = n_runs % 3 ? 0 : k->len * (n_runs % 7) / 7;
	p->vm->steps = 0;
	got = vmrun_prog(p->vm, p->fn_opt, k);
	n_machine += !p->vm->cannot && !p->vm->env->cannot;
	n_steps += p->vm->steps;
	if (p->vm->cannot || p->vm->env->cannot || got == (uint64_t)want)
		return !p->vm->cannot;
	if (p->vm->fault)
		printf("%s\n", p->vm->fault);
	report(prog, k, "the machine", (int)got, want, r);
	return false;
}

/* Whether all went on alike, so that states may be compared further on. */
static bool check_packet(struct pair *p, const struct plan_prog *prog, const struct pkt *k)
{
	struct interp_result want = { 0 };
	int got, opt;

	want.verdict = INTERP_ACCEPT;
	for (const struct plan_prog *q = prog; q && want.verdict == INTERP_ACCEPT; q = q->then)
		interp_run(p->in, q->base, k, &want);
	got = irrun_prog(p->ir, p->ir->m->fns.v[p->fn], k);
	opt = irrun_prog(p->opt, p->opt->m->fns.v[p->fn_opt], k);
	n_runs++;
	if (p->vm && got >= 0 && !check_vm(p, prog, k, got, want.rule))
		return false;
	if (opt != got && got >= 0 && opt >= 0) {
		report(prog, k, "optimised IR", opt, got, want.rule);
		return false;
	}
	if (got >= 0 && p->ir->end && p->ir->end->rule &&
	    plan_act(prog, p->ir->end->rule).act == RULE_PUNT) {
		n_punts++;
		return false;
	}
	if (got < 0 || opt < 0 || (want.verdict != INTERP_ACCEPT && want.verdict != INTERP_DROP)) {
		n_skipped++;
		return false;
	}
	if (got == (want.verdict == INTERP_ACCEPT))
		return true;
	report(prog, k, "IR", got, want.verdict == INTERP_ACCEPT, want.rule);
	return false;
}

static void check_prog(struct arena *a, const struct ruleset *rs, const struct ir_mod *m,
		       const struct ir_mod *mo, uint32_t which, const struct plan_prog *prog,
		       uint32_t n)
{
	struct genpkt *g = genpkt_new(a, rs, 1);
	struct gp_packet *gp = arena_new_of(a, struct gp_packet);
	bool in = prog->hook <= HOOK_FORWARD, out = prog->hook >= HOOK_FORWARD;
	struct pkt_dev din, dout;
	struct pair p;

	p.fn = nth_prog(m, which);
	p.fn_opt = nth_prog(mo, which);
	pair_open(&p, rs, m, mo);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t ll[14] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0 };
		struct pkt k = { .l3 = gp->b };

		genpkt_next(g, prog->hook == HOOK_FORWARD ? GP_FWD : in ? GP_IN : GP_OUT, i, gp);
		if (gp->pf != prog->pf || gp->len < (gp->pf == FAM_IP ? 20 : 40))
			continue;
		k.len = gp->len;
		k.pf = gp->pf;
		k.hook = prog->hook;
		k.mark = genpkt_rand(g, 4) ? gp->mark : genpkt_rand(g, 4);
		k.priority = genpkt_rand(g, 2);
		k.pkt_type = (uint8_t)genpkt_rand(g, 6);
		k.cpu = genpkt_rand(g, 4);
		k.has_sk = genpkt_rand(g, 2);
		k.skuid = genpkt_rand(g, 3) * 1000;
		k.skgid = genpkt_rand(g, 3) * 100;
		k.sk_mark = genpkt_rand(g, 3);
		k.sk_transparent = genpkt_rand(g, 2);
		k.sk_wildcard = genpkt_rand(g, 2);
		k.sdifname = (const char *const[]){ NULL, "eth0", "vrf-port" }[genpkt_rand(g, 3)];
		k.minuteswest = (int32_t)genpkt_rand(g, 25) * 60 - 720;
		k.has_cgroup = genpkt_rand(g, 2);
		k.cgroup = genpkt_rand(g, 3);
		k.secpath = genpkt_rand(g, 2);
		k.real_ns = 1700000000000000000ull + genpkt_rand(g, 86400) * 1000000000ull;
		k.mono_ns = 1000000000ull + i * 10000000ull;
		if (in) {
			k.in = device(g, &din, gp->iface);
			k.ll = ll;
			k.ll_len = 14;
			ll[12] = k.pf == FAM_IP ? 8 : 0x86;
			ll[13] = k.pf == FAM_IP ? 0 : 0xdd;
			k.has_vlan = !genpkt_rand(g, 4);
			k.vlan_proto = 0x8100;
			k.vlan_tci = 5;
		}
		if (out)
			k.out = device(g, &dout, gp->oface);
		random_ct(g, &k, gp);
		if (!check_packet(&p, prog, &k)) {
			pair_close(&p);
			pair_open(&p, rs, m, mo);
		}
	}
	compare_counters(&p, m);
	pair_close(&p);
}

/*
 * Base chains of one priority become one program if no rule of theirs is left to others, as the
 * splitter has it.
 */
static void fuse_whole(struct plan *plan)
{
	int32_t apart = INT32_MAX;

	vec_foreach(&plan->progs, it) {
		const struct table *t = (*it)->base->table;
		bool whole = true;

		vec_foreach(&t->chains, c)
			vec_foreach(&(*c)->rules, r)
				whole = whole && plan_act(*it, *r).act != RULE_PUNT;
		if (!whole)
			(*it)->prio = apart--;
	}
	plan_fuse(plan);
}

static char *read_all(struct arena *a, size_t *len)
{
	FILE *f = fopen(path, "r");
	struct sbuf b;
	char buf[65536];
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	sb_init(&b, a);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		sb_add(&b, buf, n);
	fclose(f);
	*len = b.n;
	return b.s;
}

static struct ruleset *read_rules(struct arena *a, struct diag *d)
{
	struct parse_opts opts = { 0 };
	size_t len = strlen(path);
	char *buf;

	if (len > 4 && !strcmp(path + len - 4, ".nft"))
		return frontend_read_text(a, d, path, &opts);
	buf = read_all(a, &len);
	return frontend_read_netlink(a, d, path, buf, len);
}

static void cut_small(void)
{
	build_part_max = 40;
	build_prog_max = 150;
	cg_large = 0;
	opt_onebr_min = 0;
}

int main(int argc, char **argv)
{
	struct build_opts o = { .static_sets = true };
	struct fb_options fo = { .partial = FB_PARTIAL_ALWAYS, .static_sets = true };
	enum opt_level level = OPT_O0;
	bool machine = false, small = false;
	uint32_t n;

	for (; argc > 1 && argv[1][0] == '-'; argv++, argc--) {
		if (argv[1][1] == 'O')
			level = (enum opt_level)(argv[1][2] - '0');
		else if (argv[1][1] == 'm')
			build_mix_any = true;
		else if (argv[1][1] == 'w')
			build_many = 1;
		else if (argv[1][1] == 'p')
			fo.can_lower = build_can_lower;
		else if (argv[1][1] == 'v')
			machine = true;
		else if (argv[1][1] == 's')
			small = true;
	}
	if (small)
		cut_small();
	n = argc > 2 ? (uint32_t)atoi(argv[1]) : 0;
	if (!n) {
		fprintf(stderr, "usage: difftool [-O0|-O1|-O2] [-m] [-w] [-p] [-v] [-s] PACKETS "
				"RULESET...\n");
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		struct arena *a = arena_new();
		struct ruleset *rs;
		struct ir_mod *m, *mo;
		struct plan *plan;
		struct diag d;

		path = argv[i];
		diag_init(&d, a);
		rs = read_rules(a, &d);
		diag_flush(&d, stderr);
		if (!rs)
			return 1;
		plan = fo.can_lower ? fb_plan(rs, &fo) : plain_plan(rs, NULL);
		if (!small)
			fuse_whole(plan);
		o.dispatch = level == OPT_O2;
		o.dispatch = false;
		m = build_module(a, &d, plan, &o);
		o.dispatch = level == OPT_O2;
		mo = build_module(a, &d, plan, &o);
		opt_run(mo, level, true);
		if (machine) {
			struct ir_mod *mc = build_module(a, &d, plan, &o);

			opt_run(mc, level, true);
			object = cg_module(mc);
			diag_flush(&d, stderr);
		}
		for (uint32_t k = 0, which = 0; k < plan->progs.n; k++)
			if (!plan->progs.v[k]->behind)
				check_prog(a, rs, m, mo, which++, plan->progs.v[k], n);
		arena_free(a);
	}
	printf("%u runs, %u punts, %u skipped, %u different\n", n_runs, n_punts, n_skipped,
	       n_differ);
	if (n_machine)
		printf("%u runs of instructions, %.1f a packet\n", n_machine,
		       (double)n_steps / n_machine);
	return n_differ != 0;
}
