#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""list.py NFT2BPF NFT2BPFCTL ROUNDTRIP RULES...: `nft2bpfctl list` of a loaded object says what `nft list ruleset` says of the same
ruleset.

With an nft that lists as the newest do the two are compared line for line; with an older one the list is read by nft, and both rulesets
as that nft lists them; or, where nft's list is what changed since (raw bits as fields), with that of the newest nft, RULES.list. Where
nft cannot read a ruleset, or lists one thing in two ways, what the kernel has of both is compared, expression by expression. What only
time changes is left out. $NFT names another nft. Prints TAP."""
import difflib
import os
import re
import subprocess
import sys
import tempfile

import own

NFT = os.environ.get("NFT", "nft")
NEW = (1, 1, 5)  # lists as src/fallback prints
# Tests of tunnelled packets are listed as they were written.
WRITTEN = {"tunnels-one.nft", "tunnels-vxlan.nft"}
# An old nft lists meters by their own word, and reads no quotas of elements.
OLD_SAYS = {"dynset-states.nft", "both-count.nft"}
compiler, ctl, roundtrip = map(os.path.abspath, sys.argv[1:4])


def run(*args):
    r = subprocess.run(args, capture_output=True, text=True, timeout=300)
    return r.returncode, r.stdout, r.stderr


def timeless(text):
    return re.sub(r"(expires|last used) [0-9dhms]+", r"\1 TIME", text)


def listed(path, text):
    """The ruleset of a file as nft lists it; None: this nft cannot."""
    own.network(text)
    rc, out, err = run(NFT, "-f", path)
    if rc:
        return None, err
    rc, out, err = run(NFT, "list", "ruleset")
    return (None, err or "exit %d" % rc) if rc else (timeless(out), "")


def kernel_exprs(path, text, top):
    """What the kernel has of a file: from nft, or, of what this nft does not read, from the compiler's own messages."""
    own.network(text)
    if run(NFT, "-f", path)[0]:
        rc, _, err = run(roundtrip, "-l", path)
        if rc:
            return None, err
    dump = os.path.join(top, "dump.nl")
    for args in (ctl, "dump", "-o", dump), (compiler, "--partial", "always", "--emit", "exprs", "-n", dump):
        rc, out, err = run(*args)
        if rc:
            return None, err
    return re.sub(r" (expires|size) [0-9]+(ms)?", "", out), ""  # a size: one old nft leaves it out of a meter's set


def test(path, top, exact):
    with open(path) as f:
        text = f.read()
    name, read = os.path.basename(path), listed
    recorded = path[:-len("nft")] + "list"
    if not exact and os.path.exists(recorded):
        exact = True
        with open(recorded) as f:
            want, err = f.read(), ""
    elif name in (WRITTEN if exact else OLD_SAYS):
        want, err = None, ""
    else:
        want, err = listed(path, text)
    if want is None:
        want, err = kernel_exprs(path, text, top)
        read, exact = lambda path, text: kernel_exprs(path, text, top), False
    if want is None:
        return False, err
    own.network(text)
    obj, out = os.path.join(top, "p.o"), os.path.join(top, "list.nft")
    for args in (compiler, "--partial", "always", path, "-o", obj), (ctl, "load", obj, "--name", "x"), (ctl, "list", "x"):
        rc, said, err = run(*args)
        if rc:
            return False, err
    run(ctl, "unload", "x")
    with open(out, "w") as f:
        f.write(said)
    if exact:
        got = timeless(said)
        own.network(text)
        rc, _, err = run(NFT, "-c", "-f", out)
    else:
        got, err = read(out, text)
        rc = got is None
    if rc:
        return False, "the list does not read back: " + err
    return got == want, "\n".join(difflib.unified_diff(want.splitlines(), got.splitlines(), "nft", "nft2bpfctl", lineterm="", n=1))


def main():
    if os.geteuid():
        return own.cannot("root")
    version = re.search(r"v(\d+)\.(\d+)\.(\d+)", run(NFT, "--version")[1])
    exact = version and tuple(map(int, version.groups())) >= NEW
    own.mounts()
    print("# %s, compared %s" % (version[0] if version else "nft", "line for line" if exact else "after reading it back"))
    bad = 0
    with tempfile.TemporaryDirectory(prefix="list.") as top:
        paths = [p for p in sys.argv[4:] if not own.fewer(p) or os.path.exists(p[:-3] + "list")]
        for n, path in enumerate(paths, 1):
            good, detail = test(os.path.abspath(path), top, exact)
            bad += not good
            print("%s %d - %s" % ("ok" if good else "not ok", n, os.path.basename(path)), flush=True)
            for line in [] if good else detail.splitlines()[:20]:
                print("# " + line)
    print("1..%d" % len(paths))
    return 1 if bad else 0


sys.exit(main())
