/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proto: headers, their fields, and which protocol stands above which.
 *
 * Offsets and lengths are in bits, from the start of the header. A protocol that names its
 * successor has a key: the field (or, where it must hold for several link layers, the meta key)
 * whose value chooses what lies above it.
 */
#ifndef N2B_PROTO_H
#define N2B_PROTO_H

#include "types.h"

enum proto_base { PBASE_NONE, PBASE_LL, PBASE_NET, PBASE_TRANS, PBASE_INNER, PBASE_COUNT };

enum proto_id {
	PROTO_NONE,
#define P(id, ...) PROTO_##id,
#include "proto.def"
#undef P
	PROTO_COUNT
};

/* What an ICMP field needs to be there: the message type of its row; ICMP_ANY: any. */
enum icmp_dep {
	ICMP_ANY,
	ICMP_DEP_ECHO,
	ICMP_DEP_MTU,
	ICMP_DEP_ADDRESS,
	ICMP6_DEP_MTU,
	ICMP6_DEP_PPTR,
	ICMP6_DEP_ECHO,
	ICMP6_DEP_MGMQ,
	ICMP6_DEP_ADDRESS,
	ICMP6_DEP_REDIRECT,
};

enum field_flags {
	FIELD_KEY = 1,	  /* chooses the protocol above, or counts as such a choice */
	FIELD_CSUM = 2,	  /* the header's checksum */
	FIELD_PSEUDO = 4, /* part of the transport's pseudo header */
};
struct field {
	enum proto_id proto;
	const char *name;
	enum type_num type;
	uint16_t off, bits;
	uint16_t flags;
	enum icmp_dep dep;
};

struct proto {
	enum proto_id id;
	const char *name;
	enum proto_base base;
	uint32_t bits;	    /* of the header, where another of the same base may follow */
	uint32_t csum_type; /* NFT_PAYLOAD_CSUM_* */
	uint32_t meta_key;  /* the key is this meta key, not a field; ~0: none */
	enum type_num meta_type;
	/* Tunnels: */
	uint32_t inner_type, inner_hdr, inner_flags; /* NFT_INNER_* */
	const struct field *fields;
	uint32_t n_fields;
};

const struct proto *proto_of(enum proto_id id);
const struct proto *proto_by_name(const char *name); /* NULL: none */
const struct field *proto_field(const struct proto *p, const char *name);
const struct field *proto_key(const struct proto *p); /* NULL: none */
/* The protocol above p for a value of its key; NULL: none known. */
const struct proto *proto_upper(const struct proto *p, uint32_t num);
/* The value of p's key that chooses up; -1: none does. */
int proto_num(const struct proto *p, const struct proto *up);

/* Headers that are found by walking: IPv6 extension headers, options, chunks. */
struct ext_field {
	const char *hdr, *name;
	uint8_t kind; /* header, option or chunk number */
	enum type_num type;
	uint16_t off, bits;
};
/*
 * kind AX_EXTHDR, AX_TCPOPT, AX_IPOPT, AX_SCTP stand for op; NULL: no such header or field. field
 * NULL: the first.
 */
const struct ext_field *ext_find(enum exthdr_op op, const char *hdr, const char *field);
/* The n-th field of a header by its number; NULL: there are fewer. */
const struct ext_field *ext_nth(enum exthdr_op op, uint8_t kind, uint32_t n);
bool tcpopt_kind(const char *name, uint8_t *kind);

#endif
