/* The checks of message_read.h.
 *
 * A `struct reader` remembers the first thing that was wrong, so that the code that reads a message
 * is a straight list of its fields. Errors quote no text of the message: they go to a terminal.
 */
#include "output/message_read.h"

#include "base/error.h"
#include "pickstream_wire.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_NAME = 4096, MAX_COLUMNS = 64 };

/* Reads the keys of one object. */
struct reader {
    const json_t *object;
    const char *where; /* its name in errors: "micrograph." */
    int *status;       /* of the whole message: 0, or what ps_fail() returned */
    struct ps_error *error;
};

static void wrong(const struct reader *reader, const char *key, const char *expected)
{
    if (*reader->status == 0)
        *reader->status =
            ps_fail(reader->error, PS_E_INPUT, "%s%s: expected %s", reader->where, key, expected);
}

/* The value of a key; NULL where it is missing or null. */
static const json_t *value(const struct reader *reader, const char *key)
{
    const json_t *found = json_object_get(reader->object, key);
    return json_is_null(found) ? NULL : found;
}

static struct reader section(const struct reader *root, const char *key, const char *where)
{
    struct reader reader = *root;
    reader.object = value(root, key);
    reader.where = where;
    if (!json_is_object(reader.object))
        wrong(root, key, "an object");
    return reader;
}

static int64_t integer(const struct reader *reader, const char *key, int64_t min, int64_t max)
{
    const json_t *found = value(reader, key);
    json_int_t number = json_integer_value(found);
    if (json_is_integer(found) && number >= min && number <= max)
        return number;
    wrong(reader, key, "a whole number within its range");
    return min;
}

static int64_t integer_or(const struct reader *reader, const char *key, int64_t min, int64_t max,
                          int64_t fallback)
{
    return value(reader, key) ? integer(reader, key, min, max) : fallback;
}

/* A finite number, or `fallback` where there is none. */
static double number_or(const struct reader *reader, const char *key, double min, double fallback)
{
    const json_t *found = value(reader, key);
    if (!found)
        return fallback;
    double number = json_number_value(found);
    if (json_is_number(found) && isfinite(number) && number >= min)
        return number;
    wrong(reader, key, "a number within its range");
    return fallback;
}

/* Copies text, cut after a whole character where it is too long. */
static void copy_text(const char *text, char *ret, size_t size)
{
    size_t length = strlen(text);
    if (length >= size) {
        length = size - 1;
        while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    memcpy(ret, text, length);
    ret[length] = '\0';
}

static void text_or_empty(const struct reader *reader, const char *key, char *ret, size_t size)
{
    const json_t *found = value(reader, key);
    if (found && !json_is_string(found))
        wrong(reader, key, "a text");
    copy_text(json_is_string(found) ? json_string_value(found) : "", ret, size);
}

/* A name or path of a file, allocated. */
static char *long_text(const struct reader *reader, const char *key)
{
    const char *text = json_string_value(value(reader, key));
    if (!text || !*text || strlen(text) > MAX_NAME) {
        wrong(reader, key, "a name");
        return NULL;
    }
    char *copy = strdup(text);
    if (!copy && *reader->status == 0)
        *reader->status = ps_fail_memory(reader->error, strlen(text), "a name");
    return copy;
}

/* ---- frames and header ----------------------------------------------------------------------- */

/* What of the frames is what. */
struct layout {
    const struct ps_frame *topic; /* NULL: a header alone */
    const struct ps_frame *header;
    const struct ps_frame *arrays;
    size_t array_count;
};

static bool find_frames(const struct ps_frames *frames, struct layout *ret)
{
    size_t first = frames->count > 1 && frames->frame[0].size == 0 ? 1 : 0;
    size_t count = frames->count - first;
    const struct ps_frame *frame = frames->frame + first;
    if (count == 0)
        return false;
    *ret = (struct layout){.header = frame};
    if (count > 1)
        *ret = (struct layout){frame, frame + 1, frame + 2, count - 2};
    return true;
}

static bool frame_is(const struct ps_frame *frame, const char *text)
{
    return frame->size == strlen(text) && memcmp(frame->data, text, frame->size) == 0;
}

/* Parses the header; NULL with an error where it is none. */
static json_t *parse_header(const struct ps_frame *frame, struct ps_error *error)
{
    if (frame->size == 0 || frame->size > PS_MAX_HEADER) {
        ps_error_set(error, PS_E_INPUT, "a header of %zu bytes", frame->size);
        return NULL;
    }
    json_t *header = json_loadb(frame->data, frame->size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(header)) {
        json_decref(header);
        ps_error_set(error, PS_E_INPUT, "the header is no JSON object");
        return NULL;
    }
    return header;
}

/* A UUID as text; "" where the message has none. */
static void read_stream(const struct reader *root, bool required, char ret[PS_STREAM_TEXT])
{
    *ret = '\0';
    if (!required && !value(root, "stream"))
        return;
    const char *text = json_string_value(value(root, "stream"));
    if (text && strlen(text) == PS_STREAM_TEXT - 1 &&
        strspn(text, "0123456789abcdefABCDEF-") == PS_STREAM_TEXT - 1)
        memcpy(ret, text, PS_STREAM_TEXT);
    else
        wrong(root, "stream", "a UUID");
}

static enum ps_message_type find_type(const struct reader *root)
{
    static const struct {
        const char *name;
        enum ps_message_type type;
    } types[] = {{PS_WIRE_TOPIC_PICKS, PS_MESSAGE_PICKS},
                 {PS_WIRE_TOPIC_STATUS, PS_MESSAGE_STATUS},
                 {PS_WIRE_TYPE_END, PS_MESSAGE_END},
                 {PS_WIRE_TYPE_ERROR, PS_MESSAGE_ERROR}};
    const char *name = json_string_value(value(root, "type"));
    if (!name)
        wrong(root, "type", "a text");
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    }
    return PS_MESSAGE_OTHER;
}

