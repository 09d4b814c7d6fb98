// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nft2bpfctl set: changes a mutable set, in the map that the programs look up and in the nft tables beside them.
 *
 * The elements are read by the text front end, as part of a script that declares the set. nft goes first: it refuses the whole command or
 * takes it; then the map is changed, and what cannot be done there is undone.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#include "ctl.h"
#include "fallback.h"
#include "frontend.h"

enum set_op { SET_OP_ADD, SET_OP_DELETE, SET_OP_FLUSH, SET_OP_LIST, SET_OP_NONE };
static const char *const ops[] = { "add", "delete", "flush", "list" };

struct job {
	struct ctl *c;
	char gen;
	const struct manifest *m;
	struct ruleset *rs; /* the original */
	struct set *set;
	const struct mf_set *ms; /* NULL: only nft has it */
	enum set_op op;
	const char *text; /* "{ ... }" */
	int fd;
};

static enum set_op find_op(const char *word)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(ops) && strcmp(ops[i], word) != 0)
		i++;
	return (enum set_op)i;
}

/* The named set of the tables of that name, and of that family if one is given; NULL after an error line. */
static struct set *find_set(const struct ruleset *rs, const char *family, const char *table,
			    const char *name)
{
	struct set *hit = NULL;
	bool any = false;

	vec_foreach(&rs->tables, t) {
		struct set *s;

		if (strcmp((*t)->name, table) != 0 ||
		    (family && strcmp(family_name((*t)->family), family) != 0))
			continue;
		any = true;
		s = table_set(*t, name);
		if (!s || s->flags & SET_ANONYMOUS)
			continue;
		if (hit) {
			ctl_error("set %s is in %s %s and in %s %s: say which, as FAMILY/TABLE",
				  name, family_name(hit->table->family), table,
				  family_name((*t)->family), table);
			return NULL;
		}
		hit = s;
	}
	if (!hit && any)
		ctl_error("table %s has no set or map %s", table, name);
	else if (!hit)
		ctl_error("the ruleset has no table %s%s%s", family ? family : "",
			  family ? " " : "", table);
	return hit;
}

/* The arguments as one list in braces. */
static const char *elements(struct ctl *c, int argc, char **argv)
{
	struct sbuf s;

	sb_init(&s, c->arena);
	for (int i = 0; i < argc; i++)
		sb_printf(&s, "%s%s", i ? ", " : "", argv[i]);
	if (!s.n)
		return NULL;
	return s.s[0] == '{' ? s.s : arena_printf(c->arena, "{ %s }", s.s);
}

/* The set with these elements alone, as the front end understands them; NULL after error lines. */
static struct set *read_elements(struct job *j)
{
	struct fb_print_opts opts = { .zero = true };
	const struct table *t = j->set->table;
	const char *family = family_name(t->family);
	struct ruleset *rs;
	struct diag d;
	struct sbuf s;

	sb_init(&s, j->c->arena);
	sb_printf(&s, "table %s %s {\n", family, t->name);
	vec_foreach(&t->chains, ch)
		sb_printf(&s, "\tchain %s {\n\t}\n", (*ch)->name);
	vec_foreach(&t->objs, o)
		if (j->set->flags & SET_OBJECT && !fb_print_obj(*o, &opts, &s))
			return NULL;
	if (!fb_print_set(j->set, &opts, &s)) {
		ctl_error("nft has no words for set %s", j->set->name);
		return NULL;
	}
	sb_printf(&s, "}\nadd element %s %s %s %s\n", family, t->name, j->set->name, j->text);
	diag_init(&d, j->c->arena);
	rs = frontend_read_buffer(j->c->arena, &d, "(elements)", s.s, s.n);
	if (!rs) {
		diag_flush(&d, stderr);
		ctl_error("set %s: these are no elements for it: %s", j->set->name, j->text);
		return NULL;
	}
	return table_set(rs->tables.v[0], j->set->name);
}

