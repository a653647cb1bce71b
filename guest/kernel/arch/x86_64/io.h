// SPDX-License-Identifier: MIT
// Port I/O, MMIO, MSRs, CPUID, TSC.
#pragma once

#include "lib/types.h"

static inline u8 inb(u16 p)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(p) : "memory");
    return v;
}
static inline u16 inw(u16 p)
{
    u16 v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(p) : "memory");
    return v;
}
static inline u32 inl(u16 p)
{
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(p) : "memory");
    return v;
}
static inline void outb(u16 p, u8 v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(p) : "memory");
}
static inline void outw(u16 p, u16 v)
{
    __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(p) : "memory");
}
static inline void outl(u16 p, u32 v)
{
    __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(p) : "memory");
}
// Ordered against ordinary memory: a descriptor is written before the doorbell, a status read
// before what it speaks of.
static inline u32 mmio_read32(const volatile void *p)
{
    u32 v = *(const volatile u32 *)p;
    barrier();
    return v;
}
static inline void mmio_write32(volatile void *p, u32 v)
{
    barrier();
    *(volatile u32 *)p = v;
}
static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}
static inline void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline u64 rdtsc(void)
{
    u32 lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}
struct cpuid_regs {
    u32 eax, ebx, ecx, edx;
};
static inline struct cpuid_regs cpuid(u32 leaf, u32 sub)
{
    struct cpuid_regs r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(sub));
    return r;
}
