// SPDX-License-Identifier: GPL-2.0-or-later
/* pvalue: data of the hinge as nft's words: numbers, addresses, names, flags, times. */
#include <arpa/inet.h>

#include "print.h"

struct sym {
	uint64_t v;
	const char *name;
};

static const struct sym sym_ctstate[] = { { 1, "invalid" },	{ 8, "new" },
					  { 2, "established" }, { 4, "related" },
					  { 64, "untracked" },	{ 0, NULL } };
static const struct sym sym_ctstatus[] = { { 1, "expected" }, { 2, "seen-reply" },
					   { 4, "assured" },  { 8, "confirmed" },
					   { 16, "snat" },    { 32, "dnat" },
					   { 512, "dying" },  { 0, NULL } };
static const struct sym sym_tcpflag[] = { { 1, "fin" },	 { 2, "syn" },	 { 4, "rst" },
					  { 8, "psh" },	 { 16, "ack" },	 { 32, "urg" },
					  { 64, "ecn" }, { 128, "cwr" }, { 0, NULL } };
static const struct sym sym_proto[] = { { 1, "icmp" },	     { 6, "tcp" },    { 17, "udp" },
					{ 33, "dccp" },	     { 50, "esp" },   { 51, "ah" },
					{ 58, "ipv6-icmp" }, { 132, "sctp" }, { 136, "udplite" },
					{ 0, NULL } };
static const struct sym sym_ethertype[] = {
	{ 0x0800, "ip" }, { 0x86dd, "ip6" }, { 0x0806, "arp" }, { 0x8100, "vlan" }, { 0, NULL }
};
static const struct sym sym_nfproto[] = { { 2, "ipv4" }, { 10, "ipv6" }, { 0, NULL } };
static const struct sym sym_pkttype[] = {
	{ 1, "broadcast" }, { 2, "multicast" }, { 3, "other" }, { 0, NULL }
};
static const struct sym sym_ctdir[] = { { 0, "original" }, { 1, "reply" }, { 0, NULL } };
static const struct sym sym_bool[] = { { 0, "missing" }, { 1, "exists" }, { 0, NULL } };
static const struct sym sym_fibtype[] = { { 0, "unspec" },    { 1, "unicast" },
					  { 2, "local" },     { 3, "broadcast" },
					  { 4, "anycast" },   { 5, "multicast" },
					  { 6, "blackhole" }, { 7, "unreachable" },
					  { 8, "prohibit" },  { 0, NULL } };
static const struct sym sym_icmp[] = {
	{ 0, "echo-reply" },	       { 3, "destination-unreachable" },
	{ 4, "source-quench" },	       { 5, "redirect" },
	{ 8, "echo-request" },	       { 9, "router-advertisement" },
	{ 10, "router-solicitation" }, { 11, "time-exceeded" },
	{ 12, "parameter-problem" },   { 13, "timestamp-request" },
	{ 14, "timestamp-reply" },     { 15, "info-request" },
	{ 16, "info-reply" },	       { 17, "address-mask-request" },
	{ 18, "address-mask-reply" },  { 0, NULL }
};
static const struct sym sym_icmp6[] = { { 1, "destination-unreachable" },
					{ 2, "packet-too-big" },
					{ 3, "time-exceeded" },
					{ 4, "parameter-problem" },
					{ 128, "echo-request" },
					{ 129, "echo-reply" },
					{ 130, "mld-listener-query" },
					{ 131, "mld-listener-report" },
					{ 132, "mld-listener-done" },
					{ 133, "nd-router-solicit" },
					{ 134, "nd-router-advert" },
					{ 135, "nd-neighbor-solicit" },
					{ 136, "nd-neighbor-advert" },
					{ 137, "nd-redirect" },
					{ 138, "router-renumbering" },
					{ 141, "ind-neighbor-solicit" },
					{ 142, "ind-neighbor-advert" },
					{ 143, "mld2-listener-report" },
					{ 0, NULL } };

static const struct sym *const syms[] = {
	[PT_PROTO] = sym_proto,	    [PT_ETHERTYPE] = sym_ethertype, [PT_NFPROTO] = sym_nfproto,
	[PT_PKTTYPE] = sym_pkttype, [PT_BOOL] = sym_bool,	    [PT_CTSTATE] = sym_ctstate,
	[PT_CTDIR] = sym_ctdir,	    [PT_CTSTATUS] = sym_ctstatus,   [PT_TCPFLAG] = sym_tcpflag,
	[PT_ICMP] = sym_icmp,	    [PT_ICMP6] = sym_icmp6,	    [PT_FIBTYPE] = sym_fibtype,
	[PT_NONE] = NULL,
};

