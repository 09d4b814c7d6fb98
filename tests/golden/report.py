#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks the form of --report (JSON), --explain (a table with aligned columns) and --strict, on every ruleset of fallback/.
#     report.py COMPILER
import json
import os
import re
import subprocess
import sys
import tempfile

compiler = os.path.abspath(sys.argv[1])
here = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fallback')
WHERE = ('bpf', 'nftables', 'both')
failed = 0


def check(ok, *what):
    global failed
    if not ok:
        failed += 1
        print(*what)


def run(*args):
    return subprocess.run([compiler, '--color=never', *args], capture_output=True, text=True, cwd=here)


def check_report(name, d):
    rules, lines = d['rules'], open(os.path.join(here, name)).read().split('\n')
    count = dict.fromkeys(WHERE, 0)
    at = {}
    for r in rules:
        check(r['where'] in WHERE, name, 'where', r)
        count[r['where']] += 1
        chain = (r['family'], r['table'], r['chain'])
        check(r['index'] == at.get(chain, 0), name, 'index', r)
        at[chain] = r['index'] + 1
        check((r['reason'] is None) == (r['kind'] is None), name, 'a reason has a kind', r)
        check(r['kind'] == 'unreached' or (r['reason'] is None) == (r['where'] == 'bpf'), name,
              'all but bpf has a reason', r)
        check(r['file'] == name and isinstance(r['line'], int), name, 'place', r)
        check(lines[r['line'] - 1].strip() != '', name, 'line', r)
        check(isinstance(r['insns'], int), name, 'insns', r)
    t = d['totals']
    check(t['rules'] == len(rules), name, 'total of rules', t)
    for w in WHERE:
        check(t[w] == count[w], name, 'total', w, t)
    check(t['unreached'] == sum(r['kind'] == 'unreached' for r in rules), name, 'unreached', t)
    for c in d['chains']:
        check(c['where'] in WHERE, name, 'chain', c)
        check((c['reason'] is None) == (c['where'] != 'nftables'), name, 'reason of a chain', c)
        if c['where'] != 'both':
            mine = [r for r in rules if (r['table'], r['chain']) == (c['table'], c['chain'])]
            check(all(r['where'] == c['where'] for r in mine), name, 'rules of a whole chain', c)


def check_explain(name, text, d):
    head = None
    seen = 0
    for line in text.split('\n'):
        m = re.match(r' +(?:line|rule)  where +insns  rule +why$', line)
        if m:
            check(head in (None, line), name, 'columns move:', line)
            head = line
        elif line.startswith('  '):
            check(head, name, 'row before its header:', line)
            r = d['rules'][seen]
            seen += 1
            w, n, t = (head.index(k) for k in ('where', 'insns', '  rule'))
            check(line[w - 2:w] == '  ' and line[w:n].strip() in WHERE + ('-',), name, 'where:', line)
            check(line[t:t + 2] == '  ' and line[t + 2] != ' ', name, 'rule:', line)
            check(re.fullmatch(r' *(\d+|-)', line[n - 1:t]), name, 'insns:', line)
            check(line[:w].strip() == str(r['line']), name, 'place:', line)
    t = d['totals']
    check(seen == t['rules'], name, 'rows', seen, 'of', t['rules'])
    check(re.search(r'^%d rules?: \d+ bpf, \d+ both, \d+ nftables' % t['rules'], text, re.M), name, 'totals')


