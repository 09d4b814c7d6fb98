// SPDX-License-Identifier: GPL-2.0-or-later
/* Arena, vector, string table and growing text: memory by lifetime. */
#include <stdlib.h>
#include <sys/mman.h>

#include "base.h"

#define ARENA_ALIGN 16u
#define BLOCK_SHIFT 18 /* blocks have 2^18 bytes, ... */
#define BLOCK_SIZES 6  /* ... 2^19, and so on up to 2^23 */
#define BLOCK_MIN   ((size_t)1 << BLOCK_SHIFT)
#define BLOCK_MAX   (BLOCK_MIN << (BLOCK_SIZES - 1))
#define HUGE_PAGE                                                                                  \
	((size_t)2 << 20) /* larger blocks are mapped in such pages where the kernel has them */

struct arena_block {
	struct arena_block *next;
	size_t size, used; /* bytes behind the header */
	size_t dirty;	   /* as far as memory was handed out before: not zero any more */
	_Alignas(ARENA_ALIGN) unsigned char data[];
};

struct arena {
	struct arena_block *head; /* the block being filled */
	size_t used;
	size_t held; /* bytes of all blocks */
};

static NORETURN void out_of_memory(size_t size)
{
	fprintf(stderr, "nft2bpf: out of memory (%zu bytes wanted)\n", size);
	exit(70);
}

/*
 * Most of what a large run spends on memory is the first touch of its pages, so it asks for huge
 * ones; they need an address that is a multiple of their size. total: with the header, a multiple
 * of HUGE_PAGE.
 */
static struct arena_block *map_huge(size_t total)
{
	unsigned char *p = mmap(NULL, total + HUGE_PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t lead;

	if (p == MAP_FAILED)
		out_of_memory(total);
	lead = -(uintptr_t)p % HUGE_PAGE;
	if (lead)
		munmap(p, lead);
	munmap(p + lead + total, HUGE_PAGE - lead);
	madvise(p + lead, total, MADV_HUGEPAGE); /* else small ones */
	return (struct arena_block *)(p + lead);
}

/*
 * Blocks of arenas that were freed, by size: memory that was touched once is not given back, since
 * the next arena would have to touch as much again.
 */
static _Thread_local struct arena_block *spare[BLOCK_SIZES];

/* The index of the least block with room for total bytes; BLOCK_SIZES: larger than all. */
static uint32_t size_index(size_t total)
{
	uint32_t i = 0;

	while (i < BLOCK_SIZES && BLOCK_MIN << i < total)
		i++;
	return i;
}

/* A block with room for size bytes; *held grows by what it takes. */
static struct arena_block *block_new(size_t size, size_t *held)
{
	size_t total = sizeof(struct arena_block) + size;
	uint32_t i = size_index(total);
	struct arena_block *b;

	total = i < BLOCK_SIZES ? BLOCK_MIN << i : ALIGN_UP(total, HUGE_PAGE);
	*held += total;
	if (i < BLOCK_SIZES && spare[i]) {
		b = spare[i];
		spare[i] = b->next;
		b->dirty = MAX(b->dirty, b->used);
		b->used = 0;
		return b;
	}
	b = total < HUGE_PAGE ? calloc(1, total) : map_huge(total);
	if (!b)
		out_of_memory(total);
	b->size = total - sizeof(*b);
	return b;
}

static void block_free(struct arena_block *b)
{
	size_t total = sizeof(*b) + b->size;
#ifndef __SANITIZE_ADDRESS__ /* which is to see who uses what is freed */
	uint32_t i = size_index(total);

	if (i < BLOCK_SIZES) {
		b->next = spare[i];
		spare[i] = b;
		return;
	}
#endif
	if (total < HUGE_PAGE)
		free(b);
	else
		munmap(b, total);
}

static void blocks_free(struct arena_block *b)
{
	for (struct arena_block *next; b; b = next) {
		next = b->next;
		block_free(b);
	}
}

struct arena *arena_new(void)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		out_of_memory(sizeof(*a));
	a->head = block_new(BLOCK_MIN - sizeof(struct arena_block), &a->held);
	a->head->next = NULL;
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	blocks_free(a->head);
	free(a);
}

void arena_reset(struct arena *a)
{
	struct arena_block *b = a->head;

	blocks_free(b->next);
	b->next = NULL;
	b->dirty = MAX(b->dirty, b->used);
	b->used = 0;
	a->used = 0;
	a->held = sizeof(*b) + b->size;
}

/*
 * A block for size bytes that the head has no room for: as large as all before it, so that their
 * number stays small.
 */
