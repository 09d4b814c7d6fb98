// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * btf: the types of an object: its functions, maps, read-only data, and what it wants from the
 * kernel.
 *
 * Structures and prototypes of the kernel are copied from the BTF that clang made of
 * bpf/types.bpf.c, prototypes of runtime functions from that of their own objects.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>

#include "codegen/objint.h"

int ow_fail(struct ow *w, const char *what, int err)
{
	diag_error(w->o->diag, (struct loc){ 0 }, "cannot write the object: %s: %s", what,
		   strerror(-err));
	return err < 0 ? err : -EIO;
}

/* -- copies ------------------------------------------------------------------------------------ */

static int copy_ref(struct ow *w, const struct btf *from, uint32_t *id, uint32_t *cache)
{
	int to = ow_btf_copy(w, from, *id, cache);

	if (to >= 0)
		*id = (uint32_t)to;
	return to;
}

/*
 * The ids in the copy `to` still count in `from`: each is copied in its turn. The type itself moves
 * while others are added.
 */
static int copy_refs(struct ow *w, const struct btf *from, int to, uint32_t *cache)
{
#define T() ((struct btf_type *)btf__type_by_id(w->btf, (uint32_t)to))
#define REF(field)                                                                                 \
	do {                                                                                       \
		uint32_t id_ = (field);                                                            \
		int err_ = copy_ref(w, from, &id_, cache);                                         \
		if (err_ < 0)                                                                      \
			return err_;                                                               \
		(field) = id_;                                                                     \
	} while (0)
	switch (btf_kind(T())) {
	case BTF_KIND_INT:
	case BTF_KIND_FLOAT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_FWD:
		return 0;
	case BTF_KIND_ARRAY:
		REF(btf_array(T())->type);
		REF(btf_array(T())->index_type);
		return 0;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		for (uint32_t i = 0; i < btf_vlen(T()); i++)
			REF(btf_members(T())[i].type);
		return 0;
	case BTF_KIND_FUNC_PROTO:
		for (uint32_t i = 0; i < btf_vlen(T()); i++)
			REF(btf_params(T())[i].type);
		REF(T()->type);
		return 0;
	default:
		REF(T()->type);
		return 0;
	}
#undef REF
#undef T
}

int ow_btf_copy(struct ow *w, const struct btf *from, uint32_t id, uint32_t *cache)
{
	int to, err;

	if (!id || cache[id])
		return (int)cache[id];
	to = btf__add_type(w->btf, from, btf__type_by_id(from, id));
	if (to < 0)
		return ow_fail(w, "BTF", to);
	cache[id] = (uint32_t)to;
	err = copy_refs(w, from, to, cache);
	return err < 0 ? err : to;
}

int ow_btf_type(struct ow *w, const char *name, uint32_t kind)
{
	int id = btf__find_by_name_kind(w->from, name, kind);

	return id < 0 ? id : ow_btf_copy(w, w->from, (uint32_t)id, w->copied);
}

/* -- functions --------------------------------------------------------------------------------- */

static int add_ctx_proto(struct ow *w)
{
	int i32 = ow_btf_type(w, "int", BTF_KIND_INT),
	    ctx = ow_btf_type(w, "bpf_nf_ctx", BTF_KIND_STRUCT);
	int ptr, proto, err;

	if (i32 < 0 || ctx < 0)
		BUG("bpf/types.bpf.c has no int or no struct bpf_nf_ctx");
	ptr = btf__add_ptr(w->btf, ctx);
	proto = btf__add_func_proto(w->btf, i32);
	err = btf__add_func_param(w->btf, "ctx", ptr);
	if (ptr < 0 || proto < 0 || err < 0)
		return ow_fail(w, "BTF", -ENOMEM);
	return proto;
}

/* int fn(int, ...) */
static int add_number_proto(struct ow *w, uint32_t n)
{
	int i32 = btf__find_by_name_kind(w->btf, "int", BTF_KIND_INT);
	int proto = btf__add_func_proto(w->btf, i32), err = 0;

	for (uint32_t k = 0; k < n && !err; k++)
		err = btf__add_func_param(w->btf, arena_printf(w->o->arena, "a%u", k), i32);
	return proto < 0 || err ? ow_fail(w, "BTF", -ENOMEM) : proto;
}

