/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * manifest: what an object says of itself in its section .nft2bpf, for nft2bpfctl: JSON text.
 *
 * It holds the whole original ruleset as nft text (names and addresses resolved), the fallback, and
 * where the state that the programs keep is to be found. Written by nft2bpf, read by nft2bpfctl.
 */
#ifndef N2B_MANIFEST_H
#define N2B_MANIFEST_H

#include "base.h"

#define MANIFEST_VERSION 3
#define MANIFEST_SECTION ".nft2bpf"

struct mf_prog {
	const char *name;		    /* the program's name in the object */
	const char *pf;			    /* "ip" or "ip6": what it is attached for */
	const char *hook;		    /* "input" */
	uint32_t hooknum;		    /* NF_INET_* */
	int32_t prio;			    /* of the base chain it stands for */
	const char *family, *table, *chain; /* that base chain */
	bool residual;			    /* the fallback holds a residual chain behind it */
	/*
	 * Base chains that it stands for too, in the order in which they run: "inet t c, ip u d";
	 * NULL: none.
	 */
	const char *then;
};

enum mf_state_kind { MF_COUNTER, MF_LIMIT, MF_QUOTA, MF_LAST, MF_NUMGEN };

/*
 * One state of the programs: a value of a map, and the statement of the ruleset that it is the
 * state of.
 */
struct mf_state {
	enum mf_state_kind kind;
	const char *map; /* name of the map in the object */
	uint32_t index;	 /* key in it */
	const char *family, *table;
	const char *chain;  /* NULL: a named object */
	const char *object; /* named object, or NULL */
	uint32_t rule;	    /* index in its chain */
	/* among the rule's expressions of this kind: a text may be read back as fewer others */
	uint32_t nth;
	uint64_t a, b; /* initial values: packets and bytes; quota: bytes used */
};

/* A named set that the programs look up. Keys and values: struct obj_set in obj.h. */
struct mf_set {
	const char *family, *table, *set;
	const char *map;    /* NULL: constant, compiled in */
	const char *layout; /* "hash", "lpm", "index" (setindex.h), "const" */
	bool only_map; /* its elements are left out of the manifest's texts: the map has them all */
	bool timeouts;
	bool catchall;		     /* map "<map>_all" holds the catch-all element under key 0 */
	VEC(uint32_t) fields;	     /* bytes of each field */
	uint32_t key_len, value_len; /* bytes in the map's key and value */
	uint32_t data_words, expr_off;
	VEC(const char *)
	verdicts; /* verdict maps: "accept", "jump x", by index; object maps: the objects' names */
};

/*
 * Initial elements of a map: n keys and n values in the section OBJ_ELEMS_SECTION (obj.h), which
 * begin at these bytes of it; a value follows value_step bytes behind the one before (0: all have
 * the same). Only in an object: what is loaded has them in its maps.
 */
struct mf_elems {
	const char *map;
	uint32_t key_len, value_len, n, keys_at, values_at, value_step;
};

struct mf_rule { /* where rules run that stand in a row, as in --report */
	const char *family, *table, *chain;
	uint32_t index, n; /* the first; how many */
	const char *where, *reason;
};

/* Where a rule of the original stands in the fallback; one rule may stand in several places. */
struct mf_copy {
	const char *family, *table;
	const char *chain;     /* in the original */
	uint32_t rule;	       /* its index there */
	const char *res_chain; /* in the fallback, same table */
	uint32_t res_rule;
};

/*
 * What a counter that nft keeps had counted before its ruleset was replaced; only in the manifest
 * of what is loaded.
 */
struct mf_carried {
	const char *family, *table;
	const char *chain;	 /* NULL: a named object */
	const char *object;	 /* or NULL */
	uint32_t rule, nth;	 /* as in struct mf_state */
	uint64_t packets, bytes; /* to be added to what nft says */
};

struct manifest {
	const char *compiler; /* "nft2bpf 0.1.0" */
	const char *ruleset;  /* the original, as `nft list ruleset` would print it */
	const char *preamble; /* commands on what the kernel held before ("flush ruleset"), or "" */
	const char *fallback; /* what goes to nft beside the programs */
	bool fallback_empty;  /* only comments in it */
	/* nothing in it runs for a packet: no base chain, only what switches conntrack on */
	bool fallback_idle;
	VEC(struct mf_prog) progs;
	VEC(struct mf_state) states;
	VEC(struct mf_set) sets;
	VEC(struct mf_elems) elems;
	VEC(struct mf_rule) rules;
	VEC(struct mf_copy) copies;
	VEC(struct mf_carried) carried;
	VEC(const char *) tables; /* "inet filter": tables of the original, in order */
	/* Only in the manifest of what is loaded, when tables of the user's had to make room: */
	const char *prefix;	  /* of the names that the tables have in nftables; else "" */
	VEC(const char *) asleep; /* "inet filter": the user's tables that sleep meanwhile */
};

/* JSON text in the arena; *len its length without the final NUL. */
const char *manifest_write(struct arena *a, const struct manifest *m, size_t *len);
/* NULL when it is not a manifest of this version: *why says what is wrong. */
struct manifest *manifest_read(struct arena *a, const char *json, size_t len, const char **why);

#endif
