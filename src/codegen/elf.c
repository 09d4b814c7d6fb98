// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * elf: the object file: sections, symbols, relocations, in the shape that clang gives its BPF
 * objects.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <libelf.h>

#include "codegen/objint.h"
#include "manifest.h"

#ifndef EM_BPF
#define EM_BPF 247
#endif

/*
 * Index of each section in the file; those without contents are left out, so the numbers are given
 * at run time.
 */
enum sec {
	SEC_NULL,
	SEC_NETFILTER, /* + enum ow_code */
	SEC_TEXT,
	SEC_TC,
	SEC_REL_NETFILTER,
	SEC_REL_TEXT,
	SEC_REL_TC,
	SEC_RODATA,
	SEC_ELEMS,
	SEC_DATA,
	SEC_MAPS,
	SEC_REL_MAPS,
	SEC_LICENSE,
	SEC_MANIFEST,
	SEC_BTF,
	SEC_BTFEXT,
	SEC_SYMTAB,
	SEC_STRTAB,
	SEC_COUNT
};
_Static_assert(SEC_TEXT - SEC_NETFILTER == OW_TEXT, "sections of code stand as enum ow_code does");
_Static_assert(SEC_TC - SEC_NETFILTER == OW_TC, "all of them");
_Static_assert(SEC_REL_TEXT - SEC_REL_NETFILTER == OW_TEXT, "so do their relocations");
_Static_assert(SEC_REL_TC - SEC_REL_NETFILTER == OW_TC, "all of them");

struct section {
	const char *name;
	const void *bytes;
	size_t len;
	uint32_t type, align;
	uint64_t flags, entsize;
	enum sec link, info; /* sections, made numbers when written */
	uint32_t info_number;
	Elf_Type data;
	uint32_t index; /* in the file; 0: left out */
};

struct elf_state {
	struct ow *w;
	struct section s[SEC_COUNT];
	struct sbuf strtab;
	VEC(Elf64_Sym) syms;
};

static uint32_t add_str(struct elf_state *e, const char *s)
{
	uint32_t off = (uint32_t)e->strtab.n;

	if (!*s)
		return 0;
	sb_add(&e->strtab, s, strlen(s) + 1);
	return off;
}

static void describe(struct elf_state *e, const uint8_t *ext, size_t ext_len)
{
	struct ow *w = e->w;
	const struct section base[SEC_COUNT] = {
		[SEC_NETFILTER] = { "netfilter", .type = SHT_PROGBITS,
				    .flags = SHF_ALLOC | SHF_EXECINSTR, .align = 8 },
		[SEC_TEXT] = { ".text", .type = SHT_PROGBITS, .flags = SHF_ALLOC | SHF_EXECINSTR,
			       .align = 8 },
		[SEC_TC] = { "tc", .type = SHT_PROGBITS, .flags = SHF_ALLOC | SHF_EXECINSTR,
			     .align = 8 },
		[SEC_REL_NETFILTER] = { ".relnetfilter", .type = SHT_REL, .link = SEC_SYMTAB,
					.info = SEC_NETFILTER },
		[SEC_REL_TEXT] = { ".rel.text", .type = SHT_REL, .link = SEC_SYMTAB,
				   .info = SEC_TEXT },
		[SEC_REL_TC] = { ".reltc", .type = SHT_REL, .link = SEC_SYMTAB, .info = SEC_TC },
		[SEC_RODATA] = { ".rodata", w->rodata.s, w->rodata.n, SHT_PROGBITS, w->rodata_align,
				 SHF_ALLOC },
		[SEC_ELEMS] = { OBJ_ELEMS_SECTION, w->o->elems.s, w->o->elems.n, SHT_PROGBITS, 8,
				SHF_ALLOC | SHF_WRITE },
		[SEC_DATA] = { ".data", w->o->words, w->o->has_words ? sizeof(w->o->words) : 0,
			       SHT_PROGBITS, 8, SHF_ALLOC | SHF_WRITE },
		[SEC_MAPS] = { ".maps", .type = SHT_PROGBITS, .flags = SHF_ALLOC | SHF_WRITE,
			       .align = 8 },
		[SEC_REL_MAPS] = { ".rel.maps", w->map_rels.v, w->map_rels.n * sizeof(Elf64_Rel),
				   SHT_REL, 8, .entsize = sizeof(Elf64_Rel), .link = SEC_SYMTAB,
				   .info = SEC_MAPS, .data = ELF_T_REL },
		[SEC_LICENSE] = { "license", "GPL", 4, SHT_PROGBITS, 1, SHF_ALLOC | SHF_WRITE },
		[SEC_MANIFEST] = { MANIFEST_SECTION, w->o->manifest, w->o->manifest_len,
				   SHT_PROGBITS, 1 },
		[SEC_BTF] = { ".BTF", .type = SHT_PROGBITS, .align = 4 },
		[SEC_BTFEXT] = { ".BTF.ext", ext, w->o->fns.n ? ext_len : 0, SHT_PROGBITS, 4 },
		[SEC_SYMTAB] = { ".symtab", .type = SHT_SYMTAB, .align = 8,
				 .entsize = sizeof(Elf64_Sym), .link = SEC_STRTAB,
				 .data = ELF_T_SYM },
		[SEC_STRTAB] = { ".strtab", .type = SHT_STRTAB, .align = 1 },
	};

	memcpy(e->s, base, sizeof(base));
	for (uint32_t i = 0; i < OW_CODE_COUNT; i++) {
		struct section *c = &e->s[SEC_NETFILTER + i], *r = &e->s[SEC_REL_NETFILTER + i];

		c->bytes = w->code[i].insns.v;
		c->len = w->code[i].insns.n * sizeof(struct bpf_insn);
		r->bytes = w->code[i].rels.v;
		r->len = w->code[i].rels.n * sizeof(Elf64_Rel);
		r->align = 8;
		r->entsize = sizeof(Elf64_Rel);
		r->data = ELF_T_REL;
	}
}

