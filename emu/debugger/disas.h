// SPDX-License-Identifier: MIT
// Disassembly for people (Capstone), with symbols for addresses and source lines between the code.
#ifndef VIV_DEBUGGER_DISAS_H
#define VIV_DEBUGGER_DISAS_H

#include "debugger/symbols.h"

#include <stdio.h>

struct disas;
// symbols: may be NULL; stays the caller's.
struct disas *disas_create(struct symbols *symbols);
void disas_destroy(struct disas *d);

enum disas_kind {
    DISAS_OTHER,
    DISAS_CALL,
    DISAS_RETURN,
    DISAS_JUMP,
    DISAS_BRANCH,
    DISAS_SYSCALL,
    DISAS_INTERRUPT_RETURN
};
struct disas_insn {
    u64 address;
    u8 length; // of a byte that is no instruction: 1, and text "(bad)"
    u8 bytes[15];
    enum disas_kind kind;
    u64 target;       // of a direct call, jump or branch; 0 otherwise
    bool rep;         // repeats: one instruction, many steps
    char text[120];   // "mov rax, qword ptr [rip + 0x10]"
    char comment[96]; // what an address in it is: "<copy_user+0x10>"; ""
};
// bits: 64, 32 or 16. Of an instruction that is known by name only the text is "vpcmpb ...". False
// only if size is 0.
bool disas_insn(struct disas *d, unsigned bits, u64 address, const u8 *bytes, u64 size,
                struct disas_insn *out);

enum { DISAS_SOURCE = 1, DISAS_BYTES = 2 };
// Prints count instructions from address on, an arrow at mark (0: none); ends early where nothing
// is mapped. Returns the address after the last one.
u64 disas_print(FILE *out, struct disas *d, unsigned bits, symbols_read_fn read, void *ctx,
                u64 address, unsigned count, u64 mark, unsigned flags);
// Where to begin so that the instruction at address is the count-th after it: decodes forward from
// the function's start, without symbols it guesses. Never after address.
u64 disas_back(struct disas *d, unsigned bits, symbols_read_fn read, void *ctx, u64 address,
               unsigned count);

// Source text around a line, if the file can be read here; false if not. mark: the line with an
// arrow.
bool source_print(FILE *out, const char *path, unsigned first, unsigned last, unsigned mark);

#endif
