// SPDX-License-Identifier: MIT
// The AHCI adapter and its disk, driven as a driver drives them (AHCI 1.3.1, ACS-3).
#include "device/fixture.h"

#include <string.h>

enum { DEVFN = 0x10, HEADERS = 0x100000, RECEIVED = 0x101000, TABLES = 0x110000, DATA = 0x200000 };
#define ABAR UINT64_C(0xE0000000)
#define PORT(reg) (ABAR + 0x100 + (reg))
enum { GHC = 0x04, HBA_IS = 0x08, CLB = 0x00, FB = 0x08, IS = 0x10, IE = 0x14, CMD = 0x18,
       TFD = 0x20, SIG = 0x24,
       SSTS = 0x28, SCTL = 0x2C, SERR = 0x30, SACT = 0x34, CI = 0x38 };

static void put32(struct fixture *f, u64 address, u32 value)
{
    assert_true(physmem_write(f->bus.mem, address, &value, 4));
}

static u32 get32(struct fixture *f, u64 address)
{
    u32 value;
    assert_true(physmem_read(f->bus.mem, address, &value, 4));
    return value;
}

static void start(struct fixture *f, bool msi)
{
    pci_config_write(f->bus.pci, DEVFN, 0x24, (u32)ABAR, 4);
    pci_config_write(f->bus.pci, DEVFN, 0x04, 0x6, 2);
    if (msi) {
        pci_config_write(f->bus.pci, DEVFN, 0x54, 0xFEE00000, 4);
        pci_config_write(f->bus.pci, DEVFN, 0x5C, 0x61, 2);
        pci_config_write(f->bus.pci, DEVFN, 0x52, 1, 2);
    }
    lapic_put(f, 0, 0xF0, 0x1FF);
    mmio_write(f, ABAR + GHC, 0x80000002);
    mmio_write(f, PORT(CLB), HEADERS);
    mmio_write(f, PORT(FB), RECEIVED);
    mmio_write(f, PORT(SERR), 0xFFFFFFFF);
    mmio_write(f, PORT(IS), 0xFFFFFFFF);
    mmio_write(f, PORT(IE), 0xFDC000FF);
    mmio_write(f, PORT(CMD), 0x10);
    mmio_write(f, PORT(CMD), 0x11);
    mmio_write(f, ABAR + HBA_IS, 0xFFFFFFFF);
}

// A command of n sectors with its data in pieces of piece_bytes from DATA on. Does not issue it.
static void prepare(struct fixture *f, unsigned slot, u8 command, u64 lba, u32 n, u32 piece_bytes)
{
    u64 table = TABLES + slot * 0x1000;
    u32 left = n * 512, pieces = 0;
    for (u64 at = DATA + slot * 0x40000; left; at += piece_bytes + 64) {
        u32 part = left < piece_bytes ? left : piece_bytes;
        put32(f, table + 0x80 + pieces * 16, (u32)at);
        put32(f, table + 0x84 + pieces * 16, 0);
        put32(f, table + 0x8C + pieces * 16, part - 1);
        left -= part;
        pieces++;
    }
    put32(f, HEADERS + slot * 32, pieces << 16 | 5);
    put32(f, HEADERS + slot * 32 + 4, 0xDEAD);
    put32(f, HEADERS + slot * 32 + 8, (u32)table);
    put32(f, HEADERS + slot * 32 + 12, 0);
    u8 fis[20] = {0x27, 0x80, command, 0};
    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = (u8)(lba >> (8 * i));
        fis[8 + i] = (u8)(lba >> (24 + 8 * i));
    }
    fis[7] = 0x40;
    bool queued = command == 0x60 || command == 0x61;
    fis[queued ? 3 : 12] = (u8)n;
    fis[queued ? 11 : 13] = (u8)(n >> 8);
    if (queued) {
        fis[12] = (u8)(slot << 3);
    }
    assert_true(physmem_write(f->bus.mem, table, fis, sizeof(fis)));
}

static void issue(struct fixture *f, u32 slots)
{
    mmio_write(f, PORT(CI), slots);
}

