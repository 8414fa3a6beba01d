/* Reads STAR files: coordinates of one micrograph, or of several with a column of names; RELION's
 * list of coordinate files (autopick.star); and crYOLO's boxes. */
#include "picks/input.h"

#include "base/error.h"
#include "base/text.h"
#include "picks/star.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double MAX_COORDINATE = 1e9; /* px */

/* Makes a reader of the file, to be freed. */
static int open_star(const struct ps_picks_input *input, struct ps_star **ret_star,
                     struct ps_error *error)
{
    struct ps_star *star = calloc(1, sizeof *star);
    if (!star)
        return ps_fail_memory(error, sizeof *star, "a STAR file");
    star->lines.stream = input->stream;
    star->lines.path = input->path;
    *ret_star = star;
    return 0;
}

/* A number in the row. */
static int read_number(const struct ps_star *star, int column, double *ret, struct ps_error *error)
{
    if (ps_text_to_double(star->words[column], -MAX_COORDINATE, MAX_COORDINATE, ret, NULL))
        return 0;
    return ps_lines_fail(&star->lines, error, "%s: expected a number, not %.60s",
                         star->labels[column], star->words[column]);
}

/* The same; NaN if there is no such column or it contains `none`. */
static int read_optional(const struct ps_star *star, int column, const char *none, double *ret,
                         struct ps_error *error)
{
    *ret = NAN;
    if (column < 0 || strcmp(star->words[column], none) == 0)
        return 0;
    return read_number(star, column, ret, error);
}

/* ---- the file that an autopick.star names -----------------------------------------------------
 */

/* RELION's paths are relative to its project: the working directory, or one above the list. */
static char *find_coordinates(const char *list, const char *path)
{
    if (*path == '/' || access(path, F_OK) == 0)
        return strdup(path);
    char *directory = realpath(list, NULL);
    for (char *slash; directory && (slash = strrchr(directory, '/'));) {
        char *candidate = NULL;
        *slash = '\0';
        if (asprintf(&candidate, "%s/%s", directory, path) < 0)
            break;
        if (access(candidate, F_OK) == 0) {
            free(directory);
            return candidate;
        }
        free(candidate);
    }
    free(directory);
    return strdup(path);
}

static int read_listed(const struct ps_picks_input *input, const struct ps_star *star,
                       const char *name, const char *listed, struct ps_error *error)
{
    char *path = find_coordinates(input->path, listed);
    struct ps_picks_read_options options = *input->options;
    options.format = NULL;
    options.name = name;
    if (!path)
        return ps_fail_memory(error, strlen(listed), "a path");
    int status = input->options->name
                     ? ps_lines_fail(&star->lines, error, "expected coordinates, not another list")
                     : input->read_other(path, &options, input->list, error);
    free(path);
    return status;
}

/* ---- RELION and cryoSPARC ---------------------------------------------------------------------
 */

struct columns {
    int x, y, score, name, list;
};

/* Tells whether the loop has coordinates or names of coordinate files. */
static bool find_columns(const struct ps_star *star, struct columns *ret)
{
    *ret = (struct columns){
        .x = ps_star_column(star, "_rlnCoordinateX"),
        .y = ps_star_column(star, "_rlnCoordinateY"),
        .score = ps_star_column(star, "_rlnAutopickFigureOfMerit"),
        .name = ps_star_column(star, "_rlnMicrographName"),
        .list = ps_star_column(star, "_rlnMicrographCoordinates"),
    };
    return (ret->x >= 0 && ret->y >= 0) || (ret->name >= 0 && ret->list >= 0);
}

