// SPDX-License-Identifier: GPL-2.0-or-later
/* Datatypes, and words to values: what nft resolves on the machine at hand is resolved here. */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <net/if.h>
#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "symbols.h"
#include "types.h"

static const struct dtype types[] = {
#define T(num, id, name, desc, base, order, bits, syms)                                            \
	[num] = { num, name, desc, BASE_##base, ORDER_##order, bits, syms, 0, { NULL }, num },
#include "types.def"
#undef T
};

const struct dtype *type_of(enum type_num n)
{
	BUG_ON((size_t)n >= ARRAY_SIZE(types));
	return &types[n];
}

const struct dtype *type_by_name(const char *name)
{
	for (size_t i = 1; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i].name, name))
			return i == TYPE_TIME ? &types[TYPE_TIME] : &types[i];
	if (!strcmp(name, "nfproto"))
		return NULL;
	return NULL;
}

bool type_is_integer(const struct dtype *t)
{
	return t->base == BASE_INTEGER || t->base == BASE_BITMASK;
}

bool takes_numbers(const struct dtype *t)
{
	return t->num == TYPE_INTEGER || t->num == TYPE_MARK || t->num == TYPE_BOOLEAN;
}

bool type_equal(const struct dtype *a, const struct dtype *b)
{
	if (a == b)
		return true;
	if (a->num != b->num)
		return false;
	if (a->num != TYPE_CONCAT)
		return true;
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->field[i]->num != b->field[i]->num)
			return false;
	return true;
}

bool type_compatible(const struct dtype *want, const struct dtype *t)
{
	return type_equal(want, t) || (want->num == TYPE_MARK && t->base == BASE_INTEGER &&
				       t->num != TYPE_LLADDR && t->num != TYPE_ETHERADDR);
}

uint32_t type_number(const struct dtype *t)
{
	return t->packed;
}

const struct dtype *type_concat(struct arena *a, const struct dtype *const *f, uint32_t n)
{
	struct dtype *t = arena_new_of(a, struct dtype);
	struct sbuf name;

	sb_init(&name, a);
	t->num = TYPE_CONCAT;
	t->n = n;
	for (uint32_t i = 0; i < n; i++) {
		t->field[i] = f[i];
		t->packed = t->packed << 6 | f[i]->num;
		t->bits += ALIGN_UP(f[i]->bits, 32u);
		sb_printf(&name, "%s%s", i ? " . " : "", f[i]->name);
	}
	t->name = t->desc = name.s;
	t->base = BASE_INTEGER;
	return t;
}

u128 ones(uint32_t bits)
{
	return bits >= 128 ? ~(u128)0 : ((u128)1 << bits) - 1;
}

struct data value_data(u128 v, uint32_t bits, enum byte_order order)
{
	struct data d = { .len = (uint8_t)DIV_ROUND_UP(bits, 8u) };

	for (uint32_t i = 0; i < d.len && i < 16; i++, v >>= 8)
		d.b[order == ORDER_HOST ? i : d.len - 1u - i] = (uint8_t)v;
	return d;
}

char *u128_text(struct arena *a, u128 v)
{
	char buf[48], *p = buf + sizeof(buf);

	*--p = 0;
	do {
		*--p = (char)('0' + (int)(v % 10));
		v /= 10;
	} while (v);
	return arena_strdup(a, p);
}

bool parse_u128(const char *s, u128 *val)
{
	unsigned base = 10;
	u128 v = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	} else if (s[0] == '0' && s[1]) {
		base = 8;
		s++;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned c = (unsigned char)*s;
		unsigned digit = c >= '0' && c <= '9'		      ? c - '0'
				 : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
								      : 99;
		if (digit >= base || v > (~(u128)0 - digit) / base)
			return false;
		v = v * base + digit;
	}
	*val = v;
	return true;
}

void lookups_init(struct lookups *l, struct arena *a)
{
	l->arena = a;
	strmap_init(&l->services, a);
	strmap_init(&l->protocols, a);
	strmap_init(&l->names, a);
}

