#include "transport/frames.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

int ps_frames_send(void *socket, const struct ps_frames *frames, int flags)
{
    for (size_t i = 0; i < frames->count; i++) {
        const struct ps_frame *frame = &frames->frame[i];
        int more = i + 1 < frames->count ? ZMQ_SNDMORE : 0;
        if (zmq_send(socket, frame->data, frame->size, flags | more) < 0)
            return -1;
    }
    return 0;
}

int ps_frames_receive(void *socket, struct ps_frames *ret_frames, struct ps_error *error)
{
    struct ps_frames frames = {0};
    int status = 0;
    for (int more = 1; more && status == 0;) {
        zmq_msg_t part;
        (void)zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
            status = ps_fail(error, PS_E_SYSTEM, "cannot receive: %s", zmq_strerror(errno));
        } else if (frames.count < PS_MAX_FRAMES) {
            size_t size = zmq_msg_size(&part);
            void *data = malloc(size ? size : 1);
            if (data)
                frames.frame[frames.count++] =
                    (struct ps_frame){memcpy(data, zmq_msg_data(&part), size), size};
            else
                status = ps_fail_memory(error, size, "a message");
        }
        more = zmq_msg_more(&part);
        (void)zmq_msg_close(&part);
    }
    if (status == 0)
        *ret_frames = frames;
    else
        ps_frames_done(&frames);
    return status;
}
