/* Reads pickstream's JSON: one object for each micrograph, with the keys of a `picks` message. */
#include "picks/input.h"

#include "base/error.h"
#include "pickstream_wire.h"
#include "wire/envelope.h"
#include "wire/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number in a row; null, if allowed, gives NaN. */
static float read_value(const struct ps_reader *root, const json_t *value, bool nullable)
{
    if (json_is_number(value))
        return (float)json_number_value(value);
    if (!nullable || !json_is_null(value))
        ps_reader_wrong(root, "picks", "rows of numbers");
    return NAN;
}

static void read_rows(const struct ps_picks_input *input, const struct ps_reader *root,
                      uint64_t count, struct ps_outcome_record *record)
{
    const json_t *rows = ps_reader_value(root, "picks");
    size_t column[PS_WIRE_COLUMNS] = {0};
    if (!ps_columns_find(root->object, column))
        ps_reader_wrong(root, "columns", "x, y, score and area");
    else if (!json_is_array(rows) || json_array_size(rows) != count)
        ps_reader_wrong(root, "picks", "as many rows as result.count");
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (*root->status)
            return;
        float x = read_value(root, json_array_get(row, column[PS_WIRE_X]), false);
        float y = read_value(root, json_array_get(row, column[PS_WIRE_Y]), false);
        float score = read_value(root, json_array_get(row, column[PS_WIRE_SCORE]), true);
        float area = read_value(root, json_array_get(row, column[PS_WIRE_AREA]), true);
        int failed = *root->status ? 0
                                   : ps_picks_add(input, record, (double)x, (double)y, score, area,
                                                  root->error);
        if (failed)
            *root->status = failed;
    }
}

/* Names are relative to the operands of a run: those of two runs can be equal. Names the second of
 * two micrographs by its path. */
static int distinguish(const struct ps_outcome_record_list *list, struct ps_outcome_record *record,
                       struct ps_error *error)
{
    for (size_t i = list->count; i-- > 0;) {
        const struct ps_outcome_record *other = list->items[i];
        if (strcmp(other->name, record->name) != 0 || strcmp(other->path, record->path) == 0)
            continue;
        char *name = strdup(record->path);
        if (!name)
            return ps_fail_memory(error, strlen(record->path), "a name");
        free(record->name);
        record->name = name;
        break;
    }
    return 0;
}

static int read_object(struct ps_picks_input *input, const json_t *object, struct ps_error *error)
{
    if (json_object_get(object, "boxes"))
        return ps_fail(error, PS_E_INPUT,
                       "EMAN2's info files are not supported: export .box files in e2boxer.py");
    struct ps_outcome_record *record = calloc(1, sizeof *record);
    int status = 0;
    if (!record)
        return ps_fail_memory(error, sizeof *record, "a micrograph");
    struct ps_reader root = {object, "", &status, error};
    uint64_t count = ps_outcome_record_fill(&root, record);
    if (status == 0)
        read_rows(input, &root, count, record);
    struct ps_outcome_record *listed = NULL;
    if (status == 0 && !input->options->micrographs)
        status = distinguish(input->list, record, error);
    if (status == 0)
        status = ps_picks_begin(input, record->name, &listed, error);
    if (status) {
        ps_outcome_record_free(record);
        return status;
    }
    /* Replaces the fields of the record that was added to the list. */
    if (input->options->micrographs) {
        free(record->path);
        record->path = listed->path;
        listed->path = NULL;
    }
    struct ps_outcome_record empty = *listed;
    *listed = *record;
    *record = empty;
    ps_outcome_record_free(record);
    return 0;
}

int ps_picks_read_json(struct ps_picks_input *input, struct ps_error *error)
{
    for (int number = 1;; number++) {
        int next;
        while ((next = getc(input->stream)) == '\n' || next == '\r' || next == ' ')
            ;
        if (next == EOF)
            return 0;
        (void)ungetc(next, input->stream);
        json_t *object = NULL;
        int status =
            ps_json_parse_next(input->stream, "expected a JSON object a line", &object, error);
        if (status == 0)
            status = read_object(input, object, error);
        json_decref(object);
        if (status)
            return ps_fail_prefix(error, "%.200s:%d", input->path, number);
    }
}
