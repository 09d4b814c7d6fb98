# SPDX-License-Identifier: GPL-2.0-or-later
"""Random rulesets over the whole language of matches: every field, key, operator, kind of set and statement with state.

ruleset(seed) gives the text of one; the same seed gives the same text. nft takes every one of them. Values are few and close
together, so that rules overlap and packets made from them hit. Limits refill so slowly that two runs decide alike.
"""
import random

PORTS = [22, 53, 80, 443, 1024, 65535]
ADDR4 = ['10.0.0.1', '10.0.0.2', '10.0.1.1', '10.1.0.7', '192.168.7.7', '8.8.8.8']
ADDR6 = ['fd00::1', 'fd00::2', 'fd00:1::1', 'fe80::5', '2001:db8::7']
MACS = ['02:00:00:00:00:01', '02:00:00:00:00:02', '00:11:22:33:44:55']
IFACES = ['"lo"', '"lan0"', '"wan0"', '"wan1"', '"tun-a"']


class Num:
    """A number of so many bits; names: symbols that stand for some."""

    def __init__(self, bits, pool=(), names=(), order=True):
        self.bits, self.names, self.order = bits, list(names), order
        self.pool = [v for v in (list(pool) or [0, 1, 2, 3, 7, 40, 64, 255, 1500]) if v < 1 << bits] or [0, 1]

    def one(self, r):
        if self.names and r.random() < 0.8:
            return r.choice(self.names)
        top = (1 << self.bits) - 1
        return str(min(top, r.choice(self.pool) + r.choice([0, 0, 0, 1])))

    def span(self, r):
        if not self.order or self.bits < 3:
            return None
        a = min(r.choice(self.pool), (1 << self.bits) - 2)
        return '%d-%d' % (a, min((1 << self.bits) - 1, a + r.choice([1, 2, 9, 200])))


class Addr:
    def __init__(self, pool, bits, order=True):
        self.pool, self.bits, self.order = pool, bits, order

    def one(self, r):
        return r.choice(self.pool)

    def span(self, r):
        a = r.choice(self.pool)
        if self.bits == 32:
            how = r.randrange(3)
            if how == 0:
                b = a.split('.')
                return '%s-%s.%s' % (a, '.'.join(b[:3]), min(255, int(b[3]) + r.choice([1, 5, 100])))
            return prefix4(a, r.choice([8, 15, 24, 25, 31]))
        return r.choice(['fd00::/16', 'fd00::/64', 'fe80::/10', 'fd00::1-fd00::9', '2001:db8::/31'])


class Words:
    """Symbols only, without an order."""
    order = False

    def __init__(self, *words):
        self.words = words

    def one(self, r):
        return r.choice(self.words)

    def span(self, r):
        return None


def prefix4(a, n):
    v = int.from_bytes(bytes(map(int, a.split('.'))), 'big') >> (32 - n) << (32 - n)
    return '%s/%d' % ('.'.join(map(str, v.to_bytes(4, 'big'))), n)


PORT = Num(16, PORTS, ['ssh', 'domain', 'http'])
A4, A6 = Addr(ADDR4, 32), Addr(ADDR6, 128)
MAC = Words(*MACS)
IFNAME = Words(*IFACES)
PROTO = Num(8, [1, 6, 17, 58, 132], ['tcp', 'udp', 'icmp', 'sctp', 'ipv6-icmp'])
DSCP = Num(6, [0, 8, 46], ['cs1', 'ef', 'af11'])
# Without ranges: nft 1.1 makes of a range in a set a shift in the wrong byte order, 1.0 does not.
DSCP6 = Num(6, [0, 8, 46], ['cs1', 'ef', 'af11'], order=False)
ECN = Words('not-ect', 'ect0', 'ect1', 'ce')
TCP_FLAG = Words('syn', 'ack', 'rst', 'fin', 'psh', 'urg')
B8, B16, B32 = Num(8), Num(16), Num(32)

