// SPDX-License-Identifier: MIT
// ACPI tables by the RSDP that the loader gave, or one found below 1 MiB; all in the direct map.
#include "drivers/acpi.h"

#include "arch/x86_64/paging.h"
#include "init/init.h"
#include "lib/string.h"

#define DIRECT_LIMIT (4UL << 30)
#define FADT_DSDT 40
#define FADT_PM1A_CNT 64
#define AML_PACKAGE 0x12
#define AML_BYTE_PREFIX 0x0a
#define MADT_LAPIC 0

static u32 load32(const u8 *p)
{
    u32 v;
    memcpy(&v, p, 4);
    return v;
}

static u64 load64(const u8 *p)
{
    u64 v;
    memcpy(&v, p, 8);
    return v;
}

static bool sum_ok(const u8 *p, u32 n)
{
    u8 sum = 0;
    for (u32 i = 0; i < n; i++)
        sum = (u8)(sum + p[i]);
    return sum == 0;
}

// A whole table at a physical address, or NULL.
static const u8 *table_at(u64 pa, u32 *length)
{
    if (!pa || pa + 36 > DIRECT_LIMIT)
        return NULL;
    const u8 *t = __va(pa);
    u32 n = load32(t + 4);
    if (n < 36 || pa + n > DIRECT_LIMIT || !sum_ok(t, n))
        return NULL;
    *length = n;
    return t;
}

static const u8 *rsdp_find(void)
{
    if (boot_info.rsdp && boot_info.rsdp < DIRECT_LIMIT &&
        !memcmp(__va(boot_info.rsdp), "RSD PTR ", 8))
        return __va(boot_info.rsdp);
    for (u64 pa = 0xe0000; pa < 0x100000; pa += 16)
        if (!memcmp(__va(pa), "RSD PTR ", 8) && sum_ok(__va(pa), 20))
            return __va(pa);
    return NULL;
}

const void *acpi_table(const char *signature, u32 *length)
{
    const u8 *rsdp = rsdp_find();
    if (!rsdp)
        return NULL;
    bool wide = rsdp[15] >= 2 && load64(rsdp + 24);
    u32 root_len, entry = wide ? 8 : 4;
    const u8 *root = table_at(wide ? load64(rsdp + 24) : load32(rsdp + 16), &root_len);
    for (u32 at = 36; root && at + entry <= root_len; at += entry) {
        const u8 *t = table_at(wide ? load64(root + at) : load32(root + at), length);
        if (t && !memcmp(t, signature, 4))
            return t;
    }
    return NULL;
}

unsigned acpi_cpu_ids(u32 *ids, unsigned max)
{
    u32 n;
    const u8 *madt = acpi_table("APIC", &n);
    unsigned count = 0;
    for (u32 at = 44; madt && at + 8 <= n && madt[at + 1] >= 2; at += madt[at + 1])
        if (madt[at] == MADT_LAPIC && (madt[at + 4] & 1) && count < max)
            ids[count++] = madt[at + 3];
    return count;
}

// One small AML integer: ZeroOp, OneOp or BytePrefix.
static bool aml_byte(const u8 *p, const u8 *end, u16 *out)
{
    if (p >= end)
        return false;
    if (*p <= 1) {
        *out = *p;
        return true;
    }
    if (*p != AML_BYTE_PREFIX || p + 1 >= end)
        return false;
    *out = p[1];
    return true;
}

bool acpi_s5(struct acpi_sleep *s)
{
    u32 fadt_len, dsdt_len;
    const u8 *fadt = acpi_table("FACP", &fadt_len);
    if (!fadt || fadt_len < FADT_PM1A_CNT + 4)
        return false;
    s->pm1a_port = (u16)load32(fadt + FADT_PM1A_CNT);
    const u8 *dsdt = table_at(load32(fadt + FADT_DSDT), &dsdt_len);
    for (u32 i = 36; dsdt && i + 8 < dsdt_len; i++) {
        if (memcmp(dsdt + i, "_S5_", 4) || dsdt[i + 4] != AML_PACKAGE)
            continue;
        const u8 *p = dsdt + i + 5;
        p += 1 + (*p >> 6); // package length
        p += 1;             // element count
        return aml_byte(p, dsdt + dsdt_len, &s->sleep_type);
    }
    return false;
}
