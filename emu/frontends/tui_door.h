// SPDX-License-Identifier: MIT
// The outside of a machine that the terminal debugger shows: the guest's console as a panel, and
// idle time that passes in host time but gives the keyboard back soon.
#ifndef VIV_FRONTENDS_TUI_DOOR_H
#define VIV_FRONTENDS_TUI_DOOR_H

#include "bus/vclock.h"
#include "frontends/tui_vt.h"
#include "host/host.h"

struct tui_door;

// paced: an idle guest sleeps in host time; else idle time jumps as long as an event is due.
struct tui_door *tui_door_create(bool paced);
void tui_door_destroy(struct tui_door *d);

struct host_door tui_door_host(struct tui_door *d);
// The console: what the guest writes is shown, what is typed it reads.
struct host_serial tui_door_console(struct tui_door *d);
// Another line to the same panel, without input (standard error of --exec).
struct host_serial tui_door_output(struct tui_door *d);

// Once the machine exists: what is written is stamped, so that the panel can show the past.
void tui_door_set_clock(struct tui_door *d, const struct vclock *clock);

// The process's own door, asked for the signals and limits that end it.
void tui_door_set_process(struct tui_door *d, const struct host_door *process);
// It wants the end.
bool tui_door_ends(struct tui_door *d);

void tui_door_type(struct tui_door *d, const u8 *bytes, size_t size);

// Until then (host time, posix_monotonic_ns) an idle wait of this slice may last; later the run
// ends.
void tui_door_allow_until(struct tui_door *d, u64 host_ns);
// The last slice ended because the guest waits.
bool tui_door_waits(const struct tui_door *d);

// The terminal as it was at that step (beyond the last output: as it is).
const struct tui_vt *tui_door_screen(struct tui_door *d, u64 step);
// History is cut at that step: what was written later did not happen.
void tui_door_cut(struct tui_door *d, u64 step);

#endif