static void finish(struct fixture *f)
{
    fixture_advance(f, 100000000);
}

static void command(struct fixture *f, u8 code, u64 lba, u32 n)
{
    prepare(f, 0, code, lba, n, 4096);
    issue(f, 1);
    finish(f);
}

static void set_byte(struct fixture *f, unsigned slot, unsigned offset, u8 value)
{
    assert_true(physmem_write(f->bus.mem, TABLES + slot * 0x1000 + offset, &value, 1));
}

static void recover(struct fixture *f)
{
    mmio_write(f, PORT(CMD), 0x10);
    mmio_write(f, PORT(SERR), 0xFFFFFFFF);
    mmio_write(f, PORT(IS), 0xFFFFFFFF);
    if (mmio_read(f, PORT(TFD)) & 0x88) {
        mmio_write(f, PORT(CMD), 0x18); // CLO
    }
    mmio_write(f, PORT(CMD), 0x11);
}

static void identity(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 0, 4), 0x29228086);
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 8, 4), 0x01060102);
    pci_config_write(f->bus.pci, DEVFN, 0x24, 0xFFFFFFFF, 4);
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 0x24, 4), 0xFFFFF000);
    start(f, false);
    assert_int_equal(mmio_read(f, ABAR), 0xC1141F03); // CAP
    assert_int_equal(mmio_read(f, ABAR + 0x0C), 0xF);
    assert_int_equal(mmio_read(f, ABAR + 0x10), 0x10300);
    assert_int_equal(mmio_read(f, PORT(SSTS)), 0x113);
    assert_int_equal(mmio_read(f, PORT(SIG)), 0x101);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x150);
    // the signature FIS came once FRE was on
    assert_int_equal(get32(f, RECEIVED + 0x40), 0x01500034);
    assert_int_equal(mmio_read(f, PORT(SSTS) + 0x80), 0); // port 1 is empty
    assert_int_equal(mmio_read(f, PORT(TFD) + 0x80), 0x7F);
}

static void identify(void **state)
{
    struct fixture *f = *state;
    u8 page[512], sum = 0;
    start(f, false);
    command(f, 0xEC, 0, 1);
    assert_true(physmem_read(f->bus.mem, DATA, page, sizeof(page)));
    for (unsigned i = 0; i < sizeof(page); i++) {
        sum += page[i];
    }
    assert_int_equal(sum, 0);
    assert_int_equal(page[200] | page[201] << 8, FIXTURE_DISK_BYTES / 512);
    assert_int_equal(page[120] | page[121] << 8, FIXTURE_DISK_BYTES / 512);
    assert_memory_equal(page + 20, "IV0V00 1", 8); // VIV0001, bytes swapped in words
    assert_int_equal(page[150], 31);
    assert_int_equal(mmio_read(f, PORT(CI)), 0);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x50);
    assert_int_equal(mmio_read(f, PORT(IS)), 0x2);              // PIO setup
    assert_int_equal(get32(f, RECEIVED + 0x20) & 0xFF, 0x5F);
    assert_int_equal(get32(f, HEADERS + 4), 512);                // PRDBC
}

static void assert_sectors(struct fixture *f, unsigned slot, u64 lba, u32 n, u32 piece_bytes)
{
    u8 byte;
    for (u32 i = 0; i < n * 512; i += 37) {
        u64 at = DATA + slot * 0x40000 + i / piece_bytes * (piece_bytes + 64) + i % piece_bytes;
        assert_true(physmem_read(f->bus.mem, at, &byte, 1));
        assert_int_equal(byte, f->disk.bytes[lba * 512 + i]);
    }
}

static void read_dma(void **state)
{
    struct fixture *f = *state;
    start(f, false);
    prepare(f, 0, 0x25, 3, 300, 1022); // pieces that cross sectors, more than one host buffer
    issue(f, 1);
    assert_int_equal(mmio_read(f, PORT(CI)), 1);
    assert_int_equal(mmio_read(f, PORT(TFD)) & 0x80, 0x80);
    fixture_advance(f, 10000);
    assert_int_equal(get32(f, DATA), 0); // data moves at completion
    finish(f);
    assert_sectors(f, 0, 3, 300, 1022);
    assert_int_equal(mmio_read(f, PORT(CI)), 0);
    assert_int_equal(mmio_read(f, PORT(IS)), 1);
    assert_int_equal(get32(f, HEADERS + 4), 300 * 512);
    assert_int_equal(get32(f, RECEIVED + 0x40) & 0xFFFFFF, 0x504034);
}

