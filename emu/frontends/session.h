// SPDX-License-Identifier: MIT
// A machine with everything the command line asked for around it: files, disks, the door.
#ifndef VIV_FRONTENDS_SESSION_H
#define VIV_FRONTENDS_SESSION_H

#include "frontends/options.h"
#include "machine/machine.h"

struct session {
    struct machine *machine;
    struct posix_door *door;
    struct posix_block *disks[DISKS_MAX];
};

// Builds and loads the machine. On an error nothing is left behind but what session_close()
// releases.
struct status session_open(struct session *s, const struct run_options *o);

// After the guest's reset: reads the same files again and boots them, with empty memory, the same
// disks, and time going on.
struct status session_reboot(struct session *s, const struct run_options *o);

// Ends the machine, writes what is buffered, restores the terminal.
void session_close(struct session *s);

#endif
