// SPDX-License-Identifier: GPL-2.0-or-later
/* make: hand-made objects for the tests of the object writer. */
#include "make.h"

#include <stdlib.h>

struct make *make_new(void)
{
	struct arena *a = arena_new();
	struct make *m = arena_new_of(a, struct make);

	m->a = a;
	diag_init(&m->diag, a);
	m->o.arena = a;
	m->o.diag = &m->diag;
	m->o.manifest = "{\"version\": 1}";
	m->o.manifest_len = strlen(m->o.manifest);
	*vec_push(a, &m->o.meta) = (struct obj_meta){ "ruleset", "a test" };
	return m;
}

void make_free(struct make *m)
{
	arena_free(m->a);
}

struct obj_fn *make_fn(struct make *m, const char *name, bool prog, bool global)
{
	m->fn = arena_new_of(m->a, struct obj_fn);
	m->fn->name = name;
	m->fn->is_prog = prog;
	m->fn->is_global = global;
	*vec_push(m->a, &m->o.fns) = m->fn;
	return m->fn;
}

void make_insn(struct make *m, struct bpf_insn i)
{
	*vec_push(m->a, &m->fn->insns) = i;
}

void make_rel(struct make *m, struct bpf_insn i, enum obj_rel_kind kind, uint32_t id,
	      int32_t addend, const char *name, const char *name2)
{
	*vec_push(m->a, &m->fn->relocs) = (struct obj_reloc){ m->fn->insns.n, kind, id,
							      addend,	      name, name2 };
	make_insn(m, i);
}

void make_ld64(struct make *m, uint32_t reg, enum obj_rel_kind kind, uint32_t id, int32_t addend,
	       const char *name)
{
	make_rel(m, INSN(BPF_LD | BPF_IMM | BPF_DW, reg, 0, 0, 0), kind, id, addend, name, NULL);
	make_insn(m, INSN(0, 0, 0, 0, 0));
}

void make_line(struct make *m, const char *text, uint32_t line, uint32_t col)
{
	*vec_push(m->a, &m->fn->lines) = (struct obj_line){ m->fn->insns.n, "fw.nft", text,
							    NULL,	    line,     col };
}

uint32_t make_map(struct make *m, const char *name, uint32_t type, uint32_t key, uint32_t value,
		  uint32_t n, bool lock)
{
	struct obj_map *map = arena_new_of(m->a, struct obj_map);

	*map = (struct obj_map){ .name = name,
				 .type = type,
				 .key_size = key,
				 .value_size = value,
				 .max_entries = n,
				 .has_spin_lock = lock };
	if (type == BPF_MAP_TYPE_LPM_TRIE)
		map->flags = BPF_F_NO_PREALLOC;
	*vec_push(m->a, &m->o.maps) = map;
	return m->o.maps.n - 1;
}

uint32_t make_rodata(struct make *m, const char *name, const void *bytes, uint32_t len)
{
	*vec_push(m->a, &m->o.rodata) = (struct obj_rodata){ name, bytes, len, 8 };
	return m->o.rodata.n - 1;
}

void make_cast(struct make *m, const char *window)
{
	make_rel(m, MOVI(2, 0), OBJ_REL_CORE_TYPE, 0, 0, window, NULL);
	make_rel(m, CALL(0), OBJ_REL_KFUNC, 0, 0, "bpf_rdonly_cast", NULL);
}

static uint32_t bpf_size(uint32_t bytes)
{
	return bytes >= 8 ? BPF_DW : bytes == 4 ? BPF_W : bytes == 2 ? BPF_H : BPF_B;
}

/* Loads field f in the way of its base. r6: ctx, r7: skb. */
static void load_field(struct make *m, uint32_t f)
{
	const struct ir_field_info *i = &ir_field_info[f];
	uint32_t base = 7;

	if (i->base == FB_CTX)
		return;
	if (i->base == FB_RAW) { /* of no conntrack: reads near address 0, which gives 0 */
		make_insn(m, MOVI(1, 0));
		make_rel(m, ALUI(BPF_ADD, 1, 0), OBJ_REL_CORE_FIELD, f, 0, NULL, NULL);
		make_cast(m, "in6_addr");
		make_insn(m, LDX(bpf_size(i->size), 3, 0, 0));
		return;
	}
	if (!strcmp(i->st, "nf_hook_state") || !strcmp(i->st, "net_device")) {
		make_insn(m, LDX(BPF_DW, base = 4, 6, 0));
		if (!strcmp(i->st, "net_device"))
			make_rel(m, LDX(BPF_DW, 4, 4, 0), OBJ_REL_CORE_FIELD, FLD_state_out, 0,
				 NULL, NULL);
	} else if (strcmp(i->st, "sk_buff")) {
		return; /* behind pointers that not every field list reaches */
	}
	make_rel(m, LDX(bpf_size(i->size), 3, base, 0), OBJ_REL_CORE_FIELD, f,
		 i->size == 16 ? 8 : 0, NULL, NULL);
	if (i->base == FB_BITS) {
		make_rel(m, ALUI(BPF_LSH, 3, 0), OBJ_REL_CORE_BITS, f, BPF_CORE_FIELD_LSHIFT_U64,
			 NULL, NULL);
		make_rel(m, ALUI(BPF_RSH, 3, 0), OBJ_REL_CORE_BITS, f, BPF_CORE_FIELD_RSHIFT_U64,
			 NULL, NULL);
	}
}

