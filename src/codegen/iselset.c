// SPDX-License-Identifier: GPL-2.0-or-later
/* iselset: lookups in sets that live in maps, their elements, and dynamic sets. */
#include "isel.h"
#include "setindex.h"

/*
 * All words of a long key at once are more than there are registers: one that is a load from the
 * packet, or a half of one, is loaded where it is stored. NULL: it is none, or others want it too
 * and stack is not dear; *at: where in the load.
 */
static struct ir_ins *loaded_late(const struct isel *s, struct ir_ins *v, uint32_t *at)
{
	struct ir_ins *x = v->op == IR_TRUNC ? ir_val(v->args[0]) : v;

	*at = 0;
	if (x != v && x->op == IR_LSHR && ir_is_const(ir_val(x->args[1]), 32)) {
		x = ir_val(x->args[0]);
		*at = 4;
	}
	return x->op == IR_LDP && (s->ir->sparing || (x == v && s->uses[v->id] == 1)) ? x : NULL;
}

/* A word of a key or of data to the stack. */
static void store_word(struct isel *s, int32_t at, struct ir_ins *word)
{
	struct ir_ins *v = ir_val(word), *load;
	uint32_t from;

	if (v->op == IR_CONST) {
		isel_storei(s, MIR_FP, at, 4, v->imm);
		return;
	}
	load = loaded_late(s, v, &from);
	isel_store(s, MIR_FP, at, 4,
		   load ? isel_ldp_again(s, load, from, MIN(load->size, 4)) : isel_low(s, v));
}

void isel_room(struct isel *s, const struct ir_ins *i)
{
	enum ir_aux_kind kind = IR_AUX_KIND(ir_op_info[i->op].flags);
	const struct ir_mod *m = s->cg->m;
	const struct set *set = NULL;
	uint32_t key = 4;

	if (kind == AK_DYNSET)
		set = m->sets.v[m->dynsets.v[i->aux].set].set;
	else if (i->op == IR_LOOK)
		set = m->sets.v[i->aux].set;
	else if (kind != AK_STATE)
		return;
	if (set && setindex_is_for(set))
		key = sizeof(struct setindex_key);
	else if (set)
		key = ALIGN_UP(set->key_len, 4u) + (set->flags & SET_INTERVAL ? 4 : 0);
	s->scratch_size = MAX(s->scratch_size, key);
	if (kind == AK_DYNSET)
		s->value_size = MAX(s->value_size, cg_set_layout(set).value_size);
}

/* The key's words as they lie in memory, on the stack. */
static int32_t store_key(struct isel *s, const struct set *set, const struct set_layout *l,
			 struct ir_ins *const *words)
{
	int32_t key = isel_scratch(s, l->key_size), at = key;
	uint32_t n = DIV_ROUND_UP(set->key_len, 4);

	if (l->lpm) {
		isel_storei(s, MIR_FP, at, 4, 8 * set->key_len);
		at += 4;
	}
	for (uint32_t w = 0; w < n; w++)
		store_word(s, at + 4 * (int32_t)w, words[w]);
	return key;
}

/* p, if it is an element and has not expired; else 0. */
static uint32_t alive(struct isel *s, const struct set_layout *l, uint32_t p)
{
	struct mir_block *found, *dated, *old, *join;
	uint32_t d, expiry, now;

	if (!l->timeouts)
		return p;
	found = mir_block_new(s->fn);
	dated = mir_block_new(s->fn);
	old = mir_block_new(s->fn);
	join = mir_block_new(s->fn);
	d = mir_vreg_new(s->fn);
	isel_mov(s, d, p);
	isel_jcc(s, BPF_JEQ, false, d, 0, 0, join, found);
	s->cur = found;
	expiry = isel_load(s, d, 0, 8);
	isel_jcc(s, BPF_JEQ, false, expiry, 0, 0, join, dated);
	s->cur = dated;
	now = isel_helper(s, BPF_FUNC_ktime_get_ns, 0, NULL);
	isel_jcc(s, BPF_JGT, false, expiry, now, 0, join, old);
	s->cur = old;
	isel_movi(s, d, 0);
	isel_jmp(s, join);
	s->cur = join;
	return d;
}

