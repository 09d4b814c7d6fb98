# SPDX-License-Identifier: GPL-2.0-or-later
"""Namespaces with a ruleset in force, frames fed into them, and what the kernel says about the programs."""
import ctypes
import glob
import itertools
import os
import socket
import subprocess
import time

from cases import HOOKS, packet

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NFT2BPF, CTL = (os.path.join(TOP, "build", p) for p in ("nft2bpf", "nft2bpfctl"))
NS = "bench%d" % os.getpid()
numbers = itertools.count()

libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
libc = ctypes.CDLL(None, use_errno=True)
VP, U32 = ctypes.c_void_p, ctypes.c_uint32
for _f in ("bpf_object__open_file", "bpf_object__find_program_by_name", "bpf_program__attach_netfilter"):
    getattr(libbpf, _f).restype = VP


class LinkOpts(ctypes.Structure):
    _fields_ = [("sz", ctypes.c_size_t), ("pf", U32), ("hooknum", U32), ("priority", ctypes.c_int32), ("flags", U32)]


class RunOpts(ctypes.Structure):
    _fields_ = [("sz", ctypes.c_size_t), ("data_in", VP), ("data_out", VP), ("data_size_in", U32), ("data_size_out", U32), ("ctx_in", VP),
                ("ctx_out", VP), ("ctx_size_in", U32), ("ctx_size_out", U32), ("retval", U32), ("repeat", ctypes.c_int), ("duration", U32),
                ("flags", U32), ("cpu", U32), ("batch_size", U32)]


class Failed(Exception):
    pass


