/* What the fuzzers of the readers share: no input may crash ps_micrograph_parse(), and what it
 * accepts must be within the options and readable to its last pixel. */
#ifndef PS_FUZZ_IMAGE_H
#define PS_FUZZ_IMAGE_H

#include "image/reader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static inline void fuzz_image(const uint8_t *bytes, size_t length, const char *format)
{
    for (enum ps_movies movies = PS_MOVIES_SKIP; movies <= PS_MOVIES_SUM; movies++) {
        const struct ps_read_options options = {.movies = movies, .max_pixels = 1 << 20};
        struct ps_micrograph *micrograph = NULL;
        struct ps_error error;
        if (ps_micrograph_parse(bytes, length, &options, &micrograph, &error)) {
            if (error.message[0] == '\0' || strchr(error.message, '\n'))
                abort(); /* every fault is reported in one line */
            continue;
        }
        const size_t count = (size_t)micrograph->image.width * (size_t)micrograph->image.height;
        if (count == 0 || count > options.max_pixels || strcmp(micrograph->format, format) != 0)
            abort();
        float *floats = malloc(count * sizeof *floats);
        if (floats)
            ps_pixels_to_float(micrograph->pixels, micrograph->image.type, count, floats);
        free(floats);
        ps_micrograph_free(micrograph);
    }
}

#endif