bool ptype_is_flags(enum ptype t)
{
	return t == PT_CTSTATE || t == PT_CTSTATUS || t == PT_TCPFLAG;
}

uint64_t pv_number(const uint8_t *b, uint32_t len, bool host)
{
	uint64_t v = 0;
	uint32_t i;

	if (host) {
		uint16_t h;
		uint32_t w;

		if (len == 1)
			return b[0];
		if (len == 2)
			return memcpy(&h, b, 2), h;
		if (len == 4)
			return memcpy(&w, b, 4), w;
		if (len == 8)
			return memcpy(&v, b, 8), v;
	}
	for (i = 0; i < len && i < 8; i++)
		v = v << 8 | b[i];
	return v;
}

int pv_prefix_len(const uint8_t *mask, uint32_t len)
{
	uint32_t n = 0, i;

	while (n < len * 8 && mask[n / 8] >> (7 - n % 8) & 1)
		n++;
	for (i = n; i < len * 8; i++)
		if (mask[i / 8] >> (7 - i % 8) & 1)
			return -1;
	return (int)n;
}

void pv_flags(struct sbuf *out, enum ptype t, uint64_t v, const char *sep)
{
	const struct sym *s;
	uint64_t left = v;
	bool first = true;

	for (s = syms[t]; s->name; s++)
		left &= ~s->v;
	if (left || !v) {
		sb_printf(out, "0x%llx", (unsigned long long)v);
		return;
	}
	for (s = syms[t]; s->name; s++) {
		if (!(v & s->v))
			continue;
		sb_printf(out, "%s%s", first ? "" : sep, s->name);
		first = false;
	}
}

void pv_time(struct sbuf *out, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = {
		{ 86400000, "d" }, { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" }
	};
	uint32_t i;

	if (!ms)
		sb_puts(out, "0s");
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (ms >= units[i].ms)
			sb_printf(out, "%llu%s", (unsigned long long)(ms / units[i].ms),
				  units[i].unit);
		ms %= units[i].ms;
	}
}

void pv_string(struct sbuf *out, const char *s)
{
	sb_printf(out, "\"%s\"", s);
}

void pv_bytes(struct sbuf *out, uint64_t bytes)
{
	if (bytes && bytes % (1024 * 1024) == 0)
		sb_printf(out, "%llu mbytes", (unsigned long long)(bytes / (1024 * 1024)));
	else if (bytes && bytes % 1024 == 0)
		sb_printf(out, "%llu kbytes", (unsigned long long)(bytes / 1024));
	else
		sb_printf(out, "%llu bytes", (unsigned long long)bytes);
}

static void pv_ether(struct sbuf *out, const uint8_t *b, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		sb_printf(out, "%s%02x", i ? ":" : "", b[i]);
}

static void pv_ifname(struct sbuf *out, const uint8_t *b, uint32_t len)
{
	uint32_t n = 0, i;

	while (n < len && b[n])
		n++;
	sb_puts(out, "\"");
	/* Fewer bytes than a name has, without its end: a prefix. A '*' that is meant is escaped. */
	for (i = 0; i < n; i++)
		sb_printf(out, "%s%c", b[i] == '*' && i + 1 == n ? "\\" : "", b[i]);
	sb_puts(out, n == len && len < 16 ? "*\"" : "\"");
}

static void pv_hex(struct sbuf *out, const uint8_t *b, uint32_t len, bool host)
{
	uint32_t i;

	if (len <= 8) {
		sb_printf(out, "0x%llx", (unsigned long long)pv_number(b, len, host));
		return;
	}
	sb_puts(out, "0x");
	for (i = 0; i < len; i++)
		sb_printf(out, "%02x", b[i]);
}

void pv_data(struct sbuf *out, enum ptype t, bool host, const uint8_t *b, uint32_t len)
{
	char s[INET6_ADDRSTRLEN];
	const struct sym *y;
	uint64_t v;

	if ((t == PT_IP4 && len == 4) || (t == PT_IP6 && len == 16)) {
		sb_puts(out, inet_ntop(t == PT_IP4 ? AF_INET : AF_INET6, b, s, sizeof(s)));
		return;
	}
	if (t == PT_ETHER && len == 6)
		return pv_ether(out, b, len);
	if (t == PT_IFNAME)
		return pv_ifname(out, b, len);
	if (t == PT_STRING) {
		sb_printf(out, "\"%.*s\"", (int)strnlen((const char *)b, len), (const char *)b);
		return;
	}
	if (t == PT_HEX || len > 8)
		return pv_hex(out, b, len, host);
	v = pv_number(b, len, host);
	for (y = syms[t]; y && y->name; y++)
		if (y->v == v) {
			sb_puts(out, y->name);
			return;
		}
	if (t == PT_MARK || t == PT_ETHERTYPE)
		sb_printf(out, "0x%0*llx", (int)len * 2, (unsigned long long)v);
	else if (t == PT_CLASSID)
		sb_printf(out, "%llx:%llx", (unsigned long long)(v >> 16),
			  (unsigned long long)(v & 0xffff));
	else if (t == PT_TIMENS && v % 1000000000 == 0)
		sb_printf(out, "%llu", (unsigned long long)(v / 1000000000));
	else if (t == PT_TIMEMS)
		pv_time(out, v);
	else
		sb_printf(out, "%llu", (unsigned long long)v);
}

