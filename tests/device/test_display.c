// SPDX-License-Identifier: MIT
// bochs-display: its PCI function, DISPI registers and modes (QEMU's docs/specs/standard-vga.txt,
// Bochs' vbe-display-api.txt), its memory behind a BAR that moves, its monitor.
#include "device/fixture.h"

#include <libfdt.h>
#include <string.h>

#define DEVFN 0x18
#define FRAMEBUFFER UINT64_C(0xD0000000)
#define REGISTERS UINT64_C(0xE1000000)
#define MEMORY_BYTES UINT64_C(0x1000000)
#define DISPI(n) (REGISTERS + 0x500 + 2 * (n))

enum { ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY };

static void config(struct fixture *f, unsigned offset, u32 value, unsigned size)
{
    pci_config_write(f->bus.pci, DEVFN, offset, value, size);
}

static void map(struct fixture *f, u64 base)
{
    config(f, 0x10, (u32)base, 4);
    config(f, 0x18, (u32)REGISTERS, 4);
    config(f, 0x04, 2, 2);
}

static u64 get(struct fixture *f, u64 address, unsigned size)
{
    return io_space_read(f->bus.mmio, address, size);
}

static void put(struct fixture *f, u64 address, u64 value, unsigned size)
{
    io_space_write(f->bus.mmio, address, value, size);
}

static void set_mode(struct fixture *f, u16 width, u16 height, u16 bpp)
{
    put(f, DISPI(ENABLE), 0, 2);
    put(f, DISPI(XRES), width, 2);
    put(f, DISPI(YRES), height, 2);
    put(f, DISPI(BPP), bpp, 2);
    put(f, DISPI(VIRT_WIDTH), 0, 2);
    put(f, DISPI(X_OFFSET), 0, 2);
    put(f, DISPI(Y_OFFSET), 0, 2);
    put(f, DISPI(ENABLE), 0x41, 2);
}

static struct device_picture picture(struct fixture *f)
{
    struct device_picture p = {0};
    for (unsigned i = 0; i < f->device_count; i++) {
        if (f->devices[i]->class->picture) {
            f->devices[i]->class->picture(f->devices[i], &p);
        }
    }
    return p;
}

static void identity(void **state)
{
    struct fixture *f = fixture_create();
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 0, 4), 0x11111234);
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 8, 4), 0x03800002);
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 0x2C, 4), 0x11001AF4);
    for (unsigned bar = 0; bar < 6; bar++) {
        static const u32 sizes[6] = {0xFF000008, 0, 0xFFFFF000, 0, 0, 0};
        config(f, 0x10 + 4 * bar, 0xFFFFFFFF, 4);
        assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 0x10 + 4 * bar, 4), sizes[bar]);
    }
    fixture_destroy(f);
}

static void registers(void **state)
{
    struct fixture *f = fixture_create();
    map(f, FRAMEBUFFER);
    assert_int_equal(get(f, DISPI(ID), 2), 0xB0C5);
    assert_int_equal(get(f, DISPI(MEMORY), 2), MEMORY_BYTES >> 16);
    for (unsigned i = XRES; i < MEMORY; i++) {
        assert_int_equal(get(f, DISPI(i), 2), 0);
        put(f, DISPI(i), 0x1230 + i, 2);
    }
    put(f, DISPI(ID), 0, 2);
    put(f, DISPI(MEMORY), 0, 2);
    for (unsigned i = XRES; i < MEMORY; i++) {
        assert_int_equal(get(f, DISPI(i), 2), 0x1230 + i);
    }
    assert_int_equal(get(f, DISPI(XRES), 4), 0x12321231);
    put(f, DISPI(XRES), 0x03000400, 4); // two registers at once
    assert_int_equal(get(f, DISPI(XRES), 2), 0x400);
    assert_int_equal(get(f, DISPI(YRES), 2), 0x300);
    assert_int_equal(get(f, DISPI(ID), 2), 0xB0C5);
    assert_int_equal(get(f, DISPI(MEMORY), 2), MEMORY_BYTES >> 16);
    assert_int_equal(get(f, DISPI(MEMORY + 1), 2), 0xFFFF);
    assert_int_equal(get(f, REGISTERS + 0x400, 4), 0xFFFFFFFF);
    // QEMU's extension.
    assert_int_equal(get(f, REGISTERS + 0x600, 4), 8);
    assert_int_equal(get(f, REGISTERS + 0x604, 4), 0x1E1E1E1E);
    put(f, REGISTERS + 0x604, 0xBEBEBEBE, 4);
    put(f, REGISTERS + 0x604, 0x12345678, 4);
    assert_int_equal(get(f, REGISTERS + 0x604, 4), 0xBEBEBEBE);
    fixture_reset(f);
    map(f, FRAMEBUFFER);
    assert_int_equal(get(f, REGISTERS + 0x604, 4), 0x1E1E1E1E);
    assert_int_equal(get(f, DISPI(YRES), 2), 0);
    fixture_destroy(f);
}

