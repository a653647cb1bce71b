// SPDX-License-Identifier: MIT
// MMX, SSE, AVX and x87 against the host's own CPU: every encoding that decodes to such a row, on random and edge operands,
// with registers and with memory. Compared: the XSAVE area without its pointers, general registers, flags, memory.
// Then where memory operands may lie (page ends, alignment) and which VEX encodings are #UD.
// Usage: test_vector [TRIALS-PER-ENCODING [SEED]]
#include <Zydis/Zydis.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "base/bits.h"
#include "base/check.h"
#include "isa/decode.h"
#include "isa/vector_key.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

enum { GUEST_CODE = BARE_USER, GUEST_DATA = BARE_USER + 0x10000, GUEST_EDGE = BARE_USER + 0x20000, CODE_BYTES = 160 };
enum { AREA_BYTES = 896, LEGACY_XMM = 160, HEADER = 512, YMM_HIGH = 576 };

// What the code sees through its registers; the same layout on host and guest.
struct image {
    u8 before[AREA_BYTES], after[AREA_BYTES]; // XSAVE areas
    u8 memory[64];                            // the memory operand
    u64 rax, rcx, rdx, rflags, r10;
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct image, rax) == 0x740, "make_code() knows it");

struct session {
    struct bare *guest;
    struct decoder *decoder;
    u8 *host_code, *host_edge; // host_edge: the end of a page, before an absent one
    struct random random;
    unsigned tested, failed, encodings, trapped;
    bool covered[X86_OP_COUNT];
};

static const u64 edges[] = {0, 1, 0x8000000000000000, 0x3FF0000000000000, 0xBFF8000000000000, 0x7FF0000000000000,
                            0x7FF8000000000001, 0x7FF0000000000001, 0x3F8000003F800000, 0xFF8000007F800001, 0x0000000100000001,
                            0x7FEFFFFFFFFFFFFF, 0x000FFFFFFFFFFFFF, 0x41DFFFFFFFC00000, 0x43E0000000000000, 0x7FFFFFFF80000000,
                            0x00FF00FF80FF7F01, 0x4F0000004EFFFFFF};

