// SPDX-License-Identifier: MIT
// AHCI 1.3.1 registers and in-memory structures (section numbers of that document), ATA commands
// (ACS-3).
#pragma once

#include "fs/block.h"

// Generic host control (3.1)
#define HOST_CAP 0x00
#define HOST_GHC 0x04
#define HOST_IS 0x08
#define HOST_PI 0x0c
#define CAP_S64A (1u << 31)
#define GHC_IE (1u << 1)
#define GHC_AE (1u << 31)

// Ports (3.3)
#define PORT_BASE(n) (0x100 + 0x80 * (n))
#define PORT_CLB 0x00
#define PORT_CLBU 0x04
#define PORT_FB 0x08
#define PORT_FBU 0x0c
#define PORT_IS 0x10
#define PORT_IE 0x14
#define PORT_CMD 0x18
#define PORT_TFD 0x20
#define PORT_SIG 0x24
#define PORT_SSTS 0x28
#define PORT_SCTL 0x2c
#define PORT_SERR 0x30
#define PORT_CI 0x38
#define CMD_ST (1u << 0)
#define CMD_SUD (1u << 1)
#define CMD_POD (1u << 2)
#define CMD_FRE (1u << 4)
#define CMD_FR (1u << 14)
#define CMD_CR (1u << 15)
#define IS_DHRS (1u << 0)
#define IS_PSS (1u << 1)
#define IS_ERRORS 0x7dc00010u // unknown FIS, overflow, interface, host bus and task file errors
#define TFD_BSY 0x80u
#define TFD_DRQ 0x08u
#define TFD_ERR 0x01u
#define SIG_ATA 0x00000101u

// Command list entry (4.2.2), command table (4.2.3)
struct ahci_header {
    u32 flags; // FIS length in dwords, W at bit 6, PRDT entries from bit 16
    u32 bytes;
    u64 table;
    u32 reserved[4];
};
struct ahci_prd {
    u64 address;
    u32 reserved;
    u32 last_byte; // count - 1
};
#define PRDT_MAX 248
struct ahci_table {
    u8 fis[64], atapi[16], reserved[48];
    struct ahci_prd prdt[PRDT_MAX];
};

#define FIS_HOST_TO_DEVICE 0x27
#define ATA_READ_DMA 0xc8
#define ATA_WRITE_DMA 0xca
#define ATA_READ_DMA_EXT 0x25
#define ATA_WRITE_DMA_EXT 0x35
#define ATA_WRITE_DMA_FUA_EXT 0x3d
#define ATA_FLUSH 0xe7
#define ATA_FLUSH_EXT 0xea
#define ATA_IDENTIFY 0xec

// A bio goes through these; those that it does not need are skipped.
enum ahci_phase { PHASE_PREFLUSH, PHASE_DATA, PHASE_POSTFLUSH, PHASE_DONE };

struct ahci_port {
    volatile u8 *regs;
    unsigned number;
    struct ahci_header *headers; // 32, then the received-FIS area in the same page
    struct ahci_table *table;    // of slot 0: one command at a time
    struct gendisk disk;
    spinlock_t lock; // all below; taken with interrupts off
    struct list_head queue;
    struct bio *active;
    enum ahci_phase phase;
    unsigned tries;
    bool stuck; // waits for recovery
    struct hrtimer timeout;
    struct work_struct recovery;
    bool lba48, has_flush, has_fua;
};
