// SPDX-License-Identifier: GPL-2.0-or-later
/* Pins: the folder of a loaded ruleset in bpffs. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ctl.h"

#define BPFFS		    "/sys/fs/bpf"
#define MANIFEST_CHUNK	    65536u /* bytes of manifest in one value of its map */
#define BPF_FS_MAGIC_NUMBER 0xcafe4a11

static int mount_bpffs(void)
{
	struct statfs st;

	if (!statfs(BPFFS, &st) && (unsigned long)st.f_type == BPF_FS_MAGIC_NUMBER)
		return 0;
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700"))
		return ctl_error("cannot mount bpffs on " BPFFS ": %s", strerror(errno));
	return 0;
}

int pins_open(struct ctl *c, bool make)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st))
		return ctl_error("cannot tell the network namespace: %s", strerror(errno));
	c->home = arena_printf(c->arena, CTL_ROOT "/%lu", (unsigned long)st.st_ino);
	if (!make)
		return 0;
	if (mount_bpffs())
		return 1;
	if ((mkdir(CTL_ROOT, 0700) && errno != EEXIST) || (mkdir(c->home, 0700) && errno != EEXIST))
		return ctl_error("cannot make %s: %s", c->home, strerror(errno));
	return 0;
}

void pins_set_name(struct ctl *c, const char *name)
{
	c->name = name;
	c->dir = arena_printf(c->arena, "%s/%s", c->home, name);
}

char *pins_path(const struct ctl *c, char gen, const char *kind, const char *name)
{
	return arena_printf(c->arena, "%s/%c_%s%s%s", c->dir, gen, kind, name ? "_" : "",
			    name ? name : "");
}

bool pins_has(const struct ctl *c, char gen, const char *kind, const char *name)
{
	return !access(pins_path(c, gen, kind, name), F_OK);
}

char pins_ready(const struct ctl *c)
{
	return pins_has(c, 'a', "ready", NULL) ? 'a' : pins_has(c, 'b', "ready", NULL) ? 'b' : 0;
}

static int name_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The files of a folder, sorted, so that every run does things in the same order. */
static uint32_t folder(struct ctl *c, const char *path, const char ***names)
{
	VEC(const char *) v = { 0 };
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			*vec_push(c->arena, &v) = arena_strdup(c->arena, e->d_name);
	if (d)
		closedir(d);
	if (v.n)
		qsort(v.v, v.n, sizeof(*v.v), name_cmp);
	*names = v.v;
	return v.n;
}

uint32_t pins_names(struct ctl *c, const char ***names)
{
	return folder(c, c->home, names);
}

int pins_each(struct ctl *c, char gen, const char *kind, pins_fn *fn, void *arg)
{
	size_t n = kind ? strlen(kind) : 0;
	const char **files;
	uint32_t count = folder(c, c->dir, &files);

	for (uint32_t i = 0; i < count; i++) {
		const char *f = files[i];
		int err;

		if (f[0] != gen || f[1] != '_')
			continue;
		if (kind && (strncmp(f + 2, kind, n) != 0 || (f[2 + n] && f[2 + n] != '_')))
			continue;
		err = fn(c, f, arg);
		if (err)
			return err;
	}
	return 0;
}

static int unlink_one(struct ctl *c, const char *file, void *arg)
{
	const char *path = arena_printf(c->arena, "%s/%s", c->dir, file);

	(void)arg;
	if (unlink(path) && errno != ENOENT)
		return ctl_error("cannot remove %s: %s", path, strerror(errno));
	return 0;
}

/*
 * The kernel detaches a link whose last pin goes from a work queue, some time after unlink(2) has
 * returned: the program is detached here instead, so that it filters nothing any more when the
 * command is at its end, and its priority is free. Where we are killed in between, the link goes
 * with our descriptor.
 */
static int unlink_link(struct ctl *c, const char *file, void *arg)
{
	int fd = bpf_obj_get(arena_printf(c->arena, "%s/%s", c->dir, file));
	int err = unlink_one(c, file, arg);

	if (fd < 0)
		return err;
	if (!err && bpf_link_detach(fd))
		err = ctl_error("cannot detach %s: %s", file, strerror(errno));
	close(fd);
	return err;
}

int pins_unlink(struct ctl *c, char gen, const char *kind)
{
	bool links = kind && !strcmp(kind, "link");

	return pins_each(c, gen, kind, links ? unlink_link : unlink_one, NULL);
}

int pins_write_manifest(struct ctl *c, char gen, const char *json, size_t len)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	const char *path = pins_path(c, gen, "manifest", NULL);
	uint32_t chunks = (uint32_t)(len / MANIFEST_CHUNK) + 1;
	char *padded = arena_alloc(c->arena, (size_t)chunks * MANIFEST_CHUNK);
	int fd, err = 0;

	memcpy(padded, json, len);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "n2b_manifest", sizeof(uint32_t), MANIFEST_CHUNK,
			    chunks, &opts);
	if (fd < 0)
		return ctl_error("cannot make the manifest's map: %s", strerror(errno));
	for (uint32_t i = 0; i < chunks && !err; i++)
		err = bpf_map_update_elem(fd, &i, padded + (size_t)i * MANIFEST_CHUNK, BPF_ANY);
	if (err || bpf_obj_pin(fd, path))
		err = ctl_error("cannot pin %s: %s", path, strerror(errno));
	close(fd);
	return err;
}

struct manifest *pins_manifest(struct ctl *c, char gen)
{
	const char *path = pins_path(c, gen, "manifest", NULL), *why;
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	struct manifest *m = NULL;
	char *json;
	int fd, err = 0;

	if (access(path, F_OK))
		return NULL;
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len)) {
		ctl_error("cannot open %s: %s", path, strerror(errno));
	} else {
		json = arena_alloc(c->arena, (size_t)info.value_size * info.max_entries + 8);
		for (uint32_t i = 0; i < info.max_entries && !err; i++)
			err = bpf_map_lookup_elem(fd, &i, json + (size_t)i * info.value_size);
		if (err)
			ctl_error("cannot read %s: %s", path, strerror(errno));
		else if (!(m = manifest_read(c->arena, json, strlen(json), &why)))
			ctl_error("%s: %s", path, why);
	}
	if (fd >= 0)
		close(fd);
	return m;
}

int pins_map_fd(struct ctl *c, char gen, const char *map)
{
	int fd = bpf_obj_get(pins_path(c, gen, "map", map));

	return fd < 0 ? -errno : fd;
}
