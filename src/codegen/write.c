// SPDX-License-Identifier: GPL-2.0-or-later
/* write: obj_write(): from functions with symbolic relocations to a file in its place. */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codegen/objint.h"

/* enum sec of elf.c, as far as symbols are in these sections. */
enum { SYM_NETFILTER = 1, SYM_TEXT, SYM_TC, SYM_RODATA = 7, SYM_ELEMS, SYM_DATA, SYM_MAPS };

/* -- code -------------------------------------------------------------------------------------- */

/* What each attached program begins with (OBJ_FORCE); r1, the context, stays. */
static void append_guard(struct ow *w, struct ow_code_sec *c)
{
	static const struct bpf_insn guard[OW_GUARD_LEN] = {
		{ .code = BPF_LD | BPF_IMM | BPF_DW },
		{ 0 },
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .off = 4 * OBJ_FORCE },
		[OBJ_GUARD_RUN] = { .code = BPF_JMP32 | BPF_JEQ | BPF_K,
				    .dst_reg = 2,
				    .off = 12,
				    .imm = OBJ_FORCE_RUN },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1 },
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 7, .off = 4 * OBJ_SINCE },
		{ .code = BPF_ALU | BPF_MOV | BPF_K, .imm = 0 },
		{ .code = BPF_JMP32 | BPF_JEQ | BPF_K,
		  .dst_reg = 2,
		  .off = 7,
		  .imm = OBJ_FORCE_DROP },
		{ .code = BPF_JMP32 | BPF_JEQ | BPF_K,
		  .dst_reg = 2,
		  .off = 5,
		  .imm = OBJ_FORCE_ACCEPT },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ktime_get_ns },
		{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .imm = OBJ_SINCE_SHIFT },
		{ .code = BPF_ALU | BPF_SUB | BPF_X, .src_reg = 7 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 6 },
		{ .code = BPF_JMP32 | BPF_JLT | BPF_K, .off = 2, .imm = OBJ_SINCE_MAX },
		{ .code = BPF_ALU | BPF_MOV | BPF_K, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	for (uint32_t i = 0; i < OW_GUARD_LEN; i++)
		*vec_push(w->a, &c->insns) = guard[i];
}

static void append_code(struct ow *w)
{
	for (uint32_t i = 0; i < w->o->fns.n; i++) {
		const struct obj_fn *fn = w->o->fns.v[i];
		struct ow_code_sec *c = &w->code[OW_FN_SEC(fn)];

		BUG_ON(!fn->insns.n);
		w->fn_off[i] = c->insns.n * 8;
		if (OW_GUARD(w, fn))
			append_guard(w, c);
		vec_foreach(&fn->insns, in)
			*vec_push(w->a, &c->insns) = *in;
	}
	ow_rt_code(w);
}

/* -- symbols ----------------------------------------------------------------------------------- */

static uint32_t add_sym(struct ow *w, const char *name, uint32_t bind, uint32_t type, uint32_t sec,
			uint64_t value, uint64_t size)
{
	*vec_push(w->a, &w->syms) = (struct ow_sym){ name, (uint8_t)ELF64_ST_INFO(bind, type),
						     (uint16_t)sec, value, size };
	return w->syms.n - 1;
}

static void add_fn_syms(struct ow *w, bool local)
{
	for (uint32_t i = 0; i < w->o->fns.n; i++) {
		const struct obj_fn *fn = w->o->fns.v[i];

		if ((!fn->is_prog && !fn->is_fill && !fn->is_global) == local)
			w->fn_sym[i] = add_sym(w, fn->name, local ? STB_LOCAL : STB_GLOBAL,
					       STT_FUNC, SYM_NETFILTER + OW_FN_SEC(fn),
					       w->fn_off[i], (OW_GUARD(w, fn) + fn->insns.n) * 8);
	}
	vec_foreach(&w->rt_fns, f)
		if (f->global != local)
			f->sym = add_sym(w, f->name, local ? STB_LOCAL : STB_GLOBAL, STT_FUNC,
					 SYM_TEXT, f->dst_off, f->size);
}

