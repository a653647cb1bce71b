# SPDX-License-Identifier: MIT
"""embed.py FILE OUT.c NAME HEADER: the bytes of FILE as const u8 NAME[] and its size as NAME_size."""
import sys

source, target, name, header = sys.argv[1:5]
with open(source, "rb") as f:
    data = f.read()
with open(target, "w") as f:
    f.write(f'// Generated from {name}; do not edit.\n#include "{header}"\n\n')
    f.write(f"const u8 {name}[] __attribute__((aligned(8))) = {{\n")
    for i in range(0, len(data), 16):
        f.write("    " + " ".join(f"0x{b:02x}," for b in data[i:i + 16]) + "\n")
    f.write(f"}};\nconst size_t {name}_size = sizeof({name});\n")
