// SPDX-License-Identifier: GPL-2.0-or-later
/* print: rules, chains, objects, tables and whole rulesets as nft text. */
#include <ctype.h>
#include <linux/netfilter/nf_tables.h>

#include "frontend.h"
#include "print.h"

/* Words of nft's grammar that cannot stand for a name. */
void fb_print_name(const char *name, struct sbuf *out)
{
	sb_puts(out, name);
}

/* xt match "name" = ...: no comment can look like it, for none has a quotation mark in it. */
bool fb_has_xt(const char *text)
{
	for (const char *p = text; (p = strstr(p, "xt ")); p++) {
		const char *q = p + 3;

		if (!strncmp(q, "match \"", 7))
			q += 7;
		else if (!strncmp(q, "target \"", 8))
			q += 8;
		else if (!strncmp(q, "expression \"", 12))
			q += 12;
		else
			continue;
		q += strcspn(q, "\"\n");
		if (!strncmp(q, "\" = ", 4))
			return true;
	}
	return false;
}

static void state_init(struct pstate *ps, const struct rule *r, const struct fb_print_opts *o,
		       struct sbuf *out)
{
	memset(ps, 0, sizeof(*ps));
	ps->r = r;
	ps->o = o;
	ps->a = out->arena;
	ps->out = out;
	ps->fam = r->chain->table->family;
	ps->start = out->n;
	ps->l4 = ps->icmp_type = ps->dep_icmp = -1;
	ps->ether = ps->fam == FAM_BRIDGE;
	ps->l3 = ps->fam == FAM_IP || ps->fam == FAM_IP6 || ps->fam == FAM_ARP ? (int)ps->fam : -1;
}

static void cut(struct sbuf *out, size_t n)
{
	out->n = n;
	out->s[n] = 0;
}

static bool text_is_plain(const char *text)
{
	return !strpbrk(text, "$\n");
}

static const struct expr *nth_counter(const struct rule *r, uint32_t n)
{
	vec_foreach(&r->exprs, e)
		if ((*e)->kind == EX_COUNTER && !n--)
			return *e;
	return NULL;
}

static bool word_at(const char *start, const char *p, const char *word)
{
	size_t n = strlen(word);

	return (p == start || isspace((unsigned char)p[-1])) && !strncmp(p, word, n) &&
	       (!p[n] || isspace((unsigned char)p[n]));
}

/* Behind "packets N bytes N", if that stands there. */
static const char *skip_values(const char *p)
{
	unsigned long long packets, bytes;
	int n = 0;

	sscanf(p, " packets %llu bytes %llu%n", &packets, &bytes, &n);
	return p + n;
}

/* The rule as its author wrote it, the rule's own counters with their values. */
static void print_text(const struct rule *r, const struct fb_print_opts *o, struct sbuf *out)
{
	const struct expr *e;
	uint32_t n = 0, braces = 0;
	bool quoted = false;

	for (const char *p = r->text; *p;) {
		quoted ^= *p == '"';
		braces += !quoted && *p == '{' ? 1 : !quoted && *p == '}' && braces ? -1 : 0;
		if (quoted || braces || o->zero || !word_at(r->text, p, "counter") ||
		    !strncmp(p, "counter name ", 13) || !(e = nth_counter(r, n))) {
			sb_add(out, p++, 1);
			continue;
		}
		n++;
		ps_stateful(e, o, out);
		p = skip_values(p + strlen("counter"));
	}
}

bool fb_print_rule(const struct rule *rule, const struct fb_print_opts *o, struct sbuf *out)
{
	struct rule own = rule_kernel(rule), *r = &own;
	struct pstate ps;
	uint32_t i;
	bool ok = true;

	state_init(&ps, r, o, out);
	for (i = 0; ok && i < r->exprs.n; i++)
		ok = ps_expr(&ps, r, i);
	if (ok) {
		pm_flush(&ps);
		if (r->comment)
			sb_printf(out, "%scomment \"%s\"", out->n > ps.start ? " " : "",
				  r->comment);
		/* A load that nothing reads has no words: the rule would not read back. */
		if (!r->exprs.n ||
		    (out->n > ps.start && text_is_clean(out->s + ps.start, out->n - ps.start)))
			return out->n > ps.start;
	}
	cut(out, ps.start);
	if (!r->text || !text_is_plain(r->text))
		return !o->listing && pw_rule(r, o, out);
	print_text(r, o, out);
	return true;
}

