// SPDX-License-Identifier: GPL-2.0-or-later
/* pvalue: data of the hinge as nft's words: numbers, addresses, names, flags, times. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <time.h>

#include "print.h"
#include "symbols.h"

/* Protocols that nft knows by name whatever /etc/protocols says. */
static const struct symval sym_l4[] = { { "icmp", 1 },	     { "tcp", 6 },    { "udp", 17 },
					{ "dccp", 33 },	     { "esp", 50 },   { "ah", 51 },
					{ "ipv6-icmp", 58 }, { "sctp", 132 }, { "udplite", 136 },
					{ NULL, 0 } };
/* The names that every nft has. */
static const struct symval sym_ether[] = {
	{ "ip", 0x0800 }, { "arp", 0x0806 }, { "ip6", 0x86dd }, { "vlan", 0x8100 }, { NULL, 0 }
};

uint32_t pv_how(const struct fb_print_opts *o)
{
	return o->listing ? PV_LIST : 0;
}

const struct symval *pv_syms(uint32_t t)
{
	return t < TYPE_HEX ? type_of(t)->syms : NULL;
}

bool type_is_flags(uint32_t t)
{
	return t == TYPE_CT_STATE || t == TYPE_CT_STATUS || t == TYPE_TCP_FLAG ||
	       t == TYPE_CT_EVENT;
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

/* Flags come in the order of their values. */
void pv_flags(struct sbuf *out, uint32_t t, uint64_t v, const char *sep)
{
	bool first = true;
	uint64_t named = 0;

	for (const struct symval *s = pv_syms(t); s->name; s++)
		named |= s->value;
	if (__builtin_popcountll(v & ~named) > 1) { /* a mask rather than flags */
		sb_printf(out, "0x%llx", (unsigned long long)v);
		return;
	}
	for (uint64_t bit = 1; bit && v; bit <<= 1) {
		const struct symval *s = pv_syms(t);

		if (!(v & bit))
			continue;
		while (s->name && s->value != bit)
			s++;
		if (s->name)
			sb_printf(out, "%s%s", first ? "" : sep, s->name);
		else
			sb_printf(out, "%s0x%llx", first ? "" : sep, (unsigned long long)bit);
		first = false;
		v &= ~bit;
	}
	if (first)
		sb_puts(out, "0x0");
}

void pv_flags_operand(struct sbuf *out, uint32_t t, uint64_t v)
{
	struct sbuf flags;

	sb_init(&flags, out->arena);
	pv_flags(&flags, t, v, " | ");
	sb_printf(out, strchr(flags.s, '|') ? "(%s)" : "%s", flags.s);
}

/* The one bit of a conntrack label; -1: none, or several. */
int pv_label(const uint8_t *b, uint32_t len)
{
	int bit = -1;

	for (uint32_t i = 0; i < len * 8; i++) {
		if (!(b[i / 8] >> i % 8 & 1))
			continue;
		if (bit >= 0)
			return -1;
		bit = (int)i;
	}
	return bit;
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

/*
 * What nft's quotation marks cannot hold: the text is then not clean, and no text (see
 * text_is_clean).
 */
static void pv_unsayable(struct sbuf *out, const uint8_t *b, uint32_t n, uint32_t len)
{
	bool ok = !memchr(b, '"', n);

	for (uint32_t i = n; i < len; i++)
		ok = ok && !b[i];
	if (!ok)
		sb_puts(out, "\1");
}

static void pv_ifname(struct sbuf *out, const uint8_t *b, uint32_t len)
{
	uint32_t n = 0, i;

	while (n < len && b[n])
		n++;
	sb_puts(out, "\"");
	/*
	 * Fewer bytes than a name has, without its end: a prefix. A '*' that is meant is escaped.
	 */
	for (i = 0; i < n; i++)
		sb_printf(out, "%s%c", b[i] == '*' && i + 1 == n ? "\\" : "", b[i]);
	sb_puts(out, n == len && len < 16 ? "*\"" : "\"");
	pv_unsayable(out, b, n, len);
}

static void pv_chars(struct sbuf *out, const uint8_t *b, uint32_t len)
{
	uint32_t n = (uint32_t)strnlen((const char *)b, len);

	sb_printf(out, "\"%.*s\"", (int)n, (const char *)b);
	pv_unsayable(out, b, n, len);
}

static void pv_hex(struct sbuf *out, const uint8_t *b, uint32_t len, bool host)
{
	uint32_t i = 0;

	if (len <= 8) {
		sb_printf(out, "0x%llx", (unsigned long long)pv_number(b, len, host));
		return;
	}
	sb_puts(out, "0x");
	while (i + 1 < len && !b[i])
		i++;
	sb_printf(out, "%x", b[i]);
	while (++i < len)
		sb_printf(out, "%02x", b[i]);
}

/* -- what this machine has names for ----------------------------------------------------------- */

static bool local_name(struct sbuf *out, uint32_t t, uint64_t v)
{
	char name[IF_NAMESIZE];

	if (t == TYPE_IFINDEX && v <= UINT32_MAX && if_indextoname((unsigned int)v, name)) {
		sb_printf(out, "\"%s\"", name);
		return true;
	}
	if (t == TYPE_REALM || t == TYPE_DEVGROUP || t == TYPE_MARK) {
		const char *said = v <= INT32_MAX ? type_file_name(out->arena, t, (int)v) : NULL;

		if (said)
			sb_printf(out, "\"%s\"", said);
		return said;
	}
	if (t == TYPE_INET_PROTO && v < 256) {
		const struct protoent *p = getprotobynumber((int)v);

		if (p)
			sb_puts(out, p->p_name);
		return p;
	}
	return false;
}

static void pv_date(struct sbuf *out, uint64_t ns)
{
	time_t t = (time_t)(ns / 1000000000);
	char said[32];
	struct tm tm;

	if (localtime_r(&t, &tm) && strftime(said, sizeof(said), "%Y-%m-%d %T", &tm))
		sb_printf(out, "\"%s\"", said);
}

/* The kernel's time of day is that of UTC. */
static void pv_hour(struct sbuf *out, uint64_t s)
{
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		s = (s + 86400 + (uint64_t)(int64_t)tm.tm_gmtoff) % 86400;
	sb_printf(out, "\"%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
	if (s % 60)
		sb_printf(out, ":%02u", (unsigned)(s % 60));
	sb_puts(out, "\"");
}

/* -- numbers ----------------------------------------------------------------------------------- */

static const char *symbol(uint32_t how, uint32_t t, uint64_t v)
{
	const struct symval *s = pv_syms(t);

	if (how & PV_NUMBERS || t == TYPE_ICMP_CODE || t == TYPE_ICMPV6_CODE)
		return NULL;
	if (t == TYPE_INET_PROTO)
		s = how & PV_LIST ? sym_protocols : sym_l4;
	else if (t == TYPE_ETHERTYPE && !(how & PV_LIST))
		s = sym_ether;
	for (; s && s->name; s++)
		if (s->value == v)
			return s->name;
	return NULL;
}

void pv_value(struct sbuf *out, uint32_t how, uint32_t t, uint64_t v, uint32_t len)
{
	unsigned long long n = v;
	const char *name;

	if (how & PV_LIST && (!(how & PV_NUMBERS) || t == TYPE_IFINDEX) && local_name(out, t, v))
		return;
	name = symbol(how, t, v);
	if (name) {
		sb_printf(out, t == TYPE_DAY ? "\"%s\"" : "%s", name);
		return;
	}
	switch (t) {
	case TYPE_MARK:
	case TYPE_ETHERTYPE:
		sb_printf(out, "0x%0*llx", (int)len * 2, n);
		break;
	case TYPE_DSCP:
		sb_printf(out, "0x%02llx", n);
		break;
	case TYPE_ECN:
	case TYPE_HEX:
	case TYPE_BITMASK:
	case TYPE_CT_LABEL:
		sb_printf(out, "0x%llx", n);
		break;
	case TYPE_CLASSID:
		if (how & PV_LIST && (!v || v == UINT32_MAX))
			sb_puts(out, v ? "root" : "none");
		else
			sb_printf(out, "%llx:%llx", n >> 16, n & 0xffff);
		break;
	case TYPE_DATE:
		if (how & PV_LIST)
			pv_date(out, v);
		else
			sb_printf(out, "%llu", v % 1000000000 ? n : n / 1000000000);
		break;
	case TYPE_HOUR:
		if (how & PV_LIST)
			pv_hour(out, v);
		else
			sb_printf(out, "%llu", n);
		break;
	case TYPE_TIME:
		pv_time(out, v);
		break;
	default:
		sb_printf(out, type_is_flags(t) ? "0x%llx" : "%llu", n);
	}
}

/*
 * An address whose bytes were turned into numbers of this machine, as wide as nft makes them: in
 * order again.
 */
static const uint8_t *turned_back(const uint8_t *b, uint32_t len, uint8_t *out)
{
	uint32_t width = len % 8 == 0 ? 8 : len % 4 == 0 ? 4 : 2;

	for (uint32_t i = 0; i < len; i++)
		out[i] = b[i / width * width + width - 1 - i % width];
	return out;
}

void pv_data(struct sbuf *out, uint32_t how, uint32_t t, bool host, const uint8_t *b, uint32_t len)
{
	char s[INET6_ADDRSTRLEN];
	uint8_t addr[16];

	if (host && (t == TYPE_IPADDR || t == TYPE_IP6ADDR || t == TYPE_ETHERADDR) &&
	    len <= sizeof(addr) && len % 2 == 0)
		b = turned_back(b, len, addr);
	if (t == TYPE_IPADDR && len == 4)
		sb_printf(out, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	else if (t == TYPE_IP6ADDR && len == 16)
		sb_puts(out, inet_ntop(AF_INET6, b, s, sizeof(s)));
	else if (t == TYPE_CT_LABEL && pv_label(b, len) >= 0)
		sb_printf(out, "%d", pv_label(b, len));
	else if ((t == TYPE_ETHERADDR && len == 6) || t == TYPE_LLADDR)
		pv_ether(out, b, len);
	else if (t == TYPE_IFNAME)
		pv_ifname(out, b, len);
	else if (t == TYPE_STRING)
		pv_chars(out, b, len);
	else if (t == TYPE_HEX || len > 8)
		pv_hex(out, b, len, host);
	else
		pv_value(out, how, t, pv_number(b, len, host), len);
}

/* -- types ------------------------------------------------------------------------------------- */

/* Whether values of a type are kept as numbers of this machine. */
static bool type_host(uint32_t t)
{
	return t == TYPE_INET_PROTO || type_of(t)->order == ORDER_HOST;
}

uint32_t pv_decl_type(const char *decl, bool *host, uint32_t *len)
{
	const struct dtype *t = type_by_name(decl);

	if (!t || t->num == TYPE_VERDICT || t->num == TYPE_STRING)
		return TYPE_INVALID;
	*host = type_host(t->num);
	*len = DIV_ROUND_UP(t->bits, 8u);
	return t->num;
}

uint32_t pv_number_type(uint32_t type, bool *host)
{
	if (!type || type > TYPE_CGROUPV2 || type == TYPE_VERDICT || type == TYPE_STRING)
		return TYPE_INVALID;
	*host = type_host(type);
	return type;
}
