// SPDX-License-Identifier: GPL-2.0-or-later
/* The object: its manifest, its way into the kernel, its links. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "obj.h"

/* How many priorities below the wanted one are tried when others have hooks there. */
/* BPF_NETFILTER: linux/bpf.h of older distributions does not have it. */
#define ATTACH_NETFILTER ((enum bpf_attach_type)45)
#define PRIO_TRIES	 128

/* -- the manifest ------------------------------------------------------------------------------ */

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

/* -- initial values ---------------------------------------------------------------------------- */

/* Elements say how long they live: the map wants to know until when. */
static void set_expiry(const struct manifest *m, const struct mf_elems *e, uint8_t *values)
{
	bool timeouts = false;
	uint64_t t, now = setmap_now();

	vec_foreach(&m->sets, s)
		if (s->map && s->timeouts && e->value_len >= sizeof(t))
			timeouts |= !strcmp(s->map, e->map) ||
				    !strcmp(setmap_name(s, "_all"), e->map);
	for (uint32_t i = 0; timeouts && i < e->n; i++) {
		uint8_t *v = values + (size_t)i * e->value_len;

		memcpy(&t, v, sizeof(t));
		t += t && t != EL_GOES_ON ? now & ~(uint64_t)1 : 0;
		memcpy(v, &t, sizeof(t));
	}
}

/*
 * The keys and values of a map's initial elements, the latter copied; false: the section does not
 * hold them.
 */
static bool take_elems(struct ctl *c, struct bpf_object *o, const struct mf_elems *e,
		       struct map_elems *out)
{
	struct bpf_map *section = bpf_object__find_map_by_name(o, OBJ_ELEMS_SECTION);
	size_t size = 0;
	uint8_t *at = section ? bpf_map__initial_value(section, &size) : NULL;
	uint64_t keys = (uint64_t)e->n * e->key_len,
		 values = (uint64_t)(e->n - 1) * e->value_step + e->value_len;

	if (!at || !e->n || e->keys_at + keys > size || e->values_at + values > size ||
	    (e->value_step && e->value_step != e->value_len))
		return false;
	*out = (struct map_elems){ e->key_len, e->value_len, e->n, at + e->keys_at, NULL };
	out->values = arena_array(c->arena, uint8_t, (size_t)e->n * e->value_len);
	for (uint32_t i = 0; i < e->n && !e->value_step; i++)
		memcpy(out->values + (size_t)i * e->value_len, at + e->values_at, e->value_len);
	if (e->value_step)
		memcpy(out->values, at + e->values_at, values);
	return true;
}

static int fill_map(struct ctl *c, struct ctl_obj *o, const struct mf_elems *e)
{
	struct bpf_map *map = bpf_object__find_map_by_name(o->bpf, e->map);
	struct map_elems v;
	int err;

	if (!map || bpf_map__key_size(map) != e->key_len ||
	    bpf_map__value_size(map) != e->value_len || !take_elems(c, o->bpf, e, &v))
		return ctl_error("the manifest's elements do not fit map %s", e->map);
	set_expiry(o->mf, e, v.values);
	err = map_fill(bpf_map__fd(map), &v);
	return err ? ctl_error("cannot add the elements of map %s: %s", e->map, strerror(-err)) : 0;
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
	vec_foreach(&o->mf->elems, e)
		if (fill_map(c, o, e))
			return 1;
	memset(&o->mf->elems, 0, sizeof(o->mf->elems)); /* from now on the maps have them */
	o->json = manifest_write(c->arena, o->mf, &o->json_len);
	return 0;
}

/* -- loading and attaching --------------------------------------------------------------------- */

/*
 * The kernel's time zone, which `meta day` needs and no program can read, as a line of kernel
 * configuration: the runtime declares it as such (bpf/meta.bpf.c). The C library's gettimeofday()
 * does not tell it.
 */
static const char *time_zone(struct ctl *c)
{
	struct timezone tz = { 0 };
	struct timeval tv;

	syscall(SYS_gettimeofday, &tv, &tz);
	return arena_printf(c->arena, "CONFIG_NFT2BPF_MINUTESWEST=%d\n", tz.tz_minuteswest);
}

