#include "publish/preview_sender.h"

bool ps_preview_send(struct ps_outlet *outlet, void *socket, const struct ps_preview_facts *facts,
                     struct ps_preview *preview)
{
    struct ps_frames frames = {0};
    struct ps_error error;
    const size_t size = preview->size;
    bool sent = ps_outlet_reserve(outlet, size);
    if (sent && ps_message_preview(facts, preview, &frames, &error) != 0) {
        ps_outlet_release(outlet, size);
        sent = false;
    }
    if (sent) {
        void *png = preview->png;
        preview->png = NULL;
        sent = ps_outlet_send(outlet, socket, &frames, png, size);
    }
    ps_preview_done(preview);
    return sent;
}
