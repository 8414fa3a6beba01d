/* The order of the stages, once, for every backend (apple-reference, sections 2 to 9), and the
 * decisions between them. */
#include "picker/picker.h"

#include "base/error.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Section 7: what tau grows by when everything or nothing is called particle. */
enum { TAU_STEP = 500 };

/* One micrograph on its way. */
struct run {
    const struct ps_config *config;
    struct ps_slot *slot;
    const struct ps_backend_ops *ops;
    const struct ps_image *image;
    struct ps_result *result;
    struct ps_error *error;
    ps_stage_observer *observer;
    void *observer_context;
    struct timespec lap;

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

/* ---- reporting --------------------------------------------------------------------------------
 */

__attribute__((format(printf, 2, 3))) static void warn(struct ps_result *result, const char *format,
                                                       ...)
{
    if (result->warning_count == PS_MAX_WARNINGS)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(result->warnings[result->warning_count], sizeof result->warnings[0], format,
                    arguments);
    va_end(arguments);
    result->warning_count++;
}

__attribute__((format(printf, 2, 3))) static void reject(struct ps_result *result,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(result->reason, sizeof result->reason, format, arguments);
    va_end(arguments);
    result->outcome = PS_REJECTED;
}

/* Ends a stage: its time is what passed since the one before ended. */
static void stage_done(struct run *run, enum ps_stage stage)
{
    if (run->observer) {
        struct ps_stage_view view = {
            .stage = stage,
            .slot = run->slot,
            .parameters = &run->parameters,
            .model = run->trained ? &run->model : NULL,
            .training = run->training,
            .training_count = run->training_count,
            .positives = run->positives,
        };
        run->observer(run->observer_context, &view);
    }
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    run->result->milliseconds[stage] += (double)(now.tv_sec - run->lap.tv_sec) * 1e3 +
                                        (double)(now.tv_nsec - run->lap.tv_nsec) * 1e-6;
    run->lap = now;
}

/* ---- stages -----------------------------------------------------------------------------------
 */

static int upload(struct run *run)
{
    struct ps_pixel_report report = {0};
    int status = run->ops->upload(run->slot, run->image, &report, run->error);
    if (status)
        return status;
    uint64_t pixels = (uint64_t)run->image->width * (uint64_t)run->image->height;
    if (report.non_finite == pixels)
        reject(run->result, "no pixel is a finite number");
    else if (report.minimum >= report.maximum)
        reject(run->result, "constant image: every pixel is %g", report.minimum);
    else if (report.non_finite)
        warn(run->result, "%llu pixels are no finite numbers: replaced by the mean",
             (unsigned long long)report.non_finite);
    if (report.dead_columns)
        warn(run->result, "%d dead columns, the first at x = %d: interpolated", report.dead_columns,
             report.first_dead_column);
    if (report.dead_rows)
        warn(run->result, "%d dead rows, the first at y = %d: interpolated", report.dead_rows,
             report.first_dead_row);
    stage_done(run, PS_STAGE_UPLOAD);
    return 0;
}

static int rank_windows(struct run *run)
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
        status = ps_fail_memory(run->error, windows * 8, "ranks");
    if (status == 0)
        status =
            run->ops->fetch(run->slot, PS_BUFFER_SCORE, score, windows * sizeof *score, run->error);
    if (status == 0)
        status = ps_aspire_rank(score, run->parameters.queries, run->slot->references, run->ranked,
                                run->error);
    free(score);
    return status;
}

/* Sections 2 to 5, up to the ranked list. */
static int score(struct run *run)
{
    struct ps_slot *slot = run->slot;
    int status = run->ops->preprocess(slot, &run->parameters.crop, run->error);
    if (status)
        return status;
    stage_done(run, PS_STAGE_PREPROCESS);
    status = run->ops->moments(slot, run->parameters.query, run->error);
    if (status)
        return status;
    stage_done(run, PS_STAGE_MOMENTS);
    status = run->ops->references_choose(slot, run->parameters.container, run->error);
    if (status)
        return status;
    stage_done(run, PS_STAGE_REFERENCES);
    status = run->ops->score(slot, run->error);
    if (status == 0)
        status = rank_windows(run);
    if (status == 0)
        stage_done(run, PS_STAGE_SCORE);
    return status;
}

