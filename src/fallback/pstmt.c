// SPDX-License-Identifier: GPL-2.0-or-later
/* pstmt: verdicts and statements as nft text. */
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

#include "print.h"

#define NAT_NETMAP 64 /* NF_NAT_RANGE_NETMAP */

/* The rules of an anonymous chain, a line each, one tab deeper than the rule that jumps to it. */
static void bound_chain(const struct fb_print_opts *o, const struct chain *c, struct sbuf *out)
{
	sb_puts(out, "{\n");
	vec_foreach(&c->rules, it) {
		struct sbuf line;

		sb_init(&line, out->arena);
		fb_print_rule(*it, o, &line);
		sb_puts(out, "\t\t\t");
		for (const char *p = line.s; *p; p++)
			sb_add(out, *p == '\n' ? "\n\t" : p, *p == '\n' ? 2 : 1);
		sb_puts(out, "\n");
	}
	sb_puts(out, "\t\t}");
}

void ps_verdict(const struct fb_print_opts *o, struct verdict v, struct sbuf *out)
{
	switch (v.code) {
	case V_DROP:
		sb_puts(out, "drop");
		return;
	case V_ACCEPT:
		sb_puts(out, "accept");
		return;
	case V_CONTINUE:
		sb_puts(out, "continue");
		return;
	case V_RETURN:
		sb_puts(out, "return");
		return;
	case V_QUEUE:
		sb_puts(out, "queue");
		return;
	case V_JUMP:
	case V_GOTO:
		sb_puts(out, v.code == V_JUMP ? "jump " : "goto ");
		if (!v.chain->is_bound) {
			fb_print_name(v.chain->name, out);
			return;
		}
		bound_chain(o, v.chain, out);
		return;
	default:
		sb_puts(out, "continue");
		return;
	}
}

static const char *rate_unit(uint64_t secs)
{
	switch (secs) {
	case 1:
		return "second";
	case 60:
		return "minute";
	case 3600:
		return "hour";
	case 86400:
		return "day";
	case 604800:
		return "week";
	default:
		return NULL;
	}
}

void pv_rate(struct sbuf *out, const struct expr *e)
{
	const char *unit = rate_unit(e->limit.unit);
	const char *over = e->limit.inv ? "over " : "";

	if (e->limit.type == 0) {
		sb_printf(out, "limit rate %s%llu/%s", over, (unsigned long long)e->limit.rate,
			  unit ? unit : "second");
		if (e->limit.burst)
			sb_printf(out, " burst %u packets", e->limit.burst);
		return;
	}
	sb_printf(out, "limit rate %s", over);
	pv_bytes(out, e->limit.rate);
	sb_printf(out, "/%s", unit ? unit : "second");
	if (e->limit.burst) {
		sb_puts(out, " burst ");
		pv_bytes(out, e->limit.burst);
	}
}

void ps_stateful(const struct expr *e, const struct fb_print_opts *o, struct sbuf *out)
{
	switch (e->kind) {
	case EX_COUNTER:
		sb_puts(out, "counter");
		if (!o->zero)
			sb_printf(out, " packets %llu bytes %llu",
				  (unsigned long long)e->counter.packets,
				  (unsigned long long)e->counter.bytes);
		break;
	case EX_LIMIT:
		pv_rate(out, e);
		break;
	case EX_QUOTA:
		sb_puts(out, e->quota.inv ? "quota over " : "quota ");
		pv_bytes(out, e->quota.bytes);
		if (!o->zero && e->quota.consumed) {
			sb_puts(out, " used ");
			pv_bytes(out, e->quota.consumed);
		}
		break;
	case EX_CONNLIMIT:
		sb_printf(out, "ct count %s%u", e->connlimit.inv ? "over " : "",
			  e->connlimit.count);
		break;
	case EX_LAST:
		sb_puts(out, "last");
		if (!o->zero && (o->listing || e->last.set)) {
			sb_puts(out, e->last.set ? " used " : " used never");
			if (e->last.set)
				pv_time(out, e->last.msecs);
		}
		break;
	default:
		break;
	}
}

