/* Messages from the network: what we publish reads back as it was, and nothing else is believed. */
#include "base/error.h"
#include "pickstream_wire.h"
#include "wire/message_read.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char stream[] = "0d6e8a7c-33d4-4b5c-9a51-0123456789ab";

static struct ps_pick picks[] = {{1.5F, 2.25F, 0.75F, 100.0F}, {1000.125F, 4091.0F, -0.5F, 7.0F}};

static struct ps_result picked(void)
{
    struct ps_result result = {
        .outcome = PS_PICKED,
        .picks = picks,
        .count = 2,
        .truncated = true,
        .unreliable = true,
        .masked = 0.25,
        .expected_false = 1.5,
        .separation = 4.25,
        .score_median = 0.125,
        .diameter = 216.5,
        .pixel_size = 0.83,
        .unpicked_margin = {1, 2, 3, 4},
        .device = "cpu",
        .warning_count = 1,
        .warnings = {"carbon"},
        .warning_kinds = {PS_WARNING_MASKED},
        .milliseconds = {[PS_STAGE_SCORE] = 12.5, [PS_STAGE_CENTRES] = 1.25},
    };
    return result;
}

static const struct ps_micrograph micrograph = {
    .image = {.width = 5760, .height = 4092, .pixel_size = 0.83},
    .format = "mrc",
    .mode = 12,
    .frames = 1,
    .bytes = 47141504,
};

static struct ps_outcome_facts facts_of(const struct ps_result *result)
{
    struct ps_outcome_facts facts = {
        .stream = stream,
        .seq = 1234,
        .session = "s1",
        .closed_ns = 1777638896000000000,
        .detected_ns = 1777638896500000000,
        .published_ns = 1777638898250000000,
        .path = "/data/GridSquare_1/x y.mrc",
        .name = "GridSquare_1/x y.mrc",
        .revision = 2,
        .attempt = 1,
        .bytes = 47141504,
        .width = 5760,
        .height = 4092,
        .micrograph = &micrograph,
        .pixel_size_source = "header",
        .profile = "aspire",
        .parameters = "abc",
        .result = result,
        .read_milliseconds = 3.5,
        .total_milliseconds = 20,
    };
    return facts;
}

static struct ps_frames message(const struct ps_outcome_facts *facts)
{
    struct ps_frames frames;
    struct ps_error error;
    if (ps_message_picks(facts, &frames, &error) != 0)
        fail_msg("%s", error.message);
    return frames;
}

static struct ps_outcome_record *read_back(const struct ps_outcome_facts *facts)
{
    struct ps_frames frames = message(facts);
    struct ps_outcome_record *record = NULL;
    struct ps_error error;
    if (ps_outcome_record_read(&frames, &record, &error) != 0)
        fail_msg("%s", error.message);
    struct ps_envelope envelope;
    assert_int_equal(ps_envelope_read(&frames, &envelope, &error), 0);
    assert_int_equal(envelope.type, PS_MESSAGE_PICKS);
    assert_string_equal(envelope.stream, stream);
    assert_int_equal(envelope.seq, 1234);
    assert_int_equal(record->seq, 1234);
    assert_string_equal(record->stream, stream);
    ps_frames_done(&frames);
    return record;
}

