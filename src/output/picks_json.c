/* Picks as JSON: one object on one line, in the words of a `picks` message (schema pickstream/1),
 * with the picks as a list of rows where the message has a binary array. What is not known is null.
 * Consumers ignore keys that they do not know. */
#include "output/picks.h"

#include "base/error.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Floats keep their value with 9 digits. */
enum { FORMAT = JSON_COMPACT | JSON_REAL_PRECISION(9) };

/* Jansson's functions take NULL for an element as a failure of their own and release what they are
 * given, so missing memory anywhere comes out as a missing object at the end. */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Null for a value that is 0 because it is unknown. */
static json_t *known(double value)
{
    return value != 0 ? number(value) : json_null();
}

/* Names of files are bytes, JSON is UTF-8: in a name that is not, every byte above ASCII becomes
 * '?'. */
static json_t *text(const char *value)
{
    if (!value)
        return json_null();
    json_t *string = json_string(value);
    if (string)
        return string;
    char *copy = strdup(value);
    if (!copy)
        return NULL;
    for (char *at = copy; *at; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    string = json_string(copy);
    free(copy);
    return string;
}

static json_t *micrograph_object(const struct ps_pick_file *file)
{
    const struct ps_micrograph *read = file->micrograph;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:[i, i], s:o, s:o, s:o}", "path", text(file->path),
                     "name", text(file->name ? file->name : file->path), "bytes",
                     read ? json_integer((json_int_t)read->bytes) : json_null(), "format",
                     text(read ? read->format : NULL), "mode",
                     read ? json_integer(read->mode) : json_null(), "shape", file->height,
                     file->width, "frames", read ? json_integer(read->frames) : json_null(),
                     "pixel_size", known(file->result->pixel_size), "pixel_size_source",
                     text(file->pixel_size_source));
}

static json_t *coordinates_object(const struct ps_result *result)
{
    const int *margin = result->unpicked_margin;
    return json_pack("{s:s, s:s, s:s, s:[i, i, i, i]}", "origin",
                     "centre of the first stored pixel", "y",
                     "increases with stored row; TIFF rows counted from the bottom, as RELION "
                     "reads them",
                     "unit", "px", "unpicked_margin", margin[0], margin[1], margin[2], margin[3]);
}

/* The diameter in A, and, as that may not be known, in pixels too. */
static json_t *picker_object(const struct ps_pick_file *file)
{
    const struct ps_result *result = file->result;
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "version", text(ps_version()), "profile",
                     text(file->profile), "diameter", known(result->diameter * result->pixel_size),
                     "diameter_px", known(result->diameter), "device",
                     text(*result->device ? result->device : NULL));
}

static json_t *result_object(const struct ps_result *result)
{
    json_t *warnings = json_array();
    for (size_t i = 0; i < result->warning_count; i++) {
        if (json_array_append_new(warnings, text(result->warnings[i])) != 0)
            break;
    }
    bool rejected = result->outcome == PS_REJECTED;
    return json_pack("{s:s, s:o, s:I, s:b, s:o, s:o}", "status", rejected ? "rejected" : "picked",
                     "reason", text(rejected ? result->reason : NULL), "count",
                     (json_int_t)result->count, "truncated", (int)result->truncated, "score_median",
                     result->count ? number(result->score_median) : json_null(), "warnings",
                     json_array_size(warnings) == result->warning_count ? warnings : NULL);
}

static json_t *milliseconds_object(const struct ps_pick_file *file)
{
    static const char *const names[PS_STAGE_COUNT] = {
#define X(NAME, name) [PS_STAGE_##NAME] = #name,
        PS_STAGE_MAP(X)
#undef X
    };
    double total = file->read_milliseconds;
    json_t *object = json_pack("{s:o}", "read", number(file->read_milliseconds));
    for (int i = 0; i < PS_STAGE_COUNT; i++) {
        if (json_object_set_new(object, names[i], number(file->result->milliseconds[i])) != 0) {
            json_decref(object);
            return NULL;
        }
        total += file->result->milliseconds[i];
    }
    if (json_object_set_new(object, "total", number(total)) != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *rows(const struct ps_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->count; i++) {
        const struct ps_pick *pick = &result->picks[i];
        json_t *row = json_pack("[o, o, o, o]", number((double)pick->x), number((double)pick->y),
                                number((double)pick->score), number((double)pick->area));
        if (json_array_append_new(list, row) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

int ps_picks_write_json(const struct ps_pick_file *file, FILE *stream, struct ps_error *error)
{
    json_t *object =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:[s, s, s, s], s:o}", "schema",
                  "pickstream/1", "type", "picks", "micrograph", micrograph_object(file),
                  "coordinates", coordinates_object(file->result), "picker", picker_object(file),
                  "result", result_object(file->result), "milliseconds", milliseconds_object(file),
                  "columns", "x", "y", "score", "area", "picks", rows(file->result));
    if (!object)
        return ps_fail_memory(error, file->result->count * sizeof(struct ps_pick), "JSON of picks");
    int failed = json_dumpf(object, stream, FORMAT);
    json_decref(object);
    (void)fputc('\n', stream);
    /* What failed was memory unless the stream did, and that is found by who opened it. */
    if (failed && !ferror(stream))
        return ps_fail_memory(error, file->result->count * sizeof(struct ps_pick), "JSON text");
    return 0;
}
