// SPDX-License-Identifier: MIT
// The interpreter against the host's own CPU: every row of x86_ops.def that names forms, in every
// form and width, on random and edge operands, on page edges, with faults. Compared: registers,
// defined flags, memory, exception. Usage: test_oracle [TRIALS-PER-COMBINATION [SEED [TLB
// [MNEMONIC [report]]]]], TLB 0 full, 1 tiny, 2 off; 3 more for 32-bit code; MNEMONIC "": all; report: a line
// "row NAME FORM BITS CASES FAULTS" for each combination (tools/isa_report)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bits.h"
#include "isa/op_columns.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

struct session {
    struct bare *guest;
    u8 fill[HOST_DATA_BYTES]; // what the data pages hold before each trial
    bool code32, report;
    bool translated; // with steps in reserve, which translated code needs
    u64 trials, failures, faults;
    unsigned empty;                // combinations that the encoder refused
    u64 unlike_host[X86_OP_COUNT]; // trials in which undefined flags differ from the host's
};

static u8 *guest_data(struct session *s)
{
    return s->guest->mem->ram + HOST_DATA;
}

static void session_init(struct session *s, struct random *r, enum tlb_geometry geometry)
{
    s->guest = bare_create(geometry);
    s->translated = getenv("VIV_TEST_HOT") != NULL;
    for (u64 a = BARE_USER; a < BARE_RAM_BYTES; a += PAGE_SIZE) {
        bool code = a < HOST_CODE + 0x3000, rw = a >= HOST_DATA && a < HOST_DATA + 0x2000;
        bare_set_page(s->guest, a,
                      code || rw                ? BARE_PAGE_WRITE
                      : a == HOST_DATA + 0x2000 ? BARE_PAGE_READ
                                                : BARE_PAGE_ABSENT);
    }
    for (unsigned i = 0; i < sizeof(s->fill); i++) {
        s->fill[i] = random_below(r, 4) ? (u8)random_u64(r) : 0;
    }
}

static void guest_run(struct session *s, struct random *r, const struct trial *t,
                      struct host_state *state)
{
    static const u8 stop[2] = {0xEB, 0xFE}; // jmp $: steps there change nothing
    bare_renew_code(s->guest, t->address);
    physmem_write(s->guest->mem, HOST_TARGET, stop, 2);
    physmem_write(s->guest->mem, t->address, t->bytes, t->size);
    physmem_write(s->guest->mem, t->address + t->size, stop, 2);
    struct cpu_regs regs = bare_user_regs(s->guest, t->address);
    regs.seg[CPU_CS].attributes = t->code32 ? 0xC0FB : regs.seg[CPU_CS].attributes;
    memcpy(regs.gpr, state->gpr, sizeof(state->gpr));
    regs.rflags = state->rflags;
    cpu_set_regs(s->guest->cpu, &regs);
    for (unsigned i = 0;
         i < 3000 && regs.rip != t->address + t->size && regs.rip != HOST_TARGET && regs.cpl == 3;
         i++) {
        cpu_run(s->guest->cpu, s->translated ? 200 : random_below(r, 4) ? 1 : random_below(r, 40));
        cpu_get_regs(s->guest->cpu, &regs);
    }
    struct bare_exception e = bare_exception(s->guest);
    memcpy(state->gpr, regs.gpr, sizeof(state->gpr));
    state->rflags = e.vector >= 0 ? e.rflags : regs.rflags;
    state->rip = e.vector >= 0 ? e.rip : regs.rip;
    state->gpr[4] = e.vector >= 0 ? e.rsp : regs.gpr[4];
    state->vector = e.vector;
    state->error_code = e.error_code;
    state->cr2 = e.vector == 14 ? regs.cr2 : 0;
}

static bool states_equal(const struct trial *t, const struct host_state *a,
                         const struct host_state *b)
{
    u64 flags = (F_OSZAPC | 0x400) & ~t->flags_unknown;
    // Outside our pages the host may have something mapped: the error code's P bit is its own.
    u64 code = a->vector == 14 && a->cr2 - HOST_CODE >= 0x200000 ? ~UINT64_C(1) : UINT64_MAX;
    return memcmp(a->gpr, b->gpr, sizeof(a->gpr)) == 0 && !((a->rflags ^ b->rflags) & flags) &&
           a->rip == b->rip && a->vector == b->vector &&
           (a->error_code & code) == (b->error_code & code) && a->cr2 == b->cr2;
}

