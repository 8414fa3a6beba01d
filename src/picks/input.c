#include "picks/input.h"

#include "base/error.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ps_outcome_record_list_done(struct ps_outcome_record_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ps_outcome_record_free(list->items[i]);
    free(list->items);
    free(list->table);
    *list = (struct ps_outcome_record_list){0};
}

struct ps_pick_file ps_outcome_record_pick_file(const struct ps_outcome_record *record)
{
    return (struct ps_pick_file){
        .path = record->path,
        .name = record->name,
        .width = record->micrograph.image.width,
        .height = record->micrograph.image.height,
        .micrograph = record->has_micrograph ? &record->micrograph : NULL,
        .pixel_size_source = *record->pixel_size_source ? record->pixel_size_source : NULL,
        .profile = *record->profile ? record->profile : NULL,
        .read_milliseconds = record->read_milliseconds,
        .result = &record->result,
    };
}

bool ps_outcome_record_is_tiff(const struct ps_outcome_record *record)
{
    const char *format = record->has_micrograph ? record->micrograph.format : NULL;
    return format ? strcmp(format, "tiff") == 0
                  : ps_text_ends_with(record->path, ".tif") ||
                        ps_text_ends_with(record->path, ".tiff");
}

int ps_outcome_record_load_shape(struct ps_outcome_record *record, struct ps_error *error)
{
    if (record->has_micrograph)
        return 0;
    struct ps_micrograph *micrograph = NULL;
    struct ps_read_options options = {.movies = PS_MOVIES_SUM, .max_pixels = SIZE_MAX};
    int status = ps_micrograph_read(record->path, &options, &micrograph, error);
    if (status)
        return status;
    record->micrograph = *micrograph;
    record->micrograph.pixels = NULL;
    record->micrograph.image.pixels = NULL;
    record->result.pixel_size = micrograph->image.pixel_size;
    record->has_micrograph = true;
    ps_micrograph_free(micrograph);
    return 0;
}

/* Finds the file of a micrograph, with the name as it is or with a usual extension added. */
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

/* Finds the file of a micrograph if a directory is given, and loads the shape of a TIFF whose rows
 * must be flipped. */
static int identify(const struct ps_picks_input *input, struct ps_outcome_record *record,
                    struct ps_error *error)
{
    const char *directory = input->options->micrographs;
    if (directory) {
        const char *slash = strrchr(record->name, '/');
        char *path = locate(directory, record->name);
        if (!path && slash)
            path = locate(directory, slash + 1);
        if (!path)
            return ps_fail(error, PS_E_INPUT, "%s: no micrograph %s in %s", input->path,
                           record->name, directory);
        free(record->path);
        record->path = path;
    }
    bool flipped = input->format->top_down && ps_outcome_record_is_tiff(record);
    return flipped ? ps_outcome_record_load_shape(record, error) : 0;
}

/* ---- the list ---------------------------------------------------------------------------------
 */

