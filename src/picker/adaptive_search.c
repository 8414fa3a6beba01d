#include "picker/adaptive_search.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tiles of the halves of a field, in diameters. */
static const double HALF_TILE = 3;

/* ---- hypotheses side by side ------------------------------------------------------------------
 */

/* As many as the device has lanes for. */
struct group {
    struct ps_adaptive_run *run;
    int count;
    struct ps_hypothesis hypotheses[PS_LANES];
    struct ps_lane lanes[PS_LANES];
};

/* Peaks that examples may come from, and the share of the field that they are found in. */
struct pool {
    const struct ps_peak *peaks;
    size_t count;
    double share;
};

static double scale_diameter(const struct ps_adaptive_run *run, const struct ps_hypothesis *h)
{
    return h->scale * run->diameter;
}

static void group_done(struct group *group)
{
    for (int i = 0; i < group->count; i++)
        free(group->hypotheses[i].peaks);
}

static int scale(struct group *group)
{
    double diameters[PS_LANES];
    for (int i = 0; i < group->count; i++)
        diameters[i] = scale_diameter(group->run, &group->hypotheses[i]);
    const struct ps_picking *base = group->run->base;
    return group->run->ops->scale(base->slot, diameters, group->count, base->error);
}

/* How many particles would cover the field. */
static double area_of(const struct ps_adaptive_run *run, const struct ps_hypothesis *h)
{
    return (double)run->field.unmasked / pow(scale_diameter(run, h), 2);
}

/* Counts the candidates that stand out: all of them, or those above the threshold. A calm
 * hypothesis does without them; if they are many it is calm no more, for they are the particles. */
static void look_for_outstanding(const struct ps_adaptive_run *run, struct ps_hypothesis *h)
{
    struct ps_window_range range = ps_adaptive_range(h->peaks, h->count, run->rules->outstanding);
    h->outstanding = 0;
    for (size_t i = 0; i < h->count; i++)
        if (h->calm || (double)h->peaks[i].value > h->verdict.threshold)
            h->outstanding += ps_adaptive_stands_out(&range, &h->peaks[i]);
    h->calm = h->calm && (double)h->outstanding <= run->rules->few * area_of(run, h);
    size_t kept = 0;
    for (size_t i = 0; i < h->count; i++)
        if (!h->calm || !ps_adaptive_stands_out(&range, &h->peaks[i]))
            h->peaks[kept++] = h->peaks[i];
    h->count = kept;
}

static int find_all_peaks(struct group *group)
{
    struct ps_adaptive_run *run = group->run;
    for (int i = 0; i < group->count; i++)
        group->lanes[i].distance =
            run->rules->distance * scale_diameter(run, &group->hypotheses[i]);
    int status = run->ops->peaks(run->base->slot, group->lanes, group->count, run->base->error);
    for (int i = 0; i < group->count && status == 0; i++) {
        struct ps_lane *lane = &group->lanes[i];
        if (lane->idle || lane->flat)
            continue;
        free(group->hypotheses[i].peaks);
        group->hypotheses[i].peaks = lane->peaks;
        group->hypotheses[i].count = lane->peak_count;
    }
    return status;
}

static int find_peaks(struct group *group)
{
    int status = find_all_peaks(group);
    for (int i = 0; i < group->count && status == 0; i++)
        if (group->hypotheses[i].calm && !group->lanes[i].idle && !group->lanes[i].flat)
            look_for_outstanding(group->run, &group->hypotheses[i]);
    return status;
}

static int start(struct group *group)
{
    for (int i = 0; i < group->count; i++) {
        const struct ps_hypothesis *h = &group->hypotheses[i];
        enum ps_channel channel =
            h->begin == BEGIN_DETAIL ? PS_CHANNEL_ENERGY : PS_CHANNEL_INTENSITY;
        int sign = h->begin == BEGIN_DARK ? -1 : 1;
        struct ps_lane *lane = &group->lanes[i];
        *lane = (struct ps_lane){.weights = {0}};
        lane->templates[channel] = ps_adaptive_start(scale_diameter(group->run, h), sign);
        lane->weights[channel] = 1;
    }
    const struct ps_picking *base = group->run->base;
    int status = group->run->ops->respond(base->slot, group->lanes, group->count, base->error);
    if (status == 0)
        status = find_peaks(group);
    return status;
}

static void choose_weights(const struct ps_adaptive_rules *rules, struct ps_lane *lane)
{
    const float *const responses[PS_CHANNELS] = {lane->responses[0], lane->responses[1]};
    ps_adaptive_weights(responses, lane->example_count, &lane->moments, lane->weights);
    if (!rules->energy) {
        lane->weights[PS_CHANNEL_INTENSITY] = 1;
        lane->weights[PS_CHANNEL_ENERGY] = 0;
    }
}

