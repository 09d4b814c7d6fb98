// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A property of all passes: random functions, run in a random environment, decide and do the same
 * before and behind each pass, and behind printing and reading back.
 *
 *	test_irprop [SEED [COUNT]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ir/pass.h"
#include "irinterp.h"

/* -- a random environment ---------------------------------------------------------------------- */

struct world {
	uint64_t seed, trace;
	uint32_t effects;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ b * 0xff51afd7ed558ccdull) * 0x9e3779b97f4a7c15ull;

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return h ^ h >> 29;
}

/* Values from a small range, so that tests are passed now and then. */
static uint64_t small(uint64_t h)
{
	return h % 5 ? h >> 40 & 7 : h;
}

static uint64_t w_ctx(void *d)
{
	return 8;
}

static uint64_t w_ldf(void *d, enum ir_field f, uint64_t base, int64_t off, uint32_t size)
{
	struct world *w = d;
	uint64_t h = mix(w->seed, mix(f, mix(base, (uint64_t)off)));

	if (f == FLD_skb_len)
		return h % 80;
	return small(h);
}

static uint8_t w_byte(void *d, uint64_t off)
{
	struct world *w = d;

	uint64_t h = mix(w->seed, off + 77);

	return h % 8 ? h >> 40 & h >> 41 & 1
		     : (uint8_t)h; /* mostly 0, so that tests of several bytes pass */
}

static uint64_t hash_words(uint64_t h, const uint64_t *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		h = mix(h, v[i]);
	return h;
}

static uint64_t w_look(void *d, uint32_t set, const uint64_t *v, uint32_t n)
{
	struct world *w = d;
	/* A mutable set changes with every effect. */
	uint64_t h = hash_words(mix(w->seed, set + 1000 + (set ? w->trace : 0)), v, n);

	return h % 3 ? 0 : (h >> 32 & 0xff) + 1;
}

static uint32_t w_eldw(void *d, uint32_t set, uint64_t elem, int64_t word)
{
	struct world *w = d;

	return (uint32_t)small(
		mix(w->seed, mix(set + (set ? w->trace : 0), mix(elem, (uint64_t)word))));
}

static uint64_t effect(struct world *w, uint64_t what)
{
	w->trace = mix(w->trace, what);
	w->effects++;
	return mix(w->trace, w->seed);
}

static bool w_eltest(void *d, uint32_t set, uint64_t elem, uint32_t len)
{
	return effect(d, mix(set, mix(elem, len))) & 1;
}

static uint32_t w_state(void *d, enum ir_op op, uint32_t state, uint32_t arg)
{
	return (uint32_t)effect(d, mix(op, mix(state, arg))) & 1;
}

static bool w_dynset(void *d, uint32_t n_set, const uint64_t *v, uint32_t n)
{
	return effect(d, hash_words(n_set + 5000, v, n)) & 1;
}

static uint64_t w_rt(void *d, enum ir_op op, uint32_t fn, const uint64_t *v, uint32_t n)
{
	struct world *w = d;

	if (op == IR_RTE)
		return small(effect(w, hash_words(fn + 9000, v, n)));
	return small(hash_words(mix(w->seed, fn + 7000), v, n));
}

static struct ir_env env_of(struct world *w)
{
	return (struct ir_env){ w,	w_ctx,	  w_ldf,   w_byte,   w_look,
				w_eldw, w_eltest, w_state, w_dynset, w_rt };
}

struct result {
	uint32_t verdict;
	uint32_t effects;
	uint64_t trace;
};

static struct result run_in(const struct ir_fn *fn, uint64_t seed)
{
	struct world w = { .seed = mix(seed, 1) };
	struct ir_env env = env_of(&w);
	struct result r = { .verdict = ir_interp(fn, &env, 100000) };

	r.effects = w.effects;
	r.trace = w.trace;
	return r;
}

/* -- random functions -------------------------------------------------------------------------- */

struct gen {
	uint64_t rnd;
	struct ir_cur c;
	VEC(struct ir_ins *) vals[4]; /* by type: what dominates the block at hand */
	struct ir_ins *skb, *len, *pkt[3];
};

