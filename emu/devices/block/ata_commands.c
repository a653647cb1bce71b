// SPDX-License-Identifier: MIT
// The ATA disk behind an AHCI port: its commands (ACS-3) by table. A command is taken from its FIS
// when it is issued; it executes, and its data moves, at its deadline, a fixed function of the
// request.
#include "devices/block/ahci_internal.h"

#include <string.h>

// Latencies: those of an ordinary SATA SSD.
#define LATENCY_NS UINT64_C(20000)
#define LATENCY_PER_SECTOR_NS UINT64_C(1024) // 500 MB/s
#define LATENCY_FLUSH_NS UINT64_C(200000)

enum command_kind {
    KIND_NONE,
    KIND_READ,
    KIND_WRITE,
    KIND_VERIFY,
    KIND_DATA,
    KIND_FLUSH,
    KIND_CONTROL
};
enum { IS_48BIT = 1, IS_QUEUED = 2, IS_PIO = 4, IS_FUA = 8 };

struct ata_command {
    u8 kind, flags;
};

enum {
    ATA_READ_LOG_EXT = 0x2F, ATA_READ_LOG_DMA_EXT = 0x47, ATA_IDENTIFY = 0xEC,
    ATA_SET_FEATURES = 0xEF,
    ATA_SET_MULTIPLE = 0xC6, ATA_STANDBY_IMMEDIATE = 0xE0, ATA_IDLE_IMMEDIATE = 0xE1,
    ATA_STANDBY = 0xE2,
    ATA_IDLE = 0xE3, ATA_CHECK_POWER = 0xE5, ATA_SLEEP = 0xE6, ATA_INIT_PARAMETERS = 0x91,
    LOG_DIRECTORY = 0x00, LOG_NCQ_ERROR = 0x10,
    DEVICE_LBA = 0x40, FUA_BIT = 0x80,
};

static const struct ata_command commands[256] = {
    [0x20] = {KIND_READ, IS_PIO},             // READ SECTORS
    [0x24] = {KIND_READ, IS_PIO | IS_48BIT},  // READ SECTORS EXT
    [0x25] = {KIND_READ, IS_48BIT},           // READ DMA EXT
    [0x29] = {KIND_READ, IS_PIO | IS_48BIT},  // READ MULTIPLE EXT
    [0xC4] = {KIND_READ, IS_PIO},             // READ MULTIPLE
    [0xC8] = {KIND_READ, 0},                  // READ DMA
    [0x60] = {KIND_READ, IS_QUEUED},          // READ FPDMA QUEUED
    [0x30] = {KIND_WRITE, IS_PIO},            // WRITE SECTORS
    [0x34] = {KIND_WRITE, IS_PIO | IS_48BIT}, // WRITE SECTORS EXT
    [0x35] = {KIND_WRITE, IS_48BIT},          // WRITE DMA EXT
    [0x39] = {KIND_WRITE, IS_PIO | IS_48BIT}, // WRITE MULTIPLE EXT
    [0x3D] = {KIND_WRITE, IS_48BIT | IS_FUA}, // WRITE DMA FUA EXT
    [0xC5] = {KIND_WRITE, IS_PIO},            // WRITE MULTIPLE
    [0xCA] = {KIND_WRITE, 0},                 // WRITE DMA
    [0x61] = {KIND_WRITE, IS_QUEUED},         // WRITE FPDMA QUEUED
    [0x40] = {KIND_VERIFY, 0},                // READ VERIFY SECTORS
    [0x42] = {KIND_VERIFY, IS_48BIT},         // READ VERIFY SECTORS EXT
    [0xE7] = {KIND_FLUSH, 0},                 // FLUSH CACHE
    [0xEA] = {KIND_FLUSH, IS_48BIT},          // FLUSH CACHE EXT
    [ATA_IDENTIFY] = {KIND_DATA, IS_PIO},
    [ATA_READ_LOG_EXT] = {KIND_DATA, IS_PIO | IS_48BIT},
    [ATA_READ_LOG_DMA_EXT] = {KIND_DATA, IS_48BIT},
    [ATA_SET_FEATURES] = {KIND_CONTROL, 0},
    [ATA_SET_MULTIPLE] = {KIND_CONTROL, 0},
    [ATA_STANDBY_IMMEDIATE] = {KIND_CONTROL, 0},
    [ATA_IDLE_IMMEDIATE] = {KIND_CONTROL, 0},
    [ATA_STANDBY] = {KIND_CONTROL, 0},
    [ATA_IDLE] = {KIND_CONTROL, 0},
    [ATA_CHECK_POWER] = {KIND_CONTROL, 0},
    [ATA_SLEEP] = {KIND_CONTROL, 0},
    [ATA_INIT_PARAMETERS] = {KIND_CONTROL, 0},
};