bool fb_print_line(const struct rule *r, const struct fb_print_opts *o, struct arena *tmp,
		   struct sbuf *out)
{
	struct sbuf line;
	bool ok;

	sb_init_room(&line, tmp, 256);
	ok = fb_print_rule(r, o, &line);
	if (ok)
		sb_add(out, line.s, line.n);
	arena_reset(tmp);
	return ok;
}

bool fb_print_match(const struct rule *r, uint32_t n, struct sbuf *out)
{
	static const struct fb_print_opts o = { .zero = true };
	struct pstate ps;
	uint32_t i;

	state_init(&ps, r, &o, out);
	for (i = 0; i < n; i++)
		if (!ps_expr(&ps, r, i)) {
			cut(out, ps.start);
			return false;
		}
	pm_flush(&ps);
	return true;
}

/*
 * The value behind a word of an object's body, outside of quotes and inner braces: *n bytes; NULL:
 * the word is not there.
 */
static const char *body_value(const char *body, const char *word, size_t *n)
{
	size_t len = strlen(word);
	uint32_t depth = 0;
	bool quoted = false;

	for (const char *p = body; *p; p++) {
		bool at = p == body || isspace((unsigned char)p[-1]) || strchr(";{", p[-1]);

		quoted ^= *p == '"';
		depth += !quoted && *p == '{' ? 1 : !quoted && *p == '}' && depth ? -1 : 0;
		if (quoted || depth > (*body == '{') || !at || strncmp(p, word, len) ||
		    !isspace((unsigned char)p[len]))
			continue;
		p += len + strspn(p + len, " \t=");
		*n = *p == '"'	 ? strcspn(p + 1, "\"") + 2
		     : *p == '{' ? strcspn(p, "}") + 1
				 : strcspn(p, " \t\n;}");
		return p;
	}
	return NULL;
}

static void body_line(const struct obj *ob, const char *word, const char *before, struct sbuf *out)
{
	size_t n;
	const char *v = body_value(ob->body, word, &n);

	if (v)
		sb_printf(out, "%s%s%s %.*s", before, word, *v == '{' ? " =" : "", (int)n, v);
	else if (!strcmp(word, "l3proto")) /* the table's */
		sb_printf(out, "%sl3proto %s", before, family_name(ob->table->family));
}

/* Objects that only the kernel runs: their parameters, in nft's order. */
static void print_body(const struct obj *ob, struct sbuf *out)
{
	const char *quote = strchr(ob->body, '"');

	switch (ob->type) {
	case NFT_OBJECT_CT_HELPER:
		body_line(ob, "type", "\t\t", out);
		body_line(ob, "protocol", " ", out);
		body_line(ob, "l3proto", "\n\t\t", out);
		break;
	case NFT_OBJECT_CT_TIMEOUT:
		body_line(ob, "protocol", "\t\t", out);
		body_line(ob, "l3proto", "\n\t\t", out);
		body_line(ob, "policy", "\n\t\t", out);
		break;
	case NFT_OBJECT_CT_EXPECT:
		body_line(ob, "protocol", "\t\t", out);
		body_line(ob, "dport", "\n\t\t", out);
		body_line(ob, "timeout", "\n\t\t", out);
		body_line(ob, "size", "\n\t\t", out);
		body_line(ob, "l3proto", "\n\t\t", out);
		break;
	case NFT_OBJECT_TUNNEL:
		sb_printf(out, "\t\t%s", ob->body);
		break;
	default: /* secmark: its context */
		sb_printf(out, "\t\t%.*s", quote ? (int)strcspn(quote + 1, "\"") + 2 : 0,
			  quote ? quote : "");
	}
	sb_puts(out, "\n");
}

