// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of the splitter and of the printer: small rulesets built by hand, the plan and the fallback
 * that must come of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linux/netfilter/nf_tables.h>

#include "fallback.h"

struct fix {
	struct arena *a;
	struct diag d;
	struct ruleset *rs;
	struct table *t;
	struct chain *c;
};

static int setup(void **state)
{
	struct arena *a = arena_new();
	struct fix *f = arena_new_of(a, struct fix);

	f->a = a;
	diag_init(&f->d, a);
	f->rs = ruleset_new(a, &f->d);
	f->t = arena_new_of(a, struct table);
	f->t->rs = f->rs;
	f->t->family = FAM_INET;
	f->t->name = "t";
	*vec_push(a, &f->rs->tables) = f->t;
	f->c = arena_new_of(a, struct chain);
	f->c->table = f->t;
	f->c->name = "in";
	f->c->is_base = true;
	f->c->type = "filter";
	f->c->hook = HOOK_INPUT;
	f->c->has_policy = true;
	f->c->policy = V_DROP;
	*vec_push(a, &f->t->chains) = f->c;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	arena_free(f->a);
	return 0;
}

static struct chain *user_chain(struct fix *f, const char *name)
{
	struct chain *c = arena_new_of(f->a, struct chain);

	c->table = f->t;
	c->name = name;
	c->index = f->t->chains.n;
	*vec_push(f->a, &f->t->chains) = c;
	return c;
}

static struct rule *rule(struct fix *f, struct chain *c)
{
	struct rule *r = arena_new_of(f->a, struct rule);

	r->chain = c;
	r->index = c->rules.n;
	*vec_push(f->a, &c->rules) = r;
	return r;
}

static struct expr *add(struct fix *f, struct rule *r, enum expr_kind k)
{
	struct expr *e = expr_new(f->a, k, (struct loc){ 0 });

	*vec_push(f->a, &r->exprs) = e;
	return e;
}

static void cmp(struct fix *f, struct rule *r, enum cmp_op op, const void *b, size_t n)
{
	struct expr *e = add(f, r, EX_CMP);

	e->cmp.sreg = 1;
	e->cmp.op = op;
	e->cmp.data = data_bytes(b, n);
}

static void dport(struct fix *f, struct rule *r, uint8_t port)
{
	struct expr *e = add(f, r, EX_META);

	e->meta.dreg = 1;
	e->meta.key = NFT_META_L4PROTO;
	cmp(f, r, CMP_EQ, "\6", 1);
	e = add(f, r, EX_PAYLOAD);
	e->payload.dreg = 1;
	e->payload.base = PB_TRANSPORT;
	e->payload.off = 2;
	e->payload.len = 2;
	cmp(f, r, CMP_EQ, (uint8_t[]){ 0, port }, 2);
}

static void ct(struct fix *f, struct rule *r, uint32_t key, uint32_t mask)
{
	struct expr *e = add(f, r, EX_CT);

	e->ct.dreg = 1;
	e->ct.key = key;
	if (key == NFT_CT_MARK) {
		cmp(f, r, CMP_EQ, &mask, 4);
		return;
	}
	e = add(f, r, EX_BITWISE);
	e->bitwise.sreg = e->bitwise.dreg = 1;
	e->bitwise.len = 4;
	e->bitwise.mask = data_bytes(&mask, 4);
	e->bitwise.xor = data_bytes("\0\0\0", 4);
	cmp(f, r, CMP_NEQ, "\0\0\0", 4);
}

static void limit(struct fix *f, struct rule *r)
{
	struct expr *e = add(f, r, EX_LIMIT);

	e->limit.rate = 5;
	e->limit.unit = 1;
	e->limit.burst = 5;
}

static void reject(struct fix *f, struct rule *r)
{
	add(f, r, EX_REJECT)->reject.type = NFT_REJECT_TCP_RST;
}

