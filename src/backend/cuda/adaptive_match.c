/* Steps 5, 9 and 10 of the adaptive profile on the GPU: templates and the responses to them. */
#include "backend/cuda/adaptive.h"

#include <stdlib.h>
#include <string.h>

static bool runs(const struct ps_batch_item *item)
{
    return !item->idle && !item->flat;
}

static void add_track(const struct cuda_adaptive *a, int item, int channel,
                      struct ps_adaptive_tracks *tracks)
{
    int level = a->level_of[item];
    tracks->track[tracks->count].item = (short)item;
    tracks->track[tracks->count].channel = (short)channel;
    tracks->track[tracks->count++].level = (short)level;
    if (tracks->rings < a->level[level].rings)
        tracks->rings = a->level[level].rings;
}

/* Responses of the tracks to the profiles on the device. `batch` is the number of tracks if no item
 * were idle. */
static int match_correlate(struct cuda_slot *slot, const struct ps_adaptive_tracks *tracks,
                           int batch, struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_adaptive_maps maps = adaptive_maps(a);
    int first = 1 + a->levels; /* free image of the stack */
    float *stack = adaptive_image(a, first);
    struct ps_product_jobs products = {.count = tracks->count};
    struct ps_filter_jobs smoothing = adaptive_filter_jobs(a);
    smoothing.count = tracks->count;
    for (int i = 0; i < tracks->count; i++) {
        int channel = tracks->track[i].channel;
        int level = tracks->track[i].level;
        int image = channel == PS_CHANNEL_INTENSITY ? 0 : 1 + level;
        float *response = adaptive_map(a, RESPONSE, 2 * tracks->track[i].item + channel);
        enum adaptive_gauss gauss = channel == PS_CHANNEL_INTENSITY ? GAUSS_TENTH : GAUSS_EIGHTH;
        products.job[i].image = (const float2 *)adaptive_image(a, image);
        products.job[i].template_ = (const float2 *)adaptive_image(a, first + i);
        products.job[i].out = (float2 *)adaptive_image(a, first + i);
        smoothing.job[i] = (struct ps_filter_job){
            .in = response,
            .passing = adaptive_map(a, SPARE, i),
            .out = response,
            .weights = a->level[level].weights[gauss],
            .radius = a->level[level].radii[gauss],
        };
    }
    PS_TRY(CU(ps_launch_adaptive_templates(&maps, tracks, stack, slot->stream)));
    PS_TRY(adaptive_transform(slot, first, batch, true, error));
    PS_TRY(CU(ps_launch_adaptive_multiply(&maps, &products, slot->stream)));
    PS_TRY(adaptive_transform(slot, first, batch, false, error));
    PS_TRY(CU(ps_launch_adaptive_respond(&maps, tracks, stack, slot->stream)));
    return CU(ps_launch_adaptive_gauss(&smoothing, slot->stream));
}

static int check_count(const struct cuda_adaptive *a, int count, struct ps_error *error)
{
    if (count <= a->items)
        return 0;
    return ps_fail(error, PS_E_BUG, "%d batch items, but scales of %d", count, a->items);
}

static int clear_results(struct cuda_slot *slot, struct ps_error *error)
{
    return CU(cudaMemsetAsync(slot->adaptive->buffers[RESULTS].data, 0,
                              PS_MAX_ITEMS * sizeof(struct ps_adaptive_result), slot->stream));
}

int cuda_adaptive_respond(struct ps_slot *base, struct ps_batch_item *items, int count,
                          struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_adaptive *a = slot->adaptive;
    struct ps_radial templates[PS_MAX_ITEMS][PS_CHANNELS];
    struct ps_adaptive_tracks tracks = {.count = 0};
    int batch = 0;
    PS_TRY(check_count(a, count, error));
    for (int i = 0; i < count; i++) {
        memcpy(templates[i], items[i].templates, sizeof templates[i]);
        for (int c = 0; c < PS_CHANNELS; c++) {
            batch += items[i].templates[c].count > 0;
            if (runs(&items[i]) && items[i].templates[c].count > 0)
                add_track(a, i, c, &tracks);
        }
    }
    if (tracks.count == 0)
        return 0;
    PS_TRY(clear_results(slot, error));
    PS_TRY(cuda_send(slot, a->buffers[PROFILES].data, templates,
                     (size_t)count * sizeof templates[0], error));
    return match_correlate(slot, &tracks, batch, error);
}

/* ---- learning ---------------------------------------------------------------------------------
 */

