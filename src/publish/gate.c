#include "publish/gate.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "publish/admission.h"
#include "publish/inflow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

enum {
    MAX_EVENTS = 1000, /* handled in one round */
    CHECK_MS = 1000,   /* between two checks of a full socket */
    SPARES = 16,
    ROOM_SHARE = 16, /* accepts again when this part of the limit, at least one, is free */
};

/* A bound socket. */
struct door {
    const char *name;
    void *socket;
    void *monitor;
    bool curve;
    int listener;     /* descriptor of ZeroMQ's listening socket; -1: not bound yet */
    bool closed;      /* requests for connections are dropped */
    int64_t until_ns; /* monotonic: stays closed until then */
    size_t max;
    _Atomic size_t open;
    int *connections; /* descriptors, `open` of `max` */
};

struct ps_gate {
    void *context;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_inflow *inflow;
    pthread_t thread;
    bool started;
    _Atomic bool stopping;
    int wake_fd;
    int spares[SPARES]; /* descriptors given up for a moment when there are no others */
    size_t count;
    struct door doors[PS_MAX_GATE_SOCKETS];
};

/* ---- connections ------------------------------------------------------------------------------
 */

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_un path;
        struct sockaddr_storage space;
    } of;
    socklen_t size;
};

static bool local_address(int fd, struct address *ret_address)
{
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->size = sizeof ret_address->of;
    return getsockname(fd, &ret_address->of.any, &ret_address->size) == 0;
}

/* The port in network order; 0: no TCP. Both families have it at the same place. */
static uint16_t port_of(const struct address *address)
{
    uint16_t port = 0;
    if (address->of.any.sa_family == AF_INET || address->of.any.sa_family == AF_INET6)
        memcpy(&port, address->of.any.sa_data, sizeof port);
    return port;
}

/* True if the descriptor is still a connection that this door accepted: ZeroMQ closes it at any
 * time, and its number can be in use for something else. */
static bool is_connection(const struct door *door, int fd)
{
    struct address own, other, peer = {.size = sizeof peer.of};
    if (!local_address(door->listener, &own) || !local_address(fd, &other) ||
        own.of.any.sa_family != other.of.any.sa_family)
        return false;
    if (own.of.any.sa_family == AF_UNIX)
        return own.size == other.size && memcmp(&own.of.path, &other.of.path, own.size) == 0 &&
               getpeername(fd, &peer.of.any, &peer.size) == 0;
    return port_of(&own) == port_of(&other) && getpeername(fd, &peer.of.any, &peer.size) == 0;
}

static size_t find(const struct door *door, int fd)
{
    size_t i = 0;
    while (i < door->open && door->connections[i] != fd)
        i++;
    return i;
}

static void forget(struct door *door, size_t number)
{
    door->connections[number] = door->connections[door->open - 1];
    door->open--;
}

/* ---- open and closed --------------------------------------------------------------------------
 */

/* Lets the kernel drop what arrives at the listening socket: requests for connections. Has no
 * effect on a socket in the file system, and none on open connections. */
