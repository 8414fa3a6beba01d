/* The picker as a program that links the library sees it: same pixels, same picks; odd images,
 * odd settings, and what it says about them. */
#include "accuracy.h"
#include "image/micrograph.h"
#include "picker/picker.h"
#include "pickstream.h"
#include "synth/synth.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- micrographs ----------------------------------------------------------------------------- */

/* Pixels are whole numbers from 0 to 127, which every pixel type holds exactly. */
struct plate {
    int width;
    int height;
    float *pixels;
    struct ps_synth_truth truth;
};

static size_t pixel_count(const struct plate *plate)
{
    return (size_t)plate->width * (size_t)plate->height;
}

static struct plate plate_flat(int width, int height)
{
    struct plate plate = {.width = width, .height = height};
    plate.pixels = malloc(pixel_count(&plate) * sizeof(float));
    assert_non_null(plate.pixels);
    for (size_t i = 0; i < pixel_count(&plate); i++)
        plate.pixels[i] = 60;
    return plate;
}

/* A synthetic micrograph with particles of `diameter` px, far enough apart and clear enough that
 * the profile finds nearly all where it looks. */
static struct plate plate_new(int width, int height, double diameter, uint64_t index)
{
    struct plate plate = plate_flat(width, height);
    struct ps_synth_options options = PS_SYNTH_DEFAULTS;
    options.width = width;
    options.height = height;
    options.diameter = 110;
    options.pixel_size = 110 / diameter;
    options.particles = 0.12 * width * height / (M_PI / 4 * diameter * diameter);
    options.snr = 0.4;
    options.contaminants = 0;
    struct ps_error error;
    if (ps_synth_micrograph(&options, index, plate.pixels, &plate.truth, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < pixel_count(&plate); i++)
        plate.pixels[i] = rintf(fminf(fmaxf(plate.pixels[i], 0), 127));
    return plate;
}

static struct plate plate_noise(int width, int height)
{
    struct plate plate = plate_flat(width, height);
    struct ps_random random = ps_random_new(11, 0, 0);
    for (size_t i = 0; i < pixel_count(&plate); i++)
        plate.pixels[i] += (float)(5 * ps_random_normal(&random));
    return plate;
}

static void plate_done(struct plate *plate)
{
    free(plate->pixels);
    ps_synth_truth_done(&plate->truth);
}

static struct ps_image image_of(const struct plate *plate)
{
    return (struct ps_image){plate->pixels, PS_PIXEL_F32, plate->width, plate->height, 0};
}

static float *pixel(const struct plate *plate, int x, int y)
{
    return &plate->pixels[(size_t)y * (size_t)plate->width + (size_t)x];
}

/* What most tests pick: 1024 x 1024 px, particles of 40 px. */
static struct plate sample;

static int make_sample(void **state)
{
    (void)state;
    sample = plate_new(1024, 1024, 40, 1);
    return 0;
}

static int drop_sample(void **state)
{
    (void)state;
    plate_done(&sample);
    return 0;
}

/* A copy, to be spoiled. */
static struct plate sample_copy(void)
{
    struct plate copy = plate_flat(sample.width, sample.height);
    memcpy(copy.pixels, sample.pixels, pixel_count(&copy) * sizeof *copy.pixels);
    return copy;
}

/* ---- picking --------------------------------------------------------------------------------- */

/* Keys and values in turn, before a NULL. The diameter is 40 px unless it is among them, and
 * references come from 16 containers: as many as of a 2048 x 2048 micrograph. */
enum { MOST_SETTINGS = 9 };
#define SETTINGS(...) ((const char *const[MOST_SETTINGS]){__VA_ARGS__})
#define NO_SETTINGS   SETTINGS(NULL)

static struct ps_config *config_new(const char *const settings[MOST_SETTINGS])
{
    struct ps_error error;
    struct ps_config *config = ps_config_new();
    int status = ps_config_set(config, "picker.particle_diameter", "40px", &error);
    if (status == 0)
        status = ps_config_set(config, "picker.profile", "aspire", &error);
    if (status == 0)
        status = ps_config_set(config, "picker.container_size", "200", &error);
    for (size_t i = 0; settings[i] && status == 0; i += 2)
        status = ps_config_set(config, settings[i], settings[i + 1], &error);
    if (status)
        fail_msg("%s", error.message);
    return config;
}

static struct ps_picker *picker_new(const char *const settings[MOST_SETTINGS])
{
    struct ps_error error;
    struct ps_picker *picker = NULL;
    struct ps_config *config = config_new(settings);
    if (ps_picker_new(config, &picker, &error))
        fail_msg("%s", error.message);
    ps_config_free(config);
    return picker;
}

static struct ps_result pick_with(struct ps_picker *picker, const struct ps_image *image)
{
    struct ps_error error;
    struct ps_result result;
    if (ps_picker_pick(picker, image, &result, &error))
        fail_msg("%s", error.message);
    return result;
}

static struct ps_result pick_image(const struct ps_image *image,
                                   const char *const settings[MOST_SETTINGS])
{
    struct ps_picker *picker = picker_new(settings);
    struct ps_result result = pick_with(picker, image);
    ps_picker_free(picker);
    return result;
}

static struct ps_result pick(const struct plate *plate, const char *const settings[MOST_SETTINGS])
{
    struct ps_image image = image_of(plate);
    return pick_image(&image, settings);
}

/* Whether the results say the same, to the last bit. */
static void assert_same(const struct ps_result *a, const struct ps_result *b)
{
    assert_int_equal(a->outcome, b->outcome);
    assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->count, b->count);
    if (a->count)
        assert_memory_equal(a->picks, b->picks, a->count * sizeof *a->picks);
    assert_memory_equal(&a->score_median, &b->score_median, sizeof a->score_median);
    assert_memory_equal(a->unpicked_margin, b->unpicked_margin, sizeof a->unpicked_margin);
    assert_int_equal(a->warning_count, b->warning_count);
}

