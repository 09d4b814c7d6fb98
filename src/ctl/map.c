// SPDX-License-Identifier: GPL-2.0-or-later
/* Values and elements of BPF maps. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "ctl.h"

#define DUMP_CHUNK 65536u /* elements for one call */

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

int map_fill(int fd, const struct map_elems *e)
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

int mapsrc_fd(struct ctl *c, const struct mapsrc *from, const char *map)
{
	struct bpf_map *m;
	int fd;

	if (from->gen)
		return pins_map_fd(c, from->gen, map);
	m = bpf_object__find_map_by_name(from->o, map);
	fd = m ? fcntl(bpf_map__fd(m), F_DUPFD_CLOEXEC, 0) : -1;
	return m && fd < 0 ? -errno : m ? fd : -ENOENT;
}

static void *grown(struct ctl *c, const void *old, size_t n, size_t size)
{
	void *p = arena_alloc(c->arena, size);

	if (n)
		memcpy(p, old, n);
	return p;
}

/* Room for DUMP_CHUNK more. */
static void grow(struct ctl *c, struct map_elems *e, uint32_t *cap)
{
	if (*cap - e->n >= DUMP_CHUNK)
		return;
	*cap = 2 * *cap + DUMP_CHUNK;
	e->keys = grown(c, e->keys, e->n * (size_t)e->key_len, *cap * (size_t)e->key_len);
	e->values = grown(c, e->values, e->n * (size_t)e->value_len, *cap * (size_t)e->value_len);
}

/* For a kernel without batches of this kind of map. */
static int dump_by_key(struct ctl *c, int fd, struct map_elems *e, uint32_t cap)
{
	uint8_t *key = arena_alloc(c->arena, e->key_len), *prev = NULL;

	for (; !bpf_map_get_next_key(fd, prev, key); prev = key) {
		grow(c, e, &cap);
		memcpy(e->keys + (size_t)e->n * e->key_len, key, e->key_len);
		if (!bpf_map_lookup_elem(fd, key, e->values + (size_t)e->n * e->value_len))
			e->n++;
	}
	return errno == ENOENT ? 0 : -errno;
}

int map_dump(struct ctl *c, int fd, struct map_elems *e)
{
	uint8_t at[2][128]; /* where the kernel goes on: a number or a key */
	uint32_t cap = 0, n;
	struct bpf_map_info info;
	int err = map_info(fd, &info);

	if (err || info.key_size != e->key_len || info.value_size != e->value_len ||
	    info.key_size > sizeof(at[0]))
		return err ? err : -EINVAL;
	for (uint32_t turn = 0;; turn++) {
		grow(c, e, &cap);
		n = cap - e->n;
		err = bpf_map_lookup_batch(fd, turn ? at[turn % 2] : NULL, at[(turn + 1) % 2],
					   e->keys + (size_t)e->n * e->key_len,
					   e->values + (size_t)e->n * e->value_len, &n, NULL);
		if (err && errno != ENOENT)
			break;
		e->n += n;
		if (err)
			return 0;
	}
	e->n = 0;
	return dump_by_key(c, fd, e, cap);
}
