// SPDX-License-Identifier: MIT
// What the packet handlers share.
#ifndef VIV_GDBSTUB_SERVER_INTERNAL_H
#define VIV_GDBSTUB_SERVER_INTERNAL_H

#include "gdbstub/packet.h"
#include "gdbstub/server.h"
#include "gdbstub/threads.h"

#define GDB_POINTS_MAX 1024   // breakpoints and watchpoints of one gdb
#define GDB_SYSCALLS_MAX 1024 // numbers of one QCatchSyscalls
#define GDB_PID 1             // the process that all threads belong to

// Errno values as gdb prints them in "E NN".
enum gdb_error {
    GDB_ERROR_UNKNOWN_THREAD = 0x03, // ESRCH
    GDB_ERROR_FAULT = 0x14,          // as TIME_TRAVEL.md wants it
    GDB_ERROR_INVALID = 0x16,        // EINVAL
    GDB_ERROR_FULL = 0x1c,           // ENOSPC
    GDB_ERROR_READ_ONLY = 0x1e,      // EROFS
};

// A breakpoint or watchpoint of gdb's: its Z packet and the target's number for it.
struct gdb_point {
    u64 type, address, length;
    int number;
};

struct gdb_server {
    struct target *target;
    struct gdb_link link;
    struct packet_parser parser;
    u8 input[4096]; // bytes read but not parsed: input[input_at .. input_end)
    size_t input_at, input_end;
    u8 frame[GDB_FRAME_MAX]; // the last one sent
    u32 frame_size;
    u8 reply[GDB_PACKET_MAX];
    u32 reply_size;
    bool no_reply; // the handler answered by itself, or the packet wants no answer
    bool no_ack, multiprocess, swbreak, extended;
    bool gone, outside, finished;
    bool killed, exited;      // gdb thinks of the guest as gone; in extended mode it may run again
    enum gdb_outcome outcome; // once finished
    // While the guest runs or a command works:
    bool busy, interrupted;
    bool waiting;         // the parser holds a packet that came meanwhile
    s64 general, resumed; // threads of Hg, Hc
    unsigned cpu;         // of the last stop
    // The thread that gdb steps. A step may end in another task: gdb would take that for the end of
    // "stepi 1000", so that until something else stops the guest this one stands for the CPU.
    s64 stepping; // of the resumption in progress; 0: none
    s64 follow;   // of the last stop; 0: none
    s64 ran;      // the task that ran then
    s64 reported; // gdb's name for it
    struct gdb_point points[GDB_POINTS_MAX];
    unsigned point_count;
    int catches[GDB_SYSCALLS_MAX]; // the target's numbers for QCatchSyscalls
    unsigned catch_count;
    bool own_steps; // s, S and bs keep to the ring: "monitor steps task"
    bool physical;  // addresses of memory packets
    bool told_end;  // the guest's end was reported as the end of history, at end_step
    u64 end_step;
    bool told_signals;     // that signals cannot be delivered
    unsigned threads_told; // by qfThreadInfo and qsThreadInfo
    char *notes;           // for gdb's console, sent when it may be
    char *xml, *threads_xml;
};

// What is left of the packet that is being handled. The payload has a zero byte behind it.
struct packet_args {
    const u8 *at, *end;
};

// Reading arguments; false or NULL leaves the packet malformed.
bool packet_end(const struct packet_args *a);
bool packet_skip(struct packet_args *a, char c); // takes c if it is next
bool packet_hex(struct packet_args *a, u64 *value);
bool packet_address_length(struct packet_args *a, u64 *address, u64 *length); // "addr,length"
bool packet_thread(struct packet_args *a, s64 *tid);
// Hexadecimal byte pairs, at most room; false if they are none or more.
bool packet_bytes(struct packet_args *a, u8 *out, size_t room, size_t *size);
bool packet_word(struct packet_args *a, const char *word); // takes word if it is next

// Building the reply; what does not fit is dropped.
void reply_text(struct gdb_server *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void reply_hex(struct gdb_server *s, const void *bytes, size_t size);
void reply_raw(struct gdb_server *s, const void *bytes, size_t size);
void reply_error(struct gdb_server *s, enum gdb_error error);
void reply_ok(struct gdb_server *s);
void reply_thread(struct gdb_server *s, s64 tid);
// Sends the reply as built so far and begins a new one.
void reply_send(struct gdb_server *s);

// A line for the person at gdb; shown with the next stop or command.
void server_note(struct gdb_server *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void server_send_notes(struct gdb_server *s);
void server_send_console(struct gdb_server *s, const char *text, size_t size); // O packets
void server_finish(struct gdb_server *s, enum gdb_outcome outcome);
// To be called before the guest's state is written: says when that makes a branch.
void server_before_write(struct gdb_server *s);
// As thread_find() and thread_list(), with the thread that follows the CPU.
bool server_find(struct gdb_server *s, s64 tid, struct gdb_thread *out);
unsigned server_list(struct gdb_server *s, struct gdb_thread **out);
// The thread that Hg chose, else what the stopped CPU runs. False: it is no more; replied.
bool server_thread(struct gdb_server *s, struct gdb_thread *out);

// Z packets' points.
void gdb_points_clear(struct gdb_server *s);
const struct gdb_point *gdb_points_find(const struct gdb_server *s, int number);

// The answer to '?' and every resumption (gdb manual, E.3 "Stop Reply Packets").
void stop_reply(struct gdb_server *s, const struct target_stop *stop);
// The answer to a resumption that ended in stop: with what the person has to be told before it, and
// the guest's end where gdb knows of it already.
void resumed_reply(struct gdb_server *s, const struct target_stop *stop);
// The stop's signal, as gdb numbers them.
unsigned stop_signal(const struct gdb_server *s, const struct target_stop *stop);

// packets.def.
#define PACKET(name, handler, help) void handler(struct gdb_server *s, struct packet_args *a);
#include "gdbstub/packets.def"
#undef PACKET

#endif
