// SPDX-License-Identifier: GPL-2.0-or-later
/* nft2bpfctl dump: the running ruleset as a raw nlmsg stream. */
#include <errno.h>
#include <unistd.h>

#include "ctl.h"
#include "frontend.h"

int cmd_dump(struct ctl *c, int argc, char **argv)
{
	const char *path = NULL;
	struct diag d;
	size_t len;
	void *buf;
	FILE *f;
	bool good;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "-o") && i + 1 < argc)
			path = argv[++i];
		else
			return ctl_error("usage: nft2bpfctl dump [-o FILE]");
	}
	if (!path && isatty(STDOUT_FILENO))
		return ctl_error("dump: a netlink stream is binary: name a file with -o");
	diag_init(&d, c->arena);
	buf = frontend_fetch_live(c->arena, &d, &len);
	if (!buf) {
		diag_flush(&d, stderr);
		return 1;
	}
	f = path ? fopen(path, "wb") : stdout;
	if (!f)
		return ctl_error("%s: %s", path, strerror(errno));
	good = fwrite(buf, 1, len, f) == len;
	if ((path ? fclose(f) : fflush(f)) || !good)
		return ctl_error("%s: %s", path ? path : "standard output", strerror(errno));
	return 0;
}
