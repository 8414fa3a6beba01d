#include "synth/synth.h"
#include "synth/field.h"
#include "synth/optics.h"
#include "synth/specimen.h"
#include "synth/streams.h"

#include <math.h>
#include <stdlib.h>

/* The border around the micrograph in the FFT, wider than the visible fringes of a particle. */
static const int BORDER = 64; /* px, and a quarter of the diameter */

/* Power of the scattering of ice before the CTF, relative to the detector noise at the same (low)
 * frequency: just enough to see the rings of the CTF in the power spectrum. */
static const double ICE_POWER = 0.6;
static const double ICE_B_FACTOR = 30; /* angstrom^2: the decay of that power with resolution */

/* Detector noise: this share of its power passes the detector's MTF, the rest is white. */
static const double DETECTOR_BLURRED = 0.6;

/* The hole in the carbon film, as in a Quantifoil R 2/2 grid. */
static const double HOLE_RADIUS = 10000; /* angstrom */
static const double CARBON_DARKNESS = 8;
static const double CARBON_EDGE = 10;   /* angstrom, roughness */
static const double CARBON_STEP = 8;    /* of the potential, at the edge */
static const double CARBON_TEXTURE = 9; /* of the potential, standard deviation */

static const double CRYSTAL_RIM = 12;       /* angstrom, the width of the bright line around it */
static const double CRYSTAL_RIM_PEAK = 0.3; /* relative to its darkness */
static const double CRYSTAL_MOTTLE = 0.15;  /* the same */