static uint32_t rnd(struct gen *g, uint32_t n)
{
	g->rnd = mix(g->rnd, 0x1234567);
	return (uint32_t)(g->rnd >> 20) % n;
}

static void keep(struct gen *g, struct ir_ins *i)
{
	*vec_push(g->c.fn->mod->arena, &g->vals[i->type]) = i;
}

static struct ir_ins *pick(struct gen *g, enum ir_type t)
{
	static const uint64_t some[] = { 0,
					 1,
					 2,
					 3,
					 4,
					 5,
					 6,
					 7,
					 8,
					 20,
					 0x80,
					 0xff,
					 0x100,
					 0xffff,
					 0x10000,
					 UINT32_MAX,
					 UINT32_MAX + 1ull,
					 UINT64_MAX };

	if (!g->vals[t].n || !rnd(g, 4))
		return ir_const(&g->c, t, some[rnd(g, ARRAY_SIZE(some))]);
	return g->vals[t].v[g->vals[t].n - 1 - rnd(g, MIN(g->vals[t].n, 12))];
}

static struct ir_ins *gen_load(struct gen *g)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	static const enum ir_field fields[] = { FLD_skb_mark, FLD_skb_nfct, FLD_skb_protocol,
						FLD_skb_iif };
	uint8_t size = sizes[rnd(g, 4)];

	if (!rnd(g, 4))
		return ir_ldf(&g->c, fields[rnd(g, 4)], g->skb, 0);
	return ir_ldp(&g->c, g->pkt[rnd(g, 3)], rnd(g, 13), size);
}

static struct ir_ins *gen_alu(struct gen *g)
{
	static const enum ir_op bin[] = { IR_ADD, IR_SUB, IR_MUL, IR_UDIV, IR_UMOD,
					  IR_AND, IR_OR,  IR_XOR, IR_AND,  IR_XOR };
	static const enum ir_op cmp[] = {
		IR_EQ, IR_NE, IR_ULT, IR_UGE, IR_UGT, IR_ULE, IR_EQ, IR_EQ
	};
	static const enum ir_op un[] = { IR_BSWAP16, IR_BSWAP32, IR_ZEXT,   IR_TRUNC,
					 IR_B2W,     IR_NOT,	 IR_BSWAP64 };
	enum ir_type t = rnd(g, 3) ? IR_W : IR_L;
	enum ir_op op;
	struct ir_ins *sel[3];

	switch (rnd(g, 8)) {
	case 0:
	case 1:
		return ir_emit2(&g->c, bin[rnd(g, ARRAY_SIZE(bin))], t, pick(g, t), pick(g, t));
	case 2:
		return ir_emit2(&g->c, rnd(g, 2) ? IR_SHL : IR_LSHR, t, pick(g, t),
				ir_const(&g->c, t, rnd(g, t == IR_W ? 32 : 64)));
	case 3:
		op = un[rnd(g, ARRAY_SIZE(un))];
		t = ir_op_info[op].args[0] == 'B'   ? IR_B
		    : ir_op_info[op].args[0] == 'W' ? IR_W
						    : IR_L;
		return ir_emit1(&g->c, op, IR_W, pick(g, t));
	case 4:
		sel[0] = pick(g, IR_B);
		sel[1] = pick(g, t);
		sel[2] = pick(g, t);
		return ir_emit(&g->c, IR_SEL, t, 3, sel);
	case 5:
		return ir_emit2(&g->c, rnd(g, 2) ? IR_AND : IR_OR, IR_B, pick(g, IR_B),
				pick(g, IR_B));
	default:
		return ir_emit2(&g->c, cmp[rnd(g, ARRAY_SIZE(cmp))], IR_B, pick(g, t), pick(g, t));
	}
}

