#include "service/skip.h"

#include "layout/versions.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static size_t name_offset(const struct ps_job *job)
{
    return strlen(job->path) - strlen(job->name);
}

static int skip(const struct ps_skip_dependencies *dependencies, const struct ps_job *job,
                const char *version, enum ps_skip *ret_skip, struct ps_error *error)
{
    const int result = ps_journal_skip(dependencies->journal, job, version, error);
    if (result)
        return result;
    char file[PS_LOG_TEXT], quoted[PS_LOG_TEXT];
    ps_log_event(dependencies->log, PS_LOG_INFO, "skipped", "file=%s rule=%s picked_instead=%s",
                 ps_log_quote(job->path, file), ps_rule_key(PS_RULE_VERSION),
                 ps_log_quote(version, quoted));
    *ret_skip = PS_SKIPPED;
    return 0;
}

/* The search for another version with an outcome. */
struct search {
    struct ps_journal *journal;
    bool waits; /* one has none yet */
    char done[PATH_MAX];
};

static bool has_outcome(void *context, const char *path)
{
    struct search *search = context;
    const enum ps_journal_file file = ps_journal_file(search->journal, path);
    search->waits |= file == PS_JOURNAL_FILE_OPEN;
    if (file == PS_JOURNAL_FILE_DONE)
        (void)snprintf(search->done, sizeof search->done, "%s", path);
    return file == PS_JOURNAL_FILE_DONE;
}

int ps_skip_found(const struct ps_skip_dependencies *dependencies, const struct ps_job *job,
                  enum ps_skip *ret_skip, struct ps_error *error)
{
    char better[PATH_MAX];
    *ret_skip = PS_SKIP_NOT;
    /* One that waits or is being picked is decided by ps_skip_before_pick(). */
    const enum ps_journal_file file = ps_journal_file(dependencies->journal, job->path);
    if (file == PS_JOURNAL_FILE_OPEN)
        return 0;
    if (ps_version_better(dependencies->config, job->path, name_offset(job), better))
        return skip(dependencies, job, better, ret_skip, error);
    if (file != PS_JOURNAL_FILE_NONE)
        return 0; /* the outcome of the exposure is its own */
    struct search search = {.journal = dependencies->journal};
    if (ps_version_each(dependencies->config, job->path, has_outcome, &search))
        return skip(dependencies, job, search.done, ret_skip, error);
    if (search.waits)
        *ret_skip = PS_SKIP_LATER;
    return 0;
}

int ps_skip_before_pick(const struct ps_skip_dependencies *dependencies, const struct ps_job *job,
                        enum ps_skip *ret_skip, struct ps_error *error)
{
    char better[PATH_MAX];
    *ret_skip = PS_SKIP_NOT;
    if (!ps_version_better(dependencies->config, job->path, name_offset(job), better))
        return 0;
    return skip(dependencies, job, better, ret_skip, error);
}

bool ps_skip_is_known(const struct ps_skip_dependencies *dependencies, const char *path,
                      const struct ps_identity *identity)
{
    char version[PATH_MAX];
    if (!ps_journal_skipped(dependencies->journal, path, identity, version, sizeof version))
        return false;
    return access(version, F_OK) == 0 ||
           ps_journal_file(dependencies->journal, version) == PS_JOURNAL_FILE_DONE;
}
