/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lex: what its parts share: words.c (tables, spelling), heads.c (words of several words), lex.c
 * (the rest).
 */
#ifndef N2B_LEX_H
#define N2B_LEX_H

#include "parser.h"

enum word_kind {
	W_KW = 1,
	W_VERB,
	W_METAU,
	W_PROTO,
	W_EXTH,
	W_META,
	W_CT,
	W_RT,
	W_SOCKET,
	W_OSF,
	W_FIB,
	W_IPSEC,
	W_NUMGEN,
	W_HASH,
	W_TUNNEL,
	W_EXTHDR
};
struct word {
	const char *s;
	enum word_kind kind;
	int token; /* W_KW; W_VERB: the enum ast_op; W_HASH: the token */
	const char *fields;
};
struct ctx_word {
	enum lex_ctx ctx;
	const char *s;
	int token;
};
struct named {
	const char *s, *fields;
};

/* words.c; the tables end with a NULL word */
extern const struct ctx_word ctx_words[];
extern const struct named tcp_opts[], ip_opts[], chunks[], ct_keys[];
extern const char meta_keys[];
bool raw_is(const struct raw *r, const char *s);
bool raw_op(const struct raw *r, int op);
const char *in_list(const char *list, const char *s, size_t n);
const struct named *find_named(const struct named *t, const struct raw *r);

/* lex.c */
struct raw *lex_peek(struct parser *p, uint32_t n);
struct raw lex_take(struct parser *p, struct loc *span);
const char *lex_text(struct parser *p, const struct raw *r);
struct lex_ctx_level *lex_ctx(struct parser *p);

/* heads.c; they return the token */
struct head {
	struct parser *p;
	struct tok *t;
	struct loc *loc;
};

void no_such(struct head *h, const char *what, const char *of, const char *list,
	     const struct raw *r);
bool is_field(int token);
int head_proto(struct head *h, const struct word *w);
int head_exth(struct head *h, const struct word *w);
int head_meta(struct head *h);
int head_ct(struct head *h);
const char *one_of(struct head *h, const char *of, const char *what, const char *list);
int head_rt(struct head *h);
uint64_t number_after(struct head *h, const char *of, uint64_t max);
int head_socket(struct head *h);
int head_osf(struct head *h);
int head_fib(struct head *h);
int head_ipsec(struct head *h);
int head_tunnel(struct head *h);
int head_exthdr(struct head *h);
int log_flags(struct head *h);
int option_word(struct head *h, const struct raw *r);

#endif
