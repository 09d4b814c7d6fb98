/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * objint: what the files of the object writer share (btf.c, core.c, btfext.c, elf.c, linkrt.c,
 * write.c).
 */
#ifndef N2B_OBJINT_H
#define N2B_OBJINT_H

#include <elf.h>

#include "obj.h"
#include "codegen/runtime.h"

struct btf;

enum ow_code { OW_NETFILTER, OW_TEXT, OW_TC, OW_CODE_COUNT }; /* sections of instructions */

struct ow_core { /* a CO-RE record */
	uint32_t insn_off, type_id, access_off, kind;
};

struct ow_line { /* a record of line information */
	uint32_t insn_off, file_off, text_off, line_col;
};

struct ow_rt_fn { /* a function of the runtime that is taken in */
	const char *name;
	uint32_t obj;		   /* index in rt_objs */
	uint32_t src_off, dst_off; /* byte offset in .text there and here */
	uint32_t size;
	bool global;
	uint32_t type_id, sym; /* BTF id of its FUNC; index in ow->syms */
};

/* What an instruction of the runtime refers to. */
struct ow_ref {
	enum { OW_REF_NONE, OW_REF_FN, OW_REF_ADDR, OW_REF_KFUNC, OW_REF_KCONFIG } kind;
	uint32_t obj, off; /* FN, ADDR: the function at byte `off` in .text of obj */
	const char *name;  /* the others */
	bool weak;
};

struct ow_sym {
	const char *name;
	uint8_t info;
	uint16_t shndx;
	uint64_t value, size;
};

struct ow_map { /* BTF type of a VAR and its place: DATASEC entries */
	uint32_t type_id, off, size;
};

/* One run of the writer. */
struct ow {
	struct obj_file *o;
	struct arena *a;
	struct btf *btf;	/* of the object */
	const struct btf *from; /* of bpf/types.bpf.c; types are copied from it */
	uint32_t *copied;	/* by type id in `from`: id in btf, 0: not copied yet */
	struct ow_rt_obj **rt;	/* by index in rt_objs; NULL: not opened */
	VEC(struct ow_rt_fn) rt_fns;
	VEC(struct ow_line) rt_lines;
	struct ow_code_sec {
		VEC(struct bpf_insn) insns;
		VEC(Elf64_Rel) rels;
		VEC(struct ow_core) cores;
	} code[OW_CODE_COUNT];
	uint32_t *fn_off;     /* by index in o->fns: byte offset in its section */
	uint32_t *fn_type;    /* by index in o->fns: BTF id of its FUNC */
	uint32_t *rodata_off; /* by index in o->rodata: offset in .rodata */
	struct sbuf rodata;
	uint32_t rodata_align;
	VEC(struct ow_sym) syms; /* [0] the null symbol; locals first */
	uint32_t n_local;	 /* of syms: how many are local */
	uint32_t rodata_sym, text_sym, elems_sym,
		data_sym;	       /* section symbols; 0: no such section */
	uint32_t *fn_sym, *map_sym;    /* by index in o->fns, o->maps */
	uint32_t *map_size;	       /* by index in o->maps: bytes in .maps */
	VEC(Elf64_Rel) map_rels;       /* of .maps: programs in maps */
	struct strmap externs;	       /* name -> index in syms, as a number */
	VEC(uint32_t) ksyms, kconfigs; /* BTF ids of extern FUNCs and VARs */
	struct strmap core_types;      /* "struct x", "enum x.y" -> BTF id */
};

#define OW_FN_SEC(fn) ((fn)->is_prog ? OW_NETFILTER : (fn)->is_fill ? OW_TC : OW_TEXT)
/* Instructions of the test of OBJ_FORCE, in front of the function's own. */
#define OW_GUARD_LEN	16
#define OW_GUARD(w, fn) ((w)->o->has_words && (fn)->is_entry ? OW_GUARD_LEN : 0u)

/* All return 0 or -errno after diag_error(). */

/* btf.c: types of functions, maps and read-only data; ids in w. Lays out w->rodata. */
int ow_btf(struct ow *w);
/* The DATASECs of externs, once all relocations are known. */
int ow_btf_externs(struct ow *w);
/* BTF id in w->btf of a copy of type `id` of `from`; cache by id, owned by the caller. */
int ow_btf_copy(struct ow *w, const struct btf *from, uint32_t id, uint32_t *cache);
/* A copy of the type `name` of bpf/types.bpf.c; negative: there is none. */
int ow_btf_type(struct ow *w, const char *name, uint32_t kind);
/* BTF id of the extern FUNC of a kernel function, the extern VAR of a configuration value. */
int ow_btf_kfunc(struct ow *w, const char *name);
int ow_btf_kconfig(struct ow *w, const char *name);

/* core.c: patches the instruction with the local value and adds the record. */
int ow_core(struct ow *w, enum ow_code sec, uint32_t insn, const struct obj_reloc *r);

/*
 * btfext.c: the bytes of .BTF.ext, in the arena. Adds strings to w->btf, so it comes before .BTF is
 * taken.
 */
int ow_btfext(struct ow *w, const uint8_t **bytes, size_t *len);

/* elf.c: writes the object to fd. */
int ow_elf(struct ow *w, int fd);

/*
 * write.c: relocations of an instruction, by index in its section; sym 0 is an error reported
 * before.
 */
int ow_rel_call(struct ow *w, enum ow_code sec, uint32_t insn, uint32_t sym);
int ow_rel_addr(struct ow *w, enum ow_code sec, uint32_t insn, uint32_t sym, uint32_t imm);
/* The undefined symbol for r->name, made with its BTF at its first use; 0 after an error. */
uint32_t ow_extern(struct ow *w, const struct obj_reloc *r);

/*
 * linkrt.c, in the order of use: which runtime functions are needed; their code, after the object's
 * own in .text; their types and records; their relocations.
 */
void ow_rt_collect(struct ow *w);
void ow_rt_code(struct ow *w);
int ow_rt_btf(struct ow *w);
int ow_rt_relocate(struct ow *w);
void ow_rt_close(struct ow *w);
/*
 * Of what ow_rt_collect() found: a function's code as it was compiled, what the instruction at byte
 * `off` refers to, and a place in rt_fns.
 */
const struct bpf_insn *ow_rt_insns(const struct ow *w, const struct ow_rt_fn *f);
struct ow_ref ow_rt_ref(struct ow *w, uint32_t obj, uint32_t off);
int32_t ow_rt_find(const struct ow *w, uint32_t obj, uint32_t off);
const struct ow_rt_fn *ow_rt_fn(const struct ow *w, const char *name);
/* The bytes of a section of a runtime object; NULL and *len 0: there is none. */
const uint8_t *ow_elf_section(const struct rt_obj *o, const char *name, size_t *len);

/* The same sentence for every failure of a library. */
int ow_fail(struct ow *w, const char *what, int err);

#endif
