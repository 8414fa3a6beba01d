/* Files of picks, read: ours, and those of the programs beside us.
 *
 * What is read becomes outcomes as a subscriber hears them (struct ps_outcome_record), so that it
 * can be written again in any format; what a format does not hold is not known: NaN for a score or
 * an area, 0 for a size. A micrograph has the name that the file gives it, or else that of the file
 * itself without its suffix.
 *
 * Whatever is wrong is told as FILE:LINE and what was expected there; nothing is guessed.
 */
#ifndef PS_PICKS_READ_H
#define PS_PICKS_READ_H

#include "picks/input.h"

/* Appends the micrographs of a file of picks, or of all files below a directory that have the
 * suffix of the format ("star" where that is NULL).
 * PS_E_INPUT: not readable as such; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_read(const char *path, const struct ps_picks_read_options *options,
                  struct ps_outcome_record_list *list, struct ps_error *error);

#endif