/* The size of .maps is the sum of its variables; it holds zeros, as only types count. */
static void describe_maps(struct elf_state *e)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < e->w->o->maps.n; i++)
		n += e->w->map_size[i];
	if (n)
		e->s[SEC_MAPS].bytes = arena_alloc(e->w->a, n);
	e->s[SEC_MAPS].len = n;
}

static void number(struct elf_state *e)
{
	uint32_t next = 1;

	for (uint32_t i = 1; i < SEC_COUNT; i++)
		if (e->s[i].len || i == SEC_SYMTAB || i == SEC_STRTAB)
			e->s[i].index = next++;
}

/* Symbols name their section by enum sec until here. */
static void symbols(struct elf_state *e)
{
	vec_foreach(&e->w->syms, s) {
		Elf64_Sym *t = vec_push(e->w->a, &e->syms);

		*t = (Elf64_Sym){ .st_name = add_str(e, s->name),
				  .st_info = s->info,
				  .st_shndx = s->shndx ? (uint16_t)e->s[s->shndx].index : 0,
				  .st_value = s->value,
				  .st_size = s->size };
	}
	e->s[SEC_SYMTAB].bytes = e->syms.v;
	e->s[SEC_SYMTAB].len = e->syms.n * sizeof(Elf64_Sym);
	e->s[SEC_SYMTAB].info_number = e->w->n_local;
}

static int write_section(Elf *elf, struct elf_state *e, const struct section *s, uint32_t name)
{
	Elf_Scn *scn = elf_newscn(elf);
	Elf64_Shdr *h = scn ? elf64_getshdr(scn) : NULL;
	Elf_Data *d = scn ? elf_newdata(scn) : NULL;

	if (!h || !d)
		return -EIO;
	BUG_ON(elf_ndxscn(scn) != s->index);
	d->d_buf = (void *)s->bytes;
	d->d_size = s->len;
	d->d_type = s->data ? s->data : ELF_T_BYTE;
	d->d_align = s->align;
	d->d_version = EV_CURRENT;
	h->sh_name = name;
	h->sh_type = s->type;
	h->sh_flags = s->flags;
	h->sh_entsize = s->entsize;
	h->sh_link = s->link ? e->s[s->link].index : 0;
	h->sh_info = s->info ? e->s[s->info].index : s->info_number;
	return 0;
}

static int write_file(struct elf_state *e, Elf *elf)
{
	Elf64_Ehdr *h = elf64_newehdr(elf);
	uint32_t names[SEC_COUNT];
	int err = 0;

	if (!h)
		return -EIO;
	for (uint32_t i = 1; i < SEC_COUNT; i++)
		names[i] = e->s[i].index ? add_str(e, e->s[i].name) : 0;
	e->s[SEC_STRTAB].bytes = e->strtab.s;
	e->s[SEC_STRTAB].len = e->strtab.n;
	h->e_ident[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	h->e_type = ET_REL;
	h->e_machine = EM_BPF;
	h->e_version = EV_CURRENT;
	h->e_shstrndx = (uint16_t)e->s[SEC_STRTAB].index;
	for (uint32_t i = 1; i < SEC_COUNT && !err; i++)
		if (e->s[i].index)
			err = write_section(elf, e, &e->s[i], names[i]);
	return err ? err : elf_update(elf, ELF_C_WRITE) < 0 ? -EIO : 0;
}

int ow_elf(struct ow *w, int fd)
{
	struct elf_state e = { .w = w };
	const uint8_t *ext;
	size_t ext_len;
	uint32_t btf_len;
	Elf *elf;
	int err = ow_btfext(w, &ext, &ext_len);

	if (err)
		return err;
	sb_init(&e.strtab, w->a);
	sb_add(&e.strtab, "", 1);
	describe(&e, ext, ext_len);
	describe_maps(&e);
	e.s[SEC_BTF].bytes = btf__raw_data(w->btf, &btf_len);
	if (!e.s[SEC_BTF].bytes)
		return ow_fail(w, ".BTF", -ENOMEM);
	e.s[SEC_BTF].len = btf_len;
	number(&e);
	symbols(&e);
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_WRITE, NULL);
	if (!elf)
		return ow_fail(w, elf_errmsg(-1), -EIO);
	err = write_file(&e, elf);
	if (err)
		ow_fail(w, elf_errmsg(-1), err);
	elf_end(elf);
	return err;
}
