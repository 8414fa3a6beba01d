/* Step 7 of the adaptive profile on the GPU: the score and its peaks. */
#include "backend/cuda/adaptive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Peaks that are copied before it is known how many there are: a second copy, if need be, takes the
 * rest. It goes by what there was the last time, which only time can show. */
enum { FIRST_EXPECTED = 4096 };

/* Squares of distances up to this are at most `distance`. */
static int largest_square(double distance)
{
    int square = (int)(distance * distance) + 1;
    while (sqrt((double)square) > distance)
        square--;
    return square;
}

/* Cells are a little wider than the distance, so that whoever is near is in the cells around,
 * whatever the rounding. */
static void add_job(const struct cuda_adaptive *a, const struct ps_lane *lane, int index,
                    struct ps_adaptive_search *search)
{
    double cell = 1.001 * fmax(lane->distance, 1);
    int job = search->count++;
    search->job[job].lane = (short)index;
    search->job[job].level = a->level_of[index];
    for (int c = 0; c < PS_CHANNELS; c++)
        search->job[job].weights[c] = (float)lane->weights[c];
    search->job[job].radius = ps_peak_radius(lane->distance);
    search->job[job].squared = largest_square(lane->distance);
    search->job[job].inverse_cell = (float)(1 / cell);
    search->job[job].columns = (int)(a->field.width / cell) + 2;
    search->job[job].rows = (int)(a->field.height / cell) + 2;
    size_t cells = (size_t)search->job[job].columns * (size_t)search->job[job].rows;
    search->cells = search->cells > cells ? search->cells : cells;
}

static int reserve(struct cuda_slot *slot, struct ps_adaptive_search *search,
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
        {HEADS, cuda_generous((size_t)search->count * search->cells * sizeof *search->heads)},
    };
    size_t before = a->buffers[PEAKS].bytes;
    int status = 0;
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers && status == 0; i++)
        status = adaptive_reserve(slot, buffers[i].buffer, buffers[i].bytes, error);
    /* More of them are copied than were found: those are to be something, too. */
    const struct cuda_buffer *peaks = &a->buffers[PEAKS];
    if (status == 0 && peaks->bytes > before)
        status = CU(cudaMemsetAsync(peaks->data, 0, peaks->bytes, slot->stream));
    search->capacity = a->capacity;
    search->spreads = a->buffers[SPREADS].data;
    search->keys = a->buffers[KEYS].data;
    search->next = a->buffers[NEXT].data;
    search->states = a->buffers[STATES].data;
    search->open = a->buffers[OPEN].data;
    search->kept = a->buffers[KEPT].data;
    search->heads = a->buffers[HEADS].data;
    return status;
}

static int make_score(struct cuda_slot *slot, const struct ps_adaptive_search *search,
                      struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_adaptive_maps maps = adaptive_maps(a);
    struct ps_order_jobs jobs = adaptive_order_jobs(slot, RAW, search->count, true);
    for (int i = 0; i < search->count; i++)
        jobs.job[i].values = adaptive_map(a, RAW, search->job[i].lane);
    int status = CU(ps_launch_adaptive_score(&maps, search, slot->stream));
    if (status == 0)
        status = CU(ps_launch_adaptive_lower_spread(&jobs, a->buffers[ORDER].data, slot->stream));
    return status;
}

/* The peaks of all jobs, into a->answer; makes room and tries again where there are more maxima
 * than anyone would expect. */
static int find(struct cuda_slot *slot, struct ps_adaptive_search *search,
                const struct ps_adaptive_answer **ret_answers, const struct ps_peak **ret_peaks,
                struct ps_error *error)
{
    struct cuda_adaptive *a = slot->adaptive;
    a->expected = a->expected ? a->expected : FIRST_EXPECTED;
    for (;;) {
        int status = reserve(slot, search, error);
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
            status = adaptive_receive(slot, &part, 1, ret_answers, error);
        size_t found = 0;
        size_t kept = 0;
        for (int i = 0; i < search->count && status == 0; i++) {
            const struct ps_adaptive_answer *answer = &(*ret_answers)[search->job[i].lane];
            found = answer->found > found ? answer->found : found;
            kept += answer->kept;
        }
        if (status == 0 && found > a->capacity) {
            a->capacity = cuda_generous(found);
            continue;
        }
        a->expected = kept + kept / 4 + FIRST_EXPECTED / 4;
        part.bytes = kept * sizeof *peaks;
        if (status == 0 && kept > copied)
            status = adaptive_receive(slot, &part, 1, ret_answers, error);
        *ret_peaks = part.data;
        return status;
    }
}

static int take(struct ps_lane *lane, const struct ps_adaptive_answer *answer,
                const struct ps_peak *peaks, struct ps_error *error)
{
    lane->flat = answer->flat[0] || answer->flat[1];
    if (lane->flat)
        return 0;
    size_t bytes = answer->kept * sizeof *peaks;
    lane->peaks = malloc(bytes + 1);
    if (!lane->peaks)
        return ps_fail_memory(error, bytes, "peaks");
    memcpy(lane->peaks, peaks, bytes);
    lane->peak_count = answer->kept;
    return 0;
}

int cuda_adaptive_peaks(struct ps_slot *base, struct ps_lane *lanes, int count,
                        struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_adaptive *a = slot->adaptive;
    struct ps_adaptive_search search = {.count = 0};
    for (int i = 0; i < count; i++)
        if (!lanes[i].idle && !lanes[i].flat)
            add_job(a, &lanes[i], i, &search);
    if (search.count == 0)
        return 0;
    const struct ps_adaptive_answer *answers = NULL;
    const struct ps_peak *peaks = NULL;
    int status = find(slot, &search, &answers, &peaks, error);
    int taken = 0;
    for (int i = 0; i < search.count && status == 0; i++) {
        int lane = search.job[i].lane;
        status = take(&lanes[lane], &answers[lane], peaks, error);
        peaks += answers[lane].kept;
        taken += status == 0;
    }
    for (int i = 0; i < taken && status; i++) {
        free(lanes[search.job[i].lane].peaks);
        lanes[search.job[i].lane].peaks = NULL;
    }
    return status;
}
