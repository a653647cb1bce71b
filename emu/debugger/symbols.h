// SPDX-License-Identifier: MIT
// Names, source lines, types and unwinding of ELF files with DWARF (libelf, libdw): fern, user
// programs, any file given. Of Linux kernels: vmlinux or bzImage with what they carry themselves
// (kallsyms, BTF, ORC), and System.map. Read lazily: adding a file reads its symbol table only.
#ifndef VIV_DEBUGGER_SYMBOLS_H
#define VIV_DEBUGGER_SYMBOLS_H

#include "base/status.h"
#include "base/types.h"

struct symbols;

// Reads size bytes of guest memory at a linear address: all or nothing.
typedef bool (*symbols_read_fn)(void *ctx, u64 linear, void *out, u64 size);

struct symbols *symbols_create(void);
void symbols_destroy(struct symbols *s);

// Adds a file at load address bias (0 for static executables and fern). kernel: its addresses are
// meant in every address space; a program's only in the lower half; a file that is linked for the
// upper half is a kernel's in any case. STATUS_BAD_INPUT: none of the forms above, not for x86-64,
// not readable.
struct status symbols_add(struct symbols *s, const char *path, u64 bias, bool kernel);
// Which program's names hold for user addresses: only files of this base name count ("/bin/ls"
// picks an added ".../ls"). NULL: all do, in the order added.
void symbols_set_program(struct symbols *s, const char *path);
// After symbols_set_program: the program that runs has the file of this base name mapped, its first
// page at begin. Files loaded anywhere (shared objects, PIE, added with bias 0) move there and
// count. False: no such file was added.
bool symbols_map(struct symbols *s, const char *path, u64 begin);
bool symbols_need_maps(const struct symbols *s); // a file was added that symbols_map is for

struct symbol_place {
    const char *name; // function or object; NULL: unknown
    u64 offset;       // of the address in it
    u64 start, size;
    const char *file; // source, NULL: unknown; short path
    const char *path; // as the compiler wrote it, absolute
    unsigned line;
    const char *object; // base name of the ELF file
};
// Strings stay valid as long as s. False, with out empty: no file given covers the address.
bool symbols_place(struct symbols *s, u64 address, struct symbol_place *out);
// The same without the source line: much cheaper at first use of a file.
bool symbols_name(struct symbols *s, u64 address, struct symbol_place *out);
// A function whose code was put into the one that called it. Of an address in such code: [0] is the
// innermost inlined function and the line in it, each next one the function that it was called from
// and the line of the call, the last one the function that symbols_place names. Returns how many,
// at most room; 0: nothing is inlined there.
struct symbol_inline {
    const char *name, *file;
    unsigned line;
};
unsigned symbols_inlines(struct symbols *s, u64 address, struct symbol_inline *out, unsigned room);
// "name+0x10" or "name" or "0x..." into text.
void symbols_format(struct symbols *s, u64 address, char *text, u64 size);
// "name", "name+0x10", "file.c:120", "0x..." → address. Of a line: its first instruction, or that
// of the next line that has code.
bool symbols_address(struct symbols *s, const char *text, u64 *out);
// A Linux kernel's symbols are among these.
bool symbols_kernel_is_linux(struct symbols *s);
// Tells by the CPU's LSTAR (0: not set yet) where a Linux kernel lies, which it may choose for
// itself (KASLR). True: its addresses have changed.
bool symbols_locate_kernel(struct symbols *s, u64 lstar);
// The same for a name that the kernel defines, whatever a program may call so.
bool symbols_kernel_address(struct symbols *s, const char *name, u64 *out);
// Start and end of the code of the line that address lies in (for stepping by lines).
bool symbols_line_range(struct symbols *s, u64 address, u64 *begin, u64 *end);
// The first address behind a function's prologue (where a breakpoint by name shows arguments); the
// function's start if unknown.
u64 symbols_after_prologue(struct symbols *s, u64 function);
// Names beginning with prefix, for completion, in no particular order; a name may come twice.
void symbols_each_name(struct symbols *s, const char *prefix,
                       void (*fn)(void *ctx, const char *name), void *ctx);

// Every name with its address, file by file in the order of addresses.
struct symbol_row {
    const char *name;
    u64 address, size; // 0: not known
    bool function;
};
void symbols_each(struct symbols *s, void (*fn)(void *ctx, const struct symbol_row *row),
                  void *ctx);

// Types, for reading the guest kernel's structures: offset and size of "member" or
// "member.inner[3]" of "struct name"; false if no file has such a thing. Kernels are asked first.
struct symbol_member {
    u64 offset, size;
    bool is_signed, is_pointer;
};
bool symbols_member(struct symbols *s, const char *struct_name, const char *member,
                    struct symbol_member *out);
bool symbols_struct_size(struct symbols *s, const char *struct_name, u64 *size);
// The value of an enumerator.
bool symbols_enumerator(struct symbols *s, const char *name, s64 *value);

enum symbol_unwind_how {
    SYMBOL_UNWIND_START,         // the frame one began with
    SYMBOL_UNWIND_CFI,           // .eh_frame or .debug_frame
    SYMBOL_UNWIND_FRAME_POINTER, // RBP
};
// gpr as the instruction set numbers them (CPU_RAX...).
struct symbol_frame {
    u64 gpr[16], rip;
    bool exact; // rip is the instruction to be executed, not a return address
    enum symbol_unwind_how how;
};
// One frame up by the unwind tables, else by the frame pointer. False: this is the outermost, or
// memory is not readable. Always goes up: the stack pointer rises, but from kernel to user.
bool symbols_unwind(struct symbols *s, struct symbol_frame *frame, symbols_read_fn read, void *ctx);

#endif
