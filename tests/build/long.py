#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""long.py NFT2BPF: long lists of rules that no lookup can stand for compile within the stack that a program has; and long lists of elements.
Prints TAP."""
import os
import struct
import subprocess
import sys
import tempfile


def ports(i):
    data = struct.pack("<BB15H15BB", 1, 3, i + 1, i + 10, i + 20, *[0] * 12, 0, 1, 0, *[0] * 12, 0)
    return 'meta l4proto tcp xt match "multiport" = 1 48 "%s"' % data.hex()


KINDS = {
    "ports of iptables": ports,
    "sets of ranges": lambda i: "tcp dport { %d, %d-%d }" % (i + 1, i + 10, i + 20),
    "masks": lambda i: "ip ttl & %d == %d tcp dport & %d == %d" % (i % 7 + 1, i % 7 & 5, i | 1, i & 0x3ff),
}


def fill(path):
    """More elements than the 65,535 for which a rule's `add` makes room, in a set without a size of its own."""
    with open(path, "w") as f:
        f.write("table ip t {\n\tset s {\n\t\ttype ipv4_addr\n\t\tflags dynamic\n\t}\n\tchain c {\n\t\tadd @s { ip saddr }\n\t}\n}\n")
        f.write("add element ip t s { %s }\n" % ", ".join("10.%d.%d.%d" % (i >> 16, i >> 8 & 255, i & 255) for i in range(70000)))


def crowd(path):
    """Two rules of 3,584 elements of which no value leaves few, among others of their shape, and some of another."""
    with open(path, "w") as f:
        f.write("table ip t {\n\tchain c {\n\t\ttype filter hook input priority 0;\n")
        for net in 10, 11:
            f.write("\t\tip saddr { %s } udp dport { %s } accept\n" % (", ".join("%d.%d.0.0/16" % (net, 2 * i) for i in range(64)),
                                                                    ", ".join("%d-%d" % (100 * i + net, 100 * i + 50) for i in range(1, 57))))
        f.writelines("\t\tip saddr 10.%d.0.0/15 udp dport 1-%d drop\n" % (i * 2 % 200, 1000 + i) for i in range(400))
        f.writelines("\t\tip daddr 10.0.0.%d tcp dport %d accept\n" % (i % 250, i) for i in range(300))
        f.write("\t}\n}\n")


def main():
    print("1..%d" % (2 * len(KINDS) + 2))
    n, bad = 0, 0
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "long.nft")
        for name, rule in KINDS.items():
            with open(path, "w") as f:
                f.write("table ip filter {\n\tchain c {\n\t\ttype filter hook input priority 0;\n")
                f.writelines("\t\tip saddr 10.%d.%d.0/24 %s counter drop\n" % (i >> 8, i & 255, rule(i)) for i in range(1500))
                f.write("\t}\n}\n")
            for level in "-O1", "-O2":
                r = subprocess.run([os.path.abspath(sys.argv[1]), level, path], cwd=d, capture_output=True, text=True, check=False)
                n += 1
                bad += r.returncode != 0
                print("%s %d - %s, %s" % ("not ok" if r.returncode else "ok", n, name, level))
                for line in r.stderr.splitlines()[:5]:
                    print("# " + line)
        fill(path)
        r = subprocess.run([os.path.abspath(sys.argv[1]), "--emit", "exprs", path], cwd=d, capture_output=True, text=True, check=False)
        good = r.stdout.count("element 0x0a") == 70000
        bad += not good
        print("%s %d - elements added to a set that a rule fills" % ("ok" if good else "not ok", n + 1))
        crowd(path)
        r = subprocess.run([os.path.abspath(sys.argv[1]), path], cwd=d, capture_output=True, text=True, check=False, timeout=60)
        bad += r.returncode != 0
        print("%s %d - rules of thousands of elements among others" % ("not ok" if r.returncode else "ok", n + 2))
    return bad != 0


sys.exit(main())
