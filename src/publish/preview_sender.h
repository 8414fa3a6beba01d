/* Publishes previews, within a limit of memory.
 *
 * ZeroMQ queues publish.high_water_mark messages for a subscriber that does not keep up, and
 * pictures are large: ten thousand of them would be 5 GB. So the bytes that ZeroMQ has and that not
 * all subscribers have received are counted, and a picture that would exceed PS_MAX_PREVIEW_BYTES
 * is dropped for all subscribers. Outcomes are not dropped by this limit.
 */
#ifndef PS_PUBLISH_PREVIEW_SENDER_H
#define PS_PUBLISH_PREVIEW_SENDER_H

#include "wire/preview_message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <zmq.h>

enum { PS_MAX_PREVIEW_BYTES = 128 << 20 };

/* Initialise to zeros; must live until the socket's context is terminated. */
struct ps_preview_outlet {
    _Atomic size_t queued_bytes;
};

/* Sends a preview message on the publishing socket without waiting; takes ownership of `preview`.
 * False: it was dropped. */
bool ps_preview_send(struct ps_preview_outlet *outlet, void *socket,
                     const struct ps_preview_facts *facts, struct ps_preview *preview);

/* For previews of other services: ps_preview_fits() is true if the limit allows another one;
 * ps_preview_pass() sends one frame of it and takes its contents. False: it was not sent. */
bool ps_preview_fits(const struct ps_preview_outlet *outlet);
bool ps_preview_pass(struct ps_preview_outlet *outlet, void *socket, zmq_msg_t *frame, int flags);

#endif
