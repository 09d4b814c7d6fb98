/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ast: the nft language as written, before anything is evaluated.
 *
 * The parser makes it, the evaluation reads it. Nodes are plain structs in the run's arena. Names
 * of protocols, fields, meta keys and the like stay words (NUL terminated, as written); the tables
 * of the evaluation say what they mean. What the parser does resolve: $variables (a node AX_VAR
 * holds the value), times, rates, sizes and plain decimal numbers, includes, and which chain, set
 * or object a block belongs to.
 *
 * Optional pointers are NULL when absent. A flag `has_x` tells an absent number from 0.
 */
#ifndef N2B_AST_H
#define N2B_AST_H

#include "base.h"

struct ast_expr;
struct ast_stmt;
struct ast_chain;

/* -- expressions ------------------------------------------------------------------------------- */

enum ast_expr_kind {
	AX_SYMBOL, /* a word: keyword value, name, address, `1h30m`, `echo-request`: text */
	AX_NUMBER, /* decimal, 0x or 0-octal number: num, and text as written */
	AX_STRING, /* "quoted": text without the quotes */
	AX_GLOB,   /* word or quoted string that ends in an unescaped `*`: text without the `*` */
	/*
	 * $name: var.value is what it was defined to be, shared by all its uses: do not change it
	 */
	AX_VAR,
	AX_PREFIX,   /* prefix.base / prefix.len */
	AX_RANGE,    /* range.from - range.to */
	AX_WILDCARD, /* bare `*`: catch-all element, any */
	AX_LIST,     /* a, b, c (flag lists, right-hand comma lists): list */
	AX_SET,	     /* { elements }: set */
	/* key of an entry of set.elems that stands for many plain elements: run; see run_next() */
	AX_RUN,
	AX_CONCAT, /* a . b . c: list */
	AX_MAP,	   /* map.key map map.map; AX_SETREF or AX_SET (elements with data) or AX_VAR */
	AX_VMAP,   /* map.key vmap map.map, when a statement (ast_stmt AS_VMAP holds one) */
	AX_SETREF, /* @name: text */
	AX_REL,	   /* rel.left op rel.right */
	AX_BINOP,  /* bin.left op bin.right */
	/*
	 * pay.proto pay.field; `th` as any other protocol; field NULL: `ip` alone in typeof-less
	 * places
	 */
	AX_PAYLOAD,
	AX_RAW,	  /* @base,offset,length: raw */
	AX_INNER, /* inner.tunnel ("vxlan", "geneve", "gre", "gretap") around inner.expr */
	/*
	 * IPv6 extension header: ext.hdr ("hbh", "rt0", "frag" ...), ext.field; NULL field:
	 * presence
	 */
	AX_EXTHDR,
	/* tcp option ext.hdr ext.field; numeric kind: ext.hdr is the number's text; raw: see ext */
	AX_TCPOPT,
	AX_IPOPT, /* ip option ext.hdr ext.field */
	AX_SCTP,  /* sctp chunk ext.hdr ext.field */
	AX_DCCP,  /* dccp option <ext.hdr is the number's text> (presence) */
	AX_META,  /* key.key; key.qualified: written with `meta` before it */
	AX_CT,	  /* ct key: ct */
	/* key.key ("classid", "nexthop", "mtu", "ipsec"), key.family ("ip", "ip6" or NULL) */
	AX_RT,
	AX_SOCKET, /* sock.key ("transparent", "mark", "wildcard", "cgroupv2"), sock.level */
	AX_OSF,	   /* osf.key ("name", "version"), osf.ttl ("loose", "skip" or NULL) */
	/*
	 * fib.flags ("saddr . iif" as AFIB_* bits), fib.result ("oif", "oifname", "type", "check")
	 */
	AX_FIB,
	AX_XFRM,    /* ipsec in|out [spnum N] key [family]: xfrm */
	AX_TUNNEL,  /* key.key ("id", "path") */
	AX_NUMGEN,  /* numgen */
	AX_HASH,    /* hash: jhash of hash.expr, or symhash (hash.expr NULL) */
	AX_VERDICT, /* verdict */
	AX_EXISTS,  /* `exists` (boolean.yes) or `missing` */
};

