// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ast: what everybody asks of a syntax tree: what is behind a variable, the text of a place, names
 * of kinds.
 */
#include "ast.h"

struct ast_expr *ast_strip(struct ast_expr *e)
{
	while (e->kind == AX_VAR)
		e = e->var.value;
	return e;
}

static const char *const expr_names[] = {
	[AX_SYMBOL] = "symbol",	 [AX_NUMBER] = "number", [AX_STRING] = "string",
	[AX_GLOB] = "glob",	 [AX_VAR] = "var",	 [AX_PREFIX] = "prefix",
	[AX_RANGE] = "range",	 [AX_WILDCARD] = "any",	 [AX_LIST] = "list",
	[AX_SET] = "set",	 [AX_RUN] = "run",	 [AX_CONCAT] = "concat",
	[AX_MAP] = "map",	 [AX_VMAP] = "vmap",	 [AX_SETREF] = "setref",
	[AX_REL] = "rel",	 [AX_BINOP] = "binop",	 [AX_PAYLOAD] = "payload",
	[AX_RAW] = "raw",	 [AX_INNER] = "inner",	 [AX_EXTHDR] = "exthdr",
	[AX_TCPOPT] = "tcpopt",	 [AX_IPOPT] = "ipopt",	 [AX_SCTP] = "sctp",
	[AX_DCCP] = "dccp",	 [AX_META] = "meta",	 [AX_CT] = "ct",
	[AX_RT] = "rt",		 [AX_SOCKET] = "socket", [AX_OSF] = "osf",
	[AX_FIB] = "fib",	 [AX_XFRM] = "ipsec",	 [AX_TUNNEL] = "tunnel",
	[AX_NUMGEN] = "numgen",	 [AX_HASH] = "hash",	 [AX_VERDICT] = "verdict",
	[AX_EXISTS] = "boolean",
};
static const char *const stmt_names[] = {
	[AS_MATCH] = "match",
	[AS_VERDICT] = "verdict",
	[AS_VMAP] = "vmap",
	[AS_COUNTER] = "counter",
	[AS_LIMIT] = "limit",
	[AS_QUOTA] = "quota",
	[AS_LAST] = "last",
	[AS_CONNLIMIT] = "connlimit",
	[AS_LOG] = "log",
	[AS_REJECT] = "reject",
	[AS_QUEUE] = "queue",
	[AS_NAT] = "nat",
	[AS_TPROXY] = "tproxy",
	[AS_SYNPROXY] = "synproxy",
	[AS_DUP] = "dup",
	[AS_FWD] = "fwd",
	[AS_NOTRACK] = "notrack",
	[AS_FLOW] = "flow",
	[AS_META_SET] = "meta set",
	[AS_CT_SET] = "ct set",
	[AS_PAY_SET] = "payload set",
	[AS_EXT_SET] = "exthdr set",
	[AS_RESET_OPT] = "reset",
	[AS_OBJREF] = "objref",
	[AS_DYNSET] = "dynset",
	[AS_METER] = "meter",
	[AS_XT] = "xt",
};
_Static_assert(ARRAY_SIZE(expr_names) == AX_EXISTS + 1, "ast_expr_kind_name() knows every kind");
_Static_assert(ARRAY_SIZE(stmt_names) == AS_XT + 1, "ast_stmt_kind_name() knows every kind");
_Static_assert(sizeof(struct ast_expr) <= 64, "a set may hold a million of them");

const char *ast_expr_kind_name(enum ast_expr_kind k)
{
	return expr_names[k];
}

const char *ast_stmt_kind_name(enum ast_stmt_kind k)
{
	return stmt_names[k];
}

/* How many characters from s on mean nothing to fold(). */
static size_t plain(const char *s, size_t n, bool in_string)
{
	size_t i = 0;

	while (i < n && s[i] != '"' &&
	       (in_string ||
		(s[i] != ' ' && s[i] != '\t' && s[i] != '\r' && s[i] != '#' && s[i] != '\\')))
		i++;
	return i;
}

/*
 * Appends one line without its comment and continuation, blanks folded; *in_string: inside quotes.
 */
static void fold(struct sbuf *b, const char *s, size_t n, bool *in_string, bool *blank)
{
	for (size_t i = 0, len; i < n; i += len) {
		if (!*in_string && s[i] == '#')
			return;
		len = 1;
		if (!*in_string &&
		    (s[i] == ' ' || s[i] == '\t' || s[i] == '\r' || (s[i] == '\\' && i + 1 == n))) {
			*blank = true;
			continue;
		}
		if (*blank && b->n)
			sb_add(b, " ", 1);
		*blank = false;
		if (s[i] == '"')
			*in_string = !*in_string;
		else
			len = MAX(plain(s + i, n - i, *in_string), 1);
		sb_add(b, &s[i], len);
	}
}

const char *ast_text(struct arena *a, const struct diag *d, struct loc loc)
{
	bool in_string = false, blank = false;
	struct sbuf b;

	sb_init_room(&b, a, loc.line == loc.end_line ? loc.end_col - loc.col + 1 : 0);
	if (!loc.file)
		return loc.name ? loc.name : "";
	for (uint32_t line = loc.line; line <= loc.end_line; line++) {
		size_t len, from = line == loc.line ? loc.col - 1 : 0;
		const char *s = diag_line(d, loc, line, &len);

		if (!s)
			break;
		if (line == loc.end_line && loc.end_col < len)
			len = loc.end_col;
		if (from < len)
			fold(&b, s + from, len - from, &in_string, &blank);
		if (in_string)
			sb_add(&b, "\n", 1);
		else
			blank = true;
	}
	return b.s;
}

const char *ast_rule_text(struct arena *a, const struct diag *d, const struct ast_rule *r)
{
	return ast_text(a, d, r->loc);
}
