/* The thread of the live view.
 *
 * Invariants:
 *   1. After the start only this thread calls libmicrohttpd and uses `journal`; other threads only
 *      set `last_seq` or `stopping` and then wake it.
 *   2. It waits only in wait_for_events(), without a timeout if there is no connection.
 *   3. Every connection has a peer with a deadline, after which it is shut down. Viewers of /events
 *      have no deadline: they must accept what is sent within PS_HTTP_IDLE_SECONDS.
 */
#include "http/http.h"

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/thread.h"
#include "http/answer.h"
#include "http/events.h"
#include "http/internal.h"
#include "http/routes.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;

/* ---- connections ------------------------------------------------------------------------------
 */

static void set_deadline(struct ps_http_peer *peer)
{
    peer->deadline_ns = ps_clock_mono_ns() + PS_HTTP_SECONDS * second_ns;
}

static void peer_joined(struct ps_http *http, struct MHD_Connection *connection, void **ret_peer)
{
    struct ps_http_peer *peer = calloc(1, sizeof *peer);
    *ret_peer = peer;
    if (!peer)
        return; /* libmicrohttpd's own limits remain */
    peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    set_deadline(peer);
    peer->next = http->peers;
    if (peer->next)
        peer->next->before = peer;
    http->peers = peer;
}

static void peer_left(struct ps_http *http, struct ps_http_peer *peer)
{
    if (!peer)
        return;
    if (peer->next)
        peer->next->before = peer->before;
    if (peer->before)
        peer->before->next = peer->next;
    else
        http->peers = peer->next;
    free(peer);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **peer,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        peer_joined(context, connection, peer);
    else
        peer_left(context, *peer);
}

static struct ps_http_peer *peer_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* Called after an answer was sent or given up: the next request gets a new deadline. */
static void on_completed(void *context, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct ps_http_peer *peer = peer_of(connection);
    (void)context;
    (void)request;
    (void)code;
    if (peer)
        set_deadline(peer);
}

/* Shuts down connections after their deadline; libmicrohttpd detects that. Returns the next
 * deadline. */
static int64_t shut_late(struct ps_http *http)
{
    int64_t now = ps_clock_mono_ns();
    int64_t next = INT64_MAX;
    for (struct ps_http_peer *peer = http->peers; peer; peer = peer->next) {
        if (peer->deadline_ns <= now) {
            (void)shutdown(peer->fd, SHUT_RDWR);
            peer->deadline_ns = INT64_MAX;
        }
        next = peer->deadline_ns < next ? peer->deadline_ns : next;
    }
    return next;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length && strcmp(length, "0") != 0) ||
           header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* Returns the status for a request that is refused before routing; 0: not refused. */
static unsigned refusal(const struct ps_http *http, struct MHD_Connection *connection,
                        const char *method, const char **ret_reason)
{
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        *ret_reason = "only GET and HEAD are allowed";
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    if (has_body(connection)) {
        *ret_reason = "requests with a body are not allowed";
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    if (http->address.local && !ps_http_host_is_local(header(connection, MHD_HTTP_HEADER_HOST))) {
        *ret_reason = "the Host header names another site: use localhost";
        return MHD_HTTP_MISDIRECTED_REQUEST;
    }
    return 0;
}

/* Called after the headers of a request, and again when it is complete. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *data, size_t *size, void **request)
{
    static char seen;
    struct ps_http *http = context;
    (void)version;
    (void)data;
    if (!*request) {
        const char *reason;
        unsigned status = refusal(http, connection, method, &reason);
        *request = &seen;
        ps_metrics_add(http->dependencies.metrics, PS_COUNTER_HTTP_REQUESTS, 1);
        if (!status)
            return MHD_YES;
        ps_metrics_add(http->dependencies.metrics, PS_COUNTER_HTTP_REFUSED, 1);
        return ps_http_refuse(connection, status, reason);
    }
    if (*size)
        return MHD_NO; /* a body that no header announced */
    struct ps_http_peer *peer = peer_of(connection);
    if (strcmp(path, "/events") != 0)
        return ps_http_route(http, connection, path);
    if (peer && strcmp(method, MHD_HTTP_METHOD_GET) == 0)
        peer->deadline_ns = INT64_MAX;
    return ps_http_events(http, connection);
}

/* ---- the thread -------------------------------------------------------------------------------
 */

