/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * interp: the reference interpreter of the hinge, for tests.
 *
 * Runs a base chain of a ruleset on a described packet exactly as nf_tables would, and keeps what
 * rules and sets remember (counters, limits, quotas, generators, dynamic elements) apart from the
 * ruleset, so that one ruleset can be run any number of times. What it does not model it says:
 * INTERP_UNSUPPORTED, with the expression. It never guesses.
 *
 * Where kernels differ it does what the newest do: a transport header is not read in a later
 * fragment.
 */
#ifndef N2B_INTERP_H
#define N2B_INTERP_H

#include "ruleset.h"

struct pkt_dev {
	uint32_t index;
	const char *name;
	uint16_t type; /* ARPHRD_* */
	uint32_t group;
	const char *kind; /* of rtnl_link_ops ("vlan"); NULL: none */
};

enum pkt_ct_kind { PKT_CT_NONE, PKT_CT_UNTRACKED, PKT_CT_TEMPLATE, PKT_CT_ENTRY };

struct pkt_tuple {
	uint8_t src[16], dst[16];   /* network order; IPv4 in the first four */
	uint8_t sport[2], dport[2]; /* network order */
};

struct pkt_ct {
	enum pkt_ct_kind kind;
	/*
	 * enum ip_conntrack_info: 0 established, 1 related, 2 new, 3 and 4 the same in reply, 7
	 * untracked
	 */
	uint8_t info;
	uint32_t status, mark, secmark, expiration; /* expiration in ms */
	uint8_t l3num, proto;
	struct pkt_tuple tuple[2]; /* original, reply */
	uint16_t zone;		   /* id */
	uint8_t zone_dir;	   /* bit 0 original, bit 1 reply: where the zone counts */
	bool has_acct;
	uint64_t packets[2], bytes[2];
	bool has_labels;
	uint8_t labels[16];
	const char *helper; /* of the master connection; NULL: none */
	uint32_t id;	    /* as the kernel's hash gives it */
};

struct pkt {
	const uint8_t *l3; /* from the network header on */
	uint32_t len;	   /* its bytes: skb->len */
	const uint8_t *ll; /* link-layer header; NULL: none */
	uint32_t ll_len;
	bool has_vlan; /* a tag in the skb's fields, not in the bytes */
	uint16_t vlan_proto, vlan_tci;
	uint8_t pf; /* FAM_IP, FAM_IP6 */
	enum hooknum hook;
	const struct pkt_dev *in, *out; /* NULL: none at this hook */
	uint32_t mark, priority;
	uint16_t protocol; /* ethertype, host order; 0: as pf says */
	uint8_t pkt_type;  /* PACKET_HOST ... */
	bool has_sk;	   /* a full socket of this namespace with a file */
	uint32_t skuid, skgid, sk_mark;
	bool sk_transparent, sk_wildcard;
	const char *sdifname; /* NULL: none */
	bool has_cgroup;
	uint32_t cgroup;
	bool secpath;
	struct pkt_ct ct;
	uint32_t cpu;
	uint64_t mono_ns;	       /* monotonic clock: limits, timeouts, last */
	uint64_t real_ns;	       /* wall clock: meta time, hour, day */
	int32_t minuteswest;	       /* of the kernel's time zone: meta day */
	uint32_t (*random)(void *arg); /* meta random, numgen random; NULL: these are unsupported */
	void *random_arg;
};

enum interp_verdict {
	INTERP_ACCEPT,
	INTERP_DROP,
	INTERP_QUEUE,	    /* expr: the queue expression, NULL: a queue verdict */
	INTERP_UNSUPPORTED, /* expr: what is not modelled; NULL: the chain or packet as a whole */
};

/* What a run did besides the state it changed. */
struct interp_result {
	enum interp_verdict verdict;
	const struct expr *expr; /* unsupported, queue, reject */
	const struct rule *rule; /* that decided; NULL: the policy */
	uint32_t mark, priority; /* of the packet, after */
	uint8_t pkt_type;
	uint32_t ct_mark;
	bool notrack;  /* the packet was made untracked */
	uint32_t logs; /* log statements passed */
};

struct interp;
/*
 * State in an arena of its own; its clock (mono_ns) is 0 now: initial elements with a timeout start
 * running then.
 */
struct interp *interp_new(const struct ruleset *rs);
void interp_free(struct interp *in);
void interp_run(struct interp *in, const struct chain *base, const struct pkt *p,
		struct interp_result *r);

/* -- what rules and sets remember -------------------------------------------------------------- */

struct interp_state {
	const struct expr *expr; /* the statement, object's or element's expression it belongs to */
	union {
		struct {
			uint64_t packets, bytes;
		} counter;
		struct {
			uint64_t tokens, last; /* ns */
		} limit;
		struct {
			uint64_t consumed;
		} quota;
		struct {
			uint32_t counter;
		} numgen;
		struct {
			bool set;
			uint64_t at; /* mono_ns */
		} last;
	};
};
/* Of a rule's own expression or an object's; NULL: it keeps none. */
const struct interp_state *interp_state_of(const struct interp *in, const struct expr *e);

struct interp_elem {
	struct data key, key_end; /* as in struct set_elem */
	struct data data;
	struct verdict verdict;
	const struct obj *obj;
	uint64_t timeout_ms;	     /* 0: none */
	uint64_t expires_at_ns;	     /* mono_ns; 0: never */
	const struct set_elem *from; /* NULL: a rule added it */
	struct interp_state *states;
	uint32_t n_states;
};
/* The elements alive at a time, in no order: calls fn for each. */
void interp_elems(const struct interp *in, const struct set *s, uint64_t mono_ns,
		  void (*fn)(const struct interp_elem *el, void *arg), void *arg);

#endif