/* int fn(void *), int fn(int, void *): programs of other types, and what helpers call back */
static int add_void_proto(struct ow *w, bool number)
{
	int i32 = btf__find_by_name_kind(w->btf, "int", BTF_KIND_INT),
	    ptr = btf__add_ptr(w->btf, 0);
	int proto = btf__add_func_proto(w->btf, i32), err = 0;

	if (number)
		err = btf__add_func_param(w->btf, "n", i32);
	if (!err)
		err = btf__add_func_param(w->btf, "arg", ptr);
	return proto < 0 || err ? ow_fail(w, "BTF", -ENOMEM) : proto;
}

static int fn_proto(struct ow *w, const struct obj_fn *fn, int ctx_proto)
{
	if (fn->n_numbers)
		return add_number_proto(w, fn->n_numbers);
	return fn->is_fill || fn->is_callback ? add_void_proto(w, fn->is_callback) : ctx_proto;
}

static int add_fns(struct ow *w)
{
	int ctx_proto = add_ctx_proto(w), proto, id;

	if (ctx_proto < 0)
		return ctx_proto;
	for (uint32_t i = 0; i < w->o->fns.n; i++) {
		const struct obj_fn *fn = w->o->fns.v[i];

		proto = fn_proto(w, fn, ctx_proto);
		if (proto < 0)
			return proto;
		id = btf__add_func(w->btf, fn->name,
				   fn->is_prog || fn->is_fill || fn->is_global ? BTF_FUNC_GLOBAL
									       : BTF_FUNC_STATIC,
				   proto);
		if (id < 0)
			return ow_fail(w, fn->name, id);
		w->fn_type[i] = (uint32_t)id;
	}
	return 0;
}

/* -- maps -------------------------------------------------------------------------------------- */

static int u8_array(struct ow *w, uint32_t n)
{
	int u8 = ow_btf_type(w, "unsigned char", BTF_KIND_INT),
	    u32 = ow_btf_type(w, "unsigned int", BTF_KIND_INT);

	return btf__add_array(w->btf, u32, u8, n);
}

/* How libbpf reads a number out of BTF: a pointer to an array of so many integers. */
static int number_type(struct ow *w, uint32_t n)
{
	int i32 = ow_btf_type(w, "int", BTF_KIND_INT),
	    u32 = ow_btf_type(w, "unsigned int", BTF_KIND_INT);

	return btf__add_ptr(w->btf, btf__add_array(w->btf, u32, i32, n));
}

/*
 * struct { struct bpf_spin_lock lock; unsigned char rest[]; }: the kernel must know where the lock
 * is.
 */
static int lock_value_type(struct ow *w, const struct obj_map *m)
{
	int lock = ow_btf_type(w, "bpf_spin_lock", BTF_KIND_STRUCT), rest, id, err;

	BUG_ON(m->value_size <= 4);
	rest = u8_array(w, m->value_size - 4);
	id = btf__add_struct(w->btf, "n2b_state", m->value_size);
	err = btf__add_field(w->btf, "lock", lock, 0, 0);
	if (!err)
		err = btf__add_field(w->btf, "rest", rest, 32, 0);
	return err ? err : id;
}

static int key_type(struct ow *w, const struct obj_map *m)
{
	return m->key_size == 4 ? ow_btf_type(w, "unsigned int", BTF_KIND_INT)
				: u8_array(w, m->key_size);
}

/*
 * int (*values[])(void *): libbpf fills the elements of such a map with the programs that
 * relocations in .maps name.
 */
static int programs_type(struct ow *w)
{
	int i32 = ow_btf_type(w, "int", BTF_KIND_INT), proto = btf__add_func_proto(w->btf, i32),
	    ptr;

	btf__add_func_param(w->btf, "", btf__add_ptr(w->btf, 0));
	ptr = btf__add_ptr(w->btf, proto);
	return btf__add_array(w->btf, ow_btf_type(w, "unsigned int", BTF_KIND_INT), ptr, 0);
}

