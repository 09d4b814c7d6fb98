// SPDX-License-Identifier: GPL-2.0-or-later
/* genrules: random rulesets with punts in them. */
#include "genrules.h"

struct gen {
	uint64_t x;
	struct sbuf out;
	uint32_t chain, n_chains; /* user chains c0 ...; a chain goes only to later ones */
	uint32_t writes;	  /* one of so many rules may write or log; 0: none */
	const char *l4;		  /* of the rule at hand ... */
	bool any_l4, v6;	  /* ... or none */
};

static uint32_t rnd(struct gen *g, uint32_t n)
{
	g->x = g->x * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(g->x >> 33) % n;
}

static const char *pick(struct gen *g, const char *const *v, uint32_t n)
{
	return v[rnd(g, n)];
}
#define PICK(g, ...)                                                                               \
	pick(g, (const char *const[]){ __VA_ARGS__ },                                              \
	     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

/* Ports and addresses are few, so that rules overlap. */
static void ports(struct gen *g)
{
	static const char *const one[] = { "22", "53", "80", "81", "443", "1000-2000", "80-90" };
	uint32_t n = rnd(g, 4), i, from;

	if (n < 2) {
		sb_printf(&g->out, "%s%s ", rnd(g, 8) ? "" : "!= ", pick(g, one, 7));
		return;
	}
	sb_puts(&g->out, rnd(g, 8) ? "{ " : "!= { ");
	for (i = 0, from = rnd(g, 3); i < n && from < 5; i++, from += 1 + rnd(g, 2))
		sb_printf(&g->out, "%s%s", i ? ", " : "", one[from]);
	sb_puts(&g->out, " } ");
}

/* A rule speaks of one protocol. */
static void l4_match(struct gen *g)
{
	sb_printf(&g->out, "%s %s ", g->l4, PICK(g, "dport", "dport", "sport"));
	ports(g);
}

static void l3_match(struct gen *g)
{
	if (g->v6)
		sb_printf(&g->out, "ip6 saddr %s ",
			  PICK(g, "fd00::1", "fd00::/8", "{ fd00::1, fe80::/10 }"));
	else
		sb_printf(&g->out, "ip saddr %s ",
			  PICK(g, "10.0.0.1", "10.0.0.0/8", "{ 10.0.0.1, 10.1.0.0/16 }",
			       "10.0.0.5-10.0.0.9", "!= 10.0.0.0/24", "@hosts"));
}

static void match(struct gen *g)
{
	switch (rnd(g, 12)) {
	case 0:
		sb_printf(&g->out, "ct state %s ",
			  PICK(g, "established,related", "new", "invalid", "{ established, new }",
			       "!= new", "established"));
		break;
	case 1:
		sb_printf(&g->out, "iifname %s ", PICK(g, "\"lo\"", "\"a\"", "{ \"a\", \"b\" }"));
		break;
	case 2:
	case 3:
		l3_match(g);
		break;
	case 4:
		sb_printf(&g->out, "meta mark %s ", PICK(g, "0", "1", "!= 2", "{ 1, 3 }"));
		break;
	case 5:
		if (g->any_l4)
			sb_printf(&g->out, "meta l4proto %s ", PICK(g, "icmp", "{ tcp, udp }"));
		break;
	case 6:
		if (g->any_l4)
			sb_puts(&g->out,
				g->v6 ? "icmpv6 type echo-request " : "icmp type echo-request ");
		else if (g->l4[0] == 't')
			sb_puts(&g->out,
				g->v6 ? "tcp flags syn / syn,ack "
				      : "tcp dport . ip saddr { 22 . 10.0.0.1, 80 . 10.0.0.2 } ");
		break;
	default:
		if (!g->any_l4)
			l4_match(g);
		else
			sb_printf(&g->out, "ct state %s ", PICK(g, "new", "related", "untracked"));
	}
}

static void matches(struct gen *g, uint32_t n)
{
	g->l4 = PICK(g, "tcp", "tcp", "udp");
	g->any_l4 = !rnd(g, 5);
	g->v6 = !rnd(g, 4);
	if (n && g->any_l4) { /* one only: two of them may contradict each other */
		match(g);
		return;
	}
	while (n--)
		match(g);
}

static void target(struct gen *g)
{
	sb_printf(&g->out, "c%u", g->chain + rnd(g, g->n_chains - g->chain));
}

static void verdict(struct gen *g)
{
	static const char *const plain[] = {
		"accept", "accept", "accept", "drop", "drop", "return"
	};

	if (rnd(g, 4) || g->chain >= g->n_chains) {
		sb_puts(&g->out, pick(g, plain, 6));
		return;
	}
	sb_puts(&g->out, rnd(g, 3) ? "jump " : "goto ");
	target(g);
}

static void vmap(struct gen *g)
{
	static const char *const keys[3][5] = { { "22", "53", "80", "81", "443" },
						{ "tcp", "udp", "icmp", "sctp", "gre" },
						{ "new", "established", "related", "invalid",
						  "untracked" } };
	uint32_t k = g->any_l4 ? 2 : rnd(g, 3), i;

	sb_printf(&g->out, "%s vmap { ",
		  k == 0   ? (g->any_l4		? "th dport"
			      : g->l4[0] == 't' ? "tcp dport"
						: "udp dport")
		  : k == 1 ? "meta l4proto"
			   : "ct state");
	for (i = 0; i < 5; i++) {
		if (i && !rnd(g, 2))
			continue;
		sb_printf(&g->out, "%s%s : ", i ? ", " : "", keys[k][i]);
		verdict(g);
	}
	sb_puts(&g->out, " }");
}

static void statement(struct gen *g)
{
	switch (rnd(g, 10)) {
	case 0:
	case 1:
	case 2:
		sb_puts(&g->out, "counter ");
		break;
	case 3:
		sb_printf(&g->out, "limit rate %u/second ", 1 + rnd(g, 50));
		break;
	case 4:
		sb_printf(&g->out, "quota %s%u bytes ", rnd(g, 2) ? "over " : "", rnd(g, 30000));
		break;
	case 5:
	case 6:
		if (g->writes && !rnd(g, g->writes))
			sb_puts(&g->out, "log ");
		break;
	case 7:
		if (g->writes && !rnd(g, g->writes))
			sb_printf(&g->out, "meta mark set %u ", rnd(g, 4));
		break;
	case 8:
		if (g->writes && !rnd(g, g->writes))
			sb_puts(&g->out, "ct mark set 1 ");
		break;
	default:
		break;
	}
}

static void rule(struct gen *g)
{
	uint32_t n = rnd(g, 8) ? 1 + rnd(g, 2) : 0;

	sb_puts(&g->out, "\t\t");
	if (!rnd(g, 8))
		statement(g);
	matches(g, n);
	if (!rnd(g, 2))
		statement(g);
	if (!rnd(g, 8))
		vmap(g);
	else if (g->writes && !rnd(g, g->writes * 3))
		sb_puts(&g->out,
			PICK(g, "reject", "log", "log drop", "log accept", "counter reject"));
	else if (!rnd(g, 8))
		sb_puts(&g->out, "counter");
	else
		verdict(g);
	sb_puts(&g->out, "\n");
}

/* A plain accept list: what most rulesets are. */
static void accepts(struct gen *g, uint32_t n)
{
	while (n--) {
		sb_puts(&g->out, "\t\t");
		matches(g, rnd(g, 5) ? 1 : 2);
		sb_puts(&g->out, rnd(g, 6) ? "accept\n" : "counter accept\n");
	}
}

static void base(struct gen *g, uint32_t i)
{
	static const char *const hooks[] = { "input", "forward", "output" };
	uint32_t n = 2 + rnd(g, 8), k;

	sb_printf(&g->out, "\tchain %s {\n\t\ttype filter hook %s priority %d; policy %s;\n",
		  hooks[i], hooks[i], (int)rnd(g, 3) - 1, PICK(g, "accept", "drop"));
	g->chain = 0;
	if (!rnd(g, 2)) {
		accepts(g, n);
		n = rnd(g, 3);
	}
	for (k = 0; k < n; k++)
		rule(g);
	if (rnd(g, 2))
		sb_printf(&g->out, "\t\t%s\n",
			  PICK(g, "reject", "log", "log drop", "limit rate 5/second log", "counter",
			       "limit rate 3/second reject",
			       "meta l4proto tcp reject with tcp reset"));
	sb_puts(&g->out, "\t}\n");
}

const char *genrules(struct arena *a, uint32_t seed)
{
	struct gen g = { .x = seed * 0x9e3779b97f4a7c15ull + 1 };
	uint32_t i, n;

	sb_init(&g.out, a);
	g.n_chains = rnd(&g, 5);
	g.writes = rnd(&g, 5);
	sb_puts(&g.out, "table inet t {\n\tset hosts {\n\t\ttype ipv4_addr\n"
			"\t\telements = { 10.0.0.1, 10.0.0.2 }\n\t}\n");
	for (i = g.n_chains; i--;) {
		sb_printf(&g.out, "\tchain c%u {\n", i);
		g.chain = i + 1;
		for (n = 1 + rnd(&g, 5); n--;)
			rule(&g);
		sb_puts(&g.out, "\t}\n");
	}
	for (i = 0; i < 1 + rnd(&g, 2); i++)
		base(&g, i);
	sb_puts(&g.out, "}\n");
	return g.out.s;
}
