#include "publishing.h"

#include "base/clock.h"
#include "subscribe/control.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- the service ----------------------------------------------------------------------------- */

static void finished(void *context, struct ps_job *job)
{
    struct service *service = context;
    ps_job_free(job);
    pthread_mutex_lock(&service->lock);
    service->finished++;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
}

static bool add_status(void *context, json_t *header)
{
    (void)context;
    return json_object_set_new(header, "watch", json_array()) == 0;
}

static void reopened(void *context)
{
    struct service *service = context;
    pthread_mutex_lock(&service->lock);
    service->reopened++;
    pthread_mutex_unlock(&service->lock);
}

int service_setup(void **state)
{
    struct service *service = calloc(1, sizeof *service);
    if (!service)
        return -1;
    strcpy(service->directory, "/tmp/pickstream-publisher-XXXXXX");
    if (!mkdtemp(service->directory))
        return -1;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&service->lock, NULL);
    (void)pthread_cond_init(&service->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    service->log = ps_log_new(PS_LOG_ERROR);
    service->metrics = ps_metrics_new();
    service->config = ps_config_new();
    service_configure(service, "publish.endpoint", "tcp://127.0.0.1:*", "publish.replay_endpoint",
                      "tcp://localhost:*", "publish.heartbeat_seconds", "0.1", "publish.session",
                      "s1", "service.state_directory", service->directory, NULL);
    *state = service;
    return 0;
}

int service_teardown(void **state)
{
    struct service *service = *state;
    char command[100];
    if (service->publisher)
        service_stop(service);
    ps_config_free(service->config);
    ps_metrics_free(service->metrics);
    ps_log_free(service->log);
    (void)pthread_cond_destroy(&service->changed);
    (void)pthread_mutex_destroy(&service->lock);
    (void)snprintf(command, sizeof command, "rm -rf %s", service->directory);
    free(service);
    return system(command);
}

void service_configure(struct service *service, ...)
{
    va_list settings;
    const char *key;
    va_start(settings, service);
    while ((key = va_arg(settings, const char *)) != NULL) {
        struct ps_error error;
        if (ps_config_set(service->config, key, va_arg(settings, const char *), &error) != 0)
            fail_msg("%s", error.message);
    }
    va_end(settings);
}

int service_try(struct service *service, struct ps_error *error)
{
    struct ps_publisher_hooks hooks = {
        .finished = finished, .status = add_status, .reopened = reopened, .context = service};
    int status = ps_journal_open(service->directory, &service->journal, error);
    if (status)
        return status;
    status = ps_publisher_start(service->config, service->journal, service->log, service->metrics,
                                &hooks, &service->publisher, error);
    if (status) {
        assert_null(service->publisher);
        ps_journal_close(service->journal);
    }
    return status;
}

void service_start(struct service *service)
{
    struct ps_error error;
    json_t *hello = NULL;
    if (service_try(service, &error) != 0)
        fail_msg("%s", error.message);
    if (ps_control_ask(service->directory, json_pack("{s:s}", "request", "hello"), &hello, &error))
        fail_msg("%s", error.message);
    (void)snprintf(service->endpoint, ENDPOINT, "%s", text_at(hello, "endpoints.publish"));
    (void)snprintf(service->replay, ENDPOINT, "%s", text_at(hello, "endpoints.replay"));
    json_decref(hello);
}

void service_stop(struct service *service)
{
    ps_publisher_stop(service->publisher);
    ps_journal_close(service->journal);
    service->publisher = NULL;
    service->journal = NULL;
}

/* ---- workers --------------------------------------------------------------------------------- */

static struct ps_completion new_completion(struct service *service, const char *name)
{
    char path[200];
    struct ps_error error;
    enum ps_journal_state state;
    (void)snprintf(path, sizeof path, "/data/%s", name);
    struct ps_completion completion = {.job = ps_job_new(path, name)};
    assert_non_null(completion.job);
    pthread_mutex_lock(&service->lock);
    uint64_t number = ++service->submitted;
    pthread_mutex_unlock(&service->lock);
    completion.job->identity =
        (struct ps_identity){.device = 1, .inode = number, .size = 1000, .mtime_ns = 1};
    completion.job->closed_ns = ps_clock_wall_ns() + service->clock_ahead_ns;
    completion.job->detected_ns = completion.job->closed_ns;
    completion.job->closed_mono_ns = ps_clock_mono_ns();
    completion.read_milliseconds = 0.5;
    completion.total_milliseconds = 1;
    if (ps_journal_see(service->journal, completion.job, &state, &error) != 0)
        fail_msg("%s", error.message);
    return completion;
}

