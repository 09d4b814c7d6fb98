// SPDX-License-Identifier: GPL-2.0-or-later
/* The words of the datatypes that are the same on every machine. */
#include "symbols.h"

#define END                                                                                        \
	{                                                                                          \
		NULL, 0                                                                            \
	}

const struct symval sym_nfproto[] = { { "ipv4", 2 }, { "ipv6", 10 }, END };
const struct symval sym_ethertype[] = { { "ip", 0x0800 },
					{ "arp", 0x0806 },
					{ "ip6", 0x86dd },
					{ "8021q", 0x8100 },
					{ "8021ad", 0x88a8 },
					{ "vlan", 0x8100 },
					END };
const struct symval sym_arpop[] = { { "request", 1 },	{ "reply", 2 },
				    { "rrequest", 3 },	{ "rreply", 4 },
				    { "inrequest", 8 }, { "inreply", 9 },
				    { "nak", 10 },	END };
const struct symval sym_icmp_type[] = {
	{ "echo-reply", 0 },	       { "destination-unreachable", 3 },
	{ "source-quench", 4 },	       { "redirect", 5 },
	{ "echo-request", 8 },	       { "router-advertisement", 9 },
	{ "router-solicitation", 10 }, { "time-exceeded", 11 },
	{ "parameter-problem", 12 },   { "timestamp-request", 13 },
	{ "timestamp-reply", 14 },     { "info-request", 15 },
	{ "info-reply", 16 },	       { "address-mask-request", 17 },
	{ "address-mask-reply", 18 },  END
};
const struct symval sym_tcp_flag[] = { { "fin", 0x01 }, { "syn", 0x02 }, { "rst", 0x04 },
				       { "psh", 0x08 }, { "ack", 0x10 }, { "urg", 0x20 },
				       { "ecn", 0x40 }, { "cwr", 0x80 }, END };
const struct symval sym_dccp_pkttype[] = { { "request", 0 },
					   { "response", 1 },
					   { "data", 2 },
					   { "ack", 3 },
					   { "dataack", 4 },
					   { "closereq", 5 },
					   { "close", 6 },
					   { "reset", 7 },
					   { "sync", 8 },
					   { "syncack", 9 },
					   END };
const struct symval sym_mh_type[] = { { "binding-refresh-request", 0 },
				      { "home-test-init", 1 },
				      { "careof-test-init", 2 },
				      { "home-test", 3 },
				      { "careof-test", 4 },
				      { "binding-update", 5 },
				      { "binding-acknowledgement", 6 },
				      { "binding-error", 7 },
				      { "fast-binding-update", 8 },
				      { "fast-binding-acknowledgement", 9 },
				      { "fast-binding-advertisement", 10 },
				      { "experimental-mobility-header", 11 },
				      { "home-agent-switch-message", 12 },
				      END };
const struct symval sym_arphrd[] = { { "ether", 1 },	  { "ppp", 512 },
				     { "ipip", 768 },	  { "ipip6", 769 },
				     { "loopback", 772 }, { "sit", 776 },
				     { "ipgre", 778 },	  END };
const struct symval sym_ct_state[] = { { "invalid", 1 }, { "new", 8 },	      { "established", 2 },
				       { "related", 4 }, { "untracked", 64 }, END };
const struct symval sym_ct_dir[] = { { "original", 0 }, { "reply", 1 }, END };
const struct symval sym_ct_status[] = { { "expected", 1 },  { "seen-reply", 2 },
					{ "assured", 4 },   { "confirmed", 8 },
					{ "snat", 0x10 },   { "dnat", 0x20 },
					{ "dying", 0x200 }, END };
const struct symval sym_icmpv6_type[] = {
	{ "destination-unreachable", 1 }, { "packet-too-big", 2 },
	{ "time-exceeded", 3 },		  { "parameter-problem", 4 },
	{ "echo-request", 128 },	  { "echo-reply", 129 },
	{ "mld-listener-query", 130 },	  { "mld-listener-report", 131 },
	{ "mld-listener-done", 132 },	  { "mld-listener-reduction", 132 },
	{ "nd-router-solicit", 133 },	  { "nd-router-advert", 134 },
	{ "nd-neighbor-solicit", 135 },	  { "nd-neighbor-advert", 136 },
	{ "nd-redirect", 137 },		  { "router-renumbering", 138 },
	{ "ind-neighbor-solicit", 141 },  { "ind-neighbor-advert", 142 },
	{ "mld2-listener-report", 143 },  END
};
const struct symval sym_pkttype[] = { { "host", 0 },	  { "unicast", 0 }, { "broadcast", 1 },
				      { "multicast", 2 }, { "other", 3 },   END };
