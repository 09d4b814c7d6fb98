#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sets.py NFT2BPF NFT2BPFCTL HAMMER [PACKETS]: state and sets under load. Prints TAP.

Two CPUs send the same packets to nft and to the object: every counter must agree. Sets that are full, and elements that time
out, do as nft's do. Sets are replaced while packets flow that match before and after: none may miss."""
import os
import random
import re
import subprocess
import sys
import tempfile
import time

import own
from own import say

STRESS = """table inet t {
	counter total { }
	quota some { over 3000000 bytes }
	set seen { type ipv4_addr . inet_service; size 65535; flags dynamic; }
	set each { type ipv4_addr; size 4096; flags dynamic,timeout; timeout 1h; }
	set full { type ipv4_addr; size 100; flags dynamic; }
	set old { type ipv4_addr; size 4096; flags dynamic,timeout; timeout 1h; }
	map group { type ipv4_addr : counter; elements = { 127.1.0.0 : "total", 127.1.0.1 : "total" } }
	set known { type ipv4_addr; flags interval; counter; elements = { 127.1.0.0/28, 127.1.0.16-127.1.0.99 } }

	chain input {
		type filter hook input priority filter; policy accept;
		meta l4proto != udp accept
		counter name "total"
		add @seen { ip daddr . udp dport counter } counter
		update @each { ip daddr counter } counter
		add @full { ip daddr } counter
		ip daddr @full counter
		update @old { ip daddr timeout 2h quota over 50000 bytes } counter
		ip daddr @known counter
		counter name ip daddr map @group
		limit rate 1/day burst 5000 packets counter
		limit rate over 1/day burst 7000 packets counter
		quota 1000000 bytes counter
		quota name "some" counter
		numgen inc mod 7 0 counter
		numgen inc mod 1000 < 10 counter
		drop
	}
	chain output {
		type filter hook output priority filter; policy accept;
		meta l4proto udp counter
		numgen inc mod 3 1 counter
	}
}
"""

# kind: declaration, rule, elements before, elements after; every packet goes to 127.1.0.0 to .15, ports 1000 to 1015
SWAPS = {
    "exact": ("type ipv4_addr", "ip daddr @s", ["127.1.0.%d" % i for i in range(16)],
              ["127.1.0.%d" % i for i in range(200)]),
    "interval": ("type ipv4_addr; flags interval", "ip daddr @s", ["127.0.0.0-127.1.0.9", "127.1.0.10-127.1.0.31"],
                 ["127.1.0.0/29", "127.1.0.8-127.1.0.77"]),
    "concatenation": ("type ipv4_addr . inet_service", "ip daddr . udp dport @s",
                      ["127.1.0.%d . %d" % (i, 1000 + i) for i in range(16)],
                      ["127.1.0.%d . %d" % (i, 1000 + i) for i in range(40)]),
    "concatenated ranges": ("type ipv4_addr . inet_service; flags interval", "ip daddr . udp dport @s",
                            ["127.1.0.0-127.1.0.9 . 0-1100", "127.1.0.10-127.2.0.0 . 900-2000"],
                            ["127.1.0.0/16 . 1000-1003", "126.0.0.0-127.1.0.255 . 1004-1040", "1.2.3.4 . 5"]),
    "timeouts": ("type ipv4_addr; flags timeout; timeout 1h", "ip daddr @s",
                 ["127.1.0.%d timeout 1h" % i for i in range(16)], ["127.1.0.%d timeout 2h" % i for i in range(30)]),
    "catch-all": ("type ipv4_addr", "ip daddr @s", ["127.9.9.9", "*"], ["127.1.0.%d" % i for i in range(16)]),
    "verdict map": ("type ipv4_addr : verdict", "ip daddr vmap @s",
                    ["127.1.0.%d : jump one" % i for i in range(16)] + ["1.1.1.1 : jump two"],
                    ["127.1.0.%d : jump two" % i for i in range(20)]),
    "verdict map of ranges": ("type ipv4_addr : verdict; flags interval", "ip daddr vmap @s",
                              ["127.1.0.0/28 : jump one", "10.0.0.0/8 : jump two"],
                              ["127.1.0.0/30 : jump two", "127.1.0.4-127.1.0.15 : jump one"]),
    "verdict map of concatenated ranges": ("type ipv4_addr . inet_service : verdict; flags interval",
                                           "ip daddr . udp dport vmap @s",
                                           ["127.1.0.0/28 . 0-2000 : jump one", "10.0.0.0/8 . 1 : jump two"],
                                           ["127.1.0.0-127.1.0.7 . 1000-1010 : jump two", "127.1.0.8/29 . 0-65535 : jump one"]),
}