/* The first test of programs of generation b: OBJ_FORCE_OTHER is theirs. */
static int run_on_other(struct ctl_obj *o, const char *path)
{
	vec_foreach(&o->mf->progs, p) {
		struct bpf_program *prog = bpf_object__find_program_by_name(o->bpf, p->name);
		size_t n = prog ? bpf_program__insn_cnt(prog) : 0;
		struct bpf_insn *in = n > OBJ_GUARD_RUN ? malloc(n * sizeof(*in)) : NULL;
		int err = in ? 0 : 1;

		if (in) {
			memcpy(in, bpf_program__insns(prog), n * sizeof(*in));
			err = in[OBJ_GUARD_RUN].imm != OBJ_FORCE_RUN;
			in[OBJ_GUARD_RUN].imm = OBJ_FORCE_OTHER;
			if (!err)
				err = bpf_program__set_insns(prog, in, n);
		}
		free(in);
		if (err)
			return ctl_error("%s: program %s does not begin as nft2bpf makes it", path,
					 p->name);
	}
	return 0;
}

/*
 * The words of what is in force serve this object too, so that one write changes from that to this;
 * else its own, asleep.
 */
static int share_words(struct ctl *c, struct ctl_obj *o, const char *path)
{
	struct bpf_map *words = bpf_object__find_map_by_name(o->bpf, ".data");
	const char *pin = pins_path(c, o->gen == 'a' ? 'b' : 'a', "words", NULL);
	size_t size = 0;
	uint32_t *w = words ? bpf_map__initial_value(words, &size) : NULL;
	int fd, err;

	if (!w || size != 4 * OBJ_WORD_COUNT)
		return ctl_error("%s: its section .data is not what nft2bpf makes", path);
	w[OBJ_FORCE] = OBJ_FORCE_ACCEPT;
	w[OBJ_FILLED] = 1;
	fd = bpf_obj_get(pin);
	if (fd < 0)
		return errno == ENOENT ? 0 : ctl_error("cannot open %s: %s", pin, strerror(errno));
	err = bpf_map__reuse_fd(words, fd);
	close(fd);
	return err ? ctl_error("%s: cannot use %s: %s", path, pin, strerror(-err)) : 0;
}

/* Elements are for fill_maps(), not for the object's own program. */
static int prepare(struct ctl *c, struct ctl_obj *o, const char *path)
{
	struct bpf_program *fill = bpf_object__find_program_by_name(o->bpf, OBJ_FILL_NAME);
	struct bpf_map *elems = bpf_object__find_map_by_name(o->bpf, OBJ_ELEMS_SECTION);

	if (fill)
		bpf_program__set_autoload(fill, false);
	if (elems)
		bpf_map__set_autocreate(elems, false);
	return share_words(c, o, path) || (o->gen == 'b' && run_on_other(o, path));
}

