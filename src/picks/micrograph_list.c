#include "picks/micrograph_list.h"

#include "base/error.h"
#include "base/text.h"
#include "picks/star.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double MAX_PIXEL_SIZE = 1000; /* A, as picker.pixel_size */
static const double angstrom_per_um = 1e4;

struct group {
    char *number; /* as it is written */
    double pixel_size;
};

struct reading {
    struct ps_star star;
    struct group *groups;
    size_t group_count;
    struct ps_micrograph_list list;
    bool found; /* a table of micrographs */
};

struct columns {
    int name, group, pixel_size, detector, magnification;
};

static struct columns find_columns(const struct ps_star *star)
{
    return (struct columns){
        .name = ps_star_column(star, "_rlnMicrographName"),
        .group = ps_star_column(star, "_rlnOpticsGroup"),
        .pixel_size = ps_star_column(star, "_rlnMicrographPixelSize"),
        .detector = ps_star_column(star, "_rlnDetectorPixelSize"),
        .magnification = ps_star_column(star, "_rlnMagnification"),
    };
}

static int read_number(const struct ps_star *star, int column, double min, double max, double *ret,
                       struct ps_error *error)
{
    if (ps_text_to_double(star->words[column], min, max, ret, NULL))
        return 0;
    return ps_lines_fail(&star->lines, error, "%s: expected a number from %g to %g, not %.60s",
                         star->labels[column], min, max, star->words[column]);
}

/* The pixel size in the row; 0 if it has none. */
static int read_pixel_size(const struct ps_star *star, const struct columns *columns, double *ret,
                           struct ps_error *error)
{
    double magnification = 1;
    *ret = 0;
    if (columns->pixel_size >= 0)
        return read_number(star, columns->pixel_size, 0, MAX_PIXEL_SIZE, ret, error);
    if (columns->detector < 0 || columns->magnification < 0)
        return 0;
    int status = read_number(star, columns->magnification, 1, 1e9, &magnification, error);
    if (status == 0)
        status = read_number(star, columns->detector, 0, 1e4, ret, error);
    *ret *= angstrom_per_um / magnification;
    return status;
}

static int add_group(struct reading *reading, const struct columns *columns, struct ps_error *error)
{
    double pixel_size;
    int status = read_pixel_size(&reading->star, columns, &pixel_size, error);
    if (status)
        return status;
    struct group *grown =
        realloc(reading->groups, (reading->group_count + 1) * sizeof *reading->groups);
    char *number = strdup(reading->star.words[columns->group]);
    if (grown)
        reading->groups = grown;
    if (!grown || !number) {
        free(number);
        return ps_fail_memory(error, sizeof *grown, "an optics group");
    }
    reading->groups[reading->group_count++] = (struct group){number, pixel_size};
    return 0;
}

static double of_group(const struct reading *reading, const char *number)
{
    for (size_t i = 0; i < reading->group_count; i++) {
        if (strcmp(reading->groups[i].number, number) == 0)
            return reading->groups[i].pixel_size;
    }
    return 0;
}

/* Doubles the capacity at each power of two. */
static int add_micrograph(struct reading *reading, const char *name, double pixel_size,
                          struct ps_error *error)
{
    struct ps_micrograph_list *list = &reading->list;
    if (list->count > 0 && strcmp(list->items[list->count - 1].name, name) == 0)
        return 0;
    if ((list->count & (list->count - 1)) == 0) {
        const size_t capacity = list->count ? 2 * list->count : 1;
        void *grown = realloc(list->items, capacity * sizeof *list->items);
        if (!grown)
            return ps_fail_memory(error, capacity * sizeof *list->items, "a list of micrographs");
        list->items = grown;
    }
    char *copy = strdup(name);
    if (!copy)
        return ps_fail_memory(error, strlen(name), "a name");
    list->items[list->count++] = (struct ps_listed_micrograph){copy, pixel_size};
    return 0;
}

static int take_micrograph(struct reading *reading, const struct columns *columns,
                           struct ps_error *error)
{
    const struct ps_star *star = &reading->star;
    double pixel_size;
    int status = read_pixel_size(star, columns, &pixel_size, error);
    if (status)
        return status;
    if (!*star->words[columns->name])
        return ps_lines_fail(&star->lines, error, "expected the name of a micrograph");
    if (pixel_size <= 0 && columns->group >= 0)
        pixel_size = of_group(reading, star->words[columns->group]);
    return add_micrograph(reading, star->words[columns->name], pixel_size, error);
}

static int take_events(struct reading *reading, struct ps_error *error)
{
    struct columns columns = {-1, -1, -1, -1, -1};
    int event;
    while ((event = ps_star_next(&reading->star, error)) > 0) {
        int status = 0;
        if (event == PS_STAR_TABLE) {
            columns = find_columns(&reading->star);
            reading->found |= columns.name >= 0;
        } else if (columns.name >= 0) {
            status = take_micrograph(reading, &columns, error);
        } else if (columns.group >= 0) {
            status = add_group(reading, &columns, error);
        }
        if (status)
            return status;
    }
    if (event == 0 && !reading->found)
        return ps_fail(error, PS_E_INPUT,
                       "%s: expected RELION's list of micrographs, a table with "
                       "_rlnMicrographName",
                       reading->star.lines.path);
    return event;
}

int ps_micrograph_list_read(const char *path, struct ps_micrograph_list *ret_list,
                            struct ps_error *error)
{
    FILE *stream = fopen(path, "re");
    if (!stream)
        return ps_fail(error, ps_code_of_errno(errno), "%s: %s", path, strerror(errno));
    struct reading *reading = calloc(1, sizeof *reading);
    int status = 0;
    if (reading) {
        reading->star.lines.stream = stream;
        reading->star.lines.path = path;
        status = take_events(reading, error);
        for (size_t i = 0; i < reading->group_count; i++)
            free(reading->groups[i].number);
        free(reading->groups);
        if (status)
            ps_micrograph_list_done(&reading->list);
        else
            *ret_list = reading->list;
        free(reading);
    } else {
        status = ps_fail_memory(error, sizeof *reading, "a STAR file");
    }
    (void)fclose(stream);
    return status;
}

void ps_micrograph_list_done(struct ps_micrograph_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].name);
    free(list->items);
    *list = (struct ps_micrograph_list){0};
}
