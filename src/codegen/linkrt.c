// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * linkrt: takes functions of the runtime (bpf/, compiled by clang, embedded) into an object: those
 * that it calls, and those that these call, with their types, line information and CO-RE records.
 *
 * libbpf's linker would do for whole files, but versions before 1.6 fail on a kernel function that
 * two files declare. What is taken here is our own: functions of .text that call each other, kernel
 * functions and helpers, and read kernel configuration.
 */
#include <bpf/btf.h>
#include <errno.h>

#include "codegen/objint.h"

struct ow_rt_obj { /* a runtime object, opened */
	const char *name;
	const struct rt_obj *from;
	const uint8_t *text;
	const Elf64_Rel *rels;
	size_t n_rels;
	const Elf64_Sym *syms;
	size_t n_syms;
	const char *strs;
	struct btf *btf;    /* NULL: nobody has asked yet */
	uint32_t *copied;   /* as ow->copied */
	const uint8_t *ext; /* .BTF.ext */
};

/* -- reading an embedded object: made by clang when this was built, so not checked ------------- */

const uint8_t *ow_elf_section(const struct rt_obj *o, const char *name, size_t *len)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)o->bytes;
	const Elf64_Shdr *s = (const Elf64_Shdr *)(o->bytes + h->e_shoff);
	const char *names = (const char *)o->bytes + s[h->e_shstrndx].sh_offset;

	for (uint32_t i = 1; i < h->e_shnum; i++)
		if (!strcmp(names + s[i].sh_name, name)) {
			BUG_ON(s[i].sh_offset + s[i].sh_size > o->len);
			*len = s[i].sh_size;
			return o->bytes + s[i].sh_offset;
		}
	*len = 0;
	return NULL;
}

static struct ow_rt_obj *rt_open(struct ow *w, uint32_t i)
{
	const struct rt_obj *o = &rt_objs[i];
	struct ow_rt_obj *v;
	size_t n;

	if (w->rt[i])
		return w->rt[i];
	v = w->rt[i] = arena_new_of(w->a, struct ow_rt_obj);
	v->name = o->name;
	v->from = o;
	if (ow_elf_section(o, ".data", &n),
	    n || (ow_elf_section(o, ".bss", &n), n) || (ow_elf_section(o, ".rodata", &n), n))
		BUG("bpf/%s.bpf.c has data", o->name);
	v->text = ow_elf_section(o, ".text", &n);
	v->rels = (const Elf64_Rel *)ow_elf_section(o, ".rel.text", &n);
	v->n_rels = n / sizeof(*v->rels);
	v->syms = (const Elf64_Sym *)ow_elf_section(o, ".symtab", &n);
	v->n_syms = n / sizeof(*v->syms);
	v->strs = (const char *)ow_elf_section(o, ".strtab", &n);
	if (!v->text)
		BUG("bpf/%s.bpf.c was compiled without code", o->name);
	return v;
}

static void rt_open_btf(struct ow *w, struct ow_rt_obj *v)
{
	const uint8_t *btf;
	size_t n;

	if (v->btf)
		return;
	btf = ow_elf_section(v->from, ".BTF", &n);
	v->btf = btf__new(btf, (uint32_t)n);
	v->ext = ow_elf_section(v->from, ".BTF.ext", &n);
	if (!v->btf || !v->ext)
		BUG("bpf/%s.bpf.c was compiled without BTF", v->name);
	v->copied = arena_array(w->a, uint32_t, btf__type_cnt(v->btf));
}

void ow_rt_close(struct ow *w)
{
	for (uint32_t i = 0; i < n_rt_objs; i++)
		if (w->rt[i] && w->rt[i]->btf)
			btf__free(w->rt[i]->btf);
}

static bool is_fn(const Elf64_Sym *s)
{
	return s->st_shndx && ELF64_ST_TYPE(s->st_info) == STT_FUNC;
}

/*
 * A function of any runtime object, static ones that get a map too; false: there is none of that
 * name.
 */
static bool find_by_name(struct ow *w, const char *name, struct ow_ref *r)
{
	for (uint32_t i = 1; i < n_rt_objs; i++) {
		const struct ow_rt_obj *v = rt_open(w, i);

		for (size_t k = 0; k < v->n_syms; k++)
			if (is_fn(&v->syms[k]) && !strcmp(v->strs + v->syms[k].st_name, name)) {
				*r = (struct ow_ref){ OW_REF_FN, i, (uint32_t)v->syms[k].st_value };
				return true;
			}
	}
	return false;
}

static const Elf64_Rel *rel_at(const struct ow_rt_obj *v, uint32_t off)
{
	for (size_t i = 0; i < v->n_rels; i++)
		if (v->rels[i].r_offset == off)
			return &v->rels[i];
	return NULL;
}

