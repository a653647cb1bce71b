// SPDX-License-Identifier: MIT
// Commands that move the guest, forwards and back.
#include "debugger/commands.h"

#include "base/bits.h"

#include <string.h>

void print_step(u64 step, FILE *out)
{
    char digits[24], grouped[32];
    int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)step);
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0) {
            grouped[used++] = '\'';
        }
        grouped[used++] = digits[i];
    }
    grouped[used] = '\0';
    fputs(grouped, out);
}

static void print_task(struct target *t, FILE *out)
{
    struct guest_task task;
    if (t->guest && guest_current(t->guest, t->cpu, &task)) {
        fprintf(out, "  pid %d (%s)", task.pid, task.comm);
    }
}

void print_place(struct target *t, FILE *out)
{
    struct cpu_regs regs;
    target_regs(t, &regs);
    fputs("step ", out);
    print_step(timeline_step(t->timeline), out);
    if (machine_cpu_count(t->m) > 1) {
        fprintf(out, "  cpu %u", t->cpu);
    }
    fprintf(out, "  ring %u", regs.cpl);
    print_task(t, out);
    fputs(regs.halted ? "  halted\n" : "\n", out);
    bool wide = regs.seg[CPU_CS].attributes & 0x2000, big = regs.seg[CPU_CS].attributes & 0x4000;
    unsigned bits = wide ? 64 : big ? 32 : 16;
    u64 at = regs.rip + (bits == 64 ? 0 : regs.seg[CPU_CS].base);
    disas_print(out, t->disas, bits, target_read_all, t, at, 1, at, DISAS_SOURCE);
}

bool print_stop(struct target *t, const struct target_stop *stop, FILE *out)
{
    fprintf(out, "%s\n", stop->text);
    print_place(t, out);
    t->last_address = place_here(t).rip;
    return stop->kind != TARGET_STOP_CANCELLED;
}

static bool move(struct target *t, const char *args, enum target_direction direction,
                 enum target_unit unit, FILE *out)
{
    u64 count;
    if (!args_optional(t, &args, 1, &count, out)) {
        return false;
    }
    return print_stop(t, target_move(t, direction, unit, count), out);
}

#define MOVE(function, direction, unit)                                                            \
    bool function(struct target *t, const char *args, FILE *out)                                   \
    {                                                                                              \
        return move(t, args, direction, unit, out);                                                \
    }
MOVE(cmd_stepi, TARGET_FORWARD, TARGET_INSTRUCTION)
MOVE(cmd_nexti, TARGET_FORWARD, TARGET_NEXT)
MOVE(cmd_step, TARGET_FORWARD, TARGET_LINE)
MOVE(cmd_next, TARGET_FORWARD, TARGET_NEXT_LINE)
MOVE(cmd_finish, TARGET_FORWARD, TARGET_FINISH)
MOVE(cmd_reverse_stepi, TARGET_BACK, TARGET_INSTRUCTION)
MOVE(cmd_reverse_nexti, TARGET_BACK, TARGET_NEXT)
MOVE(cmd_reverse_step, TARGET_BACK, TARGET_LINE)
MOVE(cmd_reverse_next, TARGET_BACK, TARGET_NEXT_LINE)
MOVE(cmd_reverse_finish, TARGET_BACK, TARGET_FINISH)
#undef MOVE

bool cmd_continue(struct target *t, const char *args, FILE *out)
{
    return print_stop(t, target_continue(t, TARGET_FORWARD), out);
}

bool cmd_reverse_continue(struct target *t, const char *args, FILE *out)
{
    return print_stop(t, target_continue(t, TARGET_BACK), out);
}

bool cmd_until(struct target *t, const char *args, FILE *out)
{
    struct target_point point = {.kind = TARGET_POINT_BREAK, .enabled = true, .temporary = true};
    int number;
    if (args_end(args)) {
        return command_usage("until", out);
    }
    if (!args_place(t, &args, &point.address, out)) {
        return false;
    }
    point.pid = point.address >> 63 ? 0 : target_pid(t);
    struct status s = target_point_add(t, &point, &number);
    if (!status_ok(&s)) {
        fprintf(out, "%s\n", s.text);
        return false;
    }
    bool done = print_stop(t, target_continue(t, TARGET_FORWARD), out);
    target_point_remove(t, number);
    return done;
}

static bool find_unit(const char *word, enum target_unit *unit)
{
    static const struct {
        const char *name;
        enum target_unit unit;
    } units[] = {
        {"transition", TARGET_TRANSITION}, {"syscall", TARGET_SYSCALL},
        {"fault", TARGET_FAULT},           {"interrupt", TARGET_INTERRUPT},
        {"switch", TARGET_SWITCH},         {"user", TARGET_USER},
        {"instruction", TARGET_NEXT},      {"line", TARGET_NEXT_LINE},
        {"step", TARGET_INSTRUCTION},      {"call", TARGET_FINISH},
    };
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(units[i].name, word) == 0) {
            *unit = units[i].unit;
            return true;
        }
    }
    return false;
}

static bool move_unit(struct target *t, const char *args, enum target_direction direction,
                      const char *command, FILE *out)
{
    char word[24];
    enum target_unit unit;
    if (!args_word(&args, word, sizeof(word)) || !find_unit(word, &unit)) {
        return command_usage(command, out);
    }
    return move(t, args, direction, unit, out);
}

bool cmd_forward(struct target *t, const char *args, FILE *out)
{
    return move_unit(t, args, TARGET_FORWARD, "forward", out);
}

// back write ADDRESS [SIZE]
static bool back_to_write(struct target *t, const char *args, FILE *out)
{
    u64 address, size;
    if (!args_number(t, &args, &address, out) || !args_optional(t, &args, 1, &size, out)) {
        return false;
    }
    struct target_writer writer = target_who_wrote(t, address, size, false);
    print_writer(t, &writer, out);
    return writer.found && print_stop(t, target_seek(t, writer.step), out);
}

bool cmd_back(struct target *t, const char *args, FILE *out)
{
    if (args_accept(&args, "write")) {
        return back_to_write(t, args, out);
    }
    return move_unit(t, args, TARGET_BACK, "back", out);
}