static void picks_read_back_as_they_were(void **state)
{
    (void)state;
    struct ps_result result = picked();
    struct ps_outcome_facts facts = facts_of(&result);
    struct ps_outcome_record *record = read_back(&facts);
    assert_int_equal(record->status, PS_OUTCOME_PICKED);
    assert_string_equal(record->path, facts.path);
    assert_string_equal(record->name, facts.name);
    assert_int_equal(record->revision, 2);
    assert_true(fabs(record->latency - 2.25) < 1e-6);
    assert_string_equal(record->reason, "");
    assert_true(record->has_micrograph);
    assert_int_equal(record->micrograph.image.width, 5760);
    assert_int_equal(record->micrograph.image.height, 4092);
    assert_string_equal(record->micrograph.format, "mrc");
    assert_int_equal(record->micrograph.mode, 12);
    assert_int_equal(record->micrograph.bytes, 47141504);
    assert_string_equal(record->pixel_size_source, "header");
    assert_string_equal(record->profile, "aspire");
    assert_true(record->read_milliseconds == 3.5);
    assert_int_equal(record->result.count, 2);
    assert_memory_equal(record->result.picks, picks, sizeof picks);
    assert_true(record->result.truncated);
    assert_true(record->result.unreliable);
    assert_true(record->result.masked == 0.25);
    assert_true(record->result.expected_false == 1.5);
    assert_true(record->result.separation == 4.25);
    assert_true(record->result.score_median == 0.125);
    assert_true(record->result.diameter == 216.5);
    assert_true(record->result.pixel_size == 0.83);
    assert_memory_equal(record->result.unpicked_margin, result.unpicked_margin,
                        sizeof result.unpicked_margin);
    assert_string_equal(record->result.device, "cpu");
    assert_int_equal(record->result.warning_count, 1);
    assert_string_equal(record->result.warnings[0], "carbon");
    assert_int_equal(record->result.warning_kinds[0], PS_WARNING_MASKED);
    assert_non_null(strstr(record->problems, "masked: carbon: "));
    assert_true(record->result.milliseconds[PS_STAGE_SCORE] == 12.5);
    assert_true(record->bytes > sizeof picks);
    ps_outcome_record_free(record);
}

static void no_picks_are_picks(void **state)
{
    (void)state;
    struct ps_result result = picked();
    result.count = 0;
    struct ps_outcome_facts facts = facts_of(&result);
    struct ps_outcome_record *record = read_back(&facts);
    assert_int_equal(record->status, PS_OUTCOME_PICKED);
    assert_int_equal(record->result.count, 0);
    ps_outcome_record_free(record);
}

static void rejected_and_failed_have_reasons(void **state)
{
    (void)state;
    struct ps_result result = {.outcome = PS_REJECTED, .reason = "no signal", .diameter = 64};
    struct ps_outcome_facts facts = facts_of(&result);
    struct ps_outcome_record *record = read_back(&facts);
    assert_int_equal(record->status, PS_OUTCOME_REJECTED);
    assert_int_equal(record->result.outcome, PS_REJECTED);
    assert_string_equal(record->reason, "no signal");
    assert_string_equal(record->result.reason, "no signal");
    ps_outcome_record_free(record);

    facts = facts_of(NULL);
    facts.micrograph = NULL;
    facts.width = facts.height = 0;
    facts.failure = "cut short";
    record = read_back(&facts);
    assert_int_equal(record->status, PS_OUTCOME_FAILED);
    assert_string_equal(record->reason, "cut short");
    assert_false(record->has_micrograph);
    ps_outcome_record_free(record);
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* Sets the value at "micrograph.shape" or "arrays.0.dtype" to JSON text, removes it for NULL. */
static void set(json_t *header, const char *path, const char *text)
{
    json_t *at = header;
    const char *dot;
    for (; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        char key[32] = "";
        memcpy(key, path, (size_t)(dot - path));
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key)) : json_object_get(at, key);
        assert_non_null(at);
    }
    json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(!text || value);
    assert_int_equal(text ? json_object_set_new(at, path, value) : json_object_del(at, path), 0);
}

static void replace_frame(struct ps_frame *frame, const void *data, size_t size)
{
    free(frame->data);
    frame->data = malloc(size ? size : 1); /* exact, so that a sanitizer sees overruns */
    assert_non_null(frame->data);
    if (size)
        memcpy(frame->data, data, size);
    frame->size = size;
}