static struct ow_ref ref_extern(struct ow *w, const struct ow_rt_obj *v, const Elf64_Sym *s,
				bool call)
{
	struct ow_ref r = { 0 };
	const char *name = v->strs + s->st_name;

	if (call && find_by_name(w, name, &r))
		return r;
	return (struct ow_ref){ .kind = call ? OW_REF_KFUNC : OW_REF_KCONFIG,
				.name = name,
				.weak = ELF64_ST_BIND(s->st_info) == STB_WEAK };
}

struct ow_ref ow_rt_ref(struct ow *w, uint32_t obj, uint32_t off)
{
	const struct ow_rt_obj *v = w->rt[obj];
	const struct bpf_insn *in = (const struct bpf_insn *)(v->text + off);
	const Elf64_Rel *rel = rel_at(v, off);
	bool call = in->code == (BPF_JMP | BPF_CALL);
	const Elf64_Sym *s;
	uint32_t add;

	if (!rel && call && in->src_reg == BPF_PSEUDO_CALL)
		return (struct ow_ref){ OW_REF_FN, obj, off + (uint32_t)(in->imm + 1) * 8 };
	if (!rel)
		return (struct ow_ref){ 0 };
	s = &v->syms[ELF64_R_SYM(rel->r_info)];
	if (!s->st_shndx)
		return ref_extern(w, v, s, call);
	add = call ? (uint32_t)(in->imm + 1) * 8 : (uint32_t)in->imm;
	return (struct ow_ref){ call ? OW_REF_FN : OW_REF_ADDR, obj, (uint32_t)s->st_value + add };
}

/* -- which functions --------------------------------------------------------------------------- */

int32_t ow_rt_find(const struct ow *w, uint32_t obj, uint32_t off)
{
	for (uint32_t i = 0; i < w->rt_fns.n; i++)
		if (w->rt_fns.v[i].obj == obj && w->rt_fns.v[i].src_off == off)
			return (int32_t)i;
	return -1;
}

static void want(struct ow *w, uint32_t obj, uint32_t off)
{
	const struct ow_rt_obj *v = rt_open(w, obj);

	if (ow_rt_find(w, obj, off) >= 0)
		return;
	for (size_t k = 0; k < v->n_syms; k++) {
		const Elf64_Sym *s = &v->syms[k];

		if (!is_fn(s) || s->st_value != off)
			continue;
		*vec_push(w->a, &w->rt_fns) =
			(struct ow_rt_fn){ .name = v->strs + s->st_name,
					   .obj = obj,
					   .src_off = off,
					   .size = (uint32_t)s->st_size,
					   .global = ELF64_ST_BIND(s->st_info) == STB_GLOBAL };
		return;
	}
	BUG("no function at byte %u of bpf/%s.bpf.c", off, v->name);
}

void ow_rt_collect(struct ow *w)
{
	struct ow_ref r;

	vec_foreach(&w->o->fns, fn)
		vec_foreach(&(*fn)->relocs, rel) {
			if (rel->kind != OBJ_REL_RT)
				continue;
			if (!find_by_name(w, rel->name, &r))
				BUG("the runtime has no function %s", rel->name);
			want(w, r.obj, r.off);
		}
	for (uint32_t i = 0; i < w->rt_fns.n; i++) {
		struct ow_rt_fn f = w->rt_fns.v[i];

		for (uint32_t off = f.src_off; off < f.src_off + f.size; off += 8) {
			r = ow_rt_ref(w, f.obj, off);
			if (r.kind == OW_REF_FN || r.kind == OW_REF_ADDR)
				want(w, r.obj, r.off);
		}
	}
}

const struct bpf_insn *ow_rt_insns(const struct ow *w, const struct ow_rt_fn *f)
{
	return (const struct bpf_insn *)(w->rt[f->obj]->text + f->src_off);
}

