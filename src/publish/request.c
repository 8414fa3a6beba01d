#include "publish/request.h"

#include "base/clock.h"
#include "base/percent.h"
#include "wire/header.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* Of one call of ps_requests_serve(): the publisher also has outcomes to send. */
enum { MAX_AT_ONCE = 100, MAX_AT_ONCE_MS = 50 };

/* ---- answers ----------------------------------------------------------------------------------
 */

json_t *ps_request_error(const char *reason)
{
    return json_pack("{s:s, s:s, s:o}", "schema", PS_WIRE_SCHEMA, "type", PS_WIRE_TYPE_ERROR,
                     "reason", ps_json_text(reason));
}

static void answer(const struct ps_client *client, json_t *object)
{
    (void)ps_client_answer(client, object);
}

/* Answers an invalid request. */
static void refuse(const struct ps_request_dependencies *dependencies,
                   const struct ps_client *client, const char *reason)
{
    ps_metrics_add(dependencies->metrics, PS_COUNTER_BAD_REQUESTS, 1);
    ps_log_reason(dependencies->log, PS_LOG_DEBUG, "bad_request", reason);
    answer(client, ps_request_error(reason));
}

/* Answers a valid request that the service cannot fulfil. */
static void fail(const struct ps_request_dependencies *dependencies, const struct ps_client *client,
                 const struct ps_error *error)
{
    ps_log_reason(dependencies->log, PS_LOG_ERROR, "request_failed", error->message);
    answer(client, ps_request_error(error->message));
}

static void hello(const struct ps_request_dependencies *dependencies,
                  const struct ps_client *client, const json_t *request, bool control)
{
    (void)request;
    (void)control;
    answer(client, dependencies->hello(dependencies->context));
}

static void status(const struct ps_request_dependencies *dependencies,
                   const struct ps_client *client, const json_t *request, bool control)
{
    (void)request;
    (void)control;
    answer(client, dependencies->status(dependencies->context));
}

static void since(const struct ps_request_dependencies *dependencies,
                  const struct ps_client *client, const json_t *request, bool control)
{
    (void)control;
    const json_t *seq = json_object_get(request, "seq");
    if (!json_is_integer(seq) || json_integer_value(seq) < 0)
        refuse(dependencies, client, "since: \"seq\" must be a whole number, 0 or more");
    else if (!ps_replays_begin(dependencies->replays, client, (uint64_t)json_integer_value(seq)))
        answer(client, ps_request_error("since: too many replays at once, try again later"));
}

static int send_again(void *context, uint64_t seq, const struct ps_frames *frames)
{
    (void)seq;
    (void)ps_client_send(context, frames);
    return 0;
}

/* A name in a request, decoded if the request has "encoding", as in messages; to be freed. NULL:
 * not a name. */
static char *name_in(const json_t *request, const json_t *text)
{
    const char *value = json_string_value(text);
    const json_t *encoding = json_object_get(request, "encoding");
    const char *how = json_string_value(encoding);
    char *name = value ? strdup(value) : NULL;
    bool percent = how && strcmp(how, PS_WIRE_ENCODING_PERCENT) == 0;
    bool valid = name && (percent ? ps_percent_decode(name) : !encoding || json_is_null(encoding));
    if (!valid) {
        free(name);
        return NULL;
    }
    return name;
}

static void micrograph(const struct ps_request_dependencies *dependencies,
                       const struct ps_client *client, const json_t *request, bool control)
{
    (void)control;
    char *name = name_in(request, json_object_get(request, "name"));
    struct ps_error error;
    uint64_t seq;
    if (!name) {
        refuse(dependencies, client,
               "micrograph: \"name\" must be the name or path of a micrograph");
        return;
    }
    struct ps_client copy = *client;
    int failed = ps_journal_find(dependencies->journal, name, &seq, &error);
    free(name);
    if (!failed && seq)
        failed = ps_journal_replay(dependencies->journal, seq - 1, 1, send_again, &copy, &error);
    if (failed)
        fail(dependencies, client, &error);
    else if (seq)
        ps_metrics_add(dependencies->metrics, PS_COUNTER_REPLAYED, 1);
    else
        answer(client, ps_request_error("micrograph: no outcome of a micrograph of this name"));
}

