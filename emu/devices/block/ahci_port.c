// SPDX-License-Identifier: MIT
// One AHCI port: its registers, the link, the command list, and the errors that stop it.
#include "devices/block/ahci_internal.h"

enum {
    PX_CLB = 0x00, PX_CLBU = 0x04, PX_FB = 0x08, PX_FBU = 0x0C, PX_IS = 0x10, PX_IE = 0x14,
    PX_CMD = 0x18,
    PX_TFD = 0x20, PX_SIG = 0x24, PX_SSTS = 0x28, PX_SCTL = 0x2C, PX_SERR = 0x30, PX_SACT = 0x34,
    PX_CI = 0x38,
};

enum {
    CMD_SUD = 1 << 1, CMD_POD = 1 << 2, CMD_FR = 1 << 14, CMD_CR = 1 << 15, CMD_CCS_SHIFT = 8,
    CMD_WRITABLE = PXCMD_ST | PXCMD_FRE | 3 << 24,
    SCTL_DET = 0xF, DET_RESET = 1, DET_OFFLINE = 4,
    SSTS_UP = 0x113, // device there, 1.5 Gbit/s, active
    SERR_N = 1 << 16, SERR_X = 1 << 26,
    TFD_NO_DEVICE = 0x7F,
    SIGNATURE_ATA = 0x00000101,
    FIS_H2D = 0x27, CONTROL_SRST = 4,
};
#define IE_WRITABLE UINT32_C(0xFDC000FF)
#define IS_CLEARABLE UINT32_C(0xFD8000AF)

bool ahci_port_has_device(const struct ahci_port *p)
{
    return p->disk->ops && p->disk->size_bytes >= SECTOR_BYTES;
}

static bool link_up(const struct ahci_port *p)
{
    u32 det = p->sctl & SCTL_DET;
    return ahci_port_has_device(p) && det != DET_RESET && det != DET_OFFLINE;
}

static u32 interrupt_status(const struct ahci_port *p)
{
    return p->is | (p->serr & SERR_X ? PXIS_PCS : 0) | (p->serr & SERR_N ? PXIS_PRCS : 0);
}

void ahci_port_set_deadline(struct ahci_port *p)
{
    u64 next = EVENT_NEVER;
    for (unsigned i = 0; i < AHCI_SLOTS; i++) {
        next = p->slot_deadline_ns[i] < next ? p->slot_deadline_ns[i] : next;
    }
    event_set(p->hba->dev->bus->events, p->event, next);
}

static void commands_drop(struct ahci_port *p)
{
    for (unsigned i = 0; i < AHCI_SLOTS; i++) {
        p->slot_deadline_ns[i] = EVENT_NEVER;
    }
    p->issued = 0;
    p->busy_slot = AHCI_NO_SLOT;
    ahci_port_set_deadline(p);
}

// Fatal errors and task file errors alike stop the list; software clears ST to go on (6.2.2).
static void halt(struct ahci_port *p, u32 cause)
{
    commands_drop(p);
    p->halted = true;
    p->is |= cause;
}

// The device's first D2H FIS after a reset, with its signature.
static void signature_send(struct ahci_port *p)
{
    const struct ata_result r = {.status = ATA_READY, .error = 1, .count = 1, .lba = 1};
    p->sig = SIGNATURE_ATA;
    p->signature_waits = !(p->cmd & PXCMD_FRE);
    ahci_fis_d2h(p, &r, false);
}

static void link_reset(struct ahci_port *p)
{
    commands_drop(p);
    p->soft_reset = false;
    p->sig = UINT32_MAX;
    p->tfd = TFD_NO_DEVICE;
    if (link_up(p)) {
        ata_device_reset(p, false);
        p->serr |= SERR_X;
        signature_send(p);
    }
}

void ahci_port_reset(struct ahci_port *p, bool keep_addresses)
{
    if (!keep_addresses) {
        p->clb = p->fb = 0;
    }
    p->is = p->ie = p->cmd = p->sctl = p->serr = p->sact = p->ci = 0;
    p->halted = false;
    p->current_slot = 0;
    link_reset(p);
}

