/* Outcomes: committing, replaying, finding and counting them. */
#include "journal/internal.h"

#include "base/error.h"
#include "journal/frames.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAGE_BYTES = 4 << 20 }; /* of messages; the row that exceeds it ends a page */

/* Records a micrograph that was rewritten while it was picked. The picked contents keep the
 * revision, in a new row; the row that is still to be picked becomes the next revision. */
static int insert_picked(struct ps_sql *sql, const struct ps_journal_row *record, int64_t *ret_id,
                         struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_ROW);
    ps_sql_bind_int(sql, record->job->row);
    int found = ps_sql_row(sql, error);
    if (found < 0)
        return found;
    bool open = found && ps_sql_get_int(sql, 0);
    int revision = found ? (int)ps_sql_get_int(sql, 1) : 0;
    int attempt = found ? (int)ps_sql_get_int(sql, 2) : 0;
    ps_sql_end(sql);
    if (!open)
        return ps_fail(error, PS_E_BUG, "%s: %s", record->job->path,
                       found ? "has its outcome already" : "is not in the journal");
    ps_sql_use(sql, PS_SQL_SUPERSEDE);
    ps_sql_bind_int(sql, record->job->row);
    int result = ps_sql_run(sql, error);
    if (result)
        return result;
    return ps_journal_insert(sql, record->job, revision, attempt, record->status, ret_id, error);
}

/* Records which content has the outcome. */
static int add_content(struct ps_sql *sql, int64_t id, const struct ps_job *job,
                       struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_CONTENT);
    ps_sql_bind_int(sql, id);
    ps_sql_bind_int(sql, job->checksum ? job->identity.ctime_ns : 0);
    ps_sql_bind_int(sql, job->checksum);
    return ps_sql_run(sql, error);
}

static int note_parameters(struct ps_sql *sql, const struct ps_journal_row *record,
                           struct ps_error *error)
{
    if (!record->parameters)
        return 0;
    ps_sql_use(sql, PS_SQL_MADE_WITH);
    ps_sql_bind_int(sql, (int64_t)record->seq);
    ps_sql_bind_text(sql, record->parameters);
    return ps_sql_run(sql, error);
}

static int add_outcome(struct ps_sql *sql, const struct ps_journal_row *record,
                       struct ps_error *error)
{
    const struct ps_job *job = record->job;
    ps_sql_use(sql, PS_SQL_FINISH);
    ps_sql_bind_text(sql, record->status);
    ps_sql_bind_int(sql, job->attempt);
    ps_sql_bind_int(sql, job->row);
    ps_sql_bind_int(sql, (int64_t)job->identity.size);
    ps_sql_bind_int(sql, job->identity.mtime_ns);
    int result = ps_sql_run(sql, error);
    int64_t id = job->row;
    if (result == 0 && sqlite3_changes(sql->db) == 0)
        result = insert_picked(sql, record, &id, error);
    unsigned char *blob = NULL;
    size_t size = 0;
    if (result == 0)
        result = ps_frames_pack(record->frames, &blob, &size, error);
    if (result)
        return result;
    ps_sql_use(sql, PS_SQL_OUTCOME);
    ps_sql_bind_int(sql, (int64_t)record->seq);
    ps_sql_bind_int(sql, id);
    ps_sql_bind_text(sql, record->status);
    ps_sql_bind_text(sql, record->reason);
    ps_sql_bind_int(sql, (int64_t)record->count);
    ps_sql_bind_bytes(sql, blob, size);
    result = ps_sql_run(sql, error);
    free(blob);
    if (result == 0)
        result = ps_journal_note_files(sql, job, record->seq, error);
    if (result == 0)
        result = ps_journal_run(sql, PS_SQL_ALIVE, job->row, error);
    if (result == 0)
        result = ps_journal_run(sql, PS_SQL_REPICKED, job->row, error);
    if (result == 0)
        result = note_parameters(sql, record, error);
    return result ? result : add_content(sql, id, job, error);
}

static int commit(struct ps_journal *journal, const struct ps_journal_row *records, size_t count,
                  struct ps_error *error)
{
    uint64_t last = atomic_load(&journal->last_seq);
    for (size_t i = 0; i < count; i++)
        if (records[i].seq != last + 1 + i)
            return ps_fail(error, PS_E_BUG, "outcome %" PRIu64 " follows %" PRIu64, records[i].seq,
                           last + i);
    struct ps_sql *sql = &journal->durable;
    int result = ps_sql_begin(sql, error);
    if (result)
        return result;
    for (size_t i = 0; i < count && result == 0; i++)
        result = add_outcome(sql, &records[i], error);
    result = ps_sql_finish(sql, result, error);
    if (result == 0)
        atomic_store(&journal->last_seq, last + count);
    return result;
}

int ps_journal_commit(struct ps_journal *journal, const struct ps_journal_row *records,
                      size_t count, struct ps_error *error)
{
    if (count == 0)
        return 0;
    ps_journal_begin_write(journal);
    int result = commit(journal, records, count, error);
    ps_journal_end_write(journal);
    return result;
}

/* Messages copied from the database. */
struct page {
    size_t count;
    struct {
        uint64_t seq;
        unsigned char *blob;
        size_t size;
    } row[PS_MAX_PAGE_ROWS];
};