/* -- one function for each way to read a word -------------------------------------------------- */

static const char *not_a(struct lookups *l, const struct dtype *t, const char *text)
{
	const char *near = type_suggest(t, text);

	if (near)
		return arena_printf(l->arena, "\"%s\" is not a %s; did you mean \"%s\"?", text,
				    t->desc, near);
	return arena_printf(l->arena, "\"%s\" is not a %s", text, t->desc);
}

static const char *parse_lladdr(struct lookups *l, const struct dtype *t, const char *s, u128 *val,
				uint32_t *bits)
{
	u128 v = 0;
	uint32_t n = 0;

	for (const char *p = s;; p++) {
		char *end;
		unsigned long b = strtoul(p, &end, 16);

		if (end == p || end > p + 2 || b > 255 || n == 16)
			return not_a(l, t, s);
		v = v << 8 | b;
		n++;
		p = end;
		if (!*p)
			break;
		if (*p != ':')
			return not_a(l, t, s);
	}
	*val = v;
	*bits = n * 8;
	return NULL;
}

static void addr_value(int af, const void *p, u128 *val, uint32_t *bits)
{
	const uint8_t *b = p;

	*val = 0;
	*bits = af == AF_INET ? 32 : 128;
	for (uint32_t i = 0; i < *bits / 8; i++)
		*val = *val << 8 | b[i];
}

/*
 * A name that stands for more than one address is an error, since one comparison could not mean
 * them all.
 */
static const char *resolve(struct lookups *l, int af, const char *s, u128 *val, uint32_t *bits)
{
	struct addrinfo hints = { .ai_family = af, .ai_socktype = SOCK_DGRAM }, *ai = NULL;
	int err = getaddrinfo(s, NULL, &hints, &ai);
	const char *why = NULL;

	if (err)
		return arena_printf(l->arena, "could not resolve hostname \"%s\": %s", s,
				    gai_strerror(err));
	if (ai->ai_next)
		why = arena_printf(l->arena, "hostname \"%s\" resolves to multiple addresses", s);
	else if (af == AF_INET)
		addr_value(af, &((struct sockaddr_in *)(void *)ai->ai_addr)->sin_addr, val, bits);
	else
		addr_value(af, &((struct sockaddr_in6 *)(void *)ai->ai_addr)->sin6_addr, val, bits);
	freeaddrinfo(ai);
	return why;
}

static const char *parse_addr(struct lookups *l, int af, const char *s, u128 *val, uint32_t *bits)
{
	uint8_t b[16];

	if (inet_pton(af, s, b) == 1) {
		addr_value(af, b, val, bits);
		return NULL;
	}
	return resolve(l, af, s, val, bits);
}

static const char *parse_service(struct lookups *l, const struct dtype *t, const char *s, u128 *val)
{
	void **slot;
	struct servent *se;

	if (parse_u128(s, val))
		return *val > 65535 ? "service out of range 0-65535" : NULL;
	slot = strmap_put(&l->services, s, strlen(s));
	if (!*slot) {
		se = getservbyname(s, NULL);
		*slot = (void *)(uintptr_t)(se ? ntohs((uint16_t)se->s_port) + 1u : ~0u);
	}
	if ((uintptr_t)*slot == ~0u)
		return arena_printf(l->arena, "could not resolve service \"%s\"", s);
	*val = (uintptr_t)*slot - 1;
	return NULL;
}

static bool sym_find(const struct symval *syms, const char *s, u128 *val)
{
	for (; syms && syms->name; syms++)
		if (!strcmp(syms->name, s)) {
			*val = syms->value;
			return true;
		}
	return false;
}