static void write_dma(void **state)
{
    struct fixture *f = *state;
    u8 bytes[1024];
    start(f, false);
    memset(bytes, 0xA7, sizeof(bytes));
    assert_true(physmem_write(f->bus.mem, DATA, bytes, sizeof(bytes)));
    command(f, 0x35, 100, 2);
    assert_memory_equal(f->disk.bytes + 51200, bytes, sizeof(bytes));
    assert_int_equal(f->disk.bytes[51200 + 1024], (u8)(52224 * 7 + 102));
    assert_int_equal(f->disk.flushes, 0);
    command(f, 0xEA, 0, 0);
    assert_int_equal(f->disk.flushes, 1);
    command(f, 0x3D, 100, 1); // FUA
    assert_int_equal(f->disk.flushes, 2);
    prepare(f, 0, 0xEF, 0, 0, 4096); // SET FEATURES: write cache off
    set_byte(f, 0, 3, 0x82);
    issue(f, 1);
    finish(f);
    assert_int_equal(f->disk.flushes, 3);
    command(f, 0xCA, 100, 1);
    assert_int_equal(f->disk.flushes, 4);
    command(f, 0x30, 5, 2); // PIO
    assert_int_equal(f->disk.bytes[5 * 512], 0xA7);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x50);
    command(f, 0x20, 7, 1);
    assert_sectors(f, 0, 7, 1, 4096);
}

static void queued(void **state)
{
    struct fixture *f = *state;
    start(f, true);
    for (unsigned slot = 0; slot < 4; slot++) {
        prepare(f, slot, 0x60, slot * 10, slot == 0 ? 64 : 8, 4096);
    }
    mmio_write(f, PORT(SACT), 0xF);
    issue(f, 0xF);
    assert_int_equal(mmio_read(f, PORT(CI)), 0);      // all taken
    assert_int_equal(mmio_read(f, PORT(SACT)), 0xF);  // none done
    fixture_advance(f, 20000 + 8 * 1024);
    assert_int_equal(mmio_read(f, PORT(SACT)), 0x1);  // the long one lasts longer
    assert_int_equal(get32(f, RECEIVED + 0x58) & 0xFFFF, 0x40A1);
    assert_int_equal(mmio_read(f, PORT(IS)), 0x8);
    assert_int_equal(acknowledge(f, 0), 0x61);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(SACT)), 0);
    for (unsigned slot = 0; slot < 4; slot++) {
        assert_sectors(f, slot, slot * 10, slot == 0 ? 64 : 8, 4096);
    }
}

static void queued_error(void **state)
{
    struct fixture *f = *state;
    start(f, false);
    prepare(f, 2, 0x60, FIXTURE_DISK_BYTES / 512 - 1, 2, 4096);
    prepare(f, 5, 0x60, 0, 64, 4096);
    mmio_write(f, PORT(SACT), 0x24);
    issue(f, 0x24);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(IS)), 0x40000008);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x1051); // IDNF
    assert_int_equal(mmio_read(f, PORT(SACT)), 0x24);  // all of the queue failed
    recover(f);
    assert_int_equal(mmio_read(f, PORT(SACT)), 0);
    command(f, 0x25, 0, 1);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x0451); // only the log, first
    recover(f);
    command(f, 0x2F, 0x10, 1);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x50);
    assert_int_equal(get32(f, DATA), 0x10510002); // tag 2, status, error
    command(f, 0x25, 0, 1);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x50);
}

