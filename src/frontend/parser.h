/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the text front end's syntax half share.
 *
 * input.c files, includes, the stack of what is being read scan.l characters to raw words (struct
 * raw) lex.c raw words to the grammar's tokens: which word is a keyword depends on what stands
 * before it parse.y the grammar build.c nodes, numbers, times, rates scope.c define and $
 */
#ifndef N2B_PARSER_H
#define N2B_PARSER_H

#include "ast.h"

#define INCLUDE_DEPTH_MAX 16
#define BLOCK_DEPTH_MAX	  32  /* blocks within blocks */
#define BRACE_DEPTH_MAX	  256 /* any braces */
#define EXPR_DEPTH_MAX	  256 /* expressions within expressions, chains of operators too */

#define RUN_MIN 16 /* fewer plain elements in a row are read word by word */

/* Raw words, as the scanner sees them; operators are themselves (`{`) or the T_ token. */
enum raw_kind { RAW_EOF = 0, RAW_WORD = 1, RAW_SYM, RAW_NUM, RAW_STRING, RAW_GLOB, RAW_OP, RAW_NL };
struct raw {
	enum raw_kind kind;
	int op;	       /* RAW_OP: the token */
	const char *s; /* in the source's text; strings: without quotes */
	uint32_t len;
	uint64_t num;
	struct loc loc;
};

/* A token that says several words at once: `tcp dport`, `ct original ip saddr`, `meta mark`. */
struct tok {
	const char *a, *b;
	uint64_t num;
	struct ast_expr *run; /* T_RUN */
	int8_t dir;
};

/* Statements behind which further words are keywords. */
enum lex_ctx {
	CTX_NONE,
	CTX_COUNTER,
	CTX_LIMIT,
	CTX_QUOTA,
	CTX_LAST,
	CTX_CTCOUNT,
	CTX_LOG,
	CTX_REJECT,
	CTX_QUEUE,
	CTX_NAT,
	CTX_TO,
	CTX_SYNPROXY,
	CTX_TUNNEL
};

/* Of the value in `x set value`. */
enum assign_state { ASSIGN_NONE, ASSIGN_START, ASSIGN_OPERAND };

struct input {
	uint32_t file; /* index into the diag's sources */
	const char *text;
	char *copy; /* what flex scans (it writes into it); with the tree */
	void *flex; /* YY_BUFFER_STATE */
	uint32_t line, col;
	size_t off;
	const char *real; /* canonical path, to refuse loops; NULL: none */
};

/* A file to read when the input stack is back at this height. */
struct queued {
	const char *path;
	struct loc from;
	uint32_t level;
};

struct scope {
	struct strmap vars; /* name to struct ast_define */
	VEC(struct ast_define *) defs;
	struct scope *up;
};

struct block {
	uint32_t depth; /* of its opening brace */
	bool anon;	/* jump { }: the rule goes on behind its end */
	struct scope *scope;
	struct ast_chain *outer; /* anon: the chain around it */
};

struct lex_ctx_level {
	enum lex_ctx ctx;
	bool sticky; /* a block of an object: lasts to the brace's end */
};

struct parser {
	struct arena *arena; /* texts, and all that stays */
	struct arena *nodes; /* the tree */
	struct diag *diag;
	struct ast_script *script;
	const struct parse_opts *opts;
	void *scanner; /* flex */
	struct input in[INCLUDE_DEPTH_MAX + 1];
	uint32_t n_in;
	VEC(struct queued) queue; /* the next one last */
	const char *main_dir;

	/* lex.c */
	struct strmap words;
	struct raw look[4]; /* raw words read ahead, a ring */
	uint32_t look_at, n_look;
	struct lex_ctx_level ctx[BRACE_DEPTH_MAX + 1];
	uint32_t depth;		    /* of braces */
	uint32_t run_depth;	    /* of the braces whose elements began with a run; 0: none */
	int prev, prev2, start_tok; /* the tokens before; the first of the statement */
	bool in_type, type_next;    /* behind `type`: names of types */
	bool saw_nat, saw_hash, raw_opt;
	enum assign_state assign;
	int pending; /* a token to give out next; 0: none */
	struct loc prev_loc, prev2_loc, last_loc;
	bool is_start, start_prev;	    /* the token before the last began a statement */
	const char *prev_text, *prev2_text; /* what they say, if words */
	/* input.c: the last raw word if it is a value; values that no blank parts, the last ones */
	struct raw value, glued;
	bool recovering, done;
	uint32_t errors;

