#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""rollback.py NFT2BPF NFT2BPFCTL: loads and replacements that fail halfway. Nothing of a failed load stays behind, what a failed
replacement was to replace stays or the new one is whole in nftables, and the message says what failed. Prints TAP."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import own
from own import say

RULES = """table inet t {
	chain first {
		type filter hook input priority %d; policy accept;
		udp dport 7001 counter drop
	}
	chain second {
		type filter hook input priority %d; policy accept;
		udp dport 7002 counter drop
	}
	chain out {
		type filter hook output priority 0; policy accept;
		udp dport %d reject
	}
}
"""
OTHER = """table inet other {
	chain input {
		type filter hook input priority 1; policy accept;
		udp dport 7003 drop
	}
}
"""

def run(*args):
    r = subprocess.run(args, capture_output=True, text=True)
    return r.returncode, r.stdout, r.stderr


def left():
    """What is there: pins and tables."""
    pins = sorted(os.path.join(d, f) for d, _, fs in os.walk("/sys/fs/bpf/nft2bpf") for f in fs)
    return pins, run("nft", "-s", "list", "ruleset")[1]


def break_program(path, out):
    """An early instruction of the first program, which no relocation changes, reads a register that holds nothing."""
    b = bytearray(open(path, "rb").read())
    shoff, = struct.unpack_from("<Q", b, 40)
    size, n, names = struct.unpack_from("<HHH", b, 58)
    head = [struct.unpack_from("<IIQQQQ", b, shoff + i * size) for i in range(n)]
    for name, kind, flags, _, off, length in head:
        at = head[names][4] + name
        if kind == 1 and b[at:at + 9] == b"netfilter" and length:
            b[off + 32:off + 40] = bytes((0x79, 0x90, 0, 0, 0, 0, 0, 0))
            break
    with open(out, "wb") as f:
        f.write(b)


def compile_to(compiler, path, text):
    with open(path + ".nft", "w") as f:
        f.write(text)
    subprocess.run([compiler, "--partial", "always", path + ".nft", "-o", path + ".o"], check=True)
    return path + ".o"


def failing(ctl, call, error, prepare, args, good):
    """Makes each system call of a kind fail, one after another; the faults found and how many calls there were."""
    faults = []
    for p in prepare:
        run(*p)
    _, _, calls = run("strace", "-qq", "-f", "--seccomp-bpf", "-e", "trace=" + call, ctl, *args)
    run(ctl, "unload", "x")
    n = len([line for line in calls.splitlines() if call + "(" in line])
    for nth in range(1, n + 1):
        for p in prepare:
            rc, _, err = run(*p)
            if rc:
                return ["preparing: " + err], n
        before = left()
        rc, _, err = run("strace", "-qq", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=" + call, "-e",
                         "inject=%s:error=%s:when=%d" % (call, error, nth), ctl, *args)
        after, where = left(), "%s #%d" % (call, nth)
        if rc and not good(before, after):
            faults.append("%s: left behind:\n%s\n%s" % (where, "\n".join(after[0]), after[1]))
        if rc and "nft2bpfctl: " not in err:
            faults.append("%s: no word about it: %s" % (where, err))
        run(ctl, "unload", "x")
        if left() != ([], ""):
            return faults + ["%s: unload leaves %s" % (where, left())], nth
    return faults, n


def main():
    if os.geteuid() or not shutil.which("strace"):
        return own.cannot("root and strace")
    compiler, ctl = map(os.path.abspath, sys.argv[1:3])
    own.mounts()
    own.network()
    top = tempfile.mkdtemp(prefix="rollback.")
    one = compile_to(compiler, os.path.join(top, "one"), RULES % (0, 1, 7004))
    two = compile_to(compiler, os.path.join(top, "two"), RULES % (0, 5, 7005))
    other = compile_to(compiler, os.path.join(top, "other"), OTHER)
    nothing = ([], "")

    run(ctl, "load", other)
    before = left()
    rc, _, err = run(ctl, "load", one, "--name", "x")
    say(rc == 1 and left() == before, "no free priority: nothing is left", "exit %d\n%s\n%s" % (rc, err, left()))
    say("cannot attach" in err and "input" in err and "riorit" in err, "and it says which program on which hook", err)
    rc, _, err = run(ctl, "load", two, "--name", "x")
    say(rc == 0, "with room it loads", err)
    before = left()
    rc, _, err = run(ctl, "replace", one, "--name", "x")
    after = left()
    say(rc == 1 and "cannot attach" in err, "a replacement without a free priority fails", "exit %d\n%s" % (rc, err))
    say("udp dport 7001" in after[1] and "udp dport 7004" in after[1] or after == before,
        "and leaves the old or the new ruleset whole", "%s\n%s" % after)
    run(ctl, "unload", "x")
    run(ctl, "unload", "other")
    say(left() == nothing, "unload cleans up", left())

    broken = os.path.join(top, "broken.o")
    break_program(one, broken)
    rc, _, err = run(ctl, "load", broken, "--name", "x")
    say(rc == 1 and left() == nothing, "refused by the verifier: nothing is left", "exit %d\n%s\n%s" % (rc, err, left()))
    say("the kernel does not take it" in err and "R9" in err, "and the verifier's reason is told", err)
    run(ctl, "load", two, "--name", "x")
    before = left()
    rc, _, err = run(ctl, "replace", broken, "--name", "x")
    say(rc == 1 and left() == before, "a replacement that the verifier refuses changes nothing", "exit %d\n%s" % (rc, err))
    os.environ["NFT"] = "false"
    rc, _, err = run(ctl, "replace", one, "--name", "x")
    del os.environ["NFT"]
    say(rc == 1 and left() == before, "nor does one that nft refuses", "exit %d\n%s" % (rc, err))
    run(ctl, "unload", "x")
    os.environ["NFT"] = "false"
    rc, _, err = run(ctl, "load", one, "--name", "x")
    del os.environ["NFT"]
    say(rc == 1 and left() == nothing and "nft refuses" in err, "a load that nft refuses leaves nothing", "exit %d\n%s" % (rc, err))

    for call, error in ("bpf", "ENOMEM"), ("link", "ENOSPC"), ("mkdir", "ENOSPC"):
        faults, n = failing(ctl, call, error, [], ["load", one, "--name", "x"], lambda b, a: a == nothing)
        say(not faults, "load with any of %d calls of %s failing" % (n, call), "\n".join(faults))
    faults, n = failing(ctl, "bpf", "ENOMEM", [[ctl, "load", one, "--name", "x"]], ["replace", two, "--name", "x"],
                        lambda b, a: a == b or "udp dport 7001" in a[1])
    say(not faults, "replace with any of %d calls of bpf failing" % n, "\n".join(faults))
    shutil.rmtree(top)
    return own.end()


sys.exit(main())
