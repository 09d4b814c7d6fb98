// SPDX-License-Identifier: GPL-2.0-or-later
/* nft2bpfctl load, replace, unload. */
#include <ctype.h>

#include "ctl.h"

#define NAME_MAX_LEN 64

/* The object's stem, with what bpffs and nft names cannot hold as underscores. */
static const char *stem(struct ctl *c, const char *path)
{
	const char *base = strrchr(path, '/');
	char *s = arena_strdup(c->arena, base ? base + 1 : path), *dot = strrchr(s, '.');

	if (dot && dot != s)
		*dot = '\0';
	for (char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-')
			*p = '_';
	if (strlen(s) > NAME_MAX_LEN)
		s[NAME_MAX_LEN] = '\0';
	return s;
}

static bool good_name(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return n && n <= NAME_MAX_LEN;
}

/* OBJ [--name N] [--replace-tables] */
static int take_args(struct ctl *c, const char *cmd, int argc, char **argv, const char **path)
{
	const char *name = NULL;

	*path = NULL;
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--name") && i + 1 < argc)
			name = argv[++i];
		else if (!strncmp(argv[i], "--name=", 7))
			name = argv[i] + 7;
		else if (!strcmp(argv[i], "--replace-tables") && !strcmp(cmd, "load"))
			c->replace_tables = true;
		else if (argv[i][0] == '-')
			return ctl_error("%s: unknown option %s", cmd, argv[i]);
		else if (*path)
			return ctl_error("%s: one object at a time, %s is the second", cmd,
					 argv[i]);
		else
			*path = argv[i];
	}
	if (!*path)
		return ctl_error("usage: nft2bpfctl %s OBJ [--name N]%s", cmd,
				 strcmp(cmd, "load") ? "" : " [--replace-tables]");
	if (!name)
		name = stem(c, *path);
	if (!good_name(name))
		return ctl_error("%s: a name is 1 to %d letters, digits, '-' and '_', not '%s'",
				 cmd, NAME_MAX_LEN, name);
	if (pins_open(c, true))
		return 1;
	pins_set_name(c, name);
	return 0;
}

static int put_in_force(struct ctl *c, const char *path)
{
	struct ctl_obj o = { 0 };
	char gen;
	int err = state_next(c, &gen) || object_load(c, path, gen, &o) || state_load(c, &o);

	object_close(&o);
	return err;
}

int cmd_load(struct ctl *c, int argc, char **argv)
{
	const char *path;

	if (take_args(c, "load", argc, argv, &path) || state_lock(c) || state_settle(c))
		return 1;
	if (pins_ready(c))
		return ctl_error("%s is loaded already: use replace, or another --name", c->name);
	return put_in_force(c, path);
}

int cmd_replace(struct ctl *c, int argc, char **argv)
{
	const char *path;

	if (take_args(c, "replace", argc, argv, &path) || state_lock(c) || state_settle(c))
		return 1;
	return put_in_force(c, path);
}

int cmd_unload(struct ctl *c, int argc, char **argv)
{
	const char **names;
	uint32_t n;

	if (argc > 1 || (argc && argv[0][0] == '-'))
		return ctl_error("usage: nft2bpfctl unload [N]");
	if (pins_open(c, false) || state_lock(c))
		return 1;
	n = pins_names(c, &names);
	if (!argc && !n)
		return ctl_error("nothing is loaded in this network namespace");
	if (!argc && n > 1)
		return ctl_error("%u rulesets are loaded: say which (nft2bpfctl status)", n);
	pins_set_name(c, argc ? argv[0] : names[0]);
	if (!good_name(c->name))
		return ctl_error("%s is not loaded in this network namespace", c->name);
	return state_unload(c);
}
