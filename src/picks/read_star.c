/* Reads STAR files: coordinates of one micrograph, or of several with a column of names; RELION's
 * list of coordinate files (autopick.star); and crYOLO's boxes.
 *
 * Particles of tomograms and filaments are refused: as picks of micrographs they would lose their
 * z, or which of them belong together. */
#include "picks/input.h"

#include "base/error.h"
#include "base/text.h"
#include "picks/relion.h"
#include "picks/star.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* The same; NaN if there is no such column, or its value is missing. */
static int read_optional(const struct ps_star *star, int column, double *ret,
                         struct ps_error *error)
{
    *ret = NAN;
    if (column < 0 || ps_picks_missing(star->words[column]))
        return 0;
    return read_number(star, column, ret, error);
}

/* Refuses a row with a z that is not 0. */
static int refuse_depth(const struct ps_star *star, int column, struct ps_error *error)
{
    double z;
    int status = read_optional(star, column, &z, error);
    if (status || isnan(z) || z == 0)
        return status;
    return ps_lines_fail(&star->lines, error,
                         "%s is %s: particles of a tomogram are not supported, export picks of "
                         "single micrographs instead",
                         star->labels[column], star->words[column]);
}

/* ---- the file that an autopick.star names -----------------------------------------------------
 */

static int read_listed(const struct ps_picks_input *input, const struct ps_star *star,
                       const char *name, const char *listed, struct ps_error *error)
{
    if (input->options->name)
        return ps_lines_fail(&star->lines, error, "expected coordinates, not another list");
    char *path = ps_relion_locate(input->path, listed);
    struct ps_picks_read_options options = *input->options;
    options.format = NULL;
    options.name = name;
    if (!path)
        return ps_fail_memory(error, strlen(listed), "a path");
    int status = input->read_other(path, &options, input->list, error);
    free(path);
    return ps_picks_skip_file(&options, status, error);
}

/* ---- RELION and cryoSPARC ---------------------------------------------------------------------
 */

struct columns {
    int x, y, z, score, name, list;
};

/* Refuses tables of particles that are more than a position on a micrograph. */
static int refuse_others(const struct ps_star *star, bool coordinates, struct ps_error *error)
{
    static const char *const tomogram[] = {"_rlnTomoName", "_rlnTomoParticleName",
                                           "_rlnCenteredCoordinateXAngst"};
    static const char *const filament[] = {"_rlnHelicalTubeID", "_rlnHelicalTubePitch",
                                           "_rlnHelicalTrackLength", "_rlnHelicalTrackLengthAngst"};
    for (size_t i = 0; i < sizeof tomogram / sizeof *tomogram; i++) {
        if (ps_star_column(star, tomogram[i]) >= 0)
            return ps_lines_fail(&star->lines, error,
                                 "%s: particles of a tomogram are not supported, export picks of "
                                 "single micrographs instead",
                                 tomogram[i]);
    }
    for (size_t i = 0; i < sizeof filament / sizeof *filament && coordinates; i++) {
        if (ps_star_column(star, filament[i]) >= 0)
            return ps_lines_fail(&star->lines, error,
                                 "%s: filaments are not supported, export single particles, or "
                                 "remove this column to lose which of them belong together",
                                 filament[i]);
    }
    return 0;
}

/* Tells whether the table has coordinates or names of coordinate files. */
static bool find_columns(const struct ps_star *star, struct columns *ret)
{
    *ret = (struct columns){
        .x = ps_star_column(star, "_rlnCoordinateX"),
        .y = ps_star_column(star, "_rlnCoordinateY"),
        .z = ps_star_column(star, "_rlnCoordinateZ"),
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
        status = refuse_depth(star, columns->z, error);
    if (status == 0)
        status = read_optional(star, columns->score, &score, error);
    return status ? status : ps_picks_add(input, record, x, y, (float)score, NAN, error);
}

int ps_picks_read_star(struct ps_picks_input *input, struct ps_error *error)
{
    struct ps_star *star;
    struct columns columns = {0};
    bool wanted = false, found = false;
    int event = ps_picks_refuse_filaments(input, error);
    if (event == 0)
        event = open_star(input, &star, error);
    if (event)
        return event;
    while ((event = ps_star_next(star, error)) > 0) {
        int status = 0;
        if (event == PS_STAR_TABLE) {
            wanted = find_columns(star, &columns);
            found |= wanted;
            status = refuse_others(star, columns.x >= 0 && columns.y >= 0, error);
            /* A table without rows is valid: the micrograph has no picks. */
            struct ps_outcome_record *record;
            if (status == 0 && wanted && (columns.name < 0 || input->options->name))
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
                       "%s: expected a table with _rlnCoordinateX and _rlnCoordinateY, or with "
                       "_rlnMicrographName and _rlnMicrographCoordinates",
                       input->path);
    return event;
}

/* ---- crYOLO -----------------------------------------------------------------------------------
 */

struct box_columns {
    int x, y, z, width, height, score, filament;
};

/* Refuses a box of a filament. */
static int refuse_filament(const struct ps_star *star, int column, struct ps_error *error)
{
    if (column < 0 || ps_picks_missing(star->words[column]))
        return 0;
    return ps_lines_fail(&star->lines, error,
                         "%s is %.60s: filaments are not supported, export single particles",
                         star->labels[column], star->words[column]);
}

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
        status = refuse_depth(star, columns->z, error);
    if (status == 0)
        status = refuse_filament(star, columns->filament, error);
    if (status == 0)
        status = read_optional(star, columns->score, &score, error);
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
        if (event == PS_STAR_TABLE) {
            columns = (struct box_columns){
                .x = ps_star_column(star, "_CoordinateX"),
                .y = ps_star_column(star, "_CoordinateY"),
                .z = ps_star_column(star, "_CoordinateZ"),
                .width = ps_star_column(star, "_Width"),
                .height = ps_star_column(star, "_Height"),
                .score = ps_star_column(star, "_Confidence"),
                .filament = ps_star_column(star, "_filamentid"),
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
                       "%s: expected a table with _CoordinateX, _CoordinateY, _Width and _Height",
                       input->path);
    return event;
}
