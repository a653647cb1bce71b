// SPDX-License-Identifier: MIT
// Generated code around one instruction: load all registers, run it, store all registers. Faults
// come as signals.
#include "tests/isa/host.h"

#include <signal.h>
#include <string.h>
#include <asm/ldt.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <ucontext.h>

#include "base/check.h"

// At HOST_CONTEXT; the generated code uses it by absolute address.
struct context {
    u64 in[16], out[16], in_flags, out_flags, host_rsp, out_rip;
    u32 far_offset; // operand of the far jump to 32-bit code
    u16 far_selector;
    u16 stack_selector;
    u16 out_selectors[4]; // SS, DS, ES
};

#define LINUX_CODE32 0x23 // the kernel's user segments
#define LINUX_CODE64 0x33
#define LINUX_DATA 0x2B
#define TAIL (HOST_CODE + 0x400)      // where a trapped run resumes: registers popped, return to C
#define FULL_TAIL (HOST_CODE + 0x440) // the same after 32-bit code: stack and flags first

#define SEGMENT_TAIL (HOST_CODE + 0x480) // where code in other segments ends: registers stored
#define SEGMENT_TARGET_TAIL (HOST_CODE + 0x580) // the same after a branch to HOST_TARGET

#define FIELD_ADDRESS(field) ((u32)(HOST_CONTEXT + offsetof(struct context, field)))

struct emitter {
    u8 *at;
};

static struct context *context(void)
{
    return (struct context *)(uintptr_t)HOST_CONTEXT;
}

static void emit(struct emitter *e, const void *bytes, size_t size)
{
    memcpy(e->at, bytes, size);
    e->at += size;
}

// MOV between a 64-bit register and an absolute address; opcode 0x8B loads, 0x89 stores.
static void emit_mov(struct emitter *e, u8 opcode, unsigned reg, u32 address)
{
    u8 bytes[4] = {(u8)(0x48 | (reg >> 3) << 2), opcode, (u8)(0x04 | (reg & 7) << 3), 0x25};
    emit(e, bytes, sizeof(bytes));
    emit(e, &address, sizeof(address));
}

// PUSH or POP of memory at an absolute address.
static void emit_stack(struct emitter *e, u8 opcode, u8 digit, u32 address)
{
    u8 bytes[3] = {opcode, (u8)(0x04 | digit << 3), 0x25};
    emit(e, bytes, sizeof(bytes));
    emit(e, &address, sizeof(address));
}

static void emit_jump(struct emitter *e, u64 target)
{
    s32 distance = (s32)(target - ((u64)(uintptr_t)e->at + 5));
    emit(e, "\xE9", 1);
    emit(e, &distance, sizeof(distance));
}

static void emit_prologue(struct emitter *e, u64 insn, bool code32)
{
    emit(e, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); // push rbx rbp r12-r15
    emit_mov(e, 0x89, 4, FIELD_ADDRESS(host_rsp));
    emit_stack(e, 0xFF, 6, FIELD_ADDRESS(in_flags));
    emit(e, "\x9D", 1); // popfq
    for (unsigned i = 0; i < 16; i++) {
        emit_mov(e, 0x8B, i, FIELD_ADDRESS(in) + i * 8);
    }
    if (code32) {
        context()->far_offset = (u32)insn;
        context()->far_selector = LINUX_CODE32;
        emit_stack(e, 0xFF, 5, FIELD_ADDRESS(far_offset)); // jmp far [far_offset]
    } else {
        emit_jump(e, insn);
    }
}

// The end of 32-bit code: registers stored, then a far jump to the 64-bit tail.
static void emit_epilogue32(struct emitter *e, u64 rip)
{
    for (unsigned i = 0; i < 8; i++) {
        u8 bytes[2] = {0x89, (u8)(0x05 | i << 3)};
        u32 address = FIELD_ADDRESS(out) + i * 8;
        emit(e, bytes, sizeof(bytes));
        emit(e, &address, sizeof(address));
    }
    u32 words[] = {FIELD_ADDRESS(out_rip), (u32)rip, FULL_TAIL};
    u16 selector = LINUX_CODE64;
    emit(e, "\xC7\x05", 2); // mov dword [out_rip], rip
    emit(e, words, 8);
    emit(e, "\xEA", 1); // jmp far
    emit(e, &words[2], 4);
    emit(e, &selector, 2);
}

