#include "publish/preview_sender.h"

#include "publish/sockets.h"
#include "transport/frames.h"

#include <stdlib.h>

/* A picture that ZeroMQ holds: a preview of this service, or a received frame. */
struct parcel {
    struct ps_preview_outlet *outlet;
    struct ps_preview preview;
    zmq_msg_t frame;
};

static size_t size_of(struct parcel *parcel)
{
    return parcel->preview.size + zmq_msg_size(&parcel->frame);
}

/* Called by a ZeroMQ thread after the last subscriber has received it. */
static void parcel_done(void *data, void *hint)
{
    struct parcel *parcel = hint;
    (void)data;
    atomic_fetch_sub(&parcel->outlet->queued_bytes, size_of(parcel));
    ps_preview_done(&parcel->preview);
    (void)zmq_msg_close(&parcel->frame);
    free(parcel);
}

/* An empty one; NULL without memory. */
static struct parcel *new_parcel(struct ps_preview_outlet *outlet)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);
    if (!parcel)
        return NULL;
    parcel->outlet = outlet;
    (void)zmq_msg_init(&parcel->frame);
    return parcel;
}

/* Sends the parcel, whose bytes are already counted. */
static bool send_parcel(struct parcel *parcel, void *data, void *socket, int flags)
{
    zmq_msg_t message;
    if (zmq_msg_init_data(&message, data, size_of(parcel), parcel_done, parcel) != 0) {
        parcel_done(NULL, parcel);
        return false;
    }
    bool sent = zmq_msg_send(&message, socket, flags) >= 0;
    if (!sent)
        (void)zmq_msg_close(&message);
    return sent;
}

bool ps_preview_send(struct ps_preview_outlet *outlet, void *socket,
                     const struct ps_preview_facts *facts, struct ps_preview *preview)
{
    struct ps_frames frames = {0};
    struct ps_error error;
    struct parcel *parcel = new_parcel(outlet);
    size_t before = atomic_fetch_add(&outlet->queued_bytes, preview->size);
    bool sent = parcel && before + preview->size <= PS_MAX_PREVIEW_BYTES &&
                ps_message_preview(facts, preview, &frames, &error) == 0 &&
                ps_frames_send(socket, &frames, ZMQ_DONTWAIT | ZMQ_SNDMORE) == 0;
    ps_frames_done(&frames);
    if (!parcel) {
        atomic_fetch_sub(&outlet->queued_bytes, preview->size);
        ps_preview_done(preview);
        return false;
    }
    parcel->preview = *preview;
    *preview = (struct ps_preview){0};
    if (sent)
        return send_parcel(parcel, parcel->preview.png, socket, ZMQ_DONTWAIT);
    parcel_done(NULL, parcel);
    return false;
}

bool ps_preview_fits(const struct ps_preview_outlet *outlet)
{
    return atomic_load(&outlet->queued_bytes) < PS_MAX_PREVIEW_BYTES;
}

bool ps_preview_pass(struct ps_preview_outlet *outlet, void *socket, zmq_msg_t *frame, int flags)
{
    struct parcel *parcel = new_parcel(outlet);
    if (!parcel)
        return false;
    (void)zmq_msg_move(&parcel->frame, frame);
    atomic_fetch_add(&outlet->queued_bytes, size_of(parcel));
    return send_parcel(parcel, zmq_msg_data(&parcel->frame), socket, flags);
}
