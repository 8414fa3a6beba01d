#include "picker/adaptive_search.h"

#include "base/error.h"
#include "picker/adaptive_group.h"

#include <math.h>
#include <stdlib.h>

/* ---- the search -------------------------------------------------------------------------------
 */

enum { HYPOTHESES = PS_ADAPTIVE_SCALES * BEGINS };

/* Scale by scale, the starts that the contrast allows; returns how many. Those that are likely to
 * win come first. */
static int list_hypotheses(const struct ps_adaptive_run *run, bool clean,
                           struct ps_hypothesis *ret_hypotheses)
{
    static const int order[PS_ADAPTIVE_SCALES] = {4, 3, 5, 2, 1, 6, 0};
    enum ps_contrast contrast = run->base->config->picker.contrast;
    int count = 0;
    for (int k = 0; k < HYPOTHESES; k++) {
        enum ps_adaptive_begin begin = (enum ps_adaptive_begin)(k % BEGINS);
        if ((begin == BEGIN_DARK && contrast == PS_CONTRAST_BRIGHT) ||
            (begin == BEGIN_BRIGHT && contrast == PS_CONTRAST_DARK) ||
            (begin == BEGIN_DETAIL && !run->rules->energy))
            continue;
        ret_hypotheses[count++] = (struct ps_hypothesis){
            .scale = ps_adaptive_scales[order[k / BEGINS]], .begin = begin, .clean = clean};
    }
    return count;
}

/* ---- hypotheses in groups ---------------------------------------------------------------------
 */

/* Takes hypotheses from number `first` on that are not behind into the group, as many as the device
 * can work on at once. Returns the number of the next. */
static int fill(struct ps_group *group, struct ps_hypothesis *hypotheses, int first, int count)
{
    const struct ps_adaptive_ops *ops = group->run->ops;
    int scales = 0;
    double last = 0;
    int i = first;
    for (; i < count && group->count < ops->max_items; i++) {
        if (hypotheses[i].behind)
            continue;
        scales += hypotheses[i].scale != last;
        if (scales > ops->max_scales)
            break;
        last = hypotheses[i].scale;
        group->hypotheses[group->count++] = &hypotheses[i];
    }
    return i;
}

static int look_with_all(struct ps_adaptive_run *run, struct ps_hypothesis *hypotheses, int count,
                         int (*look)(struct ps_group *))
{
    int status = 0;
    for (int next = 0; next < count && status == 0;) {
        struct ps_group group = {.run = run};
        next = fill(&group, hypotheses, next, count);
        if (group.count == 0)
            break;
        status = ps_group_scale(&group);
        if (status == 0)
            status = look(&group);
        ps_group_forget(&group);
    }
    return status;
}

static int look_in_micrograph(struct ps_group *group)
{
    int status = ps_group_learn(group, true);
    if (status == 0)
        ps_group_keep(group);
    return status;
}

/* ---- judgement --------------------------------------------------------------------------------
 */

static int judge(const struct ps_adaptive_run *run, struct ps_hypothesis *h)
{
    bool strange = run->rules->strange && run->base->config->picker.mask_contaminants;
    int status = ps_null_judge(&h->null, h->peaks, h->count, strange, &h->test);
    return status ? ps_fail_memory(run->base->error, h->count * sizeof(double), "scores") : 0;
}

/* A template much wider than the given diameter separates well and merges neighbours; and what is
 * found without contaminants is worth more than what is found with them. */
static double factor(const struct ps_hypothesis *h)
{
    static const double wide[][2] = {{1.4, 0.75}, {1.2, 0.9}}; /* from this scale on, factor */
    const double clean = 1.25;
    double factor = h->clean ? clean : 1;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (h->scale >= wide[i][0])
            return factor * wide[i][1];
    return factor;
}

/* What makes a contender: how far it is from noise. */
static double worth(const struct ps_hypothesis *h)
{
    return factor(h) * h->test.objective;
}

/* Dirt is further from noise than particles are, but there is less of it: here the number counts
 * more and the contrast less. */
static double merit(const struct ps_hypothesis *h)
{
    const struct ps_null_test *test = &h->test;
    return factor(h) * pow(test->significance, 1.5) * test->agreement * sqrt(test->separation);
}

/* Contenders are compared by merit, but none that noise nearly reaches is better than one that it
 * does not: of the texture of noise there is a great deal. */
static bool is_better(const struct ps_hypothesis *h, const struct ps_hypothesis *than)
{
    const double beyond_noise = 8; /* objective */
    bool sure = h->test.objective >= beyond_noise;
    if (sure != (than->test.objective >= beyond_noise))
        return sure;
    return sure ? merit(h) > merit(than) : worth(h) > worth(than);
}