static void prog_fields(struct make *m)
{
	make_fn(m, "fields", true, false);
	make_line(m, "meta mark 1 ct state new accept", 3, 17);
	make_insn(m, MOV(6, 1));
	make_insn(m, LDX(BPF_DW, 7, 6, 8));
	for (uint32_t f = 0; f < FLD_COUNT; f++)
		load_field(m, f);
	make_insn(m, MOVI(0, 1));
	make_insn(m, EXIT());
}

/*
 * Accepts IPv4 packets whose protocol has a nonzero byte in the table; counts in a per-CPU array.
 */
static void prog_data(struct make *m, uint32_t table, uint32_t counters)
{
	make_fn(m, "data", true, false);
	make_line(m, "table of protocols", 5, 1);
	make_insn(m, LDX(BPF_DW, 7, 1, 8));
	make_rel(m, LDX(BPF_DW, 1, 7, 0), OBJ_REL_CORE_FIELD, FLD_skb_data, 0, NULL, NULL);
	make_cast(m, "ida_bitmap");
	make_insn(m, LDX(BPF_B, 8, 0, 9));
	make_ld64(m, 1, OBJ_REL_RODATA, table, 0, NULL);
	make_insn(m, INSN(BPF_ALU64 | BPF_ADD | BPF_X, 1, 8, 0, 0));
	make_insn(m, LDX(BPF_B, 9, 1, 0));
	make_line(m, "counter", 6, 2);
	make_insn(m, ST(BPF_W, 10, -4, 0));
	make_insn(m, MOV(2, 10));
	make_insn(m, ALUI(BPF_ADD, 2, -4));
	make_ld64(m, 1, OBJ_REL_MAP, counters, 0, NULL);
	make_insn(m, CALL(BPF_FUNC_map_lookup_elem));
	make_insn(m, JI(BPF_JEQ, 0, 0, 3));
	make_insn(m, LDX(BPF_DW, 1, 0, 0));
	make_insn(m, ALUI(BPF_ADD, 1, 1));
	make_insn(m, STX(BPF_DW, 0, 1, 0));
	make_insn(m, MOVI(0, 0));
	make_insn(m, JI(BPF_JEQ, 9, 0, 1));
	make_insn(m, MOVI(0, 1));
	make_insn(m, EXIT());
}

/*
 * A lock, a kernel configuration value, an enumerator; calls of a static and a global function.
 * Accepts if all are right.
 */
static void prog_calls(struct make *m, uint32_t locked, uint32_t fn_static, uint32_t fn_global)
{
	make_fn(m, "calls", true, false);
	make_insn(m, MOV(6, 1));
	make_insn(m, ST(BPF_W, 10, -4, 0));
	make_insn(m, MOV(2, 10));
	make_insn(m, ALUI(BPF_ADD, 2, -4));
	make_ld64(m, 1, OBJ_REL_MAP, locked, 0, NULL);
	make_insn(m, CALL(BPF_FUNC_map_lookup_elem));
	make_insn(m, JI(BPF_JEQ, 0, 0, 6));
	make_insn(m, MOV(7, 0));
	make_insn(m, MOV(1, 7));
	make_insn(m, CALL(BPF_FUNC_spin_lock));
	make_insn(m, ST(BPF_DW, 7, 8, 5));
	make_insn(m, MOV(1, 7));
	make_insn(m, CALL(BPF_FUNC_spin_unlock));
	make_ld64(m, 1, OBJ_REL_KCONFIG, 0, OBJ_REL_WEAK, "CONFIG_HZ");
	make_insn(m, LDX(BPF_W, 8, 1, 0));
	make_rel(m, MOVI(9, 0), OBJ_REL_CORE_ENUM, 0, 0, "ip_conntrack_status", "IPS_CONFIRMED");
	make_insn(m, MOV(1, 6));
	make_rel(m, CALL(0), OBJ_REL_CALL, fn_static, 0, NULL, NULL);
	make_insn(m, MOV(7, 0));
	make_insn(m, MOV(1, 6));
	make_rel(m, CALL(0), OBJ_REL_CALL, fn_global, 0, NULL, NULL);
	make_insn(m, INSN(BPF_ALU64 | BPF_OR | BPF_X, 0, 7, 0, 0));
	make_insn(m, JI(BPF_JEQ, 9, 8, 2)); /* IPS_CONFIRMED is bit 3 */
	make_insn(m, MOVI(0, 0));
	make_insn(m, EXIT());
	make_insn(m, ALUI(BPF_AND, 0, 1));
	make_insn(m, EXIT());
}

