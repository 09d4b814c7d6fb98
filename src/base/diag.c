// SPDX-License-Identifier: GPL-2.0-or-later
/* Diagnostics: collected, sorted by place, printed with the source line and carets. */
#include <stdlib.h>

#include "base.h"

bool debug_letter[128];

struct loc loc_span(struct loc a, struct loc b)
{
	if (a.file != b.file || !b.line)
		return a;
	if (!a.line)
		return b;
	a.end_line = b.end_line;
	a.end_col = b.end_col;
	return a;
}

void diag_init(struct diag *d, struct arena *a)
{
	memset(d, 0, sizeof(*d));
	d->arena = a;
	*vec_push(a, &d->sources) = NULL; /* SRC_NONE */
}

uint32_t diag_add_source(struct diag *d, const char *path, const char *text, size_t len,
			 struct loc from)
{
	struct source *s = arena_new_of(d->arena, struct source);

	s->path = path;
	s->text = text;
	s->len = len;
	s->from = from;
	s->line_starts.cap = 1;
	for (const char *p = text; (p = memchr(p, '\n', (size_t)(text + len - p))); p++)
		s->line_starts.cap++;
	s->line_starts.v = arena_array(d->arena, uint32_t, s->line_starts.cap);
	s->line_starts.v[s->line_starts.n++] = 0;
	for (const char *p = text; (p = memchr(p, '\n', (size_t)(text + len - p))); p++)
		s->line_starts.v[s->line_starts.n++] = (uint32_t)(p - text) + 1;
	*vec_push(d->arena, &d->sources) = s;
	return d->sources.n - 1;
}

void diag_verror(struct diag *d, enum diag_level l, struct loc loc, struct loc loc2,
		 const char *fmt, va_list ap)
{
	struct diag_rec *r;

	if (l == DIAG_ERROR && d->errors++ >= DIAG_MAX_ERRORS)
		return;
	if (l == DIAG_WARNING)
		d->warnings++;
	r = vec_push(d->arena, &d->recs);
	r->level = l;
	r->loc = loc;
	r->loc2 = loc2;
	r->text = arena_vprintf(d->arena, fmt, ap);
}

void diag_error(struct diag *d, struct loc loc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_verror(d, DIAG_ERROR, loc, (struct loc){ 0 }, fmt, ap);
	va_end(ap);
}

void diag_error2(struct diag *d, struct loc loc, struct loc loc2, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_verror(d, DIAG_ERROR, loc, loc2, fmt, ap);
	va_end(ap);
}

void diag_warn(struct diag *d, struct loc loc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_verror(d, DIAG_WARNING, loc, (struct loc){ 0 }, fmt, ap);
	va_end(ap);
}

const char *diag_line(const struct diag *d, struct loc loc, uint32_t line, size_t *len)
{
	const struct source *s;
	size_t start, end;

	if (loc.file == SRC_NONE || loc.file >= d->sources.n || !line)
		return NULL;
	s = d->sources.v[loc.file];
	if (line > s->line_starts.n)
		return NULL;
	start = s->line_starts.v[line - 1];
	end = line < s->line_starts.n ? s->line_starts.v[line] - 1 : s->len;
	*len = end - start;
	return s->text + start;
}

const char *diag_where(const struct diag *d, struct loc loc)
{
	if (loc.file == SRC_NONE || loc.file >= d->sources.n)
		return loc.name ? loc.name : "";
	return arena_printf(d->arena, "%s:%u:%u", d->sources.v[loc.file]->path, loc.line, loc.col);
}

static int rec_cmp(const void *x, const void *y)
{
	const struct diag_rec *a = x, *b = y;

	if (a->loc.file != b->loc.file)
		return a->loc.file < b->loc.file ? -1 : 1;
	if (a->loc.line != b->loc.line)
		return a->loc.line < b->loc.line ? -1 : 1;
	if (a->loc.col != b->loc.col)
		return a->loc.col < b->loc.col ? -1 : 1;
	return a->text < b->text ? -1 : a->text > b->text;
}

