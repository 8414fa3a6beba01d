#include "picker/adaptive_search.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ps_hypothesis_done(struct ps_hypothesis *hypothesis)
{
    free(hypothesis->peaks);
    ps_null_done(&hypothesis->null);
    *hypothesis = (struct ps_hypothesis){0};
}

/* ---- hypotheses side by side ------------------------------------------------------------------
 */

/* As many as the device has items for, and what they find in the field as it is. */
struct group {
    struct ps_adaptive_run *run;
    int count;
    struct ps_hypothesis *hypotheses[PS_MAX_ITEMS];
    struct ps_batch_item items[PS_MAX_ITEMS];
    struct {
        struct ps_peak *peaks;
        size_t count;
    } found[PS_MAX_ITEMS];
};

static double scale_diameter(const struct ps_adaptive_run *run, const struct ps_hypothesis *h)
{
    return h->scale * run->diameter;
}

static bool runs(const struct group *group, int i)
{
    return !group->items[i].idle && !group->items[i].flat;
}

static void forget_found(struct group *group)
{
    for (int i = 0; i < group->count; i++) {
        free(group->found[i].peaks);
        group->found[i].peaks = NULL;
        group->found[i].count = 0;
    }
}

static int scale(struct group *group)
{
    double diameters[PS_MAX_ITEMS];
    for (int i = 0; i < group->count; i++)
        diameters[i] = scale_diameter(group->run, group->hypotheses[i]);
    const struct ps_picking *base = group->run->base;
    return group->run->ops->scale(base->slot, diameters, group->count, base->error);
}

/* How many particles would cover the field. */
static double area_of(const struct ps_adaptive_run *run, double diameter)
{
    return (double)run->field.unmasked / pow(diameter, 2);
}

/* Removes the candidates that stand out; if these are many they are the particles, and stay. */
static void exclude_contaminants(struct group *group, int i)
{
    const struct ps_adaptive_run *run = group->run;
    struct ps_peak *peaks = group->found[i].peaks;
    size_t count = group->found[i].count;
    struct ps_window_range range = ps_adaptive_range(peaks, count, run->rules->contaminant);
    double few = run->rules->few * area_of(run, scale_diameter(run, group->hypotheses[i]));
    if ((double)ps_adaptive_count_outside(&range, peaks, count) > few)
        return;
    size_t kept = 0;
    for (size_t k = 0; k < count; k++)
        if (!ps_adaptive_stands_out(&range, &peaks[k]))
            peaks[kept++] = peaks[k];
    group->found[i].count = kept;
}

