/* SPDX-License-Identifier: GPL-2.0-or-later */
/* driver: what the stages of nft2bpf share: the options and the run. */
#ifndef N2B_DRIVER_H
#define N2B_DRIVER_H

#include "codegen.h"
#include "fallback.h"
#include "frontend.h"
#include "ir.h"

enum emit_stage { EMIT_NONE, EMIT_AST, EMIT_EXPRS, EMIT_IR, EMIT_ASM, EMIT_FALLBACK };

struct options {
	const char *file;	       /* the input; "-": standard input; NULL: --live or --ir */
	const char *object, *fallback; /* the outputs; never NULL */
	const char *report, *ir;
	VEC(const char *) defines, dirs; /* -D, -I */
	bool netlink, live, strict, explain, color;
	enum emit_stage emit;
	enum opt_level level;
	struct fb_options fb;
};

struct run {
	const struct options *o;
	struct arena *arena;
	struct diag diag;
	struct ruleset *rs;
	struct plan *plan; /* NULL with --ir */
	struct ir_mod *ir;
	struct obj_file *obj;
};

#define STAGE_DONE (-1) /* what was asked for is printed */

int stage_read(struct run *r);
int stage_split(struct run *r);
int stage_build(struct run *r);
int stage_optimise(struct run *r);
int stage_generate(struct run *r);
int stage_report(struct run *r);
int stage_write(struct run *r);

/* The IR of the whole ruleset, into r->ir; r->plan may be another one then. */
int generate_ir(struct run *r);
/* The manifest of the object, as JSON (manifest.h). */
const char *driver_manifest(struct run *r, size_t *len);

#endif
