// SPDX-License-Identifier: GPL-2.0-or-later
/* build: nodes of the syntax tree, and the written forms of numbers, times, sizes and rates. */
#include <ctype.h>
#include <stdlib.h>

#include "actions.h"

void p_error(struct parser *p, struct loc loc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_verror(p->diag, DIAG_ERROR, loc, (struct loc){ 0 }, fmt, ap);
	va_end(ap);
	if (++p->errors >= DIAG_MAX_ERRORS)
		p->done = true;
}

/* -- expressions ------------------------------------------------------------------------------- */

struct ast_expr *mk(struct parser *p, enum ast_expr_kind k, struct loc loc)
{
	struct ast_expr *e = arena_new_of(p->nodes, struct ast_expr);

	e->kind = k;
	e->loc = loc;
	return e;
}

/* Notes that e holds child; a chain of left-hand operators is as deep as it is long. */
static void holds(struct parser *p, struct ast_expr *e, const struct ast_expr *child)
{
	if (!child || child->depth < e->depth)
		return;
	e->depth = (uint16_t)(child->depth + 1);
	if (e->depth == EXPR_DEPTH_MAX + 1) {
		p_error(p, e->loc, "expression is nested too deeply: at most %d levels",
			EXPR_DEPTH_MAX);
		p->done = true;
	}
}

struct ast_expr *mk_text(struct parser *p, enum ast_expr_kind k, struct loc loc, const char *text)
{
	struct ast_expr *e = mk(p, k, loc);

	e->text = text;
	return e;
}

struct ast_expr *mk_num(struct parser *p, struct loc loc, struct tok t)
{
	bool plain = *t.a != '0' || !t.a[1];
	struct ast_expr *e;

	/* Where a number stands for a word it is the word of its decimal digits. */
	e = mk_text(p, AX_NUMBER, loc,
		    plain ? t.a : arena_printf(p->arena, "%llu", (unsigned long long)t.num));
	e->num = t.num;
	return e;
}

struct ast_expr *mk_bin(struct parser *p, struct loc loc, enum ast_binop op, struct ast_expr *l,
			struct ast_expr *r)
{
	struct ast_expr *e = mk(p, AX_BINOP, loc);

	e->bin.left = l;
	e->bin.right = r;
	e->bin_op = op;
	holds(p, e, l);
	holds(p, e, r);
	return e;
}

struct ast_expr *mk_rel(struct parser *p, struct loc loc, enum ast_rel op, struct ast_expr *l,
			struct ast_expr *r, struct ast_expr *mask)
{
	struct ast_expr *e = mk(p, AX_REL, loc);

	e->rel.left = l;
	e->rel.right = r;
	e->rel.mask = mask;
	e->rel_op = op;
	holds(p, e, l);
	holds(p, e, r);
	holds(p, e, mask);
	return e;
}

/*
 * Puts r behind l: into l if that is such a list already (not a bracketed one), else into a new
 * list.
 */
struct ast_expr *mk_list(struct parser *p, enum ast_expr_kind k, struct loc loc, struct ast_expr *l,
			 struct ast_expr *r)
{
	struct ast_expr *e = l;

	if (l->kind != k || !l->open) {
		e = mk(p, k, loc);
		e->list = arena_new_of(p->nodes, struct ast_list_body);
		e->open = true;
		*vec_push(p->nodes, &e->list->items) = l;
		holds(p, e, l);
	}
	*vec_push(p->nodes, &e->list->items) = r;
	e->loc = loc;
	holds(p, e, r);
	return e;
}

struct ast_expr *mk_map(struct parser *p, enum ast_expr_kind k, struct loc loc,
			struct ast_expr *key, struct ast_expr *map)
{
	struct ast_expr *e = mk(p, k, loc);

	e->map.key = key;
	e->map.map = map;
	holds(p, e, key);
	holds(p, e, map);
	return e;
}

struct ast_expr *mk_range(struct parser *p, struct loc loc, struct ast_expr *a, struct ast_expr *b)
{
	struct ast_expr *e = mk(p, AX_RANGE, loc);

	e->range.from = a;
	e->range.to = b;
	holds(p, e, a);
	holds(p, e, b);
	return e;
}

