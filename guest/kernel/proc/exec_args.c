// SPDX-License-Identifier: MIT
// execve(2): the argument strings on their way from the old program to the new stack.
#include "abi/auxv.h"
#include "abi/resource.h"
#include "arch/x86_64/uaccess.h"
#include "init/init.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"
#include "proc/exec_internal.h"
#include "proc/signal.h"

#define STRING_MAX (32 * PAGE_SIZE)
#define ARGS_MAX (6UL << 20) // three quarters of the default stack limit
#define BLOCK_SIZE PAGE_SIZE
#define MAX_PREFIX (3 * EXEC_MAX_DEPTH)
#define PLATFORM "x86_64"

// A growing byte string in blocks.
struct blocks {
    u8 **block;
    unsigned count, room;
    u64 size;
};

struct exec_args {
    struct blocks text;          // argv strings, then envp strings, each with its terminator
    unsigned argc, envc;
    u64 argv_bytes;              // of them in `text`
    u64 skip_bytes;              // argv[0], which a script replaces
    unsigned skip;               // 1 once argv[0] is replaced
    char *prefix[MAX_PREFIX];    // strings before argv, first to last
    unsigned prefix_count;
    u64 prefix_bytes;
    u64 limit;
};

static int blocks_grow(struct blocks *b)
{
    if (b->count == b->room) {
        unsigned room = b->room ? b->room * 2 : 8;
        u8 **more = krealloc(b->block, room * sizeof(*more), GFP_KERNEL);
        if (!more)
            return -ENOMEM;
        b->block = more;
        b->room = room;
    }
    u8 *fresh = kmalloc(BLOCK_SIZE, GFP_KERNEL);
    if (!fresh)
        return -ENOMEM;
    b->block[b->count++] = fresh;
    return 0;
}

struct exec_args *exec_args_alloc(void)
{
    struct exec_args *a = kzalloc(sizeof(*a), GFP_KERNEL);
    if (a)
        a->limit = max(min(rlimit(RLIMIT_STACK) / 4, ARGS_MAX), STRING_MAX);
    return a;
}

void exec_args_free(struct exec_args *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < a->text.count; i++)
        kfree(a->text.block[i]);
    for (unsigned i = 0; i < a->prefix_count; i++)
        kfree(a->prefix[i]);
    kfree(a->text.block);
    kfree(a);
}

// Appends one string of the user with its terminator.
static int append_user(struct exec_args *a, const char __user *s)
{
    struct blocks *b = &a->text;
    u64 begin = b->size;
    for (;;) {
        u64 offset = b->size % BLOCK_SIZE;
        if (offset == 0) {
            int error = blocks_grow(b);
            if (error)
                return error;
        }
        long room = (long)(BLOCK_SIZE - offset);
        long n = strncpy_from_user((char *)b->block[b->count - 1] + offset, s, room);
        if (n < 0)
            return -EFAULT;
        bool done = n < room;
        b->size += (u64)n + done;
        s += n;
        if (b->size - begin > STRING_MAX || b->size > a->limit)
            return -E2BIG;
        if (done)
            return 0;
    }
}

static int append_kernel(struct exec_args *a, const char *s)
{
    struct blocks *b = &a->text;
    u64 left = strlen(s) + 1;
    while (left) {
        u64 offset = b->size % BLOCK_SIZE;
        if (offset == 0) {
            int error = blocks_grow(b);
            if (error)
                return error;
        }
        u64 n = min(left, BLOCK_SIZE - offset);
        memcpy(b->block[b->count - 1] + offset, s, n);
        b->size += n;
        s += n;
        left -= n;
    }
    return 0;
}

static int append_user_array(struct exec_args *a, const u64 __user *array, unsigned *count)
{
    for (; array; array++) {
        u64 s;
        if (get_user(s, array))
            return -EFAULT;
        if (!s)
            break;
        int error = append_user(a, (const char __user *)s);
        if (error)
            return error;
        if (a->text.size + ++*count * sizeof(u64) > a->limit)
            return -E2BIG;
        if (fatal_signal_pending(current))
            return -ERESTARTNOHAND;
    }
    return 0;
}

// A program that is given no arguments gets one empty string: too many take argv[0] for granted.
static int end_of_argv(struct exec_args *a)
{
    int error = 0;
    if (!a->argc) {
        error = append_kernel(a, "");
        a->argc = 1;
    }
    a->argv_bytes = a->text.size;
    return error;
}

int exec_args_from_user(struct exec_args *a, const u64 __user *argv, const u64 __user *envp)
{
    int error = append_user_array(a, argv, &a->argc);
    if (!error)
        error = end_of_argv(a);
    return error ? error : append_user_array(a, envp, &a->envc);
}

int exec_args_from_kernel(struct exec_args *a, const char *const *argv, const char *const *envp)
{
    int error = 0;
    for (; !error && argv[a->argc]; a->argc++)
        error = append_kernel(a, argv[a->argc]);
    if (!error)
        error = end_of_argv(a);
    for (; !error && envp[a->envc]; a->envc++)
        error = append_kernel(a, envp[a->envc]);
    return error;
}

static void drop_first_arg(struct exec_args *a)
{
    if (a->prefix_count) {
        a->prefix_bytes -= strlen(a->prefix[0]) + 1;
        kfree(a->prefix[0]);
        memmove(a->prefix, a->prefix + 1, --a->prefix_count * sizeof(a->prefix[0]));
    } else if (!a->skip) {
        a->skip = 1;
        while (a->text.block[a->skip_bytes / BLOCK_SIZE][a->skip_bytes % BLOCK_SIZE])
            a->skip_bytes++;
        a->skip_bytes++;
    }
}