/* Marks the columns of loc that lie on `line` with c. */
static void mark(char *marks, size_t n, struct loc loc, uint32_t line, char c)
{
	size_t from, to;

	if (loc.line > line || (loc.end_line && loc.end_line < line) ||
	    (!loc.end_line && loc.line != line))
		return;
	from = loc.line == line && loc.col ? loc.col - 1 : 0;
	to = loc.end_line == line && loc.end_col ? loc.end_col
	     : loc.line == line && !loc.end_line ? loc.col
						 : n;
	for (size_t i = from; i < to && i < n; i++)
		marks[i] = c;
}

static void print_caret_line(const struct diag *d, FILE *f, const struct diag_rec *r)
{
	size_t len, n, last = 0;
	const char *line = diag_line(d, r->loc, r->loc.line, &len);
	char *marks;

	if (!line)
		return;
	n = len + 1;
	marks = arena_alloc(d->arena, n + 1);
	memset(marks, ' ', n);
	if (r->loc2.line && r->loc2.file == r->loc.file)
		mark(marks, n, r->loc2, r->loc.line, '~');
	mark(marks, n, r->loc, r->loc.line, '^');
	for (size_t i = 0; i < n; i++) {
		if (marks[i] != ' ')
			last = i + 1;
		else if (i < len && line[i] == '\t')
			marks[i] = '\t';
	}
	for (size_t i = 0; i < len; i++)
		fputc((unsigned char)line[i] < 0x20 && line[i] != '\t' ? '?' : line[i], f);
	fprintf(f, "\n%.*s\n", (int)last, marks);
}

static void print_include_chain(const struct diag *d, FILE *f, struct loc loc)
{
	const struct source *s;

	if (loc.file == SRC_NONE || loc.file >= d->sources.n)
		return;
	s = d->sources.v[loc.file];
	for (int depth = 0; s->from.file != SRC_NONE && depth < 32; depth++) {
		fprintf(f, "In file included from %s:%u:%u:\n", d->sources.v[s->from.file]->path,
			s->from.line, s->from.col);
		s = d->sources.v[s->from.file];
	}
}

static void print_rec(const struct diag *d, FILE *f, const struct diag_rec *r)
{
	static const struct {
		const char *word, *color;
	} level[] = {
		[DIAG_ERROR] = { "error", "\033[1;31m" },
		[DIAG_WARNING] = { "warning", "\033[1;35m" },
		[DIAG_NOTE] = { "note", "\033[1;36m" },
	};
	const char *on = d->color ? level[r->level].color : "", *off = d->color ? "\033[0m" : "";

	print_include_chain(d, f, r->loc);
	if (r->loc.file != SRC_NONE && r->loc.file < d->sources.n) {
		fprintf(f, "%s:%u:%u", d->sources.v[r->loc.file]->path, r->loc.line, r->loc.col);
		if (r->loc.end_line == r->loc.line && r->loc.end_col >= r->loc.col)
			fprintf(f, "-%u", r->loc.end_col);
		fprintf(f, ": ");
	} else if (r->loc.name) {
		fprintf(f, "%s: ", r->loc.name);
	} else {
		fprintf(f, "nft2bpf: ");
	}
	fprintf(f, "%s%s:%s %s\n", on, level[r->level].word, off, r->text);
	print_caret_line(d, f, r);
	if (r->loc2.line && (r->loc2.file != r->loc.file || r->loc2.line != r->loc.line)) {
		struct diag_rec second = { .level = DIAG_NOTE,
					   .loc = r->loc2,
					   .text = "the other is here" };

		print_rec(d, f, &second);
	}
}

void diag_flush(struct diag *d, FILE *f)
{
	if (d->recs.n)
		qsort(d->recs.v, d->recs.n, sizeof(*d->recs.v), rec_cmp);
	vec_foreach(&d->recs, r)
		print_rec(d, f, r);
	if (d->errors > DIAG_MAX_ERRORS)
		fprintf(f, "nft2bpf: %u more errors not shown\n", d->errors - DIAG_MAX_ERRORS);
	d->recs.n = 0;
}

void bug_at(const char *file, int line, const char *fn, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "nft2bpf: bug in the compiler: %s:%d %s: ", file, line, fn);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(70);
}