static u64 operand(struct random *r)
{
    switch (random_below(r, 5)) {
    case 4: return random_u64(r) & 0x0303030303030303; // strings, shuffles
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
    fill(r, image->before + LEGACY_XMM, 256);
    image->before[HEADER] = 7;
    fill(r, image->before + YMM_HIGH, 256);
    fill(r, image->memory, sizeof(image->memory));
    image->rax = operand(r);
    image->rcx = operand(r);
    image->rdx = operand(r);
    image->r10 = operand(r);
}

// xrstor [rdi]; rax, rcx, rdx, r10 from the image; all flags set; insn; store these and flags; xsave [rdi + 896].
static unsigned make_code(u8 *code, const u8 *insn, unsigned size)
{
    static const u8 before[] = {0xB8, 7, 0, 0, 0, 0x31, 0xD2, 0x48, 0x0F, 0xAE, 0x2F, 0x48, 0x8B, 0x87, 0x40, 7, 0, 0,
                                0x48, 0x8B, 0x8F, 0x48, 7, 0, 0, 0x48, 0x8B, 0x97, 0x50, 7, 0, 0,
                                0x4C, 0x8B, 0x97, 0x60, 7, 0, 0,
                                0x68, 0xD7, 0x08, 0, 0, 0x9D}; // push flags, popfq
    static const u8 after[] = {0x9C, 0x41, 0x58, 0x48, 0x89, 0x87, 0x40, 7, 0, 0, 0x48, 0x89, 0x8F, 0x48, 7, 0, 0,
                               0x48, 0x89, 0x97, 0x50, 7, 0, 0, 0x4C, 0x89, 0x87, 0x58, 7, 0, 0,
                               0x4C, 0x89, 0x97, 0x60, 7, 0, 0,
                               0xB8, 7, 0, 0, 0, 0x31, 0xD2, 0x48, 0x0F, 0xAE, 0xA7, 0x80, 3, 0, 0};
    memcpy(code, before, sizeof(before));
    memcpy(code + sizeof(before), insn, size);
    memcpy(code + sizeof(before) + size, after, sizeof(after));
    return (unsigned)(sizeof(before) + size + sizeof(after));
}

static sigjmp_buf host_trapped;
static volatile int host_vector;
static volatile u32 host_mxcsr; // of a SIMD floating-point exception

static void on_signal(int number, siginfo_t *info, void *context)
{
    host_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
    host_vector = (int)((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
    siglongjmp(host_trapped, 1);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}

// The memory operand is [rsi]. Returns the exception's vector, -1 for none.
static int run_host(struct session *s, const u8 *insn, unsigned size, struct image *image, const void *memory)
{
    unsigned n = make_code(s->host_code, insn, size);
    s->host_code[n] = 0xC3;
    static u8 keep[512] __attribute__((aligned(16)));
    __asm__ volatile("fxsave64 %0" : "=m"(keep));
    host_vector = -1;
    if (sigsetjmp(host_trapped, 0) == 0) {
        u64 entry = (u64)(uintptr_t)s->host_code;
        __asm__ volatile("call *%%rax\n\tvzeroupper"
                         : "+a"(entry)
                         : "D"(image), "S"(memory)
                         : "rcx", "rdx", "r8", "r9", "r10", "memory", "cc");
    }
    __asm__ volatile("fxrstor64 %0" : : "m"(keep));
    return host_vector;
}

static struct cpu_regs guest_regs(struct session *s, u64 memory)
{
    struct cpu_regs regs = bare_user_regs(s->guest, GUEST_CODE);
    regs.cr4 |= 0x40600; // OSXSAVE, OSFXSR, OSXMMEXCPT
    regs.gpr[CPU_RDI] = GUEST_DATA;
    regs.gpr[CPU_RSI] = memory;
    regs.gpr[CPU_RSP] = GUEST_DATA + 0x8000;
    return regs;
}

// XCR0 is set in ring 0, once.
static void enable_avx(struct session *s)
{
    static const u8 code[] = {0xB8, 7, 0, 0, 0, 0x31, 0xD2, 0x31, 0xC9, 0x0F, 0x01, 0xD1, 0xEB, 0xFE};
    physmem_write(s->guest->mem, GUEST_CODE, code, sizeof(code));
    struct cpu_regs regs = guest_regs(s, 0);
    regs.cpl = 0;
    regs.seg[CPU_CS] = (struct cpu_segment){8, 0xA09B, 0xFFFFFFFF, 0};
    cpu_set_regs(s->guest->cpu, &regs);
    cpu_run(s->guest->cpu, 8);
}

static int run_guest(struct session *s, const u8 *insn, unsigned size, struct image *image, u64 memory)
{
    u8 code[CODE_BYTES];
    unsigned n = make_code(code, insn, size);
    code[n] = 0xEB, code[n + 1] = 0xFE; // jmp $
    bare_renew_code(s->guest, GUEST_CODE);
    physmem_write(s->guest->mem, GUEST_CODE, code, n + 2);
    physmem_write(s->guest->mem, GUEST_DATA, image, sizeof(*image));
    struct cpu_regs regs = guest_regs(s, memory);
    cpu_set_regs(s->guest->cpu, &regs);
    cpu_run(s->guest->cpu, 200); // translated code runs only with steps in reserve
    physmem_read(s->guest->mem, GUEST_DATA, image, sizeof(*image));
    cpu_get_regs(s->guest->cpu, &regs);
    return regs.rip == GUEST_CODE + n ? -1 : bare_exception(s->guest).vector;
}

// Instruction and operand pointers are the host's own affair, as are the bytes FXSAVE leaves alone.
static void forget_pointers(struct image *image)
{
    memset(image->after + 6, 0, 18);
    memset(image->after + 28, 0, 4);
    memset(image->after + 416, 0, YMM_HIGH - 416);
    memset(image->after + YMM_HIGH + 256, 0, AREA_BYTES - YMM_HIGH - 256);
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
            memcpy(&was, b + (i >= AREA_BYTES && i < 2 * AREA_BYTES ? i - AREA_BYTES : i), 8);
            memcpy(&wanted, w + i, 8);
            memcpy(&seen, g + i, 8);
            printf("#   at %u: before %016llx host %016llx guest %016llx\n", i, (unsigned long long)was,
                   (unsigned long long)wanted, (unsigned long long)seen);
        }
    }
}

static bool is_dot_product(enum x86_op op)
{
    return op == OP_DPPS || op == OP_DPPD || op == OP_VDPPS || op == OP_VDPPD;
}

// Some of the exceptions unmasked. Not underflow of a dot product, whose products may be tiny and exact: viv sees the sums.
static void unmask(struct random *r, struct image *image, bool underflow)
{
    u32 mxcsr;
    memcpy(&mxcsr, image->before + 24, 4);
    mxcsr &= ~(random_below(r, 64) << 7);
    mxcsr |= underflow ? 0 : 0x800;
    memcpy(image->before + 24, &mxcsr, 4);
}

static u32 guest_mxcsr(struct session *s)
{
    u8 fpu[CPU_FPU_BYTES];
    u32 mxcsr;
    cpu_get_fpu(s->guest->cpu, fpu);
    memcpy(&mxcsr, fpu + 24, 4);
    return mxcsr;
}

// Beside an unmasked overflow or underflow PE says whether rounding to an unbounded exponent was exact, which viv does not
// know. Dot products stop half-way.
static bool same_flags(enum x86_op op, u32 host, u32 guest)
{
    u32 ignored = is_dot_product(op) ? 0x3F : host & ~(host >> 7) & 0x18 ? 0x20 : 0;
    return !((host ^ guest) & ~ignored);
}

static void trial(struct session *s, enum x86_op op, const u8 *insn, unsigned size)
{
    static struct image start, host, guest;
    make_image(&s->random, &start, x86_op_info[op].attributes & A_X87);
    if ((x86_op_info[op].attributes & A_FP) && random_below(&s->random, 3) == 0) {
        unmask(&s->random, &start, !is_dot_product(op));
    }
    if (op == OP_LDMXCSR || op == OP_VLDMXCSR) {
        start.memory[2] &= (u8)~2; // AMD's processors have a bit 17
    }
    host = guest = start;
    int wanted = run_host(s, insn, size, &host, host.memory);
    int seen = run_guest(s, insn, size, &guest, GUEST_DATA + offsetof(struct image, memory));
    if (wanted == 19 && seen == 19 && !same_flags(op, host_mxcsr, guest_mxcsr(s))) {
        printf("# MXCSR: host %x, guest %x\n", host_mxcsr, guest_mxcsr(s));
        seen = -1;
    }
    s->trapped += wanted == 19;
    forget_pointers(&host);
    forget_pointers(&guest);
    s->tested++;
    if (wanted != seen) {
        printf("# exception: host %d, guest %d\n", wanted, seen);
        memcpy(guest.after, host.after, sizeof(host.after));
        report(s, op, insn, size, &start, &host, &guest);
    } else if (memcmp(&host, &guest, sizeof(host)) != 0) {
        report(s, op, insn, size, &start, &host, &guest);
    }
}

// Functions of our own, and what saves pointers or loads more than the memory operand.
static bool is_compared(enum x86_op op)
{
    switch (op) {
    case OP_RCPPS: case OP_RCPSS: case OP_RSQRTPS: case OP_RSQRTSS: case OP_F2XM1: case OP_FYL2X: case OP_FYL2XP1:
    case OP_VRCPPS: case OP_VRCPSS: case OP_VRSQRTPS: case OP_VRSQRTSS:
    case OP_FPATAN: case OP_FPTAN: case OP_FSIN: case OP_FCOS: case OP_FSINCOS: case OP_FNSTENV: case OP_FNSAVE:
    case OP_FLDENV: case OP_FRSTOR: case OP_FLDCW: case OP_MOVNTQ:
        return false;
    case OP_VZEROALL: case OP_VZEROUPPER: case OP_EMMS: case OP_LDMXCSR: case OP_STMXCSR: case OP_VLDMXCSR: case OP_VSTMXCSR:
    case OP_MASKMOVQ: case OP_MASKMOVDQU: case OP_VMASKMOVDQU: // these store to the image itself
        return true;
    default: return (x86_op_info[op].attributes & (A_VECTOR | A_X87)) != 0;
    }
}

// Other general registers hold something else.
static bool is_known_register(unsigned n)
{
    return n == CPU_RAX || n == CPU_RCX || n == CPU_RDX || n == 10;
}

static bool uses_known_registers(const struct insn *insn)
{
    union vector_key key = {.bits = insn->imm};
    if (!(x86_op_info[insn->op].attributes & A_VECTOR)) {
        return true;
    }
    return (key.reg_class != VECTOR_GPR || is_known_register(insn->reg)) &&
           (key.rm_class != VECTOR_GPR || is_known_register(insn->rm));
}

// Gathers: addresses from registers, so they get indices of their own (gathers()).
static bool is_gather(unsigned op)
{
    return op >= OP_VGATHERDPS && op <= OP_VPGATHERQQ;
}

static bool try_encoding(struct session *s, const u8 *insn, unsigned available, unsigned trials)
{
    struct insn decoded;
    if (insn_decode(s->decoder, CODE_64, insn, available, 0, &decoded) != DECODE_OK || !is_compared((enum x86_op)decoded.op) ||
        is_gather(decoded.op) || !uses_known_registers(&decoded)) {
        return false;
    }
    s->encodings++;
    s->covered[decoded.op] = true;
    for (unsigned i = 0; i < trials; i++) {
        trial(s, (enum x86_op)decoded.op, insn, decoded.length);
    }
    return true;
}

static void legacy(struct session *s, unsigned trials)
{
    static const u8 prefixes[] = {0, 0x66, 0xF3, 0xF2}, maps[] = {0, 0x38, 0x3A};
    for (unsigned n = 0; n < 3 * 4 * 256 * 64; n++) { // map, prefix, opcode; operand kind, ModRM.reg, REX.W, REX.R and B
        unsigned form = n % 64, opcode = n / 64 % 256, p = n / 64 / 256 % 4, map = maps[n / 64 / 256 / 4];
        if (!map && (opcode == 0x38 || opcode == 0x3A)) {
            continue;
        }
        u8 bytes[16] = {0};
        unsigned at = 0;
        u8 rex = (u8)((form & 16 ? 0x48 : 0) | (form & 32 ? 0x40 | (form & 1 ? 4 : 5) : 0));
        u8 modrm = (u8)((form & 14) << 2 | (form & 1 ? 0x06 : 0xC0 | random_below(&s->random, 3)));
        if (prefixes[p]) {
            bytes[at++] = prefixes[p];
        }
        if (rex) {
            bytes[at++] = rex;
        }
        bytes[at++] = 0x0F;
        if (map) {
            bytes[at++] = (u8)map;
        }
        bytes[at++] = (u8)opcode, bytes[at++] = modrm;
        bytes[at] = (u8)random_u64(&s->random);
        try_encoding(s, bytes, at + 1, trials);
    }
}

// C4 with map 1 to 3, W, L and the implied prefix of n; reg, memory or register, vvvv (0: register 0 or none).
static void make_vex(struct session *s, u8 *bytes, unsigned n, unsigned reg, bool memory, unsigned vvvv, unsigned high)
{
    unsigned variant = n / 256 % 16, map = 1 + n / 256 / 16;
    unsigned rm = memory ? 6 : 0xC0 | random_below(&s->random, 3);
    bytes[0] = 0xC4;
    bytes[1] = (u8)(((high & 1 ? 0x60 : 0xE0) ^ (!memory && (high & 2) ? 0x20 : 0)) | map);
    bytes[2] = (u8)((variant & 8) << 4 | (~vvvv & 15) << 3 | (variant & 7));
    bytes[3] = (u8)n;
    bytes[4] = (u8)(reg << 3 | rm);
    bytes[5] = (u8)random_u64(&s->random);
}

static void vex(struct session *s, unsigned trials)
{
    for (unsigned n = 0; n < 3 * 16 * 256; n++) {
        for (unsigned form = 0; form < 16; form++) {
            u8 bytes[6];
            unsigned vvvv = random_below(&s->random, 16), high = random_below(&s->random, 4);
            make_vex(s, bytes, n, form >> 1, form & 1, vvvv, high);
            if (!try_encoding(s, bytes, sizeof(bytes), trials)) {
                make_vex(s, bytes, n, form >> 1, form & 1, 0, 0);
                try_encoding(s, bytes, sizeof(bytes), trials);
            }
        }
    }
}

static void x87(struct session *s, unsigned trials)
{
    for (unsigned opcode = 0xD8; opcode <= 0xDF; opcode++) {
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            if (modrm >= 0xC0 || (modrm & 0xC7) == 6) { // registers, or [rsi]
                u8 bytes[2] = {(u8)opcode, (u8)modrm};
                try_encoding(s, bytes, 2, trials * 4);
            }
        }
    }
}

