/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sema: from the syntax tree to kernel expressions. Typed expressions (struct tx) and statements
 * (struct ts) live for one rule or set; what remains is in the ruleset.
 *
 * loads.c    expressions that load from the packet and its surroundings
 * eval.c     operators, comparisons, byte order
 * value.c    constants, ranges, concatenations
 * depend.c   the protocol context of a rule, and the matches that a header field implies
 * elems.c    sets and their elements in bytes, in order, without conflicts
 * elemlist.c elements as written; setdecl.c: declarations
 * stmt.c     statements; nat.c, dynset.c: those with much to them
 * lower.c    typed statements to expressions on registers
 * apply.c    the commands of a script, in order; chains.c: chains and their rules
 * jumps.c, hooks.c  what is checked when all is there
 * near.c     names that may have been meant
 *
 * Functions that can fail return NULL or false after diag_error().
 */
#ifndef N2B_SEMA_H
#define N2B_SEMA_H

#include "frontend.h"
#include "proto.h"
#include "types.h"

/* Beyond so many errors (ten of them are printed) nothing more is read. */
#define ERRORS_COUNTED 1000

enum tx_kind {
	TX_VALUE,  /* val */
	TX_PREFIX, /* val / plen; bits beyond are 0 */
	TX_RANGE,  /* val - hi */
	TX_CATCHALL,
	TX_CONCAT,
	TX_ELEMS,  /* { } of a comparison or map before it is a set */
	TX_SETREF, /* set */
	TX_MAP,
	TX_VERDICT,
	TX_OBJ, /* object name, in text */
	TX_BINOP,
	TX_SWAP, /* byte order conversion of swap.arg; the node's order is the result's */
	TX_REL,
	TX_PAYLOAD,
	TX_EXTHDR,
	TX_META,
	TX_CT,
	TX_RT,
	TX_SOCKET,
	TX_OSF,
	TX_FIB,
	TX_XFRM,
	TX_TUNNEL,
	TX_NUMGEN,
	TX_HASH,
};

struct seen {
	uint32_t hash;
	uint32_t at; /* index of the element + 1; 0: free */
};

/* A set with the types that its declaration gave it. */
struct sset {
	struct set set; /* first: a struct set * of the ruleset is one of these */
	const struct dtype *key, *data;
	enum byte_order key_order, data_order;
	struct tx *key_tx; /* concatenations: the fields; else NULL */
	struct tx *data_tx;
	uint32_t key_bits, data_bits; /* data: of one value, not of an interval */
	bool data_interval;
	bool dirty;	   /* elements came since they were last put in order */
	struct seen *seen; /* elements of a set without intervals, by the hash of their key */
	uint32_t seen_cap; /* a power of two */
};

struct telem {
	struct tx *key, *data;
	const struct ast_elem_opts *opts;
	struct loc loc;
};
struct telems {
	VEC(struct telem) v;
	uint32_t flags; /* SET_INTERVAL, SET_CONCAT */
};

struct tx {
	u128 val, hi;
	struct loc loc;
	enum tx_kind kind;
	enum byte_order order;
	const struct dtype *type;
	uint32_t len;	     /* bits */
	uint32_t plen;	     /* TX_PREFIX: bits */
	uint32_t field_bits; /* TX_BINOP that gets a field out of its bytes: of the field; else 0 */
	bool constant;	     /* can stand on the right */
	bool key;	     /* loads what chooses the next protocol */
	bool seen;	     /* dependencies are met */
	union {
		struct {
			struct tx **v;
			uint32_t n;
		} concat;
		struct telems *elems;
		struct sset *set;
		struct {
			struct tx *key;
			struct sset *set;
			struct telems *elems;
		} map;
		struct {
			enum ast_verdict_code code;
			struct chain *chain;
		} verdict;
		const char *text;
		struct {
			enum ast_binop op;
			struct tx *l, *r;
		} bin;
		struct {
			struct tx *arg;
		} swap;
		struct {
			enum ast_rel op;
			struct tx *l, *r;
		} rel;
		struct {
			const struct proto *proto, *inner;
			const struct field *field;
			enum proto_base base;
			uint32_t off; /* bits */
			bool raw;
		} pay;
		struct {
			enum exthdr_op op;
			uint8_t kind;
			uint32_t off, flags;
		} ext;
		struct {
			uint32_t key, level;
			int8_t dir;
			const struct proto *inner;
		} load; /* META, CT, RT, SOCKET, TUNNEL */
		struct {
			uint32_t ttl, flags;
		} osf;
		struct {
			uint32_t result, flags;
		} fib;
		struct {
			uint32_t key, spnum;
			bool out;
		} xfrm;
		const struct ast_numgen *numgen;
		struct {
			const struct ast_hash *ast;
			struct tx *arg;
		} hash;
	};
};

