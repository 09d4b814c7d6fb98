/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleset: the hinge between the front ends and everything behind them.
 *
 * A ruleset is what the kernel's nf_tables holds: tables, chains, sets with their elements,
 * objects, flow tables, and for each rule its list of kernel expressions on numbered registers.
 * Both front ends (text, netlink) end here; the printers, the interpreter, the splitter and the IR
 * builder start here. A ruleset is plain data in one arena, complete and checked: whoever reads it
 * need not check names, ranges or references again.
 *
 * Byte order of data: `struct data` holds bytes exactly as the kernel's registers and netlink
 * attributes hold them (network order for packet fields, host order for host integers), never
 * swapped. Numbers in plain integer fields are host order.
 */
#ifndef N2B_RULESET_H
#define N2B_RULESET_H

#include "base.h"

/* Values as in linux/netfilter.h (NFPROTO_*). */
enum family { FAM_INET = 1, FAM_IP = 2, FAM_ARP = 3, FAM_NETDEV = 5, FAM_BRIDGE = 7, FAM_IP6 = 10 };

/*
 * Values as NF_INET_*; FAM_BRIDGE the same; arp: 0 input, 1 output, 2 forward; netdev: 0 ingress, 1
 * egress.
 */
enum hooknum {
	HOOK_PREROUTING,
	HOOK_INPUT,
	HOOK_FORWARD,
	HOOK_OUTPUT,
	HOOK_POSTROUTING,
	HOOK_INGRESS
};

/*
 * Registers carry the kernel's netlink numbers: 0 is the verdict, 1 to 4 the 16-byte registers
 * NFT_REG_1..4, 8 to 23 the 4-byte registers NFT_REG32_00..15, which overlay the former. REG_WORD
 * is the index of a register's first 32-bit word (0 to 15); REG_NONE says that an optional register
 * is absent.
 */
#define REG_NONE    0xffu
#define REG_VERDICT 0u
#define REG_WORDS   16u
#define REG_WORD(r) ((r) >= 8 ? (r)-8 : ((r)-1) * 4)
/*
 * The number under which kernel and nft print the register that starts at word w: the 16-byte one
 * where it can.
 */
#define WORD_REG(w) ((w) % 4 ? (w) + 8 : (w) / 4 + 1)

#define DATA_MAX 64 /* NFT_DATA_VALUE_MAXLEN */
struct data {
	uint8_t len; /* bytes */
	uint8_t b[DATA_MAX];
};

enum verdict_code { /* as enum nft_verdicts and NF_* */
		    V_DROP = 0,
		    V_ACCEPT = 1,
		    V_QUEUE = 3,
		    V_CONTINUE = -1,
		    V_BREAK = -2,
		    V_JUMP = -3,
		    V_GOTO = -4,
		    V_RETURN = -5,
};
struct verdict {
	enum verdict_code code;
	struct chain *chain; /* V_JUMP, V_GOTO: the target; else NULL */
};

/* -- expressions ------------------------------------------------------------------------------- */

enum expr_kind {
#define X(kind, name) EX_##kind,
#include "exprkind.def"
#undef X
	EX_COUNT
};
const char *expr_kind_name(
	enum expr_kind k); /* as nft's bracket notation has it: "payload", "cmp" ... */

enum cmp_op { CMP_EQ, CMP_NEQ, CMP_LT, CMP_LTE, CMP_GT, CMP_GTE };	      /* NFT_CMP_* */
enum range_op { RANGE_EQ, RANGE_NEQ };					      /* NFT_RANGE_* */
enum bitwise_op { BW_MASK_XOR, BW_LSHIFT, BW_RSHIFT, BW_AND, BW_OR, BW_XOR }; /* NFT_BITWISE_* */
enum byteorder_op { BO_NTOH, BO_HTON };					      /* NFT_BYTEORDER_* */
enum payload_base { PB_LL, PB_NETWORK, PB_TRANSPORT, PB_INNER, PB_TUN }; /* NFT_PAYLOAD_*_HEADER */
enum exthdr_op { XH_IPV6, XH_TCPOPT, XH_IPV4, XH_SCTP, XH_DCCP };	 /* NFT_EXTHDR_OP_* */
enum dynset_op { DYN_ADD, DYN_UPDATE, DYN_DELETE };			 /* NFT_DYNSET_OP_* */

/*
 * One kernel expression. Keys, flags and types are the kernel's own numbers
 * (linux/netfilter/nf_tables.h); the .def tables name them. Optional registers are REG_NONE when
 * absent; optional attributes have a has_ flag.
 */
