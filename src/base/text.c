// SPDX-License-Identifier: GPL-2.0-or-later
/* Text that comes from elsewhere. */
#include <sys/stat.h>

#include "base.h"

/* Bytes of the UTF-8 sequence at s, 0: it is none. */
static size_t sequence(const uint8_t *s, size_t n)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return len;
}

bool text_is_utf8(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	for (size_t i = 0, len; i < n; i += len) {
		len = p[i] < 0x80 ? 1 : sequence(p + i, n - i);
		if (!len)
			return false;
	}
	return true;
}

bool text_is_clean(const char *s, size_t n)
{
	const uint8_t *p = (const uint8_t *)s;

	for (size_t i = 0, len; i < n; i += len) {
		len = sequence(p + i, n - i);
		if (!len || (p[i] < 0x20 && p[i] != '\n' && p[i] != '\t') || p[i] == 0x7f)
			return false;
	}
	return true;
}

/* How much a stream probably holds from here on: a file says it. */
static size_t size_hint(FILE *f)
{
	struct stat st;

	if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) || st.st_size < 0)
		return 1 << 16;
	return (size_t)st.st_size + 1; /* and one more, to see the end */
}

char *arena_read(struct arena *a, FILE *f, size_t *len)
{
	size_t cap = size_hint(f), n = 0, got;
	char *buf = arena_alloc(a, cap + 1), *more;

	while ((got = fread(buf + n, 1, cap - n, f)) > 0) {
		n += got;
		if (n < cap)
			continue;
		more = arena_alloc(a, cap * 2 + 1);
		memcpy(more, buf, n);
		buf = more;
		cap *= 2;
	}
	if (ferror(f))
		return NULL;
	buf[n] = 0;
	*len = n;
	return buf;
}
