/* Files of picks, in our formats and in those of the programs beside us.
 *
 * A format is a row in a table (format.h): its name in --format and output.formats, the end of its
 * file names, and functions that write and read it. Every outcome makes a file, so that what reads
 * them knows that a micrograph was done: no picks give a valid file without rows, a rejected
 * micrograph the same with the reason in it where the format has room for one.
 *
 * In memory coordinates are those of struct ps_pick: pixels, the centre of the first stored pixel
 * is (0, 0), rows of a TIFF are counted from the bottom. What a format has otherwise (corners for
 * centres, rows counted from the top) is turned where it is written and read. A score or an area
 * that is not known, because it was read from a format that has none, is NaN. Numbers are as short
 * as they can be and read back as the same float.
 */
#ifndef PS_PICKS_PICKS_H
#define PS_PICKS_PICKS_H

#include "image/micrograph.h"
#include "pickstream.h"

#include <stdbool.h>
#include <stdio.h>

/* What is known of one micrograph and its picks. Everything is borrowed. */
struct ps_pick_file {
    const char *path; /* of the micrograph */
    const char *name; /* the path below the directory that was given; or NULL: the path */
    int width;        /* px */
    int height;       /* px */
    const struct ps_micrograph *micrograph; /* as it was read; or NULL */
    const char *pixel_size_source;          /* "header" or "configuration"; or NULL */
    const char *profile;                    /* or NULL */
    double read_milliseconds;               /* reading the file; 0 where unknown */
    double box_size;                        /* px, side of a box; 0: the particle diameter */
    const struct ps_result *result;
};

struct ps_picks_input;

struct ps_picks_format {
    const char *name;   /* "star" */
    const char *suffix; /* takes the place of the micrograph's extension: "_autopick.star" */
    bool many;          /* names the micrograph of each pick: a file may hold several */
    bool top_down;      /* counts the rows of a TIFF from the top */
    /* Writes files, one unless `many`. PS_E_INPUT: something that the format cannot hold. */
    int (*write)(const struct ps_pick_file *files, size_t count, FILE *stream,
                 struct ps_error *error);
    int (*read)(struct ps_picks_input *input, struct ps_error *error); /* input.h */
};

/* Length of the name of a micrograph without its extension: names that are equal so far have the
 * same files of picks. */
size_t ps_picks_stem(const char *name);

/* Where the picks of a micrograph go: directory/name, without the extension of the name, and with
 * the suffix. To be freed; NULL without memory. */
char *ps_picks_path(const char *directory, const char *name, const char *suffix);

/* Leaves out picks with a score below `min_score` (-INFINITY: none), and finds the median of the
 * rest. */
void ps_picks_settle(struct ps_result *result, double min_score);

/* For the writers: whether any pick has a score; and the side of its boxes in whole px, or
 * PS_E_INPUT. */
bool ps_picks_have_score(const struct ps_pick_file *files, size_t count);
int ps_picks_box_side(const struct ps_pick_file *file, int *ret_side, struct ps_error *error);

#endif
