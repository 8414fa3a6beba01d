/* Admission of clients: answers ZeroMQ's authentication requests (ZAP, RFC 27) from an allow-list.
 *
 * CURVE alone encrypts but accepts every client, so a handler is bound wherever CURVE is used;
 * without an allow-list it refuses all clients. Every refusal is counted and logged, including
 * those that ZeroMQ makes itself (clients that do not speak CURVE or have another server key),
 * which the socket monitors report (gate.h). Some clients retry without end; the log limits
 * repeated lines.
 */
#ifndef PS_PUBLISH_ADMISSION_H
#define PS_PUBLISH_ADMISSION_H

#include "base/log.h"
#include "base/metrics.h"
#include "transport/curve.h"

/* Answers the waiting requests of `zap`, a REP socket bound to inproc://zeromq.zap.01. */
void ps_admission_answer(void *zap, const struct ps_curve_keys *allowed, struct ps_log *log,
                         struct ps_metrics *metrics);

/* A handshake failed: counts and logs it. `protocol`: the client speaks another protocol; else it
 * has disconnected. Any thread. */
void ps_admission_failed(bool protocol, const char *endpoint, struct ps_log *log,
                         struct ps_metrics *metrics);

#endif
