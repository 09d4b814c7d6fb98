// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_netlink: rulesets as netlink messages, through the whole compiler. */
#include "whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz z;
	void *buf;

	fuzz_begin(&z);
	buf = arena_dup(z.arena, data, size);
	fuzz_ruleset(&z, frontend_read_netlink(z.arena, &z.diag, "fuzz.nl", buf, size),
		     fuzz_how(data, size));
	fuzz_end(&z);
	return 0;
}
