// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dispatch_mixlow: the code of a classification (dispatch_mix.c): the class of each field, of
 * joined axes, and the first rule of a stretch.
 */
#include <endian.h>

#include "mix.h"

#define CHAIN_ELEMS 4	/* so many single values are compared one after the other */
#define NAME_ELEMS  8	/* names of devices: what a look-up of 16 bytes costs more */
#define STATE_MASK  127 /* conntrack's states */
#define DE_BRUIJN   0x03f79d71b4cb0a89ull /* times 2^k: the top 6 bits differ for each k */

static uint32_t log2_up(uint32_t n)
{
	uint32_t b = 0;

	while ((1ull << b) < n)
		b++;
	return b;
}

/*
 * A table of the module of n entries, filled up to a power of two; its bytes are the caller's to
 * write.
 */
static uint32_t table_new(struct mix *m, const char *name, uint32_t n, uint32_t size)
{
	struct ir_mod *mod = m->b->m;
	struct ir_table *t = vec_push(mod->arena, &mod->tables);

	*t = (struct ir_table){ .name = arena_printf(mod->arena, "%s%u", name, mod->tables.n - 1),
				.len = size << log2_up(n),
				.align = 8 };
	t->bytes = arena_alloc(mod->arena, t->len);
	return mod->tables.n - 1;
}

static void put_entry(struct mix *m, uint32_t table, uint32_t k, uint32_t size, uint64_t v)
{
	v = htole64(v);
	memcpy(m->b->m->tables.v[table].bytes + (size_t)k * size, &v, size);
}

/* Entry `at` (W) of a table of entries of 1, 2 or 8 bytes; the number is bounded here. */
static struct ir_ins *entry(struct mix *m, uint32_t table, struct ir_ins *at, uint32_t size)
{
	uint32_t n = m->b->m->tables.v[table].len / size;
	struct ir_ins *i = band(m->b, at, n - 1);

	if (size > 1)
		i = bop(m->b, IR_SHL, i, bw(m->b, log2_up(size)));
	i = ir_emit1(&m->b->c, IR_LDRO, size == 8 ? IR_L : IR_W, i);
	i->aux = table;
	i->size = (uint8_t)size;
	return i;
}

static uint32_t entry_size(uint32_t n)
{
	return n <= 256 ? 1 : 2;
}

/* -- ways that come together ------------------------------------------------------------------- */

/*
 * The constant v, below n, as a number that the verifier does not know: it would follow what comes
 * behind anew for each constant that ways come with, and ways multiply. Which of two equal entries
 * is read depends on the packet.
 */
static struct ir_ins *hidden(struct mix *m, struct ir_ins *v, uint32_t n)
{
	uint32_t size = entry_size(n), table = table_new(m, "same", 2, size);

	put_entry(m, table, 0, size, (uint64_t)v->imm);
	put_entry(m, table, 1, size, (uint64_t)v->imm);
	return entry(m, table, lower_skb_len(m->b), size);
}

/*
 * Ends of ways, each with the number (below `max`) that it found; the cursor goes on where they
 * meet.
 */
struct ways {
	struct mix *m;
	uint32_t max;
	VEC(struct ir_block *) from;
	VEC(struct ir_ins *) val;
};

static void add_way(struct ways *w, struct ir_ins *val)
{
	*vec_push(w->m->tmp, &w->from) = w->m->b->c.blk;
	*vec_push(w->m->tmp, &w->val) = val;
}

static struct ir_ins *meet(struct ways *w)
{
	struct bld *b = w->m->b;
	struct ir_block *join = ir_block_new(b->c.fn);

	b->dead = false;
	for (uint32_t k = 0; k < w->from.n; k++) {
		b->c.blk = w->from.v[k];
		if (w->val.v[k]->op ==
		    IR_CONST) /* here: behind the join it would move on, down to where it is used */
			w->val.v[k] = hidden(w->m, w->val.v[k], w->max);
		ir_jmp(&b->c, join);
	}
	b->c.blk = join;
	return ir_emit(&b->c, IR_PHI, IR_W, w->val.n, w->val.v);
}

/* -- the class of a field ---------------------------------------------------------------------- */

static uint32_t n_classes(const struct mix_field *f)
{
	uint32_t n = f->absent + 1;

	vec_foreach(&f->parts, p)
		n = MAX(n, p->class + 1);
	return n;
}

