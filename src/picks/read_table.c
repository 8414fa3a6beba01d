/* Reads plain tables: EMAN's boxes, Topaz's coordinates, and CSV. Blank lines and lines that begin
 * with '#' are comments, but EMAN's "#helix:" begins a filament. */
#include "picks/input.h"

#include "base/error.h"
#include "base/text.h"
#include "picks/lines.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CELLS = 64 };
static const double MAX_COORDINATE = 1e9; /* px */

static bool to_number(const char *text, double *ret)
{
    return ps_text_to_double(text, -MAX_COORDINATE, MAX_COORDINATE, ret, NULL);
}

static bool is_blank(const char *line)
{
    line += strspn(line, " \t");
    return !*line || *line == '#';
}

/* ---- boxes ------------------------------------------------------------------------------------
 */

/* The centre of a box, as RELION computes it: corner plus half the side; with whole numbers, half
 * the side is rounded down. */
static double centre(double corner, double side)
{
    bool whole = corner == floor(corner) && side == floor(side);
    return corner + (whole ? floor(side / 2) : side / 2);
}

static int refuse_helix(const struct ps_lines *lines, struct ps_error *error)
{
    return ps_lines_fail(lines, error,
                         "a helix of EMAN: filaments are not supported, export single particles");
}

/* The fifth number is EMAN's mark of the box: -1 and -2 for the ends of a helix. -1 alone occurs
 * elsewhere, so the second end decides. */
static bool ends_helix(const char *mark)
{
    double value;
    return mark && to_number(mark, &value) && value == -2;
}

static int take_box(const struct ps_picks_input *input, struct ps_lines *lines,
                    struct ps_outcome_record *record, struct ps_error *error)
{
    double box[4];
    char *rest = NULL;
    if (strncmp(lines->text, "#helix", 6) == 0)
        return refuse_helix(lines, error);
    if (is_blank(lines->text))
        return 0;
    char *word = strtok_r(lines->text, " \t,", &rest);
    for (int i = 0; i < 4; i++) {
        if (!word || !to_number(word, &box[i]))
            return ps_lines_fail(lines, error,
                                 "expected the corner of a box, its width and height");
        word = strtok_r(NULL, " \t,", &rest);
    }
    if (ends_helix(word))
        return refuse_helix(lines, error);
    if (box[2] <= 0 || box[3] <= 0)
        return ps_lines_fail(lines, error, "expected a box that is wider and higher than 0");
    if (record->result.count == 0)
        record->result.diameter = box[2];
    return ps_picks_add(input, record, centre(box[0], box[2]), centre(box[1], box[3]), NAN, NAN,
                        error);
}

int ps_picks_read_box(struct ps_picks_input *input, struct ps_error *error)
{
    struct ps_outcome_record *record = NULL;
    int status = ps_picks_refuse_filaments(input, error);
    if (status)
        return status;
    struct ps_lines *lines = calloc(1, sizeof *lines);
    if (!lines)
        return ps_fail_memory(error, sizeof *lines, "a line");
    lines->stream = input->stream;
    lines->path = input->path;
    status = ps_picks_begin(input, input->name, &record, error);
    while (status == 0 && (status = ps_lines_next(lines, error)) > 0)
        status = take_box(input, lines, record, error);
    free(lines);
    return status;
}

/* ---- tables with a header line ----------------------------------------------------------------
 */

enum column { COLUMN_X, COLUMN_Y, COLUMN_Z, COLUMN_SCORE, COLUMN_AREA, COLUMN_NAME, COLUMNS };

struct table {
    struct ps_lines lines;
    char separator[2];
    const char *names[COLUMNS]; /* NULL: the format has no such column */
    int columns[COLUMNS];       /* their indices, or -1 */
    size_t cell_count;          /* in the first line */
    char *cells[MAX_CELLS];
};

/* The closing quote of a quoted cell, or NULL if the cell is not quoted. */
static char *closing_quote(const struct table *table, char *cell)
{
    if (*cell != '"')
        return NULL;
    char *at = cell + 1;
    while (*at && (*at != '"' || at[1] == '"'))
        at += *at == '"' ? 2 : 1;
    return *at && (!at[1] || at[1] == *table->separator) ? at : NULL;
}

/* Ends a cell at the separator and returns the next one, or NULL. A quoted cell can contain the
 * separator, and `""` for a quote. Blanks around a cell of a CSV are dropped. */
static char *end_cell(const struct table *table, char *cell, char **ret_cell)
{
    bool csv = *table->separator == ',';
    cell += csv ? strspn(cell, " ") : 0;
    char *quote = closing_quote(table, cell);
    char *at = quote ? quote + 1 : cell + strcspn(cell, table->separator);
    char *next = *at ? at + 1 : NULL;
    char *end = at;
    if (quote) {
        end = cell;
        for (char *from = cell + 1; from < quote; from++) {
            from += *from == '"';
            *end++ = *from;
        }
    }
    while (csv && end > cell && end[-1] == ' ')
        end--;
    *end = '\0';
    *ret_cell = cell;
    return next;
}

static size_t split(struct table *table)
{
    size_t count = 0;
    for (char *cell = table->lines.text; cell; count++) {
        char *begin;
        cell = end_cell(table, cell, &begin);
        if (count < MAX_CELLS)
            table->cells[count] = begin;
    }
    return count;
}

/* Reads the next line that is neither blank nor a comment. A row of a TSV can begin with a '#' that
 * is part of a name. */
static int next_line(struct table *table, struct ps_error *error)
{
    for (;;) {
        int found = ps_lines_next(&table->lines, error);
        bool row = *table->separator == '\t' && strchr(table->lines.text, '\t');
        if (found <= 0 || row || !is_blank(table->lines.text))
            return found;
    }
}

