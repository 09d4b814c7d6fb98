#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""long.py NFT2BPF: long lists of rules that no lookup can stand for compile within the stack that a program has. Prints TAP."""
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


def main():
    print("1..%d" % (2 * len(KINDS)))
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
    return bad != 0


sys.exit(main())
