// SPDX-License-Identifier: GPL-2.0-or-later
/* report: --explain for people, --report for programs, and what --strict counts. */
#include "fallback.h"

/* -- for people -------------------------------------------------------------------------------- */

#define RULE_WIDTH 60u /* columns of a rule; longer ones end in ... */

struct table_widths {
	const char *file; /* of most rules; places in others have their path */
	uint32_t place, rule;
};

static const char *path_of(const struct plan *p, const struct rule *r)
{
	return r->loc.file != SRC_NONE && r->loc.line && p->rs->diag
		       ? p->rs->diag->sources.v[r->loc.file]->path
		       : NULL;
}

static const char *place(const struct plan *p, const struct rule *r, const char *file)
{
	const char *path = path_of(p, r);

	if (path && file && !strcmp(path, file))
		return arena_printf(p->arena, "%u", r->loc.line);
	if (path)
		return arena_printf(p->arena, "%s:%u", path, r->loc.line);
	if (r->handle)
		return arena_printf(p->arena, "handle %llu", (unsigned long long)r->handle);
	return arena_printf(p->arena, "%u", r->index);
}

/* Characters, not bytes. */
static uint32_t columns(const char *s)
{
	uint32_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static const char *rule_text(const struct plan *p, const struct rule *r)
{
	static const struct fb_print_opts o = { .zero = true, .elements = true, .listing = true };
	const char *text = r->text;
	uint32_t n = 0, at;
	struct sbuf b;

	sb_init(&b, p->arena);
	if (!text)
		text = fb_print_rule(r, &o, &b) ? b.s : "(nft has no words for it)";
	if (columns(text) <= RULE_WIDTH)
		return text;
	for (at = 0; n < RULE_WIDTH - 3 || (text[at] & 0xc0) == 0x80; at++)
		n += (text[at + 1] & 0xc0) != 0x80;
	return arena_printf(p->arena, "%.*s...", (int)at, text);
}

static struct table_widths widths(const struct plan *p)
{
	struct table_widths w = { .place = 4, .rule = 4 };

	vec_foreach(&p->rules, it)
		if (!w.file)
			w.file = path_of(p, it->rule);
	vec_foreach(&p->rules, it) {
		w.place = MAX(w.place, columns(place(p, it->rule, w.file)));
		w.rule = MAX(w.rule, columns(rule_text(p, it->rule)));
	}
	return w;
}

static void cell(const char *s, uint32_t width, bool right, FILE *f)
{
	uint32_t n = columns(s);

	fprintf(f, "%*s%s%*s", right && n < width ? (int)(width - n) : 0, "", s,
		!right && n < width ? (int)(width - n) : 0, "");
}

static void row(const struct table_widths *w, const char *where, const char *at, const char *insns,
		const char *rule, const char *why, FILE *f)
{
	fputs("  ", f);
	cell(at, w->place, true, f);
	fputs("  ", f);
	cell(where, 8, false, f);
	cell(insns, 7, true, f);
	fputs("  ", f);
	cell(rule, why && *why ? w->rule : 0, false, f);
	if (why && *why)
		fprintf(f, "  %s", why);
	fputs("\n", f);
}

static void explain_chain(const struct plan *p, const struct chain *c, FILE *f)
{
	fprintf(f, "%s %s %s", family_name(c->table->family), c->table->name, c->name);
	if (!c->is_base)
		fputs(" (called)", f);
	vec_foreach(&p->chains, it)
		if (it->chain == c)
			fprintf(f, ": %s%s%s", plan_where_name[it->where], it->why ? ": " : "",
				it->why ? it->why : "");
	fputs("\n", f);
}

static const char *chain_why(const struct plan *p, const struct chain *c)
{
	vec_foreach(&p->chains, it)
		if (it->chain == c)
			return it->why;
	return NULL;
}

static void explain_totals(const struct plan *p, FILE *f)
{
	fprintf(f, "\n%u rule%s: %u bpf, %u both, %u nftables", p->rules.n,
		p->rules.n == 1 ? "" : "s", p->n_bpf, p->n_both, p->n_nft);
	if (p->n_none)
		fprintf(f, ", %u not reached", p->n_none);
	fputs("\n", f);
}

/* What the compiler made of a rule beside its code; NULL: nothing. */
static const char *became(const struct plan *p, const struct plan_rule *x, const char *file)
{
	const char *unit = file ? "line" : "rule";

	if (x->shadowed_by)
		return arena_printf(p->arena, "shadowed by %s %s: no packet gets here", unit,
				    place(p, x->shadowed_by, file));
	if (!x->lookup)
		return NULL;
	if (x->lookup == x->rule)
		return arena_printf(p->arena, "one look-up of %u rules", x->n_lookup);
	return arena_printf(p->arena, "in the look-up of %s %s", unit, place(p, x->lookup, file));
}

void fb_explain(const struct plan *p, FILE *f)
{
	struct table_widths w = widths(p);
	const struct chain *c = NULL;

	if (w.file)
		fprintf(f, "%s\n", w.file);
	vec_foreach(&p->chains, it) /* the others have a header before their first rule */
		if (!it->chain->rules.n)
			explain_chain(p, it->chain, f);
	vec_foreach(&p->rules, it) {
		const struct rule *r = it->rule;
		const char *why = it->why;

		if (r->chain != c) {
			c = r->chain;
			fputs("\n", f);
			explain_chain(p, c, f);
			row(&w, "where", w.file ? "line" : "rule", "insns", "rule", "why", f);
		}
		if (why && chain_why(p, c) && !strcmp(why, chain_why(p, c)))
			why = NULL; /* the header says it */
		if (!why)
			why = became(p, it, w.file);
		row(&w, it->where ? plan_where_name[it->where] : "-", place(p, r, w.file),
		    it->insns ? arena_printf(p->arena, "%u", it->insns) : "-", rule_text(p, r), why,
		    f);
	}
	explain_totals(p, f);
}

/* -- for programs ------------------------------------------------------------------------------ */

static void json_string(const char *s, FILE *f)
{
	if (!s) {
		fputs("null", f);
		return;
	}
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			fprintf(f, "\\u%04x", *s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

static void json_member(const char *name, const char *value, FILE *f)
{
	fprintf(f, ", \"%s\": ", name);
	json_string(value, f);
}

/* Another rule of the same chain. */
static void json_index(const char *name, const struct rule *r, FILE *f)
{
	if (r)
		fprintf(f, ", \"%s\": %u", name, r->index);
	else
		fprintf(f, ", \"%s\": null", name);
}

static void json_rule(const struct plan *p, const struct plan_rule *x, FILE *f)
{
	const struct rule *r = x->rule;
	const char *path = path_of(p, r);

	fputs("    {\"family\": ", f);
	json_string(family_name(r->chain->table->family), f);
	json_member("table", r->chain->table->name, f);
	json_member("chain", r->chain->name, f);
	fprintf(f, ", \"index\": %u", r->index);
	json_member("where", plan_where_name[x->where ? x->where : x->would], f);
	json_member("reason", x->why, f);
	json_member("kind", x->group, f);
	json_member("file", path, f);
	if (path)
		fprintf(f, ", \"line\": %u", r->loc.line);
	else
		fputs(", \"line\": null", f);
	if (r->handle)
		fprintf(f, ", \"handle\": %llu", (unsigned long long)r->handle);
	json_index("shadowed_by", x->shadowed_by, f);
	json_index("lookup", x->lookup, f);
	fprintf(f, ", \"insns\": %u}", x->insns);
}

static void json_chain(const struct plan_chain *x, FILE *f)
{
	fputs("    {\"family\": ", f);
	json_string(family_name(x->chain->table->family), f);
	json_member("table", x->chain->table->name, f);
	json_member("chain", x->chain->name, f);
	json_member("where", plan_where_name[x->where], f);
	json_member("reason", x->why, f);
	json_member("kind", x->group, f);
	fprintf(f, ", \"ns_nftables\": %.0f, \"ns_split\": %.0f}", x->ns_nft, x->ns_split);
}

void fb_report_json(const struct plan *p, FILE *f)
{
	uint32_t i, n[4] = { 0 };

	fputs("{\n  \"rules\": [\n", f);
	for (i = 0; i < p->rules.n; i++) {
		json_rule(p, &p->rules.v[i], f);
		n[p->rules.v[i].where ? p->rules.v[i].where : p->rules.v[i].would]++;
		fputs(i + 1 < p->rules.n ? ",\n" : "\n", f);
	}
	fputs("  ],\n  \"chains\": [\n", f);
	for (i = 0; i < p->chains.n; i++) {
		json_chain(&p->chains.v[i], f);
		fputs(i + 1 < p->chains.n ? ",\n" : "\n", f);
	}
	fprintf(f,
		"  ],\n  \"totals\": {\"rules\": %u, \"bpf\": %u, \"both\": %u, \"nftables\": %u, "
		"\"unreached\": %u, \"programs\": %u}\n}\n",
		p->rules.n, n[PW_BPF], n[PW_BOTH], n[PW_NFT], p->n_none, plan_links(p));
}

uint32_t fb_strict_count(const struct plan *p)
{
	uint32_t n = 0;

	vec_foreach(&p->rules, it)
		n += it->where == PW_NFT || it->where == PW_BOTH;
	/* A chain without rules costs every packet too, and may drop it. */
	vec_foreach(&p->chains, it)
		n += it->where == PW_NFT && !it->chain->rules.n;
	return n;
}
