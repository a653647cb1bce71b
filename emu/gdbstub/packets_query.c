// SPDX-License-Identifier: MIT
// What gdb asks about the stub and its threads, and the monitor.
#include "gdbstub/server_internal.h"

#include "base/check.h"
#include "base/memory.h"
#include "gdbstub/target_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 4096

void packet_supported(struct gdb_server *s, struct packet_args *a)
{
    packet_skip(a, ':');
    while (!packet_end(a)) {
        const u8 *semicolon = memchr(a->at, ';', (size_t)(a->end - a->at));
        const u8 *end = semicolon ? semicolon : a->end;
        struct packet_args feature = {a->at, end};
        if (packet_word(&feature, "multiprocess+")) {
            s->multiprocess = true;
        } else if (packet_word(&feature, "swbreak+")) {
            s->swbreak = true;
        }
        a->at = semicolon ? end + 1 : end;
    }
    reply_text(s,
               "PacketSize=%x;QStartNoAckMode+;multiprocess+;vContSupported+;swbreak+;hwbreak+;"
               "qXfer:features:read+;qXfer:threads:read+;qXfer:siginfo:read+;QCatchSyscalls+;"
               "ReverseStep+;ReverseContinue+",
               GDB_PACKET_MAX);
}

void packet_no_ack(struct gdb_server *s, struct packet_args *a)
{
    reply_ok(s);
    reply_send(s); // this one is still acknowledged
    s->no_reply = true;
    s->no_ack = true;
}

void packet_attached(struct gdb_server *s, struct packet_args *a)
{
    reply_text(s, "1"); // so that quitting gdb detaches
}

// --- threads ---------------------------------------------------------------------------------
void packet_current_thread(struct gdb_server *s, struct packet_args *a)
{
    reply_text(s, "QC");
    reply_thread(s, s->follow ? s->follow : thread_of_cpu(s->target, s->cpu).tid);
}

static void list_threads(struct gdb_server *s)
{
    struct gdb_thread *threads;
    unsigned count = server_list(s, &threads);
    reply_text(s, s->threads_told < count ? "m" : "l");
    for (bool first = true; s->threads_told < count && s->reply_size < GDB_PACKET_MAX - 64;
         first = false) {
        reply_text(s, "%s", first ? "" : ",");
        reply_thread(s, threads[s->threads_told++].tid);
    }
    free(threads);
}

void packet_threads_first(struct gdb_server *s, struct packet_args *a)
{
    s->threads_told = 0;
    list_threads(s);
}

void packet_threads_next(struct gdb_server *s, struct packet_args *a)
{
    list_threads(s);
}

void packet_thread_info(struct gdb_server *s, struct packet_args *a)
{
    s64 tid;
    struct gdb_thread thread;
    char text[128];
    if (!packet_skip(a, ',') || !packet_thread(a, &tid) || !packet_end(a)) {
        reply_error(s, GDB_ERROR_INVALID);
    } else if (!server_find(s, tid, &thread)) {
        reply_error(s, GDB_ERROR_UNKNOWN_THREAD);
    } else {
        thread_describe(&thread, text, sizeof(text));
        reply_hex(s, text, strlen(text));
    }
}

// --- qXfer -----------------------------------------------------------------------------------
static void print_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text < ' ' || *text > '~' || strchr("<>&\"'", *text)) {
            fprintf(out, "&#%u;", (unsigned)((u8)*text < ' ' ? '?' : (u8)*text));
        } else {
            fputc(*text, out);
        }
    }
}

static char *threads_xml(struct gdb_server *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    struct gdb_thread *threads;
    unsigned count = server_list(s, &threads);
    fputs("<?xml version=\"1.0\"?>\n<threads>\n", out);
    for (unsigned i = 0; i < count; i++) {
        const struct gdb_thread *thread = &threads[i];
        char info[128];
        thread_describe(thread, info, sizeof(info));
        fputs("<thread id=\"", out);
        if (s->multiprocess) {
            fprintf(out, "p%x.", GDB_PID);
        }
        fprintf(out, "%llx\"", (unsigned long long)thread->tid);
        if (thread->runs) {
            fprintf(out, " core=\"%u\"", thread->cpu);
        }
        fputs(">", out);
        print_escaped(out, info);
        fputs("</thread>\n", out);
    }
    fputs("</threads>\n", out);
    CHECK(fclose(out) == 0);
    free(threads);
    return text;
}

