#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""golden.py [--bless] ASTTOOL: runs each *.nft beside this file; X.ast (taken) or X.err (refused) says what must come."""
import difflib
import os
import subprocess
import sys

tool = os.path.abspath(sys.argv[-1])
os.chdir(os.path.dirname(os.path.abspath(__file__)))
bless = "--bless" in sys.argv
bad = 0
names = sorted(n[:-4] for n in os.listdir(".") if n.endswith(".nft"))
for name in names:
    run = subprocess.run([tool, "-D", "given=10.9.8.7", name + ".nft"], capture_output=True, text=True, timeout=20)
    got = run.stdout + run.stderr
    want_file = name + (".ast" if run.returncode == 0 else ".err")
    if bless:
        for ext in (".ast", ".err"):
            if os.path.exists(name + ext):
                os.unlink(name + ext)
        with open(want_file, "w", encoding="utf-8") as f:
            f.write(got)
    want = open(want_file, encoding="utf-8").read() if os.path.exists(want_file) else ""
    if got != want or run.returncode > 1:
        bad += 1
        print("%s: exit %d, differs from %s" % (name, run.returncode, want_file))
        print("".join(difflib.unified_diff(want.splitlines(True), got.splitlines(True), "want", "got")))
print("%d of %d as they must be" % (len(names) - bad, len(names)))
sys.exit(bad != 0)