bool ata_command_is_pio_in(u8 command)
{
    const struct ata_command *c = &commands[command];
    return (c->flags & IS_PIO) && (c->kind == KIND_READ || c->kind == KIND_DATA);
}

bool ata_command_is_queued(u8 command)
{
    return commands[command].flags & IS_QUEUED;
}

static u64 sector_count(const struct ahci_port *p)
{
    u64 sectors = p->disk->size_bytes / SECTOR_BYTES;
    return sectors < BIT(48) - 1 ? sectors : BIT(48) - 1;
}

void ata_device_reset(struct ahci_port *p, bool power_on)
{
    // Settings made by SET FEATURES survive a software reset and, with SATA's preservation, a
    // COMRESET.
    if (power_on) {
        p->write_cache = p->look_ahead = true;
        p->udma_mode = 5;
    }
    p->multiple = 16;
    p->standby = false;
    p->ncq_failed = false;
    p->ncq_tag = p->ncq_error = 0;
    p->ncq_lba = 0;
    p->ncq_sectors = 0;
}

static u64 latency_ns(const struct ahci_port *p, unsigned slot)
{
    const struct ata_command *c = &commands[p->slot_command[slot]];
    u64 ns = LATENCY_NS;
    if (c->kind == KIND_READ || c->kind == KIND_WRITE || c->kind == KIND_VERIFY) {
        ns += p->slot_sectors[slot] * LATENCY_PER_SECTOR_NS;
    }
    bool force = (c->flags & IS_FUA) || (c->kind == KIND_WRITE && (c->flags & IS_QUEUED) &&
                                         (p->slot_features[slot] & FUA_BIT));
    return ns + (c->kind == KIND_FLUSH || force ? LATENCY_FLUSH_NS : 0);
}

// Address and count of a command FIS, 28-bit, 48-bit or queued (SATA 3, 10.5.5; ACS-3, 4.2).
static void take_registers(struct ahci_port *p, unsigned slot, const u8 fis[20], u8 flags)
{
    bool wide = flags & (IS_48BIT | IS_QUEUED);
    u64 lba = fis[4] | (u64)fis[5] << 8 | (u64)fis[6] << 16;
    lba |= wide ? (u64)fis[8] << 24 | (u64)fis[9] << 32 | (u64)fis[10] << 40
                : (u64)(fis[7] & 15) << 24;
    u32 count = flags & IS_QUEUED ? fis[3] | (u32)fis[11] << 8
                : wide            ? fis[12] | (u32)fis[13] << 8
                                  : fis[12];
    p->slot_command[slot] = fis[2];
    p->slot_lba[slot] = lba;
    p->slot_sectors[slot] = count ? count : wide ? 65536 : 256;
    p->slot_features[slot] = fis[3];
    if (flags & IS_QUEUED) {
        // its features register is the count; FUA is in the device register
        p->slot_features[slot] = fis[7];
    } else if (commands[fis[2]].kind == KIND_CONTROL) {
        p->slot_sectors[slot] = fis[12]; // an argument
    }
}

enum ata_start ata_command_start(struct ahci_port *p, unsigned slot, const u8 fis[20])
{
    const struct ata_command *c = &commands[fis[2]];
    bool queued = c->flags & IS_QUEUED;
    bool transfers = c->kind == KIND_READ || c->kind == KIND_WRITE || c->kind == KIND_VERIFY;
    bool log = fis[2] == ATA_READ_LOG_EXT || fis[2] == ATA_READ_LOG_DMA_EXT;
    u32 others = p->issued & ~(u32)BIT(slot);
    take_registers(p, slot, fis, c->flags);
    // A failed queue accepts nothing but the log that explains it; queued and other commands do not
    // mix (SATA 3, 13.6.2); a queued command's tag is its slot (AHCI 5.6.4.1), and its SActive bit
    // is set; the geometry is long gone.
    if (c->kind == KIND_NONE || (p->ncq_failed && !log) || (!queued && others) ||
        (queued && (fis[12] >> 3 != slot || !(p->sact & BIT(slot)))) ||
        (transfers && !(fis[7] & DEVICE_LBA))) {
        return ATA_START_ABORT;
    }
    p->slot_deadline_ns[slot] = vclock_ns(p->hba->dev->bus->clock) + latency_ns(p, slot);
    return queued ? ATA_START_QUEUED : ATA_START_BUSY;
}

