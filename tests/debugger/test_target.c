// SPDX-License-Identifier: MIT
// The target from inside: random walks by every movement end in states that running forward knows
// too, its events do not depend on the way, and everything can be cancelled at once.
#include "../replay/guest.h"

#include "base/bits.h"
#include "base/memory.h"
#include "debugger/target.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMAND "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; ls / | sort >/tmp/x; cat /tmp/x"
#define LATE_MS 100

struct tap {
    unsigned count, bad;
};

static void tap(struct tap *tap, bool ok, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%s %u - ", ok ? "ok" : "not ok", ++tap->count);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    tap->bad += !ok;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct session {
    struct guest guest;
    struct symbols *symbols;
    struct target *target;
    double cancel_at, cancelled_at; // ms; 0: never
};

static bool cancel(void *ctx)
{
    struct session *s = ctx;
    if (s->cancel_at == 0 || now_ms() < s->cancel_at) {
        return false;
    }
    return true;
}

// kernel: where its symbols are; NULL: none are known.
static void session_open(struct session *s, const struct guest_files *files, const char *kernel)
{
    memset(s, 0, sizeof(*s));
    guest_open(&s->guest, files, TLB_FULL, COMMAND, NULL);
    guest_begin_time(&s->guest, TIMELINE_MEMORY_DEFAULT);
    s->symbols = kernel ? symbols_create() : NULL;
    if (kernel) {
        symbols_add(s->symbols, kernel, 0, true);
    }
    struct target_config config = {
        .timeline = s->guest.time, .symbols = s->symbols, .cancel = cancel, .ctx = s};
    s->target = target_create(&config);
}

static void session_close(struct session *s)
{
    target_destroy(s->target);
    if (s->symbols) {
        symbols_destroy(s->symbols);
    }
    guest_close(&s->guest);
}

static u64 next_random(u64 *x)
{
    *x = *x * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *x >> 24;
}

// --- random walks ---

#define KNOWN_MAX 4096

struct known {
    u64 step, hash, events;
};

static u64 events_hash(struct target *t)
{
    const struct ledger *l = target_ledger(t);
    u64 hash = 14695981039346656037u, end = ledger_end(l);
    u64 begin = end - ledger_begin(l) > 200 ? end - 200 : ledger_begin(l);
    for (u64 i = begin; i < end; i++) {
        const struct ledger_row *row = ledger_get(l, i);
        const u64 parts[] = {row->event.step, row->event.rip,   row->event.address,
                             row->event.kind, row->event.cause, row->outcome};
        for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
            hash = (hash ^ parts[k]) * 1099511628211u;
        }
    }
    return hash;
}

static void walk_once(struct target *t, u64 *x, u64 end)
{
    enum target_direction direction = next_random(x) & 1 ? TARGET_BACK : TARGET_FORWARD;
    static const enum target_unit units[] = {TARGET_INSTRUCTION, TARGET_NEXT,   TARGET_LINE,
                                             TARGET_NEXT_LINE,   TARGET_FINISH, TARGET_TRANSITION,
                                             TARGET_SYSCALL,     TARGET_FAULT,  TARGET_INTERRUPT,
                                             TARGET_SWITCH,      TARGET_USER,   TARGET_TRANSITION};
    if (next_random(x) % 4 == 0) {
        target_seek(t, next_random(x) % end);
        return;
    }
    enum target_unit unit = units[next_random(x) % ARRAY_LEN(units)];
    target_move(t, direction, unit, 1 + next_random(x) % 3);
}

