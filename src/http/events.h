/* Server-sent events: what happens, told to every open live view (HTML Living Standard, 9.2).
 *
 *     event: outcome   id: SEQ   data: an outcome in short, as /api/micrographs has it
 *     event: status              data: the header of a status message; after outcomes, and every
 *                                PS_HTTP_STATUS_SECONDS, which also tells whether the viewer lives
 *
 * A viewer is a position in the journal and the text that is being sent to it; when there is
 * nothing to send its connection is suspended. So a slow one costs no memory, and misses nothing: a
 * browser that lost the connection comes again with the last id it saw.
 */
#ifndef PS_HTTP_EVENTS_H
#define PS_HTTP_EVENTS_H

#include <microhttpd.h>
#include <stdint.h>

enum { PS_HTTP_STATUS_SECONDS = 3 };

struct ps_http;

/* Answers a request for events, which has no end. */
enum MHD_Result ps_http_events(struct ps_http *http, struct MHD_Connection *connection);

/* Wakes viewers that have something to send. Returns when to call it again at the latest, monotonic
 * ns; INT64_MAX: when something happens. */
int64_t ps_http_events_proceed(struct ps_http *http);

#endif
