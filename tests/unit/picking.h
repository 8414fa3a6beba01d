/* Picking in tests: from settings to picks in one call, and assertions about picks. An error fails
 * the running test. */
#ifndef TEST_PICKING_H
#define TEST_PICKING_H

#include "cli/accuracy.h"
#include "config/config.h"
#include "image_fixture.h"

/* Keys and values alternately, then NULL. Defaults: a diameter of 40 px, and references from
 * squares of 200 px, so that 1024 x 1024 px have as many of them as 2048 x 2048 px with the usual
 * squares. */
enum { MAX_SETTINGS = 9 };
#define SETTINGS(...) ((const char *const[MAX_SETTINGS]){__VA_ARGS__})
#define NO_SETTINGS   SETTINGS(NULL)

struct ps_config *picking_config(const char *const settings[MAX_SETTINGS]);
struct ps_picker *picking_new(const char *const settings[MAX_SETTINGS]);

/* Picks; the caller empties the result. */
struct ps_result picking_run(struct ps_picker *picker, const struct ps_image *image);
struct ps_result picking_image(const struct ps_image *image,
                               const char *const settings[MAX_SETTINGS]);
struct ps_result picking_test_image(const struct test_image *source,
                                    const char *const settings[MAX_SETTINGS]);

/* Share of the picks of `a` that have a pick of `b` within 10 px, a quarter of 40 px. */
double picking_share_kept(const struct ps_result *a, const struct ps_result *b);

/* The picks against the truth, a quarter of a diameter apart at most. Particles outside the margins
 * need not be found. */
struct ps_accuracy picking_measure(const struct test_image *source, const struct ps_result *result);

/* Both results are identical, bit by bit. */
void assert_same_result(const struct ps_result *a, const struct ps_result *b);

void assert_inside_margins(const struct test_image *source, const struct ps_result *result);

/* The result is a rejection for this reason. Empties the result. */
void assert_rejected(struct ps_result *result, const char *reason);

/* The image is refused with this message, and the result does not change. */
void assert_refused(const struct ps_image *image, const char *const settings[MAX_SETTINGS],
                    const char *message);

#endif
