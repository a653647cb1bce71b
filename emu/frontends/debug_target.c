// SPDX-License-Identifier: MIT
// From a session to a target.
#include "frontends/debug_target.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// FILE, or FILE@BIAS where the file is loaded elsewhere than it was linked for.
static void add_symbols(struct symbols *symbols, const char *text)
{
    char *path = xasprintf("%s", text), *at = strrchr(path, '@');
    u64 bias = 0;
    if (at) {
        *at = '\0';
        bias = strtoull(at + 1, NULL, 0);
    }
    struct status s = symbols_add(symbols, path, bias, false);
    if (!status_ok(&s)) {
        fprintf(stderr, "viv: --symbols: %s\n", s.text);
    }
    free(path);
}

void debug_target_open(struct debug_target *d, struct session *s, const struct run_options *o,
                       bool (*cancel)(void *ctx), void *ctx)
{
    d->timeline = session_timeline(s, TIMELINE_MEMORY_DEFAULT);
    d->symbols = symbols_create();
    symbols_add(d->symbols, s->boot.kernel_path, 0, true);
    for (unsigned i = 0; i < o->symbol_count; i++) {
        add_symbols(d->symbols, o->symbols[i]);
    }
    struct target_config config = {
        .timeline = d->timeline, .symbols = d->symbols, .cancel = cancel, .ctx = ctx};
    d->target = target_create(&config);
}

void debug_target_close(struct debug_target *d)
{
    target_destroy(d->target);
    symbols_destroy(d->symbols);
    timeline_destroy(d->timeline);
}
