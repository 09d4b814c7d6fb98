// SPDX-License-Identifier: GPL-2.0-or-later
/* The runtime's functions (bpf/) for a described packet: what IR gets when it calls them. */
#include "irrun.h"

#define FOUND (1ull << 32)

/* Byte `off` of the packet; past its end *ok is cleared. */
static uint32_t byte(const struct pkt *p, uint64_t off, bool *ok)
{
	if (off < p->len)
		return p->l3[off];
	*ok = false;
	return 0;
}

static uint64_t number(const struct pkt *p, uint64_t off, uint32_t n, bool *ok)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < n; i++)
		v = v << 8 | byte(p, off + i, ok);
	return v;
}

static bool walked(uint32_t nh)
{
	return nh == 0 || nh == 43 || nh == 44 || nh == 60;
}

static uint64_t walk_from(const struct pkt *p, uint32_t start)
{
	bool ok = true;
	uint32_t off = start + 40, nh = byte(p, start + 6ull, &ok);

	while (ok && walked(nh)) {
		uint32_t next = (uint32_t)number(p, off, 2, &ok) >> 8, frag;

		frag = nh == 43 || nh == 44 ? (uint32_t)number(p, off + 2, 2, &ok) & ~7u : 0;
		if (!ok)
			return 0;
		if (nh == 44 && frag)
			return walked(next) || next == 51 ? 0 : (uint64_t)next << 16 | 3u << 24;
		off += nh == 44 ? 8 : (p->l3[off + 1] + 1u) * 8;
		nh = next;
	}
	if (nh == 51) /* the walk stops at it, but looks */
		number(p, off, 2, &ok);
	return !ok || off > 65535 ? 0 : off | (uint64_t)nh << 16 | 1u << 25;
}

uint64_t irrun_ip6_walk(const struct irrun *r)
{
	return walk_from(r->p, 0);
}

static uint64_t ip6_find(const struct pkt *p, uint32_t target)
{
	bool ok = true;
	uint32_t off = 40, nh = byte(p, 6, &ok);

	for (;;) {
		uint32_t next, len, frag;

		if (!walked(nh) && nh != 51)
			return nh == target ? off | FOUND : 0;
		next = byte(p, off, &ok);
		len = byte(p, off + 1, &ok);
		frag = nh == 43 || nh == 44 ? (uint32_t)number(p, off + 2, 2, &ok) & ~7u : 0;
		if (!ok)
			return 0;
		if (nh == target)
			return off | FOUND;
		if (nh == 44 && frag)
			return 0;
		off += nh == 44 ? 8 : nh == 51 ? (len + 2) * 4 : (len + 1) * 8;
		nh = next;
	}
}

static uint64_t tcp_opt(const struct pkt *p, uint32_t thoff, uint32_t kind)
{
	bool ok = true;
	uint32_t size = byte(p, thoff + 12ull, &ok) / 16 * 4, at = 20, len;

	if (!ok || size < 20 || thoff + size > p->len)
		return 0;
	for (; at + 1 < size; at += len) {
		const uint8_t *o = p->l3 + thoff + at;

		len = o[0] < 2 || !o[1] ? 1 : o[1];
		if (o[0] == kind)
			return at + len > size ? 0 : (thoff + at) | FOUND | (uint64_t)len << 33;
	}
	return 0;
}

static uint64_t sctp_chunk(const struct pkt *p, uint32_t thoff, uint32_t kind)
{
	uint64_t off = thoff + 12ull, head, len;
	bool ok = true;

	do {
		head = number(p, off, 4, &ok);
		len = head & 0xffff;
		if (!ok || !len)
			return 0;
		if (head >> 24 == kind)
			return off | FOUND | len << 33;
		off += (len + 3) / 4 * 4;
	} while (off < p->len);
	return 0;
}

static uint64_t inner(const struct pkt *p, uint32_t thoff, uint32_t proto)
{
	bool ok = true;
	uint32_t v;

	switch (proto) {
	case 4:
		return thoff | FOUND;
	case 6:
		number(p, thoff, 20, &ok);
		return ok ? (thoff + p->l3[thoff + 12] / 16 * 4u) | FOUND : 0;
	case 17:
		return (thoff + 8) | FOUND;
	case 47:
		v = (uint32_t)number(p, thoff, 4, &ok) >> 16;
		if (!ok || v & 0x4007)
			return 0;
		return (thoff + 4 + 4 * (v >> 15) + 4 * (v >> 13 & 1) + 4 * (v >> 12 & 1)) | FOUND;
	default:
		return 0;
	}
}

