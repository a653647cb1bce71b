// SPDX-License-Identifier: MIT
// MMX, SSE and x87 against the host's own CPU: every encoding that decodes to such a row, on random and edge operands, with
// registers and with memory. Compared: the FXSAVE image without its pointers, general registers, flags, memory.
// Usage: test_vector [TRIALS-PER-ENCODING [SEED]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "isa/decode.h"
#include "isa/vector_key.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

enum { GUEST_CODE = BARE_USER, GUEST_DATA = BARE_USER + 0x10000, CODE_BYTES = 96 };

// What the code sees through its registers; the same layout on host and guest.
struct image {
    u8 before[512], after[512]; // FXSAVE areas
    u8 memory[64];              // the memory operand
    u64 rax, rcx, rflags;
} __attribute__((aligned(64)));

struct session {
    struct bare *guest;
    struct decoder *decoder;
    u8 *host_code;
    struct random random;
    unsigned tested, failed;
};

static const u64 edges[] = {0, 1, 0x8000000000000000, 0x3FF0000000000000, 0xBFF8000000000000, 0x7FF0000000000000,
                            0x7FF8000000000001, 0x7FF0000000000001, 0x3F8000003F800000, 0xFF8000007F800001, 0x0000000100000001,
                            0x7FEFFFFFFFFFFFFF, 0x000FFFFFFFFFFFFF, 0x41DFFFFFFFC00000, 0x43E0000000000000, 0x7FFFFFFF80000000,
                            0x00FF00FF80FF7F01, 0x4F0000004EFFFFFF};

static u64 operand(struct random *r)
{
    switch (random_below(r, 4)) {
    case 0: return edges[random_below(r, ARRAY_LEN(edges))];
    case 1: return random_below(r, 100);
    case 2: return 0x3FF0000000000000 + (random_u64(r) & 0x003FFFFFFFFFFFFF); // doubles of ordinary size
    default: return random_u64(r);
    }
}

static void fill(struct random *r, u8 *bytes, unsigned size)
{
    for (unsigned i = 0; i < size; i += 8) {
        u64 value = operand(r);
        memcpy(bytes + i, &value, 8);
    }
}

// An x87 register: zero, ordinary, denormal, infinity, NaN.
static void fill_x87(struct random *r, u8 *st)
{
    u64 significand = operand(r) | BIT(63);
    u16 exponent = (u16)(0x3FFF + random_below(r, 80) - 40) | (u16)(random_below(r, 2) << 15);
    switch (random_below(r, 8)) {
    case 0: significand = 0, exponent &= 0x8000; break;
    case 1: exponent |= 0x7FFF; break;
    case 2: exponent |= 0x7FFF, significand = BIT(63); break;
    case 3: exponent &= 0x8000, significand &= ~BIT(63); break;
    case 4: significand = BIT(63) | (u64)random_below(r, 32) << 58; break;
    default: break;
    }
    memset(st, 0, 16);
    memcpy(st, &significand, 8);
    memcpy(st + 8, &exponent, 2);
}

static void make_image(struct random *r, struct image *image, bool x87)
{
    memset(image, 0, sizeof(*image));
    u16 control = (u16)(0x37F | random_below(r, 4) << 10), status = x87 ? (u16)(random_below(r, 8) << 11) : 0;
    if (random_below(r, 4) == 0) {
        control &= (u16)~0x100; // precision control: 53 or 24 bits
        control &= (u16)~(random_below(r, 2) << 9);
    }
    u32 mxcsr = 0x1F80 | random_below(r, 4) << 13 | (random_below(r, 4) ? 0 : 0x8040);
    u8 tags = x87 ? (random_below(r, 3) ? 0xFF : (u8)random_u64(r)) : 0;
    memcpy(image->before, &control, 2);
    memcpy(image->before + 2, &status, 2);
    image->before[4] = tags;
    memcpy(image->before + 24, &mxcsr, 4);
    for (unsigned i = 0; i < 8; i++) {
        fill_x87(r, image->before + 32 + i * 16);
    }
    fill(r, image->before + 160, 256);
    fill(r, image->memory, sizeof(image->memory));
    image->rax = operand(r);
    image->rcx = operand(r);
}

