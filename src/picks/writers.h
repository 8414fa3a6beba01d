/* The writers in the table of formats. */
#ifndef PS_PICKS_WRITERS_H
#define PS_PICKS_WRITERS_H

#include "picks/picks.h"

int ps_picks_write_star(const struct ps_pick_file *files, size_t count, FILE *stream,
                        struct ps_error *error);
int ps_picks_write_cryosparc(const struct ps_pick_file *files, size_t count, FILE *stream,
                             struct ps_error *error);
int ps_picks_write_box(const struct ps_pick_file *files, size_t count, FILE *stream,
                       struct ps_error *error);
int ps_picks_write_cbox(const struct ps_pick_file *files, size_t count, FILE *stream,
                        struct ps_error *error);
int ps_picks_write_tsv(const struct ps_pick_file *files, size_t count, FILE *stream,
                       struct ps_error *error);
int ps_picks_write_csv(const struct ps_pick_file *files, size_t count, FILE *stream,
                       struct ps_error *error);
int ps_picks_write_json(const struct ps_pick_file *files, size_t count, FILE *stream,
                        struct ps_error *error);

/* Names of micrographs in the formats that have them (struct ps_picks_format). */
int ps_picks_name_in_star(const struct ps_pick_file *file, char **ret_name, struct ps_error *error);
int ps_picks_name_in_tsv(const struct ps_pick_file *file, char **ret_name, struct ps_error *error);

#endif
