// SPDX-License-Identifier: GPL-2.0-or-later
/* The pass runner: the order of pass.def, what passes need and keep, dumps, checks. */
#include <stdlib.h>

#include "ir/pass.h"

enum { HAVE_CFG = 1, HAVE_DOM = 3, HAVE_FLOAT = 7 };

const struct opt_pass opt_passes[] = {
#define P(name, letter, levels, needs, keeps, what)                                                \
	{ #name, letter, levels, needs, keeps, what, opt_##name },
#include "pass.def"
#undef P
};
const uint32_t opt_n_passes = ARRAY_SIZE(opt_passes);

static void check_fn(struct ir_fn *fn, const struct opt_pass *p)
{
	const char *words;

	ir_cfg(fn);
	words = ir_verify_fn(fn);
	if (!words)
		return;
	fprintf(stderr, "> after %s:\n", p->name);
	ir_print_fn(fn, stderr);
	BUG("pass %s: %s", p->name, words);
}

/* The order that a pass kept must be the one that ir_cfg() gives. */
static void check_kept(struct ir_fn *fn, const struct opt_pass *p)
{
	uint32_t n = fn->blocks.n;
	struct ir_block **was = malloc(n * sizeof(*was));

	BUG_ON(!was);
	memcpy(was, fn->blocks.v, n * sizeof(*was));
	ir_cfg_changed(fn);
	ir_cfg(fn);
	if (n != fn->blocks.n || memcmp(was, fn->blocks.v, n * sizeof(*was)))
		BUG("pass %s does not keep the order of blocks that it says it keeps", p->name);
	free(was);
}

static void run_on_fn(struct ir_fn *fn, const struct opt_pass *p, bool check)
{
	if (p->needs & HAVE_CFG)
		ir_cfg(fn);
	if ((p->needs & HAVE_DOM) == HAVE_DOM)
		ir_dominators(fn);
	p->run(fn);
	ir_sweep(fn);
	if (check && p->keeps & HAVE_CFG)
		check_kept(fn, p);
	if (check)
		check_fn(fn, p);
	if (debug_letter[(unsigned char)p->letter]) {
		fprintf(stderr, "# after %s: %s\n", p->name, p->what);
		ir_cfg(fn);
		ir_print_fn(fn, stderr);
	}
}

void opt_run_pass(struct ir_mod *m, const struct opt_pass *p, bool check)
{
	vec_foreach(&m->fns, fn)
		run_on_fn(*fn, p, check);
}

void opt_run_fn(struct ir_fn *fn, enum opt_level level, bool check)
{
	uint8_t have = 0;

	for (uint32_t i = 0; i < opt_n_passes; i++) {
		const struct opt_pass *p = &opt_passes[i];

		if (!(p->levels & 1 << level))
			continue;
		/*
		 * A row that needs floating operations stands behind hoist, or behind one that
		 * keeps them.
		 */
		if ((p->needs & 4) && !(have & 4)) {
			ir_cfg(fn);
			ir_dominators(fn);
			opt_hoist(fn);
		}
		run_on_fn(fn, p, check);
		have = p->keeps;
	}
	ir_cfg(fn);
}

void opt_run(struct ir_mod *m, enum opt_level level, bool check)
{
	vec_foreach(&m->fns, fn)
		opt_run_fn(*fn, level, check);
}
