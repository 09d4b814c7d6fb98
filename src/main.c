// SPDX-License-Identifier: GPL-2.0-or-later
/* nft2bpf: options, the list of stages, exit codes. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "build.h"
#include "driver.h"

enum { EXIT_COMPILED = 0, EXIT_INPUT = 1, EXIT_STRICT = 2 }; /* 70: BUG() */

static const char *const emit_names[] = {
	[EMIT_NONE] = "", [EMIT_AST] = "ast", [EMIT_EXPRS] = "exprs",
	[EMIT_IR] = "ir", [EMIT_ASM] = "asm", [EMIT_FALLBACK] = "fallback",
};

static const char usage_text[] =
	"usage: nft2bpf [OPTION]... FILE\n"
	"Compiles an nftables ruleset into a BPF netfilter object, and a fallback ruleset for "
	"nft.\n"
	"FILE is an nft script, - is standard input.\n\n"
	"  -o FILE               the object (default: FILE's stem and .o)\n"
	"  -f FILE               the fallback ruleset (default: the object's stem and "
	".fallback.nft)\n"
	"  -n, --netlink         FILE is a raw nlmsg stream (a dump or a load batch)\n"
	"  -l, --live            read the running ruleset of this network namespace; no FILE\n"
	"  -D NAME=VALUE         define a variable, as nft's -D\n"
	"  -I DIR                search includes there, as nft's -I\n"
	"  -O0, -O1, -O2         optimisation level (default: -O2)\n"
	"  --static              every named set is constant\n"
	"  --partial MODE        auto, always, never: may a base chain be split (default: auto)\n"
	"  --strict              exit with 2 when anything that runs per packet stays in nftables\n"
	"  --explain             print where each rule runs, and why\n"
	"  --report FILE         the same as JSON (- is standard output)\n"
	"  --emit STAGE          print ast, exprs, ir, asm or fallback, and stop\n"
	"  --ir FILE             start from IR text\n"
	"  -d LETTERS            dump passes to stderr as they run (nft2bpf-ir(7))\n"
	"  --color=WHEN          auto, always, never\n"
	"  -h, --help            this text\n"
	"  -V, --version         the version\n\n"
	"Exit status: 0 compiled, 1 the input is wrong, 2 --strict failed, 70 a bug in nft2bpf.\n";

/* An error on the command line. */
static int usage_error(const char *fmt, ...) PRINTF(1, 2);
static int usage_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("nft2bpf: error: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputs(" (nft2bpf --help)\n", stderr);
	va_end(ap);
	return EXIT_INPUT;
}

/* -- options ----------------------------------------------------------------------------------- */

enum {
	OPT_STATIC = 256,
	OPT_PARTIAL,
	OPT_STRICT,
	OPT_EXPLAIN,
	OPT_REPORT,
	OPT_EMIT,
	OPT_IR,
	OPT_COLOR,
};

static const struct option long_options[] = {
	{ "netlink", no_argument, NULL, 'n' },
	{ "live", no_argument, NULL, 'l' },
	{ "static", no_argument, NULL, OPT_STATIC },
	{ "partial", required_argument, NULL, OPT_PARTIAL },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ "emit", required_argument, NULL, OPT_EMIT },
	{ "ir", required_argument, NULL, OPT_IR },
	{ "color", required_argument, NULL, OPT_COLOR },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL },
};

/* The index of word in a list of n; -1: not there. */
static int which(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, list[i]))
			return (int)i;
	return -1;
}

static int take_partial(struct options *o, const char *arg)
{
	static const char *const modes[] = {
		[FB_PARTIAL_AUTO] = "auto",
		[FB_PARTIAL_ALWAYS] = "always",
		[FB_PARTIAL_NEVER] = "never",
	};
	int i = which(arg, modes, ARRAY_SIZE(modes));

	if (i < 0)
		return usage_error("--partial takes auto, always or never, not '%s'", arg);
	o->fb.partial = (enum fb_partial)i;
	return 0;
}

static int take_emit(struct options *o, const char *arg)
{
	int i = which(arg, emit_names, ARRAY_SIZE(emit_names));

	if (i <= 0)
		return usage_error("--emit takes ast, exprs, ir, asm or fallback, not '%s'", arg);
	o->emit = (enum emit_stage)i;
	return 0;
}

static int take_color(struct options *o, const char *arg)
{
	static const char *const when[] = { "never", "always", "auto" };
	int i = which(arg, when, ARRAY_SIZE(when));

	if (i < 0)
		return usage_error("--color takes auto, always or never, not '%s'", arg);
	o->color = i == 2 ? isatty(STDERR_FILENO) : i == 1;
	return 0;
}

static int take_level(struct options *o, const char *arg)
{
	if (arg[0] < '0' || arg[0] > '2' || arg[1])
		return usage_error("-O takes 0, 1 or 2, not '%s'", arg);
	o->level = (enum opt_level)(arg[0] - '0');
	return 0;
}

