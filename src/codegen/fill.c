// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fill: the initial elements of maps, and the program that puts them there.
 *
 * The elements lie in a section of their own: of each map its keys in a row, then its values, or
 * one value where all are the same. nft2bpfctl reads them there. For who loads the object by other
 * means, a program does as it is run once (`bpftool prog run pinned DIR/nft2bpf_fill data_in
 * FILE`); until then every packet is dropped, since an empty set would let through what it is to
 * stop. Of type tc: "syscall" programs may sleep, and the kernel (6.18) lets none that may at a
 * trie.
 *
 * A map of many elements is filled by a function that bpf_loop() calls, one of few elements in
 * place.
 */
#include <errno.h>

#include "codegen/objint.h"

#define ELEMS_MAX     (1u << 28) /* bytes; half of what an address in a map may be off */
#define LOOP_MAX      (1u << 22) /* elements; half of what bpf_loop() takes */
#define CALLBACKS_MAX 200u	 /* a program has at most 256 functions */
#define INSNS_MAX     500000u	 /* of a million that the verifier walks */
#define IN_PLACE_LEN  16u	 /* instructions for an element, at most */

/* Elements of one map that are added by one loop. */
struct part {
	uint32_t map, first, n;
};

struct fill {
	struct obj_file *o;
	struct obj_fn *fn; /* being written */
	VEC(struct part) parts;
};

/* -- laying out -------------------------------------------------------------------------------- */

static void align(struct obj_file *o)
{
	static const char zero[8];

	sb_add(&o->elems, zero, ALIGN_UP(o->elems.n, 8) - o->elems.n);
}

static bool one_value(const struct obj_map *m)
{
	const uint8_t *v = m->elems.values;

	for (uint32_t i = 1; i < m->elems.n; i++)
		if (memcmp(v + (size_t)i * m->value_size, v, m->value_size) != 0)
			return false;
	return true;
}

static void lay_out(struct obj_file *o, struct obj_map *m)
{
	uint32_t n_values = one_value(m) ? 1 : m->elems.n;

	align(o);
	m->keys_at = (uint32_t)o->elems.n;
	sb_add(&o->elems, (const char *)m->elems.keys, (size_t)m->elems.n * m->key_size);
	align(o);
	m->values_at = (uint32_t)o->elems.n;
	m->value_step = n_values > 1 ? m->value_size : 0;
	sb_add(&o->elems, (const char *)m->elems.values, (size_t)n_values * m->value_size);
}

/* Bytes that are enough for all elements. */
static size_t room_for(const struct obj_file *o)
{
	size_t n = 64;

	vec_foreach(&o->maps, m)
		n += (size_t)(*m)->elems.n * ((*m)->key_size + (*m)->value_size) + 16;
	return n;
}

/* -- code -------------------------------------------------------------------------------------- */

static void put(struct fill *f, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	*vec_push(f->o->arena, &f->fn->insns) = (struct bpf_insn){
		.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm
	};
}

static void address(struct fill *f, uint8_t reg, enum obj_rel_kind kind, uint32_t id, uint32_t off)
{
	*vec_push(f->o->arena, &f->fn->relocs) = (struct obj_reloc){
		.insn = f->fn->insns.n, .kind = kind, .id = id, .addend = (int32_t)off
	};
	put(f, BPF_LD | BPF_IMM | BPF_DW, reg, 0, 0, 0);
	put(f, 0, 0, 0, 0, 0);
}

static void movi(struct fill *f, uint8_t reg, int32_t imm)
{
	put(f, BPF_ALU | BPF_MOV | BPF_K, reg, 0, 0, imm);
}

