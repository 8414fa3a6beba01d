#include "picks/write.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "picks/format.h"
#include "picks/write_particles.h"
#include "picks/writers.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    char *name = NULL;
    int status = format->name_of ? format->name_of(file, &name, error) : 0;
    free(name);
    if (status)
        return status == PS_E_INPUT && error ? ps_fail_prefix(error, "%.200s", path) : status;
    return ps_picks_write_many(path, format, file, 1, error);
}

/* ---- files that a format cannot hold -----------------------------------------------------------
 */

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Enters the name of a file in `names`. PS_E_INPUT: the format cannot hold it beside the others. */
static int enter_name(const struct ps_picks_format *format, const struct ps_pick_file *file,
                      void **names, struct ps_error *error)
{
    char *name = NULL;
    int status = format->name_of(file, &name, error);
    if (status)
        return status;
    char **place = tsearch(name, names, by_text);
    if (place && *place == name)
        return 0;
    status = place ? ps_fail(error, PS_E_INPUT,
                             "%.200s: a %s file cannot hold two micrographs of the name %.150s",
                             file->path, format->name, name)
                   : ps_fail_memory(error, strlen(name), "a name");
    free(name);
    return status;
}

int ps_picks_leave_out(const struct ps_picks_format *format, struct ps_pick_file *files,
                       size_t *count, void (*report)(void *context, const struct ps_error *reason),
                       void *context, struct ps_error *error)
{
    void *names = NULL;
    size_t kept = 0;
    int status = 0;
    for (size_t i = 0; i < *count && format->name_of && status == 0; i++) {
        struct ps_error reason;
        status = enter_name(format, &files[i], &names, &reason);
        if (status == PS_E_INPUT) {
            report(context, &reason);
            status = 0;
        } else if (status) {
            *error = reason;
        } else {
            files[kept++] = files[i];
        }
    }
    tdestroy(names, free);
    if (status == 0 && format->name_of)
        *count = kept;
    return status;
}

/* ---- the files of one micrograph ---------------------------------------------------------------
 */

/* Writes one of the files of a micrograph, or removes its earlier version. */
static int write_format(const char *stem, const struct ps_picks_format *format,
                        const struct ps_pick_file *file, const struct ps_picks_keep *keep,
                        struct ps_autopick *list, struct ps_error *error)
{
    char *path = ps_picks_file(stem, format->suffix);
    if (!path)
        return ps_fail_memory(error, strlen(stem), "a path");
    int status = ps_picks_write(path, format, file, error);
    if (status) {
        ps_picks_withdraw(path, format, file, keep, error);
        if (list)
            ps_autopick_check(list);
    } else if (list && format->write == ps_picks_write_star) {
        status = ps_autopick_add(list, file->path, file->listed, path, error);
    }
    free(path);
    return status;
}

static struct ps_pick_file sized(const struct ps_config *config, const struct ps_pick_file *file)
{
    struct ps_pick_file result = *file;
    result.box_size = config->output.box_size;
    return result;
}

/* Keeps the first failure, but one that another try can mend before one that it cannot. */
static void note_failure(int status, const struct ps_error *reason, int *result,
                         struct ps_error *error)
{
    if (status == 0 || (*result && (*result != PS_E_INPUT || status == PS_E_INPUT)))
        return;
    *result = status;
    if (error)
        *error = *reason;
}

int ps_picks_write_stem(const struct ps_config *config, const char *stem,
                        const struct ps_pick_file *file, const struct ps_picks_keep *keep,
                        struct ps_autopick *list, struct ps_error *error)
{
    const struct ps_pick_file with_size = sized(config, file);
    struct ps_error reason;
    int result = 0;
    int removed = config->output.extract ? ps_picks_remove_particles(stem, &reason) : 0;
    note_failure(removed, &reason, &result, error);
    for (size_t i = 0; i < config->output.formats.count; i++) {
        int status = write_format(stem, ps_picks_format_find(config->output.formats.items[i]),
                                  &with_size, keep, list, &reason);
        note_failure(status, &reason, &result, error);
    }
    if (config->output.extract && removed == 0)
        note_failure(ps_particles_write(config, stem, file, &reason), &reason, &result, error);
    return result;
}

void ps_picks_write_failed(const struct ps_config *config, const struct ps_picks_place *place,
                           const struct ps_pick_file *file, const struct ps_picks_keep *keep,
                           struct ps_autopick *list, struct ps_error *error)
{
    const struct ps_pick_file with_size = sized(config, file);
    ps_picks_withdraw_all(place, config, &with_size, keep, error);
    if (list)
        ps_autopick_check(list);
}

int ps_picks_write_below(const struct ps_config *config, struct ps_names *names,
                         const char *directory, const struct ps_pick_file *file,
                         struct ps_autopick *list, struct ps_error *error)
{
    const struct ps_picks_place place = {names, directory, file->name, file->path};
    struct ps_claim claim;
    int status = ps_names_claim(names, directory, file->name, file->path, &claim, error);
    if (status) {
        ps_picks_write_failed(config, &place, file, NULL, list, error);
        return status;
    }
    status = ps_picks_write_stem(config, claim.stem, file, NULL, list, error);
    ps_claim_done(&claim);
    return status;
}

/* ---- directories -------------------------------------------------------------------------------
 */

/* Length of the longest parent path that all watched directories share, with its slash. */
static size_t shared_length(const struct ps_list *directories)
{
    const char *first = directories->items[0];
    size_t shared = 0;
    for (size_t i = 0;; i++) {
        for (size_t d = 1; d < directories->count; d++) {
            const char *other = directories->items[d];
            bool ends = !first[i] || !other[i];
            if (ends ? (first[i] && first[i] != '/') || (other[i] && other[i] != '/')
                     : first[i] != other[i])
                return shared;
        }
        if (!first[i])
            return shared;
        if (first[i] == '/')
            shared = i + 1;
    }
}

void ps_output_prefix(const struct ps_config *config, const char *watched, char *ret_text,
                      size_t size)
{
    const struct ps_list *directories = &config->input.directories;
    size_t shared = directories->count > 1 ? shared_length(directories) : strlen(watched);
    (void)snprintf(ret_text, size, "%s", strlen(watched) > shared ? watched + shared : "");
    for (size_t length = strlen(ret_text); length > 0 && ret_text[length - 1] == '/'; length--)
        ret_text[length - 1] = '\0';
}
