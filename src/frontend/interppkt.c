// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * interppkt: what the interpreter reads beside a packet: its skb's fields, its devices, its
 * connection.
 */
#include "interp_int.h"

uint16_t ipkt_protocol(const struct pkt *p)
{
	return p->protocol ? p->protocol : p->pf == FAM_IP ? 0x0800 : 0x86dd;
}

/* -- meta -------------------------------------------------------------------------------------- */

static void store_name(struct irun *x, uint8_t r, const char *name)
{
	char buf[16] = { 0 };

	memcpy(buf, name, strnlen(name, 15));
	reg_copy(x, r, buf, 16);
}

/* Keys of a device; a missing one has index 0 and an empty name, and breaks for all else. */
static void meta_dev(struct irun *x, const struct expr *e, const struct pkt_dev *d)
{
	uint8_t r = e->meta.dreg;

	switch (e->meta.key) {
	case KEY_META_IIF:
	case KEY_META_OIF:
		reg_u32(x, r, d ? d->index : 0);
		return;
	case KEY_META_IIFNAME:
	case KEY_META_OIFNAME:
		store_name(x, r, d ? d->name : "");
		return;
	}
	if (!d) {
		run_break(x);
		return;
	}
	switch (e->meta.key) {
	case KEY_META_IIFTYPE:
	case KEY_META_OIFTYPE:
		reg_u16(x, r, d->type);
		return;
	case KEY_META_IIFGROUP:
	case KEY_META_OIFGROUP:
		reg_u32(x, r, d->group);
		return;
	default: /* kind */
		if (d->kind)
			store_name(x, r, d->kind);
		else
			run_break(x);
	}
}

/* PACKET_LOOPBACK (5) stands for the multicast or broadcast that the packet looped back from. */
static void meta_pkttype(struct irun *x, uint8_t r)
{
	uint8_t t = x->r->pkt_type;

	if (t == 5)
		t = x->p->pf == FAM_IP6 || (x->p->l3[16] & 0xf0) == 0xe0 ? 2 : 1;
	reg_u8(x, r, t);
}

static void meta_time(struct irun *x, const struct expr *e)
{
	int64_t sec = (int64_t)(x->p->real_ns / 1000000000u);

	if (e->meta.key == KEY_META_DAY)
		sec -= x->p->minuteswest * 60;
	if (e->meta.key == KEY_META_TIME)
		reg_u64(x, e->meta.dreg, x->p->real_ns);
	else if (e->meta.key == KEY_META_HOUR)
		reg_u32(x, e->meta.dreg, (uint32_t)(sec % 86400));
	else
		reg_u8(x, e->meta.dreg,
		       (uint8_t)((sec / 86400 + 4) % 7)); /* day 0 was a Thursday */
}

static void meta_set(struct irun *x, const struct expr *e)
{
	uint32_t v = x->reg[REG_WORD(e->meta.sreg)];
	uint8_t b = reg_bytes(x, e->meta.sreg)[0];

	switch (e->meta.key) {
	case KEY_META_MARK:
		x->r->mark = v;
		return;
	case KEY_META_PRIORITY:
		x->r->priority = v;
		return;
	case KEY_META_PKTTYPE: /* only between the types below PACKET_OTHERHOST's end */
		if (x->r->pkt_type != b && x->r->pkt_type <= 3 && b <= 3)
			x->r->pkt_type = b;
		return;
	case KEY_META_NFTRACE:
		return;
	default:
		unsupported(x, e);
	}
}

static void meta_socket(struct irun *x, const struct expr *e)
{
	if (!x->p->has_sk) {
		run_break(x);
		return;
	}
	reg_u32(x, e->meta.dreg, e->meta.key == KEY_META_SKUID ? x->p->skuid : x->p->skgid);
}

