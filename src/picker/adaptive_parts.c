#include "picker/adaptive_parts.h"

#include "base/error.h"
#include "formulas/peaks.h"
#include "picker/adaptive_group.h"
#include "picker/adaptive_refine.h"
#include "picker/adaptive_search.h"

#include <math.h>
#include <stdlib.h>

/* ---- a grid of rectangles ---------------------------------------------------------------------
 */

struct grid {
    int columns;
    int rows;
    int width; /* of a rectangle; those at the right and lower edge can be smaller */
    int height;
};

/* As few rectangles as have `pixels` at most and equal sides, which are multiples of `bin`. */
static struct grid make_grid(const struct ps_image *image, double pixels, int bin)
{
    double side = fmax(sqrt(pixels), 2 * bin);
    struct grid grid = {(int)ceil(image->width / side), (int)ceil(image->height / side), 0, 0};
    grid.width = (int)ceil((double)image->width / grid.columns / bin) * bin;
    grid.height = (int)ceil((double)image->height / grid.rows / bin) * bin;
    return grid;
}

static struct ps_rectangle rectangle_of(const struct grid *grid, const struct ps_image *image,
                                        int i)
{
    struct ps_rectangle r = {i % grid->columns * grid->width, i / grid->columns * grid->height,
                             grid->width, grid->height};
    r.width = r.width < image->width - r.left ? r.width : image->width - r.left;
    r.height = r.height < image->height - r.top ? r.height : image->height - r.top;
    return r;
}

/* ---- the search in parts ----------------------------------------------------------------------
 */

bool ps_adaptive_has_parts(const struct ps_adaptive_run *run)
{
    const struct ps_image *image = run->base->image;
    double area = (double)image->width * image->height / pow(run->base->result->diameter, 2);
    return run->rules->part > 0 && area > 2 * run->rules->part;
}

struct part {
    struct ps_rectangle where;
    size_t unmasked; /* px of the mask */
    double off;      /* squared distance from the middle of the micrograph, px */
};

static int by_promise(const void *left, const void *right)
{
    const struct part *a = left;
    const struct part *b = right;
    if (a->unmasked != b->unmasked)
        return a->unmasked > b->unmasked ? -1 : 1;
    return (a->off > b->off) - (a->off < b->off);
}

/* The part with the least masked is first; of equals the one nearest to the middle. */
static struct part *list_parts(const struct ps_adaptive_run *run, int *ret_count)
{
    const struct ps_image *image = run->base->image;
    double pixels = run->rules->part * pow(run->base->result->diameter, 2);
    struct grid grid = make_grid(image, pixels, 1);
    struct part *parts = calloc((size_t)grid.columns * (size_t)grid.rows, sizeof *parts);
    if (!parts)
        return NULL;
    *ret_count = grid.columns * grid.rows;
    for (int i = 0; i < *ret_count; i++) {
        struct ps_rectangle r = rectangle_of(&grid, image, i);
        parts[i].where = r;
        parts[i].unmasked = ps_adaptive_unmasked_in(run, &r);
        parts[i].off = pow(r.left + r.width / 2.0 - image->width / 2.0, 2) +
                       pow(r.top + r.height / 2.0 - image->height / 2.0, 2);
    }
    qsort(parts, (size_t)*ret_count, sizeof *parts, by_promise);
    return parts;
}

/* So many are tried. The best of many unclear parts may be one of noise, so the whole decides. */
enum { MAX_TRIED = 4 };

int ps_adaptive_search_parts(struct ps_adaptive_run *run, bool *ret_clear)
{
    PS_TRY(ps_adaptive_make_mask(run));
    int count = 0;
    struct part *parts = list_parts(run, &count);
    if (!parts)
        return ps_fail_memory(run->base->error, 0, "parts");
    int status = 0;
    *ret_clear = false;
    for (int i = 0; i < count && i < MAX_TRIED && parts[i].unmasked && status == 0; i++) {
        run->where = parts[i].where;
        status = ps_adaptive_search(run);
        *ret_clear = run->best.peaks && run->best.test.objective >= run->rules->clear;
        if (status || *ret_clear)
            break;
        ps_hypothesis_done(&run->best);
    }
    free(parts);
    if (status == 0 && !*ret_clear)
        ps_adaptive_take_whole(run);
    return status;
}

/* ---- the whole, tile by tile ------------------------------------------------------------------
 */

/* The order of peaks is that of candidates. */
struct candidate {
    struct ps_peak peak; /* px of the field of the whole micrograph */
    double centre[2];
    float responses[PS_CHANNELS];
};

struct candidates {
    struct candidate *items;
    size_t count;
};

/* What a tile needs of its neighbours, in diameters: as far as templates and their smoothing
 * reach. */
static const double MARGIN = 2;

static struct ps_rectangle with_margin(const struct ps_rectangle *tile,
                                       const struct ps_image *image, int margin)
{
    int right = tile->left + tile->width + margin;
    int bottom = tile->top + tile->height + margin;
    struct ps_rectangle r = {.left = tile->left > margin ? tile->left - margin : 0,
                             .top = tile->top > margin ? tile->top - margin : 0};
    r.width = (right < image->width ? right : image->width) - r.left;
    r.height = (bottom < image->height ? bottom : image->height) - r.top;
    return r;
}

