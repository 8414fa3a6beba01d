/* The order of the stages of the `aspire` profile (apple-reference, sections 2 to 9), and the
 * decisions between them. */
#include "base/error.h"
#include "picker/model.h"
#include "picker/profile.h"

#include <math.h>
#include <stdlib.h>

/* Section 7: what tau grows by when everything or nothing is called particle. */
enum { TAU_STEP = 500 };

struct aspire_run {
    struct ps_picking *base;
    struct ps_aspire parameters;
    int *ranked;       /* windows by descending score */
    int (*tiles)[2];   /* to train on */
    size_t tile_count; /* room for tiles */
    struct ps_feature *training;
    size_t training_count;
    size_t positives;
    struct ps_model model;
    bool trained;
};

static void stage_done(struct aspire_run *run, enum ps_stage stage)
{
    struct ps_stage_view *view = &run->base->view;
    view->parameters = &run->parameters;
    view->model = run->trained ? &run->model : NULL;
    view->training = run->training;
    view->training_count = run->training_count;
    view->positives = run->positives;
    ps_picking_stage_done(run->base, stage);
}

static int rank_windows(struct aspire_run *run)
{
    size_t windows = (size_t)run->parameters.queries * (size_t)run->parameters.queries;
    size_t tiles = (size_t)(run->parameters.side / run->parameters.query);
    run->tile_count = 2 * tiles * tiles;
    run->ranked = calloc(windows, sizeof *run->ranked);
    run->tiles = calloc(run->tile_count, sizeof *run->tiles);
    run->training = calloc(run->tile_count, sizeof *run->training);
    int32_t *score = calloc(windows, sizeof *score);
    int status = 0;
    if (!run->ranked || !run->tiles || !run->training || !score)
        status = ps_fail_memory(run->base->error, windows * 8, "ranks");
    if (status == 0)
        status = run->base->ops->fetch(run->base->slot, PS_BUFFER_SCORE, score,
                                       windows * sizeof *score, run->base->error);
    if (status == 0)
        status = ps_aspire_rank(score, run->parameters.queries, run->base->slot->references,
                                run->ranked, run->base->error);
    free(score);
    return status;
}

/* Sections 2 to 5, up to the ranked list. */
static int score(struct aspire_run *run)
{
    struct ps_slot *slot = run->base->slot;
    int status = run->base->ops->preprocess(slot, &run->parameters.crop, run->base->error);
    if (status)
        return status;
    stage_done(run, PS_STAGE_PREPROCESS);
    status = run->base->ops->moments(slot, run->parameters.query, run->base->error);
    if (status)
        return status;
    stage_done(run, PS_STAGE_MOMENTS);
    status = run->base->ops->references_choose(slot, run->parameters.container, run->base->error);
    if (status)
        return status;
    stage_done(run, PS_STAGE_REFERENCES);
    status = run->base->ops->score(slot, run->base->error);
    if (status == 0)
        status = rank_windows(run);
    if (status == 0)
        stage_done(run, PS_STAGE_SCORE);
    return status;
}

static int train(struct aspire_run *run)
{
    int status = ps_aspire_training_tiles(&run->parameters, run->ranked, run->tiles,
                                          &run->training_count, &run->positives, run->base->error);
    if (status == 0)
        status = run->base->ops->features(run->base->slot, (const int(*)[2])run->tiles,
                                          run->training_count, run->training, run->base->error);
    if (status)
        return status;
    if (run->positives == 0 || run->positives == run->training_count) {
        ps_picking_reject(run->base->result,
                          "no contrast: %zu windows to learn particle from, %zu background",
                          run->positives, run->training_count - run->positives);
        return 0;
    }
    ps_model_done(&run->model);
    status = ps_model_train(run->base->config->picker.classifier, run->training,
                            run->training_count, run->positives, &run->model, run->base->error);
    run->trained = status == 0;
    if (status == 0)
        stage_done(run, PS_STAGE_TRAIN);
    return status;
}

/* Sections 6 and 7: trains until the model tells some windows from others. */
static int classify(struct aspire_run *run)
{
    size_t windows = (size_t)run->parameters.side - (size_t)run->parameters.query + 1;
    windows *= windows;
    int ranks = run->parameters.queries * run->parameters.queries;
    for (;;) {
        int status = train(run);
        if (status || run->base->result->outcome == PS_REJECTED)
            return status;
        size_t particle = 0;
        status =
            run->base->ops->classify(run->base->slot, &run->model, &particle, run->base->error);
        if (status)
            return status;
        stage_done(run, PS_STAGE_CLASSIFY);
        if (particle > 0 && particle < windows)
            return 0;
        int *tau = particle ? &run->parameters.tau2 : &run->parameters.tau1;
        *tau += TAU_STEP;
        if (*tau > ranks) {
            ps_picking_reject(run->base->result, "no contrast: every window is called %s",
                              particle ? "particle" : "background");
            return 0;
        }
    }
}

