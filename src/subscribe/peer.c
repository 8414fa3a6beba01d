#include "subscribe/peer.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

int ps_peer_open_replay(const struct ps_peer *peer, struct ps_line *line, struct ps_error *error)
{
    if (line->replay)
        (void)zmq_close(line->replay);
    line->replay = NULL;
    return ps_connect(peer->context, ZMQ_DEALER, peer->address.replay_endpoint, &peer->curve,
                      &line->replay, error);
}

static void line_free(struct ps_line *line)
{
    if (!line)
        return;
    if (line->replay)
        (void)zmq_close(line->replay);
    ps_sequence_free(line->sequence);
    free(line);
}

/* Begins a stream: that of whatever it is told first. */
static int add_line(struct ps_peer *peer, struct ps_line **ret_line, struct ps_error *error)
{
    void *lines = realloc(peer->lines, (peer->line_count + 1) * sizeof *peer->lines);
    struct ps_line *line = calloc(1, sizeof *line);
    if (lines)
        peer->lines = lines;
    if (line)
        line->sequence = ps_sequence_new(&peer->order, ps_clock_mono_ns());
    int status = lines && line && line->sequence ? ps_peer_open_replay(peer, line, error)
                                                 : ps_fail_memory(error, 1 << 18, "a stream");
    if (status) {
        line_free(line);
        return status;
    }
    peer->lines[peer->line_count++] = line;
    *ret_line = line;
    return 0;
}

int ps_peer_open(struct ps_peer *peer, struct ps_error *error)
{
    struct ps_line *line;
    peer->heard_ns = ps_clock_mono_ns();
    int status = ps_connect(peer->context, ZMQ_SUB, peer->address.endpoint, &peer->curve,
                            &peer->live, error);
    return status ? status : add_line(peer, &line, error);
}

void ps_peer_done(struct ps_peer *peer)
{
    for (size_t i = 0; i < peer->line_count; i++)
        line_free(peer->lines[i]);
    free(peer->lines);
    if (peer->live)
        (void)zmq_close(peer->live);
    *peer = (struct ps_peer){0};
}

int ps_peer_line(struct ps_peer *peer, const char *stream, struct ps_line **ret_line,
                 struct ps_error *error)
{
    struct ps_line *found = NULL;
    for (size_t i = 0; i < peer->line_count && !found; i++) {
        struct ps_line *line = peer->lines[i];
        if (!peer->relay || strcmp(ps_sequence_stream(line->sequence), stream) == 0)
            found = line;
    }
    *ret_line = found;
    return found || peer->line_count == PS_SUBSCRIBER_STREAMS ? 0 : add_line(peer, ret_line, error);
}

void ps_peer_become_relay(struct ps_peer *peer)
{
    if (!peer->relay && peer->line_count == 1 && !*ps_sequence_stream(peer->lines[0]->sequence)) {
        line_free(peer->lines[0]);
        peer->line_count = 0;
    }
    peer->relay = true;
}
