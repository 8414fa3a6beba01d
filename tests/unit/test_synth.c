/* The synthetic microscope: are the micrographs what they claim to be, and the truth true? */
#include "image/micrograph.h"
#include "synth/deliver.h"
#include "synth/micrograph_file.h"
#include "synth/optics.h"
#include "synth/specimen.h"
#include "synth/synth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define assert_near(value, wanted, tolerance)                                                      \
    do {                                                                                           \
        double value_ = (value), wanted_ = (wanted);                                               \
        if (!(fabs(value_ - wanted_) <= (tolerance)))                                              \
            fail_msg("%s is %g, not %g", #value, value_, wanted_);                                 \
    } while (0)

/* Small and quick: 40 px particles, without anything that is neither particle nor noise. */
static struct ps_synth_options plain(int width, int height)
{
    struct ps_synth_options options = PS_SYNTH_DEFAULTS;
    options.width = width;
    options.height = height;
    options.pixel_size = 2.75;
    options.ice_gradient = 0;
    options.contaminants = 0;
    return options;
}

struct shot {
    struct ps_synth_options options;
    float *pixels;
    struct ps_synth_truth truth;
};

static struct shot shoot(struct ps_synth_options options, uint64_t index)
{
    struct shot shot = {.options = options};
    struct ps_error error = {0};
    shot.pixels = malloc((size_t)options.width * (size_t)options.height * sizeof(float));
    assert_non_null(shot.pixels);
    if (ps_synth_micrograph(&options, index, shot.pixels, &shot.truth, &error) != 0)
        fail_msg("%s", error.message);
    return shot;
}

static void drop(struct shot *shot)
{
    free(shot->pixels);
    ps_synth_truth_done(&shot->truth);
}

static size_t pixel_count(const struct shot *shot)
{
    return (size_t)shot->options.width * (size_t)shot->options.height;
}

static float pixel(const struct shot *shot, int x, int y)
{
    return shot->pixels[(size_t)y * (size_t)shot->options.width + (size_t)x];
}

static bool same(const struct shot *a, const struct shot *b)
{
    return a->truth.count == b->truth.count &&
           memcmp(a->truth.centres, b->truth.centres, a->truth.count * sizeof *a->truth.centres) ==
               0 &&
           memcmp(a->pixels, b->pixels, pixel_count(a) * sizeof(float)) == 0;
}

struct moments {
    double mean, variance;
};

static struct moments moments_of(const float *values, size_t count)
{
    double sum = 0, sum2 = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i];
        sum2 += (double)values[i] * values[i];
    }
    double mean = sum / (double)count;
    return (struct moments){mean, sum2 / (double)count - mean * mean};
}

/* ---- random numbers ---- */

static void test_generator_is_the_published_one(void **state)
{
    (void)state;
    /* The first values of xoshiro256** from the state 1, 2, 3, 4. */
    struct ps_random random = {.state = {1, 2, 3, 4}};
    assert_int_equal(ps_random_bits(&random), 11520);
    assert_int_equal(ps_random_bits(&random), 0);
    assert_int_equal(ps_random_bits(&random), 1509978240);
    assert_int_equal(ps_random_bits(&random), 1215971899390074240);
}

static void test_distributions(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct ps_random random = ps_random_new(1, 2, 3);
    double sum[5] = {0};
    for (int i = 0; i < N; i++) {
        double x = ps_random_normal(&random);
        for (int power = 1; power <= 4; power++)
            sum[power] += pow(x, power) / N;
    }
    assert_near(sum[1], 0, 0.01);
    assert_near(sum[2], 1, 0.02);
    assert_near(sum[3], 0, 0.05);
    assert_near(sum[4], 3, 0.15);
    double count = 0, count2 = 0;
    for (int i = 0; i < 2000; i++) {
        double n = (double)ps_random_poisson(&random, 150);
        count += n / 2000;
        count2 += n * n / 2000;
    }
    assert_near(count, 150, 1.5);
    assert_near(count2 - count * count, 150, 20);
    assert_int_equal(ps_random_poisson(&random, 0), 0);
}