// fxrstor [rdi]; mov rax,[rdi+1088]; mov rcx,[rdi+1096]; all flags set; insn; pushfq; pop r8; fxsave [rdi+512]; store rax, rcx, r8.
static unsigned make_code(u8 *code, const u8 *insn, unsigned size)
{
    static const u8 before[] = {0x48, 0x0F, 0xAE, 0x0F, 0x48, 0x8B, 0x87, 0x40, 4, 0, 0, 0x48, 0x8B, 0x8F, 0x48, 4, 0, 0,
                                 0x68, 0xD7, 0x08, 0, 0, 0x9D}; // push flags, popfq
    static const u8 after[] = {0x9C, 0x41, 0x58, 0x48, 0x0F, 0xAE, 0x87, 0,    2, 0,    0,    0x48, 0x89, 0x87, 0x40, 4, 0, 0,
                               0x48, 0x89, 0x8F, 0x48, 4,    0,    0, 0x4C, 0x89, 0x87, 0x50, 4, 0, 0};
    memcpy(code, before, sizeof(before));
    memcpy(code + sizeof(before), insn, size);
    memcpy(code + sizeof(before) + size, after, sizeof(after));
    return (unsigned)(sizeof(before) + size + sizeof(after));
}

static void run_host(struct session *s, const u8 *insn, unsigned size, struct image *image)
{
    unsigned n = make_code(s->host_code, insn, size);
    s->host_code[n] = 0xC3;
    u8 keep[512] __attribute__((aligned(16)));
    __asm__ volatile("fxsave64 %0" : "=m"(keep));
    // The memory operand is [rdx].
    u64 entry = (u64)(uintptr_t)s->host_code, memory = (u64)(uintptr_t)image->memory;
    __asm__ volatile("call *%%rax"
                     : "+a"(entry), "+d"(memory)
                     : "D"(image)
                     : "rcx", "r8", "memory", "cc");
    __asm__ volatile("fxrstor64 %0" : : "m"(keep));
}

static bool run_guest(struct session *s, const u8 *insn, unsigned size, struct image *image)
{
    u8 code[CODE_BYTES];
    unsigned n = make_code(code, insn, size);
    code[n] = 0xEB, code[n + 1] = 0xFE; // jmp $
    physmem_write(s->guest->mem, GUEST_CODE, code, n + 2);
    physmem_write(s->guest->mem, GUEST_DATA, image, sizeof(*image));
    struct cpu_regs regs = bare_user_regs(s->guest, GUEST_CODE);
    regs.cr4 |= 0x600; // OSFXSR, OSXMMEXCPT
    regs.gpr[CPU_RDI] = GUEST_DATA;
    regs.gpr[CPU_RDX] = GUEST_DATA + offsetof(struct image, memory);
    regs.gpr[CPU_RSP] = GUEST_DATA + 0x8000;
    cpu_set_regs(s->guest->cpu, &regs);
    for (unsigned i = 0; i < 20 && regs.rip != GUEST_CODE + n && regs.cpl == 3; i++) {
        cpu_run(s->guest->cpu, 1);
        cpu_get_regs(s->guest->cpu, &regs);
    }
    physmem_read(s->guest->mem, GUEST_DATA, image, sizeof(*image));
    return regs.cpl == 3;
}

// Instruction and operand pointers are the host's own affair, as are the bytes FXSAVE leaves alone.
static void forget_pointers(struct image *image)
{
    memset(image->after + 6, 0, 18);
    memset(image->after + 28, 0, 4);
    memset(image->after + 416, 0, 96);
    for (unsigned i = 0; i < 8; i++) {
        memset(image->after + 32 + i * 16 + 10, 0, 6);
    }
    image->rflags &= 0x8D5;
}

static void report(struct session *s, enum x86_op op, const u8 *insn, unsigned size, const struct image *start,
                   const struct image *want, const struct image *got)
{
    if (s->failed++ > 20) {
        return;
    }
    printf("# %s:", x86_op_info[op].name);
    for (unsigned i = 0; i < size; i++) {
        printf(" %02x", insn[i]);
    }
    printf(" control %02x%02x mxcsr %02x%02x\n", start->before[1], start->before[0], start->before[25], start->before[24]);
    const u8 *w = (const u8 *)want, *g = (const u8 *)got, *b = (const u8 *)start;
    for (unsigned i = 0; i < sizeof(*want); i += 8) {
        if (memcmp(w + i, g + i, 8) != 0) {
            u64 was, wanted, seen;
            memcpy(&was, b + (i >= 512 && i < 1024 ? i - 512 : i), 8);
            memcpy(&wanted, w + i, 8);
            memcpy(&seen, g + i, 8);
            printf("#   at %u: before %016llx host %016llx guest %016llx\n", i, (unsigned long long)was,
                   (unsigned long long)wanted, (unsigned long long)seen);
        }
    }
}

