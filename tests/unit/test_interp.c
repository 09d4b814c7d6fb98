// SPDX-License-Identifier: GPL-2.0-or-later
/* The reference interpreter: corners of nf_tables' semantics, on rulesets built by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "interp.h"

/* One table "inet t" with a base chain and, where wanted, more chains and sets. */
struct fix {
	struct arena *a;
	struct diag d;
	struct ruleset *rs;
	struct table *t;
	struct chain *base;
};

static struct chain *add_chain(struct fix *f, const char *name)
{
	struct chain *c = arena_new_of(f->a, struct chain);

	c->table = f->t;
	c->name = name;
	c->index = f->t->chains.n;
	c->policy = V_ACCEPT;
	*vec_push(f->a, &f->t->chains) = c;
	return c;
}

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
	f->base = add_chain(f, "c");
	f->base->is_base = true;
	f->base->hook = HOOK_INPUT;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	arena_free(((struct fix *)*state)->a);
	return 0;
}

static struct rule *add_rule(struct fix *f, struct chain *c)
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

static void add_verdict(struct fix *f, struct rule *r, enum verdict_code v, struct chain *to)
{
	struct expr *e = add(f, r, EX_IMMEDIATE);

	e->imm.dreg = REG_VERDICT;
	e->imm.verdict.code = v;
	e->imm.verdict.chain = to;
}

static void add_load(struct fix *f, struct rule *r, enum payload_base b, uint16_t off, uint8_t len)
{
	struct expr *e = add(f, r, EX_PAYLOAD);

	e->payload.dreg = 1;
	e->payload.base = b;
	e->payload.off = off;
	e->payload.len = len;
}

static void add_cmp(struct fix *f, struct rule *r, enum cmp_op op, const void *p, size_t n)
{
	struct expr *e = add(f, r, EX_CMP);

	e->cmp.sreg = 1;
	e->cmp.op = op;
	e->cmp.data = data_bytes(p, n);
}

static void add_meta(struct fix *f, struct rule *r, uint32_t key)
{
	struct expr *e = add(f, r, EX_META);

	e->meta.dreg = 1;
	e->meta.key = key;
}

/* UDP from 10.0.0.1:1000 to 10.0.0.2:53 */
static const uint8_t udp4[] = {
	0x45, 0, 0, 32, 0,    1,    0, 0,  64, 17, 0, 0, 10,  0,   0,	1,
	10,   0, 0, 2,	0x03, 0xe8, 0, 53, 0,  12, 0, 0, 'a', 'b', 'c', 'd'
};

static struct pkt pkt4(void)
{
	return (struct pkt){ .l3 = udp4, .len = sizeof(udp4), .pf = FAM_IP, .hook = HOOK_INPUT };
}

static struct interp_result run(struct fix *f, const struct pkt *p)
{
	struct interp *in = interp_new(f->rs);
	struct interp_result r;

	interp_run(in, f->base, p, &r);
	interp_free(in);
	return r;
}

static void port_rule(struct fix *f, enum verdict_code v)
{
	struct rule *r = add_rule(f, f->base);

	add_load(f, r, PB_TRANSPORT, 2, 2);
	add_cmp(f, r, CMP_EQ, "\0\x35", 2);
	add_verdict(f, r, v, NULL);
}

static void port_matches(void **state)
{
	struct fix *f = *state;
	struct pkt p = pkt4();

	port_rule(f, V_DROP);
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
	p.len = 23; /* the port's second byte is missing */
	assert_int_equal(run(f, &p).verdict, INTERP_ACCEPT);
}

static void later_fragment_has_no_ports(void **state)
{
	struct fix *f = *state;
	uint8_t b[sizeof(udp4)];
	struct pkt p = pkt4();

	memcpy(b, udp4, sizeof(b));
	b[7] = 1;
	p.l3 = b;
	port_rule(f, V_DROP);
	assert_int_equal(run(f, &p).verdict, INTERP_ACCEPT);
}