static int add_map(struct ow *w, const struct obj_map *m)
{
	struct {
		const char *name;
		int type;
	} f[6];
	uint32_t n = 0;
	int st, err = 0;

	BUG_ON(strlen(m->name) > 15);
#define ADD(name_, type_) f[n].name = (name_), f[n].type = (type_), n++
	ADD("type", number_type(w, m->type));
	if (m->has_spin_lock) {
		ADD("key", btf__add_ptr(w->btf, key_type(w, m)));
		ADD("value", btf__add_ptr(w->btf, lock_value_type(w, m)));
	} else {
		if (m->key_size)
			ADD("key_size", number_type(w, m->key_size));
		if (m->value_size)
			ADD("value_size", number_type(w, m->value_size));
	}
	ADD("max_entries", number_type(w, m->max_entries));
	if (m->flags)
		ADD("map_flags", number_type(w, m->flags));
	if (m->progs.n)
		ADD("values", programs_type(w));
#undef ADD
	/* The array without length takes no room in it. */
	st = btf__add_struct(w->btf, NULL, (n - !!m->progs.n) * 8);
	for (uint32_t i = 0; i < n && !err; i++)
		err = f[i].type < 0 ? f[i].type
				    : btf__add_field(w->btf, f[i].name, f[i].type, i * 64, 0);
	if (st < 0 || err)
		return ow_fail(w, m->name, err ? err : st);
	return btf__add_var(w->btf, m->name, BTF_VAR_GLOBAL_ALLOCATED, st);
}

/*
 * Every map's symbol covers OW_MAP_SIZE bytes of .maps: libbpf wants them apart, and reads only the
 * types.
 */
static int add_maps(struct ow *w)
{
	const uint32_t n = w->o->maps.n;
	uint32_t *var = arena_array(w->a, uint32_t, n), *size = arena_array(w->a, uint32_t, n),
		 off = 0;
	int id, err = 0;

	if (!n)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		id = add_map(w, w->o->maps.v[i]);
		if (id < 0)
			return id;
		var[i] = (uint32_t)id;
		size[i] = (uint32_t)btf__resolve_size(w->btf, (uint32_t)id);
		w->map_size[i] = size[i] += 8 * w->o->maps.v[i]->progs.n;
		off += size[i];
	}
	id = btf__add_datasec(w->btf, ".maps", off);
	off = 0;
	for (uint32_t i = 0; i < n && !err; i++) {
		err = btf__add_datasec_var_info(w->btf, (int)var[i], off, size[i]);
		off += size[i];
	}
	return id < 0 || err ? ow_fail(w, ".maps", err ? err : id) : 0;
}

/* -- read-only data ---------------------------------------------------------------------------- */