static struct arena_block *arena_more(struct arena *a, size_t size)
{
	size_t want = MIN(a->held, BLOCK_MAX);
	struct arena_block *b;

	if (size > want / 4) { /* a block of its own, behind the one being filled */
		b = block_new(size, &a->held);
		b->next = a->head->next;
		a->head->next = b;
		return b;
	}
	b = block_new(want - sizeof(*b), &a->held);
	b->next = a->head;
	a->head = b;
	return b;
}

/* Takes size bytes, a multiple of ARENA_ALIGN, as they are; *dirty of them may not be zero. */
static void *arena_take(struct arena *a, size_t size, size_t *dirty)
{
	struct arena_block *b = a->head;
	size_t at;

	a->used += size;
	if (b->size - b->used < size)
		b = arena_more(a, size);
	at = b->used;
	b->used += size;
	*dirty = at < b->dirty ? MIN(b->dirty - at, size) : 0;
	return b->data + at;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t dirty;
	void *p;

	if (size > SIZE_MAX / 2)
		out_of_memory(size);
	p = arena_take(a, ALIGN_UP(size ? size : 1, ARENA_ALIGN), &dirty);
	if (dirty)
		memset(p, 0, dirty);
	return p;
}

/*
 * Makes the last thing that was taken larger where it stands, with zeros; false: it is not the
 * last, or there is no room.
 */
static bool arena_grow(struct arena *a, void *p, size_t old, size_t size)
{
	struct arena_block *b = a->head;
	unsigned char *end = (unsigned char *)p + ALIGN_UP(old, ARENA_ALIGN);
	size_t more = ALIGN_UP(size, ARENA_ALIGN) - ALIGN_UP(old, ARENA_ALIGN);

	if (!p || end != b->data + b->used || b->size - b->used < more)
		return false;
	memset(b->data + b->used, 0, b->used < b->dirty ? MIN(b->dirty - b->used, more) : 0);
	b->used += more;
	a->used += more;
	return true;
}

