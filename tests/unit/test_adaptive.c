/* The adaptive profile from inside: its stages on the CPU against plain loops over small fields,
 * and its decisions. tests/integration/test_adaptive.py has what users see. */
#include "backend/cpu/adaptive.h"
#include "picker/adaptive_search.h"
#include "synth/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 75, HEIGHT = 61, PIXELS = WIDTH * HEIGHT, READ_PAST_END = 64 };

/* ---- a slot with a field ----------------------------------------------------------------------
 */

/* Those that the machine has take turns. */
static const struct ps_simd *instruction_set;

struct bed {
    struct ps_backend *backend;
    struct cpu_slot *slot;
};

static struct bed bed_new(int threads)
{
    struct ps_error error;
    struct bed bed = {0};
    struct ps_slot *slot = NULL;
    struct ps_backend_options options = {.threads = threads};
    if (ps_backend_cpu.open(&options, &bed.backend, &error) ||
        ps_backend_cpu.slot_new(bed.backend, &slot, &error))
        fail_msg("%s", error.message);
    bed.slot = (struct cpu_slot *)slot;
    bed.slot->simd = instruction_set;
    struct cpu_adaptive *a = cpu_adaptive_of(bed.slot, &error);
    assert_non_null(a);
    a->field = (struct ps_field){.width = WIDTH, .height = HEIGHT, .unmasked = PIXELS};
    return bed;
}

static void bed_done(struct bed *bed)
{
    ps_backend_cpu.slot_free(&bed->slot->base);
    ps_backend_cpu.close(bed->backend);
}

static float *noise(uint64_t seed)
{
    struct ps_random random = ps_random_new(seed, 0, 0);
    float *values = malloc((PIXELS + READ_PAST_END) * sizeof *values);
    for (int i = 0; i < PIXELS; i++)
        values[i] = (float)ps_random_normal(&random);
    return values;
}

static void check(int status, const struct ps_error *error)
{
    if (status)
        fail_msg("%s", error->message);
}

static double largest_difference(const float *a, const double *b, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)a[i] - b[i]));
    return largest;
}

/* ---- filters ----------------------------------------------------------------------------------
 */

static float mirrored(const float *values, int x, int y)
{
    return values[ps_mirror(y, HEIGHT) * WIDTH + ps_mirror(x, WIDTH)];
}

static void lines_go_on_as_their_mirror_image(void **state)
{
    (void)state;
    const int expected[] = {2, 1, 0, 0, 1, 2, 2, 1, 0, 0};
    for (int i = -3; i < 7; i++)
        assert_int_equal(ps_mirror(i, 3), expected[i + 3]);
    assert_int_equal(ps_mirror(-5, 1), 0);
}

/* Widths up to more than the field has. */
static void boxes_are_means(void **state)
{
    (void)state;
    struct bed bed = bed_new(3);
    struct ps_error error;
    float *in = noise(1);
    float *out = malloc(PIXELS * sizeof *out);
    double *expected = malloc(PIXELS * sizeof *expected);
    assert_int_equal(ps_box_side(4.9), 5);
    assert_int_equal(ps_box_side(5.9), 5);
    assert_int_equal(ps_box_side(6), 7);
    const int sides[] = {1, 3, 13, 61, 151};
    for (size_t k = 0; k < sizeof sides / sizeof *sides; k++) {
        int r = sides[k] / 2;
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                double sum = 0;
                for (int v = -r; v <= r; v++)
                    for (int u = -r; u <= r; u++)
                        sum += (double)mirrored(in, x + u, y + v);
                expected[y * WIDTH + x] = sum / sides[k] / sides[k];
            }
        }
        check(bed.slot->simd->adaptive->box(bed.slot, in, sides[k], out, &error), &error);
        assert_true(largest_difference(out, expected, PIXELS) < 1e-6);
    }
    memcpy(out, in, PIXELS * sizeof *out);
    check(bed.slot->simd->adaptive->box(bed.slot, out, 151, out, &error), &error); /* in place */
    assert_true(largest_difference(out, expected, PIXELS) < 1e-6);
    free(expected);
    free(out);
    free(in);
    bed_done(&bed);
}

