/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nl: what the files of the netlink front end share. Attributes are walked by hand and counted
 * exactly: a stream with a byte too many is malformed, and an attribute that nobody here knows
 * never passes unnoticed.
 */
#ifndef N2B_NL_H
#define N2B_NL_H

#include "ruleset.h"

/* One attribute's payload; p is NULL when it is absent. */
struct nl_attr {
	const uint8_t *p;
	uint32_t len;
};

/*
 * A table being read: its names, and in a load batch the numbers that stand for names not given
 * yet.
 */
struct nl_table {
	struct table *t;
	struct strmap chains, sets; /* by name */
	struct strmap set_ids, chain_ids,
		rule_ids; /* by the 4 bytes of the transaction's id, network order */
};

/* NFT_MSG_* */
enum nl_msg_type {
	MSG_NEWTABLE = 0,
	MSG_DELTABLE = 2,
	MSG_NEWCHAIN = 3,
	MSG_DELCHAIN = 5,
	MSG_NEWRULE = 6,
	MSG_DELRULE = 8,
	MSG_NEWSET = 9,
	MSG_DELSET = 11,
	MSG_NEWSETELEM = 12,
	MSG_DELSETELEM = 14,
	MSG_NEWGEN = 15,
	MSG_NEWOBJ = 18,
	MSG_DELOBJ = 20,
	MSG_NEWFLOWTABLE = 22,
	MSG_DELFLOWTABLE = 24,
	MSG_DESTROYTABLE = 26,
	MSG_DESTROYCHAIN,
	MSG_DESTROYRULE,
	MSG_DESTROYSET,
	MSG_DESTROYSETELEM,
	MSG_DESTROYOBJ,
	MSG_DESTROYFLOWTABLE,
};

/* Flags of a message in a transaction. */
#define NLF_REPLACE 0x100u /* new: in place of; delete: without what depends on it */
#define NLF_EXCL    0x200u
#define NLF_APPEND  0x800u

/* One message, cut out of the stream. */
struct nl_msg {
	enum nl_msg_type type;
	uint16_t flags;
	uint8_t family;
	struct nl_attr attrs;
};

struct nl_reader {
	struct arena *arena;
	struct diag *diag;
	struct ruleset *rs;
	VEC(struct nl_table *) tables;
	struct nl_table *cur; /* of the message at hand */
	struct loc loc;	      /* what the message at hand is about */
	bool batch;	      /* in a transaction: messages act in order */
	bool excl;	      /* the message must make something new */
};

enum nl_walk {
	NL_OK,
	/* well formed, but with an attribute that is not in the table, or twice there */
	NL_UNKNOWN,
	NL_BAD, /* lengths do not fit */
};
/* Attributes 1..n-1 of a payload into tb[n]. */
enum nl_walk nl_walk(struct nl_attr in, struct nl_attr *tb, unsigned int n);
/* The same where unknown attributes are an error as well: reports it, naming what; false then. */
bool nl_table_of(struct nl_reader *rd, struct nl_attr in, struct nl_attr *tb, unsigned int n,
		 const char *what);
/* The next member of a list: false at its end; *bad when the lengths do not fit. */
bool nl_next(struct nl_attr *list, unsigned int *type, struct nl_attr *out, bool *bad);

/* Values; false when the length is not that of the type. */
bool nl_u8(struct nl_attr a, uint8_t *v);
bool nl_u16(struct nl_attr a, uint16_t *v);
bool nl_u32(struct nl_attr a, uint32_t *v);
bool nl_u64(struct nl_attr a, uint64_t *v);
const char *nl_str(struct nl_reader *rd, struct nl_attr a); /* NULL: no clean string */
const char *nl_name(struct nl_reader *rd,
		    struct nl_attr a); /* NULL, with an error if it is a string */
/* Of userdata (type byte, length byte, value): the value of one type. */
struct nl_attr nl_udata(struct nl_attr a, unsigned int type);
const char *nl_udata_str(struct nl_reader *rd, struct nl_attr a, unsigned int type);