/* ---- physics ---- */

static void test_contrast_transfer(void **state)
{
    (void)state;
    struct ps_random random = ps_random_new(1, 1, 0);
    struct ps_optics optics = ps_optics_new(1, 20000, &random);
    assert_near(optics.wavelength, 0.01968749, 1e-7); /* 300 kV, the textbook value */
    assert_near(ps_optics_contrast(&optics, 0, 0), -0.1, 1e-12);

    optics.defocus_u = optics.defocus_v = 20000;
    optics.cos2_half_spread = optics.sin2_half_spread = 0;
    /* First zero where pi lambda dz q^2 = pi - asin(0.1), the spherical aberration being 1e-4 of
     * that there; protein is dark before and bright after it. */
    double zero = sqrt((1 - asin(0.1) / M_PI) / (optics.wavelength * 20000));
    assert_near(ps_optics_contrast(&optics, zero, 0), 0, 3e-3);
    assert_true(ps_optics_contrast(&optics, 0, 0.7 * zero) < -0.5);
    assert_true(ps_optics_contrast(&optics, 0, 1.2 * zero) > 0.3);

    /* Astigmatism: along the angle of U the zero is nearer, for |U| > |V|; the sign of q is not
     * seen. */
    optics.defocus_u = 20300;
    optics.defocus_v = 19700;
    optics.cos2_half_spread = 300 * cos(2 * 0.5);
    optics.sin2_half_spread = 300 * sin(2 * 0.5);
    double near = sqrt((1 - asin(0.1) / M_PI) / (optics.wavelength * 20300));
    assert_near(ps_optics_contrast(&optics, near * cos(0.5), near * sin(0.5)), 0, 3e-3);
    assert_true(ps_optics_contrast(&optics, near * cos(0.5 + M_PI / 2),
                                   near * sin(0.5 + M_PI / 2)) < -0.05);
    assert_near(ps_optics_contrast(&optics, 0.03, 0.01), ps_optics_contrast(&optics, -0.03, -0.01),
                0);
}

static void test_rotations_are_rotations_and_uniform(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct ps_random random = ps_random_new(7, 0, 0);
    double mean[3][3] = {{0}}, trace = 0;
    for (int n = 0; n < N; n++) {
        struct ps_orientation o = ps_orientation_random(&random);
        const double(*m)[3] = (const double(*)[3])o.matrix;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                double dot = 0;
                for (int k = 0; k < 3; k++)
                    dot += m[i][k] * m[j][k];
                assert_near(dot, i == j, 1e-12);
                mean[i][j] += m[i][j] / N;
            }
        double determinant = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                             m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                             m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
        assert_near(determinant, 1, 1e-12);
        trace += (m[0][0] + m[1][1] + m[2][2]) * (m[0][0] + m[1][1] + m[2][2]) / N;
    }
    for (int i = 0; i < 9; i++)
        assert_near(mean[i / 3][i % 3], 0, 0.02);
    assert_near(trace, 1, 0.05); /* the mean square of the trace over all rotations */
}

/* The projection's centre of mass is where the particle was put, for any orientation and phase. */
static void test_projection_is_centred(void **state)
{
    (void)state;
    enum { SIZE = 121 };
    static float pixels[SIZE * SIZE];
    struct ps_random random = ps_random_new(3, 0, 0);
    struct ps_specimen specimen = ps_specimen_make();
    for (int n = 0; n < 8; n++) {
        struct ps_orientation orientation = ps_orientation_random(&random);
        double x = ps_random_uniform(&random, 58, 62), y = ps_random_uniform(&random, 58, 62);
        memset(pixels, 0, sizeof pixels);
        ps_specimen_draw(&specimen, &orientation, 60, x, y, pixels, SIZE, SIZE, SIZE);
        double mass = 0, mx = 0, my = 0, outside = 0;
        for (int i = 0; i < SIZE * SIZE; i++) {
            mass += pixels[i];
            mx += (double)pixels[i] * (i % SIZE);
            my += (double)pixels[i] * (i / SIZE);
            if (hypot(i % SIZE - x, i / SIZE - y) > 30)
                outside += pixels[i];
        }
        assert_near(mx / mass, x, 1e-3);
        assert_near(my / mass, y, 1e-3);
        assert_near(mass, M_PI / 4 * 60 * 60, 2);
        assert_true(outside / mass < 0.02);
    }
}