// Gathers at [rsi + index * scale] with indices into the 64 bytes of memory, any mask.
static void gathers(struct session *s, unsigned trials)
{
    static const u8 opcodes[] = {0x90, 0x91, 0x92, 0x93};
    for (unsigned n = 0; n < 4 * 4 * trials * 8; n++) {
        u8 bytes[6] = {0xC4, 0xE2, (u8)((n & 1) << 7 | 13 << 3 | (n >> 1 & 1) << 2 | 1), opcodes[n >> 2 & 3], 1 << 3 | 4,
                       (u8)((n >> 4 & 1) << 6 | 3 << 3 | 6)}; // register 1, mask 2, index 3
        struct insn decoded;
        static struct image start, host, guest;
        make_image(&s->random, &start, false);
        unsigned size = opcodes[n >> 2 & 3] & 1 ? 8 : 4; // of an index
        for (unsigned i = 0; i < 32; i += size) {
            u64 index = random_below(&s->random, 24);
            memcpy(start.before + (i < 16 ? LEGACY_XMM + 3 * 16 + i : YMM_HIGH + 3 * 16 + i - 16), &index, size);
        }
        host = guest = start;
        CHECK(insn_decode(s->decoder, CODE_64, bytes, sizeof(bytes), 0, &decoded) == DECODE_OK && is_gather(decoded.op));
        int wanted = run_host(s, bytes, sizeof(bytes), &host, host.memory);
        int seen = run_guest(s, bytes, sizeof(bytes), &guest, GUEST_DATA + offsetof(struct image, memory));
        forget_pointers(&host), forget_pointers(&guest);
        s->tested++;
        s->covered[decoded.op] = true;
        if (wanted != seen || memcmp(&host, &guest, sizeof(host)) != 0) {
            report(s, (enum x86_op)decoded.op, bytes, sizeof(bytes), &start, &host, &guest);
        }
    }
}

