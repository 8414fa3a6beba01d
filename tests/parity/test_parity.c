/* The CUDA backend against the CPU's, stage by stage and from pixels to picks, on a real GPU or the
 * emulated one.
 *
 *     test_parity            small micrographs
 *     test_parity --large    also those of cameras, which need a real GPU
 */
#include "parity.h"
#include "pair.h"

#include "base/error.h"
#include "picker/adaptive.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool large;

/* ---- stage by stage, and the picks -----------------------------------------------------------
 */

static void compare_stages(const char *profile, const char *diameter, const struct ps_image *image)
{
    struct ps_config *config = parity_config(profile, "cpu", diameter);
    bool is_large = (double)image->width * image->height > 4e6;
    struct ps_picker *pair = pair_picker(config, is_large ? 2 : PS_MAX_ITEMS);
    struct ps_result result = picking_run(pair, image);
    ps_result_done(&result);
    pair_done(pair);
    ps_config_free(config);
}

static void compare_picks(const char *profile, const char *diameter, const struct ps_image *image)
{
    struct ps_picker *cpu = parity_picker(profile, "cpu", diameter);
    struct ps_picker *gpu = parity_picker(profile, "cuda", diameter);
    struct ps_result expected = picking_run(cpu, image);
    struct ps_result result = picking_run(gpu, image);
    parity_assert_agree(&expected, &result);
    ps_result_done(&expected);
    ps_result_done(&result);
    ps_picker_free(cpu);
    ps_picker_free(gpu);
}

static void compare(const char *profile, const char *diameter, const struct ps_image *image)
{
    compare_stages(profile, diameter, image);
    compare_picks(profile, diameter, image);
}

static void compare_size(const char *profile, const struct parity_size *size)
{
    print_message(" %s, %d x %d px, particles of %s\n", profile, size->width, size->height,
                  size->diameter);
    struct test_image source =
        test_image_new(size->width, size->height, strtod(size->diameter, NULL), 2);
    struct ps_image image = test_image_view(&source);
    compare(profile, size->diameter, &image);
    test_image_done(&source);
}

/* Sizes of cameras. */
static const struct parity_size large_sizes[] = {
    {1024, 1024, "40px"},  {1999, 1501, "64px"},  {4096, 4096, "78px"},
    {5760, 4092, "200px"}, {8192, 8192, "150px"},
};

static void compare_sizes(const char *profile, const struct parity_size *sizes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        compare_size(profile, &sizes[i]);
    for (size_t i = 0; large && i < sizeof large_sizes / sizeof *large_sizes; i++)
        compare_size(profile, &large_sizes[i]);
}

/* The smallest size, prime sizes, odd sizes that are not square. */
static void sizes(void **state)
{
    parity_need_gpu();
    static const struct parity_size of_aspire[] = {
        {223, 223, "20px"}, {307, 307, "20px"}, {281, 401, "20px"}};
    static const struct parity_size of_adaptive[] = {
        {16, 16, "8px"}, {47, 47, "8px"}, {45, 61, "9px"}, {90, 101, "40px"}};
    if (*state == &parity_aspire)
        compare_sizes("aspire", of_aspire, sizeof of_aspire / sizeof *of_aspire);
    else
        compare_sizes("adaptive", of_adaptive, sizeof of_adaptive / sizeof *of_adaptive);
}

/* ---- more rows than most axes of a grid can have ----------------------------------------------
 */

static void must(int status, const struct ps_error *error)
{
    if (status)
        fail_msg("%s", error->message);
}

/* Responses of the intensity to a disk, in a part of the image or, if `seed` is not 0, in a null.
 * The caller frees them. */
static float *responses(const struct ps_backend_ops *ops, const struct ps_image *image,
                        double diameter, unsigned seed, size_t *ret_count)
{
    const struct ps_backend_options options = {.threads = 1};
    const struct ps_reduction reduction = {.part = {1, 3, image->width - 1, image->height - 3},
                                           .bin = 1,
                                           .frame_field_px = 2,
                                           .diameter_field_px = diameter,
                                           .max_diameter_field_px = diameter};
    struct ps_batch_item item = {.templates = {ps_adaptive_start(diameter, -1)}, .weights = {1}};
    struct ps_backend *backend;
    struct ps_slot *slot;
    struct ps_pixel_report report;
    struct ps_field field;
    struct ps_error error;
    must(ops->open(&options, &backend, &error), &error);
    must(ops->slot_new(backend, &slot, &error), &error);
    must(ops->upload(slot, image, &report, &error), &error);
    must(ops->adaptive->reduce(slot, &reduction, &field, &error), &error);
    if (seed) {
        must(ops->adaptive->scale(slot, &diameter, 1, &error), &error); /* becomes invalid */
        must(ops->adaptive->randomise(slot, seed, &error), &error);
    }
    must(ops->adaptive->scale(slot, &diameter, 1, &error), &error);
    must(ops->adaptive->respond(slot, &item, 1, &error), &error);
    *ret_count = (size_t)field.width * (size_t)field.height;
    float *values = malloc(*ret_count * sizeof *values);
    assert_non_null(values);
    must(ops->adaptive->fetch(slot, PS_MAP_INTENSITY_MATCH, values, &error), &error);
    ops->slot_free(slot);
    ops->close(backend);
    return values;
}