static void ip6_later_fragment_keeps_protocol(void **state)
{
	static const uint8_t b[56] = { 0x60, 0, 0, 0, 0, 16, 44, 64, [40] = 17, 0, 0, 8 };
	struct fix *f = *state;
	struct pkt p = { .l3 = b, .len = sizeof(b), .pf = FAM_IP6 };
	struct rule *r = add_rule(f, f->base);

	add_meta(f, r, KEY_META_L4PROTO);
	add_cmp(f, r, CMP_EQ, "\x11", 1);
	add_load(f, r, PB_TRANSPORT, 0, 2);
	add_verdict(f, r, V_ACCEPT, NULL);
	r = add_rule(f, f->base);
	add_meta(f, r, KEY_META_L4PROTO);
	add_cmp(f, r, CMP_EQ, "\x11", 1);
	add_verdict(f, r, V_DROP, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
}

static void ip6_truncated_walk_has_no_protocol(void **state)
{
	static const uint8_t b[41] = { 0x60, 0, 0, 0, 0, 1, 0, 64 };
	struct fix *f = *state;
	struct pkt p = { .l3 = b, .len = sizeof(b), .pf = FAM_IP6 };
	struct rule *r = add_rule(f, f->base);

	add_meta(f, r, KEY_META_L4PROTO);
	add_verdict(f, r, V_DROP, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_ACCEPT);
}

static void goto_out_of_base_ends_in_policy(void **state)
{
	struct fix *f = *state;
	struct chain *to = add_chain(f, "to");
	struct pkt p = pkt4();

	add_verdict(f, add_rule(f, f->base), V_GOTO, to);
	add_verdict(f, add_rule(f, f->base), V_DROP, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_ACCEPT);
	f->base->policy = V_DROP;
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
}

static void goto_in_jumped_chain_returns_to_jumper(void **state)
{
	struct fix *f = *state;
	struct chain *one = add_chain(f, "one"), *two = add_chain(f, "two");
	struct pkt p = pkt4();

	add_verdict(f, add_rule(f, f->base), V_JUMP, one);
	add_verdict(f, add_rule(f, f->base), V_DROP, NULL);
	add_verdict(f, add_rule(f, one), V_GOTO, two);
	add_verdict(f, add_rule(f, one), V_ACCEPT, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
}

static void sixteen_jumps_fit(void **state)
{
	struct fix *f = *state;
	struct chain *c[16], *at = f->base;
	struct pkt p = pkt4();

	for (int i = 0; i < 16; i++) {
		c[i] = add_chain(f, arena_printf(f->a, "j%d", i));
		add_verdict(f, add_rule(f, at), V_JUMP, c[i]);
		at = c[i];
	}
	add_verdict(f, add_rule(f, f->base), V_DROP, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
}

/* Registers overlay: 2 bytes into register 1, then all 4 compared. */
static void short_loads_clear_the_word(void **state)
{
	struct fix *f = *state;
	struct rule *r = add_rule(f, f->base);
	struct pkt p = pkt4();

	add_load(f, r, PB_NETWORK, 12, 4);
	add_load(f, r, PB_TRANSPORT, 2, 2);
	add_cmp(f, r, CMP_EQ, "\0\x35\0\0", 4);
	add_verdict(f, r, V_DROP, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
}

static void missing_device_has_index_0_and_no_name(void **state)
{
	static const char none[16] = "";
	struct fix *f = *state;
	struct rule *r = add_rule(f, f->base);
	struct pkt p = pkt4();

	add_meta(f, r, KEY_META_OIFNAME);
	add_cmp(f, r, CMP_EQ, none, 16);
	add_meta(f, r, KEY_META_OIF);
	add_cmp(f, r, CMP_EQ, "\0\0\0\0", 4);
	add_verdict(f, r, V_DROP, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
	r = add_rule(f, f->base);
	memmove(f->base->rules.v + 1, f->base->rules.v, sizeof(r));
	f->base->rules.v[0] = r;
	add_meta(f, r, KEY_META_OIFTYPE); /* breaks */
	add_verdict(f, r, V_ACCEPT, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
}

static void ct_state_never_breaks(void **state)
{
	static const struct {
		enum pkt_ct_kind kind;
		uint8_t info;
		uint32_t bit;
	} cases[] = { { PKT_CT_NONE, 0, 1 },  { PKT_CT_UNTRACKED, 7, 64 }, { PKT_CT_ENTRY, 0, 2 },
		      { PKT_CT_ENTRY, 3, 2 }, { PKT_CT_ENTRY, 1, 4 },	   { PKT_CT_ENTRY, 4, 4 },
		      { PKT_CT_ENTRY, 2, 8 } };
	struct fix *f = *state;
	struct rule *r = add_rule(f, f->base);
	struct expr *e = add(f, r, EX_CT);
	struct pkt p = pkt4();

	e->ct.dreg = 1;
	e->ct.key = KEY_CT_STATE;
	add_cmp(f, r, CMP_EQ, "\0\0\0\0", 4);
	add_verdict(f, r, V_DROP, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		p.ct.kind = cases[i].kind;
		p.ct.info = cases[i].info;
		r->exprs.v[1]->cmp.data = data_bytes(&cases[i].bit, 4);
		assert_int_equal(run(f, &p).verdict, INTERP_DROP);
	}
	e->ct.key = KEY_CT_MARK; /* breaks without an entry */
	r->exprs.v[1]->cmp.data = data_bytes("\0\0\0\0", 4);
	p.ct.kind = PKT_CT_TEMPLATE;
	assert_int_equal(run(f, &p).verdict, INTERP_ACCEPT);
}

static void limit_gives_a_burst_then_a_rate(void **state)
{
	struct fix *f = *state;
	struct rule *r = add_rule(f, f->base);
	struct expr *e = add(f, r, EX_LIMIT);
	struct pkt p = pkt4();
	struct interp *in;
	struct interp_result res;
	unsigned int drops = 0;

	e->limit.rate = 10;
	e->limit.unit = 1;
	e->limit.burst = 3;
	add_verdict(f, r, V_DROP, NULL);
	in = interp_new(f->rs);
	p.mono_ns = 5;
	for (int i = 0; i < 10; i++) {
		interp_run(in, f->base, &p, &res);
		drops += res.verdict == INTERP_DROP;
	}
	assert_int_equal(drops, 3);
	p.mono_ns += 99999999; /* one nanosecond short of a packet's cost */
	interp_run(in, f->base, &p, &res);
	assert_int_equal(res.verdict, INTERP_ACCEPT);
	p.mono_ns += 1;
	interp_run(in, f->base, &p, &res);
	assert_int_equal(res.verdict, INTERP_DROP);
	interp_free(in);
}

static void quota_counts_past_its_end(void **state)
{
	struct fix *f = *state;
	struct rule *r = add_rule(f, f->base);
	struct expr *e = add(f, r, EX_QUOTA);
	struct pkt p = pkt4();
	struct interp_result res;
	struct interp *in;

	e->quota.bytes = 2 * sizeof(udp4);
	add_verdict(f, r, V_DROP, NULL);
	in = interp_new(f->rs);
	for (int i = 0; i < 4; i++) {
		interp_run(in, f->base, &p, &res);
		assert_int_equal(res.verdict, i < 2 ? INTERP_DROP : INTERP_ACCEPT);
	}
	assert_int_equal(interp_state_of(in, e)->quota.consumed, 4 * sizeof(udp4));
	interp_free(in);
}

static struct set *add_set(struct fix *f, uint32_t flags, uint8_t key_len)
{
	struct set *s = arena_new_of(f->a, struct set);

	s->table = f->t;
	s->name = "s";
	s->flags = flags;
	s->key_len = key_len;
	s->n_fields = 1;
	s->field_len[0] = key_len;
	*vec_push(f->a, &f->t->sets) = s;
	return s;
}

static struct set_elem *add_elem(struct fix *f, struct set *s, const void *k, const void *end)
{
	struct set_elem *el = arena_new_of(f->a, struct set_elem);

	el->key = data_bytes(k, s->key_len);
	if (end)
		el->key_end = data_bytes(end, s->key_len);
	*vec_push(f->a, &s->elems) = el;
	return el;
}

static void ranges_and_catchall(void **state)
{
	struct fix *f = *state;
	struct set *s = add_set(f, SET_INTERVAL, 2);
	struct rule *r = add_rule(f, f->base);
	struct expr *e;
	struct pkt p = pkt4();

	add_elem(f, s, "\0\x10", "\0\x34");
	add_elem(f, s, "\0\x36", "\0\x40");
	add_load(f, r, PB_TRANSPORT, 2, 2);
	e = add(f, r, EX_LOOKUP);
	e->lookup.sreg = 1;
	e->lookup.set = s;
	add_verdict(f, r, V_DROP, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_ACCEPT);
	e->lookup.inv = true;
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
	e->lookup.inv = false;
	add_elem(f, s, "\0\0", NULL)->catchall = true;
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
}

static void dynset_fills_expires_and_updates(void **state)
{
	struct fix *f = *state;
	struct set *s = add_set(f, SET_TIMEOUT | SET_EVAL, 4);
	struct rule *r = add_rule(f, f->base);
	struct expr *e;
	struct pkt p = pkt4();
	uint8_t b[sizeof(udp4)];
	struct interp *in;
	struct interp_result res;

	s->timeout = 1000;
	s->size = 1;
	add_load(f, r, PB_NETWORK, 12, 4);
	e = add(f, r, EX_DYNSET);
	e->dynset.sreg_key = 1;
	e->dynset.set = s;
	e->dynset.op = DYN_ADD;
	add_verdict(f, r, V_DROP, NULL);
	in = interp_new(f->rs);
	interp_run(in, f->base, &p, &res);
	assert_int_equal(res.verdict, INTERP_DROP);
	memcpy(b, udp4, sizeof(b));
	b[15] = 9; /* another source: the set is full */
	p.l3 = b;
	interp_run(in, f->base, &p, &res);
	assert_int_equal(res.verdict, INTERP_ACCEPT);
	p.mono_ns = 1000000000u; /* the first one is gone */
	interp_run(in, f->base, &p, &res);
	assert_int_equal(res.verdict, INTERP_DROP);
	interp_free(in);
}

static void numgen_starts_at_0(void **state)
{
	struct fix *f = *state;
	struct rule *r = add_rule(f, f->base);
	struct expr *e = add(f, r, EX_NUMGEN);
	struct pkt p = pkt4();
	struct interp *in;
	struct interp_result res;

	e->numgen.dreg = 1;
	e->numgen.mod = 2;
	add_cmp(f, r, CMP_EQ, "\0\0\0\0", 4);
	add_verdict(f, r, V_DROP, NULL);
	in = interp_new(f->rs);
	for (int i = 0; i < 4; i++) {
		interp_run(in, f->base, &p, &res);
		assert_int_equal(res.verdict, i % 2 ? INTERP_ACCEPT : INTERP_DROP);
	}
	interp_free(in);
}

static void shifts_carry_between_words(void **state)
{
	struct fix *f = *state;
	struct rule *r = add_rule(f, f->base);
	struct expr *e;
	struct pkt p = pkt4();
	uint32_t want[2], in[2], n = 4;

	memcpy(in, udp4 + 12, 8);
	want[0] = in[0] << 4 | in[1] >> 28;
	want[1] = in[1] << 4;
	add_load(f, r, PB_NETWORK, 12, 8);
	e = add(f, r, EX_BITWISE);
	e->bitwise.sreg = e->bitwise.dreg = 1;
	e->bitwise.op = BW_LSHIFT;
	e->bitwise.len = 8;
	e->bitwise.data = data_bytes(&n, 4);
	add_cmp(f, r, CMP_EQ, want, 8);
	add_verdict(f, r, V_DROP, NULL);
	assert_int_equal(run(f, &p).verdict, INTERP_DROP);
}

static void says_what_it_does_not_model(void **state)
{
	struct fix *f = *state;
	struct rule *r = add_rule(f, f->base);
	struct expr *e = add(f, r, EX_FIB);
	struct pkt p = pkt4();
	struct interp_result res;

	e->fib.dreg = 1;
	res = run(f, &p);
	assert_int_equal(res.verdict, INTERP_UNSUPPORTED);
	assert_ptr_equal(res.expr, e);
	assert_ptr_equal(res.rule, r);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(port_matches),
		T(later_fragment_has_no_ports),
		T(ip6_later_fragment_keeps_protocol),
		T(ip6_truncated_walk_has_no_protocol),
		T(goto_out_of_base_ends_in_policy),
		T(goto_in_jumped_chain_returns_to_jumper),
		T(sixteen_jumps_fit),
		T(short_loads_clear_the_word),
		T(missing_device_has_index_0_and_no_name),
		T(ct_state_never_breaks),
		T(limit_gives_a_burst_then_a_rate),
		T(quota_counts_past_its_end),
		T(ranges_and_catchall),
		T(dynset_fills_expires_and_updates),
		T(numgen_starts_at_0),
		T(shifts_carry_between_words),
		T(says_what_it_does_not_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