static void add_syms(struct ow *w)
{
	uint64_t off = 0;

	add_sym(w, "", 0, 0, 0, 0, 0);
	if (w->code[OW_TEXT].insns.n)
		w->text_sym = add_sym(w, "", STB_LOCAL, STT_SECTION, SYM_TEXT, 0, 0);
	if (w->rodata.n)
		w->rodata_sym = add_sym(w, "", STB_LOCAL, STT_SECTION, SYM_RODATA, 0, 0);
	if (w->o->elems.n)
		w->elems_sym = add_sym(w, "", STB_LOCAL, STT_SECTION, SYM_ELEMS, 0, 0);
	if (w->o->has_words)
		w->data_sym = add_sym(w, "", STB_LOCAL, STT_SECTION, SYM_DATA, 0, 0);
	add_fn_syms(w, true);
	w->n_local = w->syms.n;
	if (w->o->has_words)
		add_sym(w, OBJ_WORDS_NAME, STB_GLOBAL, STT_OBJECT, SYM_DATA, 0,
			sizeof(w->o->words));
	add_fn_syms(w, false);
	for (uint32_t i = 0; i < w->o->maps.n; i++) {
		const struct obj_map *m = w->o->maps.v[i];
		uint64_t at = off + w->map_size[i] - 8 * m->progs.n;

		w->map_sym[i] = add_sym(w, m->name, STB_GLOBAL, STT_OBJECT, SYM_MAPS, off,
					w->map_size[i]);
		off += w->map_size[i];
		for (uint32_t k = 0; k < m->progs.n; k++)
			*vec_push(w->a, &w->map_rels) = (Elf64_Rel){
				.r_offset = at + 8 * k,
				.r_info = ELF64_R_INFO(w->fn_sym[m->progs.v[k]], R_BPF_64_64),
			};
	}
}

uint32_t ow_extern(struct ow *w, const struct obj_reloc *r)
{
	void **slot = strmap_put(&w->externs, r->name, strlen(r->name));
	bool weak = r->addend & OBJ_REL_WEAK;
	int id;

	if (!*slot) {
		id = r->kind == OBJ_REL_KFUNC ? ow_btf_kfunc(w, r->name)
					      : ow_btf_kconfig(w, r->name);
		if (id < 0)
			return 0;
		*slot = (void *)(uintptr_t)add_sym(w, r->name, weak ? STB_WEAK : STB_GLOBAL,
						   STT_NOTYPE, 0, 0, 0);
	}
	return (uint32_t)(uintptr_t)*slot;
}

/* -- relocations ------------------------------------------------------------------------------- */

static int add_rel(struct ow *w, struct ow_code_sec *c, uint32_t insn, uint32_t sym, uint32_t type)
{
	if (!sym)
		return -EIO;
	*vec_push(w->a, &c->rels) = (Elf64_Rel){ .r_offset = insn * 8,
						 .r_info = ELF64_R_INFO(sym, type) };
	return 0;
}

int ow_rel_call(struct ow *w, enum ow_code sec, uint32_t insn, uint32_t sym)
{
	struct ow_code_sec *c = &w->code[sec];
	struct bpf_insn *in = &c->insns.v[insn];

	BUG_ON(in->code != (BPF_JMP | BPF_CALL));
	in->src_reg = BPF_PSEUDO_CALL;
	in->imm = -1;
	return add_rel(w, c, insn, sym, R_BPF_64_32);
}

/* imm: bytes from the symbol on, or what an address of it must hold before libbpf sees it. */
int ow_rel_addr(struct ow *w, enum ow_code sec, uint32_t insn, uint32_t sym, uint32_t imm)
{
	struct ow_code_sec *c = &w->code[sec];
	struct bpf_insn *in = &c->insns.v[insn];

	BUG_ON(in->code != (BPF_LD | BPF_IMM | BPF_DW) || insn + 1 >= c->insns.n);
	in[0].src_reg = 0;
	in[0].imm = (int32_t)imm;
	in[1].imm = 0;
	return add_rel(w, c, insn, sym, R_BPF_64_64);
}

