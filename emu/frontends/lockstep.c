// SPDX-License-Identifier: MIT
// Two sessions in lockstep, and the report of where they part.
#include "frontends/lockstep.h"

#include "debugger/disas.h"
#include "replay/divergence.h"
#include "replay/lockstep.h"

#include <stdio.h>

#define LINES_MAX 40
#define CODE_BEFORE 6
#define CODE_AFTER 6
#define WAY_STEPS 96
#define BLOCK_MAX 64                           // instructions of a block that are shown
#define CHECKPOINT_BYTES (UINT64_C(256) << 20) // of each

struct pair {
    struct session *a, b;
    struct timeline *in_a, *in_b;
    struct lockstep *lockstep;
    struct symbols *symbols;
    struct disas *disas;
};

// The second machine: the same files and seed; nobody outside hears it.
static struct status open_second(struct session *b, const struct run_options *o)
{
    struct run_options second = *o;
    second.engine = CPU_ENGINE_JIT;
    second.serial = "null";
    second.log = o->log ? "/dev/null" : NULL;
    second.pace = POSIX_PACE_NONE;
    second.time_limit_ns = 0;
    struct status s = session_open(b, &second);
    if (status_ok(&s)) {
        input_log_mute(b->log, true);
    }
    return s;
}

static bool is_ended(const struct session *s)
{
    int detail;
    return posix_door_why(s->door, &detail) != POSIX_DOOR_OPEN;
}

// A signal goes to either door.
static bool is_cancelled(void *ctx)
{
    const struct pair *p = ctx;
    return is_ended(p->a) || is_ended(&p->b);
}

static void print_line(void *ctx, const char *text)
{
    fprintf(stderr, "  %s\n", text);
}

static bool read_guest(void *cpu, u64 linear, void *out, u64 size)
{
    return cpu_debug_read(cpu, linear, out, size);
}

static bool read_host(void *translation, u64 address, void *out, u64 size)
{
    const struct cpu_translation *t = translation;
    u64 at = address - (u64)t->host;
    for (u64 i = 0; i < size; i++) {
        if (at + i >= t->host_bytes) {
            return false;
        }
        ((u8 *)out)[i] = t->host[at + i];
    }
    return true;
}

// The block that the second machine has for the code at linear.
static void print_block(struct pair *p, const struct cpu *cpu, u64 linear)
{
    struct cpu_translation t;
    if (!cpu_translation_at(cpu, linear, &t)) {
        fprintf(stderr, "no translation of %llx is there now\n", (unsigned long long)linear);
        return;
    }
    fprintf(stderr, "translated: block at %llx, %u bytes, as %zu bytes:\n",
            (unsigned long long)t.guest_first, t.guest_bytes, t.host_bytes);
    u64 address = (u64)t.host;
    for (unsigned i = 0; i < BLOCK_MAX && address < (u64)t.host + t.host_bytes; i++) {
        address = disas_print(stderr, p->disas, 64, read_host, &t, address, 1, 0, DISAS_BYTES);
    }
}

// Where the first machine stands.
struct place {
    unsigned turn, ring, bits;
    struct cpu *cpu;
    u64 linear;
};

static struct place place_of(const struct pair *p)
{
    u64 left;
    struct place at = {.turn = machine_turn(p->a->machine, &left)};
    at.cpu = machine_cpu(p->a->machine, at.turn);
    struct cpu_regs r;
    cpu_get_regs(at.cpu, &r);
    unsigned code = r.seg[CPU_CS].attributes >> 13; // bit 0: L, bit 1: D
    bool long_mode = (r.efer & 0x400) && (code & 1);
    at.ring = r.cpl;
    at.bits = long_mode ? 64 : code & 2 ? 32 : 16;
    at.linear = long_mode ? r.rip : (u32)(r.rip + r.seg[CPU_CS].base);
    return at;
}

static void print_one(struct pair *p, const struct place *at)
{
    u8 bytes[15];
    u64 size = sizeof(bytes);
    struct disas_insn insn = {.text = "not mapped"};
    char name[100];
    while (size && !read_guest(at->cpu, at->linear, bytes, size)) {
        size--;
    }
    disas_insn(p->disas, at->bits, at->linear, bytes, size, &insn);
    symbols_format(p->symbols, at->linear, name, sizeof(name));
    fprintf(stderr, "  %llu  cpu%u %016llx  %-40s %s\n", (unsigned long long)timeline_step(p->in_a),
            at->turn, (unsigned long long)at->linear, insn.text, name);
}

// What the interpreter executed up to that step. Translated code is left where steps may not last,
// so what made the difference may lie some blocks before the first state that shows it.
static void print_way(struct pair *p, u64 first, u64 step)
{
    fprintf(stderr, "the way there:\n");
    timeline_seek(p->in_a, first, NULL, NULL);
    while (timeline_step(p->in_a) < step) {
        struct place at = place_of(p);
        print_one(p, &at);
        timeline_scan(p->in_a, timeline_step(p->in_a) + 1);
    }
}

