/* Publishes large messages, previews and particles, within a limit of memory.
 *
 * ZeroMQ queues publish.high_water_mark messages for a subscriber that does not keep up, and
 * pictures are large: ten thousand of them would be 5 GB. So the bytes that ZeroMQ has and that not
 * all subscribers have received are counted, and a message that would exceed PS_MAX_OUTLET_BYTES is
 * dropped for all subscribers. Outcomes are not dropped by this limit.
 */
#ifndef PS_PUBLISH_OUTLET_H
#define PS_PUBLISH_OUTLET_H

#include "wire/message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <zmq.h>

enum { PS_MAX_OUTLET_BYTES = 128 << 20 };

/* Initialise to zeros; must live until the socket's context is terminated. */
struct ps_outlet {
    _Atomic size_t queued_bytes;
};

/* Counts bytes that are to be sent; false: the limit does not allow them. Any thread. */
bool ps_outlet_reserve(struct ps_outlet *outlet, size_t size);
void ps_outlet_release(struct ps_outlet *outlet, size_t size);

/* Sends `frames`, then one of `size` reserved bytes at `data`, without waiting. Frees the frames,
 * and `data` with free() when the last subscriber has received it. False: the message was dropped.
 */
bool ps_outlet_send(struct ps_outlet *outlet, void *socket, struct ps_frames *frames, void *data,
                    size_t size);

/* For messages of other services: ps_outlet_fits() is true if the limit allows another one;
 * ps_outlet_pass() sends one frame of it and takes its contents. False: it was not sent. */
bool ps_outlet_fits(const struct ps_outlet *outlet);
bool ps_outlet_pass(struct ps_outlet *outlet, void *socket, zmq_msg_t *frame, int flags);

#endif