// The memory operand at distances before an absent page: the same fault as on the host, or none.
static void edge(struct session *s, const u8 *insn, unsigned available)
{
    static const u8 distances[] = {1, 2, 4, 8, 16, 32, 31, 40, 48};
    static struct image start, copy;
    struct insn decoded;
    if (insn_decode(s->decoder, CODE_64, insn, available, 0, &decoded) != DECODE_OK || decoded.op == OP_INVALID ||
        !(x86_op_info[decoded.op].attributes & A_VECTOR) || is_gather(decoded.op)) {
        return;
    }
    make_image(&s->random, &start, false);
    memset(start.before + LEGACY_XMM, 0xFF, 256); // all masks set
    memset(start.before + YMM_HIGH, 0xFF, 256);
    for (unsigned i = 0; i < sizeof(distances); i++) {
        copy = start;
        int wanted = run_host(s, insn, decoded.length, &copy, s->host_edge - distances[i]);
        // SHA is of exception type 4 (SDM 2, table 2-21): AMD's processors do not ask for alignment.
        if (decoded.op >= OP_SHA1RNDS4 && decoded.op <= OP_SHA256MSG2 && distances[i] % 16) {
            wanted = 13;
        }
        copy = start;
        int seen = run_guest(s, insn, decoded.length, &copy, GUEST_EDGE - distances[i]);
        s->tested++;
        if (wanted != seen && s->failed++ < 20) {
            printf("# %s (%02x %02x %02x %02x %02x) %u bytes before an absent page: host %d, guest %d\n",
                   x86_op_info[decoded.op].name, insn[0], insn[1], insn[2], insn[3], insn[4], distances[i], wanted, seen);
        }
    }
}