class Side:
    """A namespace with the ruleset loaded by nft, or by the object."""

    def __init__(self, name, tools, top):
        self.ns, self.tools, self.top = name, tools, top
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.run("ip", "link", "set", "lo", "up")

    def start(self, *args, **kw):
        return subprocess.Popen(["nsenter", "--net=/run/netns/" + self.ns, *map(str, args)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)

    def run(self, *args, fails=False, stdin=None):
        p = self.start(*args, stdin=subprocess.PIPE)
        out, err = p.communicate(stdin)
        if (p.returncode != 0) != fails:
            raise RuntimeError("%s: exit %d\n%s%s" % (" ".join(map(str, args)), p.returncode, out, err))
        return out + err if fails else out

    def hammer(self, cpus, count, addresses, ports, first=1000):
        ps = [self.start(self.tools[2], cpu, count, addresses, ports, first) for cpu in cpus]
        return sum(int(p.communicate()[0]) for p in ps)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.ns])


class Nft(Side):
    def load(self, rules):
        path = os.path.join(self.top, "nft.nft")
        with open(path, "w") as f:
            f.write(rules)
        self.run("nft", "-f", path)

    def list(self):
        return self.run("nft", "list", "ruleset")

    def unload(self):
        self.run("nft", "flush", "ruleset")

    def command(self, name, op, elem):
        return self.start("nft", "%s element inet t %s { %s }" % (op, name, elem))

    def set(self, name, op, *elems, **kw):
        if op == "flush":
            self.run("nft", "flush set inet t %s" % name)
        else:
            self.run("nft", "%s element inet t %s { %s }" % (op, name, ", ".join(elems)), **kw)


class Ours(Side):
    def load(self, rules, options=("--partial", "always")):
        path = os.path.join(self.top, "fw.nft")
        with open(path, "w") as f:
            f.write(rules)
        self.run(self.tools[0], *options, path, "-o", path[:-3] + "o")
        self.run(self.tools[1], "load", path[:-3] + "o", "--name", "fw")

    def list(self):
        return self.run(self.tools[1], "list", "fw")

    def unload(self):
        self.run(self.tools[1], "unload", "fw")

    def command(self, name, op, elem):
        return self.start(self.tools[1], "set", "fw", "t", name, op, elem)

    def set(self, name, op, *elems, **kw):
        return self.run(self.tools[1], "set", "fw", "t", name, op, *elems, **kw)


def values(text):
    """The counters, in order; those of one set's elements sorted."""
    out = []
    for line in re.sub(r"\n\t{3,}", " ", text).splitlines():
        got = re.findall(r"packets (\d+) bytes (\d+)|quota (?:over )?(?:\d+ \w+ )used (\d+ \w+)", line)
        out += sorted(got) if "elements" in line else got
    return out


