/* Writes picks as JSON: one object on one line for each micrograph, with the keys of a `picks`
 * message (wire/header.h) and the picks as a list of rows instead of a binary array. Consumers
 * ignore unknown keys. */
#include "picks/writers.h"

#include "base/error.h"
#include "wire/header.h"
#include "wire/json.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *rows(const struct ps_result *result)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->count; i++) {
        const struct ps_pick *pick = &result->picks[i];
        json_t *row = json_pack(
            "[o, o, o, o]", ps_json_number((double)pick->x), ps_json_number((double)pick->y),
            ps_json_number((double)pick->score), ps_json_number((double)pick->area));
        if (json_array_append_new(list, row) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static struct ps_outcome_facts facts_of(const struct ps_pick_file *file)
{
    struct ps_outcome_facts facts = {
        .path = file->path,
        .name = file->name ? file->name : file->path,
        .bytes = file->micrograph ? file->micrograph->bytes : 0,
        .width = file->width,
        .height = file->height,
        .micrograph = file->micrograph,
        .pixel_size_source = file->pixel_size_source,
        .profile = file->profile,
        .result = file->result,
        .read_milliseconds = file->read_milliseconds,
        .total_milliseconds = file->read_milliseconds,
    };
    for (int i = 0; i < PS_STAGE_COUNT; i++)
        facts.total_milliseconds += file->result->milliseconds[i];
    return facts;
}

static int write_one(const struct ps_pick_file *file, FILE *stream, struct ps_error *error)
{
    struct ps_outcome_facts facts = facts_of(file);
    json_t *object =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", PS_WIRE_SCHEMA, "type",
                  PS_WIRE_TOPIC_PICKS, "micrograph", ps_header_micrograph(&facts), "coordinates",
                  ps_header_coordinates(&facts), "picker", ps_header_picker(&facts), "result",
                  ps_header_result(&facts), "milliseconds", ps_header_milliseconds(&facts),
                  "columns", ps_header_columns(), "picks", rows(file->result));
    if (!object)
        return ps_fail_memory(error, file->result->count * sizeof(struct ps_pick), "JSON of picks");
    char *text = ps_json_dump(object, PS_JSON_FORMAT);
    json_decref(object);
    if (!text)
        return ps_fail_memory(error, file->result->count * sizeof(struct ps_pick), "JSON text");
    (void)fprintf(stream, "%s\n", text); /* the caller detects an error of the stream */
    free(text);
    return 0;
}

int ps_picks_write_json(const struct ps_pick_file *files, size_t count, FILE *stream,
                        struct ps_error *error)
{
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++)
        status = write_one(&files[i], stream, error);
    return status;
}
