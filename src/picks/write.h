/* Writing files of picks: one, several micrographs in one, or all that the configuration asks for.
 */
#ifndef PS_PICKS_WRITE_H
#define PS_PICKS_WRITE_H

#include "config/config.h"
#include "picks/autopick.h"
#include "picks/picks.h"

/* Writes picks to a path, atomically (base/atomic_file.h). PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_write(const char *path, const struct ps_picks_format *format,
                   const struct ps_pick_file *file, struct ps_error *error);

/* The same for several micrographs in one file; the format must be one for many. */
int ps_picks_write_many(const char *path, const struct ps_picks_format *format,
                        const struct ps_pick_file *files, size_t count, struct ps_error *error);

/* Writes the files of all output.formats below `directory`, with output.box_size, under file->name;
 * the first failure ends it. A STAR file is added to `list`, where that is not NULL. PS_E_SYSTEM,
 * PS_E_NOMEM. */
int ps_picks_write_below(const struct ps_config *config, const char *directory,
                         const struct ps_pick_file *file, struct ps_autopick *list,
                         struct ps_error *error);

/* The same below output.directory, and there below `prefix` if it is not empty. */
int ps_picks_write_all(const struct ps_config *config, const char *prefix,
                       const struct ps_pick_file *file, struct ps_error *error);

/* Directory below output.directory for the files of micrographs of a watched directory: "" with one
 * directory; with several the path below the nearest one that holds them all, so that equally named
 * micrographs stay apart. `ret_text` has `size` bytes. */
void ps_output_prefix(const struct ps_config *config, const char *watched, char *ret_text,
                      size_t size);

#endif
