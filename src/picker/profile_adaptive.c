/* The order of the stages of the `adaptive` profile, and what makes picks of its candidates. */
#include "base/error.h"
#include "base/warning.h"
#include "picker/adaptive_parts.h"
#include "picker/adaptive_refine.h"
#include "picker/adaptive_search.h"
#include "picker/profile.h"
#include "picker/svm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- picks ------------------------------------------------------------------------------------
 */

enum { FEATURES = 4, FEWEST_EXAMPLES = 5 };

/* Candidates on their way to picks: what is found out about each of them. */
struct decisions {
    struct ps_null_cut cut;
    double *values;      /* decision values, positive for picks */
    double *local_false; /* local false discovery rates */
};

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
static void set_features(const struct ps_adaptive_run *run, float *values, double *points)
{
    const struct ps_hypothesis *h = &run->now;
    for (size_t c = 0; c < PS_CHANNELS; c++)
        set_feature(run->responses[c], h->count, c, points);
    for (size_t i = 0; i < h->count; i++)
        values[i] = h->peaks[i].mean;
    set_feature(values, h->count, PS_CHANNELS, points);
    for (size_t i = 0; i < h->count; i++)
        values[i] = h->peaks[i].deviation;
    set_feature(values, h->count, PS_CHANNELS + 1, points);
}

/* Step 19: decision values of all candidates, positive for picks. */
static int decide(struct ps_adaptive_run *run, struct decisions *d)
{
    const struct ps_hypothesis *h = &run->now;
    for (size_t i = 0; i < h->count; i++)
        d->values[i] = i < d->cut.above ? 1 : -1;
    if (!run->rules->support || run->base->result->unreliable || d->cut.above < FEWEST_EXAMPLES ||
        h->count - d->cut.above < FEWEST_EXAMPLES)
        return 0;
    size_t bytes = h->count * (FEATURES * sizeof(double) + sizeof(float));
    double *points = malloc(bytes + 1);
    if (!points)
        return ps_fail_memory(run->base->error, bytes, "the training set");
    set_features(run, (float *)(points + FEATURES * h->count), points);
    struct ps_svm svm = {.features = FEATURES, .gamma = 0.5, .cost = 1};
    int status = ps_svm_train(&svm, points, h->count, d->cut.above, run->base->error);
    for (size_t i = 0; i < h->count && status == 0; i++)
        d->values[i] = ps_svm_decide(&svm, points + FEATURES * i);
    ps_svm_done(&svm);
    free(points);
    return status;
}

/* Nothing is an outlier among fewer picks, and where there are more outliers they are none. */
enum { FEWEST_PICKS = 20, MIN_PICKS_PER_OUTLIER = 10 };

/* Contaminants too small for the mask look like the best of particles, but their windows are far
 * darker (or brighter) or have far more power: picks that are outliers among the picks are picks no
 * more. `room` holds as many peaks as there are candidates. */
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
    if (ps_adaptive_count_outside(&range, room, picks) * MIN_PICKS_PER_OUTLIER > picks)
        return;
    for (size_t i = 0; i < run->now.count; i++)
        if (decisions[i] > 0 && ps_adaptive_stands_out(&range, &run->now.peaks[i]))
            decisions[i] = -1;
}

/* A clean hypothesis finds contaminants too, though its templates are not made of them. Candidates
 * are dropped that stand out from its particles: those above the cut that do not stand out from all
 * candidates. `room` holds as many peaks as there are candidates. */
static void drop_contaminants(struct ps_adaptive_run *run, size_t above, struct ps_peak *room)
{
    struct ps_hypothesis *h = &run->now;
    const struct ps_adaptive_rules *rules = run->rules;
    struct ps_window_range range = ps_adaptive_range(h->peaks, h->count, rules->contaminant);
    size_t own = 0;
    for (size_t i = 0; i < above; i++)
        if (!ps_adaptive_stands_out(&range, &h->peaks[i]))
            room[own++] = h->peaks[i];
    range = ps_adaptive_range(room, own, own < FEWEST_PICKS ? rules->outlier : rules->contaminant);
    size_t kept = 0;
    for (size_t i = 0; i < h->count; i++) {
        if (ps_adaptive_stands_out(&range, &h->peaks[i]))
            continue;
        h->peaks[kept] = h->peaks[i];
        memcpy(run->centres[kept], run->centres[i], sizeof run->centres[i]);
        for (int c = 0; c < PS_CHANNELS; c++)
            run->responses[c][kept] = run->responses[c][i];
        kept++;
    }
    h->count = kept;
}