static bool is_state(const struct mix_field *f)
{
	return f->unit->load->kind == EX_CT && f->unit->load->ct.key == KEY_CT_STATE &&
	       !f->unit->mask;
}

/* By the byte itself; conntrack's states are one. */
static struct ir_ins *by_byte(struct mix *m, const struct mix_field *f, struct ir_ins *word)
{
	uint32_t size = entry_size(n_classes(f)), n = is_state(f) ? STATE_MASK + 1 : 256;
	uint32_t table = table_new(m, "class", n, size);

	for (uint32_t k = 0; k < n; k++) {
		uint32_t v = k;

		put_entry(m, table, k, size, mix_class_of(f, (const uint8_t *)&v));
	}
	return entry(m, table, word, size);
}

/*
 * Values of two bytes: the first says which table of 256 the second is looked up in; equal ones are
 * there once.
 */
static struct ir_ins *by_pages(struct mix *m, const struct mix_field *f, struct ir_ins *word)
{
	uint32_t size = entry_size(n_classes(f)), n = 0, first, second;
	uint32_t(*page)[256] = arena_alloc(m->tmp, 256 * sizeof(*page));
	struct bld *b = m->b;
	struct strmap seen;

	strmap_init(&seen, m->tmp);
	first = table_new(m, "pages", 256, 1);
	for (uint32_t hi = 0; hi < 256; hi++) {
		void **slot;

		for (uint32_t lo = 0; lo < 256; lo++)
			page[n][lo] = mix_class_of(f,
						   (const uint8_t[]){ (uint8_t)hi, (uint8_t)lo });
		slot = strmap_put(&seen, (const char *)page[n], sizeof(*page));
		if (!*slot)
			*slot = (void *)(uintptr_t)++n;
		put_entry(m, first, hi, 1, (uintptr_t)*slot - 1);
	}
	second = table_new(m, "class", 256 * n, size);
	for (uint32_t k = 0; k < 256 * n; k++)
		put_entry(m, second, k, size, page[k / 256][k % 256]);
	word = band(b, word, 0xffff);
	return entry(m, second,
		     bop(b, IR_OR, bop(b, IR_SHL, entry(m, first, word, 1), bw(b, 8)),
			 bop(b, IR_LSHR, word, bw(b, 8))),
		     size);
}

/* One comparison after the other. */
static void by_values(struct mix *m, const struct mix_field *f, struct ways *w)
{
	struct bld *b = m->b;
	struct ir_block *brk = b->brk;

	for (uint32_t k = 0; k < f->parts.n; k++) {
		const struct mix_part *p = &f->parts.v[k];
		struct expr *e;

		if (p->class == f->usual)
			continue;
		e = expr_new(b->m->arena, EX_CMP, f->from->rule->loc);
		e->cmp.sreg = dispatch_load_reg(f->unit->load);
		e->cmp.op = CMP_EQ;
		e->cmp.data = data_bytes(p->lo, f->len);
		b->brk = ir_block_new(b->c.fn);
		lower_cmp(b, e);
		if (!b->dead)
			add_way(w, bw(b, p->class));
		b->dead = false;
		b->c.blk = b->brk;
	}
	b->brk = brk;
	add_way(w, bw(b, f->usual));
}

/* The last value before part k + 1. */
static struct data part_end(const struct mix_field *f, uint32_t k)
{
	struct data d = { .len = (uint8_t)f->len };
	uint32_t i = f->len;

	if (k + 1 == f->parts.n) {
		memset(d.b, 0xff, f->len);
		return d;
	}
	memcpy(d.b, f->parts.v[k + 1].lo, f->len);
	while (i-- > 0 && !d.b[i]--)
		;
	return d;
}