static int train(struct run *run)
{
    int status = ps_aspire_training_tiles(&run->parameters, run->ranked, run->tiles,
                                          &run->training_count, &run->positives, run->error);
    if (status == 0)
        status = run->ops->features(run->slot, (const int(*)[2])run->tiles, run->training_count,
                                    run->training, run->error);
    if (status)
        return status;
    if (run->positives == 0 || run->positives == run->training_count) {
        reject(run->result, "no contrast: %zu windows to learn particle from, %zu background",
               run->positives, run->training_count - run->positives);
        return 0;
    }
    ps_model_done(&run->model);
    status = ps_model_train(run->config->picker.classifier, run->training, run->training_count,
                            run->positives, &run->model, run->error);
    run->trained = status == 0;
    if (status == 0)
        stage_done(run, PS_STAGE_TRAIN);
    return status;
}

/* Sections 6 and 7: trains until the model tells some windows from others. */
static int classify(struct run *run)
{
    size_t windows = (size_t)run->parameters.side - (size_t)run->parameters.query + 1;
    windows *= windows;
    int ranks = run->parameters.queries * run->parameters.queries;
    for (;;) {
        int status = train(run);
        if (status || run->result->outcome == PS_REJECTED)
            return status;
        size_t particle = 0;
        status = run->ops->classify(run->slot, &run->model, &particle, run->error);
        if (status)
            return status;
        stage_done(run, PS_STAGE_CLASSIFY);
        if (particle > 0 && particle < windows)
            return 0;
        int *tau = particle ? &run->parameters.tau2 : &run->parameters.tau1;
        *tau += TAU_STEP;
        if (*tau > ranks) {
            reject(run->result, "no contrast: every window is called %s",
                   particle ? "particle" : "background");
            return 0;
        }
    }
}

static int by_score(const void *left, const void *right)
{
    const struct ps_pick *a = left;
    const struct ps_pick *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->y != b->y)
        return a->y < b->y ? -1 : 1;
    return (a->x > b->x) - (a->x < b->x);
}

/* Orders the picks, and leaves out what min_score and max_picks say. The limit is rounded as scores
 * are, so that a score copied from a file of picks is a limit that its pick meets. */
static void select_picks(const struct ps_config *config, struct ps_result *result)
{
    qsort(result->picks, result->count, sizeof *result->picks, by_score);
    while (result->count &&
           result->picks[result->count - 1].score < (float)config->picker.min_score)
        result->count--;
    size_t limit = (size_t)config->picker.max_picks;
    if (limit && result->count > limit) {
        result->count = limit;
        result->truncated = true;
    }
    if (result->count) {
        double upper = (double)result->picks[(result->count - 1) / 2].score;
        double lower = (double)result->picks[result->count / 2].score;
        result->score_median = (upper + lower) / 2;
    }
}

/* Section 9, step 5, with what the reference does not give: a score, the model's value for the
 * window around the centre, and the area of the region. */
static int make_picks(struct run *run, const struct ps_aspire_centre *centres, size_t count)
{
    const struct ps_aspire *p = &run->parameters;
    int(*windows)[2] = calloc(count + 1, sizeof *windows);
    struct ps_feature *features = calloc(count + 1, sizeof *features);
    struct ps_pick *picks = calloc(count + 1, sizeof *picks);
    int status = 0;
    if (!windows || !features || !picks)
        status = ps_fail_memory(run->error, count * sizeof *picks, "picks");
    if (status == 0) {
        for (size_t i = 0; i < count; i++) {
            windows[i][0] = centres[i].row + ps_aspire_trim_before(p);
            windows[i][1] = centres[i].column + ps_aspire_trim_before(p);
        }
        status =
            run->ops->features(run->slot, (const int(*)[2])windows, count, features, run->error);
    }
    if (status == 0) {
        for (size_t i = 0; i < count; i++)
            picks[i] = (struct ps_pick){
                .x = (float)ps_aspire_coordinate(p, centres[i].column, p->crop.left),
                .y = (float)ps_aspire_coordinate(p, centres[i].row, p->crop.top),
                .score = (float)ps_model_decide(&run->model, features[i]),
                .area = (float)(4 * centres[i].area), /* a working pixel is 2 x 2 px */
            };
        run->result->picks = picks;
        run->result->count = count;
        picks = NULL;
        select_picks(run->config, run->result);
    }
    free(picks);
    free(features);
    free(windows);
    return status;
}

