/* The interface of the readers: the list of micrographs that they fill. */
#ifndef PS_PICKS_INPUT_H
#define PS_PICKS_INPUT_H

#include "picks/picks.h"
#include "wire/message_read.h"

struct ps_outcome_record_list {
    struct ps_outcome_record **items; /* owned */
    size_t count;
    size_t *table; /* by name: index into items plus 1, or 0; a power of two of places */
    size_t places;
};
void ps_outcome_record_list_done(struct ps_outcome_record_list *list);

struct ps_picks_read_options {
    const struct ps_picks_format *format; /* NULL: by the file's name */
    const char *name;                     /* of the micrograph; NULL: by the file's name */
    const char *micrographs;              /* directory of the micrographs; or NULL */

    /* Called with the error of each file of several that is left out; NULL: the first ends it. */
    void (*left_out)(void *context, const struct ps_error *error);
    void *context;
};

/* True if the micrograph is a TIFF file; decided by its name if it was not read. */
bool ps_outcome_record_is_tiff(const struct ps_outcome_record *record);

/* Reads the micrograph to get its shape, unless that is known. PS_E_INPUT. */
int ps_outcome_record_load_shape(struct ps_outcome_record *record, struct ps_error *error);

/* The record as input for the writers; borrows from `record`. */
struct ps_pick_file ps_outcome_record_pick_file(const struct ps_outcome_record *record);

/* A file that is being read. */
struct ps_picks_input {
    FILE *stream;
    const char *path;
    const char *name; /* of the micrograph, if the file does not contain it */
    const struct ps_picks_read_options *options;
    const struct ps_picks_format *format;
    struct ps_outcome_record_list *list;

    /* ps_picks_read(), for a file that lists other files. */
    int (*read_other)(const char *path, const struct ps_picks_read_options *options,
                      struct ps_outcome_record_list *list, struct ps_error *error);
};

/* Adds the micrographs of a list to another; picks of micrographs that are in both are joined.
 * Empties `from`. PS_E_NOMEM. */
int ps_outcome_record_list_join(struct ps_outcome_record_list *list,
                                struct ps_outcome_record_list *from, struct ps_error *error);

/* Finds the micrograph of this name, or adds it. */
int ps_picks_begin(const struct ps_picks_input *input, const char *name,
                   struct ps_outcome_record **ret, struct ps_error *error);

/* Adds a pick; `x` and `y` as in the file. PS_E_NOMEM. */
int ps_picks_add(const struct ps_picks_input *input, struct ps_outcome_record *record, double x,
                 double y, float score, float area, struct ps_error *error);

/* Handles the status of one file of several: if it cannot be read (PS_E_INPUT, PS_E_SYSTEM), passes
 * `error` to options->left_out and returns 0. Returns any other status. */
int ps_picks_skip_file(const struct ps_picks_read_options *options, int status,
                       const struct ps_error *error);

/* True for what programs write for a missing value: nothing, <NA>, nan, none, null, '.', '?' and
 * the like in upper and lower case, and -999, RELION's. */
bool ps_picks_missing(const char *text);

/* Refuses a file in a directory that crYOLO names after the ends of filaments. PS_E_INPUT. */
int ps_picks_refuse_filaments(const struct ps_picks_input *input, struct ps_error *error);

/* The readers in the table of formats. */
int ps_picks_read_star(struct ps_picks_input *input, struct ps_error *error);
int ps_picks_read_box(struct ps_picks_input *input, struct ps_error *error);
int ps_picks_read_cbox(struct ps_picks_input *input, struct ps_error *error);
int ps_picks_read_tsv(struct ps_picks_input *input, struct ps_error *error);
int ps_picks_read_csv(struct ps_picks_input *input, struct ps_error *error);
int ps_picks_read_json(struct ps_picks_input *input, struct ps_error *error);

#endif