static struct ps_frames damaged(const char *path, const char *text)
{
    struct ps_result result = picked();
    struct ps_outcome_facts facts = facts_of(&result);
    struct ps_frames frames = message(&facts);
    json_t *header = json_loadb(frames.frame[1].data, frames.frame[1].size, 0, NULL);
    set(header, path, text);
    char *dumped = json_dumps(header, JSON_COMPACT);
    assert_non_null(dumped);
    replace_frame(&frames.frame[1], dumped, strlen(dumped));
    free(dumped);
    json_decref(header);
    return frames;
}

static void assert_refused(struct ps_frames *frames, const char *expected)
{
    struct ps_outcome_record *record = NULL;
    struct ps_error error = {0};
    int status = ps_outcome_record_read(frames, &record, &error);
    ps_frames_done(frames);
    if (status != PS_E_INPUT)
        fail_msg("taken, where \"%s\" is wrong", expected);
    assert_null(record);
    assert_null(strchr(error.message, '\n'));
    if (!strstr(error.message, expected))
        fail_msg("\"%s\" does not name \"%s\"", error.message, expected);
}

static void what_is_wrong_is_refused_and_named(void **state)
{
    (void)state;
    static const struct {
        const char *path, *value, *expected;
    } cases[] = {
        {"schema", "\"pickstream/2\"", "schema"},
        {"schema", NULL, "schema"},
        {"type", "\"status\"", "type"},
        {"type", "\"preview\"", "type"},
        {"type", "7", "type"},
        {"stream", NULL, "stream"},
        {"stream", "\"x\"", "stream"},
        {"stream", "\"0d6e8a7c-33d4-4b5c-9a51-0123456789a\\u001b\"", "stream"},
        {"stream", "\"0d6e8a7c-33d4-4b5c-9a51-0123456789ab0\"", "stream"},
        {"seq", NULL, "seq"},
        {"seq", "0", "seq"},
        {"seq", "-1", "seq"},
        {"seq", "1.0", "seq"},
        {"seq", "\"1\"", "seq"},
        {"time", "[]", "time"},
        {"time.closed", "\"yesterday\"", "time.closed"},
        {"time.closed", "\"2026-05-01T12:34:nanZ\"", "time.closed"},
        {"time.published", "3", "time.published"},
        {"micrograph", NULL, "micrograph"},
        {"micrograph.name", NULL, "micrograph.name"},
        {"micrograph.name", "\"\"", "micrograph.name"},
        {"micrograph.path", "{}", "micrograph.path"},
        {"micrograph.shape", NULL, "micrograph.shape"},
        {"micrograph.shape", "[1]", "micrograph.shape"},
        {"micrograph.shape", "[4092, 0]", "micrograph.shape"},
        {"micrograph.shape", "[4092, -5760]", "micrograph.shape"},
        {"micrograph.shape", "[4092, 4294967297]", "micrograph.shape"},
        {"micrograph.shape", "[\"a\", \"b\"]", "micrograph.shape"},
        {"micrograph.mode", "1e9", "micrograph.mode"},
        {"micrograph.revision", "0", "micrograph.revision"},
        {"micrograph.bytes", "-1", "micrograph.bytes"},
        {"micrograph.pixel_size", "-1", "micrograph.pixel_size"},
        {"coordinates.unpicked_margin", "[1, 2, 3]", "coordinates.unpicked_margin"},
        {"coordinates.unpicked_margin", "[1, 2, 3, -1]", "coordinates.unpicked_margin"},
        {"picker", "\"x\"", "picker"},
        {"picker.device", "1", "picker.device"},
        {"result", NULL, "result"},
        {"result.status", "\"done\"", "result.status"},
        {"result.status", NULL, "result.status"},
        {"result.status", "\"failed\"", "result.count"},
        {"result.count", NULL, "result.count"},
        {"result.count", "-1", "result.count"},
        {"result.count", "3", "shape"},
        {"result.count", "4611686018427387904", "shape"},
        {"result.truncated", "1", "result.truncated"},
        {"result.unreliable", "1", "result.unreliable"},
        {"result.warnings", "{}", "result.warnings"},
        {"result.warnings", "[1]", "result.warnings"},
        {"result.problems", "{}", "result.problems"},
        {"result.problems", "[{\"code\":1}]", "result.problems"},
        {"milliseconds.score", "\"1\"", "milliseconds.score"},
        {"arrays", NULL, "arrays"},
        {"arrays", "{}", "arrays"},
        {"arrays", "[1, null, [], {}, {\"name\": 4}]", "arrays"},
        {"arrays.0.name", "\"other\"", "arrays"},
        {"arrays.0.dtype", "\"<f8\"", "dtype"},
        {"arrays.0.dtype", "\">f4\"", "dtype"},
        {"arrays.0.shape", "[2]", "shape"},
        {"arrays.0.shape", "[2, 4, 1]", "shape"},
        {"arrays.0.shape", "[2, 3]", "columns"},
        {"arrays.0.shape", "[2, 5]", "columns"},
        {"arrays.0.shape", "[2, 4611686018427387904]", "columns"},
        {"arrays.0.columns", "[\"x\", \"y\", \"score\"]", "columns"},
        {"arrays.0.columns", "[\"x\", \"y\", \"score\", \"radius\"]", "columns"},
        {"arrays.0.columns", "[\"x\", \"y\", \"score\", 4]", "columns"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_frames frames = damaged(cases[i].path, cases[i].value);
        assert_refused(&frames, cases[i].expected);
    }
}

static void counts_that_overflow_are_refused(void **state)
{
    (void)state;
    /* 2^60 rows of 16 bytes are 2^64 bytes: 0, if one multiplied. */
    struct ps_frames frames = damaged("result.count", "1152921504606846976");
    json_t *header = json_loadb(frames.frame[1].data, frames.frame[1].size, 0, NULL);
    set(header, "arrays.0.shape", "[1152921504606846976, 4]");
    char *dumped = json_dumps(header, JSON_COMPACT);
    replace_frame(&frames.frame[1], dumped, strlen(dumped));
    replace_frame(&frames.frame[2], "", 0);
    free(dumped);
    json_decref(header);
    assert_refused(&frames, "bytes");
}

static void frames_are_checked(void **state)
{
    (void)state;
    static const unsigned char bytes[64] = {0};
    const size_t sizes[] = {0, 1, 16, 31, 33, 48};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ps_frames frames = damaged("session", "\"s\"");
        replace_frame(&frames.frame[2], bytes, sizes[i]);
        assert_refused(&frames, "bytes");
    }
    struct ps_frames frames = damaged("session", "\"s\"");
    const float nans[8] = {NAN};
    replace_frame(&frames.frame[2], nans, sizeof nans);
    assert_refused(&frames, "finite");

    frames = damaged("session", "\"s\"");
    free(frames.frame[2].data);
    frames.count = 2;
    assert_refused(&frames, "frame");

    frames = damaged("session", "\"s\"");
    replace_frame(&frames.frame[0], "status", 6);
    assert_refused(&frames, "topic");

    frames = damaged("session", "\"s\"");
    replace_frame(&frames.frame[1], "{\"schema\"", 9);
    assert_refused(&frames, "JSON");

    frames = damaged("session", "\"s\"");
    replace_frame(&frames.frame[1], "[]", 2);
    assert_refused(&frames, "JSON");

    frames = damaged("session", "\"s\"");
    char *long_header = malloc(PS_MAX_HEADER + 1);
    assert_non_null(long_header);
    memset(long_header, ' ', PS_MAX_HEADER + 1);
    replace_frame(&frames.frame[1], long_header, PS_MAX_HEADER + 1);
    free(long_header);
    assert_refused(&frames, "header");

    frames = (struct ps_frames){0};
    assert_refused(&frames, "empty");
}

