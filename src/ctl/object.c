// SPDX-License-Identifier: GPL-2.0-or-later
/* The object: its manifest, its way into the kernel, its links. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"

/* How many priorities below the wanted one are tried when others have hooks there. */
/* BPF_NETFILTER: linux/bpf.h of older distributions does not have it. */
#define ATTACH_NETFILTER ((enum bpf_attach_type)45)
#define PRIO_TRIES	 128

/* -- the manifest ---------------------------------------------------------------------------------- */

static int find_section(struct ctl *c, Elf *elf, const char *path, struct ctl_obj *o)
{
	Elf_Scn *scn = NULL;
	size_t strndx;

	if (elf_getshdrstrndx(elf, &strndx))
		return ctl_error("%s: not an ELF object: %s", path, elf_errmsg(-1));
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr sh;
		Elf_Data *d;
		const char *name;

		if (!gelf_getshdr(scn, &sh) || !(name = elf_strptr(elf, strndx, sh.sh_name)) ||
		    strcmp(name, MANIFEST_SECTION) != 0)
			continue;
		d = elf_getdata(scn, NULL);
		if (!d || !d->d_size)
			break;
		o->json = arena_strndup(c->arena, d->d_buf, d->d_size);
		o->json_len = strlen(o->json);
		return 0;
	}
	return ctl_error("%s: no section " MANIFEST_SECTION
			 ": not an object that nft2bpf made (or stripped)",
			 path);
}

static int read_manifest(struct ctl *c, const char *path, struct ctl_obj *o)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	const char *why;
	Elf *elf;

	if (fd < 0)
		return ctl_error("%s: %s", path, strerror(errno));
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	err = elf ? find_section(c, elf, path, o)
		  : ctl_error("%s: not an ELF object: %s", path, elf_errmsg(-1));
	elf_end(elf);
	close(fd);
	if (err)
		return err;
	o->mf = manifest_read(c->arena, o->json, o->json_len, &why);
	return o->mf ? 0 : ctl_error("%s: %s", path, why);
}

/* -- maps ------------------------------------------------------------------------------------------ */

static int map_info(int fd, struct bpf_map_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

static bool per_cpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH;
}

int map_read_u64s(int fd, uint32_t key, uint64_t *v, uint32_t n)
{
	struct bpf_map_info info;
	int cpus = libbpf_num_possible_cpus(), err = map_info(fd, &info);
	size_t step, copies;
	uint64_t *buf;

	if (err)
		return err;
	step = ALIGN_UP(info.value_size, 8);
	copies = per_cpu(info.type) ? (size_t)cpus : 1;
	if (n * 8 > step)
		return -EINVAL;
	buf = calloc(copies, step);
	if (!buf)
		return -ENOMEM;
	err = bpf_map_lookup_elem(fd, &key, buf) ? -errno : 0;
	memset(v, 0, n * sizeof(*v));
	for (size_t i = 0; i < copies; i++)
		for (uint32_t k = 0; k < n; k++)
			v[k] += buf[i * (step / 8) + k];
	free(buf);
	return err;
}

int map_write_u64s(int fd, uint32_t key, const uint64_t *v, uint32_t n)
{
	struct bpf_map_info info;
	int cpus = libbpf_num_possible_cpus(), err = map_info(fd, &info);
	size_t step, copies;
	uint64_t *buf;

	if (err)
		return err;
	step = ALIGN_UP(info.value_size, 8);
	copies = per_cpu(info.type) ? (size_t)cpus : 1;
	if (n * 8 > step)
		return -EINVAL;
	buf = calloc(copies, step);
	if (!buf)
		return -ENOMEM;
	if (!per_cpu(info.type)) /* what else the value holds stays */
		bpf_map_lookup_elem(fd, &key, buf);
	memcpy(buf, v, n * sizeof(*v)); /* the first CPU's copy holds it all */
	err = bpf_map_update_elem(fd, &key, buf, BPF_ANY) ? -errno : 0;
	free(buf);
	return err;
}

