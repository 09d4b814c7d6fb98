// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The machine. Addresses: those of this process for stack, maps and read-only data; pointers of
 * irrun for kernel structures; packet bytes and addresses of fields have kinds of their own in
 * their top bits.
 */
#include <stdlib.h>

#include "vmrun.h"

#define PKT_KIND   0x30ull
#define FIELD_KIND 0x31ull
#define STACK	   512

struct frame {
	struct vmrun *v;
	const struct obj_fn *fn;
	uint64_t r[11];
	uint8_t stack[STACK];
	uint32_t n_fields;
	struct {
		enum ir_field f;
		uint64_t base;
	} fields[64]; /* a ring of field addresses */
	uint32_t depth;
};

struct vmrun *vmrun_new(struct arena *a, struct obj_file *o, struct irrun *env)
{
	struct vmrun *v = arena_new_of(a, struct vmrun);

	v->o = o;
	v->env = env;
	v->maps = arena_array(a, uint8_t *, o->maps.n + 1);
	for (uint32_t k = 0; k < o->maps.n; k++)
		v->maps[k] = arena_alloc(a, (size_t)o->maps.v[k]->value_size *
						    MIN(o->maps.v[k]->max_entries, 65536u));
	return v;
}

static const struct obj_reloc *rel_at(const struct obj_fn *fn, uint32_t pc)
{
	uint32_t lo = 0, hi = fn->relocs.n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (fn->relocs.v[mid].insn < pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < fn->relocs.n && fn->relocs.v[lo].insn == pc ? &fn->relocs.v[lo] : NULL;
}

static uint64_t packet_byte(const struct vmrun *v, uint64_t off)
{
	const struct pkt *p = v->env->p;

	return off < p->len - v->data_len ? p->l3[off]
					  : 0xee; /* behind the linear part: anything */
}

static uint64_t field(struct frame *f, enum ir_field id, uint64_t base, int64_t off)
{
	if (id == FLD_skb_data && base)
		return PKT_KIND << 48;
	if (id == FLD_skb_data_len && base)
		return f->v->data_len;
	return irrun_field(f->v->env, id, base, off);
}

static uint64_t mask(uint64_t v, uint32_t size)
{
	return size == 8 ? v : v & ((1ull << 8 * size) - 1);
}

static uint64_t load(struct frame *f, uint64_t at, uint32_t size)
{
	uint64_t kind = at >> 48, x = 0;

	if (kind == PKT_KIND) {
		for (uint32_t k = 0; k < size; k++)
			x |= packet_byte(f->v, (at & 0xffffffffffff) + k) << 8 * k;
		return x;
	}
	if (kind == FIELD_KIND) {
		uint32_t n = at >> 16 & 0xffff;

		return mask(field(f, f->fields[n].f, f->fields[n].base, at & 0xffff), size);
	}
	if (kind == 1)
		return irrun_field(f->v->env, at & 0xffff ? FLD_ctx_skb : FLD_ctx_state,
				   at & ~0xffffull, 0);
	if (kind || at < 65536) {
		f->v->fault = "load of what is no memory";
		return 0;
	}
	memcpy(&x, (const void *)(uintptr_t)at, size);
	return x;
}

static void store(struct frame *f, uint64_t at, uint64_t x, uint32_t size)
{
	if (at >> 48 || at < 65536)
		f->v->fault = "store to what is no memory";
	else
		memcpy((void *)(uintptr_t)at, &x, size);
}

/* -- calls ------------------------------------------------------------------------------------- */

static uint64_t lookup(struct frame *f, uint64_t map, const uint8_t *key)
{
	const struct obj_map *m = f->v->o->maps.v[map];
	uint32_t index;

	if (m->type != BPF_MAP_TYPE_ARRAY && m->type != BPF_MAP_TYPE_PERCPU_ARRAY) {
		f->v->cannot = "sets in maps";
		return 0;
	}
	memcpy(&index, key, 4);
	if (index >= m->max_entries)
		return 0;
	return (uintptr_t)(f->v->maps[map] + (size_t)index * m->value_size);
}

static uint64_t pull(struct frame *f)
{
	const struct pkt *p = f->v->env->p;
	uint8_t *buf = (uint8_t *)(uintptr_t)f->r[4];

	for (uint64_t k = 0; k < f->r[3]; k++)
		buf[k] = f->r[2] + k < p->len ? p->l3[f->r[2] + k] : 0xdd;
	return f->r[4];
}

static uint64_t call_fn(struct frame *f, uint32_t n);

static const char *const runtime_names[] = {
#define R(id, fn, res, n_args) #fn,
#include "runtime.def"
#undef R
};

static uint64_t call(struct frame *f, const struct bpf_insn *i, const struct obj_reloc *rel)
{
	if (!rel && i->imm == BPF_FUNC_map_lookup_elem)
		return lookup(f, f->r[1], (const uint8_t *)(uintptr_t)f->r[2]);
	if (!rel && i->imm == BPF_FUNC_tail_call)
		return call_fn(f, f->v->o->maps.v[f->r[2]]->progs.v[f->r[3]]);
	if (!rel) {
		f->v->cannot = "helper";
		return 0;
	}
	if (rel->kind == OBJ_REL_CALL)
		return call_fn(f, rel->id);
	if (!strcmp(rel->name, "bpf_rdonly_cast"))
		return f->r[1];
	if (!strncmp(rel->name, "n2b_pull", 8))
		return pull(f);
	for (uint32_t k = 0; k < RT_COUNT; k++)
		if (!strcmp(rel->name, runtime_names[k]))
			return irrun_rt(f->v->env, k, f->r + 2);
	f->v->cannot = rel->name;
	return 0;
}

/* -- instructions ------------------------------------------------------------------------------ */

static uint64_t alu(struct frame *f, const struct bpf_insn *i, uint64_t a, uint64_t b)
{
	bool w = BPF_CLASS(i->code) == BPF_ALU;

	if (w && BPF_OP(i->code) != BPF_END) {
		a = (uint32_t)a;
		b = (uint32_t)b;
	}
	switch (BPF_OP(i->code)) {
	case BPF_ADD:
		a += b;
		break;
	case BPF_SUB:
		a -= b;
		break;
	case BPF_MUL:
		a *= b;
		break;
	case BPF_DIV:
		a = b ? a / b : 0;
		break;
	case BPF_MOD:
		a = b ? a % b : a;
		break;
	case BPF_OR:
		a |= b;
		break;
	case BPF_AND:
		a &= b;
		break;
	case BPF_XOR:
		a ^= b;
		break;
	case BPF_LSH:
		a <<= b & (w ? 31 : 63);
		break;
	case BPF_RSH:
		a >>= b & (w ? 31 : 63);
		break;
	case BPF_NEG:
		a = -a;
		break;
	case BPF_MOV:
		a = b;
		break;
	case BPF_END:
		return i->imm == 16   ? __builtin_bswap16(a)
		       : i->imm == 32 ? __builtin_bswap32(a)
				      : __builtin_bswap64(a);
	default:
		f->v->fault = "unknown operation";
	}
	return w ? (uint32_t)a : a;
}

static void run_alu(struct frame *f, const struct bpf_insn *i, const struct obj_reloc *rel)
{
	uint64_t b = BPF_SRC(i->code) == BPF_X ? f->r[i->src_reg] : (uint64_t)(int64_t)i->imm;
	uint64_t *d = &f->r[i->dst_reg];

	if (rel && rel->kind == OBJ_REL_CORE_BITS)
		return; /* the environment gives bit fields as they are */
	if (rel && rel->kind == OBJ_REL_CORE_FIELD) {
		uint32_t n = f->n_fields++ % ARRAY_SIZE(f->fields);

		f->fields[n].f = rel->id;
		f->fields[n].base = *d;
		*d = FIELD_KIND << 48 | (uint64_t)n << 16;
		return;
	}
	*d = alu(f, i, *d, b);
}

static bool taken(const struct bpf_insn *i, uint64_t a, uint64_t b)
{
	if (BPF_CLASS(i->code) == BPF_JMP32) {
		a = (uint32_t)a;
		b = (uint32_t)b;
	}
	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return true;
	case BPF_JEQ:
		return a == b;
	case BPF_JNE:
		return a != b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JLT:
		return a < b;
	case BPF_JLE:
		return a <= b;
	case BPF_JSET:
		return a & b;
	}
	return false;
}

