#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""live.py NFT2BPF NFT2BPFCTL ROUNDTRIP RULES...: what the compiler reads from a kernel.

Of each ruleset, loaded by nft (or, where that is too old for it, by messages of our own): --live and a saved dump give the same IR;
what is printed back is taken again and gives the same expressions. Then --live while another process changes the ruleset all the time: every reading is one of its states, none
a mixture. And broken dumps: an error or a ruleset, no crash. $NFT names another nft. Prints TAP."""
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile

import own
from own import say

NFT = os.environ.get("NFT", "nft")
READINGS = 40
BROKEN = 300
ANONYMOUS = 1  # linux/netfilter/nf_tables.h: NFT_SET_ANONYMOUS
bpf, ctl, roundtrip = map(os.path.abspath, sys.argv[1:4])
tmp = tempfile.mkdtemp(prefix="nft2bpf-live.")


def run(*args, stdin=None):
    r = subprocess.run(args, capture_output=True, input=stdin, timeout=120)
    return r.returncode, r.stdout, r.stderr.decode(errors="replace")


def dump(name):
    path = "%s/%s.nl" % (tmp, name)
    rc, _, err = run(ctl, "dump", "-o", path)
    return path if not rc else sys.exit("dump: " + err)


def emit(stage, *source):
    rc, out, err = run(bpf, "--partial", "always", "--emit", stage, *source)
    if rc:
        return "refused: " + err
    # what only time changes, and what one old nft leaves out of a meter's set
    return re.sub(rb" (expires|size) [0-9]+(ms)?", b"", out)


def exprs(path):
    out = emit("exprs", "-n", path)
    # sets that have got a name because of a rule that there are no words for
    named = re.sub(rb"nft2bpf(__(?:set|map)\d+ \S+) (\d)$", lambda m: b"%s %d" % (m[1], int(m[2]) | ANONYMOUS), out, flags=re.M)
    return re.sub(rb"nft2bpf(__(?:set|map)\d+)", rb"\1", named)


def load(path):
    """None, or why the kernel has not got it: from nft, or, of what the nft at hand does not read, from the compiler's own messages."""
    if not run(NFT, "-f", path)[0]:
        return None
    rc, _, err = run(roundtrip, "-l", path)
    return err if rc else None


def reads_back(path):
    """None, or what is wrong."""
    own.network(open(path, encoding="utf-8").read())
    why = load(path)
    if why is not None:
        return "not loaded: " + why
    one = dump("one")
    if emit("ir", "--live") != emit("ir", "-n", one):
        return "--live and a dump differ"
    rc, text, err = run(roundtrip, "-p", one)
    if rc:
        return "not printed: " + err
    with open(tmp + "/printed.nft", "wb") as f:
        f.write(text)
    run(NFT, "flush", "ruleset")
    why = load(tmp + "/printed.nft")
    if why is not None:
        return "what was printed is not taken: " + why
    again = dump("again")
    same = exprs(one) == exprs(again) or own.fewer(path)
    return None if same else "printed and loaded, the expressions are others"


STATE = """flush ruleset
table inet t {
	set s { type inet_service; elements = { %d, %d } }
	map m { type inet_service : verdict; elements = { %d : jump c%d } }
	chain c%d { counter drop; }
	chain in {
		type filter hook input priority 0
		tcp dport @s drop
		udp dport vmap @m
		tcp sport %d drop
	}
}
"""


def changer():
    """Loads one state after the other, each in one transaction, until it is killed."""
    n = 1000
    while True:
        n = n + 1 if n < 60000 else 1000
        run(NFT, "-f", "-", stdin=(STATE % ((n, n + 1) + (n,) * 4)).encode())


def changing():
    own.network("")
    run(NFT, "-f", "-", stdin=(STATE % ((7, 8) + (7,) * 4)).encode())
    pid = os.fork()
    if not pid:
        changer()
        os._exit(1)
    bad, states = "", set()
    for _ in range(READINGS):
        out = emit("exprs", "--live")
        if isinstance(out, str):
            bad = bad or out
            continue
        seen = {int(x, 16) for x in re.findall(rb"(?:element|cmp eq reg 1) 0x(\w{4})\b", out)}
        states.add(min(seen, default=0))
        if not seen or seen != {min(seen), min(seen) + 1}:
            bad = bad or "a mixture of states: %s" % sorted(seen)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    say(not bad, "--live while the ruleset changes", bad)
    say(len(states) > 1, "and it did change")


def attributes(data, at, end, depth=0):
    """Places of all attributes in a message, nested ones too as far as they look it."""
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > end:
            return
        yield at, length
        if kind & 0x8000 and depth < 8:
            yield from attributes(data, at + 4, at + length, depth + 1)
        at += (length + 3) & ~3


def broken(path, rnd):
    """Attributes of a dump get other types, lengths and values: an error, or a ruleset that nft can be given."""
    data = open(path, "rb").read()
    places, at = [], 0
    while at + 20 <= len(data):
        length = struct.unpack_from("=I", data, at)[0]
        places += attributes(data, at + 20, at + length)
        at += (length + 3) & ~3
    for _ in range(BROKEN):
        bad = bytearray(data)
        at, length = rnd.choice(places)
        what = rnd.randrange(4)
        if what == 0:
            bad[at + 2] = rnd.randrange(40)
        elif what == 1:
            struct.pack_into("=H", bad, at, rnd.randrange(0, 2 * length + 8))
        elif length > 4:
            bad[at + 4 + rnd.randrange(length - 4)] = rnd.choice((0, 1, 0x7F, 0x80, 0xFF, rnd.randrange(256)))
        open(tmp + "/broken.nl", "wb").write(bad)
        rc, _, err = run(bpf, "--partial", "always", "-n", tmp + "/broken.nl", "-o", tmp + "/broken.o")
        if rc not in (0, 1) or (rc and "error:" not in err):
            return "exit status %d at attribute %d: %s" % (rc, at, err)
    return None


def main():
    if os.geteuid():
        return own.cannot("root")
    for path in sys.argv[4:]:
        why = reads_back(os.path.abspath(path))
        name = os.path.basename(path)
        say(why is None, name, why or "")
    changing()
    rnd = random.Random(1)
    for path in [p for p in sys.argv[4:] if "/examples/" in p]:
        own.network(open(path, encoding="utf-8").read())
        if not run(NFT, "-f", os.path.abspath(path))[0]:
            why = broken(dump("whole"), rnd)
            say(not why, "attributes of %s broken" % os.path.basename(path), why or "")
    run("rm", "-rf", tmp)
    return own.end()


sys.exit(main())