# rule, index of the rule that shadows it
SHADOWS = [('tcp dport 80 accept', None), ('tcp dport 80 counter drop', 0), ('tcp dport 81 counter', None),
           ('tcp dport 81 drop', None), ('ip saddr 10.0.0.0/8 drop', None), ('ip saddr 10.1.0.0/16 counter accept', 4),
           ('ip saddr 10.2.3.4 tcp dport 22 accept', 4), ('ip saddr 11.0.0.0/8 accept', None),
           ('ip6 saddr fd00::1 udp dport 53 accept', None), ('ip6 saddr fd00::1 udp dport 53 drop', 8),
           ('ip6 saddr fd00::1 udp dport { 53, 54 } drop', None), ('udp dport 1000-2000 drop', None),
           ('udp dport { 1000, 1500 } ip ttl 3 accept', 11), ('udp dport 2001 accept', None),
           ('udp dport != 7 return', None), ('udp dport 8 meta mark 3 accept', 14), ('udp dport 7 accept', None),
           ('ct state new tcp dport 25 limit rate 1/second accept', None), ('ct state new tcp dport 25 drop', None),
           ('udp sport 7 limit rate 1/day accept', None)]


def check_shadows(tmp):
    path, rep = os.path.join(tmp, 's.nft'), os.path.join(tmp, 's.json')
    with open(path, 'w') as f:
        f.write('table inet t {\n\tchain c {\n\t\ttype filter hook input priority 0; policy accept;\n')
        f.writelines('\t\t%s\n' % r for r, _ in SHADOWS)
        f.writelines('\t\tip daddr 192.0.2.%d drop\n' % i for i in range(1, 41))
        f.write('\t}\n}\n')
    p = run('--explain', '--report', rep, '-o', os.path.join(tmp, 'o'), path)
    check(p.returncode == 0, 'shadows', p.stderr)
    rules = json.load(open(rep))['rules']
    for r, (text, by) in zip(rules, SHADOWS):
        check(r['shadowed_by'] == by, 'shadows', text, r['shadowed_by'], by)
        if by is not None:
            check('%s  shadowed by line %d' % (text, rules[by]['line']) in re.sub('  +', '  ', p.stdout), 'shadows', text)
            check(r['insns'] == 0, 'shadows', text, r['insns'])
    run_of = rules[len(SHADOWS):]
    check(all(r['lookup'] == len(SHADOWS) for r in run_of), 'look-up', run_of[:2])
    check(len({r['insns'] for r in run_of}) == 1 and run_of[0]['insns'] > 0, 'look-up', run_of[:2])


def check_first_packet(tmp):
    """A new connection's first packet has the SYN flag, so it pays for both halves of a chain that clamps its segment size."""
    path = os.path.join(tmp, 'clamp.nft')
    for rules, split in (('ct state established accept\n tcp flags syn tcp option maxseg size set rt mtu\n tcp dport 22 accept', False),
                         ('ct state established accept\n tcp flags fin log\n tcp dport 22 accept', True)):
        with open(path, 'w') as f:
            f.write('table inet t {\n chain c {\n type filter hook forward priority 0; policy drop;\n ip saddr { 192.0.2.1, 192.0.2.9 } drop\n'
                    ' %s\n }\n}\n' % rules)
        p = run('--report', '-', '-o', os.path.join(tmp, 'o'), path)
        check(p.returncode == 0, path, p.stderr)
        where = {r['where'] for r in json.loads(p.stdout)['rules']}
        check((where != {'nftables'}) == split, 'split or not:', rules, where)


def main():
    with tempfile.TemporaryDirectory() as tmp:
        check_shadows(tmp)
        check_first_packet(tmp)
        for name in sorted(os.listdir(here)):
            if not name.endswith('.nft'):
                continue
            for partial in 'auto', 'always', 'never':
                out, rep = os.path.join(tmp, 'o'), os.path.join(tmp, 'r.json')
                args = ['-o', out, '--partial', partial, name]
                p = run('--explain', '--report', rep, *args)
                check(p.returncode == 0, name, partial, p.stderr)
                if p.returncode:
                    continue
                d = json.load(open(rep))
                check_report(name, d)
                check_explain(name, p.stdout, d)
                q = run('--report', '-', *args)
                check(json.loads(q.stdout) == d, name, 'on standard output')
                left = any(r['where'] != 'bpf' and r['kind'] != 'unreached' for r in d['rules'])
                check(run('--strict', *args).returncode == (2 if left else 0), name, partial, '--strict')
    return failed != 0


sys.exit(main())