# (expression, type): what packets of the layer have.
IP = [('ip saddr', A4), ('ip daddr', A4), ('ip protocol', PROTO), ('ip ttl', Num(8, [1, 63, 64, 128])), ('ip length', B16), ('ip id', B16),
      ('ip frag-off', Num(13, [0, 1, 0x1fff])), ('ip checksum', B16), ('ip hdrlength', Num(4, [5, 6])), ('ip dscp', DSCP), ('ip ecn', ECN), ('ip version', Num(4, [4]))]
IP6 = [('ip6 saddr', A6), ('ip6 daddr', A6), ('ip6 nexthdr', PROTO), ('ip6 hoplimit', Num(8, [1, 63, 64, 255])), ('ip6 length', B16),
       ('ip6 dscp', DSCP6), ('ip6 ecn', ECN), ('ip6 flowlabel', Num(20, [0, 1, 2, 3])), ('ip6 version', Num(4, [6]))]
L4 = {
    'tcp': [('tcp sport', PORT), ('tcp dport', PORT), ('tcp sequence', B32), ('tcp ackseq', B32), ('tcp doff', Num(4, [5, 6, 10])),
            ('tcp flags', TCP_FLAG), ('tcp window', B16), ('tcp checksum', B16), ('tcp urgptr', B16),
            ('tcp option maxseg size', Num(16, [536, 1460])), ('tcp option window count', Num(8, [0, 7])), ('tcp option timestamp tsval', B32)],
    'udp': [('udp sport', PORT), ('udp dport', PORT), ('udp length', B16), ('udp checksum', B16)],
    'udplite': [('udplite sport', PORT), ('udplite dport', PORT), ('udplite checksum', B16)],
    'sctp': [('sctp sport', PORT), ('sctp dport', PORT), ('sctp vtag', B32), ('sctp checksum', B32)],
    'dccp': [('dccp sport', PORT), ('dccp dport', PORT), ('dccp type', Words('request', 'response', 'data', 'ack', 'close'))],
    'icmp': [('icmp type', Words('echo-request', 'echo-reply', 'destination-unreachable', 'time-exceeded')), ('icmp code', Num(8, [0, 1, 3])),
             ('icmp checksum', B16)],
    'icmpv6': [('icmpv6 type', Words('echo-request', 'echo-reply', 'nd-neighbor-solicit', 'packet-too-big')), ('icmpv6 code', Num(8, [0, 1, 3])),
               ('icmpv6 checksum', B16)],
    'esp': [('esp spi', B32), ('esp sequence', B32)],
    'ah': [('ah nexthdr', PROTO), ('ah hdrlength', B8), ('ah spi', B32), ('ah sequence', B32)],
    'comp': [('comp nexthdr', PROTO), ('comp flags', B8), ('comp cpi', B16)],
    'th': [('th sport', PORT), ('th dport', PORT)],
}
META = [('meta length', Num(32, [20, 28, 40, 60, 1280])), ('meta mark', Num(32, [0, 1, 2, 3, 255])), ('meta l4proto', PROTO),
        ('meta priority', Words('none', '0:1', '1:2')), ('meta skuid', Num(32, [0, 33, 1000])), ('meta skgid', Num(32, [0, 33, 100])),
        ('meta pkttype', Words('host', 'broadcast', 'multicast', 'other')), ('meta cpu', Num(32, [0, 1, 2])),
        ('meta cgroup', Num(32, [0, 1])), ('meta rtclassid', Num(32, [0, 1])), ('meta secpath', Words('exists', 'missing'))]
IN = [('meta iifname', IFNAME), ('meta iiftype', Words('ether')), ('meta iifgroup', Num(32, [0, 1])),
      ('meta iifkind', Words('"veth"', '"dummy"'))]
OUT = [('meta oifname', IFNAME), ('meta oiftype', Words('ether', 'loopback', 'ppp')), ('meta oifgroup', Num(32, [0, 1])),
       ('meta oifkind', Words('"veth"', '"dummy"'))]