struct ast_expr *mk_prefix(struct parser *p, struct loc loc, struct ast_expr *a,
			   struct ast_expr *len)
{
	struct ast_expr *e = mk(p, AX_PREFIX, loc);

	e->prefix.base = a;
	if (len->kind != AX_NUMBER)
		e->prefix.len_expr = len;
	else if (len->num > 128)
		p_error(p, len->loc, "prefix length %s is too large: at most 128", len->text);
	else
		e->prefix.len = (uint32_t)len->num;
	holds(p, e, a);
	return e;
}

struct ast_expr *mk_ext(struct parser *p, enum ast_expr_kind k, struct loc loc, const char *hdr,
			const char *field)
{
	struct ast_expr *e = mk(p, k, loc);

	e->ext = arena_new_of(p->nodes, struct ast_ext);
	e->ext->hdr = hdr;
	e->ext->field = field;
	e->ext->present = !field;
	return e;
}

struct ast_expr *mk_verdict(struct parser *p, struct loc loc, enum ast_verdict_code c,
			    struct ast_expr *target)
{
	struct ast_expr *e = mk(p, AX_VERDICT, loc);

	e->verdict.code = c;
	e->verdict.target = target;
	return e;
}

struct ast_expr *mk_set(struct parser *p, struct loc loc)
{
	struct ast_expr *e = mk(p, AX_SET, loc);

	e->set = arena_new_of(p->nodes, struct ast_set_body);
	return e;
}

void set_add(struct parser *p, struct ast_expr *set, struct ast_elem el)
{
	*vec_push(p->nodes, &set->set->elems) = el;
	holds(p, set, el.key);
	holds(p, set, el.data);
}

struct ast_elem_opts *opts_get(struct parser *p, struct ast_elem_opts *o)
{
	return o ? o : arena_new_of(p->nodes, struct ast_elem_opts);
}

/* -- statements -------------------------------------------------------------------------------- */

struct ast_stmt *mk_stmt(struct parser *p, enum ast_stmt_kind k, struct loc loc)
{
	struct ast_stmt *s = arena_new_of(p->nodes, struct ast_stmt);

	s->kind = k;
	s->loc = loc;
	return s;
}

/* target set value: which statement it is goes by the target. */
struct ast_stmt *mk_assign(struct parser *p, struct loc loc, struct ast_expr *t,
			   struct ast_expr *value)
{
	enum ast_stmt_kind k = AS_EXT_SET;
	struct ast_stmt *s;

	switch (t->kind) {
	case AX_META:
		if (!strcmp(t->key.key, "secmark") && ast_strip(value)->kind != AX_CT)
			return objref(p, loc, "secmark", value);
		k = AS_META_SET;
		break;
	case AX_CT:
		if (!strcmp(t->ct.key, "helper") || !strcmp(t->ct.key, "timeout") ||
		    !strcmp(t->ct.key, "expectation"))
			return objref(p, loc, arena_printf(p->arena, "ct %s", t->ct.key), value);
		k = AS_CT_SET;
		break;
	case AX_PAYLOAD:
	case AX_RAW:
		k = AS_PAY_SET;
		break;
	default:
		break;
	}
	s = mk_stmt(p, k, loc);
	s->set.target = t;
	s->set.value = value;
	return s;
}

/* -- numbers ----------------------------------------------------------------------------------- */

uint32_t num32(struct parser *p, struct loc loc, struct tok t, uint32_t max, const char *what)
{
	if (t.num <= max)
		return (uint32_t)t.num;
	p_error(p, loc, "%s %s is too large: at most %u", what, t.a ? t.a : "", max);
	return 0;
}

/* "1d2h3m4s5ms"; a bare number counts seconds. */
bool parse_time_ms(struct parser *p, struct loc loc, const char *s, uint64_t *ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 },
		      { "ms", 1 },	  { "m", 60000 },    { "s", 1000 } };
	const char *at = s;

	*ms = 0;
	while (*at) {
		uint64_t n = 0, mul = 1000;
		size_t i, len = 0;

		if (!isdigit((unsigned char)*at))
			goto bad;
		for (; isdigit((unsigned char)*at); at++)
			if (__builtin_mul_overflow(n, 10, &n) ||
			    __builtin_add_overflow(n, (uint64_t)(*at - '0'), &n))
				goto large;
		for (i = 0; *at && i < ARRAY_SIZE(units); i++) {
			len = strlen(units[i].name);
			if (!strncmp(at, units[i].name, len))
				break;
		}
		if (*at) {
			if (i == ARRAY_SIZE(units))
				goto bad;
			mul = units[i].ms;
			at += len;
		}
		if (__builtin_mul_overflow(n, mul, &n) || __builtin_add_overflow(*ms, n, ms))
			goto large;
	}
	if (at != s)
		return true;
