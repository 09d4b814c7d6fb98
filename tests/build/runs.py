#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Rulesets made to be merged: runs of rules of one shape, with overlaps, duplicates, counters, jumps and odd rules between.

usage: runs.py DIFFTOOL FIRST COUNT PACKETS    compare, with the seeds FIRST to FIRST + COUNT - 1
       runs.py -p SEED                         print one
"""
import random
import subprocess
import sys
import tempfile


def addr(r):
    return '10.%d.%d.%d' % (r.randrange(2), r.randrange(3), r.randrange(1, 6))


def prefix(r):
    n = r.choice([8, 12, 15, 16, 20, 24, 27, 31, 32])
    v = int.from_bytes(bytes(map(int, addr(r).split('.'))), 'big') >> (32 - n) << (32 - n)
    return '.'.join(map(str, v.to_bytes(4, 'big'))) + ('/%d' % n if n < 32 else '')


def addr6(r):
    return 'fd00:0:0:%d::%d' % (r.randrange(3), r.randrange(1, 6))


def value(r, one, style):
    if style == 'set':
        return '{ ' + ', '.join(sorted({one(r) for _ in range(r.randrange(1, 5))})) + ' }'
    if style == 'not':
        return '!= ' + (value(r, one, 'set') if r.random() < 0.5 else one(r))
    return one(r)


def port(r):
    return str(r.choice([22, 53, 80, 443, r.randrange(1, 40), 1024 + r.randrange(64)]))


def port_range(r):
    a = r.randrange(1, 1100)
    return '%d-%d' % (a, a + r.randrange(0, 200))


def addr_range(r):
    a, b = sorted(tuple(map(int, addr(r).split('.'))) for _ in range(2))
    if a == b:
        return '.'.join(map(str, a))
    return '.'.join(map(str, a)) + '-' + '.'.join(map(str, b))


def port_order(r):
    return r.choice(['< ', '> ', '<= ', '>= ', '!= ']) + str(r.randrange(20, 1070))


FIELDS = {
    'ip saddr': [addr, addr, prefix, addr_range],
    'ip daddr': [addr, prefix],
    'ip6 saddr': [addr6, lambda r: 'fd00:0:0:%d::/%d' % (r.randrange(3), r.choice([62, 63, 64]))],
    'tcp dport': [port, port, port_range, port_order],
    'udp dport': [port, port_range],
    'tcp sport': [port, port_range],
    'th dport': [port],
    'meta mark': [lambda r: str(r.randrange(4)), lambda r: '1-2'],
    'iifname': [lambda r: r.choice(['"lan0"', '"wan0"', '"eth0"', '"lo"', '"wan*"', '"x%d"' % r.randrange(9)])],
    'ip ttl': [lambda r: str(r.choice([1, 63, 64, 128])), lambda r: '< 64'],
    'ip protocol': [lambda r: r.choice(['tcp', 'udp', 'icmp', '47'])],
    'meta l4proto': [lambda r: r.choice(['tcp', 'udp', 'icmp'])],
    'ct state': [lambda r: r.choice(['new', 'established', 'invalid', 'new,established'])],
    'ct mark': [lambda r: str(r.randrange(3))],
    'tcp flags': [lambda r: r.choice(['syn', 'ack', '& (syn | ack) == syn'])],
    'icmp type': [lambda r: r.choice(['echo-request', 'echo-reply'])],
    'ip saddr & 0.0.0.255': [lambda r: '== 0.0.0.%d' % r.randrange(1, 6), lambda r: '!= 0.0.0.%d' % r.randrange(1, 6)],
    'ip daddr & 0.1.0.3': [lambda r: '== 0.%d.0.%d' % (r.randrange(2), r.randrange(4))],
    'oifname': [lambda r: r.choice(['"lan0"', '"wan*"', '"x1"'])],
    'ip6 daddr': [lambda r: '!= fd00:0:0:%d::/63' % (2 * r.randrange(2)), addr6],
    'meta length': [lambda r: '20-60', lambda r: r.choice(['> 60', '< 100'])],
}
V6 = {'ip6 saddr', 'ip6 daddr'}
V4 = {'ip saddr', 'ip daddr', 'ip saddr & 0.0.0.255', 'ip daddr & 0.1.0.3', 'ip ttl', 'ip protocol', 'icmp type'}
L4 = {'tcp dport': 't', 'tcp sport': 't', 'tcp flags': 't', 'udp dport': 'u', 'icmp type': 'i', 'th dport': 'h', 'ip protocol': 'p',
      'meta l4proto': 'm'}


def shape(r):
    while True:
        f = r.sample(sorted(FIELDS), r.choice([1, 1, 2, 2, 3]))
        l4 = {L4[x] for x in f if x in L4}
        if (set(f) & V4 and set(f) & V6) or len(l4) > 1 and not l4 <= {'t'}:
            continue
        if 'th dport' in f:
            f = ['meta l4proto'] + f
        return f


def block(r, verdicts):
    fields = shape(r)
    styles = {x: r.choice(FIELDS[x]) for x in fields}
    mixed = r.random() < 0.3
    counters = r.choice([0, 0, 1, 0.5])
    few = r.choice([verdicts[:1], verdicts, r.sample(verdicts, 2)])
    out = []
    for _ in range(r.choice([3, 7, 12, 25, 70])):
        rule = []
        for x in fields:
            one = r.choice(FIELDS[x]) if mixed else styles[x]
            plain = one is FIELDS[x][0] and '&' not in x
            how = r.random()
            if plain and how < 0.08 and x not in ('tcp flags', 'ct state', 'iifname', 'oifname', 'ip6 daddr'):
                rule.append(x + ' ' + value(r, one, 'set'))
            elif plain and how < 0.11 and x not in ('tcp flags', 'ip6 daddr'):
                rule.append(x + ' ' + value(r, one, 'not'))
            else:
                rule.append(x + ' ' + one(r))
        if r.random() < counters:
            rule.append(r.choice(['counter', 'counter', 'counter', 'counter name shared']))
        rule.append(r.choice(few))
        if not rule[-1] and len(rule) == len(fields) + 1:
            rule[-1] = 'counter'
        out.append(' '.join(rule))
        if r.random() < 0.03:
            out.append(r.choice(['counter', 'udp sport 7 limit rate 1/day burst 3 packets accept', 'meta mark 3 drop']))
    return out


def interleaved(r, verdicts):
    """The rules of a few blocks, shuffled."""
    out = [x for _ in range(r.randrange(2, 5)) for x in block(r, verdicts)]
    r.shuffle(out)
    return out


ODD = ['counter', 'counter name shared', 'udp sport 7 limit rate 1/day burst 3 packets accept', 'tcp dport vmap { 22 : accept, 53 : jump leaf }',
       'meta mark 3 drop', 'ip saddr 10.0.0.0/14 counter', 'ip daddr 10.1.0.2 quota 900 bytes drop']


def mixed(r, verdicts):
    """Rules of a shape of its own each, some of them such as cannot be merged."""
    out = []
    odd = r.choice([0, 0, 0.04, 0.15])
    counters = r.choice([0, 0.3, 1])
    for _ in range(r.choice([12, 30, 70, 150])):
        if r.random() < odd:
            out.append(r.choice(ODD))
        rule = []
        for x in shape(r):
            one = r.choice(FIELDS[x])
            # a list of tests on many values with two or more wide ranges is what makes rules overlap
            if one is FIELDS[x][0] and r.random() < 0.2 and '&' not in x and x not in ('tcp flags', 'ct state', 'iifname', 'oifname', 'ip6 daddr'):
                rule.append(x + ' ' + value(r, one, r.choice(['set', 'not'])))
            elif x == 'meta l4proto' and 'th dport' in rule:
                rule.append('meta l4proto { tcp, udp }')
            else:
                rule.append(x + ' ' + one(r))
        if r.random() < counters:
            rule.append('counter')
        verdict = r.choice(verdicts)
        if verdict or rule[-1] == 'counter':
            rule.append(verdict)
        else:
            rule.append('counter')
        out.append(' '.join(rule))
    return out


def crowded(r, verdicts):
    """Many rules of a few shapes with values that many of them have, so that no field leaves few."""
    ports = lambda: '%d-%d' % (lambda a, b: (a, a + b))(r.randrange(1, 400), r.randrange(0, 40))
    several = lambda: '{ 53, %d, %d }' % (r.randrange(60, 90), r.randrange(90, 400))
    shapes = [lambda: 'ip saddr %s udp dport %s' % (prefix(r), ports()), lambda: 'ip saddr %s udp dport %s' % (addr(r), several()),
              lambda: 'ip saddr %s udp dport %s' % (addr(r), port(r)), lambda: 'ip daddr %s tcp dport %s' % (addr_range(r), ports()),
              lambda: 'ip daddr & 0.1.0.3 == 0.%d.0.%d tcp sport %d' % (r.randrange(2), r.randrange(4), r.randrange(1, 400)),
              lambda: 'ct state %s ip daddr %s tcp dport %s' % (r.choice(['new', 'established', 'new,established']), addr(r), port(r))]
    shapes = r.sample(shapes, r.randrange(2, 7))
    verdicts = [v for v in verdicts if v] or ['drop']
    return ['%s %s%s' % (r.choice(shapes)(), r.choice(['', '', 'counter ']), r.choice(verdicts)) for _ in range(r.choice([700, 1500, 3000]))]


def many(seed):
    r = random.Random(seed)
    return '\n'.join(['table inet t {', '\tchain leaf {', '\t\tmeta mark 2 counter drop', '\t}', '\tchain forward {',
                      '\t\ttype filter hook forward priority 0; policy accept;'] +
                     ['\t\t' + x for x in crowded(r, ['accept', 'drop', 'return', 'goto leaf'])] + ['\t}', '}', ''])


def ruleset(seed):
    if seed % 12 == 5:
        return many(seed)
    r = random.Random(seed)
    final = ['accept', 'drop', 'return', 'goto leaf']
    every = ['drop', 'accept', '', 'return', 'jump leaf', 'goto leaf', 'jump tail', 'jump big']
    out = ['table inet t {', '\tcounter shared { }',
           '\tchain leaf {', '\t\tmeta mark 1 counter return', '\t\tmeta mark 2 counter drop', '\t}',
           '\tchain tail {', '\t\tcounter accept', '\t}',
           '\tchain big {'] + ['\t\t' + x for x in block(r, ['accept', 'drop', ''])] + ['\t}']
    for hook, policy in (('input', 'drop'), ('forward', 'accept')):
        out += ['\tchain %s {' % hook, '\t\ttype filter hook %s priority 0; policy %s;' % (hook, policy)]
        for _ in range(r.randrange(1, 5)):
            out += ['\t\t' + x for x in r.choice([block, block, interleaved, mixed, mixed])(
                r, r.choice([final, final, every, ['drop', 'accept'], ['', 'drop']]))]
        out += ['\t}']
    return '\n'.join(out + ['}', ''])


def main():
    if sys.argv[1] == '-p':
        print(ruleset(int(sys.argv[2])), end='')
        return 0
    tool, first, count, packets = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    bad = 0
    with tempfile.TemporaryDirectory() as d:
        for seed in range(first, first + count):
            path = '%s/runs%d.nft' % (d, seed)
            with open(path, 'w') as f:
                f.write(ruleset(seed))
            parts = (['-s'] if seed % 3 == 0 else []) + [[], ['-m'], ['-w']][seed % 5 % 3]
            p = subprocess.run([tool, '-O2', '-v'] + parts + [packets, path], capture_output=True, text=True, timeout=120)
            if p.returncode:
                bad += 1
                print('seed %d: status %d' % (seed, p.returncode))
                print('\n'.join((p.stdout + p.stderr).splitlines()[:12]))
    print('%d rulesets, %d different' % (count, bad))
    return bad != 0


sys.exit(main())
