// SPDX-License-Identifier: GPL-2.0-or-later
/* ast_print: `--emit ast`, one node a line, indented by what holds it. */
#include "ast.h"

struct out {
	FILE *f;
	int in;
};

static void expr(struct out *o, const char *role, const struct ast_expr *e);
static void stmt(struct out *o, const struct ast_stmt *s);
static void chain(struct out *o, const struct ast_chain *c);

static void PRINTF(2, 3) line(struct out *o, const char *fmt, ...)
{
	va_list ap;

	fprintf(o->f, "%*s", o->in * 2, "");
	va_start(ap, fmt);
	vfprintf(o->f, fmt, ap);
	va_end(ap);
	fputc('\n', o->f);
}

static const char *str(const char *s)
{
	return s ? s : "-";
}

/* -- expressions ------------------------------------------------------------------------------- */

static void opts(struct out *o, const struct ast_elem_opts *op)
{
	if (!op)
		return;
	if (op->timeout_never)
		line(o, "timeout never");
	else if (op->has_timeout)
		line(o, "timeout %llums", (unsigned long long)op->timeout);
	if (op->has_expires)
		line(o, "expires %llums", (unsigned long long)op->expires);
	if (op->comment)
		line(o, "comment \"%s\"", op->comment);
	for (uint32_t i = 0; i < op->stmts.n; i++)
		stmt(o, op->stmts.v[i]);
}

static void elem(struct out *o, const struct ast_elem *e)
{
	expr(o, "key", e->key);
	o->in++;
	opts(o, e->opts);
	if (e->data)
		expr(o, "data", e->data);
	o->in--;
}

static void ext(struct out *o, const char *role, const char *kind, const struct ast_ext *x)
{
	if (x->raw)
		line(o, "%s: %s @%s,%u,%u", role, kind, x->hdr ? x->hdr : "", x->off, x->len);
	else
		line(o, "%s: %s %s %s", role, kind, x->hdr, x->present ? "(present)" : x->field);
}

static const char *const rels[] = { [REL_IMPLICIT] = "implicit",
				    [REL_EQ] = "==",
				    [REL_NEQ] = "!=",
				    [REL_LT] = "<",
				    [REL_LTE] = "<=",
				    [REL_GT] = ">",
				    [REL_GTE] = ">=",
				    [REL_NOT] = "!",
				    [REL_FLAGS] = "flags",
				    [REL_FLAGS_NEQ] = "!= flags" };
static const char *const binops[] = { "&", "|", "^", "<<", ">>" };
static const char *const raws[] = { "ll", "nh", "th", "ih" };

static void verdict(struct out *o, const char *role, const struct ast_expr *e)
{
	static const char *const codes[] = { "return",	 "goto", "jump",  "break",
					     "continue", "drop", "accept" };

	line(o, "%s: verdict %s", role, codes[e->verdict.code - AV_RETURN]);
	o->in++;
	if (e->verdict.target)
		expr(o, "chain", e->verdict.target);
	if (e->verdict.block)
		chain(o, e->verdict.block);
	o->in--;
}

/* What a run stands for: whoever reads the tree need not know of it. */
static void run(struct out *o, const struct ast_expr *e)
{
	struct arena *a = arena_new();
	struct run_iter it = run_start(e, a);
	struct ast_elem el;

	while (run_next(&it, &el))
		elem(o, &el);
	arena_free(a);
}

