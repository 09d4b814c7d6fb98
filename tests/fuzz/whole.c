// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * whole: from a ruleset or a module to instructions, as the compiler does it, with the verifier
 * behind every pass.
 */
#include <netdb.h>

#include "build.h"
#include "codegen.h"
#include "fallback.h"
#include "whole.h"

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **res);

/* No input may ask the network. */
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		       struct addrinfo **res)
{
	return EAI_NONAME;
}

static FILE *null;

void fuzz_begin(struct fuzz *z)
{
	if (!null)
		null = fopen("/dev/null", "w");
	if (!null)
		BUG("/dev/null cannot be written");
	z->arena = arena_new();
	diag_init(&z->diag, z->arena);
}

void fuzz_end(struct fuzz *z)
{
	diag_flush(&z->diag, null);
	arena_free(z->arena);
}

unsigned fuzz_how(const uint8_t *data, size_t size)
{
	unsigned h = (unsigned)size;

	for (size_t i = 0; i < size; i++)
		h = h * 31 + data[i];
	return h >> 3;
}

void fuzz_module(struct ir_mod *m, unsigned how)
{
	static const enum opt_level levels[] = { OPT_O2, OPT_O2, OPT_O1, OPT_O0 };
	struct obj_file *o;

	opt_run(m, levels[how % ARRAY_SIZE(levels)], true);
	ir_print(m, null);
	o = cg_module(m);
	if (o)
		cg_print(o, null);
}

void fuzz_ruleset(struct fuzz *z, struct ruleset *rs, unsigned how)
{
	struct fb_options fb = { .partial = how & 4 ? FB_PARTIAL_AUTO : FB_PARTIAL_ALWAYS,
				 .static_sets = how & 8,
				 .can_lower = build_can_lower };
	struct build_opts bo = { .static_sets = fb.static_sets };
	struct plan *plan;
	struct ir_mod *m;
	const char *fault;

	if (!rs || z->diag.errors)
		return;
	ruleset_print_exprs(rs, null);
	plan = fb_plan(rs, &fb);
	if (!plan)
		return;
	fb_explain(plan, null);
	fb_report_json(plan, null);
	m = build_module(z->arena, &z->diag, plan, &bo);
	if (!m || z->diag.errors)
		return;
	fault = ir_verify(m);
	if (fault)
		BUG("the IR as built is wrong: %s", fault);
	fuzz_module(m, how);
}
