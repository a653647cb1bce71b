// SPDX-License-Identifier: MIT
// Commands that show or change registers and memory.
#include "debugger/commands.h"

#include "base/bits.h"
#include "debugger/backtrace.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define UNITS_MAX 4096

struct format {
    u64 count;
    char letter; // x d u o t c s i
    u8 size;
};

// "/NFU" as gdb's x command reads it.
static bool read_format(const char **args, struct format *f, FILE *out)
{
    if (**args != '/') {
        return true;
    }
    const char *at = *args + 1;
    bool sized = false;
    if (isdigit((unsigned char)*at)) {
        char *end;
        f->count = strtoull(at, &end, 10);
        at = end;
    }
    for (; *at && !isspace((unsigned char)*at); at++) {
        static const char sizes[] = "bhwg";
        const char *size = strchr(sizes, *at);
        if (size) {
            f->size = (u8)BIT(size - sizes);
            sized = true;
        } else if (strchr("xduotcsi", *at)) {
            f->letter = *at;
        } else {
            fprintf(out, "no such format: %c; there are x d u o t c s i and b h w g\n", *at);
            return false;
        }
    }
    if (f->letter == 'c' && !sized) {
        f->size = 1;
    }
    while (isspace((unsigned char)*at)) {
        at++;
    }
    *args = at;
    return true;
}

static void print_binary(u64 value, u8 size, FILE *out)
{
    for (unsigned bit = 8u * size; bit-- > 0;) {
        fputc('0' + (int)(value >> bit & 1), out);
    }
}

static void print_value(u64 value, char letter, u8 size, FILE *out)
{
    switch (letter) {
    case 'd':
        fprintf(out, "%lld", (long long)bits_sign_extend(value, size));
        break;
    case 'u':
        fprintf(out, "%llu", (unsigned long long)value);
        break;
    case 'o':
        fprintf(out, "0%llo", (unsigned long long)value);
        break;
    case 't':
        print_binary(value, size, out);
        break;
    case 'c':
        fprintf(out, isprint((int)(value & 0xFF)) ? "'%c'" : "%u", (int)(value & 0xFF));
        break;
    default:
        fprintf(out, "0x%0*llx", 2 * size, (unsigned long long)value);
        break;
    }
}

typedef u64 (*reader)(struct target *t, u64 address, void *out, u64 size);

static bool unreadable(u64 address, FILE *out)
{
    fprintf(out, "no memory at 0x%llx\n", (unsigned long long)address);
    return false;
}

static bool show_string(struct target *t, reader read, u64 *address, FILE *out)
{
    u8 c;
    u64 at = *address;
    if (read(t, at, &c, 1) != 1) {
        return unreadable(at, out);
    }
    fprintf(out, "0x%llx: \"", (unsigned long long)at);
    for (unsigned i = 0; i < 400 && read(t, at, &c, 1) == 1 && c; i++, at++) {
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else {
            fprintf(out, isprint(c) ? "%c" : "\\x%02x", c);
        }
    }
    fputs("\"\n", out);
    *address = at + 1;
    return true;
}

static bool show_units(struct target *t, reader read, const struct format *f, u64 *address,
                       FILE *out)
{
    unsigned in_line = f->letter == 't' ? 1
                       : f->size == 8   ? 2
                                        : 16 / f->size / (f->size < 4 ? 2 : 1);
    for (u64 i = 0; i < f->count; i++) {
        u64 value = 0;
        if (read(t, *address, &value, f->size) != f->size) {
            fputs(i % in_line ? "\n" : "", out);
            return unreadable(*address, out);
        }
        if (i % in_line == 0) {
            char name[100] = "";
            if (t->symbols && read == target_read) {
                struct symbol_place place;
                if (symbols_name(t->symbols, *address, &place) && place.name) {
                    snprintf(name, sizeof(name), " <%s+%llu>", place.name,
                             (unsigned long long)place.offset);
                }
            }
            fprintf(out, "%s0x%llx%s:", i ? "\n" : "", (unsigned long long)*address, name);
        }
        fputc(' ', out);
        print_value(value, f->letter, f->size, out);
        *address += f->size;
    }
    fputc('\n', out);
    return true;
}

static unsigned code_bits(struct target *t)
{
    struct cpu_regs regs;
    target_regs(t, &regs);
    return regs.seg[CPU_CS].attributes & 0x2000   ? 64
           : regs.seg[CPU_CS].attributes & 0x4000 ? 32
                                                  : 16;
}