/* The kinds that hold other expressions. */
static void compound(struct out *o, const char *role, const struct ast_expr *e)
{
	const char *k = ast_expr_kind_name(e->kind);

	if (e->kind == AX_REL)
		line(o, "%s: %s %s", role, k, rels[e->rel_op]);
	else if (e->kind == AX_BINOP)
		line(o, "%s: %s %s", role, k, binops[e->bin_op]);
	else if (e->kind == AX_VAR)
		line(o, "%s: %s $%s", role, k, e->var.name);
	else if (e->kind == AX_INNER)
		line(o, "%s: %s %s", role, k, e->inner.tunnel);
	else
		line(o, "%s: %s", role, k);
	o->in++;
	if (e->kind == AX_REL || e->kind == AX_BINOP) {
		expr(o, "left", e->rel.left);
		expr(o, "right", e->rel.right);
		if (e->kind == AX_REL && e->rel.mask)
			expr(o, "mask", e->rel.mask);
	} else if (e->kind == AX_VAR) {
		expr(o, "value", e->var.value);
	} else if (e->kind == AX_INNER) {
		expr(o, "inner", e->inner.expr);
	} else if (e->kind == AX_RANGE) {
		expr(o, "from", e->range.from);
		expr(o, "to", e->range.to);
	} else if (e->kind == AX_MAP || e->kind == AX_VMAP) {
		expr(o, "key", e->map.key);
		expr(o, "map", e->map.map);
	} else if (e->kind == AX_SET) {
		for (uint32_t i = 0; i < e->set->elems.n; i++) {
			const struct ast_elem *el = &e->set->elems.v[i];

			if (el->key->kind == AX_RUN)
				run(o, el->key);
			else
				elem(o, el);
		}
	} else {
		for (uint32_t i = 0; i < e->list->items.n; i++)
			expr(o, "item", e->list->items.v[i]);
	}
	o->in--;
}

static void hash(struct out *o, const char *role, const struct ast_hash *h)
{
	line(o, "%s: %s mod %u offset %u%s%.0u", role, h->expr ? "jhash" : "symhash", h->mod,
	     h->offset, h->has_seed ? " seed" : "", h->seed);
	o->in++;
	if (h->expr)
		expr(o, "of", h->expr);
	o->in--;
}

static void expr(struct out *o, const char *role, const struct ast_expr *e)
{
	const char *k = ast_expr_kind_name(e->kind);

	switch (e->kind) {
	case AX_SYMBOL:
	case AX_NUMBER:
		line(o, "%s: %s %s", role, k, e->text);
		break;
	case AX_STRING:
		line(o, "%s: %s \"%s\"", role, k, e->text);
		break;
	case AX_GLOB:
		line(o, "%s: %s %s*", role, k, e->text);
		break;
	case AX_SETREF:
		line(o, "%s: %s @%s", role, k, e->text);
		break;
	case AX_WILDCARD:
		line(o, "%s: %s", role, k);
		break;
	case AX_PREFIX:
		line(o, "%s: %s /%u", role, k, e->prefix.len);
		o->in++;
		expr(o, "base", e->prefix.base);
		o->in--;
		break;
	case AX_PAYLOAD:
		line(o, "%s: %s %s %s", role, k, e->pay.proto, e->pay.field);
		break;
	case AX_RAW:
		line(o, "%s: %s @%s,%u,%u", role, k, raws[e->raw.base], e->raw.off, e->raw.len);
		break;
	case AX_EXTHDR:
	case AX_TCPOPT:
	case AX_IPOPT:
	case AX_SCTP:
	case AX_DCCP:
		ext(o, role, k, e->ext);
		break;
	case AX_META:
	case AX_RT:
	case AX_TUNNEL:
		line(o, "%s: %s %s%s%s", role, k, e->key.family ? e->key.family : "",
		     e->key.family ? " " : "", e->key.key);
		break;
	case AX_CT:
		line(o, "%s: %s %s%s%s%s", role, k,
		     e->ct.dir < 0 ? ""
		     : e->ct.dir   ? "reply "
				   : "original ",
		     e->ct.family ? e->ct.family : "", e->ct.family ? " " : "", e->ct.key);
		break;
	case AX_SOCKET:
		line(o, "%s: %s %s %u", role, k, e->sock.key, e->sock.level);
		break;
	case AX_OSF:
		line(o, "%s: %s %s ttl %s", role, k, e->osf.key, str(e->osf.ttl));
		break;
	case AX_FIB:
		line(o, "%s: %s flags %#x %s", role, k, e->fib.flags, e->fib.result);
		break;
	case AX_XFRM:
		line(o, "%s: %s %s spnum %u %s %s", role, k, e->xfrm.out ? "out" : "in",
		     e->xfrm.spnum, str(e->xfrm.family), e->xfrm.key);
		break;
	case AX_NUMGEN:
		line(o, "%s: %s %s mod %u offset %u", role, k, e->numgen->random ? "random" : "inc",
		     e->numgen->mod, e->numgen->offset);
		break;
	case AX_HASH:
		hash(o, role, e->hash);
		break;
	case AX_VERDICT:
		verdict(o, role, e);
		break;
	case AX_EXISTS:
		line(o, "%s: %s %s", role, k, e->boolean.yes ? "exists" : "missing");
		break;
	default:
		compound(o, role, e);
	}
}