/* Share of the picks of `a` that have a pick of `b` within a quarter of 40 px. */
static double share_kept(const struct ps_result *a, const struct ps_result *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++) {
        bool near = false;
        for (size_t j = 0; j < b->count; j++)
            near = near || hypot((double)a->picks[i].x - (double)b->picks[j].x,
                                 (double)a->picks[i].y - (double)b->picks[j].y) <= 10;
        kept += near;
    }
    return (double)kept / (double)a->count;
}

/* The picks against the truth: particles inside the margins are to be found. */
static struct ps_accuracy measure(const struct plate *plate, const struct ps_result *result)
{
    struct ps_points truth = {calloc(plate->truth.count + 1, sizeof *truth.xy), 0};
    struct ps_points outside = {calloc(plate->truth.count + 1, sizeof *truth.xy), 0};
    const int *margin = result->unpicked_margin;
    for (size_t i = 0; i < plate->truth.count; i++) {
        struct ps_centre centre = plate->truth.centres[i];
        bool inside = centre.x >= margin[0] && centre.x <= plate->width - 1 - margin[1] &&
                      centre.y >= margin[2] && centre.y <= plate->height - 1 - margin[3];
        struct ps_points *points = inside ? &truth : &outside;
        points->xy[points->count][0] = centre.x;
        points->xy[points->count][1] = centre.y;
        points->count++;
    }
    struct ps_error error;
    struct ps_accuracy accuracy;
    if (ps_accuracy_measure(result->picks, result->count, &truth, &outside, result->diameter / 4,
                            result->diameter / 4, &accuracy, &error))
        fail_msg("%s", error.message);
    ps_points_done(&truth);
    ps_points_done(&outside);
    return accuracy;
}

static void assert_inside_margins(const struct plate *plate, const struct ps_result *result)
{
    const int *margin = result->unpicked_margin;
    for (size_t i = 0; i < result->count; i++) {
        assert_in_range((int)result->picks[i].x, margin[0], plate->width - 1 - margin[1]);
        assert_in_range((int)result->picks[i].y, margin[2], plate->height - 1 - margin[3]);
    }
}

static void assert_rejected(struct ps_result *result, const char *reason)
{
    assert_int_equal(result->outcome, PS_REJECTED);
    assert_string_equal(result->reason, reason);
    assert_int_equal(result->count, 0);
    ps_result_done(result);
}

/* The image is refused; the result stays as it was. */
static void assert_refused(const struct ps_image *image, const char *const settings[MOST_SETTINGS],
                           const char *message)
{
    struct ps_picker *picker = picker_new(settings);
    struct ps_error error;
    struct ps_result result = {.count = 77};
    assert_int_equal(ps_picker_pick(picker, image, &result, &error), PS_E_INPUT);
    assert_int_equal(error.code, PS_E_INPUT);
    assert_string_equal(error.message, message);
    assert_int_equal(result.count, 77);
    assert_int_equal(ps_picker_pick(picker, image, &result, NULL), PS_E_INPUT);
    ps_picker_free(picker);
}