/* A register's value as the right-hand side of a statement, as type t where it is a constant. */
static bool value(struct pstate *ps, uint8_t reg, uint32_t t, bool host, struct sbuf *b)
{
	struct pval *v = pl_reg(ps, reg);

	if (!v)
		return false;
	if (v->e->kind == EX_IMMEDIATE && !v->n_ops) {
		if (type_is_flags(t))
			pv_flags(b, t, pv_number(v->e->imm.data.b, v->len, host), ",");
		else
			pv_data(b, pv_how(ps->o), t, host, v->e->imm.data.b, v->len);
		return true;
	}
	pl_resolve(ps, v);
	pd_kill_used(ps, v);
	return pl_text(ps, v, 0, b);
}

static void nat_flags(uint32_t flags, struct sbuf *b)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = { { NF_NAT_RANGE_PROTO_RANDOM, "random" },
		      { NF_NAT_RANGE_PROTO_RANDOM_FULLY, "fully-random" },
		      { NF_NAT_RANGE_PERSISTENT, "persistent" } };
	bool any = false;
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].bit) {
			sb_printf(b, "%s%s", any ? "," : " ", names[i].name);
			any = true;
		}
}

static bool nat_ports(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	if (e->nat.reg_proto_min == REG_NONE)
		return true;
	sb_puts(b, ":");
	if (!value(ps, e->nat.reg_proto_min, TYPE_INET_SERVICE, false, b))
		return false;
	if (e->nat.reg_proto_max != REG_NONE && e->nat.reg_proto_max != e->nat.reg_proto_min) {
		sb_puts(b, "-");
		return value(ps, e->nat.reg_proto_max, TYPE_INET_SERVICE, false, b);
	}
	return true;
}

static bool nat_addr(struct pstate *ps, const struct expr *e, uint8_t reg, struct sbuf *b)
{
	bool v6 = e->nat.family == FAM_IP6;
	bool bracket = v6 && e->nat.reg_proto_min != REG_NONE;

	sb_puts(b, bracket ? "[" : "");
	if (!value(ps, reg, v6 ? TYPE_IP6ADDR : TYPE_IPADDR, false, b))
		return false;
	sb_puts(b, bracket ? "]" : "");
	return true;
}

/* The map's value holds a port behind the address. */
static bool covers(const struct pval *a, uint32_t family)
{
	return a->e->lookup.set->data_len > (family == FAM_IP6 ? 16 : 4);
}

static bool stmt_nat(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	struct pval *a = pl_reg(ps, e->nat.reg_addr_min);

	sb_puts(b, e->nat.type == NFT_NAT_SNAT ? "snat" : "dnat");
	if (ps->fam == FAM_INET && e->nat.family != FAM_INET)
		sb_printf(b, " %s", e->nat.family == FAM_IP6 ? "ip6" : "ip");
	if (e->nat.flags & NAT_NETMAP)
		return false;
	if (a &&
	    a->e->kind == EX_LOOKUP) { /* a map gives address, or address and port, in one go */
		bool both = e->nat.reg_proto_min != REG_NONE &&
			    REG_WORD(e->nat.reg_proto_min) ==
				    REG_WORD(e->nat.reg_addr_min) +
					    (e->nat.family == FAM_IP6 ? 4 : 1) &&
			    covers(a, e->nat.family);

		if (e->nat.reg_addr_max != REG_NONE && e->nat.reg_addr_max != e->nat.reg_addr_min)
			return false;
		if (both && ps->fam != FAM_INET)
			sb_printf(b, " %s", family_name(ps->fam));
		sb_puts(b, both && !ps->o->listing ? " addr . port to " : " to ");
		if (!value(ps, e->nat.reg_addr_min, TYPE_INVALID, false, b))
			return false;
		if (!both && !nat_ports(ps, e, b))
			return false;
		nat_flags(e->nat.flags, b);
		return true;
	}
	sb_puts(b, " to ");
	if (a) {
		if (!nat_addr(ps, e, e->nat.reg_addr_min, b))
			return false;
		if (e->nat.reg_addr_max != REG_NONE && e->nat.reg_addr_max != e->nat.reg_addr_min) {
			sb_puts(b, "-");
			if (!nat_addr(ps, e, e->nat.reg_addr_max, b))
				return false;
		}
	}
	if (!nat_ports(ps, e, b))
		return false;
	nat_flags(e->nat.flags, b);
	return true;
}

