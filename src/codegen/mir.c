// SPDX-License-Identifier: GPL-2.0-or-later
/* mir: making, changing and printing machine code on virtual registers. */
#include "mir.h"

const struct mir_op_info mir_op_info[MIR_OP_COUNT] = {
#define X(op, a, b, d, eff) [MIR_##op] = { #op, a, b, d, eff },
#include "insn.def"
#undef X
};

struct mir_fn *mir_fn_new(struct arena *a, const char *name)
{
	struct mir_fn *fn = arena_new_of(a, struct mir_fn);

	fn->arena = a;
	fn->name = name;
	mir_vreg_new(fn);
	mir_vreg_new(fn);
	fn->vregs.v[MIR_FP].phys = BPF_REG_10;
	return fn;
}

uint32_t mir_vreg_new(struct mir_fn *fn)
{
	struct mir_vreg *v = vec_push(fn->arena, &fn->vregs);

	memset(v, 0, sizeof(*v));
	v->phys = v->phys_hint = -1;
	return fn->vregs.n - 1;
}

struct mir_block *mir_block_new(struct mir_fn *fn)
{
	struct mir_block *b = arena_new_of(fn->arena, struct mir_block);

	b->id = fn->n_block_ids++;
	return b;
}

struct mir_ins *mir_ins_new(struct mir_fn *fn, enum mir_op op, const struct rule *rule)
{
	struct mir_ins *i = arena_new_of(fn->arena, struct mir_ins);

	i->op = op;
	i->rule = rule;
	return i;
}

struct mir_ins *mir_append(struct mir_fn *fn, struct mir_block *b, enum mir_op op)
{
	struct mir_ins *i = mir_ins_new(fn, op, NULL);

	i->prev = b->last;
	if (b->last)
		b->last->next = i;
	else
		b->first = i;
	b->last = i;
	return i;
}

void mir_insert_before(struct mir_block *b, struct mir_ins *at, struct mir_ins *i)
{
	i->next = at;
	i->prev = at->prev;
	if (at->prev)
		at->prev->next = i;
	else
		b->first = i;
	at->prev = i;
}

void mir_insert_after(struct mir_block *b, struct mir_ins *at, struct mir_ins *i)
{
	i->prev = at;
	i->next = at->next;
	if (at->next)
		at->next->prev = i;
	else
		b->last = i;
	at->next = i;
}

void mir_remove(struct mir_block *b, struct mir_ins *i)
{
	if (i->prev)
		i->prev->next = i->next;
	else
		b->first = i->next;
	if (i->next)
		i->next->prev = i->prev;
	else
		b->last = i->prev;
}

int32_t mir_stack(struct mir_fn *fn, uint32_t size)
{
	fn->frame += ALIGN_UP(size, 8);
	return -fn->frame;
}

bool mir_commutes(uint8_t bop)
{
	return bop == BPF_ADD || bop == BPF_MUL || bop == BPF_AND || bop == BPF_OR ||
	       bop == BPF_XOR;
}

void mir_each_use(struct mir_ins *i, mir_use_fn *fn, void *arg)
{
	if (mir_op_info[i->op].reads_a && i->a > MIR_FP)
		fn(arg, &i->a);
	if (mir_op_info[i->op].reads_b && i->b > MIR_FP)
		fn(arg, &i->b);
	for (uint32_t k = 0; k < i->n_args; k++)
		if (i->args[k].kind == MA_REG && i->args[k].reg > MIR_FP)
			fn(arg, &i->args[k].reg);
}

static void count_use(void *arg, uint32_t *reg)
{
	((struct mir_fn *)arg)->vregs.v[*reg].n_uses++;
}

static void uncount_use(void *arg, uint32_t *reg)
{
	((struct mir_fn *)arg)->vregs.v[*reg].n_uses--;
}

/*
 * Backwards over blocks in order: the graph has no loops, so that one walk sees every use before
 * its definition.
 */
void mir_dce(struct mir_fn *fn)
{
	for (uint32_t v = 0; v < fn->vregs.n; v++)
		fn->vregs.v[v].n_uses = fn->vregs.v[v].n_defs = 0;
	vec_foreach(&fn->blocks, b)
		for (struct mir_ins *i = (*b)->first; i; i = i->next)
			mir_each_use(i, count_use, fn);
	for (uint32_t n = fn->blocks.n; n-- > 0;) {
		struct mir_block *b = fn->blocks.v[n];

		for (struct mir_ins *i = b->last, *prev; i; i = prev) {
			prev = i->prev;
			if (mir_op_info[i->op].effect || fn->vregs.v[i->d].n_uses) {
				if (i->d)
					fn->vregs.v[i->d].n_defs++;
				continue;
			}
			mir_each_use(i, uncount_use, fn);
			mir_remove(b, i);
		}
	}
}

/* -- text, for -d ------------------------------------------------------------------------------ */

static void print_reg(const struct mir_fn *fn, uint32_t r, FILE *f)
{
	if (r == MIR_FP)
		fputs(" r10", f);
	else if (fn->vregs.v[r].phys >= 0)
		fprintf(f, " v%u:r%d", r, fn->vregs.v[r].phys);
	else
		fprintf(f, " v%u", r);
}

static void print_ins(const struct mir_fn *fn, const struct mir_ins *i, FILE *f)
{
	const struct mir_op_info *info = &mir_op_info[i->op];

	fprintf(f, "\t%s%s.%x.%u", info->name, i->w32 ? "32" : "", i->bop, i->size);
	if (i->d)
		print_reg(fn, i->d, f), fputs(" =", f);
	if (info->reads_a && i->a)
		print_reg(fn, i->a, f);
	if (info->reads_b && i->b)
		print_reg(fn, i->b, f);
	for (uint32_t k = 0; k < i->n_args; k++)
		if (i->args[k].kind == MA_REG)
			print_reg(fn, i->args[k].reg, f);
		else
			fprintf(f, " #%lld", (long long)i->args[k].imm);
	fprintf(f, " off %d imm %lld", i->off, (long long)i->imm);
	if (i->has_rel)
		fprintf(f, " rel %d %u %s", i->rel.kind, i->rel.id, i->rel.name ? i->rel.name : "");
	fputc('\n', f);
}

void mir_print(const struct mir_fn *fn, FILE *f)
{
	fprintf(f, "mir %s\n", fn->name);
	vec_foreach(&fn->blocks, b) {
		fprintf(f, "b%u:%s\n", (*b)->id, (*b)->cold ? " cold" : "");
		for (struct mir_ins *i = (*b)->first; i; i = i->next)
			print_ins(fn, i, f);
		for (uint32_t k = 0; k < (*b)->n_succ; k++)
			fprintf(f, "\t-> b%u\n", (*b)->succ[k]->id);
	}
}
