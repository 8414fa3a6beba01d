#include "publish/sockets.h"

#include "base/descriptors.h"
#include "base/error.h"
#include "transport/connect.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum {
    LINGER_MS = 1000,
    PING_MS = 10000,
    PING_TIMEOUT_MS = 30000,
    /* Limits of a frame that is received. A subscription has a topic, and the handshake of CURVE a
     * few hundred bytes; a request can have a list of paths. */
    MAX_SUBSCRIPTION_BYTES = 1 << 10,
    MAX_REQUEST_BYTES = 1 << 20,
    /* Of messages from a client that wait: ZeroMQ reads all of them at once, and a client that
     * exceeds its limits (subscriptions.h) is noticed after them. It does not limit the frames of a
     * message: inflow.h does. */
    SUBSCRIPTIONS_HIGH_WATER_MARK = 100,
    REQUESTS_HIGH_WATER_MARK = 2,
    RECEIVE_BUFFER_BYTES = 32 << 10,
    /* Messages queued for a client of a ROUTER; a replay waits when the queue is full. */
    REPLAY_HIGH_WATER_MARK = 32,
};

static const char endpoint_key[] = "publish.endpoint";
static const char replay_key[] = "publish.replay_endpoint";

/* Treats NULL as "". */
static const char *text_or_empty(const char *value)
{
    return value ? value : "";
}

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

/* Creates a socket with the options that all of them share. */
static void *make_socket(void *context, int type, int high_water_mark, int64_t largest_bytes)
{
    const int receive_high_water_mark =
        type == ZMQ_XPUB ? SUBSCRIPTIONS_HIGH_WATER_MARK : REQUESTS_HIGH_WATER_MARK;
    void *socket = zmq_socket(context, type);
    if (!socket)
        return NULL;
    int failed = set_int(socket, ZMQ_SNDHWM, high_water_mark) |
                 set_int(socket, ZMQ_RCVHWM, receive_high_water_mark) |
                 set_int(socket, ZMQ_RCVBUF, RECEIVE_BUFFER_BYTES) |
                 set_int(socket, ZMQ_LINGER, LINGER_MS) | set_int(socket, ZMQ_TCP_KEEPALIVE, 1) |
                 set_int(socket, ZMQ_HEARTBEAT_IVL, PING_MS) |
                 set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, PING_TIMEOUT_MS) |
                 zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest_bytes, sizeof largest_bytes);
    if (type == ZMQ_XPUB)
        failed |= set_int(socket, ZMQ_XPUB_VERBOSER, 1) |
                  /* Refuses ZMTP before 3.0, whose messages do not tell their connection. */
                  zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "pickstream", strlen("pickstream"));
    if (type == ZMQ_ROUTER)
        failed |= set_int(socket, ZMQ_ROUTER_MANDATORY, 1);
    if (failed) {
        (void)zmq_close(socket);
        return NULL;
    }
    return socket;
}

static int make_sockets(const struct ps_config *config, enum ps_sockets_user user,
                        struct ps_sockets *sockets, struct ps_error *error)
{
    enum { DESCRIPTORS = 32 }; /* of a context, sockets, monitors, and what binds them */
    bool relay = user == PS_SOCKETS_RELAY;
    if (ps_descriptors_check(DESCRIPTORS, error))
        return PS_E_SYSTEM;
    sockets->context = zmq_ctx_new();
    if (!sockets->context)
        return ps_fail(error, PS_E_SYSTEM, "ZeroMQ: %s", zmq_strerror(zmq_errno()));
    sockets->publish = make_socket(sockets->context, ZMQ_XPUB, config->publish.high_water_mark,
                                   MAX_SUBSCRIPTION_BYTES);
    sockets->replay =
        make_socket(sockets->context, ZMQ_ROUTER, REPLAY_HIGH_WATER_MARK, MAX_REQUEST_BYTES);
    if (!relay)
        sockets->control =
            make_socket(sockets->context, ZMQ_ROUTER, REPLAY_HIGH_WATER_MARK, MAX_REQUEST_BYTES);
    if (!sockets->publish || !sockets->replay || (!relay && !sockets->control) ||
        (relay && zmq_setsockopt(sockets->publish, ZMQ_XPUB_WELCOME_MSG, PS_RELAY_TOPIC,
                                 strlen(PS_RELAY_TOPIC)) != 0))
        return ps_fail(error, PS_E_SYSTEM, "ZeroMQ: cannot make a socket: %s",
                       zmq_strerror(zmq_errno()));
    return 0;
}

