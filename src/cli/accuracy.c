#include "cli/accuracy.h"

#include "base/error.h"
#include "base/text.h"
#include "picks/picks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- truth files ------------------------------------------------------------------------------
 */

static int append(struct ps_points *points, const double xy[2], struct ps_error *error)
{
    if ((points->count & (points->count - 1)) == 0) { /* full at each power of two */
        size_t capacity = points->count ? 2 * points->count : 1;
        void *grown = realloc(points->xy, capacity * sizeof *points->xy);
        if (!grown)
            return ps_fail_memory(error, capacity * sizeof *points->xy, "true centres");
        points->xy = grown;
    }
    points->xy[points->count][0] = xy[0];
    points->xy[points->count][1] = xy[1];
    points->count++;
    return 0;
}

/* Reads lines of numbers that begin with x and y. This handles both formats: other lines of a STAR
 * file begin with a letter, '_' or '#'. */
static int read_points(FILE *file, const char *path, struct ps_points *points,
                       struct ps_error *error)
{
    char line[1024];
    int status = 0;
    for (int number = 1; status == 0 && fgets(line, sizeof line, file); number++) {
        char *rest = NULL;
        const char *words[2] = {strtok_r(line, " \t\r\n,", &rest), NULL};
        if (!words[0] || strchr("_#", *words[0]) || strcmp(words[0], "loop_") == 0 ||
            strncmp(words[0], "data_", 5) == 0)
            continue;
        words[1] = strtok_r(NULL, " \t\r\n,", &rest);
        double xy[2];
        if (!words[1] || !ps_text_to_double(words[0], -1e9, 1e9, &xy[0], NULL) ||
            !ps_text_to_double(words[1], -1e9, 1e9, &xy[1], NULL))
            status = ps_fail(error, PS_E_INPUT, "%s:%d: x and y expected", path, number);
        else
            status = append(points, xy, error);
    }
    return status;
}

/* Reads the first of the two files that exists; not a failure if there is none. */
static int read_either(const char *directory, const char *name, const char *const suffixes[2],
                       bool *ret_found, struct ps_points *points, struct ps_error *error)
{
    *ret_found = false;
    for (size_t i = 0; i < 2; i++) {
        char *path = ps_picks_path(directory, name, suffixes[i]);
        if (!path)
            return ps_fail_memory(error, strlen(name), "a path");
        FILE *file = fopen(path, "re");
        int status = 0;
        if (file) {
            *ret_found = true;
            status = read_points(file, path, points, error);
            (void)fclose(file);
        } else if (errno != ENOENT) {
            status = ps_fail(error, PS_E_INPUT, "%s: %s", path, strerror(errno));
        }
        free(path);
        if (status || *ret_found)
            return status;
    }
    return 0;
}

int ps_truth_read(const char *directory, const char *name, struct ps_points *ret_truth,
                  struct ps_points *ret_ignored, struct ps_error *error)
{
    static const char *const truth_suffixes[] = {"_truth.star", "_truth.txt"};
    static const char *const ignore_suffixes[] = {"_ignore.star", "_ignore.txt"};
    struct ps_points truth = {0};
    struct ps_points ignored = {0};
    bool found = false;
    bool any_ignored = false;
    int status = read_either(directory, name, truth_suffixes, &found, &truth, error);
    if (status == 0 && !found) {
        char *path = ps_picks_path(directory, name, "_truth");
        status = ps_fail(error, PS_E_INPUT, "no %s.star or .txt", path ? path : name);
        free(path);
    }
    if (status == 0)
        status = read_either(directory, name, ignore_suffixes, &any_ignored, &ignored, error);
    if (status) {
        ps_points_done(&truth);
        ps_points_done(&ignored);
        return status;
    }
    *ret_truth = truth;
    *ret_ignored = ignored;
    return 0;
}

void ps_points_done(struct ps_points *points)
{
    free(points->xy);
    *points = (struct ps_points){0};
}

/* ---- matching ---------------------------------------------------------------------------------
 */

struct matching {
    const struct ps_pick *picks;
    const struct ps_points *truth;
    double tolerance_squared;
    size_t *pick_of; /* of each true centre, count of picks: none */
    size_t *visited; /* the last pick that asked for it, by number + 1 */
    size_t picks_count;
};

