/* Micrographs: recording them as seen, looking them up, listing those without an outcome. */
#include "journal/internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "image/checksum.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The latest revision of a path. */
struct latest {
    int64_t id; /* 0: the path is unknown */
    int revision;
    int attempt;
    bool open;
    struct ps_identity identity;
    int64_t checksum; /* of the content that has the outcome; 0: unknown */
    int deaths;       /* of processes that picked it */
    bool repick;
};

static struct ps_identity get_identity(struct ps_sql *sql, int column)
{
    return (struct ps_identity){
        .device = (uint64_t)ps_sql_get_int(sql, column),
        .inode = (uint64_t)ps_sql_get_int(sql, column + 1),
        .size = (uint64_t)ps_sql_get_int(sql, column + 2),
        .mtime_ns = ps_sql_get_int(sql, column + 3),
    };
}

static int look_up(struct ps_sql *sql, const char *path, struct latest *ret, struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_LATEST);
    ps_sql_bind_text(sql, path);
    int found = ps_sql_row(sql, error);
    if (found < 0)
        return found;
    *ret = (struct latest){0};
    if (found > 0) {
        ret->id = ps_sql_get_int(sql, 0);
        ret->revision = (int)ps_sql_get_int(sql, 1);
        ret->attempt = (int)ps_sql_get_int(sql, 2);
        ret->open = ps_sql_get_int(sql, 3) != 0;
        ret->identity = get_identity(sql, 4);
        ret->identity.ctime_ns = ps_sql_get_int(sql, 8); /* NULL reads as 0 */
        ret->checksum = ps_sql_get_int(sql, 9);
        ret->deaths = (int)ps_sql_get_int(sql, 10);
        ret->repick = ps_sql_get_int(sql, 11) != 0;
        ps_sql_end(sql);
    }
    return 0;
}

/* Binds identity and times of a job, in the order of the statements. */
static void bind_file(struct ps_sql *sql, const struct ps_job *job)
{
    ps_sql_bind_int(sql, (int64_t)job->identity.device);
    ps_sql_bind_int(sql, (int64_t)job->identity.inode);
    ps_sql_bind_int(sql, (int64_t)job->identity.size);
    ps_sql_bind_int(sql, job->identity.mtime_ns);
    ps_sql_bind_int(sql, job->closed_ns);
    ps_sql_bind_int(sql, job->detected_ns);
}

int ps_journal_insert(struct ps_sql *sql, const struct ps_job *job, int revision, int attempt,
                      const char *state, int64_t *ret_id, struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_INSERT);
    ps_sql_bind_text(sql, job->path);
    ps_sql_bind_text(sql, job->name);
    ps_sql_bind_int(sql, revision);
    ps_sql_bind_int(sql, attempt);
    ps_sql_bind_text(sql, state);
    bind_file(sql, job);
    int result = ps_sql_run(sql, error);
    if (result == 0)
        *ret_id = sqlite3_last_insert_rowid(sql->db);
    return result;
}

int ps_journal_run(struct ps_sql *sql, enum ps_sql_statement statement, int64_t id,
                   struct ps_error *error)
{
    ps_sql_use(sql, statement);
    ps_sql_bind_int(sql, id);
    return ps_sql_run(sql, error);
}

/* Records `job`, and updates `latest` to match the database. */
static int record(struct ps_sql *sql, const struct ps_job *job, struct latest *latest,
                  enum ps_journal_state *ret_state, struct ps_error *error)
{
    int result = latest->open ? ps_journal_run(sql, PS_SQL_ALIVE, latest->id, error) : 0;
    if (result == 0 && latest->repick)
        result = ps_journal_run(sql, PS_SQL_REPICKED, latest->id, error);
    if (result)
        return result;
    latest->deaths = 0;
    latest->repick = false;
    if (latest->open && latest->attempt == 1) {
        /* Rewritten before it had an outcome: pick the present contents. */
        ps_sql_use(sql, PS_SQL_REWRITTEN);
        ps_sql_bind_text(sql, job->name);
        bind_file(sql, job);
        ps_sql_bind_int(sql, latest->id);
        *ret_state = PS_JOURNAL_OPEN;
        return ps_sql_run(sql, error);
    }
    /* The contents to retry were overwritten: end the retry, keep the outcome. */
    result = latest->open ? ps_journal_run(sql, PS_SQL_ABANDON, latest->id, error) : 0;
    if (result)
        return result;
    latest->revision++;
    latest->attempt = 1;
    *ret_state = PS_JOURNAL_NEW;
    return ps_journal_insert(sql, job, latest->revision, 1, "seen", &latest->id, error);
}