static bool stmt_redir(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	sb_puts(b, e->kind == EX_MASQ ? "masquerade" : "redirect");
	if (e->nat.reg_proto_min != REG_NONE) {
		sb_puts(b, " to ");
		if (!nat_ports(ps, e, b))
			return false;
	}
	nat_flags(e->nat.flags, b);
	return true;
}

static bool stmt_log(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	static const char *const levels[] = { "emerg",	"alert", "crit",  "err",  "warn",
					      "notice", "info",	 "debug", "audit" };

	sb_puts(b, "log");
	if (e->log.prefix && *e->log.prefix) {
		sb_puts(b, " prefix ");
		pv_string(b, e->log.prefix);
	}
	if (e->log.has_group) {
		sb_printf(b, " group %u", e->log.group);
		if (e->log.has_snaplen && e->log.snaplen)
			sb_printf(b, " snaplen %u", e->log.snaplen);
		if (e->log.has_qthreshold && e->log.qthreshold)
			sb_printf(b, " queue-threshold %u", e->log.qthreshold);
		return true;
	}
	if (e->log.has_level && (e->log.level != 4 || !ps->o->listing)) {
		if (e->log.level >= ARRAY_SIZE(levels))
			return false;
		sb_printf(b, " level %s", levels[e->log.level]);
	}
	if (!e->log.has_flags || !e->log.flags)
		return true;
	if ((e->log.flags & 0x2f) == 0x2f) {
		sb_puts(b, " flags all");
		return true;
	}
	if (e->log.flags & 3)
		sb_printf(b, " flags tcp %s",
			  (e->log.flags & 3) == 3 ? "sequence,options"
			  : e->log.flags & 1	  ? "sequence"
						  : "options");
	if (e->log.flags & 4)
		sb_puts(b, " flags ip options");
	if (e->log.flags & 8)
		sb_puts(b, " flags skuid");
	if (e->log.flags & 0x20)
		sb_puts(b, " flags ether");
	return true;
}

static bool stmt_reject(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	static const char *const icmp[16] = {
		[0] = "net-unreachable",  [1] = "host-unreachable", [2] = "prot-unreachable",
		[3] = "port-unreachable", [9] = "net-prohibited",   [10] = "host-prohibited",
		[13] = "admin-prohibited"
	};
	static const char *const icmp6[16] = {
		[0] = "no-route",	  [1] = "admin-prohibited", [3] = "addr-unreachable",
		[4] = "port-unreachable", [5] = "policy-fail",	    [6] = "reject-route"
	};
	static const char *const icmpx[16] = { "no-route", "port-unreachable", "host-unreachable",
					       "admin-prohibited" };
	uint8_t code = e->reject.code & 15;

	pd_kill_reject(ps, e);
	sb_puts(b, "reject");
	switch (e->reject.type) {
	case NFT_REJECT_TCP_RST:
		sb_puts(b, " with tcp reset");
		return true;
	case NFT_REJECT_ICMPX_UNREACH:
		if (!icmpx[code])
			return false;
		if (code != 1 || ps->l3 >= 0)
			sb_printf(b, " with icmpx %s", icmpx[code]);
		return true;
	default:
		if (ps->fam == FAM_IP && code == 3)
			return true;
		if (ps->fam == FAM_IP6 && code == 4)
			return true;
		if (ps->l3 == FAM_IP6 ? !icmp6[code] : !icmp[code])
			return false;
		sb_printf(b, " with %s", ps->l3 == FAM_IP6 ? "icmpv6 " : "icmp ");
		sb_puts(b, ps->l3 == FAM_IP6 ? icmp6[code] : icmp[code]);
		return ps->l3 == FAM_IP || ps->l3 == FAM_IP6;
	}
}

