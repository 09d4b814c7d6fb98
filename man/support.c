// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * support: prints nft2bpf-support(7). Nothing of what it says is written by hand: each sample goes
 * through the front end, and the splitter says of its expressions what it would say of a user's.
 */
#include <stdlib.h>

#include "build.h"
#include "fallback.h"
#include "frontend.h"

struct say {
	struct arena *arena;
	bool seen[EX_COUNT];
	const struct rule
		*rule; /* a rule of a base chain, whose expressions are replaced for keys */
};

static const char head[] =
	".\\\" SPDX-License-Identifier: GPL-2.0-or-later\n"
	".\\\" Made by the build from the compiler's own tables.\n"
	".Dd November 23, 2026\n.Dt NFT2BPF-SUPPORT 7\n.Os\n.Sh NAME\n.Nm nft2bpf-support\n"
	".Nd what of nftables nft2bpf compiles, and what stays in nftables\n.Sh DESCRIPTION\n"
	"Everything listed here is parsed.\n"
	"What runs in BPF does so from Linux 6.4 on, where BPF programs first attach to netfilter "
	"hooks; what stays in nftables\n"
	"needs a kernel whose nf_tables has it.\n"
	".Pp\n"
	"Chains of type nat and route, and of the families arp, bridge and netdev, stay in "
	"nftables whole: the tables say what\n"
	"becomes of an expression elsewhere.\n"
	".Pp\nThe columns are: what is written; where it runs; the state that it has:\n"
	".Bl -tag -width volatile\n"
	".It none\nthe same packet gives the same answer;\n"
	".It volatile\nreads what may change meanwhile;\n"
	".It state\nkeeps a state of its own, in a BPF map if it runs in BPF;\n"
	".It writes\nchanges the packet or what the kernel keeps of it;\n.El\n"
	".Pp\nand, for what stays in nftables, why.\n";
static const char foot[] =
	".Sh SEE ALSO\n.Xr nft2bpf 8 ,\n.Xr nft2bpfctl 8 ,\n.Xr nft2bpf-ir 7 ,\n.Xr nft 8\n";

static const struct fb_options options = { .partial = FB_PARTIAL_ALWAYS,
					   .can_lower = build_can_lower };

/* A row of a table; quotes would end a macro's argument. */
static void row(const char *what, const struct fb_support *s)
{
	static const char *const states[] = { [FB_PURE] = "none",
					      [FB_VOLATILE] = "volatile",
					      [FB_STATE] = "state",
					      [FB_WRITE] = "writes" };
	bool bpf = s->reason == FBR_NONE;
	enum fb_effect effect = s->reason == FBR_SERVICE ? FB_VOLATILE : s->effect;

	printf(".It Li \"%s\" Ta %s Ta %s", what, bpf ? "BPF" : "nftables", states[effect]);
	if (!bpf) {
		printf(" Ta ");
		printf(fb_reason_text[s->reason], s->what ? s->what : "it");
	}
	printf("\n");
}

static void begin_list(void)
{
	printf(".Bl -column \"vxlan, geneve, gretap: inner\" \"nftables\" \"volatile\" \"because "
	       "of what\"\n"
	       ".It Em what Ta Em runs in Ta Em state Ta Em why\n");
}

/* What hinders most, and does most, of a rule's first n expressions. */
static struct fb_support of_rule(struct say *y, const struct rule *r, uint32_t n)
{
	struct fb_support all = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		struct fb_support s = fb_rule_support(&options, r->chain, r, i);

		y->seen[r->exprs.v[i]->kind] = true;
		if (all.reason == FBR_NONE) {
			all.reason = s.reason;
			all.what = s.what;
		}
		all.effect = MAX(all.effect, s.effect);
		if (s.reason != FBR_NONE && s.effect < FB_STATE)
			all.effect = s.reason == FBR_WRITE ? FB_WRITE : all.effect;
	}
	return all;
}

static const struct rule *compile(struct say *y, const char *family, const char *hook,
				  const char *rule)
{
	bool inet = !strcmp(family, "inet"), dev = !strcmp(family, "netdev");
	struct diag d;
	struct ruleset *rs;
	const char *text = arena_printf(
		y->arena,
		"table %s t {\n%s%schain j {\n}\nchain c {\ntype %s %s priority 0\n%s\n}\n}\n",
		family,
		dev ? "" : "set d { type ipv4_addr; flags dynamic; size 9; }\ncounter cnt { }\n",
		!inet ? ""
		      : "set s { type ipv4_addr; }\nmap m { type ipv4_addr : mark; }\nquota q { 5 "
			"bytes }\n"
			"limit l { rate 5/second }\nct helper h { type \"ftp\" protocol tcp; }\n"
			"flowtable f { hook ingress priority 0; devices = { \"lo\" }; }\n",
		hook, dev ? "device \"lo\"" : "", rule);

	diag_init(&d, y->arena);
	rs = frontend_read_buffer(y->arena, &d, "sample", text, strlen(text));
	if (!rs) {
		diag_flush(&d, stderr);
		exit(1);
	}
	return table_chain(rs->tables.v[0], "c")->rules.v[0];
}