int map_fill(int fd, const struct mf_elems *e)
{
	uint32_t n = e->n, done = 0;

	if (!n || !bpf_map_update_batch(fd, e->keys, e->values, &n, NULL))
		return 0;
	for (; done < e->n; done++) /* a kernel without batches; or to see what is wrong */
		if (bpf_map_update_elem(fd, e->keys + (size_t)done * e->key_len,
					e->values + (size_t)done * e->value_len, BPF_ANY))
			return -errno;
	return 0;
}

/* Elements say how long they live: the map wants to know until when. */
static void set_expiry(const struct manifest *m, struct mf_elems *e)
{
	bool timeouts = false;
	uint64_t t, now = setmap_now();

	vec_foreach(&m->sets, s)
		if (s->map && s->timeouts && e->value_len >= sizeof(t))
			timeouts |= !strcmp(s->map, e->map) ||
				    !strcmp(setmap_name(s, "_all"), e->map);
	for (uint32_t i = 0; timeouts && i < e->n; i++) {
		uint8_t *v = e->values + (size_t)i * e->value_len;

		memcpy(&t, v, sizeof(t));
		t += t ? now : 0;
		memcpy(v, &t, sizeof(t));
	}
}

/* Counters that start at something, and the elements of mutable sets. */
static int fill_maps(struct ctl *c, struct ctl_obj *o)
{
	vec_foreach(&o->mf->states, s) {
		struct bpf_map *map = bpf_object__find_map_by_name(o->bpf, s->map);
		uint64_t v[2] = { s->a, s->b };

		if (!map)
			return ctl_error("the object has no map %s", s->map);
		if (!s->a && !s->b)
			continue;
		if (map_write_u64s(bpf_map__fd(map), s->index, v, s->kind == MF_COUNTER ? 2 : 1))
			return ctl_error("cannot set value %u of map %s", s->index, s->map);
	}
	vec_foreach(&o->mf->elems, e) {
		struct bpf_map *map = bpf_object__find_map_by_name(o->bpf, e->map);
		int err;

		if (!map || bpf_map__key_size(map) != e->key_len ||
		    bpf_map__value_size(map) != e->value_len)
			return ctl_error("the manifest's elements do not fit map %s", e->map);
		set_expiry(o->mf, e);
		err = map_fill(bpf_map__fd(map), e);
		if (err)
			return ctl_error("cannot add the elements of map %s: %s", e->map,
					 strerror(-err));
	}
	vec_foreach(&o->mf->sets, s)
		if (s->map && !strcmp(s->layout, "index") && setidx_fill(c, o->bpf, s))
			return 1;
	return 0;
}

/* -- loading and attaching ------------------------------------------------------------------------- */

/*
 * The kernel's time zone, which `meta day` needs and no program can read, as a line of kernel configuration: the runtime declares it
 * as such (bpf/meta.bpf.c). The C library's gettimeofday() does not tell it.
 */
static const char *time_zone(struct ctl *c)
{
	struct timezone tz = { 0 };
	struct timeval tv;

	syscall(SYS_gettimeofday, &tv, &tz);
	return arena_printf(c->arena, "CONFIG_NFT2BPF_MINUTESWEST=%d\n", tz.tz_minuteswest);
}

int object_load(struct ctl *c, const char *path, struct ctl_obj *o)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);

	memset(o, 0, sizeof(*o));
	if (read_manifest(c, path, o))
		return 1;
	opts.kconfig = time_zone(c);
	o->bpf = bpf_object__open_file(path, &opts);
	if (!o->bpf)
		return ctl_error("%s: libbpf cannot open it: %s", path, strerror(errno));
	if (bpf_object__load(o->bpf))
		return ctl_error("%s: the kernel does not take it: %s%s", path, strerror(errno),
				 errno == E2BIG ? "; one load may cost the verifier a million "
						  "instructions: compile with --partial never, or "
						  "give the rules shapes that merge into sets"
						: "");
	return fill_maps(c, o);
}