static int make_picks(struct ps_adaptive_run *run, const struct decisions *d)
{
    const struct ps_hypothesis *h = &run->now;
    struct ps_result *result = run->base->result;
    struct ps_pick *picks = calloc(h->count + 1, sizeof *picks);
    if (!picks)
        return ps_fail_memory(run->base->error, h->count * sizeof *picks, "picks");
    double wide = h->scale * result->diameter;
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++) {
        double x = (run->centres[i][0] - run->field.frame_field_px + 0.5) * run->bin - 0.5;
        double y = (run->centres[i][1] - run->field.frame_field_px + 0.5) * run->bin - 0.5;
        if (!(d->values[i] > 0 || run->rules->everything) || x < 0 ||
            x > run->base->image->width - 1 || y < 0 || y > run->base->image->height - 1)
            continue;
        struct ps_evidence evidence = {
            .local_false = d->local_false[i],
            .height = (double)h->peaks[i].value - d->cut.threshold,
            .separation = h->test.separation,
        };
        picks[count++] = (struct ps_pick){
            .x = (float)x,
            .y = (float)y,
            .score = (float)ps_adaptive_probability(&evidence, !result->unreliable),
            .area = (float)(M_PI / 4 * wide * wide),
        };
    }
    result->picks = picks;
    result->count = count;
    if (result->unreliable)
        ps_warning_add(result, PS_WARNING_UNRELIABLE,
                       "unreliable: no more found than in noise of the same spectrum: check the "
                       "diameter (now %.4g px), the pixel size and picker.contrast",
                       result->diameter);
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
    run->base->result->masked = run->masked;
    if (run->masked > MUCH_MASKED)
        ps_warning_add(run->base->result, PS_WARNING_MASKED,
                       "contaminants cover %.1f %% of the micrograph: masked", 100 * run->masked);
}

/* From the micrograph to the candidates. PS_E_INPUT: there is nothing to look at. */
static int find_candidates(struct ps_adaptive_run *run)
{
    bool parts = false;
    int status = ps_adaptive_has_parts(run) ? ps_adaptive_search_parts(run, &parts) : 0;
    if (status == 0 && !parts)
        status = ps_adaptive_search(run);
    if (status)
        return status;
    ps_picking_stage_done(run->base, PS_STAGE_REFERENCES);
    if (!run->best.peaks)
        return ps_fail(run->base->error, PS_E_INPUT, "no contrast: no template has any structure");
    status = ps_adaptive_refine(run);
    if (status == 0 && parts)
        status = ps_adaptive_apply(run);
    if (status == 0)
        ps_picking_stage_done(run->base, PS_STAGE_SCORE);
    return status;
}

static int cut_without_contaminants(struct ps_adaptive_run *run, struct ps_peak *room,
                                    struct ps_null_cut *ret_cut)
{
    const struct ps_hypothesis *h = &run->now;
    int status = ps_null_choose_cut(&h->null, h->peaks, h->count, ret_cut);
    if (status || !h->clean)
        return status;
    drop_contaminants(run, ret_cut->above, room);
    return ps_null_choose_cut(&h->null, h->peaks, h->count, ret_cut);
}

static int decide_without_outliers(struct ps_adaptive_run *run, struct ps_peak *room,
                                   struct decisions *d)
{
    const struct ps_hypothesis *h = &run->now;
    int status = cut_without_contaminants(run, room, &d->cut);
    if (status == 0)
        status = ps_null_local_false(&h->null, h->peaks, h->count, d->cut.share, d->local_false);
    if (status)
        return ps_fail_memory(run->base->error, h->count * sizeof(double), "scores");
    status = decide(run, d);
    if (status == 0 && run->base->config->picker.mask_contaminants)
        drop_outliers(run, room, d->values);
    return status;
}

static int choose_picks(struct ps_adaptive_run *run)
{
    const struct ps_hypothesis *h = &run->now;
    run->base->result->unreliable = h->test.objective < run->rules->reliable;
    run->base->result->separation = h->test.separation;
    struct decisions d = {
        .values = calloc(h->count + 1, sizeof *d.values),
        .local_false = calloc(h->count + 1, sizeof *d.local_false),
    };
    struct ps_peak *room = malloc((h->count + 1) * sizeof *room);
    int status = 0;
    if (d.values && d.local_false && room)
        status = decide_without_outliers(run, room, &d);
    else
        status = ps_fail_memory(run->base->error, h->count * sizeof *room, "decisions");
    if (status == 0) {
        ps_picking_stage_done(run->base, PS_STAGE_TRAIN);
        status = make_picks(run, &d);
    }
    free(room);
    free(d.local_false);
    free(d.values);
    if (status == 0)
        ps_picking_stage_done(run->base, PS_STAGE_CENTRES);
    return status;
}

int ps_picking_adaptive(struct ps_picking *base)
{
    struct ps_error error = {0};
    struct ps_adaptive_run run = {
        .base = base,
        .ops = base->ops->adaptive,
        .rules = base->rules,
        .where = {0, 0, base->image->width, base->image->height},
    };
    if (!run.ops)
        return ps_fail(base->error, PS_E_DEVICE, "this backend has no adaptive profile");
    int status = check_size(base);
    if (status == 0)
        status = ps_picking_upload(base);
    if (status || base->result->outcome == PS_REJECTED)
        return status;
    ps_dead_areas_margins(&base->dead, base->image, base->result->unpicked_margin);
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
    ps_adaptive_run_done(&run);
    return status ? ps_fail(callers, error.code, "%s", error.message) : 0;
}
