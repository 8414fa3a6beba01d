/* The order of the stages of the `adaptive` profile: hypotheses on a coarse field, the best of them
 * on a fine one, then the picks. */
#include "base/error.h"
#include "picker/adaptive.h"
#include "picker/picking.h"
#include "picker/svm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tiles of the halves of a field, in diameters. */
static const double HALF_TILE = 3;

/* What the first candidates look like. */
enum begin { BEGIN_DARK, BEGIN_BRIGHT, BEGIN_DETAIL, BEGINS };

struct hypothesis {
    double scale; /* of the diameter */
    enum begin begin;
    struct ps_peak *peaks;
    size_t count;
    struct ps_verdict verdict;
};

struct adaptive_run {
    struct ps_picking *base;
    const struct ps_adaptive_ops *ops;
    const struct ps_adaptive_rules *rules;
    int bin;
    double diameter; /* of the particle, px of the field */
    struct ps_field field;
    struct hypothesis now; /* the one that the slot is at */
    struct hypothesis best;
    struct ps_verdict probation; /* of the best one */
    bool supported;              /* a support vector machine decided */
};

/* ---- one hypothesis ---------------------------------------------------------------------------
 */

static double scale_diameter(const struct adaptive_run *run)
{
    return run->now.scale * run->diameter;
}

static int find_peaks(struct adaptive_run *run)
{
    free(run->now.peaks);
    run->now.peaks = NULL;
    run->now.count = 0;
    return run->ops->peaks(run->base->slot, run->rules->distance * scale_diameter(run),
                           &run->now.peaks, &run->now.count, run->base->error);
}

static int start(struct adaptive_run *run)
{
    enum ps_channel channel =
        run->now.begin == BEGIN_DETAIL ? PS_CHANNEL_ENERGY : PS_CHANNEL_INTENSITY;
    int sign = run->now.begin == BEGIN_DARK ? -1 : 1;
    struct ps_radial templates[PS_CHANNELS] = {{0}, {0}};
    double weights[PS_CHANNELS] = {0};
    templates[channel] = ps_adaptive_start(scale_diameter(run), sign);
    weights[channel] = 1;
    int status = run->ops->respond(run->base->slot, templates, run->base->error);
    if (status == 0)
        status = run->ops->combine(run->base->slot, weights, run->base->error);
    if (status == 0)
        status = find_peaks(run);
    return status;
}

/* Steps 8 to 10; `peaks` are those that may be examples, and `share` is the share of the field that
 * they come from. */
static int improve(struct adaptive_run *run, const struct ps_peak *peaks, size_t peak_count,
                   double share)
{
    struct ps_slot *slot = run->base->slot;
    struct ps_error *error = run->base->error;
    double ds = scale_diameter(run);
    size_t count =
        ps_adaptive_examples(peaks, peak_count, share * (double)run->field.unmasked / ds / ds);
    float *responses = malloc(2 * count * sizeof *responses);
    if (!responses)
        return ps_fail_memory(error, 2 * count * sizeof *responses, "examples");
    const float *const both[PS_CHANNELS] = {responses, responses + count};
    struct ps_radial templates[PS_CHANNELS];
    struct ps_response_moments moments;
    double weights[PS_CHANNELS];
    int status = run->ops->average(slot, peaks, count, templates, error);
    if (status == 0)
        status = run->ops->respond(slot, templates, error);
    if (status == 0)
        status = run->ops->sample(slot, PS_MAP_INTENSITY_MATCH, peaks, count, responses, error);
    if (status == 0)
        status =
            run->ops->sample(slot, PS_MAP_ENERGY_MATCH, peaks, count, responses + count, error);
    if (status == 0)
        status = run->ops->moments(slot, &moments, error);
    if (status == 0) {
        ps_adaptive_weights(both, count, &moments, weights);
        if (!run->rules->energy) {
            weights[PS_CHANNEL_INTENSITY] = 1;
            weights[PS_CHANNEL_ENERGY] = 0;
        }
        status = run->ops->combine(slot, weights, error);
    }
    free(responses);
    if (status == 0)
        status = find_peaks(run);
    return status;
}

static int improve_times(struct adaptive_run *run, int rounds)
{
    int status = 0;
    for (int round = 0; round < rounds && run->now.count > 0 && status == 0; round++)
        status = improve(run, run->now.peaks, run->now.count, 1);
    if (status == 0)
        run->now.verdict = ps_adaptive_judge(run->rules, run->now.peaks, run->now.count);
    return status;
}

