#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctl.py NFT2BPF NFT2BPFCTL: the commands of nft2bpfctl, one after another, and what they leave behind. Prints TAP."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import own
from own import say

RULES = """table inet t {
	set blocked {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8 }
	}
	set slow {
		type ipv4_addr
		flags timeout
	}
	map ports {
		type inet_service : verdict
		elements = { 80 : accept, 81 : drop }
	}
	chain input {
		type filter hook input priority filter; policy accept;
		ip saddr @blocked counter packets 7 bytes 700 drop
		ip saddr @slow drop
		tcp dport vmap @ports
		ip saddr @blocked reject
	}
}
"""
XT = """set -e
iptables-nft -A INPUT -p tcp -m multiport --dports 22,80 -m comment --comment "two ports" -c 5 300 -j ACCEPT
iptables-nft -A INPUT -m conntrack --ctstate INVALID -j DROP
iptables-nft -A INPUT -m addrtype --dst-type LOCAL -c 3 90 -j LOG --log-prefix "x "
iptables-nft -A FORWARD -p udp -m length --length 100:200 -m statistic --mode nth --every 3 --packet 1 -j DROP
iptables-nft -P FORWARD DROP
ebtables-nft -A INPUT -p IPv4 --ip-proto tcp --ip-dport 80 -j ACCEPT
ebtables-nft -A FORWARD -p 802_1Q --vlan-id 3 -j DROP
"$1" --live --partial always -o "$0/x.o"
nft flush ruleset
"""

XT_ASIDE = """set -e
iptables-nft -A INPUT -p tcp -m multiport --dports 22,80 -m comment --comment "two ports" -c 5 300 -j ACCEPT
iptables-nft -A INPUT -m conntrack --ctstate INVALID -j DROP
iptables-nft -A INPUT -m addrtype --dst-type LOCAL -c 3 90 -j LOG --log-prefix "x "
iptables-nft -A FORWARD -p udp -m length --length 100:200 -m statistic --mode nth --every 3 --packet 1 -j DROP
iptables-nft -P FORWARD DROP
"""
# Targets that the kernel takes in a table of one name alone, and what the object's table has in their place; the arguments that tables
# of IPv4 and IPv6 have in different words are in braces.
FREED = [
    ("-A INPUT -p tcp --dport 23 -j REJECT --reject-with tcp-reset", "tcp dport 23 counter reject with tcp reset"),
    ("-A INPUT -p udp -j REJECT", "meta l4proto udp counter reject"),
    ("-A INPUT -s {net} -j REJECT --reject-with {adm}", "{ip} saddr {net} counter reject with {icmp} admin-prohibited"),
    ("-t nat -A POSTROUTING -s {net} -j MASQUERADE", "{ip} saddr {net} counter masquerade"),
    ("-t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1000-2000 --random-fully", "counter masquerade to :1000-2000 fully-random"),
    ("-t nat -A POSTROUTING -p tcp -j SNAT --to-source {[a}-{b]}:1024-2048", "counter snat to {[a]}-{[b]}:1024-2048"),
    ("-t nat -A POSTROUTING -p udp -j SNAT --to-source {a} --persistent", "counter snat to {a} persistent"),
    ("-t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080", "tcp dport 80 counter redirect to :8080"),
    ("-t nat -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 80-90 --random", "tcp dport 81 counter redirect to :80-90 random"),
    ("-t nat -A PREROUTING -p tcp --dport 82 -j DNAT --to-destination {[a]}:8080", "tcp dport 82 counter dnat to {[a]}:8080"),
    ("-t nat -A PREROUTING -p tcp --dport 83 -j DNAT --to-destination {a}-{b} --random", "tcp dport 83 counter dnat to {a}-{b} random"),
    ("-t nat -A PREROUTING -p tcp --dport 84 -j DNAT --to-destination :84", "tcp dport 84 counter dnat to :84"),
    ("-t raw -A PREROUTING -p tcp --dport 85 -j CT --notrack", "tcp dport 85 counter notrack"),
]
WORDS = {
    "ip": {"net": "192.0.2.0/24", "adm": "icmp-admin-prohibited", "icmp": "icmp", "ip": "ip", "a": "10.1.2.3", "b": "10.1.2.9",
           "[a]": "10.1.2.3", "[b]": "10.1.2.9", "[a": "10.1.2.3", "b]": "10.1.2.9"},
    "ip6": {"net": "fd01::/64", "adm": "icmp6-adm-prohibited", "icmp": "icmpv6", "ip": "ip6", "a": "fd00::1", "b": "fd00::9",
            "[a]": "[fd00::1]", "[b]": "[fd00::9]", "[a": "[fd00::1", "b]": "fd00::9]"},
}


