/* Step 4 of the adaptive profile on the GPU: energy channels, and what correlation needs of each
 * window, for all levels at once. */
#include "backend/cuda/adaptive.h"

/* ---- memory -----------------------------------------------------------------------------------
 */

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static int scale_reserve(struct cuda_slot *slot, struct ps_error *error)
{
    enum { PIXELS_PER_MAXIMUM = 8, MIN_CAPACITY = 1024 };
    struct cuda_adaptive *a = slot->adaptive;
    size_t map = a->stride * sizeof(float);
    size_t image = adaptive_image_floats(a) * sizeof(float);
    size_t levels = (size_t)a->levels;
    size_t items = (size_t)a->items;
    size_t spare = (size_t)max_int(6 * a->levels, 2 * a->items);
    size_t stack = 1 + levels + (size_t)max_int(6 * a->levels + 1, 2 * a->items);
    const struct {
        enum adaptive_buffer buffer;
        size_t bytes;
    } buffers[] = {
        {ENERGY, levels * map},
        {INVERSE, 2 * levels * map},
        {LOCAL, 2 * levels * map},
        {MEAN, levels * map},
        {DEVIATION, levels * map},
        {RESPONSE, 2 * items * map},
        {RAW, items * map},
        {SCORE, items * map},
        {SPARE, spare * map},
        {STACK, stack * image},
        {SUMS, cuda_round_up_pow2(2 * items * adaptive_cut_sums(a) * sizeof(struct ps_cut_sums))},
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        PS_TRY(adaptive_reserve(slot, buffers[i].buffer, buffers[i].bytes, error));
    a->capacity = adaptive_pixels(a) / PIXELS_PER_MAXIMUM + MIN_CAPACITY;
    return 0;
}

/* ---- step 4 -----------------------------------------------------------------------------------
 */

static int scale_median(struct cuda_slot *slot, enum adaptive_buffer maps, int count,
                        struct ps_error *error)
{
    struct ps_order_jobs jobs = adaptive_order_jobs(slot, maps, count, true);
    return CU(ps_launch_adaptive_median(&jobs, slot->adaptive->buffers[ORDER].data, slot->stream));
}

/* Two filters per level. Input `in`, NULL for the level's energy; output in spare map 2 level +
 * filter, or, for the first filter if `first_to_energy`, in the level's energy. */
static struct ps_filter_jobs two_gaussians(const struct cuda_adaptive *a,
                                           const enum adaptive_gauss gauss[2], const float *in[2],
                                           bool first_to_energy)
{
    struct ps_filter_jobs jobs = adaptive_filter_jobs(a);
    jobs.count = 2 * a->levels;
    for (int i = 0; i < jobs.count; i++) {
        int level = i / 2;
        bool to_energy = first_to_energy && i % 2 == 0;
        float *energy = adaptive_map(a, ENERGY, level);
        jobs.job[i] = (struct ps_filter_job){
            .in = in[i % 2] ? in[i % 2] : energy,
            .passing = adaptive_map(a, SPARE, 2 * a->levels + i),
            .out = to_energy ? energy : adaptive_map(a, SPARE, i),
            .weights = a->level[level].weights[gauss[i % 2]],
            .radius = a->level[level].radii[gauss[i % 2]],
        };
    }
    return jobs;
}

/* Energy of fine detail, smoothed, as a mean over the unmasked pixels. */
static int make_detail(struct cuda_slot *slot, struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    const float *image = a->buffers[INTENSITY].data;
    const float *weight = a->buffers[WEIGHT].data;
    struct ps_filter_jobs details =
        two_gaussians(a, (const enum adaptive_gauss[]){GAUSS_FINE, GAUSS_COARSE},
                      (const float *[]){image, image}, false);
    struct ps_filter_jobs smoothing =
        two_gaussians(a, (const enum adaptive_gauss[]){GAUSS_TENTH, GAUSS_TENTH},
                      (const float *[]){NULL, weight}, true);
    struct ps_pixel_jobs squares = adaptive_pixel_jobs(a);
    squares.count = a->levels;
    struct ps_pixel_jobs shares = squares;
    for (int i = 0; i < a->levels; i++) {
        float *energy = adaptive_map(a, ENERGY, i);
        squares.job[i] = (struct ps_pixel_job){
            .in = adaptive_map(a, SPARE, 2 * i),
            .other = adaptive_map(a, SPARE, 2 * i + 1),
            .weight = weight,
            .out = energy,
        };
        shares.job[i] = (struct ps_pixel_job){
            .in = energy,
            .other = adaptive_map(a, SPARE, 2 * i + 1),
            .out = energy,
        };
    }
    PS_TRY(CU(ps_launch_adaptive_gauss(&details, slot->stream)));
    PS_TRY(CU(ps_launch_adaptive_detail(&squares, slot->stream)));
    PS_TRY(CU(ps_launch_adaptive_gauss(&smoothing, slot->stream)));
    return CU(ps_launch_adaptive_divide(&shares, slot->stream));
}

static int make_energy(struct cuda_slot *slot, struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_pixel_jobs energies = adaptive_spread_jobs(a, ENERGY, a->levels, true);
    int sides[PS_MAX_LEVELS];
    for (int i = 0; i < a->levels; i++)
        sides[i] = ps_box_side(PS_ENERGY_SURROUND * a->level[i].diameter_field_px);
    PS_TRY(make_detail(slot, error));
    PS_TRY(scale_median(slot, ENERGY, a->levels, error));
    PS_TRY(CU(ps_launch_adaptive_logarithm(&energies, slot->stream)));
    PS_TRY(scale_median(slot, ENERGY, a->levels, error));
    PS_TRY(CU(ps_launch_adaptive_centre(&energies, slot->stream)));
    PS_TRY(adaptive_background(slot, ENERGY, a->levels, sides, 1, error));
    return adaptive_normalise(slot, ENERGY, a->levels, PS_ENERGY_CLIP, error);
}

/* ---- norms of windows -------------------------------------------------------------------------
 */

/* Images of the stack: the channels, which stay; their squares; the disks; the correlations of both
 * with the disks. Channel 0 is the intensity, channel 1 + level the energy of a level. */
static int norms_of_levels(struct cuda_slot *slot, struct ps_error *error)
{
    _Static_assert(4 * PS_MAX_LEVELS <= PS_MAX_JOBS, "products of all levels");
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_adaptive_maps maps = adaptive_maps(a);
    struct ps_image_jobs images = {.count = 2 + 3 * a->levels};
    int squares = 1 + a->levels;
    int disks = 2 * squares;
    int results = images.count;
    for (int i = 0; i <= a->levels; i++) {
        const float *field = i ? adaptive_map(a, ENERGY, i - 1) : a->buffers[INTENSITY].data;
        images.job[i].field = images.job[squares + i].field = field;
        images.job[squares + i].squared = 1;
    }
    struct ps_product_jobs products = {.count = 4 * a->levels};
    for (int i = 0; i < a->levels; i++) {
        images.job[disks + i].level = i;
        for (int k = 0; k < 4; k++) { /* intensity, energy: of the squares, of the channel */
            int channel = k < 2 ? 0 : 1 + i;
            int from = k % 2 ? channel : squares + channel;
            products.job[4 * i + k].image = (const float2 *)adaptive_image(a, from);
            products.job[4 * i + k].template_ = (const float2 *)adaptive_image(a, disks + i);
            products.job[4 * i + k].out = (float2 *)adaptive_image(a, results + 4 * i + k);
        }
    }
    PS_TRY(CU(ps_launch_adaptive_images(&maps, &images, a->buffers[STACK].data, slot->stream)));
    PS_TRY(adaptive_transform(slot, 0, images.count, true, error));
    PS_TRY(CU(ps_launch_adaptive_multiply(&maps, &products, slot->stream)));
    PS_TRY(adaptive_transform(slot, results, products.count, false, error));
    return CU(
        ps_launch_adaptive_norms(&maps, 2 * a->levels, adaptive_image(a, results), slot->stream));
}

static int make_norms(struct cuda_slot *slot, struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    PS_TRY(norms_of_levels(slot, error));
    PS_TRY(scale_median(slot, INVERSE, 2 * a->levels, error));
    struct ps_pixel_jobs inverses = adaptive_spread_jobs(a, INVERSE, 2 * a->levels, true);
    return CU(ps_launch_adaptive_inverse(&inverses, slot->stream));
}

/* ---- mean and deviation -----------------------------------------------------------------------
 */

static int make_moments(struct cuda_slot *slot, struct ps_error *error)
{
    enum { BOXES = 3 }; /* of intensity, squared intensity, weight */
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_filter_jobs boxes = adaptive_filter_jobs(a);
    boxes.count = BOXES * a->levels;
    for (int i = 0; i < boxes.count; i++)
        boxes.job[i] = (struct ps_filter_job){
            .in = a->buffers[i % BOXES < 2 ? INTENSITY : WEIGHT].data,
            .passing = adaptive_map(a, SPARE, boxes.count + i),
            .out = adaptive_map(a, SPARE, i),
            .radius = ps_box_side(a->level[i / BOXES].diameter_field_px) / 2,
            .squared = i % BOXES == 1,
        };
    PS_TRY(CU(ps_launch_adaptive_box(&boxes, slot->stream)));
    return CU(ps_launch_adaptive_deviation(a->buffers[SPARE].data, a->stride, adaptive_pixels(a),
                                           a->levels, a->buffers[MEAN].data,
                                           a->buffers[DEVIATION].data, slot->stream));
}

/* ---- the stage --------------------------------------------------------------------------------
 */

static int scale_check(const struct cuda_adaptive *a, struct ps_error *error)
{
    for (int i = 0; i < a->levels; i++) {
        const struct adaptive_level *level = &a->level[i];
        int box = ps_box_side(PS_ENERGY_SURROUND * level->diameter_field_px) / 2;
        if (level->rings > PS_MAX_RINGS || box > PS_MAX_BOX_RADIUS)
            return ps_fail(error, PS_E_BUG, "a template of %d rings", level->rings);
        if (level->diameter_field_px > a->max_diameter_field_px)
            return ps_fail(error, PS_E_BUG, "a diameter of %g px, at most %g px expected",
                           level->diameter_field_px, a->max_diameter_field_px);
    }
    return 0;
}

static int make_levels(struct cuda_slot *slot, struct ps_error *error)
{
    PS_TRY(scale_check(slot->adaptive, error));
    PS_TRY(scale_reserve(slot, error));
    PS_TRY(adaptive_send_levels(slot, error));
    PS_TRY(make_energy(slot, error));
    PS_TRY(make_moments(slot, error));
    return make_norms(slot, error);
}

int cuda_adaptive_scale(struct ps_slot *base, const double *diameters_field_px, int count,
                        struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_adaptive *a = slot->adaptive;
    if (count > PS_MAX_ITEMS)
        return ps_fail(error, PS_E_BUG, "%d batch items, at most %d expected", count, PS_MAX_ITEMS);
    if (count <= a->items && adaptive_find_levels(a, diameters_field_px, count, false))
        return 0;
    a->levels = 0;
    a->items = count;
    if (!adaptive_find_levels(a, diameters_field_px, count, true)) {
        a->levels = 0;
        return ps_fail(error, PS_E_BUG, "more than %d diameters at once", PS_MAX_LEVELS);
    }
    int status = make_levels(slot, error);
    if (status)
        a->levels = a->items = 0;
    return status;
}