static void read_envelope(const struct layout *layout, const struct reader *root,
                          struct ps_envelope *ret)
{
    *ret = (struct ps_envelope){.type = find_type(root)};
    bool outcome = ret->type == PS_MESSAGE_PICKS, status = ret->type == PS_MESSAGE_STATUS;
    if (ret->type == PS_MESSAGE_OTHER)
        return;
    /* Topic and type are the same word, so that nobody can be told two things. */
    if (layout->topic && (outcome || status) &&
        !frame_is(layout->topic, outcome ? PS_WIRE_TOPIC_PICKS : PS_WIRE_TOPIC_STATUS))
        wrong(root, "type", "that of the topic");
    const char *schema = json_string_value(value(root, "schema"));
    if ((outcome || schema) && (!schema || strcmp(schema, PS_WIRE_SCHEMA) != 0))
        wrong(root, "schema", PS_WIRE_SCHEMA);
    read_stream(root, outcome || status, ret->stream);
    if (ret->type == PS_MESSAGE_ERROR)
        text_or_empty(root, "reason", ret->reason, sizeof ret->reason);
    else if (outcome)
        ret->seq = (uint64_t)integer(root, "seq", 1, INT64_MAX);
    else
        ret->seq = (uint64_t)integer(root, "last_seq", 0, INT64_MAX);
}

int ps_envelope_read(const struct ps_frames *frames, struct ps_envelope *ret_envelope,
                     struct ps_error *error)
{
    struct layout layout;
    if (!find_frames(frames, &layout))
        return ps_fail(error, PS_E_INPUT, "an empty message");
    json_t *header = parse_header(layout.header, error);
    if (!header)
        return PS_E_INPUT;
    int status = 0;
    struct reader root = {header, "", &status, error};
    struct ps_envelope envelope;
    read_envelope(&layout, &root, &envelope);
    json_decref(header);
    if (status == 0)
        *ret_envelope = envelope;
    return status;
}

/* ---- an outcome ------------------------------------------------------------------------------ */

/* Seconds since 1970 of "2026-05-01T12:34:56.123456Z"; NAN where there is none. */
static double time_or_nan(const struct reader *reader, const char *key)
{
    const json_t *found = value(reader, key);
    if (!found)
        return NAN;
    struct tm when = {0};
    const char *text = json_is_string(found) ? json_string_value(found) : "";
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &when);
    double fraction = 0, digit = 0.1;
    if (end && *end == '.') {
        for (end++; *end >= '0' && *end <= '9'; end++) {
            fraction += digit * (*end - '0');
            digit /= 10;
        }
    }
    if (end && strcmp(end, "Z") == 0)
        return (double)timegm(&when) + fraction;
    wrong(reader, key, "a time");
    return NAN;
}

static void read_times(const struct reader *root, struct ps_heard *heard)
{
    heard->latency = NAN;
    if (!value(root, "time"))
        return;
    struct reader reader = section(root, "time", "time.");
    heard->latency = time_or_nan(&reader, "published") - time_or_nan(&reader, "closed");
}

