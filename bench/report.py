# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables, the targets beside the rows, the plot."""
import math

SIDES = ("nft", "iptables-legacy", "iptables-nft", "empty", "-O0", "-O2")


def hook_targets(row, rows):
    """[(the target in words, met)] of a row of hook costs."""
    name, label, o2 = row["case"], row["packet"], row.get("-O2")
    kind, _, n = name.partition(":")
    n, out = int(n or 0), []
    if o2 is None:
        return out
    if kind in ("linear", "host", "router", "ctfirst", "chains", "example-host", "example-router") and row.get("nft") is not None:
        times = {10: 3, 100: 25, 1000: 200, 10000: 1500}.get(n, 1) if label == "last" else 1
        out.append(("nft/%d" % times if times > 1 else "nft", row["nft"] >= times * o2))
    if kind == "extensions" and label != "first" and row.get("iptables-nft") is not None:
        out.append(("iptables-nft/3", row["iptables-nft"] >= 3 * o2))
    if kind == "mixed" and label == "last" and row.get("nft") is not None:
        times = {100: 10, 1000: 100, 10000: 100}.get(n, 1)
        out.append(("nft/%d" % times if times > 1 else "nft", row["nft"] >= times * o2))
    if kind in ("vmap", "services", "jump", "set") and label == "last" and row.get("nft") is not None:
        out.append(("nft", row["nft"] >= o2))
    if kind == "linear" and n in (10000, 100000):
        ten = next((r["-O2"] for r in rows if r["case"] == "linear:10" and r["packet"] == label and "-O2" in r), None)
        if ten is not None:
            times = 1.3 if n == 10000 else 1.6
            out.append(("%.1f x linear:10 (%.0f)" % (times, times * ten), o2 <= times * ten))
    if kind in ("host", "router", "ctfirst", "chains", "example-host", "example-router") and "empty" in row:
        out.append(("empty + 15", o2 <= row["empty"] + 15))
    if kind in ("interval", "concat") and n == 100000 and row.get("nft") is not None:
        out.append(("nft/4", row["nft"] >= 4 * o2))
    return out


def object_targets(row):
    kind, _, n = row["case"].partition(":")
    n, out = int(n or 0), []
    most = {("linear", 1): 6, ("linear", 1000): 10, ("set", 10000): 10}.get((kind, n))
    if most and "run" in row:
        out.append(("run %d" % most, row["run"] <= most))
    most = {("linear", 10000): 100, ("linear", 100000): 1500, ("set", 1000000): 1500}.get((kind, n))
    if most:
        out.append(("compile %d ms" % most, row["compile"] * 1000 <= most))
    if (kind, n) == ("linear", 100000):
        out.append(("600 MiB", row["mib"] <= 600))
    return out


def verdicts(targets):
    return "; ".join("%s: %s" % (t, "met" if met else "MISSED") for t, met in targets)


def ratio(row):
    nft, o2 = row.get("nft"), row.get("-O2")
    if nft is None or o2 is None:
        return ""
    return "%.1f" % (nft / o2) if o2 >= 5 else ">%.0f" % (nft / 5) if nft > 5 else ""


HOOK_HEAD = "| %-14s | %-15s |" % ("ruleset", "packet") + "".join(" %15s |" % s for s in SIDES) + " %7s | target" % "nft/-O2"
OBJECT_HEAD = "| %-14s | level | compile ms | MiB | load ms | nft load ms | insns | JITed bytes | verifier insns | run ns | target" % "ruleset"


def rule(head):
    """The line below a head: words on the left, numbers on the right."""
    cols = head.strip("|").split("|")
    return "|" + "|".join("-" * (len(c) - 1) + ("-" if k < 2 or k == len(cols) - 1 else ":") for k, c in enumerate(cols)) + "|"


def hook_line(row, rows):
    cells = "".join(" %15s |" % ("%.0f (%.0f)" % (row[s], row[s + " median"]) if s in row else row.get(s + " why", "")) for s in SIDES)
    return "| %-14s | %-15s |%s %7s | %s |" % (row["case"], row["packet"], cells, ratio(row), verdicts(hook_targets(row, rows)))


def object_line(r):
    run = "%6.1f" % r["run"] if "run" in r else ""
    nft = "%11.0f" % (r["nft load"] * 1000) if "nft load" in r else ""
    return "| %-14s | %-5s | %10.0f | %3.0f | %7.0f | %11s | %5d | %11d | %14d | %6s | %s |" % (
        r["case"], r["level"], r["compile"] * 1000, r["mib"], r["load"] * 1000, nft, r["insns"], r["jited"], r["verified"], run,
        verdicts(object_targets(r)) if r["level"] == "-O2" else "")


COLOURS = {"nft": "#c33", "iptables-legacy": "#c80", "iptables-nft": "#a6a", "-O0": "#999", "-O2": "#36c"}


def svg(rows, path):
    """Cost of the packet that matches the last rule by the number of rules, both axes logarithmic."""
    pts = {k: [(int(r["case"].split(":")[1]), max(r[k], 10)) for r in rows
               if r["case"].startswith("linear:") and r["packet"] in ("last", "first") and k in r
               and (r["packet"] == "last" or r["case"] == "linear:1")] for k in COLOURS}
    pts = {k: v for k, v in pts.items() if v}
    if "nft" not in pts:
        return
    w, h, left, right, low, high = 760, 400, 64, 130, 360, 20
    top = max(v for p in pts.values() for _, v in p)
    most = max(n for p in pts.values() for n, _ in p)
    x = lambda n: left + math.log10(n) / max(math.log10(most), 1) * (w - left - right)
    y = lambda v: low - math.log10(v / 10) / math.log10(top / 10) * (low - high)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">' % (w, h),
           '<rect width="100%" height="100%" fill="white"/>']
    for v in (10**k for k in range(1, 8) if 10**k <= top):
        text = "%d ns" % v if v < 1000 else "%d µs" % (v // 1000) if v < 10**6 else "%d ms" % (v // 10**6)
        out.append('<line x1="%d" x2="%d" y1="%.0f" y2="%.0f" stroke="#ddd"/><text x="8" y="%.0f">%s</text>' % (left, w - right, y(v), y(v), y(v) + 4, text))
    for n in sorted({n for p in pts.values() for n, _ in p}):
        out.append('<text x="%.0f" y="%d" text-anchor="middle">%s</text>' % (x(n), low + 16, format(n, ",")))
    last = -99
    for k in sorted(pts, key=lambda k: y(pts[k][-1][1])):
        n, v = pts[k][-1]
        at = max(y(v) + 4, last + 13)
        last = at
        out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>' % (" ".join("%.1f,%.1f" % (x(a), y(b)) for a, b in pts[k]), COLOURS[k]))
        out.append('<text x="%.0f" y="%.0f" fill="%s">%s</text>' % (x(n) + 6, at, COLOURS[k], "nft2bpf " + k if k[0] == "-" else k))
    out.append('<text x="%d" y="%d" text-anchor="middle">rules (address and port pairs); the packet matches the last</text></svg>' % ((left + w - right) / 2, h - 6))
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n")