def say_in(words, text):
    for brace, word in words.items():
        text = text.replace("{%s}" % brace, word)
    return text


def free_targets(top, compiler, ctl, run, ok, clean):
    """Targets that are bound to their table's name, under another name."""
    obj = os.path.join(top, "free.o")
    saved = lambda: [x for s in ("iptables-nft-save", "ip6tables-nft-save") for x in run(s)[1].splitlines() if x[:1] != "#"]
    for family, words in WORDS.items():
        for line, _ in FREED:
            subprocess.run([family + "tables-nft", *say_in(words, line).split()], check=True)
    before = saved()
    ok("compile targets that want their table's name", compiler, "--live", "--partial", "always", "-o", obj)
    ok("load them under another name", ctl, "load", obj, "--name", "f", "--replace-tables")
    for family, words in WORDS.items():
        text = ""
        for table in ("filter", "nat", "raw"):
            text += run("nft", "-s", "list", "table", family, "nft2bpf-f." + table)[1]
        missing = [say_in(words, x) for _, x in FREED if say_in(words, x) not in text]
        say(not missing, "%s: in nf_tables' own words" % family, "\n".join(missing) + text)
    ok("list has them as they were", ctl, "list", "f", has='tcp dport 23 counter packets 0 bytes 0 xt target "REJECT"')
    ok("replace", ctl, "replace", obj, "--name", "f")
    ok("unload", ctl, "unload", "f")
    say(saved() == before, "the tables are as before", "\n".join(saved()))
    run("nft", "flush ruleset")
    say(clean(), "nothing is left of them", run("nft", "list", "ruleset"))


def replace_iptables(top, compiler, ctl, run, ok, clean):
    """load --replace-tables of tables that hold extensions of iptables."""
    obj = os.path.join(top, "xa.o")
    saved = lambda: [x for x in run("iptables-nft-save", "-c")[1].splitlines() if x[:1] != "#"]
    subprocess.run(["sh", "-c", XT_ASIDE], check=True)
    ok("compile the tables of iptables-nft", compiler, "--live", "--partial", "always", "-o", obj)
    before, listed = saved(), run("nft", "list", "ruleset")[1]
    ok("load --replace-tables with extensions of iptables", ctl, "load", obj, "--name", "xa", "--replace-tables")
    ok("its table sleeps", "nft", "list", "table", "ip", "filter", has="flags dormant")
    ok("the object's has what nftables keeps", "nft", "--debug=netlink", "list", "table", "ip", "nft2bpf-xa.filter", has="target name LOG")
    ok("list has the original's name and counters", ctl, "list", "xa", has="counter packets 5 bytes 300 accept")
    ok("replace keeps it asleep", ctl, "replace", obj, "--name", "xa")
    ok("as before", "nft", "list", "table", "ip", "filter", has="flags dormant")
    ok("unload wakes it", ctl, "unload", "xa")
    say(saved() == before and run("nft", "list", "ruleset")[1] == listed, "as it was", "\n".join(saved()))
    subprocess.run(["iptables-nft", "-t", "nat", "-A", "PREROUTING", "-j", "NETMAP", "--to", "10.0.0.0/8"], check=True)
    ok("compile a target that wants the table's name and cannot be said otherwise", compiler, "--live", "--partial", "always", "-o", obj)
    before = saved()
    ok("which --replace-tables refuses", ctl, "load", obj, "--name", "xa", "--replace-tables", fails=True, has="target NETMAP")
    say(saved() == before, "and changes nothing", "\n".join(saved()))
    run("nft", "flush ruleset")
    say(clean(), "nothing is left of them", run("nft", "list", "ruleset"))


