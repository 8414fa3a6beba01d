/* Asks the running service something, through its control socket (pickstream-messages(7)). */
#ifndef PS_SUBSCRIBE_CONTROL_H
#define PS_SUBSCRIBE_CONTROL_H

#include "pickstream.h"

#include <jansson.h>

/* Sends `request` (whose reference is taken) to the service of this state directory and waits for
 * its answer. PS_E_SYSTEM: no permission, no answer in time, or one that is no JSON object, or
 * {"type":"error"}. */
int ps_control_ask(const char *state_directory, json_t *request, json_t **ret_answer,
                   struct ps_error *error);

#endif
