// SPDX-License-Identifier: GPL-2.0-or-later
/* The ways between none, whole and fallback (see ctl.h). */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

int state_lock(struct ctl *c)
{
	int fd = open("/proc/self/ns/net", O_RDONLY); /* inherited by nft on purpose */

	(void)c;
	return fd < 0 || flock(fd, LOCK_EX)
		       ? ctl_error("cannot lock the network namespace: %s", strerror(errno))
		       : 0;
}

static struct sbuf script(struct ctl *c)
{
	struct sbuf s;

	sb_init(&s, c->arena);
	return s;
}

/* From anything that the manifest's tables hold to its whole ruleset, in one transaction. */
static int to_whole(struct ctl *c, char gen, const struct manifest *m, struct ruleset *rs)
{
	struct sbuf s = script(c);

	nft_set_marker(c, gen, true, &s);
	nft_delete_tables(c, m, &s);
	return nft_whole(c, m, rs, &s) || nft_run(c, s.s);
}

/* The same with live counters and elements; where nft does not take these, as it was written. */
static int to_live_whole(struct ctl *c, char gen, const struct manifest *m, struct ruleset *live)
{
	if (live && !to_whole(c, gen, m, live))
		return 0;
	if (live)
		ctl_note("%s: going on with the elements that it was compiled with", c->name);
	return to_whole(c, gen, m, NULL);
}

/* From whole to the fallback beside the programs, in one transaction. */
static int to_fallback(struct ctl *c, char gen, const struct manifest *m)
{
	struct sbuf s = script(c);

	nft_set_marker(c, gen, false, &s);
	nft_delete_tables(c, m, &s);
	sb_puts(&s, nft_fallback(c, m));
	return nft_run(c, s.s);
}

static int drop_tables(struct ctl *c, const struct manifest *m)
{
	struct sbuf s = script(c);

	nft_delete_tables(c, m, &s);
	nft_delete_marker(c, &s);
	return aside_wake(c, m, &s) || nft_run(c, s.s);
}

static int count_one(struct ctl *c, const char *file, void *arg)
{
	(void)c;
	(void)file;
	++*(uint32_t *)arg;
	return 0;
}

static uint32_t count_pins(struct ctl *c, char gen, const char *kind)
{
	uint32_t n = 0;

	pins_each(c, gen, kind, count_one, &n);
	return n;
}

/* Every pin of a generation; the manifest goes last: until then a second run knows what to clean. */
static int unpin(struct ctl *c, char gen)
{
	return pins_unlink(c, gen, "ready") || pins_unlink(c, gen, "link") ||
	       pins_unlink(c, gen, "map") || pins_unlink(c, gen, "prog") ||
	       pins_unlink(c, gen, NULL);
}

static int remove_dir(struct ctl *c)
{
	if (rmdir(c->dir) && errno != ENOENT)
		return ctl_error("cannot remove %s: %s", c->dir, strerror(errno));
	rmdir(c->home); /* the last one's */
	return 0;
}

bool state_any(struct ctl *c)
{
	return !access(c->dir, F_OK) || nft_in_force(c).gen;
}

int state_settle(struct ctl *c)
{
	char ready = pins_ready(c), other = ready == 'a' ? 'b' : 'a';
	struct nft_force f = nft_in_force(c);
	struct manifest *m;

	if (!ready)
		return 0;
	if (count_pins(c, other, NULL) && unpin(c, other)) /* it was only being made ready */
		return 1;
	if (f.gen != ready || !f.whole)
		return 0;
	m = pins_manifest(c, ready);
	return m ? to_fallback(c, ready, m) : 1;
}

/* To none from anything: first the whole ruleset, then no program, then no table. */
static int to_none(struct ctl *c)
{
	struct nft_force f = nft_in_force(c);
	struct manifest *m = f.gen ? pins_manifest(c, f.gen) : NULL;

	if (f.gen && !m)
		return ctl_error(
			"nftables holds a table inet nft2bpf-%s, but nothing of that name is "
			"pinned below %s: delete the table, and those of its ruleset",
			c->name, c->home);
	if (m && !f.whole && count_pins(c, f.gen, "link")) {
		struct ruleset *rs = pins_ready(c) == f.gen ? live_ruleset(c, f.gen, m) : NULL;

		if (to_live_whole(c, f.gen, m, rs))
			return 1;
	}
	if (pins_unlink(c, 'a', "ready") || pins_unlink(c, 'b', "ready") ||
	    pins_unlink(c, 'a', "link") || pins_unlink(c, 'b', "link"))
		return 1;
	return (m && drop_tables(c, m)) || unpin(c, 'a') || unpin(c, 'b') || remove_dir(c);
}

int state_unload(struct ctl *c)
{
	if (!state_any(c))
		return ctl_error("%s is not loaded in this network namespace", c->name);
	return to_none(c);
}

static int mark_ready(struct ctl *c, char gen)
{
	return link(pins_path(c, gen, "manifest", NULL), pins_path(c, gen, "ready", NULL))
		       ? ctl_error("cannot mark %s ready: %s", c->name, strerror(errno))
		       : 0;
}

/* -- what the ruleset's first commands would do to others -------------------------------------------- */

static bool names_table(const char *preamble, const char *table)
{
	const char *p = preamble;
	size_t n = strlen(table);

	while ((p = strstr(p, table)))
		if (p[n] == '\n' || p[n] == ';' || p[n] == '\0')
			return true;
		else
			p += n;
	return false;
}

