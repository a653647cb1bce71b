// SPDX-License-Identifier: MIT
// Descriptor tables, the task state segment, control and model-specific registers as text.
#include "debugger/tables.h"

#include "base/memory.h"
#include "debugger/walk.h"

#include <stdlib.h>
#include <string.h>

static const char *const system_types[16] = {
    "reserved",    "16-bit TSS", "LDT",       "16-bit TSS busy", // 0
    "16-bit call", "task gate",  "16-bit",    "16-bit trap",     // 4
    "reserved",    "TSS",        "reserved",  "TSS busy",        // 8
    "call gate",   "reserved",   "interrupt", "trap"};           // 12

static u64 field_of(const u8 *bytes, unsigned offset, unsigned size)
{
    u64 value = 0;
    memcpy(&value, bytes + offset, size);
    return value;
}

static struct cpu_regs regs_of(const struct machine *m, unsigned cpu)
{
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(m, cpu), &regs);
    return regs;
}

// --- interrupt gates

struct gate {
    u64 offset;
    u16 attributes, selector;
};

static struct gate gate_of(const u8 *bytes, bool is_long)
{
    u64 high = is_long ? field_of(bytes, 8, 4) << 32 : 0;
    return (struct gate){
        .offset = field_of(bytes, 0, 2) | field_of(bytes, 6, 2) << 16 | high,
        .attributes = (u16)(field_of(bytes, 4, 2) & (is_long ? 0xFF07 : 0xFF00)),
        .selector = (u16)field_of(bytes, 2, 2),
    };
}

static void print_gates(FILE *out, const struct gate *gates, unsigned first, unsigned last,
                        struct symbols *symbols)
{
    const struct gate *g = &gates[first];
    char name[80] = "", range[16], hex[16];
    if (!(g->attributes & 0x8000)) {
        return;
    }
    if (symbols) {
        symbols_format(symbols, g->offset, name, sizeof(name));
    }
    if (first == last) {
        snprintf(range, sizeof(range), "%u", first);
        snprintf(hex, sizeof(hex), "0x%02x", first);
    } else {
        snprintf(range, sizeof(range), "%u-%u", first, last);
        snprintf(hex, sizeof(hex), "0x%02x-%02x", first & 0xFF, last & 0xFF);
    }
    fprintf(out, "%7s %-7s %-9s DPL %u IST %u  %04x:0x%016llx %s", range, hex,
            system_types[g->attributes >> 8 & 15], g->attributes >> 13 & 3, g->attributes & 7,
            g->selector, (unsigned long long)g->offset, name);
    if (first != last) {
        fprintf(out, ", %#llx apart", (unsigned long long)(gates[first + 1].offset - g->offset));
    }
    fputc('\n', out);
}

static bool run_goes_on(const struct gate *gates, unsigned first, unsigned next)
{
    const struct gate *a = &gates[first], *b = &gates[next];
    return a->attributes == b->attributes && a->selector == b->selector &&
           b->offset - gates[next - 1].offset == gates[first + 1].offset - a->offset;
}

void tables_idt(FILE *out, const struct machine *m, unsigned cpu, struct symbols *symbols)
{
    struct cpu_regs regs = regs_of(m, cpu);
    struct walk_space space = walk_space_of_cpu(m, cpu);
    struct gate gates[256];
    bool is_long = regs.efer >> 10 & 1;
    unsigned size = is_long ? 16 : 8, count = (regs.idtr_limit + 1u) / size;
    count = count < 256 ? count : 256;
    fprintf(out, "IDT of CPU %u at %#llx, limit %#x\n", cpu, (unsigned long long)regs.idtr_base,
            regs.idtr_limit);
    for (unsigned vector = 0; vector < count; vector++) {
        u8 bytes[16];
        if (walk_read(&space, regs.idtr_base + (u64)vector * size, bytes, size) != size) {
            fprintf(out, "from gate %u on not mapped\n", vector);
            count = vector;
            break;
        }
        gates[vector] = gate_of(bytes, is_long);
    }
    for (unsigned first = 0, last; first < count; first = last + 1) {
        last = first;
        while (last + 1 < count && run_goes_on(gates, first, last + 1)) {
            last++;
        }
        last = last - first < 3 ? first : last;
        print_gates(out, gates, first, last, symbols);
    }
}

// --- segment descriptors

