/* Files of picks, in pickstream's formats and in those of other programs.
 *
 * A format is a row in a table (format.h): its name in --format and output.formats, the suffix of
 * its file names, and the functions that write and read it. Every outcome except a failure gives a
 * file, which shows that the micrograph is done: without picks a valid file without rows, for a
 * rejected micrograph the same, with the reason if the format can hold it.
 *
 * In memory, coordinates are those of struct ps_pick: in px, with (0, 0) the centre of the first
 * stored pixel and the rows of a TIFF counted from the bottom. Writers and readers convert from and
 * to the conventions of the format (corners instead of centres, rows counted from the top). A score
 * or area is NaN if it was read from a format without it. Numbers are written in the shortest form
 * that reads back as the same float.
 */
#ifndef PS_PICKS_PICKS_H
#define PS_PICKS_PICKS_H

#include "image/micrograph.h"
#include "pickstream.h"

#include <stdbool.h>
#include <stdio.h>

struct ps_relion;

/* One micrograph and its picks. Everything is borrowed. */
struct ps_pick_file {
    const char *path;                       /* of the micrograph, as files of picks name it */
    bool listed;                            /* `path` is its name in a list of RELION */
    const char *name;                       /* the path relative to the operand; NULL: the path */
    int width;                              /* px */
    int height;                             /* px */
    const struct ps_micrograph *micrograph; /* as read; or NULL */
    const char *pixel_size_source;          /* "header", "configuration", "star"; or NULL */
    const char *profile;                    /* or NULL */
    double read_milliseconds;               /* time to read the file; 0: unknown */
    double box_size;                        /* px, side of a box; 0: the particle diameter */
    const struct ps_relion *relion;         /* the project of files that name others; or NULL */
    const struct ps_result *result;
};

struct ps_picks_input;

struct ps_picks_format {
    const char *name;   /* "star" */
    const char *suffix; /* replaces the micrograph's extension: "_autopick.star" */
    bool many;          /* a file can hold several micrographs: each pick has its micrograph */
    bool top_down;      /* rows of a TIFF are counted from the top */
    /* Writes the micrographs, only one unless `many`. PS_E_INPUT: the format cannot hold a value.
     */
    int (*write)(const struct ps_pick_file *files, size_t count, FILE *stream,
                 struct ps_error *error);
    int (*read)(struct ps_picks_input *input, struct ps_error *error); /* input.h */
    /* The name of a micrograph as the file holds it, to be freed: a file cannot hold two of the
     * same name. PS_E_INPUT: the format cannot hold it. NULL: the format holds any path, or none.
     */
    int (*name_of)(const struct ps_pick_file *file, char **ret_name, struct ps_error *error);
};

/* Suffixes of the files of extracted particles (write_particles.h). */
#define PS_STACK_SUFFIX     "_particles.mrcs"
#define PS_PARTICLES_SUFFIX "_particles.star"

/* Length of a micrograph's name without its extension, if that is a usual one of micrographs. Names
 * can contain other dots. Micrographs can have the same stem; names.h gives them different files.
 */
size_t ps_picks_stem(const char *name);

/* directory/name, with the extension replaced by the suffix. To be freed; NULL without memory. */
char *ps_picks_path(const char *directory, const char *name, const char *suffix);

/* The file of picks of a stem (names.h), to be freed; NULL without memory. */
char *ps_picks_file(const char *stem, const char *suffix);

/* Removes picks with a score below `min_score` (-INFINITY: none), and computes the median score of
 * the others. PS_E_NOMEM: nothing was removed. */
int ps_picks_filter(struct ps_result *result, double min_score, struct ps_error *error);

/* For the writers: true if any pick has a score; and the side of the boxes in whole px, or
 * PS_E_INPUT. */
bool ps_picks_have_score(const struct ps_pick_file *files, size_t count);
int ps_picks_box_side(const struct ps_pick_file *file, int *ret_side, struct ps_error *error);

#endif
