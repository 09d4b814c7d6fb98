#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random rulesets over the whole language (lang.py), with a fresh seed that is printed, for so many seconds.

usage: random_lang.py [--seed N] [--seconds N] [--packets N] vm DIFFTOOL
       random_lang.py [--seed N] [--seconds N] [--packets N] kernel KDIFF NFT2BPF NFT2BPFCTL OBSERVER
       random_lang.py print SEED

vm: what the interpreter of nft's expressions says, the IR as built and optimised, and the instructions, are compared.
kernel: nf_tables and the loaded object are; what the nft of this machine or the kernel does not take is left out of the rulesets.
Ends with the sum of packets; status 1 if anything differs, 77 if the kernel part may not run here.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lang  # noqa: E402

OPTIONS = ['-O2 --partial always', '-O0 --partial always', '-O2', '-O2 --partial always --static']


def write(d, seed):
    path = '%s/lang%d.nft' % (d, seed)
    with open(path, 'w') as f:
        f.write(lang.ruleset(seed))
    return path


def vm(a, d, deadline):
    packets = instructions = n = bad = 0
    while time.time() < deadline:
        path = write(d, a.seed + n)
        level = ['-O2', '-O2', '-O1', '-O0'][n % 4]
        small = (['-s'] if n % 5 == 0 else []) + (['-w'] if n % 3 == 0 else [])
        p = subprocess.run([a.tools[0], level, '-v'] + small + [str(a.packets), path], capture_output=True, text=True, timeout=120)
        n += 1
        for x in re.findall(r'^(\d+) runs,', p.stdout, re.M):
            packets += int(x)
        for x in re.findall(r'^(\d+) runs of instructions', p.stdout, re.M):
            instructions += int(x)
        if p.returncode:
            bad += 1
            print('seed %d %s: status %d' % (a.seed + n - 1, ' '.join([level] + small), p.returncode))
            print('\n'.join((p.stdout + p.stderr).splitlines()[:12]))
        os.unlink(path)
    print('%d rulesets, %d packets, %d of them through the instructions: %d rulesets differ' % (n, packets, instructions, bad))
    return bad


def taken(text):
    p = subprocess.run([os.environ.get('NFT', 'nft'), '-c', '-f', '-'], input=text, capture_output=True, text=True)
    return p.returncode == 0


def probe(rule, fam):
    return taken('table %s t { chain forward { type filter hook forward priority 0; %s; }; }' % (fam, rule))


def merges():
    """Whether nft makes one comparison of `tcp sport != 1 tcp dport != 2`, which is another."""
    rule = 'table inet t { chain c { tcp sport != 1 tcp dport != 2; }; }'
    p = subprocess.run([os.environ.get('NFT', 'nft'), '-c', '--debug=netlink', '-f', '-'], input=rule, capture_output=True, text=True)
    return p.stdout.count('neq') == 1


def keep_taken():
    """Leaves in lang's tables what nft and the kernel take."""
    left_out = []
    lang.MERGES = merges()
    # the kernel's own packets, answers to what is sent, get random numbers here
    lang.IP[:] = [x for x in lang.IP if x[0] not in ('ip id', 'ip checksum')]

    def keep(rules, fam='inet'):
        good = [x for x in rules if probe(x, fam)]
        left_out.extend(x for x in rules if x not in good)
        rules[:] = good

    def keep_fields(fields):
        good = [x for x in fields if all(probe('%s { %s }' % (x[0], v), 'inet') for v in samples(x[1]))]
        left_out.extend(x[0] for x in fields if x not in good)
        fields[:] = good

    for rules in [lang.PLAIN, lang.PLAIN4, lang.PLAIN6] + list(lang.PLAIN_L4.values()):
        keep(rules)
    for fields in [lang.IP, lang.IP6, lang.META, lang.IN, lang.OUT, lang.ETHER, lang.CT, lang.CT4, lang.CT6] + list(lang.L4.values()):
        keep_fields(fields)
    if left_out:
        print('left out, as nft or the kernel does not take it here: ' + ', '.join(left_out))


def samples(ty):
    if isinstance(ty, lang.Words):
        return ty.words
    if isinstance(ty, lang.Addr):
        return ty.pool[:1]
    return [str(ty.pool[0]), '1-2'] + ty.names if ty.bits > 2 else ['1']


def kernel(a, d, deadline):
    if os.geteuid() or subprocess.run(['unshare', '-n', 'true'], capture_output=True).returncode:
        print('needs root and network namespaces')
        return None
    kdiff, nft2bpf, ctl, observer = a.tools
    packets = n = bad = refused = 0
    keep_taken()
    while time.time() < deadline:
        paths = []
        while len(paths) < 4:
            path = write(d, a.seed + n)
            n += 1
            with open(path) as f:
                if taken(f.read()):
                    paths.append(path)
                else:
                    refused += 1
        if refused > n // 3 + 2:
            print('nft takes only %d of %d rulesets' % (n - refused, n))
            return 1
        how = OPTIONS[n // 4 % len(OPTIONS)]
        p = subprocess.run([kdiff, '-b', nft2bpf, '-c', ctl, '-o', observer, '-n', str(a.packets), '-s', str(a.seed + n), '-a', how] + paths,
                           capture_output=True, text=True, timeout=600)
        if p.returncode == 77:
            print(p.stdout)
            return None
        packets += sum(int(x) for x in re.findall(r'^# (\d+) packets', p.stdout, re.M))
        failed = re.findall(r'^not ok .*$', p.stdout, re.M)
        bad += len(failed)
        if p.returncode or failed:
            bad += not failed
            print('seed %d, %s: status %d, of:' % (a.seed + n, how, p.returncode))
            print(p.stdout + p.stderr)
    print('%d rulesets, %d not taken by nft, %d packets: %d rulesets differ' % (n, refused, packets, bad))
    return bad


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--seed', type=int, default=int(time.time()) % 1000000 * 1000)
    ap.add_argument('--seconds', type=float, default=60)
    ap.add_argument('--packets', type=int, default=1000)
    ap.add_argument('mode', choices=['vm', 'kernel', 'print'])
    ap.add_argument('tools', nargs='+')
    a = ap.parse_args()
    if a.mode == 'print':
        print(lang.ruleset(int(a.tools[0])), end='')
        return 0
    print('seed %d' % a.seed, flush=True)
    with tempfile.TemporaryDirectory() as d:
        bad = (vm if a.mode == 'vm' else kernel)(a, d, time.time() + a.seconds)
    if bad is None:
        return 1 if os.environ.get('CI') == 'true' else 77
    return bad != 0


sys.exit(main())
