// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * print: an object as text (--emit asm), in the notation of `bpftool prog dump xlated`, with the
 * rules between the instructions; relocations stand where bpftool shows what they became.
 */
#include "codegen.h"

static const char *const alu_ops[16] = { "+=",	"-=",  "*=", "/=", "|=", "&=",	 "<<=",
					 ">>=", "neg", "%=", "^=", "=",	 "s>>=", "endian" };
static const char *const jmp_ops[16] = { "goto", "==",	 ">",	 ">=", "&",  "!=", "s>",
					 "s>=",	 "call", "exit", "<",  "<=", "s<", "s<=" };
static const char *const sizes[4] = { "u32", "u16", "u8", "u64" };

static const struct obj_reloc *reloc_at(const struct obj_fn *fn, uint32_t insn, uint32_t *next)
{
	while (*next < fn->relocs.n && fn->relocs.v[*next].insn < insn)
		++*next;
	return *next < fn->relocs.n && fn->relocs.v[*next].insn == insn ? &fn->relocs.v[*next]
									: NULL;
}

static const char *field_text(char *buf, size_t n, const struct obj_reloc *r)
{
	snprintf(buf, n, "%s.%s", ir_field_info[r->id].st, ir_field_info[r->id].path);
	return buf;
}

/* What a relocation puts in place of the number; NULL: the number stays. */
static const char *reloc_text(const struct obj_file *o, const struct obj_reloc *r, char *buf,
			      size_t n)
{
	char f[128];

	switch (r->kind) {
	case OBJ_REL_MAP:
		snprintf(buf, n, "map[%s]", o->maps.v[r->id]->name);
		break;
	case OBJ_REL_RODATA:
		snprintf(buf, n, "rodata[%s]+%d", o->rodata.v[r->id].name, r->addend);
		break;
	case OBJ_REL_ELEMS:
		snprintf(buf, n, "elements+%d", r->addend);
		break;
	case OBJ_REL_WORDS:
		snprintf(buf, n, "words+%d", 4 * r->addend);
		break;
	case OBJ_REL_CALL:
	case OBJ_REL_FN:
		snprintf(buf, n, "%s", o->fns.v[r->id]->name);
		break;
	case OBJ_REL_RT:
	case OBJ_REL_KFUNC:
	case OBJ_REL_KCONFIG:
		snprintf(buf, n, "%s", r->name);
		break;
	case OBJ_REL_CORE_FIELD:
		snprintf(buf, n, "%s", field_text(f, sizeof(f), r));
		break;
	case OBJ_REL_CORE_BITS:
		snprintf(buf, n, "shift(%s)", field_text(f, sizeof(f), r));
		break;
	case OBJ_REL_CORE_TYPE:
		snprintf(buf, n, "type(%s)", r->name);
		break;
	case OBJ_REL_CORE_ENUM:
		snprintf(buf, n, "enum(%s.%s)", r->name, r->name2);
		break;
	}
	return buf;
}

static void print_alu(const struct bpf_insn *i, const char *rel, FILE *f)
{
	char w = BPF_CLASS(i->code) == BPF_ALU ? 'w' : 'r';
	uint8_t op = BPF_OP(i->code);

	if (op == BPF_NEG)
		fprintf(f, "%c%u = -%c%u", w, i->dst_reg, w, i->dst_reg);
	else if (op == BPF_END)
		fprintf(f, "r%u = be%d r%u", i->dst_reg, i->imm, i->dst_reg);
	else if (BPF_SRC(i->code) == BPF_X)
		fprintf(f, "%c%u %s %c%u", w, i->dst_reg, alu_ops[op >> 4], w, i->src_reg);
	else if (rel)
		fprintf(f, "%c%u %s %s", w, i->dst_reg, alu_ops[op >> 4], rel);
	else
		fprintf(f, "%c%u %s %d", w, i->dst_reg, alu_ops[op >> 4], i->imm);
}

