// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What lies deep in packets (see gendeep.h). Mostly right, now and then cut or wrong in one place.
 */
#include "gendeep.h"

static bool chance(struct genpkt *g, uint32_t percent)
{
	return genpkt_rand(g, 100) < percent;
}

static void put16(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

/* -- tunnels ----------------------------------------------------------------------------------- */

/* The tunnel's own header at b (UDP: behind it); returns where the tunnelled packet begins. */
static uint32_t tunnel_header(struct genpkt *g, uint8_t *b, uint32_t at, const struct deep_wish *w,
			      uint32_t ethertype)
{
	uint32_t bits = w->plain || chance(g, 70) ? 0 : genpkt_rand(g, 8), n;

	memset(b + at, 0, 24);
	switch (w->type) {
	case 1:
		b[at] = 0x08;
		b[at + 6] = (uint8_t)genpkt_rand(g, 20);
		return at + 8;
	case 2:
		n = w->plain ? 2 : chance(g, 60) ? 0 : genpkt_rand(g, 4);
		b[at] = (uint8_t)n;
		put16(b + at + 2, ethertype);
		return at + 8 + n * 4;
	default: /* GRE: checksum, key, sequence number; rarely routing or another version */
		b[at] = (uint8_t)((bits & 1) << 7 | (bits & 2) << 4 | (bits & 4) << 2);
		if (chance(g, 3)) /* such tunnels are not looked into: shape does not count */
			b[at] |= 0x40;
		if (chance(g, 3))
			b[at + 1] = 1;
		put16(b + at + 2, ethertype);
		return at + 4 + 4 * ((bits & 1) + (bits >> 1 & 1) + (bits >> 2));
	}
}

static uint32_t inner_ip4(struct genpkt *g, uint8_t *b, uint8_t proto, bool plain)
{
	uint32_t n = plain || chance(g, 90) ? 20 : 24;

	memset(b, 0, n);
	b[0] = (uint8_t)(0x40 | n / 4);
	b[8] = 64;
	b[9] = proto;
	if (!plain && chance(g, 5)) /* a later fragment, a wrong length, a wrong version */
		b[7] = 1;
	else if (chance(g, 3))
		b[0] = chance(g, 50) ? 0x44 : 0x65;
	for (uint32_t i = 12; i < 20; i++)
		b[i] = (uint8_t)(1 + genpkt_rand(g, 10));
	memset(b + 20, 1, n - 20);
	return n;
}

static uint32_t inner_ip6(struct genpkt *g, uint8_t *b, uint8_t proto, bool plain)
{
	uint32_t n = 40;

	memset(b, 0, 56);
	b[0] = chance(g, 3) ? 0x40 : 0x60;
	b[6] = proto;
	b[8] = b[24] = 0xfd;
	b[23] = (uint8_t)genpkt_rand(g, 10);
	b[39] = (uint8_t)genpkt_rand(g, 10);
	if (!plain && chance(g, 10)) {
		b[6] = (uint8_t[]){ 60, 44, 44, 51 }[genpkt_rand(g, 4)];
		b[40] = proto;
		b[43] = b[6] == 44 && chance(g, 30) ? 8 : 0;
		n = 48;
	}
	return n;
}

void deep_tunnel(struct genpkt *g, struct gp_packet *p, uint32_t th, const struct deep_wish *w,
		 struct deep *d)
{
	bool keep = w->plain || !chance(g, 5);
	uint8_t pf = w->pf && keep ? w->pf : chance(g, 50) ? FAM_IP : FAM_IP6;
	uint8_t proto = w->proto && keep ? w->proto : chance(g, 60) ? 6 : 17;
	uint32_t type = pf == FAM_IP ? 0x0800 : 0x86dd, at = th + (w->type <= 2 ? 8 : 0);
	bool link = w->type != 3, vlan = w->plain ? w->vlan : chance(g, w->vlan ? 90 : 5);

	d->tun = at;
	at = tunnel_header(g, p->b, at, w, link ? 0x6558 : type);
	d->ll = at;
	if (link) {
		for (uint32_t i = 0; i < 12; i++)
			p->b[at++] = (uint8_t)(i % 6 ? 2 * i : 2);
		if (vlan) {
			put16(p->b + at, 0x8100);
			put16(p->b + at + 2, 1 + genpkt_rand(g, 10));
			at += 4;
		}
		put16(p->b + at, !w->plain && chance(g, 3) ? 0x0806 : type);
		at += 2;
	}
	d->nh = at;
	at += pf == FAM_IP ? inner_ip4(g, p->b + at, proto, w->plain)
			   : inner_ip6(g, p->b + at, proto, w->plain);
	d->th = at;
	for (uint32_t i = 0; i < 24; i++)
		p->b[at++] = (uint8_t)genpkt_rand(g, 30);
	p->b[d->th + 12] = 0x50;
	p->len = chance(g, 92) ? at : th + 8 + genpkt_rand(g, at - th - 8);
	if (w->type <= 2)
		put16(p->b + th + 4, p->len - th);
}

/* -- options ----------------------------------------------------------------------------------- */

/* One option at b, n bytes of room; returns its length. */
static uint32_t ip4_option(struct genpkt *g, uint8_t *b, uint32_t n, uint8_t kind)
{
	uint32_t len = kind == 148 ? 4 : kind == 68 ? 8 : 7 + 4 * genpkt_rand(g, 2);

	if (kind <= 1 || len > n) {
		b[0] = chance(g, 80);
		return 1;
	}
	memset(b, 0, len);
	b[0] = kind;
	b[1] = (uint8_t)len;
	b[2] = kind == 148 ? 0 : kind == 68 ? 5 : 4;
	if (chance(g, 6)) /* a wrong length or pointer */
		b[1 + genpkt_rand(g, 2)] = (uint8_t)genpkt_rand(g, 12);
	return len;
}

void deep_ip4_options(struct genpkt *g, uint8_t *b, uint32_t len, uint8_t kind)
{
	static const uint8_t kinds[] = { 1, 7, 68, 131, 137, 148, 7, 148 };

	for (uint32_t at = 0; at < len;)
		at += ip4_option(g, b + at, len - at,
				 chance(g, 50) ? kind : kinds[genpkt_rand(g, 8)]);
}

void deep_tcp_options(struct genpkt *g, uint8_t *b, uint32_t len, uint8_t kind)
{
	static const uint8_t kinds[] = { 1, 2, 3, 4, 5, 8, 30 };
	static const uint8_t sizes[] = { [2] = 4, [3] = 3, [4] = 2, [5] = 10, [8] = 10, [30] = 12 };

	for (uint32_t at = 0; at < len;) {
		uint8_t k = chance(g, 50) ? kind : kinds[genpkt_rand(g, 7)];
		uint32_t n = k < sizeof(sizes) && sizes[k] ? sizes[k] : 4;

		if (k <= 1 || at + n > len) {
			b[at++] = chance(g, 95);
			continue;
		}
		b[at] = k;
		b[at + 1] = (uint8_t)(chance(g, 95) ? n : genpkt_rand(g, 40));
		for (uint32_t i = 2; i < n; i++)
			b[at + i] = (uint8_t)genpkt_rand(g, 8);
		at += n;
	}
}

uint32_t deep_sctp_chunks(struct genpkt *g, uint8_t *b, uint32_t max, uint8_t kind)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < 3 && at + 20 <= max; i++) {
		uint32_t len = 4 + genpkt_rand(g, 16);

		memset(b + at, 0, 20);
		b[at] = chance(g, 50) ? kind : (uint8_t)genpkt_rand(g, 15);
		put16(b + at + 2, chance(g, 5) ? genpkt_rand(g, 40) : len);
		for (uint32_t k = 4; k < len; k++)
			b[at + k] = (uint8_t)genpkt_rand(g, 4);
		at += ALIGN_UP(len, 4u);
	}
	return at;
}

