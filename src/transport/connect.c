#include "transport/connect.h"

#include "base/error.h"
#include "pickstream_wire.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

static const int64_t max_frame_bytes = 64 << 20;

enum {
    HIGH_WATER_MARK = 10000,
    HEARTBEAT_MS = 5000,
    HEARTBEAT_TIMEOUT_MS = 15000,
    RECONNECT_MAX_MS = 2000,
};

static bool set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_curve(const struct ps_curve_client *curve, void *socket)
{
    char public_key[PS_CURVE_TEXT];
    return !curve->secret ||
           (zmq_curve_public(public_key, curve->secret) == 0 &&
            zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, curve->server, PS_CURVE_TEXT) == 0 &&
            zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public_key, PS_CURVE_TEXT) == 0 &&
            zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, curve->secret, PS_CURVE_TEXT) == 0);
}

static bool subscribe(void *socket, const char *topic)
{
    return zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, strlen(topic)) == 0;
}

/* Subscribes before the socket connects, so that no message is missed. */
static bool set_up(void *socket, int type)
{
    return set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_IPV6, 1) &&
           set_int(socket, ZMQ_RCVHWM, HIGH_WATER_MARK) &&
           set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
           set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) &&
           set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_frame_bytes, sizeof max_frame_bytes) == 0 &&
           (type != ZMQ_SUB ||
            (subscribe(socket, PS_WIRE_TOPIC_PICKS) && subscribe(socket, PS_WIRE_TOPIC_STATUS) &&
             subscribe(socket, PS_RELAY_TOPIC)));
}

int ps_connect_prepare(void *context, int type, const struct ps_curve_client *curve,
                       void **ret_socket, struct ps_error *error)
{
    void *socket = zmq_socket(context, type);
    if (!socket)
        return ps_fail(error, PS_E_SYSTEM, "cannot make a socket: %s", zmq_strerror(errno));
    int status = 0;
    if (!set_up(socket, type))
        status = ps_fail(error, PS_E_SYSTEM, "cannot set up a socket: %s", zmq_strerror(errno));
    else if (!set_curve(curve, socket))
        status = ps_fail(error, ps_code_of_errno(errno), "cannot use the CURVE keys: %s",
                         zmq_strerror(errno));
    if (status != 0) {
        (void)zmq_close(socket);
        return status;
    }
    *ret_socket = socket;
    return 0;
}

int ps_connect_to(void *socket, const char *endpoint, struct ps_error *error)
{
    return zmq_connect(socket, endpoint) == 0
               ? 0
               : ps_fail(error, ps_code_of_errno(errno), "cannot connect to %.200s: %s", endpoint,
                         zmq_strerror(errno));
}

int ps_connect(void *context, int type, const char *endpoint, const struct ps_curve_client *curve,
               void **ret_socket, struct ps_error *error)
{
    void *socket;
    int status = ps_connect_prepare(context, type, curve, &socket, error);
    if (status != 0)
        return status;
    status = ps_connect_to(socket, endpoint, error);
    if (status != 0)
        (void)zmq_close(socket);
    else
        *ret_socket = socket;
    return status;
}
