// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * objtool: writes the objects of make.c to files, for a look by hand: objtool plain|runtime FILE.
 */
#include "make.h"

int main(int argc, char **argv)
{
	struct make *m;
	int err;

	if (argc != 3)
		return 2;
	m = make_new();
	make_everything(m, !strcmp(argv[1], "runtime"));
	err = obj_write(&m->o, argv[2]);
	diag_flush(&m->diag, stderr);
	make_free(m);
	return err ? 1 : 0;
}