/* Section 9, step 5, with what the reference does not give: a score, the model's value for the
 * window around the centre, and the area of the region. */
static int make_picks(struct aspire_run *run, const struct ps_aspire_centre *centres, size_t count)
{
    const struct ps_aspire *p = &run->parameters;
    int(*windows)[2] = calloc(count + 1, sizeof *windows);
    struct ps_feature *features = calloc(count + 1, sizeof *features);
    struct ps_pick *picks = calloc(count + 1, sizeof *picks);
    int status = 0;
    if (!windows || !features || !picks)
        status = ps_fail_memory(run->base->error, count * sizeof *picks, "picks");
    if (status == 0) {
        for (size_t i = 0; i < count; i++) {
            windows[i][0] = centres[i].row + ps_aspire_trim_before(p);
            windows[i][1] = centres[i].column + ps_aspire_trim_before(p);
        }
        status = run->base->ops->features(run->base->slot, (const int(*)[2])windows, count,
                                          features, run->base->error);
    }
    if (status == 0) {
        for (size_t i = 0; i < count; i++)
            picks[i] = (struct ps_pick){
                .x = (float)ps_aspire_coordinate(p, centres[i].column, p->crop.left_px),
                .y = (float)ps_aspire_coordinate(p, centres[i].row, p->crop.top_px),
                .score = (float)ps_model_decide(&run->model, features[i]),
                .area = (float)(4 * centres[i].area), /* a working pixel is 2 x 2 px */
            };
        run->base->result->picks = picks;
        run->base->result->count = count;
        picks = NULL;
    }
    free(picks);
    free(features);
    free(windows);
    return status;
}

/* Sections 8 and 9. */
static int locate(struct aspire_run *run)
{
    const struct ps_aspire *p = &run->parameters;
    int status = run->base->ops->clean(run->base->slot, p->smallest, p->largest, run->base->error);
    if (status)
        return status;
    stage_done(run, PS_STAGE_CLEAN);
    int before = ps_aspire_trim_before(p);
    int after = ps_aspire_trim_after(p);
    int side = p->side - p->query + 1 - before - after;
    struct ps_region *regions = NULL;
    size_t count = 0;
    status =
        run->base->ops->regions(run->base->slot, before, after, &regions, &count, run->base->error);
    if (status)
        return status;
    struct ps_aspire_centre *centres = calloc(count + 1, sizeof *centres);
    if (centres)
        status = ps_aspire_centres(p, side, regions, count, centres, &count, run->base->error);
    else
        status = ps_fail_memory(run->base->error, count * sizeof *centres, "centres");
    if (status == 0)
        status = make_picks(run, centres, count);
    free(centres);
    free(regions);
    if (status == 0)
        stage_done(run, PS_STAGE_CENTRES);
    return status;
}

/* Where no centre can lie, from the coordinates of the first and the last window. */
static void fill_margins(const struct aspire_run *run)
{
    const struct ps_aspire *p = &run->parameters;
    int last = p->side - p->query - ps_aspire_trim_before(p) - ps_aspire_trim_after(p);
    int *margin = run->base->result->unpicked_margin;
    margin[0] = ps_aspire_coordinate(p, 0, p->crop.left_px);
    margin[1] = run->base->image->width - 1 - ps_aspire_coordinate(p, last, p->crop.left_px);
    margin[2] = ps_aspire_coordinate(p, 0, p->crop.top_px);
    margin[3] = run->base->image->height - 1 - ps_aspire_coordinate(p, last, p->crop.top_px);
}

static int pick(struct aspire_run *run)
{
    struct ps_picking *base = run->base;
    int status = ps_aspire_parameters(base->config, base->result->diameter, base->image->width,
                                      base->image->height, &run->parameters, base->error);
    if (status)
        return status;
    fill_margins(run);
    base->view.parameters = &run->parameters;
    status = ps_picking_upload(base);
    if (status || base->result->outcome == PS_REJECTED)
        return status;
    status = score(run);
    if (status == 0)
        status = classify(run);
    if (status == 0 && base->result->outcome != PS_REJECTED)
        status = locate(run);
    return status;
}

int ps_picking_aspire(struct ps_picking *base)
{
    struct aspire_run run = {.base = base};
    int status = pick(&run);
    ps_model_done(&run.model);
    free(run.training);
    free(run.tiles);
    free(run.ranked);
    return status;
}