static void gaussians_are_weighted_means(void **state)
{
    (void)state;
    struct bed bed = bed_new(2);
    struct ps_error error;
    float *in = noise(2);
    float *out = malloc(PIXELS * sizeof *out);
    double *expected = malloc(PIXELS * sizeof *expected);
    const double sigmas[] = {0.3, 1.7, 6.2};
    for (size_t k = 0; k < sizeof sigmas / sizeof *sigmas; k++) {
        int r = (int)(4 * sigmas[k] + 0.5);
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                double sum = 0;
                double weights = 0;
                for (int v = -r; v <= r; v++) {
                    for (int u = -r; u <= r; u++) {
                        double w = exp(-0.5 * (u * u + v * v) / sigmas[k] / sigmas[k]);
                        sum += w * (double)mirrored(in, x + u, y + v);
                        weights += w;
                    }
                }
                expected[y * WIDTH + x] = sum / weights;
            }
        }
        check(bed.slot->simd->adaptive->gauss(bed.slot, in, sigmas[k], out, &error), &error);
        assert_true(largest_difference(out, expected, PIXELS) < 2e-6);
    }
    free(expected);
    free(out);
    free(in);
    bed_done(&bed);
}

static void squares_erode_and_dilate(void **state)
{
    (void)state;
    struct bed bed = bed_new(2);
    struct ps_error error;
    struct ps_random random = ps_random_new(3, 0, 0);
    uint8_t in[PIXELS];
    uint8_t out[PIXELS];
    for (int erode = 0; erode < 2; erode++) {
        for (int i = 0; i < PIXELS; i++)
            in[i] = ps_random_bits(&random) % 40 == 0 ? !erode : erode;
        check(bed.slot->simd->adaptive->square(bed.slot, in, 7, erode, out, &error), &error);
        int set = 0;
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                bool any = false;
                bool all = true;
                for (int v = y - 3 > 0 ? y - 3 : 0; v <= y + 3 && v < HEIGHT; v++) {
                    for (int u = x - 3 > 0 ? x - 3 : 0; u <= x + 3 && u < WIDTH; u++) {
                        any |= in[v * WIDTH + u];
                        all &= in[v * WIDTH + u];
                    }
                }
                assert_int_equal(out[y * WIDTH + x], erode ? all : any);
                set += out[y * WIDTH + x];
            }
        }
        assert_in_range(set, PIXELS / 10, PIXELS * 9 / 10);
    }
    bed_done(&bed);
}

/* ---- medians ----------------------------------------------------------------------------------
 */

static int ascending(const void *left, const void *right)
{
    float a = *(const float *)left;
    float b = *(const float *)right;
    return (a > b) - (a < b);
}

static void medians_are_exact(void **state)
{
    (void)state;
    struct bed bed = bed_new(3);
    struct ps_error error;
    float *values = noise(4);
    uint8_t mask[PIXELS];
    float *sorted = malloc(PIXELS * sizeof *sorted);
    for (int trial = 0; trial < 4; trial++) {
        size_t count = 0;
        for (int i = 0; i < PIXELS; i++) {
            mask[i] = trial < 2 || i % (trial + 1) == 0;
            if (trial == 1)
                values[i] = (float)(i % 3) - 1; /* many equal ones, both zeros */
            if (mask[i])
                sorted[count++] = values[i];
        }
        qsort(sorted, count, sizeof *sorted, ascending);
        double median = 0;
        double deviation = 0;
        check(bed.slot->simd->adaptive->spread(bed.slot, values, mask, &median, &deviation, &error),
              &error);
        assert_true((float)median == sorted[(count - 1) / 2]);
        for (size_t i = 0; i < count; i++)
            sorted[i] = fabsf(sorted[i] - (float)median);
        qsort(sorted, count, sizeof *sorted, ascending);
        assert_true(fabs(deviation - 1.4826 * (double)sorted[(count - 1) / 2]) < 1e-9);
    }
    memset(mask, 0, sizeof mask);
    double nothing = 7;
    check(bed.slot->simd->adaptive->median(bed.slot, values, mask, NULL, &nothing, &error), &error);
    assert_true(nothing == 0);
    free(sorted);
    free(values);
    bed_done(&bed);
}