static bool is_optional(enum column column)
{
    return column == COLUMN_Z || column == COLUMN_SCORE || column == COLUMN_AREA;
}

static int read_names(struct table *table, struct ps_error *error)
{
    int found = next_line(table, error);
    if (found < 0)
        return found;
    table->cell_count = found ? split(table) : 0;
    bool all = table->cell_count <= MAX_CELLS;
    for (int i = 0; i < COLUMNS; i++) {
        table->columns[i] = -1;
        for (size_t k = 0; table->names[i] && all && k < table->cell_count; k++) {
            if (strcasecmp(table->cells[k], table->names[i]) == 0)
                table->columns[i] = (int)k;
        }
        if (table->names[i] && !is_optional(i) && table->columns[i] < 0)
            return ps_lines_fail(&table->lines, error, "expected a line of names, with %s%s%s%s%s",
                                 table->names[COLUMN_NAME] ? table->names[COLUMN_NAME] : "",
                                 table->names[COLUMN_NAME] ? ", " : "", table->names[COLUMN_X],
                                 " and ", table->names[COLUMN_Y]);
    }
    return 0;
}

/* A cell as a number; NaN if there is no such column, or its value is missing. */
static int read_cell(const struct table *table, enum column column, double *ret,
                     struct ps_error *error)
{
    int index = table->columns[column];
    *ret = NAN;
    if (index < 0 || (is_optional(column) && ps_picks_missing(table->cells[index])))
        return 0;
    if (to_number(table->cells[index], ret))
        return 0;
    return ps_lines_fail(&table->lines, error, "%s: expected a number, not %.60s",
                         table->names[column], table->cells[index]);
}

/* True if a name in the table, which has neither directory nor extension, is that of the micrograph
 * that the file was named after, as in A/x_autopick.tsv, x.tif_autopick.tsv or
 * x.tif-1f2e3d4c_autopick.tsv (names.h). The name of the file distinguishes it from others. */
static bool is_own_name(const char *file, const char *name)
{
    enum { HASH = 9 };
    const char *slash = strrchr(file, '/');
    const char *base = slash ? slash + 1 : file;
    size_t length = strlen(name);
    if (strncmp(base, name, length) != 0)
        return false;
    char *whole = strdup(base);
    const char *dash = strrchr(base, '-');
    if (whole && dash && strlen(dash) == HASH && strspn(dash + 1, "0123456789abcdef") == HASH - 1)
        whole[dash - base] = '\0';
    bool own = !base[length] || (whole && ps_picks_stem(whole) == length && whole[length] == '.');
    free(whole);
    return own;
}

static int take_row(const struct ps_picks_input *input, struct table *table, struct ps_error *error)
{
    double values[COLUMN_NAME];
    size_t count = split(table);
    struct ps_outcome_record *record;
    if (count != table->cell_count)
        return ps_lines_fail(&table->lines, error, "expected %zu cells, as there are names",
                             table->cell_count);
    for (int i = 0; i < COLUMN_NAME; i++) {
        int status = read_cell(table, i, &values[i], error);
        if (status)
            return status;
    }
    if (!isnan(values[COLUMN_Z]) && values[COLUMN_Z] != 0)
        return ps_lines_fail(&table->lines, error,
                             "%s is %s: particles of a tomogram are not supported, export picks of "
                             "single micrographs instead",
                             table->names[COLUMN_Z], table->cells[table->columns[COLUMN_Z]]);
    int column = table->columns[COLUMN_NAME];
    const char *name = column >= 0 ? table->cells[column] : "";
    int status = ps_picks_begin(
        input, *name && !is_own_name(input->name, name) ? name : input->name, &record, error);
    return status ? status
                  : ps_picks_add(input, record, values[COLUMN_X], values[COLUMN_Y],
                                 (float)values[COLUMN_SCORE], (float)values[COLUMN_AREA], error);
}

static int read_table(struct ps_picks_input *input, char separator,
                      const char *const names[COLUMNS], struct ps_error *error)
{
    struct table *table = calloc(1, sizeof *table);
    if (!table)
        return ps_fail_memory(error, sizeof *table, "a table");
    table->lines.stream = input->stream;
    table->lines.path = input->path;
    table->separator[0] = separator;
    memcpy(table->names, names, sizeof table->names);
    size_t before = input->list->count;
    int status = read_names(table, error);
    while (status == 0 && (status = next_line(table, error)) > 0)
        status = take_row(input, table, error);
    free(table);
    /* A table without rows is valid: the micrograph has no picks. */
    struct ps_outcome_record *record;
    if (status == 0 && input->list->count == before)
        status = ps_picks_begin(input, input->name, &record, error);
    return status;
}

int ps_picks_read_tsv(struct ps_picks_input *input, struct ps_error *error)
{
    static const char *const names[COLUMNS] = {[COLUMN_X] = "x_coord",
                                               [COLUMN_Y] = "y_coord",
                                               [COLUMN_Z] = "z_coord",
                                               [COLUMN_SCORE] = "score",
                                               [COLUMN_NAME] = "image_name"};
    return read_table(input, '\t', names, error);
}

int ps_picks_read_csv(struct ps_picks_input *input, struct ps_error *error)
{
    static const char *const names[COLUMNS] = {[COLUMN_X] = "x",
                                               [COLUMN_Y] = "y",
                                               [COLUMN_Z] = "z",
                                               [COLUMN_SCORE] = "score",
                                               [COLUMN_AREA] = "area"};
    return read_table(input, ',', names, error);
}
