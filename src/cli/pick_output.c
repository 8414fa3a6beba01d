#include "cli/pick_output.h"

#include "base/error.h"
#include "cli/resume.h"
#include "picks/format.h"
#include "picks/remove.h"
#include "picks/write.h"
#include "picks/writers.h"
#include "picture/overlay.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char OVERLAY_SUFFIX[] = "_overlay.png";

/* ---- suffixes ---------------------------------------------------------------------------------
 */

/* The files that show that a micrograph is done: a stack of particles exists if its STAR file does.
 */
static size_t suffix_count(const struct ps_pick_output *output)
{
    return output->config->output.formats.count + output->overlay + output->config->output.extract;
}

static const char *suffix(const struct ps_pick_output *output, size_t i)
{
    const struct ps_list *formats = &output->config->output.formats;
    if (i < formats->count)
        return ps_picks_format_find(formats->items[i])->suffix;
    return output->overlay && i == formats->count ? OVERLAY_SUFFIX : PS_PARTICLES_SUFFIX;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* For ps_picks_keep: a file that was made of the micrograph as it is now may stay. */
static bool is_current(const void *context, const char *path)
{
    return ps_resume_is_current(path, context);
}

/* Writes the overlay, unless the other files have failed with `failed`. */
static int write_overlay(const char *stem, const struct ps_pick_file *file,
                         const struct ps_resume_source *source, int failed, struct ps_error *error)
{
    int status = failed;
    char *path = ps_picks_file(stem, OVERLAY_SUFFIX);
    if (status == 0)
        status = path ? ps_overlay_write(path, &file->micrograph->image, file->result, error)
                      : ps_fail_memory(error, strlen(stem), "a path");
    if (status && path && !ps_resume_is_current(path, source))
        (void)unlink(path);
    free(path);
    return status;
}

static void record(const struct ps_pick_output *output, const char *stem,
                   struct ps_resume_source *source)
{
    ps_resume_read(source);
    for (size_t i = 0; i < suffix_count(output); i++) {
        char *picks = ps_picks_file(stem, suffix(output, i));
        if (picks)
            ps_resume_record(picks, source);
        free(picks);
    }
}

int ps_pick_output_write(const struct ps_pick_output *output, const struct ps_found *found,
                         const struct ps_pick_file *file, const struct stat *source,
                         struct ps_error *error)
{
    const struct ps_picks_place place = {output->names, output->config->output.directory,
                                         found->name, found->path};
    struct ps_resume_source made_from = {.path = found->path, .state = *source};
    const struct ps_picks_keep keep = {is_current, &made_from};
    struct ps_claim claim;
    int status =
        ps_names_claim(place.names, place.directory, place.name, place.path, &claim, error);
    if (status) {
        ps_picks_write_failed(output->config, &place, file, &keep, output->list, error);
        return ps_fail_prefix(error, "%s", found->path);
    }
    if (claim.renamed)
        ps_progress_note(output->progress,
                         "pickstream: %s: its picks go to %s_..., another micrograph has the "
                         "shorter name",
                         found->path, claim.stem);
    struct ps_pick_file in_project = *file;
    in_project.relion = ps_autopick_relion(output->list);
    status =
        ps_picks_write_stem(output->config, claim.stem, &in_project, &keep, output->list, error);
    if (output->overlay)
        status = write_overlay(claim.stem, file, &made_from, status, error);
    if (status == 0)
        record(output, claim.stem, &made_from);
    ps_claim_done(&claim);
    return status;
}

/* ---- removing ---------------------------------------------------------------------------------
 */

void ps_pick_output_remove(const struct ps_pick_output *output, const char *name, const char *path)
{
    const struct ps_picks_place place = {output->names, output->config->output.directory, name,
                                         path};
    struct ps_error error;
    ps_autopick_check(output->list);
    if (ps_picks_remove_all(&place, output->config, output->overlay ? OVERLAY_SUFFIX : NULL,
                            &error))
        ps_progress_note(output->progress, "pickstream: %s", error.message);
}

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void ps_pick_output_replace(const struct ps_pick_output *output, const struct ps_found *found,
                            const struct ps_left_out_list *left_out)
{
    for (size_t i = 0; i < left_out->count; i++) {
        const struct ps_left_out *other = &left_out->items[i];
        if (!other->version || strcmp(other->version, found->path) != 0)
            continue;
        char *name = NULL;
        if (asprintf(&name, "%.*s%s", (int)(last_component(found->name) - found->name), found->name,
                     last_component(other->path)) < 0)
            return;
        ps_pick_output_remove(output, name, other->path);
        free(name);
    }
}

/* ---- resuming ---------------------------------------------------------------------------------
 */

/* True if none of the files that this run would write is missing or of another content. Files are
 * written atomically (base/atomic_file.h), so an existing file is complete. A failed micrograph has
 * none and is tried again. */
static bool is_done(const struct ps_pick_output *output, const struct ps_found *found,
                    const char *stem)
{
    struct ps_resume_source source = {.path = found->path};
    bool done = stem && !found->problem && stat(found->path, &source.state) == 0;
    for (size_t i = 0; i < suffix_count(output) && done; i++) {
        char *path = ps_picks_file(stem, suffix(output, i));
        done = path && ps_resume_is_current(path, &source);
        free(path);
    }
    return done;
}

static int list_star(const struct ps_pick_output *output, const struct ps_found *found,
                     const char *stem, struct ps_error *error)
{
    const struct ps_list *formats = &output->config->output.formats;
    int status = 0;
    for (size_t i = 0; i < formats->count && output->list && status == 0; i++) {
        const struct ps_picks_format *format = ps_picks_format_find(formats->items[i]);
        if (format->write != ps_picks_write_star)
            continue;
        char *path = ps_picks_file(stem, format->suffix);
        status = path ? ps_autopick_add(output->list, found->listed ? found->listed : found->path,
                                        found->listed, path, error)
                      : ps_fail_memory(error, strlen(stem), "a path");
        free(path);
    }
    return status;
}

int ps_pick_output_resume(const struct ps_pick_output *output, const struct ps_found *found,
                          bool *ret_done, struct ps_error *error)
{
    char *stem = NULL;
    int status = ps_names_find(output->names, output->config->output.directory, found->name,
                               found->path, &stem, error);
    *ret_done = status == 0 && is_done(output, found, stem);
    if (*ret_done)
        status = list_star(output, found, stem, error);
    free(stem);
    return status;
}
