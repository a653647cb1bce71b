// SPDX-License-Identifier: MIT
// Booting without firmware: Linux bzImages and multiboot images made here, whole and damaged; the
// ACPI tables. With a folder's name as its argument it writes the tables there instead.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/memory.h"
#include "machine/boot.h"
#include "machine/tree.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEM_BYTES (UINT64_C(64) << 20)
#define SETUP_BYTES (2 * 512)
#define KERNEL_BYTES 0x1000
#define IMAGE_BYTES (SETUP_BYTES + KERNEL_BYTES)
#define PREFERRED 0x1000000
#define RSDP 0xF0000

// mov $0xF4, %edx; mov $9, %eax; out %al, (%dx); hlt: the same in 32 and 64 bits.
static const u8 code[] = {0xBA, 0xF4, 0, 0, 0, 0xB8, 9, 0, 0, 0, 0xEE, 0xF4};

struct fixture {
    struct machine *m;
    void *tree;
};

static void open_machine(struct fixture *f, u64 mem_bytes)
{
    struct tree_changes changes = {.mem_bytes = mem_bytes, .cpus = 3};
    struct status s = tree_prepare(&f->tree, tree_builtin, tree_builtin_size, "t", &changes);
    assert_true(status_ok(&s));
    static const struct host host;
    struct machine_config config = {.tree = f->tree, .host = &host, .cpu_model = "v2"};
    s = machine_create(&f->m, &config);
    assert_string_equal(s.text, "");
}

static void close_machine(struct fixture *f)
{
    machine_destroy(f->m);
    free(f->tree);
}

static struct status boot(struct fixture *f, const u8 *image, size_t size, size_t initrd_size)
{
    u8 *initrd = initrd_size ? xcalloc(1, initrd_size) : NULL;
    if (initrd) {
        initrd[0] = 0x5A;
    }
    struct boot_params params = {
        .kernel = {image, size, "image"},
        .tree = {f->tree, tree_size(f->tree), "tree"},
        .initrd = {initrd, initrd_size, "initrd"},
        .command_line = "some words",
    };
    machine_reset(f->m);
    machine_clear_memory(f->m);
    struct status s = boot_load(f->m, &params);
    free(initrd);
    return s;
}

static u64 guest(struct fixture *f, u64 at, unsigned size)
{
    u64 value = 0;
    assert_true(physmem_read(machine_memory(f->m), at, &value, size));
    return value;
}

static void guest_text(struct fixture *f, u64 at, const char *text)
{
    char seen[100] = "";
    assert_true(physmem_read(machine_memory(f->m), at, seen, strlen(text) + 1));
    assert_string_equal(seen, text);
}

static void runs(struct fixture *f)
{
    struct machine_result r = machine_run(f->m, 100);
    assert_int_equal(r.exit, MACHINE_EXIT_DEBUG_EXIT);
    assert_int_equal(r.value, 9);
}

static void put(u8 *image, size_t at, u64 value, unsigned size)
{
    memcpy(image + at, &value, size);
}

static void make_linux(u8 image[IMAGE_BYTES])
{
    memset(image, 0, IMAGE_BYTES);
    put(image, 0x1F1, 1, 1);
    put(image, 0x1F4, KERNEL_BYTES / 16, 4);
    put(image, 0x1FE, 0xAA55, 2);
    put(image, 0x200, 0x6AEB, 2);
    memcpy(image + 0x202, "HdrS", 4);
    put(image, 0x206, 0x020F, 2);
    put(image, 0x211, 1, 1);
    put(image, 0x22C, 0x7FFFFFFF, 4);
    put(image, 0x230, 0x200000, 4);
    put(image, 0x234, 1, 1);
    put(image, 0x236, 0x3F, 2);
    put(image, 0x238, 2047, 4);
    put(image, 0x258, PREFERRED, 8);
    put(image, 0x260, 0x100000, 4);
    memcpy(image + SETUP_BYTES + 0x200, code, sizeof(code));
}

