// SPDX-License-Identifier: GPL-2.0-or-later
/* The stages of nft2bpf, in their order. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build.h"
#include "driver.h"
#include "nlwrite.h"

/* A whole file ("-": standard input) in the arena, with a NUL behind it; NULL after an error. */
static char *read_file(struct run *r, const char *path, size_t *len)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
	char *buf = f ? arena_read(r->arena, f, len) : NULL;

	if (!buf)
		diag_error(&r->diag, (struct loc){ .name = path }, "cannot read it: %s",
			   strerror(errno));
	if (f && f != stdin)
		fclose(f);
	return buf;
}

static int emit_ast(struct run *r, const struct parse_opts *opts)
{
	struct ast_script *s = ast_parse(r->arena, r->arena, &r->diag, r->o->file, opts);

	if (!s)
		return 1;
	ast_print(s, stdout);
	return STAGE_DONE;
}

int stage_read(struct run *r)
{
	const struct options *o = r->o;
	struct parse_opts opts = { .defines = o->defines.v,
				   .n_defines = o->defines.n,
				   .dirs = o->dirs.v,
				   .n_dirs = o->dirs.n };
	size_t len;
	void *buf;

	if (o->ir)
		return 0;
	if (o->emit == EMIT_AST && (o->live || o->netlink)) {
		diag_error(&r->diag, (struct loc){ 0 },
			   "--emit ast needs a text: a dump has no syntax tree");
		return 1;
	}
	if (o->emit == EMIT_AST)
		return emit_ast(r, &opts);
	if (o->live) {
		r->rs = frontend_read_live(r->arena, &r->diag);
	} else if (o->netlink) {
		buf = read_file(r, o->file, &len);
		if (buf)
			r->rs = frontend_read_netlink(r->arena, &r->diag, o->file, buf, len);
	} else {
		r->rs = frontend_read_text(r->arena, &r->diag, o->file, &opts);
	}
	if (!r->rs || r->diag.errors)
		return 1;
	if (o->emit != EMIT_EXPRS)
		return 0;
	ruleset_print_exprs(r->rs, stdout);
	return STAGE_DONE;
}

/*
 * What nft has no words for nft2bpfctl hands to the kernel itself, with all that stands beside it:
 * can it?
 */
static bool can_be_loaded(struct run *r)
{
	bool xt = false;
	struct nlw w;

	vec_foreach(&r->rs->tables, t)
		vec_foreach(&(*t)->chains, c)
			vec_foreach(&(*c)->rules, rule) {
				struct rule own = rule_kernel(*rule);

				vec_foreach(&own.exprs, e)
					xt |= (*e)->kind == EX_MATCH || (*e)->kind == EX_TARGET;
			}
	if (!xt)
		return true;
	nlw_begin(&w, r->arena, &r->diag);
	return nlw_ruleset(&w, r->rs);
}

int stage_split(struct run *r)
{
	struct fb_options fb = r->o->fb;

	if (r->o->ir)
		return 0;
	if (!can_be_loaded(r))
		return 1;
	fb.can_lower = build_can_lower;
	r->plan = fb_plan(r->rs, &fb);
	return r->plan ? 0 : 1;
}

/*
 * The IR as a whole, where it is wanted; else each function is generated as soon as it is built:
 * stage_generate().
 */
int stage_build(struct run *r)
{
	size_t len;
	char *text;

	if (r->o->ir) {
		text = read_file(r, r->o->ir, &len);
		r->ir = text ? ir_parse(r->arena, &r->diag, r->o->ir, text, len) : NULL;
		return r->ir ? 0 : 1;
	}
	return r->o->emit == EMIT_IR ? generate_ir(r) : 0;
}

static void canonical_rule(struct rule *r)
{
	static const struct fb_print_opts opts = { .zero = true };
	struct sbuf text;

	sb_init(&text, r->chain->table->rs->arena);
	r->text = fb_print_rule(r, &opts, &text) ? text.s : NULL;
	r->loc = (struct loc){ 0 };
	r->handle = 0;
}

static void canonical_set(struct set *s)
{
	s->loc = (struct loc){ 0 };
	s->handle = 0;
}

