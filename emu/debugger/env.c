// SPDX-License-Identifier: MIT
// Names in expressions: registers, quantities like $cpl, $step, $pid, and symbols.
#include "debugger/target_internal.h"
#include "debugger/walk.h"

#include "base/bits.h"
#include "trace/guest_view.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_SEARCHED 4096u

#define REG(field) offsetof(struct cpu_regs, field)

static const struct register_name {
    const char *name;
    u32 offset;
    u8 size, shift; // bytes of it; first bit
} registers[] = {
    {"rax", REG(gpr[0]), 8, 0},
    {"rcx", REG(gpr[1]), 8, 0},
    {"rdx", REG(gpr[2]), 8, 0},
    {"rbx", REG(gpr[3]), 8, 0},
    {"rsp", REG(gpr[4]), 8, 0},
    {"rbp", REG(gpr[5]), 8, 0},
    {"rsi", REG(gpr[6]), 8, 0},
    {"rdi", REG(gpr[7]), 8, 0},
    {"r8", REG(gpr[8]), 8, 0},
    {"r9", REG(gpr[9]), 8, 0},
    {"r10", REG(gpr[10]), 8, 0},
    {"r11", REG(gpr[11]), 8, 0},
    {"r12", REG(gpr[12]), 8, 0},
    {"r13", REG(gpr[13]), 8, 0},
    {"r14", REG(gpr[14]), 8, 0},
    {"r15", REG(gpr[15]), 8, 0},
    {"eax", REG(gpr[0]), 4, 0},
    {"ecx", REG(gpr[1]), 4, 0},
    {"edx", REG(gpr[2]), 4, 0},
    {"ebx", REG(gpr[3]), 4, 0},
    {"esp", REG(gpr[4]), 4, 0},
    {"ebp", REG(gpr[5]), 4, 0},
    {"esi", REG(gpr[6]), 4, 0},
    {"edi", REG(gpr[7]), 4, 0},
    {"ax", REG(gpr[0]), 2, 0},
    {"cx", REG(gpr[1]), 2, 0},
    {"dx", REG(gpr[2]), 2, 0},
    {"bx", REG(gpr[3]), 2, 0},
    {"si", REG(gpr[6]), 2, 0},
    {"di", REG(gpr[7]), 2, 0},
    {"al", REG(gpr[0]), 1, 0},
    {"cl", REG(gpr[1]), 1, 0},
    {"dl", REG(gpr[2]), 1, 0},
    {"bl", REG(gpr[3]), 1, 0},
    {"ah", REG(gpr[0]), 1, 8},
    {"ch", REG(gpr[1]), 1, 8},
    {"dh", REG(gpr[2]), 1, 8},
    {"bh", REG(gpr[3]), 1, 8},
    {"rip", REG(rip), 8, 0},
    {"rflags", REG(rflags), 8, 0},
    {"pc", REG(rip), 8, 0},
    {"sp", REG(gpr[4]), 8, 0},
    {"fp", REG(gpr[5]), 8, 0},
    {"eflags", REG(rflags), 4, 0},
    {"cs", REG(seg[CPU_CS].selector), 2, 0},
    {"ss", REG(seg[CPU_SS].selector), 2, 0},
    {"ds", REG(seg[CPU_DS].selector), 2, 0},
    {"es", REG(seg[CPU_ES].selector), 2, 0},
    {"fs", REG(seg[CPU_FS].selector), 2, 0},
    {"gs", REG(seg[CPU_GS].selector), 2, 0},
    {"fs_base", REG(seg[CPU_FS].base), 8, 0},
    {"gs_base", REG(seg[CPU_GS].base), 8, 0},
    {"k_gs_base", REG(kernel_gs_base), 8, 0},
    {"cr0", REG(cr0), 8, 0},
    {"cr2", REG(cr2), 8, 0},
    {"cr3", REG(cr3), 8, 0},
    {"cr4", REG(cr4), 8, 0},
    {"cr8", REG(cr8), 8, 0},
    {"efer", REG(efer), 8, 0},
    {"star", REG(star), 8, 0},
    {"lstar", REG(lstar), 8, 0},
    {"cstar", REG(cstar), 8, 0},
    {"sfmask", REG(sfmask), 8, 0},
    {"gdtr", REG(gdtr_base), 8, 0},
    {"idtr", REG(idtr_base), 8, 0},
    {"tr", REG(tr.selector), 2, 0},
    {"tr_base", REG(tr.base), 8, 0},
    {"ldtr", REG(ldtr.selector), 2, 0},
    {"halted", REG(halted), 1, 0},
};

static const struct register_name *find_register(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(registers); i++) {
        if (strcmp(registers[i].name, name) == 0) {
            return &registers[i];
        }
    }
    return NULL;
}

// Of the running task's kernel stack; 0: not known.
static u64 stack_top(struct target *t)
{
    enum guest_task_identity identity;
    u64 rsp0 = guest_task_key(t->m, t->cpu, &identity);
    struct guest_task task;
    if (identity == GUEST_TASK_BY_STACK) {
        return rsp0;
    }
    bool known = t->guest && guest_current(t->guest, t->cpu, &task) && task.kernel_stack;
    return known ? task.kernel_stack + GUEST_KERNEL_STACK_BYTES : 0;
}