/* By the runtime: the first byte of the packet is 0x45, and byte 16 is read by the 16-byte form. */
static void prog_pull(struct make *m)
{
	make_fn(m, "pull", true, false);
	make_insn(m, MOV(6, 1));
	make_insn(m, MOVI(2, 0));
	make_insn(m, MOVI(3, 64));
	make_insn(m, MOV(4, 10));
	make_insn(m, ALUI(BPF_ADD, 4, -64));
	make_rel(m, CALL(0), OBJ_REL_RT, 0, 0, "n2b_pull", NULL);
	make_insn(m, MOV(1, 0));
	make_cast(m, "ida_bitmap");
	make_insn(m, LDX(BPF_B, 7, 0, 0));
	make_insn(m, MOV(1, 6));
	make_insn(m, MOVI(2, 16));
	make_insn(m, MOVI(3, 4));
	make_insn(m, MOV(4, 10));
	make_insn(m, ALUI(BPF_ADD, 4, -80));
	make_rel(m, CALL(0), OBJ_REL_RT, 0, 0, "n2b_pull16", NULL);
	make_insn(m, MOV(1, 0));
	make_cast(m, "in_addr");
	make_insn(m, LDX(BPF_B, 8, 0, 0));
	make_insn(m, MOVI(0, 0));
	make_insn(m, JI(BPF_JNE, 7, 0x45, 2));
	make_insn(m, JI(BPF_JNE, 8, 10, 1));
	make_insn(m, MOVI(0, 1));
	make_insn(m, EXIT());
}

/*
 * Bytes 200 to 215 of TCP packets that have so many and are not linear: in map `deep_counts`, key 0
 * counts those that are all 'A', key 1 the others.
 */
static void prog_deep(struct make *m, uint32_t deep)
{
	make_fn(m, "deep", true, false);
	make_insn(m, MOV(6, 1));
	make_insn(m, LDX(BPF_DW, 7, 6, 8));
	make_rel(m, LDX(BPF_W, 8, 7, 0), OBJ_REL_CORE_FIELD, FLD_skb_len, 0, NULL, NULL);
	make_rel(m, LDX(BPF_W, 9, 7, 0), OBJ_REL_CORE_FIELD, FLD_skb_data_len, 0, NULL, NULL);
	make_insn(m, JI(BPF_JEQ, 9, 0, 24));
	make_insn(m, JI(BPF_JLT, 8, 216, 23));
	make_insn(m, MOVI(2, 200));
	make_insn(m, MOVI(3, 16));
	make_insn(m, MOV(4, 10));
	make_insn(m, ALUI(BPF_ADD, 4, -16));
	make_rel(m, CALL(0), OBJ_REL_RT, 0, 0, "n2b_pull16", NULL);
	make_insn(m, MOV(1, 0));
	make_cast(m, "in6_addr");
	make_insn(m, LDX(BPF_DW, 8, 0, 8));
	make_insn(m, MOVI(9, 0));
	make_insn(m, INSN(BPF_LD | BPF_IMM | BPF_DW, 1, 0, 0, 0x41414141));
	make_insn(m, INSN(0, 0, 0, 0, 0x41414141));
	make_insn(m, INSN(BPF_JMP | BPF_JEQ | BPF_X, 8, 1, 1, 0));
	make_insn(m, MOVI(9, 1));
	make_insn(m, STX(BPF_W, 10, 9, -4));
	make_insn(m, MOV(2, 10));
	make_insn(m, ALUI(BPF_ADD, 2, -4));
	make_ld64(m, 1, OBJ_REL_MAP, deep, 0, NULL);
	make_insn(m, CALL(BPF_FUNC_map_lookup_elem));
	make_insn(m, JI(BPF_JEQ, 0, 0, 2));
	make_insn(m, MOVI(1, 1));
	make_insn(m, INSN(BPF_STX | BPF_ATOMIC | BPF_DW, 0, 1, 0, BPF_ADD));
	make_insn(m, MOVI(0, 1));
	make_insn(m, EXIT());
}