static void linux_boots(void **state)
{
    struct fixture f;
    u8 image[IMAGE_BYTES];
    open_machine(&f, MEM_BYTES);
    make_linux(image);
    struct status s = boot(&f, image, sizeof(image), 5000);
    assert_string_equal(s.text, "");
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(f.m, 0), &regs);
    u64 zero_page = regs.gpr[CPU_RSI];
    assert_int_equal(regs.rip, PREFERRED + 0x200);
    assert_int_equal(regs.seg[CPU_CS].selector, 0x10);
    assert_int_equal(regs.seg[CPU_SS].selector, 0x18);
    assert_false(regs.rflags & 0x200);
    assert_int_equal(guest(&f, zero_page + 0x70, 8), RSDP);
    assert_int_equal(guest(&f, zero_page + 0x202, 4), 0x53726448);
    assert_int_equal(guest(&f, zero_page + 0x210, 1), 0xFF);
    guest_text(&f, guest(&f, zero_page + 0x228, 4), "some words");
    u64 initrd = guest(&f, zero_page + 0x218, 4);
    assert_int_equal(guest(&f, zero_page + 0x21C, 4), 5000);
    assert_int_equal(guest(&f, initrd, 1), 0x5A);
    assert_true(initrd + 5000 <= MEM_BYTES && initrd % 4096 == 0);
    u64 entries = guest(&f, zero_page + 0x1E8, 1), ram = 0;
    for (u64 i = 0; i < entries; i++) {
        u64 at = zero_page + 0x2D0 + i * 20;
        ram += guest(&f, at + 16, 4) == 1 ? guest(&f, at + 8, 8) : 0;
    }
    assert_int_equal(ram, MEM_BYTES - 0x100000 + 0x9FC00);
    runs(&f);
    close_machine(&f);
}

// With too little memory for its preferred address a relocatable kernel goes lower.
static void linux_moves(void **state)
{
    struct fixture f;
    u8 image[IMAGE_BYTES];
    open_machine(&f, UINT64_C(16) << 20);
    make_linux(image);
    struct status s = boot(&f, image, sizeof(image), 0);
    assert_string_equal(s.text, "");
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(f.m, 0), &regs);
    assert_int_equal(regs.rip, 0x200000 + 0x200);
    runs(&f);
    put(image, 0x234, 0, 1);
    s = boot(&f, image, sizeof(image), 0);
    assert_non_null(strstr(s.text, "--mem"));
    close_machine(&f);
}

struct damage {
    unsigned at, size;
    u64 value;
    const char *says;
};

static void expect_refused(struct fixture *f, const u8 *image, size_t size, size_t initrd_size,
                           const char *says)
{
    struct status s = boot(f, image, size, initrd_size);
    assert_int_equal(s.code, STATUS_BAD_INPUT);
    if (!strstr(s.text, says)) {
        fail_msg("\"%s\" does not say \"%s\"", s.text, says);
    }
}

static void linux_refused(void **state)
{
    static const struct damage damages[] = {
        {0x1FE, 2, 0xAA54, "damaged"},     {0x202, 4, 0, "no kernel"},
        {0x206, 2, 0x020B, "2.11"},        {0x211, 1, 0, "zImage"},
        {0x236, 2, 0x3E, "32-bit"},        {0x1F4, 4, KERNEL_BYTES / 16 + 1, "cut off"},
        {0x1F4, 4, UINT32_MAX, "cut off"}, {0x1F1, 1, 255, "cut off"},
        {0x260, 4, 1, "init_size"},        {0x260, 4, UINT32_MAX, "--mem"},
        {0x230, 4, 0, "alignment"},        {0x230, 4, 0x300000, "alignment"},
        {0x258, 8, UINT64_MAX, ""},        {0x238, 4, 5, "command line"},
        {0x22C, 4, 0x1000, "initrd"},
    };
    struct fixture f;
    u8 image[IMAGE_BYTES];
    open_machine(&f, MEM_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        const struct damage *d = &damages[i];
        make_linux(image);
        put(image, d->at, d->value, d->size);
        if (*d->says) {
            expect_refused(&f, image, sizeof(image), 100, d->says);
        } else {
            boot(&f, image, sizeof(image), 100);
        }
    }
    make_linux(image);
    expect_refused(&f, image, sizeof(image), MEM_BYTES, "initrd does not fit");
    expect_refused(&f, image, 0x240, 0, "cut off");
    expect_refused(&f, image, sizeof(image) - 16, 0, "cut off");
    struct status s = boot(&f, image, sizeof(image) - 15, 0); // rounded up
    assert_string_equal(s.text, "");
    close_machine(&f);
}

