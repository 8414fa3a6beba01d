#include "picks/write.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "picks/format.h"
#include "picks/writers.h"

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
