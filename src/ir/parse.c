// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads IR text: the functions. Values may be used above their line (loops, phis), so operands are
 * bound when the function ends. Numbers of values and blocks are kept as written. The first error
 * ends the reading.
 */
#include "ir/irtext.h"

struct fn_reader {
	struct ir_reader *r;
	struct ir_fn *fn;
	struct ir_block *blk;
	const struct rule *rule;
	uint32_t max_id;	     /* greatest value number written + 1 */
	VEC(struct ir_ins *) values; /* by number */
	VEC(struct ir_block *) blocks;
	/* Operands to bind: instruction's slot, number, place. */
	VEC(struct use {
		struct ir_ins **slot;
		uint32_t id;
		struct loc loc;
	})
	uses;
	/* Blocks that phis name, in the order of their operands. */
	VEC(struct phi_pred {
		struct ir_ins *phi;
		uint32_t k;
		struct ir_block *from;
		struct loc loc;
	})
	phi_preds;
};

#define MAX_NUMBER 50000000u

static struct ir_block *block_of(struct fn_reader *f, uint64_t id)
{
	struct arena *a = f->r->arena;
	struct ir_block **b;

	if (id >= MAX_NUMBER) {
		rd_error(f->r, "block number is too great");
		id = 0;
	}
	while (f->blocks.n <= id)
		*vec_push(a, &f->blocks) = NULL;
	b = &f->blocks.v[id];
	if (!*b) {
		*b = arena_new_of(a, struct ir_block);
		(*b)->id = (uint32_t)id;
		(*b)->fn = f->fn;
	}
	return *b;
}

static struct ir_block *rd_block(struct fn_reader *f)
{
	struct ir_block *b;

	if (f->r->tok != TK_BLOCK) {
		rd_error(f->r, "block (@number) expected");
		return block_of(f, 0);
	}
	b = block_of(f, f->r->num);
	rd_next(f->r);
	return b;
}

static void rd_operand(struct fn_reader *f, struct ir_ins **slot)
{
	struct ir_reader *r = f->r;

	if (r->tok == TK_VALUE) {
		struct use *u = vec_push(r->arena, &f->uses);

		if (r->num >= MAX_NUMBER)
			rd_error(r, "value number is too great");
		*u = (struct use){ slot, (uint32_t)r->num, r->loc };
		rd_next(r);
	} else if (r->tok == TK_NUM && !r->plus) {
		enum ir_type t = r->suffix == 'b' ? IR_B : r->suffix == 'l' ? IR_L : IR_W;

		if (r->num & ~ir_type_mask(t))
			rd_error(r, "constant does not fit its type");
		*slot = ir_fn_const(f->fn, t, r->num);
		rd_next(r);
	} else {
		rd_error(r, "operand (%%number or constant) expected");
	}
}

static bool operand_ahead(const struct ir_reader *r)
{
	return r->tok == TK_VALUE || r->tok == TK_BLOCK || (r->tok == TK_NUM && !r->plus);
}

/* Operands of all ops; they are read into a vector first, as their number is not known before. */
struct operand {
	struct ir_ins *constant;
	uint32_t id;
	struct ir_block *from;
	struct loc loc;
};

static struct ir_ins *rd_operands(struct fn_reader *f, enum ir_op op, enum ir_type t)
{
	struct ir_reader *r = f->r;
	VEC(struct operand) list = { 0 };
	struct ir_ins *i;
	uint32_t n_uses = f->uses.n;

	while (operand_ahead(r) && !r->failed) {
		struct operand *o;
		struct ir_ins *slot = NULL;

		if (r->tok == TK_BLOCK && op != IR_PHI)
			break;
		o = vec_push(r->arena, &list);
		memset(o, 0, sizeof(*o));
		o->loc = r->loc;
		if (op == IR_PHI)
			o->from = rd_block(f);
		rd_operand(f, &slot);
		o->constant = slot;
		if (!slot && f->uses.n > n_uses) {
			o->id = f->uses.v[f->uses.n - 1].id;
			f->uses.n = n_uses;
		}
		if (!rd_take_punct(r, ','))
			break;
	}
	i = ir_ins_new(f->fn, op, t, list.n);
	i->rule = f->rule;
	for (uint32_t k = 0; k < list.n; k++) {
		struct operand *o = &list.v[k];

		i->args[k] = o->constant;
		if (!o->constant)
			*vec_push(r->arena, &f->uses) = (struct use){ &i->args[k], o->id, o->loc };
		if (o->from)
			*vec_push(r->arena, &f->phi_preds) = (struct phi_pred){ i, k, o->from,
										o->loc };
	}
	return i;
}

