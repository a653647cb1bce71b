// SPDX-License-Identifier: MIT
// Field numbers are those of the published protocol definitions.
#include "trace/perfetto_packets.h"

#define SEQUENCE 1u // any number but 0: all packets are one writer's

enum { TRACE_PACKET = 1 };
enum {
    PACKET_TIMESTAMP = 8,
    PACKET_SEQUENCE = 10,
    PACKET_TRACK_EVENT = 11,
    PACKET_SEQUENCE_FLAGS = 13,
    PACKET_TRACK_DESCRIPTOR = 60
};
enum { FLAG_STATE_CLEARED = 1 };
enum {
    TRACK_UUID = 1,
    TRACK_NAME = 2,
    TRACK_PROCESS = 3,
    TRACK_THREAD = 4,
    TRACK_PARENT = 5,
    TRACK_COUNTER = 8
};
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { THREAD_PID = 1, THREAD_TID = 2, THREAD_NAME = 5 };
enum {
    EVENT_ANNOTATION = 4,
    EVENT_TYPE = 9,
    EVENT_TRACK = 11,
    EVENT_CATEGORY = 22,
    EVENT_NAME = 23,
    EVENT_COUNTER_VALUE = 30,
    EVENT_FLOW = 47,
    EVENT_FLOW_END = 48
};
enum { ANNOTATION_INT = 4, ANNOTATION_TEXT = 6, ANNOTATION_POINTER = 7, ANNOTATION_NAME = 10 };

void perfetto_free(struct perfetto *p)
{
    proto_free(&p->packet);
    proto_free(&p->event);
    proto_free(&p->part);
}

// Wraps the packet at hand and writes it.
static void write_packet(struct perfetto *p)
{
    proto_varint(&p->packet, PACKET_SEQUENCE, SEQUENCE);
    if (!p->begun) {
        proto_varint(&p->packet, PACKET_SEQUENCE_FLAGS, FLAG_STATE_CLEARED);
        p->begun = true;
    }
    proto_clear(&p->part);
    proto_message(&p->part, TRACE_PACKET, &p->packet);
    fwrite(p->part.bytes, 1, p->part.used, p->out);
    proto_clear(&p->packet);
    proto_clear(&p->event);
}

static void write_descriptor(struct perfetto *p)
{
    proto_message(&p->packet, PACKET_TRACK_DESCRIPTOR, &p->event);
    write_packet(p);
}

void perfetto_process(struct perfetto *p, u64 uuid, int pid, const char *name)
{
    proto_clear(&p->part);
    proto_varint(&p->part, PROCESS_PID, (u64)pid);
    proto_text(&p->part, PROCESS_NAME, name);
    proto_varint(&p->event, TRACK_UUID, uuid);
    proto_message(&p->event, TRACK_PROCESS, &p->part);
    write_descriptor(p);
}

void perfetto_thread(struct perfetto *p, u64 uuid, u64 parent, int pid, int tid, const char *name)
{
    proto_clear(&p->part);
    proto_varint(&p->part, THREAD_PID, (u64)pid);
    proto_varint(&p->part, THREAD_TID, (u64)tid);
    proto_text(&p->part, THREAD_NAME, name);
    proto_varint(&p->event, TRACK_UUID, uuid);
    proto_varint(&p->event, TRACK_PARENT, parent);
    proto_message(&p->event, TRACK_THREAD, &p->part);
    write_descriptor(p);
}

void perfetto_track(struct perfetto *p, u64 uuid, const char *name)
{
    proto_varint(&p->event, TRACK_UUID, uuid);
    proto_text(&p->event, TRACK_NAME, name);
    write_descriptor(p);
}

void perfetto_counter_track(struct perfetto *p, u64 uuid, const char *name)
{
    proto_clear(&p->part);
    proto_varint(&p->event, TRACK_UUID, uuid);
    proto_text(&p->event, TRACK_NAME, name);
    proto_message(&p->event, TRACK_COUNTER, &p->part); // empty: only that it is one
    write_descriptor(p);
}

void perfetto_event_begin(struct perfetto *p, enum perfetto_type type, u64 track, u64 step,
                          const char *category, const char *name)
{
    proto_clear(&p->event);
    proto_varint(&p->event, EVENT_TYPE, type);
    proto_varint(&p->event, EVENT_TRACK, track);
    if (category) {
        proto_text(&p->event, EVENT_CATEGORY, category);
    }
    if (name) {
        proto_text(&p->event, EVENT_NAME, name);
    }
    perfetto_annotate_number(p, "step", (s64)step);
}

static void annotate(struct perfetto *p, const char *name)
{
    proto_text(&p->part, ANNOTATION_NAME, name);
    proto_message(&p->event, EVENT_ANNOTATION, &p->part);
}

void perfetto_annotate_text(struct perfetto *p, const char *name, const char *value)
{
    proto_clear(&p->part);
    proto_text(&p->part, ANNOTATION_TEXT, value);
    annotate(p, name);
}

void perfetto_annotate_number(struct perfetto *p, const char *name, s64 value)
{
    proto_clear(&p->part);
    proto_varint(&p->part, ANNOTATION_INT, (u64)value);
    annotate(p, name);
}

void perfetto_annotate_address(struct perfetto *p, const char *name, u64 value)
{
    proto_clear(&p->part);
    proto_varint(&p->part, ANNOTATION_POINTER, value);
    annotate(p, name);
}

void perfetto_flow(struct perfetto *p, u64 id, bool ends)
{
    proto_fixed64(&p->event, ends ? EVENT_FLOW_END : EVENT_FLOW, id);
}

void perfetto_counter_value(struct perfetto *p, s64 value)
{
    proto_varint(&p->event, EVENT_COUNTER_VALUE, (u64)value);
}

void perfetto_event_end(struct perfetto *p, u64 vtime_ns)
{
    proto_varint(&p->packet, PACKET_TIMESTAMP, vtime_ns);
    proto_message(&p->packet, PACKET_TRACK_EVENT, &p->event);
    write_packet(p);
}
