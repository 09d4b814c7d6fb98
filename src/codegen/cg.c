// SPDX-License-Identifier: GPL-2.0-or-later
/* cg: the stages of code generation. */
#include "isel.h"

static struct obj_file *obj_new(struct ir_mod *m)
{
	struct obj_file *o = arena_new_of(m->arena, struct obj_file);

	o->arena = m->arena;
	o->diag = m->diag;
	return o;
}

static void rodata(struct cg *cg)
{
	vec_foreach(&cg->m->tables, t)
		*vec_push(cg->o->arena, &cg->o->rodata) =
			(struct obj_rodata){ t->name, t->bytes, t->len, MAX(t->align, 8u) };
}

/* Where each state is, for the manifest. */
static void places(struct cg *cg)
{
	for (uint32_t k = 0; k < cg->m->states.n; k++) {
		bool counter = cg->m->states.v[k].kind == ST_COUNTER;
		struct obj_place *p = vec_push(cg->o->arena, &cg->o->states);

		p->map = counter ? cg->counters_map : cg->state_map ? cg->state_map[k] : 0;
		p->key = counter ? cg->counter_index[k] : cg->state_index ? cg->state_index[k] : 0;
	}
}

static void set_places(struct cg *cg)
{
	for (uint32_t k = 0; k < cg->m->sets.n; k++) {
		struct obj_set *p = vec_push(cg->o->arena, &cg->o->sets);
		struct set_layout l;

		p->is_mutable = cg->m->sets.v[k].kind == SK_MUTABLE;
		if (!p->is_mutable)
			continue;
		l = cg_set_layout(cg->m->sets.v[k].set);
		p->map = cg->set_map[k];
		p->lpm = l.lpm;
		p->timeouts = l.timeouts;
		p->data_words = l.data_words;
		p->expr_off = l.expr_off;
	}
}

static struct loc fn_loc(const struct ir_fn *ir)
{
	return ir->chain ? ir->chain->loc : (struct loc){ 0 };
}

static bool function(struct cg *cg, struct ir_fn *ir)
{
	struct obj_fn *out = arena_new_of(cg->o->arena, struct obj_fn);
	struct mir_fn *fn = isel_fn(cg, ir);

	out->name = ir->name;
	out->is_prog = ir->kind == IR_FN_PROG;
	out->is_global = !out->is_prog;
	*vec_push(cg->o->arena, &cg->o->fns) = out;
	mir_order(fn);
	if (debug_letter['S'])
		mir_print(fn, stderr);
	if (!mir_regalloc(fn)) {
		diag_error(cg->m->diag, fn_loc(ir),
			   "chain %s needs more than the 512 bytes of stack that a BPF program has",
			   ir->name);
		return false;
	}
	if (debug_letter['R'])
		mir_print(fn, stderr);
	if (!mir_encode(fn, cg->o, out)) {
		diag_error(cg->m->diag, fn_loc(ir), "chain %s is too long for one BPF function",
			   ir->name);
		return false;
	}
	return true;
}

struct obj_file *cg_module(struct ir_mod *m)
{
	struct cg cg = { .m = m };

	cg.o = obj_new(m);
	if (!cg_tables(m) || !cg_maps(&cg))
		return NULL;
	rodata(&cg);
	places(&cg);
	set_places(&cg);
	vec_foreach(&m->fns, fn) {
		bool good;

		cg.tmp = arena_new();
		good = function(&cg, *fn);
		arena_free(cg.tmp);
		if (!good)
			return NULL;
	}
	if (cg.counts_by_call)
		cg_count_fn(&cg);
	return cg.o;
}

struct strmap *cg_rule_insns(const struct obj_file *o)
{
	struct strmap *by_rule = arena_new_of(o->arena, struct strmap);

	strmap_init(by_rule, o->arena);
	vec_foreach(&o->fns, fn)
		for (uint32_t k = 0; k < (*fn)->lines.n; k++) {
			const struct obj_line *l = &(*fn)->lines.v[k];
			uint32_t end = k + 1 < (*fn)->lines.n ? l[1].insn : (*fn)->insns.n;
			void **n;

			if (!l->rule)
				continue;
			n = strmap_put(by_rule, (const char *)&l->rule, sizeof(l->rule));
			*n = (void *)((uintptr_t)*n + end - l->insn);
		}
	return by_rule;
}
