// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The IR as text, which parse.c reads back. First what the code refers to by number: tables,
 * chains, rules, objects of the ruleset, then sets, states, dynsets, data; then the functions. The
 * form is described in nft2bpf-ir(7).
 */
#include <inttypes.h>

#include "ir.h"

/* Pointer to number, in order of first sight. */
struct numbering {
	struct arena *arena;
	VEC(const void *) list;
	uint32_t *slots; /* number + 1; 0: free */
	uint32_t cap;
};

static uint32_t num_slot(const struct numbering *nb, const void *p)
{
	uint32_t s = (uint32_t)(((uintptr_t)p * 0x9e3779b97f4a7c15ull) >> 32) & (nb->cap - 1);

	while (nb->slots[s] && nb->list.v[nb->slots[s] - 1] != p)
		s = (s + 1) & (nb->cap - 1);
	return s;
}

/* True: p is new. */
static bool num_add(struct numbering *nb, const void *p)
{
	uint32_t s;

	if (nb->list.n * 2 >= nb->cap) {
		nb->cap = nb->cap ? nb->cap * 2 : 64;
		nb->slots = arena_array(nb->arena, uint32_t, nb->cap);
		for (uint32_t i = 0; i < nb->list.n; i++)
			nb->slots[num_slot(nb, nb->list.v[i])] = i + 1;
	}
	s = num_slot(nb, p);
	if (nb->slots[s])
		return false;
	*vec_push(nb->arena, &nb->list) = p;
	nb->slots[s] = nb->list.n;
	return true;
}

static uint32_t num_of(const struct numbering *nb, const void *p)
{
	uint32_t s = nb->cap ? nb->slots[num_slot(nb, p)] : 0;

	BUG_ON(!s);
	return s - 1;
}

struct printer {
	FILE *f;
	const struct ir_mod *m;
	struct numbering tables, chains, rules, objs;
};

/* -- collecting -------------------------------------------------------------------------------- */

static void see_table(struct printer *p, const struct table *t)
{
	if (t)
		num_add(&p->tables, t);
}

static void see_chain(struct printer *p, const struct chain *c)
{
	if (c && num_add(&p->chains, c))
		see_table(p, c->table);
}

static void see_rule(struct printer *p, const struct rule *r)
{
	if (r && num_add(&p->rules, r))
		see_chain(p, r->chain);
}

static void see_obj(struct printer *p, const struct obj *o)
{
	if (o && num_add(&p->objs, o))
		see_table(p, o->table);
}

static void see_set(struct printer *p, const struct ir_set *s)
{
	see_table(p, s->set->table);
	vec_foreach(&s->set->elems, e) {
		see_chain(p, (*e)->verdict.chain);
		see_obj(p, (*e)->obj);
	}
	vec_foreach(&s->verdicts, v)
		see_chain(p, v->chain);
	vec_foreach(&s->objs, o)
		see_obj(p, *o);
}

static void see_fn(struct printer *p, const struct ir_fn *fn)
{
	see_chain(p, fn->chain);
	vec_foreach(&fn->blocks, b)
		for (const struct ir_ins *i = (*b)->first; i; i = i->next)
			see_rule(p, i->rule);
}

static void see_mod(struct printer *p)
{
	const struct ir_mod *m = p->m;

	vec_foreach(&m->sets, s)
		see_set(p, s);
	vec_foreach(&m->states, st) {
		see_rule(p, st->rule);
		see_obj(p, st->obj);
		see_chain(p, st->policy_of);
	}
	vec_foreach(&m->dynsets, d)
		see_rule(p, d->rule);
}

/* -- the ruleset's part ------------------------------------------------------------------------ */

static void put_str(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\x%02x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

static void put_hex(FILE *f, const uint8_t *b, uint32_t n)
{
	fputs("x", f);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "%02x", b[i]);
}

static void put_word(FILE *f, const char *name, uint64_t v)
{
	if (v)
		fprintf(f, " %s %" PRIu64, name, v);
}

