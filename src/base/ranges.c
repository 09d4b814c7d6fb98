// SPDX-License-Identifier: GPL-2.0-or-later
/* ranges: ranges of big-endian keys, cut into aligned blocks: prefixes. */
#include "base.h"

static bool get_bit(const uint8_t *k, uint32_t bit)
{
	return k[bit / 8] >> (7 - bit % 8) & 1;
}

uint32_t range_block(const uint8_t *lo, const uint8_t *hi, uint32_t bits)
{
	uint8_t end[64];
	uint32_t n = 0;

	memcpy(end, lo, bits / 8);
	while (n < bits && !get_bit(lo, bits - 1 - n)) {
		uint32_t b = bits - 1 - n;

		end[b / 8] |= 1 << (7 - b % 8);
		if (memcmp(end, hi, bits / 8) > 0)
			break;
		n++;
	}
	return n;
}

bool range_advance(uint8_t *lo, uint32_t bits, uint32_t low)
{
	for (int32_t b = (int32_t)(bits - 1 - low); b >= 0; b--) {
		lo[b / 8] ^= 1 << (7 - b % 8);
		if (get_bit(lo, b))
			return true;
	}
	return false;
}
