#include "publish/admission.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* Frames of a ZAP request after the envelope, which REP removes. */
enum { VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, FRAMES };
enum { MAX_FRAME_BYTES = 256, MAX_AT_ONCE = 100 };

struct request {
    char frame[FRAMES][MAX_FRAME_BYTES]; /* each ends with a 0 byte */
    size_t size[FRAMES];
    size_t count;
};

/* Receives all frames of a message; cuts surplus frames and long ones. False: no message waits. */
static bool receive(void *socket, struct request *ret_request)
{
    int more = 1;
    size_t size = sizeof more;
    *ret_request = (struct request){0};
    for (size_t i = 0; more; i++) {
        char rest[MAX_FRAME_BYTES];
        bool keep = i < FRAMES;
        int length = zmq_recv(socket, keep ? ret_request->frame[i] : rest, MAX_FRAME_BYTES - 1,
                              ZMQ_DONTWAIT);
        if (length < 0)
            return false;
        if (keep)
            ret_request->size[i] = length < MAX_FRAME_BYTES ? (size_t)length : MAX_FRAME_BYTES - 1;
        ret_request->count = i + 1;
        (void)zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    }
    return true;
}

static void answer(void *zap, const struct request *request, bool accepted)
{
    const char *frames[] = {
        "1.0",
        NULL, /* number of the request */
        accepted ? "200" : "400",
        accepted ? "OK" : "not in the list of clients",
        "", /* user */
        "", /* metadata */
    };
    enum { COUNT = sizeof frames / sizeof *frames };
    for (int i = 0; i < COUNT; i++) {
        int flags = ZMQ_DONTWAIT | (i + 1 < COUNT ? ZMQ_SNDMORE : 0);
        if (frames[i])
            (void)zmq_send(zap, frames[i], strlen(frames[i]), flags);
        else
            (void)zmq_send(zap, request->frame[REQUEST], request->size[REQUEST], flags);
    }
}

void ps_admission_answer(void *zap, const struct ps_curve_keys *allowed, struct ps_log *log,
                         struct ps_metrics *metrics)
{
    struct request request;
    for (int i = 0; i < MAX_AT_ONCE && receive(zap, &request); i++) {
        char address[PS_LOG_TEXT];
        char key[PS_CURVE_TEXT] = "-";
        const uint8_t *bytes = (const uint8_t *)request.frame[CREDENTIALS];
        bool curve = request.count == FRAMES && strcmp(request.frame[MECHANISM], "CURVE") == 0 &&
                     request.size[CREDENTIALS] == PS_CURVE_BYTES;
        bool accepted = curve && ps_curve_keys_have(allowed, bytes);
        answer(zap, &request, accepted);
        if (curve)
            (void)zmq_z85_encode(key, bytes, PS_CURVE_BYTES);
        (void)ps_log_quote(request.frame[ADDRESS], address);
        if (accepted) {
            ps_log_event(log, PS_LOG_DEBUG, "client_accepted", "address=%s key=%s", address, key);
            continue;
        }
        ps_metrics_add(metrics, PS_COUNTER_REFUSED_CLIENTS, 1);
        ps_log_event(log, PS_LOG_WARNING, "client_refused",
                     "address=%s key=%s reason=\"not in publish.curve_clients\"", address, key);
    }
}

/* Refusals by the list cause no such event; they are counted in ps_admission_answer(). A client
 * without CURVE can notice the failure first and disconnect: that is the event without detail. */
void ps_admission_failed(bool protocol, const char *endpoint, struct ps_log *log,
                         struct ps_metrics *metrics)
{
    char quoted[PS_LOG_TEXT];
    ps_metrics_add(metrics, PS_COUNTER_REFUSED_CLIENTS, 1);
    ps_log_event(log, PS_LOG_WARNING, "client_refused", "endpoint=%s reason=\"%s\"",
                 ps_log_quote(endpoint, quoted),
                 protocol ? "does not speak CURVE, or has another server key"
                          : "went away during the handshake");
}