struct expr {
	enum expr_kind kind;
	struct loc loc; /* the text it came from */
	union {
		struct {
			uint8_t dreg; /* REG_VERDICT: verdict holds, else data */
			struct data data;
			struct verdict verdict;
		} imm;
		struct {
			uint8_t sreg;
			enum cmp_op op;
			struct data data;
		} cmp;
		struct {
			uint8_t sreg;
			enum range_op op;
			struct data from, to; /* inclusive; same length */
		} range;
		struct {
			uint8_t sreg, sreg2,
				dreg; /* sreg2: AND/OR/XOR with a register; else REG_NONE */
			enum bitwise_op op;
			uint8_t len;	       /* bytes */
			struct data mask, xor; /* BW_MASK_XOR: dreg = sreg & mask ^ xor */
			/* shifts: u32 count, host order; AND/OR/XOR without sreg2: the operand */
			struct data data;
		} bitwise;
		struct {
			uint8_t sreg, dreg;
			enum byteorder_op op;
			uint8_t len, size; /* bytes in all, bytes of each integer */
		} byteorder;
		struct {
			uint8_t sreg, dreg; /* load: sreg REG_NONE; write: dreg REG_NONE */
			enum payload_base base;
			uint16_t off;
			uint8_t len;
			uint32_t csum_type, csum_off, csum_flags; /* write */
		} payload;
		struct {
			uint8_t sreg, dreg; /* both REG_NONE: reset (strip the option) */
			enum exthdr_op op;
			uint8_t type;
			uint16_t off;
			uint8_t len;
			uint32_t flags; /* NFT_EXTHDR_F_PRESENT */
		} exthdr;
		struct {
			uint8_t sreg, dreg;
			uint32_t key; /* NFT_META_* */
		} meta;
		struct {
			uint8_t sreg, dreg;
			uint32_t key; /* NFT_CT_* */
			uint8_t dir;  /* 0 original, 1 reply */
			bool has_dir;
		} ct;
		struct {
			uint8_t dreg;
			uint32_t key; /* NFT_RT_* */
		} rt;
		struct {
			uint8_t dreg;
			uint32_t key, level; /* NFT_SOCKET_*; level for cgroupv2 */
		} socket;
		struct {
			uint8_t dreg;
			uint8_t ttl;
			uint32_t flags;
		} osf;
		struct {
			uint8_t dreg;
			uint32_t result, flags; /* NFT_FIB_RESULT_*, NFTA_FIB_F_* */
		} fib;
		struct {
			uint8_t dreg;
			uint32_t key; /* NFT_XFRM_KEY_* */
			uint8_t dir;  /* XFRM_POLICY_IN / _OUT */
			uint32_t spnum;
		} xfrm;
		struct {
			uint8_t dreg;
			uint32_t key, mode; /* NFT_TUNNEL_* */
		} tunnel;
		struct {
			/* dreg REG_NONE: set; REG_VERDICT: verdict map; else data map */
			uint8_t sreg, dreg;
			struct set *set;
			bool inv;
		} lookup;
		struct {
			enum dynset_op op;
			uint8_t sreg_key, sreg_data; /* sreg_data REG_NONE: set */
			struct set *set;
			uint64_t timeout; /* ms; 0: the set's default */
			bool inv;
			bool has_expr_flag; /* NFT_DYNSET_F_EXPR */
			struct expr **exprs;
			uint32_t n_exprs;
		} dynset;
		struct {
			uint64_t packets, bytes;
		} counter;
		struct {
			uint64_t rate, unit; /* per unit seconds */
			uint32_t burst;	     /* packets or bytes; as given (0: kernel default) */
			uint32_t type;	     /* 0 packets, 1 bytes */
			bool inv;	     /* over */
		} limit;
		struct {
			uint64_t bytes, consumed;
			bool inv, depleted; /* over; flags NFT_QUOTA_F_* */
		} quota;
		struct {
			uint32_t count;
			bool inv;
		} connlimit;
		struct {
			bool set;
			uint64_t msecs;
		} last;
		struct {
			uint8_t dreg;
			uint32_t type, mod, offset; /* NFT_NG_* */
		} numgen;
		struct {
			uint8_t sreg, dreg; /* sreg REG_NONE: symhash */
			uint32_t type, len, mod, seed, offset;
			bool has_seed;
		} hash;
		struct {
			uint32_t type;	 /* NFT_OBJECT_* */
			struct obj *obj; /* the object; or, with a set: NULL */
			struct set *set; /* objref map */
			uint8_t sreg;
		} objref;
		struct {
			uint32_t group, snaplen, qthreshold, level, flags;
			bool has_group, has_snaplen, has_qthreshold, has_level, has_flags;
			const char *prefix;
		} log;
		struct {
			uint32_t type;
			uint8_t code;
		} reject;
		struct {
			uint32_t type, family; /* NFT_NAT_SNAT/DNAT, NFPROTO_* */
			uint8_t reg_addr_min, reg_addr_max, reg_proto_min, reg_proto_max;
			uint32_t flags; /* NF_NAT_RANGE_* */
		} nat;			/* masq, redir: addresses absent */
		struct {
			uint32_t num, total, flags;
			uint8_t sreg_qnum;
		} queue;
		struct {
			uint32_t family;
			uint8_t reg_addr, reg_port;
		} tproxy;
		struct {
			uint32_t mss, wscale, flags;
		} synproxy;
		struct {
			uint8_t sreg_addr, sreg_dev;
			uint32_t family; /* fwd: NFPROTO_* or 0 */
		} dup;			 /* dup and fwd */
		struct {
			const char *flowtable;
		} flow;
		struct {
			uint32_t type, hdrsize, flags; /* NFT_INNER_*, NFTA_INNER_* */
			struct expr
				*expr; /* a payload, exthdr or meta load from the inner packet */
		} inner;
		struct {
			const char *name;
			uint32_t rev;
			const uint8_t *info;
			uint32_t info_len;
		} xt; /* match and target of nft_compat */
		struct {
			uint16_t len; /* bytes of the transport header */
			bool strict;  /* a fragment that begins 8 bytes in is dropped, too */
		} need; /* BREAK in a later fragment, DROP where the packet ends in the header */
		struct {
			const char *name;     /* expression nobody here knows */
			const uint8_t *attrs; /* its NFTA_EXPR_DATA payload */
			uint32_t attrs_len;
		} unknown;
	};
};