static void drop_requests(const struct door *door, bool drop)
{
    struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
    const struct sock_fprog program = {.len = 1, .filter = &nothing};
    if (drop)
        (void)setsockopt(door->listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    else
        (void)setsockopt(door->listener, SOL_SOCKET, SO_DETACH_FILTER, &program, sizeof program);
}

static void close_door(struct ps_gate *gate, struct door *door, const char *reason)
{
    if (door->closed)
        return;
    drop_requests(door, true);
    door->closed = true;
    ps_log_event(gate->log, PS_LOG_WARNING, "connections_full",
                 "socket=%s connections=%zu limit=%zu reason=\"%s\"", door->name,
                 (size_t)door->open, door->max, reason);
}

static void open_door(struct ps_gate *gate, struct door *door)
{
    const size_t room = door->max / ROOM_SHARE > 0 ? door->max / ROOM_SHARE : 1;
    if (!door->closed || door->open + room > door->max || ps_clock_mono_ns() < door->until_ns)
        return;
    drop_requests(door, false);
    door->closed = false;
    ps_log_event(gate->log, PS_LOG_INFO, "connections_free", "socket=%s connections=%zu",
                 door->name, (size_t)door->open);
}

static void accepted(struct ps_gate *gate, struct door *door, int fd)
{
    if (find(door, fd) < door->open)
        return;
    if (!door->closed && door->open < door->max) {
        door->connections[door->open] = fd;
        door->open++;
    } else if (is_connection(door, fd)) {
        ps_metrics_add(gate->metrics, PS_COUNTER_REFUSED_CONNECTIONS, 1);
        (void)shutdown(fd, SHUT_RDWR);
    }
    if (door->open == door->max)
        close_door(gate, door,
                   "as many as the limit of descriptors allows (LimitNOFILE, ulimit -n)");
}

static void take_spares(struct ps_gate *gate)
{
    for (size_t i = 0; i < SPARES; i++)
        if (gate->spares[i] < 0)
            gate->spares[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void give_spares_up(struct ps_gate *gate)
{
    for (size_t i = 0; i < SPARES; i++) {
        if (gate->spares[i] >= 0)
            (void)close(gate->spares[i]);
        gate->spares[i] = -1;
    }
}

/* There is no descriptor for a connection that waits. ZeroMQ would try to accept it for ever
 * without a pause: refuses all that wait. There are several spares because every thread of the
 * process wants one now: what ZeroMQ accepts with them is refused when it reports it. */
static void refuse_waiting(struct ps_gate *gate, struct door *door)
{
    close_door(gate, door, "no descriptors are left");
    door->until_ns = ps_clock_mono_ns() + (int64_t)CHECK_MS * 1000000;
    give_spares_up(gate);
    int fd;
    while ((fd = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        ps_metrics_add(gate->metrics, PS_COUNTER_REFUSED_CONNECTIONS, 1);
        (void)close(fd);
    }
    take_spares(gate);
}

/* The listening socket does not block, as ZeroMQ is not the only one to accept from it. */
static void listening(struct door *door, int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    door->listener = flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? fd : -1;
}

static void disconnected(struct ps_gate *gate, struct door *door, int fd)
{
    const size_t number = find(door, fd);
    if (number == door->open)
        return;
    forget(door, number);
    open_door(gate, door);
}

/* ZeroMQ does not report the end of some connections. */
static void check(struct ps_gate *gate, struct door *door)
{
    for (size_t i = door->open; i-- > 0;)
        if (!is_connection(door, door->connections[i]))
            forget(door, i);
    open_door(gate, door);
}

/* Bounds the messages that have not ended. */
static void check_inflow(struct ps_gate *gate)
{
    struct ps_inflow_check all = {0};
    for (size_t i = 0; i < gate->count; i++) {
        const struct door *door = &gate->doors[i];
        for (size_t k = 0; k < door->open; k++)
            if (ps_inflow_knows(gate->inflow, door->connections[k]) ||
                is_connection(door, door->connections[k]))
                ps_inflow_check(gate->inflow, &all, door->connections[k]);
    }
    ps_inflow_check_all(gate->inflow, &all);
}

void ps_gate_heard(struct ps_gate *gate, int fd)
{
    if (gate)
        ps_inflow_heard(gate->inflow, fd);
}

/* ---- the thread -------------------------------------------------------------------------------
 */

/* Receives a frame, cut to `size`. False: none waits. */
static bool receive(void *monitor, char *ret_frame, size_t size, bool *ret_more)
{
    int more = 0;
    size_t more_size = sizeof more;
    const int length = zmq_recv(monitor, ret_frame, size - 1, ZMQ_DONTWAIT);
    if (length < 0)
        return false;
    ret_frame[(size_t)length < size ? (size_t)length : size - 1] = '\0';
    (void)zmq_getsockopt(monitor, ZMQ_RCVMORE, &more, &more_size);
    *ret_more = more != 0;
    return true;
}

/* Handles an event: its number and value, in 6 bytes, and the endpoint. False: none waits. */
static bool handle_event(struct ps_gate *gate, struct door *door)
{
    char event[16], endpoint[256] = "";
    uint16_t number;
    int32_t value;
    bool more;
    if (!receive(door->monitor, event, sizeof event, &more))
        return false;
    while (more && receive(door->monitor, endpoint, sizeof endpoint, &more))
        ;
    memcpy(&number, event, sizeof number);
    memcpy(&value, event + sizeof number, sizeof value);
    switch (number) {
    case ZMQ_EVENT_LISTENING:
        listening(door, value);
        break;
    case ZMQ_EVENT_ACCEPTED:
        accepted(gate, door, value);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        disconnected(gate, door, value);
        break;
    case ZMQ_EVENT_ACCEPT_FAILED:
        if (value == EMFILE || value == ENFILE)
            refuse_waiting(gate, door);
        break;
    default:
        if (door->curve)
            ps_admission_failed(number == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL, endpoint, gate->log,
                                gate->metrics);
    }
    return true;
}

static void *guard(void *context)
{
    struct ps_gate *gate = context;
    while (!atomic_load(&gate->stopping)) {
        zmq_pollitem_t items[PS_MAX_GATE_SOCKETS + 1] = {
            {.fd = gate->wake_fd, .events = ZMQ_POLLIN}};
        bool closed = false;
        size_t open = 0;
        for (size_t i = 0; i < gate->count; i++) {
            closed |= gate->doors[i].closed;
            items[i + 1] = (zmq_pollitem_t){.socket = gate->doors[i].monitor, .events = ZMQ_POLLIN};
            open += gate->doors[i].open;
        }
        ps_metrics_set(gate->metrics, PS_GAUGE_CONNECTIONS, (int64_t)open);
        const int wait_ms = open ? PS_INFLOW_CHECK_MS : closed ? CHECK_MS : -1;
        (void)zmq_poll(items, (int)gate->count + 1, wait_ms);
        for (size_t i = 0; i < gate->count; i++) {
            struct door *door = &gate->doors[i];
            for (int k = 0; k < MAX_EVENTS && handle_event(gate, door); k++)
                ;
            if (door->closed)
                check(gate, door);
        }
        check_inflow(gate);
        take_spares(gate);
    }
    return NULL;
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

int ps_gate_new(void *context, struct ps_log *log, struct ps_metrics *metrics,
                struct ps_gate **ret_gate, struct ps_error *error)
{
    struct ps_gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return ps_fail_memory(error, sizeof *gate, "connections");
    gate->context = context;
    gate->log = log;
    gate->metrics = metrics;
    gate->inflow = ps_inflow_new(log, metrics);
    if (!gate->inflow) {
        free(gate);
        return ps_fail_memory(error, sizeof *gate, "connections");
    }
    gate->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (gate->wake_fd < 0) {
        int number = errno;
        ps_inflow_free(gate->inflow);
        free(gate);
        return ps_fail(error, PS_E_SYSTEM, "cannot make an eventfd: %s", strerror(number));
    }
    for (size_t i = 0; i < SPARES; i++)
        gate->spares[i] = -1;
    take_spares(gate);
    *ret_gate = gate;
    return 0;
}

int ps_gate_add(struct ps_gate *gate, void *socket, const char *name, size_t max, bool curve,
                struct ps_error *error)
{
    struct door *door = &gate->doors[gate->count];
    char address[64];
    *door =
        (struct door){.name = name, .socket = socket, .curve = curve, .listener = -1, .max = max};
    door->connections = calloc(max, sizeof *door->connections);
    if (!door->connections)
        return ps_fail_memory(error, max * sizeof *door->connections, "connections");
    gate->count++;
    (void)snprintf(address, sizeof address, "inproc://monitor-%s", name);
    int events =
        ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_ACCEPT_FAILED;
    if (curve)
        events |= ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
    if (zmq_socket_monitor(socket, address, events) != 0 ||
        !(door->monitor = zmq_socket(gate->context, ZMQ_PAIR)) ||
        zmq_connect(door->monitor, address) != 0)
        return ps_fail(error, PS_E_SYSTEM, "ZeroMQ: cannot make a monitor: %s",
                       zmq_strerror(zmq_errno()));
    return 0;
}

int ps_gate_start(struct ps_gate *gate, struct ps_error *error)
{
    int status =
        ps_thread_start(&gate->thread, "ps-gate", "the thread of connections", guard, gate, error);
    gate->started = status == 0;
    return status;
}

void ps_gate_free(struct ps_gate *gate)
{
    if (!gate)
        return;
    atomic_store(&gate->stopping, true);
    (void)eventfd_write(gate->wake_fd, 1);
    if (gate->started)
        (void)pthread_join(gate->thread, NULL);
    for (size_t i = 0; i < gate->count; i++) {
        (void)zmq_socket_monitor(gate->doors[i].socket, NULL, 0);
        if (gate->doors[i].monitor)
            (void)zmq_close(gate->doors[i].monitor);
        free(gate->doors[i].connections);
    }
    give_spares_up(gate);
    ps_inflow_free(gate->inflow);
    (void)close(gate->wake_fd);
    free(gate);
}

size_t ps_gate_status(struct ps_gate *gate, struct ps_gate_status ret_items[PS_MAX_GATE_SOCKETS])
{
    for (size_t i = 0; i < gate->count; i++)
        ret_items[i] = (struct ps_gate_status){
            .name = gate->doors[i].name,
            .open = gate->doors[i].open,
            .limit = gate->doors[i].max,
        };
    return gate->count;
}
