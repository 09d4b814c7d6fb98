// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * praw: rules that nft has no words for, as the kernel's own attributes: xt expression "name" = 0 LENGTH "hexadecimal". Only
 * nft2bpfctl reads that (see fb_has_xt).
 */
#include "nlwrite.h"
#include "print.h"

#define RAW_MAX 1024u /* bytes of an expression's attributes */

/* Names that nothing else in the text bears. */
static bool is_nameless(const struct set *s, const struct verdict *v)
{
	return (s && s->flags & SET_ANONYMOUS) || (v && v->chain && v->chain->is_bound);
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

bool pw_rule(const struct rule *r, struct sbuf *out)
{
	struct ruleset *rs = r->chain->table->rs;
	size_t start = out->n;
	struct nlw w;

	nlw_begin(&w, out->arena, rs->diag);
	vec_foreach(&r->exprs, e) {
		sb_puts(out, out->n > start ? " " : "");
		if (!raw_expr(*e, &w, out)) {
			out->n = start;
			out->s[start] = 0;
			return false;
		}
	}
	if (r->comment)
		sb_printf(out, " comment \"%s\"", r->comment);
	return r->exprs.n;
}
