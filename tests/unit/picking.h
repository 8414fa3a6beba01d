/* Picking in tests: settings to picks in one call, and what there is to say about picks. Whatever
 * goes wrong fails the running test. */
#ifndef TEST_PICKING_H
#define TEST_PICKING_H

#include "cli/accuracy.h"
#include "config/config.h"
#include "plate.h"

/* Keys and values in turn, before a NULL. The diameter is 40 px unless it is among them, and
 * references come from squares of 200 px: from as many of 1024 x 1024 px as else of 2048 x 2048. */
enum { MOST_SETTINGS = 9 };
#define SETTINGS(...) ((const char *const[MOST_SETTINGS]){__VA_ARGS__})
#define NO_SETTINGS   SETTINGS(NULL)

struct ps_config *picking_config(const char *const settings[MOST_SETTINGS]);
struct ps_picker *picking_new(const char *const settings[MOST_SETTINGS]);

/* Picks; the result is the caller's to empty. */
struct ps_result picking_run(struct ps_picker *picker, const struct ps_image *image);
struct ps_result picking_image(const struct ps_image *image,
                               const char *const settings[MOST_SETTINGS]);
struct ps_result picking_plate(const struct plate *plate,
                               const char *const settings[MOST_SETTINGS]);

/* Share of the picks of `a` that have a pick of `b` within 10 px, a quarter of 40 px. */
double picking_share_kept(const struct ps_result *a, const struct ps_result *b);

/* The picks against the truth, a quarter of a diameter apart at most. Particles outside the margins
 * need not be found. */
struct ps_accuracy picking_measure(const struct plate *plate, const struct ps_result *result);

/* The results say the same, to the last bit. */
void assert_same_result(const struct ps_result *a, const struct ps_result *b);

void assert_inside_margins(const struct plate *plate, const struct ps_result *result);

/* The result is a rejection for this reason; it is emptied. */
void assert_rejected(struct ps_result *result, const char *reason);

/* The image is refused with this message, and the result stays as it was. */
void assert_refused(const struct ps_image *image, const char *const settings[MOST_SETTINGS],
                    const char *message);

#endif