static void print_segment(FILE *out, u64 d)
{
    u64 limit = (d & 0xFFFF) | (d >> 32 & 0xF0000);
    u64 base = (d >> 16 & 0xFFFFFF) | (d >> 32 & 0xFF000000);
    if (d >> 55 & 1) {
        limit = limit << 12 | 0xFFF;
    }
    if (d >> 43 & 1) {
        fprintf(out, "code %s%s%s", d >> 41 & 1 ? "readable" : "execute-only",
                d >> 42 & 1 ? " conforming" : "",
                d >> 53 & 1   ? " 64-bit"
                : d >> 54 & 1 ? " 32-bit"
                              : " 16-bit");
    } else {
        fprintf(out, "data %s%s%s", d >> 41 & 1 ? "writable" : "read-only",
                d >> 42 & 1 ? " expand-down" : "", d >> 54 & 1 ? " 32-bit" : " 16-bit");
    }
    fprintf(out, " DPL %u base %#llx limit %#llx%s\n", (unsigned)(d >> 45 & 3),
            (unsigned long long)base, (unsigned long long)limit, d >> 47 & 1 ? "" : " not present");
}

static void print_system_descriptor(FILE *out, u64 d, u64 high, bool is_long)
{
    u64 limit = (d & 0xFFFF) | (d >> 32 & 0xF0000);
    u64 base = (d >> 16 & 0xFFFFFF) | (d >> 32 & 0xFF000000) | (is_long ? high << 32 : 0);
    fprintf(out, "%s DPL %u base %#llx limit %#llx%s\n", system_types[d >> 40 & 15],
            (unsigned)(d >> 45 & 3), (unsigned long long)base, (unsigned long long)limit,
            d >> 47 & 1 ? "" : " not present");
}

void tables_gdt(FILE *out, const struct machine *m, unsigned cpu)
{
    struct cpu_regs regs = regs_of(m, cpu);
    struct walk_space space = walk_space_of_cpu(m, cpu);
    bool is_long = regs.efer >> 10 & 1;
    fprintf(out, "GDT of CPU %u at %#llx, limit %#x\n", cpu, (unsigned long long)regs.gdtr_base,
            regs.gdtr_limit);
    for (u64 at = 0; at + 7 <= regs.gdtr_limit; at += 8) {
        u64 d[2] = {0, 0};
        u64 got = walk_read(&space, regs.gdtr_base + at, d, sizeof(d));
        if (got < 8) {
            fprintf(out, "%04llx: not mapped\n", (unsigned long long)at);
            return;
        }
        if (!d[0]) {
            continue;
        }
        fprintf(out, "%04llx  ", (unsigned long long)at);
        if (d[0] >> 44 & 1) {
            print_segment(out, d[0]);
        } else {
            print_system_descriptor(out, d[0], d[1], is_long);
            at += is_long ? 8 : 0;
        }
    }
}

// --- task state segment

void tables_tss(FILE *out, const struct machine *m, unsigned cpu)
{
    struct cpu_regs regs = regs_of(m, cpu);
    struct walk_space space = walk_space_of_cpu(m, cpu);
    u8 tss[104];
    fprintf(out, "TSS of CPU %u: selector %04x, base %#llx, limit %#x\n", cpu, regs.tr.selector,
            (unsigned long long)regs.tr.base, regs.tr.limit);
    if (!(regs.efer >> 10 & 1)) {
        fprintf(out, "not in IA-32e mode\n");
        return;
    }
    if (walk_read(&space, regs.tr.base, tss, sizeof(tss)) != sizeof(tss)) {
        fprintf(out, "not mapped\n");
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        fprintf(out, "RSP%u 0x%016llx\n", i, (unsigned long long)field_of(tss, 4 + 8 * i, 8));
    }
    for (unsigned i = 1; i < 8; i++) {
        fprintf(out, "IST%u 0x%016llx\n", i, (unsigned long long)field_of(tss, 0x1C + 8 * i, 8));
    }
    unsigned map = (unsigned)field_of(tss, 102, 2);
    fprintf(out, "I/O map base %#x%s\n", map, map > regs.tr.limit ? " (none)" : "");
}

// --- control and model-specific registers

struct bit_name {
    unsigned bit;
    const char *name;
};

static void print_bits(FILE *out, const char *name, u64 value, const struct bit_name *bits)
{
    fprintf(out, "%-16s 0x%016llx", name, (unsigned long long)value);
    for (; bits && bits->name; bits++) {
        if (value >> bits->bit & 1) {
            fprintf(out, " %s", bits->name);
        }
    }
    fputc('\n', out);
}

static const struct bit_name efer_bits[] = {
    {0, "SCE"}, {8, "LME"}, {10, "LMA"}, {11, "NXE"}, {0, NULL}};