// Both machines stand where they were equal last. The code that made the difference.
static void print_code(struct pair *p)
{
    struct place at = place_of(p);
    fprintf(stderr, "guest code (CPU %u, ring %u, %u bits) before that step:\n", at.turn, at.ring,
            at.bits);
    u64 first = disas_back(p->disas, at.bits, read_guest, at.cpu, at.linear, CODE_BEFORE);
    disas_print(stderr, p->disas, at.bits, read_guest, at.cpu, first, CODE_BEFORE + CODE_AFTER,
                at.linear, DISAS_BYTES);
    print_block(p, machine_cpu(p->b.machine, at.turn), at.linear);
}

static void print_rip(const struct pair *p)
{
    u64 left;
    unsigned turn = machine_turn(p->a->machine, &left);
    struct cpu_regs a, b;
    cpu_get_regs(machine_cpu(p->a->machine, turn), &a);
    cpu_get_regs(machine_cpu(p->b.machine, turn), &b);
    fprintf(stderr, "  cpu%u: rip 0x%llx / 0x%llx   (interp / jit)\n", turn,
            (unsigned long long)a.rip, (unsigned long long)b.rip);
}

static void describe(struct pair *p)
{
    print_rip(p);
    divergence_describe(p->a->machine, p->b.machine, LINES_MAX, print_line, NULL);
}

// What was seen is shown first, as it was; then what running again tells.
static void report(struct pair *p, const char *line, const struct run_options *o)
{
    u64 equal_step, seen_step, step;
    lockstep_range(p->lockstep, &equal_step, &seen_step);
    fprintf(stderr, "viv: the engines differ at step %llu; all was equal at step %llu\n",
            (unsigned long long)seen_step, (unsigned long long)equal_step);
    if (*line) {
        fprintf(stderr, "  %s\n", line);
    }
    p->symbols = symbols_create();
    symbols_add(p->symbols, p->a->boot.kernel_path, 0, true);
    p->disas = disas_create(p->symbols);
    describe(p);
    if (lockstep_find(p->lockstep, &step, is_cancelled, p)) {
        fprintf(stderr, "first difference at step %llu:\n", (unsigned long long)step);
        describe(p);
        timeline_seek(p->in_a, step - 1, NULL, NULL);
        timeline_seek(p->in_b, step - 1, NULL, NULL);
        print_code(p);
        u64 first = step > WAY_STEPS ? step - WAY_STEPS : 0;
        print_way(p, first > equal_step ? first : equal_step, step);
    } else if (!is_cancelled(p)) {
        fprintf(stderr,
                "run again from step %llu it does not show: it hangs on what was cached then; "
                "--cpu-engine lockstep:%llu@%llu runs the same way to there, then compares at "
                "each step\n",
                (unsigned long long)equal_step, (unsigned long long)o->lockstep_seed,
                (unsigned long long)equal_step);
    }
    disas_destroy(p->disas);
    symbols_destroy(p->symbols);
}

static int finish(struct pair *p, const struct run_options *o, struct outcome_watch *w,
                  const struct machine_result *result)
{
    char line[OUTCOME_LINE] = "", difference[700];
    posix_door_flush(p->a->door);
    bool second_ended = is_ended(&p->b) && !is_ended(p->a);
    int status = outcome_status(second_ended ? &p->b : p->a, result, line);
    enum lockstep_difference what = lockstep_differs(p->lockstep, difference, sizeof(difference));
    outcome_report(p->a, o, w);
    if (what) {
        report(p, difference, o);
        return OUTCOME_ENGINES_DIFFER;
    }
    struct lockstep_counts counts = lockstep_counts(p->lockstep);
    fprintf(stderr, "viv: the engines agree: %llu comparisons, %llu of memory too, in %llu steps\n",
            (unsigned long long)counts.comparisons, (unsigned long long)counts.memory_comparisons,
            (unsigned long long)machine_clock(p->a->machine)->step);
    struct status none = status_success();
    return outcome_end(&none, status, line);
}

int lockstep_main(struct session *s, const struct run_options *o, struct outcome_watch *w)
{
    struct pair p = {.a = s};
    struct status opened = open_second(&p.b, o);
    if (!status_ok(&opened)) {
        session_close(&p.b);
        posix_door_end_terminal(s->door);
        return outcome_fail(&opened);
    }
    p.in_a = session_timeline(s, CHECKPOINT_BYTES);
    p.in_b = session_timeline(&p.b, CHECKPOINT_BYTES);
    p.lockstep = lockstep_create(p.in_a, p.in_b, o->lockstep_seed, o->lockstep_dense_step);
    outcome_watch_begin(w, s);
    struct machine_result result = lockstep_run(p.lockstep, o->until_step);
    int status = finish(&p, o, w, &result);
    lockstep_destroy(p.lockstep);
    timeline_destroy(p.in_b);
    timeline_destroy(p.in_a);
    session_close(&p.b);
    return status;
}
