// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * irtool: reads IR text, runs the passes named on the command line, prints the IR. The suite of
 * tests/pass drives it.
 */
#include <stdlib.h>

#include "ir/pass.h"

static char *read_all(struct arena *a, const char *path, size_t *len)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "r") : stdin;
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
	if (f != stdin)
		fclose(f);
	*len = b.n;
	return b.s;
}

static bool check = true;

/* A pass by name, or all of a level: -O1. From -n on, nothing is checked. */
static void run(struct ir_mod *m, const char *name)
{
	if (!strncmp(name, "-O", 2)) {
		opt_run(m, (enum opt_level)atoi(name + 2), check);
		return;
	}
	if (!strncmp(name, "-d", 2)) {
		for (const char *l = name + 2; *l; l++)
			debug_letter[(unsigned char)*l] = true;
		return;
	}
	if (!strcmp(name, "-n")) {
		check = false;
		return;
	}
	for (uint32_t i = 0; i < opt_n_passes; i++) {
		if (strcmp(opt_passes[i].name, name))
			continue;
		opt_run_pass(m, &opt_passes[i], check);
		return;
	}
	fprintf(stderr, "irtool: there is no pass '%s'\n", name);
	exit(1);
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct diag d;
	struct ir_mod *m;
	const char *text;
	size_t len;

	diag_init(&d, a);
	if (argc < 2) {
		fprintf(stderr, "usage: irtool FILE [PASS]...\n");
		return 1;
	}
	text = read_all(a, argv[1], &len);
	m = ir_parse(a, &d, argv[1], text, len);
	diag_flush(&d, stderr);
	if (!m)
		return 1;
	for (int i = 2; i < argc; i++)
		run(m, argv[i]);
	ir_print(m, stdout);
	arena_free(a);
	return 0;
}