/* ---- CURVE ------------------------------------------------------------------------------------
 */

static void warn(struct ps_log *log, const char *event, const char *value, const char *reason)
{
    char quoted[PS_LOG_TEXT];
    ps_log_event(log, PS_LOG_WARNING, event, "value=%s reason=\"%s\"", ps_log_quote(value, quoted),
                 reason);
}

static int read_keys(const struct ps_config *config, struct ps_log *log, struct ps_sockets *sockets,
                     char ret_key[PS_CURVE_TEXT], struct ps_error *error)
{
    const char *secret = text_or_empty(config->publish.curve_secret_key);
    const char *clients = text_or_empty(config->publish.curve_clients);
    struct stat info;
    int status = ps_curve_read_key(secret, ret_key, error);
    if (status)
        return ps_fail_prefix(error, "publish.curve_secret_key");
    if (stat(secret, &info) == 0 && (info.st_mode & (S_IROTH | S_IWOTH)))
        warn(log, "secret_key_not_secret", secret, "other users can read it: run chmod o= on it");
    if (!*clients) {
        warn(log, "no_clients", secret, "publish.curve_clients is not set: all are refused");
        return 0;
    }
    if (ps_curve_read_keys(clients, &sockets->allowed, error))
        return ps_fail_prefix(error, "publish.curve_clients");
    if (sockets->allowed.count == 0)
        warn(log, "no_clients", clients, "no keys in it: all clients are refused");
    return 0;
}

/* Makes `socket` a CURVE server with this key. */
static int secure(void *socket, const char *secret, struct ps_error *error)
{
    if (set_int(socket, ZMQ_CURVE_SERVER, 1) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, PS_CURVE_TEXT) != 0)
        return ps_fail(error, PS_E_SYSTEM, "publish.curve_secret_key: %s",
                       zmq_strerror(zmq_errno()));
    return 0;
}

/* The handler of authentication requests must be bound before the first endpoint. */
static int bind_handler(struct ps_sockets *sockets, struct ps_error *error)
{
    sockets->zap = zmq_socket(sockets->context, ZMQ_REP);
    if (!sockets->zap || set_int(sockets->zap, ZMQ_LINGER, 0) != 0 ||
        zmq_bind(sockets->zap, "inproc://zeromq.zap.01") != 0)
        return ps_fail(error, PS_E_SYSTEM, "ZeroMQ: cannot make the handler of clients: %s",
                       zmq_strerror(zmq_errno()));
    return 0;
}

static int use_curve(const struct ps_config *config, struct ps_log *log, struct ps_sockets *sockets,
                     struct ps_error *error)
{
    char secret[PS_CURVE_TEXT];
    if (!*text_or_empty(config->publish.curve_secret_key)) {
        if (*text_or_empty(config->publish.curve_clients))
            return ps_fail(error, PS_E_CONFIG,
                           "publish.curve_clients = %s: needs publish.curve_secret_key too",
                           config->publish.curve_clients);
        return 0;
    }
    if (!zmq_has("curve"))
        return ps_fail(error, PS_E_CONFIG,
                       "publish.curve_secret_key: this ZeroMQ was built without CURVE");
    int status = read_keys(config, log, sockets, secret, error);
    if (status == 0)
        status = bind_handler(sockets, error);
    if (status == 0)
        status = secure(sockets->publish, secret, error);
    if (status == 0)
        status = secure(sockets->replay, secret, error);
    explicit_bzero(secret, sizeof secret);
    return status;
}

/* ---- endpoints --------------------------------------------------------------------------------
 */

static int check_endpoint(const struct ps_config *config, struct ps_log *log, const char *key,
                          const char *endpoint, struct ps_error *error)
{
    int status = ps_endpoint_check(key, endpoint, error);
    if (status || ps_endpoint_is_local(endpoint) ||
        *text_or_empty(config->publish.curve_secret_key))
        return status;
    if (!config->publish.insecure_bind)
        return ps_fail(error, PS_E_CONFIG,
                       "%s = %s: reaches beyond this machine, which needs "
                       "publish.curve_secret_key (pickstream keygen), or publish.insecure_bind = "
                       "yes",
                       key, endpoint);
    warn(log, "insecure_bind", endpoint, "everyone who can reach it can read it");
    return 0;
}

