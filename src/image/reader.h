/* The internal interface of the readers; the rest of the program needs only micrograph.h.
 *
 * A reader is a row of the probe list in read.c: probe() checks the first bytes of a file, read()
 * makes a micrograph of it, whole() tells whether the file seems complete. Headers cannot be
 * trusted, so every reader keeps these rules:
 *
 *  1. Sizes are computed in 64 bits and compared with the length of the file and with
 *     options->max_pixels before anything is allocated for them.
 *  2. Several frames are never read as one: they are refused or summed.
 *  3. An error message is one line with the value found and the one expected.
 *  4. Readers keep no state outside their arguments; any number of threads may read at once.
 */
#ifndef PS_IMAGE_READER_H
#define PS_IMAGE_READER_H

#include "image/micrograph.h"

enum { PS_HEAD_BYTES = 1024 }; /* bytes for a probe; the size of an MRC header */

struct ps_reader {
    const char *format;

    /* True if the file has this format, from its first `length` bytes (up to PS_HEAD_BYTES). */
    bool (*probe)(const unsigned char *head, size_t length);

    int (*read)(const struct ps_source *source, const struct ps_read_options *options,
                struct ps_micrograph **ret_micrograph, struct ps_error *error);

    /* True if all data that the headers refer to exists, or a header is invalid (read() reports
     * it). Fails only if the source does. */
    int (*whole)(const struct ps_source *source, bool *ret_whole, struct ps_error *error);
};

extern const struct ps_reader ps_reader_mrc;
extern const struct ps_reader ps_reader_tiff;

/* Makes a source over an open file, which the caller closes. PS_E_INPUT: not a regular file
 * (reading a pipe or a device could block); PS_E_SYSTEM. */
int ps_source_file(int fd, struct ps_source *ret_source, struct ps_error *error);

/* Makes a source over bytes in memory, which must outlive it. */
void ps_source_memory(const void *bytes, size_t length, struct ps_source *ret_source);

/* Makes a micrograph without pixels; frames 1, everything else zero. The caller has checked the
 * size with ps_frame_check(). PS_E_NOMEM. */
int ps_micrograph_new(const char *format, int width, int height, enum ps_pixel type,
                      struct ps_micrograph **ret_micrograph, struct ps_error *error);

/* Gives a micrograph whose pixel size is set uninitialised pixels, if the options admit it. On
 * failure frees it. PS_E_NOMEM, and what options->admit returns. */
int ps_micrograph_allocate(struct ps_micrograph *micrograph, const struct ps_read_options *options,
                           struct ps_error *error);

/* Appends to the micrograph's warning, after "; " if it is not empty; cut if too long. */
__attribute__((format(printf, 2, 3))) void ps_micrograph_warn(struct ps_micrograph *micrograph,
                                                              const char *format, ...);

/* Refuses (PS_E_INPUT) frames without pixels, or with more than max_pixels or INT_MAX a side. */
int ps_frame_check(uint64_t width, uint64_t height, const struct ps_read_options *options,
                   struct ps_error *error);

/* Refuses (PS_E_INPUT) more than one frame unless the options ask for their sum. */
int ps_movie_check(uint64_t frames, const struct ps_read_options *options, struct ps_error *error);

/* Returns `angstrom` if it is plausible as a pixel size (0.05 to 200), else 0: headers contain
 * zeros, ones divided by the width of the image, and 72 dots per inch. */
double ps_pixel_size_sane(double angstrom);

/* Adds `count` pixels of `type` to the float32 sums. */
void ps_pixels_add(const void *pixels, enum ps_pixel type, size_t count, float *sums);

#endif
