#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vm.py KERNEL BUILD RULES...: the objects of the kernel suite on another kernel.

KERNEL is the folder of an unpacked kernel package (boot/vmlinuz-*, lib/modules/*), BUILD the build's. A virtual machine boots it, with
an initramfs made here of the programs at hand and the package's modules. Inside, every ruleset compiled at -O2, -O0, --static
and with the defaults loads, a hundred thousand rules that nothing merges load, and for some rulesets nf_tables and the object get the
same packets (kdiff). Prints TAP. Some ten minutes on two processors without KVM."""
import glob
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time

# Of these rulesets packets are compared: state, sets that change, headers of all kinds, a fallback, extensions of iptables.
COMPARED = {"host.nft", "ct-more.nft", "dynset-limit.nft", "concat-ranges-mutable.nft", "headers-more.nft", "options.nft", "meta-more.nft",
            "reject-middle.nft", "xt-state.xt"}
HOW = {"O2": ["-O2", "--partial", "always"], "O0": ["-O0", "--partial", "always"], "static": ["-O2", "--partial", "always", "--static"],
       "auto": []}
PACKETS = 300
LIMIT = 3000  # seconds
MEMORY = "3G"
# What runs in the machine besides the shell and busybox's small tools.
PROGRAMS = "ip nft nsenter env bpftool modprobe xtables-nft-multi".split()
LINKS = {"/sbin/iptables": "xtables-nft-multi", "/sbin/ip6tables": "xtables-nft-multi", "/sbin/iptables-nft": "xtables-nft-multi",
         "/sbin/ip6tables-nft": "xtables-nft-multi"}
FILES = ["/etc/protocols", "/etc/services", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/iproute2"]
MODULES = ["kernel/net", "kernel/lib", "kernel/crypto", "kernel/drivers/net/veth.ko*", "kernel/drivers/net/dummy.ko*",
           "kernel/drivers/net/vxlan", "kernel/drivers/net/geneve.ko*"]
top = os.path.dirname(os.path.abspath(__file__))


def unmergeable(n):
    """Rules that each have a shape of their own: nothing puts them together."""
    out = ["table ip t {", "\tchain in {", "\t\ttype filter hook input priority 0;"]
    ops = ("", "!= ")
    for i in range(n):
        mask = 0xFFFF0000 | (i * 2654435761 >> 5 & 0xFFFF) | 1
        addr = i * 2246822519 & 0xFFFFFFFF & mask
        low = i * 7919 % 60000
        out.append("\t\tip saddr & %s == %s tcp dport %s%d-%d ip ttl %s%d counter drop" % (
            dotted(mask), dotted(addr), ops[i & 1], low, low + 1 + i % 5000, ops[i >> 1 & 1], i % 251))
    return "\n".join(out + ["\t}", "}", ""])


def dotted(v):
    return ".".join(str(v >> s & 255) for s in (24, 16, 8, 0))


# -- the initramfs ---------------------------------------------------------------------------------------------------


class Root:
    """A folder that becomes the machine's root."""

    def __init__(self, path):
        self.path = path

    def copy(self, source, to=None):
        to = self.path + (to or source)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, to, dirs_exist_ok=True)
        else:
            shutil.copy2(source, to)

    def program(self, source, to):
        """A program with the libraries that it wants."""
        self.copy(source, to)
        said = subprocess.run(["ldd", source], capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+)", said):
            if not os.path.exists(self.path + library):
                self.copy(library)

    def write(self, name, text, mode=0o644):
        path = self.path + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)


def cpio(root, out):
    """The folder as an archive of the kind that the kernel unpacks (newc)."""
    def entry(name, mode, data, dev=(0, 0)):
        name = name.encode() + b"\0"
        head = "070701" + "".join("%08X" % v for v in (
            entry.n, mode, 0, 0, 1, 0, len(data), 0, 0, dev[0], dev[1], len(name), 0))
        entry.n += 1
        record = head.encode() + name
        out.write(record + bytes(-len(record) % 4) + data + bytes(-len(data) % 4))
    entry.n = 1
    entry("dev", stat.S_IFDIR | 0o755, b"")
    entry("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1))
    for folder, names, files in os.walk(root):
        at = os.path.relpath(folder, root)
        for name in sorted(names + files):
            path, inner = os.path.join(folder, name), os.path.normpath(os.path.join(at, name))
            st = os.lstat(path)
            if stat.S_ISLNK(st.st_mode):
                entry(inner, st.st_mode, os.readlink(path).encode())
            elif stat.S_ISDIR(st.st_mode):
                entry(inner, st.st_mode, b"")
            else:
                with open(path, "rb") as f:
                    entry(inner, st.st_mode, f.read())
    entry("TRAILER!!!", 0, b"")


def fill_root(root, kernel, version, build):
    for name in PROGRAMS:
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not path:
            sys.exit("vm.py: %s is missing" % name)
        root.program(os.path.realpath(path), "/sbin/" + name)
    root.copy(shutil.which("busybox"), "/bin/busybox")
    root.program(os.path.realpath("/bin/sh"), "/bin/sh")  # busybox's own takes its tools for those at hand
    for link, to in LINKS.items():
        os.symlink(to, root.path + link)
    for extensions in glob.glob("/usr/lib/*/xtables"):
        root.copy(extensions)
        for library in glob.glob(extensions + "/*.so"):
            root.program(library, library)
    for path in FILES:
        if os.path.exists(path):
            root.copy(path)
    modules = "lib/modules/" + version
    for pattern in MODULES + ["modules.*"]:
        for path in glob.glob(os.path.join(kernel, modules, pattern)):
            root.copy(path, "/" + os.path.relpath(path, kernel))
    subprocess.run(["depmod", "-b", root.path, version], check=True, env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
    root.copy(os.path.join(kernel, "boot", "config-" + version), "/boot/config-" + version)  # where libbpf looks for it
    for name in ("nft2bpf", "nft2bpfctl", "tests/kernel/kdiff"):
        root.program(os.path.join(build, name), "/t/" + os.path.basename(name))
    root.copy(os.path.join(build, "tests/kernel/observer.bpf.o"), "/t/observer.bpf.o")
    root.copy(os.path.join(top, "guest.sh"), "/init")


# -- what is tried -------------------------------------------------------------------------------------------------------


def compile_all(build, rules, root):
    """Objects of every ruleset, in each way; those of the machine's suite of packets are compiled there."""
    os.makedirs(root.path + "/o")
    big = root.path + "/o/unmergeable.nft"
    with open(big, "w") as f:
        f.write(unmergeable(100000))
    jobs = [(path, how) for how in HOW for path in rules if path.endswith(".nft")] + [(big, "O2")]
    for path, how in jobs:
        obj = "%s/o/%s-%s.o" % (root.path, os.path.basename(path)[:-4], how)
        r = subprocess.run([os.path.join(build, "nft2bpf")] + HOW[how] + [path, "-o", obj], capture_output=True, text=True)
        if r.returncode:
            sys.exit("vm.py: %s does not compile: %s" % (path, r.stderr))
    os.unlink(big)
    for path in rules:
        if os.path.basename(path) in COMPARED:
            root.copy(path, "/r/" + os.path.basename(path))
    for folder in {os.path.dirname(p) for p in rules}:  # what they include
        for path in glob.glob(folder + "/*.inc"):
            root.copy(path, "/r/" + os.path.basename(path))


def boot(image, initrd, log):
    """Runs the machine; what it says on its second serial line comes out as lines."""
    cpus = str(min(2, os.cpu_count() or 1))
    args = ["qemu-system-x86_64", "-accel", "kvm", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", cpus, "-m", MEMORY, "-display",
            "none", "-nodefaults", "-no-reboot", "-kernel", image, "-initrd", initrd, "-serial", "file:" + log, "-serial", "stdio",
            "-append", "console=ttyS0 panic=-1 mitigations=off quiet packets=%d" % PACKETS]
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
    try:
        for line in p.stdout:
            yield line.rstrip("\r\n")
    finally:
        p.kill()
        p.wait()


def main():
    kernel, build = map(os.path.abspath, sys.argv[1:3])
    rules = [os.path.abspath(p) for p in sys.argv[3:]]
    image = glob.glob(os.path.join(kernel, "boot/vmlinuz-*"))
    if len(image) != 1:
        sys.exit("vm.py: %s has no kernel, or more than one" % kernel)
    version = os.path.basename(image[0])[len("vmlinuz-"):]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vm.") as tmp:
        root = Root(tmp + "/root")
        fill_root(root, kernel, version, build)
        compile_all(build, rules, root)
        with open(tmp + "/initrd", "wb") as f:
            cpio(root.path, f)
        print("# Linux %s; made ready in %d s" % (version, time.monotonic() - started), flush=True)
        good, bad, ended = 0, 0, False
        log = tmp + "/console"
        for line in boot(image[0], tmp + "/initrd", log):
            print(line, flush=True)
            good += line.startswith("ok ")
            bad += line.startswith("not ok ")
            ended |= line.startswith("1..")
            if time.monotonic() - started > LIMIT:
                print("# the machine takes too long")
                break
        if not ended:
            print("Bail out! the machine stopped; its console:")
            print(open(log, errors="replace").read()[-3000:])
    print("# %d good, %d bad, %d s" % (good, bad, time.monotonic() - started))
    return 1 if bad or not ended else 0


sys.exit(main())
