#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes libFuzzer's dictionary from the parser's table of words: dict.py keywords.def OUT"""
import re
import sys

words = set()
for line in open(sys.argv[1], encoding="utf-8"):
    m = re.match(r"[A-Z]+\(", line)
    if m:
        for text in re.findall(r'"([^"]*)"', line):
            words.update(text.split())
words.update(["meta ", "ct ", "fib ", "numgen ", "jhash ", "symhash ", "socket ", "osf ", "ipsec ", "tunnel ", "exthdr "])
words.update(["{", "}", ";", "\\x0a", ", ", ". ", ": ", "@", "$", "!=", "<<", ">>", "10.0.0.0/8", "::1", "1h30m", '\\"x\\"'])
with open(sys.argv[2], "w", encoding="utf-8") as out:
    for word in sorted(words):
        out.write('"%s"\n' % word)