static int find_all_peaks(struct group *group)
{
    struct ps_adaptive_run *run = group->run;
    for (int i = 0; i < group->count; i++)
        group->items[i].distance_field_px =
            run->rules->distance * fmin(group->hypotheses[i]->scale, 1.1) * run->diameter;
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

static int find_peaks(struct group *group)
{
    int status = find_all_peaks(group);
    for (int i = 0; i < group->count && status == 0; i++)
        if (group->hypotheses[i]->clean && runs(group, i))
            exclude_contaminants(group, i);
    return status;
}

/* Responses to the items' templates, and the candidates by their weights. */
static int match(struct group *group)
{
    const struct ps_picking *base = group->run->base;
    int status = group->run->ops->respond(base->slot, group->items, group->count, base->error);
    return status ? status : find_peaks(group);
}

/* Step 6. */
static int start(struct group *group)
{
    for (int i = 0; i < group->count; i++) {
        const struct ps_hypothesis *h = group->hypotheses[i];
        enum ps_channel channel =
            h->begin == BEGIN_DETAIL ? PS_CHANNEL_ENERGY : PS_CHANNEL_INTENSITY;
        int sign = h->begin == BEGIN_DARK ? -1 : 1;
        struct ps_batch_item *item = &group->items[i];
        *item = (struct ps_batch_item){.weights = {0}};
        item->templates[channel] = ps_adaptive_start(scale_diameter(group->run, h), sign);
        item->weights[channel] = 1;
    }
    return match(group);
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
static int improve(struct group *group)
{
    struct ps_adaptive_run *run = group->run;
    size_t values = 0;
    for (int i = 0; i < group->count; i++) {
        struct ps_batch_item *item = &group->items[i];
        double area = area_of(run, scale_diameter(run, group->hypotheses[i]));
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
        status = find_peaks(group);
    return status;
}

static int improve_times(struct group *group, int rounds)
{
    int status = 0;
    for (int round = 0; round < rounds && status == 0; round++)
        status = improve(group);
    return status;
}

static int learn_from_scratch(struct group *group)
{
    int status = start(group);
    return status ? status : improve_times(group, group->run->rules->coarse_rounds);
}

/* What was found becomes the hypotheses' own. */
static void keep_found(struct group *group)
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

/* What was found in noise becomes a list of the hypotheses' null. */
static int add_to_null(struct group *group)
{
    int status = 0;
    for (int i = 0; i < group->count && status == 0; i++)
        if (runs(group, i))
            status = ps_null_add(&group->hypotheses[i]->null, group->found[i].peaks,
                                 group->found[i].count);
    return status ? ps_fail_memory(group->run->base->error, 0, "scores") : 0;
}

/* The hypotheses' templates on the field as it is. */
static int match_known(struct group *group)
{
    for (int i = 0; i < group->count; i++) {
        const struct ps_hypothesis *h = group->hypotheses[i];
        group->items[i] = (struct ps_batch_item){.idle = h->flat};
        memcpy(group->items[i].templates, h->templates, sizeof h->templates);
        memcpy(group->items[i].weights, h->weights, sizeof h->weights);
    }
    return match(group);
}

/* ---- the search -------------------------------------------------------------------------------
 */

/* The corners of the frame are so near that the smallest template still holds a pixel of the
 * image there. */
static int frame_of(const struct ps_adaptive_run *run)
{
    double reach = PS_TEMPLATE_REACH * ps_adaptive_scales[0] * run->diameter;
    int frame = (int)rint(run->rules->frame * run->diameter);
    int most = (int)(reach / M_SQRT2);
    return frame < most ? frame : most;
}

/* Steps 1 to 3 at a resolution: particles become at least so many px wide. */
static int reduce(struct ps_adaptive_run *run, double least)
{
    const struct ps_picking *base = run->base;
    double diameter = base->result->diameter;
    run->bin = ps_adaptive_bin(diameter, least);
    run->diameter = diameter / run->bin;
    struct ps_reduction reduction = {
        .bin = run->bin,
        .frame_field_px = frame_of(run),
        .diameter_field_px = run->diameter,
        .max_diameter_field_px = ps_adaptive_scales[PS_ADAPTIVE_SCALES - 1] * run->diameter,
        .mask = base->config->picker.mask_contaminants,
    };
    int width = base->image->width / run->bin;
    int height = base->image->height / run->bin;
    size_t pixels = (size_t)width * (size_t)height;
    unsigned char *dead = NULL;
    run->field_live = pixels;
    if (base->dead.count) {
        dead = malloc(pixels);
        if (!dead)
            return ps_fail_memory(base->error, pixels, "dead areas");
        run->field_live -= ps_dead_areas_bin(&base->dead, run->bin, width, height, dead);
    }
    reduction.dead = dead;
    int status = run->ops->reduce(base->slot, &reduction, &run->field, base->error);
    free(dead);
    return status;
}

static double fine_of(const struct ps_adaptive_run *run)
{
    const struct ps_picking *base = run->base;
    return ps_adaptive_fine(run->rules, base->result->diameter, base->image->width,
                            base->image->height);
}

enum { HYPOTHESES = PS_ADAPTIVE_SCALES * BEGINS };

/* Scale by scale, the starts that the contrast allows; returns how many. */
static int list_hypotheses(const struct ps_adaptive_run *run, bool clean,
                           struct ps_hypothesis *ret_hypotheses)
{
    enum ps_contrast contrast = run->base->config->picker.contrast;
    int count = 0;
    for (int k = 0; k < HYPOTHESES; k++) {
        enum ps_adaptive_begin begin = (enum ps_adaptive_begin)(k % BEGINS);
        if ((begin == BEGIN_DARK && contrast == PS_CONTRAST_BRIGHT) ||
            (begin == BEGIN_BRIGHT && contrast == PS_CONTRAST_DARK) ||
            (begin == BEGIN_DETAIL && !run->rules->energy))
            continue;
        ret_hypotheses[count++] = (struct ps_hypothesis){
            .scale = ps_adaptive_scales[k / BEGINS], .begin = begin, .clean = clean};
    }
    return count;
}

/* In the micrograph, or in noise. */
static int look(struct group *group, bool noise)
{
    int status = scale(group);
    if (status == 0)
        status = learn_from_scratch(group);
    if (status == 0 && !noise)
        keep_found(group);
    if (status == 0 && noise)
        status = add_to_null(group);
    if (status == 0 && noise)
        status = match_known(group);
    if (status == 0 && noise)
        status = add_to_null(group);
    forget_found(group);
    return status;
}

static int look_with_all(struct ps_adaptive_run *run, struct ps_hypothesis *hypotheses, int count,
                         bool noise)
{
    int status = 0;
    for (int first = 0; first < count && status == 0; first += run->ops->max_items) {
        struct group group = {.run = run};
        while (group.count < run->ops->max_items && first + group.count < count) {
            group.hypotheses[group.count] = &hypotheses[first + group.count];
            group.count++;
        }
        status = look(&group, noise);
    }
    return status;
}

/* The first seeds of the fields of noise; one seed does not make the same noise of two fields. */
enum { COARSE_SEED = 1, FINE_SEED = 101 };

static int judge(const struct ps_adaptive_run *run, struct ps_hypothesis *h)
{
    bool strange = run->rules->strange && run->base->config->picker.mask_contaminants;
    int status = ps_null_judge(&h->null, h->peaks, h->count, strange, &h->test);
    return status ? ps_fail_memory(run->base->error, h->count * sizeof(double), "scores") : 0;
}

/* The objective, but: a template much wider than the given diameter separates well and merges
 * neighbours; and what is found without contaminants is worth more than what is found with them. */
static double worth(const struct ps_hypothesis *h)
{
    static const double wide[][2] = {{1.4, 0.75}, {1.2, 0.9}}; /* from this scale on, factor */
    const double clean = 1.25;
    double factor = h->clean ? clean : 1;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (h->scale >= wide[i][0])
            return factor * wide[i][1] * h->test.objective;
    return factor * h->test.objective;
}

/* Judges the hypotheses that are not flat; returns the best, the first of equals, or NULL. */
static int find_best(struct ps_adaptive_run *run, struct ps_hypothesis *hypotheses, int count,
                     struct ps_hypothesis **ret_best)
{
    struct ps_hypothesis *best = NULL;
    for (int i = 0; i < count; i++) {
        struct ps_hypothesis *h = &hypotheses[i];
        int status = h->flat ? 0 : judge(run, h);
        if (status)
            return status;
        if (!h->flat && (!best || worth(h) > worth(best)))
            best = h;
    }
    *ret_best = best;
    return 0;
}

/* Fields of noise number `first` to `end`. */
static int look_in_noise(struct ps_adaptive_run *run, struct ps_hypothesis *hypotheses, int count,
                         int first, int end)
{
    int status = 0;
    for (int i = first; i < end && status == 0; i++) {
        status =
            run->ops->randomise(run->base->slot, (unsigned)(COARSE_SEED + i), run->base->error);
        if (status == 0)
            status = look_with_all(run, hypotheses, count, true);
    }
    return status;
}

/* Where the best one is not clear, all are held against more noise before one is chosen. */
static int hold_against_noise(struct ps_adaptive_run *run, struct ps_hypothesis *hypotheses,
                              int count, struct ps_hypothesis **ret_best)
{
    const struct ps_adaptive_rules *rules = run->rules;
    int nulls = ps_adaptive_nulls(rules, area_of(run, run->diameter));
    int status = look_in_noise(run, hypotheses, count, 0, nulls);
    if (status == 0)
        status = find_best(run, hypotheses, count, ret_best);
    if (status || !*ret_best || (*ret_best)->test.objective >= rules->clear ||
        nulls == rules->nulls)
        return status;
    status = look_in_noise(run, hypotheses, count, nulls, rules->nulls);
    return status ? status : find_best(run, hypotheses, count, ret_best);
}

/* Steps 5 to 13, with or without the candidates that stand out: leaves the best one in run->best,
 * if it is better than what is there. */
static int search(struct ps_adaptive_run *run, bool clean)
{
    struct ps_hypothesis *hypotheses = calloc(HYPOTHESES, sizeof *hypotheses);
    if (!hypotheses)
        return ps_fail_memory(run->base->error, HYPOTHESES * sizeof *hypotheses, "hypotheses");
    int count = list_hypotheses(run, clean, hypotheses);
    struct ps_hypothesis *best = NULL;
    int status = look_with_all(run, hypotheses, count, false);
    if (status == 0)
        status = hold_against_noise(run, hypotheses, count, &best);
    if (status == 0 && best && (!run->best.peaks || worth(best) > worth(&run->best))) {
        ps_hypothesis_done(&run->best);
        run->best = *best;
        *best = (struct ps_hypothesis){0};
    }
    for (int i = 0; i < HYPOTHESES; i++)
        ps_hypothesis_done(&hypotheses[i]);
    free(hypotheses);
    return status;
}

/* Whether so many of its particles stand out from all candidates that templates may be made of
 * contaminants. */
static bool has_contaminants(const struct ps_adaptive_run *run, const struct ps_hypothesis *h)
{
    const size_t hardly = 20; /* one in so many does no harm */
    struct ps_window_range range = ps_adaptive_range(h->peaks, h->count, run->rules->contaminant);
    return hardly * ps_adaptive_count_outside(&range, h->peaks, h->test.above) > h->test.above;
}

int ps_adaptive_search(struct ps_adaptive_run *run)
{
    double least = run->rules->coarse > 0 ? run->rules->coarse : fine_of(run);
    int status = reduce(run, least);
    if (status)
        return status;
    ps_picking_stage_done(run->base, PS_STAGE_PREPROCESS);
    status = search(run, false);
    if (status || !run->best.peaks || !run->base->config->picker.mask_contaminants ||
        !has_contaminants(run, &run->best))
        return status;
    status = reduce(run, least);
    return status ? status : search(run, true);
}

/* ---- refinement -------------------------------------------------------------------------------
 */

/* A hypothesis' candidates from the field of another bin and frame to this one, as found. */
static int move_peaks(struct group *group, const struct ps_hypothesis *from, int bin, int frame)
{
    const struct ps_adaptive_run *run = group->run;
    struct ps_peak *peaks = malloc((from->count + 1) * sizeof *peaks);
    if (!peaks)
        return ps_fail_memory(run->base->error, from->count * sizeof *peaks, "peaks");
    double ratio = (double)bin / run->bin;
    for (size_t i = 0; i < from->count; i++) {
        int x = (int)floor((from->peaks[i].x - frame + 0.5) * ratio) + run->field.frame_field_px;
        int y = (int)floor((from->peaks[i].y - frame + 0.5) * ratio) + run->field.frame_field_px;
        peaks[i] = from->peaks[i];
        peaks[i].x = x < 0 ? 0 : x < run->field.width ? x : run->field.width - 1;
        peaks[i].y = y < 0 ? 0 : y < run->field.height ? y : run->field.height - 1;
    }
    group->found[0].peaks = peaks;
    group->found[0].count = from->count;
    return 0;
}

/* What is asked of the candidates while the field is the micrograph. */
static int describe_candidates(struct ps_adaptive_run *run)
{
    static const enum ps_map maps[PS_CHANNELS] = {PS_MAP_INTENSITY_MATCH, PS_MAP_ENERGY_MATCH};
    const struct ps_hypothesis *h = &run->now;
    struct ps_picking *base = run->base;
    run->centres = malloc((h->count + 1) * sizeof *run->centres);
    if (!run->centres)
        return ps_fail_memory(base->error, h->count * sizeof *run->centres, "centres");
    int status = run->ops->locate(base->slot, h->peaks, h->count, run->centres, base->error);
    for (int c = 0; c < PS_CHANNELS && status == 0; c++) {
        run->responses[c] = malloc((h->count + 1) * sizeof *run->responses[c]);
        if (!run->responses[c])
            return ps_fail_memory(base->error, h->count * sizeof *run->responses[c], "responses");
        status = run->ops->sample(base->slot, maps[c], h->peaks, h->count, run->responses[c],
                                  base->error);
    }
    return status;
}

static int refine(struct group *group)
{
    struct ps_adaptive_run *run = group->run;
    int status = scale(group);
    if (status == 0)
        status = improve_times(group, run->rules->fine_rounds);
    if (status == 0 && run->now.clean && !run->now.flat)
        status = find_all_peaks(group);
    if (status == 0)
        keep_found(group);
    if (status == 0 && run->now.flat)
        status =
            ps_fail(run->base->error, PS_E_INPUT, "no contrast: an average without any structure");
    if (status == 0)
        status = describe_candidates(run);
    int nulls = ps_adaptive_nulls(run->rules, area_of(run, scale_diameter(run, &run->now)));
    for (int i = 0; i < nulls && status == 0; i++) {
        status = run->ops->randomise(run->base->slot, (unsigned)(FINE_SEED + i), run->base->error);
        if (status == 0)
            status = scale(group);
        if (status == 0)
            status = match_known(group);
        if (status == 0)
            status = add_to_null(group);
    }
    return status;
}

int ps_adaptive_refine(struct ps_adaptive_run *run)
{
    int bin = run->bin;
    int frame = run->field.frame_field_px;
    int status = reduce(run, fine_of(run));
    if (status)
        return status;
    run->now = (struct ps_hypothesis){
        .scale = run->best.scale,
        .begin = run->best.begin,
        .clean = run->best.clean,
        .test = run->best.test,
    };
    struct group group = {.run = run, .count = 1, .hypotheses = {&run->now}};
    status = move_peaks(&group, &run->best, bin, frame);
    if (status == 0)
        status = refine(&group);
    forget_found(&group);
    return status;
}

void ps_adaptive_run_done(struct ps_adaptive_run *run)
{
    ps_hypothesis_done(&run->best);
    ps_hypothesis_done(&run->now);
    free(run->centres);
    for (int c = 0; c < PS_CHANNELS; c++)
        free(run->responses[c]);
}