/* Keys of meta, ct, rt, socket, xfrm, tunnel: KEY_META_MARK and so on are the kernel's numbers. */
enum {
#define K(expr, num, id, name, order, len) KEY_##expr##_##id = (num),
#include "regkeys.def"
#undef K
};
enum byte_order { ORDER_NONE, ORDER_BIG, ORDER_HOST }; /* NONE: not known */
struct reg_key {
	const char *name;
	enum byte_order order;
	uint8_t len; /* bytes the kernel writes; 0: not fixed by the key */
};
/* What an expression of that kind loads for that key; NULL: no such key. */
const struct reg_key *reg_key(enum expr_kind k, uint32_t key);
/* Byte order of a datatype (nft's number); of a concatenation, of its last field. */
enum byte_order datatype_order(uint32_t type);
/*
 * nft's name of a datatype ("ipv4_addr"), NULL: none; the bytes of a value, 0: not fixed by the
 * type.
 */
const char *datatype_name(uint32_t type);
unsigned int datatype_len(uint32_t type);

/*
 * What an expression reads and writes: sets of 32-bit words (bit w = word w); verdict register not
 * included.
 */
#define REGS_BEYOND (1u << REG_WORDS) /* the value does not fit: never in a ruleset */
#define XT_NAME_MAX 29u		      /* XT_EXTENSION_MAXNAMELEN: with the NUL */
#define XT_INFO_MAX 8192u	      /* no extension has nearly that much */
struct expr_regs {
	uint32_t reads, writes;
};
struct expr_regs expr_regs(const struct expr *e);

/* -- rules, chains, tables --------------------------------------------------------------------- */

struct rule {
	struct chain *chain;
	uint32_t index;	 /* in its chain, from 0 */
	uint64_t handle; /* 0: none */
	struct loc loc;
	/*
	 * the rule as its user wrote it, on one line, blanks folded; NULL in a dump until printed
	 * back
	 */
	const char *text;
	const char *comment;
	VEC(struct expr *) exprs;
	/*
	 * As the kernel has it, where exprs holds translations of its xtables matches (xt.h); else
	 * empty.
	 */
	VEC(struct expr *) xt;
};
/* The rule with the kernel's own expressions in exprs; those of the ruleset itself, not copies. */
struct rule rule_kernel(const struct rule *r);
/*
 * The chain without a name that the rule jumps to, or NULL: what stands behind the jump never runs.
 */
const struct chain *rule_bound_chain(const struct rule *r);
/*
 * The rule's n-th expression of a kind, from 0, or NULL; how many of its kind stand before
 * expression i.
 */
struct expr *rule_nth(const struct rule *r, enum expr_kind kind, uint32_t n);
uint32_t rule_number(const struct rule *r, uint32_t i);