def sh(cmd, ns=None, check=True):
    """Runs it; yields seconds and MiB."""
    full = (["nsenter", "--net=/run/netns/" + ns] if ns else []) + ["sh", "-c", cmd]
    t = time.monotonic()
    p = subprocess.Popen(full, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = p.stdout.read()
    _, status, use = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if check and status:
        raise Failed("%s: %s" % (cmd, out.strip()[-400:]))
    return time.monotonic() - t, use.ru_maxrss / 1024


def enter(ns):
    fd = os.open("/run/netns/" + ns, os.O_RDONLY)
    if libc.setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


class Ends:
    """The programs of ends.bpf.c, loaded once."""

    def __init__(self, d):
        path = os.path.join(d, "ends.o")
        sh("clang -O2 -g -target bpf -I/usr/include/%s-linux-gnu -c %s/bench/ends.bpf.c -o %s" % (os.uname().machine, TOP, path))
        self.obj = VP(libbpf.bpf_object__open_file(path.encode(), None))
        if libbpf.bpf_object__load(self.obj):
            raise SystemExit("bench/run: %s does not load" % path)
        self.feed, self.empty = (libbpf.bpf_program__fd(self.prog(p)) for p in (b"feed", b"pass"))

    def prog(self, name):
        return VP(libbpf.bpf_object__find_program_by_name(self.obj, name))

    def attach(self, name, hook, priority):
        o = LinkOpts(ctypes.sizeof(LinkOpts), 2, HOOKS[hook], priority, 0)
        link = libbpf.bpf_program__attach_netfilter(self.prog(name), ctypes.byref(o))
        if not link:
            raise Failed("attaching %s: %s" % (name.decode(), os.strerror(ctypes.get_errno())))
        return VP(link)


def run_prog(fd, data, n, ctx=None, flags=0):
    """BPF_PROG_TEST_RUN: ns a packet, by our clock, as the kernel's knows whole ns only; of live frames by the kernel's, as
    setting up a run of them takes long."""
    buf = ctypes.create_string_buffer(data, len(data))
    o = RunOpts(sz=ctypes.sizeof(RunOpts), data_in=ctypes.addressof(buf), data_size_in=len(data), repeat=n, flags=flags)
    if ctx:
        o.ctx_in, o.ctx_size_in, o.batch_size = ctypes.addressof(ctx), ctypes.sizeof(ctx), min(64, n)
    t = time.perf_counter_ns()
    if libbpf.bpf_prog_test_run_opts(fd, ctypes.byref(o)):
        raise Failed("running a program: %s" % os.strerror(ctypes.get_errno()))
    return float(o.duration) if ctx else (time.perf_counter_ns() - t) / n


def prog_info(fd):
    """Instructions as loaded, bytes of machine code, instructions that the verifier looked at."""
    info = ctypes.create_string_buffer(256)
    n = U32(232)
    if libbpf.bpf_obj_get_info_by_fd(fd, info, ctypes.byref(n)):
        raise Failed("reading what the kernel knows of a program")
    u = lambda off: int.from_bytes(info.raw[off:off + 4], "little")
    return {"insns": u(20) // 8, "jited": u(16), "verified": u(216)}


# The namespace of a packet that is routed on has a second device.
LINKS = ("ip link set lo up; ip link add v0 type veth peer name lan0; ip link set lan0 address 02:00:00:00:00:01; ip link add wan0 type dummy;"
         "ip addr add 10.9.0.2/16 dev lan0; ip addr add 192.0.2.2/24 dev wan0; ip link set v0 up; ip link set lan0 up; ip link set wan0 up;"
         "ip route add 198.51.100.0/24 via 192.0.2.1; ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:03 dev wan0; ip route add default dev lan0;"
         "ip neigh add 10.9.0.3 lladdr 02:00:00:00:00:02 dev lan0; echo 1 >/proc/sys/net/ipv4/ip_forward;"
         "for f in all lan0; do echo 0 >/proc/sys/net/ipv4/conf/$f/rp_filter; done")


class Side:
    """One namespace with one ruleset (or none: the floor, or an empty program) in force."""

    def __init__(self, how, case, endp, d):
        self.ns, self.how, self.ends, self.dir, self.facts, self.links, self.spent = NS + "n%d" % next(numbers), how, endp, d, {}, [], 0.0
        sh("ip netns add %s" % self.ns)
        try:
            sh(LINKS, self.ns)
            if how in ("floor", "empty"):
                if case.ct:
                    self.put("table inet floor { chain c { ct state new; }; }\n", "nft -f {f}")
            elif how == "nft":
                self.facts["load"] = self.put(case.nft, "nft -f {f}")[0]
            elif how.startswith("iptables"):
                self.facts["load"] = self.put(case.ipt, how + "-restore {f}")[0]
            else:
                self.compile(case)
            enter(self.ns)
            if how == "empty":
                self.links.append(endp.attach(b"pass", case.hook, 10))
            self.ctx = (U32 * 6)(0, 0, 0, socket.if_nametoindex("lan0"), 0, 0)
            for p in (p for _, p, est in case.packets if est):
                self.establish(p)
            self.links.append(endp.attach(b"sink", case.hook, 2**31 - 9))
        except BaseException:
            self.close()
            raise

    def put(self, text, cmd, times=1):
        """Runs it on the text, several times unless the first takes 5 s: seconds of the fastest, MiB."""
        f = os.path.join(self.dir, self.ns + ".rules")
        with open(f, "w") as out:
            out.write(text)
        cmd = cmd.replace("{f}", f)
        first = sh(cmd, self.ns)
        return min([first] + [sh(cmd, self.ns) for _ in range(times - 1 if first[0] < 5 else 0)])

    def compile(self, case):
        obj = os.path.join(self.dir, self.ns + ".o")
        if case.nft:
            t, mib = self.put(case.nft, "exec %s %s {f} -o %s" % (NFT2BPF, self.how, obj), 3)
        else:
            self.put(case.ipt, "iptables-nft-restore {f}")
            t, mib = sh("exec %s %s --live -o %s" % (NFT2BPF, self.how, obj), self.ns)
            sh("nft flush ruleset", self.ns)
        self.facts.update(compile=t, mib=mib, load=sh("%s load %s --name bench" % (CTL, obj), self.ns)[0])
        os.unlink(obj)

    def progs(self):
        """fds of the programs in force, IPv4's first."""
        dirs = glob.glob("/sys/fs/bpf/nft2bpf/%d/bench/*_prog_*" % os.stat("/run/netns/" + self.ns).st_ino)
        fds = {os.path.basename(p): libbpf.bpf_obj_get(p.encode()) for p in sorted(dirs)}
        return [fds[k] for k in sorted(fds, key=lambda k: not k.endswith("v4"))]

    def establish(self, p):
        """A packet, an answer: the flow is established before the last hook closes the way."""
        self.time(packet(*p), 1)
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        raw.sendto(packet(p[0], p[3], p[4], p[1], p[2]), (p[1], 0))
        raw.close()
        self.time(packet(*p), 1)

    def time(self, data, n):
        """ns a packet"""
        enter(self.ns)
        frame = b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0" + data
        self.ctx[1] = len(frame)
        t = run_prog(self.ends.feed, frame, n, self.ctx, 2)
        self.spent += t * n / 1e9
        return t

    def close(self):
        for link in self.links:
            libbpf.bpf_link__destroy(link)
        if self.how.startswith("-"):
            sh("%s unload bench" % CTL, self.ns, check=False)
        sh("ip netns del " + self.ns, check=False)
        for f in glob.glob(os.path.join(self.dir, self.ns + ".*")):
            os.unlink(f)
