# SPDX-License-Identifier: GPL-2.0-or-later
"""What compiling costs, by the number of rules or elements: CPU time and memory of nft2bpf. Needs no root."""
import os
import subprocess
import sys
import tempfile

from cases import TOP, a_constant_set, a_mutable_set, address, interval, linear, port, table

NFT2BPF = os.path.join(TOP, "build", "nft2bpf")
ROUNDS, PATIENCE = 5, 8.0  # runs of each, no more when they have taken so many seconds of CPU


def unlike(i):
    """A rule that no lookup takes together with its neighbours: masks, ranges, negations, each another."""
    a, p, low = address(i), port(i), 1000 + i * 7 % 50000
    prefix = "10.%d.0.0/%d" % (i % 256, 16 + i % 9)
    return ("ip saddr %s tcp dport %d-%d accept" % (prefix, low, low + 3 + i % 900),
            "ip saddr != %s udp sport %d accept" % (prefix, p),
            "ip daddr & 0x%08x == 0x%08x tcp dport != %d drop" % ((0xff00ff00 ^ i * 40503) & 0xffffffff, 0x01000000 & (0xff00ff00 ^ i * 40503), p),
            "meta mark & 0x%x == 0x%x ip saddr %s drop" % (i | 1, 1, a),
            "ip length %d-%d ip saddr %s accept" % (low, low + 50, a),
            "ip ttl > %d ip daddr != %s drop" % (i % 255, a))[i % 6]


def heavy(i):
    """Ten expressions and more in the kernel."""
    return ('iifname "eth%d" ip saddr %s ip daddr %s tcp sport %d-%d tcp dport %d ct state new,established counter accept' % (
        i % 50, address(i), address(i + 7), i % 30000, i % 30000 + 100, port(i)))


SIZES = [10 ** k for k in range(1, 7)]
# name: sizes, text, more options; targets: by size, milliseconds and MiB
SHAPES = {
    "rules": (SIZES, lambda n: linear(n).nft, []),
    "unlike rules": (SIZES[:5], lambda n: table(unlike(i) for i in range(n)), []),
    "heavy rules, read": (SIZES[:5], lambda n: table(heavy(i) for i in range(n)), ["--emit", "exprs"]),
    "set": (SIZES, lambda n: a_mutable_set(n).nft, []),
    "set, constant": (SIZES, lambda n: a_constant_set(n).nft, []),
    "set, read": (SIZES, lambda n: a_mutable_set(n).nft, ["--emit", "exprs"]),
    "interval set": (SIZES, lambda n: interval(n).nft, []),
}
TARGETS = {
    ("rules", 10000): (100, None),
    ("rules", 100000): (1500, 600),
    ("set", 1000000): (1500, None),
    ("set, constant", 1000000): (1500, None),
    ("interval set", 1000000): (1500, None),
    ("heavy rules, read", 100000): (2000, 1024),
    ("set, read", 1000000): (2000, 1024),
}
HEAD = "| %-17s | %8s | %8s | %6s | %9s | target" % ("ruleset", "number", "CPU ms", "MiB", "µs each")


def once(args):
    p = subprocess.Popen(args, stdout=subprocess.DEVNULL)
    _, status, use = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit("bench/run: %s failed" % " ".join(args))
    return use.ru_utime + use.ru_stime, use.ru_maxrss / 1024


def write(path, make, n):
    """In a process of its own: a child's peak of memory begins with what its parent had, so this one must stay small."""
    pid = os.fork()
    if not pid:
        try:
            with open(path, "w") as f:
                f.write(make(n))
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("bench/run: cannot write %s" % path)


def measure(name, n, d):
    """The least of some runs: user and system time together, which other programs disturb less than the time on the clock."""
    _, text, options = SHAPES[name]
    path = os.path.join(d, "x.nft")
    write(path, text, n)
    args, got = [NFT2BPF, *options, path, "-o", os.path.join(d, "x.o")], []
    while len(got) < ROUNDS and sum(t for t, _ in got) < PATIENCE:
        got.append(once(args))
    seconds, mib = min(got)
    return {"ruleset": name, "number": n, "cpu": seconds, "mib": mib}


def targets(r):
    ms, mib = TARGETS.get((r["ruleset"], r["number"]), (None, None))
    out = [("%d ms" % ms, r["cpu"] * 1000 <= ms)] if ms else []
    return out + ([("%d MiB" % mib, r["mib"] <= mib)] if mib else [])


def line(r):
    return "| %-17s | %8d | %8.1f | %6.0f | %9.2f | %s |" % (
        r["ruleset"], r["number"], r["cpu"] * 1e3, r["mib"], r["cpu"] * 1e6 / r["number"],
        "; ".join("%s: %s" % (t, "met" if met else "MISSED") for t, met in targets(r)))


def run(most):
    """All shapes up to `most` rules or elements; prints as it goes."""
    rows = []
    with tempfile.TemporaryDirectory() as d:
        for name, (sizes, _, _) in SHAPES.items():
            for n in sizes:
                if n <= most:
                    rows.append(measure(name, n, d))
                    print(line(rows[-1]))
                    sys.stdout.flush()
    return rows