enum ast_rel {
	REL_IMPLICIT, /* no operator written */
	REL_EQ,
	REL_NEQ,
	REL_LT,
	REL_LTE,
	REL_GT,
	REL_GTE,
	REL_NOT, /* `tcp flags ! syn`: `!` before the value: none of the bits */
	/* `tcp flags syn,ack / syn,rst`: right is an AX_LIST or value, mask in rel.mask; eq */
	REL_FLAGS,
	REL_FLAGS_NEQ, /* `tcp flags != syn / syn,rst` */
};
enum ast_binop { BIN_AND, BIN_OR, BIN_XOR, BIN_LSHIFT, BIN_RSHIFT };

enum ast_raw_base { RAW_LL, RAW_NH, RAW_TH, RAW_IH }; /* @ll @nh @th @ih */

enum ast_fib_flags {
	AFIB_SADDR = 1,
	AFIB_DADDR = 2,
	AFIB_MARK = 4,
	AFIB_IIF = 8,
	AFIB_OIF = 16
}; /* = NFTA_FIB_F_* */

enum ast_verdict_code { /* as enum nft_verdicts, NF_* */
			AV_DROP = 0,
			AV_ACCEPT = 1,
			AV_CONTINUE = -1,
			AV_BREAK = -2,
			AV_JUMP = -3,
			AV_GOTO = -4,
			AV_RETURN = -5,
};

/* What follows an element's key besides its data; most elements have none. */
struct ast_elem_opts {
	bool has_timeout, has_expires, timeout_never;
	uint64_t timeout, expires; /* ms */
	const char *comment;
	struct loc comment_loc;
	VEC(struct ast_stmt *) stmts; /* counter, limit, quota, ct count, last */
};
struct ast_elem {
	struct ast_expr *key;  /* its loc is the element's; AX_WILDCARD: catch-all */
	struct ast_expr *data; /* map: what stands after `:` (AX_VERDICT, value, object name) */
	struct ast_elem_opts *opts; /* NULL: none */
};
struct ast_set_body {
	VEC(struct ast_elem) elems;
};
struct ast_list_body {
	VEC(struct ast_expr *) items;
};
struct ast_numgen {
	bool random; /* else `inc` */
	uint32_t mod, offset;
};
struct ast_hash {
	struct ast_expr *expr; /* NULL: symhash */
	uint32_t mod, seed, offset;
	bool has_seed;
};
struct ast_raw {
	enum ast_raw_base base;
	uint32_t off, len; /* bits */
};
struct ast_ext {
	const char *hdr, *field;
	/* only the header's presence is asked (`exthdr hbh exists`, `tcp option x exists`) */
	bool present;
	bool raw; /* `tcp option @kind,off,len`: kind, bits */
	uint8_t kind;
	uint16_t off, len;
};
struct ast_define;

/* 64 bytes or so: a set may hold a million of them. */
struct ast_expr {
	struct loc loc;
	enum ast_expr_kind kind : 8;
	enum ast_rel rel_op : 8;   /* AX_REL */
	enum ast_binop bin_op : 8; /* AX_BINOP */
	bool open;		   /* the parser's: a list that may still grow */
	uint16_t depth; /* expressions below this one, longest way; bounded, so recursion is safe */
	union {
		struct {
			const char *text;
			/*
			 * AX_NUMBER; ~0 and too_big in text if it exceeds 64 bits is an error
			 * before
			 */
			uint64_t num;
		};
		struct {
			struct ast_expr *value;
			const char *name;
		} var;
		struct {
			struct ast_expr *base;
			uint32_t len;
			struct ast_expr *len_expr; /* NULL: len holds; else a variable */
		} prefix;
		struct {
			struct ast_expr *from, *to;
		} range;
		struct ast_list_body *list; /* AX_LIST, AX_CONCAT */
		struct ast_set_body *set;
		struct {
			const char *text; /* in the source, not terminated */
			size_t len;
			bool has_data; /* its elements have a value behind a colon */
		} run;
		struct {
			struct ast_expr *key, *map;
		} map; /* AX_MAP, AX_VMAP */
		struct {
			struct ast_expr *left, *right;
			struct ast_expr *mask; /* REL_FLAGS, REL_FLAGS_NEQ */
		} rel;
		struct {
			struct ast_expr *left, *right;
		} bin;
		struct {
			const char *proto, *field;
		} pay;
		struct ast_raw raw;
		struct {
			const char *tunnel;
			struct ast_expr *expr; /* AX_PAYLOAD, AX_META ... of the inner packet */
		} inner;
		struct ast_ext *ext;
		struct {
			const char *key, *family;
			bool qualified;
		} key;
		struct {
			const char *key;    /* "state", "saddr", "protocol", "helper" ... */
			const char *family; /* "ip", "ip6" or NULL: `ct original ip saddr` */
			int8_t dir;	    /* 0 original, 1 reply, -1 not written */
		} ct;
		struct {
			const char *key;
			uint32_t level;
		} sock;
		struct {
			const char *key, *ttl;
		} osf;
		struct {
			uint32_t flags;
			const char *result;
		} fib;
		struct {
			const char *key, *family; /* "reqid", "spi", "saddr", "daddr" */
			uint32_t spnum;
			bool out;
		} xfrm;
		struct ast_numgen *numgen;
		struct ast_hash *hash;
		struct {
			enum ast_verdict_code code;
			struct ast_expr *target; /* jump, goto: AX_SYMBOL, AX_STRING or AX_VAR */
			struct ast_chain
				*block; /* jump { ... }: the anonymous chain; target NULL */
		} verdict;
		struct {
			bool yes;
		} boolean;
	};
};