static void gen_effect(struct gen *g)
{
	/* by kind of state, of each of which there are four */
	static const enum ir_op ops[] = { IR_COUNT, IR_LIMIT, IR_QUOTA, IR_LAST, IR_NUMGEN };
	uint32_t kind = rnd(g, ARRAY_SIZE(ops));
	enum ir_op op = ops[kind];
	struct ir_ins *i, *a = pick(g, IR_W), *w[2];

	if (!rnd(g, 4)) {
		w[0] = pick(g, IR_W);
		w[1] = pick(g, IR_W);
		i = ir_emit(&g->c, rnd(g, 2) ? IR_LOOK : IR_CLOOK, IR_L, 2, w);
		i->aux = i->op == IR_LOOK;
		keep(g, i);
		a = ir_emit1(&g->c, i->op == IR_LOOK ? IR_ELDW : IR_CELDW, IR_W, i);
		a->aux = i->aux;
		a->imm = rnd(g, 2);
		keep(g, a);
		return;
	}
	i = ir_emit(&g->c, op, IR_V, ir_op_info[op].args[0] ? 1 : 0, &a);
	i->aux = 4 * kind + rnd(g, 4);
	if (i->type != IR_V)
		keep(g, i);
}

/* A test of the kind that rules make: a loaded value against a constant, or the length. */
static struct ir_ins *gen_cond(struct gen *g)
{
	struct ir_ins *x;
	uint64_t k;

	switch (rnd(g, 8)) {
	case 0:
		return pick(g, IR_B);
	case 1:
		x = ir_emit2(&g->c, IR_ADD, IR_W, g->pkt[2]->args[0],
			     ir_const(&g->c, IR_W, rnd(g, 30)));
		return ir_emit2(&g->c, rnd(g, 2) ? IR_ULE : IR_UGT, IR_B, x, g->len);
	case 2:
		return ir_emit2(&g->c, rnd(g, 2) ? IR_UGE : IR_ULT, IR_B, g->len,
				ir_const(&g->c, IR_W, rnd(g, 80)));
	case 3:
		x = pick(g, IR_W);
		return ir_emit2(&g->c, (enum ir_op)(IR_EQ + rnd(g, 6)), IR_B, x,
				ir_const(&g->c, IR_W, rnd(g, 8)));
	default:
		x = gen_load(g);
		k = rnd(g, 8);
		if (!rnd(g, 3))
			x = ir_emit2(&g->c, IR_AND, (enum ir_type)x->type, x,
				     ir_const(&g->c, (enum ir_type)x->type, rnd(g, 256)));
		if (rnd(g, 3))
			k = g->rnd & g->rnd >> 9 & g->rnd >> 23 & 0x0101010101010101ull;
		return ir_emit2(&g->c, (enum ir_op)(IR_EQ + (rnd(g, 3) ? 0 : rnd(g, 6))), IR_B, x,
				ir_const(&g->c, (enum ir_type)x->type, k));
	}
}

static struct ir_ins *gen_bytes(struct gen *g)
{
	struct ir_ins *x = ir_ldp(&g->c, g->pkt[0], rnd(g, 10), (uint8_t)(1 << rnd(g, 3)));
	uint64_t ones = 0x01010101 & ((1ull << 8 * x->size) - 1),
		 k = rnd(g, 2) ? 0 : ones & g->rnd & g->rnd >> 9;

	if (!rnd(g, 3))
		x = ir_emit2(&g->c, IR_AND, IR_W, x,
			     ir_const(&g->c, IR_W, g->rnd >> 7 & 0xffffffff));
	return ir_emit2(&g->c, IR_EQ, IR_B, x, ir_const(&g->c, IR_W, k));
}

