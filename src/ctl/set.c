// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nft2bpfctl set: changes a mutable set, in the map that the programs look up and in the nft tables
 * beside them.
 *
 * The elements are read by the text front end, as part of a script that declares the set. nft goes
 * first: it refuses the whole command or takes it; then the maps are changed (setchange.c), and
 * what cannot be done there is undone.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#include "ctl.h"
#include "fallback.h"
#include "frontend.h"

static const char *const ops[] = { "add", "delete", "replace", "flush", "list" };

struct job {
	struct ctl *c;
	char gen;
	const struct manifest *m;
	struct ruleset *rs; /* the original */
	struct set *set;
	const struct mf_set *ms; /* NULL: only nft has it */
	enum set_op op;
	const char *text; /* "{ ... }" */
};

static enum set_op find_op(const char *word)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(ops) && strcmp(ops[i], word) != 0)
		i++;
	return (enum set_op)i;
}

/*
 * The named set of the tables of that name, and of that family if one is given; NULL after an error
 * line.
 */
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

/* Standard input to its end: elements, with commas or a line each. */
static void read_stdin(struct sbuf *s)
{
	char line[65536];
	bool whole = true; /* the line before came to its end */

	while (fgets(line, sizeof(line), stdin)) {
		size_t n = strlen(line);
		bool ends = n && line[n - 1] == '\n';

		while (ends && n && strchr(" \t\r\n,", line[n - 1]))
			line[--n] = '\0';
		if (n && whole && s->n && s->s[s->n - 1] != '{' && line[0] != '}')
			sb_puts(s, ", ");
		sb_puts(s, line);
		whole = ends;
	}
}

/* The arguments as one list in braces; "-" stands for standard input. */
static const char *elements(struct ctl *c, int argc, char **argv)
{
	struct sbuf s;

	sb_init(&s, c->arena);
	if (argc == 1 && !strcmp(argv[0], "-"))
		read_stdin(&s);
	else
		for (int i = 0; i < argc; i++)
			sb_printf(&s, "%s%s", i ? ", " : "", argv[i]);
	if (!s.n)
		return argc ? (ctl_error("no elements"), NULL) : "";
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

/* -- the nft side ------------------------------------------------------------------------------ */

static bool in_nft(struct job *j, bool *has)
{
	const struct table *t = j->set->table;
	struct table *lt;
	struct ruleset *live;
	struct diag d;

	*has = false;
	if (j->m->fallback_idle)
		return true;
	diag_init(&d, j->c->arena);
	live = frontend_read_live(j->c->arena, &d);
	if (!live) {
		diag_flush(&d, stderr);
		ctl_error("cannot read what nftables holds");
		return false;
	}
	lt = live_table(live, family_name(t->family), nft_table(j->c, j->m, t->name));
	*has = lt && table_set(lt, j->set->name);
	return true;
}

static int change_nft(struct job *j, enum set_op op)
{
	const struct table *t = j->set->table;
	bool map = j->set->flags & (SET_MAP | SET_OBJECT);
	struct sbuf s;

	sb_init(&s, j->c->arena);
	if (op == SET_OP_FLUSH || op == SET_OP_REPLACE)
		sb_printf(&s, "flush %s %s %s %s\n", map ? "map" : "set", family_name(t->family),
			  nft_table(j->c, j->m, t->name), j->set->name);
	if (op != SET_OP_FLUSH)
		sb_printf(&s, "%s element %s %s %s %s\n", op == SET_OP_REPLACE ? "add" : ops[op],
			  family_name(t->family), nft_table(j->c, j->m, t->name), j->set->name,
			  j->text);
	return nft_run(j->c, s.s);
}

/* -- the command ------------------------------------------------------------------------------- */

static int change(struct job *j)
{
	const struct set *elems = j->op == SET_OP_FLUSH ? NULL : read_elements(j);
	struct setchange *todo = NULL;
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
		todo = setchange_plan(j->c, j->gen, j->ms, j->set, j->op, elems);
		if (!todo)
			return 1;
	}
	if (nft && change_nft(j, j->op))
		return 1;
	if (todo && setchange_apply(j->c, todo)) {
		if (nft && j->op == SET_OP_ADD)
			change_nft(j, SET_OP_DELETE);
		return 1;
	}
	return 0;
}

static int list_set(struct job *j, const char *name)
{
	struct fb_print_opts opts = { .elements = true };
	const char *family = family_name(j->set->table->family), *table = j->set->table->name;
	struct ruleset *rs = live_ruleset(j->c, j->gen, j->m, true);
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
	struct job j = { .c = c };
	const char *family = NULL, *table, *sep;
	int at = argc > 4 && find_op(argv[3]) == SET_OP_NONE ? 4 : 3;
	struct diag d;

	j.op = argc > at ? find_op(argv[at]) : SET_OP_NONE;
	if (j.op == SET_OP_NONE || (j.op <= SET_OP_REPLACE) != (argc > at + 1))
		return ctl_error("usage: nft2bpfctl set N [FAMILY] TABLE SET "
				 "add|delete|replace ELEMENT... | flush | list");
	table = argv[at - 2];
	sep = strpbrk(table, "/ ");
	if (at == 4)
		family = argv[1];
	else if (sep) {
		family = arena_strndup(c->arena, table, (size_t)(sep - table));
		table = sep + 1;
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
	return j.text ? change(&j) : 1;
}