/* "flush ruleset" and the like must not take another loaded ruleset's fallback away from its programs. */
static int spares_others(struct ctl *c, const char *preamble)
{
	const char **names, *self = c->name, *hit = NULL;
	uint32_t n = preamble[0] ? pins_names(c, &names) : 0;

	for (uint32_t i = 0; i < n && !hit; i++) {
		struct manifest *m;
		char gen;

		if (!strcmp(names[i], self))
			continue;
		pins_set_name(c, names[i]);
		gen = pins_ready(c);
		m = gen ? pins_manifest(c, gen) : NULL;
		if (strstr(preamble, "flush ruleset"))
			hit = names[i];
		else if (m)
			vec_foreach(&m->tables, t)
				if (names_table(preamble, nft_full_table(c, m, *t)))
					hit = names[i];
	}
	pins_set_name(c, self);
	if (hit)
		return ctl_error("%s begins by removing tables of %s, which is loaded: unload that "
				 "first, or use replace --name %s",
				 self, hit, hit);
	return 0;
}

/* -- load and replace --------------------------------------------------------------------------------- */

/* From whole(new) to fallback(new). */
static int finish(struct ctl *c, struct ctl_obj *o, char gen)
{
	return object_attach(c, o, gen) || to_fallback(c, gen, o->mf) || mark_ready(c, gen);
}

static int load_first(struct ctl *c, struct ctl_obj *o)
{
	struct sbuf s = script(c);

	if (unpin(c, 'a') || unpin(c, 'b'))
		return 1;
	sb_puts(&s, o->mf->preamble);
	aside_sleep(o->mf, NULL, &s);
	nft_set_marker(c, 'a', true, &s);
	nft_create_tables(c, o->mf, &s);
	if (nft_whole(c, o->mf, NULL, &s) || pins_write_manifest(c, 'a', o->json, o->json_len) ||
	    nft_run(c, s.s)) {
		unpin(c, 'a');
		remove_dir(c);
		return 1;
	}
	if (finish(c, o, 'a')) {
		if (to_none(c))
			ctl_error("%s: what was begun could not be taken back", c->name);
		return 1;
	}
	return 0;
}

static bool has_table(struct ctl *c, const struct manifest *m, const char *table)
{
	vec_foreach(&m->tables, t)
		if (!strcmp(nft_full_table(c, m, *t), table))
			return true;
	return false;
}

/* From whole(old) to whole(new), in one transaction; a table of the user's own stops it. */
static int whole_to_whole(struct ctl *c, const struct manifest *old, const struct manifest *m,
			  char gen, struct sbuf *s)
{
	*s = script(c);
	sb_puts(s, m->preamble);
	nft_set_marker(c, gen, true, s);
	nft_delete_tables(c, old, s);
	aside_sleep(m, old, s);
	vec_foreach(&m->tables, t)
		if (!has_table(c, old, nft_full_table(c, m, *t)))
			sb_printf(s, "create table %s\n", nft_full_table(c, m, *t));
	return nft_whole(c, m, NULL, s);
}

/* Detached, but whole in nftables: attach the programs again. */
static void back(struct ctl *c, char gen, const struct manifest *m)
{
	if (object_reattach(c, m, gen) || to_fallback(c, gen, m) || mark_ready(c, gen))
		ctl_error("%s: the old ruleset stays in force, in nftables alone; replace it again",
			  c->name);
}

static int load_over(struct ctl *c, struct ctl_obj *o, struct nft_force f)
{
	char was = f.gen, now = was == 'a' ? 'b' : 'a';
	struct manifest *old = pins_manifest(c, was);
	struct ruleset *live = NULL;
	struct sbuf s;

	if (!old)
		return 1;
	if (pins_ready(c) == was && !f.whole && !(live = live_ruleset(c, was, old)))
		return 1;
	if (aside_plan(c, o, old) || whole_to_whole(c, old, o->mf, now, &s) || nft_check(c, s.s) ||
	    unpin(c, now) || (live && carry_counters(c, live, o)) ||
	    pins_write_manifest(c, now, o->json, o->json_len))
		return 1;
	if (!f.whole && to_live_whole(c, was, old, live)) {
		unpin(c, now);
		return 1;
	}
	if (pins_unlink(c, was, "ready") || pins_unlink(c, was, "link"))
		return 1;
	if (nft_run(c, s.s)) {
		unpin(c, now);
		back(c, was, old);
		return 1;
	}
	if (unpin(c, was) || finish(c, o, now))
		return ctl_error(
			"%s: the new ruleset is in force, in nftables alone; replace it again",
			c->name);
	return 0;
}

int state_load(struct ctl *c, struct ctl_obj *o)
{
	struct nft_force f = nft_in_force(c);

	if (!c->replace_tables && spares_others(c, o->mf->preamble))
		return 1;
	if (mkdir(c->dir, 0700) && errno != EEXIST)
		return ctl_error("cannot make %s: %s", c->dir, strerror(errno));
	if (f.gen && !pins_has(c, f.gen, "manifest", NULL)) {
		remove_dir(c);
		return ctl_error(
			"nftables holds a table inet nft2bpf-%s, but nothing of that name is "
			"pinned below %s: delete the table, and those of its ruleset, first",
			c->name, c->home);
	}
	if (f.gen)
		return load_over(c, o, f);
	if (pins_ready(c))
		return ctl_error(
			"the tables of %s were taken out of nftables, its programs are still "
			"attached: unload it first",
			c->name);
	if (aside_plan(c, o, NULL) || load_first(c, o)) {
		remove_dir(c);
		return 1;
	}
	return 0;
}
