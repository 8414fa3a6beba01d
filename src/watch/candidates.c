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
    size_t below;
    size_t root;
    struct ps_settle settle;
    int64_t closed_ns; /* of the last announcement, if the file did not change since; else 0 */
    int64_t closed_mono_ns;
    struct list *list; /* that it is in; NULL: none */
    TAILQ_ENTRY(candidate) link;
};

struct ps_candidates {
    const struct ps_watcher_sink *sink;
    double settle_seconds;
    struct ps_memo memo; /* what the sink knows, and what it took lately */
    void *by_path;
    size_t count;
    size_t root_count;
    size_t *counts;       /* by root */
    struct list quieting; /* must be quiet for settle_seconds */
    struct list stalled;  /* quiet, but short: their patience runs */
    struct list refused;  /* complete, but the sink had no room */
    struct list offered;  /* of these, to be offered again now */
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

static struct candidate *add(struct ps_candidates *candidates, const struct ps_sighting *sighting)
{
    struct candidate *candidate =
        candidates->count < PS_CANDIDATES_MOST ? calloc(1, sizeof *candidate) : NULL;
    if (!candidate)
        return NULL;
    candidate->path = strdup(sighting->path);
    candidate->root = sighting->root;
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
    ps_memo_clear(&candidates->memo);
    free(candidates->counts);
    free(candidates);
}

/* ---- looking ----------------------------------------------------------------------------------
 */

/* Hands a complete file on. */
static void offer(struct ps_candidates *candidates, struct candidate *candidate)
{
    struct ps_job *job = ps_job_new(candidate->path, candidate->path + candidate->below);
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
        ps_memo_add(&candidates->memo, candidate->path, &candidate->settle.identity,
                    PS_CANDIDATES_TURNS);
        drop(candidates, candidate);
    } else {
        move_to(candidate, &candidates->refused);
    }
}

static bool known(struct ps_candidates *candidates, const char *path,
                  const struct ps_identity *identity)
{
    const struct ps_watcher_sink *sink = candidates->sink;
    if (ps_memo_has(&candidates->memo, path, identity))
        return true;
    if (!sink->known(sink->context, path, identity))
        return false;
    ps_memo_add(&candidates->memo, path, identity, PS_MEMO_WHILE_SEEN);
    return true;
}

static void look(struct ps_candidates *candidates, struct candidate *candidate,
                 const struct ps_identity *identity, bool announced)
{
    const int64_t changed_ns = candidate->settle.changed_ns;
    switch (ps_settle_look(&candidate->settle, candidate->path, identity, announced,
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
    struct list *list = candidate->settle.short_of ? &candidates->stalled : &candidates->quieting;
    if (candidate->list != list || candidate->settle.changed_ns != changed_ns)
        move_to(candidate, list);
}

void ps_candidates_see(struct ps_candidates *candidates, const struct ps_sighting *sighting)
{
    struct candidate *candidate = find(candidates, sighting->path);
    if (known(candidates, sighting->path, &sighting->identity)) {
        if (candidate)
            drop(candidates, candidate);
        return;
    }
    if (!candidate)
        candidate = add(candidates, sighting);
    if (!candidate)
        return; /* no room: the next scan comes by again */
    candidate->below = sighting->below;
    if (sighting->announced) {
        candidate->closed_ns = sighting->wall_ns;
        candidate->closed_mono_ns = sighting->mono_ns;
    } else if (!ps_identity_equal(&candidate->settle.identity, &sighting->identity)) {
        candidate->closed_ns = candidate->closed_mono_ns = 0;
    }
    look(candidates, candidate, &sighting->identity, sighting->announced);
}

/* Looks at a candidate of which nothing is told. */
static void look_again(struct ps_candidates *candidates, struct candidate *candidate)
{
    struct stat info;
    if (stat(candidate->path, &info) != 0 || !S_ISREG(info.st_mode)) {
        drop(candidates, candidate);
        return;
    }
    const struct ps_sighting sighting = {
        .path = candidate->path,
        .below = candidate->below,
        .root = candidate->root,
        .identity = ps_identity_of(&info),
    };
    ps_candidates_see(candidates, &sighting);
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

void ps_candidates_check(struct ps_candidates *candidates, size_t most)
{
    for (size_t i = 0; i < most; i++) {
        int64_t due;
        struct candidate *first = first_due(candidates, &due);
        if (!first || due > ps_clock_mono_ns())
            return;
        look_again(candidates, first);
    }
}

void ps_candidates_turn(struct ps_candidates *candidates, bool forget)
{
    if (forget)
        ps_memo_clear(&candidates->memo);
    else
        ps_memo_turn(&candidates->memo);
    struct candidate *candidate;
    while ((candidate = TAILQ_FIRST(&candidates->refused)) != NULL)
        move_to(candidate, &candidates->offered);
}

size_t ps_candidates_count(const struct ps_candidates *candidates, size_t root)
{
    return candidates->counts[root];
}