/* ---- picks ----------------------------------------------------------------------------------- */

static void particles_are_found(void **state)
{
    (void)state;
    struct ps_result result = pick(&sample, NO_SETTINGS);
    struct ps_accuracy accuracy = measure(&sample, &result);
    print_message("  %zu picks, %zu of %zu particles\n", result.count, accuracy.matched,
                  accuracy.truth);
    assert_true(accuracy.truth > 40);
    assert_true(ps_accuracy_recall(&accuracy) > 0.9);
    assert_true(ps_accuracy_precision(&accuracy) > 0.9);
    assert_inside_margins(&sample, &result);
    assert_int_equal(result.outcome, PS_PICKED);
    assert_string_equal(result.reason, "");
    assert_int_equal(result.warning_count, 0);
    assert_false(result.truncated);
    assert_true(result.diameter == 40);
    assert_memory_equal(result.device, "cpu ", 4);
    for (size_t i = 0; i < result.count; i++) {
        /* whole regions of windows, each a few px and no larger than a particle */
        assert_true(result.picks[i].area >= 4 && result.picks[i].area <= 80 * 80);
        assert_true(result.picks[i].x == rintf(result.picks[i].x));
    }
    ps_result_done(&result);
    assert_null(result.picks);
    assert_int_equal(result.count, 0);
    ps_result_done(&result);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    struct ps_result one = pick(&sample, SETTINGS("compute.threads", "1"));
    assert_true(one.count > 10);
    const char *const numbers[] = {"2", "3", "5"};
    for (size_t i = 0; i < 3; i++) {
        struct ps_result more = pick(&sample, SETTINGS("compute.threads", numbers[i]));
        assert_same(&one, &more);
        ps_result_done(&more);
    }
    ps_result_done(&one);
}

/* Larger, smaller, spoiled and refused micrographs in between leave no trace. */
static void the_past_changes_nothing(void **state)
{
    (void)state;
    struct plate others[] = {plate_new(1301, 1200, 40, 5), plate_new(500, 700, 40, 6),
                             plate_flat(800, 800), plate_noise(600, 600), plate_flat(50, 50)};
    struct ps_picker *picker = picker_new(NO_SETTINGS);
    struct ps_image image = image_of(&sample);
    struct ps_result first = pick_with(picker, &image);
    *pixel(&others[1], 250, 250) = NAN;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct ps_image other = image_of(&others[i]);
        struct ps_result result = {0};
        struct ps_error error;
        assert_int_equal(ps_picker_pick(picker, &other, &result, &error),
                         others[i].width == 50 ? PS_E_INPUT : 0);
        ps_result_done(&result);
        struct ps_result again = pick_with(picker, &image);
        assert_same(&first, &again);
        ps_result_done(&again);
        plate_done(&others[i]);
    }
    ps_picker_free(picker);
    struct ps_result fresh = pick(&sample, NO_SETTINGS);
    assert_true(fresh.count > 10);
    assert_same(&first, &fresh);
    ps_result_done(&fresh);
    ps_result_done(&first);
}

/* One number of a pixel type. */
static void store_pixel(enum ps_pixel type, float value, void *pixels, size_t i)
{
    switch (type) {
    case PS_PIXEL_I8:
        ((int8_t *)pixels)[i] = (int8_t)value;
        break;
    case PS_PIXEL_U8:
        ((uint8_t *)pixels)[i] = (uint8_t)value;
        break;
    case PS_PIXEL_I16:
        ((int16_t *)pixels)[i] = (int16_t)value;
        break;
    case PS_PIXEL_U16:
        ((uint16_t *)pixels)[i] = (uint16_t)value;
        break;
    case PS_PIXEL_F16:
        ((uint16_t *)pixels)[i] = ps_float_to_half(value);
        break;
    case PS_PIXEL_F32:
        ((float *)pixels)[i] = value;
        break;
    }
}

