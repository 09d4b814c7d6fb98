#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill.py NFT2BPF NFT2BPFCTL [iptables|direct|messages]: kills nft2bpfctl at each of its system calls that change something.

After each kill the namespace must filter as the old ruleset or as the new one, or not at all: never with a part of one. A
second run must then succeed and clean up. Probes are datagrams on the loopback device: each ruleset stops one port at the input hook in
BPF, one at the input hook in nftables, and one at the output hook; ports differ between the two rulesets. With "iptables" the
second is an extension of iptables, so that the rulesets go to the kernel without nft; with "direct" all is in BPF, and is put in
force and out of it by one write; with "messages" a set is so large that it goes to the kernel without nft. Prints TAP.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import own

CALLS = "bpf,mkdir,unlink,link,wait4,rmdir,mount,clone,vfork,fork,clone3"
# Commands of bpf(2) that change nothing which outlives the process: killed there it leaves what it leaves at the next call.
PASSING = {"BPF_" + c for c in (
    "MAP_CREATE", "MAP_LOOKUP_ELEM", "MAP_GET_NEXT_KEY", "MAP_LOOKUP_BATCH", "MAP_FREEZE", "PROG_LOAD", "PROG_BIND_MAP", "OBJ_GET",
    "BTF_LOAD", "TASK_FD_QUERY", "OBJ_GET_INFO_BY_FD", "PROG_GET_NEXT_ID", "MAP_GET_NEXT_ID", "LINK_GET_NEXT_ID", "BTF_GET_NEXT_ID",
    "PROG_GET_FD_BY_ID", "MAP_GET_FD_BY_ID", "LINK_GET_FD_BY_ID", "BTF_GET_FD_BY_ID")}
HOW = sys.argv[3] if len(sys.argv) > 3 else ""
IPTABLES = HOW == "iptables"
PORTS = {"old": (1101, 1102, 1103), "new": (1201, 1202, 1203)}


def ruleset(ports):
    if IPTABLES:
        port = ports[1].to_bytes(2, "little").hex()
        reject = 'meta l4proto udp xt match "multiport" = 1 48 "0101%s" counter xt target "REJECT" = 0 8 "03"' % port
    else:
        reject = "udp dport %d %s" % (ports[1], "drop" if HOW == "direct" else "reject")
    first = "udp dport %d counter drop" % ports[0]
    many = ""
    if HOW == "messages":
        many = "\tset many {\n\t\ttype ipv4_addr\n\t\telements = { 127.0.0.1, %s }\n\t}\n" % ", ".join(
            "10.0.%d.%d" % (i >> 8, i & 255) for i in range(5000))
        first = "udp dport %d ip daddr @many counter drop" % ports[0]
    return """table %s {
%s\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t\t%s
\t\t%s
\t}
\tchain output {
\t\ttype filter hook output priority filter; policy accept;
\t\tudp dport %d counter drop
\t}
}
""" % ("ip filter" if IPTABLES else "inet kill", many, first, reject, ports[2])


class Bed:
    """A namespace, entered for good by this process, and the two objects."""

    def __init__(self, nft2bpf, ctl):
        self.ctl = ctl
        self.dir = tempfile.mkdtemp(prefix="kill.")
        self.obj = {}
        for name, ports in PORTS.items():
            src = os.path.join(self.dir, name + ".nft")
            with open(src, "w") as f:
                f.write(ruleset(ports))
            self.obj[name] = os.path.join(self.dir, name + ".o")
            subprocess.run([nft2bpf, "--partial", "always", src, "-o", self.obj[name]], check=True)
        # a network namespace and, for the pins, a mount namespace with a bpffs of its own
        own.mounts()
        own.network()
        own.adopt()
        self.rx = {}
        for port in PORTS["old"] + PORTS["new"]:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("127.0.0.1", port))
            s.setblocking(False)
            self.rx[port] = s

    def passes(self, port):
        tx = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            tx.sendto(b"x", ("127.0.0.1", port))
        except OSError:
            pass
        tx.close()
        try:
            return bool(self.rx[port].recv(10))
        except BlockingIOError:
            return False

    def state(self):
        """'none', 'old', 'new', 'both', or which ports pass."""
        p = {k: [self.passes(x) for x in v] for k, v in PORTS.items()}
        whole = {k: all(v) for k, v in p.items()}
        shut = {k: not any(v) for k, v in p.items()}
        if whole["old"] and whole["new"]:
            return "none"
        if shut["old"] and whole["new"]:
            return "old"
        if shut["new"] and whole["old"]:
            return "new"
        return "half: %s" % p

    def run(self, *args):
        return subprocess.run([self.ctl, *args], capture_output=True, text=True)

    def calls(self, *args):
        """Runs nft2bpfctl; the calls at which to kill it when it runs again, each with its number among those of its name."""
        log = os.path.join(self.dir, "calls")
        subprocess.run(["strace", "-qq", "-o", log, "-e", "trace=" + CALLS, "-e", "signal=none", self.ctl, *args], capture_output=True)
        n, out = {}, []
        with open(log) as f:
            for call, arg in re.findall(r"^(\w+)\((\w*)", f.read(), re.M):
                n[call] = n.get(call, 0) + 1
                if call != "bpf" or arg not in PASSING:
                    out.append((call, n[call]))
        return out

    def run_killed(self, call, nth, *args):
        """Kills nft2bpfctl as it enters its nth call of that name; False: it ended before."""
        r = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e",
                            "inject=%s:signal=KILL:when=%d" % (call, nth), self.ctl, *args], capture_output=True, text=True)
        return r.returncode in (-9, 137)

    def settle(self):
        """nft may still be at work when its parent is dead: wait for it. It is a child of this process then (own.adopt())."""
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
        if HOW == "direct":
            time.sleep(0.1)  # programs that were replaced by one write go on for 70 ms

    def reset(self):
        self.run("unload", "kill")
        r = self.run("load", self.obj["old"], "--name", "kill")
        self.run("unload", "kill")
        return r.returncode == 0 and self.state() == "none"

    def close(self):
        self.run("unload", "kill")
        shutil.rmtree(self.dir)


