// SPDX-License-Identifier: MIT
// Perfetto's packets (protos/perfetto/trace/trace_packet.proto): descriptors of tracks, and events.
#ifndef VIV_TRACE_PERFETTO_PACKETS_H
#define VIV_TRACE_PERFETTO_PACKETS_H

#include "trace/proto_writer.h"

#include <stdio.h>

struct perfetto {
    FILE *out;
    struct proto packet, event, part;
    bool begun;
};

void perfetto_free(struct perfetto *p);

// A process's, a thread's, or a plain track; parent 0: none.
void perfetto_process(struct perfetto *p, u64 uuid, int pid, const char *name);
void perfetto_thread(struct perfetto *p, u64 uuid, u64 parent, int pid, int tid, const char *name);
void perfetto_track(struct perfetto *p, u64 uuid, const char *name);
void perfetto_counter_track(struct perfetto *p, u64 uuid, const char *name);

enum perfetto_type {
    PERFETTO_BEGIN = 1,
    PERFETTO_END = 2,
    PERFETTO_INSTANT = 3,
    PERFETTO_COUNTER = 4
};

// An event: begin, any number of annotations and flows, end. Every event carries its step.
void perfetto_event_begin(struct perfetto *p, enum perfetto_type type, u64 track, u64 step,
                          const char *category, const char *name); // NULL: none
void perfetto_annotate_text(struct perfetto *p, const char *name, const char *value);
void perfetto_annotate_number(struct perfetto *p, const char *name, s64 value);
void perfetto_annotate_address(struct perfetto *p, const char *name, u64 value);
void perfetto_flow(struct perfetto *p, u64 id, bool ends);
void perfetto_counter_value(struct perfetto *p, s64 value);
void perfetto_event_end(struct perfetto *p, u64 vtime_ns);

#endif
