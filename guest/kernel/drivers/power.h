// SPDX-License-Identifier: MIT
// Ending the machine. Callers have synced already (reboot(2) does not).
#pragma once

#include "lib/types.h"

void machine_power_off(void) __noreturn;
void machine_restart(void) __noreturn;
void machine_halt(void) __noreturn;
// Writes to the debug-exit port; returns when there is no such device.
void debug_exit(u32 value);
// Ctrl-Alt-Del: restarts, or where reboot(2) turned that off, tells init by SIGINT. Task context.
void ctrl_alt_del(void);
// What a letter at /proc/sysrq-trigger or behind Alt-SysRq does; unknown ones are listed. 0 or
// -EINVAL. Task context.
int sysrq_command(char letter);
bool debug_exit_present(void); // known from the device tree, or the built-in description
void power_early_init(void);   // before the driver table: the built-in debug-exit port
