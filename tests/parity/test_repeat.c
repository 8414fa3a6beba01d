/* Picks of the CUDA backend do not depend on the pixel type, on earlier micrographs, or on slots
 * that work at the same time. */
#include "parity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <threads.h>
#include <unistd.h>

#include <cmocka.h>

/* On the emulation a pick of this profile takes seconds, so fewer are made. */
static bool is_slow(const struct parity_profile *profile)
{
    return PARITY_EMULATED && profile == &parity_adaptive;
}

/* ---- pixel types ----------------------------------------------------------------------------- */

static void types_are_alike(void **state)
{
    parity_need_gpu();
    const enum ps_pixel types[] = {PS_PIXEL_F16, PS_PIXEL_I8,  PS_PIXEL_U8,
                                   PS_PIXEL_I16, PS_PIXEL_U16, PS_PIXEL_F32};
    const struct parity_profile *profile = *state;
    /* The same kernel converts the pixels for both profiles. */
    const size_t count = is_slow(profile) ? 2 : sizeof types / sizeof *types;
    struct test_image source = parity_image(profile);
    struct ps_image image = test_image_view(&source);
    struct ps_picker *picker = parity_picker(profile->name, "cuda", profile->size.diameter);
    struct ps_result expected = picking_run(picker, &image);
    assert_true(expected.count > 0);
    for (size_t t = 0; t < count; t++) {
        void *pixels = test_image_pixels_as(&source, types[t]);
        image.pixels = pixels;
        image.type = types[t];
        struct ps_result result = picking_run(picker, &image);
        assert_same_result(&expected, &result);
        ps_result_done(&result);
        free(pixels);
    }
    ps_result_done(&expected);
    ps_picker_free(picker);
    test_image_done(&source);
}

/* ---- repeatability --------------------------------------------------------------------------- */

/* P26 */
static void same_bytes_every_time(void **state)
{
    parity_need_gpu();
    const struct parity_profile *profile = *state;
    struct test_image source = parity_image(profile);
    struct test_image other = test_image_new(source.width + 14, source.height - 3, 8, 3);
    struct ps_image image = test_image_view(&source);
    struct ps_image other_image = test_image_view(&other);
    struct ps_picker *picker = parity_picker(profile->name, "cuda", profile->size.diameter);
    struct ps_result expected = picking_run(picker, &image);
    const int runs = is_slow(profile) ? 3 : PARITY_EMULATED ? 6 : 24;
    for (int i = 1; i < runs; i++) {
        if (i % 4 == 2) { /* another micrograph must leave no trace */
            struct ps_result between = picking_run(picker, &other_image);
            ps_result_done(&between);
        }
        struct ps_result result = picking_run(picker, &image);
        assert_same_result(&expected, &result);
        ps_result_done(&result);
    }
    ps_result_done(&expected);
    ps_picker_free(picker);
    test_image_done(&other);
    test_image_done(&source);
}

enum { SLOTS = 2, MAX_PICKS_EACH = 2 };

struct worker {
    const struct ps_image *image;
    struct ps_picker *picker; /* created by another thread */
    int picks;
    struct ps_result results[MAX_PICKS_EACH];
    int failed;
};

static int work(void *argument)
{
    struct worker *worker = argument;
    for (int i = 0; i < worker->picks; i++)
        worker->failed |= ps_picker_pick(worker->picker, worker->image, &worker->results[i], NULL);
    return 0;
}

/* Picks in several slots at the same time; each result is the expected one. */
static void work_together(const struct parity_profile *profile, const struct ps_image *image,
                          const char *const devices[SLOTS], const struct ps_result *expected)
{
    struct worker workers[SLOTS];
    thrd_t threads[SLOTS];
    for (int t = 0; t < SLOTS; t++) {
        workers[t] =
            (struct worker){.image = image, .picks = is_slow(profile) ? 1 : MAX_PICKS_EACH};
        workers[t].picker = parity_picker(profile->name, devices[t], profile->size.diameter);
    }
    for (int t = 0; t < SLOTS; t++)
        assert_int_equal(thrd_create(&threads[t], work, &workers[t]), thrd_success);
    for (int t = 0; t < SLOTS; t++) {
        (void)thrd_join(threads[t], NULL);
        assert_int_equal(workers[t].failed, 0);
        for (int i = 0; i < workers[t].picks; i++) {
            assert_same_result(expected, &workers[t].results[i]);
            ps_result_done(&workers[t].results[i]);
        }
        ps_picker_free(workers[t].picker);
    }
}

static void slots_side_by_side(void **state)
{
    parity_need_gpu();
    const struct parity_profile *profile = *state;
    struct test_image source = parity_image(profile);
    struct ps_image image = test_image_view(&source);
    struct ps_picker *picker = parity_picker(profile->name, "cuda", profile->size.diameter);
    struct ps_result expected = picking_run(picker, &image);
    ps_picker_free(picker);
    work_together(profile, &image, (const char *[]){"cuda:0", "cuda:0"}, &expected);
    if (ps_cuda_count() > 1)
        work_together(profile, &image, (const char *[]){"cuda:0", "cuda:1"}, &expected);
    ps_result_done(&expected);
    test_image_done(&source);
}

int main(int count, char **arguments)
{
    (void)count;
#if PARITY_EMULATED
    if (!getenv("EMU_DEVICES")) { /* read before main() */
        (void)setenv("EMU_DEVICES", "2", 1);
        (void)execv("/proc/self/exe", arguments);
        return 1;
    }
#else
    (void)arguments;
#endif
#define TESTS_OF(profile)                                                                          \
    {"types_are_alike_" #profile, types_are_alike, NULL, NULL, &(profile)},                        \
        {"same_bytes_every_time_" #profile, same_bytes_every_time, NULL, NULL, &(profile)},        \
    {                                                                                              \
        "slots_side_by_side_" #profile, slots_side_by_side, NULL, NULL, &(profile)                 \
    }
    const struct CMUnitTest tests[] = {TESTS_OF(parity_aspire), TESTS_OF(parity_adaptive)};
    return cmocka_run_group_tests(tests, parity_find_gpu, NULL);
}