struct chain {
	struct table *table;
	const char *name;
	uint64_t handle;
	uint32_t index; /* in its table */
	struct loc loc;
	bool is_base, is_bound; /* is_bound: anonymous `jump { }` chain */
	const char *type;	/* "filter", "nat", "route"; base chains only, as are the next */
	enum hooknum hook;
	int32_t prio;
	struct loc prio_loc;
	enum verdict_code policy; /* V_ACCEPT, V_DROP */
	bool has_policy;
	VEC(const char *) devices; /* netdev, inet ingress; "eth*" is a prefix */
	bool hw_offload;
	const char *comment;
	VEC(struct rule *) rules;
	uint64_t counter_packets, counter_bytes; /* base-chain counter, if has_counter */
	bool has_counter;
};

enum set_flags { /* NFT_SET_* */
		 SET_ANONYMOUS = 0x1,
		 SET_CONSTANT = 0x2,
		 SET_INTERVAL = 0x4,
		 SET_MAP = 0x8,
		 SET_TIMEOUT = 0x10,
		 SET_EVAL = 0x20,
		 SET_OBJECT = 0x40,
		 SET_CONCAT = 0x80,
		 SET_EXPR = 0x100,
};

/*
 * Elements are in one canonical form whichever front end made them: an element of an interval set
 * is the closed range key..key_end (equal for one value), in ascending order, without the kernel's
 * separate interval-end marks; with several fields each field has its range, and the elements keep
 * the order they were added in: where they overlap the first one that matches counts. Other sets
 * have key alone (key_end.len 0), sorted by set_sort_elems().
 */
struct set_elem { /* what each pass over a million of them asks stands together */
	struct loc loc;
	bool catchall, has_timeout;
	uint32_t added; /* a number in the order of adding, by which flags are listed */
	uint32_t n_exprs;
	struct expr **exprs;	   /* stateful expressions of this element */
	uint64_t timeout, expires; /* ms; expires 0: not given */
	const char *comment;
	struct verdict verdict; /* verdict map */
	struct obj *obj;	/* object map */
	struct data key, key_end;
	struct data data; /* data map */
};

/* A set without a size gets this one from the kernel as soon as a rule adds to it. */
#define DYNSET_SIZE_DEFAULT 65535u
/* data_type of a verdict map: the kernel's NFT_DATA_VERDICT. */
#define DATA_VERDICT_TYPE 0xffffff00u
struct set {
	struct table *table;
	const char *name; /* anonymous: "__set0", "__map1" ..., numbered by table in order of use */
	uint64_t handle;
	uint32_t index; /* in its table */
	struct loc loc;
	uint32_t flags; /* enum set_flags */
	/* nft's datatype number, 6 bits for each field of a concatenation; 0: unknown */
	uint32_t key_type;
	uint8_t key_len;       /* bytes; a concatenation has each field padded to 4 */
	uint32_t n_fields;     /* of a concatenation, else 1 */
	uint8_t field_len[16]; /* bytes, unpadded */
	uint32_t data_type;    /* datatype number; DATA_VERDICT_TYPE for verdict maps */
	uint8_t data_len;
	/*
	 * Of integers, whose type has no order of bytes of its own; ORDER_NONE: that of the type.
	 */
	enum byte_order key_order, data_order;
	uint32_t obj_type; /* SET_OBJECT: NFT_OBJECT_* */
	bool is_vmap;
	const char *key_typeof,
		*data_typeof; /* as written (`ip saddr . tcp dport`), if typeof; else NULL */
	const char *key_decl; /* nft's words for the key type: "ipv4_addr . inet_service" */
	/* maps: nft's words for the data type: "verdict", "mark", "counter" ...; else NULL */
	const char *data_decl;
	/* most elements; 0: no bound, or DYNSET_SIZE_DEFAULT when a rule adds to it */
	uint32_t size;
	bool has_size;
	uint64_t timeout; /* ms; 0: none */
	uint32_t gc_int;  /* ms; 0: default */
	bool has_policy;
	uint32_t policy; /* NFT_SET_POL_* */
	bool auto_merge;
	const char *comment;
	struct expr **exprs; /* stateful expressions that every new element gets */
	uint32_t n_exprs;
	VEC(struct set_elem *) elems;
	/*
	 * What each element keeps, whoever makes it: exprs, or what elements and rules that add
	 * them agree in.
	 */
	struct expr **states;
	uint32_t n_states;
	bool states_known, states_differ;
	bool left_out; /* printed without its elements: a map has them (manifest.h) */
	/*
	 * Sets of ranges in maps: why there is no index of the elements (setindex.h), once asked;
	 * NULL: there is one.
	 */
	bool index_known;
	const char *index_why;
	/* The field that leaves few elements (narrow.h), once asked. */
	bool narrow_known;
	uint32_t narrow;
};