static void print_difference(const struct trial *t, const struct host_state *want,
                             const struct host_state *got)
{
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    printf("%s form %d width %u:", x86_op_info[t->op].name, t->form, 8u << t->width);
    for (unsigned i = 0; i < t->size; i++) {
        printf(" %02x", t->bytes[i]);
    }
    printf("\n");
    for (unsigned i = 0; i < 16; i++) {
        if (want->gpr[i] != got->gpr[i]) {
            printf("  %s: before %lx, host %lx, viv %lx\n", names[i], t->before.gpr[i],
                   want->gpr[i], got->gpr[i]);
        }
    }
    printf("  rflags: before %lx, host %lx, viv %lx (not compared %x)\n", t->before.rflags,
           want->rflags & 0xCD5, got->rflags & 0xCD5, t->flags_unknown);
    printf("  vector: host %d, viv %d; error code %lx, %lx; cr2 %lx, %lx; rip %lx, %lx; rax rcx "
           "rdx before %lx %lx %lx\n",
           want->vector, got->vector, want->error_code, got->error_code, want->cr2, got->cr2,
           want->rip, got->rip, t->before.gpr[0], t->before.gpr[1], t->before.gpr[2]);
}

// BSF and BSR of zero, 32 bits: Intel keeps the whole register, AMD may clear the upper half. CMPS
// with two faulting operands: either may be reported. POPA with a fault: the host has loaded some
// registers already, ours none.
static bool vendor_differs(const struct trial *t, const struct host_state *want,
                           const struct host_state *got)
{
    return ((t->op == OP_BSF || t->op == OP_BSR) && t->width == 2 && (want->rflags & F_Z)) ||
           (want->vector == 14 && got->vector == 14 &&
            ((t->op >= OP_CMPSB && t->op <= OP_CMPSQ) || t->op == OP_POPA || t->op == OP_POPAD));
}

static void poke_target(u8 *data, const struct trial *t)
{
    static const u64 target = HOST_TARGET;
    u64 offset = t->poke_address - HOST_DATA;
    if (t->poke_address && offset <= 0x2000 - sizeof(target)) {
        memcpy(data + offset, &target, sizeof(target));
    }
}

// The rows of the profile of undefined flags.
static const struct {
    bool present;
    u32 cleared, set, kept, derived;
} profile[X86_OP_COUNT] = {
#define UNDEFINED(op, ...) [OP_##op] = {true, __VA_ARGS__},
#include "cpu/interp/undefined.def"
#undef UNDEFINED
};

// Each flag that x86_ops.def says is undefined has one place in the profile.
static unsigned check_profile(void)
{
    unsigned wrong = 0;
    for (unsigned op = 0; op < X86_OP_COUNT; op++) {
        u32 c = profile[op].cleared, s = profile[op].set, k = profile[op].kept,
            d = profile[op].derived;
        bool apart = !(c & s) && !((c | s) & k) && !((c | s | k) & d);
        if (!apart || (c | s | k | d) != x86_op_info[op].flags_undefined) {
            printf("undefined.def: the row of %s does not cover its undefined flags\n",
                   x86_op_info[op].name);
            wrong++;
        }
    }
    return wrong;
}

static unsigned shift_count(const struct trial *t)
{
    u64 count = t->has_immediate ? t->immediate : t->before.gpr[1];
    return count & (t->width == 3 ? 63 : 31);
}

// Undefined flags are what the profile says. Shifts by zero change no flag at all.
static bool follows_profile(const struct trial *t, const struct host_state *got)
{
    u32 f = (u32)got->rflags, before = (u32)t->before.rflags;
    bool shift = (t->op >= OP_ROL && t->op <= OP_SAR) || t->op == OP_SHLD || t->op == OP_SHRD;
    if (got->vector >= 0 || !profile[t->op].present || (shift && shift_count(t) == 0)) {
        return true;
    }
    return !(f & profile[t->op].cleared) && !(~f & profile[t->op].set) &&
           !((f ^ before) & profile[t->op].kept);
}

