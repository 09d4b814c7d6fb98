// SPDX-License-Identifier: GPL-2.0-or-later
/* nft2bpf: options, the list of stages, exit codes. */
#include "ruleset.h"

int main(int argc, char **argv)
{
	fprintf(stderr, "nft2bpf: no stage yet\n");
	return 1;
}