/* Reports a malformed part of the message at hand; returns false. */
bool nl_bad(struct nl_reader *rd, const char *what);
bool nl_error(struct nl_reader *rd, const char *fmt, ...) PRINTF(2, 3);

/* nlexpr.c. NULL with an error reported. */
struct expr *nl_expr(struct nl_reader *rd, struct nl_attr in);
/* A list of NFTA_LIST_ELEM. */
bool nl_exprs(struct nl_reader *rd, struct nl_attr list, struct expr ***v, uint32_t *n);
/* The attributes of a known kind, without name: for stateful objects. */
struct expr *nl_expr_of(struct nl_reader *rd, enum expr_kind k, struct nl_attr attrs);
bool nl_data(struct nl_reader *rd, struct nl_attr a, struct data *d); /* NFTA_DATA_VALUE */
/* A value or a verdict; *is_verdict tells which. */
bool nl_data_verdict(struct nl_reader *rd, struct nl_attr a, struct data *d, struct verdict *v,
		     bool *is_verdict);
struct set *nl_find_set(struct nl_reader *rd, struct nl_attr name, struct nl_attr id);
struct chain *nl_find_chain(struct nl_reader *rd, struct nl_attr name, struct nl_attr id);

/* nlread.c */
bool nl_family_ok(uint8_t f);
struct nl_table *nl_find_table(struct nl_reader *rd, uint8_t family, const char *name);
/* Makes the table of a message the current one. */
bool nl_enter_table(struct nl_reader *rd, const struct nl_msg *m, struct nl_attr name);
bool nl_rule(struct nl_reader *rd, const struct nl_msg *m);

/* nlbatch.c: a message of a transaction that deletes. */
bool nl_batch_delete(struct nl_reader *rd, const struct nl_msg *m);
/* Where in its chain a transaction puts a rule: rules.n is the end. */
bool nl_batch_place(struct nl_reader *rd, const struct nl_msg *m, const struct chain *c,
		    struct nl_attr position, struct nl_attr position_id, uint32_t *at);
/* The rule of a chain with that handle; NULL: none. */
struct rule *nl_rule_by_handle(const struct chain *c, uint64_t handle);

/* nlset.c */
bool nl_set(struct nl_reader *rd, struct nl_attr in);
bool nl_set_elems(struct nl_reader *rd, struct nl_attr in);
/* Takes elements out, all where the message lists none; missing: they may be missing. */
bool nl_set_elems_delete(struct nl_reader *rd, struct nl_attr in, bool missing);
bool nl_set_finish(struct nl_reader *rd, struct set *s);

/*
 * nludata.c: of which expressions a set's types are, as nft noted it; after the types themselves
 * are read.
 */
void nl_set_typeof(struct nl_reader *rd, struct set *s, struct nl_attr udata);

/* nlobj.c */
bool nl_obj(struct nl_reader *rd, struct nl_attr in);
bool nl_flowtable(struct nl_reader *rd, struct nl_attr in);
bool nl_devices(struct nl_reader *rd, struct nl_attr list, const char ***v, uint32_t *n);
/* Those of `more` that are not there yet come to a list. */
void nl_add_devices(struct nl_reader *rd, const char ***v, uint32_t *n, const char *const *more,
		    uint32_t n_more);

/* Lists and names that several messages share. */
enum { NFTA_LIST_ELEM_ = 1 };

/* The attributes of expressions: rows of nfta.def, read by nlexpr.c and written by nlwexpr.c. */
enum nl_wire { W_U8, W_U16, W_U32, W_U64, W_REG, W_REG0, W_DATA, W_STR, W_FLAG, W_HAS, W_SELF };
struct nl_row {
	uint8_t kind, attr, wire;
	uint16_t off, size; /* of the field in struct expr */
};
extern const struct nl_row nl_rows[];
extern const size_t nl_n_rows;

/*
 * A request to nf_tables (NFT_MSG_*, NLM_F_*, NFPROTO_*) without attributes; its number is the
 * caller's to give.
 */
struct nlmsghdr;
struct nlmsghdr *nl_request(char *buf, uint16_t msg, uint16_t flags, uint8_t family);

#endif