/* Whether a position along an axis belongs to the tile; those at the edges have the frame too. */
static bool is_between(int at, int first, int length, int size, int bin)
{
    return (first == 0 || at >= first / bin) &&
           (first + length >= size || at < (first + length) / bin);
}

/* Adds the candidates that run->now has in this field and that lie in the tile. */
static int add_candidates(struct ps_adaptive_run *run, const struct ps_rectangle *tile,
                          struct candidates *all)
{
    const struct ps_hypothesis *h = &run->now;
    const struct ps_image *image = run->base->image;
    struct candidate *grown = realloc(all->items, (all->count + h->count + 1) * sizeof *all->items);
    if (!grown)
        return ps_fail_memory(run->base->error, h->count * sizeof *grown, "candidates");
    all->items = grown;
    int frame = run->field.frame_field_px;
    int left = run->where.left / run->bin;
    int top = run->where.top / run->bin;
    for (size_t i = 0; i < h->count; i++) {
        struct candidate c = {.peak = h->peaks[i]};
        c.peak.x += left;
        c.peak.y += top;
        if (!is_between(c.peak.x - frame, tile->left, tile->width, image->width, run->bin) ||
            !is_between(c.peak.y - frame, tile->top, tile->height, image->height, run->bin))
            continue;
        c.centre[0] = run->centres[i][0] + left;
        c.centre[1] = run->centres[i][1] + top;
        for (int k = 0; k < PS_CHANNELS; k++)
            c.responses[k] = run->responses[k][i];
        all->items[all->count++] = c;
    }
    return 0;
}

/* The refined templates in the field as it is. */
static int match(struct ps_adaptive_run *run)
{
    struct ps_group group = {.run = run, .count = 1, .hypotheses = {&run->now}};
    ps_adaptive_forget_candidates(run);
    int status = ps_group_scale(&group);
    if (status == 0)
        status = ps_group_match(&group);
    if (status == 0 && run->now.clean)
        status = ps_group_find_all(&group);
    if (status == 0)
        ps_group_keep(&group);
    ps_group_forget(&group);
    return status ? status : ps_adaptive_describe_candidates(run);
}

static int apply_to_tile(struct ps_adaptive_run *run, const struct ps_rectangle *tile,
                         struct candidates *all)
{
    const struct ps_picking *base = run->base;
    int margin = (int)ceil(MARGIN * base->result->diameter / run->bin) * run->bin;
    run->where = with_margin(tile, base->image, margin);
    if (ps_adaptive_unmasked_in(run, &run->where) == 0)
        return 0;
    int status = ps_adaptive_reduce(run, ps_adaptive_fine_of(run));
    if (status == 0)
        status = match(run);
    return status ? status : add_candidates(run, tile, all);
}

/* Neighbours that two tiles found are one candidate. Makes the rest the run's. */
static int take_candidates(struct ps_adaptive_run *run, struct candidates *all)
{
    struct ps_hypothesis *h = &run->now;
    struct ps_error *error = run->base->error;
    ps_adaptive_forget_candidates(run);
    qsort(all->items, all->count, sizeof *all->items, ps_peak_order);
    size_t bytes = (all->count + 1) * sizeof(struct ps_peak);
    h->peaks = malloc(bytes);
    run->centres = malloc((all->count + 1) * sizeof *run->centres);
    int *kept = malloc((all->count + 1) * sizeof *kept);
    for (int c = 0; c < PS_CHANNELS; c++)
        run->responses[c] = malloc((all->count + 1) * sizeof *run->responses[c]);
    int count = -1;
    if (h->peaks && run->centres && kept && run->responses[0] && run->responses[1]) {
        for (size_t i = 0; i < all->count; i++)
            h->peaks[i] = all->items[i].peak;
        count = ps_peaks_suppress(h->peaks, all->count, run->field.width, run->field.height,
                                  ps_group_distance(run, h), kept);
    }
    for (int i = 0; i < count; i++) {
        const struct candidate *from = &all->items[kept[i]];
        h->peaks[i] = from->peak;
        run->centres[i][0] = from->centre[0];
        run->centres[i][1] = from->centre[1];
        for (int c = 0; c < PS_CHANNELS; c++)
            run->responses[c][i] = from->responses[c];
    }
    free(kept);
    if (count < 0)
        return ps_fail_memory(error, bytes, "candidates");
    h->count = (size_t)count;
    return 0;
}

int ps_adaptive_apply(struct ps_adaptive_run *run)
{
    const struct ps_image *image = run->base->image;
    struct ps_rectangle whole = {0, 0, image->width, image->height};
    run->now.null.beyond = (double)ps_adaptive_unmasked_in(run, &whole) /
                               (double)ps_adaptive_unmasked_in(run, &run->where) -
                           1;
    struct grid grid = make_grid(image, run->rules->tile * run->bin * run->bin, run->bin);
    struct candidates all = {0};
    int status = 0;
    for (int i = 0; i < grid.columns * grid.rows && status == 0; i++) {
        struct ps_rectangle tile = rectangle_of(&grid, image, i);
        status = apply_to_tile(run, &tile, &all);
    }
    run->where = whole;
    run->field.width = image->width / run->bin + 2 * run->field.frame_field_px;
    run->field.height = image->height / run->bin + 2 * run->field.frame_field_px;
    if (status == 0)
        status = take_candidates(run, &all);
    free(all.items);
    return status;
}