static void verdict(struct fix *f, struct rule *r, enum verdict_code code, struct chain *to)
{
	struct expr *e = add(f, r, EX_IMMEDIATE);

	e->imm.dreg = REG_VERDICT;
	e->imm.verdict = (struct verdict){ code, to };
}

static struct rule *port_rule(struct fix *f, struct chain *c, uint8_t port, enum verdict_code code)
{
	struct rule *r = rule(f, c);

	dport(f, r, port);
	verdict(f, r, code, NULL);
	return r;
}

static struct rule *reject_rule(struct fix *f, struct chain *c, uint8_t port)
{
	struct rule *r = rule(f, c);

	dport(f, r, port);
	reject(f, r);
	return r;
}

static struct plan *plan(struct fix *f, enum fb_partial partial)
{
	struct fb_options o = { .partial = partial };

	return fb_plan(f->rs, &o);
}

static enum rule_action act(const struct plan *p, const struct rule *r)
{
	return plan_act(p->progs.v[0], r).act;
}

static void prints(struct fix *f, const struct rule *r, const char *want)
{
	static const struct fb_print_opts o = { .elements = true };
	struct sbuf b;

	sb_init(&b, f->a);
	assert_true(fb_print_rule(r, &o, &b));
	assert_string_equal(b.s, want);
}

static void test_words(void **state)
{
	struct fix *f = *state;
	struct rule *r = port_rule(f, f->c, 22, V_ACCEPT);

	prints(f, r, "tcp dport 22 accept");
	r = rule(f, f->c);
	ct(f, r, NFT_CT_STATE, 6);
	verdict(f, r, V_ACCEPT, NULL);
	prints(f, r, "ct state established,related accept");
	r = rule(f, f->c);
	dport(f, r, 22);
	r->exprs.v += 2; /* without its dependency: the port alone has no protocol */
	r->exprs.n -= 2;
	prints(f, r, "th dport 22");
}

static void test_whole(void **state)
{
	struct fix *f = *state;
	struct plan *p;

	port_rule(f, f->c, 22, V_ACCEPT);
	p = plan(f, FB_PARTIAL_ALWAYS);
	assert_int_equal(p->progs.n, 2);
	assert_true(p->fallback_empty);
	assert_int_equal(p->n_bpf, 1);
	assert_int_equal(fb_strict_count(p), 0);
}

static void test_guards(void **state)
{
	struct fix *f = *state;
	struct rule *est = rule(f, f->c), *web, *rej, *last;
	struct plan *p;

	ct(f, est, NFT_CT_STATE, 6);
	verdict(f, est, V_ACCEPT, NULL);
	web = port_rule(f, f->c, 80, V_ACCEPT);
	rej = reject_rule(f, f->c, 23);
	last = port_rule(f, f->c, 22, V_ACCEPT);
	p = plan(f, FB_PARTIAL_ALWAYS);
	assert_int_equal(act(p, est), RULE_LOWER);
	assert_int_equal(act(p, rej), RULE_PUNT);
	assert_int_equal(plan_act(p->progs.v[0], rej).n_match, 4);
	assert_int_equal(act(p, last), RULE_LOWER);
	assert_non_null(strstr(p->fallback, "policy accept"));
	assert_non_null(strstr(p->fallback, "ct state established,related accept"));
	assert_non_null(strstr(p->fallback, "tcp dport 23 reject with tcp reset"));
	assert_null(strstr(p->fallback, "tcp dport 80")); /* disjoint */
	assert_null(strstr(p->fallback, "tcp dport 22")); /* behind the last punt */
	assert_int_equal(act(p, web), RULE_LOWER);
}

