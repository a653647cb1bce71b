// SPDX-License-Identifier: MIT
// Shared by the files that make a session.
#ifndef VIV_FRONTENDS_SESSION_INTERNAL_H
#define VIV_FRONTENDS_SESSION_INTERNAL_H

#include "frontends/session.h"

// Fills s->boot and s->recording (all but the images' hashes) from the command line, and opens the
// disks into host. Disks of a session with a log are never written.
struct status session_plan(struct session *s, const struct run_options *o, struct host *host);
// The same from s->reader's recording: images are found and compared.
struct status session_plan_replay(struct session *s, struct host *host);

// Opens disk n of the host.
struct status session_open_disk(struct session *s, struct host *host, unsigned n, const char *path,
                                enum posix_block_mode mode);

#endif