int ps_synth_validate(const struct ps_synth_options *options, struct ps_error *error)
{
    const struct {
        const char *what;
        double value, low, high;
    } ranges[] = {
        {"width (px)", options->width, 16, 32768},
        {"height (px)", options->height, 16, 32768},
        {"pixel size (angstrom)", options->pixel_size, 0.1, 100},
        {"diameter (px)", options->diameter / options->pixel_size, 6, 4096},
        {"number of particles", options->particles, -1, 1e6},
        {"signal to noise ratio", options->snr, 0, 1e4},
        {"defocus (um)", options->defocus, 0, 20},
        {"ice gradient", options->ice_gradient, 0, 1},
        {"number of contaminants", options->contaminants, 0, 1000},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (!(ranges[i].value >= ranges[i].low && ranges[i].value <= ranges[i].high))
            return ps_fail(error, PS_E_CONFIG, "%s is %g, must be between %g and %g",
                           ranges[i].what, ranges[i].value, ranges[i].low, ranges[i].high);
    double max_diameter = fmin(options->width, options->height) - 1;
    if (options->particles != 0 && options->diameter / options->pixel_size > max_diameter)
        return ps_fail(error, PS_E_CONFIG,
                       "a particle of %g px does not fit into a micrograph of %d x %d px",
                       options->diameter / options->pixel_size, options->width, options->height);
    return 0;
}

/* ---- filters ------------------------------------------------------------------------------------
 */

static double signal_gain(double qx, double qy, const void *context)
{
    return ps_optics_contrast(context, qx, qy) * ps_optics_detector(qx, qy);
}

/* Square root of the power spectrum of all noise; 0 at frequency 0, which is the brightness. */
static double noise_gain(double qx, double qy, const void *context)
{
    const struct ps_optics *optics = context;
    if (qx == 0 && qy == 0)
        return 0;
    double q2 = (qx * qx + qy * qy) / (optics->pixel_size * optics->pixel_size);
    double signal = signal_gain(qx, qy, context), detector = ps_optics_detector(qx, qy);
    return sqrt(ICE_POWER * exp(-ICE_B_FACTOR / 2 * q2) * signal * signal + 1 - DETECTOR_BLURRED +
                DETECTOR_BLURRED * detector * detector);
}

/* ---- layers -------------------------------------------------------------------------------------
 */

/* A micrograph that is being made. */
struct exposure {
    const struct ps_synth_options *options;
    uint64_t index;
    double diameter; /* px */
    struct ps_optics optics;
    struct ps_scene scene;
    struct ps_field field;
    float *pixels; /* the result */
};

static struct ps_random stream_of(const struct exposure *exposure, enum ps_stream stream)
{
    return ps_random_new(exposure->options->seed, exposure->index, stream);
}

/* The part of the field under row `y` of the micrograph. */
static const float *field_row(const struct ps_field *field, int y)
{
    return field->pixels + (size_t)(y + field->border) * field->stride + field->border;
}

static void add_field(const struct exposure *exposure, double factor)
{
    int width = exposure->options->width, height = exposure->options->height;
    for (int y = 0; y < height; y++) {
        const float *in = field_row(&exposure->field, y);
        float *out = exposure->pixels + (size_t)y * (size_t)width;
        for (int x = 0; x < width; x++)
            out[x] += (float)factor * in[x];
    }
}

/* Variance of the field over the pixels within half a diameter of a particle's centre. */
static double variance_in_particles(const struct exposure *exposure)
{
    double radius = exposure->diameter / 2, sum = 0, sum2 = 0;
    size_t count = 0;
    for (size_t i = 0; i < exposure->scene.particle_count; i++) {
        struct ps_centre centre = exposure->scene.particles[i];
        for (int y = (int)ceil(centre.y - radius); y <= centre.y + radius; y++) {
            const float *row = field_row(&exposure->field, y);
            double half = sqrt(radius * radius - (y - centre.y) * (y - centre.y));
            for (int x = (int)ceil(centre.x - half); x <= centre.x + half; x++) {
                sum += row[x];
                sum2 += (double)row[x] * row[x];
                count++;
            }
        }
    }
    return count ? sum2 / (double)count - sum * sum / (double)count / (double)count : 0;
}

static void add_particles(struct exposure *exposure)
{
    struct ps_random random = stream_of(exposure, PS_STREAM_ORIENTATIONS);
    struct ps_field *field = &exposure->field;
    struct ps_specimen specimen = ps_specimen_make();
    ps_field_clear(field);
    for (size_t i = 0; i < exposure->scene.particle_count; i++) {
        struct ps_orientation orientation = ps_orientation_random(&random);
        ps_specimen_draw(&specimen, &orientation, exposure->diameter,
                         exposure->scene.particles[i].x + field->border,
                         exposure->scene.particles[i].y + field->border, field->pixels,
                         field->width, field->height, field->stride);
    }
    ps_field_filter(field, signal_gain, &exposure->optics);
    double variance = variance_in_particles(exposure);
    if (variance > 0)
        add_field(exposure, PS_SYNTH_NOISE * sqrt(exposure->options->snr / variance));
}

static void fill_with_noise(struct ps_field *field, struct ps_random random)
{
    for (int y = 0; y < field->height; y++) {
        float *row = field->pixels + (size_t)y * field->stride;
        for (int x = 0; x < field->width; x++)
            row[x] = (float)ps_random_normal(&random);
    }
}

static void add_noise(struct exposure *exposure)
{
    fill_with_noise(&exposure->field, stream_of(exposure, PS_STREAM_NOISE));
    double variance = ps_field_filter(&exposure->field, noise_gain, &exposure->optics);
    add_field(exposure, PS_SYNTH_NOISE / sqrt(variance));
}

/* The coverage by carbon: 1 on the film, 0 in the hole, smooth at the edge. */
static double carbon_at(const struct exposure *exposure, double x, double y)
{
    double distance = ps_hole_distance(&exposure->scene.hole, x, y);
    return 1 / (1 + exp(distance * exposure->options->pixel_size / CARBON_EDGE * 4));
}

static void add_carbon(struct exposure *exposure)
{
    int width = exposure->options->width, height = exposure->options->height;
    struct ps_field *field = &exposure->field;
    fill_with_noise(field, stream_of(exposure, PS_STREAM_CARBON_TEXTURE));
    for (int y = 0; y < field->height; y++) {
        float *row = field->pixels + (size_t)y * field->stride;
        for (int x = 0; x < field->width; x++) {
            double carbon = carbon_at(exposure, x - field->border, y - field->border);
            row[x] = (float)(carbon * (CARBON_STEP + CARBON_TEXTURE * row[x]));
        }
    }
    ps_field_filter(field, signal_gain, &exposure->optics);
    add_field(exposure, 1);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            exposure->pixels[(size_t)y * (size_t)width + (size_t)x] -=
                (float)(CARBON_DARKNESS * carbon_at(exposure, x, y));
}

/* ---- ice ----------------------------------------------------------------------------------------
 */

enum { ICE_TERMS = 9 };

/* All terms of degree 1 to 3 at (u, v), each from -1 to 1. */
static double thickness_at(const double weights[ICE_TERMS], double u, double v)
{
    const double *w = weights;
    return w[0] * u + w[1] * v + w[2] * u * u + w[3] * u * v + w[4] * v * v + w[5] * u * u * u +
           w[6] * u * u * v + w[7] * u * v * v + w[8] * v * v * v;
}

/* Coordinate of pixel i of n, from -1 to 1. */
static double normalised(int i, int n)
{
    return 2.0 * i / (n - 1) - 1;
}

/* The brightness of the ice: the mean, and a variation of `ice_gradient` times the mean. */
static void fill_with_ice(struct exposure *exposure)
{
    enum { SAMPLES = 65 };
    struct ps_random random = stream_of(exposure, PS_STREAM_ICE);
    int width = exposure->options->width, height = exposure->options->height;
    double weights[ICE_TERMS], low = INFINITY, high = -INFINITY, sum = 0;
    for (int i = 0; i < ICE_TERMS; i++)
        weights[i] = ps_random_normal(&random) * (i < 2 ? 1 : 0.4);
    for (int j = 0; j < SAMPLES; j++)
        for (int i = 0; i < SAMPLES; i++) {
            double value = thickness_at(weights, normalised(i, SAMPLES), normalised(j, SAMPLES));
            low = fmin(low, value);
            high = fmax(high, value);
            sum += value / (SAMPLES * SAMPLES);
        }
    double scale = exposure->options->ice_gradient * PS_SYNTH_MEAN / (high - low);
    for (int y = 0; y < height; y++) {
        float *out = exposure->pixels + (size_t)y * (size_t)width;
        double v = normalised(y, height);
        for (int x = 0; x < width; x++) {
            double value = thickness_at(weights, normalised(x, width), v);
            out[x] = (float)(PS_SYNTH_MEAN + scale * (value - sum));
        }
    }
}

static void add_crystal(struct exposure *exposure, const struct ps_crystal *crystal)
{
    int width = exposure->options->width, height = exposure->options->height;
    double rim = CRYSTAL_RIM / exposure->options->pixel_size;
    double reach = crystal->reach + 4 * rim, wave = 4 / exposure->diameter;
    int left = (int)fmax(0, crystal->centre.x - reach);
    int right = (int)fmin(width - 1, crystal->centre.x + reach);
    int top = (int)fmax(0, crystal->centre.y - reach);
    int bottom = (int)fmin(height - 1, crystal->centre.y + reach);
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            double distance = ps_crystal_distance(crystal, x, y);
            double inside = 1 / (1 + exp(2 * distance)); /* the edge is about 2 px wide */
            double mottle =
                1 + CRYSTAL_MOTTLE * (sin(wave * (2 * x - y)) + sin(wave * (x + 3 * y)));
            double line = (1 - inside) * exp(-fmax(distance, 0) / rim) * CRYSTAL_RIM_PEAK;
            exposure->pixels[(size_t)y * (size_t)width + (size_t)x] -=
                (float)(PS_SYNTH_NOISE * crystal->darkness * (inside * mottle - line));
        }
}

