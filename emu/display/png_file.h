// SPDX-License-Identifier: MIT
// A surface as a PNG file.
#ifndef VIV_DISPLAY_PNG_FILE_H
#define VIV_DISPLAY_PNG_FILE_H

#include "base/status.h"
#include "display/surface.h"

#include <stdio.h>

// Writes s, which has pixels, to an open file; path is for messages. fast: larger, in a fraction of
// the time. STATUS_BAD_INPUT: it could not be written.
struct status png_file_write(FILE *file, const char *path, const struct surface *s, bool fast);

#endif
