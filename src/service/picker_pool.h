/* The pool of pickers: pickers on every configured device; each worker takes one for one micrograph
 * at a time. An entry of the pool is a "slot" in the configuration and in the log.
 *
 * Entries of several devices alternate, and the first free one is taken, so work goes to the device
 * with the fewest micrographs. An entry that cannot be opened for lack of device memory is left out
 * with a warning; each device needs at least one. An entry of a GPU that runs out of memory during
 * a pick is closed if another entry of that GPU is left, which then picks the micrograph.
 *
 * After a GPU failure no GPU is used any more, and results of picks that were running on any GPU
 * are discarded and the micrographs picked again. With compute.on_device_error = cpu a picker on
 * the CPU takes over; otherwise every pick ends with PS_E_DEVICE and its micrograph has no outcome.
 *
 * ps_picker_pool_pick() and _status() can be called by any thread. */
#ifndef PS_SERVICE_PICKER_POOL_H
#define PS_SERVICE_PICKER_POOL_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"

#include <jansson.h>

struct ps_picker_pool;

/* Entries of a device if compute.slots_per_device is 0 (automatic). */
enum { PS_DEFAULT_GPU_SLOTS = 3, PS_DEFAULT_CPU_SLOTS = 1 };

/* Opens the devices. PS_E_DEVICE, PS_E_CONFIG, PS_E_NOMEM. */
int ps_picker_pool_open(const struct ps_config *config, struct ps_log *log,
                        struct ps_picker_pool **ret_pool, struct ps_error *error);
void ps_picker_pool_close(struct ps_picker_pool *pool); /* no pick is running; accepts NULL */

/* The number of workers that keep the entries busy: one for each entry, and the readers. */
size_t ps_picker_pool_workers(const struct ps_picker_pool *pool);

/* True if GPUs pick; false also after they failed. */
bool ps_picker_pool_is_gpu(struct ps_picker_pool *pool);

/* Waits for a free entry and picks, busy meanwhile (base/progress.h); otherwise as
 * ps_picker_pick(). `name` is for the status. */
int ps_picker_pool_pick(struct ps_picker_pool *pool, const char *name, const struct ps_image *image,
                        struct ps_result *ret_result, struct ps_error *error);

/* Array of {"device", "busy", "micrograph"}, one for each entry. */
json_t *ps_picker_pool_status(struct ps_picker_pool *pool);

#endif