def replace_tables(top, compiler, ctl, run, ok, clean):
    """load --replace-tables: the tables that the object was compiled from sleep meanwhile."""
    src, live = os.path.join(top, "mine.nft"), os.path.join(top, "live.o")
    with open(src, "w") as f:
        f.write(RULES + 'table ip u {\n\tcomment "kept"\n\tchain c {\n\t}\n}\ntable ip v {\n\tflags dormant;\n}\n')

    def dormant():
        return [" ".join(x.split()[1:3]) for x in run("nft", "list", "ruleset")[1].split("table ") if "flags dormant" in x
                for x in ["table " + x]]

    ok("tables of the user's", "nft", "-f", src)
    before = run("nft", "list", "ruleset")[1]
    ok("compile them", compiler, "--partial", "always", "--live", "-o", live)
    ok("in the way without --replace-tables", ctl, "load", live, "--name", "r", fails=True, has="nft refuses")
    say(run("nft", "list", "ruleset")[1] == before, "which changes nothing", run("nft", "list", "ruleset")[1])
    ok("load --replace-tables", ctl, "load", live, "--name", "r", "--replace-tables")
    say(sorted(dormant()) == ["inet t", "ip u", "ip v"], "they sleep, and are there to see", run("nft", "list", "ruleset")[1])
    ok("the fallback goes by another name", "nft", "list", "table", "inet", "nft2bpf-r.t", has="reject")
    ok("list says the original names", ctl, "list", "r", has="table inet t {")
    ok("and what was counted", ctl, "list", "r", has="packets 7 bytes 700")
    ok("status tells who sleeps", ctl, "status", "r", has="table inet t of nftables sleeps")
    ok("set add beside them", ctl, "set", "r", "t", "blocked", "add", "192.0.2.1")
    ok("reaches the fallback's set", "nft", "list", "set", "inet", "nft2bpf-r.t", "blocked", has="192.0.2.1")
    say("192.0.2.1" not in run("nft", "list", "set", "inet", "t", "blocked")[1], "and no sleeping one")
    ok("replace keeps them asleep", ctl, "replace", live, "--name", "r")
    say(sorted(dormant()) == ["inet t", "ip u", "ip v"], "all of them", run("nft", "list", "ruleset")[1])
    ok("unload", ctl, "unload", "r")
    say(run("nft", "list", "ruleset")[1] == before, "wakes them as they were", run("nft", "list", "ruleset")[1])
    ok("load --replace-tables from a file", compiler, "--partial", "always", src, "-o", live)
    ok("again", ctl, "load", live, "--name", "r", "--replace-tables")
    run("nft", "delete table ip u")
    ok("unload where one is gone", ctl, "unload", "r")
    say(not [x for x in dormant() if x != "ip v"] and "table ip u" not in run("nft", "list", "ruleset")[1], "makes none")
    run("nft", "flush ruleset")
    say(clean(), "and leaves nothing", run("nft", "list", "ruleset"))