/* Names do not stand in ranges. */
enum ptype pv_range_type(enum ptype t)
{
	return t < ARRAY_SIZE(syms) && syms[t] ? PT_INT : t;
}

enum ptype pv_decl_type(const char *decl, bool *host, uint32_t *len)
{
	static const struct {
		const char *name;
		enum ptype t;
		bool host;
		uint32_t len;
	} decls[] = {
		{ "ipv4_addr", PT_IP4, false, 4 },
		{ "ipv6_addr", PT_IP6, false, 16 },
		{ "ether_addr", PT_ETHER, false, 6 },
		{ "inet_service", PT_PORT, false, 2 },
		{ "inet_proto", PT_PROTO, true, 1 },
		{ "mark", PT_MARK, true, 4 },
		{ "ct_state", PT_CTSTATE, true, 4 },
		{ "ct_dir", PT_CTDIR, true, 1 },
		{ "ct_status", PT_CTSTATUS, true, 4 },
		{ "ifname", PT_IFNAME, true, 16 },
		{ "iface_index", PT_IFINDEX, true, 4 },
		{ "icmp_type", PT_ICMP, false, 1 },
		{ "icmpv6_type", PT_ICMP6, false, 1 },
		{ "ether_type", PT_ETHERTYPE, false, 2 },
		{ "nf_proto", PT_NFPROTO, true, 1 },
		{ "pkt_type", PT_PKTTYPE, true, 1 },
		{ "classid", PT_CLASSID, true, 4 },
		{ "tcp_flag", PT_TCPFLAG, false, 1 },
		{ "devgroup", PT_INT, true, 4 },
		{ "iface_type", PT_INT, true, 2 },
		{ "uid", PT_INT, true, 4 },
		{ "gid", PT_INT, true, 4 },
		{ "realm", PT_INT, true, 4 },
		{ "icmp_code", PT_INT, false, 1 },
		{ "icmpv6_code", PT_INT, false, 1 },
		{ "dscp", PT_INT, false, 1 },
		{ "ecn", PT_INT, false, 1 },
		{ "cgroup", PT_INT, true, 4 },
		{ "fib_addrtype", PT_FIBTYPE, true, 4 },
		{ "boolean", PT_BOOL, true, 1 },
		{ "arp_op", PT_INT, false, 2 },
		{ "icmpx_code", PT_INT, false, 1 },
		{ "integer", PT_INT, false, 0 },
	};
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(decls); i++)
		if (!strcmp(decl, decls[i].name)) {
			*host = decls[i].host;
			*len = decls[i].len;
			return decls[i].t;
		}
	return PT_NONE;
}

enum ptype pv_number_type(uint32_t type, bool *host)
{
	static const char *const names[] = {
		[2] = "nf_proto",      [4] = "integer",	     [5] = "ifname",
		[7] = "ipv4_addr",     [8] = "ipv6_addr",    [9] = "ether_addr",
		[10] = "ether_type",   [11] = "arp_op",	     [12] = "inet_proto",
		[13] = "inet_service", [14] = "icmp_type",   [15] = "tcp_flag",
		[19] = "mark",	       [20] = "iface_index", [21] = "iface_type",
		[22] = "realm",	       [23] = "classid",     [24] = "uid",
		[25] = "gid",	       [26] = "ct_state",    [27] = "ct_dir",
		[28] = "ct_status",    [29] = "icmpv6_type", [31] = "pkt_type",
		[32] = "icmp_code",    [33] = "icmpv6_code", [34] = "icmpx_code",
		[35] = "devgroup",     [36] = "dscp",	     [37] = "ecn",
		[38] = "fib_addrtype", [39] = "boolean",     [41] = "ifname",
	};
	uint32_t len;

	if (type >= ARRAY_SIZE(names) || !names[type])
		return PT_NONE;
	return pv_decl_type(names[type], host, &len);
}
