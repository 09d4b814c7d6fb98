/* SPDX-License-Identifier: GPL-2.0-or-later */
/* symbols: the word tables of symbols.c, each ending with a NULL name. */
#ifndef N2B_SYMBOLS_H
#define N2B_SYMBOLS_H

#include "types.h"

extern const struct symval sym_nfproto[];
extern const struct symval sym_ethertype[];
extern const struct symval sym_arpop[];
extern const struct symval sym_icmp_type[];
extern const struct symval sym_tcp_flag[];
extern const struct symval sym_dccp_pkttype[];
extern const struct symval sym_mh_type[];
extern const struct symval sym_arphrd[];
extern const struct symval sym_ct_state[];
extern const struct symval sym_ct_dir[];
extern const struct symval sym_ct_status[];
extern const struct symval sym_icmpv6_type[];
extern const struct symval sym_pkttype[];
extern const struct symval sym_icmp_code[];
extern const struct symval sym_icmpv6_code[];
extern const struct symval sym_icmpx_code[];
extern const struct symval sym_dscp[];
extern const struct symval sym_ecn[];
extern const struct symval sym_fib_addr[];
extern const struct symval sym_boolean[];
extern const struct symval sym_ct_event[];
extern const struct symval sym_igmp_type[];
extern const struct symval sym_mptcp[];
extern const struct symval sym_day[];
extern const struct symval sym_protocols[];

#endif
