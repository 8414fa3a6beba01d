#include "stream/preview_outlet.h"

#include "stream/sockets.h"

#include <stdlib.h>
#include <zmq.h>

/* A picture that ZeroMQ has. */
struct parcel {
    struct ps_preview_outlet *outlet;
    struct ps_preview preview;
};

/* The last subscriber has it; called by a thread of ZeroMQ's. */
static void parcel_done(void *data, void *hint)
{
    struct parcel *parcel = hint;
    (void)data;
    atomic_fetch_sub(&parcel->outlet->outstanding, parcel->preview.size);
    ps_preview_done(&parcel->preview);
    free(parcel);
}

bool ps_preview_send(struct ps_preview_outlet *outlet, void *socket,
                     const struct ps_preview_facts *facts, struct ps_preview *preview)
{
    struct ps_frames frames = {0};
    struct ps_error error;
    struct parcel *parcel = NULL;
    size_t before = atomic_fetch_add(&outlet->outstanding, preview->size);
    bool fits = before + preview->size <= PS_PREVIEW_BYTES;
    if (fits && ps_message_preview(facts, preview, &frames, &error) == 0)
        parcel = malloc(sizeof *parcel);
    if (!parcel) {
        atomic_fetch_sub(&outlet->outstanding, preview->size);
        ps_preview_done(preview);
        ps_frames_done(&frames);
        return false;
    }
    *parcel = (struct parcel){outlet, *preview};
    *preview = (struct ps_preview){0};
    zmq_msg_t picture;
    bool sent = zmq_msg_init_data(&picture, parcel->preview.png, parcel->preview.size, parcel_done,
                                  parcel) == 0;
    if (!sent) {
        parcel_done(NULL, parcel);
    } else {
        sent = ps_frames_send(socket, &frames, ZMQ_DONTWAIT | ZMQ_SNDMORE) == 0 &&
               zmq_msg_send(&picture, socket, ZMQ_DONTWAIT) >= 0;
        if (!sent)
            (void)zmq_msg_close(&picture);
    }
    ps_frames_done(&frames);
    return sent;
}