static void edges_of_pages(struct session *s)
{
    static const u8 prefixes[] = {0, 0x66, 0xF3, 0xF2}, maps[] = {0, 0x38, 0x3A};
    for (unsigned n = 0; n < 3 * 4 * 256 * 2; n++) {
        u8 bytes[16] = {0};
        unsigned at = 0, map = maps[n / 2048];
        if (prefixes[n / 512 % 4]) {
            bytes[at++] = prefixes[n / 512 % 4];
        }
        if (n & 1) {
            bytes[at++] = 0x48;
        }
        bytes[at++] = 0x0F;
        if (map) {
            bytes[at++] = (u8)map;
        }
        bytes[at++] = (u8)(n / 2), bytes[at++] = 0x0E; // register 1, [rsi]
        edge(s, bytes, at + 1);
    }
    for (unsigned n = 0; n < 3 * 16 * 256; n++) {
        u8 bytes[6];
        make_vex(s, bytes, n, 1, true, 2, 0);
        edge(s, bytes, sizeof(bytes));
        make_vex(s, bytes, n, 1, true, 0, 0);
        edge(s, bytes, sizeof(bytes));
    }
}

// VEX encodings that the host executes and we do not, or the other way round. What Zydis knows and our table leaves out
// (AVX-512's masks, VAES, VNNI and the like) is not advertised and not asked.
static void undefined_encodings(struct session *s)
{
    static struct image start, copy;
    ZydisDecoder zydis;
    ZydisDecoderInit(&zydis, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    make_image(&s->random, &start, false);
    for (unsigned n = 0; n < 3 * 16 * 256 * 8; n++) {
        u8 bytes[6];
        struct insn decoded;
        ZydisDecodedInstruction known;
        if (n / 8 / 256 == 1 && (n / 8 & 255) == 0xF7) {
            continue; // VMASKMOVDQU stores to the image
        }
        make_vex(s, bytes, n / 8, n >> 2 & 1, n & 1, n & 2 ? 3 : 0, 0);
        if ((bytes[1] & 31) == 3 && bytes[3] < 2 && !(bytes[2] & 0x80)) {
            continue; // VPERMQ and VPERMPD are W1; AMD's processors take W0 as well
        }
        bool ours = insn_decode(s->decoder, CODE_64, bytes, 6, 0, &decoded) == DECODE_OK && decoded.op != OP_INVALID;
        bool zydis_knows = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&zydis, NULL, bytes, sizeof(bytes), &known));
        if ((!ours && zydis_knows) || (ours && !(x86_op_info[decoded.op].attributes & A_VECTOR))) {
            continue;
        }
        copy = start;
        bool executed = run_host(s, bytes, ours ? decoded.length : 6, &copy, copy.memory) != 6;
        s->tested++;
        if (executed != ours && s->failed++ < 20) {
            printf("# %02x %02x %02x %02x %02x: the host %s it, we %s it\n", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                   executed ? "executes" : "rejects", ours ? "execute" : "reject");
        }
    }
}

