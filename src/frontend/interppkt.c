// SPDX-License-Identifier: GPL-2.0-or-later
/* interppkt: what the interpreter reads from a packet: its headers, its skb's fields, its connection. */
#include "interp_int.h"

enum { IP_TCP = 6, IP_UDP = 17, IP_GRE = 47, IP_IPIP = 4, IP_SCTP = 132 };
enum { X_HOP = 0, X_ROUTING = 43, X_FRAGMENT = 44, X_AUTH = 51, X_NONE = 59, X_DEST = 60 };
#define IP6_HDR 40u

static uint16_t be16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

/* n bytes at off from the network header, NULL when the packet is too short. */
static const uint8_t *at(const struct pkt *p, uint64_t off, uint32_t n)
{
	return off <= p->len && n <= p->len - off ? p->l3 + off : NULL;
}

/* -- finding the transport header ------------------------------------------------------------------------------ */

static bool is_ext_hdr(uint8_t nh)
{
	return nh == X_HOP || nh == X_ROUTING || nh == X_FRAGMENT || nh == X_AUTH || nh == X_NONE ||
	       nh == X_DEST;
}

/*
 * The kernel's walk of extension headers: to the header `target`, or with target -1 to the transport protocol, ending at an
 * authentication header then. Returns the header's number and sets *off, and *frag in a later fragment; -1: not there.
 */
static int ip6_find(const struct pkt *p, int target, uint32_t *off, uint16_t *frag)
{
	uint32_t start = IP6_HDR;
	uint8_t nh = p->l3[6];
	bool found;

	*frag = 0;
	do {
		const uint8_t *h;
		uint32_t len;

		found = nh == target;
		if (!is_ext_hdr(nh) || nh == X_NONE) {
			if (target < 0 || found)
				break;
			return -1;
		}
		h = at(p, start, 2);
		if (!h || (nh == X_ROUTING && !at(p, start, 4)))
			return -1;
		if (nh == X_FRAGMENT) {
			const uint8_t *f = at(p, start + 2, 2);

			if (!f)
				return -1;
			if (be16(f) & ~7) {
				if (target < 0 && (!is_ext_hdr(h[0]) || h[0] == X_NONE)) {
					*frag = be16(f) & ~7;
					return h[0]; /* *off stays: there is no transport header */
				}
				if (!found)
					return -1;
				*frag = be16(f) & ~7;
				break;
			}
			len = 8;
		} else if (nh == X_AUTH) {
			if (target < 0)
				break;
			len = (h[1] + 2u) * 4;
		} else {
			len = (h[1] + 1u) * 8;
		}
		if (!found) {
			nh = h[0];
			start += len;
		}
	} while (!found);
	*off = start;
	return nh;
}

static bool start_ip4(struct irun *x)
{
	const uint8_t *h = at(x->p, 0, 20);

	if (!h || h[0] >> 4 != 4)
		return false;
	x->l4 = true;
	x->tprot = h[9];
	x->thoff = (h[0] & 15u) * 4;
	x->fragoff = be16(h + 6) & 0x1fff;
	return true;
}

static bool start_ip6(struct irun *x)
{
	const uint8_t *h = at(x->p, 0, IP6_HDR);
	uint32_t off = 0;
	uint16_t frag;
	int nh;

	if (!h || h[0] >> 4 != 6)
		return false;
	nh = ip6_find(x->p, -1, &off, &frag);
	if (nh < 0 || off > UINT16_MAX)
		return true; /* the transport protocol stays unknown */
	x->l4 = true;
	x->tprot = (uint8_t)nh;
	x->thoff = off;
	x->fragoff = frag;
	return true;
}

bool ipkt_start(struct irun *x)
{
	x->l4 = false;
	x->tprot = 0;
	x->thoff = 0;
	x->fragoff = 0;
	if (x->p->pf == FAM_IP)
		return start_ip4(x);
	return x->p->pf == FAM_IP6 && start_ip6(x);
}

