#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""list.py NFT2BPF NFT2BPFCTL RULES...: `nft2bpfctl list` of a loaded object says what `nft list ruleset` says of the same ruleset.

With an nft that lists as the newest do the two are compared line for line; with an older one the list is read by nft, and both rulesets
as that nft lists them. What only time changes is left out. $NFT names another nft. Prints TAP."""
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
OLD_SAYS = {"dynset-states.nft": "meters by their own word", "raw-payload.nft": "raw bits as fields"}


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


def test(compiler, ctl, path, top, exact):
    with open(path) as f:
        text = f.read()
    if not exact and os.path.basename(path) in OLD_SAYS:
        return True, " # SKIP an old nft lists " + OLD_SAYS[os.path.basename(path)], ""
    if exact and os.path.basename(path) in WRITTEN:
        return True, " # SKIP its numbers are listed as written", ""
    want, err = listed(path, text)
    if want is None:
        return True, " # SKIP this nft does not list it", ""
    own.network(text)
    obj, out = os.path.join(top, "p.o"), os.path.join(top, "list.nft")
    for args in (compiler, "--partial", "always", path, "-o", obj), (ctl, "load", obj, "--name", "x"), (ctl, "list", "x"):
        rc, said, err = run(*args)
        if rc:
            return False, "", err
    run(ctl, "unload", "x")
    with open(out, "w") as f:
        f.write(said)
    if exact:
        got = timeless(said)
        own.network(text)
        rc, _, err = run(NFT, "-c", "-f", out)
    else:
        got, err = listed(out, text)
        rc = got is None
    if rc:
        return False, "", "nft does not read the list back: " + err
    return got == want, "", "\n".join(difflib.unified_diff(want.splitlines(), got.splitlines(), "nft", "nft2bpfctl", lineterm="", n=1))


def main():
    if os.geteuid():
        return own.cannot("root")
    compiler, ctl = map(os.path.abspath, sys.argv[1:3])
    version = re.search(r"v(\d+)\.(\d+)\.(\d+)", run(NFT, "--version")[1])
    exact = version and tuple(map(int, version.groups())) >= NEW
    own.mounts()
    print("# %s, compared %s" % (version[0] if version else "nft", "line for line" if exact else "after reading it back"))
    bad = 0
    with tempfile.TemporaryDirectory(prefix="list.") as top:
        for n, path in enumerate(sys.argv[3:], 1):
            good, note, detail = test(compiler, ctl, os.path.abspath(path), top, exact)
            bad += not good
            print("%s %d - %s%s" % ("ok" if good else "not ok", n, os.path.basename(path), note), flush=True)
            for line in [] if good else detail.splitlines()[:20]:
                print("# " + line)
    print("1..%d" % (len(sys.argv) - 3))
    return 1 if bad else 0


sys.exit(main())
