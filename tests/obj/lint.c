// SPDX-License-Identifier: GPL-2.0-or-later
/* lint: whether an object is sound, as far as can be told without loading it. */
#include "lint.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <elf.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char fault_text[256];

__attribute__((format(printf, 1, 2))) static const char *fault(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fault_text, sizeof(fault_text), fmt, ap);
	va_end(ap);
	return fault_text;
}

static Elf64_Shdr *find_section(uint8_t *elf, const char *name)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)elf;
	Elf64_Shdr *s = (Elf64_Shdr *)(elf + h->e_shoff);
	const char *names = (const char *)elf + s[h->e_shstrndx].sh_offset;

	for (uint32_t i = 1; i < h->e_shnum; i++)
		if (!strcmp(names + s[i].sh_name, name))
			return &s[i];
	return NULL;
}

struct ext {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t hdr_len;
	struct {
		uint32_t off, len;
	} part[3];
};

uint32_t *lint_first_core(uint8_t *elf, size_t n)
{
	Elf64_Shdr *s = find_section(elf, ".BTF.ext");
	struct ext *e = s ? (struct ext *)(elf + s->sh_offset) : NULL;

	if (!e || !e->part[2].len)
		return NULL;
	return (uint32_t *)((uint8_t *)e + e->hdr_len + e->part[2].off + 12);
}

/* Records of one part: each in its section, on an instruction, rising. */
static const char *check_part(uint8_t *elf, const struct btf *btf, const struct ext *e,
			      uint32_t part, uint32_t size)
{
	const uint8_t *base = (const uint8_t *)e + e->hdr_len + e->part[part].off;

	if (!e->part[part].len)
		return part == 2 ? NULL : fault("part %u of .BTF.ext is empty", part);
	if (*(const uint32_t *)base != size)
		return fault("part %u of .BTF.ext has records of %u bytes", part,
			     *(const uint32_t *)base);
	for (uint32_t at = 4; at < e->part[part].len;) {
		const uint32_t *h = (const uint32_t *)(base + at);
		const char *name = btf__str_by_offset(btf, h[0]);
		const Elf64_Shdr *s = name ? find_section(elf, name) : NULL;
		int64_t last = -1;

		if (!s || !h[1])
			return fault("part %u of .BTF.ext: section %s with %u records", part,
				     name ? name : "?", h[1]);
		at += 8;
		for (uint32_t i = 0; i < h[1]; i++, at += size) {
			uint32_t off = *(const uint32_t *)(base + at);

			if (off % 8 || off >= s->sh_size || off <= last)
				return fault("part %u of .BTF.ext: record %u of %s is for byte %u",
					     part, i, name, off);
			if (!elf[s->sh_offset + off])
				return fault("part %u of .BTF.ext: record %u of %s is inside an "
					     "instruction",
					     part, i, name);
			last = off;
		}
	}
	return NULL;
}

static const char *check_rels(uint8_t *elf, const char *rel, const char *sec)
{
	const Elf64_Shdr *r = find_section(elf, rel), *s = find_section(elf, sec),
			 *sym = find_section(elf, ".symtab");
	const Elf64_Rel *v;

	if (!r)
		return NULL;
	v = (const Elf64_Rel *)(elf + r->sh_offset);
	for (uint64_t i = 0; i < r->sh_size / sizeof(*v); i++) {
		const struct bpf_insn *in =
			(const struct bpf_insn *)(elf + s->sh_offset + v[i].r_offset);
		uint32_t type = ELF64_R_TYPE(v[i].r_info);

		if (v[i].r_offset % 8 || v[i].r_offset >= s->sh_size ||
		    (i && v[i].r_offset <= v[i - 1].r_offset))
			return fault("%s: entry %lu is for byte %lu", rel, (unsigned long)i,
				     (unsigned long)v[i].r_offset);
		if (!ELF64_R_SYM(v[i].r_info) ||
		    ELF64_R_SYM(v[i].r_info) >= sym->sh_size / sizeof(Elf64_Sym))
			return fault("%s: entry %lu has no symbol", rel, (unsigned long)i);
		if (!(type == R_BPF_64_64 && in->code == (BPF_LD | BPF_IMM | BPF_DW)) &&
		    !(type == R_BPF_64_32 && in->code == (BPF_JMP | BPF_CALL)))
			return fault("%s: entry %lu of type %u is for instruction %#x", rel,
				     (unsigned long)i, type, in->code);
	}
	return NULL;
}

static const char *check_bytes(uint8_t *elf, const struct btf *btf)
{
	const Elf64_Shdr *x = find_section(elf, ".BTF.ext");
	const struct ext *e = (const struct ext *)(elf + x->sh_offset);
	const uint32_t sizes[] = { 8, 16, 16 };
	const char *f = NULL;

	for (uint32_t i = 0; i < 3 && !f; i++)
		f = check_part(elf, btf, e, i, sizes[i]);
	if (!f)
		f = check_rels(elf, ".relnetfilter", "netfilter");
	if (!f)
		f = check_rels(elf, ".rel.text", ".text");
	if (!f && !find_section(elf, ".nft2bpf"))
		f = fault("no section .nft2bpf");
	return f;
}

static const char *check_linker(const char *path)
{
	char out[256];
	struct bpf_linker *l;
	const char *f = NULL;

	snprintf(out, sizeof(out), "%s.linked", path);
	l = bpf_linker__new(out, NULL);
	if (!l)
		return fault("no linker");
	if (bpf_linker__add_file(l, path, NULL) || bpf_linker__finalize(l))
		f = fault("libbpf's linker refuses it");
	bpf_linker__free(l);
	unlink(out);
	return f;
}

static uint8_t *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	uint8_t *b;
	long n;

	if (!f)
		return NULL;
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	b = malloc((size_t)n);
	if (fread(b, 1, (size_t)n, f) != (size_t)n) {
		free(b);
		b = NULL;
	}
	fclose(f);
	return b;
}

const char *lint_object(const char *path)
{
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	uint8_t *elf = slurp(path);
	const char *f;

	if (!o || !elf)
		f = fault("libbpf does not open it");
	else
		f = check_bytes(elf, bpf_object__btf(o));
	if (!f)
		f = check_linker(path);
	bpf_object__close(o);
	free(elf);
	return f;
}
