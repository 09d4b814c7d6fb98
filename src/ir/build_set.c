// SPDX-License-Identifier: GPL-2.0-or-later
/* Lowering of sets, maps and verdict maps, and of expressions that keep state. */
#include "lower.h"
#include "narrow.h"

/* Elements of a concatenation of ranges up to which rows of bits in read-only data serve. */
#define ROWS_MAX 512

bool set_is_large(const struct set *s)
{
	return s->flags & SET_INTERVAL && s->n_fields > 1 && s->elems.n > ROWS_MAX &&
	       narrow_field(s) == s->n_fields;
}

bool set_is_const(const struct set *s, const struct build_opts *o)
{
	if (s->n_states || s->flags & (SET_EVAL | SET_TIMEOUT) || set_is_large(s))
		return false;
	return o->static_sets || s->flags & (SET_ANONYMOUS | SET_CONSTANT);
}

/* -- sets -------------------------------------------------------------------------------------- */

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

/*
 * The objects that elements may name; each is a state, and their states stand in a row
 * (lower_objects).
 */
static void collect_objs(struct bld *b, struct ir_set *is)
{
	vec_foreach(&is->set->table->objs, o)
		if ((*o)->type == is->set->obj_type)
			*vec_push(b->m->arena, &is->objs) = *o;
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
	if (s->flags & SET_OBJECT)
		collect_objs(b, is);
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
	targets = arena_array(b->c.fn->arena, struct ir_block *, n);
	cases = arena_array(b->c.fn->arena, int64_t, n);
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

/* The element that the registers name; BREAK if there is none. */
static struct ir_ins *found_elem(struct bld *b, uint32_t set, uint8_t sreg)
{
	const struct set *s = b->m->sets.v[set].set;
	bool konst = b->m->sets.v[set].kind == SK_CONST;
	uint32_t n, all = konst ? catchall(s) : 0; /* look finds a catch-all by itself */
	struct ir_ins *key[REG_WORDS], *el, *hit;

	n = key_words(b, s, REG_WORD(sreg), key);
	el = ir_emit(&b->c, konst ? IR_CLOOK : IR_LOOK, IR_L, n, key);
	el->aux = set;
	hit = bcond(b, IR_NE, el, 0);
	if (all)
		return bsel(b, hit, el, bl(b, all));
	btest(b, hit);
	return el;
}

/* Goes on when there is no element. */
static void lower_absent(struct bld *b, uint32_t set, uint8_t sreg)
{
	const struct set *s = b->m->sets.v[set].set;
	bool konst = b->m->sets.v[set].kind == SK_CONST;
	struct ir_ins *key[REG_WORDS], *el;

	if (konst && catchall(s)) {
		bbreak(b);
		return;
	}
	el = ir_emit(&b->c, konst ? IR_CLOOK : IR_LOOK, IR_L, key_words(b, s, REG_WORD(sreg), key),
		     key);
	el->aux = set;
	btest(b, bcond(b, IR_EQ, el, 0));
}

void lower_lookup(struct bld *b, const struct rule *r, const struct expr *e)
{
	const struct set *s = e->lookup.set;
	uint32_t set = set_number(b, s);
	struct ir_ins *el;

	if (e->lookup.inv) {
		lower_absent(b, set, e->lookup.sreg);
		return;
	}
	el = found_elem(b, set, e->lookup.sreg);
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

/* -- state ------------------------------------------------------------------------------------- */

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

static uint32_t obj_state(struct bld *b, const struct obj *obj)
{
	struct ir_state st = { .kind = state_kind(obj->expr->kind), .expr = obj->expr, .obj = obj };

	return lower_state_number(b, &st, obj);
}

uint32_t lower_state_of(struct bld *b, const struct rule *r, uint32_t index, const struct expr *e)
{
	struct ir_state st = { .rule = r, .expr_index = index, .expr = e };

	if (e->kind == EX_OBJREF)
		return obj_state(b, e->objref.obj);
	st.kind = state_kind(e->kind);
	return lower_state_number(b, &st, e);
}

/* State n is used once; a counter or a last goes on, the others may BREAK. */
static void use_state(struct bld *b, uint32_t n)
{
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

/* Counters stand in a row; of the others each has parameters of its own. */
static void use_obj_of(struct bld *b, struct ir_ins *el, uint32_t set)
{
	const struct ir_set *is = &b->m->sets.v[set];
	uint32_t n = is->objs.n, first = n ? obj_state(b, is->objs.v[0]) : 0;
	struct ir_block **targets, *on;
	int64_t *cases;

	if (!n) { /* no element can name one */
		bbreak(b);
		return;
	}
	if (n == 1) {
		use_state(b, first);
		return;
	}
	if (is->objs.v[0]->expr->kind == EX_COUNTER) {
		struct ir_ins *i = ir_emit2(&b->c, IR_COUNTAT, IR_V, lower_skb_len(b),
					    elem_word(b, el, set, 0));

		i->aux = first;
		return;
	}
	targets = arena_array(b->m->arena, struct ir_block *, n);
	cases = arena_array(b->m->arena, int64_t, n);
	for (uint32_t k = 0; k < n; k++) {
		targets[k] = ir_block_new(b->c.fn);
		cases[k] = k;
	}
	on = ir_block_new(b->c.fn);
	ir_switch(&b->c, elem_word(b, el, set, 0), n - 1, cases, targets, targets[n - 1]);
	for (uint32_t k = 0; k < n; k++) {
		b->c.blk = targets[k];
		use_state(b, first + k);
		ir_jmp(&b->c, on);
	}
	b->c.blk = on;
}

void lower_state(struct bld *b, const struct rule *r, uint32_t index, const struct expr *e)
{
	uint32_t set;

	if (e->kind == EX_OBJREF && e->objref.set) {
		set = set_number(b, e->objref.set);
		use_obj_of(b, found_elem(b, set, e->objref.sreg), set);
		return;
	}
	use_state(b, lower_state_of(b, r, index, e));
}

/*
 * The objects of maps that this program's rules use get their numbers before all others, those of
 * one kind in a row.
 */
void lower_objects(struct bld *b, const struct plan_prog *p)
{
	vec_foreach(&p->base->table->chains, c)
		for (uint32_t i = 0; p->acts[(*c)->index] && i < (*c)->rules.n; i++) {
			const struct rule *r = (*c)->rules.v[i];

			if (p->acts[(*c)->index][i].act != RULE_LOWER)
				continue;
			vec_foreach(&r->exprs, e) {
				if ((*e)->kind != EX_OBJREF || !(*e)->objref.set)
					continue;
				vec_foreach(&r->chain->table->objs, o)
					if ((*o)->type == (*e)->objref.set->obj_type)
						obj_state(b, *o);
			}
		}
}
