/* The table of formats, names of files, and the two formats that are plain text. */
#include "output/picks.h"

#include "base/error.h"

#include "base/text.h"
#include "output/file.h"

#include <stdlib.h>
#include <string.h>

const struct ps_picks_format ps_picks_formats[] = {
    {"star", "_autopick.star", ps_picks_write_star},
    {"csv", "_autopick.csv", ps_picks_write_csv},
    {"json", "_autopick.json", ps_picks_write_json},
    {NULL, NULL, NULL},
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

/* For ps_file_write_atomically(). */
struct job {
    const struct ps_picks_format *format;
    const struct ps_pick_file *file;
};

static int write_job(FILE *stream, const void *context, struct ps_error *error)
{
    const struct job *job = context;
    return job->format->write(job->file, stream, error);
}

int ps_picks_write(const char *path, const struct ps_picks_format *format,
                   const struct ps_pick_file *file, struct ps_error *error)
{
    struct job job = {format, file};
    return ps_file_write_atomically(path, write_job, &job, error);
}

int ps_picks_write_all(const struct ps_config *config, const char *prefix,
                       const struct ps_pick_file *file, struct ps_error *error)
{
    char *directory = NULL;
    if (asprintf(&directory, "%s%s%s", config->output.directory, *prefix ? "/" : "", prefix) < 0)
        return ps_fail_memory(error, strlen(prefix), "a path");
    int status = 0;
    for (size_t i = 0; i < config->output.formats.count && status == 0; i++) {
        const struct ps_picks_format *format =
            ps_picks_format_find(config->output.formats.items[i]);
        char *path = ps_picks_path(directory, file->name, format->suffix);
        status = path ? ps_picks_write(path, format, file, error)
                      : ps_fail_memory(error, strlen(file->name), "a path");
        free(path);
    }
    free(directory);
    return status;
}

/* RELION 3.1 looks for a line with "data_" in it wherever that stands, so a comment may hold no
 * name of a file and no '_' of a reason. */
int ps_picks_write_star(const struct ps_pick_file *file, FILE *stream, struct ps_error *error)
{
    (void)error;
    const struct ps_result *result = file->result;
    (void)fprintf(stream, "# written by pickstream\n");
    if (result->outcome == PS_REJECTED) {
        char reason[sizeof result->reason];
        (void)snprintf(reason, sizeof reason, "%s", result->reason);
        for (char *at = reason; *at; at++) {
            if (*at == '_' || *at == '\n')
                *at = ' ';
        }
        (void)fprintf(stream, "# rejected: %s\n", reason);
    }
    (void)fputs("\n"
                "data_\n"
                "\n"
                "loop_\n"
                "_rlnCoordinateX #1\n"
                "_rlnCoordinateY #2\n"
                "_rlnAutopickFigureOfMerit #3\n",
                stream);
    for (size_t i = 0; i < result->count; i++) {
        const struct ps_pick *pick = &result->picks[i];
        char x[PS_NUMBER_TEXT], y[PS_NUMBER_TEXT], score[PS_NUMBER_TEXT];
        (void)fprintf(stream, "%12s %12s %12s\n", ps_text_from_float(pick->x, x),
                      ps_text_from_float(pick->y, y), ps_text_from_float(pick->score, score));
    }
    (void)fputc('\n', stream);
    return 0;
}

int ps_picks_write_csv(const struct ps_pick_file *file, FILE *stream, struct ps_error *error)
{
    (void)error;
    const struct ps_result *result = file->result;
    (void)fputs("x,y,score,area\n", stream);
    for (size_t i = 0; i < result->count; i++) {
        const struct ps_pick *pick = &result->picks[i];
        char x[PS_NUMBER_TEXT], y[PS_NUMBER_TEXT], score[PS_NUMBER_TEXT], area[PS_NUMBER_TEXT];
        (void)fprintf(stream, "%s,%s,%s,%s\n", ps_text_from_float(pick->x, x),
                      ps_text_from_float(pick->y, y), ps_text_from_float(pick->score, score),
                      ps_text_from_float(pick->area, area));
    }
    return 0;
}
