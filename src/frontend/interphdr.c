// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * interphdr: what the interpreter reads from a packet: its headers, their options, tunnelled
 * packets.
 */
#include "interp_int.h"

enum { IP_TCP = 6, IP_UDP = 17, IP_GRE = 47, IP_IPIP = 4, IP_DCCP = 33, IP_SCTP = 132 };
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

/* -- finding the transport header -------------------------------------------------------------- */

static bool is_ext_hdr(uint8_t nh)
{
	return nh == X_HOP || nh == X_ROUTING || nh == X_FRAGMENT || nh == X_AUTH || nh == X_NONE ||
	       nh == X_DEST;
}

/*
 * The kernel's walk of extension headers: to the header `target`, or with target -1 to the
 * transport protocol, ending at an authentication header then. *off is where the IPv6 header is.
 * Returns the header's number and sets *off, and *frag in a later fragment; -1: not there.
 */
static int ip6_find(const struct pkt *p, int target, uint32_t *off, uint16_t *frag)
{
	uint32_t start = *off + IP6_HDR;
	uint8_t nh = p->l3[*off + 6];
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

/* -- payload ----------------------------------------------------------------------------------- */

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

/*
 * The link-layer header as it was on the wire: a tag that the skb carries apart is put back behind
 * the addresses.
 */
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

/* -- inside of a tunnel ------------------------------------------------------------------------ */

enum { IN_HDRSIZE = 1, IN_LL = 2, IN_NH = 4, IN_TH = 8 };
enum { IN_GENEVE = 2 };

/* What nf_tables knows of a tunnelled packet. has: flags IN_*, of the headers that are there. */
struct itunnel {
	uint32_t has, tun, ll, nh, th;
	uint16_t llproto;
	uint8_t proto;
};

static bool tunnel_header(const struct irun *x, const struct expr *e, struct itunnel *t,
			  uint32_t *off)
{
	const uint8_t *h;

	t->has |= IN_HDRSIZE;
	t->tun = x->tprot == IP_GRE ? x->thoff : *off;
	if (x->tprot == IP_GRE)
		return true;
	if (x->tprot != IP_UDP)
		return false;
	if (e->inner.type == IN_GENEVE) {
		h = at(x->p, *off, 8);
		if (!h)
			return false;
		*off += (h[0] & 63) * 4u;
	}
	*off += e->inner.hdrsize;
	return true;
}

static bool tunnel_link(const struct irun *x, struct itunnel *t, uint32_t *off, uint16_t *type)
{
	const uint8_t *h = at(x->p, *off, 14);

	if (!h)
		return false;
	t->llproto = *type = be16(h + 12);
	t->has |= IN_LL;
	t->ll = *off;
	*off += 14;
	if (*type == 0x8100) {
		h = at(x->p, *off, 4);
		if (!h)
			return false;
		*type = be16(h + 2);
		*off += 4;
	}
	return true;
}

static bool tunnel_net(const struct irun *x, struct itunnel *t, uint32_t off, uint16_t type)
{
	const uint8_t *h = at(x->p, off, type == 0x86dd ? 40 : 20);
	uint16_t frag;
	int nh;

	if (!h || (type != 0x0800 && type != 0x86dd) || h[0] >> 4 != (type == 0x0800 ? 4 : 6))
		return false;
	t->has |= IN_NH;
	t->nh = t->th = off;
	if (type == 0x86dd) {
		nh = ip6_find(x->p, -1, &t->th, &frag);
		if (nh < 0 || t->th > UINT16_MAX)
			return false;
		t->proto = (uint8_t)nh;
	} else {
		if ((h[0] & 15) < 5)
			return false;
		frag = be16(h + 6) & 0x1fff;
		t->proto = h[9];
		t->th += (h[0] & 15) * 4u;
	}
	if (!frag)
		t->has |= IN_TH;
	return true;
}

/*
 * Every read finds the headers anew. (The kernel keeps them for the next read of a packet; with the
 * same results.)
 */
static bool tunnel_parse(const struct irun *x, const struct expr *e, struct itunnel *t)
{
	uint32_t flags = e->inner.flags, off;
	uint16_t type = 0;
	const uint8_t *h;

	memset(t, 0, sizeof(*t));
	if (!inner_offset(x, &off))
		return false;
	if (flags & IN_HDRSIZE && !tunnel_header(x, e, t, &off))
		return false;
	if (flags & IN_LL)
		return tunnel_link(x, t, &off, &type) && tunnel_net(x, t, off, type);
	if (flags & IN_NH) {
		h = at(x->p, off, 4);
		t->llproto = h && h[0] >> 4 == 4 ? 0x0800 : 0x86dd;
		return h && tunnel_net(x, t, off, t->llproto);
	}
	if (flags & IN_TH) {
		t->has |= IN_TH;
		t->th = off;
	}
	return true;
}

static void inner_meta(struct irun *x, const struct expr *e, const struct itunnel *t)
{
	uint8_t r = e->meta.dreg, proto[2] = { (uint8_t)(t->llproto >> 8), (uint8_t)t->llproto };

	if (e->meta.key == KEY_META_PROTOCOL)
		reg_copy(x, r, proto, 2);
	else if (t->has & IN_TH)
		reg_u8(x, r, t->proto);
	else
		run_break(x);
}

static void inner_payload(struct irun *x, const struct expr *e, const struct itunnel *t)
{
	const struct {
		uint32_t flag, off;
	} bases[] = {
		[PB_LL] = { IN_LL, t->ll },
		[PB_NETWORK] = { IN_NH, t->nh },
		[PB_TRANSPORT] = { IN_TH, t->th },
		[PB_TUN] = { IN_HDRSIZE, t->tun },
	};
	const uint8_t *b = NULL;

	if (t->has & bases[e->payload.base].flag)
		b = at(x->p, (uint64_t)bases[e->payload.base].off + e->payload.off, e->payload.len);
	if (b)
		reg_copy(x, e->payload.dreg, b, e->payload.len);
	else
		run_break(x);
}

void ipkt_inner(struct irun *x, const struct expr *e)
{
	const struct expr *in = e->inner.expr;
	struct itunnel t;

	if (!tunnel_parse(x, e, &t))
		run_break(x);
	else if (in->kind == EX_META && in->meta.dreg != REG_NONE &&
		 (in->meta.key == KEY_META_PROTOCOL || in->meta.key == KEY_META_L4PROTO))
		inner_meta(x, in, &t);
	else if (in->kind == EX_PAYLOAD && in->payload.dreg != REG_NONE &&
		 in->payload.base != PB_INNER)
		inner_payload(x, in, &t);
	else
		unsupported(x, e);
}

/* As extensions of iptables have it: a packet that ends within the header is dropped at once. */
void ipkt_need(struct irun *x, const struct expr *e)
{
	if (x->fragoff == 1 && e->need.strict)
		x->verdict = V_DROP;
	else if (!x->l4 || x->fragoff)
		run_break(x);
	else if (!at(x->p, x->thoff, e->need.len))
		x->verdict = V_DROP;
}

/* -- options and extension headers ------------------------------------------------------------- */

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

	if (ipkt_protocol(x->p) != 0x86dd) {
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

/* What the kernel finds in the options of an IPv4 header: offsets from the header, 0: not there. */
struct iopts {
	uint32_t srr, rr, ts, ra;
	bool strict, asks; /* asks: only a task with the right to send such options may */
};

/* A timestamp option with room for what its pointer says. */
static bool ts_option(struct iopts *o, const uint8_t *h, uint32_t len)
{
	if (len < 4 || h[2] < 5)
		return false;
	if (h[2] > len)
		return h[3] >> 4 != 15;
	o->asks |= (h[3] & 15) > 1 && (h[3] & 15) != 3;
	return h[2] + (h[3] & 15 ? 7u : 3u) <= len || ((h[3] & 15) > 3 && h[2] + 3u <= len) ||
	       ((h[3] & 15) == 2 && h[2] + 3u <= len);
}

/* One option of len bytes, at `at`; false: malformed. */
static bool ip4_option(struct iopts *o, const uint8_t *h, uint32_t len, uint32_t at)
{
	switch (h[0]) {
	case 131:
	case 137:
		if (o->srr || len < 7 || h[2] != 4 || (len - 3) % 4)
			return false;
		o->srr = at;
		o->strict = h[0] == 137;
		return true;
	case 7:
		if (o->rr || len < 3 || h[2] < 4 || (h[2] <= len && h[2] + 3u > len))
			return false;
		o->rr = at;
		return true;
	case 68:
		if (o->ts || !ts_option(o, h, len))
			return false;
		o->ts = at;
		return true;
	case 148:
		if (len >= 4 && !h[2] && !h[3])
			o->ra = at;
		return len >= 4;
	default:
		o->asks = true;
		return true;
	}
}

/* The whole of the options; false: malformed, so none counts. */
static bool ip4_options(const struct pkt *p, struct iopts *o)
{
	uint32_t end = (p->l3[0] & 15) * 4u, len;

	if (!at(p, 0, end))
		return false;
	for (uint32_t i = 20; i < end; i += len) {
		const uint8_t *h = p->l3 + i;

		len = 1;
		if (!h[0])
			return true;
		if (h[0] == 1)
			continue;
		if (i + 1 >= end || h[1] < 2 || i + h[1] > end)
			return false;
		len = h[1];
		if (!ip4_option(o, h, len, i))
			return false;
	}
	return true;
}

static void load_ip4_opt(struct irun *x, const struct expr *e)
{
	struct iopts o = { 0 };
	uint32_t off = 0;
	bool ok;

	if (ipkt_protocol(x->p) != 0x0800 || x->p->pf != FAM_IP) {
		run_break(x);
		return;
	}
	ok = ip4_options(x->p, &o);
	if (ok && o.asks) { /* the running task decides */
		unsupported(x, e);
		return;
	}
	if (ok && (e->exthdr.type == 131 || e->exthdr.type == 137))
		off = o.strict == (e->exthdr.type == 137) ? o.srr : 0;
	else if (ok)
		off = e->exthdr.type == 7 ? o.rr : e->exthdr.type == 148 ? o.ra : 0;
	exthdr_result(x, e, off ? at(x->p, off + e->exthdr.off, e->exthdr.len) : NULL, off);
}

/* Where the options of a DCCP header begin, from it. */
static uint32_t dccp_options(const uint8_t *h)
{
	static const uint8_t more[16] = { 4, 12, 0, 8, 8, 12, 8, 8, 8, 8, 12, 12, 12, 12, 12, 12 };

	return 12 + (h[8] & 1) * 4u + more[h[8] >> 1 & 15];
}

static void load_dccp_opt(struct irun *x, const struct expr *e)
{
	const uint8_t *h = NULL, *o;
	uint32_t i = 0, end = 0, len;
	bool found = false;

	if (x->l4 && x->tprot == IP_DCCP && !x->fragoff)
		h = at(x->p, x->thoff, 12);
	if (h) {
		i = dccp_options(h);
		end = h[4] * 4u;
	}
	for (; i < end && !found; i += len) {
		len = MIN(end - i, 2u);
		o = at(x->p, x->thoff + i, len);
		if (!o)
			break;
		found = o[0] == e->exthdr.type;
		if (!found && o[0] >= 32 && (len < 2 || o[1] < 2))
			break;
		len = o[0] < 32 ? 1 : len < 2 ? 1 : o[1];
	}
	reg_u8(x, e->exthdr.dreg, found);
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
	case XH_DCCP:
		load_dccp_opt(x, e);
		return;
	default:
		unsupported(x, e);
	}
}
