/* SPDX-License-Identifier: MIT */
/* Empty symbol table for the first link; symtab.py makes the real one from its result. */
.section .symtab_fern, "a"
.globl symbol_count, symbol_offsets, symbol_names
.balign 8
symbol_count:
    .quad 0
symbol_offsets:
symbol_names:
    .byte 0
.section .note.GNU-stack,"",@progbits