static uint32_t rd_aux(struct fn_reader *f, enum ir_aux_kind k)
{
	static const char *const word[] = {
		[AK_SET] = "set",    [AK_STATE] = "state", [AK_DYNSET] = "dynset",
		[AK_TABLE] = "data", [AK_RT] = "rt",	   [AK_FN] = "fn"
	};
	struct ir_reader *r = f->r;
	uint32_t n = 0;

	if (k != AK_FIELD) {
		rd_numbered(r, word[k], &n);
		return n;
	}
	for (n = 0; n < FLD_COUNT; n++)
		if (rd_take(r, ir_field_info[n].name))
			return n;
	rd_error(r, "no field has this name");
	return 0;
}

/* Phis name their operands themselves, so an edge adds none. */
static void rd_edge(struct fn_reader *f)
{
	struct ir_block *to = rd_block(f);

	*vec_push(f->r->arena, &f->blk->succs) = to;
	*vec_push(f->r->arena, &to->preds) = f->blk;
}

static void rd_switch_targets(struct fn_reader *f)
{
	struct ir_reader *r = f->r;

	if (!rd_want_punct(r, '['))
		return;
	while (!r->failed && !rd_take_punct(r, ']')) {
		*vec_push(r->arena, &f->blk->cases) = (int64_t)rd_num(r, UINT32_MAX);
		rd_want_punct(r, ':');
		rd_edge(f);
		rd_take_punct(r, ',');
	}
	rd_want_punct(r, ',');
	rd_edge(f);
}

static void rd_targets(struct fn_reader *f, struct ir_ins *i)
{
	struct ir_reader *r = f->r;

	if (i->op == IR_SWITCH) {
		rd_switch_targets(f);
		return;
	}
	do
		rd_edge(f);
	while (rd_take_punct(r, ','));
	if (i->op == IR_BR && rd_take(r, "likely"))
		i->imm = 1;
	else if (i->op == IR_BR && rd_take(r, "unlikely"))
		i->imm = 2;
}

/* The op's word, "add.l", into op and type. */
static bool rd_op(struct fn_reader *f, enum ir_op *op, enum ir_type *t)
{
	struct ir_reader *r = f->r;
	const char *dot, *types = "vbwl";

	if (r->tok != TK_WORD) {
		rd_error(r, "operation expected");
		return false;
	}
	dot = strchr(r->text, '.');
	for (uint32_t o = 0; o < IR_OP_COUNT; o++) {
		const struct ir_op_info *info = &ir_op_info[o];
		size_t n = strlen(info->name);

		if (o == IR_CONST || strncmp(r->text, info->name, n) ||
		    (r->text[n] && r->text + n != dot))
			continue;
		*op = (enum ir_op)o;
		*t = info->res;
		if (info->res == IR_T) {
			const char *l = dot && dot[1] && !dot[2] ? strchr(types + 1, dot[1]) : NULL;

			if (!l) {
				rd_error(r, "%s needs a type: .b, .w or .l", info->name);
				return false;
			}
			*t = (enum ir_type)(l - types);
		} else if (dot) {
			rd_error(r, "%s takes no type", info->name);
			return false;
		}
		rd_next(r);
		return true;
	}
	rd_error(r, "there is no operation '%s'", r->text);
	return false;
}

static void define(struct fn_reader *f, struct ir_ins *i, uint32_t id)
{
	while (f->values.n <= id)
		*vec_push(f->r->arena, &f->values) = NULL;
	if (f->values.v[id])
		rd_error(f->r, "%%%u is defined twice", id);
	f->values.v[id] = i;
	f->max_id = MAX(f->max_id, id + 1);
}

