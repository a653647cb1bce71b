// SPDX-License-Identifier: MIT
// One delivery through the IDT in every mode (SDM 3A 6.12, 6.14; 2A, INT n).
#include "cpu/gate.h"

#include "cpu/interp/operand.h"
#include "cpu/segment.h"

#include <string.h>

#define ERROR_IDT 2u

struct gate {
    u16 selector;
    u64 offset;
    unsigned type, dpl, ist;
    bool present;
};

#define FRAME_VALUES 10

static bool is_soft(const struct event *event)
{
    return event->source == DELIVER_SOFT_INT || event->source == DELIVER_INT3 ||
           event->source == DELIVER_INTO;
}

// The EXT flag: the event was not caused by an instruction that asked for it.
static u32 ext_of(const struct event *event)
{
    return is_soft(event) ? 0 : 1;
}

static u32 idt_error(const struct event *event)
{
    return event->vector * 8u | ERROR_IDT | ext_of(event);
}

static bool read_gate(struct cpu *cpu, const struct event *event, struct gate *gate)
{
    u64 words[2] = {0, 0};
    unsigned size = cpu_in_lma(cpu) ? 16 : 8;
    u32 at = event->vector * size;
    if (at + size - 1 > cpu->idtr_limit) {
        return raise_gp(cpu, idt_error(event));
    }
    if (!mmu_system_read(cpu->mmu, cpu->idtr_base + at, words, size, &cpu->fault)) {
        return false;
    }
    gate->selector = (u16)bits_get(words[0], 16, 16);
    gate->offset = bits_get(words[0], 0, 16) | bits_get(words[0], 48, 16) << 16 | words[1] << 32;
    gate->type = (unsigned)bits_get(words[0], 40, 5);
    gate->dpl = (unsigned)bits_get(words[0], 45, 2);
    gate->present = words[0] & BIT(47);
    gate->ist = cpu_in_lma(cpu) ? (unsigned)bits_get(words[0], 32, 3) : 0;
    bool wide = gate->type == SYS_INTERRUPT_GATE || gate->type == SYS_TRAP_GATE;
    bool narrow = gate->type == SYS_INTERRUPT_GATE16 || gate->type == SYS_TRAP_GATE16;
    bool legacy = narrow || gate->type == SYS_TASK_GATE;
    if (!wide && (!legacy || cpu_in_lma(cpu))) {
        return raise_gp(cpu, idt_error(event));
    }
    if (narrow) {
        gate->offset &= 0xFFFF;
    }
    if (is_soft(event) && gate->dpl < cpu->cpl) {
        return raise_gp(cpu, idt_error(event));
    }
    return gate->present || raise_fault_code(cpu, EXC_NP, idt_error(event));
}

// The handler's code segment and the privilege it runs at.
static bool read_handler(struct cpu *cpu, const struct gate *gate, u32 ext, struct descriptor *code,
                         unsigned *cpl)
{
    if (!selector_error(gate->selector)) {
        return raise_gp(cpu, ext);
    }
    if (!descriptor_read(cpu, gate->selector, false, EXC_GP, ext, code)) {
        return false;
    }
    u32 error = selector_error(gate->selector) | ext;
    bool conforming = code->attributes & SEGMENT_CONFORMING;
    if (!descriptor_is_code(code) || descriptor_dpl(code) > cpu->cpl) {
        return raise_gp(cpu, error);
    }
    if ((cpu->rflags & RFLAGS_VM) && (conforming || descriptor_dpl(code))) {
        return raise_gp(cpu, error); // virtual-8086 mode is left for ring 0 alone
    }
    if (cpu_in_lma(cpu) && (!(code->attributes & SEGMENT_L) || (code->attributes & SEGMENT_DB))) {
        return raise_gp(cpu, error);
    }
    *cpl = conforming ? cpu->cpl : descriptor_dpl(code);
    return (code->attributes & SEGMENT_P) || raise_fault_code(cpu, EXC_NP, error);
}

static bool choose_stack(struct cpu *cpu, const struct gate *gate, unsigned cpl, u32 ext,
                         struct stack *stack)
{
    if (gate->ist) {
        *stack = stack_current(cpu);
        if (cpl != cpu->cpl) {
            segment_set_null(&stack->segment, (u16)cpl);
        }
        stack->cpl = (u8)cpl;
        stack->width = 8;
        stack->error = ext;
        if (!tss_read(cpu, 28 + 8 * gate->ist, &stack->pointer, 8, ext)) {
            return false;
        }
    } else if (cpl != cpu->cpl) {
        if (!stack_from_tss(cpu, cpl, ext, stack)) {
            return false;
        }
    } else {
        *stack = stack_current(cpu);
        stack->error = ext;
        if (cpu_in_lma(cpu)) {
            stack->width = 8;
            stack->pointer = cpu->gpr[CPU_RSP];
        }
    }
    if (cpu_in_lma(cpu)) {
        stack->pointer &= ~UINT64_C(15);
    }
    return true;
}