static uint32_t set_new(struct mix *m, const struct mix_field *f)
{
	struct ir_mod *mod = m->b->m;
	struct arena *a = m->b->c.fn->arena;
	struct set *s = arena_new_of(mod->arena, struct set);

	s->table = f->from->rule->chain->table;
	s->name = arena_printf(mod->arena, "mix%u", mod->sets.n);
	s->index = s->table->sets.n + mod->sets.n;
	s->loc = f->from->rule->loc;
	s->flags = SET_ANONYMOUS | SET_CONSTANT | SET_MAP | (f->exact ? 0 : SET_INTERVAL);
	s->key_len = (uint8_t)f->len;
	s->field_len[0] = s->key_len;
	s->n_fields = 1;
	s->data_len = 4; /* so that elements have numbers */
	for (uint32_t k = 0; k < f->parts.n; k++) {
		struct set_elem *e;

		if (f->parts.v[k].class == f->usual)
			continue;
		e = arena_new_of(a, struct set_elem);
		e->key = data_bytes(f->parts.v[k].lo, f->len);
		if (!f->exact)
			e->key_end = part_end(f, k);
		e->data = data_bytes(&(uint32_t){ 0 }, 4);
		*vec_push(a, &s->elems) = e;
	}
	*vec_push(mod->arena,
		  &mod->sets) = (struct ir_set){ .set = s, .kind = SK_CONST, .straight = true };
	return mod->sets.n - 1;
}

/* The number of the element is what the class is looked up by; 0: no element. */
static struct ir_ins *by_set(struct mix *m, const struct mix_field *f, uint32_t word)
{
	struct bld *b = m->b;
	uint32_t n = DIV_ROUND_UP(f->len, 4u), k = 0;
	uint32_t table = table_new(m, "class", f->n_elems + 1, 2);
	struct ir_ins *key[REG_WORDS], *el;

	put_entry(m, table, k++, 2, f->usual);
	vec_foreach(&f->parts, p)
		if (p->class != f->usual)
			put_entry(m, table, k++, 2, p->class);
	for (k = 0; k < n; k++)
		key[k] = breg_get(b, word + k);
	if (f->len % 4)
		key[n - 1] = band(b, key[n - 1], (1u << 8 * (f->len % 4)) - 1);
	el = ir_emit(&b->c, IR_CLOOK, IR_L, n, key);
	el->aux = set_new(m, f);
	return entry(m, table, ir_emit1(&b->c, IR_TRUNC, IR_W, el), 2);
}

static void lower_class(struct mix *m, const struct mix_field *f, struct ways *w)
{
	struct bld *b = m->b;
	uint32_t word = REG_WORD(dispatch_load_reg(f->unit->load));

	if (!f->n_elems)
		add_way(w, bw(b, f->usual));
	else if (f->len == 1 || is_state(f))
		add_way(w, by_byte(m, f, breg_get(b, word)));
	else if (f->exact && f->n_elems <= (f->len == 16 ? NAME_ELEMS : CHAIN_ELEMS))
		by_values(m, f, w);
	else if (f->len == 2)
		add_way(w, by_pages(m, f, breg_get(b, word)));
	else
		add_way(w, by_set(m, f, word));
}

static struct ir_ins *lower_field(struct mix *m, const struct mix_field *f)
{
	struct bld *b = m->b;
	const struct rule *r = f->from->rule;
	struct ir_block *brk = b->brk, *absent = ir_block_new(b->c.fn);
	struct ways w = { .m = m, .max = n_classes(f) };

	b->c.rule = r;
	memset(b->regs, 0, sizeof(b->regs));
	lower_prepare(b, r, r->exprs.n);
	b->brk = absent;
	lower_expr(b, r, f->unit->first, f->unit->load);
	if (!b->dead && f->unit->mask)
		lower_expr(b, r, f->unit->first + 1, f->unit->mask);
	if (!b->dead)
		lower_class(m, f, &w);
	b->brk = brk;
	if (absent->preds.n) {
		b->c.blk = absent;
		add_way(&w, bw(b, f->absent));
	}
	return meet(&w);
}

/* -- axes -------------------------------------------------------------------------------------- */

static struct ir_ins *lower_axis(struct mix *m, struct mix_axis *x)
{
	struct bld *b = m->b;
	uint32_t size = entry_size(x->n), shift, table;
	struct ir_ins *row, *col;

	if (x->field)
		return x->val = lower_field(m, x->field);
	row = lower_axis(m, x->a);
	col = lower_axis(m, x->b);
	shift = log2_up(x->b->n);
	table = table_new(m, "cross", x->a->n << shift, size);
	for (uint32_t i = 0; i < x->a->n; i++)
		for (uint32_t k = 0; k < x->b->n; k++)
			put_entry(m, table, i << shift | k, size, x->cross[i * x->b->n + k]);
	if (shift)
		row = bop(b, IR_OR, bop(b, IR_SHL, row, bw(b, shift)), col);
	return x->val = entry(m, table, row, size);
}

