#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""large.py NFT2BPF NFT2BPFCTL HAMMER [ELEMENTS]: large sets, and objects that are loaded without nft2bpfctl. Prints TAP.

A million elements: how much time of the CPU each command takes. Sets that go to the kernel as messages are listed as nft lists
them. An object that bpftool loads drops everything until its own program has filled the maps, and then has in them what nft2bpfctl
puts there. Objects that are all in BPF replace each other under packets that both drop: none passes."""
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile

import own
from own import say

BARE = """table inet t {
	quota some { over 1000000 bytes used 1000000 bytes }
	counter named { packets 3 bytes 300 }
	set exact { type ipv4_addr; elements = { %s } }
	set ranges { type ipv4_addr; flags interval; elements = { 10.1.0.0/24, 10.1.1.0/24, 10.1.2.3-10.1.2.77 } }
	set six { type ipv6_addr; flags interval; elements = { 2001:db8::/32, 2001:db9::1-2001:db9::7 } }
	set both { type ipv4_addr . inet_service; flags interval; elements = { 10.2.0.0/16 . 0-2000, 10.3.0.0-10.3.0.9 . 1 } }
	set timed { type ipv4_addr; timeout 1h; elements = { 10.4.0.1, 10.4.0.2 timeout 2h, 10.4.0.3 } }
	set timed_ranges { type ipv4_addr; flags interval, timeout; elements = { 10.5.0.0-10.5.0.9 timeout 1h, 10.5.1.0-10.5.1.6 } }
	map verdicts { type inet_service : verdict; elements = { 100 : drop, 101 : accept, 102 : jump more } }
	map all { type ipv4_addr : verdict; elements = { 10.6.0.1 : accept, * : continue } }
	chain more { counter packets 7 bytes 700 drop; }
	chain input {
		type filter hook input priority filter; policy accept;
		ip daddr @exact drop
		ip daddr @ranges drop
		ip6 saddr @six drop
		ip daddr . udp dport @both drop
		ip daddr @timed drop
		ip daddr @timed_ranges drop
		ip daddr vmap @all
		udp dport vmap @verdicts
		udp dport 200 quota name "some" drop
		udp dport 201 counter name "named" drop
	}
}
"""
# address, port: dropped?
PACKETS = [("10.0.0.1", 1, True), ("10.0.19.255", 1, True), ("10.1.0.255", 1, True), ("10.1.2.3", 1, True),
           ("10.1.2.77", 1, True), ("10.1.2.78", 1, False), ("10.2.3.4", 2000, True), ("10.2.3.4", 2001, False),
           ("10.4.0.2", 1, True), ("10.4.0.4", 1, False), ("10.5.0.9", 1, True), ("10.5.0.10", 1, False), ("10.5.1.6", 1, True),
           ("10.6.0.1", 100, False), ("9.9.9.9", 100, True), ("9.9.9.9", 101, False), ("9.9.9.9", 102, True),
           ("9.9.9.9", 103, False), ("9.9.9.9", 200, True)]


def run(*args, **kw):
    r = subprocess.run(list(map(str, args)), capture_output=True, text=True, **kw)
    return r.returncode, r.stdout, r.stderr


def must(*args):
    rc, out, err = run(*args)
    if rc:
        raise RuntimeError("%s: exit %d\n%s%s" % (" ".join(map(str, args)), rc, out, err))
    return out


def cpu(*args):
    """Seconds of CPU that the command takes, its children's included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    must(*args)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Bench:
    def __init__(self, tools, top):
        self.compiler, self.ctl, self.hammer = tools
        self.top = top

    def compile(self, name, text, *options):
        path = os.path.join(self.top, name)
        with open(path + ".nft", "w") as f:
            f.write(text)
        must(self.compiler, "--partial", "always", *options, path + ".nft", "-o", path + ".o")
        return path + ".o"


def address(i):
    return "%d.%d.%d.%d" % (11 + (i >> 20), i >> 12 & 255, i >> 4 & 255, (i & 15) * 16 + 3)


def million(b, n):
    text = """table inet t {
	set blocked { type ipv4_addr; elements = { %s } }
	chain input {
		type filter hook input priority filter; policy accept;
		ct state established accept
		ip saddr @blocked counter drop
	}
}
""" % ", ".join(address(i) for i in range(n))
    obj = b.compile("million", text)
    limit = 4 if n >= 1000000 else 2  # a busy machine takes twice as long
    for what, most, *args in [("load", limit, "load", obj), ("status", 1, "status"), ("set add", 1, "set", "million", "t", "blocked", "add", "9.9.9.9"),
                              ("set delete", 1, "set", "million", "t", "blocked", "delete", "9.9.9.9"), ("replace", limit, "replace", obj)]:
        took = cpu(b.ctl, *args)
        say(took < most, "%s with %d elements takes less than %d s of the CPU" % (what, n, most), "%.2f s" % took)
    listed = must(b.ctl, "list")
    say(len(re.findall(r"\d+\.\d+\.\d+\.\d+", listed)) == n, "all of them are listed")
    took = cpu(b.ctl, "unload")
    say(took < 1, "unload takes less than a second", "%.2f s" % took)