static int relocate(struct ow *w, const struct obj_fn *fn, uint32_t base, const struct obj_reloc *r)
{
	enum ow_code sec = OW_FN_SEC(fn);
	uint32_t insn = base + r->insn;

	if (r->insn >= fn->insns.n)
		BUG("relocation of %s at instruction %u is past its end", fn->name, r->insn);
	switch (r->kind) {
	case OBJ_REL_MAP:
		BUG_ON(r->id >= w->o->maps.n);
		return ow_rel_addr(w, sec, insn, w->map_sym[r->id], 0);
	case OBJ_REL_RODATA:
		BUG_ON(r->id >= w->o->rodata.n || (uint32_t)r->addend >= w->o->rodata.v[r->id].len);
		return ow_rel_addr(w, sec, insn, w->rodata_sym,
				   w->rodata_off[r->id] + (uint32_t)r->addend);
	case OBJ_REL_CALL:
		BUG_ON(r->id >= w->o->fns.n || w->o->fns.v[r->id]->is_prog);
		return ow_rel_call(w, sec, insn, w->fn_sym[r->id]);
	case OBJ_REL_FN:
		BUG_ON(r->id >= w->o->fns.n || OW_FN_SEC(w->o->fns.v[r->id]) != OW_TEXT);
		return ow_rel_addr(w, sec, insn, w->text_sym, w->fn_off[r->id]);
	case OBJ_REL_ELEMS:
		return ow_rel_addr(w, sec, insn, w->elems_sym, (uint32_t)r->addend);
	case OBJ_REL_WORDS:
		return ow_rel_addr(w, sec, insn, w->data_sym, 4 * (uint32_t)r->addend);
	case OBJ_REL_RT:
		return ow_rel_call(w, sec, insn, ow_rt_fn(w, r->name)->sym);
	case OBJ_REL_KFUNC:
		return ow_rel_call(w, sec, insn, ow_extern(w, r));
	case OBJ_REL_KCONFIG:
		return ow_rel_addr(w, sec, insn, ow_extern(w, r), 0);
	case OBJ_REL_CORE_FIELD:
	case OBJ_REL_CORE_BITS:
	case OBJ_REL_CORE_TYPE:
	case OBJ_REL_CORE_ENUM:
		return ow_core(w, sec, insn, r);
	}
	BUG("relocation kind %d", r->kind);
}

static int by_offset(const void *a, const void *b)
{
	const Elf64_Rel *x = a, *y = b;

	return x->r_offset < y->r_offset ? -1 : x->r_offset > y->r_offset;
}

static int relocate_fn(struct ow *w, uint32_t i)
{
	const struct obj_reloc guard = { .kind = OBJ_REL_WORDS, .addend = OBJ_FORCE };
	const struct obj_fn *fn = w->o->fns.v[i];
	uint32_t base = w->fn_off[i] / 8;
	int err = OW_GUARD(w, fn) ? relocate(w, fn, base, &guard) : 0;

	vec_foreach(&fn->relocs, r)
		if (!err)
			err = relocate(w, fn, base + OW_GUARD(w, fn), r);
	return err;
}

static int relocate_all(struct ow *w)
{
	int err = 0;

	for (uint32_t i = 0; i < w->o->fns.n && !err; i++)
		err = relocate_fn(w, i);
	if (!err)
		err = ow_rt_relocate(w);
	for (uint32_t i = 0; i < OW_CODE_COUNT && !err; i++)
		if (w->code[i].rels.n)
			qsort(w->code[i].rels.v, w->code[i].rels.n, sizeof(Elf64_Rel), by_offset);
	return err;
}