static void errors(void **state)
{
    struct fixture *f = *state;
    start(f, false);
    static const struct {
        u8 code;
        u64 lba;
        u32 n, tfd;
    } cases[] = {
        {0x25, FIXTURE_DISK_BYTES / 512, 1, 0x1051}, // IDNF
        {0x25, UINT64_C(0xFFFFFFFFFFFF), 1, 0x1051},
        {0x35, FIXTURE_DISK_BYTES / 512 - 1, 0, 0x1051}, // 65536 sectors
        {0x00, 0, 1, 0x0451},                        // ABRT: NOP and what nobody knows
        {0xFF, 0, 1, 0x0451},
        {0x2F, 0x99, 1, 0x0451}, // no such log
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        command(f, cases[i].code, cases[i].lba, cases[i].n);
        assert_int_equal(mmio_read(f, PORT(TFD)), cases[i].tfd);
        assert_int_equal(mmio_read(f, PORT(IS)) & 0x40000000, 0x40000000);
        assert_int_equal(mmio_read(f, PORT(CI)), 1);
        issue(f, 2); // the list is stopped
        finish(f);
        assert_int_equal(mmio_read(f, PORT(CI)), 3);
        recover(f);
        assert_int_equal(mmio_read(f, PORT(CI)), 0);
    }
    f->disk.fail_reads = true;
    command(f, 0x25, 0, 1);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x4051); // UNC
    recover(f);
    f->disk.fail_writes = true;
    command(f, 0x35, 0, 1);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x0451);
    recover(f);
    f->disk.fail_reads = false;
    command(f, 0x25, 0, 1);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x50);
}

// Tables that make no sense end in the errors of AHCI 6.1, and the port works again after its
// restart.
static void bad_tables(void **state)
{
    struct fixture *f = *state;
    start(f, false);
    prepare(f, 0, 0x25, 0, 8, 4096);
    put32(f, HEADERS + 8, 0xF0000000); // command table outside RAM
    issue(f, 1);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(IS)), 0x20000000);
    recover(f);
    prepare(f, 0, 0x25, 0, 8, 4096);
    put32(f, TABLES + 0x80, 0xFEE00000); // data at the LAPIC
    issue(f, 1);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(IS)), 0x20000000);
    recover(f);
    prepare(f, 0, 0x25, 0, 8, 4096);
    put32(f, TABLES + 0x8C, 99); // 100 bytes for 4096
    issue(f, 1);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(IS)), 0x01000000);
    recover(f);
    prepare(f, 0, 0x25, 0, 8, 4096);
    put32(f, HEADERS, 0x1F); // FIS of 31 dwords
    issue(f, 1);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(IS)), 0x08000000);
    recover(f);
    prepare(f, 0, 0x25, 0, 8, 4096);
    set_byte(f, 0, 0, 0x46); // no register FIS
    issue(f, 1);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(IS)), 0x08000000);
    recover(f);
    mmio_write(f, PORT(CLB + 4), 0xFFFFFFFF); // command list nowhere
    issue(f, 0xFFFFFFFF);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(IS)), 0x20000000);
    recover(f);
    mmio_write(f, PORT(CLB + 4), 0);
    command(f, 0x25, 0, 8);
    assert_sectors(f, 0, 0, 8, 4096);
}

// The table lies in the data it describes: reading overwrites it. Whatever happens, it ends.
static void table_loop(void **state)
{
    struct fixture *f = *state;
    start(f, false);
    prepare(f, 0, 0x25, 0, 256, 4096);
    put32(f, TABLES + 0x80, TABLES);
    issue(f, 1);
    finish(f);
    assert_true(mmio_read(f, PORT(IS)) != 0);
    recover(f);
    command(f, 0x25, 0, 8);
    assert_sectors(f, 0, 0, 8, 4096);
}