// RFLAGS as they are saved.
static u64 saved_flags(const struct cpu *cpu, const struct event *event)
{
    return cpu_rflags(cpu) | (event->save_rf ? RFLAGS_RF : 0);
}

// The frame, lowest address first: error code, RIP, CS, RFLAGS, RSP and SS where they are saved,
// and from virtual-8086 mode ES, DS, FS, GS.
static unsigned build_frame(const struct cpu *cpu, const struct event *event, unsigned width,
                            bool with_stack, u8 *frame)
{
    static const u8 data[] = {CPU_ES, CPU_DS, CPU_FS, CPU_GS};
    u64 values[FRAME_VALUES];
    unsigned n = 0;
    if (event->has_error_code) {
        values[n++] = event->error_code;
    }
    values[n++] = event->has_next_rip ? event->next_rip : cpu->rip;
    values[n++] = cpu->seg[CPU_CS].selector;
    values[n++] = saved_flags(cpu, event);
    if (with_stack) {
        values[n++] = cpu->gpr[CPU_RSP];
        values[n++] = cpu->seg[CPU_SS].selector;
    }
    for (size_t i = 0; (cpu->rflags & RFLAGS_VM) && i < ARRAY_LEN(data); i++) {
        values[n++] = cpu->seg[data[i]].selector;
    }
    for (unsigned i = 0; i < n; i++) {
        memcpy(frame + i * width, &values[i], width);
    }
    return n * width;
}

static void probe_delivery(struct cpu *cpu, const struct event *event, u64 rip, u8 from_cpl)
{
    static const u8 causes[] = {
        [DELIVER_EXCEPTION] = TRANSITION_EXCEPTION, [DELIVER_SOFT_INT] = TRANSITION_SOFT_INT,
        [DELIVER_INT3] = TRANSITION_SOFT_INT,       [DELIVER_INTO] = TRANSITION_SOFT_INT,
        [DELIVER_INT1] = TRANSITION_SOFT_INT,       [DELIVER_INTERRUPT] = TRANSITION_INTERRUPT,
        [DELIVER_NMI] = TRANSITION_INTERRUPT,
    };
    if (transition_probed(cpu)) {
        struct transition t = {causes[event->source], from_cpl, event->vector, event->error_code,
                               rip};
        cpu_probe_transition(cpu, &t);
    }
}

static void enter_handler(struct cpu *cpu, const struct event *event, const struct gate *gate,
                          const struct descriptor *code, unsigned cpl, const struct stack *stack)
{
    static const u8 data[] = {CPU_ES, CPU_DS, CPU_FS, CPU_GS};
    u8 from_cpl = cpu->cpl;
    u64 rip = cpu->rip;
    for (size_t i = 0; (cpu->rflags & RFLAGS_VM) && i < ARRAY_LEN(data); i++) {
        segment_set_null(&cpu->seg[data[i]], 0);
    }
    bool is_interrupt_gate = gate->type == SYS_INTERRUPT_GATE || gate->type == SYS_INTERRUPT_GATE16;
    u64 cleared =
        RFLAGS_TF | RFLAGS_NT | RFLAGS_VM | RFLAGS_RF | (is_interrupt_gate ? RFLAGS_IF : 0);
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~cleared);
    stack_commit(cpu, stack);
    code_commit(cpu, code, cpl, gate->offset);
    probe_delivery(cpu, event, event->has_next_rip ? insn_rip(cpu, cpu->current) : rip, from_cpl);
}

static bool enter_task(struct cpu *cpu, const struct event *event, const struct gate *gate)
{
    u8 from_cpl = cpu->cpl;
    u64 rip = event->has_next_rip ? insn_rip(cpu, cpu->current) : cpu->rip;
    struct task_switch s = {.how = TASK_CALL,
                            .selector = gate->selector,
                            .next_rip = event->has_next_rip ? event->next_rip : cpu->rip,
                            .ext = ext_of(event),
                            .error_code = event->error_code,
                            .has_error_code = event->has_error_code,
                            .save_rf = event->save_rf};
    if (!task_enter(cpu, &s)) {
        return false;
    }
    probe_delivery(cpu, event, rip, from_cpl);
    return true;
}

