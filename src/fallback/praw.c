// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * praw: rules that nft has no words for, as the kernel's own attributes: xt expression "name" = 0
 * LENGTH "hexadecimal", beside what has words. Only nft2bpfctl reads that (see fb_has_xt).
 */
#include "nlwrite.h"
#include "print.h"

#define RAW_MAX 1024u /* bytes of an expression's attributes */

/* Names that nothing else in the text bears. */
static bool is_nameless(const struct set *s, const struct verdict *v)
{
	return (s && s->flags & SET_ANONYMOUS) || (v && v->chain && v->chain->is_bound);
}

struct set pw_named_set(struct arena *a, const struct set *s)
{
	struct set named = *s;

	named.name = arena_printf(a, "nft2bpf%s", s->name);
	named.flags &= ~(uint32_t)SET_ANONYMOUS;
	return named;
}

bool pw_needs_names(const struct rule *r)
{
	bool set = false, raw = false;

	vec_foreach(&r->exprs, e) {
		set |= (*e)->kind == EX_LOOKUP && is_nameless((*e)->lookup.set, NULL);
		raw |= (*e)->kind == EX_INNER || (*e)->kind == EX_UNKNOWN;
	}
	return set && raw;
}

static bool stands_alone(const struct expr *e)
{
	switch (e->kind) {
	case EX_LOOKUP:
		return !is_nameless(e->lookup.set, NULL);
	case EX_DYNSET:
		return !is_nameless(e->dynset.set, NULL);
	case EX_OBJREF:
		return !is_nameless(e->objref.set, NULL);
	case EX_IMMEDIATE:
		return e->imm.dreg != REG_VERDICT || !is_nameless(NULL, &e->imm.verdict);
	default:
		return true;
	}
}

static bool raw_expr(const struct expr *e, struct nlw *w, struct sbuf *out)
{
	const char *name = e->kind == EX_UNKNOWN ? e->unknown.name : expr_kind_name(e->kind);
	size_t at = w->out.n, n = e->unknown.attrs_len;
	const uint8_t *p = e->unknown.attrs;

	if (!stands_alone(e) || strchr(name, '"'))
		return false;
	if (e->kind != EX_UNKNOWN) {
		if (!nlw_expr_data(w, e))
			return false;
		p = (const uint8_t *)w->out.s + at;
		n = w->out.n - at;
	}
	if (n > RAW_MAX)
		return false;
	sb_printf(out, "xt expression \"%s\" = 0 %zu \"", name, n);
	for (size_t i = 0; i < n; i++)
		sb_printf(out, "%02x", p[i]);
	sb_puts(out, "\"");
	return true;
}

/*
 * What needs no other expression has its words here, too: listings give counters their values by
 * them.
 */
static bool in_words(const struct expr *e, const struct fb_print_opts *o, struct sbuf *out)
{
	switch (e->kind) {
	case EX_COUNTER:
	case EX_LIMIT:
	case EX_QUOTA:
		ps_stateful(e, o, out);
		return true;
	case EX_IMMEDIATE:
		if (e->imm.dreg != REG_VERDICT || is_nameless(NULL, &e->imm.verdict))
			return false;
		ps_verdict(o, e->imm.verdict, out);
		return true;
	default:
		return false;
	}
}

bool pw_rule(const struct rule *r, const struct fb_print_opts *o, struct sbuf *out)
{
	struct ruleset *rs = r->chain->table->rs;
	size_t start = out->n;
	struct nlw w;

	nlw_begin(&w, out->arena, rs->diag);
	vec_foreach(&r->exprs, it) {
		const struct expr *e = *it;
		struct expr lookup;
		struct set named;

		if (o->named && e->kind == EX_LOOKUP && is_nameless(e->lookup.set, NULL)) {
			memcpy(&lookup, e, expr_size(EX_LOOKUP));
			named = pw_named_set(out->arena, e->lookup.set);
			lookup.lookup.set = &named;
			e = &lookup;
		}
		sb_puts(out, out->n > start ? " " : "");
		if (!in_words(e, o, out) && !raw_expr(e, &w, out)) {
			out->n = start;
			out->s[start] = 0;
			return false;
		}
	}
	if (r->comment)
		sb_printf(out, " comment \"%s\"", r->comment);
	return r->exprs.n;
}
