#include "picks/outcome_files.h"

#include "base/error.h"
#include "picks/input.h"
#include "picks/remove.h"
#include "picks/write.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ps_outcome_files_find(const struct ps_outcome_target *target, const char *path,
                          const char *name, char **ret_directory, char **ret_name,
                          struct ps_error *error)
{
    char watched[PATH_MAX], prefix[PATH_MAX] = "";
    char *below = NULL, *directory = NULL;
    PS_TRY(ps_relion_output(target->relion, path, &below, error));
    if (!below) {
        const size_t whole = strlen(path), tail = strlen(name);
        (void)snprintf(watched, sizeof watched, "%.*s", (int)(whole > tail ? whole - tail : 0),
                       path);
        ps_output_prefix(target->config, watched, prefix, sizeof prefix);
        below = strdup(name);
    }
    if (!below || asprintf(&directory, "%s%s%s", target->root, *prefix ? "/" : "", prefix) < 0) {
        free(below);
        return ps_fail_memory(error, strlen(path), "a path");
    }
    *ret_directory = directory;
    *ret_name = below;
    return 0;
}

/* The beginning of the warning: messages of earlier versions have its text only. */
static const char NOT_WRITTEN[] = "file of picks not written";

/* The files are written now. */
static void drop_warning(struct ps_result *result)
{
    size_t kept = 0;
    for (size_t i = 0; i < result->warning_count; i++) {
        if (strncmp(result->warnings[i], NOT_WRITTEN, strlen(NOT_WRITTEN)) == 0)
            continue;
        if (kept < i)
            memcpy(result->warnings[kept], result->warnings[i], sizeof result->warnings[0]);
        result->warning_kinds[kept++] = result->warning_kinds[i];
    }
    result->warning_count = kept;
}

int ps_outcome_files_put(const struct ps_outcome_target *target,
                         const struct ps_outcome_record *record, const char *directory,
                         const char *name, struct ps_error *error)
{
    if (record->status == PS_OUTCOME_FAILED) {
        const struct ps_picks_place place = {target->names, directory, name, record->path};
        if (record->revision == 1)
            return 0; /* there was no earlier one */
        if (target->list)
            ps_autopick_check(target->list);
        return ps_picks_remove_all(&place, target->config, NULL, error);
    }
    struct ps_pick_file file = ps_outcome_record_pick_file(record);
    file.name = name;
    file.relion = target->relion;
    return ps_picks_write_below(target->config, target->names, directory, &file, target->list,
                                error);
}

int ps_outcome_files_make(const struct ps_outcome_target *target, struct ps_outcome_record *record,
                          struct ps_error *error)
{
    char *directory = NULL, *name = NULL;
    if (!ps_name_is_safe(record->name))
        return ps_fail(error, PS_E_INPUT, "its name leads out of the directory: not written");
    PS_TRY(ps_outcome_files_find(target, record->path, record->name, &directory, &name, error));
    drop_warning(&record->result);
    int status = ps_outcome_files_put(target, record, directory, name, error);
    free(directory);
    free(name);
    return status;
}