static void strangers_refused(void **state)
{
    static const char gzip[] = "\x1F\x8B\x08 and so on";
    u8 arm[100] = {0};
    struct fixture f;
    Elf64_Ehdr elf = {.e_ident = ELFMAG, .e_machine = EM_AARCH64, .e_type = ET_EXEC};
    elf.e_ident[EI_CLASS] = ELFCLASS64;
    elf.e_ident[EI_DATA] = ELFDATA2LSB;
    open_machine(&f, MEM_BYTES);
    memcpy(arm + 0x38, "ARM\x64", 4);
    expect_refused(&f, arm, sizeof(arm), 0, "architecture");
    expect_refused(&f, (const u8 *)gzip, sizeof(gzip), 0, "compressed");
    expect_refused(&f, (const u8 *)&elf, sizeof(elf), 0, "another machine");
    expect_refused(&f, (const u8 *)"text", 4, 0, "no kernel");
    close_machine(&f);
}

enum { MB_BYTES = 0x400, MB_HEADER = 0x80, MB_LOAD = 0x200000, MB_CODE = 0x200 };

static void make_multiboot(u8 image[MB_BYTES], u32 flags)
{
    memset(image, 0, MB_BYTES);
    put(image, MB_HEADER, 0x1BADB002, 4);
    put(image, MB_HEADER + 4, flags, 4);
    put(image, MB_HEADER + 8, -(0x1BADB002u + flags), 4);
    memcpy(image + MB_CODE, code, sizeof(code));
}

static void make_multiboot_addresses(u8 image[MB_BYTES])
{
    make_multiboot(image, 0x10003);
    put(image, MB_HEADER + 12, MB_LOAD + MB_HEADER, 4);
    put(image, MB_HEADER + 16, MB_LOAD, 4);
    put(image, MB_HEADER + 24, MB_LOAD + 0x2000, 4); // bss
    put(image, MB_HEADER + 28, MB_LOAD + MB_CODE, 4);
}

// An ELF file whose one segment is the whole file; its entry point is a virtual address.
static void make_multiboot_elf(u8 image[MB_BYTES])
{
    make_multiboot(image, 3);
    Elf32_Ehdr e = {.e_ident = ELFMAG, .e_type = ET_EXEC, .e_machine = EM_386, .e_phnum = 1};
    e.e_ident[EI_CLASS] = ELFCLASS32;
    e.e_ident[EI_DATA] = ELFDATA2LSB;
    e.e_phoff = sizeof(e);
    e.e_phentsize = sizeof(Elf32_Phdr);
    e.e_entry = 0xC0000000 + MB_CODE;
    Elf32_Phdr p = {.p_type = PT_LOAD, .p_vaddr = 0xC0000000, .p_paddr = MB_LOAD};
    p.p_filesz = MB_BYTES;
    p.p_memsz = 0x3000;
    memcpy(image, &e, sizeof(e));
    memcpy(image + sizeof(e), &p, sizeof(p));
}