static uint32_t lookup(struct isel *s, uint32_t map, int32_t key)
{
	struct mir_arg args[2] = { isel_arg_map(map), isel_arg_fp(key) };

	return isel_helper(s, BPF_FUNC_map_lookup_elem, 2, args);
}

/* The element with the key on the stack, or 0; an expired one is none. */
static uint32_t find(struct isel *s, uint32_t map, const struct set_layout *l, int32_t key)
{
	return alive(s, l, lookup(s, map, key));
}

/*
 * Through the index (setindex.h), field by field; to `none` where no element is left. Result: an
 * address, the last node's or the element's.
 */
static uint32_t find_by_index(struct isel *s, const struct set *set, const struct obj_set *maps,
			      const struct set_layout *l, struct ir_ins *const *words,
			      struct mir_block *none)
{
	uint32_t n_fields = set->n_fields > 1 ? set->n_fields : 1, w = 0, p = 0;
	int32_t key = isel_scratch(s, sizeof(struct setindex_key));

	for (uint32_t f = 0; f < n_fields; f++) {
		uint32_t len = n_fields > 1 ? set->field_len[f] : set->key_len;
		struct mir_block *on = mir_block_new(s->fn);

		if (f)
			isel_store(s, MIR_FP, key + 8, 8, isel_load(s, p, 0, 8));
		else
			isel_storei(s, MIR_FP, key + 8, 8, 0);
		isel_storei(s, MIR_FP, key, 4, SETINDEX_KEY_BITS + 8 * len);
		isel_storei(s, MIR_FP, key + 4, 4, f);
		for (uint32_t k = 0; k < SETINDEX_FIELD_MAX / 4; k++)
			if (k < DIV_ROUND_UP(len, 4u))
				store_word(s, key + 16 + 4 * (int32_t)k, words[w++]);
			else if (!f)
				isel_storei(s, MIR_FP, key + 16 + 4 * (int32_t)k, 4, 0);
		p = lookup(s, maps->nodes, key);
		isel_jcc(s, BPF_JNE, false, p, 0, 0, on, none);
		s->cur = on;
	}
	if (!l->timeouts && !l->data_words && !l->n_exprs)
		return p; /* nobody looks at it */
	isel_store(s, MIR_FP, key, 4, isel_load(s, p, 0, 4));
	return find(s, maps->map, l, key);
}

static uint32_t find_indexed(struct isel *s, const struct set *set, const struct obj_set *maps,
			     const struct set_layout *l, struct ir_ins *const *words)
{
	struct mir_block *none = mir_block_new(s->fn), *join = mir_block_new(s->fn);
	uint32_t d = mir_vreg_new(s->fn);

	isel_mov(s, d, find_by_index(s, set, maps, l, words, none));
	isel_jmp(s, join);
	s->cur = none;
	isel_movi(s, d, 0);
	isel_jmp(s, join);
	s->cur = join;
	return d;
}

/* p, or if it is 0 the catch-all element. */
static uint32_t or_catchall(struct isel *s, uint32_t map, const struct set_layout *l, uint32_t p)
{
	struct mir_block *none = mir_block_new(s->fn), *join = mir_block_new(s->fn);
	uint32_t d = mir_vreg_new(s->fn);
	int32_t key;

	isel_mov(s, d, p);
	isel_jcc(s, BPF_JNE, false, d, 0, 0, join, none);
	s->cur = none;
	key = isel_scratch(s, 4);
	isel_storei(s, MIR_FP, key, 4, 0);
	isel_mov(s, d, find(s, map, l, key));
	isel_jmp(s, join);
	s->cur = join;
	return d;
}

void isel_look(struct isel *s, struct ir_ins *i)
{
	const struct set *set = s->cg->m->sets.v[i->aux].set;
	const struct obj_set *maps = &s->cg->o->sets.v[i->aux];
	struct set_layout l = cg_set_layout(set);
	uint32_t p;

	if (l.index)
		p = find_indexed(s, set, maps, &l, i->args);
	else
		p = find(s, maps->map, &l, store_key(s, set, &l, i->args));
	s->vreg[i->id] = l.catchall ? or_catchall(s, maps->all, &l, p) : p;
}