def stress(sides, packets):
    for s in sides:
        s.load(STRESS)
    for s in sides:
        s.sent = s.hammer((0, 1), packets // 2, 1000, 50)
    lists = [s.list() for s in sides]
    say(values(lists[0]) == values(lists[1]) and sides[0].sent == sides[1].sent,
        "two CPUs, %d packets: counters, quotas, limits and sets agree" % packets,
        "\n".join("%s | %s" % x for x in zip(values(lists[0]), values(lists[1])) if x[0] != x[1]))
    say("packets %d" % packets in lists[1], "no packet was lost on the way", lists[1][:400])
    for s in sides:
        s.unload()


def count_of(text, name):
    return int(re.search(r"counter %s \{\s*packets (\d+)" % name, text).group(1))


def full_sets(sides):
    rules = """table inet t {
	set s { type ipv4_addr; size 10; flags dynamic,timeout; timeout 4s; }
	set u { type ipv4_addr; size 10; flags dynamic,timeout; timeout 5s; elements = { 127.1.0.0 timeout 1h } }
	set a { type ipv4_addr; size 10; flags dynamic,timeout; timeout 5s; }
	set m { type ipv4_addr; size 4; elements = { 1.1.1.1, 1.1.1.2 } }
	counter in_s { }
	counter in_u { }
	counter in_a { }
	counter no_u { }
	counter no_a { }
	chain input {
		type filter hook input priority filter; policy accept;
		meta l4proto != udp accept
		udp dport 1000 add @s { ip daddr } counter name "in_s"
		udp dport 1000 ip saddr @m drop
		udp dport 1000 update @u { ip daddr timeout 5s } counter name "in_u"
		udp dport 1000 add @a { ip daddr timeout 5s } counter name "in_a"
		udp dport 1001 ip daddr != @u counter name "no_u"
		udp dport 1001 ip daddr != @a counter name "no_a"
		drop
	}
}
"""
    for s in sides:
        s.load(rules)

    def same(what):
        got = [[count_of(s.list(), n) for n in ("in_s", "in_u", "in_a", "no_u", "no_a")] for s in sides]
        say(got[0] == got[1], what + ": %s" % got[1], got)

    def both(count, addresses, port=1000):
        for s in sides:
            s.hammer((0,), count, addresses, 1, port)

    # Times at which a second more or less makes no difference: machines may be slow.
    start = time.monotonic()
    both(50, 25)
    same("a full set takes no more")
    time.sleep(max(0.0, start + 1.6 - time.monotonic()))
    both(10, 10)  # update refreshes, add does not
    time.sleep(max(0.0, start + 5.6 - time.monotonic()))
    both(20, 20, 1001)  # looks
    same("update refreshes an element, add does not")
    time.sleep(5)  # nft takes them out once a second
    both(50, 25)
    same("what has expired makes room")
    for s in sides:
        s.set("m", "add", "1.1.1.3", "1.1.1.4")
        s.set("m", "add", "1.1.1.5", fails=True)
        s.set("m", "delete", "1.1.1.4")
        s.set("m", "add", "1.1.1.5")
    say(True, "a set of four takes four elements")
    for s in sides:
        s.unload()


def swaps(ours, seconds):
    for kind, (decl, rule, before, after) in SWAPS.items():
        verdicts = "vmap" in rule
        ours.load("""table inet t {
	%s s { %s; elements = { %s } }
	chain hit { counter; drop; }
	chain one { goto hit; }
	chain two { goto hit; }
	chain input {
		type filter hook input priority filter; policy accept;
		meta l4proto != udp accept
		%s %s
		counter comment "missed"
		drop
	}
}
""" % ("map" if verdicts else "set", decl, ", ".join(before), rule, "" if verdicts else "goto hit"))
        hammers = [ours.start(ours.tools[2], cpu, 0, 16, 16, stdin=subprocess.PIPE) for cpu in (0, 1)]
        end, n = time.time() + seconds, 0
        while time.time() < end or n % 2:
            n += 1
            ours.set("s", "replace", *(after if n % 2 else before))
            if kind == "exact":
                ours.set("s", "add", "10.0.0.%d" % (n % 200))
        sent = sum(int(p.communicate("stop\n")[0]) for p in hammers)
        text = ours.list()
        hit = int(re.search(r"chain hit \{\s*counter packets (\d+)", text).group(1))
        missed = int(re.search(r"counter packets (\d+) bytes \d+ comment .missed", text).group(1))
        say(missed == 0 and hit == sent and n > 1, "%s: replaced %d times under %d packets, none missed" % (kind, n, sent),
            "hit %d, missed %d of %d" % (hit, missed, sent))
        ours.set("s", "flush")
        hit = ours.hammer((0,), 100, 16, 16)
        text = ours.list()
        now = int(re.search(r"counter packets (\d+) bytes \d+ comment .missed", text).group(1))
        say(now == missed + 100, kind + ": empty after flush", text)
        first = before[0] if before[0] != "127.9.9.9" else "127.1.0.3"
        ours.set("s", "add", first)
        ours.set("s", "delete", first)
        ours.set("s", "delete", first, fails=True)
        ours.set("s", "replace", "-", stdin="\n".join(before))
        ours.hammer((0,), 160, 16, 16)
        text = ours.list()
        say(int(re.search(r"counter packets (\d+) bytes \d+ comment .missed", text).group(1)) == now,
            kind + ": filled again from standard input", text)
        ours.unload()


def changes(sides, rounds):
    """The same random changes of a set of concatenated ranges: what nft refuses is refused, and both find the same."""
    rnd = random.Random(rounds)
    for s in sides:
        s.load("""table inet t {
	set s { type ipv4_addr . inet_service; flags interval; counter; elements = { 127.1.0.0/30 . 1000-1004 } }
	chain input {
		type filter hook input priority filter; policy accept;
		meta l4proto != udp accept
		ip daddr . udp dport @s counter
		drop
	}
}
""")
    have, wrong = ["127.1.0.0/30 . 1000-1004"], ""
    for _ in range(rounds):
        a, x = rnd.randrange(100), rnd.randrange(1000, 1050)
        b, y = a + rnd.randrange(30), x + rnd.randrange(20)
        op, elem = "add", "127.1.0.%d-127.1.0.%d . %d-%d" % (a, b, x, y)
        if have and rnd.randrange(3) == 0:
            op, elem = "delete", rnd.choice(have)
        codes = []
        for s in sides:
            p = s.command("s", op, elem)
            codes.append((p.wait() != 0, p.communicate()))
        if codes[0][0] != codes[1][0]:
            wrong += "%s %s: %s\n" % (op, elem, codes)
        if op == "delete":
            have.remove(elem)
        elif not codes[0][0] and elem not in have:
            have.append(elem)
    for s in sides:
        s.hammer((0, 1), 100 * 50, 100, 49)
    lists = [values(s.list()) for s in sides]
    say(not wrong and lists[0] == lists[1], "%d changes of concatenated ranges, %d elements left" % (rounds, len(have)),
        wrong + str(lists))
    for s in sides:
        s.unload()


def main():
    if os.geteuid():
        return own.cannot("root")
    tools = list(map(os.path.abspath, sys.argv[1:4]))
    packets = int(sys.argv[4]) if len(sys.argv) > 4 else 200000
    own.mounts()
    top = tempfile.mkdtemp(prefix="sets.")
    sides = Nft("sets%dn" % os.getpid(), tools, top), Ours("sets%do" % os.getpid(), tools, top)
    try:
        stress(sides, packets)
        full_sets(sides)
        changes(sides, 60)
        swaps(sides[1], 1.0 if packets <= 200000 else 4.0)
    finally:
        for s in sides:
            s.close()
        subprocess.run(["rm", "-rf", top])
    return own.end()


sys.exit(main())
