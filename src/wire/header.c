#include "wire/header.h"

#include "base/percent.h"
#include "base/text.h"
#include "base/warning.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *ps_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* A number; null if it is 0, which means unknown. */
static json_t *known(double value)
{
    return value != 0 ? ps_json_number(value) : json_null();
}

json_t *ps_json_known(int64_t value)
{
    return value != 0 ? json_integer((json_int_t)value) : json_null();
}

json_t *ps_json_text(const char *value)
{
    if (!value)
        return json_null();
    if (ps_text_is_utf8(value, strlen(value)))
        return json_string(value);
    char *copy = strdup(value);
    if (!copy)
        return NULL;
    for (char *at = copy; *at; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    json_t *string = json_string(copy);
    free(copy);
    return string;
}

static json_t *encode(const char *text)
{
    char *encoded = ps_percent_encode(text);
    json_t *string = encoded ? json_string(encoded) : NULL;
    free(encoded);
    return string;
}

struct ps_json_names ps_json_names(const char *path, const char *name)
{
    bool plain = (!path || ps_text_is_utf8(path, strlen(path))) &&
                 (!name || ps_text_is_utf8(name, strlen(name)));
    if (plain)
        return (struct ps_json_names){ps_json_text(path), ps_json_text(name), NULL};
    struct ps_json_names names = {path ? encode(path) : json_null(),
                                  name ? encode(name) : json_null(),
                                  json_string(PS_WIRE_ENCODING_PERCENT)};
    if (!names.encoding) { /* NULL would mean that they are not encoded */
        json_decref(names.path);
        names.path = NULL;
    }
    return names;
}

json_t *ps_header_columns(void)
{
    static const char *const names[PS_WIRE_COLUMNS] = PS_WIRE_COLUMN_NAMES;
    json_t *list = json_array();
    for (int i = 0; i < PS_WIRE_COLUMNS; i++) {
        if (json_array_append_new(list, json_string(names[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *ps_header_micrograph(const struct ps_outcome_facts *facts)
{
    const struct ps_micrograph *read = facts->micrograph;
    double pixel_size = facts->result ? facts->result->pixel_size : 0;
    struct ps_json_names names = ps_json_names(facts->path, facts->name);
    return json_pack(
        "{s:o, s:o, s:o*, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "path", names.path, "name",
        names.name, "encoding", names.encoding, "revision", ps_json_known(facts->revision),
        "attempt", ps_json_known(facts->attempt), "bytes", ps_json_known((int64_t)facts->bytes),
        "format", ps_json_text(read ? read->format : NULL), "mode",
        read ? json_integer(read->mode) : json_null(), "shape",
        facts->width ? json_pack("[i, i]", facts->height, facts->width) : json_null(), "frames",
        read ? json_integer(read->frames) : json_null(), "pixel_size", known(pixel_size),
        "pixel_size_source", ps_json_text(facts->pixel_size_source));
}

json_t *ps_header_coordinates(const struct ps_outcome_facts *facts)
{
    const int *margin = facts->result ? facts->result->unpicked_margin : (const int[4]){0};
    return json_pack("{s:s, s:s, s:s, s:[i, i, i, i]}", "origin",
                     "centre of the first stored pixel", "y",
                     "increases with stored row; TIFF rows counted from the bottom, as RELION "
                     "reads them",
                     "unit", "px", "unpicked_margin", margin[0], margin[1], margin[2], margin[3]);
}

/* The diameter in px and, if the pixel size is known, in angstrom. */
json_t *ps_header_picker(const struct ps_outcome_facts *facts)
{
    const struct ps_result none = {0};
    const struct ps_result *result = facts->result ? facts->result : &none;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "version", ps_json_text(ps_version()),
                     "profile", ps_json_text(facts->profile), "diameter",
                     known(result->diameter * result->pixel_size), "diameter_px",
                     known(result->diameter), "parameters", ps_json_text(facts->parameters),
                     "device", ps_json_text(*result->device ? result->device : NULL));
}

const char *ps_header_status(const struct ps_outcome_facts *facts)
{
    if (!facts->result)
        return "failed";
    return facts->result->outcome == PS_REJECTED ? "rejected" : "picked";
}

const char *ps_header_reason(const struct ps_outcome_facts *facts)
{
    if (!facts->result)
        return facts->failure ? facts->failure : "unknown";
    return facts->result->outcome == PS_REJECTED ? facts->result->reason : NULL;
}

/* The reader's warning comes first, then those of the picker. */
static json_t *warnings_of(const struct ps_outcome_facts *facts)
{
    json_t *warnings = json_array();
    int failed = 0;
    if (facts->micrograph && *facts->micrograph->warning)
        failed |= json_array_append_new(warnings, ps_json_text(facts->micrograph->warning));
    for (size_t i = 0; facts->result && i < facts->result->warning_count; i++)
        failed |= json_array_append_new(warnings, ps_json_text(facts->result->warnings[i]));
    if (failed) {
        json_decref(warnings);
        return NULL;
    }
    return warnings;
}

static void add_problem(struct ps_problems *problems, enum ps_warning kind, const char *text)
{
    problems->of[problems->count++] = (struct ps_problem){kind, text};
}

void ps_header_problems(const struct ps_outcome_facts *facts, struct ps_problems *ret_problems)
{
    const struct ps_result *result = facts->result;
    ret_problems->count = 0;
    if (ps_header_reason(facts))
        add_problem(ret_problems, result ? PS_WARNING_REJECTED : PS_WARNING_FAILED,
                    ps_header_reason(facts));
    if (facts->usual_count > 0) {
        (void)snprintf(ret_problems->collapsed, sizeof ret_problems->collapsed,
                       "%zu picks, where the median of the session is %.0f",
                       result ? result->count : 0, facts->usual_count);
        add_problem(ret_problems, PS_WARNING_COLLAPSED, ret_problems->collapsed);
    }
    if (facts->micrograph && *facts->micrograph->warning)
        add_problem(ret_problems, PS_WARNING_FILE, facts->micrograph->warning);
    for (size_t i = 0; result && i < result->warning_count; i++)
        if (result->warning_kinds[i] != PS_WARNING_NONE)
            add_problem(ret_problems, result->warning_kinds[i], result->warnings[i]);
}

/* [{"code", "text", "advice"}, ...] */
static json_t *problems_of(const struct ps_outcome_facts *facts)
{
    struct ps_problems problems;
    json_t *list = json_array();
    int failed = !list;
    ps_header_problems(facts, &problems);
    for (size_t i = 0; i < problems.count && !failed; i++)
        failed = json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "code",
                                                       ps_warning_code(problems.of[i].kind), "text",
                                                       ps_json_text(problems.of[i].text), "advice",
                                                       ps_warning_advice(problems.of[i].kind)));
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

json_t *ps_header_result(const struct ps_outcome_facts *facts)
{
    const struct ps_result *result = facts->result;
    bool any = result && result->count > 0;
    return json_pack("{s:s, s:o, s:I, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "status",
                     ps_header_status(facts), "reason", ps_json_text(ps_header_reason(facts)),
                     "count", any ? (json_int_t)result->count : (json_int_t)0, "truncated",
                     any && result->truncated, "unreliable", result && result->unreliable, "masked",
                     result ? ps_json_number(result->masked) : json_null(), "expected_false",
                     result ? ps_json_number(result->expected_false) : json_null(), "separation",
                     result ? ps_json_number(result->separation) : json_null(), "score_median",
                     any ? ps_json_number(result->score_median) : json_null(), "warnings",
                     warnings_of(facts), "problems", problems_of(facts));
}

json_t *ps_header_milliseconds(const struct ps_outcome_facts *facts)
{
    json_t *object = json_pack("{s:o}", "read", ps_json_number(facts->read_milliseconds));
    int failed = 0;
    for (enum ps_stage i = 0; i < PS_STAGE_COUNT; i++)
        failed |= json_object_set_new(object, ps_stage_name(i),
                                      facts->result ? ps_json_number(facts->result->milliseconds[i])
                                                    : json_null());
    failed |= json_object_set_new(object, "total", ps_json_number(facts->total_milliseconds));
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}