static void gen_start(struct gen *g)
{
	static const struct expr exprs[] = {
		{ .kind = EX_COUNTER },
		{ .kind = EX_LIMIT, .limit = { .rate = 1, .unit = 1 } },
		{ .kind = EX_QUOTA, .quota = { .bytes = 1 } },
		{ .kind = EX_LAST },
		{ .kind = EX_NUMGEN, .numgen = { .mod = 2 } },
	};
	struct ir_ins *ihl, *i;
	struct ir_mod *m = g->c.fn->mod;

	for (int k = 0; k < 20; k++)
		*vec_push(m->arena,
			  &m->states) = (struct ir_state){ .kind = (enum ir_state_kind)(k / 4),
							   .expr = &exprs[k / 4] };
	i = ir_emit(&g->c, IR_CTX, IR_L, 0, NULL);
	g->skb = ir_ldf(&g->c, FLD_ctx_skb, i, 0);
	g->len = ir_ldf(&g->c, FLD_skb_len, g->skb, 0);
	keep(g, g->len);
	for (int k = 0; k < 2; k++) {
		g->pkt[k] = ir_emit1(&g->c, IR_PKT, IR_L, ir_const(&g->c, IR_W, k ? 14 : 0));
		g->pkt[k]->imm = 24;
	}
	ihl = ir_emit2(&g->c, IR_AND, IR_W, ir_ldp(&g->c, g->pkt[0], 0, 1),
		       ir_const(&g->c, IR_W, 15));
	ihl = ir_emit2(&g->c, IR_SHL, IR_W, ihl, ir_const(&g->c, IR_W, 2));
	g->pkt[2] = ir_emit1(&g->c, IR_PKT, IR_L, ihl);
	g->pkt[2]->imm = 20;
}

/*
 * The value that a join sees: a phi over what its predecessors have in common, which is what is
 * known at its dominator.
 */
static void gen_phi(struct gen *g, struct ir_block *b)
{
	enum ir_type t = rnd(g, 2) ? IR_W : IR_B;
	struct ir_ins *i;

	if (b->preds.n < 2 || rnd(g, 2))
		return;
	i = ir_ins_new(g->c.fn, IR_PHI, t, b->preds.n);
	for (uint32_t k = 0; k < b->preds.n; k++) {
		i->args[k] = pick(g, t);
		for (uint32_t p = 0; p < k; p++) /* two edges of one block bring the same */
			if (b->preds.v[p] == b->preds.v[k])
				i->args[k] = i->args[p];
	}
	if (b->first)
		ir_insert_before(b->first, i);
	else
		ir_append(b, i);
	keep(g, i);
}

/*
 * Rules in a row, each a few tests that lead to the next rule, then a body that ends or falls
 * through: what builders make; with random jumps ahead, so that ways join.
 */
static struct ir_mod *gen_mod(struct arena *a, struct diag *d, uint64_t seed)
{
	struct gen g = { .rnd = mix(seed, 99) };
	struct ir_mod *m = ir_mod_new(a, d);
	struct ir_block *heads[14];
	uint32_t n_rules = 2 + rnd(&g, 11), base[4];

	g.c.fn = ir_fn_new(m, IR_FN_PROG, "f");
	g.c.blk = ir_block_new(g.c.fn);
	{
		static struct table t = { .family = FAM_IP, .name = "t" };
		static struct set s = { .table = &t,
					.name = "s",
					.key_len = 8,
					.n_fields = 2,
					.field_len = { 4, 4 },
					.data_len = 8 };

		*vec_push(a, &m->sets) = (struct ir_set){ .set = &s, .kind = SK_CONST };
		*vec_push(a, &m->sets) = (struct ir_set){ .set = &s, .kind = SK_MUTABLE };
	}
	gen_start(&g);
	for (uint32_t k = 0; k <= n_rules; k++)
		heads[k] = ir_block_new(g.c.fn);
	ir_jmp(&g.c, heads[0]);
	for (uint32_t k = 0; k < n_rules; k++) {
		struct ir_block *next = heads[k + 1];
		uint32_t tests = rnd(&g, 4);
		bool plain = rnd(&g, 2); /* bytes of one packet compared, and nothing else */

		g.c.blk = heads[k];
		for (int t = 0; t < 4; t++)
			base[t] = g.vals[t].n;
		gen_phi(&g, heads[k]);
		while (tests--) {
			struct ir_block *body = ir_block_new(g.c.fn);
			struct ir_block *out = rnd(&g, 8) ? next
							  : heads[k + 1 + rnd(&g, n_rules - k)];
			struct ir_ins *cond;

			for (uint32_t n = plain ? 0 : rnd(&g, 3); n; n--)
				keep(&g, gen_alu(&g));
			if (!plain && !rnd(&g, 6))
				gen_effect(&g);
			cond = plain ? gen_bytes(&g) : gen_cond(&g);
			keep(&g, cond);
			if (plain || rnd(&g, 3))
				ir_br(&g.c, cond, body, out);
			else
				ir_br(&g.c, cond, out, body);
			g.c.blk = body;
		}
		if (!rnd(&g, 2))
			gen_effect(&g);
		switch (rnd(&g, 4)) {
		case 0:
		case 1:
			ir_ret(&g.c, rnd(&g, 2));
			break;
		case 2:
			ir_switch(&g.c, pick(&g, IR_W), 2, (int64_t[]){ 1, 3 },
				  (struct ir_block *[]){ next, heads[n_rules] }, next);
			break;
		default:
			ir_jmp(&g.c, next);
		}
		for (int t = 0; t < 4; t++) /* what the rule made dominates nothing behind it */
			g.vals[t].n = MIN(g.vals[t].n, base[t]);
	}
	g.c.blk = heads[n_rules];
	gen_effect(&g);
	ir_ret(&g.c, 0);
	ir_cfg(g.c.fn);
	return m;
}

