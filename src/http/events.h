/* Server-sent events (HTML Living Standard, 9.2) for every open live view.
 *
 *     event: outcome   id: SEQ   data: the summary of an outcome, as in /api/micrographs
 *     event: status              data: the header of a status message; after outcomes, and every
 *                                PS_HTTP_STATUS_SECONDS, which also detects dead connections
 *
 * A viewer is a position in the journal and the text that is being sent to it; without anything to
 * send its connection is suspended. So a slow viewer needs no memory and misses nothing: a browser
 * that lost the connection connects again with the last id that it received.
 */
#ifndef PS_HTTP_EVENTS_H
#define PS_HTTP_EVENTS_H

#include <microhttpd.h>
#include <stdint.h>

enum { PS_HTTP_STATUS_SECONDS = 3 };

struct ps_http;

/* Answers a request for events; the answer has no end. */
enum MHD_Result ps_http_events(struct ps_http *http, struct MHD_Connection *connection);

/* Resumes the connections of viewers that have something to send. Returns the time of the next call
 * (monotonic ns); INT64_MAX: after the next event. */
int64_t ps_http_events_proceed(struct ps_http *http);

#endif