/* -- payload --------------------------------------------------------------------------------------------------- */

/* Offset of what lies behind the transport header; false: there is nothing. */
static bool inner_offset(const struct irun *x, uint32_t *off)
{
	const uint8_t *h;

	if (!x->l4 || x->fragoff)
		return false;
	switch (x->tprot) {
	case IP_UDP:
		*off = x->thoff + 8;
		return true;
	case IP_TCP:
		h = at(x->p, x->thoff, 20);
		if (!h)
			return false;
		*off = x->thoff + (h[12] >> 4) * 4u;
		return true;
	case IP_GRE:
		h = at(x->p, x->thoff, 4);
		if (!h || h[1] & 7 || h[0] & 0x40) /* version, routing */
			return false;
		*off = x->thoff + 4 + (h[0] & 0x80 ? 4 : 0) + (h[0] & 0x20 ? 4 : 0) +
		       (h[0] & 0x10 ? 4 : 0);
		return true;
	case IP_IPIP:
		*off = x->thoff;
		return true;
	default:
		return false;
	}
}

/* The link-layer header as it was on the wire: a tag that the skb carries apart is put back behind the addresses. */
static void load_ll(struct irun *x, const struct expr *e)
{
	const struct pkt *p = x->p;
	uint32_t off = e->payload.off, len = e->payload.len;
	uint8_t hdr[64];
	uint32_t n;

	if (!p->ll || !p->ll_len) {
		run_break(x);
		return;
	}
	if (p->ll_len > 32 || (p->has_vlan && p->ll_len != 14) || off + len > 16) {
		unsupported(x, e);
		return;
	}
	n = p->ll_len;
	memcpy(hdr, p->ll, n);
	if (p->has_vlan && off + len > 12) {
		memmove(hdr + 16, hdr + 12, 2);
		hdr[12] = (uint8_t)(p->vlan_proto >> 8);
		hdr[13] = (uint8_t)p->vlan_proto;
		hdr[14] = (uint8_t)(p->vlan_tci >> 8);
		hdr[15] = (uint8_t)p->vlan_tci;
		n += 4;
	}
	if (off + len > n) { /* the kernel goes on into the network header */
		uint32_t more = off + len - n;
		const uint8_t *b = at(p, 0, more);

		if (!b) {
			run_break(x);
			return;
		}
		memcpy(hdr + n, b, more);
	}
	reg_copy(x, e->payload.dreg, hdr + off, len);
}

void ipkt_payload(struct irun *x, const struct expr *e)
{
	const uint8_t *b;
	uint32_t base = 0;

	switch (e->payload.base) {
	case PB_LL:
		load_ll(x, e);
		return;
	case PB_NETWORK:
		break;
	case PB_TRANSPORT:
		if (!x->l4 || x->fragoff) {
			run_break(x);
			return;
		}
		base = x->thoff;
		break;
	case PB_INNER:
		if (!inner_offset(x, &base)) {
			run_break(x);
			return;
		}
		break;
	default:
		unsupported(x, e);
		return;
	}
	b = at(x->p, (uint64_t)base + e->payload.off, e->payload.len);
	if (b)
		reg_copy(x, e->payload.dreg, b, e->payload.len);
	else
		run_break(x);
}

/* -- options and extension headers ----------------------------------------------------------------------------- */

static uint16_t protocol_of(const struct pkt *p)
{
	return p->protocol ? p->protocol : p->pf == FAM_IP ? 0x0800 : 0x86dd;
}

/* The value, or presence, of a header at off (found) or of none. */
static void exthdr_result(struct irun *x, const struct expr *e, const uint8_t *b, bool found)
{
	if (e->exthdr.flags & 1)
		reg_u8(x, e->exthdr.dreg, found);
	else if (b)
		reg_copy(x, e->exthdr.dreg, b, e->exthdr.len);
	else
		run_break(x);
}