/* True if only the content tells whether the file is the one that has the outcome. */
static bool is_unsure(const struct latest *latest, const struct ps_identity *identity)
{
    return latest->id && !latest->open && latest->checksum &&
           ps_identity_compare(&latest->identity, identity) == PS_IDENTITY_UNSURE;
}

/* True if the file is the latest revision. `checksum` is that of its content, or 0 if it was not
 * needed or cannot be read: it then makes no difference. */
static bool is_latest(const struct latest *latest, const struct ps_identity *identity,
                      int64_t checksum)
{
    if (!latest->id || !ps_identity_equal(&latest->identity, identity))
        return false;
    return !is_unsure(latest, identity) || !checksum || checksum == latest->checksum;
}

static bool is_known(const struct latest *latest, const struct ps_job *job, int64_t checksum,
                     enum ps_journal_state *ret_state)
{
    *ret_state = latest->open ? PS_JOURNAL_OPEN : PS_JOURNAL_DONE;
    return is_latest(latest, &job->identity, checksum);
}

/* Begins a transaction with `quick` and takes `read_lock`. Releases the lock while another program
 * holds the database lock, so that readers are not blocked. */
static int begin_quick(struct ps_journal *journal, struct ps_error *error)
{
    static const struct timespec pause = {.tv_nsec = 10000000};
    const int64_t until = ps_clock_mono_ns() + (int64_t)PS_SQL_BUSY_MS * 1000000;
    for (;;) {
        bool busy;
        pthread_mutex_lock(&journal->read_lock);
        int result = ps_sql_try_begin(&journal->quick, &busy, error);
        if (!busy || ps_clock_mono_ns() >= until)
            return result;
        pthread_mutex_unlock(&journal->read_lock);
        (void)nanosleep(&pause, NULL);
    }
}

/* Records that the inode changed and the content did not, so that the file is not read again for
 * the same change. A failure only costs that. */
static void note_same_content(struct ps_journal *journal, int64_t id,
                              const struct ps_identity *identity)
{
    struct ps_sql *sql = &journal->quick;
    ps_journal_begin_write(journal);
    int result = begin_quick(journal, NULL);
    if (result == 0) {
        ps_sql_use(sql, PS_SQL_SAME_CONTENT);
        ps_sql_bind_int(sql, id);
        ps_sql_bind_int(sql, identity->ctime_ns);
        result = ps_sql_run(sql, NULL);
        (void)ps_sql_finish(sql, result, NULL);
    }
    pthread_mutex_unlock(&journal->read_lock);
    ps_journal_end_write(journal);
}