	/* parse.y */
	struct scope *scope;
	struct block blocks[BLOCK_DEPTH_MAX];
	uint32_t n_blocks;
	struct ast_table *table;
	struct ast_chain *chain, *anon; /* the chain being read; the `jump { }` just read */
	struct ast_set *set;
	struct ast_flowtable *ft;
	struct ast_object *obj;
	struct ast_log log;	      /* the argument just read */
	struct ast_synproxy synproxy; /* likewise */
};

/* input.c */
int input_raw(struct parser *p, struct raw *out);
bool input_include(struct parser *p, const char *pattern, struct loc loc);

/* scan.l */
struct raw_scan; /* flex's scanner */
int scan_raw(void *scanner, struct raw *out);
int scan_init(struct parser *p);
void scan_fini(struct parser *p);
void scan_push(struct parser *p, struct input *in, size_t len);
void scan_pop(struct parser *p, struct input *in);
void scan_skip(struct parser *p, struct input *in, size_t n, uint32_t line, uint32_t col);

/* run.c */
struct ast_expr *run_take(struct parser *p); /* AX_RUN, if the input goes on with one */

/* lex.c */
void lex_init(struct parser *p);
const char *lex_near(struct parser *p, const char *word,
		     size_t len);	      /* a keyword like it, or NULL */
const struct raw *lex_next(struct parser *p); /* the raw word that comes next */
const char *lex_near_field(struct parser *p, const char *list, const char *word, size_t len);
const char *lex_fields(struct parser *p, const char *proto); /* NULL: not a protocol */
bool word_in(const char *list, const char *word);
uint32_t edit_distance(const char *a, size_t an, const char *b, size_t bn, uint32_t max);

/* build.c */
void p_error(struct parser *p, struct loc loc, const char *fmt, ...) PRINTF(3, 4);
struct ast_expr *mk(struct parser *p, enum ast_expr_kind k, struct loc loc);
struct ast_expr *mk_text(struct parser *p, enum ast_expr_kind k, struct loc loc, const char *text);
struct ast_expr *mk_num(struct parser *p, struct loc loc, struct tok t);
struct ast_expr *mk_bin(struct parser *p, struct loc loc, enum ast_binop op, struct ast_expr *l,
			struct ast_expr *r);
struct ast_expr *mk_rel(struct parser *p, struct loc loc, enum ast_rel op, struct ast_expr *l,
			struct ast_expr *r, struct ast_expr *mask);
struct ast_expr *mk_list(struct parser *p, enum ast_expr_kind k, struct loc loc, struct ast_expr *l,
			 struct ast_expr *r);
struct ast_expr *mk_map(struct parser *p, enum ast_expr_kind k, struct loc loc,
			struct ast_expr *key, struct ast_expr *map);
struct ast_expr *mk_range(struct parser *p, struct loc loc, struct ast_expr *a, struct ast_expr *b);
struct ast_expr *mk_prefix(struct parser *p, struct loc loc, struct ast_expr *a,
			   struct ast_expr *len);
struct ast_expr *mk_ext(struct parser *p, enum ast_expr_kind k, struct loc loc, const char *hdr,
			const char *field);
struct ast_expr *mk_verdict(struct parser *p, struct loc loc, enum ast_verdict_code c,
			    struct ast_expr *target);
struct ast_expr *mk_set(struct parser *p, struct loc loc);
void set_add(struct parser *p, struct ast_expr *set, struct ast_elem e);
struct ast_stmt *mk_stmt(struct parser *p, enum ast_stmt_kind k, struct loc loc);
struct ast_stmt *mk_assign(struct parser *p, struct loc loc, struct ast_expr *target,
			   struct ast_expr *value);
struct ast_elem_opts *opts_get(struct parser *p, struct ast_elem_opts *o);
bool parse_time_ms(struct parser *p, struct loc loc, const char *s, uint64_t *ms);
bool parse_bytes(struct parser *p, struct loc loc, uint64_t n, const char *unit, uint64_t *bytes);
bool parse_rate(struct parser *p, struct loc loc, uint64_t n, const char *unit,
		struct ast_limit *l);
uint64_t parse_unit(struct parser *p, struct loc loc, const char *s);
uint32_t num32(struct parser *p, struct loc loc, struct tok t, uint32_t max, const char *what);
struct ast_expr *log_prefix(struct parser *p, struct loc loc, const char *text);
void check_comment(struct parser *p, struct loc loc, const char *text);

/* scope.c */
void scope_push(struct parser *p);
void scope_define(struct parser *p, struct loc loc, const char *name, struct ast_expr *value,
		  bool redefine);
void scope_undefine(struct parser *p, struct loc loc, const char *name);
struct ast_define *scope_find(const struct parser *p, const char *name);
struct ast_expr *scope_var(struct parser *p, struct loc loc, const char *name);
void block_open(struct parser *p, struct loc loc, bool anon);
void block_close(struct parser *p);

#endif