static const char *parse_protocol(struct lookups *l, const struct dtype *t, const char *s,
				  u128 *val)
{
	void **slot;
	struct protoent *pe;

	if (parse_u128(s, val))
		return *val > 255 ? "protocol out of range 0-255" : NULL;
	slot = strmap_put(&l->protocols, s, strlen(s));
	if (!*slot) {
		pe = getprotobyname(s);
		if (pe)
			*slot = (void *)(uintptr_t)((unsigned)pe->p_proto + 1u);
		else if (sym_find(sym_protocols, s, val))
			*slot = (void *)(uintptr_t)(*val + 1);
		else
			*slot = (void *)(uintptr_t)~0u;
	}
	if ((uintptr_t)*slot == ~0u)
		return arena_printf(l->arena, "could not resolve protocol name \"%s\"", s);
	*val = (uintptr_t)*slot - 1;
	return NULL;
}

/*
 * Files of iproute2's form: "number name" a line. Finds the row of the name, or of *num where that
 * is NULL.
 */
static bool iproute2_row(const char *const *paths, const char *name, int *num, char word[128])
{
	for (; *paths; paths++) {
		FILE *f = fopen(*paths, "re");
		bool found = false;
		char line[512];
		int n;

		if (!f)
			continue;
		while (!found && fgets(line, sizeof(line), f)) {
			if (*line == '#' || sscanf(line, "%i %127s", &n, word) != 2)
				continue;
			found = name ? !strcmp(word, name) : n == *num;
		}
		fclose(f);
		if (found) {
			*num = n;
			return true;
		}
	}
	return false;
}

static const char *const *type_files(enum type_num t)
{
	static const char *const marks[] = { "/etc/iproute2/rt_marks",
					     "/usr/share/iproute2/rt_marks", NULL };
	static const char *const realms[] = { "/etc/iproute2/rt_realms",
					      "/usr/share/iproute2/rt_realms", NULL };
	static const char *const groups[] = { "/etc/iproute2/group", "/usr/share/iproute2/group",
					      NULL };
	static const char *const labels[] = { "/etc/connlabel.conf", "/etc/xtables/connlabel.conf",
					      NULL };

	return t == TYPE_MARK	    ? marks
	       : t == TYPE_REALM    ? realms
	       : t == TYPE_DEVGROUP ? groups
	       : t == TYPE_CT_LABEL ? labels
				    : NULL;
}

static bool file_symbol(enum type_num t, const char *s, u128 *val)
{
	const char *const *files = type_files(t);
	char word[128];
	int num;

	if (!files || !iproute2_row(files, s, &num, word))
		return false;
	*val = (uint32_t)num;
	return true;
}

const char *type_file_name(struct arena *a, enum type_num t, int num)
{
	const char *const *files = type_files(t);
	char word[128];

	return files && iproute2_row(files, NULL, &num, word) ? arena_strdup(a, word) : NULL;
}

static const char *parse_classid(struct lookups *l, const struct dtype *t, const char *s, u128 *val)
{
	unsigned maj, min;
	char c;

	if (!strchr(s, ':') && parse_u128(s, val))
		return NULL;
	if (!strcmp(s, "root"))
		*val = 0xffffffff;
	else if (!strcmp(s, "none"))
		*val = 0;
	else if (sscanf(s, "%x:%x%c", &maj, &min, &c) == 2)
		*val = (uint32_t)(maj << 16 | min);
	else if (strchr(s, ':') && sscanf(s, "%x:%c", &maj, &c) == 1)
		*val = (uint32_t)(maj << 16);
	else
		return not_a(l, t, s);
	return NULL;
}

