// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cgtool: reads IR text, prints the instructions made of it or writes the object. The suite of
 * tests/vm drives it.
 */
#include <stdlib.h>

#include "codegen.h"

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
	struct obj_file *o = NULL;
	struct ir_mod *m;
	struct diag d;
	size_t len;
	const char *out = NULL;
	char *text;

	diag_init(&d, a);
	for (; argc > 2 && !strcmp(argv[1], "-d"); argc -= 2, argv += 2)
		for (char *c = argv[2]; *c; c++)
			debug_letter[(unsigned char)*c & 127] = true;
	if (argc > 2 && !strcmp(argv[1], "-o")) {
		out = argv[2];
		argc -= 2, argv += 2;
	}
	if (argc != 2) {
		fprintf(stderr, "usage: cgtool [-d LETTERS] [-o OBJECT] FILE\n");
		return 1;
	}
	text = read_all(a, argv[1], &len);
	m = ir_parse(a, &d, argv[1], text, len);
	if (m)
		o = cg_module(m);
	diag_flush(&d, stderr);
	if (!o)
		return 1;
	if (!out)
		cg_print(o, stdout);
	else if (obj_write(o, out))
		return diag_flush(&d, stderr), 1;
	arena_free(a);
	return 0;
}