void isel_eldw(struct isel *s, struct ir_ins *i)
{
	s->vreg[i->id] = isel_load(s, isel_val(s, i->args[0]), EL_DATA + 4 * i->imm, 4);
}

void isel_xadd(struct isel *s, uint32_t p, int32_t off, uint32_t by)
{
	struct mir_ins *x = isel_ins(s, MIR_XADD);

	x->a = p;
	x->off = off;
	x->size = 8;
	x->b = by;
}

/* Runs the element's expressions in order; on `no` one of them was a BREAK. */
static void run_exprs(struct isel *s, const struct set_layout *l, uint32_t el, struct ir_ins *len,
		      struct mir_block *no)
{
	int32_t off = l->expr_off;

	for (uint32_t k = 0; k < l->n_exprs; k++) {
		const struct expr *e = l->exprs[k];
		uint32_t p, go;
		struct mir_block *on;

		if (e->kind == EX_COUNTER) {
			isel_xadd(s, el, off, isel_imm(s, 1));
			isel_xadd(s, el, off + 8, isel_val(s, len));
			off += 16;
			continue;
		}
		p = isel_alui(s, BPF_ADD, false, el, off);
		off += 8;
		if (e->kind == EX_LAST) {
			isel_last(s, p);
			continue;
		}
		if (e->kind == EX_LIMIT)
			go = isel_limit(s, e, p, len);
		else if (e->kind == EX_QUOTA)
			go = isel_quota(s, e, p, len);
		else
			BUG("element with %s", expr_kind_name(e->kind));
		on = mir_block_new(s->fn);
		isel_jcc(s, BPF_JNE, false, go, 0, 0, on, no);
		s->cur = on;
	}
}

void isel_eltest(struct isel *s, struct ir_ins *i)
{
	struct set_layout l = cg_set_layout(s->cg->m->sets.v[i->aux].set);
	struct mir_block *no = mir_block_new(s->fn), *join = mir_block_new(s->fn);
	uint32_t d = mir_vreg_new(s->fn);

	run_exprs(s, &l, isel_val(s, i->args[0]), i->args[1], no);
	isel_movi(s, d, 1);
	isel_jmp(s, join);
	s->cur = no;
	isel_movi(s, d, 0);
	isel_jmp(s, join);
	s->cur = join;
	s->vreg[i->id] = d;
}

/* -- dynset ------------------------------------------------------------------------------------ */

struct dyn {
	struct isel *s;
	const struct expr *e;
	const struct set *set;
	struct set_layout l;
	uint32_t map;
	int32_t key;
	struct ir_ins *const *data;
	uint64_t timeout;	/* ns; 0: none */
	struct obj_place swept; /* timeouts: when the set was last rid of old elements */
};

/* now + timeout */
static uint32_t expiry(struct dyn *d)
{
	uint32_t now = isel_helper(d->s, BPF_FUNC_ktime_get_ns, 0, NULL);

	return isel_alui(d->s, BPF_ADD, false, now, d->timeout);
}

static void new_value(struct dyn *d)
{
	struct isel *s = d->s;

	if (d->timeout)
		isel_store(s, MIR_FP, s->value, 8, expiry(d));
	else
		isel_storei(s, MIR_FP, s->value, 8, 0);
	for (uint32_t at = EL_DATA; at < d->l.value_size; at += 8)
		isel_storei(s, MIR_FP, s->value + at, 8, 0);
	for (uint32_t w = 0; w < d->l.data_words && d->e->dynset.sreg_data != REG_NONE; w++)
		store_word(s, s->value + EL_DATA + 4 * (int32_t)w, d->data[w]);
}

/* Makes the element. Result: its address, 0: there is no room. */
static uint32_t create(struct dyn *d)
{
	struct isel *s = d->s;
	struct mir_arg args[4] = { isel_arg_map(d->map), isel_arg_fp(d->key) };

	isel_value(s, d->l.value_size);
	args[3] = isel_arg_imm(0);
	if (d->l.timeouts) /* its key where the value will be: the element's own key stays */
		args[3] = isel_arg_reg(isel_array_elem_by(s, d->swept.map, d->swept.key, s->value));
	new_value(d);
	args[2] = isel_arg_fp(s->value);
	return isel_runtime(s, "n2b_make", 4, args);
}

