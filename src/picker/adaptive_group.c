#include "picker/adaptive_group.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double ps_group_diameter(const struct ps_adaptive_run *run, const struct ps_hypothesis *h)
{
    return h->scale * run->diameter;
}

double ps_group_distance(const struct ps_adaptive_run *run, const struct ps_hypothesis *h)
{
    return run->rules->distance * fmin(h->scale, 1.1) * run->diameter;
}

static bool runs(const struct ps_group *group, int i)
{
    return !group->items[i].idle && !group->items[i].flat;
}

void ps_group_forget(struct ps_group *group)
{
    for (int i = 0; i < group->count; i++) {
        free(group->found[i].peaks);
        group->found[i].peaks = NULL;
        group->found[i].count = 0;
    }
}

int ps_group_scale(struct ps_group *group)
{
    double diameters[PS_MAX_ITEMS];
    for (int i = 0; i < group->count; i++)
        diameters[i] = ps_group_diameter(group->run, group->hypotheses[i]);
    const struct ps_picking *base = group->run->base;
    return group->run->ops->scale(base->slot, diameters, group->count, base->error);
}

/* Removes the candidates that stand out; if these are many they are the particles, and stay. */
static void exclude_contaminants(struct ps_group *group, int i)
{
    const struct ps_adaptive_run *run = group->run;
    struct ps_peak *peaks = group->found[i].peaks;
    size_t count = group->found[i].count;
    struct ps_window_range range = ps_adaptive_range(peaks, count, run->rules->contaminant);
    double few =
        run->rules->few * ps_adaptive_area(run, ps_group_diameter(run, group->hypotheses[i]));
    if ((double)ps_adaptive_count_outside(&range, peaks, count) > few)
        return;
    size_t kept = 0;
    for (size_t k = 0; k < count; k++)
        if (!ps_adaptive_stands_out(&range, &peaks[k]))
            peaks[kept++] = peaks[k];
    group->found[i].count = kept;
}

static int find_all(struct ps_group *group, bool windows)
{
    struct ps_adaptive_run *run = group->run;
    for (int i = 0; i < group->count; i++) {
        group->items[i].distance_field_px = ps_group_distance(run, group->hypotheses[i]);
        group->items[i].windows = windows || group->hypotheses[i]->clean;
    }
    int status = run->ops->peaks(run->base->slot, group->items, group->count, run->base->error);
    for (int i = 0; i < group->count && status == 0; i++) {
        if (!runs(group, i))
            continue;
        free(group->found[i].peaks);
        group->found[i].peaks = group->items[i].peaks;
        group->found[i].count = group->items[i].peak_count;
    }
    return status;
}

int ps_group_find_all(struct ps_group *group)
{
    return find_all(group, true);
}

static int find_peaks(struct ps_group *group, bool windows)
{
    int status = find_all(group, windows);
    for (int i = 0; i < group->count && status == 0; i++)
        if (group->hypotheses[i]->clean && runs(group, i))
            exclude_contaminants(group, i);
    return status;
}

/* Responses to the items' templates, and the candidates by their weights. */
static int respond(struct ps_group *group, bool windows)
{
    const struct ps_picking *base = group->run->base;
    int status = group->run->ops->respond(base->slot, group->items, group->count, base->error);
    return status ? status : find_peaks(group, windows);
}

/* Step 6. */
static int start(struct ps_group *group, bool windows)
{
    for (int i = 0; i < group->count; i++) {
        const struct ps_hypothesis *h = group->hypotheses[i];
        enum ps_channel channel =
            h->begin == BEGIN_DETAIL ? PS_CHANNEL_ENERGY : PS_CHANNEL_INTENSITY;
        int sign = h->begin == BEGIN_DARK ? -1 : 1;
        struct ps_batch_item *item = &group->items[i];
        *item = (struct ps_batch_item){.weights = {0}};
        item->templates[channel] = ps_adaptive_start(ps_group_diameter(group->run, h), sign);
        item->weights[channel] = 1;
    }
    return respond(group, windows);
}

