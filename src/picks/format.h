/* The table of formats of files of picks. */
#ifndef PS_PICKS_FORMAT_H
#define PS_PICKS_FORMAT_H

#include "picks/picks.h"

/* All formats, in the order of output.formats; the name after the last one is NULL. */
extern const struct ps_picks_format ps_picks_formats[];

/* The format of that name, or NULL. */
const struct ps_picks_format *ps_picks_format_find(const char *name);

/* The format that the name of a file belongs to, by its suffix or else its extension; or NULL. */
const struct ps_picks_format *ps_picks_format_of(const char *path);

#endif
