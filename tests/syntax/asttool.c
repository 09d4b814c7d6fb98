// SPDX-License-Identifier: GPL-2.0-or-later
/* asttool [-D name=value]... [-I dir]... FILE: prints the syntax tree, or the errors. */
#include <stdlib.h>
#include <unistd.h>

#include "ast.h"

int main(int argc, char **argv)
{
	const char *defines[16], *dirs[16];
	struct parse_opts o = { .defines = defines, .dirs = dirs };
	struct arena *a = arena_new();
	struct ast_script *s;
	struct diag d;
	int opt;

	while ((opt = getopt(argc, argv, "D:I:")) != -1) {
		if (opt == 'D' && o.n_defines < ARRAY_SIZE(defines))
			defines[o.n_defines++] = optarg;
		else if (opt == 'I' && o.n_dirs < ARRAY_SIZE(dirs))
			dirs[o.n_dirs++] = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc)
		return 2;
	diag_init(&d, a);
	s = ast_parse(a, a, &d, argv[optind], &o);
	if (s)
		ast_print(s, stdout);
	diag_flush(&d, stdout);
	arena_free(a);
	return s ? 0 : 1;
}
