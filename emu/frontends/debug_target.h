// SPDX-License-Identifier: MIT
// A session's machine under the debugger: timeline, symbols of its kernel, target.
#ifndef VIV_FRONTENDS_DEBUG_TARGET_H
#define VIV_FRONTENDS_DEBUG_TARGET_H

#include "debugger/target.h"
#include "frontends/session.h"

struct debug_target {
    struct timeline *timeline;
    struct symbols *symbols;
    struct target *target;
};

// The session needs a log of its inputs (options.h: log_inputs). A kernel without symbols is no
// error. cancel: target_config's.
void debug_target_open(struct debug_target *d, struct session *s, const struct run_options *o,
                       bool (*cancel)(void *ctx), void *ctx);
// Before session_close().
void debug_target_close(struct debug_target *d);

#endif
