// SPDX-License-Identifier: MIT
// AHCI disks: one ATA command at a time per port, completed by interrupt; PREFLUSH and FUA as
// separate commands; errors and time-outs restart the port and try again.
#include "drivers/block/ahci.h"

#include "arch/x86_64/io.h"
#include "drivers/driver.h"
#include "drivers/pci.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"

#define MAX_PORTS 32
#define MAX_TRIES 3
#define COMMAND_TIMEOUT (10 * NSEC_PER_SEC)

struct ahci_host {
    volatile u8 *regs;
    u32 cap;
    struct ahci_port *ports[MAX_PORTS];
};
static unsigned disks_found;

static u32 port_read(struct ahci_port *p, unsigned reg)
{
    return mmio_read32(p->regs + reg);
}

static void port_write(struct ahci_port *p, unsigned reg, u32 v)
{
    mmio_write32(p->regs + reg, v);
}

// Waits until (reg & mask) == want; false after `ms` milliseconds. Sleeps: the time of a guest is
// steps.
static bool port_wait(struct ahci_port *p, unsigned reg, u32 mask, u32 want, unsigned ms)
{
    for (unsigned spins = 0; spins < 100; spins++) {
        if ((port_read(p, reg) & mask) == want) {
            return true;
        }
    }
    while (ms--) {
        msleep(1);
        if ((port_read(p, reg) & mask) == want) {
            return true;
        }
    }
    return false;
}

// 10.3.2
static bool port_stop(struct ahci_port *p)
{
    port_write(p, PORT_CMD, port_read(p, PORT_CMD) & ~CMD_ST);
    bool ok = port_wait(p, PORT_CMD, CMD_CR, 0, 500);
    port_write(p, PORT_CMD, port_read(p, PORT_CMD) & ~CMD_FRE);
    return port_wait(p, PORT_CMD, CMD_FR, 0, 500) && ok;
}

// 10.3.1
static void port_start(struct ahci_port *p)
{
    port_write(p, PORT_SERR, port_read(p, PORT_SERR));
    port_write(p, PORT_IS, ~0u);
    port_write(p, PORT_CMD, port_read(p, PORT_CMD) | CMD_FRE);
    port_wait(p, PORT_TFD, TFD_BSY | TFD_DRQ, 0, 1000);
    port_write(p, PORT_CMD, port_read(p, PORT_CMD) | CMD_ST);
}

static bool device_present(struct ahci_port *p)
{
    return (port_read(p, PORT_SSTS) & 0xf) == 3;
}

// COMRESET, 10.4.2. The port is stopped.
static bool port_reset(struct ahci_port *p)
{
    port_write(p, PORT_SCTL, (port_read(p, PORT_SCTL) & ~0xfu) | 1);
    msleep(1);
    port_write(p, PORT_SCTL, port_read(p, PORT_SCTL) & ~0xfu);
    bool ok = port_wait(p, PORT_SSTS, 0xf, 3, 10);
    port_write(p, PORT_SERR, ~0u);
    return ok;
}

static void fill_fis(struct ahci_port *p, u8 command, u64 lba, unsigned count)
{
    u8 *fis = p->table->fis;
    memset(fis, 0, 20);
    fis[0] = FIS_HOST_TO_DEVICE;
    fis[1] = 0x80;
    fis[2] = command;
    fis[4] = (u8)lba;
    fis[5] = (u8)(lba >> 8);
    fis[6] = (u8)(lba >> 16);
    fis[7] = 0x40;
    if (p->lba48) {
        fis[8] = (u8)(lba >> 24);
        fis[9] = (u8)(lba >> 32);
        fis[10] = (u8)(lba >> 40);
        fis[13] = (u8)(count >> 8);
    } else {
        fis[7] |= (lba >> 24) & 0xf;
    }
    fis[12] = (u8)count;
}

static void issue(struct ahci_port *p, unsigned prds, bool write)
{
    p->headers[0].flags = 5 | (write ? 1u << 6 : 0) | prds << 16;
    p->headers[0].bytes = 0;
    smp_wmb();
    port_write(p, PORT_CI, 1);
}