/* ---- from the micrograph to the picks ---------------------------------------------------------
 */

enum { SIDE = 300, BIN = 2 };

/* Dark disks 40 px wide in noise: after binning, 20. */
static void draw_micrograph(float *pixels, double (*centres)[2], int count)
{
    struct ps_random random = ps_random_new(9, 0, 0);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            float value = (float)(0.5 * ps_random_normal(&random));
            for (int i = 0; i < count; i++)
                value -= hypot(x - centres[i][0], y - centres[i][1]) < 20 ? 1 : 0;
            pixels[y * SIDE + x] = 100 + value;
        }
    }
}

static struct ps_field reduce(struct bed *bed, int frame)
{
    static double centres[][2] = {{60, 60},   {150.5, 80}, {230, 70},  {70, 200},
                                  {180, 210}, {250, 181},  {120, 140}, {4, 130}};
    float *pixels = malloc(SIDE * SIDE * sizeof *pixels);
    draw_micrograph(pixels, centres, 8);
    struct ps_image image = {pixels, PS_PIXEL_F32, SIDE, SIDE, 0};
    struct ps_pixel_report report;
    struct ps_error error;
    struct ps_field field;
    struct ps_reduction reduction = {.bin = BIN,
                                     .frame_field_px = frame,
                                     .diameter_field_px = 20,
                                     .max_diameter_field_px = 20,
                                     .mask = true};
    check(ps_backend_cpu.upload(&bed->slot->base, &image, &report, &error), &error);
    check(ps_adaptive_cpu.reduce(&bed->slot->base, &reduction, &field, &error), &error);
    free(pixels);
    return field;
}

/* Correlation coefficient over the part of the disk that lies in the image, times the root of that
 * part's share. What is left of the template's norm counts as a tenth at least. */
static double plain_response(const struct cpu_adaptive *a, const float *image,
                             const struct ps_radial *radial, int x, int y)
{
    double n = 0;
    double all = 0;
    double whole1 = 0; /* of the whole template */
    double whole2 = 0;
    double t1 = 0;
    double t2 = 0;
    double x1 = 0;
    double x2 = 0;
    double both = 0;
    for (int v = -a->reach; v <= a->reach; v++) {
        for (int u = -a->reach; u <= a->reach; u++) {
            if (hypot(u, v) > PS_TEMPLATE_REACH * a->diameter_field_px)
                continue;
            int ring = (int)rint(hypot(u, v));
            double t = radial->values[ring < radial->count ? ring : radial->count - 1];
            all += 1;
            whole1 += t;
            whole2 += t * t;
            int frame = a->field.frame_field_px;
            if (x + u < frame || x + u >= a->field.width - frame || y + v < frame ||
                y + v >= a->field.height - frame)
                continue;
            double value = (double)image[(y + v) * a->field.width + x + u];
            n += 1;
            t1 += t;
            t2 += t * t;
            x1 += value;
            x2 += value * value;
            both += t * value;
        }
    }
    double least = 0.1 * (whole2 - whole1 * whole1 / all);
    return (both - t1 * x1 / n) / sqrt(fmax(t2 - t1 * t1 / n, least) * (x2 - x1 * x1 / n)) *
           sqrt(n / all);
}