// Of a kernel whose stacks are not known: the task's last way into it, as far as events are kept.
static s64 last_call(struct target *t)
{
    u64 task = target_task(t), end = events_before(t->events, timeline_step(t->timeline) + 1);
    for (u64 i = end; i > 0 && end - i < EVENTS_SEARCHED; i--) {
        const struct event_row *row = events_get(t->events, i - 1);
        if (row->event.kind == PROBE_transition && row->task == task && row->event.from_cpl == 3) {
            return row->syscall;
        }
    }
    return -1;
}

s64 target_syscall_number(struct target *t)
{
    struct cpu_regs regs;
    target_regs(t, &regs);
    if (regs.cpl && regs.rip == regs.lstar) {
        return -1;
    }
    if (regs.rip == regs.lstar && !regs.cpl) { // SYSCALL has just been executed
        return (s64)regs.gpr[CPU_RAX];
    }
    // The frame of the entry at the top of the task's kernel stack, as fern and Linux build it: SS,
    // RSP, RFLAGS, CS, RIP, the call's number, RDI, RSI, RDX, RCX, RAX, R8-R11. SYSCALL alone
    // leaves RCX = RIP and R11 = RFLAGS; an interrupt leaves its error code where the number would
    // be.
    u64 top = stack_top(t), frame[15];
    struct walk_space space = walk_space_of_cpu(t->m, t->cpu);
    if (t->guest && guest_is_linux(t->guest)) {
        space = guest_kernel_space(t->guest); // a program's own tables may not show it
    }
    if (!top) {
        return last_call(t);
    }
    if (walk_read(&space, top - sizeof(frame), frame, sizeof(frame)) != sizeof(frame)) {
        return -1;
    }
    u64 r11 = frame[0], rcx = frame[5], number = frame[9], rip = frame[10], flags = frame[12];
    return rcx == rip && r11 == flags && number < 4096 ? (s64)number : -1;
}

static u64 quantity_step(struct target *t)
{
    return timeline_step(t->timeline);
}

static u64 quantity_vtime(struct target *t)
{
    return vclock_ns(machine_clock(t->m));
}

static u64 quantity_cpl(struct target *t)
{
    struct cpu_regs regs;
    target_regs(t, &regs);
    return regs.cpl;
}

static u64 quantity_pid(struct target *t)
{
    return (u64)target_pid(t);
}

static u64 quantity_cpu(struct target *t)
{
    return t->cpu;
}

static u64 quantity_syscall(struct target *t)
{
    return (u64)target_syscall_number(t);
}

static u64 quantity_last(struct target *t)
{
    return t->last_address;
}

static const struct quantity {
    const char *name;
    u64 (*get)(struct target *t);
} quantities[] = {
    {"step", quantity_step}, {"vtime", quantity_vtime},     {"cpl", quantity_cpl},
    {"pid", quantity_pid},   {"task", target_task},         {"cpu", quantity_cpu},
    {"_", quantity_last},    {"syscall", quantity_syscall},
};

bool target_variable(struct target *t, const char *name, u64 *value)
{
    const struct register_name *r = find_register(name);
    if (r) {
        struct cpu_regs regs;
        u64 raw = 0;
        target_regs(t, &regs);
        memcpy(&raw, (const u8 *)&regs + r->offset, r->shift ? 8 : r->size);
        *value = bits_truncate(raw >> r->shift, r->size);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(quantities); i++) {
        if (strcmp(quantities[i].name, name) == 0) {
            *value = quantities[i].get(t);
            return true;
        }
    }
    return false;
}

bool target_set_variable(struct target *t, const char *name, u64 value)
{
    const struct register_name *r = find_register(name);
    if (!r) {
        return false;
    }
    struct cpu_regs regs;
    target_regs(t, &regs);
    u8 *field = (u8 *)&regs + r->offset + r->shift / 8;
    if (r->size == 4 && r->offset < REG(gpr[16])) { // as the CPU does (SDM 1 3.4.1.1)
        value = bits_truncate(value, 4);
        memcpy(field, &value, 8);
    } else {
        memcpy(field, &value, r->size);
    }
    target_set_regs(t, t->cpu, &regs);
    return true;
}

void target_each_variable(void (*fn)(void *ctx, const char *name), void *ctx)
{
    for (size_t i = 0; i < ARRAY_LEN(registers); i++) {
        fn(ctx, registers[i].name);
    }
    for (size_t i = 0; i < ARRAY_LEN(quantities); i++) {
        fn(ctx, quantities[i].name);
    }
}

static bool env_variable(void *ctx, const char *name, u64 *value)
{
    return target_variable(ctx, name, value);
}

static bool env_symbol(void *ctx, const char *name, u64 *value)
{
    struct target *t = ctx;
    if (!t->symbols || symbols_address(t->symbols, name, value)) {
        return t->symbols != NULL;
    }
    symbols_set_program(t->symbols, NULL); // a name of a program that does not run now
    bool found = symbols_address(t->symbols, name, value);
    target_choose_program(t);
    return found;
}

struct expr_env target_env(struct target *t)
{
    return (struct expr_env){
        .variable = env_variable, .symbol = env_symbol, .read = target_read_all, .ctx = t};
}

struct status target_evaluate(struct target *t, const char *text, struct expr_value *out)
{
    struct expr_env env = target_env(t);
    return expr_evaluate(text, &env, out);
}

bool target_condition(struct target *t, const char *text)
{
    if (!*text) {
        return true;
    }
    struct expr_value value;
    struct status s = target_evaluate(t, text, &value);
    return status_ok(&s) && value.value != 0;
}