static void fail(struct ata_result *r, u8 error, u64 lba)
{
    r->status = ATA_READY | ATA_ERR;
    r->error = error;
    r->lba = lba;
}

// Sectors between the disk and the PRD table.
static enum ahci_transfer sectors_move(struct ahci_port *p, unsigned slot, struct ata_result *r,
                                       bool read)
{
    struct ahci_prdt walk;
    u8 *buffer = p->hba->buffer;
    u64 lba = p->slot_lba[slot];
    u32 left = p->slot_sectors[slot], moved = 0;
    enum ahci_transfer t = ahci_prdt_start(p, slot, &walk);
    while (t == TRANSFER_DONE && left) {
        u32 part =
            left < AHCI_BUFFER_BYTES / SECTOR_BYTES ? left : AHCI_BUFFER_BYTES / SECTOR_BYTES;
        u32 bytes = part * SECTOR_BYTES;
        bool ok = true;
        if (read) {
            ok = p->disk->ops->read(p->disk->ctx, lba * SECTOR_BYTES, buffer, bytes);
            t = ok ? ahci_prdt_move(p, &walk, buffer, bytes, true) : t;
        } else {
            t = ahci_prdt_move(p, &walk, buffer, bytes, false);
            ok = t != TRANSFER_DONE ||
                 p->disk->ops->write(p->disk->ctx, lba * SECTOR_BYTES, buffer, bytes);
        }
        if (!ok) {
            fail(r, read ? ATA_UNC : ATA_ABRT, lba);
            break;
        }
        lba += part;
        left -= part;
        moved += bytes;
    }
    if (!ata_command_is_queued(p->slot_command[slot])) {
        ahci_prdt_count(p, slot, moved);
    }
    return t;
}

static void disk_flush(struct ahci_port *p, struct ata_result *r)
{
    if (!p->disk->ops->flush(p->disk->ctx)) {
        fail(r, ATA_ABRT, 0);
    }
}

static enum ahci_transfer transfer_finish(struct ahci_port *p, unsigned slot, struct ata_result *r)
{
    const struct ata_command *c = &commands[p->slot_command[slot]];
    u64 lba = p->slot_lba[slot], sectors = sector_count(p);
    u32 count = p->slot_sectors[slot];
    bool read = c->kind == KIND_READ;
    if (lba >= sectors || count > sectors - lba) {
        fail(r, ATA_IDNF, lba >= sectors ? lba : sectors);
        return TRANSFER_DONE;
    }
    if (c->kind == KIND_WRITE && p->disk->read_only) {
        fail(r, ATA_ABRT, lba);
        return TRANSFER_DONE;
    }
    if (c->kind == KIND_VERIFY) {
        return TRANSFER_DONE; // nothing to say about sectors that are there
    }
    if (c->flags & IS_QUEUED) {
        ahci_fis_dma_setup(p, slot, count * SECTOR_BYTES, read);
    } else if ((c->flags & IS_PIO) && !read) {
        ahci_fis_pio_setup(p, r, SECTOR_BYTES, false);
    }
    enum ahci_transfer t = sectors_move(p, slot, r, read);
    bool force =
        (c->flags & IS_FUA) || ((c->flags & IS_QUEUED) && (p->slot_features[slot] & FUA_BIT));
    if (t == TRANSFER_DONE && !read && !(r->status & ATA_ERR) && (force || !p->write_cache)) {
        disk_flush(p, r);
    }
    if (t == TRANSFER_DONE && read && (c->flags & IS_PIO) && !(r->status & ATA_ERR)) {
        ahci_fis_pio_setup(p, r, SECTOR_BYTES, true);
    }
    return t;
}

