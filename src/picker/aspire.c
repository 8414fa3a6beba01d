#include "picker/aspire.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Section 2: rows and columns that the reference cuts off before and after. */
enum { MARGIN_BEFORE = 99, MARGIN_AFTER = 100 };

/* Section 1: the side of the micrograph that the default tau are made for, in px. */
enum { TAU_SIDE = 4000 };

/* px; larger than any micrograph, and small enough to compute with */
static const double LARGEST_PARTICLE = 1e6;

/* ---- parameters -------------------------------------------------------------------------------
 */

static int or_default(int set, int fallback)
{
    return set ? set : fallback;
}

static int tau_parameters(const struct ps_config *config, int query_image_size,
                          struct ps_aspire *parameters, struct ps_error *error)
{
    int windows = parameters->queries * parameters->queries;
    double basis = 4.0 * TAU_SIDE * TAU_SIDE / query_image_size / query_image_size;
    if ((int)(0.3 * basis) > windows)
        basis = windows;
    parameters->tau1 = or_default(config->picker.tau1, (int)(0.03 * basis));
    parameters->tau2 = or_default(config->picker.tau2, (int)(0.3 * basis));
    if (parameters->tau1 > windows || parameters->tau2 > windows)
        return ps_fail(error, PS_E_INPUT,
                       "has %d windows to rank, fewer than tau1 = %d or tau2 = %d: leave them at 0 "
                       "for 3 %% and 30 %%",
                       windows, parameters->tau1, parameters->tau2);
    return 0;
}

int ps_aspire_parameters(const struct ps_config *config, double diameter, int width, int height,
                         struct ps_aspire *ret_parameters, struct ps_error *error)
{
    /* remainder and rint round ties to even, as the reference does */
    int particle = (int)rint(fmin(diameter, LARGEST_PARTICLE));
    int two_thirds = (int)rint(2.0 * particle / 3.0);
    int query_image_size = or_default(config->picker.query_image_size, two_thirds - two_thirds % 4);
    struct ps_aspire p = {
        .query = query_image_size / 2 / 2 * 2,
        .largest = or_default(config->picker.max_particle_size, 2 * particle) / 2,
        .smallest = or_default(config->picker.min_particle_size, particle / 4) / 2,
        .overlap = or_default(config->picker.minimum_overlap_amount, particle / 10) / 2,
        .container = or_default(config->picker.container_size, 450) / 2,
    };
    if (p.query < 2)
        return ps_fail(error, PS_E_INPUT,
                       "a particle diameter of %.4g px leaves no window: at least 6 px expected",
                       diameter);
    int margins = MARGIN_BEFORE + MARGIN_AFTER;
    int shorter = width < height ? width : height;
    p.crop = (struct ps_crop){MARGIN_BEFORE, MARGIN_BEFORE, shorter - margins};
    p.side = p.crop.side_px / 2;
    if (p.side < 2 * p.query)
        return ps_fail(error, PS_E_INPUT,
                       "too small: %d x %d px, at least %d x %d expected for two windows at a "
                       "particle diameter of %.4g px",
                       width, height, 4 * p.query + margins, 4 * p.query + margins, diameter);
    if (p.container <= p.query)
        p.container = 2 * p.query;
    if (p.container > p.side)
        p.container = p.side;
    p.queries = p.side / (p.query / 2) - 1;
    int status = tau_parameters(config, query_image_size, &p, error);
    if (status == 0)
        *ret_parameters = p;
    return status;
}

/* ---- training set -----------------------------------------------------------------------------
 */

int ps_aspire_rank(const int32_t *score, int queries, int references, int *ret_ranked,
                   struct ps_error *error)
{
    /* Counting sort: place[s] is where the next window of score s goes. */
    size_t bytes = ((size_t)references + 2) * sizeof(size_t);
    size_t *place = calloc(1, bytes);
    if (!place)
        return ps_fail_memory(error, bytes, "ranks");
    size_t windows = (size_t)queries * (size_t)queries;
    for (size_t i = 0; i < windows; i++)
        place[score[i]]++;
    size_t before = 0;
    for (int s = references; s >= 0; s--) {
        size_t count = place[s];
        place[s] = before;
        before += count;
    }
    for (int column = 0; column < queries; column++) {
        for (int row = 0; row < queries; row++) {
            int window = row * queries + column;
            ret_ranked[place[score[window]]++] = window;
        }
    }
    free(place);
    return 0;
}

/* Windows lie at multiples of half their side and tiles at multiples of their side: a mask of
 * blocks of half a side holds all that the masks of pixels would. */
struct blocks {
    uint8_t *painted;
    int per_side;
};

static void paint(const struct blocks *blocks, const int *ranked, int count, int queries,
                  uint8_t mark)
{
    for (int i = 0; i < count; i++) {
        uint8_t *block = blocks->painted +
                         (size_t)(ranked[i] / queries) * (size_t)blocks->per_side +
                         ranked[i] % queries;
        block[0] |= mark;
        block[1] |= mark;
        block[blocks->per_side] |= mark;
        block[blocks->per_side + 1] |= mark;
    }
}

enum { BEST = 1, NOT_WORST = 2 };

