/* Step 7 of the adaptive profile on the GPU: the score and its peaks. */
#include "backend/cuda/adaptive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Peaks are copied before their number is known; if there are more, a second copy takes the rest.
 * The number in the call before predicts how many to copy. This affects the time only. */
enum { FIRST_EXPECTED = 4096 };

/* Largest integer whose square root is at most `distance`. */
static int largest_square(double distance)
{
    int square = (int)(distance * distance) + 1;
    while (sqrt((double)square) > distance)
        square--;
    return square;
}

/* Cells are slightly wider than the distance, so that all near maxima lie in the adjacent cells in
 * spite of rounding. */
static void peaks_add_job(const struct cuda_adaptive *a, const struct ps_batch_item *item,
                          int index, struct ps_adaptive_search *search)
{
    double cell = 1.001 * fmax(item->distance_field_px, 1);
    int job = search->count++;
    search->job[job].item = (short)index;
    search->job[job].level = a->level_of[index];
    for (int c = 0; c < PS_CHANNELS; c++)
        search->job[job].weights[c] = (float)item->weights[c];
    search->job[job].radius = ps_peak_radius(item->distance_field_px);
    search->job[job].squared = largest_square(item->distance_field_px);
    search->job[job].inverse_cell = (float)(1 / cell);
    search->job[job].columns = (int)(a->field.width / cell) + 2;
    search->job[job].rows = (int)(a->field.height / cell) + 2;
    size_t cells = (size_t)search->job[job].columns * (size_t)search->job[job].rows;
    search->cells = search->cells > cells ? search->cells : cells;
}

static int peaks_reserve(struct cuda_slot *slot, struct ps_adaptive_search *search,
                         struct ps_error *error)
{
    struct cuda_adaptive *a = slot->adaptive;
    size_t maxima = (size_t)search->count * a->capacity;
    const struct {
        enum adaptive_buffer buffer;
        size_t bytes;
    } buffers[] = {
        {KEYS, maxima * sizeof *search->keys},
        {NEXT, maxima * sizeof *search->next},
        {STATES, maxima},
        {OPEN, maxima * sizeof *search->open},
        {KEPT, maxima * sizeof *search->kept},
        {PEAKS, maxima * sizeof(struct ps_peak)},
        {HEADS, cuda_round_up_pow2((size_t)search->count * search->cells * sizeof *search->heads)},
    };
    size_t before = a->buffers[PEAKS].bytes;
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        PS_TRY(adaptive_reserve(slot, buffers[i].buffer, buffers[i].bytes, error));
    /* More peaks are copied than were found: initialise them. */
    const struct cuda_buffer *peaks = &a->buffers[PEAKS];
    if (peaks->bytes > before)
        PS_TRY(CU(cudaMemsetAsync(peaks->data, 0, peaks->bytes, slot->stream)));
    search->capacity = a->capacity;
    search->spreads = a->buffers[SPREADS].data;
    search->keys = a->buffers[KEYS].data;
    search->next = a->buffers[NEXT].data;
    search->states = a->buffers[STATES].data;
    search->open = a->buffers[OPEN].data;
    search->kept = a->buffers[KEPT].data;
    search->heads = a->buffers[HEADS].data;
    return 0;
}

static int make_score(struct cuda_slot *slot, const struct ps_adaptive_search *search,
                      struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_adaptive_maps maps = adaptive_maps(a);
    struct ps_order_jobs jobs = adaptive_order_jobs(slot, RAW, search->count, true);
    for (int i = 0; i < search->count; i++)
        jobs.job[i].values = adaptive_map(a, RAW, search->job[i].item);
    PS_TRY(CU(ps_launch_adaptive_score(&maps, search, slot->stream)));
    return CU(ps_launch_adaptive_lower_spread(&jobs, a->buffers[ORDER].data, slot->stream));
}

/* Copies the peaks of all jobs to pinned_result. Grows the capacity and repeats the search if there
 * are more maxima than expected. */
static int peaks_find(struct cuda_slot *slot, struct ps_adaptive_search *search,
                      const struct ps_adaptive_result **ret_results,
                      const struct ps_peak **ret_peaks, struct ps_error *error)
{
    struct cuda_adaptive *a = slot->adaptive;
    a->expected = a->expected ? a->expected : FIRST_EXPECTED;
    for (;;) {
        int status = peaks_reserve(slot, search, error);
        if (status == 0)
            status = make_score(slot, search, error);
        struct ps_adaptive_maps maps = adaptive_maps(a);
        struct ps_peak *peaks = a->buffers[PEAKS].data;
        if (status == 0)
            status = CU(ps_launch_adaptive_peaks(&maps, search, slot->cuda->multiprocessors, peaks,
                                                 slot->stream));
        size_t most = (size_t)search->count * a->capacity;
        size_t copied = a->expected < most ? a->expected : most;
        struct adaptive_part part = {.device = peaks, .bytes = copied * sizeof *peaks};
        if (status == 0)
            status = adaptive_receive(slot, &part, 1, ret_results, error);
        size_t found = 0;
        size_t kept = 0;
        for (int i = 0; i < search->count && status == 0; i++) {
            const struct ps_adaptive_result *result = &(*ret_results)[search->job[i].item];
            found = result->found > found ? result->found : found;
            kept += result->kept;
        }
        if (status == 0 && found > a->capacity) {
            a->capacity = cuda_round_up_pow2(found);
            continue;
        }
        a->expected = kept + kept / 4 + FIRST_EXPECTED / 4;
        part.bytes = kept * sizeof *peaks;
        if (status == 0 && kept > copied)
            status = adaptive_receive(slot, &part, 1, ret_results, error);
        *ret_peaks = part.data;
        return status;
    }
}

static int peaks_take(struct ps_batch_item *item, const struct ps_adaptive_result *result,
                      const struct ps_peak *peaks, struct ps_error *error)
{
    item->flat = result->flat[0] || result->flat[1];
    if (item->flat)
        return 0;
    size_t bytes = result->kept * sizeof *peaks;
    item->peaks = malloc(bytes + 1);
    if (!item->peaks)
        return ps_fail_memory(error, bytes, "peaks");
    memcpy(item->peaks, peaks, bytes);
    item->peak_count = result->kept;
    return 0;
}

int cuda_adaptive_peaks(struct ps_slot *base, struct ps_batch_item *items, int count,
                        struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_adaptive *a = slot->adaptive;
    struct ps_adaptive_search search = {.count = 0};
    for (int i = 0; i < count; i++)
        if (!items[i].idle && !items[i].flat)
            peaks_add_job(a, &items[i], i, &search);
    if (search.count == 0)
        return 0;
    const struct ps_adaptive_result *results = NULL;
    const struct ps_peak *peaks = NULL;
    int status = peaks_find(slot, &search, &results, &peaks, error);
    int taken = 0;
    for (int i = 0; i < search.count && status == 0; i++) {
        int item = search.job[i].item;
        status = peaks_take(&items[item], &results[item], peaks, error);
        peaks += results[item].kept;
        taken += status == 0;
    }
    for (int i = 0; i < taken && status; i++) {
        free(items[search.job[i].item].peaks);
        items[search.job[i].item].peaks = NULL;
    }
    return status;
}
