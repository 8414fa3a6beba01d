/* Reads the fields of a `picks` message in order, then its array. */
#include "wire/message_read.h"

#include "base/error.h"
#include "base/percent.h"
#include "base/warning.h"
#include "pickstream_wire.h"
#include "wire/envelope.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 64 };

static void read_times(const struct ps_reader *root, struct ps_outcome_record *record)
{
    record->latency = NAN;
    if (!ps_reader_value(root, "time"))
        return;
    struct ps_reader reader = ps_reader_section(root, "time", "time.");
    record->latency = ps_reader_time(&reader, "published") - ps_reader_time(&reader, "closed");
}

static void read_micrograph(const struct ps_reader *root, struct ps_outcome_record *record)
{
    struct ps_reader reader = ps_reader_section(root, "micrograph", "micrograph.");
    record->path = ps_reader_name(&reader, "path");
    record->name = ps_reader_name(&reader, "name");
    char encoding[sizeof PS_WIRE_ENCODING_PERCENT + 1];
    ps_reader_text(&reader, "encoding", encoding, sizeof encoding);
    bool percent = strcmp(encoding, PS_WIRE_ENCODING_PERCENT) == 0;
    if (*encoding && !percent)
        ps_reader_wrong(&reader, "encoding", PS_WIRE_ENCODING_PERCENT);
    if (percent && record->path && record->name &&
        (!ps_percent_decode(record->path) || !ps_percent_decode(record->name)))
        ps_reader_wrong(&reader, "name", "percent-encoded text");
    record->revision = (int)ps_reader_integer_or(&reader, "revision", 1, INT_MAX, 1);
    record->result.pixel_size = ps_reader_number_or(&reader, "pixel_size", 0, 0);
    ps_reader_text(&reader, "pixel_size_source", record->pixel_size_source,
                   sizeof record->pixel_size_source);
    const json_t *shape = ps_reader_value(&reader, "shape");
    if (!shape)
        return;
    json_int_t height = json_integer_value(json_array_get(shape, 0));
    json_int_t width = json_integer_value(json_array_get(shape, 1));
    if (json_array_size(shape) != 2 || height < 1 || height > INT_MAX || width < 1 ||
        width > INT_MAX)
        ps_reader_wrong(&reader, "shape", "two sides in px");
    char format[8];
    ps_reader_text(&reader, "format", format, sizeof format);
    record->micrograph = (struct ps_micrograph){
        .image = {.width = (int)width,
                  .height = (int)height,
                  .pixel_size = record->result.pixel_size},
        .format = strcmp(format, "mrc") == 0    ? "mrc"
                  : strcmp(format, "tiff") == 0 ? "tiff"
                                                : NULL,
        .mode = (int)ps_reader_integer_or(&reader, "mode", INT_MIN, INT_MAX, 0),
        .frames = (int)ps_reader_integer_or(&reader, "frames", 1, INT_MAX, 1),
        .bytes = (uint64_t)ps_reader_integer_or(&reader, "bytes", 0, INT64_MAX, 0),
    };
    record->has_micrograph = true;
}

static void read_margin(const struct ps_reader *root, struct ps_result *result)
{
    if (!ps_reader_value(root, "coordinates"))
        return;
    struct ps_reader reader = ps_reader_section(root, "coordinates", "coordinates.");
    const json_t *margin = ps_reader_value(&reader, "unpicked_margin");
    if (!margin)
        return;
    bool valid = json_array_size(margin) == 4;
    for (size_t i = 0; i < 4 && valid; i++) {
        const json_t *side = json_array_get(margin, i);
        json_int_t px = json_integer_value(side);
        valid = json_is_integer(side) && px >= 0 && px <= INT_MAX;
        if (valid)
            result->unpicked_margin[i] = (int)px;
    }
    if (!valid)
        ps_reader_wrong(&reader, "unpicked_margin", "four lengths in px");
}