static void put_text(FILE *f, const char *name, const char *s)
{
	if (s) {
		fprintf(f, " %s ", name);
		put_str(f, s);
	}
}

static void put_loc(struct printer *p, struct loc l)
{
	if (l.name)
		put_text(p->f, "place", l.name);
	if (l.file == SRC_NONE || !p->m->diag || l.file >= p->m->diag->sources.n)
		return;
	fputs(" at ", p->f);
	put_str(p->f, p->m->diag->sources.v[l.file]->path);
	fprintf(p->f, " %u %u %u %u", l.line, l.col, l.end_line, l.end_col);
}

static void put_verdict(struct printer *p, const struct verdict *v)
{
	switch (v->code) {
	case V_DROP:
		fputs("drop", p->f);
		return;
	case V_ACCEPT:
		fputs("accept", p->f);
		return;
	case V_QUEUE:
		fputs("queue", p->f);
		return;
	case V_CONTINUE:
		fputs("continue", p->f);
		return;
	case V_BREAK:
		fputs("break", p->f);
		return;
	case V_RETURN:
		fputs("return", p->f);
		return;
	case V_JUMP:
		fprintf(p->f, "jump %u", num_of(&p->chains, v->chain));
		return;
	case V_GOTO:
		fprintf(p->f, "goto %u", num_of(&p->chains, v->chain));
		return;
	}
	BUG("verdict %d", v->code);
}

/* A stateful expression: " counter 3 180". */
static void put_expr(struct printer *p, const struct expr *e)
{
	FILE *f = p->f;

	fprintf(
		f, " %s", (const char *const[]) {
#define X(kind, name) [EX_##kind] = name,
#include "exprkind.def"
#undef X
		}[e->kind]);
	switch (e->kind) {
	case EX_COUNTER:
		fprintf(f, " %" PRIu64 " %" PRIu64, e->counter.packets, e->counter.bytes);
		return;
	case EX_LIMIT:
		fprintf(f, " %" PRIu64 " %" PRIu64 " %u %u %u", e->limit.rate, e->limit.unit,
			e->limit.burst, e->limit.type, e->limit.inv);
		return;
	case EX_QUOTA:
		fprintf(f, " %" PRIu64 " %" PRIu64 " %u %u", e->quota.bytes, e->quota.consumed,
			e->quota.inv, e->quota.depleted);
		return;
	case EX_CONNLIMIT:
		fprintf(f, " %u %u", e->connlimit.count, e->connlimit.inv);
		return;
	case EX_LAST:
		fprintf(f, " %u %" PRIu64, e->last.set, e->last.msecs);
		return;
	case EX_NUMGEN:
		fprintf(f, " %u %u %u", e->numgen.type, e->numgen.mod, e->numgen.offset);
		return;
	default:
		BUG("expression %d has no text as state", e->kind);
	}
}

static void put_exprs(struct printer *p, struct expr *const *exprs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		fputs(" expr", p->f);
		put_expr(p, exprs[i]);
	}
}

static void put_chain(struct printer *p, uint32_t n, const struct chain *c)
{
	FILE *f = p->f;

	fprintf(f, "chain %u table %u ", n, num_of(&p->tables, c->table));
	put_str(f, c->name);
	put_word(f, "index", c->index);
	put_word(f, "handle", c->handle);
	if (c->is_bound)
		fputs(" bound", f);
	if (c->is_base) {
		put_text(f, "base", c->type ? c->type : "filter");
		fprintf(f, " hook %u prio %d", c->hook, c->prio);
		if (c->has_policy)
			fprintf(f, " policy %s", c->policy == V_DROP ? "drop" : "accept");
		if (c->has_counter)
			fprintf(f, " counter %" PRIu64 " %" PRIu64, c->counter_packets,
				c->counter_bytes);
	}
	put_loc(p, c->loc);
	fputc('\n', f);
}

static void put_rule(struct printer *p, uint32_t n, const struct rule *r)
{
	fprintf(p->f, "rule %u chain %u index %u", n, num_of(&p->chains, r->chain), r->index);
	put_word(p->f, "handle", r->handle);
	put_text(p->f, "text", r->text);
	put_text(p->f, "comment", r->comment);
	put_loc(p, r->loc);
	fputc('\n', p->f);
}