static struct ps_micrograph *micrograph(void)
{
    struct ps_micrograph *read = calloc(1, sizeof *read);
    assert_non_null(read);
    *read = (struct ps_micrograph){
        .image = {.width = 640, .height = 480}, .format = "mrc", .mode = 2, .frames = 1};
    return read;
}

struct ps_completion picked(struct service *service, const char *name, size_t picks)
{
    struct ps_completion completion = new_completion(service, name);
    completion.micrograph = micrograph();
    completion.result.count = picks;
    completion.result.picks = calloc(picks + 1, sizeof *completion.result.picks);
    assert_non_null(completion.result.picks);
    for (size_t i = 0; i < picks; i++)
        completion.result.picks[i] = (struct ps_pick){(float)i, 0.5f, -1, (float)strlen(name)};
    return completion;
}

void submit(struct service *service, const char *name, size_t picks)
{
    struct ps_completion completion = picked(service, name, picks);
    ps_publisher_submit(service->publisher, &completion);
    assert_null(completion.job); /* the publisher owns it */
}

void submit_failure(struct service *service, const char *name, const char *reason)
{
    struct ps_completion completion = new_completion(service, name);
    completion.failure = strdup(reason);
    ps_publisher_submit(service->publisher, &completion);
}

void submit_rejection(struct service *service, const char *name, const char *reason)
{
    struct ps_completion completion = new_completion(service, name);
    completion.micrograph = micrograph();
    completion.result.outcome = PS_REJECTED;
    (void)snprintf(completion.result.reason, sizeof completion.result.reason, "%s", reason);
    ps_publisher_submit(service->publisher, &completion);
}

void submit_many(struct service *service, size_t count, size_t picks)
{
    for (size_t i = 0; i < count; i++) {
        char name[40];
        (void)snprintf(name, sizeof name, "many/%zu-%zu.mrc", service->submitted, i);
        submit(service, name, picks);
    }
}

size_t finished_count(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    size_t count = service->finished;
    pthread_mutex_unlock(&service->lock);
    return count;
}

void wait_finished(struct service *service, size_t count)
{
    struct timespec limit;
    (void)clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += LIMIT_SECONDS;
    int late = 0;
    pthread_mutex_lock(&service->lock);
    while (service->finished < count && !late)
        late = pthread_cond_timedwait(&service->changed, &service->lock, &limit);
    size_t now = service->finished;
    pthread_mutex_unlock(&service->lock);
    if (now < count)
        fail_msg("%zu of %zu outcomes finished", now, count);
}

/* ---- clients --------------------------------------------------------------------------------- */

void client_set(struct client *client, int option, int value)
{
    assert_int_equal(zmq_setsockopt(client->socket, option, &value, sizeof value), 0);
}

struct client client_new(int type)
{
    struct client client = {.context = zmq_ctx_new()};
    client.socket = zmq_socket(client.context, type);
    assert_non_null(client.socket);
    client_set(&client, ZMQ_LINGER, 0);
    client_set(&client, ZMQ_RCVTIMEO, LIMIT_SECONDS * 1000);
    client_set(&client, ZMQ_SNDTIMEO, LIMIT_SECONDS * 1000);
    if (type == ZMQ_SUB) {
        assert_int_equal(zmq_setsockopt(client.socket, ZMQ_SUBSCRIBE, "picks", 5), 0);
        assert_int_equal(zmq_setsockopt(client.socket, ZMQ_SUBSCRIBE, "status", 6), 0);
    }
    return client;
}

void client_connect(struct client *client, const char *endpoint)
{
    if (zmq_connect(client->socket, endpoint) != 0)
        fail_msg("%s: %s", endpoint, zmq_strerror(zmq_errno()));
}

void client_close(struct client *client)
{
    assert_int_equal(zmq_close(client->socket), 0);
    assert_int_equal(zmq_ctx_term(client->context), 0);
}

