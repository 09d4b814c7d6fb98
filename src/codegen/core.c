// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * core: CO-RE relocations: from a field of fields.def to an access string in the object's own BTF.
 *
 * libbpf checks that an instruction holds the value that the object's own types give before it puts
 * the kernel's value there, so that local value is what is written into the instruction here.
 */
#include <bpf/btf.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "ir.h"
#include "codegen/objint.h"

/* Values of `kind` in a CO-RE record that concern fields come first. */
#define LAST_FIELD_KIND BPF_CORE_FIELD_RSHIFT_U64

struct spec {			    /* a member found by its path */
	struct sbuf access;	    /* "0:3:1" */
	uint32_t bit_off, bit_size; /* bit_size: of a bit field, else 0 */
	uint32_t type;
};

static uint32_t skip_mods(const struct btf *b, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(b, id);

	while (btf_is_mod(t) || btf_is_typedef(t)) {
		id = t->type;
		t = btf__type_by_id(b, id);
	}
	return id;
}

/* Finds the member `name` in s->type, looking into members without a name; extends s. */
static bool find_member(const struct btf *b, struct spec *s, const char *name, size_t n)
{
	const struct btf_type *t = btf__type_by_id(b, s->type = skip_mods(b, s->type));

	if (!btf_is_composite(t))
		return false;
	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const char *mname = btf__name_by_offset(b, m->name_off);
		struct spec sub = *s;

		sub.bit_off += btf_member_bit_offset(t, i);
		sub.type = m->type;
		if (!*mname) {
			sb_init(&sub.access, s->access.arena);
			sb_printf(&sub.access, "%s:%u", s->access.s, i);
			if (!find_member(b, &sub, name, n))
				continue;
		} else if (strlen(mname) == n && !memcmp(mname, name, n)) {
			sub.bit_size = btf_member_bitfield_size(t, i);
			sb_printf(&sub.access, ":%u", i);
		} else {
			continue;
		}
		*s = sub;
		return true;
	}
	return false;
}

static bool index_array(const struct btf *b, struct spec *s, uint32_t i)
{
	const struct btf_type *t = btf__type_by_id(b, s->type = skip_mods(b, s->type));

	if (!btf_is_array(t))
		return false;
	s->type = btf_array(t)->type;
	s->bit_off += i * (uint32_t)btf__resolve_size(b, s->type) * 8;
	sb_printf(&s->access, ":%u", i);
	return true;
}

/* "a.b[1].c" from structure s->type on. */
static bool walk_path(const struct btf *b, struct spec *s, const char *path)
{
	while (*path) {
		if (*path == '[') {
			char *end;

			if (!index_array(b, s, (uint32_t)strtoul(path + 1, &end, 10)))
				return false;
			path = end + 1;
		} else {
			size_t n = strcspn(path, ".[");

			if (!find_member(b, s, path, n))
				return false;
			path += n;
		}
		path += *path == '.';
	}
	return true;
}

/* The value that libbpf computes for the member by the object's own types. */
static uint32_t local_value(const struct btf *b, const struct spec *s, uint32_t kind)
{
	uint32_t size = (uint32_t)btf__resolve_size(b, s->type), off = s->bit_off / 8;
	uint32_t bits = s->bit_size ? s->bit_size : size * 8;

	if (s->bit_size) {
		off = s->bit_off / 8 / size * size;
		while (s->bit_off + s->bit_size - off * 8 > size * 8) {
			size *= 2;
			off = s->bit_off / 8 / size * size;
		}
	}
	switch (kind) {
	case BPF_CORE_FIELD_BYTE_OFFSET:
		return off;
	case BPF_CORE_FIELD_BYTE_SIZE:
		return size;
	case BPF_CORE_FIELD_EXISTS:
		return 1;
	case BPF_CORE_FIELD_SIGNED:
		return 0;
	case BPF_CORE_FIELD_LSHIFT_U64:
		return 64 - (s->bit_off + bits - off * 8);
	case BPF_CORE_FIELD_RSHIFT_U64:
		return 64 - bits;
	}
	BUG("CO-RE kind %u is not about a field", kind);
}

