/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gendeep: what lies deep in packets: tunnelled packets, options. For genpkt. */
#ifndef N2B_GENDEEP_H
#define N2B_GENDEEP_H

#include "genpkt.h"

/* Where a tunnelled packet's headers are, from the outer network header. */
struct deep {
	uint32_t tun, ll, nh, th;
};

/* What is wanted of it; 0: anything. */
struct deep_wish {
	uint8_t type; /* of nf_tables' inner expression: 1 vxlan, 2 geneve, 3 gre, 4 gretap */
	uint8_t pf, proto;
	bool vlan;
	bool plain; /* all of one shape, whole ones or cut short */
};

/*
 * Puts a tunnel behind the transport header at th (UDP's; a GRE header is the tunnel's own). Sets
 * p->len.
 */
void deep_tunnel(struct genpkt *g, struct gp_packet *p, uint32_t th, const struct deep_wish *w,
		 struct deep *d);
/* IPv4 options of `len` bytes (a multiple of 4) at b: often `kind`, rarely nonsense. */
void deep_ip4_options(struct genpkt *g, uint8_t *b, uint32_t len, uint8_t kind);
/* TCP options of `len` bytes (a multiple of 4, room for 4 more) at b: often `kind`. */
void deep_tcp_options(struct genpkt *g, uint8_t *b, uint32_t len, uint8_t kind);
/* Chunks behind an SCTP header, at most `max` bytes: returns how many. */
uint32_t deep_sctp_chunks(struct genpkt *g, uint8_t *b, uint32_t max, uint8_t kind);
/* A DCCP header with options: returns its length, at most 64. */
uint32_t deep_dccp(struct genpkt *g, uint8_t *b, uint8_t kind);
/* genfix.c: lengths, the packet's number and checksums, so that the stack and conntrack take it. */
void gendeep_finish(struct gp_packet *p);

#endif
