// SPDX-License-Identifier: GPL-2.0-or-later
/* input: the files that are read, the includes among them, and ast_parse(). */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parser.h"
#include "parse.tab.h"

/* Where an include without ./ or / is looked for last. */
static const char etc_dir[] = "/etc";

/* -- reading ----------------------------------------------------------------------------------- */

static void push_text(struct parser *p, const char *path, const char *text, size_t len,
		      struct loc from)
{
	struct input *in = &p->in[p->n_in++];

	memset(in, 0, sizeof(*in));
	in->file = diag_add_source(p->diag, path, text, len, from);
	in->text = text;
	in->line = in->col = 1;
	in->copy = arena_alloc(p->nodes, len + 2);
	memcpy(in->copy, text, len);
	scan_push(p, in, len);
}

static void pop_input(struct parser *p)
{
	struct input *in = &p->in[p->n_in - 1];

	scan_pop(p, in);
	p->n_in--;
}

static bool push_file(struct parser *p, const char *path, struct loc from);

/* Opens the next file that an include has named, if it is its turn. */
static void next_queued(struct parser *p)
{
	while (p->queue.n && p->queue.v[p->queue.n - 1].level == p->n_in) {
		struct queued q = p->queue.v[--p->queue.n];

		if (push_file(p, q.path, q.from))
			return;
	}
}

/* Notes a value that the word before, which is one too, touches: `fd00::1000` and `7`. */
static void note_glued(struct parser *p, const struct raw *r)
{
	const struct raw *v = &p->value;
	bool value = r->kind == RAW_SYM || r->kind == RAW_NUM;

	if ((value || r->kind == RAW_WORD) && v->s && v->s + v->len == r->s) {
		p->glued = *v;
		p->glued.len += r->len;
		p->glued.loc = loc_span(v->loc, r->loc);
	}
	p->value = value ? *r : (struct raw){ 0 };
}

/* The next raw word. Each file ends with a line end, given or not. */
int input_raw(struct parser *p, struct raw *out)
{
	struct input *in;

	memset(out, 0, sizeof(*out));
	if (!p->n_in) {
		out->loc = p->prev_loc;
		return RAW_EOF;
	}
	out->kind = (enum raw_kind)scan_raw(p->scanner, out);
	if (out->kind != RAW_EOF) {
		note_glued(p, out);
		return out->kind;
	}
	in = &p->in[p->n_in - 1];
	out->kind = RAW_NL;
	out->s = in->text + in->off;
	out->len = 0;
	out->loc = (struct loc){ in->file, in->line, in->col, in->line, in->col, NULL };
	pop_input(p);
	next_queued(p);
	return out->kind;
}

/* -- files ------------------------------------------------------------------------------------- */

static bool push_file(struct parser *p, const char *path, struct loc from)
{
	char real[PATH_MAX];
	struct stat st;
	bool is_stdin = !strcmp(path, "-") && !p->n_in;
	const char *text;
	FILE *f = stdin;
	size_t len;

	if (p->n_in > INCLUDE_DEPTH_MAX) {
		p_error(p, from, "includes are nested too deeply: at most %d", INCLUDE_DEPTH_MAX);
		return false;
	}
	if (!is_stdin) {
		if (!realpath(path, real) || !(f = fopen(path, "r"))) {
			p_error(p, from, "cannot open %s: %s", path, strerror(errno));
			return false;
		}
		if (p->n_in && (fstat(fileno(f), &st) || !S_ISREG(st.st_mode))) {
			p_error(p, from, "cannot include %s: not a regular file", path);
			fclose(f);
			return false;
		}
		for (uint32_t i = 0; i < p->n_in; i++)
			if (p->in[i].real && !strcmp(p->in[i].real, real)) {
				p_error(p, from, "%s includes itself", path);
				fclose(f);
				return false;
			}
	}
	text = arena_read(p->arena, f, &len);
	if (!is_stdin)
		fclose(f);
	if (!text) {
		p_error(p, from, "cannot read %s: %s", path, strerror(errno));
		return false;
	}
	push_text(p, is_stdin ? "<stdin>" : arena_strdup(p->arena, path), text, len, from);
	if (!is_stdin)
		p->in[p->n_in - 1].real = arena_strdup(p->arena, real);
	return true;
}

/*
 * Queues what a pattern names, the first on top. Returns how many files it named; -1 after an
 * error.
 */
