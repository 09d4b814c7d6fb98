// SPDX-License-Identifier: GPL-2.0-or-later
/* The ways between none, whole and fallback (see ctl.h). */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"

static struct sbuf script(struct ctl *c)
{
	struct sbuf s;

	sb_init(&s, c->arena);
	return s;
}

/* From anything that the manifest's tables hold to its whole ruleset, in one transaction. */
static int to_whole(struct ctl *c, const struct manifest *m)
{
	struct sbuf s = script(c);

	nft_add_marker(c, &s);
	nft_delete_tables(m, &s);
	return nft_whole(c, m, &s) || nft_run(c, s.s);
}

/* From whole to the fallback beside the programs, in one transaction. */
static int to_fallback(struct ctl *c, const struct manifest *m)
{
	struct sbuf s = script(c);

	nft_add_marker(c, &s);
	nft_delete_tables(m, &s);
	sb_puts(&s, m->fallback);
	return nft_run(c, s.s);
}

static int drop_tables(struct ctl *c, const struct manifest *m)
{
	struct sbuf s = script(c);

	if (m)
		nft_delete_tables(m, &s);
	nft_delete_marker(c, &s);
	return nft_run(c, s.s);
}

static bool marked(struct ctl *c)
{
	return nft_table_exists(c, arena_printf(c->arena, "inet nft2bpf-%s", c->name));
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

/* To none from a generation of which anything may be there: first the whole ruleset, then no program, then no table. */
static int gen_to_none(struct ctl *c, char gen)
{
	struct manifest *m = pins_manifest(c, gen);

	if (!m)
		return pins_unlink(c, gen, NULL);
	if (marked(c) && count_pins(c, gen, "link") && to_whole(c, m))
		return 1;
	if (pins_unlink(c, gen, "link"))
		return 1;
	if (marked(c) && drop_tables(c, m))
		return 1;
	/* the manifest goes last: until then a second run knows what to clean */
	return pins_unlink(c, gen, "ready") || pins_unlink(c, gen, "map") ||
	       pins_unlink(c, gen, "prog") || pins_unlink(c, gen, NULL);
}

int state_recover(struct ctl *c)
{
	char ready = pins_ready(c), first = 'a', second = 'b';
	struct stat st;

	if (stat(c->dir, &st))
		return 0;
	if (ready) { /* the other generation was only being made ready */
		char other = ready == 'a' ? 'b' : 'a';

		return count_pins(c, other, NULL) ? pins_unlink(c, other, NULL) : 0;
	}
	ctl_note("%s: an earlier command was interrupted; cleaning up", c->name);
	if (count_pins(c, 'b', "link")) { /* whichever has programs is in force */
		first = 'b';
		second = 'a';
	}
	if (gen_to_none(c, first) || gen_to_none(c, second))
		return 1;
	if (rmdir(c->dir) && errno != ENOENT)
		return ctl_error("cannot remove %s: %s", c->dir, strerror(errno));
	return 0;
}

static int mark_ready(struct ctl *c, struct ctl_obj *o, char gen)
{
	(void)o;
	return link(pins_path(c, gen, "manifest", NULL), pins_path(c, gen, "ready", NULL))
		       ? ctl_error("cannot mark %s ready: %s", c->name, strerror(errno))
		       : 0;
}

int state_load(struct ctl *c, struct ctl_obj *o)
{
	struct sbuf s = script(c);

	if (mkdir(c->dir, 0700) && errno != EEXIST)
		return ctl_error("cannot make %s: %s", c->dir, strerror(errno));
	if (marked(c)) {
		rmdir(c->dir);
		return ctl_error(
			"nftables holds a table inet nft2bpf-%s, but nothing of that name is "
			"pinned below %s: delete the table (and those of its ruleset) first",
			c->name, c->home);
	}
	sb_puts(&s, o->mf->preamble);
	nft_add_marker(c, &s);
	nft_create_tables(o->mf, &s);
	if (nft_whole(c, o->mf, &s) || pins_write_manifest(c, 'a', o->json, o->json_len) ||
	    nft_run(c, s.s)) {
		pins_unlink(c, 'a', NULL);
		rmdir(c->dir);
		return 1;
	}
	if (object_attach(c, o, 'a') || to_fallback(c, o->mf) || mark_ready(c, o, 'a')) {
		if (gen_to_none(c, 'a') || rmdir(c->dir))
			ctl_error("%s: what was begun could not be taken back", c->name);
		return 1;
	}
	return 0;
}

int state_unload(struct ctl *c)
{
	char gen = pins_ready(c);

	if (!gen)
		return ctl_error("%s is not loaded in this network namespace", c->name);
	if (pins_unlink(c, gen, "ready") || gen_to_none(c, gen))
		return 1;
	if (rmdir(c->dir))
		return ctl_error("cannot remove %s: %s", c->dir, strerror(errno));
	return 0;
}

/* -- replace --------------------------------------------------------------------------------------- */

static bool same_state(const struct mf_state *a, const struct mf_state *b)
{
	if (a->kind != b->kind || strcmp(a->family, b->family) != 0 ||
	    strcmp(a->table, b->table) != 0 || !a->object != !b->object || !a->chain != !b->chain)
		return false;
	if (a->object)
		return !strcmp(a->object, b->object);
	return a->chain && !strcmp(a->chain, b->chain) && a->expr == b->expr && a->same &&
	       b->same && !strcmp(a->same, b->same);
}

/* Carries counters over where the rule is the same; each old state is used once, in order. */
static void carry_over(struct ctl *c, struct manifest *old, char gen, struct ctl_obj *o)
{
	bool *used = arena_array(c->arena, bool, old->states.n);

	vec_foreach(&o->mf->states, s) {
		struct bpf_map *map = bpf_object__find_map_by_name(o->bpf, s->map);

		for (uint32_t i = 0; i < old->states.n && map; i++) {
			const struct mf_state *was = &old->states.v[i];
			uint64_t v[2];
			int fd;

			if (used[i] || s->kind != MF_COUNTER || !same_state(was, s))
				continue;
			used[i] = true;
			fd = pins_map_fd(c, gen, was->map);
			if (fd >= 0 && !map_read_u64s(fd, was->index, v, 2))
				map_write_u64s(bpf_map__fd(map), s->index, v, 2);
			if (fd >= 0)
				close(fd);
			break;
		}
	}
}

/* From whole(old) to whole(new), in one transaction. */
static int whole_to_whole(struct ctl *c, const struct manifest *old, struct ctl_obj *o)
{
	struct sbuf s = script(c);

	nft_add_marker(c, &s);
	nft_delete_tables(old, &s);
	nft_delete_tables(o->mf, &s);
	return nft_whole(c, o->mf, &s) || nft_run(c, s.s);
}

int state_replace(struct ctl *c, struct ctl_obj *o)
{
	char was = pins_ready(c), now = was == 'a' ? 'b' : 'a';
	struct manifest *old = was ? pins_manifest(c, was) : NULL;

	if (!was)
		return ctl_error("%s is not loaded in this network namespace: use load", c->name);
	if (!old)
		return 1;
	vec_foreach(&o->mf->tables, t) { /* a table of the user's own must not be swept away */
		bool ours = false;

		vec_foreach(&old->tables, u)
			ours |= !strcmp(*t, *u);
		if (!ours && nft_table_exists(c, *t))
			return ctl_error("table %s exists already and is not part of %s", *t,
					 c->name);
	}
	if (pins_write_manifest(c, now, o->json, o->json_len) || to_whole(c, old)) {
		pins_unlink(c, now, NULL);
		return 1;
	}
	if (pins_unlink(c, was, "ready") || pins_unlink(c, was, "link"))
		return 1;
	carry_over(c, old, was, o);
	if (whole_to_whole(c, old, o)) { /* old is whole in nftables: say so and keep it there */
		ctl_error("%s: the old ruleset stays in force, in nftables alone; load again",
			  c->name);
		return 1;
	}
	if (pins_unlink(c, was, NULL) || object_attach(c, o, now) || to_fallback(c, o->mf) ||
	    mark_ready(c, o, now))
		return ctl_error(
			"%s: the new ruleset is in force, in nftables alone; run replace again",
			c->name);
	return 0;
}
