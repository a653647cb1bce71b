// SPDX-License-Identifier: MIT
// The pair of 8259A interrupt controllers (Intel 231468: "8259A Programmable Interrupt Controller")
// and the ELCR edge and level control registers at 4D0/4D1 (ICH9 data sheet, 13.4.10). The slave
// hangs on the master's IR2.
#include "devices/device.h"

#include <libfdt.h>

enum {
    ICW1_IC4 = 0x01, ICW1_SINGLE = 0x02, ICW1 = 0x10,
    ICW4_AEOI = 0x02, ICW4_SFNM = 0x10,
    OCW3 = 0x08, OCW3_READ = 0x02, OCW3_ISR = 0x01, OCW3_POLL = 0x04, OCW3_SMM = 0x20,
    OCW3_ESMM = 0x40,
    CASCADE = 2,
    SPURIOUS = 7,
};

// The initialisation word that the next write to port 1 is taken for.
enum { EXPECT_OCW1, EXPECT_ICW2, EXPECT_ICW3, EXPECT_ICW4 };

struct pic_chip {
    u8 lines;    // levels of IR0-7
    u8 irr, isr, imr;
    u8 elcr;     // 1: level triggered
    u8 base;     // ICW2: vector of IR0
    u8 icw3, icw4, icw1;
    u8 expect;
    u8 lowest;   // the IR of lowest priority: 7 until rotated
    u8 rotate_on_aeoi;
    u8 special_mask;
    u8 read_isr; // OCW3's choice for reads of port 0
    u8 poll;     // the next read is a poll
    u8 output;   // INT
};

struct pic {
    struct pic_chip chip[2]; // master, slave
    // Wiring.
    u8 elcr_reset[2];
};

// Places behind the one of lowest priority, going round: 0 is the highest priority. 8: none of the
// bits is set.
static unsigned priority_of(const struct pic_chip *c, u8 bits)
{
    unsigned n = 0;
    while (n < 8 && !(bits & (1 << ((c->lowest + 1 + n) & 7)))) {
        n++;
    }
    return n;
}

static unsigned ir_at(const struct pic_chip *c, unsigned priority)
{
    return (c->lowest + 1 + priority) & 7;
}

// The IR that INT stands for, -1 if none. In-service bits hold back their own and lower priorities;
// in special mask mode the masked ones do not; in special fully nested mode the slave's does not
// hold back the slave (231468, "Special Fully Nested Mode").
static int pending_ir(const struct pic_chip *c, bool master)
{
    unsigned request = priority_of(c, c->irr & (u8)~c->imr);
    if (request == 8) {
        return -1;
    }
    u8 service = c->special_mask ? c->isr & (u8)~c->imr : c->isr;
    if (master && (c->icw4 & ICW4_SFNM)) {
        service &= (u8)~(1 << CASCADE);
    }
    return request < priority_of(c, service) ? (int)ir_at(c, request) : -1;
}

static void line_set(struct pic_chip *c, unsigned ir, bool level)
{
    u8 bit = (u8)(1 << ir);
    if (c->elcr & bit) {
        c->irr = level ? c->irr | bit : c->irr & (u8)~bit;
    } else if (!level) {
        // The input must stay high until it is acknowledged ("Edge and Level Triggered Modes").
        c->irr &= (u8)~bit;
    } else if (!(c->lines & bit)) {
        c->irr |= bit;
    }
    c->lines = level ? c->lines | bit : c->lines & (u8)~bit;
}

static void pic_update(struct device *dev)
{
    struct pic *p = dev->state;
    p->chip[1].output = pending_ir(&p->chip[1], false) >= 0;
    line_set(&p->chip[0], CASCADE, p->chip[1].output);
    p->chip[0].output = pending_ir(&p->chip[0], true) >= 0;
    irq_set(&dev->bus->pic_output, p->chip[0].output);
}

static void pic_set(void *ctx, unsigned irq, bool level)
{
    struct device *dev = ctx;
    struct pic *p = dev->state;
    if (irq != CASCADE) {
        line_set(&p->chip[irq / 8], irq & 7, level);
        pic_update(dev);
    }
}

static void end_of_interrupt(struct pic_chip *c, unsigned ir, bool rotate)
{
    c->isr &= (u8)~(1 << ir);
    if (rotate) {
        c->lowest = (u8)ir;
    }
}

