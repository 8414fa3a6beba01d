/* The order of the stages of the `adaptive` profile, and what makes picks of its candidates. */
#include "base/error.h"
#include "picker/adaptive_search.h"
#include "picker/profile.h"
#include "picker/svm.h"

#include <math.h>
#include <stdlib.h>

/* ---- picks ------------------------------------------------------------------------------------
 */

enum { FEATURES = 4, FEWEST_EXAMPLES = 5 };

/* A property of all candidates as feature k of their points: zero mean, unit deviation. */
static void set_feature(const float *values, size_t count, size_t k, double *points)
{
    double mean = 0;
    double square = 0;
    for (size_t i = 0; i < count; i++)
        mean += (double)values[i] / (double)count;
    for (size_t i = 0; i < count; i++)
        square += pow((double)values[i] - mean, 2) / (double)count;
    for (size_t i = 0; i < count; i++)
        points[FEATURES * i + k] = ((double)values[i] - mean) / (sqrt(square) + 1e-9);
}

/* Responses in both channels, mean and deviation; `values` is room for one of them. */
static int set_features(const struct ps_adaptive_run *run, float *values, double *points)
{
    const struct ps_hypothesis *h = &run->now;
    static const enum ps_map maps[PS_CHANNELS] = {PS_MAP_INTENSITY_MATCH, PS_MAP_ENERGY_MATCH};
    for (size_t c = 0; c < PS_CHANNELS; c++) {
        int status = run->ops->sample(run->base->slot, maps[c], h->peaks, h->count, values,
                                      run->base->error);
        if (status)
            return status;
        set_feature(values, h->count, c, points);
    }
    for (size_t i = 0; i < h->count; i++)
        values[i] = h->peaks[i].mean;
    set_feature(values, h->count, PS_CHANNELS, points);
    for (size_t i = 0; i < h->count; i++)
        values[i] = h->peaks[i].deviation;
    set_feature(values, h->count, PS_CHANNELS + 1, points);
    return 0;
}