static void choose_weights(const struct ps_adaptive_rules *rules, struct ps_batch_item *item)
{
    const float *const responses[PS_CHANNELS] = {item->responses[0], item->responses[1]};
    ps_adaptive_weights(responses, item->example_count, &item->moments, item->weights);
    if (!rules->energy) {
        item->weights[PS_CHANNEL_INTENSITY] = 1;
        item->weights[PS_CHANNEL_ENERGY] = 0;
    }
}

/* Steps 8 to 10; a hypothesis without candidates stays as it is. */
static int improve(struct ps_group *group, bool windows)
{
    struct ps_adaptive_run *run = group->run;
    size_t values = 0;
    for (int i = 0; i < group->count; i++) {
        struct ps_batch_item *item = &group->items[i];
        double area = ps_adaptive_area(run, ps_group_diameter(run, group->hypotheses[i]));
        item->idle = group->found[i].count == 0;
        item->examples = group->found[i].peaks;
        item->example_count =
            item->idle ? 0
                       : ps_adaptive_examples(group->found[i].peaks, group->found[i].count, area);
        values += PS_CHANNELS * item->example_count;
    }
    float *responses = malloc((values + 1) * sizeof *responses);
    if (!responses)
        return ps_fail_memory(run->base->error, values * sizeof *responses, "examples");
    float *next = responses;
    for (int i = 0; i < group->count; i++)
        for (int c = 0; c < PS_CHANNELS; c++, next += group->items[i].example_count)
            group->items[i].responses[c] = next;
    int status = run->ops->learn(run->base->slot, group->items, group->count, run->base->error);
    for (int i = 0; i < group->count && status == 0; i++)
        if (runs(group, i))
            choose_weights(run->rules, &group->items[i]);
    free(responses);
    if (status == 0)
        status = find_peaks(group, windows);
    return status;
}

int ps_group_improve(struct ps_group *group, int rounds, bool windows)
{
    int status = 0;
    for (int round = 1; round <= rounds && status == 0; round++)
        status = improve(group, windows && round == rounds);
    return status;
}

int ps_group_learn(struct ps_group *group, bool windows)
{
    int rounds = group->run->rules->coarse_rounds;
    int status = start(group, windows && rounds == 0);
    return status ? status : ps_group_improve(group, rounds, windows);
}

void ps_group_keep(struct ps_group *group)
{
    for (int i = 0; i < group->count; i++) {
        struct ps_hypothesis *h = group->hypotheses[i];
        const struct ps_batch_item *item = &group->items[i];
        h->flat = item->flat;
        h->peaks = group->found[i].peaks;
        h->count = group->found[i].count;
        group->found[i].peaks = NULL;
        memcpy(h->templates, item->templates, sizeof h->templates);
        memcpy(h->weights, item->weights, sizeof h->weights);
    }
}

int ps_group_add_to_null(struct ps_group *group)
{
    int status = 0;
    for (int i = 0; i < group->count && status == 0; i++)
        if (runs(group, i))
            status = ps_null_add(&group->hypotheses[i]->null, group->found[i].peaks,
                                 group->found[i].count);
    return status ? ps_fail_memory(group->run->base->error, 0, "scores") : 0;
}

static int match(struct ps_group *group, bool windows)
{
    for (int i = 0; i < group->count; i++) {
        const struct ps_hypothesis *h = group->hypotheses[i];
        group->items[i] = (struct ps_batch_item){.idle = h->flat};
        memcpy(group->items[i].templates, h->templates, sizeof h->templates);
        memcpy(group->items[i].weights, h->weights, sizeof h->weights);
    }
    return respond(group, windows);
}

int ps_group_match(struct ps_group *group)
{
    return match(group, true);
}

int ps_group_match_noise(struct ps_group *group)
{
    int status = match(group, false);
    return status ? status : ps_group_add_to_null(group);
}