/* -- statements -------------------------------------------------------------------------------- */

enum ast_stmt_kind {
	AS_MATCH,     /* expr: AX_REL, or a bare expression (presence, boolean) */
	AS_VERDICT,   /* expr: AX_VERDICT */
	AS_VMAP,      /* expr: AX_VMAP */
	AS_COUNTER,   /* counter */
	AS_LIMIT,     /* limit */
	AS_QUOTA,     /* quota */
	AS_LAST,      /* last */
	AS_CONNLIMIT, /* connlimit: `ct count` */
	AS_LOG,	      /* log */
	AS_REJECT,    /* reject */
	AS_QUEUE,     /* queue */
	AS_NAT,	      /* nat: snat, dnat, masquerade, redirect */
	AS_TPROXY,    /* tproxy */
	AS_SYNPROXY,  /* synproxy */
	AS_DUP,	      /* dup.to, dup.dev */
	AS_FWD,	      /* dup.to, dup.dev, dup.family */
	AS_NOTRACK,
	AS_FLOW,      /* flow add @name: name */
	AS_META_SET,  /* set.target AX_META, set.value; `notrack` alone is AS_NOTRACK */
	AS_CT_SET,    /* set.target AX_CT; not for objects (AS_OBJREF) */
	AS_PAY_SET,   /* set.target AX_PAYLOAD, AX_RAW */
	AS_EXT_SET,   /* set.target AX_EXTHDR, AX_TCPOPT, AX_SCTP ... */
	AS_RESET_OPT, /* reset tcp option x: set.target */
	AS_OBJREF,    /* objref */
	AS_DYNSET,    /* dynset: add/update/delete @s { key ... [: data] } */
	AS_METER,     /* meter: meter name [size N] { key stmt } */
	AS_XT,	      /* xt type name [= revision length "info"]: xt */
};

enum ast_log_flags { /* NF_LOG_* */
		     ALOG_TCPSEQ = 1,
		     ALOG_TCPOPT = 2,
		     ALOG_IPOPT = 4,
		     ALOG_UID = 8,
		     ALOG_MACDECODE = 0x20,
		     ALOG_ALL = 0x2f & ~0x10
};
enum ast_nat_kind { ANAT_SNAT, ANAT_DNAT, ANAT_MASQ, ANAT_REDIR };
enum ast_nat_flags { /* NF_NAT_RANGE_* */
		     ANAT_RANDOM = 4,
		     ANAT_PERSISTENT = 8,
		     ANAT_FULLY_RANDOM = 0x10,
		     ANAT_NETMAP = 0x40
};
enum ast_reject_kind { AREJ_DEFAULT, AREJ_ICMP, AREJ_ICMPV6, AREJ_ICMPX, AREJ_TCP_RESET };
enum ast_queue_flags { AQUEUE_BYPASS = 1, AQUEUE_FANOUT = 2 }; /* NFT_QUEUE_FLAG_* */
enum ast_dynset_op { ADYN_ADD, ADYN_UPDATE, ADYN_DELETE };     /* NFT_DYNSET_OP_* */