/* Steps 8 to 10, with examples from a pool for each hypothesis; one without any stays as it is. */
static int improve(struct group *group, const struct pool *pools)
{
    struct ps_adaptive_run *run = group->run;
    size_t values = 0;
    for (int i = 0; i < group->count; i++) {
        struct ps_lane *lane = &group->lanes[i];
        double area = pools[i].share * area_of(run, &group->hypotheses[i]);
        lane->idle = pools[i].count == 0;
        lane->examples = pools[i].peaks;
        lane->example_count =
            lane->idle ? 0 : ps_adaptive_examples(pools[i].peaks, pools[i].count, area);
        values += PS_CHANNELS * lane->example_count;
    }
    float *responses = malloc((values + 1) * sizeof *responses);
    if (!responses)
        return ps_fail_memory(run->base->error, values * sizeof *responses, "examples");
    float *next = responses;
    for (int i = 0; i < group->count; i++)
        for (int c = 0; c < PS_CHANNELS; c++, next += group->lanes[i].example_count)
            group->lanes[i].responses[c] = next;
    int status = run->ops->learn(run->base->slot, group->lanes, group->count, run->base->error);
    for (int i = 0; i < group->count && status == 0; i++)
        if (!group->lanes[i].idle && !group->lanes[i].flat)
            choose_weights(run->rules, &group->lanes[i]);
    free(responses);
    if (status == 0)
        status = find_peaks(group);
    return status;
}

static int descending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a < b) - (a > b);
}

/* The largest first, as lists of peaks mostly are. */
static void sort(double *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (values[i] > values[i - 1]) {
            qsort(values, count, sizeof *values, descending);
            return;
        }
    }
}

/* Step 11, of several lists of peaks. */
static int judge(const struct ps_adaptive_run *run, const struct pool *lists, int count,
                 struct ps_verdict *ret_verdicts)
{
    struct ps_mixture mixtures[PS_LANES];
    struct ps_values values[PS_LANES];
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += lists[i].count;
    double *items = malloc((total + 1) * sizeof *items);
    if (!items)
        return ps_fail_memory(run->base->error, total * sizeof *items, "scores");
    double *next = items;
    for (int i = 0; i < count; i++) {
        values[i] = (struct ps_values){next, lists[i].count};
        for (size_t k = 0; k < lists[i].count; k++)
            *next++ = (double)lists[i].peaks[k].value;
        sort(next - lists[i].count, lists[i].count);
    }
    int status = run->ops->mixtures(run->base->slot, values, count, mixtures, run->base->error);
    for (int i = 0; i < count && status == 0; i++)
        ret_verdicts[i] = ps_adaptive_judge(run->rules, &values[i], &mixtures[i]);
    free(items);
    return status;
}

static void list_all(const struct group *group, struct pool *ret_pools)
{
    for (int i = 0; i < group->count; i++)
        ret_pools[i] = (struct pool){group->hypotheses[i].peaks, group->hypotheses[i].count, 1};
}

static int improve_times(struct group *group, int rounds)
{
    struct pool pools[PS_LANES];
    struct ps_verdict verdicts[PS_LANES];
    int status = 0;
    for (int round = 0; round < rounds && status == 0; round++) {
        list_all(group, pools);
        status = improve(group, pools);
    }
    list_all(group, pools);
    if (status == 0)
        status = judge(group->run, pools, group->count, verdicts);
    for (int i = 0; i < group->count && status == 0; i++)
        group->hypotheses[i].verdict = verdicts[i];
    return status;
}

/* ---- the search -------------------------------------------------------------------------------
 */

int ps_adaptive_reduce(struct ps_adaptive_run *run, double target)
{
    double diameter = run->base->result->diameter;
    run->bin = ps_adaptive_bin(diameter, target);
    run->diameter = diameter / run->bin;
    struct ps_reduction reduction = {
        .bin = run->bin,
        .frame = (int)rint(run->rules->frame * run->diameter),
        .diameter = run->diameter,
        .largest = ps_adaptive_scales[PS_ADAPTIVE_SCALES - 1] * run->diameter,
        .mask = run->base->config->picker.mask_contaminants,
    };
    return run->ops->reduce(run->base->slot, &reduction, &run->field, run->base->error);
}

static void take_if_better(struct ps_adaptive_run *run, struct ps_hypothesis *h)
{
    if (run->best.peaks && h->verdict.objective <= run->best.verdict.objective)
        return;
    free(run->best.peaks);
    run->best = *h;
    h->peaks = NULL;
}