static void mov(struct fill *f, uint8_t to, uint8_t from)
{
	put(f, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

static void call(struct fill *f, int helper)
{
	put(f, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

static void ret(struct fill *f, int32_t value)
{
	movi(f, 0, value);
	put(f, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static struct obj_fn *fn_new(struct fill *f, const char *name)
{
	f->fn = arena_new_of(f->o->arena, struct obj_fn);
	f->fn->name = name;
	*vec_push(f->o->arena, &f->fn->lines) =
		(struct obj_line){ .file = "ruleset", .text = "initial elements", .line = 1 };
	*vec_push(f->o->arena, &f->o->fns) = f->fn;
	return f->fn;
}

/*
 * Of the element at r0: a time that is left becomes a time of the clock (struct obj_set). r6, r7
 * are free; the end follows.
 */
static void put_expiry(struct fill *f)
{
	put(f, BPF_LDX | BPF_MEM | BPF_DW, 6, 0, 0, 0);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 6, 0);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 5, -1);
	mov(f, 7, 0);
	call(f, BPF_FUNC_ktime_get_ns);
	put(f, BPF_ALU64 | BPF_AND | BPF_K, 0, 0, 0, ~1);
	put(f, BPF_ALU64 | BPF_ADD | BPF_X, 6, 0, 0, 0);
	put(f, BPF_STX | BPF_MEM | BPF_DW, 7, 6, 0, 0);
}

/* int name(int n, void *): adds element first + n; 1: that is none, or there is no room. */
static uint32_t callback(struct fill *f, const struct part *p)
{
	const struct obj_map *m = f->o->maps.v[p->map];
	struct obj_fn *fn = fn_new(f, arena_printf(f->o->arena, "n2b_%s_%u", m->name, p->first));

	fn->is_callback = true;
	put(f, BPF_ALU | BPF_MOV | BPF_X, 6, 1, 0, 0);
	put(f, BPF_JMP32 | BPF_JLT | BPF_K, 6, 0, 2, (int32_t)p->n);
	ret(f, 1);
	address(f, 2, OBJ_REL_ELEMS, 0, m->keys_at + p->first * m->key_size);
	mov(f, 1, 6);
	put(f, BPF_ALU64 | BPF_MUL | BPF_K, 1, 0, 0, (int32_t)m->key_size);
	put(f, BPF_ALU64 | BPF_ADD | BPF_X, 2, 1, 0, 0);
	mov(f, 7, 2);
	address(f, 3, OBJ_REL_ELEMS, 0, m->values_at + p->first * m->value_step);
	mov(f, 1, 6);
	put(f, BPF_ALU64 | BPF_MUL | BPF_K, 1, 0, 0, (int32_t)m->value_step);
	put(f, BPF_ALU64 | BPF_ADD | BPF_X, 3, 1, 0, 0);
	address(f, 1, OBJ_REL_MAP, p->map, 0);
	movi(f, 4, BPF_ANY);
	call(f, BPF_FUNC_map_update_elem);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0);
	ret(f, 1);
	if (m->expires) {
		address(f, 1, OBJ_REL_MAP, p->map, 0);
		mov(f, 2, 7);
		call(f, BPF_FUNC_map_lookup_elem);
		put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 8, 0);
		put_expiry(f);
	}
	ret(f, 0);
	return f->o->fns.n - 1;
}

/* Where it goes wrong: return 1. */
static void unless_zero(struct fill *f, uint8_t reg)
{
	put(f, BPF_JMP | BPF_JEQ | BPF_K, reg, 0, 2, 0);
	ret(f, 1);
}

static void by_loop(struct fill *f, const struct part *p, uint32_t fn)
{
	movi(f, 1, (int32_t)p->n + 1);
	address(f, 2, OBJ_REL_FN, fn, 0);
	movi(f, 3, 0);
	movi(f, 4, 0);
	call(f, BPF_FUNC_loop);
	put(f, BPF_ALU64 | BPF_SUB | BPF_K, 0, 0, 0, (int32_t)p->n + 1);
	unless_zero(f, 0);
}

static void in_place(struct fill *f, const struct part *p)
{
	const struct obj_map *m = f->o->maps.v[p->map];

	for (uint32_t i = p->first; i < p->first + p->n; i++) {
		address(f, 1, OBJ_REL_MAP, p->map, 0);
		address(f, 2, OBJ_REL_ELEMS, 0, m->keys_at + i * m->key_size);
		address(f, 3, OBJ_REL_ELEMS, 0, m->values_at + i * m->value_step);
		movi(f, 4, BPF_ANY);
		call(f, BPF_FUNC_map_update_elem);
		unless_zero(f, 0);
	}
}

/* -- the program ------------------------------------------------------------------------------- */

/*
 * From how many elements on a loop is used; 0: so many maps have so many that one program cannot
 * fill them.
 */
static uint32_t loop_from(const struct fill *f)
{
	for (uint32_t from = 4; from < 65536; from *= 2) {
		uint64_t loops = 0, others = 0;

		vec_foreach(&f->parts, p) {
			if (p->n >= from || f->o->maps.v[p->map]->expires)
				loops++;
			else
				others += p->n;
		}
		if (others * IN_PLACE_LEN > INSNS_MAX)
			return 0;
		if (loops <= CALLBACKS_MAX)
			return from;
	}
	return 0;
}

static void program(struct fill *f, uint32_t from)
{
	uint32_t *fn = arena_array(f->o->arena, uint32_t, f->parts.n);

	for (uint32_t i = 0; i < f->parts.n; i++) {
		const struct part *p = &f->parts.v[i];

		if (p->n >= from || f->o->maps.v[p->map]->expires)
			fn[i] = callback(f, p);
	}
	fn_new(f, OBJ_FILL_NAME)->is_fill = true;
	address(f, 6, OBJ_REL_WORDS, 0, OBJ_FILLED);
	put(f, BPF_LDX | BPF_MEM | BPF_W, 1, 6, 0, 0);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 2, 0);
	ret(f, 0); /* a second run would undo changes */
	for (uint32_t i = 0; i < f->parts.n; i++)
		if (fn[i])
			by_loop(f, &f->parts.v[i], fn[i]);
		else
			in_place(f, &f->parts.v[i]);
	put(f, BPF_ST | BPF_MEM | BPF_W, 6, 0, 0, 1);
	address(f, 6, OBJ_REL_WORDS, 0, OBJ_FORCE);
	put(f, BPF_LDX | BPF_MEM | BPF_W, 1, 6, 0, 0);
	put(f, BPF_JMP | BPF_JNE | BPF_K, 1, 0, 1, OBJ_FORCE_DROP);
	put(f, BPF_ST | BPF_MEM | BPF_W, 6, 0, 0, OBJ_FORCE_RUN);
	ret(f, 0);
}

static void add_parts(struct fill *f, uint32_t map)
{
	uint32_t n = f->o->maps.v[map]->elems.n;

	for (uint32_t at = 0; at < n; at += LOOP_MAX)
		*vec_push(f->o->arena, &f->parts) = (struct part){ map, at, MIN(n - at, LOOP_MAX) };
}

void obj_fill(struct obj_file *o)
{
	struct fill f = { .o = o };
	uint32_t from;

	sb_init_room(&o->elems, o->arena, room_for(o));
	o->has_words = true;
	o->words[OBJ_FORCE] = OBJ_FORCE_RUN;
	for (uint32_t i = 0; i < o->maps.n; i++) {
		struct obj_map *m = o->maps.v[i];

		if (!m->elems.n)
			continue;
		lay_out(o, m);
		add_parts(&f, i);
		if (!m->counters)
			o->words[OBJ_FORCE] = OBJ_FORCE_DROP;
	}
	from = f.parts.n && o->elems.n <= ELEMS_MAX ? loop_from(&f) : 0;
	if (from)
		program(&f, from);
}
