/* SPDX-License-Identifier: GPL-2.0-or-later */
/* print: what the files of the printer share. */
#ifndef N2B_FB_PRINT_H
#define N2B_FB_PRINT_H

#include "fallback.h"

/* How a datum is said. */
enum ptype {
	PT_INT,
	PT_HEX,
	PT_IP4,
	PT_IP6,
	PT_ETHER,
	PT_PORT,
	PT_PROTO,
	PT_ETHERTYPE,
	PT_NFPROTO,
	PT_MARK,
	PT_CLASSID,
	PT_IFINDEX,
	PT_IFNAME,
	PT_STRING,
	PT_PKTTYPE,
	PT_BOOL,
	PT_CTSTATE,
	PT_CTDIR,
	PT_CTSTATUS,
	PT_TCPFLAG,
	PT_ICMP,
	PT_ICMP6,
	PT_TIMEMS,
	PT_TIMENS,
	PT_FIBTYPE,
	PT_NONE, /* there are no words for it */
};
bool ptype_is_flags(enum ptype t);

/* A value in a register: a load, and what was done to it since. */
enum pop { POP_MASK, POP_LSHIFT, POP_RSHIFT, POP_AND, POP_OR, POP_XOR, POP_SWAP };
struct pval {
	const struct expr *e;
	enum ptype type;
	bool host; /* the bytes are a host integer (a number is read in host order) */
	uint8_t len;
	struct {
		enum pop op;
		const struct expr *e;
		const struct pval *rhs; /* two-register operations */
	} ops[4];
	uint32_t n_ops;
	const char *words; /* "tcp dport"; NULL: no words */
	uint8_t shift;	   /* bit field: how far its low bit is from the datum's */
	bool done;	   /* resolved */
	bool field;	   /* ops[0] is the field's own mask */
	uint32_t full;	   /* bytes of the whole field, where less is loaded for a prefix; else 0 */
	int l3, l4;	   /* the protocol that the words imply; -1: none */
};

/* A match of a dependency kept back: printed unless the next match implies it. */
struct pdep {
	const char *text;
	int l3, l4;
};

struct pstate {
	const struct rule *r;
	const struct fb_print_opts *o;
	struct arena *a;
	struct sbuf *out;
	enum family fam;
	struct pval *reg[REG_WORDS]; /* by first word */
	int l3, l4; /* what the rule is known to be: FAM_IP, FAM_IP6; IPPROTO_*; -1 */
	struct pdep dep[2];
	uint32_t n_dep;
	size_t start; /* of the rule in out */
};

/* pvalue.c */
void pv_data(struct sbuf *out, enum ptype t, bool host, const uint8_t *b, uint32_t len);
uint64_t pv_number(const uint8_t *b, uint32_t len, bool host);
enum ptype pv_range_type(enum ptype t);
void pv_time(struct sbuf *out, uint64_t ms);
void pv_string(struct sbuf *out, const char *s);
void pv_rate(struct sbuf *out, const struct expr *e);
void pv_bytes(struct sbuf *out, uint64_t bytes);
void pv_flags(struct sbuf *out, enum ptype t, uint64_t v, const char *sep);
int pv_prefix_len(const uint8_t *mask, uint32_t len); /* -1: not a prefix */
/* A set's type by its word ("ipv4_addr") or by an expression ("ip saddr"); or by nft's number. */
enum ptype pv_decl_type(const char *decl, bool *host, uint32_t *len);
enum ptype pv_number_type(uint32_t type, bool *host);
enum ptype pl_typeof(const char *words, bool *host);

/* pload.c */
bool pl_load(struct pstate *ps, const struct expr *e);
void pl_resolve(struct pstate *ps, struct pval *v); /* finds words; bit fields from ops[0] */
bool pl_text(struct pstate *ps, const struct pval *v, uint32_t skip_ops, struct sbuf *out);
struct pval *pl_reg(struct pstate *ps, uint8_t reg);

/* The field of which a write changes only some bits (val: those loaded and masked); NULL: none. */
const char *pl_bits_set(struct pstate *ps, const struct expr *write, const struct pval *val,
			uint64_t *value);

const char *pl_fields_equal(struct pstate *ps, struct pval *v, const struct data *d);

/* pmatch.c */
void pm_word(struct pstate *ps,
	     const char *text); /* adds words, a blank before, dependencies first */
void pm_flush(struct pstate *ps);
bool pm_expr(struct pstate *ps, const struct expr *e);
bool pm_set_ref(struct pstate *ps, const struct set *s, struct pval **key, uint32_t n_key,
		struct pval *data, struct sbuf *out);
bool pm_concat(struct pstate *ps, uint8_t reg, const struct set *s, struct pval **v, uint32_t *n,
	       struct sbuf *out);

/* pstmt.c */
bool ps_expr(struct pstate *ps, const struct rule *r, uint32_t i);
void ps_stateful(const struct expr *e, const struct fb_print_opts *o, struct sbuf *out);
void ps_verdict(struct verdict v, struct sbuf *out);

/* pset.c */
bool pe_elems(const struct set *s, const struct fb_print_opts *o, struct pval **key, uint32_t n_key,
	      struct pval *data, struct sbuf *out);

#endif
