/* STAR files of RELION and crYOLO: reads loops, writes words.
 *
 *     struct ps_star star = {.lines = {.stream = stream, .path = path}};
 *     while ((event = ps_star_next(&star, &error)) > 0)
 *         if (event == PS_STAR_LOOP) ... columns of star.labels ...
 *         else ... star.words ...
 *
 * A loop can have no rows. Tables without a loop (one "_label value" a line) are skipped.
 * Limits: PS_STAR_COLUMNS columns, labels of PS_STAR_LABEL - 1 bytes, a row on one line.
 */
#ifndef PS_PICKS_STAR_H
#define PS_PICKS_STAR_H

#include "picks/lines.h"

#include <stdbool.h>

enum { PS_STAR_COLUMNS = 128, PS_STAR_LABEL = 64 };

enum ps_star_event {
    PS_STAR_END,
    PS_STAR_LOOP, /* the labels of a loop */
    PS_STAR_ROW,  /* a row with as many words as labels */
};

struct ps_star {
    struct ps_lines lines;
    char labels[PS_STAR_COLUMNS][PS_STAR_LABEL]; /* with their '_' */
    size_t label_count;
    char *words[PS_STAR_COLUMNS]; /* of the line; they point into it */
    size_t word_count;
    bool quoted; /* the first word was quoted: not a keyword */
    enum { PS_STAR_OUTSIDE, PS_STAR_LABELS, PS_STAR_ROWS } state;
    bool again; /* the current line is still unused */
    bool ended;
};

/* Returns the next event, or a negative error. PS_E_INPUT: FILE:LINE and what was expected;
 * PS_E_SYSTEM. */
int ps_star_next(struct ps_star *star, struct ps_error *error);

/* Returns the column of a label, or -1. */
int ps_star_column(const struct ps_star *star, const char *label);

/* Writes text as one word, quoted if necessary. PS_E_INPUT: the text cannot be written as a word.
 */
int ps_star_write_word(FILE *stream, const char *text, struct ps_error *error);

/* PS_E_INPUT: ps_star_write_word() would fail. */
int ps_star_check_word(const char *text, struct ps_error *error);

#endif
