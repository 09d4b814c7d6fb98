// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iselmem: kernel structures, read-only tables.
 *
 * Memory that the verifier does not know as an object (packet bytes, struct nf_conn) is read
 * through bpf_rdonly_cast(): the address is computed as a number, then cast to a pointer to a small
 * structure, a window, inside which constant offsets may be read.
 */
#include "isel.h"

static const struct window {
	uint32_t size;
	const char *name;
} windows[] = {
#define W(size, name) { size, name },
#include "windows.def"
#undef W
};

void isel_cast(struct isel *s, uint32_t d, uint32_t number, uint32_t bytes)
{
	const struct window *w = windows;
	struct mir_arg args[2] = { isel_arg_reg(number), { .kind = MA_REL } };
	struct mir_ins *c;

	while (w->size < bytes)
		if (++w == windows + ARRAY_SIZE(windows))
			BUG("no window of %u bytes", bytes);
	args[1].rel = (struct obj_reloc){ .kind = OBJ_REL_CORE_TYPE, .name = w->name };
	c = isel_call(s, MIR_CALL, 2, args);
	c->has_rel = true;
	c->rel = (struct obj_reloc){ .kind = OBJ_REL_KFUNC, .name = "bpf_rdonly_cast" };
	c->d = d;
}

static uint32_t cast(struct isel *s, uint32_t number, uint32_t bytes)
{
	uint32_t d = mir_vreg_new(s->fn);

	isel_cast(s, d, number, bytes);
	return d;
}

static void core_field(struct mir_ins *i, enum ir_field f)
{
	i->has_rel = true;
	i->rel = (struct obj_reloc){ .kind = OBJ_REL_CORE_FIELD, .id = f };
}

/* The address of a field as pointer or number. */
static uint32_t field_addr(struct isel *s, uint32_t base, enum ir_field f)
{
	struct mir_ins *i = isel_ins(s, MIR_ALU);

	i->bop = BPF_ADD;
	i->a = base;
	core_field(i, f);
	return i->d;
}

uint32_t isel_load_field(struct isel *s, uint32_t base, enum ir_field f, uint8_t size)
{
	uint32_t d = isel_load(s, base, 0, size);

	core_field(s->cur->last, f);
	return d;
}

/* -- context and structures -------------------------------------------------------------------- */

static uint32_t load_raw(struct isel *s, const struct ir_ins *i, uint32_t base)
{
	const struct ir_field_info *f = &ir_field_info[i->aux];

	if (s->cast_blk != s->cur || s->cast_base != base || s->cast_field != i->aux) {
		s->cast_ptr = cast(s, field_addr(s, base, i->aux), f->size);
		s->cast_blk = s->cur;
		s->cast_base = base;
		s->cast_field = i->aux;
	}
	return isel_load(s, s->cast_ptr, i->imm, MIN(f->size, 8));
}

/*
 * The byte that holds the field, shifted up and down again by what the running kernel's BTF says.
 */
static uint32_t load_bits(struct isel *s, const struct ir_ins *i, uint32_t base)
{
	static const uint8_t bops[] = { BPF_LSH, BPF_RSH };
	uint32_t d = isel_load_field(s, base, i->aux, ir_field_info[i->aux].size);

	for (int k = 0; k < 2; k++) {
		d = isel_alui(s, bops[k], false, d, 0);
		s->cur->last->has_rel = true;
		s->cur->last->rel = (struct obj_reloc){
			.kind = OBJ_REL_CORE_BITS,
			.id = i->aux,
			.addend = k ? BPF_CORE_FIELD_RSHIFT_U64 : BPF_CORE_FIELD_LSHIFT_U64,
		};
	}
	return d;
}

/* The verifier knows of some pointers that they may be NULL and wants a test. */
static bool may_be_null(const struct ir_ins *base)
{
	return base->op == IR_LDF && base->aux == FLD_skb_sk;
}

static uint32_t load_ptr(struct isel *s, const struct ir_ins *i, uint32_t base)
{
	const struct ir_field_info *f = &ir_field_info[i->aux];

	if (f->size == 16)
		return isel_load(s, field_addr(s, base, i->aux), i->imm, 8);
	return isel_load_field(s, base, i->aux, f->size);
}

static uint32_t load_maybe(struct isel *s, const struct ir_ins *i, uint32_t base)
{
	struct mir_block *there = mir_block_new(s->fn), *join = mir_block_new(s->fn);
	struct mir_ins *m = isel_ins(s, MIR_MOVI);
	uint32_t d = m->d, v;

	isel_jcc(s, BPF_JNE, false, base, 0, 0, there, join);
	s->cur = there;
	v = load_ptr(s, i, base);
	m = isel_ins(s, MIR_MOV);
	m->a = v;
	m->d = d;
	isel_jmp(s, join);
	s->cur = join;
	return d;
}

void isel_ldf(struct isel *s, struct ir_ins *i)
{
	struct ir_ins *b = ir_val(i->args[0]);
	uint32_t base = isel_val(s, b), *d = &s->vreg[i->id];

	switch (ir_field_info[i->aux].base) {
	case FB_CTX:
		*d = isel_load(s, base, i->aux == FLD_ctx_skb ? CTX_SKB : 0, 8);
		if (i->aux == FLD_ctx_skb && !s->skb[i->blk->id])
			s->skb[i->blk->id] = *d;
		break;
	case FB_PTR:
		*d = may_be_null(b) ? load_maybe(s, i, base) : load_ptr(s, i, base);
		if (i->aux == FLD_skb_len && !s->len[i->blk->id])
			s->len[i->blk->id] = *d;
		break;
	case FB_RAW:
		*d = load_raw(s, i, base);
		break;
	case FB_BITS:
		*d = load_bits(s, i, base);
		break;
	}
}

/* -- read-only tables -------------------------------------------------------------------------- */

void isel_ldro(struct isel *s, struct ir_ins *i)
{
	struct ir_ins *at = ir_val(i->args[0]);
	struct mir_ins *base = isel_ins(s, MIR_LDIMM);
	int64_t off = i->imm;
	uint32_t addr = base->d;

	s->fn->vregs.v[addr].remat = base;
	base->has_rel = true;
	base->rel = (struct obj_reloc){ .kind = OBJ_REL_RODATA, .id = i->aux };
	if (at->op == IR_CONST)
		off += at->imm;
	else
		addr = isel_alu(s, BPF_ADD, false, addr, isel_val(s, at));
	if (off > INT16_MAX) {
		base->rel.addend = off;
		off = 0;
	}
	s->vreg[i->id] = isel_load(s, addr, off, i->size);
}