/* Step 14: decision values of all candidates, positive for picks. */
static int decide(struct ps_adaptive_run *run, double *ret_decisions)
{
    const struct ps_hypothesis *h = &run->now;
    for (size_t i = 0; i < h->count; i++)
        ret_decisions[i] = (double)h->peaks[i].value - h->verdict.threshold;
    size_t above = h->verdict.above;
    if (!run->rules->support || !h->verdict.reliable || above < FEWEST_EXAMPLES ||
        h->count - above < FEWEST_EXAMPLES)
        return 0;
    size_t bytes = h->count * (FEATURES * sizeof(double) + sizeof(float));
    double *points = malloc(bytes + 1);
    if (!points)
        return ps_fail_memory(run->base->error, bytes, "the training set");
    int status = set_features(run, (float *)(points + FEATURES * h->count), points);
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

/* Nothing is an outlier among fewer picks. */
enum { FEWEST_PICKS = 20 };

/* Contaminants too small for the mask look like the best of particles, but their windows are far
 * darker (or brighter) or have far more power. Candidates are dropped for it if they stand out from
 * the particles of a calm hypothesis, or, where nothing was told apart, from all candidates: so
 * many that are alike would have been told apart. One or a few may be particles. */
static void drop_outstanding(struct ps_adaptive_run *run, struct ps_peak *room)
{
    struct ps_hypothesis *h = &run->now;
    const struct ps_adaptive_rules *rules = run->rules;
    struct ps_window_range range = ps_adaptive_range(h->peaks, h->count, rules->outstanding);
    size_t own = 0;
    size_t outstanding = 0;
    for (size_t i = 0; i < h->count; i++) {
        if ((double)h->peaks[i].value <= h->verdict.threshold)
            continue;
        if (ps_adaptive_stands_out(&range, &h->peaks[i]))
            outstanding++;
        else
            room[own++] = h->peaks[i];
    }
    if (run->base->result->unreliable && outstanding < PS_FEWEST_WINDOWS)
        return;
    if (!run->base->result->unreliable)
        range =
            ps_adaptive_range(room, own, own < FEWEST_PICKS ? rules->outlier : rules->outstanding);
    size_t kept = 0;
    h->verdict.above = 0;
    for (size_t i = 0; i < h->count; i++) {
        if (ps_adaptive_stands_out(&range, &h->peaks[i]))
            continue;
        h->verdict.above += (double)h->peaks[i].value > h->verdict.threshold;
        h->peaks[kept++] = h->peaks[i];
    }
    h->count = kept;
}

/* Picks that are outliers among the picks are picks no more. */
static void drop_outliers(const struct ps_adaptive_run *run, struct ps_peak *room,
                          double *decisions)
{
    size_t picks = 0;
    for (size_t i = 0; i < run->now.count; i++)
        if (decisions[i] > 0)
            room[picks++] = run->now.peaks[i];
    if (picks < FEWEST_PICKS)
        return;
    struct ps_window_range range = ps_adaptive_range(room, picks, run->rules->outlier);
    for (size_t i = 0; i < run->now.count; i++)
        if (decisions[i] > 0 && ps_adaptive_stands_out(&range, &run->now.peaks[i]))
            decisions[i] = -1;
}

static int make_picks(struct ps_adaptive_run *run, const double *decisions)
{
    const struct ps_hypothesis *h = &run->now;
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
        ps_picking_warn(result, "unreliable: %s",
                        h->verdict.reliable
                            ? "what one half of the micrograph looks for is not in the other"
                            : "the candidates are one population, not particles and others");
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

/* From this share on, what contaminants cover is worth a warning: the grid square or the aim of the
 * microscope may be wrong. */
static const double MUCH_MASKED = 0.2;

static void report_mask(const struct ps_adaptive_run *run)
{
    int frame = 2 * run->field.frame;
    double pixels = (double)(run->field.width - frame) * (run->field.height - frame);
    double masked = 1 - (double)run->field.unmasked / pixels;
    run->base->result->masked = masked;
    if (masked > MUCH_MASKED)
        ps_picking_warn(run->base->result, "contaminants cover %.1f %% of the micrograph: masked",
                        100 * masked);
}

/* From the micrograph to the candidates. PS_E_INPUT: there is nothing to look at. */
static int find_candidates(struct ps_adaptive_run *run)
{
    double coarse = run->rules->coarse > 0 ? run->rules->coarse : run->rules->fine;
    int status = ps_adaptive_reduce(run, coarse);
    if (status)
        return status;
    ps_picking_stage_done(run->base, PS_STAGE_PREPROCESS);
    status = ps_adaptive_search(run);
    if (status)
        return status;
    ps_picking_stage_done(run->base, PS_STAGE_REFERENCES);
    if (!run->best.peaks)
        return ps_fail(run->base->error, PS_E_INPUT, "no contrast: no template has any structure");
    status = ps_adaptive_refine(run);
    if (status == 0)
        ps_picking_stage_done(run->base, PS_STAGE_SCORE);
    return status;
}

static int decide_without_outliers(struct ps_adaptive_run *run, double *ret_decisions)
{
    bool masking = run->base->config->picker.mask_contaminants;
    struct ps_peak *room = malloc((run->now.count + 1) * sizeof *room);
    if (!room)
        return ps_fail_memory(run->base->error, run->now.count * sizeof *room, "peaks");
    if (masking && (run->now.calm || run->base->result->unreliable))
        drop_outstanding(run, room);
    int status = decide(run, ret_decisions);
    if (status == 0 && masking)
        drop_outliers(run, room, ret_decisions);
    free(room);
    return status;
}

static int choose_picks(struct ps_adaptive_run *run)
{
    run->base->result->unreliable =
        !ps_adaptive_is_reliable(run->rules, &run->now.verdict, &run->probation);
    double *decisions = calloc(run->now.count + 1, sizeof *decisions);
    if (!decisions)
        return ps_fail_memory(run->base->error, run->now.count * sizeof *decisions, "decisions");
    int status = decide_without_outliers(run, decisions);
    if (status == 0) {
        ps_picking_stage_done(run->base, PS_STAGE_TRAIN);
        status = make_picks(run, decisions);
    }
    free(decisions);
    if (status == 0)
        ps_picking_stage_done(run->base, PS_STAGE_CENTRES);
    return status;
}

int ps_picking_adaptive(struct ps_picking *base)
{
    struct ps_error error = {0};
    struct ps_adaptive_run run = {.base = base, .ops = base->ops->adaptive, .rules = base->rules};
    if (!run.ops)
        return ps_fail(base->error, PS_E_DEVICE, "this backend has no adaptive profile");
    int status = check_size(base);
    if (status == 0)
        status = ps_picking_upload(base);
    if (status || base->result->outcome == PS_REJECTED)
        return status;
    struct ps_error *callers = base->error;
    base->error = &error;
    status = find_candidates(&run);
    if (status == PS_E_INPUT) {
        ps_picking_reject(base->result, "%s", error.message);
        status = 0;
    } else if (status == 0) {
        report_mask(&run);
        status = choose_picks(&run);
    }
    base->error = callers;
    free(run.now.peaks);
    free(run.best.peaks);
    return status ? ps_fail(callers, error.code, "%s", error.message) : 0;
}