static void resets(void **state)
{
    struct fixture *f = *state;
    start(f, false);
    prepare(f, 0, 0x25, 0, 8, 4096);
    issue(f, 1);
    mmio_write(f, PORT(SCTL), 1); // COMRESET with a command under way
    assert_int_equal(mmio_read(f, PORT(SSTS)), 0);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x7F);
    mmio_write(f, PORT(SCTL), 0);
    assert_int_equal(mmio_read(f, PORT(SSTS)), 0x113);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x150);
    assert_int_equal(mmio_read(f, PORT(SERR)) & 0x04000000, 0x04000000);
    assert_int_equal(mmio_read(f, PORT(IS)) & 0x40, 0x40); // PCS follows SERR.DIAG.X
    mmio_write(f, PORT(IS), 0x40);
    assert_int_equal(mmio_read(f, PORT(IS)) & 0x40, 0x40);
    mmio_write(f, PORT(SERR), 0x04000000);
    assert_int_equal(mmio_read(f, PORT(IS)) & 0x40, 0);
    finish(f);
    assert_int_equal(get32(f, DATA), 0); // the command is gone
    recover(f);
    // Software reset as Linux does it: two FISes without the C bit.
    prepare(f, 0, 0, 0, 0, 4096);
    set_byte(f, 0, 1, 0);
    set_byte(f, 0, 15, 4);
    issue(f, 1);
    assert_int_equal(mmio_read(f, PORT(CI)), 0);
    set_byte(f, 0, 15, 0);
    put32(f, RECEIVED + 0x40, 0);
    issue(f, 1);
    assert_int_equal(mmio_read(f, PORT(CI)), 0);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x150);
    assert_int_equal(get32(f, RECEIVED + 0x40), 0x01500034);
    mmio_write(f, ABAR + GHC, 0x80000001); // HBA reset
    assert_int_equal(mmio_read(f, ABAR + GHC), 0x80000000);
    assert_int_equal(mmio_read(f, PORT(CMD)) & 0x11, 0);
    assert_int_equal(mmio_read(f, PORT(CLB)), HEADERS);
    assert_int_equal(mmio_read(f, PORT(SSTS)), 0x113);
}

static void intx(void **state)
{
    struct fixture *f = *state;
    pic_initialise(f);
    start(f, false);
    command(f, 0x25, 0, 1);
    assert_int_equal(mmio_read(f, ABAR + HBA_IS), 1);
    assert_true(f->cpu[0].intr);
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 0x3C, 2), 0x010A); // slot 2, INTA: IRQ 10
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 6, 2) & 8, 8);
    assert_int_equal(acknowledge(f, 0), 0x2A);
    mmio_write(f, PORT(IS), 1);
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 6, 2) & 8, 8); // the HBA's bit stays up
    mmio_write(f, ABAR + HBA_IS, 1);
    assert_int_equal(pci_config_read(f->bus.pci, DEVFN, 6, 2) & 8, 0);
    out(f, 0xA0, 0x20, 1);
    out(f, 0x20, 0x20, 1);
    assert_false(f->cpu[0].intr);
    mmio_write(f, ABAR + GHC, 0x80000000); // interrupts off
    command(f, 0x25, 0, 1);
    assert_false(f->cpu[0].intr);
    mmio_write(f, ABAR + GHC, 0x80000002);
    assert_true(f->cpu[0].intr);
    pci_config_write(f->bus.pci, DEVFN, 4, 0x406, 2); // INTx disabled
    assert_false(f->cpu[0].intr);
}

// 10.6.2: a port that asks again while its bit is being cleared gets its own message.
// And clearing one bit of the HBA's while another stands sends one more.
static void msi_per_port(void **state)
{
    struct fixture *f = *state;
    start(f, true);
    mmio_write(f, PORT(SERR) + 0x100, 0xFFFFFFFF);
    mmio_write(f, PORT(IE) + 0x100, 0x40);
    command(f, 0x25, 0, 1);
    acknowledge(f, 0);
    lapic_put(f, 0, 0xB0, 0);
    assert_false(f->cpu[0].intr);
    mmio_write(f, PORT(SCTL) + 0x100, 1); // port 2's link goes down and up
    mmio_write(f, PORT(SCTL) + 0x100, 0);
    assert_int_equal(mmio_read(f, ABAR + HBA_IS), 5);
    assert_int_equal(acknowledge(f, 0), 0x61);
    lapic_put(f, 0, 0xB0, 0);
    mmio_write(f, PORT(IS), 1);
    mmio_write(f, ABAR + HBA_IS, 1);
    assert_true(f->cpu[0].intr);
}

