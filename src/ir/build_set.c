// SPDX-License-Identifier: GPL-2.0-or-later
/* Lowering of sets, maps and verdict maps, and of expressions that keep state. */
#include "lower.h"

bool set_is_const(const struct set *s, const struct build_opts *o)
{
	if (s->n_states || s->flags & (SET_EVAL | SET_TIMEOUT))
		return false;
	return o->static_sets || s->flags & (SET_ANONYMOUS | SET_CONSTANT);
}

/* -- sets -------------------------------------------------------------------------------------------------------- */

static void collect_verdicts(struct bld *b, struct ir_set *is)
{
	struct strmap seen;

	strmap_init(&seen, b->m->arena);
	vec_foreach(&is->set->elems, e) {
		struct {
			int64_t code;
			const struct chain *chain;
		} key = { (*e)->verdict.code, (*e)->verdict.chain };
		void **slot = strmap_put(&seen, (const char *)&key, sizeof(key));

		if (*slot)
			continue;
		*slot = *e;
		*vec_push(b->m->arena, &is->verdicts) = (*e)->verdict;
	}
}

static uint32_t set_number(struct bld *b, const struct set *s)
{
	void **slot = strmap_put(&b->sets, (const char *)&s, sizeof(s));
	struct ir_set *is;

	if (*slot)
		return (uint32_t)(uintptr_t)*slot - 1;
	is = vec_push(b->m->arena, &b->m->sets);
	*is = (struct ir_set){ .set = s };
	is->kind = set_is_const(s, b->opts) ? SK_CONST : SK_MUTABLE;
	if (s->is_vmap)
		collect_verdicts(b, is);
	*slot = (void *)(uintptr_t)b->m->sets.n;
	return b->m->sets.n - 1;
}

/* The words of a key from register w on; bytes past the key's length do not count. */
static uint32_t key_words(struct bld *b, const struct set *s, uint32_t w, struct ir_ins **out)
{
	uint32_t n = DIV_ROUND_UP(s->key_len, 4), tail = s->key_len % 4;

	for (uint32_t i = 0; i < n; i++)
		out[i] = breg_get(b, w + i);
	if (tail)
		out[n - 1] = band(b, out[n - 1], (1u << 8 * tail) - 1);
	return n;
}

/* Number + 1 of the catch-all element; 0: none. */
static uint32_t catchall(const struct set *s)
{
	for (uint32_t i = 0; i < s->elems.n; i++)
		if (s->elems.v[i]->catchall)
			return i + 1;
	return 0;
}

static struct ir_ins *elem_word(struct bld *b, struct ir_ins *el, uint32_t set, uint32_t word)
{
	bool konst = b->m->sets.v[set].kind == SK_CONST;
	struct ir_ins *i = ir_emit1(&b->c, konst ? IR_CELDW : IR_ELDW, IR_W, el);

	i->aux = set;
	i->imm = word;
	return i;
}

/* The verdict of an element: a switch over the verdicts that the map holds. */
static void dispatch_verdict(struct bld *b, struct ir_ins *el, uint32_t set)
{
	uint32_t n = b->m->sets.v[set].verdicts.n;
	/* Lowering a verdict may add sets to the module, and moves the registers. */
	struct verdict *verdicts = b->m->sets.v[set].verdicts.v;
	struct ir_block **targets, *on = NULL;
	struct breg saved[REG_WORDS];
	int64_t *cases;

	if (!n) { /* nothing is found in a map without elements */
		ir_jmp(&b->c, b->brk);
		b->dead = true;
		return;
	}
	if (n == 1) {
		lower_verdict(b, &verdicts[0]);
		return;
	}
	memcpy(saved, b->regs, sizeof(saved));
	targets = arena_array(b->m->arena, struct ir_block *, n);
	cases = arena_array(b->m->arena, int64_t, n);
	for (uint32_t k = 0; k < n; k++) {
		targets[k] = ir_block_new(b->c.fn);
		cases[k] = k;
	}
	ir_switch(&b->c, elem_word(b, el, set, 0), n - 1, cases, targets, targets[n - 1]);
	for (uint32_t k = 0; k < n; k++) {
		b->c.blk = targets[k];
		b->dead = false;
		if (verdicts[k].code == V_CONTINUE)
			on = targets[k];
		else
			lower_verdict(b, &verdicts[k]);
	}
	memcpy(b->regs, saved, sizeof(saved));
	b->c.blk = on;
	b->dead = !on;
}

