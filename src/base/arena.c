// SPDX-License-Identifier: GPL-2.0-or-later
/* Arena, vector, string table and growing text: memory by lifetime. */
#include <stdlib.h>

#include "base.h"

#define ARENA_BLOCK (256u << 10)
#define ARENA_ALIGN 16u

struct arena_block {
	struct arena_block *next;
	size_t size, used; /* bytes behind the header */
	_Alignas(ARENA_ALIGN) unsigned char data[];
};

struct arena {
	struct arena_block *head; /* the block being filled */
	size_t used;
};

static NORETURN void out_of_memory(size_t size)
{
	fprintf(stderr, "nft2bpf: out of memory (%zu bytes wanted)\n", size);
	exit(70);
}

static struct arena_block *arena_block_new(size_t size)
{
	struct arena_block *b = calloc(1, sizeof(*b) + size);

	if (!b)
		out_of_memory(size);
	b->size = size;
	return b;
}

struct arena *arena_new(void)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		out_of_memory(sizeof(*a));
	a->head = arena_block_new(ARENA_BLOCK);
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct arena_block *b = a->head, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->head;

	if (size > SIZE_MAX / 2)
		out_of_memory(size);
	size = ALIGN_UP(size ? size : 1, ARENA_ALIGN);
	a->used += size;
	if (size > ARENA_BLOCK / 4) { /* a block of its own, behind the one being filled */
		struct arena_block *big = arena_block_new(size);

		big->used = size;
		big->next = b->next;
		b->next = big;
		return big->data;
	}
	if (b->size - b->used < size) {
		b = arena_block_new(ARENA_BLOCK);
		b->next = a->head;
		a->head = b;
	}
	b->used += size;
	return b->data + b->used - size;
}

void *arena_dup(struct arena *a, const void *p, size_t size)
{
	void *q = arena_alloc(a, size);

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
 * Most texts are words and numbers, and there are millions: %s %u %d %llu %c alone, into room for n bytes. The length; -1: something
 * else is asked for, or there is not enough room.
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

/* -- vector ---------------------------------------------------------------------------------------------------- */

void *vec_grow(struct arena *a, void *v, uint32_t n, uint32_t *cap, size_t elem_size)
{
	uint32_t want = *cap ? *cap * 2 : 8;
	void *w;

	BUG_ON(want <= *cap);
	w = arena_alloc(a, want * elem_size);
	if (n)
		memcpy(w, v, n * elem_size);
	*cap = want;
	return w;
}

/* -- string table ---------------------------------------------------------------------------------------------- */

struct strmap_slot {
	const char *key; /* NULL: free */
	size_t n;
	uint64_t hash;
	void *value;
};

static uint64_t hash_bytes(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * 0x100000001b3ull;
	return h ^ h >> 29;
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

/* -- growing text ---------------------------------------------------------------------------------------------- */

void sb_init(struct sbuf *b, struct arena *a)
{
	b->arena = a;
	b->n = 0;
	b->cap = 64;
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
	s = arena_alloc(b->arena, cap);
	memcpy(s, b->s, b->n);
	b->s = s;
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