static int compare(struct group *group, bool calm)
{
    int status = scale(group);
    if (status == 0)
        status = start(group);
    if (status == 0)
        status = improve_times(group, group->run->rules->coarse_rounds);
    for (int i = 0; i < group->count && status == 0; i++) {
        struct ps_hypothesis *h = &group->hypotheses[i];
        if (!calm)
            look_for_outstanding(group->run, h);
        if (!group->lanes[i].flat && h->calm == calm) /* no template: no hypothesis */
            take_if_better(group->run, h);
    }
    group_done(group);
    return status;
}

/* Step 12: scale by scale, the starts that the contrast allows. */
static int search(struct ps_adaptive_run *run, bool calm)
{
    enum ps_contrast contrast = run->base->config->picker.contrast;
    struct group group = {.run = run};
    int status = 0;
    for (int k = 0; k < PS_ADAPTIVE_SCALES * BEGINS && status == 0; k++) {
        enum ps_adaptive_begin begin = (enum ps_adaptive_begin)(k % BEGINS);
        if (!(begin == BEGIN_DARK && contrast == PS_CONTRAST_BRIGHT) &&
            !(begin == BEGIN_BRIGHT && contrast == PS_CONTRAST_DARK) &&
            !(begin == BEGIN_DETAIL && !run->rules->energy))
            group.hypotheses[group.count++] = (struct ps_hypothesis){
                .scale = ps_adaptive_scales[k / BEGINS], .begin = begin, .calm = calm};
        bool last = k == PS_ADAPTIVE_SCALES * BEGINS - 1;
        if (group.count == run->ops->lanes || (last && group.count > 0)) {
            status = compare(&group, calm);
            group.count = 0;
        }
    }
    return status;
}

/* Whether a place belongs to the one half of a chequered field or to the other. */
static bool in_half(const struct ps_adaptive_run *run, const struct ps_peak *peak, int half)
{
    int tile = (int)(HALF_TILE * scale_diameter(run, &run->best)) + 1;
    return (peak->x / tile + peak->y / tile) % 2 == half;
}

/* Appends the peaks of one half to `list`, which has room; returns how many it then holds. */
static size_t append_half(const struct ps_adaptive_run *run, const struct ps_hypothesis *h,
                          int half, struct ps_peak *list, size_t count)
{
    for (size_t i = 0; i < h->count; i++)
        if (in_half(run, &h->peaks[i], half))
            list[count++] = h->peaks[i];
    return count;
}

static size_t peaks_of(const struct group *group)
{
    size_t count = 0;
    for (int i = 0; i < group->count; i++)
        count += group->hypotheses[i].count;
    return count;
}

/* One round of hypotheses that learn from the half `first_half` + i of the field each. */
static int improve_by_halves(struct group *group, int first_half)
{
    const struct ps_adaptive_run *run = group->run;
    size_t room = peaks_of(group);
    struct ps_peak *examples = malloc((room + 1) * sizeof *examples);
    if (!examples)
        return ps_fail_memory(run->base->error, room * sizeof *examples, "peaks");
    struct pool pools[PS_LANES];
    size_t end = 0;
    for (int i = 0; i < group->count; i++) {
        size_t begin = end;
        end = append_half(run, &group->hypotheses[i], first_half + i, examples, begin);
        pools[i] = (struct pool){examples + begin, end - begin, 0.5};
    }
    int status = improve(group, pools);
    free(examples);
    return status;
}

/* Appends what those hypotheses find in the other halves. */
static int try_halves(struct group *group, int first_half, struct ps_peak **list, size_t *count)
{
    struct ps_adaptive_run *run = group->run;
    int status = scale(group);
    if (status == 0)
        status = start(group);
    for (int round = 0; round < run->rules->coarse_rounds && status == 0; round++)
        status = improve_by_halves(group, first_half);
    if (status)
        return status;
    size_t room = *count + peaks_of(group);
    struct ps_peak *grown = realloc(*list, (room + 1) * sizeof *grown);
    if (!grown)
        return ps_fail_memory(run->base->error, room * sizeof *grown, "peaks");
    *list = grown;
    for (int i = 0; i < group->count; i++) {
        if (group->lanes[i].flat)
            return PS_E_INPUT;
        *count = append_half(run, &group->hypotheses[i], !(first_half + i), grown, *count);
    }
    return 0;
}

static int probe(struct ps_adaptive_run *run)
{
    if (!run->rules->probation) {
        run->probation.reliable = true;
        return 0;
    }
    struct ps_peak *held_out = NULL;
    size_t count = 0;
    int status = 0;
    int lanes = run->ops->lanes < 2 ? 1 : 2;
    for (int half = 0; half < 2 && status == 0; half += lanes) {
        struct group group = {.run = run, .count = lanes};
        for (int i = 0; i < lanes; i++)
            group.hypotheses[i] = (struct ps_hypothesis){
                .scale = run->best.scale, .begin = run->best.begin, .calm = run->best.calm};
        status = try_halves(&group, half, &held_out, &count);
        group_done(&group);
    }
    if (status == 0)
        status = judge(run, &(struct pool){held_out, count, 1}, 1, &run->probation);
    free(held_out);
    return status == PS_E_INPUT ? 0 : status;
}