static uint32_t skb_len(struct isel *s)
{
	uint32_t skb = isel_load(s, s->ctx, 8, 8), len = isel_load(s, skb, 0, 4);

	s->cur->last->has_rel = true;
	s->cur->last->rel = (struct obj_reloc){ .kind = OBJ_REL_CORE_FIELD, .id = FLD_skb_len };
	return len;
}

/* An element that never expires stays so. */
static void refresh(struct dyn *d, uint32_t el)
{
	struct isel *s = d->s;
	struct mir_block *dated = mir_block_new(s->fn), *on = mir_block_new(s->fn);

	isel_jcc(s, BPF_JNE, false, isel_load(s, el, 0, 8), 0, 0, dated, on);
	s->cur = dated;
	isel_store(s, el, 0, 8, expiry(d));
	isel_jmp(s, on);
	s->cur = on;
}

/* The element is there: refresh it, run its expressions. */
static void present(struct dyn *d, uint32_t el, struct mir_block *no)
{
	struct isel *s = d->s;
	struct ir_ins *len;

	if (d->e->dynset.op == DYN_UPDATE && d->timeout)
		refresh(d, el);
	if (!d->l.n_exprs)
		return;
	len = ir_ins_new(s->ir, IR_LDF, IR_W, 0); /* a stand-in that has its register already */
	s->vreg = arena_dup(s->a, s->vreg, sizeof(*s->vreg) * (len->id + 1));
	s->vreg[len->id] = skb_len(s);
	run_exprs(s, &d->l, el, len, no);
}

static void add_or_update(struct dyn *d, uint32_t go)
{
	struct isel *s = d->s;
	struct mir_block *have = mir_block_new(s->fn), *none = mir_block_new(s->fn),
			 *yes = mir_block_new(s->fn), *no = mir_block_new(s->fn),
			 *full = mir_block_new(s->fn), *join = mir_block_new(s->fn);
	uint32_t el = mir_vreg_new(s->fn);

	isel_mov(s, el, find(s, d->map, &d->l, d->key));
	isel_jcc(s, BPF_JNE, false, el, 0, 0, have, none);
	s->cur = none;
	isel_mov(s, el, create(d));
	isel_jcc(s, BPF_JNE, false, el, 0, 0, have, full);
	s->cur = have;
	present(d, el, no);
	isel_jmp(s, yes);
	s->cur = yes;
	isel_movi(s, go, !d->e->dynset.inv);
	isel_jmp(s, join);
	s->cur = full;
	isel_movi(s, go, d->e->dynset.inv);
	isel_jmp(s, join);
	s->cur = no;
	isel_movi(s, go, 0);
	isel_jmp(s, join);
	s->cur = join;
}

void isel_dynset(struct isel *s, struct ir_ins *i)
{
	const struct ir_dynset *ds = &s->cg->m->dynsets.v[i->aux];
	const struct set *set = s->cg->m->sets.v[ds->set].set;
	struct dyn d = { .s = s,
			 .e = ds->expr,
			 .set = set,
			 .map = s->cg->o->sets.v[ds->set].map,
			 .swept = s->cg->o->sets.v[ds->set].swept };

	d.l = cg_set_layout(set);
	d.data = i->args + DIV_ROUND_UP(set->key_len, 4);
	if (d.l.timeouts)
		d.timeout = (d.e->dynset.timeout ? d.e->dynset.timeout : set->timeout) * 1000000;
	d.key = store_key(s, set, &d.l, i->args);
	s->vreg[i->id] = mir_vreg_new(s->fn);
	if (d.e->dynset.op != DYN_DELETE) {
		add_or_update(&d, s->vreg[i->id]);
		return;
	}
	isel_helper(s, BPF_FUNC_map_delete_elem, 2,
		    (struct mir_arg[]){ isel_arg_map(d.map), isel_arg_fp(d.key) });
	isel_movi(s, s->vreg[i->id], 1);
}