/* ---- micrographs ---- */

static void test_same_name_same_micrograph(void **state)
{
    (void)state;
    struct ps_synth_options options = PS_SYNTH_DEFAULTS;
    options.width = 301;
    options.height = 257;
    options.carbon = true;
    struct shot first = shoot(options, 5), other = shoot(options, 6), again = shoot(options, 5);
    options.seed = 2;
    struct shot reseeded = shoot(options, 5);
    assert_true(same(&first, &again));
    assert_false(same(&first, &other));
    assert_false(same(&first, &reseeded));
    drop(&first);
    drop(&other);
    drop(&again);
    drop(&reseeded);
}

/* Brightness, noise and the signal to noise ratio are what was asked for. The noise does not depend
 * on the signal, so the difference of two micrographs is the noiseless image. */
static void test_signal_to_noise(void **state)
{
    (void)state;
    struct ps_synth_options options = plain(512, 400);
    options.snr = 0;
    struct shot noise = shoot(options, 1);
    options.snr = 0.25;
    struct shot noisy = shoot(options, 1);
    struct moments noise_moments = moments_of(noise.pixels, pixel_count(&noise));
    assert_near(noise_moments.mean, PS_SYNTH_MEAN, 0.2);
    assert_near(sqrt(noise_moments.variance), PS_SYNTH_NOISE, 0.1);

    double sum = 0, sum2 = 0, count = 0, radius = noisy.truth.diameter / 2;
    assert_true(noisy.truth.count > 10);
    for (size_t i = 0; i < noisy.truth.count; i++)
        for (int y = 0; y < 400; y++)
            for (int x = 0; x < 512; x++) {
                struct ps_centre centre = noisy.truth.centres[i];
                if (hypot(x - centre.x, y - centre.y) > radius)
                    continue;
                double signal = pixel(&noisy, x, y) - pixel(&noise, x, y);
                sum += signal;
                sum2 += signal * signal;
                count++;
            }
    double variance = sum2 / count - sum * sum / count / count;
    assert_near(variance / (PS_SYNTH_NOISE * PS_SYNTH_NOISE), 0.25, 0.003);
    drop(&noise);
    drop(&noisy);
}

/* Darkness of the image around (x, y): its mean minus what a disk of 0.3 diameters has. */
static double darkness(const struct shot *shot, double mean, double x, double y)
{
    double radius = 0.3 * shot->truth.diameter, sum = 0, count = 0;
    for (int j = (int)ceil(y - radius); j <= y + radius; j++)
        for (int i = (int)ceil(x - radius); i <= x + radius; i++)
            if (hypot(i - x, j - y) <= radius) {
                sum += mean - pixel(shot, i, j);
                count++;
            }
    return sum / count;
}

static double nearest(const struct shot *shot, double x, double y)
{
    double distance = INFINITY;
    for (size_t i = 0; i < shot->truth.count; i++)
        distance =
            fmin(distance, hypot(shot->truth.centres[i].x - x, shot->truth.centres[i].y - y));
    return distance;
}

/* At the default noise, disks at the truth are darker than disks elsewhere, nearly all of them. */
static void test_particles_are_dark_at_the_truth(void **state)
{
    (void)state;
    struct shot shot = shoot(plain(800, 600), 3);
    double mean = moments_of(shot.pixels, pixel_count(&shot)).mean;
    struct ps_random random = ps_random_new(1, 1, 99);
    size_t wins = 0, trials = 0;
    for (size_t i = 0; i < shot.truth.count; i++) {
        double at_truth = darkness(&shot, mean, shot.truth.centres[i].x, shot.truth.centres[i].y);
        for (int n = 0; n < 20; n++) {
            double x = ps_random_uniform(&random, 20, 780), y = ps_random_uniform(&random, 20, 580);
            if (nearest(&shot, x, y) < 0.9 * shot.truth.diameter)
                continue;
            wins += at_truth > darkness(&shot, mean, x, y);
            trials++;
        }
    }
    assert_true(trials > 200);
    if (!(wins > 0.97 * (double)trials))
        fail_msg("darker in %zu of %zu comparisons", wins, trials);
    drop(&shot);
}