/* The state of stateful statements; objects of the same kinds use them too. */
struct ast_counter {
	uint64_t packets, bytes;
};
struct ast_limit {
	uint64_t rate;	/* packets, or bytes, per unit */
	uint64_t unit;	/* seconds: 1, 60, 3600, 86400, 604800 */
	uint64_t burst; /* packets or bytes */
	bool bytes;	/* rate is in bytes */
	bool over, has_burst, burst_bytes;
};
struct ast_quota {
	uint64_t bytes, used;
	bool over;
};
struct ast_last {
	bool set;
	uint64_t msecs; /* `last used 5m`; never: set false */
};
struct ast_log {
	struct ast_expr *prefix; /* AX_STRING or AX_VAR; its $variables are replaced already */
	uint32_t group, snaplen, qthreshold, flags;
	const char *level; /* "emerg" ... "debug", "audit"; NULL: none */
	bool has_group, has_snaplen, has_qthreshold;
};
struct ast_nat {
	enum ast_nat_kind kind;
	const char *family; /* "ip", "ip6" or NULL */
	struct ast_expr *addr,
		*port;	/* after `to`; addr may be AX_MAP, AX_CONCAT, AX_RANGE, AX_PREFIX */
	uint32_t flags; /* enum ast_nat_flags */
	bool addr_port; /* `snat ip addr . port to <map>` */
	bool prefix;	/* `snat ip prefix to` */
	bool interval;	/* `snat ip interval to` */
};
struct ast_queue {
	struct ast_expr
		*num; /* number, AX_RANGE, or an expression (`queue to numgen ...`); NULL: 0 */
	uint32_t flags;
};
struct ast_synproxy {
	uint32_t mss, wscale;
	bool has_mss, has_wscale, timestamp, sack_perm;
};
struct ast_dynset {
	enum ast_dynset_op op;
	const char *set; /* name after @ */
	struct loc set_loc;
	struct ast_elem elem; /* key; data for maps; opts: timeout, statements, comment */
	bool is_map;	      /* written in the map form: `add @m { key : data }` */
};
struct ast_meter {
	const char *name;
	uint32_t size;
	bool has_size;
	struct ast_elem elem; /* key and opts with the statement */
};
struct ast_objref {
	/*
	 * "counter", "quota", "limit", "ct helper", "ct timeout", "ct expectation", "secmark",
	 * "synproxy", "tunnel"
	 */
	const char *what;
	struct ast_expr *ref; /* name (AX_SYMBOL, AX_STRING), AX_VAR or AX_MAP */
};

struct ast_stmt {
	struct loc loc;
	enum ast_stmt_kind kind;
	union {
		struct ast_expr *expr;
		struct ast_counter counter;
		struct ast_limit *limit;
		struct ast_quota quota;
		struct ast_last last;
		struct {
			uint32_t count;
			bool over;
		} connlimit;
		struct ast_log *log;
		struct {
			enum ast_reject_kind kind;
			struct ast_expr *code; /* NULL: default */
		} reject;
		struct ast_queue queue;
		struct ast_nat *nat;
		struct {
			const char *family; /* "ip", "ip6" or NULL */
			struct ast_expr *addr, *port;
		} tproxy;
		struct ast_synproxy synproxy;
		struct {
			struct ast_expr *to, *dev;
			const char *family; /* `fwd ip to` */
		} dup;
		const char *name; /* AS_FLOW */
		struct {
			struct ast_expr *target, *value;
		} set;
		struct ast_dynset *dynset;
		struct ast_meter *meter;
		struct ast_objref objref;
		struct {
			const char *type, *name; /* "match", "target"; name */
			uint64_t rev, len;
			/* in hexadecimal, as nft2bpf writes it; NULL: not given, as nft does */
			const char *info;
		} xt;
	};
};

/* -- blocks ------------------------------------------------------------------------------------ */

struct ast_rule {
	struct loc loc; /* from the first statement to the end of the comment */
	const char *comment;
	struct loc comment_loc;
	VEC(struct ast_stmt *) stmts;
};

