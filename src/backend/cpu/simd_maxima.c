/* Steps 7 and 9 of the adaptive profile: maxima of the score, and averages around them. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"
#include "base/parallel.h"
#include "formulas/peaks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- local maxima -----------------------------------------------------------------------------
 */

enum { ROWS_PER_PIECE = 32 };

struct peak_list {
    struct ps_peak *items;
    size_t count;
    size_t capacity;
    bool failed;
};

struct search {
    const struct cpu_adaptive *a;
    int radius;
    size_t line_bytes;       /* of a thread */
    struct peak_list *lists; /* per piece */
};

static void peaks_append(struct peak_list *list, struct ps_peak peak)
{
    if (list->count == list->capacity) {
        size_t grown = list->capacity ? 2 * list->capacity : 64;
        void *items = realloc(list->items, grown * sizeof *list->items);
        if (!items) {
            list->failed = true;
            return;
        }
        list->items = items;
        list->capacity = grown;
    }
    list->items[list->count++] = peak;
}

/* True if no pixel within `radius` rows and columns is larger. */
static bool is_maximum(const struct cpu_adaptive *a, const float *score, int x, int y, int radius)
{
    size_t width = (size_t)a->field.width;
    float value = score[(size_t)y * width + (size_t)x];
    int left = x - radius > 0 ? x - radius : 0;
    int right = x + radius < a->field.width ? x + radius : a->field.width - 1;
    int top = y - radius > 0 ? y - radius : 0;
    int bottom = y + radius < a->field.height ? y + radius : a->field.height - 1;
    for (int v = top; v <= bottom; v++) {
        const float *row = score + (size_t)v * width;
        for (int u = left; u <= right; u++)
            if (row[u] > value)
                return false;
    }
    return true;
}

static inline float larger_of(float a, float b)
{
    return a > b ? a : b;
}

/* Marks the pixels of a row that are allowed and not smaller than the eight around them, without a
 * branch: of all pixels, few are. */
static void mark_maxima(const float *row, const uint8_t *allowed, size_t width, uint8_t *ret_marks)
{
    const float *above = row - width;
    const float *below = row + width;
    for (size_t x = 1; x < width - 1; x++) {
        float left = larger_of(larger_of(above[x - 1], row[x - 1]), below[x - 1]);
        float middle = larger_of(above[x], below[x]);
        float right = larger_of(larger_of(above[x + 1], row[x + 1]), below[x + 1]);
        float around = larger_of(larger_of(left, middle), right);
        ret_marks[x] = allowed[x] & (row[x] >= around);
    }
}

/* Leaves out the border, where a maximum may continue outside. */
static void find_maxima(void *context, int thread, size_t piece)
{
    const struct search *search = context;
    const struct cpu_adaptive *a = search->a;
    size_t width = (size_t)a->field.width;
    uint8_t *marks = (uint8_t *)a->work.lines.data + (size_t)thread * search->line_bytes;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first > 0 ? first : 1; y < first + ROWS_PER_PIECE && y < a->field.height - 1;
         y++) {
        const float *row = (const float *)a->work.score.data + (size_t)y * width;
        mark_maxima(row, (const uint8_t *)a->allowed.data + (size_t)y * width, width, marks);
        for (size_t x = 1; x < width - 1; x++) {
            const uint8_t *next = memchr(marks + x, 1, width - 1 - x);
            if (!next)
                break;
            x = (size_t)(next - marks);
            if (is_maximum(a, a->work.score.data, (int)x, y, search->radius))
                peaks_append(&search->lists[piece],
                             (struct ps_peak){.x = (int)x, .y = y, .value = row[x]});
        }
    }
}

static int peaks_join(struct peak_list *lists, size_t pieces, struct ps_peak **ret_peaks,
                      size_t *ret_count, struct ps_error *error)
{
    size_t count = 0;
    bool failed = false;
    for (size_t i = 0; i < pieces; i++) {
        count += lists[i].count;
        failed |= lists[i].failed;
    }
    struct ps_peak *peaks = failed ? NULL : malloc((count + 1) * sizeof *peaks);
    if (!peaks)
        return ps_fail_memory(error, count * sizeof *peaks, "peaks");
    size_t at = 0;
    for (size_t i = 0; i < pieces; i++) {
        if (lists[i].count)
            memcpy(peaks + at, lists[i].items, lists[i].count * sizeof *peaks);
        at += lists[i].count;
    }
    qsort(peaks, count, sizeof *peaks, ps_peak_order);
    *ret_peaks = peaks;
    *ret_count = count;
    return 0;
}