ETHER = [('ether saddr', MAC), ('ether daddr', MAC)]
STATE = Words('new', 'established', 'related', 'invalid', 'untracked')
CT = [('ct state', STATE), ('ct direction', Words('original', 'reply')), ('ct mark', Num(32, [0, 1, 2])),
      ('ct status', Words('expected', 'seen-reply', 'assured', 'confirmed', 'snat', 'dnat', 'dying')),
      ('ct protocol', PROTO), ('ct zone', Num(16, [0, 1])),
      ('ct original zone', Num(16, [0, 1])), ('ct helper', Words('"ftp"', '"sip"')),
      ('ct original proto-src', PORT), ('ct original proto-dst', PORT), ('ct reply proto-src', PORT), ('ct reply proto-dst', PORT),
      ('ct packets', Num(64, [0, 1, 2, 3])), ('ct bytes', Num(64, [0, 40, 100, 1000])), ('ct avgpkt', Num(64, [0, 40, 60])),
      ('ct original packets', Num(64, [0, 1, 2])), ('ct reply bytes', Num(64, [0, 40, 100]))]
CT4 = [('ct l3proto', Words('ipv4')), ('ct original ip saddr', A4), ('ct original ip daddr', A4), ('ct reply ip saddr', A4), ('ct reply ip daddr', A4)]
CT6 = [('ct l3proto', Words('ipv6')), ('ct original ip6 saddr', A6), ('ct original ip6 daddr', A6), ('ct reply ip6 saddr', A6), ('ct reply ip6 daddr', A6)]
# What a rule says of an ICMP message: its type, or a field that only messages of some types have. nft takes one of these.
MESSAGE = {'type': 'type', 'id': 'echo', 'sequence': 'echo', 'mtu': 'mtu'}
BITS = {'ct state', 'ct status', 'tcp flags'}  # a value is one bit of many
# whole matches, by the family they need
PLAIN = ['ct label 3', 'fib daddr type local', 'numgen inc mod 3 == 1', 'numgen inc mod 5 offset 2 < 4', 'ct state new,established',
         'ct state != { new, invalid }', 'ct status & (seen-reply | assured) != 0', 'ct status dnat,snat', 'meta nfproto ipv4', 'meta nfproto ipv6',
         'meta protocol ip', 'meta protocol { ip, ip6 }', 'meta mark & 3 == 1', 'meta mark & 0xff != 0', 'meta mark | 4 == 5', 'meta mark ^ 1 == 3',
         'ct mark & 1 == 1', 'ct mark and 0x3 > 1', '@nh,0,8 & 0xf0 == 0x40', '@nh,16,16 < 60', '@th,16,16 { 22, 80 }',
         '@th,0,32 != 0x00160016', '@nh,12,5 1-3', '@ih,0,8 0-9', 'meta mark lshift 1 == 2', 'meta iifname . meta oifname { "lan0" . "wan0", "wan0" . "lan0" }',
         'meta l4proto . meta mark { tcp . 1, udp . 0, icmp . 0 }', 'meta l4proto { tcp, udp } th dport { 22, 53, 80-443 }',
         'meta l4proto . th dport { tcp . 22, udp . 53, tcp . 8000-9000 }', 'meta ipsec missing', 'rt ipsec missing', 'meta length . meta mark { 20-60 . 0, 61-1500 . 1 }',
         'meta mark & 0xff > 2', 'meta mark & 0xf 1-3', 'meta mark & 0xff { 1-2, 255 }', 'meta mark & 3 != 1-2', 'meta mark | 4 > 5', 'meta mark ^ 1 { 2-3, 254 }',
         'ct mark & 3 < 2', 'ct mark & 0xf != { 1, 2-3 }', 'meta length & 0xff > 40', 'meta length & 0xf8 { 32-48, 64 }',
         'meta mark & 0xf . meta length { 0-2 . 20-60, 3 . 61-1500 }']
