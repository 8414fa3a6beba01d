#include "image/binary.h"

#include "base/error.h"
#include "base/parallel.h"

#include <stdlib.h>
#include <string.h>

/* ---- regions --------------------------------------------------------------------------------- */

/* While regions are being found, run.region is the index of an earlier run of the same region, or
 * of the run itself: a forest whose roots are the first run of each region. */
static int find_root(struct ps_run *runs, int run)
{
    while (runs[run].region != run) {
        runs[run].region = runs[runs[run].region].region;
        run = runs[run].region;
    }
    return run;
}

static void unite(struct ps_run *runs, int a, int b)
{
    a = find_root(runs, a);
    b = find_root(runs, b);
    if (a < b)
        runs[b].region = a;
    else
        runs[a].region = b;
}

static int append_row_runs(const uint8_t *row, int width, int y, bool background,
                           struct ps_regions *regions, size_t *capacity, struct ps_error *error)
{
    for (int x = 0; x < width;) {
        if ((row[x] != 0) == background) {
            x++;
            continue;
        }
        int begin = x;
        while (x < width && (row[x] != 0) != background)
            x++;
        if (regions->run_count == *capacity) {
            size_t grown = *capacity ? *capacity * 2 : 1024;
            struct ps_run *runs = realloc(regions->runs, grown * sizeof *runs);
            if (!runs)
                return ps_fail_memory(error, grown * sizeof *runs, "the runs of a mask");
            regions->runs = runs;
            *capacity = grown;
        }
        int index = (int)regions->run_count++;
        regions->runs[index] = (struct ps_run){y, begin, x, index};
    }
    return 0;
}

int ps_regions_find(const uint8_t *mask, int width, int height, size_t stride, bool background,
                    enum ps_connectivity connectivity, struct ps_regions *ret_regions,
                    struct ps_error *error)
{
    struct ps_regions regions = {0};
    size_t capacity = 0;
    size_t above = 0; /* first run of the previous row */
    int reach = connectivity == PS_CONNECT_8 ? 1 : 0;
    for (int y = 0; y < height; y++) {
        size_t here = regions.run_count;
        int status = append_row_runs(mask + (size_t)y * stride, width, y, background, &regions,
                                     &capacity, error);
        if (status) {
            ps_regions_done(&regions);
            return status;
        }
        size_t a = above;
        size_t b = here;
        while (a < here && b < regions.run_count) {
            const struct ps_run *upper = &regions.runs[a];
            const struct ps_run *lower = &regions.runs[b];
            if (upper->begin < lower->end + reach && lower->begin < upper->end + reach)
                unite(regions.runs, (int)a, (int)b);
            if (upper->end < lower->end)
                a++;
            else
                b++;
        }
        above = here;
    }
    /* Roots come before their members, so one pass in scan order numbers them all. */
    for (size_t i = 0; i < regions.run_count; i++) {
        int parent = regions.runs[i].region;
        regions.runs[i].region =
            (size_t)parent == i ? (int)regions.region_count++ : regions.runs[parent].region;
    }
    *ret_regions = regions;
    return 0;
}

void ps_regions_done(struct ps_regions *regions)
{
    free(regions->runs);
    *regions = (struct ps_regions){0};
}

void ps_regions_measure(const struct ps_regions *regions, struct ps_region *ret_measures)
{
    memset(ret_measures, 0, regions->region_count * sizeof *ret_measures);
    for (size_t i = 0; i < regions->run_count; i++) {
        const struct ps_run *run = &regions->runs[i];
        struct ps_region *measure = &ret_measures[run->region];
        int64_t length = run->end - run->begin;
        measure->area += length;
        measure->row_sum += run->row * length;
        measure->column_sum += (int64_t)(run->begin + run->end - 1) * length / 2;
    }
}

/* ---- holes ----------------------------------------------------------------------------------- */

int ps_binary_fill_holes(uint8_t *mask, int width, int height, size_t *ret_set,
                         struct ps_error *error)
{
    struct ps_regions regions;
    int status =
        ps_regions_find(mask, width, height, (size_t)width, true, PS_CONNECT_4, &regions, error);
    if (status)
        return status;
    bool *open = calloc(regions.region_count + 1, sizeof *open);
    if (!open) {
        ps_regions_done(&regions);
        return ps_fail_memory(error, regions.region_count, "the holes of a mask");
    }
    for (size_t i = 0; i < regions.run_count; i++) {
        const struct ps_run *run = &regions.runs[i];
        if (run->row == 0 || run->row == height - 1 || run->begin == 0 || run->end == width)
            open[run->region] = true;
    }
    size_t set = (size_t)width * (size_t)height;
    for (size_t i = 0; i < regions.run_count; i++) {
        const struct ps_run *run = &regions.runs[i];
        size_t length = (size_t)(run->end - run->begin);
        if (open[run->region])
            set -= length;
        else
            memset(mask + (size_t)run->row * (size_t)width + run->begin, 1, length);
    }
    free(open);
    ps_regions_done(&regions);
    *ret_set = set;
    return 0;
}