// One chip's part of an INTA sequence or a poll. Returns the IR, -1 when the request is gone.
static int chip_acknowledge(struct pic_chip *c, bool master)
{
    int ir = pending_ir(c, master);
    if (ir < 0) {
        return -1;
    }
    c->isr |= (u8)(1 << ir);
    if (!(c->elcr & (1 << ir))) {
        c->irr &= (u8)~(1 << ir);
    }
    if (c->icw4 & ICW4_AEOI) {
        end_of_interrupt(c, (unsigned)ir, c->rotate_on_aeoi);
    }
    return ir;
}

// INTA: the vector of the highest request. A request that vanished gives the spurious IR7 of the
// chip that noticed, without an in-service bit there.
static u8 pic_acknowledge(void *ctx)
{
    struct device *dev = ctx;
    struct pic *p = dev->state;
    int ir = chip_acknowledge(&p->chip[0], true);
    u8 vector = p->chip[0].base | (u8)(ir < 0 ? SPURIOUS : ir);
    if (ir == CASCADE) {
        ir = chip_acknowledge(&p->chip[1], false);
        vector = p->chip[1].base | (u8)(ir < 0 ? SPURIOUS : ir);
    }
    pic_update(dev);
    return vector;
}

static void icw1_write(struct pic_chip *c, u8 value)
{
    u8 lines = c->lines, elcr = c->elcr;
    // Edge detectors start anew: a line that is already high must fall first. Level ones follow the
    // line.
    *c = (struct pic_chip){
        .lines = lines, .elcr = elcr, .irr = lines & elcr, .lowest = 7, .icw1 = value};
    c->expect = EXPECT_ICW2;
}

static void ocw2_write(struct pic_chip *c, u8 value)
{
    unsigned command = value >> 5, level = value & 7;
    unsigned service = priority_of(c, c->special_mask ? c->isr & (u8)~c->imr : c->isr);
    switch (command) {
    case 0: // rotate in automatic EOI mode: clear, set
    case 4:
        c->rotate_on_aeoi = command == 4;
        break;
    case 1: // non-specific EOI, and rotating
    case 5:
        if (service < 8) {
            end_of_interrupt(c, ir_at(c, service), command == 5);
        }
        break;
    case 3: // specific EOI, and rotating
    case 7:
        end_of_interrupt(c, level, command == 7);
        break;
    case 6: // set priority
        c->lowest = (u8)level;
        break;
    }
}

static void ocw3_write(struct pic_chip *c, u8 value)
{
    if (value & OCW3_ESMM) {
        c->special_mask = !!(value & OCW3_SMM);
    }
    if (value & OCW3_READ) {
        c->read_isr = value & OCW3_ISR;
    }
    c->poll = !!(value & OCW3_POLL);
}

static void data_write(struct pic_chip *c, u8 value)
{
    switch (c->expect) {
    case EXPECT_OCW1:
        c->imr = value;
        return;
    case EXPECT_ICW2:
        c->base = value & 0xF8;
        c->expect = c->icw1 & ICW1_SINGLE ? EXPECT_ICW4 : EXPECT_ICW3;
        break;
    case EXPECT_ICW3:
        c->icw3 = value;
        c->expect = EXPECT_ICW4;
        break;
    case EXPECT_ICW4:
        c->icw4 = value;
        c->expect = EXPECT_OCW1;
        return;
    }
    if (c->expect == EXPECT_ICW4 && !(c->icw1 & ICW1_IC4)) {
        c->expect = EXPECT_OCW1;
    }
}

static void pic_write(struct device *dev, struct pic_chip *c, u64 offset, u8 value)
{
    if (offset == 1) {
        data_write(c, value);
    } else if (value & ICW1) {
        icw1_write(c, value);
    } else if (value & OCW3) {
        ocw3_write(c, value);
    } else {
        ocw2_write(c, value);
    }
    pic_update(dev);
}

static u8 pic_read(struct device *dev, struct pic_chip *c, u64 offset)
{
    if (c->poll) {
        // "Poll Command": the read is the acknowledge.
        struct pic *p = dev->state;
        c->poll = 0;
        int ir = chip_acknowledge(c, c == &p->chip[0]);
        pic_update(dev);
        return ir < 0 ? 0 : (u8)(0x80 | ir);
    }
    if (offset == 1) {
        return c->imr;
    }
    return c->read_isr ? c->isr : c->irr;
}