static int take_letters(const char *arg)
{
	for (; *arg; arg++) {
		if ((unsigned char)*arg >= ARRAY_SIZE(debug_letter))
			return usage_error("-d takes letters");
		debug_letter[(unsigned char)*arg] = true;
	}
	return 0;
}

static int take_option(struct options *o, struct arena *a, int c, const char *arg)
{
	switch (c) {
	case 'o':
		o->object = arg;
		return 0;
	case 'f':
		o->fallback = arg;
		return 0;
	case 'n':
		o->netlink = true;
		return 0;
	case 'l':
		o->live = true;
		return 0;
	case 'D':
		if (!strchr(arg, '='))
			return usage_error("-D takes name=value, not '%s'", arg);
		*vec_push(a, &o->defines) = arg;
		return 0;
	case 'I':
		*vec_push(a, &o->dirs) = arg;
		return 0;
	case 'O':
		return take_level(o, arg);
	case 'd':
		return take_letters(arg);
	case OPT_STATIC:
		o->fb.static_sets = true;
		return 0;
	case OPT_PARTIAL:
		return take_partial(o, arg);
	case OPT_STRICT:
		o->strict = true;
		return 0;
	case OPT_EXPLAIN:
		o->explain = true;
		return 0;
	case OPT_REPORT:
		o->report = arg;
		return 0;
	case OPT_EMIT:
		return take_emit(o, arg);
	case OPT_IR:
		o->ir = arg;
		return 0;
	case OPT_COLOR:
		return take_color(o, arg);
	default:
		return EXIT_INPUT; /* getopt has said what is wrong */
	}
}

/* file with its ending replaced: "a/fw.nft" and ".o" give "a/fw.o". */
static const char *with_ending(struct arena *a, const char *file, const char *ending)
{
	const char *slash = strrchr(file, '/'), *dot = strrchr(file, '.');
	int n = dot && dot != file && (!slash || dot > slash + 1) ? (int)(dot - file)
								  : (int)strlen(file);

	return arena_printf(a, "%.*s%s", n, file, ending);
}

static int check_options(struct options *o, struct arena *a, int argc, char **argv)
{
	if (argc > 1)
		return usage_error("one FILE at a time: '%s' is the second", argv[1]);
	o->file = argc ? argv[0] : NULL;
	if (o->live + o->netlink + !!o->ir > 1)
		return usage_error("--live, --netlink and --ir exclude one another");
	if ((o->live || o->ir) && o->file)
		return usage_error("%s takes no FILE: '%s'", o->live ? "--live" : "--ir", o->file);
	if (!o->live && !o->ir && !o->file)
		return usage_error("no FILE");
	if (!o->object)
		o->object = o->ir			      ? with_ending(a, o->ir, ".o")
			    : o->file && strcmp(o->file, "-") ? with_ending(a, o->file, ".o")
							      : "ruleset.o";
	o->fb.fuse = o->level == OPT_O2;
	if (!o->fallback)
		o->fallback = with_ending(a, o->object, ".fallback.nft");
	return 0;
}

/* -- stages ------------------------------------------------------------------------------------ */

/* Each returns 0 to go on, STAGE_DONE when an --emit is served, or an exit status. */
static const struct {
	const char *name;
	int (*run)(struct run *r);
} stages[] = {
	{ "read", stage_read },		/* text, netlink or the kernel -> ruleset */
	{ "split", stage_split },	/* what stays in nftables, and why -> plan */
	{ "build", stage_build },	/* -> IR */
	{ "optimise", stage_optimise }, /* IR -> IR */
	{ "generate", stage_generate }, /* -> instructions, maps, tables */
	{ "report", stage_report },	/* --explain, --report, --strict */
	{ "write", stage_write },	/* the object and the fallback */
};

static int compile(struct options *o, struct arena *a)
{
	struct run r = { .o = o, .arena = a };
	int rc = 0;

	diag_init(&r.diag, a);
	r.diag.color = o->color;
	for (size_t i = 0; i < ARRAY_SIZE(stages) && !rc; i++) {
		rc = stages[i].run(&r);
		if (!rc && r.diag.errors)
			rc = EXIT_INPUT;
	}
	diag_flush(&r.diag, stderr);
	if (rc == STAGE_DONE)
		rc = fflush(stdout) || ferror(stdout) ? EXIT_INPUT : EXIT_COMPILED;
	return rc;
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct options o = { .level = OPT_O2,
			     .color = isatty(STDERR_FILENO),
			     .fb.can_lower = build_can_lower };
	int c, rc = 0;

	while (!rc && (c = getopt_long(argc, argv, "o:f:nlD:I:O:d:hV", long_options, NULL)) >= 0) {
		if (c == 'h' || c == 'V') {
			fputs(c == 'h' ? usage_text : "nft2bpf " N2B_VERSION "\n", stdout);
			arena_free(a);
			return fflush(stdout) ? EXIT_INPUT : 0;
		}
		rc = take_option(&o, a, c, optarg);
	}
	if (!rc)
		rc = check_options(&o, a, argc - optind, argv + optind);
	if (!rc)
		rc = compile(&o, a);
	arena_free(a);
	return rc;
}
