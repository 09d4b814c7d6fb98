// SPDX-License-Identifier: GPL-2.0-or-later
/* nft2bpfctl: loads what nft2bpf made, and what belongs to that. */
#include <errno.h>
#include <unistd.h>

#include "ctl.h"

static const struct {
	const char *name;
	int (*run)(struct ctl *c, int argc, char **argv);
	const char *args, *what;
} commands[] = {
	{ "load", cmd_load, "OBJ [--name N] [--replace-tables]",
	  "load and attach an object in this network namespace" },
	{ "replace", cmd_replace, "OBJ [--name N]", "put an object in place of a loaded one" },
	{ "unload", cmd_unload, "[N]", "detach, unpin, take the fallback out" },
	{ "status", cmd_status, "[N] [--json]", "what is loaded and where it runs" },
	{ "list", cmd_list, "[N]", "the original ruleset with live counters and elements" },
	{ "set", cmd_set, "N TABLE SET add|delete|flush|list ELEMENT...", "change a mutable set" },
	{ "dump", cmd_dump, "[-o FILE]", "save the running ruleset as a raw netlink stream" },
};

int ctl_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("nft2bpfctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return 1;
}

void ctl_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("nft2bpfctl: note: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static void usage(FILE *f)
{
	fputs("usage: nft2bpfctl COMMAND\n\n", f);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-8s %-46s %s\n", commands[i].name, commands[i].args,
			commands[i].what);
	fputs("\nDetails: nft2bpfctl(8)\n", f);
}

/*
 * libbpf's warnings say why the kernel refuses an object (the verifier's log): they go to the user,
 * the rest does not.
 */
static int libbpf_says(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

int main(int argc, char **argv)
{
	struct ctl c = { .arena = arena_new() };
	int rc = 1;

	if (argc < 2) {
		usage(stderr);
	} else if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") ||
		   !strcmp(argv[1], "help")) {
		usage(stdout);
		rc = 0;
	} else if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		puts("nft2bpfctl " N2B_VERSION);
		rc = 0;
	} else {
		size_t i = 0;

		while (i < ARRAY_SIZE(commands) && strcmp(argv[1], commands[i].name) != 0)
			i++;
		libbpf_set_print(libbpf_says);
		rc = i < ARRAY_SIZE(commands)
			     ? commands[i].run(&c, argc - 2, argv + 2)
			     : ctl_error("unknown command %s; nft2bpfctl --help lists them",
					 argv[1]);
	}
	arena_free(c.arena);
	return rc;
}
