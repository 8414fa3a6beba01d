/* A micrograph in memory, and the readers of files.
 *
 * An ordered probe list (read.c) finds the reader: each one checks the first bytes of a file. All
 * read through a ps_source, so that files and buffers in memory take the same path.
 * Pixels keep the type of the file (the device converts them), except for foreign byte orders,
 * 4-bit samples, 32-bit integers, and sums of movie frames, which are converted here. Rows come in
 * MRC order; a TIFF's rows are flipped, as RELION, IMOD and EMAN2 do on reading, so that
 * coordinates mean the same pixel in both formats.
 */
#ifndef PS_IMAGE_MICROGRAPH_H
#define PS_IMAGE_MICROGRAPH_H

#include "pickstream.h"

#include <stdint.h>

enum ps_movies { PS_MOVIES_SKIP, PS_MOVIES_SUM };

struct ps_read_options {
    enum ps_movies movies; /* several frames: refuse them, or sum them */
    uint64_t max_pixels;   /* of one frame; a larger one is refused before any allocation */

    /* Called with what the headers say, without pixels, before they are allocated; a failure ends
     * the reading and is returned. NULL: everything is read. */
    int (*admit)(const void *context, const struct ps_image *image, struct ps_error *error);
    const void *admit_context;
};

struct ps_micrograph {
    struct ps_image image; /* its pixels point at `pixels` */
    void *pixels;          /* owned */
    const char *format;    /* "mrc" or "tiff" */
    int mode;              /* MRC mode; TIFF: bits per sample */
    int frames;            /* in the file; summed if more than 1 */
    uint64_t bytes;        /* length of the file */
    char warning[160];     /* problem that did not stop the reader; usually "" */
};

/* Bytes with random access. `read_at` reads exactly `length` bytes at `offset` into `buffer`.
 * PS_E_INPUT: beyond the end of the file; PS_E_SYSTEM. */
struct ps_source {
    int (*read_at)(const struct ps_source *source, uint64_t offset, void *buffer, size_t length,
                   struct ps_error *error);
    uint64_t size;     /* bytes */
    const void *bytes; /* a buffer in memory, or NULL */
    int fd;            /* a file, or -1 */
};

/* Reads a micrograph from a file; the message of a failure begins with the path.
 * PS_E_INPUT: not a micrograph, damaged, or outside the options; PS_E_SYSTEM; PS_E_NOMEM. */
int ps_micrograph_read(const char *path, const struct ps_read_options *options,
                       struct ps_micrograph **ret_micrograph, struct ps_error *error);

/* The same from `length` bytes in memory; the message does not name a file. */
int ps_micrograph_parse(const void *bytes, size_t length, const struct ps_read_options *options,
                        struct ps_micrograph **ret_micrograph, struct ps_error *error);

void ps_micrograph_free(struct ps_micrograph *micrograph);

/* The message, after the path, of a file that the user of the process is not allowed to read. */
#define PS_REASON_NO_PERMISSION "no permission to read it"

/* The state of a file that may still be written, judged without reading its pixels. */
enum ps_extent {
    PS_EXTENT_SHORT, /* shorter than the header requires, or without one: unfinished, or cut off */
    PS_EXTENT_BLANK, /* long enough, but ends in zeros: allocated and unwritten, or real zeros */
    PS_EXTENT_WHOLE, /* complete; also a damaged file, because waiting does not repair it */
};

/* Checks the headers of a file and its last bytes. MRC: the length that the header predicts; TIFF:
 * the chain of directories, and the data that they refer to. The message of a failure begins with
 * the path. PS_E_INPUT: no such file, not a regular file; PS_E_SYSTEM: no permission, cannot read.
 */
int ps_micrograph_extent(const char *path, enum ps_extent *ret_extent, struct ps_error *error);

/* The size of one pixel in bytes. */
size_t ps_pixel_bytes(enum ps_pixel type);

/* Converts `count` pixels of `type` to float32. */
void ps_pixels_to_float(const void *pixels, enum ps_pixel type, size_t count, float *ret);

/* float16 <-> float32, IEEE, round to nearest even. */
float ps_half_to_float(uint16_t half);
uint16_t ps_float_to_half(float value);

#endif