static void classify(struct mix *m)
{
	for (uint32_t k = 0; k < m->n_axes; k++)
		lower_axis(m, m->axis[k]);
	m->fn = m->b->c.fn;
}

/* -- the first rule ---------------------------------------------------------------------------- */

/* Bits of word w that are rules of [first, end). */
static uint64_t stretch_bits(uint32_t w, uint32_t first, uint32_t end)
{
	uint64_t bits = UINT64_MAX;

	if (first > 64 * w)
		bits = first - 64 * w > 63 ? 0 : bits << (first - 64 * w);
	if (end < 64 * w + 64)
		bits &= end <= 64 * w ? 0 : UINT64_MAX >> (64 * w + 64 - end);
	return bits;
}

static uint32_t first_rule(const struct mix *m, const uint64_t *row, uint32_t first, uint32_t end)
{
	for (uint32_t w = first / 64; w < DIV_ROUND_UP(end, 64u); w++) {
		uint64_t bits = row[w] & stretch_bits(w, first, end);

		if (bits)
			return 64 * w + (uint32_t)__builtin_ctzll(bits);
	}
	return m->n;
}

/*
 * One axis: what to do by class: 1 + class of effects, or where rules count 1 + rule; 0: nothing.
 */
static struct ir_ins *by_class(struct mix *m, const struct drun *run, uint32_t first, uint32_t end)
{
	const struct mix_axis *x = m->axis[0];
	uint32_t size = entry_size(1 + (run->counts ? run->n : run->classes.n));
	uint32_t table = table_new(m, "first", x->n, size);

	for (uint32_t c = 0; c < x->n; c++) {
		uint32_t k = first_rule(m, x->rows + (size_t)c * m->words, first, end);

		if (k < end)
			put_entry(m, table, c, size,
				  1 + (run->counts ? k - first : run->class_of[k - first]));
	}
	return entry(m, table, x->val, size);
}

static uint32_t row_table(struct mix *m, const struct mix_axis *x)
{
	uint32_t shift = log2_up(m->words), table = table_new(m, "rows", x->n << shift, 8);

	for (uint32_t c = 0; c < x->n; c++)
		for (uint32_t w = 0; w < m->words; w++)
			put_entry(m, table, (c << shift) + w, 8, x->rows[(size_t)c * m->words + w]);
	return table;
}

/* Word w of the packet's row. */
static struct ir_ins *joint(struct mix *m, uint32_t w)
{
	struct bld *b = m->b;
	struct ir_ins *all = NULL;

	if (m->joint[w])
		return m->joint[w];
	for (uint32_t k = 0; k < m->n_axes; k++) {
		struct ir_ins *at = bop(b, IR_SHL, m->axis[k]->val, bw(b, log2_up(m->words))), *row;

		if (!m->rows[k])
			m->rows[k] = row_table(m, m->axis[k]) + 1;
		row = entry(m, m->rows[k] - 1, w ? bop(b, IR_OR, at, bw(b, w)) : at, 8);
		all = all ? bop(b, IR_AND, all, row) : row;
	}
	return m->joint[w] = all;
}

static struct ir_ins *stretch_word(struct mix *m, uint32_t w, uint32_t first, uint32_t end)
{
	return band(m->b, joint(m, w), stretch_bits(w, first, end));
}

static struct ir_ins *lowest_bit(struct mix *m, struct ir_ins *bits)
{
	struct bld *b = m->b;
	struct ir_ins *i = bop(b, IR_AND, bits, bop(b, IR_SUB, bl(b, 0), bits));

	if (!m->lowest) {
		m->lowest = table_new(m, "lowest", 64, 1) + 1;
		for (uint32_t k = 0; k < 64; k++)
			put_entry(m, m->lowest - 1, (uint32_t)((DE_BRUIJN << k) >> 58), 1, k);
	}
	i = bop(b, IR_LSHR, bop(b, IR_MUL, i, bl(b, DE_BRUIJN)), bl(b, 58));
	return entry(m, m->lowest - 1, ir_emit1(&b->c, IR_TRUNC, IR_W, i), 1);
}