/* Sections 8 and 9. */
static int locate(struct run *run)
{
    const struct ps_aspire *p = &run->parameters;
    int status = run->ops->clean(run->slot, p->smallest, p->largest, run->error);
    if (status)
        return status;
    stage_done(run, PS_STAGE_CLEAN);
    int before = ps_aspire_trim_before(p);
    int after = ps_aspire_trim_after(p);
    int side = p->side - p->query + 1 - before - after;
    struct ps_region *regions = NULL;
    size_t count = 0;
    status = run->ops->regions(run->slot, before, after, &regions, &count, run->error);
    if (status)
        return status;
    struct ps_aspire_centre *centres = calloc(count + 1, sizeof *centres);
    if (centres)
        status = ps_aspire_centres(p, side, regions, count, centres, &count, run->error);
    else
        status = ps_fail_memory(run->error, count * sizeof *centres, "centres");
    if (status == 0)
        status = make_picks(run, centres, count);
    free(centres);
    free(regions);
    if (status == 0)
        stage_done(run, PS_STAGE_CENTRES);
    return status;
}

/* Where no centre can lie, from the coordinates of the first and the last window. */
static void fill_margins(const struct run *run)
{
    const struct ps_aspire *p = &run->parameters;
    int last = p->side - p->query - ps_aspire_trim_before(p) - ps_aspire_trim_after(p);
    int *margin = run->result->unpicked_margin;
    margin[0] = ps_aspire_coordinate(p, 0, p->crop.left);
    margin[1] = run->image->width - 1 - ps_aspire_coordinate(p, last, p->crop.left);
    margin[2] = ps_aspire_coordinate(p, 0, p->crop.top);
    margin[3] = run->image->height - 1 - ps_aspire_coordinate(p, last, p->crop.top);
}

static int pick_aspire(struct run *run)
{
    int status = ps_aspire_parameters(run->config, run->result->diameter, run->image->width,
                                      run->image->height, &run->parameters, run->error);
    if (status)
        return status;
    fill_margins(run);
    status = upload(run);
    if (status || run->result->outcome == PS_REJECTED)
        return status;
    status = score(run);
    if (status == 0)
        status = classify(run);
    if (status == 0 && run->result->outcome != PS_REJECTED)
        status = locate(run);
    return status;
}

/* ---- the public picker ------------------------------------------------------------------------
 */

int ps_picker_diameter(const struct ps_config *config, double pixel_size, double *ret_diameter,
                       struct ps_error *error)
{
    const struct ps_length *diameter = &config->picker.particle_diameter;
    if (diameter->unit == PS_UNIT_PIXEL) {
        *ret_diameter = diameter->value;
        return 0;
    }
    if (!(pixel_size > 0))
        return ps_fail(error, PS_E_INPUT,
                       "no pixel size in the header, and the diameter is in A: set "
                       "picker.pixel_size, or give the diameter in px");
    *ret_diameter = diameter->value / pixel_size;
    return 0;
}

const char *ps_picker_device(const struct ps_picker *picker)
{
    return picker->backend->device;
}

const char *ps_pixel_size_source(const struct ps_config *config, const struct ps_result *result)
{
    if (!(result->pixel_size > 0))
        return NULL;
    return config->picker.pixel_size > 0 ? "configuration" : "header";
}