static void compare_responses(const struct ps_image *image, unsigned seed)
{
    size_t counts[2];
    float *expected = responses(&ps_backend_cpu, image, 3, seed, &counts[0]);
    float *values = responses(&ps_backend_cuda, image, 3, seed, &counts[1]);
    double largest = 0;
    double difference = 0;
    assert_int_equal(counts[0], counts[1]);
    for (size_t i = 0; i < counts[0]; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        difference = fmax(difference, fabs((double)values[i] - (double)expected[i]));
    }
    print_message("  seed %u: largest response %.3g, largest difference %.2g\n", seed, largest,
                  difference);
    assert_true(largest > 0.1 && difference < 2e-5);
    free(expected);
    free(values);
}

static void many_rows(void **state)
{
    (void)state;
    parity_need_gpu();
    const int width = 4;                     /* of which the part leaves 3 */
    const int height = large ? 65543 : 1303; /* most axes of a grid end at 65535 */
    const int count = width * height;
    float *pixels = malloc(sizeof(float) * (size_t)count);
    assert_non_null(pixels);
    uint32_t random = 1;
    for (int i = 0; i < count; i++) {
        random = random * 1664525u + 1013904223u;
        pixels[i] = (float)(random >> 16) / 1300;
    }
    const struct ps_image image = {pixels, PS_PIXEL_F32, width, height, 0};
    for (unsigned seed = 0; seed < 3; seed++)
        compare_responses(&image, seed);
    free(pixels);
}

/* ---- defective images ------------------------------------------------------------------------ */

static void compare_test_image(const struct parity_profile *profile,
                               const struct test_image *source, const char *what)
{
    struct ps_image image = test_image_view(source);
    print_message(" %s, %s\n", profile->name, what);
    compare(profile->name, profile->size.diameter, &image);
}

static void spoiled_pixels(void **state)
{
    parity_need_gpu();
    const struct parity_profile *profile = *state;
    struct test_image source = parity_image(profile);
    for (size_t i = 0; i < test_image_pixels(&source); i += 97)
        source.pixels[i] = i % 2 ? NAN : -INFINITY;
    compare_test_image(profile, &source, "non-finite pixels");
    for (int i = 0; i < source.height; i++)
        for (int c = 0; c < 4; c++)
            *test_image_pixel(&source, (const int[]){0, 40, 41, source.width - 1}[c], i) = 7;
    for (int i = 0; i < source.width; i++)
        *test_image_pixel(&source, i, 33) = NAN;
    *test_image_pixel(&source, 20, 30) = 1e6F;
    compare_test_image(profile, &source, "also dead lines and a hot pixel");
    for (int y = 0; y < source.height; y++)
        for (int x = 0; x < source.width; x++)
            if (x < source.width / 4 || (y > source.height / 2 && y < source.height / 2 + 50))
                *test_image_pixel(&source, x, y) = 0;
    compare_test_image(profile, &source, "also areas without image data");
    test_image_done(&source);
}

static void no_structure(void **state)
{
    parity_need_gpu();
    const struct parity_profile *profile = *state;
    struct test_image source = test_image_flat(profile->size.width, profile->size.height);
    compare_test_image(profile, &source, "a constant image");
    for (size_t i = 0; i < test_image_pixels(&source); i++)
        source.pixels[i] = NAN;
    compare_test_image(profile, &source, "only non-finite pixels");
    test_image_done(&source);
    source = test_image_noise(profile->size.width, profile->size.height);
    compare_test_image(profile, &source, "noise");
    test_image_done(&source);
}

/* Maps and picks consist of rounding errors here, so the backends cannot be compared: the test
 * checks that it ends and repeats. */
static void nearly_no_structure(void **state)
{
    parity_need_gpu();
    const struct parity_profile *profile = *state;
    struct test_image source = test_image_flat(profile->size.width, profile->size.height);
    *test_image_pixel(&source, 30, 25) = 61;
    struct ps_image image = test_image_view(&source);
    struct ps_picker *picker = parity_picker(profile->name, "cuda", profile->size.diameter);
    struct ps_result result = picking_run(picker, &image);
    struct ps_result again = picking_run(picker, &image);
    assert_same_result(&result, &again);
    ps_result_done(&result);
    ps_result_done(&again);
    ps_picker_free(picker);
    test_image_done(&source);
}

int main(int count, char **arguments)
{
    large = count > 1 && strcmp(arguments[1], "--large") == 0;
#define TESTS_OF(profile)                                                                          \
    {"sizes_" #profile, sizes, NULL, NULL, &(profile)},                                            \
        {"spoiled_pixels_" #profile, spoiled_pixels, NULL, NULL, &(profile)},                      \
        {"no_structure_" #profile, no_structure, NULL, NULL, &(profile)},                          \
    {                                                                                              \
        "nearly_no_structure_" #profile, nearly_no_structure, NULL, NULL, &(profile)               \
    }
    const struct CMUnitTest tests[] = {
        TESTS_OF(parity_aspire),
        TESTS_OF(parity_adaptive),
        cmocka_unit_test(many_rows),
    };
    return cmocka_run_group_tests(tests, parity_find_gpu, NULL);
}