static void read_micrograph(const struct reader *root, struct ps_heard *heard)
{
    struct reader reader = section(root, "micrograph", "micrograph.");
    heard->path = long_text(&reader, "path");
    heard->name = long_text(&reader, "name");
    heard->revision = (int)integer_or(&reader, "revision", 1, INT_MAX, 1);
    heard->result.pixel_size = number_or(&reader, "pixel_size", 0, 0);
    text_or_empty(&reader, "pixel_size_source", heard->pixel_size_source,
                  sizeof heard->pixel_size_source);
    const json_t *shape = value(&reader, "shape");
    if (!shape)
        return;
    json_int_t height = json_integer_value(json_array_get(shape, 0));
    json_int_t width = json_integer_value(json_array_get(shape, 1));
    if (json_array_size(shape) != 2 || height < 1 || height > INT_MAX || width < 1 ||
        width > INT_MAX)
        wrong(&reader, "shape", "two sides in px");
    char format[8];
    text_or_empty(&reader, "format", format, sizeof format);
    heard->micrograph = (struct ps_micrograph){
        .image = {.width = (int)width,
                  .height = (int)height,
                  .pixel_size = heard->result.pixel_size},
        .format = strcmp(format, "mrc") == 0    ? "mrc"
                  : strcmp(format, "tiff") == 0 ? "tiff"
                                                : NULL,
        .mode = (int)integer_or(&reader, "mode", INT_MIN, INT_MAX, 0),
        .frames = (int)integer_or(&reader, "frames", 1, INT_MAX, 1),
        .bytes = (uint64_t)integer_or(&reader, "bytes", 0, INT64_MAX, 0),
    };
    heard->has_micrograph = true;
}

static void read_margin(const struct reader *root, struct ps_result *result)
{
    if (!value(root, "coordinates"))
        return;
    struct reader reader = section(root, "coordinates", "coordinates.");
    const json_t *margin = value(&reader, "unpicked_margin");
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
        wrong(&reader, "unpicked_margin", "four lengths in px");
}

static void read_picker(const struct reader *root, struct ps_heard *heard)
{
    if (!value(root, "picker"))
        return;
    struct reader reader = section(root, "picker", "picker.");
    struct ps_result *result = &heard->result;
    text_or_empty(&reader, "profile", heard->profile, sizeof heard->profile);
    text_or_empty(&reader, "device", result->device, sizeof result->device);
    double angstrom = number_or(&reader, "diameter", 0, 0);
    double px = result->pixel_size > 0 ? angstrom / result->pixel_size : 0;
    result->diameter = number_or(&reader, "diameter_px", 0, px);
}

static void read_milliseconds(const struct reader *root, struct ps_heard *heard)
{
    static const char *const names[PS_STAGE_COUNT] = {
#define X(NAME, name) [PS_STAGE_##NAME] = #name,
        PS_STAGE_MAP(X)
#undef X
    };
    if (!value(root, "milliseconds"))
        return;
    struct reader reader = section(root, "milliseconds", "milliseconds.");
    heard->read_milliseconds = number_or(&reader, "read", 0, 0);
    for (int i = 0; i < PS_STAGE_COUNT; i++)
        heard->result.milliseconds[i] = number_or(&reader, names[i], 0, 0);
}

static void read_warnings(const struct reader *reader, struct ps_result *result)
{
    const json_t *warnings = value(reader, "warnings");
    if (warnings && !json_is_array(warnings))
        wrong(reader, "warnings", "a list of texts");
    size_t i;
    const json_t *warning;
    json_array_foreach(warnings, i, warning)
    {
        if (!json_is_string(warning))
            wrong(reader, "warnings", "a list of texts");
        else if (result->warning_count < PS_MAX_WARNINGS)
            copy_text(json_string_value(warning), result->warnings[result->warning_count++],
                      sizeof result->warnings[0]);
    }
}

/* Everything of the result but the picks; returns how many of them there must be. */
static uint64_t read_result(const struct reader *root, struct ps_heard *heard)
{
    struct reader reader = section(root, "result", "result.");
    char status[16];
    text_or_empty(&reader, "status", status, sizeof status);
    heard->status = PS_HEARD_PICKED;
    while (strcmp(status, ps_heard_status_name(heard->status)) != 0) {
        if (heard->status == PS_HEARD_FAILED) {
            wrong(&reader, "status", "picked, rejected or failed");
            break;
        }
        heard->status++;
    }
    bool picked = heard->status == PS_HEARD_PICKED;
    text_or_empty(&reader, "reason", heard->reason, sizeof heard->reason);
    struct ps_result *result = &heard->result;
    result->outcome = picked ? PS_PICKED : PS_REJECTED;
    copy_text(heard->reason, result->reason, sizeof result->reason);
    const json_t *truncated = value(&reader, "truncated");
    if (truncated && !json_is_boolean(truncated))
        wrong(&reader, "truncated", "true or false");
    result->truncated = json_is_true(truncated);
    result->score_median = number_or(&reader, "score_median", -INFINITY, 0);
    read_warnings(&reader, result);
    return (uint64_t)integer(&reader, "count", 0, picked ? INT64_MAX : 0);
}