/* -- the nft side ---------------------------------------------------------------------------------- */

static bool in_nft(struct job *j, bool *has)
{
	const struct table *t = j->set->table;
	struct table *lt;
	struct ruleset *live;
	struct diag d;

	*has = false;
	if (j->m->fallback_empty)
		return true;
	diag_init(&d, j->c->arena);
	live = frontend_read_live(j->c->arena, &d);
	if (!live) {
		diag_flush(&d, stderr);
		ctl_error("cannot read what nftables holds");
		return false;
	}
	lt = live_table(live, family_name(t->family), t->name);
	*has = lt && table_set(lt, j->set->name);
	return true;
}

static int change_nft(struct job *j, enum set_op op)
{
	const struct table *t = j->set->table;
	bool map = j->set->flags & (SET_MAP | SET_OBJECT);
	struct sbuf s;

	sb_init(&s, j->c->arena);
	if (op == SET_OP_FLUSH)
		sb_printf(&s, "flush %s %s %s %s\n", map ? "map" : "set", family_name(t->family),
			  t->name, j->set->name);
	else
		sb_printf(&s, "%s element %s %s %s %s\n", ops[op], family_name(t->family), t->name,
			  j->set->name, j->text);
	return nft_run(j->c, s.s);
}

/* -- the map --------------------------------------------------------------------------------------- */

struct change {
	uint8_t *key, *value;
	bool there; /* already */
};
struct changes {
	VEC(struct change) v;
};

static bool live_value(struct job *j, const uint8_t *key, uint8_t *v)
{
	uint64_t expiry;

	if (bpf_map_lookup_elem(j->fd, key, v))
		return false;
	memcpy(&expiry, v, 8);
	return !expiry || expiry > setmap_now();
}

/* What the command means for the map, checked against what is there. */
static int plan_changes(struct job *j, const struct set *elems, struct changes *todo)
{
	vec_foreach(&elems->elems, e) {
		struct setmap_keys keys = { 0 };
		uint8_t *v = NULL, *was = arena_alloc(j->c->arena, j->ms->value_len);

		if (!setmap_keys(j->c, j->ms, *e, &keys))
			return ctl_error("set %s: the programs' map cannot hold this element",
					 j->set->name);
		if (j->op == SET_OP_ADD && !(v = setmap_value(j->c, j->ms, j->set, *e)))
			return 1;
		vec_foreach(&keys.k, k) {
			bool there = live_value(j, k->b, was);
			struct change *ch;

			if (j->op == SET_OP_DELETE && !there)
				return ctl_error("set %s has no such element", j->set->name);
			if (j->op == SET_OP_ADD && there && j->ms->data_words &&
			    memcmp(was + 8, v + 8, 4 * (size_t)j->ms->data_words) != 0)
				return ctl_error("map %s has the element already, with other data",
						 j->set->name);
			ch = vec_push(j->c->arena, &todo->v);
			ch->key = arena_dup(j->c->arena, k->b, j->ms->key_len);
			ch->value = v;
			ch->there = there;
		}
	}
	return 0;
}

static void undo(struct job *j, struct changes *todo, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!todo->v.v[i].there)
			bpf_map_delete_elem(j->fd, todo->v.v[i].key);
}

static int apply(struct job *j, struct changes *todo)
{
	for (uint32_t i = 0; i < todo->v.n; i++) {
		struct change *ch = &todo->v.v[i];

		if (j->op == SET_OP_DELETE) {
			bpf_map_delete_elem(j->fd, ch->key);
		} else if (!ch->there && bpf_map_update_elem(j->fd, ch->key, ch->value, BPF_ANY)) {
			int err = errno;

			undo(j, todo, i);
			return ctl_error("set %s: %s", j->set->name,
					 err == E2BIG || err == ENOSPC || err == ENOMEM
						 ? "it is full"
						 : strerror(err));
		}
	}
	return 0;
}