// Stores everything and returns to C. rip: what to report as the place this was reached from.
static void emit_epilogue(struct emitter *e, u64 rip)
{
    for (unsigned i = 0; i < 16; i++) {
        emit_mov(e, 0x89, i, FIELD_ADDRESS(out) + i * 8);
    }
    emit_mov(e, 0x8B, 4, FIELD_ADDRESS(host_rsp));
    emit(e, "\x9C", 1); // pushfq
    emit_stack(e, 0x8F, 0, FIELD_ADDRESS(out_flags));
    emit(e, "\xFC\x48\xB8", 3); // cld; mov rax, rip
    emit(e, &rip, sizeof(rip));
    emit_mov(e, 0x89, 0, FIELD_ADDRESS(out_rip));
    emit(e, "\x41\x5F\x41\x5E\x41\x5D\x41\x5C\x5D\x5B\xC3", 11);
}

// The exception of the run in progress; signal handlers have no other way to report.
static volatile struct {
    u64 insn;
    int vector;
    u64 error_code, cr2;
} trap;

static void on_signal(int number, siginfo_t *info, void *ucontext)
{
    static const u8 registers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                     REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                     REG_R12, REG_R13, REG_R14, REG_R15};
    ucontext_t *u = ucontext;
    greg_t *g = u->uc_mcontext.gregs;
    bool local = g[REG_CSGSFS] & 4; // a code segment of the LDT
    if (!local && (u64)g[REG_RIP] != trap.insn && (u64)g[REG_RIP] - HOST_CODE >= 0x3000) {
        signal(number, SIG_DFL); // not ours
        return;
    }
    trap.vector = (int)g[REG_TRAPNO];
    trap.error_code = (u64)g[REG_ERR];
    trap.cr2 = trap.vector == 14 ? (u64)g[REG_CR2] : 0;
    for (unsigned i = 0; i < 16; i++) {
        context()->out[i] = (u64)g[registers[i]];
    }
    context()->out_flags = (u64)g[REG_EFL];
    context()->out_rip = (u64)g[REG_RIP];
    // The tail of the second epilogue restores the host's registers.
    g[REG_RSP] = (greg_t)context()->host_rsp;
    g[REG_RIP] = TAIL;
    g[REG_CSGSFS] = (greg_t)(((u64)g[REG_CSGSFS] & 0x0000FFFFFFFF0000) | LINUX_CODE64 |
                             (u64)LINUX_DATA << 48);
    g[REG_EFL] &= ~0x40400;
}

static bool map(u64 address, size_t size)
{
    void *p = mmap((void *)(uintptr_t)address, size, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
    return p == (void *)(uintptr_t)address;
}

bool host_init(void)
{
    static u8 stack[65536];
    if (!map(HOST_CONTEXT, 0x1000) || !map(HOST_CODE, 0x3000) || !map(HOST_DATA, 0x4000)) {
        return false;
    }
    memset((void *)(uintptr_t)HOST_DATA, 1, 0x4000);
    mprotect((void *)(uintptr_t)(HOST_DATA + 0x2000), 0x1000, PROT_READ);
    mprotect((void *)(uintptr_t)(HOST_DATA + 0x3000), 0x1000, PROT_NONE);
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    CHECK(sigaltstack(&alternate, NULL) == 0);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &action, NULL);
    }
    struct emitter e = {(u8 *)(uintptr_t)TAIL};
    emit(&e, "\x41\x5F\x41\x5E\x41\x5D\x41\x5C\x5D\x5B\xC3", 11);
    e.at = (u8 *)(uintptr_t)FULL_TAIL;
    emit_mov(&e, 0x8B, 4, FIELD_ADDRESS(host_rsp));
    emit(&e, "\x9C", 1); // pushfq
    emit_stack(&e, 0x8F, 0, FIELD_ADDRESS(out_flags));
    emit(&e, "\xFC", 1); // cld
    emit_jump(&e, TAIL);
    return true;
}

u8 *host_data(void)
{
    return (u8 *)(uintptr_t)HOST_DATA;
}

void host_fill_data(const u8 *bytes)
{
    static bool filled;
    memcpy(host_data(), bytes, 0x2000);
    if (!filled) {
        mprotect(host_data() + 0x2000, 0x1000, PROT_READ | PROT_WRITE);
        memcpy(host_data() + 0x2000, bytes + 0x2000, 0x1000);
        mprotect(host_data() + 0x2000, 0x1000, PROT_READ);
        filled = true;
    }
}

static void set_data_segments(u16 selector)
{
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"((u32)selector));
}

// Hands the registers over and notes at which RIP a fault is the instruction's.
static void begin_run(const struct host_state *state, u64 rip)
{
    memcpy(context()->in, state->gpr, sizeof(state->gpr));
    context()->in_flags = (state->rflags & 0xCD5) | 0x202;
    trap.insn = rip;
    trap.vector = -1;
    trap.error_code = trap.cr2 = 0;
}

static void enter_code(void)
{
    void (*entry)(void);
    u64 code = HOST_CODE;
    memcpy(&entry, &code, sizeof(entry));
    entry();
}

