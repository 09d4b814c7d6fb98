// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * run: long lists of plain elements, kept as the text they are.
 *
 * A set may hold a million addresses. Where at least RUN_MIN elements in a row are addresses,
 * numbers, prefixes, ranges or concatenations of these, with such a value or a verdict behind the
 * colon, the lexer takes them as one token, and nodes are made for one element at a time when
 * somebody reads it (run_next). What is not that plain ends the run: it goes the way of all words.
 * Every element accepted here is one that scan.l and parse.y would read just so.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

#include "parser.h"

/* -- shapes ------------------------------------------------------------------------------------ */

static size_t blanks(const char *s, const char *end)
{
	const char *p = s;

	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	return (size_t)(p - s);
}

static size_t digits(const char *s, const char *end)
{
	const char *p = s;

	while (p < end && isdigit((unsigned char)*p))
		p++;
	return (size_t)(p - s);
}

/* Does the word that ends here end for the scanner, too? */
static bool word_ends(const char *s, const char *end)
{
	return s == end || strchr(" \t\r\n,}/-", *s);
}

static size_t dotted_quad(const char *s, const char *end)
{
	const char *p = s;

	for (int i = 0; i < 4; i++) {
		size_t n = digits(p, end);

		if (!n || n > 3)
			return 0;
		p += n;
		if (i < 3 && (p == end || *p++ != '.'))
			return 0;
	}
	return (size_t)(p - s);
}

static size_t ip6(const char *s, const char *end)
{
	char buf[INET6_ADDRSTRLEN];
	uint8_t out[16];
	size_t n = 0;
	int colons = 0;

	while (s + n < end && n < sizeof(buf) - 1 && (isxdigit((unsigned char)s[n]) || s[n] == ':'))
		colons += s[n++] == ':';
	if (colons < 2)
		return 0;
	memcpy(buf, s, n);
	buf[n] = 0;
	return inet_pton(AF_INET6, buf, out) == 1 ? n : 0;
}

/* A decimal number without leading zeros that fits 64 bits. */
static size_t number(const char *s, const char *end)
{
	size_t n = digits(s, end);

	return n && n < 20 && (n == 1 || *s != '0') ? n : 0;
}

/* The length of the address or number at s; 0: none. */
static size_t literal(const char *s, const char *end, bool *is_number)
{
	size_t n = dotted_quad(s, end);

	*is_number = false;
	if (!n)
		n = ip6(s, end);
	if (!n) {
		n = number(s, end);
		*is_number = true;
	}
	return n && word_ends(s + n, end) ? n : 0;
}

/* -- nodes ------------------------------------------------------------------------------------- */

static struct loc place(const struct run_iter *it, const char *s, size_t n)
{
	uint32_t col = it->col + (uint32_t)(s - it->p);

	return (struct loc){ it->file, it->line, col, it->line, col + (uint32_t)n - 1, NULL };
}

static struct ast_expr *node(struct run_iter *it, enum ast_expr_kind k, const char *s, size_t n)
{
	struct ast_expr *e;

	if (!it->arena)
		return NULL;
	e = arena_new_of(it->arena, struct ast_expr);
	e->kind = k;
	e->loc = place(it, s, n);
	return e;
}

static const char *read_literal(struct run_iter *it, const char *s, struct ast_expr **out)
{
	bool is_number;
	size_t n = literal(s, it->end, &is_number);

	if (!n)
		return NULL;
	*out = node(it, is_number ? AX_NUMBER : AX_SYMBOL, s, n);
	if (*out) {
		(*out)->text = arena_strndup(it->arena, s, n);
		if (is_number)
			(*out)->num = strtoull((*out)->text, NULL, 10);
	}
	return s + n;
}

/* value, value/len or value-value */
static const char *read_field(struct run_iter *it, const char *s, struct ast_expr **out)
{
	struct ast_expr *base, *to, *e;
	const char *p = read_literal(it, s, &base);
	size_t n;

	*out = base;
	if (!p || p == it->end || (*p != '/' && *p != '-'))
		return p;
	if (*p == '-') {
		p = read_literal(it, p + 1, &to);
		if (!p || (p < it->end && (*p == '-' || *p == '/')))
			return NULL;
		e = node(it, AX_RANGE, s, (size_t)(p - s));
		if (e) {
			e->range.from = base;
			e->range.to = to;
		}
	} else {
		n = number(++p, it->end);
		if (!n || n > 3 || strtoul(p, NULL, 10) > 128)
			return NULL;
		e = node(it, AX_PREFIX, s, (size_t)(p + n - s));
		if (e) {
			e->prefix.base = base;
			e->prefix.len = (uint32_t)strtoul(p, NULL, 10);
		}
		p += n;
		if (p < it->end && !strchr(" \t\r\n,}", *p))
			return NULL;
	}
	*out = e;
	return p;
}

/* Is c here, with blanks before and behind it? Returns what is behind. */
static const char *between(const struct run_iter *it, const char *s, char c)
{
	size_t n = blanks(s, it->end);

	if (!n || s + n == it->end || s[n] != c || !blanks(s + n + 1, it->end))
		return NULL;
	s += n + 1;
	return s + blanks(s, it->end);
}

