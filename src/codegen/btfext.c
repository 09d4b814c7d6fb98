// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * btfext: the section .BTF.ext: which function starts where, which nft rule each instruction comes
 * from, which instructions libbpf relocates. libbpf has no builder for it.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>

#include "codegen/objint.h"

#define BTFEXT_VERSION 1
#define LINE_MAX_      (1u << 22) /* line_col holds the line in 22 bits, the column in 10 */
#define COL_MAX_       (1u << 10)

struct header {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t hdr_len;
	uint32_t func_off, func_len; /* offsets from the end of the header */
	uint32_t line_off, line_len;
	uint32_t core_off, core_len;
};
_Static_assert(sizeof(struct header) == 32, "the header of .BTF.ext with CO-RE records");
_Static_assert(sizeof(struct ow_line) == 16, "a line record is written as it is");
_Static_assert(sizeof(struct ow_core) == 16, "a CO-RE record is written as it is");

struct func {
	uint32_t insn_off, type_id;
};

static const char *const sec_names[OW_CODE_COUNT] = { "netfilter", ".text", "tc" };

static uint32_t str(struct ow *w, const char *s)
{
	int off = btf__add_str(w->btf, s);

	if (off < 0)
		BUG("BTF strings: %s", strerror(-off));
	return (uint32_t)off;
}

static void u32(struct sbuf *b, uint32_t v)
{
	sb_add(b, (const char *)&v, 4);
}

/* Puts the records of one section behind its head, if there are any. */
static void section(struct ow *w, struct sbuf *out, enum ow_code sec, const struct sbuf *recs,
		    uint32_t size)
{
	if (!recs->n)
		return;
	u32(out, str(w, sec_names[sec]));
	u32(out, (uint32_t)(recs->n / size));
	sb_add(out, recs->s, recs->n);
}

static void func_info(struct ow *w, struct sbuf *out)
{
	u32(out, sizeof(struct func));
	for (enum ow_code sec = 0; sec < OW_CODE_COUNT; sec++) {
		struct sbuf b;

		sb_init(&b, w->a);
		for (uint32_t i = 0; i < w->o->fns.n; i++) {
			struct func f = { w->fn_off[i], w->fn_type[i] };

			if (OW_FN_SEC(w->o->fns.v[i]) == sec)
				sb_add(&b, (const char *)&f, sizeof(f));
		}
		for (uint32_t i = 0; sec == OW_TEXT && i < w->rt_fns.n; i++) {
			struct func f = { w->rt_fns.v[i].dst_off, w->rt_fns.v[i].type_id };

			sb_add(&b, (const char *)&f, sizeof(f));
		}
		section(w, out, sec, &b, sizeof(struct func));
	}
}

static void put_line(struct ow *w, struct sbuf *b, uint32_t insn_off, const struct obj_line *l)
{
	struct ow_line r = { insn_off, str(w, l->file), str(w, l->text),
			     MIN(l->line, LINE_MAX_ - 1) << 10 | MIN(l->col, COL_MAX_ - 1) };

	sb_add(b, (const char *)&r, sizeof(r));
}

/* The kernel wants a record at each function's first instruction and offsets that rise. */
static void fn_lines(struct ow *w, struct sbuf *b, uint32_t i)
{
	const struct obj_fn *fn = w->o->fns.v[i];
	uint32_t guard = OW_GUARD(w, fn), at = 0;

	if (!fn->lines.n || fn->lines.v[0].insn || guard) {
		struct obj_line l = { .file = fn->lines.n ? fn->lines.v[0].file : "",
				      .text = fn->name };

		put_line(w, b, w->fn_off[i], &l);
		at = guard ? 0 : 1;
	}
	vec_foreach(&fn->lines, l) {
		if (l->insn < at || l->insn >= fn->insns.n)
			BUG("line information of %s goes back or past the end at instruction %u",
			    fn->name, l->insn);
		put_line(w, b, w->fn_off[i] + (guard + l->insn) * 8, l);
		at = l->insn + 1;
	}
}

static void line_info(struct ow *w, struct sbuf *out)
{
	u32(out, sizeof(struct ow_line));
	for (enum ow_code sec = 0; sec < OW_CODE_COUNT; sec++) {
		struct sbuf b;

		sb_init(&b, w->a);
		for (uint32_t i = 0; i < w->o->fns.n; i++)
			if (OW_FN_SEC(w->o->fns.v[i]) == sec)
				fn_lines(w, &b, i);
		if (sec == OW_TEXT && w->rt_lines.n)
			sb_add(&b, (const char *)w->rt_lines.v,
			       w->rt_lines.n * sizeof(struct ow_line));
		section(w, out, sec, &b, sizeof(struct ow_line));
	}
}

static int by_insn(const void *a, const void *b)
{
	const struct ow_core *x = a, *y = b;

	return x->insn_off < y->insn_off ? -1 : x->insn_off > y->insn_off;
}

static void core_relos(struct ow *w, struct sbuf *out)
{
	if (!w->code[OW_NETFILTER].cores.n && !w->code[OW_TEXT].cores.n)
		return; /* the program that fills maps looks into no structure */
	u32(out, sizeof(struct ow_core));
	for (enum ow_code sec = 0; sec < OW_CODE_COUNT; sec++) {
		struct ow_code_sec *c = &w->code[sec];
		struct sbuf b;

		if (!c->cores.n)
			continue;
		sb_init(&b, w->a);
		qsort(c->cores.v, c->cores.n, sizeof(struct ow_core), by_insn);
		sb_add(&b, (const char *)c->cores.v, c->cores.n * sizeof(struct ow_core));
		section(w, out, sec, &b, sizeof(struct ow_core));
	}
}

int ow_btfext(struct ow *w, const uint8_t **bytes, size_t *len)
{
	struct sbuf f, l, c, out;
	struct header h = { .magic = BTF_MAGIC, .version = BTFEXT_VERSION, .hdr_len = sizeof(h) };

	sb_init(&f, w->a);
	sb_init(&l, w->a);
	sb_init(&c, w->a);
	sb_init(&out, w->a);
	func_info(w, &f);
	line_info(w, &l);
	core_relos(w, &c);
	h.func_len = (uint32_t)f.n;
	h.line_off = h.func_len;
	h.line_len = (uint32_t)l.n;
	h.core_off = h.line_off + h.line_len;
	h.core_len = (uint32_t)c.n;
	sb_add(&out, (const char *)&h, sizeof(h));
	sb_add(&out, f.s, f.n);
	sb_add(&out, l.s, l.n);
	sb_add(&out, c.s, c.n);
	*bytes = (const uint8_t *)out.s;
	*len = out.n;
	return 0;
}
