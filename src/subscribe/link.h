/* The connection of a live socket, from the events of its ZeroMQ monitor: what a subscriber that
 * receives nothing waits for.
 *
 * ZeroMQ connects again by itself, except after a refused key: its session then ends. The link
 * connects again, so that a key which the service learns later is accepted.
 */
#ifndef PS_SUBSCRIBE_LINK_H
#define PS_SUBSCRIBE_LINK_H

#include "pickstream.h"

#include <stdbool.h>
#include <stdint.h>

enum ps_link_state {
    PS_LINK_CONNECTING, /* no answer to the first attempt */
    PS_LINK_UNRESOLVED, /* the name of the machine is unknown */
    PS_LINK_REFUSED,    /* nothing listens at the address */
    PS_LINK_HANDSHAKE,  /* connected; no ZeroMQ handshake yet */
    PS_LINK_FAILED,     /* the handshake failed: keys, or not ZeroMQ */
    PS_LINK_DENIED,     /* the service refuses our key */
    PS_LINK_LOST,       /* disconnected */
    PS_LINK_READY,      /* connected, no message yet */
    PS_LINK_SILENT,     /* connected, no message for several heartbeats */
    PS_LINK_HEARD,      /* messages arrive */
};

struct ps_link {
    void *monitor;        /* PAIR socket: readable when there are events */
    void *socket;         /* borrowed */
    const char *endpoint; /* borrowed */
    bool curve;           /* we use keys */
    bool attempted;       /* the attempt in progress has reached the machine */
    enum ps_link_state state;
    unsigned reported;   /* bits of the states reported since the last message */
    int64_t since_ns;    /* monotonic: when the state began */
    int64_t received_ns; /* when the last message was received */
    int64_t silence_ns;  /* without a message that make PS_LINK_SILENT */
    int64_t again_ns;    /* when to connect again; 0: ZeroMQ does */
};

/* Watches `socket` before it connects to `endpoint`. Call ps_link_close() before the socket is
 * closed, after a failure too. PS_E_SYSTEM. */
int ps_link_open(struct ps_link *link, void *context, void *socket, const char *endpoint,
                 bool curve, int64_t silence_ns, struct ps_error *error);
void ps_link_close(struct ps_link *link);

/* Takes the events of the monitor. */
void ps_link_read(struct ps_link *link, int64_t now_ns);

/* A message arrived. True if a problem had been reported. */
bool ps_link_heard(struct ps_link *link, int64_t now_ns);

/* When ps_link_report() has something to do, INT64_MAX: only after an event. */
int64_t ps_link_deadline(const struct ps_link *link);

/* Returns what the subscriber waits for, if that has lasted for a while and was not reported since
 * the last message; or NULL. */
const char *ps_link_report(struct ps_link *link, int64_t now_ns);

#endif