/* "1d2h3m4s5ms", each part once and in this order; a bare number is seconds. In milliseconds. */
static const char *parse_time(struct lookups *l, const struct dtype *t, const char *s, u128 *val)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {
		{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }
	};
	uint64_t sum = 0;
	size_t next = 0;
	const char *p = s;

	if (parse_u128(s, val)) {
		*val *= 1000;
		return *val >> 64 ? not_a(l, t, s) : NULL;
	}
	while (*p) {
		char *end;
		uint64_t n;
		size_t len = 0, u;

		if (*p < '0' || *p > '9')
			return not_a(l, t, s);
		n = strtoull(p, &end, 10);
		while (end[len] >= 'a' && end[len] <= 'z')
			len++;
		for (u = next; u < ARRAY_SIZE(units); u++)
			if (strlen(units[u].unit) == len && !strncmp(units[u].unit, end, len))
				break;
		if (u == ARRAY_SIZE(units) || n > UINT64_MAX / units[u].ms / 2)
			return not_a(l, t, s);
		sum += n * units[u].ms;
		next = u + 1;
		p = end + len;
	}
	*val = sum;
	return NULL;
}

static const char *parse_date(struct lookups *l, const struct dtype *t, const char *s, u128 *val)
{
	static const char *const forms[] = { "%Y-%m-%d %T", "%Y-%m-%d %R", "%Y-%m-%d" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { 0 }, *local;
		const char *end = strptime(s, forms[i], &tm);
		time_t ts;

		if (!end || (*end && i < 2))
			continue;
		if (*end)
			break;
		ts = timegm(&tm);
		local = localtime(&ts);
		if (!local)
			break;
		*val = (u128)(uint64_t)(ts - local->tm_gmtoff) * 1000000000u;
		return NULL;
	}
	if (!parse_u128(s, val) || *val > UINT64_MAX / 1000000000u)
		return not_a(l, t, s);
	*val *= 1000000000u;
	return NULL;
}

/* Seconds since midnight UTC of a local time of day. */
static const char *parse_hour(struct lookups *l, const struct dtype *t, const char *s, u128 *val)
{
	struct tm tm = { 0 }, *local;
	const char *end = strptime(s, "%T", &tm);
	int64_t sec;
	time_t now;

	if (!end || *end) {
		memset(&tm, 0, sizeof(tm));
		end = strptime(s, "%R", &tm);
	}
	if (!end || *end)
		return parse_time(l, t, s, val) ? not_a(l, t, s) : (*val /= 1000, NULL);
	now = time(NULL);
	local = localtime(&now);
	sec = tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
	if (local) {
		sec = (sec - local->tm_gmtoff) % 86400;
		if (sec < 0)
			sec += 86400;
	}
	*val = (u128)sec;
	return NULL;
}

static const char *parse_day(struct lookups *l, const struct dtype *t, const char *s, u128 *val)
{
	if (parse_u128(s, val))
		return *val > 6 ? "day exceeds valid range 0-6" : NULL;
	for (const struct symval *d = t->syms; d->name; d++)
		if (!strcmp(d->name, s)) {
			*val = d->value;
			return NULL;
		}
	return not_a(l, t, s);
}

static const char *parse_user(struct lookups *l, const struct dtype *t, const char *s, u128 *val)
{
	struct passwd *pw;
	struct group *gr;

	if (t->num == TYPE_UID) {
		pw = getpwnam(s);
		if (pw) {
			*val = pw->pw_uid;
			return NULL;
		}
	} else {
		gr = getgrnam(s);
		if (gr) {
			*val = gr->gr_gid;
			return NULL;
		}
	}
	if (parse_u128(s, val))
		return NULL;
	return arena_printf(l->arena, "%s \"%s\" does not exist",
			    t->num == TYPE_UID ? "user" : "group", s);
}

static const char *parse_cgroup(struct lookups *l, const char *s, u128 *val)
{
	struct stat st;

	if (parse_u128(s, val))
		return NULL;
	if (stat(arena_printf(l->arena, "/sys/fs/cgroup/%s", s), &st))
		return arena_printf(l->arena, "cgroupv2 path \"%s\" cannot be resolved: %s", s,
				    strerror(errno));
	*val = st.st_ino;
	return NULL;
}

