// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_text: rulesets as text, through the whole compiler. Includes are left out: they would read
 * what lies about.
 */
#include "whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz z;
	const char *text;

	if (memmem(data, size, "include", 7))
		return 0;
	fuzz_begin(&z);
	text = arena_strndup(z.arena, (const char *)data, size);
	fuzz_ruleset(&z, frontend_read_buffer(z.arena, &z.diag, "fuzz.nft", text, size),
		     fuzz_how(data, size));
	fuzz_end(&z);
	return 0;
}