static bool stmt_set(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	struct pval t = { .e = e, .l3 = -1, .l4 = -1 };
	uint8_t sreg = e->kind == EX_META     ? e->meta.sreg
		       : e->kind == EX_CT     ? e->ct.sreg
		       : e->kind == EX_EXTHDR ? e->exthdr.sreg
					      : e->payload.sreg;

	t.len = e->kind == EX_PAYLOAD ? e->payload.len : 0;
	if (e->kind == EX_PAYLOAD && pl_reg(ps, sreg)) {
		uint64_t v;

		t.fld = pl_bits_set(ps, e, pl_reg(ps, sreg), &v);
		if (t.fld) {
			pd_kill_used(ps, &t);
			sb_printf(b, "%s %s set ", proto_of(t.fld->proto)->name, t.fld->name);
			pv_value(b, pv_how(ps->o), t.fld->type, v, 1);
			return true;
		}
	}
	pl_resolve(ps, &t);
	if (e->kind == EX_META)
		t.host = t.type != TYPE_ETHERTYPE;
	if (!t.words || t.full || t.field ||
	    (e->kind == EX_PAYLOAD && *t.words != '@' && t.type == TYPE_HEX))
		return false;
	if (e->kind == EX_PAYLOAD && *t.words == '@' && e->payload.base != PB_INNER &&
	    (e->payload.csum_type || e->payload.csum_flags))
		return false; /* raw bytes are written without a checksum */
	if (e->kind == EX_PAYLOAD && pl_reg(ps, sreg) && pl_reg(ps, sreg)->e->kind == EX_PAYLOAD)
		return false; /* part of a byte, put together with its surroundings */
	pd_kill_used(ps, &t);
	sb_printf(b, "%s set ", t.words);
	return value(ps, sreg, t.type, t.host, b);
}

static bool stmt_objref(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	static const char *const heads[] = { [NFT_OBJECT_COUNTER] = "counter name ",
					     [NFT_OBJECT_QUOTA] = "quota name ",
					     [NFT_OBJECT_CT_HELPER] = "ct helper set ",
					     [NFT_OBJECT_LIMIT] = "limit name ",
					     [NFT_OBJECT_CT_TIMEOUT] = "ct timeout set ",
					     [NFT_OBJECT_SECMARK] = "meta secmark set ",
					     [NFT_OBJECT_CT_EXPECT] = "ct expectation set ",
					     [NFT_OBJECT_SYNPROXY] = "synproxy name " };
	uint32_t type = e->objref.set ? e->objref.set->obj_type : e->objref.type;
	struct pval *key[16];
	uint32_t n;

	if (type >= ARRAY_SIZE(heads) || !heads[type])
		return false;
	sb_puts(b, heads[type]);
	if (!e->objref.set) {
		pv_string(b, e->objref.obj->name);
		return true;
	}
	if (!pm_concat(ps, e->objref.sreg, e->objref.set, key, &n, b))
		return false;
	for (uint32_t i = 0; i < n; i++)
		pd_kill_used(ps, key[i]);
	sb_puts(b, " map ");
	return pm_set_ref(ps, e->objref.set, key, n, NULL, b);
}

static bool stmt_dynset(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	static const char *const ops[] = { "add", "update", "delete" };
	struct pval *key[16];
	uint32_t n, i;

	if (e->dynset.inv)
		return false;
	sb_printf(b, "%s @%s { ", ops[e->dynset.op], e->dynset.set->name);
	if (!pm_concat(ps, e->dynset.sreg_key, e->dynset.set, key, &n, b))
		return false;
	for (i = 0; i < n; i++)
		pd_kill_used(ps, key[i]);
	if (e->dynset.timeout) {
		sb_puts(b, " timeout ");
		pv_time(b, e->dynset.timeout);
	}
	for (i = 0; i < e->dynset.n_exprs; i++) { /* what an element starts with: not values */
		struct fb_print_opts o = *ps->o;

		o.zero = true;
		sb_puts(b, " ");
		ps_stateful(e->dynset.exprs[i], &o, b);
	}
	if (e->dynset.sreg_data != REG_NONE) {
		bool host = true;
		uint32_t len;
		uint32_t t = e->dynset.set->data_decl
				     ? pv_decl_type(e->dynset.set->data_decl, &host, &len)
				     : TYPE_INVALID;

		sb_puts(b, " : ");
		if (t == TYPE_INVALID || !value(ps, e->dynset.sreg_data, t, host, b))
			return false;
	}
	sb_puts(b, " }");
	return true;
}