static unsigned fill_prdt(struct ahci_port *p, struct bio *bio)
{
    for (unsigned k = 0; k < bio->vcnt; k++) {
        struct bio_vec *v = &bio->vecs[k];
        p->table->prdt[k] = (struct ahci_prd){.address = page_to_phys(v->page) + v->offset,
                                              .last_byte = v->len - 1};
    }
    return bio->vcnt;
}

static u8 data_command(struct ahci_port *p, struct bio *bio)
{
    if (bio->op == REQ_OP_READ) {
        return p->lba48 ? ATA_READ_DMA_EXT : ATA_READ_DMA;
    }
    if ((bio->flags & REQ_FUA) && p->has_fua) {
        return ATA_WRITE_DMA_FUA_EXT;
    }
    return p->lba48 ? ATA_WRITE_DMA_EXT : ATA_WRITE_DMA;
}

// Does the active bio need its current phase?
static bool phase_needed(struct ahci_port *p)
{
    struct bio *bio = p->active;
    switch (p->phase) {
    case PHASE_PREFLUSH:
        return p->has_flush && (bio->op == REQ_OP_FLUSH || (bio->flags & REQ_PREFLUSH));
    case PHASE_DATA:
        return bio->op != REQ_OP_FLUSH && bio->size;
    case PHASE_POSTFLUSH:
        return p->has_flush && bio->op == REQ_OP_WRITE && (bio->flags & REQ_FUA) && !p->has_fua;
    default:
        return true;
    }
}

// Issues the active bio's current phase. Lock held.
static void issue_phase(struct ahci_port *p)
{
    struct bio *bio = p->active;
    if (p->phase == PHASE_DATA) {
        fill_fis(p, data_command(p, bio), bio->sector, bio->size / 512);
        issue(p, fill_prdt(p, bio), bio->op == REQ_OP_WRITE);
    } else {
        fill_fis(p, p->lba48 ? ATA_FLUSH_EXT : ATA_FLUSH, 0, 0);
        issue(p, 0, false);
    }
    hrtimer_start(&p->timeout, ktime_get() + COMMAND_TIMEOUT);
}

// Starts what can be started; finished bios go to `done`. Lock held.
static void advance(struct ahci_port *p, struct list_head *done)
{
    while (!p->stuck) {
        if (!p->active) {
            if (list_empty(&p->queue)) {
                hrtimer_try_cancel(&p->timeout);
                return;
            }
            p->active = list_first_entry(&p->queue, struct bio, entry);
            list_del(&p->active->entry);
            p->phase = PHASE_PREFLUSH;
            p->tries = 0;
        }
        while (!phase_needed(p)) {
            p->phase++;
        }
        if (p->phase != PHASE_DONE) {
            issue_phase(p);
            return;
        }
        list_add_tail(&p->active->entry, done);
        p->active = NULL;
    }
}

static void end_all(struct list_head *done)
{
    while (!list_empty(done)) {
        struct bio *bio = list_first_entry(done, struct bio, entry);
        list_del(&bio->entry);
        bio_endio(bio);
    }
}