static int bind_control(const struct ps_config *config, struct ps_sockets *sockets,
                        struct ps_error *error)
{
    const char *directory = text_or_empty(config->service.state_directory);
    char path[PS_ENDPOINT_PATH + 2];
    char endpoint[PS_ENDPOINT_TEXT];
    int length = snprintf(path, sizeof path, "%s/control.sock", directory);
    if (length < 0 || length > PS_ENDPOINT_PATH)
        return ps_fail(error, PS_E_CONFIG,
                       "service.state_directory = %s: too long: %s/control.sock has %d bytes, and "
                       "the path of a socket %d at most",
                       directory, directory, length, PS_ENDPOINT_PATH);
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    if (zmq_bind(sockets->control, endpoint) != 0)
        return ps_fail(error, PS_E_SYSTEM, "%s: cannot bind: %s", path, zmq_strerror(zmq_errno()));
    return 0;
}

/* Bounds the connections of each socket; before the first endpoint is bound. */
static int guard(struct ps_log *log, struct ps_metrics *metrics, struct ps_sockets *sockets,
                 struct ps_error *error)
{
    enum { PUBLISH_EIGHTHS = 4, REPLAY_EIGHTHS = 3, CONTROL_EIGHTHS = 1 };
    const bool curve = sockets->zap != NULL;
    int status = ps_gate_new(sockets->context, log, metrics, &sockets->gate, error);
    if (status == 0)
        status = ps_gate_add(sockets->gate, sockets->publish, "publish",
                             ps_descriptors_for_socket(PUBLISH_EIGHTHS), curve, error);
    if (status == 0)
        status = ps_gate_add(sockets->gate, sockets->replay, "replay",
                             ps_descriptors_for_socket(REPLAY_EIGHTHS), curve, error);
    if (status == 0 && sockets->control)
        status = ps_gate_add(sockets->gate, sockets->control, "control",
                             ps_descriptors_for_socket(CONTROL_EIGHTHS), false, error);
    return status ? status : ps_gate_start(sockets->gate, error);
}

static int open_all(const struct ps_config *config, enum ps_sockets_user user, struct ps_log *log,
                    struct ps_metrics *metrics, struct ps_sockets *sockets, struct ps_error *error)
{
    const char *publish = text_or_empty(config->publish.endpoint);
    const char *replay = text_or_empty(config->publish.replay_endpoint);
    int status = check_endpoint(config, log, endpoint_key, publish, error);
    if (status == 0)
        status = check_endpoint(config, log, replay_key, replay, error);
    if (status == 0)
        status = make_sockets(config, user, sockets, error);
    if (status == 0)
        status = use_curve(config, log, sockets, error);
    if (status == 0)
        status = guard(log, metrics, sockets, error);
    if (status == 0 && sockets->control)
        status = bind_control(config, sockets, error);
    if (status == 0)
        status = ps_endpoint_bind(endpoint_key, publish, sockets->publish, &sockets->locks[0],
                                  sockets->publish_endpoint, error);
    if (status == 0)
        status = ps_endpoint_bind(replay_key, replay, sockets->replay, &sockets->locks[1],
                                  sockets->replay_endpoint, error);
    return status;
}

int ps_sockets_open(const struct ps_config *config, enum ps_sockets_user user, struct ps_log *log,
                    struct ps_metrics *metrics, struct ps_sockets *ret_sockets,
                    struct ps_error *error)
{
    struct ps_sockets sockets = {.locks = {-1, -1}};
    int status = open_all(config, user, log, metrics, &sockets, error);
    if (status)
        ps_sockets_close(&sockets);
    else
        *ret_sockets = sockets;
    return status;
}

void ps_sockets_close(struct ps_sockets *sockets)
{
    if (!sockets->context)
        return;
    void *const all[] = {sockets->control, sockets->replay, sockets->publish, sockets->zap};
    ps_gate_free(sockets->gate);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i])
            (void)zmq_close(all[i]);
    }
    (void)zmq_ctx_term(sockets->context);
    for (int i = 0; i < PS_PUBLIC_ENDPOINTS; i++) {
        if (sockets->locks[i] >= 0)
            (void)close(sockets->locks[i]);
    }
    ps_curve_keys_done(&sockets->allowed);
    *sockets = (struct ps_sockets){0};
}