/* Judges the hypotheses that are neither flat nor behind; returns the best, the first of equals, or
 * NULL. */
static int find_best(struct ps_adaptive_run *run, struct ps_hypothesis *hypotheses, int count,
                     struct ps_hypothesis **ret_best)
{
    struct ps_hypothesis *best = NULL;
    for (int i = 0; i < count; i++) {
        struct ps_hypothesis *h = &hypotheses[i];
        if (h->flat || h->behind)
            continue;
        int status = judge(run, h);
        if (status)
            return status;
        if (!best || is_better(h, best))
            best = h;
    }
    *ret_best = best;
    return 0;
}

/* ---- noise ------------------------------------------------------------------------------------
 */

/* Seed of the first field of noise. */
enum { COARSE_SEED = 1 };

static int search_in_noise(struct ps_group *group)
{
    int status = ps_group_learn(group, false);
    return status ? status : ps_group_add_to_null(group);
}

static int look_in_noise(struct ps_group *group)
{
    int status = ps_group_match_noise(group);
    ps_group_forget(group);
    return status ? status : search_in_noise(group);
}

/* A hypothesis that is far behind after the first list of its null is not held against more: it
 * does not win. */
static void leave_behind(const struct ps_adaptive_run *run, double best, struct ps_hypothesis *h)
{
    h->behind = h->flat || worth(h) < run->rules->contender * best;
}

/* The first look: only those go on that are not behind the best of those before and beside them. */
static int look_first(struct ps_group *group)
{
    struct ps_adaptive_run *run = group->run;
    int status = ps_group_match_noise(group);
    for (int i = 0; i < group->count && status == 0; i++) {
        struct ps_hypothesis *h = group->hypotheses[i];
        status = h->flat ? 0 : judge(run, h);
        run->most = fmax(run->most, h->flat || status ? 0 : worth(h));
    }
    struct ps_group contenders = {.run = run};
    for (int i = 0; i < group->count && status == 0; i++) {
        leave_behind(run, run->most, group->hypotheses[i]);
        if (!group->hypotheses[i]->behind)
            contenders.hypotheses[contenders.count++] = group->hypotheses[i];
    }
    if (status || contenders.count == 0)
        return status;
    status = ps_group_scale(&contenders);
    if (status == 0)
        status = search_in_noise(&contenders);
    ps_group_forget(&contenders);
    return status;
}

/* Fields of noise number `first` to `end`. After the first one those are behind that are behind the
 * best of all, in whatever order they came. */
static int hold_against_fields(struct ps_adaptive_run *run, struct ps_hypothesis *hypotheses,
                               int count, int first, int end)
{
    const struct ps_picking *base = run->base;
    int status = 0;
    for (int i = first; i < end && status == 0; i++) {
        status = run->ops->randomise(base->slot, (unsigned)(COARSE_SEED + i), base->error);
        if (status == 0)
            status = look_with_all(run, hypotheses, count, i ? look_in_noise : look_first);
        for (int k = 0; k < count && i == 0 && status == 0; k++)
            leave_behind(run, run->most, &hypotheses[k]);
    }
    return status;
}

/* Where the best one is not clear, all are held against more noise before one is chosen. */
static int hold_against_noise(struct ps_adaptive_run *run, struct ps_hypothesis *hypotheses,
                              int count, struct ps_hypothesis **ret_best)
{
    const struct ps_adaptive_rules *rules = run->rules;
    run->most = 0;
    int nulls = ps_adaptive_nulls(rules, ps_adaptive_area(run, run->diameter));
    int status = hold_against_fields(run, hypotheses, count, 0, nulls);
    if (status == 0)
        status = find_best(run, hypotheses, count, ret_best);
    if (status || !*ret_best || (*ret_best)->test.objective >= rules->clear ||
        nulls == rules->nulls)
        return status;
    status = hold_against_fields(run, hypotheses, count, nulls, rules->nulls);
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
    int status = look_with_all(run, hypotheses, count, look_in_micrograph);
    if (status == 0)
        status = hold_against_noise(run, hypotheses, count, &best);
    if (status == 0 && best && (!run->best.peaks || is_better(best, &run->best))) {
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
    double least = run->rules->coarse > 0 ? run->rules->coarse : ps_adaptive_fine_of(run);
    int status = ps_adaptive_reduce(run, least);
    if (status)
        return status;
    ps_picking_stage_done(run->base, PS_STAGE_PREPROCESS);
    status = search(run, false);
    if (status || !run->best.peaks || !run->base->config->picker.mask_contaminants ||
        !has_contaminants(run, &run->best))
        return status;
    status = ps_adaptive_reduce(run, least);
    return status ? status : search(run, true);
}
