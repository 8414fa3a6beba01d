/* Reads files of picks, in pickstream's formats and in those of other programs.
 *
 * The result is the same outcome record that a subscriber gets, and can be written in any format.
 * What the format does not contain is unknown: NaN for a score or an area, 0 for a size. The name
 * of a micrograph comes from the file's content, or else from the file's name without the suffix.
 *
 * Errors give FILE:LINE and what was expected; nothing is guessed.
 */
#ifndef PS_PICKS_READ_H
#define PS_PICKS_READ_H

#include "picks/input.h"

/* Appends the micrographs of a file of picks, or of all files below a directory with the suffix of
 * the format (NULL: "star"). PS_E_INPUT: not in that format; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_read(const char *path, const struct ps_picks_read_options *options,
                  struct ps_outcome_record_list *list, struct ps_error *error);

#endif
