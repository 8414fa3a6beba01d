/* Writes files of picks: one file, several micrographs in one file, or all output.formats. */
#ifndef PS_PICKS_WRITE_H
#define PS_PICKS_WRITE_H

#include "config/config.h"
#include "picks/autopick.h"
#include "picks/names.h"
#include "picks/picks.h"
#include "picks/remove.h"

/* Writes picks to a path, atomically (base/atomic_file.h). PS_E_INPUT: the format cannot hold a
 * value; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_write(const char *path, const struct ps_picks_format *format,
                   const struct ps_pick_file *file, struct ps_error *error);

/* Writes several micrographs into one file; the format must have `many`. */
int ps_picks_write_many(const char *path, const struct ps_picks_format *format,
                        const struct ps_pick_file *files, size_t count, struct ps_error *error);

/* Removes from `files` those that a file of several micrographs in this format cannot hold: because
 * of a name, or because two have the same one in it. Calls `report` for each. PS_E_NOMEM. */
int ps_picks_leave_out(const struct ps_picks_format *format, struct ps_pick_file *files,
                       size_t *count, void (*report)(void *context, const struct ps_error *reason),
                       void *context, struct ps_error *error);

/* Writes the files of a micrograph, whose paths begin with `stem` (names.h), in all output.formats,
 * with output.box_size; with output.extract its particles too, for which file->micrograph has
 * pixels (write_particles.h). Adds a STAR file to `list`, if that is not NULL. The earlier version
 * of a file that cannot be written is removed (ps_picks_withdraw()). Continues after a failure;
 * `error` has the first, but one that another try can mend before one that it cannot. PS_E_INPUT: a
 * format cannot hold a value; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_write_stem(const struct ps_config *config, const char *stem,
                        const struct ps_pick_file *file, const struct ps_picks_keep *keep,
                        struct ps_autopick *list, struct ps_error *error);

/* Removes the earlier files of a micrograph whose stem could not be claimed, `error` says why. */
void ps_picks_write_failed(const struct ps_config *config, const struct ps_picks_place *place,
                           const struct ps_pick_file *file, const struct ps_picks_keep *keep,
                           struct ps_autopick *list, struct ps_error *error);

/* Claims a stem below `directory`, where file->name says, and writes the files. */
int ps_picks_write_below(const struct ps_config *config, struct ps_names *names,
                         const char *directory, const struct ps_pick_file *file,
                         struct ps_autopick *list, struct ps_error *error);

/* The directory below output.directory for micrographs of a watched directory. "" if only one is
 * watched; otherwise its path relative to the nearest common parent, so that micrographs of the
 * same name do not collide. `ret_text` has `size` bytes. */
void ps_output_prefix(const struct ps_config *config, const char *watched, char *ret_text,
                      size_t size);

#endif
