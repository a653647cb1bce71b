#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Text symbols of an ELF as an assembler table: sorted 32-bit offsets from the image base, and their names."""
import subprocess
import sys

BASE = 0xFFFFFFFF80000000


def main():
    nm, image, output = sys.argv[1:4]
    lines = subprocess.run([nm, "-n", image], check=True, capture_output=True, text=True).stdout.splitlines()
    symbols = []
    for line in lines:
        fields = line.split()
        if len(fields) == 3 and fields[1] in "tTwW" and int(fields[0], 16) >= BASE:
            symbols.append((int(fields[0], 16) - BASE, fields[2]))
    with open(output, "w") as f:
        f.write('.section .symtab_fern, "a"\n.globl symbol_count, symbol_offsets, symbol_names\n.balign 8\n')
        f.write(f"symbol_count: .quad {len(symbols)}\nsymbol_offsets:\n")
        for offset, _ in symbols:
            f.write(f".long {offset:#x}\n")
        f.write("symbol_names:\n")
        for _, name in symbols:
            f.write(f'.asciz "{name}"\n')
        f.write('.section .note.GNU-stack,"",@progbits\n')


main()
