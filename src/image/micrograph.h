/* A micrograph in memory, and how files become one.
 *
 * Readers are found by an ordered probe list (read.c): each looks at the first bytes and says "not
 * mine" or reads. They read through a ps_source, so a file and a buffer in memory go the same way.
 * Pixels keep the file's own type (the device converts them): only what no device should have to
 * know is converted here: other byte orders, 4-bit, 32-bit integers, sums of movie frames.
 * Rows come in MRC order; a TIFF's rows are flipped, as RELION, IMOD and EMAN2 do on reading, so
 * that coordinates mean the same pixel in both formats.
 */
#ifndef PS_IMAGE_MICROGRAPH_H
#define PS_IMAGE_MICROGRAPH_H

#include "pickstream.h"

#include <stdint.h>

enum ps_movies { PS_MOVIES_SKIP, PS_MOVIES_SUM };

struct ps_read_options {
    enum ps_movies movies; /* what to do with more than one frame: refuse, or add them up */
    uint64_t max_pixels;   /* of one frame; more is refused before anything is allocated */
};

struct ps_micrograph {
    struct ps_image image; /* its pixels point at `pixels` */
    void *pixels;          /* owned */
    const char *format;    /* "mrc" or "tiff" */
    int mode;              /* MRC mode; TIFF: bits a sample */
    int frames;            /* in the file; summed if more than 1 */
    uint64_t bytes;        /* length of the file */
    char warning[160];     /* something odd that did not stop the reader; empty mostly */
};

/* Bytes with random access. `read_at` fills `buffer` with exactly `length` bytes from `offset`, or
 * fails with PS_E_INPUT (file ends) or PS_E_SYSTEM. */
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

/* The same from `length` bytes in memory; the message names no file. */
int ps_micrograph_parse(const void *bytes, size_t length, const struct ps_read_options *options,
                        struct ps_micrograph **ret_micrograph, struct ps_error *error);

void ps_micrograph_free(struct ps_micrograph *micrograph);

/* How much of a micrograph is in its file, as far as can be told without its pixels. */
enum ps_extent {
    PS_EXTENT_SHORT, /* less than its header speaks of, or no header yet: unfinished, or cut off */
    PS_EXTENT_BLANK, /* long enough, but zeros at its end: reserved and unwritten, or really zero */
    PS_EXTENT_WHOLE, /* nothing is missing; also if it is damaged, for waiting does not mend it */
};

/* Looks at the headers of a file and at its last bytes. MRC: the length that the header predicts;
 * TIFF: the chain of directories, and what they speak of. The message of a failure begins with the
 * path. PS_E_INPUT: no such file, not a regular file; PS_E_SYSTEM: no permission, cannot read. */
int ps_micrograph_extent(const char *path, enum ps_extent *ret_extent, struct ps_error *error);

/* Size of one pixel in bytes. */
size_t ps_pixel_bytes(enum ps_pixel type);

/* Converts `count` pixels of `type` to float32. */
void ps_pixels_to_float(const void *pixels, enum ps_pixel type, size_t count, float *ret);

/* float16 <-> float32, IEEE, round to nearest even. */
float ps_half_to_float(uint16_t half);
uint16_t ps_float_to_half(float value);

#endif
