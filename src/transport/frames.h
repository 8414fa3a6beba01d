/* Sending and receiving messages. */
#ifndef PS_TRANSPORT_FRAMES_H
#define PS_TRANSPORT_FRAMES_H

#include "wire/message.h"

/* Sends frames as one message, or as the rest of one; `flags` as of zmq_send(). 0, or -1 and
 * zmq_errno(). */
int ps_frames_send(void *socket, const struct ps_frames *frames, int flags);

/* Receives a message without waiting; the caller owns the frames. PS_E_NOMEM, PS_E_SYSTEM. */
int ps_frames_receive(void *socket, struct ps_frames *ret_frames, struct ps_error *error);

#endif
