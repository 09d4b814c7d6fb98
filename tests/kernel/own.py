# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts of the kernel suite share: TAP, and namespaces of their own, in which they may load and pin what they like."""
import ctypes
import os
import re
import subprocess

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000  # linux/sched.h
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18  # linux/mount.h
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
libc = ctypes.CDLL(None, use_errno=True)
done = bad = 0


def fewer(path):
    """Whether rules are printed as a text of which fewer expressions are made; tests/golden/meson.build leaves them out, too."""
    return path.endswith("-merged.nft")


def say(good, what, detail=""):
    """One test of TAP; the detail is for one that fails."""
    global done, bad
    done += 1
    bad += not good
    print("%s %d - %s" % ("ok" if good else "not ok", done, what), flush=True)
    for line in [] if good else str(detail).splitlines()[:40]:
        print("# " + line)


def end():
    """The plan, after the tests; what main() returns."""
    print("1..%d" % done)
    return 1 if bad else 0


def cannot(why):
    """Instead of the tests; what main() returns: where CI=true the suite must run."""
    print("1..0 # SKIP needs " + why)
    return 1 if os.environ.get("CI") == "true" else 77


def check(rc, what):
    if rc:
        raise OSError(ctypes.get_errno(), what)


def mounts():
    """From here on this process has mounts, and so a bpffs for pins, of its own."""
    check(libc.unshare(CLONE_NEWNS), "unshare mounts")
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "make mounts private")
    check(libc.mount(b"bpf", b"/sys/fs/bpf", b"bpf", 0, None), "mount bpffs")


def adopt():
    """From here on processes whose parent dies are this one's children."""
    check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "adopt orphans")


def network(rules=""):
    """From here on it is in a new network namespace, with the interfaces that the rules name."""
    check(libc.unshare(CLONE_NEWNET), "unshare network")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name in interfaces(rules):
        subprocess.run(["ip", "link", "add", name, "type", "dummy"], capture_output=True)


def interfaces(rules):
    return sorted(set(re.findall(r'(?:[io]if|device|sdif)\s+(?:!=\s*)?(?:vmap\s*)?{?\s*"?([a-z]\w*)', rules)) - {"lo"})