/* A C identifier from any name. */
static const char *identifier(struct ow *w, const char *name)
{
	char *s = arena_printf(w->a, "%s%s", isdigit((unsigned char)*name) || !*name ? "_" : "",
			       name);

	for (char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			*p = '_';
	return s;
}

/* const T name[len], static; its place in .rodata is the end of what is there, aligned. */
static int add_const(struct ow *w, const char *name, const char *elem, const void *bytes,
		     uint32_t len, uint32_t align, struct ow_map *place)
{
	int type = ow_btf_type(w, elem, BTF_KIND_INT),
	    u32 = ow_btf_type(w, "unsigned int", BTF_KIND_INT);

	while (w->rodata.n % align)
		sb_add(&w->rodata, "", 1);
	w->rodata_align = MAX(w->rodata_align, align);
	place->off = (uint32_t)w->rodata.n;
	place->size = len;
	sb_add(&w->rodata, bytes, len);
	type = btf__add_const(w->btf, btf__add_array(w->btf, u32, type, len));
	type = btf__add_var(w->btf, identifier(w, name), BTF_VAR_STATIC, type);
	if (type < 0)
		return ow_fail(w, name, type);
	place->type_id = (uint32_t)type;
	return 0;
}

static int add_rodata(struct ow *w)
{
	VEC(struct ow_map) places = { 0 };
	int id, err = 0;

	for (uint32_t i = 0; i < w->o->rodata.n; i++) {
		const struct obj_rodata *r = &w->o->rodata.v[i];

		if (!r->len)
			BUG("read-only blob %s is empty", r->name);
		err = add_const(w, r->name, "unsigned char", r->bytes, r->len, MAX(r->align, 8u),
				vec_push(w->a, &places));
		if (err)
			return err;
		w->rodata_off[i] = places.v[places.n - 1].off;
	}
	vec_foreach(&w->o->meta, m) {
		err = add_const(w, arena_printf(w->a, "bpf_metadata_%s", m->key), "char", m->value,
				(uint32_t)strlen(m->value) + 1, 1, vec_push(w->a, &places));
		if (err)
			return err;
	}
	if (!places.n)
		return 0;
	id = btf__add_datasec(w->btf, ".rodata", (uint32_t)w->rodata.n);
	vec_foreach(&places, p)
		if (!err)
			err = btf__add_datasec_var_info(w->btf, (int)p->type_id, p->off, p->size);
	return id < 0 || err ? ow_fail(w, ".rodata", err ? err : id) : 0;
}

/* A section that is one variable: `elem name[n]`. */
static int add_data(struct ow *w, const char *sec, const char *name, const char *elem,
		    uint32_t size, uint32_t n, uint32_t linkage)
{
	int type = ow_btf_type(w, elem, BTF_KIND_INT),
	    u32 = ow_btf_type(w, "unsigned int", BTF_KIND_INT), id, err;

	type = btf__add_array(w->btf, u32, type, n);
	type = btf__add_var(w->btf, name, (int)linkage, type);
	id = btf__add_datasec(w->btf, sec, size * n);
	err = type < 0 ? type : id < 0 ? id : btf__add_datasec_var_info(w->btf, type, 0, size * n);
	return err < 0 ? ow_fail(w, sec, err) : 0;
}

int ow_btf(struct ow *w)
{
	int err = add_fns(w);

	if (!err)
		err = add_maps(w);
	if (!err)
		err = add_rodata(w);
	if (!err && w->o->elems.n)
		err = add_data(w, OBJ_ELEMS_SECTION, "n2b_elems", "unsigned char", 1,
			       (uint32_t)w->o->elems.n, BTF_VAR_STATIC);
	if (!err && w->o->has_words)
		err = add_data(
			w, ".data", OBJ_WORDS_NAME, "unsigned int", 4, OBJ_WORD_COUNT,
			BTF_VAR_GLOBAL_ALLOCATED); /* which libbpf lets be mapped into memory */
	return err;
}

/* -- externs ----------------------------------------------------------------------------------- */

static int add_extern_fn(struct ow *w, const char *name, const struct btf *from, uint32_t *cache)
{
	int id = btf__find_by_name_kind(from, name, BTF_KIND_FUNC), proto, fn;

	if (id < 0)
		BUG("no prototype of function %s in bpf/", name);
	proto = ow_btf_copy(w, from, btf__type_by_id(from, (uint32_t)id)->type, cache);
	if (proto < 0)
		return proto;
	fn = btf__add_func(w->btf, name, BTF_FUNC_EXTERN, proto);
	return fn < 0 ? ow_fail(w, name, fn) : fn;
}

int ow_btf_kfunc(struct ow *w, const char *name)
{
	int id = add_extern_fn(w, name, w->from, w->copied);

	if (id > 0)
		*vec_push(w->a, &w->ksyms) = (uint32_t)id;
	return id;
}

int ow_btf_kconfig(struct ow *w, const char *name)
{
	int id = btf__add_var(w->btf, name, BTF_VAR_GLOBAL_EXTERN,
			      ow_btf_type(w, "int", BTF_KIND_INT));

	if (id < 0)
		return ow_fail(w, name, id);
	*vec_push(w->a, &w->kconfigs) = (uint32_t)id;
	return id;
}

int ow_btf_externs(struct ow *w)
{
	int err = 0, id = 0;

	if (w->ksyms.n)
		id = btf__add_datasec(w->btf, ".ksyms", 0);
	vec_foreach(&w->ksyms, k)
		if (!err && id >= 0)
			err = btf__add_datasec_var_info(w->btf, (int)*k, 0, 0);
	if (w->kconfigs.n && id >= 0 && !err)
		id = btf__add_datasec(w->btf, ".kconfig", 0);
	vec_foreach(&w->kconfigs, k)
		if (!err && id >= 0)
			err = btf__add_datasec_var_info(w->btf, (int)*k, 0, 4);
	return err || id < 0 ? ow_fail(w, ".ksyms", err ? err : id) : 0;
}
