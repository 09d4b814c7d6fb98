/* SPDX-License-Identifier: GPL-2.0-or-later */
/* make: hand-made objects for the tests of the object writer. */
#ifndef N2B_TEST_OBJ_MAKE_H
#define N2B_TEST_OBJ_MAKE_H

#include "ir.h"
#include "obj.h"

#define INSN(c, d, s, o, i)                                                                        \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV(d, s)	 INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVI(d, i)	 INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ALUI(op, d, i)	 INSN(BPF_ALU64 | (op) | BPF_K, d, 0, 0, i)
#define LDX(sz, d, s, o) INSN(BPF_LDX | BPF_MEM | (sz), d, s, o, 0)
#define STX(sz, d, s, o) INSN(BPF_STX | BPF_MEM | (sz), d, s, o, 0)
#define ST(sz, d, o, i)	 INSN(BPF_ST | BPF_MEM | (sz), d, 0, o, i)
#define JI(op, d, i, o)	 INSN(BPF_JMP | (op) | BPF_K, d, 0, o, i)
#define CALL(i)		 INSN(BPF_JMP | BPF_CALL, 0, 0, 0, i)
#define EXIT()		 INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

struct make {
	struct arena *a;
	struct diag diag;
	struct obj_file o;
	struct obj_fn *fn; /* the one that grows */
};

struct make *make_new(void);
void make_free(struct make *m);
struct obj_fn *make_fn(struct make *m, const char *name, bool prog, bool global);
void make_insn(struct make *m, struct bpf_insn i);
/* An instruction with a relocation. */
void make_rel(struct make *m, struct bpf_insn i, enum obj_rel_kind kind, uint32_t id,
	      int32_t addend, const char *name, const char *name2);
void make_ld64(struct make *m, uint32_t reg, enum obj_rel_kind kind, uint32_t id, int32_t addend,
	       const char *name);
void make_line(struct make *m, const char *text, uint32_t line, uint32_t col);
uint32_t make_map(struct make *m, const char *name, uint32_t type, uint32_t key, uint32_t value,
		  uint32_t n, bool lock);
uint32_t make_rodata(struct make *m, const char *name, const void *bytes, uint32_t len);
/* r0: a window of type `window` on the number in r1. */
void make_cast(struct make *m, const char *window);

/* An object with every kind of relocation; those on the runtime on demand. */
void make_everything(struct make *m, bool runtime);

#endif
