// SPDX-License-Identifier: MIT
// PNG through libpng's simplified interface: no text, no time, so that equal pictures are equal
// files.
#include "display/png_file.h"

#include "base/memory.h"

#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

// Three bytes a pixel: red, green, blue.
static u8 *make_rgb(const struct surface *s)
{
    size_t count = (size_t)s->width * s->height;
    u8 *rgb = xcalloc(count + 1, 3);
    for (size_t i = 0; i < count; i++) {
        rgb[3 * i] = (u8)(s->pixels[i] >> 16);
        rgb[3 * i + 1] = (u8)(s->pixels[i] >> 8);
        rgb[3 * i + 2] = (u8)s->pixels[i];
    }
    return rgb;
}

struct status png_file_write(FILE *file, const char *path, const struct surface *s, bool fast)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = s->width,
                       .height = s->height,
                       .format = PNG_FORMAT_RGB,
                       .flags = fast ? PNG_IMAGE_FLAG_FAST : 0};
    u8 *rgb = make_rgb(s);
    errno = 0;
    bool written = png_image_write_to_stdio(&image, file, 0, rgb, 0, NULL) && fflush(file) == 0;
    free(rgb);
    if (written) {
        return status_success();
    }
    const char *why = errno ? strerror(errno) : image.message;
    return status_error(STATUS_BAD_INPUT, "cannot write %s: %s", path, why);
}