static bool enter_protected(struct cpu *cpu, const struct event *event)
{
    struct gate gate;
    struct descriptor code;
    struct stack stack;
    u8 frame[8 * FRAME_VALUES];
    unsigned cpl;
    u32 ext = ext_of(event);
    if (!read_gate(cpu, event, &gate)) {
        return false;
    }
    if (gate.type == SYS_TASK_GATE) {
        return enter_task(cpu, event, &gate);
    }
    if (!read_handler(cpu, &gate, ext, &code, &cpl) ||
        !choose_stack(cpu, &gate, cpl, ext, &stack)) {
        return false;
    }
    bool lma = cpu_in_lma(cpu),
         narrow = gate.type == SYS_INTERRUPT_GATE16 || gate.type == SYS_TRAP_GATE16;
    unsigned width = lma ? 8 : narrow ? 2 : 4;
    unsigned size = build_frame(cpu, event, width, lma || cpl != cpu->cpl, frame);
    if (!code_target_valid(cpu, &code, gate.offset)) {
        return raise_gp(cpu, ext);
    }
    if (!descriptor_set_type(cpu, &code, SEGMENT_ACCESSED) ||
        !stack_write(cpu, &stack, frame, size)) {
        return false;
    }
    enter_handler(cpu, event, &gate, &code, cpl, &stack);
    return true;
}

// To the handler that a table of far pointers names, with a 6-byte frame; the given flags are
// saved, then some cleared.
static bool enter_8086(struct cpu *cpu, const struct event *event, u64 table, u64 saved,
                       u64 cleared)
{
    struct stack stack = stack_current(cpu);
    u16 vector[2];
    u16 frame[3] = {(u16)(event->has_next_rip ? event->next_rip : cpu->rip),
                    cpu->seg[CPU_CS].selector, (u16)saved};
    if (!mmu_system_read(cpu->mmu, table + event->vector * 4u, vector, 4, &cpu->fault) ||
        !stack_write(cpu, &stack, frame, sizeof(frame))) {
        return false;
    }
    u64 rip = cpu->rip;
    stack_commit(cpu, &stack);
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~cleared);
    cpu->seg[CPU_CS].selector = vector[1];
    cpu->seg[CPU_CS].base = (u64)vector[1] << 4;
    cpu->rip = vector[0];
    cpu_context_changed(cpu);
    probe_delivery(cpu, event, event->has_next_rip ? insn_rip(cpu, cpu->current) : rip, cpu->cpl);
    return true;
}

// Real mode: no error codes (SDM 3B 20.1.4).
static bool enter_real(struct cpu *cpu, const struct event *event)
{
    if (event->vector * 4u + 3 > cpu->idtr_limit) {
        return raise_gp(cpu, idt_error(event));
    }
    return enter_8086(cpu, event, cpu->idtr_base, cpu_rflags(cpu),
                      RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
}

// The bit of the TSS' map of redirected interrupts, 32 bytes below the I/O map (SDM 3B 21.3.3.4).
static bool is_kept(struct cpu *cpu, u8 vector, bool *kept)
{
    u16 io_map;
    u8 bits;
    if (!(cpu->tr.attributes & SEGMENT_P) || !(cpu->tr.attributes & 8) || cpu->tr.limit < 0x67) {
        return raise_gp(cpu, 0);
    }
    if (!mmu_system_read(cpu->mmu, cpu->tr.base + 0x66, &io_map, 2, &cpu->fault)) {
        return false;
    }
    u32 at = io_map - 32u + vector / 8u;
    if (at > cpu->tr.limit) {
        return raise_gp(cpu, 0);
    }
    if (!mmu_system_read(cpu->mmu, cpu->tr.base + at, &bits, 1, &cpu->fault)) {
        return false;
    }
    *kept = bits >> (vector & 7) & 1;
    return true;
}

// INT n of virtual-8086 mode: to the 8086 program's own handler, if there is VME and the TSS says
// so; else as a privileged instruction (SDM 3B table 21-2).
static bool enter_from_vm86(struct cpu *cpu, const struct event *event)
{
    bool kept = true, privileged = (cpu->rflags & RFLAGS_IOPL) != RFLAGS_IOPL;
    if ((cpu->cr4 & CR4_VME) && !is_kept(cpu, event->vector, &kept)) {
        return false;
    }
    if (kept) {
        return privileged ? raise_gp(cpu, 0) : enter_protected(cpu, event);
    }
    if (!privileged) {
        return enter_8086(cpu, event, 0, cpu_rflags(cpu), RFLAGS_IF | RFLAGS_TF | RFLAGS_RF);
    }
    u64 saved = (cpu_rflags(cpu) & ~(u64)RFLAGS_IF) | RFLAGS_IOPL;
    saved |= cpu->rflags & RFLAGS_VIF ? RFLAGS_IF : 0;
    return enter_8086(cpu, event, 0, saved, RFLAGS_VIF | RFLAGS_TF | RFLAGS_RF);
}

bool gate_enter(struct cpu *cpu, const struct event *event)
{
    cpu->task_switched = false;
    if (!(cpu->cr0 & CR0_PE)) {
        return enter_real(cpu, event);
    }
    bool from_vm86 = (cpu->rflags & RFLAGS_VM) && event->source == DELIVER_SOFT_INT;
    return from_vm86 ? enter_from_vm86(cpu, event) : enter_protected(cpu, event);
}