static int push_glob(struct parser *p, const char *pattern, struct loc loc)
{
	int n = 0, r;
	glob_t g;

	r = glob(pattern, GLOB_NOESCAPE | GLOB_MARK, NULL, &g);
	if (r == GLOB_NOMATCH)
		return 0;
	if (r) {
		p_error(p, loc, "cannot look for %s", pattern);
		return -1;
	}
	for (size_t i = g.gl_pathc; i-- > 0;) {
		size_t len = strlen(g.gl_pathv[i]);

		if (!len || g.gl_pathv[i][len - 1] == '/')
			continue;
		*vec_push(p->arena, &p->queue) =
			(struct queued){ arena_strdup(p->arena, g.gl_pathv[i]), loc, p->n_in };
		n++;
	}
	globfree(&g);
	return n;
}

static bool is_pattern(const char *s)
{
	return strpbrk(s, "*?[") != NULL;
}

static bool has_dir(const char *s)
{
	return *s == '/' || !strncmp(s, "./", 2) || !strncmp(s, "../", 3);
}

/*
 * `include "pattern"`: as it stands with a directory; else in -I's, beside the main file, in /etc,
 * here.
 */
bool input_include(struct parser *p, const char *pattern, struct loc loc)
{
	const char *dirs[4] = { p->main_dir, etc_dir, ".", NULL };
	uint32_t n_opts = p->opts ? p->opts->n_dirs : 0;
	int n = 0;

	if (has_dir(pattern)) {
		n = push_glob(p, pattern, loc);
	} else {
		for (uint32_t i = 0; !n && i < n_opts + 3; i++) {
			const char *dir = i < n_opts ? p->opts->dirs[i] : dirs[i - n_opts];

			n = push_glob(p, arena_printf(p->arena, "%s/%s", dir, pattern), loc);
		}
	}
	if (n < 0)
		return false;
	if (!n && !is_pattern(pattern)) {
		p_error(p, loc, "cannot find %s", pattern);
		return false;
	}
	next_queued(p);
	return true;
}

/* -- the whole --------------------------------------------------------------------------------- */

static void reset_lexer(struct parser *p)
{
	while (p->n_in)
		pop_input(p);
	p->queue.n = 0;
	p->n_look = p->depth = p->n_blocks = 0;
	p->prev = p->prev2 = p->start_tok = p->pending = 0;
	p->assign = ASSIGN_NONE;
	p->recovering = p->in_type = p->saw_nat = p->saw_hash = false;
	memset(&p->ctx[0], 0, sizeof(p->ctx[0]));
}

static void define_options(struct parser *p)
{
	if (!p->opts)
		return;
	for (uint32_t i = 0; i < p->opts->n_defines; i++) {
		const char *d = p->opts->defines[i], *eq = strchr(d, '='), *text;

		if (!eq || eq == d) {
			p_error(p, (struct loc){ 0 }, "-D %s: write it as name=value", d);
			continue;
		}
		text = arena_printf(p->arena, "define %s\n", d);
		push_text(p, "-D", text, strlen(text), (struct loc){ 0 });
		fe_yyparse(p);
		reset_lexer(p);
	}
}

static struct parser *parser_new(struct arena *a, struct arena *nodes, struct diag *d,
				 const struct parse_opts *opts)
{
	struct parser *p = arena_new_of(a, struct parser);

	p->arena = a;
	p->nodes = nodes;
	p->diag = d;
	p->opts = opts;
	p->main_dir = ".";
	p->script = arena_new_of(nodes, struct ast_script);
	p->script->arena = nodes;
	p->script->diag = d;
	lex_init(p);
	scope_push(p);
	if (scan_init(p))
		BUG("out of memory");
	define_options(p);
	return p;
}

static struct ast_script *run(struct parser *p)
{
	if (p->n_in && fe_yyparse(p) && !p->errors)
		p_error(p, p->prev_loc, "the input is nested too deeply");
	reset_lexer(p);
	scan_fini(p);
	return p->errors ? NULL : p->script;
}

struct ast_script *ast_parse_text(struct arena *a, struct arena *nodes, struct diag *d,
				  const char *path, const char *text, size_t len,
				  const struct parse_opts *opts)
{
	struct parser *p = parser_new(a, nodes, d, opts);

	push_text(p, path, text, len, (struct loc){ 0 });
	return run(p);
}

struct ast_script *ast_parse(struct arena *a, struct arena *nodes, struct diag *d, const char *path,
			     const struct parse_opts *opts)
{
	struct parser *p = parser_new(a, nodes, d, opts);
	const char *slash = strrchr(path, '/');

	if (slash)
		p->main_dir = arena_strndup(a, path, (size_t)MAX(slash - path, 1));
	push_file(p, path, (struct loc){ 0 });
	return run(p);
}
