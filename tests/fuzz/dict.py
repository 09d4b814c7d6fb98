#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes libFuzzer's dictionaries: dict.py keywords.def ops.def NFT.DICT IR.DICT"""
import re
import sys

NFT = ["meta ", "ct ", "fib ", "numgen ", "jhash ", "symhash ", "socket ", "osf ", "ipsec ", "tunnel ", "exthdr ",
       "{", "}", ";", "\\x0a", ", ", ". ", ": ", "@", "$", "!=", "<<", ">>", "10.0.0.0/8", "::1", "1h30m", '\\"x\\"']
IR = ["function ", "program ", "pf ", "hook ", "prio ", "size ", "0xffffffff", "0xffffffffffffffff.l", ".l ", ".w ", ".b ",
      "%1", "@1", ", ", "{\\x0a", "}\\x0a", "ret 0\\x0a", "br %1, @1, @2\\x0a", "jmp @1\\x0a"]


def strings(path):
    """Every string in an X-macro table's entries."""
    for line in open(path, encoding="utf-8"):
        if re.match(r"[A-Z]+\(", line):
            yield from re.findall(r'"([^"]*)"', line)


def write(path, words):
    with open(path, "w", encoding="utf-8") as out:
        for word in sorted(words):
            out.write('"%s"\n' % word)


write(sys.argv[3], {w for text in strings(sys.argv[1]) for w in text.split()} | set(NFT))
write(sys.argv[4], {w + " " for w in strings(sys.argv[2]) if len(w) > 1} | set(IR))
