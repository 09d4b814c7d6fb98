// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * depth: how much stack a program needs, with the functions that it calls.
 *
 * The kernel adds up the frames over each way of calls and refuses more than 512 bytes, and more
 * than 8 frames. A frame is as deep as the deepest access by r10, and counts for at least 32 bytes
 * and a multiple of that (from Linux 6.9 on of 16). A callback is a call. What is looked at here is
 * what the kernel will see: the instructions, those of the runtime as clang compiled them.
 */
#include "codegen/objint.h"

#define FRAME_UNIT 32
#define R10	   BPF_REG_10

uint32_t obj_stack_max = 512;

/* Where each register points to in the frame: bytes below r10, or that it does not. */
struct fp_regs {
	bool is_fp[11];
	int32_t off[11];
};

static bool writes_dst(const struct bpf_insn *in)
{
	uint8_t cls = BPF_CLASS(in->code);

	return cls == BPF_LD || cls == BPF_LDX || cls == BPF_ALU || cls == BPF_ALU64;
}

/* The lowest byte of the frame that the instruction names, as a depth; 0: none. */
static uint32_t insn_depth(struct fp_regs *f, const struct bpf_insn *in)
{
	uint8_t cls = BPF_CLASS(in->code), d = in->dst_reg, base = cls == BPF_LDX ? in->src_reg : d;
	int32_t at = 0;

	if ((cls == BPF_LDX || cls == BPF_ST || cls == BPF_STX) && f->is_fp[base])
		at = f->off[base] + in->off;
	if (in->code == (BPF_ALU64 | BPF_MOV | BPF_X) && f->is_fp[in->src_reg]) {
		f->is_fp[d] = true;
		f->off[d] = f->off[in->src_reg];
	} else if (in->code == (BPF_ALU64 | BPF_ADD | BPF_K) && f->is_fp[d]) {
		f->off[d] += in->imm;
		at = f->off[d];
	} else if (writes_dst(in) && d != R10) {
		f->is_fp[d] = false;
	} else if (in->code == (BPF_JMP | BPF_CALL)) {
		memset(f->is_fp, 0, 6 * sizeof(*f->is_fp));
	}
	return at < 0 ? (uint32_t)-at : 0;
}

uint32_t obj_frame(const struct bpf_insn *in, uint32_t n)
{
	struct fp_regs f = { .is_fp[R10] = true };
	uint32_t most = 0;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t d = insn_depth(&f, &in[k]);

		most = MAX(most, d);
	}
	return most;
}

void obj_frame_rules(const struct obj_fn *fn, uint32_t depth, struct arena *a,
		     struct obj_rules *out)
{
	struct fp_regs f = { .is_fp[R10] = true };

	for (uint32_t k = 0, l = 0; k < fn->insns.n; k++) {
		const struct rule *r;

		while (l + 1 < fn->lines.n && fn->lines.v[l + 1].insn <= k)
			l++;
		if (insn_depth(&f, &fn->insns.v[k]) <= depth || l >= fn->lines.n)
			continue;
		r = fn->lines.v[l].rule;
		if (r && (!out->n || out->v[out->n - 1] != r))
			*vec_push(a, out) = r;
	}
}

/* -- ways of calls ----------------------------------------------------------------------------- */

/* A function of the object, or behind those one of the runtime. */
struct node {
	bool known;
	uint32_t frame;		    /* as it counts */
	uint32_t bytes, frames;	    /* with what it calls */
	uint32_t next, next_frames; /* the callee that needs most; + 1 */
};

struct depth {
	struct ow w;
	struct node *nodes;
};

static void visit(struct depth *d, uint32_t n);

static void calls(struct depth *d, uint32_t from, uint32_t to)
{
	struct node *x = &d->nodes[from];

	visit(d, to);
	if (d->nodes[to].bytes > x->bytes) {
		x->bytes = d->nodes[to].bytes;
		x->next = to + 1;
	}
	if (d->nodes[to].frames > x->frames) {
		x->frames = d->nodes[to].frames;
		x->next_frames = to + 1;
	}
}

static void visit_fn(struct depth *d, uint32_t n)
{
	const struct obj_fn *fn = d->w.o->fns.v[n];

	vec_foreach(&fn->relocs, r) {
		if (r->kind == OBJ_REL_CALL)
			calls(d, n, r->id);
		if (r->kind == OBJ_REL_RT)
			calls(d, n,
			      d->w.o->fns.n + (uint32_t)(ow_rt_fn(&d->w, r->name) - d->w.rt_fns.v));
	}
	d->nodes[n].frame = obj_frame(fn->insns.v, fn->insns.n);
}

static void visit_rt(struct depth *d, uint32_t n)
{
	const struct ow_rt_fn f = d->w.rt_fns.v[n - d->w.o->fns.n];

	for (uint32_t off = f.src_off; off < f.src_off + f.size; off += 8) {
		struct ow_ref r = ow_rt_ref(&d->w, f.obj, off);

		if (r.kind == OW_REF_FN || r.kind == OW_REF_ADDR)
			calls(d, n, d->w.o->fns.n + (uint32_t)ow_rt_find(&d->w, r.obj, r.off));
	}
	d->nodes[n].frame = obj_frame(ow_rt_insns(&d->w, &f), f.size / 8);
}

/* No function calls itself. */
static void visit(struct depth *d, uint32_t n)
{
	struct node *x = &d->nodes[n];

	if (x->known)
		return;
	if (n < d->w.o->fns.n)
		visit_fn(d, n);
	else
		visit_rt(d, n);
	x->frame = ALIGN_UP(MAX(x->frame, 1u), FRAME_UNIT);
	x->bytes += x->frame;
	x->frames++;
	x->known = true;
}

static void add_over(struct depth *d, struct obj_overs *out, uint32_t n)
{
	struct obj_over *o = vec_push(d->w.a, out);
	bool frames = d->nodes[n].bytes <= obj_stack_max;

	*o = (struct obj_over){ .bytes = d->nodes[n].bytes, .frames = d->nodes[n].frames };
	for (uint32_t k = n + 1; k && k - 1 < d->w.o->fns.n;
	     k = frames ? d->nodes[k - 1].next_frames : d->nodes[k - 1].next)
		*vec_push(d->w.a, &o->way) = k - 1;
}

struct obj_overs obj_stack(struct obj_file *o)
{
	struct depth d = { .w = { .o = o, .a = o->arena } };
	struct obj_overs out = { 0 };

	d.w.rt = arena_array(o->arena, struct ow_rt_obj *, n_rt_objs);
	ow_rt_collect(&d.w);
	d.nodes = arena_array(o->arena, struct node, o->fns.n + d.w.rt_fns.n);
	for (uint32_t n = 0; n < o->fns.n; n++) {
		if (!o->fns.v[n]->is_prog)
			continue;
		visit(&d, n);
		if (d.nodes[n].bytes > obj_stack_max || d.nodes[n].frames > OBJ_FRAMES_MAX)
			add_over(&d, &out, n);
	}
	ow_rt_close(&d.w);
	return out;
}