static void put_obj(struct printer *p, uint32_t n, const struct obj *o)
{
	fprintf(p->f, "object %u table %u type %u ", n, num_of(&p->tables, o->table), o->type);
	put_str(p->f, o->name);
	put_word(p->f, "handle", o->handle);
	if (o->expr)
		put_exprs(p, &o->expr, 1);
	put_loc(p, o->loc);
	fputc('\n', p->f);
}

static void put_elem(struct printer *p, const struct set *s, const struct set_elem *e)
{
	FILE *f = p->f;

	fputs("\telem ", f);
	if (e->catchall)
		fputc('*', f);
	else
		put_hex(f, e->key.b, e->key.len);
	if (e->key_end.len) {
		fputs(" to ", f);
		put_hex(f, e->key_end.b, e->key_end.len);
	}
	if (s->is_vmap) {
		fputs(" verdict ", f);
		put_verdict(p, &e->verdict);
	} else if (e->data.len) {
		fputs(" data ", f);
		put_hex(f, e->data.b, e->data.len);
	}
	if (e->obj)
		fprintf(f, " object %u", num_of(&p->objs, e->obj));
	if (e->has_timeout)
		fprintf(f, " timeout %" PRIu64, e->timeout);
	put_word(f, "expires", e->expires);
	put_exprs(p, e->exprs, e->n_exprs);
	put_text(f, "comment", e->comment);
	fputc('\n', f);
}

static void put_set(struct printer *p, uint32_t n, const struct ir_set *is)
{
	const struct set *s = is->set;
	FILE *f = p->f;

	fprintf(f, "set %u %s table %u ", n, is->kind == SK_CONST ? "const" : "mutable",
		num_of(&p->tables, s->table));
	put_str(f, s->name);
	fprintf(f, " index %u flags 0x%x key %u %u fields %u", s->index, s->flags, s->key_len,
		s->key_type, s->n_fields);
	for (uint32_t i = 0; i < s->n_fields; i++)
		fprintf(f, " %u", s->field_len[i]);
	if (s->data_len || s->data_type)
		fprintf(f, " data %u %u", s->data_len, s->data_type);
	put_word(f, "objects", s->obj_type);
	if (s->is_vmap)
		fputs(" vmap", f);
	put_word(f, "handle", s->handle);
	put_word(f, "size", s->size);
	put_word(f, "timeout", s->timeout);
	put_word(f, "gc", s->gc_int);
	put_text(f, "keydecl", s->key_decl);
	put_text(f, "datadecl", s->data_decl);
	put_exprs(p, s->exprs, s->n_exprs);
	put_loc(p, s->loc);
	fputs(" {\n", f);
	if (is->verdicts.n) {
		fputs("\tverdicts", f);
		for (uint32_t i = 0; i < is->verdicts.n; i++) {
			fputs(i ? ", " : " ", f);
			put_verdict(p, &is->verdicts.v[i]);
		}
		fputc('\n', f);
	}
	for (uint32_t i = 0; i < is->objs.n; i++)
		fprintf(f, "%s %u", i ? "," : "\tholds", num_of(&p->objs, is->objs.v[i]));
	if (is->objs.n)
		fputc('\n', f);
	vec_foreach(&s->elems, e)
		put_elem(p, s, *e);
	fputs("}\n", f);
}

static void put_state(struct printer *p, uint32_t n, const struct ir_state *st)
{
	static const char *const kinds[] = { "counter", "limit", "quota", "last", "numgen" };

	fprintf(p->f, "state %u %s", n, kinds[st->kind]);
	if (st->rule)
		fprintf(p->f, " rule %u %u", num_of(&p->rules, st->rule), st->expr_index);
	if (st->obj)
		fprintf(p->f, " object %u", num_of(&p->objs, st->obj));
	if (st->policy_of)
		fprintf(p->f, " policy %u", num_of(&p->chains, st->policy_of));
	if (st->expr)
		put_exprs(p, (struct expr *const[]){ (struct expr *)st->expr }, 1);
	fputc('\n', p->f);
}

