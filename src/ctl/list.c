// SPDX-License-Identifier: GPL-2.0-or-later
/* nft2bpfctl list: the live ruleset (live.c), printed as `nft list ruleset` prints it. */
#include "ctl.h"
#include "fallback.h"

static int list_one(struct ctl *c, const char *name)
{
	struct fb_print_opts opts = { .elements = true, .listing = true };
	struct manifest *m;
	struct ruleset *rs;
	struct sbuf out;
	char gen;

	pins_set_name(c, name);
	gen = pins_ready(c);
	if (!gen)
		return ctl_error("%s: an earlier command was interrupted; unload or load it again",
				 name);
	m = pins_manifest(c, gen);
	rs = m ? live_ruleset(c, gen, m, true) : NULL;
	if (!rs)
		return 1;
	sb_init(&out, c->arena);
	if (!fb_print_ruleset(rs, &opts, &out))
		return ctl_error("%s: nft has no words for the ruleset", name);
	fputs(out.s, stdout);
	return 0;
}

int cmd_list(struct ctl *c, int argc, char **argv)
{
	const char **names;
	uint32_t n;

	if (argc > 1 || (argc && argv[0][0] == '-'))
		return ctl_error("usage: nft2bpfctl list [N]");
	if (pins_open(c, false))
		return 1;
	n = pins_names(c, &names);
	for (uint32_t i = 0; i < n; i++)
		if (!argc || !strcmp(argv[0], names[i])) {
			if (list_one(c, names[i]))
				return 1;
			if (argc)
				return 0;
		}
	if (argc)
		return ctl_error("%s is not loaded in this network namespace", argv[0]);
	return 0;
}