static void load_ip6_ext(struct irun *x, const struct expr *e)
{
	uint32_t off = 0;
	uint16_t frag;
	int nh;

	if (protocol_of(x->p) != 0x86dd) {
		run_break(x);
		return;
	}
	nh = ip6_find(x->p, e->exthdr.type, &off, &frag);
	exthdr_result(x, e, nh < 0 ? NULL : at(x->p, (uint64_t)off + e->exthdr.off, e->exthdr.len),
		      nh >= 0);
}

static void load_tcp_opt(struct irun *x, const struct expr *e)
{
	const uint8_t *h = NULL;
	uint32_t hlen = 0, len;

	if (x->tprot == IP_TCP && x->l4 && !x->fragoff)
		h = at(x->p, x->thoff, 20);
	if (h) {
		hlen = (h[12] >> 4) * 4u;
		h = hlen >= 20 ? at(x->p, x->thoff, hlen) : NULL;
	}
	for (uint32_t i = 20; h && i < hlen - 1; i += len) {
		len = h[i] <= 1 || !h[i + 1] ? 1 : h[i + 1];
		if (h[i] != e->exthdr.type)
			continue;
		if (i + len > hlen || (uint32_t)e->exthdr.len + e->exthdr.off > len)
			break;
		exthdr_result(x, e, h + i + e->exthdr.off, true);
		return;
	}
	exthdr_result(x, e, NULL, false);
}

static void load_sctp_chunk(struct irun *x, const struct expr *e)
{
	const struct pkt *p = x->p;
	uint64_t off = (uint64_t)x->thoff + 12;
	const uint8_t *h;

	if (x->fragoff) { /* kernels read behind the wrong header here */
		unsupported(x, e);
		return;
	}
	if (x->l4 && x->tprot == IP_SCTP)
		do {
			uint32_t len;

			h = at(p, off, 4);
			if (!h || !be16(h + 2))
				break;
			len = be16(h + 2);
			if (h[0] == e->exthdr.type) {
				if (e->exthdr.flags & 1) {
					reg_u8(x, e->exthdr.dreg, 1);
					return;
				}
				h = at(p, off + e->exthdr.off, e->exthdr.len);
				if ((uint32_t)e->exthdr.off + e->exthdr.len > len ||
				    off + len > p->len || !h)
					break;
				reg_copy(x, e->exthdr.dreg, h, e->exthdr.len);
				return;
			}
			off += ALIGN_UP(len, 4u);
		} while (off < p->len);
	exthdr_result(x, e, NULL, false);
}

/* Options of IPv4: only their absence is modelled. */
static void load_ip4_opt(struct irun *x, const struct expr *e)
{
	if (protocol_of(x->p) != 0x0800)
		run_break(x);
	else if ((x->p->l3[0] & 15) <= 5)
		exthdr_result(x, e, NULL, false);
	else
		unsupported(x, e);
}

void ipkt_exthdr(struct irun *x, const struct expr *e)
{
	if (e->exthdr.dreg == REG_NONE) {
		unsupported(x, e);
		return;
	}
	switch (e->exthdr.op) {
	case XH_IPV6:
		load_ip6_ext(x, e);
		return;
	case XH_TCPOPT:
		load_tcp_opt(x, e);
		return;
	case XH_IPV4:
		load_ip4_opt(x, e);
		return;
	case XH_SCTP:
		load_sctp_chunk(x, e);
		return;
	default:
		unsupported(x, e);
	}
}

/* -- meta ------------------------------------------------------------------------------------------------------ */

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
	uint64_t sec = x->p->real_ns / 1000000000u;

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
		proto[0] = (uint8_t)(protocol_of(p) >> 8);
		proto[1] = (uint8_t)protocol_of(p);
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
	case KEY_META_TIME:
	case KEY_META_DAY:
	case KEY_META_HOUR:
		meta_time(x, e);
		return;
	default: /* bridges, routing realms, security marks, VRF masters */
		unsupported(x, e);
	}
}

/* -- conntrack ------------------------------------------------------------------------------------------------- */

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