static void read_picker(const struct ps_reader *root, struct ps_outcome_record *record)
{
    if (!ps_reader_value(root, "picker"))
        return;
    struct ps_reader reader = ps_reader_section(root, "picker", "picker.");
    struct ps_result *result = &record->result;
    ps_reader_text(&reader, "profile", record->profile, sizeof record->profile);
    ps_reader_text(&reader, "device", result->device, sizeof result->device);
    double angstrom = ps_reader_number_or(&reader, "diameter", 0, 0);
    double px = result->pixel_size > 0 ? angstrom / result->pixel_size : 0;
    result->diameter = ps_reader_number_or(&reader, "diameter_px", 0, px);
}

static void read_milliseconds(const struct ps_reader *root, struct ps_outcome_record *record)
{
    static const char *const names[PS_STAGE_COUNT] = {
#define X(NAME, name) [PS_STAGE_##NAME] = #name,
        PS_STAGE_MAP(X)
#undef X
    };
    if (!ps_reader_value(root, "milliseconds"))
        return;
    struct ps_reader reader = ps_reader_section(root, "milliseconds", "milliseconds.");
    record->read_milliseconds = ps_reader_number_or(&reader, "read", 0, 0);
    for (int i = 0; i < PS_STAGE_COUNT; i++)
        record->result.milliseconds[i] = ps_reader_number_or(&reader, names[i], 0, 0);
}

static bool read_truth(const struct ps_reader *reader, const char *key)
{
    const json_t *value = ps_reader_value(reader, key);
    if (value && !json_is_boolean(value))
        ps_reader_wrong(reader, key, "true or false");
    return json_is_true(value);
}

static void read_warnings(const struct ps_reader *reader, struct ps_result *result)
{
    const json_t *warnings = ps_reader_value(reader, "warnings");
    if (warnings && !json_is_array(warnings))
        ps_reader_wrong(reader, "warnings", "a list of texts");
    size_t i;
    const json_t *warning;
    json_array_foreach(warnings, i, warning)
    {
        if (!json_is_string(warning))
            ps_reader_wrong(reader, "warnings", "a list of texts");
        else if (result->warning_count < PS_MAX_WARNINGS)
            ps_text_cut(json_string_value(warning), result->warnings[result->warning_count++],
                        sizeof result->warnings[0]);
    }
}

/* The kinds of the warnings, from the list "problems", which earlier versions do not have; and all
 * that is no reason, for people. */
static void read_problems(const struct ps_reader *reader, struct ps_outcome_record *record)
{
    struct ps_result *result = &record->result;
    const json_t *problems = ps_reader_value(reader, "problems"), *problem;
    size_t i, used = 0;
    if (problems && !json_is_array(problems))
        ps_reader_wrong(reader, "problems", "a list of objects");
    json_array_foreach(problems, i, problem)
    {
        const char *code = json_string_value(json_object_get(problem, "code"));
        const char *text = json_string_value(json_object_get(problem, "text"));
        const char *advice = json_string_value(json_object_get(problem, "advice"));
        if (!code || !text || !advice) {
            ps_reader_wrong(reader, "problems", "objects with \"code\", \"text\" and \"advice\"");
            continue;
        }
        for (size_t k = 0; k < result->warning_count; k++)
            if (strcmp(result->warnings[k], text) == 0)
                result->warning_kinds[k] = ps_warning_find(code);
        const enum ps_warning kind = ps_warning_find(code);
        if (kind == PS_WARNING_FAILED || kind == PS_WARNING_REJECTED ||
            used >= sizeof record->problems)
            continue;
        used += (size_t)snprintf(record->problems + used, sizeof record->problems - used,
                                 "%s%s: %s: %s", used ? "; " : "", code, text, advice);
    }
}

