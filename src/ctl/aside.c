// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aside: tables that an object was compiled from and that stay in nftables beside it (`load
 * --replace-tables`).
 *
 * They sleep (flags dormant) while the object is loaded, so that they are seen but do not filter;
 * the object's own tables are called nft2bpf-NAME.TABLE. Which ones were put to sleep stands in the
 * manifest of what is loaded; they are woken in the same transaction that takes the object's tables
 * out.
 */
#include "ctl.h"
#include "fallback.h"
#include "frontend.h"
#include "xt.h"

#define DORMANT 1u /* NFT_TABLE_F_DORMANT */

const char *nft_table(struct ctl *c, const struct manifest *m, const char *name)
{
	return *m->prefix ? arena_printf(c->arena, "%s%s", m->prefix, name) : name;
}

const char *nft_full_table(struct ctl *c, const struct manifest *m, const char *table)
{
	const char *name = strchr(table, ' ');

	if (!name || !*m->prefix)
		return table;
	return arena_printf(c->arena, "%.*s %s%s", (int)(name - table), table, m->prefix, name + 1);
}

/* So that tables may be renamed. */
static int free_targets(struct ruleset *rs)
{
	const struct rule *bad = xt_free_targets(rs);
	struct rule own;

	if (!bad)
		return 0;
	own = rule_kernel(bad);
	vec_foreach(&own.exprs, e) {
		const struct table *t = bad->chain->table;
		const char *table = xt_target_table(*e);

		if (table)
			return ctl_error(
				"--replace-tables: rule %u of chain %s %s %s: the kernel takes "
				"target %s of iptables only in a table called %s, and beside it "
				"the object's table has another name: delete the table, and load "
				"without --replace-tables",
				bad->index, family_name(t->family), t->name, bad->chain->name,
				(*e)->xt.name, table);
	}
	return 1;
}

int nft_rename(struct ctl *c, const struct manifest *m, struct ruleset *rs)
{
	if (*m->prefix && free_targets(rs))
		return 1;
	vec_foreach(&rs->tables, t)
		(*t)->name = nft_table(c, m, (*t)->name);
	return 0;
}

/* Tables begin a line in it, and nothing else does with that word. */
static void rename_text(const struct manifest *m, struct sbuf *s)
{
	for (const char *p = m->fallback; *p;) {
		size_t n = strcspn(p, "\n"), head = 0;

		n += p[n] == '\n';
		if (!strncmp(p, "table ", 6))
			head = 6 + strcspn(p + 6, " ") + 1;
		sb_add(s, p, head);
		sb_puts(s, head ? m->prefix : "");
		sb_add(s, p + head, n - head);
		p += n;
	}
}

/* With extensions of iptables in it, some of which may not bear another name. */
static int rename_ruleset(struct ctl *c, const struct manifest *m, struct sbuf *s)
{
	const struct fb_print_opts opts = { .elements = true };
	struct ruleset *rs;
	struct diag d;

	diag_init(&d, c->arena);
	rs = frontend_read_buffer(c->arena, &d, "(the object's fallback)", m->fallback,
				  strlen(m->fallback));
	if (!rs) {
		diag_flush(&d, stderr);
		return ctl_error("the object's fallback cannot be read back");
	}
	if (nft_rename(c, m, rs))
		return 1;
	return fb_print_ruleset(rs, &opts, s) ? 0 : ctl_error("nft has no words for the fallback");
}

int nft_fallback(struct ctl *c, const struct manifest *m, struct sbuf *s)
{
	if (!*m->prefix)
		sb_puts(s, m->fallback);
	else if (fb_has_xt(m->fallback))
		return rename_ruleset(c, m, s);
	else
		rename_text(m, s);
	return 0;
}

static const struct table *live_one(const struct ruleset *live, const char *table)
{
	vec_foreach(&live->tables, t) {
		size_t n = strlen(family_name((*t)->family));

		if (!strncmp(table, family_name((*t)->family), n) && table[n] == ' ' &&
		    !strcmp(table + n + 1, (*t)->name))
			return *t;
	}
	return NULL;
}

static bool has(const struct manifest *m, const char *table)
{
	vec_foreach(&m->tables, t)
		if (!strcmp(*t, table))
			return true;
	return false;
}

static struct ruleset *in_nftables(struct ctl *c)
{
	struct ruleset *live;
	struct diag d;

	diag_init(&d, c->arena);
	live = frontend_read_live(c->arena, &d);
	if (!live) {
		diag_flush(&d, stderr);
		ctl_error("cannot read what nftables holds");
	}
	return live;
}

/*
 * Beside the user's tables the object's have other names, which some targets do not bear as they
 * are.
 */
static int check_targets(struct ctl *c, const struct manifest *m)
{
	struct diag d;
	struct ruleset *rs = manifest_ruleset(c, m, &d);

	return rs ? free_targets(rs) : 1;
}

int aside_plan(struct ctl *c, struct ctl_obj *o, const struct manifest *old)
{
	struct manifest *m = o->mf;
	struct ruleset *live;

	if (old && *old->prefix) {
		m->prefix = old->prefix;
		vec_foreach(&old->asleep, t)
			*vec_push(c->arena, &m->asleep) = *t;
	} else if (!c->replace_tables) {
		return 0;
	}
	if (check_targets(c, m))
		return 1;
	m->preamble = ""; /* it would remove what is to stay */
	if (c->replace_tables) {
		m->prefix = arena_printf(c->arena, "nft2bpf-%s.", c->name);
		live = in_nftables(c);
		if (!live)
			return 1;
		vec_foreach(&m->tables, t) {
			const struct table *lt = live_one(live, *t);

			if (lt && !(lt->flags & DORMANT) && !(old && !*old->prefix && has(old, *t)))
				*vec_push(c->arena, &m->asleep) = *t;
		}
	}
	o->json = manifest_write(c->arena, m, &o->json_len);
	return 0;
}

void aside_sleep(const struct manifest *m, const struct manifest *old, struct sbuf *s)
{
	for (uint32_t i = old ? old->asleep.n : 0; i < m->asleep.n; i++)
		sb_printf(s, "add table %s { flags dormant; }\n", m->asleep.v[i]);
}

int aside_wake(struct ctl *c, const struct manifest *m, struct sbuf *s)
{
	struct ruleset *live = m->asleep.n ? in_nftables(c) : NULL;

	if (m->asleep.n && !live)
		return 1;
	vec_foreach(&m->asleep, t) {
		const struct table *lt = live_one(live, *t);

		if (lt && lt->flags & DORMANT)
			sb_printf(s, "add table %s { }\n", *t);
	}
	return 0;
}