enum ts_kind {
	TS_REL,
	TS_VERDICT,
	TS_EXPR,
	TS_SET,
	TS_NAT,
	TS_TPROXY,
	TS_DUP,
	TS_QUEUE,
	TS_OBJREF,
	TS_DYNSET,
	TS_RESET
};
struct ts {
	enum ts_kind kind;
	struct loc loc;
	bool gone;	 /* merged or found redundant */
	struct tx *expr; /* REL, VERDICT (TX_VERDICT or TX_MAP), SET: target; RESET */
	/*
	 * SET: value; NAT, TPROXY: address, port; DUP: to, dev; QUEUE: number; OBJREF, DYNSET: key,
	 * data
	 */
	struct tx *a, *b;
	struct expr *ready; /* EXPR: as it stands; others: filled but for the registers */
	const struct ast_elem_opts *opts;
	bool concat; /* NAT: address holds address . port */
};

#define LL_STACK_MAX 16
struct pctx { /* what is known of the packet's headers at this place of the rule */
	enum family family;
	const struct proto *proto[PBASE_COUNT];
	const struct proto *ll[LL_STACK_MAX]; /* link layers below the present one */
	uint32_t n_ll;
	const struct proto *trans[LL_STACK_MAX]; /* all transports that were matched */
	uint32_t n_trans;
	uint32_t icmp_type; /* + 1; 0: unknown */
	bool ll_typed;	    /* the link layer's own type field was compared with a value */
};

struct ectx { /* what is expected of a value at this place */
	const struct dtype *type;
	enum byte_order order;
	uint32_t len; /* bits */
	uint64_t maxval;
	const struct tx *key; /* concatenation whose fields say more than the type */
};

struct tabinfo {
	struct table *table;
	struct strmap chains, sets, objs;
	uint32_t n_anon_sets, n_anon_maps, n_anon_objmaps, n_anon_chains;
	struct tabinfo *next;
};

struct sema {
	struct arena *arena; /* of the ruleset */
	struct arena
		*tmp; /* typed expressions and statements: emptied between rules, see tmp_reset() */
	/* who reads it: rules (those of `jump { }` within others), lists of elements */
	uint32_t tmp_users;
	struct diag *diag;
	struct ruleset *rs;
	struct lookups look;
	struct tabinfo *tabs;
	/* of the rule at hand: */
	struct tabinfo *tab;
	struct chain *chain;
	struct pctx pctx, ipctx; /* of the packet, of the packet inside it */
	const struct proto *inner;
	struct ectx ctx;
	uint32_t stmt_len; /* bits that a `set` statement's value has */
	VEC(struct ts *) out;
	bool is_typeof;	   /* only the type of an expression is asked */
	uint32_t in_elems; /* lists of elements around the expression */
	uint32_t depth;
	const struct ast_script *script;
};

/* Forgets all typed expressions and statements, unless somebody reads them. */
void tmp_reset(struct sema *s);

/* -- value.c */
struct tx *tx_new(struct sema *s, enum tx_kind k, struct loc loc);
static inline bool is_generator(const struct tx *t)
{
	return t->kind == TX_NUMGEN || t->kind == TX_HASH;
}
struct tx *tx_value(struct sema *s, struct loc loc, const struct dtype *t, enum byte_order o,
		    uint32_t bits, u128 v);
