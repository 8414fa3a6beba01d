/* Writes files of picks: one file, several micrographs in one file, or all output.formats. */
#ifndef PS_PICKS_WRITE_H
#define PS_PICKS_WRITE_H

#include "config/config.h"
#include "picks/autopick.h"
#include "picks/picks.h"

/* Writes picks to a path, atomically (base/atomic_file.h). PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_write(const char *path, const struct ps_picks_format *format,
                   const struct ps_pick_file *file, struct ps_error *error);

/* Writes several micrographs into one file; the format must have `many`. */
int ps_picks_write_many(const char *path, const struct ps_picks_format *format,
                        const struct ps_pick_file *files, size_t count, struct ps_error *error);

/* Writes file->name below `directory` in all output.formats, with output.box_size; stops at the
 * first failure. Adds a STAR file to `list`, if that is not NULL. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_write_below(const struct ps_config *config, const char *directory,
                         const struct ps_pick_file *file, struct ps_autopick *list,
                         struct ps_error *error);

/* The same below output.directory, or below `prefix` in it if that is not empty. */
int ps_picks_write_all(const struct ps_config *config, const char *prefix,
                       const struct ps_pick_file *file, struct ps_error *error);

/* The directory below output.directory for micrographs of a watched directory. "" if only one is
 * watched; otherwise its path relative to the nearest common parent, so that micrographs of the
 * same name do not collide. `ret_text` has `size` bytes. */
void ps_output_prefix(const struct ps_config *config, const char *watched, char *ret_text,
                      size_t size);

#endif
