/* Files of picks that an earlier run or an earlier revision left.
 *
 * What a micrograph has now takes their place. Where it failed there is nothing to take it, and the
 * old files would read as what came of it this time: they go.
 */
#ifndef PS_PICKS_REMOVE_H
#define PS_PICKS_REMOVE_H

#include "config/config.h"

/* Removes directory/name without its extension and with `suffix` (picks.h), if it is there.
 * PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_remove(const char *directory, const char *name, const char *suffix,
                    struct ps_error *error);

/* Removes those of all formats, of which there may be none; of several failures `error` has the
 * first. `formats` is output.formats: files of other formats are left alone. */
int ps_picks_remove_all(const char *directory, const struct ps_list *formats, const char *name,
                        struct ps_error *error);

#endif
