/* The table of formats, names of files, and what all writers need. */
#include "picks/picks.h"

#include "base/error.h"

#include "base/atomic_file.h"
#include "picks/autopick.h"
#include "picks/read.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct ps_picks_format ps_picks_formats[] = {
    {"star", "_autopick.star", false, false, ps_picks_write_star, ps_picks_read_star},
    {"cryosparc", "_cryosparc.star", true, false, ps_picks_write_cryosparc, ps_picks_read_star},
    {"box", ".box", false, false, ps_picks_write_box, ps_picks_read_box},
    {"cbox", ".cbox", false, false, ps_picks_write_cbox, ps_picks_read_cbox},
    {"tsv", "_autopick.tsv", true, true, ps_picks_write_tsv, ps_picks_read_tsv},
    {"csv", "_autopick.csv", false, false, ps_picks_write_csv, ps_picks_read_csv},
    {"json", "_autopick.json", true, false, ps_picks_write_json, ps_picks_read_json},
    {.name = NULL},
};

const struct ps_picks_format *ps_picks_format_find(const char *name)
{
    for (const struct ps_picks_format *format = ps_picks_formats; format->name; format++) {
        if (strcmp(format->name, name) == 0)
            return format;
    }
    return NULL;
}

size_t ps_picks_stem(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    /* The dot of a hidden file begins no extension. */
    return dot && dot != base ? (size_t)(dot - name) : strlen(name);
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

/* ---- writing ----------------------------------------------------------------------------------
 */

/* For ps_file_write_atomically(). */
struct job {
    const struct ps_picks_format *format;
    const struct ps_pick_file *files;
    size_t count;
};

static int write_job(FILE *stream, const void *context, struct ps_error *error)
{
    const struct job *job = context;
    return job->format->write(job->files, job->count, stream, error);
}

int ps_picks_write_many(const char *path, const struct ps_picks_format *format,
                        const struct ps_pick_file *files, size_t count, struct ps_error *error)
{
    struct job job = {format, files, count};
    return ps_file_write_atomically(path, write_job, &job, error);
}

int ps_picks_write(const char *path, const struct ps_picks_format *format,
                   const struct ps_pick_file *file, struct ps_error *error)
{
    return ps_picks_write_many(path, format, file, 1, error);
}

int ps_picks_write_below(const struct ps_config *config, const char *directory,
                         const struct ps_pick_file *file, struct ps_autopick *list,
                         struct ps_error *error)
{
    struct ps_pick_file sized = *file;
    int status = 0;
    sized.box_size = config->output.box_size;
    for (size_t i = 0; i < config->output.formats.count && status == 0; i++) {
        const struct ps_picks_format *format =
            ps_picks_format_find(config->output.formats.items[i]);
        char *path = ps_picks_path(directory, file->name, format->suffix);
        status = path ? ps_picks_write(path, format, &sized, error)
                      : ps_fail_memory(error, strlen(file->name), "a path");
        if (status == 0 && list && format->write == ps_picks_write_star)
            status = ps_autopick_add(list, file->path, path, error);
        free(path);
    }
    return status;
}

int ps_picks_write_all(const struct ps_config *config, const char *prefix,
                       const struct ps_pick_file *file, struct ps_error *error)
{
    char *directory = NULL;
    if (asprintf(&directory, "%s%s%s", config->output.directory, *prefix ? "/" : "", prefix) < 0)
        return ps_fail_memory(error, strlen(prefix), "a path");
    int status = ps_picks_write_below(config, directory, file, NULL, error);
    free(directory);
    return status;
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

void ps_picks_settle(struct ps_result *result, double min_score)
{
    size_t kept = 0;
    for (size_t i = 0; i < result->count; i++) {
        if (min_score == -INFINITY || result->picks[i].score >= (float)min_score)
            result->picks[kept++] = result->picks[i];
    }
    result->count = kept;
    result->score_median = 0;
    float *scores = malloc((kept + 1) * sizeof *scores);
    size_t known = 0;
    for (size_t i = 0; scores && i < kept; i++) {
        if (!isnan(result->picks[i].score))
            scores[known++] = result->picks[i].score;
    }
    if (known > 0) {
        qsort(scores, known, sizeof *scores, descending);
        result->score_median = ((double)scores[known / 2] + (double)scores[(known - 1) / 2]) / 2;
    }
    free(scores);
}
