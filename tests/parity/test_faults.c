/* Failures of a GPU, produced on the emulated one: every call fails once, threads run in other
 * orders. Skipped on a real GPU. */
#include "parity.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if PARITY_EMULATED

struct sample {
    const char *profile;
    struct parity_size size;
    unsigned long retried; /* after a failure of up to this call the picker is used again */
    struct test_image source;
    struct ps_image image;
};
static struct sample aspire = {.profile = "aspire", .size = {340, 340, "20px"}, .retried = 2};
static struct sample adaptive = {.profile = "adaptive", .size = {24, 24, "8px"}, .retried = 1};

static int make_sample(void **state)
{
    struct sample *sample = *state;
    const struct parity_size *size = &sample->size;
    sample->source = test_image_new(size->width, size->height, strtod(size->diameter, NULL), 2);
    sample->image = test_image_view(&sample->source);
    emu_reset();
    return 0;
}

static int drop_sample(void **state)
{
    struct sample *sample = *state;
    test_image_done(&sample->source);
    emu_reset();
    return 0;
}

static void assert_nothing_left(void)
{
    struct emu_live live = emu_live();
    assert_int_equal(live.device, 0);
    assert_int_equal(live.pinned, 0);
    assert_int_equal(live.streams, 0);
    assert_int_equal(live.events, 0);
    assert_int_equal(live.plans, 0);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* Life of one picker. If it ends early, nothing was returned. */
struct attempt {
    int status;
    struct ps_error error;
    struct ps_picker *picker;
    struct ps_result result;
};

static struct attempt attempt(const struct ps_config *config, const struct ps_image *image)
{
    struct attempt a = {.result = {.count = 77}};
    a.status = ps_picker_new(config, &a.picker, &a.error);
    if (a.status == 0)
        a.status = ps_picker_pick(a.picker, image, &a.result, &a.error);
    if (a.status)
        assert_int_equal(a.result.count, 77);
    return a;
}

/* The message names what failed: a call, or memory. */
static void assert_names_cause(const struct ps_error *error)
{
    bool named = strstr(error->message, "cuda") || strstr(error->message, "fft") ||
                 strstr(error->message, "no memory") || strstr(error->message, "launch");
    if (!named)
        fail_msg("\"%s\" does not name what failed", error->message);
}

/* Uses the picker after the failure: if the error is sticky, it returns nothing; else it works. */
static void try_again(struct attempt *failed, const struct ps_image *image,
                      const struct ps_result *expected)
{
    struct ps_error error;
    struct ps_result result = {.count = 77};
    int status = ps_picker_pick(failed->picker, image, &result, &error);
    if (cudaGetLastError() != cudaSuccess) {
        assert_int_equal(status, PS_E_DEVICE);
        assert_int_equal(result.count, 77);
    } else {
        if (status)
            fail_msg("after \"%s\": %s", failed->error.message, error.message);
        assert_same_result(expected, &result);
        ps_result_done(&result);
    }
}

/* Makes the k-th call of a site fail. */
static void fail_call(const struct ps_config *config, const struct sample *sample,
                      const struct ps_result *expected, enum emu_site site, unsigned long k)
{
    emu_reset();
    emu_fail(site, k);
    struct attempt a = attempt(config, &sample->image);
    emu_fail(EMU_SITES, 0);
    if (a.status == 0)
        fail_msg("%s %lu failed, and the picker did not notice", emu_site_name(site), k);
    bool survived = a.picker && cudaGetLastError() == cudaSuccess;
    if (survived ? a.status != PS_E_BUG && a.status != PS_E_NOMEM
                 : a.status != PS_E_DEVICE && a.status != PS_E_NOMEM)
        fail_msg("%s %lu: code %d, %s", emu_site_name(site), k, a.status, a.error.message);
    assert_names_cause(&a.error);
    if (a.picker && k <= sample->retried)
        try_again(&a, &sample->image, expected);
    ps_picker_free(a.picker);
    assert_nothing_left();
}

static void every_failure_is_reported(void **state)
{
    const struct sample *sample = *state;
    struct ps_config *config = parity_config(sample->profile, "cuda", sample->size.diameter);
    unsigned long calls[EMU_SITES];
    emu_fail(EMU_SITES, 0);
    struct attempt good = attempt(config, &sample->image);
    if (good.status)
        fail_msg("%s", good.error.message);
    for (int site = 0; site < EMU_SITES; site++)
        calls[site] = emu_calls((enum emu_site)site);
    ps_picker_free(good.picker);
    for (int site = 0; site < EMU_SITES; site++) {
        unsigned long tried = 0;
        /* Later calls are similar, so fewer of them are tried. */
        for (unsigned long k = 1; k <= calls[site]; k *= 2, tried++)
            fail_call(config, sample, &good.result, (enum emu_site)site, k);
        print_message("  %lu of %lu calls of %s failed\n", tried, calls[site],
                      emu_site_name((enum emu_site)site));
        assert_true(tried > 0);
    }
    ps_result_done(&good.result);
    ps_config_free(config);
}

/* ---- resources ------------------------------------------------------------------------------- */

/* The second micrograph of a size allocates nothing, and nothing uses the default stream. A use of
 * cudaDeviceSynchronize() would not link. */
static void steady_state_allocates_nothing(void **state)
{
    const struct sample *sample = *state;
    struct ps_picker *picker = parity_picker(sample->profile, "cuda", sample->size.diameter);
    struct ps_result first = picking_run(picker, &sample->image);
    struct emu_live before = emu_live();
    emu_fail(EMU_SITES, 0);
    struct ps_result second = picking_run(picker, &sample->image);
    struct emu_live after = emu_live();
    assert_int_equal(emu_calls(EMU_MALLOC), 0);
    assert_int_equal(emu_calls(EMU_CREATE), 0);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(emu_default_stream_uses(), 0);
    print_message("  %lu launches, %lu copies, %lu transforms, %lu waits\n", emu_calls(EMU_LAUNCH),
                  emu_calls(EMU_COPY), emu_calls(EMU_FFT), emu_calls(EMU_SYNC));
    assert_same_result(&first, &second);
    ps_result_done(&first);
    ps_result_done(&second);
    ps_picker_free(picker);
    assert_nothing_left();
}

/* Results do not depend on the order in which threads and blocks run. */
static void order_of_threads_does_not_matter(void **state)
{
    const struct sample *sample = *state;
    const char *const orders[] = {"reverse", "random:1", "random:2"};
    struct ps_picker *picker = parity_picker(sample->profile, "cuda", sample->size.diameter);
    struct ps_result expected = picking_run(picker, &sample->image);
    assert_true(expected.count > 0);
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        emu_order(orders[i]);
        struct ps_result result = picking_run(picker, &sample->image);
        assert_same_result(&expected, &result);
        ps_result_done(&result);
    }
    ps_result_done(&expected);
    ps_picker_free(picker);
}

int main(void)
{
#define TESTS_OF(sample)                                                                           \
    {"steady_state_allocates_nothing_" #sample, steady_state_allocates_nothing, make_sample,       \
     drop_sample, &(sample)},                                                                      \
        {"order_of_threads_does_not_matter_" #sample, order_of_threads_does_not_matter,            \
         make_sample, drop_sample, &(sample)},                                                     \
    {                                                                                              \
        "every_failure_is_reported_" #sample, every_failure_is_reported, make_sample, drop_sample, \
            &(sample)                                                                              \
    }
    const struct CMUnitTest tests[] = {TESTS_OF(aspire), TESTS_OF(adaptive)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void needs_emulation(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(needs_emulation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
