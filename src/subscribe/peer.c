#include "subscribe/peer.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

int ps_peer_open_replay(const struct ps_peer *peer, struct ps_stream_cursor *cursor,
                        struct ps_error *error)
{
    if (cursor->replay)
        (void)zmq_close(cursor->replay);
    cursor->replay = NULL;
    return ps_connect(peer->context, ZMQ_DEALER, peer->address.replay_endpoint, &peer->curve,
                      &cursor->replay, error);
}

static void cursor_free(struct ps_stream_cursor *cursor)
{
    if (!cursor)
        return;
    if (cursor->replay)
        (void)zmq_close(cursor->replay);
    ps_reorder_free(cursor->reorder);
    free(cursor);
}

/* Adds a cursor; the first message it receives sets its stream. */
static int add_cursor(struct ps_peer *peer, struct ps_stream_cursor **ret_cursor,
                      struct ps_error *error)
{
    void *cursors = realloc(peer->cursors, (peer->cursor_count + 1) * sizeof *peer->cursors);
    struct ps_stream_cursor *cursor = calloc(1, sizeof *cursor);
    if (cursors)
        peer->cursors = cursors;
    if (cursor)
        cursor->reorder = ps_reorder_new(&peer->order, ps_clock_mono_ns());
    int status = cursors && cursor && cursor->reorder ? ps_peer_open_replay(peer, cursor, error)
                                                      : ps_fail_memory(error, 1 << 18, "a stream");
    if (status) {
        cursor_free(cursor);
        return status;
    }
    peer->cursors[peer->cursor_count++] = cursor;
    *ret_cursor = cursor;
    return 0;
}

int ps_peer_open(struct ps_peer *peer, struct ps_error *error)
{
    struct ps_stream_cursor *cursor;
    int status = ps_connect_prepare(peer->context, ZMQ_SUB, &peer->curve, &peer->live, error);
    /* Before it connects, so that no event is missed. */
    if (status == 0)
        status = ps_link_open(&peer->link, peer->context, peer->live, peer->address.endpoint,
                              peer->curve.secret, PS_SILENT_HEARTBEATS * peer->order.heartbeat_ns,
                              error);
    if (status == 0)
        status = ps_connect_to(peer->live, peer->address.endpoint, error);
    return status ? status : add_cursor(peer, &cursor, error);
}

void ps_peer_done(struct ps_peer *peer)
{
    for (size_t i = 0; i < peer->cursor_count; i++)
        cursor_free(peer->cursors[i]);
    free(peer->cursors);
    ps_link_close(&peer->link);
    if (peer->live)
        (void)zmq_close(peer->live);
    *peer = (struct ps_peer){0};
}

int ps_peer_cursor(struct ps_peer *peer, const char *stream, struct ps_stream_cursor **ret_cursor,
                   struct ps_error *error)
{
    struct ps_stream_cursor *found = NULL;
    for (size_t i = 0; i < peer->cursor_count && !found; i++) {
        struct ps_stream_cursor *cursor = peer->cursors[i];
        if (!peer->relay || strcmp(ps_reorder_stream(cursor->reorder), stream) == 0)
            found = cursor;
    }
    *ret_cursor = found;
    return found || peer->cursor_count == PS_SUBSCRIBER_STREAMS
               ? 0
               : add_cursor(peer, ret_cursor, error);
}

void ps_peer_become_relay(struct ps_peer *peer)
{
    if (!peer->relay && peer->cursor_count == 1 && !*ps_reorder_stream(peer->cursors[0]->reorder)) {
        cursor_free(peer->cursors[0]);
        peer->cursor_count = 0;
    }
    peer->relay = true;
}
