// SPDX-License-Identifier: GPL-2.0-or-later
/* The ways between none, whole and fallback (see ctl.h). */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "frontend.h"

int state_lock(struct ctl *c)
{
	int fd = open("/proc/self/ns/net", O_RDONLY); /* inherited by nft on purpose */

	(void)c;
	return fd < 0 || flock(fd, LOCK_EX)
		       ? ctl_error("cannot lock the network namespace: %s", strerror(errno))
		       : 0;
}

static struct nft_script script(struct ctl *c)
{
	struct nft_script s = { 0 };

	sb_init(&s.s, c->arena);
	return s;
}

/* From anything that the manifest's tables hold to its whole ruleset, in one transaction. */
static int to_whole(struct ctl *c, char gen, const struct manifest *m, struct ruleset *rs)
{
	struct nft_script s = script(c);

	nft_set_marker(c, gen, true, &s.s);
	nft_delete_tables(c, m, &s.s);
	return nft_whole(c, m, rs, &(struct mapsrc){ .gen = gen }, &s) || nft_commit(c, &s);
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
	struct nft_script s = script(c);

	nft_set_marker(c, gen, false, &s.s);
	nft_delete_tables(c, m, &s.s);
	return nft_fallback(c, m, &s.s) || nft_run(c, s.s.s);
}