static void put_dynset(struct printer *p, uint32_t n, const struct ir_dynset *d)
{
	static const char *const ops[] = { "add", "update", "delete" };
	const struct expr *e = d->expr;

	fprintf(p->f, "dynset %u set%u", n, d->set);
	if (d->rule)
		fprintf(p->f, " rule %u", num_of(&p->rules, d->rule));
	if (e) {
		fprintf(p->f, " %s %u %u", ops[e->dynset.op], e->dynset.sreg_key,
			e->dynset.sreg_data);
		put_word(p->f, "timeout", e->dynset.timeout);
		fputs(e->dynset.inv ? " inv" : "", p->f);
		fputs(e->dynset.has_expr_flag ? " exprflag" : "", p->f);
		put_exprs(p, e->dynset.exprs, e->dynset.n_exprs);
	}
	fputc('\n', p->f);
}

static void put_table(struct printer *p, uint32_t n, const struct ir_table *t)
{
	fprintf(p->f, "data %u ", n);
	put_str(p->f, t->name);
	fprintf(p->f, " align %u {\n", t->align);
	for (uint32_t i = 0; i < t->len; i += 32) {
		fputc('\t', p->f);
		put_hex(p->f, t->bytes + i, MIN(32, t->len - i));
		fputc('\n', p->f);
	}
	fputs("}\n", p->f);
}

/* -- functions --------------------------------------------------------------------------------- */

static void put_number(FILE *f, uint64_t v)
{
	fprintf(f, v < 10 ? "%" PRIu64 : "0x%" PRIx64, v);
}

static void put_arg(FILE *f, const struct ir_ins *a)
{
	if (!a) {
		fputs("%none", f);
		return;
	}
	if (a->op != IR_CONST) {
		fprintf(f, "%%%u", a->id);
		return;
	}
	put_number(f, (uint64_t)a->imm);
	if (a->type != IR_W)
		fputs(a->type == IR_B ? ".b" : ".l", f);
}

static void put_aux(FILE *f, const struct ir_ins *i)
{
	static const char *const word[] = {
		[AK_SET] = "set",    [AK_STATE] = "state", [AK_DYNSET] = "dynset",
		[AK_TABLE] = "data", [AK_RT] = "rt",	   [AK_FN] = "fn"
	};
	enum ir_aux_kind k = IR_AUX_KIND(ir_op_info[i->op].flags);

	if (k == AK_FIELD && i->aux < FLD_COUNT)
		fprintf(f, " %s", ir_field_info[i->aux].name);
	else
		fprintf(f, " %s%u", k == AK_FIELD ? "field" : word[k], i->aux);
}

static void put_targets(FILE *f, const struct ir_ins *i)
{
	const struct ir_block *b = i->blk;

	if (i->op == IR_SWITCH) {
		fputs(" [", f);
		for (uint32_t k = 0; k < b->cases.n && k < b->succs.n; k++) {
			fputs(k ? ", " : "", f);
			put_number(f, (uint64_t)b->cases.v[k]);
			fprintf(f, ": @%u", b->succs.v[k]->id);
		}
		fprintf(f, "], @%u", b->succs.n ? b->succs.v[b->succs.n - 1]->id : 0);
		return;
	}
	for (uint32_t k = 0; k < b->succs.n; k++)
		fprintf(f, "%s @%u", k || i->n_args ? "," : "", b->succs.v[k]->id);
	if (i->op == IR_BR && i->imm)
		fputs(i->imm == 1 ? " likely" : " unlikely", f);
}

