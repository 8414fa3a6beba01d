/* Which version of an exposure is picked (layout/versions.h), decided with the journal: an exposure
 * has one outcome. */
#ifndef PS_SERVICE_SKIP_H
#define PS_SERVICE_SKIP_H

#include "base/log.h"
#include "config/config.h"
#include "journal/journal.h"

struct ps_skip_dependencies {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_journal *journal;
};

enum ps_skip {
    PS_SKIP_NOT,   /* to be picked */
    PS_SKIPPED,    /* recorded as skipped, and logged */
    PS_SKIP_LATER, /* another version waits to be picked: ask again when it is decided */
};

/* A file that the watcher found. It is skipped if a better version exists, or if another version
 * has its outcome: the first outcome of an exposure stays. A version that failed does not count.
 * PS_E_SYSTEM, PS_E_NOMEM: the journal cannot be written. */
int ps_skip_found(const struct ps_skip_dependencies *dependencies, const struct ps_job *job,
                  enum ps_skip *ret_skip, struct ps_error *error);

/* A micrograph that is about to be picked by the calling thread. It is skipped if a better version
 * has appeared since. */
int ps_skip_before_pick(const struct ps_skip_dependencies *dependencies, const struct ps_job *job,
                        enum ps_skip *ret_skip, struct ps_error *error);

/* True if the file is skipped, and the other version still exists or has an outcome. */
bool ps_skip_is_known(const struct ps_skip_dependencies *dependencies, const char *path,
                      const struct ps_identity *identity);

#endif