/* ---- a later version ------------------------------------------------------------------------- */

static void what_is_not_known_is_ignored(void **state)
{
    (void)state;
    struct ps_error error;
    struct ps_outcome_record *record = NULL;
    struct ps_frames frames = damaged("micrograph.colour", "{\"red\": [1, 2]}");
    assert_int_equal(ps_outcome_record_read(&frames, &record, &error), 0);
    ps_outcome_record_free(record);
    ps_frames_done(&frames);

    /* Another array before ours, and columns in another order with one more. */
    frames = damaged("arrays", "[{\"name\": \"mask\", \"dtype\": \"<u1\", \"shape\": [3]},"
                               " {\"name\": \"picks\", \"dtype\": \"<f4\", \"shape\": [2, 5],"
                               "  \"columns\": [\"area\", \"angle\", \"score\", \"y\", \"x\"]}]");
    const float rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    frames.count = 4;
    replace_frame(&frames.frame[2], "abc", 3);
    replace_frame(&frames.frame[3], rows, sizeof rows);
    assert_int_equal(ps_outcome_record_read(&frames, &record, &error), 0);
    assert_true(record->result.picks[1].x == 10 && record->result.picks[1].y == 9);
    assert_true(record->result.picks[0].score == 3 && record->result.picks[0].area == 1);
    ps_outcome_record_free(record);
    ps_frames_done(&frames);
}

