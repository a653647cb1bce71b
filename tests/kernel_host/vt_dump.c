// SPDX-License-Identifier: MIT
// vt_dump COLS ROWS: shows the screen after the bytes of standard input, row by row, and the
// cursor's place; tests/kernel_host/test_vt_tmux.py compares it with tmux's.
#include <stdio.h>
#include <stdlib.h>

#include "vt_host.h"

int main(int argc, char **argv)
{
    unsigned cols = argc == 3 ? (unsigned)atoi(argv[1]) : 0;
    unsigned rows = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
    if (!cols || !rows || cols > VT_MAX_COLS || rows > VT_MAX_ROWS) {
        fprintf(stderr, "usage: vt_dump COLS ROWS < BYTES\n");
        return 2;
    }
    struct vt_screen *s = vt_host_new(cols, rows, 100);
    u8 buffer[777];
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), stdin)) > 0;)
        vt_screen_write(s, buffer, n);
    for (unsigned y = 0; y < rows; y++)
        puts(vt_host_row(s, 0, y));
    printf("%u %u\n", s->at.x, s->at.y);
    vt_host_free(s);
    return 0;
}
