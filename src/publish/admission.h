/* Who may connect: ZeroMQ's authentication requests (ZAP, RFC 27) answered from an allow-list.
 *
 * CURVE alone encrypts and lets everybody in, so a handler is bound wherever CURVE is used; without
 * an allow-list it refuses all. Every refusal is counted and logged, also those that ZeroMQ makes
 * itself: clients that do not speak CURVE, or have another service's public key, which the monitors
 * of the sockets tell. Some try again for ever; the log limits repeated lines.
 */
#ifndef PS_PUBLISH_ADMISSION_H
#define PS_PUBLISH_ADMISSION_H

#include "base/log.h"
#include "base/metrics.h"
#include "transport/curve.h"

/* Answers requests that wait at `zap`, a REP socket bound to inproc://zeromq.zap.01. */
void ps_admission_answer(void *zap, const struct ps_curve_keys *allowed, struct ps_log *log,
                         struct ps_metrics *metrics);

/* Starts to watch a bound socket for handshakes that fail; `name` makes its address unique. The
 * monitor, or NULL. */
void *ps_admission_monitor(void *context, void *socket, const char *name);

/* Takes what a monitor has to tell. */
void ps_admission_watch(void *monitor, struct ps_log *log, struct ps_metrics *metrics);

#endif