int ps_adaptive_search(struct ps_adaptive_run *run)
{
    int status = search(run, false);
    if (status || !run->best.peaks)
        return status;
    status = probe(run);
    if (status || !run->base->config->picker.mask_contaminants)
        return status;
    struct ps_hypothesis bold = run->best;
    struct ps_verdict probation = run->probation;
    enum ps_capture capture = ps_adaptive_capture(run->rules, &bold.verdict, &probation,
                                                  bold.outstanding, area_of(run, &bold));
    run->best.calm = capture == CAPTURE_PARTIAL;
    if (capture != CAPTURE_WHOLE)
        return 0;
    run->best = (struct ps_hypothesis){0};
    status = search(run, true);
    if (status == 0 && run->best.peaks)
        status = probe(run);
    if (run->best.peaks && ps_adaptive_is_calm(run->rules, &run->best.verdict, &run->probation,
                                               run->best.outstanding)) {
        free(bold.peaks);
        return status;
    }
    free(run->best.peaks);
    run->best = bold;
    run->probation = probation;
    return status;
}

/* From the field of another bin and frame to this one. */
static void move_peaks(const struct ps_adaptive_run *run, struct ps_hypothesis *h, int bin,
                       int frame)
{
    for (size_t i = 0; i < h->count && run->bin != bin; i++) {
        struct ps_peak *peak = &h->peaks[i];
        double ratio = (double)bin / run->bin;
        int x = (int)floor((peak->x - frame + 0.5) * ratio) + run->field.frame;
        int y = (int)floor((peak->y - frame + 0.5) * ratio) + run->field.frame;
        peak->x = x < 0 ? 0 : x < run->field.width ? x : run->field.width - 1;
        peak->y = y < 0 ? 0 : y < run->field.height ? y : run->field.height - 1;
    }
}

/* Whether a hypothesis that was refined ended with particles. */
static bool has_particles(const struct ps_adaptive_run *run, const struct ps_hypothesis *h)
{
    return h->calm ? ps_adaptive_is_calm(run->rules, &h->verdict, &run->probation, h->outstanding)
                   : ps_adaptive_is_reliable(run->rules, &h->verdict, &run->probation);
}

/* The hypothesis from these candidates on. On the fine field contaminants may still take it over,
 * and a calm one may still have lost the particles: where it ends with nothing it is tried the
 * other way, and stays as it was if that is no better. */
static int refine(struct group *group, const struct ps_hypothesis *begin)
{
    struct ps_adaptive_run *run = group->run;
    struct ps_hypothesis *h = &group->hypotheses[0];
    bool contaminants = begin->outstanding > 0 && run->base->config->picker.mask_contaminants;
    int last = !contaminants ? 0 : begin->calm ? 1 : 2;
    int status = 0;
    for (int attempt = 0; attempt <= last && status == 0; attempt++) {
        free(h->peaks);
        *h = *begin;
        h->calm = begin->calm != (attempt == 1);
        h->peaks = malloc((begin->count + 1) * sizeof *h->peaks);
        if (!h->peaks)
            return ps_fail_memory(run->base->error, begin->count * sizeof *h->peaks, "peaks");
        memcpy(h->peaks, begin->peaks, begin->count * sizeof *h->peaks);
        group->lanes[0] = (struct ps_lane){.weights = {0}};
        status = improve_times(group, run->rules->fine_rounds);
        if (!group->lanes[0].flat && has_particles(run, h))
            break;
    }
    if (status == 0 && h->calm && !group->lanes[0].flat)
        status = find_all_peaks(group);
    return status;
}

int ps_adaptive_refine(struct ps_adaptive_run *run)
{
    int bin = run->bin;
    int frame = run->field.frame;
    int status = ps_adaptive_reduce(run, run->rules->fine);
    if (status)
        return status;
    struct group group = {.run = run, .count = 1, .hypotheses = {{.scale = run->best.scale}}};
    move_peaks(run, &run->best, bin, frame);
    status = scale(&group);
    if (status == 0)
        status = refine(&group, &run->best);
    if (status == 0 && group.lanes[0].flat)
        status =
            ps_fail(run->base->error, PS_E_INPUT, "no contrast: an average without any structure");
    run->now = group.hypotheses[0];
    return status;
}
