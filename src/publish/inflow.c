#include "publish/inflow.h"

#include "base/clock.h"
#include "publish/connection.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Of ZeroMQ's heartbeats, encrypted too, which are no messages. */
enum { HEARTBEAT_BYTES_PER_SECOND = 64 };

/* A connection; its place in the table is its descriptor. */
struct connection {
    uint64_t cookie; /* 0: no connection */
    uint64_t heard;  /* bytes that had arrived at the last whole message */
    int64_t heard_ns;
    bool ended;
};

struct ps_inflow {
    struct ps_log *log;
    struct ps_metrics *metrics;
    pthread_mutex_t lock; /* guards the table */
    struct connection *connections;
    size_t capacity;
};

struct ps_inflow *ps_inflow_new(struct ps_log *log, struct ps_metrics *metrics)
{
    struct ps_inflow *inflow = calloc(1, sizeof *inflow);
    if (!inflow)
        return NULL;
    inflow->log = log;
    inflow->metrics = metrics;
    (void)pthread_mutex_init(&inflow->lock, NULL);
    return inflow;
}

void ps_inflow_free(struct ps_inflow *inflow)
{
    if (!inflow)
        return;
    (void)pthread_mutex_destroy(&inflow->lock);
    free(inflow->connections);
    free(inflow);
}

/* Bytes that have arrived at a TCP connection; 0 for another kind of socket. */
static uint64_t arrived(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

/* The connection behind a descriptor; NULL: it has ended, or there is no memory. */
static struct connection *find(struct ps_inflow *inflow, int fd)
{
    const uint64_t cookie = fd >= 0 ? ps_connection_cookie(fd) : 0;
    if (!cookie)
        return NULL;
    const size_t number = (size_t)fd;
    if (number >= inflow->capacity) {
        const size_t capacity = 2 * number + 16;
        struct connection *grown =
            realloc(inflow->connections, capacity * sizeof *inflow->connections);
        if (!grown)
            return NULL;
        memset(grown + inflow->capacity, 0, (capacity - inflow->capacity) * sizeof *grown);
        inflow->connections = grown;
        inflow->capacity = capacity;
    }
    struct connection *connection = &inflow->connections[number];
    if (connection->cookie != cookie)
        *connection = (struct connection){.cookie = cookie, .heard_ns = ps_clock_mono_ns()};
    return connection;
}

void ps_inflow_heard(struct ps_inflow *inflow, int fd)
{
    (void)pthread_mutex_lock(&inflow->lock);
    struct connection *connection = find(inflow, fd);
    if (connection) {
        connection->heard = arrived(fd);
        connection->heard_ns = ps_clock_mono_ns();
    }
    (void)pthread_mutex_unlock(&inflow->lock);
}

bool ps_inflow_knows(struct ps_inflow *inflow, int fd)
{
    (void)pthread_mutex_lock(&inflow->lock);
    const bool known = (size_t)fd < inflow->capacity && inflow->connections[fd].cookie &&
                       inflow->connections[fd].cookie == ps_connection_cookie(fd);
    (void)pthread_mutex_unlock(&inflow->lock);
    return known;
}

static void end(const struct ps_inflow *inflow, struct connection *connection, const char *reason)
{
    if (connection->ended)
        return;
    connection->ended = true;
    ps_connection_end((int)(connection - inflow->connections), connection->cookie, reason,
                      inflow->log, inflow->metrics);
}

void ps_inflow_check(struct ps_inflow *inflow, struct ps_inflow_check *check, int fd)
{
    (void)pthread_mutex_lock(&inflow->lock);
    struct connection *connection = find(inflow, fd);
    if (connection && !connection->ended) {
        const int64_t quiet_ns = ps_clock_mono_ns() - connection->heard_ns;
        const uint64_t allowed =
            (uint64_t)(quiet_ns / 1000000000 * HEARTBEAT_BYTES_PER_SECOND) + connection->heard;
        const uint64_t now = arrived(fd);
        const uint64_t bytes = now > allowed ? now - allowed : 0;
        check->bytes += bytes;
        if (bytes > check->most) {
            check->most = bytes;
            check->fd = fd;
        }
        if (bytes > PS_MAX_INFLOW_BYTES)
            end(inflow, connection, "too long a message");
    }
    (void)pthread_mutex_unlock(&inflow->lock);
}

void ps_inflow_check_all(struct ps_inflow *inflow, const struct ps_inflow_check *check)
{
    if (check->bytes <= PS_MAX_INFLOW_IN_ALL)
        return;
    (void)pthread_mutex_lock(&inflow->lock);
    struct connection *connection = find(inflow, check->fd);
    if (connection)
        end(inflow, connection,
            "too many bytes of messages without an end of all clients, of which it has the most");
    (void)pthread_mutex_unlock(&inflow->lock);
}