static bool examine(struct target *t, reader read, const char *args, u64 address, struct format *f,
                    FILE *out)
{
    if (f->count > UNITS_MAX) {
        fprintf(out, "at most %d at once\n", UNITS_MAX);
        return false;
    }
    if (f->letter == 's') {
        bool good = true;
        for (u64 i = 0; i < f->count && good; i++) {
            good = show_string(t, read, &address, out);
        }
        t->last_address = address;
        return good;
    }
    if (f->letter == 'i') {
        t->last_address = disas_print(out, t->disas, code_bits(t), target_read_all, t, address,
                                      (unsigned)f->count, place_here(t).rip, 0);
        return true;
    }
    bool good = show_units(t, read, f, &address, out);
    t->last_address = address;
    return good;
}

bool cmd_x(struct target *t, const char *args, FILE *out)
{
    struct format f = {.count = 1, .letter = 'x', .size = 8};
    u64 address;
    if (*args != '/' && args_end(args) && *t->last_format) {
        const char *last = t->last_format;
        read_format(&last, &f, out);
    } else {
        snprintf(t->last_format, sizeof(t->last_format), "%.*s", (int)strcspn(args, " \t"),
                 *args == '/' ? args : "");
    }
    return read_format(&args, &f, out) && args_optional(t, &args, t->last_address, &address, out) &&
           examine(t, target_read, args, address, &f, out);
}

bool cmd_xp(struct target *t, const char *args, FILE *out)
{
    struct format f = {.count = 1, .letter = 'x', .size = 8};
    u64 address;
    if (!read_format(&args, &f, out) || !args_optional(t, &args, t->last_address, &address, out)) {
        return false;
    }
    if (f.letter == 'i') {
        fputs("xp shows no instructions\n", out);
        return false;
    }
    return examine(t, target_read_physical, args, address, &f, out);
}

bool cmd_print(struct target *t, const char *args, FILE *out)
{
    struct format f = {.count = 1, .letter = 0, .size = 8};
    struct expr_value value;
    if (!read_format(&args, &f, out)) {
        return false;
    }
    struct status s = target_evaluate(t, args, &value);
    if (!status_ok(&s)) {
        fprintf(out, "%s\n", s.text);
        return false;
    }
    u64 cut = bits_truncate(value.value, value.size);
    if (f.letter) {
        print_value(cut, f.letter, value.size, out);
    } else {
        fprintf(out, "0x%llx (%lld)", (unsigned long long)cut,
                value.is_signed || value.size == 8
                    ? (long long)bits_sign_extend(value.value, value.size)
                    : (long long)cut);
        struct symbol_place place;
        if (t->symbols && value.size == 8 && symbols_name(t->symbols, cut, &place) && place.name) {
            fprintf(out, " <%s+%llu>", place.name, (unsigned long long)place.offset);
        }
    }
    fputc('\n', out);
    return true;
}

// The "=" of an assignment: not part of == <= >= !=.
static const char *find_equals(const char *text)
{
    for (const char *at = text; *at; at++) {
        if (*at == '=' && at[1] == '=') {
            at++;
        } else if (*at == '=' && (at == text || !strchr("<>!", at[-1]))) {
            return at;
        }
    }
    return NULL;
}

static bool set_memory(struct target *t, const char *left, u64 value, FILE *out)
{
    struct expr_value place;
    struct status s = target_evaluate(t, left, &place);
    if (!status_ok(&s) || !place.is_memory) {
        fprintf(out, "%s\n", status_ok(&s) ? "only registers and memory can be set" : s.text);
        return false;
    }
    if (target_write(t, place.address, &value, place.size) != place.size) {
        return unreadable(place.address, out);
    }
    return true;
}

bool cmd_set(struct target *t, const char *args, FILE *out)
{
    char left[160];
    args_accept(&args, "var");
    const char *equals = find_equals(args);
    size_t length = equals ? (size_t)(equals - args) : 0;
    if (!length || length >= sizeof(left)) {
        return command_usage("set", out);
    }
    memcpy(left, args, length);
    while (length && isspace((unsigned char)left[length - 1])) {
        length--;
    }
    left[length] = '\0';
    struct expr_value value;
    struct status s = target_evaluate(t, equals + 1, &value);
    if (!status_ok(&s)) {
        fprintf(out, "%s\n", s.text);
        return false;
    }
    bool past = timeline_step(t->timeline) < timeline_end(t->timeline);
    bool done = *left == '$' ? target_set_variable(t, left + 1, value.value)
                             : set_memory(t, left, value.value, out);
    if (!done && *left == '$') {
        fprintf(out, "%s cannot be set\n", left);
    } else if (done && past) {
        fputs("what lay ahead is no longer this machine's future: it runs on live from here\n",
              out);
    }
    return done;
}