PLAIN4 = ['ip saddr & 255.255.0.0 == 10.0.0.0', 'ip saddr . tcp dport { 10.0.0.1 . 22, 10.0.0.2 . 80 }', 'ip saddr . ip daddr != { 10.0.0.1 . 10.0.0.2 }',
          'ip saddr . tcp dport { 10.0.0.0/8 . 22-80, 192.168.7.7 . 443 }', 'ip protocol . th dport { tcp . 22, udp . 53 }',
          'jhash ip saddr mod 4 seed 0x12 == 2', 'jhash ip saddr . tcp dport mod 8 seed 0xdeadbeef < 4', 'ip frag-off & 0x1fff != 0', 'ip frag-off & 0x2000 == 0',
          'ip daddr == 10.0.0.0-10.0.0.255 ip saddr != 10.0.0.1', 'ip option rr exists', 'ip option lsrr exists', 'ip option ra value 0', 'fib saddr . iif oif missing',
          'icmp type . icmp code { echo-request . 0, destination-unreachable . 1-3 }', 'icmp id 1', 'icmp sequence 0-9', 'icmp mtu 1280-1500', 'ether type ip']
PLAIN6 = ['ip6 saddr & ffff:ffff:: == fd00::', 'ip6 saddr . udp dport { fd00::1 . 53, fe80::/10 . 80-90 }', 'exthdr hbh exists', 'exthdr frag missing', 'exthdr rt exists', 'exthdr dst missing',
          'exthdr mh exists', 'hbh nexthdr { tcp, udp, ipv6-icmp }', 'hbh hdrlength 0', 'frag nexthdr tcp', 'frag frag-off 0', 'frag frag-off != 0-9', 'frag more-fragments 1', 'frag id 0-100', 'frag reserved2 0',
          'rt type 0', 'rt seg-left 0', 'rt hdrlength 2', 'rt0 addr[1] fd00::1', 'dst nexthdr tcp', 'dst hdrlength 0-3', 'mh type binding-update', 'mh nexthdr 59', 'srh last-entry 0', 'srh tag 0', 'jhash ip6 saddr mod 4 seed 0x7 != 1',
          'icmpv6 id 1', 'icmpv6 sequence 0-9', 'icmpv6 mtu 1280', 'icmpv6 type . icmpv6 code { echo-request . 0, packet-too-big . 0 }']
PLAIN_L4 = {
    'tcp': ['tcp flags & (fin | syn | rst | ack) == syn', 'tcp flags syn / syn,ack', 'tcp flags != syn,ack', 'tcp flags & (syn | ack) != 0', 'tcp flags { syn, syn | ack, ack }',
            'tcp option maxseg exists', 'tcp option sack-perm exists', 'tcp option sack-perm missing', 'tcp option window exists', 'tcp option timestamp exists', 'tcp option maxseg size 1-1400', 'tcp option nop exists',
            'tcp option eol missing', 'tcp option 254 exists', 'tcp option @2,16,16 1460', 'tcp option sack exists', 'tcp option sack left 0-9', 'tcp option fastopen exists', 'tcp option md5sig missing', 'tcp option mptcp exists', 'tcp option mptcp subtype mp-capable', 'tcp sport . tcp dport { 22 . 80, 1024-65535 . 443 }',
            '@th,104,8 & 0x3f == 2', 'tcp reserved 0', 'tcp doff > 5'],
    'udp': ['udp sport . udp dport { 53 . 1024-65535 }', '@ih,0,16 0', 'udp length < 20', 'udp dport { 53, 1024-65535 } vxlan vni 10', 'udp dport { 53, 1024-65535 } vxlan flags 8', 'udp dport { 53, 1024-65535 } vxlan ip saddr 10.0.0.1', 'udp dport { 53, 1024-65535 } geneve vni 10', 'udp dport { 53, 1024-65535 } vxlan tcp dport 80', 'udp dport { 53, 1024-65535 } geneve ip daddr 10.0.0.2'],
    'sctp': ['sctp chunk data exists', 'sctp chunk init missing', 'sctp chunk init init-tag 0-9', 'sctp chunk data flags 3', 'sctp chunk sack cum-tsn-ack 1', 'sctp chunk heartbeat exists', 'sctp chunk abort exists', 'sctp chunk shutdown exists', 'sctp chunk asconf exists'],
    'dccp': [],
    'icmp': [], 'icmpv6': [], 'udplite': [], 'esp': [], 'ah': [], 'comp': [], 'th': [],
}
KEYED = {'ip saddr': 'ipv4_addr', 'ip daddr': 'ipv4_addr', 'ip6 saddr': 'ipv6_addr', 'ip6 daddr': 'ipv6_addr', 'tcp dport': 'inet_service', 'udp dport': 'inet_service',
         'tcp sport': 'inet_service', 'th dport': 'inet_service', 'meta mark': 'mark', 'ct mark': 'mark', 'meta iifname': 'ifname', 'meta oifname': 'ifname', 'meta l4proto': 'inet_proto',
         'ether saddr': 'ether_addr', 'icmp type': 'icmp_type', 'icmpv6 type': 'icmpv6_type'}