const struct symval sym_icmp_code[] = {
	{ "net-unreachable", 0 },  { "host-unreachable", 1 },  { "prot-unreachable", 2 },
	{ "port-unreachable", 3 }, { "frag-needed", 4 },       { "net-prohibited", 9 },
	{ "host-prohibited", 10 }, { "admin-prohibited", 13 }, END
};
const struct symval sym_icmpv6_code[] = { { "no-route", 0 },
					  { "admin-prohibited", 1 },
					  { "addr-unreachable", 3 },
					  { "port-unreachable", 4 },
					  { "policy-fail", 5 },
					  { "reject-route", 6 },
					  END };
const struct symval sym_icmpx_code[] = { { "no-route", 0 },
					 { "port-unreachable", 1 },
					 { "host-unreachable", 2 },
					 { "admin-prohibited", 3 },
					 END };
const struct symval sym_dscp[] = { { "cs0", 0x00 },   { "cs1", 0x08 },
				   { "cs2", 0x10 },   { "cs3", 0x18 },
				   { "cs4", 0x20 },   { "cs5", 0x28 },
				   { "cs6", 0x30 },   { "cs7", 0x38 },
				   { "df", 0x00 },    { "be", 0x00 },
				   { "lephb", 0x01 }, { "af11", 0x0a },
				   { "af12", 0x0c },  { "af13", 0x0e },
				   { "af21", 0x12 },  { "af22", 0x14 },
				   { "af23", 0x16 },  { "af31", 0x1a },
				   { "af32", 0x1c },  { "af33", 0x1e },
				   { "af41", 0x22 },  { "af42", 0x24 },
				   { "af43", 0x26 },  { "va", 0x2c },
				   { "ef", 0x2e },    END };
const struct symval sym_ecn[] = {
	{ "not-ect", 0 }, { "ect1", 1 }, { "ect0", 2 }, { "ce", 3 }, END
};
const struct symval sym_fib_addr[] = { { "unspec", 0 },	   { "unicast", 1 },
				       { "local", 2 },	   { "broadcast", 3 },
				       { "anycast", 4 },   { "multicast", 5 },
				       { "blackhole", 6 }, { "unreachable", 7 },
				       { "prohibit", 8 },  END };
const struct symval sym_boolean[] = { { "exists", 1 }, { "missing", 0 }, END };
const struct symval sym_ct_event[] = { { "new", 1 },	   { "related", 2 },  { "destroy", 4 },
				       { "reply", 8 },	   { "assured", 16 }, { "protoinfo", 32 },
				       { "helper", 64 },   { "mark", 128 },   { "seqadj", 256 },
				       { "secmark", 512 }, { "label", 1024 }, END };
const struct symval sym_igmp_type[] = {
	{ "membership-query", 0x11 },	  { "membership-report-v1", 0x12 },
	{ "membership-report-v2", 0x16 }, { "membership-report-v3", 0x22 },
	{ "leave-group", 0x17 },	  END
};
const struct symval sym_mptcp[] = { { "mp-capable", 0 },  { "mp-join", 1 },
				    { "dss", 2 },	  { "add-addr", 3 },
				    { "remove-addr", 4 }, { "mp-prio", 5 },
				    { "mp-fail", 6 },	  { "mp-fastclose", 7 },
				    { "mp-tcprst", 8 },	  END };
const struct symval sym_day[] = { { "Sunday", 0 },   { "Monday", 1 },
				  { "Tuesday", 2 },  { "Wednesday", 3 },
				  { "Thursday", 4 }, { "Friday", 5 },
				  { "Saturday", 6 }, END };
const struct symval sym_protocols[] = { { "ip", 0 },
					{ "icmp", 1 },
					{ "igmp", 2 },
					{ "ggp", 3 },
					{ "ipencap", 4 },
					{ "ipv4", 4 },
					{ "tcp", 6 },
					{ "egp", 8 },
					{ "udp", 17 },
					{ "dccp", 33 },
					{ "ipv6", 41 },
					{ "ipv6-route", 43 },
					{ "ipv6-frag", 44 },
					{ "rsvp", 46 },
					{ "gre", 47 },
					{ "esp", 50 },
					{ "ah", 51 },
					{ "ipv6-icmp", 58 },
					{ "icmpv6", 58 },
					{ "ipv6-nonxt", 59 },
					{ "ipv6-opts", 60 },
					{ "eigrp", 88 },
					{ "ospf", 89 },
					{ "ipip", 94 },
					{ "pim", 103 },
					{ "comp", 108 },
					{ "ipcomp", 108 },
					{ "vrrp", 112 },
					{ "l2tp", 115 },
					{ "sctp", 132 },
					{ "mobility-header", 135 },
					{ "udplite", 136 },
					{ "mptcp", 262 },
					END };