static void check_multiboot(struct fixture *f)
{
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(f->m, 0), &regs);
    assert_int_equal(regs.gpr[CPU_RAX], 0x2BADB002);
    assert_int_equal(regs.rip, MB_LOAD + MB_CODE);
    u64 info = regs.gpr[CPU_RBX];
    assert_int_equal(guest(f, info, 4), 0x24D); // memory, command line, modules, map, loader
    assert_int_equal(guest(f, info + 8, 4), (MEM_BYTES >> 10) - 1024);
    guest_text(f, guest(f, info + 16, 4), "kernel some words");
    assert_int_equal(guest(f, info + 20, 4), 1);
    u64 module = guest(f, info + 24, 4);
    u64 start = guest(f, module, 4), end = guest(f, module + 4, 4);
    assert_int_equal(end - start, 7000);
    assert_int_equal(guest(f, start, 1), 0x5A);
    u64 map = guest(f, info + 48, 4), map_end = map + guest(f, info + 44, 4), ram = 0;
    while (map < map_end) {
        ram += guest(f, map + 20, 4) == 1 ? guest(f, map + 12, 8) : 0;
        map += guest(f, map, 4) + 4;
    }
    assert_int_equal(ram, MEM_BYTES - 0x100000 + 0x9FC00);
    runs(f);
}

static void multiboot_boots(void **state)
{
    struct fixture f;
    u8 image[MB_BYTES];
    open_machine(&f, MEM_BYTES);
    make_multiboot_addresses(image);
    struct status s = boot(&f, image, sizeof(image), 7000);
    assert_string_equal(s.text, "");
    check_multiboot(&f);
    make_multiboot_elf(image);
    s = boot(&f, image, sizeof(image), 7000);
    assert_string_equal(s.text, "");
    check_multiboot(&f);
    close_machine(&f);
}

static void multiboot_refused(void **state)
{
    static const struct damage damages[] = {
        {MB_HEADER + 12, 4, 0, "damaged"},       {MB_HEADER + 16, 4, 0, "damaged"},
        {MB_HEADER + 20, 4, 1, "damaged"},       {MB_HEADER + 20, 4, UINT32_MAX, "damaged"},
        {MB_HEADER + 24, 4, UINT32_MAX, "--mem"}, {MB_HEADER + 28, 4, 0x1000, "entry point"},
    };
    struct fixture f;
    u8 image[MB_BYTES];
    open_machine(&f, MEM_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        make_multiboot_addresses(image);
        put(image, damages[i].at, damages[i].value, damages[i].size);
        expect_refused(&f, image, sizeof(image), 0, damages[i].says);
    }
    make_multiboot(image, 0x10);
    expect_refused(&f, image, sizeof(image), 0, "flags 0x10");
    make_multiboot(image, 3);
    expect_refused(&f, image, sizeof(image), 0, "no addresses");
    close_machine(&f);
}

// Headers with random bytes: an error or a loaded kernel, never a crash.
static void random_headers(void **state)
{
    struct fixture f;
    u8 image[IMAGE_BYTES];
    open_machine(&f, MEM_BYTES);
    srand(7);
    for (int i = 0; i < 1500; i++) {
        unsigned from = 0, room = MB_HEADER + 48;
        switch (i % 3) {
        case 0:
            make_linux(image);
            from = 0x1F1;
            room = 0x80;
            break;
        case 1:
            make_multiboot_addresses(image);
            break;
        default:
            make_multiboot_elf(image);
            break;
        }
        for (int k = 0; k < 3; k++) {
            image[from + (unsigned)rand() % room] = (u8)rand();
        }
        size_t size = i % 3 ? MB_BYTES : IMAGE_BYTES;
        u8 *exact = xcalloc(1, size); // so that reads behind it are seen
        memcpy(exact, image, size);
        struct status s = boot(&f, exact, size, i & 1 ? 300 : 0);
        assert_true(status_ok(&s) || s.code == STATUS_BAD_INPUT);
        free(exact);
    }
    close_machine(&f);
}

static bool sums_to_zero(struct fixture *f, u64 at, u64 size)
{
    u8 sum = 0;
    for (u64 i = 0; i < size; i++) {
        sum = (u8)(sum + guest(f, at + i, 1));
    }
    return sum == 0;
}

