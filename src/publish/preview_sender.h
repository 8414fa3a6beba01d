/* Publishes previews, within a bound on memory.
 *
 * ZeroMQ keeps publish.high_water_mark messages for a subscriber that does not keep up, and
 * pictures are large: ten thousand of them would be 5 GB. So what has been handed to ZeroMQ and is
 * not yet with every subscriber is counted, and a picture beyond PS_PREVIEW_BYTES is dropped, for
 * all subscribers. Outcomes are never dropped for that.
 */
#ifndef PS_PUBLISH_PREVIEW_SENDER_H
#define PS_PUBLISH_PREVIEW_SENDER_H

#include "wire/preview_message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <zmq.h>

enum { PS_PREVIEW_BYTES = 128 << 20 };

/* All zeros at first; lives until the socket's context has ended. */
struct ps_preview_outlet {
    _Atomic size_t outstanding; /* bytes */
};

/* Sends a preview message on the publishing socket without waiting, and takes `preview`. False: it
 * was dropped. */
bool ps_preview_send(struct ps_preview_outlet *outlet, void *socket,
                     const struct ps_preview_facts *facts, struct ps_preview *preview);

/* For previews that another service made: whether there is room for one, and one frame of it, which
 * is taken. False: it was not sent. */
bool ps_preview_fits(const struct ps_preview_outlet *outlet);
bool ps_preview_pass(struct ps_preview_outlet *outlet, void *socket, zmq_msg_t *frame, int flags);

#endif
