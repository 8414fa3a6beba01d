/* The files of picks that the service writes: below output.directory, or where a RELION project
 * looks for them. Any thread.
 *
 * An old file never stands for a new result: if the new one cannot be written, the old one is
 * removed, and the outcome is recorded as one with missing files (journal/journal.h), which
 * repair.h writes again. */
#ifndef PS_SERVICE_OUTPUTS_H
#define PS_SERVICE_OUTPUTS_H

#include "base/log.h"
#include "config/config.h"
#include "image/micrograph.h"
#include "watch/job.h"
#include "wire/message_read.h"

struct ps_outputs;

/* `config` and `log` are borrowed. PS_E_CONFIG, PS_E_NOMEM, PS_E_SYSTEM. */
int ps_outputs_open(const struct ps_config *config, struct ps_log *log,
                    struct ps_outputs **ret_outputs, struct ps_error *error);
void ps_outputs_close(struct ps_outputs *outputs); /* accepts NULL */

/* Writes the files of a result. If they cannot be written, logs it, adds a warning to the result,
 * and sets job->files_missing, unless no later try could write them either. */
void ps_outputs_write(struct ps_outputs *outputs, struct ps_job *job,
                      const struct ps_micrograph *micrograph, double read_milliseconds,
                      struct ps_result *result);

/* Removes the files of an earlier revision, because this one failed: they would look like its
 * result. The first revision has written none. If that fails, logs it and sets
 * job->files_missing. */
void ps_outputs_remove(struct ps_outputs *outputs, struct ps_job *job);

/* Makes the files as the outcome says: writes them, or removes those of an earlier revision. A
 * failure is not logged. PS_E_INPUT: they can never be written; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_outputs_repair(struct ps_outputs *outputs, struct ps_outcome_record *record,
                      struct ps_error *error);

#endif