/* The network header of a tunnelled packet. */
static uint64_t tunnel_net(const struct pkt *p, uint32_t nh, uint64_t more, uint64_t type)
{
	bool ok = true, ip6 = type == 0x86dd;
	uint64_t walk, head;

	number(p, nh, ip6 ? 40 : 20, &ok);
	head = number(p, nh, 1, &ok);
	if (!ok || (type != 0x0800 && !ip6) || head >> 4 != (ip6 ? 6 : 4))
		return 0;
	more |= nh | 1ull << 51 | (uint64_t)ip6 << 49;
	if (ip6) {
		walk = walk_from(p, nh);
		if (walk & 1u << 25 && !(walk & 1u << 24))
			more |= (walk & 0xffff) << 20 | (walk >> 16 & 0xff) << 40 | 1ull << 48;
		return walk ? more : 0;
	}
	if ((head & 15) < 5)
		return 0;
	if (number(p, nh + 6ull, 2, &ok) & 0x1fff)
		return more;
	return more | (nh + (head & 15) * 4) << 20 | (uint64_t)p->l3[nh + 9] << 40 | 1ull << 48;
}

static uint64_t tunnel(const struct pkt *p, uint32_t off, uint64_t proto, uint64_t kind)
{
	uint64_t flags = kind >> 16, type = 0, vlan = 0;
	bool ok = true;

	if (flags & 1 && proto != 47) {
		if (proto != 17)
			return 0;
		if ((kind & 255) == 2)
			off += (uint32_t)(number(p, off, 8, &ok) >> 56 & 63) * 4;
		off += kind >> 8 & 255;
	}
	if (flags & 2) {
		type = number(p, off + 12ull, 2, &ok);
		off += 14;
		if (type == 0x8100) {
			vlan = 1ull << 50;
			type = number(p, off + 2ull, 2, &ok);
			off += 4;
		}
	} else if (flags & 4) {
		type = number(p, off, 4, &ok) >> 28 == 6 ? 0x86dd : 0x0800;
	} else {
		return !ok ? 0
			   : off | 1ull << 51 | (flags & 8 ? (uint64_t)off << 20 | 1ull << 48 : 0);
	}
	return ok ? tunnel_net(p, off, vlan, type) : 0;
}

static uint64_t link_bytes(const struct pkt *p, uint32_t off, uint32_t n, uint32_t end)
{
	uint8_t tag[4] = { (uint8_t)(p->vlan_proto >> 8), (uint8_t)p->vlan_proto,
			   (uint8_t)(p->vlan_tci >> 8), (uint8_t)p->vlan_tci };
	bool tagged = p->has_vlan && end > 12, ok = true;
	uint64_t v = 0;

	if (!p->ll || !p->ll_len)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = off + i;
		uint64_t b;

		if (tagged && at >= 12 && at < 16) {
			b = tag[at - 12];
		} else {
			at -= tagged && at >= 16 ? 4 : 0;
			b = at < p->ll_len ? p->ll[at] : byte(p, at - p->ll_len, &ok);
		}
		v |= b << 8 * i;
	}
	return ok ? v | FOUND : 0;
}

static uint64_t ct_count(const struct pkt_ct *c, uint64_t what, uint64_t dir)
{
	uint64_t packets = c->packets[dir & 1], bytes = c->bytes[dir & 1];

	if (!c->has_acct)
		return 0;
	if (dir == 2) {
		packets = c->packets[0] + c->packets[1];
		bytes = c->bytes[0] + c->bytes[1];
	}
	return what == 0 ? packets : what == 1 ? bytes : packets ? bytes / packets : 0;
}

static uint64_t eight(const void *s, uint64_t half, uint32_t len)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < 8 && half * 8 + i < len; i++)
		v |= (uint64_t)((const uint8_t *)s)[half * 8 + i] << 8 * i;
	return v;
}

static uint64_t dccp_opt(const struct pkt *p, uint32_t th, uint32_t kind)
{
	bool ok = true;
	uint32_t first = (uint32_t)number(p, th + 8ull, 4, &ok) >> 24, type = first >> 1 & 15, i;
	uint32_t end = byte(p, th + 4ull, &ok) * 4;

	if (!ok)
		return 0;
	i = 12 + 4 * (first & 1);
	i += type == 0 ? 4 : type == 2 ? 0 : type == 1 || type == 5 || type > 9 ? 12 : 8;
	while (i < end) {
		uint32_t k = byte(p, th + i, &ok),
			 n = i + 1 < end ? byte(p, th + i + 1ull, &ok) : 0;

		if (!ok || k == kind)
			return ok;
		if (k > 31 && n < 2)
			return 0;
		i += k > 31 ? n : 1;
	}
	return 0;
}

