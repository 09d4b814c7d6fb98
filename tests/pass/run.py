#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one pass test: run.py IRTOOL FILE [--bless]

A file holds "# passes: NAME...", the IR before, a line "# ==>", and the IR behind these passes. --bless writes the latter anew.
"""
import difflib
import subprocess
import sys


def main():
    tool, path = sys.argv[1:3]
    text = open(path).read()
    before, _, want = text.partition('# ==>\n')
    passes = next(line.split(':')[1].split() for line in before.splitlines()
                  if line.startswith('# passes:'))
    run = subprocess.run([tool, '-', *passes], input=before, text=True, capture_output=True,
                         timeout=20)
    if run.returncode:
        sys.exit(f'{path}: irtool failed ({run.returncode})\n{run.stderr}')
    if '--bless' in sys.argv[3:]:
        open(path, 'w').write(before + '# ==>\n' + run.stdout)
        return
    if run.stdout != want:
        diff = difflib.unified_diff(want.splitlines(), run.stdout.splitlines(), 'wanted', 'got',
                                    lineterm='')
        sys.exit('\n'.join([path, *diff]))


main()
