// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which expressions stand where the kernel would not take them: a chain must fit every hook from
 * which a base chain reaches it, by jumps and by verdict maps, however many chains lie between.
 */
#include "sema.h"

#define AT(hook)	  (1u << HOOK_##hook)
#define AT_NETDEV_INGRESS 1u /* netdev numbers its hooks apart */

enum hook_family { HF_IP, HF_BRIDGE, HF_NETDEV, HF_OTHER };

static enum hook_family hook_family(enum family f)
{
	return f == FAM_IP || f == FAM_IP6 || f == FAM_INET ? HF_IP
	       : f == FAM_BRIDGE			    ? HF_BRIDGE
	       : f == FAM_NETDEV			    ? HF_NETDEV
							    : HF_OTHER;
}

static uint32_t hooks_of(const struct expr *e, enum hook_family f)
{
#define H(expr, cond, family, hooks)                                                               \
	if (e->kind == EX_##expr && f == HF_##family && (cond))                                    \
		return hooks;
#include "hooks.def"
#undef H
	return ~0u;
}

static const char *words_of(const struct expr *e)
{
	switch (e->kind) {
	case EX_NAT:
		return e->nat.type ? "dnat" : "snat";
	case EX_MASQ:
		return "masquerade";
	case EX_REDIR:
		return "redirect";
	case EX_FLOW_OFFLOAD:
		return "flow";
	case EX_XFRM:
		return e->xfrm.dir ? "ipsec out" : "ipsec in";
	case EX_RT:
		return "rt mtu";
	case EX_META:
		return e->meta.sreg != REG_NONE		 ? "meta pkttype set"
		       : e->meta.key == KEY_META_SECPATH ? "meta ipsec"
							 : "meta sdif";
	default:
		return expr_kind_name(e->kind);
	}
}

static const char *hook_list(struct arena *a, enum family f, uint32_t hooks)
{
	struct sbuf b;

	sb_init(&b, a);
	for (uint32_t h = 0; h <= HOOK_INGRESS; h++)
		if ((hooks & 1u << h) && (h != HOOK_INGRESS || f == FAM_INET)) {
			hooks &= ~(1u << h);
			sb_printf(&b, "%s%s",
				  !b.n				       ? ""
				  : hooks & ((1u << HOOK_INGRESS) - 1) ? ", "
								       : " or ",
				  hook_name(f, (enum hooknum)h));
		}
	return b.s;
}

/* The walk from one base chain. */
struct walk {
	struct sema *s;
	const struct chain *base;
	uint32_t *seen; /* by chain: hooks from which it was reached, in chains of type nat + 8 */
};

static bool expr_fits(struct walk *w, const struct expr *e)
{
	enum family f = w->base->table->family;
	uint32_t may = hooks_of(e, hook_family(f));
	bool nat = e->kind == EX_NAT || e->kind == EX_MASQ || e->kind == EX_REDIR;

	if (nat && strcmp(w->base->type, "nat")) {
		diag_error2(w->s->diag, e->loc, w->base->loc,
			    "%s is only possible in chains of type nat, and base chain \"%s\" "
			    "reaches this "
			    "one",
			    words_of(e), w->base->name);
		return false;
	}
	if (may & 1u << w->base->hook)
		return true;
	diag_error2(w->s->diag, e->loc, w->base->loc,
		    "%s is not possible in hook %s, from which base chain \"%s\" reaches it: use "
		    "hook %s",
		    words_of(e), hook_name(f, w->base->hook), w->base->name,
		    hook_list(w->s->arena, f, may));
	return false;
}

static void visit(struct walk *w, const struct chain *c)
{
	uint32_t bit = 1u << (w->base->hook + (strcmp(w->base->type, "nat") ? 0 : 8));

	if (w->seen[c->index] & bit || w->s->diag->errors >= ERRORS_COUNTED)
		return;
	w->seen[c->index] |= bit;
	vec_foreach(&c->rules, r)
		vec_foreach(&(*r)->exprs, e) {
			if (!expr_fits(w, *e))
				break;
			if ((*e)->kind == EX_IMMEDIATE && (*e)->imm.dreg == REG_VERDICT &&
			    (*e)->imm.verdict.chain)
				visit(w, (*e)->imm.verdict.chain);
			else if ((*e)->kind == EX_LOOKUP && (*e)->lookup.set->is_vmap)
				vec_foreach(&(*e)->lookup.set->elems, el)
					if ((*el)->verdict.chain)
						visit(w, (*el)->verdict.chain);
		}
}

/* After ruleset_check_jumps(): there are no loops, and the chains' indices are right. */
bool check_hooks(struct sema *s)
{
	uint32_t errors = s->diag->errors;

	vec_foreach(&s->rs->tables, t) {
		struct walk w = { .s = s };

		w.seen = arena_array(s->tmp, uint32_t, (*t)->chains.n);
		vec_foreach(&(*t)->chains, c) {
			w.base = *c;
			if ((*c)->is_base)
				visit(&w, *c);
		}
	}
	return s->diag->errors == errors;
}