static const char *parse_ifindex(struct lookups *l, const char *s, u128 *val)
{
	void **slot = strmap_put(&l->names, s, strlen(s));

	if (!*slot)
		*slot = (void *)(uintptr_t)(if_nametoindex(s) + 1);
	*val = (uintptr_t)*slot - 1;
	if (*val || parse_u128(s, val))
		return NULL;
	return arena_printf(l->arena,
			    "interface \"%s\" does not exist; compile where it does, or match %s",
			    s, "iifname or oifname");
}

static const char *parse_string(struct lookups *l, const struct dtype *t, const char *s, u128 *val,
				uint32_t *bits)
{
	size_t n = strlen(s);

	if (t->bits && n > t->bits / 8)
		return arena_printf(l->arena, "string \"%s\" exceeds maximum length of %u", s,
				    t->bits / 8);
	if (n > 15)
		return arena_printf(l->arena, "string \"%s\" exceeds maximum length of 15", s);
	if (!n)
		return "empty string is not allowed";
	*val = 0;
	for (size_t i = 0; i < 16; i++)
		*val = *val << 8 | (i < n ? (uint8_t)s[i] : 0);
	*bits = (uint32_t)n * 8;
	return NULL;
}

const char *type_parse(struct lookups *l, const struct dtype *t, const char *s, u128 *val,
		       uint32_t *bits)
{
	*bits = t->bits;
	switch ((enum type_num)t->num) {
	case TYPE_VERDICT:
	case TYPE_INVALID:
		return not_a(l, t, s);
	case TYPE_LLADDR:
	case TYPE_ETHERADDR:
		return parse_lladdr(l, t, s, val, bits);
	case TYPE_IPADDR:
		return parse_addr(l, AF_INET, s, val, bits);
	case TYPE_IP6ADDR:
		return parse_addr(l, AF_INET6, s, val, bits);
	case TYPE_INET_PROTO:
		return parse_protocol(l, t, s, val);
	case TYPE_INET_SERVICE:
		return parse_service(l, t, s, val);
	case TYPE_IFINDEX:
		return parse_ifindex(l, s, val);
	case TYPE_CLASSID:
		return parse_classid(l, t, s, val);
	case TYPE_UID:
	case TYPE_GID:
		return parse_user(l, t, s, val);
	case TYPE_TIME:
		return parse_time(l, t, s, val);
	case TYPE_DATE:
		return parse_date(l, t, s, val);
	case TYPE_HOUR:
		return parse_hour(l, t, s, val);
	case TYPE_DAY:
		return parse_day(l, t, s, val);
	case TYPE_CGROUPV2:
		return parse_cgroup(l, s, val);
	case TYPE_CT_LABEL:
		if (!file_symbol(TYPE_CT_LABEL, s, val) && !parse_u128(s, val))
			return not_a(l, t, s);
		if (*val > 127)
			return arena_printf(l->arena, "label %s exceeds valid range 0-127", s);
		*val = (u128)1 << (unsigned)*val;
		return NULL;
	case TYPE_CONCAT:
		return not_a(l, t, s);
	default:
		break;
	}
	if (t->base == BASE_STRING)
		return parse_string(l, t, s, val, bits);
	if (sym_find(t->syms, s, val) || parse_u128(s, val) || file_symbol(t->num, s, val))
		return NULL;
	return not_a(l, t, s);
}

/* Edit distance of two short words, at most lim. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[40], n = (unsigned)strlen(b);

	if (n >= ARRAY_SIZE(row))
		return 99;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned diag = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned sub = diag + (*a != b[j - 1]);

			diag = row[j];
			row[j] = MIN(MIN(row[j], row[j - 1]) + 1, sub);
		}
	}
	return row[n];
}

const char *type_suggest(const struct dtype *t, const char *text)
{
	const char *best = NULL;
	unsigned min = (unsigned)strlen(text) / 3 + 1;

	for (const struct symval *s = t->syms; s && s->name; s++) {
		unsigned d = distance(text, s->name);

		if (d < min || (d == min && !best)) {
			min = d;
			best = s->name;
		}
	}
	return best;
}