static int check_image(const struct ps_config *config, const struct ps_image *image,
                       struct ps_error *error)
{
    if (!image->pixels || image->width < 1 || image->height < 1)
        return ps_fail(error, PS_E_INPUT, "empty image: %d x %d px", image->width, image->height);
    uint64_t pixels = (uint64_t)image->width * (uint64_t)image->height;
    if (pixels > config->compute.max_pixels || pixels > INT32_MAX)
        return ps_fail(error, PS_E_INPUT,
                       "too large: %d x %d px, at most %llu px expected (compute.max_pixels)",
                       image->width, image->height, (unsigned long long)config->compute.max_pixels);
    return 0;
}

int ps_picker_pick_observed(struct ps_picker *picker, const struct ps_image *image,
                            ps_stage_observer *observer, void *context,
                            struct ps_result *ret_result, struct ps_error *error)
{
    const struct ps_config *config = picker->config;
    int status = check_image(config, image, error);
    if (status)
        return status;
    struct ps_result result = {.outcome = PS_PICKED};
    result.pixel_size =
        config->picker.pixel_size > 0 ? config->picker.pixel_size : image->pixel_size;
    (void)snprintf(result.device, sizeof result.device, "%s", picker->backend->device);
    status = ps_picker_diameter(config, result.pixel_size, &result.diameter, error);
    if (status)
        return status;
    if (config->picker.pixel_size > 0 && image->pixel_size > 0 &&
        fabs(config->picker.pixel_size / image->pixel_size - 1) > 0.01)
        warn(&result, "pixel size %g A from the configuration, the header says %g A",
             config->picker.pixel_size, image->pixel_size);
    struct run run = {
        .config = config,
        .slot = picker->slot,
        .ops = picker->backend->ops,
        .image = image,
        .result = &result,
        .error = error,
        .observer = observer,
        .observer_context = context,
    };
    (void)clock_gettime(CLOCK_MONOTONIC, &run.lap);
    status = pick_aspire(&run);
    ps_model_done(&run.model);
    free(run.training);
    free(run.tiles);
    free(run.ranked);
    if (status)
        ps_result_done(&result);
    else
        *ret_result = result;
    return status;
}

int ps_picker_pick(struct ps_picker *picker, const struct ps_image *image,
                   struct ps_result *ret_result, struct ps_error *error)
{
    return ps_picker_pick_observed(picker, image, NULL, NULL, ret_result, error);
}

int ps_picker_new(const struct ps_config *config, struct ps_picker **ret_picker,
                  struct ps_error *error)
{
    int status = ps_config_check(config, error);
    if (status)
        return status;
    struct ps_picker *picker = calloc(1, sizeof *picker);
    if (picker)
        picker->config = ps_config_copy(config);
    if (!picker || !picker->config) {
        free(picker);
        return ps_fail_memory(error, sizeof *picker, "a picker");
    }
    status = ps_backend_open(config->compute.backend, config->compute.threads,
                             config->compute.require_gpu, &picker->backend, error);
    if (status == 0)
        status = picker->backend->ops->slot_new(picker->backend, &picker->slot, error);
    if (status)
        ps_picker_free(picker);
    else
        *ret_picker = picker;
    return status;
}

void ps_picker_free(struct ps_picker *picker)
{
    if (!picker)
        return;
    if (picker->backend) {
        picker->backend->ops->slot_free(picker->slot);
        picker->backend->ops->close(picker->backend);
    }
    ps_config_free(picker->config);
    free(picker);
}

void ps_result_done(struct ps_result *result)
{
    free(result->picks);
    memset(result, 0, sizeof *result);
}

const char *ps_stage_name(enum ps_stage stage)
{
    static const char *const names[] = {
#define X(NAME, name) [PS_STAGE_##NAME] = #name,
        PS_STAGE_MAP(X)
#undef X
    };
    return stage >= 0 && stage < PS_STAGE_COUNT ? names[stage] : "?";
}
