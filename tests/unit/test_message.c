/* Messages: their bytes, which may change only deliberately.
 *
 * The headers and arrays of messages of every kind are kept in tests/golden/messages, with the
 * version of the program taken out. PICKSTREAM_WRITE_GOLDEN=1 writes them again, and fails,
 * because that is not a test; look at the changes in git: subscribers will see them too.
 */
#include "publish/status.h"
#include "wire/message.h"
#include "wire/preview_message.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/messages/"

/* ---- golden files --------------------------------------------------------------------------- */

/* The header with "VERSION" in the place of the version. To be freed. */
static char *without_version(const struct ps_frame *header)
{
    char *text = strndup(header->data, header->size);
    char version[300];
    (void)snprintf(version, sizeof version, "\"version\":\"%s\"", ps_version());
    char *at = strstr(text, version);
    if (!at)
        fail_msg("no %s in %s", version, text);
    char *copy = NULL;
    assert_true(asprintf(&copy, "%.*s\"version\":\"VERSION\"%s\n", (int)(at - text), text,
                         at + strlen(version)) > 0);
    assert_null(strstr(at + strlen(version), ps_version()));
    free(text);
    return copy;
}

static void compare(const char *name, const char *suffix, const void *data, size_t size)
{
    char path[200];
    (void)snprintf(path, sizeof path, GOLDEN "%s.%s", name, suffix);
    if (getenv("PICKSTREAM_WRITE_GOLDEN")) {
        FILE *stream = fopen(path, "w");
        if (!stream || fwrite(data, 1, size, stream) != size || fclose(stream) != 0)
            fail_msg("cannot write %s", path);
        return;
    }
    FILE *stream = fopen(path, "r");
    if (!stream)
        fail_msg("%s is missing", path);
    char *golden = malloc(size + 1);
    size_t length = fread(golden, 1, size + 1, stream);
    (void)fclose(stream);
    if (length != size || memcmp(golden, data, size) != 0)
        fail_msg("%s: bytes differ, now: %.*s", path, (int)size, (const char *)data);
    free(golden);
}

static void assert_golden(const char *name, const char *topic, const struct ps_frames *frames)
{
    assert_int_equal(frames->frame[0].size, strlen(topic));
    assert_memory_equal(frames->frame[0].data, topic, strlen(topic));
    char *header = without_version(&frames->frame[1]);
    compare(name, "json", header, strlen(header));
    free(header);
    if (frames->count == 3)
        compare(name, "f4", frames->frame[2].data, frames->frame[2].size);
}

/* ---- content -------------------------------------------------------------------------------- */

static struct ps_pick some_picks[] = {
    {1234.5f, 0.25f, 2.125f, 5024.0f}, {17, 4000.75f, 1e-7f, 1}, {2879.5f, 2045.5f, -0.5f, 33.5f}};
enum { SOME = sizeof some_picks / sizeof *some_picks };

static struct ps_micrograph micrograph(void)
{
    return (struct ps_micrograph){
        .image = {.type = PS_PIXEL_F16, .width = 5760, .height = 4092, .pixel_size = 0.83},
        .format = "mrc",
        .mode = 12,
        .frames = 1,
        .bytes = 47141888,
        .warning = "header: pixel size along y differs",
    };
}

static struct ps_result picked(void)
{
    return (struct ps_result){
        .picks = some_picks,
        .count = SOME,
        .truncated = true,
        .unreliable = true,
        .masked = 0.25,
        .expected_false = 1.5,
        .separation = 4.25,
        .score_median = 1e-7,
        .diameter = 216.5,
        .pixel_size = 0.83,
        .unpicked_margin = {99, 100, 101, 102},
        .device = "cpu",
        .warning_count = 1,
        .warnings = {"3 dead columns"},
        .warning_kinds = {PS_WARNING_PIXELS},
        .milliseconds = {[PS_STAGE_UPLOAD] = 1.25, [PS_STAGE_SCORE] = 40, [PS_STAGE_CENTRES] = 2},
    };
}

static struct ps_outcome_facts facts_of(const struct ps_micrograph *read,
                                        const struct ps_result *result)
{
    return (struct ps_outcome_facts){
        .stream = "8d7c4f0e-5d0c-4a3b-9a53-0d2a5e3a9b11",
        .seq = 1234,
        .replaces = 1200,
        .session = "s1",
        .closed_ns = INT64_C(1777638896123456789),
        .detected_ns = INT64_C(1777638896123999999),
        .published_ns = INT64_C(1777638897000000000),
        .path = "/data/GridSquare_1/Data/x \"1\".mrc",
        .name = "GridSquare_1/Data/x \"1\".mrc",
        .revision = 2,
        .attempt = 1,
        .bytes = 47141888,
        .width = read ? read->image.width : 0,
        .height = read ? read->image.height : 0,
        .micrograph = read,
        .pixel_size_source = result && result->pixel_size > 0 ? "header" : NULL,
        .profile = "aspire",
        .parameters = "0123456789abcdef",
        .result = result,
        .read_milliseconds = 8.5,
        .total_milliseconds = 51.75,
    };
}

