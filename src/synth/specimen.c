#include "synth/specimen.h"

#include <math.h>

/* A blob is drawn up to this distance in sigma, where it has 4e-5 of its peak. */
static const double REACH_SIGMA = 4.5;

/* Columns drawn at a time: bounds the profile on the stack for every diameter. */
enum { PROFILE_COLUMNS = 256 };

/* Positions tried for each blob. */
enum { CANDIDATES = 5 };

/* A lobe is an ellipsoid; ps_specimen_make() scales all lobes to diameter 1. */
struct lobe {
    double centre[3];
    double half_axes[3];
    int blobs;
    double mass; /* of one blob, relative to the other lobes' */
};

static const struct lobe lobes[] = {
    {{0.12, 0, 0}, {0.29, 0.40, 0.37}, 160, 1.0},
    {{-0.29, 0.03, 0.02}, {0.13, 0.37, 0.26}, 64, 1.1},
    {{0.02, 0.43, -0.12}, {0.10, 0.06, 0.08}, 8, 1.6},  /* a stalk */
    {{-0.18, -0.36, 0.20}, {0.08, 0.08, 0.08}, 8, 1.6}, /* a beak */
};
enum { LOBES = sizeof lobes / sizeof lobes[0] };

struct ps_orientation ps_orientation_random(struct ps_random *random)
{
    double u = ps_random_uniform(random, 0, 1);
    double a = ps_random_uniform(random, 0, 2 * M_PI);
    double b = ps_random_uniform(random, 0, 2 * M_PI);
    double x = sqrt(1 - u) * sin(a), y = sqrt(1 - u) * cos(a);
    double z = sqrt(u) * sin(b), w = sqrt(u) * cos(b);
    return (struct ps_orientation){{
        {1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)},
        {2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)},
        {2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)},
    }};
}

static struct ps_blob blob_in(const struct lobe *lobe, struct ps_random *random)
{
    double unit[3], radius2;
    do {
        radius2 = 0;
        for (int k = 0; k < 3; k++) {
            unit[k] = ps_random_uniform(random, -1, 1);
            radius2 += unit[k] * unit[k];
        }
    } while (radius2 > 1);
    struct ps_blob blob = {
        .sigma = ps_random_uniform(random, 0.035, 0.05),
        .mass = lobe->mass * ps_random_uniform(random, 0.5, 1.5),
    };
    for (int k = 0; k < 3; k++)
        blob.position[k] = lobe->centre[k] + lobe->half_axes[k] * unit[k];
    return blob;
}

/* Distributes blobs evenly, as protein is: of several random positions takes the one farthest from
 * the existing blobs. */
static struct ps_blob place_blob(const struct lobe *lobe, const struct ps_blob *blobs, int count,
                                 struct ps_random *random)
{
    struct ps_blob best = {.sigma = 0};
    double best_distance2 = -1;
    for (int candidate = 0; candidate < CANDIDATES; candidate++) {
        struct ps_blob blob = blob_in(lobe, random);
        double nearest2 = INFINITY;
        for (int i = 0; i < count; i++) {
            double distance2 = 0;
            for (int k = 0; k < 3; k++) {
                double d = blob.position[k] - blobs[i].position[k];
                distance2 += d * d;
            }
            nearest2 = fmin(nearest2, distance2);
        }
        if (nearest2 > best_distance2) {
            best = blob;
            best_distance2 = nearest2;
        }
    }
    return best;
}

struct ps_specimen ps_specimen_make(void)
{
    struct ps_random random = ps_random_new(0x70736d6f64656c, 0, 0);
    struct ps_specimen specimen = {.blobs = {{.mass = 0}}};
    struct ps_blob *blobs = specimen.blobs;
    int count = 0;
    for (int l = 0; l < LOBES; l++)
        for (int i = 0; i < lobes[l].blobs; i++) {
            blobs[count] = place_blob(&lobes[l], blobs, count, &random);
            count++;
        }

    double mass = 0, centre[3] = {0};
    for (int i = 0; i < count; i++) {
        mass += blobs[i].mass;
        for (int k = 0; k < 3; k++)
            centre[k] += blobs[i].mass * blobs[i].position[k];
    }
    double reach = 0;
    for (int i = 0; i < count; i++) {
        double radius2 = 0;
        for (int k = 0; k < 3; k++) {
            blobs[i].position[k] -= centre[k] / mass;
            radius2 += blobs[i].position[k] * blobs[i].position[k];
        }
        reach = fmax(reach, sqrt(radius2) + blobs[i].sigma);
    }
    for (int i = 0; i < count; i++) {
        blobs[i].mass /= mass;
        blobs[i].sigma *= 0.5 / reach;
        for (int k = 0; k < 3; k++)
            blobs[i].position[k] *= 0.5 / reach;
    }
    return specimen;
}

static int clamp_pixel(double value, int count)
{
    return value < 0 ? 0 : value > count ? count : (int)value;
}

/* Adds peak * exp(-r^2 / 2 sigma^2) around (x, y). */
static void draw_gaussian(double x, double y, double sigma, double peak, float *pixels, int width,
                          int height, size_t stride)
{
    float profile[PROFILE_COLUMNS];
    double reach = REACH_SIGMA * sigma, scale = -0.5 / (sigma * sigma);
    int right = clamp_pixel(floor(x + reach) + 1, width);
    int top = clamp_pixel(ceil(y - reach), height);
    int bottom = clamp_pixel(floor(y + reach) + 1, height);
    for (int left = clamp_pixel(ceil(x - reach), width); left < right; left += PROFILE_COLUMNS) {
        int columns = right - left < PROFILE_COLUMNS ? right - left : PROFILE_COLUMNS;
        for (int i = 0; i < columns; i++)
            profile[i] = expf((float)(scale * (left + i - x) * (left + i - x)));
        for (int row = top; row < bottom; row++) {
            float factor = (float)(peak * exp(scale * (row - y) * (row - y)));
            float *out = pixels + (size_t)row * stride + left;
            for (int i = 0; i < columns; i++)
                out[i] += factor * profile[i];
        }
    }
}

void ps_specimen_draw(const struct ps_specimen *specimen, const struct ps_orientation *orientation,
                      double diameter, double x, double y, float *pixels, int width, int height,
                      size_t stride)
{
    const double(*r)[3] = orientation->matrix;
    for (int i = 0; i < PS_SPECIMEN_BLOBS; i++) {
        const struct ps_blob *blob = &specimen->blobs[i];
        const double *p = blob->position;
        double dx = r[0][0] * p[0] + r[0][1] * p[1] + r[0][2] * p[2];
        double dy = r[1][0] * p[0] + r[1][1] * p[1] + r[1][2] * p[2];
        /* The disk has the area pi/4 diameter^2, a 2-D Gaussian the integral 2 pi sigma^2 peak. */
        double peak = blob->mass / (8 * blob->sigma * blob->sigma);
        draw_gaussian(x + diameter * dx, y + diameter * dy, diameter * blob->sigma, peak, pixels,
                      width, height, stride);
    }
}
