#include "picks/remove.h"

#include "base/error.h"
#include "picks/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* True if there is no file of this name. */
static bool is_absent(int code)
{
    return code == ENOENT || code == ENOTDIR || code == ENAMETOOLONG;
}

static int remove_file(const char *stem, const char *suffix, struct ps_error *error)
{
    char *path = ps_picks_file(stem, suffix);
    int status = 0;
    if (!path)
        return ps_fail_memory(error, strlen(stem), "a path");
    if (unlink(path) != 0 && !is_absent(errno))
        status = ps_fail(error, PS_E_SYSTEM, "%s: left by an earlier run, cannot be removed: %s",
                         path, strerror(errno));
    free(path);
    return status;
}

int ps_picks_remove_particles(const char *stem, struct ps_error *error)
{
    PS_TRY(remove_file(stem, PS_PARTICLES_SUFFIX, error));
    return remove_file(stem, PS_STACK_SUFFIX, error);
}

int ps_picks_remove_all(const struct ps_picks_place *place, const struct ps_config *config,
                        const char *other, struct ps_error *error)
{
    const struct ps_list *formats = &config->output.formats;
    char *stem = NULL;
    int status =
        ps_names_find(place->names, place->directory, place->name, place->path, &stem, error);
    for (size_t i = 0; stem && i < formats->count + (other != NULL); i++) {
        const char *suffix =
            i < formats->count ? ps_picks_format_find(formats->items[i])->suffix : other;
        int failed = remove_file(stem, suffix, status ? NULL : error);
        status = status ? status : failed;
    }
    if (stem && config->output.extract) {
        int failed = ps_picks_remove_particles(stem, status ? NULL : error);
        status = status ? status : failed;
    }
    free(stem);
    return status;
}

/* ---- files that cannot be replaced -------------------------------------------------------------
 */

/* True if the file at `path` has these bytes. */
static bool has_content(const char *path, const char *bytes, size_t size)
{
    FILE *stream = fopen(path, "re");
    size_t done = 0, count = 0;
    char part[4096];
    if (!stream)
        return false;
    bool same = true;
    while (same && (count = fread(part, 1, sizeof part, stream)) > 0) {
        same = count <= size - done && memcmp(part, bytes + done, count) == 0;
        done += count;
    }
    same = same && !ferror(stream) && done == size;
    (void)fclose(stream);
    return same;
}

/* True if the file at `path` is what was to be written. */
static bool is_written(const char *path, const struct ps_picks_format *format,
                       const struct ps_pick_file *file)
{
    char *bytes = NULL;
    size_t size = 0;
    struct ps_error error;
    FILE *stream = open_memstream(&bytes, &size);
    if (!stream)
        return false;
    bool same = format->write(file, 1, stream, &error) == 0;
    same = fclose(stream) == 0 && same && has_content(path, bytes, size);
    free(bytes);
    return same;
}

/* Appends to the message, once for several files. */
static void append(struct ps_error *error, const char *text, const char *reason)
{
    size_t length = error ? strlen(error->message) : 0;
    if (error && !strstr(error->message, text))
        (void)snprintf(error->message + length, sizeof error->message - length, "; %s%s", text,
                       reason);
}

void ps_picks_withdraw(const char *path, const struct ps_picks_format *format,
                       const struct ps_pick_file *file, const struct ps_picks_keep *keep,
                       struct ps_error *error)
{
    if (access(path, F_OK) != 0 && is_absent(errno))
        return;
    if (keep ? keep->is_current(keep->context, path) : is_written(path, format, file))
        return;
    if (unlink(path) == 0)
        append(error, "the earlier file is removed", "");
    else if (!is_absent(errno))
        append(error, "the earlier file cannot be removed: ", strerror(errno));
}

void ps_picks_withdraw_all(const struct ps_picks_place *place, const struct ps_config *config,
                           const struct ps_pick_file *file, const struct ps_picks_keep *keep,
                           struct ps_error *error)
{
    const struct ps_list *formats = &config->output.formats;
    char *stem = NULL;
    if (ps_names_find(place->names, place->directory, place->name, place->path, &stem, NULL) != 0) {
        append(error, "earlier files cannot be found, so they are not removed", "");
        return;
    }
    for (size_t i = 0; stem && i < formats->count; i++) {
        const struct ps_picks_format *format = ps_picks_format_find(formats->items[i]);
        char *path = ps_picks_file(stem, format->suffix);
        if (path)
            ps_picks_withdraw(path, format, file, keep, error);
        free(path);
    }
    struct ps_error reason;
    if (stem && config->output.extract && ps_picks_remove_particles(stem, &reason) != 0)
        append(error, "earlier particles cannot be removed: ", reason.message);
    free(stem);
}
