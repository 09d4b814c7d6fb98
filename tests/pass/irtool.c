// SPDX-License-Identifier: GPL-2.0-or-later
/* irtool: reads IR text, runs the passes named on the command line, prints the IR. The suite of tests/pass drives it. */
#include <stdlib.h>

#include "ir.h"

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
	ir_print(m, stdout);
	arena_free(a);
	return 0;
}
