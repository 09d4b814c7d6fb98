#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random rules of any shape, printed and read again: what is printed must do the same to the same packets.

usage: random_text.py [--seed N] [--seconds N] [--packets N] [--nft] NFT2BPF SPLITTOOL

--nft: it is read again by nft ($NFT), into a network namespace, and from the kernel: what old versions make of the fallback. Needs root.
Operators and values stand together here that nobody would write: what nft2bpf refuses is left out, as rules are for which nft has no words.
Ends with a sum; status 1 if anything differs.
"""
import argparse
import os
import random
import subprocess
import sys
import tempfile
import time

import lang

MORE = [('meta priority', lang.B32), ('ct expiration', lang.B32), ('meta hour', lang.B32), ('meta day', lang.Num(3, [0, 1, 5])), ('ct bytes', lang.B32),
        ('ct direction', lang.Words('original', 'reply')), ('ct original ip saddr', lang.A4), ('ct reply ip6 daddr', lang.A6), ('ct reply proto-dst', lang.PORT),
        ('jhash ip saddr . tcp dport mod 8 seed 0x1', lang.Num(3)), ('numgen inc mod 4', lang.Num(2)), ('rt classid', lang.B32), ('meta protocol', lang.Words('ip', 'ip6')),
        ('ct status', lang.Words('assured', 'snat', 'confirmed')), ('ct state', lang.Words('new', 'established', 'related')), ('ct zone', lang.B16),
        ('@th,16,16', lang.B16), ('@nh,3,12', lang.Num(12)), ('@nh,96,32', lang.B32), ('@th,4,4', lang.Num(4)), ('@nh,8,8', lang.B8),
        ('tcp option maxseg size', lang.Num(16, [536, 1460])), ('tcp option timestamp tsval', lang.B32), ('frag frag-off', lang.Num(13, [0, 1])), ('frag id', lang.B32)]
LOADS = lang.IP + lang.IP6 + sum(lang.L4.values(), []) + lang.META + lang.IN + lang.ETHER + lang.CT + lang.CT4 + lang.CT6 + MORE
MASKS = ['1', '3', '0xf', '0xf0', '0xff', '0xff00', '0x3fc', '0xffff', '0xffff00', '10.0.0.0', '255.0.255.0', 'ffff::', 'ffff:ffff::1']
KEYS = {'t': 'ip ttl', 'p': 'tcp dport', 'm': 'meta mark'}


class Gen:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def load(self):
        return self.r.choice(LOADS)

    def near(self, ty):
        """A value that packets may have, or any number at all."""
        r = self.r
        if r.random() < 0.75:
            span = ty.span(r) if ty.order and r.random() < 0.3 else None
            return span or ty.one(r)
        return r.choice(['0', '1', '2', '7', '0x10', '5-9', '0x1234', '64', '255', '1000-2000'])

    def mask(self):
        return self.r.choice(MASKS)

    def value(self, depth=0):
        """An expression, and the type of what was loaded."""
        r = self.r
        x, ty = self.load()
        for _ in range(r.choice([0, 1, 1, 2, 2, 3])):
            how = r.randrange(6)
            if how < 3:
                x = '%s %s %s' % (x, r.choice('&&&|^'), self.mask())
            elif how < 5:
                x = '(%s) %s %d' % (x, r.choice(['>>', '<<']), r.choice([1, 2, 3, 4, 8, 12, 16, 24]))
            elif depth < 1:
                x = '(%s) %s (%s)' % (x, r.choice('&|^'), self.value(depth + 1)[0])
            if r.random() < 0.3 and '(' not in x[:1]:
                x = '(%s)' % x
        return x, ty

    def elems(self, ty):
        return '{ %s }' % ', '.join(sorted({self.near(ty) for _ in range(self.r.choice([1, 2, 2, 3]))}))

    def mapping(self, ty):
        return '{ %s }' % ', '.join('%s : %d' % (self.near(ty), k) for k in self.r.sample(range(1, 9), self.r.choice([1, 2])))

    def rule(self):
        r = self.r
        x, ty = self.value()
        how = r.randrange(13)
        if how < 4:
            return '%s %s %s' % (x, r.choice(['==', '!=', '', '<', '>', '<=', '>=']), self.near(ty))
        if how < 6:
            return '%s %s %s' % (x, r.choice(['', '!=']), self.elems(ty))
        if how == 6:
            y, ty2 = self.value()
            return '%s . %s { %s . %s, %s . %s }' % (x, y, self.near(ty), self.near(ty2), self.near(ty), self.near(ty2))
        if how == 7:
            return '%s vmap { %s : accept, %s : drop }' % (x, self.near(ty), self.near(ty))
        if how == 8:
            return '%s %s' % (r.choice(['meta mark set', 'ct mark set', 'meta priority set']), x)
        if how == 9:
            return 'meta mark set %s map %s' % (x, self.mapping(ty))
        if how == 10:
            y, ty2 = self.load()
            return '%s != %s %s != %s' % (x, ty.one(r), y, ty2.one(r))
        if how == 11:
            return '%s @%s' % (x, r.choice(list(KEYS)))
        y, ty2 = self.load()
        return '%s %s %s %s' % (x, self.near(ty), y, self.near(ty2))


def chains(rules):
    sets = ''.join('\tset %s { typeof %s; flags interval; elements = { 1-5, 22, 64 }; }\n' % k for k in KEYS.items())
    return sets + ''.join('\tchain c%d {\n\t\ttype filter hook %s priority %d; policy accept;\n\t\t%s counter\n\t}\n' % (i, hook, i, rule)
                          for i, (hook, rule) in enumerate(rules))


def write(path, fam, rules):
    with open(path, 'w') as f:
        f.write('table %s t {\n%s}\n' % (fam, chains(rules)))


def taken(nft2bpf, path, fam, rule):
    """Whether nft2bpf takes the rule; a message is an answer, a crash is none."""
    write(path, fam, [rule])
    p = subprocess.run([nft2bpf, path, '-o', path[:-4] + '.o'], capture_output=True, text=True, timeout=60)
    if p.returncode not in (0, 1):
        raise RuntimeError('status %d of: %s' % (p.returncode, rule[1]))
    return not p.returncode


def refused_by_nft(a, path, fam, rule):
    write(path, fam, [rule])
    p = subprocess.run([a.splittool, 'never', 'nft', '1', path], capture_output=True, text=True, timeout=60)
    return 'not taken by nft' in p.stdout


def same(a, path, rule=None):
    p = subprocess.run([a.splittool, 'never', 'nft' if a.nft else 'print', str(a.packets), path], capture_output=True, text=True, timeout=300)
    if p.returncode and rule:
        said = [x.strip() for x in p.stdout.splitlines() if ' counter' in x]
        print('%s: %s' % rule)
        print('\n'.join(['    printed: %s' % x for x in said[:1]] + ['    ' + x for x in p.stderr.splitlines() + [x for x in p.stdout.splitlines() if ': ' in x][:3]]))
    return not p.returncode


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--seed', type=int, default=int(time.time()) % 1000000 * 1000)
    ap.add_argument('--seconds', type=float, default=30)
    ap.add_argument('--packets', type=int, default=400)
    ap.add_argument('--nft', action='store_true')
    ap.add_argument('nft2bpf')
    ap.add_argument('splittool')
    a = ap.parse_args()
    print('seed %d' % a.seed)
    end = time.time() + a.seconds
    n = rules = tried = bad = 0
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'rules.nft')
        while time.time() < end:
            g = Gen(a.seed + n)
            n += 1
            fam = g.r.choice(['inet', 'inet', 'ip', 'ip6'])
            some = [(g.r.choice(['input', 'prerouting', 'output', 'forward', 'postrouting']), g.rule()) for _ in range(60)]
            good = [x for x in some if taken(a.nft2bpf, path, fam, x)]
            if a.nft:
                good = [x for x in good if not refused_by_nft(a, path, fam, x)]
            tried += len(some)
            rules += len(good)
            write(path, fam, good)
            if not same(a, path):
                print('seed %d, family %s:' % (a.seed + n - 1, fam))
                alone = len([x for x in good if not write(path, fam, [x]) and not same(a, path, x)])
                # an nft that refuses one rule as it was written says nothing of the others
                bad += alone if a.nft else max(alone, 1)
    print('%d rules of %d taken, in %d rulesets: %d rules differ' % (rules, tried, n, bad))
    return 1 if bad or not rules else 0


if __name__ == '__main__':
    sys.exit(main())
