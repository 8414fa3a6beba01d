#include "watch/candidates.h"

#include "base/clock.h"
#include "watch/known_files.h"
#include "watch/settle.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

TAILQ_HEAD(list, candidate);

struct candidate {
    char *path;
    size_t name_offset;
    size_t root;
    struct ps_settle settle;
    int64_t closed_ns; /* of the last announcement, unless the file changed since; else 0 */
    int64_t closed_mono_ns;
    struct list *list; /* the list that contains it, or NULL */
    TAILQ_ENTRY(candidate) link;
};

struct ps_candidates {
    const struct ps_watcher_sink *sink;
    double settle_seconds;
    struct ps_known_files known; /* files that the sink knows or took lately */
    void *by_path;
    size_t count;
    size_t root_count;
    size_t *counts;       /* by root */
    struct list quieting; /* must be quiet for settle_seconds */
    struct list stalled;  /* quiet, but shorter than the header says: waiting for the timeout */
    struct list refused;  /* complete, but the sink refused them */
    struct list offered;  /* refused before, to be offered again now */
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct candidate *)a)->path, ((const struct candidate *)b)->path);
}

struct ps_candidates *ps_candidates_new(const struct ps_watcher_sink *sink, double settle_seconds,
                                        size_t roots)
{
    struct ps_candidates *candidates = calloc(1, sizeof *candidates);
    size_t *counts = calloc(roots ? roots : 1, sizeof *counts);
    if (!candidates || !counts) {
        free(candidates);
        free(counts);
        return NULL;
    }
    candidates->sink = sink;
    candidates->settle_seconds = settle_seconds;
    candidates->root_count = roots;
    candidates->counts = counts;
    TAILQ_INIT(&candidates->quieting);
    TAILQ_INIT(&candidates->stalled);
    TAILQ_INIT(&candidates->refused);
    TAILQ_INIT(&candidates->offered);
    return candidates;
}

/* ---- the table --------------------------------------------------------------------------------
 */

static struct candidate *find(struct ps_candidates *candidates, const char *path)
{
    const struct candidate key = {.path = (char *)path};
    struct candidate **found = tfind(&key, &candidates->by_path, by_path);
    return found ? *found : NULL;
}

static struct candidate *add(struct ps_candidates *candidates,
                             const struct ps_file_observation *observation)
{
    struct candidate *candidate =
        candidates->count < PS_MAX_CANDIDATES ? calloc(1, sizeof *candidate) : NULL;
    if (!candidate)
        return NULL;
    candidate->path = strdup(observation->path);
    candidate->root = observation->root;
    if (!candidate->path || !tsearch(candidate, &candidates->by_path, by_path)) {
        free(candidate->path);
        free(candidate);
        return NULL;
    }
    candidates->count++;
    candidates->counts[candidate->root]++;
    return candidate;
}

static void move_to(struct candidate *candidate, struct list *list)
{
    if (candidate->list)
        TAILQ_REMOVE(candidate->list, candidate, link);
    candidate->list = list;
    if (list)
        TAILQ_INSERT_TAIL(list, candidate, link);
}

static void drop(struct ps_candidates *candidates, struct candidate *candidate)
{
    move_to(candidate, NULL);
    (void)tdelete(candidate, &candidates->by_path, by_path);
    candidates->count--;
    candidates->counts[candidate->root]--;
    free(candidate->path);
    free(candidate);
}

void ps_candidates_free(struct ps_candidates *candidates)
{
    if (!candidates)
        return;
    struct list *const lists[] = {&candidates->quieting, &candidates->stalled, &candidates->refused,
                                  &candidates->offered};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        while (!TAILQ_EMPTY(lists[i]))
            drop(candidates, TAILQ_FIRST(lists[i]));
    ps_known_files_clear(&candidates->known);
    free(candidates->counts);
    free(candidates);
}

/* ---- checks -----------------------------------------------------------------------------------
 */

/* Passes a complete file to the sink. */
static void offer(struct ps_candidates *candidates, struct candidate *candidate)
{
    struct ps_job *job = ps_job_new(candidate->path, candidate->path + candidate->name_offset);
    bool taken = false;
    if (job) {
        job->identity = candidate->settle.identity;
        job->closed_ns =
            candidate->closed_ns ? candidate->closed_ns : candidate->settle.identity.mtime_ns;
        job->closed_mono_ns = candidate->closed_mono_ns;
        job->detected_ns = ps_clock_wall_ns();
        taken = candidates->sink->found(candidates->sink->context, job);
    }
    if (taken) {
        ps_known_files_add(&candidates->known, candidate->path, &candidate->settle.identity,
                           PS_TAKEN_FILE_SCANS);
        drop(candidates, candidate);
    } else {
        move_to(candidate, &candidates->refused);
    }
}

