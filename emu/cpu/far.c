// SPDX-License-Identifier: MIT
// Far transfers: JMP, CALL, RET through code segments and call gates, IRET (SDM 2A, 3A 5.8).
#include "cpu/gate.h"
#include "cpu/interp/operand.h"
#include "cpu/segment.h"

#include <string.h>

#define IRET_FLAGS                                                                                 \
    (u64)(RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)

#define VM86_IRET_FLAGS (IRET_FLAGS | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP)

static void probe_from(struct cpu *cpu, enum transition_cause cause, u8 from_cpl)
{
    if (transition_probed(cpu)) {
        struct transition t = {cause, from_cpl, 0, 0, insn_rip(cpu, cpu->current)};
        cpu_probe_transition(cpu, &t);
    }
}

// #GP(selector), or #NP(selector) for a segment that is not present.
static bool refuse(struct cpu *cpu, const struct descriptor *d)
{
    return raise_gp(cpu, selector_error(d->selector));
}

static bool check_present(struct cpu *cpu, const struct descriptor *d)
{
    return (d->attributes & SEGMENT_P) ||
           raise_fault_code(cpu, EXC_NP, selector_error(d->selector));
}

static bool is_conforming(const struct descriptor *d)
{
    return d->attributes & SEGMENT_CONFORMING;
}

// L and D together are reserved in IA-32e mode.
static bool bad_size_bits(const struct cpu *cpu, const struct descriptor *d)
{
    return cpu_in_lma(cpu) && (d->attributes & SEGMENT_L) && (d->attributes & SEGMENT_DB);
}

static bool read_target(struct cpu *cpu, u16 selector, struct descriptor *d)
{
    if (!selector_error(selector)) {
        return raise_gp(cpu, 0);
    }
    return descriptor_read(cpu, selector, false, EXC_GP, 0, d);
}

// A direct far JMP or CALL to a code segment: privilege stays.
static bool check_direct(struct cpu *cpu, const struct descriptor *d)
{
    unsigned dpl = descriptor_dpl(d), rpl = d->selector & 3u;
    bool allowed = is_conforming(d) ? dpl <= cpu->cpl : rpl <= cpu->cpl && dpl == cpu->cpl;
    if (!allowed || bad_size_bits(cpu, d)) {
        return refuse(cpu, d);
    }
    return check_present(cpu, d);
}

struct gate {
    u16 selector;
    u64 offset;
    unsigned parameters; // call gates outside IA-32e mode
    unsigned width;      // bytes of what is pushed
};

// Reads and checks the call gate that the descriptor turned out to be.
static bool read_call_gate(struct cpu *cpu, const struct descriptor *d, struct gate *gate)
{
    struct descriptor wide;
    unsigned type = d->attributes & SEGMENT_TYPE, dpl = descriptor_dpl(d);
    bool lma = cpu_in_lma(cpu);
    if (type != SYS_CALL_GATE && (type != SYS_CALL_GATE16 || lma)) {
        return refuse(cpu, d);
    }
    if (dpl < cpu->cpl || dpl < (d->selector & 3u)) {
        return refuse(cpu, d);
    }
    if (!check_present(cpu, d)) {
        return false;
    }
    gate->selector = (u16)bits_get(d->low, 16, 16);
    gate->offset =
        bits_get(d->low, 0, 16) | (type == SYS_CALL_GATE ? bits_get(d->low, 48, 16) << 16 : 0);
    gate->parameters = (unsigned)bits_get(d->low, 32, 5);
    gate->width = type == SYS_CALL_GATE ? 4 : 2;
    if (lma) {
        if (!descriptor_read(cpu, d->selector, true, EXC_GP, 0, &wide)) {
            return false;
        }
        if (wide.high >> 40 & 0x1F) {
            return refuse(cpu, d);
        }
        gate->offset |= (u64)(u32)wide.high << 32;
        gate->parameters = 0;
        gate->width = 8;
    }
    return true;
}

// The code segment behind a gate. more: CALL may go to an inner ring.
static bool read_gate_target(struct cpu *cpu, const struct gate *gate, bool more,
                             struct descriptor *code)
{
    if (!read_target(cpu, gate->selector, code)) {
        return false;
    }
    unsigned dpl = descriptor_dpl(code);
    bool allowed = is_conforming(code) || more ? dpl <= cpu->cpl : dpl == cpu->cpl;
    if (!descriptor_is_code(code) || !allowed) {
        return refuse(cpu, code);
    }
    if (cpu_in_lma(cpu) && (!(code->attributes & SEGMENT_L) || (code->attributes & SEGMENT_DB))) {
        return refuse(cpu, code);
    }
    return check_present(cpu, code);
}