static int drop_tables(struct ctl *c, const struct manifest *m)
{
	struct nft_script s = script(c);

	nft_delete_tables(c, m, &s.s);
	nft_delete_marker(c, &s.s);
	return aside_wake(c, m, &s.s) || nft_run(c, s.s.s);
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

/*
 * Every pin of a generation; the manifest goes last: until then a second run knows what to clean.
 */
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

static int mark_ready(struct ctl *c, char gen)
{
	return link(pins_path(c, gen, "manifest", NULL), pins_path(c, gen, "ready", NULL))
		       ? ctl_error("cannot mark %s ready: %s", c->name, strerror(errno))
		       : 0;
}

/* From programs that stand for everything to none: one write. */
static int fall_asleep(struct ctl *c, char gen)
{
	return pins_unlink(c, gen, "ready") || object_force(c, gen, false);
}

/*
 * What is in force, of which a program may be a part, comes to be in nftables as a whole, or goes.
 */
static int leave_programs(struct ctl *c, char gen, const struct manifest *m)
{
	struct ruleset *rs;

	if (!count_pins(c, gen, "link") || object_in_force(c, gen) != gen)
		return 0;
	if (m->fallback_idle && !*m->prefix)
		return fall_asleep(c, gen);
	rs = pins_ready(c) == gen ? live_ruleset(c, gen, m, true) : NULL;
	return to_live_whole(c, gen, m, rs);
}

/*
 * A replacement by one write (switch_over) was interrupted when nftables knew of the new generation
 * already, but the programs did not: back to the old one.
 */
static int undo_switch(struct ctl *c, struct nft_force *f)
{
	char now = f->gen && !f->whole ? object_in_force(c, f->gen) : 0;
	struct manifest *m;

	if (!now || now == f->gen || !pins_has(c, now, "manifest", NULL))
		return 0;
	m = pins_manifest(c, now);
	if (!m || to_fallback(c, now, m) || unpin(c, f->gen))
		return 1;
	f->gen = now;
	return 0;
}

/*
 * To none from anything: first the whole ruleset or sleeping programs, then no program, then no
 * table.
 */
static int to_none(struct ctl *c)
{
	struct nft_force f;
	struct manifest *m;

	if (nft_in_force(c, &f) || undo_switch(c, &f))
		return 1;
	m = f.gen ? pins_manifest(c, f.gen) : NULL;
	if (f.gen && !m)
		return ctl_error(
			"nftables holds a table inet nft2bpf-%s, but nothing of that name is "
			"pinned below %s: delete the table, and those of its ruleset",
			c->name, c->home);
	if (m && !f.whole && leave_programs(c, f.gen, m))
		return 1;
	if (pins_unlink(c, 'a', "ready") || pins_unlink(c, 'b', "ready") ||
	    pins_unlink(c, 'a', "link") || pins_unlink(c, 'b', "link"))
		return 1;
	return (m && drop_tables(c, m)) || unpin(c, 'a') || unpin(c, 'b') || remove_dir(c);
}

/*
 * Nothing is marked ready: a command was interrupted just before or behind that, or somewhere on
 * its way.
 */
static int settle_unready(struct ctl *c, struct nft_force f)
{
	struct manifest *m;

	if (!f.gen || f.whole)
		return 0;
	if (object_in_force(c, f.gen) != f.gen)
		return to_none(c);
	m = pins_manifest(c, f.gen);
	return m && count_pins(c, f.gen, "link") == m->progs.n ? mark_ready(c, f.gen) : 0;
}

/* The programs of `now` are in force instead of those of `was`, which go. */
static int end_switch(struct ctl *c, char was, char now)
{
	return pins_unlink(c, was, "ready") || mark_ready(c, now) || unpin(c, was);
}

int state_settle(struct ctl *c)
{
	char ready = pins_ready(c), other = ready == 'a' ? 'b' : 'a';
	struct nft_force f;
	struct manifest *m;

	if (nft_in_force(c, &f) || undo_switch(c, &f))
		return 1;
	if (!ready)
		return settle_unready(c, f);
	if (f.gen == other && !f.whole && object_in_force(c, other) == other)
		return end_switch(c, ready, other);
	if (count_pins(c, other, NULL) && unpin(c, other)) /* it was only being made ready */
		return 1;
	if (f.gen != ready || !f.whole)
		return 0;
	m = pins_manifest(c, ready);
	return m ? to_fallback(c, ready, m) : 1;
}

int state_next(struct ctl *c, char *gen)
{
	struct nft_force f;

	if (nft_in_force(c, &f))
		return 1;
	*gen = f.gen == 'a' ? 'b' : 'a';
	return 0;
}

int state_unload(struct ctl *c)
{
	struct nft_force f;

	if (nft_in_force(c, &f))
		return 1;
	if (access(c->dir, F_OK) && !f.gen)
		return ctl_error("%s is not loaded in this network namespace", c->name);
	return to_none(c);
}

/* -- what the ruleset's first commands would do to others -------------------------------------- */

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

/*
 * "flush ruleset" and the like must not take another loaded ruleset's fallback away from its
 * programs.
 */
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

/* -- load and replace -------------------------------------------------------------------------- */

/* From whole(new) to fallback(new). */
static int finish(struct ctl *c, struct ctl_obj *o, char gen)
{
	return object_attach(c, o, gen) || object_force(c, gen, true) ||
	       to_fallback(c, gen, o->mf) || mark_ready(c, gen);
}

static bool has_table(struct ctl *c, const struct manifest *m, const char *table)
{
	vec_foreach(&m->tables, t)
		if (!strcmp(nft_full_table(c, m, *t), table))
			return true;
	return false;
}

/*
 * Whether nftables filters nothing of the ruleset: no chain of the fallback has a hook, no table is
 * put to sleep or woken, and the commands that the ruleset begins with remove nothing but what
 * `old` (NULL: nothing) has there.
 */
static bool without_nft(struct ctl *c, const struct manifest *m, const struct manifest *old)
{
	const char *marker = arena_printf(c->arena, "nft2bpf-%s", c->name);
	struct ruleset *live;
	struct diag d;

	if (!m->fallback_idle || *m->prefix || (old && (!old->fallback_idle || *old->prefix)))
		return false;
	if (!m->preamble[0])
		return true;
	diag_init(&d, c->arena);
	live = frontend_read_live(c->arena, &d);
	if (!live)
		return false;
	vec_foreach(&live->tables, t) {
		const char *fam = family_name((*t)->family), *name = (*t)->name;

		if (strcmp(name, marker) != 0 &&
		    !(old && has_table(c, old, arena_printf(c->arena, "%s %s", fam, name))))
			return false;
	}
	return true;
}

/*
 * Makes the tables that old (NULL: none) does not have, to see that they are nobody else's, and
 * deletes them: the text behind makes them anew. A table that is awake in a transaction cannot be
 * put to sleep in it and get chains.
 */
static void claim_tables(struct ctl *c, const struct manifest *old, const struct manifest *m,
			 struct sbuf *s)
{
	vec_foreach(&m->tables, t) {
		const char *name = nft_full_table(c, m, *t);

		if (!old || !has_table(c, old, name))
			sb_printf(s, "create table %s\ndelete table %s\n", name, name);
	}
}

/* none -> asleep -> in force */
static int load_direct(struct ctl *c, struct ctl_obj *o)
{
	struct nft_script s = script(c);

	nft_set_marker(c, 'a', false, &s.s);
	claim_tables(c, NULL, o->mf, &s.s);
	return nft_fallback(c, o->mf, &s.s) || pins_write_manifest(c, 'a', o->json, o->json_len) ||
	       object_attach(c, o, 'a') || nft_run(c, s.s.s) || object_force(c, 'a', true) ||
	       mark_ready(c, 'a');
}

/* none -> whole -> fallback */
static int load_by_whole(struct ctl *c, struct ctl_obj *o)
{
	struct nft_script s = script(c);

	sb_puts(&s.s, o->mf->preamble);
	aside_sleep(o->mf, NULL, &s.s);
	nft_set_marker(c, 'a', true, &s.s);
	claim_tables(c, NULL, o->mf, &s.s);
	return nft_whole(c, o->mf, NULL, &(struct mapsrc){ .o = o->bpf }, &s) ||
	       pins_write_manifest(c, 'a', o->json, o->json_len) || nft_commit(c, &s) ||
	       finish(c, o, 'a');
}

static int load_first(struct ctl *c, struct ctl_obj *o)
{
	if (unpin(c, 'a') || unpin(c, 'b'))
		return 1;
	if (!(without_nft(c, o->mf, NULL) ? load_direct(c, o) : load_by_whole(c, o)))
		return 0;
	if (to_none(c))
		ctl_error("%s: what was begun could not be taken back", c->name);
	return 1;
}

/* From whole(old) to whole(new), in one transaction; a table of the user's own stops it. */
static int whole_to_whole(struct ctl *c, const struct manifest *old, const struct manifest *m,
			  const struct mapsrc *from, char gen, struct nft_script *s)
{
	*s = script(c);
	sb_puts(&s->s, m->preamble);
	nft_set_marker(c, gen, true, &s->s);
	nft_delete_tables(c, old, &s->s);
	aside_sleep(m, old, &s->s);
	claim_tables(c, old, m, &s->s);
	return nft_whole(c, m, NULL, from, s);
}

/* Detached, but whole in nftables: attach the programs again. */
static void back(struct ctl *c, char gen, const struct manifest *m)
{
	if (object_reattach(c, m, gen) || to_fallback(c, gen, m) || mark_ready(c, gen))
		ctl_error("%s: the old ruleset stays in force, in nftables alone; replace it again",
			  c->name);
}

/* The last steps before the switch: counters go over as late as can be. */
static int switch_now(struct ctl *c, struct ctl_obj *o, char was, const struct manifest *old)
{
	struct ruleset *live = live_ruleset(c, was, old, false);

	return !live || carry_counters(c, live, o) ||
	       pins_write_manifest(c, o->gen, o->json, o->json_len) ||
	       object_force(c, o->gen, true);
}

/*
 * Direct to direct: the new programs are attached asleep beside the old ones, and one write changes
 * from these to those. 2: there is no room beside the old ones on some hook.
 */
static int replace_directly(struct ctl *c, struct ctl_obj *o, char was, const struct manifest *old)
{
	struct nft_script s = script(c);
	char now = o->gen;
	int err;

	nft_set_marker(c, now, false, &s.s);
	nft_delete_tables(c, old, &s.s);
	claim_tables(c, old, o->mf, &s.s);
	if (nft_fallback(c, o->mf, &s.s) || unpin(c, now))
		return 1;
	o->beside = true;
	err = object_attach(c, o, now);
	o->beside = false;
	if (!err)
		err = nft_run(c, s.s.s);
	if (err) {
		unpin(c, now);
		return err;
	}
	if (!switch_now(c, o, was, old))
		return end_switch(c, was, now);
	if (to_fallback(c, was, old) || unpin(c, now))
		ctl_error("%s: what was begun could not be taken back", c->name);
	return 1;
}

static int replace_by_whole(struct ctl *c, struct ctl_obj *o, struct nft_force f,
			    const struct manifest *old)
{
	char was = f.gen, now = o->gen;
	struct ruleset *live = NULL;
	struct nft_script s;

	if (pins_ready(c) == was && !f.whole && !(live = live_ruleset(c, was, old, true)))
		return 1;
	if (whole_to_whole(c, old, o->mf, &(struct mapsrc){ .o = o->bpf }, now, &s) ||
	    nft_check(c, &s) || unpin(c, now) || (live && carry_counters(c, live, o)) ||
	    pins_write_manifest(c, now, o->json, o->json_len))
		return 1;
	if (!f.whole && to_live_whole(c, was, old, live)) {
		unpin(c, now);
		return 1;
	}
	if (pins_unlink(c, was, "ready") || pins_unlink(c, was, "link"))
		return 1;
	if (nft_commit(c, &s)) {
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

static int load_over(struct ctl *c, struct ctl_obj *o, struct nft_force f)
{
	struct manifest *old = pins_manifest(c, f.gen);
	int err = 2;

	if (!old || aside_plan(c, o, old))
		return 1;
	if (pins_ready(c) == f.gen && !f.whole && without_nft(c, o->mf, old) &&
	    object_in_force(c, f.gen) == f.gen)
		err = replace_directly(c, o, f.gen, old);
	return err == 2 ? replace_by_whole(c, o, f, old) : err;
}

int state_load(struct ctl *c, struct ctl_obj *o)
{
	struct nft_force f;

	if (nft_in_force(c, &f))
		return 1;
	if (!c->replace_tables && spares_others(c, o->mf->preamble))
		return 1;
	if (pins_open(c, true))
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