struct client subscribe(const struct service *service)
{
    struct client client = client_new(ZMQ_SUB);
    client_connect(&client, service->endpoint);
    /* Subscriptions arrive in their order, and "status" was the last one. */
    struct message message = receive(&client);
    assert_string_equal(message.topic, "status");
    message_done(&message);
    return client;
}

struct client dealer(const struct service *service)
{
    struct client client = client_new(ZMQ_DEALER);
    client_connect(&client, service->replay);
    return client;
}

static void add_frame(struct message *message, zmq_msg_t *frame)
{
    size_t size = zmq_msg_size(frame);
    const char *data = zmq_msg_data(frame);
    bool json = size > 0 && *data == '{';
    if (message->frames == 0 && size == 0 && !message->delimiter) {
        message->delimiter = true;
        return;
    }
    if (message->frames == 0 && !json) {
        assert_true(size < sizeof message->topic);
        memcpy(message->topic, data, size);
    } else if (!message->text) {
        message->text = strndup(data, size);
        message->header = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
    } else {
        assert_null(message->array);
        message->array = calloc(1, size + 1);
        assert_non_null(message->array);
        memcpy(message->array, data, size);
        message->array_size = size;
    }
    message->frames++;
}

static bool receive_with(struct client *client, int flags, struct message *ret_message)
{
    bool more = true;
    *ret_message = (struct message){0};
    while (more) {
        zmq_msg_t frame;
        (void)zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, client->socket, flags) < 0) {
            assert_int_equal(zmq_errno(), EAGAIN);
            (void)zmq_msg_close(&frame);
            return false;
        }
        more = zmq_msg_more(&frame) != 0;
        add_frame(ret_message, &frame);
        (void)zmq_msg_close(&frame);
    }
    if (!ret_message->header)
        fail_msg("header is not JSON: %s", ret_message->text);
    return true;
}

struct message receive(struct client *client)
{
    struct message message;
    if (!receive_with(client, 0, &message))
        fail_msg("no message in %d s", LIMIT_SECONDS);
    return message;
}

bool receive_now(struct client *client, struct message *ret_message)
{
    return receive_with(client, ZMQ_DONTWAIT, ret_message);
}

void message_done(struct message *message)
{
    free(message->text);
    free(message->array);
    json_decref(message->header);
    *message = (struct message){0};
}

struct message receive_picks(struct client *client)
{
    for (;;) {
        struct message message = receive(client);
        if (strcmp(message.topic, "status") != 0)
            return message;
        message_done(&message);
    }
}

void ask(struct client *client, const char *request)
{
    assert_true(zmq_send(client->socket, request, strlen(request), 0) >= 0);
}

json_t *answer_to(struct client *client, const char *request, const char *type)
{
    ask(client, request);
    struct message message = receive(client);
    assert_int_equal(message.frames, 1);
    if (strcmp(text_at(message.header, "type"), type) != 0)
        fail_msg("%s: %s", request, message.text);
    json_t *header = json_incref(message.header);
    message_done(&message);
    return header;
}

const json_t *at(const json_t *object, const char *path)
{
    char copy[100], *rest = copy;
    const json_t *found = object;
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (const char *key = strsep(&rest, "."); key; key = strsep(&rest, "."))
        found = json_object_get(found, key);
    if (!found) {
        char *text = json_dumps(object, 0);
        fail_msg("no %s in %s", path, text ? text : "NULL");
    }
    return found;
}

const char *text_at(const json_t *object, const char *path)
{
    const json_t *value = at(object, path);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

long long number_at(const json_t *object, const char *path)
{
    const json_t *value = at(object, path);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

void wait_status(struct client *subscriber, const char *path, long long least)
{
    int64_t limit = ps_clock_mono_ns() + (int64_t)LIMIT_SECONDS * 1000000000;
    for (;;) {
        struct message message = receive(subscriber);
        bool there =
            strcmp(message.topic, "status") == 0 && number_at(message.header, path) >= least;
        if (!there && ps_clock_mono_ns() > limit)
            fail_msg("%s is not %lld: %s", path, least, message.text);
        message_done(&message);
        if (there)
            return;
    }
}

/* ---- the disk -------------------------------------------------------------------------------- */

void disk_full(bool full)
{
    static struct rlimit before;
    if (full) {
        (void)signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        struct rlimit none = {0, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    } else {
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    }
}