static void responses_are_correlation_coefficients(void **state)
{
    (void)state;
    struct bed bed = bed_new(2);
    struct ps_error error;
    struct ps_field field = reduce(&bed, 5);
    assert_int_equal(field.width, SIDE / BIN + 10);
    assert_int_equal(field.unmasked, (SIDE / BIN) * (SIDE / BIN));
    struct cpu_adaptive *a = bed.slot->adaptive;
    const double diameter = 20;
    check(ps_adaptive_cpu.scale(&bed.slot->base, &diameter, 1, &error), &error);
    struct ps_radial templates[PS_CHANNELS] = {ps_adaptive_start(20, -1), {.count = 0}};
    for (int r = 0; r < templates[0].count; r++)
        templates[0].values[r] += 0.01 * r * r;
    size_t count = (size_t)field.width * (size_t)field.height;
    double *expected = malloc(count * sizeof *expected);
    float *plain = malloc((count + READ_PAST_END) * sizeof *plain);
    const float *image = a->channel[PS_CHANNEL_INTENSITY].data;
    for (int y = 0; y < field.height; y++)
        for (int x = 0; x < field.width; x++)
            plain[y * field.width + x] = (float)plain_response(a, image, &templates[0], x, y);
    check(bed.slot->simd->adaptive->gauss(bed.slot, plain, 2, plain, &error),
          &error); /* a tenth of the diameter */
    for (size_t i = 0; i < count; i++)
        expected[i] = (double)plain[i];
    bool flat = true;
    check(bed.slot->simd->adaptive->respond(bed.slot, templates, &flat, &error), &error);
    assert_false(flat);
    double difference = largest_difference(a->work.response[0].data, expected, count);
    print_message("  largest difference %.2g\n", difference);
    assert_true(difference < 2e-5);
    for (int r = 0; r < templates[0].count; r++)
        templates[0].values[r] = 3;
    check(bed.slot->simd->adaptive->respond(bed.slot, templates, &flat, &error), &error);
    assert_true(flat);
    free(expected);
    free(plain);
    bed_done(&bed);
}

static void peaks_are_the_particles(void **state)
{
    (void)state;
    for (int threads = 1; threads < 4; threads++) {
        struct bed bed = bed_new(threads);
        struct ps_slot *slot = &bed.slot->base;
        struct ps_error error;
        struct ps_field field = reduce(&bed, 5);
        const double diameter = 20;
        check(ps_adaptive_cpu.scale(slot, &diameter, 1, &error), &error);
        struct ps_batch_item item = {
            .templates = {ps_adaptive_start(20, -1)}, .weights = {2, 0}, .distance_field_px = 14};
        check(ps_adaptive_cpu.respond(slot, &item, 1, &error), &error);
        check(ps_adaptive_cpu.peaks(slot, &item, 1, &error), &error);
        struct ps_peak *peaks = item.peaks;
        size_t count = item.peak_count;
        assert_true(count > 10);
        static struct ps_peak first[8];
        if (first[0].value == 0)
            memcpy(first, peaks, sizeof first);
        assert_memory_equal(first, peaks, sizeof first); /* whatever threads and instructions */
        bool border = false;
        double(*centres)[2] = malloc(count * sizeof *centres);
        check(ps_adaptive_cpu.locate(slot, peaks, count, centres, &error), &error);
        for (size_t i = 0; i < count; i++) {
            assert_true(i == 0 || peaks[i].value <= peaks[i - 1].value);
            for (size_t k = 0; k < i; k++)
                assert_true(hypot(peaks[i].x - peaks[k].x, peaks[i].y - peaks[k].y) > 14);
            double x = (centres[i][0] - field.frame_field_px + 0.5) * BIN - 0.5;
            double y = (centres[i][1] - field.frame_field_px + 0.5) * BIN - 0.5;
            assert_true(fabs(centres[i][0] - peaks[i].x) <= 0.5);
            border |= i < 8 && hypot(x - 4, y - 130) < 4;
        }
        assert_true(border);
        assert_true(peaks[7].value > peaks[8].value + 2);
        struct ps_radial profiles[PS_CHANNELS];
        check(bed.slot->simd->adaptive->average(bed.slot, peaks, 8, profiles, &error), &error);
        assert_int_equal(profiles[0].count, 16);
        assert_true(profiles[0].values[0] < -0.5 && profiles[0].values[5] < -0.5);
        assert_true(profiles[0].values[13] > profiles[0].values[5] + 0.5);
        free(centres);
        free(peaks);
        bed_done(&bed);
    }
}

/* ---- decisions --------------------------------------------------------------------------------
 */

static struct ps_peak *two_populations(size_t lower, size_t upper, double distance)
{
    struct ps_random random = ps_random_new(21, 0, 0);
    double *values = malloc((lower + upper) * sizeof *values);
    for (size_t i = 0; i < lower + upper; i++)
        values[i] = ps_random_normal(&random) * 0.7 + 1.5 + (i < lower ? 0 : distance);
    struct ps_peak *peaks = calloc(lower + upper, sizeof *peaks);
    for (size_t i = 0; i < lower + upper; i++) { /* best first */
        size_t rank = 0;
        for (size_t k = 0; k < lower + upper; k++)
            rank += values[k] > values[i];
        peaks[rank].value = (float)values[i];
    }
    free(values);
    return peaks;
}