static void canonical_table(struct table *t)
{
	vec_foreach(&t->chains, cp) {
		struct chain *c = *cp;

		c->loc = (struct loc){ 0 };
		c->handle = 0;
		c->has_policy = c->has_policy && c->policy != V_ACCEPT;
		vec_foreach(&c->rules, r)
			canonical_rule(*r);
	}
	vec_foreach(&t->sets, s)
		canonical_set(*s);
	vec_foreach(&t->objs, o) {
		(*o)->loc = (struct loc){ 0 };
		(*o)->handle = 0;
	}
}

/*
 * A text and a dump of one ruleset are to give the same IR: what only one of them tells is left
 * out, rules are said in one way.
 */
static void canonical_names(const struct ruleset *rs, struct ir_mod *m)
{
	vec_foreach(&rs->tables, t)
		canonical_table(*t);
	vec_foreach(&m->sets, s) /* those that were made of rules as well */
		canonical_set((struct set *)s->set);
}

int stage_optimise(struct run *r)
{
	const char *fault = r->ir ? ir_verify(r->ir) : NULL;

	if (fault && !r->o->ir)
		BUG("the IR as built is wrong: %s", fault);
	if (fault) {
		diag_error(&r->diag, (struct loc){ .name = r->o->ir }, "%s", fault);
		return 1;
	}
	if (r->ir)
		opt_run(r->ir, r->o->level, getenv("NFT2BPF_VERIFY") != NULL);
	if (r->o->emit != EMIT_IR)
		return 0;
	if (r->rs)
		canonical_names(r->rs, r->ir);
	ir_print(r->ir, stdout);
	return STAGE_DONE;
}

static int write_report(struct run *r)
{
	FILE *f = strcmp(r->o->report, "-") ? fopen(r->o->report, "w") : stdout;
	bool bad;

	if (f)
		fb_report_json(r->plan, f);
	bad = !f || ferror(f);
	if (f && (f == stdout ? fflush(f) : fclose(f)))
		bad = true;
	if (bad)
		diag_error(&r->diag, (struct loc){ .name = r->o->report }, "cannot write it: %s",
			   strerror(errno));
	return bad;
}

int stage_report(struct run *r)
{
	uint32_t n;

	if (!r->plan)
		return 0;
	if (r->o->explain)
		fb_explain(r->plan, stdout);
	if (r->o->report && write_report(r))
		return 1;
	n = r->o->strict ? fb_strict_count(r->plan) : 0;
	if (!n)
		return 0;
	diag_flush(&r->diag, stderr);
	fprintf(stderr,
		"nft2bpf: error: --strict: %u %s in nftables (--explain says which, and why)\n", n,
		n == 1 ? "rule or policy stays" : "rules and policies stay");
	return 2;
}

/* Writes text to a new file beside path; its name in the arena, NULL after an error. */
static const char *write_beside(struct run *r, const char *path, const char *text)
{
	char *tmp = arena_printf(r->arena, "%s.XXXXXX", path);
	int fd = mkstemp(tmp);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	bool good = f && fchmod(fd, 0644) == 0 && fputs(text, f) >= 0;

	if (f && fclose(f))
		good = false;
	if (good)
		return tmp;
	diag_error(&r->diag, (struct loc){ .name = path }, "cannot write it: %s", strerror(errno));
	if (fd >= 0)
		unlink(tmp);
	return NULL;
}

int stage_write(struct run *r)
{
	const char *tmp = NULL;

	obj_fill(r->obj);
	r->obj->manifest = driver_manifest(r, &r->obj->manifest_len);
	if (r->diag.errors)
		return 1;
	if (r->plan) {
		tmp = write_beside(r, r->o->fallback, r->plan->fallback);
		if (!tmp)
			return 1;
	}
	if (obj_write(r->obj, r->o->object)) {
		if (tmp)
			unlink(tmp);
		return 1;
	}
	if (tmp && rename(tmp, r->o->fallback)) {
		diag_error(&r->diag, (struct loc){ .name = r->o->fallback }, "cannot write it: %s",
			   strerror(errno));
		unlink(tmp);
		return 1;
	}
	return 0;
}