static bool is_known(struct ps_candidates *candidates, const char *path,
                     const struct ps_identity *identity)
{
    const struct ps_watcher_sink *sink = candidates->sink;
    if (ps_known_files_has(&candidates->known, path, identity))
        return true;
    if (!sink->known(sink->context, path, identity))
        return false;
    ps_known_files_add(&candidates->known, path, identity, PS_KNOWN_WHILE_SEEN);
    return true;
}

static void check(struct ps_candidates *candidates, struct candidate *candidate,
                  const struct ps_identity *identity, bool announced)
{
    const int64_t changed_ns = candidate->settle.changed_ns;
    switch (ps_settle_check(&candidate->settle, candidate->path, identity, announced,
                            ps_clock_mono_ns(), candidates->settle_seconds)) {
    case PS_SETTLE_COMPLETE:
        offer(candidates, candidate);
        return;
    case PS_SETTLE_VANISHED:
        drop(candidates, candidate);
        return;
    case PS_SETTLE_WAITING:
        break;
    }
    struct list *list = candidate->settle.is_short ? &candidates->stalled : &candidates->quieting;
    if (candidate->list != list || candidate->settle.changed_ns != changed_ns)
        move_to(candidate, list);
}

void ps_candidates_observe(struct ps_candidates *candidates,
                           const struct ps_file_observation *observation)
{
    struct candidate *candidate = find(candidates, observation->path);
    if (is_known(candidates, observation->path, &observation->identity)) {
        if (candidate)
            drop(candidates, candidate);
        return;
    }
    if (!candidate)
        candidate = add(candidates, observation);
    if (!candidate)
        return; /* too many, or no memory: the next scan finds it again */
    candidate->name_offset = observation->name_offset;
    if (observation->announced) {
        candidate->closed_ns = observation->wall_ns;
        candidate->closed_mono_ns = observation->mono_ns;
    } else if (!ps_identity_equal(&candidate->settle.identity, &observation->identity)) {
        candidate->closed_ns = candidate->closed_mono_ns = 0;
    }
    check(candidates, candidate, &observation->identity, observation->announced);
}

/* Checks a candidate without an event. */
static void check_again(struct ps_candidates *candidates, struct candidate *candidate)
{
    struct stat info;
    if (stat(candidate->path, &info) != 0 || !S_ISREG(info.st_mode)) {
        drop(candidates, candidate);
        return;
    }
    const struct ps_file_observation observation = {
        .path = candidate->path,
        .name_offset = candidate->name_offset,
        .root = candidate->root,
        .identity = ps_identity_of(&info),
    };
    ps_candidates_observe(candidates, &observation);
}

static struct candidate *first_due(const struct ps_candidates *candidates, int64_t *ret_due)
{
    struct candidate *const firsts[] = {TAILQ_FIRST(&candidates->quieting),
                                        TAILQ_FIRST(&candidates->stalled)};
    struct candidate *first = TAILQ_FIRST(&candidates->offered);
    *ret_due = first ? 0 : INT64_MAX;
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        if (!firsts[i])
            continue;
        const int64_t due = ps_settle_due(&firsts[i]->settle, candidates->settle_seconds);
        if (due < *ret_due) {
            *ret_due = due;
            first = firsts[i];
        }
    }
    return first;
}

int64_t ps_candidates_due(const struct ps_candidates *candidates)
{
    int64_t due;
    (void)first_due(candidates, &due);
    return due;
}

void ps_candidates_check(struct ps_candidates *candidates, size_t max)
{
    for (size_t i = 0; i < max; i++) {
        int64_t due;
        struct candidate *first = first_due(candidates, &due);
        if (!first || due > ps_clock_mono_ns())
            return;
        check_again(candidates, first);
    }
}

void ps_candidates_begin_scan(struct ps_candidates *candidates, bool forget)
{
    if (forget)
        ps_known_files_clear(&candidates->known);
    else
        ps_known_files_begin_scan(&candidates->known);
    struct candidate *candidate;
    while ((candidate = TAILQ_FIRST(&candidates->refused)) != NULL)
        move_to(candidate, &candidates->offered);
}

size_t ps_candidates_count(const struct ps_candidates *candidates, size_t root)
{
    return candidates->counts[root];
}
