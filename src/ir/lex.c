// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tokens of IR text: words, strings, numbers, bytes, values (%1), blocks (@1). A line ends a
 * statement; # starts a comment.
 */
#include <ctype.h>
#include <stdlib.h>

#include "ir/irtext.h"

void rd_error(struct ir_reader *r, const char *fmt, ...)
{
	va_list ap;

	r->failed = true;
	va_start(ap, fmt);
	diag_verror(r->diag, DIAG_ERROR, r->loc, (struct loc){ 0 }, fmt, ap);
	va_end(ap);
}

static bool word_char(int c)
{
	return isalnum(c) || c == '_' || c == '-';
}

static void lex_str(struct ir_reader *r)
{
	struct sbuf b;

	sb_init(&b, r->arena);
	r->tok = TK_STR;
	for (r->p++; r->p < r->end && *r->p != '"' && *r->p != '\n'; r->p++) {
		char c = *r->p;

		if (c == '\\' && r->p + 1 < r->end) {
			c = *++r->p;
			if (c == 'x' && r->end - r->p > 2 && isxdigit((unsigned char)r->p[1]) &&
			    isxdigit((unsigned char)r->p[2])) {
				c = (char)strtoul((char[]){ r->p[1], r->p[2], 0 }, NULL, 16);
				r->p += 2;
			}
		}
		if (!c) {
			rd_error(r, "string holds a zero byte");
			break;
		}
		sb_add(&b, &c, 1);
	}
	if (r->p >= r->end || *r->p != '"')
		rd_error(r, "string has no end");
	else
		r->p++;
	r->text = b.s;
	r->text_len = (uint32_t)b.n;
}

static uint64_t lex_digits(struct ir_reader *r)
{
	uint64_t v = 0, base = 10;
	const char *start;

	if (r->end - r->p > 2 && r->p[0] == '0' && r->p[1] == 'x') {
		base = 16;
		r->p += 2;
	}
	for (start = r->p; r->p < r->end; r->p++) {
		int c = tolower((unsigned char)*r->p);
		uint64_t d = isdigit(c) ? (uint64_t)(c - '0') : (uint64_t)(c - 'a' + 10);

		if (!(isdigit(c) || (base == 16 && isxdigit(c))))
			break;
		if (v > (UINT64_MAX - d) / base) {
			rd_error(r, "number needs more than 64 bits");
			v = 0;
		}
		v = v * base + d;
	}
	if (r->p == start)
		rd_error(r, "number has no digits");
	return v;
}

static void lex_num(struct ir_reader *r)
{
	r->tok = TK_NUM;
	r->negative = *r->p == '-';
	r->plus = r->negative || *r->p == '+';
	r->p += r->plus;
	r->num = lex_digits(r);
	if (r->negative)
		r->num = -r->num;
	r->suffix = 0;
	if (r->end - r->p > 1 && r->p[0] == '.' && strchr("bwl", r->p[1])) {
		r->suffix = r->p[1];
		r->p += 2;
	}
}

/* x0a1b: bytes. */
static void lex_hex(struct ir_reader *r)
{
	const char *s = ++r->p;
	struct sbuf b;

	while (r->p < r->end && isxdigit((unsigned char)*r->p))
		r->p++;
	if ((r->p - s) % 2)
		rd_error(r, "bytes need an even number of digits");
	sb_init(&b, r->arena);
	for (; s + 1 < r->p; s += 2) {
		char c = (char)strtoul((char[]){ s[0], s[1], 0 }, NULL, 16);

		sb_add(&b, &c, 1);
	}
	r->tok = TK_HEX;
	r->text = b.s;
	r->text_len = (uint32_t)b.n;
}

static bool hex_ahead(const struct ir_reader *r)
{
	const char *p = r->p + 1;

	while (p < r->end && isxdigit((unsigned char)*p))
		p++;
	return p == r->end || !word_char((unsigned char)*p);
}

static void lex_word(struct ir_reader *r)
{
	const char *s = r->p;

	while (r->p < r->end && (word_char((unsigned char)*r->p) || *r->p == '.'))
		r->p++;
	r->tok = TK_WORD;
	r->text_len = (uint32_t)(r->p - s);
	r->text = arena_strndup(r->arena, s, r->text_len);
}

static void lex_blanks(struct ir_reader *r)
{
	while (r->p < r->end) {
		if (*r->p == ' ' || *r->p == '\t' || *r->p == '\r') {
			r->p++;
		} else if (*r->p == '#') {
			while (r->p < r->end && *r->p != '\n')
				r->p++;
		} else {
			return;
		}
	}
}

