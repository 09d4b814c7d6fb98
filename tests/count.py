#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""count.py JUNIT.xml: prints "passed failed skipped" of a meson test run; names failures and skips on stderr."""
import sys
import xml.etree.ElementTree as ET

passed = failed = skipped = 0
for case in ET.parse(sys.argv[1]).getroot().iter("testcase"):
    name = case.get("name") or case.get("classname")
    if case.find("failure") is not None or case.find("error") is not None:
        failed += 1
        print("FAILED", name, file=sys.stderr)
    elif case.find("skipped") is not None:
        skipped += 1
        print("skipped", name, file=sys.stderr)
    else:
        passed += 1
print(passed, failed, skipped)