// Whether JMP and CALL by it switch tasks: a TSS or a task gate outside IA-32e mode.
static bool is_task(const struct cpu *cpu, const struct descriptor *d)
{
    unsigned type = d->attributes & SEGMENT_TYPE;
    return !cpu_in_lma(cpu) && !(d->attributes & SEGMENT_S) &&
           (type == SYS_TASK_GATE || (type & 5) == SYS_TSS16);
}

static bool far_task(struct cpu *cpu, const struct descriptor *d, enum task_cause how)
{
    unsigned dpl = descriptor_dpl(d);
    struct task_switch s = {
        .how = how, .selector = d->selector, .next_rip = insn_next_rip(cpu, cpu->current)};
    if (dpl < cpu->cpl || dpl < (d->selector & 3u)) {
        return refuse(cpu, d);
    }
    if ((d->attributes & SEGMENT_TYPE) == SYS_TASK_GATE) {
        if (!check_present(cpu, d)) {
            return false;
        }
        s.selector = (u16)bits_get(d->low, 16, 16);
    }
    return task_switch_insn(cpu, &s);
}

static bool paragraph_jump(struct cpu *cpu, u16 selector, u64 offset)
{
    if (offset > cpu->seg[CPU_CS].limit) {
        return raise_gp(cpu, 0);
    }
    cpu->seg[CPU_CS].selector = selector;
    cpu->seg[CPU_CS].base = (u64)selector << 4;
    cpu->rip = offset;
    return true;
}

bool cpu_far_jump(struct cpu *cpu, u16 selector, u64 offset, unsigned operand_size)
{
    struct descriptor d;
    struct gate gate;
    offset = bits_truncate(offset, operand_size);
    if (cpu_paragraphs(cpu)) {
        return paragraph_jump(cpu, selector, offset);
    }
    if (!read_target(cpu, selector, &d)) {
        return false;
    }
    if (descriptor_is_code(&d)) {
        if (!check_direct(cpu, &d)) {
            return false;
        }
    } else {
        if (d.attributes & SEGMENT_S) {
            return refuse(cpu, &d);
        }
        if (is_task(cpu, &d)) {
            return far_task(cpu, &d, TASK_JUMP);
        }
        if (!read_call_gate(cpu, &d, &gate) || !read_gate_target(cpu, &gate, false, &d)) {
            return false;
        }
        offset = gate.offset;
    }
    if (!code_target_valid(cpu, &d, offset)) {
        return raise_gp(cpu, 0);
    }
    if (!descriptor_set_type(cpu, &d, SEGMENT_ACCESSED)) {
        return false;
    }
    code_commit(cpu, &d, cpu->cpl, offset);
    probe_from(cpu, TRANSITION_FAR, cpu->cpl);
    return true;
}

// Appends a value of width bytes below what is already in the frame (which grows downward from its
// end).
static void frame_push(u8 frame[static 160], unsigned *used, u64 value, unsigned width)
{
    *used += width;
    memcpy(frame + 160 - *used, &value, width);
}

static bool copy_parameters(struct cpu *cpu, const struct gate *gate, u8 *frame, unsigned *used)
{
    struct stack old = stack_current(cpu);
    for (unsigned i = gate->parameters; i-- > 0;) {
        u64 value = 0;
        if (!stack_read(cpu, &old, i * gate->width, &value, gate->width)) {
            return false;
        }
        frame_push(frame, used, value, gate->width);
    }
    return true;
}

// Writes the whole frame as one access: all of it or nothing.
static bool frame_write(struct cpu *cpu, struct stack *stack, const u8 *frame, unsigned used)
{
    return stack_write(cpu, stack, frame + 160 - used, used);
}

// CALL through a gate to an inner ring: a new stack from the TSS, the old one's pointer and
// parameters on it.
static bool call_inner(struct cpu *cpu, const struct gate *gate, struct descriptor *code,
                       u64 next_rip)
{
    struct stack stack;
    u8 frame[160], from = cpu->cpl;
    unsigned used = 0, cpl = descriptor_dpl(code);
    if (!stack_from_tss(cpu, cpl, 0, &stack)) {
        return false;
    }
    frame_push(frame, &used, cpu->seg[CPU_SS].selector, gate->width);
    frame_push(frame, &used, cpu->gpr[CPU_RSP], gate->width);
    if (!copy_parameters(cpu, gate, frame, &used)) {
        return false;
    }
    frame_push(frame, &used, cpu->seg[CPU_CS].selector, gate->width);
    frame_push(frame, &used, next_rip, gate->width);
    if (!code_target_valid(cpu, code, gate->offset)) {
        return raise_gp(cpu, 0);
    }
    if (!descriptor_set_type(cpu, code, SEGMENT_ACCESSED) ||
        !frame_write(cpu, &stack, frame, used)) {
        return false;
    }
    stack_commit(cpu, &stack);
    code_commit(cpu, code, cpl, gate->offset);
    probe_from(cpu, TRANSITION_FAR, from);
    return true;
}

