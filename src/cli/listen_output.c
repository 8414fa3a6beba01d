#include "cli/listen_output.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_KEPT_BYTES = 256 << 20, /* of the messages of outcomes to try again */
    MAX_FAILURES = 8,           /* in succession, before the others wait for the next try */
};

struct kept {
    struct ps_outcome_record *record;
    bool by_stream;
};

struct ps_listen_output {
    const struct ps_config *config;
    const char *directory;
    struct ps_names *names;
    struct ps_autopick *list;
    struct kept *kept;
    size_t count;
    size_t capacity;
    size_t bytes; /* of the kept ones */
};

int ps_listen_output_new(const struct ps_config *config, const char *directory,
                         struct ps_listen_output **ret_output, struct ps_error *error)
{
    struct ps_listen_output *output = calloc(1, sizeof *output);
    if (!output)
        return ps_fail_memory(error, sizeof *output, "files of picks");
    output->config = config;
    output->directory = directory;
    int status = ps_names_new(PS_NAMES_REMOTE, &output->names, error);
    if (status == 0)
        status = ps_autopick_new(directory, config->output.relion_project, &output->list, error);
    if (status)
        ps_listen_output_free(output);
    else
        *ret_output = output;
    return status;
}

void ps_listen_output_free(struct ps_listen_output *output)
{
    if (!output)
        return;
    for (size_t i = 0; i < output->count; i++)
        ps_outcome_record_free(output->kept[i].record);
    free(output->kept);
    ps_autopick_free(output->list);
    ps_names_free(output->names);
    free(output);
}

struct ps_autopick *ps_listen_output_list(const struct ps_listen_output *output)
{
    return output->list;
}

size_t ps_listen_output_waiting(const struct ps_listen_output *output)
{
    return output->count;
}

/* ---- one outcome ------------------------------------------------------------------------------
 */

static int make_files(const struct ps_listen_output *output, const struct ps_outcome_record *record,
                      bool by_stream, struct ps_error *error)
{
    const struct ps_outcome_target target = {.config = output->config,
                                             .root = output->directory,
                                             .names = output->names,
                                             .relion = ps_autopick_relion(output->list),
                                             .list = output->list};
    char *directory = NULL;
    if (asprintf(&directory, "%s%s%s", output->directory, by_stream ? "/" : "",
                 by_stream ? record->stream : "") < 0)
        return ps_fail_memory(error, strlen(record->name), "a path");
    int status = ps_outcome_files_put(&target, record, directory, record->name, error);
    free(directory);
    return status;
}

/* Forgets the outcome at `index`, and keeps the order of the others. */
static void forget(struct ps_listen_output *output, size_t index)
{
    struct kept *kept = &output->kept[index];
    output->bytes -= kept->record->bytes;
    ps_outcome_record_free(kept->record);
    output->count--;
    memmove(kept, kept + 1, (output->count - index) * sizeof *kept);
}

/* A later outcome of a micrograph replaces its earlier one. */
static void forget_earlier(struct ps_listen_output *output, const struct ps_outcome_record *record)
{
    for (size_t i = 0; i < output->count; i++) {
        const struct ps_outcome_record *other = output->kept[i].record;
        if (strcmp(other->stream, record->stream) == 0 && strcmp(other->path, record->path) == 0) {
            forget(output, i);
            return;
        }
    }
}

static bool keep(struct ps_listen_output *output, struct ps_outcome_record *record, bool by_stream)
{
    if (record->bytes > MAX_KEPT_BYTES - output->bytes)
        return false;
    if (output->count == output->capacity) {
        const size_t capacity = output->capacity ? 2 * output->capacity : 16;
        struct kept *grown = realloc(output->kept, capacity * sizeof *grown);
        if (!grown)
            return false;
        output->kept = grown;
        output->capacity = capacity;
    }
    output->kept[output->count++] = (struct kept){record, by_stream};
    output->bytes += record->bytes;
    return true;
}

int ps_listen_output_take(struct ps_listen_output *output, struct ps_outcome_record *record,
                          bool by_stream, bool *ret_kept, struct ps_error *error)
{
    bool project;
    bool kept = false;
    forget_earlier(output, record);
    int status = ps_autopick_rename(output->list, record->path, &record->name, &project, error);
    const bool safe = status == 0 && ps_name_is_safe(record->name);
    if (status == 0 && !safe && record->status != PS_OUTCOME_FAILED)
        status = ps_fail(error, PS_E_INPUT, "its name leads out of the directory: not written");
    if (safe) {
        status = make_files(output, record, by_stream, error);
        kept = status && status != PS_E_INPUT && keep(output, record, by_stream);
    }
    if (!kept)
        ps_outcome_record_free(record);
    *ret_kept = kept;
    return status;
}

void ps_listen_output_retry(struct ps_listen_output *output,
                            void (*written)(const struct ps_outcome_record *record))
{
    size_t failures = 0;
    for (size_t tries = output->count; tries > 0 && failures < MAX_FAILURES; tries--) {
        struct kept first = output->kept[0];
        struct ps_error error;
        if (make_files(output, first.record, first.by_stream, &error)) {
            failures++;
            memmove(output->kept, output->kept + 1, (output->count - 1) * sizeof first);
            output->kept[output->count - 1] = first;
            continue;
        }
        failures = 0;
        written(first.record);
        forget(output, 0);
    }
}