static uint64_t ld_imm(struct frame *f, const struct bpf_insn *i, const struct obj_reloc *rel)
{
	if (!rel)
		return (uint32_t)i[0].imm | (uint64_t)(uint32_t)i[1].imm << 32;
	switch (rel->kind) {
	case OBJ_REL_MAP:
		return rel->id;
	case OBJ_REL_RODATA:
		return (uintptr_t)(f->v->o->rodata.v[rel->id].bytes + rel->addend);
	default:
		return 1; /* a type */
	}
}

static void run_mem(struct frame *f, const struct bpf_insn *i, const struct obj_reloc *rel)
{
	static const uint8_t sizes[] = { 4, 2, 1, 8 };
	uint32_t size = sizes[BPF_SIZE(i->code) >> 3];
	uint64_t d = f->r[i->dst_reg] + i->off;

	switch (BPF_CLASS(i->code)) {
	case BPF_LDX:
		if (rel)
			f->r[i->dst_reg] = mask(field(f, rel->id, f->r[i->src_reg], 0), size);
		else
			f->r[i->dst_reg] = load(f, f->r[i->src_reg] + i->off, size);
		break;
	case BPF_STX:
		if (BPF_MODE(i->code) == BPF_ATOMIC)
			store(f, d, load(f, d, size) + f->r[i->src_reg], size);
		else
			store(f, d, f->r[i->src_reg], size);
		break;
	default:
		store(f, d, (uint64_t)(int64_t)i->imm, size);
	}
}

