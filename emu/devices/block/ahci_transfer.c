// SPDX-License-Identifier: MIT
// AHCI's structures in guest memory: PRD tables (4.2.3.3), command headers (4.2.2), received FISes
// (4.2.1).
#include "devices/block/ahci_internal.h"

#include <string.h>

enum { FIS_D2H = 0x34, FIS_DMA_SETUP = 0x41, FIS_PIO_SETUP = 0x5F, FIS_SET_DEVICE_BITS = 0xA1 };
enum { RFIS_DMA_SETUP = 0x00, RFIS_PIO_SETUP = 0x20, RFIS_D2H = 0x40, RFIS_SET_DEVICE_BITS = 0x58 };
enum { FIS_TO_MEMORY = 0x20, FIS_INTERRUPT = 0x40 };

static u32 get32(const u8 *p)
{
    return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static void put32(u8 *p, u32 value)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (u8)(value >> (8 * i));
    }
}

static struct physmem *memory(const struct ahci_port *p)
{
    return p->hba->dev->bus->mem;
}

enum ahci_transfer ahci_prdt_start(const struct ahci_port *p, unsigned slot, struct ahci_prdt *w)
{
    u8 header[16];
    if (!physmem_read(memory(p), p->clb + slot * 32, header, sizeof(header))) {
        return TRANSFER_BAD_MEMORY;
    }
    u64 table = (get32(header + 8) & ~127u) | (u64)get32(header + 12) << 32;
    *w = (struct ahci_prdt){.next_entry = table + 0x80, .entries_left = get32(header) >> 16};
    return TRANSFER_DONE;
}

static enum ahci_transfer next_entry(struct ahci_port *p, struct ahci_prdt *w)
{
    u8 entry[16];
    if (!w->entries_left) {
        return TRANSFER_TOO_LONG;
    }
    if (!physmem_read(memory(p), w->next_entry, entry, sizeof(entry))) {
        return TRANSFER_BAD_MEMORY;
    }
    w->entries_left--;
    w->next_entry += sizeof(entry);
    w->address = (get32(entry) & ~1u) | (u64)get32(entry + 4) << 32;
    w->bytes_left = (u32)bits_get(get32(entry + 12) | 1, 0, 22) + 1; // the count is even, less one
    w->interrupt = get32(entry + 12) >> 31;
    return TRANSFER_DONE;
}

enum ahci_transfer ahci_prdt_move(struct ahci_port *p, struct ahci_prdt *w, void *buffer, u32 bytes,
                                  bool to_memory)
{
    u8 *at = buffer;
    while (bytes) {
        if (!w->bytes_left) {
            enum ahci_transfer t = next_entry(p, w);
            if (t != TRANSFER_DONE) {
                return t;
            }
        }
        u32 part = bytes < w->bytes_left ? bytes : w->bytes_left;
        bool ok = to_memory ? physmem_write(memory(p), w->address, at, part)
                            : physmem_read(memory(p), w->address, at, part);
        if (!ok) {
            return TRANSFER_BAD_MEMORY;
        }
        w->address += part;
        w->bytes_left -= part;
        at += part;
        bytes -= part;
        if (!w->bytes_left && w->interrupt) {
            p->is |= PXIS_DPS;
        }
    }
    return TRANSFER_DONE;
}

void ahci_prdt_count(const struct ahci_port *p, unsigned slot, u32 bytes)
{
    u8 count[4];
    put32(count, bytes);
    physmem_write(memory(p), p->clb + slot * 32 + 4, count, sizeof(count));
}

static void fis_store(struct ahci_port *p, unsigned offset, const u8 *fis, u32 bytes)
{
    if (p->cmd & PXCMD_FRE) {
        physmem_write(memory(p), p->fb + offset, fis, bytes);
    }
}

// Status, error and address registers as D2H and PIO setup FISes carry them.
static void put_registers(u8 fis[20], const struct ata_result *r)
{
    fis[2] = r->status;
    fis[3] = r->error;
    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = (u8)(r->lba >> (8 * i));
        fis[8 + i] = (u8)(r->lba >> (24 + 8 * i));
    }
    fis[7] = 0x40;
    fis[12] = r->count;
}

void ahci_fis_d2h(struct ahci_port *p, const struct ata_result *r, bool interrupt)
{
    u8 fis[20] = {FIS_D2H, interrupt ? FIS_INTERRUPT : 0};
    put_registers(fis, r);
    p->tfd = (u32)r->error << 8 | r->status;
    fis_store(p, RFIS_D2H, fis, sizeof(fis));
    p->is |= interrupt ? PXIS_DHRS : 0;
    p->is |= r->status & ATA_ERR ? PXIS_TFES : 0;
}

void ahci_fis_pio_setup(struct ahci_port *p, const struct ata_result *r, u32 bytes, bool to_memory)
{
    u8 fis[20] = {FIS_PIO_SETUP, (u8)(FIS_INTERRUPT | (to_memory ? FIS_TO_MEMORY : 0))};
    put_registers(fis, r);
    fis[2] = ATA_READY | ATA_DRQ; // while the data moves; E_STATUS holds afterwards
    fis[15] = to_memory ? r->status : ATA_BSY;
    fis[16] = (u8)bytes;
    fis[17] = (u8)(bytes >> 8);
    p->tfd = (u32)r->error << 8 | fis[15];
    fis_store(p, RFIS_PIO_SETUP, fis, sizeof(fis));
    p->is |= PXIS_PSS;
}

void ahci_fis_dma_setup(struct ahci_port *p, unsigned tag, u32 bytes, bool to_memory)
{
    u8 fis[28] = {FIS_DMA_SETUP, to_memory ? FIS_TO_MEMORY : 0};
    fis[4] = (u8)tag;
    put32(fis + 20, bytes);
    fis_store(p, RFIS_DMA_SETUP, fis, sizeof(fis));
}

void ahci_fis_set_device_bits(struct ahci_port *p, const struct ata_result *r, u32 completed)
{
    u8 fis[8] = {FIS_SET_DEVICE_BITS, FIS_INTERRUPT, r->status & 0x77, r->error};
    put32(fis + 4, completed);
    p->tfd = (u32)r->error << 8 | (p->tfd & (ATA_BSY | ATA_DRQ)) | (r->status & 0x77);
    fis_store(p, RFIS_SET_DEVICE_BITS, fis, sizeof(fis));
    p->sact &= ~completed;
    p->is |= PXIS_SDBS;
    p->is |= r->status & ATA_ERR ? PXIS_TFES : 0;
}
