// SPDX-License-Identifier: MIT
// One CPU's descriptor tables, control registers and MSRs. SDM vol. 3 chapters 2, 5, 6, 7.
#include "abi/errno.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/asm_offsets.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/paging.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "sched/sched.h"

_Static_assert(offset_of(struct cpu, task) == CPU_CURRENT, "asm_offsets.h");
_Static_assert(offset_of(struct cpu, kernel_sp) == CPU_KERNEL_SP, "asm_offsets.h");
_Static_assert(offset_of(struct cpu, user_sp) == CPU_USER_SP, "asm_offsets.h");
_Static_assert(offset_of(struct cpu, preempt_count) == CPU_PREEMPT_COUNT, "asm_offsets.h");
_Static_assert(offset_of(struct cpu, need_resched) == CPU_NEED_RESCHED, "asm_offsets.h");
_Static_assert(offset_of(struct task_struct, work) == TASK_WORK, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, ax) == REGS_AX, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, cx) == REGS_CX, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, r11) == REGS_R11, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, di) == REGS_DI, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, orig_ax) == REGS_ORIG_AX, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, ip) == REGS_IP, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, cs) == REGS_CS, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, flags) == REGS_FLAGS, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, sp) == REGS_SP, "asm_offsets.h");
_Static_assert(offset_of(struct pt_regs, ss) == REGS_SS, "asm_offsets.h");

#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SFMASK 0xc0000084
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103

#define CR4_PGE (1UL << 7)
#define CR4_SMEP (1UL << 20)
#define CR4_SMAP (1UL << 21)

struct cpu cpus[NR_CPUS];
unsigned nr_cpus_online = 1, nr_cpus_possible = 1;
struct cpu_features cpu_features;

static struct arch_cpu boot_arch_cpu;
static struct {
    u64 low, high;
} idt[256] __aligned(16);
extern char vector_stubs[], syscall_entry[], boot_stack_top[];

static void features_detect(void)
{
    struct cpuid_regs r = cpuid(0, 0);
    struct cpu_features *f = &cpu_features;
    f->max_leaf = r.eax;
    f->genuine_intel = r.ebx == 0x756e6547 && r.edx == 0x49656e69 && r.ecx == 0x6c65746e;
    r = cpuid(1, 0);
    f->pge = r.edx >> 13 & 1;
    f->xsave = r.ecx >> 26 & 1;
    f->tsc_deadline = r.ecx >> 24 & 1;
    f->pcid = r.ecx >> 17 & 1;
    if (f->max_leaf >= 6)
        f->arat = cpuid(6, 0).eax >> 2 & 1;
    if (f->max_leaf >= 7) {
        r = cpuid(7, 0);
        f->smep = r.ebx >> 7 & 1;
        f->smap = r.ebx >> 20 & 1;
    }
    u32 max_ext = cpuid(0x80000000, 0).eax;
    r = cpuid(0x80000001, 0);
    f->nx = r.edx >> 20 & 1;
    f->rdtscp = r.edx >> 27 & 1;
    f->gbpages = r.edx >> 26 & 1;
    if (max_ext >= 0x80000007)
        f->invariant_tsc = cpuid(0x80000007, 0).edx >> 8 & 1;
}

static void idt_set(unsigned vector, unsigned ist, unsigned dpl)
{
    u64 a = (u64)vector_stubs + 16UL * vector;
    idt[vector].low = (a & 0xffff) | (u64)KERNEL_CS << 16 | (u64)ist << 32 | 0x8e00UL << 32 |
                      (u64)dpl << 45 | (a >> 16 & 0xffff) << 48;
    idt[vector].high = a >> 32;
}

