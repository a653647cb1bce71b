// SPDX-License-Identifier: MIT
// QEMU's bochs-display (docs/specs/standard-vga.txt): a linear framebuffer, the DISPI registers of
// Bochs' VBE extension (its vbe-display-api.txt) in memory, a monitor. No VGA, no ports.
#include "devices/device.h"

#include "devices/display/edid.h"

#include <libfdt.h>

enum { // offsets in BAR 2
    MMIO_EDID = 0, MMIO_DISPI = 0x500, MMIO_DISPI_END = MMIO_DISPI + 0x16, MMIO_QEXT = 0x600,
    MMIO_QEXT_END = MMIO_QEXT + 8, MMIO_BYTES = 0x1000,
};

enum { // DISPI registers
    DISPI_ID, DISPI_XRES, DISPI_YRES, DISPI_BPP, DISPI_ENABLE, DISPI_BANK, DISPI_VIRT_WIDTH,
    DISPI_VIRT_HEIGHT, DISPI_X_OFFSET, DISPI_Y_OFFSET, DISPI_COUNT, DISPI_MEMORY_64K = DISPI_COUNT,
    DISPI_ENABLED = 1, DISPI_VERSION = 0xB0C5,
};

// QEMU's extension: its own size, the order of a pixel's bytes.
enum { QEXT_SIZE, QEXT_BYTE_ORDER = 4 };
#define QEXT_BIG_ENDIAN UINT32_C(0xBEBEBEBE)
#define QEXT_LITTLE_ENDIAN UINT32_C(0x1E1E1E1E)

enum { PIXELS_MIN = 64 }; // in each direction; less is no mode
#define MEMORY_MIN (UINT32_C(1) << 20)
#define MEMORY_MAX (UINT32_C(1) << 28)

struct bochs_display {
    u16 reg[DISPI_COUNT];
    bool big_endian;
    // Wiring.
    u32 memory_bytes;
    unsigned window;
    u32 width, height; // of what is shown while there is no mode
    u8 edid[EDID_BYTES];
};

// Both enabled and possible: a mode of which a part lies outside the memory shows nothing.
static bool find_mode(const struct bochs_display *d, struct device_picture *p)
{
    u32 bpp = d->reg[DISPI_BPP];
    if (!(d->reg[DISPI_ENABLE] & DISPI_ENABLED) || (bpp != 16 && bpp != 32)) {
        return false;
    }
    u32 bytes = bpp / 8;
    p->width = d->reg[DISPI_XRES];
    p->height = d->reg[DISPI_YRES];
    u32 line = d->reg[DISPI_VIRT_WIDTH] < p->width ? p->width : d->reg[DISPI_VIRT_WIDTH];
    p->stride_bytes = line * bytes;
    p->offset = (u64)d->reg[DISPI_X_OFFSET] * bytes + (u64)d->reg[DISPI_Y_OFFSET] * p->stride_bytes;
    p->format = bpp == 16       ? DEVICE_RGB565
                : d->big_endian ? DEVICE_XRGB8888_BIG_ENDIAN
                                : DEVICE_XRGB8888;
    u64 end = p->offset + (u64)p->stride_bytes * p->height;
    return p->width >= PIXELS_MIN && p->height >= PIXELS_MIN && end <= d->memory_bytes;
}

static void bochs_display_picture(const struct device *dev, struct device_picture *p)
{
    const struct bochs_display *d = dev->state;
    const struct physmem *mem = dev->bus->mem;
    *p = (struct device_picture){.width = 0};
    p->on = find_mode(d, p);
    if (p->on) {
        p->offset += (u64)mem->window[d->window].first_rpn << PAGE_SHIFT;
    } else {
        *p = (struct device_picture){.width = d->width, .height = d->height};
    }
}

static u64 dispi_read(const struct bochs_display *d, unsigned index)
{
    switch (index) {
    case DISPI_ID:
        return DISPI_VERSION;
    case DISPI_MEMORY_64K:
        return d->memory_bytes >> 16;
    default:
        return index < DISPI_COUNT ? d->reg[index] : UINT16_MAX;
    }
}

static u64 qext_read(const struct bochs_display *d, u64 offset)
{
    if (offset < QEXT_BYTE_ORDER) {
        return MMIO_QEXT_END - MMIO_QEXT;
    }
    return d->big_endian ? QEXT_BIG_ENDIAN : QEXT_LITTLE_ENDIAN;
}

static u64 mmio_read_word(const struct bochs_display *d, u64 offset)
{
    if (offset < EDID_BYTES) {
        return d->edid[offset] | (u64)d->edid[(offset + 1) % EDID_BYTES] << 8;
    }
    if (offset >= MMIO_DISPI && offset < MMIO_DISPI_END) {
        return dispi_read(d, (unsigned)(offset - MMIO_DISPI) / 2);
    }
    if (offset >= MMIO_QEXT && offset < MMIO_QEXT_END) {
        return qext_read(d, offset - MMIO_QEXT) >> (8 * (offset & 3));
    }
    return UINT64_MAX;
}

// DISPI registers have 16 bits; what is wider is several of them.
static u64 mmio_read(void *ctx, u64 offset, unsigned size)
{
    const struct bochs_display *d = ((struct device *)ctx)->state;
    u64 value = mmio_read_word(d, offset);
    if (size == 4) {
        value = (value & 0xFFFF) | mmio_read_word(d, offset + 2) << 16;
    }
    return value;
}