static void ahci_submit(struct gendisk *disk, struct bio *bio)
{
    struct ahci_port *p = disk->private;
    unsigned long flags;
    LIST_HEAD(done);
    spin_lock_irqsave(&p->lock, flags);
    list_add_tail(&bio->entry, &p->queue);
    if (!p->active) {
        advance(p, &done);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    end_all(&done);
}

// Hard interrupt context.
static void port_interrupt(struct ahci_port *p)
{
    LIST_HEAD(done);
    spin_lock(&p->lock);
    u32 is = port_read(p, PORT_IS);
    port_write(p, PORT_IS, is);
    if (p->active && !p->stuck) {
        if ((is & IS_ERRORS) || (port_read(p, PORT_TFD) & TFD_ERR)) {
            p->stuck = true;
            schedule_work(&p->recovery);
        } else if (!(port_read(p, PORT_CI) & 1)) {
            p->phase++;
            advance(p, &done);
        }
    }
    spin_unlock(&p->lock);
    end_all(&done);
}

static void ahci_interrupt(unsigned irq, void *data)
{
    struct ahci_host *host = data;
    u32 pending;
    while ((pending = mmio_read32(host->regs + HOST_IS)) != 0) {
        for (u32 bits = pending; bits; bits &= bits - 1) {
            struct ahci_port *p = host->ports[ctz64(bits)];
            if (p) {
                port_interrupt(p);
            }
        }
        mmio_write32(host->regs + HOST_IS, pending);
    }
}

static enum hrtimer_restart command_timeout(struct hrtimer *t)
{
    struct ahci_port *p = container_of(t, struct ahci_port, timeout);
    spin_lock(&p->lock);
    if (p->active && !p->stuck) {
        p->stuck = true;
        schedule_work(&p->recovery);
    }
    spin_unlock(&p->lock);
    return HRTIMER_NORESTART;
}

// Task context: restarts the port (6.2.2.1), then the command again or its end.
static void recover(struct work_struct *w)
{
    struct ahci_port *p = container_of(w, struct ahci_port, recovery);
    unsigned long flags;
    LIST_HEAD(done);
    u32 tfd = port_read(p, PORT_TFD), serr = port_read(p, PORT_SERR);
    pr_warn("%s: command failed: task file %#x, SATA error %#x; restarting the port", p->disk.name,
            tfd, serr);
    if (!port_stop(p) || (tfd & (TFD_BSY | TFD_DRQ)) || !device_present(p)) {
        port_reset(p);
    }
    port_start(p);
    spin_lock_irqsave(&p->lock, flags);
    p->stuck = false;
    if (p->active && ++p->tries >= MAX_TRIES) {
        p->active->status = -EIO;
        list_add_tail(&p->active->entry, &done);
        p->active = NULL;
    }
    if (p->active) {
        issue_phase(p);
    } else {
        advance(p, &done);
    }
    spin_unlock_irqrestore(&p->lock, flags);
    end_all(&done);
}

// --- finding disks

// IDENTIFY DEVICE by polling; the port runs, its interrupts are off.
static bool identify(struct ahci_port *p, u16 *id)
{
    fill_fis(p, ATA_IDENTIFY, 0, 0);
    p->table->prdt[0] = (struct ahci_prd){.address = virt_to_phys(id), .last_byte = 511};
    issue(p, 1, false);
    bool ok = port_wait(p, PORT_CI, 1, 0, 5000) && !(port_read(p, PORT_TFD) & TFD_ERR);
    port_write(p, PORT_IS, ~0u);
    return ok;
}

// ACS-3 7.12.7
static void read_features(struct ahci_port *p, const u16 *id)
{
    p->lba48 = id[83] & (1u << 10);
    p->has_flush = id[83] & (1u << 13) || id[83] & (1u << 12);
    p->has_fua = p->lba48 && (id[84] & 0xc040) == 0x4040;
    u64 lba28 = (u64)id[61] << 16 | id[60];
    u64 lba48 = (u64)id[103] << 48 | (u64)id[102] << 32 | (u64)id[101] << 16 | id[100];
    struct gendisk *d = &p->disk;
    d->capacity = p->lba48 ? lba48 : lba28;
    d->logical_block_size = 512;
    d->physical_block_size = 512;
    if ((id[106] & 0xc000) == 0x4000 && (id[106] & (1u << 13))) {
        d->physical_block_size = 512u << (id[106] & 0xf);
    }
    d->max_sectors = p->lba48 ? 65535 : 255;
    d->max_segments = PRDT_MAX;
}

static bool port_memory(struct ahci_port *p)
{
    struct page *list = alloc_page(GFP_KERNEL | __GFP_ZERO | __GFP_DMA32);
    struct page *table = alloc_page(GFP_KERNEL | __GFP_ZERO | __GFP_DMA32);
    if (!list || !table) {
        if (list) {
            put_page(list);
        }
        if (table) {
            put_page(table);
        }
        return false;
    }
    p->headers = page_address(list);
    p->table = page_address(table);
    p->headers[0].table = page_to_phys(table);
    u64 clb = page_to_phys(list), fb = clb + 1024;
    port_write(p, PORT_CLB, (u32)clb);
    port_write(p, PORT_CLBU, (u32)(clb >> 32));
    port_write(p, PORT_FB, (u32)fb);
    port_write(p, PORT_FBU, (u32)(fb >> 32));
    return true;
}

static const struct block_device_operations ahci_ops = {.submit = ahci_submit};

static int port_bring_up(struct ahci_port *p)
{
    port_stop(p);
    port_write(p, PORT_CMD, port_read(p, PORT_CMD) | CMD_SUD | CMD_POD);
    if (!device_present(p) && !port_reset(p)) {
        return -ENODEV;
    }
    if (!port_memory(p)) {
        return -ENOMEM;
    }
    port_start(p);
    if (port_read(p, PORT_SIG) != SIG_ATA) {
        return -ENODEV; // a CD drive or a port multiplier
    }
    u16 *id = kmalloc(512, GFP_KERNEL | __GFP_DMA32);
    if (!id) {
        return -ENOMEM;
    }
    int error = identify(p, id) ? 0 : -EIO;
    if (!error) {
        read_features(p, id);
    }
    kfree(id);
    return error;
}

static void port_discard(struct ahci_port *p)
{
    port_stop(p);
    if (p->headers) {
        free_page(p->headers);
        free_page(p->table);
    }
    kfree(p);
}

static void add_port(struct ahci_host *host, unsigned n)
{
    struct ahci_port *p = kzalloc(sizeof(*p), GFP_KERNEL);
    if (!p) {
        return;
    }
    p->number = n;
    p->regs = host->regs + PORT_BASE(n);
    spin_lock_init(&p->lock);
    INIT_LIST_HEAD(&p->queue);
    hrtimer_init(&p->timeout, command_timeout, HRTIMER_MONOTONIC);
    work_init(&p->recovery, recover);
    int error = port_bring_up(p);
    if (error) {
        if (error != -ENODEV) {
            pr_err("ahci: port %u: error %d", n, -error);
        }
        port_discard(p);
        return;
    }
    struct gendisk *d = &p->disk;
    kstrlcpy(d->name, "sda", sizeof(d->name));
    d->name[2] = (char)('a' + disks_found);
    d->first_dev = MKDEV(8, 16 * disks_found);
    disks_found++;
    d->ops = &ahci_ops;
    d->private = p;
    host->ports[n] = p;
    port_write(p, PORT_IE, IS_DHRS | IS_PSS | IS_ERRORS);
    error = add_disk(d);
    if (error) {
        pr_err("%s: error %d", d->name, -error);
    }
}

static int ahci_probe(struct pci_dev *dev)
{
    struct ahci_host *host = kzalloc(sizeof(*host), GFP_KERNEL);
    if (!host) {
        return -ENOMEM;
    }
    pci_enable(dev);
    host->regs = pci_map_bar(dev, 5);
    if (!host->regs) {
        kfree(host);
        return -ENOMEM;
    }
    mmio_write32(host->regs + HOST_GHC, mmio_read32(host->regs + HOST_GHC) | GHC_AE);
    host->cap = mmio_read32(host->regs + HOST_CAP);
    int error = pci_enable_msi(dev, ahci_interrupt, host, "ahci");
    if (error) {
        error = irq_request(dev->irq_line, ahci_interrupt, host, "ahci", true);
    }
    if (error) {
        pr_err("ahci: no interrupt: error %d", -error);
        return error;
    }
    mmio_write32(host->regs + HOST_IS, ~0u);
    mmio_write32(host->regs + HOST_GHC, mmio_read32(host->regs + HOST_GHC) | GHC_IE);
    u32 ports = mmio_read32(host->regs + HOST_PI);
    for (u32 bits = ports; bits && disks_found < 16; bits &= bits - 1) {
        add_port(host, ctz64(bits));
    }
    return 0;
}

const struct driver ahci_driver = {
    .name = "ahci", .pci_class = 0x010601, .pci_class_mask = 0xffffff, .pci_probe = ahci_probe};