static size_t collect_tiles(const struct ps_aspire *p, const struct blocks *blocks, bool positive,
                            int (*ret_tiles)[2])
{
    size_t count = 0;
    int tiles = p->side / p->query;
    for (int column = 0; column < tiles; column++) {
        for (int row = 0; row < tiles; row++) {
            const uint8_t *block =
                blocks->painted + (size_t)(2 * row) * (size_t)blocks->per_side + 2 * column;
            const uint8_t *below = block + blocks->per_side;
            bool taken = positive ? (block[0] & block[1] & below[0] & below[1] & BEST) != 0
                                  : ((block[0] | block[1] | below[0] | below[1]) & NOT_WORST) == 0;
            if (taken) {
                ret_tiles[count][0] = row * p->query;
                ret_tiles[count][1] = column * p->query;
                count++;
            }
        }
    }
    return count;
}

int ps_aspire_training_tiles(const struct ps_aspire *parameters, const int *ranked,
                             int (*ret_tiles)[2], size_t *ret_count, size_t *ret_positives,
                             struct ps_error *error)
{
    struct blocks blocks = {.per_side = parameters->queries + 1};
    size_t bytes = (size_t)blocks.per_side * (size_t)blocks.per_side;
    blocks.painted = calloc(1, bytes);
    if (!blocks.painted)
        return ps_fail_memory(error, bytes, "the training mask");
    paint(&blocks, ranked, parameters->tau1, parameters->queries, BEST);
    paint(&blocks, ranked, parameters->tau2, parameters->queries, NOT_WORST);
    *ret_positives = collect_tiles(parameters, &blocks, true, ret_tiles);
    *ret_count =
        *ret_positives + collect_tiles(parameters, &blocks, false, ret_tiles + *ret_positives);
    free(blocks.painted);
    return 0;
}

/* ---- centres ----------------------------------------------------------------------------------
 */

/* Draws the disk of `radius` around a centre, as far as it lies in the canvas; with a NULL canvas
 * only counts the pixels of a whole disk. */
static int64_t draw_disk(uint8_t *canvas, int side, const struct ps_aspire_centre *centre,
                         int radius)
{
    int64_t area = 0;
    for (int dy = -radius; dy <= radius; dy++) {
        int reach = (int)sqrt((double)radius * radius - (double)dy * dy);
        area += 2 * reach + 1;
        if (!canvas || centre->row + dy < 0 || centre->row + dy >= side)
            continue;
        int begin = centre->column - reach > 0 ? centre->column - reach : 0;
        int end = centre->column + reach < side ? centre->column + reach + 1 : side;
        if (begin < end)
            memset(canvas + (size_t)(centre->row + dy) * (size_t)side + begin, 1,
                   (size_t)(end - begin));
    }
    return area;
}

/* Step 4, as it is: the number of a region of drawn disks is taken for the number of a centre. */
static int drop_overlapping(const struct ps_aspire *parameters, int side,
                            struct ps_aspire_centre *centres, size_t *count, struct ps_error *error)
{
    uint8_t *canvas = calloc((size_t)side, (size_t)side);
    if (!canvas)
        return ps_fail_memory(error, (size_t)side * (size_t)side, "overlapping picks");
    for (size_t i = 0; i < *count; i++)
        (void)draw_disk(canvas, side, &centres[i], parameters->overlap);
    struct ps_regions regions = {0};
    int status =
        ps_regions_find(canvas, side, side, (size_t)side, false, PS_CONNECT_8, &regions, error);
    free(canvas);
    if (status)
        return status;
    struct ps_region *disks = calloc(regions.region_count + 1, sizeof *disks);
    if (disks) {
        ps_regions_measure(&regions, disks);
        int64_t whole = draw_disk(NULL, 0, NULL, parameters->overlap);
        size_t kept = 0;
        for (size_t i = 0; i < regions.region_count; i++)
            if (disks[i].area == whole)
                centres[kept++] = centres[i];
        *count = kept;
        free(disks);
    } else {
        status = ps_fail_memory(error, regions.region_count * sizeof *disks, "overlapping picks");
    }
    ps_regions_done(&regions);
    return status;
}

int ps_aspire_centres(const struct ps_aspire *parameters, int side, const struct ps_region *regions,
                      size_t count, struct ps_aspire_centre *ret_centres, size_t *ret_count,
                      struct ps_error *error)
{
    int64_t largest_area = (int64_t)parameters->largest * parameters->largest;
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        double area = (double)regions[i].area;
        if (regions[i].area <= largest_area)
            ret_centres[found++] = (struct ps_aspire_centre){
                (int)rint((double)regions[i].row_sum / area),
                (int)rint((double)regions[i].column_sum / area),
                regions[i].area,
            };
    }
    *ret_count = found > 0 ? found - 1 : 0; /* step 3: the last one is left out */
    if (*ret_count == 0)
        return 0;
    return drop_overlapping(parameters, side, ret_centres, ret_count, error);
}

int ps_aspire_trim_before(const struct ps_aspire *parameters)
{
    return parameters->query / 2 - 1;
}

int ps_aspire_trim_after(const struct ps_aspire *parameters)
{
    return parameters->query / 2;
}

int ps_aspire_coordinate(const struct ps_aspire *parameters, int centre, int crop_begin)
{
    return 2 * (centre + 2 * (parameters->query / 2 - 1) + 1) + crop_begin;
}
