// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_ir: IR text to instructions. */
#include "whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz z;
	const char *text;
	struct ir_mod *m;

	fuzz_begin(&z);
	text = arena_strndup(z.arena, (const char *)data, size);
	m = ir_parse(z.arena, &z.diag, "fuzz.ir", text, size);
	if (m && !z.diag.errors && !ir_verify(m))
		fuzz_module(m, fuzz_how(data, size));
	fuzz_end(&z);
	return 0;
}