static void pixel_types_change_nothing(void **state)
{
    (void)state;
    struct ps_result expected = pick(&sample, NO_SETTINGS);
    void *pixels = malloc(pixel_count(&sample) * sizeof(float));
    for (int type = PS_PIXEL_I8; type <= PS_PIXEL_F32; type++) {
        for (size_t i = 0; i < pixel_count(&sample); i++)
            store_pixel((enum ps_pixel)type, sample.pixels[i], pixels, i);
        struct ps_image image = image_of(&sample);
        image.pixels = pixels;
        image.type = (enum ps_pixel)type;
        struct ps_result result = pick_image(&image, NO_SETTINGS);
        assert_same(&expected, &result);
        ps_result_done(&result);
    }
    free(pixels);
    ps_result_done(&expected);
}

/* Dark particles or bright ones: the profile looks for neither. */
static void contrast_changes_little(void **state)
{
    (void)state;
    struct plate inverted = sample_copy();
    for (size_t i = 0; i < pixel_count(&inverted); i++)
        inverted.pixels[i] = 127 - inverted.pixels[i];
    struct ps_result dark = pick(&sample, NO_SETTINGS);
    struct ps_result bright = pick(&inverted, NO_SETTINGS);
    assert_true(share_kept(&dark, &bright) > 0.9);
    assert_true(share_kept(&bright, &dark) > 0.9);
    ps_result_done(&dark);
    ps_result_done(&bright);
    plate_done(&inverted);
}

/* ---- spoiled pixels -------------------------------------------------------------------------- */