/* The place of a name in the table of a list: its own, or a free one. FNV-1a, linear probing. */
static size_t *place_of(const struct ps_outcome_record_list *list, const char *name)
{
    uint64_t hash = 14695981039346656037u;
    for (const char *at = name; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    for (size_t i = (size_t)(hash ^ (hash >> 32));; i++) {
        size_t *place = &list->table[i & (list->places - 1)];
        if (*place == 0 || strcmp(list->items[*place - 1]->name, name) == 0)
            return place;
    }
}

/* Ensures capacity for one more item. Both arrays double when the items reach a power of two; the
 * table has at least twice as many places. */
static int grow(struct ps_outcome_record_list *list, struct ps_error *error)
{
    if (list->count > 0 && (list->count & (list->count - 1)) != 0)
        return 0;
    size_t capacity = list->count ? 2 * list->count : 1;
    void *items = realloc(list->items, capacity * sizeof *list->items);
    if (items)
        list->items = items;
    size_t *table = calloc(2 * capacity, sizeof *table);
    if (!items || !table) {
        free(table);
        return ps_fail_memory(error, capacity * sizeof *list->items, "a list of micrographs");
    }
    free(list->table);
    list->table = table;
    list->places = 2 * capacity;
    for (size_t i = 0; i < list->count; i++)
        *place_of(list, list->items[i]->name) = i + 1;
    return 0;
}

/* Takes ownership of `record` if it succeeds. */
static int append(struct ps_outcome_record_list *list, struct ps_outcome_record *record,
                  struct ps_error *error)
{
    int status = grow(list, error);
    if (status)
        return status;
    *place_of(list, record->name) = list->count + 1;
    list->items[list->count++] = record;
    return 0;
}

static struct ps_outcome_record *find(const struct ps_outcome_record_list *list, const char *name)
{
    size_t place = list->count ? *place_of(list, name) : 0;
    return place ? list->items[place - 1] : NULL;
}

/* Moves the picks of a record to another one's. */
static int join(struct ps_result *to, struct ps_result *from, struct ps_error *error)
{
    size_t total = to->count + from->count, capacity = 1;
    while (capacity < total) /* as ps_picks_add() expects */
        capacity *= 2;
    void *grown = realloc(to->picks, capacity * sizeof *to->picks);
    if (!grown)
        return ps_fail_memory(error, capacity * sizeof *to->picks, "picks");
    to->picks = grown;
    memcpy(to->picks + to->count, from->picks, from->count * sizeof *from->picks);
    to->count = total;
    return 0;
}

int ps_outcome_record_list_join(struct ps_outcome_record_list *list,
                                struct ps_outcome_record_list *from, struct ps_error *error)
{
    int status = 0;
    for (size_t i = 0; i < from->count && status == 0; i++) {
        struct ps_outcome_record *record = from->items[i], *same = find(list, record->name);
        if (!same) {
            status = append(list, record, error);
            if (status == 0)
                from->items[i] = NULL;
        } else if (record->result.count > 0) {
            status = join(&same->result, &record->result, error);
        }
    }
    ps_outcome_record_list_done(from);
    return status;
}

/* ---- one micrograph ---------------------------------------------------------------------------
 */

int ps_picks_begin(const struct ps_picks_input *input, const char *name,
                   struct ps_outcome_record **ret, struct ps_error *error)
{
    struct ps_outcome_record *record = find(input->list, name);
    if (record) {
        *ret = record;
        return 0;
    }
    record = calloc(1, sizeof *record);
    if (!record)
        return ps_fail_memory(error, sizeof *record, "a micrograph");
    record->name = strdup(name);
    record->path = strdup(name);
    record->latency = NAN;
    record->revision = 1;
    int status = record->name && record->path ? identify(input, record, error)
                                              : ps_fail_memory(error, strlen(name), "a name");
    if (status == 0)
        status = append(input->list, record, error);
    if (status)
        ps_outcome_record_free(record);
    else
        *ret = record;
    return status;
}

int ps_picks_add(const struct ps_picks_input *input, struct ps_outcome_record *record, double x,
                 double y, float score, float area, struct ps_error *error)
{
    struct ps_result *result = &record->result;
    if ((result->count & (result->count - 1)) == 0) {
        size_t capacity = result->count ? 2 * result->count : 1;
        void *grown = realloc(result->picks, capacity * sizeof *result->picks);
        if (!grown)
            return ps_fail_memory(error, capacity * sizeof *result->picks, "picks");
        result->picks = grown;
    }
    bool turned =
        input->format->top_down && ps_outcome_record_is_tiff(record) && record->has_micrograph;
    result->picks[result->count++] = (struct ps_pick){
        .x = (float)x,
        .y = (float)(turned ? record->micrograph.image.height - 1 - y : y),
        .score = score,
        .area = area,
    };
    return 0;
}

bool ps_picks_missing(const char *text)
{
    static const char *const words[] = {"",     "<na>", "na",   "n/a", "nan",
                                        "-nan", "none", "null", ".",   "?"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0)
            return true;
    }
    double value;
    return ps_text_to_double(text, -999, -999, &value, NULL);
}

int ps_picks_refuse_filaments(const struct ps_picks_input *input, struct ps_error *error)
{
    if (!strcasestr(input->path, "START_END"))
        return 0;
    return ps_fail(error, PS_E_INPUT,
                   "%s: the ends of filaments are not supported, export single particles",
                   input->path);
}

int ps_picks_skip_file(const struct ps_picks_read_options *options, int status,
                       const struct ps_error *error)
{
    if ((status != PS_E_INPUT && status != PS_E_SYSTEM) || !options->left_out)
        return status;
    options->left_out(options->context, error);
    return 0;
}