void object_close(struct ctl_obj *o)
{
	if (o->bpf)
		bpf_object__close(o->bpf);
	o->bpf = NULL;
}

/*
 * A BPF link must have a priority of its own: the one that the compiler chose (the base chain's, or below a residual chain's), or,
 * where another hook has it, the next free one below, as long as the program stays behind those of its own ruleset that come first.
 */
static int link_prog(const struct manifest *m, const struct mf_prog *p, int prog_fd)
{
	int64_t prio = p->prio, floor = INT64_MIN;

	vec_foreach(&m->progs, q)
		if (q->prio < p->prio && q->hooknum == p->hooknum && !strcmp(q->pf, p->pf))
			floor = MAX(floor, q->prio);
	for (int i = 0; i < PRIO_TRIES && prio > floor; i++, prio--) {
		LIBBPF_OPTS(bpf_link_create_opts, opts,
			    .netfilter.pf = strcmp(p->pf, "ip") ? NFPROTO_IPV6 : NFPROTO_IPV4,
			    .netfilter.hooknum = p->hooknum, .netfilter.priority = (int32_t)prio);
		int fd = bpf_link_create(prog_fd, 0, ATTACH_NETFILTER, &opts);

		if (fd >= 0)
			return fd;
		if (errno != EBUSY)
			break;
	}
	return -1;
}

static int attach_one(struct ctl *c, const struct manifest *m, const struct mf_prog *p, int prog_fd,
		      char gen)
{
	int fd = link_prog(m, p, prog_fd), err = 0;

	if (fd < 0 && errno == EBUSY)
		return ctl_error("cannot attach %s to %s %s: other hooks have priority %d and "
				 "those below it that the order of the chains leaves",
				 p->name, p->pf, p->hook, p->prio);
	if (fd < 0)
		return ctl_error("cannot attach %s to %s %s: %s", p->name, p->pf, p->hook,
				 strerror(errno));
	if (bpf_obj_pin(fd, pins_path(c, gen, "link", p->name)))
		err = ctl_error("cannot pin %s: %s", p->name, strerror(errno));
	close(fd); /* the pin holds it */
	return err;
}

static int pin_maps(struct ctl *c, struct ctl_obj *o, char gen)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, o->bpf)
	{
		const char *name = bpf_map__name(map);

		if (strchr(name, '.')) /* .rodata and its like hold nothing that changes */
			continue;
		if (bpf_map__pin(map, pins_path(c, gen, "map", name)))
			return ctl_error("cannot pin map %s: %s", name, strerror(errno));
	}
	return 0;
}

int object_attach(struct ctl *c, struct ctl_obj *o, char gen)
{
	if (pin_maps(c, o, gen))
		return 1;
	vec_foreach(&o->mf->progs, p) {
		struct bpf_program *prog = bpf_object__find_program_by_name(o->bpf, p->name);

		if (!prog)
			return ctl_error("the object has no program %s", p->name);
		if (bpf_program__pin(prog, pins_path(c, gen, "prog", p->name)))
			return ctl_error("cannot pin %s: %s", p->name, strerror(errno));
		if (attach_one(c, o->mf, p, bpf_program__fd(prog), gen))
			return 1;
	}
	return 0;
}

int object_reattach(struct ctl *c, const struct manifest *m, char gen)
{
	vec_foreach(&m->progs, p) {
		int fd = bpf_obj_get(pins_path(c, gen, "prog", p->name)), err;

		if (fd < 0)
			return ctl_error("cannot open %s: %s", pins_path(c, gen, "prog", p->name),
					 strerror(errno));
		err = attach_one(c, m, p, fd, gen);
		close(fd);
		if (err)
			return err;
	}
	return 0;
}