static void run_trial(struct session *s, struct random *r, const struct trial *t)
{
    struct host_state want = t->before, got = t->before;
    host_fill_data(s->fill);
    memcpy(guest_data(s), s->fill, sizeof(s->fill));
    poke_target(host_data(), t);
    poke_target(guest_data(s), t);
    host_run(t->bytes, t->size, t->address, t->code32, &want);
    guest_run(s, r, t, &got);
    s->trials++;
    s->faults += want.vector >= 0;
    s->unlike_host[t->op] +=
        want.vector < 0 && ((want.rflags ^ got.rflags) & x86_op_info[t->op].flags_undefined);
    if (!follows_profile(t, &got)) {
        printf("%s: not as in undefined.def: flags %lx, before %lx\n", x86_op_info[t->op].name,
               got.rflags, t->before.rflags);
        s->failures++;
    }
    if (vendor_differs(t, &want, &got)) {
        return;
    }
    bool memory = memcmp(host_data(), guest_data(s), HOST_DATA_BYTES) == 0;
    if (!states_equal(t, &want, &got) || !memory) {
        if (s->failures++ < 20) {
            print_difference(t, &want, &got);
            printf("  memory: %s\n", memory ? "equal" : "differs");
        }
    }
}

static bool no_encoding(enum x86_op op, unsigned width, bool code32)
{
    u32 attributes = x86_op_info[op].attributes;
    return code32 ? width == 3 || (attributes & A_ONLY64) || op == OP_JRCXZ
                  : (attributes & A_NOT64) || op == OP_JCXZ;
}

static void run_row(struct session *s, struct random *r, enum x86_op op, unsigned trials)
{
    for (unsigned form = 0; form < FORM_COUNT; form++) {
        for (unsigned width = 0; width < 4; width++) {
            if (!(row_forms(op) & T(form)) || !(row_widths(op) & BIT(width))) {
                continue;
            }
            unsigned made = 0;
            u64 faults = s->faults;
            struct trial t;
            for (unsigned i = 0; i < trials; i++) {
                if (generate(r, op, (enum insn_form)form, width, s->code32, &t)) {
                    run_trial(s, r, &t);
                    made++;
                }
            }
            if (s->report && made) {
                printf("row %s %s %u %u %lu\n", x86_op_info[op].name, form_kinds((enum insn_form)form), 8u << width,
                       made, s->faults - faults);
            }
            // Two and three operands; 64 bits in 32-bit code and so on.
            bool no_such = (op == OP_IMUL && width == 0) || no_encoding(op, width, s->code32);
            if (made == 0 && !no_such) {
                printf("%s form %u width %u: no encoding\n", x86_op_info[op].name, form,
                       8u << width);
                s->empty++;
            }
        }
    }
}

int main(int argc, char **argv)
{
    unsigned trials = argc > 1 ? (unsigned)atoi(argv[1]) : 200;
    struct random r = {argc > 2 ? strtoull(argv[2], NULL, 0) * 2 + 1 : 1};
    struct session s = {0};
    if (!host_init()) {
        printf("skipped: the test's addresses are taken in this process\n");
        return 77;
    }
    int mode = argc > 3 ? atoi(argv[3]) : 0;
    s.code32 = mode >= 3;
    s.report = argc > 5;
    bool all = argc <= 4 || !argv[4][0];
    session_init(&s, &r, (enum tlb_geometry)(mode % 3));
    for (unsigned op = OP_INVALID + 1; op < X86_OP_COUNT; op++) {
        if (all || strcasecmp(argv[4], x86_op_info[op].name) == 0) {
            run_row(&s, &r, (enum x86_op)op, trials);
        }
    }
    for (unsigned op = 0; op < X86_OP_COUNT; op++) {
        if (s.unlike_host[op]) { // no failure: another vendor's processor may differ
            printf("# undefined flags of %s: %lu trials differ from this host\n",
                   x86_op_info[op].name, s.unlike_host[op]);
        }
    }
    s.failures += check_profile();
    printf("%lu trials (%lu with a fault), %lu differences, %u combinations without an encoding\n",
           s.trials, s.faults, s.failures, s.empty);
    bare_destroy(s.guest);
    return s.failures || s.empty || (all && s.trials < 1000) ? 1 : 0;
}