int ps_journal_see(struct ps_journal *journal, struct ps_job *job, enum ps_journal_state *ret_state,
                   struct ps_error *error)
{
    struct ps_sql *sql = &journal->quick;
    struct latest latest;
    enum ps_journal_state state;
    pthread_mutex_lock(&journal->read_lock);
    int result = look_up(sql, job->path, &latest, error);
    pthread_mutex_unlock(&journal->read_lock);
    bool unsure = result == 0 && is_unsure(&latest, &job->identity);
    int64_t checksum = unsure ? ps_file_checksum(job->path) : 0;
    if (unsure && checksum == latest.checksum)
        note_same_content(journal, latest.id, &job->identity);
    if (result == 0 && !is_known(&latest, job, checksum, &state)) {
        ps_journal_begin_write(journal);
        result = begin_quick(journal, error);
        if (result == 0) {
            /* Look again: another thread can have recorded it in between. */
            result = look_up(sql, job->path, &latest, error);
            if (result == 0 && !is_known(&latest, job, checksum, &state))
                result = record(sql, job, &latest, &state, error);
            if (result == 0)
                result = ps_journal_unskip(sql, job->path, error);
            result = ps_sql_finish(sql, result, error);
        }
        pthread_mutex_unlock(&journal->read_lock);
        ps_journal_end_write(journal);
    }
    if (result)
        return result;
    job->row = latest.id;
    job->revision = latest.revision;
    job->attempt = latest.attempt;
    job->deaths = latest.deaths;
    job->repick = latest.repick;
    *ret_state = state;
    return 0;
}

bool ps_journal_done(struct ps_journal *journal, const char *path,
                     const struct ps_identity *identity)
{
    struct latest latest;
    pthread_mutex_lock(&journal->read_lock);
    int result = look_up(&journal->quick, path, &latest, NULL);
    pthread_mutex_unlock(&journal->read_lock);
    if (result || !latest.id || latest.open)
        return false;
    int64_t checksum = is_unsure(&latest, identity) ? ps_file_checksum(path) : 0;
    if (checksum && checksum == latest.checksum)
        note_same_content(journal, latest.id, identity);
    return is_latest(&latest, identity, checksum);
}

/* Reads a page of the jobs whose paths follow `path`, ordered by path. */
static int read_open(struct ps_sql *sql, const char *path, struct ps_job *jobs[PS_MAX_PAGE_ROWS],
                     size_t *ret_count, struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_OPEN);
    ps_sql_bind_text(sql, path);
    ps_sql_bind_int(sql, PS_MAX_PAGE_ROWS);
    size_t count = 0;
    int found;
    while ((found = ps_sql_row(sql, error)) > 0) {
        struct ps_job *job = ps_job_new(ps_sql_get_text(sql, 1), ps_sql_get_text(sql, 2));
        if (!job) {
            ps_sql_end(sql);
            found = ps_fail(error, PS_E_NOMEM, "no memory for a micrograph to pick");
            break;
        }
        job->row = ps_sql_get_int(sql, 0);
        job->revision = (int)ps_sql_get_int(sql, 3);
        job->attempt = (int)ps_sql_get_int(sql, 4);
        job->identity = get_identity(sql, 5);
        job->closed_ns = ps_sql_get_int(sql, 9);
        job->detected_ns = ps_sql_get_int(sql, 10);
        job->deaths = (int)ps_sql_get_int(sql, 11); /* NULL reads as 0 */
        job->repick = ps_sql_get_int(sql, 12) != 0;
        jobs[count++] = job;
    }
    *ret_count = count;
    return found;
}

int ps_journal_each_open(struct ps_journal *journal, int (*take)(void *context, struct ps_job *job),
                         void *context, struct ps_error *error)
{
    char *after = strdup("");
    int result = 0;
    bool more = true;
    while (more && result == 0) {
        struct ps_job *jobs[PS_MAX_PAGE_ROWS];
        size_t count = 0;
        if (!after)
            return ps_fail(error, PS_E_NOMEM, "no memory for a path");
        pthread_mutex_lock(&journal->read_lock);
        result = read_open(&journal->quick, after, jobs, &count, error);
        pthread_mutex_unlock(&journal->read_lock);
        more = count == PS_MAX_PAGE_ROWS;
        if (more) {
            free(after);
            after = strdup(jobs[count - 1]->path);
        }
        bool stopped = result != 0;
        for (size_t i = 0; i < count; i++) {
            if (stopped)
                ps_job_free(jobs[i]);
            else if (take(context, jobs[i]))
                stopped = true;
        }
        more = more && !stopped;
    }
    free(after);
    return result;
}
