// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scope: define, redefine, undefine and $name; each block has a scope of its own inside that around
 * it.
 */
#include "parser.h"

void scope_push(struct parser *p)
{
	struct scope *s = arena_new_of(p->arena, struct scope);

	strmap_init(&s->vars, p->arena);
	s->up = p->scope;
	p->scope = s;
}

static struct ast_define *find_in(const struct scope *s, const char *name)
{
	return s->vars.n ? strmap_get(&s->vars, name, strlen(name)) : NULL;
}

struct ast_define *scope_find(const struct parser *p, const char *name)
{
	for (const struct scope *s = p->scope; s; s = s->up) {
		struct ast_define *d = find_in(s, name);

		if (d && d->value)
			return d;
	}
	return NULL;
}

void scope_define(struct parser *p, struct loc loc, const char *name, struct ast_expr *value,
		  bool redefine)
{
	struct ast_define *d = find_in(p->scope, name);

	if (d && d->value && !redefine) {
		diag_error2(p->diag, loc, d->loc, "%s is defined already: use redefine", name);
		p->errors++;
		return;
	}
	d = arena_new_of(p->arena, struct ast_define);
	d->name = name;
	d->loc = loc;
	d->value = value;
	*strmap_put(&p->scope->vars, name, strlen(name)) = d;
	*vec_push(p->arena, &p->scope->defs) = d;
}

void scope_undefine(struct parser *p, struct loc loc, const char *name)
{
	struct ast_define *d = find_in(p->scope, name);

	if (d && d->value)
		d->value = NULL;
}

static const char *nearest(const struct parser *p, const char *name)
{
	size_t n = strlen(name);
	uint32_t best = n < 3 ? 1 : 2;
	const char *found = NULL;

	for (const struct scope *s = p->scope; s; s = s->up)
		vec_foreach(&s->defs, it) {
			uint32_t d;

			if (!(*it)->value)
				continue;
			d = edit_distance(name, n, (*it)->name, strlen((*it)->name), best);
			if (d <= best && (d < best || !found)) {
				best = d;
				found = (*it)->name;
			}
		}
	return found;
}

/* The node for $name; after an error a harmless value. */
struct ast_expr *scope_var(struct parser *p, struct loc loc, const char *name)
{
	struct ast_define *d = scope_find(p, name);
	struct ast_expr *e;
	const char *near;

	if (!d) {
		near = *name ? nearest(p, name) : NULL;
		if (near)
			p_error(p, loc, "variable $%s is not defined, did you mean $%s", name,
				near);
		else if (*name)
			p_error(p, loc, "variable $%s is not defined", name);
		return mk_text(p, AX_SYMBOL, loc, "0");
	}
	d->used = true;
	e = mk(p, AX_VAR, loc);
	e->var.name = d->name;
	e->var.value = d->value;
	e->depth = (uint16_t)(d->value->depth + 1);
	if (e->depth > EXPR_DEPTH_MAX) {
		p_error(p, loc, "expression is nested too deeply: at most %d levels",
			EXPR_DEPTH_MAX);
		p->done = true;
	}
	return e;
}

void block_open(struct parser *p, struct loc loc, bool anon)
{
	struct block *b;

	if (p->n_blocks == BLOCK_DEPTH_MAX) {
		p_error(p, loc, "blocks are nested too deeply: at most %d", BLOCK_DEPTH_MAX);
		p->done = true;
		p->n_blocks--;
	}
	b = &p->blocks[p->n_blocks++];
	b->depth = p->depth;
	b->anon = anon;
	b->scope = p->scope;
	b->outer = p->chain;
	scope_push(p);
}

void block_close(struct parser *p)
{
	struct block *b;

	if (!p->n_blocks)
		return;
	b = &p->blocks[--p->n_blocks];
	p->scope = b->scope;
	if (b->anon) {
		p->anon = p->chain;
		p->chain = b->outer;
	}
}