static void make(const struct ps_outcome_facts *facts, struct ps_frames *ret_frames)
{
    struct ps_error error;
    if (ps_message_picks(facts, ret_frames, &error) != 0)
        fail_msg("%s", error.message);
    assert_int_equal(ret_frames->count, 3);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void picked_message(void **state)
{
    (void)state;
    struct ps_micrograph read = micrograph();
    struct ps_result result = picked();
    struct ps_outcome_facts facts = facts_of(&read, &result);
    struct ps_frames frames;
    make(&facts, &frames);
    assert_golden("picked", "picks", &frames);
    ps_frames_done(&frames);
    assert_int_equal(frames.count, 0);
}

/* P40: no picks are an answer, with an array of no rows. */
static void picked_without_picks(void **state)
{
    (void)state;
    struct ps_micrograph read = micrograph();
    struct ps_result result = picked();
    result.picks = NULL;
    result.count = 0;
    result.truncated = false;
    struct ps_outcome_facts facts = facts_of(&read, &result);
    struct ps_frames frames;
    make(&facts, &frames);
    assert_int_equal(frames.frame[2].size, 0);
    assert_golden("empty", "picks", &frames);
    ps_frames_done(&frames);
}

static void rejected_message(void **state)
{
    (void)state;
    struct ps_micrograph read = micrograph();
    struct ps_result result = {
        .outcome = PS_REJECTED, .reason = "constant: every pixel is 5", .device = "cpu"};
    struct ps_outcome_facts facts = facts_of(&read, &result);
    struct ps_frames frames;
    make(&facts, &frames);
    assert_int_equal(frames.frame[2].size, 0);
    assert_golden("rejected", "picks", &frames);
    ps_frames_done(&frames);
}

static void failed_message(void **state)
{
    (void)state;
    struct ps_outcome_facts facts = facts_of(NULL, NULL);
    facts.failure = "file ends after 1000 of 47141888 bytes";
    facts.attempt = 3;
    facts.total_milliseconds = 8.5;
    struct ps_frames frames;
    make(&facts, &frames);
    assert_int_equal(frames.frame[2].size, 0);
    assert_golden("failed", "picks", &frames);
    ps_frames_done(&frames);
}

/* The metrics have a table and tests of their own. */
static struct ps_status_facts status_facts(void)
{
    static const struct ps_journal_totals totals = {1200, 30, 4, 2, 345678, 5, 3, 38, 12};
    return (struct ps_status_facts){
        .stream = "8d7c4f0e-5d0c-4a3b-9a53-0d2a5e3a9b11",
        .session = "s1",
        .time_ns = INT64_C(1777638897000000000),
        .last_seq = 1234,
        .uptime_seconds = 86400.5,
        .totals = &totals,
        .metrics = json_pack("{s:i}", "seen", 1236),
        .publish_endpoint = "tcp://127.0.0.1:5590",
        .replay_endpoint = "tcp://127.0.0.1:5591",
    };
}

static void status_message(void **state)
{
    (void)state;
    struct ps_error error;
    struct ps_frames frames;
    struct ps_status_facts facts = status_facts();
    assert_int_equal(ps_message_header("status", ps_status_header(&facts), &frames, &error), 0);
    assert_int_equal(frames.count, 2);
    assert_golden("status", "status", &frames);
    ps_frames_done(&frames);

    facts = status_facts();
    facts.stopping = true;
    facts.totals = NULL;
    facts.journal_failure = "disk full";
    facts.last_error_ns = facts.time_ns;
    facts.last_error = "event=journal_failed";
    assert_int_equal(ps_message_header("status", ps_status_header(&facts), &frames, &error), 0);
    assert_golden("status_failing", "status", &frames);
    ps_frames_done(&frames);
}

static void preview_message(void **state)
{
    (void)state;
    const struct ps_preview_facts facts = {.stream = "8d7c4f0e-5d0c-4a3b-9a53-0d2a5e3a9b11",
                                           .seq = 1234,
                                           .session = "s1",
                                           .path = "/data/GridSquare_1/Data/x.mrc",
                                           .name = "GridSquare_1/Data/x.mrc",
                                           .revision = 2,
                                           .width = 4092,
                                           .height = 5760};
    const struct ps_preview preview = {.width = 682, .height = 960, .bin = 6, .size = 400000};
    struct ps_frames frames;
    struct ps_error error;
    assert_int_equal(ps_message_preview(&facts, &preview, &frames, &error), 0);
    assert_int_equal(frames.count, 2);
    assert_memory_equal(frames.frame[0].data, "preview", 7);
    compare("preview", "json", frames.frame[1].data, frames.frame[1].size);
    ps_frames_done(&frames);
}

/* The same facts give the same bytes; numbers that JSON lacks, and names that are no UTF-8, stop
 * nothing. */
static void odd_facts(void **state)
{
    (void)state;
    struct ps_pick odd = {NAN, INFINITY, -INFINITY, 0};
    struct ps_result result = {.picks = &odd, .count = 1, .score_median = NAN};
    struct ps_outcome_facts facts = facts_of(NULL, &result);
    facts.path = "caf\xe9\x01.mrc";
    facts.name = facts.path;
    facts.session = "";
    facts.total_milliseconds = INFINITY;
    struct ps_frames first, second;
    make(&facts, &first);
    make(&facts, &second);
    json_t *header = json_loadb(first.frame[1].data, first.frame[1].size, 0, NULL);
    assert_non_null(header);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(header, "micrograph"), "name")),
        "caf%E9%01.mrc");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(header, "micrograph"), "encoding")),
        "percent");
    json_decref(header);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(first.frame[i].size, second.frame[i].size);
        assert_memory_equal(first.frame[i].data, second.frame[i].data, first.frame[i].size);
    }
    assert_int_equal(first.frame[2].size, 16);
    ps_frames_done(&first);
    ps_frames_done(&second);
}