/* ---- the search -------------------------------------------------------------------------------
 */

static int reduce(struct adaptive_run *run, double target)
{
    double diameter = run->base->result->diameter;
    run->bin = ps_adaptive_bin(diameter, target);
    run->diameter = diameter / run->bin;
    struct ps_reduction reduction = {
        .bin = run->bin,
        .frame = (int)rint(run->rules->frame * run->diameter),
        .diameter = run->diameter,
        .mask = run->base->config->picker.mask_contaminants,
    };
    return run->ops->reduce(run->base->slot, &reduction, &run->field, run->base->error);
}

static void take_if_better(struct adaptive_run *run)
{
    if (run->best.peaks && run->now.verdict.objective <= run->best.verdict.objective)
        return;
    free(run->best.peaks);
    run->best = run->now;
    run->now.peaks = NULL;
    run->now.count = 0;
}

/* Step 12: scale by scale, the starts that the contrast allows. */
static int search(struct adaptive_run *run)
{
    enum ps_contrast contrast = run->base->config->picker.contrast;
    int status = 0;
    for (int s = 0; s < PS_ADAPTIVE_SCALES && status == 0; s++) {
        run->now.scale = ps_adaptive_scales[s];
        status = run->ops->scale(run->base->slot, scale_diameter(run), run->base->error);
        for (int begin = 0; begin < BEGINS && status == 0; begin++) {
            if ((begin == BEGIN_DARK && contrast == PS_CONTRAST_BRIGHT) ||
                (begin == BEGIN_BRIGHT && contrast == PS_CONTRAST_DARK) ||
                (begin == BEGIN_DETAIL && !run->rules->energy))
                continue;
            run->now.begin = (enum begin)begin;
            status = start(run);
            if (status == 0)
                status = improve_times(run, run->rules->coarse_rounds);
            if (status == 0)
                take_if_better(run);
            else if (status == PS_E_INPUT) /* no template: no hypothesis */
                status = 0;
        }
    }
    return status;
}

/* Whether a place belongs to the one half of a chequered field or to the other. */
static bool in_half(const struct adaptive_run *run, const struct ps_peak *peak, int half)
{
    int tile = (int)(HALF_TILE * scale_diameter(run)) + 1;
    return (peak->x / tile + peak->y / tile) % 2 == half;
}

/* Appends the peaks of one half to `list`, which has room; returns how many it then holds. */
static size_t append_half(const struct adaptive_run *run, int half, struct ps_peak *list,
                          size_t count)
{
    for (size_t i = 0; i < run->now.count; i++)
        if (in_half(run, &run->now.peaks[i], half))
            list[count++] = run->now.peaks[i];
    return count;
}

static int learn_from_half(struct adaptive_run *run, int half, struct ps_peak **list, size_t *count)
{
    int status = start(run);
    for (int round = 0; round <= run->rules->coarse_rounds && status == 0; round++) {
        bool last = round == run->rules->coarse_rounds;
        size_t room = (last ? *count : 0) + run->now.count + 1;
        struct ps_peak *grown = realloc(last ? *list : NULL, room * sizeof *grown);
        if (!grown)
            return ps_fail_memory(run->base->error, room * sizeof *grown, "peaks");
        if (last) {
            *list = grown;
            *count = append_half(run, !half, grown, *count);
        } else {
            size_t own = append_half(run, half, grown, 0);
            if (own > 0)
                status = improve(run, grown, own, 0.5);
            free(grown);
        }
    }
    return status;
}

/* The best hypothesis on probation: templates from one half of the field find the particles of the
 * other, and the other way round. Templates that only know the noise that they were made of (and
 * any search finds some) tell nothing apart there. */
static int probe(struct adaptive_run *run)
{
    if (!run->rules->probation) {
        run->probation.reliable = true;
        return 0;
    }
    free(run->now.peaks);
    run->now = (struct hypothesis){.scale = run->best.scale, .begin = run->best.begin};
    struct ps_peak *held_out = NULL;
    size_t count = 0;
    int status = run->ops->scale(run->base->slot, scale_diameter(run), run->base->error);
    for (int half = 0; half < 2 && status == 0; half++)
        status = learn_from_half(run, half, &held_out, &count);
    if (status == 0)
        run->probation = ps_adaptive_judge(run->rules, held_out, count);
    free(held_out);
    return status == PS_E_INPUT ? 0 : status;
}