static int read_page(struct ps_sql *sql, uint64_t after, size_t limit, struct page *ret_page,
                     struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_REPLAY);
    ps_sql_bind_int(sql, after < INT64_MAX ? (int64_t)after : INT64_MAX);
    ps_sql_bind_int(sql, (int64_t)(limit < PS_MAX_PAGE_ROWS ? limit : PS_MAX_PAGE_ROWS));
    ret_page->count = 0;
    size_t bytes = 0;
    int found;
    while ((found = ps_sql_row(sql, error)) > 0) {
        size_t size;
        const void *from = ps_sql_get_bytes(sql, 1, &size);
        unsigned char *blob = malloc(size ? size : 1);
        if (!blob) {
            ps_sql_end(sql);
            return ps_fail_memory(error, size, "a message");
        }
        if (size)
            memcpy(blob, from, size);
        ret_page->row[ret_page->count].seq = (uint64_t)ps_sql_get_int(sql, 0);
        ret_page->row[ret_page->count].blob = blob;
        ret_page->row[ret_page->count].size = size;
        ret_page->count++;
        bytes += size;
        if (bytes >= MAX_PAGE_BYTES) {
            ps_sql_end(sql);
            return 0;
        }
    }
    return found;
}

int ps_journal_replay(struct ps_journal *journal, uint64_t after, size_t limit,
                      int (*take)(void *context, uint64_t seq, const struct ps_frames *frames),
                      void *context, struct ps_error *error)
{
    int result = 0;
    bool stopped = false;
    ps_journal_mend_reading(journal);
    while (limit > 0 && result == 0 && !stopped) {
        struct page page;
        pthread_mutex_lock(&journal->read_lock);
        result = read_page(&journal->quick, after, limit, &page, error);
        pthread_mutex_unlock(&journal->read_lock);
        stopped = page.count == 0;
        for (size_t i = 0; i < page.count; i++) {
            struct ps_frames frames;
            if (result == 0 && !stopped) {
                after = page.row[i].seq;
                if (ps_frames_unpack(page.row[i].blob, page.row[i].size, &frames))
                    stopped = take(context, after, &frames) != 0;
                else
                    result = ps_fail(error, PS_E_SYSTEM,
                                     "%s: the message of outcome %" PRIu64 " is damaged",
                                     journal->quick.path, after);
            }
            free(page.row[i].blob);
        }
        limit -= page.count;
    }
    return result;
}

int ps_journal_read_number(struct ps_journal *journal, enum ps_sql_statement statement,
                           const char *text, uint64_t *ret_number, struct ps_error *error)
{
    struct ps_sql *sql = &journal->quick;
    pthread_mutex_lock(&journal->read_lock);
    ps_sql_use(sql, statement);
    ps_sql_bind_text(sql, text);
    int found = ps_sql_row(sql, error);
    if (found > 0) {
        *ret_number = (uint64_t)ps_sql_get_int(sql, 0);
        ps_sql_end(sql);
    }
    pthread_mutex_unlock(&journal->read_lock);
    return found < 0 ? found : 0;
}

int ps_journal_find(struct ps_journal *journal, const char *name, uint64_t *ret_seq,
                    struct ps_error *error)
{
    return ps_journal_read_number(journal, PS_SQL_FIND, name, ret_seq, error);
}

int ps_journal_latest(struct ps_journal *journal, const char *path, uint64_t *ret_seq,
                      struct ps_error *error)
{
    return ps_journal_read_number(journal, PS_SQL_REPLACES, path, ret_seq, error);
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int ps_journal_usual_picks(struct ps_journal *journal, const char *parameters, double *ret_median,
                           struct ps_error *error)
{
    enum { MAX_OUTCOMES = 100, MIN_OUTCOMES = 20 };
    struct ps_sql *sql = &journal->quick;
    int64_t picks[MAX_OUTCOMES];
    size_t count = 0;
    int found;
    pthread_mutex_lock(&journal->read_lock);
    ps_sql_use(sql, PS_SQL_RECENT_PICKS);
    ps_sql_bind_text(sql, parameters);
    ps_sql_bind_int(sql, MAX_OUTCOMES);
    while ((found = ps_sql_row(sql, error)) > 0)
        picks[count++] = ps_sql_get_int(sql, 0);
    pthread_mutex_unlock(&journal->read_lock);
    if (found)
        return found;
    qsort(picks, count, sizeof *picks, by_number);
    *ret_median =
        count < MIN_OUTCOMES ? 0 : (double)(picks[count / 2] + picks[(count - 1) / 2]) / 2;
    return 0;
}

/* The total that a row of PS_SQL_TOTALS is part of. */
static uint64_t *find_total(struct ps_journal_totals *totals, const char *kind)
{
    const struct {
        const char *kind;
        uint64_t *total;
    } places[] = {
        {"picked", &totals->picked},      {"rejected", &totals->rejected},
        {"failed", &totals->failed},      {"seen", &totals->open},
        {"skipped", &totals->skipped},    {"retry", &totals->retries},
        {"revision", &totals->revisions}, {"repick", &totals->repicks_left},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strcmp(kind, places[i].kind) == 0)
            return places[i].total;
    return NULL;
}

int ps_journal_totals(struct ps_journal *journal, struct ps_journal_totals *ret_totals,
                      struct ps_error *error)
{
    struct ps_sql *sql = &journal->quick;
    struct ps_journal_totals totals = {0};
    int found;
    pthread_mutex_lock(&journal->read_lock);
    ps_sql_use(sql, PS_SQL_TOTALS);
    while ((found = ps_sql_row(sql, error)) > 0) {
        /* The numbers of replaced outcomes are negative. */
        const uint64_t number = (uint64_t)ps_sql_get_int(sql, 1);
        totals.picks += (uint64_t)ps_sql_get_int(sql, 2);
        uint64_t *const total = find_total(&totals, ps_sql_get_text(sql, 0));
        if (total)
            *total += number;
    }
    totals.open -= totals.repicks_left;
    pthread_mutex_unlock(&journal->read_lock);
    if (found == 0)
        *ret_totals = totals;
    return found;
}
