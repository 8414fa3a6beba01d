/* Regions, holes and erosions of masks, against definitions applied pixel by pixel. */
#include "image/binary.h"
#include "synth/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Shapes that runs, pieces of columns and pieces of rows divide differently. */
static const int shapes[][2] = {{1, 1},   {1, 2},  {2, 1},   {1, 37},  {37, 1}, {2, 2},  {3, 5},
                                {16, 16}, {17, 9}, {31, 33}, {64, 47}, {5, 61}, {257, 3}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct mask {
    int width;
    int height;
    uint8_t *pixels;
};

static struct mask mask_new(int width, int height)
{
    struct mask mask = {width, height, calloc((size_t)width * (size_t)height, 1)};
    assert_non_null(mask.pixels);
    return mask;
}

static size_t pixel_count(const struct mask *mask)
{
    return (size_t)mask->width * (size_t)mask->height;
}

static size_t at(const struct mask *mask, int x, int y)
{
    return (size_t)y * (size_t)mask->width + (size_t)x;
}

static bool inside(const struct mask *mask, int x, int y)
{
    return x >= 0 && x < mask->width && y >= 0 && y < mask->height;
}

/* Any value but 0 is set. */
static struct mask mask_random(struct ps_random *random, int width, int height, double density)
{
    struct mask mask = mask_new(width, height);
    for (size_t i = 0; i < pixel_count(&mask); i++)
        mask.pixels[i] = ps_random_uniform(random, 0, 1) < density
                             ? (uint8_t)(1 + ps_random_bits(random) % 255)
                             : 0;
    return mask;
}

/* Few large blobs rather than grains: what erosion meets. */
static struct mask mask_blobs(struct ps_random *random, int width, int height, int blobs)
{
    struct mask mask = mask_new(width, height);
    for (int i = 0; i < blobs; i++) {
        double cx = ps_random_uniform(random, -3, width + 3);
        double cy = ps_random_uniform(random, -3, height + 3);
        double radius = ps_random_uniform(random, 1, 17);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                if ((x - cx) * (x - cx) + (y - cy) * (y - cy) <= radius * radius)
                    mask.pixels[at(&mask, x, y)] = 1;
    }
    return mask;
}

/* ---- regions --------------------------------------------------------------------------------- */

/* Paints the region of (x, y) with `label`, by a stack of pixels. */
static struct ps_region flood(const struct mask *mask, bool background,
                              enum ps_connectivity connectivity, int x, int y, int label,
                              int *labels)
{
    int(*stack)[2] = calloc(pixel_count(mask) * 8 + 1, sizeof *stack);
    size_t depth = 1;
    stack[0][0] = x;
    stack[0][1] = y;
    struct ps_region region = {0};
    while (depth > 0) {
        depth--;
        x = stack[depth][0];
        y = stack[depth][1];
        if (!inside(mask, x, y) || labels[at(mask, x, y)] >= 0 ||
            (mask->pixels[at(mask, x, y)] == 0) != background)
            continue;
        labels[at(mask, x, y)] = label;
        region.area++;
        region.row_sum += y;
        region.column_sum += x;
        for (int dy = -1; dy <= 1; dy++) {
            for (int dx = -1; dx <= 1; dx++) {
                if ((dx == 0 && dy == 0) || (connectivity == PS_CONNECT_4 && dx != 0 && dy != 0))
                    continue;
                stack[depth][0] = x + dx;
                stack[depth][1] = y + dy;
                depth++;
            }
        }
    }
    free(stack);
    return region;
}

/* Numbers every pixel by its region, in scan order; -1 outside. Returns how many. */
static size_t label_by_flood(const struct mask *mask, bool background,
                             enum ps_connectivity connectivity, int *ret_labels,
                             struct ps_region *ret_regions)
{
    int count = 0;
    for (size_t i = 0; i < pixel_count(mask); i++)
        ret_labels[i] = -1;
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++)
            if ((mask->pixels[at(mask, x, y)] == 0) == background &&
                ret_labels[at(mask, x, y)] < 0) {
                ret_regions[count] = flood(mask, background, connectivity, x, y, count, ret_labels);
                count++;
            }
    return (size_t)count;
}

static void check_regions(const struct mask *mask, bool background,
                          enum ps_connectivity connectivity)
{
    struct ps_error error;
    struct ps_regions regions;
    if (ps_regions_find(mask->pixels, mask->width, mask->height, (size_t)mask->width, background,
                        connectivity, &regions, &error))
        fail_msg("%s", error.message);
    size_t pixels = pixel_count(mask);
    int *expected = calloc(pixels, sizeof *expected);
    struct ps_region *expected_regions = calloc(pixels, sizeof *expected_regions);
    size_t count = label_by_flood(mask, background, connectivity, expected, expected_regions);
    assert_int_equal(regions.region_count, count);

    int *labels = malloc(pixels * sizeof *labels);
    memset(labels, -1, pixels * sizeof *labels);
    for (size_t i = 0; i < regions.run_count; i++)
        for (int x = regions.runs[i].begin; x < regions.runs[i].end; x++)
            labels[at(mask, x, regions.runs[i].row)] = regions.runs[i].region;
    assert_memory_equal(labels, expected, pixels * sizeof *labels);