static void flush_map(struct job *j)
{
	uint8_t *key = arena_alloc(j->c->arena, j->ms->key_len);

	while (!bpf_map_get_next_key(j->fd, NULL, key))
		if (bpf_map_delete_elem(j->fd, key))
			break;
}

/* -- the command ----------------------------------------------------------------------------------- */

static int change(struct job *j)
{
	const struct set *elems = j->op == SET_OP_FLUSH ? NULL : read_elements(j);
	struct changes todo = { 0 };
	bool nft;

	if (j->op != SET_OP_FLUSH && !elems)
		return 1;
	if (j->ms && !j->ms->map)
		return ctl_error("set %s is constant: its elements are compiled in", j->set->name);
	if (!in_nft(j, &nft))
		return 1;
	if (!nft && !j->ms)
		return ctl_error("no rule reads set %s: it was left out", j->set->name);
	if (j->ms) {
		j->fd = pins_map_fd(j->c, j->gen, j->ms->map);
		if (j->fd < 0)
			return ctl_error("cannot open map %s: %s", j->ms->map, strerror(-j->fd));
		if (elems && plan_changes(j, elems, &todo))
			return 1;
	}
	if (nft && change_nft(j, j->op))
		return 1;
	if (j->ms && j->op == SET_OP_FLUSH)
		flush_map(j);
	else if (j->ms && apply(j, &todo)) {
		if (nft)
			change_nft(j, SET_OP_DELETE);
		return 1;
	}
	return 0;
}

static int list_set(struct job *j, const char *name)
{
	struct fb_print_opts opts = { .elements = true };
	const char *family = family_name(j->set->table->family), *table = j->set->table->name;
	struct ruleset *rs = live_ruleset(j->c, j->gen, j->m);
	struct table *t = rs ? live_table(rs, family, table) : NULL;
	struct set *s = t ? table_set(t, name) : NULL;
	struct sbuf out;

	if (!s)
		return 1;
	sb_init(&out, j->c->arena);
	sb_printf(&out, "table %s %s {\n", family, table);
	if (!fb_print_set(s, &opts, &out))
		return ctl_error("nft has no words for set %s", name);
	printf("%s}\n", out.s);
	return 0;
}

int cmd_set(struct ctl *c, int argc, char **argv)
{
	struct job j = { .c = c, .fd = -1 };
	const char *family = NULL, *table, *slash;
	int at = argc > 4 && find_op(argv[3]) == SET_OP_NONE ? 4 : 3, err;
	struct diag d;

	j.op = argc > at ? find_op(argv[at]) : SET_OP_NONE;
	if (j.op == SET_OP_NONE || (j.op <= SET_OP_DELETE) != (argc > at + 1))
		return ctl_error(
			"usage: nft2bpfctl set N [FAMILY] TABLE SET add|delete ELEMENT... | "
			"flush | list");
	table = argv[at - 2];
	slash = strchr(table, '/');
	if (at == 4)
		family = argv[1];
	else if (slash) {
		family = arena_strndup(c->arena, table, (size_t)(slash - table));
		table = slash + 1;
	}
	if (pins_open(c, false) || state_lock(c))
		return 1;
	pins_set_name(c, argv[0]);
	if (state_settle(c))
		return 1;
	j.gen = pins_ready(c);
	if (!j.gen)
		return ctl_error("%s is not loaded in this network namespace", c->name);
	j.m = pins_manifest(c, j.gen);
	j.rs = j.m ? manifest_ruleset(c, j.m, &d) : NULL;
	j.set = j.rs ? find_set(j.rs, family, table, argv[at - 1]) : NULL;
	if (!j.set)
		return 1;
	j.ms = setmap_find(j.m, j.set);
	if (j.op == SET_OP_LIST)
		return list_set(&j, argv[at - 1]);
	j.text = elements(c, argc - at - 1, argv + at + 1);
	err = change(&j);
	if (j.fd >= 0)
		close(j.fd);
	return err;
}
