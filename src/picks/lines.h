/* Reads a text file of another program line by line; errors begin with FILE:LINE.
 *
 * A line has at most PS_LINE - 1 bytes and no NUL, so a micrograph that is given as a table is
 * refused at its first line.
 */
#ifndef PS_PICKS_LINES_H
#define PS_PICKS_LINES_H

#include "pickstream.h"

#include <stdio.h>

enum { PS_LINE = 1 << 16 };

struct ps_lines {
    FILE *stream;     /* borrowed */
    const char *path; /* in errors; borrowed */
    int number;       /* of the line in `text`, from 1 */
    char text[PS_LINE];
};

/* Reads the next line, without its end ("\n" or "\r\n"), the first one without a byte-order mark.
 * Returns 1, or 0 at the end of the file. PS_E_INPUT: not text; PS_E_SYSTEM: cannot be read. */
int ps_lines_next(struct ps_lines *lines, struct ps_error *error);

/* Fails with PS_E_INPUT and "FILE:LINE: ...", without control characters. */
__attribute__((format(printf, 3, 4))) int ps_lines_fail(const struct ps_lines *lines,
                                                        struct ps_error *error, const char *format,
                                                        ...);

#endif
