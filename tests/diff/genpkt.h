/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * genpkt: packets on and around what a ruleset speaks of, for the differential tests.
 *
 * Each rule, with the matches on one way of jumps that leads to it, is a target: packets are made
 * that have all its values, or all but one, or values one beside; and around them answers,
 * repetitions, fragments, extension headers, options, truncated headers and noise. The same ruleset
 * and seed give the same packets.
 */
#ifndef N2B_GENPKT_H
#define N2B_GENPKT_H

#include "ruleset.h"

enum gp_way { GP_IN, GP_FWD, GP_OUT }; /* which hooks it is meant to see */

#define GP_MAX 1600
struct gp_packet {
	uint8_t pf; /* FAM_IP, FAM_IP6 */
	enum gp_way way;
	uint8_t b[GP_MAX]; /* from the network header on */
	uint32_t len;
	uint32_t id; /* number of the packet, in the IPv4 ID or the low 16 bits of the flow label */
	uint32_t iface,
		oface; /* index into genpkt's names: where it comes in (or goes out, GP_OUT) */
	uint32_t mark; /* GP_OUT: of the socket */
	bool odd;      /* fragment, truncated or malformed */
};

struct genpkt;
/* families: which packet families the ruleset's base chains see is worked out from it. */
struct genpkt *genpkt_new(struct arena *a, const struct ruleset *rs, uint64_t seed);
/*
 * From now on tunnelled packets have the shape that the first rule which looks into such a tunnel
 * wants. (A kernel may take the headers' offsets for those of the packet that was at the same
 * address before: nft_inner.)
 */
void genpkt_plain_tunnels(struct genpkt *g);
/* The interfaces that the ruleset names (wildcards made whole), and a few more; at most 8. */
uint32_t genpkt_ifaces(const struct genpkt *g, const char *const **names);
/* The next packet, with number id. way: the one wanted. */
void genpkt_next(struct genpkt *g, enum gp_way way, uint32_t id, struct gp_packet *p);
/*
 * Where the transport header is, behind IPv6's extension headers, and what: 44 is a fragment
 * header, which is not looked behind.
 */
uint32_t gp_transport(const struct gp_packet *p, uint8_t *proto);
uint32_t genpkt_rand(struct genpkt *g, uint32_t n); /* 0 to n-1 */

#endif