uint32_t deep_dccp(struct genpkt *g, uint8_t *b, uint8_t kind)
{
	bool wide = chance(g, 70);
	uint32_t n, at;

	memset(b, 0, 64);
	b[8] = (uint8_t)((chance(g, 60) ? 0 : genpkt_rand(g, 16)) << 1 | wide);
	n = wide ? 16 : 12;
	switch (b[8] >> 1) { /* as long as packets of that type are */
	case 0:
		n += 4;
		break;
	case 1:
		n += 12;
		break;
	case 2:
		break;
	case 5:
	case 10:
	case 11:
	case 12:
	case 13:
	case 14:
	case 15:
		n += 12;
		break;
	default:
		n += 8;
	}
	for (at = n; at < n + 12;) {
		uint8_t k = chance(g, 40) ? kind : (uint8_t)genpkt_rand(g, 60);
		uint32_t len = k < 32 ? 1 : 2 + genpkt_rand(g, 4);

		b[at] = k;
		if (k >= 32)
			b[at + 1] = (uint8_t)(chance(g, 90) ? len : genpkt_rand(g, 3));
		at += len;
	}
	n = ALIGN_UP(at, 4u);
	b[4] = (uint8_t)(chance(g, 90) ? n / 4 : genpkt_rand(g, 20));
	return n;
}