static int push_front(struct exec_args *a, const char *s)
{
    if (!s)
        return 0;
    char *copy = a->prefix_count < MAX_PREFIX ? kstrdup(s, GFP_KERNEL) : NULL;
    if (!copy)
        return a->prefix_count < MAX_PREFIX ? -ENOMEM : -E2BIG;
    memmove(a->prefix + 1, a->prefix, a->prefix_count * sizeof(a->prefix[0]));
    a->prefix[0] = copy;
    a->prefix_count++;
    a->prefix_bytes += strlen(s) + 1;
    return 0;
}

int exec_args_prepend(struct exec_args *a, const char *interp, const char *arg, const char *script)
{
    drop_first_arg(a);
    int error = push_front(a, script);
    if (!error)
        error = push_front(a, arg);
    return error ? error : push_front(a, interp);
}

// --- onto the new stack

// The stack is fresh and the strings are within its limit, so what fails here is the memory.
static int write_bytes(u64 *at, const void *from, u64 n)
{
    if (copy_to_user((void __user *)*at, from, n))
        return -ENOMEM;
    *at += n;
    return 0;
}

static int write_text(struct exec_args *a, u64 *at)
{
    for (unsigned i = 0; i < a->prefix_count; i++) {
        if (write_bytes(at, a->prefix[i], strlen(a->prefix[i]) + 1))
            return -ENOMEM;
    }
    for (u64 pos = a->skip_bytes; pos < a->text.size;) {
        u64 n = min(a->text.size - pos, BLOCK_SIZE - pos % BLOCK_SIZE);
        if (write_bytes(at, a->text.block[pos / BLOCK_SIZE] + pos % BLOCK_SIZE, n))
            return -ENOMEM;
        pos += n;
    }
    return 0;
}

// Pointers to `n` strings that lie one after the other from *text in the blocks at *pos; then a
// null pointer.
static int write_pointers(struct exec_args *a, u64 *at, unsigned n, u64 *text, u64 *pos)
{
    for (unsigned i = 0; i < n; i++) {
        if (write_bytes(at, text, sizeof(*text)))
            return -ENOMEM;
        u8 c;
        do {
            c = a->text.block[*pos / BLOCK_SIZE][*pos % BLOCK_SIZE];
            ++*pos;
            ++*text;
        } while (c);
    }
    return 0;
}

static int write_vectors(struct exec_args *a, u64 at, u64 text, const u64 *auxv,
                         unsigned auxv_words)
{
    const u64 zero = 0;
    u64 argc = a->prefix_count + a->argc - a->skip;
    u64 pos = a->skip_bytes;
    if (write_bytes(&at, &argc, sizeof(argc)))
        return -ENOMEM;
    for (unsigned i = 0; i < a->prefix_count; i++) {
        if (write_bytes(&at, &text, sizeof(text)))
            return -ENOMEM;
        text += strlen(a->prefix[i]) + 1;
    }
    if (write_pointers(a, &at, a->argc - a->skip, &text, &pos) ||
        write_bytes(&at, &zero, sizeof(zero)) || write_pointers(a, &at, a->envc, &text, &pos) ||
        write_bytes(&at, &zero, sizeof(zero)))
        return -ENOMEM;
    return write_bytes(&at, auxv, auxv_words * sizeof(u64));
}

static void set_auxv(u64 *auxv, unsigned words, u64 type, u64 value)
{
    for (unsigned i = 0; i + 1 < words; i += 2) {
        if (auxv[i] == type)
            auxv[i + 1] = value;
    }
}

long exec_args_write(struct exec_args *a, const char *filename, u64 top, u64 *auxv,
                     unsigned auxv_words)
{
    struct mm_struct *mm = current->mm;
    u64 name_size = strlen(filename) + 1;
    u64 text_size = a->prefix_bytes + a->text.size - a->skip_bytes;
    u64 argv_size = a->prefix_bytes + a->argv_bytes - a->skip_bytes;
    u64 name = top - sizeof(u64) - name_size; // the last word of the stack is zero
    u64 text = name - text_size;
    u64 platform = ALIGN_DOWN(text, 16UL) - sizeof(PLATFORM);
    u64 random = platform - 16;
    u64 words = 1 + a->prefix_count + a->argc - a->skip + 1 + a->envc + 1 + auxv_words;
    u64 sp = ALIGN_DOWN(ALIGN_DOWN(random, 16UL) - words * sizeof(u64), 16UL);
    u8 seed[16];
    u64 at = text;
    random_bytes(seed, sizeof(seed));
    set_auxv(auxv, auxv_words, AT_RANDOM, random);
    set_auxv(auxv, auxv_words, AT_PLATFORM, platform);
    set_auxv(auxv, auxv_words, AT_EXECFN, name);
    if (write_text(a, &at) || write_bytes(&at, filename, name_size))
        return -ENOMEM;
    at = platform;
    if (write_bytes(&at, PLATFORM, sizeof(PLATFORM)))
        return -ENOMEM;
    at = random;
    if (write_bytes(&at, seed, sizeof(seed)) || write_vectors(a, sp, text, auxv, auxv_words))
        return -ENOMEM;
    mm->arg_start = text;
    mm->arg_end = mm->env_start = text + argv_size;
    mm->env_end = text + text_size;
    mm->start_stack = sp;
    memcpy(mm->saved_auxv, auxv, min(sizeof(mm->saved_auxv), auxv_words * sizeof(u64)));
    return (long)sp;
}
