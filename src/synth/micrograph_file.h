/* Writes micrographs as MRC or TIFF files; a file is first made in memory.
 *
 * MRC (MRC2014: Cheng et al., J. Struct. Biol. 192 (2015) 146): little-endian with its machine
 * stamp, modes 1 (int16), 2 (float32) and 12 (float16), pixel size in cella/mx, statistics of the
 * values as stored, ISPG 0 (an image), no extended header.
 * TIFF: uncompressed strips; mode 1 becomes unsigned 16-bit, mode 2 float32. The first row in
 * memory is written last, because readers flip TIFFs into MRC order (micrograph.h), and the pixel
 * size becomes the resolution tags (pixels a centimetre).
 * Integers are rounded to nearest even and clamped to their range, NaN becomes 0.
 * Files contain no time, so the same pixels give the same bytes. */
#ifndef PS_SYNTH_MICROGRAPH_FILE_H
#define PS_SYNTH_MICROGRAPH_FILE_H

#include "base/error.h"

#include <stdint.h>

enum ps_container { PS_CONTAINER_MRC, PS_CONTAINER_TIFF };

struct ps_file_format {
    enum ps_container container;
    int mode;          /* MRC mode; TIFF has 1 and 2 */
    double pixel_size; /* angstrom; 0: unknown */
};

/* ".mrc", ".tiff" */
const char *ps_container_extension(enum ps_container container);

/* Makes the bytes of a file from `height` rows of `width` pixels. `*ret_bytes` is to be freed.
 * PS_E_CONFIG: the container does not support the mode; PS_E_NOMEM; PS_E_SYSTEM. */
int ps_micrograph_encode(const struct ps_file_format *format, const float *pixels, int width,
                         int height, uint8_t **ret_bytes, size_t *ret_length,
                         struct ps_error *error);

/* Encodes and writes a file atomically (base/atomic_file.h). Errors as above; with PS_E_SYSTEM the
 * message has the path. */
int ps_micrograph_write(const char *path, const struct ps_file_format *format, const float *pixels,
                        int width, int height, struct ps_error *error);

#endif
