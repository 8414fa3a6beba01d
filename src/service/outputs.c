#include "service/outputs.h"

#include "base/error.h"
#include "base/warning.h"
#include "picker/picker.h"
#include "picks/outcome_files.h"
#include "picks/relion.h"
#include "picks/remove.h"
#include "picks/write.h"

#include <stdio.h>
#include <stdlib.h>

struct ps_outputs {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_names *names;
    struct ps_relion *relion; /* the project of output.directory; or NULL */
    char *profile;
};

static struct ps_outcome_target target_of(const struct ps_outputs *outputs)
{
    return (struct ps_outcome_target){.config = outputs->config,
                                      .root = outputs->config->output.directory,
                                      .names = outputs->names,
                                      .relion = outputs->relion};
}

void ps_outputs_remove(struct ps_outputs *outputs, struct ps_job *job)
{
    const struct ps_outcome_target target = target_of(outputs);
    char *directory = NULL, *name = NULL;
    struct ps_error error;
    if (job->revision == 1)
        return;
    int status = ps_outcome_files_find(&target, job->path, job->name, &directory, &name, &error);
    const struct ps_picks_place place = {outputs->names, directory, name, job->path};
    if (status == 0)
        status = ps_picks_remove_all(&place, outputs->config, NULL, &error);
    free(directory);
    free(name);
    job->files_missing = status != 0;
    if (status)
        ps_log_reason(outputs->log, PS_LOG_ERROR, "output_failed", error.message);
}

static int write_files(const struct ps_outputs *outputs, const struct ps_job *job,
                       const struct ps_micrograph *micrograph, double read_milliseconds,
                       const struct ps_result *result, struct ps_error *error)
{
    const struct ps_outcome_target target = target_of(outputs);
    char *directory = NULL, *name = NULL;
    PS_TRY(ps_outcome_files_find(&target, job->path, job->name, &directory, &name, error));
    const struct ps_pick_file file = {
        .path = job->path,
        .name = name,
        .width = micrograph->image.width,
        .height = micrograph->image.height,
        .micrograph = micrograph,
        .pixel_size_source = ps_pixel_size_source(outputs->config, result),
        .profile = outputs->profile,
        .read_milliseconds = read_milliseconds,
        .relion = outputs->relion,
        .result = result,
    };
    int status =
        ps_picks_write_below(outputs->config, outputs->names, directory, &file, NULL, error);
    free(directory);
    free(name);
    return status;
}

void ps_outputs_write(struct ps_outputs *outputs, struct ps_job *job,
                      const struct ps_micrograph *micrograph, double read_milliseconds,
                      struct ps_result *result)
{
    struct ps_error error;
    int status = write_files(outputs, job, micrograph, read_milliseconds, result, &error);
    job->files_missing = status && status != PS_E_INPUT;
    if (status == 0)
        return;
    ps_log_reason(outputs->log, PS_LOG_ERROR, "output_failed", error.message);
    ps_warning_add(result, PS_WARNING_NOT_WRITTEN, "file of picks not written: %.120s",
                   error.message);
}

int ps_outputs_repair(struct ps_outputs *outputs, struct ps_outcome_record *record,
                      struct ps_error *error)
{
    const struct ps_outcome_target target = target_of(outputs);
    return ps_outcome_files_make(&target, record, error);
}

int ps_outputs_open(const struct ps_config *config, struct ps_log *log,
                    struct ps_outputs **ret_outputs, struct ps_error *error)
{
    struct ps_outputs *outputs = calloc(1, sizeof *outputs);
    if (!outputs)
        return ps_fail_memory(error, sizeof *outputs, "files of picks");
    outputs->config = config;
    outputs->log = log;
    int status = ps_names_new(PS_NAMES_LOCAL, &outputs->names, error);
    if (status == 0)
        status = ps_relion_find(config->output.relion_project, config->output.directory,
                                &outputs->relion, error);
    if (status == 0 && !(outputs->profile = ps_config_get(config, "picker.profile")))
        status = ps_fail_memory(error, sizeof *outputs, "files of picks");
    if (status) {
        ps_outputs_close(outputs);
        return status;
    }
    *ret_outputs = outputs;
    return 0;
}

void ps_outputs_close(struct ps_outputs *outputs)
{
    if (!outputs)
        return;
    ps_names_free(outputs->names);
    ps_relion_free(outputs->relion);
    free(outputs->profile);
    free(outputs);
}
