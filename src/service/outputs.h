/* The files of picks that the service writes: below output.directory, or where a RELION project
 * looks for them. Any thread. */
#ifndef PS_SERVICE_OUTPUTS_H
#define PS_SERVICE_OUTPUTS_H

#include "base/log.h"
#include "config/config.h"
#include "image/micrograph.h"
#include "watch/job.h"

struct ps_outputs;

/* `config` and `log` are borrowed. PS_E_CONFIG, PS_E_NOMEM, PS_E_SYSTEM. */
int ps_outputs_open(const struct ps_config *config, struct ps_log *log,
                    struct ps_outputs **ret_outputs, struct ps_error *error);
void ps_outputs_close(struct ps_outputs *outputs); /* accepts NULL */

/* Writes the files of a result. If they cannot be written, logs it and adds a warning to the
 * result. */
void ps_outputs_write(struct ps_outputs *outputs, const struct ps_job *job,
                      const struct ps_micrograph *micrograph, double read_milliseconds,
                      struct ps_result *result);

/* Removes the files of an earlier revision, because this one failed: they would look like its
 * result. The first revision has written none. A failure is logged. */
void ps_outputs_remove(struct ps_outputs *outputs, const struct ps_job *job);

#endif