static bool stmt_dup(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	bool v6 = e->dup.family ? e->dup.family == FAM_IP6 : ps->fam == FAM_IP6;

	sb_puts(b, e->kind == EX_DUP ? "dup" : "fwd");
	if (e->dup.sreg_addr != REG_NONE) {
		sb_puts(b, e->dup.family ? (v6 ? " ip6 to " : " ip to ") : " to ");
		if (!value(ps, e->dup.sreg_addr, v6 ? TYPE_IP6ADDR : TYPE_IPADDR, false, b))
			return false;
		if (e->dup.sreg_dev == REG_NONE)
			return true;
		sb_puts(b, " device ");
		return value(ps, e->dup.sreg_dev, TYPE_IFINDEX, true, b);
	}
	sb_puts(b, " to ");
	return value(ps, e->dup.sreg_dev, TYPE_IFINDEX, true, b);
}

static bool stmt_tproxy(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	bool v6 = e->tproxy.family == FAM_IP6 || (!e->tproxy.family && ps->fam == FAM_IP6);

	sb_puts(b, "tproxy");
	if (ps->fam == FAM_INET && e->tproxy.family)
		sb_puts(b, v6 ? " ip6" : " ip");
	sb_puts(b, " to ");
	if (e->tproxy.reg_addr != REG_NONE) {
		sb_puts(b, v6 ? "[" : "");
		if (!value(ps, e->tproxy.reg_addr, v6 ? TYPE_IP6ADDR : TYPE_IPADDR, false, b))
			return false;
		sb_puts(b, v6 ? "]" : "");
	}
	if (e->tproxy.reg_port != REG_NONE) {
		sb_puts(b, ":");
		return value(ps, e->tproxy.reg_port, TYPE_INET_SERVICE, false, b);
	}
	return true;
}

static bool stmt_queue(const struct expr *e, struct sbuf *b)
{
	if (e->queue.sreg_qnum != REG_NONE)
		return false;
	sb_printf(b, "queue num %u", e->queue.num);
	if (e->queue.total > 1)
		sb_printf(b, "-%u", e->queue.num + e->queue.total - 1);
	if (e->queue.flags & NFT_QUEUE_FLAG_BYPASS)
		sb_puts(b, " bypass");
	if (e->queue.flags & NFT_QUEUE_FLAG_CPU_FANOUT)
		sb_puts(b, e->queue.flags & NFT_QUEUE_FLAG_BYPASS ? ",fanout" : " fanout");
	return true;
}

static void synproxy_params(const struct expr *e, struct sbuf *b)
{
	if (e->synproxy.flags & 1)
		sb_printf(b, " mss %u", e->synproxy.mss);
	if (e->synproxy.flags & 2)
		sb_printf(b, " wscale %u", e->synproxy.wscale);
	if (e->synproxy.flags & 8)
		sb_puts(b, " timestamp");
	if (e->synproxy.flags & 4)
		sb_puts(b, " sack-perm");
}

/* Listed as nft lists it; in full for those who load it (see fb_has_xt). */
static bool stmt_xt(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	uint32_t n;

	sb_printf(b, "xt %s \"%s\"", e->kind == EX_MATCH ? "match" : "target", e->xt.name);
	if (ps->o->listing)
		return true;
	for (n = e->xt.info_len; n && !e->xt.info[n - 1];)
		n--;
	sb_printf(b, " = %u %u \"", e->xt.rev, e->xt.info_len);
	for (uint32_t i = 0; i < n; i++)
		sb_printf(b, "%02x", e->xt.info[i]);
	sb_puts(b, "\"");
	return !strchr(e->xt.name, '"');
}

