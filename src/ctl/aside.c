// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aside: tables that an object was compiled from and that stay in nftables beside it (`load --replace-tables`).
 *
 * They sleep (flags dormant) while the object is loaded, so that they are seen but do not filter; the object's own tables are
 * called nft2bpf-NAME.TABLE. Which ones were put to sleep stands in the manifest of what is loaded; they are woken in the same
 * transaction that takes the object's tables out.
 */
#include "ctl.h"
#include "frontend.h"

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

/* Tables begin a line in it, and nothing else does with that word. */
const char *nft_fallback(struct ctl *c, const struct manifest *m)
{
	struct sbuf s;

	if (!*m->prefix)
		return m->fallback;
	sb_init(&s, c->arena);
	for (const char *p = m->fallback; *p;) {
		size_t n = strcspn(p, "\n"), head = 0;

		n += p[n] == '\n';
		if (!strncmp(p, "table ", 6))
			head = 6 + strcspn(p + 6, " ") + 1;
		sb_add(&s, p, head);
		sb_puts(&s, head ? m->prefix : "");
		sb_add(&s, p + head, n - head);
		p += n;
	}
	return s.s;
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

/* The table that the kernel wants a target of iptables to be in; NULL: any. */
static const char *target_table(const struct expr *e)
{
	static const char *const names[][2] = {
		{ "REJECT", "filter" }, { "MASQUERADE", "nat" }, { "SNAT", "nat" },
		{ "DNAT", "nat" },	{ "REDIRECT", "nat" },	 { "NETMAP", "nat" },
		{ "CT", "raw" },	{ "NOTRACK", "raw" },	 { "TPROXY", "mangle" },
		{ "DSCP", "mangle" },	{ "TOS", "mangle" },	 { "TTL", "mangle" },
		{ "HL", "mangle" },	{ "ECN", "mangle" },	 { "CHECKSUM", "mangle" },
	};

	for (size_t i = 0; e->kind == EX_TARGET && i < ARRAY_SIZE(names); i++)
		if (!strcmp(e->xt.name, names[i][0]))
			return names[i][1];
	return NULL;
}

/* Beside the user's tables the object's have other names, which such targets do not bear. */
static int check_rule(const struct rule *rule)
{
	struct rule own = rule_kernel(rule);
	const struct table *t = rule->chain->table;

	vec_foreach(&own.exprs, e) {
		const char *table = target_table(*e);

		if (table)
			return ctl_error(
				"--replace-tables: rule %u of chain %s %s %s: the kernel takes "
				"target %s of iptables only in a table called %s, and beside it "
				"the "
				"object's table has another name: delete the table, and load "
				"without "
				"--replace-tables",
				rule->index, family_name(t->family), t->name, rule->chain->name,
				(*e)->xt.name, table);
	}
	return 0;
}

static int check_targets(struct ctl *c, const struct manifest *m)
{
	struct diag d;
	const struct ruleset *rs = manifest_ruleset(c, m, &d);

	if (!rs)
		return 1;
	vec_foreach(&rs->tables, t)
		vec_foreach(&(*t)->chains, ch)
			vec_foreach(&(*ch)->rules, r)
				if (check_rule(*r))
					return 1;
	return 0;
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