// The part that was asked for, 'l' before the last one.
static void reply_part(struct gdb_server *s, const void *object, u64 size, u64 offset, u64 length)
{
    u64 room = GDB_PACKET_MAX / 2;
    length = length < room ? length : room;
    if (offset >= size) {
        reply_text(s, "l");
        return;
    }
    u64 left = size - offset;
    reply_text(s, left <= length ? "l" : "m");
    reply_raw(s, (const u8 *)object + offset, left < length ? left : length);
}

// siginfo_t as x86-64 Linux lays it out (sigaction(2)): a fault's address is CR2.
static void transfer_siginfo(struct gdb_server *s, u64 offset, u64 length)
{
    const struct target_stop *stop = target_last_stop(s->target);
    struct {
        s32 signo, error, code, pad;
        u64 address;
        u8 rest[104];
    } info = {.signo = (s32)stop_signal(s, stop)};
    _Static_assert(sizeof(info) == 128, "siginfo_t");
    if (info.signo == 11) {
        struct cpu_regs regs;
        target_get_regs(s->target, stop->cpu, &regs);
        info.code = 1; // SEGV_MAPERR
        info.address = regs.cr2;
    }
    reply_part(s, &info, sizeof(info), offset, length);
}

// "object:read:annex:offset,length".
void packet_transfer(struct gdb_server *s, struct packet_args *a)
{
    bool features = packet_word(a, ":features:read:target.xml:");
    bool threads = !features && packet_word(a, ":threads:read::");
    bool siginfo = !features && !threads && packet_word(a, ":siginfo:read::");
    if (!features && !threads && !siginfo) {
        if (packet_word(a, ":features:read:")) {
            reply_text(s, "E00"); // no such annex
        }
        return;
    }
    u64 offset, length;
    if (!packet_address_length(a, &offset, &length) || !packet_end(a)) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    if (siginfo) {
        transfer_siginfo(s, offset, length);
        return;
    }
    char **text = features ? &s->xml : &s->threads_xml;
    if (!*text || (threads && !offset)) {
        free(*text);
        *text = features ? target_xml() : threads_xml(s);
    }
    reply_part(s, *text, strlen(*text), offset, length);
}

// --- monitor ---------------------------------------------------------------------------------
static const char stub_help[] =
    "\ngdb\n"
    "  steps task               stepi and reverse-stepi pass over interrupts, faults and system "
    "calls,\n"
    "                           and so does all that gdb makes of them: reverse-next\n"
    "  steps machine            they do not (at first)\n";

// The stub's own commands. False: it is none.
static bool stub_command(struct gdb_server *s, const char *line, FILE *out)
{
    bool task = strcmp(line, "steps task") == 0;
    if (!task && strcmp(line, "steps machine") != 0) {
        return false;
    }
    s->own_steps = task;
    fprintf(out, "steps are the %s's\n", task ? "task" : "machine");
    return true;
}

static void run_command(struct gdb_server *s, const char *line)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    u64 before = timeline_step(target_timeline(s->target));
    s->busy = true;
    s->interrupted = false;
    if (!stub_command(s, line, out)) {
        target_command(s->target, line, out);
    }
    if (strcmp(line, "help") == 0) {
        fputs(stub_help, out);
    }
    s->busy = s->interrupted = false;
    u64 after = timeline_step(target_timeline(s->target));
    if (after != before) {
        s->told_end = false;
        s->cpu = target_last_stop(s->target)->cpu;
        // gdb goes on with its thread, which need not run, or be, here.
        s->follow = s->reported == thread_of_cpu(s->target, s->cpu).tid ? 0 : s->reported;
        fprintf(out, "(now at step %llu; \"maintenance flush register-cache\" tells gdb)\n",
                (unsigned long long)after);
    }
    CHECK(fclose(out) == 0);
    server_send_notes(s);
    server_send_console(s, text, size);
    free(text);
}

void packet_monitor(struct gdb_server *s, struct packet_args *a)
{
    char line[COMMAND_MAX + 1] = "";
    size_t size;
    if (!packet_skip(a, ',') || !packet_bytes(a, (u8 *)line, COMMAND_MAX, &size)) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    line[size] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    run_command(s, line);
    reply_ok(s);
}
