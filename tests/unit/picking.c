#include "picking.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct ps_config *picking_config(const char *const settings[MAX_SETTINGS])
{
    struct ps_error error;
    struct ps_config *config = ps_config_new();
    int status = ps_config_set(config, "picker.particle_diameter", "40px", &error);
    if (status == 0)
        status = ps_config_set(config, "picker.profile", "aspire", &error);
    if (status == 0)
        status = ps_config_set(config, "picker.container_size", "200", &error);
    for (size_t i = 0; settings[i] && status == 0; i += 2)
        status = ps_config_set(config, settings[i], settings[i + 1], &error);
    if (status)
        fail_msg("%s", error.message);
    return config;
}

struct ps_picker *picking_new(const char *const settings[MAX_SETTINGS])
{
    struct ps_error error;
    struct ps_picker *picker = NULL;
    struct ps_config *config = picking_config(settings);
    if (ps_picker_new(config, &picker, &error))
        fail_msg("%s", error.message);
    ps_config_free(config);
    return picker;
}

struct ps_result picking_run(struct ps_picker *picker, const struct ps_image *image)
{
    struct ps_error error;
    struct ps_result result;
    if (ps_picker_pick(picker, image, &result, &error))
        fail_msg("%s", error.message);
    return result;
}

struct ps_result picking_image(const struct ps_image *image,
                               const char *const settings[MAX_SETTINGS])
{
    struct ps_picker *picker = picking_new(settings);
    struct ps_result result = picking_run(picker, image);
    ps_picker_free(picker);
    return result;
}

struct ps_result picking_test_image(const struct test_image *source,
                                    const char *const settings[MAX_SETTINGS])
{
    struct ps_image image = test_image_view(source);
    return picking_image(&image, settings);
}

void assert_same_result(const struct ps_result *a, const struct ps_result *b)
{
    assert_int_equal(a->outcome, b->outcome);
    assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->count, b->count);
    if (a->count)
        assert_memory_equal(a->picks, b->picks, a->count * sizeof *a->picks);
    assert_memory_equal(&a->score_median, &b->score_median, sizeof a->score_median);
    assert_memory_equal(a->unpicked_margin, b->unpicked_margin, sizeof a->unpicked_margin);
    assert_int_equal(a->warning_count, b->warning_count);
}

double picking_share_kept(const struct ps_result *a, const struct ps_result *b)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++) {
        bool near = false;
        for (size_t j = 0; j < b->count; j++)
            near = near || hypot((double)a->picks[i].x - (double)b->picks[j].x,
                                 (double)a->picks[i].y - (double)b->picks[j].y) <= 10;
        kept += near;
    }
    return (double)kept / (double)a->count;
}

struct ps_accuracy picking_measure(const struct test_image *source, const struct ps_result *result)
{
    struct ps_points truth = {calloc(source->truth.count + 1, sizeof *truth.xy), 0};
    struct ps_points outside = {calloc(source->truth.count + 1, sizeof *truth.xy), 0};
    const int *margin = result->unpicked_margin;
    for (size_t i = 0; i < source->truth.count; i++) {
        struct ps_centre centre = source->truth.centres[i];
        bool inside = centre.x >= margin[0] && centre.x <= source->width - 1 - margin[1] &&
                      centre.y >= margin[2] && centre.y <= source->height - 1 - margin[3];
        struct ps_points *points = inside ? &truth : &outside;
        points->xy[points->count][0] = centre.x;
        points->xy[points->count][1] = centre.y;
        points->count++;
    }
    struct ps_error error;
    struct ps_accuracy accuracy;
    if (ps_accuracy_measure(result->picks, result->count, &truth, &outside, result->diameter / 4,
                            result->diameter / 4, &accuracy, &error))
        fail_msg("%s", error.message);
    ps_points_done(&truth);
    ps_points_done(&outside);
    return accuracy;
}

void assert_inside_margins(const struct test_image *source, const struct ps_result *result)
{
    const int *margin = result->unpicked_margin;
    for (size_t i = 0; i < result->count; i++) {
        assert_in_range((int)result->picks[i].x, margin[0], source->width - 1 - margin[1]);
        assert_in_range((int)result->picks[i].y, margin[2], source->height - 1 - margin[3]);
    }
}

void assert_rejected(struct ps_result *result, const char *reason)
{
    assert_int_equal(result->outcome, PS_REJECTED);
    assert_string_equal(result->reason, reason);
    assert_int_equal(result->count, 0);
    ps_result_done(result);
}

void assert_refused(const struct ps_image *image, const char *const settings[MAX_SETTINGS],
                    const char *message)
{
    struct ps_picker *picker = picking_new(settings);
    struct ps_error error;
    struct ps_result result = {.count = 77};
    assert_int_equal(ps_picker_pick(picker, image, &result, &error), PS_E_INPUT);
    assert_int_equal(error.code, PS_E_INPUT);
    assert_string_equal(error.message, message);
    assert_int_equal(result.count, 77);
    assert_int_equal(ps_picker_pick(picker, image, &result, NULL), PS_E_INPUT);
    ps_picker_free(picker);
}