static double distance_squared(const struct ps_pick *pick, const double xy[2])
{
    double dx = (double)pick->x - xy[0];
    double dy = (double)pick->y - xy[1];
    return dx * dx + dy * dy;
}

/* Assigns a true centre to the pick, and moves other picks to other centres if necessary (Kuhn's
 * augmenting path). The number of neighbouring picks limits the depth. */
static bool augment(struct matching *m, size_t pick, size_t asking)
{
    for (size_t t = 0; t < m->truth->count; t++) {
        if (m->visited[t] == asking + 1 ||
            distance_squared(&m->picks[pick], m->truth->xy[t]) > m->tolerance_squared)
            continue;
        m->visited[t] = asking + 1;
        if (m->pick_of[t] == m->picks_count || augment(m, m->pick_of[t], asking)) {
            m->pick_of[t] = pick;
            return true;
        }
    }
    return false;
}

static bool near_any(const struct ps_pick *pick, const struct ps_points *points, double radius)
{
    for (size_t i = 0; i < points->count; i++)
        if (distance_squared(pick, points->xy[i]) <= radius * radius)
            return true;
    return false;
}

int ps_accuracy_measure(const struct ps_pick *picks, size_t count, const struct ps_points *truth,
                        const struct ps_points *ignored, double tolerance, double ignore_radius,
                        struct ps_accuracy *ret_accuracy, struct ps_error *error)
{
    size_t bytes = 2 * truth->count * sizeof(size_t) + count + 1;
    size_t *memory = calloc(1, bytes);
    if (!memory)
        return ps_fail_memory(error, bytes, "matching picks with the truth");
    struct matching m = {picks, truth, tolerance * tolerance, memory, memory + truth->count, count};
    bool *ignorable = (bool *)(memory + 2 * truth->count);
    for (size_t t = 0; t < truth->count; t++)
        m.pick_of[t] = count;
    struct ps_accuracy accuracy = {.truth = truth->count};
    for (size_t i = 0; i < count; i++)
        ignorable[i] = near_any(&picks[i], ignored, ignore_radius);
    /* A pick that has a centre keeps one, so those that cannot be ignored go first: where either
     * could have the last centre, it must not depend on their order which one does. */
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < count; i++) {
            if (ignorable[i] != (turn == 1))
                continue;
            bool matched = augment(&m, i, i);
            accuracy.matched += matched;
            accuracy.picks += matched || !ignorable[i];
        }
    }
    free(memory);
    *ret_accuracy = accuracy;
    return 0;
}

static double ratio(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

double ps_accuracy_precision(const struct ps_accuracy *accuracy)
{
    return ratio(accuracy->matched, accuracy->picks);
}

double ps_accuracy_recall(const struct ps_accuracy *accuracy)
{
    return ratio(accuracy->matched, accuracy->truth);
}

double ps_accuracy_f1(const struct ps_accuracy *accuracy)
{
    return ratio(2 * accuracy->matched, accuracy->picks + accuracy->truth);
}

int ps_accuracy_compare(const char *directory, const char *name, const struct ps_result *result,
                        double tolerance, struct ps_accuracy *ret_accuracy,
                        struct ps_accuracy *total, struct ps_error *error)
{
    struct ps_points truth, ignored;
    int status = ps_truth_read(directory, name, &truth, &ignored, error);
    if (status)
        return status;
    status = ps_accuracy_measure(result->picks, result->count, &truth, &ignored,
                                 tolerance > 0 ? tolerance : result->diameter / 2,
                                 result->diameter / 2, ret_accuracy, error);
    ps_points_done(&truth);
    ps_points_done(&ignored);
    if (status)
        return status;
    total->picks += ret_accuracy->picks;
    total->truth += ret_accuracy->truth;
    total->matched += ret_accuracy->matched;
    return 0;
}

void ps_accuracy_text(const struct ps_accuracy *accuracy, char ret_text[PS_ACCURACY_TEXT])
{
    (void)snprintf(ret_text, PS_ACCURACY_TEXT, ", precision %.3f, recall %.3f, F1 %.3f",
                   ps_accuracy_precision(accuracy), ps_accuracy_recall(accuracy),
                   ps_accuracy_f1(accuracy));
}
