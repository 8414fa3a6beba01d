/* Requests to the running service through its control socket (pickstream-messages(7)). */
#ifndef PS_SUBSCRIBE_CONTROL_H
#define PS_SUBSCRIBE_CONTROL_H

#include "pickstream.h"

#include <jansson.h>

/* Sends `request` to the service of this state directory and waits for the answer. Takes the
 * reference to `request`. PS_E_SYSTEM: no permission, no answer in time, an answer that is not a
 * JSON object, or {"type":"error"}. */
int ps_control_ask(const char *state_directory, json_t *request, json_t **ret_answer,
                   struct ps_error *error);

#endif