static void trial(struct session *s, enum x86_op op, const u8 *insn, unsigned size)
{
    static struct image start, host, guest;
    make_image(&s->random, &start, x86_op_info[op].attributes & A_X87);
    host = guest = start;
    run_host(s, insn, size, &host);
    bool fine = run_guest(s, insn, size, &guest);
    forget_pointers(&host);
    forget_pointers(&guest);
    s->tested++;
    if (!fine || memcmp(&host, &guest, sizeof(host)) != 0) {
        report(s, op, insn, size, &start, &host, &guest);
    }
}

// Functions of our own, and what saves pointers or loads more than the memory operand.
static bool is_compared(enum x86_op op)
{
    switch (op) {
    case OP_RCPPS: case OP_RCPSS: case OP_RSQRTPS: case OP_RSQRTSS: case OP_F2XM1: case OP_FYL2X: case OP_FYL2XP1:
    case OP_FPATAN: case OP_FPTAN: case OP_FSIN: case OP_FCOS: case OP_FSINCOS: case OP_FNSTENV: case OP_FNSAVE:
    case OP_FLDENV: case OP_FRSTOR: case OP_FLDCW: case OP_MOVNTQ:
        return false;
    default: return (x86_op_info[op].attributes & (A_VECTOR | A_X87)) != 0;
    }
}

// General registers other than rax and rcx hold something else.
static bool uses_known_registers(const struct insn *insn)
{
    union vector_key key = {.bits = insn->imm};
    if (!(x86_op_info[insn->op].attributes & A_VECTOR)) {
        return true;
    }
    return !(key.reg_class == VECTOR_GPR && insn->reg > 1) && !(key.rm_class == VECTOR_GPR && insn->rm > 1);
}

static void try_encoding(struct session *s, const u8 *insn, unsigned available, unsigned trials)
{
    struct insn decoded;
    if (insn_decode(s->decoder, CODE_64, insn, available, 0, &decoded) == DECODE_OK && is_compared((enum x86_op)decoded.op) &&
        uses_known_registers(&decoded)) {
        for (unsigned i = 0; i < trials; i++) {
            trial(s, (enum x86_op)decoded.op, insn, decoded.length);
        }
    }
}

static void vectors(struct session *s, unsigned trials)
{
    static const u8 prefixes[] = {0, 0x66, 0xF3, 0xF2};
    for (unsigned p = 0; p < 4; p++) {
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            for (unsigned form = 0; form < 64; form++) { // two operand kinds, eight ModRM.reg, REX.W, REX.R and B
                u8 bytes[16] = {0};
                unsigned n = 0;
                u8 rex = (u8)((form & 16 ? 0x48 : 0) | (form & 32 ? 0x40 | (form & 1 ? 4 : 5) : 0));
                u8 modrm = (u8)((form & 14) << 2 | (form & 1 ? 0x02 : 0xC0 | random_below(&s->random, 2)));
                if (prefixes[p]) {
                    bytes[n++] = prefixes[p];
                }
                if (rex) {
                    bytes[n++] = rex;
                }
                bytes[n++] = 0x0F, bytes[n++] = (u8)opcode, bytes[n++] = modrm;
                bytes[n] = (u8)random_u64(&s->random);
                try_encoding(s, bytes, n + 1, trials);
            }
        }
    }
}

static void x87(struct session *s, unsigned trials)
{
    for (unsigned opcode = 0xD8; opcode <= 0xDF; opcode++) {
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            if (modrm >= 0xC0 || (modrm & 0xC7) == 2) { // registers, or [rdx]
                u8 bytes[2] = {(u8)opcode, (u8)modrm};
                try_encoding(s, bytes, 2, trials * 4);
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct session s = {.guest = bare_create(TLB_FULL), .random = {argc > 2 ? (u64)atoi(argv[2]) : 1}};
    unsigned trials = argc > 1 ? (unsigned)atoi(argv[1]) : 10;
    struct decoder_options options = {false, false};
    s.decoder = decoder_create(&options);
    s.host_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (u64 a = BARE_USER; a < BARE_USER + 0x20000; a += PAGE_SIZE) {
        bare_set_page(s.guest, a, BARE_PAGE_WRITE);
    }
    vectors(&s, trials);
    unsigned vector_tested = s.tested, vector_failed = s.failed;
    printf("%s - %u trials of vector instructions, %u differ\n", vector_failed ? "not ok" : "ok", vector_tested, vector_failed);
    s.failed = 0;
    x87(&s, trials);
    printf("%s - %u trials of x87 instructions, %u differ\n", s.failed ? "not ok" : "ok", s.tested - vector_tested, s.failed);
    decoder_destroy(s.decoder);
    bare_destroy(s.guest);
    return s.failed || vector_failed;
}