struct ast_prio {
	struct loc loc;
	struct ast_expr
		*expr;	/* AX_NUMBER (num: see offset), AX_SYMBOL, AX_STRING, AX_VAR; its value */
	int32_t offset; /* `filter + 10`: 10; a plain number: the number, expr AX_NUMBER 0 */
};

struct ast_chain {
	struct loc loc, name_loc;
	const char *name; /* anonymous: NULL */
	bool is_base;	  /* type ... hook ... priority was written */
	const char *type; /* word as written */
	const char *hook;
	struct loc type_loc, hook_loc;
	struct ast_prio prio;
	struct ast_expr *devices; /* value, AX_VAR, or AX_LIST of them; NULL: none */
	struct ast_expr *policy;  /* AX_SYMBOL "accept", "drop" or AX_VAR; NULL: none */
	bool hw_offload;
	const char *comment;
	VEC(struct ast_rule *) rules;
};

enum ast_set_flag {
	ASET_CONSTANT = 2,
	ASET_INTERVAL = 4,
	ASET_TIMEOUT = 0x10,
	ASET_DYNAMIC = 0x20
}; /* = NFT_SET_* */

/* What `type` or `typeof` says: either words joined by ` . `, or expressions. */
struct ast_type {
	struct loc loc;
	struct ast_expr *typeof_expr; /* typeof; concatenations: AX_CONCAT */
	VEC(const char *) names;      /* type ipv4_addr . inet_service */
	VEC(struct loc) name_locs;
	bool interval; /* map data: `type a : interval b` */
};

struct ast_set { /* set or map */
	struct loc loc, name_loc;
	const char *name;
	bool is_map;
	struct ast_type *key, *data; /* data: maps; verdict maps have the name "verdict" */
	/* object maps: "counter", "quota", "limit", "ct helper" ..., "secmark", "synproxy" */
	const char *obj;
	/* enum ast_set_flag: of a set the last line of flags, of a map all of them, as with nft */
	uint32_t flags, all_flags;
	bool has_flags, auto_merge;
	bool has_timeout, has_gc, has_size;
	uint64_t timeout, gc_interval; /* ms */
	uint32_t size;
	const char *policy; /* "performance", "memory" or NULL */
	const char *comment;
	struct ast_expr *elems; /* AX_SET or AX_VAR; NULL: none */
	VEC(struct ast_stmt *) stmts;
};

struct ast_flowtable {
	struct loc loc, name_loc;
	const char *name;
	const char *hook;
	struct ast_prio prio;
	struct ast_expr *devices; /* as in chains */
	bool has_counter, offload;
};

enum ast_obj_kind {
	AO_COUNTER,
	AO_QUOTA,
	AO_LIMIT,
	AO_CT_HELPER,
	AO_CT_TIMEOUT,
	AO_CT_EXPECT,
	AO_SECMARK,
	AO_SYNPROXY,
	AO_TUNNEL
};
struct ast_timeout_state {
	const char *state;
	struct loc loc;
	uint64_t secs;
};
struct ast_object {
	struct loc loc, name_loc;
	struct loc body; /* between the braces, for ast_text() */
	const char *name;
	enum ast_obj_kind kind;
	const char *comment;
	struct ast_counter counter;
	struct ast_quota quota;
	struct ast_limit limit;
	struct ast_synproxy synproxy;
	struct {
		const char *helper, *l4proto, *l3proto; /* type "ftp" protocol tcp; l3proto ip */
		uint64_t timeout;			/* expectation: ms */
		uint32_t dport, size;
		struct ast_expr *dport_expr;
		VEC(struct ast_timeout_state) policy;
	} ct;
	const char *secmark;
};

struct ast_table {
	struct loc loc;
	uint32_t flags; /* 1 dormant, 2 owner, 4 persist */
	const char *comment;
	/* In the order written; a name may come more than once (its parts add up). */
	VEC(struct ast_chain *) chains;
	VEC(struct ast_set *) sets;
	VEC(struct ast_object *) objs;
	VEC(struct ast_flowtable *) flowtables;
};

/* -- commands ---------------------------------------------------------------------------------- */

