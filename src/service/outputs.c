#include "service/outputs.h"

#include "base/error.h"
#include "picker/picker.h"
#include "picks/relion.h"
#include "picks/remove.h"
#include "picks/write.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ps_outputs {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_names *names;
    struct ps_relion *relion; /* the project of output.directory; or NULL */
    char *profile;
};

/* Finds the directory of the output files of a job, relative to output.directory, and their name
 * below it, to be freed. */
static int find_output(const struct ps_outputs *outputs, const struct ps_job *job, char *ret_prefix,
                       size_t size, char **ret_name, struct ps_error *error)
{
    const struct ps_config *config = outputs->config;
    int status = ps_relion_output(outputs->relion, job->path, ret_name, error);
    if (status || *ret_name) {
        *ret_prefix = '\0';
        return status;
    }
    char watched[PATH_MAX];
    size_t below = strlen(job->path) - strlen(job->name);
    (void)snprintf(watched, sizeof watched, "%.*s", (int)below, job->path);
    ps_output_prefix(config, watched, ret_prefix, size);
    *ret_name = strdup(job->name);
    return *ret_name ? 0 : ps_fail_memory(error, strlen(job->name), "a name");
}

void ps_outputs_remove(struct ps_outputs *outputs, const struct ps_job *job)
{
    const struct ps_config *config = outputs->config;
    char prefix[PATH_MAX];
    char directory[2 * PATH_MAX];
    if (job->revision == 1)
        return;
    struct ps_error error;
    char *name = NULL;
    int status = find_output(outputs, job, prefix, sizeof prefix, &name, &error);
    (void)snprintf(directory, sizeof directory, "%s/%s", config->output.directory, prefix);
    const struct ps_picks_place place = {outputs->names, directory, name, job->path};
    if (status == 0)
        status = ps_picks_remove_all(&place, &config->output.formats, NULL, &error);
    free(name);
    if (status)
        ps_log_reason(outputs->log, PS_LOG_ERROR, "output_failed", error.message);
}

void ps_outputs_write(struct ps_outputs *outputs, const struct ps_job *job,
                      const struct ps_micrograph *micrograph, double read_milliseconds,
                      struct ps_result *result)
{
    const struct ps_config *config = outputs->config;
    char prefix[PATH_MAX];
    struct ps_error error;
    char *name = NULL;
    int status = find_output(outputs, job, prefix, sizeof prefix, &name, &error);
    struct ps_pick_file file = {
        .path = job->path,
        .name = name,
        .width = micrograph->image.width,
        .height = micrograph->image.height,
        .micrograph = micrograph,
        .pixel_size_source = ps_pixel_size_source(config, result),
        .profile = outputs->profile,
        .read_milliseconds = read_milliseconds,
        .result = result,
    };
    if (status == 0)
        status = ps_picks_write_all(config, outputs->names, prefix, &file, &error);
    free(name);
    if (status == 0)
        return;
    ps_log_reason(outputs->log, PS_LOG_ERROR, "output_failed", error.message);
    if (result->warning_count < PS_MAX_WARNINGS)
        (void)snprintf(result->warnings[result->warning_count++], sizeof result->warnings[0],
                       "file of picks not written: %.120s", error.message);
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