void *arena_dup(struct arena *a, const void *p, size_t size)
{
	size_t dirty;
	void *q;

	if (size > SIZE_MAX / 2)
		out_of_memory(size);
	q = arena_take(a, ALIGN_UP(size ? size : 1, ARENA_ALIGN), &dirty);
	if (size)
		memcpy(q, p, size);
	return q;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *q = arena_alloc(a, n + 1);

	if (n)
		memcpy(q, s, n);
	return q;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

static size_t put_decimal(char *at, unsigned long long v)
{
	char digits[20];
	size_t n = 0, k = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		at[k++] = digits[--n];
	return k;
}

/*
 * Most texts are words and numbers, and there are millions: %s %u %d %llu %c alone, into room for n
 * bytes. The length; -1: something else is asked for, or there is not enough room.
 */
static int put_plain(char *buf, size_t room, const char *fmt, va_list ap)
{
	size_t n = 0, len;
	const char *s;
	int d;

	for (; *fmt; fmt++) {
		if (n + 24 > room)
			return -1;
		if (*fmt != '%') {
			buf[n++] = *fmt;
			continue;
		}
		switch (*++fmt) {
		case 's':
			s = va_arg(ap, const char *);
			len = s ? strlen(s) : room;
			if (n + len + 24 > room)
				return -1;
			memcpy(buf + n, s, len);
			n += len;
			break;
		case 'u':
			n += put_decimal(buf + n, va_arg(ap, unsigned));
			break;
		case 'd':
			d = va_arg(ap, int);
			if (d < 0)
				buf[n++] = '-';
			n += put_decimal(buf + n, d < 0 ? 0ull - (unsigned long long)d
							: (unsigned long long)d);
			break;
		case 'c':
			buf[n++] = (char)va_arg(ap, int);
			break;
		case 'l':
			if (fmt[1] != 'l' || fmt[2] != 'u')
				return -1;
			fmt += 2;
			n += put_decimal(buf + n, va_arg(ap, unsigned long long));
			break;
		default:
			return -1;
		}
	}
	buf[n] = '\0';
	return (int)n;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	char plain[256];
	va_list ap2;
	int n;
	char *s;

	va_copy(ap2, ap);
	n = put_plain(plain, sizeof(plain), fmt, ap2);
	va_end(ap2);
	if (n >= 0)
		return arena_dup(a, plain, (size_t)n + 1);
	va_copy(ap2, ap);
	n = vsnprintf(NULL, 0, fmt, ap2);
	va_end(ap2);
	BUG_ON(n < 0);
	s = arena_alloc(a, (size_t)n + 1);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return s;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

/* -- vector ------------------------------------------------------------------------------------ */

void *vec_grow(struct arena *a, void *v, uint32_t n, uint32_t *cap, size_t elem_size)
{
	uint32_t want = *cap ? *cap * 2 : (uint32_t)MAX(2, 64 / elem_size);
	void *w;

	BUG_ON(want <= *cap);
	if (arena_grow(a, v, *cap * elem_size, want * elem_size)) {
		*cap = want;
		return v;
	}
	w = arena_alloc(a, want * elem_size);
	if (n)
		memcpy(w, v, n * elem_size);
	*cap = want;
	return w;
}

/* -- string table ------------------------------------------------------------------------------ */

struct strmap_slot {
	const char *key; /* NULL: free */
	size_t n;
	uint64_t hash;
	void *value;
};

static uint64_t hash_bytes(const char *s, size_t n)
{
	uint64_t h = n, w;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		memcpy(&w, s + i, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, s + i, n - i);
	h = (h ^ w) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 32;
}

void strmap_init(struct strmap *m, struct arena *a)
{
	m->arena = a;
	m->n = 0;
	m->cap = 16;
	m->slots = arena_array(a, struct strmap_slot, m->cap);
}

static struct strmap_slot *strmap_slot(const struct strmap *m, const char *key, size_t n,
				       uint64_t hash)
{
	for (uint64_t i = hash;; i++) {
		struct strmap_slot *s = &m->slots[i & (m->cap - 1)];

		if (!s->key || (s->hash == hash && s->n == n && !memcmp(s->key, key, n)))
			return s;
	}
}

static void strmap_double(struct strmap *m)
{
	struct strmap_slot *old = m->slots;
	uint32_t cap = m->cap;

	m->cap = cap * 2;
	m->slots = arena_array(m->arena, struct strmap_slot, m->cap);
	for (uint32_t i = 0; i < cap; i++)
		if (old[i].key)
			*strmap_slot(m, old[i].key, old[i].n, old[i].hash) = old[i];
}

void **strmap_put(struct strmap *m, const char *key, size_t n)
{
	uint64_t hash = hash_bytes(key, n);
	struct strmap_slot *s;

	if (m->n * 4 >= m->cap * 3)
		strmap_double(m);
	s = strmap_slot(m, key, n, hash);
	if (!s->key) {
		s->key = arena_strndup(m->arena, key, n);
		s->n = n;
		s->hash = hash;
		m->n++;
	}
	return &s->value;
}

void *strmap_get(const struct strmap *m, const char *key, size_t n)
{
	return strmap_slot(m, key, n, hash_bytes(key, n))->value;
}

/* -- growing text ------------------------------------------------------------------------------ */

void sb_init(struct sbuf *b, struct arena *a)
{
	sb_init_room(b, a, 63);
}

void sb_init_room(struct sbuf *b, struct arena *a, size_t n)
{
	b->arena = a;
	b->n = 0;
	b->cap = MAX(n, 15) + 1;
	b->s = arena_alloc(a, b->cap);
}

static void sb_room(struct sbuf *b, size_t more)
{
	size_t cap = b->cap;
	char *s;

	if (b->n + more + 1 <= cap)
		return;
	while (b->n + more + 1 > cap)
		cap *= 2;
	if (!arena_grow(b->arena, b->s, b->cap, cap)) {
		s = arena_alloc(b->arena, cap);
		memcpy(s, b->s, b->n);
		b->s = s;
	}
	b->cap = cap;
}

void sb_add(struct sbuf *b, const char *s, size_t n)
{
	sb_room(b, n);
	memcpy(b->s + b->n, s, n);
	b->n += n;
	b->s[b->n] = '\0';
}

void sb_puts(struct sbuf *b, const char *s)
{
	sb_add(b, s, strlen(s));
}

void sb_printf(struct sbuf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = put_plain(b->s + b->n, b->cap - b->n, fmt, ap);
	va_end(ap);
	if (n >= 0) {
		b->n += (size_t)n;
		return;
	}
	va_start(ap, fmt);
	n = vsnprintf(b->s + b->n, b->cap - b->n, fmt, ap);
	va_end(ap);
	BUG_ON(n < 0);
	if ((size_t)n >= b->cap - b->n) { /* cut off: once more with room */
		sb_room(b, (size_t)n);
		va_start(ap, fmt);
		vsnprintf(b->s + b->n, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->n += (size_t)n;
}