/* What fn(ctx, a, b) yields, for test_run: in map `out`, key 0. */
static void prog_result(struct make *m, const char *name, const char *fn, uint32_t out, int32_t a,
			int32_t b)
{
	make_fn(m, name, true, false);
	make_insn(m, MOVI(2, a));
	make_insn(m, MOVI(3, b));
	make_rel(m, CALL(0), OBJ_REL_RT, 0, 0, fn, NULL);
	make_insn(m, MOV(6, 0));
	make_insn(m, ST(BPF_W, 10, -4, 0));
	make_insn(m, MOV(2, 10));
	make_insn(m, ALUI(BPF_ADD, 2, -4));
	make_ld64(m, 1, OBJ_REL_MAP, out, 0, NULL);
	make_insn(m, CALL(BPF_FUNC_map_lookup_elem));
	make_insn(m, JI(BPF_JEQ, 0, 0, 1));
	make_insn(m, STX(BPF_DW, 0, 6, 0));
	make_insn(m, MOVI(0, 1));
	make_insn(m, EXIT());
}

/*
 * One call of n2b_limit, n2b_quota, n2b_numgen, n2b_last on the state at `key` in map `states`;
 * result: the call's.
 */
static void prog_state(struct make *m, const char *name, const char *fn, uint32_t states,
		       uint32_t key, int64_t a, int64_t b)
{
	make_fn(m, name, true, false);
	make_insn(m, MOV(6, 1));
	make_insn(m, ST(BPF_W, 10, -4, (int32_t)key));
	make_insn(m, MOV(2, 10));
	make_insn(m, ALUI(BPF_ADD, 2, -4));
	make_ld64(m, 1, OBJ_REL_MAP, states, 0, NULL);
	make_insn(m, CALL(BPF_FUNC_map_lookup_elem));
	make_insn(m, JI(BPF_JEQ, 0, 0, 8));
	make_insn(m, MOV(1, 6));
	make_insn(m, MOV(2, 0));
	make_insn(m, INSN(BPF_LD | BPF_IMM | BPF_DW, 3, 0, 0, (int32_t)a));
	make_insn(m, INSN(0, 0, 0, 0, (int32_t)(a >> 32)));
	make_insn(m, INSN(BPF_LD | BPF_IMM | BPF_DW, 4, 0, 0, (int32_t)b));
	make_insn(m, INSN(0, 0, 0, 0, (int32_t)(b >> 32)));
	make_rel(m, CALL(0), OBJ_REL_RT, 0, 0, fn, NULL);
	make_insn(m, ALUI(BPF_AND, 0, 1));
	make_insn(m, EXIT());
}

static uint32_t ret_fn(struct make *m, const char *name, bool global, int value)
{
	make_fn(m, name, false, global);
	make_line(m, "jump from somewhere", 9, 2000);
	make_insn(m, MOVI(0, value));
	make_insn(m, EXIT());
	return m->o.fns.n - 1;
}

void make_everything(struct make *m, bool runtime)
{
	uint8_t *big = arena_alloc(m->a, 1 << 20), *protos = arena_alloc(m->a, 256);
	uint32_t out, s, g, states;

	big[5] = 1;
	protos[6] = protos[17] = 1;
	make_rodata(m, "set inet/filter/big", big, 1 << 20);
	make_rodata(m, "protos", protos, 256);
	make_map(m, "counters", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 16, 8, false);
	make_map(m, "limits", BPF_MAP_TYPE_ARRAY, 4, 24, 4, true);
	make_map(m, "set_a", BPF_MAP_TYPE_HASH, 12, 24, 100, true);
	make_map(m, "set_b", BPF_MAP_TYPE_LPM_TRIE, 8, 8, 100, false);
	out = make_map(m, "out", BPF_MAP_TYPE_ARRAY, 4, 8, 1, false);
	prog_fields(m);
	prog_data(m, 1, 0);
	s = ret_fn(m, "chain_static", false, 0);
	g = ret_fn(m, "chain_global", true, 1);
	prog_calls(m, 1, s, g);
	if (!runtime)
		return;
	prog_pull(m);
	prog_deep(m, make_map(m, "deep_counts", BPF_MAP_TYPE_ARRAY, 4, 8, 2, false));
	prog_result(m, "walk6", "n2b_ip6_walk", out, 0, 0);
	prog_result(m, "find6", "n2b_ip6_find", out, 43, 0); /* a routing header */
	prog_result(m, "mss", "n2b_tcp_opt", out, 20, 2);
	prog_result(m, "chunk", "n2b_sctp_chunk", out, 20, 3);
	states = make_map(m, "states", BPF_MAP_TYPE_ARRAY, 4, 8, 4, false);
	/* 3 tokens, another each hour */
	prog_state(m, "limit", "n2b_limit", states, 0, 3600ll * 1000000000,
		   3 * 3600ll * 1000000000);
	prog_state(m, "quota", "n2b_quota", states, 1, 40, 100);
	prog_state(m, "numgen", "n2b_numgen", states, 2, 3, 0);
	prog_state(m, "last", "n2b_last", states, 3, 0, 0);
}