static u64 find_table(struct fixture *f, const char *signature)
{
    u64 xsdt = guest(f, RSDP + 24, 8), size = guest(f, xsdt + 4, 4);
    for (u64 at = xsdt + 36; at < xsdt + size; at += 8) {
        u64 table = guest(f, at, 8);
        u32 name = (u32)guest(f, table, 4);
        if (memcmp(&name, signature, 4) == 0) {
            return table;
        }
    }
    fail_msg("no table %s", signature);
    return 0;
}

static void open_with_tables(struct fixture *f)
{
    u8 image[IMAGE_BYTES];
    open_machine(f, MEM_BYTES);
    make_linux(image);
    struct status s = boot(f, image, sizeof(image), 0);
    assert_string_equal(s.text, "");
}

static const char *const signatures[] = {"FACP", "APIC", "HPET", "MCFG"};

static void acpi_tables(void **state)
{
    struct fixture f;
    open_with_tables(&f);
    assert_true(sums_to_zero(&f, RSDP, 20) && sums_to_zero(&f, RSDP, 36));
    u64 xsdt = guest(&f, RSDP + 24, 8);
    assert_true(sums_to_zero(&f, xsdt, guest(&f, xsdt + 4, 4)));
    for (size_t i = 0; i < ARRAY_LEN(signatures); i++) {
        u64 table = find_table(&f, signatures[i]);
        assert_true(sums_to_zero(&f, table, guest(&f, table + 4, 4)));
    }
    u64 fadt = find_table(&f, "FACP"), dsdt = guest(&f, fadt + 140, 8);
    assert_int_equal(guest(&f, fadt + 4, 4), 276); // of revision 6
    assert_int_equal(guest(&f, fadt + 46, 2), 9);
    assert_int_equal(guest(&f, fadt + 56, 4), 0x600);
    assert_int_equal(guest(&f, fadt + 64, 4), 0x604);
    assert_int_equal(guest(&f, fadt + 76, 4), 0x608);
    assert_int_equal(guest(&f, fadt + 120, 8), 0xCF9);
    assert_int_equal(guest(&f, fadt + 212, 8), 0x608);
    assert_true(sums_to_zero(&f, dsdt, guest(&f, dsdt + 4, 4)));
    unsigned cpus = 0, ioapics = 0;
    u64 madt = find_table(&f, "APIC"), end = madt + guest(&f, madt + 4, 4);
    for (u64 at = madt + 44; at < end; at += guest(&f, at + 1, 1)) {
        cpus += guest(&f, at, 1) == 0;
        ioapics += guest(&f, at, 1) == 1 && guest(&f, at + 4, 4) == 0xFEC00000;
    }
    assert_int_equal(cpus, 3);
    assert_int_equal(ioapics, 1);
    close_machine(&f);
}

static void write_table(struct fixture *f, const char *folder, const char *name, u64 at)
{
    size_t size = (size_t)guest(f, at + 4, 4);
    u8 *bytes = xcalloc(1, size);
    char path[1000];
    snprintf(path, sizeof(path), "%s/%s.aml", folder, name);
    physmem_read(machine_memory(f->m), at, bytes, size);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file)) {
        fail_msg("cannot write %s", path);
    }
    free(bytes);
}

// For iasl (test_acpi.py).
static int write_tables(const char *folder)
{
    struct fixture f;
    open_with_tables(&f);
    for (size_t i = 0; i < ARRAY_LEN(signatures); i++) {
        write_table(&f, folder, signatures[i], find_table(&f, signatures[i]));
    }
    write_table(&f, folder, "DSDT", guest(&f, find_table(&f, "FACP") + 140, 8));
    write_table(&f, folder, "XSDT", guest(&f, RSDP + 24, 8));
    close_machine(&f);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        return write_tables(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_boots),     cmocka_unit_test(linux_moves),
        cmocka_unit_test(linux_refused),   cmocka_unit_test(strangers_refused),
        cmocka_unit_test(multiboot_boots), cmocka_unit_test(multiboot_refused),
        cmocka_unit_test(random_headers),  cmocka_unit_test(acpi_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
