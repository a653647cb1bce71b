// SPDX-License-Identifier: MIT
// The compact instruction: what decode.c makes of guest bytes once, and both engines execute from.
#ifndef VIV_ISA_INSN_H
#define VIV_ISA_INSN_H

#include "base/bits.h"
#include "base/types.h"

struct cpu;
struct insn;

// Executes one instruction. The contract, for every handler:
// - true: the instruction has retired. The loop advances RIP past it, unless its row says SETS_RIP:
// then the handler
//   has stored the new RIP in cpu->rip.
// - false: cpu->fault holds what to deliver, nothing was committed, RIP stays at the instruction.
// - cpu->current is the instruction, cpu->run_end the one before which the loop will stop: cut it
// to insn + 1 to leave
//   after this one. A hot handler may go on to the next one itself (cpu/interp/handler.h).
// - cpu->rip is NOT current while a handler runs: use insn_rip() and insn_next_rip()
// (cpu/interp/operand.h).
// - What may change mode, privilege, paging, RIP rules, pending work or the clock's reader carries
// END in its row: the
//   loop then runs it as a run of its own, and re-derives everything (page, context, boundary)
//   afterwards. Only such handlers (and memory accesses through operand.h) may touch devices or
//   call cpu_sync_clock().
typedef bool (*insn_fn)(struct cpu *cpu, const struct insn *insn);

// One enumerator per row of x86_ops.def, OP_INVALID for everything that is not there.
enum x86_op {
    OP_INVALID,
#define OP(id, ...) OP_##id,
#include "isa/x86_ops.def"
#undef OP
    X86_OP_COUNT
};

// Explicit operands in order: R register (any file), M memory, I immediate. "reg" is the first
// register operand, "rm" the second, so reg is the destination of R, RR, RM, RI and the source of
// MR.
enum insn_form {
    FORM_NONE,
    FORM_R,
    FORM_M,
    FORM_I,
    FORM_RR,
    FORM_RM,
    FORM_MR,
    FORM_RI,
    FORM_MI,
    FORM_IR, // out imm8, al
    FORM_RRI,
    FORM_RMI,
    FORM_MRI,
    FORM_RRR, // shld r, r, cl; later VEX: vvvv is the second operand
    FORM_RMR,
    FORM_RRM,
    FORM_MRR,
    FORM_II, // enter
    FORM_OTHER,
    FORM_COUNT
};

enum insn_flag {
    INSN_EA_GENERAL =
        1, // address needs a segment base, a limit, or 16/32-bit arithmetic: operand_ea_general()
    INSN_END = 2, // a run of its own
    INSN_SETS_RIP = 4,
    INSN_REP = 8, // F3 on a string instruction
    INSN_REPNE = 16,
    INSN_LOCK = 32,
    INSN_ADDR32 = 64, // address size; neither: the code's own 64
    INSN_ADDR16 = 128,
};

// Address registers that are not guest registers: slots of cpu->gpr after the 16.
enum {
    SLOT_ZERO = 16, // always 0: no base, no index
    SLOT_CODE =
        17, // linear-space RIP of the start of the running code page: base of RIP-relative operands
    SLOT_8192 = 18, // always 8192: keeps disp of a RIP-relative operand in 32 bits
    SLOT_FS = 19, // segment bases: the index of FS: and GS: operands of 64-bit code that have none
    SLOT_GS = 20,
    GPR_SLOTS = 21
};

enum insn_code_size { CODE_64, CODE_32, CODE_16 };

// 32 bytes. Memory address = gpr[base] + (gpr[index] << scale) + disp (mod 2^64), plus what
// INSN_EA_GENERAL asks for.
struct insn {
    insn_fn fn;
    // Immediate, sign-extended to 64 bits as the operation wants it. Near relative branches:
    // distance of the target from the start of the code page (SLOT_CODE). Far pointers: selector <<
    // 32 | offset. ENTER: nesting << 16 | size. RRR: number of the third register.
    u64 imm;
    s32 disp;
    u8 base, index; // gpr slots
    u8 scale;       // 0..3
    u8 seg : 3;     // CPU_ES.. of the memory operand (after defaults and overrides)
    u8 form : 5;    // enum insn_form
    u8 reg, rm; // register number in its file; 8-bit general registers: byte offset into gpr (AH is
                // 1, BL is 24)
    u8 remaining; // instructions from this one to the end of its run, this one included
    u8 flags;     // enum insn_flag
    u16 offset : 12, length : 4; // in its page; bytes
    u16 op : 11;                 // enum x86_op
    u16 width : 3; // log2 of the operation's width in bytes: 0..3 integer, 4..6 vector
    u16 code : 2;  // enum insn_code_size
};

_Static_assert(sizeof(struct insn) == 32, "struct insn is a cache half-line");

static inline unsigned insn_width_bytes(const struct insn *insn)
{
    return 1u << insn->width;
}

// Row data by op.
struct x86_op_info {
    const char *name;    // lower-case: "add", "mov_cr"
    u16 flags_defined;   // arithmetic flags the instruction sets to defined values
    u16 flags_undefined; // flags the SDM leaves undefined (or defined only for some operands)
    u32 attributes;      // enum x86_op_attribute
};

enum x86_op_attribute {
    A_NONE = 0,
    A_END = 1,            // INSN_END
    A_SETS_RIP = 2,       // INSN_SETS_RIP; ends the run as well
    A_LOCKABLE = 4,       // LOCK is legal with a memory destination
    A_NOT64 = 8,          // #UD in 64-bit code
    A_ONLY64 = 16,        // #UD outside
    A_STRING = 32,        // takes REP/REPNE
    A_VECTOR = 128,       // MMX, SSE: operands and imm by vector_key.h
    A_FP = 256,           // reads and raises through MXCSR
    A_UNALIGNED = 512,    // a 16-byte memory operand need not be aligned
    A_TINY = 8192,        // with A_FP: may underflow; elements as in its name's last two letters
    A_ALIGNED = 4096,     // VEX-encoded: a memory operand must be aligned to its size
    A_X87 = 1024,         // imm = opcode << 8 | ModRM
    A_STACK = 64,         // operand size defaults to the stack's: 64 in 64-bit code
    A_CONDITIONAL = 2048, // with A_SETS_RIP: may fall through, so the run goes on; the handler cuts
                          // it when it jumps
};

extern const struct x86_op_info x86_op_info[X86_OP_COUNT];

#endif