/* Sends the examples of all running items, one item after the other. */
static int send_examples(struct cuda_slot *slot, const struct ps_batch_item *items, int count,
                         struct ps_adaptive_examples *ret_examples, struct ps_error *error)
{
    struct cuda_adaptive *a = slot->adaptive;
    struct ps_adaptive_examples examples = {.peaks = NULL};
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        examples.first[i] = (int)total;
        examples.count[i] = runs(&items[i]) ? (int)items[i].example_count : 0;
        total += (size_t)examples.count[i];
    }
    struct ps_peak *peaks = malloc((total + 1) * sizeof *peaks);
    if (!peaks)
        return ps_fail_memory(error, total * sizeof *peaks, "examples");
    for (int i = 0; i < count; i++)
        if (examples.count[i] > 0)
            memcpy(peaks + examples.first[i], items[i].examples,
                   (size_t)examples.count[i] * sizeof *peaks);
    int status = adaptive_reserve(slot, EXAMPLES, cuda_round_up_pow2(total * sizeof *peaks), error);
    if (status == 0)
        status = adaptive_reserve(slot, VALUES,
                                  cuda_round_up_pow2(PS_CHANNELS * total * sizeof(float)), error);
    if (status == 0)
        status = cuda_send(slot, a->buffers[EXAMPLES].data, peaks, total * sizeof *peaks, error);
    free(peaks);
    examples.peaks = a->buffers[EXAMPLES].data;
    *ret_examples = examples;
    return status;
}

/* Receives the templates, responses at the examples and moments, and which items are flat. */
static int match_receive(struct cuda_slot *slot, struct ps_batch_item *items, int count,
                         const struct ps_adaptive_tracks *tracks,
                         const struct ps_adaptive_examples *examples, struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_adaptive_maps maps = adaptive_maps(a);
    size_t total = (size_t)examples->first[count - 1] + (size_t)examples->count[count - 1];
    float *values = a->buffers[VALUES].data;
    struct ps_adaptive_tracks running = {.count = 0};
    for (int i = 0; i < tracks->count; i += PS_CHANNELS)
        add_track(a, tracks->track[i].item, 0, &running);
    PS_TRY(CU(ps_launch_adaptive_moments(&maps, &running, a->buffers[PARTS].data, slot->stream)));
    PS_TRY(CU(ps_launch_adaptive_sample(a->buffers[RESPONSE].data, a->stride, PS_CHANNELS,
                                        a->field.width, count, examples, total, values,
                                        slot->stream)));
    const struct ps_adaptive_result *results = NULL;
    struct adaptive_part parts[] = {
        {.device = values, .bytes = PS_CHANNELS * total * sizeof *values},
        {.device = maps.profiles, .bytes = (size_t)count * sizeof items->templates},
    };
    PS_TRY(adaptive_receive(slot, parts, 2, &results, error));
    const float *responses = parts[0].data;
    const struct ps_radial *templates = parts[1].data;
    for (int i = 0; i < count; i++) {
        if (!runs(&items[i]))
            continue;
        items[i].flat = results[i].flat[0] || results[i].flat[1];
        items[i].moments = ps_moments_of(results[i].sums, (double)a->field.unmasked);
        memcpy(items[i].templates, templates + (size_t)i * PS_CHANNELS, sizeof items[i].templates);
        for (int c = 0; c < PS_CHANNELS; c++)
            memcpy(items[i].responses[c], responses + (size_t)c * total + examples->first[i],
                   (size_t)examples->count[i] * sizeof *values);
    }
    return 0;
}

int cuda_adaptive_learn(struct ps_slot *base, struct ps_batch_item *items, int count,
                        struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_adaptive *a = slot->adaptive;
    struct ps_adaptive_tracks tracks = {.count = 0};
    struct ps_adaptive_examples examples;
    int status = check_count(a, count, error);
    for (int i = 0; i < count && status == 0; i++)
        for (int c = 0; c < PS_CHANNELS && runs(&items[i]); c++)
            add_track(a, i, c, &tracks);
    if (status || tracks.count == 0)
        return status;
    status = clear_results(slot, error);
    if (status == 0)
        status = send_examples(slot, items, count, &examples, error);
    struct ps_adaptive_maps maps = adaptive_maps(a);
    if (status == 0)
        status = CU(ps_launch_adaptive_average(&maps, &tracks, &examples, slot->stream));
    if (status == 0)
        status = match_correlate(slot, &tracks, PS_CHANNELS * count, error);
    if (status == 0)
        status = match_receive(slot, items, count, &tracks, &examples, error);
    return status;
}