static void long_texts_are_cut_and_warnings_counted(void **state)
{
    (void)state;
    char reason[700] = "\"";
    for (size_t i = 0; i < 200; i++)
        memcpy(reason + 1 + 3 * i, "\xe2\x82\xac", 3); /* 3 bytes a letter: 255 is one too many */
    (void)strcat(reason, "\"");
    struct ps_frames frames = damaged("result.reason", reason);
    json_t *header = json_loadb(frames.frame[1].data, frames.frame[1].size, 0, NULL);
    set(header, "result.warnings",
        "[\"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\", \"9\", \"10\"]");
    char *dumped = json_dumps(header, JSON_COMPACT);
    replace_frame(&frames.frame[1], dumped, strlen(dumped));
    free(dumped);
    json_decref(header);
    struct ps_outcome_record *record = NULL;
    struct ps_error error;
    assert_int_equal(ps_outcome_record_read(&frames, &record, &error), 0);
    assert_int_equal(strlen(record->reason), 255);
    assert_int_equal(record->result.warning_count, PS_MAX_WARNINGS);
    assert_string_equal(record->result.warnings[PS_MAX_WARNINGS - 1], "8");
    ps_outcome_record_free(record);
    ps_frames_done(&frames);
}

/* ---- other messages -------------------------------------------------------------------------- */

static int envelope_of(const char *topic, const char *header, struct ps_envelope *ret)
{
    struct ps_frames frames = {0};
    if (topic)
        replace_frame(&frames.frame[frames.count++], topic, strlen(topic));
    replace_frame(&frames.frame[frames.count++], header, strlen(header));
    struct ps_error error;
    int status = ps_envelope_read(&frames, ret, &error);
    ps_frames_done(&frames);
    return status;
}

