/* The files of picks that `listen` writes. Outcomes whose files cannot be written are kept, up to a
 * limit, and tried again; those that an earlier revision left are removed meanwhile. */
#ifndef PS_CLI_LISTEN_OUTPUT_H
#define PS_CLI_LISTEN_OUTPUT_H

#include "config/config.h"
#include "picks/outcome_files.h"

struct ps_listen_output;

/* `config` and `directory` are borrowed. PS_E_NOMEM, PS_E_SYSTEM. */
int ps_listen_output_new(const struct ps_config *config, const char *directory,
                         struct ps_listen_output **ret_output, struct ps_error *error);
void ps_listen_output_free(struct ps_listen_output *output); /* accepts NULL */

/* The list of STAR files, for RELION. */
struct ps_autopick *ps_listen_output_list(const struct ps_listen_output *output);

/* Makes the files of an outcome: writes them, or removes those of an earlier revision if it failed.
 * They are below the directory, or below that of its stream if `by_stream`. Takes the record. If
 * *ret_kept is true after a failure, they are tried again by ps_listen_output_retry().
 * PS_E_INPUT, PS_E_SYSTEM, PS_E_NOMEM. */
int ps_listen_output_take(struct ps_listen_output *output, struct ps_outcome_record *record,
                          bool by_stream, bool *ret_kept, struct ps_error *error);

/* The number of outcomes that are kept. */
size_t ps_listen_output_waiting(const struct ps_listen_output *output);

/* Tries them again; calls `written` for each that is written now. Ends after several
 * failures in succession, and begins with the next one then. */
void ps_listen_output_retry(struct ps_listen_output *output,
                            void (*written)(const struct ps_outcome_record *record));

#endif