static void expect_picks_in_spite_of(const struct plate *spoiled, const char *const warnings[2])
{
    struct ps_result clean = pick(&sample, NO_SETTINGS);
    struct ps_result result = pick(spoiled, NO_SETTINGS);
    size_t count = warnings[1] ? 2 : 1;
    assert_int_equal(result.warning_count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(result.warnings[i], warnings[i]);
    assert_true(share_kept(&clean, &result) > 0.9);
    assert_true(share_kept(&result, &clean) > 0.9);
    ps_result_done(&clean);
    ps_result_done(&result);
}

static void numbers_that_are_none_are_replaced(void **state)
{
    (void)state;
    struct plate spoiled = sample_copy();
    struct ps_random random = ps_random_new(13, 0, 0);
    const float bad[] = {NAN, INFINITY, -INFINITY, -NAN};
    size_t count = 0;
    while (count < 500) {
        float *value = &spoiled.pixels[ps_random_bits(&random) % pixel_count(&spoiled)];
        if (isfinite(*value))
            *value = bad[count++ % 4];
    }
    expect_picks_in_spite_of(
        &spoiled, (const char *[]){"500 pixels are no finite numbers: replaced by the mean", NULL});
    plate_done(&spoiled);
}

static void dead_lines_are_interpolated(void **state)
{
    (void)state;
    struct plate spoiled = sample_copy();
    const int columns[] = {0, 500, 501, 702, 1023};
    const int rows[] = {333, 1000};
    for (int i = 0; i < 1024; i++) {
        for (size_t c = 0; c < 5; c++)
            *pixel(&spoiled, columns[c], i) = 0;
        for (size_t r = 0; r < 2; r++)
            *pixel(&spoiled, i, rows[r]) = 0;
    }
    expect_picks_in_spite_of(&spoiled,
                             (const char *[]){"5 dead columns, the first at x = 0: interpolated",
                                              "2 dead rows, the first at y = 333: interpolated"});
    plate_done(&spoiled);
}

/* A line of no numbers is a dead line. */
static void lines_of_nan_are_interpolated(void **state)
{
    (void)state;
    struct plate spoiled = sample_copy();
    for (int i = 0; i < 1024; i++)
        *pixel(&spoiled, 512, i) = NAN;
    expect_picks_in_spite_of(
        &spoiled, (const char *[]){"1024 pixels are no finite numbers: replaced by the mean",
                                   "1 dead columns, the first at x = 512: interpolated"});
    plate_done(&spoiled);
}

/* One absurd pixel does not hide the rest. */
static void a_hot_pixel_is_survived(void **state)
{
    (void)state;
    struct plate spoiled = sample_copy();
    *pixel(&spoiled, 600, 400) = 3e38F;
    *pixel(&spoiled, 300, 700) = -3e38F;
    struct ps_result result = pick(&spoiled, NO_SETTINGS);
    for (size_t i = 0; i < result.count; i++)
        assert_true(isfinite(result.picks[i].score));
    ps_result_done(&result);
    plate_done(&spoiled);
}

static void images_without_content_are_rejected(void **state)
{
    (void)state;
    struct plate plate = plate_flat(700, 600);
    struct ps_result result = pick(&plate, NO_SETTINGS);
    assert_rejected(&result, "constant image: every pixel is 60");
    *pixel(&plate, 300, 300) = NAN;
    result = pick(&plate, NO_SETTINGS);
    assert_rejected(&result, "constant image: every pixel is 60");
    for (size_t i = 0; i < pixel_count(&plate); i++)
        plate.pixels[i] = i % 2 ? NAN : INFINITY;
    result = pick(&plate, NO_SETTINGS);
    assert_rejected(&result, "no pixel is a finite number");
    plate_done(&plate);
}

/* Nothing to find, and an end to it. */
static void noise_and_patterns_end(void **state)
{
    (void)state;
    const char *const classifiers[] = {"svm", "naive_bayes", "mixture"};
    struct plate plates[] = {plate_noise(1024, 1024), plate_flat(600, 600), plate_flat(600, 600),
                             plate_flat(600, 600), plate_flat(600, 600)};
    for (int y = 0; y < 600; y++) {
        for (int x = 0; x < 600; x++) {
            *pixel(&plates[1], x, y) = (float)x; /* slopes */
            *pixel(&plates[2], x, y) = (float)(x + y);
            *pixel(&plates[3], x, y) = (float)((x + y) % 2); /* checkers */
            if (x < 50 || y < 50) /* something, but not where picks are looked for */
                *pixel(&plates[4], x, y) = *pixel(&plates[0], x, y);
        }
    }
    for (size_t p = 0; p < sizeof plates / sizeof *plates; p++) {
        for (size_t c = 0; c < 3; c++) {
            struct ps_result result =
                pick(&plates[p], SETTINGS("picker.classifier", classifiers[c]));
            assert_in_range(result.count, 0, 5);
            assert_int_equal(*result.reason != '\0', result.outcome == PS_REJECTED);
            ps_result_done(&result);
        }
        plate_done(&plates[p]);
    }
}

/* ---- the training's end ---------------------------------------------------------------------- */

static void count_training(void *context, const struct ps_stage_view *view)
{
    int *rounds = context;
    *rounds += view->stage == PS_STAGE_TRAIN;
}

/* One example of particle: naive Bayes then sees no other. More examples are taken until it does,
 * beyond tau2 too, where tiles are examples of both. */
static void training_goes_on_until_some_differ(void **state)
{
    (void)state;
    struct ps_picker *picker = picker_new(
        SETTINGS("picker.classifier", "naive_bayes", "picker.tau1", "1", "picker.tau2", "64"));
    struct ps_image image = image_of(&sample);
    struct ps_result result;
    struct ps_error error;
    int rounds = 0;
    if (ps_picker_pick_observed(picker, &image, count_training, &rounds, &result, &error))
        fail_msg("%s", error.message);
    assert_true(rounds > 1);
    assert_true(result.count > 0);
    ps_result_done(&result);
    ps_picker_free(picker);
}

static void training_ends_with_the_list(void **state)
{
    (void)state;
    struct plate small = plate_noise(330, 330);
    struct ps_result result = pick(&small, SETTINGS("picker.classifier", "naive_bayes",
                                                    "picker.tau1", "1", "picker.tau2", "2"));
    assert_rejected(&result, "no contrast: every window is called background");
    plate_done(&small);
    small = plate_noise(247, 247);
    result = pick(&small, NO_SETTINGS);
    assert_rejected(&result, "no contrast: 0 windows to learn particle from, 2 background");
    plate_done(&small);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static void small_images_are_refused(void **state)
{
    (void)state;
    struct plate plate = plate_noise(246, 1000);
    struct ps_image image = image_of(&plate);
    assert_refused(&image, NO_SETTINGS,
                   "too small: 246 x 1000 px, at least 247 x 247 expected for two windows at a "
                   "particle diameter of 40 px");
    image.width = image.height = 1;
    assert_refused(&image, NO_SETTINGS,
                   "too small: 1 x 1 px, at least 247 x 247 expected for two windows at a "
                   "particle diameter of 40 px");
    image.height = 0;
    assert_refused(&image, NO_SETTINGS, "empty image: 1 x 0 px");
    image.height = 1;
    image.pixels = NULL;
    assert_refused(&image, NO_SETTINGS, "empty image: 1 x 1 px");
    plate_done(&plate);
}

static void large_images_are_refused(void **state)
{
    (void)state;
    struct ps_image image = image_of(&sample);
    assert_refused(&image, SETTINGS("compute.max_pixels", "1000000"),
                   "too large: 1024 x 1024 px, at most 1000000 px expected (compute.max_pixels)");
}

static void sizes_may_be_odd_or_prime(void **state)
{
    (void)state;
    const int sizes[][2] = {{1009, 1009}, {1021, 997}, {1001, 1301}, {1024, 1023}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct plate plate = plate_new(sizes[i][0], sizes[i][1], 40, 2 + i);
        struct ps_result result = pick(&plate, NO_SETTINGS);
        struct ps_accuracy accuracy = measure(&plate, &result);
        assert_true(accuracy.truth > 30);
        assert_true(ps_accuracy_recall(&accuracy) > 0.85);
        assert_inside_margins(&plate, &result);
        ps_result_done(&result);
        plate_done(&plate);
    }
}

/* The profile looks at a square at the first corner. Its outermost picks, from the outermost
 * windows of that square: apple-reference sections 2, 3 and 9, for windows of 12 px at half the
 * resolution. */
static void margins_say_where_nothing_is_looked_for(void **state)
{
    (void)state;
    const int sizes[][2] = {{1400, 900}, {900, 1400}, {901, 901}};
    for (size_t i = 0; i < 3; i++) {
        struct plate plate = plate_new(sizes[i][0], sizes[i][1], 40, 7);
        struct ps_result result = pick(&plate, NO_SETTINGS);
        int shorter = sizes[i][0] < sizes[i][1] ? sizes[i][0] : sizes[i][1];
        int side = (shorter - 99 - 100) / 2;
        int last_window = side - 12;
        int last = 99 + 2 * (last_window - 6 + 6);
        assert_int_equal(result.unpicked_margin[0], 99 + 2 * 11);
        assert_int_equal(result.unpicked_margin[2], 99 + 2 * 11);
        assert_int_equal(result.unpicked_margin[1], sizes[i][0] - 1 - last);
        assert_int_equal(result.unpicked_margin[3], sizes[i][1] - 1 - last);
        assert_true(result.count > 20);
        assert_inside_margins(&plate, &result);
        ps_result_done(&result);
        plate_done(&plate);
    }
}

static void large_particles_are_found(void **state)
{
    (void)state;
    struct plate plate = plate_new(2048, 2048, 400, 1);
    struct ps_result result =
        pick(&plate, SETTINGS("picker.particle_diameter", "400px", "picker.container_size", "0"));
    struct ps_accuracy accuracy = measure(&plate, &result);
    print_message("  %zu picks, %zu of %zu particles\n", result.count, accuracy.matched,
                  accuracy.truth);
    assert_true(accuracy.matched >= 1);
    assert_true(ps_accuracy_precision(&accuracy) > 0.5);
    ps_result_done(&result);
    plate_done(&plate);
}

static void an_image_may_be_less_than_a_container(void **state)
{
    (void)state;
    struct plate plate = plate_new(560, 560, 24, 4);
    struct ps_result result =
        pick(&plate, SETTINGS("picker.particle_diameter", "24px", "picker.container_size", "0"));
    struct ps_accuracy accuracy = measure(&plate, &result);
    assert_true(accuracy.matched >= 5);
    assert_true(ps_accuracy_precision(&accuracy) > 0.7);
    ps_result_done(&result);
    plate_done(&plate);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void the_best_scores_come_first(void **state)
{
    (void)state;
    struct ps_result result = pick(&sample, NO_SETTINGS);
    assert_true(result.count > 10);
    for (size_t i = 1; i < result.count; i++)
        assert_true(result.picks[i - 1].score >= result.picks[i].score);
    size_t half = result.count / 2;
    double median =
        result.count % 2
            ? (double)result.picks[half].score
            : ((double)result.picks[half - 1].score + (double)result.picks[half].score) / 2;
    assert_true(result.score_median == median);
    ps_result_done(&result);
}

static void max_picks_keeps_the_best(void **state)
{
    (void)state;
    struct ps_result all = pick(&sample, NO_SETTINGS);
    struct ps_result few = pick(&sample, SETTINGS("picker.max_picks", "7"));
    assert_int_equal(few.count, 7);
    assert_true(few.truncated);
    assert_memory_equal(few.picks, all.picks, 7 * sizeof *few.picks);
    assert_true(few.score_median == (double)all.picks[3].score);
    char number[20];
    (void)snprintf(number, sizeof number, "%zu", all.count);
    struct ps_result enough = pick(&sample, SETTINGS("picker.max_picks", number));
    assert_same(&all, &enough);
    assert_false(enough.truncated);
    ps_result_done(&all);
    ps_result_done(&few);
    ps_result_done(&enough);
}

static void min_score_leaves_out_the_rest(void **state)
{
    (void)state;
    struct ps_result all = pick(&sample, NO_SETTINGS);
    size_t kept = all.count / 2;
    char score[40];
    (void)snprintf(score, sizeof score, "%.9g", (double)all.picks[kept - 1].score);
    struct ps_result some = pick(&sample, SETTINGS("picker.min_score", score));
    assert_in_range(some.count, kept - 1, kept); /* nine digits may round it up */
    assert_memory_equal(some.picks, all.picks, some.count * sizeof *some.picks);
    assert_false(some.truncated);
    struct ps_result none = pick(&sample, SETTINGS("picker.min_score", "1e6"));
    assert_int_equal(none.outcome, PS_PICKED);
    assert_int_equal(none.count, 0);
    assert_true(none.score_median == 0);
    ps_result_done(&all);
    ps_result_done(&some);
    ps_result_done(&none);
}

static void a_diameter_in_angstrom_needs_a_pixel_size(void **state)
{
    (void)state;
    struct ps_image image = image_of(&sample);
    const char *const *angstrom = SETTINGS("picker.particle_diameter", "110");
    const char *const message = "no pixel size in the header, and the diameter is in A: set "
                                "picker.pixel_size, or give the diameter in px";
    assert_refused(&image, angstrom, message);
    image.pixel_size = NAN;
    assert_refused(&image, angstrom, message);
    image.pixel_size = -1;
    assert_refused(&image, angstrom, message);
    image.pixel_size = 2.75;
    struct ps_result expected = pick(&sample, NO_SETTINGS);
    struct ps_result result = pick_image(&image, angstrom);
    assert_same(&expected, &result);
    assert_true(result.diameter == 40);
    assert_true(result.pixel_size == 2.75);
    assert_true(expected.pixel_size == 0);
    ps_result_done(&expected);
    ps_result_done(&result);
}

static void the_configured_pixel_size_wins(void **state)
{
    (void)state;
    struct ps_image image = image_of(&sample);
    const char *const *settings =
        SETTINGS("picker.particle_diameter", "110 A", "picker.pixel_size", "2.75");
    struct ps_result expected = pick(&sample, NO_SETTINGS);
    const struct {
        double header;
        size_t warnings;
    } cases[] = {{0, 0}, {2.75, 0}, {2.76, 0}, {1.0, 1}, {2.8, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        image.pixel_size = cases[i].header;
        struct ps_result result = pick_image(&image, settings);
        assert_int_equal(result.warning_count, cases[i].warnings);
        assert_true(result.pixel_size == 2.75);
        assert_memory_equal(result.picks, expected.picks, expected.count * sizeof *expected.picks);
        if (cases[i].header == 1.0)
            assert_string_equal(result.warnings[0],
                                "pixel size 2.75 A from the configuration, the header says 1 A");
        ps_result_done(&result);
    }
    ps_result_done(&expected);
}

static void absurd_diameters_are_refused(void **state)
{
    (void)state;
    struct ps_image image = image_of(&sample);
    assert_refused(&image, SETTINGS("picker.particle_diameter", "5px"),
                   "a particle diameter of 5 px leaves no window: at least 6 px expected");
    assert_refused(&image, SETTINGS("picker.particle_diameter", "1000px"),
                   "too small: 1024 x 1024 px, at least 1527 x 1527 expected for two windows at a "
                   "particle diameter of 1000 px");
    /* What a header without sense makes of 110 A. */
    image.pixel_size = 1e-12;
    struct ps_picker *picker = picker_new(SETTINGS("picker.particle_diameter", "110"));
    struct ps_error error;
    struct ps_result result;
    assert_int_equal(ps_picker_pick(picker, &image, &result, &error), PS_E_INPUT);
    assert_non_null(strstr(error.message, "too small: 1024 x 1024 px"));
    assert_non_null(strstr(error.message, "particle diameter of 1.1e+14 px"));
    ps_picker_free(picker);
}

static void tau_beyond_the_list_is_refused(void **state)
{
    (void)state;
    struct ps_image image = image_of(&sample);
    assert_refused(&image, SETTINGS("picker.tau1", "100", "picker.tau2", "5000"),
                   "has 4489 windows to rank, fewer than tau1 = 100 or tau2 = 5000: leave them at "
                   "0 for 3 % and 30 %");
}

/* The extremes of the reference's own settings: few picks or none, but an end. */
static void settings_out_of_proportion_end(void **state)
{
    (void)state;
    static const char *const keys[] = {"picker.minimum_overlap_amount", "picker.max_particle_size",
                                       "picker.min_particle_size", "picker.container_size"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        static const char *const values[] = {"1", "100000"};
        for (size_t v = 0; v < 2; v++) {
            struct ps_result result = pick(&sample, SETTINGS(keys[i], values[v]));
            assert_inside_margins(&sample, &result);
            ps_result_done(&result);
        }
    }
    struct ps_image image = image_of(&sample);
    assert_refused(&image, SETTINGS("picker.query_image_size", "100000"),
                   "too small: 1024 x 1024 px, at least 200199 x 200199 expected for two windows "
                   "at a particle diameter of 40 px");
}

static void a_gpu_is_not_in_this_build(void **state)
{
    (void)state;
    static const char *const backends[] = {"cuda", "cuda:1"};
    static const char *const messages[] = {
        "cuda: this build computes on the CPU only; set compute.backend = cpu",
        "cuda:1: this build computes on the CPU only; set compute.backend = cpu"};
    for (size_t i = 0; i < 2; i++) {
        struct ps_config *config = config_new(SETTINGS("compute.backend", backends[i]));
        struct ps_picker *picker = NULL;
        struct ps_error error;
        assert_int_equal(ps_picker_new(config, &picker, &error), PS_E_DEVICE);
        assert_string_equal(error.message, messages[i]);
        assert_null(picker);
        ps_config_free(config);
    }
}

static void settings_must_be_whole(void **state)
{
    (void)state;
    struct ps_config *config = ps_config_new();
    struct ps_picker *picker = NULL;
    struct ps_error error;
    assert_int_equal(ps_picker_new(config, &picker, &error), PS_E_CONFIG);
    assert_non_null(strstr(error.message, "picker.particle_diameter is not set"));
    assert_null(picker);
    ps_config_free(config);
    ps_picker_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(particles_are_found),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(the_past_changes_nothing),
        cmocka_unit_test(pixel_types_change_nothing),
        cmocka_unit_test(contrast_changes_little),
        cmocka_unit_test(numbers_that_are_none_are_replaced),
        cmocka_unit_test(dead_lines_are_interpolated),
        cmocka_unit_test(lines_of_nan_are_interpolated),
        cmocka_unit_test(a_hot_pixel_is_survived),
        cmocka_unit_test(images_without_content_are_rejected),
        cmocka_unit_test(noise_and_patterns_end),
        cmocka_unit_test(training_goes_on_until_some_differ),
        cmocka_unit_test(training_ends_with_the_list),
        cmocka_unit_test(small_images_are_refused),
        cmocka_unit_test(large_images_are_refused),
        cmocka_unit_test(sizes_may_be_odd_or_prime),
        cmocka_unit_test(margins_say_where_nothing_is_looked_for),
        cmocka_unit_test(large_particles_are_found),
        cmocka_unit_test(an_image_may_be_less_than_a_container),
        cmocka_unit_test(the_best_scores_come_first),
        cmocka_unit_test(max_picks_keeps_the_best),
        cmocka_unit_test(min_score_leaves_out_the_rest),
        cmocka_unit_test(a_diameter_in_angstrom_needs_a_pixel_size),
        cmocka_unit_test(the_configured_pixel_size_wins),
        cmocka_unit_test(absurd_diameters_are_refused),
        cmocka_unit_test(tau_beyond_the_list_is_refused),
        cmocka_unit_test(settings_out_of_proportion_end),
        cmocka_unit_test(a_gpu_is_not_in_this_build),
        cmocka_unit_test(settings_must_be_whole),
    };
    return cmocka_run_group_tests(tests, make_sample, drop_sample);
}