const struct ow_rt_fn *ow_rt_fn(const struct ow *w, const char *name)
{
	vec_foreach(&w->rt_fns, f)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

/* -- their code -------------------------------------------------------------------------------- */

void ow_rt_code(struct ow *w)
{
	struct ow_code_sec *c = &w->code[OW_TEXT];

	vec_foreach(&w->rt_fns, f) {
		const struct bpf_insn *in = ow_rt_insns(w, f);

		f->dst_off = c->insns.n * 8;
		for (uint32_t i = 0; i < f->size / 8; i++)
			*vec_push(w->a, &c->insns) = in[i];
	}
}

static int rt_relocate(struct ow *w, uint32_t insn, const struct ow_ref *r)
{
	const struct ow_rt_fn *to;
	struct obj_reloc rel = { .name = r->name, .addend = r->weak ? OBJ_REL_WEAK : 0 };

	switch (r->kind) {
	case OW_REF_NONE:
		return 0;
	case OW_REF_FN:
		return ow_rel_call(w, OW_TEXT, insn,
				   w->rt_fns.v[ow_rt_find(w, r->obj, r->off)].sym);
	case OW_REF_ADDR:
		to = &w->rt_fns.v[ow_rt_find(w, r->obj, r->off)];
		return ow_rel_addr(w, OW_TEXT, insn, w->text_sym, to->dst_off);
	case OW_REF_KFUNC:
		rel.kind = OBJ_REL_KFUNC;
		return ow_rel_call(w, OW_TEXT, insn, ow_extern(w, &rel));
	case OW_REF_KCONFIG:
		rel.kind = OBJ_REL_KCONFIG;
		return ow_rel_addr(w, OW_TEXT, insn, ow_extern(w, &rel), 0);
	}
	return 0;
}

int ow_rt_relocate(struct ow *w)
{
	int err = 0;

	vec_foreach(&w->rt_fns, f)
		for (uint32_t at = 0; at < f->size && !err; at += 8) {
			struct ow_ref r = ow_rt_ref(w, f->obj, f->src_off + at);

			err = rt_relocate(w, (f->dst_off + at) / 8, &r);
		}
	return err;
}

/* -- their types and records ------------------------------------------------------------------- */

struct ext_header { /* of .BTF.ext: offsets from its end */
	uint16_t magic;
	uint8_t version, flags;
	uint32_t hdr_len;
	struct {
		uint32_t off, len;
	} part[3]; /* functions, lines, CO-RE */
};

/* The next record of part `part` that lies in the function, after *pos; NULL: no more. */
static const uint32_t *next_rec(const struct ow_rt_obj *v, uint32_t part, const struct ow_rt_fn *f,
				uint32_t *pos)
{
	const struct ext_header *h = (const struct ext_header *)v->ext;
	const uint8_t *base = v->ext + h->hdr_len + h->part[part].off;
	uint32_t size = *(const uint32_t *)base, i = 0;

	for (uint32_t at = 4; at < h->part[part].len;) {
		uint32_t n = *(const uint32_t *)(base + at + 4);

		at += 8; /* .text is the only section */
		for (uint32_t k = 0; k < n; k++, at += size) {
			const uint32_t *rec = (const uint32_t *)(base + at);

			if (i++ < *pos || rec[0] < f->src_off || rec[0] >= f->src_off + f->size)
				continue;
			*pos = i;
			return rec;
		}
	}
	return NULL;
}

static int copy_str(struct ow *w, const struct ow_rt_obj *v, uint32_t off, uint32_t *to)
{
	int id = btf__add_str(w->btf, btf__str_by_offset(v->btf, off));

	if (id < 0)
		return ow_fail(w, "BTF strings", id);
	*to = (uint32_t)id;
	return 0;
}

static int rt_fn_info(struct ow *w, struct ow_rt_fn *f)
{
	struct ow_rt_obj *v = w->rt[f->obj];
	const uint32_t *rec;
	uint32_t pos = 0;
	int id, err = 0;

	rt_open_btf(w, v);
	rec = next_rec(v, 0, f, &pos);
	id = rec ? ow_btf_copy(w, v->btf, rec[1], v->copied) : -ENOENT;
	if (id < 0)
		return ow_fail(w, f->name, id);
	f->type_id = (uint32_t)id;
	for (pos = 0; !err && (rec = next_rec(v, 1, f, &pos));) {
		struct ow_line *l = vec_push(w->a, &w->rt_lines);

		l->insn_off = rec[0] - f->src_off + f->dst_off;
		l->line_col = rec[3];
		err = copy_str(w, v, rec[1], &l->file_off);
		if (!err)
			err = copy_str(w, v, rec[2], &l->text_off);
	}
	for (pos = 0; !err && (rec = next_rec(v, 2, f, &pos));) {
		struct ow_core *c = vec_push(w->a, &w->code[OW_TEXT].cores);

		c->insn_off = rec[0] - f->src_off + f->dst_off;
		c->kind = rec[3];
		id = ow_btf_copy(w, v->btf, rec[1], v->copied);
		c->type_id = (uint32_t)id;
		err = id < 0 ? id : copy_str(w, v, rec[2], &c->access_off);
	}
	return err;
}

int ow_rt_btf(struct ow *w)
{
	int err = 0;

	vec_foreach(&w->rt_fns, f)
		if (!err)
			err = rt_fn_info(w, f);
	return err;
}