/* The dark spots' common centre of mass is the truth: no half pixel, no swapped axes. */
static void test_truth_has_no_bias(void **state)
{
    (void)state;
    struct ps_synth_options options = plain(700, 900);
    options.snr = 0;
    struct shot noise = shoot(options, 2);
    options.snr = 1;
    struct shot noisy = shoot(options, 2);
    double mass = 0, mx = 0, my = 0, radius = 0.55 * noisy.truth.diameter;
    for (size_t i = 0; i < noisy.truth.count; i++) {
        double x = noisy.truth.centres[i].x, y = noisy.truth.centres[i].y;
        for (int v = (int)ceil(y - radius); v <= y + radius; v++)
            for (int u = (int)ceil(x - radius); u <= x + radius; u++) {
                if (u < 0 || u >= 700 || v < 0 || v >= 900 || hypot(u - x, v - y) > radius)
                    continue;
                double dark = pixel(&noise, u, v) - pixel(&noisy, u, v);
                mass += dark;
                mx += dark * (u - x);
                my += dark * (v - y);
            }
    }
    assert_true(noisy.truth.count > 50);
    assert_true(mass > 0);
    assert_near(mx / mass, 0, 0.15);
    assert_near(my / mass, 0, 0.15);
    drop(&noise);
    drop(&noisy);
}

static void test_any_size(void **state)
{
    (void)state;
    const int sizes[][2] = {{331, 257}, {64, 500}, {127, 43}, {16, 16}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct ps_synth_options options = plain(sizes[i][0], sizes[i][1]);
        if (options.height < 42)
            options.particles = 0;
        options.ice_gradient = 0.1;
        struct shot shot = shoot(options, 1);
        struct moments moments = moments_of(shot.pixels, pixel_count(&shot));
        assert_near(moments.mean, PS_SYNTH_MEAN, 3);
        assert_near(sqrt(moments.variance), 1.03 * PS_SYNTH_NOISE, 0.9);
        drop(&shot);
    }
}

static void test_carbon_and_crystals_darken(void **state)
{
    (void)state;
    struct ps_synth_options options = plain(512, 512);
    options.particles = 0;
    struct shot clean = shoot(options, 4);
    options.contaminants = 2;
    struct shot icy = shoot(options, 4);
    options.contaminants = 0;
    options.carbon = true;
    struct shot carbon = shoot(options, 4);
    size_t ice = 0, film = 0;
    for (size_t i = 0; i < pixel_count(&clean); i++) {
        ice += clean.pixels[i] - icy.pixels[i] > 0.8 * PS_SYNTH_NOISE;
        film += fabsf(clean.pixels[i] - carbon.pixels[i]) > 3;
    }
    assert_in_range(ice, 3000, 120000);
    assert_in_range(film, 15000, 130000);
    drop(&clean);
    drop(&icy);
    drop(&carbon);
}

static void test_scene_keeps_its_distances(void **state)
{
    (void)state;
    const struct ps_scene_options options = {.width = 1200,
                                             .height = 700,
                                             .diameter = 31.5,
                                             .particles = 5000, /* more than fit */
                                             .crystals = 4,
                                             .hole_radius = 3000};
    for (uint64_t index = 1; index <= 5; index++) {
        struct ps_scene scene;
        struct ps_error error;
        assert_int_equal(ps_scene_init(&scene, &options, 1, index, &error), 0);
        assert_int_equal(scene.crystal_count, 4);
        assert_in_range(scene.particle_count, 100, 840000 / 800);
        for (size_t i = 0; i < scene.particle_count; i++) {
            struct ps_centre a = scene.particles[i];
            assert_true(a.x >= 15.75 && a.x <= 1199 - 15.75 && a.y >= 15.75 && a.y <= 699 - 15.75);
            assert_true(a.x * 64 == floor(a.x * 64) && a.y * 64 == floor(a.y * 64));
            assert_true(ps_hole_distance(&scene.hole, a.x, a.y) >= 0.6 * 31.5);
            for (size_t j = 0; j < 4; j++)
                assert_true(ps_crystal_distance(&scene.crystals[j], a.x, a.y) >= 0.6 * 31.5);
            for (size_t j = 0; j < i; j++)
                assert_true(hypot(a.x - scene.particles[j].x, a.y - scene.particles[j].y) >=
                            PS_SCENE_SPACING * 31.5);
        }
        ps_scene_done(&scene);
    }
}