static u64 master_read(void *ctx, u64 offset, unsigned size)
{
    struct device *dev = ctx;
    return pic_read(dev, &((struct pic *)dev->state)->chip[0], offset);
}

static void master_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    pic_write(dev, &((struct pic *)dev->state)->chip[0], offset, (u8)value);
}

static u64 slave_read(void *ctx, u64 offset, unsigned size)
{
    struct device *dev = ctx;
    return pic_read(dev, &((struct pic *)dev->state)->chip[1], offset);
}

static void slave_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    pic_write(dev, &((struct pic *)dev->state)->chip[1], offset, (u8)value);
}

static u64 elcr_read(void *ctx, u64 offset, unsigned size)
{
    return ((struct pic *)((struct device *)ctx)->state)->chip[offset].elcr;
}

static void elcr_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    struct pic_chip *c = &((struct pic *)dev->state)->chip[offset];
    // IRQ 0, 1, 2, 8 and 13 are always edge triggered.
    c->elcr = (u8)value & (offset ? 0xDE : 0xF8);
    c->irr = (c->irr & (u8)~c->elcr) | (c->lines & c->elcr);
    pic_update(dev);
}

static const struct io_ops master_ops = {master_read, master_write, 1};
static const struct io_ops slave_ops = {slave_read, slave_write, 1};
static const struct io_ops elcr_ops = {elcr_read, elcr_write, 1};

// elcr-reset: what firmware would leave in the ELCR, bit n for IRQ n.
static struct status pic_create(struct device *dev, const void *fdt, int node)
{
    struct pic *p = dev->state;
    u32 elcr = device_cell(fdt, node, "elcr-reset", 0);
    p->elcr_reset[0] = elcr & 0xF8;
    p->elcr_reset[1] = (elcr >> 8) & 0xDE;
    for (unsigned i = 0; i < 16; i++) {
        dev->bus->isa_to_pic[i] = (struct irq_line){pic_set, dev, i};
    }
    dev->bus->pic = dev;
    dev->bus->pic_acknowledge = pic_acknowledge;
    struct status s = io_space_add(dev->bus->ports, 0x20, 2, &master_ops, dev, "pic");
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, 0xA0, 2, &slave_ops, dev, "pic");
    }
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, 0x4D0, 2, &elcr_ops, dev, "elcr");
    }
    return s;
}

static void pic_reset(struct device *dev)
{
    struct pic *p = dev->state;
    for (unsigned i = 0; i < 2; i++) {
        // Nothing is acknowledged before initialisation: all masked, as firmware leaves it.
        p->chip[i] = (struct pic_chip){.imr = 0xFF, .lowest = 7, .elcr = p->elcr_reset[i]};
    }
    irq_set(&dev->bus->pic_output, false);
}

#define CHIP_FIELDS(n)                                                                             \
    FIELD(struct pic, chip[n].lines), FIELD(struct pic, chip[n].irr),                              \
        FIELD(struct pic, chip[n].isr), FIELD(struct pic, chip[n].imr),                            \
        FIELD(struct pic, chip[n].elcr), FIELD(struct pic, chip[n].base),                          \
        FIELD(struct pic, chip[n].icw1), FIELD(struct pic, chip[n].icw3),                          \
        FIELD(struct pic, chip[n].icw4), FIELD(struct pic, chip[n].expect),                        \
        FIELD(struct pic, chip[n].lowest), FIELD(struct pic, chip[n].rotate_on_aeoi),              \
        FIELD(struct pic, chip[n].special_mask), FIELD(struct pic, chip[n].read_isr),              \
        FIELD(struct pic, chip[n].poll), FIELD(struct pic, chip[n].output)

static const struct field pic_fields[] = {CHIP_FIELDS(0), CHIP_FIELDS(1), FIELD_END};

const struct device_class pic_class = {
    .name = "pic",
    .compatible = "intel,i8259",
    .state_size = sizeof(struct pic),
    .create = pic_create,
    .reset = pic_reset,
    .fields = pic_fields,
};