/* -- statements -------------------------------------------------------------------------------- */

static void opt_expr(struct out *o, const char *role, const struct ast_expr *e)
{
	o->in++;
	if (e)
		expr(o, role, e);
	o->in--;
}

static void log_stmt(struct out *o, const struct ast_log *l)
{
	line(o, "log level %s flags %#x%s%s%s", str(l->level), l->flags,
	     l->has_group ? " group" : "", l->has_snaplen ? " snaplen" : "",
	     l->has_qthreshold ? " queue-threshold" : "");
	opt_expr(o, "prefix", l->prefix);
}

static void nat(struct out *o, const struct ast_nat *n)
{
	static const char *const kinds[] = { "snat", "dnat", "masquerade", "redirect" };

	line(o, "%s family %s flags %#x%s%s%s", kinds[n->kind], str(n->family), n->flags,
	     n->addr_port ? " addr . port" : "", n->prefix ? " prefix" : "",
	     n->interval ? " interval" : "");
	opt_expr(o, "addr", n->addr);
	opt_expr(o, "port", n->port);
}

static void stmt(struct out *o, const struct ast_stmt *s)
{
	const char *k = ast_stmt_kind_name(s->kind);

	switch (s->kind) {
	case AS_MATCH:
	case AS_VERDICT:
	case AS_VMAP:
		expr(o, k, s->expr);
		break;
	case AS_COUNTER:
		line(o, "counter packets %llu bytes %llu", (unsigned long long)s->counter.packets,
		     (unsigned long long)s->counter.bytes);
		break;
	case AS_LIMIT:
		line(o, "limit %s%llu %s per %llus burst %llu", s->limit->over ? "over " : "",
		     (unsigned long long)s->limit->rate, s->limit->bytes ? "bytes" : "packets",
		     (unsigned long long)s->limit->unit, (unsigned long long)s->limit->burst);
		break;
	case AS_QUOTA:
		line(o, "quota %s%llu used %llu", s->quota.over ? "over " : "",
		     (unsigned long long)s->quota.bytes, (unsigned long long)s->quota.used);
		break;
	case AS_CONNLIMIT:
		line(o, "connlimit %s%u", s->connlimit.over ? "over " : "", s->connlimit.count);
		break;
	case AS_LOG:
		log_stmt(o, s->log);
		break;
	case AS_NAT:
		nat(o, s->nat);
		break;
	case AS_REJECT:
		line(o, "reject %d", s->reject.kind);
		opt_expr(o, "code", s->reject.code);
		break;
	case AS_QUEUE:
		line(o, "queue flags %#x", s->queue.flags);
		opt_expr(o, "num", s->queue.num);
		break;
	case AS_TPROXY:
		line(o, "tproxy family %s", str(s->tproxy.family));
		opt_expr(o, "addr", s->tproxy.addr);
		opt_expr(o, "port", s->tproxy.port);
		break;
	case AS_DUP:
	case AS_FWD:
		line(o, "%s family %s", k, str(s->dup.family));
		opt_expr(o, "to", s->dup.to);
		opt_expr(o, "dev", s->dup.dev);
		break;
	case AS_META_SET:
	case AS_CT_SET:
	case AS_PAY_SET:
	case AS_EXT_SET:
	case AS_RESET_OPT:
		line(o, "%s", k);
		opt_expr(o, "target", s->set.target);
		opt_expr(o, "value", s->set.value);
		break;
	case AS_OBJREF:
		line(o, "objref %s", s->objref.what);
		opt_expr(o, "ref", s->objref.ref);
		break;
	case AS_DYNSET:
		line(o, "dynset op %d @%s", s->dynset->op, s->dynset->set);
		o->in++;
		elem(o, &s->dynset->elem);
		o->in--;
		break;
	case AS_METER:
		line(o, "meter %s size %u", s->meter->name, s->meter->size);
		o->in++;
		elem(o, &s->meter->elem);
		o->in--;
		break;
	case AS_FLOW:
		line(o, "flow @%s", s->name);
		break;
	default:
		line(o, "%s", k);
	}
}

