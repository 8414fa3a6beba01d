/* File names, and functions for all writers. */
#include "picks/picks.h"

#include "base/error.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of micrographs. What follows another dot is a part of the name: ts_001_-21.0 */
static const char *const extensions[] = {
    "mrc", "mrcs", "map", "ccp4", "st", "ali", "rec", "tif", "tiff", "eer", "dm3", "dm4",
    "em",  "spi",  "hdf", "hdf5", "h5", "img", "dat", "raw", "bin",  "ser", "png", "jpg",
};

size_t ps_picks_stem(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    /* The leading dot of a hidden file does not begin an extension. */
    if (!dot || dot == base)
        return strlen(name);
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        if (strcasecmp(dot + 1, extensions[i]) == 0)
            return (size_t)(dot - name);
    }
    return strlen(name);
}

char *ps_picks_path(const char *directory, const char *name, const char *suffix)
{
    size_t length = ps_picks_stem(name);
    char *path = malloc(strlen(directory) + 1 + length + strlen(suffix) + 1);
    if (!path)
        return NULL;
    char *at = stpcpy(path, directory);
    if (at == path || at[-1] != '/')
        *at++ = '/';
    at = mempcpy(at, name, length);
    (void)stpcpy(at, suffix);
    return path;
}

char *ps_picks_file(const char *stem, const char *suffix)
{
    char *path = NULL;
    return asprintf(&path, "%s%s", stem, suffix) < 0 ? NULL : path;
}

/* ---- picks ------------------------------------------------------------------------------------
 */

bool ps_picks_have_score(const struct ps_pick_file *files, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const struct ps_result *result = files[i].result;
        any |= result->count > 0;
        for (size_t k = 0; k < result->count; k++)
            if (!isnan(result->picks[k].score))
                return true;
    }
    return !any;
}

int ps_picks_box_side(const struct ps_pick_file *file, int *ret_side, struct ps_error *error)
{
    double diameter = file->result->diameter;
    double side = file->box_size > 0 ? file->box_size : 2 * ceil(diameter / 2);
    if (!(side >= 1 && side <= INT_MAX / 2))
        return ps_fail(error, PS_E_INPUT,
                       "a box needs a size, and the particle diameter is not known: give --box");
    *ret_side = (int)side;
    return 0;
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

int ps_picks_filter(struct ps_result *result, double min_score, struct ps_error *error)
{
    size_t bytes = (result->count + 1) * sizeof(float);
    float *scores = malloc(bytes);
    if (!scores)
        return ps_fail_memory(error, bytes, "scores");
    size_t kept = 0, known = 0;
    for (size_t i = 0; i < result->count; i++) {
        const struct ps_pick pick = result->picks[i];
        if (min_score > -INFINITY && !(pick.score >= (float)min_score))
            continue;
        result->picks[kept++] = pick;
        if (!isnan(pick.score))
            scores[known++] = pick.score;
    }
    result->count = kept;
    qsort(scores, known, sizeof *scores, descending);
    result->score_median =
        known ? ((double)scores[known / 2] + (double)scores[(known - 1) / 2]) / 2 : 0;
    free(scores);
    return 0;
}
