#include "watch/candidates.h"

#include "base/clock.h"
#include "layout/versions.h"
#include "watch/known_files.h"
#include "watch/settle.h"

#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

TAILQ_HEAD(list, candidate);

struct candidate {
    char *path;
    size_t name_offset;
    size_t root;
    struct ps_settle settle;
    int64_t closed_ns; /* of the last announcement, unless the file changed since; else 0 */
    int64_t closed_mono_ns;
    int64_t held_until_ns; /* complete, but a better version can follow until then; 0: not held */
    struct list *list;     /* the list that contains it, or NULL */
    TAILQ_ENTRY(candidate) link;
};

struct ps_candidates {
    const struct ps_watcher_sink *sink;
    const struct ps_config *config;
    double settle_seconds;
    struct ps_known_files known;     /* files that the sink knows or took lately */
    struct ps_known_files alone;     /* directories in which a file waited for a version in vain */
    struct ps_known_files paired;    /* directories with versions */
    struct ps_rule_counts *left_out; /* by root */
    struct ps_rule_counts *scanned;  /* by root: by the scan that is running */
    bool scanning;
    void *by_path;
    size_t count;
    size_t root_count;
    size_t *counts;        /* by root */
    struct list quieting;  /* must be quiet for settle_seconds */
    struct list stalled;   /* quiet, but shorter than the header says: waiting for the timeout */
    struct list held;      /* complete, may get a better version soon */
    struct list held_long; /* complete, will probably get one */
    struct list refused;   /* complete, but the sink refused them */
    struct list offered;   /* refused before, to be offered again now */
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct candidate *)a)->path, ((const struct candidate *)b)->path);
}

struct ps_candidates *ps_candidates_new(const struct ps_watcher_sink *sink,
                                        const struct ps_config *config)
{
    const size_t roots = config->input.directories.count;
    const size_t size = roots ? roots : 1;
    struct ps_candidates *candidates = calloc(1, sizeof *candidates);
    if (!candidates)
        return NULL;
    candidates->sink = sink;
    candidates->config = config;
    candidates->settle_seconds = config->input.settle_seconds;
    candidates->root_count = roots;
    candidates->counts = calloc(size, sizeof *candidates->counts);
    candidates->left_out = calloc(size, sizeof *candidates->left_out);
    candidates->scanned = calloc(size, sizeof *candidates->scanned);
    TAILQ_INIT(&candidates->quieting);
    TAILQ_INIT(&candidates->stalled);
    TAILQ_INIT(&candidates->held);
    TAILQ_INIT(&candidates->held_long);
    TAILQ_INIT(&candidates->refused);
    TAILQ_INIT(&candidates->offered);
    if (candidates->counts && candidates->left_out && candidates->scanned)
        return candidates;
    ps_candidates_free(candidates);
    return NULL;
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
    struct list *const lists[] = {&candidates->quieting, &candidates->stalled,
                                  &candidates->held,     &candidates->held_long,
                                  &candidates->refused,  &candidates->offered};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        while (!TAILQ_EMPTY(lists[i]))
            drop(candidates, TAILQ_FIRST(lists[i]));
    ps_known_files_clear(&candidates->known);
    ps_known_files_clear(&candidates->alone);
    ps_known_files_clear(&candidates->paired);
    free(candidates->counts);
    free(candidates->left_out);
    free(candidates->scanned);
    free(candidates);
}

/* ---- rules -----------------------------------------------------------------------------------
 */

static void count_left_out(struct ps_candidates *candidates, size_t root, enum ps_rule rule)
{
    struct ps_rule_counts *counts =
        candidates->scanning ? candidates->scanned : candidates->left_out;
    counts[root].of[rule]++;
}

const struct ps_rule_counts *ps_candidates_left_out(const struct ps_candidates *candidates,
                                                    size_t root)
{
    return &candidates->left_out[root];
}

void ps_candidates_end_scan(struct ps_candidates *candidates)
{
    memcpy(candidates->left_out, candidates->scanned,
           candidates->root_count * sizeof *candidates->left_out);
    candidates->scanning = false;
}

/* Sets of directories: identities do not matter, and the sets are not aged. */
static const struct ps_identity no_identity;