static void examples_are_bounded(void **state)
{
    (void)state;
    struct ps_peak *peaks = two_populations(300, 100, 5);
    assert_int_equal(ps_adaptive_examples(peaks, 400, 500), 50);   /* a tenth */
    assert_int_equal(ps_adaptive_examples(peaks, 400, 3000), 100); /* those that stand out */
    assert_int_equal(ps_adaptive_examples(peaks, 400, 10), 20);
    assert_int_equal(ps_adaptive_examples(peaks, 5, 500), 5);
    free(peaks);
}

static void the_channel_that_tells_weighs(void **state)
{
    (void)state;
    float intensity[] = {0.5F, 0.6F, 0.7F, 0.6F};
    float energy[] = {0.1F, -0.1F, 0.05F, -0.05F};
    const float *const responses[] = {intensity, energy};
    struct ps_response_moments moments = {{0, 0}, {{0.01, 0}, {0, 0.01}}};
    double weights[2];
    ps_adaptive_weights(responses, 4, &moments, weights);
    assert_true(weights[0] > 10 * fabs(weights[1]) && weights[1] >= 0);
    moments.mean[0] = moments.mean[1] = 5; /* both speak against it */
    ps_adaptive_weights(responses, 4, &moments, weights);
    assert_true(weights[0] == 1 && weights[1] == 1);
}

static struct ps_peak window(double mean, double deviation)
{
    return (struct ps_peak){.mean = (float)mean, .deviation = (float)deviation};
}

static void windows_stand_out(void **state)
{
    (void)state;
    struct ps_peak peaks[40];
    for (int i = 0; i < 40; i++)
        peaks[i] = window(-0.2 + 0.01 * (i % 7), 1 + 0.01 * (i % 5));
    struct ps_window_range range = ps_adaptive_range(peaks, 40, 6);
    for (int i = 0; i < 40; i++)
        assert_false(ps_adaptive_stands_out(&range, &peaks[i]));
    const struct ps_peak dark = window(-0.5, 0.9);
    const struct ps_peak bright = window(0.3, 1);
    const struct ps_peak rich = window(-0.2, 1.4);
    const struct ps_peak poor = window(-0.2, 0.1);
    const struct ps_peak far = window(-100, 10);
    assert_true(ps_adaptive_stands_out(&range, &dark));
    assert_true(ps_adaptive_stands_out(&range, &bright));
    assert_true(ps_adaptive_stands_out(&range, &rich));
    assert_false(ps_adaptive_stands_out(&range, &poor));
    range = ps_adaptive_range(peaks, 40, 0);
    assert_false(ps_adaptive_stands_out(&range, &far));
    range = ps_adaptive_range(peaks, PS_FEWEST_WINDOWS - 1, 6);
    assert_false(ps_adaptive_stands_out(&range, &far));
}

static void probabilities_follow_the_evidence(void **state)
{
    (void)state;
    struct ps_evidence evidence = {.local_false = 0.3, .separation = 5};
    double last = 0;
    for (double height = -3; height < 6; height += 0.5) {
        evidence.height = height;
        double p = ps_adaptive_probability(&evidence, true);
        assert_true(p > last && p < 1);
        assert_true(ps_adaptive_probability(&evidence, false) <= 0.25);
        last = p;
    }
    evidence.local_false = 0.9;
    assert_true(ps_adaptive_probability(&evidence, true) < last);
    evidence = (struct ps_evidence){.local_false = 0.3, .height = 1, .separation = 2};
    double faint = ps_adaptive_probability(&evidence, true);
    evidence.separation = 6;
    assert_true(ps_adaptive_probability(&evidence, true) > faint + 0.1);
    evidence.local_false = 0;
    assert_true(ps_adaptive_probability(&evidence, true) > 0.95);
}

static void small_fields_take_more_noise(void **state)
{
    (void)state;
    assert_int_equal(ps_adaptive_nulls(&ps_adaptive_rules, 2000), 1);
    assert_int_equal(ps_adaptive_nulls(&ps_adaptive_rules, 300), 2);
    assert_int_equal(ps_adaptive_nulls(&ps_adaptive_rules, 10), ps_adaptive_rules.nulls);
}