/* Reads the result without the picks; returns the number of picks that must follow. */
static uint64_t read_result(const struct ps_reader *root, struct ps_outcome_record *record)
{
    struct ps_reader reader = ps_reader_section(root, "result", "result.");
    char status[16];
    ps_reader_text(&reader, "status", status, sizeof status);
    record->status = PS_OUTCOME_PICKED;
    while (strcmp(status, ps_outcome_record_status_name(record->status)) != 0) {
        if (record->status == PS_OUTCOME_FAILED) {
            ps_reader_wrong(&reader, "status", "picked, rejected or failed");
            break;
        }
        record->status++;
    }
    bool picked = record->status == PS_OUTCOME_PICKED;
    ps_reader_text(&reader, "reason", record->reason, sizeof record->reason);
    struct ps_result *result = &record->result;
    result->outcome = picked ? PS_PICKED : PS_REJECTED;
    ps_text_cut(record->reason, result->reason, sizeof result->reason);
    result->truncated = read_truth(&reader, "truncated");
    result->unreliable = read_truth(&reader, "unreliable");
    result->masked = ps_reader_number_or(&reader, "masked", 0, 0);
    result->expected_false = ps_reader_number_or(&reader, "expected_false", 0, NAN);
    result->separation = ps_reader_number_or(&reader, "separation", 0, NAN);
    result->score_median = ps_reader_number_or(&reader, "score_median", -INFINITY, 0);
    read_warnings(&reader, result);
    read_problems(&reader, record);
    return (uint64_t)ps_reader_integer(&reader, "count", 0, picked ? INT64_MAX : 0);
}

bool ps_columns_find(const json_t *array, size_t ret_column[PS_WIRE_COLUMNS])
{
    static const char *const names[PS_WIRE_COLUMNS] = PS_WIRE_COLUMN_NAMES;
    const json_t *columns = json_object_get(array, "columns");
    size_t found = 0;
    for (size_t wanted = 0; wanted < PS_WIRE_COLUMNS; wanted++) {
        size_t i;
        const json_t *name;
        json_array_foreach(columns, i, name)
        {
            if (json_is_string(name) && strcmp(json_string_value(name), names[wanted]) == 0) {
                ret_column[wanted] = i;
                found++;
                break;
            }
        }
    }
    return found == PS_WIRE_COLUMNS;
}

static void copy_picks(const struct ps_reader *reader, const struct ps_frame *frame, size_t columns,
                       const size_t column[PS_WIRE_COLUMNS], struct ps_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        const struct ps_pick pick = {
            .x = ps_wire_value(frame->data, columns, i, column[PS_WIRE_X]),
            .y = ps_wire_value(frame->data, columns, i, column[PS_WIRE_Y]),
            .score = ps_wire_value(frame->data, columns, i, column[PS_WIRE_SCORE]),
            .area = ps_wire_value(frame->data, columns, i, column[PS_WIRE_AREA]),
        };
        if (!isfinite(pick.x) || !isfinite(pick.y))
            ps_reader_wrong(reader, "picks", "finite coordinates");
        result->picks[i] = pick;
    }
}

/* Reads the array "picks" of `count` rows, which is header.arrays[index]. */
static void read_array(const struct ps_reader *root, const json_t *array,
                       const struct ps_frame *frame, uint64_t count, struct ps_result *result)
{
    struct ps_reader reader = *root;
    reader.object = array;
    reader.where = "array \"picks\": ";
    const char *dtype = json_string_value(ps_reader_value(&reader, "dtype"));
    if (!dtype || strcmp(dtype, PS_WIRE_DTYPE) != 0)
        ps_reader_wrong(&reader, "dtype", PS_WIRE_DTYPE);
    const json_t *shape = ps_reader_value(&reader, "shape");
    const json_t *rows = json_array_get(shape, 0), *width = json_array_get(shape, 1);
    json_int_t columns = json_integer_value(width);
    size_t column[PS_WIRE_COLUMNS] = {0};
    if (json_array_size(shape) != 2 || !json_is_integer(rows) || json_integer_value(rows) < 0 ||
        (uint64_t)json_integer_value(rows) != count)
        ps_reader_wrong(&reader, "shape", "as many rows as result.count");
    else if (columns < PS_WIRE_COLUMNS || columns > MAX_COLUMNS ||
             json_array_size(ps_reader_value(&reader, "columns")) != (size_t)columns ||
             !ps_columns_find(array, column))
        ps_reader_wrong(&reader, "columns", "x, y, score and area, as many as the shape says");
    else if (frame->size % (4 * (size_t)columns) != 0 ||
             frame->size / (4 * (size_t)columns) != count)
        ps_reader_wrong(&reader, "frame", "as many bytes as the shape says");
    /* From here on `count` is limited by the size of the frame. */
    if (*root->status != 0 || count == 0)
        return;
    result->picks = calloc(count, sizeof *result->picks);
    if (!result->picks) {
        *root->status = ps_fail_memory(root->error, count * sizeof *result->picks, "picks");
        return;
    }
    result->count = count;
    copy_picks(&reader, frame, (size_t)columns, column, result);
}