def main():
    if os.geteuid():
        return own.cannot("root")
    compiler, ctl = map(os.path.abspath, sys.argv[1:3])
    own.mounts()
    own.network()
    top = tempfile.mkdtemp(prefix="ctl.")
    objs = []
    for name in "one", "two":
        d = os.path.join(top, name)
        os.mkdir(d)
        with open(os.path.join(d, "fw.nft"), "w") as f:
            f.write(RULES)
        subprocess.run([compiler, "--partial", "always", "fw.nft"], cwd=d, check=True)
        objs.append(os.path.join(d, "fw.o"))

    def run(*args):
        r = subprocess.run(args, capture_output=True, text=True)
        return r.returncode, r.stdout, r.stderr

    def ok(what, *args, has=None, fails=False):
        rc, out, err = run(*args)
        say((rc != 0) == fails and (has is None or has in out + err), what, "exit %d\n%s%s" % (rc, out, err))

    def clean():
        return not run("nft", "list", "ruleset")[1] and not any(f for _, _, f in os.walk("/sys/fs/bpf/nft2bpf"))

    def iptables():
        """Rules that nft has no words for."""
        subprocess.run(["sh", "-c", XT, top, compiler], check=True)
        obj = os.path.join(top, "x.o")
        ok("nft refuses the fallback file", "nft", "-c", "-f", os.path.join(top, "x.fallback.nft"), fails=True)
        ok("load with extensions of iptables", ctl, "load", obj)
        rc, out, err = run(ctl, "list")
        say(rc == 0 and 'xt match "multiport"' in out and "packets 5 bytes 300" in out and "packets 3 bytes 90" in out,
            "list with extensions of iptables", out + err)
        ok("the rest is in nftables", "nft", "--debug=netlink", "list", "ruleset", has="target name LOG")
        ok("replace with extensions of iptables", ctl, "replace", obj)
        ok("counters go on", ctl, "list", has="packets 5 bytes 300")
        ok("unload with extensions of iptables", ctl, "unload")
        say(clean(), "nothing is left of iptables", run("nft", "list", "ruleset"))

    say(open(objs[0], "rb").read() == open(objs[1], "rb").read(), "the same bytes from two folders")
    ok("bpftool loads the object", "bpftool", "prog", "loadall", objs[0], "/sys/fs/bpf/plain")
    ok("load", ctl, "load", objs[0])
    ok("load again is refused", ctl, "load", objs[0], fails=True, has="loaded already")
    ok("the same tables under another name are refused", ctl, "load", objs[0], "--name", "b", fails=True, has="nft refuses")
    ok("a bad name is refused", ctl, "load", objs[0], "--name", "a/b", fails=True)
    ok("status", ctl, "status", "fw", has="rules:")
    rc, out, err = run(ctl, "status", "--json")
    say(rc == 0 and all(p["attached"] for p in json.loads(out)[0]["programs"]), "status --json", out + err)
    ok("an initial counter", ctl, "list", has="packets 7 bytes 700")
    ok("set add", ctl, "set", "fw", "t", "blocked", "add", "192.0.2.1", "192.0.2.8-192.0.2.11")
    ok("set list", ctl, "set", "fw", "inet/t", "blocked", "list", has="192.0.2.8")
    ok("family and table as one word", ctl, "set", "fw", "inet t", "blocked", "list", has="192.0.2.8")
    ok("nft has it too", "nft", "list", "set", "inet", "t", "blocked", has="192.0.2.1")
    ok("set delete", ctl, "set", "fw", "inet", "t", "blocked", "delete", "192.0.2.1")
    ok("set delete of nothing", ctl, "set", "fw", "t", "blocked", "delete", "192.0.2.1", fails=True, has="no such element")
    ok("a timeout", ctl, "set", "fw", "t", "slow", "add", "192.0.2.5 timeout 1h")
    ok("its expiry", ctl, "list", "fw", has="192.0.2.5 timeout")
    ok("a verdict", ctl, "set", "fw", "t", "ports", "add", "82 : drop")
    ok("set flush", ctl, "set", "fw", "t", "blocked", "flush")
    ok("replace carries counters", ctl, "replace", objs[1], "--name", "fw")
    ok("the counter goes on", ctl, "list", has="packets 7 bytes 700")
    rc, out, err = run(ctl, "list")
    path = os.path.join(top, "list.nft")
    with open(path, "w") as f:
        f.write(out)
    ok("unload", ctl, "unload")
    say(clean(), "nothing is left", run("nft", "list", "ruleset"))
    ok("nft reads the list back", "nft", "-c", "-f", path)
    ok("unload again is refused", ctl, "unload", "fw", fails=True)
    replace_tables(top, compiler, ctl, run, ok, clean)
    asleep = os.path.join(top, "asleep.nft")
    with open(asleep, "w") as f:
        f.write("table ip a {\n\tflags dormant\n\tchain c {\n\t\ttype nat hook prerouting priority 0;\n\t}\n}\n")
    subprocess.run([compiler, asleep], check=True)
    ok("a table that sleeps", ctl, "load", asleep[:-3] + "o")
    ok("replace it", ctl, "replace", asleep[:-3] + "o")
    ok("it sleeps still", "nft", "list", "table", "ip", "a", has="flags dormant")
    ok("unload it", ctl, "unload")
    fused = os.path.join(top, "fused.nft")
    with open(fused, "w") as f:
        f.write("table ip a {\n%s}\n" % "".join("\tchain %s {\n\t\ttype filter hook input priority 0;\n\t\tcounter\n\t}\n" % c for c in "xyz"))
    subprocess.run([compiler, fused], check=True)
    ok("three chains of one priority", ctl, "load", fused[:-3] + "o")
    ok("are one program", ctl, "status", has="chain ip a z, then ip a y, ip a x")
    ok("a chain made later", "nft", "table ip later { chain c { type filter hook input priority 0; }; }")
    ok("is in nobody's way", ctl, "replace", fused[:-3] + "o")
    ok("unload them", ctl, "unload")
    run("nft", "delete table ip later")
    run("nft", "add table inet t")
    ok("a table of the user's is not touched", ctl, "load", objs[0], fails=True, has="nft refuses")
    run("nft", "delete table inet t")
    say(clean(), "a refused load leaves nothing", run("nft", "list", "ruleset"))
    broken = os.path.join(top, "broken.o")
    data = open(objs[0], "rb").read()
    with open(broken, "wb") as f:  # a fallback that nft refuses
        at = data.index(b'"fallback":')
        f.write(data[:at] + data[at:].replace(b"port-unreachable", b"port-unreachabla"))
    rc, out, err = run(ctl, "load", broken)
    say(rc == 1 and clean(), "a refused fallback takes everything back", out + err)
    if shutil.which("iptables-nft"):
        iptables()
        free_targets(top, compiler, ctl, run, ok, clean)
        replace_iptables(top, compiler, ctl, run, ok, clean)
    else:
        say(os.environ.get("CI") != "true", "iptables-nft is there")
    shutil.rmtree(top)
    return own.end()


sys.exit(main())