static void test_state_is_kept_once(void **state)
{
	struct fix *f = *state;
	struct rule *log = rule(f, f->c), *lim = rule(f, f->c), *other = rule(f, f->c);
	struct plan *p;

	dport(f, log, 22);
	add(f, log, EX_LOG);
	dport(f, lim, 22);
	limit(f, lim);
	verdict(f, lim, V_ACCEPT, NULL);
	dport(f, other, 80);
	limit(f, other);
	verdict(f, other, V_ACCEPT, NULL);
	p = plan(f, FB_PARTIAL_ALWAYS);
	assert_int_equal(act(p, lim), RULE_PUNT);    /* the residue counts it for logged packets */
	assert_int_equal(act(p, other), RULE_LOWER); /* no logged packet comes to it */
}

static void test_volatile_decides(void **state)
{
	struct fix *f = *state;
	struct rule *mark = rule(f, f->c), *drop, *rej;
	struct plan *p;

	ct(f, mark, NFT_CT_MARK, 1);
	verdict(f, mark, V_ACCEPT, NULL);
	drop = rule(f, f->c);
	limit(f, drop);
	verdict(f, drop, V_DROP, NULL);
	rej = reject_rule(f, f->c, 23);
	p = plan(f, FB_PARTIAL_ALWAYS);
	assert_int_equal(act(p, mark), RULE_PUNT);
	assert_int_equal(plan_act(p->progs.v[0], mark).n_match, 0);
	assert_int_equal(act(p, drop), RULE_NEVER);
	assert_int_equal(act(p, rej), RULE_NEVER);
}

static void test_drop_needs_no_guard(void **state)
{
	struct fix *f = *state;
	struct rule *drop = rule(f, f->c), *rej;
	struct plan *p;

	limit(f, drop);
	verdict(f, drop, V_DROP, NULL);
	rej = reject_rule(f, f->c, 23);
	p = plan(f, FB_PARTIAL_ALWAYS);
	assert_int_equal(act(p, drop), RULE_LOWER); /* what it drops never comes to the residue */
	assert_int_equal(act(p, rej), RULE_PUNT);
	assert_null(strstr(p->fallback, "limit"));
}

static void test_punt_in_a_called_chain(void **state)
{
	struct fix *f = *state;
	struct chain *u = user_chain(f, "u");
	struct rule *j = rule(f, f->c), *log;
	struct plan *p;

	dport(f, j, 22);
	verdict(f, j, V_JUMP, u);
	port_rule(f, f->c, 80, V_ACCEPT);
	log = rule(f, u);
	add(f, log, EX_LOG);
	p = plan(f, FB_PARTIAL_ALWAYS);
	assert_int_equal(act(p, j), RULE_LOWER);
	assert_int_equal(act(p, log), RULE_PUNT);
	/* After the callee's end comes the caller's rest, then the policy. */
	assert_non_null(strstr(p->fallback, "jump u\n"));
	assert_non_null(strstr(p->fallback, "tcp dport 80 accept"));
	assert_non_null(strstr(p->fallback, "\t\tdrop\n"));
}

static void test_never(void **state)
{
	struct fix *f = *state;
	struct plan *p;

	reject_rule(f, f->c, 23);
	p = plan(f, FB_PARTIAL_NEVER);
	assert_int_equal(p->progs.n, 0);
	assert_non_null(strstr(p->fallback, "policy drop"));
	assert_true(fb_strict_count(p) > 0);
}

static void test_conntrack_is_switched_on(void **state)
{
	struct fix *f = *state;
	struct rule *r = rule(f, f->c);
	struct plan *p;

	ct(f, r, NFT_CT_STATE, 6);
	verdict(f, r, V_ACCEPT, NULL);
	p = plan(f, FB_PARTIAL_AUTO);
	assert_false(p->fallback_empty);
	assert_non_null(strstr(p->fallback, "ct state invalid"));
	assert_int_equal(p->n_bpf, 1);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_words),
		T(test_whole),
		T(test_guards),
		T(test_state_is_kept_once),
		T(test_volatile_decides),
		T(test_drop_needs_no_guard),
		T(test_punt_in_a_called_chain),
		T(test_never),
		T(test_conntrack_is_switched_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
