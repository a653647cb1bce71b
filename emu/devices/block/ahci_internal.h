// SPDX-License-Identifier: MIT
// AHCI: the HBA's and its ports' state, and what ahci.c, ahci_port.c and ata_commands.c call of
// each other. Section numbers are those of the AHCI specification 1.3.1.
#ifndef VIV_DEVICES_BLOCK_AHCI_INTERNAL_H
#define VIV_DEVICES_BLOCK_AHCI_INTERNAL_H

#include "devices/device.h"

#define AHCI_PORTS 4
#define AHCI_SLOTS 32
#define AHCI_NO_SLOT 0xFF
#define AHCI_BUFFER_BYTES 65536
#define SECTOR_BYTES 512

// Port interrupt status bits (3.3.5).
enum {
    PXIS_DHRS = 1 << 0, PXIS_PSS = 1 << 1, PXIS_DSS = 1 << 2, PXIS_SDBS = 1 << 3, PXIS_DPS = 1 << 5,
    PXIS_PCS = 1 << 6, PXIS_PRCS = 1 << 22, PXIS_OFS = 1 << 24, PXIS_IFS = 1 << 27,
    PXIS_HBFS = 1 << 29,
    PXIS_TFES = 1 << 30,
};

enum { PXCMD_ST = 1 << 0, PXCMD_CLO = 1 << 3, PXCMD_FRE = 1 << 4 };

// ATA status and error registers (ACS-3, 6).
enum {
    ATA_BSY = 0x80, ATA_DRDY = 0x40, ATA_DSC = 0x10, ATA_DRQ = 0x08, ATA_ERR = 0x01,
    ATA_READY = ATA_DRDY | ATA_DSC,
    ATA_UNC = 0x40, ATA_IDNF = 0x10, ATA_ABRT = 0x04,
};

struct ahci_port {
    // HBA side.
    u64 clb, fb;
    u32 is, ie, cmd, tfd, sig, sctl, serr, sact, ci;
    u32 issued;            // slots handed to the device and not yet complete
    u8 halted;             // an error stopped the command list until ST is cleared
    u8 busy_slot;          // of the non-queued command in execution, AHCI_NO_SLOT if none
    u8 current_slot;       // PxCMD.CCS
    u8 signature_waits;    // the device's first FIS waits for FRE
    u8 soft_reset;         // SRST is set in the device's control register
    // The command in each slot that is issued.
    u8 slot_command[AHCI_SLOTS];
    u8 slot_features[AHCI_SLOTS];
    u64 slot_lba[AHCI_SLOTS];
    u32 slot_sectors[AHCI_SLOTS];
    u64 slot_deadline_ns[AHCI_SLOTS];
    // Device side.
    u8 write_cache, look_ahead, standby, multiple, udma_mode;
    u8 ncq_failed;         // a queued command failed: only the log may be read
    u8 ncq_tag, ncq_error;
    u64 ncq_lba;
    u32 ncq_sectors;
    u64 deadline_ns;       // the earliest of the slots'
    // Wiring.
    struct ahci *hba;
    const struct host_block *disk;
    unsigned index;
    unsigned event;
};

struct ahci {
    struct ahci_port port[AHCI_PORTS];
    u32 ghc, is;
    u8 level; // of the interrupt
    // Wiring.
    struct device *dev;
    struct pci_function *function;
    u8 *buffer; // AHCI_BUFFER_BYTES, for the transfer of the moment
};

// How a command ended, for the FIS that says so.
struct ata_result {
    u8 status, error;
    u8 count; // returned in the sector count register
    u64 lba;  // returned in the LBA registers
};

// ahci.c
// interrupt registers and the line, after a port's PxIS or PxIE changed
void ahci_update(struct ahci *a);

// ahci_port.c
u32 ahci_port_read(struct ahci_port *p, unsigned reg);
void ahci_port_write(struct ahci_port *p, unsigned reg, u32 value);
void ahci_port_reset(struct ahci_port *p, bool keep_addresses); // as by HBA reset
void ahci_port_fire(void *ctx, u64 deadline_ns);
bool ahci_port_has_device(const struct ahci_port *p);
void ahci_port_set_deadline(struct ahci_port *p); // from the slots'

// ahci_transfer.c
// A walk through a slot's PRD table.
struct ahci_prdt {
    u64 next_entry; // guest address
    u32 entries_left;
    u64 address;
    u32 bytes_left; // of the entry at hand
    bool interrupt; // the entry at hand asks for DPS
};
enum ahci_transfer { TRANSFER_DONE, TRANSFER_BAD_MEMORY, TRANSFER_TOO_LONG };
enum ahci_transfer ahci_prdt_start(const struct ahci_port *p, unsigned slot, struct ahci_prdt *w);
// Moves bytes from (to_memory) or into buffer.
enum ahci_transfer ahci_prdt_move(struct ahci_port *p, struct ahci_prdt *w, void *buffer, u32 bytes,
                                  bool to_memory);
// Notes the bytes moved in the command header (PRDBC).
void ahci_prdt_count(const struct ahci_port *p, unsigned slot, u32 bytes);
// Received FIS area (4.2.1). All of them do nothing while FRE is off.
void ahci_fis_d2h(struct ahci_port *p, const struct ata_result *r, bool interrupt);
void ahci_fis_pio_setup(struct ahci_port *p, const struct ata_result *r, u32 bytes, bool to_memory);
void ahci_fis_dma_setup(struct ahci_port *p, unsigned tag, u32 bytes, bool to_memory);
void ahci_fis_set_device_bits(struct ahci_port *p, const struct ata_result *r, u32 completed);

// ata_commands.c
enum ata_start { ATA_START_QUEUED, ATA_START_BUSY, ATA_START_ABORT };
// Takes the command FIS: fills the slot's fields, deadline included. ABORT: the device refuses the
// command at once.
enum ata_start ata_command_start(struct ahci_port *p, unsigned slot, const u8 fis[20]);
// Whether the slot's command answers with a PIO setup FIS instead of a D2H register FIS.
bool ata_command_is_pio_in(u8 command);
bool ata_command_is_queued(u8 command);
// Executes the slot's command: the data moves now.
enum ahci_transfer ata_command_finish(struct ahci_port *p, unsigned slot, struct ata_result *r);
void ata_device_reset(struct ahci_port *p, bool power_on);

#endif