static void rd_ins(struct fn_reader *f)
{
	struct ir_reader *r = f->r;
	struct loc loc = r->loc;
	bool named = r->tok == TK_VALUE;
	uint64_t id = r->num;
	enum ir_op op;
	enum ir_type t;
	const struct ir_op_info *info;
	struct ir_ins *i;
	uint32_t aux = 0;

	if (named) {
		rd_next(r);
		if (!rd_want_punct(r, '=') || id >= MAX_NUMBER)
			return;
	}
	if (!rd_op(f, &op, &t))
		return;
	info = &ir_op_info[op];
	if (info->flags & AUX)
		aux = rd_aux(f, IR_AUX_KIND(info->flags));
	i = rd_operands(f, op, t);
	i->aux = aux;
	if (named != (t != IR_V)) {
		r->loc = loc;
		rd_error(r, "%s %s a value", info->name, named ? "does not yield" : "yields");
		return;
	}
	if (named)
		define(f, i, (uint32_t)id);
	if (info->flags & IMM && r->tok == TK_NUM && r->plus)
		i->imm = rd_signed(r);
	if (info->flags & SIZE) {
		if (!rd_take(r, "size"))
			rd_error(r, "'size' expected");
		i->size = (uint8_t)rd_num(r, 8);
	}
	if (!f->blk || (f->blk->last && ir_op_info[f->blk->last->op].flags & TERM)) {
		r->loc = loc;
		rd_error(r, "instruction outside of a block");
		return;
	}
	ir_append(f->blk, i);
	if (info->flags & TERM && !ir_is_last(op))
		rd_targets(f, i);
}

/* The numbers as written for those that have one; behind them, whatever is left. */
static void renumber(struct fn_reader *f)
{
	struct ir_fn *fn = f->fn;
	uint32_t next = f->max_id;

	for (uint32_t s = 0; s < fn->cap_consts; s++)
		if (fn->consts[s])
			fn->consts[s]->id = next++;
	vec_foreach(&fn->blocks, b)
		for (struct ir_ins *i = (*b)->first; i; i = i->next)
			if (i->type == IR_V)
				i->id = next++;
	for (uint32_t id = 0; id < f->values.n; id++)
		if (f->values.v[id])
			f->values.v[id]->id = id;
	fn->n_ins = next;
	fn->n_blocks = f->blocks.n;
}

static bool same_preds(const struct ir_block *b, struct ir_block *const *order, uint32_t n)
{
	uint32_t hits = 0;

	if (n != b->preds.n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t here = 0, there = 0;

		for (uint32_t k = 0; k < n; k++) {
			here += b->preds.v[k] == order[i];
			there += order[k] == order[i];
		}
		hits += here == there;
	}
	return hits == n;
}

/* A block's predecessors take the order that its first phi names; the others must name the same. */
static void bind_phis(struct fn_reader *f)
{
	for (uint32_t s = 0, e; s < f->phi_preds.n && !f->r->failed; s = e) {
		struct ir_ins *phi = f->phi_preds.v[s].phi;
		struct ir_block *b = phi->blk;
		bool first = phi == b->first;
		VEC(struct ir_block *) order = { 0 };

		f->r->loc = f->phi_preds.v[s].loc;
		for (e = s; e < f->phi_preds.n && f->phi_preds.v[e].phi == phi; e++)
			*vec_push(f->r->arena, &order) = f->phi_preds.v[e].from;
		if (first && !same_preds(b, order.v, order.n))
			rd_error(f->r, "phi names other blocks than the %u predecessors of @%u",
				 b->preds.n, b->id);
		else if (first)
			memcpy(b->preds.v, order.v, order.n * sizeof(*order.v));
		else if (order.n != b->preds.n ||
			 memcmp(b->preds.v, order.v, order.n * sizeof(*order.v)))
			rd_error(f->r, "phis of @%u differ in the order of their blocks", b->id);
	}
}

static void finish_fn(struct fn_reader *f)
{
	struct ir_reader *r = f->r;

	vec_foreach(&f->blocks, b)
		if (*b && !(*b)->first)
			rd_error(r, "function %s: @%u is empty or missing", f->fn->name, (*b)->id);
	if (!f->fn->blocks.n)
		rd_error(r, "function %s has no block", f->fn->name);
	vec_foreach(&f->uses, u) {
		if (u->id < f->values.n && f->values.v[u->id]) {
			*u->slot = f->values.v[u->id];
			continue;
		}
		r->loc = u->loc;
		rd_error(r, "%%%u is not defined", u->id);
		return;
	}
	if (r->failed)
		return;
	renumber(f);
	bind_phis(f);
}

