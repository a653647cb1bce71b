// SPDX-License-Identifier: MIT
// Registers, memory and threads: g G p P m M x X H T.
#include "gdbstub/server_internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define READ_MAX (GDB_PACKET_MAX / 2)

static bool read_file(struct gdb_server *s, struct gdb_thread *thread, struct register_file *file)
{
    if (!server_thread(s, thread)) {
        return false;
    }
    if (!thread_registers(s->target, thread, file)) {
        reply_error(s, GDB_ERROR_FAULT);
        return false;
    }
    return true;
}

static void reply_register(struct gdb_server *s, const struct register_file *file, unsigned number)
{
    u8 bytes[REGISTER_BYTES_MAX];
    unsigned size = registers_get(file, number, bytes);
    if (registers_known(file, number)) {
        reply_hex(s, bytes, size);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        reply_text(s, "xx");
    }
}

void packet_read_registers(struct gdb_server *s, struct packet_args *a)
{
    struct gdb_thread thread;
    struct register_file file;
    if (!read_file(s, &thread, &file)) {
        return;
    }
    for (unsigned i = 0; i < registers_count(); i++) {
        reply_register(s, &file, i);
    }
}

void packet_read_register(struct gdb_server *s, struct packet_args *a)
{
    struct gdb_thread thread;
    struct register_file file;
    u64 number;
    if (!packet_hex(a, &number) || !packet_end(a) || number >= registers_count()) {
        reply_error(s, GDB_ERROR_INVALID);
    } else if (read_file(s, &thread, &file)) {
        reply_register(s, &file, (unsigned)number);
    }
}

static void write_file(struct gdb_server *s, const struct gdb_thread *thread,
                       const struct register_file *before, const struct register_file *after)
{
    bool fpu = memcmp(before->fxsave, after->fxsave, sizeof(after->fxsave)) != 0;
    bool cpu = memcmp(&before->regs, &after->regs, sizeof(after->regs)) != 0;
    if (fpu || cpu) { // else nothing changes, and no branch is made
        server_before_write(s);
    }
    if (cpu) {
        target_set_regs(s->target, thread->cpu, &after->regs);
    }
    if (fpu) {
        target_set_fpu(s->target, thread->cpu, after->fxsave);
    }
    reply_ok(s);
}

void packet_write_register(struct gdb_server *s, struct packet_args *a)
{
    struct gdb_thread thread;
    struct register_file file;
    u8 bytes[REGISTER_BYTES_MAX] = {0};
    u64 number;
    size_t size;
    if (!packet_hex(a, &number) || !packet_skip(a, '=') || number >= registers_count() ||
        !packet_bytes(a, bytes, sizeof(bytes), &size) ||
        size != registers_row((unsigned)number)->bits / 8) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    if (!read_file(s, &thread, &file)) {
        return;
    }
    struct register_file before = file;
    if (!thread.runs || !registers_set(&file, (unsigned)number, bytes)) {
        reply_error(s, GDB_ERROR_READ_ONLY);
        return;
    }
    write_file(s, &thread, &before, &file);
}

void packet_write_registers(struct gdb_server *s, struct packet_args *a)
{
    struct gdb_thread thread;
    struct register_file file;
    if (!read_file(s, &thread, &file)) {
        return;
    }
    struct register_file before = file;
    for (unsigned i = 0; i < registers_count() && !packet_end(a); i++) {
        u8 bytes[REGISTER_BYTES_MAX] = {0};
        size_t wanted = registers_row(i)->bits / 8, size;
        struct packet_args one = {a->at, a->at + 2 * wanted};
        if ((size_t)(a->end - a->at) < 2 * wanted || !packet_bytes(&one, bytes, wanted, &size)) {
            reply_error(s, GDB_ERROR_INVALID);
            return;
        }
        a->at = one.end;
        registers_set(&file, i, bytes); // the read-only ones keep their value
    }
    if (!thread.runs) {
        reply_error(s, GDB_ERROR_READ_ONLY);
        return;
    }
    write_file(s, &thread, &before, &file);
}

void packet_qemu_supported(struct gdb_server *s, struct packet_args *a)
{
    reply_text(s, "PhyMemMode");
}

void packet_physical_query(struct gdb_server *s, struct packet_args *a)
{
    reply_text(s, s->physical ? "1" : "0");
}