/* Only options that need no rights: the interpreter knows no others either. */
static uint64_t ip4_opt(const struct pkt *p, uint32_t kind)
{
	uint32_t end = (p->l3[0] & 15) * 4u, found[256] = { 0 }, i, n;

	for (i = 20; i < end && p->l3[i]; i += n) {
		const uint8_t *o = p->l3 + i;

		n = 1;
		if (o[0] == 1)
			continue;
		if (i + 1 >= end || i + 1 >= p->len || o[1] < 2 || i + o[1] > end)
			return 0;
		n = o[1];
		if (o[0] == 137 || o[0] == 131) {
			if (found[137] || found[131] || n < 7 || o[2] != 4 || n % 4 != 3)
				return 0;
		} else if (o[0] == 7) {
			if (found[7] || n < 3 || o[2] < 4 || (o[2] <= n && o[2] > n - 3))
				return 0;
		} else if (o[0] == 68) {
			uint32_t room = (o[3] & 15) == 1 || (o[3] & 15) == 3 ? 7 : 3;

			if (found[68] || n < 4 || o[2] < 5 || (o[2] > n && o[3] >> 4 == 15) ||
			    (o[2] <= n && o[2] + room > n))
				return 0;
		} else if (o[0] == 148 && n < 4) {
			return 0;
		}
		if (o[0] != 148 || (!o[2] && !o[3]))
			found[o[0]] = i;
	}
	return end <= p->len && found[kind] ? found[kind] | FOUND : 0;
}

uint64_t irrun_rt(struct irrun *r, uint32_t fn, const uint64_t *a)
{
	const struct pkt *p = r->p;
	const struct pkt_ct *c = &p->ct;
	uint64_t sec = p->real_ns / 1000000000u;

	switch (fn) {
	case RT_ip6_walk:
		return irrun_ip6_walk(r);
	case RT_ip6_find:
		return ip6_find(p, (uint32_t)a[0]);
	case RT_tcp_opt:
		return tcp_opt(p, (uint32_t)a[0], (uint32_t)a[1]);
	case RT_sctp_chunk:
		return sctp_chunk(p, (uint32_t)a[0], (uint32_t)a[1]);
	case RT_ip4_opt:
		return ip4_opt(p, (uint32_t)a[0]);
	case RT_dccp_opt:
		return dccp_opt(p, (uint32_t)a[0], (uint32_t)a[1]);
	case RT_socket:
		return !p->has_sk ? 0
				  : FOUND | (a[0] == 0	 ? p->sk_transparent
					     : a[0] == 1 ? p->sk_mark
							 : p->sk_wildcard);
	case RT_sdifname:
		return p->sdifname ? eight(p->sdifname, a[1], (uint32_t)strlen(p->sdifname) + 1)
				   : 0;
	case RT_day:
		return (4 + (sec - (uint64_t)(p->minuteswest * 60)) / 86400) % 7;
	case RT_sk_owner:
		return p->has_sk ? FOUND | (a[0] ? p->skgid : p->skuid) : 0;
	case RT_sk_class:
		return p->has_cgroup ? FOUND | p->cgroup : 0;
	case RT_secpath:
		return p->secpath;
	case RT_link:
		return link_bytes(p, (uint32_t)a[0], (uint32_t)a[1], (uint32_t)a[2]);
	case RT_inner:
		return inner(p, (uint32_t)a[0], (uint32_t)a[1]);
	case RT_tunnel:
		return tunnel(p, (uint32_t)a[0], a[1], a[2]);
	case RT_time:
		return p->real_ns;
	case RT_hour:
		return sec % 86400;
	case RT_cpu:
		return p->cpu;
	case RT_ct_count:
		return ct_count(c, a[0], a[1]);
	case RT_ct_label:
		return c->has_labels ? eight(c->labels, a[0], 16) : 0;
	case RT_ct_helper:
		return c->helper ? eight(c->helper, a[0], (uint32_t)strlen(c->helper) + 1) : 0;
	case RT_ct_expiration:
		return c->expiration;
	default:
		if (!r->cannot)
			r->cannot = "runtime";
		return 0;
	}
}