/* -- the property ------------------------------------------------------------------------------ */

#define WORLDS 24

static void expect_same(const struct ir_mod *m, const struct result *want, uint64_t seed,
			const char *what)
{
	for (uint64_t w = 0; w < WORLDS; w++) {
		struct result r = run_in(m->fns.v[0], w);

		if (r.verdict == want[w].verdict && r.trace == want[w].trace &&
		    r.effects == want[w].effects)
			continue;
		ir_print(m, stderr);
		fail_msg("seed %llu, world %llu, after %s: verdict %u for %u, effects %u for %u",
			 (unsigned long long)seed, (unsigned long long)w, what, r.verdict,
			 want[w].verdict, r.effects, want[w].effects);
	}
}

static char *print(const struct ir_mod *m, size_t *len)
{
	char *s = NULL;
	FILE *f = open_memstream(&s, len);

	assert_non_null(f);
	ir_print(m, f);
	fclose(f);
	return s;
}

static struct ir_mod *check_text(struct arena *a, struct diag *d, const struct ir_mod *m)
{
	size_t n, n2;
	char *s = print(m, &n), *s2;
	struct ir_mod *again = ir_parse(a, d, "text", s, n);

	if (!again) {
		fputs(s, stderr);
		diag_flush(d, stderr);
	}
	assert_non_null(again);
	s2 = print(again, &n2);
	if (n != n2 || memcmp(s, s2, n))
		fail_msg("text changes when read and printed again:\n%s\n---\n%s", s, s2);
	free(s);
	free(s2);
	return again;
}

static void check_seed(uint64_t seed)
{
	struct arena *a = arena_new();
	struct diag d;
	struct ir_mod *m, *m2;
	struct result want[WORLDS];
	const char *words;

	diag_init(&d, a);
	m = gen_mod(a, &d, seed);
	words = ir_verify(m);
	if (words)
		fail_msg("seed %llu: %s", (unsigned long long)seed, words);
	for (uint64_t w = 0; w < WORLDS; w++)
		want[w] = run_in(m->fns.v[0], w);
	m2 = check_text(a, &d, m);
	expect_same(m2, want, seed, "reading");
	for (uint32_t i = 0; i < opt_n_passes; i++) {
		opt_run_pass(m, &opt_passes[i], true);
		expect_same(m, want, seed, opt_passes[i].name);
	}
	check_text(a, &d, m);
	opt_run(m2, OPT_O1, true);
	expect_same(m2, want, seed, "-O1");
	arena_free(a);
}

static uint64_t first = 1, count = 1500;

static void test_passes_keep_meaning(void **state)
{
	for (uint64_t s = first; s < first + count; s++)
		check_seed(s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_passes_keep_meaning) };

	opt_onebr_min = 0;
	if (argc > 1)
		first = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		count = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