/* The same spectrum, another picture, the same at every run; other seeds make other noise. */
static void noise_has_the_spectrum_of_the_field(void **state)
{
    (void)state;
    float *fields[3];
    for (int k = 0; k < 3; k++) {
        struct bed bed = bed_new(k + 1);
        struct ps_error error;
        struct ps_field field = reduce(&bed, 5);
        size_t count = (size_t)field.width * (size_t)field.height;
        const float *image = bed.slot->adaptive->channel[PS_CHANNEL_INTENSITY].data;
        float *before = malloc(count * sizeof *before);
        memcpy(before, image, count * sizeof *before);
        check(ps_adaptive_cpu.randomise(&bed.slot->base, k == 2 ? 2 : 1, &error), &error);
        double product[3] = {0}; /* before and after, before squared, after squared */
        double shifted[2] = {0}; /* each with itself, 6 px beside */
        for (size_t i = 0; i + 6 < count; i++) {
            product[0] += (double)before[i] * (double)image[i];
            product[1] += (double)before[i] * (double)before[i];
            product[2] += (double)image[i] * (double)image[i];
            shifted[0] += (double)before[i] * (double)before[i + 6];
            shifted[1] += (double)image[i] * (double)image[i + 6];
        }
        assert_true(fabs(product[0]) < 0.15 * sqrt(product[1] * product[2]));
        assert_true(fabs(shifted[0] / product[1] - shifted[1] / product[2]) < 0.1);
        fields[k] = malloc(count * sizeof(float));
        memcpy(fields[k], image, count * sizeof(float));
        if (k == 1)
            assert_memory_equal(fields[0], fields[1], count * sizeof(float));
        if (k == 2)
            assert_memory_not_equal(fields[0], fields[2], count * sizeof(float));
        free(before);
        bed_done(&bed);
    }
    for (int k = 0; k < 3; k++)
        free(fields[k]);
}

static void logarithms_are_right(void **state)
{
    (void)state;
    for (double x = 1e-37; x < 1e37; x *= 1.0001) {
        double exact = log((double)(float)x);
        assert_float_equal((double)ps_log((float)x), exact, (float)(1.2e-7 * fmax(1, fabs(exact))));
    }
}

static void bins_follow_the_diameter(void **state)
{
    (void)state;
    assert_int_equal(ps_adaptive_bin(64, 32), 2);
    assert_int_equal(ps_adaptive_bin(95.9, 32), 2);
    assert_int_equal(ps_adaptive_bin(200, 32), 6);
    assert_int_equal(ps_adaptive_bin(8, 32), 1);
    const struct ps_adaptive_rules rules = {.fine = 32, .fine_in_large = 26, .large = 1e6};
    assert_true(ps_adaptive_fine(&rules, 64, 2000, 2000) == 32);
    assert_true(ps_adaptive_fine(&rules, 64, 2004, 2000) == 26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_go_on_as_their_mirror_image),
        cmocka_unit_test(boxes_are_means),
        cmocka_unit_test(gaussians_are_weighted_means),
        cmocka_unit_test(squares_erode_and_dilate),
        cmocka_unit_test(medians_are_exact),
        cmocka_unit_test(responses_are_correlation_coefficients),
        cmocka_unit_test(peaks_are_the_particles),
        cmocka_unit_test(examples_are_bounded),
        cmocka_unit_test(the_channel_that_tells_weighs),
        cmocka_unit_test(windows_stand_out),
        cmocka_unit_test(probabilities_follow_the_evidence),
        cmocka_unit_test(small_fields_take_more_noise),
        cmocka_unit_test(noise_has_the_spectrum_of_the_field),
        cmocka_unit_test(logarithms_are_right),
        cmocka_unit_test(bins_follow_the_diameter),
    };
    const struct ps_simd *sets[PS_MAX_SIMD];
    size_t count = ps_simd_list(sets);
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        instruction_set = sets[i];
        failed += cmocka_run_group_tests_name(sets[i]->name, tests, NULL, NULL);
    }
    return failed;
}