void tables_control(FILE *out, const struct machine *m, unsigned cpu)
{
    static const struct bit_name cr0_bits[] = {{0, "PE"},  {1, "MP"},  {2, "EM"},  {3, "TS"},
                                               {4, "ET"},  {5, "NE"},  {16, "WP"}, {18, "AM"},
                                               {29, "NW"}, {30, "CD"}, {31, "PG"}, {0, NULL}};
    static const struct bit_name cr4_bits[] = {
        {0, "VME"},         {1, "PVI"},   {2, "TSD"},   {3, "DE"},        {4, "PSE"},
        {5, "PAE"},         {6, "MCE"},   {7, "PGE"},   {8, "PCE"},       {9, "OSFXSR"},
        {10, "OSXMMEXCPT"}, {11, "UMIP"}, {12, "LA57"}, {16, "FSGSBASE"}, {17, "PCIDE"},
        {18, "OSXSAVE"},    {20, "SMEP"}, {21, "SMAP"}, {22, "PKE"},      {0, NULL}};
    static const struct bit_name rflags_bits[] = {
        {0, "CF"},  {2, "PF"},   {4, "AF"},   {6, "ZF"},  {7, "SF"},  {8, "TF"},
        {9, "IF"},  {10, "DF"},  {11, "OF"},  {14, "NT"}, {16, "RF"}, {17, "VM"},
        {18, "AC"}, {19, "VIF"}, {20, "VIP"}, {21, "ID"}, {0, NULL}};
    struct cpu_regs regs = regs_of(m, cpu);
    print_bits(out, "RFLAGS", regs.rflags, rflags_bits);
    print_bits(out, "CR0", regs.cr0, cr0_bits);
    print_bits(out, "CR2", regs.cr2, NULL);
    print_bits(out, "CR3", regs.cr3, NULL);
    print_bits(out, "CR4", regs.cr4, cr4_bits);
    print_bits(out, "CR8", regs.cr8, NULL);
    print_bits(out, "EFER", regs.efer, efer_bits);
}

// Calls fn for each field of a CPU's saved state.
static void each_cpu_field(const struct machine *m, unsigned cpu,
                           void (*fn)(FILE *out, const struct field *f, const u8 *bytes), FILE *out)
{
    const struct cpu *c = machine_cpu(m, cpu);
    u8 *saved = xcalloc(1, cpu_state_size(c)), *at = saved;
    cpu_state_save(c, saved);
    for (const struct field *f = cpu_fields(); f->name; f++) {
        fn(out, f, at);
        at += (size_t)f->elem_size * f->count;
    }
    free(saved);
}

// The registers that are no part of cpu_regs stand in the saved state under their names.
static void print_msr_field(FILE *out, const struct field *f, const u8 *bytes)
{
    static const char *const rows[][2] = {{"tsc_offset", "TSC_ADJUST"},
                                          {"tsc_aux", "TSC_AUX"},
                                          {"pat", "PAT"},
                                          {"misc_enable", "MISC_ENABLE"},
                                          {"sysenter_cs", "SYSENTER_CS"},
                                          {"sysenter_esp", "SYSENTER_ESP"},
                                          {"sysenter_eip", "SYSENTER_EIP"},
                                          {"debugctl", "DEBUGCTL"},
                                          {"mtrr_def_type", "MTRR_DEF_TYPE"},
                                          {"feature_control", "FEATURE_CONTROL"}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!strcmp(f->name, rows[i][0])) {
            print_bits(out, rows[i][1], field_of(bytes, 0, f->elem_size), NULL);
        }
    }
}

static void print_address(FILE *out, const char *name, u64 value, struct symbols *symbols)
{
    char text[80] = "";
    if (symbols && value) {
        symbols_format(symbols, value, text, sizeof(text));
    }
    fprintf(out, "%-16s 0x%016llx %s\n", name, (unsigned long long)value, text);
}

void tables_msrs(FILE *out, const struct machine *m, unsigned cpu, struct symbols *symbols)
{
    struct cpu_regs regs = regs_of(m, cpu);
    print_bits(out, "EFER", regs.efer, efer_bits);
    fprintf(out, "%-16s 0x%016llx SYSCALL CS %04x, SYSRET CS %04x\n", "STAR",
            (unsigned long long)regs.star, (unsigned)(regs.star >> 32 & 0xFFFC),
            (unsigned)((regs.star >> 48) + 16) | 3);
    print_address(out, "LSTAR", regs.lstar, symbols);
    print_address(out, "CSTAR", regs.cstar, symbols);
    print_bits(out, "FMASK", regs.sfmask, NULL);
    print_bits(out, "FS_BASE", regs.seg[CPU_FS].base, NULL);
    print_address(out, "GS_BASE", regs.seg[CPU_GS].base, symbols);
    print_address(out, "KERNEL_GS_BASE", regs.kernel_gs_base, symbols);
    each_cpu_field(m, cpu, print_msr_field, out);
}