// A FIS with the C bit clear writes the device's control register: only soft reset is in it (SRST,
// ACS-3).
static void control_fis(struct ahci_port *p, unsigned slot, const u8 *fis)
{
    bool reset = fis[15] & CONTROL_SRST;
    p->ci &= ~(u32)BIT(slot);
    p->issued &= ~(u32)BIT(slot);
    if (p->soft_reset && !reset) {
        ata_device_reset(p, false);
        signature_send(p);
    }
    p->soft_reset = reset;
}

static void task_file_error(struct ahci_port *p, const struct ata_result *r)
{
    ahci_fis_d2h(p, r, true);
    halt(p, 0);
}

// Fetches the slot's command and hands it to the device. False: the list cannot go on for now.
static bool slot_issue(struct ahci_port *p, unsigned slot)
{
    struct physmem *mem = p->hba->dev->bus->mem;
    u8 header[16], fis[64] = {0};
    p->current_slot = (u8)slot;
    if (!physmem_read(mem, p->clb + slot * 32, header, sizeof(header))) {
        halt(p, PXIS_HBFS);
        return false;
    }
    unsigned dwords = header[0] & 31;
    u64 table =
        (header[8] & 0x80u) | (u32)header[9] << 8 | (u32)header[10] << 16 | (u64)header[11] << 24;
    table |= (u64)header[12] << 32 | (u64)header[13] << 40 | (u64)header[14] << 48 |
             (u64)header[15] << 56;
    if (dwords < 5 || dwords > 16) {
        halt(p, PXIS_IFS); // no register FIS has that length
        return false;
    }
    if (!physmem_read(mem, table, fis, dwords * 4)) {
        halt(p, PXIS_HBFS);
        return false;
    }
    if (fis[0] != FIS_H2D || (fis[1] & 0x0F)) {
        halt(p, PXIS_IFS); // nobody there understands it: no port multiplier
        return false;
    }
    p->issued |= (u32)BIT(slot);
    if (!(fis[1] & 0x80)) {
        control_fis(p, slot, fis);
        return true;
    }
    switch (ata_command_start(p, slot, fis)) {
    case ATA_START_QUEUED:
        // The device releases the bus at once, which takes the slot off the list; SActive keeps it
        // (5.6.4).
        p->ci &= ~(u32)BIT(slot);
        break;
    case ATA_START_BUSY:
        p->busy_slot = (u8)slot;
        p->tfd = ATA_BSY | ATA_DRDY;
        break;
    case ATA_START_ABORT:
        task_file_error(p, &(struct ata_result){.status = ATA_READY | ATA_ERR, .error = ATA_ABRT});
        return false;
    }
    ahci_port_set_deadline(p);
    return true;
}

static void list_process(struct ahci_port *p)
{
    while ((p->cmd & PXCMD_ST) && link_up(p) && !p->halted && p->busy_slot == AHCI_NO_SLOT &&
           !(p->tfd & (ATA_BSY | ATA_DRQ)) && pci_bus_master_enabled(p->hba->function)) {
        u32 waiting = p->ci & ~p->issued;
        if (!waiting || !slot_issue(p, (unsigned)__builtin_ctz(waiting))) {
            return;
        }
    }
}

static void queued_finish(struct ahci_port *p, unsigned slot, const struct ata_result *r)
{
    if (r->status & ATA_ERR) {
        // All queued commands end; SActive keeps saying which were there (SATA 3, 13.6.5.3).
        ahci_fis_set_device_bits(p, r, 0);
        halt(p, 0);
        return;
    }
    ahci_fis_set_device_bits(p, r, (u32)BIT(slot));
}

static void slot_finish(struct ahci_port *p, unsigned slot)
{
    u8 command = p->slot_command[slot];
    struct ata_result r = {.status = ATA_READY};
    enum ahci_transfer t = ata_command_finish(p, slot, &r);
    p->slot_deadline_ns[slot] = EVENT_NEVER;
    p->current_slot = (u8)slot;
    if (t != TRANSFER_DONE) {
        halt(p, t == TRANSFER_BAD_MEMORY ? PXIS_HBFS : PXIS_OFS);
        return;
    }
    p->issued &= ~(u32)BIT(slot);
    if (ata_command_is_queued(command)) {
        queued_finish(p, slot, &r);
        return;
    }
    p->busy_slot = AHCI_NO_SLOT;
    if (r.status & ATA_ERR) {
        task_file_error(p, &r);
        return;
    }
    p->ci &= ~(u32)BIT(slot);
    if (!ata_command_is_pio_in(command)) {
        ahci_fis_d2h(p, &r, true);
    }
}