/* -- blocks ------------------------------------------------------------------------------------ */

static void rule(struct out *o, const struct ast_rule *r)
{
	line(o, "rule%s%s", r->comment ? " # " : "", r->comment ? r->comment : "");
	o->in++;
	for (uint32_t i = 0; i < r->stmts.n; i++)
		stmt(o, r->stmts.v[i]);
	o->in--;
}

static void chain(struct out *o, const struct ast_chain *c)
{
	line(o, "chain %s", c->name ? c->name : "(anonymous)");
	o->in++;
	if (c->is_base) {
		line(o, "type %s hook %s priority offset %d", c->type, c->hook, c->prio.offset);
		opt_expr(o, "priority", c->prio.expr);
	}
	opt_expr(o, "devices", c->devices);
	opt_expr(o, "policy", c->policy);
	for (uint32_t i = 0; i < c->rules.n; i++)
		rule(o, c->rules.v[i]);
	o->in--;
}

static void type(struct out *o, const char *role, const struct ast_type *t)
{
	if (!t)
		return;
	if (t->typeof_expr) {
		expr(o, role, t->typeof_expr);
		return;
	}
	for (uint32_t i = 0; i < t->names.n; i++)
		line(o, "%s: type %s%s", role, t->interval ? "interval " : "", t->names.v[i]);
}

static void set(struct out *o, const struct ast_set *s)
{
	line(o, "%s %s flags %#x%s", s->is_map ? "map" : "set", s->name, s->flags,
	     s->auto_merge ? " auto-merge" : "");
	o->in++;
	type(o, "key", s->key);
	type(o, "data", s->data);
	if (s->obj)
		line(o, "data: object %s", s->obj);
	for (uint32_t i = 0; i < s->stmts.n; i++)
		stmt(o, s->stmts.v[i]);
	if (s->elems)
		expr(o, "elements", s->elems);
	o->in--;
}

static void table(struct out *o, const struct ast_table *t)
{
	o->in++;
	for (uint32_t i = 0; i < t->objs.n; i++)
		line(o, "object %s kind %d", t->objs.v[i]->name, t->objs.v[i]->kind);
	for (uint32_t i = 0; i < t->sets.n; i++)
		set(o, t->sets.v[i]);
	for (uint32_t i = 0; i < t->flowtables.n; i++)
		line(o, "flowtable %s hook %s", t->flowtables.v[i]->name,
		     str(t->flowtables.v[i]->hook));
	for (uint32_t i = 0; i < t->chains.n; i++)
		chain(o, t->chains.v[i]);
	o->in--;
}

static void cmd(struct out *o, const struct ast_cmd *c)
{
	static const char *const ops[] = { "add",     "create",	 "insert", "replace", "delete",
					   "destroy", "reset",	 "flush",  "rename",  "list",
					   "get",     "monitor", "export", "import",  "describe" };
	static const char *const whats[] = { "ruleset",	  "table",  "chain", "rule",
					     "set",	  "map",    "meter", "element",
					     "flowtable", "object", "query" };

	line(o, "%s %s %s %s %s", ops[c->op], whats[c->what], str(c->ref.family), str(c->ref.table),
	     str(c->ref.name));
	if (!c->table)
		return;
	o->in++;
	switch (c->what) {
	case AW_TABLE:
		table(o, c->table);
		break;
	case AW_CHAIN:
		if (c->op != ACMD_RENAME)
			chain(o, c->chain);
		break;
	case AW_RULE:
		rule(o, c->rule);
		break;
	case AW_SET:
	case AW_MAP:
		set(o, c->set);
		break;
	case AW_ELEMENT:
		expr(o, "elements", c->elems);
		break;
	case AW_OTHER:
		line(o, "%s", c->text);
		break;
	default:
		break;
	}
	o->in--;
}

void ast_print(const struct ast_script *s, FILE *f)
{
	struct out o = { f, 0 };

	for (uint32_t i = 0; i < s->cmds.n; i++)
		cmd(&o, s->cmds.v[i]);
}