static bool call_same(struct cpu *cpu, struct descriptor *code, u64 target, unsigned width,
                      u64 next_rip)
{
    struct stack stack = stack_current(cpu);
    u8 frame[160];
    unsigned used = 0;
    frame_push(frame, &used, cpu->seg[CPU_CS].selector, width);
    frame_push(frame, &used, next_rip, width);
    if (code && !code_target_valid(cpu, code, target)) {
        return raise_gp(cpu, 0);
    }
    if ((code && !descriptor_set_type(cpu, code, SEGMENT_ACCESSED)) ||
        !frame_write(cpu, &stack, frame, used)) {
        return false;
    }
    stack_commit(cpu, &stack);
    if (code) {
        code_commit(cpu, code, cpu->cpl, target);
        probe_from(cpu, TRANSITION_FAR, cpu->cpl);
    }
    return true;
}

bool cpu_far_call(struct cpu *cpu, u16 selector, u64 offset, unsigned operand_size, u64 next_rip)
{
    struct descriptor d;
    struct gate gate;
    offset = bits_truncate(offset, operand_size);
    if (cpu_paragraphs(cpu)) {
        if (offset > cpu->seg[CPU_CS].limit) {
            return raise_gp(cpu, 0);
        }
        return call_same(cpu, NULL, 0, operand_size, next_rip) &&
               paragraph_jump(cpu, selector, offset);
    }
    if (!read_target(cpu, selector, &d)) {
        return false;
    }
    if (descriptor_is_code(&d)) {
        return check_direct(cpu, &d) && call_same(cpu, &d, offset, operand_size, next_rip);
    }
    if (d.attributes & SEGMENT_S) {
        return refuse(cpu, &d);
    }
    if (is_task(cpu, &d)) {
        return far_task(cpu, &d, TASK_CALL);
    }
    if (!read_call_gate(cpu, &d, &gate) || !read_gate_target(cpu, &gate, true, &d)) {
        return false;
    }
    if (!is_conforming(&d) && descriptor_dpl(&d) < cpu->cpl) {
        return call_inner(cpu, &gate, &d, next_rip);
    }
    return call_same(cpu, &d, gate.offset, gate.width, next_rip);
}

// What RET and IRET take off the stack.
struct return_frame {
    u64 rip, rflags, rsp;
    u16 cs, ss;
    struct descriptor code, stack;
    bool has_stack; // SS:RSP are in the frame
    u64 end;        // bytes from the stack pointer to the frame's end
};

static bool frame_read(struct cpu *cpu, const struct stack *stack, u64 *at, unsigned width,
                       u64 *value)
{
    *value = 0;
    if (!stack_read(cpu, stack, *at, value, width)) {
        return false;
    }
    *at += width;
    return true;
}

static bool check_return_code(struct cpu *cpu, struct return_frame *f)
{
    if (!read_target(cpu, f->cs, &f->code)) {
        return false;
    }
    unsigned rpl = f->cs & 3u, dpl = descriptor_dpl(&f->code);
    bool allowed = is_conforming(&f->code) ? dpl <= rpl : dpl == rpl;
    if (!descriptor_is_code(&f->code) || rpl < cpu->cpl || !allowed ||
        bad_size_bits(cpu, &f->code)) {
        return refuse(cpu, &f->code);
    }
    return check_present(cpu, &f->code);
}

static bool check_return_stack(struct cpu *cpu, struct return_frame *f)
{
    unsigned rpl = f->cs & 3u;
    if (!selector_error(f->ss)) {
        bool to_64 = cpu_in_lma(cpu) && (f->code.attributes & SEGMENT_L);
        return (to_64 && rpl != 3 && (f->ss & 3u) == rpl) || raise_gp(cpu, 0);
    }
    if (!descriptor_read(cpu, f->ss, false, EXC_GP, 0, &f->stack)) {
        return false;
    }
    if ((f->ss & 3u) != rpl || !descriptor_is_writable_data(&f->stack) ||
        descriptor_dpl(&f->stack) != rpl) {
        return refuse(cpu, &f->stack);
    }
    if (!(f->stack.attributes & SEGMENT_P)) {
        return raise_fault_code(cpu, EXC_SS, selector_error(f->ss));
    }
    return descriptor_set_type(cpu, &f->stack, SEGMENT_ACCESSED);
}

