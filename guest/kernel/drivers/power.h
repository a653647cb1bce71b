// SPDX-License-Identifier: MIT
// Ending the machine. Callers have synced already (reboot(2) does not).
#pragma once

#include "lib/types.h"

void machine_power_off(void) __noreturn;
void machine_restart(void) __noreturn;
void machine_halt(void) __noreturn;
// Writes to the debug-exit port; returns when there is no such device.
void debug_exit(u32 value);
bool debug_exit_present(void); // known from the device tree, or the built-in description
void power_early_init(void);   // before the driver table: the built-in debug-exit port