/* ---- erosion --------------------------------------------------------------------------------- */

struct erosion {
    const uint8_t *mask;
    int width;
    int height;
    const int *radii;
    int radius_count;
    uint8_t *levels;
    int *vertical; /* distance to the nearest unset pixel of the same column, px */
    int *envelope; /* per thread: two arrays of `width` */
};

enum { COLUMNS_PER_PIECE = 256, ROWS_PER_PIECE = 16 };

static void vertical_distances(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct erosion *e = context;
    size_t width = (size_t)e->width;
    size_t first = piece * COLUMNS_PER_PIECE;
    size_t last = first + COLUMNS_PER_PIECE < width ? first + COLUMNS_PER_PIECE : width;
    for (int y = 0; y < e->height; y++) {
        const uint8_t *mask = e->mask + (size_t)y * width;
        int *here = e->vertical + (size_t)y * width;
        const int *above = here - width;
        for (size_t x = first; x < last; x++)
            here[x] = mask[x] ? (y ? above[x] : 0) + 1 : 0;
    }
    for (int y = e->height - 1; y >= 0; y--) {
        int *here = e->vertical + (size_t)y * width;
        const int *below = here + width;
        for (size_t x = first; x < last; x++) {
            int up = (y < e->height - 1 ? below[x] : 0) + 1;
            here[x] = here[x] < up ? here[x] : up;
        }
    }
}

static int64_t square(int64_t x)
{
    return x * x;
}

/* The column where the parabola of column i > u takes over from that of column u: the last x at
 * which (x - u)^2 + g(u)^2 <= (x - i)^2 + g(i)^2. Division rounds down: both signs occur. */
static int64_t separation(const int *g, int i, int u)
{
    int64_t numerator = square(i) - square(u) + square(g[i]) - square(g[u]);
    int64_t denominator = 2 * ((int64_t)i - u);
    int64_t quotient = numerator / denominator;
    return quotient - (numerator % denominator < 0);
}

static void row_levels(const struct erosion *e, int y, int *site, int *start)
{
    int width = e->width;
    const int *g = e->vertical + (size_t)y * (size_t)width;
    uint8_t *levels = e->levels + (size_t)y * (size_t)width;
    int q = 0;
    site[0] = 0;
    start[0] = 0;
    for (int i = 1; i < width; i++) {
        while (q >= 0 && square(start[q] - site[q]) + square(g[site[q]]) >
                             square(start[q] - i) + square(g[i]))
            q--;
        if (q < 0) {
            q = 0;
            site[0] = i;
        } else {
            int64_t next = 1 + separation(g, i, site[q]);
            if (next < width) {
                q++;
                site[q] = i;
                start[q] = (int)next;
            }
        }
    }
    for (int x = width - 1; x >= 0; x--) {
        int64_t inside = square(x - site[q]) + square(g[site[q]]);
        /* unset pixels beyond the left and the right border */
        int64_t border = x + 1 < width - x ? x + 1 : width - x;
        int64_t distance = inside < square(border) ? inside : square(border);
        uint8_t level = 0;
        while (level < e->radius_count && distance > square(e->radii[level]))
            level++;
        levels[x] = level;
        if (x == start[q])
            q--;
    }
}

static void erode_rows(void *context, int thread, size_t piece)
{
    const struct erosion *e = context;
    int *site = e->envelope + (size_t)thread * 2 * (size_t)e->width;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < e->height; y++)
        row_levels(e, y, site, site + e->width);
}

int ps_binary_erosion_levels(const uint8_t *mask, int width, int height, const int *radii,
                             int count, int threads, uint8_t *ret_levels, struct ps_error *error)
{
    size_t pixels = (size_t)width * (size_t)height;
    size_t bytes = (pixels + (size_t)threads * 2 * (size_t)width) * sizeof(int);
    int *memory = malloc(bytes);
    if (!memory)
        return ps_fail_memory(error, bytes, "the distance transform");
    struct erosion e = {
        mask, width, height, radii, count, ret_levels, memory, memory + pixels,
    };
    ps_parallel(threads, ((size_t)width + COLUMNS_PER_PIECE - 1) / COLUMNS_PER_PIECE,
                vertical_distances, &e);
    ps_parallel(threads, ((size_t)height + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, erode_rows, &e);
    free(memory);
    return 0;
}