static void end_run(struct host_state *state)
{
    set_data_segments(0);
    memcpy(state->gpr, context()->out, sizeof(state->gpr));
    state->rflags = context()->out_flags;
    state->rip = context()->out_rip;
    state->vector = trap.vector;
    state->error_code = trap.error_code;
    state->cr2 = trap.cr2;
}

void host_run(const u8 *insn, unsigned size, u64 address, bool code32, struct host_state *state)
{
    struct emitter e = {(u8 *)(uintptr_t)HOST_CODE};
    void (*epilogue)(struct emitter * e, u64 rip) = code32 ? emit_epilogue32 : emit_epilogue;
    memset(context(), 0, sizeof(struct context));
    emit_prologue(&e, address, code32);
    e.at = (u8 *)(uintptr_t)address;
    emit(&e, insn, size);
    epilogue(&e, address + size);
    e.at = (u8 *)(uintptr_t)HOST_TARGET;
    epilogue(&e, HOST_TARGET);
    begin_run(state, address);
    set_data_segments(code32 ? LINUX_DATA : 0);
    enter_code();
    end_run(state);
}

bool host_set_segment(unsigned index, const struct host_segment *s)
{
    struct user_desc d = {.entry_number = index,
                          .base_addr = s->base,
                          .limit = s->limit,
                          .seg_32bit = s->is_32,
                          .contents = s->code ? 2 : s->expand_down,
                          .read_exec_only = s->read_only,
                          .useable = 1};
    return syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)) == 0;
}

void host_last_selectors(u16 selectors[3])
{
    memcpy(selectors, context()->out_selectors, 3 * sizeof(u16));
}

static void emit_segment_prologue(struct emitter *e, u32 offset, u16 code, u16 stack)
{
    emit(e, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); // push rbx rbp r12-r15
    emit_mov(e, 0x89, 4, FIELD_ADDRESS(host_rsp));
    emit_stack(e, 0xFF, 6, FIELD_ADDRESS(in_flags));
    emit(e, "\x9D", 1); // popfq
    for (unsigned i = 0; i < 16; i++) {
        emit_mov(e, 0x8B, i, FIELD_ADDRESS(in) + i * 8);
    }
    context()->far_offset = offset;
    context()->far_selector = code;
    context()->stack_selector = stack;
    emit_stack(e, 0x8E, 2, FIELD_ADDRESS(stack_selector)); // mov ss
    emit_stack(e, 0xFF, 5, FIELD_ADDRESS(far_offset));     // jmp far
}

// Selectors and registers stored by 64-bit code, and back to C. rip: as emit_epilogue().
static void emit_segment_tail(u64 at, u64 rip)
{
    struct emitter e = {(u8 *)(uintptr_t)at};
    emit_stack(&e, 0x8C, 2, FIELD_ADDRESS(out_selectors[0])); // mov selector, of SS, DS, ES
    emit_stack(&e, 0x8C, 3, FIELD_ADDRESS(out_selectors[1]));
    emit_stack(&e, 0x8C, 0, FIELD_ADDRESS(out_selectors[2]));
    emit_epilogue(&e, rip);
}

static void emit_far_jump(struct emitter *e, bool is_32, u32 tail)
{
    u16 code64 = LINUX_CODE64;
    emit(e, &"\x66\xEA"[is_32], 2u - is_32);
    emit(e, &tail, 4);
    emit(e, &code64, 2);
}

void host_run_segments(const u8 *insn, unsigned size, u64 address, const u16 selectors[4], bool is_32,
                       struct host_state *state)
{
    struct emitter e = {(u8 *)(uintptr_t)HOST_CODE};
    u32 offset = (u32)(address - HOST_CODE);
    memset(context(), 0, sizeof(struct context));
    emit_segment_prologue(&e, offset, selectors[0], selectors[1]);
    emit_segment_tail(SEGMENT_TAIL, offset + size);
    emit_segment_tail(SEGMENT_TARGET_TAIL, HOST_TARGET - HOST_CODE);
    e.at = (u8 *)(uintptr_t)address;
    emit(&e, insn, size);
    emit_far_jump(&e, is_32, SEGMENT_TAIL);
    e.at = (u8 *)(uintptr_t)HOST_TARGET;
    emit_far_jump(&e, is_32, SEGMENT_TARGET_TAIL);
    begin_run(state, offset);
    __asm__ volatile("mov %0, %%ds\n\tmov %1, %%es" : : "r"((u32)selectors[2]), "r"((u32)selectors[3]));
    enter_code();
    __asm__ volatile("mov %0, %%ss" : : "r"((u32)LINUX_DATA));
    end_run(state);
}