void ctx_set(struct sema *s, const struct dtype *t, enum byte_order o, uint32_t bits,
	     uint64_t maxval);
struct tx *ev_symbol(struct sema *s, struct ast_expr *e);
struct tx *ev_prefix(struct sema *s, struct ast_expr *e);
struct tx *ev_range(struct sema *s, struct ast_expr *e, bool may_wrap);
struct tx *ev_concat(struct sema *s, struct ast_expr *e);
struct tx *ev_list(struct sema *s, struct ast_expr *e);
bool is_singleton(const struct tx *t);
struct tx *prefix_to_range(struct sema *s, struct tx *t);

/* -- eval.c */
struct tx *ev(struct sema *s, struct ast_expr *e);
struct tx *ev_rel(struct sema *s, struct ast_expr *e);
/* Converts to the byte order where that needs doing; *t is replaced. */
bool to_order(struct sema *s, struct tx **t, enum byte_order o);
struct tx *tx_bin(struct sema *s, struct loc loc, enum ast_binop op, struct tx *l, struct tx *r);
bool transfer(struct sema *s, struct tx **left, struct tx *right);
struct tx *ev_typeof(struct sema *s, struct ast_expr *e);
struct tx *tx_key(struct sema *s, struct loc loc, enum tx_kind k, const char *name);
bool bits_adjust(struct sema *s, struct tx **t);
uint32_t bit_shift(uint32_t off, uint32_t len, uint32_t *extra);

/* -- depend.c */
void pctx_init(struct pctx *p, enum family f);
struct pctx *pctx_now(struct sema *s);
void pctx_learn(struct sema *s, const struct tx *left, const struct tx *right);
bool payload_deps(struct sema *s, struct tx *p);
bool payload_need(struct sema *s, struct loc loc, const struct proto *p, bool at_head);
bool exthdr_deps(struct sema *s, struct tx *t);
bool ct_deps(struct sema *s, struct tx *t);
bool inner_deps(struct sema *s, struct loc loc, const struct proto *tun, const struct proto *hdr);
struct tx *tx_payload(struct sema *s, struct loc loc, const struct proto *p, const struct field *f);
struct ts *ts_emit(struct sema *s, enum ts_kind k, struct loc loc);
void emit_dep(struct sema *s, struct tx *rel, bool at_head);

/* -- elems.c */
struct tx *ev_elems(struct sema *s, struct ast_expr *e, bool want_data);
struct sset *anon_set(struct sema *s, struct loc loc, const char *base, struct tx *key,
		      uint32_t flags);
bool set_fill(struct sema *s, struct sset *set, struct telems *el);
bool set_delete(struct sema *s, struct sset *set, struct telems *el, bool may_miss);
bool sets_finish(struct sema *s);
struct tx *ev_map(struct sema *s, struct ast_expr *e, bool objects, uint32_t obj_type);
struct sset *find_set(struct sema *s, struct loc loc, const char *name);
bool declare_set(struct sema *s, struct ast_set *a);
bool fill_declared(struct sema *s, struct ast_set *a);
enum fill { FILL_ADD, FILL_DELETE, FILL_DESTROY };
bool fill_set(struct sema *s, struct sset *set, struct ast_expr *e, enum fill how);
struct sset *sset_new(struct sema *s, struct tabinfo *t, const char *name, struct loc loc);

/* -- stmt.c */
bool ev_rule(struct sema *s, struct ast_rule *r, struct rule *out);
struct expr *stateful(struct sema *s, struct ast_stmt *st);
struct chain *find_chain(struct sema *s, struct ast_expr *name);
struct obj *find_obj(struct sema *s, struct loc loc, uint32_t type, const char *name);
uint32_t obj_type(const char *what);
struct chain *bound_chain(struct sema *s, struct ast_chain *c);

/* -- hooks.c */
bool check_hooks(struct sema *s);

/* -- near.c: ", did you mean X" of what there is, or "" */
const char *near_chain(const struct sema *s, const char *name);
const char *near_set(const struct sema *s, const char *name);
const char *near_obj(const struct sema *s, uint32_t type, const char *name);
const char *near_flowtable(const struct sema *s, const char *name);
const char *near_table(const struct sema *s, enum family f, const char *name);