def messages(b, n):
    """Beside rules that nftables keeps: the whole ruleset goes there as messages meanwhile, with every kind of set."""
    text = """table inet t {
	set exact { type ipv4_addr; elements = { %s } }
	set ranges { type ipv4_addr; flags interval; elements = { %s } }
	set near { type ipv4_addr; flags interval; elements = { %s } }
	set pairs { type ipv4_addr . inet_service; elements = { %s } }
	map ports { type ipv4_addr : mark; elements = { %s } }
	map verdicts { type ipv4_addr : verdict; elements = { %s } }
	chain one { udp dport 1 drop; }
	chain input {
		type filter hook input priority filter; policy accept;
		ip saddr @exact drop
		ip saddr @ranges drop
		ip saddr @near drop
		ip saddr . udp dport @pairs drop
		ip saddr vmap @verdicts
		udp dport 9 meta mark set ip saddr map @ports
		udp dport 7 reject
	}
}
""" % (", ".join(address(i) for i in range(n)), ", ".join("%s-%s" % (address(2 * i), address(2 * i + 1)) for i in range(n)),
            ", ".join("20.%d.%d.0/24" % (i >> 8, i & 255) for i in range(n)),
            ", ".join("%s . %d" % (address(i), i % 3 + 1) for i in range(n)),
            ", ".join("%s : 0x%08x" % (address(i), i) for i in range(n)),
            ", ".join("%s : %s" % (address(i), ("drop", "accept", "jump one")[i % 3]) for i in range(n)))
    obj = b.compile("messages", text)
    rc, out, err = run("nft", "-f", os.path.join(b.top, "messages.nft"))
    if rc:
        raise RuntimeError(err)
    nft = sorted(re.findall(r"[\w.]+[^,{}]*", must("nft", "list", "ruleset")))
    must("nft", "flush", "ruleset")
    for what, *args in ("load", "load", obj), ("replace", "replace", obj):
        must(b.ctl, *args)
        ours = sorted(re.findall(r"[\w.]+[^,{}]*", must(b.ctl, "list")))
        say([x.split() for x in ours] == [x.split() for x in nft], "%s: %d elements of each kind are listed as nft lists them" % (what, n),
            "\n".join(sorted(set(nft) ^ set(ours))[:20]))
    must(b.ctl, "unload")
    say(not must("nft", "list", "ruleset"), "unload leaves nothing")


def packet(to, port):
    """The kernel's test run takes the protocol from where an Ethernet header has it, and the packet from the same start."""
    udp = port.to_bytes(2, "big") * 2 + b"\0\x08\0\0"
    ip = b"\x45\0" + (28).to_bytes(2, "big") + b"\0\0\0\0\x40\x11\0\0" + socket.inet_aton("8.0.0.1") + socket.inet_aton(to)
    return ip + udp + b"\0" * 22


def dropped(top, prog, to, port):
    path = os.path.join(top, "packet")
    with open(path, "wb") as f:
        f.write(packet(to, port))
    out = must("bpftool", "prog", "run", "pinned", prog, "data_in", path)
    return "Return value: 0" in out


def elements(path, timed):
    """What a pinned map holds; of times only whether there is one, and whether it is odd."""
    out = []
    for e in json.loads(must("bpftool", "-j", "map", "dump", "pinned", path)):
        v = e.get("value") or [x["value"] for x in e["values"]]
        if isinstance(v[0], list):
            v = [sum(int.from_bytes(bytes(int(b, 0) for b in c[i:i + 8]), "little") for c in v) for i in range(0, len(v[0]), 8)]
        elif timed:
            v = ([v[0][-1] in "13579bdf" if any(int(b, 0) for b in v[:8]) else None] + [all(b == "0xff" for b in v[:8])] + v[8:])
        out.append((e["key"], v))
    return sorted(map(str, out))


