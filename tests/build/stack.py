#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""stack.py NFT2BPF: rulesets that want more stack than a program has, or copies of chains without end, compile all the same; what cannot
be done goes to nftables with its reason. Prints TAP. That the objects load is seen in the kernel suite (rules/stack.nft)."""
import json
import os
import subprocess
import sys
import tempfile

BIN = os.path.abspath(sys.argv[1])
LEVELS = (["-O0"], ["-O1"], ["-O2"], ["-O2", "--static"])
OPTIONS = ["sack left", "timestamp tsval", "maxseg size", "window count", "sack1 left", "sack2 left", "sack3 left", "timestamp tsecr",
           "@3,16,8", "@4,16,16", "@5,16,16", "@8,16,32", "@30,16,32", "@40,16,32", "@50,16,32"]
number = bad = 0


def ruleset(chains, base):
    out = "table inet t {\n\tset s {\n\t\ttype ifname . ipv6_addr . ipv6_addr . inet_service\n\t\tflags dynamic\n\t\tsize 4096\n\t\tcounter\n\t}\n"
    for name, rules in chains:
        out += "\tchain %s {\n%s\t}\n" % (name, "".join("\t\t%s\n" % r for r in rules))
    return out + "\tchain f {\n\t\ttype filter hook forward priority 0\n%s\t}\n}\n" % "".join("\t\t%s\n" % r for r in base)


def many_values():
    """What each rule looks for is looked for again by a later one."""
    return ruleset([], ["tcp option %s %d counter" % (o, k) for k in range(3) for o in OPTIONS])


def long_keys():
    """Functions of a kilobyte together, each with keys of 60 bytes."""
    def body(k):
        return ["update @s { iifname . ip6 saddr . ip6 daddr . tcp dport } counter", "exthdr dst missing tcp sport %d counter" % k,
                "ip6 saddr . ip6 daddr . tcp sport vmap { fd00::%d . fd00::2 . 22 : drop }" % k, "tcp option maxseg size %d counter drop" % k]
    chains = [("c%d" % k, body(k + 1) + ["tcp dport %d jump c%d" % (j, k - 1) for j in range(3) if k] + body(k + 8)) for k in range(3)]
    return ruleset(chains, body(20) + ["tcp dport %d jump c2" % j for j in range(3)] + body(21))


def tree(depth, fan):
    """Each chain is reached from fan ** height places."""
    def body(k):
        return ["ip saddr 10.%d.%d.1 tcp dport %d counter drop" % (k, j, 1000 + j) for j in range(6)]
    chains = [("c%d" % k, body(k) + ["ip id %d jump c%d" % (j + 10 * k, k - 1) for j in range(fan) if k]) for k in range(depth)]
    return ruleset(chains, ["ip id %d jump c%d" % (j, depth - 1) for j in range(fan)])


def fused(rules):
    """Base chains of one priority: one program, where it is not too large for one."""
    chain = "\tchain %s {\n\t\ttype filter hook input priority 0\n%s\t}\n"
    return "table ip t {\n%s}\n" % "".join(chain % (c, "".join("\t\tip ttl & %d == 1 ip id & %d == 1 counter accept\n" % (2 * i & 255 | 1, 4 * i | 1)
                                                               for i in range(rules))) for c in "abc")


def report_of(d, text, level, limits=None):
    """The compiler's report; None: it does not compile."""
    path, report = os.path.join(d, "x.nft"), os.path.join(d, "x.json")
    with open(path, "w") as f:
        f.write(text)
    env = dict(os.environ, **({"NFT2BPF_LIMITS": limits} if limits else {}))
    p = subprocess.run([BIN, "--partial", "always", "--report", report] + level + [path], env=env, capture_output=True, text=True, timeout=100)
    if p.returncode:
        print("# " + "\n# ".join(p.stderr.splitlines()[:5]))
        return None
    with open(report) as f:
        return json.load(f)


def compile_one(d, text, level, limits=None):
    """The reasons for which rules stay in nftables; None: it does not compile."""
    report = report_of(d, text, level, limits)
    return None if report is None else {r["kind"] for r in report["rules"]} - {None}


def check(good, words):
    global number, bad
    number += 1
    bad += not good
    print("%s %d - %s" % ("ok" if good else "not ok", number, words))


def main():
    with tempfile.TemporaryDirectory() as d:
        for name, text in (("many values", many_values()), ("long keys", long_keys()), ("six by three jumps", tree(6, 3))):
            for level in LEVELS:
                check(compile_one(d, text, level) == set(), "%s, %s: all in BPF" % (name, " ".join(level)))
        for name, text, limits in (("many values", many_values(), "210000,700000,160"), ("long keys", long_keys(), "210000,700000,200")):
            got = compile_one(d, text, ["-O2"], limits)
            check(got is not None and "stack" in got, "%s in less stack: some in nftables, as the report says" % name)
        for level in LEVELS[::2]:
            got = compile_one(d, tree(15, 12), level)
            check(bool(got), "fifteen by twelve jumps, %s: in nftables, as the report says" % level[0])
        for rules, level, limits, want in ((9, "-O2", None, 1), (9, "-O0", None, 3), (9, "-O2", "100,150", 3), (900, "-O2", None, 2)):
            report = report_of(d, fused(rules), [level], limits)
            check(report and report["totals"]["programs"] == want and report["totals"]["bpf"] == 3 * rules,
                  "three chains of %d rules, %s, limits %s: %d programs" % (rules, level, limits, want))
        for name, text, limits, want in (("fifteen by twelve jumps", tree(15, 12), None, 0), ("three chains", fused(9), None, 1), ("three chains, cut", fused(9), "100,150", 3)):
            path = os.path.join(d, "ir.nft")
            with open(path, "w") as f:
                f.write(text)
            env = dict(os.environ, **({"NFT2BPF_LIMITS": limits} if limits else {}))
            p = subprocess.run([BIN, "--partial", "always", "--emit", "ir", path], env=env, capture_output=True, text=True, timeout=100)
            check(p.returncode == 0 and p.stdout.count(" program ") == want, "%s as IR: %d programs" % (name, want))
    print("1..%d" % number)
    return bad != 0


sys.exit(main())