/* The best hypothesis again, at full resolution: its candidates are where it begins. */
static int refine(struct adaptive_run *run)
{
    int bin = run->bin;
    int frame = run->field.frame;
    free(run->now.peaks);
    run->now = run->best;
    run->best.peaks = NULL;
    int status = reduce(run, run->rules->fine);
    if (status)
        return status;
    for (size_t i = 0; i < run->now.count && run->bin != bin; i++) {
        struct ps_peak *peak = &run->now.peaks[i];
        double ratio = (double)bin / run->bin;
        int x = (int)floor((peak->x - frame + 0.5) * ratio) + run->field.frame;
        int y = (int)floor((peak->y - frame + 0.5) * ratio) + run->field.frame;
        peak->x = x < 0 ? 0 : x < run->field.width ? x : run->field.width - 1;
        peak->y = y < 0 ? 0 : y < run->field.height ? y : run->field.height - 1;
    }
    status = run->ops->scale(run->base->slot, scale_diameter(run), run->base->error);
    if (status == 0)
        status = improve_times(run, run->rules->fine_rounds);
    return status;
}

/* ---- picks ------------------------------------------------------------------------------------
 */

enum { FEATURES = 4, FEWEST_EXAMPLES = 5 };

/* Step 14: decision values of all candidates, positive for picks. */
static int decide(struct adaptive_run *run, double *ret_decisions)
{
    static const enum ps_map maps[FEATURES] = {PS_MAP_INTENSITY_MATCH, PS_MAP_ENERGY_MATCH,
                                               PS_MAP_MEAN, PS_MAP_DEVIATION};
    const struct hypothesis *h = &run->now;
    for (size_t i = 0; i < h->count; i++)
        ret_decisions[i] = (double)h->peaks[i].value - h->verdict.threshold;
    size_t above = h->verdict.above;
    if (!run->rules->support || !h->verdict.reliable || above < FEWEST_EXAMPLES ||
        h->count - above < FEWEST_EXAMPLES)
        return 0;
    size_t bytes = h->count * (FEATURES * sizeof(double) + sizeof(float));
    double *points = malloc(bytes);
    if (!points)
        return ps_fail_memory(run->base->error, bytes, "the training set");
    float *values = (float *)(points + FEATURES * h->count);
    int status = 0;
    for (size_t k = 0; k < FEATURES && status == 0; k++) {
        status = run->ops->sample(run->base->slot, maps[k], h->peaks, h->count, values,
                                  run->base->error);
        double mean = 0;
        double square = 0;
        for (size_t i = 0; i < h->count; i++)
            mean += (double)values[i] / (double)h->count;
        for (size_t i = 0; i < h->count; i++)
            square += pow((double)values[i] - mean, 2) / (double)h->count;
        for (size_t i = 0; i < h->count; i++)
            points[FEATURES * i + k] = ((double)values[i] - mean) / (sqrt(square) + 1e-9);
    }
    struct ps_svm svm = {.features = FEATURES, .gamma = 0.5, .cost = 1};
    if (status == 0)
        status = ps_svm_train(&svm, points, h->count, above, run->base->error);
    for (size_t i = 0; i < h->count && status == 0; i++)
        ret_decisions[i] = ps_svm_decide(&svm, points + FEATURES * i);
    run->supported = status == 0;
    ps_svm_done(&svm);
    free(points);
    return status;
}

/* Contaminants too small for the mask look like the best of particles, but are far darker (or
 * brighter) than these: picks whose mean is an outlier among the picks' means are picks no more. */
static int drop_outliers(struct adaptive_run *run, double *decisions)
{
    const struct hypothesis *h = &run->now;
    float *means = malloc((h->count + 1) * sizeof *means);
    if (!means)
        return ps_fail_memory(run->base->error, h->count * sizeof *means, "means");
    int status =
        run->ops->sample(run->base->slot, PS_MAP_MEAN, h->peaks, h->count, means, run->base->error);
    if (status == 0)
        ps_adaptive_drop_outliers(run->rules, means, h->count, decisions);
    free(means);
    return status;
}