static void dispi_write(struct bochs_display *d, u64 offset, u64 value)
{
    unsigned index = (unsigned)(offset - MMIO_DISPI) / 2;
    if (offset >= MMIO_DISPI && index < DISPI_COUNT) {
        d->reg[index] = (u16)value;
    }
}

static void mmio_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct bochs_display *d = ((struct device *)ctx)->state;
    if (offset == MMIO_QEXT + QEXT_BYTE_ORDER && size == 4) {
        if (value == QEXT_BIG_ENDIAN || value == QEXT_LITTLE_ENDIAN) {
            d->big_endian = value == QEXT_BIG_ENDIAN;
        }
        return;
    }
    dispi_write(d, offset, value & 0xFFFF);
    if (size == 4) {
        dispi_write(d, offset + 2, value >> 16);
    }
}

static const struct io_ops mmio_ops = {mmio_read, mmio_write, 4};

// What of the framebuffer's BAR does not take the way of RAM, because something else lies over a
// part of it. No access that comes here leaves the BAR.
static u64 memory_read(void *ctx, u64 offset, unsigned size)
{
    const struct device *dev = ctx;
    const struct physmem *mem = dev->bus->mem;
    u32 first = mem->window[((struct bochs_display *)dev->state)->window].first_rpn;
    u64 value = 0;
    for (unsigned i = 0; i < size; i++) {
        u64 at = offset + i;
        value |= (u64)physmem_page(mem, first + (u32)(at >> PAGE_SHIFT))[at & PAGE_MASK] << (8 * i);
    }
    return value;
}

static void memory_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct physmem *mem = dev->bus->mem;
    u32 first = mem->window[((struct bochs_display *)dev->state)->window].first_rpn;
    for (unsigned i = 0; i < size; i++) {
        u64 at = offset + i;
        u8 byte = (u8)(value >> (8 * i));
        physmem_write_page(mem, first + (u32)(at >> PAGE_SHIFT), at & PAGE_MASK, &byte, 1);
    }
}

static const struct io_ops memory_ops = {memory_read, memory_write, 8};

static struct status bad_node(const struct device *dev, const char *what)
{
    return status_error(STATUS_BAD_INPUT, "device tree: %s: %s", dev->path, what);
}

static struct status read_node(struct device *dev, const void *fdt, int node)
{
    struct bochs_display *d = dev->state;
    d->memory_bytes = device_cell(fdt, node, "viv,memory-size", 0);
    if (d->memory_bytes < MEMORY_MIN || d->memory_bytes > MEMORY_MAX ||
        (d->memory_bytes & (d->memory_bytes - 1))) {
        return bad_node(dev, "\"viv,memory-size\" must be a power of two from 1 to 256 MiB");
    }
    int bytes = 0;
    const fdt32_t *mode = fdt_getprop(fdt, node, "viv,mode", &bytes);
    u64 width = mode && bytes == 12 ? fdt32_to_cpu(mode[0]) : 0;
    u64 height = mode && bytes == 12 ? fdt32_to_cpu(mode[1]) : 0;
    if (width < PIXELS_MIN || width > 4095 || height < PIXELS_MIN || height > 4095 ||
        fdt32_to_cpu(mode[2]) != 32 || width * height * 4 > d->memory_bytes) {
        return bad_node(dev, "\"viv,mode\" must be <WIDTH HEIGHT 32>, within its memory");
    }
    d->width = (u32)width;
    d->height = (u32)height;
    return status_success();
}

static struct status bochs_display_create(struct device *dev, const void *fdt, int node)
{
    static const struct pci_identity identity = {
        .vendor = 0x1234,
        .device = 0x1111,
        .subsystem_vendor = 0x1AF4,
        .subsystem = 0x1100,
        .class_code = 0x038000, // a display controller that is no VGA
        .revision = 2,
    };
    struct bochs_display *d = dev->state;
    struct status s = read_node(dev, fdt, node);
    if (!status_ok(&s)) {
        return s;
    }
    if (!physmem_add_window(dev->bus->mem, d->memory_bytes, &d->window)) {
        return bad_node(dev, "there are too many devices with memory");
    }
    edid_make(d->edid, d->width, d->height);
    struct pci_bar bars[6] = {
        [0] = {.name = "framebuffer",
               .size = d->memory_bytes,
               .is_prefetchable = true,
               .ops = &memory_ops,
               .dev = dev,
               .mem = dev->bus->mem,
               .window = d->window},
        [2] = {.name = "display", .size = MMIO_BYTES, .ops = &mmio_ops, .dev = dev},
    };
    u32 devfn = device_cell(fdt, node, "reg", UINT32_MAX);
    if (!pci_add(dev->bus->pci, devfn, &identity, bars, false)) {
        return bad_node(dev, "\"reg\" names no free PCI function");
    }
    return s;
}

// The memory keeps what it has, as main memory does.
static void bochs_display_reset(struct device *dev)
{
    struct bochs_display *d = dev->state;
    for (unsigned i = 0; i < DISPI_COUNT; i++) {
        d->reg[i] = 0;
    }
    d->big_endian = false;
}

static const struct field bochs_display_fields[] = {
    FIELD_ARRAY(struct bochs_display, reg),
    FIELD(struct bochs_display, big_endian),
    FIELD_END,
};

const struct device_class bochs_display_class = {
    .name = "bochs_display",
    .compatible = "pci1234,1111",
    .state_size = sizeof(struct bochs_display),
    .create = bochs_display_create,
    .reset = bochs_display_reset,
    .fields = bochs_display_fields,
    .picture = bochs_display_picture,
};