static bool stmt(struct pstate *ps, const struct expr *e, struct sbuf *b)
{
	switch (e->kind) {
	case EX_COUNTER:
	case EX_QUOTA:
	case EX_CONNLIMIT:
	case EX_LAST:
		return ps_stateful(e, ps->o, b), true;
	case EX_LIMIT:
		return ps_stateful(e, ps->o, b), rate_unit(e->limit.unit) != NULL;
	case EX_NAT:
		return stmt_nat(ps, e, b);
	case EX_MASQ:
	case EX_REDIR:
		return stmt_redir(ps, e, b);
	case EX_LOG:
		return stmt_log(ps, e, b);
	case EX_REJECT:
		return stmt_reject(ps, e, b);
	case EX_META:
	case EX_CT:
	case EX_PAYLOAD:
		return stmt_set(ps, e, b);
	case EX_EXTHDR:
		if (e->exthdr.sreg != REG_NONE)
			return stmt_set(ps, e, b);
		if (ps->o->listing && ext_nth(e->exthdr.op, e->exthdr.type, 0))
			sb_printf(b, "reset tcp option %s",
				  ext_nth(e->exthdr.op, e->exthdr.type, 0)->hdr);
		else
			sb_printf(b, "reset tcp option %u", e->exthdr.type);
		return e->exthdr.op == XH_TCPOPT;
	case EX_OBJREF:
		return stmt_objref(ps, e, b);
	case EX_DYNSET:
		return stmt_dynset(ps, e, b);
	case EX_DUP:
	case EX_FWD:
		return stmt_dup(ps, e, b);
	case EX_TPROXY:
		return stmt_tproxy(ps, e, b);
	case EX_QUEUE:
		return stmt_queue(e, b);
	case EX_NOTRACK:
		return sb_puts(b, "notrack"), true;
	case EX_SYNPROXY:
		return sb_puts(b, "synproxy"), synproxy_params(e, b), true;
	case EX_MATCH:
	case EX_TARGET:
		return stmt_xt(ps, e, b);
	case EX_FLOW_OFFLOAD:
		return sb_printf(b, "flow add @%s", e->flow.flowtable), true;
	default:
		return false;
	}
}

static bool is_load(const struct expr *e)
{
	switch (e->kind) {
	case EX_PAYLOAD:
		return e->payload.dreg != REG_NONE;
	case EX_EXTHDR:
		return e->exthdr.dreg != REG_NONE;
	case EX_META:
		return e->meta.dreg != REG_NONE;
	case EX_CT:
		return e->ct.dreg != REG_NONE;
	case EX_IMMEDIATE:
		return e->imm.dreg != REG_VERDICT;
	case EX_RT:
	case EX_SOCKET:
	case EX_OSF:
	case EX_FIB:
	case EX_XFRM:
	case EX_TUNNEL:
	case EX_NUMGEN:
	case EX_HASH:
		return true;
	default:
		return false;
	}
}

/* Expression i of the rule. */
bool ps_expr(struct pstate *ps, const struct rule *r, uint32_t i)
{
	const struct expr *e = r->exprs.v[i];
	struct sbuf b;

	if (is_load(e))
		return pl_load(ps, e);
	if (e->kind == EX_CMP || e->kind == EX_RANGE || e->kind == EX_LOOKUP ||
	    e->kind == EX_BITWISE || e->kind == EX_BYTEORDER)
		return pm_expr(ps, e);
	if (e->kind == EX_XTNEED) /* in conditions that a program has asked before */
		return true;
	sb_init(&b, ps->a);
	if (e->kind == EX_IMMEDIATE) {
		if (e->imm.verdict.code == V_BREAK)
			return false;
		ps_verdict(ps->o, e->imm.verdict, &b);
	} else if (!stmt(ps, e, &b)) {
		return false;
	}
	pm_word(ps, b.s);
	pd_reset(ps);
	return true;
}
