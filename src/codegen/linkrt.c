// SPDX-License-Identifier: GPL-2.0-or-later
/* linkrt: joins an object with those objects of the runtime that it calls, by libbpf's linker. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codegen/objint.h"

/* Only for objects that clang made for this machine: no check of what cannot be wrong in them. */
static const Elf64_Shdr *section_headers(const uint8_t *elf)
{
	return (const Elf64_Shdr *)(elf + ((const Elf64_Ehdr *)elf)->e_shoff);
}

const uint8_t *ow_elf_section(const uint8_t *elf, size_t n, const char *name, size_t *len)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)elf;
	const Elf64_Shdr *s = section_headers(elf);
	const char *names = (const char *)elf + s[h->e_shstrndx].sh_offset;

	for (uint32_t i = 1; i < h->e_shnum; i++)
		if (!strcmp(names + s[i].sh_name, name)) {
			BUG_ON(s[i].sh_offset + s[i].sh_size > n);
			*len = s[i].sh_size;
			return elf + s[i].sh_offset;
		}
	return NULL;
}

static bool defines(const struct rt_obj *o, const char *fn)
{
	size_t sym_len, str_len;
	const Elf64_Sym *sym = (const Elf64_Sym *)ow_elf_section(o->bytes, o->len, ".symtab",
								 &sym_len);
	const char *str = (const char *)ow_elf_section(o->bytes, o->len, ".strtab", &str_len);

	for (size_t i = 0; i < sym_len / sizeof(*sym); i++)
		if (sym[i].st_shndx && ELF64_ST_TYPE(sym[i].st_info) == STT_FUNC &&
		    ELF64_ST_BIND(sym[i].st_info) == STB_GLOBAL &&
		    !strcmp(str + sym[i].st_name, fn))
			return true;
	return false;
}

int ow_rt_find(const char *fn)
{
	for (uint32_t i = 1; i < n_rt_objs; i++)
		if (defines(&rt_objs[i], fn))
			return (int)i;
	return -ENOENT;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* libbpf's linker (before 1.6) knows files by name only. */
static const char *fd_path(struct ow *w, int fd)
{
	return arena_printf(w->a, "/proc/self/fd/%d", fd);
}

static int add_fd(struct ow *w, struct bpf_linker *l, int fd)
{
	return bpf_linker__add_file(l, fd_path(w, fd), NULL) ? -errno : 0;
}

static int add_rt(struct ow *w, struct bpf_linker *l, const struct rt_obj *o)
{
	int fd = memfd_create("nft2bpf-runtime", MFD_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, o->bytes, o->len);
	if (!err)
		err = add_fd(w, l, fd);
	close(fd);
	return err;
}

int ow_link(struct ow *w, int fd)
{
	int out = memfd_create("nft2bpf-linked", MFD_CLOEXEC), err = 0;
	struct bpf_linker *l = out < 0 ? NULL : bpf_linker__new(fd_path(w, out), NULL);

	if (!l) {
		err = ow_fail(w, "starting libbpf's linker (is /proc mounted?)", -errno);
		if (out >= 0)
			close(out);
		return err;
	}
	err = add_fd(w, l, fd);
	for (uint32_t i = 1; i < n_rt_objs && !err; i++)
		if (w->rt_used[i])
			err = add_rt(w, l, &rt_objs[i]);
	if (!err && bpf_linker__finalize(l))
		err = -errno;
	bpf_linker__free(l);
	if (!err)
		return out;
	close(out);
	return ow_fail(w, "joining with the runtime", err);
}
