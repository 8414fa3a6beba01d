/* What the readers share among themselves; the rest of the program needs micrograph.h only.
 *
 * A reader is a row of the probe list in read.c: probe() sees the first bytes of a file, read()
 * makes a micrograph of it, whole() tells whether its writer seems to be done. The rules that every
 * reader keeps, because headers lie:
 *
 *  1. Sizes are computed in 64 bits and compared with the length of the file and with
 *     options->max_pixels before anything is allocated for them.
 *  2. More than one frame is never read as if it were one: it is refused or summed.
 *  3. What is wrong with a file is said in one line, with the value found and the one expected.
 *  4. Readers keep no state outside their arguments; any number of threads may read at once.
 */
#ifndef PS_IMAGE_READER_H
#define PS_IMAGE_READER_H

#include "image/micrograph.h"

enum { PS_HEAD_BYTES = 1024 }; /* what a probe may look at; an MRC header */

struct ps_reader {
    const char *format;

    /* Whether the file is this reader's, from its first `length` bytes (up to PS_HEAD_BYTES). */
    bool (*probe)(const unsigned char *head, size_t length);

    int (*read)(const struct ps_source *source, const struct ps_read_options *options,
                struct ps_micrograph **ret_micrograph, struct ps_error *error);

    /* Whether all is there that the headers speak of; also true of nonsense, which read() names.
     * Fails only if the source does. */
    int (*whole)(const struct ps_source *source, bool *ret_whole, struct ps_error *error);
};

extern const struct ps_reader ps_reader_mrc;
extern const struct ps_reader ps_reader_tiff;

/* A source over an open file, which stays the caller's. PS_E_INPUT: not a regular file (so neither
 * a pipe nor a device is ever read, and nothing blocks); PS_E_SYSTEM. */
int ps_source_file(int fd, struct ps_source *ret_source, struct ps_error *error);

/* A source over bytes in memory, which must outlive it. */
void ps_source_memory(const void *bytes, size_t length, struct ps_source *ret_source);

/* An empty micrograph with uninitialised memory for its pixels; frames 1, everything else zero.
 * The caller has checked the size with ps_frame_check(). PS_E_NOMEM. */
int ps_micrograph_new(const char *format, int width, int height, enum ps_pixel type,
                      struct ps_micrograph **ret_micrograph, struct ps_error *error);

/* Adds a remark to the micrograph's warning, after "; " if there is one; cut if it is too long. */
__attribute__((format(printf, 2, 3))) void ps_micrograph_warn(struct ps_micrograph *micrograph,
                                                              const char *format, ...);

/* Refuses (PS_E_INPUT) frames without pixels, or with more than max_pixels or INT_MAX a side. */
int ps_frame_check(uint64_t width, uint64_t height, const struct ps_read_options *options,
                   struct ps_error *error);

/* Refuses (PS_E_INPUT) more than one frame where the options do not ask for their sum. */
int ps_movie_check(uint64_t frames, const struct ps_read_options *options, struct ps_error *error);

/* `angstrom` where it can be the pixel size of a micrograph (0.05 to 200), else 0: headers hold
 * zeros, ones over the width of the image, and 72 dots per inch. */
double ps_pixel_size_sane(double angstrom);

/* Adds `count` pixels of `type` to the float32 sums. */
void ps_pixels_add(const void *pixels, enum ps_pixel type, size_t count, float *sums);

#endif