static int make_picks(struct adaptive_run *run, const double *decisions)
{
    const struct hypothesis *h = &run->now;
    struct ps_result *result = run->base->result;
    double(*centres)[2] = malloc((h->count + 1) * sizeof *centres);
    struct ps_pick *picks = calloc(h->count + 1, sizeof *picks);
    int status = 0;
    if (!centres || !picks)
        status = ps_fail_memory(run->base->error, h->count * sizeof *picks, "picks");
    if (status == 0)
        status = run->ops->locate(run->base->slot, h->peaks, h->count, centres, run->base->error);
    if (status) {
        free(picks);
        free(centres);
        return status;
    }
    result->unreliable = !h->verdict.reliable || !run->probation.reliable;
    double wide = h->scale * result->diameter;
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++) {
        double x = (centres[i][0] - run->field.frame + 0.5) * run->bin - 0.5;
        double y = (centres[i][1] - run->field.frame + 0.5) * run->bin - 0.5;
        if (!(decisions[i] > 0) || x < 0 || x > run->base->image->width - 1 || y < 0 ||
            y > run->base->image->height - 1)
            continue;
        picks[count++] = (struct ps_pick){
            .x = (float)x,
            .y = (float)y,
            .score = (float)ps_adaptive_probability(&h->verdict, (double)h->peaks[i].value,
                                                    run->supported ? decisions[i] : 0,
                                                    !result->unreliable),
            .area = (float)(M_PI / 4 * wide * wide),
        };
    }
    free(centres);
    result->picks = picks;
    result->count = count;
    if (result->unreliable)
        ps_picking_warn(result,
                        "unreliable: nothing tells particles from the rest (separation %.2f)",
                        h->verdict.separation);
    return 0;
}

static int check_size(const struct ps_picking *base)
{
    double diameter = base->result->diameter;
    if (diameter < PS_ADAPTIVE_LEAST_DIAMETER)
        return ps_fail(base->error, PS_E_INPUT,
                       "a particle diameter of %.4g px leaves no template: at least %g px expected",
                       diameter, PS_ADAPTIVE_LEAST_DIAMETER);
    double least = ceil(PS_ADAPTIVE_LEAST_SIZE * diameter);
    if (base->image->width < least || base->image->height < least)
        return ps_fail(
            base->error, PS_E_INPUT,
            "too small: %d x %d px, at least %.0f x %.0f expected at a particle diameter "
            "of %.4g px",
            base->image->width, base->image->height, least, least, diameter);
    return 0;
}

static void report_mask(const struct adaptive_run *run)
{
    int frame = 2 * run->field.frame;
    double pixels = (double)(run->field.width - frame) * (run->field.height - frame);
    double masked = 1 - (double)run->field.unmasked / pixels;
    run->base->result->masked = masked;
    if (masked > 0)
        ps_picking_warn(run->base->result, "contaminants cover %.1f %% of the micrograph: masked",
                        100 * masked);
}

static int pick(struct adaptive_run *run)
{
    struct ps_picking *base = run->base;
    int status = check_size(base);
    if (status == 0)
        status = ps_picking_upload(base);
    if (status || base->result->outcome == PS_REJECTED)
        return status;
    double coarse = run->rules->coarse > 0 ? run->rules->coarse : run->rules->fine;
    status = reduce(run, coarse);
    if (status)
        return status;
    ps_picking_stage_done(base, PS_STAGE_PREPROCESS);
    status = search(run);
    if (status)
        return status;
    ps_picking_stage_done(base, PS_STAGE_REFERENCES);
    if (run->best.peaks) {
        status = probe(run);
        if (status == 0)
            status = refine(run);
        if (status)
            return status;
    }
    report_mask(run);
    ps_picking_stage_done(base, PS_STAGE_SCORE);
    double *decisions = calloc(run->now.count + 1, sizeof *decisions);
    if (!decisions)
        return ps_fail_memory(base->error, run->now.count * sizeof *decisions, "decisions");
    status = decide(run, decisions);
    if (status == 0)
        status = drop_outliers(run, decisions);
    if (status == 0) {
        ps_picking_stage_done(base, PS_STAGE_TRAIN);
        status = make_picks(run, decisions);
    }
    free(decisions);
    if (status == 0)
        ps_picking_stage_done(base, PS_STAGE_CENTRES);
    return status;
}

int ps_picking_adaptive(struct ps_picking *base)
{
    struct adaptive_run run = {.base = base, .ops = base->ops->adaptive, .rules = base->rules};
    if (!run.ops)
        return ps_fail(base->error, PS_E_DEVICE, "this backend has no adaptive profile");
    int status = pick(&run);
    free(run.now.peaks);
    if (run.best.peaks != run.now.peaks)
        free(run.best.peaks);
    return status;
}
