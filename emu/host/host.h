// SPDX-License-Identifier: MIT
// The door (DESIGN.md, invariant 2): all that comes from or goes to the outside, as narrow vtables.
// Devices see only this header. The posix implementations, the recorder and the player implement
// the same tables.
#ifndef VIV_HOST_HOST_H
#define VIV_HOST_HOST_H

#include "base/status.h"
#include "base/types.h"

// What a serial port is connected to.
struct host_serial_ops {
    void (*write)(void *ctx, const u8 *bytes, size_t size);
    // Takes up to room bytes of input: > 0 bytes; 0 nothing now (ready() will be called at a
    // boundary when there is); < 0 end of file for good: the port drops its carrier (DCD). Input
    // that is no terminal is read synchronously (may block the host, never changes the guest), from
    // the first moment on at which the guest has asked and has nothing else to do.
    long (*read)(void *ctx, u8 *bytes, size_t room);
    void (*set_ready)(void *ctx, void (*ready)(void *dev), void *dev);
};

struct host_serial {
    const struct host_serial_ops *ops; // NULL: nothing connected, no carrier
    void *ctx;
};

// A disk image. Offsets and sizes in bytes, multiples of 512. A failed read or write is a media
// error to the guest.
struct host_block_ops {
    bool (*read)(void *ctx, u64 offset, void *bytes, size_t size);
    bool (*write)(void *ctx, u64 offset, const void *bytes, size_t size);
    bool (*flush)(void *ctx);
};

struct host_block {
    const struct host_block_ops *ops; // NULL: no disk
    void *ctx;
    u64 size_bytes;
    bool read_only;
    const char *serial; // for IDENTIFY
};

// What a person does. A key is named by its scan code of set 2, those behind an E0 prefix as 0xE000
// | code; HOST_KEY_PAUSE has no other name. A held key is one event: the keyboard repeats it.
// HOST_INPUT_POWER: the power button was pressed.
enum host_input_kind { HOST_INPUT_KEY, HOST_INPUT_MOUSE, HOST_INPUT_POWER, HOST_INPUT_KINDS };
#define HOST_KEY_PAUSE 0xE114

struct host_input_event {
    enum host_input_kind kind;
    u16 key;
    bool pressed;
    s16 dx, dy, dz; // right, up, towards the user
    u8 buttons;     // bits: left, right, middle, fourth, fifth; as they are now
};

struct host_input_ops {
    // The next event of a kind. False: there is none now; ready() will be called at a boundary when
    // there is.
    bool (*read)(void *ctx, enum host_input_kind kind, struct host_input_event *event);
    void (*set_ready)(void *ctx, enum host_input_kind kind, void (*ready)(void *dev), void *dev);
};

struct host_input {
    const struct host_input_ops *ops; // NULL: nobody there
    void *ctx;
};

#define HOST_IDLE_FOREVER UINT64_MAX

// The door itself: what the outside wants now, and how idle time passes.
struct host_door_ops {
    // At slice ends: takes the input that has come (through the set_ready hooks). True: the run is
    // to end (a quit key, a signal, the time limit); the door's owner knows why. slice_end: the
    // step is a multiple of the slice, so that what depends on it is reproducible.
    bool (*poll)(void *ctx, bool slice_end);
    // Every CPU is halted at vtime now_ns, the next event is due at deadline_ns (UINT64_MAX: there
    // is none). Returns the vtime at which to go on, now_ns .. deadline_ns: deadline_ns when nobody
    // has to be waited for, earlier when input came or the run is to end. HOST_IDLE_FOREVER: there
    // is no event and no input is possible.
    u64 (*idle)(void *ctx, u64 now_ns, u64 deadline_ns);
};

struct host_door {
    const struct host_door_ops *ops; // NULL: nobody outside; idle time jumps
    void *ctx;
};

// What the outside gives a machine. Constant for its life; a replay takes all of it from the
// recording.
struct host {
    struct host_serial serial[4];
    struct host_block disk[4];
    struct host_input input;
    struct host_door door;
    u64 rtc_base_s; // Unix time at vtime 0
    u64 seed;
};

#endif
