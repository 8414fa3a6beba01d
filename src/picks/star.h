/* STAR files of RELION and crYOLO: reads tables, writes words.
 *
 *     struct ps_star star = {.lines = {.stream = stream, .path = path}};
 *     while ((event = ps_star_next(&star, &error)) > 0)
 *         if (event == PS_STAR_TABLE) ... columns of star.labels ...
 *         else ... star.words ...
 *
 * A table is a loop, which can have no rows, or the "_label value" lines of a block without a loop:
 * one row. It is read as RELION reads it: lines that belong to no table are skipped, but a file
 * without a table is refused, as is a row with more or fewer words than labels. Unlike RELION it
 * accepts "\r\n", and a blank line does not end a table.
 * Limits: PS_STAR_COLUMNS columns, labels of PS_STAR_LABEL - 1 bytes, a row on one line.
 */
#ifndef PS_PICKS_STAR_H
#define PS_PICKS_STAR_H

#include "picks/lines.h"

#include <stdbool.h>

enum { PS_STAR_COLUMNS = 128, PS_STAR_LABEL = 64 };

enum ps_star_event {
    PS_STAR_END,
    PS_STAR_TABLE, /* the labels of a table */
    PS_STAR_ROW,   /* a row with as many words as labels */
};

struct ps_star {
    struct ps_lines lines;
    char labels[PS_STAR_COLUMNS][PS_STAR_LABEL]; /* with their '_' */
    size_t label_count;
    char *words[PS_STAR_COLUMNS]; /* of the row; they point into its line or `values` */
    size_t word_count;
    bool quoted; /* the first word was quoted: not a keyword */
    enum {
        PS_STAR_BEFORE,  /* the first data_ */
        PS_STAR_OUTSIDE, /* in a block, not in a table */
        PS_STAR_LABELS,
        PS_STAR_ROWS,
        PS_STAR_PAIRS,
        PS_STAR_PAIRS_ROW, /* the labels of pairs were returned, their row is next */
        PS_STAR_LOOP_READ, /* the row of pairs was returned, and loop_ was read */
    } state;
    bool loop_follows;    /* the pairs */
    char values[PS_LINE]; /* of pairs, each with its NUL */
    size_t value_bytes;
    int stray;  /* number of the first line that belongs to no table; 0: none */
    bool found; /* a table */
    bool again; /* the current line is still unused */
    bool ended;
};

/* Returns the next event, or a negative error. PS_E_INPUT: FILE:LINE and what was expected;
 * PS_E_SYSTEM. */
int ps_star_next(struct ps_star *star, struct ps_error *error);

/* Returns the column of a label, or -1; of several, the last one, as RELION does. */
int ps_star_column(const struct ps_star *star, const char *label);

/* Writes text as one word, quoted if necessary. PS_E_INPUT: the text cannot be written as a word.
 */
int ps_star_write_word(FILE *stream, const char *text, struct ps_error *error);

/* PS_E_INPUT: ps_star_write_word() would fail. */
int ps_star_check_word(const char *text, struct ps_error *error);

#endif