static void directory_of(const char *path, char ret_directory[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) : 0;
    const size_t kept = length < PATH_MAX ? length : PATH_MAX - 1;
    memcpy(ret_directory, path, kept);
    ret_directory[kept] = '\0';
}

/* Seconds to wait for a better version of a complete file. */
static double version_seconds(struct ps_candidates *candidates, const char *path)
{
    const double settle = candidates->settle_seconds;
    const double shortest = settle < PS_VERSION_SECONDS ? settle : PS_VERSION_SECONDS;
    char directory[PATH_MAX];
    directory_of(path, directory);
    switch (ps_version_wait(candidates->config, path)) {
    case PS_VERSION_PARTNER:
        return PS_SETTLE_SHORT_FACTOR * settle;
    case PS_VERSION_PLAIN:
        if (ps_known_files_has(&candidates->paired, directory, &no_identity))
            return PS_SETTLE_SHORT_FACTOR * settle;
        return ps_known_files_has(&candidates->alone, directory, &no_identity) ? 0 : shortest;
    case PS_VERSION_BEST:
        break;
    }
    return 0;
}

/* True if a complete file is to wait for a better version, and does. */
static bool hold(struct ps_candidates *candidates, struct candidate *candidate)
{
    char text[PATH_MAX];
    const int64_t now = ps_clock_mono_ns();
    if (ps_version_better(candidates->config, candidate->path, candidate->name_offset, text)) {
        directory_of(candidate->path, text);
        ps_known_files_add(&candidates->paired, text, &no_identity, PS_KNOWN_WHILE_SEEN);
        return false; /* the sink skips it */
    }
    if (candidate->held_until_ns && now < candidate->held_until_ns)
        return true;
    if (candidate->held_until_ns) {
        directory_of(candidate->path, text);
        ps_known_files_add(&candidates->alone, text, &no_identity, PS_KNOWN_WHILE_SEEN);
        return false;
    }
    const double seconds = version_seconds(candidates, candidate->path);
    if (seconds <= 0)
        return false;
    candidate->held_until_ns = now + (int64_t)(seconds * 1e9);
    move_to(candidate,
            seconds > candidates->settle_seconds ? &candidates->held_long : &candidates->held);
    return true;
}

/* ---- checks -----------------------------------------------------------------------------------
 */

/* Passes a complete file to the sink. */
static void offer(struct ps_candidates *candidates, struct candidate *candidate)
{
    if (hold(candidates, candidate))
        return;
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
    /* A file that cannot be read may be readable later, with the same identity: ask again then. */
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0)
        ps_known_files_add(&candidates->known, path, identity, PS_KNOWN_WHILE_SEEN);
    return true;
}

static void check(struct ps_candidates *candidates, struct candidate *candidate,
                  const struct ps_identity *identity, bool announced)
{
    const int64_t changed_ns = candidate->settle.changed_ns;
    const enum ps_settle_state state =
        ps_settle_check(&candidate->settle, candidate->path, identity, announced,
                        ps_clock_mono_ns(), candidates->settle_seconds);
    if (candidate->settle.changed_ns != changed_ns)
        candidate->held_until_ns = 0;
    switch (state) {
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
    const enum ps_rule rule =
        ps_layout_judge(candidates->config, observation->path, observation->name_offset);
    if (rule != PS_RULE_NONE) {
        if (!observation->again)
            count_left_out(candidates, observation->root, rule);
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
        .again = true,
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
    struct candidate *const held[] = {TAILQ_FIRST(&candidates->held),
                                      TAILQ_FIRST(&candidates->held_long)};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        if (held[i] && held[i]->held_until_ns < *ret_due) {
            *ret_due = held[i]->held_until_ns;
            first = held[i];
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
    memset(candidates->scanned, 0, candidates->root_count * sizeof *candidates->scanned);
    candidates->scanning = true;
    struct candidate *candidate;
    while ((candidate = TAILQ_FIRST(&candidates->refused)) != NULL)
        move_to(candidate, &candidates->offered);
}

size_t ps_candidates_count(const struct ps_candidates *candidates, size_t root)
{
    return candidates->counts[root];
}