/* What the elements of a list must be, and where they go. */
struct elem_ctx {
	struct ectx key, data;
	bool want_data, objects;
	struct telems *out;
	struct sset *fill; /* named sets: takes what is in out from time to time; else NULL */
	uint32_t depth;
};

/* -- chains.c */
struct chain *chain_new(struct sema *s, const char *name, struct loc loc);
struct chain *chain_get(const struct sema *s, const char *name);
bool declare_chain(struct sema *s, const struct ast_chain *a);
void renumber(struct chain *c);
bool put_rule(struct sema *s, struct chain *c, struct ast_rule *a, uint32_t at);
bool chain_rules(struct sema *s, struct ast_chain *a);
bool add_device(struct sema *s, struct ast_expr *e, uint32_t depth, void *vec);
bool eval_prio(struct sema *s, const struct ast_prio *p, enum family f, enum hooknum h,
	       int32_t *out);

/* -- loads.c */
struct tx *ev_payload(struct sema *s, struct ast_expr *e);
struct tx *ev_raw(struct sema *s, struct ast_expr *e);
struct tx *ev_inner(struct sema *s, struct ast_expr *e);
struct tx *ev_ext(struct sema *s, struct ast_expr *e);
struct tx *ev_meta(struct sema *s, struct ast_expr *e);
struct tx *ev_ct(struct sema *s, struct ast_expr *e);
struct tx *ev_rt(struct sema *s, struct ast_expr *e);
struct tx *ev_socket(struct sema *s, struct ast_expr *e);
struct tx *ev_osf(struct sema *s, struct ast_expr *e);
struct tx *ev_fib(struct sema *s, struct ast_expr *e);
struct tx *ev_xfrm(struct sema *s, struct ast_expr *e);
struct tx *ev_numgen(struct sema *s, struct ast_expr *e);
struct tx *ev_hash(struct sema *s, struct ast_expr *e);
struct tx *primary(struct sema *s, struct tx *t);

/* -- nat.c */
enum family word_family(const char *w);
const struct dtype *addr_type(enum family f);
struct ts *st_nat(struct sema *s, struct ast_stmt *st);
struct ts *st_tproxy(struct sema *s, struct ast_stmt *st);

/* -- setstmt.c */
struct ts *st_key_set(struct sema *s, struct ast_stmt *st);
struct ts *st_pay_set(struct sema *s, struct ast_stmt *st);
struct ts *st_ext_set(struct sema *s, struct ast_stmt *st);
struct ts *st_reset_opt(struct sema *s, struct ast_stmt *st);

/* -- dynset.c */
struct ts *st_objref(struct sema *s, struct ast_stmt *st);
struct ts *st_dynset(struct sema *s, struct ast_stmt *st);
struct ts *st_meter(struct sema *s, struct ast_stmt *st);

/* -- stmt.c, for the others */
struct expr *new_expr(struct sema *s, enum expr_kind k, struct loc loc);
bool arg_ok(struct sema *s, const struct dtype *type, uint32_t len, enum byte_order o,
	    struct tx **tp);
struct tx *ev_arg(struct sema *s, struct ast_expr *e, const struct dtype *type, uint32_t len,
		  enum byte_order o);

/* -- elemlist.c, setdecl.c, elems.c among themselves */
struct tx *fields_copy(struct sema *s, const struct tx *key);
void set_key(struct sema *s, struct sset *set, const struct tx *key);
void set_data(struct sset *set, const struct dtype *t, enum byte_order o, uint32_t bits);
bool add_elems(struct sema *s, struct ast_expr *set, struct elem_ctx *c, struct ast_expr *data);
bool data_has_interval(const struct tx *t);
bool check_data(struct sema *s, const struct telems *el, bool may);

/* -- lower.c */
void lower_rule(struct sema *s, struct rule *r);
/* adjoin.c: joins comparisons among s->out; those that went into others are `gone`. */
void lower_adjoin(struct sema *s);

#endif