bool fb_print_obj(const struct obj *ob, const struct fb_print_opts *o, struct sbuf *out)
{
	static const char *const kinds[] = {
		[NFT_OBJECT_COUNTER] = "counter",	[NFT_OBJECT_QUOTA] = "quota",
		[NFT_OBJECT_CT_HELPER] = "ct helper",	[NFT_OBJECT_LIMIT] = "limit",
		[NFT_OBJECT_CT_TIMEOUT] = "ct timeout", [NFT_OBJECT_SECMARK] = "secmark",
		[NFT_OBJECT_TUNNEL] = "tunnel",		[NFT_OBJECT_CT_EXPECT] = "ct expectation",
		[NFT_OBJECT_SYNPROXY] = "synproxy"
	};
	const struct expr *e = ob->expr;
	struct sbuf b;

	if (ob->type >= ARRAY_SIZE(kinds) || !kinds[ob->type])
		return false;
	if (ob->type == NFT_OBJECT_TUNNEL && !ob->table->rs->from_netlink)
		return false; /* the lines of its text are not kept apart */
	sb_printf(out, "\t%s ", kinds[ob->type]);
	fb_print_name(ob->name, out);
	sb_puts(out, " {\n");
	if (ob->comment)
		sb_printf(out, "\t\tcomment \"%s\"\n", ob->comment);
	sb_init(&b, out->arena);
	switch (ob->type) {
	case NFT_OBJECT_COUNTER:
		if (!o->zero && e)
			sb_printf(out, "\t\tpackets %llu bytes %llu\n",
				  (unsigned long long)e->counter.packets,
				  (unsigned long long)e->counter.bytes);
		break;
	case NFT_OBJECT_QUOTA:
		ps_stateful(e, o, &b);
		sb_printf(out, "\t\t%s\n", b.s + strlen("quota "));
		break;
	case NFT_OBJECT_LIMIT:
		ps_stateful(e, o, &b);
		if (o->listing && !e->limit.type && e->limit.burst == 5)
			cut(&b, (size_t)(strstr(b.s, " burst") - b.s));
		sb_printf(out, "\t\t%s\n", b.s + strlen("limit "));
		break;
	case NFT_OBJECT_SYNPROXY:
		if (!e)
			return false;
		if (e->synproxy.flags & 1)
			sb_printf(out, "\t\tmss %u\n", e->synproxy.mss);
		if (e->synproxy.flags & 2)
			sb_printf(out, "\t\twscale %u\n", e->synproxy.wscale);
		if (e->synproxy.flags & 12)
			sb_printf(out, "\t\t%s%s\n", e->synproxy.flags & 8 ? "timestamp " : "",
				  e->synproxy.flags & 4 ? "sack-perm" : "");
		break;
	default:
		if (!ob->body)
			return false;
		print_body(ob, out);
	}
	sb_puts(out, "\t}\n");
	return true;
}

static void devices(const struct chain *c, struct sbuf *out)
{
	bool first = true;

	if (!c->devices.n)
		return;
	if (c->devices.n == 1) {
		sb_printf(out, " device \"%s\"", c->devices.v[0]);
		return;
	}
	sb_puts(out, " devices = { ");
	vec_foreach(&c->devices, it) {
		sb_printf(out, "%s\"%s\"", first ? "" : ", ", *it);
		first = false;
	}
	sb_puts(out, " }");
}

bool fb_print_flowtable(const struct flowtable *ft, struct sbuf *out)
{
	bool first = true;

	sb_printf(out, "\tflowtable %s {\n\t\thook ingress priority %d\n", ft->name, ft->prio);
	if (ft->devices.n) {
		sb_puts(out, "\t\tdevices = { ");
		vec_foreach(&ft->devices, it) {
			sb_printf(out, "%s\"%s\"", first ? "" : ", ", *it);
			first = false;
		}
		sb_puts(out, " }\n");
	}
	if (ft->flags & 1)
		sb_puts(out, "\t\tflags offload\n");
	if (ft->has_counter)
		sb_puts(out, "\t\tcounter\n");
	sb_puts(out, "\t}\n");
	return true;
}

static bool print_base(const struct chain *c, const char *prio, enum verdict_code policy,
		       struct sbuf *out)
{
	const char *hook = hook_name(c->table->family, c->hook);

	if (!hook)
		return false;
	sb_printf(out, "\t\ttype %s hook %s", c->type, hook);
	devices(c, out);
	sb_printf(out, " priority %s; policy %s;\n", prio, policy == V_DROP ? "drop" : "accept");
	if (c->hw_offload)
		sb_puts(out, "\t\tflags offload;\n");
	return true;
}

bool fb_print_base(const struct chain *c, int32_t prio, enum verdict_code policy, struct sbuf *out)
{
	return print_base(c, arena_printf(out->arena, "%d", prio), policy, out);
}