/* Several words: the first rule of the stretch, from 0, found word by word; none: b->brk. */
static struct ir_ins *by_rows(struct mix *m, uint32_t first, uint32_t end)
{
	uint32_t from = first / 64, n = DIV_ROUND_UP(end, 64u) - from;
	struct ir_ins *bits[MIX_RULES / 64], *base[MIX_RULES / 64], *word, *at;
	struct bld *b = m->b;
	struct ir_block *found = ir_block_new(b->c.fn);

	for (uint32_t w = 0; w < n; w++) {
		struct ir_block *on = w + 1 < n ? ir_block_new(b->c.fn) : b->brk;

		bits[w] = stretch_word(m, from + w, first, end);
		base[w] = hidden(m, bw(b, w), n);
		ir_br(&b->c, bcond(b, IR_NE, bits[w], 0), found, on);
		b->c.blk = on;
	}
	b->c.blk = found;
	at = ir_emit(&b->c, IR_PHI, IR_W, n, base);
	word = ir_emit(&b->c, IR_PHI, IR_L, n, bits);
	at = bop(b, IR_SHL, at, bw(b, 6));
	return bop(b, IR_SUB, bop(b, IR_ADD, lowest_bit(m, word), at), bw(b, first % 64));
}

/* The rules of the stretch as a run: what they do. */
static void take_rules(struct mix *m, struct drun *run, uint32_t first, uint32_t end)
{
	*run = (struct drun){ .b = m->b, .tmp = m->tmp };
	for (uint32_t k = first; k < end; k++)
		dispatch_add(run, m->r[k], m->place[k]);
}

/* All in one word; a rule that lets its packets go on leaves them to the next round. */
static void lower_rounds(struct mix *m, struct drun *run, uint32_t first, uint32_t end, uint32_t n)
{
	struct ir_ins *word = stretch_word(m, first / 64, first, end);
	uint32_t table = dispatch_effects_table(run);
	struct bld *b = m->b;
	struct ir_block *brk = b->brk;

	b->uncut += n > 1; /* where a rule's packets go on is no place in the chain */
	for (uint32_t left = n;; left--) {
		struct ir_block *next = left > 1 ? ir_block_new(b->c.fn) : brk;

		b->brk = brk;
		btest(b, bcond(b, IR_NE, word, 0));
		b->brk = next;
		dispatch_effect(run, table, bop(b, IR_SUB, lowest_bit(m, word), bw(b, first % 64)));
		if (left == 1)
			break;
		b->c.blk = next;
		b->c.rule = m->r[first]->rule;
		b->dead = false;
		word = bop(b, IR_AND, word, bop(b, IR_SUB, word, bl(b, 1)));
	}
	b->brk = brk;
	b->uncut -= n > 1;
}

static void lower_stretch(struct mix *m, struct drun *run, uint32_t first, uint32_t end)
{
	struct bld *b = m->b;
	struct ir_ins *hit;

	if (m->n_axes > 1) {
		dispatch_effect(run, dispatch_effects_table(run), by_rows(m, first, end));
		return;
	}
	hit = by_class(m, run, first, end);
	btest(b, bcond(b, IR_NE, hit, 0));
	hit = bop(b, IR_SUB, hit, bw(b, 1));
	if (run->counts)
		dispatch_effect(run, dispatch_effects_table(run), hit);
	else
		dispatch_classes(run, hit, NULL);
}

bool mix_lower(struct mix *m, uint32_t first, uint32_t end, uint32_t rounds)
{
	struct bld *b = m->b;
	struct drun run;

	take_rules(m, &run, first, end);
	if (!dispatch_effects(&run))
		return false;
	b->dead = false;
	if (!m->fn)
		classify(m);
	b->c.rule = m->r[first]->rule;
	if (rounds > 1 || (m->n_axes > 1 && first / 64 == (end - 1) / 64)) {
		lower_rounds(m, &run, first, end, rounds);
		return true;
	}
	lower_stretch(m, &run, first, end);
	for (uint32_t k = first; k < end; k++) /* whose packets come by without all words */
		if (!m->r[k]->final)
			memset(m->joint + first / 64 + 1, 0,
			       sizeof(m->joint) - (first / 64 + 1) * sizeof(*m->joint));
	return true;
}
