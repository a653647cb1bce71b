// SPDX-License-Identifier: MIT
// Debug-exit port, ACPI PM1a power-off, reset.
#include "drivers/power.h"

#include "abi/errno.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/irqflags.h"
#include "arch/x86_64/paging.h"
#include "drivers/acpi.h"
#include "drivers/driver.h"
#include "init/init.h"
#include "lib/printk.h"
#include "sched/timer.h"

#define SLP_EN (1u << 13)
#define GOING_NS 2000000000ul // until a machine that was told to has gone
#define KBD_COMMAND 0x64
#define KBD_PULSE_RESET 0xfe
#define PORT_RESET 0xcf9

static u16 exit_port;
static bool exit_port_known;
static u16 pm1a_port;
static u16 pm1a_sleep_type;

void debug_exit(u32 value)
{
    if (exit_port)
        outl(exit_port, value);
}

bool debug_exit_present(void)
{
    return exit_port_known;
}

static void stop(void) __noreturn;
static void stop(void)
{
    for (;;) {
        local_irq_disable();
        __asm__ volatile("hlt");
    }
}

void machine_power_off(void)
{
    pr_info("power off");
    struct acpi_sleep s;
    if (!pm1a_port && acpi_s5(&s)) {
        pm1a_port = s.pm1a_port;
        pm1a_sleep_type = s.sleep_type;
    }
    if (pm1a_port) {
        outw(pm1a_port, (u16)(pm1a_sleep_type << 10 | SLP_EN));
        ndelay_busy(GOING_NS);
    }
    pr_err("power off: the machine did not go");
    stop();
}

void machine_restart(void)
{
    outb(PORT_RESET, 0x06); // ICH9 reset control: full reset
    ndelay_busy(1000000);
    outb(KBD_COMMAND, KBD_PULSE_RESET);
    ndelay_busy(1000000);
    // Neither is there: an exception without an IDT shuts the CPU down, and a PC resets on that.
    struct {
        u16 limit;
        u64 base;
    } __packed none = {0, 0};
    __asm__ volatile("cli\n lidt %0\n int3" ::"m"(none));
    stop();
}

void machine_halt(void)
{
    pr_info("halted");
    stop();
}

static int debug_exit_probe(const struct platform_node *node)
{
    exit_port = node->port;
    exit_port_known = true;
    return 0;
}

static int acpi_power_probe(const struct platform_node *node)
{
    pm1a_port = node->port;
    return 0;
}

const struct driver debug_exit_driver = {
    .name = "debug-exit", .compatible = "isa-debug-exit", .probe = debug_exit_probe};
const struct driver acpi_power_driver = {
    .name = "acpi-power", .compatible = "acpi-pm1a", .probe = acpi_power_probe};

// The panic path may come before the driver table: the port of the built-in description.
void power_early_init(void)
{
    exit_port = 0xf4;
}