/* Frees a list that ends with NULL, or is NULL. */
static void free_names(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}

/* The names in the list "paths", to be freed; an empty list if there is none. NULL: refused. */
static char **names_of(const struct ps_request_dependencies *dependencies,
                       const struct ps_client *client, const json_t *request)
{
    const json_t *paths = json_object_get(request, "paths");
    const size_t count = json_array_size(paths);
    char **names = calloc(count + 1, sizeof *names);
    bool valid = !paths || json_is_array(paths);
    for (size_t i = 0; names && valid && i < count; i++) {
        names[i] = name_in(request, json_array_get(paths, i));
        valid = names[i] != NULL;
    }
    if (names && valid)
        return names;
    free_names(names);
    refuse(dependencies, client,
           valid ? "no memory" : "\"paths\" must be a list of names or paths");
    return NULL;
}

/* Answers a request that has put `count` micrographs back, and has them queued. */
static void answer_reopened(const struct ps_request_dependencies *dependencies,
                            const struct ps_client *client, const char *type,
                            enum ps_counter counter, size_t count)
{
    ps_metrics_add(dependencies->metrics, counter, count);
    if (count > 0 && dependencies->reopened)
        dependencies->reopened(dependencies->context);
    answer(client, json_pack("{s:s, s:s, s:I}", "schema", PS_WIRE_SCHEMA, "type", type, "count",
                             (json_int_t)count));
}

static bool is_allowed(const struct ps_request_dependencies *dependencies,
                       const struct ps_client *client, bool control)
{
    if (!control)
        refuse(dependencies, client,
               "this request is for the control socket of the state directory only");
    return control;
}

static void retry(const struct ps_request_dependencies *dependencies,
                  const struct ps_client *client, const json_t *request, bool control)
{
    const json_t *paths = json_object_get(request, "paths");
    const size_t count = json_array_size(paths);
    struct ps_error error;
    size_t retried = 0;
    char **names =
        is_allowed(dependencies, client, control) ? names_of(dependencies, client, request) : NULL;
    if (!names)
        return;
    int failed = 0;
    if (!paths || count > 0) /* an empty list means none */
        failed = ps_journal_retry(dependencies->journal, names, count, &retried, &error);
    free_names(names);
    if (failed)
        fail(dependencies, client, &error);
    else
        answer_reopened(dependencies, client, "retried", PS_COUNTER_RETRIED, retried);
}

/* {"paths": [...]}, {"since": SEQ} or {"all": true}; none of them: what was made with other
 * settings. */
