/* Every allocation fails once, in what makes and reads messages and configurations: the result is
 * what it is with enough memory, or PS_E_NOMEM, and never a value that only looks like one. */
#include "base/error.h"
#include "config/config.h"
#include "picks/writers.h"
#include "wire/message.h"
#include "wire/message_read.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0 /* a sanitizer has its own */
#else
#define OWN_MALLOC 1
#endif

/* The allocation that fails; 0: none. Volatile: the compiler takes it that strdup() reads no
 * variable. */
static volatile size_t countdown;
static volatile bool failed;

static bool fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

#if OWN_MALLOC
#pragma GCC visibility push(default) /* libraries use them too */
/* Exported by glibc for those that stand in for malloc(). */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}
#pragma GCC visibility pop
#endif

static size_t common_length(const char *a, const char *b)
{
    size_t length = 0;
    while (a[length] && a[length] == b[length])
        length++;
    return length;
}

/* A stream into memory that has its buffer: 20,000 spaces, written over from the start. */
static FILE *open_text(char **text, size_t *size)
{
    size_t kept = countdown;
    countdown = 0;
    FILE *stream = open_memstream(text, size);
    assert_non_null(stream);
    for (int i = 0; i < 20000; i++)
        (void)fputc(' ', stream);
    rewind(stream);
    countdown = kept;
    return stream;
}

/* Calls `make` once for each of its allocations, which fails. `make` returns a text, to be freed,
 * or NULL with an error. */
static void fail_each(char *(*make)(struct ps_error *error))
{
    struct ps_error error = {0};
    if (!OWN_MALLOC)
        skip();
    char *right = make(&error);
    assert_non_null(right);
    for (size_t number = 1;; number++) {
        error = (struct ps_error){0};
        failed = false;
        countdown = number;
        char *text = make(&error);
        countdown = 0;
        if (!failed) {
            assert_true(number > 3); /* it does allocate */
            free(text);
            break;
        }
        if (!text && error.code != PS_E_NOMEM)
            fail_msg("allocation %zu: %d: %s", number, error.code, error.message);
        size_t same = text ? common_length(text, right) : 0;
        if (text && (text[same] || right[same]))
            fail_msg("allocation %zu: %.80s instead of %.80s", number, text + same, right + same);
        free(text);
    }
    free(right);
}

/* ---- messages -------------------------------------------------------------------------------- */

static struct ps_pick picks[] = {{1.5F, 2.25F, 0.75F, 100.0F}, {1000.125F, 4091.0F, -0.5F, 7.0F}};

static const struct ps_micrograph micrograph = {
    .image = {.width = 5760, .height = 4092, .pixel_size = 0.83},
    .format = "mrc",
    .mode = 12,
    .frames = 1,
    .bytes = 47141504,
};

static const struct ps_result result = {
    .outcome = PS_PICKED,
    .picks = picks,
    .count = 2,
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
    .milliseconds = {[PS_STAGE_SCORE] = 12.5},
};

static int message(struct ps_frames *ret_frames, struct ps_error *error)
{
    const struct ps_outcome_facts facts = {
        .stream = "0d6e8a7c-33d4-4b5c-9a51-0123456789ab",
        .seq = 1234,
        .session = "s1",
        .closed_ns = 1777638896000000000,
        .detected_ns = 1777638896500000000,
        .published_ns = 1777638898250000000,
        .path = "/data/GridSquare_1/x\xff.mrc",
        .name = "GridSquare_1/x\xff.mrc",
        .revision = 2,
        .attempt = 1,
        .width = 5760,
        .height = 4092,
        .micrograph = &micrograph,
        .pixel_size_source = "header",
        .profile = "aspire",
        .parameters = "abc",
        .result = &result,
    };
    return ps_message_picks(&facts, ret_frames, error);
}

static char *make_message(struct ps_error *error)
{
    struct ps_frames frames;
    if (message(&frames, error))
        return NULL;
    size_t kept = countdown;
    countdown = 0;
    char *text = strndup(frames.frame[1].data, frames.frame[1].size);
    countdown = kept;
    assert_int_equal(frames.frame[2].size, sizeof picks);
    ps_frames_done(&frames);
    return text;
}

static char *read_message(struct ps_error *error)
{
    struct ps_frames frames;
    struct ps_outcome_record *record = NULL;
    size_t kept = countdown;
    countdown = 0;
    assert_int_equal(message(&frames, error), 0);
    countdown = kept;
    int status = ps_outcome_record_read(&frames, &record, error);
    kept = countdown;
    countdown = 0;
    char *text = NULL;
    if (status == 0)
        assert_true(asprintf(&text, "%s %s %s %zu %g %g %s", record->name, record->path,
                             record->profile, record->result.count, record->result.score_median,
                             record->result.picks[1].x, record->result.warnings[0]) > 0);
    countdown = kept;
    ps_outcome_record_free(record);
    ps_frames_done(&frames);
    return text;
}

static char *read_envelope(struct ps_error *error)
{
    struct ps_frames frames;
    struct ps_envelope envelope = {0};
    size_t kept = countdown;
    countdown = 0;
    assert_int_equal(message(&frames, error), 0);
    countdown = kept;
    int status = ps_envelope_read(&frames, &envelope, error);
    kept = countdown;
    countdown = 0;
    ps_frames_done(&frames);
    char *text = status == 0 ? strdup(envelope.stream) : NULL;
    countdown = kept;
    return text;
}

/* ---- files of picks -------------------------------------------------------------------------- */

static char *write_json(struct ps_error *error)
{
    struct ps_pick_file file = {
        .path = "/data/x.mrc",
        .name = "x.mrc",
        .width = 5760,
        .height = 4092,
        .micrograph = &micrograph,
        .pixel_size_source = "header",
        .profile = "aspire",
        .result = &result,
    };
    char *text = NULL;
    size_t size = 0, kept;
    FILE *stream = open_text(&text, &size);
    int status = ps_picks_write_json(&file, 1, stream, error);
    kept = countdown;
    countdown = 0;
    (void)fclose(stream);
    countdown = kept;
    if (status == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- configuration --------------------------------------------------------------------------- */

static char *print_config(struct ps_error *error)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)ps_fail_memory(error, 1, "a configuration");
        return NULL;
    }
    int status = ps_config_set(config, "output.formats", "star, box", error);
    if (status == 0)
        status = ps_config_add(config, "input.directories", "/data/with blank", error);
    char *text = NULL;
    size_t size = 0, kept;
    FILE *stream = open_text(&text, &size);
    if (status == 0)
        status = ps_config_print(config, stream, error);
    kept = countdown;
    countdown = 0;
    (void)fclose(stream);
    countdown = kept;
    ps_config_free(config);
    if (status == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void messages_are_made_or_not(void **state)
{
    (void)state;
    fail_each(make_message);
}

static void messages_are_read_or_not(void **state)
{
    (void)state;
    fail_each(read_message);
    fail_each(read_envelope);
}

static void json_files_are_whole_or_refused(void **state)
{
    (void)state;
    fail_each(write_json);
}

static void configurations_are_printed_or_not(void **state)
{
    (void)state;
    fail_each(print_config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_made_or_not),
        cmocka_unit_test(messages_are_read_or_not),
        cmocka_unit_test(json_files_are_whole_or_refused),
        cmocka_unit_test(configurations_are_printed_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