    struct ps_region *measured = calloc(pixels, sizeof *measured);
    ps_regions_measure(&regions, measured);
    assert_memory_equal(measured, expected_regions, count * sizeof *measured);
    free(measured);
    free(labels);
    free(expected_regions);
    free(expected);
    ps_regions_done(&regions);
}

static void check_regions_all_ways(const struct mask *mask)
{
    for (int background = 0; background < 2; background++) {
        check_regions(mask, background, PS_CONNECT_4);
        check_regions(mask, background, PS_CONNECT_8);
    }
}

static void finds_the_regions_a_flood_finds(void **state)
{
    (void)state;
    struct ps_random random = ps_random_new(1, 0, 0);
    const double densities[] = {0, 0.05, 0.3, 0.45, 0.6, 0.9, 1};
    for (size_t s = 0; s < SHAPES; s++) {
        for (size_t d = 0; d < sizeof densities / sizeof *densities; d++) {
            struct mask mask = mask_random(&random, shapes[s][0], shapes[s][1], densities[d]);
            check_regions_all_ways(&mask);
            free(mask.pixels);
        }
    }
}

/* Shapes whose parts meet only in later rows: spiral, comb, and checkers, which only the corners
 * join. */
static void joins_what_meets_late(void **state)
{
    (void)state;
    struct mask comb = mask_new(41, 30);
    struct mask checkers = mask_new(23, 19);
    struct mask spiral = mask_new(33, 33);
    for (int y = 0; y < comb.height; y++)
        for (int x = 0; x < comb.width; x++)
            comb.pixels[at(&comb, x, y)] = x % 2 == 0 || y == comb.height - 1;
    for (int y = 0; y < checkers.height; y++)
        for (int x = 0; x < checkers.width; x++)
            checkers.pixels[at(&checkers, x, y)] = (x + y) % 2 == 0;
    const int steps[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
    for (int x = 0, y = 0, leg = 0, length = 32; length > 0; leg++) {
        for (int i = 0; i < length; i++, x += steps[leg % 4][0], y += steps[leg % 4][1])
            spiral.pixels[at(&spiral, x, y)] = 1;
        length -= leg > 0 && leg % 2 == 0 ? 2 : 0;
    }
    check_regions_all_ways(&comb);
    check_regions_all_ways(&checkers);
    check_regions_all_ways(&spiral);
    free(comb.pixels);
    free(checkers.pixels);
    free(spiral.pixels);
}

/* A part of a larger mask: columns beyond it are not read. */
static void keeps_to_its_stride(void **state)
{
    (void)state;
    struct ps_random random = ps_random_new(2, 0, 0);
    struct mask whole = mask_random(&random, 60, 40, 0.5);
    struct mask part = mask_new(31, 27);
    const uint8_t *corner = whole.pixels + at(&whole, 13, 7);
    for (int y = 0; y < part.height; y++)
        memcpy(part.pixels + at(&part, 0, y), corner + at(&whole, 0, y), (size_t)part.width);
    struct ps_error error;
    struct ps_regions a;
    struct ps_regions b;
    assert_int_equal(ps_regions_find(corner, 31, 27, 60, false, PS_CONNECT_8, &a, &error), 0);
    assert_int_equal(ps_regions_find(part.pixels, 31, 27, 31, false, PS_CONNECT_8, &b, &error), 0);
    assert_true(a.run_count > 100);
    assert_int_equal(a.run_count, b.run_count);
    assert_int_equal(a.region_count, b.region_count);
    assert_memory_equal(a.runs, b.runs, a.run_count * sizeof *a.runs);
    ps_regions_done(&a);
    ps_regions_done(&b);
    free(whole.pixels);
    free(part.pixels);
}

/* ---- holes ----------------------------------------------------------------------------------- */

static void check_holes(const struct mask *mask)
{
    size_t pixels = pixel_count(mask);
    struct mask filled = mask_new(mask->width, mask->height);
    memcpy(filled.pixels, mask->pixels, pixels);
    struct ps_error error;
    size_t set = 0;
    assert_int_equal(ps_binary_fill_holes(filled.pixels, mask->width, mask->height, &set, &error),
                     0);

    int *labels = malloc(pixels * sizeof *labels);
    for (size_t i = 0; i < pixels; i++)
        labels[i] = -1;
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++)
            if (x == 0 || y == 0 || x == mask->width - 1 || y == mask->height - 1)
                (void)flood(mask, true, PS_CONNECT_4, x, y, 0, labels);
    size_t expected = 0;
    for (size_t i = 0; i < pixels; i++) {
        assert_int_equal(filled.pixels[i] != 0, labels[i] < 0);
        expected += labels[i] < 0;
    }
    assert_int_equal(set, expected);
    free(labels);
    free(filled.pixels);
}