bad:
	p_error(p, loc, "%s is no time: write it as 1d2h3m4s5ms", *s ? s : "\"\"");
	return false;
large:
	p_error(p, loc, "time %s is too large", s);
	return false;
}

bool parse_bytes(struct parser *p, struct loc loc, uint64_t n, const char *unit, uint64_t *bytes)
{
	uint64_t mul;

	if (!strcmp(unit, "bytes"))
		mul = 1;
	else if (!strcmp(unit, "kbytes"))
		mul = 1024;
	else if (!strcmp(unit, "mbytes"))
		mul = 1024 * 1024;
	else {
		p_error(p, loc, "unit %s is unknown: bytes, kbytes or mbytes", unit);
		*bytes = 0;
		return false;
	}
	if (__builtin_mul_overflow(n, mul, bytes)) {
		p_error(p, loc, "%llu %s exceed 64 bits", (unsigned long long)n, unit);
		return false;
	}
	return true;
}

uint64_t parse_unit(struct parser *p, struct loc loc, const char *s)
{
	static const struct {
		const char *name;
		uint64_t secs;
	} units[] = { { "second", 1 },
		      { "minute", 60 },
		      { "hour", 3600 },
		      { "day", 86400 },
		      { "week", 604800 } };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(s, units[i].name))
			return units[i].secs;
	p_error(p, loc, "time unit %s is unknown: second, minute, hour, day or week", s);
	return 1;
}

/* "mbytes/second", one word to the scanner. */
bool parse_rate(struct parser *p, struct loc loc, uint64_t n, const char *unit, struct ast_limit *l)
{
	const char *slash = strchr(unit, '/');

	l->bytes = true;
	if (!slash) {
		p_error(p, loc, "rate needs a time: %s/second", unit);
		return false;
	}
	l->unit = parse_unit(p, loc, slash + 1);
	return parse_bytes(p, loc, n, arena_strndup(p->arena, unit, (size_t)(slash - unit)),
			   &l->rate);
}

/* -- strings ----------------------------------------------------------------------------------- */

void check_comment(struct parser *p, struct loc loc, const char *text)
{
	if (strlen(text) > 128)
		p_error(p, loc, "comment has %zu characters: at most 128", strlen(text));
}

static void add_value(struct parser *p, struct loc loc, struct sbuf *b, struct ast_expr *e)
{
	e = ast_strip(e);
	switch (e->kind) {
	case AX_SYMBOL:
	case AX_STRING:
	case AX_NUMBER:
		sb_puts(b, e->text);
		break;
	case AX_GLOB:
		sb_printf(b, "%s*", e->text);
		break;
	default:
		p_error(p, loc, "the log prefix takes variables that are strings");
	}
}

/* The prefix with its $variables replaced. */
struct ast_expr *log_prefix(struct parser *p, struct loc loc, const char *text)
{
	struct sbuf b;
	const char *d;

	if (!strchr(text, '$'))
		return mk_text(p, AX_STRING, loc, text);
	sb_init(&b, p->arena);
	while ((d = strchr(text, '$'))) {
		size_t n = 0;
		const char *name;

		sb_add(&b, text, (size_t)(d - text));
		while (isalnum((unsigned char)d[1 + n]) || d[1 + n] == '_')
			n++;
		name = arena_strndup(p->arena, d + 1, n);
		if (n)
			add_value(p, loc, &b, scope_var(p, loc, name));
		else
			p_error(p, loc, "$ in a log prefix needs the name of a variable");
		text = d + 1 + n;
	}
	sb_puts(&b, text);
	return mk_text(p, AX_STRING, loc, b.s);
}