static void status_end_and_errors_are_told_apart(void **state)
{
    (void)state;
    struct ps_envelope envelope = {0};
    char text[200];
    (void)snprintf(text, sizeof text,
                   "{\"schema\":\"pickstream/1\",\"type\":\"status\",\"stream\":\"%s\","
                   "\"last_seq\":7}",
                   stream);
    assert_int_equal(envelope_of("status", text, &envelope), 0);
    assert_int_equal(envelope.type, PS_MESSAGE_STATUS);
    assert_int_equal(envelope.seq, 7);
    assert_int_equal(envelope_of("picks", text, &envelope), PS_E_INPUT);
    assert_int_equal(envelope_of(NULL, "{\"type\":\"end\",\"last_seq\":0}", &envelope), 0);
    assert_int_equal(envelope.type, PS_MESSAGE_END);
    assert_int_equal(envelope.seq, 0);
    assert_int_equal(envelope_of("", "{\"type\":\"end\",\"last_seq\":9}", &envelope), 0);
    assert_int_equal(envelope.seq, 9);
    assert_int_equal(envelope_of(NULL, "{\"type\":\"error\",\"reason\":\"no\"}", &envelope), 0);
    assert_int_equal(envelope.type, PS_MESSAGE_ERROR);
    assert_string_equal(envelope.reason, "no");
    assert_int_equal(envelope_of(NULL, "{\"type\":\"goodbye\"}", &envelope), 0);
    assert_int_equal(envelope.type, PS_MESSAGE_OTHER);
    assert_int_equal(envelope_of(NULL, "{\"type\":\"end\"}", &envelope), PS_E_INPUT);
    assert_int_equal(envelope_of(NULL, "{\"type\":\"end\",\"last_seq\":-1}", &envelope),
                     PS_E_INPUT);
    assert_int_equal(envelope_of("status", "{\"type\":\"status\",\"last_seq\":1}", &envelope),
                     PS_E_INPUT);
    assert_int_equal(envelope_of(NULL, "", &envelope), PS_E_INPUT);
}

static void names_that_lead_out_are_told(void **state)
{
    (void)state;
    const char *const good[] = {"x.mrc", "a/b/x.mrc", "..x", "a/...", ".x", "a b/\xc3\xa4.mrc"};
    const char *const bad[] = {"",     "/etc/x", "..",  "../x", "a/../x",
                               "a/..", ".",      "./x", "a//x", "a/"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(ps_name_is_safe(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ps_name_is_safe(bad[i]));
}

static void wire_header_agrees_with_what_is_published(void **state)
{
    (void)state;
    struct ps_result result = picked();
    struct ps_outcome_facts facts = facts_of(&result);
    struct ps_frames frames = message(&facts);
    json_t *header = json_loadb(frames.frame[PS_WIRE_FRAME_HEADER].data,
                                frames.frame[PS_WIRE_FRAME_HEADER].size, 0, NULL);
    const char *schema, *name, *dtype;
    int rows, columns;
    json_t *names;
    assert_int_equal(json_unpack(header, "{s:s, s:[{s:s, s:s, s:[i, i], s:o}]}", "schema", &schema,
                                 "arrays", "name", &name, "dtype", &dtype, "shape", &rows, &columns,
                                 "columns", &names),
                     0);
    assert_string_equal(schema, PS_WIRE_SCHEMA);
    assert_string_equal(name, PS_WIRE_ARRAY_PICKS);
    assert_string_equal(dtype, PS_WIRE_DTYPE);
    assert_int_equal(columns, PS_WIRE_COLUMNS);
    static const char *const expected[] = PS_WIRE_COLUMN_NAMES;
    for (size_t i = 0; i < PS_WIRE_COLUMNS; i++)
        assert_string_equal(json_string_value(json_array_get(names, i)), expected[i]);
    const struct ps_frame *frame = &frames.frame[PS_WIRE_FRAME_ARRAYS];
    assert_true(ps_wire_value(frame->data, PS_WIRE_COLUMNS, 1, PS_WIRE_Y) == 4091.0F);
    assert_true(ps_wire_value(frame->data, PS_WIRE_COLUMNS, 0, PS_WIRE_AREA) == 100.0F);
    json_decref(header);
    ps_frames_done(&frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_read_back_as_they_were),
        cmocka_unit_test(no_picks_are_picks),
        cmocka_unit_test(rejected_and_failed_have_reasons),
        cmocka_unit_test(what_is_wrong_is_refused_and_named),
        cmocka_unit_test(counts_that_overflow_are_refused),
        cmocka_unit_test(frames_are_checked),
        cmocka_unit_test(what_is_not_known_is_ignored),
        cmocka_unit_test(long_texts_are_cut_and_warnings_counted),
        cmocka_unit_test(status_end_and_errors_are_told_apart),
        cmocka_unit_test(names_that_lead_out_are_told),
        cmocka_unit_test(wire_header_agrees_with_what_is_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
