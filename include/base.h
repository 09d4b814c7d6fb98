/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base: memory by lifetime, growing arrays, interned names, diagnostics.
 *
 * Everything that a run makes is allocated from an arena and freed with it. Out of memory is fatal:
 * the arena prints one line and exits with status 70; no caller checks for NULL.
 */
#ifndef N2B_BASE_H
#define N2B_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a)	   (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)	   ((a) < (b) ? (a) : (b))
#define MAX(a, b)	   ((a) > (b) ? (a) : (b))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define ALIGN_UP(n, a)	   (((n) + (a)-1) / (a) * (a))
#define PRINTF(f, a)	   __attribute__((format(printf, f, a)))
#define NORETURN	   __attribute__((noreturn))

/* -- arena ------------------------------------------------------------------------------------- */

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);
/* Forgets all that was allocated; a part of the memory is kept for what comes. */
void arena_reset(struct arena *a);
/* Zeroed memory, aligned to 16, alive until arena_free(). */
void *arena_alloc(struct arena *a, size_t size);
void *arena_dup(struct arena *a, const void *p, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
bool text_is_utf8(const char *s, size_t n);
/* Is it UTF-8 without control characters, blanks of lines apart? */
bool text_is_clean(const char *s, size_t n);
/* The rest of a stream, with a NUL behind its *len bytes. NULL: an error, in errno. */
char *arena_read(struct arena *a, FILE *f, size_t *len);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) PRINTF(2, 0);
size_t arena_used(const struct arena *a); /* bytes handed out since the last reset */

#define arena_new_of(a, type)	((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (size_t)(n)))

/* -- vector ------------------------------------------------------------------------------------ */

/*
 * A vector of T lives in an arena: struct VEC(T) { T *v; uint32_t n, cap; }. Growth leaves the old
 * block to the arena, so at most as much is wasted as is used.
 *
 *	VEC(struct rule *) rules;
 *	*vec_push(arena, &rules) = rule;
 *	vec_foreach(&rules, it) use(*it);
 */
#define VEC(T)                                                                                     \
	struct {                                                                                   \
		T *v;                                                                              \
		uint32_t n, cap;                                                                   \
	}
void *vec_grow(struct arena *a, void *v, uint32_t n, uint32_t *cap, size_t elem_size);
#define vec_push(a, vec)                                                                           \
	((vec)->n == (vec)->cap ? (void)((vec)->v = vec_grow((a), (vec)->v, (vec)->n, &(vec)->cap, \
							     sizeof(*(vec)->v)))                   \
				: (void)0,                                                         \
	 &(vec)->v[(vec)->n++])
#define vec_foreach(vec, it)                                                                       \
	for (__typeof__((vec)->v[0]) *it = (vec)->v; (vec)->n && it < (vec)->v + (vec)->n; it++)

/* Takes out an item, which must be there. */
#define vec_remove(vec, item)                                                                      \
	do {                                                                                       \
		uint32_t i_ = 0;                                                                   \
		while (i_ < (vec)->n && (vec)->v[i_] != (item))                                    \
			i_++;                                                                      \
		BUG_ON(i_ == (vec)->n);                                                            \
		memmove((vec)->v + i_, (vec)->v + i_ + 1,                                          \
			((vec)->n - i_ - 1) * sizeof(*(vec)->v));                                  \
		(vec)->n--;                                                                        \
	} while (0)

/* -- names ------------------------------------------------------------------------------------- */

/* An open-addressed table from string to pointer; keys are not copied. */
struct strmap {
	struct arena *arena;
	struct strmap_slot *slots;
	uint32_t n, cap;
};
void strmap_init(struct strmap *m, struct arena *a);
/*
 * The place of the value for key (n bytes), made if it is not there (the key is copied then);
 * starts as NULL.
 */
void **strmap_put(struct strmap *m, const char *key, size_t n);
void *strmap_get(const struct strmap *m, const char *key, size_t n); /* NULL: not there */

/* -- growing text ------------------------------------------------------------------------------ */

/* A string that grows in an arena; s is always terminated (never NULL after sb_init). */
struct sbuf {
	struct arena *arena;
	char *s;
	size_t n, cap;
};
void sb_init(struct sbuf *b, struct arena *a);
void sb_init_room(struct sbuf *b, struct arena *a, size_t n); /* n bytes are expected */
void sb_add(struct sbuf *b, const char *s, size_t n);
void sb_puts(struct sbuf *b, const char *s);
void sb_printf(struct sbuf *b, const char *fmt, ...) PRINTF(2, 3);