// Commits a checked return; extra: immediate of RET, taken off the outer stack too.
static void commit_return(struct cpu *cpu, const struct stack *old, struct return_frame *f,
                          u64 extra)
{
    unsigned rpl = f->cs & 3u;
    bool outer = rpl > cpu->cpl, to_64 = cpu_in_lma(cpu) && (f->code.attributes & SEGMENT_L);
    struct stack stack = *old;
    if (f->has_stack) {
        if (selector_error(f->ss)) {
            segment_set(&stack.segment, f->ss, &f->stack);
        } else {
            segment_set_null(&stack.segment, f->ss);
        }
        stack.width = to_64 ? 8 : stack.segment.attributes & SEGMENT_DB ? 4 : 2;
        stack.pointer = stack.width == 2 ? f->rsp : bits_truncate(f->rsp, stack.width);
        stack.pointer = stack_offset(&stack, (s64)extra);
    } else {
        stack.pointer = stack_offset(old, (s64)(f->end + extra));
    }
    stack_commit(cpu, &stack);
    code_commit(cpu, &f->code, rpl, f->rip);
    if (outer) {
        segments_drop_privileged(cpu);
    }
}

// RET and IRET of real and virtual-8086 mode. IRET there keeps IOPL, VM, VIF and VIP in the latter.
static bool paragraph_return(struct cpu *cpu, unsigned width, u64 extra, bool with_flags)
{
    struct stack stack = stack_current(cpu);
    u64 at = 0, rip, cs, flags = 0;
    if (!frame_read(cpu, &stack, &at, width, &rip) || !frame_read(cpu, &stack, &at, width, &cs) ||
        (with_flags && !frame_read(cpu, &stack, &at, width, &flags))) {
        return false;
    }
    if (rip > cpu->seg[CPU_CS].limit) {
        return raise_gp(cpu, 0);
    }
    bool virtual = with_flags && cpu_if_is_virtual(cpu);
    if (virtual && !cpu_virtual_flags_allowed(cpu, (u16)flags)) {
        return false;
    }
    stack.pointer = stack_offset(&stack, (s64)(at + extra));
    stack_commit(cpu, &stack);
    cpu->seg[CPU_CS].selector = (u16)cs;
    cpu->seg[CPU_CS].base = (cs & 0xFFFF) << 4;
    cpu->rip = rip;
    if (virtual) {
        cpu_set_virtual_flags(cpu, (u16)flags);
    } else if (with_flags) {
        u64 mask = IRET_FLAGS | RFLAGS_IF | (cpu->rflags & RFLAGS_VM ? 0 : RFLAGS_IOPL);
        mask &= width == 2 ? 0xFFFF : ~UINT64_C(0);
        cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~mask) | (flags & mask));
    }
    if (with_flags) {
        cpu->nmi_blocked = false;
        cpu_context_changed(cpu);
    }
    return true;
}

bool cpu_far_return(struct cpu *cpu, unsigned operand_size, u16 pop_bytes)
{
    if (cpu_paragraphs(cpu)) {
        return paragraph_return(cpu, operand_size, pop_bytes, false);
    }
    struct stack stack = stack_current(cpu);
    struct return_frame f = {.has_stack = false};
    u8 from = cpu->cpl;
    u64 at = 0, cs, ss;
    if (!frame_read(cpu, &stack, &at, operand_size, &f.rip) ||
        !frame_read(cpu, &stack, &at, operand_size, &cs)) {
        return false;
    }
    f.cs = (u16)cs;
    f.end = at;
    if (!check_return_code(cpu, &f)) {
        return false;
    }
    if ((f.cs & 3u) > cpu->cpl) {
        at += pop_bytes;
        f.has_stack = true;
        if (!frame_read(cpu, &stack, &at, operand_size, &f.rsp) ||
            !frame_read(cpu, &stack, &at, operand_size, &ss)) {
            return false;
        }
        f.ss = (u16)ss;
        if (!check_return_stack(cpu, &f)) {
            return false;
        }
    }
    if (!code_target_valid(cpu, &f.code, f.rip)) {
        return raise_gp(cpu, 0);
    }
    if (!descriptor_set_type(cpu, &f.code, SEGMENT_ACCESSED)) {
        return false;
    }
    commit_return(cpu, &stack, &f, pop_bytes);
    probe_from(cpu, TRANSITION_FAR, from);
    return true;
}