static void sample(struct say *y, const char *what, const char *family, const char *hook,
		   const char *text, uint32_t without)
{
	const struct rule *r = compile(y, family, hook, text);
	struct fb_support s = of_rule(y, r, r->exprs.n - without);

	row(what, &s);
}

/* A key of meta, ct ... that is loaded. */
static void key(struct say *y, enum expr_kind k, const char *name, uint32_t num)
{
	struct expr *e = expr_new(y->arena, k, (struct loc){ 0 });
	struct rule r = { .chain = y->rule->chain };
	struct fb_support s;

	switch (k) {
	case EX_META:
		e->meta.key = num;
		e->meta.dreg = 1;
		break;
	case EX_CT:
		e->ct.key = num;
		e->ct.dreg = 1;
		break;
	case EX_RT:
		e->rt.key = num;
		e->rt.dreg = 1;
		break;
	case EX_SOCKET:
		e->socket.key = num;
		e->socket.dreg = 1;
		break;
	case EX_XFRM:
		e->xfrm.key = num;
		e->xfrm.dreg = 1;
		break;
	case EX_TUNNEL:
		e->tunnel.key = num;
		e->tunnel.dreg = 1;
		break;
	default:
		BUG("key of %s", expr_kind_name(k));
	}
	*vec_push(y->arena, &r.exprs) = e;
	s = of_rule(y, &r, 1);
	row(arena_printf(y->arena, "%s %s", k == EX_XFRM ? "ipsec in" : expr_kind_name(k), name),
	    &s);
}

static void keys(struct say *y)
{
	printf(".Ss Keys of meta, ct, rt, socket, ipsec and tunnel\n");
	begin_list();
#define K(expr, name, id, type, bits, order) key(y, EX_##expr, name, KEY_##expr##_##id);
#include "keys.def"
#undef K
	printf(".El\n");
}

/* What iptables-nft keeps as extensions of xtables. */
static void matches(void)
{
	static const struct {
		const char *name;
		int rev, families;
	} rows[] = {
#define M(name, rev, families, proto, size, fn) { name, rev, families },
#include "xt.def"
#undef M
	};

	printf(".Ss Matches of iptables\nThese run in BPF, but for what is named below. All "
	       "others stay in nftables.\n");
	printf(".Bl -column \"multiport\" \"revision\" \"families\"\n");
	printf(".It Em match Ta Em revision Ta Em families\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		printf(".It Li %s Ta %d Ta %s\n", rows[i].name, rows[i].rev,
		       rows[i].families == 46  ? "ip, ip6"
		       : rows[i].families == 4 ? "ip"
					       : "ip6");
	printf(".El\n.Pp\nWithout a translation: tcp options; chunks of sctp, options of dccp; ECN "
	       "flags of tcp;\nconntrack's SNAT and DNAT among other states; addrtype but "
	       "multicast of "
	       "ip6;\nowners that are inverted, supplementary groups, mere sockets; days of time;\n"
	       "u32 that is inverted or follows @; paths of cgroup; a connbytes range from 0;\n"
	       "an inverted helper.\n");
}

/* A kind of expression that no sample shows would be missing from the page. */
static int check_seen(const struct say *y)
{
	int bad = 0;

	for (int k = 0; k < EX_COUNT; k++)
		if (!y->seen[k] && k != EX_MATCH && k != EX_TARGET && k != EX_UNKNOWN &&
		    k != EX_XTNEED) {
			fprintf(stderr, "support: no sample has a %s expression\n",
				expr_kind_name((enum expr_kind)k));
			bad = 1;
		}
	return bad;
}

int main(void)
{
	struct say y = { .arena = arena_new() };
	bool open = false;
	int bad;

	y.rule = compile(&y, "inet", "filter hook input", "accept");
	fputs(head, stdout);
#define G(title)                                                                                   \
	printf("%s.Ss %s\n", open ? ".El\n" : "", title);                                          \
	begin_list();                                                                              \
	open = true;
#define S(what, family, hook, rule) sample(&y, what, family, hook, rule, 0);
#define E(what, family, hook, rule) sample(&y, what, family, hook, rule, 1);
#include "samples.def"
#undef G
#undef S
#undef E
	printf(".El\n");
	keys(&y);
	matches();
	fputs(foot, stdout);
	bad = check_seen(&y);
	arena_free(y.arena);
	return bad;
}
