// SPDX-License-Identifier: MIT
// The power button of ACPI's fixed hardware (ACPI 6.4, 4.8.2 and 4.8.3.1), found by the FADT. There
// is no daemon here that would decide: init is told at once to switch off, by the signal that
// busybox's poweroff sends it.
#include "abi/signal.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/io.h"
#include "drivers/acpi.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "proc/proc_internal.h"
#include "sched/kthread.h"

#define FADT_SCI_INT 46
#define FADT_SMI_CMD 48
#define FADT_ACPI_ENABLE 52
#define FADT_PM1A_EVT 56
#define FADT_PM1A_CNT 64
#define FADT_PM1_EVT_LEN 88
#define FADT_FLAGS 112
#define FLAG_PWR_BUTTON (1u << 4) // the button is no fixed hardware
#define PWRBTN (1u << 8)          // in the status and the enable register
#define CONTROL_SCI_EN 1u

static u16 status_port;

static void press(struct work_struct *w)
{
    (void)w;
    struct pid *init = find_get_pid(1);
    if (init) {
        kill_pid(init, SIGUSR2, 1);
        put_pid(init);
    }
}
static struct work_struct press_work = {.entry = LIST_HEAD_INIT(press_work.entry), .func = press};

static void sci_handler(unsigned irq, void *data)
{
    (void)irq, (void)data;
    if (inw(status_port) & PWRBTN) {
        outw(status_port, PWRBTN);
        schedule_work(&press_work);
    }
}

static u32 fadt_get(const u8 *fadt, unsigned offset, unsigned size)
{
    u32 value = 0;
    memcpy(&value, fadt + offset, size);
    return value;
}

void power_button_init(void)
{
    u32 length;
    const u8 *fadt = acpi_table("FACP", &length);
    if (!fadt || length < FADT_FLAGS + 4 || (fadt_get(fadt, FADT_FLAGS, 4) & FLAG_PWR_BUTTON))
        return;
    u16 control_port = (u16)fadt_get(fadt, FADT_PM1A_CNT, 4);
    u32 half = fadt_get(fadt, FADT_PM1_EVT_LEN, 1) / 2;
    status_port = (u16)fadt_get(fadt, FADT_PM1A_EVT, 4);
    if (!status_port || !control_port || half < 2)
        return;
    u32 smi_port = fadt_get(fadt, FADT_SMI_CMD, 4);
    if (smi_port && !(inw(control_port) & CONTROL_SCI_EN))
        outb((u16)smi_port, (u8)fadt_get(fadt, FADT_ACPI_ENABLE, 1));
    int err = irq_request(fadt_get(fadt, FADT_SCI_INT, 2), sci_handler, NULL, "acpi", true);
    if (err) {
        pr_warn("power button: no interrupt, error %d", err);
        return;
    }
    outw(status_port, PWRBTN);
    outw((u16)(status_port + half), PWRBTN);
}
