/* Reads the micrograph of a recorded outcome again: its particles need pixels, which no message
 * has.
 */
#ifndef PS_SERVICE_REREAD_H
#define PS_SERVICE_REREAD_H

#include "config/config.h"
#include "journal/journal.h"
#include "wire/message_read.h"

/* True if files of the outcome have particles. */
bool ps_reread_is_needed(const struct ps_config *config, const struct ps_outcome_record *record);

/* Puts the pixels into the record, if the file is the one that was picked. PS_E_INPUT: it is gone,
 * has other content now, or its latest outcome is another one; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_reread(struct ps_journal *journal, const struct ps_config *config,
              struct ps_outcome_record *record, struct ps_error *error);

#endif
