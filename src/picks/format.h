/* The table of file formats of picks. */
#ifndef PS_PICKS_FORMAT_H
#define PS_PICKS_FORMAT_H

#include "picks/picks.h"

/* All formats, in the order of output.formats; ends with an entry whose name is NULL. */
extern const struct ps_picks_format ps_picks_formats[];

/* Finds a format by its name; NULL if there is none. */
const struct ps_picks_format *ps_picks_format_find(const char *name);

/* Finds the format of a file by the suffix of its name, or else by the extension; or NULL. */
const struct ps_picks_format *ps_picks_format_of(const char *path);

#endif