// Flags that IRET takes from the image, by the privilege before the return (SDM 2A, IRET).
static u64 iret_flag_mask(const struct cpu *cpu, unsigned width)
{
    u64 mask = IRET_FLAGS;
    if (cpu->cpl <= (cpu->rflags & RFLAGS_IOPL) >> 12) {
        mask |= RFLAGS_IF;
    }
    if (!cpu->cpl) {
        mask |= RFLAGS_IOPL | RFLAGS_VIF | RFLAGS_VIP;
    }
    return width == 2 ? mask & 0xFFFF : mask;
}

static bool read_iret_frame(struct cpu *cpu, const struct stack *stack, unsigned width,
                            struct return_frame *f)
{
    u64 at = 0, cs, ss;
    if (!frame_read(cpu, stack, &at, width, &f->rip) || !frame_read(cpu, stack, &at, width, &cs) ||
        !frame_read(cpu, stack, &at, width, &f->rflags)) {
        return false;
    }
    f->cs = (u16)cs;
    f->end = at;
    if ((f->rflags & RFLAGS_VM) && width == 4 && !cpu->cpl && !cpu_in_lma(cpu)) {
        return true; // to virtual-8086 mode: CS is no selector
    }
    f->has_stack = cpu->long_mode || (f->cs & 3u) > cpu->cpl;
    if (f->has_stack) {
        if (!frame_read(cpu, stack, &at, width, &f->rsp) ||
            !frame_read(cpu, stack, &at, width, &ss)) {
            return false;
        }
        f->ss = (u16)ss;
    }
    f->end = at;
    return true;
}

// IRET from ring 0 to virtual-8086 mode: behind EIP, CS and EFLAGS lie ESP, SS, ES, DS, FS, GS.
static bool return_to_vm86(struct cpu *cpu, const struct stack *stack, const struct return_frame *f)
{
    static const u8 order[] = {CPU_SS, CPU_ES, CPU_DS, CPU_FS, CPU_GS};
    u64 at = 12, rsp, selectors[ARRAY_LEN(order)];
    bool good = frame_read(cpu, stack, &at, 4, &rsp);
    for (size_t i = 0; good && i < ARRAY_LEN(order); i++) {
        good = frame_read(cpu, stack, &at, 4, &selectors[i]);
    }
    if (!good) {
        return false;
    }
    if (f->rip > 0xFFFF) {
        return raise_gp(cpu, 0);
    }
    cpu_set_rflags(cpu, (f->rflags & VM86_IRET_FLAGS) | 2);
    cpu->gpr[CPU_RSP] = rsp;
    cpu->seg[CPU_CS].selector = f->cs;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        cpu->seg[order[i]].selector = (u16)selectors[i];
    }
    segments_set_vm86(cpu);
    cpu->rip = f->rip;
    cpu->cpl = 3;
    cpu->boundary = true;
    cpu->nmi_blocked = false;
    cpu_context_changed(cpu);
    probe_from(cpu, TRANSITION_IRET, 0);
    return true;
}

bool cpu_iret(struct cpu *cpu, unsigned operand_size)
{
    if (cpu_paragraphs(cpu)) {
        bool allowed = !(cpu->cr0 & CR0_PE) || (cpu->rflags & RFLAGS_IOPL) == RFLAGS_IOPL ||
                       (cpu_if_is_virtual(cpu) && operand_size == 2);
        return allowed ? paragraph_return(cpu, operand_size, 0, true) : raise_gp(cpu, 0);
    }
    if (cpu->rflags & RFLAGS_NT) {
        return cpu_in_lma(cpu) ? raise_gp(cpu, 0)
                               : task_return(cpu, insn_next_rip(cpu, cpu->current));
    }
    struct stack stack = stack_current(cpu);
    struct return_frame f;
    u8 from = cpu->cpl;
    if (!read_iret_frame(cpu, &stack, operand_size, &f)) {
        return false;
    }
    if ((f.rflags & RFLAGS_VM) && operand_size == 4 && !cpu->cpl && !cpu_in_lma(cpu)) {
        return return_to_vm86(cpu, &stack, &f);
    }
    if (!check_return_code(cpu, &f)) {
        return false;
    }
    if (f.has_stack && !check_return_stack(cpu, &f)) {
        return false;
    }
    if (!code_target_valid(cpu, &f.code, f.rip)) {
        return raise_gp(cpu, 0);
    }
    if (!descriptor_set_type(cpu, &f.code, SEGMENT_ACCESSED)) {
        return false;
    }
    u64 mask = iret_flag_mask(cpu, operand_size);
    cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~mask) | (f.rflags & mask));
    commit_return(cpu, &stack, &f, 0);
    cpu->nmi_blocked = false;
    probe_from(cpu, TRANSITION_IRET, from);
    return true;
}