static int peaks_suppress(struct ps_peak *peaks, size_t *count, int width, int height,
                          double distance, struct ps_error *error)
{
    int *kept = malloc((*count + 1) * sizeof *kept);
    int left = kept ? ps_peaks_suppress(peaks, *count, width, height, distance, kept) : -1;
    for (int i = 0; i < left; i++)
        peaks[i] = peaks[kept[i]];
    free(kept);
    if (left < 0)
        return ps_fail_memory(error, *count * sizeof *kept, "peaks");
    *count = (size_t)left;
    return 0;
}

/* ---- windows of the peaks ---------------------------------------------------------------------
 */

enum { MAX_SIDE = 2 * PS_MAX_RINGS + 1, PEAKS_PER_PIECE = 128 };

/* Sums down the columns of a window. */
struct column_sums {
    double image[MAX_SIDE];
    double square[MAX_SIDE];
    double weight[MAX_SIDE];
};

static void add_row(const float *image, const float *weight, int side, struct column_sums *sums)
{
    for (int u = 0; u < side; u++) {
        double value = (double)image[u];
        sums->image[u] += value;
        sums->square[u] += value * value;
        sums->weight[u] += (double)weight[u];
    }
}

static void add_mirrored_row(const float *image, const float *weight, int left, int width, int side,
                             struct column_sums *sums)
{
    float mirrored[2][MAX_SIDE];
    for (int u = 0; u < side; u++) {
        int x = ps_mirror(left + u, width);
        mirrored[0][u] = image[x];
        mirrored[1][u] = weight[x];
    }
    add_row(mirrored[0], mirrored[1], side, sums);
}

/* Mean and deviation of what is unmasked in the window. */
static void describe(const struct cpu_adaptive *a, struct ps_peak *peak)
{
    int side = ps_box_side(a->diameter_field_px);
    int left = peak->x - side / 2;
    int width = a->field.width;
    struct column_sums sums = {.image = {0}};
    for (int v = -(side / 2); v <= side / 2; v++) {
        size_t row = (size_t)ps_mirror(peak->y + v, a->field.height) * (size_t)width;
        const float *image = (const float *)a->channel[PS_CHANNEL_INTENSITY].data + row;
        const float *weight = (const float *)a->weight.data + row;
        if (left >= 0 && left + side <= width)
            add_row(image + left, weight + left, side, &sums);
        else
            add_mirrored_row(image, weight, left, width, side, &sums);
    }
    double total[3] = {0};
    for (int u = 0; u < side; u++) {
        total[0] += sums.image[u];
        total[1] += sums.square[u];
        total[2] += sums.weight[u];
    }
    double pixels = (double)side * side;
    float share = ps_share((float)(total[2] / pixels));
    peak->mean = (float)(total[0] / pixels) / share;
    peak->deviation = ps_window_norm((float)(total[1] / pixels) / share, peak->mean, 1);
}

struct description {
    const struct cpu_adaptive *a;
    struct ps_peak *peaks;
    size_t count;
};

static void describe_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct description *d = context;
    size_t first = piece * PEAKS_PER_PIECE;
    for (size_t i = first; i < first + PEAKS_PER_PIECE && i < d->count; i++)
        describe(d->a, &d->peaks[i]);
}

void cpu_adaptive_describe(const struct cpu_slot *slot, struct ps_peak *peaks, size_t count)
{
    struct description d = {slot->adaptive, peaks, count};
    ps_parallel(slot->threads, (count + PEAKS_PER_PIECE - 1) / PEAKS_PER_PIECE, describe_piece, &d);
}

/* ---- the stage --------------------------------------------------------------------------------
 */

