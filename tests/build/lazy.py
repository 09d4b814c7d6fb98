#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""lazy.py NFT2BPF: a rule that comes first and looks at no header costs no more than itself, whatever the rules behind it become. Prints TAP."""
import os
import re
import subprocess
import sys
import tempfile

BIN = os.path.abspath(sys.argv[1])
FIRST = {
    "established": (["ct state established,related accept"], 12),
    "established, then invalid": (["ct state established accept", "ct state invalid drop"], 12),
    "loopback": (['iifname "lo" accept'], 12),
    "a mark": (["meta mark 7 accept"], 6),
}
LISTS = {
    "one shape": lambda i: "ip saddr 10.0.%d.%d udp dport %d accept" % (i >> 8, i & 255, 1000 + i),
    "two shapes": lambda i: ("ip saddr 10.0.%d.%d udp dport %d accept" % (i >> 8, i & 255, 1000 + i), "tcp dport %d drop" % i)[i % 2],
    "three shapes": lambda i: ("ip saddr 10.0.0.%d accept" % i, "udp dport %d counter accept" % i, "ct mark %d drop" % i)[i % 3],
    "many shapes": lambda i: ("ip saddr 10.0.%d.0/24 accept" % i, "udp dport %d-%d counter drop" % (i, i + 5), "ip ttl < %d ip daddr 10.1.0.0/%d accept" % (i, 8 + i % 24),
                              "tcp dport %d ip saddr != 10.2.%d.0/24 drop" % (i, i))[i % 4],
    "few": lambda i: "tcp dport %d accept" % (i // 30),
}


def first_way(asm):
    """The instructions of the first program to its first exit; whether there is a call among them."""
    n, call = 0, False
    for line in asm[asm.index("program "):].splitlines()[1:]:
        m = re.match(r" *\d+: \(\w+\) (.*)", line)
        if not m:
            continue
        n += 1
        call = call or m.group(1).startswith("call")
        if m.group(1) == "exit":
            break
    return n, call


def main():
    number = bad = 0
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "x.nft")
        for first, (rules, most) in FIRST.items():
            for kind, rule in LISTS.items():
                with open(path, "w") as f:
                    f.write("table inet t {\n\tchain c {\n\t\ttype filter hook input priority 0; policy drop;\n%s\t}\n}\n" % "".join(
                        "\t\t%s\n" % r for r in rules + [rule(i) for i in range(1, 121)]))
                p = subprocess.run([BIN, path, "--emit", "asm"], capture_output=True, text=True)
                n, call = first_way(p.stdout) if not p.returncode else (0, True)
                number += 1
                good = not call and n <= most
                bad += not good
                print("%s %d - %s, then %s: %d instructions" % ("ok" if good else "not ok", number, first, kind, n))
                if p.returncode:
                    print("# " + p.stderr.replace("\n", "\n# "))
    print("1..%d" % number)
    return bad != 0


sys.exit(main())
