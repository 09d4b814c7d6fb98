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

static struct loc fn_loc(const struct ir_fn *ir)
{
	return ir->chain ? ir->chain->loc : (struct loc){ 0 };
}

/* What the encoder made, without the room that it grew in. */
static void keep(struct cg *cg, struct obj_fn *out, const struct obj_fn *from)
{
	struct arena *a = cg->o->arena;

	out->insns.n = out->insns.cap = from->insns.n;
	out->insns.v = arena_dup(a, from->insns.v, from->insns.n * sizeof(*from->insns.v));
	out->relocs.n = out->relocs.cap = from->relocs.n;
	out->relocs.v = arena_dup(a, from->relocs.v, from->relocs.n * sizeof(*from->relocs.v));
	out->lines.n = out->lines.cap = from->lines.n;
	out->lines.v = arena_dup(a, from->lines.v, from->lines.n * sizeof(*from->lines.v));
}

static bool function(struct cg *cg, struct ir_fn *ir, struct obj_fn *out)
{
	struct mir_fn *fn = isel_fn(cg, ir);
	struct obj_fn code = { .name = ir->name };

	mir_order(fn);
	if (debug_letter['S'])
		mir_print(fn, stderr);
	if (!mir_regalloc(fn)) {
		*vec_push(cg->o->arena, &cg->stuck) = ir->index;
		return true;
	}
	if (debug_letter['R'])
		mir_print(fn, stderr);
	if (!mir_encode(fn, cg->o, &code)) {
		diag_error(cg->m->diag, fn_loc(ir), "chain %s is too long for one BPF function",
			   ir->name);
		return false;
	}
	keep(cg, out, &code);
	return true;
}

struct cg *cg_open(struct ir_mod *m)
{
	struct cg *cg = arena_new_of(m->arena, struct cg);

	cg->m = m;
	cg->o = obj_new(m);
	return cg;
}

/*
 * What the verifier goes through: each instruction once, and behind each conditional jump, the
 * second time, the way up to a place whose state it has kept. It keeps one when it has seen 8
 * instructions and 2 jumps since the last.
 */
static uint32_t verifier_steps(const struct obj_fn *fn)
{
	uint32_t n = fn->insns.n;

	vec_foreach(&fn->insns, i) {
		uint8_t class = BPF_CLASS(i->code), op = BPF_OP(i->code);

		if ((class == BPF_JMP || class == BPF_JMP32) && op != BPF_JA && op != BPF_CALL &&
		    op != BPF_EXIT)
			n += 8;
	}
	return n;
}

uint32_t cg_fn(struct cg *cg, struct ir_fn *ir)
{
	struct obj_fn *out = arena_new_of(cg->o->arena, struct obj_fn);

	while (cg->o->fns.n <= ir->index)
		*vec_push(cg->o->arena, &cg->o->fns) = NULL;
	cg->o->fns.v[ir->index] = out;
	out->name = ir->name;
	out->is_prog = ir->kind != IR_FN_CHAIN;
	out->is_entry = ir->kind == IR_FN_PROG;
	out->is_global = !out->is_prog;
	cg->tmp = arena_new();
	cg_tables(cg, ir);
	cg_maps(cg);
	if (cg->failed || !function(cg, ir, out))
		cg->failed = true;
	arena_free(cg->tmp);
	return verifier_steps(out);
}

/* Calls of the function that counts get its number. */
static void link_count_fn(struct cg *cg)
{
	uint32_t n = cg->o->fns.n;

	for (uint32_t k = 0; k < n; k++)
		vec_foreach(&cg->o->fns.v[k]->relocs, r)
			if (r->kind == OBJ_REL_CALL && r->id == CG_COUNT_FN)
				r->id = n;
	cg_count_fn(cg);
}

static struct obj_file *finish(struct cg *cg)
{
	if (cg->failed)
		return NULL;
	cg_maps(cg);
	rodata(cg);
	if (cg->counts_by_call)
		link_count_fn(cg);
	return cg->o;
}

struct obj_file *cg_close(struct cg *cg, struct obj_overs *over)
{
	struct arena *a = cg->o->arena;

	if (!finish(cg))
		return NULL;
	*over = obj_stack(cg->o);
	vec_foreach(&cg->stuck, n) {
		struct obj_over *x = vec_push(a, over);

		*x = (struct obj_over){ .bytes = UINT32_MAX };
		*vec_push(a, &x->way) = *n;
	}
	return cg->o;
}

struct obj_file *cg_module(struct ir_mod *m)
{
	struct cg *cg = cg_open(m);

	vec_foreach(&m->fns, fn)
		cg_fn(cg, *fn);
	vec_foreach(&cg->stuck, n) {
		diag_error(m->diag, fn_loc(m->fns.v[*n]),
			   "chain %s needs more stack than a BPF program has", m->fns.v[*n]->name);
		cg->failed = true;
	}
	return finish(cg);
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