int object_load(struct ctl *c, const char *path, char gen, struct ctl_obj *o)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);

	memset(o, 0, sizeof(*o));
	o->gen = gen;
	if (read_manifest(c, path, o))
		return 1;
	opts.kconfig = time_zone(c);
	o->bpf = bpf_object__open_file(path, &opts);
	if (!o->bpf)
		return ctl_error("%s: libbpf cannot open it: %s", path, strerror(errno));
	if (prepare(c, o, path))
		return 1;
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
 * A BPF link must have a priority of its own: the one that the compiler chose (the base chain's, or
 * below a residual chain's), or, where another hook has it, the next free one below, as long as the
 * program stays behind those of its own ruleset that come first.
 */
static int link_prog(const struct manifest *m, const struct mf_prog *p, int prog_fd, bool beside)
{
	int tries = beside ? 2 : PRIO_TRIES;
	int64_t prio = p->prio, floor = INT64_MIN;

	vec_foreach(&m->progs, q)
		if (q->prio < p->prio && q->hooknum == p->hooknum && !strcmp(q->pf, p->pf))
			floor = MAX(floor, q->prio);
	for (int i = 0; i < tries && prio > floor; i++, prio--) {
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
		      char gen, bool beside)
{
	int fd = link_prog(m, p, prog_fd, beside), err = 0;

	if (fd < 0 && errno == EBUSY && beside)
		return 2;
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

static const char *section_of(const char *map)
{
	return strchr(map, '.') ? strchr(map, '.') : "";
}

static int pin_maps(struct ctl *c, struct ctl_obj *o, char gen)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, o->bpf)
	{
		const char *name = bpf_map__name(map);

		if (!strcmp(section_of(name), ".data") &&
		    bpf_obj_pin(bpf_map__fd(map), pins_path(c, gen, "words", NULL)))
			return ctl_error("cannot pin %s: %s", name, strerror(errno));
		if (strchr(name, '.')) /* .rodata and its like hold nothing that changes */
			continue;
		if (bpf_obj_pin(bpf_map__fd(map), pins_path(c, gen, "map", name)))
			return ctl_error("cannot pin map %s: %s", name, strerror(errno));
	}
	return 0;
}

int object_attach(struct ctl *c, struct ctl_obj *o, char gen)
{
	int err;

	if (pin_maps(c, o, gen))
		return 1;
	vec_foreach(&o->mf->progs, p) {
		struct bpf_program *prog = bpf_object__find_program_by_name(o->bpf, p->name);

		if (!prog)
			return ctl_error("the object has no program %s", p->name);
		if (bpf_program__pin(prog, pins_path(c, gen, "prog", p->name)))
			return ctl_error("cannot pin %s: %s", p->name, strerror(errno));
		err = attach_one(c, o->mf, p, bpf_program__fd(prog), gen, o->beside);
		if (err)
			return err;
	}
	return 0;
}

/* The words of a generation in memory; NULL after an error line. */
static uint64_t *words_open(struct ctl *c, char gen)
{
	const char *pin = pins_path(c, gen, "words", NULL);
	int fd = bpf_obj_get(pin);
	void *p = fd < 0 ? MAP_FAILED
			 : mmap(NULL, 4 * OBJ_WORD_COUNT, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				0);

	if (p == MAP_FAILED)
		ctl_error("cannot open %s: %s", pin, strerror(errno));
	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

int object_force(struct ctl *c, char gen, bool run)
{
	uint32_t w[2] = { [OBJ_SINCE] = (uint32_t)(setmap_now() >> OBJ_SINCE_SHIFT) };
	uint64_t *words = words_open(c, gen), both;
	_Static_assert(OBJ_FORCE == 0 && OBJ_SINCE == 1, "they are one number of 64 bits");

	if (!words)
		return 1;
	w[OBJ_FORCE] = !run ? OBJ_FORCE_ACCEPT : gen == 'a' ? OBJ_FORCE_RUN : OBJ_FORCE_OTHER;
	memcpy(&both, w, sizeof(both));
	__atomic_store_n(words, both, __ATOMIC_SEQ_CST);
	munmap(words, 4 * OBJ_WORD_COUNT);
	return 0;
}

char object_in_force(struct ctl *c, char gen)
{
	uint32_t zero = 0, words[OBJ_WORD_COUNT] = { 0 };
	int fd = bpf_obj_get(pins_path(c, gen, "words", NULL));

	if (fd < 0)
		return 0;
	if (bpf_map_lookup_elem(fd, &zero, words))
		words[OBJ_FORCE] = OBJ_FORCE_DROP;
	close(fd);
	return words[OBJ_FORCE] == OBJ_FORCE_RUN     ? 'a'
	       : words[OBJ_FORCE] == OBJ_FORCE_OTHER ? 'b'
						     : 0;
}

int object_reattach(struct ctl *c, const struct manifest *m, char gen)
{
	vec_foreach(&m->progs, p) {
		int fd = bpf_obj_get(pins_path(c, gen, "prog", p->name)), err;

		if (fd < 0)
			return ctl_error("cannot open %s: %s", pins_path(c, gen, "prog", p->name),
					 strerror(errno));
		err = attach_one(c, m, p, fd, gen, false);
		close(fd);
		if (err)
			return err;
	}
	return 0;
}
