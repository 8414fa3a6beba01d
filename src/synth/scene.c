#include "synth/scene.h"
#include "synth/streams.h"

#include <math.h>
#include <stdlib.h>

/* Free space between a particle's disk and a crystal or the carbon, in diameters. */
static const double CLEARANCE = 0.1;

/* Positions tried for a particle before the field counts as full. */
enum { TRIES = 400 };

double ps_crystal_distance(const struct ps_crystal *crystal, double x, double y)
{
    double distance = -INFINITY;
    for (int i = 0; i < crystal->sides; i++)
        distance =
            fmax(distance, (x - crystal->centre.x) * crystal->normal_x[i] +
                               (y - crystal->centre.y) * crystal->normal_y[i] - crystal->offset[i]);
    return distance;
}

double ps_hole_distance(const struct ps_hole *hole, double x, double y)
{
    if (hole->radius <= 0)
        return INFINITY;
    return hole->radius - hypot(x - hole->centre.x, y - hole->centre.y);
}

/* The distance of the edge from the micrograph's centre is 15 to 35 % of its shorter side. */
static struct ps_hole draw_hole(const struct ps_scene_options *options, struct ps_random *random)
{
    double angle = ps_random_uniform(random, 0, 2 * M_PI);
    double shorter = fmin(options->width, options->height);
    double off_centre = options->hole_radius - shorter * ps_random_uniform(random, 0.15, 0.35);
    return (struct ps_hole){
        .centre = {options->width / 2.0 - off_centre * cos(angle),
                   options->height / 2.0 - off_centre * sin(angle)},
        .radius = options->hole_radius,
    };
}

/* Two to five diameters across. */
static struct ps_crystal draw_crystal(const struct ps_scene_options *options,
                                      struct ps_random *random)
{
    struct ps_crystal crystal = {
        .centre = {ps_random_uniform(random, 0, options->width),
                   ps_random_uniform(random, 0, options->height)},
        .sides = (int)ps_random_uniform(random, 5, PS_CRYSTAL_SIDES + 1),
        .darkness = ps_random_uniform(random, 1, 2.5),
    };
    double radius = options->diameter * ps_random_uniform(random, 1.0, 2.5);
    double turn = ps_random_uniform(random, 0, 2 * M_PI);
    for (int i = 0; i < crystal.sides; i++) {
        double angle = turn + 2 * M_PI * (i + ps_random_uniform(random, -0.3, 0.3)) / crystal.sides;
        crystal.normal_x[i] = cos(angle);
        crystal.normal_y[i] = sin(angle);
        crystal.offset[i] = radius * ps_random_uniform(random, 0.7, 1);
    }
    /* Neighbouring normals are at most 1.6 * 72 degrees apart: corners within radius / cos(58). */
    crystal.reach = 2 * radius;
    return crystal;
}

/* A grid of the centres placed so far; a cell is small enough to hold at most one. */
struct cells {
    double side; /* px */
    int columns;
    int rows;
    size_t *centre; /* 1 + index of the cell's centre, or 0 */
};

static int cell_of(double position, double side)
{
    return (int)floor(position / side);
}

static bool is_free(const struct cells *cells, const struct ps_centre *centres,
                    struct ps_centre place, double spacing)
{
    int column = cell_of(place.x, cells->side), row = cell_of(place.y, cells->side);
    for (int r = row - 2; r <= row + 2; r++)
        for (int c = column - 2; c <= column + 2; c++) {
            if (r < 0 || r >= cells->rows || c < 0 || c >= cells->columns)
                continue;
            size_t found = cells->centre[(size_t)r * (size_t)cells->columns + (size_t)c];
            if (found &&
                hypot(centres[found - 1].x - place.x, centres[found - 1].y - place.y) < spacing)
                return false;
        }
    return true;
}

static bool is_clean(const struct ps_scene *scene, struct ps_centre place, double clear)
{
    if (ps_hole_distance(&scene->hole, place.x, place.y) < clear)
        return false;
    for (size_t i = 0; i < scene->crystal_count; i++)
        if (ps_crystal_distance(&scene->crystals[i], place.x, place.y) < clear)
            return false;
    return true;
}

/* A random coordinate in [margin, size - 1 - margin], a multiple of 1/64 px. */
static double draw_position(struct ps_random *random, int size, double margin)
{
    double low = ceil(margin * 64), high = floor((size - 1 - margin) * 64);
    return floor(ps_random_uniform(random, low, high + 1)) / 64;
}

/* Random sequential placement, until there are `wanted` or no free position is found. */
static void place_particles(struct ps_scene *scene, const struct ps_scene_options *options,
                            const struct cells *cells, size_t wanted, struct ps_random *random)
{
    double margin = options->diameter / 2, clear = options->diameter * (0.5 + CLEARANCE);
    int tries = 0;
    while (scene->particle_count < wanted && tries++ < TRIES) {
        struct ps_centre place = {draw_position(random, options->width, margin),
                                  draw_position(random, options->height, margin)};
        if (!is_clean(scene, place, clear) ||
            !is_free(cells, scene->particles, place, PS_SCENE_SPACING * options->diameter))
            continue;
        scene->particles[scene->particle_count++] = place;
        size_t cell = (size_t)cell_of(place.y, cells->side) * (size_t)cells->columns +
                      (size_t)cell_of(place.x, cells->side);
        cells->centre[cell] = scene->particle_count;
        tries = 0;
    }
}

int ps_scene_init(struct ps_scene *ret_scene, const struct ps_scene_options *options, uint64_t seed,
                  uint64_t index, struct ps_error *error)
{
    struct ps_scene scene = {.crystal_count = options->crystals};
    struct ps_random carbon = ps_random_new(seed, index, PS_STREAM_CARBON);
    struct ps_random crystals = ps_random_new(seed, index, PS_STREAM_CRYSTALS);
    struct ps_random places = ps_random_new(seed, index, PS_STREAM_PLACES);

    struct cells cells = {.side = PS_SCENE_SPACING * options->diameter / M_SQRT2};
    cells.columns = cell_of(options->width, cells.side) + 1;
    cells.rows = cell_of(options->height, cells.side) + 1;
    size_t cell_count = (size_t)cells.columns * (size_t)cells.rows;
    size_t wanted = ps_random_poisson(&places, options->particles);
    if (wanted > cell_count)
        wanted = cell_count;

    cells.centre = calloc(cell_count, sizeof *cells.centre);
    scene.particles = calloc(wanted + 1, sizeof *scene.particles);
    scene.crystals = calloc(options->crystals + 1, sizeof *scene.crystals);
    if (!cells.centre || !scene.particles || !scene.crystals) {
        free(cells.centre);
        ps_scene_done(&scene);
        return ps_fail_memory(error, wanted * sizeof *scene.particles, "a synthetic scene");
    }
    if (options->hole_radius > 0)
        scene.hole = draw_hole(options, &carbon);
    for (size_t i = 0; i < scene.crystal_count; i++)
        scene.crystals[i] = draw_crystal(options, &crystals);
    if (options->diameter <= fmin(options->width, options->height) - 1)
        place_particles(&scene, options, &cells, wanted, &places);
    free(cells.centre);
    *ret_scene = scene;
    return 0;
}

void ps_scene_done(struct ps_scene *scene)
{
    free(scene->particles);
    free(scene->crystals);
    *scene = (struct ps_scene){0};
}