static void put16(u8 *page, unsigned word, u32 value)
{
    page[2 * word] = (u8)value;
    page[2 * word + 1] = (u8)(value >> 8);
}

// ATA strings are padded with blanks, and each word has its first character in the high byte.
static void put_string(u8 *page, unsigned word, unsigned words, const char *text)
{
    size_t length = strlen(text);
    for (unsigned i = 0; i < 2 * words; i++) {
        page[2 * word + (i ^ 1)] = i < length ? (u8)text[i] : ' ';
    }
}

static void put_checksum(u8 page[SECTOR_BYTES])
{
    u8 sum = 0;
    for (unsigned i = 0; i < SECTOR_BYTES - 1; i++) {
        sum += page[i];
    }
    page[SECTOR_BYTES - 1] = (u8)-sum;
}

// IDENTIFY DEVICE (ACS-3, 7.12, table 45).
static void identify_page(const struct ahci_port *p, u8 page[SECTOR_BYTES])
{
    u64 sectors = sector_count(p);
    u32 sectors28 = sectors < BIT(28) - 1 ? (u32)sectors : (u32)BIT(28) - 1;
    u32 caches = (p->write_cache ? 1 << 5 : 0) | (p->look_ahead ? 1 << 6 : 0);
    const struct {
        u8 word;
        u32 value;
    } words[] = {
        // fixed device; the geometry of every large disk
        {0, 0x0040},   {1, 16383}, {3, 16}, {6, 63},
        {47, 0x8010},                               // up to 16 sectors a DRQ block
        // DMA, LBA, IORDY; words 54-58, 64-70 and 88 valid
        {49, 0x0F00},  {50, 0x4000}, {53, 0x0007},
        {54, 16383},   {55, 16}, {56, 63}, {57, 0xFC10}, {58, 0x00FB},
        {59, 0x0100u | p->multiple},
        {60, sectors28 & 0xFFFF}, {61, sectors28 >> 16},
        // MWDMA 0-2, PIO 3 and 4
        {63, 0x0007},  {64, 0x0003}, {65, 120}, {66, 120}, {67, 120}, {68, 120},
        {75, AHCI_SLOTS - 1}, {76, 0x0102},         // queue depth less one; NCQ, 1.5 Gbit/s
        {80, 0x01F0},                               // ATA/ATAPI-4 to ATA8-ACS
        {82, 0x4068},  {83, 0x7400}, {84, 0x4060},  // power, caches; FLUSH, 48-bit; log, FUA
        {85, 0x4008 | caches}, {86, 0x3400}, {87, 0x4060},
        {88, 0x003Fu | 0x100u << p->udma_mode},
        {100, sectors & 0xFFFF}, {101, sectors >> 16 & 0xFFFF}, {102, sectors >> 32 & 0xFFFF},
        // one logical sector per physical; does not rotate
        {106, 0x4000}, {217, 0x0001},
        {255, 0x00A5},                              // signature of the checksum
    };
    memset(page, 0, SECTOR_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        put16(page, words[i].word, words[i].value);
    }
    put_string(page, 10, 10, p->disk->serial ? p->disk->serial : "");
    put_string(page, 23, 4, "1.0");
    put_string(page, 27, 20, "viv disk");
    put_checksum(page);
}

// General purpose logs (ACS-3, A): the directory and the NCQ error log. False: there is no such
// page.
static bool log_page(struct ahci_port *p, unsigned slot, u8 page[SECTOR_BYTES])
{
    u8 log = (u8)p->slot_lba[slot];
    u64 number = bits_get(p->slot_lba[slot], 8, 8) | bits_get(p->slot_lba[slot], 32, 8) << 8;
    memset(page, 0, SECTOR_BYTES);
    if (number || p->slot_sectors[slot] != 1) {
        return false;
    }
    switch (log) {
    case LOG_DIRECTORY:
        put16(page, 0, 1);
        put16(page, LOG_NCQ_ERROR, 1);
        return true;
    case LOG_NCQ_ERROR:
        page[0] = p->ncq_failed ? p->ncq_tag : 0x80; // NQ: no queued command
        page[2] = p->ncq_failed ? ATA_READY | ATA_ERR : 0;
        page[3] = p->ncq_error;
        page[7] = p->ncq_failed ? DEVICE_LBA : 0;
        for (unsigned i = 0; i < 3; i++) {
            page[4 + i] = (u8)(p->ncq_lba >> (8 * i));
            page[8 + i] = (u8)(p->ncq_lba >> (24 + 8 * i));
        }
        page[12] = (u8)p->ncq_sectors;
        page[13] = (u8)(p->ncq_sectors >> 8);
        put_checksum(page);
        p->ncq_failed = false; // reading it ends the error state
        return true;
    default:
        return false;
    }
}