static void wait_for_events(struct ps_http *http, int64_t until)
{
    MHD_UNSIGNED_LONG_LONG longest;
    int wait = ps_clock_poll_ms(until);
    if (MHD_get_timeout(http->daemon, &longest) == MHD_YES &&
        (wait < 0 || longest < (unsigned)wait))
        wait = longest < 60000 ? (int)longest : 60000;
    struct pollfd waits[2] = {
        {.fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
         .events = POLLIN},
        {.fd = http->wake_fd, .events = POLLIN}};
    (void)poll(waits, 2, wait);
    eventfd_t count;
    (void)eventfd_read(http->wake_fd, &count);
}

static bool is_full(const struct ps_http *http)
{
    return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
               ->num_connections >= http->max_connections;
}

/* With all connections taken, libmicrohttpd stops listening. It resumes in the run after the one
 * that freed a connection, and no event triggers that run. */
static void run(struct ps_http *http)
{
    bool full = is_full(http);
    (void)MHD_run(http->daemon);
    if (full && !is_full(http))
        (void)MHD_run(http->daemon);
}

static void *serve(void *context)
{
    struct ps_http *http = context;
    int64_t until = INT64_MAX;
    while (!atomic_load(&http->stopping)) {
        wait_for_events(http, until);
        run(http);
        until = ps_http_events_proceed(http);
        int64_t deadline = shut_late(http);
        until = deadline < until ? deadline : until;
    }
    /* A suspended connection cannot be closed, so each viewer is resumed to end its answer. */
    (void)ps_http_events_proceed(http);
    (void)MHD_run(http->daemon);
    return NULL;
}

static void wake(struct ps_http *http)
{
    (void)eventfd_write(http->wake_fd, 1);
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

/* Discards the messages of libmicrohttpd, which it would print on stderr. */
__attribute__((format(printf, 2, 0))) static void silent(void *context, const char *format,
                                                         va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

static int start_daemon(struct ps_http *http, struct ps_error *error)
{
    int status =
        ps_http_listen(http->dependencies.config->http.listen,
                       http->dependencies.config->http.insecure_bind, &http->address, error);
    if (status)
        return status;
    http->max_connections = (unsigned)ps_descriptors_for_http(PS_HTTP_CONNECTIONS);
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
        http, MHD_OPTION_EXTERNAL_LOGGER, silent, NULL, MHD_OPTION_LISTEN_SOCKET,
        http->address.socket, MHD_OPTION_CONNECTION_LIMIT, http->max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)PS_HTTP_REQUEST_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)PS_HTTP_IDLE_SECONDS,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
    if (!http->daemon) {
        (void)close(http->address.socket);
        return ps_fail(error, PS_E_SYSTEM, "http.listen = %s: cannot start the server",
                       http->dependencies.config->http.listen);
    }
    return 0;
}

static void http_free(struct ps_http *http)
{
    if (http->daemon)
        MHD_stop_daemon(http->daemon); /* closes the socket too */
    ps_journal_close(http->journal);
    if (http->wake_fd >= 0)
        (void)close(http->wake_fd);
    free(http);
}

int ps_http_start(const struct ps_http_dependencies *dependencies, struct ps_http **ret_http,
                  struct ps_error *error)
{
    struct ps_http *http = calloc(1, sizeof *http);
    if (!http)
        return ps_fail_memory(error, sizeof *http, "the live view");
    http->dependencies = *dependencies;
    http->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int status = 0;
    if (http->wake_fd < 0)
        status = ps_fail(error, PS_E_SYSTEM, "cannot make an eventfd: %s", strerror(errno));
    if (status == 0)
        status = ps_journal_open_reading(dependencies->config->service.state_directory,
                                         &http->journal, error);
    if (status == 0) {
        atomic_store(&http->last_seq, ps_journal_last_seq(http->journal));
        status = start_daemon(http, error);
    }
    if (status == 0)
        status = ps_thread_start(&http->thread, "ps-http", "the live view", serve, http, error);
    if (status) {
        http_free(http);
        return status;
    }
    if (!http->address.local)
        ps_log_event(dependencies->log, PS_LOG_WARNING, "insecure_bind",
                     "value=%s reason=\"anyone who can reach it sees the micrographs\"",
                     dependencies->config->http.listen);
    ps_log_event(dependencies->log, PS_LOG_INFO, "live_view", "url=%s", http->address.url);
    *ret_http = http;
    return 0;
}

void ps_http_announce(struct ps_http *http, uint64_t seq)
{
    atomic_store(&http->last_seq, seq);
    wake(http);
}

const char *ps_http_url(const struct ps_http *http)
{
    return http->address.url;
}

void ps_http_stop(struct ps_http *http)
{
    if (!http)
        return;
    atomic_store(&http->stopping, true);
    wake(http);
    (void)pthread_join(http->thread, NULL);
    http_free(http);
}
