#include "publish/outlet.h"

#include "transport/frames.h"

#include <stdlib.h>

/* Bytes that ZeroMQ holds: of this service, or a received frame. */
struct parcel {
    struct ps_outlet *outlet;
    void *data; /* owned; or NULL */
    size_t size;
    zmq_msg_t frame;
};

bool ps_outlet_reserve(struct ps_outlet *outlet, size_t size)
{
    if (atomic_fetch_add(&outlet->queued_bytes, size) + size <= PS_MAX_OUTLET_BYTES)
        return true;
    ps_outlet_release(outlet, size);
    return false;
}

void ps_outlet_release(struct ps_outlet *outlet, size_t size)
{
    atomic_fetch_sub(&outlet->queued_bytes, size);
}

/* Called by a ZeroMQ thread after the last subscriber has received it. */
static void parcel_done(void *data, void *hint)
{
    struct parcel *parcel = hint;
    (void)data;
    ps_outlet_release(parcel->outlet, parcel->size);
    free(parcel->data);
    (void)zmq_msg_close(&parcel->frame);
    free(parcel);
}

/* Takes reserved bytes; NULL without memory. */
static struct parcel *new_parcel(struct ps_outlet *outlet, void *data, size_t size)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);
    if (!parcel)
        return NULL;
    parcel->outlet = outlet;
    parcel->data = data;
    parcel->size = size;
    (void)zmq_msg_init(&parcel->frame);
    return parcel;
}

static bool send_parcel(struct parcel *parcel, void *data, void *socket, int flags)
{
    zmq_msg_t message;
    if (zmq_msg_init_data(&message, data, parcel->size, parcel_done, parcel) != 0) {
        parcel_done(NULL, parcel);
        return false;
    }
    bool sent = zmq_msg_send(&message, socket, flags) >= 0;
    if (!sent)
        (void)zmq_msg_close(&message);
    return sent;
}

bool ps_outlet_send(struct ps_outlet *outlet, void *socket, struct ps_frames *frames, void *data,
                    size_t size)
{
    struct parcel *parcel = new_parcel(outlet, data, size);
    bool sent = parcel && ps_frames_send(socket, frames, ZMQ_DONTWAIT | ZMQ_SNDMORE) == 0;
    ps_frames_done(frames);
    if (sent)
        return send_parcel(parcel, data, socket, ZMQ_DONTWAIT);
    if (parcel) {
        parcel_done(NULL, parcel);
    } else {
        ps_outlet_release(outlet, size);
        free(data);
    }
    return false;
}

bool ps_outlet_fits(const struct ps_outlet *outlet)
{
    return atomic_load(&outlet->queued_bytes) < PS_MAX_OUTLET_BYTES;
}

bool ps_outlet_pass(struct ps_outlet *outlet, void *socket, zmq_msg_t *frame, int flags)
{
    struct parcel *parcel = new_parcel(outlet, NULL, zmq_msg_size(frame));
    if (!parcel)
        return false;
    (void)zmq_msg_move(&parcel->frame, frame);
    atomic_fetch_add(&outlet->queued_bytes, parcel->size);
    return send_parcel(parcel, zmq_msg_data(&parcel->frame), socket, flags);
}
