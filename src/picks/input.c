#include "picks/input.h"

#include "base/error.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ps_heard_list_done(struct ps_heard_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ps_heard_free(list->items[i]);
    free(list->items);
    *list = (struct ps_heard_list){0};
}

struct ps_pick_file ps_heard_pick_file(const struct ps_heard *heard)
{
    return (struct ps_pick_file){
        .path = heard->path,
        .name = heard->name,
        .width = heard->micrograph.image.width,
        .height = heard->micrograph.image.height,
        .micrograph = heard->has_micrograph ? &heard->micrograph : NULL,
        .pixel_size_source = *heard->pixel_size_source ? heard->pixel_size_source : NULL,
        .profile = *heard->profile ? heard->profile : NULL,
        .read_milliseconds = heard->read_milliseconds,
        .result = &heard->result,
    };
}

bool ps_heard_is_tiff(const struct ps_heard *heard)
{
    const char *format = heard->has_micrograph ? heard->micrograph.format : NULL;
    return format
               ? strcmp(format, "tiff") == 0
               : ps_text_ends_with(heard->path, ".tif") || ps_text_ends_with(heard->path, ".tiff");
}

int ps_heard_load_shape(struct ps_heard *heard, struct ps_error *error)
{
    if (heard->has_micrograph)
        return 0;
    struct ps_micrograph *micrograph = NULL;
    struct ps_read_options options = {PS_MOVIES_SUM, SIZE_MAX};
    int status = ps_micrograph_read(heard->path, &options, &micrograph, error);
    if (status)
        return status;
    heard->micrograph = *micrograph;
    heard->micrograph.pixels = NULL;
    heard->micrograph.image.pixels = NULL;
    heard->result.pixel_size = micrograph->image.pixel_size;
    heard->has_micrograph = true;
    ps_micrograph_free(micrograph);
    return 0;
}

/* Where a micrograph of this name is: as it is, or with the extension that it lacks. */
static char *locate(const char *directory, const char *name)
{
    static const char *const extensions[] = {"", ".mrc", ".mrcs", ".map", ".tif", ".tiff"};
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s%s", directory, name, extensions[i]) < 0)
            return NULL;
        if (access(path, F_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

/* Gives a micrograph its file, where one is to be looked for, and its shape, where a TIFF needs
 * turning. */
static int identify(const struct ps_picks_input *input, struct ps_heard *heard,
                    struct ps_error *error)
{
    const char *directory = input->options->micrographs;
    if (directory) {
        const char *slash = strrchr(heard->name, '/');
        char *path = locate(directory, heard->name);
        if (!path && slash)
            path = locate(directory, slash + 1);
        if (!path)
            return ps_fail(error, PS_E_INPUT, "%s: no micrograph %s in %s", input->path,
                           heard->name, directory);
        free(heard->path);
        heard->path = path;
    }
    bool turned = input->format->top_down && ps_heard_is_tiff(heard);
    return turned ? ps_heard_load_shape(heard, error) : 0;
}

static int append(struct ps_heard_list *list, struct ps_heard *heard, struct ps_error *error)
{
    if ((list->count & (list->count - 1)) == 0) { /* full at each power of two */
        size_t capacity = list->count ? 2 * list->count : 1;
        void *grown = realloc(list->items, capacity * sizeof *list->items);
        if (!grown)
            return ps_fail_memory(error, capacity * sizeof *list->items, "a list of micrographs");
        list->items = grown;
    }
    list->items[list->count++] = heard;
    return 0;
}

/* Rows of a micrograph mostly follow each other, so the last one is looked at first. */
static struct ps_heard *find(const struct ps_heard_list *list, const char *name)
{
    for (size_t i = list->count; i-- > 0;) {
        if (strcmp(list->items[i]->name, name) == 0)
            return list->items[i];
    }
    return NULL;
}

int ps_picks_begin(const struct ps_picks_input *input, const char *name, struct ps_heard **ret,
                   struct ps_error *error)
{
    struct ps_heard *heard = find(input->list, name);
    if (heard) {
        *ret = heard;
        return 0;
    }
    heard = calloc(1, sizeof *heard);
    if (!heard)
        return ps_fail_memory(error, sizeof *heard, "a micrograph");
    heard->name = strdup(name);
    heard->path = strdup(name);
    heard->latency = NAN;
    heard->revision = 1;
    int status = heard->name && heard->path ? identify(input, heard, error)
                                            : ps_fail_memory(error, strlen(name), "a name");
    if (status == 0)
        status = append(input->list, heard, error);
    if (status)
        ps_heard_free(heard);
    else
        *ret = heard;
    return status;
}

int ps_picks_add(const struct ps_picks_input *input, struct ps_heard *heard, double x, double y,
                 float score, float area, struct ps_error *error)
{
    struct ps_result *result = &heard->result;
    if ((result->count & (result->count - 1)) == 0) {
        size_t capacity = result->count ? 2 * result->count : 1;
        void *grown = realloc(result->picks, capacity * sizeof *result->picks);
        if (!grown)
            return ps_fail_memory(error, capacity * sizeof *result->picks, "picks");
        result->picks = grown;
    }
    bool turned = input->format->top_down && ps_heard_is_tiff(heard) && heard->has_micrograph;
    result->picks[result->count++] = (struct ps_pick){
        .x = (float)x,
        .y = (float)(turned ? heard->micrograph.image.height - 1 - y : y),
        .score = score,
        .area = area,
    };
    return 0;
}