/* -- the file ---------------------------------------------------------------------------------- */

static int build(struct ow *w)
{
	int err = ow_btf(w);

	if (err)
		return err;
	ow_rt_collect(w);
	append_code(w);
	add_syms(w);
	err = ow_rt_btf(w);
	if (!err)
		err = relocate_all(w);
	return err ? err : ow_btf_externs(w);
}

/* Descriptor of a file in memory that holds the finished object, or -errno. */
static int finish(struct ow *w)
{
	int fd = memfd_create("nft2bpf-object", MFD_CLOEXEC), err;

	if (fd < 0)
		return ow_fail(w, "memfd", -errno);
	err = ow_elf(w, fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int copy_to(int from, int to)
{
	char buf[65536];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, buf, sizeof(buf), at)) > 0) {
		for (ssize_t done = 0; done < n;) {
			ssize_t k = write(to, buf + done, (size_t)(n - done));

			if (k < 0 && errno != EINTR)
				return -errno;
			done += k > 0 ? k : 0;
		}
		at += n;
	}
	return n < 0 ? -errno : 0;
}

/* A device or pipe is written to; a file is replaced as a whole. */
static int publish(struct ow *w, int from, const char *path)
{
	char *tmp = arena_printf(w->a, "%s.XXXXXX", path);
	struct stat st;
	bool whole = stat(path, &st) || S_ISREG(st.st_mode);
	int fd = whole ? mkostemp(tmp, O_CLOEXEC) : open(path, O_WRONLY | O_CLOEXEC), err;
	mode_t mask;

	if (fd < 0)
		return ow_fail(w, path, -errno);
	err = copy_to(from, fd);
	if (whole && !err) {
		mask = umask(0);
		umask(mask);
		err = fchmod(fd, 0666 & ~mask) ? -errno : 0;
	}
	if (close(fd) && !err)
		err = -errno;
	if (whole && !err && rename(tmp, path))
		err = -errno;
	if (whole && err)
		unlink(tmp);
	return err ? ow_fail(w, path, err) : 0;
}

static const struct btf *open_types(void)
{
	size_t len;
	const uint8_t *b = ow_elf_section(&rt_objs[0], ".BTF", &len);
	const struct btf *btf = b ? btf__new(b, (uint32_t)len) : NULL;

	if (!btf)
		BUG("bpf/types.bpf.c has no BTF");
	return btf;
}

static struct ow *writer(struct obj_file *o)
{
	struct ow *w = arena_new_of(o->arena, struct ow);

	w->o = o;
	w->a = o->arena;
	w->from = open_types();
	w->btf = btf__new_empty();
	if (!w->btf)
		BUG("libbpf makes no BTF: %s", strerror(errno));
	w->copied = arena_array(w->a, uint32_t, btf__type_cnt(w->from));
	w->rt = arena_array(w->a, struct ow_rt_obj *, n_rt_objs);
	w->fn_off = arena_array(w->a, uint32_t, o->fns.n);
	w->fn_type = arena_array(w->a, uint32_t, o->fns.n);
	w->fn_sym = arena_array(w->a, uint32_t, o->fns.n);
	w->map_sym = arena_array(w->a, uint32_t, o->maps.n);
	w->map_size = arena_array(w->a, uint32_t, o->maps.n);
	w->rodata_off = arena_array(w->a, uint32_t, o->rodata.n);
	w->rodata_align = 8;
	sb_init(&w->rodata, w->a);
	strmap_init(&w->externs, w->a);
	strmap_init(&w->core_types, w->a);
	return w;
}

int obj_write(struct obj_file *o, const char *path)
{
	struct ow *w = writer(o);
	int err = build(w), fd;

	if (!err) {
		fd = finish(w);
		err = fd < 0 ? fd : publish(w, fd, path);
		if (fd >= 0)
			close(fd);
	}
	ow_rt_close(w);
	btf__free(w->btf);
	btf__free((struct btf *)w->from);
	return err;
}
