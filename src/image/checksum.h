/* A checksum of a file's content, to tell a rewritten file from one whose metadata changed.
 *
 * It covers a sample: PS_CHECKSUM_END_BYTES at both ends and PS_CHECKSUM_BLOCKS blocks of
 * PS_CHECKSUM_BLOCK_BYTES spread evenly between them; all of a file that is not longer than that.
 * So it costs less than a millisecond for a file in the page cache, whatever its size. A micrograph
 * that is processed again differs in nearly every pixel, which the sample shows; a change of a few
 * pixels between the blocks is not noticed. */
#ifndef PS_IMAGE_CHECKSUM_H
#define PS_IMAGE_CHECKSUM_H

#include <stdint.h>

enum {
    PS_CHECKSUM_END_BYTES = 64 << 10,
    PS_CHECKSUM_BLOCK_BYTES = 4 << 10,
    PS_CHECKSUM_BLOCKS = 64,
};

/* The checksum of the regular file at `path`, not 0; 0: it cannot be read. */
int64_t ps_file_checksum(const char *path);

#endif