/* Where the columns of a pick are in a row. */
static bool find_columns(const json_t *array, size_t ret_column[PS_WIRE_COLUMNS])
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

static void copy_picks(const struct reader *reader, const struct ps_frame *frame, size_t columns,
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
            wrong(reader, "picks", "finite coordinates");
        result->picks[i] = pick;
    }
}

/* Reads the array "picks" of `count` rows, which is header.arrays[index]. */
static void read_array(const struct reader *root, const json_t *array, const struct ps_frame *frame,
                       uint64_t count, struct ps_result *result)
{
    struct reader reader = *root;
    reader.object = array;
    reader.where = "array \"picks\": ";
    const char *dtype = json_string_value(value(&reader, "dtype"));
    if (!dtype || strcmp(dtype, PS_WIRE_DTYPE) != 0)
        wrong(&reader, "dtype", PS_WIRE_DTYPE);
    const json_t *shape = value(&reader, "shape");
    const json_t *rows = json_array_get(shape, 0), *width = json_array_get(shape, 1);
    json_int_t columns = json_integer_value(width);
    size_t column[PS_WIRE_COLUMNS] = {0};
    if (json_array_size(shape) != 2 || !json_is_integer(rows) || json_integer_value(rows) < 0 ||
        (uint64_t)json_integer_value(rows) != count)
        wrong(&reader, "shape", "as many rows as result.count");
    else if (columns < PS_WIRE_COLUMNS || columns > MAX_COLUMNS ||
             json_array_size(value(&reader, "columns")) != (size_t)columns ||
             !find_columns(array, column))
        wrong(&reader, "columns", "x, y, score and area, as many as the shape says");
    else if (frame->size % (4 * (size_t)columns) != 0 ||
             frame->size / (4 * (size_t)columns) != count)
        wrong(&reader, "frame", "as many bytes as the shape says");
    /* Now `count` is bounded by bytes that are there. */
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

static void read_picks(const struct reader *root, const struct layout *layout, uint64_t count,
                       struct ps_result *result)
{
    const json_t *arrays = value(root, "arrays");
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
            wrong(root, "arrays", "a frame for the array \"picks\"");
        return;
    }
    if (count > 0)
        wrong(root, "arrays", "an array \"picks\"");
}

static void read_outcome(const struct layout *layout, const struct reader *root,
                         struct ps_heard *heard)
{
    struct ps_envelope envelope;
    read_envelope(layout, root, &envelope);
    if (envelope.type != PS_MESSAGE_PICKS || !layout->topic)
        wrong(root, "type", PS_WIRE_TOPIC_PICKS);
    memcpy(heard->stream, envelope.stream, sizeof heard->stream);
    heard->seq = envelope.seq;
    read_times(root, heard);
    read_micrograph(root, heard);
    read_margin(root, &heard->result);
    read_picker(root, heard);
    read_milliseconds(root, heard);
    uint64_t count = read_result(root, heard);
    if (*root->status == 0)
        read_picks(root, layout, count, &heard->result);
    if (heard->status == PS_HEARD_PICKED && !heard->has_micrograph)
        wrong(root, "micrograph.shape", "two sides in px");
}

int ps_heard_read(const struct ps_frames *frames, struct ps_heard **ret_heard,
                  struct ps_error *error)
{
    struct layout layout;
    if (!find_frames(frames, &layout))
        return ps_fail(error, PS_E_INPUT, "an empty message");
    json_t *header = parse_header(layout.header, error);
    if (!header)
        return PS_E_INPUT;
    int status = 0;
    struct ps_heard *heard = calloc(1, sizeof *heard);
    struct reader root = {header, "", &status, error};
    if (heard)
        read_outcome(&layout, &root, heard);
    else
        status = ps_fail_memory(error, sizeof *heard, "a message");
    json_decref(header);
    if (status != 0) {
        ps_heard_free(heard);
        return status;
    }
    heard->bytes = sizeof *heard;
    for (size_t i = 0; i < frames->count; i++)
        heard->bytes += frames->frame[i].size;
    *ret_heard = heard;
    return 0;
}

void ps_heard_free(struct ps_heard *heard)
{
    if (!heard)
        return;
    free(heard->path);
    free(heard->name);
    ps_result_done(&heard->result);
    free(heard);
}

const char *ps_heard_status_name(enum ps_heard_status status)
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