static void read_picks(const struct ps_reader *root, const struct ps_layout *layout, uint64_t count,
                       struct ps_result *result)
{
    const json_t *arrays = ps_reader_value(root, "arrays");
    size_t i;
    const json_t *array;
    json_array_foreach(arrays, i, array)
    {
        const char *name = json_string_value(json_object_get(array, "name"));
        if (!name || strcmp(name, PS_WIRE_ARRAY_PICKS) != 0)
            continue;
        if (i < layout->array_count)
            read_array(root, array, &layout->arrays[i], count, result);
        else
            ps_reader_wrong(root, "arrays", "a frame for the array \"picks\"");
        return;
    }
    if (count > 0)
        ps_reader_wrong(root, "arrays", "an array \"picks\"");
}

uint64_t ps_outcome_record_fill(const struct ps_reader *root, struct ps_outcome_record *record)
{
    read_times(root, record);
    read_micrograph(root, record);
    read_margin(root, &record->result);
    read_picker(root, record);
    read_milliseconds(root, record);
    return read_result(root, record);
}

static void read_outcome(const struct ps_layout *layout, const struct ps_reader *root,
                         struct ps_outcome_record *record)
{
    struct ps_envelope envelope;
    ps_envelope_fill(layout, root, &envelope);
    if (envelope.type != PS_MESSAGE_PICKS || !layout->topic)
        ps_reader_wrong(root, "type", PS_WIRE_TOPIC_PICKS);
    memcpy(record->stream, envelope.stream, sizeof record->stream);
    record->seq = envelope.seq;
    uint64_t count = ps_outcome_record_fill(root, record);
    if (*root->status == 0)
        read_picks(root, layout, count, &record->result);
    if (record->status == PS_OUTCOME_PICKED && !record->has_micrograph)
        ps_reader_wrong(root, "micrograph.shape", "two sides in px");
}

int ps_outcome_record_read(const struct ps_frames *frames, struct ps_outcome_record **ret_record,
                           struct ps_error *error)
{
    struct ps_layout layout;
    json_t *header;
    int status = ps_header_open(frames, &layout, &header, error);
    if (status)
        return status;
    struct ps_outcome_record *record = calloc(1, sizeof *record);
    struct ps_reader root = {header, "", &status, error};
    if (record)
        read_outcome(&layout, &root, record);
    else
        status = ps_fail_memory(error, sizeof *record, "a message");
    json_decref(header);
    if (status != 0) {
        ps_outcome_record_free(record);
        return status;
    }
    record->bytes = sizeof *record;
    for (size_t i = 0; i < frames->count; i++)
        record->bytes += frames->frame[i].size;
    *ret_record = record;
    return 0;
}

void ps_outcome_record_free(struct ps_outcome_record *record)
{
    if (!record)
        return;
    free(record->path);
    free(record->name);
    free(record->micrograph.pixels);
    ps_result_done(&record->result);
    free(record);
}

const char *ps_outcome_record_status_name(enum ps_outcome_record_status status)
{
    static const char *const names[] = {"picked", "rejected", "failed"};
    return names[status];
}

bool ps_name_is_safe(const char *name)
{
    for (;; name++) {
        size_t length = strcspn(name, "/");
        if (length == 0 || (length == 1 && name[0] == '.') ||
            (length == 2 && name[0] == '.' && name[1] == '.'))
            return false;
        name += length;
        if (!*name)
            return true;
    }
}