void ahci_port_fire(void *ctx, u64 deadline_ns)
{
    struct ahci_port *p = ctx;
    for (unsigned slot = 0; slot < AHCI_SLOTS; slot++) {
        if (p->slot_deadline_ns[slot] <= deadline_ns) {
            slot_finish(p, slot);
        }
    }
    ahci_port_set_deadline(p);
    list_process(p);
    ahci_update(p->hba);
}

u32 ahci_port_read(struct ahci_port *p, unsigned reg)
{
    switch (reg) {
    case PX_CLB:
        return (u32)p->clb;
    case PX_CLBU:
        return (u32)(p->clb >> 32);
    case PX_FB:
        return (u32)p->fb;
    case PX_FBU:
        return (u32)(p->fb >> 32);
    case PX_IS:
        return interrupt_status(p);
    case PX_IE:
        return p->ie;
    case PX_CMD:
        return p->cmd | CMD_SUD | CMD_POD | (u32)p->current_slot << CMD_CCS_SHIFT |
               (p->cmd & PXCMD_FRE ? CMD_FR : 0) | (p->cmd & PXCMD_ST ? CMD_CR : 0);
    case PX_TFD:
        return p->tfd;
    case PX_SIG:
        return p->sig;
    case PX_SSTS:
        return link_up(p) ? SSTS_UP : (p->sctl & SCTL_DET) == DET_OFFLINE ? 4 : 0;
    case PX_SCTL:
        return p->sctl;
    case PX_SERR:
        return p->serr;
    case PX_SACT:
        return p->sact;
    case PX_CI:
        return p->ci;
    default:
        return 0;
    }
}

static void cmd_write(struct ahci_port *p, u32 value)
{
    u32 before = p->cmd;
    p->cmd = value & CMD_WRITABLE;
    if ((value & PXCMD_CLO) && !(before & PXCMD_ST)) {
        p->tfd &= ~(u32)(ATA_BSY | ATA_DRQ);
    }
    if ((before & PXCMD_ST) && !(p->cmd & PXCMD_ST)) {
        // What was under way is lost; a device left busy needs CLO or COMRESET (3.3.7).
        commands_drop(p);
        p->ci = p->sact = 0;
        p->halted = false;
        p->current_slot = 0;
    }
    if (p->signature_waits && (p->cmd & PXCMD_FRE)) {
        signature_send(p);
    }
}

static void sctl_write(struct ahci_port *p, u32 value)
{
    bool was_up = link_up(p);
    u32 before = p->sctl & SCTL_DET;
    p->sctl = value & 0xFFF;
    if (was_up && !link_up(p)) {
        p->serr |= SERR_N;
        // what was on the list is not tried again (10.4.2: ST should be clear)
        p->halted = p->cmd & PXCMD_ST;
        link_reset(p);
    } else if (before != (p->sctl & SCTL_DET)) {
        link_reset(p); // COMRESET ends: the device answers at once
    }
}

void ahci_port_write(struct ahci_port *p, unsigned reg, u32 value)
{
    switch (reg) {
    case PX_CLB:
        p->clb = bits_set(p->clb, 0, 32, value & ~0x3FFu);
        break;
    case PX_CLBU:
        p->clb = bits_set(p->clb, 32, 32, value);
        break;
    case PX_FB:
        p->fb = bits_set(p->fb, 0, 32, value & ~0xFFu);
        break;
    case PX_FBU:
        p->fb = bits_set(p->fb, 32, 32, value);
        break;
    case PX_IS:
        p->is &= ~(value & IS_CLEARABLE);
        break;
    case PX_IE:
        p->ie = value & IE_WRITABLE;
        break;
    case PX_CMD:
        cmd_write(p, value);
        break;
    case PX_SCTL:
        sctl_write(p, value);
        break;
    case PX_SERR:
        p->serr &= ~value;
        break;
    case PX_SACT:
        // Both lists take new entries only while the port runs (3.3.13, 3.3.14).
        p->sact |= p->cmd & PXCMD_ST ? value : 0;
        break;
    case PX_CI:
        p->ci |= p->cmd & PXCMD_ST ? value : 0;
        break;
    }
    list_process(p);
    ahci_update(p->hba);
}