def bare(b):
    obj = b.compile("bare", BARE % ", ".join("10.0.%d.%d" % (i >> 8, i & 255) for i in range(5120)))
    must("bpftool", "prog", "loadall", obj, "/sys/fs/bpf/bare", "pinmaps", "/sys/fs/bpf/maps")
    prog = "/sys/fs/bpf/bare/input_v4"
    say(all(dropped(b.top, prog, a, p) for a, p, _ in PACKETS), "loaded by bpftool alone it drops everything")
    out = must("bpftool", "prog", "run", "pinned", "/sys/fs/bpf/bare/nft2bpf_fill", "data_in", "/proc/version")
    say("Return value: 0" in out, "its own program fills the maps", out)
    wrong = [(a, p) for a, p, want in PACKETS if dropped(b.top, prog, a, p) != want]
    say(not wrong, "then it drops what it is to drop", wrong)
    must(b.ctl, "load", obj)
    pins = os.path.join("/sys/fs/bpf/nft2bpf", os.listdir("/sys/fs/bpf/nft2bpf")[0], "bare")
    counted = ("counters", "states")  # the packets above were counted
    for name in sorted(os.listdir(pins)):
        if name.startswith("a_map_") and name[6:] not in counted:
            mine, other = (elements(d, True) for d in (os.path.join(pins, name), "/sys/fs/bpf/maps/" + name[6:]))
            say(mine == other and (mine or name.endswith("_v")), "map %s as nft2bpfctl fills it: %d elements" % (name[6:], len(mine)),
                "\n".join(sorted(set(mine) ^ set(other))[:10]))
    must("bpftool", "prog", "run", "pinned", "/sys/fs/bpf/bare/nft2bpf_fill", "data_in", "/proc/version")
    must("rm", "-r", "/sys/fs/bpf/bare", "/sys/fs/bpf/maps")
    must(b.ctl, "unload")
    plain = b.compile("plain", "table inet t {\n\tcounter c { packets 3 bytes 300 }\n\tchain input {\n\t\ttype filter hook input priority 0; "
                      "policy accept;\n\t\tudp dport 7 counter name \"c\" drop\n\t}\n}\n")
    must("bpftool", "prog", "loadall", plain, "/sys/fs/bpf/bare", "pinmaps", "/sys/fs/bpf/maps")
    prog = "/sys/fs/bpf/bare/input_v4"
    say(dropped(b.top, prog, "1.1.1.1", 7) and not dropped(b.top, prog, "1.1.1.1", 8), "without sets it filters at once")
    must("bpftool", "prog", "run", "pinned", "/sys/fs/bpf/bare/nft2bpf_fill", "data_in", "/proc/version")
    say("4" in elements("/sys/fs/bpf/maps/counters", False)[0] or "3" in elements("/sys/fs/bpf/maps/counters", False)[0],
        "and the program sets counters", elements("/sys/fs/bpf/maps/counters", False))
    must("rm", "-r", "/sys/fs/bpf/bare", "/sys/fs/bpf/maps")


def replaced(b, rounds):
    """Packets that both rulesets drop, while one replaces the other; a chain of nftables behind them sees who passes."""
    text = """table inet t {
	chain input {
		type filter hook input priority filter; policy accept;
		udp dport 1000-1015 counter drop
		udp dport %d drop
	}
}
"""
    objs = [b.compile("r%d" % i, text % (5000 + i)) for i in range(2)]
    must("nft", "add table ip watch; add chain ip watch input { type filter hook input priority 200; }; "
         "add rule ip watch input udp dport 1000-1015 counter")
    must(b.ctl, "load", objs[0], "--name", "r")
    hammers = [subprocess.Popen([b.hammer, str(cpu), "0", "16", "16"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for cpu in (0, 1)]
    where = set()
    for n in range(rounds):
        must(b.ctl, "replace", objs[(n + 1) % 2], "--name", "r")
        where.add(json.loads(must(b.ctl, "status", "--json"))[0]["programs"][0]["priority"])
    sent = sum(int(p.communicate("stop\n")[0]) for p in hammers)
    watch = must("nft", "list", "table", "ip", "watch")
    say("counter packets 0 bytes 0" in watch and sent > 1000, "replaced %d times under %d packets, none passed" % (rounds, sent), watch)
    say(where == {0, -1}, "at priorities that take turns", where)
    counted = int(re.search(r"counter packets (\d+)", must(b.ctl, "list", "r"))[1])
    say(counted >= sent * 0.9, "counters go on: %d of %d" % (counted, sent))
    must(b.ctl, "unload", "r")
    must("nft", "flush", "ruleset")


def main():
    if os.geteuid():
        return own.cannot("root")
    tools = list(map(os.path.abspath, sys.argv[1:4]))
    n = int(sys.argv[4]) if len(sys.argv) > 4 else 1000000
    own.mounts()
    own.network()
    with tempfile.TemporaryDirectory(prefix="large.") as top:
        b = Bench(tools, top)
        bare(b)
        messages(b, 2000)
        replaced(b, 12)
        million(b, n)
    return own.end()


sys.exit(main())