static void refuse(struct ps_synth_options options, const char *message)
{
    struct ps_error error = {0};
    assert_int_equal(ps_synth_validate(&options, &error), PS_E_CONFIG);
    assert_string_equal(error.message, message);
    float pixel_left_alone = 1;
    assert_int_equal(ps_synth_micrograph(&options, 1, &pixel_left_alone, NULL, &error),
                     PS_E_CONFIG);
    assert_true(pixel_left_alone == 1);
}

static void test_bad_options_are_named(void **state)
{
    (void)state;
    struct ps_synth_options options = PS_SYNTH_DEFAULTS;
    options.width = 0;
    refuse(options, "width (px) is 0, must be between 16 and 32768");
    options = PS_SYNTH_DEFAULTS;
    options.snr = NAN;
    refuse(options, "signal to noise ratio is nan, must be between 0 and 10000");
    options = PS_SYNTH_DEFAULTS;
    options.height = 60;
    options.pixel_size = 1.1;
    refuse(options, "a particle of 100 px does not fit into a micrograph of 2048 x 60 px");
}

/* ---- files ---- */

enum { W = 7, H = 5 };

/* Files of the writer, read back by the reader. */
static struct ps_micrograph *reread(struct ps_file_format format, const float *pixels)
{
    uint8_t *bytes;
    size_t length;
    struct ps_error error = {0};
    struct ps_micrograph *micrograph;
    const struct ps_read_options options = {.movies = PS_MOVIES_SKIP, .max_pixels = 1000};
    if (ps_micrograph_encode(&format, pixels, W, H, &bytes, &length, &error) != 0 ||
        ps_micrograph_parse(bytes, length, &options, &micrograph, &error) != 0)
        fail_msg("%s", error.message);
    free(bytes);
    return micrograph;
}

static void test_files_read_back(void **state)
{
    (void)state;
    const struct {
        enum ps_container container;
        int mode;
        enum ps_pixel type;
        float step; /* values are its multiples: exact in this format */
    } formats[] = {
        {PS_CONTAINER_MRC, 1, PS_PIXEL_I16, 1},      {PS_CONTAINER_MRC, 2, PS_PIXEL_F32, 0.3f},
        {PS_CONTAINER_MRC, 12, PS_PIXEL_F16, 0.25f}, {PS_CONTAINER_TIFF, 1, PS_PIXEL_U16, 1},
        {PS_CONTAINER_TIFF, 2, PS_PIXEL_F32, 0.3f},
    };
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        float pixels[W * H], got[W * H];
        for (int i = 0; i < W * H; i++)
            pixels[i] = formats[f].step * (float)(i * i);
        struct ps_file_format format = {formats[f].container, formats[f].mode, 1.34};
        struct ps_micrograph *micrograph = reread(format, pixels);
        assert_int_equal(micrograph->image.width, W);
        assert_int_equal(micrograph->image.height, H);
        assert_int_equal(micrograph->image.type, formats[f].type);
        assert_near(micrograph->image.pixel_size, 1.34, 1e-5);
        assert_string_equal(micrograph->warning, "");
        ps_pixels_to_float(micrograph->image.pixels, micrograph->image.type, W * H, got);
        assert_memory_equal(got, pixels, sizeof pixels); /* TIFF rows flipped there and back */
        ps_micrograph_free(micrograph);
    }
}