static void modes(void **state)
{
    struct fixture *f = fixture_create();
    map(f, FRAMEBUFFER);
    struct device_picture p = picture(f); // black, of the tree's size
    assert_false(p.on);
    assert_int_equal(p.width, 1024);
    assert_int_equal(p.height, 768);
    set_mode(f, 1920, 1080, 32);
    p = picture(f);
    assert_true(p.on);
    assert_int_equal(p.width, 1920);
    assert_int_equal(p.height, 1080);
    assert_int_equal(p.stride_bytes, 1920 * 4);
    assert_int_equal(p.offset, FIXTURE_RAM);
    assert_int_equal(p.format, DEVICE_XRGB8888);
    put(f, REGISTERS + 0x604, 0xBEBEBEBE, 4);
    assert_int_equal(picture(f).format, DEVICE_XRGB8888_BIG_ENDIAN);
    set_mode(f, 640, 480, 16);
    put(f, DISPI(VIRT_WIDTH), 800, 2);
    put(f, DISPI(X_OFFSET), 3, 2);
    put(f, DISPI(Y_OFFSET), 10, 2);
    p = picture(f);
    assert_int_equal(p.format, DEVICE_RGB565);
    assert_int_equal(p.stride_bytes, 1600);
    assert_int_equal(p.offset, FIXTURE_RAM + 10 * 1600 + 6);
    put(f, DISPI(ENABLE), 0x40, 2);
    assert_false(picture(f).on);
    fixture_destroy(f);
}

// What cannot be shown is not shown; the last that can be is.
static void impossible_modes(void **state)
{
    struct fixture *f = fixture_create();
    map(f, FRAMEBUFFER);
    static const u16 none[][3] = {{63, 64, 32},    {64, 63, 32},        {0, 0, 32},
                                  {640, 480, 8},   {640, 480, 15},      {640, 480, 24},
                                  {640, 480, 0},   {65535, 65535, 32},  {2048, 2049, 32},
                                  {65535, 65, 32}, {0x8000, 0x8000, 16}};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        set_mode(f, none[i][0], none[i][1], none[i][2]);
        assert_false(picture(f).on);
    }
    set_mode(f, 2048, 2048, 32);
    assert_true(picture(f).on);
    put(f, DISPI(X_OFFSET), 1, 2);
    assert_false(picture(f).on);
    put(f, DISPI(X_OFFSET), 0, 2);
    put(f, DISPI(Y_OFFSET), 1, 2);
    assert_false(picture(f).on);
    set_mode(f, 64, 64, 32);
    put(f, DISPI(VIRT_WIDTH), 0xFFFF, 2); // 64 lines of 64 Ki pixels, less 64: just within
    assert_true(picture(f).on);
    put(f, DISPI(Y_OFFSET), 0xFFFF, 2);
    assert_false(picture(f).on);
    put(f, DISPI(Y_OFFSET), 0, 2);
    put(f, DISPI(X_OFFSET), 64, 2);
    struct device_picture p = picture(f);
    assert_true(p.on && p.offset + (u64)p.stride_bytes * p.height <= f->bus.mem->ram_bytes);
    put(f, DISPI(X_OFFSET), 65, 2);
    assert_false(picture(f).on);
    fixture_destroy(f);
}

static void maps_changed(void *count)
{
    ++*(unsigned *)count;
}

static void memory_window(void **state)
{
    struct fixture *f = fixture_create();
    struct physmem *mem = f->bus.mem;
    u32 first = (u32)(FIXTURE_RAM >> PAGE_SHIFT);
    unsigned changes = 0;
    mem->on_map = maps_changed;
    mem->map_ctx = &changes;
    assert_int_equal(physmem_rpn(mem, FRAMEBUFFER), PHYSMEM_NO_RPN);
    assert_true(physmem_gpa(mem, first) >= PHYSMEM_NOWHERE);
    map(f, FRAMEBUFFER);
    assert_int_equal(changes, 1);
    assert_int_equal(physmem_rpn(mem, FRAMEBUFFER), first);
    assert_int_equal(physmem_rpn(mem, FRAMEBUFFER - 1), PHYSMEM_NO_RPN);
    assert_int_equal(physmem_rpn(mem, FRAMEBUFFER + MEMORY_BYTES), PHYSMEM_NO_RPN);
    assert_int_equal(physmem_gpa(mem, first + 5), FRAMEBUFFER + 5 * PAGE_SIZE);
    assert_int_equal(physmem_end(mem), FRAMEBUFFER + MEMORY_BYTES);
    assert_int_equal(mem->page_epoch[first], 0);
    assert_true(physmem_write(mem, FRAMEBUFFER + 0xFFE, "pixels", 6));
    assert_int_equal(mem->page_epoch[first + 1], mem->epoch);
    // It keeps what it has wherever it is.
    map(f, FRAMEBUFFER + 0x10000000);
    assert_int_equal(changes, 2);
    assert_int_equal(physmem_rpn(mem, FRAMEBUFFER), PHYSMEM_NO_RPN);
    char text[6];
    assert_true(physmem_read(mem, FRAMEBUFFER + 0x10000FFE, text, 6));
    assert_memory_equal(text, "pixels", 6);
    config(f, 4, 0, 2);
    assert_int_equal(changes, 3);
    assert_int_equal(physmem_rpn(mem, FRAMEBUFFER + 0x10000000), PHYSMEM_NO_RPN);
    map(f, 0x1000000); // over main memory, which answers
    assert_int_equal(physmem_rpn(mem, 0x1000000), 0x1000);
    fixture_destroy(f);
}