// --- fields of the CPU and of devices

static void print_bytes(FILE *out, const u8 *bytes, u64 size)
{
    for (u64 i = 0; i < size; i++) {
        fprintf(out, "%02x", bytes[i]);
    }
}

static void print_number(FILE *out, const struct field *f, const u8 *bytes)
{
    if (f->elem_size > 8) {
        print_bytes(out, bytes, f->elem_size);
        return;
    }
    unsigned long long value = field_of(bytes, 0, f->elem_size);
    switch (f->format) {
    case FIELD_DECIMAL:
        if (value == UINT64_MAX) {
            fputs("never", out); // a deadline that is not set
        } else {
            fprintf(out, "%llu", value);
        }
        break;
    case FIELD_BOOL:
        fputs(value ? "yes" : "no", out);
        break;
    default:
        fprintf(out, "%#llx", value);
        break;
    }
}

static bool all_zero(const u8 *bytes, u64 size)
{
    while (size && !*bytes) {
        bytes++;
        size--;
    }
    return !size;
}

// "name value", arrays with their indices, runs of zeroes as one.
static void print_field(FILE *out, const struct field *f, const u8 *bytes)
{
    if (f->format == FIELD_BYTES && f->count > 1 && f->elem_size == 1) {
        fprintf(out, "  %-22s ", f->name);
        if (all_zero(bytes, f->count)) {
            fprintf(out, "%u zeroes\n", f->count);
            return;
        }
        print_bytes(out, bytes, f->count < 64 ? f->count : 64);
        fputs(f->count > 64 ? "...\n" : "\n", out);
        return;
    }
    for (u32 i = 0; i < f->count; i++) {
        const u8 *element = bytes + (size_t)i * f->elem_size;
        u32 zeroes = 0;
        while (i + zeroes < f->count &&
               all_zero(element + (size_t)zeroes * f->elem_size, f->elem_size)) {
            zeroes++;
        }
        char name[80];
        if (zeroes > 2) {
            snprintf(name, sizeof(name), "%s[%u-%u]", f->name, i, i + zeroes - 1);
            fprintf(out, "  %-22s 0\n", name);
            i += zeroes - 1;
            continue;
        }
        if (f->count > 1) {
            snprintf(name, sizeof(name), "%s[%u]", f->name, i);
        } else {
            snprintf(name, sizeof(name), "%s", f->name);
        }
        fprintf(out, "  %-22s ", name);
        print_number(out, f, element);
        fputc('\n', out);
    }
}

void tables_cpu_fields(FILE *out, const struct machine *m, unsigned cpu)
{
    fprintf(out, "CPU %u\n", cpu);
    each_cpu_field(m, cpu, print_field, out);
}

// The length of "name[n]." at a field's name: structures in an array; 0 for other fields.
static size_t group_length(const struct field *f)
{
    const char *end = strstr(f->name, "].");
    return end ? (size_t)(end + 2 - f->name) : 0;
}

// Prints the fields of one group, or of a single one, and returns the first behind it.
static const struct field *print_group(FILE *out, const struct field *f, const u8 *state)
{
    size_t length = group_length(f);
    const struct field *end = f + 1;
    bool zero = length && all_zero(state + f->offset, (u64)f->elem_size * f->count);
    while (length && end->name && !strncmp(end->name, f->name, length)) {
        zero &= all_zero(state + end->offset, (u64)end->elem_size * end->count);
        end++;
    }
    if (zero) {
        fprintf(out, "  %-22.*s all zero\n", (int)length - 1, f->name);
        return end;
    }
    for (; f < end; f++) {
        print_field(out, f, state + f->offset);
    }
    return end;
}

void tables_devices(FILE *out, const struct machine *m)
{
    for (unsigned i = 0; i < machine_device_count(m); i++) {
        const struct device *d = machine_device(m, i);
        fprintf(out, "%-16s %s\n", d->class->name, d->path);
    }
}

bool tables_device(FILE *out, const struct machine *m, const char *name)
{
    bool found = false;
    for (unsigned i = 0; i < machine_device_count(m); i++) {
        const struct device *d = machine_device(m, i);
        if (!strstr(d->class->name, name) && !strstr(d->path, name)) {
            continue;
        }
        found = true;
        fprintf(out, "%s %s\n", d->class->name, d->path);
        const struct field *f = d->class->fields;
        while (f && f->name) {
            f = print_group(out, f, d->state);
        }
    }
    return found;
}