static void test_integers_are_rounded_and_clamped(void **state)
{
    (void)state;
    float pixels[W * H] = {1e9f, -1e9f, NAN, 2.5f, 3.5f, -2.4f}, got[W * H];
    struct ps_micrograph *mrc = reread((struct ps_file_format){PS_CONTAINER_MRC, 1, 1}, pixels);
    struct ps_micrograph *tiff = reread((struct ps_file_format){PS_CONTAINER_TIFF, 1, 1}, pixels);
    const float wanted_mrc[] = {32767, -32768, 0, 2, 4, -2}, wanted_tiff[] = {65535, 0, 0, 2, 4, 0};
    ps_pixels_to_float(mrc->image.pixels, mrc->image.type, W * H, got);
    assert_memory_equal(got, wanted_mrc, sizeof wanted_mrc);
    ps_pixels_to_float(tiff->image.pixels, tiff->image.type, W * H, got);
    assert_memory_equal(got, wanted_tiff, sizeof wanted_tiff);
    ps_micrograph_free(mrc);
    ps_micrograph_free(tiff);
}

static void test_writing_fails_with_the_reason(void **state)
{
    (void)state;
    float pixels[W * H] = {0};
    struct ps_error error = {0};
    struct ps_file_format format = {PS_CONTAINER_TIFF, 12, 1};
    uint8_t *bytes = NULL;
    size_t length;
    assert_int_equal(ps_micrograph_encode(&format, pixels, W, H, &bytes, &length, &error),
                     PS_E_CONFIG);
    assert_string_equal(error.message, "TIFF files are written in mode 1 or 2, not 12");
    assert_null(bytes);
    format = (struct ps_file_format){PS_CONTAINER_MRC, 2, 1};
    assert_int_equal(ps_micrograph_write("/dev/null/x.mrc", &format, pixels, W, H, &error),
                     PS_E_SYSTEM);
    assert_string_equal(error.message,
                        "/dev/null/x.mrc: cannot open directory /dev/null: Not a directory");
    const struct ps_delivery in_place = {.in_place = true, .pieces = 1};
    assert_int_equal(ps_deliver("/dev/full", pixels, sizeof pixels, &in_place, &error),
                     PS_E_SYSTEM);
    assert_string_equal(error.message, "/dev/full: cannot write: No space left on device");
}

static void test_deliveries_arrive(void **state)
{
    (void)state;
    char directory[] = "/tmp/test_synth.XXXXXX", path[64], got[16] = "";
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/x", directory);
    struct ps_error error;
    for (int in_place = 0; in_place < 2; in_place++) {
        /* Not before its time, in more pieces than bytes too. */
        int64_t start = ps_deliver_now() + 20000000;
        struct ps_delivery delivery = {in_place, 16, start, 1000000};
        assert_int_equal(ps_deliver(path, "0123456789", 10, &delivery, &error), 0);
        assert_true(ps_deliver_now() >= start + 15000000);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        assert_int_equal(fread(got, 1, sizeof got, file), 10);
        assert_memory_equal(got, "0123456789", 10);
        fclose(file);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(directory), 0); /* nothing else was left there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generator_is_the_published_one),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_contrast_transfer),
        cmocka_unit_test(test_rotations_are_rotations_and_uniform),
        cmocka_unit_test(test_projection_is_centred),
        cmocka_unit_test(test_same_name_same_micrograph),
        cmocka_unit_test(test_signal_to_noise),
        cmocka_unit_test(test_particles_are_dark_at_the_truth),
        cmocka_unit_test(test_truth_has_no_bias),
        cmocka_unit_test(test_any_size),
        cmocka_unit_test(test_carbon_and_crystals_darken),
        cmocka_unit_test(test_scene_keeps_its_distances),
        cmocka_unit_test(test_bad_options_are_named),
        cmocka_unit_test(test_files_read_back),
        cmocka_unit_test(test_integers_are_rounded_and_clamped),
        cmocka_unit_test(test_writing_fails_with_the_reason),
        cmocka_unit_test(test_deliveries_arrive),
    };
    return cmocka_run_group_tests_name("synth", tests, NULL, NULL);
}
