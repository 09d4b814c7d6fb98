// SPDX-License-Identifier: GPL-2.0-or-later
/* The last touch to a generated packet: lengths, numbers, checksums (see gendeep.h). */
#include "gendeep.h"

static uint32_t csum_add(uint32_t sum, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t csum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Transport checksum of len bytes at th, so that conntrack finds the packet valid. */
static void fix_l4(struct gp_packet *p, uint32_t th, uint8_t proto)
{
	uint32_t len = p->len - th, at, sum = proto + len;

	switch (proto) {
	case 6:
		at = 16;
		break;
	case 17:
		at = 6;
		break;
	case 1:
	case 58:
		at = 2;
		break;
	default:
		return;
	}
	if (len < at + 2)
		return;
	put16(p->b + th + at, 0);
	if (proto == 1)
		sum = 0;
	else if (p->pf == FAM_IP)
		sum = csum_add(sum, p->b + 12, 8);
	else
		sum = csum_add(sum, p->b + 8, 32);
	sum = csum_end(csum_add(sum, p->b + th, len));
	put16(p->b + th + at, sum ? sum : 0xffff);
}

static void fix_l3(struct gp_packet *p)
{
	if (p->pf == FAM_IP) {
		uint32_t hl = (p->b[0] & 15u) * 4;

		put16(p->b + 2, p->len);
		put16(p->b + 4, p->id);
		put16(p->b + 10, 0);
		if (hl <= p->len)
			put16(p->b + 10, csum_end(csum_add(0, p->b, hl)));
	} else {
		put16(p->b + 4, p->len - 40);
		p->b[1] &= 0xf0; /* the label holds the number alone */
		p->b[2] = (uint8_t)(p->id >> 8);
		p->b[3] = (uint8_t)p->id;
	}
}

uint32_t gp_transport(const struct gp_packet *p, uint8_t *proto)
{
	uint32_t at = 40;

	if (p->pf == FAM_IP) {
		*proto = p->b[9];
		return (p->b[0] & 15u) * 4;
	}
	*proto = p->b[6];
	while ((*proto == 0 || *proto == 43 || *proto == 60 || *proto == 51) && at + 8 <= p->len) {
		uint32_t n = *proto == 51 ? (p->b[at + 1] + 2u) * 4 : (p->b[at + 1] + 1u) * 8;

		*proto = p->b[at];
		at += n;
	}
	return at;
}

void gendeep_finish(struct gp_packet *p)
{
	uint8_t proto;
	uint32_t th = gp_transport(p, &proto);
	bool later = p->pf == FAM_IP && ((p->b[6] & 0x1f) || p->b[7]);

	fix_l3(p);
	if (th < p->len && !later)
		fix_l4(p, th, proto);
}