static void test_walks(struct tap *tap_, struct session *s, struct session *plain, unsigned walks)
{
    struct known *known = xcalloc(KNOWN_MAX, sizeof(*known));
    u64 x = 7, wrong_state = 0, wrong_events = 0, silent = 0;
    struct target *t = s->target;
    target_continue(t, TARGET_FORWARD);
    u64 end = target_step(t);
    tap(tap_, target_last_stop(t)->kind == TARGET_STOP_EXIT, "the guest ran to its end, %llu steps",
        (unsigned long long)end);
    for (unsigned i = 0; i < walks; i++) {
        walk_once(t, &x, end);
        silent += !*target_last_stop(t)->text;
        known[i] = (struct known){target_step(t), machine_hash(s->guest.m), events_hash(t)};
    }
    // The other machine goes to the same places straight.
    for (unsigned i = 0; i < walks; i++) {
        target_seek(plain->target, known[i].step);
        wrong_state += machine_hash(plain->guest.m) != known[i].hash;
        u64 events = events_hash(plain->target);
        wrong_events += events != known[i].events;
    }
    tap(tap_, !wrong_state, "%u walks: %llu states differ", walks, (unsigned long long)wrong_state);
    tap(tap_, !wrong_events, "%u walks: %llu lists of events differ", walks,
        (unsigned long long)wrong_events);
    tap(tap_, !silent, "every stop says why");
    free(known);
}

// --- forwards and back again ---

static void test_there_and_back(struct tap *tap_, struct session *s)
{
    static const struct {
        enum target_unit unit;
        const char *name;
    } units[] = {{TARGET_TRANSITION, "transition"},
                 {TARGET_SYSCALL, "system call"},
                 {TARGET_FAULT, "page fault"},
                 {TARGET_INTERRUPT, "interrupt"},
                 {TARGET_SWITCH, "context switch"}};
    struct target *t = s->target;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        u64 steps[10];
        unsigned same = 0;
        target_seek(t, 3000000);
        for (unsigned n = 0; n < ARRAY_LEN(steps); n++) {
            target_move(t, TARGET_FORWARD, units[i].unit, 1);
            steps[n] = target_step(t);
        }
        for (unsigned n = ARRAY_LEN(steps) - 1; n-- > 0;) {
            target_move(t, TARGET_BACK, units[i].unit, 1);
            same += target_step(t) == steps[n];
        }
        tap(tap_, same == ARRAY_LEN(steps) - 1, "%s: nine of nine the same way back (%u)",
            units[i].name, same);
    }
}

// --- cancelling ---

enum {
    CONTINUE,
    CONTINUE_BACK,
    SEEK,
    WROTE,
    EXECUTED,
    FORWARD_USER,
    BACK_SWITCH,
    LEDGER,
    OPERATIONS
};

static void operate(struct session *s, unsigned operation, u64 end)
{
    struct target *t = s->target;
    struct target_writer writer;
    u64 step;
    switch (operation) {
    case CONTINUE:
        target_continue(t, TARGET_FORWARD);
        break;
    case CONTINUE_BACK:
        target_continue(t, TARGET_BACK);
        break;
    case SEEK:
        target_seek(t, target_step(t) > end / 2 ? end / 7 : end - end / 7);
        break;
    case WROTE:
        writer = target_who_wrote(t, 0, 8, true); // never
        (void)writer;
        break;
    case EXECUTED:
        target_when_executed(t, 0xffffffff80000000, &step);
        break;
    case FORWARD_USER:
        target_move(t, TARGET_FORWARD, TARGET_FINISH, 1);
        break;
    case BACK_SWITCH:
        target_move(t, TARGET_BACK, TARGET_SWITCH, 100000);
        break;
    case LEDGER:
        target_ledger(t);
        break;
    }
}

static void test_cancel(struct tap *tap_, struct session *s, u64 end, unsigned rounds)
{
    double worst = 0;
    unsigned changed = 0, x_operation = 0;
    u64 x = 99;
    struct target *t = s->target;
    for (unsigned i = 0; i < rounds * OPERATIONS; i++) {
        unsigned operation = i % OPERATIONS;
        target_seek(t, end / 4 + next_random(&x) % (end / 2));
        u64 before = target_step(t), hash = machine_hash(s->guest.m);
        s->cancel_at = now_ms() + (double)(next_random(&x) % 40);
        operate(s, operation, end);
        double late = now_ms() - s->cancel_at;
        s->cancel_at = 0;
        if (late > worst) {
            worst = late;
            x_operation = operation;
        }
        bool stays = operation != CONTINUE && operation != FORWARD_USER && late > 0;
        if (stays && target_last_stop(t)->kind == TARGET_STOP_CANCELLED) {
            changed += target_step(t) != before || machine_hash(s->guest.m) != hash;
        }
    }
    tap(tap_, worst < LATE_MS, "cancelled %u times, the latest after %.1f ms (operation %u)",
        rounds * OPERATIONS, worst, x_operation);
    tap(tap_, !changed, "%u cancelled searches did not leave things as they were", changed);
}