void packet_physical_set(struct gdb_server *s, struct packet_args *a)
{
    u64 mode;
    if (!packet_skip(a, ':') || !packet_hex(a, &mode) || mode > 1 || !packet_end(a)) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    s->physical = mode;
    reply_ok(s);
}

static u64 read_bytes(struct gdb_server *s, const struct gdb_thread *thread, u64 address, u8 *out,
                      u64 size)
{
    return s->physical ? target_read_physical(s->target, address, out, size)
                       : thread_read(s->target, thread, address, out, size);
}

static u64 write_bytes(struct gdb_server *s, const struct gdb_thread *thread, u64 address,
                       const u8 *in, u64 size)
{
    return s->physical ? target_write_physical(s->target, address, in, size)
                       : thread_write(s->target, thread, address, in, size);
}

static void read_memory(struct gdb_server *s, struct packet_args *a, bool binary)
{
    struct gdb_thread thread;
    u64 address, length;
    if (!packet_address_length(a, &address, &length) || !packet_end(a)) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    if (!server_thread(s, &thread)) {
        return;
    }
    u8 bytes[READ_MAX];
    length = length < READ_MAX ? length : READ_MAX;
    u64 got = read_bytes(s, &thread, address, bytes, length);
    if (length && !got) {
        reply_error(s, GDB_ERROR_FAULT);
    } else if (binary) {
        reply_text(s, "b");
        reply_raw(s, bytes, got);
    } else {
        reply_hex(s, bytes, got);
    }
}

void packet_read_memory(struct gdb_server *s, struct packet_args *a)
{
    read_memory(s, a, false);
}

void packet_read_memory_binary(struct gdb_server *s, struct packet_args *a)
{
    read_memory(s, a, true);
}

// All or nothing is not possible over several pages; what came before an unmapped byte is written.
static void write_memory(struct gdb_server *s, u64 address, const u8 *bytes, u64 size)
{
    struct gdb_thread thread;
    u8 probe;
    if (!server_thread(s, &thread)) {
        return;
    }
    if (!size) { // gdb asks so whether X is known
        reply_ok(s);
        return;
    }
    if (!read_bytes(s, &thread, address, &probe, 1)) {
        reply_error(s, GDB_ERROR_FAULT);
        return;
    }
    server_before_write(s);
    if (write_bytes(s, &thread, address, bytes, size) == size) {
        reply_ok(s);
    } else {
        reply_error(s, GDB_ERROR_FAULT);
    }
}

void packet_write_memory(struct gdb_server *s, struct packet_args *a)
{
    u64 address, length;
    size_t size;
    u8 *bytes = xcalloc(1, GDB_PACKET_MAX);
    if (packet_address_length(a, &address, &length) && packet_skip(a, ':') &&
        packet_bytes(a, bytes, GDB_PACKET_MAX, &size) && size == length) {
        write_memory(s, address, bytes, size);
    } else {
        reply_error(s, GDB_ERROR_INVALID);
    }
    free(bytes);
}

void packet_write_memory_binary(struct gdb_server *s, struct packet_args *a)
{
    u64 address, length;
    if (packet_address_length(a, &address, &length) && packet_skip(a, ':') &&
        (u64)(a->end - a->at) == length) {
        write_memory(s, address, a->at, length);
    } else {
        reply_error(s, GDB_ERROR_INVALID);
    }
}

// "g" for the packets that look, "c" for those that run.
void packet_set_thread(struct gdb_server *s, struct packet_args *a)
{
    bool run = packet_skip(a, 'c');
    s64 tid;
    struct gdb_thread thread;
    if ((!run && !packet_skip(a, 'g')) || !packet_thread(a, &tid) || !packet_end(a)) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    if (!server_find(s, tid, &thread)) {
        reply_error(s, GDB_ERROR_UNKNOWN_THREAD);
        return;
    }
    *(run ? &s->resumed : &s->general) = tid;
    reply_ok(s);
}

void packet_thread_alive(struct gdb_server *s, struct packet_args *a)
{
    s64 tid;
    struct gdb_thread thread;
    if (!packet_thread(a, &tid) || !packet_end(a)) {
        reply_error(s, GDB_ERROR_INVALID);
    } else if (server_find(s, tid, &thread)) {
        reply_ok(s);
    } else {
        reply_error(s, GDB_ERROR_UNKNOWN_THREAD);
    }
}
