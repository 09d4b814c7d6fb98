// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * buildtool: reads a netlink dump, builds IR for all its filter chains by the plainest plan,
 * verifies and prints it. With -w it prints what was not lowered instead, one line for each rule;
 * with -s it takes named sets for constant; with -p the plan is the splitter's, and its acts are
 * printed first.
 */
#include <stdlib.h>

#include "fallback.h"
#include "frontend.h"
#include "plain.h"

static bool want_why;

static void print_why(const struct rule *r, const struct expr *e, const char *words)
{
	if (want_why)
		printf("%s: %s\n", expr_kind_name(e->kind), words);
}

static char *read_all(struct arena *a, const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	struct sbuf b;
	char buf[65536];
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	sb_init(&b, a);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		sb_add(&b, buf, n);
	fclose(f);
	*len = b.n;
	return b.s;
}

static void print_acts(const struct plan *plan)
{
	static const char *const words[] = { "never", "lower", "punt" };

	vec_foreach(&plan->progs, p) {
		printf("# %s: %s pf %u\n", (*p)->name, (*p)->base->name, (*p)->pf);
		vec_foreach(&(*p)->base->table->chains, c)
			vec_foreach(&(*c)->rules, r) {
				struct rule_act act = plan_act(*p, *r);

				printf("#   %s/%u %s %u\n", (*c)->name, (*r)->index, words[act.act],
				       act.n_match);
			}
	}
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct fb_options fo = { .partial = FB_PARTIAL_ALWAYS };
	struct build_opts o = { 0 };
	struct plan *plan;
	struct ruleset *rs;
	const char *path = NULL, *fault;
	struct ir_mod *m;
	struct diag d;
	size_t len;
	char *buf;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-w"))
			want_why = true;
		else if (!strcmp(argv[i], "-s"))
			o.static_sets = true;
		else if (!strcmp(argv[i], "-p"))
			fo.can_lower = build_can_lower;
		else
			path = argv[i];
	}
	if (!path) {
		fprintf(stderr, "usage: buildtool [-w] [-s] [-p] DUMP\n");
		return 1;
	}
	diag_init(&d, a);
	buf = read_all(a, path, &len);
	if (strlen(path) > 4 && !strcmp(path + strlen(path) - 4, ".nft"))
		rs = frontend_read_text(a, &d, path, &(struct parse_opts){ 0 });
	else
		rs = frontend_read_netlink(a, &d, path, buf, len);
	diag_flush(&d, stderr);
	if (!rs)
		return 1;
	fo.static_sets = o.static_sets;
	plan = fo.can_lower ? fb_plan(rs, &fo) : plain_plan(rs, print_why);
	if (fo.can_lower)
		print_acts(plan);
	m = build_module(a, &d, plan, &o);
	diag_flush(&d, stderr);
	if (!m)
		return 1;
	fault = ir_verify(m);
	if (fault) {
		fprintf(stderr, "%s: %s\n", path, fault);
		return 2;
	}
	if (!want_why)
		ir_print(m, stdout);
	arena_free(a);
	return 0;
}
