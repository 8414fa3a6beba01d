/* A text file of another program, line by line, with FILE:LINE for what is wrong with it.
 *
 * Nothing about the file is believed: a line has PS_LINE - 1 bytes at most and no byte that is 0,
 * so that a micrograph taken for a table is refused at its first line.
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

/* Reads the next line, without its end ("\n" or "\r\n"). 1: it is there; 0: no more. PS_E_INPUT: no
 * text; PS_E_SYSTEM: cannot be read. */
int ps_lines_next(struct ps_lines *lines, struct ps_error *error);

/* PS_E_INPUT: "FILE:LINE: ...", without what a terminal would take for an order. */
__attribute__((format(printf, 3, 4))) int ps_lines_fail(const struct ps_lines *lines,
                                                        struct ps_error *error, const char *format,
                                                        ...);

#endif