void ipkt_meta(struct irun *x, const struct expr *e)
{
	const struct pkt *p = x->p;
	uint8_t r = e->meta.dreg, proto[2];

	if (r == REG_NONE) {
		meta_set(x, e);
		return;
	}
	switch (e->meta.key) {
	case KEY_META_LEN:
		reg_u32(x, r, p->len);
		return;
	case KEY_META_PROTOCOL:
		proto[0] = (uint8_t)(ipkt_protocol(p) >> 8);
		proto[1] = (uint8_t)ipkt_protocol(p);
		reg_copy(x, r, proto, 2);
		return;
	case KEY_META_PRIORITY:
		reg_u32(x, r, x->r->priority);
		return;
	case KEY_META_MARK:
		reg_u32(x, r, x->r->mark);
		return;
	case KEY_META_IIF:
	case KEY_META_IIFNAME:
	case KEY_META_IIFTYPE:
	case KEY_META_IIFGROUP:
	case KEY_META_IIFKIND:
		meta_dev(x, e, p->in);
		return;
	case KEY_META_OIF:
	case KEY_META_OIFNAME:
	case KEY_META_OIFTYPE:
	case KEY_META_OIFGROUP:
	case KEY_META_OIFKIND:
		meta_dev(x, e, p->out);
		return;
	case KEY_META_SKUID:
	case KEY_META_SKGID:
		meta_socket(x, e);
		return;
	case KEY_META_NFPROTO:
		reg_u8(x, r, p->pf);
		return;
	case KEY_META_L4PROTO:
		if (x->l4)
			reg_u8(x, r, x->tprot);
		else
			run_break(x);
		return;
	case KEY_META_PKTTYPE:
		meta_pkttype(x, r);
		return;
	case KEY_META_CPU:
		reg_u32(x, r, p->cpu);
		return;
	case KEY_META_CGROUP:
		if (p->has_cgroup)
			reg_u32(x, r, p->cgroup);
		else
			run_break(x);
		return;
	case KEY_META_PRANDOM:
		if (p->random)
			reg_u32(x, r, p->random(p->random_arg));
		else
			unsupported(x, e);
		return;
	case KEY_META_SECPATH:
		reg_u8(x, r, p->secpath);
		return;
	case KEY_META_SDIFNAME:
		store_name(x, r, p->sdifname ? p->sdifname : "");
		return;
	case KEY_META_TIME:
	case KEY_META_DAY:
	case KEY_META_HOUR:
		meta_time(x, e);
		return;
	default: /* bridges, routing realms, security marks, VRF masters */
		unsupported(x, e);
	}
}

void ipkt_socket(struct irun *x, const struct expr *e)
{
	const struct pkt *p = x->p;

	if (p->hook != HOOK_OUTPUT || e->socket.key > KEY_SOCKET_WILDCARD)
		unsupported(x, e); /* the kernel looks for one */
	else if (!p->has_sk)
		run_break(x);
	else if (e->socket.key == KEY_SOCKET_MARK)
		reg_u32(x, e->socket.dreg, p->sk_mark);
	else
		reg_u8(x, e->socket.dreg,
		       e->socket.key == KEY_SOCKET_WILDCARD ? p->sk_wildcard : p->sk_transparent);
}

/* -- conntrack --------------------------------------------------------------------------------- */

static uint32_t ct_state(const struct pkt_ct *ct)
{
	if (ct->kind == PKT_CT_TEMPLATE || ct->kind == PKT_CT_ENTRY)
		return 1u << (ct->info % 3 + 1);
	return ct->kind == PKT_CT_UNTRACKED ? 64 : 1;
}

static void ct_counts(struct irun *x, const struct expr *e)
{
	const struct pkt_ct *ct = &x->ct;
	uint64_t packets = 0, bytes = 0;

	if (ct->has_acct && e->ct.has_dir) {
		packets = ct->packets[e->ct.dir];
		bytes = ct->bytes[e->ct.dir];
	} else if (ct->has_acct) {
		packets = ct->packets[0] + ct->packets[1];
		bytes = ct->bytes[0] + ct->bytes[1];
	}
	if (e->ct.key == KEY_CT_PACKETS)
		reg_u64(x, e->ct.dreg, packets);
	else if (e->ct.key == KEY_CT_BYTES)
		reg_u64(x, e->ct.dreg, bytes);
	else
		reg_u64(x, e->ct.dreg, packets ? bytes / packets : 0);
}

