// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * words: the tables of keywords.def, finding a word in them, and the nearest word to a misspelt
 * one.
 */
#include "lex.h"
#include "parse.tab.h"

static const struct word words[] = {
#define KW(w, t)    { w, W_KW, t, NULL },
#define VERB(w, op) { w, W_VERB, op, NULL },
#define METAU(w)    { w, W_METAU, 0, NULL },
#define PROTO(w, f) { w, W_PROTO, 0, f },
#define EXTH(w, f)  { w, W_EXTH, 0, f },
#include "keywords.def"
	{ "meta", W_META, 0, NULL },
	{ "ct", W_CT, 0, NULL },
	{ "socket", W_SOCKET, 0, NULL },
	{ "osf", W_OSF, 0, NULL },
	{ "fib", W_FIB, 0, NULL },
	{ "ipsec", W_IPSEC, 0, NULL },
	{ "numgen", W_NUMGEN, 0, NULL },
	{ "jhash", W_HASH, T_JHASH, NULL },
	{ "symhash", W_HASH, T_SYMHASH, NULL },
	{ "tunnel", W_TUNNEL, 0, NULL },
	{ "exthdr", W_EXTHDR, 0, NULL },
};

const struct ctx_word ctx_words[] = {
#define CKW(c, w, t) { CTX_##c, w, t },
#include "keywords.def"
	{ CTX_NONE, NULL, 0 }
};

const struct named tcp_opts[] = {
#define TCPOPT(w, f) { w, f },
#include "keywords.def"
	{ NULL, NULL }
};
const struct named ip_opts[] = {
#define IPOPT(w, f) { w, f },
#include "keywords.def"
	{ NULL, NULL }
};
const struct named chunks[] = {
#define CHUNK(w, f) { w, f },
#include "keywords.def"
	{ NULL, NULL }
};
const struct named ct_keys[] = {
#define CTK(w, d) { w, d ? "d" : NULL },
#include "keywords.def"
	{ NULL, NULL }
};
const char meta_keys[] =
#define METAU(w) w " "
#define METAQ(w) w " "
#include "keywords.def"
	;

void lex_init(struct parser *p)
{
	strmap_init(&p->words, p->arena);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		*strmap_put(&p->words, words[i].s, strlen(words[i].s)) = (void *)&words[i];
}

/* -- words of lists, spelling ------------------------------------------------------------------ */

bool raw_is(const struct raw *r, const char *s)
{
	return r->kind == RAW_WORD && r->len == strlen(s) && !memcmp(r->s, s, r->len);
}

bool raw_op(const struct raw *r, int op)
{
	return r->kind == RAW_OP && r->op == op;
}

/*
 * Is the word in a list of words with blanks between? Returns its place there (not terminated), or
 * NULL.
 */
const char *in_list(const char *list, const char *s, size_t n)
{
	while (*list) {
		size_t len = strcspn(list, " ");

		if (len == n && !memcmp(list, s, n))
			return list;
		list += len;
		list += *list == ' ';
	}
	return NULL;
}

bool word_in(const char *list, const char *word)
{
	return in_list(list, word, strlen(word)) != NULL;
}

const struct named *find_named(const struct named *t, const struct raw *r)
{
	if (r->kind != RAW_WORD)
		return NULL;
	for (; t->s; t++)
		if (raw_is(r, t->s))
			return t;
	return NULL;
}

/* Edits (insert, delete, change, swap of neighbours) between two words; more than max: max + 1. */
uint32_t edit_distance(const char *a, size_t an, const char *b, size_t bn, uint32_t max)
{
	uint32_t row[3][64];

	if (an >= 64 || bn >= 64 || an > bn + max || bn > an + max)
		return max + 1;
	for (size_t j = 0; j <= bn; j++)
		row[0][j] = (uint32_t)j;
	for (size_t i = 1; i <= an; i++) {
		uint32_t *cur = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		cur[0] = (uint32_t)i;
		for (size_t j = 1; j <= bn; j++) {
			uint32_t d = up[j - 1] + (a[i - 1] != b[j - 1]);

			d = MIN(d, MIN(up[j], cur[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = MIN(d, up2[j - 2] + 1);
			cur[j] = d;
		}
	}
	return MIN(row[an % 3][bn], max + 1);
}

/* How far off a word may be to be taken for a slip: a third of its length, two at most. */
static uint32_t slack(size_t n)
{
	return n < 3 ? 0 : n < 6 ? 1 : 2;
}

const char *lex_near_field(struct parser *p, const char *list, const char *word, size_t n)
{
	uint32_t best = slack(n) + 1;
	const char *found = NULL;
	size_t found_len = 0;

	while (*list) {
		size_t len = strcspn(list, " ");
		uint32_t d = edit_distance(word, n, list, len, best);

		if (len && d < best) {
			best = d;
			found = list;
			found_len = len;
		}
		list += len;
		list += *list == ' ';
	}
	return found ? arena_strndup(p->arena, found, found_len) : NULL;
}

const char *lex_near(struct parser *p, const char *word, size_t n)
{
	uint32_t best = slack(n) + 1, d;
	const char *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		d = edit_distance(word, n, words[i].s, strlen(words[i].s), best);
		if (d && d < best) {
			best = d;
			found = words[i].s;
		}
	}
	for (const struct ctx_word *c = ctx_words; c->s; c++) {
		d = edit_distance(word, n, c->s, strlen(c->s), best);
		if (d && d < best && p->ctx[p->depth].ctx == c->ctx) {
			best = d;
			found = c->s;
		}
	}
	return found;
}

const char *lex_fields(struct parser *p, const char *proto)
{
	const struct word *w = strmap_get(&p->words, proto, strlen(proto));

	return w ? w->fields : NULL;
}