static void print_jmp(const struct bpf_insn *i, uint32_t pc, const char *rel, FILE *f)
{
	char w = BPF_CLASS(i->code) == BPF_JMP32 ? 'w' : 'r';
	uint8_t op = BPF_OP(i->code);

	if (op == BPF_EXIT)
		fputs("exit", f);
	else if (op == BPF_CALL && rel)
		fprintf(f, "call %s", rel);
	else if (op == BPF_CALL)
		fprintf(f, "call helper#%d", i->imm);
	else if (op == BPF_JA)
		fprintf(f, "goto pc%+d (%u)", i->off, pc + 1 + i->off);
	else if (BPF_SRC(i->code) == BPF_X)
		fprintf(f, "if %c%u %s %c%u goto pc%+d (%u)", w, i->dst_reg, jmp_ops[op >> 4], w,
			i->src_reg, i->off, pc + 1 + i->off);
	else
		fprintf(f, "if %c%u %s 0x%x goto pc%+d (%u)", w, i->dst_reg, jmp_ops[op >> 4],
			i->imm, i->off, pc + 1 + i->off);
}

static void print_mem(const struct bpf_insn *i, const char *rel, FILE *f)
{
	const char *size = sizes[BPF_SIZE(i->code) >> 3];
	char off[272];

	if (rel)
		snprintf(off, sizeof(off), "+%s", rel);
	else
		snprintf(off, sizeof(off), "%+d", i->off);
	if (BPF_CLASS(i->code) == BPF_LDX)
		fprintf(f, "r%u = *(%s *)(r%u %s)", i->dst_reg, size, i->src_reg, off);
	else if (BPF_CLASS(i->code) == BPF_STX && BPF_MODE(i->code) == BPF_ATOMIC)
		fprintf(f, "lock *(%s *)(r%u %s) += r%u", size, i->dst_reg, off, i->src_reg);
	else if (BPF_CLASS(i->code) == BPF_STX)
		fprintf(f, "*(%s *)(r%u %s) = r%u", size, i->dst_reg, off, i->src_reg);
	else
		fprintf(f, "*(%s *)(r%u %s) = %d", size, i->dst_reg, off, i->imm);
}

static void print_insn(const struct bpf_insn *i, uint32_t pc, const char *rel, FILE *f)
{
	fprintf(f, "%4u: (%02x) ", pc, i->code);
	switch (BPF_CLASS(i->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		print_alu(i, rel, f);
		break;
	case BPF_JMP:
	case BPF_JMP32:
		print_jmp(i, pc, rel, f);
		break;
	case BPF_LD:
		if (rel)
			fprintf(f, "r%u = %s", i->dst_reg, rel);
		else
			fprintf(f, "r%u = 0x%llx", i->dst_reg,
				(unsigned long long)(uint32_t)i[0].imm |
					(unsigned long long)(uint32_t)i[1].imm << 32);
		break;
	default:
		print_mem(i, rel, f);
	}
	fputc('\n', f);
}

static void print_fn(const struct obj_file *o, const struct obj_fn *fn, FILE *f)
{
	uint32_t rel = 0, line = 0;
	char buf[256];

	fprintf(f, "%s %s: %u instructions\n", fn->is_prog ? "program" : "function", fn->name,
		fn->insns.n);
	for (uint32_t pc = 0; pc < fn->insns.n; pc++) {
		const struct obj_reloc *r = reloc_at(fn, pc, &rel);

		if (line < fn->lines.n && fn->lines.v[line].insn == pc)
			fprintf(f, "; %s\n", fn->lines.v[line++].text);
		print_insn(&fn->insns.v[pc], pc, r ? reloc_text(o, r, buf, sizeof(buf)) : NULL, f);
		if (fn->insns.v[pc].code == (BPF_LD | BPF_IMM | BPF_DW))
			pc++;
	}
}

void cg_print(const struct obj_file *o, FILE *f)
{
	vec_foreach(&o->maps, m)
		fprintf(f, "map %s: type %u key %u value %u entries %u (%s)\n", (*m)->name,
			(*m)->type, (*m)->key_size, (*m)->value_size, (*m)->max_entries,
			(*m)->role ? (*m)->role : "");
	vec_foreach(&o->rodata, r)
		fprintf(f, "rodata %s: %u bytes\n", r->name, r->len);
	vec_foreach(&o->fns, fn)
		print_fn(o, *fn, f);
}