static int take_row(const struct ps_picks_input *input, const struct ps_star *star,
                    const struct columns *columns, struct ps_error *error)
{
    if (columns->x < 0 || columns->y < 0)
        return read_listed(input, star, star->words[columns->name], star->words[columns->list],
                           error);
    struct ps_outcome_record *record;
    double x = 0, y = 0, score = NAN;
    const char *name =
        columns->name >= 0 && !input->options->name ? star->words[columns->name] : input->name;
    int status = ps_picks_begin(input, name, &record, error);
    if (status == 0)
        status = read_number(star, columns->x, &x, error);
    if (status == 0)
        status = read_number(star, columns->y, &y, error);
    if (status == 0)
        status = read_optional(star, columns->score, "-999", &score, error);
    return status ? status : ps_picks_add(input, record, x, y, (float)score, NAN, error);
}

int ps_picks_read_star(struct ps_picks_input *input, struct ps_error *error)
{
    struct ps_star *star;
    struct columns columns = {0};
    bool wanted = false, found = false;
    int event = open_star(input, &star, error);
    if (event)
        return event;
    while ((event = ps_star_next(star, error)) > 0) {
        int status = 0;
        if (event == PS_STAR_LOOP) {
            wanted = find_columns(star, &columns);
            found |= wanted;
            /* A loop without rows is valid: the micrograph has no picks. */
            struct ps_outcome_record *record;
            if (wanted && (columns.name < 0 || input->options->name))
                status = ps_picks_begin(input, input->name, &record, error);
        } else if (wanted) {
            status = take_row(input, star, &columns, error);
        }
        if (status) {
            event = status;
            break;
        }
    }
    free(star);
    if (event == 0 && !found)
        return ps_fail(error, PS_E_INPUT,
                       "%s: expected a loop with _rlnCoordinateX and _rlnCoordinateY, or with "
                       "_rlnMicrographName and _rlnMicrographCoordinates",
                       input->path);
    return event;
}

/* ---- crYOLO -----------------------------------------------------------------------------------
 */

struct box_columns {
    int x, y, width, height, score;
};

static int take_box(const struct ps_picks_input *input, const struct ps_star *star,
                    const struct box_columns *columns, struct ps_outcome_record *record,
                    struct ps_error *error)
{
    double x = 0, y = 0, width = 0, height = 0, score = NAN;
    int status = read_number(star, columns->x, &x, error);
    if (status == 0)
        status = read_number(star, columns->y, &y, error);
    if (status == 0)
        status = read_number(star, columns->width, &width, error);
    if (status == 0)
        status = read_number(star, columns->height, &height, error);
    if (status == 0)
        status = read_optional(star, columns->score, "<NA>", &score, error);
    if (status)
        return status;
    if (width <= 0 || height <= 0)
        return ps_lines_fail(&star->lines, error, "expected a box that is wider and higher than 0");
    if (record->result.count == 0)
        record->result.diameter = width;
    return ps_picks_add(input, record, x + width / 2, y + height / 2, (float)score, NAN, error);
}

int ps_picks_read_cbox(struct ps_picks_input *input, struct ps_error *error)
{
    struct ps_star *star;
    struct ps_outcome_record *record = NULL;
    struct box_columns columns = {0};
    bool wanted = false;
    int event = open_star(input, &star, error);
    if (event)
        return event;
    while ((event = ps_star_next(star, error)) > 0) {
        int status = 0;
        if (event == PS_STAR_LOOP) {
            columns = (struct box_columns){
                .x = ps_star_column(star, "_CoordinateX"),
                .y = ps_star_column(star, "_CoordinateY"),
                .width = ps_star_column(star, "_Width"),
                .height = ps_star_column(star, "_Height"),
                .score = ps_star_column(star, "_Confidence"),
            };
            wanted = columns.x >= 0 && columns.y >= 0 && columns.width >= 0 && columns.height >= 0;
            if (wanted)
                status = ps_picks_begin(input, input->name, &record, error);
        } else if (wanted) {
            status = take_box(input, star, &columns, record, error);
        }
        if (status) {
            event = status;
            break;
        }
    }
    free(star);
    if (event == 0 && !record)
        return ps_fail(error, PS_E_INPUT,
                       "%s: expected a loop with _CoordinateX, _CoordinateY, _Width and _Height",
                       input->path);
    return event;
}
