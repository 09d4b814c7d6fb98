// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hammer: many UDP packets through the loopback device from one CPU.
 *
 *	hammer CPU COUNT ADDRESSES PORTS [PORT]
 *
 * Packet i goes to address 127.1.0.0 + i mod ADDRESSES and port PORT (1000) + i mod PORTS. COUNT 0:
 * until standard input ends. Prints how many.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64

static char payload[72]; /* 100 bytes with its headers */
static struct mmsghdr msgs[BATCH];
static struct sockaddr_in to[BATCH];
static uint32_t first_port = 1000;
static struct iovec iov = { payload, sizeof(payload) };

static unsigned int fill(uint64_t at, uint64_t left, uint32_t addresses, uint32_t ports)
{
	unsigned int n = 0;

	for (; n < BATCH && n < left; n++, at++) {
		to[n].sin_family = AF_INET;
		to[n].sin_addr.s_addr = htonl(0x7f010000u + (uint32_t)(at % addresses));
		to[n].sin_port = htons((uint16_t)(first_port + at % ports));
		msgs[n].msg_hdr = (struct msghdr){ .msg_name = &to[n],
						   .msg_namelen = sizeof(to[n]),
						   .msg_iov = &iov,
						   .msg_iovlen = 1 };
	}
	return n;
}

static int stopped(void)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

int main(int argc, char **argv)
{
	uint64_t count, sent = 0;
	cpu_set_t one;
	int fd;

	if (argc != 5 && argc != 6)
		return 2;
	if (argc == 6)
		first_port = (uint32_t)atol(argv[5]);
	CPU_ZERO(&one);
	CPU_SET((size_t)(atol(argv[1]) % sysconf(_SC_NPROCESSORS_ONLN)), &one);
	sched_setaffinity(0, sizeof(one), &one);
	count = strtoull(argv[2], NULL, 10);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return 1;
	while (count ? sent < count : !stopped()) {
		unsigned int n = fill(sent, count ? count - sent : BATCH, (uint32_t)atol(argv[3]),
				      (uint32_t)atol(argv[4]));
		int done = sendmmsg(fd, msgs, n, 0);

		if (done > 0)
			sent += (unsigned int)done;
		else if (done < 0)
			sent++; /* refused by a rule: it was seen all the same */
	}
	printf("%llu\n", (unsigned long long)sent);
	return 0;
}
