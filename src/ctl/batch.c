// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * batch: a transaction sent to the kernel as netlink messages: it holds extensions of iptables,
 * which nft cannot load, words that the nft at hand is too old for, or sets so large that nft takes
 * seconds to read them.
 *
 * The script is one that this program has put together: commands on whole tables, a line each, then
 * tables with what is in them, as nft2bpf prints them, if they are not given as a ruleset. The
 * lines become messages one by one; the tables are read into a ruleset, and that is written.
 */
#include <errno.h>
#include <stdlib.h>

#include "ctl.h"
#include "frontend.h"
#include "nlwrite.h"

static bool family_of(const char *word, enum family *f)
{
	static const enum family all[] = { FAM_IP,     FAM_IP6,	   FAM_INET,
					   FAM_BRIDGE, FAM_NETDEV, FAM_ARP };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!strcmp(family_name(all[i]), word)) {
			*f = all[i];
			return true;
		}
	return false;
}

/* One line before the tables; false: it is no such command. */
static bool command(struct nlw *w, const char *line)
{
	char verb[16], object[16], fam[16] = "", name[256] = "", chain[256] = "";
	int n = sscanf(line, "%15s %15s %15s %255s %255s", verb, object, fam, name, chain);
	enum family f;

	if (n == 2 && !strcmp(verb, "flush") && !strcmp(object, "ruleset")) {
		nlw_flush(w, 0);
		return true;
	}
	if (n < 3 || !family_of(fam, &f))
		return false;
	if (n == 3 && !strcmp(verb, "flush") && !strcmp(object, "ruleset")) {
		nlw_flush(w, (uint8_t)f);
		return true;
	}
	if (n == 5 && !strcmp(verb, "add") && !strcmp(object, "table") && *chain == '{') {
		nlw_table_cmd(w, strstr(line, "dormant") ? NLW_SLEEP : NLW_WAKE, f, name);
		return true;
	}
	if (n == 5 && !strcmp(verb, "add") && !strcmp(object, "chain")) {
		nlw_plain_chain(w, f, name, chain);
		return true;
	}
	if (n != 4 || strcmp(object, "table") != 0)
		return false;
	if (!strcmp(verb, "add") || !strcmp(verb, "destroy"))
		nlw_table_cmd(w, NLW_ADD, f, name);
	if (!strcmp(verb, "create"))
		nlw_table_cmd(w, NLW_CREATE, f, name);
	if (!strcmp(verb, "delete") || !strcmp(verb, "destroy"))
		nlw_table_cmd(w, NLW_DELETE, f, name);
	return !strcmp(verb, "add") || !strcmp(verb, "create") || !strcmp(verb, "delete") ||
	       !strcmp(verb, "destroy");
}

/* Up to the first table; NULL after an error line. */
static const char *commands(struct ctl *c, struct nlw *w, const char *script)
{
	const char *p = script;

	for (size_t n; *p && strncmp(p, "table ", 6) != 0; p += n + (p[n] == '\n')) {
		n = strcspn(p, "\n");
		if (n && *p != '#' && !command(w, arena_strndup(c->arena, p, n))) {
			ctl_error("a ruleset that nft cannot load cannot begin with: %.*s", (int)n,
				  p);
			return NULL;
		}
	}
	return p;
}

static bool whole_batch(struct ctl *c, struct nlw *w, const char *script, struct ruleset *rs,
			bool commit)
{
	struct diag d;
	const char *tables;
	bool good;

	diag_init(&d, c->arena);
	nlw_begin(w, c->arena, &d);
	tables = commands(c, w, script);
	if (!tables)
		return false;
	if (!rs)
		rs = frontend_read_buffer(c->arena, &d, "(the object's ruleset)", tables,
					  strlen(tables));
	good = rs && nlw_ruleset(w, rs);
	if (!good) {
		diag_flush(&d, stderr);
		ctl_error("the object's ruleset cannot be handed to the kernel");
	}
	nlw_end(w, commit);
	return good;
}

bool batch_can(struct ctl *c, const struct ruleset *rs)
{
	struct diag d;
	struct nlw w;

	diag_init(&d, c->arena);
	nlw_begin(&w, c->arena, &d);
	w.no_elements = true;
	return nlw_ruleset(&w, rs);
}

int batch_run(struct ctl *c, const char *script, struct ruleset *tables, bool commit)
{
	const char *what;
	uint32_t seq = 0;
	struct nlw w;
	int err;

	if (!whole_batch(c, &w, script, tables, commit))
		return 1;
	err = nlw_send(&w, &seq);
	if (!err)
		return 0;
	what = nlw_what(&w, seq);
	return ctl_error("nf_tables %s: %s%s%s",
			 commit ? "refuses the transaction; nothing of it is in force"
				: "would refuse the transaction; nothing is changed",
			 what ? what : "", what ? ": " : "", strerror(err));
}