static void repick(const struct ps_request_dependencies *dependencies,
                   const struct ps_client *client, const json_t *request, bool control)
{
    const json_t *paths = json_object_get(request, "paths");
    const json_t *since = json_object_get(request, "since");
    const json_t *all = json_object_get(request, "all");
    struct ps_error error;
    size_t count = 0;
    if (!is_allowed(dependencies, client, control))
        return;
    if ((since && (!json_is_integer(since) || json_integer_value(since) < 0)) ||
        (all && !json_is_true(all)) || (paths != NULL) + (since != NULL) + (all != NULL) > 1) {
        refuse(dependencies, client,
               "repick: expected \"paths\", \"since\" (0 or more) or \"all\" (true), or none");
        return;
    }
    char **names = names_of(dependencies, client, request);
    if (!names)
        return;
    const struct ps_repick_selection selection = {
        .paths = names,
        .count = json_array_size(paths),
        .since = (uint64_t)json_integer_value(since),
        .other_than = since || all ? NULL : dependencies->parameters,
    };
    int failed = 0;
    if (!paths || selection.count > 0)
        failed = ps_journal_repick(dependencies->journal, &selection, &count, &error);
    free_names(names);
    if (failed)
        fail(dependencies, client, &error);
    else
        answer_reopened(dependencies, client, "repicked", PS_COUNTER_REPICKED, count);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static const struct kind {
    const char *name;
    void (*serve)(const struct ps_request_dependencies *dependencies,
                  const struct ps_client *client, const json_t *request, bool control);
} kinds[] = {
    {"since", since},           {"hello", hello}, {"status", status},
    {"micrograph", micrograph}, {"retry", retry}, {"repick", repick},
};

static void serve(const struct ps_request_dependencies *dependencies,
                  const struct ps_client *client, const json_t *request, bool control)
{
    const char *name = json_string_value(json_object_get(request, "request"));
    const json_t *stream = json_object_get(request, "stream");
    const char *wanted = json_string_value(stream);
    if (stream && (!wanted || strcmp(wanted, ps_journal_stream(dependencies->journal)) != 0)) {
        refuse(dependencies, client, "\"stream\" is not the stream of this service");
        return;
    }
    for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            kinds[i].serve(dependencies, client, request, control);
            return;
        }
    }
    refuse(dependencies, client,
           name ? "unknown request: expected since, hello, status, micrograph, retry or repick"
                : "expected {\"request\": ...}");
}

/* Stores one frame of a request. */
static void take(struct ps_request *request, size_t index, zmq_msg_t *frame, bool more)
{
    size_t size = zmq_msg_size(frame);
    if (index == 0) {
        request->client.id_size = size < PS_MAX_CLIENT_ID ? size : PS_MAX_CLIENT_ID;
        memcpy(request->client.id, zmq_msg_data(frame), request->client.id_size);
    } else if (index == 1 && size == 0 && more) {
        request->client.delimiter = true;
    } else if (request->bodies++ == 0) {
        (void)zmq_msg_move(&request->body, frame);
    }
}

bool ps_request_receive(void *router, struct ps_gate *gate, struct ps_request *ret_request)
{
    *ret_request = (struct ps_request){.client = {.router = router}};
    (void)zmq_msg_init(&ret_request->body);
    bool more = true;
    for (size_t index = 0; more; index++) {
        zmq_msg_t frame;
        (void)zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, router, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&frame);
            (void)zmq_msg_close(&ret_request->body);
            return false;
        }
        more = zmq_msg_more(&frame) != 0;
        if (!more)
            ps_gate_heard(gate, zmq_msg_get(&frame, ZMQ_SRCFD));
        take(ret_request, index, &frame, more);
        (void)zmq_msg_close(&frame);
    }
    return true;
}

json_t *ps_request_parse(struct ps_request *request, const char **ret_problem)
{
    json_t *object = NULL;
    *ret_problem = "a request is one frame, behind an empty one or not";
    if (request->bodies != 1)
        return NULL;
    int status = ps_json_parse(zmq_msg_data(&request->body), zmq_msg_size(&request->body), "",
                               &object, NULL);
    *ret_problem = status == PS_E_NOMEM ? "no memory" : "a request is a JSON object";
    return object;
}

void ps_requests_serve(const struct ps_request_dependencies *dependencies, void *router,
                       bool control)
{
    struct ps_request request;
    const int64_t end = ps_clock_mono_ns() + MAX_AT_ONCE_MS * INT64_C(1000000);
    for (int i = 0; i < MAX_AT_ONCE && ps_clock_mono_ns() < end; i++) {
        const char *problem;
        if (!ps_request_receive(router, dependencies->gate, &request))
            break;
        json_t *object = ps_request_parse(&request, &problem);
        if (object)
            serve(dependencies, &request.client, object, control);
        else
            refuse(dependencies, &request.client, problem);
        json_decref(object);
        (void)zmq_msg_close(&request.body);
    }
}