static void ct_tuple(struct irun *x, const struct expr *e)
{
	const struct pkt_tuple *t = &x->ct.tuple[e->ct.dir];
	bool src = false;
	uint8_t l3 = x->ct.l3num;

	switch (e->ct.key) {
	case KEY_CT_PROTO_SRC:
		reg_copy(x, e->ct.dreg, t->sport, 2);
		return;
	case KEY_CT_PROTO_DST:
		reg_copy(x, e->ct.dreg, t->dport, 2);
		return;
	case KEY_CT_SRC:
	case KEY_CT_SRC_IP:
	case KEY_CT_SRC_IP6:
		src = true;
		break;
	}
	if (((e->ct.key == KEY_CT_SRC_IP || e->ct.key == KEY_CT_DST_IP) && l3 != FAM_IP) ||
	    ((e->ct.key == KEY_CT_SRC_IP6 || e->ct.key == KEY_CT_DST_IP6) && l3 != FAM_IP6)) {
		run_break(x);
		return;
	}
	reg_copy(x, e->ct.dreg, src ? t->src : t->dst, l3 == FAM_IP ? 4 : 16);
}

static void ct_set(struct irun *x, const struct expr *e)
{
	if (e->ct.key != KEY_CT_MARK) {
		unsupported(x, e);
		return;
	}
	if (x->ct.kind != PKT_CT_ENTRY)
		return;
	x->ct.mark = x->reg[REG_WORD(e->ct.sreg)];
	x->r->ct_mark = x->ct.mark;
}

void ipkt_ct(struct irun *x, const struct expr *e)
{
	const struct pkt_ct *ct = &x->ct;
	uint8_t r = e->ct.dreg;

	if (r == REG_NONE) {
		ct_set(x, e);
		return;
	}
	if (e->ct.key == KEY_CT_STATE) {
		reg_u32(x, r, ct_state(ct));
		return;
	}
	if (ct->kind != PKT_CT_ENTRY) {
		run_break(x);
		return;
	}
	switch (e->ct.key) {
	case KEY_CT_DIRECTION:
		reg_u8(x, r, ct->info >= 3);
		return;
	case KEY_CT_STATUS:
		reg_u32(x, r, ct->status);
		return;
	case KEY_CT_MARK:
		reg_u32(x, r, ct->mark);
		return;
	case KEY_CT_SECMARK:
		reg_u32(x, r, ct->secmark);
		return;
	case KEY_CT_EXPIRATION:
		reg_u32(x, r, ct->expiration);
		return;
	case KEY_CT_HELPER:
		if (ct->helper)
			store_name(x, r, ct->helper);
		else
			run_break(x);
		return;
	case KEY_CT_L3PROTOCOL:
		reg_u8(x, r, ct->l3num);
		return;
	case KEY_CT_PROTOCOL:
		reg_u8(x, r, ct->proto);
		return;
	case KEY_CT_LABEL:
		reg_copy(x, r, ct->has_labels ? ct->labels : (const uint8_t[16]){ 0 }, 16);
		return;
	case KEY_CT_PACKETS:
	case KEY_CT_BYTES:
	case KEY_CT_AVGPKT:
		ct_counts(x, e);
		return;
	case KEY_CT_ZONE: /* of one direction: the default zone where the zone does not count */
		reg_u16(x, r, !e->ct.has_dir || ct->zone_dir & 1u << e->ct.dir ? ct->zone : 0);
		return;
	case KEY_CT_ID:
		reg_u32(x, r, ct->id);
		return;
	case KEY_CT_EVENT:
		unsupported(x, e);
		return;
	default:
		ct_tuple(x, e);
	}
}