static void fills_what_the_border_cannot_reach(void **state)
{
    (void)state;
    struct ps_random random = ps_random_new(3, 0, 0);
    const double densities[] = {0, 0.2, 0.5, 0.7, 0.85, 1};
    for (size_t s = 0; s < SHAPES; s++) {
        for (size_t d = 0; d < sizeof densities / sizeof *densities; d++) {
            struct mask mask = mask_random(&random, shapes[s][0], shapes[s][1], densities[d]);
            check_holes(&mask);
            free(mask.pixels);
        }
    }
}

/* A ring closed at its corners only holds its hole: background is joined by sides. */
static void diagonal_walls_hold(void **state)
{
    (void)state;
    uint8_t ring[25] = {0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0};
    size_t set = 0;
    struct ps_error error;
    assert_int_equal(ps_binary_fill_holes(ring, 5, 5, &set, &error), 0);
    assert_int_equal(set, 13);
    assert_int_equal(ring[12], 1);
    assert_int_equal(ring[0], 0);
}

/* ---- erosion --------------------------------------------------------------------------------- */

/* The definition, pixel by pixel of the disk. */
static uint8_t level_by_disks(const struct mask *mask, int x, int y, const int *radii, int count)
{
    for (int level = 0; level < count; level++) {
        int64_t radius = radii[level];
        for (int64_t dy = -radius; dy <= radius; dy++)
            for (int64_t dx = -radius; dx <= radius; dx++)
                if (dx * dx + dy * dy <= radius * radius &&
                    (!inside(mask, x + (int)dx, y + (int)dy) ||
                     mask->pixels[at(mask, x + (int)dx, y + (int)dy)] == 0))
                    return (uint8_t)level;
    }
    return (uint8_t)count;
}

static void check_erosion(const struct mask *mask, const int *radii, int count)
{
    size_t pixels = pixel_count(mask);
    uint8_t *levels = malloc(pixels);
    uint8_t *by_three = malloc(pixels);
    struct ps_error error;
    assert_int_equal(ps_binary_erosion_levels(mask->pixels, mask->width, mask->height, radii, count,
                                              1, levels, &error),
                     0);
    assert_int_equal(ps_binary_erosion_levels(mask->pixels, mask->width, mask->height, radii, count,
                                              3, by_three, &error),
                     0);
    assert_memory_equal(by_three, levels, pixels);
    for (int y = 0; y < mask->height; y++)
        for (int x = 0; x < mask->width; x++)
            if (levels[at(mask, x, y)] != level_by_disks(mask, x, y, radii, count))
                fail_msg("(%d, %d) of %d x %d has level %d, expected %d", x, y, mask->width,
                         mask->height, levels[at(mask, x, y)],
                         level_by_disks(mask, x, y, radii, count));
    free(by_three);
    free(levels);
}

static void erodes_as_disks_do(void **state)
{
    (void)state;
    struct ps_random random = ps_random_new(4, 0, 0);
    const int every[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const int few[] = {3, 12};
    const double densities[] = {0, 0.5, 0.97, 1};
    for (size_t s = 0; s < SHAPES; s++) {
        int width = shapes[s][0];
        int height = shapes[s][1];
        for (size_t d = 0; d < 4; d++) {
            struct mask grains = mask_random(&random, width, height, densities[d]);
            check_erosion(&grains, every, 13);
            free(grains.pixels);
        }
        struct mask blobs = mask_blobs(&random, width, height, 4);
        check_erosion(&blobs, every, 13);
        check_erosion(&blobs, few, 2);
        free(blobs.pixels);
    }
}

/* More columns than one piece of work has, and blobs that touch every border. */
static void erodes_across_pieces(void **state)
{
    (void)state;
    struct ps_random random = ps_random_new(5, 0, 0);
    const int radii[] = {0, 2, 5, 9};
    struct mask blobs = mask_blobs(&random, 531, 67, 60);
    check_erosion(&blobs, radii, 4);
    for (size_t i = 0; i < pixel_count(&blobs); i++)
        blobs.pixels[i] = blobs.pixels[i] == 0;
    check_erosion(&blobs, radii, 4);
    free(blobs.pixels);
}

/* Nothing holds a disk that is larger than the image; its centre holds the largest that fits. */
static void survives_huge_radii(void **state)
{
    (void)state;
    const int radii[] = {0, 30, 31, 1000, 100000};
    struct mask full = mask_new(61, 61);
    memset(full.pixels, 1, pixel_count(&full));
    uint8_t *levels = malloc(pixel_count(&full));
    struct ps_error error;
    assert_int_equal(ps_binary_erosion_levels(full.pixels, 61, 61, radii, 5, 2, levels, &error), 0);
    for (int y = 0; y < 61; y++)
        for (int x = 0; x < 61; x++)
            assert_int_equal(levels[at(&full, x, y)], x == 30 && y == 30 ? 2 : 1);
    free(levels);
    free(full.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_regions_a_flood_finds),
        cmocka_unit_test(joins_what_meets_late),
        cmocka_unit_test(keeps_to_its_stride),
        cmocka_unit_test(fills_what_the_border_cannot_reach),
        cmocka_unit_test(diagonal_walls_hold),
        cmocka_unit_test(erodes_as_disks_do),
        cmocka_unit_test(erodes_across_pieces),
        cmocka_unit_test(survives_huge_radii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