static uint64_t run(struct frame *f)
{
	for (uint32_t pc = 0; pc < f->fn->insns.n && !f->v->fault && !f->v->cannot; pc++) {
		const struct bpf_insn *i = &f->fn->insns.v[pc];
		const struct obj_reloc *rel = rel_at(f->fn, pc);

		f->v->steps++;
		switch (BPF_CLASS(i->code)) {
		case BPF_ALU:
		case BPF_ALU64:
			run_alu(f, i, rel);
			break;
		case BPF_JMP:
		case BPF_JMP32:
			if (BPF_OP(i->code) == BPF_EXIT)
				return f->r[0];
			if (BPF_OP(i->code) == BPF_CALL) {
				f->r[0] = call(f, i, rel);
				if (!rel && i->imm == BPF_FUNC_tail_call)
					return f->r[0];
				for (int k = 1; k < 6; k++)
					f->r[k] = 0xdeadbeefdeadbeef;
			} else if (taken(i, f->r[i->dst_reg],
					 BPF_SRC(i->code) == BPF_X ? f->r[i->src_reg]
								   : (uint64_t)(int64_t)i->imm)) {
				pc += i->off;
			}
			break;
		case BPF_LD:
			f->r[i->dst_reg] = ld_imm(f, i, rel);
			pc++;
			break;
		default:
			run_mem(f, i, rel);
		}
	}
	if (!f->v->fault)
		f->v->fault = "runs past the end";
	return 0;
}

static uint64_t call_fn(struct frame *f, uint32_t n)
{
	struct frame *g = calloc(1, sizeof(*g));
	uint64_t r;

	g->v = f->v;
	g->fn = f->v->o->fns.v[n];
	g->r[1] = f->r[1];
	g->r[10] = (uintptr_t)(g->stack + STACK);
	for (int k = 2; k < 10; k++)
		g->r[k] = 0xbadbadbadbadull;
	/* Of a number, the callee may rely on the low half only. */
	for (uint32_t k = 1; k <= g->fn->n_numbers; k++)
		g->r[k] = f->r[k] | 0xabcdull << 32;
	r = run(g);
	free(g);
	return r;
}

uint64_t vmrun_prog(struct vmrun *v, uint32_t fn, const struct pkt *p)
{
	struct frame root = { .v = v, .r = { 0, 1ull << 48 } };

	v->env->p = p;
	v->env->cannot = NULL;
	v->cannot = v->fault = NULL;
	return call_fn(&root, fn);
}