static void times(void **state)
{
    (void)state;
    char text[PS_TIME_TEXT];
    assert_string_equal(ps_time_text(0, text), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(ps_time_text(INT64_C(1777638896123456789), text),
                        "2026-05-01T12:34:56.123456Z");
    assert_string_equal(ps_time_text(-1, text), "1969-12-31T23:59:59.999999Z");
    assert_string_equal(ps_time_text(INT64_MAX, text), "2262-04-11T23:47:16.854775Z");
    assert_string_equal(ps_time_text(INT64_MIN, text), "1677-09-21T00:12:43.145224Z");
}

/* Everything but where keys are; values as one would write them. */
static void configuration(void **state)
{
    (void)state;
    struct ps_error error;
    struct ps_config *config = ps_config_new();
    assert_int_equal(ps_config_set(config, "picker.particle_diameter", "64px", &error), 0);
    assert_int_equal(ps_config_set(config, "publish.curve_secret_key", "/secret", &error), 0);
    json_t *object = ps_status_configuration(config);
    const json_t *picker = json_object_get(object, "picker");
    assert_string_equal(json_string_value(json_object_get(picker, "particle_diameter")), "64 px");
    const json_t *publish = json_object_get(object, "publish");
    assert_string_equal(json_string_value(json_object_get(publish, "heartbeat_seconds")), "5");
    char *text = json_dumps(object, 0);
    assert_null(strstr(text, "curve"));
    assert_null(strstr(text, "/secret"));
    free(text);
    json_decref(object);
    ps_config_free(config);
}

static void parameters(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        bool decides;
    } cases[] = {
        {"picker.min_score", "0.5", true},   {"picker.classifier", "mixture", true},
        {"input.movies", "sum", true},       {"picker.particle_diameter", "180", true},
        {"compute.threads", "3", false},     {"publish.session", "s2", false},
        {"output.directory", "/tmp", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_error error;
        char before[PS_PARAMETERS_TEXT], after[PS_PARAMETERS_TEXT];
        struct ps_config *config = ps_config_new();
        assert_int_equal(ps_config_parameters(config, before, &error), 0);
        assert_int_equal(strlen(before), PS_PARAMETERS_TEXT - 1);
        assert_int_equal(ps_config_set(config, cases[i].key, cases[i].value, &error), 0);
        assert_int_equal(ps_config_parameters(config, after, &error), 0);
        if ((strcmp(before, after) != 0) != cases[i].decides)
            fail_msg("%s: %s, %s", cases[i].key, before, after);
        ps_config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picked_message),   cmocka_unit_test(picked_without_picks),
        cmocka_unit_test(rejected_message), cmocka_unit_test(failed_message),
        cmocka_unit_test(status_message),   cmocka_unit_test(preview_message),
        cmocka_unit_test(odd_facts),        cmocka_unit_test(times),
        cmocka_unit_test(configuration),    cmocka_unit_test(parameters),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!getenv("PICKSTREAM_WRITE_GOLDEN"))
        return failed;
    (void)fputs(GOLDEN " was written: see what has changed\n", stderr);
    return 1;
}
