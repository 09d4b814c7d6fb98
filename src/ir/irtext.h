/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of IR text: its tokens, and what parsemod.c (ruleset, sets, states) and parse.c
 * (functions) share.
 */
#ifndef N2B_IRTEXT_H
#define N2B_IRTEXT_H

#include "ir.h"

enum tok { TK_EOF, TK_NL, TK_WORD, TK_STR, TK_NUM, TK_HEX, TK_VALUE, TK_BLOCK, TK_PUNCT };

struct ir_reader {
	struct arena *arena;
	struct diag *diag;
	struct ir_mod *mod;
	const char *p, *end, *line_start;
	uint32_t file, line;
	bool failed;

	enum tok tok;
	struct loc loc;	  /* of the token */
	const char *text; /* WORD, STR, HEX (its bytes): in the arena */
	uint32_t text_len;
	uint64_t num;  /* NUM, VALUE, BLOCK */
	bool negative; /* NUM; num is then the two's complement */
	bool plus;     /* NUM with a sign: an immediate */
	char suffix;   /* NUM: 'b', 'l', or 0 */
	char punct;

	/* What numbers of the text stand for. */
	VEC(struct table *) tables;
	VEC(struct chain *) chains;
	VEC(struct rule *) rules;
	VEC(struct obj *) objs;
};

void PRINTF(2, 3) rd_error(struct ir_reader *r, const char *fmt, ...);
void rd_next(struct ir_reader *r);
void rd_skip_line(struct ir_reader *r);
bool rd_is(const struct ir_reader *r, const char *word); /* the token is this word */
bool rd_take(struct ir_reader *r, const char *word);	 /* ... and is read over */
bool rd_take_punct(struct ir_reader *r, char c);
bool rd_want_punct(struct ir_reader *r, char c);
bool rd_want_nl(struct ir_reader *r);
uint64_t rd_num(struct ir_reader *r, uint64_t max); /* unsigned, 0 after an error */
int64_t rd_signed(struct ir_reader *r);
const char *rd_str(struct ir_reader *r); /* never NULL */
/* "set3" with prefix "set": its number. */
bool rd_numbered(struct ir_reader *r, const char *prefix, uint32_t *n);

/*
 * Reads one line (or block in braces) of the module's part that starts with the word at hand;
 * false: no such word.
 */
bool rd_mod_item(struct ir_reader *r);

#endif