static void lex_token(struct ir_reader *r)
{
	unsigned char c = (unsigned char)*r->p;
	bool digit_next = r->end - r->p > 1 && isdigit((unsigned char)r->p[1]);

	if (c == '\n') {
		r->tok = TK_NL;
		r->p++;
	} else if (c == '"') {
		lex_str(r);
	} else if (isdigit(c) || ((c == '-' || c == '+') && digit_next)) {
		lex_num(r);
	} else if ((c == '%' || c == '@') && digit_next) {
		r->p++;
		r->num = lex_digits(r);
		r->tok = c == '%' ? TK_VALUE : TK_BLOCK;
	} else if (c == 'x' && hex_ahead(r)) {
		lex_hex(r);
	} else if (isalpha(c) || c == '_') {
		lex_word(r);
	} else {
		r->tok = TK_PUNCT;
		r->punct = (char)c;
		r->p++;
		if (!strchr("{}[]:,=*-", c))
			rd_error(r, "byte 0x%02x starts nothing", c);
	}
}

void rd_next(struct ir_reader *r)
{
	if (r->tok == TK_NL) {
		r->line++;
		r->line_start = r->p;
	}
	lex_blanks(r);
	r->loc = (struct loc){ .file = r->file, .line = r->line };
	r->loc.col = (uint32_t)(r->p - r->line_start) + 1;
	r->loc.end_line = r->line;
	r->loc.end_col = r->loc.col;
	if (r->p >= r->end) {
		r->tok = TK_EOF;
		return;
	}
	lex_token(r);
	if (r->tok != TK_NL)
		r->loc.end_col = (uint32_t)(r->p - r->line_start);
}

void rd_skip_line(struct ir_reader *r)
{
	while (r->tok != TK_NL && r->tok != TK_EOF)
		rd_next(r);
}

bool rd_is(const struct ir_reader *r, const char *word)
{
	return r->tok == TK_WORD && !strcmp(r->text, word);
}

bool rd_take(struct ir_reader *r, const char *word)
{
	if (!rd_is(r, word))
		return false;
	rd_next(r);
	return true;
}

bool rd_take_punct(struct ir_reader *r, char c)
{
	if (r->tok != TK_PUNCT || r->punct != c)
		return false;
	rd_next(r);
	return true;
}

bool rd_want_punct(struct ir_reader *r, char c)
{
	if (rd_take_punct(r, c))
		return true;
	rd_error(r, "'%c' expected", c);
	return false;
}

bool rd_want_nl(struct ir_reader *r)
{
	if (r->tok == TK_EOF)
		return true;
	if (r->tok != TK_NL) {
		rd_error(r, "end of line expected");
		rd_skip_line(r);
		if (r->tok == TK_NL)
			rd_next(r);
		return false;
	}
	rd_next(r);
	return true;
}

uint64_t rd_num(struct ir_reader *r, uint64_t max)
{
	uint64_t v = r->num;

	if (r->tok != TK_NUM || r->negative) {
		rd_error(r, "number expected");
		return 0;
	}
	if (v > max) {
		rd_error(r, "number %llu exceeds %llu", (unsigned long long)v,
			 (unsigned long long)max);
		v = 0;
	}
	rd_next(r);
	return v;
}

int64_t rd_signed(struct ir_reader *r)
{
	int64_t v = (int64_t)r->num;

	if (r->tok != TK_NUM) {
		rd_error(r, "number expected");
		return 0;
	}
	rd_next(r);
	return v;
}

const char *rd_str(struct ir_reader *r)
{
	const char *s = r->text;

	if (r->tok != TK_STR) {
		rd_error(r, "string expected");
		return "";
	}
	rd_next(r);
	return s;
}

bool rd_numbered(struct ir_reader *r, const char *prefix, uint32_t *n)
{
	size_t len = strlen(prefix);
	char *end;
	unsigned long v;

	if (r->tok != TK_WORD || strncmp(r->text, prefix, len) ||
	    !isdigit((unsigned char)r->text[len])) {
		rd_error(r, "'%s' and a number expected", prefix);
		return false;
	}
	v = strtoul(r->text + len, &end, 10);
	if (*end || v > INT32_MAX) {
		rd_error(r, "'%s' and a number expected", prefix);
		return false;
	}
	*n = (uint32_t)v;
	rd_next(r);
	return true;
}
