// SPDX-License-Identifier: MIT
// A terminal's screen on the host, as text.
#include "vt_host.h"

#include <stdlib.h>
#include <string.h>

#include "mm/slab.h"

void *kmalloc(size_t size, gfp_t gfp) // for printf.c
{
    (void)gfp;
    return malloc(size);
}

static char answered[4096];
static size_t answered_len;

static void answer(void *context, const char *bytes, size_t n)
{
    (void)context;
    if (n > sizeof(answered) - 1 - answered_len)
        n = sizeof(answered) - 1 - answered_len;
    memcpy(answered + answered_len, bytes, n);
    answered_len += n;
}

const char *vt_host_answer(void)
{
    answered[answered_len] = 0;
    answered_len = 0;
    return answered;
}

struct host_screen {
    struct vt_screen s;
    void *memory;
};

struct vt_screen *vt_host_new(unsigned cols, unsigned rows, unsigned history)
{
    struct host_screen *h = calloc(1, sizeof(*h));
    h->memory = malloc(vt_screen_memory(cols, rows, history)); // of that size: ASan sees more
    h->s.answer = answer;
    vt_screen_init(&h->s, cols, rows, history, h->memory);
    return &h->s;
}

void vt_host_free(struct vt_screen *s)
{
    struct host_screen *h = (struct host_screen *)s;
    free(h->memory);
    free(h);
}

void vt_host_write(struct vt_screen *s, const char *text)
{
    vt_screen_write(s, (const u8 *)text, strlen(text));
}

static size_t put_utf8(char *to, u32 c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    unsigned n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (unsigned i = n; i-- > 1; c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)((0xf00u >> n & 0xffu) | c);
    return n;
}

const char *vt_host_row(const struct vt_screen *s, unsigned back, unsigned y)
{
    static char text[4 * VT_MAX_COLS + 1];
    const vt_cell *cells = vt_screen_view(s, back, y);
    size_t n = 0, end = 0;
    for (unsigned x = 0; x < s->cols; x++) {
        u32 c = cells[x] & VT_CHAR_MASK;
        n += put_utf8(text + n, c);
        if (c != ' ')
            end = n;
    }
    text[end] = 0;
    return text;
}