static void rd_rule_mark(struct fn_reader *f)
{
	struct ir_reader *r = f->r;

	f->rule = NULL;
	if (rd_take_punct(r, '-'))
		return;
	if (r->tok == TK_NUM && r->num < r->rules.n)
		f->rule = r->rules.v[r->num];
	else if (r->tok == TK_NUM &&
		 r->rules.n) /* a function alone, printed without its module: no rules */
		rd_error(r, "there are only %u rules above", r->rules.n);
	rd_num(r, UINT32_MAX);
}

static void rd_label(struct fn_reader *f)
{
	struct ir_reader *r = f->r;

	f->blk = rd_block(f);
	if (f->blk->first || (f->fn->blocks.n && f->fn->blocks.v[f->fn->blocks.n - 1] == f->blk))
		rd_error(r, "@%u stands here twice", f->blk->id);
	rd_want_punct(r, ':');
	f->blk->cold = rd_take(r, "cold");
	f->blk->rpo = f->fn->blocks.n;
	ir_cfg_changed(f->fn);
	*vec_push(r->arena, &f->fn->blocks) = f->blk;
}

static void rd_fn_head(struct ir_reader *r, struct ir_fn *fn)
{
	while (r->tok == TK_WORD && !r->failed) {
		if (rd_take(r, "pf")) {
			fn->pf = (uint8_t)rd_num(r, 10);
		} else if (rd_take(r, "hook")) {
			fn->hook = (enum hooknum)rd_num(r, HOOK_INGRESS);
		} else if (rd_take(r, "prio")) {
			fn->prio = (int32_t)rd_signed(r);
		} else if (rd_take(r, "chain")) {
			uint64_t n = rd_num(r, UINT32_MAX);

			if (n < r->chains.n)
				fn->chain = r->chains.v[n];
			else
				rd_error(r, "there are only %u chains above", r->chains.n);
		} else {
			rd_error(r, "unknown word here");
		}
	}
}

static void rd_fn(struct ir_reader *r)
{
	struct fn_reader f = { .r = r };
	enum ir_fn_kind kind;

	if (r->tok == TK_NUM && r->num != r->mod->fns.n)
		rd_error(r, "number %u expected: functions stand in order", r->mod->fns.n);
	rd_num(r, UINT32_MAX);
	kind = rd_is(r, "chain") ? IR_FN_CHAIN : rd_is(r, "next") ? IR_FN_NEXT : IR_FN_PROG;
	if (!rd_take(r, "program") && !rd_take(r, "chain") && !rd_take(r, "next"))
		rd_error(r, "'program', 'chain' or 'next' expected");
	f.fn = ir_fn_new(r->mod, kind, rd_str(r));
	rd_fn_head(r, f.fn);
	rd_want_punct(r, '{');
	rd_want_nl(r);
	while (!r->failed && !rd_take_punct(r, '}')) {
		if (r->tok == TK_BLOCK)
			rd_label(&f);
		else if (rd_take(r, "rule"))
			rd_rule_mark(&f);
		else if (r->tok == TK_EOF)
			rd_error(r, "'}' expected");
		else if (r->tok != TK_NL)
			rd_ins(&f);
		if (!r->failed)
			rd_want_nl(r);
	}
	if (!r->failed)
		finish_fn(&f);
}

struct ir_mod *ir_parse(struct arena *a, struct diag *d, const char *path, const char *text,
			size_t len)
{
	struct ir_reader r = { .arena = a, .diag = d, .p = text, .end = text + len };
	const char *words;

	r.file = diag_add_source(d, path, text, len, (struct loc){ 0 });
	r.line = 1;
	r.line_start = text;
	r.mod = ir_mod_new(a, d);
	r.tok = TK_PUNCT;
	rd_next(&r);
	while (!r.failed && r.tok != TK_EOF) {
		if (rd_take(&r, "function"))
			rd_fn(&r);
		else if (r.tok != TK_NL && !rd_mod_item(&r))
			rd_error(&r, "'function', 'set', 'state' or other item expected");
		if (!r.failed)
			rd_want_nl(&r);
	}
	if (r.failed)
		return NULL;
	words = ir_verify(r.mod);
	if (words) {
		diag_error(d, (struct loc){ .file = SRC_NONE, .name = path }, "%s", words);
		return NULL;
	}
	return r.mod;
}