static enum ahci_transfer data_finish(struct ahci_port *p, unsigned slot, struct ata_result *r)
{
    u8 page[SECTOR_BYTES];
    struct ahci_prdt walk;
    if (p->slot_command[slot] == ATA_IDENTIFY) {
        identify_page(p, page);
    } else if (!log_page(p, slot, page)) {
        fail(r, ATA_ABRT, 0);
        return TRANSFER_DONE;
    }
    enum ahci_transfer t = ahci_prdt_start(p, slot, &walk);
    if (t == TRANSFER_DONE) {
        t = ahci_prdt_move(p, &walk, page, sizeof(page), true);
    }
    if (t == TRANSFER_DONE) {
        ahci_prdt_count(p, slot, sizeof(page));
        if (commands[p->slot_command[slot]].flags & IS_PIO) {
            ahci_fis_pio_setup(p, r, sizeof(page), true);
        }
    }
    return t;
}

// SET FEATURES (ACS-3, 7.45).
static void set_features(struct ahci_port *p, unsigned slot, struct ata_result *r)
{
    u32 argument = p->slot_sectors[slot];
    switch (p->slot_features[slot]) {
    case 0x02: // write cache on, off
    case 0x82:
        p->write_cache = p->slot_features[slot] == 0x02;
        if (!p->write_cache) {
            disk_flush(p, r);
        }
        break;
    case 0xAA: // read look-ahead on, off
    case 0x55:
        p->look_ahead = p->slot_features[slot] == 0xAA;
        break;
    case 0x03: // transfer mode: PIO and multiword DMA are all alike here
        if (argument >= 0x40 && argument <= 0x45) {
            p->udma_mode = argument & 7;
        } else if (argument > 0x22 || (argument & 7) > 4) {
            fail(r, ATA_ABRT, 0);
        }
        break;
    default:
        fail(r, ATA_ABRT, 0);
        break;
    }
}

static void control_finish(struct ahci_port *p, unsigned slot, struct ata_result *r)
{
    u32 argument = p->slot_sectors[slot];
    switch (p->slot_command[slot]) {
    case ATA_SET_FEATURES:
        set_features(p, slot, r);
        break;
    case ATA_SET_MULTIPLE:
        if (argument > 16 || (argument & (argument - 1))) {
            fail(r, ATA_ABRT, 0);
        } else {
            p->multiple = (u8)argument;
        }
        break;
    case ATA_STANDBY:
    case ATA_STANDBY_IMMEDIATE:
    case ATA_SLEEP:
        disk_flush(p, r); // going to sleep empties the write cache
        p->standby = true;
        break;
    case ATA_IDLE:
    case ATA_IDLE_IMMEDIATE:
        p->standby = false;
        break;
    case ATA_CHECK_POWER:
        r->count = p->standby ? 0x00 : 0xFF;
        break;
    }
}

enum ahci_transfer ata_command_finish(struct ahci_port *p, unsigned slot, struct ata_result *r)
{
    enum ahci_transfer t = TRANSFER_DONE;
    switch (commands[p->slot_command[slot]].kind) {
    case KIND_READ:
    case KIND_WRITE:
    case KIND_VERIFY:
        p->standby = false;
        t = transfer_finish(p, slot, r);
        break;
    case KIND_FLUSH:
        disk_flush(p, r);
        break;
    case KIND_DATA:
        t = data_finish(p, slot, r);
        break;
    case KIND_CONTROL:
        control_finish(p, slot, r);
        break;
    }
    if (t == TRANSFER_DONE && (r->status & ATA_ERR) &&
        ata_command_is_queued(p->slot_command[slot])) {
        p->ncq_failed = true;
        p->ncq_tag = (u8)slot;
        p->ncq_error = r->error;
        p->ncq_lba = r->lba;
        p->ncq_sectors = p->slot_sectors[slot];
    }
    return t;
}
