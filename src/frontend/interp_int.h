/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the interpreter share. */
#ifndef N2B_INTERP_INT_H
#define N2B_INTERP_INT_H

#include "interp.h"

struct ichain;

/* An expression ready to run: where its state, its set and its statements' states are. */
struct icode {
	const struct expr *e;
	struct interp_state *st; /* counter, limit, quota, numgen, last; objref: the object's */
	struct iset *set;	 /* lookup, dynset, objref map */
	struct ichain *target;	 /* immediate jump, goto */
};

struct irule {
	const struct rule *r;
	struct icode *code;
	uint32_t n;
};

struct ichain {
	const struct chain *c;
	struct irule *rules;
	uint32_t n;
};

struct ielem {
	struct interp_elem pub;
	struct ichain *target;	     /* of a verdict that jumps */
	struct interp_state *obj_st; /* of the object it names */
	struct ielem *next;	     /* in its hash bucket */
	bool dead;
};

/*
 * A set at work. Ranges of one field are sorted and disjoint; ranges of several fields are tried in
 * order, as the kernel takes the first that was inserted; all else is hashed by key.
 */
enum iset_form { ISET_HASH, ISET_SORTED, ISET_LIST };
struct iset {
	const struct set *s;
	enum iset_form form;
	struct ielem **v; /* sorted, list */
	uint32_t n;
	struct ielem **bucket; /* hash */
	uint32_t n_buckets, live;
	struct ielem *catchall;
	struct ielem *spare; /* of deleted elements, for the next */
};

struct interp {
	struct arena *arena;
	const struct ruleset *rs;
	struct strmap sets, chains, states, objs; /* by the bytes of the ruleset's pointer */
};

#define PKT_NO_L4 UINT32_MAX

/* One run of a base chain. */
struct irun {
	struct interp *in;
	const struct pkt *p;
	struct interp_result *r;
	uint32_t reg[REG_WORDS];
	enum verdict_code verdict;
	struct ichain *target;		/* V_JUMP, V_GOTO */
	const struct expr *unsupported; /* set: the run is over */
	bool l4;			/* the transport protocol is known */
	uint8_t tprot;
	uint16_t fragoff; /* not 0: a later fragment */
	uint32_t thoff;
	struct pkt_ct ct; /* kind, info and mark change with notrack and ct mark set */
	bool ended;	  /* verdict ACCEPT, DROP or QUEUE stands in r */
};

static inline uint8_t *reg_bytes(struct irun *x, uint8_t r)
{
	return (uint8_t *)&x->reg[REG_WORD(r)];
}

static inline void reg_u32(struct irun *x, uint8_t r, uint32_t v)
{
	x->reg[REG_WORD(r)] = v;
}

static inline void reg_u8(struct irun *x, uint8_t r, uint8_t v)
{
	uint32_t w = 0;

	memcpy(&w, &v, 1);
	reg_u32(x, r, w);
}

static inline void reg_u16(struct irun *x, uint8_t r, uint16_t v)
{
	uint32_t w = 0;

	memcpy(&w, &v, 2);
	reg_u32(x, r, w);
}

static inline void reg_u64(struct irun *x, uint8_t r, uint64_t v)
{
	memcpy(reg_bytes(x, r), &v, 8);
}

/* len bytes, the rest of the last word zero */
static inline void reg_copy(struct irun *x, uint8_t r, const void *src, unsigned int len)
{
	if (len % 4)
		x->reg[REG_WORD(r) + len / 4] = 0;
	memcpy(reg_bytes(x, r), src, len);
}

static inline void run_break(struct irun *x)
{
	x->verdict = V_BREAK;
}

/* interphdr.c: the packet's headers and what is loaded from them; interppkt.c: from beside it. */
uint16_t ipkt_protocol(const struct pkt *p); /* ethertype */
bool ipkt_start(struct irun *x);	     /* false: no packet of its family */
void ipkt_payload(struct irun *x, const struct expr *e);
void ipkt_inner(struct irun *x, const struct expr *e);
void ipkt_need(struct irun *x, const struct expr *e);
void ipkt_exthdr(struct irun *x, const struct expr *e);
void ipkt_meta(struct irun *x, const struct expr *e);
void ipkt_socket(struct irun *x, const struct expr *e);
void ipkt_ct(struct irun *x, const struct expr *e);

/* interpset.c */
struct iset *iset_new(struct interp *in, const struct set *s);
struct ielem *iset_find(struct iset *s, const uint8_t *key, uint64_t now); /* catch-all included */
void iset_dynset(struct irun *x, const struct icode *c);
void istate_init(struct interp_state *st, const struct expr *e);

/* interp.c */
struct ichain *interp_chain(struct interp *in, const struct chain *c);
struct interp_state *interp_obj_state(struct interp *in, const struct obj *o);
/* Runs a statement that keeps state. */
void interp_stateful(struct irun *x, const struct expr *e, struct interp_state *st);
static inline void unsupported(struct irun *x, const struct expr *e)
{
	x->unsupported = e;
	x->verdict = V_DROP;
}

#endif
