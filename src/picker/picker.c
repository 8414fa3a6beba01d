/* The public picker: what every profile begins and ends with. */
#include "picker/picker.h"

#include "base/error.h"
#include "base/warning.h"
#include "picker/profile.h"
#include "picker/scale.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the selection of picks --------------------------------------------------------------------
 */

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

/* A profile may find particles where there is no image. */
static void drop_dead_picks(const struct ps_dead_areas *dead, struct ps_result *result)
{
    size_t kept = 0;
    for (size_t i = 0; i < result->count; i++) {
        const struct ps_pick *pick = &result->picks[i];
        if (!ps_dead_areas_hold(dead, (int)(pick->x + 0.5F), (int)(pick->y + 0.5F)))
            result->picks[kept++] = *pick;
    }
    result->count = kept;
}

/* Orders the picks, and leaves out what min_score and max_picks say. The limit is rounded as scores
 * are, so that a score copied from a file of picks is a limit that its pick meets. */
static void select_picks(const struct ps_config *config, struct ps_result *result)
{
    if (result->count)
        qsort(result->picks, result->count, sizeof *result->picks, by_score);
    while (result->count &&
           result->picks[result->count - 1].score < (float)config->picker.min_score)
        result->count--;
    size_t limit = (size_t)config->picker.max_picks;
    if (limit && result->count > limit) {
        result->count = limit;
        result->truncated = true;
    }
    if (config->picker.profile == PS_PROFILE_ADAPTIVE && result->outcome == PS_PICKED) {
        result->expected_false = 0;
        for (size_t i = 0; i < result->count; i++)
            result->expected_false += 1 - (double)result->picks[i].score;
    }
    if (result->count) {
        double upper = (double)result->picks[(result->count - 1) / 2].score;
        double lower = (double)result->picks[result->count / 2].score;
        result->score_median = (upper + lower) / 2;
    }
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

bool ps_picker_is_gpu(const struct ps_picker *picker)
{
    return picker->backend->ops != &ps_backend_cpu;
}

const char *ps_pixel_size_source(const struct ps_config *config, const struct ps_result *result)
{
    if (!(result->pixel_size > 0))
        return NULL;
    return config->picker.pixel_size > 0 ? "configuration" : "header";
}

/* From these on the diameter or the pixel size is likely wrong. */
static const double LEAST_DIAMETER_PX = 8, LARGEST_SHARE_OF_IMAGE = 1.0 / 3;

/* Adds the first warning if the diameter is absurd for this image, and returns that. */
static bool check_scale(const struct ps_config *config, const struct ps_image *image,
                        struct ps_result *result)
{
    const int side = image->width < image->height ? image->width : image->height;
    const bool small = result->diameter < LEAST_DIAMETER_PX;
    char scale[PS_SCALE_TEXT];
    if (!small && result->diameter <= side * LARGEST_SHARE_OF_IMAGE)
        return false;
    (void)ps_scale_text(config, image->pixel_size, scale);
    if (small)
        ps_warning_add(result, PS_WARNING_SCALE, "%s: below %g px", scale, LEAST_DIAMETER_PX);
    else
        ps_warning_add(result, PS_WARNING_SCALE, "%s: above a third of the image (%d x %d px)",
                       scale, image->width, image->height);
    return true;
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
    struct ps_result result = {.outcome = PS_PICKED, .expected_false = NAN, .separation = NAN};
    result.pixel_size =
        config->picker.pixel_size > 0 ? config->picker.pixel_size : image->pixel_size;
    (void)snprintf(result.device, sizeof result.device, "%s", picker->backend->device);
    status = ps_picker_diameter(config, result.pixel_size, &result.diameter, error);
    if (status)
        return status;
    const bool absurd = check_scale(config, image, &result);
    if (config->picker.pixel_size > 0 && image->pixel_size > 0 &&
        fabs(config->picker.pixel_size / image->pixel_size - 1) > 0.01)
        ps_warning_add(&result, PS_WARNING_PIXEL_SIZE,
                       "pixel size %g A from the configuration, the header says %g A",
                       config->picker.pixel_size, image->pixel_size);
    struct ps_picking run = {
        .config = config,
        .slot = picker->slot,
        .ops = picker->backend->ops,
        .image = image,
        .rules = picker->rules,
        .result = &result,
        .error = error,
        .observer = observer,
        .observer_context = context,
    };
    (void)clock_gettime(CLOCK_MONOTONIC, &run.lap);
    status = config->picker.profile == PS_PROFILE_ASPIRE ? ps_picking_aspire(&run)
                                                         : ps_picking_adaptive(&run);
    if (status == 0)
        drop_dead_picks(&run.dead, &result);
    ps_dead_areas_done(&run.dead);
    if (status) {
        if (status == PS_E_INPUT && absurd &&
            config->picker.particle_diameter.unit == PS_UNIT_ANGSTROM)
            (void)ps_fail_prefix(error, "%s", result.warnings[0]);
        ps_result_done(&result);
        return status;
    }
    select_picks(config, &result);
    *ret_result = result;
    return 0;
}

int ps_picker_pick(struct ps_picker *picker, const struct ps_image *image,
                   struct ps_result *ret_result, struct ps_error *error)
{
    return ps_picker_pick_observed(picker, image, NULL, NULL, ret_result, error);
}

int ps_picker_new_on(const struct ps_config *config, int device, struct ps_picker **ret_picker,
                     struct ps_error *error)
{
    struct ps_picker *picker = calloc(1, sizeof *picker);
    if (picker) {
        picker->config = ps_config_copy(config);
        picker->rules = &ps_adaptive_rules;
    }
    if (!picker || !picker->config) {
        free(picker);
        return ps_fail_memory(error, sizeof *picker, "a picker");
    }
    int status = ps_backend_open(config->compute.backend, device, config->compute.threads,
                                 config->compute.require_gpu, &picker->backend, error);
    if (status == 0)
        status = picker->backend->ops->slot_new(picker->backend, &picker->slot, error);
    if (status)
        ps_picker_free(picker);
    else
        *ret_picker = picker;
    return status;
}

int ps_picker_new(const struct ps_config *config, struct ps_picker **ret_picker,
                  struct ps_error *error)
{
    int devices[PS_MAX_DEVICES];
    int count;
    int status = ps_config_check(config, error);
    if (status == 0)
        status = ps_backend_devices(config->compute.backend, &config->compute.devices, devices,
                                    &count, error);
    return status ? status : ps_picker_new_on(config, devices[0], ret_picker, error);
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