/* ---- micrograph ---------------------------------------------------------------------------------
 */

static double mean_particles(const struct ps_synth_options *options, double diameter)
{
    if (options->particles >= 0)
        return options->particles;
    double area = (double)options->width * options->height;
    return PS_SYNTH_COVERAGE * area / (M_PI / 4 * diameter * diameter);
}

int ps_synth_micrograph(const struct ps_synth_options *options, uint64_t index, float *ret_pixels,
                        struct ps_synth_truth *ret_truth, struct ps_error *error)
{
    int code = ps_synth_validate(options, error);
    if (code)
        return code;
    struct exposure exposure = {
        .options = options,
        .index = index,
        .diameter = options->diameter / options->pixel_size,
        .pixels = ret_pixels,
    };
    struct ps_random random = stream_of(&exposure, PS_STREAM_OPTICS);
    exposure.optics = ps_optics_new(options->pixel_size, options->defocus * 1e4, &random);
    const struct ps_scene_options scene = {
        .width = options->width,
        .height = options->height,
        .diameter = exposure.diameter,
        .particles = mean_particles(options, exposure.diameter),
        .crystals = (size_t)options->contaminants,
        .hole_radius = options->carbon ? HOLE_RADIUS / options->pixel_size : 0,
    };
    code = ps_scene_init(&exposure.scene, &scene, options->seed, index, error);
    if (code)
        return code;
    code = ps_field_init(&exposure.field, options->width, options->height,
                         BORDER + (int)(exposure.diameter / 4), error);
    if (code) {
        ps_scene_done(&exposure.scene);
        return code;
    }

    fill_with_ice(&exposure);
    add_particles(&exposure);
    add_noise(&exposure);
    if (options->carbon)
        add_carbon(&exposure);
    for (size_t i = 0; i < exposure.scene.crystal_count; i++)
        add_crystal(&exposure, &exposure.scene.crystals[i]);
    ps_field_done(&exposure.field);

    *ret_truth = (struct ps_synth_truth){
        .centres = exposure.scene.particles,
        .count = exposure.scene.particle_count,
        .diameter = exposure.diameter,
        .defocus_u = exposure.optics.defocus_u,
        .defocus_v = exposure.optics.defocus_v,
        .astigmatism_angle = exposure.optics.astigmatism_angle * 180 / M_PI,
    };
    exposure.scene.particles = NULL;
    ps_scene_done(&exposure.scene);
    return 0;
}

void ps_synth_truth_done(struct ps_synth_truth *truth)
{
    free(truth->centres);
    *truth = (struct ps_synth_truth){0};
}
