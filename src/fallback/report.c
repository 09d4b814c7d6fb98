// SPDX-License-Identifier: GPL-2.0-or-later
/* report: --explain for people, --report for programs, and what --strict counts. */
#include "fallback.h"

static const char *place(const struct plan *p, const struct rule *r, struct sbuf *b)
{
	sb_init(b, p->arena);
	if (r->loc.file != SRC_NONE && r->loc.line && p->rs->diag)
		sb_printf(b, "%s:%u", p->rs->diag->sources.v[r->loc.file]->path, r->loc.line);
	else if (r->handle)
		sb_printf(b, "handle %llu", (unsigned long long)r->handle);
	else
		sb_printf(b, "%u", r->index);
	return b->s;
}

static const char *rule_text(const struct plan *p, const struct rule *r)
{
	static const struct fb_print_opts o = { .zero = true, .elements = true };
	struct sbuf b;

	if (r->text)
		return r->text;
	sb_init(&b, p->arena);
	return fb_print_rule(r, &o, &b) ? b.s : "(nft has no words for it)";
}

static void explain_chain(const struct plan *p, const struct chain *c, FILE *f)
{
	vec_foreach(&p->chains, it) {
		if (it->chain != c)
			continue;
		fprintf(f, "  %s\n",
			it->where == PW_BPF    ? "whole in BPF"
			: it->where == PW_BOTH ? "split between BPF and nftables"
					       : "whole in nftables");
		if (it->why)
			fprintf(f, "  %s\n", it->why);
	}
}

void fb_explain(const struct plan *p, FILE *f)
{
	const struct chain *c = NULL;
	struct sbuf b;

	vec_foreach(&p->rules, it) {
		const struct rule *r = it->rule;

		if (r->chain != c) {
			c = r->chain;
			fprintf(f, "%s %s %s%s\n", family_name(c->table->family), c->table->name,
				c->name, c->is_base ? "" : " (user chain)");
			explain_chain(p, c, f);
			fprintf(f, "  %-18s %-9s %5s  %s\n", "rule", "where", "insns", "what");
		}
		fprintf(f, "  %-18s %-9s ", place(p, r, &b),
			it->where ? plan_where_name[it->where] : "-");
		if (it->insns)
			fprintf(f, "%5u  ", it->insns);
		else
			fprintf(f, "%5s  ", "-");
		fprintf(f, "%.100s\n", rule_text(p, r));
		if (it->why)
			fprintf(f, "  %-18s %-9s %5s  why: %s\n", "", "", "", it->why);
	}
	fprintf(f, "%u rule%s: %u in bpf, %u in both, %u in nftables, %u not reached\n", p->rules.n,
		p->rules.n == 1 ? "" : "s", p->n_bpf, p->n_both, p->n_nft, p->n_none);
}

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

static void json_rule(const struct plan *p, const struct plan_rule *x, FILE *f)
{
	const struct rule *r = x->rule;
	bool placed = r->loc.file != SRC_NONE && r->loc.line && p->rs->diag;

	fputs("    {\"family\": ", f);
	json_string(family_name(r->chain->table->family), f);
	json_member("table", r->chain->table->name, f);
	json_member("chain", r->chain->name, f);
	fprintf(f, ", \"index\": %u", r->index);
	json_member("where", x->where ? plan_where_name[x->where] : "none", f);
	json_member("reason", x->why, f);
	json_member("kind", x->group, f);
	json_member("file", placed ? p->rs->diag->sources.v[r->loc.file]->path : NULL, f);
	if (placed)
		fprintf(f, ", \"line\": %u", r->loc.line);
	else
		fputs(", \"line\": null", f);
	if (r->handle)
		fprintf(f, ", \"handle\": %llu", (unsigned long long)r->handle);
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
	uint32_t i;

	fputs("{\n  \"rules\": [\n", f);
	for (i = 0; i < p->rules.n; i++) {
		json_rule(p, &p->rules.v[i], f);
		fputs(i + 1 < p->rules.n ? ",\n" : "\n", f);
	}
	fputs("  ],\n  \"chains\": [\n", f);
	for (i = 0; i < p->chains.n; i++) {
		json_chain(&p->chains.v[i], f);
		fputs(i + 1 < p->chains.n ? ",\n" : "\n", f);
	}
	fprintf(f,
		"  ],\n  \"totals\": {\"rules\": %u, \"bpf\": %u, \"both\": %u, \"nftables\": %u, "
		"\"none\": %u, \"programs\": %u}\n}\n",
		p->rules.n, p->n_bpf, p->n_both, p->n_nft, p->n_none, p->progs.n);
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
