# SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-2-Clause)
"""Writes a C file with the objects of the runtime as byte arrays: embed.py OUT.c OBJ..."""
import pathlib
import sys

objs = [pathlib.Path(p) for p in sys.argv[2:]]
with open(sys.argv[1], "w", encoding="ascii") as out:
    out.write('/* Made by bpf/embed.py. */\n#include "codegen/runtime.h"\n\n')
    for i, path in enumerate(objs):
        data = path.read_bytes()
        out.write(f"static const uint8_t obj{i}[] __attribute__((aligned(16))) = {{\n")
        for at in range(0, len(data), 24):
            out.write("\t" + ",".join(str(b) for b in data[at:at + 24]) + ",\n")
        out.write("};\n")
    out.write("const struct rt_obj rt_objs[] = {\n")
    for i, path in enumerate(objs):
        out.write(f'\t{{ "{path.name.split(".")[0]}", obj{i}, sizeof(obj{i}) }},\n')
    out.write("};\nconst uint32_t n_rt_objs = sizeof(rt_objs) / sizeof(rt_objs[0]);\n")
