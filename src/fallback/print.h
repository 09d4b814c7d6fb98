/* SPDX-License-Identifier: GPL-2.0-or-later */
/* print: what the files of the printer share. */
#ifndef N2B_FB_PRINT_H
#define N2B_FB_PRINT_H

#include "fallback.h"
#include "proto.h"

/*
 * How a datum is said: nft's datatype (enum type_num), or digits in base 16. TYPE_INVALID: there
 * are no words for it.
 */
#define TYPE_HEX 0x40u

/* How values are said. */
#define PV_LIST                                                                                    \
	1u /* as `nft list` does on this machine: names of interfaces and protocols, times of day */
#define PV_NUMBERS 2u /* without names: the ends of ranges */

/* A value in a register: a load, and what was done to it since. */
enum pop { POP_MASK, POP_LSHIFT, POP_RSHIFT, POP_AND, POP_OR, POP_XOR };
struct pval {
	const struct expr *e;
	uint32_t type;
	bool host; /* the bytes are a host integer (a number is read in host order) */
	uint8_t len;
	struct {
		enum pop op;
		const struct expr *e;
		const struct pval *rhs; /* two-register operations */
		bool turned;		/* the order of bytes was the other one then */
	} ops[4];
	uint32_t n_ops;
	const char *words;	 /* "tcp dport"; NULL: no words */
	const struct field *fld; /* what the words are of, if a header's field; else NULL */
	uint8_t shift;		 /* bit field: how far its low bit is from the datum's */
	bool done;		 /* resolved */
	bool field;		 /* ops[0] is the field's own mask */
	uint32_t full;	/* bytes of the whole field, where less is loaded for a prefix; else 0 */
	uint64_t value; /* of one of several fields that are loaded together */
	int l3, l4;	/* the protocol that the words imply; -1: none */
};

/* A match of a protocol: left out where a later match brings it back by itself. */
struct pdep {
	uint32_t at;  /* statement + 1; 0: none */
	bool payload; /* of a header's field, else of a meta key */
	bool added;   /* it looks like one that nft adds: nothing said so before */
	const struct field *fld;
	uint32_t key; /* NFT_META_* */
	uint32_t val;
};

struct pstate {
	const struct rule *r;
	const struct fb_print_opts *o;
	struct arena *a;
	struct sbuf *out;
	enum family fam;
	struct pval *reg[REG_WORDS]; /* by first word */
	/* What the rule is known to be: FAM_IP, FAM_IP6; IPPROTO_*; -1: unknown. */
	int l3, l4;
	bool ether;	      /* the link layer is Ethernet */
	uint32_t vlans;	      /* VLAN headers behind it */
	int icmp_type;	      /* -1: unknown */
	int dep_icmp;	      /* the type of the last ICMP match that may have been added */
	size_t start;	      /* of the rule in out */
	VEC(const char *) st; /* statements; NULL: left out */
	bool ordered;	      /* what is said is compared by < or > */
	VEC(const struct expr *) differ; /* loads of fields that `!=` was asked of */
	struct pdep dep[PBASE_COUNT];	 /* by the base of what makes it redundant */
};

/* pvalue.c */
uint32_t pv_how(const struct fb_print_opts *o);
bool type_is_flags(uint32_t t);
const struct symval *pv_syms(uint32_t t);
void pv_data(struct sbuf *out, uint32_t how, uint32_t t, bool host, const uint8_t *b, uint32_t len);
void pv_value(struct sbuf *out, uint32_t how, uint32_t t, uint64_t v, uint32_t len);
uint64_t pv_number(const uint8_t *b, uint32_t len, bool host);
void pv_time(struct sbuf *out, uint64_t ms);
void pv_string(struct sbuf *out, const char *s);
void pv_rate(struct sbuf *out, const struct expr *e);
void pv_bytes(struct sbuf *out, uint64_t bytes);
void pv_flags(struct sbuf *out, uint32_t t, uint64_t v, const char *sep);
void pv_flags_operand(struct sbuf *out, uint32_t t, uint64_t v); /* in brackets, if several */
int pv_label(const uint8_t *b, uint32_t len);
int pv_prefix_len(const uint8_t *mask, uint32_t len); /* -1: not a prefix */
/* A set's type by its word ("ipv4_addr"); TYPE_INVALID: none. *len bytes, 0: not fixed. */
uint32_t pv_decl_type(const char *decl, bool *host, uint32_t *len);
/* The type of nft's number. */
uint32_t pv_number_type(uint32_t type, bool *host);
/* The type of an expression ("ip saddr", "ct mark"). */
uint32_t pl_typeof(const char *words, bool *host);

/* pload.c */
bool pl_load(struct pstate *ps, const struct expr *e);
void pl_resolve(struct pstate *ps, struct pval *v); /* finds words; bit fields from ops[0] */
struct pval *pl_reg(struct pstate *ps, uint8_t reg);

/* The field of which a write changes only some bits (val: those loaded and masked); NULL: none. */
const struct field *pl_bits_set(struct pstate *ps, const struct expr *write, const struct pval *val,
				uint64_t *value);

uint32_t pl_fields_equal(struct pstate *ps, const struct pval *val, const struct data *d,
			 struct pval *v, const char **text, uint32_t max);

/* pops.c */
/* The bytes are those of a number of this machine. */
bool pl_in_host_order(const struct pval *v);
/* The type in which a value is said that this one is compared with. */
uint32_t pl_value_type(const struct pval *v);
bool pl_text(struct pstate *ps, const struct pval *v, uint32_t skip_ops, struct sbuf *out);

/* pdep.c */
/*
 * What the match `v == val` makes known, and its place among the dependencies; text is its words.
 */
void pd_match(struct pstate *ps, const struct pval *v, uint64_t val, const char *text);
/* Leaves out what a match of these values, the next statement, brings back by itself. */
void pd_kill(struct pstate *ps, struct pval *const *v, uint32_t n);
/* The same for a value that a statement uses: listings only. */
void pd_kill_used(struct pstate *ps, const struct pval *v);
void pd_kill_reject(struct pstate *ps, const struct expr *e);
void pd_reset(struct pstate *ps); /* after a statement that is no match */

/* pmatch.c */
void pm_word(struct pstate *ps, const char *text); /* adds a statement */
void pm_flush(struct pstate *ps);		   /* all of them to the output */
bool pm_expr(struct pstate *ps, const struct expr *e);
bool pm_set_ref(struct pstate *ps, const struct set *s, struct pval **key, uint32_t n_key,
		struct pval *data, struct sbuf *out);
bool pm_concat(struct pstate *ps, uint8_t reg, const struct set *s, struct pval **v, uint32_t *n,
	       struct sbuf *out);

/* pstmt.c */
bool ps_expr(struct pstate *ps, const struct rule *r, uint32_t i);
void ps_stateful(const struct expr *e, const struct fb_print_opts *o, struct sbuf *out);
void ps_verdict(const struct fb_print_opts *o, struct verdict v, struct sbuf *out);

/* praw.c: a rule by its attributes; false: it refers to something without a name. */
bool pw_rule(const struct rule *r, const struct fb_print_opts *o, struct sbuf *out);
/* Whether that takes names for its sets; a nameless set with the name that it has there. */
bool pw_needs_names(const struct rule *r);
struct set pw_named_set(struct arena *a, const struct set *s);

/* pset.c */
bool pe_elems(const struct set *s, const struct fb_print_opts *o, struct pval **key, uint32_t n_key,
	      struct pval *data, struct sbuf *out);

#endif