struct obj {
	struct table *table;
	const char *name;
	uint64_t handle;
	struct loc loc;
	uint32_t type; /* NFT_OBJECT_* */
	struct expr
		*expr; /* counter, quota, limit, synproxy: its state and parameters; else NULL */
	/* what stands between its braces, as nft text, for kinds that only the kernel runs */
	const char *body;
	const char *comment;
};

struct flowtable {
	struct table *table;
	const char *name;
	uint64_t handle;
	struct loc loc;
	int32_t prio;
	VEC(const char *) devices;
	uint32_t flags;
	bool has_counter;
};

struct table {
	struct ruleset *rs;
	enum family family;
	const char *name;
	uint64_t handle;
	struct loc loc;
	uint32_t flags; /* NFT_TABLE_F_DORMANT 1, _OWNER 2, _PERSIST 4 */
	const char *comment;
	VEC(struct chain *) chains;
	VEC(struct set *) sets; /* named and anonymous, in order */
	VEC(struct obj *) objs;
	VEC(struct flowtable *) flowtables;
};

/*
 * Commands of a script that act on what a kernel already holds (`flush ruleset`, `delete table`,
 * `destroy table`, `flush chain`...) are applied to the ruleset in order; those that must also
 * reach the kernel's ruleset when the fallback is loaded are kept as text and written at the head
 * of the fallback.
 */
struct ruleset {
	struct arena *arena;
	struct diag *diag;
	VEC(struct table *) tables; /* in order */
	VEC(const char *) preamble; /* e.g. "flush ruleset" */
	bool from_netlink;
};

struct ruleset *ruleset_new(struct arena *a, struct diag *d);
struct table *ruleset_table(const struct ruleset *rs, enum family f,
			    const char *name); /* NULL: none */
struct chain *table_chain(const struct table *t, const char *name);
struct set *table_set(const struct table *t, const char *name);
struct obj *table_obj(const struct table *t, const char *name, uint32_t type);
/* Byte order of a set's keys (concatenations: of the last field) and of a map's data. */
enum byte_order set_key_order(const struct set *s);
enum byte_order set_data_order(const struct set *s);
/* Does a rule or an element refer to it? */
bool table_uses_set(const struct table *t, const struct set *s);
bool table_uses_chain(const struct table *t, const struct chain *to);
bool table_uses_obj(const struct table *t, const struct obj *o);
const char *family_name(enum family f);				    /* "inet" */
const char *hook_name(enum family f, enum hooknum h);		    /* "input" */
const char *verdict_text(struct arena *a, const struct verdict *v); /* "accept", "jump x" */
/*
 * Elements of a set without intervals into the order in which nft lists them: by value, host
 * integers as numbers, the catch-all last. A kernel's own order says nothing.
 */
void set_sort_elems(struct arena *a, struct set *s);
/*
 * What has no name of its own gets it by order of use: "__set0", "__map0", "__objmap0", "__chain0".
 * Anonymous sets that no rule uses go; the others follow the named ones. All indexes are set.
 */
void ruleset_number(struct ruleset *rs);
/*
 * Jumps without loops and no deeper than nf_tables goes, else false and an error. Sets the chains'
 * indexes.
 */
bool ruleset_check_jumps(const struct ruleset *rs);
/*
 * An element without a range, or every field of its range ends where it begins or above: others the
 * kernel refuses.
 */
bool set_elem_in_order(const struct set *s, const struct set_elem *e);
bool data_eq(const struct data *a, const struct data *b);
bool data_is_zero(const struct data *d);
struct data data_bytes(const void *p, size_t n);
/* New expression of a kind in the ruleset's arena, optional registers REG_NONE. */
struct expr *expr_new(struct arena *a, enum expr_kind k, struct loc loc);
/* Bytes that an expression of this kind has: what copies one copies no more. */
size_t expr_size(enum expr_kind k);

/* Fills states of one set as declared; of a rule's dynset on top; of all sets. */
void set_note_states(struct set *s);
void set_note_dynset(struct set *s, const struct expr *e);
bool set_takes_dynset(
	const struct set *s); /* programs can add to it: neither ranges, verdicts nor objects */
void ruleset_note_states(const struct ruleset *rs);

/* -- who reads and writes it ------------------------------------------------------------------- */

/*
 * `--emit exprs`: the newest nft's bracket notation, a header "family table chain" before each
 * rule, sets before.
 */
void ruleset_print_exprs(const struct ruleset *rs, FILE *f);
void expr_print(const struct expr *e, struct sbuf *out); /* "[ meta load l4proto => reg 1 ]" */

#endif