void lower_lookup(struct bld *b, const struct rule *r, const struct expr *e)
{
	const struct set *s = e->lookup.set;
	uint32_t set = set_number(b, s), n, all = catchall(s);
	bool konst = b->m->sets.v[set].kind == SK_CONST;
	struct ir_ins *key[REG_WORDS], *el, *hit;

	n = key_words(b, s, REG_WORD(e->lookup.sreg), key);
	el = ir_emit(&b->c, konst ? IR_CLOOK : IR_LOOK, IR_L, n, key);
	el->aux = set;
	if (e->lookup.inv) {
		if (!all)
			btest(b, bcond(b, IR_EQ, el, 0));
		return;
	}
	hit = bcond(b, IR_NE, el, 0);
	if (all)
		el = bsel(b, hit, el, bl(b, all));
	else
		btest(b, hit);
	if (s->n_states) {
		struct ir_ins *go = ir_emit2(&b->c, IR_ELTEST, IR_B, el, lower_skb_len(b));

		go->aux = set;
		btest(b, go);
	}
	if (e->lookup.dreg == REG_VERDICT) {
		dispatch_verdict(b, el, set);
		b->c.rule = r;
	} else if (e->lookup.dreg != REG_NONE) {
		for (uint32_t i = 0; i < DIV_ROUND_UP(s->data_len, 4u); i++)
			breg_set(b, REG_WORD(e->lookup.dreg) + i, elem_word(b, el, set, i));
	}
}

void lower_dynset(struct bld *b, const struct rule *r, const struct expr *e)
{
	const struct set *s = e->dynset.set;
	uint32_t set = set_number(b, s), n;
	struct ir_ins *args[2 * REG_WORDS], *go;

	n = key_words(b, s, REG_WORD(e->dynset.sreg_key), args);
	if (e->dynset.sreg_data != REG_NONE)
		for (uint32_t i = 0; i < DIV_ROUND_UP(s->data_len, 4u); i++)
			args[n++] = breg_get(b, REG_WORD(e->dynset.sreg_data) + i);
	go = ir_emit(&b->c, IR_DYNSET, IR_B, n, args);
	go->aux = b->m->dynsets.n;
	*vec_push(b->m->arena,
		  &b->m->dynsets) = (struct ir_dynset){ .expr = e, .rule = r, .set = set };
	btest(b, go);
}

/* -- state ------------------------------------------------------------------------------------------------------- */

uint32_t lower_state_number(struct bld *b, const struct ir_state *st, const void *key)
{
	void **slot = strmap_put(&b->states, (const char *)&key, sizeof(key));

	if (!*slot) {
		*vec_push(b->m->arena, &b->m->states) = *st;
		*slot = (void *)(uintptr_t)b->m->states.n;
	}
	return (uint32_t)(uintptr_t)*slot - 1;
}

static enum ir_state_kind state_kind(enum expr_kind k)
{
	switch (k) {
	case EX_COUNTER:
		return ST_COUNTER;
	case EX_LIMIT:
		return ST_LIMIT;
	case EX_QUOTA:
		return ST_QUOTA;
	case EX_LAST:
		return ST_LAST;
	case EX_NUMGEN:
		return ST_NUMGEN;
	default:
		BUG("%s keeps no state", expr_kind_name(k));
	}
}

uint32_t lower_state_of(struct bld *b, const struct rule *r, uint32_t index, const struct expr *e)
{
	const struct obj *obj = e->kind == EX_OBJREF ? e->objref.obj : NULL;
	const struct expr *what = obj ? obj->expr : e;
	struct ir_state st = {
		.kind = state_kind(what->kind),
		.expr = what,
		.rule = obj ? NULL : r,
		.expr_index = obj ? 0 : index,
		.obj = obj,
	};

	return lower_state_number(b, &st, obj ? (const void *)obj : e);
}

void lower_state(struct bld *b, const struct rule *r, uint32_t index, const struct expr *e)
{
	uint32_t n = lower_state_of(b, r, index, e);
	const struct ir_state *st = &b->m->states.v[n];
	struct ir_ins *i;

	switch (st->kind) {
	case ST_COUNTER:
		i = ir_emit1(&b->c, IR_COUNT, IR_V, lower_skb_len(b));
		i->aux = n;
		break;
	case ST_LIMIT:
	case ST_QUOTA:
		i = ir_emit1(&b->c, st->kind == ST_LIMIT ? IR_LIMIT : IR_QUOTA, IR_B,
			     lower_skb_len(b));
		i->aux = n;
		btest(b, i);
		break;
	case ST_LAST:
		i = ir_emit(&b->c, IR_LAST, IR_V, 0, NULL);
		i->aux = n;
		break;
	case ST_NUMGEN:
		i = ir_emit(&b->c, IR_NUMGEN, IR_W, 0, NULL);
		i->aux = n;
		breg_set(b, REG_WORD(st->expr->numgen.dreg), i);
		break;
	}
}
