// SPDX-License-Identifier: GPL-2.0-or-later
/* fuzz_text: libFuzzer feeds rulesets as text to the parser. Includes are left out: they would read what lies about. */
#include "ast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a;
	struct diag d;
	struct ast_script *s;
	char *text;
	FILE *null;

	if (memmem(data, size, "include", 7))
		return 0;
	a = arena_new();
	diag_init(&d, a);
	text = arena_strndup(a, (const char *)data, size);
	s = ast_parse_text(a, &d, "fuzz.nft", text, size, NULL);
	null = fopen("/dev/null", "w");
	if (null) {
		diag_flush(&d, null);
		if (s)
			ast_print(s, null);
		fclose(null);
	}
	arena_free(a);
	return 0;
}