/* -- places in the input ----------------------------------------------------------------------- */

/*
 * A place: where something stands in the input. For text, file is an index into the run's table of
 * sources and the lines and columns count from 1, the last column inclusive. For a dump, file is
 * SRC_NONE, and name says "table/chain handle N".
 */
#define SRC_NONE 0
struct loc {
	uint32_t file; /* index into struct diag's sources; SRC_NONE: no text */
	uint32_t line, col;
	uint32_t end_line, end_col;
	const char *name; /* in a dump: what is meant; else NULL */
};
/* From the start of a to the end of b (same file; else a). */
struct loc loc_span(struct loc a, struct loc b);

/* -- diagnostics ------------------------------------------------------------------------------- */

struct source {
	const char *path; /* as the user wrote it */
	const char *text; /* whole, kept for the caret lines */
	size_t len;
	struct loc from;	   /* the include statement; file SRC_NONE for the first */
	VEC(uint32_t) line_starts; /* byte offset of each line */
};

enum diag_level { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE };

struct diag_rec {
	enum diag_level level;
	struct loc loc, loc2; /* loc2: second place, marked with ~; its line 0: none */
	const char *text;
};

/*
 * The diagnostics of one run: collected as they come, printed sorted by place with diag_flush(). At
 * most DIAG_MAX_ERRORS errors are kept; the rest are counted.
 */
#define DIAG_MAX_ERRORS 10
struct diag {
	struct arena *arena;
	VEC(struct source *) sources; /* [0] is unused, so that SRC_NONE is never a file */
	VEC(struct diag_rec) recs;
	uint32_t errors, warnings; /* all, kept or not */
	bool color;
};
void diag_init(struct diag *d, struct arena *a);
/* Adds a source; text is not copied. Returns its index for struct loc. */
uint32_t diag_add_source(struct diag *d, const char *path, const char *text, size_t len,
			 struct loc from);
/*
 * Messages start in lower case, name the value and the cure, and have no full stop:
 * "range 80-70 is empty: first value exceeds last".
 */
void diag_error(struct diag *d, struct loc loc, const char *fmt, ...) PRINTF(3, 4);
void diag_error2(struct diag *d, struct loc loc, struct loc loc2, const char *fmt, ...)
	PRINTF(4, 5);
void diag_warn(struct diag *d, struct loc loc, const char *fmt, ...) PRINTF(3, 4);
void diag_verror(struct diag *d, enum diag_level l, struct loc loc, struct loc loc2,
		 const char *fmt, va_list ap);
/*
 * Prints what is collected: "path:line:col-col: error: text", the line, the carets. Then forgets
 * it.
 */
void diag_flush(struct diag *d, FILE *f);
/*
 * The text of line `line` of a place's source, without its newline; *len its length. NULL without
 * text.
 */
const char *diag_line(const struct diag *d, struct loc loc, uint32_t line, size_t *len);
/* "path:line:col" or the dump's name, in the arena. */
const char *diag_where(const struct diag *d, struct loc loc);

/* A bug in the compiler: prints where and what, exits with status 70. */
void bug_at(const char *file, int line, const char *fn, const char *fmt, ...) PRINTF(4, 5) NORETURN;
#define BUG(...) bug_at(__FILE__, __LINE__, __func__, __VA_ARGS__)
#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (cond)                                                                          \
			BUG("%s", #cond);                                                          \
	} while (0)

/* -- debugging dumps --------------------------------------------------------------------------- */

/*
 * -d letters; which letter dumps which stage or pass stands in src/ir/pass.def and in nft2bpf(8).
 */
extern bool debug_letter[128];

/* -- ranges.c: ranges of big-endian keys, as prefixes ------------------------------------------ */

/*
 * How many low bits the block has that starts at lo, is aligned and does not pass hi; bits: of the
 * key, at most 512.
 */
uint32_t range_block(const uint8_t *lo, const uint8_t *hi, uint32_t bits);
/* lo += 2^low; false: past the last key. */
bool range_advance(uint8_t *lo, uint32_t bits, uint32_t low);

#endif