// Over another device's registers: these answer, and what is left of the memory is still memory.
static void memory_below_registers(void **state)
{
    struct fixture *f = fixture_create();
    struct physmem *mem = f->bus.mem;
    u32 first = (u32)(FIXTURE_RAM >> PAGE_SHIFT);
    u32 id = ioapic_get(f, 1);
    map(f, 0xFE000000);
    assert_int_equal(physmem_rpn(mem, 0xFE000000), PHYSMEM_NO_RPN);
    put(f, 0xFE000FFC, 0x1122334455667788, 8); // two pages
    assert_int_equal(get(f, 0xFE000FFE, 4), 0x33445566);
    assert_int_equal(physmem_page(mem, first + 1)[0], 0x44);
    assert_int_equal(mem->page_epoch[first + 1], mem->epoch);
    assert_int_equal(ioapic_get(f, 1), id);
    put(f, 0xFEFFFFFF, 0x5A, 1); // the last byte
    assert_int_equal(get(f, 0xFEFFFFFF, 4), 0xFFFFFF5A);
    map(f, FRAMEBUFFER);
    assert_int_equal(physmem_page(mem, physmem_rpn(mem, FRAMEBUFFER + 0xFFFFFF))[0xFFF], 0x5A);
    fixture_destroy(f);
}

static void monitor(void **state)
{
    struct fixture *f = fixture_create();
    map(f, FRAMEBUFFER);
    u8 edid[128], sum = 0;
    for (unsigned i = 0; i < sizeof(edid); i++) {
        edid[i] = (u8)get(f, REGISTERS + i, 1);
        sum = (u8)(sum + edid[i]);
    }
    assert_int_equal(sum, 0);
    assert_memory_equal(edid, "\0\xFF\xFF\xFF\xFF\xFF\xFF\0", 8);
    assert_int_equal(edid[54 + 2] | (edid[54 + 4] & 0xF0) << 4, 1024);
    assert_int_equal(edid[54 + 5] | (edid[54 + 7] & 0xF0) << 4, 768);
    assert_int_equal(get(f, REGISTERS, 4), 0xFFFFFF00);
    assert_int_equal(get(f, REGISTERS + 128, 4), 0xFFFFFFFF);
    fixture_destroy(f);
}

static void no_mode(void *fdt)
{
    fdt_delprop(fdt, fdt_node_offset_by_compatible(fdt, -1, "pci1234,1111"), "viv,mode");
}

static void odd_size(void *fdt)
{
    int node = fdt_node_offset_by_compatible(fdt, -1, "pci1234,1111");
    fdt_setprop_u32(fdt, node, "viv,memory-size", 0x180000);
}

static void too_large(void *fdt)
{
    int node = fdt_node_offset_by_compatible(fdt, -1, "pci1234,1111");
    fdt_setprop_u32(fdt, node, "viv,memory-size", 0x2000000);
}

static void bad_trees(void **state)
{
    void (*const edits[])(void *fdt) = {no_mode, odd_size, too_large};
    static const char *const texts[] = {"viv,mode", "viv,memory-size", "memory"};
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        struct status s;
        assert_null(fixture_try(edits[i], &s));
        assert_int_equal(s.code, STATUS_BAD_INPUT);
        assert_non_null(strstr(s.text, texts[i]));
        assert_non_null(strstr(s.text, "display@18"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity),      cmocka_unit_test(registers),
        cmocka_unit_test(modes),         cmocka_unit_test(impossible_modes),
        cmocka_unit_test(memory_window), cmocka_unit_test(memory_below_registers),
        cmocka_unit_test(monitor),       cmocka_unit_test(bad_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
