/* Publishes previews. */
#ifndef PS_PUBLISH_PREVIEW_SENDER_H
#define PS_PUBLISH_PREVIEW_SENDER_H

#include "publish/outlet.h"
#include "wire/preview_message.h"

/* Sends a preview message on the publishing socket without waiting; empties `preview`. False: it
 * was dropped. */
bool ps_preview_send(struct ps_outlet *outlet, void *socket, const struct ps_preview_facts *facts,
                     struct ps_preview *preview);

#endif
