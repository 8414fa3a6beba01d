/* The slots of the running service: pickers on every device of the configuration, taken for one
 * micrograph at a time by whichever worker needs one.
 *
 * Slots of several devices alternate, and the first free one is taken, so that work goes to the
 * device that has the fewest micrographs. A slot that has no memory when the service starts is left
 * out, with a warning, and so is one of a GPU that has none for a micrograph while another slot of
 * that GPU is left, which picks it then; a device must have one at least.
 *
 * A GPU that fails is not asked again, and no result of any GPU is used from then on: what was
 * being picked is picked once more. With compute.on_device_error = cpu a picker on the CPU takes
 * over; otherwise every pick ends with PS_E_DEVICE and its micrograph has no outcome.
 *
 * Any thread may call ps_slots_pick(), _status() and _busy_seconds(). */
#ifndef PS_SERVICE_PICKER_POOL_H
#define PS_SERVICE_PICKER_POOL_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"

#include <jansson.h>

struct ps_slots;

/* Slots of a device where compute.slots_per_device does not say. */
enum { PS_SLOTS_OF_GPU = 3, PS_SLOTS_OF_CPU = 1 };

/* Opens the devices. PS_E_DEVICE, PS_E_CONFIG, PS_E_NOMEM. */
int ps_slots_open(const struct ps_config *config, struct ps_log *log, struct ps_slots **ret_slots,
                  struct ps_error *error);
void ps_slots_close(struct ps_slots *slots); /* nothing may be being picked; NULL is fine */

/* How many workers keep the slots busy: one a slot, and the readers. */
size_t ps_slots_workers(const struct ps_slots *slots);

/* Waits for a slot and picks; otherwise as ps_picker_pick(). `name` is for the status. */
int ps_slots_pick(struct ps_slots *slots, const char *name, const struct ps_image *image,
                  struct ps_result *ret_result, struct ps_error *error);

/* How long the longest of the current picks has been going on, seconds; 0 if there is none. */
double ps_slots_busy_seconds(struct ps_slots *slots);

/* Array of {"device", "busy", "micrograph"}, one a slot. */
json_t *ps_slots_status(struct ps_slots *slots);

#endif