enum ast_op {
	ACMD_ADD, /* also the block form without a word */
	ACMD_CREATE,
	ACMD_INSERT,
	ACMD_REPLACE,
	ACMD_DELETE,
	ACMD_DESTROY,
	ACMD_RESET,
	ACMD_FLUSH,
	ACMD_RENAME,
	ACMD_LIST,
	ACMD_GET,
	ACMD_MONITOR,
	ACMD_EXPORT,
	ACMD_IMPORT,
	ACMD_DESCRIBE
};
/*
 * What a command acts on. The plurals (`list chains`, `reset counters`) are the same kind with
 * ref.name NULL.
 */
enum ast_what {
	AW_RULESET,
	AW_TABLE,
	AW_CHAIN,
	AW_RULE,
	AW_SET,
	AW_MAP,
	AW_METER,
	AW_ELEMENT,
	AW_FLOWTABLE,
	AW_OBJECT, /* cmd.obj_kind says which */
	AW_OTHER,  /* list hooks, monitor, describe ... : cmd.text */
};

/*
 * family: "ip", "ip6", "inet", "arp", "bridge", "netdev"; NULL: none written, so ip (ruleset: all).
 */
struct ast_ref {
	const char *family, *table, *name; /* name: of the chain, set, object ... */
	struct loc family_loc, table_loc, name_loc;
	uint64_t handle, index, position;
	bool has_handle, has_index, has_position;
};

struct ast_cmd {
	struct loc loc;
	enum ast_op op;
	enum ast_what what;
	enum ast_obj_kind obj_kind;
	struct ast_ref ref;
	union {
		struct ast_table *table; /* NULL: no block */
		struct ast_chain
			*chain; /* NULL: no block (add chain t c); its rules are added after */
		struct ast_rule *rule;
		struct ast_set *set;
		struct ast_expr *elems; /* AW_ELEMENT: AX_SET or AX_VAR */
		struct ast_flowtable *flowtable;
		struct ast_object *obj;
		const char *new_name; /* ACMD_RENAME */
		const char *text;     /* AW_OTHER */
	};
};

struct ast_define {
	const char *name;
	struct loc loc;
	struct ast_expr *value;
	bool used;
};

struct ast_script {
	struct arena *arena;
	struct diag *diag;
	VEC(struct ast_cmd *) cmds; /* in order; includes are expanded in place */
};

/* -- use --------------------------------------------------------------------------------------- */

struct parse_opts {
	const char *const *defines; /* -D: "name=value" */
	uint32_t n_defines;
	const char *const *dirs; /* -I, in order; then the including file's own search rules */
	uint32_t n_dirs;
};

/*
 * Reads a ruleset from a file, or stdin for "-". NULL after errors (they are in d). The tree is in
 * an arena of its own, which may be freed when it was evaluated; the texts in it, which messages
 * and the ruleset refer to, are in a.
 */
struct ast_script *ast_parse(struct arena *a, struct arena *nodes, struct diag *d, const char *path,
			     const struct parse_opts *opts);
/* The same from memory; path is for messages. The text must stay. */
struct ast_script *ast_parse_text(struct arena *a, struct arena *nodes, struct diag *d,
				  const char *path, const char *text, size_t len,
				  const struct parse_opts *opts);

/*
 * The elements of an AX_RUN one by one, in order, their nodes in an arena that may be emptied
 * between them.
 */
struct run_iter {
	const char *p, *end;
	struct arena *arena;
	uint32_t file, line, col; /* of p */
	bool has_data;
};
struct run_iter run_start(const struct ast_expr *run, struct arena *a);
bool run_next(struct run_iter *it, struct ast_elem *out);

/* The expression behind variables: never AX_VAR. */
struct ast_expr *ast_strip(struct ast_expr *e);
/* The text of a place on one line, blanks and comments folded, in the arena. */
const char *ast_text(struct arena *a, const struct diag *d, struct loc loc);
const char *ast_rule_text(struct arena *a, const struct diag *d, const struct ast_rule *r);
const char *ast_expr_kind_name(enum ast_expr_kind k); /* "payload" */
const char *ast_stmt_kind_name(enum ast_stmt_kind k); /* "match" */

/* `--emit ast`: one node a line, indented. */
void ast_print(const struct ast_script *s, FILE *f);

#endif
