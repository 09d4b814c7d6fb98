# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: rulesets for nft, where they can be said there for iptables too, and the packets for each.

All these packets are accepted, that which matches none of the rules by one more at the end: a dropped one would not come to the last
hook, which the floor has, and seem cheaper by that.
"""
import os
import socket
import struct

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HOOKS = {"prerouting": 0, "input": 1, "forward": 2}
IPT = {"prerouting": ("raw", "PREROUTING"), "input": ("filter", "INPUT"), "forward": ("filter", "FORWARD")}


class Case:
    """hook; nft text; packets: (label, packet, its flow is established); ipt: rules of iptables or None; o0: worth loading at -O0

    Without nft text nft2bpf reads from the kernel what iptables-nft makes of ipt.
    """

    def __init__(self, hook, nft, packets, ipt=None, o0=True):
        self.hook, self.nft, self.packets, self.o0 = hook, nft, packets, o0
        self.ct = "ct state" in nft if nft else any("conntrack" in r for r in ipt)
        self.ipt = None
        if ipt is not None:
            tab, chain = IPT[hook]
            rules = [r if r[0] == ":" else "-A " + r.replace("@", chain) for r in ipt + ["@ -p udp --dport 7 -j ACCEPT"]]
            self.ipt = "*%s\n:%s DROP [0:0]\n%s\nCOMMIT\n" % (tab, chain, "\n".join(rules))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def packet(proto, src, sport, dst, dport):
    """An IPv4 packet: UDP with 18 bytes of data, or a TCP SYN."""
    s, d = socket.inet_aton(src), socket.inet_aton(dst)
    if proto == "udp":
        l4 = struct.pack("!HHHH", sport, dport, 26, 0) + bytes(18)
        num, at = 17, 6
    else:
        l4 = struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 0x50, 2, 1024, 0, 0)
        num, at = 6, 16
    l4 = l4[:at] + struct.pack("!H", checksum(s + d + struct.pack("!BBH", 0, num, len(l4)) + l4) or 0xFFFF) + l4[at + 2:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), 0, 0, 64, num, 0) + s + d
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + l4


def address(i):
    return "10.%d.%d.%d" % (64 + (i >> 16), i >> 8 & 255, i & 255)


def table(rules, more="", hook="prerouting"):
    return "table inet bench {\n%s\tchain c {\n\t\ttype filter hook %s priority 10; policy drop;\n%s\t\tudp dport 7 accept\n\t}\n}\n" % (
        more, hook, "".join("\t\t%s\n" % r for r in rules))


def port(i):
    return 1000 + i % 60000


def udp(i, p=None):
    return ("udp", address(i), 4444, "10.9.0.2", p or port(i))


MISS = ("udp", "10.9.0.3", 4444, "10.9.0.2", 7)
EST = ("udp", "10.9.0.3", 4444, "10.9.0.2", 53)


def ends(n, make=udp, middle=False):
    """The packets that match the first, the middle and the last of n, and one that matches none."""
    ways = [("first", 1)] + ([("middle", (n + 1) // 2)] if middle and n > 2 else []) + ([("last", n)] if n > 1 else [])
    return [(label, make(i), False) for label, i in ways] + [("miss", MISS, False)]


def linear(n):
    ids = range(1, n + 1)
    return Case("prerouting", table("ip saddr %s udp dport %d accept" % (address(i), port(i)) for i in ids), ends(n, middle=True),
                ["@ -s %s/32 -p udp --dport %d -j ACCEPT" % (address(i), port(i)) for i in ids] if n <= 10000 else None, n <= 1000)


def a_set(n, kind, flags, elem, rule, make):
    more = "\tset s {\n\t\ttype %s; %selements = { %s }\n\t}\n" % (
        kind, "flags %s; " % flags if flags else "", ", ".join(elem(i) for i in range(1, n + 1)))
    return Case("prerouting", table([rule], more), ends(n, make), o0=n <= 10000)


def a_constant_set(n):
    return a_set(n, "ipv4_addr", "constant", address, "ip saddr @s accept", lambda i: udp(i, 53))


def a_mutable_set(n):
    return a_set(n, "ipv4_addr", "", address, "ip saddr @s accept", lambda i: udp(i, 53))


def interval(n):
    return a_set(n, "ipv4_addr", "constant, interval", lambda i: address(4 * i) + "/31", "ip saddr @s accept", lambda i: udp(4 * i, 53))


def concat(n):
    first = lambda i: 1000 + i % 50000
    return a_set(n, "ipv4_addr . inet_service", "constant, interval", lambda i: "%s/31 . %d-%d" % (address(4 * i), first(i), first(i) + 10),
                 "ip saddr . udp dport @s accept", lambda i: udp(4 * i, first(i) + 5))


def vmap(n):
    more = "\tmap v {\n\t\ttype inet_service : verdict; flags constant; elements = { %s }\n\t}\n" % ", ".join(
        "%d : accept" % (1000 + i) for i in range(1, n + 1))
    return Case("prerouting", table(["udp dport vmap @v"], more), ends(n))


def jump(n):
    """n networks, each with a chain of ten ports."""
    net = lambda k: "10.%d.%d.0/24" % (64 + (k >> 8), k & 255)
    more = "".join("\tchain j%d {\n%s\t}\n" % (k, "".join("\t\tudp dport %d accept\n" % (2000 + p) for p in range(10))) for k in range(n))
    ipt = [":j%d - [0:0]" % k for k in range(n)] + ["@ -s %s -j j%d" % (net(k), k) for k in range(n)]
    ipt += ["j%d -p udp --dport %d -j ACCEPT" % (k, 2000 + p) for k in range(n) for p in range(10)]
    make = lambda i: udp((i - 1) * 256 + 7, 2009)
    return Case("prerouting", table(("ip saddr %s jump j%d" % (net(k), k) for k in range(n)), more), ends(n, make), ipt, False)


def mixed(n):
    """n rules, of sixteen shapes in turn: addresses, prefixes, masks, ports, ranges and sets of them, interfaces, states, counters."""
    net = lambda i: "10.%d.%d.0/%d" % (64 + (i >> 8 & 63), i & 255, (24, 23, 26, 28)[i % 4]) if i % 4 != 1 else "10.%d.%d.0/23" % (64 + (i >> 8 & 63), i & 254)
    shapes = [lambda i: "ip saddr %s tcp dport %d" % (address(i), port(i)), lambda i: "iifname \"eth%d\" ip saddr %s" % (i % 8, net(i)),
              lambda i: "ip saddr %s udp dport { 53, %d }" % (net(i), port(i)), lambda i: "ip protocol tcp ip daddr %s" % net(i),
              lambda i: "ct state new ip saddr %s tcp dport %d" % (net(i), port(i)), lambda i: "ip saddr %s udp dport %d-%d" % (net(i), port(i), port(i) + 20),
              lambda i: "meta l4proto { tcp, udp } th dport %d ip saddr %s" % (port(i), address(i)), lambda i: "ip6 saddr fd00::%x:%x tcp dport %d" % (i >> 16, i & 65535, port(i)),
              lambda i: "ip saddr & 0.0.255.255 == 0.0.%d.%d tcp sport %d" % (i >> 8 & 255, i & 255, port(i)), lambda i: "ip daddr != 10.0.0.0/8 udp sport %d" % port(i),
              lambda i: "tcp flags & (syn | ack) == syn ip saddr %s" % net(i), lambda i: "ip saddr %s ip daddr %s" % (net(i), net(i + 7)),
              lambda i: "ip ttl < %d ip saddr %s" % (2 + i % 8, address(i)), lambda i: "icmp type echo-request ip saddr %s" % net(i),
              lambda i: "ip saddr %s udp sport %d counter" % (address(i), port(i)), lambda i: "udp dport %d ip saddr %s" % (port(i), address(i))]
    rules = ["%s accept" % shapes[i % len(shapes)](i) for i in range(n - 1)] + ["ip saddr 10.9.9.9 udp dport 9999 accept"]
    last = ("udp", "10.9.9.9", 4444, "10.9.0.2", 9999)
    return Case("prerouting", table(rules), [("middle", udp(len(shapes) * (n // 2 // len(shapes)) - 1), False), ("last", last, False), ("miss", MISS, False)],
                o0=n <= 1000)


def services(n):
    """n services, each with a chain of its own that a verdict map finds by protocol, address and port."""
    more = "".join("\tchain s%d {\n\t\tip saddr 192.0.2.0/24 drop\n\t\tcounter accept\n\t}\n" % i for i in range(1, n + 1))
    more += "\tmap v {\n\t\ttype inet_proto . ipv4_addr . inet_service : verdict; flags constant\n\t\telements = { %s }\n\t}\n" % ", ".join(
        "udp . %s . %d : goto s%d" % (address(i), port(i), i) for i in range(1, n + 1))
    make = lambda i: ("udp", "10.9.0.3", 4444, address(i), port(i))
    return Case("prerouting", table(["meta l4proto . ip daddr . th dport vmap @v"], more), ends(n, make), o0=False)


def ctfirst(_):
    rules = ["ct state established,related accept", "ct state invalid drop"]
    rules += ["ip saddr %s udp dport %d accept" % (address(i), 1000 + i) for i in range(1, 51)]
    ipt = ["@ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "@ -m conntrack --ctstate INVALID -j DROP"]
    ipt += ["@ -s %s/32 -p udp --dport %d -j ACCEPT" % (address(i), 1000 + i) for i in range(1, 51)]
    return Case("input", table(rules, hook="input"), [("established", EST, True), ("new, first rule", udp(1), False), ("new, last rule", MISS, False)], ipt)


def extensions(n):
    """n rules of matches that iptables-nft has as extensions of xtables, none of which ends the way but for the packets named."""
    kinds = ["-p udp -m multiport --dports %(p)d,%(q)d,40000:40%(k)03d -j ACCEPT", "-m iprange --src-range 10.%(k)d.0.1-10.%(k)d.0.99 -j ACCEPT",
             "-p udp -m length --length %(q)d:60000 -m comment --comment \"rule %(k)d\" -j ACCEPT", "-m dscp --dscp %(d)d -j ACCEPT",
             "-p tcp -m multiport --sports %(p)d,%(q)d -j ACCEPT"]
    rules = ["@ -p udp -m multiport --dports 1001,1002 -j ACCEPT"]
    rules += ["@ " + kinds[k % 5] % {"k": 100 + k, "p": 2000 + k, "q": 3000 + k, "d": 1 + k} for k in range(n - 2)]
    rules += ["@ -p udp -m multiport --dports 1003,1004 -j ACCEPT"]
    return Case("prerouting", None, [("first", udp(1), False), ("last", udp(9, 1004), False), ("miss", MISS, False)], rules)


HOST_PACKETS = [("established", EST, True), ("new to port 443", ("tcp", "10.9.0.3", 4445, "10.9.0.2", 443), False)]


def host(_):
    rules = ["iif lo accept", "ct state vmap { established : accept, related : accept, invalid : drop }",
             "ip saddr { 10.9.0.4, 192.0.2.0/24 } tcp dport 22 accept", "tcp dport { 80, 443, 8080-8090 } accept",
             "udp dport { 53, 123 } accept", "icmp type echo-request accept", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
             "ip saddr 10.0.0.0/8 udp dport 161 accept", "tcp dport 113 counter drop"]
    ipt = ["@ -i lo -j ACCEPT", "@ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "@ -m conntrack --ctstate INVALID -j DROP",
           "@ -s 10.9.0.4/32 -p tcp --dport 22 -j ACCEPT", "@ -s 192.0.2.0/24 -p tcp --dport 22 -j ACCEPT",
           "@ -p tcp -m multiport --dports 80,443,8080:8090 -j ACCEPT", "@ -p udp -m multiport --dports 53,123 -j ACCEPT",
           "@ -p icmp --icmp-type echo-request -j ACCEPT", "@ -s 10.0.0.0/8 -p udp --dport 161 -j ACCEPT",
           "@ -p tcp --dport 113 -j DROP"]
    last = ("new to port 161", ("udp", "10.9.0.3", 4446, "10.9.0.2", 161), False)
    return Case("input", table(rules, hook="input"), HOST_PACKETS + [last], ipt)


def router(_):
    """A LAN, a guest network and servers behind NAT; what is refused is dropped."""
    rules = ["ct state vmap { established : accept, related : accept, invalid : drop }",
             "iifname \"lan0\" oifname \"wan0\" ip saddr != 10.9.0.0/16 counter drop", "iifname \"lan0\" oifname \"wan0\" tcp dport 25 counter drop",
             "iifname \"wan0\" ct status dnat accept", "iifname \"guest0\" oifname \"wan0\" tcp dport { 80, 443 } accept",
             "iifname \"guest0\" oifname \"wan0\" udp dport { 53, 123, 443 } accept", "iifname \"guest0\" counter drop",
             "iifname \"lan0\" oifname \"wan0\" accept", "iifname \"lan0\" oifname \"guest0\" icmp type echo-request accept"]
    lan = ["@ -i lan0 -o wan0 ", "@ -i guest0 -o wan0 "]
    ipt = ["@ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "@ -m conntrack --ctstate INVALID -j DROP", lan[0] + "! -s 10.9.0.0/16 -j DROP",
           lan[0] + "-p tcp --dport 25 -j DROP", "@ -i wan0 -m conntrack --ctstate DNAT -j ACCEPT", lan[1] + "-p tcp -m multiport --dports 80,443 -j ACCEPT",
           lan[1] + "-p udp -m multiport --dports 53,123,443 -j ACCEPT", "@ -i guest0 -j DROP", lan[0] + "-j ACCEPT",
           "@ -i lan0 -o guest0 -p icmp --icmp-type echo-request -j ACCEPT"]
    out = lambda sport, dport: ("udp", "10.9.0.3", sport, "198.51.100.1", dport)
    return Case("forward", table(rules, hook="forward"), [("established", out(4444, 53), True), ("new from inside", out(4445, 53), False)], ipt)


def chains(n):
    """n base chains of one priority, five rules each; the packets named last match the last rule of the last to run."""
    text = "table inet bench {\n"
    for c in range(n):
        text += "\tchain c%d {\n\t\ttype filter hook prerouting priority 10; policy %s;\n" % (c, "accept" if c else "drop")
        text += "".join("\t\tip saddr %s udp dport %d %s\n" % (address(10 * c + i), port(10 * c + i), "drop" if c else "accept") for i in range(1, 6))
        text += "" if c else "\t\tudp dport 7 accept\n"
        text += "\t}\n"
    return Case("prerouting", text + "}\n", [("last", udp(5), False), ("miss", MISS, False)])


def example(name):
    with open(os.path.join(TOP, "examples", name + ".nft")) as f:
        return f.read()


def example_host(_):
    admin = ("new to port 22", ("tcp", "198.51.100.7", 4446, "10.9.0.2", 22), False)
    return Case("input", example("host"), HOST_PACKETS + [admin])


def example_router(_):
    """Its filter table: what nat chains cost is not of the hook that is measured."""
    text = example("router").split("\ntable ip nat")[0] + "\n"
    lan = lambda sport, dport: ("udp", "10.9.0.3", sport, "198.51.100.1", dport)
    return Case("forward", text, [("established", lan(4444, 53), True), ("new from inside", lan(4445, 53), False)])


KINDS = {"chains": chains, "router": router, "linear": linear, "set": a_constant_set, "mutable": a_mutable_set, "interval": interval, "concat": concat, "vmap": vmap, "jump": jump, "mixed": mixed, "services": services,
         "ctfirst": ctfirst, "host": host, "extensions": extensions, "example-host": example_host, "example-router": example_router}
REAL = ["host", "router", "ctfirst", "example-host", "example-router"]
QUICK = REAL + ["extensions:20", "chains:3", "linear:1", "linear:10", "linear:100", "linear:1000", "linear:10000", "set:10000", "interval:10000", "concat:10000",
                "vmap:1000", "jump:100", "mixed:1000", "services:1000"]
ALL = REAL + ["extensions:20", "chains:3"] + ["%s:%d" % (k, 10**e) for k, es in (("linear", range(6)), ("set", range(1, 7)), ("mutable", (2, 4)), ("interval", (1, 3, 4, 5)),
                                                  ("concat", (1, 3, 4, 5)), ("vmap", (1, 3, 4)), ("jump", (1, 2)), ("mixed", (1, 2, 3, 4)), ("services", (3,))) for e in es]


def case(name):
    kind, _, n = name.partition(":")
    if kind not in KINDS or (n and not n.isdigit()):
        raise SystemExit("bench/run: no case %s; cases: %s" % (name, " ".join(KINDS)))
    return KINDS[kind](int(n or 0))