static void uncovered(struct session *s)
{
    for (unsigned op = 1; op < X86_OP_COUNT; op++) {
        if (!(x86_op_info[op].attributes & A_X87) && is_compared((enum x86_op)op) && !s->covered[op]) {
            printf("# %s was not compared\n", x86_op_info[op].name);
            s->failed++;
        }
    }
}

static bool part(struct session *s, const char *name)
{
    bool failed = s->failed;
    printf("%s - %u trials: %s, %u encodings, %u exceptions, %u differ\n", failed ? "not ok" : "ok", s->tested, name, s->encodings,
           s->trapped, s->failed);
    s->tested = s->failed = s->encodings = s->trapped = 0;
    return failed;
}

int main(int argc, char **argv)
{
    static struct session s;
    s.guest = bare_create(TLB_FULL);
    s.random = (struct random){argc > 2 ? (u64)atoi(argv[2]) : 1};
    unsigned trials = argc > 1 ? (unsigned)atoi(argv[1]) : 10;
    struct decoder_options options = {false, false, 0};
    s.decoder = decoder_create(&options);
    s.host_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    s.host_edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    s.host_edge += 4096;
    mprotect(s.host_edge, 4096, PROT_NONE);
    for (u64 a = BARE_USER; a < BARE_USER + 0x20000; a += PAGE_SIZE) {
        bare_set_page(s.guest, a, BARE_PAGE_WRITE);
    }
    bare_set_page(s.guest, GUEST_EDGE, BARE_PAGE_ABSENT);
    catch_signals();
    enable_avx(&s);
    legacy(&s, trials);
    bool failed = part(&s, "MMX and SSE instructions");
    vex(&s, trials);
    gathers(&s, trials);
    uncovered(&s);
    failed |= part(&s, "AVX instructions");
    x87(&s, trials);
    failed |= part(&s, "x87 instructions");
    edges_of_pages(&s);
    failed |= part(&s, "memory operands at page ends");
    undefined_encodings(&s);
    failed |= part(&s, "VEX encodings that are or are not there");
    decoder_destroy(s.decoder);
    bare_destroy(s.guest);
    return failed;
}