/* The line of a base chain as it is; true for other chains, which have none. */
static bool own_base(const struct chain *c, const struct fb_print_opts *o, struct sbuf *out)
{
	enum verdict_code policy = c->has_policy ? c->policy : V_ACCEPT;

	if (!c->is_base)
		return true;
	if (!o->listing)
		return fb_print_base(c, c->prio, policy, out);
	return print_base(c, frontend_prio_words(out->arena, c->table->family, c->hook, c->prio),
			  policy, out);
}

static bool print_rules(const struct chain *c, const struct fb_print_opts *o, struct sbuf *out)
{
	struct arena *tmp = arena_new();
	bool ok = true;

	for (uint32_t i = 0; ok && i < c->rules.n; i++) {
		sb_puts(out, "\t\t");
		ok = fb_print_line(c->rules.v[i], o, tmp, out);
		sb_puts(out, "\n");
	}
	arena_free(tmp);
	return ok;
}

bool fb_print_chain(const struct chain *c, const struct fb_print_opts *o, struct sbuf *out)
{
	sb_puts(out, "\tchain ");
	fb_print_name(c->name, out);
	sb_puts(out, " {\n");
	if (c->comment)
		sb_printf(out, "\t\tcomment \"%s\"\n", c->comment);
	if (!own_base(c, o, out) || !print_rules(c, o, out))
		return false;
	sb_puts(out, "\t}\n");
	return true;
}

/* True: flags came last, which a blank line parts from what follows in listings. */
static bool table_head(const struct table *t, struct sbuf *out)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} flags[] = { { 1, "dormant" }, { 2, "owner" }, { 4, "persist" } };
	bool any = false;
	uint32_t i;

	sb_printf(out, "table %s ", family_name(t->family));
	fb_print_name(t->name, out);
	sb_puts(out, " {\n");
	if (t->comment)
		sb_printf(out, "\tcomment \"%s\"\n", t->comment);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (t->flags & flags[i].bit) {
			sb_printf(out, "%s%s", any ? "," : "\tflags ", flags[i].name);
			any = true;
		}
	if (any)
		sb_puts(out, "\n");
	return any;
}

/* A block follows: a blank line before all but the first, in listings. */
static bool block(const struct fb_print_opts *o, bool *any, struct sbuf *out)
{
	if (*any && o->listing)
		sb_puts(out, "\n");
	*any = true;
	return true;
}

/*
 * The nameless sets of rules that only their attributes can say: with names, as those refer to
 * them.
 */
static bool print_nameless(const struct table *t, const struct fb_print_opts *o, struct sbuf *out)
{
	struct set s;

	vec_foreach(&t->chains, c)
		vec_foreach(&(*c)->rules, r) {
			size_t start = out->n;
			bool words = !pw_needs_names(*r) || fb_print_rule(*r, o, out);

			cut(out, start);
			vec_foreach(&(*r)->exprs, e) {
				if (words || (*e)->kind != EX_LOOKUP ||
				    !((*e)->lookup.set->flags & SET_ANONYMOUS))
					continue;
				s = pw_named_set(out->arena, (*e)->lookup.set);
				if (!fb_print_set(&s, o, out))
					return false;
			}
		}
	return true;
}

bool fb_print_table(const struct table *t, const struct fb_print_opts *how, struct sbuf *out)
{
	struct fb_print_opts own = *how, *o = &own;
	bool any = table_head(t, out);

	vec_foreach(&t->objs, it)
		if (!block(o, &any, out) || !fb_print_obj(*it, o, out))
			return false;
	vec_foreach(&t->sets, it)
		if (!((*it)->flags & SET_ANONYMOUS) &&
		    (!block(o, &any, out) || !fb_print_set(*it, o, out)))
			return false;
	if (!o->listing && !print_nameless(t, o, out))
		return false;
	own.named = !o->listing;
	vec_foreach(&t->flowtables, it)
		if (!block(o, &any, out) || !fb_print_flowtable(*it, out))
			return false;
	vec_foreach(&t->chains, it)
		if (!(*it)->is_bound && (!block(o, &any, out) || !fb_print_chain(*it, o, out)))
			return false;
	sb_puts(out, "}\n");
	return true;
}

bool fb_print_ruleset(const struct ruleset *rs, const struct fb_print_opts *o, struct sbuf *out)
{
	bool ok = true;

	vec_foreach(&rs->tables, it)
		ok = fb_print_table(*it, o, out) && ok;
	return ok;
}