/* The name of a type that is in the object once, copied from types.bpf.c or made empty. */
static int core_struct(struct ow *w, const char *name)
{
	void **slot = strmap_put(&w->core_types, name, strlen(name));
	int id;

	if (!*slot) {
		id = ow_btf_type(w, name, BTF_KIND_STRUCT);
		if (id < 0)
			id = btf__add_struct(w->btf, name, 0);
		if (id < 0)
			return ow_fail(w, name, id);
		*slot = (void *)(uintptr_t)id;
	}
	return (int)(uintptr_t)*slot;
}

static int core_enum(struct ow *w, const char *name, const char *value)
{
	const char *key = arena_printf(w->a, "enum %s.%s", name, value);
	void **slot = strmap_put(&w->core_types, key, strlen(key));
	int id, err;

	if (!*slot) {
		id = btf__add_enum(w->btf, name, 4);
		err = id < 0 ? id : btf__add_enum_value(w->btf, value, 0);
		if (err < 0)
			return ow_fail(w, name, err);
		*slot = (void *)(uintptr_t)id;
	}
	return (int)(uintptr_t)*slot;
}

static void patch(struct bpf_insn *in, uint32_t value)
{
	switch (BPF_CLASS(in->code)) {
	case BPF_LDX:
	case BPF_ST:
	case BPF_STX:
		in->off = (int16_t)value;
		break;
	default:
		in->imm = (int32_t)value;
	}
}

static int core_field(struct ow *w, const struct obj_reloc *r, uint32_t kind, struct ow_core *c,
		      uint32_t *value)
{
	const struct ir_field_info *f = &ir_field_info[r->id];
	struct spec s = { 0 };
	int id = core_struct(w, f->st);

	if (id < 0)
		return id;
	s.type = c->type_id = (uint32_t)id;
	sb_init(&s.access, w->a);
	sb_puts(&s.access, "0");
	if (!walk_path(w->btf, &s, f->path))
		BUG("no member %s in struct %s of bpf/vmlinux_min.h", f->path, f->st);
	/* Past the start of a field only elements of an array can be named. */
	if (r->kind == OBJ_REL_CORE_FIELD && r->addend) {
		uint32_t id2 = skip_mods(w->btf, s.type);
		const struct btf_type *t = btf__type_by_id(w->btf, id2);
		int64_t size = btf_is_array(t) ? btf__resolve_size(w->btf, btf_array(t)->type) : 0;

		if (size <= 0 || r->addend % size ||
		    !index_array(w->btf, &s, (uint32_t)(r->addend / size)))
			BUG("byte %d of %s.%s cannot be named by CO-RE", r->addend, f->st, f->path);
	}
	*value = local_value(w->btf, &s, kind);
	int off = btf__add_str(w->btf, s.access.s);
	if (off < 0)
		return ow_fail(w, "BTF strings", off);
	c->access_off = (uint32_t)off;
	return 0;
}

int ow_core(struct ow *w, enum ow_code sec, uint32_t insn, const struct obj_reloc *r)
{
	struct ow_core c = { .insn_off = insn * 8 };
	uint32_t value = 0;
	int id, err;

	if (r->kind == OBJ_REL_CORE_FIELD || r->kind == OBJ_REL_CORE_BITS) {
		c.kind = r->kind == OBJ_REL_CORE_BITS ? (uint32_t)r->addend
						      : BPF_CORE_FIELD_BYTE_OFFSET;
		BUG_ON(c.kind > LAST_FIELD_KIND);
		err = core_field(w, r, c.kind, &c, &value);
		if (err)
			return err;
	} else {
		bool type = r->kind == OBJ_REL_CORE_TYPE;

		id = type ? core_struct(w, r->name) : core_enum(w, r->name, r->name2);
		if (id < 0)
			return id;
		c.kind = type ? BPF_CORE_TYPE_ID_TARGET : BPF_CORE_ENUMVAL_VALUE;
		c.type_id = (uint32_t)id;
		value = type ? (uint32_t)id : 0;
		err = btf__add_str(w->btf, "0");
		if (err < 0)
			return ow_fail(w, "BTF strings", err);
		c.access_off = (uint32_t)err;
	}
	patch(&w->code[sec].insns.v[insn], value);
	*vec_push(w->a, &w->code[sec].cores) = c;
	return 0;
}