// --- commands ---

#define NAMES_MAX 128

static unsigned command_names(struct target *t, char names[NAMES_MAX][32])
{
    char *text = NULL;
    size_t size = 0;
    unsigned count = 0;
    FILE *out = open_memstream(&text, &size);
    target_complete(t, "", out);
    fclose(out);
    for (char *line = strtok(text, "\n"); line && count < NAMES_MAX; line = strtok(NULL, "\n")) {
        snprintf(names[count++], sizeof(names[0]), "%s", line);
    }
    free(text);
    return count;
}

// Every command with arguments that fit and such that do not, wherever the last one led.
static void test_commands(struct tap *tap_, struct session *s, u64 end, unsigned rounds)
{
    static const char *const words[] = {
        "1",           "$rsp", "$rip",   "sys_execve", "3",         "-1",     "syscall", "fault",
        "/4xg",        "/3i",  "/s",     "if",         "$cpl == 0", "pid",    "8",       "write",
        "0x10",        "phys", "[$rsp]", "u8[$rdi]",   "*",         "openat", "entry",   "user",
        "fs/exec.c:1", "init", "begin",  "end",        "+1000",     "-1000",  "switch",  "100",
        "transition",  "(",    "=",      "$rax",       "u32[$rsp]", "%s%n",   "'",       "io"};
    char names[NAMES_MAX][32];
    unsigned count = command_names(s->target, names), said = 0;
    u64 x = 4711;
    double begin = now_ms();
    for (unsigned i = 0; i < rounds; i++) {
        char line[256];
        snprintf(line, sizeof(line), "%s", names[next_random(&x) % count]);
        for (u64 n = next_random(&x) % 5; n > 0; n--) {
            size_t used = strlen(line);
            snprintf(line + used, sizeof(line) - used, " %s",
                     words[next_random(&x) % ARRAY_LEN(words)]);
        }
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        s->cancel_at = now_ms() + 10;
        target_command(s->target, line, out);
        s->cancel_at = 0;
        fclose(out);
        said += size > 0;
        free(text);
        if (i % 64 == 0) {
            target_command(s->target, "delete", stdout);
            target_seek(s->target, 1 + next_random(&x) % end);
        }
    }
    tap(tap_, said > rounds / 2, "%u random commands of %u, %u had something to say, %.1f s",
        rounds, count, said, (now_ms() - begin) / 1e3);
}

int main(int argc, char **argv)
{
    struct tap tap_ = {0};
    struct guest_files files;
    struct session walked, plain;
    const char *level = getenv("VIV_TEST_LEVEL");
    bool all = level && strcmp(level, "all") == 0;
    guest_read_files(&files, argv[1], argv[2]);
    session_open(&walked, &files, argv[1]);
    session_open(&plain, &files, argv[1]);
    target_continue(plain.target, TARGET_FORWARD);
    u64 end = target_step(plain.target);
    test_walks(&tap_, &walked, &plain, all ? 2000 : 120);
    test_there_and_back(&tap_, &walked);
    test_cancel(&tap_, &walked, end, all ? 100 : 6);
    test_commands(&tap_, &walked, end, all ? 20000 : 600);
    session_close(&walked);
    session_open(&walked, &files, NULL);
    target_continue(walked.target, TARGET_FORWARD);
    test_commands(&tap_, &walked, end, all ? 20000 : 300); // without symbols
    session_close(&walked);
    session_close(&plain);
    guest_free_files(&files);
    printf("1..%u\n", tap_.count);
    return tap_.bad != 0;
}