static void print_flags(u64 rflags, FILE *out)
{
    static const struct {
        u8 bit;
        const char *name;
    } flags[] = {{0, "CF"},  {2, "PF"},  {4, "AF"},  {6, "ZF"},  {7, "SF"},
                 {8, "TF"},  {9, "IF"},  {10, "DF"}, {11, "OF"}, {14, "NT"},
                 {16, "RF"}, {17, "VM"}, {18, "AC"}, {21, "ID"}};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (rflags >> flags[i].bit & 1) {
            fprintf(out, " %s", flags[i].name);
        }
    }
}

bool cmd_regs(struct target *t, const char *args, FILE *out)
{
    static const char *const names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                        "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    struct cpu_regs regs;
    char where[100];
    target_regs(t, &regs);
    for (unsigned i = 0; i < 16; i++) {
        fprintf(out, "%-4s0x%016llx%s", names[i], (unsigned long long)regs.gpr[i],
                i % 3 == 2 ? "\n" : "  ");
    }
    target_where(t, regs.rip, where, sizeof(where));
    fprintf(out, "\nrip 0x%016llx  %s\nrflags 0x%llx", (unsigned long long)regs.rip, where,
            (unsigned long long)regs.rflags);
    print_flags(regs.rflags, out);
    fprintf(out, "  ring %u%s\n", regs.cpl, regs.halted ? "  halted" : "");
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        fprintf(out, "%s 0x%04x ", segments[i], regs.seg[i].selector);
    }
    fprintf(out, " fs_base 0x%llx  gs_base 0x%llx  k_gs_base 0x%llx\n",
            (unsigned long long)regs.seg[CPU_FS].base, (unsigned long long)regs.seg[CPU_GS].base,
            (unsigned long long)regs.kernel_gs_base);
    fprintf(out, "cr0 0x%llx  cr2 0x%llx  cr3 0x%llx  cr4 0x%llx  cr8 %llu  efer 0x%llx\n",
            (unsigned long long)regs.cr0, (unsigned long long)regs.cr2,
            (unsigned long long)regs.cr3, (unsigned long long)regs.cr4,
            (unsigned long long)regs.cr8, (unsigned long long)regs.efer);
    return true;
}

bool cmd_disas(struct target *t, const char *args, FILE *out)
{
    u64 rip = place_here(t).rip, address, count;
    u64 from = t->last_address ? t->last_address : rip;
    if (!args_optional(t, &args, from, &address, out) ||
        !args_optional(t, &args, 16, &count, out)) {
        return false;
    }
    t->last_address = disas_print(out, t->disas, code_bits(t), target_read_all, t, address,
                                  (unsigned)(count < UNITS_MAX ? count : UNITS_MAX), rip,
                                  DISAS_SOURCE | DISAS_BYTES);
    return true;
}

bool cmd_list(struct target *t, const char *args, FILE *out)
{
    u64 address = place_here(t).rip;
    struct symbol_place place;
    if (!args_end(args) && !args_number(t, &args, &address, out)) {
        return false;
    }
    if (!t->symbols || !symbols_place(t->symbols, address, &place) || !place.path) {
        fprintf(out, "no source line is known for 0x%llx\n", (unsigned long long)address);
        return false;
    }
    unsigned first = place.line > 6 ? place.line - 5 : 1;
    if (!source_print(out, place.path, first, first + 10, place.line)) {
        fprintf(out, "%s:%u: the file cannot be read here\n", place.path, place.line);
        return false;
    }
    return true;
}

bool cmd_bt(struct target *t, const char *args, FILE *out)
{
    struct backtrace_frame frames[BACKTRACE_MAX];
    unsigned count;
    u64 pid;
    if (args_end(args)) {
        count = backtrace_cpu(t->m, t->cpu, t->symbols, frames, BACKTRACE_MAX);
    } else {
        struct guest_task task;
        if (!args_number(t, &args, &pid, out)) {
            return false;
        }
        if (!t->guest || !guest_task_by_pid(t->guest, (int)pid, &task)) {
            fprintf(out, "no task %llu\n", (unsigned long long)pid);
            return false;
        }
        guest_follow(t->guest, &task);
        count = backtrace_task(t->m, t->guest, &task, t->symbols, frames, BACKTRACE_MAX);
    }
    backtrace_print(out, t->symbols, frames, count);
    target_choose_program(t);
    return true;
}

bool cmd_symbol(struct target *t, const char *args, FILE *out)
{
    u64 address;
    char where[120];
    if (args_end(args)) {
        return command_usage("symbol", out);
    }
    if (!args_number(t, &args, &address, out)) {
        return false;
    }
    target_where(t, address, where, sizeof(where));
    fprintf(out, "0x%llx %s\n", (unsigned long long)address, where);
    return true;
}