static void put_ins(FILE *f, const struct ir_ins *i)
{
	const struct ir_op_info *info = &ir_op_info[i->op];

	fputc('\t', f);
	if (i->type != IR_V)
		fprintf(f, "%%%u = ", i->id);
	fputs(info->name, f);
	if (info->res == IR_T)
		fprintf(f, ".%c", "vbwl"[i->type]);
	if (info->flags & AUX)
		put_aux(f, i);
	for (uint32_t k = 0; k < i->n_args; k++) {
		fputs(k ? ", " : " ", f);
		if (i->op == IR_PHI && k < i->blk->preds.n)
			fprintf(f, "@%u ", i->blk->preds.v[k]->id);
		put_arg(f, i->args[k]);
	}
	if (info->flags & IMM && (i->imm || i->op == IR_PKT))
		fprintf(f, " %+" PRId64, i->imm);
	if (info->flags & SIZE)
		fprintf(f, " size %u", i->size);
	if (info->flags & TERM && !ir_is_last(i->op))
		put_targets(f, i);
	fputc('\n', f);
}

static void put_fn(struct printer *p, const struct ir_fn *fn)
{
	static const char *const kinds[] = { "program", "chain", "next" };
	const struct rule *rule = NULL;
	FILE *f = p->f;

	fprintf(f, "function %u %s ", fn->index, kinds[fn->kind]);
	put_str(f, fn->name);
	fprintf(f, " pf %u", fn->pf);
	if (fn->chain)
		fprintf(f, " chain %u", num_of(&p->chains, fn->chain));
	if (fn->kind != IR_FN_CHAIN)
		fprintf(f, " hook %u prio %d", fn->hook, fn->prio);
	fputs(" {\n", f);
	vec_foreach(&fn->blocks, bp) {
		fprintf(f, "@%u:%s\n", (*bp)->id, (*bp)->cold ? " cold" : "");
		for (const struct ir_ins *i = (*bp)->first; i; i = i->next) {
			if (i->rule != rule) {
				rule = i->rule;
				if (!rule)
					fputs("\trule -\n", f);
				else
					fprintf(f, "\trule %u # %s\n", num_of(&p->rules, rule),
						rule->text ? rule->text : "");
			}
			put_ins(f, i);
		}
	}
	fputs("}\n", f);
}

static void printer_init(struct printer *p, const struct ir_mod *m, FILE *f)
{
	memset(p, 0, sizeof(*p));
	p->f = f;
	p->m = m;
	p->tables.arena = p->chains.arena = p->rules.arena = p->objs.arena = m->arena;
}

void ir_print_fn(const struct ir_fn *fn, FILE *f)
{
	struct printer p;

	printer_init(&p, fn->mod, f);
	see_fn(&p, fn);
	put_fn(&p, fn);
}

static void put_ruleset(struct printer *p)
{
	for (uint32_t i = 0; i < p->tables.list.n; i++) {
		const struct table *t = p->tables.list.v[i];

		fprintf(p->f, "table %u family %u ", i, t->family);
		put_str(p->f, t->name);
		put_word(p->f, "flags", t->flags);
		fputc('\n', p->f);
	}
	for (uint32_t i = 0; i < p->chains.list.n; i++)
		put_chain(p, i, p->chains.list.v[i]);
	for (uint32_t i = 0; i < p->rules.list.n; i++)
		put_rule(p, i, p->rules.list.v[i]);
	for (uint32_t i = 0; i < p->objs.list.n; i++)
		put_obj(p, i, p->objs.list.v[i]);
}

void ir_print(const struct ir_mod *m, FILE *f)
{
	struct printer p;

	printer_init(&p, m, f);
	vec_foreach(&m->fns, fn)
		see_fn(&p, *fn);
	see_mod(&p);
	put_ruleset(&p);
	for (uint32_t i = 0; i < m->sets.n; i++)
		put_set(&p, i, &m->sets.v[i]);
	for (uint32_t i = 0; i < m->states.n; i++)
		put_state(&p, i, &m->states.v[i]);
	for (uint32_t i = 0; i < m->dynsets.n; i++)
		put_dynset(&p, i, &m->dynsets.v[i]);
	for (uint32_t i = 0; i < m->tables.n; i++)
		put_table(&p, i, &m->tables.v[i]);
	vec_foreach(&m->fns, fn)
		put_fn(&p, *fn);
}
