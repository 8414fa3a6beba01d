/* Reads files of picks, in pickstream's formats and in those of other programs.
 *
 * The result is the same outcome record that a subscriber gets, and can be written in any format.
 * What the format does not contain is unknown: NaN for a score or an area, 0 for a size. The name
 * of a micrograph comes from the file's content, or else from the file's name without the suffix.
 *
 * Errors give FILE:LINE and what was expected; nothing is guessed. What more than a position on a
 * micrograph would be lost of (particles of tomograms, filaments) is refused.
 */
#ifndef PS_PICKS_READ_H
#define PS_PICKS_READ_H

#include "picks/input.h"

/* Appends the micrographs of a file of picks, of the files that a list names, or of all files below
 * a directory with the suffix of the format (NULL: "star"). Nothing of a file that cannot be read
 * is appended; if it is one of several, options->left_out is called and the others are read.
 * PS_E_INPUT: not in that format; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_read(const char *path, const struct ps_picks_read_options *options,
                  struct ps_outcome_record_list *list, struct ps_error *error);

#endif