def points(bed, before, args, allowed, after):
    """Kills one command at every point; the faults found."""
    faults, kills, calls = [], 0, None
    while calls is None or calls:
        for b in before:
            r = bed.run(*b)
            if r.returncode:
                return ["preparing: %s: %s" % (" ".join(b), r.stderr.strip())], kills
        if calls is None:
            calls = bed.calls(*args)
            bed.run("unload", "kill")
            continue
        call, nth = calls.pop(0)
        if not bed.run_killed(call, nth, *args):
            bed.run("unload", "kill")
            continue
        kills += 1
        bed.settle()
        s = bed.state()
        if s not in allowed:
            faults.append("killed at %s #%d: %s" % (call, nth, s))
        r = bed.run(*args)
        s = bed.state()
        if args[0] == "unload":
            if s != "none":
                faults.append("unload again after %s #%d: %s %s" % (call, nth, s, r.stderr.strip()))
        elif args[0] == "load" and r.returncode and "loaded already" in r.stderr:
            pass
        elif r.returncode or s != after:
            faults.append("%s again after %s #%d: %s %s" % (args[0], call, nth, s, r.stderr.strip()))
        bed.run("unload", "kill")
        if bed.state() != "none":
            return faults + ["unload after %s #%d leaves %s" % (call, nth, bed.state())], kills
    return faults, kills


def aside(bed, killed):
    """The old ruleset is the user's own and sleeps while the new one is loaded: it filters whenever the new one does not."""
    user = os.path.join(bed.dir, "old.nft")
    load = ("load", bed.obj["new"], "--name", "kill", "--replace-tables")
    unload = ("unload", "kill")
    faults, kills, calls = [], 0, None
    while calls is None or calls:
        subprocess.run(["nft", "-f", user], check=True)
        r = bed.run(*load) if killed == "unload" else None
        if r and r.returncode:
            return ["preparing: " + r.stderr.strip()], kills
        what, hit = load if killed == "load" else unload, False
        if calls is None:
            call, nth = "no call", 0
            calls = bed.calls(*what)
        else:
            call, nth = calls.pop(0)
            hit = bed.run_killed(call, nth, *what)
        if hit:
            kills += 1
            bed.settle()
            s = bed.state()
            if s not in ("old", "new"):
                faults.append("killed at %s #%d: %s" % (call, nth, s))
        if hit and killed == "load":
            r = bed.run(*load)
            if bed.state() != "new":
                faults.append("load again after %s #%d: %s %s" % (call, nth, bed.state(), r.stderr.strip()))
        r = bed.run(*unload)
        listed = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout
        if bed.state() != "old" or "dormant" in listed or "nft2bpf" in listed:
            return faults + ["unload after %s #%d leaves %s: %s" % (call, nth, bed.state(), r.stderr.strip())], kills
        subprocess.run(["nft", "flush", "ruleset"], check=True)
    return faults, kills


def at_once(bed, times):
    """When a command has returned, nothing of the programs that it took away filters: also where the kernel's work queues have to wait.

    A process on each CPU runs before every ordinary one, and this one and its commands run before them.
    """
    faults, cpus = [], []
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        for cpu in os.sched_getaffinity(0):
            cpus.append(subprocess.Popen([sys.executable, "-c", "while True: pass"],
                                         preexec_fn=lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))))
            os.sched_setaffinity(cpus[-1].pid, {cpu})
    except PermissionError:
        pass  # without it little waits
    try:
        for _ in range(times):
            for args, want in ((("load", bed.obj["old"], "--name", "kill"), "old"),
                               (("replace", bed.obj["new"], "--name", "kill"), "new"), (("unload", "kill"), "none")):
                r = bed.run(*args)
                s = bed.state()
                if r.returncode or s != want:
                    faults.append("%s: %s %s" % (args[0], s, r.stderr.strip()))
    finally:
        for p in cpus:
            p.kill()
            p.wait()
        if cpus:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return faults


def main():
    if os.geteuid() or not shutil.which("strace"):
        return own.cannot("root and strace")
    if HOW in ("iptables", "messages"):
        global CALLS
        CALLS += ",sendto"
    bed = Bed(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
    old, new = bed.obj["old"], bed.obj["new"]
    load = ("load", old, "--name", "kill")
    cases = [
        ("load", [], load, ("none", "old"), "old"),
        ("unload", [load], ("unload", "kill"), ("none", "old"), "none"),
        ("replace", [load], ("replace", new, "--name", "kill"), ("old", "new"), "new"),
    ]
    asides = () if HOW else ("load", "unload")  # nft itself cannot load the user's tables of iptables
    try:
        own.say(bed.reset(), "load and unload leave nothing")
        if HOW in ("", "direct"):
            faults = at_once(bed, 20)
            own.say(not faults, "load, replace and unload are done when they return", "\n".join(faults[:10]))
        for name in asides:
            faults, kills = aside(bed, name)
            own.say(not faults and kills > 5, "%s with tables of the user's aside killed at %d points" % (name, kills), "\n".join(faults[:10]))
        for name, before, args, allowed, after in cases:
            faults, kills = points(bed, before, args, allowed, after)
            own.say(not faults and kills > 5, "%s killed at %d points" % (name, kills), "\n".join(faults[:10]))
    finally:
        bed.close()
    return own.end()


sys.exit(main())