int cpu_adaptive_peaks(struct cpu_slot *slot, double distance, bool windows,
                       struct ps_peak **ret_peaks, size_t *ret_count, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t pieces = ((size_t)a->field.height + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
    size_t line = ((size_t)a->field.width + 63) / 64 * 64;
    PS_TRY(cpu_buffer_reserve(&a->work.lines, line * (size_t)slot->threads, "peaks", error));
    struct search search = {
        .a = a,
        .radius = ps_peak_radius(distance),
        .line_bytes = line,
        .lists = calloc(pieces, sizeof *search.lists),
    };
    if (!search.lists)
        return ps_fail_memory(error, pieces * sizeof *search.lists, "peaks");
    ps_parallel(slot->threads, pieces, find_maxima, &search);
    struct ps_peak *peaks = NULL;
    size_t count = 0;
    int status = peaks_join(search.lists, pieces, &peaks, &count, error);
    for (size_t i = 0; i < pieces; i++)
        free(search.lists[i].items);
    free(search.lists);
    if (status == 0)
        status = peaks_suppress(peaks, &count, a->field.width, a->field.height, distance, error);
    if (status) {
        free(peaks);
        return status;
    }
    if (windows)
        cpu_adaptive_describe(slot, peaks, count);
    *ret_peaks = peaks;
    *ret_count = count;
    return 0;
}

/* ---- around the peaks -------------------------------------------------------------------------
 */

/* Sums of one channel per ring. Windows that the border cuts count as far as they reach; each is
 * divided by its norm, so that none dominates. */
struct ring_sums {
    double sum[PS_MAX_RINGS];
    double area[PS_MAX_RINGS];
};

static void add_window(const struct cpu_adaptive *a, enum ps_channel channel,
                       const struct ps_peak *peak, const int *ring, int bins, struct ring_sums *s)
{
    const float *image = a->channel[channel].data;
    size_t width = (size_t)a->field.width;
    double weight = (double)((const float *)a->inverse[channel]
                                 .data)[(size_t)peak->y * width + (size_t)peak->x];
    int side = 2 * a->reach + 1;
    int frame = a->field.frame_field_px;
    for (int v = 0; v < side; v++) {
        int y = peak->y + v - a->reach;
        if (y < frame || y >= a->field.height - frame)
            continue;
        for (int u = 0; u < side; u++) {
            int x = peak->x + u - a->reach;
            int bin = ring[v * side + u];
            if (bin >= bins || x < frame || x >= a->field.width - frame)
                continue;
            s->sum[bin] += weight * (double)image[(size_t)y * width + (size_t)x];
            s->area[bin] += weight;
        }
    }
}

struct averaging {
    const struct cpu_adaptive *a;
    const struct ps_peak *peaks;
    size_t count;
    const int *ring;
    int bins;
    struct ring_sums *sums; /* per piece: one channel of WINDOWS_PER_PIECE windows */
};

enum { WINDOWS_PER_PIECE = 16 };

static void average_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct averaging *job = context;
    size_t first = piece / PS_CHANNELS * WINDOWS_PER_PIECE;
    for (size_t i = first; i < first + WINDOWS_PER_PIECE && i < job->count; i++)
        add_window(job->a, (enum ps_channel)(piece % PS_CHANNELS), &job->peaks[i], job->ring,
                   job->bins, &job->sums[piece]);
}

int cpu_adaptive_average(const struct cpu_slot *slot, const struct ps_peak *peaks, size_t count,
                         struct ps_radial ret_profiles[PS_CHANNELS], struct ps_error *error)
{
    const struct cpu_adaptive *a = slot->adaptive;
    int bins = ps_template_rings(a->diameter_field_px);
    if (bins > PS_MAX_RINGS)
        return ps_fail(error, PS_E_BUG, "a template of %d rings", bins);
    int side = 2 * a->reach + 1;
    size_t pieces = (count + WINDOWS_PER_PIECE - 1) / WINDOWS_PER_PIECE * PS_CHANNELS;
    size_t bytes = pieces * sizeof(struct ring_sums) + (size_t)(side * side) * sizeof(int);
    struct ring_sums *sums = calloc(1, bytes);
    if (!sums)
        return ps_fail_memory(error, bytes, "averages");
    int *ring = (int *)(sums + pieces);
    for (int v = 0; v < side; v++)
        for (int u = 0; u < side; u++)
            ring[v * side + u] = ps_ring(ps_radius(u - a->reach, v - a->reach));
    struct averaging job = {a, peaks, count, ring, bins, sums};
    ps_parallel(slot->threads, pieces, average_piece, &job);
    for (int c = 0; c < PS_CHANNELS; c++) {
        ret_profiles[c].count = bins;
        for (int bin = 0; bin < bins; bin++) {
            double sum = 0;
            double area = 1e-30;
            for (size_t piece = (size_t)c; piece < pieces; piece += PS_CHANNELS) {
                sum += sums[piece].sum[bin];
                area += sums[piece].area[bin];
            }
            ret_profiles[c].values[bin] = sum / area;
        }
    }
    free(sums);
    return 0;
}