static void read_only_disk(void **state)
{
    struct fixture *f = *state;
    f->host.disk[0].read_only = true;
    start(f, false);
    command(f, 0x35, 0, 1);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x0451);
    assert_int_equal(f->disk.writes, 0);
    recover(f);
    command(f, 0x25, 0, 1);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x50);
}

// A byte count is always even: its lowest bit counts as set. The table's largest entry is 4 MiB.
static void byte_counts(void **state)
{
    struct fixture *f = *state;
    start(f, false);
    prepare(f, 0, 0x25, 0, 256, 4096);
    put32(f, HEADERS, 2 << 16 | 5);
    put32(f, TABLES + 0x8C, 4094);
    put32(f, TABLES + 0x90, DATA + 8192);
    put32(f, TABLES + 0x9C, 0x7FE00000 | 0x3FFFFF);
    issue(f, 1);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(TFD)), 0x50);
    u8 byte;
    assert_true(physmem_read(f->bus.mem, DATA + 8192, &byte, 1));
    assert_int_equal(byte, f->disk.bytes[4096]);
    assert_int_equal(get32(f, HEADERS + 4), 256 * 512);
}

static void msi_repeats(void **state)
{
    struct fixture *f = *state;
    start(f, true);
    command(f, 0x25, 0, 1);
    assert_int_equal(acknowledge(f, 0), 0x61);
    lapic_put(f, 0, 0xB0, 0);
    mmio_write(f, PORT(IS), 1);
    command(f, 0x25, 0, 1); // completes before the HBA's bit is cleared: no new edge
    assert_false(f->cpu[0].intr);
    mmio_write(f, ABAR + HBA_IS, 1);
    assert_true(f->cpu[0].intr);
    assert_int_equal(acknowledge(f, 0), 0x61);
}

// Bus mastering off: the adapter cannot fetch. DMA resumes with it.
static void bus_master(void **state)
{
    struct fixture *f = *state;
    start(f, false);
    pci_config_write(f->bus.pci, DEVFN, 4, 2, 2);
    command(f, 0x25, 0, 1);
    assert_int_equal(mmio_read(f, PORT(CI)), 1);
    pci_config_write(f->bus.pci, DEVFN, 4, 6, 2);
    mmio_write(f, PORT(CI), 0);
    finish(f);
    assert_int_equal(mmio_read(f, PORT(CI)), 0);
}

// Random registers, tables and FISes: the emulator stays whole, and the disk answers after a reset.
static void random_driver(void **state)
{
    struct fixture *f = *state;
    u64 x = 88172645463325252;
    start(f, true);
    for (unsigned i = 0; i < 30000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        unsigned slot = x >> 8 & 7;
        switch (x & 7) {
        case 0:
            mmio_write(f, PORT((x >> 16 & 0x7C)), (u32)(x >> 32));
            break;
        case 1:
            mmio_write(f, PORT(CLB), HEADERS);
            mmio_write(f, PORT(CLB + 4), 0);
            mmio_write(f, PORT(CMD), 0x11);
            break;
        case 2:
            put32(f, TABLES + slot * 0x1000 + (x >> 16 & 0xFC), (u32)(x >> 32));
            break;
        case 3:
            put32(f, HEADERS + slot * 32 + (x >> 16 & 0xC), (u32)(x >> 32) & 0x01FFFFFF);
            break;
        default:
            prepare(f, slot, (u8)(x >> 24), x >> 40 & 0xFFF, x >> 52 & 0x7F, 2048);
            mmio_write(f, PORT(SACT), x >> 20 & 1 ? 1u << slot : 0);
            issue(f, 1u << slot);
        }
        fixture_advance(f, x >> 50);
    }
    mmio_write(f, ABAR + GHC, 0x80000001);
    start(f, true);
    command(f, 0x25, 0, 8);
    assert_sectors(f, 0, 0, 8, 4096);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(identity), T(identify), T(read_dma), T(write_dma), T(queued), T(queued_error), T(errors),
        T(bad_tables), T(table_loop), T(resets), T(intx), T(msi_repeats), T(msi_per_port),
        T(read_only_disk), T(byte_counts), T(bus_master),
        T(random_driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