static void load_tables(struct arch_cpu *a)
{
    u64 tss = (u64)&a->tss;
    a->gdt[2] = 0x00af9b000000ffffUL; // kernel code
    a->gdt[3] = 0x00cf93000000ffffUL; // kernel data
    a->gdt[4] = 0x00cffb000000ffffUL; // user code, 32 bit
    a->gdt[5] = 0x00cff3000000ffffUL; // user data
    a->gdt[6] = 0x00affb000000ffffUL; // user code
    a->gdt[8] =
        (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89UL << 40 | (tss >> 24 & 0xff) << 56;
    a->gdt[9] = tss >> 32;
    a->tss.iomap_base = sizeof(struct tss);
    for (int i = 0; i < 3; i++)
        a->tss.ist[i] = (u64)(a->ist_stacks[i] + IST_STACK_SIZE);
    struct {
        u16 limit;
        u64 base;
    } __packed gdtr = {sizeof(a->gdt) - 1, (u64)a->gdt}, idtr = {sizeof(idt) - 1, (u64)idt};
    __asm__ volatile(
        "lgdt %0\n"
        "pushq %1\n leaq 1f(%%rip), %%rax\n pushq %%rax\n lretq\n1:\n"
        "movl %2, %%eax\n movl %%eax, %%ss\n xorl %%eax, %%eax\n"
        "movl %%eax, %%ds\n movl %%eax, %%es\n movl %%eax, %%fs\n movl %%eax, %%gs\n" ::"m"(gdtr),
        "i"(KERNEL_CS), "i"(KERNEL_DS)
        : "rax", "memory");
    __asm__ volatile("lidt %0" ::"m"(idtr));
    __asm__ volatile("ltr %w0" ::"r"(TSS_SELECTOR));
}

// RDTSCP and RDPID tell programs their CPU.
static void tell_cpu_number(const struct cpu *c)
{
    if (cpu_features.rdtscp)
        wrmsr(MSR_TSC_AUX, c->id);
}

static void syscall_msrs(void)
{
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1);
    wrmsr(MSR_STAR, (u64)KERNEL_CS << 32 | (u64)USER32_CS << 48);
    wrmsr(MSR_LSTAR, (u64)syscall_entry);
    wrmsr(MSR_SFMASK, FLAGS_IF | FLAGS_DF | FLAGS_TF | FLAGS_AC | FLAGS_NT | FLAGS_IOPL | FLAGS_RF);
}

void cpu_init_early(void)
{
    struct cpu *c = &cpus[0];
    features_detect();
    for (unsigned v = 0; v < 256; v++)
        idt_set(v,
                v == 8    ? IST_DOUBLE_FAULT
                : v == 2  ? IST_NMI
                : v == 18 ? IST_MCE
                          : 0,
                v == 3 || v == 4 ? 3 : 0);
    load_tables(&boot_arch_cpu);
    c->self = c;
    c->arch = &boot_arch_cpu;
    c->task = &init_task;
    c->idle = &init_task;
    c->active_mm = NULL;
    c->apic_id = cpuid(1, 0).ebx >> 24;
    wrmsr(MSR_GS_BASE, (u64)c);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    syscall_msrs();
    tell_cpu_number(c);
    c->kernel_sp = (u64)boot_stack_top;
    c->arch->tss.rsp0 = c->kernel_sp;
}

static unsigned long read_cr4(void)
{
    unsigned long v;
    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

// Turns the NOPs of the SMAP sites into CLAC or STAC. The text is written through the direct map.
static void smap_patch(void)
{
    extern const struct {
        u64 ip, kind;
    } smap_sites_start[], smap_sites_end[];
    for (__auto_type s = &smap_sites_start[0]; s < smap_sites_end; s++) {
        u8 *p = __va(virt_to_phys((void *)s->ip));
        p[0] = 0x0f;
        p[1] = 0x01;
        p[2] = (u8)s->kind;
    }
    cpuid(0, 0); // serialises
}

static void control_registers(void)
{
    unsigned long cr4 = read_cr4();
    if (cpu_features.pge)
        cr4 |= CR4_PGE;
    if (cpu_features.smep)
        cr4 |= CR4_SMEP;
    if (cpu_features.smap)
        cr4 |= CR4_SMAP;
    __asm__ volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
}

void cpu_enable_protections(void)
{
    if (cpu_features.smap)
        smap_patch();
    control_registers();
}

void cpu_init_ap(struct cpu *c)
{
    load_tables(c->arch);
    wrmsr(MSR_GS_BASE, (u64)c);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    syscall_msrs();
    tell_cpu_number(c);
    control_registers();
}