class Gen:
    def __init__(self, seed, writes):
        self.r = random.Random(seed)
        self.fam = self.r.choice(['inet', 'inet', 'inet', 'ip', 'ip6'])
        self.sets, self.maps, self.n_chains, self.writes = [], [], 0, writes
        self.out = []

    def maybe(self, p):
        return self.r.random() < p

    # -- values -----------------------------------------------------------------------------------
    def items(self, ty, spans, most):
        """Elements that do not overlap: nft refuses those that do, unless they are equal."""
        got = sorted({ty.one(self.r) for _ in range(self.r.randrange(1, most))})
        if spans and ty.order and self.maybe(0.5):
            s = ty.span(self.r)
            if s:
                return [s]
        return dedup(ty, got)

    def relation(self, name, ty):
        r = self.r
        how = r.random()
        if name in BITS:
            a, b = ty.one(r), ty.one(r)
            # a set of one flag is any packet with it to nft 1.0, and that flag alone to newer ones and to us
            one = '{ %s }' if name == 'ct state' else '== { %s }'
            return r.choice(['%s', '%s', '!= %s', one]) % a if a == b or how < 0.6 else '%s %s,%s' % (r.choice(['', '!=']), a, b)
        if how < 0.4 or isinstance(ty, Words) and 'exists' in ty.words:
            return ty.one(r)
        if how < 0.5:
            return '!= ' + ty.one(r)
        if how < 0.6 and ty.order and not isinstance(ty, Words) and ty.bits > 2:
            return r.choice(['<', '>', '<=', '>=']) + ' ' + bound(ty, r)
        if how < 0.75 and ty.order:
            s = ty.span(r)
            if s:
                return r.choice(['', '', '!= ']) + s
        return r.choice(['', '', '', '!= ']) + '{ ' + ', '.join(self.items(ty, True, 6)) + ' }'

    # -- one rule ---------------------------------------------------------------------------------
    def start(self, hook):
        r = self.r
        self.v6 = self.fam == 'ip6' or self.fam == 'inet' and self.maybe(0.35)
        self.hook = hook
        names = [x for x in L4 if x not in (('icmpv6',) if not self.v6 else ('icmp',)) and x != 'th']
        self.l4 = r.choice(['tcp', 'tcp', 'udp', r.choice(names), None])
        self.message = None

    def fields(self):
        r = self.r
        pick = r.random()
        if pick < 0.3:
            return IP6 if self.v6 else IP
        if pick < 0.6 and self.l4:
            return L4[self.l4]
        if pick < 0.7:
            return CT + (CT6 if self.v6 else CT4)
        if pick < 0.8 and self.hook in ('input', 'forward', 'prerouting'):
            return IN + (ETHER if self.hook != 'forward' or self.maybe(0.5) else [])
        if pick < 0.9 and self.hook in ('output', 'forward', 'postrouting'):
            return OUT
        return META

    def match(self):
        r = self.r
        if self.maybe(0.25):
            plain = list(PLAIN) + (PLAIN6 if self.v6 else PLAIN4) * 2 + (PLAIN_L4[self.l4] * 3 if self.l4 else [])
            if self.l4 not in (None, 'tcp', 'udp'):
                plain = PLAIN_L4[self.l4] + (PLAIN6 if self.v6 else PLAIN4)
            m = r.choice(plain)
            return m if self.fits(m) else None
        if self.maybe(0.2):
            key, name = r.choice(self.sets + [('ip6 saddr', 'dyn6d') if self.v6 else ('ip saddr', 'dyn4d')])
            return '%s %s@%s' % (key, r.choice(['', '', '!= ']), name) if self.fits(key) else None
        name, ty = r.choice(self.fields())
        return '%s %s' % (name, self.relation(name, ty)) if self.fits(name) else None

    def fits(self, m):
        """Whether a match goes with the protocols that the rule speaks of: nft refuses conflicts, and so do we."""
        words = m.replace('.', ' ').split()
        l3 = {'ip': False, 'icmp': False, 'ip6': True, 'icmpv6': True, 'exthdr': True, 'hbh': True, 'frag': True, 'rt': True, 'rt0': True, 'dst': True, 'mh': True, 'srh': True}
        for w in words:
            if w in l3 and not (w == 'rt' and 'ipsec' in words) and not (w == 'ip' and 'protocol' in words and 'meta' in words):
                if l3[w] != self.v6 or self.fam == ('ip' if l3[w] else 'ip6'):
                    return False
        if 'ipv4' in words and self.v6 or 'ipv6' in words and not self.v6:
            return False
        if words[0] == 'ether' and 'type' in words and self.fam != 'inet':
            return False
        l4 = {w for w in words[:1] + words[3:4] if w in L4 and w != 'th'}
        if m.startswith('jhash') or words[0] in ('ip', 'ip6'):
            l4 = {w for w in words if w in ('tcp', 'udp')} if ' { ' not in m and 'protocol' not in m and 'nexthdr' not in m else {w for w in ('tcp', 'udp') if w + ' dport' in m}
        if l4 and l4 != {self.l4}:
            return False
        if self.l4 and ('l4proto' in words or 'protocol' in words or 'nexthdr' in words) or words[0] == 'meta' and 'nfproto' in words and self.fam != 'inet':
            return False
        if words[:2] == ['meta', 'protocol'] and self.fam != 'inet':
            return False
        if (words[0] == 'fib' or 'secpath' in words or 'meta ipsec' in m) and self.hook not in ('prerouting', 'input', 'forward'):
            return False
        if words[0] in ('icmp', 'icmpv6') and words[1] in MESSAGE:
            if self.message not in (None, MESSAGE[words[1]]):
                return False
            self.message = MESSAGE[words[1]]
        return not ('th' in words and self.l4)

    def state(self):
        r = self.r
        key = 'ip6 saddr' if self.v6 else 'ip saddr'
        dyn = 'dyn6' if self.v6 else 'dyn4'
        return r.choice(['counter', 'counter', 'counter', 'counter name "shared"', 'quota %s%d bytes' % (r.choice(['', 'over ']), r.choice([0, 500, 20000])),
                         'limit rate %s%d/week burst %d packets' % (r.choice(['', 'over ']), r.choice([1, 3]), r.choice([2, 5, 40])),
                         'quota name "q"', 'limit name "l"',
                         r.choice(['add', 'update']) + ' @%s { %s }' % (dyn, key), 'update @%s { %s timeout 1h }' % (dyn + 't', key),
                         'add @%s { %s counter }' % (dyn + 'c', key), 'update @%s { %s limit rate over 2/week burst 3 packets }' % (dyn + 'l', key),
                         'delete @%s { %s }' % (dyn + 'd', key), 'counter name %s map { %s : "shared", %s : "other" }' % (
                             (key, ADDR6[0], ADDR6[1]) if self.v6 else (key, ADDR4[0], ADDR4[1]))])

    def write(self):
        return self.r.choice(['log', 'meta mark set 3', 'ct mark set 1', 'meta mark set ct mark', 'meta priority set 1:2', 'log prefix "x "'])

    def target(self):
        return 'c%d' % self.r.randrange(self.chain, self.n_chains)

    def verdict(self):
        r = self.r
        if self.chain < self.n_chains and self.maybe(0.3):
            return r.choice(['jump ', 'jump ', 'goto ']) + self.target()
        return r.choice(['accept', 'accept', 'drop', 'drop', 'return', 'continue'])

    def vmap(self):
        if self.maps and self.hook != 'leaf' and self.maybe(0.4):
            key, name = self.r.choice(self.maps)
            if self.fits(key):
                return '%s vmap @%s' % (key, name)
        name, ty = self.r.choice([x for x in self.fields() if x[0] not in BITS and 'exists' not in getattr(x[1], 'words', ())] or [('meta mark', META[1][1])])
        if not self.fits(name):
            return None
        return '%s vmap { %s }' % (name, ', '.join('%s : %s' % (v, self.verdict()) for v in self.items(ty, True, 7)))

    def twice_differs(self, parts, m):
        """Two `!=` of one header, of which nft 1.0 makes one."""
        return MERGES and ' != ' in m and any(' != ' in x and x.split()[0] == m.split()[0] for x in parts)

    def rule(self, hook):
        self.start(hook)
        parts = []
        if self.maybe(0.1):
            parts.append(self.state())
        for _ in range(self.r.choice([0, 1, 1, 1, 2, 2, 3])):
            m = self.match()
            if m and not self.twice_differs(parts, m):
                parts.append(m)
        if self.maybe(0.4):
            parts.append(self.state())
        if self.writes and self.maybe(self.writes):
            parts.append(self.write())
        end = self.vmap() if self.maybe(0.12) else None
        parts.append(end or (self.verdict() if self.maybe(0.85) else 'counter'))
        return ' '.join(parts)

    # -- the whole --------------------------------------------------------------------------------
    def named(self):
        r, out = self.r, []
        ctx = {'ip': [k for k in KEYED if 'ip6' not in k and 'icmpv6' not in k], 'ip6': [k for k in KEYED if 'ip ' not in k and k != 'icmp type'], 'inet': list(KEYED)}[self.fam]
        types = dict(IP + IP6 + META + IN + OUT + ETHER + CT + sum(L4.values(), []))
        for i in range(r.randrange(0, 5)):
            key = r.choice(ctx)
            ty = types[key]
            spans = ty.order and self.maybe(0.5)
            vm = self.maybe(0.3)
            flags = ['interval'] if spans else []
            flags += [f for f in ['constant'] if self.maybe(0.3)]
            line = ['\t%s s%d {' % ('map' if vm else 'set', i),
                    '\t\t' + ('typeof %s' % key if self.maybe(0.3) else 'type ' + KEYED[key]) + (' : verdict' if vm else '')]
            if flags:
                line.append('\t\tflags ' + ', '.join(flags))
            if self.maybe(0.3):
                keep = r.choice(['counter', 'counter', 'quota over 900 bytes', 'quota 2000 bytes', 'limit rate over 1/week burst 4 packets', 'limit rate 2/week burst 6 packets', 'last'])
                line.append('\t\t' + keep if 'constant' not in flags else '\t\tsize 64')
            vals = self.items(ty, spans, 9)
            self.chain = 0
            line.append('\t\telements = { ' + ', '.join(v + (' : ' + self.verdict() if vm else '') for v in vals) + ' }')
            out += line + ['\t}']
            (self.maps if vm else self.sets).append((key, 's%d' % i))
        if self.maybe(0.5) and self.fam != 'ip6':
            spans = self.maybe(0.6)
            out += ['\tset pair {', '\t\ttype ipv4_addr . inet_service', '\t\tflags interval' if spans else '\t\tsize 100',
                    '\t\telements = { %s }' % ', '.join(['%s . %s' % (prefix4(a, 24) if spans else a, p) for a, p in [('10.0.0.1', '22'), ('10.0.1.1', '80-443' if spans else '80'), ('8.8.8.8', '53')]]), '\t}']
            self.sets += [('ip saddr . tcp dport', 'pair'), ('ip daddr . udp dport', 'pair')]
        return out

    def text(self):
        r = self.r
        self.n_chains = r.randrange(0, 6)
        body = self.named()
        # What is deleted stays in a set of the kernel's until it next collects: it takes room, and where the same key comes back many times
        # no more of it fits. So nothing is added to the sets from which is deleted.
        for v in (4, 6):
            there = '\t\telements = { %s }\n' % ', '.join((ADDR6 if v == 6 else ADDR4)[:4])
            for suffix, flags, ext in (('', 'dynamic', ''), ('t', 'dynamic, timeout', '\t\ttimeout 2h\n'), ('c', 'dynamic', ''), ('l', 'dynamic', ''), ('d', 'dynamic', there)):
                body.append('\tset dyn%d%s {\n\t\ttype ipv%d_addr\n\t\tsize %d\n\t\tflags %s\n%s\t}' % (v, suffix, v, 4 if suffix == '' and self.maybe(0.3) else 65535, flags, ext))
        for i in reversed(range(self.n_chains)):
            self.chain = i + 1
            body += ['\tchain c%d {' % i] + ['\t\t' + self.rule('leaf') for _ in range(r.randrange(1, 7))] + ['\t}']
        self.chain = 0
        for hook in r.sample(['prerouting', 'input', 'forward', 'output', 'postrouting'], r.choice([1, 2, 3])):
            prio = r.choice([-150, -1, 0, 5])
            # chains of one priority become one program
            for name in [hook] + ['%s%d' % (hook, i) for i in range(2, r.choice([2, 2, 2, 3, 4]))]:
                body.append('\tchain %s {\n\t\ttype filter hook %s priority %d; policy %s;' % (name, hook, prio, r.choice(['accept', 'accept', 'drop'])))
                body += ['\t\t' + self.rule(hook) for _ in range(r.randrange(2, 14))] + ['\t}']
        # nft wants a chain before the map that names it: chains first as empty ones
        chains = ''.join('\tchain c%d { }\n' % i for i in range(self.n_chains))
        return 'table %s t {\n%s}\ntable %s t {\n\tcounter shared { }\n\tcounter other { }\n\tquota q { over 20 kbytes }\n\tlimit l { rate 1/week burst 30 packets }\n%s\n}\n' % (
            self.fam, chains, self.fam, '\n'.join(body))


MERGES = False  # for an nft that asks `!=` of fields that stand side by side at once
NUMBER_OF = {'ssh': '22', 'domain': '53', 'http': '80', 'tcp': '6', 'udp': '17', 'icmp': '1', 'sctp': '132', 'ipv6-icmp': '58', 'cs1': '8', 'ef': '46', 'af11': '10'}


def dedup(ty, vals):
    seen, out = set(), []
    for v in vals:
        k = NUMBER_OF.get(v, v)
        if k not in seen:
            seen.add(k)
            out.append(v)
    return out


def bound(ty, r):
    """A bound that is neither the lowest nor the highest value, with which nft refuses an order."""
    if isinstance(ty, Addr):
        return ty.one(r)
    return str(min((1 << ty.bits) - 2, max(1, r.choice(ty.pool))))


def ruleset(seed):
    """Every other one has rules that write to packets or log, which nftables keeps."""
    return Gen(seed, (0.05, 0.0, 0.15, 0.0)[seed % 4]).text()