static const char *read_concat(struct run_iter *it, const char *s, struct ast_expr **out)
{
	struct ast_expr *first, *f, *list = NULL;
	const char *p = read_field(it, s, &first), *q;

	*out = first;
	while (p && (q = between(it, p, '.'))) {
		p = read_field(it, q, &f);
		if (!p || !it->arena)
			continue;
		if (!list) {
			list = *out = node(it, AX_CONCAT, s, 1);
			list->list = arena_new_of(it->arena, struct ast_list_body);
			*vec_push(it->arena, &list->list->items) = first;
			list->open = true;
			list->depth = 2;
		}
		*vec_push(it->arena, &list->list->items) = f;
		list->loc = place(it, s, (size_t)(p - s));
	}
	return p;
}

static bool starts(const char *s, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - s) >= n && !memcmp(s, word, n) &&
	       (s + n == end || strchr(" \t\r\n,}", s[n]));
}

static const char *read_verdict(struct run_iter *it, const char *s, struct ast_expr **out)
{
	static const struct {
		const char *s;
		enum ast_verdict_code code;
	} words[] = { { "accept", AV_ACCEPT },
		      { "drop", AV_DROP },
		      { "continue", AV_CONTINUE },
		      { "return", AV_RETURN } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (starts(s, it->end, words[i].s)) {
			size_t n = strlen(words[i].s);

			*out = node(it, AX_VERDICT, s, n);
			if (*out)
				(*out)->verdict.code = words[i].code;
			return s + n;
		}
	return NULL;
}

/* -- elements ---------------------------------------------------------------------------------- */

static void skip_space(struct run_iter *it)
{
	for (; it->p < it->end; it->p++) {
		if (*it->p == '\n') {
			it->line++;
			it->col = 1;
		} else if (*it->p == ' ' || *it->p == '\t' || *it->p == '\r') {
			it->col++;
		} else {
			return;
		}
	}
}

/* The element at it->p, and on to what is behind it: a comma, a brace, or the run's end. */
static bool one(struct run_iter *it, struct ast_elem *out)
{
	struct ast_expr *key, *data = NULL;
	const char *p = read_concat(it, it->p, &key), *q;

	if (p && (q = between(it, p, ':'))) {
		p = read_verdict(it, q, &data);
		if (!p)
			p = read_concat(it, q, &data);
		it->has_data = true;
	}
	if (!p)
		return false;
	it->col += (uint32_t)(p - it->p);
	it->p = p;
	*out = (struct ast_elem){ key, data, NULL };
	return true;
}

struct run_iter run_start(const struct ast_expr *run, struct arena *a)
{
	return (struct run_iter){ .p = run->run.text,
				  .end = run->run.text + run->run.len,
				  .file = run->loc.file,
				  .line = run->loc.line,
				  .col = run->loc.col,
				  .arena = a };
}

bool run_next(struct run_iter *it, struct ast_elem *out)
{
	skip_space(it);
	if (it->p < it->end && *it->p == ',') {
		it->p++;
		it->col++;
		skip_space(it);
	}
	if (it->p == it->end)
		return false;
	if (!one(it, out))
		BUG("run of elements at line %u", it->line);
	return true;
}

/* Elements that stand at s, separated by commas; the place behind the last one stays in *it. */
static uint32_t count(struct run_iter *it, const char *end)
{
	struct run_iter at = *it, before;
	struct ast_elem e;
	uint32_t n = 0;

	at.end = end;
	for (;; n++) {
		before = at;
		skip_space(&at);
		if (!one(&at, &e))
			break;
		before = at;
		skip_space(&at);
		if (at.p == end || (*at.p != ',' && *at.p != '}'))
			break;
		*it = before;
		if (*at.p == '}')
			return n + 1;
		at.p++;
		at.col++;
	}
	return n;
}

struct ast_expr *run_take(struct parser *p)
{
	struct input *in = p->n_in ? &p->in[p->n_in - 1] : NULL;
	struct source *src = in ? p->diag->sources.v[in->file] : NULL;
	struct run_iter it, start;
	struct ast_expr *e;

	if (!in)
		return NULL;
	it = (struct run_iter){
		.p = in->text + in->off, .file = in->file, .line = in->line, .col = in->col
	};
	it.end = src->text + src->len;
	skip_space(&it);
	start = it;
	if (it.p == it.end || !isxdigit((unsigned char)*it.p) ||
	    count(&it, src->text + src->len) < RUN_MIN)
		return NULL;
	e = mk(p, AX_RUN, place(&start, start.p, 1));
	e->loc.end_line = it.line;
	e->loc.end_col = it.col - 1;
	e->run.text = start.p;
	e->run.len = (size_t)(it.p - start.p);
	e->run.has_data = it.has_data;
	e->depth = 3;
	scan_skip(p, in, (size_t)(it.p - (in->text + in->off)), it.line, it.col);
	return e;
}
